//! The numbers themselves: calls that belong to nobody, rest, leaks, and the way out.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use super::Keeper;
use super::order::{self, Answer, Order};
use super::pool::DAY;
use crate::config::keeper::Keeping;
use crate::core::event::keeper::{KeeperEvent, NumberData};
use crate::core::event::{AttributionKind, CallData};
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

/// A number that leaked is told of again after so long, at the earliest.
const LEAK_AGAIN: Duration = Duration::from_secs(7 * 86_400);
/// Calls in a row within this time are a burst.
const BURST: Duration = Duration::from_secs(3_600);
/// A provider that does not take a number back is asked again after so long.
const RELEASE_AGAIN: Duration = Duration::from_secs(3_600);

/// What is remembered of numbers that somebody called, that rest or that leave.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    books: HashMap<E164, NumberBook>,
    /// Called since the last look.
    touched: BTreeSet<E164>,
    resting: BTreeMap<E164, (Wall, NumberData)>,
    leaving: BTreeMap<E164, Leaving>,
}

#[derive(Debug, Default)]
pub(super) struct NumberBook {
    pub(super) pool: String,
    company: String,
    /// When it was called and nobody known was likely to be calling; the last ones.
    background: VecDeque<Wall>,
    /// Calls in a row without any candidate: when, and by whom (hashed: a caller's number is not kept for this).
    run: VecDeque<(Wall, u64)>,
    pub(super) last_call: Option<Wall>,
    pub(super) calls: u64,
    pub(super) leaked: Option<(Wall, String)>,
}

#[derive(Debug)]
struct Leaving {
    since: Wall,
    data: NumberData,
    /// The request that gives it back: its key, and when it is due; `None`: under way.
    release: Option<(String, Option<Wall>)>,
}

impl NumberBook {
    /// Background calls of the last 24 hours.
    pub(super) fn background(&self, now: Wall) -> u64 {
        self.background.iter().filter(|at| **at + DAY > now).count() as u64
    }
}

impl Numbers {
    /// A call ended.
    pub(super) fn called(&mut self, at: Wall, call: &CallData, keeping: &Keeping) {
        let from = keeping.self_test.from.as_ref().map(E164::as_str);
        if call.attribution.kind == AttributionKind::Static || call.caller.is_some() && call.caller.as_deref() == from {
            return;
        }
        if self.books.len() >= limits::KEPT_NUMBERS && !self.books.contains_key(&call.number) {
            return;
        }
        let book = self.books.entry(call.number.clone()).or_default();
        book.pool.clone_from(&call.pool);
        book.company.clone_from(&call.company);
        book.last_call = Some(at);
        book.calls += 1;
        let attribution = &call.attribution;
        if attribution.kind == AttributionKind::None || attribution.confidence < keeping.hygiene.confidence {
            push(&mut book.background, at);
        }
        if attribution.candidates.is_empty() {
            push(&mut book.run, (at, hashed(call.caller.as_deref().unwrap_or_default())));
        } else {
            book.run.clear();
        }
        self.touched.insert(call.number.clone());
    }

    pub(super) fn book(&self, number: &E164) -> Option<&NumberBook> {
        self.books.get(number)
    }

    /// A page shows the number as its own. `None`: that was told lately.
    pub(super) fn seen(
        &mut self,
        now: Wall,
        number: &E164,
        page: Option<String>,
        (pool, company): (String, String),
    ) -> Option<NumberData> {
        let known = self.books.get(number).and_then(|book| book.leaked.as_ref());
        if known.is_some_and(|(at, _)| now < *at + LEAK_AGAIN) {
            return None;
        }
        let data =
            NumberData { number: number.clone(), pool, company, reason: "seen_on_page".to_owned(), calls: 0, page };
        Some(data)
    }

    /// All that rest or leave.
    pub(super) fn resting(&self) -> BTreeSet<E164> {
        self.resting.keys().chain(self.leaving.keys()).cloned().collect()
    }

