//! Bounds of captures, and of messages that are kept.

/// A capture that is replayed: it is read into memory whole. An hour of one call has some 80 MB.
pub const CAPTURE_FILE: u64 = 512 * 1024 * 1024;
/// Packets read of it; a bound on memory beside the file's size, at some 100 bytes each.
pub const CAPTURE_PACKETS: usize = 4_000_000;
/// TCP connections followed in a capture, each direction for itself.
pub const CAPTURE_STREAMS: usize = 4_096;
/// Segments of one TCP direction that wait for one that is missing.
pub const CAPTURE_SEGMENTS: usize = 64;
/// Calls replayed from one capture.
pub const REPLAY_CALLS: usize = 1_000;
/// Dialogs looked at in one capture, so that finding out which belong together takes no longer than reading it.
pub const REPLAY_DIALOGS: usize = 4_000;
/// Captured messages that wait for our machine to say what they answer; real ones wait for one response.
pub const REPLAY_HELD: usize = 64;
/// SIP messages of one dialog in a capture.
pub const REPLAY_MESSAGES: usize = 10_000;
/// Destinations of one captured call.
pub const REPLAY_ATTEMPTS: usize = 16;
/// Lines of one replayed call's ladder, and its divergences; what comes after is counted.
pub const REPLAY_STEPS: usize = 10_000;
/// Times that a replayed machine is woken between two packets: a capture's clock may jump years.
pub const REPLAY_WAKEUPS: usize = 10_000;
/// SIP messages kept of one call for its ladder; an ordinary call has some fifteen.
pub const MESSAGES_PER_CALL: usize = 500;
/// Calls of which messages are kept, whatever their size.
pub const MESSAGES_CALLS: usize = 50_000;
/// Received messages that wait for their call to come into being: one turn's.
pub const MESSAGES_UNCLAIMED: usize = 32;
