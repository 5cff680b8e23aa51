//! Learning the model from what a site's journal tells, without ever being told who called.
//!
//! Calls are the first events of independent processes with piecewise-constant rates ([`super::weigh`]), so the best
//! rates are found by expectation and maximisation (Dempster, Laird, Rubin, 1977): with the rates at hand each call is
//! shared out among its possible reasons; then each rate is the calls that were given to it, divided by the time that
//! visitors spent where it applies. Repeated until it settles, no step makes the calls less likely. Each rate is pulled
//! towards the one before by as much as [`PRIOR`] calls, so that a site with few calls keeps reasonable beliefs.
//!
//! [`Observer`] takes the same lease events that the journal has, and each call as it was weighed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::hazards::Hazards;
use super::model::{DEVICES, Model, STAYS, View, device_index, stay_bin};
use super::weigh::{Part, Scale, Why};
use crate::core::event::Body;
use crate::core::lease::Lease;
use crate::ids::{E164, LeaseId};
use crate::limits;
use crate::time::Wall;

/// Calls that the rate before weighs as much as.
const PRIOR: f64 = 2.0;
/// The background is told from calls of long ago by little: belief in it is firmer.
const BACKGROUND_PRIOR: f64 = 20.0;
const STEPS: usize = 20;
/// Bins of [`Model::left`] before which people are still dialling.
const FADING: usize = 2;

/// What was seen, as learning needs it.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    /// Whose bins count.
    shape: Model,
    open: HashMap<LeaseId, Open, foldhash::fast::FixedState>,
    /// Who left each number, in the order of leaving.
    left: HashMap<E164, Vec<Gone>, foldhash::fast::FixedState>,
    /// Seconds of pages, by view and bin of [`Model::shown`].
    shown: Vec<Vec<f64>>,
    signs: [f64; 3],
    /// Sources in the order in which they came, and their leases: an index stays what it was.
    sources: Sources,
    leases: Vec<f64>,
    calls: Vec<Observed>,
    /// When each known caller called last.
    callers: HashMap<u64, Wall, foldhash::fast::FixedState>,
    /// Seconds since callers' last calls, by bin of [`Model::again`].
    again: Vec<f64>,
    regions: BTreeMap<String, f64>,
    began: Option<Wall>,
    ended: Wall,
}

#[derive(Clone, Debug)]
struct Open {
    lease: Arc<Lease>,
    /// The view now, and since when.
    is_hidden: bool,
    since: Wall,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    lease: LeaseId,
    at: Wall,
    device: usize,
    stay: usize,
}

/// One call and its possible reasons.
#[derive(Clone, Debug)]
struct Observed {
    reasons: SmallVec<[Reason; 8]>,
    /// Factor of the background: less for a known caller.
    nobody: f64,
    /// Of the background of all, by what this number shows.
    noise: f64,
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Reason {
    part: Part,
    /// What multiplies the rate of the table, but for source and stay.
    factor: f64,
    source: u32,
    /// Whether caller and visitor are of one region, when both are known.
    is_near: Option<bool>,
}

/// How a learned model compares with the one before.
#[derive(Clone, Debug)]
pub struct Fitted {
    pub model: Model,
    pub calls: usize,
    pub leases: usize,
    /// Days of the journal that it was learned from.
    pub days: f64,
    /// Mean log-likelihood of a call under the model before and under this one; higher is better.
    pub before: f64,
    pub after: f64,
}

/// Names of sources by number.
type Sources = Vec<String>;

impl Observer {
    /// Takes a lease event.
    pub fn observe(&mut self, at: Wall, body: &Body) {
        self.began.get_or_insert(at);
        self.ended = self.ended.max(at);
        match body {
            // A call to a static number is its channel's: whoever saw it says nothing.
            Body::LeaseGranted(lease)
            | Body::LeaseRenewed(lease)
            | Body::LeaseReleased(lease)
            | Body::LeaseExpired(lease)
            | Body::LeaseSignal { lease, .. }
                if !lease.class.is_of_visitors() => {}
            Body::LeaseGranted(lease) => self.on_shown(at, lease, true),
            Body::LeaseRenewed(lease) => self.on_shown(at, lease, false),
            Body::LeaseReleased(lease) | Body::LeaseExpired(lease) => self.on_left(lease),
            Body::LeaseSignal { lease, signal } => self.on_signal(at, lease, signal),
            _ => {}
        }
    }

