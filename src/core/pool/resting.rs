//! Numbers that are out of use for a while: whoever has one keeps it, and nobody else gets it.

use super::Allocator;
use crate::ids::E164;

impl Allocator {
    /// Takes a number out of use, or puts it back. Its visitors keep it, and may come back to it while they hold it; it
    /// is neither given nor shared. Calls and their attribution do not notice. `false`: it is no number of a pool.
    pub fn set_resting(&mut self, number: &E164, resting: bool) -> bool {
        let Some(&slot) = self.numbers.get(number) else { return false };
        if self.slots[slot].is_resting != resting {
            self.slots[slot].is_resting = resting;
            self.settle(slot);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::core::attribution::Model;
    use crate::core::pool::{Ask, Granted, NoNumber, Output, Rules};
    use crate::time::Now;

    const TEXT: &str = "[[company]]\nname = \"acme\"\nforward_to = [\"sip:a@127.0.0.1:5080\"]\n[[site]]\nname = \"site\"\n\
                        company = \"acme\"\norigins = [\"http://localhost\"]\n[[pool]]\nname = \"web\"\ncompany = \"acme\"\n\
                        site = \"site\"\nkind = \"dynamic\"\nnumbers = [\"+442079460000..+442079460002\"]\n";

    fn number(n: u32) -> E164 {
        E164::parse(&format!("+44207946000{n}")).expect("a number")
    }

    fn allocator() -> Allocator {
        let config = Config::parse(TEXT, "test", Path::new("")).expect("good");
        let rules = Rules {
            ttl: Duration::from_secs(90),
            renew_after: Duration::from_secs(30),
            memory: Duration::from_secs(86_400),
            tail: Model::default().tail(),
        };
        Allocator::new(rules, &config.pools, &config.sites, [1; 32])
    }

    fn come(allocator: &mut Allocator, visitor: u32, out: &mut Vec<Output>) -> Result<Granted, NoNumber> {
        let ask = Ask { site: "site".into(), visitor_id: Some(format!("{visitor:032x}")), ..Ask::default() };
        allocator.acquire(Now::default(), ask, out)
    }

    #[test]
    fn a_number_that_rests_is_neither_given_nor_shared_and_stays_with_its_visitor() {
        let (mut allocator, mut out) = (allocator(), Vec::new());
        assert!(allocator.set_resting(&number(0), true) && !allocator.set_resting(&number(9), true));
        let given: Vec<E164> =
            (0..4).filter_map(|v| come(&mut allocator, v, &mut out).ok()).map(|g| g.lease.number.clone()).collect();
        assert_eq!(given.iter().cloned().collect::<BTreeSet<_>>(), BTreeSet::from([number(1), number(2)]));
        // Whoever has it keeps it; nobody joins.
        for n in [1, 2] {
            allocator.set_resting(&number(n), true);
        }
        assert!(come(&mut allocator, 0, &mut out).is_ok_and(|granted| granted.returning));
        assert!(come(&mut allocator, 7, &mut out).is_err());
        let state = allocator.pools().next().expect("the pool");
        assert_eq!((state.numbers, state.free, state.leased), (3, 0, 2));
        allocator.set_resting(&number(0), false);
        assert!(come(&mut allocator, 7, &mut out).is_ok_and(|granted| granted.lease.number == number(0)));
        // A new configuration changes nothing of it.
        let config = Config::parse(TEXT, "test", Path::new("")).expect("good");
        let rules = allocator.rules();
        allocator.reconfigure(Now::default(), rules, &config.pools, &config.sites, &mut out);
        assert!(come(&mut allocator, 8, &mut out).is_ok_and(|granted| granted.lease.number == number(0)));
        allocator.set_resting(&number(0), true);
        assert!(come(&mut allocator, 9, &mut out).is_err());
    }
}
