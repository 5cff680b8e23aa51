//! Google Analytics 4, Google's Data Manager, Meta.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Contract, Got, Said, Tokens, empty, fields_of_form, said};

/// Measurement Protocol. `/mp/collect` says 204 to everything; what is bad is not counted.
#[derive(Default)]
pub struct Ga4 {
    transactions: Vec<(String, String)>,
    refused: Vec<String>,
}

impl Ga4 {
    fn problems(got: &Got) -> Vec<String> {
        let body = got.json();
        let mut problems = Vec::new();
        let mut ask = |holds: bool, why: &str| {
            if !holds {
                problems.push(why.to_owned());
            }
        };
        ask(got.query.get("measurement_id").is_some_and(|id| id.starts_with("G-")), "measurement_id");
        ask(got.query.get("api_secret").is_some_and(|secret| secret == "ga secret"), "api_secret");
        ask(got.body.len() < 130 * 1024, "body");
        ask(body["client_id"].as_str().is_some_and(|id| !id.is_empty()), "client_id");
        let micros = body["timestamp_micros"].as_str().and_then(|text| text.parse::<u64>().ok());
        ask(micros.is_some(), "timestamp_micros");
        let granted = |value: &Value| matches!(value.as_str(), Some("GRANTED" | "DENIED"));
        ask(granted(&body["consent"]["ad_user_data"]) && granted(&body["consent"]["ad_personalization"]), "consent");
        let events = body["events"].as_array().cloned().unwrap_or_default();
        ask((1..=25).contains(&events.len()), "events");
        for event in &events {
            let name = event["name"].as_str().unwrap_or_default();
            let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            ask((1..=40).contains(&name.len()) && name.bytes().all(good), "name");
            let params = event["params"].as_object().cloned().unwrap_or_default();
            ask(params.len() <= 25, "too many parameters");
            for (name, value) in &params {
                ask(name.len() <= 40 && name.bytes().all(good), "parameter name");
                ask(value.as_str().is_none_or(|text| text.chars().count() <= 100), "parameter value");
                ask(value.as_str().is_none_or(|text| !text.starts_with('+')), "telephone numbers are personal data");
            }
            ask(params.contains_key("engagement_time_msec"), "engagement_time_msec");
            ask(params.contains_key("value") == params.contains_key("currency"), "value without currency");
        }
        problems
    }
}

impl Contract for Ga4 {
    fn answer(&mut self, got: &Got) -> Said {
        let problems = Ga4::problems(got);
        match got.path.as_str() {
            "/debug/mp/collect" => {
                let messages: Vec<Value> = problems
                    .iter()
                    .map(|why| json!({ "fieldPath": why, "validationCode": "VALUE_INVALID", "description": why }))
                    .collect();
                said(200, &json!({ "validationMessages": messages }))
            }
            "/mp/collect" if problems.is_empty() => {
                let event = &got.json()["events"][0];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let key = (text(&event["name"]), text(&event["params"]["transaction_id"]));
                // Repeats of a transaction are dropped.
                if !self.transactions.contains(&key) {
                    self.transactions.push(key);
                }
                empty(204)
            }
            "/mp/collect" => {
                self.refused.extend(problems);
                empty(204)
            }
            _ => empty(404),
        }
    }

    fn counted(&self) -> Vec<String> {
        self.transactions.iter().map(|(name, id)| format!("{name} {id}")).collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}

/// `events:ingest`.
pub struct Google {
    pub tokens: Tokens,
    events: Vec<(String, Option<String>)>,
    pub validated: usize,
    refused: Vec<String>,
}

impl Default for Google {
    fn default() -> Google {
        Google { tokens: Tokens::new(false), events: Vec::new(), validated: 0, refused: Vec::new() }
    }
}

fn is_sha256(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 64 && text.bytes().all(|b| b"0123456789abcdef".contains(&b)))
}

impl Google {
    fn problem(body: &Value) -> Option<&'static str> {
        let destinations = body["destinations"].as_array()?;
        let account = |value: &Value| value["accountType"] == "GOOGLE_ADS" && value["accountId"].is_string();
        if destinations.len() != 1
            || !destinations
                .iter()
                .all(|one| account(&one["operatingAccount"]) && one["productDestinationId"].is_string())
        {
            return Some("destinations");
        }
        let Some(events) = body["events"].as_array().filter(|events| (1..=2_000).contains(&events.len())) else {
            return Some("events");
        };
        for event in events {
            let time = event["eventTimestamp"].as_str().unwrap_or_default();
            if !time.ends_with('Z') || time.len() < 20 {
                return Some("eventTimestamp");
            }
            if event["transactionId"].as_str().is_none_or(str::is_empty) {
                return Some("transactionId");
            }
            if event["eventSource"] != "PHONE" {
                return Some("eventSource");
            }
            if event["consent"]["adUserData"] != "CONSENT_GRANTED" {
                return Some("consent");
            }
            let identifiers = event["userData"]["userIdentifiers"].as_array();
            if !identifiers.into_iter().flatten().all(|one| is_sha256(&one["phoneNumber"])) {
                return Some("userIdentifiers");
            }
            if event["adIdentifiers"].is_null() && identifiers.is_none() {
                return Some("nothing to find the click by");
            }
            if event["conversionValue"].is_number() != event["currency"].is_string() {
                return Some("conversionValue and currency");
            }
        }
        (identifiers_without_encoding(body)).then_some("encoding")
    }
}

