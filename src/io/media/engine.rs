//! One media thread: sockets of its calls in one epoll set, a verdict of [`Relay`] for every datagram, forward first and
//! tap after.
//!
//! Turns. The thread wakes when a datagram or an order comes, reads at most [`ROUNDS`] datagrams of every ready socket
//! (one a round, so a flooded socket takes nothing from the others), takes its orders, and flushes the tap. A turn
//! starts at the earliest [`TURN`] after the one before. With little traffic that never makes anybody wait; with much
//! it lets packets of many sockets share one wake-up, at the price of at most [`TURN`] of delay. The clock is read once
//! a round.
//!
//! A panic while a call's datagram or order is handled ends that call's media and no other's.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::core::event::{RecordingState, RecordingSummary};
use crate::core::media::{MediaCommand, MediaNotice, Remote};
use crate::core::relay::{Refusal, Relay};
use crate::ids::{CallId, Side};
use crate::io::media::ports::Pair;
use crate::io::media::tap::{SideFormats, Tap};
use crate::io::media::{Clock, Homes, Notices};
use crate::limits::RTP_PACKET;
use crate::time::{Mono, Now};

/// Shortest time between the starts of two turns. 2 ms halve the CPU of a packet at low load, where the wake-up is what
/// costs; 5 ms save little more.
const TURN: Duration = Duration::from_millis(2);
/// Datagrams of one socket in one turn: a burst of 80 ms passes in one turn, a flood is left to the kernel's buffer.
const ROUNDS: usize = 4;
/// Sockets served in one round; epoll takes the others first in the next.
const EVENTS: usize = 1_024;
/// How often the calls are asked whether they have been silent for too long.
const SILENCE_CHECK: Duration = Duration::from_secs(1);
/// How long the recorder may take to accept the last messages when the thread ends.
const TAP_FINISH: Duration = Duration::from_secs(2);
/// Mark of the wake-up descriptor among the sockets.
const WAKER: u64 = u64::MAX;

/// What a media thread is told.
pub(crate) enum Order {
    Open(Box<Session>),
    Command(CallId, Box<MediaCommand>),
    End,
}

/// One call on its thread.
pub(crate) struct Session {
    call: CallId,
    relay: Relay,
    pairs: [Pair; 2],
    formats: [SideFormats; 2],
    recording: bool,
}

impl Session {
    pub(crate) fn new(call: CallId, relay: Relay, pairs: [Pair; 2]) -> Session {
        Session { call, relay, pairs, formats: Default::default(), recording: false }
    }

    fn socket(&self, side: Side, is_rtcp: bool) -> &UdpSocket {
        let pair = &self.pairs[side.index()];
        if is_rtcp { &pair.rtcp } else { &pair.rtp }
    }
}

/// Counters of the media threads since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaStats {
    /// RTP and RTCP datagrams read, wanted or not, and their bytes.
    pub received_packets: u64,
    pub received_bytes: u64,
    /// RTP packets sent on, and their bytes.
    pub relayed_packets: u64,
    pub relayed_bytes: u64,
    /// RTCP packets sent on.
    pub relayed_rtcp: u64,
    /// Packets that the operating system would not send.
    pub send_failed: u64,
    /// Packets that the recorder had no room for.
    pub tap_lost: u64,
    /// Calls closed by a panic of ours.
    pub crashed: u64,
    pub refused: RefusedPackets,
}

/// Refused packets by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedPackets([u64; Refusal::ALL.len()]);

impl RefusedPackets {
    /// Every reason, also those that never came up.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.iter().copied().zip(self.0.iter().copied())
    }

    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize]
    }
}

const SCALARS: usize = 8;
type Cells = [AtomicU64; SCALARS + Refusal::ALL.len()];

impl MediaStats {
    /// The sum of both.
    pub fn plus(self, other: &MediaStats) -> MediaStats {
        let mut sum = self.to_cells();
        sum.iter_mut().zip(other.to_cells()).for_each(|(a, b)| *a += b);
        MediaStats::from_cells(sum)
    }

