//! Rights to numbers: given, shown, left, run out; and the timers that end them. Every change of a slot goes through
//! [`Allocator::settle`], which keeps the shelves and the counts of its pool in step.

use super::*;

impl Allocator {
    /// The right of this visitor, if they have one.
    pub(super) fn right_of(&self, key: VisitorKey, visitor: &str) -> Option<usize> {
        let right = *self.visitors.get(&key)?;
        (self.rights[right].lease.visitor_id == visitor).then_some(right)
    }

    pub(super) fn right_by_id(&self, id: LeaseId) -> Result<usize, Refused> {
        self.leases.get(&id).copied().ok_or(Refused::UnknownLease)
    }

    /// Whether the number is this visitor's: on their page, or held for them and on nobody else's.
    pub(super) fn is_theirs(&self, right: usize) -> bool {
        let right = &self.rights[right];
        matches!(right.phase, Phase::OnPage { .. }) || self.slots[right.slot].on_page.is_empty()
    }

    /// The number that this visitor had once, when it is idle and of one of these pools, whose numbers are for visitors.
    pub(super) fn former_slot(&self, key: VisitorKey, visitor: &str, pools: &[usize]) -> Option<usize> {
        let slot = *self.former.get(&key)?;
        let at = &self.slots[slot];
        let remembers = at.entry.past.iter().any(|lease| lease.visitor_id == visitor);
        let is_idle = matches!(at.place, Place::Idle { .. })
            && at.pool.is_some_and(|pool| pools.contains(&pool) && self.pools[pool].binding == Binding::Visitor);
        (remembers && is_idle).then_some(slot)
    }

    pub(super) fn grant(
        &mut self,
        now: Now,
        slot: usize,
        (site, visitor_id): (String, String),
        (session, page): (Session, Page),
        out: &mut Vec<Output>,
    ) -> Arc<Lease> {
        let lease_id = LeaseId(self.draw());
        let class = match self.slots[slot].state() {
            NumberState::Leased => Class::Shared,
            NumberState::Held => Class::SoftHeld,
            NumberState::Free | NumberState::Static => Class::Free,
        };
        let shared = class == Class::Shared;
        if shared {
            self.share(now, slot, out);
        }
        let pool = &mut self.pools[self.slots[slot].pool.expect("only numbers of a pool are given")];
        pool.granted += 1;
        pool.shared += u64::from(shared);
        let lease = Arc::new(Lease {
            lease_id,
            number: self.slots[slot].number.clone(),
            company: pool.company.clone(),
            site,
            pool: pool.name.clone(),
            visitor_id,
            session: Arc::new(session),
            granted_at: now.wall,
            seen_at: now.wall,
            expires_at: now.wall + self.rules.ttl,
            released_at: None,
            hold_until: now.wall + self.rules.ttl.max(pool.hold),
            shared,
            class,
            page,
        });
        let right = self.enter(slot, Arc::clone(&lease), Phase::OnPage { seen: now.mono, journaled: Some(now.mono) });
        self.schedule(right, now.mono + self.rules.ttl);
        out.push(event(now, &lease, Body::LeaseGranted(Arc::clone(&lease))));
        self.change(slot, Change::Active(Arc::clone(&lease)), out);
        self.settle(slot);
        lease
    }

    /// A sign that the number is on the page: extends a lease, revives a held one.
    pub(super) fn touch(
        &mut self,
        now: Now,
        key: usize,
        session: Option<Session>,
        out: &mut Vec<Output>,
    ) -> Arc<Lease> {
        let right = &self.rights[key];
        let slot = right.slot;
        let mut lease = Lease::clone(&right.lease);
        let newer = session.filter(|session| replaces(session, &lease.session));
        lease.seen_at = now.wall;
        lease.expires_at = now.wall + self.rules.ttl;
        lease.hold_until = now.wall + self.rules.ttl.max(self.slots[slot].hold);
        lease.released_at = None;
        let changed = newer.is_some() || lease.page.hidden_at.take().is_some();
        if let Some(session) = newer {
            lease.session = Arc::new(session);
        }
        let journaled = match right.phase {
            Phase::OnPage { journaled, .. } => journaled,
            Phase::Left { .. } => None,
        };
        let due = changed || journaled.is_none_or(|at| now.mono.since(at) >= self.rules.ttl / 2);
        let journaled = if due { Some(now.mono) } else { journaled };
        let lease = Arc::new(lease);
        let right = &mut self.rights[key];
        if changed {
            right.kin = Kin::of(&lease.session, lease.page.region.as_deref());
        }
        if let Phase::Left { .. } = right.phase {
            let slot = &mut self.slots[slot];
            slot.held.retain(|held| *held != key);
            slot.on_page.push(key);
            slot.faces.retain(|face| face.right != Some(key));
        }
        right.phase = Phase::OnPage { seen: now.mono, journaled };
        self.schedule(key, now.mono + self.rules.ttl);
        if due {
            out.push(event(now, &lease, Body::LeaseRenewed(Arc::clone(&lease))));
        }
        self.show_as(key, Arc::clone(&lease), out);
        lease
    }