    pub(super) fn rests_now(&self, number: &E164) -> bool {
        self.resting.contains_key(number) || self.leaving.contains_key(number)
    }

    /// How many of a pool rest or leave.
    pub(super) fn out_of(&self, pool: &str) -> usize {
        let resting = self.resting.values().filter(|(_, data)| data.pool == pool).count();
        let leaving = self
            .leaving
            .values()
            .filter(|leaving| leaving.data.pool == pool && !self.resting.contains_key(&leaving.data.number));
        resting + leaving.count()
    }

    pub(super) fn is_leaving(&self, number: &E164) -> bool {
        self.leaving.contains_key(number)
    }

    pub(super) fn is_resting(&self, number: &E164) -> bool {
        self.resting.contains_key(number)
    }

    /// Numbers of the pool that are on their way out and may still come back.
    pub(super) fn leaving<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = NumberData> + 'a {
        let free = self.leaving.values().filter(move |leaving| leaving.data.pool == pool && leaving.release.is_none());
        free.map(|leaving| leaving.data.clone())
    }

    pub(super) fn rests(&mut self, at: Wall, data: &NumberData) {
        if self.resting.len() < limits::KEPT_NUMBERS {
            self.resting.insert(data.number.clone(), (at, data.clone()));
        }
    }

    pub(super) fn returns(&mut self, data: &NumberData) {
        self.resting.remove(&data.number);
        self.leaving.remove(&data.number);
    }

    pub(super) fn leaves(&mut self, at: Wall, data: &NumberData) {
        if self.leaving.len() < limits::KEPT_NUMBERS {
            self.leaving.insert(data.number.clone(), Leaving { since: at, data: data.clone(), release: None });
        }
    }

    pub(super) fn gone(&mut self, number: &E164) {
        self.resting.remove(number);
        self.leaving.remove(number);
        self.books.remove(number);
    }

    pub(super) fn leaked(&mut self, at: Wall, data: &NumberData) {
        if self.books.len() < limits::KEPT_NUMBERS || self.books.contains_key(&data.number) {
            let book = self.books.entry(data.number.clone()).or_default();
            book.leaked = Some((at, data.reason.clone()));
            book.run.clear();
        }
    }

    /// Requests that give numbers back.
    pub(super) fn releases(&mut self, now: Wall) -> Vec<Order> {
        let mut orders = Vec::new();
        for (number, leaving) in &mut self.leaving {
            let data = &leaving.data;
            let Some((provider, due)) = &mut leaving.release else { continue };
            if due.take_if(|due| *due <= now).is_some() {
                let order_id = release_id(number, leaving.since);
                let body = order::release(&order_id, &data.company, &data.pool, number).to_string();
                orders.push(Order { order_id, provider: provider.clone(), body });
            }
        }
        orders
    }

    /// The number is gone when its provider has taken it back, or does not know it.
    pub(super) fn release_answered(&mut self, now: Wall, order_id: &str, answer: &Answer) -> Option<KeeperEvent> {
        let (_, leaving) =
            self.leaving.iter_mut().find(|(number, leaving)| release_id(number, leaving.since) == order_id)?;
        match answer {
            Answer::Numbers { .. } | Answer::Empty => Some(KeeperEvent::NumberLeft(leaving.data.clone())),
            Answer::Later(_) | Answer::Failed(_) | Answer::Refused { .. } => {
                if let Some((_, due)) = &mut leaving.release {
                    *due = Some(now + RELEASE_AGAIN);
                }
                None
            }
        }
    }
}

