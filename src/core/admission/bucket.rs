//! Token buckets in whole numbers, so that a replay decides alike.

use std::time::Duration;

use crate::time::Mono;

/// So many in so many seconds; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub seconds: u32,
}

impl Rate {
    pub const fn per_second(count: u32) -> Rate {
        Rate { count, seconds: 1 }
    }

    pub const fn per_minute(count: u32) -> Rate {
        Rate { count, seconds: 60 }
    }

    pub const fn is_limited(self) -> bool {
        self.count > 0
    }
}

/// Holds what one period of its [`Rate`] allows and refills evenly. A new one is full. A level is in parts of a token of
/// which each nanosecond brings [`Rate::count`]: nothing is lost to rounding.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    level: u64,
    filled: Option<Mono>,
}

/// Parts of one token.
fn token(rate: Rate) -> u64 {
    u64::from(rate.seconds.max(1)) * 1_000_000_000
}

impl Bucket {
    /// Fills up to `now` and looks whether a token is there.
    ///
    /// # Errors
    /// How long until the next one is.
    pub fn look(&mut self, now: Mono, rate: Rate) -> Result<(), Duration> {
        if !rate.is_limited() {
            self.level = u64::MAX;
            return Ok(());
        }
        let (count, token) = (u64::from(rate.count), token(rate));
        let capacity = count.saturating_mul(token);
        let passed = self.filled.map_or(token, |filled| nanos(now.since(filled))).min(token);
        self.level = self.level.min(capacity).saturating_add(passed.saturating_mul(count)).min(capacity);
        self.filled = Some(now);
        if self.level >= token {
            return Ok(());
        }
        Err(Duration::from_nanos((token - self.level).div_ceil(count)))
    }

    /// One token less.
    pub fn take(&mut self, rate: Rate) {
        self.level = self.level.saturating_sub(token(rate));
    }

    /// Both, when there is one.
    pub fn draw(&mut self, now: Mono, rate: Rate) -> Result<(), Duration> {
        self.look(now, rate)?;
        self.take(rate);
        Ok(())
    }

    /// As good as new: nobody need remember it.
    pub fn is_full(&self, now: Mono, rate: Rate) -> bool {
        let mut copy = *self;
        let _ = copy.look(now, rate);
        copy.level >= u64::from(rate.count).saturating_mul(token(rate))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admits(rate: Rate, at_ms: &[u64]) -> Vec<bool> {
        let mut bucket = Bucket::default();
        at_ms.iter().map(|ms| bucket.draw(Mono(ms * 1_000_000), rate).is_ok()).collect()
    }

    #[test]
    fn a_bucket_holds_one_period_and_refills_evenly() {
        let at = [0, 0, 0, 499, 500, 500, 1_000];
        assert_eq!(admits(Rate::per_second(2), &at), [true, true, false, false, true, false, true]);
        assert_eq!(admits(Rate::per_second(0), &[0, 0, 0, 0]), [true; 4]);
        assert_eq!(admits(Rate::per_minute(2), &[0, 0, 29_999, 30_000, 59_999]), [true, true, false, true, false]);
    }

    #[test]
    fn a_refusal_says_when_the_next_token_is_there() {
        let mut bucket = Bucket::default();
        let rate = Rate::per_minute(1);
        let later = Mono(20_000_000_000);
        assert_eq!(bucket.draw(Mono(0), rate), Ok(()));
        let wait = bucket.draw(later, rate).expect_err("empty");
        assert_eq!(wait, Duration::from_secs(40));
        assert_eq!(bucket.draw(later + wait, rate), Ok(()));
    }

    proptest! {
        /// Whoever waits as long as was said gets in, and never are more let in than the rate allows.
        #[test]
        fn waiting_as_told_is_enough(
            count in 1_u32..1_000,
            seconds in 1_u32..90,
            steps in prop::collection::vec(0_u64..2_000_000_000, 1..200),
        ) {
            let rate = Rate { count, seconds };
            let mut bucket = Bucket::default();
            let (mut now, mut taken) = (Mono(5), 0_u64);
            for step in steps {
                now = now + Duration::from_nanos(step);
                match bucket.draw(now, rate) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        let (mut later, mut sooner) = (bucket, bucket);
                        prop_assert!(later.draw(now + wait, rate).is_ok());
                        prop_assert!(sooner.draw(now + (wait - Duration::from_nanos(1)), rate).is_err());
                    }
                }
                let gained = u128::from(now.0) * u128::from(count) / u128::from(token(rate));
                let most = u128::from(count) + gained + 1;
                prop_assert!(u128::from(taken) <= most);
            }
        }
    }
}
