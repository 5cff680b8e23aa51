//! Numbers: who has them, and the card of one with its calls.

use std::borrow::Cow;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use maud::{Markup, html};

use super::calls;
use super::frame::Page;
use super::parts::{empty, heading, options, sheet, tag};
use super::report::show;
use super::view::View;
use crate::core::number;
use crate::core::pool::{NumberInfo, NumberState};
use crate::core::rights::Right;
use crate::io::http::calls::unanswered;
use crate::io::http::problem::Problem;
use crate::io::index::Filter;
use crate::io::index::report::{self, ReportFilter};

/// Rows of a page.
pub(super) const ROWS: usize = 100;

/// `GET /numbers`.
pub(super) async fn list(view: View) -> Result<Response, Problem> {
    let mut all = view.state.allocator.numbers();
    let part = view.asked("q").map(|text| text.chars().filter(char::is_ascii_digit).collect::<String>());
    all.retain(|info| {
        view.may_in(Right::Leases, &info.company)
            && view.asked("pool").is_none_or(|pool| *pool == info.pool)
            && view.asked("state").is_none_or(|state| state == word(info.state))
            && part.as_ref().is_none_or(|part| info.number.digits().contains(part))
    });
    all.sort_by(|left, right| left.number.cmp(&right.number));
    let count = all.len();
    all.retain(|info| view.asked("after").is_none_or(|after| info.number.digits() > after));
    let next = all.get(ROWS).and_then(|_| all.get(ROWS - 1)).map(|info| info.number.digits().to_owned());
    all.truncate(ROWS);
    let title = view.t("nav-numbers");
    let any = || ("", view.t("any"));
    let states = ["leased", "held", "free", "static"].iter().map(|state| (*state, view.word("state", state)));
    let pools = super::report::pools(&view, Right::Leases);
    let pools = pools.iter().map(|name| (name.as_str(), Cow::from(name.as_str())));
    let saved = savings(&view).await?;
    let body = html! {
        (heading(&title, html! {}))
        form.filters method="get" action="/numbers" {
            label { span { (view.t("filter-state")) } select name="state" { (options(view.asked("state"),
                std::iter::once(any()).chain(states))) } }
            label { span { (view.t("filter-pool")) } select name="pool" { (options(view.asked("pool"),
                std::iter::once(any()).chain(pools))) } }
            div.buttons { button.primary type="submit" { (view.t("filters-apply")) } a.button href="/numbers" {
                (view.t("filters-clear")) } }
        }
        p.soft { (view.tn("numbers-count", count as u64)) }
        @if all.is_empty() { (empty(&view.t("numbers-none"), html! { a href="/numbers" { (view.t("filters-clear")) } })) } @else {
            (table(&view, &all)) }
        @if let Some(next) = &next { p.more { a.button rel="next" href=(view.link(&[("after", Some(next))])) { (view.t("more")) } } }
        (saved)
    };
    Ok(view.show(Page { title: &title, nav: "/numbers", scripts: &[], body }))
}

/// What selective tracking saves and costs, for those who may see reports; nothing when every visit gets a number.
async fn savings(view: &View) -> Result<Markup, Problem> {
    if !view.may(Right::Reports) {
        return Ok(html! {});
    }
    let until = show::today(view);
    let filter = ReportFilter { scope: view.scope(Right::Reports), ..ReportFilter::of_days(until - 29, until) };
    let found = view.state.index.ask(move |reader| report::savings(reader, &filter)).await.map_err(unanswered)?;
    let rows: Vec<_> = found.rows.iter().filter(|row| row.selective_visits > 0).collect();
    let count = |count: i64| show::count(view, count);
    Ok(html! {
        @if !rows.is_empty() {
            h2 { (view.t("savings")) }
            (sheet(&view.t("savings"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("column-company")) } @for key in ["report-visits", "savings-selective",
                        "savings-used", "savings-for-all", "savings-saved", "savings-lost"] { th.num scope="col" {
                        (view.lang.text(key, &[])) } } } }
                    tbody { @for row in &rows { tr {
                        th scope="row" { (row.company) }
                        td.num { (count(row.visits)) }
                        td.num { (show::share(view, row.selective_share)) }
                        td.num { (count(row.numbers_used)) }
                        td.num { (count(row.numbers_for_all)) }
                        td.num { b { (count(row.numbers_saved)) } }
                        td.num { (show::share(view, row.accuracy_lost)) }
                    } } }
                }
            }))
            p.soft.measure { (view.t("savings-about")) }
        }
    })
}

