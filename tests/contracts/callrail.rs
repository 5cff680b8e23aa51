//! What reads CallRail's webhooks: Post-Call, and Call Modified.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac_srtp::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha1::Sha1;

use super::{Contract, Got, Said, empty};

/// Checks `Signature` and the fields that CallRail always gives; a repeated `webhook-id` is dropped.
#[derive(Default)]
pub struct Callrail {
    pub got: BTreeMap<String, Value>,
    /// In the order in which they came first.
    pub order: Vec<String>,
    refused: Vec<String>,
}

impl Callrail {
    fn problem(got: &Got) -> Option<&'static str> {
        let mac = Hmac::<Sha1>::new_from_slice(b"rail secret").unwrap().chain_update(&got.body);
        if got.header("signature") != STANDARD.encode(mac.finalize().into_bytes()) {
            return Some("signature");
        }
        let body = got.json();
        let is_text = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
        let is_text_or_null = |name: &str| body.get(name).is_some_and(|value| value.is_null() || value.is_string());
        if !["id", "resource_id", "start_time", "tracking_phone_number"].into_iter().all(is_text) {
            return Some("required text");
        }
        let may_be_null = [
            "business_phone_number",
            "customer_city",
            "customer_country",
            "customer_name",
            "customer_phone_number",
            "customer_state",
            "recording",
            "recording_player",
        ];
        if !may_be_null.into_iter().all(is_text_or_null) {
            return Some("text or null");
        }
        if !body["answered"].is_boolean() || !body["voicemail"].is_boolean() || !body["duration"].is_u64() {
            return Some("types");
        }
        if !matches!(body["direction"].as_str(), Some("inbound" | "outbound")) {
            return Some("direction");
        }
        let changed = body["changes"].as_array().is_some_and(|changes| !changes.is_empty());
        match body["event"].as_str() {
            Some("post_call") => None,
            Some("call_modified") if changed => None,
            _ => Some("event"),
        }
    }
}

impl Contract for Callrail {
    fn answer(&mut self, got: &Got) -> Said {
        if let Some(problem) = Callrail::problem(got) {
            self.refused.push(problem.to_owned());
            return empty(400);
        }
        let id = got.header("webhook-id").to_owned();
        if self.got.insert(id.clone(), got.json()).is_none() {
            self.order.push(id);
        }
        empty(200)
    }

    fn counted(&self) -> Vec<String> {
        let what = |body: &Value| format!("{} {}", body["event"].as_str().unwrap(), body["resource_id"]);
        self.got.values().map(what).collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}
