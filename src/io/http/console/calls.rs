//! The log of calls: filters that stand in the address, columns to choose, pages, CSV.

use std::borrow::Cow;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::frame::Page;
use super::parts::{caller, confidence, empty, field, heading, options, origin, outcome, sheet};
use super::view::{COLUMN, View};
use crate::core::event::Outcome;
use crate::core::rights::Right;
use crate::io::http::body;
use crate::io::http::problem::Problem;
use crate::io::index::{CallView, Filter};
use crate::limits;
use crate::time::Wall;

/// Columns and whether they are there without asking.
const COLUMNS: [(&str, bool); 14] = [
    ("time", true),
    ("caller", true),
    ("number", true),
    ("origin", true),
    ("medium", false),
    ("term", false),
    ("confidence", true),
    ("status", true),
    ("wait", true),
    ("talk", true),
    ("company", false),
    ("pool", false),
    ("region", false),
    ("recording", false),
];

/// Rows of a page.
const ROWS: usize = 50;

/// `GET /calls`.
pub(super) async fn log(view: View) -> Result<Response, Problem> {
    let found = view.found(Filter { limit: Some(ROWS), ..filter(&view)? }).await?;
    let (calls, next) = (found.calls, found.next.map(|id| id.to_string()));
    let title = view.t("nav-calls");
    let columns = columns(&view);
    let body = html! {
        (heading(&title, html! { a.button href=(super::view::address("/calls.csv", pairs(&view))) { (view.t("csv")) } }))
        (filters(&view))
        @if calls.is_empty() {
            (empty(&view.t("calls-none"), html! { a href="/calls" { (view.t("filters-clear")) } }))
        } @else {
            (table(&view, &calls, &columns))
            p.more {
                @if view.asked("cursor").is_some() {
                    a.button rel="prev" href=(view.link(&[("cursor", None)])) { (view.t("calls-newest")) }
                }
                @if let Some(next) = &next {
                    a.button rel="next" href=(view.link(&[("cursor", Some(next))])) { (view.t("calls-older")) }
                }
            }
        }
    };
    Ok(view.show(Page { title: &title, nav: "/calls", scripts: &[], body }))
}

/// `GET /calls.csv`: what the filters find, to the bound of one file.
pub(super) async fn csv(view: View) -> Result<Response, Problem> {
    let mut filter = filter(&view)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = [
        "time",
        "call_id",
        "company",
        "pool",
        "number",
        "caller",
        "source",
        "medium",
        "campaign",
        "content",
        "term",
        "attribution",
        "confidence",
        "outcome",
        "ring_ms",
        "talk_ms",
        "forwarded_to",
    ];
    let unwritten = |error: csv::Error| Problem::internal("csv_failed", &error);
    writer.write_record(names).map_err(unwritten)?;
    let mut rows = 0;
    filter.limit = Some(limits::CALLS_PAGE);
    loop {
        let page = view.found(filter.clone()).await?;
        for call in &page.calls {
            let row = record(&view, call).map(|cell| safe(&cell));
            writer.write_record(row).map_err(unwritten)?;
            rows += 1;
        }
        filter.cursor = page.next;
        if filter.cursor.is_none() || rows >= limits::CONSOLE_CSV_ROWS {
            break;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Problem::internal("csv_failed", &error))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"calls.csv\""),
    ];
    Ok((headers, bytes).into_response())
}

fn record(view: &View, call: &CallView) -> [String; 17] {
    let data = &*call.call;
    let get = |key: &str| utm(call, key).unwrap_or_default().to_owned();
    let kind = serde_json::to_value(data.attribution.kind).ok();
    [
        data.started_at.to_rfc3339(),
        data.call_id.to_string(),
        data.company.clone(),
        data.pool.clone(),
        data.number.to_string(),
        data.caller.as_deref().map(|number| view.phone(number)).unwrap_or_default(),
        get("source"),
        get("medium"),
        get("campaign"),
        get("content"),
        get("term"),
        kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default(),
        format!("{:.3}", data.attribution.confidence),
        data.outcome.map(Outcome::as_str).unwrap_or_default().to_owned(),
        data.ring_ms.to_string(),
        data.talk_ms.to_string(),
        data.forwarded_to.clone().unwrap_or_default(),
    ]
}

/// A cell that no spreadsheet takes for a formula. A phone number's `+` is none.
fn safe(cell: &str) -> String {
    let is_number = cell.strip_prefix('+').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '•'));
    if !is_number && cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

/// The newest calls, for the overview too.
pub(super) fn table(view: &View, calls: &[CallView], columns: &[&str]) -> Markup {
    sheet(
        &view.t("nav-calls"),
        html! {
            table.calls {
                thead { tr { @for column in columns { th scope="col" { (view.word("column", column)) } } } }
                tbody {
                    @for call in calls {
                        tr { @for column in columns { td class={ "c-" (column) } { (cell(view, call, column)) } } }
                    }
                }
            }
        },
    )
}

