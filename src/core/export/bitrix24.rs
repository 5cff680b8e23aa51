//! Bitrix24, as an application of the portal: calls with their card, lead, recording and source.
//!
//! Documented at apidocs.bitrix24.com (repository bitrix-tools/b24-rest-docs): `telephony.externalCall.register`,
//! `.finish`, `.attachRecord`, `crm.tracking.trace.add`, limits of the REST interface. `EXTERNAL_CALL_ID` is the call's id:
//! the portal gives the same `CALL_ID` for half an hour, and we keep it. `finish` and `attachRecord` of the same `CALL_ID`
//! are taken to replace themselves (documented for the recording; for `finish` it could not be verified). A trace whose
//! answer was lost is not sent again: the contract has no id for one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    Action, Answer, Ask, At, Delivery, Done, Login, LoginForm, Memo, Pace, Request, Step, Told, Traits, below,
};
use crate::config::export::Bitrix24;
use crate::core::event::Outcome;
use crate::time::Wall;

const TOKENS: &str = "https://oauth.bitrix24.tech/oauth/token/";
/// A call that began so long ago rings no more, in milliseconds.
const RINGS_MAX: u64 = 120_000;
/// What the leaky bucket lets through again at the least.
const LIMITED: Duration = Duration::from_secs(2);
const CAMPAIGN: [&str; 5] = ["source", "medium", "campaign", "term", "content"];

#[derive(Debug)]
pub struct Destination {
    bitrix: Bitrix24,
    url: Option<Url>,
}

impl Destination {
    pub fn new(bitrix: Bitrix24, url: Option<Url>) -> Destination {
        Destination { bitrix, url }
    }

    fn call(&self, method: &str, mut fields: Value, at: &At<'_>) -> Step {
        fields["auth"] = json!(at.token.unwrap_or_default());
        let url = below(self.url.as_ref(), "", &format!("rest/{method}.json"));
        Step::ask(Request::new("POST", url).json(&fields))
    }

    fn stage(&self, stage: &str, told: &Told, rings: bool, memo: &mut Memo, at: &At<'_>) -> Step {
        memo.talk.insert("stage".into(), json!(stage));
        let id = memo.call.get("CALL_ID").cloned().unwrap_or_default();
        match stage {
            "register" => {
                let mut fields = json!({
                    "USER_PHONE_INNER": self.bitrix.extension,
                    "PHONE_NUMBER": told.call.caller.as_deref().unwrap_or_default(),
                    "TYPE": 2,
                    "CALL_START_DATE": told.call.started_at,
                    "CRM_CREATE": u8::from(self.bitrix.create),
                    "SHOW": u8::from(rings),
                    "LINE_NUMBER": told.call.number,
                    "EXTERNAL_CALL_ID": told.call.call_id,
                });
                if let Some(source) = &self.bitrix.source {
                    fields["CRM_SOURCE"] = json!(source);
                }
                self.call("telephony.externalcall.register", fields, at)
            }
            "finish" => {
                let fields = json!({
                    "CALL_ID": id,
                    "USER_PHONE_INNER": self.bitrix.extension,
                    "DURATION": told.call.talk_ms / 1_000,
                    "STATUS_CODE": status_code(told),
                });
                self.call("telephony.externalcall.finish", fields, at)
            }
            "recording" => Step::Ask(Box::new(Ask::Recording(told.call.call_id.to_string()))),
            _ => {
                let campaign = CAMPAIGN.iter().filter_map(|name| Some((*name, told.campaign(name)?)));
                let tags: Map<String, Value> =
                    campaign.map(|(name, value)| (format!("utm_{name}"), json!(value))).collect();
                let page = told.session().and_then(|session| session.landing_page.as_deref());
                let trace = json!({ "url": page, "tags": { "list": tags } });
                let entity = memo.call.get("entity").cloned().unwrap_or_default();
                let fields = json!({ "TRACE": trace.to_string(), "ENTITIES": [entity] });
                self.call("crm.tracking.trace.add", fields, at)
            }
        }
    }

    /// What comes behind a stage that went well.
    fn after(&self, stage: &str, delivery: &Delivery, told: &Told, memo: &mut Memo, at: &At<'_>) -> Step {
        let has_recording = self.bitrix.recordings && told.call.recording.as_ref().is_some_and(|r| r.path.is_some());
        let has_source = CAMPAIGN.iter().any(|name| told.campaign(name).is_some());
        let next = match stage {
            "register" if delivery.action == Action::Ring => None,
            "register" => Some("finish"),
            "finish" if has_recording => Some("recording"),
            "finish" | "attach" if has_source && memo.call.contains_key("entity") => Some("trace"),
            _ => None,
        };
        match next {
            Some(next) => self.stage(next, told, false, memo, at),
            None => {
                let id = memo.call.get("CALL_ID").and_then(Value::as_str).unwrap_or_default();
                Step::Done(Done { status: "registered".into(), detail: id.to_owned(), ..Done::default() })
            }
        }
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        // "Two requests a second, fifty at once."
        let (action, pace) = (Action::Call, Pace::per_second(2, 50));
        Traits { action, batch: 1, parallel: 1, pace, rings: true, label: false, value: false, retraction: false }
    }

