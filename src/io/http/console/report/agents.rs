//! Who takes calls: answered, missed, how long they talk, how they are scored.

use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{empty, sheet};
use super::super::view::{View, address};
use super::{Asked, Field, Screen, Shown, show};
use crate::core::rights::Right;
use crate::io::index::report::{self, Agent};

const SCREEN: Screen =
    Screen { nav: "/agents", title: "nav-agents", report: "agents", right: Right::Reports, fields: &[Field::Pool] };

/// Columns of the picture.
const BARS: usize = 12;

/// `GET /agents`.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let rows = asked.ask(&view, report::agents).await?.rows;
    if rows.is_empty() {
        return Ok(asked.show(&view, empty(&view.t("report-none"), html! {})));
    }
    let body = html! {
        (picture(&view, &rows).figure(&view))
        (table(&view, &rows))
        p.soft { (view.t("agents-about")) " " a href="/missed" { (view.t("nav-missed")) } }
    };
    Ok(asked.show(&view, body))
}

/// A destination without what all of them have.
fn named(view: &View, agent: &str) -> String {
    show::known(view, agent.trim_start_matches("sip:"))
}

fn picture(view: &View, rows: &[Agent]) -> Chart {
    let some = || rows.iter().take(BARS);
    let series = |key: &str, pick: fn(&Agent) -> i64| Series {
        name: view.lang.text(key, &[]).into_owned(),
        values: some().map(|row| pick(row) as f64).collect(),
    };
    let short = |agent: &Agent| {
        let name = named(view, &agent.agent);
        show::cut(name.split('@').next().unwrap_or(&name), show::letters(some().count()))
    };
    Chart {
        title: view.t("agents-calls").into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("agent").into_owned(),
        names: some().map(short).collect(),
        series: vec![series("series-answered", |row| row.answered), series("series-missed", |row| row.missed)],
        aim: None,
    }
}

fn table(view: &View, rows: &[Agent]) -> Markup {
    let calls = |row: &Agent| address("/calls", [("agent", row.agent.as_str())].into_iter());
    let missed = |row: &Agent| {
        let all = row.answered + row.missed;
        (all > 0).then(|| row.missed as f64 / all as f64)
    };
    let score = |row: &Agent| row.score.map_or_else(|| "–".to_owned(), |score| view.lang.decimal(score, 0));
    sheet(
        &view.t("nav-agents"),
        html! {
            table {
                thead { tr {
                    th scope="col" { (view.t("agent")) }
                    @for key in ["agents-answered", "agents-missed", "report-missed-share", "agents-talk", "report-talk",
                        "report-wait", "agents-scored"] { th.num scope="col" { (view.lang.text(key, &[])) } }
                    (show::made(&view.t("agents-score"), &view.t("agents-score-how")))
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { @if row.agent.is_empty() { (named(view, "")) } @else { a href=(calls(row)) {
                        (named(view, &row.agent)) } } }
                    td.num { (show::count(view, row.answered)) }
                    td.num { (show::count(view, row.missed)) }
                    td.num { (show::measured(missed(row).unwrap_or(0.0), "s2", &show::share(view, missed(row)))) }
                    td.num { (show::time(view, Some(row.talk_ms as f64))) }
                    td.num { (show::time(view, row.mean_talk_ms)) }
                    td.num { (show::time(view, row.mean_ring_ms)) }
                    td.num { (show::count(view, row.scored)) }
                    td.num { (score(row)) }
                } } }
            }
        },
    )
}
