//! Media ports: who holds which, and the sockets on them. A leg takes a pair, RTP on the even port and RTCP on the next
//! one (RFC 3550 §11), and gives it back by dropping it; then the pair rests for [`PORT_QUARANTINE`]. When
//! nothing else is left, the pair that has rested longest serves again after [`PORT_QUARANTINE_MIN`]: a refused call is
//! worse than stragglers, which the latch refuses anyway.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

use crate::io::media::Clock;
use crate::limits::{MEDIA_RECEIVE_BUFFER, PORT_QUARANTINE, PORT_QUARANTINE_MIN};
use crate::time::Mono;

/// DSCP EF (RFC 3246) in its place in the traffic class byte: voice.
const TRAFFIC_CLASS: u32 = 46 << 2;

/// The port range of this node. Cheap to clone; all clones are one range.
#[derive(Clone)]
pub struct Ports {
    range: Arc<Mutex<Range>>,
    clock: Clock,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Ports {
    /// All even ports from `first` whose odd neighbour is not beyond `last`.
    pub fn new((first, last): (u16, u16), clock: Clock) -> Ports {
        let free: VecDeque<u16> = (first..=last).filter(|port| port % 2 == 0 && *port < last).collect();
        let total = free.len();
        Ports { range: Arc::new(Mutex::new(Range { free, resting: VecDeque::new(), total })), clock }
    }

    /// Binds the next free pair on this address. Refusals are stable codes: `no_media_ports` when all are in use or
    /// resting, `no_sockets` when the process may open no more, `media_address` when we do not have the address.
    pub fn bind(&self, address: IpAddr) -> Result<Pair, &'static str> {
        // Every pair is tried at most once: others on this machine may sit on some.
        for _ in 0..self.total() {
            let Some(port) = self.lock().take((self.clock)().mono) else { break };
            let sockets = bind(SocketAddr::new(address, port))
                .and_then(|rtp| Ok((rtp, bind(SocketAddr::new(address, port + 1))?)));
            match sockets {
                Ok((rtp, rtcp)) => return Ok(Pair { rtp, rtcp, port, ports: self.clone() }),
                Err(error) => {
                    self.lock().free.push_back(port);
                    match error.raw_os_error().map(nix::errno::Errno::from_raw) {
                        Some(nix::errno::Errno::EADDRINUSE | nix::errno::Errno::EACCES) => {}
                        Some(nix::errno::Errno::EMFILE | nix::errno::Errno::ENFILE) => return Err("no_sockets"),
                        _ => {
                            tracing::warn!(%address, port, %error, "media socket");
                            return Err("media_address");
                        }
                    }
                }
            }
        }
        Err("no_media_ports")
    }

    /// Pairs that could be taken now.
    pub fn free(&self) -> usize {
        let now = (self.clock)().mono;
        let mut range = self.lock();
        range.wake(now);
        range.free.len()
    }

    /// Pairs of the range.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    /// Pairs held by calls: neither free nor resting.
    pub fn used(&self) -> usize {
        let range = self.lock();
        range.total - range.free.len() - range.resting.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Range> {
        // Every change of the lists is one call: a panic elsewhere cannot leave them half changed.
        self.range.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Range {
    /// Round robin: taken from the front, returned to the back.
    free: VecDeque<u16>,
    /// Used pairs, and since when they rest; oldest first.
    resting: VecDeque<(Mono, u16)>,
    total: usize,
}

impl Range {
    fn take(&mut self, now: Mono) -> Option<u16> {
        self.wake(now);
        self.free.pop_front().or_else(|| {
            let rested = self.resting.front().is_some_and(|(since, _)| now.since(*since) >= PORT_QUARANTINE_MIN);
            if rested { self.resting.pop_front().map(|(_, port)| port) } else { None }
        })
    }

    fn wake(&mut self, now: Mono) {
        while let Some((since, port)) = self.resting.front().copied() {
            if now.since(since) < PORT_QUARANTINE {
                return;
            }
            self.resting.pop_front();
            self.free.push_back(port);
        }
    }
}

/// The sockets of one leg, non-blocking. Dropping closes them and lets the ports rest.
#[derive(Debug)]
pub struct Pair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    port: u16,
    ports: Ports,
}

impl Pair {
    /// Port of RTP; RTCP has the next one.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let now = (self.ports.clock)().mono;
        self.ports.lock().resting.push_back((now, self.port));
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(MEDIA_RECEIVE_BUFFER)?;
    // A network that does not want the mark may refuse it: the call goes on without.
    let _ = if address.is_ipv6() { socket.set_tclass_v6(TRAFFIC_CLASS) } else { socket.set_tos_v4(TRAFFIC_CLASS) };
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::time::{Now, Wall};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A range for so many pairs that nobody uses now, below the ephemeral ports, where a test's phones live.
    pub(crate) fn free_range(pairs: u16) -> (u16, u16) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let place = u64::from(std::process::id()) * 7 + NEXT.fetch_add(1, Ordering::Relaxed);
            let first = 10_000 + (place % 200) as u16 * 50;
            let last = first + 2 * pairs - 1;
            if (first..=last).all(|port| UdpSocket::bind((HERE, port)).is_ok()) {
                return (first, last);
            }
        }
    }

