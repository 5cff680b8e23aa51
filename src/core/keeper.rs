//! Pools that manage themselves: what is counted, what is decided from it, and what is told.
//!
//! The machine's memory is what the journal says: every decision is an event first, and counts when the journal has it.
//! So a restart that reads the journal goes on exactly where the last run stopped, and what is asked of others (numbers
//! of a provider, letters) is asked with a key that was written down before.

mod grow;
mod letter;
pub mod money;
mod numbers;
pub mod order;
mod pool;
mod self_test;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::config::keeper::Keeping;
use crate::config::{Config, Pool, PoolKind};
use crate::core::event::keeper::KeeperEvent;
use crate::core::event::{Body, Event};
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

pub use letter::Letter;
pub use order::{Answer, Order};
pub use self_test::TestCall;
pub use view::{NumberView, PoolFigures, PoolView};

use letter::Notices;
use numbers::Numbers;
use pool::PoolBook;
use self_test::Tests;

/// The machine. [`Keeper::observe`] is told of everything that the journal has, [`Keeper::handle_timeout`] decides.
#[derive(Debug)]
pub struct Keeper {
    keeping: Arc<Keeping>,
    pools: BTreeMap<String, PoolBook>,
    numbers: Numbers,
    notices: Notices,
    tests: Tests,
    /// Told, and not yet in the journal: kind and subject, and when.
    pending: HashMap<(&'static str, String), Wall>,
    rng: ChaCha12Rng,
    /// Counts changes of the numbers that pools have.
    changes: u64,
}

/// What was told and is not in the journal after so long is told again.
const PENDING: Duration = Duration::from_secs(60);

impl Keeper {
    /// A machine that knows nothing yet. `seed` makes the ids of orders.
    pub fn new(config: &Config, seed: [u8; 32]) -> Keeper {
        let mut keeper = Keeper {
            keeping: Arc::new(config.keeping.clone()),
            pools: BTreeMap::new(),
            numbers: Numbers::default(),
            notices: Notices::default(),
            tests: Tests::default(),
            pending: HashMap::new(),
            rng: ChaCha12Rng::from_seed(seed),
            changes: 0,
        };
        keeper.configure(config);
        keeper
    }

    /// Takes over a configuration, as it was written: without the numbers that pools have added.
    pub fn configure(&mut self, config: &Config) {
        self.keeping = Arc::new(config.keeping.clone());
        self.pools.values_mut().for_each(|book| book.is_there = false);
        // A node that follows another allocator has nothing to keep.
        let pools: &[Arc<Pool>] = if config.lease_feed.is_some() { &[] } else { &config.pools };
        for pool in pools.iter().filter(|pool| pool.kind == PoolKind::Dynamic) {
            let book = self.pools.entry(pool.name.clone()).or_default();
            book.is_there = true;
            book.company.clone_from(&pool.company);
            book.set_numbers(&pool.numbers);
            book.hold = pool.hold;
            book.rules = self.keeping.grow.get(&pool.name).cloned();
        }
        self.changes += 1;
    }

    /// Takes in an event that the journal has, at a start and ever after.
    pub fn observe(&mut self, event: &Event) {
        match &event.body {
            Body::LeaseGranted(lease) => {
                if let Some(book) = self.pools.get_mut(&lease.pool) {
                    book.granted(event.time, lease.class);
                }
            }
            Body::LeaseReleased(lease) | Body::LeaseExpired(lease) => {
                if let Some(book) = self.pools.get_mut(&lease.pool) {
                    book.left(event.time, lease.left_at().millis_since(lease.granted_at));
                }
            }
            Body::CallStarted(call) => {
                self.tests.came_back(&call.number, call.caller.as_deref(), event.time, &self.keeping)
            }
            Body::CallRefused(refused) => self.tests.was_refused(&refused.number, &refused.reason, event.time),
            Body::CallEnded(call) => {
                self.numbers.called(event.time, call, &self.keeping);
                if let Some(book) = self.pools.get_mut(&call.pool) {
                    book.called(event.time, call.attribution.contention > 1);
                }
            }
            Body::Keeper(event_of_ours) => self.apply(event.time, event_of_ours),
            _ => {}
        }
    }

    /// What the allocator counts of a pool, now: visitors who got no number since the last time, and numbers on pages.
    pub fn count(&mut self, now: Wall, pool: &str, turned_away: u64, busy: u64) {
        if let Some(book) = self.pools.get_mut(pool) {
            book.turned_away(now, turned_away);
            book.busy(now, busy);
        }
    }

    /// A page shows a number of ours that no lease put there.
    pub fn seen_as_static(&mut self, now: Wall, number: &E164, page: Option<String>, out: &mut Vec<Event>) {
        let Some((pool, company)) = self.pool_of(number) else { return };
        let data = self.numbers.seen(now, number, page, (pool, company));
        if let Some(data) = data {
            self.tell(now, KeeperEvent::NumberLeaked(data), out);
        }
    }

