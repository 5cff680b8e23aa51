//! Which number a visitor sees, and whose call it is: ours, and those of others as they document them.

mod fixed;
mod leaseline;
mod lending;

use smallvec::SmallVec;

use super::world::{Ms, Visit, VisitId, World};
use crate::ids::E164;

/// What a page shows after it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What it showed before.
    Same,
    /// This number of the pool.
    Number(usize),
    /// The company's real number: a call to it is not tracked.
    Real,
}

/// A call as it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    /// `None`: withheld.
    pub caller: Option<&'a E164>,
    /// Region of the caller's number.
    pub region: Option<&'a std::sync::Arc<str>>,
    /// The number of the pool that was dialled.
    pub number: usize,
}

/// Who a policy says is calling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The visitor, by cookie.
    pub cookie: Option<u32>,
    pub campaign: Option<u16>,
    pub source: Option<u16>,
    /// How sure it is of the visitor, or of nobody; `None`: it never says, which counts as sure.
    pub confidence: Option<f64>,
    /// Everybody it thinks of.
    pub candidates: SmallVec<[(u32, f64); 4]>,
}

/// A way to lend numbers and to name callers. It is told what a tracker is told, never the truth.
pub trait Policy {
    /// A page of this visit is loaded.
    fn open(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown;
    /// It is still in sight.
    fn beat(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown;
    /// It is in sight again.
    fn visible(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown {
        self.beat(at, id, visit)
    }
    fn hidden(&mut self, _at: Ms, _id: VisitId) {}
    fn tap(&mut self, _at: Ms, _id: VisitId) {}
    fn copy(&mut self, _at: Ms, _id: VisitId) {}
    fn close(&mut self, _at: Ms, _id: VisitId, _visit: &Visit) {}
    fn call(&mut self, at: Ms, ring: Ring<'_>) -> Answer;
    /// The warm-up is over: what was seen so far may be learned from.
    fn learn(&mut self, _at: Ms) {}
}

/// A policy that can be run, by name.
#[derive(Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    make: for<'w> fn(&'w World, usize) -> Box<dyn Policy + 'w>,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Contender {
    /// Ready for the first visit, with a pool of so many numbers.
    pub fn start<'w>(&self, world: &'w World, numbers: usize) -> Box<dyn Policy + 'w> {
        (self.make)(world, numbers)
    }
}

/// All policies, ours first.
pub const CONTENDERS: &[Contender] = &[
    Contender {
        name: "leaseline",
        about: "this program's allocator and attribution",
        make: |world, numbers| Box::new(leaseline::Leaseline::new(world, numbers, true)),
    },
    Contender {
        name: "longest-free-model",
        about: "ours, but the longest-free number: what the choice of numbers brings",
        // With no call expected of anybody, no number has a risk, and the one that was left longest ago is given.
        make: |world, numbers| Box::new(leaseline::Leaseline::new(world, numbers, false)),
    },
    Contender {
        name: "random",
        about: "random free number for 5 min, 15 at most (rockstat)",
        make: |_, numbers| Box::new(lending::Lending::new(lending::RANDOM, numbers)),
    },
    Contender {
        name: "last-viewer",
        about: "whoever saw the number last, within the hour (NinjaTrack)",
        make: |_, numbers| Box::new(lending::Lending::new(lending::LAST_VIEWER, numbers)),
    },
    Contender {
        name: "unbind",
        about: "3 min after the last activity, unbound by a call (LPTracker)",
        make: |_, numbers| Box::new(lending::Lending::new(lending::UNBIND, numbers)),
    },
    Contender {
        name: "hard-30",
        about: "kept 30 min after the visit, nobody afterwards (MANGO)",
        make: |_, numbers| Box::new(lending::Lending::new(lending::HARD_30, numbers)),
    },
    Contender {
        name: "source-static",
        about: "a fixed number for each source, then for campaigns",
        make: |world, numbers| Box::new(fixed::Fixed::new(world, numbers)),
    },
    Contender {
        name: "longest-free",
        about: "longest-free number, 30 min hold, last holder",
        make: |_, numbers| Box::new(lending::Lending::new(lending::LONGEST_FREE, numbers)),
    },
    Contender {
        name: "caller-memory",
        about: "the same, and known callers stay whose they were (PrimeGate)",
        make: |_, numbers| Box::new(lending::Lending::new(lending::CALLER_MEMORY, numbers)),
    },
];

/// The policies of a list of names; `all` is all.
///
/// # Errors
/// The first name that is none.
pub fn contenders(names: &[String]) -> Result<Vec<Contender>, String> {
    if names.iter().any(|name| name == "all") {
        return Ok(CONTENDERS.to_vec());
    }
    let find = |name: &String| CONTENDERS.iter().find(|one| one.name == name).copied().ok_or_else(|| name.clone());
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests;
