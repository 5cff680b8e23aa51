//! Calls: one row each, from the first event to what is known after the end.

use rusqlite::{OptionalExtension, params};

use super::super::names::Origin;
use super::{Place, Step};
use crate::core::archive::forget;
use crate::core::event::{AttributionKind, CallData, ErasedData, Outcome, RecordingData, RecordingState};
use crate::core::number;
use crate::ids::{CallId, E164};
use crate::limits;

/// Where a call is; as the column has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Ringing,
    Talking,
    Ended,
}

/// What of a call's row the projector goes by.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) call_no: i64,
    pub(super) place_of: (i64, i64),
    pub(super) caller_id: Option<i64>,
    pub(super) visitor_no: Option<i64>,
    pub(super) origin_id: i64,
    pub(super) kind: String,
    pub(super) day: i64,
    pub(super) started_at: i64,
    pub(super) label: Option<String>,
    pub(super) agent: String,
    pub(super) is_ended: bool,
}

/// The caller as a person of the company's.
struct Caller {
    id: i64,
    /// Their how manieth call this is.
    ordinal: i64,
}

impl Phase {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Phase::Ringing => "ringing",
            Phase::Talking => "talking",
            Phase::Ended => "ended",
        }
    }
}

impl Step<'_> {
    /// `call.started`, `.answered` or `.ended`. An end stays an end, whatever comes after it.
    pub(super) fn call(&mut self, data: &CallData, phase: Phase) -> rusqlite::Result<()> {
        let place = self.place(&data.company, &data.pool)?;
        let known = match self.mention(data.call_id)? {
            Some(known) => known,
            None => self.first_seen(data, &place)?,
        };
        if known.is_ended {
            return Ok(());
        }
        self.attribute(&known, data, &place)?;
        let set = "UPDATE calls SET phase = ?2, answered_at = ?3, ring_ms = ?4, talk_ms = ?5, state_seq = ?6,
                   recording = COALESCE(?7, recording) WHERE call_no = ?1";
        self.connection.prepare_cached(set)?.execute(params![
            known.call_no,
            phase.as_str(),
            data.answered_at.map(|at| at.0),
            whole(data.ring_ms),
            whole(data.talk_ms),
            self.seq,
            data.recording.as_ref().map(|recording| state(recording.state)),
        ])?;
        if phase == Phase::Ended {
            // Who is calling may have been made out after the first event.
            let known = self.known(data.call_id)?.unwrap_or(known);
            self.ended(&known, data, &place)?;
        }
        Ok(())
    }

    /// A record of a call's: remembered by its number. `None`: no call of this id is known.
    pub(super) fn mention(&mut self, call: CallId) -> rusqlite::Result<Option<Known>> {
        let Some(known) = self.known(call)? else { return Ok(None) };
        let add = "INSERT INTO call_events (call_no, seq)
                   SELECT ?1, ?2 WHERE (SELECT COUNT(*) FROM call_events WHERE call_no = ?1) < ?3
                   ON CONFLICT DO NOTHING";
        let most = limits::CALL_EVENTS as i64;
        self.connection.prepare_cached(add)?.execute(params![known.call_no, self.seq, most])?;
        Ok(Some(known))
    }

    pub(super) fn known(&self, call: CallId) -> rusqlite::Result<Option<Known>> {
        let find =
            "SELECT call_no, company_id, pool_id, caller_id, visitor_no, origin_id, kind, day, started_at, label,
                    agent, phase FROM calls WHERE call_id = ?1";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Known {
                call_no: row.get(0)?,
                place_of: (row.get(1)?, row.get(2)?),
                caller_id: row.get(3)?,
                visitor_no: row.get(4)?,
                origin_id: row.get(5)?,
                kind: row.get(6)?,
                day: row.get(7)?,
                started_at: row.get(8)?,
                label: row.get(9)?,
                agent: row.get(10)?,
                is_ended: row.get::<_, String>(11)? == Phase::Ended.as_str(),
            })
        };
        self.connection.prepare_cached(find)?.query_row([call.to_string()], row).optional()
    }

    fn first_seen(&mut self, data: &CallData, place: &Place) -> rusqlite::Result<Known> {
        let call_no = self.names.next(self.connection, "calls", "call_no")?;
        let (day, hour) = place.company.calendar.day_and_hour(data.started_at);
        let unknown = self.names.origin(self.connection, &Origin::unknown())?;
        let region = self.region(data);
        let caller = self.caller(data, place, &region, unknown)?;
        let add = "INSERT INTO calls (call_no, call_id, company_id, pool_id, number, caller_id, caller_name,
                   origin_id, kind,
                   method, confidence, contention, trunk, phase, started_at, day, hour, ring_ms, talk_ms, is_missed,
                   is_quality, is_waiting, ordinal, caller_region, visitor_region, agent, recording, is_joined,
                   first_seq,
                   state_seq, is_erased, is_forgotten)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', '', 0, ?9, ?10, 'ringing', ?11, ?12, ?13, 0, 0, 0, 0, 0,
                   ?14, ?15, '', '', 'off', 0, ?16, ?16, 0, 0)";
        self.connection.prepare_cached(add)?.execute(params![
            call_no,
            data.call_id.to_string(),
            place.company.id,
            place.pool,
            data.number.as_str(),
            caller.as_ref().map(|caller| caller.id),
            data.caller_name,
            unknown,
            i64::from(data.attribution.contention),
            data.trunk,
            data.started_at.0,
            day,
            hour,
            caller.as_ref().map_or(0, |caller| caller.ordinal),
            region,
            self.seq,
        ])?;
        let known = Known {
            call_no,
            place_of: (place.company.id, place.pool),
            caller_id: caller.map(|caller| caller.id),
            visitor_no: None,
            origin_id: unknown,
            kind: String::new(),
            day,
            started_at: data.started_at.0,
            label: None,
            agent: String::new(),
            is_ended: false,
        };
        self.mention(data.call_id)?;
        Ok(known)
    }

    /// Where the number is from: as the attribution found, else as its numbering plan says.
    fn region(&self, data: &CallData) -> String {
        let found = data.attribution.caller_region.clone();
        let plan = || data.caller.as_deref().and_then(E164::parse).and_then(|number| number::region(&number));
        found.or_else(plan).unwrap_or_default()
    }

    /// The caller's row, one call more in it; none when the number is withheld.
    fn caller(
        &mut self,
        data: &CallData,
        place: &Place,
        region: &str,
        origin: i64,
    ) -> rusqlite::Result<Option<Caller>> {
        let Some(phone) = data.caller.as_deref().filter(|phone| !phone.is_empty()) else { return Ok(None) };
        let id = self.caller_of(place.company.id, phone, region, origin, data.started_at.0)?;
        let count = "UPDATE callers SET calls = calls + 1, last_at = ?2, name = COALESCE(?3, name) WHERE caller_id = ?1
                     RETURNING calls";
        let set = params![id, data.started_at.0, data.caller_name];
        let ordinal = self.connection.prepare_cached(count)?.query_row(set, |row| row.get(0))?;
        Ok(Some(Caller { id, ordinal }))
    }

    /// The row of this number; made where there is none.
    pub(super) fn caller_of(
        &mut self,
        company: i64,
        phone: &str,
        region: &str,
        origin: i64,
        at: i64,
    ) -> rusqlite::Result<i64> {
        let find = "SELECT caller_id FROM callers WHERE company_id = ?1 AND phone = ?2";
        let known: Option<i64> =
            self.connection.prepare_cached(find)?.query_row(params![company, phone], |row| row.get(0)).optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.names.next(self.connection, "callers", "caller_id")?;
        let add = "INSERT INTO callers (caller_id, company_id, phone, region, origin_id, first_at, last_at, calls)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0)";
        self.connection.prepare_cached(add)?.execute(params![id, company, phone, region, origin, at])?;
        Ok(id)
    }

    /// Who is calling, when this says something new: a version of it is kept, and the row shows the newest.
    fn attribute(&mut self, known: &Known, data: &CallData, place: &Place) -> rusqlite::Result<()> {
        let attribution = &data.attribution;
        let origin = self.names.origin(self.connection, &Origin::of_call(attribution))?;
        let kind = match attribution.kind {
            AttributionKind::Visitor => "visitor",
            AttributionKind::Static => "static",
            AttributionKind::None => "none",
        };
        let visitor = match &attribution.visitor_id {
            Some(id) => Some(self.visitor(place.company.id, id, data.started_at.0)?),
            None => None,
        };
        let newest = "SELECT kind, method, confidence, origin_id, visitor_no FROM attributions WHERE call_no = ?1
                      ORDER BY seq DESC LIMIT 1";
        type Version = (String, String, f64, i64, Option<i64>);
        let same = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Version> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        };
        let before = self.connection.prepare_cached(newest)?.query_row([known.call_no], same).optional()?;
        let now = (kind.to_owned(), attribution.method.clone(), attribution.confidence, origin, visitor);
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        let add = "INSERT INTO attributions (call_no, seq, at, kind, method, confidence, model, origin_id, visitor_no)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (call_no, seq) DO NOTHING";
        self.connection.prepare_cached(add)?.execute(params![
            known.call_no,
            self.seq,
            self.at.0,
            kind,
            attribution.method,
            attribution.confidence,
            attribution.model,
            origin,
            visitor,
        ])?;
        let visit = match &attribution.lease_id {
            Some(lease) => self.visit_of_lease(&lease.to_string())?,
            None => None,
        };
        let (visit_no, region) = visit.map_or((None, String::new()), |(no, region)| (Some(no), region));
        let set =
            "UPDATE calls SET kind = ?2, method = ?3, confidence = ?4, origin_id = ?5, visitor_no = ?6, visit_no = ?7,
                   visitor_region = ?8 WHERE call_no = ?1";
        self.connection.prepare_cached(set)?.execute(params![
            known.call_no,
            kind,
            attribution.method,
            attribution.confidence,
            origin,
            visitor,
            visit_no,
            region,
        ])?;
        let first = "UPDATE callers SET origin_id = ?2 WHERE caller_id = ?1 AND calls = 1";
        self.connection.prepare_cached(first)?.execute(params![known.caller_id, origin])?;
        Ok(())
    }

    pub(super) fn sealed(&mut self, sealed: &RecordingData) -> rusqlite::Result<()> {
        let Some(known) = self.mention(sealed.call_id)? else { return Ok(()) };
        let set = "UPDATE calls SET recording = ?2, sealed_seq = ?3 WHERE call_no = ?1";
        let state = state(sealed.recording.state);
        self.connection.prepare_cached(set)?.execute(params![known.call_no, state, self.seq])?;
        Ok(())
    }

    /// The recording is gone; when that was somebody's wish, so is all that says who called.
    pub(super) fn erased(&mut self, erased: &ErasedData) -> rusqlite::Result<()> {
        let detail = format!("{} {}", erased.why, erased.file.as_deref().unwrap_or_default());
        self.audit("erased", &erased.by, &erased.call_id.to_string(), detail.trim())?;
        let Some(known) = self.mention(erased.call_id)? else { return Ok(()) };
        let set = "UPDATE calls SET recording = 'off', is_erased = 1 WHERE call_no = ?1";
        self.connection.prepare_cached(set)?.execute([known.call_no])?;
        if forget::is_wish(erased) {
            self.forget(&known)?;
        }
        Ok(())
    }

    /// Takes out who called. Figures stay: they say of nobody who it was. A caller or a visitor with no other call is gone
    /// with all that is known of them.
    fn forget(&mut self, known: &Known) -> rusqlite::Result<()> {
        *self.has_forgotten = true;
        let call =
            "UPDATE calls SET caller_id = NULL, caller_name = NULL, visitor_no = NULL, visit_no = NULL, is_waiting = 0,
                    is_forgotten = 1 WHERE call_no = ?1";
        self.connection.prepare_cached(call)?.execute([known.call_no])?;
        self.connection
            .prepare_cached("UPDATE attributions SET visitor_no = NULL WHERE call_no = ?1")?
            .execute([known.call_no])?;
        self.connection.prepare_cached("DELETE FROM comments WHERE call_no = ?1")?.execute([known.call_no])?;
        if let Some(caller) = known.caller_id {
            let last = "SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE caller_id = ?1 LIMIT 1)";
            if self.connection.prepare_cached(last)?.query_row([caller], |row| row.get::<_, i64>(0))? == 0 {
                let leads = "UPDATE leads SET caller_id = NULL, visitor_no = NULL, email = NULL, name = NULL
                             WHERE caller_id = ?1";
                self.connection.prepare_cached(leads)?.execute([caller])?;
                self.connection.prepare_cached("DELETE FROM callers WHERE caller_id = ?1")?.execute([caller])?;
            }
        }
        if let Some(visitor) = known.visitor_no {
            let last = "SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE visitor_no = ?1 LIMIT 1)";
            if self.connection.prepare_cached(last)?.query_row([visitor], |row| row.get::<_, i64>(0))? == 0 {
                self.forget_visitor(visitor)?;
            }
        }
        Ok(())
    }
}

pub(super) fn whole(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

/// Nobody of the company spoke to the caller, and somebody should have.
pub(super) fn is_missed(outcome: Option<Outcome>, answered: bool) -> bool {
    match outcome {
        Some(Outcome::NoAnswer | Outcome::Busy | Outcome::Cancelled | Outcome::Failed | Outcome::Voicemail) => true,
        Some(Outcome::LostInCrash) => !answered,
        Some(Outcome::Answered | Outcome::Rejected) | None => false,
    }
}

fn state(state: RecordingState) -> &'static str {
    match state {
        RecordingState::Complete => "complete",
        RecordingState::Degraded => "degraded",
        RecordingState::Failed => "failed",
        RecordingState::Off => "off",
    }
}