    fn on_shown(&mut self, at: Wall, lease: &Arc<Lease>, is_new: bool) {
        if is_new {
            let source = self.source(source_name(lease));
            self.leases[source] += 1.0;
        }
        if let Some(open) = self.open.get_mut(&lease.lease_id) {
            open.lease = Arc::clone(lease);
            return;
        }
        if let Some(gone) = self.left.get_mut(&lease.number) {
            gone.retain(|gone| gone.lease != lease.lease_id);
        }
        let open = Open { lease: Arc::clone(lease), is_hidden: lease.page.hidden_at.is_some(), since: at };
        self.open.insert(lease.lease_id, open);
    }

    /// The index of a source, new or known.
    fn source(&mut self, name: String) -> usize {
        self.sources.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.sources.push(name);
            self.leases.push(0.0);
            self.sources.len() - 1
        })
    }

    fn on_left(&mut self, lease: &Arc<Lease>) {
        let left = lease.left_at();
        if let Some(open) = self.open.remove(&lease.lease_id) {
            self.looked(&open, left);
        }
        let stay = stay_bin(left.seconds_since(lease.granted_at));
        let gone = Gone { lease: lease.lease_id, at: left, device: device_index(lease.page.device), stay };
        self.left.entry(lease.number.clone()).or_default().push(gone);
    }

    fn on_signal(&mut self, at: Wall, lease: &Arc<Lease>, signal: &str) {
        let hides = match signal {
            "hidden" => true,
            "visible" | "restore" => false,
            "tel_tap" => return self.signs[0] += 1.0,
            "copy" => return self.signs[1] += 1.0,
            _ => return,
        };
        self.signs[2] += f64::from(u8::from(hides));
        if let Some(mut open) = self.open.remove(&lease.lease_id) {
            self.looked(&open, at);
            (open.is_hidden, open.since) = (hides, at);
            self.open.insert(lease.lease_id, open);
        }
    }

    /// A page was looked at in one way until then.
    fn looked(&mut self, open: &Open, until: Wall) {
        let view = View { device: open.lease.page.device, is_hidden: open.is_hidden }.index();
        let tables = &self.shape.shown;
        if self.shown.is_empty() {
            self.shown = tables.iter().map(|table| vec![0.0; table.bins()]).collect();
        }
        let age = |at: Wall| at.seconds_since(open.lease.granted_at);
        if let (Some(table), Some(seconds)) = (tables.get(view), self.shown.get_mut(view)) {
            table.spread(age(open.since), age(until), 1.0, seconds);
        }
    }

    /// Takes a call as it was weighed.
    pub(super) fn call(&mut self, at: Wall, caller: Option<u64>, region: Option<&str>, scale: &Scale, model: &Model) {
        self.ended = self.ended.max(at);
        if let Some(region) = region {
            *self.regions.entry(region.to_owned()).or_default() += 1.0;
        }
        if let Some(caller) = caller {
            let last = self.callers.insert(caller, at);
            self.waited(last, at);
        }
        if self.calls.len() >= limits::FITTED_CALLS || scale.sum() <= 0.0 {
            return;
        }
        let names = &self.sources;
        let mut reasons = SmallVec::new();
        for one in &scale.weighed {
            let source = names.iter().position(|name| *name == one.source.source).unwrap_or(usize::MAX) as u32;
            let is_near = (one.region != 1.0).then_some(one.region > 1.0);
            for part in &one.parts {
                let factor = if matches!(part.why, Why::Again | Why::Renamed) { 1.0 } else { one.region * one.history };
                let base = model.base(part) * model.factors(part, &one.source.source);
                let own = if base > 0.0 { part.rate / base } else { 0.0 };
                reasons.push(Reason { part: *part, factor: factor * own, source, is_near });
            }
        }
        let usual = model.background.max(f64::MIN_POSITIVE);
        let (nobody, noise) = (scale.nobody_factor, scale.noise / usual);
        self.calls.push(Observed { reasons, nobody, noise, is_known: scale.is_known });
    }

    fn waited(&mut self, last: Option<Wall>, until: Wall) {
        let again = &self.shape.again;
        self.again.resize(again.bins(), 0.0);
        if let Some(last) = last {
            again.spread(0.0, until.seconds_since(last), 1.0, &mut self.again);
        }
    }

    /// Calls that can be learned from.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The model that fits best, beginning with `prior`.
    pub fn fit(&self, prior: &Model, version: &str) -> Fitted {
        let seen = self.exposures(prior);
        let mut model = prior.clone();
        model.version = version.to_owned();
        self.fit_regions(&mut model);
        let before = self.likelihood(&model, &seen.names);
        for _ in 0..STEPS {
            let shares = self.share_out(&model, &seen.names);
            model = seen.maximise(&model, prior, &shares);
        }
        let after = self.likelihood(&model, &seen.names);
        let leases = self.leases.iter().sum::<f64>() as usize;
        Fitted { model, calls: self.calls.len(), leases, days: seen.seconds / 86_400.0, before, after }
    }

    fn fit_regions(&self, model: &mut Model) {
        let all: f64 = self.regions.values().sum();
        if all >= 50.0 {
            // One call more for every region: a region that comes once is not a certainty.
            let whole = all + self.regions.len() as f64 + 1.0;
            model.regions = self.regions.iter().map(|(name, calls)| (name.clone(), (calls + 1.0) / whole)).collect();
            model.region_else = 1.0 / whole;
        }
    }

    fn likelihood(&self, model: &Model, names: &Sources) -> f64 {
        let one = |call: &Observed| {
            let reasons: f64 = call.reasons.iter().map(|reason| reason.rate(model, names)).sum();
            (reasons + call.nobody(model)).max(f64::MIN_POSITIVE).ln()
        };
        self.calls.iter().map(one).sum::<f64>() / self.calls.len().max(1) as f64
    }

    /// Shares every call out among its reasons.
    fn share_out(&self, model: &Model, names: &Sources) -> Shares {
        let mut shares = Shares::new(model, names.len());
        for call in &self.calls {
            let rates: SmallVec<[f64; 8]> = call.reasons.iter().map(|reason| reason.rate(model, names)).collect();
            let nobody = call.nobody(model);
            let sum = rates.iter().sum::<f64>() + nobody;
            if sum <= 0.0 {
                continue;
            }
            shares.nobody += nobody / sum;
            for (reason, rate) in call.reasons.iter().zip(&rates) {
                shares.take(reason, rate / sum, call.is_known);
            }
        }
        shares
    }

    /// How long everything was under observation.
    fn exposures(&self, model: &Model) -> Seen {
        let began = self.began.unwrap_or(self.ended);
        let mut seen = Seen {
            names: self.sources.clone(),
            sources: self.leases.clone(),
            shown: self.shown.clone(),
            left: vec![vec![0.0; model.left[0].bins()]; DEVICES],
            stays: [0.0; STAYS],
            signs: self.signs,
            again: self.again.clone(),
            numbers: self.left.len() as f64,
            seconds: self.ended.seconds_since(began),
        };
        seen.shown.resize_with(View::COUNT, || vec![0.0; model.shown[0].bins()]);
        seen.again.resize(model.again.bins(), 0.0);
        for last in self.callers.values() {
            let until = self.ended.seconds_since(*last);
            model.again.spread(0.0, until, 1.0, &mut seen.again);
        }
        for gone in self.left.values() {
            for (index, one) in gone.iter().enumerate() {
                let until = gone.get(index + limits::LEASE_PAST).map_or(self.ended, |later| later.at);
                let watched = until.seconds_since(one.at);
                model.left[one.device].spread(0.0, watched, 1.0, &mut seen.left[one.device]);
                seen.stays[one.stay] += 1.0;
            }
        }
        seen
    }
}

