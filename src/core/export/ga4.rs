//! Google Analytics 4, Measurement Protocol: one event a call.
//!
//! Documented at developers.google.com/analytics/devguides/collection/protocol/ga4 (reference, sending events). The
//! endpoint answers 2xx to whatever it is sent; only `/debug/mp/collect` validates, which the dry run asks. Limits (25
//! parameters, names of 40 and values of 100 characters, 72 hours back) are of the same pages. Google drops repeats by
//! `transaction_id` for the event `purchase` only; with another name, an attempt whose answer was lost counts twice there.
//! Telephone numbers never go to Analytics (its policy on personal data).

use serde_json::{Map, Value, json};
use url::Url;

use super::plan::{Consent, consent_of};
use super::{Action, Answer, At, Delivery, Memo, Pace, Request, Step, Told, Traits, below};
use crate::config::export::Ga4;
use crate::time::Wall;

const BASE: &str = "https://www.google-analytics.com";
/// Events may be so old, in milliseconds.
const AGE_MAX: u64 = 72 * 3_600_000;
/// Characters of a parameter's value.
const VALUE_MAX: usize = 100;

#[derive(Debug)]
pub struct Destination {
    ga4: Ga4,
    url: Option<Url>,
}

impl Destination {
    pub fn new(ga4: Ga4, url: Option<Url>) -> Destination {
        Destination { ga4, url }
    }

    fn request(&self, path: &str, batch: &[Delivery], at: &At<'_>) -> Option<Request> {
        let delivery = batch.first()?;
        let body = body(&self.ga4, delivery, delivery.told()?, at.now);
        let mut url = below(self.url.as_ref(), BASE, path);
        url.query_pairs_mut()
            .append_pair("measurement_id", &self.ga4.measurement_id)
            .append_pair("api_secret", &self.ga4.api_secret.0);
        Some(Request::new("POST", url).json(&body))
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Conversion, Pace::per_second(20, 20));
        Traits { action, batch: 1, parallel: 4, pace, rings: false, label: true, value: true, retraction: true }
    }

    fn fits(&self, told: &Told, action: Action, now: Wall) -> Result<(), &'static str> {
        if told.client("ga").is_none() {
            return Err("no_client_id");
        }
        if action == Action::Conversion && now.millis_since(told.call.started_at) > AGE_MAX {
            return Err("too_old");
        }
        Ok(())
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        match answer {
            None => self.request("mp/collect", batch, at).map_or(Step::refused("not_a_call", ""), Step::ask),
            Some(answer) => answer.trouble().unwrap_or_else(|| Step::done(format!("status_{}", answer.status()))),
        }
    }

    fn rehearse(&self, batch: &[Delivery], at: &At<'_>) -> Option<Request> {
        self.request("debug/mp/collect", batch, at)
    }
}

fn body(ga4: &Ga4, delivery: &Delivery, told: &Told, now: Wall) -> Value {
    let call = &told.call;
    // A change happens when it is made; a call may be as old as the protocol allows.
    let (name, time) = match delivery.action {
        Action::Adjustment => ("call_updated", now),
        Action::Retraction => ("refund", now),
        _ => (ga4.event.as_str(), call.started_at),
    };
    let mut params = Map::new();
    let mut put = |name: &str, value: Value| drop(params.insert(name.to_owned(), value));
    if let Some(session) = told.client("ga_session") {
        put("session_id", json!(session));
    }
    put("engagement_time_msec", json!(call.talk_ms.max(1)));
    put("transaction_id", json!(delivery.event_id));
    put("call_id", json!(call.call_id));
    let amount = told.value.as_ref().or(told.before.as_ref().and_then(|before| before.value.as_ref()));
    if let Some(amount) = amount {
        put("value", amount.number());
        put("currency", json!(amount.currency));
    }
    put("call_duration", json!(call.talk_ms / 1_000));
    put("call_quality", json!(if told.qualified { "target" } else { "other" }));
    put("call_answered", json!(u8::from(told.is_answered())));
    put("first_call", json!(u8::from(told.first_call)));
    put("pool", json!(short(&call.pool)));
    if let Some(label) = &told.label {
        put("call_label", json!(short(label)));
    }
    let ads = if consent_of(call) == Consent::Advertising { "GRANTED" } else { "DENIED" };
    json!({
        "client_id": told.client("ga").unwrap_or_default(),
        "timestamp_micros": time.0.to_string(),
        "consent": { "ad_user_data": ads, "ad_personalization": "DENIED" },
        "events": [{ "name": name, "params": params }],
    })
}

fn short(text: &str) -> String {
    text.chars().take(VALUE_MAX).collect()
}
