//! Bitrix24, amoCRM, Telegram, and a webhook receiver that checks signatures.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};

use super::{Contract, Got, Said, Tokens, empty, fields_of_json, said};

/// The portal: a `CALL_ID` for every `EXTERNAL_CALL_ID`, calls that are finished, their recordings and traces.
pub struct Bitrix24 {
    pub tokens: Tokens,
    calls: BTreeMap<String, String>,
    pub finished: BTreeMap<String, Value>,
    pub records: BTreeMap<String, usize>,
    pub traces: Vec<Value>,
    refused: Vec<String>,
}

impl Default for Bitrix24 {
    fn default() -> Bitrix24 {
        let (calls, finished, records) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Bitrix24 { tokens: Tokens::new(true), calls, finished, records, traces: Vec::new(), refused: Vec::new() }
    }
}

const STATUS_CODES: [&str; 13] =
    ["200", "304", "603", "603-S", "403", "404", "486", "484", "503", "480", "402", "423", "OTHER"];

impl Bitrix24 {
    fn call(&mut self, method: &str, body: &Value) -> Result<Value, &'static str> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let user = !text("USER_PHONE_INNER").is_empty() || body["USER_ID"].is_u64();
        let known = |id: &str| self.calls.values().any(|known| known == id);
        match method {
            "telephony.externalcall.register" => {
                if !user || text("PHONE_NUMBER").is_empty() || !matches!(body["TYPE"].as_u64(), Some(1..=5)) {
                    return Err("USER, PHONE_NUMBER or TYPE");
                }
                if !text("CALL_START_DATE").contains('T') || text("EXTERNAL_CALL_ID").is_empty() {
                    return Err("CALL_START_DATE or EXTERNAL_CALL_ID");
                }
                let next = format!("externalCall.{}", self.calls.len() + 1);
                let id = self.calls.entry(text("EXTERNAL_CALL_ID").to_owned()).or_insert(next).clone();
                Ok(json!({ "CALL_ID": id, "CRM_CREATED_LEAD": 7, "CRM_ENTITY_TYPE": "LEAD", "CRM_ENTITY_ID": 7 }))
            }
            "telephony.externalcall.finish" => {
                if !user || !known(text("CALL_ID")) || !body["DURATION"].is_u64() {
                    return Err("USER, CALL_ID or DURATION");
                }
                if !STATUS_CODES.contains(&text("STATUS_CODE")) {
                    return Err("STATUS_CODE");
                }
                self.finished.insert(text("CALL_ID").to_owned(), body.clone());
                Ok(json!({ "CALL_ID": text("CALL_ID") }))
            }
            "telephony.externalcall.attachRecord" => {
                let content = STANDARD.decode(text("FILE_CONTENT")).unwrap_or_default();
                if !self.finished.contains_key(text("CALL_ID"))
                    || !text("FILENAME").ends_with(".wav")
                    || content.is_empty()
                {
                    return Err("CALL_ID, FILENAME or FILE_CONTENT");
                }
                self.records.insert(text("CALL_ID").to_owned(), content.len());
                Ok(json!({ "FILE_ID": 1 }))
            }
            "crm.tracking.trace.add" => {
                let trace: Value = serde_json::from_str(text("TRACE")).unwrap_or_default();
                let entities = body["ENTITIES"].as_array().cloned().unwrap_or_default();
                let good = |one: &Value| one["TYPE"].is_string() && !one["ID"].is_null();
                if !trace["tags"]["list"].is_object() || entities.is_empty() || !entities.iter().all(good) {
                    return Err("TRACE or ENTITIES");
                }
                self.traces.push(trace);
                Ok(json!(self.traces.len()))
            }
            _ => Err("method"),
        }
    }
}

impl Contract for Bitrix24 {
    fn answer(&mut self, got: &Got) -> Said {
        if got.path == "/oauth/token/" {
            return self.tokens.answer(&got.query);
        }
        let body = got.json();
        let Some(method) = got.path.strip_prefix("/rest/").and_then(|path| path.strip_suffix(".json")) else {
            return empty(404);
        };
        if !self.tokens.is_good(body["auth"].as_str().unwrap_or_default()) {
            return said(
                401,
                &json!({ "error": "expired_token", "error_description": "The access token has expired" }),
            );
        }
        match self.call(method, &body) {
            Ok(result) => said(200, &json!({ "result": result, "time": {} })),
            Err(problem) => {
                self.refused.push(problem.to_owned());
                said(400, &json!({ "error": "ERROR_ARGUMENT", "error_description": problem }))
            }
        }
    }

    fn counted(&self) -> Vec<String> {
        self.finished.keys().cloned().collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}

/// Contacts, deals and calls. A call of a number that no contact has is not added.
pub struct Amocrm {
    pub tokens: Tokens,
    pub contacts: Vec<String>,
    pub leads: Vec<Value>,
    pub calls: Vec<Value>,
    refused: Vec<String>,
}

impl Default for Amocrm {
    fn default() -> Amocrm {
        let (contacts, leads) = (Vec::new(), Vec::new());
        Amocrm { tokens: Tokens::new(true), contacts, leads, calls: Vec::new(), refused: Vec::new() }
    }
}

impl Amocrm {
    fn bad(&mut self, problem: &str) -> Said {
        self.refused.push(problem.to_owned());
        let errors = json!([{ "request_id": "0", "errors": [{ "code": "FieldMissing", "path": problem }] }]);
        said(400, &json!({ "validation-errors": errors, "title": "Bad Request", "status": 400 }))
    }

