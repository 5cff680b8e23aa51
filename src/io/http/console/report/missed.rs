//! Missed calls: when they come, who has been spoken to since and how soon, and who still waits.

use std::time::Duration;

use maud::{Markup, html};

use super::super::calls;
use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{empty, sheet, tag, tiles};
use super::super::view::View;
use super::super::work;
use super::hours::heat;
use super::{Asked, Field, Screen, Shown, show};
use crate::core::rights::Right;
use crate::io::http::body;
use crate::io::index::report::{self, Missed};
use crate::io::index::{CallView, Filter};

const SCREEN: Screen = Screen {
    nav: "/missed",
    title: "nav-missed",
    report: "missed",
    right: Right::Calls,
    fields: &[Field::Pool, Field::Own("waiting")],
};

/// Calls of a page.
const ROWS: usize = 50;

/// `GET /missed`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let ask = asked.ask(&view, |reader, filter| Ok((report::missed(reader, filter)?, report::hours(reader, filter)?)));
    let (missed, hours) = ask.await?;
    if missed.calls == 0 {
        return Ok(asked.show(&view, empty(&view.t("report-none"), html! {})));
    }
    let waiting = view.asked("waiting").is_some();
    let cursor = view.asked("cursor").map(|id| id.parse().map_err(|_| body::bad_parameter("cursor", "a call's id")));
    let filter = Filter {
        missed: Some(true),
        waiting: waiting.then_some(true),
        cursor: cursor.transpose()?,
        limit: Some(ROWS),
        ..asked.calls(&view)
    };
    let found = view.found(filter).await?;
    let next = found.next.map(|id| id.to_string());
    let body = html! {
        (tiles(&[
            show::tile(&view, "missed-list", show::count(&view, missed.missed)),
            show::tile(&view, "report-missed-share", show::share(&view, missed.missed_share)),
            show::tile(&view, "missed-waiting", show::count(&view, missed.not_called_back)),
            show::tile(&view, "missed-reached", show::count(&view, missed.called_back)),
            show::tile(&view, "missed-wait", wait(&view, &missed)),
            show::tile(&view, "missed-withheld", show::count(&view, missed.withheld)),
        ]))
        (heat(&view, "missed-hours", &hours.rows, |hour| hour.missed))
        (waits(&view, &missed).figure(&view))
        p.soft.measure { (view.t("missed-rule")) }
        h2 { (view.t("missed-list")) }
        p.presets {
            a.chip href=(view.link(&[("waiting", None), ("cursor", None)])) aria-current=[(!waiting).then_some("true")] {
                (view.t("missed-all")) }
            a.chip href=(view.link(&[("waiting", Some("1")), ("cursor", None)])) aria-current=[waiting.then_some("true")] {
                (view.t("missed-waiting")) }
        }
        @if found.calls.is_empty() { (empty(&view.t(if waiting { "missed-none-waiting" } else { "missed-none" }), html! {})) } @else {
            (table(&view, &found.calls))
        }
        p.more {
            @if view.asked("cursor").is_some() { a.button rel="prev" href=(view.link(&[("cursor", None)])) {
                (view.t("calls-newest")) } }
            @if let Some(next) = &next { a.button rel="next" href=(view.link(&[("cursor", Some(next))])) {
                (view.t("calls-older")) } }
        }
    };
    Ok(asked.show(&view, body))
}

/// How soon missed callers were spoken to.
fn waits(view: &View, missed: &Missed) -> Chart {
    let most = missed.rows.iter().filter_map(|row| row.within_min).max().unwrap_or(0);
    let names = missed.rows.iter().map(|row| match row.within_min {
        Some(within) => format!("≤ {}", span(view, within)),
        None => format!("> {}", span(view, most)),
    });
    Chart {
        title: view.t("missed-waits").into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("missed-after").into_owned(),
        names: names.collect(),
        series: vec![Series {
            name: view.t("report-calls").into_owned(),
            values: missed.rows.iter().map(|row| row.calls as f64).collect(),
        }],
        aim: None,
    }
}

/// Mean time until callers were spoken to; of days only roughly.
fn wait(view: &View, missed: &Missed) -> String {
    let ms = missed.wait_ms.map(|ms| ms.max(0.0) as u64).filter(|ms| *ms >= 24 * 3_600_000);
    ms.map_or_else(|| show::time(view, missed.wait_ms), |ms| view.lang.span(Duration::from_millis(ms)))
}

fn span(view: &View, minutes: i64) -> String {
    view.lang.span(Duration::from_secs(u64::try_from(minutes).unwrap_or(0) * 60))
}

fn table(view: &View, missed: &[CallView]) -> Markup {
    sheet(
        &view.t("missed-list"),
        html! {
            table.calls {
                thead { tr { th scope="col" { (view.t("column-time")) } th scope="col" { (view.t("column-caller")) } th
                    scope="col" { (view.t("column-origin")) } th scope="col" { (view.t("column-status")) } th scope="col" {
                    (view.t("column-wait")) } th scope="col" { (view.t("missed-after")) } } }
                tbody { @for call in missed {
                    tr {
                        @for column in ["time", "caller", "origin", "status", "wait"] {
                            td class={ "c-" (column) } { (calls::cell(view, call, column)) } }
                        td.c-after { @match call.facts.reached_at {
                            Some(at) => { (view.lang.span(Duration::from_millis(at.millis_since(call.call.started_at)))) },
                            None if call.facts.waiting => { (tag("bad", &view.t("missed-not-yet"))) },
                            None => "–",
                        }
                        @let by_hand = call.facts.reached_by.as_deref() == Some("called_back");
                        @if call.facts.waiting || by_hand {
                            (work::called_back(view, call.call.call_id, call.facts.waiting, &view.link(&[]))) } }
                    }
                } }
            }
        },
    )
}
