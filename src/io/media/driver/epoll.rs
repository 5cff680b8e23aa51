//! The driver with epoll, level-triggered: one `recvfrom` for a ready socket a round, one `sendto` for a packet.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{self, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;

use crate::io::media::driver::{Driver, WAKER};
use crate::limits::MEDIA_DATAGRAM;

/// Datagrams of one socket in one turn: a burst of 80 ms passes in one turn, a flood is left to the kernel's buffer.
/// One a round, so a flooded socket takes nothing from the others.
const ROUNDS: usize = 4;
/// Sockets served in one round; epoll takes the others first in the next.
const EVENTS: usize = 1_024;

/// See the module.
pub(in crate::io::media) struct Epoll {
    epoll: epoll::Epoll,
    events: Vec<EpollEvent>,
    /// Of `events`: how many there are, and which comes next.
    ready: usize,
    at: usize,
    /// Rounds that this turn still has.
    rounds: usize,
    /// One byte more than a packet may have, to see that it is longer.
    buffer: Box<[u8; MEDIA_DATAGRAM + 1]>,
    length: usize,
}

impl Epoll {
    pub(in crate::io::media) fn new(waker: Arc<EventFd>) -> io::Result<Epoll> {
        let epoll = epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*waker, EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        let events = vec![EpollEvent::empty(); EVENTS];
        Ok(Epoll { epoll, events, ready: 0, at: 0, rounds: 0, buffer: Box::new([0; MEDIA_DATAGRAM + 1]), length: 0 })
    }

    fn poll(&mut self, timeout: EpollTimeout) {
        // Errors of epoll_wait are signals (EINTR): the next turn waits again.
        self.ready = self.epoll.wait(&mut self.events, timeout).unwrap_or(0);
        self.at = 0;
    }
}

impl Driver for Epoll {
    fn add(&mut self, socket: &UdpSocket, mark: u64) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, mark))?)
    }

    fn remove(&mut self, socket: &UdpSocket) {
        // A socket that was never taken in is none to take out.
        let _ = self.epoll.delete(socket);
    }

    fn settle(&mut self) {}

    fn wait(&mut self, pause: Duration, timeout: Option<Duration>) {
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        let ms = timeout.map(|timeout| u16::try_from(timeout.as_millis() + 1).unwrap_or(u16::MAX));
        self.poll(ms.map_or(EpollTimeout::NONE, EpollTimeout::from));
        self.rounds = ROUNDS - 1;
    }

    fn next(&mut self) -> Option<u64> {
        if self.at == self.ready {
            if self.ready == 0 || self.rounds == 0 {
                return None;
            }
            self.rounds -= 1;
            self.poll(EpollTimeout::ZERO);
        }
        let event = self.events.get(self.at).filter(|_| self.at < self.ready)?;
        self.at += 1;
        Some(event.data())
    }

    fn read(&mut self, socket: &UdpSocket, _: u64) -> Option<SocketAddr> {
        // Errors here are `WouldBlock`, or what ICMP said of an earlier packet; reading has cleared it.
        let (length, source) = socket.recv_from(&mut self.buffer[..]).ok()?;
        self.length = length;
        Some(source)
    }

    fn datagram(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    fn forward(&mut self, socket: &UdpSocket, to: SocketAddr) -> io::Result<()> {
        socket.send_to(self.datagram(), to).map(|_| ())
    }

    fn send(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        socket.send_to(bytes, to).map(|_| ())
    }

    fn take_failed(&mut self) -> u64 {
        0
    }
}
