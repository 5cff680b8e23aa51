//! `POST /v1/heard`: a PBX tells of its calls; and how those that do stand.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::access::Caller;
use super::problem::Problem;
use super::work::line;
use super::{AppState, body};
use crate::config::{Config, Ear, EarKind};
use crate::core::attribution::{SOURCE_TEMPLATE, source_line};
use crate::core::ears::{Answer, Heard, Report, Stage};
use crate::core::event::{HangupBy, Outcome};
use crate::core::rights::Right;
use crate::io::signalling::Command;
use crate::limits;
use crate::time::Wall;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeardBody {
    /// Needed when several PBXs of kind `http` are configured.
    ear: Option<String>,
    /// The PBX's own id of the call: the same one again is the same call.
    call_id: String,
    stage: String,
    at: Option<String>,
    /// When it came in, for who tells of a call late.
    offered_at: Option<String>,
    number: Option<String>,
    caller: Option<String>,
    caller_name: Option<String>,
    sip_call_id: Option<String>,
    answered_by: Option<String>,
    cause: Option<Cause>,
    outcome: Option<String>,
    hangup_by: Option<String>,
}

/// Forms have nothing but texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cause {
    Number(u16),
    Text(String),
}

/// `POST /v1/heard`: 201 with a new call, 200 with one that is known, 202 for a stage whose call is not known yet.
pub(super) async fn tell(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let body: HeardBody = body::read(request).await?;
    let ear = ear(&state.config.load(), body.ear.as_deref())?;
    let report = report(&ear, &caller, body)?;
    let stage = report.stage;
    let gone = || Problem::unavailable("signalling_stopped", "The telephone side does not run.", 1);
    let (answer, answered) = oneshot::channel();
    state.signalling.send(Command::Hear(Box::new(report), answer)).map_err(|_| gone())?;
    let answer = answered.await.map_err(|_| gone())?;
    state.board.on_answer(&state.metrics, (&ear.name, stage), &answer);
    match answer {
        Answer::Call(heard) => {
            let status = if heard.is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(shown(&heard))).into_response())
        }
        Answer::Early => Ok((StatusCode::ACCEPTED, Json(json!({ "state": "awaited" }))).into_response()),
        Answer::Refused(code) => Err(refused(code)),
    }
}

/// `GET /v1/ears`.
pub(super) async fn list(State(state): State<Arc<AppState>>) -> Json<Value> {
    Json(json!({ "ears": state.board.list() }))
}

/// The PBX that speaks.
fn ear(config: &Config, name: Option<&str>) -> Result<Arc<Ear>, Problem> {
    let mut ears = config.ears.iter().filter(|ear| ear.kind == EarKind::Http);
    let found = match name {
        Some(name) => ears.find(|ear| ear.name == name),
        None => match (ears.next(), ears.next()) {
            (Some(_), Some(_)) => return Err(body::bad_parameter("ear", "the name of one of the [[ears]]")),
            (one, _) => one,
        },
    };
    let detail = "No [[ears]] of kind \"http\" with this name is configured.";
    found.cloned().ok_or_else(|| Problem::not_found("unknown_ear", detail))
}

fn report(ear: &Arc<Ear>, caller: &Caller, body: HeardBody) -> Result<Report, Problem> {
    let id = line("call_id", &body.call_id, limits::HEARD_NAME)?;
    if id.is_empty() {
        return Err(body::bad_parameter("call_id", "the PBX's own id of the call"));
    }
    let stage = Stage::ALL.into_iter().find(|stage| stage.as_str() == body.stage);
    let stage = stage.ok_or_else(|| body::bad_parameter("stage", "offered, ringing, answered or ended"))?;
    let text = |name: &str, text: Option<String>| {
        let text = text.map(|text| line(name, &text, limits::HEARD_TEXT)).transpose()?;
        Ok::<_, Problem>(text.filter(|text| !text.is_empty()))
    };
    let time = |name: &str, text: Option<String>| {
        let wanted = || body::bad_parameter(name, "a time like 2026-11-23T10:00:00Z");
        text.map(|text| Wall::parse_rfc3339(&text).ok_or_else(wanted)).transpose()
    };
    let called = text("number", body.number)?;
    if stage == Stage::Offered && called.is_none() {
        return Err(body::bad_parameter("number", "the called number"));
    }
    let cause = match body.cause {
        None => None,
        Some(Cause::Number(cause)) => Some(cause),
        Some(Cause::Text(text)) => {
            Some(text.parse().map_err(|_| body::bad_parameter("cause", "a cause of Q.850, 0 to 127"))?)
        }
    };
    Ok(Report {
        at: time("at", body.at)?,
        offered_at: time("offered_at", body.offered_at)?,
        called,
        caller: text("caller", body.caller)?,
        caller_name: text("caller_name", body.caller_name)?,
        sip_call_id: text("sip_call_id", body.sip_call_id)?,
        by: text("answered_by", body.answered_by)?,
        cause: cause.filter(|cause| *cause <= 127),
        outcome: choice("outcome", body.outcome)?.filter(|outcome| *outcome != Outcome::LostInCrash),
        hangup_by: choice::<HangupBy>("hangup_by", body.hangup_by)?,
        within: caller.rights.companies(Right::Heard),
        ..Report::new(ear, &id, stage)
    })
}

fn choice<T: serde::de::DeserializeOwned>(name: &str, text: Option<String>) -> Result<Option<T>, Problem> {
    let read = |text: String| serde_json::from_value(Value::String(text)).ok();
    let wanted = || body::bad_parameter(name, "one that /v1/openapi.json lists");
    text.map(|text| read(text).ok_or_else(wanted)).transpose()
}

fn shown(heard: &Heard) -> Value {
    let data = heard.data.as_ref();
    let attribution = data.map(|data| &data.attribution);
    json!({
        "call_id": heard.call_id,
        "state": heard.state,
        "duplicate": heard.is_duplicate,
        "company": data.map(|data| &data.company),
        "pool": data.map(|data| &data.pool),
        "number": data.map(|data| &data.number),
        "source": attribution.and_then(|attribution| source_line(attribution, SOURCE_TEMPLATE)),
        "caller_name": data.and_then(|data| data.caller_name.as_ref()),
        "attribution": attribution,
    })
}

fn refused(code: &'static str) -> Problem {
    match code {
        "time_out_of_range" => {
            let detail = format!(
                "A call may have come in up to {} min ago, by a clock at most {} s ahead of ours.",
                limits::HEARD_LATE.as_secs() / 60,
                limits::HEARD_AHEAD.as_secs()
            );
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        }
        "too_many_calls" => Problem::unavailable(code, "More calls are told of than are followed.", 10),
        "number_excluded" => Problem::not_found(code, "The `numbers` of these [[ears]] leave this number out."),
        _ => Problem::not_found(code, "The number is none of ours."),
    }
}
