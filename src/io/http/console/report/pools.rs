//! Pools over time: what visitors were given, how full the pool was, shortage, and what its keeper did about it.

use jiff::civil::Date;
use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::format::local;
use super::super::parts::{sheet, tag, tiles};
use super::super::view::View;
use super::channels::encoded;
use super::{Asked, Field, Screen, Stop, period, show};
use crate::core::pool::PoolState;
use crate::core::rights::Right;
use crate::io::index::report::{self, PoolEvent, PoolRow, PoolSums, Pools, ReportFilter};

/// The list of pools.
pub(in super::super) const SCREEN: Screen =
    Screen { nav: "/pools", title: "nav-pools", report: "pools", right: Right::Leases, fields: &[Field::Pool] };
/// One of them.
pub(in super::super) const ONE: Screen = Screen { fields: &[], ..SCREEN };

/// Events that are shown.
const EVENTS: usize = 50;

/// A share of visits.
type ShareOf = fn(&PoolSums) -> i64;

/// Pools over time; of one pool when it is named.
pub(in super::super) async fn ask(asked: &Asked, view: &View, pool: Option<&str>) -> Result<Pools, Stop> {
    let pool = pool.map(str::to_owned);
    let ask = asked.ask(view, move |reader, filter| {
        let pool = pool.or_else(|| filter.pool.clone());
        report::pools(reader, &ReportFilter { pool, ..filter.clone() })
    });
    ask.await
}

/// All pools beside each other, and what happened to them.
pub(in super::super) fn history(view: &View, found: &Pools) -> Markup {
    html! {
        h2 { (view.t("pools-history")) }
        @if found.rows.is_empty() { p.soft { (view.t("pools-no-history")) } } @else {
            (table(view, &found.rows))
            p.soft.measure { (view.t("pools-meaning")) }
        }
        (events(view, &found.events))
    }
}

fn of(sums: &PoolSums, pick: ShareOf) -> Option<f64> {
    (sums.visits > 0).then(|| pick(sums) as f64 / sums.visits as f64)
}

/// Visits that would have had a number, and got none.
const BLOCKED: ShareOf = |sums| sums.without;
const SHARED: ShareOf = |sums| sums.shared;

fn table(view: &View, rows: &[PoolRow]) -> Markup {
    let shares = [("pools-blocked", BLOCKED, "s5"), ("pools-shared", SHARED, "s2")];
    let pool = |row: &PoolRow| format!("/pools/{}", encoded(&row.pool));
    sheet(
        &view.t("pools-history"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("filter-pool")) } @for key in ["report-visits", "pools-blocked", "pools-shared",
                    "pools-busy", "pools-minutes", "pools-affected", "pools-affected-share"] { th.num scope="col" {
                    (view.lang.text(key, &[])) } } } }
                tbody { @for row in rows { tr {
                    th scope="row" { a href=(pool(row)) { (row.pool) } }
                    td.num { (show::count(view, row.sums.visits)) }
                    @for (_, pick, class) in shares {
                        @let share = of(&row.sums, pick);
                        td.num { (show::measured(share.unwrap_or(0.0), class, &show::share(view, share))) } }
                    td.num { (show::count(view, row.sums.busy_max)) }
                    td.num { (show::count(view, row.sums.shortage_minutes)) }
                    td.num { (show::count(view, row.sums.affected_calls)) }
                    td.num { (show::share(view, row.affected_share)) }
                } } }
            }
        },
    )
}

/// One pool: tiles, how full it was, what visitors were given, events.
pub(in super::super) fn one(view: &View, asked: &Asked, found: &Pools, pool: &PoolState, added: usize) -> Markup {
    let Some(row) = found.rows.first() else {
        return html! { p.soft { (view.t("pools-no-history")) } (events(view, &found.events)) };
    };
    let days = days(&asked.filter, row);
    html! {
        (tiles(&[
            show::tile(view, "report-visits", show::count(view, row.sums.visits)),
            show::tile(view, "pools-blocked", show::share(view, of(&row.sums, BLOCKED))),
            show::tile(view, "pools-shared", show::share(view, of(&row.sums, SHARED))),
            show::tile(view, "pools-minutes", show::count(view, row.sums.shortage_minutes)),
            show::tile(view, "pools-affected", show::count(view, row.sums.affected_calls)),
        ]))
        (fill(view, &days, &sizes(view, asked, found, (pool.numbers, added))).figure(view))
        (given(view, &days).figure(view))
        @if row.sums.shortage_minutes > 0 { (shortage(view, &days).figure(view)) }
        p.soft.measure { (view.t("pools-meaning")) }
        (events(view, &found.events))
    }
}

