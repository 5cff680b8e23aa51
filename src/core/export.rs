//! Exports: what a destination is told of which call, and how. Machines without clock, socket or file; `io::export` keeps
//! what they say durable, does what they ask for, and tells them what came of it.
//!
//! * [`plan`] compares what a destination ought to have of a call with what it was given, whenever something about the
//!   call changes: nothing, a first delivery, an adjustment, or a retraction.
//! * A [`Destination`] turns deliveries into requests, one conversation ([`Step`]) at a time, by its documented contract.
//!   Every delivery has an id that stays the same at every attempt, so that what is repeated is not counted twice; where a
//!   contract knows no such id, the destination is asked first whether it has it already.
//! * [`talk`] signs in (OAuth) and leads the conversation; [`pace`] keeps to the destination's limits.

pub mod amocrm;
pub mod bitrix24;
pub mod callrail;
pub mod files;
pub mod ga4;
pub mod google;
pub mod meta;
pub mod metrika;
pub mod notice;
pub mod pace;
pub mod plan;
pub mod talk;
pub mod template;
#[cfg(test)]
pub(crate) mod tests;
pub mod webhook;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use crate::config::export::{Export, ExportKind, OAuth};
use crate::core::event::{CallData, Session};
use crate::core::keeper::Letter;
use crate::limits;
use crate::time::Wall;

pub use notice::Notice;
pub use pace::Pace;
pub use plan::{Planned, Wish, consent_of, plan, wish};

/// What a destination is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A call rings; for destinations that show it to somebody.
    Ring,
    /// A call is over; to the company's own systems.
    Call,
    /// The same, to analytics and advertising.
    Conversion,
    /// What was told has changed.
    Adjustment,
    /// It does not hold any more.
    Retraction,
    /// Words for people.
    Notice,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Ring => "ring",
            Action::Call => "call",
            Action::Conversion => "conversion",
            Action::Adjustment => "adjustment",
            Action::Retraction => "retraction",
            Action::Notice => "notice",
        }
    }
}

/// One thing that one destination is told, as it was when it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Of this delivery alone; the same at every attempt.
    pub id: String,
    /// Of the conversion: its adjustments and its retraction have the same.
    pub event_id: String,
    pub action: Action,
    /// Number of the journal's record that it follows from.
    pub seq: u64,
    pub made_at: Wall,
    #[serde(flatten)]
    pub item: Item,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    Call(Box<Told>),
    Notice(Notice),
}

impl Delivery {
    /// The call it is about.
    pub fn told(&self) -> Option<&Told> {
        match &self.item {
            Item::Call(told) => Some(told),
            Item::Notice(_) => None,
        }
    }
}

/// All that is known of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub call: CallData,
    pub qualified: bool,
    pub first_call: bool,
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    pub value: Option<Amount>,
    /// What the destination was told before; in adjustments.
    #[serde(default)]
    pub before: Option<Content>,
}

/// Money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// In minor units of the currency.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
}

impl Amount {
    /// In whole units, with a point and the currency's own number of decimals.
    pub fn decimal(&self) -> String {
        let digits = decimals(&self.currency);
        let scale = 10_u64.pow(digits);
        let (sign, whole) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        match digits {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{}.{:0width$}", whole / scale, whole % scale, width = digits as usize),
        }
    }

    /// The same as a number of JSON.
    pub fn number(&self) -> Value {
        serde_json::from_str(&self.decimal()).unwrap_or_default()
    }
}

/// Minor units of ISO 4217: two digits but for these.
fn decimals(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// What may change about a call after it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Amount>,
}

impl Told {
    pub fn content(&self) -> Content {
        Content { label: self.label.clone(), value: self.value.clone() }
    }

    pub fn session(&self) -> Option<&Session> {
        self.call.attribution.session.as_deref()
    }

    /// A click id of the visit.
    pub fn click(&self, name: &str) -> Option<&str> {
        self.session()?.click_ids.get(name).map(String::as_str).filter(|id| !id.is_empty())
    }

    /// An id that analytics or advertising gave the visitor.
    pub fn client(&self, name: &str) -> Option<&str> {
        self.session()?.client_ids.get(name).map(String::as_str).filter(|id| !id.is_empty())
    }

