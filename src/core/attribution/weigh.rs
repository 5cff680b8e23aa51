//! Everybody who may be calling, with their weights: how many calls a second, at this moment and from such a caller,
//! each of them makes. A candidate's probability is its share of the sum, because a call is the first of several
//! independent processes to fire.

use std::sync::Arc;

use super::calls::{CallMemory, Known, Person};
use super::model::{Model, View, device_index, stay_bin};
use super::{Question, caller_key};
use crate::core::lease::{Entry, Lease};
use crate::core::source::Source;
use crate::ids::E164;
use crate::time::Wall;

/// One who may be calling.
#[derive(Clone, Debug)]
pub(super) struct Weighed {
    pub lease: Arc<Lease>,
    /// On the page now.
    pub is_active: bool,
    pub parts: Vec<Part>,
    /// How much likelier the caller's region makes it.
    pub region: f64,
    /// How much likelier what earlier calls say makes it.
    pub history: f64,
    pub source: Source,
}

/// One reason to call, and its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub why: Why,
    /// The bin of the table of `why`.
    pub bin: usize,
    pub rate: f64,
    /// Seconds ago.
    pub age: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Index of the view.
    Shown(usize),
    /// Index of the device; bin of the stay.
    Left(usize, usize),
    Tapped,
    Copied,
    Hidden,
    Again,
    /// A known caller as somebody else, as far as cookies tell.
    Renamed,
}

/// All of them, and nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Scale {
    pub weighed: Vec<Weighed>,
    /// Rate of calls by nobody who saw a page.
    pub nobody: f64,
    /// The background of this number, and what a known caller makes of it.
    pub noise: f64,
    pub nobody_factor: f64,
    pub is_known: bool,
    /// How many see the number now.
    pub contention: usize,
}

impl Weighed {
    pub(super) fn weight(&self) -> f64 {
        let again = |part: &&Part| matches!(part.why, Why::Again | Why::Renamed);
        let repeated: f64 = self.parts.iter().filter(again).map(|part| part.rate).sum();
        let fresh: f64 = self.parts.iter().filter(|part| !again(part)).map(|part| part.rate).sum();
        fresh * self.region * self.history + repeated
    }
}

impl Scale {
    pub(super) fn sum(&self) -> f64 {
        self.nobody + self.weighed.iter().map(Weighed::weight).sum::<f64>()
    }
}

/// How far the clocks of two nodes may be apart before a lease of a stale table counts as run out.
const CLOCK_GUARD: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) fn weigh(
    model: &Model,
    calls: &CallMemory,
    entry: Option<&Entry>,
    stale: bool,
    now: Wall,
    question: &Question<'_>,
) -> Scale {
    let known = question.caller.and_then(|caller| calls.known(question.company, caller));
    let usual = calls.background(question.number, now, model.background);
    // A known caller who is somebody else: one of all who are known.
    let renamed = model.renamed / calls.callers().max(20) as f64;
    let nobody_factor = if known.is_some() { renamed } else { 1.0 };
    let mut scale = Scale {
        nobody: usual * nobody_factor,
        noise: usual,
        nobody_factor,
        is_known: known.is_some(),
        ..Scale::default()
    };
    let has_run_out = |lease: &Lease| stale && now > lease.expires_at + CLOCK_GUARD;
    let holders = entry.map(|entry| entry.holders.as_slice()).unwrap_or_default();
    let past = entry.map(|entry| entry.past.as_slice()).unwrap_or_default();
    let of = |lease: &Arc<Lease>, is_active: bool| (Arc::clone(lease), is_active && !has_run_out(lease));
    let seen = holders.iter().map(|lease| of(lease, true)).chain(past.iter().map(|lease| of(lease, false)));
    for (lease, is_active) in seen {
        let is_old = !is_active && now > lease.left_at() + question.memory;
        if is_old || *lease.company != *question.company {
            continue;
        }
        scale.contention += usize::from(is_active);
        let parts = reasons(model, calls, now, question, &lease, is_active);
        let region = model.region_ratio(lease.page.region.as_deref(), question.caller_region);
        let history = history(model, calls, question, known, renamed, &lease);
        // A visitor who had the number twice is one visitor: the newer lease stands for both.
        match scale.weighed.iter_mut().find(|one| one.lease.visitor_id == lease.visitor_id) {
            Some(one) => one.parts.extend(parts),
            None => {
                let source = Source::of(&lease.session);
                scale.weighed.push(Weighed { lease, is_active, parts, region, history, source });
            }
        }
    }
    if let Some(known) = known {
        remember(model, now, known, question.number, &mut scale);
    }
    scale
}

