//! How far the attribution can be believed: how sure it was, and how often it was right.

use maud::{Markup, html};

use super::super::chart::{Dot, reliability};
use super::super::parts::{empty, parts, sheet, tiles};
use super::super::view::View;
use super::{Asked, Field, Screen, Shown, show};
use crate::core::rights::Right;
use crate::io::index::report::{self, Quality};

const SCREEN: Screen =
    Screen { nav: "/quality", title: "nav-quality", report: "quality", right: Right::Reports, fields: &[Field::Pool] };

/// `GET /quality`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let found = asked.ask(&view, report::quality).await?;
    if found.calls == 0 {
        return Ok(asked.show(&view, empty(&view.t("report-none"), html! {})));
    }
    let error = found.calibration_error.map(|error| view.lang.decimal(error, 3));
    let checked: i64 = found.rows.iter().map(|bin| bin.checked).sum();
    let body = html! {
        (tiles(&[
            show::tile(&view, "report-calls", show::count(&view, found.calls)),
            show::tile(&view, "quality-sure", show::share(&view, found.sure_share)),
            show::tile(&view, "quality-unknown", show::share(&view, found.unknown_share)),
            show::tile(&view, "quality-checked", show::count(&view, checked)),
            show::tile(&view, "quality-error", error.unwrap_or_else(|| "–".to_owned())),
        ]))
        (kinds(&view, &found))
        div.two.halves {
            div { (diagram(&view, &found)) }
            div { h2 { (view.t("quality-tenths")) } (table(&view, &found)) }
        }
    };
    Ok(asked.show(&view, body))
}

/// What calls were attributed to.
fn kinds(view: &View, found: &Quality) -> Markup {
    let of = |count: i64| u64::try_from(count).unwrap_or(0);
    let kinds = &found.kinds;
    let each =
        [("s1", "kind-visitor", kinds.visitor), ("s4", "kind-static", kinds.fixed), ("s6", "kind-none", kinds.none)];
    html! {
        section.chart {
            h2 { (view.t("quality-kinds")) }
            (parts(of(found.calls), &each.map(|(class, _, count)| (of(count), class))))
            p.legend { @for (class, key, count) in each {
                span class={ "k " (class) } { (view.lang.text(key, &[])) " " b { (show::count(view, count)) } } } }
        }
    }
}

fn diagram(view: &View, found: &Quality) -> Markup {
    let most = found.rows.iter().map(|bin| bin.checked).max().unwrap_or(0).max(1) as f64;
    let dot =
        |bin: &report::Bin| Some(Dot { x: bin.confidence_checked?, y: bin.right?, weight: bin.checked as f64 / most });
    let dots: Vec<Dot> = found.rows.iter().filter_map(dot).collect();
    html! {
        @if dots.is_empty() { (empty(&view.t("quality-no-truth"), html! {})) } @else {
            (reliability(view, [&view.t("quality-diagram"), &view.t("quality-right"), &view.t("quality-perfect")], &dots))
            p.soft { (view.t("quality-about")) }
        }
    }
}

fn table(view: &View, found: &Quality) -> Markup {
    let most = found.rows.iter().map(|bin| bin.calls).max().unwrap_or(1).max(1);
    sheet(
        &view.t("quality-tenths"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("column-confidence")) } @for key in ["report-calls", "quality-checked",
                    "quality-mean", "quality-right"] { th.num scope="col" { (view.lang.text(key, &[])) } } } }
                tbody { @for bin in found.rows.iter().rev() { tr {
                    th scope="row" { (format!("{:.0}–\u{2060}{:.0}\u{202f}%", bin.from * 100.0, bin.until * 100.0)) }
                    td.num { (show::measured(bin.calls as f64 / most as f64, "s1", &show::count(view, bin.calls))) }
                    td.num { (show::count(view, bin.checked)) }
                    td.num { (show::share(view, bin.confidence_checked)) }
                    td.num { (show::share(view, bin.right)) }
                } } }
            }
        },
    )
}
