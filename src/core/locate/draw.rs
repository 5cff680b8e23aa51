//! The orders that DNS leaves to chance: weights of SRV records (RFC 2782), addresses of one name.

use rand_core::Rng;

use super::records::Srv;

/// By priority; within one priority drawn without putting back, each with the chance of its weight (RFC 2782, "Usage
/// rules"). A weight of zero is drawn seldom, but is drawn.
pub(super) fn by_weight(records: &mut [Srv], random: &mut impl Rng) {
    records.sort_by_key(|record| record.priority);
    for of_priority in records.chunk_by_mut(|a, b| a.priority == b.priority) {
        let mut rest = of_priority;
        while rest.len() > 1 {
            // Zeros stand first, so that they have a chance at all.
            rest.sort_by_key(|record| record.weight != 0);
            let sum: u32 = rest.iter().map(|record| u32::from(record.weight)).sum();
            let drawn = below(random, u64::from(sum) + 1);
            let mut running = 0;
            let hit = rest.iter().position(|record| {
                running += u64::from(record.weight);
                running >= drawn
            });
            rest.swap(0, hit.unwrap_or(0));
            let (_, tail) = rest.split_at_mut(1);
            rest = tail;
        }
    }
}

/// Every order is as likely as every other.
pub(super) fn shuffle<T>(items: &mut [T], random: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        let other = usize::try_from(below(random, last as u64 + 1)).unwrap_or(0);
        items.swap(last, other);
    }
}

/// A number below `bound`; the bias of 2⁻⁴⁸ and less is of no matter here.
fn below(random: &mut impl Rng, bound: u64) -> u64 {
    random.next_u64() % bound.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.into() }
    }

    fn order(records: &[Srv], seed: u64) -> String {
        let mut records = records.to_vec();
        by_weight(&mut records, &mut ChaCha8Rng::seed_from_u64(seed));
        records.iter().map(|record| &*record.target).collect()
    }

    #[test]
    fn weights_are_shares() {
        let records = [srv(10, 60, "a"), srv(10, 30, "b"), srv(10, 10, "c"), srv(20, 99, "d"), srv(5, 0, "e")];
        let mut first: HashMap<char, u32> = HashMap::new();
        for seed in 0..10_000 {
            let order = order(&records, seed);
            assert!(order.starts_with('e') && order.ends_with('d'), "{order}");
            *first.entry(order.chars().nth(1).expect("five")).or_default() += 1;
        }
        for (target, share) in [('a', 6_000), ('b', 3_000), ('c', 1_000)] {
            let count = first.get(&target).copied().unwrap_or(0);
            assert!(count.abs_diff(share) < 250, "{target}: {count}");
        }
    }

    #[test]
    fn a_weight_of_zero_is_seldom_but_comes() {
        let records = [srv(1, 99, "a"), srv(1, 0, "b")];
        let first = (0..10_000).filter(|seed| order(&records, *seed).starts_with('b')).count();
        assert!((50..200).contains(&first), "{first}");
        // All zero: somebody is first, nobody is lost.
        let zeros = [srv(1, 0, "a"), srv(1, 0, "b"), srv(1, 0, "c")];
        assert_eq!(order(&zeros, 1).len(), 3);
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let records: Vec<Srv> = (0..1_000).map(|_| srv(u16::MAX, u16::MAX, "x")).collect();
        assert_eq!(order(&records, 7).len(), 1_000);
    }

    #[test]
    fn a_shuffle_gives_every_order() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut items = [1, 2, 3];
            shuffle(&mut items, &mut ChaCha8Rng::seed_from_u64(seed));
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
    }
}
