//! Bounds of HTTP and of the console.

use std::time::Duration;

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
/// Parameters in the address of a page of the console; further ones are passed over.
pub const CONSOLE_PARAMETERS: usize = 64;
/// Calls of one CSV file.
pub const CONSOLE_CSV_ROWS: usize = 100_000;
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
/// Events listed with one call.
pub const CALL_EVENTS: usize = 64;
/// Calls on one page of the API.
pub const CALLS_PAGE: usize = 200;
/// Bytes of one answer that is masked: larger ones are not given out.
pub const HTTP_MASKED: usize = 64 * 1024 * 1024;
