//! How often a sign-in may be tried: a bucket for each address, and one for each name whoever tries it. Names that are
//! nobody's have buckets, too, so that nothing tells which users there are.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::limits;
use crate::time::Mono;

/// The buckets.
#[derive(Debug, Default)]
pub struct Attempts {
    by_address: Buckets<IpAddr>,
    by_name: Buckets<String>,
    /// From where a name signed in before: whoever tries the name elsewhere does not lock its owner out.
    known: HashMap<(String, IpAddr), Mono>,
}

impl Attempts {
    /// One attempt begins, or must wait so many seconds.
    pub fn begin(&mut self, address: IpAddr, name: &str, now: Mono) -> Result<(), u64> {
        let address = network(address);
        self.by_address.take(address, limits::SIGN_IN_PER_ADDRESS, now)?;
        let known = self.known.contains_key(&(name.to_owned(), address));
        if known { Ok(()) } else { self.by_name.take(name.to_owned(), limits::SIGN_IN_PER_NAME, now) }
    }

    /// It was half of one: the password was right, and a code is asked for. It does not count, and it makes the address no
    /// better: the codes that follow from it are guesses like any.
    pub fn half(&mut self, address: IpAddr, name: &str) {
        self.by_address.give_back(&network(address));
        self.by_name.give_back(&name.to_owned());
    }

    /// It was a good one: it does not count.
    pub fn good(&mut self, address: IpAddr, name: &str, now: Mono) {
        self.half(address, name);
        let address = network(address);
        if self.known.len() >= limits::SIGN_IN_KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        self.known.insert((name.to_owned(), address), now);
    }
}

/// An IPv6 customer has a /64 at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[derive(Debug)]
struct Buckets<K> {
    /// Attempts left, and when that was reckoned.
    all: HashMap<K, (f64, Mono)>,
    /// Of all for whom there is no room.
    shared: Option<(f64, Mono)>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Buckets<K> {
        Buckets { all: HashMap::new(), shared: None }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    fn take(&mut self, key: K, (burst, every): (u32, Duration), now: Mono) -> Result<(), u64> {
        let burst = f64::from(burst);
        let every = every.as_secs_f64();
        let refilled = |(left, at): (f64, Mono)| (left + now.since(at).as_secs_f64() / every).min(burst);
        if self.all.len() >= limits::SIGN_IN_TRIED && !self.all.contains_key(&key) {
            self.all.retain(|_, bucket| refilled(*bucket) < burst);
        }
        let has_room = self.all.len() < limits::SIGN_IN_TRIED || self.all.contains_key(&key);
        let bucket = if has_room {
            self.all.entry(key).or_insert((burst, now))
        } else {
            self.shared.get_or_insert((burst, now))
        };
        *bucket = (refilled(*bucket), now);
        if bucket.0 < 1.0 {
            return Err(((1.0 - bucket.0) * every).ceil().max(1.0) as u64);
        }
        bucket.0 -= 1.0;
        Ok(())
    }

    fn give_back(&mut self, key: &K) {
        if let Some(bucket) = self.all.get_mut(key) {
            bucket.0 += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0xc612_0000 + n).to_be_bytes())
    }

    #[test]
    fn an_address_and_a_name_have_so_many_attempts_and_get_them_back_with_time() {
        let mut attempts = Attempts::default();
        let (burst, every) = limits::SIGN_IN_PER_ADDRESS;
        for n in 0..burst {
            assert_eq!(attempts.begin(address(1), &format!("user-{n}"), at(1)), Ok(()));
        }
        let wait = attempts.begin(address(1), "user", at(1)).unwrap_err();
        assert_eq!(wait, every.as_secs());
        assert_eq!(attempts.begin(address(1), "user", at(1 + wait)), Ok(()));
        let (burst, _) = limits::SIGN_IN_PER_NAME;
        for n in 0..burst {
            assert_eq!(attempts.begin(address(100 + n), "anna", at(1)), Ok(()));
        }
        assert!(attempts.begin(address(99), "anna", at(1)).is_err(), "whoever tries");
    }

    #[test]
    fn the_owner_of_a_name_gets_in_from_where_they_are_known() {
        let mut attempts = Attempts::default();
        attempts.begin(address(1), "anna", at(1)).unwrap();
        attempts.good(address(1), "anna", at(1));
        for n in 0..100 {
            let _ = attempts.begin(address(100 + n), "anna", at(2));
        }
        assert!(attempts.begin(address(2), "anna", at(2)).is_err());
        assert_eq!(attempts.begin(address(1), "anna", at(2)), Ok(()));
    }

    #[test]
    fn a_right_password_without_a_code_makes_guesses_of_codes_no_cheaper() {
        let mut attempts = Attempts::default();
        let (burst, _) = limits::SIGN_IN_PER_NAME;
        for n in 0..burst {
            // The password, which is right, and then a code, which is not; each from another address.
            attempts.begin(address(n), "anna", at(1)).unwrap();
            attempts.half(address(n), "anna");
            attempts.begin(address(n), "anna", at(1)).unwrap();
        }
        assert!(attempts.begin(address(1), "anna", at(1)).is_err());
    }

    #[test]
    fn the_table_is_bounded_and_what_does_not_fit_shares_a_bucket() {
        let mut attempts = Attempts::default();
        for n in 0..limits::SIGN_IN_TRIED as u32 + 100 {
            let _ = attempts.begin(address(n), &n.to_string(), at(1));
        }
        assert_eq!(attempts.by_address.all.len(), limits::SIGN_IN_TRIED);
        assert!(attempts.begin(address(1 << 20), "x", at(1)).is_err());
        assert_eq!(attempts.begin(address(1 << 20), "x", at(100_000)), Ok(()));
    }
}
