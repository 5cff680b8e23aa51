//! A year of a company that never was, for measuring and for trying out: events as a daemon would journal them, drawn from
//! a seed; and how long every report takes over them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::calls::Filter;
use super::report::{self, ReportFilter};
use super::settings::Settings;
use super::writer::{Live, discard};
use super::{FILE, IndexError, Reader};
use crate::config::{Config, PoolKind};
use crate::core::event::keeper::{CountedData, KeeperEvent};
use crate::core::event::work::{CostImportData, CostRow, LabelledData, ValuedData, WorkEvent};
use crate::core::event::{Attribution, AttributionKind, Body, CallData, Candidate, Event, Outcome, Session};
use crate::core::lease::{Class, Lease, Page};
use crate::ids::{CallId, E164, LeaseId};
use crate::io::clock;
use crate::io::journal::Journal;
use crate::limits;
use crate::time::Wall;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub calls: u64,
    pub days: u64,
    /// Visits for each call.
    pub visits: u64,
    pub seed: u64,
    /// The last day's end.
    pub until: Wall,
}

/// How long one question took: of some runs the median and the longest.
#[derive(Clone, Debug)]
pub struct Timing {
    pub question: String,
    pub median: Duration,
    pub longest: Duration,
}

const DAY_US: i64 = 86_400_000_000;
const SOURCES: [(&str, &str); 8] = [
    ("google", "cpc"),
    ("yandex", "cpc"),
    ("google", "organic"),
    ("direct", "none"),
    ("facebook", "social"),
    ("newsletter", "email"),
    ("partner.example", "referral"),
    ("bing", "cpc"),
];
const LABELS: [&str; 4] = ["good", "cold", "warm", "spam"];
/// People who may come back.
const KNOWN: usize = 20_000;

/// Writes an index of generated data, without a journal: reports can be measured on it, and a daemon makes its own.
///
/// # Errors
/// The disk refuses.
pub fn generate_index(
    data_dir: &Path,
    config: &Config,
    plan: Plan,
    mut told: impl FnMut(u64),
) -> Result<u64, IndexError> {
    let path = data_dir.join(FILE);
    discard(&path);
    let mut live = Live::fresh(&path, &Settings::of(config))?;
    let mut batch = Vec::new();
    let mut seq = 0;
    let mut world = World::new(config, plan)?;
    while world.next(&mut |event| {
        seq += 1;
        batch.push((seq, event));
    }) {
        if batch.len() >= limits::INDEX_BULK {
            live.take_events(&batch)?;
            batch.clear();
            told(world.call);
        }
    }
    live.take_events(&batch)?;
    live.built()?;
    Ok(seq)
}

/// Writes generated data into a journal: what a daemon started on it shows is as if it had happened.
///
/// # Errors
/// The journal's disk refuses.
pub fn generate_journal(
    journal: &Journal,
    config: &Config,
    plan: Plan,
    mut told: impl FnMut(u64),
) -> Result<u64, IndexError> {
    let mut count = 0;
    let mut world = World::new(config, plan)?;
    while world.next(&mut |event| {
        count += 1;
        journal.append(event);
    }) {
        if world.call % 1_000 == 0 {
            if !journal.flush(Duration::from_secs(60)) {
                return Err(IndexError::Journal(std::io::Error::other("the journal's disk refuses")));
            }
            told(world.call);
        }
    }
    journal.flush(Duration::from_secs(60));
    Ok(count)
}

