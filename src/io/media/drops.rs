//! What the kernel dropped at a socket because nobody read in time: the last figure of `SO_MEMINFO`, one call without
//! any cost to a packet. `SO_RXQ_OVFL` would say the same beside every datagram, at the price of an ancillary buffer
//! for each; `/proc/net/udp` lists all sockets of the machine. The figure is of the socket, so who takes up a used one
//! remembers where it stood.

use std::net::UdpSocket;

use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};

/// `SK_MEMINFO_DROPS` of `linux/sock_diag.h`: the place in what `SO_MEMINFO` gives.
const DROPS: usize = 8;
/// `SO_MEMINFO` of `asm-generic/socket.h`.
const SO_MEMINFO: libc::c_int = 55;

sockopt_impl!(MemInfo, GetOnly, libc::SOL_SOCKET, SO_MEMINFO, [u32; DROPS + 1]);

/// Datagrams dropped at this socket since it was opened: its buffer was full, or a checksum was wrong. 0 where the
/// kernel does not say.
pub(super) fn dropped_by_kernel(socket: &UdpSocket) -> u32 {
    getsockopt(socket, MemInfo).ok().and_then(|figures| figures.get(DROPS).copied()).unwrap_or(0)
}
