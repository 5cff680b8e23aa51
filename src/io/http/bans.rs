//! Bans: the list of those in force, and the end of one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::AppState;
use super::problem::Problem;
use crate::io::signalling::Command;
use crate::limits;

/// `GET /v1/bans`: the one that ends first first.
pub(super) async fn list(State(state): State<Arc<AppState>>) -> Result<Json<Value>, Problem> {
    let bans = ask(&state.signalling, Command::Bans).await?;
    let total = bans.len();
    let shown = bans.get(..total.min(limits::BANS_LISTED)).unwrap_or_default();
    Ok(Json(json!({ "bans": shown, "total": total })))
}

/// `DELETE /v1/bans/{address}`: 204; 404 when the address is not banned.
pub(super) async fn end(
    State(state): State<Arc<AppState>>,
    address: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let unknown = || Problem::not_found("unknown_ban", "This address is not banned.");
    let address: IpAddr = address.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(unknown)?;
    if !ask(&state.signalling, |answer| Command::Unban(address, answer)).await? {
        return Err(unknown());
    }
    tracing::info!(%address, "ban ended over HTTP");
    Ok(StatusCode::NO_CONTENT)
}

async fn ask<T>(
    signalling: &mpsc::UnboundedSender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, Problem> {
    let gone = || Problem::unavailable("signalling_stopped", "The SIP side does not run.", 1);
    let (answer, answered) = oneshot::channel();
    signalling.send(command(answer)).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())
}
