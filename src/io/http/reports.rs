//! Reports, as JSON and as CSV: the functions of the index behind one path each.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::Value;

use super::access::Caller;
use super::calls::{scope, unanswered};
use super::problem::Problem;
use super::{AppState, body};
use crate::core::credit::Model;
use crate::core::event::work::{ReportExportedData, WorkEvent};
use crate::core::event::{Body, Event};
use crate::core::mask;
use crate::core::rights::Right;
use crate::io::clock;
use crate::io::index::report::{self, ReportFilter};
use crate::io::index::{Calendar, IndexError, Reader, parse_day};

/// What a report may be asked.
pub(super) const PARAMETERS: [&str; 17] = [
    "company",
    "pool",
    "since",
    "until",
    "source",
    "medium",
    "campaign",
    "content",
    "term",
    "model",
    "look_back",
    "currency",
    "margin",
    "limit",
    "format",
    "kind",
    "before",
];

/// From where a call came, from the widest to the narrowest.
pub(super) const PATH: [&str; 5] = ["source", "medium", "campaign", "content", "term"];

/// Every report there is.
pub(super) const REPORTS: [&str; 13] = [
    "overview", "sources", "models", "repeat", "missed", "hours", "regions", "agents", "quality", "pools", "exports",
    "statics", "savings",
];

/// Days of a report that names none.
const DAYS: i64 = 30;

/// `GET /v1/reports/{report}`.
pub(super) async fn one(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let Some(name) = REPORTS.iter().chain(&["audit"]).find(|known| **known == name) else {
        let detail = format!("Reports are: {} and audit.", REPORTS.join(", "));
        return Err(Problem::not_found("unknown_report", detail));
    };
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let asked = asked(&state, &request)?;
    let as_csv = asked.csv || accepts_csv(&headers);
    // What stands in the audit is not cut by company; `/v1/audit` is.
    let wanted = if *name == "audit" { caller.rights.may_everywhere(Right::Audit) } else { true };
    if !wanted || (as_csv && !caller.rights.may(Right::Export)) {
        let right = if wanted { Right::Export } else { Right::Audit };
        let detail = format!("Your roles do not have the right `{}` that this needs.", right.as_str());
        return Err(Problem::forbidden("not_allowed", detail));
    }
    let right = if as_csv { Right::Export } else { Right::Reports };
    let (mut filter, kind, before) = (asked.filter, asked.kind, asked.before);
    filter.scope = scope(caller.rights.companies(right));
    let answer = state.index.ask(move |reader| make(reader, name, &filter, (kind.as_deref(), before))).await;
    let mut answer = answer.map_err(unanswered)?;
    let status = state.index.status();
    if !as_csv {
        // What is not in it yet.
        answer["behind"] = status.journal_seq.saturating_sub(status.seq).into();
        return Ok(Json(answer).into_response());
    }
    let rows = answer["rows"].as_array().map_or(0, Vec::len);
    if !caller.rights.shows_numbers() {
        mask::value(&mut answer);
    }
    exported(&state, &caller, name, rows, uri.query().unwrap_or_default());
    Ok(csv_file(name, csv(&answer["rows"])))
}

/// Writes down that somebody took a report, or contacts, out as a CSV file.
pub(super) fn exported(state: &AppState, caller: &Caller, report: &str, rows: usize, query: &str) {
    let told = ReportExportedData {
        by: caller.name.to_string(),
        report: report.to_owned(),
        format: "csv".to_owned(),
        rows: rows as u64,
        filter: query.chars().take(500).collect(),
    };
    let work = WorkEvent::ReportExported(told);
    let subject = work.subject();
    state.journal.append(Event { time: clock::wall(), subject, body: Body::Work(Box::new(work)) });
}

/// `GET /v1/visitors/{id}`.
pub(super) async fn visitor(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<report::Timeline>, Problem> {
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let scope = scope(caller.rights.companies(Right::Calls));
    let found = state.index.ask(move |reader| report::visitor(reader, scope.as_deref(), &id)).await;
    let found = found.map_err(unanswered)?;
    found.map(Json).ok_or_else(|| Problem::not_found("unknown_visitor", "There is no such visitor."))
}

/// `GET /v1/index`: how the index stands.
pub(super) async fn status(State(state): State<Arc<AppState>>) -> Json<crate::io::index::Status> {
    Json(state.index.status())
}

/// `POST /v1/index/rebuild`: 202, it is made anew while the old one serves.
pub(super) async fn rebuild(State(state): State<Arc<AppState>>) -> Response {
    state.index.rebuild();
    (axum::http::StatusCode::ACCEPTED, Json(state.index.status())).into_response()
}

struct Asked {
    filter: ReportFilter,
    csv: bool,
    kind: Option<String>,
    before: Option<i64>,
}

fn asked(state: &AppState, request: &Request) -> Result<Asked, Problem> {
    let values = body::query(request, PARAMETERS)?;
    let get = |name: &str| PARAMETERS.iter().position(|known| *known == name).and_then(|at| values[at].clone());
    let csv = match get("format").as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(body::bad_parameter("format", "json or csv")),
    };
    let filter = filter(&get, || today(state, get("company").as_deref()))?;
    Ok(Asked { filter, csv, kind: get("kind"), before: body::number(get("before"), "before")? })
}

/// A parameter that makes no sense, and what it must be.
#[derive(Debug)]
pub(super) struct Bad {
    pub name: &'static str,
    pub wanted: String,
}

