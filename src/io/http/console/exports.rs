//! Exports: how every destination is doing, what it was sent and what became of it, what failed and is tried again, and what
//! it would be sent (a dry run).

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value;

use super::catalogue::Form;
use super::frame::Page;
use super::parts::{empty, heading, options, parts, sheet, tag};
use super::said::field;
use super::view::{View, address};
use crate::config::export::Export;
use crate::core::mask;
use crate::core::rights::Right;
use crate::io::export::{ExportStatus, FilterWanted, Logged, Rehearsal, State, Wanted};
use crate::io::http::problem::Problem;
use crate::io::http::{body, calls, exports};
use crate::io::index::report::{self, Destination, ReportFilter};
use crate::io::index::{Calendar, CallDetail};

/// Lines of a page of the log.
const ROWS: usize = 50;
/// Days whose reasons are shown.
const DAYS: i64 = 30;
/// Deliveries about one call that its card tells of, by destination.
const OF_CALL: usize = 20;
/// Calls of a dry run, when nothing else is asked.
const REHEARSED: usize = 50;

/// `GET /exports`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let all = exports::statuses(&view.state).await?;
    let today = Calendar::of("UTC").day_and_hour(view.now).0;
    let filter = ReportFilter::of_days(today - DAYS + 1, today);
    let report =
        view.state.index.ask(move |reader| report::exports(reader, &filter)).await.map_err(calls::unanswered)?;
    let title = view.t("nav-exports");
    let body = html! {
        (heading(&title, html! {}))
        (view.notice())
        @if all.is_empty() { (empty(&view.t("exports-none"), html! { p.soft { code { "[[export]]" } } })) } @else {
            (table(&view, &all))
            div.cards.apart { @for one in &all { (card(&view, one, report.rows.iter().find(|row| row.destination == one.name))) } }
        }
    };
    Ok(view.show(Page { title: &title, nav: "/exports", scripts: &[], body }))
}

fn log_link(name: &str, state: &str) -> String {
    address("/exports/log", [("name", name), ("state", state)].into_iter().filter(|(_, value)| !value.is_empty()))
}

fn table(view: &View, all: &[ExportStatus]) -> Markup {
    let figure = |n: u64| view.lang.figure(n);
    let linked = |one: &ExportStatus| match one.deliveries.looked {
        0 => "–".to_owned(),
        looked => format!("{} ({})", figure(one.deliveries.linked), view.lang.share_of(one.deliveries.linked, looked)),
    };
    sheet(
        &view.t("nav-exports"),
        html! {
            table {
                thead { tr {
                    th scope="col" { (view.t("export-destination")) } th.num scope="col" { (view.t("export-sent")) }
                    th.num scope="col" { (view.t("export-accepted")) } th.num scope="col" { (view.t("export-linked")) }
                    th.num scope="col" { (view.t("export-rejected")) } th.num scope="col" { (view.t("export-dead")) }
                    th.num scope="col" { (view.t("export-pending")) } th.num scope="col" { (view.t("export-lag")) }
                } }
                tbody { @for one in all {
                    @let of = &one.deliveries;
                    tr {
                        th scope="row" { a.row href=(log_link(&one.name, "")) { (one.name) } small { (view.word("export-kind", one.kind))
                            @if let Some(company) = &one.company { " · " (company) } } }
                        td.num { (figure(of.sent + of.rejected + of.dead)) }
                        td.num { (figure(of.sent)) }
                        td.num { (linked(one)) }
                        td.num { a href=(log_link(&one.name, "rejected")) { (figure(of.rejected)) } }
                        td.num { a href=(log_link(&one.name, "dead")) { (figure(of.dead)) } }
                        td.num { (figure(of.pending)) }
                        td.num { (figure(one.lag)) }
                    }
                } }
            }
        },
    )
}

