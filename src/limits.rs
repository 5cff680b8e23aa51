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
/// Call-ID, tag, branch.
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

/// Bytes of packets that a media thread collects before the recorder gets them: about 1,500 G.711 packets.
pub const TAP_ARENA: usize = 256 * 1024;
/// Packets of one such buffer, for codecs with small packets.
pub const TAP_PACKETS: usize = 4_096;
/// Age at which a buffer goes out though it is not full: short beside the second that a killed process may lose.
pub const TAP_INTERVAL: Duration = Duration::from_millis(80);
/// Buffers of one media thread (16 MiB when all are in use): 5 s of a stuck recorder with few calls, 1 s with 1,000.
pub const TAP_BUFFERS: usize = 64;
/// Messages on their way to the recorder from all media threads.
pub const TAP_QUEUE: usize = 1_024;
/// Messages about calls that wait on one media thread for a stuck recorder; then new recordings are refused.
pub const TAP_BACKLOG: usize = 4_096;
/// A learned source must be quiet for so long before another one of the same IP may take its place.
pub const LATCH_QUIET: Duration = Duration::from_millis(1_500);
/// The same for RTCP, which comes about every 5 s (RFC 3550 §6.2): three reports are missing.
pub const LATCH_QUIET_RTCP: Duration = Duration::from_secs(15);
/// Sources of one IP that are watched while none is learned: the party, and a few that disturb.
pub const LATCH_CANDIDATES: usize = 4;
/// RTP packets a second that one leg may have relayed: packets of 5 ms, and 10 ms with telephone events between.
pub const LEG_PACKETS_PER_SECOND: u32 = 250;
/// How many of them may come at once: what a network holds up for 2 s with packets of 20 ms.
pub const LEG_PACKETS_BURST: u32 = 100;
/// RTCP packets a second of one leg; RFC 3550 §6.2 allows one in 5 s, RFC 4585 early feedback more.
pub const LEG_RTCP_PER_SECOND: u32 = 10;
/// How many of them may come at once.
pub const LEG_RTCP_BURST: u32 = 20;
/// While a side is on hold nobody need talk: the call is given so long.
pub const SILENCE_ON_HOLD: Duration = Duration::from_secs(3_600);
/// Receive buffer of a media socket: 1.3 s of G.711 (the kernel counts its own overhead too).
pub const MEDIA_RECEIVE_BUFFER: usize = 64 * 1024;
