//! Whose turn it is: how many calls each destination has, since when it is idle, and where the last round stopped. One
//! for the whole of signalling; what it knows survives a reload, because it is kept by name.

use std::collections::HashMap;
use std::sync::Arc;

use rand_core::Rng;

use super::{Known, Plan, Question, choose};
use crate::config::{Destination, Strategy};
use crate::core::locate::Names;
use crate::time::Mono;

/// See the module. Entries are destinations of the configuration that were ever called, so their number is bounded by it;
/// [`Desk::retain`] forgets those that a reload took away.
#[derive(Debug, Default)]
pub struct Desk {
    lines: HashMap<Arc<str>, Line, foldhash::fast::RandomState>,
    /// Where each company's round begins next.
    turns: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    /// Who spoke to whom before.
    pub known: Known,
}

#[derive(Debug, Default)]
struct Line {
    calls: usize,
    /// When its last call ended; `None`: it never had one.
    idle_since: Option<Mono>,
}

impl Desk {
    /// Takes a place at a destination; false when it has as many calls as it may have. A place is given back by
    /// [`Desk::release`]. Destinations that nobody counts always have one.
    pub fn take(&mut self, destination: &Destination) -> bool {
        let Some(key) = &destination.counted else { return true };
        let line = self.lines.entry(Arc::clone(key)).or_default();
        let has_room = destination.calls_max.is_none_or(|max| line.calls < max);
        line.calls += usize::from(has_room);
        has_room
    }

    /// A call or an attempt at this destination is over. `talked`: it was answered, so that its rest begins now.
    pub fn release(&mut self, now: Mono, key: &str, talked: bool) {
        if let Some(line) = self.lines.get_mut(key) {
            line.calls = line.calls.saturating_sub(1);
            if talked {
                line.idle_since = Some(now);
            }
        }
    }

    /// Places taken.
    pub fn taken(&self) -> usize {
        self.lines.values().map(|line| line.calls).sum()
    }

    /// Calls at a destination now.
    pub fn calls_at(&self, key: &str) -> usize {
        self.lines.get(key).map_or(0, |line| line.calls)
    }

    /// Forgets the destinations and companies that are neither called nor configured any more.
    pub fn retain(&mut self, is_configured: impl Fn(&str) -> bool, is_company: impl Fn(&str) -> bool) {
        self.lines.retain(|key, line| line.calls > 0 || is_configured(key));
        self.turns.retain(|company, _| is_company(company));
    }

    /// Where a call goes, by its company's hours, rules and lists.
    pub fn plan(&mut self, question: &Question<'_>, names: &Names, random: &mut impl Rng) -> Plan {
        let choice = choose(question, &self.known);
        choice.plan(question, self, names, random)
    }

    /// The order in which destinations of this list are tried.
    pub fn arrange(
        &mut self,
        company: &str,
        list: &[Arc<Destination>],
        strategy: Strategy,
        random: &mut impl Rng,
    ) -> Vec<Arc<Destination>> {
        let mut order = list.to_vec();
        match strategy {
            Strategy::Order | Strategy::Parallel => {}
            Strategy::Weighted => draw(&mut order, random),
            Strategy::RoundRobin => {
                let begin = self.turn(company) % order.len().max(1);
                order.rotate_left(begin);
            }
            Strategy::LongestIdle => order.sort_by_key(|one| {
                let line = one.counted.as_ref().and_then(|key| self.lines.get(key));
                line.map_or((false, None), |line| (line.calls > 0, line.idle_since))
            }),
        }
        order
    }

    /// The number of this round, from 0.
    fn turn(&mut self, company: &str) -> usize {
        if let Some(turn) = self.turns.get_mut(company) {
            *turn = turn.wrapping_add(1);
            return *turn;
        }
        self.turns.insert(Arc::from(company), 0);
        0
    }
}

