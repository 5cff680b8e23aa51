//! Where calls come from, what each source costs and brings, and whose the credit is: from source down to keyword.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{Tile, empty, sheet, tiles};
use super::super::view::View;
use super::{Asked, Field, Screen, Shown, against, show};
use crate::core::credit::Model;
use crate::core::rights::Right;
use crate::io::http::reports::PATH;
use crate::io::index::report::{self, SourceRow, Sources, Statics};

const SCREEN: Screen = Screen {
    nav: "/sources",
    title: "nav-sources",
    report: "sources",
    right: Right::Reports,
    fields: &[
        Field::Pool,
        Field::Before,
        Field::Path,
        Field::Model,
        Field::Against,
        Field::LookBack,
        Field::Currency,
        Field::Margin,
    ],
};

/// Columns of the picture.
const BARS: usize = 12;

/// `GET /sources`: one level deeper with every part of the source that the address names.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let ask = asked.ask(&view, |reader, filter| {
        let before = report::sources(reader, &filter.previous())?;
        Ok((report::sources(reader, filter)?, before, report::statics(reader, filter)?))
    });
    let (now, before, statics) = ask.await?;
    let is_empty = |of: &Sources| of.total.calls == 0 && of.total.visits == 0 && of.total.money.cost == 0;
    let body = html! {
        (crumbs(&view, &asked))
        @if !is_empty(&now) || !is_empty(&before) { (tiles(&head(&view, &now, &before))) }
        @if is_empty(&now) { (empty(&view.t("report-none"), html! {})) } @else {
            (picture(&view, &now).figure(&view))
            (traffic(&view, &asked, &now, &before))
            (bills(&view, &now))
        }
        @if asked.depth() == 0 && !statics.rows.is_empty() { (fixed(&view, &statics)) }
    };
    Ok(asked.show(&view, body))
}

/// The way down so far.
pub(in super::super) fn crumbs(view: &View, asked: &Asked) -> Markup {
    let above = |level: usize| PATH.iter().skip(level).map(|level| (*level, None)).collect::<Vec<_>>();
    html! {
        @if asked.depth() > 0 {
            nav.crumbs aria-label=(view.t("report-way")) {
                a href=(view.link(&above(0))) { (view.t("sources-all")) }
                @for (at, part) in asked.filter.path.iter().flatten().enumerate() {
                    " › "
                    @if at + 1 == asked.depth() { b { (part) } } @else { a href=(view.link(&above(at + 1))) { (part) } }
                }
            }
        }
    }
}

/// Where the row of this name leads: one level down.
pub(super) fn down(view: &View, asked: &Asked, name: &str) -> Option<String> {
    let level = PATH.get(asked.depth()).filter(|_| !name.is_empty())?;
    Some(view.link(&[(level, Some(name))]))
}

fn head<'a>(view: &View, now: &Sources, before: &Sources) -> Vec<Tile<'a>> {
    let (total, old) = (&now.total, &before.total);
    let tile = |key: &str, pick: fn(&SourceRow) -> i64| Tile {
        before: show::before(
            view,
            &show::count(view, pick(old)),
            show::change(view, pick(total), pick(old)).as_deref(),
        ),
        ..show::tile(view, key, show::count(view, pick(total)))
    };
    let mut all = vec![
        tile("report-visitors", |row| row.unique_visitors),
        tile("report-callers", |row| row.callers),
        tile("report-quality", |row| row.quality_calls),
        tile("report-calls", |row| row.calls),
        Tile {
            before: show::before(view, &show::share(view, old.conversion), None),
            ..show::tile(view, "report-conversion", show::share(view, total.conversion))
        },
    ];
    if total.money.cost > 0 || old.money.cost > 0 {
        let cost = |row: &SourceRow| show::money(view.lang, row.money.cost as f64, &now.currency);
        all.push(Tile {
            before: show::before(view, &cost(old), show::change(view, total.money.cost, old.money.cost).as_deref()),
            ..show::tile(view, "report-cost", cost(total))
        });
    }
    all
}

fn picture(view: &View, now: &Sources) -> Chart {
    let rows = || now.rows.iter().take(BARS);
    let series = |key: &str, pick: fn(&SourceRow) -> i64| Series {
        name: view.lang.text(key, &[]).into_owned(),
        values: rows().map(|row| pick(row) as f64).collect(),
    };
    let most = show::letters(rows().count());
    Chart {
        title: view.ta("report-by-source", &[("level", (&*view.word("utm", now.level)).into())]).into_owned(),
        kind: Kind::StackedBars,
        unit: Unit::Count,
        what: view.word("utm", now.level).into_owned(),
        names: rows().map(|row| show::cut(&show::known(view, &row.name), most)).collect(),
        series: vec![
            series("report-quality", |row| row.quality_calls),
            series("series-missed", |row| row.calls - row.answered),
            series("report-short", |row| (row.answered - row.quality_calls).max(0)),
        ],
        aim: None,
    }
}

