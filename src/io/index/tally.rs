//! Sums that a batch of events adds to, kept in memory until the batch ends and then added to the tables in one go: a
//! day of a channel changes thousands of times and is written once. How many events a batch has makes no difference to the
//! tables: a row is there when an event touched it, and fractions add up to the same in any order.

use std::collections::HashMap;
use std::hash::Hash;

use rusqlite::{Connection, ToSql, params_from_iter};

/// One table of sums.
#[derive(Debug)]
pub(super) struct Sums<K, const N: usize> {
    upsert: &'static str,
    cells: HashMap<K, [f64; N]>,
}

/// A key of such a table, as its columns have it.
pub(super) trait Key: Eq + Hash {
    fn columns(&self) -> Vec<Box<dyn ToSql>>;
}

impl<K: Key, const N: usize> Sums<K, N> {
    /// `upsert` takes the key's columns and then the sums.
    pub(super) fn new(upsert: &'static str) -> Sums<K, N> {
        Sums { upsert, cells: HashMap::new() }
    }

    pub(super) fn at(&mut self, key: K) -> &mut [f64; N] {
        self.cells.entry(key).or_insert([0.0; N])
    }

    pub(super) fn add(&mut self, key: K, values: [f64; N]) {
        for (sum, value) in self.at(key).iter_mut().zip(values) {
            *sum += addable(value);
        }
    }

    /// Adds what has come together to the table. `whole`: the columns are whole numbers.
    pub(super) fn flush(&mut self, connection: &Connection, whole: bool) -> rusqlite::Result<()> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(self.upsert)?;
        for (key, values) in self.cells.drain() {
            let mut columns = key.columns();
            for value in values {
                columns.push(if whole { Box::new(value.round() as i64) } else { Box::new(value) });
            }
            statement.execute(params_from_iter(columns))?;
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.cells.clear();
    }
}

/// The nearest multiple of 2⁻³⁰: eight million shares of a call add up without an error, whatever their order, and what is
/// taken back leaves nothing behind.
fn addable(value: f64) -> f64 {
    const UNIT: f64 = (1_u64 << 30) as f64;
    (value * UNIT).round() / UNIT
}

macro_rules! keys {
    ($(($($part:ident: $kind:ident),+)),+) => {
        $(impl<$($kind: ToSql + Clone + Eq + Hash + 'static),+> Key for ($($kind,)+) {
            fn columns(&self) -> Vec<Box<dyn ToSql>> {
                let ($($part,)+) = self;
                vec![$(Box::new($part.clone())),+]
            }
        })+
    };
}

keys!((a: A, b: B), (a: A, b: B, c: C), (a: A, b: B, c: C, d: D), (a: A, b: B, c: C, d: D, e: E));

/// Every table of sums. The keys stand beside their fields.
#[derive(Debug)]
pub(super) struct Tally {
    /// node, day: see [`day`].
    pub(super) days: Sums<(i64, i64), { day::COUNT }>,
    /// node, day, day before: visitors, callers.
    pub(super) reach: Sums<(i64, i64, i64), 2>,
    /// node, day, currency: cost, clicks, impressions, revenue, deals.
    pub(super) money: Sums<(i64, i64, String), 5>,
    /// node, day, look-back, quality: one a model, in the order of `Model::ALL`.
    pub(super) credit: Sums<(i64, i64, i64, i64), 6>,
    /// node, day, label: calls.
    pub(super) labels: Sums<(i64, i64, String), 1>,
    /// pool, day, hour: calls, answered, missed, time to answer.
    pub(super) hours: Sums<(i64, i64, i64), 4>,
    /// pool, day, ordinal: calls.
    pub(super) ordinals: Sums<(i64, i64, i64), 1>,
    /// pool, day, region of the caller, region of the visitor: calls.
    pub(super) regions: Sums<(i64, i64, String, String), 1>,
    /// pool, day, agent: answered, missed, talk, time to answer, scored calls, sum of scores.
    pub(super) agents: Sums<(i64, i64, String), 6>,
    /// pool, day, bin: calls, sum of confidence, checked calls, their sum of confidence, hits. Kind is the fourth key.
    pub(super) confidence: Sums<(i64, i64, i64, String), 5>,
    /// pool, day, bucket: calls, how long they waited.
    pub(super) reached: Sums<(i64, i64, i64), 2>,
    /// destination, company, day, action, state: deliveries.
    pub(super) exports: Sums<(String, i64, i64, String, String), 1>,
}

