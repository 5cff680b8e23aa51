//! Runs the machine of pools that manage themselves: once a second it is told what the allocator counts and asked what is
//! due. What it decides goes into the journal; what the journal has comes back to it.

mod mail;
mod provider;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::config::Config;
use crate::core::event::Event;
use crate::core::keeper::{Answer, Keeper, NumberView, PoolFigures, PoolView, TestCall};
use crate::ids::E164;
use crate::io::allocator::AllocatorHandle;
use crate::io::clock;
use crate::io::journal::Journal;
use crate::io::metrics::Metrics;

pub(in crate::io) use mail::Mailer;
use provider::Providers;

/// Between two looks.
const TURN: Duration = Duration::from_secs(1);

/// The machine and what it acts through. Cheap to clone.
#[derive(Clone)]
pub struct KeeperHandle(Arc<Shared>);

struct Shared {
    machine: Mutex<Keeper>,
    /// Counts up when pools have other numbers than before.
    changes: watch::Sender<u64>,
}

impl fmt::Debug for KeeperHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperHandle").finish_non_exhaustive()
    }
}

/// What the machine acts through.
#[derive(Debug)]
pub struct Means {
    pub journal: Journal,
    pub allocator: AllocatorHandle,
    pub metrics: Arc<Metrics>,
}

/// Places test calls. `back` says whether the call has come back, and need not go on.
pub type TestCaller = Box<dyn Fn(TestCall, KeeperHandle) + Send + Sync>;

impl KeeperHandle {
    /// A machine that has read the journal.
    pub fn new(machine: Keeper) -> KeeperHandle {
        let changes = watch::Sender::new(machine.changes());
        KeeperHandle(Arc::new(Shared { machine: Mutex::new(machine), changes }))
    }

    /// The journal has this event. Called on its writing thread: quick, and never appends.
    pub fn observe(&self, event: &Event) {
        let mut machine = self.lock();
        machine.observe(event);
        let now = machine.changes();
        drop(machine);
        self.0.changes.send_if_modified(|known| std::mem::replace(known, now) != now);
    }

    /// Told of every change of the numbers that pools have.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Takes over a configuration as it was written, and joins to it what pools have added.
    pub fn configure(&self, config: &mut Config) {
        let mut machine = self.lock();
        machine.configure(config);
        machine.join(config);
        let now = machine.changes();
        drop(machine);
        // Whoever asks knows already.
        self.0.changes.send_if_modified(|known| {
            *known = now;
            false
        });
    }

    pub fn pool(&self, name: &str) -> Option<PoolView> {
        self.lock().pool(clock::wall(), name)
    }

