//! The first page: what goes on now, the days of the period beside those before, and the newest calls.

use maud::{Markup, html};

use super::calls;
use super::chart::{Kind, spark};
use super::frame::Page;
use super::parts::{Tile, empty, heading, tiles};
use super::pools;
use super::report::sources::crumbs;
use super::report::{Asked, Field, Screen, Shown, show};
use super::view::View;
use crate::core::rights::Right;
use crate::io::index::Filter;
use crate::io::index::report::{self, Day, Figures, Overview, ReportFilter};

/// For those who may see reports; others see the same of calls, without money.
const WHOLE: Screen = Screen { right: Right::Reports, ..OF_CALLS };
const OF_CALLS: Screen = Screen {
    nav: "/",
    title: "nav-overview",
    report: "overview",
    right: Right::Calls,
    fields: &[Field::Pool, Field::Before, Field::Path, Field::Currency],
};

/// Calls at the bottom.
const NEWEST: usize = 10;

/// `GET /`.
pub(super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, if view.may(Right::Reports) { &WHOLE } else { &OF_CALLS })?;
    let today = show::today(&view);
    let ask = asked.ask(&view, move |reader, filter| {
        let of_today = ReportFilter { since: today, until: today, ..filter.clone() };
        Ok((report::overview(reader, &of_today)?, report::overview(reader, filter)?))
    });
    let (now, found) = ask.await?;
    let of = |name: &str| view.asked(name).map(str::to_owned);
    let newest = Filter { limit: Some(NEWEST), company: of("company"), pool: of("pool"), ..Filter::default() };
    let newest = view.found(newest).await?.calls;
    let title = view.t("nav-overview");
    let days = show::days(
        &view,
        "overview-days",
        Kind::StackedArea,
        &found.rows,
        |day: &Day| &day.day,
        &[("series-answered", &|day| day.answered), ("series-missed", &|day| day.calls - day.answered)],
    );
    let body = html! {
        (heading(&title, asked.csv(&view)))
        (tiles(&of_today(&view, &now)))
        (asked.head(&view))
        (crumbs(&view, &asked))
        (tiles(&of_period(&view, &found)))
        (days.figure(&view))
        @if view.may(Right::Leases) { h2 { (view.t("nav-pools")) } (pools::brief(&view, &pools::seen(&view))) }
        h2 { (view.t("calls-newest")) }
        @if newest.is_empty() { (nothing(&view)) } @else {
            (calls::table(&view, &newest, &calls::FEW))
            p.more { a.button href="/calls" { (view.t("calls-all")) } }
        }
    };
    Ok(view.show(Page { title: &title, nav: "/", scripts: &[], body }))
}

fn nothing(view: &View) -> Markup {
    let more =
        html! { @if view.may(Right::Catalogue) { a.button.primary href="/install" { (view.t("nav-install")) } } };
    empty(&view.t("overview-none"), more)
}

/// What goes on, and today beside yesterday.
fn of_today<'a>(view: &View, found: &Overview) -> Vec<Tile<'a>> {
    let calls = format!("/calls?since={}", view.today());
    let live = view.state.live.list();
    let live = live.iter().filter(|call| view.may_in(Right::Calls, &call.company)).count();
    let leased: usize = pools::seen(view).iter().map(|pool| pool.leased).sum();
    let answered = |figures: &Figures| share(figures.answered, figures.calls);
    let yesterday = |figure: &str| Some(view.ta("tile-yesterday", &[("figure", figure.into())]).into_owned());
    let mut all = vec![
        Tile { link: Some("/live".to_owned()), ..show::tile(view, "tile-live", view.lang.figure(live as u64)) },
        Tile {
            before: yesterday(&show::count(view, found.previous.calls)),
            link: Some(calls.clone()),
            ..show::tile(view, "tile-today", show::count(view, found.total.calls))
        },
        Tile {
            before: yesterday(&show::share(view, answered(&found.previous))),
            link: Some(format!("{calls}&outcome=answered")),
            ..show::tile(view, "tile-answered", show::share(view, answered(&found.total)))
        },
    ];
    if view.may(Right::Leases) {
        let link = Some("/numbers?state=leased".to_owned());
        all.push(Tile { link, ..show::tile(view, "tile-visitors", view.lang.figure(leased as u64)) });
    }
    all
}

/// The days of the period, beside as many days before.
fn of_period<'a>(view: &View, found: &Overview) -> Vec<Tile<'a>> {
    let (now, old) = (&found.total, &found.previous);
    let count = |key: &str, pick: fn(&Figures) -> i64, day: Option<fn(&Day) -> i64>| Tile {
        before: show::before(view, &show::count(view, pick(old)), show::change(view, pick(now), pick(old)).as_deref()),
        spark: day.map(|day| spark(&show::line(&found.rows, day))),
        ..show::tile(view, key, show::count(view, pick(now)))
    };
    let said = |key: &str, value: String, old: String| Tile {
        before: show::before(view, &old, None),
        ..show::tile(view, key, value)
    };
    let shares = |pick: fn(&Figures) -> Option<f64>| (show::share(view, pick(now)), show::share(view, pick(old)));
    let (missed, missed_before) = shares(|figures| figures.missed_share);
    let (soon, soon_before) = shares(|figures| figures.answered_soon_share);
    let mut all = vec![
        count("tile-calls", |figures| figures.calls, Some(|day| day.calls)),
        count("report-callers", |figures| figures.callers, None),
        count("report-first", |figures| figures.first_calls, Some(|day| day.first_calls)),
        count("report-quality", |figures| figures.quality_calls, Some(|day| day.quality_calls)),
        Tile {
            spark: Some(spark(&show::line(&found.rows, |day| day.missed))),
            link: view.may(Right::Calls).then(|| "/missed".to_owned()),
            ..said("tile-missed", missed, missed_before)
        },
        said("report-quick", soon, soon_before),
        said("report-talk", show::time(view, now.talk_ms), show::time(view, old.talk_ms)),
    ];
    if view.may(Right::Reports) {
        let cost = |figures: &Figures| show::money_of(view, figures.money.cpl, &found.currency);
        all.push(said("tile-cpl", cost(now), cost(old)));
    }
    all
}

fn share(part: i64, of: i64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}
