//! Exports at work: each `[[export]]` has a place in the journal, a file of its own (`<data_dir>/exports/<name>.db`) and a
//! task. What is to be told, to whom and how is decided in [`crate::core::export`].
//!
//! A delivery is made in the transaction that takes the event it follows from; a batch is formed, its attempt counted, and
//! every step of its conversation written down before it is taken. So a crash between any two steps leaves either nothing
//! done or something that the next start finishes, with the same ids.

mod client;
mod intake;
mod pen;
mod rehearse;
mod store;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::config::export::Export;
use crate::core::export::destination;
use crate::io::clock;
use crate::io::journal::Journal;

pub use client::BadClient;
pub use rehearse::{FilterWanted, NoRehearsal, Rehearsal, Wanted};
pub use store::{Counts, Logged, State, StoreError};

use client::Client;
use store::Store;
use worker::{Order, Status, Worker};

/// All exports of the daemon. Lives on a tokio runtime.
#[derive(Debug)]
pub struct Exports {
    journal: Journal,
    data_dir: PathBuf,
    folder: PathBuf,
    running: Mutex<BTreeMap<String, Arc<Running>>>,
    config: ArcSwap<Config>,
    /// Where a new export of the first configuration begins.
    begin: Mutex<Option<u64>>,
}

#[derive(Debug)]
struct Running {
    export: Arc<Export>,
    store: Arc<Store>,
    client: Arc<Client>,
    status: Arc<Status>,
    order: watch::Sender<Order>,
    wake: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// An export that cannot be started; the others go on.
#[derive(Debug, thiserror::Error)]
#[error("export {name}: {error}")]
pub struct BadExport {
    pub name: String,
    pub error: BadExportWhy,
}

#[derive(Debug, thiserror::Error)]
pub enum BadExportWhy {
    #[error("its file: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Client(#[from] BadClient),
}

/// How an export is doing.
#[derive(Clone, Debug, Serialize)]
pub struct ExportStatus {
    pub name: String,
    pub kind: &'static str,
    pub company: Option<String>,
    /// The journal is taken in up to here.
    pub cursor: u64,
    /// Records behind the journal's newest.
    pub lag: u64,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Stable code of the last failure.
    pub last_failure: Option<String>,
    pub deliveries: Counts,
}

/// Why something could not be asked of an export.
#[derive(Debug, thiserror::Error)]
pub enum NoExport {
    #[error("no export has this name")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Exports {
    /// None yet: [`Exports::apply`] starts them. Call it right after opening the journal.
    pub fn new(journal: Journal, config: Arc<Config>) -> io::Result<Exports> {
        let data_dir = config.node.data_dir.clone();
        let folder = data_dir.join("exports");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let begin = Mutex::new(Some(journal.last_seq()));
        let running = Mutex::default();
        Ok(Exports { journal, data_dir, folder, running, config: ArcSwap::new(config), begin })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the exports of this configuration the running ones: those that are gone or changed are stopped, new and
    /// changed ones started where they stood. Returns those that could not be started.
    pub async fn apply(self: &Arc<Self>, config: Arc<Config>) -> Vec<BadExport> {
        let exports = config.exports.clone();
        self.config.store(config);
        let gone: Vec<Arc<Running>> = {
            let mut running = self.running();
            let kept = |known: &Export| exports.iter().any(|export| **export == *known);
            let names: Vec<String> = running.iter().filter(|(_, r)| !kept(&r.export)).map(|(n, _)| n.clone()).collect();
            names.iter().filter_map(|name| running.remove(name)).collect()
        };
        for running in gone {
            running.end(Order::Stop, Duration::from_secs(5)).await;
        }
        let begin = self.begin.lock().unwrap_or_else(PoisonError::into_inner).take();
        let begin = begin.unwrap_or_else(|| self.journal.last_seq());
        let mut bad = Vec::new();
        for export in exports {
            if self.running().contains_key(&export.name) {
                continue;
            }
            match self.start(&export, begin) {
                Ok(running) => drop(self.running().insert(export.name.clone(), Arc::new(running))),
                Err(error) => bad.push(BadExport { name: export.name.clone(), error }),
            }
        }
        bad
    }

    fn start(self: &Arc<Self>, export: &Arc<Export>, begin: u64) -> Result<Running, BadExportWhy> {
        let store = Arc::new(open(&self.folder, &export.name, if export.history { 0 } else { begin })?);
        let client = Arc::new(Client::new(export, &self.data_dir)?);
        let status = Arc::new(Status::default());
        let (order, orders) = watch::channel(Order::Run);
        let wake = Arc::new(Notify::new());
        let current = Arc::clone(self);
        let worker = Worker {
            export: Arc::clone(export),
            destination: destination(export),
            store: Arc::clone(&store),
            client: Arc::clone(&client),
            journal: self.journal.clone(),
            status: Arc::clone(&status),
            config: Box::new(move || current.config.load_full()),
            wake: Arc::clone(&wake),
            trip: worker::Trip::default(),
        };
        let task = Mutex::new(Some(tokio::spawn(worker.run(orders))));
        Ok(Running { export: Arc::clone(export), store, client, status, order, wake, task })
    }

    /// How all of them are doing, by name. Reads their files: call it where blocking is allowed.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn status(&self) -> Result<Vec<ExportStatus>, StoreError> {
        let running: Vec<Arc<Running>> = self.running().values().cloned().collect();
        let newest = self.journal.last_seq();
        running.iter().map(|running| running.show(newest)).collect()
    }

