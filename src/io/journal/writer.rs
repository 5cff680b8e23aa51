//! The one thread that writes the journal. It takes what is queued, writes it with one fsync, and only then shows it to
//! followers: what a sink has sent is never forgotten by the journal.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::record::{self, Hash, Record};
use super::segment::Segment;
use super::{Queue, Shared};
use crate::core::event::{Body, Event, cloud};
use crate::ids::EventId;
use crate::io::clock;
use crate::limits;
use crate::time::Mono;

/// The file that grows. Tests have one whose disk fills up.
pub(super) trait Storage: Send {
    /// Writes at `offset`; may have written a part when it fails.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Nothing stays behind `len`, and what stands before it is on the disk when this returns.
    fn settle(&mut self, len: u64) -> io::Result<()>;
    /// Closes the segment and starts the one whose first record is `first_seq`.
    fn roll(&mut self, first_seq: u64) -> io::Result<Segment>;
}

/// Segment files in a folder.
pub(super) struct Files {
    folder: PathBuf,
    file: File,
}

impl Files {
    pub(super) fn open(folder: &Path, segment: &Segment) -> io::Result<Files> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&segment.path)?;
        File::open(folder)?.sync_all()?;
        Ok(Files { folder: folder.into(), file })
    }
}

impl Storage for Files {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.file.flush()
    }

    fn settle(&mut self, len: u64) -> io::Result<()> {
        if self.file.metadata()?.len() != len {
            self.file.set_len(len)?;
        }
        self.file.sync_data()
    }

    fn roll(&mut self, first_seq: u64) -> io::Result<Segment> {
        let segment = Segment::at(&self.folder, first_seq);
        *self = Files::open(&self.folder, &segment)?;
        Ok(segment)
    }
}

/// Where the chain stands.
pub(super) struct Tip {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    /// Length of the newest segment.
    pub(super) len: u64,
}

pub(super) struct Writer<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) storage: S,
    pub(super) tip: Tip,
    pub(super) source: String,
    pub(super) seed: [u8; 32],
    pub(super) segment_max: u64,
    pub(super) retry: Duration,
}

/// Records that are written as one.
#[derive(Default)]
struct Batch {
    /// Events of the queue in it.
    taken: u64,
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// What the records say, in their order.
    events: Vec<Event>,
}

impl<S: Storage> Writer<S> {
    /// Until the journal is closed and all is written, or the disk refused the last attempt.
    pub(super) fn run(mut self) {
        let mut committed = None;
        while let Some((events, dropped)) = self.take(committed) {
            let batch = self.encode(events, dropped);
            let Some(()) = self.commit_until_done(&batch) else { return };
            committed = Some(clock::mono());
            self.publish(batch);
        }
    }

    /// Waits for events and, unless somebody waits for us, for the time of the next fsync. `None`: closed, all written.
    fn take(&self, committed: Option<Mono>) -> Option<(Vec<Event>, u64)> {
        let mut queue = self.shared.queue();
        loop {
            let pause = committed.and_then(|at| limits::JOURNAL_COMMIT.checked_sub(clock::mono().since(at)));
            let something = !queue.events.is_empty() || queue.dropped_untold > 0;
            match pause {
                _ if !something && queue.closed => return None,
                _ if !something => queue = self.shared.wait(queue),
                Some(pause) if !queue.hurry => queue = self.shared.wait_for(queue, pause),
                _ => break,
            }
        }
        let count = queue.events.len().min(limits::JOURNAL_BATCH);
        queue.hurry &= queue.events.len() > count || queue.closed;
        let events = queue.events.drain(..count).collect();
        Some((events, std::mem::take(&mut queue.dropped_untold)))
    }

    fn encode(&self, events: Vec<Event>, dropped: u64) -> Batch {
        let mut batch = Batch { taken: events.len() as u64, ..Batch::default() };
        let told = (dropped > 0).then(|| Event {
            time: clock::wall(),
            subject: "journal".into(),
            body: Body::EventsDropped { count: dropped },
        });
        let (mut seq, mut prev) = (self.tip.seq, self.tip.hash);
        for event in told.into_iter().chain(events) {
            let text = cloud::to_json(&event, event_id(&self.seed, seq + 1), &self.source);
            if text.len() > limits::JOURNAL_RECORD {
                tracing::error!(kind = event.body.kind(), bytes = text.len(), "event too large for the journal");
                self.shared.queue().drop_one();
                continue;
            }
            seq += 1;
            prev = record::encode(seq, prev, &text, &mut batch.bytes);
            batch.records.push(Record { seq, hash: prev, event: text.into() });
            batch.events.push(event);
        }
        batch
    }

