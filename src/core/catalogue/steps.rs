//! What a visit sees when it gets no number of its own: the static number of its source, then the overflow number, then
//! the real one. And what is odd about static channels.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Config, Pool, PoolKind};
use crate::core::lease::Class;
use crate::core::source::{Source, folded};
use crate::ids::E164;

/// Static numbers that stand behind dynamic pools. Immutable; made anew with every configuration.
#[derive(Debug, Default)]
pub struct Fallbacks {
    /// By the name of a dynamic pool.
    pools: HashMap<String, Behind>,
}

#[derive(Debug, Default)]
struct Behind {
    by_source: Vec<Arc<Pool>>,
    overflow: Option<Arc<Pool>>,
}

/// A static number that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Static {
    pub number: E164,
    /// The static pool that it belongs to.
    pub pool: String,
    /// [`Class::SourceStatic`] or [`Class::Overflow`].
    pub class: Class,
}

impl Fallbacks {
    pub fn new(pools: &[Arc<Pool>]) -> Fallbacks {
        let named = |name: &String| {
            let found = pools.iter().find(|pool| pool.name == *name && pool.kind == PoolKind::Static);
            found.map(Arc::clone)
        };
        let of_pool = |pool: &Arc<Pool>| {
            let by_source = pool.rules.static_pools.iter().filter_map(named).collect();
            let behind = Behind { by_source, overflow: pool.rules.overflow_pool.as_ref().and_then(named) };
            (pool.name.clone(), behind)
        };
        let leased = pools.iter().filter(|pool| pool.kind == PoolKind::Dynamic);
        Fallbacks { pools: leased.map(of_pool).collect() }
    }

    /// What a visit of this source sees that fits these pools, the best first.
    pub fn behind<'p>(&self, pools: impl Iterator<Item = &'p str> + Clone, source: &Source) -> Option<Static> {
        let of = |name: &'p str| self.pools.get(name);
        let best = |behind: &Behind| {
            let weighed = behind.by_source.iter().filter_map(|pool| Some((weight(pool, source)?, pool)));
            // Of equal ones the first: `max_by_key` would take the last.
            let best = weighed.fold(None::<(usize, &Arc<Pool>)>, |best, one| match best {
                Some(best) if best.0 >= one.0 => Some(best),
                _ => Some(one),
            });
            best.and_then(|(_, pool)| shown(pool, Class::SourceStatic))
        };
        let by_source = pools.clone().filter_map(of).find_map(best);
        let overflow = || pools.clone().filter_map(of).find_map(|b| shown(b.overflow.as_ref()?, Class::Overflow));
        by_source.or_else(overflow)
    }
}

fn shown(pool: &Pool, class: Class) -> Option<Static> {
    Some(Static { number: pool.numbers.first()?.clone(), pool: pool.name.clone(), class })
}

/// How well the channel of a static pool names this source: by how much of medium and campaign it names too. None: it is
/// another's.
fn weight(pool: &Pool, source: &Source) -> Option<usize> {
    let channel = pool.channel.as_ref()?;
    let asked = [("source", &source.source), ("medium", &source.medium), ("campaign", &source.campaign)];
    let mut weight = 0;
    for (key, value) in asked {
        match channel.get(key) {
            Some(wanted) if folded(wanted) == *value => weight += 1,
            Some(_) => return None,
            None if key == "source" => return None,
            None => {}
        }
    }
    Some(weight)
}

/// What is allowed and probably not meant, for people. In the order of the pools.
pub fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let behind = |name: &String| {
        config
            .pools
            .iter()
            .any(|pool| pool.rules.static_pools.contains(name) || pool.rules.overflow_pool.as_ref() == Some(name))
    };
    for pool in config.pools.iter().filter(|pool| pool.kind == PoolKind::Static && !behind(&pool.name)) {
        let Some(source) = pool.channel.as_ref().and_then(|channel| online(channel)) else { continue };
        found.push(format!(
            "pool {}: `{source}` is an online source, and a static channel has no visitors: its calls have no identifiers \
             and cannot be sent to ad systems; a dynamic pool would know who called",
            pool.name
        ));
    }
    for pool in config.pools.iter().filter(|pool| pool.kind == PoolKind::Dynamic) {
        let same = config.pools.iter().filter(|other| {
            other.kind == PoolKind::Dynamic && other.site == pool.site && other.company == pool.company
        });
        let shadow = same.filter(|other| other.name != pool.name && other.rules.is_for_all());
        if let Some(other) = shadow.max_by_key(|other| other.rules.priority)
            && other.rules.priority > pool.rules.priority
        {
            found.push(format!(
                "pool {}: pool {} is for every visit and has a higher priority: this one gets only visitors for whom \
                 that one has no number",
                pool.name, other.name
            ));
        }
    }
    found
}

/// The source of a channel that people reach by a click.
fn online(channel: &std::collections::BTreeMap<String, String>) -> Option<&str> {
    const SOURCES: [&str; 13] = [
        "yandex",
        "google",
        "bing",
        "facebook",
        "instagram",
        "vk",
        "telegram",
        "tiktok",
        "youtube",
        "yandex.direct",
        "adwords",
        "google ads",
        "mytarget",
    ];
    let source = channel.get("source")?;
    let medium = channel.get("medium").map(|medium| folded(medium)).unwrap_or_default();
    let clicked =
        crate::core::source::is_paid(&medium) || matches!(medium.as_str(), "organic" | "social" | "email" | "referral");
    (clicked || SOURCES.contains(&folded(source).as_str()) && medium != "offline").then_some(source.as_str())
}