    /// The range, and a clock that the test moves.
    fn ports(range: (u16, u16)) -> (Ports, Arc<AtomicU64>) {
        let time = Arc::new(AtomicU64::new(0));
        let reader = time.clone();
        let clock = Arc::new(move || Now { mono: Mono(reader.load(Ordering::Relaxed)), wall: Wall(0) });
        (Ports::new(range, clock), time)
    }

    #[test]
    fn pairs_are_even_and_odd_inside_the_range() {
        for (range, total) in
            [((20_000, 20_009), 5), ((20_001, 20_009), 4), ((20_000, 20_008), 4), ((65_534, 65_535), 1)]
        {
            assert_eq!(ports(range).0.total(), total, "{range:?}");
        }
    }

    #[test]
    fn a_pair_rests_before_it_is_used_again() {
        let (ports, time) = ports(free_range(2));
        let first = ports.bind(HERE).unwrap();
        let second = ports.bind(HERE).unwrap();
        assert_ne!(first.port(), second.port());
        assert_eq!(first.rtp.local_addr().unwrap().port() + 1, first.rtcp.local_addr().unwrap().port());
        assert_eq!(ports.bind(HERE).err(), Some("no_media_ports"));
        let port = first.port();
        drop(first);
        assert_eq!((ports.used(), ports.free()), (1, 0));
        assert_eq!(ports.bind(HERE).err(), Some("no_media_ports"), "it rests");
        time.store(PORT_QUARANTINE.as_nanos() as u64 - 1, Ordering::Relaxed);
        assert_eq!(ports.free(), 0);
        time.fetch_add(Duration::from_nanos(1).as_nanos() as u64, Ordering::Relaxed);
        assert_eq!(ports.bind(HERE).unwrap().port(), port);
        drop(second);
        assert_eq!(ports.used(), 0);
    }

    #[test]
    fn the_longest_rested_serves_again_when_nothing_else_is_left() {
        let (ports, time) = ports(free_range(2));
        let (first, second) = (ports.bind(HERE).unwrap(), ports.bind(HERE).unwrap());
        let port = first.port();
        drop(first);
        time.store(PORT_QUARANTINE_MIN.as_nanos() as u64 - 1, Ordering::Relaxed);
        assert_eq!(ports.bind(HERE).err(), Some("no_media_ports"));
        time.fetch_add(1, Ordering::Relaxed);
        drop(second);
        assert_eq!(ports.bind(HERE).unwrap().port(), port);
        assert_eq!(ports.bind(HERE).err(), Some("no_media_ports"), "the other one has not rested");
    }

    #[test]
    fn a_port_that_somebody_else_has_is_passed_over() {
        let range = free_range(2);
        let (ports, _) = ports(range);
        let _taken = UdpSocket::bind((HERE, range.0 + 1)).unwrap();
        assert_eq!(ports.bind(HERE).unwrap().port(), range.0 + 2);
    }

    #[test]
    fn an_address_that_is_not_ours_is_named() {
        let (ports, _) = ports(free_range(2));
        assert_eq!(ports.bind("192.0.2.1".parse().unwrap()).err(), Some("media_address"));
        assert_eq!((ports.used(), ports.free()), (0, 2));
    }
}
