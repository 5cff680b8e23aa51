//! What to deliver to one sink next, when to try again, and when to give up. A machine without clock or socket: `io`
//! feeds it the journal's records by number and subject, sends what it names, and tells it the result.
//!
//! * At least once: [`Outbox::cursor`] never passes an event that is neither delivered nor buried.
//! * In order per subject (a call, a lease): an event waits until those of its subject before it are settled. Other
//!   subjects pass it, within bounds.
//! * A failure is tried again after 1 s, 2 s, 4 s, … up to 5 min, ± 20 % drawn from the seed, or when the sink's
//!   `Retry-After` says. After 24 h, and at least one attempt, an event is buried: it goes to the dead letters, and the
//!   next of its subject goes on. The 24 h are counted from when the outbox took it in, so a restart begins them anew.
//! * A sink that fails at everything (eight times in a row) gets one probe at a time, at most a minute apart. The first
//!   success makes everything that waits due at once.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::time::{Mono, Wakeup};

/// The clocks and bounds of an outbox.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Deliveries at once.
    pub parallel: usize,
    /// Events taken in and not settled.
    pub window: usize,
    /// Events between the cursor and the newest taken in, settled or not.
    pub span: usize,
    pub retry_first: Duration,
    pub retry_max: Duration,
    pub retry_for: Duration,
    pub probe_max: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            parallel: limits::SINK_PARALLEL,
            window: limits::SINK_WINDOW,
            span: limits::SINK_SPAN,
            retry_first: limits::SINK_RETRY_FIRST,
            retry_max: limits::SINK_RETRY_MAX,
            retry_for: limits::SINK_RETRY_FOR,
            probe_max: limits::SINK_PROBE_MAX,
        }
    }
}

/// How a delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    Yes,
    /// Not, and the sink may have said when to come back.
    No {
        retry_after: Option<Duration>,
    },
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Settled,
    RetryAt(Mono),
    /// Given up: write it to the dead letters, then say [`Outbox::bury`], or [`Outbox::postpone`] when that failed.
    Dead {
        attempts: u32,
    },
    /// Not under way: a late or repeated result.
    Unknown,
}

/// Deliveries to one sink.
#[derive(Debug)]
pub struct Outbox {
    rules: Rules,
    seed: u64,
    cursor: u64,
    settled: u64,
    /// Numbers above the cursor, in order, and whether each is settled.
    window: VecDeque<(u64, bool)>,
    items: HashMap<u64, Item>,
    /// Unsettled numbers of each subject, in order: only the first may be sent.
    subjects: HashMap<Arc<str>, VecDeque<u64>>,
    /// First of its subject, waiting, by time.
    due: BTreeSet<(Mono, u64)>,
    in_flight: usize,
    /// Failures since the last success.
    failures: u32,
    /// The sink as a whole rests until then.
    rest_until: Mono,
}

#[derive(Debug)]
struct Item {
    subject: Arc<str>,
    taken_at: Mono,
    attempts: u32,
    in_flight: bool,
}

impl Outbox {
    /// `cursor`: number of the last event that needs no delivery. `seed` draws the jitter.
    pub fn new(rules: Rules, cursor: u64, seed: u64) -> Outbox {
        Outbox {
            rules,
            seed,
            cursor,
            settled: 0,
            window: VecDeque::new(),
            items: HashMap::new(),
            subjects: HashMap::new(),
            due: BTreeSet::new(),
            in_flight: 0,
            failures: 0,
            rest_until: Mono(0),
        }
    }

    /// Everything up to here is settled. What is written down as the sink's cursor.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The newest event taken in.
    pub fn newest(&self) -> u64 {
        self.window.back().map_or(self.cursor, |(seq, _)| *seq)
    }

    /// How many more events it takes.
    pub fn room(&self) -> usize {
        let window = self.rules.window.saturating_sub(self.items.len());
        window.min(self.rules.span.saturating_sub(self.window.len()))
    }

    /// The events above the cursor that are not settled, when they are at most `max`: with them, a restart repeats
    /// nothing that was delivered behind one that is stuck.
    pub fn unsettled(&self, max: usize) -> Option<BTreeSet<u64>> {
        (self.items.len() <= max).then(|| self.items.keys().copied().collect())
    }

