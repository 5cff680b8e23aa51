//! Media ports: who holds which, and the sockets on them. A leg takes a pair, RTP on the even port and RTCP on the next
//! one (RFC 3550 §11), and gives it back by [`Pair::rest`] or by dropping it; then the pair rests for
//! [`PORT_QUARANTINE`]. When nothing else is left, the pair that has rested longest serves again after
//! [`PORT_QUARANTINE_MIN`]: a refused call is worse than stragglers, which the latch refuses anyway.
//!
//! A resting pair keeps its sockets open when it may, and serves again before a pair without: what came meanwhile is
//! read and thrown away first. Opening and closing cost 3.6 µs a socket of the 4.2 µs that it costs a call (2 cores,
//! Linux 6.18: open and bind 2.2, into the epoll set 0.6, close 1.4), taking up an open one 0.8 (out of the set 0.5,
//! a look for stragglers 0.3): 11 µs a call. At most [`KEPT_PAIRS`] are kept, and never more than an eighth of the
//! descriptors that the process may have; when one cannot be had, all kept ones are given up first.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::io::media::Clock;
use crate::io::media::drops::dropped_by_kernel;
use crate::limits::{KEPT_PAIRS, MEDIA_RECEIVE_BUFFER, PORT_QUARANTINE, PORT_QUARANTINE_MIN};
use crate::time::Mono;

/// Datagrams that a kept socket is rid of before it serves again: more than its buffer holds. Who sends faster than we
/// read meets the latch.
const STRAGGLERS: usize = 512;

/// The port range of this node. Cheap to clone; all clones are one range.
#[derive(Clone)]
pub struct Ports {
    range: Arc<Mutex<Range>>,
    clock: Clock,
    /// DSCP in its place in the traffic class byte.
    traffic_class: u32,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Ports {
    /// All even ports from `first` whose odd neighbour is not beyond `last`. `dscp`: the mark of what is sent
    /// (RFC 2474), 0 to 63.
    pub fn new((first, last): (u16, u16), dscp: u8, clock: Clock) -> Ports {
        let even = (first..=last).filter(|port| port % 2 == 0 && *port < last);
        let free: VecDeque<Held> = even.map(|port| Held { port, sockets: None }).collect();
        let total = free.len();
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        let kept_max = usize::try_from(descriptors / 16).unwrap_or(KEPT_PAIRS).min(KEPT_PAIRS);
        let range = Range { free, resting: VecDeque::new(), total, kept: 0, kept_max };
        Ports { range: Arc::new(Mutex::new(range)), clock, traffic_class: u32::from(dscp) << 2 }
    }

    /// Takes the next free pair, bound to this address. Refusals are stable codes: `no_media_ports` when all are in use
    /// or resting, `no_sockets` when the process may open no more, `media_address` when we do not have the address.
    pub fn bind(&self, address: IpAddr) -> Result<Pair, &'static str> {
        let mut gave_up_kept = false;
        // Every pair is tried at most once: others on this machine may sit on some.
        for _ in 0..self.total() {
            let Some(held) = self.lock().take((self.clock)().mono) else { break };
            let port = held.port;
            let error = match self.open(held, address) {
                Ok(pair) => return Ok(pair),
                Err(error) => error,
            };
            let kept = {
                let mut range = self.lock();
                range.free.push_back(Held { port, sockets: None });
                // Closed below, when the lock is free.
                if is_out_of_descriptors(&error) { range.give_up_kept() } else { Vec::new() }
            };
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EADDRINUSE | Errno::EACCES) => {}
                Some(Errno::EMFILE | Errno::ENFILE) if !kept.is_empty() && !gave_up_kept => gave_up_kept = true,
                Some(Errno::EMFILE | Errno::ENFILE) => return Err("no_sockets"),
                _ => {
                    tracing::warn!(%address, port, %error, "media socket");
                    return Err("media_address");
                }
            }
        }
        Err("no_media_ports")
    }

    /// The pair's own sockets when they are open on this address, else new ones.
    fn open(&self, held: Held, address: IpAddr) -> io::Result<Pair> {
        let port = held.port;
        let hold = |sockets| Hold { port, sockets, ports: self.clone() };
        if let Some(Sockets { rtp, rtcp, .. }) = held.sockets.filter(|sockets| sockets.address == address) {
            drain(&rtp);
            drain(&rtcp);
            let dropped_before = dropped_by_kernel(&rtp);
            return Ok(Pair { rtp, rtcp, address, dropped_before, hold: hold(None) });
        }
        // Sockets of another address are closed by now, so that the port is free.
        let rtp = self.socket(SocketAddr::new(address, port))?;
        let rtcp = self.socket(SocketAddr::new(address, port + 1))?;
        Ok(Pair { rtp, rtcp, address, dropped_before: 0, hold: hold(None) })
    }

    fn socket(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let kind = Type::DGRAM.nonblocking();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_recv_buffer_size(MEDIA_RECEIVE_BUFFER)?;
        let class = self.traffic_class;
        // A network that does not want the mark may refuse it: the call goes on without.
        let _ = if address.is_ipv6() { socket.set_tclass_v6(class) } else { socket.set_tos_v4(class) };
        socket.bind(&address.into())?;
        Ok(socket.into())
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
    /// Taken from the front: pairs with open sockets first, then the others round robin.
    free: VecDeque<Held>,
    /// Used pairs, and since when they rest; oldest first.
    resting: VecDeque<(Mono, Held)>,
    total: usize,
    /// Free and resting pairs with open sockets.
    kept: usize,
    kept_max: usize,
}

