//! The synthetic world: everything that happens on the site and on the telephone, before any number is chosen. So each
//! policy meets the same people doing the same things; only which number they see, and so dial, is the policy's.

mod noise;
mod people;

use std::collections::HashMap;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use super::spec::{SourceKind, Spec};
use crate::core::event::Session;
use crate::core::lease::Device;
use crate::core::source::Source;
use crate::ids::E164;
use crate::time::{Mono, Now, Wall};

/// Milliseconds since the world began.
pub type Ms = u64;
/// Index of a visit.
pub type VisitId = u32;
/// Index of a call.
pub type CallId = u32;

/// Monday 5 January 2026, 00:00 UTC.
const BEGINNING: Wall = Wall(1_767_571_200_000_000);
pub(super) const HOUR: Ms = 3_600_000;
pub(super) const DAY: Ms = 24 * HOUR;

/// The clocks at this moment of the world.
pub fn clocks(at: Ms) -> Now {
    let wall = Wall(BEGINNING.0 + i64::try_from(at).unwrap_or(i64::MAX / 1_000) * 1_000);
    Now { mono: Mono(at.saturating_mul(1_000_000)), wall }
}

/// Everything that will happen, in the order of time.
#[derive(Debug)]
pub struct World {
    pub sources: Vec<String>,
    pub campaigns: Vec<Campaign>,
    pub visits: Vec<Visit>,
    /// Whose cookie it is: index of a person.
    pub cookies: Vec<u32>,
    pub people: u32,
    pub calls: Vec<Call>,
    pub happenings: Vec<Happening>,
    /// Visits whose script was blocked; pages of theirs never ask.
    pub blocked_visits: u32,
    /// Calls of people who saw the real number because their script was blocked. No policy can know of them.
    pub blocked_calls: u32,
    pub length: Ms,
    by_source: HashMap<(String, String), u16>,
}

/// A campaign, or all of a source that has none.
#[derive(Debug)]
pub struct Campaign {
    pub source: u16,
    /// Share of the visits.
    pub share: f64,
    /// `None`: nobody can name it.
    pub name: Option<String>,
    kind: SourceKind,
    medium: String,
    click_id: Option<String>,
}

/// What a page can tell of a visit.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The cookie: who this seems to be.
    pub cookie: u32,
    /// Of the last visit of this cookie that did not come directly.
    pub campaign: u16,
    /// The visit that brought that campaign; its click id.
    pub touch: VisitId,
    pub device: Device,
    /// Where the address is placed.
    pub region: Option<Arc<str>>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    pub at: Ms,
    pub what: What,
}

/// What the page tells the tracker, or a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A page is loaded, or the next one of the same visit.
    Open(VisitId),
    /// The page is still in sight.
    Beat(VisitId),
    Hidden(VisitId),
    Visible(VisitId),
    /// A `tel:` link was tapped.
    Tap(VisitId),
    Copy(VisitId),
    /// The page's last word.
    Close(VisitId),
    Call(CallId),
}

/// A call, and the truth about it.
#[derive(Clone, Debug)]
pub struct Call {
    pub caller: Option<E164>,
    /// Of the caller's number, by the numbering plan.
    pub region: Option<Arc<str>>,
    pub dials: Dials,
    /// The visit that it comes from; `None`: nobody who was on the site.
    pub visit: Option<VisitId>,
    pub kind: Kind,
}

/// Which number is dialled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dials {
    /// The one that was seen last in this visit.
    Seen(VisitId),
    /// The one that this call dialled.
    Again(CallId),
    /// The one at this place of the pool, 0 to 1.
    Place(f64),
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    OnPage,
    Soon,
    Late,
    Redial,
    /// From a saved number or a log of calls.
    Again,
    Spam,
    Misdial,
    Leak,
}

