//! How long a connection may be silent, and our keep-alives on it (RFC 5626 §3.5.1, RFC 7118 §6).

use std::time::Duration;

use tokio::time::Instant;

use super::Wire;
use crate::limits;

/// See the module.
pub(super) struct Patience {
    /// Without a word until then the connection is closed.
    deadline: Instant,
    idle: Duration,
    /// Between keep-alives.
    pause: Duration,
    ping_at: Option<Instant>,
    /// When the answer to the last keep-alive must be there.
    pong_by: Option<Instant>,
    /// The peer answers keep-alives. Over TCP one that never did does not know RFC 5626, and is not judged by its
    /// silence; every WebSocket must answer (RFC 6455 §5.5.2).
    answers: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A keep-alive is to be sent.
    Ping,
    /// The connection is to be closed: nothing came for too long.
    Idle,
    /// The same: the answer to a keep-alive did not come.
    NoPong,
}

impl Patience {
    /// A connection that stands now. Who comes to us must say something soon.
    pub(super) fn new(wire: &Wire, pings: bool, answers: bool) -> Patience {
        let rules = &wire.rules;
        let first = if wire.is_ours { rules.idle } else { rules.first_message };
        let now = Instant::now();
        let ping_at = (pings && rules.ping > Duration::ZERO).then(|| now + rules.ping);
        Patience { deadline: now + first, idle: rules.idle, pause: rules.ping, ping_at, pong_by: None, answers }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        [self.ping_at, self.pong_by].into_iter().flatten().fold(self.deadline, Instant::min)
    }

    /// The peer has said something whole: it is there.
    pub(super) fn heard(&mut self) {
        self.pong_by = None;
        self.deadline = Instant::now() + self.idle;
    }

    /// The peer speaks, though what it says does not count as traffic.
    pub(super) fn is_there(&mut self) {
        self.pong_by = None;
    }

    /// The peer has answered a keep-alive.
    pub(super) fn answered(&mut self) {
        self.answers = true;
        self.heard();
    }

    /// A message has begun; the rest must be there within this time.
    pub(super) fn hurry(&mut self, within: Duration) {
        self.deadline = self.deadline.min(Instant::now() + within);
    }

    pub(super) fn due(&mut self) -> Due {
        let now = Instant::now();
        if self.deadline <= now {
            return Due::Idle;
        }
        if self.pong_by.is_some_and(|at| at <= now) {
            return Due::NoPong;
        }
        if self.ping_at.is_none_or(|at| at > now) {
            return Due::Nothing;
        }
        self.ping_at = Some(now + self.pause);
        self.pong_by = self.answers.then(|| now + limits::STREAM_PONG);
        Due::Ping
    }
}
