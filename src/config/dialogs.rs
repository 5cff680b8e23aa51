//! `[sip]`: what holds for every dialog of ours: reliable provisional responses and session timers.

use std::time::Duration;

use crate::core::agent::{Reliable, SessionTimer};

/// RFC 3262 and RFC 4028, on all legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialogs {
    /// `reliable_provisional`.
    pub reliable: Reliable,
    /// `timer`: session timers are agreed on when the far side can.
    pub timer: bool,
    /// `session_expires`.
    pub session_expires: Duration,
    /// `min_se`.
    pub min_se: Duration,
}

impl Dialogs {
    /// The session timer that a leg asks for; `None`: none.
    pub fn session(&self) -> Option<SessionTimer> {
        self.timer.then_some(SessionTimer { expires: self.session_expires, min: self.min_se })
    }
}
