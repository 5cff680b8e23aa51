//! The index: an SQLite file that answers what people ask of the past, `<data_dir>/index.sqlite`. A projection of the
//! journal and of nothing else: it may be thrown away at any time, and is made again from there.
//!
//! One thread writes ([`writer`]): it follows the journal and keeps its place in the same transaction as the rows, so an end
//! at any moment leaves neither a gap nor a row twice. Many read, each in a transaction of its own, and nobody waits for the
//! other (write-ahead log). Calls never wait for the index: when its disk is full or the file is damaged, it falls behind or
//! is made anew, and says so.
//!
//! The tables are in `schema`; sums of days are kept ready, so that a report reads some thousand rows however many calls
//! there were.

mod calls;
mod contacts;
pub mod generate;
mod imports;
mod names;
mod project;
mod reader;
mod rebuild;
pub mod report;
mod schema;
mod settings;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::io::journal::Journal;
use crate::limits;

pub use calls::{
    Brief, CallDetail, CallFacts, CallView, Comment, Deal, Export, Filter, Page, Phase, Score, Touched, Version,
    WebVisit,
};
pub use contacts::{Consent, Contact, ContactFilter, Contacts, Place};
pub use imports::CostImport;
pub use names::UNKNOWN;
pub use reader::Reader;
pub use rebuild::{Progress, rebuild_offline};
pub use settings::{Calendar, CompanySettings, Settings, day_text, parse_day};

/// Name of the file in the data folder.
pub const FILE: &str = "index.sqlite";

/// The index. Clones are the same one; the last one dropped stops its thread.
#[derive(Clone, Debug)]
pub struct Index {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// Why the index gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] std::io::Error),
    /// All readers are at work.
    #[error("too many questions at once")]
    Busy,
    /// The file is not there yet.
    #[error("the index is being made")]
    Building,
    /// What was asked makes no sense; in words.
    #[error("{0}")]
    Bad(String),
}

/// How the index stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    pub state: State,
    /// Number of the journal's last record that is in it, and of the journal's newest.
    pub seq: u64,
    pub journal_seq: u64,
    /// A rebuild beside the running index, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Progress>,
    /// Rebuilds that came to their end since the start.
    pub rebuilt: u64,
}

/// See [`Status`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The past is being taken in.
    #[default]
    Building,
    Following,
    /// The disk refuses; it is tried again.
    Refused,
}

/// What the writing thread is asked.
#[derive(Debug)]
enum Order {
    /// Make a new file from the journal while this one serves, and swap.
    Rebuild,
    /// A new file stands ready.
    Swap,
    Configure(Arc<Settings>),
    /// A reader found the file damaged.
    Damaged,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    journal: Journal,
    settings: ArcSwap<Settings>,
    readers: reader::Readers,
    /// Number of the last record that is in the index.
    position: watch::Sender<u64>,
    status: Mutex<Status>,
}

/// The way to the writing thread, which ends when this goes.
#[derive(Debug)]
struct Thread {
    orders: Option<mpsc::UnboundedSender<Order>>,
    handle: Option<JoinHandle<()>>,
}

impl Index {
    /// Starts the index of a data folder. Waits for nothing: what is missing or damaged is made behind the scenes.
    ///
    /// # Errors
    /// There are no threads left.
    pub fn start(data_dir: &Path, journal: Journal, config: &Config) -> std::io::Result<Index> {
        let shared = Arc::new(Shared {
            path: data_dir.join(FILE),
            journal,
            settings: ArcSwap::from_pointee(Settings::of(config)),
            readers: reader::Readers::default(),
            position: watch::Sender::new(0),
            status: Mutex::default(),
        });
        let (orders, inbox) = mpsc::unbounded_channel();
        let (of_thread, back) = (Arc::clone(&shared), orders.downgrade());
        let run = move || writer::run(&of_thread, inbox, &back);
        let handle = std::thread::Builder::new().name("index".into()).spawn(run)?;
        Ok(Index { shared, thread: Arc::new(Thread { orders: Some(orders), handle: Some(handle) }) })
    }

    /// Reads, in one transaction; call it where blocking is allowed. What was journaled a moment ago may not be there yet:
    /// see [`Index::ask`].
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let answer = self.shared.readers.read(&self.shared, read);
        if let Err(IndexError::Sql(error)) = &answer
            && writer::is_damage(error)
        {
            self.order(Order::Damaged);
        }
        answer
    }

    /// Reads all that was journaled until now, on a thread where blocking is allowed. An index that is far behind or
    /// whose disk refuses answers with what it has.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        self.caught_up().await;
        let index = self.clone();
        let answer = tokio::task::spawn_blocking(move || index.read(read)).await;
        answer.unwrap_or_else(|failed| Err(IndexError::Journal(std::io::Error::other(failed))))
    }

    /// Waits a moment for what was journaled before.
    pub async fn caught_up(&self) {
        let goal = self.shared.journal.last_seq();
        let mut position = self.shared.position.subscribe();
        let behind = goal.saturating_sub(*position.borrow());
        if behind > 0 && behind < limits::INDEX_NEAR {
            let there = position.wait_for(|position| *position >= goal);
            let _ = tokio::time::timeout(limits::INDEX_PATIENCE, there).await;
        }
    }

    pub fn status(&self) -> Status {
        let mut status = *self.shared.status();
        (status.seq, status.journal_seq) = (*self.shared.position.borrow(), self.shared.journal.last_seq());
        status
    }

    /// Makes it anew from the journal, beside the running one, which serves until the new one takes its place.
    pub fn rebuild(&self) {
        self.order(Order::Rebuild);
    }

    /// Another configuration is in force: figures that depend on it are made anew.
    pub fn configure(&self, config: &Config) {
        let settings = Arc::new(Settings::of(config));
        self.shared.settings.store(Arc::clone(&settings));
        self.order(Order::Configure(settings));
    }

    /// Waits for all that was journaled before.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        let goal = self.shared.journal.last_seq();
        let mut position = self.shared.position.subscribe();
        // On a thread and a runtime of its own: the caller may be inside of one.
        let wait = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(position.wait_for(|position| *position >= goal)).map(|_| ()).unwrap();
        };
        std::thread::spawn(wait).join().unwrap();
    }

    fn order(&self, order: Order) {
        // The thread is gone: it has said why.
        let _ = self.thread.orders.as_ref().map(|orders| orders.send(order));
    }
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the index's thread panicked");
        }
    }
}
