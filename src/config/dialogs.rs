//! `[sip]`: what holds for every dialog of ours: reliable provisional responses and session timers.

use std::time::Duration;

use crate::core::agent::{Reliable, SessionTimer};

/// RFC 3262 and RFC 4028, on all legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialogs {
    /// `reliable_provisional`.
    pub reliable: Reliable,
    /// `timer`.
    pub timer: Timer,
    /// `session_expires`.
    pub session_expires: Duration,
    /// `min_se`.
    pub min_se: Duration,
}

impl Dialogs {
    /// The session timer that a leg asks for; `None`: none.
    pub fn session(&self) -> Option<SessionTimer> {
        let asks = self.timer == Timer::Wanted;
        let timer = SessionTimer { expires: self.session_expires, min: self.min_se, asks };
        (self.timer != Timer::Off).then_some(timer)
    }
}

/// Session timers (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    Off,
    /// Agreed on when the far side asks for one.
    Supported,
    /// We ask for one.
    Wanted,
}
