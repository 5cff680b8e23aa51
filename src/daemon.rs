//! Builds the parts, joins their channels, and takes them apart again in order.
//!
//! Start: journal (one daemon a data folder) → unfinished recordings and calls of the last run → leases → media threads
//! and recorder → signalling → sinks → HTTP → "ready". Stop: no new calls → wait → hang up → media → recordings → sinks
//! → HTTP → journal. What a part needs at its end outlives it.

mod catalogue;
mod hooks;
mod lost;
mod reload;
mod self_test;
mod sip_counters;
mod watch;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch as latest};

use crate::config::{Config, Listener, Problems};
use crate::core::admission::Spent;
use crate::core::attribution::Retelling;
use crate::core::b2bua::{B2bua, Settings};
use crate::core::event::{Body, Event};
use crate::core::keeper::Keeper as PoolKeeper;
use crate::core::lease::LeaseTable;
use crate::core::pool::Record as LeaseRecord;
use crate::ids::CallId;
use crate::io::allocator::{AllocatorHandle, Setup};
use crate::io::archive::{Archive, Keeper, Uploads};
use crate::io::catalogue::{Ask, Books, Store};
use crate::io::certificates::Certificates;
use crate::io::clock;
use crate::io::deciders::{BadDecider, Deciders};
use crate::io::ears::{Board, Ears};
use crate::io::export::{BadExport, Exports};
use crate::io::hep::HepSender;
use crate::io::http::{self, AppState, Demo, LiveCalls, Parts, Phase, Readiness};
use crate::io::index::Index;
use crate::io::journal::{Journal, OnDamage, OpenError, Options as JournalOptions, Unfinished};
use crate::io::keeper::{KeeperHandle, Means};
use crate::io::labels;
use crate::io::lease_feed::{FeedRefused, LeaseFeed, feed_numbers};
use crate::io::media::MediaEngine;
use crate::io::media::tap;
use crate::io::messages::Messages;
use crate::io::metrics::Metrics;
use crate::io::model::load_model;
use crate::io::people::People;
use crate::io::recordings::{self, Recipients, Recordings};
use crate::io::signalling::{self, Bound, Command};
use crate::io::sinks::{BadSink, Sinks};
use crate::io::systemd;
use crate::limits;

use hooks::DaemonHooks;

/// Why the daemon did not start. The text says what to do where we know.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: io::Error },
    #[error("sink {0}")]
    Sink(BadSink),
    #[error(transparent)]
    Export(BadExport),
    #[error(transparent)]
    Decide(BadDecider),
    /// The way out stands in the text.
    #[error(
        "the catalogue that was put through the API and the configuration file do not fit together; correct the file, or \
         move the folder `catalogue` out of the data folder to start with what the file says:\n{0}"
    )]
    Catalogue(Problems),
    #[error("lease feed: {0}")]
    Feed(FeedRefused),
}

fn at(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Io { what, error }
}

/// What `run` and `demo` differ in.
#[derive(Debug, Default)]
pub struct Options {
    /// Read again on SIGHUP; the built-in default cannot change.
    pub config_path: Option<PathBuf>,
    pub demo: Option<Arc<Demo>>,
    /// A damaged journal is left as it is and a new segment begun, instead of refusing to start.
    pub accept_damage: bool,
}

/// The running daemon.
pub struct Daemon {
    config: Arc<ArcSwap<Config>>,
    /// As it was written: without the numbers that pools have added.
    written: Config,
    config_path: Option<PathBuf>,
    commands: mpsc::UnboundedSender<Command>,
    signalling: JoinHandle<io::Result<()>>,
    listeners: Vec<Listener>,
    settings: Arc<Settings>,
    engine: Arc<MediaEngine>,
    recordings: Arc<Recordings>,
    journal: Journal,
    allocator: AllocatorHandle,
    catalogue: Store,
    orders: mpsc::Receiver<Ask>,
    pools: KeeperHandle,
    pools_task: tokio::task::JoinHandle<()>,
    feed: Option<LeaseFeed>,
    sinks: Sinks,
    ears: Ears,
    exports: Arc<Exports>,
    index: Index,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    messages: Arc<Messages>,
    keeper: Keeper,
    uploads: Uploads,
    http: SocketAddr,
    people: Arc<People>,
    http_stop: latest::Sender<bool>,
    http_task: tokio::task::JoinHandle<io::Result<()>>,
    watcher: tokio::task::JoinHandle<()>,
    labels_task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("http", &self.http).field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// The runtime of HTTP, sinks, feed and signals; signalling has its own.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("web").enable_all().build()
}

