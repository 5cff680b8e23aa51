//! Calls at once and their rate, by name.

use std::collections::HashMap;
use std::time::Duration;

use super::bucket::{Bucket, Rate};
use crate::time::Mono;

/// Of one thing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: usize,
    bucket: Bucket,
}

impl Tally {
    pub(super) fn look(&mut self, now: Mono, rate: Rate) -> Result<(), Duration> {
        self.bucket.look(now, rate)
    }

    pub(super) fn take(&mut self, rate: Rate) {
        self.bucket.take(rate);
        self.calls += 1;
    }

    pub(super) fn release(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }
}

/// Of many. Holds only those that have a call now or a bucket that is not full again: bounded by the calls of the
/// node and of the longest period of a rate.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    by_name: HashMap<Box<str>, Tally, foldhash::fast::RandomState>,
}

impl Tallies {
    pub(super) fn calls(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, |tally| tally.calls)
    }

    /// Whether its rate allows one more; a name that is not held has a full bucket.
    pub(super) fn look(&mut self, now: Mono, name: &str, rate: Rate) -> Result<(), Duration> {
        self.by_name.get_mut(name).map_or(Ok(()), |tally| tally.look(now, rate))
    }

    pub(super) fn take(&mut self, now: Mono, name: &str, rate: Rate) {
        if let Some(tally) = self.by_name.get_mut(name) {
            let _ = tally.look(now, rate);
            return tally.take(rate);
        }
        // Those whose buckets have refilled since are as good as forgotten.
        if self.by_name.len() >= self.by_name.capacity() {
            self.by_name.retain(|_, tally| tally.calls > 0 || rate.is_limited() && !tally.bucket.is_full(now, rate));
        }
        let mut tally = Tally::default();
        let _ = tally.look(now, rate);
        tally.take(rate);
        self.by_name.insert(name.into(), tally);
    }

    pub(super) fn release(&mut self, now: Mono, name: &str, rate: Rate) {
        let Some(tally) = self.by_name.get_mut(name) else { return };
        tally.release();
        if tally.calls == 0 && (!rate.is_limited() || tally.bucket.is_full(now, rate)) {
            self.by_name.remove(name);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}
