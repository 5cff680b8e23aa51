//! How calls went: first and repeat, missed and reached, by hour, by region, by agent.

use serde::Serialize;

use super::super::project::{NEVER_REACHED, NOT_REACHABLE, ORDINALS, REACHED_WITHIN_MIN};
use super::{IndexError, Period, Reader, ReportFilter, share_of};

/// First calls and calls of people who called before.
#[derive(Clone, Debug, Serialize)]
pub struct Repeat {
    pub period: Period,
    pub calls: i64,
    pub first: i64,
    pub repeat: i64,
    /// The number was withheld: nobody knows.
    pub withheld: i64,
    /// Different callers, and calls of each in the period.
    pub callers: i64,
    pub calls_per_caller: Option<f64>,
    /// Calls by which call of its caller each was.
    pub rows: Vec<Ordinal>,
}

/// See [`Repeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ordinal {
    /// 1: the first call; the last row has the tenth and all later ones.
    pub ordinal: i64,
    pub calls: i64,
}

/// Missed calls, and when their callers were spoken to.
#[derive(Clone, Debug, Serialize)]
pub struct Missed {
    pub period: Period,
    pub calls: i64,
    pub missed: i64,
    pub missed_share: Option<f64>,
    /// Missed, known by number, and not spoken to since.
    pub not_called_back: i64,
    /// Missed, with a withheld number.
    pub withheld: i64,
    pub called_back: i64,
    /// Mean of those who were, in milliseconds.
    pub wait_ms: Option<f64>,
    /// When callers counted as spoken to.
    pub rule: &'static str,
    pub rows: Vec<Wait>,
}

/// See [`Missed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Spoken to within so many minutes, and later than the row before; `null`: still later.
    pub within_min: Option<i64>,
    pub calls: i64,
}

/// Hours of weekdays, on the company's clocks.
#[derive(Clone, Debug, Serialize)]
pub struct Hours {
    pub period: Period,
    /// Those without calls are not among them.
    pub rows: Vec<Hour>,
}

/// See [`Hours`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// 1: Monday.
    pub weekday: i64,
    pub hour: i64,
    pub calls: i64,
    pub answered: i64,
    pub missed: i64,
    /// Till the answer, of all answered calls together.
    pub ring_ms: i64,
}

/// Where callers are, beside where visitors are.
#[derive(Clone, Debug, Serialize)]
pub struct Regions {
    pub period: Period,
    pub calls: i64,
    /// Calls of which both regions are known, and of these the share in which they contradict each other.
    pub compared: i64,
    pub mismatch_share: Option<f64>,
    /// By region of the caller; empty: not known. They add up to all calls.
    pub rows: Vec<Region>,
    pub pairs: Vec<Pair>,
}

/// See [`Regions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    pub region: String,
    pub calls: i64,
    pub compared: i64,
    pub mismatched: i64,
}

/// See [`Regions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    pub caller: String,
    pub visitor: String,
    pub calls: i64,
    pub matches: bool,
}

/// Who took calls.
#[derive(Clone, Debug, Serialize)]
pub struct Agents {
    pub period: Period,
    pub rows: Vec<Agent>,
}

/// See [`Agents`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agent {
    pub agent: String,
    pub answered: i64,
    /// It rang there, and they did not take it.
    pub missed: i64,
    pub talk_ms: i64,
    /// Means of answered calls.
    pub mean_talk_ms: Option<f64>,
    pub mean_ring_ms: Option<f64>,
    pub scored: i64,
    /// Mean of the score-cards, 0 to 100.
    pub score: Option<f64>,
}

