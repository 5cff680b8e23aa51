//! Erasing recordings, and holding them: by call, by caller, by visitor, by age.
//!
//! An erasure is carried out in an order that a crash cannot spoil: the tombstone (`<call_id>.erasing`) is durable before
//! the first byte goes; then sound, sidecar and key are removed; then the day's manifest and the journal are told, and the
//! tombstone gets its last name (`.erased`). A start finishes what it finds half done. A tombstone says who wanted it, why
//! and which hash went, and nothing about the people in the call.
//!
//! What is erased is the recording with its sidecar. When that was somebody's wish, not age or a full disk, the list of
//! calls and the file of events forget who called, too (`core::archive::forget`). The journal keeps its records, whose
//! chain would not bear it otherwise.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::{self, Place};
use super::{Archive, Turn, days, sync_folder, write_whole};
use crate::core::archive::manifest::{Change, Record, State, What};
use crate::core::archive::retention::{self, Item};
use crate::core::event::{Body, ErasedData, HoldData};
use crate::ids::CallId;
use crate::io::clock;
use crate::io::recordings::crypt::key_file;
use crate::io::recordings::names::{self, Kind};
use crate::limits;
use crate::time::Wall;

/// Whose recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Call(CallId),
    /// Telephone number; its digits are compared.
    Caller(String),
    /// `visitor_id` that calls were attributed to.
    Visitor(String),
}

/// What came of an erasure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// Erased; with `dry_run`, what would be.
    pub erased: Vec<CallId>,
    /// Under a legal hold: kept.
    pub held: Vec<CallId>,
    /// Being recorded now: ask again when they have ended.
    pub in_progress: Vec<CallId>,
    /// The disk refused: ask again.
    pub failed: Vec<CallId>,
    pub dry_run: bool,
}

/// Why one recording was not erased or held.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    #[error("there is no recording of this call")]
    Unknown,
    #[error("the recording is under a legal hold")]
    Held,
    #[error("the recording is not under a hold")]
    NotHeld,
    #[error("the call is being recorded")]
    InProgress,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What stays of an erased recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    #[serde(flatten)]
    data: ErasedData,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    size: Option<u64>,
}

impl Tombstone {
    pub(super) fn read(path: &Path) -> io::Result<Tombstone> {
        Ok(serde_json::from_value(place::read_json(path)?)?)
    }

    pub(super) fn change(&self) -> Change {
        let ErasedData { call_id, erased_at, by, why, .. } = self.data.clone();
        Change { at: erased_at, call_id, what: What::Erased, by, why, record: None }
    }

    /// What there was, for a day that is closed after the erasure.
    pub(super) fn record(&self) -> Option<Record> {
        let ErasedData { call_id, file, sha256, .. } = self.data.clone();
        Some(Record { call_id, file: file?, size: self.size?, sha256: sha256?, sidecar_sha256: None })
    }
}

impl Archive {
    /// Erases every recording of a subject.
    pub fn erase(&self, subject: &Subject, by: &str, why: &str, dry_run: bool) -> io::Result<Erasure> {
        let mut erasure = Erasure { dry_run, ..Erasure::default() };
        for place in self.places(subject) {
            let call = place.call;
            match if dry_run { may_erase(&place) } else { self.erase_one(call, by, why) } {
                Ok(()) => erasure.erased.push(call),
                Err(NotDone::Held) => erasure.held.push(call),
                Err(NotDone::InProgress) => erasure.in_progress.push(call),
                Err(NotDone::Unknown | NotDone::NotHeld) => {}
                Err(NotDone::Io(error)) => {
                    tracing::error!(%call, %error, "cannot erase");
                    erasure.failed.push(call);
                }
            }
        }
        Ok(erasure)
    }

    fn places(&self, subject: &Subject) -> Vec<Place> {
        if let Subject::Call(call) = subject {
            return Place::find(&self.data_dir, *call).into_iter().collect();
        }
        let all = names::days(&self.recordings()).into_iter().flat_map(|folder| place::calls_in(&folder));
        all.filter(|place| place.has(Kind::Sidecar) && place.sidecar().is_ok_and(|data| is_of(&data, subject)))
            .collect()
    }

