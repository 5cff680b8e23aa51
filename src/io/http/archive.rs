//! Who hears recordings, who erases them, who holds them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body, calls};
use crate::core::event::{Body, Event, PlayedData};
use crate::core::rights::Right;
use crate::ids::CallId;
use crate::io::archive::{Archive, Erasure, NotDone, Subject};
use crate::io::clock;
use crate::limits;
use crate::time::Mono;

/// A player asks for one recording in many pieces: within this time they are one hearing.
const HEARING: Duration = Duration::from_secs(60);

/// Who is hearing what now.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<HashMap<Hearing, Mono>>);

/// Which call, who, from where.
type Hearing = (CallId, Arc<str>, IpAddr);

impl Listeners {
    /// `true`: this is a hearing of its own, not another piece of one that was told.
    fn begins(&self, call: CallId, caller: &Caller, now: Mono) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= limits::HTTP_LISTENERS {
            heard.retain(|_, at| now.since(*at) < HEARING);
            // Told once more rather than not at all.
            if heard.len() >= limits::HTTP_LISTENERS {
                heard.clear();
            }
        }
        let before = heard.insert((call, Arc::clone(&caller.name), caller.address), now);
        before.is_none_or(|at| now.since(at) >= HEARING)
    }
}

/// Writes down that the sound of a call is given out. Without a place in the journal it is not given out.
pub(super) fn heard(
    state: &AppState,
    call: CallId,
    caller: &Caller,
    reason: Option<String>,
    download: bool,
) -> Result<(), Problem> {
    let now = clock::now();
    if !state.listeners.begins(call, caller, now.mono) && !download && reason.is_none() {
        return Ok(());
    }
    let (by, address) = (caller.name.to_string(), caller.address.to_string());
    let body = Body::RecordingPlayed(PlayedData { call_id: call, by, address, reason, download });
    if state.journal.append(Event { time: now.wall, subject: call.to_string(), body }) {
        return Ok(());
    }
    let detail = "The journal cannot write down who hears this; ask again later.";
    Err(Problem::unavailable("journal_full", detail, 10))
}

/// Why, in the words of whoever asks: one line.
pub(super) fn reason(text: &str) -> Result<String, Problem> {
    let is_line = text.chars().count() <= limits::ARCHIVE_WORDS && !text.chars().any(char::is_control);
    let wanted = || format!("one line of at most {} characters", limits::ARCHIVE_WORDS);
    if is_line { Ok(text.to_owned()) } else { Err(body::bad_parameter("reason", &wanted())) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    #[serde(default)]
    why: String,
}

/// `POST /v1/calls/{id}/hold`: nothing erases this recording until the hold is released.
pub(super) async fn hold(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let id = calls::call_id(id)?;
    let Why { why } = body::read(request).await?;
    change(state, caller, why, move |archive, by, why| archive.hold(id, by, why)).await
}

/// `DELETE /v1/calls/{id}/hold`.
pub(super) async fn release(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let id = calls::call_id(id)?;
    let [why] = body::query(&request, ["why"])?;
    change(state, caller, why.unwrap_or_default(), move |archive, by, why| archive.release(id, by, why)).await
}

/// Something that somebody does to a recording, for a reason.
async fn change(
    state: Arc<AppState>,
    caller: Caller,
    why: String,
    work: impl FnOnce(&Archive, &str, &str) -> Result<(), NotDone> + Send + 'static,
) -> Result<StatusCode, Problem> {
    let why = reason(&why)?;
    blocking(move || work(&state.archive, &caller.name, &why)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErasureBody {
    call_id: Option<CallId>,
    caller: Option<String>,
    visitor_id: Option<String>,
    why: String,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/erasures`: erases the recordings of one call, one caller or one visitor.
pub(super) async fn erase(
    State(state): State<Arc<AppState>>,
    Extension(who): Extension<Caller>,
    request: Request,
) -> Result<Json<Erasure>, Problem> {
    let ErasureBody { call_id, caller, visitor_id, why, dry_run } = body::read(request).await?;
    let why = reason(&why)?;
    if why.trim().is_empty() {
        return Err(body::bad_parameter("why", "a reason, which stays in the tombstone"));
    }
    // A caller and a visitor may be known to several companies.
    let company = match call_id {
        Some(call) => state.company_of(call).await,
        None => None,
    };
    let may = match (call_id, company) {
        _ if who.rights.may_everywhere(Right::Erase) => true,
        (Some(_), Some(company)) if who.rights.may_in(Right::Erase, &company) => true,
        (Some(_), _) => return Err(Problem::not_found("unknown_call", "There is no such call.")),
        (None, _) => false,
    };
    if !may {
        let detail = "Only who may erase in all companies erases by caller or visitor.";
        return Err(Problem::forbidden("not_allowed", detail));
    }
    let subject = match (call_id, caller, visitor_id) {
        (Some(call), None, None) => Subject::Call(call),
        (None, Some(caller), None) if caller.chars().any(|c| c.is_ascii_digit()) => Subject::Caller(caller),
        (None, None, Some(visitor)) if !visitor.is_empty() => Subject::Visitor(visitor),
        _ => {
            let detail = "Send exactly one of `call_id`, `caller` (a number) and `visitor_id`.";
            return Err(Problem::bad_request("bad_subject", detail));
        }
    };
    let erasure =
        blocking(move || state.archive.erase(&subject, &who.name, &why, dry_run).map_err(NotDone::Io)).await?;
    Ok(Json(erasure))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, NotDone> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal("archive_failed", &error))?;
    done.map_err(|not_done| match not_done {
        NotDone::Unknown => Problem::not_found("no_recording", "There is no recording of this call."),
        NotDone::Held => Problem::new(StatusCode::CONFLICT, "recording_held", "The recording is under a legal hold."),
        NotDone::NotHeld => Problem::not_found("not_held", "The recording is not under a legal hold."),
        NotDone::InProgress => {
            Problem::new(StatusCode::CONFLICT, "recording_in_progress", "The call is being recorded; ask again later.")
        }
        NotDone::Io(error) => Problem::internal("archive_failed", &error),
    })
}
