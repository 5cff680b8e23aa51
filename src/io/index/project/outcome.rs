//! What the end of a call adds to the figures, and what changes them afterwards: a missed caller who is reached, another
//! threshold of quality.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::tally::day;
use super::calls::{Known, is_missed, whole};
use super::{Place, Projector, Step, credit};
use crate::core::event::{CallData, Outcome};
use crate::limits;

/// Waits of missed callers until they were reached, in minutes; then more, never, and those whose number is unknown.
pub(in super::super) const REACHED_WITHIN_MIN: [i64; 6] = [5, 15, 60, 240, 1_440, 10_080];
pub(in super::super) const REACHED_LATER: i64 = 6;
pub(in super::super) const NEVER_REACHED: i64 = 7;
pub(in super::super) const NOT_REACHABLE: i64 = 8;

/// The highest ordinal that is told apart.
pub(in super::super) const ORDINALS: i64 = 10;
/// An answer within so long counts as soon.
const SOON_MS: u64 = 20_000;

/// What of a call counts.
struct Verdict {
    answered: bool,
    missed: bool,
    quality: bool,
}

impl Step<'_> {
    /// The call is over: every table of figures hears of it once.
    pub(super) fn ended(&mut self, known: &Known, data: &CallData, place: &Place) -> rusqlite::Result<()> {
        let answered = match data.outcome {
            Some(Outcome::Answered) => true,
            Some(Outcome::LostInCrash) => data.answered_at.is_some(),
            _ => false,
        };
        let missed = is_missed(data.outcome, answered);
        let quality = answered && whole(data.talk_ms) >= place.quality_ms;
        let verdict = Verdict { answered, missed, quality };
        let agent = agent(data, answered);
        let set =
            "UPDATE calls SET outcome = ?2, ended_at = ?3, is_missed = ?4, is_quality = ?5, is_waiting = ?6, agent = ?7
                   WHERE call_no = ?1 RETURNING ordinal, hour, caller_region, visitor_region, visitor_no";
        let values = params![
            known.call_no,
            data.outcome.map(Outcome::as_str),
            data.ended_at.map(|at| at.0),
            missed,
            quality,
            missed && known.caller_id.is_some(),
            agent,
        ];
        let (ordinal, hour, regions) = self.connection.prepare_cached(set)?.query_row(values, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, (row.get::<_, String>(2)?, row.get::<_, String>(3)?)))
        })?;
        let joined = self.joined(known, data)?;
        self.count_call(known, data, place, (&verdict, ordinal, joined))?;
        self.count_reach(known, place)?;
        self.credit(known, data, place, quality)?;
        self.count_pool(known, data, place, (&verdict, ordinal, hour, regions, &agent));
        self.count_confidence(known, data, place)?;
        if answered {
            self.reached(known, data, "called_again")?;
        }
        Ok(())
    }

    fn count_call(
        &mut self,
        known: &Known,
        data: &CallData,
        place: &Place,
        (verdict, ordinal, joined): (&Verdict, i64, bool),
    ) -> rusqlite::Result<()> {
        let mut row = [0.0; day::COUNT];
        let flag = |is: bool| f64::from(u8::from(is));
        row[day::CALLS] = 1.0;
        row[day::ANSWERED] = flag(verdict.answered);
        row[day::ANSWERED_SOON] = flag(verdict.answered && data.ring_ms <= SOON_MS);
        row[day::MISSED] = flag(verdict.missed);
        row[day::QUALITY] = flag(verdict.quality);
        row[day::FIRST] = flag(ordinal == 1);
        row[day::REPEAT] = flag(ordinal > 1);
        row[day::TALK_MS] = data.talk_ms as f64;
        row[day::RING_MS] = if verdict.answered { data.ring_ms as f64 } else { 0.0 };
        row[day::STATIC] = flag(known.kind == "static");
        row[day::STATIC_JOINED] = flag(joined);
        for node in self.names.nodes(self.connection, place.company.id, place.pool, known.origin_id)? {
            self.tally.days.add((node, known.day), row);
        }
        Ok(())
    }

    fn count_pool(
        &mut self,
        known: &Known,
        data: &CallData,
        place: &Place,
        (verdict, ordinal, hour, regions, agent): (&Verdict, i64, i64, (String, String), &str),
    ) {
        let flag = |is: bool| f64::from(u8::from(is));
        let (answered, missed) = (flag(verdict.answered), flag(verdict.missed));
        let ring = if verdict.answered { data.ring_ms as f64 } else { 0.0 };
        self.tally.hours.add((place.pool, known.day, hour), [1.0, answered, missed, ring]);
        self.tally.ordinals.add((place.pool, known.day, ordinal.min(ORDINALS)), [1.0]);
        self.tally.regions.add((place.pool, known.day, regions.0, regions.1), [1.0]);
        if verdict.answered && !agent.is_empty() {
            let row = [1.0, 0.0, data.talk_ms as f64, data.ring_ms as f64, 0.0, 0.0];
            self.tally.agents.add((place.pool, known.day, agent.to_owned()), row);
        }
        // Whose phone rang and who did not take it.
        for attempt in data.route.iter().flat_map(|route| &route.attempts).filter(|attempt| attempt.status != 200) {
            if attempt.ring_ms > 0 {
                let key = (place.pool, known.day, attempt.destination.clone());
                self.tally.agents.add(key, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
            }
        }
        if verdict.missed {
            let bucket = if known.caller_id.is_some() { NEVER_REACHED } else { NOT_REACHABLE };
            self.tally.reached.add((place.pool, known.day, bucket), [1.0, 0.0]);
        }
    }

    /// How sure the attribution was, and whether it was right, where a lead says who the caller is.
    fn count_confidence(&mut self, known: &Known, data: &CallData, place: &Place) -> rusqlite::Result<()> {
        let confidence = data.attribution.confidence.clamp(0.0, 1.0);
        let key = (place.pool, known.day, bin(confidence), known.kind.clone());
        self.tally.confidence.add(key, [1.0, confidence, 0.0, 0.0, 0.0]);
        let (Some(caller), Some(visitor)) = (known.caller_id, known.visitor_no) else { return Ok(()) };
        let told =
            "SELECT visitor_no FROM leads WHERE caller_id = ?1 AND visitor_no IS NOT NULL ORDER BY at DESC LIMIT 1";
        let truth: Option<i64> =
            self.connection.prepare_cached(told)?.query_row([caller], |row| row.get(0)).optional()?;
        if let Some(truth) = truth {
            self.check(known, confidence, truth == visitor)?;
        }
        Ok(())
    }

    /// Whether the attribution of a call was right has become known.
    pub(super) fn check(&mut self, known: &Known, confidence: f64, is_right: bool) -> rusqlite::Result<()> {
        let set = "UPDATE calls SET truth = ?2 WHERE call_no = ?1";
        self.connection.prepare_cached(set)?.execute(params![known.call_no, is_right])?;
        let key = (known.place_of.1, known.day, bin(confidence), known.kind.clone());
        let hit = f64::from(u8::from(is_right));
        self.tally.confidence.add(key, [0.0, 0.0, 1.0, confidence, hit]);
        Ok(())
    }

    /// The callers of missed calls have been spoken to: every one of this caller that waits.
    fn reached(&mut self, known: &Known, data: &CallData, by: &str) -> rusqlite::Result<()> {
        let Some(caller) = known.caller_id else { return Ok(()) };
        let at = data.answered_at.unwrap_or(data.started_at).0;
        self.reach_caller(caller, at, by)
    }

    /// See [`Step::reached`].
    pub(super) fn reach_caller(&mut self, caller: i64, at: i64, by: &str) -> rusqlite::Result<()> {
        let set = "UPDATE calls SET is_waiting = 0, reached_at = ?2, reached_by = ?3
                   WHERE caller_id = ?1 AND is_waiting = 1 AND started_at <= ?2
                   RETURNING pool_id, day, COALESCE(ended_at, started_at)";
        let mut statement = self.connection.prepare_cached(set)?;
        let mut rows = statement.query(params![caller, at, by])?;
        while let Some(row) = rows.next()? {
            let (pool, day, missed_at): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let waited_ms = (at - missed_at).max(0) / 1_000;
            let within = REACHED_WITHIN_MIN.iter().position(|minutes| waited_ms <= minutes * 60_000);
            let bucket = within.map_or(REACHED_LATER, |at| at as i64);
            self.tally.reached.add((pool, day, NEVER_REACHED), [-1.0, 0.0]);
            self.tally.reached.add((pool, day, bucket), [1.0, waited_ms as f64]);
        }
        Ok(())
    }

    /// A call to a static number by somebody whose visits are known; and a call that makes them known.
    fn joined(&mut self, known: &Known, data: &CallData) -> rusqlite::Result<bool> {
        let Some(caller) = known.caller_id else { return Ok(false) };
        if let (Some(visitor), true) = (known.visitor_no, data.attribution.confidence >= limits::JOIN_CONFIDENCE) {
            self.join(caller, visitor)?;
        }
        if known.kind != "static" {
            return Ok(false);
        }
        let find = "SELECT visitor_no IS NOT NULL FROM callers WHERE caller_id = ?1";
        let joined =
            self.connection.prepare_cached(find)?.query_row([caller], |row| row.get(0)).optional()? == Some(true);
        let set = "UPDATE calls SET is_joined = ?2 WHERE call_no = ?1";
        self.connection.prepare_cached(set)?.execute(params![known.call_no, joined])?;
        Ok(joined)
    }

    /// This caller is this visitor. Their calls to static numbers before are theirs, too.
    pub(super) fn join(&mut self, caller: i64, visitor: i64) -> rusqlite::Result<()> {
        let set = "UPDATE callers SET visitor_no = ?2 WHERE caller_id = ?1 AND visitor_no IS NOT ?2";
        if self.connection.prepare_cached(set)?.execute(params![caller, visitor])? == 0 {
            return Ok(());
        }
        let earlier = "UPDATE calls SET is_joined = 1 WHERE caller_id = ?1 AND kind = 'static' AND is_joined = 0
                       AND phase = 'ended' RETURNING company_id, pool_id, origin_id, day";
        let mut statement = self.connection.prepare_cached(earlier)?;
        let mut rows = statement.query([caller])?;
        while let Some(row) = rows.next()? {
            let (company, pool, origin, of): (i64, i64, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            for node in self.names.nodes(self.connection, company, pool, origin)? {
                self.tally.days.at((node, of))[day::STATIC_JOINED] += 1.0;
            }
        }
        Ok(())
    }
}

/// Pools whose threshold of quality calls is another than the one their figures were made with: only the calls between the
/// two change.
pub(super) fn reclassify(projector: &mut Projector, connection: &Connection) -> rusqlite::Result<()> {
    let of_pools = "SELECT p.pool_id, p.quality_ms, p.name, c.name FROM pools p JOIN companies c USING (company_id)";
    let mut statement = connection.prepare(of_pools)?;
    type Pool = (i64, i64, String, String);
    let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Pool> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    };
    let pools: Vec<Pool> = statement.query_map([], row)?.collect::<Result<_, _>>()?;
    for (pool, before, name, company) in pools {
        let now = projector.settings.quality_ms(&company, &name);
        if now != before {
            tracing::info!(pool = name, before, now, "another threshold of quality calls: figures are made anew");
            set_threshold(projector, connection, pool, (before, now))?;
        }
    }
    Ok(())
}

