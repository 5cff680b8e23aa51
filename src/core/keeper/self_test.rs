//! Calls of our own to our own numbers: which is due, and whether it came back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Keeper, letter};
use crate::config::keeper::{Keeping, SelfTest};
use crate::config::{Company, Config, During, Glob, Rule, Then, When};
use crate::core::event::Event;
use crate::core::event::keeper::{KeeperEvent, TestedData};
use crate::ids::E164;
use crate::time::Wall;

/// A number that should be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCall {
    pub number: E164,
    /// `HOST:PORT` of who carries it.
    pub to: String,
    pub from: E164,
    pub timeout: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Tests {
    /// The newest result of each number.
    results: BTreeMap<E164, (Wall, TestedData)>,
    flying: Option<Flying>,
    last: Option<Wall>,
}

#[derive(Debug)]
struct Flying {
    number: E164,
    pool: String,
    company: String,
    since: Wall,
    back: Option<Wall>,
}

/// The rule that refuses test calls; its place is in front of the company's own.
const RULE: &str = "self-test";
const REFUSED: &str = "rule_refused";

impl Tests {
    /// A call began: it may be the test's.
    pub(super) fn came_back(&mut self, number: &E164, caller: Option<&str>, at: Wall, keeping: &Keeping) {
        let from = keeping.self_test.from.as_ref().map(E164::as_str);
        if caller.is_some() && caller == from {
            self.back(number.as_str(), at);
        }
    }

    /// A call was refused by a rule before it was one.
    pub(super) fn was_refused(&mut self, number: &str, reason: &str, at: Wall) {
        if reason == REFUSED {
            self.back(number, at);
        }
    }

    fn back(&mut self, number: &str, at: Wall) {
        let flying = self.flying.as_mut().filter(|flying| number.ends_with(flying.number.digits()));
        if let Some(flying) = flying {
            flying.back.get_or_insert(at);
        }
    }

    pub(super) fn tested(&mut self, at: Wall, data: &TestedData) {
        self.results.insert(data.number.clone(), (at, data.clone()));
        self.last = self.last.max(Some(at));
    }

    pub(super) fn of(&self, number: &E164) -> Option<&(Wall, TestedData)> {
        self.results.get(number)
    }

    pub(super) fn bad(&self) -> usize {
        self.results.values().filter(|(_, data)| !data.good).count()
    }
}

impl Keeper {
    /// The call that is due now. One at a time, until [`Keeper::test_done`].
    pub fn test_due(&mut self, now: Wall) -> Option<TestCall> {
        let rules = &self.keeping.self_test;
        let (to, from) = (rules.to.clone()?, rules.from.clone()?);
        let (night, is_open) = night(rules, now)?;
        let waits = self.tests.last.is_some_and(|last| now < last + rules.spacing && last <= now);
        if !rules.enabled || !is_open || waits || self.tests.flying.is_some() {
            return None;
        }
        let due = |number: &E164| self.tests.results.get(number).is_none_or(|(at, _)| *at < night);
        let (pool, company, number) =
            self.pools.iter().filter(|(_, book)| book.is_there).find_map(|(name, book)| {
                let added = book.added.iter().map(|added| &added.number);
                let number = book.numbers.iter().chain(added).find(|number| due(number))?;
                Some((name.clone(), book.company.clone(), number.clone()))
            })?;
        let timeout = rules.timeout;
        self.tests.last = Some(now);
        self.tests.flying = Some(Flying { number: number.clone(), pool, company, since: now, back: None });
        Some(TestCall { number, to, from, timeout })
    }

    /// Whether the call that is under way has come back: then it need not go on.
    pub fn test_is_back(&self) -> bool {
        self.tests.flying.as_ref().is_some_and(|flying| flying.back.is_some())
    }

    /// The call is over. `status`: the final one that it got; `placed`: it went out at all.
    pub fn test_done(&mut self, now: Wall, placed: bool, status: Option<u16>, out: &mut Vec<Event>) {
        let Some(flying) = self.tests.flying.take() else { return };
        self.tests.last = Some(now);
        let reason = match (flying.back, placed) {
            (Some(_), _) => None,
            (None, true) => Some("not_returned".to_owned()),
            (None, false) => Some("not_placed".to_owned()),
        };
        let data = TestedData {
            number: flying.number,
            pool: flying.pool,
            company: flying.company,
            good: flying.back.is_some(),
            reason,
            sip_status: status,
            after_ms: flying.back.map(|back| back.millis_since(flying.since)),
        };
        self.tell(now, KeeperEvent::NumberTested(data), out);
    }

    /// One letter a night about all numbers that did not come back, when the night is over.
    pub(super) fn tests_are_over(&mut self, now: Wall, _out: &mut Vec<KeeperEvent>) {
        let rules = &self.keeping.self_test;
        let Some((night, false)) = night(rules, now) else { return };
        if !rules.enabled || now > night + Duration::from_secs(86_400) {
            return;
        }
        let bad: Vec<(E164, String)> = self
            .tests
            .results
            .values()
            .filter(|(at, data)| *at >= night && !data.good)
            .map(|(_, data)| (data.number.clone(), data.reason.clone().unwrap_or_default()))
            .collect();
        let pool = self.tests.results.values().find(|(_, data)| !data.good).map(|(_, data)| data.pool.clone());
        if !bad.is_empty() {
            let (year, month, day) = night.date();
            let name = format!("{year:04}-{month:02}-{day:02}");
            self.notices.add(now, letter::untested(&name, &bad, &pool.unwrap_or_default()));
        }
    }
}

/// When the newest window began, and whether it is open.
fn night(rules: &SelfTest, now: Wall) -> Option<(Wall, bool)> {
    let stamp = jiff::Timestamp::from_microsecond(now.0).ok()?;
    let local = stamp.to_zoned(rules.time_zone.clone());
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    let (from, to) = (i64::from(rules.window.from), i64::from(rules.window.to));
    let length = (to - from).rem_euclid(24 * 60);
    let length = if length == 0 { 24 * 60 } else { length };
    let since = (minute - from).rem_euclid(24 * 60);
    let began = now.0 - since * 60_000_000 - now.0.rem_euclid(60_000_000);
    Some((Wall(began), since < length))
}

/// Puts a rule in front of every company's own that refuses test calls before anything rings.
pub(super) fn keep_quiet(config: &mut Config) {
    let Some(from) = config.keeping.self_test.from.clone().filter(|_| config.keeping.self_test.enabled) else { return };
    for company in &mut config.companies {
        let when = When { caller: vec![Glob::new(from.as_str())], hours: During::Any, ..When::default() };
        let rule = Rule {
            name: RULE.into(),
            when,
            then: Then::Refuse(480),
            recording: Some(false),
            announcement: None,
            whisper: None,
        };
        let mut quiet = Company::clone(company);
        quiet.rules.insert(0, Arc::new(rule));
        *company = Arc::new(quiet);
    }
}
