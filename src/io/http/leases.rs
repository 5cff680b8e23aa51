//! Pages ask for numbers, programs see who holds them, routers follow the feed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
use super::visits::{self, Asked, Judged};
use super::{AppState, body, visitor};
use crate::core::event::Session;
use crate::core::feed::Gone;
use crate::core::lease::{Device, Lease, is_visitor_id};
use crate::core::number;
use crate::core::pool::{Ask, NumberInfo, NumberState, Refused};
use crate::core::rights::Right;
use crate::core::source::completed;
use crate::ids::LeaseId;
use crate::limits;
use crate::time::Wall;

/// What a page sends, or a server that writes the page.
#[derive(Deserialize)]
struct AcquireBody {
    site: String,
    #[serde(default)]
    visitor_id: Option<String>,
    #[serde(flatten)]
    visit: Visit,
    /// Nothing is to be kept in the browser, and nothing that was kept is to be used.
    #[serde(default)]
    anonymous: bool,
    /// The widest domain of which the page may set cookies.
    #[serde(default)]
    domain: Option<String>,
    /// A link from another address of the site brought this.
    #[serde(default)]
    link: Option<String>,
    /// Where the browser's own words mislead.
    #[serde(default)]
    device: Option<Device>,
    /// The visitor's, when a server asks for them.
    #[serde(default)]
    user_agent: Option<String>,
}

/// A visit as the page tells it.
#[derive(Deserialize)]
struct Visit {
    #[serde(default)]
    session: Option<Session>,
    /// How long ago the visit, and with it its click ids, began.
    #[serde(default)]
    age_ms: u64,
}

impl Visit {
    /// Only our clock dates anything.
    fn dated(self, now: Wall) -> Session {
        let session = self.session.unwrap_or_default();
        let age = Duration::from_millis(self.age_ms).min(limits::VISIT_AGE);
        let clicked_at = (!session.click_ids.is_empty()).then(|| now - age);
        Session { clicked_at, ..session }
    }
}

