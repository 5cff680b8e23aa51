//! Bounds of PBXs that tell of their calls.

use std::time::Duration;

/// Patterns of one kind of a PBX that tells us of calls: contexts, trunks, numbers.
pub const EAR_PATTERNS: usize = 100;
/// How long a link to a PBX may take to be there, and again to have logged in.
pub const EAR_CONNECT: Duration = Duration::from_secs(10);
/// A link asks for a sign of life after so long without a byte,
pub const EAR_PING: Duration = Duration::from_secs(15);
/// and is given up after so long.
pub const EAR_SILENT: Duration = Duration::from_secs(45);
/// Pause before a lost link is tried again; twice as long after each further failure, up to the second.
pub const EAR_AGAIN: Duration = Duration::from_secs(1);
pub const EAR_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Bytes of one line of a PBX; Asterisk's longest fields are lists of variables.
pub const EAR_LINE: usize = 8 * 1024;
/// Fields of one message; what comes after them is not read. Events have 20 to 60, with variables some hundred.
pub const EAR_FIELDS: usize = 512;
/// Bytes of one body of FreeSWITCH: events have 5 to 20 KB, a list of channels 1 KB a channel. A longer one is not read.
pub const EAR_BODY: usize = 16 * 1024 * 1024;
/// Channels of one PBX that are followed at once: a thousand calls have some thousand.
pub const EAR_CHANNELS: usize = 20_000;
/// Extensions that a call which came in without a number may go through until one is a number.
pub const EAR_STEPS: u8 = 20;
/// Bytes that are taken from a link at once.
pub const EAR_READ: usize = 16 * 1024;
/// Calls that others tell us of, at once.
pub const HEARD_CALLS: usize = 20_000;
/// Names of calls, as PBXs call them, that are remembered: those in progress, and for an hour those that ended.
pub const HEARD_NAMES: usize = 100_000;
pub const HEARD_MEMORY: Duration = Duration::from_secs(3_600);
/// Bytes of such a name.
pub const HEARD_NAME: usize = 128;
/// Bytes of the other texts of a report.
pub const HEARD_TEXT: usize = 256;
/// Two reports of the same number and caller within this are one call: what passes us and what its PBX tells of it come
/// within a second, and nobody dials twice in so short a time.
pub const HEARD_SAME: Duration = Duration::from_secs(10);
/// A stage of a call that nobody has told of is kept for so long: requests overtake each other.
pub const HEARD_EARLY: Duration = Duration::from_secs(30);
/// Calls whose stages are kept so, and stages of one.
pub const HEARD_EARLY_CALLS: usize = 1_000;
pub const HEARD_EARLY_STAGES: usize = 8;
/// An end by HTTP waits so long for stages that it has overtaken.
pub const HEARD_SETTLE: Duration = Duration::from_secs(2);
/// A clock of others may be so far ahead of ours.
pub const HEARD_AHEAD: Duration = Duration::from_secs(60);
/// A call may be told of so late: what its lease table was then is not kept.
pub const HEARD_LATE: Duration = Duration::from_secs(900);
/// A call that nobody answers and nobody ends is over after this.
pub const HEARD_RING: Duration = Duration::from_secs(3_600);