    /// `None`: the journal was closed while the disk refused.
    fn commit_until_done(&mut self, batch: &Batch) -> Option<()> {
        let mut told = false;
        loop {
            match self.commit(batch) {
                Ok(()) => {
                    if told {
                        tracing::info!("the journal's disk takes events again");
                    }
                    self.shared.queue().degraded = false;
                    return Some(());
                }
                Err(error) if !told => {
                    tracing::error!(%error, "the journal's disk refuses; events wait in memory");
                    told = true;
                }
                Err(_) => {}
            }
            let mut queue = self.shared.queue();
            queue.degraded = true;
            self.shared.idle.notify_all();
            if queue.closed {
                tracing::error!(events = queue.events.len() as u64 + batch.taken, "events lost: the disk refuses");
                return None;
            }
            drop(self.shared.wait_for(queue, self.retry));
        }
    }

    /// Writes over whatever a failed attempt has left, then cuts what is behind. A failed fsync may have thrown dirty
    /// pages away, so a repeat writes all bytes again.
    fn commit(&mut self, batch: &Batch) -> io::Result<()> {
        let first = batch.records.first().map_or(self.tip.seq + 1, |record| record.seq);
        if self.tip.len >= self.segment_max {
            self.storage.settle(self.tip.len)?;
            let segment = self.storage.roll(first)?;
            self.tip.len = 0;
            self.shared.index().start_segment(segment);
        }
        self.storage.write(self.tip.len, &batch.bytes)?;
        self.storage.settle(self.tip.len + batch.bytes.len() as u64)?;
        self.tip.len += batch.bytes.len() as u64;
        if let Some(last) = batch.records.last() {
            (self.tip.seq, self.tip.hash) = (last.seq, last.hash);
        }
        Ok(())
    }

    fn publish(&self, batch: Batch) {
        if let Some(observer) = self.shared.observer.get() {
            batch.records.iter().zip(&batch.events).for_each(|(record, event)| observer(record.seq, event));
        }
        self.shared.index().extend(batch.records, self.tip.len);
        self.shared.last.send_replace(self.tip.seq);
        self.shared.queue().settled += batch.taken;
        self.shared.idle.notify_all();
    }
}

impl Queue {
    /// Takes an event in, or counts it as dropped. Renewals and page signals may fill only half of the queue: what
    /// they say is said again soon, while a call's end is said once.
    pub(super) fn push(&mut self, event: Event, max: usize) -> bool {
        let chatter = matches!(event.body, Body::LeaseRenewed(_) | Body::LeaseSignal { .. });
        let full = self.events.len() >= if chatter { max / 2 } else { max };
        if full || self.closed {
            self.drop_one();
            return false;
        }
        self.accepted += 1;
        self.events.push_back(event);
        true
    }

    fn drop_one(&mut self) {
        self.dropped += 1;
        self.dropped_untold += 1;
    }
}

/// Unique, since the seed is the node's and the number is used once; the same for the same seed and number.
fn event_id(seed: &[u8; 32], seq: u64) -> EventId {
    let digest = Sha256::new().chain_update(seed).chain_update(seq.to_be_bytes()).finalize();
    EventId(digest.iter().take(16).fold(0, |id, &byte| id << 8 | u128::from(byte)))
}

/// Newest records, for followers.
#[derive(Debug, Default)]
pub(super) struct Recent {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, record: Record) {
        self.bytes += record.event.len();
        self.records.push_back(record);
        while self.records.len() > limits::JOURNAL_TAIL || self.bytes > limits::JOURNAL_TAIL_BYTES {
            self.bytes -= self.records.pop_front().map_or(self.bytes, |old| old.event.len());
        }
    }

    /// `None`: older ones are wanted, the files have them.
    pub(super) fn after(&self, seq: u64, max: usize) -> Option<Vec<Record>> {
        let covered = self.records.front().is_some_and(|first| first.seq <= seq.saturating_add(1));
        let start = self.records.partition_point(|record| record.seq <= seq);
        covered.then(|| self.records.iter().skip(start).take(max).cloned().collect())
    }
}
