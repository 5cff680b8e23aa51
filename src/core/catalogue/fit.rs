//! Whether a visit fits conditions.

use std::borrow::Cow;

use super::Facts;
use crate::config::{Conditions, PoolRules};
use crate::core::route;
use crate::core::source::{folded, host_of};

/// How specific the pool is for this visit; none: it does not fit.
pub(super) fn specificity(rules: &PoolRules, facts: &Facts<'_>) -> Option<usize> {
    if !rules.traffic.is_empty() && !rules.traffic.iter().any(|traffic| traffic.fits(facts.session, facts.source)) {
        return None;
    }
    let preset = usize::from(!rules.traffic.is_empty());
    if rules.conditions.is_empty() {
        return Some(preset);
    }
    let fitting = rules.conditions.iter().filter(|conditions| fits(conditions, facts));
    fitting.map(Conditions::specificity).max().map(|asked| asked + preset)
}

/// Every key of it fits.
pub(super) fn fits(conditions: &Conditions, facts: &Facts<'_>) -> bool {
    let texts = conditions.texts();
    let asked = texts.iter().filter(|(_, patterns)| !patterns.is_empty());
    asked.map(|(key, _)| *key).chain(OTHERS).all(|key| holds(conditions, key, facts))
}

/// Keys that are no patterns of texts.
pub(super) const OTHERS: [&str; 5] = ["click_ids", "device", "region", "language", "hours"];

/// Whether the visit fits one key; a key that was not given fits.
pub(super) fn holds(conditions: &Conditions, key: &str, facts: &Facts<'_>) -> bool {
    match key {
        "click_ids" => {
            let has = |name: &String| facts.session.click_ids.contains_key(name);
            conditions.click_ids.is_empty() || conditions.click_ids.iter().any(has)
        }
        "device" => conditions.device.is_empty() || conditions.device.contains(&facts.device),
        "region" => conditions.region.fit(facts.region),
        "language" => conditions.language.fit(facts.language),
        "hours" => conditions.hours.as_ref().is_none_or(|hours| route::hours(Some(hours), facts.at).is_open()),
        text => {
            let value = value(text, facts);
            let texts = conditions.texts();
            let patterns = texts.iter().find(|(name, _)| *name == text).map(|(_, patterns)| patterns);
            patterns.is_none_or(|patterns| match text {
                "referrer" => patterns.fit_host(value.as_deref()),
                _ => patterns.fit(value.as_deref()),
            })
        }
    }
}

/// What a visit has under a key of a text, folded.
pub(super) fn value<'a>(key: &str, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
    let present = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    match key {
        "source" => present(&facts.source.source),
        "medium" => present(&facts.source.medium),
        "campaign" => present(&facts.source.campaign),
        "referrer" => facts.session.referrer.as_deref().and_then(host_of),
        "landing_path" => facts.session.landing_page.as_deref().and_then(path).map(|path| folded(path).into()),
        utm => {
            let value = facts.session.utm.get(utm.strip_prefix("utm_")?)?;
            Some(folded(value).into()).filter(|value: &Cow<'_, str>| !value.is_empty())
        }
    }
}

/// Path of a URL, `/` at least.
fn path(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    Some(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"))
}
