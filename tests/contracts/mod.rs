//! Servers of ours that hold to the documented contracts of destinations: what is required, of which type, within which
//! limits; what is refused and how; and what the destination would count, once and twice. Where each contract is documented,
//! and what of it could not be verified, stands at the exporter (`src/core/export`).
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used, missing_debug_implementations)] // each test takes what it needs

mod advertising;
mod callrail;
mod crm;
mod identity;
mod metrika;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use advertising::{Ga4, Google, Meta};
pub use callrail::Callrail;
pub use crm::{Amocrm, Bitrix24, Telegram, Webhook};
pub use identity::Identity;
pub use metrika::Metrika;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn new(method: &str, url: &str, headers: impl IntoIterator<Item = (String, String)>, body: &[u8]) -> Got {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Got { method: method.to_owned(), path: path.to_owned(), query, headers, body: body.to_vec() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    pub fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

pub fn said(status: u16, body: &Value) -> Said {
    Said { status, headers: Vec::new(), body: body.to_string() }
}

pub fn empty(status: u16) -> Said {
    Said { status, headers: Vec::new(), body: String::new() }
}

/// One destination.
pub trait Contract: Send {
    fn answer(&mut self, got: &Got) -> Said;

    /// Each thing that the destination would count, as often as it would.
    fn counted(&self) -> Vec<String>;

    /// Why something was refused.
    fn refused(&self) -> &[String];
}

/// Access tokens: each lives as long as the contract says, and some refresh tokens serve once.
#[derive(Debug)]
pub struct Tokens {
    pub refresh: String,
    /// Good until what followed from it is used: else an answer that was lost would lock everybody out. Whether the real
    /// services are so kind could not be verified.
    before: String,
    access: String,
    count: u32,
    /// A new refresh token with every access token.
    pub rotates: bool,
}

impl Tokens {
    pub fn new(rotates: bool) -> Tokens {
        Tokens { refresh: "refresh-0".into(), before: String::new(), access: String::new(), count: 0, rotates }
    }

    pub fn is_good(&mut self, token: &str) -> bool {
        let good = !token.is_empty() && token == self.access;
        if good {
            self.before.clear();
        }
        good
    }

    /// Nobody's token is good any more.
    pub fn expire(&mut self) {
        self.access.clear();
    }

    pub fn answer(&mut self, fields: &BTreeMap<String, String>) -> Said {
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let good = field("grant_type") == "refresh_token"
            && field("client_id") == "client"
            && field("client_secret") == "client secret"
            && (field("refresh_token") == self.refresh
                || !self.before.is_empty() && field("refresh_token") == self.before);
        if !good {
            return said(400, &json!({ "error": "invalid_grant" }));
        }
        self.count += 1;
        self.access = format!("access-{}", self.count);
        if self.rotates {
            field("refresh_token").clone_into(&mut self.before);
            self.refresh = format!("refresh-{}", self.count);
        }
        let mut body = json!({ "access_token": self.access, "expires_in": 3600, "token_type": "Bearer" });
        if self.rotates {
            body["refresh_token"] = json!(self.refresh);
        }
        said(200, &body)
    }
}

pub fn fields_of_form(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

pub fn fields_of_json(body: &Value) -> BTreeMap<String, String> {
    let entries = body.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}
