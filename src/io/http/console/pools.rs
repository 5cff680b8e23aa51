//! Pools: what their numbers do now, shortage, what the keeper does; one pool with its numbers.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use maud::{Markup, html};

use super::frame::Page;
use super::numbers;
use super::parts::{empty, heading, parts, sheet, tag};
use super::view::View;
use crate::core::keeper::PoolView;
use crate::core::pool::PoolState;
use crate::io::http::problem::Problem;

/// `GET /pools`.
pub(super) async fn list(view: View) -> Result<Response, Problem> {
    let pools = view.state.allocator.pools();
    let title = view.t("nav-pools");
    let body = html! {
        (heading(&title, html! { a.button.primary href="/channels/new" { (view.t("nav-new-channel")) } a.button href="/planner" {
            (view.t("nav-planner")) } }))
        @if pools.is_empty() { (empty(&view.t("pools-none"), html! { a href="/channels/new" { (view.t("nav-new-channel")) } })) }
        div.cards { @for pool in &pools { (card(&view, pool)) } }
    };
    Ok(view.show(Page { title: &title, nav: "/pools", scripts: &[], body }))
}

/// `GET /pools/{name}`.
pub(super) async fn one(name: Result<Path<String>, PathRejection>, view: View) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("unknown_pool", "There is no such pool.");
    let Path(name) = name.map_err(|_| unknown())?;
    let pools = view.state.allocator.pools();
    let pool = pools.iter().find(|pool| pool.name == name).ok_or_else(unknown)?;
    let configured = view.config.pools.iter().find(|configured| configured.name == name);
    let kept = view.state.keeper.pool(&name);
    let mut all = view.state.allocator.numbers();
    all.retain(|info| info.pool == name);
    all.sort_by(|left, right| left.number.cmp(&right.number));
    all.truncate(numbers::ROWS);
    let title = view.ta("pool-title", &[("name", (&name).into())]);
    let fact = |key: &str, value: String| html! { div { dt { (view.t(key)) } dd { (value) } } };
    let figure = |n: u64| view.lang.figure(n);
    let body = html! {
        p.crumbs { a href="/pools" { (view.t("nav-pools")) } }
        (heading(&title, html! { a.button href={ "/planner?numbers=" (pool.numbers) } { (view.t("nav-planner")) } }))
        (card(&view, pool))
        dl.facts {
            (fact("pool-granted", figure(pool.granted)))
            (fact("pool-shared", format!("{} ({})", figure(pool.shared), view.lang.share_of(pool.shared, pool.granted))))
            (fact("pool-exhausted", figure(pool.exhausted)))
            (fact("pool-instead", figure(pool.source_static + pool.overflow)))
            @if let Some(configured) = configured { (fact("pool-hold", view.lang.span(configured.hold))) }
            @if let Some(kept) = &kept {
                (fact("pool-minutes-short", figure(kept.minutes_short)))
                (fact("pool-contended", figure(kept.calls_contended)))
                @if let Some(planned) = kept.planned { (fact("pool-planned", figure(planned as u64))) }
                (fact("pool-added", figure(kept.added as u64)))
            }
        }
        h2 { (view.t("nav-numbers")) }
        (numbers::table(&view, &all))
        @if pool.numbers > numbers::ROWS { p.more { a.button href=(super::view::address("/numbers", [("pool",
            name.as_str())].into_iter())) { (view.t("numbers-all")) } } }
    };
    Ok(view.show(Page { title: &title, nav: "/pools", scripts: &[], body }))
}

fn card(view: &View, pool: &PoolState) -> Markup {
    let kept = view.state.keeper.pool(&pool.name);
    let channel =
        view.config.pools.iter().find(|known| known.name == pool.name).and_then(|known| known.channel.as_ref());
    let count = |n: usize| n as u64;
    let figure = |n: usize| view.lang.figure(n as u64);
    let link = format!(
        "/pools/{}",
        url::form_urlencoded::byte_serialize(pool.name.as_bytes()).collect::<String>().replace('+', "%20")
    );
    html! {
        section.sheet.card {
            h2 { a href=(link) { (pool.name) } " " (tag("", &view.word("pool-kind", pool.kind))) @if let Some(kept) = &kept {
                (states(view, kept)) } }
            p.soft { (pool.company) @if let Some(site) = &pool.site { " · " (site) } " · " (view.tn("numbers-count", count(pool.numbers))) }
            @if pool.kind == "static" {
                p { @if let Some(channel) = channel { (channel.values().cloned().collect::<Vec<_>>().join(" · ")) } @else {
                    (view.t("pool-no-channel")) } }
            } @else {
                (parts(count(pool.numbers), &[(count(pool.leased), "s1"), (count(pool.held), "s2"), (kept.as_ref().map_or(0, |kept|
                    count(kept.resting + kept.leaving)), "s4")]))
                p.legend {
                    span.k.s1 { (view.t("state-leased")) " " b { (figure(pool.leased)) } }
                    span.k.s2 { (view.t("state-held")) " " b { (figure(pool.held)) } }
                    span.k.rest { (view.t("state-free")) " " b { (figure(pool.free)) } }
                    @if let Some(kept) = kept.as_ref().filter(|kept| kept.resting + kept.leaving > 0) {
                        span.k.s4 { (view.t("state-resting")) " " b { (figure(kept.resting + kept.leaving)) } }
                    }
                }
                @if pool.exhausted > 0 { p.bad-text { (view.tn("pool-exhausted-words", pool.exhausted)) } }
            }
        }
    }
}

fn states(view: &View, kept: &PoolView) -> Markup {
    html! {
        @if kept.short { " " (tag("bad", &view.t("pool-short"))) }
        @if kept.grows { " " (tag("accent", &view.t("pool-grows"))) }
        @if let Some(refused) = &kept.refused { " " (tag("warn", &view.word("reason", refused))) }
    }
}

/// As a table, for pages that need only the figures.
pub(super) fn brief(view: &View, pools: &[PoolState]) -> Markup {
    sheet(
        &view.t("nav-pools"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("filter-pool")) } th.num scope="col" { (view.t("state-leased")) } th.num
                    scope="col" { (view.t("state-held")) } th.num scope="col" { (view.t("state-free")) } } }
                tbody { @for pool in pools.iter().filter(|pool| pool.kind != "static") { tr {
                    th scope="row" { a href="/pools" { (pool.name) } }
                    td.num { (view.lang.figure(pool.leased as u64)) } td.num { (view.lang.figure(pool.held as u64)) } td.num {
                        (view.lang.figure(pool.free as u64)) }
                } } }
            }
        },
    )
}
