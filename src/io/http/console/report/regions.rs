//! Where callers are, beside where the visitors are that they were taken for.

use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{empty, sheet, tag, tiles};
use super::super::view::View;
use super::{Asked, Field, Screen, Shown, show};
use crate::core::rights::Right;
use crate::io::index::report::{self, Regions};

const SCREEN: Screen =
    Screen { nav: "/regions", title: "nav-regions", report: "regions", right: Right::Reports, fields: &[Field::Pool] };

/// Columns of the picture.
const BARS: usize = 12;

/// `GET /regions`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let found = asked.ask(&view, report::regions).await?;
    if found.rows.is_empty() {
        return Ok(asked.show(&view, empty(&view.t("report-none"), html! {})));
    }
    let body = html! {
        (tiles(&[
            show::tile(&view, "report-calls", show::count(&view, found.calls)),
            show::tile(&view, "regions-compared", show::count(&view, found.compared)),
            show::tile(&view, "regions-mismatch", show::share(&view, found.mismatch_share)),
        ]))
        (picture(&view, &found).figure(&view))
        div.two.halves {
            div { h2 { (view.t("regions-callers")) } (callers(&view, &found)) }
            div {
                h2 { (view.t("regions-pairs")) }
                @if found.pairs.is_empty() { (empty(&view.t("regions-no-pairs"), html! {})) } @else { (pairs(&view, &found)) }
            }
        }
        p.soft.measure { (view.t("regions-about")) }
    };
    Ok(asked.show(&view, body))
}

fn picture(view: &View, found: &Regions) -> Chart {
    let rows = || found.rows.iter().take(BARS);
    let series = |key: &str, values: Vec<f64>| Series { name: view.lang.text(key, &[]).into_owned(), values };
    Chart {
        title: view.t("regions-calls").into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("column-region").into_owned(),
        names: rows().map(|row| show::cut(&show::known(view, &row.region), 10)).collect(),
        series: vec![
            series("regions-same", rows().map(|row| (row.compared - row.mismatched) as f64).collect()),
            series("regions-other", rows().map(|row| row.mismatched as f64).collect()),
            series("regions-unknown", rows().map(|row| (row.calls - row.compared) as f64).collect()),
        ],
        aim: None,
    }
}

fn callers(view: &View, found: &Regions) -> Markup {
    let most = found.rows.iter().map(|row| row.calls).max().unwrap_or(1).max(1);
    let differ = |part: i64, of: i64| (of > 0).then(|| part as f64 / of as f64);
    sheet(
        &view.t("regions-callers"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("column-region")) } th.num scope="col" { (view.t("report-calls")) } th.num
                    scope="col" { (view.t("regions-compared")) } th.num scope="col" { (view.t("regions-mismatch")) } } }
                tbody { @for row in &found.rows { tr {
                    th scope="row" { (show::known(view, &row.region)) }
                    td.num { (show::measured(row.calls as f64 / most as f64, "s1", &show::count(view, row.calls))) }
                    td.num { (show::count(view, row.compared)) }
                    td.num { (show::share(view, differ(row.mismatched, row.compared))) }
                } } }
            }
        },
    )
}

fn pairs(view: &View, found: &Regions) -> Markup {
    sheet(
        &view.t("regions-pairs"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("regions-caller")) } th scope="col" { (view.t("regions-visitor")) } th.num
                    scope="col" { (view.t("report-calls")) } th scope="col" { (view.t("regions-fits")) } } }
                tbody { @for pair in &found.pairs { tr {
                    th scope="row" { (pair.caller) }
                    td { (pair.visitor) }
                    td.num { (show::count(view, pair.calls)) }
                    td { @if pair.matches { (tag("good", &view.t("yes"))) } @else { (tag("warn", &view.t("no"))) } }
                } } }
            }
        },
    )
}
