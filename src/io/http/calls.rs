//! Calls: those that ended, those in progress, and hanging one up.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{AppState, body};
use crate::ids::CallId;
use crate::io::calls::{CallDetail, CallView, Calls, Filter};
use crate::limits;
use crate::time::Wall;

/// What `GET /v1/calls` may be asked.
pub(super) const PARAMETERS: [&str; 16] = [
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
];

/// `GET /v1/calls`: newest first.
pub(super) async fn list(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
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
    ] = body::query(&request, PARAMETERS)?;
    let limit = body::limit(limit, 50)?.min(limits::CALLS_PAGE);
    let filter = Filter {
        company,
        pool,
        number,
        caller,
        outcome: one_of(outcome, "outcome")?,
        since: since.map(|text| time(&text, "since", Duration::ZERO)).transpose()?,
        // A date counts whole.
        until: until.map(|text| time(&text, "until", Duration::from_secs(24 * 3_600))).transpose()?,
        attribution: one_of(attribution, "attribution")?,
        visitor_id,
        source,
        medium,
        campaign,
        in_progress: in_progress
            .map(|text| text.parse().map_err(|_| body::bad_parameter("in_progress", "true or false")))
            .transpose()?,
        cursor: cursor
            .map(|text| text.parse().map_err(|_| body::bad_parameter("cursor", "`next_cursor` of the page before")))
            .transpose()?,
        limit: Some(limit),
    };
    let (calls, next) = search(&state.calls, filter, q.as_deref().map(digits), limit);
    Ok(Json(json!({ "calls": calls, "next_cursor": next })))
}

/// `GET /v1/calls/{id}`: the call, and its events as they stand in the journal.
pub(super) async fn one(
    State(state): State<Arc<AppState>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<CallDetail>, Problem> {
    let id = call_id(id)?;
    let (calls, journal) = (state.calls.clone(), state.journal.clone());
    let detail = tokio::task::spawn_blocking(move || calls.detail(&journal, id))
        .await
        .map_err(std::io::Error::other)
        .and_then(|detail| detail)
        .map_err(|error| Problem::internal("journal_unreadable", &error))?
        .ok_or_else(unknown)?;
    Ok(Json(detail))
}

/// `GET /v1/calls/live`.
pub(super) async fn live(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
    let [company, pool] = body::query(&request, ["company", "pool"])?;
    let mut calls = state.live.list();
    calls.retain(|call| {
        company.as_ref().is_none_or(|company| *company == call.company)
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
        return Err(match state.calls.get(id) {
            Some(_) => Problem::new(StatusCode::CONFLICT, "call_ended", "This call is over."),
            None => unknown(),
        });
    }
    if !state.live.hangup(id) {
        return Err(Problem::unavailable("signalling_busy", "Signalling could not take the order.", 1));
    }
    tracing::info!(call = %id, "hang-up ordered over HTTP");
    Ok(StatusCode::ACCEPTED)
}

/// The id in the path. A text that is no id names no call.
pub(super) fn call_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, Problem> {
    id.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("unknown_call", "There is no such call.")
}

/// A page of calls; with `part`, of those in whose number or caller these digits stand.
fn search(calls: &Calls, mut filter: Filter, part: Option<String>, limit: usize) -> (Vec<CallView>, Option<CallId>) {
    let Some(part) = part else {
        let page = calls.list(&filter);
        return (page.calls, page.next);
    };
    let mut found = Vec::new();
    loop {
        let page = calls.list(&filter);
        for view in page.calls {
            let caller = view.call.caller.as_deref().unwrap_or_default();
            if digits(caller).contains(&part) || view.call.number.digits().contains(&part) {
                if found.len() == limit {
                    let last = found.last().map(|view: &CallView| view.call.call_id);
                    return (found, last);
                }
                found.push(view);
            }
        }
        // The projection is bounded, and so is this walk.
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            return (found, None);
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
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