    /// `source`, `medium`, `campaign`, …: of the visit, or of the number's channel.
    pub fn campaign(&self, name: &str) -> Option<&str> {
        let of_visit = self.session().and_then(|session| session.utm.get(name));
        let of_channel = || self.call.attribution.channel.as_ref().and_then(|channel| channel.get(name));
        of_visit.or_else(of_channel).map(String::as_str).filter(|text| !text.is_empty())
    }

    pub fn is_answered(&self) -> bool {
        self.call.answered_at.is_some()
    }
}

/// What a destination can be told, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// What it calls a call that is over.
    pub action: Action,
    /// Deliveries in one request.
    pub batch: usize,
    /// Conversations at once.
    pub parallel: usize,
    pub pace: Pace,
    /// It wants to know of calls that ring.
    pub rings: bool,
    /// Changes that it can be told of.
    pub label: bool,
    pub value: bool,
    pub retraction: bool,
}

/// Speaks with one destination by its contract. Deterministic: what it says follows from what it is given.
pub trait Destination: Debug + Send + Sync {
    fn traits(&self) -> Traits;

    /// How it is signed in.
    fn oauth(&self) -> Option<Login<'_>> {
        None
    }

    /// Whether this call can be told to it at all, now; else the stable code of why not.
    fn fits(&self, _told: &Told, _action: Action, _now: Wall) -> Result<(), &'static str> {
        Ok(())
    }

    /// The next step of the conversation about these deliveries: at its begin (`answer` is none) and after each answer.
    fn step(&self, batch: &[Delivery], memo: &mut Memo, answer: Option<&Answer>, at: &At<'_>) -> Step;

    /// What is asked to see what became of an upload; `None`: nothing can be asked.
    fn look(&self, _reference: &str, _at: &At<'_>) -> Option<Request> {
        None
    }

    /// What the answer to it says.
    fn looked(&self, _answer: &Answer) -> Looked {
        Looked::Over { detail: String::new(), linked: None }
    }

    /// A request that the destination judges without counting it.
    fn rehearse(&self, _batch: &[Delivery], _at: &At<'_>) -> Option<Request> {
        None
    }
}

/// OAuth of a destination, and where its tokens are had by its documentation.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub oauth: &'a OAuth,
    pub usual: &'a str,
    pub form: LoginForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginForm {
    /// Fields of a form (RFC 6749).
    Form,
    /// The same fields as JSON.
    Json,
    /// The same fields in the query of a GET.
    Query,
}

/// When and by what right a step is taken.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub now: Wall,
    /// Access token.
    pub token: Option<&'a str>,
}

/// What a conversation remembers; durable after every step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memo {
    /// Attempts before this one: something may have arrived already.
    pub attempts: u32,
    /// Stable id of the batch.
    pub batch: String,
    /// Of this conversation.
    pub talk: Map<String, Value>,
    /// Of the call, over all its deliveries; in batches of one.
    pub call: Map<String, Value>,
}

impl Memo {
    /// A text of the conversation.
    pub fn text(&self, key: &str) -> &str {
        self.talk.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Ask(Box<Ask>),
    Done(Done),
    /// Not now.
    Again {
        code: String,
        after: Option<Duration>,
    },
    /// Never: the destination says that it is bad.
    Refused {
        code: String,
        detail: String,
    },
}

impl Step {
    pub fn ask(request: Request) -> Step {
        Step::Ask(Box::new(Ask::Http(request)))
    }

    pub fn again(code: impl Into<String>) -> Step {
        Step::Again { code: code.into(), after: None }
    }

    pub fn refused(code: impl Into<String>, detail: impl Into<String>) -> Step {
        Step::Refused { code: code.into(), detail: detail.into() }
    }

    pub fn done(status: impl Into<String>) -> Step {
        Step::Done(Done { status: status.into(), ..Done::default() })
    }
}

/// It took them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// What it answered: a status, or a code of ours.
    pub status: String,
    pub detail: String,
    /// References of uploads that are processed later.
    pub look: Vec<String>,
    /// Those it did not take: place in the batch, and why.
    pub refused: Vec<(usize, String)>,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// Not yet known.
    Later,
    Over {
        detail: String,
        /// How many of how many found their visit.
        linked: Option<(u64, u64)>,
    },
}

/// Something that `io` is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Http(Request),
    Mail(Letter),
    /// Puts a file where files go, whole or not at all; one of this name that is there stays.
    File {
        name: String,
        body: Vec<u8>,
    },
    /// Reads the recording of a call.
    Recording(String),
}

