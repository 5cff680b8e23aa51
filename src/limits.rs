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
/// Dialogs that one INVITE of ours may end in: parallel forking reaches a handful of phones.
pub const SIP_FORKS: usize = 8;
/// Requests of one leg's far side that wait for an answer at once; honest peers send one after the other.
pub const REQUESTS_WAITING: usize = 16;

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
/// A recording waits so long for packets that come late or out of order before it writes a stretch. With
/// [`RECORDER_BLOCK`] it is what a crash can cost: under a second.
pub const RECORDER_REORDER: Duration = Duration::from_millis(400);
/// A recording is written in blocks of so much: two writes a second and call.
pub const RECORDER_BLOCK: Duration = Duration::from_millis(450);
/// Samples of one channel held in memory, in front of what is written: reorder window, block, one largest packet and
/// slack for a driver that comes late. 8000 a second.
pub const RECORDER_BUFFER: usize = 3 * 8_000;
/// Streams (SSRCs) of one side followed at once; a new one replaces the one that was quiet longest.
pub const RECORDER_STREAMS: usize = 4;
/// Packets of one stream held back until its place on the timeline is clear: a burst after a stall of two seconds.
pub const RECORDER_HELD: usize = 128;
/// Gaps listed of one channel; what comes after is summed in one entry. Keeps an event under 64 KiB.
pub const RECORDER_GAPS: usize = 256;
/// Longest recording: 12 hours are 1.4 GB, well below where the sizes of a WAV header wrap.
pub const RECORDING_LENGTH: Duration = Duration::from_secs(12 * 3600);

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
/// Longest sound that a test phone plays, and longest silence on its tape.
pub const PHONE_AUDIO: Duration = Duration::from_secs(600);
/// Calls at once of a test phone that answers.
pub const PHONE_CALLS: usize = 1_000;
