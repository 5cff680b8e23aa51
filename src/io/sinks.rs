//! Delivery of the journal's events to the outside. The journal is the queue: a sink is a durable cursor in it
//! (`<data_dir>/sinks/<name>.cursor`), written after delivery, so an event is delivered at least once and, per call, in
//! order. A sink that is down keeps its cursor where it is, and nothing else notices.
//!
//! A `jsonl` sink that is new begins with the whole journal, so that its file is complete. A new `webhook` begins with
//! what is appended from then on (for the first configuration of a start: since the journal was opened): a receiver
//! does not want last year's calls.

pub mod guard;

mod files;
mod forget;
mod jsonl;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Sink;
use crate::core::outbox::Rules;
use crate::io::clock;
use crate::io::journal::Journal;
use crate::limits;

pub use webhook::BadWebhook;
pub(in crate::io) use webhook::{Webhook, failure_code, retry_after};

use files::{Cursor, CursorFile, DeadLetters};

/// All sinks of the daemon. Lives on a tokio runtime.
#[derive(Debug)]
pub struct Sinks {
    journal: Journal,
    folder: PathBuf,
    running: BTreeMap<String, Running>,
    /// Where a new webhook of the first configuration begins.
    begin: Option<u64>,
    rules: Rules,
}

/// How a sink is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkStatus {
    pub name: String,
    /// `jsonl` or `webhook`.
    pub kind: &'static str,
    /// Everything up to here is settled.
    pub cursor: u64,
    /// Records behind the journal's newest.
    pub lag: u64,
    /// Events under way or waiting for a retry.
    pub waiting: u64,
    /// Failed attempts since the last success.
    pub failures: u64,
    /// Since the start.
    pub delivered: u64,
    /// Given up since the start.
    pub dead: u64,
    /// Stable code of the last failure.
    pub last_failure: Option<String>,
}

/// A sink that cannot be started; the others go on.
#[derive(Debug, thiserror::Error)]
#[error("sink {name}: {error}")]
pub struct BadSink {
    pub name: String,
    pub error: BadSinkWhy,
}

#[derive(Debug, thiserror::Error)]
pub enum BadSinkWhy {
    #[error("cursor: {0}")]
    Cursor(io::Error),
    #[error("folder of the file: {0}")]
    Folder(io::Error),
    #[error(transparent)]
    Webhook(#[from] BadWebhook),
}

/// What replaying dead letters did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeadReplay {
    pub delivered: u64,
    /// Failed again, and kept.
    pub kept: u64,
}

/// Why dead letters cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum NoReplay {
    #[error("no webhook sink has this name")]
    Unknown,
    #[error("dead letters: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
struct Running {
    sink: Sink,
    status: Arc<Status>,
    order: watch::Sender<Order>,
    task: JoinHandle<()>,
    /// What replaying dead letters needs.
    webhook: Option<(Arc<Webhook>, Arc<DeadLetters>)>,
}

/// What a sink's task is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    /// Deliver what can be delivered now, then end.
    Drain,
    Stop,
}

impl Sinks {
    /// None yet: [`Sinks::apply`] starts them. Call it right after opening the journal.
    pub fn new(journal: Journal, data_dir: &Path) -> io::Result<Sinks> {
        let folder = data_dir.join("sinks");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let begin = Some(journal.last_seq());
        Ok(Sinks { journal, folder, running: BTreeMap::new(), begin, rules: Rules::default() })
    }

    /// Makes `sinks` the running ones: those that are gone or changed are stopped, new and changed ones started from
    /// their cursors, the same ones left alone. Returns those that could not be started.
    pub async fn apply(&mut self, sinks: &[Sink]) -> Vec<BadSink> {
        let kept = |running: &Running| sinks.iter().any(|sink| same(sink, &running.sink));
        let gone: Vec<String> =
            self.running.iter().filter(|(_, running)| !kept(running)).map(|(name, _)| name.clone()).collect();
        for running in gone.iter().filter_map(|name| self.running.remove(name)).collect::<Vec<_>>() {
            running.end(Order::Stop, Duration::from_secs(5)).await;
        }
        let begin = self.begin.take().unwrap_or_else(|| self.journal.last_seq());
        let mut bad = Vec::new();
        for sink in sinks {
            let name = name(sink);
            if !self.running.contains_key(name) {
                match self.start(sink, begin) {
                    Ok(running) => drop(self.running.insert(name.into(), running)),
                    Err(error) => bad.push(BadSink { name: name.into(), error }),
                }
            }
        }
        bad
    }

    pub fn status(&self) -> Vec<SinkStatus> {
        let newest = self.journal.last_seq();
        self.running.iter().map(|(name, running)| running.status.show(name, &running.sink, newest)).collect()
    }

    /// Sends a webhook's dead letters once more, in their order. What fails again is kept.
    pub async fn replay_dead(&self, name: &str) -> Result<DeadReplay, NoReplay> {
        let parts = self.running.get(name).and_then(|running| running.webhook.clone());
        let (webhook, dead) = parts.ok_or(NoReplay::Unknown)?;
        let letters = blocking({
            let dead = dead.clone();
            move || dead.begin_replay()
        });
        let letters = letters.await?;
        if letters.is_empty() {
            return Ok(DeadReplay::default());
        }
        let mut replay = DeadReplay::default();
        for mut letter in letters {
            let id = letter.event["id"].as_str().unwrap_or_default().to_owned();
            match webhook.send(&id, letter.event.to_string(), clock::wall()).await {
                Ok(()) => replay.delivered += 1,
                Err(failure) => {
                    letter.reason = failure.code;
                    letter.attempts = letter.attempts.saturating_add(1);
                    let dead = dead.clone();
                    blocking(move || dead.add(&letter)).await?;
                    replay.kept += 1;
                }
            }
        }
        blocking(move || dead.end_replay()).await?;
        Ok(replay)
    }