/// Draws one after another by weight, without putting back. Those of weight 0 come last, as written.
fn draw(order: &mut [Arc<Destination>], random: &mut impl Rng) {
    for drawn in 0..order.len() {
        let Some(rest) = order.get_mut(drawn..) else { return };
        let total: u64 = rest.iter().map(|one| u64::from(one.weight)).sum();
        if total == 0 {
            return;
        }
        // At most 16,000 of 2^64: the remainder's bias cannot be measured.
        let mut ball = random.next_u64() % total;
        let hit = rest.iter().position(|one| {
            let weight = u64::from(one.weight);
            let is_hit = ball < weight;
            ball = ball.saturating_sub(weight);
            is_hit
        });
        // Rotated and not swapped: what is not drawn keeps its order.
        if let Some(hit) = hit.and_then(|hit| rest.get_mut(..=hit)) {
            hit.rotate_right(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn list(weights: &[u32]) -> Vec<Arc<Destination>> {
        let one = |(i, weight): (usize, &u32)| {
            let label: Arc<str> = Arc::from(format!("d{i}"));
            let counted = Some(Arc::from(format!("acme/d{i}")));
            let uri = format!("sip:d{i}@192.0.2.1");
            Arc::new(Destination { weight: *weight, label, counted, ..Destination::plain(&uri) })
        };
        weights.iter().enumerate().map(one).collect()
    }

    fn labels(order: &[Arc<Destination>]) -> String {
        order.iter().map(|one| &*one.label).collect::<Vec<_>>().join(" ")
    }

    fn random() -> ChaCha12Rng {
        ChaCha12Rng::from_seed([7; 32])
    }

    #[test]
    fn rounds_begin_behind_the_last() {
        let (mut desk, mut random, list) = (Desk::default(), random(), list(&[1, 1, 1]));
        let mut next = |company: &str| labels(&desk.arrange(company, &list, Strategy::RoundRobin, &mut random));
        assert_eq!(next("acme"), "d0 d1 d2");
        assert_eq!(next("acme"), "d1 d2 d0");
        assert_eq!(next("other"), "d0 d1 d2", "each company has its own round");
        assert_eq!(next("acme"), "d2 d0 d1");
        assert_eq!(next("acme"), "d0 d1 d2");
    }

    #[test]
    fn weights_are_shares_and_zero_is_the_reserve() {
        let (mut desk, mut random, list) = (Desk::default(), random(), list(&[1, 3, 0, 6]));
        let mut first = [0_u32; 4];
        for _ in 0..10_000 {
            let order = desk.arrange("acme", &list, Strategy::Weighted, &mut random);
            assert_eq!(&*order[3].label, "d2", "nobody else is left");
            for (i, count) in first.iter_mut().enumerate() {
                *count += u32::from(*order[0].label == *format!("d{i}"));
            }
        }
        for (count, share) in first.iter().zip([1_000, 3_000, 0, 6_000_u32]) {
            assert!(count.abs_diff(share) < 200, "{first:?}");
        }
    }

    #[test]
    fn a_seed_draws_alike() {
        let list = list(&[5, 5, 5, 5]);
        let run = || {
            let (mut desk, mut random) = (Desk::default(), random());
            (0..20).map(|_| labels(&desk.arrange("acme", &list, Strategy::Weighted, &mut random))).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn the_longest_idle_comes_first_and_the_busy_last() {
        let (mut desk, mut random, list) = (Desk::default(), random(), list(&[1, 1, 1]));
        let order = |desk: &mut Desk, random: &mut ChaCha12Rng| {
            labels(&desk.arrange("acme", &list, Strategy::LongestIdle, random))
        };
        assert_eq!(order(&mut desk, &mut random), "d0 d1 d2", "who was never called, as written");
        for (i, at) in [(0, 30), (1, 10), (2, 20)] {
            assert!(desk.take(&list[i]));
            desk.release(Mono(at), &format!("acme/d{i}"), true);
        }
        assert_eq!(order(&mut desk, &mut random), "d1 d2 d0");
        assert!(desk.take(&list[1]));
        assert_eq!(order(&mut desk, &mut random), "d2 d0 d1");
        // Ringing in vain is no work.
        desk.release(Mono(99), "acme/d1", false);
        assert_eq!(order(&mut desk, &mut random), "d1 d2 d0");
        assert_eq!(desk.taken(), 0);
    }

    #[test]
    fn a_full_destination_has_no_place() {
        let mut desk = Desk::default();
        let one =
            Destination { calls_max: Some(2), counted: Some(Arc::from("acme/a")), ..Destination::plain("sip:a@b") };
        assert_eq!([desk.take(&one), desk.take(&one), desk.take(&one)], [true, true, false]);
        desk.release(Mono(1), "acme/a", false);
        assert!(desk.take(&one));
        assert_eq!((desk.taken(), desk.calls_at("acme/a")), (2, 2));
        desk.retain(|_| false, |_| false);
        assert_eq!(desk.taken(), 2, "calls in progress keep their place");
        desk.release(Mono(1), "acme/a", true);
        desk.release(Mono(1), "acme/a", true);
        desk.retain(|_| false, |_| false);
        assert_eq!(desk.lines.len(), 0);
        assert!((0..100).all(|_| desk.take(&Destination::plain("sip:a@b"))), "not counted");
    }
}
