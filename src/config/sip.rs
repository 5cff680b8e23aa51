//! `[sip]`: listeners, and what holds for all calls.

use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// UDP or TCP (TLS and WebSocket come later).
    pub transport: rsip::Transport,
    pub address: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct Sip {
    pub listen: Vec<Listener>,
    /// Host (and port) put into Via and Contact instead of the bound address, when behind NAT.
    pub advertise: Option<String>,
    /// `User-Agent` and `Server`; default `Leaseline/<version>`.
    pub user_agent: String,
    /// Calls at once; default what the media ports allow.
    pub calls_max: usize,
    /// New calls per second over all trunks; 0: no limit.
    pub calls_per_second_max: u32,
    /// Longest call; then both sides get BYE. Default [`crate::limits::CALL_LENGTH`].
    pub call_length_max: Duration,
    /// New calls are refused while messages wait longer than this in our queue; zero: never.
    pub overload_after: Duration,
    pub defence: super::Defence,
}
