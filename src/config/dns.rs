//! `[sip.dns]`: how host names of destinations and trunks are found.

use std::net::SocketAddr;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Asked in this order; empty: those of the system's `resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// The longest that one name may take; default [`crate::limits::RESOLVE`], and never longer.
    pub timeout: Duration,
    /// Answers may name addresses of private networks; default true, since a company's PBX often has one.
    pub private: bool,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns { servers: Vec::new(), timeout: crate::limits::RESOLVE, private: true }
    }
}
