//! `binding = "params"`: a number for a campaign instead of for a visitor. All visitors with the same source, medium and
//! campaign see the same number, and it stays theirs for the pool's hold after the last of them; another campaign gets it
//! only when no number is left that nobody holds.

use smallvec::SmallVec;

use super::choose::Kin;
use super::{Allocator, Granted, NoNumber, Output, Place, Visit};
use crate::config::Binding;
use crate::core::lease::Class;
use crate::core::source::Source;
use crate::time::{Now, Wall};

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

    /// No number of its own for this visit: what it sees instead, counted at the pool that it would have had a number of.
    pub(super) fn refuse(
        &mut self,
        now: Now,
        pools: &[usize],
        (source, why): (&Source, Option<&'static str>),
        visit: Visit,
        out: &mut Vec<Output>,
    ) -> Result<Granted, NoNumber> {
        let shown = {
            let names: SmallVec<[&str; 4]> = pools.iter().map(|&pool| &*self.pools[pool].name).collect();
            self.fallbacks.behind(names.iter().copied(), source)
        };
        let code = why.unwrap_or("pool_exhausted");
        let none = NoNumber { code, visitor_id: visit.visitor_id.clone() };
        let granted = shown.and_then(|shown| self.display(now, shown, visit, out));
        if let Some(pool) = pools.first().map(|&first| &mut self.pools[first]) {
            pool.exhausted += u64::from(why.is_none());
            match granted.as_ref().map(|granted| granted.lease.class) {
                Some(Class::SourceStatic) => pool.source_static += 1,
                Some(_) => pool.overflow += 1,
                None => {}
            }
        }
        granted.map(|granted| Granted { reason: Some(code), ..granted }).ok_or(none)
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