/// Asks every report for a month and for a year, some times each, and pages of calls.
///
/// # Errors
/// See [`IndexError`].
pub fn measure(data_dir: &Path, journal: &Journal, config: &Config, until: i64) -> Result<Vec<Timing>, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(data_dir.join(FILE), flags)?;
    connection.pragma_update(None, "cache_size", -limits::INDEX_READER_KIB)?;
    let reader = Reader { connection: &connection, journal, settings: Arc::new(Settings::of(config)) };
    let mut timings = Vec::new();
    for (name, days) in [("30 days", 30), ("365 days", 365)] {
        let filter = ReportFilter::of_days(until - days + 1, until);
        let mut below = filter.clone();
        below.path[0] = Some("google".into());
        below.path[1] = Some("cpc".into());
        let mut ask = |report: &str, ask: &dyn Fn() -> Result<(), IndexError>| -> Result<(), IndexError> {
            timings.push(time(&format!("{report}, {name}"), ask)?);
            Ok(())
        };
        ask("overview", &|| report::overview(&reader, &filter).map(drop))?;
        ask("sources", &|| report::sources(&reader, &filter).map(drop))?;
        ask("campaigns of google cpc", &|| report::sources(&reader, &below).map(drop))?;
        ask("models", &|| report::models(&reader, &filter).map(drop))?;
        ask("repeat", &|| report::repeat(&reader, &filter).map(drop))?;
        ask("missed", &|| report::missed(&reader, &filter).map(drop))?;
        ask("hours", &|| report::hours(&reader, &filter).map(drop))?;
        ask("regions", &|| report::regions(&reader, &filter).map(drop))?;
        ask("agents", &|| report::agents(&reader, &filter).map(drop))?;
        ask("quality", &|| report::quality(&reader, &filter).map(drop))?;
        ask("pools", &|| report::pools(&reader, &filter).map(drop))?;
        ask("exports", &|| report::exports(&reader, &filter).map(drop))?;
        ask("statics", &|| report::statics(&reader, &filter).map(drop))?;
        ask("savings", &|| report::savings(&reader, &filter).map(drop))?;
    }
    let newest = reader.calls(&Filter::default())?.calls;
    let caller = newest.iter().find_map(|view| view.call.caller.clone());
    let pages = [
        ("newest calls", Filter::default()),
        ("calls of a source", Filter { source: Some("yandex".into()), ..Filter::default() }),
        ("calls of a caller", Filter { caller, ..Filter::default() }),
        ("waiting calls", Filter { waiting: Some(true), ..Filter::default() }),
        ("calls of a label", Filter { label: Some("spam".into()), ..Filter::default() }),
        ("calls that nothing fits", Filter { q: Some("nothing like this".into()), ..Filter::default() }),
    ];
    for (name, filter) in pages {
        timings.push(time(name, &|| reader.calls(&filter).map(drop))?);
    }
    Ok(timings)
}

fn time(question: &str, ask: &dyn Fn() -> Result<(), IndexError>) -> Result<Timing, IndexError> {
    let mut runs = Vec::new();
    for _ in 0..5 {
        let from = clock::mono();
        ask()?;
        runs.push(clock::mono().since(from));
    }
    runs.sort();
    let (median, longest) = (runs[runs.len() / 2], runs[runs.len() - 1]);
    Ok(Timing { question: question.to_owned(), median, longest })
}

/// The company's days, call by call.
struct World {
    plan: Plan,
    company: String,
    site: String,
    pool: String,
    billboard: Option<(String, E164)>,
    numbers: Vec<E164>,
    state: u64,
    call: u64,
    day: i64,
    leases: u128,
    visitors: Vec<u64>,
    callers: Vec<u64>,
    people: u64,
    last: Option<(String, Arc<Session>, LeaseId)>,
}

impl World {
    fn new(config: &Config, plan: Plan) -> Result<World, IndexError> {
        let bad = || IndexError::Bad("the configuration needs a dynamic pool with numbers, of a site".to_owned());
        let dynamic = |pool: &&Arc<crate::config::Pool>| pool.kind == PoolKind::Dynamic && !pool.numbers.is_empty();
        let pool = config.pools.iter().find(dynamic).ok_or_else(bad)?;
        let fixed = config.pools.iter().find(|other| other.kind == PoolKind::Static && other.company == pool.company);
        Ok(World {
            plan,
            company: pool.company.clone(),
            site: pool.site.clone().unwrap_or_default(),
            pool: pool.name.clone(),
            billboard: fixed.and_then(|pool| Some((pool.name.clone(), pool.numbers.first()?.clone()))),
            numbers: pool.numbers.iter().take(100).cloned().collect(),
            state: plan.seed,
            call: 0,
            day: 0,
            leases: 0,
            visitors: Vec::new(),
            callers: Vec::new(),
            people: 0,
            last: None,
        })
    }

    /// Tells the next call and what came before it; `false`: there is no more.
    fn next(&mut self, tell: &mut dyn FnMut(Event)) -> bool {
        if self.call >= self.plan.calls {
            return false;
        }
        let at = self.time();
        let day = at.div_euclid(DAY_US);
        if day != self.day {
            self.day = day;
            self.morning(day, tell);
        }
        for n in (0..self.plan.visits).rev() {
            self.visit(at - (n as i64 + 1) * 40_000_000, tell);
        }
        self.ring(at, tell);
        self.call += 1;
        true
    }

