//! Who asks for a number: a browser or a crawler, on what device, and which visitor it was before.

use axum::http::{HeaderMap, HeaderValue, header};
use url::{Host, Url};

use crate::core::catalogue::is_crawler;
use crate::core::lease::{Device, is_visitor_id};

/// Name of the cookie that keeps the visitor's id. Set by HTTP: browsers forget within a week what scripts set.
pub(super) const COOKIE: &str = "leaseline_visitor";
/// The longest that browsers keep a cookie.
const COOKIE_SECONDS: u32 = 400 * 86_400;

/// Why whoever asks sees the real number: `bot`, or `prefetch` when nobody looks at the page yet.
pub(super) fn nobody(headers: &HeaderMap, agent: &str) -> Option<&'static str> {
    let purpose = ["sec-purpose", "purpose", "x-moz"].iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    if purpose.into_iter().any(|value| value.contains("prefetch") || value.contains("prerender")) {
        return Some("prefetch");
    }
    is_crawler(agent).then_some("bot")
}

/// The browser as it calls itself.
pub(super) fn agent(headers: &HeaderMap) -> &str {
    text(headers, header::USER_AGENT.as_str())
}

/// What the page is shown on, by the browser's hints and its name.
pub(super) fn device(headers: &HeaderMap, agent: &str) -> Device {
    let has = |word: &str| agent.contains(word);
    if agent.is_empty() {
        Device::Unknown
    } else if has("iPad") || has("Tablet") || has("Android") && !has("Mobile") && !has("TV") {
        Device::Tablet
    } else if text(headers, "sec-ch-ua-mobile") == "?1" || has("Mobi") || has("iPhone") || has("iPod") {
        Device::Mobile
    } else {
        Device::Desktop
    }
}

/// The visitor that an earlier answer named.
pub(super) fn known(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, id)| *name == COOKIE && is_visitor_id(id)).map(|(_, id)| id.to_owned()).next()
}

/// The cookie that names this visitor to pages of `origin`. `domain` is what the page found to be its widest; one that
/// is not the page's own is left out, and then the cookie is the server's alone.
pub(super) fn cookie(id: &str, origin: &str, domain: Option<&str>) -> Option<HeaderValue> {
    if !is_visitor_id(id) {
        return None;
    }
    let url = Url::parse(origin).ok()?;
    let mut text = format!("{COOKIE}={id}; Path=/; Max-Age={COOKIE_SECONDS}; SameSite=Lax");
    if let Some(domain) = domain.filter(|domain| is_above(domain, &url)) {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if url.scheme() == "https" {
        text.push_str("; Secure");
    }
    HeaderValue::from_str(&text).ok()
}

/// Hosts of the site's other addresses, as links to them have it.
pub(super) fn others<'s>(origins: &'s [String], origin: &str) -> Vec<&'s str> {
    let own = host(origin);
    let mut hosts: Vec<&str> = origins.iter().map(|known| host(known)).filter(|known| *known != own).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host).trim_end_matches('/')
}

fn is_above(domain: &str, url: &Url) -> bool {
    let fits = |host: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    match url.host() {
        Some(Host::Domain(host)) => !domain.is_empty() && fits(host),
        _ => false,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    const PHONE: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";
    const TABLET: &str =
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
         Version/18.5 Mobile/15E148 Safari/604.1";
    const YANDEX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36";
    const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn crawlers_and_pages_that_nobody_sees_are_nobody() {
        let none = headers(&[]);
        for browser in [CHROME, PHONE, TABLET, IPHONE, YANDEX, FIREFOX, ""] {
            assert_eq!(nobody(&none, browser), None, "{browser}");
        }
        for bot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/140.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
            "AdsBot-Google (+http://www.google.com/adsbot.html)",
            "curl/8.5.0",
        ] {
            assert_eq!(nobody(&none, bot), Some("bot"), "{bot}");
        }
        for purpose in [("sec-purpose", "prefetch"), ("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")] {
            assert_eq!(nobody(&headers(&[purpose]), CHROME), Some("prefetch"), "{purpose:?}");
        }
    }

    #[test]
    fn devices_by_hint_and_by_name() {
        let none = headers(&[]);
        for (agent, wanted) in [
            (CHROME, Device::Desktop),
            (YANDEX, Device::Desktop),
            (PHONE, Device::Mobile),
            (IPHONE, Device::Mobile),
            (TABLET, Device::Tablet),
            ("Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", Device::Tablet),
            ("", Device::Unknown),
        ] {
            assert_eq!(device(&none, agent), wanted, "{agent}");
        }
        assert_eq!(device(&headers(&[("sec-ch-ua-mobile", "?1")]), CHROME), Device::Mobile);
    }

    #[test]
    fn the_cookie_is_for_the_page_and_nobody_else() {
        let cookie = |origin, domain| cookie("v-1", origin, domain).map(|v| v.to_str().unwrap().to_owned());
        let base = "leaseline_visitor=v-1; Path=/; Max-Age=34560000; SameSite=Lax";
        assert_eq!(cookie("http://localhost:8080", None).as_deref(), Some(base));
        let secure = format!("{base}; Domain=acme.example; Secure");
        assert_eq!(cookie("https://www.acme.example", Some("acme.example")), Some(secure.clone()));
        assert_eq!(cookie("https://acme.example", Some("acme.example")), Some(secure));
        let alone = format!("{base}; Secure");
        for bad in ["other.example", "cme.example", "", ".", "www.acme.example.", "a.www.acme.example", "x; Domain=y"] {
            assert_eq!(cookie("https://www.acme.example", Some(bad)), Some(alone.clone()), "{bad}");
        }
        assert_eq!(super::cookie("a b", "https://acme.example", None), None);
        let sent = headers(&[("cookie", "a=b; leaseline_visitor=; leaseline_visitor=v-2; leaseline_visitor=v-3")]);
        assert_eq!(known(&sent).as_deref(), Some("v-2"));
        assert_eq!(known(&headers(&[("cookie", "leaseline_visitor=a/b")])), None);
    }

    #[test]
    fn links_go_to_the_other_addresses_of_the_site() {
        let origins = ["https://a.example", "https://b.example/", "http://b.example", "https://c.example:8443"];
        let origins: Vec<String> = origins.map(str::to_owned).to_vec();
        assert_eq!(others(&origins, "https://a.example"), ["b.example", "c.example:8443"]);
    }
}