fn card(view: &View, one: &ExportStatus, lately: Option<&Destination>) -> Markup {
    let of = &one.deliveries;
    let failed = of.rejected + of.dead;
    let whole = of.sent + of.rejected + of.dead + of.pending;
    let reasons = lately.map(|of| of.reasons.as_slice()).unwrap_or_default();
    html! {
        div.sheet.card {
            div.heading { h2 { a href=(log_link(&one.name, "")) { (one.name) } } (health(view, one)) }
            (parts(whole, &[(of.sent, "good"), (of.pending, "s1"), (of.rejected, "bad"), (of.dead, "warn")]))
            p.legend {
                span.k.good { (view.t("export-accepted")) " " b { (view.lang.figure(of.sent)) } }
                span.k.s1 { (view.t("export-pending")) " " b { (view.lang.figure(of.pending)) } }
                span.k.bad { (view.t("export-rejected")) " " b { (view.lang.figure(of.rejected)) } }
                span.k.warn { (view.t("export-dead")) " " b { (view.lang.figure(of.dead)) } }
                @if of.waiting > 0 { span { (view.t("export-waiting")) " " b { (view.lang.figure(of.waiting)) } } }
            }
            @if !reasons.is_empty() {
                h3 { (view.t("export-reasons")) }
                ul.plain { @for reason in reasons.iter().take(6) { li { span.mono { (reason.status) } " · "
                    (view.lang.figure(u64::try_from(reason.deliveries).unwrap_or(0))) } } }
            }
            div.buttons {
                a.button href=(log_link(&one.name, "")) { (view.t("export-log")) }
                @if view.has_right(Right::Edit) {
                    a.button href={ (log_link(&one.name, "")) "#dry-run" } { (view.t("export-dry-run")) }
                    @if failed > 0 { (replay_all(view, &one.name, failed)) }
                }
            }
        }
    }
}

fn health(view: &View, one: &ExportStatus) -> Markup {
    match &one.last_failure {
        Some(code) if one.failures > 0 => {
            tag("bad", &format!("{} · {code}", view.tn("export-failing", u64::from(one.failures))))
        }
        _ => tag("good", &view.t("export-works")),
    }
}

fn replay_all(view: &View, name: &str, failed: u64) -> Markup {
    html! {
        form method="post" action="/exports/replay" {
            input type="hidden" name="name" value=(name);
            button type="submit" { (view.tn("export-replay-all", failed)) }
        }
    }
}

/// `GET /exports/log?name=…&state=…&call=…&before=…`.
pub(super) async fn log(view: View) -> Result<Response, Problem> {
    let all = exports::statuses(&view.state).await?;
    let one = match view.asked("name") {
        Some(name) => all.iter().find(|one| one.name == name),
        None => all.first(),
    };
    let Some(one) = one else {
        let title = view.t("export-log");
        let body = html! { (heading(&title, html! { a.button href="/exports" { (view.t("nav-exports")) } }))
        (empty(&view.t("exports-none"), html! {})) };
        return Ok(view.show(Page { title: &title, nav: "/exports", scripts: &[], body }));
    };
    let state = view.asked("state").and_then(State::parse);
    let before = view.asked("before").and_then(|text| text.parse().ok());
    let call = view.asked("call").map(str::to_owned);
    let lines = exports::log(&view.state, one.name.clone(), before, state, call, ROWS).await?;
    let next = if lines.len() == ROWS { lines.last().map(|line| line.n.to_string()) } else { None };
    let of = &one.deliveries;
    let states = [
        ("", None),
        ("sent", Some(of.sent)),
        ("pending", Some(of.pending)),
        ("rejected", Some(of.rejected)),
        ("dead", Some(of.dead)),
        ("skipped", Some(of.skipped)),
        ("cancelled", Some(of.cancelled)),
    ];
    let asked = view.asked("state").unwrap_or_default();
    let body = html! {
        p.crumbs { a href="/exports" { (view.t("nav-exports")) } }
        (heading(&one.name, html! { (health(&view, one))
            @if view.has_right(Right::Edit) && of.rejected + of.dead > 0 { (replay_all(&view, &one.name, of.rejected + of.dead)) } }))
        (view.notice())
        p.presets { @for (code, count) in states {
            a.chip href=(log_link(&one.name, code)) aria-current=[(asked == code).then_some("true")] {
                @if code.is_empty() { (view.t("any-state")) } @else { (view.word("delivery", code)) }
                @if let Some(count) = count { " " (view.lang.figure(count)) } }
        } }
        @if lines.is_empty() { (empty(&view.t("deliveries-none"), html! {})) } @else { (deliveries(&view, &one.name, &lines)) }
        p.more {
            @if view.asked("before").is_some() { a.button rel="prev" href=(view.link(&[("before", None)])) { (view.t("newest")) } }
            @if let Some(next) = &next { a.button rel="next" href=(view.link(&[("before", Some(next))])) { (view.t("older")) } }
        }
        @if view.has_right(Right::Edit) { (rehearsal_form(&view, &one.name, &Form::new())) }
    };
    Ok(view.show(Page { title: &one.name, nav: "/exports", scripts: &[], body }))
}