/// A day and its sums; days of which nothing is known are empty.
type Day = (String, PoolSums);

fn days(filter: &ReportFilter, row: &PoolRow) -> Vec<Day> {
    let name = |day: i64| period::date(day).map_or_else(String::new, |date| date.to_string());
    let sums = |day: &str| row.by_day.iter().find(|of| of.day == day).map(|of| of.sums).unwrap_or_default();
    (filter.since..=filter.until).map(name).map(|day| (day.clone(), sums(&day))).collect()
}

/// Numbers of the pool at the end of each day: as its growth tells, else as it is.
fn sizes(view: &View, asked: &Asked, found: &Pools, (now, added): (usize, usize)) -> Vec<f64> {
    // Newest first.
    let grown: Vec<(Date, i64)> = (found.events.iter().filter(|event| event.kind == "grown"))
        .map(|event| (local(event.at, &view.zone).date(), event.amount))
        .collect();
    let first = if grown.is_empty() { now } else { now.saturating_sub(added) };
    let size = |day: i64| {
        let day = period::date(day)?;
        grown.iter().find(|(at, _)| *at <= day).map(|(_, size)| *size as f64)
    };
    (asked.filter.since..=asked.filter.until).map(|day| size(day).unwrap_or(first as f64)).collect()
}

/// The busiest moment of each day: numbers on pages, the others, and the size. Of weeks the busiest day counts.
fn fill(view: &View, days: &[Day], sizes: &[f64]) -> Chart {
    let step = show::step(days.len());
    let busy: Vec<f64> =
        days.rchunks(step).rev().map(|days| most(days.iter().map(|(_, sums)| sums.busy_max as f64))).collect();
    let size: Vec<f64> = sizes.rchunks(step).rev().map(|sizes| most(sizes.iter().copied())).collect();
    let rest = busy.iter().zip(&size).map(|(busy, size)| (size - busy).max(0.0)).collect();
    let mut chart = show::days(view, "pools-fill", Kind::StackedArea, days, |(day, _)| day, &[]);
    chart.series = vec![
        Series { name: view.t("pools-on-pages").into_owned(), values: busy },
        Series { name: view.t("pools-others").into_owned(), values: rest },
    ];
    chart.aim = Some(Series { name: view.t("pools-size").into_owned(), values: size });
    chart.unit = Unit::Count;
    chart
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// What became of those who asked for a number.
fn given(view: &View, days: &[Day]) -> Chart {
    show::days(
        view,
        "pools-given",
        Kind::StackedArea,
        days,
        |(day, _)| day,
        &[
            ("pools-free", &|(_, sums)| sums.free),
            ("pools-shared-number", &|(_, sums)| sums.shared),
            ("pools-soft-held", &|(_, sums)| sums.soft_held),
            ("pools-source-static", &|(_, sums)| sums.source_static),
            ("pools-without", &|(_, sums)| sums.without),
            ("pools-overflow", &|(_, sums)| sums.overflow),
        ],
    )
}

fn shortage(view: &View, days: &[Day]) -> Chart {
    show::days(
        view,
        "pools-minutes",
        Kind::StackedBars,
        days,
        |(day, _)| day,
        &[("pools-minutes", &|(_, sums)| sums.shortage_minutes)],
    )
}

fn events(view: &View, events: &[PoolEvent]) -> Markup {
    let mood = |kind: &str| match kind {
        "shortage" | "leaked" | "test_failed" | "growth_refused" => "bad",
        "grown" | "shortage_over" | "tested" => "good",
        _ => "",
    };
    html! {
        @if !events.is_empty() {
            h2 { (view.t("pools-events")) }
            (sheet(&view.t("pools-events"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("column-time")) } th scope="col" { (view.t("filter-pool")) } th scope="col" {
                        (view.t("events-kind")) } th scope="col" { (view.t("column-number")) } th.num scope="col" {
                        (view.t("pools-amount")) } th scope="col" { (view.t("audit-detail")) } } }
                    tbody { @for event in events.iter().take(EVENTS) { tr {
                        td.c-time { (view.time(event.at)) }
                        td { (event.pool) }
                        td { (tag(mood(&event.kind), &view.word("pool-event", &event.kind))) }
                        td.mono { (event.number) }
                        td.num { @if event.amount > 0 { (show::count(view, event.amount)) } }
                        td { @if !event.reason.is_empty() { (view.word("reason", &event.reason)) } }
                    } } }
                }
            }))
        }
    }
}
