//! The journal: the only durable truth. Leases, calls and the sinks' cursors are projections of it and can be rebuilt.
//!
//! # On the disk
//!
//! `<data_dir>/journal/` has segments, each named by the number of its first record (`00000000000000000001.jsonl`). A
//! record is one line of JSON in exactly this shape, without spaces:
//!
//! ```text
//! {"seq":2,"prev":"<hash of record 1>","event":{…CloudEvents 1.0…},"hash":"<hash of this record>"}
//! ```
//!
//! * `hash` is the SHA-256 of the line up to, not including, `,"hash":"`: of all but its last 75 bytes.
//! * `prev` is the `hash` of the record before it, in the segment before when it is a segment's first; 64 zeros in
//!   record 1. It stands inside the hashed part, so a record vouches for all before it.
//! * `seq` counts from 1 without holes.
//!
//! An auditor needs no program of ours. Record by record: `sed -n 2p SEGMENT | head -c -76 | sha256sum` (76: the line's
//! end too) gives what `sed -n 2p SEGMENT | jq -r .hash` says, and `jq -r .prev` of each line is `.hash` of the one
//! before it. The chain shows change, not loss of the newest records: for that, keep the last hash elsewhere.
//!
//! # What is promised
//!
//! * A record is shown to anybody (followers, sinks, the API) only when it is on the disk, fsync included.
//! * [`Journal::append`] waits for nobody. When the disk refuses, a bounded number of events waits in memory, writing
//!   is tried again every second, and what did not fit is counted, and told by a `leaseline.events.dropped` event.
//! * A torn last write is cut at the next start. Damage before that is never passed over in silence: a start either
//!   refuses, naming file, line and problem, or goes on in a new segment whose first record
//!   (`leaseline.journal.damaged`) names the last good record.
//! * Two daemons never write one journal: `<data_dir>/journal/lock` is locked.

mod record;
mod segment;
#[cfg(test)]
pub(crate) mod tests;
mod unfinished;
mod verify;
mod writer;

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::core::event::{Body, DamageData, Event};
use crate::io::clock;
use crate::limits;

pub use record::{Hash, Problem, Record, RecordView};
pub use unfinished::{Unfinished, lost_in_crash};
pub use verify::{Found, Report, read_journal, verify_journal};

use segment::{Chain, End, Scan, Segment};
use writer::{Files, Recent, Storage, Tip, Writer};

/// The open journal. Clones are the same journal; the last one dropped writes what is queued and closes it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    writer: Arc<WriterThread>,
}

/// How to open a journal.
#[derive(Clone, Debug)]
pub struct Options {
    /// CloudEvents `source` of what this node writes: `leaseline/<node id>`.
    pub source: String,
    /// Event ids are made from it and the record's number.
    pub seed: [u8; 32],
    pub on_damage: OnDamage,
}

/// What to do when the newest segment is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// [`OpenError::Damaged`].
    Refuse,
    /// Leave the segment as it is and go on in a new one, whose first record says so.
    GoOn,
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Number of the newest record, 0 in an empty journal. A damage record written at opening is not counted.
    pub last_seq: u64,
    pub segments: usize,
    /// Bytes of a torn last write that were cut.
    pub torn_bytes: u64,
    /// Set when the journal goes on behind damage.
    pub damage: Option<DamageData>,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is used by another leaseline (process {by}); one data folder serves one daemon", .path.display())]
    Locked { path: PathBuf, by: String },
    #[error(
        "journal damaged in {} at byte {}: {}. The last good record is {} ({})",
        .0.file, .0.offset, .0.problem, .0.last_good_seq, .0.last_good_hash
    )]
    Damaged(DamageData),
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Figures for metrics and readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Newest record on the disk.
    pub last_seq: u64,
    /// Events that wait for the disk.
    pub queued: u64,
    /// Events lost since the start, for want of memory while the disk refused, or for their size.
    pub dropped: u64,
    /// The disk refused the last attempt.
    pub degraded: bool,
}

/// What a replay came across.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    pub records: u64,
    /// One for each segment with a flaw; the records around it were still given out.
    pub problems: Vec<Found>,
}