fn deliveries(view: &View, name: &str, lines: &[Logged]) -> Markup {
    sheet(
        &view.t("export-log"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("delivery-made")) } th scope="col" { (view.t("delivery-action")) } th scope="col" {
                    (view.t("column-status")) } th.num scope="col" { (view.t("delivery-attempts")) } th scope="col" {
                    (view.t("delivery-answer")) } th scope="col" { (view.t("delivery-call")) } th scope="col" { span.visually-hidden {
                    (view.t("export-replay")) } } } }
                tbody { @for line in lines { tr {
                    td { (view.time(line.made_at)) @if let Some(at) = line.settled_at { small { (view.time(at)) } } }
                    td { (view.word("delivery-action", &line.action)) }
                    td { (state(view, &line.state)) }
                    td.num { (line.attempts) }
                    td.wrap { @if let Some(status) = &line.status { span.mono { (status) } } @if let Some(detail) = &line.detail { small {
                        (hidden(view, detail)) } } }
                    td { @if let Some(call) = &line.call_id { a href={ "/calls/" (call) } { (view.t("delivery-call")) } } @else { "–" } }
                    td { @if is_failed(&line.state) && view.has_right(Right::Edit) {
                        form method="post" action="/exports/replay" {
                            input type="hidden" name="name" value=(name);
                            button type="submit" name="delivery" value=(line.delivery_id) { (view.t("export-replay")) }
                        }
                    } }
                } } }
            }
        },
    )
}

fn is_failed(state: &str) -> bool {
    matches!(state, "rejected" | "dead")
}

fn state(view: &View, state: &str) -> Markup {
    let mood = match state {
        "sent" | "linked" => "good",
        "rejected" | "dead" => "bad",
        "pending" => "accent",
        _ => "",
    };
    tag(mood, &view.word("delivery", state))
}

/// What a destination answered may have a number in it.
fn hidden(view: &View, text: &str) -> String {
    if view.shows_numbers() { text.to_owned() } else { mask::text(text) }
}

/// `POST /exports/replay`: one delivery, or all that failed.
pub(super) async fn replay(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let name = field(&form, "name").to_owned();
    let wanted = Some(field(&form, "delivery").to_owned()).filter(|id| !id.is_empty()).map(|id| vec![id]);
    let revived = exports::again(&view.state, name.clone(), wanted).await?;
    let said = if revived == 0 { "replay-none" } else { "replay" };
    Ok(Redirect::to(&address("/exports/log", [("name", name.as_str()), ("done", said)].into_iter())).into_response())
}

fn configured<'v>(view: &'v View, name: &str) -> Option<&'v Export> {
    view.config.exports.iter().find(|export| export.name == name).map(AsRef::as_ref)
}

/// The question of a dry run: the filter as it is, to be changed for this once.
fn rehearsal_form(view: &View, name: &str, form: &Form) -> Markup {
    let Some(export) = configured(view, name) else { return html! {} };
    let is_asked = !form.is_empty();
    let filter = &export.filter;
    let ticked = |field: &str, usual: bool| if is_asked { form.contains_key(field) } else { usual };
    let text = |name: &str, usual: String| if is_asked { field(form, name).to_owned() } else { usual };
    let counts = ["20", "50", "100", "200"].map(|count| (count, count.into()));
    html! {
        section.sheet.pad.apart aria-labelledby="dry-run" {
            h2 #dry-run { (view.t("export-dry-run")) }
            p.soft { (view.t("dry-run-hint")) }
            form method="post" action="/exports/dry-run" {
                input type="hidden" name="name" value=(name);
                div.filters {
                    label { span { (view.t("dry-run-calls")) } select name="limit" { (options(Some(&text("limit",
                        REHEARSED.to_string())), counts.into_iter())) } }
                    label { span { (view.t("dry-run-confidence")) } input type="number" name="confidence" min="0" max="100"
                        value=(text("confidence", format!("{:.0}", filter.confidence * 100.0))); }
                    label { span { (view.t("dry-run-labels")) } input type="text" name="labels" value=(text("labels",
                        filter.labels.join(", "))); }
                    label { span { (view.t("dry-run-not-labels")) } input type="text" name="not_labels" value=(text("not_labels",
                        filter.not_labels.join(", "))); }
                }
                div.ticks {
                    label.check { input type="checkbox" name="qualified" value="1" checked[ticked("qualified", filter.qualified)];
                        (view.t("dry-run-qualified")) }
                    label.check { input type="checkbox" name="first_call" value="1" checked[ticked("first_call", filter.first_call)];
                        (view.t("dry-run-first")) }
                    label.check { input type="checkbox" name="validate" value="1" checked[ticked("validate", false)];
                        (view.t("dry-run-validate")) }
                }
                div.buttons { button.primary type="submit" { (view.t("dry-run-go")) } }
            }
        }
    }
}

