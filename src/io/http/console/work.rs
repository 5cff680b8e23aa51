//! Work on a call: label, deal, consent, "called back", comments at a place in the talk, the score-card. Each form stands there
//! with its right only, and leads back to the call.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::account::here;
use super::call;
use super::catalogue::Form;
use super::parts::{options, tag};
use super::said::{done, field};
use super::view::View;
use crate::config::Company;
use crate::core::mask;
use crate::core::rights::Right;
use crate::ids::{CallId, E164};
use crate::io::http::access::Caller;
use crate::io::http::problem::Problem;
use crate::io::http::work::Deal;
use crate::io::http::{body, calls, exports, imports, work};
use crate::io::index::{CallDetail, Comment, Consent, Contact};
use crate::limits;

type Id = Result<Path<String>, PathRejection>;

/// Beginning of the name of a criterion's field.
const CARD: &str = "card:";
/// The criterion of companies whose score-card has none.
const OVERALL: &str = "overall";

fn company<'v>(view: &'v View, detail: &CallDetail) -> Option<&'v Company> {
    let name = &detail.view.call.company;
    view.config.companies.iter().find(|company| company.name == *name).map(AsRef::as_ref)
}

/// Whoever asks may work on this call.
fn may_work(view: &View, detail: &CallDetail) -> bool {
    view.has_right_in(Right::Work, &detail.view.call.company)
}

/// The contact behind a call, where the caller's number is known.
pub(super) async fn contact(view: &View, detail: &CallDetail) -> Result<Option<Contact>, Problem> {
    let call = &detail.view.call;
    let phone = call.caller.as_deref().and_then(E164::parse).map(|number| number.to_string());
    let Some(phone) = phone.filter(|_| !detail.view.facts.forgotten) else { return Ok(None) };
    let company = call.company.clone();
    view.state.index.ask(move |reader| reader.contact(&company, &phone)).await.map_err(calls::unanswered)
}

/// What people made of a call, and the forms with which they do.
pub(super) fn panel(view: &View, detail: &CallDetail, contact: Option<&Contact>) -> Markup {
    let Some(company) = company(view, detail) else { return html! {} };
    let may = may_work(view, detail);
    html! {
        section.sheet.pad.work aria-labelledby="work" {
            h2 #work { (view.t("call-work")) }
            (label(view, detail, company, may))
            @if detail.view.facts.missed || detail.view.facts.reached_by.is_some() { (missed(view, detail, may)) }
            (deal(view, detail, company, may))
            @if let Some(contact) = contact { (consent(view, detail, contact, may)) }
        }
    }
}

fn label(view: &View, detail: &CallDetail, company: &Company, may: bool) -> Markup {
    let facts = &detail.view.facts;
    let has = facts.label.as_deref();
    // One that the dictionary has lost can still be seen, and taken off.
    let foreign = has.filter(|label| !company.work.labels.iter().any(|known| known == label));
    html! {
        h3 { (view.t("work-label")) }
        @if may {
            form.choices method="post" action={ "/calls/" (detail.view.call.call_id) "/label" } role="group"
                aria-label=(view.t("work-label")) {
                @for label in company.work.labels.iter().map(String::as_str).chain(foreign) {
                    button type="submit" name="label" value=(label) aria-pressed=(has == Some(label)) { (view.word("call-label", label)) }
                }
                @if has.is_some() { button.plain type="submit" name="label" value="" { (view.t("work-label-off")) } }
            }
        } @else { p { @match has { Some(label) => { (tag("accent", &view.word("call-label", label))) }, None => { span.soft {
            (view.t("work-label-none")) } } } } }
    }
}

/// Whether a missed caller was spoken to since; the form of the call alone is [`called_back`].
fn missed(view: &View, detail: &CallDetail, may: bool) -> Markup {
    let facts = &detail.view.facts;
    html! {
        h3 { (view.t("work-missed")) }
        p {
            @if facts.waiting { (tag("warn", &view.t("missed-waiting"))) }
            @else if let (Some(at), Some(by)) = (facts.reached_at, &facts.reached_by) { (tag("good", &view.word("reached", by))) " "
                (view.time(at)) }
        }
        @if may { (called_back(view, detail.view.call.call_id, facts.waiting, &format!("/calls/{}#work", detail.view.call.call_id))) }
    }
}