pub(super) fn cell(view: &View, call: &CallView, column: &str) -> Markup {
    let data = &*call.call;
    let text = |key: &str| html! { (utm(call, key).unwrap_or_default()) };
    match column {
        "time" => html! { a.row href={ "/calls/" (data.call_id) } { (view.time(data.started_at)) } },
        "caller" => html! {
            span.mono { (caller(view, data)) }
            @if let Some(name) = &data.caller_name { small { (name) } }
        },
        "number" => html! { span.mono { (crate::core::number::display(&data.number)) } },
        "origin" => html! { (origin(view, &data.attribution)) },
        "medium" => text("medium"),
        "term" => text("term"),
        "confidence" => confidence(view, &data.attribution),
        "status" => outcome(view, data.outcome, call.phase),
        "wait" => html! { (view.lang.duration(data.ring_ms)) },
        "talk" => html! { @if data.talk_ms > 0 { (view.lang.duration(data.talk_ms)) } @else { "–" } },
        "company" => html! { (data.company) },
        "pool" => html! { (data.pool) },
        "region" => html! { (data.attribution.caller_region.as_deref().unwrap_or("–")) },
        "recording" => html! {
            @if let Some(recording) = &data.recording {
                (view.word("recording", serde_json::to_value(recording.state).ok().as_ref().and_then(Value::as_str).unwrap_or("off")))
            }
        },
        _ => html! {},
    }
}

/// Of the visit, or of the channel.
pub(super) fn utm<'c>(call: &'c CallView, key: &str) -> Option<&'c str> {
    let attribution = &call.call.attribution;
    let session = attribution.session.as_ref().and_then(|session| session.utm.get(key));
    session.or_else(|| attribution.channel.as_ref().and_then(|channel| channel.get(key))).map(String::as_str)
}

/// Those that the address asks for, else the usual ones.
fn columns(view: &View) -> Vec<&'static str> {
    let wanted = |name: &str| view.query.iter().any(|(key, value)| key == COLUMN && value == name);
    let any = view.query.iter().any(|(key, _)| key == COLUMN);
    COLUMNS
        .iter()
        .filter(|(name, usual)| if any { wanted(name) || *name == "time" } else { *usual })
        .map(|(name, _)| *name)
        .collect()
}

fn pairs(view: &View) -> impl Iterator<Item = (&str, &str)> {
    let kept = view.query.iter().filter(|(key, _)| key != "cursor" && key != COLUMN);
    kept.map(|(key, value)| (key.as_str(), value.as_str()))
}

pub(super) fn filter(view: &View) -> Result<Filter, Problem> {
    let text = |name: &str| view.asked(name).map(str::to_owned);
    Ok(Filter {
        company: text("company"),
        pool: text("pool"),
        number: text("number"),
        caller: text("caller"),
        outcome: one_of(view, "outcome")?,
        since: day(view, "since", 0)?,
        until: day(view, "until", 1)?,
        attribution: one_of(view, "attribution")?,
        visitor_id: text("visitor_id"),
        source: text("source"),
        medium: text("medium"),
        campaign: text("campaign"),
        in_progress: one_of(view, "in_progress")?,
        cursor: text("cursor")
            .map(|id| id.parse().map_err(|_| body::bad_parameter("cursor", "a call's id")))
            .transpose()?,
        limit: None,
        q: text("q"),
        content: text("content"),
        term: text("term"),
        label: text("label").map(|label| if label == "none" { String::new() } else { label }),
        quality: one_of(view, "quality")?,
        first: one_of(view, "first")?,
        missed: one_of(view, "missed")?,
        waiting: one_of(view, "waiting")?,
        region: text("region"),
        agent: text("agent"),
        confidence_max: view
            .asked("below")
            .map(|text| text.parse().map_err(|_| body::bad_parameter("below", "a figure from 0 to 1")))
            .transpose()?,
        ..Filter::default()
    })
}

/// A day, there; `more` days later.
fn day(view: &View, name: &str, more: i32) -> Result<Option<Wall>, Problem> {
    let Some(text) = view.asked(name) else { return Ok(None) };
    let date: Option<jiff::civil::Date> = text.parse().ok();
    let start = date.and_then(|date| {
        let date = (0..more).try_fold(date, |date, _| date.tomorrow()).ok()?;
        date.to_zoned(view.zone.clone()).ok()
    });
    let start = start.ok_or_else(|| body::bad_parameter(name, "a date, like 2026-11-22"))?;
    Ok(Some(Wall(start.timestamp().as_microsecond())))
}

