//! Calls: those that ended, those in progress, and hanging one up.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{AppState, body};
use crate::ids::CallId;

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
        return Err(Problem::not_found("call_not_in_progress", "There is no such call in progress."));
    }
    if !state.live.hangup(id) {
        return Err(Problem::unavailable("signalling_busy", "Signalling could not take the order.", 1));
    }
    tracing::info!(call = %id, "hang-up ordered over HTTP");
    Ok(StatusCode::ACCEPTED)
}

/// The id in the path. A text that is no id names no call.
pub(super) fn call_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, Problem> {
    let unknown = || Problem::not_found("unknown_call", "There is no such call.");
    id.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)
}