    /// Rises whenever an event is settled.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Events taken in and not settled.
    pub fn waiting(&self) -> usize {
        self.items.len()
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes an event in. Numbers rise; one that does not, or that finds no room, is ignored.
    pub fn push(&mut self, now: Mono, seq: u64, subject: &str) {
        if seq <= self.newest() || self.room() == 0 {
            return;
        }
        let subject: Arc<str> = subject.into();
        self.window.push_back((seq, false));
        self.items.insert(seq, Item { subject: subject.clone(), taken_at: now, attempts: 0, in_flight: false });
        let line = self.subjects.entry(subject).or_default();
        line.push_back(seq);
        if line.len() == 1 {
            self.due.insert((now, seq));
        }
    }

    /// Passes over an event that this sink does not want.
    pub fn skip(&mut self, seq: u64) {
        if seq <= self.newest() || self.room() == 0 {
            return;
        }
        self.window.push_back((seq, true));
        self.settled += 1;
        self.advance();
    }

    /// The next event to send, now under way; `None`: nothing is due. Call until `None`.
    pub fn poll_delivery(&mut self, now: Mono) -> Option<u64> {
        let parallel = if self.is_failing() { 1 } else { self.rules.parallel };
        if self.in_flight >= parallel || now < self.rest_until {
            return None;
        }
        let (at, seq) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, seq));
        self.items.get_mut(&seq)?.in_flight = true;
        self.in_flight += 1;
        Some(seq)
    }

    /// How the delivery of `seq` went.
    pub fn on_result(&mut self, now: Mono, seq: u64, delivered: Delivered) -> Verdict {
        let Some(item) = self.items.get_mut(&seq).filter(|item| item.in_flight) else { return Verdict::Unknown };
        item.in_flight = false;
        item.attempts = item.attempts.saturating_add(1);
        let (attempts, give_up_at) = (item.attempts, item.taken_at + self.rules.retry_for);
        self.in_flight -= 1;
        match delivered {
            Delivered::Yes => {
                self.succeed(now);
                self.settle(now, seq);
                Verdict::Settled
            }
            Delivered::No { retry_after } => {
                self.failures = self.failures.saturating_add(1);
                let asked = retry_after.unwrap_or_default().min(self.rules.retry_for);
                self.rest_until = now + self.rest().max(asked);
                if now >= give_up_at {
                    return Verdict::Dead { attempts };
                }
                let at = (now + self.backoff(seq, attempts).max(asked)).min(give_up_at.max(self.rest_until));
                self.due.insert((at, seq));
                Verdict::RetryAt(at)
            }
        }
    }

    /// A dead event is safe among the dead letters.
    pub fn bury(&mut self, now: Mono, seq: u64) {
        self.settle(now, seq);
    }

    /// A dead event could not be written down; it will be tried, and given up, again.
    pub fn postpone(&mut self, now: Mono, seq: u64) {
        if self.items.contains_key(&seq) {
            self.due.insert((now + self.rules.probe_max, seq));
        }
    }

    /// When the next delivery is due. While as many are under way as may be, a result comes first.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let parallel = if self.is_failing() { 1 } else { self.rules.parallel };
        let (at, _) = self.due.first().filter(|_| self.in_flight < parallel)?;
        Some(((*at).max(self.rest_until), "delivery"))
    }

    fn is_failing(&self) -> bool {
        self.failures as usize >= self.rules.parallel
    }

    /// How long the sink as a whole is left alone after a failure.
    fn rest(&self) -> Duration {
        let beyond = u64::from(self.failures).checked_sub(self.rules.parallel as u64);
        beyond.map_or(Duration::ZERO, |beyond| doubled(self.rules.retry_first, beyond).min(self.rules.probe_max))
    }

    fn backoff(&self, seq: u64, attempts: u32) -> Duration {
        let wait = doubled(self.rules.retry_first, u64::from(attempts) - 1).min(self.rules.retry_max);
        let draw = mix(self.seed ^ mix(seq ^ mix(u64::from(attempts)))) % 401;
        wait / 1_000 * u32::try_from(800 + draw).unwrap_or(1_000)
    }

    fn succeed(&mut self, now: Mono) {
        if self.is_failing() {
            self.due = std::mem::take(&mut self.due).into_iter().map(|(at, seq)| (at.min(now), seq)).collect();
        }
        self.failures = 0;
        self.rest_until = Mono(0);
    }

    fn settle(&mut self, now: Mono, seq: u64) {
        let Some(item) = self.items.remove(&seq) else { return };
        self.settled += 1;
        if let Ok(at) = self.window.binary_search_by_key(&seq, |(seq, _)| *seq) {
            self.window[at].1 = true;
        }
        self.advance();
        if let Some(line) = self.subjects.get_mut(&item.subject) {
            line.pop_front();
            match line.front() {
                Some(&next) => drop(self.due.insert((now, next))),
                None => drop(self.subjects.remove(&item.subject)),
            }
        }
    }

    fn advance(&mut self) {
        while let Some((seq, true)) = self.window.front() {
            self.cursor = *seq;
            self.window.pop_front();
        }
    }
}

