//! One visitor: visits, pages, sources, leases, calls and forms, in their order, under whichever of their ids.

use rusqlite::OptionalExtension;
use serde::Serialize;
use serde_json::Value;

use super::{IndexError, Reader};
use crate::limits;
use crate::time::Wall;

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    pub visitor_id: String,
    pub company: String,
    pub first_at: Wall,
    pub last_at: Wall,
    pub visits: i64,
    pub calls: i64,
    pub leads: i64,
    /// Other ids of the same person: what they did is told here, too.
    pub joined: Vec<JoinedId>,
    /// Oldest first; of a long history the newest.
    pub rows: Vec<Step>,
}

/// See [`Timeline`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JoinedId {
    pub visitor_id: String,
    /// The id that it was joined to.
    pub to: String,
    /// `link`: followed from one site to another. `user`: the same user of the site. `form`: the same telephone or address in
    /// a form. `by_hand`.
    pub how: String,
    pub by: String,
    pub at: Wall,
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Step {
    Visit(Box<TimelineVisit>),
    Call { at: Wall, call_id: String, number: String, outcome: Option<String>, talk_ms: i64, confidence: f64 },
    Lead { at: Wall, lead_id: String, kind: String, site: String },
}

/// A visit, with the number that was shown.
#[derive(Clone, Debug, Serialize)]
pub struct TimelineVisit {
    pub at: Wall,
    /// The first visit of all.
    pub first: bool,
    pub last_at: Wall,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Wall>,
    pub site: String,
    pub pool: String,
    pub number: String,
    pub lease_id: String,
    /// `free`, `soft_held`, `shared`, `source_static` or `overflow`.
    pub class: String,
    pub shared: bool,
    pub source: String,
    pub medium: String,
    pub campaign: String,
    /// The advertisement or banner, and the search term.
    pub content: String,
    pub term: String,
    pub device: String,
    pub region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_page: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub click_ids: Value,
    /// Pages and what was done there.
    pub signals: Vec<Signal>,
}

/// See [`TimelineVisit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signal {
    pub at: Wall,
    /// `page`, or what the page told: `tel_tap`, `copy`, ….
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Step {
    fn at(&self) -> Wall {
        match self {
            Step::Visit(visit) => visit.at,
            Step::Call { at, .. } | Step::Lead { at, .. } => *at,
        }
    }
}

/// The visitor of this id; of the companies in the scope the first that knows them.
///
/// # Errors
/// See [`IndexError`].
pub fn visitor(reader: &Reader<'_>, scope: Option<&[String]>, id: &str) -> Result<Option<Timeline>, IndexError> {
    let companies = match reader.companies(scope, None)? {
        None => String::new(),
        Some(companies) => format!(" AND company_id IN ({})", super::keys(&companies)),
    };
    let text = format!(
        "SELECT w.visitor_no, c.name FROM visitors w JOIN companies c USING (company_id)
         WHERE w.visitor_id = ?1{companies} ORDER BY company_id LIMIT 1"
    );
    let head = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let found = reader.connection.prepare_cached(&text)?.query_row([id], head).optional()?;
    let Some((no, company)) = found else { return Ok(None) };
    let person = person(reader, no)?;
    let ids = super::keys(&person);
    let text = format!(
        "SELECT MIN(first_at), MAX(last_at), SUM(visits),
         (SELECT COUNT(*) FROM calls k WHERE k.visitor_no IN ({ids})),
         (SELECT COUNT(*) FROM leads l WHERE l.visitor_no IN ({ids}))
         FROM visitors WHERE visitor_no IN ({ids})"
    );
    let mut timeline = reader.connection.query_row(&text, [], |row| {
        Ok(Timeline {
            visitor_id: id.to_owned(),
            company,
            first_at: Wall(row.get(0)?),
            last_at: Wall(row.get(1)?),
            visits: row.get(2)?,
            calls: row.get(3)?,
            leads: row.get(4)?,
            joined: Vec::new(),
            rows: Vec::new(),
        })
    })?;
    if person.len() > 1 {
        timeline.joined = joined(reader, no, &ids)?;
    }
    timeline.rows = visits(reader, &ids, timeline.first_at)?;
    timeline.rows.extend(calls(reader, &ids)?);
    timeline.rows.extend(leads(reader, &ids)?);
    timeline.rows.sort_by_key(Step::at);
    Ok(Some(timeline))
}

/// All ids of the person, this one first.
fn person(reader: &Reader<'_>, visitor: i64) -> Result<Vec<i64>, IndexError> {
    let text = "WITH RECURSIVE person (no) AS (
                  SELECT ?1 UNION SELECT j.other_no FROM person p JOIN visitor_joins j ON j.visitor_no = p.no LIMIT ?2)
                SELECT no FROM person";
    reader.ids(text, &[visitor.into(), (limits::VISITOR_IDS as i64).into()])
}

