//! Channels: how many saw the advertisement, how many called, how many calls were qualified, how many there were at all.

use maud::{Markup, html};

use super::super::parts::{empty, sheet};
use super::super::view::View;
use super::{Asked, Field, Screen, Shown, pools, show};
use crate::core::rights::Right;
use crate::io::index::report::{self, ReportFilter, SourceRow};

const SCREEN: Screen = Screen {
    nav: "/channels",
    title: "nav-channels",
    report: "sources",
    right: Right::Reports,
    fields: &[Field::Pool, Field::Own("by")],
};

/// Pools of one page.
const POOLS: usize = 100;

/// `GET /channels`: by source, or by pool.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let by_pool = view.asked("by") == Some("pool");
    let names: Vec<String> = if by_pool { pools(&view, Right::Reports).into_iter().collect() } else { Vec::new() };
    let ask = asked.ask(&view, move |reader, filter| {
        let whole = ReportFilter { path: Default::default(), ..filter.clone() };
        let found = report::sources(reader, &whole)?;
        let mut rows = found.rows;
        if by_pool {
            rows = Vec::new();
            for name in
                names.into_iter().filter(|name| filter.pool.as_ref().is_none_or(|pool| pool == name)).take(POOLS)
            {
                let of = ReportFilter { pool: Some(name.clone()), limit: 1, ..whole.clone() };
                rows.push(SourceRow { name, ..report::sources(reader, &of)?.total });
            }
            rows.sort_by(|a, b| b.calls.cmp(&a.calls).then(a.name.cmp(&b.name)));
        }
        rows.retain(|row| row.calls > 0 || row.visits > 0);
        Ok((rows, found.total))
    });
    let (rows, total) = ask.await?;
    let body = html! {
        p.presets {
            a.chip href=(view.link(&[("by", None)])) aria-current=[(!by_pool).then_some("true")] { (view.t("channels-by-source")) }
            a.chip href=(view.link(&[("by", Some("pool"))])) aria-current=[by_pool.then_some("true")] {
                (view.t("channels-by-pool")) }
        }
        @if rows.is_empty() { (empty(&view.t("report-none"), html! {})) } @else {
            (table(&view, &rows, &total, by_pool))
            p.soft.measure { (view.t("channels-about")) }
        }
    };
    Ok(asked.show(&view, body))
}

/// One column.
type Figure = fn(&SourceRow) -> i64;

fn table(view: &View, rows: &[SourceRow], total: &SourceRow, by_pool: bool) -> Markup {
    let most = |pick: Figure| rows.iter().map(pick).max().unwrap_or(1).max(1) as f64;
    let bars: [(&str, Figure); 4] = [
        ("s1", |row| row.unique_visitors),
        ("s2", |row| row.callers),
        ("s3", |row| row.quality_calls),
        ("s4", |row| row.calls),
    ];
    let name = |row: &SourceRow| {
        let words = show::known(view, &row.name);
        let link = match by_pool {
            true => view.may(Right::Leases).then(|| format!("/pools/{}", encoded(&row.name))),
            false => (!row.name.is_empty()).then(|| {
                super::address(
                    "/sources",
                    view.query
                        .iter()
                        .filter(|(key, _)| key != "by")
                        .map(|(key, value)| (key.as_str(), value.as_str()))
                        .chain([("source", row.name.as_str())]),
                )
            }),
        };
        html! { @match link { Some(link) => { a href=(link) { (words) } }, None => { (words) } } }
    };
    sheet(
        &view.t("nav-channels"),
        html! {
            table {
                thead { tr {
                    th scope="col" { (view.t(if by_pool { "column-pool" } else { "utm-source" })) }
                    @for key in ["report-visitors", "report-callers", "report-quality", "report-calls"] { th.num scope="col" {
                        (view.lang.text(key, &[])) } }
                    (show::made(&view.t("report-conversion"), &view.t("report-conversion-how")))
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (name(row)) }
                    @for (class, pick) in bars {
                        td.num { (show::measured(pick(row) as f64 / most(pick), class, &show::count(view, pick(row)))) }
                    }
                    td.num { (show::share(view, row.conversion)) }
                } } }
                tfoot { tr {
                    th scope="row" { (view.t("report-total")) }
                    @for (_, pick) in bars { td.num { (show::count(view, pick(total))) } }
                    td.num { (show::share(view, total.conversion)) }
                } }
            }
        },
    )
}

/// A name as a part of a path.
pub(in super::super) fn encoded(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
