//! What kind of site sent a visitor: rules over the referrer's host.

use std::borrow::Cow;

use crate::core::event::Session;

/// Source and medium by the referrer, unless it is the site itself or there is none.
pub(super) fn classify(session: &Session) -> Option<(Cow<'static, str>, &'static str)> {
    let referrer = session.referrer.as_deref()?;
    let host = host_of(referrer)?;
    let own = session.landing_page.as_deref().and_then(host_of);
    if own.is_some_and(|own| bare(&own) == bare(&host)) {
        return None;
    }
    Some(by_host(&host))
}

/// Host of a URL in lower case, without port and user; of an app's referrer (`android-app://`) the app's name. Not a
/// whole reader of URLs: this runs at every grant.
pub fn host_of(url: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = url.trim().split_once("://")?;
    if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.');
    if host.is_empty() || host.len() > 253 {
        return None;
    }
    let is_lower = host.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    Some(if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_lowercase()) })
}

/// Whether this source is a social network, by the name that we give it or by its host.
pub(super) fn is_social(source: &str) -> bool {
    SOCIAL.iter().any(|(host, name)| *name == source || *host == source)
        || matches!(source, "ig" | "fb" | "vkontakte" | "odnoklassniki" | "twitter" | "whatsapp" | "viber")
}

fn by_host(host: &str) -> (Cow<'static, str>, &'static str) {
    let find = |table: &[(&str, &'static str)]| table.iter().find(|(of, _)| is_within(host, of)).map(|(_, name)| *name);
    if let Some(name) = find(&ADVERTS) {
        return (name.into(), "cpc");
    }
    if let Some(name) = find(&MAIL) {
        return (name.into(), "email");
    }
    if let Some(name) = search(host) {
        return (name.into(), "organic");
    }
    if let Some(name) = find(&SOCIAL) {
        return (name.into(), "social");
    }
    (bare(host).to_owned().into(), "referral")
}

/// Engines of many countries (`google.co.uk`, `yandex.kz`) by the host's own name, the others by their host.
fn search(host: &str) -> Option<&'static str> {
    let bare = ["www.", "m."].iter().find_map(|prefix| host.strip_prefix(prefix)).unwrap_or(host);
    let (first, country) = bare.split_once('.')?;
    let is_country = country.split('.').count() <= 2 && country.split('.').all(|label| label.len() <= 3);
    if let Some(name) = ["google", "yandex"].iter().find(|name| is_country && **name == first) {
        return Some(name);
    }
    SEARCH.iter().find(|(of, _)| is_within(host, of)).map(|(_, name)| *name)
}

/// The host itself or one below it.
pub(crate) fn is_within(host: &str, of: &str) -> bool {
    host.strip_suffix(of).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn bare(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

const ADVERTS: [(&str, &str); 4] = [
    ("yabs.yandex.ru", "yandex"),
    ("an.yandex.ru", "yandex"),
    ("googleadservices.com", "google"),
    ("doubleclick.net", "google"),
];

const MAIL: [(&str, &str); 15] = [
    ("mail.google.com", "gmail"),
    ("com.google.android.gm", "gmail"),
    ("e.mail.ru", "mail.ru"),
    ("light.mail.ru", "mail.ru"),
    ("mail.yandex.ru", "yandex mail"),
    ("mail.yandex.com", "yandex mail"),
    ("mail.rambler.ru", "rambler mail"),
    ("mail.yahoo.com", "yahoo mail"),
    ("outlook.live.com", "outlook"),
    ("outlook.office.com", "outlook"),
    ("outlook.office365.com", "outlook"),
    ("mail.aol.com", "aol mail"),
    ("mail.proton.me", "proton mail"),
    ("mail.qq.com", "qq mail"),
    ("mail.zoho.com", "zoho mail"),
];

const SEARCH: [(&str, &str); 24] = [
    ("ya.ru", "yandex"),
    ("com.google.android.googlequicksearchbox", "google"),
    ("ru.yandex.searchplugin", "yandex"),
    ("bing.com", "bing"),
    ("duckduckgo.com", "duckduckgo"),
    ("go.mail.ru", "mail.ru"),
    ("nova.rambler.ru", "rambler"),
    ("search.yahoo.com", "yahoo"),
    ("yahoo.co.jp", "yahoo"),
    ("baidu.com", "baidu"),
    ("ecosia.org", "ecosia"),
    ("qwant.com", "qwant"),
    ("search.seznam.cz", "seznam"),
    ("search.naver.com", "naver"),
    ("search.daum.net", "daum"),
    ("sogou.com", "sogou"),
    ("so.com", "so"),
    ("startpage.com", "startpage"),
    ("search.brave.com", "brave"),
    ("search.marginalia.nu", "marginalia"),
    ("swisscows.com", "swisscows"),
    ("mojeek.com", "mojeek"),
    ("ask.com", "ask"),
    ("search.aol.com", "aol"),
];

const SOCIAL: [(&str, &str); 31] = [
    ("facebook.com", "facebook"),
    ("fb.com", "facebook"),
    ("com.facebook.katana", "facebook"),
    ("messenger.com", "facebook"),
    ("instagram.com", "instagram"),
    ("threads.net", "threads"),
    ("vk.com", "vk"),
    ("vk.ru", "vk"),
    ("com.vkontakte.android", "vk"),
    ("ok.ru", "ok"),
    ("dzen.ru", "dzen"),
    ("zen.yandex.ru", "dzen"),
    ("t.me", "telegram"),
    ("telegram.org", "telegram"),
    ("org.telegram.messenger", "telegram"),
    ("twitter.com", "x"),
    ("t.co", "x"),
    ("x.com", "x"),
    ("linkedin.com", "linkedin"),
    ("lnkd.in", "linkedin"),
    ("pinterest.com", "pinterest"),
    ("pin.it", "pinterest"),
    ("reddit.com", "reddit"),
    ("youtube.com", "youtube"),
    ("youtu.be", "youtube"),
    ("tiktok.com", "tiktok"),
    ("whatsapp.com", "whatsapp"),
    ("snapchat.com", "snapchat"),
    ("tumblr.com", "tumblr"),
    ("quora.com", "quora"),
    ("livejournal.com", "livejournal"),
];