impl Range {
    fn take(&mut self, now: Mono) -> Option<Held> {
        self.wake(now);
        let held = self.free.pop_front().or_else(|| {
            let rested = self.resting.front().is_some_and(|(since, _)| now.since(*since) >= PORT_QUARANTINE_MIN);
            if rested { self.resting.pop_front().map(|(_, held)| held) } else { None }
        })?;
        self.kept -= usize::from(held.sockets.is_some());
        Some(held)
    }

    fn wake(&mut self, now: Mono) {
        while self.resting.front().is_some_and(|(since, _)| now.since(*since) >= PORT_QUARANTINE) {
            match self.resting.pop_front() {
                Some((_, held)) if held.sockets.is_some() => self.free.push_front(held),
                Some((_, held)) => self.free.push_back(held),
                None => return,
            }
        }
    }

    /// A call's pair comes back. What is returned is to be closed.
    fn rest(&mut self, now: Mono, mut held: Held) -> Option<Sockets> {
        let over = if self.kept < self.kept_max { None } else { held.sockets.take() };
        self.kept += usize::from(held.sockets.is_some());
        self.resting.push_back((now, held));
        over
    }

    /// All sockets that are kept for later.
    fn give_up_kept(&mut self) -> Vec<Sockets> {
        self.kept = 0;
        let resting = self.resting.iter_mut().map(|(_, held)| held);
        self.free.iter_mut().chain(resting).filter_map(|held| held.sockets.take()).collect()
    }
}

/// A pair that no call has: its even port, and its sockets when they are kept open.
#[derive(Debug)]
struct Held {
    port: u16,
    sockets: Option<Sockets>,
}

#[derive(Debug)]
struct Sockets {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    address: IpAddr,
}

/// The sockets of one leg, non-blocking. Dropping closes them and lets the ports rest.
#[derive(Debug)]
pub struct Pair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    address: IpAddr,
    /// What the kernel had dropped at the RTP socket before this call took it.
    dropped_before: u32,
    /// Dropped last, when the sockets are closed.
    hold: Hold,
}

impl Pair {
    /// Port of RTP; RTCP has the next one.
    pub fn port(&self) -> u16 {
        self.hold.port
    }

    /// RTP datagrams of this call that the kernel has dropped, because nobody read them in time.
    pub fn dropped(&self) -> u32 {
        dropped_by_kernel(&self.rtp).wrapping_sub(self.dropped_before)
    }

    /// Gives the pair back with its sockets open. Nobody may wait on them any more.
    pub fn rest(self) {
        let Pair { rtp, rtcp, address, mut hold, .. } = self;
        hold.sockets = Some(Sockets { rtp, rtcp, address });
    }
}