    fn to_cells(&self) -> [u64; SCALARS + Refusal::ALL.len()] {
        let scalars = [
            self.received_packets,
            self.received_bytes,
            self.relayed_packets,
            self.relayed_bytes,
            self.relayed_rtcp,
            self.send_failed,
            self.tap_lost,
            self.crashed,
        ];
        let mut all = scalars.into_iter().chain(self.refused.0);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    }

    fn from_cells(cells: [u64; SCALARS + Refusal::ALL.len()]) -> MediaStats {
        let [
            received_packets,
            received_bytes,
            relayed_packets,
            relayed_bytes,
            relayed_rtcp,
            send_failed,
            tap_lost,
            crashed,
            refused @ ..,
        ] = cells;
        MediaStats {
            received_packets,
            received_bytes,
            relayed_packets,
            relayed_bytes,
            relayed_rtcp,
            send_failed,
            tap_lost,
            crashed,
            refused: RefusedPackets(refused),
        }
    }
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
    pub(crate) fn start(index: usize, clock: Clock, tap: Tap, notices: Notices, homes: Homes) -> io::Result<Thread> {
        let waker = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*waker, EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        let (orders, inbox) = channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let published: Arc<Cells> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
        let mut worker = Worker {
            epoll,
            waker: waker.clone(),
            inbox,
            clock,
            homes,
            calls: calls.clone(),
            published: published.clone(),
            sessions: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            hands: Hands { tap, notices, stats: MediaStats::default(), buffer: Box::new([0; RTP_PACKET + 1]) },
        };
        let join = std::thread::Builder::new().name(format!("media-{index}")).spawn(move || worker.run())?;
        Ok(Thread { orders, waker, calls, stats: published, join: Some(join) })
    }

