//! What DNS said, and how long it holds.

use std::collections::HashMap;
use std::time::Duration;

use crate::core::locate::{Answer, Lookup};
use crate::limits;
use crate::time::Mono;

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Lookup, Entry>,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    /// Until then nobody need ask again.
    fresh: Mono,
    /// The answer's own time: from then on it is old.
    expires: Mono,
}

pub(super) enum Cached {
    Fresh(Answer),
    /// Its time is over; better than nothing.
    Stale(Answer),
    Unknown,
}

impl Cache {
    pub(super) fn get(&self, lookup: &Lookup, now: Mono) -> Cached {
        match self.entries.get(lookup) {
            Some(entry) if now < entry.fresh => Cached::Fresh(entry.answer.clone()),
            Some(entry) if now.since(entry.expires) < limits::DNS_STALE && entry.answer != Answer::Failed => {
                Cached::Stale(entry.answer.clone())
            }
            _ => Cached::Unknown,
        }
    }

    /// A server's word, with the seconds that it says.
    pub(super) fn put(&mut self, lookup: &Lookup, answer: Answer, ttl: Option<u32>, now: Mono) {
        let longest = if answer == Answer::Nothing { limits::DNS_NEGATIVE_MAX } else { limits::DNS_TTL_MAX };
        let ttl = ttl.map_or(limits::DNS_NEGATIVE, |ttl| Duration::from_secs(ttl.into()));
        let expires = now + ttl.clamp(limits::DNS_TTL_MIN, longest);
        self.insert(lookup, Entry { answer, fresh: expires, expires });
    }

    /// No server answered: what was known holds a little longer, so that not every call waits for dead servers.
    pub(super) fn failed(&mut self, lookup: &Lookup, now: Mono) {
        let fresh = now + limits::DNS_RETRY;
        match self.entries.get_mut(lookup) {
            Some(entry) if now.since(entry.expires) < limits::DNS_STALE => entry.fresh = fresh,
            _ => self.insert(lookup, Entry { answer: Answer::Failed, fresh, expires: now }),
        }
    }

    fn insert(&mut self, lookup: &Lookup, entry: Entry) {
        if self.entries.len() >= limits::DNS_CACHE && !self.entries.contains_key(lookup) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.expires).map(|(lookup, _)| lookup.clone());
            oldest.and_then(|oldest| self.entries.remove(&oldest));
        }
        self.entries.insert(lookup.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::locate::Kind;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn addresses() -> Answer {
        Answer::Addresses(vec![[192, 0, 2, 1].into()])
    }

    fn state(cache: &Cache, lookup: &Lookup, seconds: u64) -> &'static str {
        match cache.get(lookup, at(seconds)) {
            Cached::Fresh(Answer::Failed) => "failed",
            Cached::Fresh(_) => "fresh",
            Cached::Stale(_) => "stale",
            Cached::Unknown => "unknown",
        }
    }

    #[test]
    fn times_are_bounded() {
        let lookup = Lookup::new(Kind::A, "pbx.example");
        for (answer, ttl, last) in [
            (addresses(), Some(0), 1),
            (addresses(), Some(300), 300),
            (addresses(), Some(u32::MAX), 3_600),
            (Answer::Nothing, Some(0), 1),
            (Answer::Nothing, Some(86_400), 300),
            (Answer::Nothing, None, 30),
        ] {
            let mut cache = Cache::default();
            cache.put(&lookup, answer, ttl, at(0));
            assert_eq!(state(&cache, &lookup, last - 1), "fresh", "{ttl:?}");
            assert_eq!(state(&cache, &lookup, last), "stale", "{ttl:?}");
        }
    }

    #[test]
    fn an_old_answer_serves_a_day_while_nobody_answers() {
        let lookup = Lookup::new(Kind::A, "pbx.example");
        let mut cache = Cache::default();
        cache.put(&lookup, addresses(), Some(10), at(0));
        cache.failed(&lookup, at(20));
        assert_eq!(state(&cache, &lookup, 24), "fresh");
        assert_eq!(state(&cache, &lookup, 25), "stale");
        assert_eq!(state(&cache, &lookup, 10 + 86_399), "stale");
        assert_eq!(state(&cache, &lookup, 10 + 86_400), "unknown");
        cache.failed(&lookup, at(10 + 86_400));
        assert_eq!(state(&cache, &lookup, 10 + 86_401), "failed");
        assert_eq!(state(&cache, &lookup, 10 + 86_405), "unknown");
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = Cache::default();
        for n in 0..u32::try_from(limits::DNS_CACHE).expect("a small number") + 100 {
            cache.put(&Lookup::new(Kind::A, &format!("h{n}.example")), addresses(), Some(10 + n), at(0));
        }
        assert_eq!(cache.entries.len(), limits::DNS_CACHE);
        assert_eq!(state(&cache, &Lookup::new(Kind::A, "h99.example"), 0), "unknown");
        assert_eq!(state(&cache, &Lookup::new(Kind::A, "h100.example"), 0), "fresh");
    }
}