/// The form that marks one missed call as called back, or as not called back after all (`waiting` is false). `back`: the page
/// to which it leads. Nothing for those who may not.
pub(super) fn called_back(view: &View, call: CallId, waiting: bool, back: &str) -> Markup {
    html! {
        @if view.has_right(Right::Work) {
            form.called-back method="post" action={ "/calls/" (call) "/called-back" } {
                input type="hidden" name="back" value=(back);
                @if waiting { button type="submit" name="done" value="true" { (view.t("work-called-back")) } }
                @else { button.plain type="submit" name="done" value="false" { (view.t("work-not-called-back")) } }
            }
        }
    }
}

fn deal(view: &View, detail: &CallDetail, company: &Company, may: bool) -> Markup {
    let deal = detail.deal.as_ref();
    let stage = deal.map(|deal| deal.stage.as_str()).unwrap_or_default();
    let stages = company.work.stages.iter().map(|stage| (stage.as_str(), view.word("stage", stage)));
    let currency = deal.map_or(company.currency.as_str(), |deal| deal.currency.as_str());
    html! {
        h3 { (view.t("work-deal")) }
        @if let Some(deal) = deal {
            p { strong { (money(view, deal.value, &deal.currency)) } @if !stage.is_empty() { " · " (view.word("stage", stage)) }
                " " small.inline { (view.ta("work-by", &[("by", (&deal.by).into())])) " " (view.time(deal.at)) } }
        } @else if !may { p.soft { (view.t("work-deal-none")) } }
        @if may {
            form.filters.deal method="post" action={ "/calls/" (detail.view.call.call_id) "/value" } {
                label { span { (view.t("work-value")) } input type="text" inputmode="decimal" name="amount" maxlength="15" required
                    value=(deal.map(|deal| decimal(deal.value)).unwrap_or_default()); }
                label.short { span { (view.t("work-currency")) } input type="text" name="currency" value=(currency) maxlength="3"
                    pattern="[A-Za-z]{3}"; }
                label { span { (view.t("work-stage")) } select name="stage" { (options(Some(stage), std::iter::once(("",
                    "–".into())).chain(stages))) } }
                label { span { (view.t("work-deal-id")) } input type="text" name="deal_id" maxlength=(limits::LABEL)
                    value=(deal.map(|deal| deal.deal_id.as_str()).filter(|id| *id != detail.view.call.call_id.to_string())
                        .unwrap_or_default()); }
                div.buttons { button type="submit" { (view.t("save")) } }
            }
        }
    }
}