    /// A sign of the visitor on the page that extends nothing.
    pub(super) fn show(&mut self, key: usize, now: Now, lease: Arc<Lease>, out: &mut Vec<Output>) {
        if let Phase::OnPage { seen, .. } = &mut self.rights[key].phase {
            *seen = now.mono;
        }
        self.show_as(key, lease, out);
    }

    fn show_as(&mut self, key: usize, lease: Arc<Lease>, out: &mut Vec<Output>) {
        self.rights[key].lease = Arc::clone(&lease);
        let slot = self.rights[key].slot;
        self.change(slot, Change::Active(lease), out);
        self.settle(slot);
    }

    /// A right has run out.
    pub(super) fn run_out(&mut self, now: Now, key: usize, out: &mut Vec<Output>) {
        let right = &mut self.rights[key];
        match right.phase {
            Phase::OnPage { .. } if right.pinned.is_some_and(|pinned| pinned > now.mono) => {
                let pinned = right.pinned.unwrap_or(now.mono);
                self.schedule(key, pinned);
            }
            Phase::OnPage { seen, .. } => {
                let mut lease = Lease::clone(&right.lease);
                // By the timers' clock: after a restart the hold counts from then, not from `seen_at`.
                lease.hold_until = now.wall + (seen + self.slots[right.slot].hold).since(now.mono);
                let lease = Arc::new(lease);
                self.leave(key, &lease, seen);
                out.push(event(now, &lease, Body::LeaseExpired(Arc::clone(&lease))));
                out.push(Output::Change(Change::Ended(lease)));
            }
            Phase::Left { .. } => self.forget_right(key),
        }
    }

    /// Off the page since `left`.
    pub(super) fn leave(&mut self, key: usize, lease: &Arc<Lease>, left: Mono) {
        let right = &mut self.rights[key];
        let (slot, kin) = (right.slot, right.kin);
        right.lease = Arc::clone(lease);
        right.phase = Phase::Left { seen: left };
        right.pinned = None;
        let deadline = left + self.slots[slot].hold;
        self.slots[slot].on_page.retain(|held| *held != key);
        self.slots[slot].held.push(key);
        self.left += 1;
        self.slots[slot].order = self.left;
        let face = Face::of(lease, kin, &self.forecast, Some(key));
        self.slots[slot].remember_face(face);
        self.apply(slot, &Change::Ended(Arc::clone(lease)));
        self.schedule(key, deadline);
        self.schedule_forgetting(slot, left + self.rules.memory);
        self.settle(slot);
    }

    /// The hold is over: lease id and visitor no longer lead to this number, except that it is remembered.
    pub(super) fn forget_right(&mut self, key: usize) {
        let right = self.rights.remove(key);
        if let Some(timer) = right.timer {
            self.timers.remove(&(timer, Timer::Right(key)));
        }
        self.leases.remove(&right.lease.lease_id);
        if self.visitors.get(&right.key) == Some(&key) {
            self.visitors.remove(&right.key);
            let past = &self.slots[right.slot].entry.past;
            if past.iter().any(|lease| lease.lease_id == right.lease.lease_id) {
                self.former.insert(right.key, right.slot);
            }
        }
        let slot = &mut self.slots[right.slot];
        slot.on_page.retain(|held| *held != key);
        slot.held.retain(|held| *held != key);
        for face in slot.faces.iter_mut().filter(|face| face.right == Some(key)) {
            face.right = None;
        }
        let is_over = slot.pool.is_none() && slot.on_page.is_empty() && slot.held.is_empty();
        if is_over {
            slot.forget = Some(Mono::default());
            self.schedule_forgetting(right.slot, Mono::default());
        }
        self.settle(right.slot);
    }

    /// Nobody is remembered any more: the number is as new, or vacant when it left the configuration.
    pub(super) fn forget_past(&mut self, slot: usize, out: &mut Vec<Output>) {
        let at = &mut self.slots[slot];
        at.forget = None;
        if !at.on_page.is_empty() || !at.held.is_empty() {
            return;
        }
        if at.pool.is_none() {
            self.vacate(slot, out);
            return;
        }
        at.faces.clear();
        self.change(slot, Change::Removed(self.slots[slot].number.clone()), out);
        self.settle(slot);
    }

