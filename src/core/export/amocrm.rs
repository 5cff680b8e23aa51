//! amoCRM and Kommo: calls; for a caller that nobody knows, first a deal with its contact.
//!
//! Documented at amocrm.ru/developers (calls, contacts, `leads/complex`, notes, OAuth) and developers.kommo.com, the same
//! family. A call whose number no contact has is not added, so the contact is looked for and made before it. What `uniq`
//! does to a repeated call is not documented: before one whose answer was lost is sent again, the notes of calls are
//! searched for it. Seven requests a second (the documentation's figure, repeated by its clients).

use serde_json::{Map, Value, json};
use url::Url;

use super::{Action, Answer, At, Delivery, Done, Login, LoginForm, Memo, Pace, Request, Step, Told, Traits, below};
use crate::config::export::Amocrm;
use crate::core::event::Outcome;
use crate::time::Wall;

#[derive(Debug)]
pub struct Destination {
    amocrm: Amocrm,
    url: Option<Url>,
    tokens: String,
}

impl Destination {
    pub fn new(amocrm: Amocrm, url: Option<Url>) -> Destination {
        let tokens = below(url.as_ref(), "", "oauth2/access_token").to_string();
        Destination { amocrm, url, tokens }
    }

    fn stage(&self, stage: &str, told: &Told, memo: &mut Memo, at: &At<'_>) -> Step {
        memo.talk.insert("stage".into(), json!(stage));
        let get = |path: &str, query: &[(&str, &str)]| {
            let mut url = below(self.url.as_ref(), "", path);
            url.query_pairs_mut().extend_pairs(query);
            Request::new("GET", url)
        };
        let since = told.call.started_at.seconds().to_string();
        let notes = [("filter[note_type][]", "call_in"), ("filter[updated_at][from]", &since), ("limit", "250")];
        let request = match stage {
            "lead_notes" => get("api/v4/leads/notes", &notes),
            "contact_notes" => get("api/v4/contacts/notes", &notes),
            "contact" => get("api/v4/contacts", &[("query", phone(told).trim_start_matches('+'))]),
            "lead" => {
                let url = below(self.url.as_ref(), "", "api/v4/leads/complex");
                Request::new("POST", url).json(&json!([self.lead(told)]))
            }
            _ => {
                let url = below(self.url.as_ref(), "", "api/v4/calls");
                Request::new("POST", url).json(&json!([self.call(told)]))
            }
        };
        Step::ask(request.bearer(at))
    }

    fn lead(&self, told: &Told) -> Value {
        let fields: Vec<Value> = self
            .amocrm
            .fields
            .iter()
            .filter_map(|(name, id)| {
                let value = told.campaign(name).or_else(|| told.click(name)).or_else(|| told.client(name))?;
                Some(json!({ "field_id": id.parse::<u64>().ok()?, "values": [{ "value": value }] }))
            })
            .collect();
        let phone = json!({ "field_code": "PHONE", "values": [{ "value": phone(told), "enum_code": "WORK" }] });
        let mut lead = json!({
            "name": format!("Call {}", phone_shown(told)),
            "request_id": told.call.call_id,
            "_embedded": { "contacts": [{ "first_name": phone_shown(told), "custom_fields_values": [phone] }] },
        });
        if !fields.is_empty() {
            lead["custom_fields_values"] = json!(fields);
        }
        lead
    }

    fn call(&self, told: &Told) -> Value {
        let call = &told.call;
        let mut body: Map<String, Value> = Map::from_iter([
            ("direction".to_owned(), json!("inbound")),
            ("uniq".to_owned(), json!(call.call_id)),
            ("duration".to_owned(), json!(call.talk_ms / 1_000)),
            ("source".to_owned(), json!(self.amocrm.source)),
            ("phone".to_owned(), json!(phone(told))),
            ("call_status".to_owned(), json!(status(told))),
            ("created_at".to_owned(), json!(call.started_at.seconds())),
            ("request_id".to_owned(), json!(call.call_id)),
        ]);
        if let (Some(link), Some(_)) = (&self.amocrm.link, call.recording.as_ref().and_then(|r| r.path.as_ref())) {
            let link = below(Some(link), "", &format!("v1/calls/{}/recording", call.call_id));
            body.insert("link".to_owned(), json!(link));
        }
        Value::Object(body)
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Call, Pace::per_second(7, 7));
        Traits { action, batch: 1, parallel: 1, pace, rings: false, label: false, value: false, retraction: false }
    }

    fn oauth(&self) -> Option<Login<'_>> {
        Some(Login { oauth: &self.amocrm.oauth, usual: &self.tokens, form: LoginForm::Json })
    }

    fn fits(&self, told: &Told, _action: Action, _now: Wall) -> Result<(), &'static str> {
        if told.call.caller.is_some() { Ok(()) } else { Err("number_withheld") }
    }

    fn step(&self, batch: &[Delivery], memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        let Some(told) = batch.first().and_then(Delivery::told) else { return Step::refused("not_a_call", "") };
        let stage = memo.text("stage").to_owned();
        let Some(answer) = answer else {
            // The call itself may have arrived, when it was asked before.
            let unsure = matches!(stage.as_str(), "call" | "lead_notes" | "contact_notes");
            return self.stage(if unsure { "lead_notes" } else { "contact" }, told, memo, at);
        };
        if let Some(trouble) = answer.trouble() {
            return trouble;
        }
        let said = answer.json();
        let id = told.call.call_id.to_string();
        let noted = || {
            let notes = said["_embedded"]["notes"].as_array();
            notes.is_some_and(|notes| notes.iter().any(|note| note["params"]["uniq"] == id.as_str()))
        };
        match stage.as_str() {
            "lead_notes" | "contact_notes" if noted() => Step::done("was_there"),
            "lead_notes" => self.stage("contact_notes", told, memo, at),
            "contact_notes" => self.stage("contact", told, memo, at),
            // 204: nobody has this number.
            "contact" if said["_embedded"]["contacts"].as_array().is_none_or(Vec::is_empty) => {
                self.stage("lead", told, memo, at)
            }
            "contact" => self.stage("call", told, memo, at),
            "lead" => match said.get(0).and_then(|lead| lead["id"].as_u64()) {
                Some(lead) => {
                    memo.call.insert("lead".into(), json!(lead));
                    self.stage("call", told, memo, at)
                }
                None => Step::again("answer_bad"),
            },
            _ => {
                let errors = said["_embedded"]["errors"].as_array().or(said["errors"].as_array());
                match errors.and_then(|errors| errors.first()) {
                    Some(error) => Step::refused("call_not_added", super::shown(error.to_string().as_bytes())),
                    None => {
                        let lead = memo.call.get("lead").map(|lead| format!("lead {lead}")).unwrap_or_default();
                        Step::Done(Done { status: "added".into(), detail: lead, ..Done::default() })
                    }
                }
            }
        }
    }
}

fn phone(told: &Told) -> &str {
    told.call.caller.as_deref().unwrap_or_default()
}

fn phone_shown(told: &Told) -> &str {
    told.call.caller_name.as_deref().unwrap_or(phone(told))
}

fn status(told: &Told) -> u8 {
    match told.call.outcome {
        Some(Outcome::Voicemail) => 1,
        _ if told.is_answered() => 4,
        Some(Outcome::NoAnswer | Outcome::Cancelled) => 6,
        Some(Outcome::Busy) => 7,
        Some(Outcome::Rejected) => 3,
        _ => 8,
    }
}
