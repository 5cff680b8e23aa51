//! Which visits get a number: what a request tells, put before the rules of its site.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};

use super::AppState;
use super::access::{self, Caller};
use crate::core::catalogue::{Facts, Judgement, Staff, Visit};
use crate::core::event::Session;
use crate::core::lease::Device;
use crate::core::source::{Source, parameter};
use crate::limits;
use crate::time::Now;

/// Name of the cookie of staff's browsers, and of the parameter in staff links.
const STAFF: &str = "leaseline_staff";

/// What comes of a visit.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// It sees the real number, and this is why.
    pub(super) excluded: Option<&'static str>,
    /// It sees a static number, and this is why.
    pub(super) instead: Option<&'static str>,
    /// For the answer: marks the browser as staff's.
    pub(super) cookie: Option<HeaderValue>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) site: &'a str,
    /// The visitor was here before.
    pub(super) returning: bool,
    pub(super) session: &'a Session,
    pub(super) device: Device,
    pub(super) language: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    /// A crawler, or a page that nobody looks at yet.
    pub(super) nobody: Option<&'static str>,
}

impl AppState {
    /// By the site's rules, then by what the address and the company have had already. What a program asks for a visitor
    /// (no page, no `Origin`) is not bounded by its address.
    pub(super) fn judge(&self, asked: Asked<'_>, caller: &Caller, headers: &HeaderMap, now: Now) -> Judged {
        let config = self.config.load();
        let Some(site) = config.sites.iter().find(|site| site.name == asked.site) else { return Judged::default() };
        let source = Source::of(asked.session);
        let facts = Facts {
            session: asked.session,
            source: &source,
            device: asked.device,
            region: asked.region,
            language: asked.language,
            at: now.wall,
        };
        let is_page = caller.origin.is_some();
        let link = asked.session.landing_page.as_deref().and_then(|page| parameter(page, STAFF));
        let cookie = access::cookies(headers).find(|(name, _)| *name == STAFF).map(|(_, value)| value.to_owned());
        let visit = |staff| Visit {
            address: is_page.then_some(caller.address),
            nobody: asked.nobody,
            staff,
            returning: asked.returning,
        };
        let by_link = link.as_deref().map(|proof| visit(Some(proof)).judge(&site.visits, &facts));
        let judged = match by_link {
            Some(judged @ Judgement::Excluded("excluded_staff")) => {
                let proof = site
                    .visits
                    .staff_secret
                    .as_ref()
                    .map(|secret| Staff::new(&secret.0).proof(now.wall + site.visits.staff_for));
                let age = site.visits.staff_for.as_secs();
                let line = proof.map(|proof| {
                    format!("{STAFF}={proof}; Max-Age={age}; Path=/v1/leases; HttpOnly; Secure; SameSite=None")
                });
                let cookie = line.and_then(|line| HeaderValue::from_str(&line).ok());
                return Judged { excluded: judged.code(), instead: None, cookie };
            }
            _ => visit(cookie.as_deref()).judge(&site.visits, &facts),
        };
        let none = Judged::default();
        match judged {
            Judgement::Excluded(code) => Judged { excluded: Some(code), ..none },
            Judgement::Static(code) => Judged { instead: Some(code), ..none },
            Judgement::Number => {
                let most = site.visits.leases_per_address_max;
                let company = config.companies.iter().find(|company| company.name == site.company);
                let spent =
                    company.and_then(|company| self.ledger.exhausted(&company.name, &company.tracking, now.wall));
                let drains = is_page && !self.quota().may(caller.address, most, now.mono);
                Judged { instead: if drains { Some("address_limit") } else { spent }, ..none }
            }
        }
    }

    /// Where the visitor is, as far as the address tells: only a page's, for a program has its own. Nothing keeps the
    /// address.
    pub(super) fn region(&self, caller: &Caller) -> Option<Arc<str>> {
        let config = self.config.load();
        let addresses = config.regions.addresses.as_ref().filter(|_| caller.origin.is_some())?;
        addresses.of(caller.address)
    }

    /// A page got a lease that it did not have before.
    pub(super) fn count_lease(&self, caller: &Caller, now: Now) {
        if caller.origin.is_some() {
            self.quota().count(caller.address, now.mono);
        }
    }
}

/// The first language of the browser.
pub(super) fn language(headers: &HeaderMap) -> Option<&str> {
    let line = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let first = line.split([',', ';']).next()?.trim();
    let is_tag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (first.len() <= limits::LANGUAGE && first.split('-').all(is_tag)).then_some(first)
}