    fn lead(&mut self, lead: &Value) -> Result<(), &'static str> {
        let fields = lead["custom_fields_values"].as_array().cloned().unwrap_or_default();
        if !fields.iter().all(|field| field["field_id"].is_u64() && field["values"][0]["value"].is_string()) {
            return Err("custom_fields_values");
        }
        let phone = lead["_embedded"]["contacts"][0]["custom_fields_values"][0].clone();
        let number = phone["values"][0]["value"].as_str().unwrap_or_default();
        if phone["field_code"] != "PHONE" || number.is_empty() {
            return Err("contacts");
        }
        self.contacts.push(number.to_owned());
        self.leads.push(lead.clone());
        Ok(())
    }

    fn call(&mut self, call: &Value) -> Result<(), &'static str> {
        let text = |name: &str| call[name].as_str().unwrap_or_default();
        if !["inbound", "outbound"].contains(&text("direction"))
            || text("source").is_empty()
            || text("phone").is_empty()
        {
            return Err("direction, source or phone");
        }
        if !call["duration"].is_u64() || !matches!(call["call_status"].as_u64(), Some(1..=8)) {
            return Err("duration or call_status");
        }
        if !self.contacts.contains(&text("phone").to_owned()) {
            return Err("no entity with this phone");
        }
        self.calls.push(call.clone());
        Ok(())
    }
}

impl Contract for Amocrm {
    fn answer(&mut self, got: &Got) -> Said {
        if got.is("POST", "/oauth2/access_token") {
            return match got.json()["redirect_uri"].as_str() {
                Some("https://app.example/back") => self.tokens.answer(&fields_of_json(&got.json())),
                _ => said(400, &json!({ "hint": "redirect_uri" })),
            };
        }
        if !self.tokens.is_good(got.bearer()) {
            return said(401, &json!({ "title": "Unauthorized", "status": 401 }));
        }
        match (got.method.as_str(), got.path.as_str()) {
            ("GET", "/api/v4/contacts") => {
                let wanted = got.query.get("query").cloned().unwrap_or_default();
                match self.contacts.iter().position(|phone| phone.contains(&wanted)) {
                    Some(at) => said(200, &json!({ "_embedded": { "contacts": [{ "id": at + 1 }] } })),
                    None => empty(204),
                }
            }
            ("POST", "/api/v4/leads/complex") => match self.lead(&got.json()[0]) {
                Ok(()) => said(200, &json!([{ "id": self.leads.len(), "contact_id": self.contacts.len() }])),
                Err(problem) => self.bad(problem),
            },
            ("GET", "/api/v4/leads/notes") => empty(204),
            ("GET", "/api/v4/contacts/notes") => {
                let note = |call: &Value| json!({ "note_type": "call_in", "params": { "uniq": call["uniq"] } });
                said(200, &json!({ "_embedded": { "notes": self.calls.iter().map(note).collect::<Vec<_>>() } }))
            }
            ("POST", "/api/v4/calls") => match self.call(&got.json()[0]) {
                Ok(()) => {
                    said(200, &json!({ "_total_items": 1, "errors": [], "_embedded": { "calls": [{ "id": 1 }] } }))
                }
                Err("no entity with this phone") => {
                    let errors = json!([{ "detail": "Entity not found", "status": 263 }]);
                    said(200, &json!({ "_total_items": 0, "errors": errors, "_embedded": { "calls": [] } }))
                }
                Err(problem) => self.bad(problem),
            },
            _ => empty(404),
        }
    }

    /// It drops nothing by `uniq`.
    fn counted(&self) -> Vec<String> {
        let uniq = |call: &Value| call["uniq"].as_str().unwrap_or_default().to_owned();
        let leads = self.leads.iter().map(|_| "lead".to_owned());
        self.calls.iter().map(uniq).chain(leads).collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}

/// Standard Webhooks: a bad signature is refused, a repeated id is dropped.
#[derive(Default)]
pub struct Webhook {
    pub got: BTreeMap<String, Value>,
    refused: Vec<String>,
}

impl Contract for Webhook {
    fn answer(&mut self, got: &Got) -> Said {
        let (id, at) = (got.header("webhook-id"), got.header("webhook-timestamp"));
        let mac = Hmac::<sha2::Sha256>::new_from_slice(b"hook secret").unwrap();
        let mac = mac.chain_update(format!("{id}.{at}.")).chain_update(&got.body);
        let signed = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        if id.is_empty() || got.header("webhook-signature") != signed {
            self.refused.push("signature".into());
            return empty(400);
        }
        self.got.insert(id.to_owned(), got.json());
        empty(204)
    }

    fn counted(&self) -> Vec<String> {
        self.got.keys().cloned().collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}

/// `sendMessage`. It knows no id of ours: every message counts.
#[derive(Default)]
pub struct Telegram {
    pub messages: Vec<String>,
    refused: Vec<String>,
}

impl Contract for Telegram {
    fn answer(&mut self, got: &Got) -> Said {
        if !got.is("POST", "/bot11:abc/sendMessage") {
            return said(404, &json!({ "ok": false, "error_code": 404, "description": "Not Found" }));
        }
        let body = got.json();
        let text = body["text"].as_str().unwrap_or_default();
        if body["chat_id"] != "-1001" || text.is_empty() || text.chars().count() > 4_096 {
            self.refused.push("chat_id or text".into());
            return said(400, &json!({ "ok": false, "error_code": 400, "description": "Bad Request" }));
        }
        self.messages.push(text.to_owned());
        said(200, &json!({ "ok": true, "result": { "message_id": self.messages.len() } }))
    }

    fn counted(&self) -> Vec<String> {
        self.messages.clone()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}