fn set_threshold(
    projector: &mut Projector,
    connection: &Connection,
    pool: i64,
    (before, now): (i64, i64),
) -> rusqlite::Result<()> {
    let (from, until) = (before.min(now), before.max(now));
    let is_quality = now < before;
    let sign = if is_quality { 1.0 } else { -1.0 };
    let find = "SELECT call_no, company_id, origin_id, day, label FROM calls WHERE pool_id = ?1 AND talk_ms >= ?2
                AND talk_ms < ?3 AND is_quality = ?4 AND phase = 'ended' AND is_missed = 0 AND answered_at IS NOT NULL";
    let mut statement = connection.prepare(find)?;
    let mut rows = statement.query(params![pool, from, until, !is_quality])?;
    while let Some(row) = rows.next()? {
        let (call_no, company, origin, of): (i64, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        for node in projector.names.nodes(connection, company, pool, origin)? {
            projector.tally.days.at((node, of))[day::QUALITY] += sign;
        }
        credit::add_quality(
            &mut projector.names,
            &mut projector.tally,
            connection,
            (call_no, company, pool, of),
            sign,
        )?;
    }
    let set =
        "UPDATE calls SET is_quality = ?4 WHERE pool_id = ?1 AND talk_ms >= ?2 AND talk_ms < ?3 AND phase = 'ended'
               AND is_missed = 0 AND answered_at IS NOT NULL";
    connection.execute(set, params![pool, from, until, is_quality])?;
    connection.execute("UPDATE pools SET quality_ms = ?2 WHERE pool_id = ?1", params![pool, now])?;
    projector.tally.flush(connection)?;
    projector.names.clear();
    Ok(())
}

/// Tenths of confidence, 0 to 9.
pub(super) fn bin(confidence: f64) -> i64 {
    ((confidence * 10.0).floor() as i64).clamp(0, 9)
}

/// Who took the call: the destination by its name, else as its URI.
fn agent(data: &CallData, answered: bool) -> String {
    if !answered {
        return String::new();
    }
    let attempts = data.route.iter().flat_map(|route| &route.attempts);
    let named = attempts.filter(|attempt| attempt.status == 200).map(|attempt| attempt.destination.clone()).next_back();
    named.or_else(|| data.forwarded_to.clone()).unwrap_or_default()
}
