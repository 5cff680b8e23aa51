//! `[[export]]`: who else is told of calls, of which ones, and with which credentials.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{S3, Secret};
use crate::core::event::AttributionKind;

/// One destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Names its deliveries, and its file in `<data_dir>/exports`.
    pub name: String,
    /// Calls of this company only; none: of all.
    pub company: Option<String>,
    /// Where the destination's interface is. Default: where its documentation says.
    pub url: Option<url::Url>,
    /// Addresses inside this network may be called; default: only when `url` names one literally.
    pub allow_private: bool,
    /// A new destination begins with the oldest call of the journal; default: with the next one.
    pub history: bool,
    /// Deliveries are gathered for so long, where the destination takes several at once.
    pub every: Duration,
    pub filter: Filter,
    pub kind: ExportKind,
}

/// Which calls a destination is told of. All that is asked for must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Talk was as long as the pool wants of a quality call.
    pub qualified: bool,
    /// The attribution is at least so sure, 0 to 1.
    pub confidence: f64,
    /// The visitor agreed to what the destination does.
    pub consent: bool,
    /// The call has one of these labels; it is waited for. Empty: any or none.
    pub labels: Vec<String>,
    /// The call has none of these labels.
    pub not_labels: Vec<String>,
    /// The caller never called this company before.
    pub first_call: bool,
    /// Kinds of attribution.
    pub attribution: Vec<AttributionKind>,
    /// How long a call waits for its label.
    pub wait: Duration,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            qualified: false,
            confidence: 0.0,
            consent: false,
            labels: Vec::new(),
            not_labels: vec!["spam".to_owned()],
            first_call: false,
            attribution: vec![AttributionKind::Visitor, AttributionKind::Static, AttributionKind::None],
            wait: Duration::from_secs(21 * 86_400),
        }
    }
}

/// What a destination is, with its own settings.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportKind {
    Ga4(Ga4),
    Metrika(Metrika),
    Google(Google),
    Meta(Meta),
    Bitrix24(Bitrix24),
    Amocrm(Amocrm),
    Webhook(Webhook),
    Callrail(Callrail),
    Mail(Mail),
    Telegram(Telegram),
    Files(Files),
}

impl ExportKind {
    /// As the configuration names it.
    pub fn name(&self) -> &'static str {
        match self {
            ExportKind::Ga4(_) => "ga4",
            ExportKind::Metrika(_) => "metrika",
            ExportKind::Google(_) => "google",
            ExportKind::Meta(_) => "meta",
            ExportKind::Bitrix24(_) => "bitrix24",
            ExportKind::Amocrm(_) => "amocrm",
            ExportKind::Webhook(_) => "webhook",
            ExportKind::Callrail(_) => "callrail",
            ExportKind::Mail(_) => "mail",
            ExportKind::Telegram(_) => "telegram",
            ExportKind::Files(_) => "files",
        }
    }

    /// Analytics and advertising: somebody else's systems, which only visitors with consent are told to.
    pub fn is_advertising(&self) -> bool {
        matches!(self, ExportKind::Ga4(_) | ExportKind::Metrika(_) | ExportKind::Google(_) | ExportKind::Meta(_))
    }
}

/// Google Analytics 4, Measurement Protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Ga4 {
    pub measurement_id: String,
    pub api_secret: Secret,
    /// Name of the event.
    pub event: String,
}

/// Yandex.Metrika, and through its goals Yandex.Direct.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrika {
    pub counter: u64,
    pub token: Secret,
    pub upload: MetrikaUpload,
    /// Calls: name of the goal that the upload makes. Conversions: identifier of the goal.
    pub goal: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetrikaUpload {
    #[default]
    Calls,
    Conversions,
}

impl MetrikaUpload {
    pub const ALL: [(&'static str, MetrikaUpload); 2] =
        [("calls", MetrikaUpload::Calls), ("conversions", MetrikaUpload::Conversions)];
}

/// OAuth 2.0 with a refresh token (RFC 6749 §6).
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth {
    pub client_id: String,
    pub client_secret: Secret,
    pub refresh_token: Secret,
    /// Where tokens are had; default: where the destination's documentation says.
    pub token_url: Option<url::Url>,
    pub redirect_uri: Option<String>,
}

/// Google Ads through the Data Manager API.
#[derive(Clone, Debug, PartialEq)]
pub struct Google {
    pub oauth: OAuth,
    /// Account that gets the conversions.
    pub customer: String,
    /// Account that signs in for it: its manager.
    pub login_customer: Option<String>,
    pub conversion_action: String,
}

/// Meta Conversions API.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    pub dataset: String,
    pub token: Secret,
    /// Of the Graph API.
    pub version: String,
    pub event: String,
}

/// Bitrix24, as an application of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bitrix24 {
    pub oauth: OAuth,
    /// Extension of whoever the calls are shown to.
    pub extension: String,
    /// `STATUS_ID` of the source of leads.
    pub source: Option<String>,
    /// A lead is made for callers that nobody knows.
    pub create: bool,
    /// Recordings are handed over.
    pub recordings: bool,
}

/// amoCRM or Kommo.
#[derive(Clone, Debug, PartialEq)]
pub struct Amocrm {
    pub oauth: OAuth,
    /// Stands as the calls' source.
    pub source: String,
    /// Our name of a field (`source`, `medium`, `campaign`, `term`, `content`, `gclid`, …) to the id of a field of deals.
    pub fields: BTreeMap<String, String>,
    /// Prefix of the links to recordings; the call's path follows. None: no links.
    pub link: Option<url::Url>,
}

/// One's own receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Signs requests, the Standard Webhooks way.
    pub secret: Option<Secret>,
    pub headers: BTreeMap<String, Secret>,
    pub content_type: String,
    /// The body; none: everything that is known, as JSON.
    pub template: Option<String>,
}

/// Webhooks in the shape of CallRail's.
#[derive(Clone, Debug, PartialEq)]
pub struct Callrail {
    pub secret: Secret,
    /// Stands in resource ids and links.
    pub account: String,
}

/// What people are told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notices {
    /// A call that nobody answered.
    pub missed: bool,
    /// A pool has too few numbers.
    pub shortage: bool,
    /// The day before in figures, at this minute of the day; none: not told.
    pub digest_at: Option<u32>,
    pub zone: String,
    /// Numbers of callers are shown whole.
    pub numbers: bool,
    /// Texts of our own: `missed`, `shortage`, `digest`.
    pub templates: BTreeMap<String, String>,
}

/// Letters, by the server of `[notify.smtp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    pub to: Vec<String>,
    pub notices: Notices,
}

/// Messages of a Telegram bot.
#[derive(Clone, Debug, PartialEq)]
pub struct Telegram {
    pub token: Secret,
    pub chat: String,
    pub notices: Notices,
}

/// Files in a folder or an S3 storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    pub format: FileFormat,
    pub place: FilePlace,
    /// Numbers of callers are written whole.
    pub numbers: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileFormat {
    #[default]
    Csv,
    Xlsx,
    Parquet,
}

impl FileFormat {
    pub const ALL: [(&'static str, FileFormat); 3] =
        [("csv", FileFormat::Csv), ("xlsx", FileFormat::Xlsx), ("parquet", FileFormat::Parquet)];

    pub fn name(self) -> &'static str {
        match self {
            FileFormat::Csv => "csv",
            FileFormat::Xlsx => "xlsx",
            FileFormat::Parquet => "parquet",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum FilePlace {
    Folder(PathBuf),
    Storage(Box<S3>),
}