    /// Decides what is due. Events go to the journal, in this order; they count when [`Keeper::observe`] hears of them.
    pub fn handle_timeout(&mut self, now: Wall, out: &mut Vec<Event>) {
        self.pending.retain(|_, at| now.millis_since(*at) < PENDING.as_millis() as u64 && *at <= now);
        let mut events = Vec::new();
        for (name, book) in &mut self.pools {
            events.extend(book.closed(name, now).into_iter().map(KeeperEvent::Counted));
        }
        let names: Vec<String> = self.pools.keys().cloned().collect();
        for name in &names {
            self.grow(now, name, &mut events);
            self.shrink(now, name, &mut events);
        }
        self.hygiene(now, &mut events);
        self.tests_are_over(now, &mut events);
        for event in events {
            self.tell(now, event, out);
        }
    }

    /// Numbers that pools have beyond the configuration, joined to it; and the rule that keeps test calls from ringing.
    pub fn join(&self, config: &mut Config) {
        let taken: BTreeSet<E164> = config.pools.iter().flat_map(|pool| pool.numbers.iter().cloned()).collect();
        for pool in &mut config.pools {
            let Some(book) = self.pools.get(&pool.name).filter(|book| !book.added.is_empty()) else { continue };
            let mut joined = Pool::clone(pool);
            let fresh = book.added.iter().filter(|added| !taken.contains(&added.number));
            joined.numbers.extend(fresh.map(|added| added.number.clone()));
            *pool = Arc::new(joined);
        }
        self_test::keep_quiet(config);
    }

    /// Numbers that visitors are not to get now.
    pub fn resting(&self, now: Wall) -> BTreeSet<E164> {
        let mut resting = self.numbers.resting();
        for book in self.pools.values() {
            let Some(listen) = book.rules.as_ref().map(|rules| rules.listen).filter(|listen| !listen.is_zero()) else {
                continue;
            };
            let fresh = book.added.iter().filter(|added| now < added.at + listen);
            resting.extend(fresh.map(|added| added.number.clone()));
        }
        resting
    }

    /// Counts up with every change of the numbers that pools have.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Puts an event out, unless the same is on its way to the journal.
    fn tell(&mut self, now: Wall, event: KeeperEvent, out: &mut Vec<Event>) {
        let mut subject = event.subject().to_owned();
        if let KeeperEvent::Counted(window) = &event {
            subject = format!("{subject} {}", window.from.0);
        }
        let key = (event.kind(), subject);
        if self.pending.contains_key(&key) {
            return;
        }
        self.pending.insert(key, now);
        let subject = event.subject().to_owned();
        out.push(Event { time: now, subject, body: Body::Keeper(Box::new(event)) });
    }

    /// What the journal says counts.
    fn apply(&mut self, at: Wall, event: &KeeperEvent) {
        let mut subject = event.subject().to_owned();
        if let KeeperEvent::Counted(window) = event {
            subject = format!("{subject} {}", window.from.0);
        }
        self.pending.remove(&(event.kind(), subject));
        match event {
            KeeperEvent::Counted(window) => {
                // A pool that is not configured any more may come back.
                if let Some(book) = self.book(&window.pool) {
                    book.counted(window);
                }
            }
            KeeperEvent::Shortage(shortage) => {
                if let Some(book) = self.book(&shortage.pool) {
                    book.is_short = !shortage.over;
                }
            }
            KeeperEvent::GrowthSwitched(switched) => {
                if let Some(book) = self.book(&switched.pool) {
                    book.enabled = switched.enabled;
                }
            }
            KeeperEvent::GrowthOrdered(ordered) => self.ordered(at, ordered),
            KeeperEvent::Grown(grown) => self.grown(at, grown),
            KeeperEvent::GrowthRefused(refused) => self.growth_refused(at, refused),
            KeeperEvent::NumberLeaving(data) => self.numbers.leaves(at, data),
            KeeperEvent::NumberLeft(data) => self.left(data),
            KeeperEvent::NumberRested(data) => {
                self.numbers.rests(at, data);
                self.notices.add(at, letter::about_number("number_rested", at, data));
            }
            KeeperEvent::NumberReturned(data) => {
                self.numbers.returns(data);
                // The pool has grown by it.
                if let Some(book) = self.book(&data.pool).filter(|_| data.reason == "needed") {
                    book.since = at;
                }
            }
            KeeperEvent::NumberLeaked(data) => {
                self.numbers.leaked(at, data);
                self.notices.add(at, letter::about_number("number_leaked", at, data));
            }
            KeeperEvent::NumberTested(tested) => self.tests.tested(at, tested),
            KeeperEvent::NoticeSent(notice) | KeeperEvent::NoticeFailed(notice) => {
                self.notices.settled(at, &notice.notice_id);
            }
        }
    }

    /// The book of a pool, made when there is none.
    fn book(&mut self, pool: &str) -> Option<&mut PoolBook> {
        if !self.pools.contains_key(pool) {
            if self.pools.len() >= limits::CONFIG_TABLES {
                return None;
            }
            self.pools.insert(pool.to_owned(), PoolBook::default());
        }
        self.pools.get_mut(pool)
    }

    /// Pool and company of a number that visitors may get.
    fn pool_of(&self, number: &E164) -> Option<(String, String)> {
        let (name, book) = self.pools.iter().find(|(_, book)| book.is_there && book.has(number))?;
        Some((name.clone(), book.company.clone()))
    }

    fn draw_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64())
    }
}
