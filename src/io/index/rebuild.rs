//! A new index from the journal: beside the running one, or without a daemon.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde::Serialize;
use tokio::sync::mpsc;

use super::settings::Settings;
use super::writer::{Live, beside as new_path, discard, replace};
use super::{FILE, IndexError, Order, Shared};
use crate::config::Config;
use crate::io::journal::Journal;

/// How far a rebuild is: records taken in, of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub seq: u64,
    pub of: u64,
}

/// Makes the index of a data folder anew, while no daemon runs on it; `told` hears of progress.
///
/// # Errors
/// The disk refuses, or the journal cannot be read. The index that was there is there.
pub fn rebuild_offline(
    data_dir: &Path,
    journal: &Journal,
    config: &Config,
    mut told: impl FnMut(Progress),
) -> Result<Progress, IndexError> {
    let path = data_dir.join(FILE);
    let made = make(&new_path(&path), journal, &Settings::of(config), |progress| {
        told(progress);
        true
    });
    match made {
        Ok(progress) => {
            replace(&path)?;
            Ok(progress.unwrap_or_default())
        }
        Err(error) => {
            discard(&new_path(&path));
            Err(error)
        }
    }
}

/// On a thread of its own. When the new index stands ready the writing thread is told, who swaps.
pub(super) fn beside(shared: &Arc<Shared>, back: mpsc::WeakUnboundedSender<Order>) -> Option<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let path = new_path(&shared.path);
    let run = move || {
        let settings = shared.settings.load_full();
        shared.status().rebuild = Some(Progress { seq: 0, of: shared.journal.last_seq() });
        let made = make(&path, &shared.journal, &settings, |progress| {
            shared.status().rebuild = Some(progress);
            back.strong_count() > 0
        });
        match (made, back.upgrade()) {
            (Ok(Some(_)), Some(orders)) => drop(orders.send(Order::Swap)),
            (Ok(_), _) => discard(&path),
            (Err(error), _) => {
                tracing::error!(%error, "the index cannot be made anew; the old one serves on");
                shared.status().rebuild = None;
                discard(&path);
            }
        }
    };
    std::thread::Builder::new()
        .name("reindex".into())
        .spawn(run)
        .inspect_err(|error| tracing::error!(%error, "the index cannot be made anew"))
        .ok()
}

/// From the first record to the newest. `go_on` is told after every batch; `None`: it wanted no more.
fn make(
    path: &Path,
    journal: &Journal,
    settings: &Settings,
    mut go_on: impl FnMut(Progress) -> bool,
) -> Result<Option<Progress>, IndexError> {
    discard(path);
    let mut live = Live::fresh(path, settings)?;
    loop {
        let more = live.step(journal)?;
        let progress = Progress { seq: live.seq, of: journal.last_seq() };
        if !go_on(progress) {
            return Ok(None);
        }
        if !more {
            return Ok(Some(progress));
        }
    }
}
