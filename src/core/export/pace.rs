//! How fast a destination may be asked: a token bucket, as most of them document their limits.

use std::time::Duration;

use crate::time::Mono;

/// So many requests at once, and one more every so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub burst: u32,
    pub every: Duration,
}

impl Pace {
    /// So many requests a second.
    pub const fn per_second(count: u32, burst: u32) -> Pace {
        Pace { burst, every: Duration::from_nanos(1_000_000_000 / count as u64) }
    }
}

/// The bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pace: Pace,
    /// When it is full again, were nothing more asked.
    full_at: Mono,
}

impl Bucket {
    pub fn new(pace: Pace) -> Bucket {
        Bucket { pace, full_at: Mono(0) }
    }

    /// Takes one request, now; else when there is one.
    pub fn take(&mut self, now: Mono) -> Result<(), Mono> {
        let full_at = self.full_at.max(now);
        let room = self.pace.every.saturating_mul(self.pace.burst.saturating_sub(1));
        let free_at = full_at - room;
        if free_at > now {
            return Err(free_at);
        }
        self.full_at = full_at + self.pace.every;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let at = |millis: u64| Mono((10_000 + millis) * 1_000_000);
        let mut bucket = Bucket::new(Pace::per_second(2, 3));
        assert_eq!((0..3).map(|_| bucket.take(at(0))).collect::<Vec<_>>(), [Ok(()); 3]);
        assert_eq!(bucket.take(at(0)), Err(at(500)));
        assert_eq!(bucket.take(at(499)), Err(at(500)));
        assert_eq!(bucket.take(at(500)), Ok(()));
        assert_eq!(bucket.take(at(500)), Err(at(1_000)));
        // A minute later it is full, and no fuller.
        assert_eq!((0..3).map(|_| bucket.take(at(60_000))).collect::<Vec<_>>(), [Ok(()); 3]);
        assert_eq!(bucket.take(at(60_000)), Err(at(60_500)));
    }
}
