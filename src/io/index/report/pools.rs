//! Pools over time: how many numbers were on pages, who got none of their own, and how many calls that may have put to the
//! wrong visitor.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{IndexError, Period, Reader, ReportFilter, share_of};
use crate::limits;
use crate::time::Wall;

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Pools {
    pub period: Period,
    /// What a shortage means.
    pub meaning: &'static str,
    pub rows: Vec<PoolRow>,
    /// What happened to pools and their numbers, newest first; at most some hundred.
    pub events: Vec<PoolEvent>,
}

/// One pool in the whole period.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolRow {
    pub company: String,
    pub pool: String,
    #[serde(flatten)]
    pub sums: PoolSums,
    /// Of visits: without a number of their own.
    pub short_share: Option<f64>,
    /// Of calls: others had the number on their pages, too.
    pub affected_share: Option<f64>,
    pub by_day: Vec<PoolDay>,
}

/// One day of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolDay {
    pub day: String,
    #[serde(flatten)]
    pub sums: PoolSums,
}

/// See [`PoolRow`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolSums {
    /// Visitors who asked for a number and had none.
    pub visits: i64,
    /// What they got: nobody's number, one that was held for another, one that others see too, one of their source, the
    /// overflow number, none.
    pub free: i64,
    pub soft_held: i64,
    pub shared: i64,
    pub source_static: i64,
    pub overflow: i64,
    pub without: i64,
    /// Most numbers on pages at once.
    pub busy_max: i64,
    /// Minutes in which somebody got no number of their own.
    pub shortage_minutes: i64,
    pub calls: i64,
    /// The number was on the pages of several visitors when they came.
    pub affected_calls: i64,
}

/// See [`Pools`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolEvent {
    pub at: Wall,
    pub company: String,
    pub pool: String,
    /// `shortage`, `shortage_over`, `ordered`, `grown`, `growth_refused`, `growth_on`, `growth_off`; of numbers: `leaving`,
    /// `left`, `rested`, `returned`, `leaked`, `tested`, `test_failed`.
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub number: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Numbers that were planned, ordered or came; calls that speak for it; milliseconds of a test.
    pub amount: i64,
}

/// Pools over time.
///
/// # Errors
/// See [`IndexError`].
pub fn pools(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Pools, IndexError> {
    let pools = reader.pools_of(filter)?;
    let text = format!(
        "SELECT c.name, p.name, w.day, SUM(w.visits), SUM(w.free), SUM(w.soft_held), SUM(w.shared),
         SUM(w.source_static),
         SUM(w.overflow), SUM(w.without), MAX(w.busy_max), SUM(w.minutes_short), SUM(w.calls), SUM(w.calls_contended)
         FROM pool_windows w JOIN pools p USING (pool_id) JOIN companies c USING (company_id)
         WHERE w.pool_id IN ({pools}) AND w.day BETWEEN ? AND ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    );
    let mut rows: BTreeMap<(String, String), PoolRow> = BTreeMap::new();
    reader.each(&text, &[filter.since.into(), filter.until.into()], |row| {
        let (company, pool): (String, String) = (row.get(0)?, row.get(1)?);
        let sums = PoolSums {
            visits: row.get(3)?,
            free: row.get(4)?,
            soft_held: row.get(5)?,
            shared: row.get(6)?,
            source_static: row.get(7)?,
            overflow: row.get(8)?,
            without: row.get(9)?,
            busy_max: row.get(10)?,
            shortage_minutes: row.get(11)?,
            calls: row.get(12)?,
            affected_calls: row.get(13)?,
        };
        let fresh = || PoolRow { company: company.clone(), pool: pool.clone(), ..PoolRow::default() };
        let of = rows.entry((company.clone(), pool.clone())).or_insert_with(fresh);
        of.sums.add(&sums);
        of.by_day.push(PoolDay { day: super::day_text(row.get(2)?), sums });
        Ok(())
    })?;
    let mut rows: Vec<PoolRow> = rows.into_values().collect();
    for row in &mut rows {
        let sums = row.sums;
        row.short_share = share_of(sums.visits - sums.free - sums.soft_held, sums.visits);
        row.affected_share = share_of(sums.affected_calls, sums.calls);
    }
    Ok(Pools {
        period: filter.period(),
        meaning: "while a pool is short several visitors see the same number, so that a call may be put to the wrong one of \
                  them, and to the wrong source; affected_calls counts the calls that came to such a number",
        rows,
        events: events(reader, filter, &pools)?,
    })
}

fn events(reader: &Reader<'_>, filter: &ReportFilter, pools: &str) -> Result<Vec<PoolEvent>, IndexError> {
    let text = format!(
        "SELECT e.at, c.name, p.name, e.kind, e.number, e.reason, e.amount FROM pool_events e
         JOIN pools p USING (pool_id) JOIN companies c USING (company_id)
         WHERE e.pool_id IN ({pools}) AND e.at >= ? AND e.at < ? ORDER BY e.at DESC, e.seq DESC LIMIT {}",
        limits::CALLS_PAGE
    );
    // By days in UTC: events are for reading, not for sums.
    let day = 86_400_000_000;
    let mut found = Vec::new();
    reader.each(&text, &[(filter.since * day).into(), ((filter.until + 1) * day).into()], |row| {
        found.push(PoolEvent {
            at: Wall(row.get(0)?),
            company: row.get(1)?,
            pool: row.get(2)?,
            kind: row.get(3)?,
            number: row.get(4)?,
            reason: row.get(5)?,
            amount: row.get(6)?,
        });
        Ok(())
    })?;
    Ok(found)
}

impl PoolSums {
    fn add(&mut self, more: &PoolSums) {
        self.visits += more.visits;
        self.free += more.free;
        self.soft_held += more.soft_held;
        self.shared += more.shared;
        self.source_static += more.source_static;
        self.overflow += more.overflow;
        self.without += more.without;
        self.busy_max = self.busy_max.max(more.busy_max);
        self.shortage_minutes += more.shortage_minutes;
        self.calls += more.calls;
        self.affected_calls += more.affected_calls;
    }
}
