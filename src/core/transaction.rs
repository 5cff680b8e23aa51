//! The four transaction machines of RFC 3261 §17, INVITE ones with the `Accepted` state of RFC 6026.
//!
//! They know nothing of messages: the agent says what kind of thing happened and does what comes back as [`Action`]s.
//! A 2xx to INVITE is acknowledged and repeated by the agent's legs (RFC 3261 §13), not here.

pub mod client;
pub mod client_invite;
pub mod server;
pub mod server_invite;

use std::time::Duration;

use crate::limits::T1;
use crate::time::Mono;

/// 64·T1: how long any transaction waits for an answer (Timers B, F, H, J, L, M).
pub const PATIENCE: Duration = Duration::from_millis(64 * T1.as_millis() as u64);

/// What a machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Client: send the request. Server: send the newest response.
    Send,
    /// Send the ACK of a non-2xx (RFC 3261 §17.1.1.3).
    SendAck,
    /// Give the message to the transaction's user.
    Deliver,
    /// Tell the user that nobody answered (client) or acknowledged (server).
    TimedOut,
    /// Tell the user that the network refused.
    TransportFailed,
}

/// A retransmission in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend {
    pub at: Mono,
    every: Duration,
}

impl Resend {
    /// The first copy is due after T1.
    pub fn start(now: Mono) -> Resend {
        Resend { at: now + T1, every: T1 }
    }

    /// Whether a copy is due; if so, the next is planned after twice the time, at most `longest`.
    pub fn due(&mut self, now: Mono, longest: Duration) -> bool {
        if now < self.at {
            return false;
        }
        self.every = (self.every * 2).min(longest);
        self.at = now + self.every;
        true
    }

    /// From now on every `every` (a provisional response was seen: RFC 3261 §17.1.2.2).
    pub fn slow_down(&mut self, every: Duration) {
        self.every = every;
    }
}

/// Runs a machine through every (state × input) and writes one line for each: the review table.
#[cfg(test)]
pub(crate) mod table {
    use super::*;
    use crate::time::Wakeup;
    use std::fmt::Write;

    pub(crate) struct Line<'a> {
        pub(crate) before: &'a dyn std::fmt::Debug,
        pub(crate) input: &'a dyn std::fmt::Debug,
        pub(crate) after: &'a dyn std::fmt::Debug,
        pub(crate) actions: &'a [Action],
        pub(crate) next: Option<Wakeup>,
        pub(crate) now: Mono,
    }

    pub(crate) fn write(out: &mut String, line: &Line<'_>) {
        let before = format!("{:?}", line.before);
        let after = format!("{:?}", line.after);
        let change = if before == after { "stays".to_owned() } else { format!("→ {after}") };
        let actions: Vec<String> = line.actions.iter().map(|a| format!("{a:?}")).collect();
        let actions = if actions.is_empty() { "nothing".to_owned() } else { actions.join(" + ") };
        let next = line.next.map_or_else(String::new, |(at, why)| format!("; {why} in {:?}", at.since(line.now)));
        let row = format!("{before:<11} {:<15} {change:<13} {actions}{next}", format!("{:?}", line.input));
        let _ = writeln!(out, "{}", row.trim_end());
    }
}
