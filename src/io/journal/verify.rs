//! Checks a journal's hashes and chain without opening it for writing: `leaseline verify`.

use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::segment::{self, Chain, End, Scan, Segment};
use super::{Hash, RecordView, after};
use crate::limits;

/// What checking a journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub segments: u64,
    /// Records that are as they were written.
    pub records: u64,
    pub first_seq: Option<u64>,
    pub last_seq: Option<u64>,
    /// Keep it elsewhere: it vouches for everything before it.
    pub last_hash: Option<String>,
    /// Bytes of a last write that never became a record; the next start cuts them. Not a problem.
    pub torn_bytes: u64,
    /// The first flaw of each segment, at most [`limits::VERIFY_PROBLEMS`].
    pub problems: Vec<Found>,
    /// All of them.
    pub problem_count: u64,
}

/// One flaw: where, and what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub file: String,
    /// Line in the file, from 1; 0: the file itself.
    pub line: u64,
    pub offset: u64,
    /// The last record before it that is good; 0: none in this file.
    pub last_good_seq: u64,
    /// Stable code.
    pub code: &'static str,
    /// In words, with both values.
    pub problem: String,
}

impl Report {
    pub fn is_good(&self) -> bool {
        self.problem_count == 0
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {} (byte {}): {}", self.file, self.line, self.offset, self.problem)
    }
}

/// Checks a data folder, a journal folder or one segment file. `progress` is told bytes done and bytes in all, after
/// each segment. An error is what could not be read at all, never a flaw.
pub fn verify_journal(path: &Path, mut progress: impl FnMut(u64, u64)) -> io::Result<Report> {
    let inner = path.join("journal");
    let (segments, alone) = match segment::first_seq(path) {
        Some(first_seq) if path.is_file() => (vec![Segment { first_seq, path: path.into() }], true),
        _ if path.is_file() => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a journal segment")),
        _ if inner.is_dir() => (segment::list(&inner)?, false),
        _ => (segment::list(path)?, false),
    };
    let size = |segment: &Segment| std::fs::metadata(&segment.path).map_or(0, |meta| meta.len());
    let total = segments.iter().map(size).sum();
    let mut report = Report::default();
    let mut chain = Chain { next_seq: Some(1), prev: Some(Hash::START) };
    if alone {
        chain = Chain::default();
    }
    let mut done = 0;
    for (at, segment) in segments.iter().enumerate() {
        chain = report.check(segment, chain, at + 1 == segments.len())?;
        done += size(segment);
        progress(done.min(total), total);
    }
    Ok(report)
}

/// Gives every readable record of a data folder's journal to `each`, oldest first, without the lock of the daemon that
/// may be writing it: what it writes meanwhile may be missing.
pub fn read_journal(data_dir: &Path, mut each: impl FnMut(&RecordView<'_>)) -> io::Result<()> {
    for segment in segment::list(&data_dir.join("journal"))? {
        let unchecked = Chain { next_seq: Some(segment.first_seq), prev: None };
        segment::scan(&segment.path, None, unchecked, &mut each)?;
    }
    Ok(())
}

impl Report {
    /// Reads one segment that must follow `chain`; returns what the next one must follow.
    fn check(&mut self, segment: &Segment, chain: Chain, newest: bool) -> io::Result<Chain> {
        self.segments += 1;
        if let Some(expected) = chain.next_seq
            && expected != segment.first_seq
        {
            self.add(Found {
                file: segment.name(),
                line: 0,
                offset: 0,
                last_good_seq: 0,
                code: "segment_missing",
                problem: format!("starts at record {} where {expected} should follow", segment.first_seq),
            });
        }
        let named = Chain {
            next_seq: Some(segment.first_seq),
            prev: chain.prev.filter(|_| chain.next_seq == Some(segment.first_seq)),
        };
        let scan = segment::scan(&segment.path, None, named, &mut |_| {})?;
        self.records += scan.records;
        self.first_seq = self.first_seq.or((scan.records > 0).then_some(segment.first_seq));
        if let Some((seq, hash)) = scan.last {
            (self.last_seq, self.last_hash) = (Some(seq), Some(hash.to_string()));
        }
        if let (End::Torn(bytes), true) = (&scan.end, newest) {
            self.torn_bytes = *bytes;
        }
        Found::of(segment, &scan, newest).into_iter().for_each(|found| self.add(found));
        Ok(after(&scan, named))
    }

    fn add(&mut self, found: Found) {
        self.problem_count += 1;
        if self.problems.len() < limits::VERIFY_PROBLEMS {
            self.problems.push(found);
        }
    }
}

impl Found {
    /// The flaw of a segment, if it has one. A torn end is one only when other segments follow.
    pub(super) fn of(segment: &Segment, scan: &Scan, newest: bool) -> Option<Found> {
        let last_good_seq = scan.last.map_or(0, |(seq, _)| seq);
        let (line, offset, problem) = match &scan.end {
            End::Whole => return None,
            End::Torn(_) if newest => return None,
            End::Torn(_) => (scan.records + 1, scan.good_len, super::Problem::CutShort),
            End::Damaged(flaw) => (flaw.line, flaw.offset, flaw.problem.clone()),
        };
        let (code, problem) = (problem.code(), problem.to_string());
        Some(Found { file: segment.name(), line, offset, last_good_seq, code, problem })
    }
}
