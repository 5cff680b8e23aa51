//! Which visits deserve the credit for a call. The visits are copied beside the call when it ends, without who made them,
//! so that the figures can be made again from them whatever is erased later.

use rusqlite::{Connection, params};
use smallvec::SmallVec;

use super::super::names::{LEVELS, Names, Origin};
use super::super::tally::Tally;
use super::calls::Known;
use super::{Place, Step};
use crate::core::credit::{Model, Touch};
use crate::core::event::{AttributionKind, CallData};
use crate::limits;

/// Days before the call from which visits may have credit.
pub(in super::super) const LOOK_BACKS: [i64; 3] = [7, 30, 90];

/// One of those who may have called: how probable, and their visits, oldest first: origin and seconds before the call.
type Path = (f64, Vec<(i64, i64)>);

impl Step<'_> {
    /// Keeps the paths of a call that has ended, and shares out its credit.
    pub(super) fn credit(
        &mut self,
        known: &Known,
        data: &CallData,
        place: &Place,
        quality: bool,
    ) -> rusqlite::Result<()> {
        let paths = self.paths(known, data, place)?;
        let add =
            "INSERT INTO touches (call_no, part, place, share, origin_id, before_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT DO NOTHING";
        let mut statement = self.connection.prepare_cached(add)?;
        for (part, (share, touches)) in paths.iter().enumerate() {
            for (at, (origin, before_s)) in touches.iter().enumerate() {
                statement.execute(params![known.call_no, part as i64, at as i64, share, origin, before_s])?;
            }
        }
        let call = (place.company.id, place.pool, known.day);
        share_out(self.names, self.tally, self.connection, call, &paths, (false, 1.0))?;
        if quality {
            share_out(self.names, self.tally, self.connection, call, &paths, (true, 1.0))?;
        }
        Ok(())
    }

    /// Everybody who may have called; what is left of certainty is nobody's.
    fn paths(&mut self, known: &Known, data: &CallData, place: &Place) -> rusqlite::Result<Vec<Path>> {
        let attribution = &data.attribution;
        let unknown = self.names.origin(self.connection, &Origin::unknown())?;
        if attribution.kind == AttributionKind::Static {
            return Ok(vec![(1.0, vec![(known.origin_id, 0)])]);
        }
        let mut shares: SmallVec<[(&str, f64); 8]> = attribution
            .candidates
            .iter()
            .take(limits::INDEX_CANDIDATES)
            .map(|candidate| (candidate.visitor_id.as_str(), candidate.probability))
            .filter(|(_, share)| *share > 0.0)
            .collect();
        if shares.is_empty()
            && let Some(visitor) = &attribution.visitor_id
        {
            shares.push((visitor, attribution.confidence));
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        let scale = if sum > 1.0 { sum.recip() } else { 1.0 };
        let mut paths = Vec::new();
        let mut left = 1.0;
        for (visitor, share) in shares {
            let share = (share * scale).min(left);
            let mut touches = self.touches(place.company.id, visitor, known.started_at)?;
            if touches.is_empty() && attribution.visitor_id.as_deref() == Some(visitor) {
                // The visit is in another node's journal: what the call says of it.
                touches.push((known.origin_id, 0));
            }
            if !touches.is_empty() && share > 0.0 {
                paths.push((share, touches));
                left -= share;
            }
        }
        if left > 1e-9 {
            paths.push((left, vec![(unknown, 0)]));
        } else if let Some((share, _)) = paths.last_mut() {
            // Rounding is somebody's.
            *share += left;
        }
        Ok(paths)
    }

    /// Visits of somebody before the call, under whichever of their ids, oldest first: the newest of them, within the
    /// longest look-back.
    fn touches(&mut self, company: i64, visitor: &str, call: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
        let find = "WITH RECURSIVE person (no) AS (
                      SELECT visitor_no FROM visitors WHERE company_id = ?1 AND visitor_id = ?2
                      UNION SELECT j.other_no FROM person p JOIN visitor_joins j ON j.visitor_no = p.no LIMIT ?6)
                    SELECT v.origin_id, (?3 - v.started_at) / 1000000 FROM visits v
                    WHERE v.visitor_no IN (SELECT no FROM person) AND v.started_at <= ?3 AND v.started_at > ?3 - ?4
                    ORDER BY v.started_at DESC LIMIT ?5";
        let longest = LOOK_BACKS[LOOK_BACKS.len() - 1] * 86_400_000_000;
        let mut statement = self.connection.prepare_cached(find)?;
        let (most, ids) = (limits::INDEX_TOUCHES as i64, limits::VISITOR_IDS as i64);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let mut touches: Vec<(i64, i64)> =
            statement.query_map(params![company, visitor, call, longest, most, ids], row)?.collect::<Result<_, _>>()?;
        touches.reverse();
        Ok(touches)
    }
}

/// Gives the quality credit of a call, or takes it back, from the paths that were kept.
pub(super) fn add_quality(
    names: &mut Names,
    tally: &mut Tally,
    connection: &Connection,
    (call_no, company, pool, day): (i64, i64, i64, i64),
    sign: f64,
) -> rusqlite::Result<()> {
    let find = "SELECT part, share, origin_id, before_s FROM touches WHERE call_no = ?1 ORDER BY part, place";
    let mut statement = connection.prepare_cached(find)?;
    let mut rows = statement.query([call_no])?;
    let mut paths: Vec<Path> = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let part: i64 = row.get(0)?;
        if last.replace(part) != Some(part) {
            paths.push((row.get(1)?, Vec::new()));
        }
        if let Some((_, touches)) = paths.last_mut() {
            touches.push((row.get(2)?, row.get(3)?));
        }
    }
    share_out(names, tally, connection, (company, pool, day), &paths, (true, sign))
}

/// Adds the credit of every model and look-back to the nodes, so that each call is one, whatever the model.
fn share_out(
    names: &mut Names,
    tally: &mut Tally,
    connection: &Connection,
    (company, pool, day): (i64, i64, i64),
    paths: &[Path],
    (quality, sign): (bool, f64),
) -> rusqlite::Result<()> {
    let unknown = names.origin(connection, &Origin::unknown())?;
    for days in LOOK_BACKS {
        for (share, touches) in paths {
            let from = touches.partition_point(|(_, before_s)| *before_s > days * 86_400);
            let within = &touches[from..];
            let within = if within.is_empty() { &[(unknown, 0)][..] } else { within };
            let mut seen: SmallVec<[Touch; 8]> = SmallVec::new();
            for (origin, before_s) in within {
                seen.push(Touch { before_s: *before_s, is_direct: names.is_direct(connection, *origin)? });
            }
            let mut credit = vec![[0.0; Model::ALL.len()]; within.len()];
            for (at, model) in Model::ALL.into_iter().enumerate() {
                for (credit, of_visit) in credit.iter_mut().zip(model.shares(&seen)) {
                    credit[at] = of_visit * share * sign;
                }
            }
            for ((origin, _), credit) in within.iter().zip(credit) {
                let nodes = names.nodes(connection, company, pool, *origin)?;
                debug_assert_eq!(nodes.len(), 2 * (LEVELS + 1));
                for node in nodes {
                    tally.credit.add((node, day, days, i64::from(quality)), credit);
                }
            }
        }
    }
    Ok(())
}