    /// Spread evenly over the days, and over each as people call: most of them by day.
    fn time(&self) -> i64 {
        let span = i64::try_from(self.plan.days).unwrap_or(1).saturating_mul(DAY_US);
        let share = self.call as f64 / self.plan.calls.max(1) as f64;
        let start = (self.plan.until.0 - span).div_euclid(DAY_US) * DAY_US;
        let even = (share * span as f64) as i64;
        let of_day = even.rem_euclid(DAY_US) as f64 / DAY_US as f64;
        let warped = match of_day {
            early if early < 0.05 => early / 0.05 * 8.0,
            day if day < 0.9 => 8.0 + (day - 0.05) / 0.85 * 12.0,
            late => 20.0 + (late - 0.9) / 0.1 * 4.0,
        };
        start + even.div_euclid(DAY_US) * DAY_US + (warped / 24.0 * DAY_US as f64) as i64
    }

    /// Costs of the day before, and what the pool's keeper counted.
    fn morning(&mut self, day: i64, tell: &mut dyn FnMut(Event)) {
        let mut rows = Vec::new();
        for (source, medium) in SOURCES.iter().filter(|(_, medium)| *medium == "cpc") {
            for campaign in 0..10 {
                rows.push(CostRow {
                    day: super::day_text(day),
                    source: (*source).to_owned(),
                    medium: (*medium).to_owned(),
                    campaign: format!("campaign {campaign}"),
                    cost: 500 + self.below(10_000) as i64,
                    currency: "EUR".to_owned(),
                    clicks: self.below(100),
                    impressions: self.below(10_000),
                    ..CostRow::default()
                });
            }
        }
        let import_id = format!("generated {day}");
        let import = CostImportData { import_id, by: "generator".into(), company: self.company.clone(), rows };
        tell(event(day * DAY_US, Body::Work(Box::new(WorkEvent::CostImported(import)))));
        for hour in 0..24 {
            let visits = self.below(200);
            let shared = self.below(1 + visits / 8);
            let window = CountedData {
                pool: self.pool.clone(),
                company: self.company.clone(),
                from: Wall(day * DAY_US + hour * 3_600_000_000),
                for_ms: 3_600_000,
                visits,
                free: visits - shared,
                shared,
                busy_max: self.below(100),
                minutes_short: shared.min(60),
                calls: visits / 20,
                calls_contended: shared / 10,
                ..CountedData::default()
            };
            tell(event(day * DAY_US, Body::Keeper(Box::new(KeeperEvent::Counted(window)))));
        }
    }

    fn visit(&mut self, at: i64, tell: &mut dyn FnMut(Event)) {
        let visitor = self.person(true);
        let pick = (self.below(8) * self.below(8) / 7) as usize;
        let (source, medium) = SOURCES[pick.min(SOURCES.len() - 1)];
        let mut utm =
            BTreeMap::from([("source".to_owned(), source.to_owned()), ("medium".to_owned(), medium.to_owned())]);
        if medium == "cpc" {
            utm.insert("campaign".into(), format!("campaign {}", self.below(10)));
            utm.insert("content".into(), format!("banner {}", self.below(4)));
            utm.insert("term".into(), format!("term {}", self.below(25)));
        }
        let landing_page = Some(format!("https://shop.example/{}", self.below(50)));
        let session = Arc::new(Session { landing_page, utm, ..Session::default() });
        self.leases += 1;
        let number = self.numbers[(self.leases % self.numbers.len() as u128) as usize].clone();
        let region = ["GB-LND", "GB-MAN", "GB", "FR"][self.below(4) as usize];
        let lease = Lease {
            lease_id: LeaseId((u128::from(self.plan.seed) << 64) | self.leases),
            number,
            company: self.company.clone(),
            site: self.site.clone(),
            pool: self.pool.clone(),
            visitor_id: format!("v{visitor:016x}"),
            session: Arc::clone(&session),
            granted_at: Wall(at),
            seen_at: Wall(at),
            expires_at: Wall(at + 90_000_000),
            released_at: None,
            hold_until: Wall(at + 1_800_000_000),
            shared: false,
            class: Class::Free,
            page: Page { region: Some(region.into()), ..Page::default() },
        };
        self.last = Some((lease.visitor_id.clone(), session, lease.lease_id));
        tell(event(at, Body::LeaseGranted(Arc::new(lease))));
    }

