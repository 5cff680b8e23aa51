//! Health, metrics, and the demo's call button.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::live::Phase;
use super::problem::Problem;
use super::{AppState, body};
use crate::ids::E164;
use crate::io::metrics::InPool;

/// `GET /healthz`: the process answers.
pub(super) async fn healthz(Extension(caller): Extension<Caller>) -> Json<Value> {
    // Which version it is helps an attacker, too.
    let version = (caller.authorised && !caller.name.is_empty()).then_some(env!("CARGO_PKG_VERSION"));
    Json(json!({ "status": "alive", "version": version }))
}

/// `GET /readyz`: calls are taken. A stale lease table or a journal that waits for its disk does not refuse calls, so it
/// is said here but is no 503.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> Result<Json<Value>, Problem> {
    match state.readiness.get() {
        Phase::Ready => {
            let table = if state.allocator.table().is_stale() { "stale" } else { "fresh" };
            let journal = if state.journal.stats().degraded { "waiting_for_disk" } else { "writing" };
            Ok(Json(json!({ "status": "ready", "lease_table": table, "journal": journal })))
        }
        Phase::Starting => Err(Problem::unavailable("starting", "The SIP listeners are not open yet.", 1)),
        Phase::Draining => Err(Problem::unavailable("draining", "The daemon stops and takes no new calls.", 30)),
    }
}

/// `GET /metrics`: figures that others keep are read now.
pub(super) async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    let metrics = &state.metrics;
    let journal = state.journal.stats();
    metrics.journal.seq.set(journal.last_seq as i64);
    metrics.journal.queue.set(journal.queued as i64);
    metrics.journal.dropped.inner().store(journal.dropped, Ordering::Relaxed);
    let table = state.allocator.table();
    metrics.leases.feed_stale.set(i64::from(table.is_stale()));
    metrics.leases.feed_revision.set(table.revision() as i64);
    for pool in state.allocator.pools() {
        let label = InPool { pool: pool.name };
        metrics.leases.active.get_or_create(&label).set(pool.leased as i64);
        metrics.leases.free.get_or_create(&label).set(pool.free as i64);
        metrics.leases.granted.get_or_create(&label).inner().store(pool.granted, Ordering::Relaxed);
        metrics.leases.exhausted.get_or_create(&label).inner().store(pool.exhausted, Ordering::Relaxed);
    }
    let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (kind, metrics.render()).into_response()
}

#[derive(Deserialize)]
struct DemoCallBody {
    number: E164,
}

/// `POST /demo/call`.
pub(super) async fn demo_call(State(state): State<Arc<AppState>>, request: Request) -> Result<StatusCode, Problem> {
    let DemoCallBody { number } = body::read(request).await?;
    let Some(demo) = &state.demo else { return Err(Problem::not_found("no_demo", "The demo does not run.")) };
    demo.call(number).map_err(|why| Problem::new(StatusCode::CONFLICT, "demo_busy", why))?;
    Ok(StatusCode::ACCEPTED)
}
