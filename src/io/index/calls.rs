//! Calls: a page of them, and one whole. What a call was stands in the journal and is read from there, by the numbers of
//! its records; the index says which calls, and what is known beside their events.

mod brief;
mod detail;
mod search;

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use super::{IndexError, Reader};
use crate::core::archive::forget;
use crate::core::event::{AttributionKind, Body, CallData, Outcome, RecordingSummary};
use crate::ids::{CallId, E164};
use crate::time::Wall;

pub use brief::Brief;
pub(super) use detail::CAVEAT;
pub use detail::{CallDetail, Comment, Deal, Export, Score, Touched, Version, WebVisit};

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Neither answered nor ended.
    Ringing,
    Talking,
    Ended,
}

/// One call: the fields of CONTRACT §4, where it is, and what is known beside its events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallView {
    #[serde(flatten)]
    pub call: Arc<CallData>,
    pub phase: Phase,
    pub in_progress: bool,
    pub facts: CallFacts,
}

/// What the index makes of a call, and what people made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallFacts {
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub content: String,
    pub term: String,
    /// The first call of this caller to the company; `null` when the number is withheld.
    pub first: Option<bool>,
    /// Their how manieth call it is; 0 when the number is withheld.
    pub ordinal: i64,
    /// Talk of the pool's threshold or longer.
    pub quality: bool,
    /// Nobody of the company spoke to the caller.
    pub missed: bool,
    /// Missed, and the caller has not been spoken to since.
    pub waiting: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<Wall>,
    /// `called_again` or `called_back`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// Region of the caller's number and of the visitor's address, ISO 3166.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caller_region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub visitor_region: String,
    /// A call to a static number by somebody whose visits to the site are known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// Who called was taken out on somebody's wish.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
}

/// Which calls to list; all that is given must hold. The fields are the query of `GET /v1/calls`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Companies that may be seen at all; none: every one.
    #[serde(skip)]
    pub scope: Option<Vec<String>>,
    pub company: Option<String>,
    pub pool: Option<String>,
    /// The tracking number; only its digits are compared.
    pub number: Option<String>,
    /// Likewise.
    pub caller: Option<String>,
    /// Digits: part of the number or of the caller. Other text: part of the caller's name, of a label, of a comment, of the
    /// agent, or of where the call came from.
    pub q: Option<String>,
    pub outcome: Option<Outcome>,
    /// Started at or after.
    pub since: Option<Wall>,
    /// Started before.
    pub until: Option<Wall>,
    /// Kind of attribution.
    pub attribution: Option<AttributionKind>,
    pub visitor_id: Option<String>,
    /// As the visit was classified, or of the static channel; letters' case does not matter.
    pub source: Option<String>,
    pub medium: Option<String>,
    pub campaign: Option<String>,
    pub content: Option<String>,
    pub term: Option<String>,
    pub in_progress: Option<bool>,
    /// Of this label; empty: without one.
    pub label: Option<String>,
    pub quality: Option<bool>,
    /// The caller's first call, or not.
    pub first: Option<bool>,
    /// At least so sure, 0 to 1,
    pub confidence_min: Option<f64>,
    /// and less than this.
    pub confidence_max: Option<f64>,
    /// Of the caller: `GB` is also `GB-LND`.
    pub region: Option<String>,
    /// Talk of so many seconds or more,
    pub talk_min: Option<u64>,
    /// and less than this.
    pub talk_max: Option<u64>,
    pub missed: Option<bool>,
    /// Missed, and the caller has not been spoken to since.
    pub waiting: Option<bool>,
    pub agent: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<CallId>,
    /// Calls on the page, at most [`crate::limits::CALLS_PAGE`]; default 50.
    pub limit: Option<usize>,
}

/// A page of calls, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    pub calls: Vec<CallView>,
    /// `cursor` of the next page; `None`: this is the last one. A page that a rare filter left short may have one, too.
    pub next: Option<CallId>,
}

/// A row, and where the rest of it stands.
#[derive(Clone, Debug)]
struct Found {
    call_no: i64,
    call_id: CallId,
    phase: Phase,
    facts: CallFacts,
    state_seq: i64,
    sealed_seq: Option<i64>,
    is_erased: bool,
    /// For a record that cannot be read any more.
    company: String,
    pool: String,
    number: String,
    started_at: i64,
    ended_at: Option<i64>,
    talk_ms: i64,
}

/// Columns of [`Found`], of `calls c` with `origins o`, `companies m` and `pools p`.
const COLUMNS: &str = "c.call_no, c.call_id, c.phase, o.source, o.medium, o.campaign, o.content, o.term, c.ordinal,
  c.is_quality, c.is_missed, c.is_waiting, c.reached_at, c.reached_by, c.label, c.score, c.agent, c.caller_region,
  c.visitor_region, c.is_joined, c.is_forgotten, c.state_seq, c.sealed_seq, c.is_erased, m.name, p.name, c.number,
  c.started_at, c.ended_at, c.talk_ms";
