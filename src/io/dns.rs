//! Host names into hops, beside signalling: [`crate::core::locate::find`] decides what is asked and what follows from it,
//! this module asks. Nothing here holds signalling up: questions are small, their number is bounded, and each answer comes
//! when it comes or is given up.
//!
//! Our own cache: answers hold for their TTL between a second and an hour, "there is none" five minutes at most. When no
//! server answers, the last good answer serves on for a day (RFC 8767), since a phone system that worked an hour ago most
//! likely still stands where it stood. One question is under way once, whoever waits for it.
//!
//! Servers are those of the configuration, else of `resolv.conf`; `/etc/hosts` is read at start. Names are asked as they
//! stand: search domains are not used. Each question has a random id and a port of its own (RFC 5452).

mod cache;
mod exchange;
mod system;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::config::Dns as Settings;
use crate::core::locate::{Answer, Answers, Hop, Kind, Lookup, Query, Reach, find};
use crate::io::clock;
use crate::limits;

use cache::{Cache, Cached};

/// What happened, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsFigures {
    /// Questions that were answered from memory.
    pub hits: u64,
    /// Questions that got an answer whose time was over, because no server answered.
    pub stale: u64,
    /// Questions to servers that gave records.
    pub found: u64,
    /// Questions to servers that said that there is nothing.
    pub nothing: u64,
    /// Questions that no server answered, or that were one too many.
    pub failed: u64,
    /// Time that questions to servers took, in milliseconds.
    pub milliseconds: u64,
}

/// See the module. For one thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Dns {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    servers: RefCell<Vec<SocketAddr>>,
    timeout: Cell<Duration>,
    hosts: HashMap<String, Vec<IpAddr>>,
    cache: RefCell<Cache>,
    /// Who waits for a question that is under way.
    flights: RefCell<HashMap<Lookup, Vec<oneshot::Sender<Answer>>>>,
    slots: Semaphore,
    random: RefCell<ChaCha12Rng>,
    figures: Cell<DnsFigures>,
}

impl Dns {
    /// Reads what the system says of servers and hosts; `seed` decides ids and weights.
    pub fn new(settings: &Settings, seed: [u8; 32]) -> Dns {
        let shared = Shared {
            servers: RefCell::new(servers(settings)),
            timeout: Cell::new(settings.timeout),
            hosts: system::hosts(),
            cache: RefCell::new(Cache::default()),
            flights: RefCell::new(HashMap::new()),
            slots: Semaphore::new(limits::DNS_PARALLEL),
            random: RefCell::new(ChaCha12Rng::from_seed(seed)),
            figures: Cell::new(DnsFigures::default()),
        };
        Dns { shared: Rc::new(shared) }
    }

    /// A new configuration; what is known stays.
    pub fn reconfigure(&self, settings: &Settings) {
        self.shared.servers.replace(servers(settings));
        self.shared.timeout.set(settings.timeout);
    }

    pub fn figures(&self) -> DnsFigures {
        self.shared.figures.get()
    }

