//! Health: trunks, the journal, the lease table, banned addresses, the quality of sound.

use axum::response::Response;
use maud::{Markup, html};

use super::frame::Page;
use super::parts::{heading, sheet, tag};
use super::view::View;
use crate::config::Trunk;
use crate::core::event::LegMedia;
use crate::io::http::problem::Problem;
use crate::io::http::trunks::source;
use crate::io::index::Filter;

/// Calls whose sound is looked at.
const LATELY: usize = 100;

/// `GET /health`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let title = view.t("nav-health");
    let journal = view.state.journal.stats();
    let table = view.state.allocator.table();
    let fact = |key: &str, value: Markup| html! { div { dt { (view.t(key)) } dd { (value) } } };
    let good =
        |is_good: bool, yes: &str, no: &str| if is_good { tag("good", &view.t(yes)) } else { tag("bad", &view.t(no)) };
    let media = media(&view).await?;
    let body = html! {
        (heading(&title, html! { a.button href="/metrics" { (view.t("health-metrics")) } }))
        dl.facts {
            (fact("health-journal", good(!journal.degraded, "health-writing", "health-waiting")))
            (fact("health-journal-seq", html! { (view.lang.figure(journal.last_seq)) }))
            (fact("health-journal-queue", html! { (view.lang.figure(journal.queued)) }))
            (fact("health-dropped", html! { (view.lang.figure(journal.dropped)) }))
            (fact("health-table", good(!table.is_stale(), "health-fresh", "health-stale")))
            (fact("health-version", html! { (env!("CARGO_PKG_VERSION")) }))
        }
        h2 { (view.t("trunks")) }
        @if view.config.trunks.is_empty() { p.soft { (view.t("trunks-none")) } } @else {
            (sheet(&view.t("trunks"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("trunk")) } th scope="col" { (view.t("trunk-match")) } th scope="col" {
                        (view.t("trunk-registration")) } th scope="col" { (view.t("trunk-probe")) } } }
                    tbody { @for trunk in &view.config.trunks { (row(&view, trunk)) } }
                }
            }))
        }
        h2 { (view.t("media-lately")) }
        (media)
    };
    Ok(view.show(Page { title: &title, nav: "/health", scripts: &[], body }))
}

fn row(view: &View, trunk: &Trunk) -> Markup {
    let registration = trunk.register.as_ref().map(|register| (register, view.state.live.trunk(&trunk.name)));
    let probe = trunk.probe.map(|_| view.state.live.probe(&trunk.name));
    html! {
        tr {
            th scope="row" { (trunk.name) }
            td.mono { (trunk.sources.iter().map(source).collect::<Vec<_>>().join(", ")) }
            td { @match registration {
                None => { span.soft { (view.t("trunk-no-registration")) } },
                Some((register, now)) => {
                    @let registered = now.as_ref().is_some_and(|now| now.registered);
                    (tag(if registered { "good" } else { "bad" }, &view.word("registration", now.as_ref().map_or("registering",
                        |now| now.state))))
                    small.mono { (register.registrar) }
                    @if let Some(error) = now.as_ref().and_then(|now| now.last_error) { small.bad-text { (view.word("reason", error)) } }
                },
            } }
            td { @match probe {
                None => { span.soft { (view.t("trunk-no-probe")) } },
                Some(now) => {
                    @let state = now.as_ref().map_or("unknown", |now| now.state);
                    (tag(match state { "up" => "good", "down" => "bad", _ => "warn" }, &view.word("probe", state)))
                    @if let Some(rtt) = now.as_ref().and_then(|now| now.rtt) { " " (view.lang.decimal(rtt.as_secs_f64() * 1e3, 1)) " ms" }
                    @if let Some(error) = now.as_ref().and_then(|now| now.last_error) { small.bad-text { (view.word("reason", error)) } }
                },
            } }
        }
    }
}

/// Loss, jitter and MOS of the latest calls, by side.
async fn media(view: &View) -> Result<Markup, Problem> {
    let lately = Filter { limit: Some(LATELY), in_progress: Some(false), ..Filter::default() };
    let calls = view.found(lately).await?.calls;
    let legs = |pick: fn(&crate::core::event::MediaSummary) -> &LegMedia| {
        calls
            .iter()
            .filter_map(|call| call.call.media.as_ref().map(pick))
            .filter(|leg| leg.received > 0)
            .collect::<Vec<_>>()
    };
    let sides = [("side-caller", legs(|media| &media.caller)), ("side-company", legs(|media| &media.company))];
    Ok(html! {
        (sheet(&view.t("media-lately"), html! {
            table {
                thead { tr { td {} th.num scope="col" { (view.t("nav-calls")) } th.num scope="col" { (view.t("media-lost")) }
                    th.num scope="col" { (view.t("media-jitter")) } th.num scope="col" { "MOS" } th.num scope="col" {
                    (view.t("media-poor")) } } }
                tbody { @for (side, legs) in &sides {
                    @let count = legs.len() as u64;
                    @let (received, lost) = legs.iter().fold((0, 0), |(received, lost), leg| (received + leg.received, lost + leg.lost));
                    @let moses = legs.iter().filter_map(|leg| leg.mos).collect::<Vec<_>>();
                    tr {
                        th scope="row" { (view.t(side)) }
                        td.num { (view.lang.figure(count)) }
                        td.num { (view.lang.share_of(lost, received + lost)) }
                        td.num { (mean(view, legs.iter().map(|leg| leg.jitter_ms))) " ms" }
                        td.num { (mean(view, moses.iter().copied())) }
                        td.num { (view.lang.figure(moses.iter().filter(|mos| **mos < 3.6).count() as u64)) }
                    }
                } }
            }
        }))
    })
}

fn mean(view: &View, values: impl Iterator<Item = f64>) -> String {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    view.lang.decimal(if count == 0 { f64::NAN } else { sum / f64::from(count) }, 1)
}
