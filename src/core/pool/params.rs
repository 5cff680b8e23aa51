//! `binding = "params"`: a number for a campaign instead of for a visitor. All visitors with the same source, medium and
//! campaign see the same number, and it stays theirs for the pool's hold after the last of them; another campaign gets it
//! only when no number is left that nobody holds.

use smallvec::SmallVec;

use super::choose::Kin;
use super::{Allocator, NoNumber, Place};
use crate::config::Binding;
use crate::core::lease::Class;
use crate::core::source::Source;
use crate::time::Wall;

impl Allocator {
    /// A number for this visit: of the first of these pools that has one, then one that others of its campaign see.
    pub(super) fn choose_among(&self, now: Wall, pools: &[usize], new: &Kin) -> Option<usize> {
        let own = pools.iter().find_map(|&pool| match self.pools[pool].binding {
            Binding::Visitor => self.choose(now, &[pool], new),
            Binding::Params => self.choose_for_campaign(now, pool, new),
        });
        own.or_else(|| self.choose_shared(pools, new))
    }

    /// The number is bound to the visitor's campaign, and the visitor comes from another one now.
    pub(super) fn is_of_another_campaign(&self, right: usize, new: &Kin) -> bool {
        let right = &self.rights[right];
        let binding = self.slots[right.slot].pool.map(|pool| self.pools[pool].binding);
        binding == Some(Binding::Params) && right.kin.campaign != new.campaign
    }

    /// No number for this visit: what it sees instead, counted at the pool that it would have had a number of.
    pub(super) fn refuse(
        &mut self,
        pools: &[usize],
        source: &Source,
        why: Option<&'static str>,
        visitor_id: String,
    ) -> NoNumber {
        let instead = {
            let names: SmallVec<[&str; 4]> = pools.iter().map(|&pool| &*self.pools[pool].name).collect();
            self.fallbacks.behind(names.iter().copied(), source)
        };
        if let Some(pool) = pools.first().map(|&first| &mut self.pools[first]) {
            pool.exhausted += u64::from(why.is_none());
            match instead.as_ref().map(|shown| shown.class) {
                Some(Class::SourceStatic) => pool.source_static += 1,
                Some(_) => pool.overflow += 1,
                None => {}
            }
        }
        NoNumber { code: why.unwrap_or("pool_exhausted"), visitor_id, instead }
    }

    fn choose_for_campaign(&self, now: Wall, pool: usize, new: &Kin) -> Option<usize> {
        if let Some(shown) = self.choose_shared(&[pool], new) {
            return Some(shown);
        }
        let shelf = &self.pools[pool].shelf;
        let left = shelf.by_campaign.get(&new.campaign).into_iter().flatten().rev().map(|&(_, slot)| slot);
        let is_held = |slot: usize| matches!(self.slots[slot].place, Place::Idle { is_held: true, .. });
        let held = left.take_while(|slot| is_held(*slot)).next();
        let nobodys = || shelf.idle.iter().map(|&(_, slot)| slot).find(|slot| !is_held(*slot));
        held.or_else(nobodys).or_else(|| self.choose(now, &[pool], new))
    }
}
