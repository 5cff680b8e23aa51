//! Asks companies' webhooks where calls go: `[company.decide]`.
//!
//! Signed and guarded as the webhook sinks are. Runs beside signalling, on the runtime of the web: a handshake of TLS
//! takes longer than a whole call's signalling may. What is asked and what an answer means is [`crate::core::decide`]'s;
//! here each question gets exactly one answer, within its time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::config::{Company, Config, Decide};
use crate::core::decide::Ask;
use crate::io::clock;
use crate::io::signalling::Command;
use crate::io::sinks::{BadWebhook, Webhook};
use crate::limits;

/// All companies' webhooks.
#[derive(Debug)]
pub struct Deciders {
    runtime: Handle,
    commands: mpsc::UnboundedSender<Command>,
    by_company: HashMap<String, Asked>,
    /// Requests under way: those whose calls were given up go on for the rest of their time.
    slots: Arc<Semaphore>,
}

#[derive(Debug)]
struct Asked {
    rules: Decide,
    webhook: Arc<Webhook>,
}

/// A webhook that cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("[company.decide] of {company}: {error}")]
pub struct BadDecider {
    pub company: String,
    pub error: BadWebhook,
}

impl Deciders {
    /// None yet: [`Deciders::apply`] has them. Requests run on `runtime`, answers go to `commands`.
    pub fn new(runtime: Handle, commands: mpsc::UnboundedSender<Command>) -> Deciders {
        let slots = Arc::new(Semaphore::new(limits::DECISIONS * 2));
        Deciders { runtime, commands, by_company: HashMap::new(), slots }
    }

    /// Makes the configuration's webhooks the ones that are asked; those that are the same keep their connections.
    /// Returns those that cannot be asked.
    pub fn apply(&mut self, config: &Config) -> Vec<BadDecider> {
        let mut before = std::mem::take(&mut self.by_company);
        let mut bad = Vec::new();
        for company in &config.companies {
            let Company { name, decide: Some(rules), .. } = &**company else { continue };
            let kept = before.remove(name).filter(|asked| is_same(&asked.rules, rules));
            let asked = match kept {
                Some(asked) => Ok(asked),
                None => Webhook::new(&rules.url, &rules.secret, &rules.headers, rules.allow_private, rules.timeout)
                    .map(|webhook| Asked { rules: rules.clone(), webhook: Arc::new(webhook) }),
            };
            match asked {
                Ok(asked) => drop(self.by_company.insert(name.clone(), asked)),
                Err(error) => bad.push(BadDecider { company: name.clone(), error }),
            }
        }
        bad
    }

    /// Asks. Never waits.
    pub fn ask(&self, ask: Ask) {
        let commands = self.commands.clone();
        // Signalling is gone: nobody wants to know.
        let answer = move |answer| drop(commands.send(Command::Decided(ask.call, answer)));
        let Some(asked) = self.by_company.get(&ask.company) else { return answer(Err("decision_unreachable")) };
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return answer(Err("decision_too_many")) };
        let (webhook, timeout) = (Arc::clone(&asked.webhook), asked.rules.timeout);
        self.runtime.spawn(async move {
            let _slot = slot;
            answer(fetch(&webhook, timeout, ask.call.to_string(), ask.body).await);
        });
    }
}

/// What the webhook answered with a 2xx, or the code of why not.
async fn fetch(webhook: &Webhook, timeout: Duration, id: String, body: String) -> Result<Bytes, &'static str> {
    let asked = async {
        let response = webhook.post(&id, "application/json; charset=utf-8", body, clock::wall()).await;
        let mut response = response.map_err(|failure| match failure.code.as_str() {
            "timeout" => "decision_late",
            _ => "decision_unreachable",
        })?;
        if !response.status().is_success() {
            return Err("decision_status");
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| "decision_unreachable")? {
            if body.len() + chunk.len() > limits::DECISION_REPLY {
                return Err("decision_unreadable");
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(timeout, asked).await.unwrap_or(Err("decision_late"))
}

fn is_same(one: &Decide, other: &Decide) -> bool {
    (&one.url, &one.secret.0, &one.headers) == (&other.url, &other.secret.0, &other.headers)
        && (one.allow_private, one.timeout) == (other.allow_private, other.timeout)
}
