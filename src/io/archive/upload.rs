//! Recordings on their way to an S3-compatible storage. The journal is the queue, as it is for sinks: an archive is a
//! durable cursor in it (`<data_dir>/archive/<name>.cursor`).
//!
//! A call that ended has its sound and its sidecar stored; a closed day its manifest; of what is erased here the objects
//! are deleted there, and the manifest is stored again. Names are those of the data folder, so a bucket that is copied back
//! is a folder that `leaseline verify` reads. Calls are stored a few at a time; a deletion or a day waits until what came
//! before it is done, and what comes after waits for it. What the storage refuses is tried again with growing pauses. With
//! `keep_local = false` the sound of a closed day goes from this disk, each file only after the storage has named its hash
//! once more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::place::Place;
use super::s3::{Failure, Store};
use super::{Archive, days, write_whole};
use crate::config::S3;
use crate::core::archive::manifest::{Change, State, What};
use crate::core::event::cloud;
use crate::core::event::{ArchivedData, Body, RecordingData};
use crate::ids::CallId;
use crate::io::clock;
use crate::io::recordings::names::{self, Kind, MANIFEST};
use crate::limits;

/// The running uploads, and what asks for time stamps.
#[derive(Debug, Default)]
pub struct Uploads {
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Uploads {
    /// Starts a task for every archive of the configuration, and one for time stamps, on the runtime it is called in.
    ///
    /// # Errors
    /// Which archive cannot be used, and why.
    pub fn start(archive: &Arc<Archive>) -> Result<Uploads, String> {
        let uploads = Uploads::default();
        let config = archive.config.load_full();
        let mut tasks = Vec::new();
        for rules in &config.archives {
            let store = Store::new(rules).map_err(|why| format!("archive {}: {why}", rules.name))?;
            let upload = Upload { archive: Arc::clone(archive), rules: rules.clone(), store };
            tasks.push(tokio::spawn(Arc::new(upload).run(uploads.stop.subscribe())));
        }
        if let Some(rules) = &config.recording.keep.time_authority {
            let stamps = super::stamp::run(Arc::clone(archive), rules.clone(), uploads.stop.subscribe());
            tasks.push(tokio::spawn(stamps));
        }
        Ok(Uploads { tasks, ..uploads })
    }

    /// Ends them; what is under way is begun again at the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for mut task in self.tasks {
            if tokio::time::timeout(Duration::from_secs(2), &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// One archive.
#[derive(Debug)]
struct Upload {
    archive: Arc<Archive>,
    rules: S3,
    store: Store,
}

/// Something that is to be done because of one event.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    Store { call: CallId, path: String, sha256: Option<String> },
    Delete { call: CallId, file: Option<String> },
    Day(String),
}

impl Upload {
    async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut follow = self.archive.journal.follow(self.load());
        loop {
            let records = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                records = follow.next(limits::UPLOAD_BATCH) => records,
            };
            let records = match records {
                Ok(records) => records,
                Err(error) => {
                    tracing::error!(archive = self.rules.name, %error, "the journal cannot be read");
                    tokio::time::sleep(limits::JOURNAL_RETRY).await;
                    continue;
                }
            };
            // The cursor stays in front of what is not done: after an end in between it is asked for once more.
            let mut stores = Vec::new();
            for record in records {
                let newest = self.archive.journal.last_seq();
                self.archive.figures.upload_lag.set(i64::try_from(newest.saturating_sub(record.seq)).unwrap_or(0));
                let next = match work(&record.event) {
                    Some(store @ Work::Store { .. }) => {
                        stores.push(store);
                        continue;
                    }
                    Some(other) => other,
                    None => continue,
                };
                let done = async {
                    self.store_all(std::mem::take(&mut stores)).await;
                    self.insist(&next).await;
                };
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = done => self.save(record.seq),
                }
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.store_all(stores) => self.save(follow.position()),
            }
        }
    }

    /// Stores calls, a few at once. Whoever stops waiting ends them.
    async fn store_all(self: &Arc<Self>, stores: Vec<Work>) {
        let waiting = &self.archive.figures.uploads_waiting;
        let mut left = i64::try_from(stores.len()).unwrap_or(i64::MAX);
        waiting.set(left);
        let mut running = JoinSet::new();
        for store in stores {
            if running.len() >= limits::UPLOADS_AT_ONCE {
                running.join_next().await;
                left -= 1;
                waiting.set(left);
            }
            let upload = Arc::clone(self);
            running.spawn(async move { upload.insist(&store).await });
        }
        while running.join_next().await.is_some() {
            left -= 1;
            waiting.set(left);
        }
    }

    /// Does it, however often it takes. What can never be done is told and left.
    async fn insist(&self, work: &Work) {
        let mut pause = Duration::from_secs(1);
        for attempt in 1_u32.. {
            let failure = match self.once(work).await {
                Ok(()) => return,
                Err(failure) => failure,
            };
            self.archive.figures.upload_failures.inc();
            tracing::warn!(archive = self.rules.name, code = %failure, attempt, "not archived yet");
            let hopeless = match &failure {
                Failure::ChangedFile => true,
                Failure::Status(400 | 413) => attempt >= 3,
                _ => false,
            };
            if hopeless || attempt == limits::UPLOAD_ALARM_AFTER {
                let what = format!("archive {}: {work:?}: {failure}", self.rules.name);
                let mut turn = self.archive.turn();
                self.archive.alarm(&mut turn, "upload_failing", &what, what.clone());
            }
            if hopeless {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(limits::UPLOAD_PAUSE_MAX);
        }
    }

    async fn once(&self, work: &Work) -> Result<(), Failure> {
        match work {
            Work::Store { call, path, sha256 } => self.store_call(*call, path, sha256.as_deref()).await,
            Work::Delete { call, file } => self.delete_call(*call, file.as_deref()).await,
            Work::Day(day) => self.store_day(day).await,
        }
    }

    async fn store_call(&self, call: CallId, path: &str, sha256: Option<&str>) -> Result<(), Failure> {
        let Some((relative, _)) = names::parse_sealed(path) else { return Ok(()) };
        let file = self.archive.data_dir.join(&relative);
        // Erased since, or kept in another form.
        if !file.exists() {
            return Ok(());
        }
        let (size, stored) = self.store.put(path, &file, sha256).await?;
        let sidecar = names::beside(&relative, call, Kind::Sidecar);
        self.wait_for_sidecar(&sidecar).await;
        self.store_file(&sidecar).await?;
        self.store_file(&relative.with_file_name(MANIFEST)).await?;
        self.archive.figures.uploads.inc();
        let archived = ArchivedData {
            call_id: call,
            archive: self.rules.name.clone(),
            path: self.store.url(path),
            size,
            original_sha256: sha256.unwrap_or(&stored).to_owned(),
            sha256: stored,
        };
        self.archive.tell(clock::wall(), call.to_string(), Body::RecordingArchived(archived));
        Ok(())
    }

    /// It is written at the same time as the event that led here.
    async fn wait_for_sidecar(&self, sidecar: &Path) {
        for _ in 0..10 {
            if self.archive.data_dir.join(sidecar).exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A file that may be gone: then there is nothing to store.
    async fn store_file(&self, relative: &Path) -> Result<(), Failure> {
        let name = relative.to_string_lossy();
        match self.store.put(&name, &self.archive.data_dir.join(relative), None).await {
            Err(Failure::Disk(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    async fn delete_call(&self, call: CallId, file: Option<&str>) -> Result<(), Failure> {
        let Some(place) = Place::find(&self.archive.data_dir, call) else { return Ok(()) };
        let Ok(folder) = place.folder.strip_prefix(&self.archive.data_dir) else { return Ok(()) };
        let mut gone: Vec<String> = [Kind::Sealed, Kind::Encrypted, Kind::Flac, Kind::Opus, Kind::Sidecar]
            .map(|kind| names::file(call, kind))
            .into_iter()
            .collect();
        gone.extend(file.filter(|file| names::parse(file).is_some()).map(str::to_owned));
        gone.sort();
        gone.dedup();
        for name in gone {
            self.store.delete(&folder.join(name).to_string_lossy()).await?;
        }
        self.store_file(&folder.join(MANIFEST)).await
    }

    async fn store_day(&self, day: &str) -> Result<(), Failure> {
        let folder: PathBuf = ["recordings"].into_iter().chain(day.split('-')).collect();
        if !self.rules.keep_local {
            self.let_go(&folder).await?;
        }
        self.store_file(&folder.join(MANIFEST)).await
    }

    /// Removes the sound of a closed day from this disk, each file after the storage has named its hash.
    async fn let_go(&self, folder: &Path) -> Result<(), Failure> {
        let here = self.archive.data_dir.join(folder);
        let manifest = match days::load(&here) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        // One that is damaged cannot say what went.
        if !manifest.flaws(None).is_empty() {
            return Ok(());
        }
        for (call, state) in manifest.states() {
            let State::Here(record) = state else { continue };
            let held = here.join(names::file(call, Kind::Hold)).exists();
            let file = here.join(&record.file);
            if held || names::parse(&record.file).is_none_or(|(of, _)| of != call) || !file.exists() {
                continue;
            }
            let name = folder.join(&record.file);
            self.store.put(&name.to_string_lossy(), &file, Some(&record.sha256)).await?;
            let (by, why) = ("archive".to_owned(), format!("kept in {}", self.rules.name));
            let change = Change { at: clock::wall(), call_id: call, what: What::Moved, by, why, record: None };
            let mut turn = self.archive.turn();
            // The manifest says so before the bytes go: a crash between leaves a file too many, never one too few.
            self.archive.add_change(&mut turn, &here, change)?;
            std::fs::remove_file(&file)?;
        }
        Ok(())
    }

    fn cursor(&self) -> PathBuf {
        self.archive.data_dir.join("archive").join(format!("{}.cursor", self.rules.name))
    }

    /// A new archive begins with the oldest recording.
    fn load(&self) -> u64 {
        let text = std::fs::read_to_string(self.cursor()).unwrap_or_default();
        let saved: u64 = text.trim().parse().unwrap_or(0);
        saved.min(self.archive.journal.last_seq())
    }

    fn save(&self, seq: u64) {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = self.cursor();
        let folder = path.parent().unwrap_or(Path::new(""));
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        if let Err(error) = made.and_then(|()| write_whole(&path, seq.to_string().as_bytes())) {
            // After a crash the same is asked of the storage once more, which changes nothing.
            tracing::warn!(archive = self.rules.name, %error, "cannot save the cursor");
        }
    }
}

/// What an event of the journal asks for.
fn work(event: &str) -> Option<Work> {
    let kind = cloud::head(event).ok()?.kind.into_owned();
    let wanted = [
        "leaseline.call.ended",
        "leaseline.recording.recovered",
        "leaseline.recording.erased",
        "leaseline.recording.archived",
        "leaseline.archive.day_closed",
        "leaseline.archive.day_stamped",
    ];
    if !wanted.contains(&kind.as_str()) {
        return None;
    }
    match cloud::from_json(event).ok()?.1.body {
        Body::CallEnded(call) => {
            let recording = call.recording?;
            Some(Work::Store { call: call.call_id, path: recording.path?, sha256: recording.sha256 })
        }
        // Of a call whose end was told before: nothing else leads to it.
        Body::RecordingRecovered(RecordingData { call_id, recording }) => {
            Some(Work::Store { call: call_id, path: recording.path?, sha256: recording.sha256 })
        }
        Body::RecordingErased(erased) => Some(Work::Delete { call: erased.call_id, file: erased.file }),
        Body::RecordingArchived(archived) if ["flac", "opus"].contains(&archived.archive.as_str()) => {
            Some(Work::Store { call: archived.call_id, path: archived.path, sha256: Some(archived.sha256) })
        }
        Body::ArchiveDayClosed(day) => Some(Work::Day(day.day)),
        Body::ArchiveDayStamped(stamped) => Some(Work::Day(stamped.day)),
        _ => None,
    }
}
