//! Which calls fit a filter. Two ways lead there: from an index, when one of the conditions fits few calls, and along the
//! time, a bounded number of calls a page, when none does. So no filter takes longer than a page may take, and a page may
//! be short and still have a next one.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};

use super::{COLUMNS, Filter, Found, JOINS, found};
use crate::core::event::AttributionKind;
use crate::core::source::folded;
use crate::ids::CallId;
use crate::io::index::{IndexError, Reader};
use crate::limits;

/// A condition: text of SQL over `calls c`, and its values.
struct Condition {
    text: String,
    values: Vec<Value>,
    /// There is an index whose first column it fixes.
    leads: bool,
}

/// What can be said of a filter before any call is looked at.
enum Conditions {
    /// Something in it is named that there is not.
    Nothing,
    All(Vec<Condition>),
}

impl Reader<'_> {
    /// Calls in their order, and where the next page begins.
    pub(super) fn search(&self, filter: &Filter) -> Result<(Vec<Found>, Option<CallId>), IndexError> {
        let limit = filter.limit.unwrap_or(50).clamp(1, limits::CALLS_PAGE);
        let Conditions::All(conditions) = self.conditions(filter)? else { return Ok((Vec::new(), None)) };
        let place = match filter.cursor {
            Some(cursor) => match self.place(cursor)? {
                Some(place) => Some(place),
                // A cursor of a call that is not there any more stands before the calls that are older by its id.
                None => Some((start_of(cursor), i64::MAX)),
            },
            None => None,
        };
        for (at, leader) in conditions.iter().enumerate().filter(|(_, condition)| condition.leads) {
            if self.fits_few(leader)? {
                let rest: Vec<&Condition> =
                    conditions.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, c)| c).collect();
                return self.among_few(leader, &rest, place, limit);
            }
        }
        self.along_the_time(&conditions, (filter, place), limit)
    }

    fn fits_few(&self, condition: &Condition) -> Result<bool, IndexError> {
        let most = limits::INDEX_PROBE;
        let text = format!("SELECT COUNT(*) FROM (SELECT 1 FROM calls c WHERE {} LIMIT {})", condition.text, most + 1);
        let count: i64 =
            self.connection.prepare_cached(&text)?.query_row(params_from_iter(&condition.values), |row| row.get(0))?;
        Ok(count <= most as i64)
    }

    /// All calls that the leading condition fits are looked at: they are few.
    fn among_few(
        &self,
        leader: &Condition,
        rest: &[&Condition],
        place: Option<(i64, i64)>,
        limit: usize,
    ) -> Result<(Vec<Found>, Option<CallId>), IndexError> {
        let mut values = leader.values.clone();
        let mut wheres = String::from("1 = 1");
        for condition in rest {
            wheres.push_str(" AND ");
            wheres.push_str(&condition.text);
            values.extend(condition.values.iter().cloned());
        }
        if let Some((at, no)) = place {
            wheres.push_str(" AND (c.started_at, c.call_no) < (?, ?)");
            values.extend([Value::Integer(at), Value::Integer(no)]);
        }
        let text = format!(
            "WITH d AS MATERIALIZED (SELECT c.call_no FROM calls c WHERE {}) SELECT {COLUMNS} FROM d
             JOIN calls c ON c.call_no = d.call_no {JOINS} WHERE {wheres}
             ORDER BY c.started_at DESC, c.call_no DESC LIMIT {}",
            leader.text,
            limit + 1
        );
        let found = self.fetch(&text, &values)?;
        Ok(page(found, limit))
    }

    /// The newest calls, so many of them, and of these the ones that fit.
    fn along_the_time(
        &self,
        conditions: &[Condition],
        (filter, place): (&Filter, Option<(i64, i64)>),
        limit: usize,
    ) -> Result<(Vec<Found>, Option<CallId>), IndexError> {
        let mut inner = String::from("1 = 1");
        let mut values = Vec::new();
        for condition in conditions.iter().filter(|condition| condition.text.starts_with("c.company_id =")) {
            inner.push_str(&format!(" AND {}", condition.text));
            values.extend(condition.values.iter().cloned());
        }
        let bounds = [(filter.since, ">="), (filter.until, "<")];
        for (at, sign) in bounds.into_iter().filter_map(|(at, sign)| Some((at?, sign))) {
            inner.push_str(&format!(" AND c.started_at {sign} ?"));
            values.push(Value::Integer(at.0));
        }
        if let Some((at, no)) = place {
            inner.push_str(" AND (c.started_at, c.call_no) < (?, ?)");
            values.extend([Value::Integer(at), Value::Integer(no)]);
        }
        let rest: Vec<&Condition> = conditions
            .iter()
            .filter(|condition| {
                !condition.text.starts_with("c.company_id =") && !condition.text.starts_with("c.started_at")
            })
            .collect();
        let order = "ORDER BY c.started_at DESC, c.call_no DESC";
        // Where looking ends: at so many calls, unless every one fits anyway.
        let end = match rest.is_empty() {
            true => None,
            false => self.nth(&inner, order, &values)?,
        };
        let mut wheres = inner;
        if let Some((at, no, _)) = &end {
            wheres.push_str(" AND (c.started_at, c.call_no) >= (?, ?)");
            values.extend([Value::Integer(*at), Value::Integer(*no)]);
        }
        for condition in &rest {
            // The sign keeps the planner from an index of its own choice: the way is along the time, and it ends as soon as
            // the page is full.
            wheres.push_str(&format!(" AND +({})", condition.text));
            values.extend(condition.values.iter().cloned());
        }
        let text = format!("SELECT {COLUMNS} FROM calls c {JOINS} WHERE {wheres} {order} LIMIT {}", limit + 1);
        let found = self.fetch(&text, &values)?;
        if found.len() > limit {
            return Ok(page(found, limit));
        }
        // Looking may have ended before the calls did: the next page goes on behind it.
        Ok((found, end.and_then(|(.., id)| id.parse().ok())))
    }

    /// The last call that a page may look at.
    fn nth(&self, wheres: &str, order: &str, values: &[Value]) -> Result<Option<(i64, i64, String)>, IndexError> {
        let place = limits::INDEX_SCAN - 1;
        let text = format!(
            "SELECT started_at, call_no, call_id FROM calls WHERE call_no =
             (SELECT c.call_no FROM calls c WHERE {wheres} {order} LIMIT 1 OFFSET {place})"
        );
        let mut statement = self.connection.prepare_cached(&text)?;
        let at = statement.query_row(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        Ok(at.optional()?)
    }

    fn fetch(&self, text: &str, values: &[Value]) -> Result<Vec<Found>, IndexError> {
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map(params_from_iter(values), found)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn place(&self, cursor: CallId) -> Result<Option<(i64, i64)>, IndexError> {
        let find = "SELECT started_at, call_no FROM calls WHERE call_id = ?1";
        let mut statement = self.connection.prepare_cached(find)?;
        Ok(statement.query_row([cursor.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    fn conditions(&self, filter: &Filter) -> Result<Conditions, IndexError> {
        let mut all = Vec::new();
        let mut add = |text: &str, values: Vec<Value>, leads: bool| {
            all.push(Condition { text: text.to_owned(), values, leads });
        };
        let companies = self.companies(filter.scope.as_deref(), filter.company.as_deref())?;
        if let Some(companies) = &companies {
            match companies.as_slice() {
                [] => return Ok(Conditions::Nothing),
                [one] => add("c.company_id = ?", vec![Value::Integer(*one)], false),
                several => add(&format!("c.company_id IN ({})", list(several)), Vec::new(), false),
            }
        }
        if let Some(pool) = &filter.pool {
            let pools = self.ids("SELECT pool_id FROM pools WHERE name = ?", &[Value::Text(pool.clone())])?;
            if pools.is_empty() {
                return Ok(Conditions::Nothing);
            }
            add(&format!("c.pool_id IN ({})", list(&pools)), Vec::new(), true);
        }
        if let Some(visitor) = &filter.visitor_id {
            let find = "SELECT visitor_no FROM visitors WHERE visitor_id = ?";
            let visitors = self.ids(find, &[Value::Text(visitor.clone())])?;
            if visitors.is_empty() {
                return Ok(Conditions::Nothing);
            }
            add(&format!("c.visitor_no IN ({})", list(&visitors)), Vec::new(), true);
        }
        if let Some(caller) = &filter.caller {
            let find = "SELECT caller_id FROM callers WHERE phone = ? OR phone = ? LIMIT 1000";
            let callers = self.ids(find, &[Value::Text(caller.clone()), Value::Text(plus(caller))])?;
            if callers.is_empty() {
                return Ok(Conditions::Nothing);
            }
            add(&format!("c.caller_id IN ({})", list(&callers)), Vec::new(), true);
        }
        if let Some(number) = &filter.number {
            add("c.number IN (?, ?)", vec![Value::Text(number.clone()), Value::Text(plus(number))], true);
        }
        if let Some(origins) = self.origins(filter)? {
            if origins.is_empty() {
                return Ok(Conditions::Nothing);
            }
            add(&format!("c.origin_id IN ({})", list(&origins)), Vec::new(), true);
        }
        plain(filter, &mut add);
        if let Some(q) = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
            self.text(q, &mut add)?;
        }
        Ok(Conditions::All(all))
    }

    /// Part of something that a person would look for.
    fn text(&self, q: &str, add: &mut impl FnMut(&str, Vec<Value>, bool)) -> Result<(), IndexError> {
        let digits: String = q.chars().filter(char::is_ascii_digit).collect();
        let is_number = !digits.is_empty() && !q.chars().any(char::is_alphabetic);
        if is_number {
            let like = Value::Text(format!("%{digits}%"));
            let text =
                "(c.number LIKE ? OR c.caller_id IN (SELECT caller_id FROM callers p WHERE p.caller_id = c.caller_id
                        AND p.phone LIKE ?))";
            add(text, vec![like.clone(), like], false);
            return Ok(());
        }
        let like = Value::Text(format!("%{}%", escaped(q)));
        let of_origin = Value::Text(format!("%{}%", escaped(&folded(q))));
        let find = "SELECT origin_id FROM origins WHERE source LIKE ?1 ESCAPE '\\' OR medium LIKE ?1 ESCAPE '\\'
                    OR campaign LIKE ?1 ESCAPE '\\' OR content LIKE ?1 ESCAPE '\\'
                    OR term LIKE ?1 ESCAPE '\\' LIMIT 5000";
        let origins = self.ids(find, &[of_origin])?;
        let text = format!(
            "(c.caller_name LIKE ? ESCAPE '\\' OR c.label LIKE ? ESCAPE '\\' OR c.agent LIKE ? ESCAPE '\\'
              OR c.origin_id IN ({}) OR EXISTS (SELECT 1 FROM comments t WHERE t.call_no = c.call_no
              AND t.body LIKE ? ESCAPE '\\'))",
            list(&origins)
        );
        add(&text, vec![like.clone(), like.clone(), like.clone(), like], false);
        Ok(())
    }

    /// Keys of the companies that are asked for and may be seen; none: of every one.
    pub(in super::super) fn companies(
        &self,
        scope: Option<&[String]>,
        company: Option<&str>,
    ) -> Result<Option<Vec<i64>>, IndexError> {
        if scope.is_none() && company.is_none() {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached("SELECT company_id, name FROM companies")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (id, name) = row?;
            let asked = company.is_none_or(|company| company == name);
            if asked && scope.is_none_or(|scope| scope.contains(&name)) {
                found.push(id);
            }
        }
        Ok(Some(found))
    }

    fn origins(&self, filter: &Filter) -> Result<Option<Vec<i64>>, IndexError> {
        let parts = [
            ("source", &filter.source),
            ("medium", &filter.medium),
            ("campaign", &filter.campaign),
            ("content", &filter.content),
            ("term", &filter.term),
        ];
        let mut text = String::from("SELECT origin_id FROM origins WHERE 1 = 1");
        let mut values = Vec::new();
        for (column, value) in parts {
            if let Some(value) = value {
                text.push_str(&format!(" AND {column} = ?"));
                values.push(Value::Text(folded(value)));
            }
        }
        if values.is_empty() { Ok(None) } else { self.ids(&text, &values).map(Some) }
    }

    pub(in super::super) fn ids(&self, text: &str, values: &[Value]) -> Result<Vec<i64>, IndexError> {
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Conditions that a column alone decides.
fn plain(filter: &Filter, add: &mut impl FnMut(&str, Vec<Value>, bool)) {
    let whole = |figure: u64| Value::Integer(i64::try_from(figure).unwrap_or(i64::MAX));
    let mut flag = |wanted: Option<bool>, column: &str, leads: Option<bool>| {
        if let Some(wanted) = wanted {
            add(&format!("c.{column} = ?"), vec![Value::Integer(i64::from(wanted))], leads == Some(wanted));
        }
    };
    flag(filter.quality, "is_quality", None);
    flag(filter.missed, "is_missed", None);
    flag(filter.waiting, "is_waiting", Some(true));
    match filter.first {
        Some(true) => add("c.ordinal = 1", Vec::new(), false),
        Some(false) => add("c.ordinal > 1", Vec::new(), false),
        None => {}
    }
    match filter.in_progress {
        Some(true) => add("c.phase IN ('ringing', 'talking')", Vec::new(), true),
        Some(false) => add("c.phase = 'ended'", Vec::new(), false),
        None => {}
    }
    if let Some(outcome) = filter.outcome {
        add("c.outcome = ?", vec![Value::Text(outcome.as_str().to_owned())], true);
    }
    if let Some(kind) = filter.attribution {
        let kind = match kind {
            AttributionKind::Visitor => "visitor",
            AttributionKind::Static => "static",
            AttributionKind::None => "none",
        };
        add("c.kind = ?", vec![Value::Text(kind.to_owned())], false);
    }
    match filter.label.as_deref() {
        Some("") => add("c.label IS NULL", Vec::new(), false),
        Some(label) => add("c.label = ?", vec![Value::Text(label.to_owned())], true),
        None => {}
    }
    if let Some(least) = filter.confidence_min {
        add("c.confidence >= ?", vec![Value::Real(least)], false);
    }
    if let Some(below) = filter.confidence_max {
        add("c.confidence < ?", vec![Value::Real(below)], false);
    }
    if let Some(region) = &filter.region {
        let below = Value::Text(format!("{}-%", escaped(region)));
        let text = "(c.caller_region = ? OR c.caller_region LIKE ? ESCAPE '\\')";
        add(text, vec![Value::Text(region.clone()), below], false);
    }
    if let Some(least) = filter.talk_min {
        add("c.talk_ms >= ?", vec![whole(least.saturating_mul(1_000))], false);
    }
    if let Some(below) = filter.talk_max {
        add("c.talk_ms < ?", vec![whole(below.saturating_mul(1_000))], false);
    }
    if let Some(agent) = &filter.agent {
        add("c.agent = ?", vec![Value::Text(agent.clone())], false);
    }
    if let Some(since) = filter.since {
        add("c.started_at >= ?", vec![Value::Integer(since.0)], false);
    }
    if let Some(until) = filter.until {
        add("c.started_at < ?", vec![Value::Integer(until.0)], false);
    }
}

fn page(mut found: Vec<Found>, limit: usize) -> (Vec<Found>, Option<CallId>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.call_id);
    (found, next)
}

/// Keys of ours: nothing in them is anybody's text.
fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// A `+` in a query arrives as a space, and people leave it out.
fn plus(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() { number.to_owned() } else { format!("+{digits}") }
}

/// For `LIKE … ESCAPE '\'`.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Ids begin with their start in milliseconds.
fn start_of(call: CallId) -> i64 {
    i64::try_from(call.0 >> 80).unwrap_or(0).saturating_mul(1_000)
}
