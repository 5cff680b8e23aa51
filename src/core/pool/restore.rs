//! The allocator after a restart: its state from the journal.
//!
//! The last record of a lease wins. A lease that was on a page is on the page again, with a full `ttl`, when the
//! journal's word of it is not older than the hold; its visitor renews, or it lapses and its hold counts from the
//! restart, because nobody watched in between. So it does not matter that renewals are journaled sparsely. A held
//! number goes on being held for what is left by the wall clock, and for the whole hold when that clock was set back
//! past the moment the visitor left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Allocator, Output, State, event, visitor_key};
use crate::core::event::Body;
use crate::core::lease::{Change, Entry, Lease};
use crate::ids::E164;
use crate::time::{Now, Wall};

/// What one journal record says about a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// On the page (granted, renewed), or off it (released, expired).
    pub live: bool,
    pub lease: Arc<Lease>,
}

impl Record {
    /// From an event; `None` for events that do not change who holds a number.
    pub fn from_body(body: &Body) -> Option<Record> {
        match body {
            Body::LeaseGranted(lease) | Body::LeaseRenewed(lease) => {
                Some(Record { live: true, lease: Arc::clone(lease) })
            }
            Body::LeaseReleased(lease) | Body::LeaseExpired(lease) => {
                Some(Record { live: false, lease: Arc::clone(lease) })
            }
            _ => None,
        }
    }

    /// From `type` and `data` of a journal record; `None` for other types and for data that is not a lease.
    pub fn from_json(kind: &str, data: &Value) -> Option<Record> {
        let live = match kind {
            "leaseline.lease.granted" | "leaseline.lease.renewed" => true,
            "leaseline.lease.released" | "leaseline.lease.expired" => false,
            _ => return None,
        };
        let lease = serde::Deserialize::deserialize(data).ok()?;
        Some(Record { live, lease: Arc::new(lease) })
    }
}

impl Allocator {
    /// Takes up where the journal ends. Called once, on a new allocator. Leases of numbers that are no longer in a
    /// dynamic pool of the same company are dropped. `out` gets the changes that fill the table, and an event for
    /// each lease that lapsed while we were away.
    pub fn restore(&mut self, now: Now, records: impl Iterator<Item = Record>, out: &mut Vec<Output>) {
        let mut entries: HashMap<E164, Entry> = HashMap::new();
        for Record { live, lease } in records {
            if self.is_ours(&lease) {
                let entry = entries.entry(lease.number.clone()).or_default();
                let change = if live { Change::Active(lease) } else { Change::Ended(lease) };
                *entry = std::mem::take(entry).after(&change);
            }
        }
        let mut freed: Vec<(Wall, usize)> = Vec::new();
        for slot in 0..self.slots.len() {
            if let Some(entry) = entries.remove(&self.slots[slot].number) {
                freed.extend(self.restore_slot(now, slot, entry, out));
            }
        }
        freed.sort_unstable();
        for (_, slot) in freed {
            self.freed += 1;
            self.set_state(slot, State::Free { order: self.freed });
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        let pool = self.numbers.get(&lease.number).and_then(|&slot| self.slots[slot].pool);
        pool.is_some_and(|pool| self.pools[pool].company == lease.company)
    }

    /// Gives back when the number became free, when it is free.
    fn restore_slot(&mut self, now: Now, slot: usize, entry: Entry, out: &mut Vec<Output>) -> Option<(Wall, usize)> {
        let hold = self.slots[slot].hold;
        let live = entry.active().filter(|lease| now.wall <= lease.expires_at + hold).cloned();
        let ended = match (&live, entry.active()) {
            (None, Some(lapsed)) => {
                let hold_until = lapsed.seen_at + hold;
                let lapsed = Arc::new(Lease { hold_until, ..Lease::clone(lapsed) });
                out.push(event(now, &lapsed, Body::LeaseExpired(Arc::clone(&lapsed))));
                Some(lapsed)
            }
            _ => entry.last,
        };
        let memory = self.rules.memory;
        let remembered = ended.filter(|lease| !left_of(now, lease.left_at() + memory, memory).is_zero());
        if let Some(lease) = &remembered {
            self.change(slot, Change::Ended(Arc::clone(lease)), out);
        }
        if let Some(lease) = live {
            self.enter(slot, &lease);
            let ttl = self.rules.ttl;
            let lease =
                Lease { expires_at: now.wall + ttl, hold_until: now.wall + ttl.max(hold), ..Lease::clone(&lease) };
            self.set_state(slot, State::Leased { seen: now.mono, journaled: None, signals: 0 });
            self.schedule(slot, now.mono + ttl);
            self.change(slot, Change::Active(Arc::new(lease)), out);
            return None;
        }
        let lease = remembered?;
        let forget = now.mono + left_of(now, lease.left_at() + memory, memory);
        let held = left_of(now, lease.hold_until, hold);
        if held.is_zero() {
            self.schedule(slot, forget);
            return Some((lease.hold_until, slot));
        }
        self.enter(slot, &lease);
        self.set_state(slot, State::Held { forget, signals: 0 });
        self.schedule(slot, now.mono + held);
        None
    }

    fn enter(&mut self, slot: usize, lease: &Lease) {
        self.leases.insert(lease.lease_id, slot);
        self.visitors.insert(visitor_key(&lease.site, &lease.visitor_id), slot);
    }
}

/// Time left until `end`, never more than `whole`: a clock that was set back does not prolong anything.
fn left_of(now: Now, end: Wall, whole: Duration) -> Duration {
    Duration::from_millis(end.millis_since(now.wall)).min(whole)
}
