//! The allocator: which visitor sees which number of the dynamic pools.
//!
//! A number is free, leased (on a visitor's page) or held (the visitor left, and it stays theirs for the pool's hold).
//! Only a free number is given to somebody else, the one that has been free longest first and numbers never used
//! before all others: the longer a number rests, the rarer is a call for its former holder. The same visitor gets the
//! same number back while it is leased to or held for them.
//!
//! When no number is free, nobody loses theirs: the visitor gets no number and sees the real one
//! (`pool_exhausted`, counted per pool).
//!
//! *Time.* A lease lapses `ttl` after its last renewal, and its hold then counts from the last sign of the visitor.
//! Timers run on the monotonic clock; the wall clock only dates what people read, so setting it ends no lease.
//!
//! *The journal.* Every grant, release, lapse, revival and change of session is an event with the whole lease in it;
//! a renewal that changes nothing else only when the last event of that lease is half a `ttl` old. So after `kill -9`
//! the journal knows every lease, and its idea of `seen_at` is at most `ttl / 2` behind (see
//! [`Allocator::restore`] for why that loses nothing).
//!
//! Everything is O(1) or O(log n) in the number of numbers, except snapshots and reconfiguration.

mod reconfigure;
mod restore;
mod types;
mod update;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::config;
use crate::core::event::{Body, Event, Session};
use crate::core::lease::{Change, Class, Entry, Lease, Page, bounded, is_visitor_id};
use crate::ids::{E164, LeaseId};
use crate::limits;
use crate::time::{Mono, Now, Wakeup};

pub use restore::Record;
pub use types::{Ask, Granted, NoNumber, NumberInfo, NumberState, Output, PoolState, Refused, Rules};

/// The allocator's machine.
#[derive(Debug)]
pub struct Allocator {
    rules: Rules,
    rng: ChaCha12Rng,
    pools: Vec<Pool>,
    /// Site → its pools in the order of the configuration, then those of its company that name no site.
    sites: HashMap<String, Vec<usize>>,
    /// Never shrinks; what leaves the configuration goes to `vacant` when its last hold ends.
    slots: Vec<Slot>,
    vacant: Vec<usize>,
    numbers: HashMap<E164, usize>,
    /// Leased and held.
    leases: HashMap<LeaseId, usize>,
    /// `site NUL visitor` → the number they have or that is held for them.
    visitors: HashMap<String, usize>,
    timers: BTreeSet<(Mono, usize)>,
    /// Counts numbers becoming free: the order of the free queues.
    freed: u64,
}

#[derive(Debug)]
struct Pool {
    name: String,
    company: String,
    site: Option<String>,
    hold: Duration,
    /// Free numbers, longest free first: (when it became free, counted; slot).
    free: BTreeSet<(u64, usize)>,
    numbers: usize,
    leased: usize,
    held: usize,
    granted: u64,
    exhausted: u64,
}

#[derive(Debug)]
struct Slot {
    number: E164,
    /// `None` when the number left the configuration: its lease may end in peace, then the slot is vacant.
    pool: Option<usize>,
    hold: Duration,
    entry: Entry,
    state: State,
    /// When the state ends by itself.
    deadline: Option<Mono>,
    /// Where this slot stands in `timers`: at or before `deadline`. Renewals only move the deadline.
    timer: Option<Mono>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free {
        order: u64,
    },
    /// `seen`: last sign of the visitor. `journaled`: last event of the lease, `None` before this start.
    Leased {
        seen: Mono,
        journaled: Option<Mono>,
        signals: u32,
    },
    /// `forget`: when this holder is too long gone to be remembered.
    Held {
        forget: Mono,
        signals: u32,
    },
    Vacant,
}