/// Why this visitor would call now.
fn reasons(
    model: &Model,
    calls: &CallMemory,
    now: Wall,
    question: &Question<'_>,
    lease: &Lease,
    is_active: bool,
) -> Vec<Part> {
    let since = |then: Wall| now.seconds_since(then);
    let source = model.source(&Source::of(&lease.session).source);
    let mut parts = Vec::with_capacity(2);
    let mut add = |why: Why, hazards: &super::Hazards, age: f64, factor: f64| {
        let lasts = matches!(why, Why::Shown(_));
        if let Some(bin) = if lasts { hazards.bin_or_last(age) } else { hazards.bin(age) } {
            parts.push(Part { why, bin, rate: hazards.rate(bin) * factor, age });
        }
    };
    if is_active {
        let view = View { device: lease.page.device, is_hidden: lease.page.hidden_at.is_some() }.index();
        if let Some(shown) = model.shown.get(view) {
            add(Why::Shown(view), shown, since(lease.granted_at), source);
        }
    } else {
        let device = device_index(lease.page.device);
        let stay = stay_bin(lease.left_at().seconds_since(lease.granted_at));
        if let Some(left) = model.left.get(device) {
            add(Why::Left(device, stay), left, since(lease.left_at()), source * model.stay[stay]);
        }
    }
    // A sign that an earlier call has answered is no sign of this one.
    let joined = calls.joined(question.company, &lease.visitor_id);
    let unanswered = |at: Wall| match joined {
        Some(joined) if joined.at >= at => 1.0 - joined.probability,
        _ => 1.0,
    };
    let signs = [
        (Why::Tapped, &model.tapped, lease.page.tapped_at),
        (Why::Copied, &model.copied, lease.page.copied_at),
        (Why::Hidden, &model.hidden, lease.page.hidden_at),
    ];
    for (why, hazards, at) in signs {
        if let Some(at) = at {
            add(why, hazards, since(at), unanswered(at));
        }
    }
    parts
}

/// What earlier calls say about this visitor and this caller.
fn history(
    model: &Model,
    calls: &CallMemory,
    question: &Question<'_>,
    known: Option<&Known>,
    renamed: f64,
    lease: &Lease,
) -> f64 {
    let joined = calls.joined(question.company, &lease.visitor_id);
    let caller = question.caller.map(|caller| caller_key(question.company, caller));
    let Some(caller) = caller else { return 1.0 };
    match joined {
        // This visitor's own telephone.
        Some(joined) if joined.caller == Some(caller) => {
            (1.0 - model.other_phone) * joined.probability + (1.0 - joined.probability) * renamed
        }
        Some(joined) => {
            let free = 1.0 - joined.probability * (1.0 - model.other_phone);
            if known.is_some() { free * renamed } else { free }
        }
        None if known.is_some() => renamed,
        None => 1.0,
    }
}

/// A known caller calls again as whoever they were taken for, and as nobody if they were nobody. People dial numbers that
/// they have seen.
fn remember(model: &Model, now: Wall, known: &Known, number: &E164, scale: &mut Scale) {
    let age = now.seconds_since(known.last);
    let Some(bin) = model.again.bin(age) else { return };
    let rate = model.again.rate(bin);
    let has_dialled = known.numbers.contains(number);
    // A robot goes on to the next number, or does not.
    scale.nobody += rate * known.nobody * if has_dialled { 1.0 } else { 0.5 };
    let fresh: Vec<f64> = scale.weighed.iter().map(Weighed::weight).collect();
    let all_fresh: f64 = fresh.iter().sum();
    let mut elsewhere = 0.0;
    for Person { lease, probability } in &known.persons {
        let seen = scale.weighed.iter_mut().find(|one| one.lease.visitor_id == lease.visitor_id);
        let may_dial = if has_dialled || seen.is_some() { 1.0 } else { model.unseen };
        elsewhere += if may_dial < 1.0 { rate * probability * model.renamed } else { 0.0 };
        let part = Part { why: Why::Again, bin, rate: rate * probability * may_dial, age };
        match seen {
            Some(one) => one.parts.push(part),
            None => scale.weighed.push(Weighed {
                lease: Arc::clone(lease),
                is_active: false,
                parts: vec![part],
                region: 1.0,
                history: 1.0,
                source: Source::of(&lease.session),
            }),
        }
    }
    // They saw it in another browser, then: whoever sees it here may be them.
    if elsewhere > 0.0 && all_fresh > 0.0 {
        for (one, fresh) in scale.weighed.iter_mut().zip(fresh) {
            one.parts.push(Part { why: Why::Renamed, bin, rate: elsewhere * fresh / all_fresh, age });
        }
    }
}
