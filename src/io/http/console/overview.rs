//! The first page: what goes on now and what came in lately.

use axum::response::Response;
use maud::html;

use super::calls;
use super::chart::{Chart, Kind, Series, Unit, spark};
use super::format::local;
use super::frame::Page;
use super::parts::{Tile, empty, heading, tiles};
use super::pools;
use super::view::View;
use crate::core::event::Outcome;
use crate::io::http::problem::Problem;
use crate::io::index::Filter;
use crate::limits;

/// Calls at the bottom.
const NEWEST: usize = 10;
/// Days of the picture, today among them.
const DAYS: usize = 14;

/// Calls of one day by how they ended.
#[derive(Clone, Copy, Debug, Default)]
struct Day {
    answered: u64,
    missed: u64,
    failed: u64,
}

/// The last days, oldest first.
async fn days(view: &View) -> Result<[Day; DAYS], Problem> {
    let mut days = [Day::default(); DAYS];
    let since = calls::days_ago(view, DAYS as i64 - 1);
    let today = view.today();
    let mut filter = Filter { since: Some(since), limit: Some(limits::CALLS_PAGE), ..Filter::default() };
    loop {
        let page = view.found(filter.clone()).await?;
        for call in &page.calls {
            let date = local(call.call.started_at, &view.zone).date();
            let ago = date.until(today).map_or(DAYS, |span| usize::try_from(span.get_days()).unwrap_or(DAYS));
            let Some(day) = DAYS.checked_sub(ago + 1).and_then(|at| days.get_mut(at)) else { continue };
            match call.call.outcome {
                Some(Outcome::Answered) => day.answered += 1,
                Some(Outcome::Failed | Outcome::LostInCrash) => day.failed += 1,
                Some(_) => day.missed += 1,
                None => {}
            }
        }
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            return Ok(days);
        }
    }
}

fn chart(view: &View, days: &[Day; DAYS]) -> Chart {
    let today = view.today();
    let name = |at: usize| {
        let ago = jiff::Span::new().days((DAYS - 1 - at) as i64);
        view.lang.day(today.checked_sub(ago).unwrap_or(today), today)
    };
    let series = |key: &str, pick: fn(&Day) -> u64| Series {
        name: view.t(key).into_owned(),
        values: days.iter().map(|day| pick(day) as f64).collect(),
    };
    Chart {
        title: view.t("overview-days").into_owned(),
        kind: Kind::StackedArea,
        unit: Unit::Count,
        what: view.t("day").into_owned(),
        names: (0..DAYS).map(name).collect(),
        series: vec![
            series("series-answered", |day| day.answered),
            series("series-missed", |day| day.missed),
            series("series-failed", |day| day.failed),
        ],
        aim: None,
    }
}

/// `GET /`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let today = calls::days_ago(&view, 0);
    let since = Filter { since: Some(today), limit: Some(limits::CALLS_PAGE), ..Filter::default() };
    let lately = view.found(since).await?.calls;
    let newest = view.found(Filter { limit: Some(NEWEST), ..Filter::default() }).await?.calls;
    let answered = lately.iter().filter(|call| call.call.outcome == Some(Outcome::Answered)).count() as u64;
    let ended = lately.iter().filter(|call| !call.in_progress).count() as u64;
    let live = view.state.live.list().len() as u64;
    let pools = view.state.allocator.pools();
    let leased: usize = pools.iter().map(|pool| pool.leased).sum();
    let tile = |key: &str, value: String, link: &str| Tile {
        label: view.t(key),
        value,
        before: None,
        spark: None,
        link: Some(link.to_owned()),
    };
    let days = days(&view).await?;
    let [.., yesterday, _] = days;
    let all = |day: &Day| day.answered + day.missed + day.failed;
    let before = |figure: String| Some(view.ta("tile-yesterday", &[("figure", (&figure).into())]).into_owned());
    let answers = |day: &Day| if all(day) == 0 { 0.0 } else { day.answered as f64 / all(day) as f64 };
    let day = view.today().to_string();
    let of_today = format!("/calls?since={day}");
    let title = view.t("nav-overview");
    let body = html! {
        (heading(&title, html! {}))
        (tiles(&[
            tile("tile-live", view.lang.figure(live), "/live"),
            Tile {
                before: before(view.lang.figure(all(&yesterday))),
                spark: Some(spark(&days.map(|day| all(&day) as f64))),
                ..tile("tile-today", view.lang.figure(lately.len() as u64), &of_today)
            },
            Tile {
                before: before(view.lang.share_of(yesterday.answered, all(&yesterday))),
                spark: Some(spark(&days.map(|day| answers(&day)))),
                ..tile("tile-answered", view.lang.share_of(answered, ended), &format!("{of_today}&outcome=answered"))
            },
            tile("tile-visitors", view.lang.figure(leased as u64), "/numbers?state=leased"),
        ]))
        (chart(&view, &days).figure(&view))
        h2 { (view.t("nav-pools")) }
        (pools::brief(&view, &pools))
        h2 { (view.t("calls-newest")) }
        @if newest.is_empty() {
            (empty(&view.t("overview-none"), html! { a.button.primary href="/install" { (view.t("nav-install")) } }))
        } @else {
            (calls::table(&view, &newest, &calls::FEW))
            p.more { a.button href="/calls" { (view.t("calls-all")) } }
        }
    };
    Ok(view.show(Page { title: &title, nav: "/", scripts: &[], body }))
}