impl World {
    /// The world of this description and seed.
    pub fn new(spec: &Spec, seed: u64) -> World {
        let mut world = World {
            sources: spec.source.iter().map(|source| source.name.clone()).collect(),
            campaigns: campaigns(spec),
            visits: Vec::new(),
            cookies: Vec::new(),
            people: 0,
            calls: Vec::new(),
            happenings: Vec::new(),
            blocked_visits: 0,
            blocked_calls: 0,
            length: Ms::from(spec.days) * DAY,
            by_source: HashMap::new(),
        };
        for index in 0..world.campaigns.len() {
            let source = Source::of(&world.session_of(index as u16, None));
            world.by_source.insert((source.source, source.campaign), index as u16);
        }
        people::populate(&mut world, spec, seed);
        noise::disturb(&mut world, spec, seed);
        let length = world.length;
        world.happenings.retain(|happening| happening.at < length);
        world.happenings.sort_by_key(|happening| happening.at);
        world
    }

    /// What a page of this visit says of where it came from.
    pub fn session(&self, visit: VisitId) -> Session {
        let seen = &self.visits[visit as usize];
        self.session_of(seen.campaign, Some(seen.touch))
    }

    /// Source and campaign that a session names.
    pub fn campaign_of(&self, session: &Session) -> Option<u16> {
        let source = Source::of(session);
        self.by_source.get(&(source.source, source.campaign)).copied()
    }

    pub fn source_of(&self, campaign: u16) -> u16 {
        self.campaigns[usize::from(campaign)].source
    }

    /// Whose visit it is.
    pub fn person(&self, visit: VisitId) -> u32 {
        self.cookies[self.visits[visit as usize].cookie as usize]
    }

    fn session_of(&self, campaign: u16, touch: Option<VisitId>) -> Session {
        let campaign = &self.campaigns[usize::from(campaign)];
        let source = &self.sources[usize::from(campaign.source)];
        let mut session = Session { landing_page: Some("https://shop.example/".into()), ..Session::default() };
        match campaign.kind {
            SourceKind::Direct => {}
            SourceKind::Referrer => session.referrer = Some(format!("https://{source}/")),
            SourceKind::Tagged => {
                let name = campaign.name.clone().unwrap_or_default();
                let utm = [("source", source.clone()), ("medium", campaign.medium.clone()), ("campaign", name)];
                session.utm = utm.map(|(key, value)| (key.to_owned(), value)).into();
                let click = campaign.click_id.clone().zip(touch);
                session.click_ids.extend(click.map(|(key, touch)| (key, format!("{touch:08x}"))));
            }
        }
        session
    }
}

fn campaigns(spec: &Spec) -> Vec<Campaign> {
    let all: f64 = spec.source.iter().map(|source| source.share).sum();
    let mut campaigns = Vec::new();
    for (index, source) in spec.source.iter().enumerate() {
        for (rank, share) in super::density::zipf(source.campaigns, source.zipf).into_iter().enumerate() {
            campaigns.push(Campaign {
                source: index as u16,
                share: share * source.share / all,
                name: (source.kind == SourceKind::Tagged).then(|| format!("campaign {}", rank + 1)),
                kind: source.kind,
                medium: source.medium.clone(),
                click_id: source.click_id.clone(),
            });
        }
    }
    campaigns
}

/// A generator of its own for each part of the world, so that more spam does not move a single visit.
fn generator(seed: u64, part: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(part);
    rng
}

/// Regions: user-assigned codes of ISO 3166, and how many people live there.
#[derive(Debug)]
struct Regions {
    codes: Vec<Arc<str>>,
    weights: Vec<f64>,
}

impl Regions {
    fn new(spec: &Spec) -> Regions {
        let codes = (1..=spec.regions.count).map(|index| format!("XA-{index:02}").into()).collect();
        Regions { codes, weights: super::density::zipf(spec.regions.count, spec.regions.zipf) }
    }
}

/// A caller's number below +999, a country code that nobody has: its region (0: none) and which one it is.
fn caller(region: usize, serial: u32) -> Option<E164> {
    E164::parse(&format!("+999{region:02}{serial:08}"))
}

fn ms(seconds: f64) -> Ms {
    // Saturates; negative becomes 0.
    (seconds * 1_000.0) as Ms
}

#[cfg(test)]
mod tests;
