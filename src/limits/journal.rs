//! Bounds of the journal and of sinks.

use std::time::Duration;

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
/// Events of one sink that may be under way or waiting for a retry.
pub const SINK_WINDOW: usize = 16_384;
/// Records between the oldest of them and the newest one delivered: one event that is refused for a day must not hold
/// up a day's others. 16 bytes each.
pub const SINK_SPAN: usize = 1_000_000;
/// Unsettled events listed in a sink's cursor file; with more, a restart delivers again what came after the oldest.
pub const SINK_LISTED: usize = 1_024;
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
