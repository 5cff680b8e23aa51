//! Leads one conversation with a destination: signs in, asks, hears, until it is done or is to be tried again.
//!
//! Some services give a new refresh token with every access token and take the old one once. It is written down before it is
//! used; an answer that a crash swallows leaves the old one, and should the service not take that any more, deliveries wait
//! until somebody signs in anew.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Answer, Ask, At, Delivery, Destination, Login, LoginForm, Memo, Request, Step};
use crate::limits;
use crate::time::Wall;

/// Tokens as the destination gave them; durable, because some refresh tokens serve once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    pub access: Option<String>,
    pub expires_at: Wall,
    /// The one that came last; none: the configuration's.
    pub refresh: Option<String>,
    /// Which of the configuration's it followed from (a hash): another one there begins anew.
    #[serde(default)]
    pub from: String,
}

/// A token is renewed so long before its end.
const EARLY: Duration = Duration::from_secs(120);

/// One conversation about one batch.
#[derive(Debug)]
pub struct Talk {
    destination: Arc<dyn Destination>,
    pub batch: Vec<Delivery>,
    pub memo: Memo,
    pub tokens: Tokens,
    asked: Asked,
    /// A token that was just made is not made again when it is refused.
    renewed: bool,
    steps: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Token,
    Destination,
}

impl Talk {
    pub fn new(destination: Arc<dyn Destination>, batch: Vec<Delivery>, memo: Memo, tokens: Tokens) -> Talk {
        Talk { destination, batch, memo, tokens, asked: Asked::Nothing, renewed: false, steps: 0 }
    }

    /// What follows: at the begin without an answer, then with the answer to what was asked. What it changed in `memo` and
    /// `tokens` is to be durable before the next thing is asked.
    pub fn next(&mut self, answer: Option<Answer>, now: Wall) -> Step {
        self.steps += 1;
        if self.steps > limits::EXPORT_STEPS {
            return Step::again("too_many_steps");
        }
        let answer = match (self.asked, answer) {
            (Asked::Token, Some(answer)) => match take_token(&mut self.tokens, &answer, now) {
                Ok(()) => None,
                Err(step) => return step,
            },
            (_, answer) => answer,
        };
        if let Some(login) = self.destination.oauth() {
            let refused = answer.as_ref().is_some_and(|answer| answer.status() == 401) && !self.renewed;
            begin_tokens(&mut self.tokens, &login);
            if refused || self.tokens.access.is_none() || self.tokens.expires_at < now + EARLY {
                if self.renewed && !refused {
                    return Step::again("token_expired_at_once");
                }
                (self.asked, self.renewed) = (Asked::Token, true);
                return Step::ask(token_request(&login, &self.tokens));
            }
        }
        self.asked = Asked::Destination;
        let at = At { now, token: self.tokens.access.as_deref() };
        self.destination.step(&self.batch, &mut self.memo, answer.as_ref(), &at)
    }
}

/// For one request outside of a conversation: a token first, when it is needed.
pub fn token_wanted(destination: &dyn Destination, tokens: &mut Tokens, now: Wall) -> Option<Request> {
    let login = destination.oauth()?;
    begin_tokens(tokens, &login);
    let good = tokens.access.is_some() && tokens.expires_at >= now + EARLY;
    (!good).then(|| token_request(&login, tokens))
}

fn begin_tokens(tokens: &mut Tokens, login: &Login<'_>) {
    let from = super::sha256_hex(&login.oauth.refresh_token.0);
    if tokens.from != from {
        *tokens = Tokens { from, ..Tokens::default() };
    }
}

fn token_request(login: &Login<'_>, tokens: &Tokens) -> Request {
    let oauth = login.oauth;
    let mut url = oauth.token_url.clone().or_else(|| Url::parse(login.usual).ok()).unwrap_or_else(super::nowhere);
    let refresh = tokens.refresh.as_deref().unwrap_or(&oauth.refresh_token.0);
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("client_id", &oauth.client_id),
        ("client_secret", &oauth.client_secret.0),
        ("refresh_token", refresh),
    ];
    fields.extend(oauth.redirect_uri.as_deref().map(|uri| ("redirect_uri", uri)));
    match login.form {
        LoginForm::Form => Request::new("POST", url).form(&fields),
        LoginForm::Json => {
            let object: serde_json::Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            Request::new("POST", url).json(&Value::Object(object))
        }
        LoginForm::Query => {
            url.query_pairs_mut().extend_pairs(fields);
            Request::new("GET", url)
        }
    }
}

/// Reads a token endpoint's answer (RFC 6749 §5.1).
///
/// # Errors
/// The step that follows when there is no token in it: somebody has to mend the credentials, so it is tried again.
pub fn take_token(tokens: &mut Tokens, answer: &Answer, now: Wall) -> Result<(), Step> {
    if let Some(trouble) = answer.trouble() {
        return Err(match trouble {
            Step::Again { code, after } => Step::Again { code: format!("token_{code}"), after },
            Step::Refused { code, .. } => Step::again(format!("token_{code}")),
            other => other,
        });
    }
    let said = answer.json();
    let Some(access) = said["access_token"].as_str().filter(|token| is_header_value(token)) else {
        return Err(Step::again("token_answer_bad"));
    };
    let lives = said["expires_in"].as_u64().unwrap_or(3_600).min(86_400 * 30);
    tokens.access = Some(access.to_owned());
    // One that says it lives shorter than we renew early is used for what it is worth.
    tokens.expires_at = now + Duration::from_secs(lives).max(EARLY * 2);
    if let Some(refresh) = said["refresh_token"].as_str().filter(|token| !token.is_empty()) {
        tokens.refresh = Some(refresh.to_owned());
    }
    Ok(())
}

fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

/// Names what is asked, for logs: never with keys or people's data.
pub fn label(ask: &Ask) -> String {
    match ask {
        Ask::Http(request) => format!("{request:?}"),
        Ask::Mail(_) => "letter".to_owned(),
        Ask::File { name, .. } => format!("file {name}"),
        Ask::Recording(_) => "recording".to_owned(),
    }
}
