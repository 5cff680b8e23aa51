//! TOML → [`Config`]: every value parsed into its final type once, all problems reported at once.
//!
//! `config/leaseline.toml` names every key with its default and its reason; it is also the built-in configuration.

mod archive;
mod caller;
mod check;
mod company;
mod defence;
mod destination;
mod dialogs;
mod dns;
mod dtls;
mod ears;
mod effective;
mod encryption;
pub mod export;
pub mod keeper;
mod parse;
mod pool;
mod problem;
mod prompts;
mod read;
mod regions;
mod sip;
mod siprec;
mod streams;
mod tls;
mod trace;
mod trunk;
mod value;
mod within;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::core::lease::Channel;
use crate::ids::E164;

pub use archive::{Keep, Packing, S3, TimeAuthority};
pub use caller::KnownCaller;
pub use company::{
    Company, Decide, Destination, During, Fallback, Glob, LabelRule, Rule, Schedule, Span, Strategy, Then, Ways, When,
    Work,
};
pub use defence::{CompanyLimits, Defence, Fraud};
pub use dialogs::{Dialogs, Timer};
pub use dns::Dns;
pub use dtls::DtlsIdentity;
pub use ears::{AnsweredWhen, Ear, EarKind};
pub use encryption::MediaEncryption;
pub use pool::{
    Binding, Conditions, Feature, Money, Overage, Patterns, Places, Plan, PoolRules, Track, Tracking, Visits,
};
pub use problem::{Problem, Problems};
pub use prompts::{AnnouncementAt, Prompts, Sound, TakenAfter, Voicemail};
pub use regions::RegionRules;
pub use sip::{LargeRequests, Listener, Sip};
pub use siprec::Siprec;
pub use streams::Streams;
pub use tls::{Authorities, ClientCertificates, MinVersion, Tls};
pub use trace::{HepServer, Trace};
pub use trunk::{
    CodecList, DialledIn, DisplayRule, HeaderRules, IdentityRules, IdentitySource, Login, LoginUser, MediaNetworks,
    NumberFormat, Probe, ReasonHeader, Register, Rewrite, Source, StirForward, StirRules, StirVerify, Transports,
    Trunk,
};
pub use within::{Keys, Passage, TransferMode, TransferRules, Within};

/// The built-in configuration, word for word.
pub const BUILTIN: &str = include_str!("../config/leaseline.toml");

/// The daemon's configuration, as it will be used.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: Node,
    pub sip: Sip,
    pub media: Media,
    pub recording: Recording,
    pub http: Http,
    pub lease: LeaseRules,
    pub lease_feed: Option<LeaseFeed>,
    pub attribution: AttributionRules,
    pub regions: RegionRules,
    pub fraud: Fraud,
    pub log: Log,
    pub trace: Trace,
    pub trunks: Vec<Arc<Trunk>>,
    /// Third parties' recorders.
    pub recorders: Vec<Arc<Siprec>>,
    /// PBXs that carry calls themselves and tell us of them.
    pub ears: Vec<Arc<Ear>>,
    pub companies: Vec<Arc<Company>>,
    pub sites: Vec<Arc<Site>>,
    pub pools: Vec<Arc<Pool>>,
    /// Pools that manage themselves.
    pub keeping: keeper::Keeping,
    /// Callers that are known by name, by number and company.
    pub callers: Vec<Arc<KnownCaller>>,
    pub sinks: Vec<Sink>,
    /// Who else is told of calls.
    pub exports: Vec<Arc<export::Export>>,
    /// Where recordings are sent.
    pub archives: Vec<S3>,
}

impl Config {
    /// Reads a file, or the built-in configuration when there is none. Either the whole configuration is good or it is
    /// refused with everything that is wrong in it.
    pub fn load(file: Option<&Path>) -> Result<Config, Problems> {
        let Some(path) = file else { return Ok(Config::builtin()) };
        let shown = path.display().to_string();
        let text = read_bounded(path).map_err(|message| Problems::unreadable(&shown, message))?;
        parse::config(&text, &shown, path.parent().unwrap_or(Path::new("")))
    }

    /// The built-in configuration ([`BUILTIN`]); its relative paths start at the working directory.
    pub fn builtin() -> Config {
        // A test reads it: a mistake in it does not leave the workshop.
        parse::config(BUILTIN, "built-in configuration", Path::new("")).expect("the built-in configuration is good")
    }

    /// Reads a text. `file` is for messages, relative paths start at `base`.
    pub fn parse(text: &str, file: &str, base: &Path) -> Result<Config, Problems> {
        parse::config(text, file, base)
    }
}

/// A duration as the configuration writes it: `500ms`, `30s`, `1h30m`.
///
/// # Errors
/// A sentence that says how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    value::duration(text)
}

/// A share as the configuration writes it: `2%`, `0.5%`; above 0 and below 100 %.
///
/// # Errors
/// A sentence that says how to write it.
pub fn parse_share(text: &str) -> Result<f64, String> {
    value::share(text)
}

