//! Exports: how they are doing, what they sent, what is tried again, and dry runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{AppState, body};
use crate::io::export::{ExportStatus, Logged, NoExport, NoRehearsal, Rehearsal, State as DeliveryState, Wanted};
use crate::limits;

/// `GET /v1/exports`.
pub(super) async fn list(State(state): State<Arc<AppState>>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "exports": statuses(&state).await? })))
}

/// `GET /v1/exports/{name}/deliveries[?state=…&call=…&before=…&limit=…]`, newest first. `next` is the `before` of the page
/// behind.
pub(super) async fn deliveries(
    State(state): State<Arc<AppState>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let name = name_of(name)?;
    let [wanted, call, before, limit] = body::query(&request, ["state", "call", "before", "limit"])?;
    let wanted = wanted
        .map(|text| {
            let known = "one of pending, sent, rejected, dead, cancelled, skipped";
            DeliveryState::parse(&text).ok_or_else(|| body::bad_parameter("state", known))
        })
        .transpose()?;
    let before = body::number::<i64>(before, "before")?;
    let limit = body::limit(limit, 100)?;
    let log = log(&state, name, before, wanted, call, limit).await?;
    let next = if log.len() == limit { log.last().map(|line| line.n) } else { None };
    Ok(Json(json!({ "deliveries": log, "next": next })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Replay {
    /// `delivery_id`s; none: all that were rejected or given up.
    deliveries: Option<Vec<String>>,
}

/// `POST /v1/exports/{name}/replay`: rejected and dead deliveries are tried again.
pub(super) async fn replay(
    State(state): State<Arc<AppState>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let name = name_of(name)?;
    let Replay { deliveries } = body::read(request).await?;
    Ok(Json(json!({ "replayed": again(&state, name, deliveries).await? })))
}

/// Tries deliveries again: these, or all that failed. Gives how many.
pub(super) async fn again(state: &AppState, name: String, deliveries: Option<Vec<String>>) -> Result<usize, Problem> {
    let exports = Arc::clone(&state.exports);
    blocking(move || exports.replay(&name, deliveries.as_deref())).await
}

/// How all of them are doing.
pub(super) async fn statuses(state: &AppState) -> Result<Vec<ExportStatus>, Problem> {
    let exports = Arc::clone(&state.exports);
    blocking(move || exports.status().map_err(NoExport::Store)).await
}

/// A page of a delivery log.
pub(super) async fn log(
    state: &AppState,
    name: String,
    before: Option<i64>,
    wanted: Option<DeliveryState>,
    call: Option<String>,
    limit: usize,
) -> Result<Vec<Logged>, Problem> {
    let exports = Arc::clone(&state.exports);
    blocking(move || exports.deliveries(&name, before, wanted, call.as_deref(), limit)).await
}

/// `POST /v1/exports/{name}/dry-run`: what would be sent, and what of it is new, other or gone.
pub(super) async fn dry_run(
    State(state): State<Arc<AppState>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Rehearsal>, Problem> {
    let name = name_of(name)?;
    let wanted: Wanted = body::read(request).await?;
    rehearsed(&state, &name, wanted).await.map(Json)
}

/// A dry run.
pub(super) async fn rehearsed(state: &AppState, name: &str, wanted: Wanted) -> Result<Rehearsal, Problem> {
    if wanted.limit == Some(0) || wanted.limit.is_some_and(|limit| limit > limits::HTTP_PAGE) {
        return Err(body::bad_parameter("limit", "from 1 to 200"));
    }
    state.exports.rehearse(name, wanted).await.map_err(|no| match no {
        NoRehearsal::Export(no) => problem(&no),
        NoRehearsal::Consent => Problem::bad_request("consent_needed", no.to_string()),
    })
}

fn name_of(name: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    name.map(|Path(name)| name).map_err(|_| problem(&NoExport::Unknown))
}

fn problem(no: &NoExport) -> Problem {
    match no {
        NoExport::Unknown => Problem::not_found("unknown_export", "There is no export of this name."),
        NoExport::Store(error) => Problem::internal("export_unreadable", error),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NoExport> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::internal("export_unreadable", &error))?.map_err(|no| problem(&no))
}
