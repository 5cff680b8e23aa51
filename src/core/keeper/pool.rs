//! One pool: visits counted in windows, the trend over them, and the size that they ask for.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::money::Money;
use crate::config::keeper::Grow;
use crate::core::event::keeper::{CountedData, OrderedData};
use crate::core::lease::Class;
use crate::core::sizing::{numbers_for, offered};
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// What a visit takes when no visit of the pool has ended yet.
const PAGE: Duration = Duration::from_secs(180);

/// What is known of one dynamic pool.
#[derive(Debug, Default)]
pub(super) struct PoolBook {
    pub(super) company: String,
    /// Of the configuration.
    pub(super) numbers: Vec<E164>,
    /// The same, for questions.
    known: HashSet<E164>,
    pub(super) hold: Duration,
    /// It stands in the configuration.
    pub(super) is_there: bool,
    pub(super) rules: Option<Arc<Grow>>,
    /// What the journal says of the switch.
    pub(super) enabled: bool,
    live: Live,
    /// Closed, and not yet in the journal.
    unclosed: VecDeque<Live>,
    /// The last windows, oldest first, each once.
    ring: VecDeque<CountedData>,
    /// Load on pages, in Erlang, of the busiest window of each day.
    days: BTreeMap<i64, f64>,
    pub(super) is_short: bool,
    /// The last growth: windows that began before it say nothing of the pool as it is.
    pub(super) since: Wall,
    pub(super) added: Vec<Added>,
    pub(super) order: Option<OpenOrder>,
    /// Nothing is tried before this.
    pub(super) again_at: Option<(Wall, String)>,
    /// Numbers added, lately.
    pub(super) grown: VecDeque<(Wall, usize)>,
    /// Prices added, by calendar month.
    pub(super) spent: BTreeMap<(i16, i8), Money>,
    /// Minutes in which somebody got no number of their own, since the start.
    pub(super) minutes_short: u64,
    /// Visits without a number of their own, since the start.
    pub(super) not_own: u64,
}

/// A number that the configuration does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) number: E164,
    pub(super) at: Wall,
    /// `stock` or a provider's name.
    pub(super) source: String,
}

/// Numbers that were ordered and have not come.
#[derive(Debug)]
pub(super) struct OpenOrder {
    pub(super) data: OrderedData,
    pub(super) since: Wall,
    pub(super) attempts: u32,
    /// Not before this is it sent (again).
    pub(super) due: Wall,
    /// Under way.
    pub(super) flying: bool,
}

/// A window that is open.
#[derive(Clone, Debug, Default)]
struct Live {
    from: Wall,
    length: Duration,
    counts: CountedData,
    pages: u64,
    page_ms: u64,
    minute: Option<i64>,
}

/// How short a pool has been.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Trend {
    pub(super) short: usize,
    pub(super) of: usize,
    pub(super) worst: f64,
}

impl PoolBook {
    pub(super) fn window(&self) -> Duration {
        self.rules.as_ref().map_or(HOUR, |rules| rules.window)
    }

    /// A visitor got a number who had none.
    pub(super) fn granted(&mut self, at: Wall, class: Class) {
        self.turn(at);
        let counts = &mut self.live.counts;
        counts.visits += 1;
        let (count, own) = match class {
            Class::Free => (&mut counts.free, true),
            Class::SoftHeld => (&mut counts.soft_held, !self.rules.as_ref().is_some_and(|rules| rules.respect_hold)),
            Class::Shared => (&mut counts.shared, false),
            Class::SourceStatic => (&mut counts.source_static, false),
            Class::Overflow => (&mut counts.overflow, false),
        };
        *count += 1;
        if !own {
            self.short(at, 1);
        }
    }

    /// Visitors got none.
    pub(super) fn turned_away(&mut self, at: Wall, visits: u64) {
        if visits > 0 {
            self.turn(at);
            self.live.counts.visits += visits;
            self.live.counts.without += visits;
            self.short(at, visits);
        }
    }

    /// So many numbers are on pages.
    pub(super) fn busy(&mut self, at: Wall, numbers: u64) {
        self.turn(at);
        self.live.counts.busy_max = self.live.counts.busy_max.max(numbers);
    }

    /// A visit ended.
    pub(super) fn left(&mut self, at: Wall, page_ms: u64) {
        self.turn(at);
        self.live.pages += 1;
        self.live.page_ms += page_ms;
    }

    /// A call ended; `contended`: several visitors saw its number when it came.
    pub(super) fn called(&mut self, at: Wall, contended: bool) {
        self.turn(at);
        self.live.counts.calls += 1;
        self.live.counts.calls_contended += u64::from(contended);
    }

    fn short(&mut self, at: Wall, visits: u64) {
        self.not_own += visits;
        let minute = at.0.div_euclid(60_000_000);
        if self.live.minute != Some(minute) {
            self.live.minute = Some(minute);
            self.live.counts.minutes_short += 1;
            self.minutes_short += 1;
        }
    }

    /// Closes the window when `at` is in another one.
    fn turn(&mut self, at: Wall) {
        let length = self.window();
        let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
        let from = Wall(at.0.div_euclid(micros) * micros);
        if self.live.length == length && self.live.from == from {
            return;
        }
        let fresh = Live { from, length, ..Live::default() };
        let last = std::mem::replace(&mut self.live, fresh);
        let told = self.ring.iter().any(|window| window.from == last.from);
        if last.counts.visits + last.counts.calls > 0 && !told {
            if self.unclosed.len() >= limits::GROW_WINDOWS {
                self.unclosed.pop_front();
            }
            self.unclosed.push_back(last);
        }
    }

