//! Webhooks in the shape of CallRail's, so that what reads those reads ours: Post-Call, and Call Modified when a label or a
//! value changes.
//!
//! Documented at apidocs.callrail.com (calls, webhooks); field names as its connectors read them. `Signature` is theirs,
//! base64 of HMAC-SHA1 over the body; `webhook-id` and `webhook-signature` (Standard Webhooks, HMAC-SHA256) are ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac_srtp::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use url::Url;

use super::{Action, Answer, At, Delivery, Memo, Pace, Request, Step, Told, Traits, below};
use crate::config::export::Callrail;
use crate::core::event::{AttributionKind, Outcome};
use crate::core::signature;

#[derive(Debug)]
pub struct Destination {
    callrail: Callrail,
    url: Option<Url>,
}

impl Destination {
    pub fn new(callrail: Callrail, url: Option<Url>) -> Destination {
        Destination { callrail, url }
    }

    fn request(&self, delivery: &Delivery, told: &Told, at: &At<'_>) -> Request {
        let mut body = fields(told, &self.callrail.account);
        body["event"] = json!(if delivery.action == Action::Call { "post_call" } else { "call_modified" });
        body["resource_id"] = json!(told.call.call_id);
        body["timestamp"] = json!(at.now);
        if let Some(before) = &told.before {
            let mut changes = Vec::new();
            if before.label != told.label {
                changes.push("tags");
            }
            if before.value != told.value {
                changes.push("value");
            }
            body["changes"] = json!(changes);
        }
        let body = body.to_string();
        let (id, timestamp) = (&delivery.id, at.now.0.div_euclid(1_000_000));
        let secret = &self.callrail.secret.0;
        let signed = signature::signature(&signature::key(secret), id, timestamp, body.as_bytes());
        let mut request = Request::new("POST", self.url.clone().unwrap_or_else(|| below(None, "", "")))
            .header("content-type", "application/json")
            .header("signature", sha1_signature(secret.as_bytes(), body.as_bytes()))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signed);
        request.body = body.into_bytes();
        request
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Call, Pace::per_second(20, 20));
        Traits { action, batch: 1, parallel: 4, pace, rings: false, label: true, value: true, retraction: true }
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        match (answer, batch.first()) {
            (None, Some(delivery)) => match delivery.told() {
                Some(told) => Step::ask(self.request(delivery, told, at)),
                None => Step::refused("not_a_call", ""),
            },
            (Some(answer), _) => answer.trouble().unwrap_or_else(|| Step::done(format!("status_{}", answer.status()))),
            (None, None) => Step::refused("not_a_call", ""),
        }
    }
}

fn sha1_signature(key: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A call in CallRail's fields: those it always gives, and those it gives when asked. What we do not know is null.
pub fn fields(told: &Told, account: &str) -> Value {
    let call = &told.call;
    let has_recording = call.recording.as_ref().is_some_and(|recording| recording.path.is_some());
    let recording = format!("/v3/a/{account}/calls/{}/recording.json", call.call_id);
    let page = |name: &str| told.session().and_then(|session| session.client.get(name));
    let referrer = told.session().and_then(|session| session.referrer.as_deref());
    let host = referrer.and_then(|url| Url::parse(url).ok()).and_then(|url| url.host_str().map(str::to_owned));
    let source = told.campaign("source");
    let kind = match call.outcome {
        Some(Outcome::Voicemail) => "voicemail",
        _ if told.is_answered() => "answered",
        Some(Outcome::Cancelled) => "abandoned",
        _ => "missed",
    };
    let spam = told.label.as_deref() == Some("spam");
    let mut fields = json!({
        "id": call.call_id,
        "answered": told.is_answered(),
        "business_phone_number": Value::Null,
        "customer_city": Value::Null,
        "customer_country": call.attribution.caller_region.as_deref().map(|region| region.get(..2).unwrap_or(region)),
        "customer_name": call.caller_name,
        "customer_phone_number": call.caller,
        "customer_state": call.attribution.caller_region.as_deref().and_then(|region| region.get(3..)),
        "direction": "inbound",
        "duration": (call.talk_ms + call.ring_ms) / 1_000,
        "recording": has_recording.then_some(&recording),
        "recording_duration": call.recording.as_ref().filter(|_| has_recording).map(|r| r.duration_ms / 1_000),
        "recording_player": Value::Null,
        "start_time": call.started_at,
        "tracking_phone_number": call.number,
        "voicemail": call.outcome == Some(Outcome::Voicemail),
    });
    let asked = json!({
        "agent_email": Value::Null,
        "call_type": kind,
        "campaign": told.campaign("campaign"),
        "company_id": call.company,
        "company_name": call.company,
        "created_at": call.started_at,
        "first_call": told.first_call,
        "formatted_duration": format!("{}m {}s", call.talk_ms / 60_000, call.talk_ms / 1_000 % 60),
        "formatted_tracking_source": source,
        "good_lead_call_time": Value::Null,
        "keywords": told.campaign("term"),
        "landing_page_url": told.session().and_then(|session| session.landing_page.as_deref()),
        "last_requested_url": page("page"),
        "lead_status": lead_status(told),
        "medium": told.campaign("medium"),
        "note": call.caller_note,
        "referrer_domain": host,
        "referring_url": referrer,
        "source": source,
        "source_name": match call.attribution.kind {
            AttributionKind::Static => call.pool.as_str(),
            _ => source.unwrap_or("unknown"),
        },
        "spam": spam,
        "tags": told.label.iter().map(|label| json!({ "name": label })).collect::<Vec<_>>(),
        "tracker_id": call.pool,
        "utm_campaign": told.campaign("campaign"),
        "utm_content": told.campaign("content"),
        "utm_medium": told.campaign("medium"),
        "utm_source": source,
        "utm_term": told.campaign("term"),
        "ga": told.client("ga"),
        "gclid": told.click("gclid"),
        "fbclid": told.click("fbclid"),
        "msclkid": told.click("msclkid"),
        "value": told.value.as_ref().map(super::Amount::decimal),
    });
    if let (Value::Object(fields), Value::Object(asked)) = (&mut fields, asked) {
        fields.extend(asked);
    }
    fields
}

fn lead_status(told: &Told) -> Option<&'static str> {
    match told.label.as_deref()? {
        "good" | "warm" | "qualified" | "quality" => Some("good_lead"),
        "spam" | "bad" => Some("not_a_lead"),
        _ => None,
    }
}
