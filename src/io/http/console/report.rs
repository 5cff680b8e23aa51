//! Reports on calls: sources with drill-down, missed calls, the hours of the week, regions, who answers.

use std::collections::BTreeMap;

use axum::response::Response;
use maud::{Markup, html};

use super::calls;
use super::chart::{Chart, Kind, Series, Unit};
use super::figures::{Calls, Figures, LEVELS, part};
use super::frame::Page;
use super::parts::{Tile, bar, empty, field, heading, options, sheet, tiles};
use super::view::{View, address};
use crate::core::event::{CallData, Outcome};
use crate::io::http::problem::Problem;
use crate::io::index::UNKNOWN;

/// Rows of a report; the rest is one row.
const ROWS: usize = 200;
/// Columns of a picture.
const BARS: usize = 12;

/// The time and the company that a report is about.
fn period(view: &View) -> Markup {
    let value = |name: &str| view.asked(name).unwrap_or_default();
    let names = view.config.companies.iter().map(|company| company.name.as_str()).filter(|name| view.sees(name));
    let companies = names.map(|name| (name, name.into()));
    html! {
        form.filters method="get" action=(view.path) {
            (field(&view.t("filter-since"), "since", "date", value("since")))
            (field(&view.t("filter-until"), "until", "date", value("until")))
            label { span { (view.t("filter-company")) } select name="company" { (options(view.asked("company"),
                std::iter::once(("", view.t("any"))).chain(companies))) } }
            @for (key, value) in view.query.iter().filter(|(key, _)| LEVELS.contains(&&**key)) { input type="hidden" name=(key)
                value=(value); }
            div.buttons { button.primary type="submit" { (view.t("filters-apply")) } a.button href=(view.path) {
                (view.t("filters-clear")) } }
        }
    }
}

fn shown(view: &View, calls: &Calls, key: &str, body: Markup) -> Response {
    let title = view.t(key);
    let body = html! {
        (heading(&title, html! {}))
        (period(view))
        @if calls.calls.is_empty() { (empty(&view.t("report-none"), html! {})) } @else { (body) }
        @if calls.is_cut { p.soft { (view.t("report-cut")) } }
    };
    view.show(Page { title: &title, nav: &view.path, scripts: &[], body })
}

/// `GET /sources`: one level deeper with every part of the source that the address names.
pub(super) async fn sources(view: View) -> Result<Response, Problem> {
    let calls = Calls::asked(&view).await?;
    let at = LEVELS.iter().position(|level| view.asked(level).is_none()).unwrap_or(LEVELS.len() - 1);
    let level = LEVELS.get(at).copied().unwrap_or("source");
    let inside = |call: &crate::io::index::CallView| {
        let fits =
            LEVELS.iter().take(at).all(|level| view.asked(level).is_none_or(|wanted| part(call, level) == wanted));
        fits.then(|| part(call, level))
    };
    let groups = calls.by(inside);
    let total = calls.total();
    let link = |name: &str| (at + 1 < LEVELS.len() && !name.is_empty()).then(|| view.link(&[(level, Some(name))]));
    let tile = |key: &str, value: String| Tile { label: view.t(key), value, before: None, spark: None, link: None };
    let body = html! {
        (crumbs(&view, at))
        @if at == 0 { (tiles(&[
            tile("report-calls", view.lang.figure(total.calls)),
            tile("report-callers", view.lang.figure(total.callers.len() as u64)),
            tile("report-quality", view.lang.figure(total.quality)),
            tile("report-first", view.lang.figure(total.first)),
            tile("report-repeat", view.lang.figure(total.calls - total.first)),
        ])) }
        (picture(&view, "report-by-source", &view.word("utm", level), &groups).figure(&view))
        (table(&view, &view.word("utm", level), &groups, |name| link(name), |name| name.to_owned()))
        p.soft { (view.t("report-static-caveat")) }
    };
    Ok(shown(&view, &calls, "nav-sources", body))
}

/// The way down so far.
fn crumbs(view: &View, at: usize) -> Markup {
    let above = |level: usize| LEVELS.iter().skip(level).map(|level| (*level, None)).collect::<Vec<_>>();
    html! {
        @if at > 0 {
            nav.crumbs aria-label=(view.t("report-way")) {
                a href=(view.link(&above(0))) { (view.t("nav-sources")) }
                @for (i, level) in LEVELS.iter().take(at).enumerate() {
                    @if let Some(value) = view.asked(level) { " › " a href=(view.link(&above(i + 1))) { (value) } }
                }
            }
        }
    }
}

