//! What every page knows: who asks, in which language, at which address, and when.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::format::{clock, local, masked};
use super::text::{Argument, Lang};
use crate::config::Config;
use crate::core::rights::Right;
use crate::io::clock as clocks;
use crate::io::http::AppState;
use crate::io::http::access::{Caller, cookies};
use crate::io::http::calls::{scope, unanswered};
use crate::io::http::problem::Problem;
use crate::io::index::{Calendar, Filter, Page as Found};
use crate::limits;
use crate::time::Wall;

/// Cookie of the switch of themes.
pub(super) const THEME: &str = "leaseline_theme";
/// Cookie of the switch of languages.
pub(super) const LANG: &str = "leaseline_lang";

/// The one parameter that may stand several times: columns of a table.
pub(super) const COLUMN: &str = "col";

/// Colours of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// One request for a page.
pub(super) struct View {
    pub state: Arc<AppState>,
    pub config: Arc<Config>,
    pub caller: Option<Caller>,
    pub lang: Lang,
    pub theme: Theme,
    /// Path of the page.
    pub path: String,
    /// Its parameters, as they came; of what stands twice the first counts, but for [`COLUMN`].
    pub query: Vec<(String, String)>,
    pub now: Wall,
    /// Of the company that the address names, else of the first that whoever asks may see.
    pub zone: TimeZone,
    /// Only the part that changes is wanted.
    pub is_part: bool,
}

impl FromRequestParts<Arc<AppState>> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<View, Problem> {
        Ok(View::of(parts, state))
    }
}

impl View {
    pub(super) fn of(parts: &Parts, state: &Arc<AppState>) -> View {
        let config = state.config.load_full();
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let mut query: Vec<(String, String)> = Vec::new();
        for (key, value) in pairs.take(limits::CONSOLE_PARAMETERS) {
            // A form sends its empty fields too; they ask for nothing.
            let is_first = key == COLUMN || !query.iter().any(|(known, _)| *known == *key);
            if !value.trim().is_empty() && is_first {
                query.push((key.into_owned(), value.trim().to_owned()));
            }
        }
        let caller = parts.extensions.get::<Caller>().cloned();
        let zone = zone(&config, caller.as_ref(), &query);
        let is_part = query.iter().any(|(key, _)| key == "fragment");
        query.retain(|(key, _)| key != "fragment");
        View {
            state: Arc::clone(state),
            config,
            caller,
            lang: cookie(&parts.headers, LANG)
                .and_then(Lang::of_code)
                .unwrap_or_else(|| Lang::accepted(&parts.headers)),
            theme: cookie(&parts.headers, THEME)
                .and_then(|code| Theme::ALL.into_iter().find(|theme| theme.code() == code))
                .unwrap_or_default(),
            path: parts.uri.path().to_owned(),
            query,
            now: clocks::wall(),
            zone,
            is_part,
        }
    }

    pub(super) fn t(&self, key: &str) -> Cow<'static, str> {
        self.lang.text(key, &[])
    }

    /// With arguments.
    pub(super) fn ta(&self, key: &str, arguments: &[(&'static str, Argument<'_>)]) -> Cow<'static, str> {
        self.lang.text(key, arguments)
    }

    /// With a count, which stands in the text as `$shown` and chooses the plural as `$n`.
    pub(super) fn tn(&self, key: &str, count: u64) -> Cow<'static, str> {
        let shown = self.lang.figure(count);
        self.lang.text(key, &[("n", count.into()), ("shown", (&shown).into())])
    }

    /// Word for a code of a closed set: the text `family-code`, or the code when there is none.
    pub(super) fn word(&self, family: &str, code: &str) -> Cow<'static, str> {
        let key = format!("{family}-{}", code.replace('_', "-"));
        self.lang.find(&key, &[]).unwrap_or_else(|| Cow::Owned(code.replace('_', " ")))
    }

    /// A parameter of the address.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// This page with some parameters set, or taken off (`None`).
    pub(super) fn link(&self, changes: &[(&str, Option<&str>)]) -> String {
        let kept = self.query.iter().filter(|(key, _)| !changes.iter().any(|(name, _)| name == key));
        let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
        let set = changes.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
        address(&self.path, kept.chain(set))
    }

    /// A caller's number, behind dots for those who may not see it.
    pub(super) fn phone(&self, number: &str) -> String {
        if self.shows_numbers() { number.to_owned() } else { masked(number) }
    }

    pub(super) fn shows_numbers(&self) -> bool {
        self.user().is_some() && self.caller.as_ref().is_some_and(|caller| caller.rights.shows_numbers())
    }

    /// Whoever asks may see this company at all.
    pub(super) fn sees(&self, company: &str) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.rights.sees(company))
    }

    /// Whoever asks may do this, in some company.
    pub(super) fn may(&self, right: Right) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.rights.may(right))
    }

    /// Whoever asks may do this in this company.
    pub(super) fn may_in(&self, right: Right, company: &str) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.rights.may_in(right, company))
    }

    /// Companies in which whoever asks may do this, as the index takes it.
    pub(super) fn scope(&self, right: Right) -> Option<Vec<String>> {
        let companies = self.caller.as_ref().map(|caller| caller.rights.companies(right));
        companies.map_or_else(|| Some(Vec::new()), scope)
    }

    /// A page of calls that whoever asks may see.
    pub(super) async fn found(&self, mut filter: Filter) -> Result<Found, Problem> {
        filter.scope = self.scope(Right::Calls);
        // Whoever does not see callers' numbers does not find them by a part of one either.
        if !self.shows_numbers() {
            filter.number = filter.q.take().or(filter.number);
            filter.caller = None;
        }
        self.state.index.ask(move |reader| reader.calls(&filter)).await.map_err(unanswered)
    }

    /// Name of who asks.
    pub(super) fn user(&self) -> Option<&str> {
        self.caller.as_ref().filter(|caller| caller.authorised).map(|caller| &*caller.name)
    }

    /// A moment as an element that a machine can read too.
    pub(super) fn time(&self, at: Wall) -> Markup {
        html! { time datetime=(at.to_rfc3339()) { (self.lang.moment(at, self.now, &self.zone)) } }
    }

    /// Only the clock.
    pub(super) fn clock(&self, at: Wall) -> Markup {
        html! { time datetime=(at.to_rfc3339()) { (clock(at, &self.zone)) } }
    }

    /// Today, there.
    pub(super) fn today(&self) -> jiff::civil::Date {
        local(self.now, &self.zone).date()
    }
}

/// A path with its query.
pub(super) fn address<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let mut any = false;
    for (key, value) in pairs {
        query.append_pair(key, value);
        any = true;
    }
    let mut out = path.to_owned();
    if any {
        let _ = write!(out, "?{}", query.finish());
    }
    out
}

/// Days and hours are those of a company's own clocks.
fn zone(config: &Config, caller: Option<&Caller>, query: &[(String, String)]) -> TimeZone {
    let asked = query.iter().find(|(key, _)| key == "company").map(|(_, company)| company);
    let mut seen = config.companies.iter().filter(|of| caller.is_some_and(|caller| caller.rights.sees(&of.name)));
    let company = seen.find(|of| asked.is_none_or(|asked| *asked == of.name));
    company.map_or(TimeZone::UTC, |of| Calendar::of(&of.time_zone).zone().clone())
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookies(headers).find(|(key, _)| *key == name).map(|(_, value)| value)
}