/// `POST /exports/dry-run`: nothing is sent, and nothing changes.
pub(super) async fn dry_run(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let name = field(&form, "name").to_owned();
    let mut view = view.at("/exports/log");
    view.query.push(("name".to_owned(), name.clone()));
    let list = |name: &str| -> Vec<String> {
        field(&form, name).split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
    };
    let percent = || body::bad_parameter("confidence", "a percentage from 0 to 100");
    let confidence = match field(&form, "confidence") {
        "" => None,
        text => {
            Some(text.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share)).ok_or_else(percent)? / 100.0)
        }
    };
    let filter = FilterWanted {
        qualified: Some(form.contains_key("qualified")),
        confidence,
        labels: Some(list("labels")),
        not_labels: Some(list("not_labels")),
        first_call: Some(form.contains_key("first_call")),
        ..FilterWanted::default()
    };
    let limit = body::number::<usize>(Some(field(&form, "limit").to_owned()).filter(|text| !text.is_empty()), "limit")?;
    let wanted =
        Wanted { limit: limit.or(Some(REHEARSED)), filter: Some(filter), validate: form.contains_key("validate") };
    let found = exports::rehearsed(&view.state, &name, wanted).await?;
    let title = view.ta("dry-run-title", &[("name", (&name).into())]);
    let body = html! {
        p.crumbs { a href="/exports" { (view.t("nav-exports")) } " › " a href=(log_link(&name, "")) { (name) } }
        (heading(&title, html! {}))
        p.notice role="status" { (view.tn("dry-run-looked", found.calls as u64)) " " (view.t("dry-run-nothing")) }
        (rehearsed(&view, &found))
        (rehearsal_form(&view, &name, &form))
    };
    Ok(view.show(Page { title: &title, nav: "/exports", scripts: &[], body }))
}

fn rehearsed(view: &View, found: &Rehearsal) -> Markup {
    let groups =
        [("added", "good", &found.added), ("changed", "accent", &found.changed), ("removed", "bad", &found.removed)];
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for left in &found.left_out {
        *reasons.entry(left["reason"].as_str().unwrap_or("unknown")).or_default() += 1;
    }
    html! {
        dl.tiles {
            @for (code, _, rows) in &groups { div.tile { dt { (view.word("dry-run", code)) } dd { span.figure {
                (view.lang.figure(rows.len() as u64)) } } } }
            div.tile { dt { (view.t("dry-run-same")) } dd { span.figure { (view.lang.figure(found.same as u64)) } } }
            div.tile { dt { (view.t("dry-run-left-out")) } dd { span.figure { (view.lang.figure(found.left_out.len() as u64)) } } }
        }
        @for (code, mood, rows) in groups {
            @if !rows.is_empty() {
                h2 { (view.word("dry-run", code)) " " (tag(mood, &rows.len().to_string())) }
                ul.rehearsed { @for row in rows { (change(view, row)) } }
            }
        }
        @if !reasons.is_empty() {
            h2 { (view.t("dry-run-left-out")) }
            ul.plain { @for (reason, count) in &reasons { li { (view.word("left-out", reason)) " · " (view.lang.figure(*count)) } } }
        }
        @if let Some(said) = &found.validation { h2 { (view.t("dry-run-validation")) } @if view.shows_numbers() { (json(said)) } @else { p {
            (said["status"]) } } }
    }
}

/// One call of a dry run: what the destination has, what it would have, and the first thing it would be asked.
fn change(view: &View, row: &Value) -> Markup {
    let call = row["call_id"].as_str().unwrap_or_default();
    let lines = differences(&row["before"], &row["after"]);
    html! {
        li.sheet.pad {
            p { a.mono href={ "/calls/" (call) } { (call) } " · " (view.word("delivery-action",
                row["action"].as_str().unwrap_or_default())) }
            @if !lines.is_empty() {
                ul.diff { @for (name, before, after) in &lines { li.mono { (name) ": "
                    @if let Some(before) = before { del { (before) } " " } @if let Some(after) = after { ins { (after) } } } } }
            }
            // Who works without numbers does not see what has them in it.
            @if view.shows_numbers() { details { summary { (view.t("dry-run-request")) } (json(&row["request"])) } }
        }
    }
}

