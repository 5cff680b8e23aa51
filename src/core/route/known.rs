//! Who spoke to whom before: the destination that answered a caller last. Bounded, and rebuilt from the journal at start.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits;

type Table = HashMap<Box<str>, Arc<str>, foldhash::fast::RandomState>;

/// Two generations: when the newer one is full the older is forgotten whole, so that whoever called lately is known.
#[derive(Debug, Default)]
pub struct Known {
    newer: Table,
    older: Table,
}

impl Known {
    /// This destination answered this caller of a company.
    pub fn remember(&mut self, company: &str, caller: &str, destination: Arc<str>) {
        if self.newer.len() >= limits::CALLERS_REMEMBERED / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key(company, caller), destination);
    }

    /// The destination that answered this caller last.
    pub fn destination(&self, company: &str, caller: &str) -> Option<&Arc<str>> {
        if self.newer.is_empty() && self.older.is_empty() {
            return None;
        }
        let key = key(company, caller);
        self.newer.get(&key).or_else(|| self.older.get(&key))
    }

    pub fn count(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

/// No name of a company has a slash.
fn key(company: &str, caller: &str) -> Box<str> {
    format!("{company}/{caller}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_destination_of_a_caller() {
        let mut known = Known::default();
        known.remember("acme", "+447700900123", Arc::from("anna"));
        known.remember("acme", "+447700900123", Arc::from("bert"));
        known.remember("other", "+447700900123", Arc::from("cleo"));
        let who = |company, caller| known.destination(company, caller).map(|name| &**name);
        assert_eq!(who("acme", "+447700900123"), Some("bert"));
        assert_eq!(who("other", "+447700900123"), Some("cleo"));
        assert_eq!(who("acme", "+447700900124"), None);
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_newest() {
        let mut known = Known::default();
        let total = limits::CALLERS_REMEMBERED * 2;
        for caller in 0..total {
            known.remember("acme", &caller.to_string(), Arc::from("anna"));
        }
        assert!(known.count() <= limits::CALLERS_REMEMBERED);
        assert!(known.destination("acme", &(total - 1).to_string()).is_some());
        assert!(known.destination("acme", "0").is_none());
    }
}
