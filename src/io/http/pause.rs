//! What can be said of a running recording: that it pauses, that it goes on, that it is not wanted.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::problem::Problem;
use super::{AppState, calls};
use crate::ids::CallId;
use crate::io::signalling::Command;
use crate::limits;

type Id = Result<Path<String>, PathRejection>;

/// `POST /v1/calls/{id}/recording/pause`: 200 when nothing of either side gets into the file any more.
pub(super) async fn pause(State(state): State<Arc<AppState>>, id: Id) -> Result<Json<Value>, Problem> {
    let call = calls::call_id(id)?;
    order(&state, call, |answer| Command::Pause(call, true, answer)).await?;
    tracing::info!(%call, "recording paused over HTTP");
    Ok(Json(json!({ "call_id": call, "recording": "paused" })))
}

/// `POST /v1/calls/{id}/recording/resume`: 200 when everything gets into the file again.
pub(super) async fn resume(State(state): State<Arc<AppState>>, id: Id) -> Result<Json<Value>, Problem> {
    let call = calls::call_id(id)?;
    order(&state, call, |answer| Command::Pause(call, false, answer)).await?;
    tracing::info!(%call, "recording goes on over HTTP");
    Ok(Json(json!({ "call_id": call, "recording": "running" })))
}

/// `POST /v1/calls/{id}/recording/off`: 200; the call, which nobody has answered yet, will not be recorded.
pub(super) async fn off(State(state): State<Arc<AppState>>, id: Id) -> Result<Json<Value>, Problem> {
    let call = calls::call_id(id)?;
    order(&state, call, |answer| Command::DoNotRecord(call, answer)).await?;
    tracing::info!(%call, "consent to the recording withdrawn over HTTP");
    Ok(Json(json!({ "call_id": call, "recording": "off" })))
}

async fn order(
    state: &AppState,
    call: CallId,
    command: impl FnOnce(oneshot::Sender<Result<(), &'static str>>) -> Command,
) -> Result<(), Problem> {
    let late = || Problem::unavailable("signalling_busy", "Signalling did not answer in time.", 1);
    let (answer, answered) = oneshot::channel();
    state.signalling.send(command(answer)).map_err(|_| late())?;
    let done = tokio::time::timeout(limits::PAUSE_ANSWER, answered).await;
    let Ok(Ok(done)) = done else { return Err(late()) };
    let conflict = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    let Err(code) = done else { return Ok(()) };
    let is_known = code != "unknown_call" || state.knows(call).await;
    Err(match code {
        "unknown_call" if !is_known => Problem::not_found(code, "There is no such call."),
        "unknown_call" | "call_ended" => conflict("call_ended", "This call is over."),
        "not_answered" => conflict(code, "Nobody has answered yet; a recording begins with the answer."),
        "recording_started" => conflict(code, "The call is being recorded; pause it, or erase the recording later."),
        _ => conflict(code, "This call is not recorded."),
    })
}
