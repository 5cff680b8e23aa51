//! Who may call, how many at once and how fast: decided at the door, before any state exists.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Sip, Trunk};
use crate::time::Mono;

/// A refusal: the place that knows why names the status and the stable code together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    pub status: u16,
    /// Metric label, event field, log and console text.
    pub code: &'static str,
    /// Seconds to wait, where waiting helps.
    pub retry_after: Option<u32>,
}

impl Reject {
    pub const fn new(status: u16, code: &'static str) -> Reject {
        Reject { status, code, retry_after: None }
    }

    const fn later(code: &'static str, seconds: u32) -> Reject {
        Reject { status: 503, code, retry_after: Some(seconds) }
    }
}

/// Proof that [`Admission::check`] let a call in; given back by [`Admission::release`].
#[derive(Debug)]
pub struct Admitted {
    trunk: Arc<str>,
}

/// Counts calls, and the rate at which they come.
#[derive(Debug, Default)]
pub struct Admission {
    calls: usize,
    all: Bucket,
    trunks: HashMap<Arc<str>, PerTrunk>,
    draining: bool,
}

#[derive(Debug, Default)]
struct PerTrunk {
    calls: usize,
    bucket: Bucket,
}

/// Token bucket that holds one second's worth. Levels are in billionths of a token: whole-number arithmetic, so that
/// a replay decides alike.
#[derive(Debug, Default)]
struct Bucket {
    level: u64,
    filled: Option<Mono>,
}

const TOKEN: u64 = 1_000_000_000;

impl Admission {
    /// From now on nobody new comes in.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Calls let in and not yet released.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Lets one call in or says why not. A refusal changes nothing.
    pub fn check(&mut self, now: Mono, sip: &Sip, trunk: &Trunk) -> Result<Admitted, Reject> {
        if self.draining {
            return Err(Reject::later("draining", 30));
        }
        if self.calls >= sip.calls_max {
            return Err(Reject::later("calls_max", 5));
        }
        let name: Arc<str> = Arc::from(trunk.name.as_str());
        let state = self.trunks.entry(Arc::clone(&name)).or_default();
        if state.calls >= trunk.calls_max {
            return Err(Reject::later("trunk_calls_max", 5));
        }
        if !state.bucket.has_token(now, trunk.calls_per_second_max) {
            return Err(Reject::later("trunk_call_rate", 1));
        }
        if !self.all.has_token(now, sip.calls_per_second_max) {
            return Err(Reject::later("call_rate", 1));
        }
        state.bucket.take();
        self.all.take();
        state.calls += 1;
        self.calls += 1;
        Ok(Admitted { trunk: name })
    }

    /// The call is over.
    pub fn release(&mut self, admitted: &Admitted) {
        self.calls = self.calls.saturating_sub(1);
        if let Some(state) = self.trunks.get_mut(&admitted.trunk) {
            state.calls = state.calls.saturating_sub(1);
        }
    }
}

impl Bucket {
    /// Fills up to `now` at `rate` tokens a second (0: no limit) and looks.
    fn has_token(&mut self, now: Mono, rate: u32) -> bool {
        if rate == 0 {
            self.level = u64::MAX;
            return true;
        }
        let capacity = u64::from(rate) * TOKEN;
        let passed = self.filled.map_or(Duration::from_secs(1), |filled| now.since(filled));
        let nanos = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX).min(TOKEN);
        self.level = self.level.min(capacity).saturating_add(nanos.saturating_mul(u64::from(rate))).min(capacity);
        self.filled = Some(now);
        self.level >= TOKEN
    }

    fn take(&mut self) {
        self.level = self.level.saturating_sub(TOKEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket_admits(rate: u32, at_ms: &[u64]) -> Vec<bool> {
        let mut bucket = Bucket::default();
        at_ms
            .iter()
            .map(|ms| {
                let yes = bucket.has_token(Mono(ms * 1_000_000), rate);
                if yes {
                    bucket.take();
                }
                yes
            })
            .collect()
    }

    #[test]
    fn a_bucket_holds_one_second_and_refills_evenly() {
        assert_eq!(bucket_admits(2, &[0, 0, 0, 499, 500, 500, 1_000]), [true, true, false, false, true, false, true]);
        assert_eq!(bucket_admits(0, &[0, 0, 0, 0]), [true; 4]);
    }
}
