//! Segment files: finding them, walking them record by record, and finding a record in one without an index.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::record::{self, Hash, Problem, Record, RecordView};
use crate::limits::JOURNAL_RECORD;

/// One file of the journal. Its name is the number of its first record, 20 digits, and `.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first_seq: u64,
    pub(super) path: PathBuf,
}

impl Segment {
    pub(super) fn at(folder: &Path, first_seq: u64) -> Segment {
        Segment { first_seq, path: folder.join(format!("{first_seq:020}.jsonl")) }
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The folder's segments in order. Files with other names are not ours and are left alone.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        segments.extend(first_seq(&path).map(|first_seq| Segment { first_seq, path }));
    }
    segments.sort_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// What a segment's name says.
pub(super) fn first_seq(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// What the first record must follow; `None`: not known, anything goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    pub(super) next_seq: Option<u64>,
    pub(super) prev: Option<Hash>,
}

/// The first thing wrong in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) offset: u64,
    /// Counts from 1.
    pub(super) line: u64,
    pub(super) problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The last write did not reach the disk whole: these bytes were never acknowledged to anybody.
    Torn(u64),
    Damaged(Flaw),
}

/// What a walk through a segment found.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    /// Records up to the first flaw.
    pub(super) records: u64,
    /// The last of them.
    pub(super) last: Option<(u64, Hash)>,
    /// Their length.
    pub(super) good_len: u64,
    pub(super) end: End,
    /// Highest number seen, behind a flaw too: no later record may use it again.
    pub(super) highest: u64,
    /// Hash of the last line that agrees with itself, behind a flaw too.
    pub(super) tip: Option<Hash>,
}

/// Walks a segment, at most `limit` bytes of it. `each` gets every record that agrees with its own hash and whose
/// number is higher than those before it, behind a flaw too: what can still be read is still worth reading.
pub(super) fn scan(
    path: &Path,
    limit: Option<u64>,
    chain: Chain,
    each: &mut dyn FnMut(&RecordView<'_>),
) -> io::Result<Scan> {
    let mut lines = Lines::open(path, limit)?;
    let mut scan = Scan { records: 0, last: None, good_len: 0, end: End::Whole, highest: 0, tip: None };
    let mut chain = chain;
    let mut flaw: Option<Flaw> = None;
    let mut tail = Tail::default();
    while let Some(line) = lines.next()? {
        let read = line.decode();
        if flaw.is_none() {
            match read.as_ref().map_err(Problem::clone).and_then(|view| follows(view, chain).map(|()| *view)) {
                Ok(view) => {
                    chain = Chain { next_seq: view.seq.checked_add(1), prev: Some(view.hash) };
                    scan.records += 1;
                    scan.last = Some((view.seq, view.hash));
                    scan.good_len = line.offset + line.len;
                }
                Err(problem) => flaw = Some(Flaw { offset: line.offset, line: line.number, problem }),
            }
        }
        match read {
            Ok(view) => {
                tail.readable |= flaw.is_some();
                scan.tip = Some(view.hash);
                if view.seq > scan.highest {
                    scan.highest = view.seq;
                    each(&view);
                }
            }
            Err(_) => tail.add(&line),
        }
    }
    if let Some(flaw) = flaw {
        scan.end = if tail.is_torn() { End::Torn(lines.offset - scan.good_len) } else { End::Damaged(flaw) };
    }
    Ok(scan)
}

fn follows(view: &RecordView<'_>, chain: Chain) -> Result<(), Problem> {
    match chain {
        Chain { next_seq: Some(expected), .. } if view.seq != expected => {
            Err(Problem::SeqDiffers { found: view.seq, expected })
        }
        Chain { prev: Some(expected), .. } if view.prev != expected => {
            Err(Problem::PrevDiffers { stored: view.prev, expected })
        }
        _ => Ok(()),
    }
}

/// Tells a torn write from damage. A torn write is the end of the file, has no readable record in it, and either no
/// line end (the file was cut) or zeros (the file grew and its pages never came, as after a power cut).
#[derive(Default)]
struct Tail {
    readable: bool,
    line_end: bool,
    zeros: bool,
}

impl Tail {
    fn add(&mut self, line: &Line<'_>) {
        self.line_end |= line.ended;
        self.zeros |= line.bytes.contains(&0);
    }

    fn is_torn(&self) -> bool {
        !self.readable && (!self.line_end || self.zeros)
    }
}

/// Appends to `out` at most `max` records with numbers above `after`, reading no further than `limit` bytes. Lines that
/// cannot be read are passed over.
pub(super) fn read(path: &Path, limit: Option<u64>, after: u64, max: usize, out: &mut Vec<Record>) -> io::Result<()> {
    let mut lines = Lines::open(path, limit)?;
    lines.seek_near(after)?;
    let mut last = after;
    while out.len() < max {
        let Some(line) = lines.next()? else { break };
        if let Ok(view) = line.decode()
            && view.seq > last
        {
            last = view.seq;
            out.push(view.to_record());
        }
    }
    Ok(())
}

/// A record, its frame, and the line's end.
const LINE_MAX: usize = JOURNAL_RECORD + 256;
/// A search is narrowed down to so many bytes, which are then read line by line.
const NEAR: u64 = 64 * 1024;

struct Lines {
    reader: BufReader<File>,
    /// Where the next line starts.
    offset: u64,
    number: u64,
    limit: u64,
    buffer: Vec<u8>,
}

struct Line<'a> {
    offset: u64,
    /// With its end.
    len: u64,
    /// Counts from 1.
    number: u64,
    /// Without its end; at most `LINE_MAX` of it.
    bytes: &'a [u8],
    /// It has an end.
    ended: bool,
}