impl Daemon {
    /// Starts every part. To be called inside [`runtime`].
    pub async fn start(config: Config, options: Options) -> Result<Daemon, StartError> {
        ignore_file_size_signal();
        raise_descriptor_limit();
        let data_dir = config.node.data_dir.clone();
        let on_damage = if options.accept_damage { OnDamage::GoOn } else { OnDamage::Refuse };
        let source = format!("leaseline/{}", config.node.id);
        let (journal, recovery) = Journal::open(&data_dir, JournalOptions { source, seed: seed(), on_damage })?;
        if recovery.torn_bytes > 0 {
            tracing::warn!(bytes = recovery.torn_bytes, "the journal's torn last write was cut");
        }
        let catalogue = Store::open(&data_dir).map_err(at("catalogue"))?;
        let applied = catalogue.applied(config, options.config_path.as_deref());
        let mut config = applied.map_err(StartError::Catalogue)?;
        reload::warn_of_regions(&config);
        let table = Arc::new(LeaseTable::new());
        let books = Arc::new(Books::default());
        let pools = KeeperHandle::new(PoolKeeper::new(&config, seed()));
        let (bookkeeper, pools_observer) = (Arc::clone(&books), pools.clone());
        journal.observe(move |_, event| {
            bookkeeper.observe(event);
            pools_observer.observe(event);
        });
        let model = load_model(&config).map_err(at("model"))?;
        let mut callers = Retelling::new(Arc::clone(&model), config.attribution.memory);
        let (leases, spoken, spent, told) = recover(&journal, &data_dir, (&books, &pools), (&config, &mut callers))?;
        let mut written = config.clone();
        pools.configure(&mut config);

        let metrics = Arc::new(Metrics::new());
        let allocator = start_allocator(&config, &journal, &metrics, Arc::clone(&table), leases);
        allocator.set_forecast(model.forecast());
        let feed = match &config.lease_feed {
            Some(rules) => Some(
                LeaseFeed::start(rules, feed_numbers(&config), Arc::clone(&table), Arc::new(clock::now))
                    .map_err(StartError::Feed)?,
            ),
            None => None,
        };

        let (commands, receiver) = mpsc::unbounded_channel();
        let (engine, recordings) = start_media(&config, &data_dir, &commands)?;
        config.sip.calls_max = config.sip.calls_max.min(engine.calls_max());
        written.sip.calls_max = config.sip.calls_max;
        let config = Arc::new(config);
        let bound = Bound::bind(&config.sip.listen, |address| concrete(&config, address)).map_err(at("SIP"))?;
        let listeners = bound.listeners.clone();
        let settings = Settings::new(Arc::clone(&config), listeners.clone()).with_fingerprint(engine.fingerprint());
        let settings = settings.with_model(Arc::clone(&model));
        let settings = Arc::new(settings);
        let http_listener = tokio::net::TcpListener::bind(config.http.listen).await.map_err(|error| {
            let text = format!("cannot listen on {}: {error}", config.http.listen);
            StartError::Io { what: "HTTP", error: io::Error::new(error.kind(), text) }
        })?;
        let http = http_listener.local_addr().map_err(at("HTTP"))?;

        let people = Arc::new(People::open(&data_dir, Some(journal.clone())).map_err(at("users.json"))?);
        let live = Arc::new(live_calls(&commands));
        let messages = Arc::new(Messages::new(config.trace.memory));
        let hep = config.trace.hep.as_ref().map(HepSender::open).transpose().map_err(at("HEP"))?;
        let mut deciders = Deciders::new(tokio::runtime::Handle::current(), commands.clone());
        if let Some(bad) = deciders.apply(&config).into_iter().next() {
            return Err(StartError::Decide(bad));
        }
        let hooks = DaemonHooks::new(hooks::Parts {
            settings: Arc::clone(&settings),
            journal: journal.clone(),
            live: Arc::clone(&live),
            metrics: Arc::clone(&metrics),
            engine: Arc::clone(&engine),
            recordings: Arc::clone(&recordings),
            messages: Arc::clone(&messages),
            hep: hep.map(Arc::new),
            deciders,
            certificates: Certificates::new(tokio::runtime::Handle::current(), commands.clone()),
            demo: options.demo.clone(),
        });
        let mut b2bua = B2bua::new(Arc::clone(&settings), table, seed());
        b2bua.restore(spent);
        b2bua.remember_callers(callers.into_attributor().calls);
        for input in spoken.into_inputs() {
            b2bua.handle(clock::now(), input);
        }
        told.go_on(&mut b2bua, &live, &metrics);
        let for_signalling = Arc::clone(&settings);
        let signalling = std::thread::Builder::new()
            .name("signalling".into())
            .spawn(move || signalling::run(b2bua, for_signalling, bound, Box::new(hooks), receiver))
            .map_err(at("signalling thread"))?;

        let board = Arc::new(Board::default());
        let runtime = tokio::runtime::Handle::current();
        let mut ears = Ears::new(runtime, commands.clone(), Arc::clone(&metrics), Arc::clone(&board));
        ears.apply(&config);
        let mut sinks = Sinks::new(journal.clone(), &data_dir).map_err(at("sinks"))?;
        if let Some(bad) = sinks.apply(&config.sinks).await.into_iter().next() {
            return Err(StartError::Sink(bad));
        }
        let exports = Arc::new(Exports::new(journal.clone(), Arc::clone(&config)).map_err(at("exports"))?);
        if let Some(bad) = exports.apply(Arc::clone(&config)).await.into_iter().next() {
            return Err(StartError::Export(bad));
        }
        let index = Index::start(&data_dir, journal.clone(), &config).map_err(at("index"))?;
        let readiness = Arc::new(Readiness::default());
        let config = Arc::new(ArcSwap::new(config));
        let archive = Arc::new(
            Archive::open(Arc::clone(&config), journal.clone(), metrics.archive.clone()).map_err(at("archive"))?,
        );
        let keeper = Keeper::start(Arc::clone(&archive)).map_err(at("archive"))?;
        let uploads = Uploads::start(&archive).map_err(io::Error::other).map_err(at("archive"))?;
        let (orders_in, orders) = mpsc::channel(limits::CATALOGUE_ORDERS);
        let app = AppState::new(Parts {
            config: Arc::clone(&config),
            metrics: Arc::clone(&metrics),
            allocator: allocator.clone(),
            journal: journal.clone(),
            index: index.clone(),
            live,
            messages: Arc::clone(&messages),
            archive,
            orders: orders_in,
            ledger: books,
            people: Arc::clone(&people),
            keeper: pools.clone(),
            exports: Arc::clone(&exports),
            readiness: Arc::clone(&readiness),
            board,
            signalling: commands.clone(),
            demo: options.demo,
        });
        let (http_stop, mut stopped) = latest::channel(false);
        let http_task = tokio::spawn(http::serve(http_listener, app, async move {
            // The sender is gone: so is everything else.
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        journal.append(Event {
            time: clock::wall(),
            subject: config.load().node.id.clone(),
            body: Body::NodeStarted { version: env!("CARGO_PKG_VERSION").to_owned() },
        });
        let labels = labels::run(journal.clone(), Arc::clone(&config), data_dir.clone());
        let labels_task = tokio::spawn(labels);
        let watcher = tokio::spawn(watch::run(watch::Parts {
            commands: commands.clone(),
            metrics: Arc::clone(&metrics),
            engine: Arc::clone(&engine),
            recordings: Arc::clone(&recordings),
            journal: journal.clone(),
            allocator: allocator.clone(),
            table_stale: feed.is_some().then(|| Arc::clone(allocator.table())),
        }));
        let means = Means { journal: journal.clone(), allocator: allocator.clone(), metrics: Arc::clone(&metrics) };
        let current = Arc::clone(&config);
        let test_caller = self_test::caller(journal.clone());
        let pools_task = tokio::spawn(pools.clone().run(means, move || current.load_full(), test_caller));
        readiness.set(Phase::Ready);
        for listener in &listeners {
            tracing::info!(transport = %listener.transport, address = %listener.address, "SIP");
        }
        tracing::info!(address = %http, "HTTP");
        systemd::ready("taking calls");
        Ok(Daemon {
            config,
            written,
            config_path: options.config_path,
            commands,
            signalling,
            listeners,
            settings,
            engine,
            recordings,
            journal,
            allocator,
            catalogue,
            orders,
            pools,
            pools_task,
            feed,
            sinks,
            ears,
            exports,
            index,
            metrics,
            readiness,
            messages,
            keeper,
            uploads,
            http,
            people,
            http_stop,
            http_task,
            watcher,
            labels_task,
        })
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Text of a one-time link with which the first user is made, when there is none and no token either.
    pub fn first_link(&self) -> io::Result<Option<String>> {
        if self.config.load().http.token.is_some() {
            return Ok(None);
        }
        self.people.first_link()
    }

    /// Where SIP is served, with real ports.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The journal, for whoever wants to read what happened.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The running configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Runs until SIGTERM or SIGINT, reloading on SIGHUP, then drains and stops. A second signal cuts the drain short.
    pub async fn until_signalled(mut self) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut pools = self.pools.changes();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = second.tick() => {
                    watch::count_deliveries(&self.metrics, &self.sinks.status(), self.feed.as_ref());
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => self.reload().await,
                Some(ask) = self.orders.recv() => self.answer(ask).await,
                Ok(()) = pools.changed() => self.take_pools().await,
                () = thread_ends(&self.signalling) => {
                    tracing::error!("the signalling thread ended by itself");
                    self.shut_down(std::future::ready(())).await;
                    return Err(io::Error::other("the signalling thread ended by itself"));
                }
            }
        }
        self.shut_down(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
        Ok(())
    }

    /// Drains and stops. `hurry` cuts the wait for running calls short.
    pub async fn shut_down(mut self, hurry: impl Future<Output = ()>) {
        let drain = self.config.load().node.drain;
        tracing::info!(seconds = drain.as_secs(), "draining: new calls are answered 503");
        self.readiness.set(Phase::Draining);
        systemd::stopping("draining");
        self.say(Command::Drain);
        tokio::select! {
            () = self.quiet(|_, connected| connected == 0) => {}
            () = tokio::time::sleep(drain) => tracing::info!("the drain time is over: ending the rest"),
            () = hurry => tracing::info!("asked twice: ending the rest now"),
        }
        self.say(Command::HangUpAll("shutdown"));
        // Calls that PBXs carry go on; the next start hears how.
        self.ears.stop();
        // Calls are told only when their recordings are sealed; peers that do not answer BYE are not waited for.
        let told = self.quiet(|counts, _| counts.calls == 0);
        let _ = tokio::time::timeout(limits::CLOSING + Duration::from_secs(1), told).await;
        let answered = self.quiet(|counts, _| counts.agent.client_transactions == 0);
        let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
        self.say(Command::Stop);
        self.watcher.abort();
        self.labels_task.abort();
        self.pools_task.abort();
        let Daemon {
            signalling,
            engine,
            recordings,
            journal,
            allocator,
            feed,
            keeper,
            uploads,
            exports,
            mut sinks,
            index,
            ears,
            ..
        } = self;
        drop(ears);
        let _ = tokio::task::spawn_blocking(move || signalling.join()).await;
        // The watcher and the hooks held the other references; without the last the media threads end.
        let _ = self.watcher.await;
        let _ = self.pools_task.await;
        drop(engine);
        if let Some(recordings) = Arc::into_inner(recordings) {
            let _ = tokio::task::spawn_blocking(move || recordings.join()).await;
        }
        if let Some(feed) = feed {
            feed.stop();
        }
        allocator.stop();
        let _ = tokio::task::spawn_blocking(move || keeper.stop()).await;
        uploads.stop().await;
        let subject = self.config.load().node.id.clone();
        journal.append(Event { time: clock::wall(), subject, body: Body::NodeStopped });
        let flushed = journal.clone();
        let _ = tokio::task::spawn_blocking(move || flushed.flush(Duration::from_secs(5))).await;
        tokio::join!(sinks.shutdown(Duration::from_secs(5)), exports.shutdown(Duration::from_secs(5)));
        let flushed = journal.clone();
        let _ = tokio::task::spawn_blocking(move || flushed.flush(Duration::from_secs(5))).await;
        self.http_stop.send_replace(true);
        let _ = self.http_task.await;
        // Joins its thread, which may be in the middle of a batch.
        let _ = tokio::task::spawn_blocking(move || drop(index)).await;
        tracing::info!("stopped");
    }

    fn say(&self, command: Command) {
        // The thread is gone: there is nobody to tell.
        let _ = self.commands.send(command);
    }

    /// Asks signalling until its counts please.
    async fn quiet(&self, good: impl Fn(crate::core::b2bua::Counts, usize) -> bool) {
        loop {
            let (answer, counts) = oneshot::channel();
            self.say(Command::Counts(answer));
            match counts.await {
                Ok((counts, connected)) if good(counts, connected) => return,
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(_) => return,
            }
        }
    }
}

async fn thread_ends<T>(thread: &JoinHandle<T>) {
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What the last run left: recordings without an end are made whole, calls without an end get one, leases are read.
fn recover(
    journal: &Journal,
    data_dir: &std::path::Path,
    (books, pools): (&Books, &KeeperHandle),
    (config, callers): (&Config, &mut Retelling),
) -> Result<(Vec<LeaseRecord>, lost::Spoken, Spent, lost::Told), StartError> {
    let recipients = Recipients::parse(&config.recording.keep.recipients).map_err(io::Error::other);
    let repaired = recordings::repair(data_dir, &recipients.map_err(at("recordings"))?);
    let mut unfinished = Unfinished::default();
    let mut leases = lost::Leases::default();
    let mut spoken = lost::Spoken::new(config);
    let mut spent = Spent::default();
    let replayed = journal
        .replay(|record| {
            unfinished.observe(record);
            if let Ok((_, event)) = record.event() {
                books.observe(&event);
                leases.observe(&event.body);
                callers.take(&event);
                pools.observe(&event);
                spent.observe(&event);
                spoken.observe(event.body);
            }
        })
        .map_err(at("reading the journal"))?;
    for problem in &replayed.problems {
        tracing::error!(?problem, "damage in the journal: records there are not read");
    }
    let told = lost::finish_calls(journal, data_dir, config, unfinished, repaired);
    Ok((leases.into_records(), spoken, spent, told))
}

fn start_allocator(
    config: &Config,
    journal: &Journal,
    metrics: &Arc<Metrics>,
    table: Arc<LeaseTable>,
    leases: Vec<LeaseRecord>,
) -> AllocatorHandle {
    let (journal, metrics) = (journal.clone(), Arc::clone(metrics));
    let setup = Setup {
        config,
        clock: Arc::new(clock::now),
        seed: seed(),
        table,
        events: Box::new(move |event: Event| {
            if let Body::LeaseGranted(lease) = &event.body {
                metrics.lease_granted(&lease.pool);
            }
            // A full journal counts what it drops.
            let _ = journal.append(event);
        }),
    };
    AllocatorHandle::start(setup, leases.into_iter())
}

fn start_media(
    config: &Config,
    data_dir: &std::path::Path,
    commands: &mpsc::UnboundedSender<Command>,
) -> Result<(Arc<MediaEngine>, Arc<Recordings>), StartError> {
    let (door, taps) = tap::channel();
    // Signalling that is gone wants no notices.
    let notices = commands.clone();
    let engine = MediaEngine::start(&config.media, Arc::new(clock::now), door, move |call, notice| {
        let _ = notices.send(Command::Media(call, notice));
    })
    .map_err(at("media threads"))?;
    let sealed = commands.clone();
    let recordings = Recordings::start(data_dir, &config.recording, taps, move |call, summary| {
        let notice = crate::core::media::MediaNotice::Recorded(Box::new(summary));
        let _ = sealed.send(Command::Media(call, notice));
    })
    .map_err(at("recordings"))?;
    Ok((Arc::new(engine), Arc::new(recordings)))
}

fn live_calls(commands: &mpsc::UnboundedSender<Command>) -> LiveCalls {
    let commands = commands.clone();
    LiveCalls::new(move |call: CallId| {
        let (answer, _) = oneshot::channel();
        commands.send(Command::HangUp(call, "operator", answer)).is_ok()
    })
}

/// The address under which a wildcard listener is known to its peers: the media address of the same IP version.
fn concrete(config: &Config, address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let media = [Some(config.media.address), config.media.address6];
    let fits = |ip: &IpAddr| ip.is_ipv4() == address.is_ipv4() && !ip.is_unspecified();
    let ip = media.into_iter().flatten().find(fits);
    SocketAddr::new(ip.unwrap_or(address.ip()), address.port())
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    // Without the operating system's generator there are no unguessable tags and ids: nothing may start.
    if let Err(error) = getrandom::fill(&mut seed) {
        panic!("the operating system gives no random bytes: {error}");
    }
    seed
}

/// A file that outgrows the process's limit is an error of that write, not the end of the process (`EFBIG` instead of
/// SIGXFSZ, whose default ends it). Catching the signal is enough, and safe code can do it.
fn ignore_file_size_signal() {
    const SIGXFSZ: i32 = 25;
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)) {
        Ok(mut caught) => drop(tokio::spawn(async move { while caught.recv().await.is_some() {} })),
        Err(error) => tracing::warn!(%error, "cannot catch SIGXFSZ"),
    }
}

/// A call holds four sockets: take what the operating system allows without privileges.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
