//! The jsonl sink: every event of the journal as one CloudEvents line in a file of its own, for whatever reads files.
//!
//! Lines are synced in batches, then the cursor is written. A crash between the two is seen at the next start by the
//! file's last line, so that nothing stands in the file twice; a torn last line is cut first. The file may be moved
//! away (`logrotate`): the next batch starts a new one. When a recording is erased on somebody's wish, the file is written
//! anew without who called ([`forget`]), and takes the old one's place; files that were moved away are their keeper's.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::files::{self, Cursor, CursorFile};
use super::forget;
use super::{Order, Status};
use crate::core::event::cloud;
use crate::ids::EventId;
use crate::io::clock;
use crate::io::journal::{Journal, Record};
use crate::limits;
use crate::time::Mono;

/// Cursors are written at most so often.
const CURSOR_EVERY: Duration = Duration::from_secs(1);

/// Delivers the journal to one file. `cursor` is what the cursor file says. Runs until told to stop, or, told to drain,
/// until all is written or the disk refuses.
pub(super) async fn run(
    name: String,
    journal: Journal,
    path: PathBuf,
    cursor_file: CursorFile,
    cursor: u64,
    status: Arc<Status>,
    mut order: watch::Receiver<Order>,
) {
    let mut last = journal.watch();
    let mut output = Output { path, cursor_file, file: None, begun: false, cursor, saved: cursor, saved_at: None };
    let mut failures = 0;
    loop {
        let newest = *last.borrow_and_update();
        let told = *order.borrow_and_update();
        if told == Order::Stop {
            break;
        }
        let (done, back) = step(output, journal.clone(), newest).await;
        output = back;
        match done {
            Ok(count) => {
                failures = 0;
                status.on_delivered(count);
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    tracing::error!(sink = %name, %error, path = %output.path.display(), "the sink fails");
                }
                status.on_failure(format!("{:?}", error.kind()));
            }
        }
        status.set(output.cursor, usize::from(failures > 0), failures);
        let behind = output.cursor < newest;
        if told == Order::Drain && (failures > 0 || !behind) {
            break;
        }
        let pause = match failures {
            0 if behind => continue,
            0 => (output.saved != output.cursor).then_some(CURSOR_EVERY),
            _ => Some(limits::JOURNAL_RETRY),
        };
        tokio::select! {
            changed = last.changed(), if failures == 0 => if changed.is_err() { break },
            changed = order.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
    if let Err(error) = output.save() {
        tracing::error!(sink = %name, %error, "the cursor cannot be written");
    }
}

/// One turn of file work, where blocking is allowed.
async fn step(output: Output, journal: Journal, newest: u64) -> (io::Result<u64>, Output) {
    let spare = output.spare();
    let work = tokio::task::spawn_blocking(move || {
        let mut output = output;
        (output.step(&journal, newest), output)
    });
    work.await.unwrap_or_else(|panic| (Err(io::Error::other(panic)), spare))
}

struct Output {
    path: PathBuf,
    cursor_file: CursorFile,
    file: Option<File>,
    /// The file's end was compared with the journal.
    begun: bool,
    cursor: u64,
    saved: u64,
    saved_at: Option<Mono>,
}

impl Output {
    /// Writes what the journal has, at most one batch; returns how many events. After an error the same is tried again.
    fn step(&mut self, journal: &Journal, newest: u64) -> io::Result<u64> {
        if !self.begun {
            self.cursor = where_the_file_ends(journal, &self.path, self.cursor)?;
            self.begun = true;
        }
        let mut count = 0;
        if self.cursor < newest {
            let records = journal.read(self.cursor, limits::JOURNAL_READ)?;
            self.append(&records)?;
            // Nothing readable up to there: damaged lines only.
            self.cursor = records.last().map_or(newest, |record| record.seq);
            count = records.len() as u64;
        }
        if self.saved_at.is_none_or(|at| clock::mono() >= at + CURSOR_EVERY) {
            self.save()?;
        }
        Ok(count)
    }

    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let erased = forget::erased(records);
        if !erased.is_empty() {
            forget::rewrite(&self.path, &erased)?;
        }
        let mut lines = String::with_capacity(records.iter().map(|record| record.event.len() + 1).sum());
        for record in records {
            match forget::line(&record.event, &erased) {
                Some(without) => lines.push_str(&without),
                None => lines.push_str(&record.event),
            }
            lines.push('\n');
        }
        let mut file = self.current_file()?;
        let len = file.metadata()?.len();
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() && file.metadata()?.len() > len {
            file.set_len(len)?;
        }
        written
    }

    /// The file at the path: another one than before, when that was moved away.
    fn current_file(&mut self) -> io::Result<&File> {
        let here = std::fs::metadata(&self.path).map(|meta| (meta.dev(), meta.ino())).ok();
        let same = match &self.file {
            Some(file) => file.metadata().map(|meta| (meta.dev(), meta.ino())).ok() == here && here.is_some(),
            None => false,
        };
        if !same {
            self.file = None;
        }
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(files::append(&self.path)?)),
        }
    }

    fn save(&mut self) -> io::Result<()> {
        if self.cursor != self.saved {
            self.cursor_file.save(&Cursor::at(self.cursor))?;
            (self.saved, self.saved_at) = (self.cursor, Some(clock::mono()));
        }
        Ok(())
    }

    /// What goes on when a turn panicked: begins again from the cursor that was saved.
    fn spare(&self) -> Output {
        Output {
            path: self.path.clone(),
            cursor_file: self.cursor_file.clone(),
            file: None,
            begun: false,
            cursor: self.saved,
            saved: self.saved,
            saved_at: self.saved_at,
        }
    }
}

/// Cuts a torn last line, then looks for the event of the last whole one behind `cursor`: what a crash kept from the
/// cursor file.
fn where_the_file_ends(journal: &Journal, path: &Path, cursor: u64) -> io::Result<u64> {
    let Some(id) = last_id(path)? else { return Ok(cursor) };
    let mut after = cursor;
    loop {
        let records = journal.read(after, limits::JOURNAL_READ)?;
        let Some(newest) = records.last() else { return Ok(cursor) };
        after = newest.seq;
        let found = records.iter().find(|record| record.head().is_ok_and(|head| head.id == id));
        if let Some(record) = found {
            return Ok(record.seq);
        }
    }
}

/// Id of the event in the file's last line; `None`: no file, an empty one, or a line that is not ours.
fn last_id(path: &Path) -> io::Result<Option<EventId>> {
    let mut file = match File::options().read(true).write(true).open(path) {
        Ok(file) if file.metadata()?.is_file() => file,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(None),
    };
    let len = file.metadata()?.len();
    let start = len.saturating_sub(2 * (limits::JOURNAL_RECORD as u64 + 1));
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    if whole < tail.len() {
        file.set_len(start + whole as u64)?;
        file.sync_data()?;
    }
    let line = tail[..whole].split(|&b| b == b'\n').rfind(|line| !line.is_empty());
    let text = line.and_then(|line| std::str::from_utf8(line).ok());
    Ok(text.and_then(|text| cloud::head(text).ok()).map(|head| head.id))
}
