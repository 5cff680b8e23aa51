//! One call: what it was, who may have called and why, what happened when, what was heard and what was said.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::frame::Page;
use super::parts::{bar, caller, confidence, origin, outcome, sheet, tag};
use super::view::View;
use super::{exports, ladder, wave, work};
use crate::core::event::{Attribution, CallData, LegMedia, RecordingState, RecordingSummary, Session};
use crate::core::rights::Right;
use crate::core::{mask, number};
use crate::ids::CallId;
use crate::io::http::problem::Problem;
use crate::io::http::{calls, recording};
use crate::io::index::{CallDetail, Phase, UNKNOWN};
use crate::time::Wall;

/// `GET /calls/{id}`.
pub(super) async fn card(id: Result<Path<String>, PathRejection>, view: View) -> Result<Response, Problem> {
    shown(&view, calls::call_id(id)?, None).await
}

/// The card, with why a form of it was not taken.
pub(super) async fn shown(view: &View, id: CallId, problem: Option<&Problem>) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("unknown_call", "There is no such call.");
    let detail =
        view.state.index.ask(move |reader| reader.detail(id)).await.map_err(calls::unanswered)?.ok_or_else(unknown)?;
    let call = &*detail.view.call;
    let hears = view.has_right_in(Right::Listen, &call.company);
    let peaks = match &call.recording {
        Some(recording) if recording.path.is_some() && hears => {
            recording::sound(&view.state, id, wave::peaks).await.flatten()
        }
        _ => None,
    };
    let (contact, sent) = (work::contact(view, &detail).await?, exports::of_call(view, &detail).await?);
    let title = view.ta("call-title", &[("caller", (&caller(view, call)).into())]);
    let body = html! {
        p.crumbs { a href="/calls" { (view.t("nav-calls")) } }
        div.heading {
            h1 { (title) }
            div.actions { (outcome(view, call.outcome, detail.view.phase)) (confidence(view, &call.attribution)) }
        }
        (view.notice())
        (view.alert(problem))
        (facts(view, call, detail.view.phase))
        div.two {
            div {
                section aria-labelledby="why" { h2 #why { (view.t("call-why")) } (why(view, &call.attribution)) }
                @if let Some(recording) = &call.recording {
                    section aria-labelledby="heard" { h2 #heard { (view.t("call-recording")) } (heard(view, call, recording,
                        peaks.as_ref())) }
                }
                (work::talk(view, &detail))
            }
            div {
                (work::panel(view, &detail, contact.as_ref()))
                section aria-labelledby="when" { h2 #when { (view.t("call-timeline")) } (timeline(view, &detail)) }
                section aria-labelledby="versions" { h2 #versions { (view.t("call-versions")) } (versions(view, &detail)) }
            }
        }
        section aria-labelledby="sent" { h2 #sent { (view.t("call-exports")) } (sent) }
        @if view.has_right_in(Right::Messages, &call.company) { section aria-labelledby="said" {
            h2 #said { (view.t("call-ladder")) }
            @match view.state.messages.of(id) {
                Some(kept) => {
                    (ladder::ladder(view, &kept))
                    p.more {
                        a.button href={ "/v1/calls/" (id) "/ladder?format=text" } { (view.t("ladder-text")) }
                        a.button href={ "/v1/calls/" (id) "/trace" } { (view.t("ladder-pcap")) }
                    }
                },
                None => { p.soft { (view.t("ladder-none")) } },
            }
        } }
        section aria-labelledby="events" {
            h2 #events { (view.t("call-events")) }
            @for event in &detail.events { (raw(view, event)) }
        }
    };
    Ok(view.answer(Page { title: &title, nav: "/calls", scripts: &["player.js"], body }, problem))
}

fn facts(view: &View, call: &CallData, phase: Phase) -> Markup {
    let fact = |key: &str, value: Markup| html! { div { dt { (view.t(key)) } dd { (value) } } };
    html! {
        dl.facts {
            (fact("fact-origin", html! { strong { (origin(view, &call.attribution)) } }))
            (fact("fact-number", html! { a.mono href={ "/numbers/" (call.number.digits()) } { (number::display(&call.number)) } }))
            (fact("fact-pool", html! { a href={ "/pools/" (urlencode(&call.pool)) } { (call.pool) } " · " (call.company) }))
            (fact("fact-started", view.time(call.started_at)))
            (fact("fact-wait", html! { (view.lang.duration(call.ring_ms)) }))
            @if call.talk_ms > 0 { (fact("fact-talk", html! { (view.lang.duration(call.talk_ms)) })) }
            (fact("fact-forwarded", html! { span.mono { (call.forwarded_to.as_deref().unwrap_or("–")) } }))
            @if let Some(name) = &call.caller_name { (fact("fact-name", html! { (name) })) }
            @if let Some(region) = &call.attribution.caller_region { (fact("fact-region", html! { (region) })) }
            @if phase == Phase::Ended {
                (fact("fact-end", html! {
                    @if let Some(by) = call.hangup_by { (view.word("hangup", &code(&by))) }
                    @if let Some(status) = call.sip_status { " " span.tag { "SIP " (status) } }
                    @if let Some(reason) = &call.reason { " " (view.word("reason", reason)) }
                }))
            }
            (fact("fact-id", html! { span.mono.id { (call.call_id) } }))
        }
    }
}

/// The word that stands for it in events.
fn code<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn urlencode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn why(view: &View, attribution: &Attribution) -> Markup {
    html! {
        p.lead { (view.word("method", if attribution.method.is_empty() { "none" } else { &attribution.method })) }
        @if attribution.stale { p.bad-text { (view.t("why-stale")) } }
        @if attribution.contention > 1 { p { (view.tn("why-contention", attribution.contention.into())) } }
        @if !attribution.candidates.is_empty() {
            (sheet(&view.t("candidates"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("candidate")) } th scope="col" { (view.t("probability")) } th scope="col"
                        { (view.t("reasons")) } } }
                    tbody {
                        @for candidate in &attribution.candidates {
                            tr {
                                th scope="row" { a.mono href=(super::view::address("/calls", [("visitor_id",
                                    candidate.visitor_id.as_str())].into_iter())) { (short(&candidate.visitor_id)) } }
                                td { span.sure { (bar(candidate.probability, "s1")) (view.lang.share(candidate.probability)) } }
                                td { ul { @for line in &candidate.evidence { li { (evidence(view, line)) } } } }
                            }
                        }
                        @if attribution.nobody > 0.0 {
                            tr {
                                th scope="row" { (view.t("nobody")) }
                                td { span.sure { (bar(attribution.nobody, "s6")) (view.lang.share(attribution.nobody)) } }
                                td { (view.t("nobody-why")) }
                            }
                        }
                    }
                }
            }))
        }
        @if attribution.sources.len() > 1 {
            h3 { (view.t("sources-shares")) }
            ul.shares { @for share in &attribution.sources {
                li { span.sure { (bar(share.probability, "s1")) (view.lang.share(share.probability)) } " " (joined(&[&share.source,
                    &share.medium, &share.campaign])) }
            } }
        }
        @if let Some(session) = &attribution.session { (visit(view, session)) }
        @if let Some(channel) = &attribution.channel {
            dl.facts { @for (key, value) in channel.iter() { div { dt { (view.word("utm", key)) } dd { (value) } } } }
        }
        @if !attribution.model.is_empty() { p.soft { (view.ta("why-model", &[("model", (&attribution.model).into())])) } }
    }
}

