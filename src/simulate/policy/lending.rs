//! Policies that lend a number to a visitor for a while and then to another: what the documents of others describe, as
//! one machine with a rule for each.
//!
//! Where a document does not say what happens when every number is taken, the number that its visitor left longest ago
//! is taken away.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use super::{Answer, Policy, Ring, Shown};
use crate::ids::E164;
use crate::simulate::density::pick;
use crate::simulate::world::{Ms, Visit, VisitId};

const MINUTE: Ms = 60_000;
/// A page that has not been heard of for so long is closed: two and a half heartbeats.
const SILENCE: Ms = 75_000;

/// What tells one policy from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    choice: Choice,
    /// The number stays the visitor's so long after their last activity on the page…
    hold: Ms,
    /// … and at most so long after it was lent.
    cap: Option<Ms>,
    /// The page's last word ends the visit at once; else only silence does.
    hears_close: bool,
    /// A call takes the number from its visitor.
    unbinds: bool,
    credit: Credit,
    /// Callers that were attributed stay whose they were.
    remembers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Random,
    LongestFree,
    /// Each visitor the next number, whether or not somebody has it.
    Next,
}

/// Whose call it is.
#[derive(Clone, Copy, Debug)]
enum Credit {
    /// The holder's, as long as the hold lasts.
    Holder,
    /// Whoever saw the number last, if that is not longer ago.
    LastWithin(Ms),
}

/// rockstat: a random free number for a session; 5 minutes after the last activity it is free again, 15 after it was
/// lent in any case. A call on a free number is nobody's.
pub(super) const RANDOM: Rule = Rule {
    choice: Choice::Random,
    hold: 5 * MINUTE,
    cap: Some(15 * MINUTE),
    hears_close: false,
    unbinds: false,
    credit: Credit::Holder,
    remembers: false,
};

/// NinjaTrack: the last visitor who saw the number within one hour, else unknown. Nothing is said of a choice: numbers go
/// round.
pub(super) const LAST_VIEWER: Rule = Rule {
    choice: Choice::Next,
    hold: 0,
    cap: None,
    hears_close: false,
    unbinds: false,
    credit: Credit::LastWithin(60 * MINUTE),
    remembers: false,
};

/// LPTracker: 3 minutes, renewed by activity on the page; a call unbinds the number, and a call on an unbound one is
/// unidentified.
pub(super) const UNBIND: Rule = Rule {
    choice: Choice::LongestFree,
    hold: 3 * MINUTE,
    cap: None,
    hears_close: false,
    unbinds: true,
    credit: Credit::Holder,
    remembers: false,
};

/// MANGO OFFICE: kept for the visit and 30 minutes after it, the recommended value. After that the number is nobody's.
pub(super) const HARD_30: Rule = Rule {
    choice: Choice::LongestFree,
    hold: 30 * MINUTE,
    cap: None,
    hears_close: true,
    unbinds: false,
    credit: Credit::Holder,
    remembers: false,
};

/// The strongest of the usual: the number that is free longest, kept for 30 minutes; a call is its holder's, or its last
/// one's however long ago.
pub(super) const LONGEST_FREE: Rule = Rule { credit: Credit::LastWithin(Ms::MAX), ..HARD_30 };

/// The same with PrimeGate's rule: a caller who called before is who they were, whoever has the number today.
pub(super) const CALLER_MEMORY: Rule = Rule { remembers: true, ..LONGEST_FREE };

/// Who has or had a number.
#[derive(Clone, Copy, Debug)]
struct Holder {
    cookie: u32,
    campaign: u16,
    lent: Ms,
    /// Last activity.
    seen: Ms,
    closed: bool,
    /// Taken from them by a call.
    unbound: bool,
}

/// A pool under a [`Rule`].
#[derive(Debug)]
pub(super) struct Lending {
    rule: Rule,
    slots: Vec<Option<Holder>>,
    next: usize,
    rng: ChaCha8Rng,
    memory: HashMap<E164, (u32, u16)>,
}

