//! `[sip]`: reliable provisional responses and session timers.

use std::time::Duration;

use super::super::dialogs::{Dialogs, Timer};
use super::super::read::{Found, Reader, Section};
use super::{choice, duration};
use crate::core::agent::Reliable;
use crate::limits::{SESSION_EXPIRES_MAX, SESSION_EXPIRES_MIN};

const SESSION_EXPIRES: Duration = Duration::from_secs(30 * 60);

pub(super) fn dialogs<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Dialogs {
    let reliable = [("off", Reliable::Off), ("supported", Reliable::Supported), ("required", Reliable::Required)];
    let reliable = choice(r, s, "reliable_provisional", &reliable).unwrap_or(Reliable::Supported);
    let timer = [("off", Timer::Off), ("supported", Timer::Supported), ("wanted", Timer::Wanted)];
    let timer = choice(r, s, "timer", &timer).unwrap_or(Timer::Supported);
    let session_expires =
        duration(r, s, "session_expires", SESSION_EXPIRES_MIN, SESSION_EXPIRES_MAX).or(SESSION_EXPIRES);
    let min_se = match duration(r, s, "min_se", SESSION_EXPIRES_MIN, SESSION_EXPIRES_MAX) {
        Found::Is(min, place) => {
            if min > session_expires {
                r.problem(&place, "is longer than session_expires: we would refuse what we ask for");
            }
            min
        }
        Found::Absent | Found::Bad => SESSION_EXPIRES_MIN,
    };
    Dialogs { reliable, timer, session_expires, min_se }
}