    fn erase_one(&self, call: CallId, by: &str, why: &str) -> Result<(), NotDone> {
        let mut turn = self.turn();
        let place = Place::find(&self.data_dir, call).ok_or(NotDone::Unknown)?;
        may_erase(&place)?;
        let now = clock::wall();
        let (file, sha256, size) = self.what_goes(&place);
        let data = ErasedData { call_id: call, erased_at: now, by: one_line(by), why: one_line(why), file, sha256 };
        let tombstone = Tombstone { data, size };
        write_whole(&place.path(Kind::Erasing), &serde_json::to_vec_pretty(&tombstone).map_err(io::Error::from)?)?;
        self.carry_out(&mut turn, &place, tombstone)?;
        Ok(())
    }

    /// From a durable tombstone to the end; may be begun again after a crash.
    fn carry_out(&self, turn: &mut Turn, place: &Place, tombstone: Tombstone) -> io::Result<()> {
        let goes = [Kind::Sealed, Kind::Encrypted, Kind::Flac, Kind::Opus, Kind::Broken, Kind::Sidecar];
        for kind in goes {
            match std::fs::remove_file(place.path(kind)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let key = self.data_dir.join(key_file(&place.path(Kind::Encrypted), place.call));
        match std::fs::remove_file(&key) {
            Ok(()) => sync_folder(&key)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        sync_folder(&place.path(Kind::Erasing))?;
        self.add_change(turn, &place.folder, tombstone.change())?;
        let (call, at) = (tombstone.data.call_id, tombstone.data.erased_at);
        tracing::info!(%call, by = tombstone.data.by, "recording erased");
        self.tell(at, call.to_string(), Body::RecordingErased(tombstone.data));
        self.figures.erased.inc();
        // Without the journal's disk the tombstone keeps its first name, and the next start tells again.
        if self.journal.flush(limits::ARCHIVE_FLUSH) {
            std::fs::rename(place.path(Kind::Erasing), place.path(Kind::Erased))?;
        }
        Ok(())
    }

    /// Erases a recording because the disk runs full; `false`: it may not go, or is gone.
    pub(super) fn erase_early(&self, call: CallId, rule: &str) -> io::Result<bool> {
        match self.erase_one(call, "disk", &format!("the disk ran full; rule {rule}")) {
            Ok(()) => Ok(true),
            Err(NotDone::Io(error)) => Err(error),
            Err(NotDone::Held | NotDone::InProgress | NotDone::Unknown | NotDone::NotHeld) => Ok(false),
        }
    }

    /// Finishes the erasures that a crash cut short.
    pub(super) fn finish_erasures(&self, turn: &mut Turn) -> io::Result<()> {
        for folder in names::days(&self.recordings()) {
            for place in place::calls_in(&folder).into_iter().filter(|place| place.has(Kind::Erasing)) {
                let path = place.path(Kind::Erasing);
                match Tombstone::read(&path) {
                    Ok(tombstone) => self.carry_out(turn, &place, tombstone)?,
                    Err(error) => tracing::error!(file = %path.display(), %error, "this tombstone cannot be read"),
                }
            }
        }
        Ok(())
    }

    /// File, hash and size of what there is: as the manifest says, or the sidecar.
    fn what_goes(&self, place: &Place) -> (Option<String>, Option<String>, Option<u64>) {
        if let Ok(manifest) = days::load(&place.folder)
            && let Some(State::Here(record)) = manifest.states().get(&place.call)
        {
            return (Some(record.file.clone()), Some(record.sha256.clone()), Some(record.size));
        }
        let Some(kind) = place.sound() else { return (None, None, None) };
        let size = place.path(kind).metadata().ok().map(|meta| meta.len());
        let said = place.sidecar().ok();
        let sha256 = said.as_ref().and_then(|data| data.pointer("/recording/sha256")).and_then(Value::as_str);
        (Some(names::file(place.call, kind)), sha256.map(str::to_owned), size)
    }

    /// Puts a legal hold on a recording: nothing erases it until the hold is released. Twice is once.
    pub fn hold(&self, call: CallId, by: &str, why: &str) -> Result<(), NotDone> {
        let _turn = self.turn();
        let place = Place::find(&self.data_dir, call).ok_or(NotDone::Unknown)?;
        if place.sound().is_none() && !place.has(Kind::Part) && !place.has(Kind::Sidecar) {
            return Err(NotDone::Unknown);
        }
        if place.has(Kind::Hold) {
            return Ok(());
        }
        let data = HoldData { call_id: call, by: one_line(by), why: one_line(why) };
        write_whole(&place.path(Kind::Hold), &serde_json::to_vec_pretty(&data).map_err(io::Error::from)?)?;
        self.tell(clock::wall(), call.to_string(), Body::RecordingHeld(data));
        Ok(())
    }

    /// Ends a legal hold.
    pub fn release(&self, call: CallId, by: &str, why: &str) -> Result<(), NotDone> {
        let _turn = self.turn();
        let place = Place::find(&self.data_dir, call).ok_or(NotDone::Unknown)?;
        if !place.has(Kind::Hold) {
            return Err(NotDone::NotHeld);
        }
        std::fs::remove_file(place.path(Kind::Hold))?;
        sync_folder(&place.path(Kind::Hold))?;
        let data = HoldData { call_id: call, by: one_line(by), why: one_line(why) };
        self.tell(clock::wall(), call.to_string(), Body::RecordingReleased(data));
        Ok(())
    }

    /// Erases what is older than its class may become, at most so many a run.
    pub(super) fn retain(&self, now: Wall) -> io::Result<()> {
        let config = self.config.load_full();
        let keep = &config.recording.keep;
        let shortest = keep.retention.iter().filter(|rule| rule.days > 0).map(|rule| rule.days).min();
        let Some(shortest) = shortest else { return Ok(()) };
        let oldest_kept = names::day_text(now - std::time::Duration::from_secs(86_400 * u64::from(shortest)));
        let folders = names::days(&self.recordings());
        let due = folders.iter().filter(|folder| names::day_of(folder).is_some_and(|day| day <= oldest_kept));
        let items = due.flat_map(|folder| place::calls_in(folder)).filter_map(|place| item(&place));
        let plan = retention::plan(&keep.retention, now, items, keep.deletions_max);
        for (call, rule) in plan.erase {
            match self.erase_one(call, "retention", &format!("rule {rule}")) {
                Ok(()) | Err(NotDone::Held | NotDone::InProgress | NotDone::Unknown | NotDone::NotHeld) => {}
                Err(NotDone::Io(error)) => return Err(error),
            }
        }
        self.figures.erasures_left.set(i64::try_from(plan.left).unwrap_or(i64::MAX));
        Ok(())
    }
}

fn may_erase(place: &Place) -> Result<(), NotDone> {
    if place.has(Kind::Part) {
        return Err(NotDone::InProgress);
    }
    if place.has(Kind::Hold) {
        return Err(NotDone::Held);
    }
    let there = place.sound().is_some() || place.has(Kind::Sidecar) || place.has(Kind::Broken);
    if there { Ok(()) } else { Err(NotDone::Unknown) }
}

/// A recording as retention sees it. One whose sidecar is gone belongs to nobody and ended with its day.
pub(super) fn item(place: &Place) -> Option<Item> {
    if place.sound().is_none() && !place.has(Kind::Sidecar) {
        return None;
    }
    let data = if place.has(Kind::Sidecar) { place.sidecar().ok()? } else { Value::Null };
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let ended = data["ended_at"].as_str().and_then(Wall::parse_rfc3339);
    let of_folder = || {
        let day = names::day_of(&place.folder)?;
        Some(Wall::parse_rfc3339(&format!("{day}T00:00:00Z"))? + std::time::Duration::from_secs(86_400))
    };
    Some(Item {
        call: place.call,
        company: text("company"),
        pool: text("pool"),
        ended_at: ended.or_else(of_folder)?,
        held: place.has(Kind::Hold),
    })
}

/// Is this sidecar of a call of theirs?
fn is_of(data: &Value, subject: &Subject) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    match subject {
        Subject::Call(call) => data["call_id"].as_str() == Some(&call.to_string()),
        Subject::Caller(number) => {
            let wanted = digits(number);
            !wanted.is_empty() && data["caller"].as_str().is_some_and(|caller| digits(caller) == wanted)
        }
        Subject::Visitor(visitor) => data.pointer("/attribution/visitor_id").and_then(Value::as_str) == Some(visitor),
    }
}

/// Words of a person for a record: one line of bounded length.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limits::ARCHIVE_WORDS).collect()
}
