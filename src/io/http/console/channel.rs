//! A new tracking channel in five steps: kind, traffic type, numbers, display, snippet with a live check.
//!
//! What was answered travels from step to step in the form; nothing is kept here, and nothing changes before the fourth
//! step's diff is saved.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::catalogue::{Form, changed, current, form, take};
use super::frame::Page;
use super::install;
use super::parts::{heading, options};
use super::view::{View, address};
use crate::core::catalogue::document;
use crate::core::number;
use crate::core::source::Traffic;
use crate::ids::E164;
use crate::io::catalogue::What;
use crate::io::http::problem::Problem;
use crate::limits;

const STEPS: [&str; 5] = ["step-kind", "step-traffic", "step-numbers", "step-display", "step-snippet"];

/// What is asked, in the order of the steps; it is carried from one to the next.
const ANSWERS: [&str; 18] = [
    "kind",
    "company",
    "site",
    "name",
    "title",
    "mode",
    "traffic",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "source",
    "medium",
    "campaign",
    "from",
    "country",
    "numbers",
    "hold",
    "binding",
];

/// `GET /channels/new`; the last step is asked for with the name of the pool.
pub(super) async fn start(view: View) -> Result<Response, Problem> {
    if let Some(pool) = view.asked("pool") {
        return last(&view, pool).await;
    }
    let mut form = Form::new();
    form.insert("kind".into(), view.asked("kind").filter(|kind| *kind == "static").unwrap_or("dynamic").into());
    Ok(step(&view, StatusCode::OK, 0, &form, &[]))
}

/// `POST /channels/new`: the next step, the one before, or the channel itself.
pub(super) async fn next(view: View, request: Request) -> Result<Response, Problem> {
    let form = form(request).await?;
    let at: usize = form.get("step").and_then(|text| text.parse().ok()).unwrap_or(0);
    let back = form.get("go").is_some_and(|go| go == "back");
    if back {
        return Ok(step(&view, StatusCode::OK, at.saturating_sub(1), &form, &[]));
    }
    let wrong = wrong(&view, at, &form);
    if !wrong.is_empty() {
        return Ok(step(&view, StatusCode::UNPROCESSABLE_ENTITY, at, &form, &wrong));
    }
    if at < 3 {
        return Ok(step(&view, StatusCode::OK, at + 1, &form, &[]));
    }
    let (_, etag, before) = current(&view, None).await?;
    let pool = pool(&view, &form);
    let name = pool["name"].as_str().unwrap_or_default().to_owned();
    let after = changed(before, "pools", "", Some(pool));
    match take(&view, What::Catalogue(after), &etag, &view.ta("channel-note", &[("name", (&name).into())])).await {
        Ok(_) => Ok(Redirect::to(&address("/channels/new", [("pool", name.as_str())].into_iter())).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            Ok(step(&view, StatusCode::UNPROCESSABLE_ENTITY, 3, &form, &[problem.detail]))
        }
        Err(problem) => Err(problem),
    }
}

fn answer<'f>(form: &'f Form, name: &str) -> &'f str {
    form.get(name).map(|text| text.trim()).unwrap_or_default()
}

fn is_static(form: &Form) -> bool {
    answer(form, "kind") == "static"
}

/// What is wrong with the answers of a step, in words.
fn wrong(view: &View, at: usize, form: &Form) -> Vec<String> {
    let mut wrong = Vec::new();
    match at {
        0 => {
            let name = answer(form, "name");
            if name.is_empty() {
                wrong.push(view.t("channel-no-name").into_owned());
            }
            if view.config.pools.iter().any(|pool| pool.name == name) {
                wrong.push(view.t("channel-name-taken").into_owned());
            }
            if !is_static(form) && answer(form, "site").is_empty() {
                wrong.push(view.t("channel-no-site").into_owned());
            }
        }
        1 if is_static(form) && answer(form, "source").is_empty() => {
            wrong.push(view.t("channel-no-source").into_owned())
        }
        2 if answer(form, "from") != "provider" => {
            let read = numbers(answer(form, "numbers"), answer(form, "country"));
            wrong.extend(
                read.bad.iter().map(|text| view.ta("channel-bad-number", &[("text", text.into())]).into_owned()),
            );
            let taken = |number: &&E164| view.config.pools.iter().any(|pool| pool.numbers.contains(*number));
            for number in read.good.iter().filter(taken).take(10) {
                wrong.push(view.ta("channel-number-taken", &[("number", (&number.to_string()).into())]).into_owned());
            }
            if read.good.is_empty() && wrong.is_empty() {
                wrong.push(view.t("channel-no-numbers").into_owned());
            }
        }
        _ => {}
    }
    wrong
}