fn identifiers_without_encoding(body: &Value) -> bool {
    body["events"].as_array().into_iter().flatten().any(|event| !event["userData"].is_null())
        && body["encoding"] != "HEX"
}

impl Contract for Google {
    fn answer(&mut self, got: &Got) -> Said {
        if got.is("POST", "/token") {
            return self.tokens.answer(&fields_of_form(&got.body));
        }
        if !self.tokens.is_good(got.bearer()) {
            return said(401, &json!({ "error": { "code": 401, "status": "UNAUTHENTICATED" } }));
        }
        if got.is("GET", "/v1/requestStatus:retrieve") {
            return said(200, &json!({ "requestStatusPerDestination": [{ "requestStatus": "SUCCESS" }] }));
        }
        if !got.is("POST", "/v1/events:ingest") {
            return empty(404);
        }
        let body = got.json();
        if let Some(problem) = Google::problem(&body) {
            self.refused.push(problem.to_owned());
            let error = json!({ "code": 400, "message": problem, "status": "INVALID_ARGUMENT" });
            return said(400, &json!({ "error": error }));
        }
        if body["validateOnly"] == true {
            self.validated += 1;
            return said(200, &json!({}));
        }
        for event in body["events"].as_array().unwrap() {
            let id = event["transactionId"].as_str().unwrap().to_owned();
            let updated = event["lastUpdatedTimestamp"].as_str().map(str::to_owned);
            // The same transaction, not updated since, is one.
            if !self.events.contains(&(id.clone(), updated.clone())) {
                self.events.push((id, updated));
            }
        }
        said(200, &json!({ "requestId": format!("request-{}", self.events.len()) }))
    }

    fn counted(&self) -> Vec<String> {
        self.events
            .iter()
            .map(|(id, updated)| format!("{}{id}", if updated.is_some() { "adjusted " } else { "" }))
            .collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}

/// Conversions API.
#[derive(Default)]
pub struct Meta {
    events: BTreeSet<(String, String)>,
    refused: Vec<String>,
}

impl Meta {
    fn problem(body: &Value) -> Option<&'static str> {
        let Some(events) = body["data"].as_array().filter(|events| (1..=1_000).contains(&events.len())) else {
            return Some("data");
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        for event in events {
            let time = event["event_time"].as_u64().unwrap_or(0);
            if time + 7 * 86_400 < now || time > now + 60 {
                return Some("event_time: one event that is too old fails the whole request");
            }
            if event["event_name"].as_str().is_none_or(str::is_empty) {
                return Some("event_name");
            }
            if event["action_source"] != "phone_call" {
                return Some("action_source");
            }
            let user = event["user_data"].as_object().cloned().unwrap_or_default();
            let hashed = user.get("ph").is_none_or(|ph| ph.as_array().is_some_and(|all| all.iter().all(is_sha256)));
            let click = user.get("fbc").is_none_or(|fbc| fbc.as_str().is_some_and(|fbc| fbc.starts_with("fb.1.")));
            if user.is_empty() || !hashed || !click {
                return Some("user_data");
            }
        }
        None
    }
}

impl Contract for Meta {
    fn answer(&mut self, got: &Got) -> Said {
        if !got.is("POST", "/v23.0/123456/events") {
            return empty(404);
        }
        let error = |code: u32, message: &str| said(400, &json!({ "error": { "message": message, "code": code } }));
        if got.query.get("access_token").is_none_or(|token| token != "meta token") {
            return error(190, "Invalid OAuth access token");
        }
        let body = got.json();
        if let Some(problem) = Meta::problem(&body) {
            self.refused.push(problem.to_owned());
            return error(100, problem);
        }
        let events = body["data"].as_array().unwrap();
        for event in events {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            self.events.insert((text("event_name"), text("event_id")));
        }
        said(200, &json!({ "events_received": events.len(), "fbtrace_id": "trace" }))
    }

    fn counted(&self) -> Vec<String> {
        self.events.iter().map(|(name, id)| format!("{name} {id}")).collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}
