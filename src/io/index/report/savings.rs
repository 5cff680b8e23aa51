//! What selective tracking saves and costs: visits that are not worth a number see the static number of their source, so
//! fewer numbers are needed, and of their calls only the source is known.

use serde::Serialize;

use super::{IndexError, Period, Reader, ReportFilter, share_of};

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Savings {
    pub period: Period,
    /// How the figures are made.
    pub method: &'static str,
    pub rows: Vec<SavingsRow>,
}

/// One company.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SavingsRow {
    pub company: String,
    pub visits: i64,
    /// Saw the static number of their source, or the overflow number.
    pub selective_visits: i64,
    pub selective_share: Option<f64>,
    /// Most numbers that were on pages at once, over all pools.
    pub numbers_used: i64,
    /// How many it would have been, had every visit had one of its own.
    pub numbers_for_all: i64,
    pub numbers_saved: i64,
    pub calls: i64,
    /// Attributed to a visitor, and to a channel alone.
    pub calls_of_visitors: i64,
    pub calls_of_channels: i64,
    /// Of all calls: only the channel is known. What of it is selective tracking's doing is at most this.
    pub accuracy_lost: Option<f64>,
}

/// Numbers saved against accuracy lost.
///
/// # Errors
/// See [`IndexError`].
pub fn savings(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Savings, IndexError> {
    let pools = reader.pools_of(filter)?;
    let days = [filter.since.into(), filter.until.into()];
    let mut rows: Vec<SavingsRow> = Vec::new();
    // The peak of each pool, not of the sum of them: their busiest hours need not be the same.
    let text = format!(
        "SELECT company, SUM(visits), SUM(selective), SUM(busy), SUM(for_all) FROM (
           SELECT c.name AS company, SUM(w.visits) AS visits, SUM(w.source_static + w.overflow) AS selective,
             MAX(w.busy_max) AS busy,
             MAX(CASE WHEN w.free + w.soft_held + w.shared > 0
               THEN CAST(w.busy_max AS DOUBLE PRECISION) * w.visits / (w.free + w.soft_held + w.shared)
               ELSE w.busy_max END) AS for_all
           FROM pool_windows w JOIN pools p USING (pool_id) JOIN companies c USING (company_id)
           WHERE w.pool_id IN ({pools}) AND w.day BETWEEN ? AND ? GROUP BY w.pool_id, c.name) AS by_pool
         GROUP BY 1 ORDER BY 1"
    );
    reader.each(&text, &days, |row| {
        let (visits, selective_visits, numbers_used) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let numbers_for_all = row.get::<_, f64>(4)?.ceil() as i64;
        rows.push(SavingsRow {
            company: row.get(0)?,
            visits,
            selective_visits,
            selective_share: share_of(selective_visits, visits),
            numbers_used,
            numbers_for_all,
            numbers_saved: numbers_for_all - numbers_used,
            ..SavingsRow::default()
        });
        Ok(())
    })?;
    let text = format!(
        "SELECT c.name, CAST(SUM(k.calls) AS INTEGER),
         CAST(SUM(CASE WHEN k.kind = 'visitor' THEN k.calls ELSE 0 END) AS INTEGER),
         CAST(SUM(CASE WHEN k.kind = 'static' THEN k.calls ELSE 0 END) AS INTEGER)
         FROM pool_confidence k JOIN pools p USING (pool_id) JOIN companies c USING (company_id)
         WHERE k.pool_id IN ({pools}) AND k.day BETWEEN ? AND ? GROUP BY 1"
    );
    reader.each(&text, &days, |row| {
        let company: String = row.get(0)?;
        if let Some(of) = rows.iter_mut().find(|row| row.company == company) {
            (of.calls, of.calls_of_visitors, of.calls_of_channels) = (row.get(1)?, row.get(2)?, row.get(3)?);
            of.accuracy_lost = share_of(of.calls_of_channels, of.calls);
        }
        Ok(())
    })?;
    Ok(Savings {
        period: filter.period(),
        method: "numbers_for_all = busy_max * visits / visits with a number of a pool, in each pool's busiest window: the \
                 load grows with the visits (Little's law); accuracy_lost = calls_of_channels / calls",
        rows,
    })
}
