//! The lease feed: who sees which number, as a stream of lines that a router node follows.
//!
//! Newline-delimited JSON. Every record has a `type` and a `revision`:
//!
//! ```text
//! {"type":"snapshot_begin","epoch":"6f0c…","revision":41}
//! {"type":"ended","revision":41,"lease":{…}}          the last holder of a number
//! {"type":"lease","revision":41,"lease":{…}}          who has it on the page
//! {"type":"snapshot_end","epoch":"6f0c…","revision":41,"records":2}
//! {"type":"lease","revision":42,"lease":{…}}          granted, renewed, revived, seen
//! {"type":"ended","revision":43,"lease":{…}}          released or lapsed; kept until hold_until
//! {"type":"removed","revision":44,"number":"+44…"}    nothing is known of the number any more
//! {"type":"heartbeat","epoch":"6f0c…","revision":44,"time":"…"}   after 10 s without a record
//! ```
//!
//! Revisions of changes rise by exactly one, so a gap shows at once; a heartbeat repeats the last one, so a lost tail
//! shows too. An `epoch` is one life of the allocator: revisions of different epochs have nothing to do with each
//! other. A follower comes back with `?after=<revision>&epoch=<epoch>`; the answer then begins with a heartbeat of
//! that revision, or is 410 when the epoch is over or the revision too old, and the follower asks for a snapshot by
//! leaving both out. In a snapshot the `ended` record of a number comes before its `lease` records, newest last, so
//! that a snapshot is read by the same rule as changes.

mod follower;

use std::collections::VecDeque;

use serde::Serialize;

use crate::core::lease::{Change, Lease};
use crate::ids::E164;
use crate::time::Wall;

pub use follower::{FeedCounts, FeedFollower, FeedRules, Request, TableChange, Verdict};

/// One line of the feed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedRecord<'a> {
    SnapshotBegin { epoch: &'a str, revision: u64 },
    SnapshotEnd { epoch: &'a str, revision: u64, records: u64 },
    Lease { revision: u64, lease: &'a Lease },
    Ended { revision: u64, lease: &'a Lease },
    Removed { revision: u64, number: &'a E164 },
    Heartbeat { epoch: &'a str, revision: u64, time: Wall },
}

impl<'a> FeedRecord<'a> {
    pub fn of(change: &'a Change, revision: u64) -> FeedRecord<'a> {
        match change {
            Change::Active(lease) => FeedRecord::Lease { revision, lease },
            Change::Ended(lease) => FeedRecord::Ended { revision, lease },
            Change::Removed(number) => FeedRecord::Removed { revision, number },
        }
    }

    /// Appends the record and its newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail, and every field is a string, a number or a lease.
        if serde_json::to_writer(&mut *out, self).is_ok() {
            out.push(b'\n');
        }
    }
}

/// The follower is too far behind, or speaks of another epoch: 410, it needs a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revision is no longer kept: ask for a snapshot")]
pub struct Gone;

impl Gone {
    /// Stable code.
    pub const CODE: &'static str = "feed_gone";
}

/// The last changes, for followers that come back.
#[derive(Debug)]
pub struct FeedLog {
    epoch: String,
    /// Of the last change; 0 before the first.
    revision: u64,
    changes: VecDeque<Change>,
    changes_max: usize,
}

impl FeedLog {
    /// `epoch` must be new for every life of the allocator.
    pub fn new(epoch: String, changes_max: usize) -> FeedLog {
        FeedLog { epoch, revision: 0, changes: VecDeque::new(), changes_max }
    }

    /// Numbers the change and keeps it.
    pub fn push(&mut self, change: Change) -> u64 {
        if self.changes.len() >= self.changes_max {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
        self.revision += 1;
        self.revision
    }

    /// The changes after revision `after`, oldest first, each with its revision.
    pub fn after(&self, after: u64) -> Result<impl Iterator<Item = (u64, &Change)>, Gone> {
        let kept = self.changes.len() as u64;
        let behind = self.revision.checked_sub(after).filter(|behind| *behind <= kept).ok_or(Gone)?;
        let skip = usize::try_from(kept - behind).map_err(|_| Gone)?;
        Ok(self.changes.iter().skip(skip).zip(after + 1..).map(|(change, revision)| (revision, change)))
    }

    /// Whether a follower may resume there.
    pub fn check(&self, after: u64, epoch: Option<&str>) -> Result<(), Gone> {
        if epoch.is_some_and(|epoch| epoch != self.epoch) {
            return Err(Gone);
        }
        self.after(after).map(|_| ())
    }

    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests;
