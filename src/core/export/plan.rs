//! What a destination ought to have of a call, and what follows from the difference to what it was given.

use serde::{Deserialize, Serialize};

use super::{Action, Content, Delivery, Item, Told, Traits};
use crate::config::export::Filter;
use crate::core::event::{AttributionKind, CallData, Outcome};
use crate::time::Wall;

/// What the visitor agreed to, each with what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consent {
    None,
    Analytics,
    Advertising,
}

/// As the page said it of the visit (`data-consent`, `leaseline.consent()`, Consent Mode). Silence is no consent.
pub fn consent_of(call: &CallData) -> Consent {
    let said = call.attribution.session.as_ref().and_then(|session| session.client.get("consent"));
    match said.map(String::as_str) {
        Some("ads") => Consent::Advertising,
        Some("analytics") => Consent::Analytics,
        _ => Consent::None,
    }
}

/// What a filter says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Send,
    /// Not before something that is not there yet; until then it may come.
    Wait(Wall),
    /// Stable code of what is against it.
    No(&'static str),
}

/// What is asked of a call beside the filter.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The person has said that they do not want it (`leaseline.contact.consented`).
    pub opted_out: bool,
    /// The least that the destination needs.
    pub needs: Consent,
}

/// Whether a call that is over is one to tell of. `now` ends waits.
pub fn wish(filter: &Filter, told: &Told, given: Given, now: Wall) -> Wish {
    if let Err(why) = first_wish(filter, &told.call, given) {
        return Wish::No(why);
    }
    if told.call.outcome.is_none() || told.call.outcome == Some(Outcome::LostInCrash) && !told.is_answered() {
        return Wish::No("no_outcome");
    }
    if filter.qualified && !told.qualified {
        return Wish::No("not_qualified");
    }
    if filter.first_call && !told.first_call {
        return Wish::No("not_first_call");
    }
    let has = |labels: &[String]| told.label.as_ref().is_some_and(|label| labels.contains(label));
    if has(&filter.not_labels) {
        return Wish::No("label_excluded");
    }
    if filter.labels.is_empty() || has(&filter.labels) {
        return Wish::Send;
    }
    let until = told.call.ended_at.unwrap_or(told.call.started_at) + filter.wait;
    match &told.label {
        None if now < until => Wish::Wait(until),
        None => Wish::No("label_missing"),
        // It may be labelled anew, and then this is asked again.
        Some(_) => Wish::No("label_not_wanted"),
    }
}

/// The part of the filter that holds from the first moment of a call: consent and attribution.
pub fn first_wish(filter: &Filter, call: &CallData, given: Given) -> Result<(), &'static str> {
    let attribution = &call.attribution;
    if filter.consent {
        if given.opted_out {
            return Err("opted_out");
        }
        if consent_of(call) < given.needs.max(Consent::Analytics) {
            return Err("no_consent");
        }
    }
    if !filter.attribution.contains(&attribution.kind) {
        return Err(match attribution.kind {
            AttributionKind::Static => "static_call",
            AttributionKind::None => "nobody_known",
            AttributionKind::Visitor => "visitor_call",
        });
    }
    if attribution.confidence < filter.confidence {
        return Err("not_sure_enough");
    }
    Ok(())
}

/// What a destination was given of a call, as of the last plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Deliveries so far; numbers the next.
    pub count: u32,
    /// Conversions so far: one that comes after a retraction is another.
    pub generation: u32,
    /// What it has; none: nothing, or not any more.
    #[serde(default)]
    pub has: Option<Content>,
}

/// The next delivery, if there is one to make; `planned` is as if it were made. A destination that cannot be told of
/// changes is not told of them.
pub fn plan(planned: &mut Planned, traits: &Traits, sends: bool, told: Told, seq: u64, now: Wall) -> Option<Delivery> {
    let mut content = told.content();
    // What it cannot be told of has not changed for it.
    if let Some(has) = &planned.has {
        if !traits.label {
            content.label.clone_from(&has.label);
        }
        if !traits.value {
            content.value.clone_from(&has.value);
        }
    }
    let action = match (&planned.has, sends) {
        (None, false) => return None,
        (None, true) => traits.action,
        (Some(has), true) if *has == content => return None,
        (Some(_), true) => Action::Adjustment,
        (Some(_), false) if !traits.retraction => return None,
        (Some(_), false) => Action::Retraction,
    };
    let before = planned.has.take();
    planned.count += 1;
    if before.is_none() {
        planned.generation += 1;
    }
    planned.has = sends.then_some(content);
    Some(delivery(planned, action, Told { before, ..told }, seq, now))
}

/// A call rings.
pub fn ring(planned: &mut Planned, told: Told, seq: u64, now: Wall) -> Delivery {
    planned.count += 1;
    delivery(planned, Action::Ring, told, seq, now)
}

fn delivery(planned: &Planned, action: Action, told: Told, seq: u64, now: Wall) -> Delivery {
    let call = told.call.call_id;
    let event_id = match planned.generation {
        0 | 1 => call.to_string(),
        n => format!("{call}-{n}"),
    };
    let id = format!("{call}.{}", planned.count);
    Delivery { id, event_id, action, seq, made_at: now, item: Item::Call(Box::new(told)) }
}
