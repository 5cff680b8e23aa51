//! `[trunk.stir]`: who vouches for callers' numbers (RFC 8224), and what goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::core::stir::{Signer, Store};

/// What a trunk's calls need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StirVerify {
    /// Nothing is looked at.
    #[default]
    Off,
    /// The verdict stands in the event.
    Tag,
    /// A call whose caller nobody vouches for is refused (RFC 8224 §6.2.2).
    Require,
}

/// What becomes of the Identity headers of a call that goes out through this trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StirForward {
    #[default]
    Drop,
    Pass,
    /// Passed on, with a `div` PASSporT of our own (RFC 8946).
    Div,
}

/// `[trunk.stir]`.
#[derive(Clone, Debug)]
pub struct StirRules {
    pub verify: StirVerify,
    pub store: Arc<Store>,
    /// Files of the store, as configured: roots, and certificates by URL.
    pub trusted_file: Option<PathBuf>,
    pub certificate_file: BTreeMap<String, String>,
    /// The longest that a call waits for a certificate; the hosts that are asked stand in `store`.
    pub fetch_timeout: Duration,
    pub forward: StirForward,
    /// The verdict goes out beside the number (`verstat`).
    pub verstat: bool,
    pub signer: Option<Arc<Signer>>,
    pub key_file: Option<PathBuf>,
}

impl Default for StirRules {
    fn default() -> StirRules {
        StirRules {
            verify: StirVerify::Off,
            store: Arc::default(),
            trusted_file: None,
            certificate_file: BTreeMap::new(),
            fetch_timeout: Duration::from_secs(2),
            forward: StirForward::Drop,
            verstat: false,
            signer: None,
            key_file: None,
        }
    }
}