/// Numbers as somebody wrote them.
#[derive(Debug, Default, PartialEq)]
struct Numbers {
    /// In order, each once.
    good: BTreeSet<E164>,
    /// Written a second time.
    again: usize,
    bad: Vec<String>,
}

/// Reads numbers in any writing, one a line or with commas between; `A..B` is a range, as the catalogue has it.
fn numbers(text: &str, country: &str) -> Numbers {
    let country = Some(country).filter(|country| !country.is_empty());
    let read = |text: &str| number::normalise(text.trim(), country, "");
    let mut found = Numbers::default();
    for part in text.split(['\n', ',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once("..").unwrap_or((part, part));
        let Some((from, to)) = read(from).zip(read(to)) else {
            found.bad.push(part.chars().take(40).collect());
            continue;
        };
        let (first, last) = (from.digits().parse::<u64>().unwrap_or(0), to.digits().parse::<u64>().unwrap_or(0));
        if last < first || last - first >= limits::NUMBERS as u64 || from.digits().len() != to.digits().len() {
            found.bad.push(part.chars().take(40).collect());
            continue;
        }
        for digits in first..=last {
            if let Some(number) = E164::parse(&format!("+{digits}")) {
                let fresh = found.good.insert(number);
                found.again += usize::from(!fresh);
            }
            if found.good.len() > limits::NUMBERS {
                return found;
            }
        }
    }
    found
}

/// The pool that the answers describe, with the keys of the configuration.
fn pool(view: &View, form: &Form) -> Value {
    let mut pool = Map::new();
    let mut set = |key: &str, value: Value| {
        if !value.as_str().is_some_and(str::is_empty) {
            pool.insert(key.to_owned(), value);
        }
    };
    set("name", answer(form, "name").into());
    let site = view.config.sites.iter().find(|site| site.name == answer(form, "site"));
    let company = site.map_or(answer(form, "company"), |site| &site.company);
    set("company", company.into());
    set("title", answer(form, "title").into());
    let written = numbers(answer(form, "numbers"), answer(form, "country")).good;
    set("numbers", json!(ranges(&written)));
    if is_static(form) {
        set("kind", "static".into());
        let channel: Map<String, Value> = ["source", "medium", "campaign"]
            .into_iter()
            .filter(|key| !answer(form, key).is_empty())
            .map(|key| (key.to_owned(), answer(form, key).into()))
            .collect();
        set("channel", channel.into());
    } else {
        set("kind", "dynamic".into());
        set("site", answer(form, "site").into());
        set("hold", answer(form, "hold").into());
        if answer(form, "binding") == "params" {
            set("binding", "params".into());
        }
        if answer(form, "mode") == "own" {
            let conditions: Map<String, Value> = ["utm_source", "utm_medium", "utm_campaign"]
                .into_iter()
                .filter(|key| !answer(form, key).is_empty())
                .map(|key| (key.to_owned(), answer(form, key).into()))
                .collect();
            if !conditions.is_empty() {
                set("conditions", json!([conditions]));
            }
        } else if !answer(form, "traffic").is_empty() {
            set("traffic", json!([answer(form, "traffic")]));
        }
        if answer(form, "from") == "provider" {
            let provider =
                view.config.keeping.providers.first().map(|provider| provider.name.clone()).unwrap_or_default();
            set("grow", json!({ "enabled": true, "provider": provider }));
        }
    }
    Value::Object(pool)
}

/// Neighbours as `A..B`.
fn ranges(numbers: &BTreeSet<E164>) -> Vec<String> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for digits in numbers.iter().filter_map(|number| number.digits().parse::<u64>().ok()) {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(digits) => *last = digits,
            _ => ranges.push((digits, digits)),
        }
    }
    let written = |(from, to): (u64, u64)| if from == to { format!("+{from}") } else { format!("+{from}..+{to}") };
    ranges.into_iter().map(written).collect()
}

