//! Owner of the allocator's machine: commands come in from HTTP handlers, and every change goes out to the journal,
//! the lease table and the feed in one place and one order, under one lock.
//!
//! The lock is held for about a microsecond a command, so async handlers may take it; only a snapshot for a new
//! follower takes longer. A small thread runs the timers.

mod stream;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{self, Config, PoolKind};
use crate::core::attribution::Forecast;
use crate::core::event::{Event, Session};
use crate::core::feed::{FeedLog, Gone};
use crate::core::lease::{Lease, LeaseTable};
use crate::core::pool::{
    Allocator, Ask, Granted, NoNumber, NumberInfo, NumberState, Output, PoolState, Record, Refused, Rules,
};
use crate::ids::{E164, LeaseId};
use crate::limits;
use crate::time::{Mono, Now};

pub use stream::FeedStream;

/// Reads both clocks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Takes an event for the journal. Called under the allocator's lock: it must not wait, nor call back.
pub type EventSink = Box<dyn Fn(Event) + Send + Sync>;

/// What the allocator is made of.
pub struct Setup<'a> {
    pub config: &'a Config,
    pub clock: Clock,
    /// From the operating system's generator.
    pub seed: [u8; 32],
    pub table: Arc<LeaseTable>,
    pub events: EventSink,
}

impl fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("pools", &self.config.pools.len()).finish_non_exhaustive()
    }
}

/// The embedded allocator. Cheap to clone; the timers' thread ends with the last clone.
#[derive(Clone)]
pub struct AllocatorHandle(Arc<Shared>);

impl fmt::Debug for AllocatorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllocatorHandle").finish_non_exhaustive()
    }
}

struct Shared {
    owned: Mutex<Owned>,
    /// Wakes the timers' thread.
    timer: Condvar,
    clock: Clock,
    table: Arc<LeaseTable>,
    events: EventSink,
    /// Revision of the feed; wakes its streams.
    revision: watch::Sender<u64>,
}

struct Owned {
    machine: Allocator,
    feed: FeedLog,
    /// Static pools: shown beside the dynamic ones, never leased.
    fixed: Vec<Arc<config::Pool>>,
    /// When the timers' thread will look next.
    wakes: Option<Mono>,
    stopped: bool,
    out: Vec<Output>,
}

/// The timers' thread sleeps no longer, so that it notices that it is the last owner.
const TIMER_SLEEP_MAX: Duration = Duration::from_secs(1);

impl AllocatorHandle {
    /// Restores the state from the journal's records, fills the table and starts the timers' thread. With a
    /// `[lease_feed]` in the configuration this node follows another allocator: this one has no numbers then and does
    /// not touch the table.
    pub fn start(setup: Setup<'_>, records: impl Iterator<Item = Record>) -> AllocatorHandle {
        let config = setup.config;
        let now = (setup.clock)();
        let mut seed = setup.seed;
        let epoch = seed[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        // The epoch is public, so the rest of the seed alone makes the lease ids.
        seed[..8].fill(0);
        let mut machine = Allocator::new(rules(config), given(config), &config.sites, seed);
        let mut out = Vec::new();
        machine.restore(now, records, &mut out);
        let owned = Owned {
            machine,
            feed: FeedLog::new(epoch, limits::FEED_LOG),
            fixed: fixed(config),
            wakes: None,
            stopped: false,
            out,
        };
        let shared = Arc::new(Shared {
            owned: Mutex::new(owned),
            timer: Condvar::new(),
            clock: setup.clock,
            table: setup.table,
            events: setup.events,
            revision: watch::Sender::new(0),
        });
        shared.flush(&mut shared.lock());
        let weak = Arc::downgrade(&shared);
        let spawned = std::thread::Builder::new().name("allocator".into()).spawn(move || run_timers(&weak));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for the allocator's timers: leases end only when pages ask");
        }
        AllocatorHandle(shared)
    }

    /// A number for a visitor, or why there is none (the page keeps the real number).
    pub fn acquire(&self, ask: Ask) -> Result<Granted, NoNumber> {
        self.0.with(|machine, now, out| {
            // What is due is free before anybody is refused.
            machine.handle_timeout(now, out);
            machine.acquire(now, ask, out)
        })
    }

    /// The number is still on the page.
    pub fn renew(&self, id: LeaseId) -> Result<Arc<Lease>, Refused> {
        self.0.with(|machine, now, out| machine.renew(now, id, out))
    }

    /// The page knows more of the visit.
    pub fn update(&self, id: LeaseId, session: Session) -> Result<(), Refused> {
        self.0.with(|machine, now, out| machine.update(now, id, session, out))
    }

    /// Both clocks, as the allocator reads them.
    pub fn now(&self) -> Now {
        (self.0.clock)()
    }

    /// The visitor left the page.
    pub fn release(&self, id: LeaseId) -> Result<Arc<Lease>, Refused> {
        self.0.with(|machine, now, out| machine.release(now, id, out))
    }

    /// What the page saw: `tel_tap`, `copy`, `visible`, `hidden`, ….
    pub fn signal(&self, id: LeaseId, name: &str) -> Result<(), Refused> {
        self.0.with(|machine, now, out| machine.signal(now, id, name, out))
    }

