//! What the pages are made of: tags, bars, tiles, tables that scroll, the words of a call.

use std::borrow::Cow;

use maud::{Markup, PreEscaped, html};

use super::view::View;
use crate::core::event::{Attribution, AttributionKind, CallData, Outcome};
use crate::io::index::Phase;

/// Mood of a tag.
pub(super) fn tag(mood: &str, text: &str) -> Markup {
    html! { span class={ "tag " (mood) } { (text) } }
}

/// Heading of a page with what can be done there.
pub(super) fn heading(title: &str, actions: Markup) -> Markup {
    html! { div.heading { h1 { (title) } div.actions { (actions) } } }
}

/// A table or another wide thing, which scrolls by itself and not with the page.
pub(super) fn sheet(label: &str, body: Markup) -> Markup {
    html! { div.sheet tabindex="0" role="region" aria-label=(label) { (body) } }
}

/// Nothing to show, and why or what to do.
pub(super) fn empty(text: &str, more: Markup) -> Markup {
    html! { div.sheet.empty { p { (text) } (more) } }
}

/// A share between 0 and 1 as a bar; the figure stands beside it.
pub(super) fn bar(share: f64, class: &str) -> Markup {
    let width = (share.clamp(0.0, 1.0) * 100.0 * 10.0).round() / 10.0;
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.back x="0" y="0" width="100" height="8" {}
            rect class={ "f " (class) } x="0" y="0" width=(width) height="8" {}
        }
    }
}

/// Parts of a whole, one after the other.
pub(super) fn parts(whole: u64, each: &[(u64, &str)]) -> Markup {
    let mut at = 0.0;
    let mut out = String::new();
    for (part, class) in each {
        let width = if whole == 0 { 0.0 } else { *part as f64 / whole as f64 * 100.0 };
        if width > 0.0 {
            let rect = html! { rect class={ "f " (class) } x=(format!("{at:.2}")) y="0" width=(format!("{width:.2}")) height="8" {} };
            out.push_str(&rect.into_string());
        }
        at += width;
    }
    html! {
        svg.bar.tall viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.back x="0" y="0" width="100" height="8" {}
            (PreEscaped(out))
        }
    }
}

/// One figure of an overview.
pub(super) struct Tile<'a> {
    pub label: Cow<'a, str>,
    pub value: String,
    /// The same of the period before, in words.
    pub before: Option<String>,
    pub spark: Option<Markup>,
    pub link: Option<String>,
}

pub(super) fn tiles(tiles: &[Tile<'_>]) -> Markup {
    html! {
        dl.tiles {
            @for tile in tiles {
                div.tile {
                    dt { @if let Some(link) = &tile.link { a href=(link) { (tile.label) } } @else { (tile.label) } }
                    dd {
                        span.figure { (tile.value) }
                        @if let Some(spark) = &tile.spark { (spark) }
                        @if let Some(before) = &tile.before { small { (before) } }
                    }
                }
            }
        }
    }
}

/// How a call stands.
pub(super) fn outcome(view: &View, outcome: Option<Outcome>, phase: Phase) -> Markup {
    let mood = match (phase, outcome) {
        (Phase::Ended, Some(Outcome::Answered)) => "good",
        (Phase::Ended, Some(Outcome::Failed | Outcome::LostInCrash)) => "bad",
        (Phase::Ended, Some(_)) => "warn",
        _ => "accent",
    };
    let word = match (phase, outcome) {
        (Phase::Ended, Some(outcome)) => view.word("outcome", outcome.as_str()),
        (Phase::Talking, _) => view.t("phase-talking"),
        (Phase::Ended, None) => view.t("phase-ended"),
        (Phase::Ringing, _) => view.t("phase-ringing"),
    };
    tag(mood, &word)
}

/// How sure the attribution is: a bar and a figure, or the word for what needs none.
pub(super) fn confidence(view: &View, attribution: &Attribution) -> Markup {
    match attribution.kind {
        AttributionKind::Visitor => {
            let class = match attribution.confidence {
                c if c >= 0.8 => "good",
                c if c >= 0.5 => "warn",
                _ => "bad",
            };
            html! { span.sure { (bar(attribution.confidence, class)) (view.lang.share(attribution.confidence)) } }
        }
        AttributionKind::Static => tag("", &view.t("kind-static")),
        AttributionKind::None => tag("", &view.t("kind-none")),
    }
}

/// Where a call came from, in a few words.
pub(super) fn origin(view: &View, attribution: &Attribution) -> String {
    let get = |key: &str| {
        let session = attribution.session.as_ref().and_then(|session| session.utm.get(key));
        session.or_else(|| attribution.channel.as_ref().and_then(|channel| channel.get(key)))
    };
    let words: Vec<&str> = ["source", "campaign"]
        .into_iter()
        .filter_map(get)
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    if !words.is_empty() {
        return words.join(" · ");
    }
    match attribution.kind {
        AttributionKind::Visitor => attribution
            .session
            .as_ref()
            .and_then(|session| url::Url::parse(session.referrer.as_deref()?).ok()?.host_str().map(str::to_owned))
            .unwrap_or_else(|| view.t("origin-direct").into_owned()),
        AttributionKind::Static => view.t("origin-static").into_owned(),
        AttributionKind::None => view.t("origin-unknown").into_owned(),
    }
}

/// Who called, as whoever asks may see it.
pub(super) fn caller(view: &View, call: &CallData) -> String {
    match call.caller.as_deref() {
        None => view.t("caller-withheld").into_owned(),
        Some(number) if number.starts_with('+') => view.phone(number),
        Some(text) => view.word("caller", text).into_owned(),
    }
}

/// Choices of a list.
pub(super) fn options<'a>(chosen: Option<&str>, each: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> Markup {
    html! {
        @for (value, word) in each {
            option value=(value) selected[chosen.unwrap_or_default() == value] { (word) }
        }
    }
}

/// A field of a form with its label.
pub(super) fn field(label: &str, name: &str, kind: &str, value: &str) -> Markup {
    html! { label { span { (label) } input type=(kind) name=(name) value=(value); } }
}
