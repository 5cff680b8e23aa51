//! The allocator: which visitor sees which number of the dynamic pools.
//!
//! Three clocks, and only the first is exclusive:
//!
//! 1. *On the page.* The number is shown; nobody else gets it. Renewed by the page, it lapses `ttl` after the last
//!    sign; a tapped `tel:` link pins it for [`limits::TAP_PIN`], because dialling hides the page and is not leaving.
//! 2. *Soft hold.* After leaving, the number stays the visitor's for the pool's hold, as a preference: they get it back
//!    when they return, and others get it only when that is the least harm.
//! 3. *Memory.* The last [`limits::LEASE_PAST`] holders stay known for weeks: candidates when somebody calls, and the
//!    first to get the number again.
//!
//! Which number a new visitor gets is decided by what a confusion would cost ([`choose`]). When every number is on a
//! page, the visitor joins a number of visitors of the same campaign (`shared`). When there is none, the page shows the
//! static number of the visitor's source, else the overflow number, else keeps the real one (`pool_exhausted`, counted per
//! pool). The step is told on the lease ([`Class`]); one of a static number takes nothing from anybody ([`display`]), and a
//! call to it is attributed to its channel.
//!
//! Which of a site's pools a visit may have a number of, and in which order, the catalogue says ([`Selector`]).
//!
//! *Time.* Timers run on the monotonic clock; the wall clock only dates what people read, so setting it ends no lease.
//!
//! *The journal.* Every grant, release, lapse, revival and change of session is an event with the whole lease in it;
//! a renewal that changes nothing else only when the last event of that lease is half a `ttl` old. So after `kill -9`
//! the journal knows every lease, and its idea of `seen_at` is at most `ttl / 2` behind (see
//! [`Allocator::restore`] for why that loses nothing).
//!
//! Everything is O(1) or O(log n) in the number of numbers, except snapshots and reconfiguration.

mod choose;
mod display;
mod leasing;
mod params;
mod reconfigure;
mod resting;
mod restore;
mod shelf;
mod types;
mod update;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use slab::Slab;
use smallvec::SmallVec;

use crate::config::{self, Binding};
use crate::core::attribution::Forecast;
use crate::core::catalogue::{Facts, Fallbacks, Selector};
use crate::core::event::{Body, Event, Session};
use crate::core::lease::{Change, Class, Entry, Lease, Page, bounded, is_visitor_id};
use crate::core::source::Source;
use crate::ids::{E164, LeaseId};
use crate::limits;
use crate::time::{Mono, Now, Wakeup};

use choose::{Face, Kin};
use display::{Display, Visit};
use shelf::{Place, Shelf};

pub use restore::Record;
pub use types::{Ask, Granted, NoNumber, NumberInfo, NumberState, Output, PoolState, Refused, Rules};

/// The allocator's machine.
#[derive(Debug)]
pub struct Allocator {
    rules: Rules,
    rng: ChaCha12Rng,
    pools: Vec<Pool>,
    /// Which of them a visit may have a number of.
    selector: Selector,
    /// What is shown when they have none.
    fallbacks: Fallbacks,
    /// Never shrinks; what leaves the configuration goes to `vacant` when its last hold ends.
    slots: Vec<Slot>,
    vacant: Vec<usize>,
    numbers: HashMap<E164, usize>,
    /// Who has a number on a page, or has it held.
    rights: Slab<Right>,
    leases: HashMap<LeaseId, usize>,
    /// Visitor → their right.
    visitors: HashMap<VisitorKey, usize>,
    /// Visitor → the number that remembers them, once their right is over.
    former: HashMap<VisitorKey, usize>,
    /// Static numbers on pages, and whose pages these are.
    displays: HashMap<LeaseId, Display>,
    shown_to: HashMap<VisitorKey, LeaseId>,
    timers: BTreeSet<(Mono, Timer)>,
    /// Counts numbers being left: the order of the shelves.
    left: u64,
    forecast: Arc<Forecast>,
}

/// Hash of site and visitor. What it leads to is compared by name before it is believed.
type VisitorKey = u64;

#[derive(Debug)]
struct Pool {
    name: String,
    company: String,
    site: Option<String>,
    hold: Duration,
    binding: Binding,
    shelf: Shelf,
    numbers: usize,
    leased: usize,
    held: usize,
    granted: u64,
    shared: u64,
    exhausted: u64,
    source_static: u64,
    overflow: u64,
}

