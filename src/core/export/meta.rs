//! Meta Conversions API.
//!
//! Documented at developers.facebook.com/docs/marketing-api/conversions-api (parameters, using the API). One event that is
//! older than seven days fails its whole request, so age is looked at when a batch is made and again when it is sent. At
//! most 1000 events a request. Repeats are told by `event_name` and `event_id` within 48 hours; the contract has no way to
//! change an event or to take it back. `action_source: phone_call` stands in the documentation's list.

use serde_json::{Map, Value, json};
use url::Url;

use super::{Action, Answer, At, Delivery, Done, Memo, Pace, Request, Step, Told, Traits, below, sha256_hex};
use crate::config::export::Meta;
use crate::time::Wall;

const BASE: &str = "https://graph.facebook.com";
/// Seven days, less what a request takes, in milliseconds.
const AGE_MAX: u64 = 7 * 86_400_000 - 600_000;
const EVENTS: usize = 1_000;

#[derive(Debug)]
pub struct Destination {
    meta: Meta,
    url: Option<Url>,
}

impl Destination {
    pub fn new(meta: Meta, url: Option<Url>) -> Destination {
        Destination { meta, url }
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Conversion, Pace::per_second(5, 5));
        Traits { action, batch: EVENTS, parallel: 1, pace, rings: false, label: false, value: false, retraction: false }
    }

    fn fits(&self, told: &Told, _action: Action, now: Wall) -> Result<(), &'static str> {
        if user_data(told).is_empty() {
            return Err("no_user_data");
        }
        if is_old(told, now) { Err("too_old") } else { Ok(()) }
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        let is_old = |delivery: &Delivery| delivery.told().is_none_or(|told| is_old(told, at.now));
        let old = || batch.iter().enumerate().filter(|(_, delivery)| is_old(delivery));
        let refused: Vec<(usize, String)> = old().map(|(at, _)| (at, "too_old".to_owned())).collect();
        let Some(answer) = answer else {
            let fresh = batch.iter().filter(|delivery| !is_old(delivery));
            let events: Vec<Value> =
                fresh.filter_map(|delivery| Some(event(&self.meta, delivery, delivery.told()?))).collect();
            if events.is_empty() {
                return Step::Done(Done { status: "too_old".into(), refused, ..Done::default() });
            }
            let path = format!("{}/{}/events", self.meta.version, self.meta.dataset);
            let mut url = below(self.url.as_ref(), BASE, &path);
            url.query_pairs_mut().append_pair("access_token", &self.meta.token.0);
            return Step::ask(Request::new("POST", url).json(&json!({ "data": events })));
        };
        if let Some(trouble) = answer.trouble() {
            return trouble;
        }
        let said = answer.json();
        match said["events_received"].as_u64() {
            Some(count) => {
                let trace = said["fbtrace_id"].as_str().unwrap_or_default();
                let detail = format!("{count} received {trace}");
                Step::Done(Done { status: "received".into(), detail, look: Vec::new(), refused })
            }
            None => Step::again("answer_bad"),
        }
    }
}

fn is_old(told: &Told, now: Wall) -> bool {
    now.millis_since(told.call.started_at) > AGE_MAX
}

fn event(meta: &Meta, delivery: &Delivery, told: &Told) -> Value {
    let mut event = json!({
        "event_name": meta.event,
        "event_time": told.call.started_at.seconds(),
        "event_id": delivery.event_id,
        "action_source": "phone_call",
        "user_data": user_data(told),
    });
    if let Some(amount) = &told.value {
        event["custom_data"] = json!({ "value": amount.number(), "currency": amount.currency });
    }
    event
}

fn user_data(told: &Told) -> Map<String, Value> {
    let mut data = Map::new();
    if let Some(digits) = told.call.caller.as_ref().and_then(|caller| caller.strip_prefix('+')) {
        data.insert("ph".into(), json!([sha256_hex(digits)]));
    }
    let clicked = told.session().and_then(|session| session.clicked_at).unwrap_or(told.call.started_at);
    let made = told.click("fbclid").map(|id| format!("fb.1.{}.{id}", clicked.0 / 1_000));
    if let Some(fbc) = told.client("fbc").map(str::to_owned).or(made) {
        data.insert("fbc".into(), json!(fbc));
    }
    if let Some(fbp) = told.client("fbp") {
        data.insert("fbp".into(), json!(fbp));
    }
    data
}