/// Every id but this one, by the join that brought it in: of several the oldest.
fn joined(reader: &Reader<'_>, visitor: i64, ids: &str) -> Result<Vec<JoinedId>, IndexError> {
    let text = format!(
        "SELECT o.visitor_id, w.visitor_id, j.how, j.by_user, MIN(j.at) FROM visitor_joins j
         JOIN visitors w ON w.visitor_no = j.visitor_no JOIN visitors o ON o.visitor_no = j.other_no
         WHERE j.visitor_no IN ({ids}) AND j.other_no IN ({ids}) AND j.other_no <> ?1 GROUP BY j.other_no ORDER BY 5, 1"
    );
    let mut statement = reader.connection.prepare(&text)?;
    let rows = statement.query_map([visitor], |row| {
        let (visitor_id, to) = (row.get(0)?, row.get(1)?);
        Ok(JoinedId { visitor_id, to, how: row.get(2)?, by: row.get(3)?, at: Wall(row.get(4)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn visits(reader: &Reader<'_>, ids: &str, first_at: Wall) -> Result<Vec<Step>, IndexError> {
    let text = format!(
        "SELECT v.visit_no, v.started_at, v.last_at, v.ended_at, v.site, p.name, v.number, v.lease_id, v.class,
                v.is_shared, o.source, o.medium, o.campaign, o.content, o.term, v.device, v.region, v.landing_page,
                v.referrer, v.click_ids
                FROM visits v JOIN pools p USING (pool_id) JOIN origins o USING (origin_id)
                WHERE v.visitor_no IN ({ids}) ORDER BY v.started_at DESC LIMIT ?1"
    );
    let mut statement = reader.connection.prepare(&text)?;
    let rows = statement.query_map([limits::CALLS_PAGE as i64], |row| {
        let at = Wall(row.get(1)?);
        let click_ids: Option<String> = row.get(19)?;
        let visit = TimelineVisit {
            at,
            first: at == first_at,
            last_at: Wall(row.get(2)?),
            ended_at: row.get::<_, Option<i64>>(3)?.map(Wall),
            site: row.get(4)?,
            pool: row.get(5)?,
            number: row.get(6)?,
            lease_id: row.get(7)?,
            class: row.get(8)?,
            shared: row.get(9)?,
            source: row.get(10)?,
            medium: row.get(11)?,
            campaign: row.get(12)?,
            content: row.get(13)?,
            term: row.get(14)?,
            device: row.get(15)?,
            region: row.get(16)?,
            landing_page: row.get(17)?,
            referrer: row.get(18)?,
            click_ids: click_ids.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
            signals: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, visit))
    })?;
    let mut found = Vec::new();
    for row in rows {
        let (no, mut visit) = row?;
        visit.signals = signals(reader, no)?;
        found.push(Step::Visit(Box::new(visit)));
    }
    Ok(found)
}

fn signals(reader: &Reader<'_>, visit: i64) -> Result<Vec<Signal>, IndexError> {
    let text = "SELECT at, kind, detail FROM visit_signals WHERE visit_no = ?1 ORDER BY at";
    let mut statement = reader.connection.prepare_cached(text)?;
    let rows = statement
        .query_map([visit], |row| Ok(Signal { at: Wall(row.get(0)?), kind: row.get(1)?, detail: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn calls(reader: &Reader<'_>, ids: &str) -> Result<Vec<Step>, IndexError> {
    let text = format!(
        "SELECT started_at, call_id, number, outcome, talk_ms, confidence FROM calls WHERE visitor_no IN ({ids})
         ORDER BY started_at DESC LIMIT ?1"
    );
    let mut statement = reader.connection.prepare(&text)?;
    let rows = statement.query_map([limits::CALLS_PAGE as i64], |row| {
        let (at, call_id, number) = (Wall(row.get(0)?), row.get(1)?, row.get(2)?);
        Ok(Step::Call { at, call_id, number, outcome: row.get(3)?, talk_ms: row.get(4)?, confidence: row.get(5)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn leads(reader: &Reader<'_>, ids: &str) -> Result<Vec<Step>, IndexError> {
    let text =
        format!("SELECT at, lead_id, kind, site FROM leads WHERE visitor_no IN ({ids}) ORDER BY at DESC LIMIT ?1");
    let mut statement = reader.connection.prepare(&text)?;
    let rows = statement.query_map([limits::CALLS_PAGE as i64], |row| {
        Ok(Step::Lead { at: Wall(row.get(0)?), lead_id: row.get(1)?, kind: row.get(2)?, site: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