impl Observed {
    fn nobody(&self, model: &Model) -> f64 {
        model.background * self.noise * self.nobody
    }
}

impl Reason {
    fn rate(&self, model: &Model, names: &Sources) -> f64 {
        let source = names.get(self.source as usize).map_or("", String::as_str);
        model.base(&self.part) * model.factors(&self.part, source) * self.factor
    }
}

impl Model {
    /// Rate of the table that this part is of.
    pub(super) fn base(&self, part: &Part) -> f64 {
        let of = |table: &Hazards| if part.bin < table.bins() { table.rate(part.bin) } else { 0.0 };
        match part.why {
            Why::Shown(view) => self.shown.get(view).map_or(0.0, of),
            Why::Left(device, _) => self.left.get(device).map_or(0.0, of),
            Why::Tapped => of(&self.tapped),
            Why::Copied => of(&self.copied),
            Why::Hidden => of(&self.hidden),
            Why::Again | Why::Renamed => of(&self.again),
        }
    }

    /// What source and stay multiply it by.
    pub(super) fn factors(&self, part: &Part, source: &str) -> f64 {
        match part.why {
            Why::Shown(_) => self.source(source),
            Why::Left(_, stay) => self.source(source) * self.stay[stay],
            _ => 1.0,
        }
    }
}