/// Minor units as they are typed: `1200.50`.
fn decimal(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// Minor units as they are read.
pub(super) fn money(view: &View, minor: i64, currency: &str) -> String {
    format!("{}\u{a0}{currency}", view.lang.decimal(minor as f64 / 100.0, 2))
}

fn consent(view: &View, detail: &CallDetail, contact: &Contact, may: bool) -> Markup {
    let state = Consent::of(contact.consent);
    html! {
        h3 { (view.t("work-consent")) }
        p { (consent_tag(view, state)) }
        @if may {
            form.choices method="post" action={ "/calls/" (detail.view.call.call_id) "/consent" } {
                @if state != Consent::Given { button type="submit" name="consent" value="true" { (view.t("consent-give")) } }
                @if state != Consent::Refused { button type="submit" name="consent" value="false" { (view.t("consent-take")) } }
            }
        }
    }
}

pub(super) fn consent_tag(view: &View, state: Consent) -> Markup {
    let mood = match state {
        Consent::Given => "good",
        Consent::Refused => "bad",
        Consent::Unknown => "",
    };
    tag(mood, &view.word("consent", state.as_str()))
}

/// Comments at their places in the talk, and the score-card.
pub(super) fn talk(view: &View, detail: &CallDetail) -> Markup {
    let may = may_work(view, detail);
    html! {
        section aria-labelledby="comments" {
            h2 #comments { (view.t("work-comments")) }
            @if detail.comments.is_empty() { p.soft { (view.t("work-comments-none")) } } @else {
                ol.comments { @for comment in &detail.comments { (one_comment(view, detail, comment)) } }
            }
            @if may { (new_comment(view, detail)) }
        }
        (scores(view, detail, may))
    }
}

fn one_comment(view: &View, detail: &CallDetail, comment: &Comment) -> Markup {
    let call = &detail.view.call;
    let at = comment.at_ms.and_then(|at| u64::try_from(at).ok());
    let hears =
        view.has_right_in(Right::Listen, &call.company) && call.recording.as_ref().is_some_and(|it| it.path.is_some());
    let is_own = view.user().is_some_and(|name| name == comment.by);
    let may_remove = may_work(view, detail) && (is_own || view.has_right_in(Right::Users, &call.company));
    let text = if view.shows_numbers() { comment.text.clone() } else { mask::text(&comment.text) };
    html! {
        li {
            p.who {
                @if let Some(at) = at {
                    // Without a script the browser opens the sound there.
                    @if hears { a.mono href=(format!("/v1/calls/{}/recording#t={}", call.call_id, at as f64 / 1_000.0)) data-seek=(at) {
                        (timecode(at)) } } @else { span.mono { (timecode(at)) } }
                }
                strong { (comment.by) } small.inline { (view.time(comment.at)) }
                @if may_remove {
                    form method="post" action={ "/calls/" (call.call_id) "/comments/remove" } { button.plain type="submit" name="comment"
                        value=(comment.comment_id) aria-label={ (view.t("work-comment-remove")) ": " (comment.by) } {
                        (view.t("work-comment-remove")) } }
                }
            }
            p.said { (text) }
        }
    }
}

fn new_comment(view: &View, detail: &CallDetail) -> Markup {
    html! {
        form.stack.comment method="post" action={ "/calls/" (detail.view.call.call_id) "/comments" } {
            label { span { (view.t("work-comment")) } textarea name="text" rows="3" maxlength=(limits::COMMENT) required {} }
            div.filters {
                label.short { span { (view.t("work-at")) } input.mono type="text" name="at" placeholder="0:00" maxlength="12"
                    inputmode="text" autocomplete="off"; }
                button.js-only type="button" data-now { (view.t("work-at-now")) }
                button.primary type="submit" { (view.t("work-comment-add")) }
            }
        }
    }
}

fn scores(view: &View, detail: &CallDetail, may: bool) -> Markup {
    let Some(company) = company(view, detail) else { return html! {} };
    let has = detail.scorecard.as_ref();
    if !may && has.is_none() {
        return html! {};
    }
    let overall = [OVERALL.to_owned()];
    let criteria = if company.work.score_card.is_empty() { &overall } else { company.work.score_card.as_slice() };
    let points = |criterion: &str| has.and_then(|score| score.card.get(criterion)?.as_u64());
    let agent =
        has.map(|score| score.agent.as_str()).filter(|agent| !agent.is_empty()).unwrap_or(&detail.view.facts.agent);
    html! {
        section aria-labelledby="score" {
            h2 #score { (view.t("work-score")) }
            @if let Some(score) = has {
                p { strong { (score.score) } " / 100" @if !score.agent.is_empty() { " · " (score.agent) }
                    " " small.inline { (view.ta("work-by", &[("by", (&score.by).into())])) " " (view.time(score.at)) } }
                @if !may { dl.facts { @for criterion in criteria { div { dt { (view.word("criterion", criterion)) } dd {
                    (points(criterion).map_or_else(|| "–".to_owned(), |points| points.to_string())) } } } } }
            }
            @if may {
                form.filters.score method="post" action={ "/calls/" (detail.view.call.call_id) "/score" } {
                    @for criterion in criteria {
                        label { span { (view.word("criterion", criterion)) } input type="number" name={ (CARD) (criterion) } min="0"
                            max="100" value=[points(criterion)]; }
                    }
                    label { span { (view.t("agent")) } input type="text" name="agent" value=(agent) maxlength="64"; }
                    div.buttons { button type="submit" { (view.t("work-score-save")) } }
                }
                p.soft { (view.t("work-score-hint")) }
            }
        }
    }
}

/// `1:02`, `1:02:03`, and a part of a second where there is one: `0:07.5`.
pub(super) fn timecode(ms: u64) -> String {
    let (s, rest) = (ms / 1_000, ms % 1_000 / 100);
    let part = if rest == 0 { String::new() } else { format!(".{rest}") };
    match (s / 3_600, s / 60 % 60, s % 60) {
        (0, m, s) => format!("{m}:{s:02}{part}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}{part}"),
    }
}

/// A place in the talk as somebody typed it: `62`, `1:02`, `1:02:03`, `0:07.5`.
fn place(text: &str) -> Result<Option<u64>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || body::bad_parameter("at", "a place in the talk, like 1:02");
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let figure = |text: &str| text.parse::<u64>().ok().filter(|_| (1..=5).contains(&text.len()));
    let parts: Vec<u64> = whole.split(':').map(figure).collect::<Option<_>>().ok_or_else(wrong)?;
    if parts.is_empty() || parts.len() > 3 || parts.iter().skip(1).any(|figure| *figure > 59) || part.len() > 3 {
        return Err(wrong());
    }
    let seconds = parts.iter().fold(0, |all, figure| all * 60 + figure);
    let part = if part.is_empty() { 0 } else { format!("{part:0<3}").parse::<u64>().map_err(|_| wrong())? };
    Ok(Some(seconds * 1_000 + part))
}

