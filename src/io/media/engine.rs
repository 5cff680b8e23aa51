//! One media thread: the sockets of its calls with one driver, a verdict of [`crate::core::relay`] for every datagram,
//! forward first and tap after ([`super::session`]).
//!
//! Turns. The thread wakes when a datagram or an order comes, serves what its driver brings ([`super::driver`]), takes
//! its orders, and flushes the tap. A turn starts at the earliest [`TURN`] after the one before. With little traffic
//! that never makes anybody wait; with much it lets packets of many sockets share one wake-up, at the price of at most
//! [`TURN`] of delay, or of [`BUSY_TURN`] when a turn has so much to do that the wake-up no longer counts. The clock is
//! read for every [`CLOCK`] datagrams.
//!
//! A panic while a call's datagram or order is handled ends that call's media and no other's.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::config;
use crate::core::media::{MediaCommand, MediaNotice};
use crate::ids::{CallId, Side};
use crate::io::media::driver::{self, WAKER};
use crate::io::media::dtls::Identity;
use crate::io::media::fork::Fork;
use crate::io::media::session::{Hands, Session};
use crate::io::media::stats::{Cells, MediaStats};
use crate::io::media::tap::Tap;
use crate::io::media::{Clock, Homes, Notices};
use crate::time::{Mono, Now};

/// Shortest time between the starts of two turns. 2 ms halve the CPU of a packet at low load, where the wake-up is what
/// costs; 5 ms save little more.
const TURN: Duration = Duration::from_millis(2);
/// The same after a turn with [`BUSY`] datagrams. With 500 calls on two threads the median of the delay was 0.86 ms instead
/// of 1.25 for the same CPU a packet; with 50 calls a packet cost a fifth more (one run each).
const BUSY_TURN: Duration = Duration::from_millis(1);
const BUSY: u32 = 12;
/// Datagrams that share one look at the clock: a tenth of a millisecond's worth.
const CLOCK: u32 = 32;
/// How long the recorder may take to accept the last messages when the thread ends.
const TAP_FINISH: Duration = Duration::from_secs(2);

/// What a media thread is told.
pub(crate) enum Order {
    Open(Box<Session>),
    Command(CallId, Box<MediaCommand>),
    Fork(CallId, Box<Fork>),
    End,
}

/// A running media thread, seen from outside.
pub(crate) struct Thread {
    orders: Sender<Order>,
    waker: Arc<EventFd>,
    calls: Arc<AtomicUsize>,
    stats: Arc<Cells>,
    join: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts the thread. `engine` has been chosen by [`driver::choose`].
    pub(crate) fn start(
        index: usize,
        engine: config::Engine,
        clock: Clock,
        tap: Tap,
        notices: Notices,
        homes: Homes,
        identity: Arc<Identity>,
    ) -> io::Result<Thread> {
        let waker = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let (orders, inbox) = channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let published: Arc<Cells> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
        let (started, has_started) = channel();
        let theirs = (waker.clone(), calls.clone(), published.clone());
        let join = std::thread::Builder::new().name(format!("media-{index}")).spawn(move || {
            let (waker, calls, published) = theirs;
            // A driver stays on the thread that made it.
            let driver = match driver::start(engine, waker.clone()) {
                Ok(driver) => driver,
                Err(error) => return drop(started.send(Err(error))),
            };
            let mut worker = Worker {
                waker,
                inbox,
                clock,
                homes,
                calls,
                published,
                sessions: Vec::new(),
                free: Vec::new(),
                slots: HashMap::new(),
                serial: 0,
                deadlines: BinaryHeap::new(),
                hands: Hands::new(driver, tap, notices, identity),
            };
            let _ = started.send(Ok(()));
            worker.run();
        })?;
        let thread = Thread { orders, waker, calls, stats: published, join: Some(join) };
        has_started.recv().unwrap_or_else(|_| Err(io::Error::other("a media thread ended at its start")))?;
        Ok(thread)
    }

    /// Calls on this thread, those on their way to it included.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> MediaStats {
        MediaStats::read(&self.stats)
    }

    pub(crate) fn send(&self, order: Order) {
        let opens = matches!(order, Order::Open(_));
        if opens {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
        // The thread ends only after `End`, which is sent once, in drop.
        let _ = self.orders.send(order);
        if opens {
            // Nothing may flow before the first word on a side, and that comes right behind or never.
            return;
        }
        // Full means that it is about to wake anyway.
        let _ = self.waker.write(1);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.send(Order::End);
        if let Some(join) = self.join.take() {
            let _ = join.join();
        }
    }
}

/// What a thread holds.
struct Worker {
    waker: Arc<EventFd>,
    inbox: Receiver<Order>,
    clock: Clock,
    homes: Homes,
    calls: Arc<AtomicUsize>,
    published: Arc<Cells>,
    /// By slot, see [`Mark`].
    sessions: Vec<Option<Box<Place>>>,
    free: Vec<usize>,
    slots: HashMap<CallId, usize>,
    /// Of the call that was opened last.
    serial: u32,
    /// When a slot's call wants to be woken, earliest first. An entry that is no longer the slot's `due` is stale.
    deadlines: BinaryHeap<Reverse<(Mono, usize)>>,
    hands: Hands,
}

