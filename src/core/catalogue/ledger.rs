//! What tracking cost: a projection of the journal. The billable event is the creation of a lease (`leaseline.lease.granted`
//! with a number of a dynamic pool): no page view, heartbeat, signal or revival. Prices are those of the configuration at
//! the moment of asking; the counts are the journal's and reconcile with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, Money, Plan, Pool, PoolKind, Tracking};
use crate::core::event::{Body, CallData, Event};
use crate::core::lease::{Class, Lease};
use crate::core::number;
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

/// Counts by month and pool.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Month as `year * 12 + month`, company, pool.
    rows: BTreeMap<(i32, Arc<str>, Arc<str>), Counts>,
    /// Leases by company, of the day and of the month that it had one in last.
    recent: HashMap<Arc<str>, Recent>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    displays: u64,
    calls: u64,
    /// Seconds of talk → answered calls. A threshold that is changed counts anew.
    talks: BTreeMap<u32, u64>,
    regions: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    day: i64,
    of_day: u64,
    month: i32,
    of_month: u64,
}

/// One pool in one month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `2026-11`.
    pub month: String,
    pub company: String,
    pub pool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `dynamic`, `static`, or `removed` when the configuration has it no more.
    pub kind: &'static str,
    /// Leases that were created.
    pub displays: u64,
    pub display_cost: Money,
    /// Numbers that the pool has now.
    pub numbers: usize,
    /// Of the numbers, for a whole month. With a flat plan the numbers that are not included, pool by pool.
    pub number_cost: Money,
    pub calls: u64,
    pub answered: u64,
    /// Calls with as much talk as the pool's `quality_talk` now.
    pub quality_calls: u64,
    /// Calls by the region of the caller's number; `unknown` when it was withheld or tells none. Sums up to `calls`.
    pub regions: BTreeMap<String, u64>,
}

impl Ledger {
    /// Takes in one event of the journal, in its order.
    pub fn observe(&mut self, event: &Event) {
        match &event.body {
            // A static number costs the same whoever sees it.
            Body::LeaseGranted(lease) if lease.class.is_of_visitors() => self.granted(lease),
            Body::CallEnded(call) => self.ended(call),
            _ => {}
        }
    }

    /// What displays of this company have cost on this day (UTC) and in this month.
    pub fn spent(&self, company: &str, tracking: &Tracking, at: Wall) -> (Money, Money) {
        let recent = self.recent.get(company).copied().unwrap_or_default();
        let of_day = if recent.day == day(at) { recent.of_day } else { 0 };
        let of_month = if recent.month == month(at) { recent.of_month } else { 0 };
        let price = tracking.price_of_display();
        (price * of_day, price * of_month)
    }