impl Allocator {
    /// An allocator with every number free. `seed` must come from the operating system's generator: lease ids are
    /// rights.
    pub fn new(rules: Rules, pools: &[Arc<config::Pool>], sites: &[Arc<config::Site>], seed: [u8; 32]) -> Allocator {
        let mut allocator = Allocator {
            rules,
            rng: ChaCha12Rng::from_seed(seed),
            pools: Vec::new(),
            sites: HashMap::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
            numbers: HashMap::new(),
            leases: HashMap::new(),
            visitors: HashMap::new(),
            timers: BTreeSet::new(),
            freed: 0,
        };
        allocator.reconfigure(Now::default(), rules, pools, sites, &mut Vec::new());
        allocator
    }

    /// A number of the site's pools for this visitor: theirs if they have one, else the one free longest.
    pub fn acquire(&mut self, now: Now, ask: Ask, out: &mut Vec<Output>) -> Result<Granted, NoNumber> {
        let visitor_id = match ask.visitor_id {
            Some(id) if is_visitor_id(&id) => id,
            _ => format!("{:032x}", self.draw()),
        };
        let Some(pools) = self.sites.get(&ask.site) else {
            return Err(NoNumber { code: "unknown_site", visitor_id });
        };
        let session = bounded(ask.session);
        if let Some(&slot) = self.visitors.get(&visitor_key(&ask.site, &visitor_id)) {
            let lease = self.touch(now, slot, Some(session), out);
            return Ok(Granted { shared: lease.shared, lease, swap: true, returning: true });
        }
        let Some(&first) = pools.first() else {
            return Err(NoNumber { code: "no_pool", visitor_id });
        };
        let free = pools.iter().find_map(|&pool| self.pools[pool].free.first().map(|&(_, slot)| slot));
        let Some(slot) = free else {
            self.pools[first].exhausted += 1;
            return Err(NoNumber { code: "pool_exhausted", visitor_id });
        };
        let page = Page { device: ask.device, region: ask.region, ..Page::default() };
        let lease = self.grant(now, slot, (ask.site, visitor_id), session, page, out);
        Ok(Granted { lease, shared: false, swap: true, returning: false })
    }

    /// The number is still on the page. Revives a lease that was released or lapsed, as long as it is held.
    pub fn renew(&mut self, now: Now, id: LeaseId, out: &mut Vec<Output>) -> Result<Arc<Lease>, Refused> {
        let slot = self.slot_of(id)?;
        Ok(self.touch(now, slot, None, out))
    }

    /// The visitor left the page; the hold begins. Releasing twice is the same as once.
    pub fn release(&mut self, now: Now, id: LeaseId, out: &mut Vec<Output>) -> Result<Arc<Lease>, Refused> {
        let slot = self.slot_of(id)?;
        let State::Leased { signals, .. } = self.slots[slot].state else {
            return Ok(self.lease_of(slot));
        };
        let mut lease = Lease::clone(&self.lease_of(slot));
        lease.seen_at = now.wall;
        lease.released_at = Some(now.wall);
        lease.hold_until = now.wall + self.slots[slot].hold;
        let lease = Arc::new(lease);
        self.end(slot, &lease, now.mono, signals);
        out.push(event(now, &lease, Body::LeaseReleased(Arc::clone(&lease))));
        out.push(Output::Change(Change::Ended(Arc::clone(&lease))));
        Ok(lease)
    }