impl Keeper {
    /// Numbers that rest, come back, leaked or have left.
    pub(super) fn hygiene(&mut self, now: Wall, out: &mut Vec<KeeperEvent>) {
        let rules = self.keeping.hygiene.clone();
        for number in std::mem::take(&mut self.numbers.touched) {
            let Some(book) = self.numbers.books.get(&number) else { continue };
            let Some(pool) = self.pools.get(&book.pool).filter(|pool| pool.has(&number)) else { continue };
            let data = |reason: &str, calls: u64| NumberData {
                number: number.clone(),
                pool: book.pool.clone(),
                company: book.company.clone(),
                reason: reason.to_owned(),
                calls,
                page: None,
            };
            let background = book.background(now);
            let is_dirty = rules.background_max > 0 && background >= rules.background_max;
            if is_dirty && !self.numbers.rests_now(&number) {
                // A pool that everybody calls is not mended by having no numbers.
                let out_already = self.numbers.resting.values().filter(|(_, data)| data.pool == book.pool).count();
                if (out_already + 1) * 2 <= pool.size() {
                    out.push(KeeperEvent::NumberRested(data("background_calls", background)));
                }
            }
            let told = book.leaked.as_ref().is_some_and(|(at, _)| now < *at + LEAK_AGAIN);
            if let (Some(reason), false) = (leak(&book.run, rules.leak_calls), told) {
                out.push(KeeperEvent::NumberLeaked(data(reason, book.run.len() as u64)));
            }
        }
        self.return_quiet(now, rules.rest, out);
        self.let_go(now, out);
    }

    fn return_quiet(&self, now: Wall, rest: Duration, out: &mut Vec<KeeperEvent>) {
        for (number, (since, data)) in &self.numbers.resting {
            let last = self.numbers.books.get(number).and_then(|book| book.background.back().copied());
            if now >= last.unwrap_or(*since).max(*since) + rest {
                out.push(KeeperEvent::NumberReturned(NumberData { reason: "quiet".to_owned(), ..data.clone() }));
            }
        }
    }

    /// Numbers on their way out that nobody has called for long enough go: back to the stock, or to their provider.
    fn let_go(&mut self, now: Wall, out: &mut Vec<KeeperEvent>) {
        for (number, leaving) in &mut self.numbers.leaving {
            let Some(pool) = self.pools.get(&leaving.data.pool) else { continue };
            let Some(rules) = &pool.rules else { continue };
            let last = self.numbers.books.get(number).and_then(|book| book.last_call);
            // Of a shared stock the next who has it may be another company.
            let shared = rules.shared_stock.as_ref().filter(|stock| stock.numbers.contains(number));
            let quiet = rules.quiet.max(shared.map_or(Duration::ZERO, |stock| stock.quarantine));
            if leaving.release.is_some() || now < last.unwrap_or(leaving.since).max(leaving.since) + quiet {
                continue;
            }
            let source = pool.added.iter().find(|added| added.number == *number).map(|added| added.source.as_str());
            match source.filter(|source| *source != super::grow::STOCK) {
                Some(provider) => leaving.release = Some((provider.to_owned(), Some(now))),
                None => out.push(KeeperEvent::NumberLeft(leaving.data.clone())),
            }
        }
    }
}

/// Why calls in a row without any candidate are a leak; `None`: they are none.
fn leak(run: &VecDeque<(Wall, u64)>, calls: u64) -> Option<&'static str> {
    if calls == 0 || (run.len() as u64) < calls {
        return None;
    }
    // One who calls again and again is somebody, and no leak.
    let callers: BTreeSet<u64> = run.iter().map(|(_, caller)| *caller).collect();
    if (callers.len() as u64) < calls.div_ceil(2) {
        return None;
    }
    let (first, last) = (run.iter().rev().nth(usize::try_from(calls - 1).ok()?)?.0, run.back()?.0);
    Some(if last < first + BURST { "calls_burst" } else { "calls_without_visitors" })
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() >= limits::BACKGROUND_CALLS {
        list.pop_front();
    }
    list.push_back(item);
}

fn hashed(text: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The key of the request that gives a number back: another one when it left, came back and leaves again.
fn release_id(number: &E164, since: Wall) -> String {
    format!("release-{}-{}", number.digits(), since.seconds())
}