    /// Lines of the delivery log of one, newest first.
    ///
    /// # Errors
    /// There is none of this name, or its file cannot be read.
    pub fn deliveries(
        &self,
        name: &str,
        before: Option<i64>,
        state: Option<State>,
        call: Option<&str>,
        max: usize,
    ) -> Result<Vec<Logged>, NoExport> {
        Ok(self.one(name)?.store.log(before, state, call, max)?)
    }

    /// Tries rejected and dead deliveries again: these, or all. Gives how many.
    ///
    /// # Errors
    /// There is none of this name, or its file cannot be written.
    pub fn replay(&self, name: &str, ids: Option<&[String]>) -> Result<usize, NoExport> {
        let running = self.one(name)?;
        let revived = running.store.transaction(|pen| pen.revive(ids, clock::wall()))?;
        running.wake.notify_one();
        Ok(revived)
    }

    /// What one would be sent, and what of it differs from what it was sent; the destination is only asked when it can be
    /// asked without counting.
    ///
    /// # Errors
    /// There is none of this name, what is wanted is not good, or its file cannot be read.
    pub async fn rehearse(&self, name: &str, wanted: Wanted) -> Result<Rehearsal, NoRehearsal> {
        let running = self.one(name).map_err(NoRehearsal::Export)?;
        rehearse::rehearse(&running.export, &running.store, &running.client, &self.config.load_full(), wanted).await
    }

    fn one(&self, name: &str) -> Result<Arc<Running>, NoExport> {
        self.running().get(name).cloned().ok_or(NoExport::Unknown)
    }

    /// The company of one; `None`: there is none of this name. Inside: of all companies.
    pub fn company_of(&self, name: &str) -> Option<Option<String>> {
        self.one(name).ok().map(|running| running.export.company.clone())
    }

    /// Sends what can be sent within `patience`, and ends all of them.
    pub async fn shutdown(&self, patience: Duration) {
        let running = std::mem::take(&mut *self.running());
        for running in running.values() {
            running.order.send_replace(Order::Drain);
        }
        let until = tokio::time::Instant::now() + patience;
        for running in running.values() {
            running.end(Order::Drain, until.saturating_duration_since(tokio::time::Instant::now())).await;
        }
    }
}

impl Running {
    async fn end(&self, order: Order, patience: Duration) {
        self.order.send_replace(order);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            self.order.send_replace(Order::Stop);
            if tokio::time::timeout(Duration::from_secs(1), &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    fn show(&self, newest: u64) -> Result<ExportStatus, StoreError> {
        let cursor = self.store.kept("cursor")?.unwrap_or(0);
        let (failures, last_failure) = self.status.show();
        Ok(ExportStatus {
            name: self.export.name.clone(),
            kind: self.export.kind.name(),
            company: self.export.company.clone(),
            cursor,
            lag: newest.saturating_sub(cursor),
            failures,
            last_failure,
            deliveries: self.store.counts()?,
        })
    }
}

/// Opens the file of an export; a new one tells of what comes after `begin`.
fn open(folder: &Path, name: &str, begin: u64) -> Result<Store, StoreError> {
    let path = folder.join(format!("{name}.db"));
    // It has people's numbers in it.
    let file = {
        use std::os::unix::fs::OpenOptionsExt as _;
        std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?
    };
    drop(file);
    let store = Store::open(&path)?;
    store.transaction(|pen| {
        if pen.kept::<u64>("begin")?.is_none() {
            let mut id = [0; 8];
            getrandom::fill(&mut id).map_err(|error| StoreError::Io(io::Error::other(error.to_string())))?;
            pen.keep("id", &format!("{:016x}", u64::from_be_bytes(id)))?;
            pen.keep("begin", &begin)?;
            pen.keep("cursor", &0)?;
        }
        Ok(())
    })?;
    Ok(store)
}