    /// Something the page saw (`tel_tap`, `copy`, `visible`, …): journaled, and a sign of the visitor. It extends
    /// neither the lease nor the hold.
    pub fn signal(&mut self, now: Now, id: LeaseId, name: &str, out: &mut Vec<Output>) -> Result<(), Refused> {
        let slot = self.slot_of(id)?;
        if !(1..=limits::SIGNAL_NAME).contains(&name.len())
            || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            return Err(Refused::BadSignal);
        }
        let mut lease = self.lease_of(slot);
        let (State::Leased { signals, .. } | State::Held { signals, .. }) = &mut self.slots[slot].state else {
            return Err(Refused::UnknownLease);
        };
        if *signals >= limits::LEASE_SIGNALS {
            return Err(Refused::TooManySignals);
        }
        *signals += 1;
        if let State::Leased { seen, .. } = &mut self.slots[slot].state {
            *seen = now.mono;
            let updated = Lease { seen_at: now.wall, ..Lease::clone(&lease) };
            lease = Arc::new(updated);
            self.change(slot, Change::Active(Arc::clone(&lease)), out);
        }
        out.push(event(now, &lease, Body::LeaseSignal { lease: Arc::clone(&lease), signal: name.to_owned() }));
        Ok(())
    }

    /// Ends what has run out, at most [`limits::ALLOCATOR_TURN`] at a time; `poll_timeout` says at once when there is
    /// more.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Output>) {
        for _ in 0..limits::ALLOCATOR_TURN {
            let Some(&(at, slot)) = self.timers.first() else { return };
            if at > now.mono {
                return;
            }
            self.timers.pop_first();
            self.slots[slot].timer = None;
            match self.slots[slot].deadline {
                Some(deadline) if deadline > now.mono => self.schedule(slot, deadline),
                Some(_) => self.run_out(now, slot, out),
                None => {}
            }
        }
    }

    /// When to come back, and why.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let &(at, slot) = self.timers.first()?;
        let why = match self.slots[slot].state {
            State::Leased { .. } => "a lease lapses",
            State::Held { .. } => "a hold ends",
            State::Free { .. } | State::Vacant => "a last holder is forgotten",
        };
        Some((at, why))
    }

    /// Everything that is known, as changes: applied to nothing they give the table.
    pub fn snapshot(&self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.leases.len());
        for slot in self.slots.iter().filter(|slot| slot.state != State::Vacant) {
            changes.extend(slot.entry.last.iter().map(|lease| Change::Ended(Arc::clone(lease))));
            changes.extend(slot.entry.holders.iter().rev().map(|lease| Change::Active(Arc::clone(lease))));
        }
        changes
    }

    /// Leased and held, in the order of the numbers.
    pub fn leases(&self) -> impl Iterator<Item = (NumberState, Arc<Lease>)> + '_ {
        self.slots.iter().filter_map(|slot| match slot.state {
            State::Leased { .. } => slot.entry.active().map(|lease| (NumberState::Leased, Arc::clone(lease))),
            State::Held { .. } => slot.entry.last.as_ref().map(|lease| (NumberState::Held, Arc::clone(lease))),
            State::Free { .. } | State::Vacant => None,
        })
    }

    /// Every number of the dynamic pools.
    pub fn numbers(&self) -> impl Iterator<Item = NumberInfo> + '_ {
        self.slots.iter().filter_map(|slot| {
            let pool = &self.pools[slot.pool?];
            Some(NumberInfo {
                number: slot.number.clone(),
                pool: pool.name.clone(),
                company: pool.company.clone(),
                state: match slot.state {
                    State::Leased { .. } => NumberState::Leased,
                    State::Held { .. } => NumberState::Held,
                    State::Free { .. } | State::Vacant => NumberState::Free,
                },
                lease: slot.entry.active().or(slot.entry.last.as_ref()).cloned(),
            })
        })
    }

    /// Every dynamic pool, counted.
    pub fn pools(&self) -> impl Iterator<Item = PoolState> + '_ {
        self.pools.iter().map(|pool| PoolState {
            name: pool.name.clone(),
            company: pool.company.clone(),
            site: pool.site.clone(),
            kind: "dynamic",
            numbers: pool.numbers,
            free: pool.free.len(),
            leased: pool.leased,
            held: pool.held,
            granted: pool.granted,
            exhausted: pool.exhausted,
        })
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    fn draw(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }

    fn slot_of(&self, id: LeaseId) -> Result<usize, Refused> {
        self.leases.get(&id).copied().ok_or(Refused::UnknownLease)
    }

    /// The lease of a leased or held slot.
    fn lease_of(&self, slot: usize) -> Arc<Lease> {
        let slot = &self.slots[slot];
        let lease = match slot.state {
            State::Leased { .. } => slot.entry.active(),
            _ => slot.entry.last.as_ref(),
        };
        Arc::clone(lease.expect("a leased slot has a holder, a held one a last holder"))
    }

    fn grant(
        &mut self,
        now: Now,
        slot: usize,
        (site, visitor_id): (String, String),
        session: Session,
        page: Page,
        out: &mut Vec<Output>,
    ) -> Arc<Lease> {
        let lease_id = LeaseId(self.draw());
        let pool = &mut self.pools[self.slots[slot].pool.expect("only numbers of a pool are free")];
        pool.granted += 1;
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
            shared: false,
            class: Class::Free,
            page,
        });
        self.leases.insert(lease_id, slot);
        self.visitors.insert(visitor_key(&lease.site, &lease.visitor_id), slot);
        self.set_state(slot, State::Leased { seen: now.mono, journaled: Some(now.mono), signals: 0 });
        self.schedule(slot, now.mono + self.rules.ttl);
        out.push(event(now, &lease, Body::LeaseGranted(Arc::clone(&lease))));
        self.change(slot, Change::Active(Arc::clone(&lease)), out);
        lease
    }

    /// A sign that the number is on the page: extends a lease, revives a held one.
    fn touch(&mut self, now: Now, slot: usize, session: Option<Session>, out: &mut Vec<Output>) -> Arc<Lease> {
        let mut lease = Lease::clone(&self.lease_of(slot));
        let newer = session.filter(|session| replaces(session, &lease.session));
        lease.seen_at = now.wall;
        lease.expires_at = now.wall + self.rules.ttl;
        lease.hold_until = now.wall + self.rules.ttl.max(self.slots[slot].hold);
        lease.released_at = None;
        let changed = newer.is_some();
        if let Some(session) = newer {
            lease.session = Arc::new(session);
        }
        let lease = Arc::new(lease);
        let (journaled, signals) = match self.slots[slot].state {
            State::Leased { journaled, signals, .. } => (journaled, signals),
            State::Held { signals, .. } => (None, signals),
            State::Free { .. } | State::Vacant => (None, 0),
        };
        let due = changed || journaled.is_none_or(|at| now.mono.since(at) >= self.rules.ttl / 2);
        let journaled = if due { Some(now.mono) } else { journaled };
        self.set_state(slot, State::Leased { seen: now.mono, journaled, signals });
        self.schedule(slot, now.mono + self.rules.ttl);
        if due {
            out.push(event(now, &lease, Body::LeaseRenewed(Arc::clone(&lease))));
        }
        self.change(slot, Change::Active(Arc::clone(&lease)), out);
        lease
    }

    /// The slot's deadline has come.
    fn run_out(&mut self, now: Now, slot: usize, out: &mut Vec<Output>) {
        match self.slots[slot].state {
            State::Leased { seen, signals, .. } => {
                let mut lease = Lease::clone(&self.lease_of(slot));
                // By the timers' clock: after a restart the hold counts from then, not from `seen_at`.
                lease.hold_until = now.wall + (seen + self.slots[slot].hold).since(now.mono);
                let lease = Arc::new(lease);
                self.end(slot, &lease, seen, signals);
                out.push(event(now, &lease, Body::LeaseExpired(Arc::clone(&lease))));
                out.push(Output::Change(Change::Ended(lease)));
            }
            State::Held { forget, .. } => self.free(slot, forget, out),
            State::Free { .. } => {
                self.slots[slot].deadline = None;
                self.change(slot, Change::Removed(self.slots[slot].number.clone()), out);
            }
            State::Vacant => {}
        }
    }

    /// Off the page since `left`.
    fn end(&mut self, slot: usize, lease: &Arc<Lease>, left: Mono, signals: u32) {
        self.apply(slot, &Change::Ended(Arc::clone(lease)));
        self.set_state(slot, State::Held { forget: left + self.rules.memory, signals });
        self.schedule(slot, left + self.slots[slot].hold);
    }

    /// The hold is over: the number goes to the end of its queue, its last holder is remembered until `forget`.
    fn free(&mut self, slot: usize, forget: Mono, out: &mut Vec<Output>) {
        self.forget_right(slot);
        if self.slots[slot].pool.is_some() {
            self.freed += 1;
            self.set_state(slot, State::Free { order: self.freed });
            self.schedule(slot, forget);
        } else {
            self.vacate(slot, out);
        }
    }

    /// Lease id and visitor no longer lead to this number.
    fn forget_right(&mut self, slot: usize) {
        let lease = self.lease_of(slot);
        self.leases.remove(&lease.lease_id);
        let key = visitor_key(&lease.site, &lease.visitor_id);
        if self.visitors.get(&key) == Some(&slot) {
            self.visitors.remove(&key);
        }
    }

    fn vacate(&mut self, slot: usize, out: &mut Vec<Output>) {
        let number = self.slots[slot].number.clone();
        self.numbers.remove(&number);
        self.change(slot, Change::Removed(number), out);
        self.set_state(slot, State::Vacant);
        self.slots[slot].deadline = None;
        self.vacant.push(slot);
    }

    /// The only place where a slot's state changes: keeps the queues and the counts in step.
    fn set_state(&mut self, index: usize, state: State) {
        let slot = &mut self.slots[index];
        let before = std::mem::replace(&mut slot.state, state);
        let Some(pool) = slot.pool.map(|pool| &mut self.pools[pool]) else { return };
        match before {
            State::Free { order } => {
                pool.free.remove(&(order, index));
            }
            State::Leased { .. } => pool.leased -= 1,
            State::Held { .. } => pool.held -= 1,
            State::Vacant => {}
        }
        match state {
            State::Free { order } => {
                pool.free.insert((order, index));
            }
            State::Leased { .. } => pool.leased += 1,
            State::Held { .. } => pool.held += 1,
            State::Vacant => {}
        }
    }

    /// Sets the deadline. A timer that stands earlier stays where it is and looks again when it fires.
    fn schedule(&mut self, index: usize, deadline: Mono) {
        self.slots[index].deadline = Some(deadline);
        if self.slots[index].timer.is_none_or(|timer| timer > deadline) {
            self.unschedule(index);
            self.timers.insert((deadline, index));
            self.slots[index].timer = Some(deadline);
        }
    }

    fn unschedule(&mut self, index: usize) {
        if let Some(timer) = self.slots[index].timer.take() {
            self.timers.remove(&(timer, index));
        }
    }

    fn change(&mut self, slot: usize, change: Change, out: &mut Vec<Output>) {
        self.apply(slot, &change);
        out.push(Output::Change(change));
    }

    fn apply(&mut self, slot: usize, change: &Change) {
        let entry = &mut self.slots[slot].entry;
        *entry = std::mem::take(entry).after(change);
    }
}

/// A later visit counts when it says where it came from, or when the earlier one did not: coming back directly does
/// not erase the campaign.
fn replaces(new: &Session, old: &Session) -> bool {
    let sourced = |session: &Session| !session.utm.is_empty() || !session.click_ids.is_empty();
    new != old && *new != Session::default() && (sourced(new) || !sourced(old))
}

fn visitor_key(site: &str, visitor: &str) -> String {
    let mut key = String::with_capacity(site.len() + 1 + visitor.len());
    // Writing to a String cannot fail.
    let _ = write!(key, "{site}\0{visitor}");
    key
}

fn event(now: Now, lease: &Lease, body: Body) -> Output {
    Output::Event(Event { time: now.wall, subject: lease.lease_id.to_string(), body })
}

#[cfg(test)]
mod tests;