#[derive(Debug)]
struct Slot {
    number: E164,
    /// `None` when the number left the configuration: its leases may end in peace, then the slot is vacant.
    pool: Option<usize>,
    hold: Duration,
    entry: Entry,
    /// Rights of those who see it.
    on_page: SmallVec<[usize; 1]>,
    /// Rights of those who left, newest last.
    held: SmallVec<[usize; 2]>,
    /// Those who left, as the choice of a number sees them, newest first.
    faces: SmallVec<[Face; choose::FACES]>,
    /// When it was left last, counted; 0: never used.
    order: u64,
    place: Place,
    is_vacant: bool,
    /// Out of use: neither given nor shared.
    is_resting: bool,
    /// When its last holder is too long gone to be remembered.
    forget: Option<Mono>,
    timer: Option<Mono>,
}

/// One visitor's right to a number.
#[derive(Debug)]
struct Right {
    lease: Arc<Lease>,
    slot: usize,
    key: VisitorKey,
    kin: Kin,
    phase: Phase,
    signals: u32,
    /// A tap keeps the number on the page until then.
    pinned: Option<Mono>,
    /// When the phase ends by itself.
    deadline: Mono,
    /// Where this right stands in `timers`: at or before `deadline`. Renewals only move the deadline.
    timer: Option<Mono>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `seen`: last sign of the visitor. `journaled`: last event of the lease, `None` before this start.
    OnPage { seen: Mono, journaled: Option<Mono> },
    /// Off the page since `seen`, held.
    Left { seen: Mono },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Right(usize),
    Slot(usize),
    Display(LeaseId),
}

impl Allocator {
    /// An allocator with every number free. `seed` must come from the operating system's generator: lease ids are
    /// rights.
    pub fn new(rules: Rules, pools: &[Arc<config::Pool>], sites: &[Arc<config::Site>], seed: [u8; 32]) -> Allocator {
        let mut allocator = Allocator {
            rules,
            rng: ChaCha12Rng::from_seed(seed),
            pools: Vec::new(),
            selector: Selector::default(),
            fallbacks: Fallbacks::default(),
            slots: Vec::new(),
            vacant: Vec::new(),
            numbers: HashMap::new(),
            rights: Slab::new(),
            leases: HashMap::new(),
            visitors: HashMap::new(),
            former: HashMap::new(),
            displays: HashMap::new(),
            shown_to: HashMap::new(),
            timers: BTreeSet::new(),
            left: 0,
            forecast: Arc::default(),
        };
        allocator.reconfigure(Now::default(), rules, pools, sites, &mut Vec::new());
        allocator
    }

    /// A number of the site's pools for this visitor: theirs if they have or had one and nobody else sees it, else the
    /// one that is least likely to be confused, else one of their campaign.
    pub fn acquire(&mut self, now: Now, ask: Ask, out: &mut Vec<Output>) -> Result<Granted, NoNumber> {
        let visitor_id = match ask.visitor_id {
            Some(id) if is_visitor_id(&id) => id,
            _ => format!("{:032x}", self.draw()),
        };
        let none = |code, visitor_id| NoNumber { code, visitor_id };
        if !self.selector.knows(&ask.site) {
            return Err(none("unknown_site", visitor_id));
        }
        if !self.selector.has_pools(&ask.site) {
            return Err(none("no_pool", visitor_id));
        }
        let session = bounded(ask.session);
        let kin = Kin::of(&session, ask.region.as_deref());
        let key = visitor_key(&ask.site, &visitor_id);
        let right = self.right_of(key, &visitor_id);
        if let Some(right) = right.filter(|right| self.is_theirs(*right)) {
            let moves =
                self.is_of_another_campaign(right, &kin) && replaces(&session, &self.rights[right].lease.session);
            // Who has just tapped the number is dialling it.
            let stays = !moves || self.rights[right].pinned.is_some_and(|pinned| pinned > now.mono);
            if stays {
                let lease = self.touch(now, right, Some(session), out);
                return Ok(Granted { shared: lease.shared, lease, swap: true, returning: true, reason: None });
            }
            let _ = self.release(now, self.rights[right].lease.lease_id, out);
        }
        let source = Source::of(&session);
        let facts = Facts {
            session: &session,
            source: &source,
            device: ask.device,
            region: ask.region.as_deref(),
            language: ask.language.as_deref(),
            at: now.wall,
        };
        let pools = self.selector.choose(&ask.site, &facts);
        if pools.is_empty() {
            return Err(none("no_pool_fits", visitor_id));
        }
        let former = || self.former_slot(key, &visitor_id, &pools);
        let chosen = match ask.instead {
            None => {
                former().map(|slot| (slot, true)).or_else(|| Some((self.choose_among(now.wall, &pools, &kin)?, false)))
            }
            Some(_) => None,
        };
        let page = Page { device: ask.device, region: ask.region, ..Page::default() };
        let Some((slot, returning)) = chosen else {
            let company = self.pools[pools[0]].company.clone();
            let visit = Visit { company, site: ask.site, visitor_id, session, page };
            return self.refuse(now, &pools, (&source, ask.instead), visit, out);
        };
        if let Some(display) = self.displayed_to(key, &visitor_id) {
            self.end_display(now, display, true, out);
        }
        // Somebody else sees the number that was theirs: from now on this one is.
        if let Some(right) = right {
            self.forget_right(right);
        }
        let lease = self.grant(now, slot, (ask.site, visitor_id), (session, page), out);
        Ok(Granted { shared: lease.shared, lease, swap: true, returning, reason: None })
    }

