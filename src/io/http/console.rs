//! The console: pages made on the server, one file a screen, below `/`.
//!
//! A page reads what the API reads, and orders through the same places. It works without JavaScript, but for what moves:
//! the live board, the player's place in the sound, the keyboard. Nothing is inline and nothing comes from elsewhere, so
//! the policy of [`super::secure`] holds. Texts are Fluent (`src/web/text`), escaped by the type of a page; charts are SVG
//! with classes that the style sheet colours.

mod account;
mod call;
mod calls;
mod catalogue;
mod channel;
mod chart;
mod contacts;
mod costs;
mod events;
mod exports;
mod format;
mod frame;
mod health;
mod install;
mod ladder;
mod live;
mod numbers;
mod overview;
mod parts;
mod planner;
mod pools;
mod report;
mod said;
mod setup;
mod sign_in;
mod text;
mod tokens;
mod users;
mod view;
mod wave;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::html;
use serde_json::Value;

use super::access::Access::{self, Needs, Open};
use super::problem::Problem;
use super::{AppState, Route, route};
use crate::core::rights::Right::{
    self, Account, Audit, Calls, Catalogue, Control, Costs, Edit, Export, Exports, Leases, Node, Reports, Users, Work,
};
pub(super) use account::here;
use frame::Page;
use view::View;

/// Every page and every form's end.
#[rustfmt::skip]
pub(super) fn routes() -> Vec<Route> {
    vec![
        route("/", Needs(Calls), &["GET"], get(overview::page)),
        route("/calls", Needs(Calls), &["GET"], get(calls::log)),
        route("/calls.csv", Needs(Export), &["GET"], get(calls::csv)),
        route("/calls/{id}", Needs(Calls), &["GET"], get(call::card)),
        route("/calls/{id}/hangup", Needs(Control), &["POST"], post(hangup)),
        route("/live", Needs(Calls), &["GET"], get(live::board)),
        route("/sources", Needs(Reports), &["GET"], get(report::sources::page)),
        route("/channels", Needs(Reports), &["GET"], get(report::channels::page)),
        route("/models", Needs(Reports), &["GET"], get(report::models::page)),
        route("/repeat", Needs(Reports), &["GET"], get(report::repeat::page)),
        route("/missed", Needs(Calls), &["GET"], get(report::missed::page)),
        route("/hours", Needs(Reports), &["GET"], get(report::hours::page)),
        route("/regions", Needs(Reports), &["GET"], get(report::regions::page)),
        route("/agents", Needs(Reports), &["GET"], get(report::agents::page)),
        route("/quality", Needs(Reports), &["GET"], get(report::quality::page)),
        route("/audit", Needs(Audit), &["GET"], get(report::audit::page)),
        route("/pools", Needs(Leases), &["GET"], get(pools::list)),
        route("/pools/{name}", Needs(Leases), &["GET"], get(pools::one)),
        route("/numbers", Needs(Leases), &["GET"], get(numbers::list)),
        route("/numbers/{number}", Needs(Leases), &["GET"], get(numbers::one)),
        route("/planner", Needs(Leases), &["GET"], get(planner::page)),
        route("/channels/new", Needs(Edit), &["GET", "POST"], get(channel::start).post(channel::next)),
        route("/catalogue", Needs(Catalogue), &["GET"], get(catalogue::page)),
        route("/catalogue/edit", Needs(Edit), &["GET"], get(catalogue::edit)),
        route("/catalogue/diff", Needs(Edit), &["POST"], post(catalogue::diff)),
        route("/catalogue/save", Needs(Edit), &["POST"], post(catalogue::save)),
        route("/catalogue/rollback", Needs(Edit), &["POST"], post(catalogue::roll_back)),
        route("/catalogue/versions/{version}", Needs(Catalogue), &["GET"], get(catalogue::version)),
        route("/install", Needs(Catalogue), &["GET"], get(install::page)),
        route("/install/checks", Needs(Catalogue), &["GET"], get(install::part)),
        route("/health", Needs(Node), &["GET"], get(health::page)),
        route("/events", Needs(Node), &["GET"], get(events::page)),
        route("/calls/{id}/label", Needs(Work), &["POST"], post(work::set_label)),
        route("/calls/{id}/comments", Needs(Work), &["POST"], post(work::comment)),
        route("/calls/{id}/comments/remove", Needs(Work), &["POST"], post(work::remove_comment)),
        route("/calls/{id}/value", Needs(Work), &["POST"], post(work::set_value)),
        route("/calls/{id}/score", Needs(Work), &["POST"], post(work::set_score)),
        route("/calls/{id}/called-back", Needs(Work), &["POST"], post(work::set_called_back)),
        route("/calls/{id}/consent", Needs(Work), &["POST"], post(work::set_consent)),
        route("/calls/{id}/replay", Needs(Edit), &["POST"], post(work::replay)),
        route("/contacts", Needs(Calls), &["GET"], get(contacts::page)),
        route("/contacts/consent", Needs(Work), &["POST"], post(contacts::set_consent)),
        route("/costs", Needs(Costs), &["GET", "POST"], get(costs::page).post(costs::import)),
        route("/exports", Needs(Exports), &["GET"], get(exports::page)),
        route("/exports/log", Needs(Exports), &["GET"], get(exports::log)),
        route("/exports/replay", Needs(Edit), &["POST"], post(exports::replay)),
        route("/exports/dry-run", Needs(Edit), &["POST"], post(exports::dry_run)),
        route("/users", Needs(Users), &["GET", "POST"], get(users::page).post(users::add)),
        route("/users/change", Needs(Users), &["POST"], post(users::change)),
        route("/tokens", Needs(Users), &["GET", "POST"], get(tokens::page).post(tokens::add)),
        route("/tokens/revoke", Needs(Users), &["POST"], post(tokens::revoke)),
        route("/account", Needs(Account), &["GET"], get(account::page)),
        route("/account/password", Needs(Account), &["POST"], post(account::set_password)),
        route("/account/totp", Needs(Account), &["POST"], post(account::offer_totp)),
        route("/account/totp/confirm", Needs(Account), &["POST"], post(account::confirm_totp)),
        route("/account/totp/off", Needs(Account), &["POST"], post(account::drop_totp)),
        route("/account/sessions", Needs(Account), &["POST"], post(account::end_sessions)),
        route("/setup", Open, &["GET", "POST"], get(setup::page).post(setup::post)),
        route("/sign-in", Open, &["GET", "POST"], get(sign_in::page).post(sign_in::post)),
        route("/sign-out", Open, &["POST"], post(sign_in::out)),
        route("/preferences", Open, &["POST"], post(account::preferences)),
    ]
}

