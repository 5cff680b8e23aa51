//! Which pools a visit may have a number of, in which order, and why; and which visits get a number at all.
//!
//! *The order.* Of the pools of a site a visit fits those whose preset (`traffic`) and one of whose `conditions` fit it, or
//! that ask for nothing. Of these the highest `priority` comes first; of equal ones the pool whose fitting conditions asked
//! for most (a preset counts as one more); of equal ones the name decides, in the order of the alphabet. So every two pools
//! have an order, and the same visit has the same one on every node. A pool without a number left is passed over for the
//! next. A visit that fits none sees the real number.
//!
//! *Whether at all* ([`Visit::judge`]): offices and staff, crawlers and prefetched pages see the real number; visits that are
//! not worth a number ([`score`], `[[site.worth]]`), an address that takes too many, and a company that has spent its cap
//! see the static number of their source.
//!
//! [`explain`] says all of this in words, by the same functions that decide.

pub mod document;
mod explain;
mod fit;
mod ledger;
mod question;
mod score;
mod steps;
mod visit;

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::config::{Pool, Site};
use crate::core::event::Session;
use crate::core::lease::Device;
use crate::core::source::Source;
use crate::time::Wall;

pub use explain::{Check, Explanation, PoolView, VisitView, explain};
pub use ledger::{Ledger, Row};
pub use question::{NoAnswer, Question};
pub use score::{Score, score};
pub use steps::{Fallbacks, Static, warnings};
pub use visit::{AddressQuota, Judgement, Staff, Visit, is_crawler};

/// What is known of a visit when it asks for a number.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub session: &'a Session,
    /// [`Source::of`] this session.
    pub source: &'a Source,
    pub device: Device,
    /// ISO 3166; none: not known.
    pub region: Option<&'a str>,
    /// Of the browser, `en-GB`; none: not known.
    pub language: Option<&'a str>,
    pub at: Wall,
}

/// Pools of every site, ready to be chosen from. Immutable; made anew with every configuration.
#[derive(Debug, Default)]
pub struct Selector {
    sites: HashMap<String, Vec<Candidate>>,
}

/// Positions of pools, in the slice that the [`Selector`] was made of.
pub type Chosen = SmallVec<[usize; 4]>;

#[derive(Debug)]
struct Candidate {
    index: usize,
    pool: Arc<Pool>,
}

impl Selector {
    /// Of these pools; the static ones among them are left out. A pool without a site serves every site of its company.
    pub fn new(pools: &[Arc<Pool>], sites: &[Arc<Site>]) -> Selector {
        let of_site = |site: &Site| {
            let serves = |pool: &Pool| match &pool.site {
                Some(name) => *name == site.name,
                None => pool.company == site.company,
            };
            let leased = pools.iter().enumerate().filter(|(_, pool)| pool.kind == crate::config::PoolKind::Dynamic);
            let mut own: Vec<Candidate> = leased
                .filter(|(_, pool)| serves(pool))
                .map(|(index, pool)| Candidate { index, pool: Arc::clone(pool) })
                .collect();
            own.sort_by(|a, b| rank(&a.pool).cmp(&rank(&b.pool)));
            own
        };
        Selector { sites: sites.iter().map(|site| (site.name.clone(), of_site(site))).collect() }
    }

    /// The site is configured here.
    pub fn knows(&self, site: &str) -> bool {
        self.sites.contains_key(site)
    }

    /// The site has pools at all.
    pub fn has_pools(&self, site: &str) -> bool {
        self.sites.get(site).is_some_and(|own| !own.is_empty())
    }

    /// Pools that this visit may have a number of, the best first.
    pub fn choose(&self, site: &str, facts: &Facts<'_>) -> Chosen {
        let Some(own) = self.sites.get(site) else { return Chosen::new() };
        // Most sites have one pool for all.
        if let [only] = own.as_slice()
            && only.pool.rules.is_for_all()
        {
            return Chosen::from_slice(&[only.index]);
        }
        self.ranked(site, facts).into_iter().map(|(index, _)| index).collect()
    }

    /// The same with how specific each was.
    fn ranked(&self, site: &str, facts: &Facts<'_>) -> SmallVec<[(usize, usize); 4]> {
        let own = self.sites.get(site).map(Vec::as_slice).unwrap_or_default();
        let fits = |candidate: &Candidate| {
            let specificity = fit::specificity(&candidate.pool.rules, facts)?;
            Some((candidate.pool.rules.priority, specificity, candidate.index))
        };
        let mut fitting: SmallVec<[(u32, usize, usize); 4]> = own.iter().filter_map(fits).collect();
        // They are in order of priority and name already, and this keeps what it finds equal in its order.
        fitting.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)));
        fitting.into_iter().map(|(_, specificity, index)| (index, specificity)).collect()
    }
}

/// Highest priority first, then the name.
fn rank(pool: &Pool) -> (std::cmp::Reverse<u32>, &str) {
    (std::cmp::Reverse(pool.rules.priority), &pool.name)
}

#[cfg(test)]
mod tests;
