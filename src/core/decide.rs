//! A company's webhook that decides where a call goes (`[company.decide]`): what it is asked, what its answer means, and
//! when it is left alone. Nothing here asks; `io` does.
//!
//! The webhook chooses among destinations that the configuration has, by name or by URI: whoever takes the webhook over
//! can send calls to the wrong desk, and nowhere else. What it says late, wrongly or not at all is no answer, and the
//! call goes where it would have gone, or is refused, as the configuration says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Company, Destination, Strategy};
use crate::core::attribution;
use crate::core::event::{Attribution, CallData};
use crate::core::route::Plan;
use crate::ids::CallId;
use crate::limits;
use crate::time::{Mono, Wall};

/// What can come of a question: what the webhook said, or why that was of no use.
pub const RESULTS: [&str; 10] = [
    "forward",
    "reject",
    "default",
    "decision_late",
    "decision_unreachable",
    "decision_status",
    "decision_unreadable",
    "decision_not_allowed",
    "decision_suspended",
    "decision_too_many",
];

/// One question, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub call: CallId,
    pub company: String,
    /// JSON.
    pub body: String,
}

/// What the webhook wants.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// These destinations, in order or all at once.
    Forward(Vec<Arc<Destination>>, Strategy),
    /// The caller is refused with this status.
    Reject(u16),
    /// The configured route.
    Default,
}

#[derive(Debug, Serialize)]
struct Question<'a> {
    call_id: CallId,
    asked_at: Wall,
    company: &'a str,
    pool: &'a str,
    number: &'a str,
    caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_name: Option<&'a str>,
    trunk: &'a str,
    source: Option<String>,
    medium: Option<String>,
    campaign: Option<String>,
    keyword: Option<String>,
    visitor: Option<&'a str>,
    attribution: &'a Attribution,
    route: Route<'a>,
    /// What an answer may name.
    destinations: Vec<&'a str>,
    /// An answer that takes longer is too late.
    timeout_ms: u64,
}

/// What happens without an answer.
#[derive(Debug, Serialize)]
struct Route<'a> {
    hours: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    strategy: &'static str,
    destinations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The question about this call.
pub fn question(data: &CallData, company: &Company, plan: &Plan, timeout: Duration, at: Wall) -> Ask {
    let attribution = &data.attribution;
    let of = |name| attribution::field(attribution, name);
    let mut destinations: Vec<&str> = Vec::new();
    for destination in company.every_destination() {
        if !destinations.contains(&&*destination.label) {
            destinations.push(&destination.label);
        }
    }
    let question = Question {
        call_id: data.call_id,
        asked_at: at,
        company: &data.company,
        pool: &data.pool,
        number: data.number.as_str(),
        caller: data.caller.as_deref(),
        caller_reason: data.caller_reason.as_deref(),
        caller_name: data.caller_name.as_deref(),
        trunk: &data.trunk,
        source: of("source"),
        medium: of("medium"),
        campaign: of("campaign"),
        keyword: of("term"),
        visitor: attribution.visitor_id.as_deref(),
        attribution,
        route: Route {
            hours: plan.hours.as_str(),
            rule: plan.rule.as_deref(),
            strategy: plan.strategy.as_str(),
            destinations: plan.targets.iter().map(|target| &*target.destination.label).collect(),
            reject: plan.refused.map(|reject| reject.status),
            reason: plan.refused.map(|reject| reject.code),
        },
        destinations,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    };
    // Texts, numbers and lists of them: always JSON.
    let body = serde_json::to_string(&question).unwrap_or_default();
    Ask { call: data.call_id, company: data.company.clone(), body }
}

#[derive(Debug, Deserialize)]
struct Answer {
    destinations: Option<Vec<String>>,
    strategy: Option<String>,
    reject: Option<u16>,
    #[serde(default)]
    default: bool,
}