/// A word of a closed set, as events have it.
fn one_of<T: DeserializeOwned>(view: &View, name: &str) -> Result<Option<T>, Problem> {
    let Some(text) = view.asked(name) else { return Ok(None) };
    let value = text.parse::<bool>().map_or_else(|_| Value::String(text.to_owned()), Value::Bool);
    serde_json::from_value(value).map(Some).map_err(|error| body::bad_parameter(name, &error.to_string()))
}

const OUTCOMES: [&str; 8] =
    ["answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail", "lost_in_crash"];

fn filters(view: &View) -> Markup {
    let any = || ("", view.t("any"));
    let companies = view.config.companies.iter().map(|company| company.name.as_str()).filter(|name| view.sees(name));
    let companies = companies.map(|name| (name, Cow::from(name)));
    let pools = super::report::pools(view, Right::Calls);
    let pools = pools.iter().map(|name| (name.as_str(), Cow::from(name.as_str())));
    let value = |name: &str| view.asked(name).unwrap_or_default().to_owned();
    let more = ["number", "caller", "medium", "campaign", "attribution", "company"];
    let is_open = more.iter().any(|name| view.asked(name).is_some());
    let today = view.today().to_string();
    let presets = [
        ("preset-today", view_link(&[("since", &today)])),
        ("preset-missed", view_link(&[("outcome", "no_answer")])),
        ("preset-unsure", view_link(&[("attribution", "visitor"), ("below", "0.8")])),
        ("preset-unknown", view_link(&[("attribution", "none")])),
    ];
    html! {
        p.presets {
            @for (key, link) in &presets { a.chip href=(link) aria-current=[(*link == view.link(&[("cursor",
                None)])).then_some("true")] { (view.t(key)) } }
            span #saved-filters data-save=(view.t("filter-save")) data-name=(view.t("filter-name")) data-forget=(view.t("filter-forget")) {}
        }
        form.filters method="get" action="/calls" {
            (field(&view.t("filter-since"), "since", "date", &value("since")))
            (field(&view.t("filter-until"), "until", "date", &value("until")))
            label { span { (view.t("filter-outcome")) } select name="outcome" {
                (options(view.asked("outcome"), std::iter::once(any()).chain(OUTCOMES.iter().map(|code| (*code,
                    view.word("outcome", code))))))
            } }
            (field(&view.t("filter-source"), "source", "text", &value("source")))
            label { span { (view.t("filter-pool")) } select name="pool" { (options(view.asked("pool"),
                std::iter::once(any()).chain(pools))) } }
            (field(&view.t("filter-q"), "q", "search", &value("q")))
            details.more-filters open[is_open] {
                summary { (view.t("filters-more")) }
                div.filters {
                    label { span { (view.t("filter-company")) } select name="company" { (options(view.asked("company"),
                        std::iter::once(any()).chain(companies))) } }
                    (field(&view.t("filter-medium"), "medium", "text", &value("medium")))
                    (field(&view.t("filter-campaign"), "campaign", "text", &value("campaign")))
                    (field(&view.t("filter-number"), "number", "text", &value("number")))
                    label { span { (view.t("filter-attribution")) } select name="attribution" {
                        (options(view.asked("attribution"), std::iter::once(any()).chain(["visitor", "static",
                            "none"].iter().map(|code| (*code, view.word("kind", code))))))
                    } }
                    (field(&view.t("filter-below"), "below", "text", &value("below")))
                }
            }
            details.more-filters {
                summary { (view.t("columns")) }
                fieldset.checks {
                    legend.visually-hidden { (view.t("columns")) }
                    @let shown = columns(view);
                    @for (name, _) in COLUMNS {
                        label { input type="checkbox" name=(COLUMN) value=(name) checked[shown.contains(&name)]; " "
                            (view.word("column", name)) }
                    }
                }
            }
            div.buttons {
                button.primary type="submit" { (view.t("filters-apply")) }
                a.button href="/calls" { (view.t("filters-clear")) }
            }
        }
    }
}

fn view_link(pairs: &[(&str, &str)]) -> String {
    super::view::address("/calls", pairs.iter().copied())
}

/// The columns that the overview shows.
pub(super) const FEW: [&str; 5] = ["time", "caller", "origin", "confidence", "status"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas() {
        for (cell, wanted) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2", "'-2"),
            ("+442079460000", "+442079460000"),
            ("+4420••••••00", "+4420••••••00"),
            ("+44-cmd|' /C calc'!A0", "'+44-cmd|' /C calc'!A0"),
            ("kitchens", "kitchens"),
            ("", ""),
        ] {
            assert_eq!(safe(cell), wanted);
        }
    }
}
