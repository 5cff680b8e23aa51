//! What may be erased when: rules by class of call, a bound on how much goes in one run, and a clock that is not believed
//! when it jumps.

use std::time::Duration;

use crate::ids::CallId;
use crate::time::{Now, Wall};

/// Recordings of a class of calls are kept so long. What a rule does not name fits every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Named in tombstones.
    pub name: String,
    pub company: Option<String>,
    pub pool: Option<String>,
    /// Days after the end of the call; 0: for ever.
    pub days: u32,
    /// These go first, whatever their age, when the disk runs full.
    pub low_priority: bool,
}

/// A recording, as far as retention cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub call: CallId,
    pub company: String,
    pub pool: String,
    pub ended_at: Wall,
    /// A legal hold is on it.
    pub held: bool,
}

/// What a run is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Calls, oldest first, and the rule that has them erased.
    pub erase: Vec<(CallId, String)>,
    /// Due too, but one run does not erase more.
    pub left: usize,
    /// Due, but held.
    pub held: usize,
}

impl Rule {
    fn fits(&self, item: &Item) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        is(&self.company, &item.company) && is(&self.pool, &item.pool)
    }
}

/// Decides what is erased now: the first rule that fits a recording says how long it is kept. At most `most` are erased.
pub fn plan(rules: &[Rule], now: Wall, items: impl IntoIterator<Item = Item>, most: usize) -> Plan {
    let mut plan = Plan::default();
    let mut due: Vec<(Wall, CallId, String)> = Vec::new();
    for item in items {
        let Some(rule) = rules.iter().find(|rule| rule.fits(&item)) else { continue };
        let age = Duration::from_secs(86_400 * u64::from(rule.days));
        if rule.days == 0 || now < item.ended_at + age {
            continue;
        }
        if item.held {
            plan.held += 1;
        } else {
            due.push((item.ended_at, item.call, rule.name.clone()));
        }
    }
    due.sort();
    plan.left = due.len().saturating_sub(most);
    plan.erase = due.into_iter().take(most).map(|(_, call, rule)| (call, rule)).collect();
    plan
}

/// What may be erased of these when the disk runs full: what is not held, and whose rule says that it has low priority;
/// oldest first.
pub fn early(rules: &[Rule], items: impl IntoIterator<Item = Item>) -> Vec<(CallId, String)> {
    let mut may_go: Vec<(Wall, CallId, String)> = Vec::new();
    for item in items.into_iter().filter(|item| !item.held) {
        if let Some(rule) = rules.iter().find(|rule| rule.fits(&item)).filter(|rule| rule.low_priority) {
            may_go.push((item.ended_at, item.call, rule.name.clone()));
        }
    }
    may_go.sort();
    may_go.into_iter().map(|(_, call, rule)| (call, rule)).collect()
}

/// How long a clock that has jumped must run on before anything is erased by it: an operator sees the alarm first.
pub const PROBATION: Duration = Duration::from_secs(86_400);
/// The wall clock may differ so much from the one that never jumps.
const SLACK: Duration = Duration::from_secs(3_600);
/// A node that was off for longer than this is not believed at once either: it may have come up with a wrong date.
const ABSENCE: Duration = Duration::from_secs(7 * 86_400);

/// Watches the wall clock for retention.
#[derive(Clone, Debug, Default)]
pub struct ClockWatch {
    last: Option<Now>,
    /// Not believed since.
    doubted: Option<Now>,
}

/// What the clock is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Good,
    /// It has jumped just now, by so many seconds: tell somebody.
    Jumped(i64),
    /// It has jumped lately. Nothing is erased.
    Doubted,
}

impl ClockWatch {
    /// Looks at both clocks. `known`: the latest time of day that was written down before this start.
    pub fn look(&mut self, now: Now, known: Option<Wall>) -> Clock {
        let jump = match (self.last.replace(now), known) {
            (Some(last), _) => {
                let ran = i128::try_from(now.mono.since(last.mono).as_micros()).unwrap_or(i128::MAX);
                let moved = i128::from(now.wall.0) - i128::from(last.wall.0);
                far(moved - ran, SLACK, SLACK)
            }
            (None, Some(known)) => far(i128::from(now.wall.0) - i128::from(known.0), SLACK, ABSENCE),
            (None, None) => None,
        };
        if let Some(seconds) = jump {
            self.doubted = Some(now);
            return Clock::Jumped(seconds);
        }
        match self.doubted {
            Some(since) if now.mono.since(since.mono) < PROBATION => Clock::Doubted,
            _ => {
                self.doubted = None;
                Clock::Good
            }
        }
    }
}