fn joined(words: &[&str]) -> String {
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" · ")
}

fn short(id: &str) -> String {
    if id.chars().count() > 14 { id.chars().take(12).chain(['…']).collect() } else { id.to_owned() }
}

fn visit(view: &View, session: &Session) -> Markup {
    let tables = [&session.utm, &session.click_ids, &session.client_ids];
    html! {
        h3 { (view.t("visit")) }
        dl.facts {
            @if let Some(page) = &session.landing_page { div.wide { dt { (view.t("visit-landing")) } dd.mono { (page) } } }
            @if let Some(referrer) = &session.referrer { div.wide { dt { (view.t("visit-referrer")) } dd.mono { (referrer) } } }
            @for table in tables { @for (key, value) in table { div { dt { (view.word("utm", key)) } dd { (value) } } } }
        }
    }
}

/// The reasons of the attribution in the reader's language: events have them in English.
fn evidence(view: &View, line: &str) -> String {
    const FORMS: [(&str, &str, &str); 11] = [
        ("on the page for ", "", "evidence-shown"),
        ("left the page ", " ago", "evidence-left"),
        ("tapped the number ", " ago", "evidence-tapped"),
        ("copied the number ", " ago", "evidence-copied"),
        ("the page went out of sight ", " ago", "evidence-hidden"),
        ("this caller called ", " ago and was taken for them", "evidence-again"),
        ("this caller called ", " ago and never saw the number as who they were taken for", "evidence-renamed"),
        ("the number is on the pages of ", " visitors", "evidence-contention"),
        ("the caller's number is of the visitor's region", "", "evidence-region"),
        ("the caller's number is of another region", "", "evidence-other-region"),
        ("earlier calls speak for somebody else", "", "evidence-history"),
    ];
    for (before, after, key) in FORMS {
        let Some(inside) = line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else { continue };
        let (figure, unit) = inside.split_once(' ').unwrap_or((inside, ""));
        let unit = if unit.is_empty() { String::new() } else { view.word("unit", unit).into_owned() };
        let span = format!("{figure} {unit}");
        return view.lang.text(key, &[("span", span.trim().into())]).into_owned();
    }
    line.to_owned()
}

