//! Where a visit came from: source, medium and campaign, from what the page said.
//!
//! Campaign parameters (`utm_…`) speak first, then click ids, then the referrer; a visit with none of them came directly.

use crate::core::event::Session;

/// Source, medium and campaign of a visit. Reports group by it, and the allocator asks it how bad a confusion would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// `yandex`, `google`, `example.org`, `direct`.
    pub source: String,
    /// As given; empty when nothing says it.
    pub medium: String,
    pub campaign: String,
}

impl Source {
    /// Of this visit.
    pub fn of(session: &Session) -> Source {
        let utm = |key: &str| session.utm.get(key).map(|value| value.trim().to_lowercase()).unwrap_or_default();
        let named = utm("source");
        Source {
            source: if named.is_empty() { natural_source(session) } else { named },
            medium: utm("medium"),
            campaign: utm("campaign"),
        }
    }
}

/// Where a visit without `utm_source` came from: the advertiser of its click id, the referring host, or directly.
pub fn natural_source(session: &Session) -> String {
    const CLICKS: [(&str, &str); 8] = [
        ("gclid", "google"),
        ("gbraid", "google"),
        ("wbraid", "google"),
        ("yclid", "yandex"),
        ("fbclid", "facebook"),
        ("msclkid", "bing"),
        ("ttclid", "tiktok"),
        ("vkclid", "vk"),
    ];
    let click = CLICKS.iter().find(|(key, _)| session.click_ids.contains_key(*key));
    if let Some((_, source)) = click {
        return (*source).to_owned();
    }
    let referrer = session.referrer.as_deref().and_then(|text| url::Url::parse(text).ok());
    let host = referrer.as_ref().and_then(url::Url::host_str);
    host.map_or_else(|| "direct".to_owned(), |host| host.strip_prefix("www.").unwrap_or(host).to_owned())
}
