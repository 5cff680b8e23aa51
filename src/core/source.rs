//! Where a visit came from: source, medium and campaign, from what the page said.
//!
//! In this order, each speaking only where the one before is silent: campaign parameters (`utm_…`), click ids, the
//! referrer (advertising networks, search engines, social networks, mail services, any other site); a visit with none of
//! them came directly. A referrer of the landing page's own host is the site itself and says nothing.
//!
//! *Letters.* What is compared is trimmed, its white space made single, and in lower case by Unicode's rules (`Яндекс`
//! is `яндекс`, `İ` is `i̇`); what is shown and journaled is what came. Aliases are not merged: a campaign whose links say
//! `yadirect` is called that, and the presets of [`Traffic`] know that it is Yandex.Direct.

mod query;
mod referrer;
mod traffic;

use std::borrow::Cow;

use crate::core::event::Session;

pub use query::{completed, parameter};
pub use referrer::host_of;
pub use traffic::{Traffic, is_paid};

/// Source, medium and campaign of a visit. Reports group by it, and the allocator asks it how bad a confusion would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Source {
    /// `yandex`, `google`, `example.org`, `direct`.
    pub source: String,
    /// As given, else derived: `cpc`, `organic`, `social`, `email`, `referral`, `none`; empty when nothing says it.
    pub medium: String,
    pub campaign: String,
}

/// What said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidBy {
    /// Campaign parameters.
    Utm,
    ClickId,
    Referrer,
    /// Nothing did.
    Nothing,
}

impl Source {
    /// Of this visit.
    pub fn of(session: &Session) -> Source {
        Source::explained(session).0
    }

    /// The same, and what said the source.
    pub fn explained(session: &Session) -> (Source, SaidBy) {
        let utm = |key: &str| session.utm.get(key).map(|value| folded(value)).unwrap_or_default();
        let (source, medium, campaign) = (utm("source"), utm("medium"), utm("campaign"));
        let click = click(session);
        if !source.is_empty() {
            let derived = || click.map_or_else(|| medium_of_name(&source), |(_, medium)| medium).to_owned();
            let medium = if medium.is_empty() { derived() } else { medium };
            return (Source { source, medium, campaign }, SaidBy::Utm);
        }
        let (named, derived, by) = match click {
            Some((source, medium)) => (Cow::Borrowed(source), medium, SaidBy::ClickId),
            None => match referrer::classify(session) {
                Some((source, medium)) => (source, medium, SaidBy::Referrer),
                None => (Cow::Borrowed("direct"), "none", SaidBy::Nothing),
            },
        };
        let medium = if medium.is_empty() { derived.to_owned() } else { medium };
        (Source { source: named.into_owned(), medium, campaign }, by)
    }

    /// Visitors whom a report could not tell apart by where they came from.
    pub fn same_campaign(&self, other: &Source) -> bool {
        self == other
    }
}

/// Where a visit without `utm_source` came from: the advertiser of its click id, the referring service or host, or
/// directly.
pub fn natural_source(session: &Session) -> String {
    match click(session) {
        Some((source, _)) => source.to_owned(),
        None => referrer::classify(session).map_or_else(|| "direct".to_owned(), |(source, _)| source.into_owned()),
    }
}

/// As values are compared: see the module.
pub fn folded(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase() && !b.is_ascii_whitespace()) {
        return text.to_owned();
    }
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase));
    }
    folded
}

/// Click ids with whose they are and what kind of visit they mean. `fbclid` stands on every link out of Facebook, paid or
/// not; `ysclid` and `srsltid` on results of searches.
const CLICKS: [(&str, &str, &str); 17] = [
    ("gclid", "google", "cpc"),
    ("gbraid", "google", "cpc"),
    ("wbraid", "google", "cpc"),
    ("dclid", "google", "cpc"),
    ("yclid", "yandex", "cpc"),
    ("ymclid", "yandex", "cpc"),
    ("msclkid", "bing", "cpc"),
    ("ttclid", "tiktok", "cpc"),
    ("vkclid", "vk", "cpc"),
    ("rb_clickid", "vk", "cpc"),
    ("twclid", "x", "cpc"),
    ("li_fat_id", "linkedin", "cpc"),
    ("rdt_cid", "reddit", "cpc"),
    ("epik", "pinterest", "cpc"),
    ("fbclid", "facebook", "social"),
    ("ysclid", "yandex", "organic"),
    ("srsltid", "google", "organic"),
];

/// Whether this is a click id that we know.
pub fn is_click_id(name: &str) -> bool {
    CLICKS.iter().any(|(key, ..)| *key == name)
}

fn click(session: &Session) -> Option<(&'static str, &'static str)> {
    if session.click_ids.is_empty() {
        return None;
    }
    let has = |key: &str| session.click_ids.get(key).is_some_and(|value| !value.trim().is_empty());
    CLICKS.iter().find(|(key, ..)| has(key)).map(|(_, source, medium)| (*source, *medium))
}

/// What a link that names its source and no medium most likely is.
fn medium_of_name(source: &str) -> &'static str {
    if traffic::is_mail(source) {
        "email"
    } else if referrer::is_social(source) {
        "social"
    } else if traffic::is_advertiser(source) {
        "cpc"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests;