/// A difference in microseconds that is more than `back` to the past or `ahead` to the future, in seconds.
fn far(difference: i128, back: Duration, ahead: Duration) -> Option<i64> {
    let micros = |duration: Duration| i128::try_from(duration.as_micros()).unwrap_or(i128::MAX);
    let is_far = difference < -micros(back) || difference > micros(ahead);
    is_far.then(|| i64::try_from(difference / 1_000_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Mono;

    const DAY: Duration = Duration::from_secs(86_400);
    const START: Wall = Wall(1_795_255_200_000_000);

    fn rule(name: &str, company: Option<&str>, days: u32) -> Rule {
        Rule { name: name.into(), company: company.map(Into::into), pool: None, days, low_priority: false }
    }

    fn item(n: u128, company: &str, age_days: u32) -> Item {
        let ended_at = START - DAY * age_days;
        Item { call: CallId(n), company: company.into(), pool: "web".into(), ended_at, held: false }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = [rule("bank", Some("bank"), 1_825), rule("keep", Some("museum"), 0), rule("default", None, 90)];
        let items = [
            item(1, "shop", 91),
            item(2, "shop", 89),
            item(3, "bank", 91),
            item(4, "bank", 1_826),
            item(5, "museum", 10_000),
            Item { held: true, ..item(6, "shop", 400) },
        ];
        let found = plan(&rules, START, items.clone(), 10);
        let wanted = vec![(CallId(4), "bank".to_owned()), (CallId(1), "default".to_owned())];
        assert_eq!(found, Plan { erase: wanted, left: 0, held: 1 });
        assert_eq!(plan(&[], START, items, 10), Plan::default(), "without a rule everything is kept");
    }

    #[test]
    fn what_goes_early_has_low_priority_and_is_not_held() {
        let low = |name, company| Rule { low_priority: true, ..rule(name, company, 0) };
        let rules = [rule("bank", Some("bank"), 0), low("rest", None)];
        let items =
            [item(1, "shop", 1), item(2, "bank", 9), Item { held: true, ..item(3, "shop", 8) }, item(4, "x", 7)];
        assert_eq!(early(&rules, items.clone()), [(CallId(4), "rest".to_owned()), (CallId(1), "rest".to_owned())]);
        assert_eq!(early(&rules[..1], items), [], "without such a rule nothing goes");
    }

    proptest! {
        /// Row G11: never more than the bound in one run, never what is young or held, oldest first.
        #[test]
        fn g11_a_run_erases_no_more_than_it_may(
            ages in prop::collection::vec((0u32..400, any::<bool>()), 0..60),
            days in 0u32..300,
            most in 0usize..20,
        ) {
            let items: Vec<Item> = ages.iter().enumerate()
                .map(|(n, (age, held))| Item { held: *held, ..item(n as u128, "shop", *age) }).collect();
            let plan = plan(&[rule("all", None, days)], START, items.clone(), most);
            prop_assert!(plan.erase.len() <= most);
            let due = ages.iter().filter(|(age, held)| days > 0 && *age >= days && !held).count();
            prop_assert_eq!(plan.erase.len() + plan.left, due);
            let erased: Vec<&Item> = plan.erase.iter().map(|(call, _)| &items[call.0 as usize]).collect();
            prop_assert!(erased.iter().all(|item| !item.held));
            prop_assert!(erased.is_sorted_by_key(|item| item.ended_at));
        }
    }

    /// Row G11: a clock that is a year ahead erases nothing, and says so.
    #[test]
    fn g11_a_clock_that_jumps_is_not_believed_for_a_day() {
        let now = Now { mono: Mono(1_000_000_000), wall: START };
        let mut watch = ClockWatch::default();
        assert_eq!(watch.look(now, Some(START - DAY)), Clock::Good, "a node that was off for a night");
        let later = now.after(DAY);
        assert_eq!(watch.look(later, None), Clock::Good);
        let ahead = Now { wall: later.wall + DAY * 365, ..later.after(Duration::from_secs(60)) };
        assert_eq!(watch.look(ahead, None), Clock::Jumped(365 * 86_400 - 60));
        assert_eq!(watch.look(ahead.after(DAY / 2), None), Clock::Doubted);
        let back = Now { wall: later.wall + DAY, mono: ahead.after(DAY / 2 + DAY / 4).mono };
        assert!(matches!(watch.look(back, None), Clock::Jumped(seconds) if seconds < 0), "put right: a jump again");
        assert_eq!(watch.look(back.after(DAY / 2), None), Clock::Doubted);
        assert_eq!(watch.look(back.after(DAY), None), Clock::Good);
    }

    #[test]
    fn g11_a_start_with_a_date_far_from_the_last_one_known_erases_nothing() {
        for (known, wanted) in [
            (None, true),
            (Some(START), true),
            (Some(START - DAY * 6), true),
            (Some(START - DAY * 8), false),
            (Some(START - DAY * 365), false),
            (Some(START + DAY), false),
        ] {
            let mut watch = ClockWatch::default();
            let now = Now { mono: Mono(5), wall: START };
            assert_eq!(watch.look(now, known) == Clock::Good, wanted, "{known:?}");
            assert_eq!(watch.look(now.after(Duration::from_secs(60)), known) == Clock::Good, wanted, "{known:?}");
            assert_eq!(watch.look(now.after(DAY + Duration::from_secs(60)), known), Clock::Good);
        }
    }
}