    /// Windows that are over and not in the journal.
    pub(super) fn closed(&mut self, name: &str, now: Wall) -> Vec<CountedData> {
        self.turn(now);
        let data = |live: &Live| CountedData {
            pool: name.to_owned(),
            company: self.company.clone(),
            from: live.from,
            for_ms: u64::try_from(live.length.as_millis()).unwrap_or(u64::MAX),
            page_ms: live.page_ms.checked_div(live.pages).unwrap_or(0),
            ..live.counts.clone()
        };
        self.unclosed.iter().map(data).collect()
    }

    /// The journal has this window.
    pub(super) fn counted(&mut self, window: &CountedData) {
        self.unclosed.retain(|live| live.from != window.from);
        if self.ring.iter().any(|known| known.from == window.from) {
            return;
        }
        if self.ring.len() >= limits::GROW_WINDOWS {
            self.ring.pop_front();
        }
        self.ring.push_back(window.clone());
        let load = load(window, None);
        let most = self.days.entry(window.from.0.div_euclid(86_400_000_000)).or_default();
        *most = most.max(load);
        while self.days.len() > limits::GROW_DAYS {
            self.days.pop_first();
        }
    }

    /// The windows that count now.
    fn recent<'a>(&'a self, rules: &'a Grow, now: Wall) -> impl Iterator<Item = &'a CountedData> {
        let windows = u32::try_from(rules.windows).unwrap_or(u32::MAX);
        let oldest = now - rules.window.saturating_mul(windows.saturating_add(1));
        let length = u64::try_from(rules.window.as_millis()).unwrap_or(u64::MAX);
        self.ring.iter().filter(move |window| window.from >= oldest && window.for_ms == length)
    }

    /// How short the pool has been since it grew the last time.
    pub(super) fn trend(&self, rules: &Grow, now: Wall) -> Trend {
        let mut trend = Trend::default();
        for window in self.recent(rules, now).filter(|window| window.from >= self.since) {
            trend.of += 1;
            let share = not_own(window, rules) as f64 / window.visits.max(1) as f64;
            if window.visits >= rules.visits_min && share >= rules.threshold {
                trend.short += 1;
                trend.worst = trend.worst.max(share);
            }
        }
        trend
    }

    /// The size that the visits of the last windows ask for, with so many times the visits: of as many busy windows as
    /// make a shortage, the least busy one counts, so that one spike does not size the pool.
    pub(super) fn planned(&self, rules: &Grow, now: Wall, factor: f64) -> usize {
        let hold = rules.respect_hold.then_some(self.hold);
        let mut loads: Vec<f64> = self.recent(rules, now).map(|window| load(window, hold)).collect();
        loads.sort_unstable_by(|a, b| b.total_cmp(a));
        let load = loads.get(rules.short_windows.saturating_sub(1)).copied().unwrap_or(0.0);
        numbers_for(load * factor, 1.0, rules.blocking)
    }

    /// The size that the busiest window of the last `over` asks for; none while less than that is known.
    pub(super) fn needed_lately(&self, rules: &Grow, now: Wall, over: Duration) -> Option<usize> {
        let today = now.0.div_euclid(86_400_000_000);
        let days = i64::try_from(over.as_secs().div_ceil(86_400)).unwrap_or(i64::MAX);
        let first = self.days.first_key_value()?.0;
        if today - first < days {
            return None;
        }
        let most = self.days.range(today - days..).map(|(_, load)| *load).fold(0.0, f64::max);
        Some(numbers_for(most, 1.0, rules.blocking))
    }

    /// Of the last 24 hours: minutes in which somebody got no number of their own, and calls that several visitors may
    /// have made.
    pub(super) fn short_lately(&self, now: Wall) -> (u64, u64) {
        let closed = self.ring.iter().filter(|window| window.from + DAY >= now).chain([&self.live.counts]);
        closed.fold((0, 0), |(minutes, calls), of| (minutes + of.minutes_short, calls + of.calls_contended))
    }

    /// Numbers of configuration and growth together.
    pub(super) fn size(&self) -> usize {
        self.numbers.len() + self.added.len()
    }

    /// Takes over the numbers of the configuration.
    pub(super) fn set_numbers(&mut self, numbers: &[E164]) {
        if self.numbers != numbers {
            self.numbers = numbers.to_vec();
            self.known = numbers.iter().cloned().collect();
        }
    }

    pub(super) fn has(&self, number: &E164) -> bool {
        self.known.contains(number) || self.added.iter().any(|added| added.number == *number)
    }
}

/// Visits without a number of their own.
fn not_own(window: &CountedData, rules: &Grow) -> u64 {
    let held = if rules.respect_hold { window.soft_held } else { 0 };
    window.shared + window.source_static + window.overflow + window.without + held
}

/// Erlang that a window's visits offer.
fn load(window: &CountedData, hold: Option<Duration>) -> f64 {
    let page = if window.page_ms > 0 { Duration::from_millis(window.page_ms) } else { PAGE };
    let hours = window.for_ms.max(1) as f64 / 3_600_000.0;
    offered(window.visits as f64 / hours, page, hold.unwrap_or_default())
}