/// `POST /v1/leases`.
pub(super) async fn acquire(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    within(&state.lease_rate, &caller)?;
    let headers = request.headers().clone();
    let AcquireBody { site, mut visitor_id, visit, anonymous, domain, link, device, user_agent } =
        body::read(request).await?;
    if !access::origin_fits(&state.config.load(), &site, &caller, Right::Lease, state.demo.is_some()) {
        return Err(Problem::forbidden("origin_not_allowed", "This page is not one of the site's `origins`."));
    }
    // A program is no visitor, but it may speak for one.
    let agent = user_agent.as_deref().or(caller.origin.as_ref().map(|_| visitor::agent(&headers)));
    let now = state.allocator.now();
    let mut session = completed(visit.dated(now.wall));
    if anonymous {
        visitor_id = None;
        session = Session { click_ids: BTreeMap::new(), client_ids: BTreeMap::new(), clicked_at: None, ..session };
    } else {
        visitor_id = visitor_id.filter(|id| is_visitor_id(id)).or_else(|| visitor::known(&headers));
        if let Some(followed) = link.and_then(|token| state.links.follow(&site, &token, Instant::now())) {
            // Both ids stay known, so that who joined them wrongly can be parted.
            if let Some(before) = visitor_id.replace(followed).filter(|before| visitor_id.as_ref() != Some(before)) {
                state.joined(&site, visitor_id.as_deref().unwrap_or_default(), &before);
                session.client.insert("joined_visitor_id".to_owned(), before);
            }
        }
    }
    let device = device.or(agent.map(|agent| visitor::device(&headers, agent))).unwrap_or_default();
    let nobody = agent.and_then(|agent| visitor::nobody(&headers, agent));
    let (returning, language) = (visitor_id.is_some(), visits::language(&headers));
    let region = state.region(&caller);
    let near = region.as_deref();
    let asked = Asked { site: &site, returning, session: &session, device, language, region: near, nobody };
    let judged = state.judge(asked, &caller, &headers, now);
    if let Some(code) = judged.excluded {
        state.metrics.visit_excluded(&site, code);
        return Ok(excluded(code, judged));
    }
    let language = language.map(Arc::from);
    let ask = Ask { site, visitor_id, session, device, language, region, instead: judged.instead };
    let (visitor_id, answer) = match state.allocator.acquire(ask) {
        Ok(granted) => {
            if !granted.returning && granted.reason.is_none() {
                state.count_lease(&caller, now);
            }
            let mut answer = lease_body(&state, &granted.lease);
            answer["swap"] = granted.swap.into();
            answer["shared"] = granted.shared.into();
            answer["class"] = json!(granted.lease.class);
            if let Some(reason) = granted.reason {
                answer["reason"] = reason.into();
            }
            if !anonymous {
                add_link(&state, &caller, &granted.lease, &mut answer);
            }
            (granted.lease.visitor_id.clone(), answer)
        }
        Err(none) if none.code == "unknown_site" => {
            return Err(Problem::not_found("unknown_site", "No site of this name is configured."));
        }
        Err(none) => {
            let answer = json!({ "visitor_id": none.visitor_id, "shared": false, "swap": false, "reason": none.code });
            (none.visitor_id, answer)
        }
    };
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    let origin = caller.origin.as_deref().filter(|_| !anonymous);
    if let Some(cookie) = origin.and_then(|origin| visitor::cookie(&visitor_id, origin, domain.as_deref())) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the page needs to carry its visitor to the site's other addresses.
fn add_link(state: &AppState, caller: &Caller, lease: &Lease, answer: &mut Value) {
    let config = state.config.load();
    let site = config.sites.iter().find(|site| site.name == lease.site);
    let (Some(site), Some(origin)) = (site, &caller.origin) else { return };
    let hosts = visitor::others(&site.origins, origin);
    if hosts.is_empty() {
        return;
    }
    if let Some(token) = state.links.token(&lease.site, &lease.visitor_id, Instant::now()) {
        answer["link"] = json!({ "token": token, "hosts": hosts });
    }
}

/// Staff, crawlers and what a browser fetches ahead: the real number, and nothing is kept of them.
fn excluded(code: &'static str, judged: Judged) -> Response {
    let answer = json!({ "shared": false, "swap": false, "reason": code });
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if let Some(cookie) = judged.cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /v1/leases/{id}/renew`.
pub(super) async fn renew(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    within(&state.beat_rate, &caller)?;
    let lease = state.allocator.renew(lease_id(id)?).map_err(refused)?;
    let mut answer = lease_body(&state, &lease);
    add_link(&state, &caller, &lease, &mut answer);
    Ok(Json(answer))
}

/// `POST /v1/leases/{id}/session`: what the page learnt of the visit since.
pub(super) async fn update(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    within(&state.beat_rate, &caller)?;
    let id = lease_id(id)?;
    let visit: Visit = body::read(request).await?;
    state.allocator.update(id, visit.dated(state.allocator.now().wall)).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
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
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [pool, site, wanted, after, limit] = body::query(&request, ["pool", "site", "state", "after", "limit"])?;
    let wanted = wanted.map(|text| number_state(&text)).transpose()?;
    let limit = body::limit(limit, 100)?;
    let mut leases = state.allocator.leases();
    leases.retain(|(state, lease)| {
        caller.rights.may_in(Right::Leases, &lease.company)
            && pool.as_ref().is_none_or(|pool| *pool == lease.pool)
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
pub(super) async fn numbers(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [pool, company, wanted, after, limit] = body::query(&request, ["pool", "company", "state", "after", "limit"])?;
    let wanted = wanted.map(|text| number_state(&text)).transpose()?;
    let limit = body::limit(limit, 100)?;
    let mut numbers = state.allocator.numbers();
    numbers.retain(|info| {
        caller.rights.may_in(Right::Leases, &info.company)
            && pool.as_ref().is_none_or(|pool| *pool == info.pool)
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
pub(super) async fn pools(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [] = body::query(&request, [])?;
    let config = state.config.load();
    let rows: Vec<Value> = state
        .allocator
        .pools()
        .into_iter()
        .filter(|pool| caller.rights.may_in(Right::Leases, &pool.company))
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
        // How long it stays theirs when the page falls silent. A page trusts no clock but ours.
        "held_for_ms": lease.hold_until.millis_since(lease.seen_at),
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
    within_address(limit, caller)
}

/// Whoever it is.
pub(super) fn within_address(limit: &RateLimit, caller: &Caller) -> Result<(), Problem> {
    limit.take(caller.address, Instant::now()).map_err(|seconds| Problem {
        retry_after: Some(seconds),
        ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests from this address.")
    })
}