    fn ring(&mut self, at: i64, tell: &mut dyn FnMut(Event)) {
        let id = CallId((u128::try_from(at / 1_000).unwrap_or(0) << 80) | u128::from(self.call));
        let kind = self.below(100);
        let caller = format!("+999{:010}", self.person(false));
        let (pool, number, attribution) = match (&self.last, &self.billboard) {
            (Some((visitor, session, lease)), _) if kind < 70 => {
                let confidence = 0.5 + (self.state % 500) as f64 / 1_000.0;
                let attribution = Attribution {
                    kind: AttributionKind::Visitor,
                    method: "active_lease".into(),
                    confidence,
                    lease_id: Some(*lease),
                    visitor_id: Some(visitor.clone()),
                    session: Some(Arc::clone(session)),
                    nobody: 1.0 - confidence,
                    caller_region: Some(["GB-LND", "GB"][(self.call % 2) as usize].into()),
                    candidates: vec![Candidate {
                        visitor_id: visitor.clone(),
                        probability: confidence,
                        evidence: vec!["on the page".into()],
                    }],
                    ..Attribution::default()
                };
                (self.pool.clone(), self.numbers[0].clone(), attribution)
            }
            (_, Some((pool, number))) if kind < 85 => {
                let channel = [("source", "billboard"), ("medium", "offline"), ("campaign", "ring road")];
                let channel = channel.map(|(key, value)| (key.to_owned(), value.to_owned()));
                let attribution = Attribution {
                    kind: AttributionKind::Static,
                    method: "static_channel".into(),
                    confidence: 1.0,
                    channel: Some(Arc::new(channel.into())),
                    ..Attribution::default()
                };
                (pool.clone(), number.clone(), attribution)
            }
            _ => (self.pool.clone(), self.numbers[0].clone(), Attribution::default()),
        };
        let started = CallData {
            company: self.company.clone(),
            pool,
            caller: (kind % 50 != 7).then_some(caller),
            trunk: "carrier".into(),
            ..CallData::new(id, number, attribution, Wall(at))
        };
        let answered = self.below(100) < 82;
        let ring_ms = 2_000 + self.below(25_000);
        let talk_ms = if answered { (self.below(1_000) * self.below(1_000)) / 2 } else { 0 };
        let ended_at = Wall(at) + Duration::from_millis(ring_ms + talk_ms);
        let ended = CallData {
            answered_at: answered.then(|| Wall(at) + Duration::from_millis(ring_ms)),
            ended_at: Some(ended_at),
            ring_ms,
            talk_ms,
            outcome: Some(match (answered, self.below(3)) {
                (true, _) => Outcome::Answered,
                (_, 0) => Outcome::Busy,
                (_, 1) => Outcome::Cancelled,
                _ => Outcome::NoAnswer,
            }),
            sip_status: Some(if answered { 200 } else { 480 }),
            forwarded_to: Some(format!("sip:agent{}@192.0.2.20", self.below(12))),
            ..started.clone()
        };
        tell(event(at, Body::CallStarted(Box::new(started))));
        tell(event(ended_at.0, Body::CallEnded(Box::new(ended))));
        let by = || "generator".to_owned();
        if self.below(5) == 0 {
            let label = Some(LABELS[self.below(4) as usize].to_owned());
            let labelled = LabelledData { call_id: id, company: self.company.clone(), by: by(), label, rule: None };
            tell(event(ended_at.0, Body::Work(Box::new(WorkEvent::Labelled(labelled)))));
        }
        if answered && self.below(20) == 0 {
            let valued = ValuedData {
                call_id: id,
                company: self.company.clone(),
                by: by(),
                deal_id: None,
                stage: Some("won".into()),
                value: 1_000 + self.below(200_000) as i64,
                currency: "EUR".into(),
            };
            tell(event(ended_at.0, Body::Work(Box::new(WorkEvent::Valued(valued)))));
        }
    }

    /// Somebody new, or one of the last who were here.
    fn person(&mut self, visits: bool) -> u64 {
        let again = self.below(4) == 0;
        let (at, slot) = (self.draw(), self.draw());
        let known = if visits { &mut self.visitors } else { &mut self.callers };
        if again && !known.is_empty() {
            return known[(at % known.len() as u64) as usize];
        }
        self.people += 1;
        if known.len() < KNOWN {
            known.push(self.people);
        } else {
            known[(slot % KNOWN as u64) as usize] = self.people;
        }
        self.people
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn event(at: i64, body: Body) -> Event {
    let subject = match &body {
        Body::CallStarted(call) | Body::CallEnded(call) => call.call_id.to_string(),
        Body::Work(work) => work.subject(),
        _ => "generated".to_owned(),
    };
    Event { time: Wall(at), subject, body }
}