/// A currency's code (ISO 4217): `EUR`.
///
/// # Errors
/// A sentence that says how to write it.
pub fn parse_currency(text: &str) -> Result<String, String> {
    value::currency(text)
}

fn read_bounded(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|e| format!("cannot open the configuration: {e}"))?;
    let mut bytes = Vec::new();
    let read = file.take(crate::limits::CONFIG_FILE + 1).read_to_end(&mut bytes);
    let read = read.map_err(|e| format!("cannot read the configuration: {e}"))?;
    if read as u64 > crate::limits::CONFIG_FILE {
        return Err(format!("has more than {} bytes; use ranges for numbers", crate::limits::CONFIG_FILE));
    }
    String::from_utf8(bytes).map_err(|e| format!("is not UTF-8 (byte {})", e.utf8_error().valid_up_to()))
}

#[derive(Clone, Debug)]
pub struct Node {
    /// `source` of events; default `leaseline`.
    pub id: String,
    pub data_dir: PathBuf,
    /// How long SIGTERM waits for calls to end by themselves; default 30 s.
    pub drain: Duration,
}

#[derive(Clone, Debug)]
pub struct Media {
    /// Bound, and put into SDP unless `advertise` says otherwise.
    pub address: IpAddr,
    /// A second address for legs of the other IP version.
    pub address6: Option<IpAddr>,
    pub advertise: Option<IpAddr>,
    /// First and last port, inclusive.
    pub ports: (u16, u16),
    /// Media threads; default: number of cores, at most 4.
    pub threads: usize,
    /// `recordable` (default): the offer is limited to codecs that can be recorded; `any`: passed as offered.
    pub codecs: Codecs,
    /// Sides without a codec in common are connected all the same (default): what one sends is decoded and encoded again.
    pub transcode: bool,
    /// No packet from either side for so long ends the call; default 60 s; zero: never.
    pub silence_max: Duration,
    /// How media threads wait, read and send; default `auto`.
    pub engine: Engine,
    /// DSCP of RTP and RTCP that we send, 0 to 63; default 46, EF (RFC 3246).
    pub dscp: u8,
    /// What handshakes of media show; default: a certificate that is made anew at every start.
    pub dtls: Option<DtlsIdentity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// What is better by our measurement, where it is to be had.
    Auto,
    Epoll,
    /// Where it is refused, the program does not start.
    IoUring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codecs {
    Recordable,
    Any,
}

#[derive(Clone, Debug)]
pub struct Recording {
    pub enabled: bool,
    /// fsync of the growing file: `none`, `seal` (default) or `second`.
    pub fsync: Fsync,
    /// How samples are stored: `pcm` (default) or `g711`.
    pub store: Store,
    /// Stop new recordings when the disk has less free than this.
    pub disk_free_min: u64,
    /// Erase recordings of low priority, oldest first, when the disk has less free than this; 0: never.
    pub disk_free_erase: u64,
    pub keep: Keep,
    pub keys: RecordingKeys,
    /// What stands where packets were lost.
    pub loss: Loss,
}

/// What a recording has where packets were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// What was heard, and nothing else.
    #[default]
    Silence,
    /// Short losses are concealed, and silences have the noise that the sender told of.
    Conceal,
}

impl Loss {
    pub const ALL: [(&'static str, Loss); 2] = [("silence", Loss::Silence), ("conceal", Loss::Conceal)];
}

/// Keys that are heard within a call.
#[derive(Clone, Debug)]
pub struct RecordingKeys {
    /// What the company's side presses to pause the recording; empty: nothing.
    pub pause: String,
    /// And to let it go on.
    pub resume: String,
    /// What the event says of keys.
    pub digits: Digits,
}

/// What the event says of keys that were pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digits {
    #[default]
    Listed,
    /// When and how long, but not which.
    Masked,
    Off,
}

impl Digits {
    pub const ALL: [(&'static str, Digits); 3] =
        [("listed", Digits::Listed), ("masked", Digits::Masked), ("off", Digits::Off)];
}

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    #[default]
    Pcm,
    /// One byte a sample, in the law that was spoken.
    G711,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    None,
    Seal,
    Second,
}

#[derive(Clone)]
pub struct Http {
    pub listen: SocketAddr,
    /// Bearer token of the API and console. Without one, the HTTP listener must be on loopback.
    pub token: Option<Arc<str>>,
    /// Addresses of proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Who else may use the API, each with a token of their own: recordings say who heard them.
    pub users: Vec<User>,
    /// Nothing is open without a user or a token, even before there is one; then the listener need not be on loopback.
    pub sign_in: bool,
    /// A session that is not used for so long is over; default 8 h.
    pub session_idle: Duration,
    /// A session is over after so long, used or not; default 7 days.
    pub session_max: Duration,
    /// Sign-in with the company's own identity provider.
    pub oidc: Option<Oidc>,
}

/// `[http.oidc]`: OpenID Connect.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// As the provider writes it: below it is `/.well-known/openid-configuration`.
    pub issuer: String,
    pub client_id: String,
    /// Without one, PKCE alone stands for the client.
    pub client_secret: Option<Secret>,
    /// Address of this node as browsers see it.
    pub public_url: String,
    /// Beside `openid`; default `email` and `profile`.
    pub scopes: Vec<String>,
    /// Claim that is the user's name here; default `email`, which must be verified.
    pub claim: String,
    /// Claim with the groups; default `groups`.
    pub groups_claim: String,
    /// What each group may: roles with commas between them. Empty: only users who were added may sign in.
    pub roles: BTreeMap<String, String>,
    /// On the button; default the issuer's host.
    pub title: Option<String>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("trusted_proxies", &self.trusted_proxies)
            .field("users", &self.users)
            .field("sign_in", &self.sign_in)
            .finish_non_exhaustive()
    }
}

