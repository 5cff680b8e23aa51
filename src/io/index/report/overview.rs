//! The whole at a glance, beside the same number of days before.

use serde::Serialize;

use super::sources::{Money, gather};
use super::{IndexError, Period, Reader, ReportFilter, keys, share, share_of};

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    pub period: Period,
    pub currency: String,
    pub other_currencies: Vec<String>,
    pub total: Figures,
    /// The days before.
    pub previous_period: Period,
    pub previous: Figures,
    /// `total / previous - 1` where there was something before.
    pub change: Change,
    /// Each day of the period, also those without calls.
    pub rows: Vec<Day>,
}

/// See [`Overview`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub visits: i64,
    pub unique_visitors: i64,
    pub calls: i64,
    /// Different callers.
    pub callers: i64,
    pub first_calls: i64,
    pub repeat_calls: i64,
    pub quality_calls: i64,
    pub answered: i64,
    pub missed: i64,
    pub missed_share: Option<f64>,
    /// Of the answered calls: within 20 seconds.
    pub answered_soon_share: Option<f64>,
    /// Means of answered calls, in milliseconds.
    pub talk_ms: Option<f64>,
    pub ring_ms: Option<f64>,
    pub leads: i64,
    pub conversion: Option<f64>,
    #[serde(flatten)]
    pub money: Money,
}

/// See [`Overview`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Change {
    pub visits: Option<f64>,
    pub calls: Option<f64>,
    pub callers: Option<f64>,
    pub first_calls: Option<f64>,
    pub quality_calls: Option<f64>,
    pub missed: Option<f64>,
    pub cost: Option<f64>,
    pub revenue: Option<f64>,
}

/// One day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Day {
    pub day: String,
    pub visits: i64,
    pub calls: i64,
    pub answered: i64,
    pub missed: i64,
    pub quality_calls: i64,
    pub first_calls: i64,
    pub repeat_calls: i64,
    pub leads: i64,
}

/// The whole at a glance.
///
/// # Errors
/// See [`IndexError`].
pub fn overview(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Overview, IndexError> {
    let places = reader.places(filter)?;
    let currency = reader.currency(filter)?;
    let before = filter.previous();
    let mut other = Vec::new();
    let total = figures(reader, filter, &places, (&currency, &mut other))?;
    let previous = figures(reader, &before, &places, (&currency, &mut other))?;
    Ok(Overview {
        period: filter.period(),
        currency,
        other_currencies: other,
        change: change(&total, &previous),
        total,
        previous_period: before.period(),
        previous,
        rows: days(reader, filter, &places)?,
    })
}

fn figures(
    reader: &Reader<'_>,
    filter: &ReportFilter,
    places: &[i64],
    money: (&str, &mut Vec<String>),
) -> Result<Figures, IndexError> {
    let mut row = gather(reader, filter, ("node_id", "''", places), money)?.remove("").unwrap_or_default();
    row.settle(filter.margin);
    let text = format!(
        "SELECT COALESCE(SUM(answered_soon), 0), COALESCE(SUM(talk_ms), 0), COALESCE(SUM(ring_ms), 0) FROM node_days
         WHERE node_id IN ({}) AND day BETWEEN ? AND ?",
        keys(places)
    );
    let (mut soon, mut talk, mut ring) = (0, 0, 0);
    reader.each(&text, &[filter.since.into(), filter.until.into()], |row| {
        (soon, talk, ring) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(())
    })?;
    Ok(Figures {
        visits: row.visits,
        unique_visitors: row.unique_visitors,
        calls: row.calls,
        callers: row.callers,
        first_calls: row.first_calls,
        repeat_calls: row.repeat_calls,
        quality_calls: row.quality_calls,
        answered: row.answered,
        missed: row.missed,
        missed_share: share_of(row.missed, row.calls),
        answered_soon_share: share_of(soon, row.answered),
        talk_ms: share_of(talk, row.answered),
        ring_ms: share_of(ring, row.answered),
        leads: row.leads,
        conversion: row.conversion,
        money: row.money,
    })
}

fn days(reader: &Reader<'_>, filter: &ReportFilter, places: &[i64]) -> Result<Vec<Day>, IndexError> {
    let mut rows: Vec<Day> =
        (filter.since..=filter.until).map(|day| Day { day: super::day_text(day), ..Day::default() }).collect();
    let text = format!(
        "SELECT day, SUM(visits), SUM(calls), SUM(answered), SUM(missed), SUM(quality), SUM(first_calls), SUM(leads),
         SUM(repeat_calls) FROM node_days WHERE node_id IN ({}) AND day BETWEEN ? AND ? GROUP BY 1",
        keys(places)
    );
    reader.each(&text, &[filter.since.into(), filter.until.into()], |row| {
        let at = row.get::<_, i64>(0)? - filter.since;
        if let Some(day) = usize::try_from(at).ok().and_then(|at| rows.get_mut(at)) {
            (day.visits, day.calls, day.answered) = (row.get(1)?, row.get(2)?, row.get(3)?);
            (day.missed, day.quality_calls, day.first_calls) = (row.get(4)?, row.get(5)?, row.get(6)?);
            (day.leads, day.repeat_calls) = (row.get(7)?, row.get(8)?);
        }
        Ok(())
    })?;
    Ok(rows)
}

fn change(now: &Figures, before: &Figures) -> Change {
    let of = |now: i64, before: i64| share((now - before) as f64, before as f64);
    Change {
        visits: of(now.visits, before.visits),
        calls: of(now.calls, before.calls),
        callers: of(now.callers, before.callers),
        first_calls: of(now.first_calls, before.first_calls),
        quality_calls: of(now.quality_calls, before.quality_calls),
        missed: of(now.missed, before.missed),
        cost: of(now.money.cost, before.money.cost),
        revenue: of(now.money.revenue, before.money.revenue),
    }
}
