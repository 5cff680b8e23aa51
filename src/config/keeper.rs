//! `[pool.grow]`, `[[provider]]`, `[notify]`, `[hygiene]` and `[self_test]`: pools that manage themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Secret, Span};
use crate::core::keeper::money::Money;
use crate::core::sizing::plan::Forecast;
use crate::ids::E164;

/// Everything about pools that manage themselves.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    /// By the pool's name.
    pub grow: BTreeMap<String, Arc<Grow>>,
    pub providers: Vec<Arc<Provider>>,
    pub stocks: Vec<Arc<Stock>>,
    pub notify: Notify,
    pub hygiene: Hygiene,
    pub self_test: SelfTest,
}

/// When and how a pool grows by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Grow {
    pub enabled: bool,
    /// Visits are counted in windows of this length; default 1 h.
    pub window: Duration,
    /// A shortage is no spike when so many of the last windows were short: 3 of 24 by default.
    pub short_windows: usize,
    pub windows: usize,
    /// A window is short when this share of its visits got no number of their own; default 2 %.
    pub threshold: f64,
    /// A window with fewer visits says nothing; default 20.
    pub visits_min: u64,
    /// The planned size blocks no more than this share; default 1 %.
    pub blocking: f64,
    /// A number that is held for another is not a number of one's own. Default: it is.
    pub respect_hold: bool,
    pub numbers_max: usize,
    pub per_day_max: usize,
    /// Sum of the monthly prices of what is added in a calendar month (UTC); none: no bound.
    pub spend_max: Option<Money>,
    /// Numbers that are there for this pool to be taken, in this order.
    pub stock: Vec<E164>,
    /// Then those of a `[[stock]]` that pools of several companies take from.
    pub shared_stock: Option<Arc<Stock>>,
    /// Asked when the stock has none left.
    pub provider: Option<String>,
    /// Of a number of the stock a month, and the most that one of the provider may cost.
    pub price: Option<Money>,
    pub currency: Option<String>,
    /// New numbers are not given to visitors for so long: who calls them meanwhile calls somebody else.
    pub listen: Duration,
    /// Numbers that were added and are not needed for so long leave; zero: never.
    pub shrink_after: Duration,
    /// A number leaves when nobody has called it for so long.
    pub quiet: Duration,
    /// Who gets the letters; empty: `[notify] to`.
    pub notify: Vec<String>,
    pub forecasts: Vec<Forecast>,
}

/// Numbers that several companies' pools take from and give back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stock {
    pub name: String,
    pub numbers: Vec<E164>,
    /// A number that one company had is nobody else's until nobody has called it for so long. Meanwhile calls to it go
    /// where they went.
    pub quarantine: Duration,
}

/// Somebody who has numbers, asked by a webhook.
#[derive(Clone)]
pub struct Provider {
    pub name: String,
    pub url: url::Url,
    pub secret: Secret,
    pub headers: BTreeMap<String, String>,
    pub allow_private: bool,
    pub timeout: Duration,
    /// Countries (ISO 3166-1) that it has numbers of; empty: it is asked whatever the country.
    pub countries: Vec<String>,
}

impl std::fmt::Debug for Provider {
    /// Without the headers' values, which are often keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

/// Who is told of what pools do by themselves.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    pub to: Vec<String>,
    pub smtp: Option<Arc<Smtp>>,
}

/// A mail server that takes our letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub login: Option<(String, Secret)>,
    pub from: String,
    /// An authority beside the system's, PEM.
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailSecurity {
    /// STARTTLS, or nothing is sent.
    #[default]
    StartTls,
    Tls,
    /// In the clear: a mail server on this machine.
    Off,
}

impl MailSecurity {
    pub const ALL: [(&'static str, MailSecurity); 3] =
        [("starttls", MailSecurity::StartTls), ("tls", MailSecurity::Tls), ("off", MailSecurity::Off)];
}

/// What keeps numbers clean.
#[derive(Clone, Debug, PartialEq)]
pub struct Hygiene {
    /// So many background calls in 24 hours and a number rests; 0: never.
    pub background_max: u64,
    /// A call whose attribution is less sure than this is background.
    pub confidence: f64,
    /// It rests until nobody who is unknown has called it for so long.
    pub rest: Duration,
    /// So many calls in a row without any candidate, of different callers, and the number counts as leaked; 0: never.
    pub leak_calls: u64,
}

impl Default for Hygiene {
    fn default() -> Hygiene {
        Hygiene { background_max: 20, confidence: 0.3, rest: Duration::from_secs(7 * 86_400), leak_calls: 10 }
    }
}

/// Calls of our own to our own numbers, at night.
#[derive(Clone, Debug)]
pub struct SelfTest {
    pub enabled: bool,
    /// When calls may be placed, by the clocks of `zone`.
    pub window: Span,
    pub zone: String,
    pub time_zone: jiff::tz::TimeZone,
    /// Between two calls.
    pub spacing: Duration,
    /// A call that has not come back for so long has not come back.
    pub timeout: Duration,
    /// Who carries the call, `HOST:PORT`.
    pub to: Option<String>,
    /// The caller's number; calls from it are refused before anything rings.
    pub from: Option<E164>,
}

impl Default for SelfTest {
    fn default() -> SelfTest {
        SelfTest {
            enabled: false,
            window: Span { from: 2 * 60, to: 5 * 60 },
            zone: "UTC".to_owned(),
            time_zone: jiff::tz::TimeZone::UTC,
            spacing: Duration::from_secs(60),
            timeout: Duration::from_secs(20),
            to: None,
            from: None,
        }
    }
}