    /// Delivers what can be delivered within `patience`, and ends all sinks.
    pub async fn shutdown(&mut self, patience: Duration) {
        let running = std::mem::take(&mut self.running);
        for running in running.values() {
            running.order.send_replace(Order::Drain);
        }
        let until = tokio::time::Instant::now() + patience;
        for running in running.into_values() {
            running.end(Order::Drain, until.saturating_duration_since(tokio::time::Instant::now())).await;
        }
    }

    fn start(&self, sink: &Sink, begin: u64) -> Result<Running, BadSinkWhy> {
        let (journal, status) = (self.journal.clone(), Arc::new(Status::default()));
        let (order, orders) = watch::channel(Order::Run);
        let newest = journal.last_seq();
        let cursor_file = CursorFile::new(&self.folder, name(sink));
        let saved = cursor_file.load().map_err(BadSinkWhy::Cursor)?;
        let saved = saved.map(|saved| {
            if saved.seq <= newest {
                return saved;
            }
            tracing::warn!(sink = name(sink), "the cursor is ahead of the journal, which was replaced");
            Cursor::at(newest)
        });
        let mut parts = None;
        let task = match sink {
            Sink::Jsonl { name, path } => {
                if let Some(folder) = path.parent() {
                    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                    made.map_err(BadSinkWhy::Folder)?;
                }
                let cursor = saved.map_or(0, |saved| saved.seq);
                status.set(cursor, 0, 0);
                let run = jsonl::run(name.clone(), journal, path.clone(), cursor_file, cursor, status.clone(), orders);
                tokio::spawn(run)
            }
            Sink::Webhook { name, url, secret, headers, allow_private } => {
                let webhook = Arc::new(Webhook::new(url, secret, headers, *allow_private, limits::SINK_TIMEOUT)?);
                let dead = Arc::new(DeadLetters::new(&self.folder, name));
                let is_new = saved.is_none();
                let cursor = saved.unwrap_or_else(|| Cursor::at(begin));
                if is_new {
                    cursor_file.save(&cursor).map_err(BadSinkWhy::Cursor)?;
                }
                status.set(cursor.seq, 0, 0);
                parts = Some((webhook.clone(), dead.clone()));
                let (status, name) = (status.clone(), name.clone());
                let seed = name.bytes().fold(cursor.seq, |seed, byte| seed.rotate_left(8) ^ u64::from(byte));
                let rules = self.rules.clone();
                let worker = webhook::Worker { name, journal, webhook, cursor_file, dead, status, cursor, seed, rules };
                tokio::spawn(worker.run(orders))
            }
        };
        Ok(Running { sink: sink.clone(), status, order, task, webhook: parts })
    }
}

impl Running {
    async fn end(mut self, order: Order, patience: Duration) {
        self.order.send_replace(order);
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.order.send_replace(Order::Stop);
            if tokio::time::timeout(Duration::from_secs(1), &mut self.task).await.is_err() {
                self.task.abort();
            }
        }
    }
}

fn name(sink: &Sink) -> &str {
    match sink {
        Sink::Jsonl { name, .. } | Sink::Webhook { name, .. } => name,
    }
}

fn same(a: &Sink, b: &Sink) -> bool {
    match (a, b) {
        (Sink::Jsonl { name: a, path: c }, Sink::Jsonl { name: b, path: d }) => (a, c) == (b, d),
        (
            Sink::Webhook { name, url, secret, headers, allow_private },
            Sink::Webhook { name: name2, url: url2, secret: secret2, headers: headers2, allow_private: allow2 },
        ) => (name, url, secret, headers, allow_private) == (name2, url2, secret2, headers2, allow2),
        _ => false,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Figures that a sink's task leaves for others to read.
#[derive(Debug, Default)]
struct Status {
    cursor: AtomicU64,
    waiting: AtomicU64,
    failures: AtomicU64,
    delivered: AtomicU64,
    dead: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

impl Status {
    fn set(&self, cursor: u64, waiting: usize, failures: u32) {
        self.cursor.store(cursor, Ordering::Relaxed);
        self.waiting.store(waiting as u64, Ordering::Relaxed);
        self.failures.store(failures.into(), Ordering::Relaxed);
    }

    fn on_delivered(&self, count: u64) {
        self.delivered.fetch_add(count, Ordering::Relaxed);
    }

    fn on_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    fn on_failure(&self, code: String) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }

    fn show(&self, name: &str, sink: &Sink, newest: u64) -> SinkStatus {
        let cursor = self.cursor.load(Ordering::Relaxed);
        SinkStatus {
            name: name.into(),
            kind: match sink {
                Sink::Jsonl { .. } => "jsonl",
                Sink::Webhook { .. } => "webhook",
            },
            cursor,
            lag: newest.saturating_sub(cursor),
            waiting: self.waiting.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            dead: self.dead.load(Ordering::Relaxed),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
