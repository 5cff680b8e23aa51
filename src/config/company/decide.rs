//! `[company.decide]`: a webhook that says where a call goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::Secret;
use super::Destination;

/// A webhook that is asked for each call of the company, before anybody is called.
#[derive(Clone)]
pub struct Decide {
    pub url: Url,
    /// Longest wait for its answer; default 800 ms.
    pub timeout: Duration,
    /// What happens without an answer.
    pub fallback: Fallback,
    /// Signs the questions, the Standard Webhooks way.
    pub secret: Secret,
    /// Sent with every question.
    pub headers: BTreeMap<String, String>,
    pub allow_private: bool,
    /// Destinations that only an answer names.
    pub forward_to: Vec<Arc<Destination>>,
}

impl std::fmt::Debug for Decide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values of headers are often keys.
        let headers: Vec<&String> = self.headers.keys().collect();
        f.debug_struct("Decide")
            .field("url", &self.url.as_str())
            .field("timeout", &self.timeout)
            .field("fallback", &self.fallback)
            .field("headers", &headers)
            .field("allow_private", &self.allow_private)
            .field("forward_to", &self.forward_to)
            .finish_non_exhaustive()
    }
}

/// What happens to a call that nobody decided on in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// It goes where it would have gone without the webhook.
    #[default]
    Route,
    /// It is refused with 480.
    Refuse,
}

impl Fallback {
    pub const ALL: [(&'static str, Fallback); 2] = [("route", Fallback::Route), ("refuse", Fallback::Refuse)];

    pub const fn as_str(self) -> &'static str {
        match self {
            Fallback::Route => "route",
            Fallback::Refuse => "refuse",
        }
    }
}
