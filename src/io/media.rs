//! Media: sockets and threads that relay by the verdicts of [`crate::core::relay`]. Signalling opens calls and gives
//! commands; it is told by notices and never waited for.
//!
//! Plain threads, not tasks: a call lives on one thread with both legs, and a packet costs no lock, no
//! allocation and no log.

mod driver;
mod drops;
mod dtls;
pub mod engine;
mod fork;
mod keys;
pub mod ports;
mod secure;
mod session;
mod stats;
pub mod tap;
mod voice;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config;
use crate::core::media::{Copies, LocalMedia, MediaCommand, MediaNotice, Open};
use crate::core::media_address::OwnMedia;
use crate::core::relay::Relay;
use crate::ids::CallId;
use crate::io::media::dtls::Identity;
use crate::io::media::engine::{Order, Thread};
use crate::io::media::fork::Fork;
use crate::io::media::ports::Ports;
use crate::io::media::session::Session;
use crate::io::media::tap::TapDoor;
use crate::limits::CALLS;
use crate::time::Now;
use crate::wire::sdp::Fingerprint;

pub use crate::io::media::stats::{MediaStats, RefusedPackets};

/// Where `io` reads both clocks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// How media threads speak to signalling. Called on a media thread: it must not wait.
pub type Notices = Arc<dyn Fn(CallId, MediaNotice) + Send + Sync>;

/// All media threads and ports. Dropping it closes every call (each with its [`MediaNotice::Closed`]) and ends the
/// threads.
pub struct MediaEngine {
    threads: Vec<Thread>,
    /// Which thread has a call. The thread itself takes it out when the call's media ends.
    homes: Homes,
    ports: Ports,
    own: Arc<OwnMedia>,
    clock: Clock,
    notices: Notices,
    silence_max: std::time::Duration,
    fingerprint: Fingerprint,
}

/// Calls and the index of their thread.
pub(crate) type Homes = Arc<Mutex<HashMap<CallId, usize>>>;

impl std::fmt::Debug for MediaEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaEngine").field("threads", &self.threads.len()).field("ports", &self.ports).finish()
    }
}

impl MediaEngine {
    /// Starts the threads. Errors are the operating system's: no thread, no epoll, io_uring demanded and refused, no
    /// randomness for the certificate that handshakes show; or the configured certificate is none for DTLS.
    pub fn start(
        config: &config::Media,
        clock: Clock,
        tap: TapDoor,
        notices: impl Fn(CallId, MediaNotice) + Send + Sync + 'static,
    ) -> io::Result<MediaEngine> {
        let notices: Notices = Arc::new(notices);
        let homes = Homes::default();
        let engine = driver::choose(config.engine)?;
        let identity = Arc::new(Identity::new(config.dtls.as_ref())?);
        let fingerprint = identity.fingerprint();
        let start = |index| {
            let (notices, homes) = (notices.clone(), homes.clone());
            Thread::start(index, engine, clock.clone(), tap.tap(), notices, homes, identity.clone())
        };
        let threads = (0..config.threads.max(1)).map(start).collect::<io::Result<_>>()?;
        Ok(MediaEngine {
            threads,
            homes,
            ports: Ports::new(config.ports, config.dscp, clock.clone()),
            own: Arc::new(OwnMedia::new(config)),
            clock,
            notices,
            silence_max: config.silence_max,
            fingerprint,
        })
    }

    /// Opens a call: a bound pair of ports for each side, on the thread with the fewest calls. Refusals are stable
    /// codes: `no_media_ports`, `no_sockets`, `media_address`, `media_open_twice`.
    pub fn open(&self, call: CallId, open: &Open, now: Now) -> Result<[LocalMedia; 2], &'static str> {
        if self.homes().contains_key(&call) {
            return Err("media_open_twice");
        }
        let pairs = [self.ports.bind(open.address[0])?, self.ports.bind(open.address[1])?];
        let local =
            |side: usize| Some(LocalMedia { rtp: SocketAddr::new(*open.address.get(side)?, pairs.get(side)?.port()) });
        let (Some(caller), Some(company)) = (local(0), local(1)) else { return Err("media_address") };
        let Some((index, thread)) = self.threads.iter().enumerate().min_by_key(|(_, thread)| thread.calls()) else {
            return Err("no_sockets");
        };
        self.homes().insert(call, index);
        // A call's identifier is random: what it names its reports by is, too.
        let relay = Relay::new(now.mono, self.own.clone(), self.silence_max).with_seed(call.0 as u64);
        thread.send(Order::Open(Box::new(Session::new(now.mono, call, relay, pairs))));
        Ok([caller, company])
    }

    /// Gives a command to the call's media. Never dropped while the call is open; words about a call that is not are
    /// without effect, its [`MediaNotice::Closed`] has been told. [`MediaCommand::Open`] is answered by a notice.
    pub fn command(&self, call: CallId, command: MediaCommand) {
        if let MediaCommand::Open(open) = &command {
            let notice = match self.open(call, open, (self.clock)()) {
                Ok(local) => MediaNotice::Opened(local),
                Err(code) => MediaNotice::Refused(code),
            };
            return (self.notices)(call, notice);
        }
        if let MediaCommand::Copies(Copies::Open(address)) = &command {
            return (self.notices)(call, MediaNotice::Copies(self.open_copies(call, *address)));
        }
        let home = self.homes().get(&call).copied();
        match home.and_then(|index| self.threads.get(index)) {
            Some(thread) => thread.send(Order::Command(call, Box::new(command))),
            None => tracing::debug!(%call, "command for media that is closed"),
        }
    }

    /// A pair of ports for the copies of each side. Refusals as those of [`MediaEngine::open`], and `media_closed`.
    fn open_copies(&self, call: CallId, address: IpAddr) -> Result<[LocalMedia; 2], &'static str> {
        let home = self.homes().get(&call).copied();
        let thread = home.and_then(|index| self.threads.get(index)).ok_or("media_closed")?;
        let pairs = [self.ports.bind(address)?, self.ports.bind(address)?];
        let local = pairs.each_ref().map(|pair| LocalMedia { rtp: SocketAddr::new(address, pair.port()) });
        thread.send(Order::Fork(call, Box::new(Fork::new(pairs))));
        Ok(local)
    }

    /// Of the certificate that handshakes show: SDP must promise it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Port pairs that could be taken now; a call needs two.
    pub fn free_pairs(&self) -> usize {
        self.ports.free()
    }

    /// Port pairs held by calls.
    pub fn used_pairs(&self) -> usize {
        self.ports.used()
    }

    /// Calls at once that the port range allows.
    pub fn calls_max(&self) -> usize {
        (self.ports.total() / 2).min(CALLS)
    }

    /// Calls that are open.
    pub fn calls(&self) -> usize {
        self.homes().len()
    }

    /// The addresses that are ours, for [`crate::core::media_address::is_acceptable`].
    pub fn own_media(&self) -> Arc<OwnMedia> {
        self.own.clone()
    }

    /// Counters since the start, over all threads. At most one turn (2 ms) behind.
    pub fn stats(&self) -> MediaStats {
        self.threads.iter().fold(MediaStats::default(), |sum, thread| sum.plus(&thread.stats()))
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<CallId, usize>> {
        // Each change is one insert or remove: nothing can be half done.
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