fn doubled(first: Duration, times: u64) -> Duration {
    first.saturating_mul(1_u32.checked_shl(u32::try_from(times).unwrap_or(u32::MAX)).unwrap_or(u32::MAX))
}

/// splitmix64: spreads neighbouring numbers; no secret depends on it.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const NO: Delivered = Delivered::No { retry_after: None };

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn all_due(outbox: &mut Outbox, now: Mono) -> Vec<u64> {
        std::iter::from_fn(|| outbox.poll_delivery(now)).collect()
    }

    fn outbox(subjects: &[&str]) -> Outbox {
        let mut outbox = Outbox::new(Rules::default(), 0, 1);
        subjects.iter().zip(1..).for_each(|(subject, seq)| outbox.push(at(0), seq, subject));
        outbox
    }

    #[test]
    fn in_order_per_subject_and_others_pass() {
        let mut outbox = outbox(&["a", "a", "b", "a", "c"]);
        assert_eq!(all_due(&mut outbox, at(0)), [1, 3, 5]);
        assert!(matches!(outbox.on_result(at(0), 1, NO), Verdict::RetryAt(_)));
        assert_eq!(outbox.on_result(at(0), 3, Delivered::Yes), Verdict::Settled);
        assert_eq!(outbox.on_result(at(0), 5, Delivered::Yes), Verdict::Settled);
        assert_eq!((outbox.cursor(), outbox.waiting()), (0, 3));
        assert!(all_due(&mut outbox, at(0)).is_empty());
        assert_eq!(all_due(&mut outbox, at(2)), [1]);
        outbox.on_result(at(2), 1, Delivered::Yes);
        assert_eq!((outbox.cursor(), all_due(&mut outbox, at(2))), (1, vec![2]));
        outbox.on_result(at(2), 2, Delivered::Yes);
        assert_eq!((outbox.cursor(), all_due(&mut outbox, at(2))), (3, vec![4]));
        outbox.on_result(at(2), 4, Delivered::Yes);
        assert_eq!((outbox.cursor(), outbox.waiting(), outbox.poll_timeout()), (5, 0, None));
        assert!(outbox.subjects.is_empty() && outbox.items.is_empty() && outbox.window.is_empty());
    }

    #[test]
    fn retries_double_within_their_jitter_and_the_same_seed_draws_the_same() {
        let waits = |seed| {
            let mut outbox = Outbox::new(Rules { parallel: 100, ..Rules::default() }, 0, seed);
            outbox.push(at(0), 1, "a");
            let mut now = at(0);
            let mut waits = Vec::new();
            for _ in 0..12 {
                assert_eq!(all_due(&mut outbox, now), [1]);
                let Verdict::RetryAt(next) = outbox.on_result(now, 1, NO) else { panic!("given up") };
                waits.push(next.since(now));
                now = next;
            }
            waits
        };
        for (n, wait) in waits(5).into_iter().enumerate() {
            let middle = Duration::from_secs(1 << n).min(Duration::from_secs(300));
            assert!(wait >= middle * 8 / 10 && wait <= middle * 12 / 10, "attempt {n}: {wait:?}");
        }
        assert_eq!(waits(5), waits(5));
        assert_ne!(waits(5), waits(6));
    }

    #[test]
    fn a_sink_says_when_to_come_back() {
        let mut outbox = outbox(&["a", "b"]);
        assert_eq!(all_due(&mut outbox, at(0)), [1, 2]);
        let asked = Delivered::No { retry_after: Some(Duration::from_secs(120)) };
        assert_eq!(outbox.on_result(at(0), 1, asked), Verdict::RetryAt(at(120)));
        outbox.push(at(1), 3, "c");
        assert_eq!(outbox.poll_delivery(at(119)), None, "the whole sink rests");
        assert_eq!(outbox.poll_timeout(), Some((at(120), "delivery")));
        assert_eq!(all_due(&mut outbox, at(120)), [3, 1]);
    }

    #[test]
    fn after_a_day_it_is_buried_and_the_next_goes_on() {
        let mut outbox = outbox(&["a", "a"]);
        let mut now = at(0);
        let mut attempts = 0;
        let dead_at = loop {
            now = now.max(outbox.poll_timeout().unwrap().0);
            assert_eq!(outbox.poll_delivery(now), Some(1));
            attempts += 1;
            match outbox.on_result(now, 1, NO) {
                Verdict::RetryAt(_) => assert_eq!(outbox.cursor(), 0),
                Verdict::Dead { attempts: told } => {
                    assert_eq!(told, attempts);
                    break now;
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(dead_at, at(24 * 3600));
        assert_eq!(outbox.poll_delivery(dead_at + Duration::from_secs(3600)), None, "neither sent nor passed over");
        outbox.bury(dead_at, 1);
        assert_eq!(outbox.cursor(), 1);
        assert_eq!(outbox.poll_delivery(dead_at + Duration::from_secs(60)), Some(2));
    }

    #[test]
    fn a_dead_letter_that_cannot_be_written_is_kept() {
        let mut outbox = outbox(&["a"]);
        assert_eq!(outbox.poll_delivery(at(0)), Some(1));
        let late = at(25 * 3600);
        assert_eq!(outbox.on_result(late, 1, NO), Verdict::Dead { attempts: 1 });
        outbox.postpone(late, 1);
        assert_eq!((outbox.cursor(), outbox.waiting()), (0, 1));
        let again = late + Duration::from_secs(60);
        assert_eq!(outbox.poll_delivery(again), Some(1));
        assert_eq!(outbox.on_result(again, 1, Delivered::Yes), Verdict::Settled);
        assert_eq!(outbox.cursor(), 1);
    }

    #[test]
    fn a_sink_that_is_down_is_probed_and_then_everything_goes_at_once() {
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let mut outbox = outbox(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut now = at(0);
        let mut sent_in_last_hour = 0;
        while now < at(3 * 3600) {
            for seq in all_due(&mut outbox, now) {
                sent_in_last_hour += u32::from(now >= at(2 * 3600));
                outbox.on_result(now, seq, NO);
            }
            now = outbox.poll_timeout().unwrap().0.max(now);
        }
        assert!((50..=61).contains(&sent_in_last_hour), "{sent_in_last_hour}");
        let probe = outbox.poll_delivery(now).unwrap();
        outbox.on_result(now, probe, Delivered::Yes);
        assert_eq!(all_due(&mut outbox, now).len(), 8);
    }

    #[test]
    fn the_window_is_bounded_and_what_is_not_wanted_is_passed_over() {
        let mut outbox = Outbox::new(Rules { window: 2, span: 3, ..Rules::default() }, 10, 1);
        outbox.skip(11);
        assert_eq!((outbox.cursor(), outbox.room()), (11, 2));
        outbox.push(at(0), 12, "a");
        outbox.skip(13);
        outbox.push(at(0), 20, "b");
        assert_eq!((outbox.cursor(), outbox.newest(), outbox.room()), (11, 20, 0));
        outbox.push(at(0), 21, "c");
        outbox.push(at(0), 20, "c");
        assert_eq!((outbox.newest(), outbox.waiting()), (20, 2));
        assert_eq!(all_due(&mut outbox, at(0)), [12, 20]);
        outbox.on_result(at(0), 12, Delivered::Yes);
        assert_eq!((outbox.cursor(), outbox.room()), (13, 1));
        assert_eq!(outbox.on_result(at(0), 12, Delivered::Yes), Verdict::Unknown);
    }

    proptest! {
        /// Whatever fails: per subject in order and nothing twice after a success; the cursor never passes an unsettled
        /// event; in the end all is settled.
        #[test]
        fn nothing_is_lost_or_overtaken(
            subjects in prop::collection::vec(0..5_u8, 1..60),
            results in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut outbox = Outbox::new(Rules { parallel: 3, ..Rules::default() }, 0, 9);
            let mut results = results.into_iter();
            let mut now = at(0);
            let mut delivered: BTreeMap<u64, u8> = BTreeMap::new();
            let mut last_of = BTreeMap::new();
            for (&subject, seq) in subjects.iter().zip(1..) {
                outbox.push(now, seq, &subject.to_string());
            }
            while outbox.waiting() > 0 {
                let flying = all_due(&mut outbox, now);
                prop_assert!(flying.len() <= 3);
                for seq in flying {
                    let yes = results.next().unwrap_or(true);
                    outbox.on_result(now, seq, if yes { Delivered::Yes } else { NO });
                    if yes {
                        let subject = subjects[seq as usize - 1];
                        prop_assert!(delivered.insert(seq, subject).is_none());
                        prop_assert!(last_of.insert(subject, seq) < Some(seq));
                    }
                    prop_assert!((1..=outbox.cursor()).all(|seq| delivered.contains_key(&seq)));
                }
                now = outbox.poll_timeout().map_or(now, |(at, _)| at.max(now));
            }
            prop_assert_eq!(outbox.cursor(), subjects.len() as u64);
        }
    }
}
