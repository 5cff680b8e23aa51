//! Pages ask for numbers, programs see who holds them, routers follow the feed.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{self, Caller};
use super::problem::Problem;
use super::rate::RateLimit;
use super::stream::Held;
use super::{AppState, body};
use crate::core::event::Session;
use crate::core::feed::Gone;
use crate::core::lease::Lease;
use crate::core::number;
use crate::core::pool::{Ask, NumberInfo, NumberState, Refused};
use crate::ids::LeaseId;

/// What a page sends.
#[derive(Deserialize)]
struct AcquireBody {
    site: String,
    #[serde(default)]
    visitor_id: Option<String>,
    #[serde(default)]
    session: Option<Session>,
}

/// `POST /v1/leases`.
pub(super) async fn acquire(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    within(&state.lease_rate, &caller)?;
    let AcquireBody { site, visitor_id, session } = body::read(request).await?;
    if !access::origin_fits(&state.config.load(), &site, &caller, state.demo.is_some()) {
        return Err(Problem::forbidden("origin_not_allowed", "This page is not one of the site's `origins`."));
    }
    let answer =
        match state.allocator.acquire(Ask { site, visitor_id, session: session.unwrap_or_default(), ..Ask::default() })
        {
            Ok(granted) => {
                let mut answer = lease_body(&state, &granted.lease);
                answer["swap"] = granted.swap.into();
                answer["shared"] = granted.shared.into();
                answer
            }
            Err(none) if none.code == "unknown_site" => {
                return Err(Problem::not_found("unknown_site", "No site of this name is configured."));
            }
            // The visitor is to see the real number: an answer, not an error.
            Err(none) => json!({ "visitor_id": none.visitor_id, "shared": false, "swap": false, "reason": none.code }),
        };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `POST /v1/leases/{id}/renew`.
pub(super) async fn renew(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    within(&state.beat_rate, &caller)?;
    let lease = state.allocator.renew(lease_id(id)?).map_err(refused)?;
    Ok(Json(lease_body(&state, &lease)))
}

/// `POST /v1/leases/{id}/release`.
pub(super) async fn release(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    within(&state.beat_rate, &caller)?;
    state.allocator.release(lease_id(id)?).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a page saw.
#[derive(Deserialize)]
struct SignalBody {
    signal: String,
}

/// `POST /v1/leases/{id}/signal`.
pub(super) async fn signal(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    within(&state.beat_rate, &caller)?;
    let id = lease_id(id)?;
    let SignalBody { signal } = body::read(request).await?;
    state.allocator.signal(id, &signal).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/leases`: leased and held now.
pub(super) async fn list(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
    let [pool, site, wanted, after, limit] = body::query(&request, ["pool", "site", "state", "after", "limit"])?;
    let wanted = wanted.map(|text| number_state(&text)).transpose()?;
    let limit = body::limit(limit, 100)?;
    let mut leases = state.allocator.leases();
    leases.retain(|(state, lease)| {
        pool.as_ref().is_none_or(|pool| *pool == lease.pool)
            && site.as_ref().is_none_or(|site| *site == lease.site)
            && wanted.is_none_or(|wanted| wanted == *state)
            && after.as_ref().is_none_or(|after| lease.number.as_str() > after.as_str())
    });
    leases.sort_by(|left, right| left.1.number.cmp(&right.1.number));
    let next = leases.get(limit).and_then(|_| leases.get(limit - 1)).map(|(_, lease)| lease.number.clone());
    let rows: Vec<Value> = leases
        .iter()
        .take(limit)
        .map(|(state, lease)| {
            let mut row = json!(lease);
            row["state"] = json!(state);
            row["display"] = number::display(&lease.number).into();
            row
        })
        .collect();
    Ok(Json(json!({ "leases": rows, "next_cursor": next })))
}

/// `GET /v1/numbers`: every number, and who has it.
pub(super) async fn numbers(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
    let [pool, company, wanted, after, limit] = body::query(&request, ["pool", "company", "state", "after", "limit"])?;
    let wanted = wanted.map(|text| number_state(&text)).transpose()?;
    let limit = body::limit(limit, 100)?;
    let mut numbers = state.allocator.numbers();
    numbers.retain(|info| {
        pool.as_ref().is_none_or(|pool| *pool == info.pool)
            && company.as_ref().is_none_or(|company| *company == info.company)
            && wanted.is_none_or(|wanted| wanted == info.state)
            && after.as_ref().is_none_or(|after| info.number.as_str() > after.as_str())
    });
    numbers.sort_by(|left, right| left.number.cmp(&right.number));
    let next = numbers.get(limit).and_then(|_| numbers.get(limit - 1)).map(|info| info.number.clone());
    let dynamic = numbers.iter().take(limit).filter(|info| info.state != NumberState::Static);
    let kept = state.keeper.numbers(dynamic.map(|info| &info.number));
    let row = |info: &NumberInfo| {
        let mut row = number_row(info);
        if let Some(kept) = kept.get(&info.number) {
            row["keeper"] = json!(kept);
        }
        row
    };
    let rows: Vec<Value> = numbers.iter().take(limit).map(row).collect();
    Ok(Json(json!({ "numbers": rows, "next_cursor": next })))
}

/// `GET /v1/pools`.
pub(super) async fn pools(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
    let [] = body::query(&request, [])?;
    let config = state.config.load();
    let rows: Vec<Value> = state
        .allocator
        .pools()
        .into_iter()
        .map(|pool| {
            let mut row = json!(pool);
            let configured = config.pools.iter().find(|configured| configured.name == pool.name);
            if let Some(configured) = configured {
                row["hold_ms"] = json!(configured.hold.as_millis() as u64);
                row["channel"] = json!(configured.channel);
            }
            if let Some(kept) = state.keeper.pool(&pool.name) {
                row["keeper"] = json!(kept);
            }
            row
        })
        .collect();
    Ok(Json(json!({ "pools": rows })))
}

/// `GET /v1/feed/leases`: a snapshot and every change, or the changes after a revision.
pub(super) async fn feed(State(state): State<Arc<AppState>>, request: Request) -> Result<Response, Problem> {
    let [after, epoch] = body::query(&request, ["after", "epoch"])?;
    let after = body::number::<u64>(after, "after")?;
    if state.config.load().lease_feed.is_some() {
        return Err(Problem::not_found(
            "not_allocator",
            "This node follows another allocator's feed; follow that one.",
        ));
    }
    let place = state.stream_place()?;
    let stream = state
        .allocator
        .subscribe_feed(after, epoch.as_deref())
        .map_err(|gone| Problem::new(StatusCode::GONE, Gone::CODE, format!("{gone}.")))?;
    let lines = Held::new(stream.into_stream(), place, state.closing.subscribe());
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn lease_body(state: &AppState, lease: &Lease) -> Value {
    json!({
        "lease_id": lease.lease_id,
        "number": lease.number,
        "display": number::display(&lease.number),
        "visitor_id": lease.visitor_id,
        "expires_at": lease.expires_at,
        "renew_after_ms": state.allocator.rules().renew_after.as_millis() as u64,
        "shared": lease.shared,
        "swap": true,
    })
}

fn number_row(info: &NumberInfo) -> Value {
    let mut row = json!(info);
    row["display"] = number::display(&info.number).into();
    row
}

fn number_state(text: &str) -> Result<NumberState, Problem> {
    match text {
        "free" => Ok(NumberState::Free),
        "leased" => Ok(NumberState::Leased),
        "held" => Ok(NumberState::Held),
        "static" => Ok(NumberState::Static),
        _ => Err(body::bad_parameter("state", "free, leased, held or static")),
    }
}

fn lease_id(id: Result<Path<String>, PathRejection>) -> Result<LeaseId, Problem> {
    // A text that is no id and an id that is no lease get the same answer: guessing tells nothing.
    id.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(|| refused(Refused::UnknownLease))
}

fn refused(refused: Refused) -> Problem {
    let status = match refused {
        Refused::UnknownLease => StatusCode::NOT_FOUND,
        Refused::BadSignal => StatusCode::BAD_REQUEST,
        Refused::TooManySignals => StatusCode::TOO_MANY_REQUESTS,
    };
    Problem::new(status, refused.code(), format!("{refused}."))
}

/// Pages are limited by address; whoever holds the token is not.
pub(super) fn within(limit: &RateLimit, caller: &Caller) -> Result<(), Problem> {
    if caller.authorised {
        return Ok(());
    }
    limit.take(caller.address, Instant::now()).map_err(|seconds| Problem {
        retry_after: Some(seconds),
        ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests from this address.")
    })
}