/// The call of a form, who sends it, and its fields; the view is at the call's page from then on.
async fn begin(view: View, id: Id, request: Request) -> Result<(View, CallId, Caller, Form), Problem> {
    let id = calls::call_id(id)?;
    let form: Form = body::read(request).await?;
    let view = view.at(&format!("/calls/{id}"));
    let caller = view.who()?.clone();
    Ok((view, id, caller, form))
}

/// Back to the call, which says what was done; or the call with why it was not.
async fn end(
    view: &View,
    id: CallId,
    what: &str,
    place: &str,
    outcome: Result<(), Problem>,
) -> Result<Response, Problem> {
    match outcome {
        Ok(()) => Ok(Redirect::to(&format!("/calls/{id}?done={what}#{place}")).into_response()),
        Err(problem) if problem.status.as_u16() == 404 || problem.status.is_server_error() => Err(problem),
        Err(problem) => call::shown(view, id, Some(&problem)).await,
    }
}

/// `POST /calls/{id}/label`: empty takes it off.
pub(super) async fn set_label(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    let label = Some(field(&form, "label").to_owned()).filter(|label| !label.is_empty());
    let what = if label.is_some() { "label" } else { "label-off" };
    let outcome = work::set_label(&view.state, &caller, id, label).await;
    end(&view, id, what, "work", outcome).await
}

/// `POST /calls/{id}/comments`.
pub(super) async fn comment(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    // A browser ends its lines with two characters.
    let text = field(&form, "text").replace("\r\n", "\n");
    let outcome = match place(field(&form, "at")) {
        Ok(at) => work::add_comment(&view.state, &caller, id, &text, at).await.map(drop),
        Err(problem) => Err(problem),
    };
    end(&view, id, "comment", "comments", outcome).await
}

/// `POST /calls/{id}/comments/remove`.
pub(super) async fn remove_comment(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    let outcome = work::remove_comment(&view.state, &caller, id, field(&form, "comment").to_owned()).await;
    end(&view, id, "comment-remove", "comments", outcome).await
}