/// Time under observation.
struct Seen {
    names: Sources,
    /// Leases by source.
    sources: Vec<f64>,
    shown: Vec<Vec<f64>>,
    left: Vec<Vec<f64>>,
    /// Leases that ended, by stay.
    stays: [f64; STAYS],
    /// Taps, copies, hidings.
    signs: [f64; 3],
    again: Vec<f64>,
    numbers: f64,
    seconds: f64,
}

/// Calls by reason.
struct Shares {
    shown: Vec<Vec<f64>>,
    left: Vec<Vec<f64>>,
    stays: [f64; STAYS],
    signs: [Vec<f64>; 3],
    again: Vec<f64>,
    sources: Vec<f64>,
    nobody: f64,
    /// Calls by people and not as whoever they were known as; of these by callers who were known.
    fresh: f64,
    renamed: f64,
    near: f64,
    far: f64,
}

impl Shares {
    fn new(model: &Model, sources: usize) -> Shares {
        let of = |table: &Hazards| vec![0.0; table.bins()];
        Shares {
            shown: model.shown.iter().map(of).collect(),
            left: model.left.iter().map(of).collect(),
            stays: [0.0; STAYS],
            signs: [of(&model.tapped), of(&model.copied), of(&model.hidden)],
            again: of(&model.again),
            sources: vec![0.0; sources],
            nobody: 0.0,
            fresh: 0.0,
            renamed: 0.0,
            near: 0.0,
            far: 0.0,
        }
    }

    fn take(&mut self, reason: &Reason, share: f64, is_known: bool) {
        let bin = reason.part.bin;
        match reason.part.why {
            Why::Shown(view) => self.shown[view][bin] += share,
            Why::Left(device, stay) => {
                self.left[device][bin] += share;
                self.stays[stay] += share;
            }
            Why::Tapped => self.signs[0][bin] += share,
            Why::Copied => self.signs[1][bin] += share,
            Why::Hidden => self.signs[2][bin] += share,
            Why::Again | Why::Renamed => return self.again[bin] += share,
        }
        if let Some(calls) = self.sources.get_mut(reason.source as usize) {
            *calls += share;
        }
        self.fresh += share;
        self.renamed += if is_known { share } else { 0.0 };
        match reason.is_near {
            Some(true) => self.near += share,
            Some(false) => self.far += share,
            None => {}
        }
    }
}

