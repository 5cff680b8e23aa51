//! What a sink keeps on the disk: its cursor and its dead letters, in `<data_dir>/sinks/`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::Value;

use crate::io::archive::write_whole;
use crate::io::journal::Record;
use crate::limits;
use crate::time::Wall;

/// A file name for a sink's name: letters, digits, `-` and `_` as they are, other bytes as `%XX`.
pub(super) fn file_name(sink: &str) -> String {
    let mut name = String::new();
    for byte in sink.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

/// Number of the last record that a sink has settled. Written whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
}

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Everything up to here is settled.
    pub(super) seq: u64,
    /// So is everything up to here, except `waiting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upto: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) waiting: BTreeSet<u64>,
}

impl Cursor {
    pub(super) fn at(seq: u64) -> Cursor {
        Cursor { seq, ..Cursor::default() }
    }

    pub(super) fn is_settled(&self, seq: u64) -> bool {
        seq <= self.seq || self.upto.is_some_and(|upto| seq <= upto) && !self.waiting.contains(&seq)
    }
}

impl CursorFile {
    pub(super) fn new(folder: &Path, sink: &str) -> CursorFile {
        CursorFile { path: folder.join(format!("{}.cursor", file_name(sink))) }
    }

    /// `None`: a new sink. A file that cannot be understood is an error: delivering nothing or everything again is not
    /// for us to choose.
    pub(super) fn load(&self) -> io::Result<Option<Cursor>> {
        match fs::read(&self.path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn save(&self, cursor: &Cursor) -> io::Result<()> {
        let mut text = serde_json::to_vec(cursor)?;
        text.push(b'\n');
        write_whole(&self.path, &text)
    }
}

/// Events that a sink did not take for a day, one JSON line each, with the reason.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    /// One at a time changes the files.
    turn: Mutex<()>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeadLetter {
    pub(super) seq: u64,
    pub(super) buried_at: Wall,
    pub(super) reason: String,
    pub(super) attempts: u32,
    pub(super) event: Value,
}

impl DeadLetters {
    pub(super) fn new(folder: &Path, sink: &str) -> DeadLetters {
        DeadLetters { path: folder.join(format!("{}.dead.jsonl", file_name(sink))), turn: Mutex::new(()) }
    }

    pub(super) fn bury(&self, record: &Record, reason: &str, attempts: u32, buried_at: Wall) -> io::Result<()> {
        let event = serde_json::from_str(&record.event)?;
        self.add(&DeadLetter { seq: record.seq, buried_at, reason: reason.into(), attempts, event })
    }

    /// Appends a letter and sees it to the disk. Full (`StorageFull`) at [`limits::SINK_DEAD_BYTES`].
    pub(super) fn add(&self, letter: &DeadLetter) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = serde_json::to_vec(letter)?;
        line.push(b'\n');
        let mut file = append(&self.path)?;
        let len = file.metadata()?.len();
        if len + line.len() as u64 > limits::SINK_DEAD_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            let _cut_is_tried_only = file.set_len(len);
        }
        written
    }

    /// Begins a replay: the letters move to a file of their own, which is `done` when each was delivered or buried
    /// again. One that a crash left behind is taken up first.
    pub(super) fn begin_replay(&self) -> io::Result<Vec<DeadLetter>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let replaying = self.replaying();
        if !replaying.exists() {
            match fs::rename(&self.path, &replaying) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                renamed => renamed?,
            }
        }
        let lines = BufReader::new(File::open(&replaying)?).lines();
        // A torn last line is an event that was never passed over: its cursor was not written either.
        Ok(lines.collect::<io::Result<Vec<_>>>()?.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    pub(super) fn end_replay(&self) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        fs::remove_file(self.replaying())?;
        sync_folder(&self.path)
    }

    fn replaying(&self) -> PathBuf {
        self.path.with_extension("replaying.jsonl")
    }
}

/// Opens a file to be appended to, for its owner only.
pub(super) fn append(path: &Path) -> io::Result<File> {
    let new = !path.exists();
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if new {
        sync_folder(path)?;
    }
    Ok(file)
}

fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = CursorFile::new(dir.path(), "../x");
        assert_eq!(cursor.load().unwrap(), None);
        cursor.save(&Cursor::at(7)).unwrap();
        assert_eq!(cursor.load().unwrap(), Some(Cursor::at(7)));
        let full = Cursor { seq: 8, upto: Some(12), waiting: [9, 11].into() };
        cursor.save(&full).unwrap();
        assert_eq!(cursor.load().unwrap(), Some(full.clone()));
        let settled: Vec<u64> = (7..15).filter(|seq| full.is_settled(*seq)).collect();
        assert_eq!(settled, [7, 8, 10, 12]);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["%2E%2E%2Fx.cursor"]);
        fs::write(dir.path().join("%2E%2E%2Fx.cursor"), "").unwrap();
        assert!(cursor.load().is_err());
    }

    #[test]
    fn dead_letters_come_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let dead = DeadLetters::new(dir.path(), "crm");
        assert!(dead.begin_replay().unwrap().is_empty());
        let record = Record { seq: 4, hash: Default::default(), event: r#"{"id":"x"}"#.into() };
        dead.bury(&record, "status_500", 300, Wall(0)).unwrap();
        dead.bury(&Record { seq: 9, ..record }, "timeout", 300, Wall(0)).unwrap();
        for _crash_between in 0..2 {
            let letters = dead.begin_replay().unwrap();
            let told: Vec<_> = letters.iter().map(|letter| (letter.seq, letter.reason.as_str())).collect();
            assert_eq!(told, [(4, "status_500"), (9, "timeout")]);
            assert_eq!(letters[0].event["id"], "x");
        }
        dead.end_replay().unwrap();
        assert!(dead.begin_replay().unwrap().is_empty());
    }
}
