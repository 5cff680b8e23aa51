//! Bounds against overload, strangers and toll fraud.

use std::time::Duration;

use super::T1;

/// Refused calls become events at most so often; every one is counted.
pub const REFUSAL_EVENTS_PER_SECOND: u32 = 20;
/// New calls are refused while messages wait longer than this in our queue: T1, after which peers send everything again.
pub const OVERLOAD_AFTER: Duration = T1;
/// A measurement of our queue says nothing any more after this.
pub const LOAD_FRESH: Duration = Duration::from_secs(1);
/// Longest Retry-After for want of room: calls end all the time.
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// The same while no call has ended yet.
pub const RETRY_UNKNOWN: Duration = Duration::from_secs(5);
/// Addresses of trunks whose call rate is remembered at once; a full table holds the busiest.
pub const RATE_SOURCES: usize = 4_096;
/// Strangers' addresses that are remembered, for points and bans: about 1 MB, however many there are.
pub const STRANGERS: usize = 16_384;
/// Events of bans a second; with forged addresses there may be thousands, and every one is counted.
pub const BAN_EVENTS_PER_SECOND: u32 = 5;
/// Bans listed by the API.
pub const BANS_LISTED: usize = 1_000;
/// Addresses that names led to and that are therefore never banned.
pub const FAMILIAR: usize = 4_096;
/// An alarm about fraud is repeated after this, for each company and kind.
pub const FRAUD_WINDOW: Duration = Duration::from_secs(600);
/// Companies and kinds of fraud that were told of; then the oldest windows are forgotten.
pub const FRAUD_TOLD: usize = 10_000;
/// Prefixes of one list of `[fraud]`.
pub const FRAUD_PREFIXES: usize = 1_000;
/// Refusals in a row, for numbers that are none of ours, after which a trunk is searching for numbers.
pub const UNKNOWN_IN_A_ROW: u32 = 50;
/// Lines that a far side can make us log, a second.
pub const LOG_LINES_PER_SECOND: u32 = 1;
/// Strangers' datagrams thrown away in one turn before timers and commands are looked at.
pub const STRANGERS_PER_TURN: usize = 1_024;
/// Log lines that wait for the reader of stderr: a second of a busy node; beyond it lines are dropped and counted.
pub const LOG_LINES: usize = 8_192;