    /// The cap that one more display would break.
    pub fn exhausted(&self, company: &str, tracking: &Tracking, at: Wall) -> Option<&'static str> {
        let (of_day, of_month) = self.spent(company, tracking, at);
        let price = tracking.price_of_display();
        let breaks = |cap: Option<Money>, spent: Money| cap.is_some_and(|cap| spent + price > cap);
        if breaks(tracking.day_cap, of_day) {
            Some("day_cap_reached")
        } else if breaks(tracking.month_cap, of_month) {
            Some("month_cap_reached")
        } else {
            None
        }
    }

    /// Rows of one month (of `at`), by company and pool; pools of the configuration stand there without counts too.
    pub fn month(&self, config: &Config, at: Wall) -> Vec<Row> {
        let month = month(at);
        let none = Counts::default();
        let mut included: HashMap<&str, usize> = HashMap::new();
        for company in config.companies.iter().filter(|company| company.tracking.plan == Plan::Flat) {
            included.insert(&company.name, company.tracking.numbers_included);
        }
        let counts = |company: &str, pool: &str| self.rows.get(&(month, Arc::from(company), Arc::from(pool)));
        let mut rows: Vec<Row> = Vec::with_capacity(config.pools.len());
        for pool in &config.pools {
            let tracking = config.companies.iter().find(|c| c.name == pool.company).map(|c| &c.tracking);
            let left = included.get_mut(pool.company.as_str());
            let paid = left.map_or(pool.numbers.len(), |left| {
                let free = pool.numbers.len().min(*left);
                *left -= free;
                pool.numbers.len() - free
            });
            rows.push(row(month, pool, tracking, paid, counts(&pool.company, &pool.name).unwrap_or(&none)));
        }
        let known = |company: &str, name: &str| config.pools.iter().any(|p| p.company == company && p.name == name);
        let gone = self.rows.iter().filter(|((of, company, pool), _)| *of == month && !known(company, pool));
        rows.extend(gone.map(|((_, company, pool), counts)| removed(month, company, pool, config, counts)));
        rows.sort_by(|a, b| (&a.company, &a.pool).cmp(&(&b.company, &b.pool)));
        rows
    }

    fn granted(&mut self, lease: &Lease) {
        if matches!(lease.class, Class::SourceStatic | Class::Overflow) {
            return;
        }
        let at = lease.granted_at;
        let (today, this_month) = (day(at), month(at));
        let recent = self.recent.entry(Arc::from(lease.company.as_str())).or_default();
        if recent.day != today {
            (recent.day, recent.of_day) = (today, 0);
        }
        if recent.month != this_month {
            (recent.month, recent.of_month) = (this_month, 0);
        }
        recent.of_day += 1;
        recent.of_month += 1;
        self.counts(at, &lease.company, &lease.pool).displays += 1;
    }

    fn ended(&mut self, call: &CallData) {
        let counts = self.counts(call.started_at, &call.company, &call.pool);
        counts.calls += 1;
        if call.answered_at.is_some() {
            let seconds = u32::try_from(call.talk_ms / 1_000).unwrap_or(u32::MAX).min(limits::LEDGER_TALK);
            *counts.talks.entry(seconds).or_default() += 1;
        }
        let region = call.caller.as_deref().and_then(E164::parse).and_then(|number| number::region(&number));
        *counts.regions.entry(region.unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
    }

    fn counts(&mut self, at: Wall, company: &str, pool: &str) -> &mut Counts {
        let key = (month(at), Arc::from(company), Arc::from(pool));
        if self.rows.len() >= limits::LEDGER_ROWS && !self.rows.contains_key(&key) {
            self.rows.pop_first();
        }
        self.rows.entry(key).or_default()
    }
}

fn row(month: i32, pool: &Pool, tracking: Option<&Tracking>, paid: usize, counts: &Counts) -> Row {
    let (display, number) = tracking.map_or((Money(0), Money(0)), |t| (t.price_of_display(), t.number_price));
    Row {
        month: written(month),
        company: pool.company.clone(),
        pool: pool.name.clone(),
        title: pool.rules.title.clone(),
        kind: if pool.kind == PoolKind::Static { "static" } else { "dynamic" },
        displays: counts.displays,
        display_cost: display * counts.displays,
        numbers: pool.numbers.len(),
        number_cost: number * u64::try_from(paid).unwrap_or(u64::MAX),
        calls: counts.calls,
        answered: counts.talks.values().sum(),
        quality_calls: quality(counts, pool.rules.quality_talk()),
        regions: counts.regions.clone(),
    }
}

fn removed(month: i32, company: &str, pool: &str, config: &Config, counts: &Counts) -> Row {
    let tracking = config.companies.iter().find(|c| c.name == company).map(|c| &c.tracking);
    Row {
        month: written(month),
        company: company.to_owned(),
        pool: pool.to_owned(),
        title: None,
        kind: "removed",
        displays: counts.displays,
        display_cost: tracking.map_or(Money(0), Tracking::price_of_display) * counts.displays,
        numbers: 0,
        number_cost: Money(0),
        calls: counts.calls,
        answered: counts.talks.values().sum(),
        quality_calls: quality(counts, crate::config::PoolRules::QUALITY_TALK),
        regions: counts.regions.clone(),
    }
}

/// Talks are kept in whole seconds.
fn quality(counts: &Counts, threshold: Duration) -> u64 {
    let seconds = threshold.as_millis().div_ceil(1_000);
    let from = u32::try_from(seconds).unwrap_or(u32::MAX).min(limits::LEDGER_TALK);
    counts.talks.range(from..).map(|(_, calls)| calls).sum()
}

fn month(at: Wall) -> i32 {
    let (year, month, _) = at.date();
    i32::from(year) * 12 + i32::from(month) - 1
}

fn written(month: i32) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

fn day(at: Wall) -> i64 {
    at.0.div_euclid(86_400_000_000)
}
