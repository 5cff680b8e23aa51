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

/// HTTP connections at once. A browser keeps up to six; streams of routers and consoles hold one each.
pub const HTTP_CONNECTIONS: usize = 1_024;
/// Of them from one address that is neither loopback nor a trusted proxy: an office behind one address fits.
pub const HTTP_CONNECTIONS_PER_ADDRESS: usize = 128;
/// Header fields of one request. Browsers send about 20.
pub const HTTP_HEADERS: usize = 64;
/// Head of one request, and read buffer of a connection.
pub const HTTP_HEAD: usize = 16 * 1024;
/// A request's head must be complete within this time; idle connections are closed after it.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(30);
/// Body of one request.
pub const HTTP_BODY: usize = 64 * 1024;
/// A request's body must be complete within this time.
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(10);
/// Nesting of a JSON body; ours have three levels.
pub const HTTP_JSON_DEPTH: usize = 16;
/// A peer that takes nothing of an answer for so long is gone.
pub const HTTP_WRITE_STALL: Duration = Duration::from_secs(30);
/// Running requests get so long when the daemon stops.
pub const HTTP_DRAIN: Duration = Duration::from_secs(3);
/// Event and feed streams at once; each holds a connection and a queue.
pub const HTTP_STREAMS: usize = 128;
/// Rows of one page of an answer.
pub const HTTP_PAGE: usize = 500;
/// Addresses whose request rate is remembered; later ones share one bucket.
pub const HTTP_RATE_ADDRESSES: usize = 65_536;
/// Lease requests of one address at once: a busy office, or a test that fills a pool.
pub const HTTP_LEASE_BURST: u32 = 600;
/// Lease requests of one address per second, after the burst.
pub const HTTP_LEASE_RATE: u32 = 10;
/// Heartbeats and signals of one address at once.
pub const HTTP_BEAT_BURST: u32 = 2_000;
/// Heartbeats and signals of one address per second: 100 pages behind it send about 4.
pub const HTTP_BEAT_RATE: u32 = 50;
/// A visitor id given by a page. Ours have 32 characters; cookies of analytics reach about 60.
pub const VISITOR_ID: usize = 128;
/// One text of a session. Browsers send URLs of about 2,000 characters without trouble.
pub const SESSION_TEXT: usize = 2_048;
/// Keys of one map of a session; there are about twenty click ids in the field.
pub const SESSION_KEYS: usize = 32;
/// One key of such a map.
pub const SESSION_KEY: usize = 64;
/// Visitors who may share one number before the oldest is forgotten.
pub const LEASE_SHARERS: usize = 8;
/// Signals of one lease that go into the journal; a page has a handful, a loop in a page thousands.
pub const LEASE_SIGNALS: u32 = 200;
/// Length of a signal's name.
pub const SIGNAL_NAME: usize = 32;
/// Least hold after a visitor left: a caller looks at the number, then dials.
pub const HOLD_MIN: Duration = Duration::from_secs(300);
/// Timers that one turn of the allocator runs before it lets others in: about 5 ms.
pub const ALLOCATOR_TURN: usize = 10_000;
/// Changes kept for followers of the lease feed that come back: about 30 MB, five minutes at 10,000 visitors.
pub const FEED_LOG: usize = 100_000;
/// Records written to a follower at a time, so that the allocator is never locked long.
pub const FEED_BATCH: usize = 256;
/// One line of the lease feed: a session of full length in JSON, twice over.
pub const FEED_LINE: usize = 512 * 1024;
/// Lines of one snapshot of the lease feed: two for each of five million numbers.
pub const FEED_ENTRIES: u64 = 10_000_000;
/// Heartbeat of an idle lease feed.
pub const FEED_HEARTBEAT: Duration = Duration::from_secs(10);
/// Longest number text that is read at all: 15 digits with separators and a parameter or two.
pub const NUMBER_TEXT: usize = 96;
/// Attribution line for headers and display names, in characters; phones show 20 to 60.
pub const SOURCE_LINE: usize = 100;
/// One journal record. A `call.ended` with a hostile page's session and a long list of gaps has some 60 KB.
pub const JOURNAL_RECORD: usize = 1024 * 1024;
/// A segment is closed when it is so long: a start reads the newest one, and 64 MiB are hashed in a tenth of a second.
pub const JOURNAL_SEGMENT: u64 = 64 * 1024 * 1024;
/// Events that wait for the journal's disk. At 2 KB each 130 MB, and some ten minutes of a busy node.
pub const JOURNAL_QUEUE: usize = 65_536;
/// Events written with one fsync.
pub const JOURNAL_BATCH: usize = 1_024;
/// Two fsyncs of the journal are so far apart, so that load costs 20 a second and not one an event.
pub const JOURNAL_COMMIT: Duration = Duration::from_millis(50);
/// A disk that refused is asked again after this time.
pub const JOURNAL_RETRY: Duration = Duration::from_secs(1);
/// Newest records kept in memory for followers, so that they do not read what was just written.
pub const JOURNAL_TAIL: usize = 4_096;
/// The same in bytes.
pub const JOURNAL_TAIL_BYTES: usize = 8 * 1024 * 1024;
/// Records given out by one read.
pub const JOURNAL_READ: usize = 1_000;
/// Problems that `verify` lists; the rest is counted.
pub const VERIFY_PROBLEMS: usize = 100;

/// Ended calls that the API remembers; older ones are in the journal. About 3 KB each.
pub const CALLS_LISTED: usize = 10_000;
/// Events listed with one call.
pub const CALL_EVENTS: usize = 64;
/// Calls on one page of the API.
pub const CALLS_PAGE: usize = 200;

/// Events of one sink that may be under way or waiting for a retry; the cursor stands before the oldest of them.
pub const SINK_WINDOW: usize = 16_384;
/// Deliveries of one sink at once, each for another call.
pub const SINK_PARALLEL: usize = 8;
/// A sink's whole request.
pub const SINK_TIMEOUT: Duration = Duration::from_secs(10);
/// What we read of a sink's reply.
pub const SINK_REPLY: usize = 64 * 1024;
/// First retry; doubled each time.
pub const SINK_RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between two attempts of ours; a sink's `Retry-After` may ask for more.
pub const SINK_RETRY_MAX: Duration = Duration::from_secs(300);
/// Longest wait between two probes of a sink that fails at everything.
pub const SINK_PROBE_MAX: Duration = Duration::from_secs(60);
/// After this an event goes to the dead letters (CONTRACT §4).
pub const SINK_RETRY_FOR: Duration = Duration::from_secs(24 * 3600);
/// Bytes of one sink's dead letters; what comes after is counted, and stays in the journal.
pub const SINK_DEAD_BYTES: u64 = 256 * 1024 * 1024;