/// Columns of `node_days`.
pub(super) mod day {
    pub(in super::super) const VISITS: usize = 0;
    pub(in super::super) const CALLS: usize = 1;
    pub(in super::super) const ANSWERED: usize = 2;
    pub(in super::super) const ANSWERED_SOON: usize = 3;
    pub(in super::super) const MISSED: usize = 4;
    pub(in super::super) const QUALITY: usize = 5;
    pub(in super::super) const FIRST: usize = 6;
    pub(in super::super) const REPEAT: usize = 7;
    pub(in super::super) const TALK_MS: usize = 8;
    pub(in super::super) const RING_MS: usize = 9;
    pub(in super::super) const LEADS: usize = 10;
    pub(in super::super) const STATIC: usize = 11;
    pub(in super::super) const STATIC_JOINED: usize = 12;
    pub(in super::super) const COUNT: usize = 13;
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            days: Sums::new(
                "INSERT INTO node_days (node_id, day, visits, calls, answered, answered_soon, missed, quality, first_calls,
                   repeat_calls, talk_ms, ring_ms, leads, static_calls, static_joined)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (node_id, day) DO UPDATE SET visits = visits + excluded.visits, calls = calls + excluded.calls,
                   answered = answered + excluded.answered, answered_soon = answered_soon + excluded.answered_soon,
                   missed = missed + excluded.missed, quality = quality + excluded.quality,
                   first_calls = first_calls + excluded.first_calls, repeat_calls = repeat_calls + excluded.repeat_calls,
                   talk_ms = talk_ms + excluded.talk_ms, ring_ms = ring_ms + excluded.ring_ms,
                   leads = leads + excluded.leads, static_calls = static_calls + excluded.static_calls,
                   static_joined = static_joined + excluded.static_joined",
            ),
            reach: Sums::new(
                "INSERT INTO node_reach (node_id, day, before_day, visitors, callers) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (node_id, day, before_day) DO UPDATE SET
                   visitors = visitors + excluded.visitors, callers = callers + excluded.callers",
            ),
            money: Sums::new(
                "INSERT INTO node_money (node_id, day, currency, cost, clicks, impressions, revenue, deals)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (node_id, day, currency) DO UPDATE SET cost = cost + excluded.cost,
                   clicks = clicks + excluded.clicks, impressions = impressions + excluded.impressions,
                   revenue = revenue + excluded.revenue, deals = deals + excluded.deals",
            ),
            credit: Sums::new(
                "INSERT INTO node_credit (node_id, day, look_back, is_quality, last, first, last_non_direct, linear,
                   time_decay, position)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (node_id, day, look_back, is_quality) DO UPDATE SET last = last + excluded.last,
                   first = first + excluded.first, last_non_direct = last_non_direct + excluded.last_non_direct,
                   linear = linear + excluded.linear, time_decay = time_decay + excluded.time_decay,
                   position = position + excluded.position",
            ),
            labels: Sums::new(
                "INSERT INTO node_labels (node_id, day, label, calls) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (node_id, day, label) DO UPDATE SET calls = calls + excluded.calls",
            ),
            hours: Sums::new(
                "INSERT INTO pool_hours (pool_id, day, hour, calls, answered, missed, ring_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (pool_id, day, hour) DO UPDATE SET calls = calls + excluded.calls,
                   answered = answered + excluded.answered, missed = missed + excluded.missed,
                   ring_ms = ring_ms + excluded.ring_ms",
            ),
            ordinals: Sums::new(
                "INSERT INTO pool_ordinals (pool_id, day, ordinal, calls) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (pool_id, day, ordinal) DO UPDATE SET calls = calls + excluded.calls",
            ),
            regions: Sums::new(
                "INSERT INTO pool_regions (pool_id, day, caller_region, visitor_region, calls)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (pool_id, day, caller_region, visitor_region) DO UPDATE SET calls = calls + excluded.calls",
            ),
            agents: Sums::new(
                "INSERT INTO pool_agents (pool_id, day, agent, answered, missed, talk_ms, ring_ms, scored, score_sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (pool_id, day, agent) DO UPDATE SET answered = answered + excluded.answered,
                   missed = missed + excluded.missed, talk_ms = talk_ms + excluded.talk_ms,
                   ring_ms = ring_ms + excluded.ring_ms, scored = scored + excluded.scored,
                   score_sum = score_sum + excluded.score_sum",
            ),
            confidence: Sums::new(
                "INSERT INTO pool_confidence (pool_id, day, bin, kind, calls, confidence_sum, checked, checked_sum, hits)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (pool_id, day, bin, kind) DO UPDATE SET calls = calls + excluded.calls,
                   confidence_sum = confidence_sum + excluded.confidence_sum, checked = checked + excluded.checked,
                   checked_sum = checked_sum + excluded.checked_sum, hits = hits + excluded.hits",
            ),
            reached: Sums::new(
                "INSERT INTO pool_reached (pool_id, day, bucket, calls, wait_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (pool_id, day, bucket) DO UPDATE SET
                   calls = calls + excluded.calls, wait_ms = wait_ms + excluded.wait_ms",
            ),
            exports: Sums::new(
                "INSERT INTO export_days (destination, company_id, day, action, state, deliveries)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (destination, company_id, day, action, state) DO UPDATE SET
                   deliveries = deliveries + excluded.deliveries",
            ),
        }
    }

    /// Adds everything to the tables.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.days.flush(connection, true)?;
        self.reach.flush(connection, true)?;
        self.money.flush(connection, true)?;
        self.credit.flush(connection, false)?;
        self.labels.flush(connection, true)?;
        self.hours.flush(connection, true)?;
        self.ordinals.flush(connection, true)?;
        self.regions.flush(connection, true)?;
        self.agents.flush(connection, true)?;
        self.confidence.flush(connection, false)?;
        self.reached.flush(connection, true)?;
        self.exports.flush(connection, true)
    }

    /// Forgets what was not written: the batch is taken in again.
    pub(super) fn clear(&mut self) {
        self.days.clear();
        self.reach.clear();
        self.money.clear();
        self.credit.clear();
        self.labels.clear();
        self.hours.clear();
        self.ordinals.clear();
        self.regions.clear();
        self.agents.clear();
        self.confidence.clear();
        self.reached.clear();
        self.exports.clear();
    }
}
