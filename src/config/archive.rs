//! `[recording]` and `[[retention]]`: what becomes of recordings after their seal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Secret;
use crate::core::archive::retention::Rule;
use crate::core::archive::timestamp::Roots;

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
    /// Recordings of closed days are made smaller so long after their call; zero: never.
    pub archive_after: Duration,
    /// What they become.
    pub archive_as: Packing,
    /// Who time-stamps closed days (RFC 3161); nobody: they have no stamps.
    pub time_authority: Option<TimeAuthority>,
}

/// What recordings become that are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// The same samples.
    #[default]
    Flac,
    /// For ears.
    Opus,
}

impl Packing {
    pub const ALL: [(&'static str, Packing); 2] = [("flac", Packing::Flac), ("opus", Packing::Opus)];

    pub const fn as_str(self) -> &'static str {
        match self {
            Packing::Flac => "flac",
            Packing::Opus => "opus",
        }
    }
}

/// A time-stamp authority.
#[derive(Clone, Debug)]
pub struct TimeAuthority {
    pub url: url::Url,
    /// Whom its certificate must lead to; none: it is taken as it is, and only auditors ask.
    pub roots: Option<Roots>,
    /// The file that they were read from.
    pub roots_file: Option<PathBuf>,
}

/// A storage with the interface of S3 that recordings are sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct S3 {
    pub name: String,
    pub endpoint: url::Url,
    pub bucket: String,
    pub region: String,
    /// The bucket stands in the path, not in the host's name.
    pub path_style: bool,
    /// Stands in front of every object's name.
    pub prefix: String,
    pub access_key: Arc<str>,
    pub secret_key: Secret,
    /// Sound stays on this disk after its day was closed and stored.
    pub keep_local: bool,
}