/// The groups with most calls, as bars.
fn picture(view: &View, title: &str, what: &str, groups: &BTreeMap<String, Figures>) -> Chart {
    let most = ordered(groups).into_iter().take(BARS).collect::<Vec<_>>();
    let name = |name: &str| cut(&known(view, name), 14);
    let series = |key: &str, pick: fn(&Figures) -> u64| Series {
        name: view.t(key).into_owned(),
        values: most.iter().map(|(_, figures)| pick(figures) as f64).collect(),
    };
    Chart {
        title: view.t(title).into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: what.to_owned(),
        names: most.iter().map(|(group, _)| name(group)).collect(),
        series: vec![
            series("report-quality", |figures| figures.quality),
            series("report-short", |figures| figures.answered.saturating_sub(figures.quality)),
            series("report-missed", |figures| figures.calls - figures.answered),
        ],
        aim: None,
    }
}

/// The name of a group, or the word for none.
fn known(view: &View, name: &str) -> String {
    if name.is_empty() || name == UNKNOWN { view.t("unknown").into_owned() } else { name.to_owned() }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() > most { text.chars().take(most - 1).chain(['…']).collect() } else { text.to_owned() }
}

/// Most calls first.
fn ordered(groups: &BTreeMap<String, Figures>) -> Vec<(&String, &Figures)> {
    let mut rows: Vec<_> = groups.iter().collect();
    rows.sort_by(|(left, a), (right, b)| b.calls.cmp(&a.calls).then(left.cmp(right)));
    rows
}

fn table(
    view: &View,
    what: &str,
    groups: &BTreeMap<String, Figures>,
    link: impl Fn(&str) -> Option<String>,
    name: impl Fn(&str) -> String,
) -> Markup {
    let rows = ordered(groups);
    let whole: u64 = rows.iter().map(|(_, figures)| figures.calls).sum();
    let mean = |ms: u64, count: u64| ms.checked_div(count).map_or("–".to_owned(), |mean| view.lang.duration(mean));
    html! {
        (sheet(what, html! {
            table {
                thead { tr {
                    th scope="col" { (what) }
                    @for key in ["report-callers", "report-quality", "report-calls", "report-first", "report-repeat",
                        "report-answered", "report-quick", "report-wait", "report-talk"] { th.num scope="col" { (view.t(key)) } }
                } }
                tbody { @for (group, figures) in rows.iter().take(ROWS) {
                    tr {
                        th scope="row" {
                            @let words = name(&known(view, group));
                            @match link(group) { Some(link) => { a href=(link) { (words) } }, None => { (words) } }
                        }
                        td.num { (view.lang.figure(figures.callers.len() as u64)) }
                        td.num { (view.lang.figure(figures.quality)) }
                        td.num { (bar(figures.calls as f64 / whole.max(1) as f64, "s1")) (view.lang.figure(figures.calls)) }
                        td.num { (view.lang.figure(figures.first)) }
                        td.num { (view.lang.figure(figures.calls - figures.first)) }
                        td.num { (view.lang.share_of(figures.answered, figures.calls)) }
                        td.num { (view.lang.share_of(figures.quick, figures.calls)) }
                        td.num { (mean(figures.wait_ms, figures.calls)) }
                        td.num { (mean(figures.talk_ms, figures.answered)) }
                    }
                } }
            }
        }))
        @if rows.len() > ROWS { p.soft { (view.tn("report-more-rows", (rows.len() - ROWS) as u64)) } }
    }
}