    /// The hops of a question in order, empty when there are none or nobody said so in time. Inside a `LocalSet` only.
    pub async fn locate(&self, query: &Query, reach: &Reach) -> Vec<Hop> {
        let seed = self.shared.random.borrow_mut().next_u64();
        let mut answers = Answers::new();
        let start = Instant::now();
        // A name takes two steps at most unless NAPTR leads elsewhere, which takes three: each has half of the time, or
        // what is left of it.
        let whole = self.shared.timeout.get();
        for _ in 0..4 {
            let wanted = match find(query, reach, &answers, seed) {
                Ok(hops) => return hops,
                Err(wanted) => wanted,
            };
            let until = (Instant::now() + whole / 2).min(start + whole);
            let waiting: Vec<_> = wanted.into_iter().map(|lookup| (self.ask(&lookup), lookup)).collect();
            for (answer, lookup) in waiting {
                let answer = match answer {
                    Asked::Known(answer) => answer,
                    Asked::Waiting(answer) => match tokio::time::timeout_at(until, answer).await {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(_)) | Err(_) => self.stale(&lookup),
                    },
                };
                answers.insert(lookup, answer);
            }
        }
        Vec::new()
    }

    fn ask(&self, lookup: &Lookup) -> Asked {
        if let Some(answer) = self.of_hosts(lookup) {
            return Asked::Known(answer);
        }
        if let Cached::Fresh(answer) = self.shared.cache.borrow().get(lookup, clock::mono()) {
            self.count(|figures| figures.hits += 1);
            return Asked::Known(answer);
        }
        let (sender, receiver) = oneshot::channel();
        let mut flights = self.shared.flights.borrow_mut();
        if let Some(waiting) = flights.get_mut(lookup) {
            // Those who have given up make room.
            waiting.retain(|sender| !sender.is_closed());
            waiting.push(sender);
            return Asked::Waiting(receiver);
        }
        if flights.len() >= limits::DNS_WAITING {
            drop(flights);
            self.count(|figures| figures.failed += 1);
            return Asked::Known(self.stale(lookup));
        }
        flights.insert(lookup.clone(), vec![sender]);
        drop(flights);
        let (dns, lookup) = (self.clone(), lookup.clone());
        tokio::task::spawn_local(async move { dns.fetch(lookup).await });
        Asked::Waiting(receiver)
    }

    /// Asks the servers, remembers what they say and tells whoever waits.
    async fn fetch(&self, lookup: Lookup) {
        let start = Instant::now();
        let (answer, ttl) = match self.shared.slots.acquire().await {
            Ok(_slot) => self.ask_servers(&lookup).await,
            Err(_) => (Answer::Failed, None),
        };
        let waited = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.count(|figures| {
            figures.milliseconds = figures.milliseconds.saturating_add(waited);
            match answer {
                Answer::Failed => figures.failed += 1,
                Answer::Nothing => figures.nothing += 1,
                _ => figures.found += 1,
            }
        });
        let answer = if answer == Answer::Failed {
            tracing::debug!(name = %lookup.name, kind = ?lookup.kind, "no DNS server answers");
            let answer = self.stale(&lookup);
            self.shared.cache.borrow_mut().failed(&lookup, clock::mono());
            answer
        } else {
            self.shared.cache.borrow_mut().put(&lookup, answer.clone(), ttl, clock::mono());
            answer
        };
        let waiting = self.shared.flights.borrow_mut().remove(&lookup).unwrap_or_default();
        for waiter in waiting {
            // Whoever has given up is not told.
            let _ = waiter.send(answer.clone());
        }
    }

    /// Server after server, the one that answered last first, twice round; seconds that the answer holds.
    async fn ask_servers(&self, lookup: &Lookup) -> (Answer, Option<u32>) {
        for _ in 0..2 {
            let servers = self.shared.servers.borrow().clone();
            for server in servers {
                let id = (self.shared.random.borrow_mut().next_u64() & 0xffff) as u16;
                if let Some(answer) = exchange::ask(server, id, lookup).await {
                    self.prefer(server);
                    return answer;
                }
            }
        }
        (Answer::Failed, None)
    }

    fn prefer(&self, server: SocketAddr) {
        let mut servers = self.shared.servers.borrow_mut();
        if let Some(place) = servers.iter().position(|other| *other == server) {
            servers[..=place].rotate_right(1);
        }
    }

    /// What was known before its time was over, else a failure.
    fn stale(&self, lookup: &Lookup) -> Answer {
        match self.shared.cache.borrow().get(lookup, clock::mono()) {
            Cached::Fresh(answer) => answer,
            Cached::Stale(answer) => {
                self.count(|figures| figures.stale += 1);
                answer
            }
            Cached::Unknown => Answer::Failed,
        }
    }

    fn of_hosts(&self, lookup: &Lookup) -> Option<Answer> {
        let is_ipv4 = match lookup.kind {
            Kind::A => true,
            Kind::Aaaa => false,
            Kind::Naptr | Kind::Srv => return None,
        };
        let of_name = self.shared.hosts.get(&*lookup.name)?;
        Some(Answer::Addresses(of_name.iter().copied().filter(|ip| ip.is_ipv4() == is_ipv4).collect()))
    }

    fn count(&self, change: impl FnOnce(&mut DnsFigures)) {
        let mut figures = self.shared.figures.get();
        change(&mut figures);
        self.shared.figures.set(figures);
    }
}

enum Asked {
    Known(Answer),
    Waiting(oneshot::Receiver<Answer>),
}

fn servers(settings: &Settings) -> Vec<SocketAddr> {
    if settings.servers.is_empty() { system::servers() } else { settings.servers.clone() }
}

#[cfg(test)]
mod tests;
