//! The journal as it stands: the newest events, of one kind or of all; who listened, changed and took out among them.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::frame::Page;
use super::parts::{empty, heading, options};
use super::view::View;
use crate::io::http::problem::Problem;
use crate::time::Wall;

/// Events of a page.
const ROWS: usize = 100;
/// Records that are looked through for one page.
const LOOK: u64 = 5_000;

/// Beginnings of kinds that can be asked for; `audit` is a choice of several.
const KINDS: [(&str, &[&str]); 6] = [
    ("all", &["leaseline."]),
    (
        "audit",
        &[
            "leaseline.recording.played",
            "leaseline.recording.erased",
            "leaseline.recording.held",
            "leaseline.recording.released",
            "leaseline.catalogue.",
            "leaseline.user.",
            "leaseline.report.",
            "leaseline.call.labelled",
            "leaseline.call.commented",
            "leaseline.call.scored",
            "leaseline.call.valued",
            "leaseline.contact.",
            "leaseline.cost.",
        ],
    ),
    ("calls", &["leaseline.call."]),
    ("recordings", &["leaseline.recording.", "leaseline.archive."]),
    ("leases", &["leaseline.lease."]),
    ("exports", &["leaseline.export."]),
];

/// `GET /events`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let kind = view.asked("kind").unwrap_or("all");
    let wanted = KINDS.iter().find(|(name, _)| *name == kind).map_or(KINDS[0].1, |(_, wanted)| wanted);
    let before = view.asked("before").and_then(|text| text.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let journal = view.state.journal.clone();
    let read = move || {
        let mut found = Vec::new();
        let mut until = before.min(journal.last_seq().saturating_add(1));
        let oldest = until.saturating_sub(LOOK);
        // The journal is read forwards, so its end is read in pieces from behind.
        while until > oldest.max(1) && found.len() < ROWS {
            let from = until.saturating_sub(200).max(oldest);
            let records = journal.read(from.saturating_sub(1), usize::try_from(until - from).unwrap_or(ROWS))?;
            for record in records.into_iter().rev().filter(|record| record.seq < until) {
                let event: Value = serde_json::from_str(&record.event)?;
                let kind = event["type"].as_str().unwrap_or_default();
                if wanted.iter().any(|start| kind.starts_with(start)) && found.len() < ROWS {
                    found.push((record.seq, event));
                }
            }
            until = from;
        }
        Ok::<_, std::io::Error>((found, until))
    };
    let (events, reached) = tokio::task::spawn_blocking(read)
        .await
        .map_err(std::io::Error::other)
        .and_then(|read| read)
        .map_err(|error| Problem::internal("journal_unreadable", &error))?;
    let title = view.t("nav-events");
    let next = events.last().filter(|_| events.len() == ROWS).map_or(reached, |(seq, _)| *seq).to_string();
    let body = html! {
        (heading(&title, html! {}))
        form.filters method="get" action="/events" {
            label { span { (view.t("events-kind")) } select name="kind" { (options(Some(kind), KINDS.iter().map(|(name, _)| (*name,
                view.word("events-kind", name))))) } }
            div.buttons { button.primary type="submit" { (view.t("filters-apply")) } }
        }
        @if events.is_empty() { (empty(&view.t("events-none"), html! {})) } @else {
            div.sheet.events { @for (seq, event) in &events { (row(&view, *seq, event)) } }
        }
        @if next != "0" && next != "1" { p.more { a.button rel="next" href=(view.link(&[("before", Some(&next))])) {
            (view.t("events-older")) } } }
    };
    Ok(view.show(Page { title: &title, nav: "/events", scripts: &[], body }))
}

fn row(view: &View, seq: u64, event: &Value) -> Markup {
    let text = |key: &str| event["data"][key].as_str().unwrap_or_default().to_owned();
    let kind = event["type"].as_str().unwrap_or_default().trim_start_matches("leaseline.");
    html! {
        details {
            summary {
                span.seq { "#" (seq) }
                @if let Some(at) = event["time"].as_str().and_then(Wall::parse_rfc3339) { (view.time(at)) }
                span { (view.word("event", &kind.replace('.', "-"))) }
                @if !text("by").is_empty() { span.tag { (text("by")) } }
                @if !text("number").is_empty() { span.mono.soft { (text("number")) } }
            }
            @if !text("call_id").is_empty() { p { a href={ "/calls/" (text("call_id")) } { (view.t("event-call")) } } }
            pre.json tabindex="0" { (shown(view, event)) }
        }
    }
}

/// Whoever may not see numbers sees no more of an event than its kind.
fn shown(view: &View, event: &Value) -> String {
    let whole = if view.shows_numbers() { event } else { &event["type"] };
    serde_json::to_string_pretty(whole).unwrap_or_default()
}
