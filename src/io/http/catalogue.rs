//! The catalogue: what is in force, its versions, dry runs; and what it cost.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body};
use crate::config::Money;
use crate::core::catalogue::{NoAnswer, Question, document};
use crate::core::rights::Right;
use crate::io::catalogue::{Ask, Orders, Refused, Version, Wanted, What};
use crate::io::clock;
use crate::limits;
use crate::time::Wall;

/// `POST /v1/catalogue/explain`: what a visit would get, and why; leases nothing.
pub(super) async fn explain(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
    let question: Question = body::read(request).await?;
    let answer = question.answer(&state.config.load(), clock::wall());
    answer.map(|explained| Json(json!(explained))).map_err(|none| match none {
        NoAnswer::UnknownSite => Problem::not_found(none.code(), "No site of this name is configured."),
        NoAnswer::BadTime => Problem::bad_request(none.code(), none.to_string()),
    })
}

/// `GET /v1/catalogue`: what is in force, or an earlier `version`. Its tag is the `If-Match` of a change.
pub(super) async fn current(State(state): State<Arc<AppState>>, request: Request) -> Result<Response, Problem> {
    let [version] = body::query(&request, ["version"])?;
    let version = body::number::<u64>(version, "version")?;
    ask(&state, |answer| Ask::Show { version, answer }).await?.map(|shown| tagged(&shown)).map_err(refused)
}

/// `PUT /v1/catalogue`: the whole of it, swapped at once, or refused whole with everything that is wrong.
pub(super) async fn replace(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let [note] = body::query(&request, ["note"])?;
    let if_match = if_match(request.headers())?;
    let catalogue: Value = body::read_up_to(request, limits::HTTP_CATALOGUE).await?;
    change(&state, &caller, What::Catalogue(catalogue), if_match, note).await
}

/// `GET /v1/catalogue/versions`: newest first.
pub(super) async fn versions(State(state): State<Arc<AppState>>, request: Request) -> Result<Json<Value>, Problem> {
    let [limit] = body::query(&request, ["limit"])?;
    let limit = body::limit(limit, 100)?;
    let versions = ask(&state, |answer| Ask::Versions { limit, answer }).await?.map_err(refused)?;
    Ok(Json(json!({ "versions": versions })))
}

/// What `POST /v1/catalogue/rollback` wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    /// 0: what the configuration file says.
    to: u64,
    #[serde(default)]
    note: Option<String>,
}

/// `POST /v1/catalogue/rollback`: an earlier version becomes the newest.
pub(super) async fn roll_back(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let if_match = if_match(request.headers())?;
    let RollBack { to, note } = body::read(request).await?;
    change(&state, &caller, What::RollBack(to), if_match, note).await
}

/// `GET /v1/ledger`: what tracking cost in one month, by company and pool.
pub(super) async fn ledger(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [month, company, pool] = body::query(&request, ["month", "company", "pool"])?;
    let at = match month {
        None => clock::wall(),
        Some(text) => Wall::parse_rfc3339(&format!("{text}-01T00:00:00Z"))
            .ok_or_else(|| body::bad_parameter("month", "a month, like 2026-11"))?,
    };
    let config = state.config.load_full();
    let mut rows = state.ledger.month(&config, at);
    rows.retain(|row| {
        caller.rights.may_in(Right::Leases, &row.company)
            && company.as_ref().is_none_or(|company| row.company == *company)
            && pool.as_ref().is_none_or(|pool| row.pool == *pool)
    });
    let companies = config.companies.iter().filter(|one| {
        caller.rights.may_in(Right::Leases, &one.name) && company.as_ref().is_none_or(|company| one.name == *company)
    });
    let totals: Vec<Value> = companies
        .map(|company| {
            let own = || rows.iter().filter(|row| row.company == company.name);
            let tracking = &company.tracking;
            let fee = if tracking.plan == crate::config::Plan::Flat { tracking.fee } else { Money(0) };
            let displays: Money = own().map(|row| row.display_cost).sum();
            let numbers: Money = own().map(|row| row.number_cost).sum();
            json!({
                "company": company.name,
                "plan": tracking.plan.as_str(),
                "currency": tracking.currency,
                "fee": fee,
                "display_cost": displays,
                "number_cost": numbers,
                "total": fee + displays + numbers,
                "displays": own().map(|row| row.displays).sum::<u64>(),
                "calls": own().map(|row| row.calls).sum::<u64>(),
                "quality_calls": own().map(|row| row.quality_calls).sum::<u64>(),
            })
        })
        .collect();
    Ok(Json(json!({ "companies": totals, "pools": rows })))
}

async fn change(
    state: &AppState,
    caller: &Caller,
    what: What,
    if_match: String,
    note: Option<String>,
) -> Result<Response, Problem> {
    let note = note.map(|note| note.chars().filter(|c| !c.is_control()).take(limits::ARCHIVE_WORDS).collect());
    let wanted =
        Wanted { what, if_match, by: caller.name.to_string(), note, may_route: caller.rights.may(Right::Route) };
    let shown = ask(state, |answer| Ask::Take { wanted: Box::new(wanted), answer }).await?.map_err(refused)?;
    Ok(tagged(&shown))
}

fn tagged((version, tag, catalogue): &(Version, String, Value)) -> Response {
    let mut shown = json!(version);
    shown["catalogue"] = document::masked(catalogue.clone());
    let mut response = Json(shown).into_response();
    // Only what is in force can be changed.
    if let Some(tag) = HeaderValue::from_str(tag).ok().filter(|tag| !tag.is_empty()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn if_match(headers: &HeaderMap) -> Result<String, Problem> {
    let tag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    tag.ok_or_else(|| {
        let detail = "Send the ETag of what you saw as If-Match, so that nobody's change is lost.";
        Problem::new(StatusCode::PRECONDITION_REQUIRED, "if_match_required", detail)
    })
}

pub(super) fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Stale(tag) => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "catalogue_changed",
            format!("Somebody changed it meanwhile; what is in force now has the tag {tag}."),
        ),
        Refused::Bad(problems) => {
            let lines = problems.iter().take(limits::CONFIG_PROBLEMS).map(|(key, message)| match key.as_str() {
                "" => message.clone(),
                key => format!("{key}: {message}"),
            });
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_catalogue", lines.collect::<Vec<_>>().join("\n"))
        }
        Refused::UnknownVersion => Problem::not_found("unknown_version", "This version is not kept."),
        Refused::Route(company, key) => Problem::forbidden(
            "not_allowed",
            format!(
                "company {company}, {key}: changing where calls go needs the right `route` (engineers, admins, owners)."
            ),
        ),
        Refused::Io(error) => Problem::internal("catalogue_disk", &error),
    }
}

/// Asks the daemon's own task, which is the only one that changes the configuration.
pub(super) async fn ask<T>(state: &AppState, order: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Problem> {
    let gone = || Problem::unavailable("catalogue_busy", "The catalogue cannot be asked now.", 1);
    let (answer, answered) = oneshot::channel();
    let orders: &Orders = &state.orders;
    orders.try_send(order(answer)).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())
}