impl Seen {
    fn maximise(&self, model: &Model, prior: &Model, shares: &Shares) -> Model {
        let mut next = model.clone();
        for (view, table) in next.shown.iter_mut().enumerate() {
            learn(table, &prior.shown[view], &shares.shown[view], &self.shown[view]);
        }
        for (device, table) in next.left.iter_mut().enumerate() {
            learn(table, &prior.left[device], &shares.left[device], &self.left[device]);
            fade(table, &self.left[device]);
        }
        let signs = [
            (&mut next.tapped, &prior.tapped, 0),
            (&mut next.copied, &prior.copied, 1),
            (&mut next.hidden, &prior.hidden, 2),
        ];
        for (table, prior, index) in signs {
            let seconds: Vec<f64> = (0..prior.bins()).map(|bin| prior.width(bin) * self.signs[index]).collect();
            learn(table, prior, &shares.signs[index], &seconds);
        }
        learn(&mut next.again, &prior.again, &shares.again, &self.again);
        self.learn_stays(&mut next, shares);
        self.learn_sources(&mut next, shares);
        let watched = self.numbers * self.seconds;
        next.background = (shares.nobody + BACKGROUND_PRIOR) / (watched + BACKGROUND_PRIOR / prior.background);
        next.renamed = ((shares.renamed + PRIOR * prior.renamed) / (shares.fresh + PRIOR)).clamp(1e-4, 0.5);
        let placed = shares.near + shares.far;
        next.elsewhere = ((shares.far + 10.0 * prior.elsewhere) / (placed + 10.0)).clamp(0.02, 0.9);
        next
    }

    /// Calls after leaving for each leaver who stayed so long, against the mean.
    fn learn_stays(&self, model: &mut Model, shares: &Shares) {
        let (calls, leavers): (f64, f64) = (shares.stays.iter().sum(), self.stays.iter().sum());
        if calls < 1.0 || leavers < 1.0 {
            return;
        }
        for stay in 0..STAYS {
            let expected = calls * self.stays[stay] / leavers;
            model.stay[stay] = (shares.stays[stay] + PRIOR) / (expected + PRIOR);
        }
    }

    fn learn_sources(&self, model: &mut Model, shares: &Shares) {
        let (calls, leases): (f64, f64) = (shares.sources.iter().sum(), self.sources.iter().sum());
        if calls < 1.0 || leases < 1.0 {
            return;
        }
        for (index, name) in self.names.iter().enumerate().take(limits::FITTED_SOURCES) {
            let expected = calls * self.sources[index] / leases;
            // Sources differ less than chance makes them look.
            model.sources.insert(name.clone(), (shares.sources[index] + 10.0) / (expected + 10.0));
        }
    }
}

fn learn(table: &mut Hazards, prior: &Hazards, calls: &[f64], seconds: &[f64]) {
    for bin in 0..table.bins() {
        let before = prior.rate(bin).max(1e-12);
        table.set(bin, (calls[bin] + PRIOR) / (seconds[bin] + PRIOR / before));
    }
}

/// The longer ago somebody left, the rarer they call: bins after the first minutes that say otherwise are taken together
/// (pool adjacent violators). Without it calls of nobody, which come at any time, are put down to those who left a day ago.
fn fade(table: &mut Hazards, seconds: &[f64]) {
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(table.bins());
    for (bin, seconds) in seconds.iter().enumerate().take(table.bins()).skip(FADING) {
        let weight = seconds.max(table.width(bin));
        let (mut calls, mut weight, mut bins) = (table.rate(bin) * weight, weight, 1);
        while let Some((earlier, their, count)) = blocks.last().copied().filter(|(e, w, _)| e / w < calls / weight) {
            (calls, weight, bins) = (calls + earlier, weight + their, bins + count);
            blocks.pop();
        }
        blocks.push((calls, weight, bins));
    }
    let mut bin = FADING;
    for (calls, weight, bins) in blocks {
        for _ in 0..bins {
            table.set(bin, calls / weight);
            bin += 1;
        }
    }
}

fn source_name(lease: &Lease) -> String {
    crate::core::source::Source::of(&lease.session).source
}
