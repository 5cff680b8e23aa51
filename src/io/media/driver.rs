//! How a media thread meets the kernel: it waits on its sockets, takes one datagram after the other, and sends. Two
//! drivers do the same: [`epoll`], which is everywhere, and [`uring`] (io_uring), which some containers forbid.
//!
//! A turn: [`Driver::wait`], then for every mark that [`Driver::next`] gives [`Driver::read`] with that mark's socket;
//! the datagram then stands in [`Driver::datagram`] and may be sent on as it is by [`Driver::forward`], without a copy.
//!
//! # Which one
//!
//! These two drivers alone, without anything decided about a packet: two sockets a leg, RTP both ways every 20 ms, turns
//! of 2 ms, CPU of the process in µs a forwarded packet, medians of five runs of 4 s taking turns (2 cores, Linux 6.18,
//! loopback, and other programs on 190 % of the cores all the time):
//!
//! | calls | packets/s | epoll | io_uring |
//! |---|---|---|---|
//! | 50 | 5,000 | 6.0 | 5.0 |
//! | 200 | 20,000 | 4.75 | 4.64 (3.0 to 5.9) |
//! | 500 | 50,000 | 5.65 | 5.25 |
//!
//! A packet itself, its way through the kernel's network, is the most of it; io_uring saves the system calls, a twelfth
//! to a sixth. In the same runs its 99th percentile of delay at 200 calls was worse (31 ms against 13): all sends of a
//! turn leave at its end. That is not clearly better, so `auto` is epoll; to be measured again on a machine of its own.
//!
//! # Why it is built like this
//!
//! * Sockets: two a leg (RTP and RTCP) that nobody else has, so the kernel finds the call. One socket for many calls
//!   would save more than io_uring does, but every phone would be told the same port.
//! * They are not connected to the party, which would save about 0.4 µs a packet: the kernel would then answer strangers by
//!   ICMP, we could neither count them nor learn a source behind NAT.
//! * RTCP sockets stand in the same set: a set does not get slower by sockets that are quiet, and to look at them now
//!   and then would cost more system calls than the packets that come.
//! * Threads: one for each core, at most four; a call stays on one with both legs, so nothing is shared.

pub(super) mod epoll;
pub(super) mod uring;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use crate::config::Engine;
use crate::io::media::driver::epoll::Epoll;
use crate::io::media::driver::uring::Uring;

/// Mark of the wake-up descriptor among the sockets.
pub(super) const WAKER: u64 = u64::MAX;

/// See the module. Stays on the thread that made it.
pub(super) trait Driver {
    /// Watches a socket under a mark, until [`Driver::remove`].
    fn add(&mut self, socket: &UdpSocket, mark: u64) -> io::Result<()>;

    /// No longer watches a socket. In force at the next [`Driver::settle`]; marks given before may still come up.
    fn remove(&mut self, socket: &UdpSocket);

    /// Everything removed is no longer read from, so another thread may watch it.
    fn settle(&mut self);

    /// Sends what waits, lets `pause` pass, and waits for a datagram or the wake-up for `timeout` at most; `None`: until
    /// one comes.
    fn wait(&mut self, pause: Duration, timeout: Option<Duration>);

    /// The next mark with something to read, [`WAKER`] among them; `None`: the turn has no more.
    fn next(&mut self) -> Option<u64>;

    /// Reads the datagram of the mark that was given last, of that mark's socket. `None`: there is none after all.
    fn read(&mut self, socket: &UdpSocket, mark: u64) -> Option<SocketAddr>;

    /// The datagram that was read last, cut one byte beyond [`crate::limits::MEDIA_DATAGRAM`].
    fn datagram(&self) -> &[u8];

    /// Sends it on, out of this socket. Errors: see [`Driver::take_failed`] too.
    fn forward(&mut self, socket: &UdpSocket, to: SocketAddr) -> io::Result<()>;

    /// Sends bytes of our own, at most [`crate::limits::MEDIA_DATAGRAM`].
    fn send(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> io::Result<()>;

    /// How many packets that were taken for sending the kernel has refused since the last time.
    fn take_failed(&mut self) -> u64;
}

/// A driver for this thread.
pub(super) fn start(engine: Engine, waker: Arc<EventFd>) -> io::Result<Box<dyn Driver>> {
    match engine {
        Engine::IoUring => Ok(Box::new(Uring::new(waker)?)),
        Engine::Auto | Engine::Epoll => Ok(Box::new(Epoll::new(waker)?)),
    }
}

/// Checks that this machine has what is wanted. Errors: io_uring is demanded and refused.
pub(super) fn choose(wanted: Engine) -> io::Result<Engine> {
    match wanted {
        Engine::Auto | Engine::Epoll => Ok(Engine::Epoll),
        Engine::IoUring => uring::probe().map(|()| Engine::IoUring),
    }
}
