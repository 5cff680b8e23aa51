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

use super::choose::{Face, Kin};
use super::{Allocator, Output, Phase, Rules, VisitorKey, event, visitor_key};
use crate::core::event::Body;
use crate::core::lease::{Change, Entry, Lease};
use crate::ids::{E164, LeaseId};
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
        // Of two leases of a visitor within one tick of the clock the later word counts.
        let mut newest: HashMap<VisitorKey, LeaseId> = HashMap::new();
        for Record { live, lease } in records {
            if self.is_ours(&lease) {
                if live {
                    newest.insert(visitor_key(&lease.site, &lease.visitor_id), lease.lease_id);
                }
                let entry = entries.entry(lease.number.clone()).or_default();
                let change = if live { Change::Active(lease) } else { Change::Ended(lease) };
                *entry = std::mem::take(entry).after(&change);
            }
        }
        let mut left: Vec<(Wall, usize)> = Vec::new();
        let mut claims = Vec::new();
        for slot in 0..self.slots.len() {
            if let Some(entry) = entries.remove(&self.slots[slot].number) {
                self.restore_slot(now, slot, &entry, &mut claims, out);
                left.extend(self.slots[slot].entry.last().map(|last| (last.left_at(), slot)));
            }
        }
        // The newest word of a visitor counts: on the page before held, left last before left earlier.
        let is_newest =
            |lease: &Lease| newest.get(&visitor_key(&lease.site, &lease.visitor_id)) == Some(&lease.lease_id);
        claims.sort_by_key(|Claim { live, lease, .. }| {
            std::cmp::Reverse((*live, lease.seen_at, is_newest(lease), lease.lease_id.0))
        });
        for claim in claims {
            self.restore_claim(now, claim);
        }
        left.sort_unstable();
        for (_, slot) in left {
            self.left += 1;
            self.slots[slot].order = self.left;
        }
        for slot in 0..self.slots.len() {
            self.settle(slot);
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        let pool = self.numbers.get(&lease.number).and_then(|&slot| self.slots[slot].pool);
        pool.is_some_and(|pool| self.pools[pool].company == lease.company)
    }

    /// What is remembered of the number, and who may claim it.
    fn restore_slot(&mut self, now: Now, slot: usize, entry: &Entry, claims: &mut Vec<Claim>, out: &mut Vec<Output>) {
        let Rules { ttl, memory, .. } = self.rules;
        let hold = self.slots[slot].hold;
        let mut past: Vec<Arc<Lease>> = entry.past.iter().rev().cloned().collect();
        let mut live = Vec::new();
        for lease in entry.holders.iter().rev() {
            if now.wall <= lease.expires_at + hold {
                live.push(lease);
                continue;
            }
            let lapsed = Arc::new(Lease { hold_until: lease.seen_at + hold, ..Lease::clone(lease) });
            out.push(event(now, &lapsed, Body::LeaseExpired(Arc::clone(&lapsed))));
            past.push(lapsed);
        }
        past.retain(|lease| !left_of(now, lease.left_at() + memory, memory).is_zero());
        for lease in past {
            self.change(slot, Change::Ended(Arc::clone(&lease)), out);
            let kin = Kin::of(&lease.session, lease.page.region.as_deref());
            self.slots[slot].remember_face(Face::of(&lease, kin, &self.forecast, None));
            self.schedule_forgetting(slot, now.mono + left_of(now, lease.left_at() + memory, memory));
            claims.push(Claim { live: false, slot, lease });
        }
        for lease in live {
            let (expires_at, hold_until) = (now.wall + ttl, now.wall + ttl.max(hold));
            let lease = Arc::new(Lease { expires_at, hold_until, ..Lease::clone(lease) });
            self.change(slot, Change::Active(Arc::clone(&lease)), out);
            claims.push(Claim { live: true, slot, lease });
        }
    }

    fn restore_claim(&mut self, now: Now, Claim { live, slot, lease }: Claim) {
        let key = visitor_key(&lease.site, &lease.visitor_id);
        let held = left_of(now, lease.hold_until, self.slots[slot].hold);
        if live {
            let right = self.enter(slot, lease, Phase::OnPage { seen: now.mono, journaled: None });
            self.schedule(right, now.mono + self.rules.ttl);
        } else if self.visitors.contains_key(&key) {
            // They have a number already.
        } else if held.is_zero() {
            self.former.entry(key).or_insert(slot);
        } else {
            let right = self.enter(slot, lease, Phase::Left { seen: now.mono });
            self.schedule(right, now.mono + held);
        }
    }
}

/// A lease whose visitor may have a right to its number.
struct Claim {
    live: bool,
    slot: usize,
    lease: Arc<Lease>,
}

/// Time left until `end`, never more than `whole`: a clock that was set back does not prolong anything.
fn left_of(now: Now, end: Wall, whole: Duration) -> Duration {
    Duration::from_millis(end.millis_since(now.wall)).min(whole)
}
