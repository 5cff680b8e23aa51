//! The follower of another node's lease feed: bytes in, changes of the table out.
//!
//! A snapshot is collected aside and replaces the table only when it is whole. Changes are applied in the order of
//! their revisions, each once. Whatever does not fit (a gap, another epoch, a broken snapshot) ends the connection
//! with a [`Verdict::Resync`]; the table stays as it was, and the next [`Request`] says where to go on. A record that
//! breaks a rule (a number that is not ours, times out of all reason) is counted and skipped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::core::lease::{Change, Entry, Lease, LeaseTable, bounded, is_visitor_id};
use crate::ids::E164;
use crate::limits;
use crate::time::{Mono, Now, Wakeup, Wall};

/// What is believed of a feed.
#[derive(Clone, Debug)]
pub struct FeedRules {
    /// The numbers this node serves, each with its company. Leases of others are foreign.
    pub numbers: HashMap<E164, String>,
    /// The table is stale after so long without a good record.
    pub stale_after: Duration,
}

/// What to do with the lease table.
#[derive(Clone, Debug, PartialEq)]
pub enum TableChange {
    Apply { change: Change, revision: u64 },
    Replace { entries: HashMap<E164, Entry>, revision: u64 },
    Stale(bool),
}

impl TableChange {
    pub fn apply_to(&self, table: &LeaseTable) {
        match self {
            TableChange::Apply { change, revision } => table.apply(change, *revision),
            TableChange::Replace { entries, revision } => table.replace(entries, *revision),
            TableChange::Stale(stale) => table.set_stale(*stale),
        }
    }
}

/// Whether the connection is still of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Close it and ask again; the stable code says why.
    Resync(&'static str),
}

/// What to ask the allocator for: a snapshot, or what came after a revision of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Snapshot,
    After { revision: u64, epoch: String },
}

/// What came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Lines read.
    pub lines: u64,
    /// Changes applied.
    pub applied: u64,
    /// Changes that came again.
    pub doubled: u64,
    /// Whole snapshots taken over.
    pub snapshots: u64,
    /// Records refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections given up, by code.
    pub resyncs: BTreeMap<&'static str, u64>,
}

/// The follower's machine.
#[derive(Debug)]
pub struct FeedFollower {
    rules: FeedRules,
    position: Option<Position>,
    /// A snapshot being collected.
    staging: Option<Staging>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The line in `line` is too long; the rest of it is dropped.
    overlong: bool,
    /// When the last good record came.
    fresh: Mono,
    stale: bool,
    /// Gaps seen at this position: the second asks for a snapshot, for resuming there has not helped.
    gaps: u32,
    counts: FeedCounts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    epoch: String,
    revision: u64,
}

#[derive(Debug)]
struct Staging {
    at: Position,
    entries: HashMap<E164, Entry>,
    records: u64,
}

/// A line as it stands there. What only some records have may be missing.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    revision: Option<u64>,
    epoch: Option<String>,
    records: Option<u64>,
    lease: Option<Value>,
    number: Option<String>,
}

