//! What pools, sites and companies say about who gets a number, and what it costs.

mod costs;
mod pattern;
mod visits;

use std::time::Duration;

use super::company::Schedule;
use crate::core::lease::Device;
use crate::core::source::Traffic;

pub use costs::{Feature, Money, Overage, Plan, Tracking};
pub use pattern::{Patterns, Places};
pub use visits::{Track, Visits};

/// When a pool gives numbers, to whom, and what comes when it has none.
#[derive(Clone, Debug, Default)]
pub struct PoolRules {
    /// Shown to people instead of the name, which stays the key of reports; none: the name.
    pub title: Option<String>,
    /// Of pools that fit a visit the highest comes first; default 0.
    pub priority: u32,
    /// Kinds of traffic it is for; empty: any.
    pub traffic: Vec<Traffic>,
    /// A visit must fit one of them whole; empty: any visit does.
    pub conditions: Vec<Conditions>,
    pub binding: Binding,
    /// Static pools of the company whose number is shown, by source, when no number is left or the visit is not worth one.
    pub static_pools: Vec<String>,
    /// Static pool whose number is shown after that.
    pub overflow_pool: Option<String>,
    /// Talk of so long makes a call a quality call; default 30 s.
    pub quality_talk: Option<Duration>,
}

impl PoolRules {
    /// What makes a quality call when the pool does not say.
    pub const QUALITY_TALK: Duration = Duration::from_secs(30);

    /// Every visit of the site fits.
    pub fn is_for_all(&self) -> bool {
        self.traffic.is_empty() && self.conditions.is_empty()
    }

    /// Talk of so long makes a call a quality call.
    pub fn quality_talk(&self) -> Duration {
        self.quality_talk.unwrap_or(PoolRules::QUALITY_TALK)
    }
}

/// Whom a number is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// One visitor.
    #[default]
    Visitor,
    /// All visitors with the same source, medium and campaign.
    Params,
}

impl Binding {
    pub const ALL: [(&'static str, Binding); 2] = [("visitor", Binding::Visitor), ("params", Binding::Params)];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Binding::Visitor => "visitor",
            Binding::Params => "params",
        }
    }
}

/// What a visit must be. Every key that is given must fit; a key without entries asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Campaign parameters as they came.
    pub utm_source: Patterns,
    pub utm_medium: Patterns,
    pub utm_campaign: Patterns,
    pub utm_term: Patterns,
    pub utm_content: Patterns,
    /// As the visit was classified.
    pub source: Patterns,
    pub medium: Patterns,
    pub campaign: Patterns,
    /// One of these click ids came with it.
    pub click_ids: Vec<String>,
    /// Host of the referrer; a plain host is also those below it.
    pub referrer: Patterns,
    /// Path of the landing page, from its `/`.
    pub landing_path: Patterns,
    pub device: Vec<Device>,
    /// ISO 3166: `GB` is also `GB-LND`.
    pub region: Places,
    /// Of the browser: `en` is also `en-GB`.
    pub language: Places,
    /// When it is shown.
    pub hours: Option<Schedule>,
}

impl Conditions {
    /// Keys of texts with their patterns, in the order of the configuration.
    pub fn texts(&self) -> [(&'static str, &Patterns); 10] {
        [
            ("utm_source", &self.utm_source),
            ("utm_medium", &self.utm_medium),
            ("utm_campaign", &self.utm_campaign),
            ("utm_term", &self.utm_term),
            ("utm_content", &self.utm_content),
            ("source", &self.source),
            ("medium", &self.medium),
            ("campaign", &self.campaign),
            ("referrer", &self.referrer),
            ("landing_path", &self.landing_path),
        ]
    }

    /// How much it asks for: the number of its keys. Of pools of one priority the one that asked for most comes first.
    pub fn specificity(&self) -> usize {
        let texts = self.texts().iter().filter(|(_, patterns)| !patterns.is_empty()).count();
        let more = [
            !self.click_ids.is_empty(),
            !self.device.is_empty(),
            !self.region.is_empty(),
            !self.language.is_empty(),
            self.hours.is_some(),
        ];
        texts + more.iter().filter(|asked| **asked).count()
    }
}

/// Devices as the configuration writes them.
pub(super) const DEVICES: [(&str, Device); 3] =
    [("mobile", Device::Mobile), ("tablet", Device::Tablet), ("desktop", Device::Desktop)];
