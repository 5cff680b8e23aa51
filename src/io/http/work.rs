//! Work on calls: labels, comments, scores, deals, call-backs, consent. Each is one event in the journal with who did it;
//! the index makes the rest of it. The guard has seen to it that the call is one of the caller's company.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body, calls};
use crate::config::Company;
use crate::core::event::work::{
    CalledBackData, CommentedData, ConsentData, LabelledData, ScoredData, ValuedData, WorkEvent,
};
use crate::core::number;
use crate::core::rights::Right;
use crate::ids::{CallId, E164};
use crate::io::people::secret;
use crate::limits;

type Id = Result<Path<String>, PathRejection>;
type Ids = Result<Path<(String, String)>, PathRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    /// `null` takes it off; it must be said.
    #[serde(deserialize_with = "Option::deserialize")]
    label: Option<String>,
}

/// `PUT /v1/calls/{id}/label`.
pub(super) async fn label(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Id,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let call_id = calls::call_id(id)?;
    let Label { label } = body::read(request).await?;
    set_label(&state, &caller, call_id, label.clone()).await?;
    Ok(Json(json!({ "call_id": call_id, "label": label })))
}

/// Sets a label of the company's dictionary, or takes it off.
pub(super) async fn set_label(
    state: &AppState,
    caller: &Caller,
    id: CallId,
    label: Option<String>,
) -> Result<(), Problem> {
    let call = Of::call(state, id).await?;
    if let Some(label) = &label
        && !call.company.work.labels.contains(label)
    {
        let known = call.company.work.labels.join(", ");
        return Err(Problem::bad_request("unknown_label", format!("The labels of this company are {known}.")));
    }
    let (call_id, company, by) = call.said_by(caller);
    state.told(WorkEvent::Labelled(LabelledData { call_id, company, by, label, rule: None })).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Comment {
    text: String,
    /// Place in the recording.
    #[serde(default)]
    at_ms: Option<u64>,
}

/// `POST /v1/calls/{id}/comments`: 201.
pub(super) async fn comment(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Id,
    request: Request,
) -> Result<Response, Problem> {
    let call_id = calls::call_id(id)?;
    let Comment { text, at_ms } = body::read(request).await?;
    let comment_id = add_comment(&state, &caller, call_id, &text, at_ms).await?;
    Ok((StatusCode::CREATED, Json(json!({ "call_id": call_id, "comment_id": comment_id }))).into_response())
}

/// Writes a comment, and gives its id.
pub(super) async fn add_comment(
    state: &AppState,
    caller: &Caller,
    id: CallId,
    text: &str,
    at_ms: Option<u64>,
) -> Result<String, Problem> {
    let call = Of::call(state, id).await?;
    let text = prose(text)?;
    if text.is_empty() {
        return Err(body::bad_parameter("text", "something"));
    }
    if call.comments >= limits::COMMENTS {
        return Err(Problem::new(StatusCode::CONFLICT, "too_many", "This call has as many comments as it can have."));
    }
    let comment_id = new_id()?;
    let (call_id, company, by) = call.said_by(caller);
    let data = CommentedData { call_id, company, comment_id: comment_id.clone(), by, at_ms, text };
    state.told(WorkEvent::Commented(data)).await?;
    Ok(comment_id)
}

/// `PUT /v1/calls/{id}/comments/{comment}`: by who wrote it.
pub(super) async fn change_comment(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    ids: Ids,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (call, comment_id) = own_comment(&state, &caller, ids).await?;
    let Comment { text, at_ms } = body::read(request).await?;
    let text = prose(&text)?;
    if text.is_empty() {
        return Err(body::bad_parameter("text", "something; DELETE takes a comment away"));
    }
    let (call_id, company, by) = call.said_by(&caller);
    state.told(WorkEvent::Commented(CommentedData { call_id, company, comment_id, by, at_ms, text })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/calls/{id}/comments/{comment}`: by who wrote it, or who manages users.
pub(super) async fn delete_comment(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    ids: Ids,
) -> Result<StatusCode, Problem> {
    let of = own_comment(&state, &caller, ids).await?;
    strike(&state, &caller, of).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a comment away.
pub(super) async fn remove_comment(
    state: &AppState,
    caller: &Caller,
    call: CallId,
    comment: String,
) -> Result<(), Problem> {
    let of = own_comment(state, caller, Ok(Path((call.to_string(), comment)))).await?;
    strike(state, caller, of).await
}

async fn strike(state: &AppState, caller: &Caller, (call, comment_id): (Of, String)) -> Result<(), Problem> {
    let (call_id, company, by) = call.said_by(caller);
    let data = CommentedData { call_id, company, comment_id, by, at_ms: None, text: String::new() };
    state.told(WorkEvent::Commented(data)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    #[serde(default)]
    agent: Option<String>,
    card: BTreeMap<String, u8>,
}

/// `PUT /v1/calls/{id}/score`: the score is the mean of the card.
pub(super) async fn score(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Id,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let call_id = calls::call_id(id)?;
    let Score { agent, card } = body::read(request).await?;
    let score = set_score(&state, &caller, call_id, agent, card).await?;
    Ok(Json(json!({ "call_id": call_id, "score": score })))
}

/// Scores a talk, and gives the mean of the card.
pub(super) async fn set_score(
    state: &AppState,
    caller: &Caller,
    id: CallId,
    agent: Option<String>,
    card: BTreeMap<String, u8>,
) -> Result<u8, Problem> {
    let call = Of::call(state, id).await?;
    let criteria = &call.company.work.score_card;
    let bad =
        |name: &String| name.trim().is_empty() || name.len() > limits::LABEL || name.chars().any(char::is_control);
    if card.is_empty() || card.len() > limits::LABELS || card.keys().any(bad) {
        return Err(body::bad_parameter("card", "criteria with points from 0 to 100"));
    }
    if let Some(unknown) = card.keys().find(|name| !criteria.is_empty() && !criteria.contains(name)) {
        let detail = format!("`{}` is not on the card, which has {}.", unknown.escape_debug(), criteria.join(", "));
        return Err(Problem::bad_request("unknown_criterion", detail));
    }
    if card.values().any(|points| *points > 100) {
        return Err(body::bad_parameter("card", "points from 0 to 100"));
    }
    let agent = agent.map(|agent| line("agent", &agent, limits::LEAD_FIELD)).transpose()?;
    let sum: usize = card.values().map(|points| usize::from(*points)).sum();
    let score = u8::try_from((sum + card.len() / 2) / card.len()).unwrap_or(100);
    let (call_id, company, by) = call.said_by(caller);
    state.told(WorkEvent::Scored(ScoredData { call_id, company, by, agent, card, score })).await?;
    Ok(score)
}

/// A deal, as it is sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deal {
    #[serde(default)]
    pub deal_id: Option<String>,
    #[serde(default)]
    pub stage: Option<String>,
    /// In minor units.
    pub value: i64,
    /// Default: the company's.
    #[serde(default)]
    pub currency: Option<String>,
}

impl Deal {
    /// With everything checked, as the journal has it.
    pub(super) fn checked(self, company: &Company, call_id: CallId, by: &str) -> Result<ValuedData, Problem> {
        let deal_id = self.deal_id.map(|id| line("deal_id", &id, limits::LABEL)).transpose()?;
        let stages = &company.work.stages;
        if let Some(stage) = self.stage.as_ref().filter(|stage| !stages.contains(stage)) {
            let detail = format!("`{}` is none of the stages: {}.", stage.escape_debug(), stages.join(", "));
            return Err(Problem::bad_request("unknown_stage", detail));
        }
        Ok(ValuedData {
            call_id,
            company: company.name.clone(),
            by: by.to_owned(),
            deal_id,
            stage: self.stage,
            value: money("value", self.value)?,
            currency: currency(self.currency, company)?,
        })
    }
}

/// `PUT /v1/calls/{id}/value`.
pub(super) async fn value(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Id,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let call_id = calls::call_id(id)?;
    let deal: Deal = body::read(request).await?;
    Ok(Json(json!(set_value(&state, &caller, call_id, deal).await?)))
}

/// Says what a call is worth.
pub(super) async fn set_value(
    state: &AppState,
    caller: &Caller,
    id: CallId,
    deal: Deal,
) -> Result<ValuedData, Problem> {
    let call = Of::call(state, id).await?;
    let data = deal.checked(&call.company, call.id, &caller.name)?;
    state.told(WorkEvent::Valued(data.clone())).await?;
    Ok(data)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalledBack {
    done: bool,
}

/// `PUT /v1/calls/{id}/called_back`: a missed caller was called back by another way than through us.
pub(super) async fn called_back(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Id,
    request: Request,
) -> Result<StatusCode, Problem> {
    let call_id = calls::call_id(id)?;
    let CalledBack { done } = body::read(request).await?;
    set_called_back(&state, &caller, call_id, done).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says that a missed caller was called back, or that they were not.
pub(super) async fn set_called_back(state: &AppState, caller: &Caller, id: CallId, done: bool) -> Result<(), Problem> {
    let call = Of::call(state, id).await?;
    let (call_id, company, by) = call.said_by(caller);
    state.told(WorkEvent::CalledBack(CalledBackData { call_id, company, by, done })).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    company: String,
    phone: String,
    consent: bool,
}

/// `PUT /v1/contacts/consent`: a contact may be called and written to, or may not.
pub(super) async fn consent(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let Consent { company, phone, consent } = body::read(request).await?;
    let phone = set_consent(&state, &caller, &company, &phone, consent).await?;
    Ok(Json(json!({ "company": company, "phone": phone, "consent": consent })))
}

/// Says whether a contact may be called and written to. Gives the number as it is kept.
pub(super) async fn set_consent(
    state: &AppState,
    caller: &Caller,
    company: &str,
    phone: &str,
    consent: bool,
) -> Result<String, Problem> {
    state.company(caller, Right::Work, company)?;
    let phone = state.phone(company, phone).ok_or_else(|| body::bad_parameter("phone", "a telephone number"))?;
    let (phone, company, by) = (phone.to_string(), company.to_owned(), caller.name.to_string());
    state.told(WorkEvent::ContactConsented(ConsentData { company, phone: phone.clone(), consent, by })).await?;
    Ok(phone)
}

impl AppState {
    /// Writes it down, or nothing was done. What was answered is on the disk, so whoever asks next sees it.
    pub(super) async fn told(&self, work: WorkEvent) -> Result<(), Problem> {
        self.noted(work)?;
        self.written().await;
        Ok(())
    }

    /// The same of one of many; [`AppState::written`] follows the last.
    pub(super) fn noted(&self, work: WorkEvent) -> Result<(), Problem> {
        if self.people.tell(work) {
            return Ok(());
        }
        Err(Problem::unavailable("journal_full", "The journal cannot write this down; ask again later.", 10))
    }

    /// All that was noted is on the disk. One that refuses for a while keeps it queued: nothing is lost, only not seen yet.
    pub(super) async fn written(&self) {
        let journal = self.journal.clone();
        let _ = tokio::task::spawn_blocking(move || journal.flush(limits::INDEX_PATIENCE)).await;
    }

    /// A company in which the caller may do this; others are not there.
    pub(super) fn company(&self, caller: &Caller, right: Right, name: &str) -> Result<Company, Problem> {
        let config = self.config.load();
        let known = config.companies.iter().find(|company| company.name == name && caller.rights.sees(name));
        let company = known.ok_or_else(|| {
            Problem::not_found("unknown_company", format!("No company `{}` is configured.", name.escape_debug()))
        })?;
        if !caller.rights.may_in(right, name) {
            let detail = format!("Your roles do not have the right `{}` there.", right.as_str());
            return Err(Problem::forbidden("not_allowed", detail));
        }
        Ok(Company::clone(company))
    }

    /// A telephone number, written in whatever way is usual where the company has its numbers.
    pub(super) fn phone(&self, company: &str, text: &str) -> Option<E164> {
        let config = self.config.load();
        let own = config.pools.iter().filter(|pool| pool.company == company).find_map(|pool| pool.numbers.first());
        let country = own.and_then(number::region);
        let text: String =
            text.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '\u{a0}')).collect();
        let is_number = text.len() <= 20 && text.bytes().filter(u8::is_ascii_digit).count() >= 5;
        is_number.then(|| number::normalise(&text, country.as_deref(), "")).flatten()
    }
}

/// One call, with its company.
struct Of {
    id: CallId,
    company: Company,
    comments: usize,
    /// Who wrote which comment.
    authors: BTreeMap<String, String>,
}

impl Of {
    async fn call(state: &AppState, id: CallId) -> Result<Of, Problem> {
        let unknown = || Problem::not_found("unknown_call", "There is no such call.");
        let detail = state.index.ask(move |reader| reader.detail(id)).await.map_err(calls::unanswered)?;
        let detail = detail.ok_or_else(unknown)?;
        let config = state.config.load();
        let name = &detail.view.call.company;
        // A company that is not configured any more keeps its calls, with the usual words.
        let company = config.companies.iter().find(|company| company.name == *name).ok_or_else(unknown)?;
        let company = Company::clone(company);
        let authors: BTreeMap<String, String> =
            detail.comments.iter().map(|comment| (comment.comment_id.clone(), comment.by.clone())).collect();
        Ok(Of { id, company, comments: authors.len(), authors })
    }

    fn said_by(&self, caller: &Caller) -> (CallId, String, String) {
        (self.id, self.company.name.clone(), caller.name.to_string())
    }
}

async fn own_comment(state: &AppState, caller: &Caller, ids: Ids) -> Result<(Of, String), Problem> {
    let unknown = || Problem::not_found("unknown_comment", "There is no such comment.");
    let Path((call, comment)) = ids.map_err(|_| unknown())?;
    let call = Of::call(state, call.parse().map_err(|_| unknown())?).await?;
    let author = call.authors.get(&comment).ok_or_else(unknown)?;
    if **author != *caller.name && !caller.rights.may_in(Right::Users, &call.company.name) {
        return Err(Problem::forbidden("not_yours", "Only who wrote a comment changes it."));
    }
    Ok((call, comment))
}

/// Text of several lines.
fn prose(text: &str) -> Result<String, Problem> {
    let good = text.chars().count() <= limits::COMMENT && !text.chars().any(|c| c.is_control() && !"\n\t".contains(c));
    let wanted = || body::bad_parameter("text", &format!("at most {} characters", limits::COMMENT));
    if good { Ok(text.trim().to_owned()) } else { Err(wanted()) }
}

/// One line of so many characters.
pub(super) fn line(name: &str, text: &str, most: usize) -> Result<String, Problem> {
    let good = text.chars().count() <= most && !text.chars().any(char::is_control);
    if good {
        Ok(text.trim().to_owned())
    } else {
        Err(body::bad_parameter(name, &format!("one line of at most {most} characters")))
    }
}

pub(super) fn money(name: &str, minor: i64) -> Result<i64, Problem> {
    if (0..=limits::MONEY_MAX).contains(&minor) {
        return Ok(minor);
    }
    Err(body::bad_parameter(name, "an amount in minor units of the currency, 0 or more"))
}

/// ISO 4217, or the company's own.
pub(super) fn currency(given: Option<String>, company: &Company) -> Result<String, Problem> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(company.currency.clone()) };
    if given.len() == 3 && given.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(given);
    }
    Err(body::bad_parameter("currency", "three capital letters (ISO 4217)"))
}

/// 96 random bits as text.
pub(super) fn new_id() -> Result<String, Problem> {
    let text = secret::random().ok_or_else(|| Problem::internal("no_randomness", &"an id could not be made"))?;
    Ok(text.chars().take(16).collect())
}