/// One request.
#[derive(Clone, PartialEq)]
pub struct Request {
    pub method: &'static str,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Without path, query and headers, which may hold keys, and without the body, which holds people's data.
impl Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        write!(f, "{} {} …/{last}", self.method, self.url.host_str().unwrap_or_default())
    }
}

impl Request {
    pub fn new(method: &'static str, url: Url) -> Request {
        Request { method, url, headers: Vec::new(), body: Vec::new() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Request {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn bearer(self, at: &At<'_>) -> Request {
        let token = at.token.unwrap_or_default();
        self.header("authorization", format!("Bearer {token}"))
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> Request {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Request {
        self.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }
}

/// What came of an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Came {
        status: u16,
        /// What it said of when to come back.
        retry_after: Option<Duration>,
        body: Vec<u8>,
    },
    /// Nothing came; a stable code. Whether the request arrived is not known.
    Failed(String),
}

impl Answer {
    pub fn status(&self) -> u16 {
        match self {
            Answer::Came { status, .. } => *status,
            Answer::Failed(_) => 0,
        }
    }

    pub fn body(&self) -> &[u8] {
        match self {
            Answer::Came { body, .. } => body,
            Answer::Failed(_) => &[],
        }
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap_or_default()
    }

    /// What an answer other than a success means, when nothing else is documented: limits and faults of the server pass,
    /// credentials are mended by somebody, all else is refused. `None`: a success.
    pub fn trouble(&self) -> Option<Step> {
        match self {
            Answer::Failed(code) => Some(Step::again(code.clone())),
            Answer::Came { status: 200..=299, .. } => None,
            Answer::Came { status, retry_after, body } => {
                let code = format!("status_{status}");
                Some(match status {
                    300..=399 => Step::again("redirect_refused"),
                    401 | 403 | 407 | 408 | 425 | 429 | 500.. => Step::Again { code, after: *retry_after },
                    _ => Step::Refused { code, detail: shown(body) },
                })
            }
        }
    }
}

/// The begin of an answer, as it may stand in a log: one line, without control characters.
pub fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..4 * limits::EXPORT_DETAIL).unwrap_or(body)).into_owned();
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(limits::EXPORT_DETAIL).collect::<String>().trim().to_owned()
}

/// SHA-256 in hexadecimal digits.
pub fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The destination that a configuration means.
pub fn destination(export: &Export) -> Arc<dyn Destination> {
    let url = export.url.clone();
    match &export.kind {
        ExportKind::Ga4(ga4) => Arc::new(ga4::Destination::new(ga4.clone(), url)),
        ExportKind::Metrika(metrika) => Arc::new(metrika::Destination::new(metrika.clone(), url)),
        ExportKind::Google(google) => Arc::new(google::Destination::new(google.clone(), url)),
        ExportKind::Meta(meta) => Arc::new(meta::Destination::new(meta.clone(), url)),
        ExportKind::Bitrix24(bitrix) => Arc::new(bitrix24::Destination::new(bitrix.clone(), url)),
        ExportKind::Amocrm(amocrm) => Arc::new(amocrm::Destination::new(amocrm.clone(), url)),
        ExportKind::Webhook(webhook) => Arc::new(webhook::Destination::new(webhook.clone(), url)),
        ExportKind::Callrail(callrail) => Arc::new(callrail::Destination::new(callrail.clone(), url)),
        ExportKind::Mail(mail) => Arc::new(notice::ByMail::new(mail.clone())),
        ExportKind::Telegram(telegram) => Arc::new(notice::ByTelegram::new(telegram.clone(), url)),
        ExportKind::Files(files) => Arc::new(files::Destination::new(files.clone(), export.name.clone())),
    }
}

/// A base URL with a path behind it. `usual` is a URL of ours and good.
fn below(base: Option<&Url>, usual: &str, path: &str) -> Url {
    let mut url = base.cloned().or_else(|| Url::parse(usual).ok()).unwrap_or_else(nowhere);
    let joined = format!("{}/{}", url.path().trim_end_matches('/'), path.trim_start_matches('/'));
    url.set_path(&joined);
    url
}

/// Stands where a URL that the configuration must have is missing; nobody resolves it (RFC 2606).
fn nowhere() -> Url {
    Url::parse("https://destination.invalid/").expect("a URL")
}