const JOINS: &str = "JOIN origins o ON o.origin_id = c.origin_id JOIN companies m ON m.company_id = c.company_id
  JOIN pools p ON p.pool_id = c.pool_id";

impl Reader<'_> {
    /// A page of calls.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn calls(&self, filter: &Filter) -> Result<Page, IndexError> {
        let (found, next) = self.search(filter)?;
        let calls = found.into_iter().map(|found| self.view(found)).collect::<Result<_, _>>()?;
        Ok(Page { calls, next })
    }

    /// One call.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn call(&self, call: CallId) -> Result<Option<CallView>, IndexError> {
        self.find(call)?.map(|found| self.view(found)).transpose()
    }

    /// There was, or is, such a call.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn knows(&self, call: CallId) -> Result<bool, IndexError> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM calls WHERE call_id = ?1")?;
        Ok(statement.exists([call.to_string()])?)
    }

    fn find(&self, call: CallId) -> Result<Option<Found>, IndexError> {
        let text = format!("SELECT {COLUMNS} FROM calls c {JOINS} WHERE c.call_id = ?1");
        let mut statement = self.connection.prepare_cached(&text)?;
        Ok(statement.query_row([call.to_string()], found).optional()?)
    }

    /// The call as its newest event tells it, with what came later laid over it.
    fn view(&self, found: Found) -> Result<CallView, IndexError> {
        let told = match self.body(found.state_seq)? {
            Some(Body::CallStarted(call) | Body::CallAnswered(call) | Body::CallEnded(call)) => Some(*call),
            _ => None,
        };
        let unreadable = || IndexError::Journal(std::io::Error::other("the record of a call is gone"));
        let mut call = told.or_else(|| found.rest()).ok_or_else(unreadable)?;
        if let Some(seq) = found.sealed_seq.filter(|seq| *seq > found.state_seq)
            && let Some(Body::RecordingSealed(sealed) | Body::RecordingRecovered(sealed)) = self.body(seq)?
        {
            call.recording = Some(sealed.recording);
        }
        if found.is_erased {
            let recording = call.recording.get_or_insert_with(RecordingSummary::default);
            (recording.path, recording.reason) = (None, Some("erased".to_owned()));
        }
        if found.facts.forgotten {
            forget::call(&mut call);
        }
        let in_progress = found.phase != Phase::Ended;
        Ok(CallView { call: Arc::new(call), phase: found.phase, in_progress, facts: found.facts })
    }

    fn body(&self, seq: i64) -> Result<Option<Body>, IndexError> {
        let record = self.journal.get(u64::try_from(seq).unwrap_or(0))?;
        Ok(record.and_then(|record| Some(record.event().ok()?.1.body)))
    }
}

impl Found {
    /// What the index alone knows: the journal's record is damaged.
    fn rest(&self) -> Option<CallData> {
        let number = E164::parse(&self.number)?;
        Some(CallData {
            company: self.company.clone(),
            pool: self.pool.clone(),
            ended_at: self.ended_at.map(Wall),
            talk_ms: u64::try_from(self.talk_ms).unwrap_or(0),
            reason: Some("journal_damaged".to_owned()),
            ..CallData::new(self.call_id, number, crate::core::event::Attribution::default(), Wall(self.started_at))
        })
    }
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let ordinal: i64 = row.get(8)?;
    let phase = match row.get_ref(2)?.as_str()? {
        "ended" => Phase::Ended,
        "talking" => Phase::Talking,
        _ => Phase::Ringing,
    };
    let facts = CallFacts {
        source: row.get(3)?,
        medium: row.get(4)?,
        campaign: row.get(5)?,
        content: row.get(6)?,
        term: row.get(7)?,
        first: (ordinal > 0).then_some(ordinal == 1),
        ordinal,
        quality: row.get(9)?,
        missed: row.get(10)?,
        waiting: row.get(11)?,
        reached_at: row.get::<_, Option<i64>>(12)?.map(Wall),
        reached_by: row.get(13)?,
        label: row.get(14)?,
        score: row.get(15)?,
        agent: row.get(16)?,
        caller_region: row.get(17)?,
        visitor_region: row.get(18)?,
        joined: row.get(19)?,
        forgotten: row.get(20)?,
    };
    Ok(Found {
        call_no: row.get(0)?,
        call_id: row.get::<_, String>(1)?.parse().unwrap_or(CallId(0)),
        phase,
        facts,
        state_seq: row.get(21)?,
        sealed_seq: row.get(22)?,
        is_erased: row.get(23)?,
        company: row.get(24)?,
        pool: row.get(25)?,
        number: row.get(26)?,
        started_at: row.get(27)?,
        ended_at: row.get(28)?,
        talk_ms: row.get(29)?,
    })
}
