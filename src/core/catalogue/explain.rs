//! The choice in words: a dry run that leases nothing.

use std::sync::Arc;

use serde::Serialize;

use super::fit::{self, OTHERS};
use super::{Facts, Fallbacks, Score, Selector, Visit, score};
use crate::config::{Company, Conditions, Feature, Pool, Site, Track};
use crate::core::lease::{Class, Device};
use crate::core::source::{SaidBy, Source};
use crate::ids::E164;

/// What a visit would get, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub site: String,
    pub company: String,
    pub visit: VisitView,
    /// `number`: of the first of the pools below that has one. `static`: the static number. `real_number`.
    pub verdict: &'static str,
    /// Why it is no number of its own, as the answer to a page has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How likely the visit is to call, when the site asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Every pool of the site: those that fit in the order in which they are asked, then the others by name.
    pub pools: Vec<PoolView>,
    /// What is shown when none of them has a number: of the source, then of the overflow pool; none: the real number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_a_number: Option<StaticView>,
}

/// How the visit was read.
#[derive(Clone, Debug, Serialize)]
pub struct VisitView {
    #[serde(flatten)]
    pub source: Source,
    pub said_by: SaidBy,
    pub device: Device,
    pub region: Option<String>,
    pub language: Option<String>,
}

/// One pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolView {
    pub pool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub fits: bool,
    pub priority: u32,
    /// How much of what it asks for fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specificity: Option<usize>,
    /// Why it stands where it stands.
    pub because: String,
    pub checks: Vec<Check>,
}

/// One thing that a pool asks of a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `traffic`, or the table of conditions and its key: `conditions[0].utm_source`.
    pub key: String,
    pub wanted: String,
    pub found: String,
    pub holds: bool,
}

/// A static number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaticView {
    pub class: Class,
    pub pool: String,
    pub number: E164,
}

/// What this visit of the site would get. `pools` are all of the configuration; none: there is no such site.
pub fn explain(
    site: &Site,
    company: Option<&Company>,
    pools: &[Arc<Pool>],
    visit: &Visit<'_>,
    facts: &Facts<'_>,
) -> Explanation {
    let selector = Selector::new(pools, &[Arc::new(site.clone())]);
    let ranked = selector.ranked(&site.name, facts);
    let own = selector.sites.get(&site.name).map(Vec::as_slice).unwrap_or_default();
    let mut views = Vec::with_capacity(own.len());
    let mut before: Option<(&Pool, usize)> = None;
    for (index, specificity) in &ranked {
        let Some(pool) = pools.get(*index) else { continue };
        let because = place(before, pool, *specificity);
        views.push(view(pool, facts, Some(*specificity), because));
        before = Some((pool, *specificity));
    }
    let mut others: Vec<&Pool> = own.iter().map(|candidate| &*candidate.pool).collect();
    others.retain(|pool| !views.iter().any(|view| view.pool == pool.name));
    others.sort_by(|a, b| a.name.cmp(&b.name));
    views.extend(others.into_iter().map(|pool| view(pool, facts, None, misfit(pool, facts))));

    let judgement = visit.judge(&site.visits, facts);
    let fitting = || views.iter().filter(|view| view.fits).map(|view| view.pool.as_str());
    let behind = Fallbacks::new(pools).behind(fitting().collect::<Vec<_>>().into_iter(), facts.source);
    let dynamic = company.is_none_or(|company| company.tracking.has(Feature::Dynamic));
    let (verdict, reason) = match judgement {
        super::Judgement::Excluded(code) => ("real_number", Some(code)),
        _ if own.is_empty() || !dynamic => ("real_number", Some("no_pool")),
        _ if fitting().next().is_none() => ("real_number", Some("no_pool_fits")),
        super::Judgement::Number => ("number", None),
        super::Judgement::Static(code) if behind.is_some() => ("static", Some(code)),
        super::Judgement::Static(code) => ("real_number", Some(code)),
    };
    let (source, said_by) = Source::explained(facts.session);
    Explanation {
        site: site.name.clone(),
        company: site.company.clone(),
        visit: VisitView {
            source,
            said_by,
            device: facts.device,
            region: facts.region.map(str::to_owned),
            language: facts.language.map(str::to_owned),
        },
        verdict,
        reason,
        score: (site.visits.track == Track::Score).then(|| score(facts, visit.returning)),
        pools: views,
        without_a_number: behind.map(|one| StaticView { class: one.class, pool: one.pool, number: one.number }),
    }
}