impl From<Bad> for Problem {
    fn from(bad: Bad) -> Problem {
        body::bad_parameter(bad.name, &bad.wanted)
    }
}

/// What parameters of an address ask for, [`DAYS`] until today when they name no days. The scope is for whoever asks to set.
pub(super) fn filter(asked: &dyn Fn(&str) -> Option<String>, today: impl FnOnce() -> i64) -> Result<ReportFilter, Bad> {
    let day = |name: &'static str| {
        let wrong = || Bad { name, wanted: "a day, like 2026-11-22".to_owned() };
        asked(name).map(|text| parse_day(&text).ok_or_else(wrong)).transpose()
    };
    let until = day("until")?.unwrap_or_else(today);
    let since = day("since")?.unwrap_or(until - DAYS + 1);
    let model = match asked("model") {
        None => Model::default(),
        Some(text) => {
            let names = || format!("one of {}", Model::ALL.map(Model::as_str).join(", "));
            Model::parse(&text).ok_or_else(|| Bad { name: "model", wanted: names() })?
        }
    };
    Ok(ReportFilter {
        company: asked("company"),
        pool: asked("pool"),
        path: PATH.map(asked),
        model,
        look_back: number(asked, "look_back")?.unwrap_or(30),
        currency: asked("currency"),
        margin: number(asked, "margin")?.unwrap_or(1.0),
        limit: number(asked, "limit")?.unwrap_or(500),
        ..ReportFilter::of_days(since, until)
    })
}

fn number<T: FromStr>(asked: &dyn Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<T>, Bad> {
    let wrong = || Bad { name, wanted: "a number".to_owned() };
    asked(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
}

/// On the calendar of the company that is asked about; of several, of the first.
fn today(state: &AppState, company: Option<&str>) -> i64 {
    let config = state.config.load();
    let of = config.companies.iter().find(|of| company.is_none_or(|company| company == of.name));
    Calendar::of(of.map_or("UTC", |of| &of.time_zone)).day_and_hour(clock::wall()).0
}

fn make(
    reader: &Reader<'_>,
    name: &str,
    filter: &ReportFilter,
    (kind, before): (Option<&str>, Option<i64>),
) -> Result<Value, IndexError> {
    fn value<T: Serialize>(answer: Result<T, IndexError>) -> Result<Value, IndexError> {
        serde_json::to_value(answer?).map_err(|error| IndexError::Journal(error.into()))
    }
    match name {
        "overview" => value(report::overview(reader, filter)),
        "sources" => value(report::sources(reader, filter)),
        "models" => value(report::models(reader, filter)),
        "repeat" => value(report::repeat(reader, filter)),
        "missed" => value(report::missed(reader, filter)),
        "hours" => value(report::hours(reader, filter)),
        "regions" => value(report::regions(reader, filter)),
        "agents" => value(report::agents(reader, filter)),
        "quality" => value(report::quality(reader, filter)),
        "pools" => value(report::pools(reader, filter)),
        "exports" => value(report::exports(reader, filter)),
        "statics" => value(report::statics(reader, filter)),
        "savings" => value(report::savings(reader, filter)),
        _ => value(report::audit(reader, filter, kind, before)),
    }
}

pub(super) fn accepts_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept
        .split(',')
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv")))
}

/// A CSV file of this name.
pub(super) fn csv_file(name: &str, text: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    (headers, text).into_response()
}

/// Rows as CSV (RFC 4180): a column a field, fields within fields with a dot between. What a spreadsheet would take for a
/// formula gets an apostrophe in front.
pub(super) fn csv(rows: &Value) -> String {
    let flat: Vec<Vec<(String, Value)>> = rows.as_array().into_iter().flatten().map(|row| flatten("", row)).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in flat.iter().flatten() {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    if columns.is_empty() {
        return String::new();
    }
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Into memory: nothing can fail.
    let _ = writer.write_record(columns.iter().map(|column| harmless(column)));
    for row in &flat {
        let cell = |column: &&str| row.iter().find(|(name, _)| name == column).map(|(_, value)| cell(value));
        let _ = writer.write_record(columns.iter().map(|column| cell(column).unwrap_or_default()));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn flatten(prefix: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => {
            let named = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            fields.iter().flat_map(|(name, value)| flatten(&named(name), value)).collect()
        }
        // A list has no place in a row.
        Value::Array(_) => Vec::new(),
        other => vec![(prefix.to_owned(), other.clone())],
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Text that begins like a formula is text to a spreadsheet, too.
pub(super) fn harmless(text: &str) -> String {
    let dangerous = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '＝', '＋', '－', '＠']);
    if dangerous { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn i11_no_cell_is_a_formula() {
        let rows = json!([
            {"name": "=HYPERLINK(\"http://evil.example\")", "cost": -5, "money": {"roi": null}, "days": [1]},
            {"name": "+442079460001", "cost": 7, "money": {"roi": 0.5}},
            {"name": "@SUM(A1)", "=key": "-1"},
            {"name": "\tx", "cost": "a,\"b\"\r\n=c"},
        ]);
        let text = csv(&rows);
        let wanted = "name,cost,money.roi,'=key\r\n\"'=HYPERLINK(\"\"http://evil.example\"\")\",-5,,\r\n'+442079460001,7,0.5,\r\n\
                      '@SUM(A1),,,'-1\r\n'\tx,\"a,\"\"b\"\"\r\n=c\",,\r\n";
        assert_eq!(text, wanted);
        assert_eq!(csv(&json!([])), "");
    }
}
