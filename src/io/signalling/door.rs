//! One UDP socket's receiving side: what the kernel knows of a datagram besides its bytes. Its arrival time tells how
//! long it waited for us, its drop counter what we never saw; both are measured where a flood is felt first.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::bounces;
use crate::limits;
use crate::time::Wall;

/// The buffers of one socket, taken once.
#[derive(Debug)]
pub(super) struct Door {
    buffer: Vec<u8>,
    control: Vec<u8>,
}

/// One datagram, apart from its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) length: usize,
    pub(super) remote: SocketAddr,
    /// When the kernel had it.
    pub(super) at: Option<Wall>,
    /// Datagrams that this socket's full buffer has cost since it was opened; wraps.
    pub(super) dropped: Option<u32>,
}

impl Door {
    pub(super) fn new(socket: &UdpSocket) -> Door {
        // A kernel that knows neither measures nothing; calls go on.
        let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
        let _ = setsockopt(socket, sockopt::RxqOvfl, &1);
        bounces::ask_for(socket);
        Door { buffer: vec![0; limits::SIP_MESSAGE], control: nix::cmsg_space!(TimeSpec, u32) }
    }

    /// The next datagram; its bytes are [`Door::bytes`].
    ///
    /// # Errors
    /// `WouldBlock` when there is none; others are news of earlier sends (ICMP).
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<Arrived> {
        let Door { buffer, control } = self;
        socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
            let (mut at, mut dropped) = (None, None);
            for known in message.cmsgs().into_iter().flatten() {
                match known {
                    ControlMessageOwned::ScmTimestampns(time) => {
                        at = Some(Wall(time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000));
                    }
                    ControlMessageOwned::RxqOvfl(count) => dropped = Some(count),
                    _ => {}
                }
            }
            let remote = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::AddrNotAvailable)?;
            Ok(Arrived { length: message.bytes, remote, at, dropped })
        })
    }

    /// The next datagram of ours that came to nobody: where it went, and what is quoted of it.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub(super) fn bounced(&mut self, socket: &UdpSocket) -> io::Result<(Option<SocketAddr>, &[u8])> {
        let (remote, length) = bounces::receive(socket, &mut self.buffer)?;
        Ok((remote, self.buffer.get(..length).unwrap_or_default()))
    }

    /// The bytes of the datagram that was received last.
    pub(super) fn bytes(&self, arrived: &Arrived) -> &[u8] {
        self.buffer.get(..arrived.length).unwrap_or_default()
    }
}

pub(super) fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

/// What the doors have measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// How long the newest datagram waited for us, in microseconds.
    pub queue_age: u64,
    /// Datagrams that the kernel threw away because we were slow.
    pub kernel_dropped: u64,
}

impl Measured {
    /// Takes note of one datagram; `seen` is what its socket said last. Gives the age.
    pub(super) fn note(&mut self, now: Wall, arrived: &Arrived, seen: &mut u32) -> std::time::Duration {
        if let Some(dropped) = arrived.dropped {
            self.kernel_dropped += u64::from(dropped.wrapping_sub(*seen));
            *seen = dropped;
        }
        let age = arrived.at.map_or(0, |at| u64::try_from(now.0 - at.0).unwrap_or(0));
        self.queue_age = age;
        std::time::Duration::from_micros(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_buffer_is_counted_and_waiting_is_measured() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        socket2::SockRef::from(&receiver).set_recv_buffer_size(4_096).unwrap();
        let socket = UdpSocket::from_std(receiver).unwrap();
        let mut door = Door::new(&socket);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[7; 1_000], socket.local_addr().unwrap()).unwrap();
        }
        let (mut measured, mut seen, mut taken) = (Measured::default(), 0, 0);
        let mut drain = |door: &mut Door, measured: &mut Measured| {
            while let Ok(arrived) = door.receive(&socket) {
                assert_eq!((arrived.remote, door.bytes(&arrived)), (sender.local_addr().unwrap(), &[7; 1_000][..]));
                // A second later than it was.
                let age =
                    measured.note(crate::io::clock::wall() + std::time::Duration::from_secs(1), &arrived, &mut seen);
                assert!(age >= std::time::Duration::from_secs(1));
                taken += 1;
            }
        };
        socket.readable().await.unwrap();
        drain(&mut door, &mut measured);
        // The counter comes with the next datagram.
        sender.send_to(&[7; 1_000], socket.local_addr().unwrap()).unwrap();
        socket.readable().await.unwrap();
        drain(&mut door, &mut measured);
        assert_eq!(taken + measured.kernel_dropped, 101);
        assert!(measured.kernel_dropped > 0);
    }
}
