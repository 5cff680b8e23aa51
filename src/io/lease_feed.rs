//! Follows another node's lease feed over HTTP and keeps the lease table in step with it.
//!
//! One task: connect, hand the bytes to [`FeedFollower`], apply what it decides. The connection is made again after a
//! growing pause with jitter, or when nothing came for `stale_after`. While the allocator is away the last known map
//! stays and is marked stale.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::watch;

use crate::config::{self, Config, PoolKind};
use crate::core::feed::{FeedCounts, FeedFollower, FeedRules, Request, TableChange, Verdict};
use crate::core::lease::LeaseTable;
use crate::ids::E164;
use crate::io::allocator::Clock;
use crate::limits;

/// Why a feed is not followed at all.
#[derive(Debug, thiserror::Error)]
pub enum FeedRefused {
    /// A feed says who is calling, so on the way it must be neither read nor changed.
    #[error("[lease_feed] url: plain http is for this machine and private addresses only; use https")]
    PlainHttp,
    #[error("[lease_feed]: no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A feed being followed. It ends when this is dropped.
pub struct LeaseFeed {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

impl fmt::Debug for LeaseFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseFeed").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

struct Shared {
    follower: Mutex<FeedFollower>,
    table: Arc<LeaseTable>,
    clock: Clock,
}

impl LeaseFeed {
    /// Starts to follow, in a task of the current runtime. The table is stale until the first snapshot is whole.
    pub fn start(
        feed: &config::LeaseFeed,
        numbers: HashMap<E164, String>,
        table: Arc<LeaseTable>,
        clock: Clock,
    ) -> Result<LeaseFeed, FeedRefused> {
        if feed.url.scheme() != "https" && !is_near(&feed.url) {
            return Err(FeedRefused::PlainHttp);
        }
        // Somebody may have installed it already; either is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // A redirect would carry the token and our trust to a host that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(feed.stale_after.max(limits::FEED_HEARTBEAT * 2))
            .build()?;
        table.set_stale(true);
        let rules = FeedRules { numbers, stale_after: feed.stale_after };
        let follower = Mutex::new(FeedFollower::new(clock(), rules));
        let shared = Arc::new(Shared { follower, table, clock });
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(run(Arc::clone(&shared), client, feed.clone(), stopped));
        Ok(LeaseFeed { shared, stop })
    }

    /// Takes over the numbers of a new configuration.
    pub fn reconfigure(&self, numbers: HashMap<E164, String>, stale_after: Duration) {
        self.shared.follower().reconfigure(FeedRules { numbers, stale_after });
    }

    /// What came in so far.
    pub fn counts(&self) -> FeedCounts {
        self.shared.follower().counts().clone()
    }

    /// Revision of the allocator that the table has.
    pub fn revision(&self) -> Option<u64> {
        self.shared.follower().revision()
    }

    /// Ends the task.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// The numbers of the configuration's dynamic pools with their companies: what a feed may speak of.
pub fn feed_numbers(config: &Config) -> HashMap<E164, String> {
    let dynamic = config.pools.iter().filter(|pool| pool.kind == PoolKind::Dynamic);
    dynamic.flat_map(|pool| pool.numbers.iter().map(|number| (number.clone(), pool.company.clone()))).collect()
}

const CONNECT: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a connection ended.
enum End {
    /// The feed told us something new: the next try may come soon.
    Served,
    Failed,
    Stopped,
}

async fn run(
    shared: Arc<Shared>,
    client: reqwest::Client,
    feed: config::LeaseFeed,
    mut stopped: watch::Receiver<bool>,
) {
    let mut pause = PAUSE_MIN;
    loop {
        match connection(&shared, &client, &feed, &mut stopped).await {
            End::Stopped => return,
            End::Served => pause = PAUSE_MIN,
            End::Failed => pause = (pause * 2).min(PAUSE_MAX),
        }
        if shared.wait(&mut stopped, tokio::time::sleep(jittered(pause))).await.is_none() {
            return;
        }
    }
}

async fn connection(
    shared: &Shared,
    client: &reqwest::Client,
    feed: &config::LeaseFeed,
    stopped: &mut watch::Receiver<bool>,
) -> End {
    let asked = shared.follower().handle_connect();
    let mut url = feed.url.clone();
    if let Request::After { revision, epoch } = &asked {
        url.query_pairs_mut().append_pair("after", &revision.to_string()).append_pair("epoch", epoch);
    }
    let mut request = client.get(url);
    if let Some(token) = &feed.token {
        request = request.bearer_auth(token);
    }
    let mut response = match shared.wait(stopped, request.send()).await {
        None => return End::Stopped,
        Some(Ok(response)) => response,
        Some(Err(error)) => {
            tracing::warn!(error = %error.without_url(), "lease feed: no connection");
            return End::Failed;
        }
    };
    match response.status() {
        StatusCode::OK => {}
        StatusCode::GONE => {
            tracing::info!("lease feed: our place in it is gone, asking for a snapshot");
            shared.follower().handle_gone();
            // A feed that answers 410 to a request without a place is broken, and not to be hurried.
            return if asked == Request::Snapshot { End::Failed } else { End::Served };
        }
        status => {
            tracing::warn!(%status, "lease feed: refused");
            return End::Failed;
        }
    }
    let before = shared.progress();
    loop {
        match shared.wait(stopped, response.chunk()).await {
            None => return End::Stopped,
            Some(Ok(Some(bytes))) => {
                if let Verdict::Resync(code) = shared.take(&bytes) {
                    tracing::warn!(code, "lease feed: out of step, connecting again");
                    break;
                }
            }
            Some(Ok(None)) => {
                tracing::info!("lease feed: the allocator closed it");
                break;
            }
            Some(Err(error)) => {
                tracing::warn!(error = %error.without_url(), "lease feed: broken off");
                break;
            }
        }
    }
    if shared.progress() == before { End::Failed } else { End::Served }
}

impl Shared {
    fn follower(&self) -> MutexGuard<'_, FeedFollower> {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes and snapshots taken over: a connection that brought none was of no use.
    fn progress(&self) -> (u64, u64) {
        let follower = self.follower();
        (follower.counts().applied, follower.counts().snapshots)
    }

    fn take(&self, bytes: &[u8]) -> Verdict {
        let mut out = Vec::new();
        let mut follower = self.follower();
        let verdict = follower.handle_bytes((self.clock)(), bytes, &mut out);
        self.apply(&out);
        verdict
    }

    fn apply(&self, changes: &[TableChange]) {
        for change in changes {
            if let TableChange::Stale(stale) = change {
                tracing::warn!(stale, "lease feed: the lease table");
            }
            change.apply_to(&self.table);
        }
    }

    /// Waits for `future` and runs the follower's timer meanwhile; `None` when the feed is stopped.
    async fn wait<F: Future>(&self, stopped: &mut watch::Receiver<bool>, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let wakeup = self.follower().poll_timeout().map(|(at, _)| at.since((self.clock)().mono));
            let timer = tokio::time::sleep(wakeup.unwrap_or(PAUSE_MAX));
            tokio::select! {
                output = &mut future => return Some(output),
                changed = stopped.wait_for(|stop| *stop) => {
                    // An error means that the handle is gone, which is a stop as well.
                    drop(changed);
                    return None;
                }
                () = timer => {
                    let mut out = Vec::new();
                    self.follower().handle_timeout((self.clock)(), &mut out);
                    self.apply(&out);
                }
            }
        }
    }
}

/// Half the pause, and a random part of the other half: routers that lost one allocator do not come back as one.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    pause / 2 + pause.mul_f64(share / 2.0)
}

fn is_near(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
        None => false,
    }
}
