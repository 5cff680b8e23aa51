//! All deadlines of the agent in one queue: O(log n) to set, the earliest at hand.

use std::collections::BTreeMap;

use super::{ClientTxn, LegId, ServerTxn};
use crate::time::{Mono, Wakeup};

/// What a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timed {
    Client(ClientTxn),
    Server(ServerTxn),
    Leg(LegId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<(Mono, Timed), &'static str>,
}

impl Timers {
    /// Sets the one deadline of `timed`. `armed` is the owner's note of where it stands in the queue.
    pub(super) fn set(&mut self, timed: Timed, armed: &mut Option<Mono>, wanted: Option<Wakeup>) {
        if let Some(at) = *armed
            && wanted.is_none_or(|(next, _)| next != at)
        {
            self.queue.remove(&(at, timed));
        }
        if let Some((at, why)) = wanted {
            self.queue.insert((at, timed), why);
        }
        *armed = wanted.map(|(at, _)| at);
    }

    pub(super) fn next(&self) -> Option<Wakeup> {
        self.queue.first_key_value().map(|((at, _), why)| (*at, *why))
    }

    /// Takes the earliest deadline that has passed; its owner must note that it is no longer armed.
    pub(super) fn pop(&mut self, now: Mono) -> Option<Timed> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        Some(entry.remove_entry().0.1)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