    /// Of many numbers at once.
    pub fn numbers<'a>(&self, numbers: impl Iterator<Item = &'a E164>) -> HashMap<E164, NumberView> {
        let (machine, now) = (self.lock(), clock::wall());
        numbers.map(|number| (number.clone(), machine.number(now, number))).collect()
    }

    /// A page shows a number of ours that no lease put there.
    pub fn seen_as_static(&self, journal: &Journal, number: &E164, page: Option<String>) {
        let mut out = Vec::new();
        self.lock().seen_as_static(clock::wall(), number, page, &mut out);
        append(journal, out);
    }

    /// Whether the test call that is under way has come back.
    pub fn test_is_back(&self) -> bool {
        self.lock().test_is_back()
    }

    /// A test call is over.
    pub fn test_done(&self, journal: &Journal, placed: bool, status: Option<u16>) {
        let mut out = Vec::new();
        self.lock().test_done(clock::wall(), placed, status, &mut out);
        append(journal, out);
    }

    /// Runs until the task is aborted. Requests and letters that are under way then are made again at the next start,
    /// with the same keys.
    pub async fn run(self, means: Means, config: impl Fn() -> Arc<Config> + Send, test_caller: TestCaller) {
        let mut tick = tokio::time::interval(TURN);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut turn = Turn { providers: Providers::default(), mailer: Mailer::default(), ..Turn::default() };
        loop {
            tick.tick().await;
            turn.take(&self, &means, &config(), &test_caller);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Keeper> {
        // A panic in one event must not stop the rest.
        self.0.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one turn remembers for the next.
#[derive(Debug, Default)]
struct Turn {
    providers: Providers,
    mailer: Mailer,
    /// Visitors turned away, by pool, since the start of the allocator.
    exhausted: HashMap<String, u64>,
    /// Numbers that the allocator does not give out.
    resting: BTreeSet<E164>,
}

impl Turn {
    fn take(&mut self, keeper: &KeeperHandle, means: &Means, config: &Config, test_caller: &TestCaller) {
        let now = clock::wall();
        let pools = means.allocator.pools();
        let mut out = Vec::new();
        let mut machine = keeper.lock();
        for pool in pools.iter().filter(|pool| pool.kind == "dynamic") {
            let before = self.exhausted.insert(pool.name.clone(), pool.exhausted).unwrap_or(pool.exhausted);
            let busy = u64::try_from(pool.leased).unwrap_or(u64::MAX);
            machine.count(now, &pool.name, pool.exhausted.saturating_sub(before), busy);
        }
        machine.handle_timeout(now, &mut out);
        let (orders, letters, test) = (machine.orders(now), machine.letters(now), machine.test_due(now));
        let resting = machine.resting(now);
        let figures: Vec<(String, PoolFigures)> = machine.figures().map(|(name, of)| (name.to_owned(), of)).collect();
        let tests_failed = machine.tests_failed();
        drop(machine);
        append(&means.journal, out);
        self.rest(&means.allocator, resting);
        show(&means.metrics, &figures, tests_failed);
        for order in orders {
            let answered = answered(keeper.clone(), means.journal.clone(), order.order_id.clone());
            self.providers.send(config, order, answered);
        }
        for letter in letters {
            let (keeper, journal, id) = (keeper.clone(), means.journal.clone(), letter.id.clone());
            self.mailer.send(config, letter, move |done| {
                let mut out = Vec::new();
                keeper.lock().letter_done(clock::wall(), &id, done, &mut out);
                append(&journal, out);
            });
        }
        if let Some(test) = test {
            test_caller(test, keeper.clone());
        }
    }

    /// Tells the allocator what rests and what does not any more.
    fn rest(&mut self, allocator: &AllocatorHandle, resting: BTreeSet<E164>) {
        for number in resting.difference(&self.resting) {
            allocator.set_resting(number, true);
        }
        for number in self.resting.difference(&resting) {
            allocator.set_resting(number, false);
        }
        self.resting = resting;
    }
}

fn answered(keeper: KeeperHandle, journal: Journal, order_id: String) -> impl FnOnce(Answer) + Send + 'static {
    move |answer| {
        let mut out = Vec::new();
        keeper.lock().answered(clock::wall(), &order_id, answer, &mut out);
        append(&journal, out);
    }
}

fn append(journal: &Journal, events: Vec<Event>) {
    for event in events {
        tracing::info!(kind = event.body.kind(), "pools");
        // What a full journal does not take is told again.
        let _ = journal.append(event);
    }
}

fn show(metrics: &Metrics, figures: &[(String, PoolFigures)], tests_failed: usize) {
    for (pool, figures) in figures {
        metrics.keeper.show(pool, figures);
    }
    metrics.keeper.tests_failed.set(i64::try_from(tests_failed).unwrap_or(i64::MAX));
}

/// Runs on the runtime of the web.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(task)),
        Err(error) => tracing::error!(%error, "nothing runs here"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::core::lease::LeaseTable;
    use crate::core::pool::{Ask, Granted, NoNumber};
    use crate::io::allocator::Setup;
    use crate::time::Now;

    const TEXT: &str = "[[company]]\nname = \"acme\"\nforward_to = [\"sip:a@127.0.0.1:5080\"]\n[[site]]\nname = \"site\"\n\
                        company = \"acme\"\norigins = [\"http://localhost\"]\n[[pool]]\nname = \"web\"\ncompany = \"acme\"\n\
                        site = \"site\"\nkind = \"dynamic\"\nnumbers = [\"+442079460000..+442079460002\"]\n";

    fn number(n: u32) -> E164 {
        E164::parse(&format!("+44207946000{n}")).expect("a number")
    }

    fn come(allocator: &AllocatorHandle, visitor: u32) -> Result<Granted, NoNumber> {
        let visitor_id = Some(format!("{visitor:032x}"));
        allocator.acquire(Ask { site: "site".into(), visitor_id, ..Ask::default() })
    }

    #[test]
    fn a_number_that_rests_is_neither_given_nor_shared_and_stays_with_its_visitor() {
        let config = Config::parse(TEXT, "test", Path::new("")).expect("good");
        let setup = Setup {
            config: &config,
            clock: Arc::new(Now::default),
            seed: [1; 32],
            table: Arc::new(LeaseTable::new()),
            events: Box::new(|_| {}),
        };
        let allocator = AllocatorHandle::start(setup, std::iter::empty());
        assert!(allocator.set_resting(&number(0), true) && !allocator.set_resting(&number(9), true));
        let given: BTreeSet<E164> =
            (0..4).filter_map(|v| come(&allocator, v).ok()).map(|granted| granted.lease.number.clone()).collect();
        assert_eq!(given, BTreeSet::from([number(1), number(2)]));
        // Whoever has it keeps it; nobody joins.
        for n in [1, 2] {
            allocator.set_resting(&number(n), true);
        }
        assert!(come(&allocator, 0).is_ok_and(|granted| granted.returning));
        assert!(come(&allocator, 7).is_err());
        let state = allocator.pools().remove(0);
        assert_eq!((state.numbers, state.free, state.leased), (3, 0, 2));
        allocator.set_resting(&number(0), false);
        assert!(come(&allocator, 7).is_ok_and(|granted| granted.lease.number == number(0)));
        // A new configuration changes nothing of it.
        allocator.reconfigure(&config);
        assert!(come(&allocator, 8).is_ok_and(|granted| granted.lease.number == number(0)));
        allocator.set_resting(&number(0), true);
        assert!(come(&allocator, 9).is_err());
        allocator.stop();
    }
}