/// Who may open what, for the navigation.
static MAY_OPEN: LazyLock<HashMap<&'static str, Access>> =
    LazyLock::new(|| routes().into_iter().map(|route| (route.path, route.access)).collect());

/// The right that this page needs; none is needed for what everybody may open.
fn right_of(path: &str) -> Option<Right> {
    MAY_OPEN.get(path).and_then(|access| access.right(&Method::GET))
}

/// `POST /calls/{id}/hangup`: back to the board.
async fn hangup(state: State<Arc<AppState>>, id: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    super::calls::hangup(state, id).await?;
    Ok(Redirect::to("/live").into_response())
}

/// Bytes of a problem document.
const PROBLEM: usize = 64 * 1024;

/// Turns what a browser is refused into a page that says so; a stranger is sent to sign in. Programs get the document.
pub(super) async fn problems(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !wants_page {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let view = View::of(&parts, &state);
    let is_get = parts.method == Method::GET;
    let response = next.run(Request::from_parts(parts, body)).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
    if !is_problem {
        return response;
    }
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED && is_get {
        let back = view.link(&[]);
        return Redirect::to(&view::address("/sign-in", [("next", back.as_str())].into_iter())).into_response();
    }
    let body = axum::body::to_bytes(response.into_body(), PROBLEM).await;
    let problem: Value = body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or("failed");
    let title = view.word("problem", code);
    let body = html! {
        h1 { (title) }
        p.lead { (problem["detail"].as_str().unwrap_or_default()) }
        p.soft { (status.as_u16()) " · " code { (code) } }
        p { a href="/" { (view.t("nav-overview")) } }
    };
    (status, view.show(Page { title: &title, nav: "", scripts: &[], body })).into_response()
}