/// Longest epoch text.
const EPOCH: usize = 64;
/// Longest name of a site or pool.
const NAME: usize = 128;
/// Longest time a lease may run without a sign of the visitor, and longest hold.
const LEASE_SPAN: Duration = Duration::from_secs(24 * 3600);
const HOLD_SPAN: Duration = Duration::from_secs(400 * 24 * 3600);
/// How far a lease's times may be from our clock: wide, since it is our clock that may be wrong.
const ERA: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl FeedFollower {
    /// A follower that knows nothing. Its table is stale until the first snapshot is whole.
    pub fn new(now: Now, rules: FeedRules) -> FeedFollower {
        FeedFollower {
            rules,
            position: None,
            staging: None,
            line: Vec::new(),
            overlong: false,
            fresh: now.mono,
            stale: true,
            gaps: 0,
            counts: FeedCounts::default(),
        }
    }

    /// What to ask for on the next connection, which begins now: what was half read on the last one is dropped.
    pub fn handle_connect(&mut self) -> Request {
        self.staging = None;
        self.line.clear();
        self.overlong = false;
        match &self.position {
            Some(at) => Request::After { revision: at.revision, epoch: at.epoch.clone() },
            None => Request::Snapshot,
        }
    }

    /// The allocator answered 410: our place in its feed is gone. The table stays until the snapshot is here.
    pub fn handle_gone(&mut self) {
        self.position = None;
    }

    /// Takes over the numbers of a new configuration; the next connection asks for a snapshot, since leases of new
    /// numbers were skipped.
    pub fn reconfigure(&mut self, rules: FeedRules) {
        self.rules = rules;
        self.position = None;
    }

    /// Bytes of the feed, cut anywhere.
    pub fn handle_bytes(&mut self, now: Now, mut bytes: &[u8], out: &mut Vec<TableChange>) -> Verdict {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            self.extend_line(head);
            let line = std::mem::take(&mut self.line);
            let overlong = std::mem::take(&mut self.overlong);
            let verdict =
                if overlong { self.handle_unreadable("line_too_long") } else { self.handle_line(now, &line, out) };
            if let Verdict::Resync(code) = verdict {
                *self.counts.resyncs.entry(code).or_default() += 1;
                return verdict;
            }
        }
        self.extend_line(bytes);
        Verdict::GoOn
    }

    /// Marks the table stale when no good record came for too long.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<TableChange>) {
        if !self.stale && now.mono.since(self.fresh) >= self.rules.stale_after {
            self.stale = true;
            out.push(TableChange::Stale(true));
        }
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        (!self.stale).then(|| (self.fresh + self.rules.stale_after, "the lease feed goes stale"))
    }

    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// In step: the last record applied was the last one there is, as far as we know.
    pub fn revision(&self) -> Option<u64> {
        self.position.as_ref().map(|at| at.revision)
    }

    pub fn counts(&self) -> &FeedCounts {
        &self.counts
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > limits::FEED_LINE {
            self.overlong = true;
            self.line.clear();
        }
        if !self.overlong {
            self.line.extend_from_slice(bytes);
        }
    }

    fn handle_line(&mut self, now: Now, line: &[u8], out: &mut Vec<TableChange>) -> Verdict {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Verdict::GoOn;
        }
        self.counts.lines += 1;
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return self.handle_unreadable("not_a_record") };
        match line.kind.as_str() {
            "snapshot_begin" => self.on_snapshot_begin(line),
            "snapshot_end" => self.on_snapshot_end(now, &line, out),
            "heartbeat" => self.on_heartbeat(now, &line, out),
            _ if self.staging.is_some() => self.on_snapshot_record(now, line),
            _ => self.on_change(now, line, out),
        }
    }

    /// A line whose revision we cannot know. If it was a change, the next one shows the gap.
    fn handle_unreadable(&mut self, code: &'static str) -> Verdict {
        self.refuse(code);
        match &mut self.staging {
            Some(staging) => count_record(staging),
            None => Verdict::GoOn,
        }
    }

    fn on_snapshot_begin(&mut self, line: Line) -> Verdict {
        let (Some(epoch), Some(revision)) = (line.epoch.filter(|epoch| epoch.len() <= EPOCH), line.revision) else {
            return Verdict::Resync("snapshot_broken");
        };
        self.staging = Some(Staging { at: Position { epoch, revision }, entries: HashMap::new(), records: 0 });
        Verdict::GoOn
    }

    fn on_snapshot_record(&mut self, now: Now, line: Line) -> Verdict {
        let Some(mut staging) = self.staging.take() else { return Verdict::Resync("snapshot_broken") };
        if line.revision != Some(staging.at.revision) {
            return Verdict::Resync("snapshot_broken");
        }
        match self.change_of(now, line) {
            Ok(change) => {
                let entry = staging.entries.entry(change.number().clone()).or_default();
                *entry = std::mem::take(entry).after(&change);
            }
            Err(code) => self.refuse(code),
        }
        let verdict = count_record(&mut staging);
        self.staging = Some(staging);
        verdict
    }

    fn on_snapshot_end(&mut self, now: Now, line: &Line, out: &mut Vec<TableChange>) -> Verdict {
        let Some(Staging { at, mut entries, records }) = self.staging.take() else {
            return Verdict::Resync("snapshot_broken");
        };
        let fits = line.revision == Some(at.revision)
            && line.epoch.as_ref().is_none_or(|epoch| *epoch == at.epoch)
            && line.records.is_none_or(|count| count == records);
        if !fits {
            return Verdict::Resync("snapshot_broken");
        }
        entries.retain(|_, entry| !entry.is_empty());
        out.push(TableChange::Replace { entries, revision: at.revision });
        self.position = Some(at);
        self.counts.snapshots += 1;
        self.gaps = 0;
        self.on_good(now, out);
        Verdict::GoOn
    }

    fn on_change(&mut self, now: Now, line: Line, out: &mut Vec<TableChange>) -> Verdict {
        let Some(at) = &mut self.position else { return Verdict::Resync("no_snapshot") };
        let Some(revision) = line.revision else {
            self.refuse("no_revision");
            return Verdict::GoOn;
        };
        if revision <= at.revision {
            self.counts.doubled += 1;
            return Verdict::GoOn;
        }
        if revision - at.revision > 1 {
            return self.on_gap();
        }
        at.revision = revision;
        self.gaps = 0;
        match self.change_of(now, line) {
            Ok(change) => {
                self.counts.applied += 1;
                out.push(TableChange::Apply { change, revision });
            }
            Err(code) => self.refuse(code),
        }
        self.on_good(now, out);
        Verdict::GoOn
    }

    fn on_heartbeat(&mut self, now: Now, line: &Line, out: &mut Vec<TableChange>) -> Verdict {
        if self.staging.is_some() {
            return Verdict::GoOn;
        }
        let Some(at) = &self.position else { return Verdict::Resync("no_snapshot") };
        if line.epoch.as_ref().is_some_and(|epoch| *epoch != at.epoch) {
            self.position = None;
            return Verdict::Resync("new_epoch");
        }
        match line.revision {
            Some(revision) if revision > at.revision => self.on_gap(),
            Some(revision) if revision < at.revision => {
                // The allocator has forgotten what it told us.
                self.position = None;
                Verdict::Resync("revision_back")
            }
            Some(_) => {
                self.on_good(now, out);
                Verdict::GoOn
            }
            None => {
                self.refuse("no_revision");
                Verdict::GoOn
            }
        }
    }

    fn on_gap(&mut self) -> Verdict {
        self.gaps += 1;
        if self.gaps > 1 {
            self.position = None;
        }
        Verdict::Resync("gap")
    }

    fn on_good(&mut self, now: Now, out: &mut Vec<TableChange>) {
        self.fresh = now.mono;
        if self.stale {
            self.stale = false;
            out.push(TableChange::Stale(false));
        }
    }

    fn refuse(&mut self, code: &'static str) {
        *self.counts.refused.entry(code).or_default() += 1;
    }

    fn change_of(&self, now: Now, line: Line) -> Result<Change, &'static str> {
        match line.kind.as_str() {
            "lease" => self.lease_of(now, line.lease).map(Change::Active),
            "ended" => self.lease_of(now, line.lease).map(Change::Ended),
            "removed" => {
                let number = line.number.as_deref().and_then(E164::parse).ok_or("bad_number")?;
                if !self.rules.numbers.contains_key(&number) {
                    return Err("foreign_number");
                }
                Ok(Change::Removed(number))
            }
            _ => Err("unknown_type"),
        }
    }

    /// The lease, if it keeps the rules.
    fn lease_of(&self, now: Now, lease: Option<Value>) -> Result<Arc<Lease>, &'static str> {
        let mut lease: Lease = lease.and_then(|lease| serde_json::from_value(lease).ok()).ok_or("bad_lease")?;
        let company = self.rules.numbers.get(&lease.number).ok_or("foreign_number")?;
        if *company != lease.company {
            return Err("foreign_company");
        }
        if !is_visitor_id(&lease.visitor_id) || lease.site.len() > NAME || lease.pool.len() > NAME {
            return Err("bad_lease");
        }
        if !has_sane_times(&lease, now.wall) {
            return Err("bad_time");
        }
        let session = Arc::unwrap_or_clone(std::mem::take(&mut lease.session));
        lease.session = Arc::new(bounded(session));
        Ok(Arc::new(lease))
    }
}

fn count_record(staging: &mut Staging) -> Verdict {
    staging.records += 1;
    if staging.records > limits::FEED_ENTRIES { Verdict::Resync("snapshot_too_big") } else { Verdict::GoOn }
}

fn has_sane_times(lease: &Lease, now: Wall) -> bool {
    let near = |wall: Wall| now - ERA <= wall && wall <= now + ERA;
    near(lease.granted_at)
        && near(lease.seen_at)
        && lease.released_at.is_none_or(near)
        && lease.expires_at <= lease.seen_at + LEASE_SPAN
        && lease.hold_until <= lease.left_at().max(lease.seen_at) + HOLD_SPAN
}
