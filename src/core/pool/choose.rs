//! Which number a visitor gets.
//!
//! A number that is given again can be called by somebody who had it before. What such a call would be taken for costs
//! little when both came from the same campaign, more when only from the same source, and all when from different ones;
//! and less when caller and visitor can be told apart by where they are. So for each number that nobody sees, over its
//! former holders `i`, who are each expected to make `m` more calls,
//!
//! ```text
//! risk = Σ mᵢ · cost(i, newcomer)  +  v · Σ mᵢ² / Σ mᵢ
//! ```
//!
//! and the number with the least risk is given; of equals the one that was left longest ago, so that numbers which were
//! never used come first. The first sum is the calls that would be put down to a wrong source. The second is the calls
//! that would be put down to a wrong visitor: of several former holders the likeliest is named, and a newcomer takes that
//! from them. `m` is what the model of attribution has learned ([`Forecast`]): it falls with the time since they left, and
//! who looked for five seconds is expected to call less than who read for five minutes. Numbers so sort themselves into
//! groups of one campaign, without anybody configuring it.
//!
//! The choice looks at the numbers left longest ago of all, of the newcomer's campaign and of the newcomer's source, a
//! few of each: the least risk is nearly always among them.

use std::hash::BuildHasher as _;

use super::{Allocator, Slot};
use crate::core::attribution::Forecast;
use crate::core::event::Session;
use crate::core::lease::Lease;
use crate::core::source::Source;
use crate::time::Wall;

/// Former holders of a number that the choice looks at.
pub(super) const FACES: usize = 8;
/// Numbers it looks at on each shelf.
const LOOK: usize = 8;
const SAME_CAMPAIGN: f64 = 0.05;
const SAME_SOURCE: f64 = 0.25;
/// What a wrong visitor costs, when a wrong source costs 1.
const VISITOR: f64 = 0.5;
/// Of the cost, when the regions differ: then the caller's number tells them apart, mostly.
const OTHER_REGION: f64 = 0.35;

/// What confusions are measured by: equal hashes for the same campaign, source, region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kin {
    pub(super) campaign: u64,
    pub(super) source: u64,
    /// 0: not known.
    region: u64,
}

/// Somebody who left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    pub(super) kin: Kin,
    left: Wall,
    weight: f64,
    /// While it lasts.
    pub(super) right: Option<usize>,
}

impl Kin {
    pub(super) fn of(session: &Session, region: Option<&str>) -> Kin {
        let source = Source::of(session);
        Kin {
            campaign: hash([&*source.source, &*source.medium, &*source.campaign]),
            source: hash([&*source.source, &*source.medium]),
            region: region.map_or(0, |region| hash([region])),
        }
    }
}

impl Face {
    pub(super) fn of(lease: &Lease, kin: Kin, forecast: &Forecast, right: Option<usize>) -> Face {
        Face { kin, left: lease.left_at(), weight: forecast.weight(lease), right }
    }

    /// Calls still to be expected of them, and what it costs to take one for the newcomer's.
    fn risk(&self, now: Wall, new: &Kin, forecast: &Forecast) -> (f64, f64) {
        let cost = match self.kin {
            kin if kin.campaign == new.campaign => SAME_CAMPAIGN,
            kin if kin.source == new.source => SAME_SOURCE,
            _ => 1.0,
        };
        let differs = self.kin.region != 0 && new.region != 0 && self.kin.region != new.region;
        let told_apart = if differs { OTHER_REGION } else { 1.0 };
        let calls = self.weight * told_apart * forecast.beyond(now.seconds_since(self.left));
        (calls, cost)
    }
}

impl Slot {
    pub(super) fn remember_face(&mut self, face: Face) {
        self.faces.truncate(FACES - 1);
        self.faces.insert(0, face);
    }
}

impl Allocator {
    /// The idle number with the least risk, of the first of these pools that has an idle one.
    pub(super) fn choose(&self, now: Wall, pools: &[usize], new: &Kin) -> Option<usize> {
        pools.iter().find_map(|&pool| self.choose_of(now, pool, new))
    }

    fn choose_of(&self, now: Wall, pool: usize, new: &Kin) -> Option<usize> {
        let shelf = &self.pools[pool].shelf;
        let of = |shelf: Option<&std::collections::BTreeSet<(u64, usize)>>| {
            let mut found: smallvec::SmallVec<[(u64, usize); LOOK]> = smallvec::SmallVec::new();
            found.extend(shelf.into_iter().flatten().take(LOOK).copied());
            found
        };
        let mut best: Option<(f64, u64, usize)> = None;
        let shelves =
            [Some(&shelf.idle), shelf.by_campaign.get(&new.campaign), shelf.by_source.get(&new.source)].map(of);
        for (order, slot) in shelves.into_iter().flatten() {
            let risk = self.risk(now, slot, new);
            if best.is_none_or(|(least, first, _)| (risk, order) < (least, first)) {
                best = Some((risk, order, slot));
            }
            if risk == 0.0 {
                break;
            }
        }
        best.map(|(_, _, slot)| slot)
    }

    fn risk(&self, now: Wall, slot: usize, new: &Kin) -> f64 {
        let (mut calls, mut squares, mut confused) = (0.0, 0.0, 0.0);
        for face in &self.slots[slot].faces {
            let (expected, cost) = face.risk(now, new, &self.forecast);
            calls += expected;
            squares += expected * expected;
            confused += expected * cost;
        }
        // Of several who may call, the likeliest is named: a newcomer takes that from them.
        confused + if calls > 0.0 { VISITOR * squares / calls } else { 0.0 }
    }

    /// A number that visitors of the same campaign see, the one with the fewest.
    pub(super) fn choose_shared(&self, pools: &[usize], new: &Kin) -> Option<usize> {
        let fewest = |&pool: &usize| self.pools[pool].shelf.busy.get(&new.campaign)?.first().copied();
        pools.iter().filter_map(fewest).min().map(|(_, slot)| slot)
    }
}

/// The same for the same texts, in every run.
pub(super) fn hash<const N: usize>(texts: [&str; N]) -> u64 {
    foldhash::fast::FixedState::default().hash_one(texts)
}