/// A call's claim on a port. Dropping it lets the port rest.
#[derive(Debug)]
struct Hold {
    port: u16,
    /// To be kept open.
    sockets: Option<Sockets>,
    ports: Ports,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let now = (self.ports.clock)().mono;
        let held = Held { port: self.port, sockets: self.sockets.take() };
        let over = self.ports.lock().rest(now, held);
        // Closed without the lock.
        drop(over);
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

/// Throws away what came for the last call.
fn drain(socket: &UdpSocket) {
    let mut buffer = [0; 1];
    for _ in 0..STRAGGLERS {
        match socket.recv_from(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // What ICMP said of an earlier packet; reading has cleared it.
            Ok(_) | Err(_) => {}
        }
    }
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
        (Ports::new(range, 46, clock), time)
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
    fn a_kept_pair_serves_again_without_stragglers() {
        let (ports, time) = ports(free_range(4));
        let pair = ports.bind(HERE).unwrap();
        let (port, local) = (pair.port(), pair.rtp.local_addr().unwrap());
        pair.rest();
        assert_eq!((ports.used(), ports.free()), (0, 3));
        let straggler = UdpSocket::bind((HERE, 0)).unwrap();
        for _ in 0..3 {
            straggler.send_to(b"late", local).unwrap();
        }
        time.store(PORT_QUARANTINE.as_nanos() as u64, Ordering::Relaxed);
        let again = ports.bind(HERE).unwrap();
        assert_eq!(again.port(), port, "an open pair serves before a closed one");
        let nothing = again.rtp.recv_from(&mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        straggler.send_to(b"new", local).unwrap();
        assert_eq!(again.rtp.recv_from(&mut [0; 8]).unwrap().0, 3);
        assert_eq!(ports.lock().kept, 0);
    }

    #[test]
    fn what_was_dropped_for_one_call_is_not_told_of_the_next() {
        let (ports, time) = ports(free_range(1));
        let pair = ports.bind(HERE).unwrap();
        let flood = UdpSocket::bind((HERE, 0)).unwrap();
        for _ in 0..1_000 {
            flood.send_to(&[0; 172], pair.rtp.local_addr().unwrap()).unwrap();
        }
        assert!(pair.dropped() > 500, "{}", pair.dropped());
        pair.rest();
        time.store(PORT_QUARANTINE.as_nanos() as u64, Ordering::Relaxed);
        assert_eq!(ports.bind(HERE).unwrap().dropped(), 0);
    }

    #[test]
    fn kept_sockets_of_another_address_are_replaced() {
        let six = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
        if UdpSocket::bind((six, 0)).is_err() {
            return;
        }
        let (ports, time) = ports(free_range(1));
        ports.bind(HERE).unwrap().rest();
        time.store(PORT_QUARANTINE.as_nanos() as u64, Ordering::Relaxed);
        assert_eq!(ports.bind(six).unwrap().rtp.local_addr().unwrap().ip(), six);
        time.store(2 * PORT_QUARANTINE.as_nanos() as u64, Ordering::Relaxed);
        assert!(ports.bind(HERE).unwrap().rtp.local_addr().unwrap().is_ipv4());
    }

    #[test]
    fn no_more_sockets_are_kept_than_may_be() {
        let (ports, _) = ports(free_range(3));
        ports.lock().kept_max = 1;
        let pairs = [ports.bind(HERE).unwrap(), ports.bind(HERE).unwrap()];
        pairs.into_iter().for_each(Pair::rest);
        assert_eq!(ports.lock().kept, 1);
        let given_up = ports.lock().give_up_kept();
        assert_eq!((given_up.len(), ports.lock().kept), (1, 0));
        assert_eq!((ports.total(), ports.used(), ports.lock().resting.len()), (3, 0, 2));
    }

    #[test]
    fn what_is_sent_bears_the_mark() {
        let (ports, _) = ports(free_range(1));
        let pair = ports.bind(HERE).unwrap();
        assert_eq!(socket2::SockRef::from(&pair.rtp).tos_v4().unwrap(), 46 << 2);
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