fn step(view: &View, status: StatusCode, at: usize, form: &Form, wrong: &[String]) -> Response {
    let title = view.t("nav-new-channel");
    let asked: &[&str] = match at {
        0 => &["kind", "company", "site", "name", "title"],
        1 => &["mode", "traffic", "utm_source", "utm_medium", "utm_campaign", "source", "medium", "campaign"],
        2 => &["from", "country", "numbers"],
        _ => &["hold", "binding"],
    };
    let body = html! {
        (heading(&title, html! {}))
        (steps(view, at))
        @if !wrong.is_empty() { div.problem role="alert" { ul { @for line in wrong { li.bad-text { (line) } } } } }
        form.wide-form.sheet.pad method="post" action="/channels/new" {
            input type="hidden" name="step" value=(at);
            @for name in ANSWERS.iter().filter(|name| !asked.contains(name)) {
                @if let Some(value) = form.get(*name) { input type="hidden" name=(name) value=(value); }
            }
            h2 { (at + 1) ". " (view.t(STEPS.get(at).copied().unwrap_or("step-kind"))) }
            @match at { 0 => (kind(view, form)), 1 => (traffic(view, form)), 2 => (numbers_step(view, form)), _ => (display(view, form)) }
            div.buttons {
                button.primary type="submit" { (view.t(if at < 3 { "next" } else { "channel-create" })) }
                @if at > 0 { button type="submit" name="go" value="back" formnovalidate { (view.t("back")) } }
            }
        }
    };
    (status, view.show(Page { title: &title, nav: "/channels/new", scripts: &[], body })).into_response()
}

fn steps(view: &View, at: usize) -> Markup {
    html! {
        ol.steps aria-label=(view.t("steps")) {
            @for (i, key) in STEPS.iter().enumerate() {
                li.done[i < at] aria-current=[(i == at).then_some("step")] { span { (i + 1) } (view.t(key)) }
            }
        }
    }
}

fn input(view: &View, form: &Form, name: &str, key: &str, required: bool) -> Markup {
    html! { label { span { (view.t(key)) } input type="text" name=(name) value=(answer(form, name)) required[required]; } }
}

fn radio(view: &View, form: &Form, name: &str, value: &str, key: &str, usual: bool) -> Markup {
    let given = answer(form, name);
    html! {
        label.radio {
            input type="radio" name=(name) value=(value) checked[given == value || (given.is_empty() && usual)];
            span { strong { (view.t(key)) } small { (view.word("hint", key)) } }
        }
    }
}

fn kind(view: &View, form: &Form) -> Markup {
    let none = || ("", Cow::from("–"));
    let sites = view.config.sites.iter().map(|site| (site.name.as_str(), Cow::from(site.name.as_str())));
    let companies =
        view.config.companies.iter().map(|company| (company.name.as_str(), Cow::from(company.name.as_str())));
    html! {
        fieldset { legend { (view.t("channel-kind")) }
            (radio(view, form, "kind", "dynamic", "channel-dynamic", true))
            (radio(view, form, "kind", "static", "channel-static", false))
        }
        (input(view, form, "name", "channel-name", true))
        (input(view, form, "title", "channel-title", false))
        label { span { (view.t("channel-site")) } select name="site" { (options(Some(answer(form, "site")),
            std::iter::once(none()).chain(sites))) } }
        label { span { (view.t("filter-company")) } select name="company" { (options(Some(answer(form, "company")), companies)) } }
    }
}

fn traffic(view: &View, form: &Form) -> Markup {
    if is_static(form) {
        return html! {
            p.soft { (view.t("channel-static-traffic")) }
            (input(view, form, "source", "channel-source", true))
            (input(view, form, "medium", "channel-medium", false))
            (input(view, form, "campaign", "channel-campaign", false))
        };
    }
    let any = || ("", view.t("any"));
    let presets = Traffic::ALL.iter().map(|(name, _)| (*name, view.word("traffic", name)));
    html! {
        fieldset { legend { (view.t("channel-mode")) }
            (radio(view, form, "mode", "standard", "channel-standard", true))
            (radio(view, form, "mode", "own", "channel-own", false))
        }
        label { span { (view.t("channel-traffic")) } select name="traffic" { (options(Some(answer(form, "traffic")),
            std::iter::once(any()).chain(presets))) } }
        fieldset { legend { (view.t("channel-conditions")) }
            (input(view, form, "utm_source", "channel-utm-source", false))
            (input(view, form, "utm_medium", "channel-utm-medium", false))
            (input(view, form, "utm_campaign", "channel-utm-campaign", false))
        }
    }
}

