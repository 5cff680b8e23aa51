//! Who is calling: decided once, at the INVITE, and pinned to the call.
//!
//! Candidates are everybody who sees the number or saw it within the memory, whoever this caller was taken for before,
//! and nobody ("a saved number, a misdial, a print, spam"). Each is a process that makes calls at a rate that depends on
//! how long ago things happened: the number was shown, the page was left, a `tel:` link was tapped, the number copied,
//! the page hidden, the caller's last call. The call that came is the first event of all these processes together, so
//! the probability of a candidate is its rate, times what the caller's number says (region, known or new), divided by
//! the sum ([`weigh`]).
//!
//! The rates are a [`Model`], a value that [`Observer`] learns from the journal; nothing about calls is known to the code.
//! Everything that enters comes from leases, signals and calls, so the journal gives the same answer again.
//!
//! While the table is in step with its allocator, its word counts and not the clock. When it is stale, a lease that
//! has run out by the wall clock, by more than a minute, is treated as that of somebody who left.

mod calls;
mod desk;
mod evidence;
mod fit;
mod forecast;
mod hazards;
mod line;
mod model;
mod retell;
mod weigh;

use std::sync::Arc;
use std::time::Duration;

use crate::core::event::{Attribution, AttributionKind, Candidate, SourceShare};
use crate::core::lease::{Channel, LeaseTable};
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

pub use calls::{CallMemory, Known, Lesson, Person};
pub use desk::Attributor;
pub use fit::{Fitted, Observer};
pub use forecast::Forecast;
pub use hazards::Hazards;
pub use line::{SOURCE_TEMPLATE, field, source_line};
pub use model::Model;
pub use retell::Retelling;

use calls::caller_key;
use weigh::{Scale, Weighed, Why, weigh};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub company: &'a str,
    pub number: &'a E164,
    /// As the trunk gave it; none when withheld.
    pub caller: Option<&'a str>,
    /// Region of the caller's number, ISO 3166-2 or, when no more is known, ISO 3166-1.
    pub caller_region: Option<&'a str>,
    /// Channel of the number's static pool.
    pub channel: Option<&'a Channel>,
    /// How long former holders are candidates.
    pub memory: Duration,
}

/// The answer, and what it teaches [`CallMemory::learn`].
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub attribution: Attribution,
    pub persons: Vec<Person>,
    pub nobody: f64,
}

/// Who is calling, seen from `now`.
pub fn decide(model: &Model, table: &LeaseTable, calls: &CallMemory, now: Wall, question: &Question<'_>) -> Answer {
    let stale = table.is_stale();
    let entry = table.lookup(question.number);
    if let (None, Some(channel)) = (&entry, question.channel) {
        return Answer { attribution: fixed(channel), persons: Vec::new(), nobody: 0.0 };
    }
    let scale = weigh(model, calls, entry.as_deref(), stale, now, question);
    let mut answer = conclude(model, scale);
    answer.attribution.stale = stale;
    answer.attribution.caller_region = question.caller_region.map(str::to_owned);
    answer
}

fn conclude(model: &Model, mut scale: Scale) -> Answer {
    let sum = scale.sum();
    if scale.weighed.is_empty() || sum <= 0.0 {
        let attribution = Attribution { method: "none".into(), model: model.version.clone(), ..Attribution::default() };
        return Answer { attribution, persons: Vec::new(), nobody: 1.0 };
    }
    scale.weighed.sort_by(|left, right| {
        let order = right.weight().total_cmp(&left.weight());
        order.then_with(|| left.lease.lease_id.0.cmp(&right.lease.lease_id.0))
    });
    let probability = |one: &Weighed| one.weight() / sum;
    let nobody = scale.nobody / sum;
    let sources = sources(&scale.weighed, sum);
    let shown = scale.weighed.iter().enumerate().filter(|(rank, one)| *rank == 0 || probability(one) >= SHOWN_MIN);
    let candidates = shown
        .take(limits::CANDIDATES)
        .map(|(_, one)| Candidate {
            visitor_id: one.lease.visitor_id.clone(),
            probability: rounded(probability(one)),
            evidence: evidence::of(one, &scale),
        })
        .collect();
    let persons = scale.weighed.iter().filter(|one| probability(one) >= PERSON_MIN);
    let persons = persons.map(|one| Person { lease: Arc::clone(&one.lease), probability: probability(one) }).collect();
    let best = &scale.weighed[0];
    // Who it was may be open, when that it was somebody is not.
    let is_known = nobody <= 0.5;
    let attribution = Attribution {
        kind: if is_known { AttributionKind::Visitor } else { AttributionKind::None },
        method: if is_known { method(best).into() } else { "nobody".into() },
        confidence: rounded(if is_known { probability(best) } else { nobody }),
        lease_id: is_known.then_some(best.lease.lease_id),
        visitor_id: is_known.then(|| best.lease.visitor_id.clone()),
        session: is_known.then(|| Arc::clone(&best.lease.session)),
        channel: None,
        stale: false,
        model: model.version.clone(),
        nobody: rounded(nobody),
        contention: scale.contention as u32,
        caller_region: None,
        sources,
        candidates,
    };
    Answer { attribution, persons, nobody }
}

/// Candidates under this are counted and not listed.
const SHOWN_MIN: f64 = 0.005;

/// Under this nobody is anybody.
const PERSON_MIN: f64 = 1e-4;

/// What spoke for it most.
fn method(best: &Weighed) -> &'static str {
    let strongest = best.parts.iter().max_by(|left, right| left.rate.total_cmp(&right.rate)).map(|part| part.why);
    match strongest {
        Some(Why::Again) => "known_caller",
        _ if best.is_active => "active_lease",
        _ => "last_holder",
    }
}

/// The most probable sources, campaign by campaign: often sure where the visitor is not.
fn sources(weighed: &[Weighed], sum: f64) -> Vec<SourceShare> {
    let mut shares: Vec<SourceShare> = Vec::new();
    for one in weighed {
        let probability = one.weight() / sum;
        match shares.iter_mut().find(|share| {
            (&share.source, &share.medium, &share.campaign)
                == (&one.source.source, &one.source.medium, &one.source.campaign)
        }) {
            Some(share) => share.probability += probability,
            None => shares.push(SourceShare {
                source: one.source.source.clone(),
                medium: one.source.medium.clone(),
                campaign: one.source.campaign.clone(),
                probability,
            }),
        }
    }
    shares.sort_by(|left, right| {
        let order = right.probability.total_cmp(&left.probability);
        order.then_with(|| (&left.source, &left.campaign).cmp(&(&right.source, &right.campaign)))
    });
    shares.truncate(limits::CANDIDATES);
    shares.iter_mut().for_each(|share| share.probability = rounded(share.probability));
    shares
}

/// So that the last bits of a sum never differ between machines.
fn rounded(probability: f64) -> f64 {
    (probability * 10_000.0).round() / 10_000.0
}

fn fixed(channel: &Channel) -> Attribution {
    Attribution {
        kind: AttributionKind::Static,
        method: "static_channel".into(),
        confidence: 1.0,
        channel: Some(Arc::clone(channel)),
        ..Attribution::default()
    }
}

#[cfg(test)]
mod tests;