    /// Leased and held now.
    pub fn leases(&self) -> Vec<(NumberState, Arc<Lease>)> {
        self.0.lock().machine.leases().collect()
    }

    /// Every number, static ones last.
    pub fn numbers(&self) -> Vec<NumberInfo> {
        let owned = self.0.lock();
        let fixed = owned.fixed.iter().flat_map(|pool| {
            pool.numbers.iter().map(|number| NumberInfo {
                number: number.clone(),
                pool: pool.name.clone(),
                company: pool.company.clone(),
                state: NumberState::Static,
                lease: None,
            })
        });
        owned.machine.numbers().chain(fixed).collect()
    }

    /// Every pool with its counts, static ones last.
    pub fn pools(&self) -> Vec<PoolState> {
        let owned = self.0.lock();
        let fixed = owned.fixed.iter().map(|pool| PoolState {
            name: pool.name.clone(),
            company: pool.company.clone(),
            site: pool.site.clone(),
            kind: "static",
            numbers: pool.numbers.len(),
            free: 0,
            leased: 0,
            held: 0,
            granted: 0,
            shared: 0,
            exhausted: 0,
            source_static: 0,
            overflow: 0,
        });
        owned.machine.pools().chain(fixed).collect()
    }

    /// Clocks of leases, as configured: `renew_after` is what pages are told.
    pub fn rules(&self) -> Rules {
        self.0.lock().machine.rules()
    }

    /// What is expected of visitors who left from now on.
    pub fn set_forecast(&self, forecast: Forecast) {
        self.0.lock().machine.set_forecast(Arc::new(forecast));
    }

    /// The table that this allocator writes.
    pub fn table(&self) -> &Arc<LeaseTable> {
        &self.0.table
    }

    /// Takes over a new configuration without losing leases.
    pub fn reconfigure(&self, config: &Config) {
        self.0.lock().fixed = fixed(config);
        self.0.with(|machine, now, out| {
            machine.reconfigure(now, rules(config), given(config), &config.sites, out);
        });
    }

    /// Takes a number out of use, or puts it back: see [`Allocator::set_resting`].
    pub fn set_resting(&self, number: &E164, resting: bool) -> bool {
        self.0.with(|machine, _, _| machine.set_resting(number, resting))
    }

    /// The lease feed for one follower: everything (`after` absent) or what came after a revision of this epoch.
    pub fn subscribe_feed(&self, after: Option<u64>, epoch: Option<&str>) -> Result<FeedStream, Gone> {
        FeedStream::open(&self.0, after, epoch)
    }

    /// Ends the timers' thread and the feed's streams. Commands still work.
    pub fn stop(&self) {
        self.0.lock().stopped = true;
        self.0.timer.notify_all();
        self.0.revision.send_modify(|_| {});
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Owned> {
        // A panic in here is caught at the edge of one request. Going on with the state it left beats refusing every
        // page from then on.
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Allocator, Now, &mut Vec<Output>) -> T) -> T {
        let mut owned = self.lock();
        // Read inside the lock, so that no race puts times out of order.
        let now = (self.clock)();
        let Owned { machine, out, .. } = &mut *owned;
        let answer = act(machine, now, out);
        self.flush(&mut owned);
        answer
    }

    /// Sends out what the machine decided.
    fn flush(&self, owned: &mut Owned) {
        let Owned { machine, feed, out, wakes, .. } = owned;
        let before = feed.revision();
        for output in out.drain(..) {
            match output {
                Output::Event(event) => (self.events)(event),
                Output::Change(change) => {
                    let revision = feed.push(change.clone());
                    self.table.apply(&change, revision);
                }
            }
        }
        if feed.revision() != before {
            self.revision.send_replace(feed.revision());
        }
        let next = machine.poll_timeout().map(|(at, _)| at);
        if next.is_some_and(|next| wakes.is_none_or(|wakes| next < wakes)) {
            self.timer.notify_one();
        }
    }
}

/// Runs the machine's timers until the last handle is gone.
fn run_timers(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        shared.with(|machine, now, out| machine.handle_timeout(now, out));
        let mut owned = shared.lock();
        if owned.stopped {
            return;
        }
        let now = (shared.clock)();
        owned.wakes = owned.machine.poll_timeout().map(|(at, _)| at);
        let wait = owned.wakes.map_or(TIMER_SLEEP_MAX, |at| at.since(now.mono).min(TIMER_SLEEP_MAX));
        drop(shared.timer.wait_timeout(owned, wait).unwrap_or_else(PoisonError::into_inner));
    }
}

fn rules(config: &Config) -> Rules {
    Rules { ttl: config.lease.ttl, renew_after: config.lease.renew_after, memory: config.attribution.memory }
}

/// The pools this node leases from, and the static ones behind them: none while it follows another allocator.
fn given(config: &Config) -> &[Arc<config::Pool>] {
    if config.lease_feed.is_some() { &[] } else { &config.pools }
}

fn fixed(config: &Config) -> Vec<Arc<config::Pool>> {
    config.pools.iter().filter(|pool| pool.kind == PoolKind::Static).cloned().collect()
}

#[cfg(test)]
mod tests;