    /// The number is still on the page. Revives a lease that was released or lapsed, as long as it is held and nobody
    /// else sees the number.
    pub fn renew(&mut self, now: Now, id: LeaseId, out: &mut Vec<Output>) -> Result<Arc<Lease>, Refused> {
        if self.is_display(id) {
            return Ok(self.redisplay(now, id, None, out));
        }
        let right = self.right_by_id(id)?;
        if self.is_theirs(right) { Ok(self.touch(now, right, None, out)) } else { Err(Refused::UnknownLease) }
    }

    /// The visitor left the page; the hold begins. Releasing twice is the same as once. Who has just tapped the number
    /// is dialling it, and keeps it until the pin ends.
    pub fn release(&mut self, now: Now, id: LeaseId, out: &mut Vec<Output>) -> Result<Arc<Lease>, Refused> {
        if let Some(lease) = self.end_display(now, id, true, out) {
            return Ok(lease);
        }
        let key = self.right_by_id(id)?;
        let right = &self.rights[key];
        if let Phase::Left { .. } = right.phase {
            return Ok(Arc::clone(&right.lease));
        }
        let mut lease = Lease::clone(&right.lease);
        lease.seen_at = now.wall;
        if right.pinned.is_some_and(|pinned| pinned > now.mono) {
            lease.page.hidden_at.get_or_insert(now.wall);
            let lease = Arc::new(lease);
            out.push(event(now, &lease, Body::LeaseRenewed(Arc::clone(&lease))));
            self.show(key, now, Arc::clone(&lease), out);
            return Ok(lease);
        }
        lease.released_at = Some(now.wall);
        lease.hold_until = now.wall + self.slots[right.slot].hold;
        let lease = Arc::new(lease);
        self.leave(key, &lease, now.mono);
        out.push(event(now, &lease, Body::LeaseReleased(Arc::clone(&lease))));
        out.push(Output::Change(Change::Ended(Arc::clone(&lease))));
        Ok(lease)
    }

