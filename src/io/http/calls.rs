//! Calls: those that ended, those in progress, and hanging one up.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body, events};
use crate::core::rights::{Companies, Right};
use crate::ids::CallId;
use crate::io::index::{CallDetail, Filter, IndexError};
use crate::limits;
use crate::time::Wall;

/// What `GET /v1/calls` may be asked.
pub(super) const PARAMETERS: [&str; 29] = [
    "company",
    "pool",
    "number",
    "caller",
    "q",
    "outcome",
    "since",
    "until",
    "attribution",
    "visitor_id",
    "source",
    "medium",
    "campaign",
    "in_progress",
    "cursor",
    "limit",
    "content",
    "term",
    "label",
    "quality",
    "first",
    "confidence_min",
    "confidence_max",
    "region",
    "talk_min",
    "talk_max",
    "missed",
    "waiting",
    "agent",
];

/// `GET /v1/calls`: newest first.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&request, &caller)?;
    let page = state.index.ask(move |reader| reader.calls(&filter)).await.map_err(unanswered)?;
    Ok(Json(json!({ "calls": page.calls, "next_cursor": page.next })))
}

/// The query of the request, within what the caller sees.
pub(super) fn filter(request: &Request, who: &Caller) -> Result<Filter, Problem> {
    let [
        company,
        pool,
        number,
        caller,
        q,
        outcome,
        since,
        until,
        attribution,
        visitor_id,
        source,
        medium,
        campaign,
        in_progress,
        cursor,
        limit,
        content,
        term,
        label,
        quality,
        first,
        confidence_min,
        confidence_max,
        region,
        talk_min,
        talk_max,
        missed,
        waiting,
        agent,
    ] = body::query(request, PARAMETERS)?;
    let limit = body::limit(limit, 50)?.min(limits::CALLS_PAGE);
    let has_digits = |text: &String| text.chars().any(|c| c.is_ascii_digit());
    if !who.rights.shows_numbers() && (caller.is_some() || q.as_ref().is_some_and(has_digits)) {
        // Whoever may ask for a number digit by digit has it in the end.
        let detail = "Numbers are masked for you, so calls cannot be looked for by their caller.";
        return Err(Problem::forbidden("numbers_hidden", detail));
    }
    Ok(Filter {
        scope: scope(who.rights.companies(Right::Calls)),
        company,
        pool,
        number,
        caller,
        q,
        outcome: one_of(outcome, "outcome")?,
        since: since.map(|text| time(&text, "since", Duration::ZERO)).transpose()?,
        // A date counts whole.
        until: until.map(|text| time(&text, "until", Duration::from_secs(24 * 3_600))).transpose()?,
        attribution: one_of(attribution, "attribution")?,
        visitor_id,
        source,
        medium,
        campaign,
        content,
        term,
        in_progress: flag(in_progress, "in_progress")?,
        // An empty parameter asks for nothing; `none` is how to ask for calls without one.
        label: label.map(|label| if label == "none" { String::new() } else { label }),
        quality: flag(quality, "quality")?,
        first: flag(first, "first")?,
        confidence_min: body::number(confidence_min, "confidence_min")?,
        confidence_max: body::number(confidence_max, "confidence_max")?,
        region,
        talk_min: body::number(talk_min, "talk_min")?,
        talk_max: body::number(talk_max, "talk_max")?,
        missed: flag(missed, "missed")?,
        waiting: flag(waiting, "waiting")?,
        agent,
        cursor: cursor
            .map(|text| text.parse().map_err(|_| body::bad_parameter("cursor", "`next_cursor` of the page before")))
            .transpose()?,
        limit: Some(limit),
    })
}

/// `GET /v1/calls/{id}`: the call, and its events as they stand in the journal.
pub(super) async fn one(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<CallDetail>, Problem> {
    let id = call_id(id)?;
    let detail = state.index.ask(move |reader| reader.detail(id)).await.map_err(unanswered)?;
    let mut detail = detail.ok_or_else(unknown)?;
    let company = detail.view.call.company.clone();
    detail.events.retain(|event| events::may_see_of(&caller, event, Some(&company)));
    Ok(Json(detail))
}

/// `GET /v1/calls/live`.
pub(super) async fn live(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [company, pool] = body::query(&request, ["company", "pool"])?;
    let mut calls = state.live.list();
    calls.retain(|call| {
        caller.rights.may_in(Right::Calls, &call.company)
            && company.as_ref().is_none_or(|company| *company == call.company)
            && pool.as_ref().is_none_or(|pool| *pool == call.pool)
    });
    Ok(Json(json!({ "calls": calls })))
}

/// `DELETE /v1/calls/{id}`: 202, the call ends a moment later with its event.
pub(super) async fn hangup(
    State(state): State<Arc<AppState>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = call_id(id)?;
    if !state.live.has(id) {
        return Err(match state.knows(id).await {
            true => Problem::new(StatusCode::CONFLICT, "call_ended", "This call is over."),
            false => unknown(),
        });
    }
    if state.live.is_told(id) {
        let detail = "Its PBX carries this call; it can be ended there.";
        return Err(Problem::new(StatusCode::CONFLICT, "not_carried", detail));
    }
    if !state.live.hangup(id) {
        return Err(Problem::unavailable("signalling_busy", "Signalling could not take the order.", 1));
    }
    tracing::info!(call = %id, "hang-up ordered over HTTP");
    Ok(StatusCode::ACCEPTED)
}

impl AppState {
    /// There was, or is, such a call.
    pub(super) async fn knows(&self, call: CallId) -> bool {
        self.index.ask(move |reader| reader.knows(call)).await.unwrap_or(false)
    }
}

/// As the index wants it.
pub(super) fn scope(companies: Companies) -> Option<Vec<String>> {
    match companies {
        Companies::All => None,
        Companies::Only(these) => Some(these.iter().map(|company| company.to_string()).collect()),
    }
}

/// Why the index gave no answer, for who asked.
pub(super) fn unanswered(error: IndexError) -> Problem {
    match error {
        IndexError::Busy => Problem::unavailable("index_busy", "Too many questions at once.", 1),
        IndexError::Building => Problem::unavailable("index_building", "The index is being made from the journal.", 5),
        IndexError::Bad(detail) => Problem::bad_request("bad_parameter", detail),
        IndexError::Journal(error) => Problem::internal("journal_unreadable", &error),
        IndexError::Sql(error) => Problem::internal("index_unreadable", &error),
    }
}

/// The id in the path. A text that is no id names no call.
pub(super) fn call_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, Problem> {
    id.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("unknown_call", "There is no such call.")
}

fn flag(value: Option<String>, name: &str) -> Result<Option<bool>, Problem> {
    value.map(|text| text.parse().map_err(|_| body::bad_parameter(name, "true or false"))).transpose()
}

/// RFC 3339, or a date (UTC), whose end is meant when `whole` is a day.
fn time(text: &str, name: &str, whole: Duration) -> Result<Wall, Problem> {
    // A `+` of an offset that was not escaped arrives as a space.
    let exact = Wall::parse_rfc3339(&text.replace(' ', "+"));
    let date = || Wall::parse_rfc3339(&format!("{text}T00:00:00Z")).map(|start| start + whole);
    exact.or_else(date).ok_or_else(|| body::bad_parameter(name, "an RFC 3339 time or a date"))
}

/// A word of a closed set, as events have it.
fn one_of<T: DeserializeOwned>(value: Option<String>, name: &str) -> Result<Option<T>, Problem> {
    value
        .map(|text| {
            serde_json::from_value(Value::String(text)).map_err(|error| body::bad_parameter(name, &error.to_string()))
        })
        .transpose()
}
