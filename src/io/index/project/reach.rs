//! How many different people there were: visitors and callers, of any days put together, without counting anybody twice.
//!
//! Sums of days cannot be added up for that. So each person counts on a day together with the day on which they were seen
//! before in the same place of the tree: those of the days from a to b are the ones whose day before lies before a. That is
//! exact for every span of days and every place.

use rusqlite::params;

use super::super::names::Nodes;
use super::calls::Known;
use super::{Place, Step};
use crate::limits;

/// Never seen there before.
pub(in super::super) const NEVER: i64 = -1;
const VISITORS: usize = 0;
const CALLERS: usize = 1;

/// A sight of somebody before: pool, origin, day.
type Sight = (i64, i64, i64);

impl Step<'_> {
    /// A caller has called.
    pub(super) fn count_reach(&mut self, known: &Known, place: &Place) -> rusqlite::Result<()> {
        let Some(caller) = known.caller_id else { return Ok(()) };
        let earlier =
            "SELECT pool_id, origin_id, day FROM calls WHERE caller_id = ?1 AND call_no <> ?2 AND phase = 'ended'
                       ORDER BY started_at DESC LIMIT ?3";
        let sights = self.sights(earlier, caller, known.call_no)?;
        self.reach(place, (known.origin_id, known.day), &sights, CALLERS)
    }

    /// A visitor has come.
    pub(super) fn count_visitor(
        &mut self,
        visitor: i64,
        visit: i64,
        place: &Place,
        at: (i64, i64),
    ) -> rusqlite::Result<()> {
        let earlier = "SELECT pool_id, origin_id, day FROM visits WHERE visitor_no = ?1 AND visit_no <> ?2
                       ORDER BY started_at DESC LIMIT ?3";
        let sights = self.sights(earlier, visitor, visit)?;
        self.reach(place, at, &sights, VISITORS)
    }

    fn sights(&self, earlier: &str, person: i64, but: i64) -> rusqlite::Result<Vec<Sight>> {
        let mut statement = self.connection.prepare_cached(earlier)?;
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Sight> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
        statement.query_map(params![person, but, limits::INDEX_SIGHTS as i64], row)?.collect()
    }

    fn reach(
        &mut self,
        place: &Place,
        (origin, day): (i64, i64),
        sights: &[Sight],
        who: usize,
    ) -> rusqlite::Result<()> {
        let nodes = self.names.nodes(self.connection, place.company.id, place.pool, origin)?;
        let mut before: [Option<i64>; size_of::<Nodes>() / size_of::<i64>()] = Default::default();
        for (pool, origin, day) in sights {
            let then = self.names.nodes(self.connection, place.company.id, *pool, *origin)?;
            for (at, before) in before.iter_mut().enumerate() {
                if before.is_none() && then[at] == nodes[at] {
                    *before = Some(*day);
                }
            }
            if before.iter().all(Option::is_some) {
                break;
            }
        }
        for (node, before) in nodes.into_iter().zip(before) {
            // Twice on one day is once; so is a clock that went back.
            if before.is_none_or(|before| before < day) {
                self.tally.reach.at((node, day, before.unwrap_or(NEVER)))[who] += 1.0;
            }
        }
        Ok(())
    }
}
