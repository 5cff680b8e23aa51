//! Pools that name other pools, and what a company may use.

use super::super::read::Reader;
use super::super::{Binding, Company, Config, Feature, Overage, Plan, Pool, PoolKind, Track};
use super::{Marks, Places, kept};

pub(super) fn pools(r: &mut Reader<'_>, config: &Config, places: &Places) {
    let lost = places.pools.iter().any(|marks| marks.lost);
    for (pool, marks) in config.pools.iter().zip(kept(&places.pools)) {
        if !lost {
            fallbacks(r, config, pool, marks);
        }
        if let Some(company) = config.companies.iter().find(|company| company.name == pool.company) {
            features(r, company, pool, marks);
        }
    }
    for (company, marks) in config.companies.iter().zip(kept(&places.companies)) {
        numbers(r, config, company, marks);
    }
    for (site, marks) in config.sites.iter().zip(kept(&places.sites)) {
        let company = config.companies.iter().find(|company| company.name == site.company);
        if site.visits.track != Track::All && company.is_some_and(|c| !c.tracking.has(Feature::Selective)) {
            r.problem(marks.key("company"), without(&site.company, Feature::Selective, "`track` must be \"all\""));
        }
    }
}

/// What is shown when a pool has no number are numbers of static pools of the same company.
fn fallbacks(r: &mut Reader<'_>, config: &Config, pool: &Pool, marks: &Marks) {
    let named = pool.rules.static_pools.iter().map(|name| ("static_pools", name));
    for (key, name) in named.chain(pool.rules.overflow_pool.iter().map(|name| ("overflow_pool", name))) {
        let message = match config.pools.iter().find(|other| other.name == *name) {
            None => format!("there is no pool `{name}`; add a [[pool]] or correct the name"),
            Some(other) if other.company != pool.company => {
                format!("pool `{name}` belongs to company `{}`, this pool to `{}`", other.company, pool.company)
            }
            Some(other) if other.kind != PoolKind::Static => {
                format!("pool `{name}` is dynamic; what is shown when numbers run out is the number of a static pool")
            }
            Some(other) if key == "static_pools" && !has_source(other) => {
                format!("the channel of pool `{name}` has no `source`: whose visitors would see its number?")
            }
            Some(_) => continue,
        };
        r.problem(marks.key(key), message);
    }
}

fn has_source(pool: &Pool) -> bool {
    pool.channel.as_ref().is_some_and(|channel| channel.contains_key("source"))
}

fn features(r: &mut Reader<'_>, company: &Company, pool: &Pool, marks: &Marks) {
    let asked = [
        (Feature::Dynamic, pool.kind == PoolKind::Dynamic, "it has static pools only"),
        (Feature::Params, pool.rules.binding == Binding::Params, "`binding` must be \"visitor\""),
        (Feature::Conditions, !pool.rules.is_for_all(), "take `traffic` and `conditions` out"),
    ];
    for (feature, _, hint) in asked.iter().filter(|(feature, asks, _)| *asks && !company.tracking.has(*feature)) {
        r.problem(marks.key("company"), without(&company.name, *feature, hint));
    }
}

fn without(company: &str, feature: Feature, hint: &str) -> String {
    format!("company `{company}` does not have the feature \"{}\": {hint}", feature.as_str())
}

/// Limits of a company over all its pools.
fn numbers(r: &mut Reader<'_>, config: &Config, company: &Company, marks: &Marks) {
    let has: usize = config.pools.iter().filter(|pool| pool.company == company.name).map(|p| p.numbers.len()).sum();
    let tracking = &company.tracking;
    if tracking.numbers_max > 0 && has > tracking.numbers_max {
        let most = tracking.numbers_max;
        r.problem(&marks.name, format!("has {has} numbers in its pools; `tracking.numbers_max` is {most}"));
    }
    let refuses = tracking.plan == Plan::Flat && tracking.overage == Overage::Refuse;
    if refuses && has > tracking.numbers_included {
        let message = format!(
            "has {has} numbers in its pools and {} are included in its plan; take some out, or set \
             `tracking.overage` to \"charge\"",
            tracking.numbers_included
        );
        r.problem(&marks.name, message);
    }
}
