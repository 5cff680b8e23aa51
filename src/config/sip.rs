//! `[sip]`: listeners, and what holds for all calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Dns;
use super::dialogs::Dialogs;
use super::streams::Streams;
use super::tls::Tls;

/// Where calls come in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// UDP, TCP, TLS, WS or WSS.
    pub transport: rsip::Transport,
    pub address: SocketAddr,
    /// Host, or host and port, by which the peers of this listener know it; none: [`Sip::advertise`].
    pub advertise: Option<Arc<str>>,
}

impl Listener {
    /// A listener that is known by its own address.
    pub const fn new(transport: rsip::Transport, address: SocketAddr) -> Listener {
        Listener { transport, address, advertise: None }
    }
}

/// What a request of ours does that is too large for a datagram (RFC 3261 §18.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LargeRequests {
    /// Goes over TCP to the same place; by UDP only when nobody takes a connection there.
    #[default]
    Tcp,
    /// Goes by UDP, in fragments.
    Udp,
}

impl LargeRequests {
    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            LargeRequests::Tcp => "tcp",
            LargeRequests::Udp => "udp",
        }
    }
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
    /// What holds for every dialog.
    pub dialogs: Dialogs,
    /// Longest call; then both sides get BYE. Default [`crate::limits::CALL_LENGTH`].
    pub call_length_max: Duration,
    pub dns: Dns,
    pub streams: Streams,
    /// Where trunks do not say otherwise.
    pub large_requests: LargeRequests,
    pub tls: Arc<Tls>,
    /// Origins of pages whose scripts may connect by WebSocket; programs that send no Origin are not browsers.
    pub websocket_origins: Vec<String>,
    /// New calls are refused while messages wait longer than this in our queue; zero: never.
    pub overload_after: Duration,
    pub defence: super::Defence,
}
