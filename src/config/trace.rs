//! `[trace]`: what is kept and copied of the SIP messages.

use std::net::SocketAddr;

use super::Secret;

#[derive(Clone, Debug)]
pub struct Trace {
    /// Bytes of SIP messages kept for ladders and `leaseline trace`, over all calls; 0: none.
    pub memory: u64,
    pub hep: Option<HepServer>,
}

/// A capture server (HOMER) that gets a copy of every SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HepServer {
    pub address: SocketAddr,
    /// Number of this node there.
    pub capture_id: u32,
    pub password: Option<Secret>,
}
