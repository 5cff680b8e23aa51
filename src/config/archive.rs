//! `[recording]` and `[[retention]]`: what becomes of recordings after their seal.

use std::path::PathBuf;

use crate::core::archive::retention::Rule;

/// What becomes of recordings after their seal.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Ed25519 key that signs the manifests of days; made at the first start. Default `<data_dir>/keys/signing.key`.
    pub signing_key_file: PathBuf,
    /// Classes of calls and how long their recordings are kept, in the order in which they are tried; the last is
    /// `[recording] retention_days`, when that is not 0.
    pub retention: Vec<Rule>,
    /// Recordings that one run of retention may erase, one run an hour; default 1000.
    pub deletions_max: usize,
    /// Whom recordings are encrypted to (`age1…`); empty: nobody.
    pub recipients: Vec<String>,
    /// Identities that open them for whoever may hear them through the API; none: they are not opened here.
    pub identity_file: Option<PathBuf>,
}
