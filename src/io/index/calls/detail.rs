//! One call whole: its events from the journal, every version of who called, the visits before it, and what people did
//! with it.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use super::CallView;
use crate::core::archive::forget;
use crate::ids::CallId;
use crate::io::index::{IndexError, Reader};
use crate::limits;
use crate::time::Wall;

/// What must be known about visits that are joined to a call to a static number.
pub(in super::super) const CAVEAT: &str = "A static number says which advertisement was seen, not who saw it. These visits \
    were joined by the caller's number: another call or a form with the same number came from them. They may be of somebody \
    else, and people who saw the advertisement and came by a search are not among them.";

/// One call with its events as they are in the journal, and all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct CallDetail {
    #[serde(flatten)]
    pub view: CallView,
    /// CloudEvents objects, oldest first.
    pub events: Vec<Value>,
    /// Who called, as it was decided, oldest first.
    pub attributions: Vec<Version>,
    /// Visits before the call that share its credit, oldest first, of everybody who may have called.
    pub touches: Vec<Touched>,
    pub comments: Vec<Comment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scorecard: Option<Score>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal: Option<Deal>,
    pub exports: Vec<Export>,
    /// Visits of somebody who called a static number, joined by the caller's number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub web_visits: Vec<WebVisit>,
    /// What must be known about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caveat: Option<&'static str>,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    pub at: Wall,
    pub kind: String,
    pub method: String,
    pub confidence: f64,
    pub model: String,
    pub source: String,
    pub medium: String,
    pub campaign: String,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Touched {
    /// Counts the people who may have called, the likeliest first, from 0.
    pub person: i64,
    /// How probable it is that it was them.
    pub probability: f64,
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub content: String,
    pub term: String,
    /// Seconds before the call.
    pub before_s: i64,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comment {
    pub comment_id: String,
    pub by: String,
    pub at: Wall,
    /// Place in the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
    pub text: String,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub by: String,
    pub at: Wall,
    pub agent: String,
    pub score: i64,
    /// Criterion to points.
    pub card: Value,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deal {
    pub deal_id: String,
    pub at: Wall,
    pub by: String,
    pub stage: String,
    /// In minor units.
    pub value: i64,
    pub currency: String,
    /// The call at which it counts in reports.
    pub counted_here: bool,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Export {
    pub destination: String,
    pub delivery_id: String,
    pub action: String,
    /// `sent`, `rejected`, `linked` or `retracted`.
    pub state: String,
    pub status: String,
    pub detail: String,
    pub at: Wall,
}

/// See [`CallDetail`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebVisit {
    pub visitor_id: String,
    pub at: Wall,
    pub after_the_call: bool,
    pub source: String,
    pub medium: String,
    pub campaign: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_page: Option<String>,
}

impl Reader<'_> {
    /// One call with all that is known of it.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn detail(&self, call: CallId) -> Result<Option<CallDetail>, IndexError> {
        let Some(found) = self.find(call)? else { return Ok(None) };
        let (no, started_at) = (found.call_no, found.started_at);
        let view = self.view(found)?;
        let events = self.events(no, view.facts.forgotten)?;
        let web_visits = if view.facts.joined { self.web_visits(no, started_at)? } else { Vec::new() };
        Ok(Some(CallDetail {
            events,
            attributions: self.versions(no)?,
            touches: self.touched(no)?,
            comments: self.comments(no)?,
            scorecard: self.scorecard(no)?,
            deal: self.deal(no)?,
            exports: self.exports_of(no)?,
            caveat: (!web_visits.is_empty()).then_some(CAVEAT),
            web_visits,
            view,
        }))
    }

    fn events(&self, call: i64, forgotten: bool) -> Result<Vec<Value>, IndexError> {
        let seqs = self.ids("SELECT seq FROM call_events WHERE call_no = ? ORDER BY seq", &[call.into()])?;
        let mut events = Vec::new();
        for seq in seqs {
            let Some(record) = self.journal.get(u64::try_from(seq).unwrap_or(0))? else { continue };
            let mut event = serde_json::from_str(&record.event).map_err(std::io::Error::from)?;
            if forgotten {
                forget::event(&mut event);
            }
            events.push(event);
        }
        Ok(events)
    }

    fn versions(&self, call: i64) -> Result<Vec<Version>, IndexError> {
        let text = "SELECT a.at, a.kind, a.method, a.confidence, a.model, o.source, o.medium, o.campaign
                    FROM attributions a JOIN origins o USING (origin_id) WHERE a.call_no = ?1 ORDER BY a.seq";
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map([call], |row| {
            Ok(Version {
                at: Wall(row.get(0)?),
                kind: row.get(1)?,
                method: row.get(2)?,
                confidence: row.get(3)?,
                model: row.get(4)?,
                source: row.get(5)?,
                medium: row.get(6)?,
                campaign: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn touched(&self, call: i64) -> Result<Vec<Touched>, IndexError> {
        let text = "SELECT t.part, t.share, o.source, o.medium, o.campaign, o.content, o.term, t.before_s
                    FROM touches t JOIN origins o USING (origin_id) WHERE t.call_no = ?1 ORDER BY t.part, t.place";
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map([call], |row| {
            Ok(Touched {
                person: row.get(0)?,
                probability: row.get(1)?,
                source: row.get(2)?,
                medium: row.get(3)?,
                campaign: row.get(4)?,
                content: row.get(5)?,
                term: row.get(6)?,
                before_s: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn comments(&self, call: i64) -> Result<Vec<Comment>, IndexError> {
        let text =
            "SELECT comment_id, by_user, at, at_ms, body FROM comments WHERE call_no = ?1 ORDER BY at, comment_id";
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map([call], |row| {
            let (comment_id, by, at) = (row.get(0)?, row.get(1)?, Wall(row.get(2)?));
            Ok(Comment { comment_id, by, at, at_ms: row.get(3)?, text: row.get(4)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn scorecard(&self, call: i64) -> Result<Option<Score>, IndexError> {
        let text = "SELECT by_user, at, agent, score, card FROM scores WHERE call_no = ?1";
        let score = |row: &rusqlite::Row<'_>| {
            let card: String = row.get(4)?;
            Ok(Score {
                by: row.get(0)?,
                at: Wall(row.get(1)?),
                agent: row.get(2)?,
                score: row.get(3)?,
                card: serde_json::from_str(&card).unwrap_or_default(),
            })
        };
        Ok(self.connection.prepare_cached(text)?.query_row([call], score).optional()?)
    }

    fn deal(&self, call: i64) -> Result<Option<Deal>, IndexError> {
        let text = "SELECT d.deal_id, d.at, d.by_user, d.stage, d.value_minor, d.currency, d.call_no = c.call_no
                    FROM calls c JOIN deals d ON d.company_id = c.company_id AND d.deal_id = c.deal_id
                    WHERE c.call_no = ?1";
        let deal = |row: &rusqlite::Row<'_>| {
            Ok(Deal {
                deal_id: row.get(0)?,
                at: Wall(row.get(1)?),
                by: row.get(2)?,
                stage: row.get(3)?,
                value: row.get(4)?,
                currency: row.get(5)?,
                counted_here: row.get(6)?,
            })
        };
        Ok(self.connection.prepare_cached(text)?.query_row([call], deal).optional()?)
    }

    fn exports_of(&self, call: i64) -> Result<Vec<Export>, IndexError> {
        let text = "SELECT destination, delivery_id, action, state, status, detail, at FROM exports WHERE call_no = ?1
                    ORDER BY at, delivery_id";
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map([call], |row| {
            Ok(Export {
                destination: row.get(0)?,
                delivery_id: row.get(1)?,
                action: row.get(2)?,
                state: row.get(3)?,
                status: row.get(4)?,
                detail: row.get(5)?,
                at: Wall(row.get(6)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest visits of the caller of a call to a static number.
    fn web_visits(&self, call: i64, started_at: i64) -> Result<Vec<WebVisit>, IndexError> {
        let text = "SELECT w.visitor_id, v.started_at, o.source, o.medium, o.campaign, v.landing_page
                    FROM calls c JOIN callers p ON p.caller_id = c.caller_id
                    JOIN visitors w ON w.visitor_no = p.visitor_no JOIN visits v ON v.visitor_no = w.visitor_no
                    JOIN origins o ON o.origin_id = v.origin_id
                    WHERE c.call_no = ?1 ORDER BY v.started_at DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map(params![call, limits::INDEX_TOUCHES as i64], |row| {
            let at: i64 = row.get(1)?;
            Ok(WebVisit {
                visitor_id: row.get(0)?,
                at: Wall(at),
                after_the_call: at > started_at,
                source: row.get(2)?,
                medium: row.get(3)?,
                campaign: row.get(4)?,
                landing_page: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