    fn oauth(&self) -> Option<Login<'_>> {
        Some(Login { oauth: &self.bitrix.oauth, usual: TOKENS, form: LoginForm::Query })
    }

    fn fits(&self, told: &Told, action: Action, now: Wall) -> Result<(), &'static str> {
        if told.call.caller.is_none() {
            return Err("number_withheld");
        }
        if action == Action::Ring && now.millis_since(told.call.started_at) > RINGS_MAX {
            return Err("too_old");
        }
        Ok(())
    }

    fn step(&self, batch: &[Delivery], memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        let Some((delivery, told)) = batch.first().and_then(|delivery| Some((delivery, delivery.told()?))) else {
            return Step::refused("not_a_call", "");
        };
        let stage = memo.text("stage").to_owned();
        let Some(answer) = answer else {
            let rings = delivery.action == Action::Ring;
            return match stage.as_str() {
                _ if !memo.call.contains_key("CALL_ID") => self.stage("register", told, rings, memo, at),
                "" | "register" => self.after("register", delivery, told, memo, at),
                "attach" => self.stage("recording", told, false, memo, at),
                "trace" => self.after("trace", delivery, told, memo, at),
                "trace_due" => self.stage("trace", told, false, memo, at),
                other => self.stage(other, told, false, memo, at),
            };
        };
        if stage == "recording" {
            // Without the file the call is told all the same.
            if answer.status() != 200 {
                return self.after("attach", delivery, told, memo, at);
            }
            memo.talk.insert("stage".into(), json!("attach"));
            let fields = json!({
                "CALL_ID": memo.call.get("CALL_ID"),
                "FILENAME": format!("{}.wav", told.call.call_id),
                "FILE_CONTENT": STANDARD.encode(answer.body()),
            });
            return self.call("telephony.externalcall.attachRecord", fields, at);
        }
        if let Some(trouble) = trouble(answer) {
            if stage == "trace" && matches!(answer, Answer::Came { .. }) {
                memo.talk.insert("stage".into(), json!("trace_due"));
            }
            return trouble;
        }
        let said = answer.json();
        if stage == "register" {
            let result = &said["result"];
            let Some(id) = result["CALL_ID"].as_str() else { return Step::again("answer_bad") };
            memo.call.insert("CALL_ID".into(), json!(id));
            let kind = result["CRM_ENTITY_TYPE"].as_str().filter(|kind| !kind.is_empty());
            if let (Some(kind), entity @ (Value::Number(_) | Value::String(_))) = (kind, &result["CRM_ENTITY_ID"]) {
                memo.call.insert("entity".into(), json!({ "TYPE": kind, "ID": entity }));
            }
        }
        self.after(&stage, delivery, told, memo, at)
    }
}

/// Errors come as `{"error", "error_description"}` with a status of their own, sometimes with 200.
fn trouble(answer: &Answer) -> Option<Step> {
    let said = answer.json();
    let Some(code) = said["error"].as_str().filter(|_| matches!(answer, Answer::Came { .. })) else {
        return answer.trouble();
    };
    let detail = super::shown(said["error_description"].as_str().unwrap_or_default().as_bytes());
    Some(match code {
        "QUERY_LIMIT_EXCEEDED" | "OPERATION_TIME_LIMIT" | "OVERLOAD_LIMIT" => {
            Step::Again { code: code.to_ascii_lowercase(), after: Some(LIMITED) }
        }
        "expired_token"
        | "invalid_token"
        | "NO_AUTH_FOUND"
        | "WRONG_AUTH_TYPE"
        | "insufficient_scope"
        | "INTERNAL_SERVER_ERROR"
        | "ERROR_UNEXPECTED_ANSWER" => Step::again(code.to_ascii_lowercase()),
        _ if answer.status() >= 500 => Step::again(format!("status_{}", answer.status())),
        _ => Step::refused(super::shown(code.as_bytes()).to_ascii_lowercase(), detail),
    })
}

fn status_code(told: &Told) -> &'static str {
    match told.call.outcome {
        _ if told.is_answered() => "200",
        Some(Outcome::Busy) => "486",
        Some(Outcome::Rejected) => "603",
        Some(Outcome::Failed) => "OTHER",
        _ => "304",
    }
}