    /// Something the page saw (`tel_tap`, `copy`, `visible`, `hidden`, …): journaled, a sign of the visitor, and a mark
    /// on the lease. A visitor who is seen again has their number again, as long as nobody else has it. A sign extends
    /// neither the lease nor the hold, but for a tap, which pins the number.
    pub fn signal(&mut self, now: Now, id: LeaseId, name: &str, out: &mut Vec<Output>) -> Result<(), Refused> {
        if !(1..=limits::SIGNAL_NAME).contains(&name.len())
            || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            return Err(Refused::BadSignal);
        }
        if self.is_display(id) {
            return self.display_signal(now, id, name, out);
        }
        let key = self.right_by_id(id)?;
        if self.rights[key].signals >= limits::LEASE_SIGNALS {
            return Err(Refused::TooManySignals);
        }
        self.rights[key].signals += 1;
        let is_seen = matches!(name, "tel_tap" | "copy" | "visible" | "restore");
        if is_seen && matches!(self.rights[key].phase, Phase::Left { .. }) && self.is_theirs(key) {
            self.touch(now, key, None, out);
        }
        let mut lease = Lease::clone(&self.rights[key].lease);
        mark(&mut lease.page, name, now);
        let on_page = matches!(self.rights[key].phase, Phase::OnPage { .. });
        if on_page {
            lease.seen_at = now.wall;
        }
        let lease = Arc::new(lease);
        if on_page {
            if name == "tel_tap" {
                self.rights[key].pinned = Some(now.mono + limits::TAP_PIN);
            }
            self.show(key, now, Arc::clone(&lease), out);
        } else if *lease != *self.rights[key].lease {
            self.rights[key].lease = Arc::clone(&lease);
            self.change(self.rights[key].slot, Change::Ended(Arc::clone(&lease)), out);
        }
        out.push(event(now, &lease, Body::LeaseSignal { lease: Arc::clone(&lease), signal: name.to_owned() }));
        Ok(())
    }

    /// Ends what has run out, at most [`limits::ALLOCATOR_TURN`] at a time; `poll_timeout` says at once when there is
    /// more.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Output>) {
        for _ in 0..limits::ALLOCATOR_TURN {
            let Some(&(at, timer)) = self.timers.first() else { return };
            if at > now.mono {
                return;
            }
            self.timers.pop_first();
            match timer {
                Timer::Right(key) => {
                    self.rights[key].timer = None;
                    match self.rights[key].deadline {
                        deadline if deadline > now.mono => self.schedule(key, deadline),
                        _ => self.run_out(now, key, out),
                    }
                }
                Timer::Slot(slot) => {
                    self.slots[slot].timer = None;
                    match self.slots[slot].forget {
                        Some(forget) if forget > now.mono => self.schedule_forgetting(slot, forget),
                        Some(_) => self.forget_past(slot, out),
                        None => {}
                    }
                }
                Timer::Display(id) => self.display_timeout(now, id, out),
            }
        }
    }

    /// When to come back, and why.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let &(at, timer) = self.timers.first()?;
        let why = match timer {
            Timer::Right(key) => match self.rights[key].phase {
                Phase::OnPage { .. } => "a lease lapses",
                Phase::Left { .. } => "a hold ends",
            },
            Timer::Slot(_) => "a last holder is forgotten",
            Timer::Display(_) => "a static number's page lapses",
        };
        Some((at, why))
    }

    /// Everything that is known, as changes: applied to nothing they give the table.
    pub fn snapshot(&self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.leases.len());
        for slot in self.slots.iter().filter(|slot| !slot.is_vacant) {
            changes.extend(slot.entry.past.iter().rev().map(|lease| Change::Ended(Arc::clone(lease))));
            changes.extend(slot.entry.holders.iter().rev().map(|lease| Change::Active(Arc::clone(lease))));
        }
        changes
    }

    /// Leased and held, in the order of the numbers.
    pub fn leases(&self) -> impl Iterator<Item = (NumberState, Arc<Lease>)> + '_ {
        self.slots.iter().flat_map(move |slot| {
            let of = move |state| move |&key: &usize| (state, Arc::clone(&self.rights[key].lease));
            slot.on_page.iter().map(of(NumberState::Leased)).chain(slot.held.iter().map(of(NumberState::Held)))
        })
    }

    /// Every number of the dynamic pools.
    pub fn numbers(&self) -> impl Iterator<Item = NumberInfo> + '_ {
        self.slots.iter().filter_map(|slot| {
            let pool = &self.pools[slot.pool?];
            Some(NumberInfo {
                number: slot.number.clone(),
                pool: pool.name.clone(),
                company: pool.company.clone(),
                state: slot.state(),
                lease: slot.entry.active().or(slot.entry.last()).cloned(),
            })
        })
    }

    /// Every dynamic pool, counted.
    pub fn pools(&self) -> impl Iterator<Item = PoolState> + '_ {
        self.pools.iter().map(|pool| PoolState {
            name: pool.name.clone(),
            company: pool.company.clone(),
            site: pool.site.clone(),
            kind: "dynamic",
            numbers: pool.numbers,
            free: pool.shelf.idle.len().saturating_sub(pool.held),
            leased: pool.leased,
            held: pool.held,
            granted: pool.granted,
            shared: pool.shared,
            exhausted: pool.exhausted,
            source_static: pool.source_static,
            overflow: pool.overflow,
        })
    }

    /// What is expected of those who left from now on, as a model has learned it.
    pub fn set_forecast(&mut self, forecast: Arc<Forecast>) {
        self.forecast = forecast;
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    fn draw(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }
}

impl Slot {
    fn state(&self) -> NumberState {
        match (self.on_page.is_empty(), self.held.is_empty()) {
            (false, _) => NumberState::Leased,
            (true, false) => NumberState::Held,
            (true, true) => NumberState::Free,
        }
    }
}

/// What a signal says about the page.
fn mark(page: &mut Page, signal: &str, now: Now) {
    match signal {
        "tel_tap" => page.tapped_at = Some(now.wall),
        "copy" => page.copied_at = Some(now.wall),
        "hidden" => page.hidden_at = Some(now.wall),
        "visible" | "restore" => page.hidden_at = None,
        _ => {}
    }
}

/// A later visit counts when it says where it came from, or when the earlier one did not: coming back directly does
/// not erase the campaign.
fn replaces(new: &Session, old: &Session) -> bool {
    let sourced = |session: &Session| !session.utm.is_empty() || !session.click_ids.is_empty();
    new != old && *new != Session::default() && (sourced(new) || !sourced(old))
}

fn visitor_key(site: &str, visitor: &str) -> VisitorKey {
    choose::hash([site, visitor])
}

fn event(now: Now, lease: &Lease, body: Body) -> Output {
    Output::Event(Event { time: now.wall, subject: lease.lease_id.to_string(), body })
}

#[cfg(test)]
mod tests;
