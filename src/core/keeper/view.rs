//! What the API shows of pools and numbers.

use serde::Serialize;

use super::Keeper;
use crate::ids::E164;
use crate::time::Wall;

/// How a pool keeps itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolView {
    /// It grows by itself.
    pub grows: bool,
    /// A shortage that is no spike.
    pub short: bool,
    pub short_windows: usize,
    /// Minutes of the last 24 hours in which somebody got no number of their own.
    pub minutes_short: u64,
    /// Calls of the last 24 hours whose number was on the pages of several visitors.
    pub calls_contended: u64,
    /// Size that the visits of the last windows ask for; absent without `[pool.grow]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<usize>,
    /// Numbers that the pool has beyond the configuration.
    pub added: usize,
    pub resting: usize,
    pub leaving: usize,
    /// Numbers that are ordered and have not come.
    pub ordered: u64,
    /// Why it does not grow, and until when nothing is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Wall>,
}

/// How a number is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberView {
    /// Visitors do not get it: `resting`, `leaving` or `listening`; else `in_use`.
    pub keeping: &'static str,
    /// Calls since the journal begins, and those of the last 24 hours that nobody known was likely to make.
    pub calls: u64,
    pub background: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_call: Option<Wall>,
    /// Why it counts as leaked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested_at: Option<Wall>,
    /// The last test call came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested: Option<bool>,
}

/// Figures of one pool for metrics, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolFigures {
    pub minutes_short: u64,
    pub not_own: u64,
    pub is_short: bool,
    pub added: usize,
    pub resting: usize,
}

impl Keeper {
    /// `None`: no dynamic pool of this name.
    pub fn pool(&self, now: Wall, name: &str) -> Option<PoolView> {
        let book = self.pools.get(name).filter(|book| book.is_there)?;
        let rules = book.rules.as_deref();
        let resting = |number: &&E164| self.numbers.is_resting(number);
        let (minutes_short, calls_contended) = book.short_lately(now);
        let held = book.again_at.as_ref().filter(|(at, _)| now < *at);
        Some(PoolView {
            grows: rules.is_some_and(|rules| rules.enabled),
            short: book.is_short,
            short_windows: rules.map_or(0, |rules| book.trend(rules, now).short),
            minutes_short,
            calls_contended,
            planned: rules.map(|rules| book.planned(rules, now, 1.0)),
            added: book.added.len(),
            resting: book.numbers.iter().chain(book.added.iter().map(|added| &added.number)).filter(resting).count(),
            leaving: book.added.iter().filter(|added| self.numbers.is_leaving(&added.number)).count(),
            ordered: book.order.as_ref().map_or(0, |order| order.data.count),
            refused: held.map(|(_, reason)| reason.clone()),
            again_at: held.map(|(at, _)| *at),
        })
    }

    /// Of a number of a dynamic pool.
    pub fn number(&self, now: Wall, number: &E164) -> NumberView {
        let book = self.numbers.book(number);
        let tested = self.tests.of(number);
        let keeping = match () {
            () if self.numbers.is_leaving(number) => "leaving",
            () if self.numbers.is_resting(number) => "resting",
            () if self.listens(now, number) => "listening",
            () => "in_use",
        };
        NumberView {
            keeping,
            calls: book.map_or(0, |book| book.calls),
            background: book.map_or(0, |book| book.background(now)),
            last_call: book.and_then(|book| book.last_call),
            leaked: book.and_then(|book| book.leaked.as_ref()).map(|(_, reason)| reason.clone()),
            tested_at: tested.map(|(at, _)| *at),
            tested: tested.map(|(_, data)| data.good),
        }
    }

    /// Figures of every pool.
    pub fn figures(&self) -> impl Iterator<Item = (&str, PoolFigures)> + '_ {
        self.pools.iter().filter(|(_, book)| book.is_there).map(|(name, book)| {
            let of_pool = |number: &&E164| self.numbers.rests_now(number);
            let numbers = book.numbers.iter().chain(book.added.iter().map(|added| &added.number));
            let figures = PoolFigures {
                minutes_short: book.minutes_short,
                not_own: book.not_own,
                is_short: book.is_short,
                added: book.added.len(),
                resting: numbers.filter(of_pool).count(),
            };
            (name.as_str(), figures)
        })
    }

    /// Numbers from which the last test call did not come back.
    pub fn tests_failed(&self) -> usize {
        self.tests.bad()
    }

    fn listens(&self, now: Wall, number: &E164) -> bool {
        self.pools.values().any(|book| {
            let listen = book.rules.as_ref().map(|rules| rules.listen).unwrap_or_default();
            book.added.iter().any(|added| added.number == *number && now < added.at + listen)
        })
    }
}