fn numbers_step(view: &View, form: &Form) -> Markup {
    let has_provider = !view.config.keeping.providers.is_empty() && !is_static(form);
    let country = view.config.trunks.first().and_then(|trunk| trunk.country.as_deref()).unwrap_or_default();
    html! {
        fieldset { legend { (view.t("channel-from")) }
            (radio(view, form, "from", "own", "channel-from-own", true))
            @if has_provider { (radio(view, form, "from", "provider", "channel-from-provider", false)) } @else { p.soft {
                (view.t("channel-no-provider")) } }
        }
        label { span { (view.t("channel-numbers")) } textarea.mono name="numbers" rows="6" { (answer(form, "numbers")) } }
        label { span { (view.t("channel-country")) } input type="text" name="country" maxlength="2"
            value=(form.get("country").map_or(country, |text| text.trim())); }
    }
}

fn display(view: &View, form: &Form) -> Markup {
    let read = numbers(answer(form, "numbers"), answer(form, "country"));
    let pool = pool(view, form);
    let lines = document::changes(&json!({ "pools": [] }), &json!({ "pools": [pool] }));
    html! {
        @if is_static(form) { p { (view.t("channel-static-display")) } } @else {
            p { (view.t("channel-dynamic-display")) }
            label { span { (view.t("pool-hold")) } input type="text" name="hold" value=(form.get("hold").map_or("30m", |text|
                text.trim())); }
            fieldset { legend { (view.t("channel-binding")) }
                (radio(view, form, "binding", "visitor", "binding-visitor", true))
                (radio(view, form, "binding", "params", "binding-params", false))
            }
        }
        h3 { (view.t("channel-review")) }
        p { (view.tn("numbers-count", read.good.len() as u64)) @if read.again > 0 { " · " (view.tn("channel-again", read.again as u64)) } }
        ul.diff { @for line in &lines { li.mono { (line) } } }
    }
}

/// The fifth step: the channel is there, and its page is watched.
async fn last(view: &View, name: &str) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("unknown_pool", "There is no such pool.");
    let pool = view.config.pools.iter().find(|pool| pool.name == name).ok_or_else(unknown)?;
    let site = pool.site.as_ref().and_then(|name| view.config.sites.iter().find(|site| site.name == *name));
    let checks = match site {
        Some(site) => Some(install::checks(view, site).await?),
        None => None,
    };
    let title = view.t("nav-new-channel");
    let body = html! {
        (heading(&title, html! { a.button href="/pools" { (view.t("nav-pools")) } }))
        (steps(view, 4))
        p.notice role="status" { (view.ta("channel-done", &[("name", name.into()), ("numbers", (&view.tn("numbers-count",
            pool.numbers.len() as u64).into_owned()).into())])) }
        @match site {
            Some(site) => { (install::snippet(view, site)) h2 { (view.t("install-checks")) } @if let Some(checks) = &checks { (checks) } },
            None => { p { (view.t("channel-static-done")) } ul.plain { @for number in pool.numbers.iter().take(20) { li.mono {
                (number::display(number)) } } } },
        }
    };
    Ok(view.show(Page { title: &title, nav: "/channels/new", scripts: &["poll.js"], body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p18_own_numbers_in_any_writing_are_normalised_and_each_is_taken_once() {
        let text = "+44 20 7946 0001, 020 7946 0002\n(020) 7946-0002; +442079460003..+442079460005\n12 bananas";
        let read = numbers(text, "GB");
        let good: Vec<String> = read.good.iter().map(ToString::to_string).collect();
        assert_eq!(good, (1..=5).map(|n| format!("+44207946000{n}")).collect::<Vec<_>>());
        assert_eq!((read.again, read.bad), (1, vec!["12 bananas".to_owned()]));
        assert_eq!(ranges(&read.good), ["+442079460001..+442079460005"]);
        assert_eq!(numbers("+442079460005..+442079460003", "").bad.len(), 1, "a range that goes back");
        assert!(!numbers("+1..+999999999999999", "").bad.is_empty(), "a range without end");
        assert_eq!(numbers("", "GB"), Numbers::default());
    }
}
