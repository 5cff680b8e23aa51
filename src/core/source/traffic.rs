//! Kinds of traffic that people think in: the presets that a pool may name instead of conditions of its own.

use serde::{Deserialize, Serialize};

use super::Source;
use crate::core::event::Session;

/// A preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// `yclid`, or a paid link that names Yandex.
    YandexDirect,
    /// `gclid`, `gbraid` or `wbraid`, or a paid link that names Google.
    GoogleAds,
    /// Results of search engines.
    Organic,
    Social,
    /// Links of other sites.
    Referral,
    /// Nothing says where the visit came from.
    Direct,
    Email,
}

impl Traffic {
    pub const ALL: [(&'static str, Traffic); 7] = [
        ("yandex_direct", Traffic::YandexDirect),
        ("google_ads", Traffic::GoogleAds),
        ("organic", Traffic::Organic),
        ("social", Traffic::Social),
        ("referral", Traffic::Referral),
        ("direct", Traffic::Direct),
        ("email", Traffic::Email),
    ];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        Traffic::ALL.iter().find(|(_, traffic)| *traffic == self).map_or("", |(name, _)| name)
    }

    /// Whether a visit is of this kind. The advertisers' presets ask for the click id or the link; the others for the
    /// medium, so that every visit that is classified has at most one of them.
    pub fn fits(self, session: &Session, source: &Source) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| session.click_ids.contains_key(*name));
        let medium = source.medium.as_str();
        match self {
            Traffic::YandexDirect => {
                has(&["yclid", "ymclid"])
                    || is_direct_link(&source.source)
                    || is_yandex(&source.source) && is_paid(medium)
            }
            Traffic::GoogleAds => {
                has(&["gclid", "gbraid", "wbraid"])
                    || is_google_ads(&source.source)
                    || source.source == "google" && is_paid(medium)
            }
            Traffic::Organic => medium == "organic",
            Traffic::Social => {
                matches!(medium, "social" | "social-network" | "social_media" | "social media" | "smm" | "sm")
            }
            Traffic::Referral => medium == "referral",
            Traffic::Direct => source.source == "direct" && medium == "none",
            Traffic::Email => {
                matches!(medium, "email" | "e-mail" | "e_mail" | "mail" | "newsletter") || is_mail(&source.source)
            }
        }
    }
}

/// Whether money was paid for the visit, as links say it.
pub fn is_paid(medium: &str) -> bool {
    medium.starts_with("paid")
        || matches!(
            medium,
            "cpc"
                | "ppc"
                | "cpm"
                | "cpv"
                | "cpa"
                | "cpl"
                | "display"
                | "banner"
                | "retargeting"
                | "remarketing"
                | "context"
                | "ads"
        )
}

pub(super) fn is_mail(source: &str) -> bool {
    matches!(source, "email" | "e-mail" | "mail" | "newsletter" | "mailing")
}

/// Names that only an advertiser's links have.
pub(super) fn is_advertiser(source: &str) -> bool {
    is_direct_link(source) || is_google_ads(source)
}

fn is_yandex(source: &str) -> bool {
    matches!(source, "yandex" | "ya" | "ya.ru" | "yandex.ru" | "яндекс")
}

fn is_direct_link(source: &str) -> bool {
    matches!(
        source,
        "yadirect"
            | "ya_direct"
            | "ya-direct"
            | "ya.direct"
            | "yandexdirect"
            | "yandex_direct"
            | "yandex-direct"
            | "yandex.direct"
            | "yandex direct"
            | "direct.yandex"
            | "direct.yandex.ru"
            | "яндекс.директ"
            | "яндекс директ"
    )
}

fn is_google_ads(source: &str) -> bool {
    matches!(
        source,
        "adwords" | "googleads" | "google_ads" | "google-ads" | "google.ads" | "google ads" | "googleadwords"
    )
}
