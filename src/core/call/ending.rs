//! Why a call ends, and who is told what.

use crate::core::admission::Reject;
use crate::core::event::{HangupBy, Outcome};

/// The end of a call as it will stand in `call.ended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    pub outcome: Outcome,
    /// Stable code.
    pub reason: &'static str,
    pub hangup_by: HangupBy,
    /// Final status for the caller's INVITE.
    pub status: u16,
}

impl Why {
    pub const fn new(outcome: Outcome, reason: &'static str, hangup_by: HangupBy, status: u16) -> Why {
        Why { outcome, reason, hangup_by, status }
    }

    /// The call ended before an answer because we refused it.
    pub const fn refused(reject: Reject) -> Why {
        Why::new(Outcome::Failed, reject.code, HangupBy::System, reject.status)
    }

    /// The caller gave up.
    pub const fn cancelled() -> Why {
        Why::new(Outcome::Cancelled, "caller_cancelled", HangupBy::Caller, 487)
    }

    /// A side said BYE in mid-call.
    pub const fn hung_up(by: HangupBy) -> Why {
        let reason = match by {
            HangupBy::Caller => "caller_hung_up",
            HangupBy::Company => "company_hung_up",
            HangupBy::System => "system_hung_up",
        };
        Why::new(Outcome::Answered, reason, by, 200)
    }

    /// Ended by us in mid-call.
    pub const fn by_system(reason: &'static str) -> Why {
        Why::new(Outcome::Answered, reason, HangupBy::System, 200)
    }
}

/// What the caller is told when the last destination refused, and what that means. A 503 of one destination must not
/// make the carrier think that *we* are out of service (RFC 3261 §16.7 step 6), and a challenge or a redirection is
/// between us and the company: neither crosses.
pub fn verdict(status: u16, answered_at_all: bool) -> Why {
    use HangupBy::{Company, System};
    use Outcome::{Busy, Failed, NoAnswer, Rejected};
    match status {
        486 | 600 => Why::new(Busy, "busy", Company, status),
        403 | 603 | 606..=608 => Why::new(Rejected, "declined", Company, status),
        408 if !answered_at_all => Why::new(Failed, "destination_silent", System, 504),
        408 | 480 => Why::new(NoAnswer, "no_answer", Company, 480),
        404 | 410 | 484 | 485 | 604 => Why::new(Failed, "destination_unknown", Company, status),
        415 | 488 => Why::new(Failed, "media_refused", Company, 488),
        401 | 407 => Why::new(Failed, "destination_wants_credentials", Company, 502),
        300..=399 => Why::new(Failed, "redirection_refused", Company, 502),
        503 if !answered_at_all => Why::new(Failed, "destination_unreachable", System, 502),
        503 => Why::new(Failed, "destination_unavailable", Company, 500),
        400..=499 => Why::new(Failed, "destination_refused", Company, status),
        600..=699 => Why::new(Rejected, "declined", Company, status),
        _ => Why::new(Failed, "destination_failed", Company, if (500..600).contains(&status) { status } else { 500 }),
    }
}

/// Statuses that end the hunt whatever the configuration says: they speak for the user everywhere (RFC 3261 §21.6).
pub const fn ends_hunt(status: u16) -> bool {
    status >= 600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let mut table = String::new();
        for status in [
            302, 400, 401, 403, 404, 407, 408, 410, 415, 480, 484, 486, 487, 488, 500, 502, 503, 504, 600, 603, 604,
            606, 699,
        ] {
            let heard = verdict(status, true);
            table += &format!("{status} -> {} {} {}\n", heard.status, heard.outcome.as_str(), heard.reason);
        }
        for status in [408, 503] {
            let silent = verdict(status, false);
            table += &format!("{status} (ours) -> {} {} {}\n", silent.status, silent.outcome.as_str(), silent.reason);
        }
        insta::assert_snapshot!(table);
    }
}