impl Journal {
    /// Opens `<data_dir>/journal`, makes it when there is none, cuts a torn tail, and starts the writing thread.
    pub fn open(data_dir: &Path, options: Options) -> Result<(Journal, Recovery), OpenError> {
        Journal::open_with(data_dir, options, limits::JOURNAL_SEGMENT, limits::JOURNAL_RETRY, Files::open)
    }

    fn open_with<S: Storage + 'static>(
        data_dir: &Path,
        options: Options,
        segment_max: u64,
        retry: Duration,
        storage: impl FnOnce(&Path, &Segment) -> io::Result<S>,
    ) -> Result<(Journal, Recovery), OpenError> {
        let folder = data_dir.join("journal");
        let at = |error| OpenError::Io { path: folder.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at)?;
        File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(at)?;
        let lock = lock(&folder)?;
        let mut segments = segment::list(&folder).map_err(at)?;
        let Recovered { tip, segment: newest, torn_bytes, damage } = recover(&folder, &segments, options.on_damage)?;
        if segments.last() != Some(&newest) {
            segments.push(newest.clone());
        }
        let recovery = Recovery { last_seq: tip.seq, segments: segments.len(), torn_bytes, damage };
        let mut storage = storage(&folder, &newest).map_err(at)?;
        if recovery.torn_bytes > 0 {
            storage.settle(tip.len).map_err(at)?;
        }
        let (last, _) = watch::channel(tip.seq);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            idle: Condvar::new(),
            index: Mutex::new(Index { segments, newest_len: tip.len, recent: Recent::default() }),
            last,
            folder,
            queue_max: limits::JOURNAL_QUEUE,
            observer: OnceLock::new(),
        });
        if let Some(damage) = &recovery.damage {
            let body = Body::JournalDamaged(damage.clone());
            shared.queue().push(Event { time: clock::wall(), subject: "journal".into(), body }, limits::JOURNAL_QUEUE);
        }
        let Options { source, seed, .. } = options;
        let writer = Writer { shared: shared.clone(), storage, tip, source, seed, segment_max, retry };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| OpenError::Io { path: shared.folder.clone(), error })?;
        let writer = WriterThread { shared: shared.clone(), thread: Some(thread), _lock: lock };
        Ok((Journal { shared, writer: Arc::new(writer) }, recovery))
    }

    /// Queues an event for the disk; waits for nobody. `false`: it was dropped and counted.
    pub fn append(&self, event: Event) -> bool {
        let mut queue = self.shared.queue();
        let first = queue.events.is_empty();
        let taken = queue.push(event, self.shared.queue_max);
        if first {
            self.shared.wake.notify_one();
        }
        taken
    }

    /// Has this told of every record from now on, with its number, as soon as it is on the disk and before followers
    /// are; on the writing thread, which waits for it. A projection in memory is kept so without reading what was just
    /// written. The first one given stays.
    pub fn observe(&self, observer: impl Fn(u64, &Event) + Send + Sync + 'static) {
        let _ = self.shared.observer.set(Box::new(observer));
    }

    /// Waits until all that was appended before is on the disk. `false`: not within `patience`, or the disk refuses.
    pub fn flush(&self, patience: Duration) -> bool {
        let until = clock::mono() + patience;
        let mut queue = self.shared.queue();
        let goal = queue.accepted;
        while queue.settled < goal {
            queue.hurry = true;
            self.shared.wake.notify_one();
            let left = until.since(clock::mono());
            if left.is_zero() {
                return false;
            }
            queue = self.shared.idle.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub fn stats(&self) -> Stats {
        let queue = self.shared.queue();
        Stats {
            last_seq: self.last_seq(),
            queued: queue.accepted - queue.settled,
            dropped: queue.dropped,
            degraded: queue.degraded || self.writer.is_gone(),
        }
    }

    /// Number of the newest record on the disk; 0: none yet.
    pub fn last_seq(&self) -> u64 {
        *self.shared.last.borrow()
    }

    /// At most `max` records ([`limits::JOURNAL_READ`] at most) with numbers above `after`, in order. Reads files when
    /// they are not among the newest: call it where blocking is allowed. Damaged lines are passed over.
    pub fn read(&self, after: u64, max: usize) -> io::Result<Vec<Record>> {
        let max = max.min(limits::JOURNAL_READ);
        let (segments, newest_len) = {
            let index = self.shared.index();
            if let Some(records) = index.recent.after(after, max) {
                return Ok(records);
            }
            let start = index.segments.partition_point(|segment| segment.first_seq <= after.saturating_add(1));
            (index.segments[start.saturating_sub(1)..].to_vec(), index.newest_len)
        };
        let mut records = Vec::new();
        let newest = segments.len().saturating_sub(1);
        for (at, segment) in segments.iter().enumerate() {
            let limit = (at == newest).then_some(newest_len);
            let after = records.last().map_or(after, |last: &Record| last.seq);
            segment::read(&segment.path, limit, after, max, &mut records)?;
            if records.len() >= max {
                break;
            }
        }
        Ok(records)
    }

    /// One record by its number.
    pub fn get(&self, seq: u64) -> io::Result<Option<Record>> {
        let found = self.read(seq.saturating_sub(1), 1)?;
        Ok(found.into_iter().next().filter(|record| record.seq == seq))
    }

    /// Follows the journal from `after` on, through the past into the present.
    pub fn follow(&self, after: u64) -> Follow {
        Follow { journal: self.clone(), after, last: self.shared.last.subscribe() }
    }

    /// Number of the newest record on the disk, as it changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.last.subscribe()
    }

    /// Gives every record that stands in the journal now to `each`, oldest first. Damage is reported, not fatal.
    pub fn replay(&self, mut each: impl FnMut(&RecordView<'_>)) -> io::Result<Replayed> {
        let (segments, newest_len) = {
            let index = self.shared.index();
            (index.segments.clone(), index.newest_len)
        };
        let mut replayed = Replayed::default();
        let mut chain = Chain::default();
        let mut highest = 0;
        for (at, segment) in segments.iter().enumerate() {
            let limit = (at + 1 == segments.len()).then_some(newest_len);
            let scan = segment::scan(&segment.path, limit, chain, &mut |view| {
                if view.seq > highest {
                    highest = view.seq;
                    replayed.records += 1;
                    each(view);
                }
            })?;
            replayed.problems.extend(Found::of(segment, &scan, limit.is_some()));
            chain = after(&scan, chain);
        }
        Ok(replayed)
    }
}

/// A reader that waits for what is new.
pub struct Follow {
    journal: Journal,
    after: u64,
    last: watch::Receiver<u64>,
}

impl Follow {
    /// The next records, at least one and at most `max`; waits for them. Cancelling loses nothing.
    pub async fn next(&mut self, max: usize) -> io::Result<Vec<Record>> {
        loop {
            let last = *self.last.borrow_and_update();
            if last > self.after {
                let (journal, after) = (self.journal.clone(), self.after);
                let read = tokio::task::spawn_blocking(move || journal.read(after, max));
                let records = read.await.map_err(io::Error::other)??;
                // Nothing readable up to there: damaged lines only.
                self.after = records.last().map_or(last, |record| record.seq);
                if !records.is_empty() {
                    return Ok(records);
                }
            } else if self.last.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Number of the last record given out.
    pub fn position(&self) -> u64 {
        self.after
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("folder", &self.shared.folder).field("stats", &self.stats()).finish()
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("after", &self.after).finish()
    }
}

/// What the writing thread and its callers share.
struct Shared {
    queue: Mutex<Queue>,
    /// The writer waits for events here.
    wake: Condvar,
    /// `flush` waits for the writer here.
    idle: Condvar,
    index: Mutex<Index>,
    last: watch::Sender<u64>,
    folder: PathBuf,
    queue_max: usize,
    observer: OnceLock<Observer>,
}

/// See [`Journal::observe`].
type Observer = Box<dyn Fn(u64, &Event) + Send + Sync>;

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Events ever taken in.
    accepted: u64,
    /// Of them on the disk (or found too large).
    settled: u64,
    dropped: u64,
    /// Dropped ones that the journal itself does not tell of yet.
    dropped_untold: u64,
    degraded: bool,
    /// Somebody waits: do not save up for the next fsync.
    hurry: bool,
    closed: bool,
}

/// What of the files may be read.
struct Index {
    segments: Vec<Segment>,
    /// Acknowledged bytes of the newest segment.
    newest_len: u64,
    recent: Recent,
}

impl Index {
    fn start_segment(&mut self, segment: Segment) {
        self.segments.push(segment);
        self.newest_len = 0;
    }

    fn extend(&mut self, records: Vec<Record>, newest_len: u64) {
        self.newest_len = newest_len;
        records.into_iter().for_each(|record| self.recent.push(record));
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(&self, queue: MutexGuard<'a, Queue>, time: Duration) -> MutexGuard<'a, Queue> {
        self.wake.wait_timeout(queue, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Ends the thread with the last handle.
struct WriterThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Held as long as the journal is open.
    _lock: File,
}

impl WriterThread {
    /// It panicked: nothing reaches the disk any more.
    fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.queue();
            (queue.closed, queue.hurry) = (true, true);
        }
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let at = |error| OpenError::Io { path: path.clone(), error };
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open.map_err(at)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let by = fs::read_to_string(&path).unwrap_or_default();
            return Err(OpenError::Locked { path: folder.into(), by: by.trim().chars().take(20).collect() });
        }
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    file.set_len(0)
        .and_then(|()| io::Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes()))
        .map_err(at)?;
    Ok(file)
}

struct Recovered {
    tip: Tip,
    /// Where writing goes on.
    segment: Segment,
    torn_bytes: u64,
    damage: Option<DamageData>,
}

/// Where the chain stands after the newest segment. How segments hang together, and older ones, are read by
/// [`Journal::replay`] and `verify`.
fn recover(folder: &Path, segments: &[Segment], on_damage: OnDamage) -> Result<Recovered, OpenError> {
    let Some((newest, older)) = segments.split_last() else {
        let tip = Tip { seq: 0, hash: Hash::START, len: 0 };
        return Ok(Recovered { tip, segment: Segment::at(folder, 1), torn_bytes: 0, damage: None });
    };
    let chain = Chain { next_seq: Some(newest.first_seq), prev: None };
    let scan = segment::scan(&newest.path, None, chain, &mut |_| {})
        .map_err(|error| OpenError::Io { path: newest.path.clone(), error })?;
    let torn_bytes = if let End::Torn(bytes) = scan.end { bytes } else { 0 };
    let Some((seq, hash)) = scan.last.or((older.is_empty()).then_some((newest.first_seq.max(1) - 1, Hash::START)))
    else {
        // Begun and never written to: the one before it says where the chain stands.
        let before = recover(folder, older, on_damage)?;
        let tip = Tip { seq: before.tip.seq.max(newest.first_seq.max(1) - 1), len: 0, ..before.tip };
        return Ok(Recovered { tip, segment: newest.clone(), torn_bytes, ..before });
    };
    let End::Damaged(flaw) = scan.end else {
        let tip = Tip { seq, hash, len: scan.good_len };
        return Ok(Recovered { tip, segment: newest.clone(), torn_bytes, damage: None });
    };
    let damage = DamageData {
        file: newest.name(),
        offset: flaw.offset,
        problem: format!("line {}: {}", flaw.line, flaw.problem),
        last_good_seq: seq,
        last_good_hash: hash.to_string(),
    };
    if on_damage == OnDamage::Refuse {
        return Err(OpenError::Damaged(damage));
    }
    // Numbers behind the damage are not used again, nor is the segment's own name.
    let seq = seq.max(scan.highest).max(newest.first_seq);
    let segment = Segment::at(folder, seq + 1);
    Ok(Recovered { tip: Tip { seq, hash, len: 0 }, segment, torn_bytes: 0, damage: Some(damage) })
}

/// What the next segment must follow, after `scan` of one that itself had to follow `chain`.
fn after(scan: &Scan, chain: Chain) -> Chain {
    match (&scan.end, scan.last) {
        (End::Damaged(_), _) => Chain::default(),
        (_, Some((seq, hash))) => Chain { next_seq: seq.checked_add(1), prev: Some(hash) },
        (_, None) => chain,
    }
}
