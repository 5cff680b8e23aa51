//! Bounds of calls: their way to somebody who answers, and what crosses in them.

use std::time::Duration;

/// Calls at once. A call holds 4 sockets, about 60 KB; the media port range usually ends it earlier.
pub const CALLS: usize = 20_000;
/// Server and client transactions at once. A call has about six within 32 s.
pub const TRANSACTIONS: usize = 200_000;
/// Longest call; then both sides get BYE.
pub const CALL_LENGTH: Duration = Duration::from_secs(4 * 3600);
/// The whole ring time of a call: most callers hang up long before, and carriers cut a call that rings for three minutes.
pub const RING_TOTAL: Duration = Duration::from_secs(120);
/// A destination that says nothing at all, not even 100, is given up after this when there is another to try: five
/// copies of the INVITE were sent by then, and a caller who hears nothing hangs up after ten seconds or so.
pub const DESTINATION_SILENT: Duration = Duration::from_secs(8);
/// A re-INVITE that crosses is given up after this: Timer B and some.
pub const OFFER: Duration = Duration::from_secs(35);
/// An UPDATE that crosses is given up after this: its sender waits 32 s (RFC 3261 Timer F).
pub const OFFER_UPDATE: Duration = Duration::from_secs(20);
/// An offer of our own is made so often, when it meets one of the other side each time.
pub const OFFER_TRIES: u8 = 4;
/// Transfers of one call that its events list.
pub const TRANSFERS: usize = 16;
/// Content types of one trunk that cross within a call.
pub const CONTENT_TYPES: usize = 32;
/// INFO and MESSAGE under way across one call.
pub const CROSSING: usize = 8;
/// Media threads and recorder have so long to close a call; then its events go out without their word.
pub const CLOSING: Duration = Duration::from_secs(30);
/// Calls that wait for a company's webhook to decide at once: at 800 ms each some 300 new calls a second.
pub const DECISIONS: usize = 256;
/// Shortest and longest time that such a webhook may be given: the caller hears nothing meanwhile.
pub const DECISION_TIMEOUT_MIN: Duration = Duration::from_millis(50);
pub const DECISION_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// And the time that it has when nothing is said.
pub const DECISION_TIMEOUT: Duration = Duration::from_millis(800);
/// What we read of its answer: sixteen names.
pub const DECISION_REPLY: usize = 16 * 1024;
/// So many failures in a row, and it is left alone for the shortest of these times, at the next failure for twice as long.
pub const DECISION_FAILURES: u32 = 3;
pub const DECISION_REST: Duration = Duration::from_secs(5);
pub const DECISION_REST_MAX: Duration = Duration::from_secs(60);
/// Redirections in a row that are followed (RFC 3261 §8.1.3.4 names no bound), contacts taken of each, and in all of one
/// call.
pub const REDIRECT_DEPTH: u8 = 3;
pub const REDIRECT_CONTACTS: usize = 4;
pub const REDIRECTS: usize = 8;