impl Oidc {
    /// What stands on the button.
    pub fn title(&self) -> String {
        let host = || url::Url::parse(&self.issuer).ok()?.host_str().map(str::to_owned);
        self.title.clone().or_else(host).unwrap_or_else(|| self.issuer.clone())
    }
}

/// Somebody who may use the API, by name.
#[derive(Clone, Debug)]
pub struct User {
    pub name: Arc<str>,
    pub token: Secret,
}

/// Clocks of leases.
#[derive(Clone, Debug)]
pub struct LeaseRules {
    /// A lease lapses when the page has not renewed it for so long; default 90 s.
    pub ttl: Duration,
    /// What the page is told to wait between renewals; default 30 s.
    pub renew_after: Duration,
}

#[derive(Clone)]
pub struct LeaseFeed {
    pub url: url::Url,
    pub token: Option<Arc<str>>,
    /// No word from the allocator for so long marks the table stale; default 30 s.
    pub stale_after: Duration,
}

impl std::fmt::Debug for LeaseFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseFeed").field("url", &self.url.as_str()).field("stale_after", &self.stale_after).finish()
    }
}

#[derive(Clone, Debug)]
pub struct AttributionRules {
    /// How long the last holder of a number is remembered; default 30 days.
    pub memory: Duration,
    /// What `leaseline fit` learned; default `model.json` of the data folder. Without the file: what is built in.
    pub model: PathBuf,
    /// Header towards the company that carries the attribution in one line; none: not sent. Default
    /// `X-Leaseline-Source`.
    pub header: Option<String>,
    /// Display name towards the company, e.g. `{source} · {campaign}`; none: the caller's own.
    pub display_name: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub json: bool,
    /// `tracing` filter; default `info`. The environment variable `LEASELINE_LOG` wins.
    pub filter: String,
}

#[derive(Clone, Debug)]
pub struct Site {
    pub name: String,
    pub company: String,
    /// `scheme://host[:port]` as browsers send it in `Origin`.
    pub origins: Vec<String>,
    /// Which visits get a number.
    pub visits: Visits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    Static,
    Dynamic,
}

#[derive(Clone, Debug)]
pub struct Pool {
    pub name: String,
    pub company: String,
    pub site: Option<String>,
    pub kind: PoolKind,
    /// Expanded ranges, in order, no duplicates.
    pub numbers: Vec<E164>,
    /// Calls at once to one of the numbers; 0: no limit.
    pub calls_max_per_number: usize,
    /// The number stays with the visitor so long after leaving; default 30 min, never under 5.
    pub hold: Duration,
    pub channel: Option<Channel>,
    /// Overrides the company's.
    pub recording: Option<bool>,
    /// Who gets its numbers.
    pub rules: PoolRules,
}

#[derive(Clone)]
pub enum Sink {
    Jsonl {
        name: String,
        /// Default `<data_dir>/events.jsonl`.
        path: PathBuf,
    },
    Webhook {
        name: String,
        url: url::Url,
        secret: Secret,
        headers: BTreeMap<String, String>,
        /// Addresses inside this network may be called; default: only when the URL names one literally.
        allow_private: bool,
    },
}

impl std::fmt::Debug for Sink {
    /// Without the secret and without the headers' values, which are often keys too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sink::Jsonl { name, path } => f.debug_struct("Jsonl").field("name", name).field("path", path).finish(),
            Sink::Webhook { name, url, headers, allow_private, secret: _ } => f
                .debug_struct("Webhook")
                .field("name", name)
                .field("url", &url.as_str())
                .field("headers", &headers.keys())
                .field("allow_private", allow_private)
                .finish_non_exhaustive(),
        }
    }
}

/// Whether a URL names an address inside a network literally: then it is meant.
pub(crate) fn names_private_address(url: &url::Url) -> bool {
    parse::names_private_address(url)
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Every key that the reader of files asks for, as `pool.grow.window`.
#[cfg(test)]
pub fn known_keys() -> std::collections::BTreeSet<String> {
    parse::known_keys(&tests::all_on())
}

#[cfg(test)]
mod tests;