/// A call on this thread, and the deadline of its that stands in the heap.
struct Place {
    session: Session,
    serial: u32,
    due: Option<Mono>,
}

/// What the driver says of a socket that has something: which call's, and which of its four sockets. The serial keeps a
/// late word about a call from reaching the next one in its slot.
#[derive(Clone, Copy)]
struct Mark {
    serial: u32,
    slot: u32,
    side: Side,
    is_rtcp: bool,
}

impl Mark {
    /// Slots take 30 bits, serials 31: no mark is one of the driver's own.
    fn pack(self) -> u64 {
        let socket = (self.side.index() as u64) << 1 | u64::from(self.is_rtcp);
        u64::from(self.serial & SERIALS) << 32 | u64::from(self.slot) << 2 | socket
    }

    fn unpack(mark: u64) -> Mark {
        let side = if mark & 2 == 0 { Side::Caller } else { Side::Company };
        Mark { serial: (mark >> 32) as u32, slot: mark as u32 >> 2, side, is_rtcp: mark & 1 == 1 }
    }
}

const SERIALS: u32 = u32::MAX >> 1;

impl Worker {
    fn run(&mut self) {
        let mut turn = (self.clock)().mono;
        let mut shortest = TURN;
        loop {
            let waited = (self.clock)().mono.since(turn);
            let timeout = self.timeout();
            self.hands.driver.wait(shortest.saturating_sub(waited), timeout);
            let now = (self.clock)();
            turn = now.mono;
            let (woken, served) = self.serve(now);
            shortest = if served < BUSY { TURN } else { BUSY_TURN };
            if woken && !self.take_orders(now) {
                return self.finish(now);
            }
            self.wake_due(now);
            self.hands.tap.turn(now.mono);
            self.hands.stats.send_failed += self.hands.driver.take_failed();
            self.hands.stats.publish(&self.published);
        }
    }

    /// How long to wait for the next datagram.
    fn timeout(&self) -> Option<Duration> {
        let now = (self.clock)().mono;
        let flush = self.hands.tap.poll_timeout(now).map(|(at, _)| at);
        let due = self.deadlines.peek().map(|Reverse((at, _))| *at);
        flush.into_iter().chain(due).min().map(|next| next.since(now))
    }

    /// Serves the sockets that have something. Whether orders wait, and how many sockets had something.
    fn serve(&mut self, mut now: Now) -> (bool, u32) {
        let mut woken = false;
        let mut count = 0;
        while let Some(mark) = self.hands.driver.next() {
            if mark == WAKER {
                woken = true;
                let _ = self.waker.read();
                continue;
            }
            count += 1;
            if count % CLOCK == 0 {
                now = (self.clock)();
            }
            self.on_ready(now, mark);
        }
        (woken, count)
    }

    fn on_ready(&mut self, now: Now, mark: u64) {
        let Mark { serial, slot, side, is_rtcp } = Mark::unpack(mark);
        let slot = slot as usize;
        let place = self.sessions.get(slot).and_then(Option::as_ref);
        if place.is_none_or(|place| place.serial != serial) {
            return;
        }
        self.guard(now, slot, |session, hands| hands.on_readable(now, session, side, is_rtcp, mark));
        if let Some(Some(place)) = self.sessions.get_mut(slot)
            && (place.due.is_none() || place.session.take_sooner())
        {
            self.note_deadline(slot);
        }
    }

    /// False: the thread is to end.
    fn take_orders(&mut self, now: Now) -> bool {
        while let Ok(order) = self.inbox.try_recv() {
            match order {
                Order::Open(session) => self.open(now, *session),
                Order::Command(call, command) => self.on_command(now, call, *command),
                Order::Fork(call, fork) => self.on_fork(now, call, fork),
                Order::End => return false,
            }
        }
        true
    }

