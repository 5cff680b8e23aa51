//! Bounds of TCP, TLS and WebSocket connections of SIP.

use std::time::Duration;

/// Stream events waiting for signalling; a full queue stops reading from the peers.
pub const STREAM_EVENTS: usize = 1_024;
/// SIP stream connections at once.
pub const STREAMS: usize = 512;
/// SIP stream connections of one address.
pub const STREAMS_PER_ADDRESS: usize = 16;
/// A new connection must deliver its first whole message within this time.
pub const STREAM_FIRST: Duration = Duration::from_secs(10);
/// A connection without traffic is closed after this.
pub const STREAM_IDLE: Duration = Duration::from_secs(900);
/// Pause between our keep-alives on a stream: below the 120 s that RFC 5626 §4.4.1 gives as the upper end.
pub const STREAM_PING: Duration = Duration::from_secs(110);
/// A peer that answered keep-alives before must answer the next within this time (RFC 5626 §4.4.1).
pub const STREAM_PONG: Duration = Duration::from_secs(10);
/// Most connections that a configuration may allow: each holds a descriptor.
pub const STREAMS_MAX: usize = 65_536;
/// Part of all connections that those may hold of whom nothing is known yet: a quarter, so that trunks find room.
pub const STREAMS_OF_STRANGERS: usize = 4;
/// A file with certificates or a key; the bundle of all public authorities has 230 KB.
pub const TLS_FILE: u64 = 4 * 1024 * 1024;
/// Names of one certificate that are looked at; an operator's certificate has a handful.
pub const TLS_NAMES: usize = 128;
/// Opening a connection takes no longer.
pub const STREAM_CONNECT: Duration = Duration::from_secs(5);
/// Messages to one stream peer written at once: more than one turn of the machine can make.
pub const STREAM_BATCH: usize = 1_024;
/// A stream peer that takes nothing of a message for so long is gone.
pub const STREAM_STALL: Duration = Duration::from_secs(10);
/// Bytes waiting for a peer that does not read; then it is closed.
pub const STREAM_UNSENT: usize = 256 * 1024;
