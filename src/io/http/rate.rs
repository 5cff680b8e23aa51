//! How often one address may ask: a bucket of tokens per address, in a bounded table.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

/// One kind of request.
#[derive(Debug)]
pub(super) struct RateLimit {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    pub(super) fn new(burst: u32, per_second: u32) -> RateLimit {
        let (burst, per_second) = (f64::from(burst), f64::from(per_second.max(1)));
        RateLimit { burst, per_second, buckets: Mutex::default() }
    }

    /// Takes one token of this address, or says how many seconds until there is one.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = key(address);
        if buckets.len() >= limits::HTTP_RATE_ADDRESSES && !buckets.contains_key(&key) {
            let full_after = Duration::from_secs_f64(self.burst / self.per_second);
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < full_after);
            if buckets.len() >= limits::HTTP_RATE_ADDRESSES {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.burst, at: now });
        let refill = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + refill).min(self.burst);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0) as u64);
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// An IPv6 customer has a /64 at least: its addresses count as one.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_time_refills() {
        let limit = RateLimit::new(3, 2);
        let start = Instant::now();
        let one = "192.0.2.1".parse().unwrap();
        assert_eq!((0..5).filter(|_| limit.take(one, start).is_ok()).count(), 3);
        assert_eq!(limit.take(one, start), Err(1));
        assert_eq!(limit.take("192.0.2.2".parse().unwrap(), start), Ok(()), "others are not touched");
        assert_eq!(limit.take(one, start + Duration::from_millis(500)), Ok(()));
        assert!(limit.take(one, start + Duration::from_millis(500)).is_err());
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let limit = RateLimit::new(1, 1);
        let now = Instant::now();
        assert!(limit.take("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(limit.take("2001:db8::ffff".parse().unwrap(), now).is_err());
    }

    #[test]
    fn the_table_is_bounded_and_forgets_full_buckets() {
        let limit = RateLimit::new(2, 1);
        let now = Instant::now();
        for n in 0..limits::HTTP_RATE_ADDRESSES as u32 + 10 {
            let _ = limit.take(IpAddr::from(n.to_be_bytes()), now);
        }
        assert_eq!(limit.buckets.lock().unwrap().len(), limits::HTTP_RATE_ADDRESSES + 1, "and the shared one");
        assert!(limit.take("203.0.113.1".parse().unwrap(), now).is_err(), "the shared bucket is empty");
        assert!(limit.take("203.0.113.1".parse().unwrap(), now + Duration::from_secs(5)).is_ok());
        assert_eq!(limit.buckets.lock().unwrap().len(), 1);
    }
}
