//! Google Ads through the Data Manager API: `events:ingest`.
//!
//! Documented at developers.google.com/data-manager/api (reference of `events.ingest`, `Event`, `Destination`,
//! `requestStatus.retrieve`). At most 2000 events a request; `transactionId` is what repeats are told by, and an event of
//! the same id with a later `lastUpdatedTimestamp` adjusts it. The reference has no way to take an event back. How far back
//! clicks are found (90 days) could not be verified.

use serde_json::{Value, json};
use url::Url;

use super::{
    Action, Answer, At, Delivery, Done, Login, LoginForm, Looked, Memo, Pace, Request, Step, Told, Traits, below,
    sha256_hex,
};
use crate::config::export::Google;
use crate::time::Wall;

const BASE: &str = "https://datamanager.googleapis.com";
const TOKENS: &str = "https://oauth2.googleapis.com/token";
const AGE_MAX: u64 = 90 * 86_400_000;
const EVENTS: usize = 2_000;

#[derive(Debug)]
pub struct Destination {
    google: Google,
    url: Option<Url>,
}

impl Destination {
    pub fn new(google: Google, url: Option<Url>) -> Destination {
        Destination { google, url }
    }

    fn request(&self, batch: &[Delivery], at: &At<'_>, validate: bool) -> Request {
        let account = |id: &str| json!({ "accountType": "GOOGLE_ADS", "accountId": id });
        let mut destination = json!({
            "operatingAccount": account(&self.google.customer),
            "productDestinationId": self.google.conversion_action,
        });
        if let Some(login) = &self.google.login_customer {
            destination["loginAccount"] = account(login);
        }
        let events: Vec<Value> = batch.iter().filter_map(|delivery| Some(event(delivery, delivery.told()?))).collect();
        let body = json!({
            "destinations": [destination],
            "events": events,
            "encoding": "HEX",
            "validateOnly": validate,
        });
        Request::new("POST", below(self.url.as_ref(), BASE, "v1/events:ingest")).json(&body).bearer(at)
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Conversion, Pace::per_second(5, 5));
        Traits { action, batch: EVENTS, parallel: 1, pace, rings: false, label: false, value: true, retraction: false }
    }

    fn oauth(&self) -> Option<Login<'_>> {
        Some(Login { oauth: &self.google.oauth, usual: TOKENS, form: LoginForm::Form })
    }

    fn fits(&self, told: &Told, _action: Action, now: Wall) -> Result<(), &'static str> {
        if clicks(told).next().is_none() && told.call.caller.is_none() {
            return Err("no_click_id");
        }
        if now.millis_since(told.call.started_at) > AGE_MAX {
            return Err("too_old");
        }
        Ok(())
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        let Some(answer) = answer else { return Step::ask(self.request(batch, at, false)) };
        if let Some(trouble) = answer.trouble() {
            return trouble;
        }
        match answer.json()["requestId"].as_str() {
            Some(id) => Step::Done(Done {
                status: "accepted".into(),
                detail: id.to_owned(),
                look: vec![id.to_owned()],
                refused: Vec::new(),
            }),
            None => Step::again("answer_bad"),
        }
    }

    fn look(&self, reference: &str, at: &At<'_>) -> Option<Request> {
        let mut url = below(self.url.as_ref(), BASE, "v1/requestStatus:retrieve");
        url.query_pairs_mut().append_pair("requestId", reference);
        Some(Request::new("GET", url).bearer(at))
    }

    fn looked(&self, answer: &Answer) -> Looked {
        let said = answer.json();
        let states: Vec<&str> = said["requestStatusPerDestination"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["requestStatus"].as_str())
            .collect();
        let is_known = |state: &&str| matches!(*state, "SUCCESS" | "FAILED" | "PARTIAL_SUCCESS");
        if answer.status() != 200 || states.is_empty() || !states.iter().all(is_known) {
            return Looked::Later;
        }
        Looked::Over { detail: states.join(","), linked: None }
    }

    fn rehearse(&self, batch: &[Delivery], at: &At<'_>) -> Option<Request> {
        Some(self.request(batch, at, true))
    }
}

fn clicks(told: &Told) -> impl Iterator<Item = (&'static str, &str)> {
    ["gclid", "gbraid", "wbraid"].into_iter().filter_map(|name| Some((name, told.click(name)?)))
}

fn event(delivery: &Delivery, told: &Told) -> Value {
    let mut event = json!({
        "transactionId": delivery.event_id,
        "eventTimestamp": told.call.started_at,
        "eventSource": "PHONE",
        "consent": { "adUserData": "CONSENT_GRANTED" },
    });
    if delivery.action == Action::Adjustment {
        event["lastUpdatedTimestamp"] = json!(delivery.made_at);
    }
    for (name, id) in clicks(told) {
        event["adIdentifiers"][name] = json!(id);
    }
    if let Some(caller) = &told.call.caller {
        event["userData"] = json!({ "userIdentifiers": [{ "phoneNumber": sha256_hex(caller) }] });
    }
    if let Some(amount) = &told.value {
        event["conversionValue"] = amount.number();
        event["currency"] = json!(amount.currency);
    }
    event
}
