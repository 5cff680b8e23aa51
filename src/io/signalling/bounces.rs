//! ICMP errors about datagrams of ours, from the socket's error queue (RFC 3261 §18.4). The kernel has looked at the
//! addresses and ports in them, which anybody can write; what they quote is judged by [`crate::core::agent`].
//!
//! Elsewhere than on Linux nothing is heard of them, and the timers deal with silence.

#[cfg(target_os = "linux")]
pub(super) use linux::{ask_for, receive};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{ask_for, receive};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::net::SocketAddr;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
    use tokio::io::Interest;
    use tokio::net::UdpSocket;

    use super::super::door::address;

    /// `ee_origin`: who says so (`linux/errqueue.h`).
    const ICMP: u8 = 2;
    const ICMP6: u8 = 3;

    /// Has the kernel keep ICMP errors for us.
    pub(in super::super) fn ask_for(socket: &UdpSocket) {
        let is_v4 = socket.local_addr().is_ok_and(|local| local.is_ipv4());
        // A kernel that cannot tells nothing; calls go on.
        let _ = if is_v4 {
            setsockopt(socket, sockopt::Ipv4RecvErr, &true)
        } else {
            setsockopt(socket, sockopt::Ipv6RecvErr, &true)
        };
    }

    /// Takes the next error. Gives where the datagram went, when the error is that nobody is there, and how much of
    /// the datagram is quoted in `buffer`.
    pub(in super::super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(Option<SocketAddr>, usize)> {
        socket.try_io(Interest::ERROR, || {
            let mut slices = [IoSliceMut::new(buffer)];
            // The error, and behind it the address of who sent it.
            let mut control = [0; 128];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
            let is_nobody = message.cmsgs().into_iter().flatten().any(|known| match known {
                ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                    means_nobody(error.ee_origin, error.ee_type, error.ee_code)
                }
                _ => false,
            });
            let remote = message.address.as_ref().and_then(address).filter(|_| is_nobody);
            Ok((remote, message.bytes))
        })
    }

    /// RFC 3261 §18.4: unreachable ports, protocols, hosts and networks, and parameter problems. Not that a datagram was
    /// too large, which the kernel mends, nor that it was too long on its way, which may be a moment's loop.
    pub(super) const fn means_nobody(origin: u8, kind: u8, code: u8) -> bool {
        match (origin, kind) {
            // RFC 792; code 4: fragmentation needed.
            (ICMP, 3) => code != 4,
            (ICMP, 12) => true,
            // RFC 4443.
            (ICMP6, 1 | 4) => true,
            _ => false,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::net::SocketAddr;

    use tokio::net::UdpSocket;

    pub(in super::super) fn ask_for(_socket: &UdpSocket) {}

    pub(in super::super) fn receive(
        _socket: &UdpSocket,
        _buffer: &mut [u8],
    ) -> io::Result<(Option<SocketAddr>, usize)> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::door::Door;
    use super::linux::means_nobody;
    use super::*;

    #[tokio::test]
    async fn a_closed_port_quotes_what_was_sent_to_it() {
        for host in ["127.0.0.1", "[::1]"] {
            let local: std::net::SocketAddr = format!("{host}:0").parse().expect("an address");
            let socket = tokio::net::UdpSocket::bind(local).await.expect("bound");
            let mut door = Door::new(&socket);
            let closed = std::net::UdpSocket::bind(local).expect("bound").local_addr().expect("an address");
            socket.send_to(b"is anybody there?", closed).await.expect("sent");
            socket.ready(tokio::io::Interest::ERROR).await.expect("an error");
            let (remote, quoted) = door.bounced(&socket).expect("news");
            assert_eq!((remote, quoted), (Some(closed), &b"is anybody there?"[..]));
            assert_eq!(door.bounced(&socket).map(drop).map_err(|e| e.kind()), Err(std::io::ErrorKind::WouldBlock));
        }
    }

    #[test]
    fn only_nobody_is_nobody() {
        let nobody = [(2, 3, 0), (2, 3, 1), (2, 3, 2), (2, 3, 3), (2, 3, 13), (2, 12, 0), (3, 1, 4), (3, 4, 1)];
        // Of the machine itself, too big, too long on its way, source quench, redirect.
        let others =
            [(0, 3, 3), (1, 3, 3), (2, 3, 4), (2, 11, 0), (2, 4, 0), (2, 5, 0), (3, 2, 0), (3, 3, 0), (2, 1, 4)];
        for (origin, kind, code) in nobody {
            assert!(means_nobody(origin, kind, code), "{origin} {kind} {code}");
        }
        for (origin, kind, code) in others {
            assert!(!means_nobody(origin, kind, code), "{origin} {kind} {code}");
        }
        let _ = receive;
    }
}
