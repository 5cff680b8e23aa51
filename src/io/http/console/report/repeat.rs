//! First and repeat calls: by day, and which call of its caller each was.

use maud::html;

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{empty, tiles};
use super::super::view::View;
use super::{Asked, Field, Screen, Shown, show};
use crate::core::rights::Right;
use crate::io::index::report::{self, Day, Repeat};

const SCREEN: Screen =
    Screen { nav: "/repeat", title: "nav-repeat", report: "repeat", right: Right::Reports, fields: &[Field::Pool] };

/// `GET /repeat`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let ask = asked.ask(&view, |reader, filter| {
        let places = report::ReportFilter { path: Default::default(), ..filter.clone() };
        Ok((report::repeat(reader, filter)?, report::overview(reader, &places)?.rows))
    });
    let (repeat, days) = ask.await?;
    if repeat.calls == 0 {
        return Ok(asked.show(&view, empty(&view.t("report-none"), html! {})));
    }
    let each = repeat.calls_per_caller.map_or_else(|| "–".to_owned(), |each| view.lang.decimal(each, 2));
    let withheld = |day: &Day| (day.calls - day.first_calls - day.repeat_calls).max(0);
    let by_day = show::days(
        &view,
        "repeat-days",
        Kind::StackedBars,
        &days,
        |day| &day.day,
        &[
            ("report-first", &|day| day.first_calls),
            ("report-repeat", &|day| day.repeat_calls),
            ("repeat-withheld", &withheld),
        ],
    );
    let body = html! {
        (tiles(&[
            show::tile(&view, "report-calls", show::count(&view, repeat.calls)),
            show::tile(&view, "report-first", show::count(&view, repeat.first)),
            show::tile(&view, "report-repeat", show::count(&view, repeat.repeat)),
            show::tile(&view, "repeat-withheld", show::count(&view, repeat.withheld)),
            show::tile(&view, "report-callers", show::count(&view, repeat.callers)),
            show::tile(&view, "repeat-each", each),
        ]))
        (by_day.figure(&view))
        (ordinals(&view, &repeat).figure(&view))
        p.soft.measure { (view.t("repeat-about")) }
    };
    Ok(asked.show(&view, body))
}

/// Which call of its caller each was.
fn ordinals(view: &View, repeat: &Repeat) -> Chart {
    let last = repeat.rows.len();
    let name = |at: usize| if at + 1 == last { format!("{}+", at + 1) } else { (at + 1).to_string() };
    Chart {
        title: view.t("repeat-ordinals").into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("repeat-ordinal").into_owned(),
        names: (0..last).map(name).collect(),
        series: vec![Series {
            name: view.t("report-calls").into_owned(),
            values: repeat.rows.iter().map(|row| row.calls as f64).collect(),
        }],
        aim: None,
    }
}
