//! Who listened, changed and took out: newest first.

use maud::{Markup, html};

use super::super::frame::Page;
use super::super::parts::{empty, heading, options, sheet, tag};
use super::super::view::View;
use super::{Asked, Screen, Shown};
use crate::core::mask;
use crate::core::rights::Right;
use crate::ids::CallId;
use crate::io::http::body;
use crate::io::index::report::{self, AuditEntry, ReportFilter};

const SCREEN: Screen = Screen { nav: "/audit", title: "nav-audit", report: "audit", right: Right::Audit, fields: &[] };

/// Entries of a page.
const ROWS: usize = 100;

const KINDS: [&str; 18] = [
    "played",
    "downloaded",
    "exported",
    "catalogue",
    "user",
    "signed_in",
    "refused",
    "erased",
    "held",
    "released",
    "labelled",
    "commented",
    "scored",
    "valued",
    "called_back",
    "not_called_back",
    "costs",
    "consent",
];

/// `GET /audit`: a page before the record that the address names.
pub(in super::super) async fn page(view: View) -> Shown {
    let asked = Asked::of(&view, &SCREEN)?;
    let before = body::number::<i64>(view.asked("before").map(str::to_owned), "before")?;
    let kind = view.asked("kind").map(str::to_owned);
    // Days of the audit are those of UTC, and today's end there may be later than here.
    let more = i64::from(view.asked("until").is_none());
    let ask = asked.ask(&view, move |reader, filter| {
        let filter = ReportFilter { until: filter.until + more, limit: ROWS, ..filter.clone() };
        report::audit(reader, &filter, kind.as_deref(), before)
    });
    let found = ask.await?;
    let next = found.next.map(|seq| seq.to_string());
    let everywhere = view.caller.as_ref().is_some_and(|caller| caller.rights.may_everywhere(Right::Audit));
    let title = view.t(SCREEN.title);
    let link = |kind: Option<&str>| view.link(&[("kind", kind), ("before", None)]);
    let kinds = std::iter::once(("", view.t("any"))).chain(KINDS.iter().map(|kind| (*kind, view.word("audit", kind))));
    let body = html! {
        (heading(&title, html! { @if everywhere { (asked.csv(&view)) } }))
        (asked.head_with(&view, &html! {
            label { span { (view.t("audit-kind")) } select name="kind" { (options(view.asked("kind"), kinds)) } }
        }))
        @if !everywhere { p.soft { (view.t("audit-of-calls")) } }
        @if found.rows.is_empty() { (empty(&view.t("audit-none"), html! { @if view.asked("kind").is_some() {
            a href=(link(None)) { (view.t("filters-clear")) } } })) } @else { (table(&view, &found.rows)) }
        p.more {
            @if before.is_some() { a.button rel="prev" href=(view.link(&[("before", None)])) { (view.t("audit-newest")) } }
            @if let Some(next) = &next { a.button rel="next" href=(view.link(&[("before", Some(next))])) {
                (view.t("audit-older")) } }
        }
    };
    Ok(view.show(Page { title: &title, nav: SCREEN.nav, scripts: &[], body }))
}

fn table(view: &View, rows: &[AuditEntry]) -> Markup {
    // Who does not see numbers does not see them in what people wrote either.
    let text = |text: &str| if view.shows_numbers() { text.to_owned() } else { mask::text(text) };
    let mood = |kind: &str| match kind {
        "played" | "downloaded" | "exported" => "accent",
        "erased" | "refused" => "bad",
        "catalogue" | "user" => "warn",
        _ => "",
    };
    sheet(
        &view.t("nav-audit"),
        html! {
            table.audit {
                thead { tr { th.num scope="col" { "#" } th scope="col" { (view.t("column-time")) } th scope="col" {
                    (view.t("audit-by")) } th scope="col" { (view.t("audit-what")) } th scope="col" { (view.t("audit-subject")) }
                    th scope="col" { (view.t("audit-detail")) } } }
                tbody { @for row in rows { tr {
                    td.num.mono { (row.seq) }
                    td.c-time { (view.time(row.at)) }
                    td { (row.by) }
                    td { (tag(mood(&row.kind), &view.word("audit", &row.kind))) }
                    td.mono.id { @if row.subject.parse::<CallId>().is_ok() && view.may(Right::Calls) {
                        a href={ "/calls/" (row.subject) } { (row.subject.get(..12).unwrap_or(&row.subject)) "…" }
                    } @else { (text(&row.subject)) } }
                    td { (text(&row.detail)) }
                } } }
            }
        },
    )
}
