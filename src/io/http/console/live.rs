//! Calls in progress: a board that follows the journal.

use axum::response::Response;
use maud::{Markup, html};

use super::frame::Page;
use super::parts::{confidence, heading, origin, sheet, tag};
use super::view::View;
use crate::core::number;
use crate::io::http::live::{LiveCall, LiveState};
use crate::io::http::problem::Problem;

/// `GET /live`; with `fragment`, only the board.
pub(super) async fn board(view: View) -> Result<Response, Problem> {
    let calls = view.state.live.list();
    let board = rows(&view, &calls);
    if view.is_part {
        return Ok(view.show(Page { title: "", nav: "", scripts: &[], body: board }));
    }
    let title = view.t("nav-live");
    let body = html! {
        (heading(&title, html! { span #stream.tag data-on=(view.t("live-on")) data-off=(view.t("live-off")) role="status" {
            (view.t("live-off")) } }))
        div #board data-after=(view.state.journal.last_seq()) aria-live="polite" { (board) }
        noscript { p.soft { (view.t("live-reload")) " " a href="/live" { (view.t("reload")) } } }
    };
    Ok(view.show(Page { title: &title, nav: "/live", scripts: &["live.js"], body }))
}

fn rows(view: &View, calls: &[LiveCall]) -> Markup {
    html! {
        p.soft { (view.tn("live-count", calls.len() as u64)) }
        @if calls.is_empty() {
            div.sheet.empty { p { (view.t("live-none")) } }
        } @else {
            (sheet(&view.t("nav-live"), html! {
                table.calls {
                    thead { tr {
                        th scope="col" { (view.t("column-caller")) } th scope="col" { (view.t("column-status")) } th scope="col" {
                            (view.t("live-for")) }
                        th scope="col" { (view.t("column-number")) } th scope="col" { (view.t("column-origin")) } th scope="col" {
                            (view.t("column-confidence")) }
                        th scope="col" { (view.t("live-to")) } th scope="col" { span.visually-hidden { (view.t("live-hang-up")) } }
                    } }
                    tbody { @for call in calls { (row(view, call)) } }
                }
            }))
        }
    }
}

fn row(view: &View, call: &LiveCall) -> Markup {
    let since = call.answered_at.unwrap_or(call.started_at);
    let who =
        call.caller.as_deref().map_or_else(|| view.t("caller-withheld").into_owned(), |number| view.phone(number));
    let (mood, word) = match call.state {
        LiveState::Calling => ("accent", view.t("phase-ringing")),
        LiveState::Talking => ("good", view.t("phase-talking")),
    };
    html! {
        tr {
            td.c-time { a.row href={ "/calls/" (call.call_id) } { span.mono { (who) } } }
            td.c-status { (tag(mood, &word)) @if call.recording_paused { " " (tag("warn", &view.t("live-paused"))) } }
            td.c-wait { span data-since=(since.0 / 1_000) { (view.lang.duration(view.now.millis_since(since))) } }
            td.c-number { span.mono { (number::display(&call.number)) } }
            td.c-origin { (origin(view, &call.attribution)) }
            td.c-confidence { (confidence(view, &call.attribution)) }
            td.c-pool { span.mono { (call.forwarded_to.as_deref().unwrap_or("–")) } }
            td.c-act {
                form method="post" action={ "/calls/" (call.call_id) "/hangup" } {
                    button.danger type="submit" aria-label=(view.ta("live-hang-up-who", &[("who", (&who).into())])) {
                        (view.t("live-hang-up")) }
                }
            }
        }
    }
}
