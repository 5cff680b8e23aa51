//! Pools: what their numbers do now, shortage, what the keeper does; one pool with its numbers.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use maud::{Markup, html};

use super::frame::Page;
use super::numbers;
use super::parts::{empty, heading, parts, sheet, tag};
use super::report::{self, Asked, Shown};
use super::view::View;
use crate::core::keeper::PoolView;
use crate::core::pool::PoolState;
use crate::core::rights::Right;
use crate::io::http::problem::Problem;

/// Pools of companies that whoever asks may see.
pub(super) fn seen(view: &View) -> Vec<PoolState> {
    let mut pools = view.state.allocator.pools();
    pools.retain(|pool| view.may_in(Right::Leases, &pool.company));
    pools
}

/// `GET /pools`: as they are now, and how they were.
pub(super) async fn list(view: View) -> Shown {
    let asked = Asked::of(&view, &report::pools::SCREEN)?;
    let found = report::pools::ask(&asked, &view, None).await?;
    let mut pools = seen(&view);
    pools.retain(|pool| {
        view.asked("company").is_none_or(|company| company == pool.company)
            && view.asked("pool").is_none_or(|name| name == pool.name)
    });
    let title = view.t("nav-pools");
    let body = html! {
        (heading(&title, html! {
            @if view.may(Right::Edit) { a.button.primary href="/channels/new" { (view.t("nav-new-channel")) } }
            a.button href="/planner" { (view.t("nav-planner")) }
            (asked.csv(&view))
        }))
        @if pools.is_empty() { (empty(&view.t("pools-none"), html! { a href="/channels/new" { (view.t("nav-new-channel")) } })) }
        div.cards { @for pool in &pools { (card(&view, pool)) } }
        h2.apart { (view.t("pools-over-time")) }
        (asked.head(&view))
        (report::pools::history(&view, &found))
    };
    Ok(view.show(Page { title: &title, nav: "/pools", scripts: &[], body }))
}

/// `GET /pools/{name}`.
pub(super) async fn one(name: Result<Path<String>, PathRejection>, view: View) -> Shown {
    let unknown = || Problem::not_found("unknown_pool", "There is no such pool.");
    let Path(name) = name.map_err(|_| unknown())?;
    let pools = seen(&view);
    let pool = pools.iter().find(|pool| pool.name == name).ok_or_else(unknown)?;
    let configured = view.config.pools.iter().find(|configured| configured.name == name);
    let kept = view.state.keeper.pool(&name);
    let asked = Asked::of(&view, &report::pools::ONE)?;
    let found = report::pools::ask(&asked, &view, Some(&name)).await?;
    let added = kept.as_ref().map_or(0, |kept| kept.added);
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
        @if pool.kind != "static" {
            h2.apart { (view.t("pools-over-time")) }
            (asked.head(&view))
            (report::pools::one(&view, &asked, &found, pool, added))
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
    let link = format!("/pools/{}", report::channels::encoded(&pool.name));
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
                    th scope="row" { a href={ "/pools/" (report::channels::encoded(&pool.name)) } { (pool.name) } }
                    td.num { (view.lang.figure(pool.leased as u64)) } td.num { (view.lang.figure(pool.held as u64)) } td.num {
                        (view.lang.figure(pool.free as u64)) }
                } } }
            }
        },
    )
}
