//! `[[siprec]]`: a third party's recorder (RFC 7866).

use std::sync::Arc;
use std::time::Duration;

use super::Trunk;

/// A recorder that is sent a copy of calls.
#[derive(Clone, Debug)]
pub struct Siprec {
    pub name: String,
    /// Places, tried in order.
    pub uris: Vec<String>,
    /// The trunk that was named.
    pub trunk_name: Option<String>,
    /// The same as a value: its transports, login, NAT and large requests are the recorder's; its `address` is the next
    /// hop.
    pub trunk: Option<Arc<Trunk>>,
    /// How long a place may take to answer; default 5 s.
    pub answer_timeout: Duration,
    /// Rounds over all places after the first one, for one call; default 3.
    pub retries: u32,
    /// Pause before the second round; twice as long before each further one. Default 5 s.
    pub retry_after: Duration,
}

impl Siprec {
    /// Where the next hop of a place is looked up: at the trunk's `address` when it has one, else at the URI itself.
    pub fn next_hop<'a>(&'a self, uri: &'a str) -> &'a str {
        self.trunk.as_ref().and_then(|trunk| trunk.address.as_deref()).unwrap_or(uri)
    }
}
