//! One's own receiver: JSON, or whatever a template makes of it. Signed the Standard Webhooks way when there is a secret;
//! `webhook-id` is the delivery's id, the same at every attempt.

use serde_json::{Value, json};
use url::Url;

use super::{Action, Answer, At, Delivery, Memo, Pace, Request, Step, Traits, below, template};
use crate::config::export::Webhook;
use crate::core::signature;

#[derive(Debug)]
pub struct Destination {
    webhook: Webhook,
    url: Option<Url>,
}

impl Destination {
    pub fn new(webhook: Webhook, url: Option<Url>) -> Destination {
        Destination { webhook, url }
    }

    /// # Errors
    /// The template could not be rendered; what it says of why.
    fn request(&self, delivery: &Delivery, at: &At<'_>) -> Result<Request, String> {
        let values = values(delivery);
        let body = match &self.webhook.template {
            Some(text) => template::render(text, &values)?,
            None => values.to_string(),
        };
        let url = self.url.clone().unwrap_or_else(|| below(None, "", ""));
        let timestamp = at.now.0.div_euclid(1_000_000);
        let mut request = Request::new("POST", url)
            .header("content-type", &self.webhook.content_type)
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", timestamp.to_string());
        if let Some(secret) = &self.webhook.secret {
            let key = signature::key(&secret.0);
            let signed = signature::signature(&key, &delivery.id, timestamp, body.as_bytes());
            request = request.header("webhook-signature", signed);
        }
        for (name, value) in &self.webhook.headers {
            request = request.header(name, &*value.0);
        }
        request.body = body.into_bytes();
        Ok(request)
    }
}

/// What a template has, and what is sent without one.
pub(super) fn values(delivery: &Delivery) -> Value {
    let head = json!({
        "delivery_id": delivery.id,
        "event_id": delivery.event_id,
        "action": delivery.action,
        "made_at": delivery.made_at,
    });
    let Some(told) = delivery.told() else { return head };
    let mut values = head;
    values["label"] = json!(told.label);
    values["value"] = told.value.as_ref().map_or(Value::Null, super::Amount::number);
    values["currency"] = json!(told.value.as_ref().map(|value| &value.currency));
    values["qualified"] = json!(told.qualified);
    values["first_call"] = json!(told.first_call);
    values["before"] = json!(told.before);
    values["call"] = json!(told.call);
    values
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Call, Pace::per_second(20, 20));
        Traits { action, batch: 1, parallel: 4, pace, rings: false, label: true, value: true, retraction: true }
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step {
        match (answer, batch.first()) {
            (None, Some(delivery)) => match self.request(delivery, at) {
                Ok(request) => Step::ask(request),
                Err(why) => Step::refused("template_failed", why),
            },
            (Some(answer), _) => answer.trouble().unwrap_or_else(|| Step::done(format!("status_{}", answer.status()))),
            (None, None) => Step::refused("not_a_call", ""),
        }
    }
}
