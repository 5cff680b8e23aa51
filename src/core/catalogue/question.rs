//! A visit told in words, for the dry run: what `leaseline pools` and `POST /v1/catalogue/explain` ask.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Explanation, Facts, Visit, explain, is_crawler};
use crate::config::Config;
use crate::core::event::Session;
use crate::core::lease::{Device, bounded};
use crate::core::source::{Source, completed};
use crate::time::Wall;

/// A visit that is thought of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    pub site: String,
    /// Address of the landing page, with its parameters as they come.
    pub url: Option<String>,
    pub referrer: Option<String>,
    /// What the page's script would send; `url` and `referrer` complete it.
    pub session: Session,
    pub device: Device,
    /// ISO 3166; default: where `address` is, when there is a database.
    pub region: Option<String>,
    pub language: Option<String>,
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub returning: bool,
    /// RFC 3339; default: now.
    pub at: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("no site of this name is configured")]
    UnknownSite,
    #[error("`at` is not a time; write it like 2026-11-22T12:00:00Z")]
    BadTime,
}

impl NoAnswer {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            NoAnswer::UnknownSite => "unknown_site",
            NoAnswer::BadTime => "bad_time",
        }
    }
}

impl Question {
    /// What this visit would get.
    pub fn answer(self, config: &Config, now: Wall) -> Result<Explanation, NoAnswer> {
        let site = config.sites.iter().find(|site| site.name == self.site).ok_or(NoAnswer::UnknownSite)?;
        let at = match &self.at {
            Some(text) => Wall::parse_rfc3339(text).ok_or(NoAnswer::BadTime)?,
            None => now,
        };
        let mut session = self.session;
        session.landing_page = self.url.or(session.landing_page);
        session.referrer = self.referrer.or(session.referrer);
        let session = bounded(completed(session));
        let source = Source::of(&session);
        let addresses = config.regions.addresses.as_ref().zip(self.address);
        let near = addresses.and_then(|(addresses, address)| addresses.of(address));
        let facts = Facts {
            session: &session,
            source: &source,
            device: self.device,
            region: self.region.as_deref().or(near.as_deref()),
            language: self.language.as_deref(),
            at,
        };
        let visit = Visit {
            address: self.address,
            nobody: self.user_agent.as_deref().filter(|agent| is_crawler(agent)).map(|_| "bot"),
            returning: self.returning,
            ..Visit::default()
        };
        let company = config.companies.iter().find(|company| company.name == site.company);
        Ok(explain(site, company.map(|company| &**company), &config.pools, &visit, &facts))
    }
}