    fn open(&mut self, now: Now, session: Session) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        });
        let call = session.call();
        self.serial = self.serial.wrapping_add(1) & SERIALS;
        let serial = self.serial;
        let mut watched = Ok(());
        for side in Side::BOTH {
            for is_rtcp in [false, true] {
                let mark = Mark { serial, slot: slot as u32, side, is_rtcp }.pack();
                watched = watched.and_then(|()| self.hands.driver.add(session.socket(side, is_rtcp), mark));
            }
        }
        self.slots.insert(call, slot);
        if let Some(place) = self.sessions.get_mut(slot) {
            *place = Some(Box::new(Place { session, serial, due: None }));
        }
        self.note_deadline(slot);
        if let Err(error) = watched {
            self.crash(now, slot, format!("watching a socket: {error}"));
        }
    }

    fn on_command(&mut self, now: Now, call: CallId, command: MediaCommand) {
        let Some(slot) = self.slots.get(&call).copied() else { return };
        match command {
            MediaCommand::Remote(side, remote) => {
                self.guard(now, slot, |session, hands| hands.on_remote(now, session, side, remote));
            }
            MediaCommand::Record(spec) => self.guard(now, slot, |session, hands| hands.on_record(session, spec)),
            MediaCommand::Play(side, play) => {
                self.guard(now, slot, |session, hands| hands.on_play(now, session, side, play));
            }
            MediaCommand::Hush(side) => self.guard(now, slot, |session, hands| hands.on_hush(now, session, side)),
            MediaCommand::Bridge(together) => self.guard(now, slot, |session, _| Hands::on_bridge(session, together)),
            MediaCommand::Press(side, key, length) => {
                self.guard(now, slot, |session, _| Hands::on_press(now, session, side, key, length));
            }
            MediaCommand::Pause(paused) => {
                self.guard(now, slot, |session, hands| hands.on_pause(now, session, paused));
            }
            MediaCommand::Close(at) => self.close(slot, at),
            MediaCommand::Copies(copies) => self.guard(now, slot, |session, _| session.on_copies(copies)),
            // `MediaEngine::command` opens by itself.
            MediaCommand::Open(_) => {}
        }
        self.note_deadline(slot);
    }

    fn on_fork(&mut self, now: Now, call: CallId, fork: Box<Fork>) {
        // A call that is gone drops it, and the ports rest.
        let Some(slot) = self.slots.get(&call).copied() else { return };
        self.guard(now, slot, |session, _| session.fork = Some(fork));
    }

    /// Serves the calls whose time has come.
    fn wake_due(&mut self, now: Now) {
        while let Some(Reverse((at, slot))) = self.deadlines.peek().copied() {
            if at > now.mono {
                return;
            }
            self.deadlines.pop();
            let Some(place) = self.sessions.get_mut(slot).and_then(Option::as_mut) else { continue };
            if place.due != Some(at) {
                continue;
            }
            place.due = None;
            self.guard(now, slot, |session, hands| hands.on_timeout(now, session));
            self.note_deadline(slot);
        }
    }

    /// Puts the call's next deadline into the heap when it is earlier than the one that stands there. A packet comes
    /// here only when there is none: it moves deadlines back, and a call that is woken too early is noted anew.
    fn note_deadline(&mut self, slot: usize) {
        let Some(place) = self.sessions.get_mut(slot).and_then(Option::as_mut) else { return };
        let (at, _) = place.session.poll_timeout();
        if place.due.is_none_or(|due| at < due) {
            place.due = Some(at);
            self.deadlines.push(Reverse((at, slot)));
        }
    }

    /// Runs what concerns one call; a panic in it closes that call's media.
    fn guard(&mut self, now: Now, slot: usize, work: impl FnOnce(&mut Session, &mut Hands)) {
        let Some(place) = self.sessions.get_mut(slot).and_then(Option::as_mut) else { return };
        let (session, hands) = (&mut place.session, &mut self.hands);
        // Unwind safety: the session is thrown away, and what `Hands` holds is counters and whole messages.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(session, hands))) {
            self.crash(now, slot, panic_text(&*panic));
        }
    }

    fn crash(&mut self, now: Now, slot: usize, text: String) {
        if let Some(call) = self.sessions.get(slot).and_then(Option::as_ref).map(|place| place.session.call()) {
            tracing::error!(%call, panic = %text, "media of one call ended by an error of ours");
            self.hands.stats.crashed += 1;
            self.hands.tell(call, MediaNotice::Crashed(text));
        }
        self.close(slot, now);
    }

    /// The only way out for a call.
    fn close(&mut self, slot: usize, at: Now) {
        let Some(place) = self.sessions.get_mut(slot).and_then(Option::take) else { return };
        let mut session = place.session;
        let call = session.call();
        if session.is_recording() {
            self.hands.tap.stop(call, at);
        }
        let hands = &mut self.hands;
        let summary = catch_unwind(AssertUnwindSafe(|| hands.on_close(&mut session))).unwrap_or_default();
        for side in Side::BOTH {
            for is_rtcp in [false, true] {
                self.hands.driver.remove(session.socket(side, is_rtcp));
            }
        }
        self.hands.driver.settle();
        session.rest();
        self.slots.remove(&call);
        self.free.push(slot);
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        self.calls.fetch_sub(1, Ordering::Relaxed);
        // Who has been told that a call is closed finds its packets in the counters.
        self.hands.stats.publish(&self.published);
        self.hands.tell(call, MediaNotice::Closed(Box::new(summary)));
    }

    fn finish(&mut self, now: Now) {
        for slot in 0..self.sessions.len() {
            self.close(slot, now);
        }
        self.hands.tap.finish(TAP_FINISH);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}