fn heard(view: &View, call: &CallData, recording: &RecordingSummary, peaks: Option<&wave::Peaks>) -> Markup {
    let mood = match recording.state {
        RecordingState::Complete => "good",
        RecordingState::Degraded => "warn",
        RecordingState::Failed => "bad",
        RecordingState::Off => "",
    };
    let source = format!("/v1/calls/{}/recording", call.call_id);
    html! {
        p { (tag(mood, &view.word("recording", &code(&recording.state)))) " " (view.lang.duration(recording.duration_ms))
            @if let Some(reason) = &recording.reason { " · " (view.word("reason", reason)) } }
        @if recording.path.is_some() && view.has_right_in(Right::Listen, &call.company) {
            figure.player data-call=(call.call_id) {
                p.legend aria-hidden="true" { span.k.caller { (view.t("side-caller")) } span.k.company { (view.t("side-company")) }
                    @if !recording.gaps.is_empty() { span.k.gap { (view.tn("gaps-count", recording.gaps.len() as u64)) } } }
                @if let Some(peaks) = peaks { (wave::picture(view, peaks, &recording.gaps)) } @else { p.soft { (view.t("wave-none")) } }
                audio controls preload="none" src=(source) aria-label=(view.t("call-recording")) {}
                div.buttons {
                    label.speed { span { (view.t("player-speed")) } select data-speed { @for speed in ["0.75", "1", "1.25", "1.5",
                        "2"] { option value=(speed) selected[speed == "1"] { (speed) " ×" } } } }
                    a.button href={ (source) "?download=1" } { (view.t("player-download")) }
                }
            }
        }
        @if !recording.gaps.is_empty() { (gaps(view, recording)) }
        @if let Some(media) = &call.media {
            (sheet(&view.t("media"), html! {
                table.legs {
                    thead { tr { td {} th.num scope="col" { (view.t("media-codec")) } th.num scope="col" {
                        (view.t("media-received")) } th.num scope="col" { (view.t("media-lost")) } th.num scope="col" {
                        (view.t("media-jitter")) } th.num scope="col" { "MOS" } } }
                    tbody { (leg(view, "side-caller", &media.caller)) (leg(view, "side-company", &media.company)) }
                }
            }))
        }
    }
}

fn leg(view: &View, side: &str, leg: &LegMedia) -> Markup {
    html! {
        tr {
            th scope="row" { (view.t(side)) }
            td.num { (leg.codec.as_deref().unwrap_or("–")) }
            td.num { (view.lang.figure(leg.received)) }
            td.num { (view.lang.figure(leg.lost)) }
            td.num { (view.lang.decimal(leg.jitter_ms, 1)) " ms" }
            td.num { (leg.mos.map_or("–".to_owned(), |mos| view.lang.decimal(mos, 1))) }
        }
    }
}

