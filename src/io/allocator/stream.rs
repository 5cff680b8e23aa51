//! One follower's stream of the lease feed.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use crate::core::feed::{FeedRecord, Gone};
use crate::core::lease::Change;
use crate::limits;

/// Chunks of whole lines. It ends when the follower fell so far behind that changes are lost to it (it comes back and
/// gets 410), or when the node stops.
pub struct FeedStream {
    shared: Arc<Shared>,
    revision: watch::Receiver<u64>,
    epoch: String,
    /// Last revision sent.
    cursor: u64,
    head: Head,
    /// Records of the snapshot sent.
    sent: u64,
}

/// What is sent before the changes.
enum Head {
    Resume,
    /// The rest of the snapshot, last record first.
    Snapshot(Vec<Change>),
    Done,
}

impl fmt::Debug for FeedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedStream").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl FeedStream {
    pub(super) fn open(shared: &Arc<Shared>, after: Option<u64>, epoch: Option<&str>) -> Result<FeedStream, Gone> {
        let owned = shared.lock();
        let (cursor, head) = match after {
            Some(after) => {
                owned.feed.check(after, epoch)?;
                (after, Head::Resume)
            }
            None => {
                let mut changes = owned.machine.snapshot();
                changes.reverse();
                (owned.feed.revision(), Head::Snapshot(changes))
            }
        };
        let epoch = owned.feed.epoch().to_owned();
        let revision = shared.revision.subscribe();
        drop(owned);
        Ok(FeedStream { shared: Arc::clone(shared), revision, epoch, cursor, head, sent: 0 })
    }

    /// The next lines; a heartbeat after [`limits::FEED_HEARTBEAT`] without any.
    pub async fn next(&mut self) -> Option<Bytes> {
        match std::mem::replace(&mut self.head, Head::Done) {
            Head::Resume => return Some(self.heartbeat()),
            Head::Snapshot(rest) => return Some(self.snapshot_chunk(rest)),
            Head::Done => {}
        }
        loop {
            self.revision.mark_unchanged();
            let chunk = self.changes_chunk().ok()?;
            if !chunk.is_empty() {
                return Some(chunk.into());
            }
            match tokio::time::timeout(limits::FEED_HEARTBEAT, self.revision.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(self.heartbeat()),
            }
        }
    }

    /// As a stream for a response body. Its task ends at the first record or heartbeat after the receiver is gone.
    pub fn into_stream(mut self) -> ReceiverStream<Result<Bytes, Infallible>> {
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(chunk) = self.next().await {
                if sender.send(Ok(chunk)).await.is_err() {
                    return;
                }
            }
        });
        ReceiverStream::new(receiver)
    }

    fn snapshot_chunk(&mut self, mut rest: Vec<Change>) -> Bytes {
        let mut lines = Vec::new();
        let revision = self.cursor;
        if self.sent == 0 {
            FeedRecord::SnapshotBegin { epoch: &self.epoch, revision }.write(&mut lines);
        }
        let keep = rest.len().saturating_sub(limits::FEED_BATCH);
        for change in rest.drain(keep..).rev() {
            FeedRecord::of(&change, revision).write(&mut lines);
            self.sent += 1;
        }
        if rest.is_empty() {
            FeedRecord::SnapshotEnd { epoch: &self.epoch, revision, records: self.sent }.write(&mut lines);
        } else {
            self.head = Head::Snapshot(rest);
        }
        lines.into()
    }

    fn changes_chunk(&mut self) -> Result<Vec<u8>, Gone> {
        let owned = self.shared.lock();
        if owned.stopped {
            return Err(Gone);
        }
        let batch: Vec<(u64, Change)> =
            owned.feed.after(self.cursor)?.take(limits::FEED_BATCH).map(|(at, change)| (at, change.clone())).collect();
        drop(owned);
        let mut lines = Vec::new();
        for (revision, change) in &batch {
            FeedRecord::of(change, *revision).write(&mut lines);
            self.cursor = *revision;
        }
        Ok(lines)
    }

    fn heartbeat(&self) -> Bytes {
        let mut line = Vec::new();
        let time = (self.shared.clock)().wall;
        FeedRecord::Heartbeat { epoch: &self.epoch, revision: self.cursor, time }.write(&mut line);
        line.into()
    }
}