/// Why a pool that fits stands behind the one before it.
fn place(before: Option<(&Pool, usize)>, pool: &Pool, specificity: usize) -> String {
    let Some((first, asked)) = before else { return "fits, and is asked first".to_owned() };
    let (name, rules) = (&first.name, &first.rules);
    if rules.priority != pool.rules.priority {
        return format!("fits; `{name}` has priority {}, this one {}", rules.priority, pool.rules.priority);
    }
    if asked != specificity {
        return format!("fits; `{name}` has the same priority and asked for more ({asked} against {specificity})");
    }
    format!("fits; `{name}` has the same priority, asked for as much, and comes first by name")
}

fn misfit(pool: &Pool, facts: &Facts<'_>) -> String {
    let missed: Vec<String> = checks(pool, facts).into_iter().filter(|check| !check.holds).map(|c| c.key).collect();
    format!("does not fit: {}", missed.join(", "))
}

fn view(pool: &Pool, facts: &Facts<'_>, specificity: Option<usize>, because: String) -> PoolView {
    PoolView {
        pool: pool.name.clone(),
        title: pool.rules.title.clone(),
        fits: specificity.is_some(),
        priority: pool.rules.priority,
        specificity,
        because,
        checks: checks(pool, facts),
    }
}

/// Everything that the pool asks for.
fn checks(pool: &Pool, facts: &Facts<'_>) -> Vec<Check> {
    let rules = &pool.rules;
    let mut all = Vec::new();
    if !rules.traffic.is_empty() {
        let wanted: Vec<&str> = rules.traffic.iter().map(|traffic| traffic.as_str()).collect();
        let found = &facts.source;
        all.push(Check {
            key: "traffic".to_owned(),
            wanted: wanted.join(" or "),
            found: format!("{} / {}", found.source, found.medium),
            holds: rules.traffic.iter().any(|traffic| traffic.fits(facts.session, facts.source)),
        });
    }
    for (i, conditions) in rules.conditions.iter().enumerate() {
        let texts = conditions.texts();
        let keys = texts.iter().filter(|(_, patterns)| !patterns.is_empty()).map(|(key, _)| *key).chain(OTHERS);
        all.extend(keys.filter_map(|key| {
            let wanted = wanted(conditions, key)?;
            let found = found(key, facts);
            Some(Check {
                key: format!("conditions[{i}].{key}"),
                wanted,
                found,
                holds: fit::holds(conditions, key, facts),
            })
        }));
    }
    all
}

/// What a key asks for; none: nothing.
fn wanted(conditions: &Conditions, key: &str) -> Option<String> {
    let list: Vec<String> = match key {
        "click_ids" => conditions.click_ids.clone(),
        "device" => conditions.device.iter().map(|device| name(*device)).collect(),
        "region" => conditions.region.texts().collect(),
        "language" => conditions.language.texts().collect(),
        "hours" => conditions.hours.iter().map(|hours| format!("its hours in {}", hours.zone)).collect(),
        text => {
            conditions.texts().iter().find(|(name, _)| *name == text).into_iter().flat_map(|(_, p)| p.texts()).collect()
        }
    };
    (!list.is_empty()).then(|| list.join(", "))
}

fn found(key: &str, facts: &Facts<'_>) -> String {
    let known = |value: Option<&str>| value.unwrap_or("not known").to_owned();
    match key {
        "click_ids" => match facts.session.click_ids.is_empty() {
            true => "none".to_owned(),
            false => facts.session.click_ids.keys().cloned().collect::<Vec<_>>().join(", "),
        },
        "device" => name(facts.device),
        "region" => known(facts.region),
        "language" => known(facts.language),
        "hours" => facts.at.to_rfc3339(),
        text => fit::value(text, facts).map_or_else(|| "none".to_owned(), std::borrow::Cow::into_owned),
    }
}

fn name(device: Device) -> String {
    match device {
        Device::Unknown => "not known",
        Device::Mobile => "mobile",
        Device::Tablet => "tablet",
        Device::Desktop => "desktop",
    }
    .to_owned()
}