/// `GET /numbers/{digits}`.
pub(super) async fn one(digits: Result<Path<String>, PathRejection>, view: View) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("unknown_number", "This is no number of a pool.");
    let Path(digits) = digits.map_err(|_| unknown())?;
    let all = view.state.allocator.numbers();
    let is_wanted = |info: &&NumberInfo| info.number.digits() == digits && view.may_in(Right::Leases, &info.company);
    let info = all.iter().find(is_wanted).ok_or_else(unknown)?;
    let kept = view.state.keeper.numbers(std::iter::once(&info.number)).remove(&info.number);
    let filter = Filter { number: Some(info.number.to_string()), limit: Some(20), ..Filter::default() };
    let found = view.found(filter).await?.calls;
    let display = number::display(&info.number);
    let title = view.ta("number-title", &[("number", (&display).into())]);
    let fact = |key: &str, value: Markup| html! { div { dt { (view.t(key)) } dd { (value) } } };
    let body = html! {
        p.crumbs { a href="/numbers" { (view.t("nav-numbers")) } }
        (heading(&title, state(&view, info.state)))
        dl.facts {
            (fact("filter-pool", html! { (info.pool) " · " (info.company) }))
            @if let Some(kept) = &kept {
                (fact("number-keeping", html! { (view.word("keeping", kept.keeping)) }))
                (fact("number-calls", html! { (view.lang.figure(kept.calls)) }))
                (fact("number-background", html! { (view.lang.figure(kept.background)) }))
                @if let Some(at) = kept.last_call { (fact("number-last-call", view.time(at))) }
                @if let Some(leaked) = &kept.leaked { (fact("number-leaked", html! { span.bad-text { (leaked) } })) }
                @if let Some(at) = kept.tested_at { (fact("number-tested", html! {
                    (view.time(at)) " "
                    @match kept.tested { Some(true) => (tag("good", &view.t("yes"))), Some(false) => (tag("bad", &view.t("no"))),
                        None => {} }
                })) }
            }
        }
        h2 { (view.t("number-lease")) }
        @match &info.lease {
            Some(lease) => {
                dl.facts {
                    (fact("lease-granted", view.time(lease.granted_at)))
                    (fact("lease-seen", view.time(lease.seen_at)))
                    (fact("lease-hold", view.time(lease.hold_until)))
                    (fact("lease-visitor", html! { a.mono href=(super::view::address("/calls", [("visitor_id",
                        lease.visitor_id.as_str())].into_iter())) { (lease.visitor_id) } }))
                    @if let Some(page) = &lease.session.landing_page { div.wide { dt { (view.t("visit-landing")) } dd.mono { (page) } } }
                    @for (key, value) in &lease.session.utm { (fact_of(&view.word("utm", key), value)) }
                }
            },
            None => { p.soft { (view.t("number-no-lease")) } },
        }
        h2 { (view.t("nav-calls")) }
        @if found.is_empty() { p.soft { (view.t("calls-none")) } } @else { (calls::table(&view, &found, &["time", "caller",
            "origin", "confidence", "status", "talk"])) }
    };
    Ok(view.show(Page { title: &title, nav: "/numbers", scripts: &[], body }))
}

fn fact_of(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

const fn word(state: NumberState) -> &'static str {
    match state {
        NumberState::Free => "free",
        NumberState::Leased => "leased",
        NumberState::Held => "held",
        NumberState::Static => "static",
    }
}

fn state(view: &View, state: NumberState) -> Markup {
    let mood = match state {
        NumberState::Leased => "accent",
        NumberState::Held => "warn",
        NumberState::Free | NumberState::Static => "",
    };
    tag(mood, &view.word("state", word(state)))
}

/// Numbers with their holders.
pub(super) fn table(view: &View, numbers: &[NumberInfo]) -> Markup {
    sheet(
        &view.t("nav-numbers"),
        html! {
            table {
                thead { tr {
                    th scope="col" { (view.t("column-number")) } th scope="col" { (view.t("filter-state")) } th scope="col" {
                        (view.t("filter-pool")) }
                    th scope="col" { (view.t("number-shown")) } th scope="col" { (view.t("lease-seen")) } th scope="col" {
                        (view.t("number-until")) }
                } }
                tbody { @for info in numbers {
                    @let lease = info.lease.as_ref();
                    tr {
                        th scope="row" { a.mono href={ "/numbers/" (info.number.digits()) } { (number::display(&info.number)) } }
                        td { (state(view, info.state)) }
                        td { (info.pool) }
                        td { @if let Some(lease) = lease { (from(view, lease)) } }
                        td { @if let Some(lease) = lease { (view.time(lease.seen_at)) } }
                        td { @if let Some(lease) = lease.filter(|_| info.state != NumberState::Free) {
                            (view.clock(if info.state == NumberState::Held { lease.hold_until } else { lease.expires_at }))
                        } }
                    }
                } }
            }
        },
    )
}

fn from(view: &View, lease: &crate::core::lease::Lease) -> String {
    let utm = &lease.session.utm;
    let words: Vec<&str> = ["source", "campaign"].iter().filter_map(|key| utm.get(*key)).map(String::as_str).collect();
    if words.is_empty() { view.t("origin-direct").into_owned() } else { words.join(" · ") }
}