impl Lending {
    pub(super) fn new(rule: Rule, numbers: usize) -> Lending {
        Lending {
            rule,
            slots: vec![None; numbers],
            next: 0,
            rng: ChaCha8Rng::seed_from_u64(numbers as u64),
            memory: HashMap::new(),
        }
    }

    /// Until when the number is theirs.
    fn until(&self, holder: &Holder) -> Ms {
        let until = holder.seen.saturating_add(self.rule.hold);
        self.rule.cap.map_or(until, |cap| until.min(holder.lent + cap))
    }

    fn is_held(&self, holder: &Holder, at: Ms) -> bool {
        let is_on_page = !holder.closed && at <= holder.seen + SILENCE && self.rule.cap.is_none();
        !holder.unbound && (is_on_page || at <= self.until(holder))
    }

    /// The number of this visitor.
    fn held_by(&self, cookie: u32, at: Ms) -> Option<usize> {
        let is_theirs = |holder: &Holder| holder.cookie == cookie && self.is_held(holder, at);
        self.slots.iter().position(|slot| slot.as_ref().is_some_and(is_theirs))
    }

    fn choose(&mut self, at: Ms) -> usize {
        let free = |slot: &Option<Holder>| slot.as_ref().is_none_or(|holder| !self.is_held(holder, at));
        // When a number was last in use; one that never was comes first.
        let gone = |index: &usize| self.slots[*index].map_or((0, *index), |holder| (1 + holder.seen, *index));
        let free: Vec<usize> = (0..self.slots.len()).filter(|index| free(&self.slots[*index])).collect();
        match self.rule.choice {
            Choice::Next => {
                self.next = (self.next + 1) % self.slots.len();
                self.next
            }
            _ if free.is_empty() => (0..self.slots.len()).min_by_key(gone).unwrap_or(0),
            Choice::LongestFree => free.into_iter().min_by_key(gone).unwrap_or(0),
            Choice::Random => free[pick(&vec![1.0; free.len()], &mut self.rng)],
        }
    }
}

impl Policy for Lending {
    fn open(&mut self, at: Ms, _: VisitId, visit: &Visit) -> Shown {
        let holder = Holder {
            cookie: visit.cookie,
            campaign: visit.campaign,
            lent: at,
            seen: at,
            closed: false,
            unbound: false,
        };
        if let Some(index) = self.held_by(visit.cookie, at) {
            let lent = self.slots[index].map_or(at, |holder| holder.lent);
            self.slots[index] = Some(Holder { lent, ..holder });
            return Shown::Number(index);
        }
        let index = self.choose(at);
        self.slots[index] = Some(holder);
        Shown::Number(index)
    }

    fn beat(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown {
        // Whose number somebody else has by now keeps what the page shows; only a page that is loaded asks.
        if self.held_by(visit.cookie, at).is_some() { self.open(at, id, visit) } else { Shown::Same }
    }

    fn close(&mut self, at: Ms, _: VisitId, visit: &Visit) {
        if !self.rule.hears_close {
            return;
        }
        let theirs = self.slots.iter_mut().flatten().find(|holder| holder.cookie == visit.cookie && !holder.closed);
        if let Some(holder) = theirs {
            (holder.seen, holder.closed) = (at, true);
        }
    }

    fn call(&mut self, at: Ms, ring: Ring<'_>) -> Answer {
        let remembered = ring.caller.filter(|_| self.rule.remembers).and_then(|caller| self.memory.get(caller));
        let holder = self.slots[ring.number];
        let credited = holder.filter(|holder| match self.rule.credit {
            Credit::Holder => self.is_held(holder, at),
            Credit::LastWithin(span) => at.saturating_sub(holder.seen) <= span,
        });
        let who = remembered.copied().or(credited.map(|holder| (holder.cookie, holder.campaign)));
        if self.rule.unbinds
            && let Some(holder) = &mut self.slots[ring.number]
        {
            holder.unbound = true;
        }
        let Some((cookie, campaign)) = who else { return Answer::default() };
        if let Some(caller) = ring.caller.filter(|_| self.rule.remembers) {
            self.memory.entry(caller.clone()).or_insert((cookie, campaign));
        }
        Answer { cookie: Some(cookie), campaign: Some(campaign), ..Answer::default() }
    }
}