fn gaps(view: &View, recording: &RecordingSummary) -> Markup {
    html! {
        details {
            summary { (view.tn("gaps-count", recording.gaps.len() as u64)) }
            (sheet(&view.t("gaps"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("gap-at")) } th scope="col" { (view.t("gap-for")) } th scope="col" {
                        (view.t("gap-side")) } th scope="col" { (view.t("gap-cause")) } } }
                    tbody { @for gap in &recording.gaps { tr {
                        td { button.plain type="button" data-seek=(gap.at_ms) { (view.lang.duration(gap.at_ms)) } }
                        td { (view.lang.duration(gap.for_ms)) }
                        td { (view.word("side", &code(&gap.channel))) }
                        td { (view.word("gap", &gap.cause)) }
                    } } }
                }
            }))
        }
    }
}

/// What happened, in order: of the call's own times, and of the events that the journal has of it.
fn timeline(view: &View, detail: &CallDetail) -> Markup {
    let call = &*detail.view.call;
    let mut steps: Vec<(Wall, String)> = Vec::new();
    if let Some(clicked) = call.attribution.session.as_ref().and_then(|session| session.clicked_at) {
        steps.push((clicked, view.t("step-clicked").into_owned()));
    }
    let own = [
        (Some(call.started_at), "step-started"),
        (call.ringing_at, "step-ringing"),
        (call.answered_at, "step-answered"),
        (call.ended_at, "step-ended"),
    ];
    steps.extend(own.into_iter().filter_map(|(at, key)| Some((at?, view.t(key).into_owned()))));
    for event in &detail.events {
        let kind = event["type"].as_str().unwrap_or_default();
        if ["leaseline.call.started", "leaseline.call.answered", "leaseline.call.ended"].contains(&kind) {
            continue;
        }
        let Some(at) = event["time"].as_str().and_then(Wall::parse_rfc3339) else { continue };
        let word = view.word("event", &kind.trim_start_matches("leaseline.").replace('.', "-"));
        let by = event["data"]["by"].as_str().map(|by| format!(" · {by}")).unwrap_or_default();
        steps.push((at, format!("{word}{by}")));
    }
    steps.sort_by_key(|(at, _)| *at);
    html! {
        ol.timeline { @for (at, text) in &steps { li { (view.clock(*at)) span { (text) } } } }
    }
}

/// Who called, each time that it was decided anew: the last line counts.
fn versions(view: &View, detail: &CallDetail) -> Markup {
    let all = &detail.attributions;
    html! {
        @if all.is_empty() { p.soft { (view.t("versions-unknown")) } }
        ol.versions { @for (at, version) in all.iter().enumerate() {
            @let words = [version.source.as_str(), &version.medium, &version.campaign];
            li {
                (view.time(version.at)) " "
                strong { @if version.source == UNKNOWN { (view.t("origin-unknown")) } @else { (joined(&words)) } } " "
                @if version.kind == "visitor" { span.sure { (bar(version.confidence, "s1")) (view.lang.share(version.confidence)) } }
                @else { (tag("", &view.word("kind", &version.kind))) }
                @if at + 1 == all.len() && all.len() > 1 { " " (tag("accent", &view.t("version-current"))) }
                small { (view.word("method", if version.method.is_empty() { "none" } else { &version.method }))
                    @if !version.model.is_empty() { " · " (version.model) } }
            }
        } }
    }
}

fn raw(view: &View, event: &Value) -> Markup {
    let mut event = event.clone();
    if !view.shows_numbers() {
        mask::value(&mut event);
    }
    html! {
        details.raw {
            summary { span.mono { (event["type"].as_str().unwrap_or_default()) } " " span.soft {
                (event["time"].as_str().unwrap_or_default()) } }
            pre.json tabindex="0" { (serde_json::to_string_pretty(&event).unwrap_or_default()) }
        }
    }
}