    /// Calls on this thread, those on their way to it included.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> MediaStats {
        MediaStats::from_cells(std::array::from_fn(|i| self.stats[i].load(Ordering::Relaxed)))
    }

    pub(crate) fn send(&self, order: Order) {
        if matches!(order, Order::Open(_)) {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
        // The thread ends only after `End`, which is sent once, in drop.
        let _ = self.orders.send(order);
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
    epoll: Epoll,
    waker: Arc<EventFd>,
    inbox: Receiver<Order>,
    clock: Clock,
    homes: Homes,
    calls: Arc<AtomicUsize>,
    published: Arc<Cells>,
    /// By slot; a socket's epoll mark is `slot * 4 + side * 2 + rtcp`.
    sessions: Vec<Option<Session>>,
    free: Vec<usize>,
    slots: HashMap<CallId, usize>,
    hands: Hands,
}

/// What handling one call needs besides the call: kept apart so that both can be borrowed.
struct Hands {
    tap: Tap,
    notices: Notices,
    stats: MediaStats,
    /// One byte more than a packet may have, to see that it is longer.
    buffer: Box<[u8; RTP_PACKET + 1]>,
}

impl Worker {
    fn run(&mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS];
        let mut turn = (self.clock)().mono;
        let mut silence_check = turn;
        loop {
            let waited = (self.clock)().mono.since(turn);
            if waited < TURN {
                std::thread::sleep(TURN - waited);
            }
            let woken = self.serve(&mut events, self.timeout(silence_check));
            let now = (self.clock)();
            turn = now.mono;
            if woken && !self.take_orders(now) {
                return self.finish(now);
            }
            if now.mono.since(silence_check) >= SILENCE_CHECK {
                silence_check = now.mono;
                self.check_silence(now);
            }
            self.hands.tap.turn(now.mono);
            self.publish();
        }
    }

    /// How long to wait for the next datagram.
    fn timeout(&self, silence_check: Mono) -> EpollTimeout {
        let now = (self.clock)().mono;
        let flush = self.hands.tap.poll_timeout(now).map(|(at, _)| at);
        let check = (!self.slots.is_empty()).then(|| silence_check + SILENCE_CHECK);
        let Some(next) = flush.into_iter().chain(check).min() else { return EpollTimeout::NONE };
        let ms = next.since(now).as_millis() + 1;
        EpollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
    }

    /// Waits, then serves the ready sockets for some rounds. True: orders wait.
    fn serve(&mut self, events: &mut [EpollEvent], timeout: EpollTimeout) -> bool {
        let mut woken = false;
        let mut timeout = timeout;
        for _ in 0..ROUNDS {
            // Errors of epoll_wait are signals (EINTR): the next turn waits again.
            let ready = self.epoll.wait(events, timeout).unwrap_or(0);
            let now = (self.clock)();
            for event in events.iter().take(ready) {
                if event.data() == WAKER {
                    woken = true;
                    let _ = self.waker.read();
                } else {
                    self.on_ready(now, event.data());
                }
            }
            if ready == 0 {
                break;
            }
            timeout = EpollTimeout::ZERO;
        }
        woken
    }

    fn on_ready(&mut self, now: Now, mark: u64) {
        let slot = usize::try_from(mark / 4).unwrap_or(usize::MAX);
        let side = if mark & 2 == 0 { Side::Caller } else { Side::Company };
        self.guard(now, slot, |session, hands| hands.on_datagram(now, session, side, mark & 1 == 1));
    }

    /// False: the thread is to end.
    fn take_orders(&mut self, now: Now) -> bool {
        while let Ok(order) = self.inbox.try_recv() {
            match order {
                Order::Open(session) => self.open(now, *session),
                Order::Command(call, command) => self.on_command(now, call, *command),
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
        let call = session.call;
        let mut watched = Ok(());
        for side in Side::BOTH {
            for is_rtcp in [false, true] {
                let mark = slot as u64 * 4 + side.index() as u64 * 2 + u64::from(is_rtcp);
                let event = EpollEvent::new(EpollFlags::EPOLLIN, mark);
                watched = watched.and_then(|()| self.epoll.add(session.socket(side, is_rtcp), event));
            }
        }
        self.slots.insert(call, slot);
        if let Some(place) = self.sessions.get_mut(slot) {
            *place = Some(session);
        }
        if let Err(error) = watched {
            self.crash(now, slot, format!("epoll: {error}"));
        }
    }

    fn on_command(&mut self, now: Now, call: CallId, command: MediaCommand) {
        let Some(slot) = self.slots.get(&call).copied() else { return };
        match command {
            MediaCommand::Remote(side, remote) => {
                self.guard(now, slot, |session, hands| hands.on_remote(now, session, side, remote));
            }
            MediaCommand::Record(spec) => self.guard(now, slot, |session, hands| {
                if session.recording {
                    return;
                }
                match hands.tap.start(spec, session.formats.clone()) {
                    Ok(()) => session.recording = true,
                    Err(code) => (hands.notices)(call, MediaNotice::Recorded(Box::new(refused_recording(code)))),
                }
            }),
            MediaCommand::Close(at) => self.close(slot, at),
            // `MediaEngine::command` opens by itself.
            MediaCommand::Open(_) => {}
        }
    }

    fn check_silence(&mut self, now: Now) {
        for slot in 0..self.sessions.len() {
            self.guard(now, slot, |session, hands| {
                if session.relay.handle_timeout(now.mono) {
                    (hands.notices)(session.call, MediaNotice::Silent);
                }
            });
        }
    }

    /// Runs what concerns one call; a panic in it closes that call's media.
    fn guard(&mut self, now: Now, slot: usize, work: impl FnOnce(&mut Session, &mut Hands)) {
        let Some(session) = self.sessions.get_mut(slot).and_then(Option::as_mut) else { return };
        let hands = &mut self.hands;
        // Unwind safety: the session is thrown away, and what `Hands` holds is counters and whole messages.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(session, hands))) {
            self.crash(now, slot, panic_text(&*panic));
        }
    }

    fn crash(&mut self, now: Now, slot: usize, text: String) {
        if let Some(session) = self.sessions.get(slot).and_then(Option::as_ref) {
            tracing::error!(call = %session.call, panic = %text, "media of one call ended by an error of ours");
            self.hands.stats.crashed += 1;
            self.hands.tell(session.call, MediaNotice::Crashed(text));
        }
        self.close(slot, now);
    }

    /// The only way out for a call.
    fn close(&mut self, slot: usize, at: Now) {
        let Some(session) = self.sessions.get_mut(slot).and_then(Option::take) else { return };
        let call = session.call;
        if session.recording {
            self.hands.tap.stop(call, at);
        }
        let summary = catch_unwind(AssertUnwindSafe(|| session.relay.summary())).unwrap_or_default();
        // Closing a socket takes it out of the epoll set.
        drop(session);
        self.slots.remove(&call);
        self.free.push(slot);
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        self.calls.fetch_sub(1, Ordering::Relaxed);
        // Who has been told that a call is closed finds its packets in the counters.
        self.publish();
        self.hands.tell(call, MediaNotice::Closed(Box::new(summary)));
    }

    fn finish(&mut self, now: Now) {
        for slot in 0..self.sessions.len() {
            self.close(slot, now);
        }
        self.hands.tap.finish(TAP_FINISH);
    }

    fn publish(&self) {
        for (cell, value) in self.published.iter().zip(self.hands.stats.to_cells()) {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

impl Hands {
    /// Reads one datagram, forwards it, then gives it to the recorder.
    fn on_datagram(&mut self, now: Now, session: &mut Session, side: Side, is_rtcp: bool) {
        // Errors here are `WouldBlock`, or what ICMP said of an earlier packet; reading has cleared it.
        let Ok((length, source)) = session.socket(side, is_rtcp).recv_from(&mut self.buffer[..]) else { return };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        self.stats.received_packets += 1;
        self.stats.received_bytes += length as u64;
        if is_rtcp {
            match session.relay.on_rtcp(now.mono, side, source, bytes) {
                Ok(Some(to)) => match session.socket(side.other(), true).send_to(bytes, to) {
                    Ok(_) => self.stats.relayed_rtcp += 1,
                    Err(_) => self.stats.send_failed += 1,
                },
                Ok(None) => {}
                Err(refusal) => self.stats.refused.0[refusal as usize] += 1,
            }
            return;
        }
        let accepted = match session.relay.on_rtp(now.mono, side, source, bytes) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.stats.refused.0[refusal as usize] += 1;
                return;
            }
        };
        if let Some(to) = accepted.to {
            match session.socket(side.other(), false).send_to(bytes, to) {
                Ok(_) => {
                    session.relay.on_relayed(side);
                    self.stats.relayed_packets += 1;
                    self.stats.relayed_bytes += length as u64;
                }
                Err(_) => self.stats.send_failed += 1,
            }
        }
        if session.recording && !self.tap.packet(session.call, side, now.mono, bytes) {
            self.stats.tap_lost += 1;
        }
        if accepted.first {
            (self.notices)(session.call, MediaNotice::FirstPacket(side, now.wall));
        }
    }

    fn on_remote(&mut self, now: Now, session: &mut Session, side: Side, remote: Option<Remote>) {
        if let Err(code) = session.relay.set_remote(now.mono, side, remote.as_ref()) {
            tracing::warn!(call = %session.call, ?side, code, "media address is not used");
        }
        let formats = remote.map_or_else(SideFormats::default, |remote| SideFormats {
            formats: remote.formats,
            flowing: Some(remote.flowing),
        });
        if session.formats[side.index()] != formats {
            if session.recording {
                self.tap.formats(session.call, side, formats.clone(), now);
            }
            session.formats[side.index()] = formats;
        }
    }

    /// Gives a notice at the end of a call, where a panic of the receiver has nobody left to blame.
    fn tell(&self, call: CallId, notice: MediaNotice) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.notices)(call, notice)));
    }
}

fn refused_recording(code: &str) -> RecordingSummary {
    RecordingSummary { state: RecordingState::Failed, reason: Some(code.to_owned()), ..RecordingSummary::default() }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}
