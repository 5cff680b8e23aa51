//! A new configuration: numbers come, go and move between pools, and leases stay where they are.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Allocator, Output, Phase, Place, Pool, Rules, Shelf, Slot, Timer, event};
use crate::config::{self, Binding, PoolKind};
use crate::core::catalogue::{Fallbacks, Selector};
use crate::core::event::Body;
use crate::core::lease::{Change, Entry, Lease};
use crate::ids::E164;
use crate::limits;
use crate::time::Now;

impl Allocator {
    /// Takes over a new configuration. Leases stay with their numbers, also when a number moves to another pool of
    /// the same company. A number that is gone lets its lease and hold end and is not given out again; one that
    /// moved to another company loses its lease at once, so that no visitor of one is shown to the other.
    pub fn reconfigure(
        &mut self,
        now: Now,
        rules: Rules,
        pools: &[Arc<config::Pool>],
        sites: &[Arc<config::Site>],
        out: &mut Vec<Output>,
    ) {
        self.rules = rules;
        let dynamic: Vec<&config::Pool> = pools.iter().map(|p| &**p).filter(|p| p.kind == PoolKind::Dynamic).collect();
        let before = std::mem::take(&mut self.pools);
        let leased: Vec<Arc<config::Pool>> = pools.iter().filter(|p| p.kind == PoolKind::Dynamic).cloned().collect();
        self.selector = Selector::new(&leased, sites);
        self.fallbacks = Fallbacks::new(pools);
        self.pools = dynamic.iter().map(|pool| Pool::new(pool, &before)).collect();
        let is_static = |pool: &&Arc<config::Pool>| pool.kind == PoolKind::Static;
        let shown = pools.iter().filter(is_static).flat_map(|pool| &pool.numbers).collect();
        self.end_displays_but(now, &shown, out);
        let mut owner: HashMap<&E164, usize> = HashMap::new();
        for (index, pool) in dynamic.iter().enumerate() {
            for number in &pool.numbers {
                owner.entry(number).or_insert(index);
            }
        }
        for slot in 0..self.slots.len() {
            let pool = owner.get(&self.slots[slot].number).copied();
            self.move_slot(now, slot, pool, &before, out);
        }
        for (index, pool) in dynamic.iter().enumerate() {
            for number in pool.numbers.iter().filter(|number| owner.get(number) == Some(&index)) {
                if !self.numbers.contains_key(number) {
                    self.add_slot(number.clone(), index);
                }
            }
        }
    }

    fn add_slot(&mut self, number: E164, pool: usize) {
        let slot = Slot {
            number: number.clone(),
            pool: Some(pool),
            hold: self.pools[pool].hold,
            entry: Entry::default(),
            on_page: SmallVec::new(),
            held: SmallVec::new(),
            faces: SmallVec::new(),
            order: 0,
            place: Place::Off,
            is_vacant: false,
            is_resting: false,
            forget: None,
            timer: None,
        };
        let index = match self.vacant.pop() {
            Some(index) => {
                if let Some(timer) = self.slots[index].timer {
                    self.timers.remove(&(timer, Timer::Slot(index)));
                }
                self.slots[index] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.pools[pool].numbers += 1;
        self.numbers.insert(number, index);
        self.settle(index);
    }

    /// Puts a slot where the new configuration has its number. The pools are new: nothing stands on their shelves.
    fn move_slot(&mut self, now: Now, slot: usize, pool: Option<usize>, before: &[Pool], out: &mut Vec<Output>) {
        if self.slots[slot].is_vacant {
            return;
        }
        self.slots[slot].place = Place::Off;
        let was = self.slots[slot].pool.take();
        let Some(pool) = pool else {
            if self.slots[slot].on_page.is_empty() && self.slots[slot].held.is_empty() {
                self.vacate(slot, out);
            }
            return;
        };
        let company = &self.pools[pool].company;
        let same = match (was, self.slots[slot].entry.active().or(self.slots[slot].entry.last())) {
            (_, Some(lease)) => lease.company == *company,
            (Some(was), None) => before[was].company == *company,
            (None, None) => true,
        };
        if !same {
            self.expel(now, slot, out);
        }
        self.slots[slot].hold = self.pools[pool].hold;
        self.slots[slot].pool = Some(pool);
        self.pools[pool].numbers += 1;
        self.settle(slot);
    }

    /// Ends whatever leases there are, at once and without a hold.
    fn expel(&mut self, now: Now, slot: usize, out: &mut Vec<Output>) {
        let rights: Vec<usize> = self.slots[slot].on_page.iter().chain(&self.slots[slot].held).copied().collect();
        for key in rights {
            if let Phase::OnPage { .. } = self.rights[key].phase {
                let lease = &self.rights[key].lease;
                let lease =
                    Arc::new(Lease { released_at: Some(now.wall), hold_until: now.wall, ..Lease::clone(lease) });
                out.push(event(now, &lease, Body::LeaseReleased(Arc::clone(&lease))));
            }
            self.forget_right(key);
        }
        self.slots[slot].forget = None;
        self.slots[slot].order = 0;
        self.slots[slot].faces.clear();
        self.change(slot, Change::Removed(self.slots[slot].number.clone()), out);
    }
}

impl Pool {
    fn new(pool: &config::Pool, before: &[Pool]) -> Pool {
        let old = before.iter().find(|old| old.name == pool.name);
        Pool {
            name: pool.name.clone(),
            company: pool.company.clone(),
            site: pool.site.clone(),
            hold: pool.hold.max(limits::HOLD_MIN),
            binding: pool.rules.binding,
            shelf: Shelf { sharers_max: sharers_max(pool), ..Shelf::default() },
            numbers: 0,
            leased: 0,
            held: 0,
            granted: old.map_or(0, |old| old.granted),
            shared: old.map_or(0, |old| old.shared),
            exhausted: old.map_or(0, |old| old.exhausted),
            source_static: old.map_or(0, |old| old.source_static),
            overflow: old.map_or(0, |old| old.overflow),
        }
    }
}

/// A number of a campaign is seen by all of its visitors.
fn sharers_max(pool: &config::Pool) -> u64 {
    match pool.rules.binding {
        Binding::Visitor => limits::LEASE_SHARERS as u64,
        Binding::Params => limits::PARAMS_SHARERS,
    }
}
