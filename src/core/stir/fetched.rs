//! Certificates that were fetched, because a call named them and the configuration lets their host be asked (RFC 8226
//! §7, RFC 8588). Fetching itself is the environment's; what may be fetched, how long it holds and what is kept is decided
//! here.

use std::collections::HashMap;

use rustls::pki_types::CertificateDer;
use url::Url;

use super::certificate::read_pem;
use super::{Claim, Store, compact_claims, digits, is_fresh, passport};
use crate::limits;
use crate::wire::sip::Message;

/// An https server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// PEM, leaf first.
    pub body: bytes::Bytes,
    /// Its `Cache-Control`, when there was one.
    pub cache_control: Option<String>,
}

/// What was fetched, and what could not be had, each for its time; at most [`limits::STIR_FETCHED`].
#[derive(Debug, Default)]
pub struct Fetched {
    chains: HashMap<Box<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Leaf first. None: it could not be had.
    chain: Option<Vec<CertificateDer<'static>>>,
    /// Last second in which it holds, since the epoch.
    until: u64,
}

impl Fetched {
    /// Keeps the answer of the URL's server; `None`: there was none that can be used. Gives a code when there is nothing to
    /// use.
    pub fn put(&mut self, url: &str, answer: Option<&Answer>, seconds: u64) -> Option<&'static str> {
        let chain = answer.and_then(|answer| read_pem(&answer.body).ok()).filter(|chain| is_chain(chain));
        let held = match (&chain, answer) {
            (Some(_), Some(answer)) => holds(answer.cache_control.as_deref()),
            _ => limits::STIR_FETCH_AGAIN.as_secs(),
        };
        let failure = match (&chain, answer) {
            (Some(_), _) => None,
            (None, Some(_)) => Some("not_a_certificate"),
            (None, None) => Some("not_fetched"),
        };
        if !self.chains.contains_key(url) && self.chains.len() >= limits::STIR_FETCHED {
            let first = self.chains.iter().min_by_key(|(_, entry)| entry.until).map(|(url, _)| url.clone());
            first.and_then(|first| self.chains.remove(&first));
        }
        self.chains.insert(url.into(), Entry { chain, until: seconds.saturating_add(held) });
        failure
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.chains.len()
    }

    pub(super) fn chain(&self, url: &str, seconds: u64) -> Option<&[CertificateDer<'static>]> {
        self.entry(url, seconds)?.chain.as_deref()
    }

    /// It is known, or known not to be there.
    fn entry(&self, url: &str, seconds: u64) -> Option<&Entry> {
        self.chains.get(url).filter(|entry| entry.until >= seconds)
    }
}

/// Where an INVITE's certificates would have to be fetched from before its Identity headers can be judged: of tokens that
/// speak of this call and are fresh, at hosts that the store lets be asked. Usually none.
pub fn wanted(store: &Store, fetched: &Fetched, invite: &Message, claim: Claim<'_>, seconds: u64) -> Vec<Box<str>> {
    let mut wanted: Vec<Box<str>> = Vec::new();
    let Some(caller) = claim.caller.and_then(digits).filter(|_| store.may_fetch_any()) else { return wanted };
    for value in invite.headers("Identity").take(limits::PASSPORTS) {
        let Ok(token) = passport::read(value, || compact_claims(invite, claim)) else { continue };
        let speaks_of_it = token.orig == caller && is_fresh(&token, seconds);
        let is_known = store.has(&token.x5u) || fetched.entry(&token.x5u, seconds).is_some();
        if speaks_of_it && !is_known && store.may_fetch(&token.x5u) && !wanted.iter().any(|url| **url == *token.x5u) {
            wanted.push(token.x5u.into());
        }
    }
    wanted
}

/// The host that a URL is fetched from, as the configuration writes it: `host`, or `host:port` when it is not 443. `None`
/// when it is none that is ever fetched: not https, with a password, too long.
pub(super) fn host_of(url: &str) -> Option<String> {
    let is_text = url.len() <= limits::STIR_URL && url.bytes().all(|byte| byte.is_ascii_graphic());
    let parsed = Url::parse(url).ok().filter(|_| is_text)?;
    let is_plain = parsed.scheme() == "https" && parsed.username().is_empty() && parsed.password().is_none();
    let host = parsed.host_str().filter(|_| is_plain)?;
    Some(parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn is_chain(chain: &[CertificateDer<'static>]) -> bool {
    chain.first().is_some_and(|leaf| webpki::EndEntityCert::try_from(leaf).is_ok())
}

/// Seconds for which an answer holds (RFC 9111 §5.2.2): what its server says, within our bounds. One that is not to be
/// kept serves the calls that wait for it.
fn holds(cache_control: Option<&str>) -> u64 {
    let Some(text) = cache_control else { return limits::STIR_FETCH_KEPT.as_secs() };
    let mut held = limits::STIR_FETCH_KEPT.as_secs();
    for directive in text.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return 0;
        }
        if name.eq_ignore_ascii_case("max-age") {
            held = value.trim_matches('"').parse().unwrap_or(0);
        }
    }
    held.min(limits::STIR_FETCH_KEPT_MAX.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_as_long_as_they_say() {
        let day = limits::STIR_FETCH_KEPT_MAX.as_secs();
        for (said, held) in [
            (None, limits::STIR_FETCH_KEPT.as_secs()),
            (Some("max-age=600"), 600),
            (Some("public, MAX-AGE=\"60\", immutable"), 60),
            (Some("max-age=99999999999"), day),
            (Some("max-age=999999999999999999999999"), 0),
            (Some("max-age=600, no-cache"), 0),
            (Some("no-store"), 0),
            (Some("private"), limits::STIR_FETCH_KEPT.as_secs()),
        ] {
            assert_eq!(holds(said), held, "{said:?}");
        }
    }

    #[test]
    fn only_https_of_plain_hosts() {
        for (url, host) in [
            ("https://cr.example/a.pem", Some("cr.example")),
            ("https://CR.example:443/a.pem", Some("cr.example")),
            ("https://cr.example:8443/a.pem", Some("cr.example:8443")),
            ("https://[2001:db8::1]:8443/a", Some("[2001:db8::1]:8443")),
            ("https://cr.example@evil.example/a", None),
            ("https://x:y@cr.example/a", None),
            ("http://cr.example/a.pem", None),
            ("file:///etc/passwd", None),
            ("cr.example/a.pem", None),
            ("", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
        assert_eq!(host_of(&format!("https://cr.example/{}", "x".repeat(limits::STIR_URL))), None);
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let mut fetched = Fetched::default();
        let bad = Answer { body: "nothing".into(), cache_control: None };
        assert_eq!(fetched.put("https://a.example/", Some(&bad), 1), Some("not_a_certificate"));
        for n in 0..limits::STIR_FETCHED as u64 + 5 {
            assert_eq!(fetched.put(&format!("https://a.example/{n}"), None, 100 + n), Some("not_fetched"));
        }
        assert_eq!(fetched.count(), limits::STIR_FETCHED);
        assert!(fetched.entry("https://a.example/", 1).is_none(), "the oldest went first");
        let last = format!("https://a.example/{}", limits::STIR_FETCHED + 4);
        let until = 100 + limits::STIR_FETCHED as u64 + 4 + limits::STIR_FETCH_AGAIN.as_secs();
        assert!(fetched.entry(&last, until).is_some() && fetched.entry(&last, until + 1).is_none());
    }
}
