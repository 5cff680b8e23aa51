//! Every bound and its reason. Reaching one is a refusal with a name or a counted drop, never growth.

use std::time::Duration;

/// Longest SIP message we read: what fits a UDP datagram.
pub const SIP_MESSAGE: usize = 65_535;
/// Start line and headers of one message. The largest torture message of RFC 4475 has 3.5 KB.
pub const SIP_HEAD: usize = 16 * 1024;
/// Body of one message.
pub const SIP_BODY: usize = 32 * 1024;
/// Header lines of one message (RFC 4475 `longreq`: 43).
pub const SIP_HEADERS: usize = 128;
/// Via values of one message: Max-Forwards starts at 70.
pub const SIP_VIAS: usize = 70;
/// One header line, unfolded.
pub const SIP_LINE: usize = 8 * 1024;
/// Call-ID, tag, branch, method, header name.
pub const SIP_TOKEN: usize = 256;

/// Lines of one SDP body.
pub const SDP_LINES: usize = 512;
/// Media descriptions of one SDP body.
pub const SDP_MEDIA: usize = 8;
/// Formats of one media description.
pub const SDP_FORMATS: usize = 64;

/// RFC 3261 §17.1.1.1.
pub const T1: Duration = Duration::from_millis(500);
/// RFC 3261 §17.1.2.2.
pub const T2: Duration = Duration::from_secs(4);
/// RFC 3261 §17.1.2.2.
pub const T4: Duration = Duration::from_secs(5);

/// Calls at once. A call holds 4 sockets, about 60 KB; the media port range usually ends it earlier.
pub const CALLS: usize = 20_000;
/// Server and client transactions at once. A call has about six within 32 s.
pub const TRANSACTIONS: usize = 200_000;
/// Longest call; then both sides get BYE.
pub const CALL_LENGTH: Duration = Duration::from_secs(4 * 3600);

/// Largest RTP or RTCP packet relayed: an Ethernet frame's payload.
pub const RTP_PACKET: usize = 1_472;
/// A media port rests so long after its call, so that a peer that goes on sending does not reach the next call.
pub const PORT_QUARANTINE: Duration = Duration::from_secs(5);
/// Packets in sequence from one source before NAT mode believes it.
pub const LATCH_PACKETS: u8 = 5;
/// They must come within this time.
pub const LATCH_WINDOW: Duration = Duration::from_millis(1_500);

/// Configuration file: a million numbers written one by one.
pub const CONFIG_FILE: u64 = 32 << 20;
/// Problems reported of one configuration; a person reads fewer.
pub const CONFIG_PROBLEMS: usize = 200;
/// Items of one list of the configuration; ranges make longer ones unnecessary.
pub const CONFIG_LIST: usize = 100_000;
/// Bytes of a secret in a file of its own.
pub const CONFIG_SECRET: usize = 4 * 1024;
/// Trunks, companies, sites, pools and sinks, each.
pub const CONFIG_TABLES: usize = 10_000;
/// Numbers of all pools: the lease table was measured with so many.
pub const NUMBERS: usize = 1_000_000;
/// Sources of one trunk.
pub const TRUNK_SOURCES: usize = 1_000;
/// Destinations of one company: a caller does not wait for more.
pub const DESTINATIONS: usize = 16;
/// Keys of a static channel.
pub const CHANNEL_KEYS: usize = 16;
/// Bytes of one value of a static channel: it may stand in a SIP header.
pub const CHANNEL_VALUE: usize = 256;
/// A number rests at least so long after its visitor left, so that a late call still finds them.
pub const HOLD_MIN: Duration = Duration::from_secs(300);

/// Log lines that wait for the reader of stderr: a second of a busy node; beyond it lines are dropped and counted.
pub const LOG_LINES: usize = 8_192;