fn json(value: &Value) -> Markup {
    html! { pre.json tabindex="0" { (serde_json::to_string_pretty(value).unwrap_or_default()) } }
}

/// Fields that differ: name, before, after.
fn differences(before: &Value, after: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    let (before, after) = (flat(before), flat(after));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing.map(|name| (name.clone(), before.get(name).cloned(), after.get(name).cloned())).collect()
}

fn flat(value: &Value) -> BTreeMap<String, String> {
    fn walk(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (key, field) in fields {
                    let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    walk(&name, field, into);
                }
            }
            Value::String(text) => drop(into.insert(name.to_owned(), text.clone())),
            other => drop(into.insert(name.to_owned(), other.to_string())),
        }
    }
    let mut all = BTreeMap::new();
    walk("", value, &mut all);
    all
}

/// Deliveries about one call: as the logs of the destinations have them for those who may see these, else as the journal
/// tells them.
pub(super) async fn of_call(view: &View, detail: &CallDetail) -> Result<Markup, Problem> {
    let id = detail.view.call.call_id.to_string();
    let mut live: Vec<(String, Logged)> = Vec::new();
    if view.has_right(Right::Node) {
        for export in &view.config.exports {
            let asked = exports::log(&view.state, export.name.clone(), None, None, Some(id.clone()), OF_CALL).await;
            // One that is not running has no log to be asked.
            live.extend(asked.unwrap_or_default().into_iter().map(|line| (export.name.clone(), line)));
        }
    }
    if live.is_empty() && detail.exports.is_empty() {
        return Ok(html! { p.soft { (view.t("call-exports-none")) } });
    }
    let may = view.has_right(Right::Edit);
    let told = detail.exports.iter().filter(|told| live.iter().all(|(_, line)| line.delivery_id != told.delivery_id));
    Ok(sheet(
        &view.t("call-exports"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("export-destination")) } th scope="col" { (view.t("delivery-action")) }
                    th scope="col" { (view.t("column-status")) } th scope="col" { (view.t("delivery-answer")) }
                    th scope="col" { (view.t("column-time")) } th
                    scope="col" { span.visually-hidden { (view.t("export-replay")) } } } }
                tbody {
                    @for (name, line) in &live { tr {
                        th scope="row" { a href=(log_link(name, "")) { (name) } }
                        td { (view.word("delivery-action", &line.action)) }
                        td { (state(view, &line.state)) }
                        td.wrap { @if let Some(status) = &line.status { span.mono { (status) } } @if let Some(detail) = &line.detail {
                            small { (hidden(view, detail)) } } }
                        td { (view.time(line.settled_at.unwrap_or(line.made_at))) }
                        td { @if may && is_failed(&line.state) {
                            form method="post" action={ "/calls/" (id) "/replay" } {
                                input type="hidden" name="export" value=(name);
                                button type="submit" name="delivery" value=(line.delivery_id) { (view.t("export-replay")) }
                            }
                        } }
                    } }
                    @for told in told { tr {
                        th scope="row" { (told.destination) }
                        td { (view.word("delivery-action", &told.action)) }
                        td { (state(view, &told.state)) }
                        td.wrap { span.mono { (told.status) } @if !told.detail.is_empty() { small { (hidden(view, &told.detail)) } } }
                        td { (view.time(told.at)) }
                        td {}
                    } }
                }
            }
        },
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_names_the_field_and_both_its_values() {
        let before = json!({ "label": "warm", "value": { "minor": 5, "currency": "EUR" } });
        let after = json!({ "label": "good", "value": { "minor": 5, "currency": "EUR" }, "at": 7 });
        let text = |text: &str| Some(text.to_owned());
        let wanted = [("at".to_owned(), None, text("7")), ("label".to_owned(), text("warm"), text("good"))];
        assert_eq!(differences(&before, &after), wanted);
        assert_eq!(differences(&Value::Null, &before).len(), 3);
        assert_eq!(differences(&before, &before), []);
    }
}