impl Line<'_> {
    fn decode(&self) -> Result<RecordView<'_>, Problem> {
        match self.ended {
            true if self.len > LINE_MAX as u64 => Err(Problem::TooLong),
            true => record::decode(self.bytes),
            false => Err(Problem::NotARecord),
        }
    }
}

impl Lines {
    fn open(path: &Path, limit: Option<u64>) -> io::Result<Lines> {
        let file = File::open(path)?;
        let limit = file.metadata()?.len().min(limit.unwrap_or(u64::MAX));
        Ok(Lines {
            reader: BufReader::with_capacity(256 * 1024, file),
            offset: 0,
            number: 0,
            limit,
            buffer: Vec::new(),
        })
    }

    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let start = self.offset;
        self.buffer.clear();
        let room = (self.limit - start).min(LINE_MAX as u64);
        let mut len = self.reader.by_ref().take(room).read_until(b'\n', &mut self.buffer)? as u64;
        let mut ended = self.buffer.ends_with(b"\n");
        if len == 0 {
            return Ok(None);
        }
        if ended {
            self.buffer.pop();
        } else if len == room && len == LINE_MAX as u64 {
            let (skipped, end) = self.skip_line(self.limit - start - len)?;
            len += skipped;
            ended = end;
        }
        self.offset = start + len;
        self.number += 1;
        Ok(Some(Line { offset: start, len, number: self.number, bytes: &self.buffer, ended }))
    }

    /// Reads on to the end of the line without keeping it.
    fn skip_line(&mut self, room: u64) -> io::Result<(u64, bool)> {
        let mut skipped = 0;
        while skipped < room {
            let chunk = self.reader.fill_buf()?;
            let chunk = &chunk[..chunk.len().min(usize::try_from(room - skipped).unwrap_or(usize::MAX))];
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|&b| b == b'\n');
            let used = end.map_or(chunk.len(), |at| at + 1);
            self.reader.consume(used);
            skipped += used as u64;
            if end.is_some() {
                return Ok((skipped, true));
            }
        }
        Ok((skipped, false))
    }

    fn jump(&mut self, offset: u64) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(offset))?;
        self.offset = offset;
        Ok(())
    }

    /// Binary search over bytes: numbers rise, and every line begins with its own. Ends at the start of a line at or
    /// before the first record above `after`.
    fn seek_near(&mut self, after: u64) -> io::Result<()> {
        let (mut low, mut high) = (0, self.limit);
        while high - low > NEAR {
            let middle = low + (high - low) / 2;
            self.jump(middle)?;
            self.next()?;
            let mut found = None;
            while found.is_none() && self.offset < high {
                found = self.next()?.and_then(|line| Some((line.offset, record::leading_seq(line.bytes)?.0)));
            }
            match found {
                Some((start, seq)) if seq <= after => low = start,
                _ => high = middle,
            }
        }
        self.jump(low)
    }
}
