//! `[sip.streams]`: bounds of connections (TCP, TLS, WebSocket).

use std::time::Duration;

use crate::limits;

/// Bounds of stream connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Connections at once.
    pub connections_max: usize,
    /// Of them from one address.
    pub connections_per_address_max: usize,
    /// A new connection must be through its handshakes and deliver its first whole message within this time.
    pub first_message: Duration,
    /// A connection without traffic is closed after this.
    pub idle: Duration,
    /// Pause between our keep-alives on connections that we opened, and to WebSocket peers; zero: none.
    pub ping: Duration,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams {
            connections_max: limits::STREAMS,
            connections_per_address_max: limits::STREAMS_PER_ADDRESS,
            first_message: limits::STREAM_FIRST,
            idle: limits::STREAM_IDLE,
            ping: limits::STREAM_PING,
        }
    }
}
