//! Orders to providers, over HTTP, signed as webhooks are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::config::keeper::Provider;
use crate::core::keeper::order::answer;
use crate::core::keeper::{Answer, Order};
use crate::io::clock;
use crate::io::sinks::Webhook;
use crate::limits;

/// Connections to providers, kept while their configuration stays as it is.
#[derive(Debug, Default)]
pub(super) struct Providers {
    known: HashMap<String, (Arc<Provider>, Arc<Webhook>)>,
}

impl Providers {
    /// Sends an order; `answered` is told exactly once, whatever happens.
    pub(super) fn send(&mut self, config: &Config, order: Order, answered: impl FnOnce(Answer) + Send + 'static) {
        let Some(provider) = config.keeping.providers.iter().find(|provider| provider.name == order.provider) else {
            return answered(Answer::Failed("provider_unknown".to_owned()));
        };
        let webhook = match self.webhook(provider) {
            Ok(webhook) => webhook,
            Err(reason) => return answered(Answer::Failed(reason)),
        };
        let timeout = provider.timeout;
        super::spawn(async move {
            let asked = tokio::time::timeout(timeout, ask(&webhook, order)).await;
            answered(asked.unwrap_or_else(|_| Answer::Failed("timeout".to_owned())));
        });
    }

    fn webhook(&mut self, provider: &Arc<Provider>) -> Result<Arc<Webhook>, String> {
        if let Some((known, webhook)) = self.known.get(&provider.name)
            && is_same(known, provider)
        {
            return Ok(Arc::clone(webhook));
        }
        let Provider { url, secret, headers, allow_private, timeout, .. } = &**provider;
        let webhook = Webhook::new(url, secret, headers, *allow_private, *timeout).map_err(|error| {
            tracing::error!(provider = provider.name, %error, "this provider cannot be asked");
            "provider_unusable".to_owned()
        })?;
        let webhook = Arc::new(webhook);
        self.known.insert(provider.name.clone(), (Arc::clone(provider), Arc::clone(&webhook)));
        Ok(webhook)
    }
}

async fn ask(webhook: &Webhook, order: Order) -> Answer {
    let asked = webhook.post(&order.order_id, "application/json; charset=utf-8", order.body, clock::wall()).await;
    let mut response = match asked {
        Ok(response) => response,
        Err(failure) => return Answer::Failed(failure.code),
    };
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limits::PROVIDER_REPLY => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let detail = Some("its answer is too long".to_owned());
                return Answer::Refused { code: "provider_answer_bad".to_owned(), detail };
            }
            Ok(None) => return answer(status, &body, retry_after.map(Duration::from_secs)),
            // It may have given numbers: only the same question again can tell.
            Err(_) => return Answer::Failed("answer_cut".to_owned()),
        }
    }
}

fn is_same(one: &Provider, other: &Provider) -> bool {
    (&one.url, &one.secret, &one.headers) == (&other.url, &other.secret, &other.headers)
        && (one.allow_private, one.timeout) == (other.allow_private, other.timeout)
}