/// First and repeat calls.
///
/// # Errors
/// See [`IndexError`].
pub fn repeat(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Repeat, IndexError> {
    let text = format!(
        "SELECT ordinal, SUM(calls) FROM pool_ordinals WHERE pool_id IN ({}) AND day BETWEEN ? AND ? GROUP BY 1",
        reader.pools_of(filter)?
    );
    let mut rows: Vec<Ordinal> = (1..=ORDINALS).map(|ordinal| Ordinal { ordinal, calls: 0 }).collect();
    let mut withheld = 0;
    reader.each(&text, &days(filter), |row| {
        let (ordinal, calls): (i64, i64) = (row.get(0)?, row.get(1)?);
        match rows.iter_mut().find(|row| row.ordinal == ordinal) {
            Some(row) => row.calls = calls,
            None => withheld += calls,
        }
        Ok(())
    })?;
    let places = reader.places(&ReportFilter { path: Default::default(), ..filter.clone() })?;
    let text = format!(
        "SELECT COALESCE(SUM(callers), 0) FROM node_reach WHERE node_id IN ({}) AND day BETWEEN ? AND ?
         AND before_day < ?",
        super::keys(&places)
    );
    let mut callers = 0;
    reader.each(&text, &[filter.since.into(), filter.until.into(), filter.since.into()], |row| {
        callers = row.get(0)?;
        Ok(())
    })?;
    let known: i64 = rows.iter().map(|row| row.calls).sum();
    let first = rows.first().map_or(0, |row| row.calls);
    Ok(Repeat {
        period: filter.period(),
        calls: known + withheld,
        first,
        repeat: known - first,
        withheld,
        callers,
        calls_per_caller: share_of(known, callers),
        rows,
    })
}

/// Missed calls.
///
/// # Errors
/// See [`IndexError`].
pub fn missed(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Missed, IndexError> {
    let pools = reader.pools_of(filter)?;
    let mut calls = 0;
    let text =
        format!("SELECT COALESCE(SUM(calls), 0) FROM pool_hours WHERE pool_id IN ({pools}) AND day BETWEEN ? AND ?");
    reader.each(&text, &days(filter), |row| {
        calls = row.get(0)?;
        Ok(())
    })?;
    let within = REACHED_WITHIN_MIN.iter().map(|minutes| Some(*minutes)).chain([None]);
    let mut rows: Vec<Wait> = within.map(|within_min| Wait { within_min, calls: 0 }).collect();
    let (mut never, mut withheld, mut waited) = (0, 0, 0);
    let text = format!(
        "SELECT bucket, SUM(calls), SUM(wait_ms) FROM pool_reached WHERE pool_id IN ({pools}) AND day BETWEEN ? AND ?
         GROUP BY 1"
    );
    reader.each(&text, &days(filter), |row| {
        let (bucket, calls): (i64, i64) = (row.get(0)?, row.get(1)?);
        match bucket {
            NEVER_REACHED => never = calls,
            NOT_REACHABLE => withheld = calls,
            bucket => {
                waited += row.get::<_, i64>(2)?;
                if let Some(row) = usize::try_from(bucket).ok().and_then(|at| rows.get_mut(at)) {
                    row.calls = calls;
                }
            }
        }
        Ok(())
    })?;
    let called_back: i64 = rows.iter().map(|row| row.calls).sum();
    let missed = called_back + never + withheld;
    Ok(Missed {
        period: filter.period(),
        calls,
        missed,
        missed_share: share_of(missed, calls),
        not_called_back: never,
        withheld,
        called_back,
        wait_ms: share_of(waited, called_back),
        rule: "the next answered call with the same number, or the mark that they were called back; from the \
               end of the missed call",
        rows,
    })
}

/// Calls by hour and weekday.
///
/// # Errors
/// See [`IndexError`].
pub fn hours(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Hours, IndexError> {
    // The first of January 1970 was a Thursday.
    let text = format!(
        "SELECT (day + 3) % 7 + 1, hour, SUM(calls), SUM(answered), SUM(missed), SUM(ring_ms) FROM pool_hours
         WHERE pool_id IN ({}) AND day BETWEEN ? AND ? GROUP BY 1, 2 ORDER BY 1, 2",
        reader.pools_of(filter)?
    );
    let mut rows = Vec::new();
    reader.each(&text, &days(filter), |row| {
        let (weekday, hour, calls) = (row.get(0)?, row.get(1)?, row.get(2)?);
        rows.push(Hour { weekday, hour, calls, answered: row.get(3)?, missed: row.get(4)?, ring_ms: row.get(5)? });
        Ok(())
    })?;
    Ok(Hours { period: filter.period(), rows })
}

/// Regions of callers against those of visitors.
///
/// # Errors
/// See [`IndexError`].
pub fn regions(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Regions, IndexError> {
    let text = format!(
        "SELECT caller_region, visitor_region, SUM(calls) FROM pool_regions
         WHERE pool_id IN ({}) AND day BETWEEN ? AND ? GROUP BY 1, 2 HAVING SUM(calls) > 0
         ORDER BY 3 DESC, 1, 2",
        reader.pools_of(filter)?
    );
    let mut rows: Vec<Region> = Vec::new();
    let mut pairs = Vec::new();
    let (mut calls, mut compared, mut mismatched) = (0, 0, 0);
    reader.each(&text, &days(filter), |row| {
        let (caller, visitor, count): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let both = !caller.is_empty() && !visitor.is_empty();
        let differ = both && contradict(&caller, &visitor);
        calls += count;
        compared += if both { count } else { 0 };
        mismatched += if differ { count } else { 0 };
        let region = match rows.iter_mut().find(|row| row.region == caller) {
            Some(region) => region,
            None => {
                rows.push(Region { region: caller.clone(), calls: 0, compared: 0, mismatched: 0 });
                let last = rows.len() - 1;
                &mut rows[last]
            }
        };
        region.calls += count;
        region.compared += if both { count } else { 0 };
        region.mismatched += if differ { count } else { 0 };
        if both {
            pairs.push(Pair { caller, visitor, calls: count, matches: !differ });
        }
        Ok(())
    })?;
    rows.sort_by(|a, b| b.calls.cmp(&a.calls).then(a.region.cmp(&b.region)));
    rows.truncate(filter.rows());
    pairs.truncate(filter.rows());
    let mismatch_share = share_of(mismatched, compared);
    Ok(Regions { period: filter.period(), calls, compared, mismatch_share, rows, pairs })
}

/// Who took calls.
///
/// # Errors
/// See [`IndexError`].
pub fn agents(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Agents, IndexError> {
    let text = format!(
        "SELECT agent, SUM(answered), SUM(missed), SUM(talk_ms), SUM(ring_ms), SUM(scored), SUM(score_sum)
         FROM pool_agents WHERE pool_id IN ({}) AND day BETWEEN ? AND ? GROUP BY 1
         HAVING SUM(answered + missed + scored) > 0 ORDER BY 2 DESC, 1 LIMIT {}",
        reader.pools_of(filter)?,
        filter.rows()
    );
    let mut rows = Vec::new();
    reader.each(&text, &days(filter), |row| {
        let (agent, answered, missed, talk_ms) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let (ring_ms, scored, scores): (i64, i64, i64) = (row.get(4)?, row.get(5)?, row.get(6)?);
        rows.push(Agent {
            agent,
            answered,
            missed,
            talk_ms,
            mean_talk_ms: share_of(talk_ms, answered),
            mean_ring_ms: share_of(ring_ms, answered),
            scored,
            score: share_of(scores, scored),
        });
        Ok(())
    })?;
    Ok(Agents { period: filter.period(), rows })
}

fn days(filter: &ReportFilter) -> [rusqlite::types::Value; 2] {
    [filter.since.into(), filter.until.into()]
}

/// Of two regions in ISO 3166 neither is the other or within it.
fn contradict(one: &str, other: &str) -> bool {
    let within =
        |part: &str, whole: &str| part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    !within(one, other) && !within(other, one)
}