/// Reads an answer: `{"destinations": ["anna", "desk"], "strategy": "parallel"}`, `{"reject": 486}` or
/// `{"default": true}`; nothing at all is the last, too. Keys that are not known are passed over.
///
/// # Errors
/// `decision_unreadable`: not one of these. `decision_not_allowed`: it names what the configuration does not have.
pub fn read(body: &[u8], company: &Company) -> Result<Verdict, &'static str> {
    const UNREADABLE: &str = "decision_unreadable";
    if body.len() > limits::DECISION_REPLY {
        return Err(UNREADABLE);
    }
    if body.trim_ascii().is_empty() {
        return Ok(Verdict::Default);
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
    let strategy = match answer.strategy.as_deref() {
        None | Some("order") => Strategy::Order,
        Some("parallel") => Strategy::Parallel,
        Some(_) => return Err(UNREADABLE),
    };
    match (answer.destinations, answer.reject, answer.default) {
        (Some(names), None, false) if (1..=limits::DESTINATIONS).contains(&names.len()) => {
            Ok(Verdict::Forward(named(&names, company)?, strategy))
        }
        (None, Some(status), false) if (400..700).contains(&status) => Ok(Verdict::Reject(status)),
        (None, None, true) => Ok(Verdict::Default),
        _ => Err(UNREADABLE),
    }
}

/// Whether an answer says `"record": false`: the caller has not consented. It holds whatever else the answer says; that a
/// call is recorded nobody but the configuration says.
pub fn forbids_recording(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Consent {
        record: Option<bool>,
    }
    let is_short = body.len() <= limits::DECISION_REPLY;
    is_short && serde_json::from_slice(body).is_ok_and(|consent: Consent| consent.record == Some(false))
}

/// The company's own destinations of these names, each once.
fn named(names: &[String], company: &Company) -> Result<Vec<Arc<Destination>>, &'static str> {
    let mut found: Vec<Arc<Destination>> = Vec::with_capacity(names.len());
    for name in names {
        let by_name = || company.every_destination().find(|one| *one.label == **name);
        let by_uri = || company.every_destination().find(|one| one.uri == *name);
        let destination = by_name().or_else(by_uri).ok_or("decision_not_allowed")?;
        if !found.iter().any(|known| Arc::ptr_eq(known, destination)) {
            found.push(Arc::clone(destination));
        }
    }
    Ok(found)
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// An answer that can be used.
    Good,
    /// None in time, or one that is of no use.
    Bad,
    /// Nobody waits for it any more.
    Nothing,
}

/// Questions under way, and the webhooks that are left alone for a while because they did not answer: a dead one must
/// not cost every call its time.
#[derive(Debug, Default)]
pub struct Decisions {
    pending: usize,
    /// Of companies whose webhook failed lately; bounded by the companies.
    resting: HashMap<String, Breaker>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Breaker {
    /// In a row.
    failures: u32,
    /// Until then nobody asks; `None`: not often enough yet.
    rests_until: Option<Mono>,
    rest: Duration,
    /// After the rest one call asks, and the others wait for what comes of it.
    is_tried: bool,
}

impl Decisions {
    /// Whether this company's webhook is asked now. What is asked must be settled by [`Decisions::settle`].
    ///
    /// # Errors
    /// `decision_suspended`: it did not answer lately. `decision_too_many`: too many calls wait for an answer already.
    pub fn begin(&mut self, now: Mono, company: &str) -> Result<(), &'static str> {
        if self.pending >= limits::DECISIONS {
            return Err("decision_too_many");
        }
        if let Some(breaker) = self.resting.get_mut(company)
            && let Some(until) = breaker.rests_until
        {
            if now < until || breaker.is_tried {
                return Err("decision_suspended");
            }
            breaker.is_tried = true;
        }
        self.pending += 1;
        Ok(())
    }

    /// A question is over.
    pub fn settle(&mut self, now: Mono, company: &str, came: Came) {
        self.pending = self.pending.saturating_sub(1);
        match came {
            Came::Good => drop(self.resting.remove(company)),
            Came::Nothing => {
                if let Some(breaker) = self.resting.get_mut(company) {
                    breaker.is_tried = false;
                }
            }
            Came::Bad => {
                if !self.resting.contains_key(company) {
                    self.resting.insert(company.to_owned(), Breaker::default());
                }
                let Some(breaker) = self.resting.get_mut(company) else { return };
                breaker.failures = breaker.failures.saturating_add(1);
                // Those that were asked before the rest began come to their end within it.
                if breaker.failures >= limits::DECISION_FAILURES && (breaker.is_tried || breaker.rests_until.is_none())
                {
                    let rest = (breaker.rest * 2).clamp(limits::DECISION_REST, limits::DECISION_REST_MAX);
                    (breaker.rest, breaker.rests_until, breaker.is_tried) = (rest, Some(now + rest), false);
                }
            }
        }
    }

    /// Questions that are not settled.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Forgets the companies that are gone.
    pub fn retain(&mut self, is_company: impl Fn(&str) -> bool) {
        self.resting.retain(|company, _| is_company(company));
    }
}

#[cfg(test)]
mod tests;
