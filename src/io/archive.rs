//! Recordings after their seal. One thread, *archive*, closes days (manifests with Merkle roots, signed), erases what is
//! due and finishes what a crash cut short; the API erases and holds through the same [`Archive`], one at a time.
//!
//! What it changes are files whose names are ours (`recordings::names`) below `<data_dir>/recordings`; whatever else lies
//! there is left alone. Nothing here runs on the threads of calls.

mod days;
mod disk;
mod erase;
pub(in crate::io) mod flac;
mod keeper;
pub mod keys;
pub(in crate::io) mod opus;
mod pack;
mod place;
pub(in crate::io) mod s3;
mod stamp;
mod stamps;
#[cfg(test)]
mod tests;
mod upload;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::core::archive::retention::ClockWatch;
use crate::core::archive::sign::{PublicKey, SigningKey};
use crate::core::event::{AlarmData, Body, Event};
use crate::io::clock;
use crate::io::journal::Journal;
use crate::io::metrics::Archive as Figures;
use crate::time::Wall;

pub use erase::{Erasure, NotDone, Subject};
pub use keeper::Keeper;
pub use stamps::{StampsVerified, verify_stamps};
pub use upload::Uploads;
pub use verify::{DaysVerified, verify_days};

/// See the module.
#[derive(Debug)]
pub struct Archive {
    data_dir: PathBuf,
    node: String,
    config: Arc<ArcSwap<Config>>,
    journal: Journal,
    key: SigningKey,
    /// Manifests, tombstones and holds are changed by one at a time.
    turn: Mutex<Turn>,
    figures: Figures,
    /// Wakes who asks for time stamps.
    day_closed: tokio::sync::Notify,
}

/// What whoever has the turn knows.
#[derive(Debug, Default)]
struct Turn {
    /// The day closed last, and its root; `None` until it was looked for.
    tip: Option<Option<crate::core::archive::manifest::Previous>>,
    clock: ClockWatch,
    disk: crate::core::archive::disk::DiskWatch,
    /// Codes of alarms that were given; each is given once a start.
    alarmed: Vec<String>,
}

impl Archive {
    /// Opens the archive of this data folder; makes the signing key when there is none.
    pub fn open(config: Arc<ArcSwap<Config>>, journal: Journal, figures: Figures) -> io::Result<Archive> {
        let now = config.load();
        let key = keys::load_or_make(&now.recording.keep.signing_key_file)?;
        let (data_dir, node) = (now.node.data_dir.clone(), now.node.id.clone());
        drop(now);
        let (turn, day_closed) = Default::default();
        Ok(Archive { data_dir, node, config, journal, key, turn, figures, day_closed })
    }

    /// What signs the manifests.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    fn recordings(&self) -> PathBuf {
        self.data_dir.join("recordings")
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, at: Wall, subject: String, body: Body) {
        if !self.journal.append(Event { time: at, subject, body }) {
            tracing::error!("the journal is full: an event of the archive was dropped and counted");
        }
    }

    /// Tells of something that a person must look at; the same once a start.
    fn alarm(&self, turn: &mut Turn, code: &str, about: &str, detail: String) {
        let key = format!("{code} {about}");
        if turn.alarmed.contains(&key) || turn.alarmed.len() >= crate::limits::ARCHIVE_ALARMS {
            return;
        }
        turn.alarmed.push(key);
        self.figures.alarms.inc();
        tracing::error!(code, about, detail, "archive");
        let body = Body::ArchiveAlarm(AlarmData { code: code.to_owned(), detail });
        self.tell(clock::wall(), self.node.clone(), body);
    }
}

/// Writes a small file whole or not at all (0600), durably: a reader sees the old one or the new one.
pub(in crate::io) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_as(path, bytes, 0o600)
}

/// The same with another mode, for files that others read, too.
pub(in crate::io) fn write_whole_as(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::io::Write as _;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let mut file = create(&temporary, mode)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    sync_folder(path)
}

/// A new file for its owner only, or an old one emptied; never a link's target.
fn private(path: &Path) -> io::Result<std::fs::File> {
    create(path, 0o600)
}

fn create(path: &Path, mode: u32) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = nix::fcntl::OFlag::O_NOFOLLOW.bits();
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).custom_flags(flags).open(path)
}

/// Makes new names and removals beside `path` durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}