    pub(super) fn vacate(&mut self, slot: usize, out: &mut Vec<Output>) {
        let number = self.slots[slot].number.clone();
        self.numbers.remove(&number);
        self.change(slot, Change::Removed(number), out);
        self.slots[slot].is_vacant = true;
        self.slots[slot].faces.clear();
        self.slots[slot].forget = None;
        self.settle(slot);
        self.vacant.push(slot);
    }

    /// A new right, without a timer.
    pub(super) fn enter(&mut self, slot: usize, lease: Arc<Lease>, phase: Phase) -> usize {
        let key = visitor_key(&lease.site, &lease.visitor_id);
        let kin = Kin::of(&lease.session, lease.page.region.as_deref());
        let (id, now) = (lease.lease_id, Mono::default());
        let right = Right { lease, slot, key, kin, phase, signals: 0, pinned: None, deadline: now, timer: None };
        let right = self.rights.insert(right);
        self.leases.insert(id, right);
        self.visitors.entry(key).or_insert(right);
        self.former.remove(&key);
        match phase {
            Phase::OnPage { .. } => self.slots[slot].on_page.push(right),
            Phase::Left { .. } => self.slots[slot].held.push(right),
        }
        right
    }

    /// The pages that show the number are told apart no more.
    fn share(&mut self, now: Now, slot: usize, out: &mut Vec<Output>) {
        for index in 0..self.slots[slot].on_page.len() {
            let key = self.slots[slot].on_page[index];
            if !self.rights[key].lease.shared {
                let lease = Arc::new(Lease { shared: true, ..Lease::clone(&self.rights[key].lease) });
                out.push(event(now, &lease, Body::LeaseRenewed(Arc::clone(&lease))));
                self.show_as(key, lease, out);
            }
        }
    }

    /// Sets the deadline. A timer that stands earlier stays where it is and looks again when it fires.
    pub(super) fn schedule(&mut self, key: usize, deadline: Mono) {
        let right = &mut self.rights[key];
        right.deadline = deadline;
        if right.timer.is_none_or(|timer| timer > deadline) {
            if let Some(timer) = right.timer.replace(deadline) {
                self.timers.remove(&(timer, Timer::Right(key)));
            }
            self.timers.insert((deadline, Timer::Right(key)));
        }
    }

    pub(super) fn schedule_forgetting(&mut self, slot: usize, forget: Mono) {
        let at = &mut self.slots[slot];
        at.forget = Some(forget);
        if at.timer.is_none_or(|timer| timer > forget) {
            if let Some(timer) = at.timer.replace(forget) {
                self.timers.remove(&(timer, Timer::Slot(slot)));
            }
            self.timers.insert((forget, Timer::Slot(slot)));
        }
    }

    pub(super) fn change(&mut self, slot: usize, change: Change, out: &mut Vec<Output>) {
        self.apply(slot, &change);
        out.push(Output::Change(change));
    }

    /// The entry after the change. Who falls out of its memory is no former visitor of the number any more.
    pub(super) fn apply(&mut self, slot: usize, change: &Change) {
        let entry = &mut self.slots[slot].entry;
        let before = Arc::clone(&entry.past);
        *entry = std::mem::take(entry).after(change);
        let after = Arc::clone(&entry.past);
        if Arc::ptr_eq(&before, &after) {
            return;
        }
        // All of them when the number is forgotten, else at most the oldest.
        let checked = if after.is_empty() { before.len() } else { 1 };
        for gone in before.iter().rev().take(checked) {
            let key = visitor_key(&gone.site, &gone.visitor_id);
            if self.former.get(&key) == Some(&slot) && !after.iter().any(|lease| lease.visitor_id == gone.visitor_id) {
                self.former.remove(&key);
            }
        }
    }

    /// Puts the slot where it belongs now: the only place that changes the shelves and counts of a pool.
    pub(super) fn settle(&mut self, index: usize) {
        let slot = &self.slots[index];
        let kin = match slot.on_page.first() {
            Some(&right) => Some(self.rights[right].kin),
            None => slot.faces.first().map(|face| face.kin),
        };
        let place = slot.place_now(kin);
        let before = std::mem::replace(&mut self.slots[index].place, place);
        let Some(pool) = self.slots[index].pool.map(|pool| &mut self.pools[pool]) else { return };
        if before != place {
            pool.shelf.take(before, index);
            pool.shelf.put(place, index);
        }
        let (leased, held) = before.counts();
        (pool.leased, pool.held) = (pool.leased - leased, pool.held - held);
        let (leased, held) = place.counts();
        (pool.leased, pool.held) = (pool.leased + leased, pool.held + held);
    }
}
