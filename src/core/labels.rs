//! Labels that rules set: which one fits a call that has ended.

use std::collections::{HashMap, VecDeque};

use crate::config::{LabelRule, Work};
use crate::core::event::CallData;
use crate::limits;
use crate::time::Wall;

/// Calls of callers, for rules that count them.
#[derive(Debug, Default)]
pub struct Labeller {
    recent: HashMap<(String, String), VecDeque<Wall>>,
}

impl Labeller {
    /// Takes in a call that has ended, and gives the first rule that fits it. Calls are to be told in their order, also
    /// those whose label does not matter any more.
    pub fn label<'w>(&mut self, call: &CallData, work: Option<&'w Work>) -> Option<&'w LabelRule> {
        let times = self.remember(call);
        let rules = &work?.rules;
        rules.iter().map(|rule| &**rule).find(|rule| fits(rule, call, times))
    }

    /// When this caller called this company lately, this time last.
    fn remember(&mut self, call: &CallData) -> Option<&VecDeque<Wall>> {
        let caller = call.caller.as_deref().filter(|_| !is_hidden(call))?;
        let key = (call.company.clone(), caller.to_owned());
        if self.recent.len() >= limits::LABEL_CALLERS && !self.recent.contains_key(&key) {
            // Half of them, those that were silent for longest.
            let mut newest: Vec<Wall> = self.recent.values().filter_map(|times| times.back().copied()).collect();
            newest.sort_unstable();
            let middle = newest.get(newest.len() / 2).copied().unwrap_or_default();
            self.recent.retain(|_, times| times.back().is_some_and(|at| *at > middle));
        }
        let times = self.recent.entry(key).or_default();
        if times.len() >= limits::LABEL_CALLS {
            times.pop_front();
        }
        times.push_back(call.started_at);
        Some(times)
    }
}

fn is_hidden(call: &CallData) -> bool {
    call.caller.as_deref().is_none_or(|caller| !caller.bytes().any(|b| b.is_ascii_digit()))
}

fn fits(rule: &LabelRule, call: &CallData, times: Option<&VecDeque<Wall>>) -> bool {
    let talk = u128::from(call.talk_ms);
    rule.talk_min.is_none_or(|least| talk >= least.as_millis())
        && rule.talk_max.is_none_or(|most| talk < most.as_millis())
        && (rule.outcome.is_empty() || call.outcome.is_some_and(|outcome| rule.outcome.contains(&outcome)))
        && rule.hidden_caller.is_none_or(|hidden| hidden == is_hidden(call))
        && rule.calls_min.is_none_or(|least| {
            let since = call.started_at - rule.within;
            let lately = times.map_or(0, |times| times.iter().filter(|at| **at > since).count());
            lately as u64 >= least
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::core::event::Outcome;
    use crate::core::event::cloud::tests::call;

    fn rule(name: &str) -> LabelRule {
        LabelRule {
            name: name.into(),
            label: name.into(),
            talk_min: None,
            talk_max: None,
            outcome: Vec::new(),
            hidden_caller: None,
            calls_min: None,
            within: Duration::from_secs(3_600),
        }
    }

    fn work(rules: Vec<LabelRule>) -> Work {
        Work { rules: rules.into_iter().map(Arc::new).collect(), ..Work::default() }
    }

    fn ended(minute: u64, talk_s: u64) -> CallData {
        CallData {
            talk_ms: talk_s * 1_000,
            outcome: Some(if talk_s > 0 { Outcome::Answered } else { Outcome::NoAnswer }),
            started_at: Wall(1_790_000_000_000_000) + Duration::from_secs(60 * minute),
            ..call(u128::from(minute))
        }
    }

    #[test]
    fn the_first_rule_that_fits_sets_the_label() {
        let work = work(vec![
            LabelRule { hidden_caller: Some(true), ..rule("hidden") },
            LabelRule { talk_min: Some(Duration::from_secs(60)), ..rule("good") },
            LabelRule {
                talk_max: Some(Duration::from_secs(10)),
                outcome: vec![Outcome::Answered],
                ..rule("wrong-number")
            },
        ]);
        let mut labeller = Labeller::default();
        let hidden = CallData { caller: Some("anonymous".into()), ..ended(1, 90) };
        for (call, expected) in [
            (hidden, Some("hidden")),
            (ended(2, 60), Some("good")),
            (ended(3, 30), None),
            (ended(4, 9), Some("wrong-number")),
            (ended(5, 0), None),
        ] {
            assert_eq!(labeller.label(&call, Some(&work)).map(|rule| &*rule.label), expected);
        }
        assert!(labeller.label(&ended(6, 90), None).is_none());
    }

    #[test]
    fn who_calls_again_and_again_is_counted_within_the_time() {
        let work = work(vec![LabelRule { calls_min: Some(3), ..rule("spam") }]);
        let mut labeller = Labeller::default();
        let labels: Vec<bool> =
            [0, 10, 20, 75, 200].into_iter().map(|m| labeller.label(&ended(m, 5), Some(&work)).is_some()).collect();
        assert_eq!(labels, [false, false, true, false, false]);
    }

    #[test]
    fn callers_are_forgotten_before_they_are_too_many() {
        let mut labeller = Labeller::default();
        for n in 0..limits::LABEL_CALLERS as u64 + 10 {
            let call = CallData { caller: Some(format!("+4420{n:08}")), ..ended(n, 5) };
            labeller.label(&call, None);
        }
        assert!(labeller.recent.len() <= limits::LABEL_CALLERS);
    }
}