/// `GET /missed`: who was not spoken to, and who has been since.
pub(super) async fn missed(view: View) -> Result<Response, Problem> {
    let calls = Calls::asked(&view).await?;
    let missed: Vec<_> = calls.missed().collect();
    let waiting: Vec<_> = missed.iter().filter(|call| call.facts.waiting).collect();
    let total = calls.total();
    let tile = |key: &str, value: String| Tile { label: view.t(key), value, before: None, spark: None, link: None };
    let body = html! {
        (tiles(&[
            tile("report-missed", view.lang.figure(missed.len() as u64)),
            tile("report-missed-share", view.lang.share_of(missed.len() as u64, total.calls)),
            tile("missed-waiting", view.lang.figure(waiting.len() as u64)),
        ]))
        (heat(&view, "missed-hours", &calls.hours(&view.zone, |call| call.outcome != Some(Outcome::Answered))))
        h2 { (view.t("missed-list")) }
        @if missed.is_empty() { p.soft { (view.t("missed-none")) } } @else {
            (sheet(&view.t("missed-list"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("column-time")) } th scope="col" { (view.t("column-caller")) } th
                        scope="col" { (view.t("column-origin")) } th scope="col" { (view.t("column-status")) } th scope="col" {
                        (view.t("column-wait")) } th scope="col" { (view.t("missed-after")) } } }
                    tbody { @for call in missed.iter().take(ROWS) {
                        tr {
                            td { (calls::cell(&view, call, "time")) }
                            td { (calls::cell(&view, call, "caller")) }
                            td { (calls::cell(&view, call, "origin")) }
                            td { (calls::cell(&view, call, "status")) }
                            td { (calls::cell(&view, call, "wait")) }
                            td { @match call.facts.reached_at {
                                Some(at) => { (view.lang.span(std::time::Duration::from_millis(at.millis_since(call.call.started_at)))) },
                                None => { span.tag.bad { (view.t("missed-not-yet")) } },
                            } }
                        }
                    } }
                }
            }))
        }
    };
    Ok(shown(&view, &calls, "nav-missed", body))
}

/// `GET /hours`: when calls come, and when nobody answers.
pub(super) async fn hours(view: View) -> Result<Response, Problem> {
    let calls = Calls::asked(&view).await?;
    let all = calls.hours(&view.zone, |_| true);
    let by_hour = |pick: fn(&CallData) -> bool| {
        let hours = calls.hours(&view.zone, pick);
        (0..24).map(|hour| hours.iter().map(|day| day[hour]).sum::<u64>() as f64).collect::<Vec<_>>()
    };
    let chart = Chart {
        title: view.t("hours-day").into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.t("hour").into_owned(),
        names: (0..24).map(|hour| format!("{hour:02}")).collect(),
        series: vec![
            Series {
                name: view.t("report-answered-calls").into_owned(),
                values: by_hour(|call| call.outcome == Some(Outcome::Answered)),
            },
            Series {
                name: view.t("report-missed").into_owned(),
                values: by_hour(|call| call.outcome != Some(Outcome::Answered)),
            },
        ],
        aim: None,
    };
    let body = html! { (heat(&view, "hours-week", &all)) (chart.figure(&view)) };
    Ok(shown(&view, &calls, "nav-hours", body))
}

/// Hour and weekday as a table whose cells are as deep as they have calls; the figures stand in them.
fn heat(view: &View, key: &str, hours: &[[u64; 24]; 7]) -> Markup {
    let most = hours.iter().flatten().copied().max().unwrap_or(0).max(1);
    let title = view.t(key);
    html! {
        figure.chart {
            figcaption { (title) }
            div.scroll.heat-scroll tabindex="0" role="region" aria-label=(title) {
                table.heat {
                    thead { tr { td {} @for hour in 0..24 { th scope="col" { (format!("{hour:02}")) } } } }
                    tbody { @for (day, row) in view.lang.weekdays().iter().zip(hours) {
                        tr { th scope="row" { (day) } @for count in row {
                            @let depth = (count * 5).div_ceil(most);
                            td class={ "h" (depth) } { @if *count > 0 { (view.lang.figure(*count)) } }
                        } }
                    } }
                }
            }
        }
    }
}

/// `GET /regions`: of callers.
pub(super) async fn regions(view: View) -> Result<Response, Problem> {
    let calls = Calls::asked(&view).await?;
    let groups = calls.by(|call| Some(call.facts.caller_region.clone()));
    let body = html! {
        (picture(&view, "regions-calls", &view.t("column-region"), &groups).figure(&view))
        (table(&view, &view.t("column-region"), &groups, |_| None, |name| name.to_owned()))
    };
    Ok(shown(&view, &calls, "nav-regions", body))
}

/// `GET /agents`: by the destination that answered, or was tried last.
pub(super) async fn agents(view: View) -> Result<Response, Problem> {
    let calls = Calls::asked(&view).await?;
    let groups = calls.by(|call| Some(call.facts.agent.clone()));
    let body = html! {
        (picture(&view, "agents-calls", &view.t("agent"), &groups).figure(&view))
        (table(&view, &view.t("agent"), &groups, |_| None, |name| name.to_owned()))
        p.soft { a href=(address("/missed", std::iter::empty())) { (view.t("nav-missed")) } }
    };
    Ok(shown(&view, &calls, "nav-agents", body))
}
