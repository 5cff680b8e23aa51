//! Models of attribution side by side: the same calls, and to whom each model gives them.

use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{empty, sheet};
use super::super::view::View;
use super::sources::{crumbs, down};
use super::{Asked, Field, Screen, Shown, show};
use crate::core::credit::Model;
use crate::core::rights::Right;
use crate::io::http::reports::PATH;
use crate::io::index::report::{self, Credits, Models};

const SCREEN: Screen = Screen {
    nav: "/models",
    title: "nav-models",
    report: "models",
    right: Right::Reports,
    fields: &[Field::Pool, Field::Path, Field::LookBack],
};

/// Colours of the picture; the last one is for all the others.
const COLOURS: usize = 6;

/// `GET /models`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let found = asked.ask(&view, report::models).await?;
    let body = html! {
        (crumbs(&view, &asked))
        @if found.rows.is_empty() { (empty(&view.t("report-none"), html! {})) } @else {
            (picture(&view, &asked, &found).figure(&view))
            (table(&view, &asked, &found))
            p.soft.measure { (view.t("report-credit-about")) }
            dl.facts.rules { @for model in Model::ALL { div { dt { (view.word("model", model.as_str())) } dd {
                (view.word("model-rule", model.as_str())) } } } }
        }
    };
    Ok(asked.show(&view, body))
}

fn level(view: &View, asked: &Asked) -> String {
    let level = PATH.get(asked.depth()).or(PATH.last()).copied().unwrap_or_default();
    view.word("utm", level).into_owned()
}

/// A column a model, a colour a source.
fn picture(view: &View, asked: &Asked, found: &Models) -> Chart {
    let all = |credits: &Credits| Model::ALL.map(|model| credits.of(model)).to_vec();
    let shown = if found.rows.len() > COLOURS { COLOURS - 1 } else { found.rows.len() };
    let mut series: Vec<Series> = (found.rows.iter().take(shown))
        .map(|row| Series { name: show::known(view, &row.name), values: all(&row.credits) })
        .collect();
    if found.rows.len() > shown {
        let of_shown = |model: Model| found.rows.iter().take(shown).map(|row| row.credits.of(model)).sum::<f64>();
        let values = Model::ALL.map(|model| (found.total.of(model) - of_shown(model)).max(0.0)).to_vec();
        series.push(Series { name: view.t("models-others").into_owned(), values });
    }
    Chart {
        title: view.ta("models-by", &[("level", (&level(view, asked)).into())]).into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("report-model").into_owned(),
        names: Model::ALL.map(|model| view.word("model-short", model.as_str()).into_owned()).to_vec(),
        series,
        aim: None,
    }
}

fn table(view: &View, asked: &Asked, found: &Models) -> Markup {
    let cells = |credits: &Credits| {
        html! { @for model in Model::ALL { td.num { (show::credit(view, credits.of(model))) } } }
    };
    sheet(
        &view.t("nav-models"),
        html! {
            table {
                thead { tr { th scope="col" { (level(view, asked)) } @for model in Model::ALL { th.num scope="col" {
                    (view.word("model", model.as_str())) } } } }
                tbody { @for row in &found.rows { tr {
                    th scope="row" { @match down(view, asked, &row.name) {
                        Some(link) => { a href=(link) { (show::known(view, &row.name)) } },
                        None => { (show::known(view, &row.name)) },
                    } }
                    (cells(&row.credits))
                } } }
                tfoot { tr { th scope="row" { (view.t("report-total")) } (cells(&found.total)) } }
            }
        },
    )
}
