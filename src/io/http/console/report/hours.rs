//! When calls come, and when nobody answers: hours of weekdays, on the company's clocks.

use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{empty, tiles};
use super::super::view::View;
use super::{Asked, Field, Screen, Shown, show};
use crate::core::rights::Right;
use crate::io::index::report::{self, Hour};

const SCREEN: Screen =
    Screen { nav: "/hours", title: "nav-hours", report: "hours", right: Right::Reports, fields: &[Field::Pool] };

/// `GET /hours`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let hours = asked.ask(&view, report::hours).await?.rows;
    if hours.is_empty() {
        return Ok(asked.show(&view, empty(&view.t("report-none"), html! {})));
    }
    let answered: i64 = hours.iter().map(|hour| hour.answered).sum();
    let calls: i64 = hours.iter().map(|hour| hour.calls).sum();
    let ring: i64 = hours.iter().map(|hour| hour.ring_ms).sum();
    let mean = (answered > 0).then(|| ring as f64 / answered as f64);
    let missed = (calls > 0).then(|| (calls - answered) as f64 / calls as f64);
    let busiest = hours.iter().max_by_key(|hour| hour.calls);
    let body = html! {
        (tiles(&[
            show::tile(&view, "report-calls", show::count(&view, calls)),
            show::tile(&view, "hours-busiest", busiest.map_or_else(String::new, |hour| named(&view, hour))),
            show::tile(&view, "report-missed-share", show::share(&view, missed)),
            show::tile(&view, "report-wait", show::time(&view, mean)),
        ]))
        (heat(&view, "hours-week", &hours, |hour| hour.calls))
        (of_day(&view, &hours).figure(&view))
        (heat(&view, "missed-hours", &hours, |hour| hour.missed))
    };
    Ok(asked.show(&view, body))
}

fn named(view: &View, hour: &Hour) -> String {
    let weekday = usize::try_from(hour.weekday - 1).ok().and_then(|day| view.lang.weekdays().get(day).copied());
    format!("{}, {:02}–{:02}", weekday.unwrap_or_default(), hour.hour, hour.hour + 1)
}

fn of_day(view: &View, hours: &[Hour]) -> Chart {
    let by_hour = |pick: fn(&Hour) -> i64| {
        let of = |at: i64| hours.iter().filter(|hour| hour.hour == at).map(pick).sum::<i64>() as f64;
        (0..24).map(of).collect()
    };
    Chart {
        title: view.t("hours-day").into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("hour").into_owned(),
        names: (0..24).map(|hour| format!("{hour:02}")).collect(),
        series: vec![
            Series { name: view.t("series-answered").into_owned(), values: by_hour(|hour| hour.answered) },
            Series { name: view.t("series-missed").into_owned(), values: by_hour(|hour| hour.calls - hour.answered) },
        ],
        aim: None,
    }
}

/// Hour and weekday as a table whose cells are as deep as they have calls; the figures stand in them.
pub(super) fn heat(view: &View, key: &str, hours: &[Hour], pick: fn(&Hour) -> i64) -> Markup {
    let at = |weekday: i64, at: i64| {
        hours.iter().filter(|hour| hour.weekday == weekday && hour.hour == at).map(pick).sum::<i64>()
    };
    let most = hours.iter().map(pick).max().unwrap_or(0).max(1);
    let title = view.lang.text(key, &[]);
    html! {
        figure.chart {
            figcaption { (title) }
            div.scroll.heat-scroll tabindex="0" role="region" aria-label=(title) {
                table.heat {
                    thead { tr { td {} @for hour in 0..24 { th scope="col" { (format!("{hour:02}")) } } } }
                    tbody { @for (day, name) in (1..).zip(view.lang.weekdays()) {
                        tr { th scope="row" { (name) } @for hour in 0..24 {
                            @let count = at(day, hour);
                            td class={ "h" ((count * 5 + most - 1) / most) } { @if count > 0 { (show::count(view, count)) } }
                        } }
                    } }
                }
            }
        }
    }
}
