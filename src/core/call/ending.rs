//! Why a call ends, and who is told what.

use crate::config::Company;
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

/// What follows a final failure of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next address of the same destination; when there is none, the next destination.
    Hop,
    Destination,
    /// No other destination is tried, but for those of the company's overflow lists.
    End,
}

/// A loop: whoever is tried next leads into it again, and each level of it would try all destinations (RFC 5393 §3).
const fn is_loop(status: u16) -> bool {
    matches!(status, 482 | 483)
}

/// What follows this status. `theirs`: the destination said it; else we did, after a time-out (408) or a failure to send
/// (503).
pub fn next(status: u16, theirs: bool, company: &Company) -> Next {
    match status {
        _ if ends_hunt(status) || is_loop(status) => Next::End,
        _ if theirs && company.final_statuses.contains(&status) => Next::End,
        // RFC 3263 §4.3.
        503 => Next::Hop,
        408 if !theirs => Next::Hop,
        _ if company.retry_statuses.contains(&status) => Next::Hop,
        _ => Next::Destination,
    }
}

/// Which of the company's overflow lists a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    Busy,
    NoAnswer,
    None,
}

impl Why {
    /// Busy is busy; no answer is also who could not be reached at all. Who declined is not asked again.
    pub fn overflow(&self) -> Overflow {
        match (self.outcome, self.hangup_by) {
            (Outcome::Busy, _) => Overflow::Busy,
            (Outcome::NoAnswer, _) | (Outcome::Failed, HangupBy::System) => Overflow::NoAnswer,
            (Outcome::Failed, _) if self.reason == "destination_unavailable" => Overflow::NoAnswer,
            _ => Overflow::None,
        }
    }
}

/// Whether the caller had better hear `new` than `old` (RFC 3261 §16.7 step 6): 6xx before all others, then 4xx, in which
/// what tells the caller's side how to ask again goes first, then 5xx. Of equals the later one.
pub fn is_better(new: Why, old: Why) -> bool {
    let rank = |why: Why| match why.status {
        600..=699 => 0,
        415 | 420 | 484 | 488 => 1,
        400..=499 => 2,
        _ => 3,
    };
    // What we refuse ourselves, by a rule against fraud, says less than what a destination said.
    let is_ours = (new.outcome, new.hangup_by) == (Outcome::Rejected, HangupBy::System);
    rank(new) < rank(old) || rank(new) == rank(old) && !is_ours
}

/// Statuses that the published table lists.
const LISTED: [u16; 33] = [
    300, 301, 302, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 415, 420, 480, 481, 482, 483, 484, 485, 486,
    487, 488, 500, 501, 502, 503, 504, 600, 603, 606,
];

/// The published table: for each status of a destination what is tried next, and what the caller hears when nothing is
/// left. With this company's `final_statuses` and `retry_statuses`.
pub fn table(company: &Company) -> String {
    let line = |what: &str, status: u16, theirs: bool| {
        let next = match next(status, theirs, company) {
            Next::Hop => "next address",
            Next::Destination => "next destination",
            Next::End => "end",
        };
        let why = verdict(status, theirs);
        let overflow = match why.overflow() {
            _ if ends_hunt(status) => "-",
            Overflow::Busy => "busy",
            Overflow::NoAnswer => "no_answer",
            Overflow::None => "-",
        };
        format!("{what:<12} {next:<17} {:<7} {:<10} {:<9} {}\n", why.status, why.outcome.as_str(), overflow, why.reason)
    };
    let mut table =
        format!("{:<12} {:<17} {:<7} {:<10} {:<9} reason\n", "destination", "then", "caller", "outcome", "overflow");
    for status in LISTED {
        table += &line(&status.to_string(), status, true);
    }
    table += &line("silence", 408, false);
    table += &line("unreachable", 503, false);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> Company {
        let text = "[[company]]\nname = \"acme\"\nforward_to = [\"sip:1@192.0.2.1\"]\n";
        let config = crate::config::Config::parse(text, "", std::path::Path::new("")).expect("good");
        Company::clone(&config.companies[0])
    }

    #[test]
    fn the_published_table() {
        insta::assert_snapshot!(table(&acme()));
    }

    #[test]
    fn a_company_may_say_what_ends_and_what_is_retried() {
        let company = Company { final_statuses: vec![486, 503], retry_statuses: vec![500, 480], ..acme() };
        let cases = [
            (486, true, Next::End),
            (503, true, Next::End),
            // What nobody said cannot be final.
            (503, false, Next::Hop),
            (500, true, Next::Hop),
            (480, true, Next::Hop),
            (404, true, Next::Destination),
            (603, true, Next::End),
        ];
        for (status, theirs, expected) in cases {
            assert_eq!(next(status, theirs, &company), expected, "{status}");
        }
    }

    #[test]
    fn the_best_failure() {
        let best = |statuses: &[u16]| {
            let all = statuses.iter().map(|status| verdict(*status, true));
            all.reduce(|old, new| if is_better(new, old) { new } else { old }).map(|why| why.status)
        };
        assert_eq!(best(&[486, 603, 480]), Some(603));
        assert_eq!(best(&[503, 486, 500]), Some(486), "4xx before 5xx");
        assert_eq!(best(&[404, 488, 486]), Some(488), "what can be mended goes first");
        assert_eq!(best(&[404, 486]), Some(486), "of equals the later");
        assert_eq!(best(&[302, 480]), Some(480), "a redirection that is not followed is no answer");
    }

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