/// Visits, calls and credit of each row.
fn traffic(view: &View, asked: &Asked, now: &Sources, before: &Sources) -> Markup {
    let old: BTreeMap<&str, i64> = before.rows.iter().map(|row| (row.name.as_str(), row.calls)).collect();
    let (model, other) = (asked.filter.model, against(view));
    let most = now.rows.iter().map(|row| row.calls).max().unwrap_or(1).max(1);
    let what = view.word("utm", now.level);
    let head = view.ta("sources-against", &[("model", (&*view.word("model", other.as_str())).into())]);
    html! {
        h2 { (view.t("sources-calls")) }
        (sheet(&view.t("sources-calls"), html! {
            table {
                thead { tr {
                    th scope="col" { (what) }
                    @for key in ["report-visits", "report-visitors", "report-callers", "report-calls", "report-change",
                        "report-quality"] { th.num scope="col" { (view.lang.text(key, &[])) } }
                    (show::made(&view.t("report-conversion"), &view.t("report-conversion-how")))
                    (show::made(&view.t("report-credit"), &view.word("model", model.as_str())))
                    (show::made(&view.t("report-difference"), &head))
                } }
                tbody { @for row in &now.rows {
                    (line(view, row, (model, other), Some(most), old.get(row.name.as_str()).copied().unwrap_or(0), html! {
                        @match down(view, asked, &row.name) {
                            Some(link) => { a href=(link) { (show::known(view, &row.name)) } },
                            None => { (show::known(view, &row.name)) },
                        }
                    }))
                } }
                tfoot { (line(view, &now.total, (model, other), None, before.total.calls, html! { (view.t("report-total")) })) }
            }
        }))
        p.soft.measure { (view.word("model-rule", model.as_str())) " " (view.t("report-credit-about")) }
    }
}

fn line(
    view: &View,
    row: &SourceRow,
    (model, other): (Model, Model),
    most: Option<i64>,
    before: i64,
    name: Markup,
) -> Markup {
    let difference = row.credits.of(model) - row.credits.of(other);
    html! {
        tr {
            th scope="row" { (name) }
            td.num { (show::count(view, row.visits)) }
            td.num { (show::count(view, row.unique_visitors)) }
            td.num { (show::count(view, row.callers)) }
            td.num { @match most {
                Some(most) => { (show::measured(row.calls as f64 / most as f64, "s1", &show::count(view, row.calls))) },
                None => { (show::count(view, row.calls)) },
            } }
            td.num { (show::change(view, row.calls, before).unwrap_or_else(|| "–".to_owned())) }
            td.num { (show::count(view, row.quality_calls)) }
            td.num { (show::share(view, row.conversion)) }
            td.num { (show::credit(view, row.credit)) }
            td.num { (show::signed(difference, show::credit(view, difference))) }
        }
    }
}

/// Costs and revenue of each row, with how every figure is made.
fn bills(view: &View, now: &Sources) -> Markup {
    let money = &now.total.money;
    let has_any = money.cost != 0 || money.revenue != 0 || money.deals != 0;
    let row = |row: &SourceRow, name: &str| {
        let money = &row.money;
        let of = |minor: Option<f64>| show::amount_of(view, minor.filter(|minor| *minor != 0.0), &now.currency);
        html! { tr {
            th scope="row" { (name) }
            td.num { (of(Some(money.cost as f64))) }
            td.num { (show::count(view, row.quality_calls + row.leads)) }
            td.num { (of(money.cpl)) }
            td.num { (show::count(view, money.deals)) }
            td.num { (of(money.cac)) }
            td.num { (of(Some(money.revenue as f64))) }
            td.num { (show::share(view, money.roi)) }
            td.num { (show::share(view, money.romi)) }
        } }
    };
    html! {
        h2 { (view.t("sources-money")) ", " (now.currency) }
        @if !now.other_currencies.is_empty() {
            p.soft { (view.t("sources-other-money")) " " @for currency in &now.other_currencies {
                a href=(view.link(&[("currency", Some(currency))])) { (currency) } " " } }
        }
        @if !has_any { p.soft.measure { (view.t("sources-no-money")) } } @else {
            (sheet(&view.t("sources-money"), html! {
                table {
                    thead { tr {
                        th scope="col" { (view.word("utm", now.level)) }
                        th.num scope="col" { (view.t("report-cost")) }
                        (show::made(&view.t("report-leads"), &view.t("report-leads-how")))
                        @for key in ["report-cpl", "report-deals", "report-cac", "report-revenue", "report-roi", "report-romi"] {
                            @match view.lang.find(&format!("{key}-how"), &[]) {
                                Some(how) => { (show::made(&view.lang.text(key, &[]), &how)) },
                                None => { th.num scope="col" { (view.lang.text(key, &[])) } },
                            }
                        }
                    } }
                    tbody { @for each in &now.rows { (row(each, &show::known(view, &each.name))) } }
                    tfoot { (row(&now.total, &view.t("report-total"))) }
                }
            }))
        }
    }
}

/// Calls to static numbers, and how many of their callers are known from the web.
fn fixed(view: &View, statics: &Statics) -> Markup {
    html! {
        h2 { (view.t("sources-static")) }
        (sheet(&view.t("sources-static"), html! {
            table {
                thead { tr { th scope="col" { (view.t("utm-source")) } th.num scope="col" { (view.t("report-calls")) }
                    (show::made(&view.t("static-joined"), &view.t("static-joined-how"))) th.num scope="col" {
                    (view.t("static-joined-share")) } } }
                tbody { @for row in &statics.rows { tr {
                    th scope="row" { (show::known(view, &row.source)) }
                    td.num { (show::count(view, row.calls)) }
                    td.num { (show::count(view, row.joined)) }
                    td.num { (show::share(view, row.joined_share)) }
                } } }
            }
        }))
        p.soft.measure { (view.t("report-static-caveat")) }
    }
}
