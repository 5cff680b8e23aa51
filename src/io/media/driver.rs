//! How a media thread meets the kernel: it waits on its sockets, takes one datagram after the other, and sends. Two
//! drivers do the same: [`epoll`], which is everywhere, and [`uring`] (io_uring), which some containers forbid.
//!
//! A turn: [`Driver::wait`], then for every mark that [`Driver::next`] gives [`Driver::read`] with that mark's socket;
//! the datagram then stands in [`Driver::datagram`] and may be sent on as it is by [`Driver::forward`], without a copy.

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

    /// The datagram that was read last, cut one byte beyond [`crate::limits::RTP_PACKET`].
    fn datagram(&self) -> &[u8];

    /// Sends it on, out of this socket. Errors: see [`Driver::take_failed`] too.
    fn forward(&mut self, socket: &UdpSocket, to: SocketAddr) -> io::Result<()>;

    /// Sends bytes of our own, at most [`crate::limits::RTP_PACKET`].
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