/// `POST /calls/{id}/value`.
pub(super) async fn set_value(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    let filled = |name: &str| Some(field(&form, name).to_owned()).filter(|text| !text.is_empty());
    let currency = filled("currency").map(|text| text.to_ascii_uppercase());
    let outcome =
        match imports::amount(None, filled("amount").map(|text| text.replace([' ', '\u{a0}', '\u{202f}'], ""))) {
            Ok(value) => {
                let deal = Deal { deal_id: filled("deal_id"), stage: filled("stage"), value, currency };
                work::set_value(&view.state, &caller, id, deal).await.map(drop)
            }
            Err(problem) => Err(problem),
        };
    end(&view, id, "value", "work", outcome).await
}

/// `POST /calls/{id}/score`.
pub(super) async fn set_score(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    let wrong = || body::bad_parameter("card", "points from 0 to 100");
    let given = form.iter().filter_map(|(name, points)| Some((name.strip_prefix(CARD)?, points.trim())));
    let card: Result<BTreeMap<String, u8>, Problem> = given
        .filter(|(_, points)| !points.is_empty())
        .map(|(name, points)| Ok((name.to_owned(), points.parse().map_err(|_| wrong())?)))
        .collect();
    let agent = Some(field(&form, "agent").to_owned()).filter(|agent| !agent.is_empty());
    let outcome = match card {
        Ok(card) => work::set_score(&view.state, &caller, id, agent, card).await.map(drop),
        Err(problem) => Err(problem),
    };
    end(&view, id, "score", "score", outcome).await
}

/// `POST /calls/{id}/called-back`: back to where the form stood.
pub(super) async fn set_called_back(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    let is_done = field(&form, "done") != "false";
    let outcome = work::set_called_back(&view.state, &caller, id, is_done).await;
    match (outcome, field(&form, "back")) {
        (Ok(()), back) if !back.is_empty() => Ok(Redirect::to(here(back)).into_response()),
        (outcome, _) => end(&view, id, "called-back", "work", outcome).await,
    }
}

/// `POST /calls/{id}/consent`: of who called.
pub(super) async fn set_consent(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, id, caller, form) = begin(view, id, request).await?;
    let found = view.state.index.ask(move |reader| reader.call(id)).await.map_err(calls::unanswered)?;
    let call = found.ok_or_else(|| Problem::not_found("unknown_call", "There is no such call."))?.call;
    let phone = call.caller.as_deref().and_then(E164::parse).map(|number| number.to_string());
    let outcome = match (phone, field(&form, "consent").parse::<bool>()) {
        (Some(phone), Ok(is_given)) => {
            work::set_consent(&view.state, &caller, &call.company, &phone, is_given).await.map(drop)
        }
        _ => Err(body::bad_parameter("consent", "true or false, of a caller whose number is known")),
    };
    end(&view, id, "consent", "work", outcome).await
}

/// `POST /calls/{id}/replay`: one delivery about it is tried again.
pub(super) async fn replay(id: Id, view: View, request: Request) -> Result<Response, Problem> {
    let (view, _, _, form) = begin(view, id, request).await?;
    let wanted = vec![field(&form, "delivery").to_owned()];
    exports::again(&view.state, field(&form, "export").to_owned(), Some(wanted)).await?;
    Ok(done(&view.path, "replay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c08_a_place_in_the_talk_is_read_as_it_is_written() {
        for (text, ms) in [
            ("62", 62_000),
            ("1:02", 62_000),
            ("0:07.5", 7_500),
            ("0:07,25", 7_250),
            ("1:00:01", 3_601_000),
            ("90:00", 5_400_000),
        ] {
            assert_eq!(place(text), Ok(Some(ms)), "{text}");
        }
        assert_eq!(place(""), Ok(None));
        for bad in ["x", "1:60", "1:2:3:4", "-1", "1:", ":1", "1.2345", "999999:00", "1:02.x"] {
            assert!(place(bad).is_err(), "{bad}");
        }
        for ms in [0, 7_500, 62_000, 3_601_000] {
            assert_eq!(place(&timecode(ms)), Ok(Some(ms)));
        }
    }
}
