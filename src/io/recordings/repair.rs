//! After a crash: what was being written is made whole; what cannot be is kept aside. Nothing is deleted, and a second
//! run finds nothing left to do.

use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::Fsync;
use crate::core::event::{RecordingState, RecordingSummary};
use crate::ids::CallId;
use crate::wire::wav::{self, Format, Layout, Sound};

use super::crypt::{Recipients, plain_length};
use super::files::{Disk, Files, Handle, reason};
use super::names::{self, Kind};
use super::seal::{Sealed, encoding, hash, make_whole, seal_file};
use super::writer::Closed;

/// A recording that a crash had left unfinished.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    pub call: CallId,
    /// `degraded` with the reason `crash` and what could be saved, or `failed`.
    pub summary: RecordingSummary,
    /// Where the file is now.
    pub file: PathBuf,
}

/// Makes every unfinished recording below `data_dir` whole. To be called at start, before the first call, by the only
/// process that writes there. A file that cannot be made whole is renamed to `.wav.broken`; one that cannot be touched
/// now is reported and stays for the next start.
pub fn repair(data_dir: &Path, recipients: &Recipients) -> Vec<Recovered> {
    repair_with(&Disk, data_dir, recipients)
}

/// The sealed, unencrypted recording of a call, where one is.
pub(in crate::io) fn sealed(data_dir: &Path, call: CallId) -> Option<PathBuf> {
    let places = names::likely_folders(data_dir, call);
    let files = places.iter().map(|folder| folder.join(names::file(call, Kind::Sealed)));
    files.into_iter().find(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
}

/// What is on disk of a call whose `call.ended` was never written: after [`repair`], so nothing is unfinished. Reads
/// the whole file. The gap map and the end of the talk are lost, so the best verdict is `degraded`, reason `crash`.
pub fn find(data_dir: &Path, call: CallId) -> Option<RecordingSummary> {
    let root = data_dir.join(names::ROOT);
    let likely = names::likely_folders(data_dir, call);
    let holds = |folder: &PathBuf| {
        let is = |kind| folder.join(names::file(call, kind)).symlink_metadata().is_ok_and(|m| m.is_file());
        [Kind::Sealed, Kind::Encrypted, Kind::Broken]
            .into_iter()
            .find(|kind| is(*kind))
            .map(|kind| (folder.clone(), kind))
    };
    let found = likely.iter().find_map(holds).or_else(|| names::days(&root).iter().find_map(holds));
    let (folder, kind) = found?;
    if kind == Kind::Broken {
        return Some(failed("crash"));
    }
    let path = folder.join(names::file(call, kind));
    Some(read_back(data_dir, &path, kind).unwrap_or_else(|error| {
        warn!(%call, %error, "cannot read the recording back");
        failed(reason(&error))
    }))
}

pub(super) fn repair_with(files: &dyn Files, data_dir: &Path, recipients: &Recipients) -> Vec<Recovered> {
    let mut recovered = Vec::new();
    for folder in names::days(&data_dir.join(names::ROOT)) {
        for (part, call, kind) in names::in_folder(&folder) {
            if kind == Kind::Part {
                // Encrypted whole, and the crash came before its plain bytes went.
                if names::beside(&part, call, Kind::Encrypted).exists() {
                    files.remove(&part).unwrap_or_else(|error| warn!(%call, %error, "plain bytes are left"));
                    continue;
                }
                recovered.push(repair_one(files, data_dir, recipients, call, &part));
            }
        }
    }
    recovered
}

fn repair_one(files: &dyn Files, data_dir: &Path, recipients: &Recipients, call: CallId, part: &Path) -> Recovered {
    let sealed = names::beside(part, call, Kind::Sealed);
    let taken = sealed.symlink_metadata().is_ok();
    let handle = files.open(part).map(Handle);
    let sound = handle.as_ref().map_err(copy).and_then(|handle| make_whole(handle, None));
    match (handle, sound) {
        (Ok(handle), Ok(sound)) if !taken => {
            let path = sealed.strip_prefix(data_dir).unwrap_or(&sealed).to_path_buf();
            let closed = Closed { handle, path, sound, whole: true };
            let outcome = seal_file(files, data_dir, Fsync::Seal, recipients, call, &closed);
            if let Some(error) = &outcome.error {
                warn!(%call, %error, "the recording is not sealed as it should be");
            }
            match (outcome.sealed, outcome.error) {
                (Some(saved), _) => {
                    let file = data_dir.join(&saved.path);
                    Recovered { call, summary: degraded(saved), file }
                }
                (None, error) => {
                    let code = error.as_ref().map_or("write_error", reason);
                    Recovered { call, summary: failed(code), file: part.to_path_buf() }
                }
            }
        }
        // The disk refuses now; the bytes may be good.
        (_, Err(error)) if error.get_ref().is_none_or(|e| !e.is::<wav::Bad>()) => {
            warn!(%call, %error, "cannot repair the recording");
            Recovered { call, summary: failed(reason(&error)), file: part.to_path_buf() }
        }
        _ => put_aside(files, call, part),
    }
}

/// Nothing can be played of it.
fn put_aside(files: &dyn Files, call: CallId, part: &Path) -> Recovered {
    let broken = names::beside(part, call, Kind::Broken);
    let moved = if broken.symlink_metadata().is_ok() {
        Err(io::ErrorKind::AlreadyExists.into())
    } else {
        files.rename(part, &broken)
    };
    let file = match moved {
        Ok(()) => broken,
        Err(error) => {
            warn!(%call, %error, "cannot put the broken recording aside");
            part.to_path_buf()
        }
    };
    Recovered { call, summary: failed("crash"), file }
}

fn read_back(data_dir: &Path, path: &Path, kind: Kind) -> io::Result<RecordingSummary> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::with_capacity(1_024);
    io::Read::read_to_end(&mut io::Read::take(&file, 1_024), &mut head)?;
    let sound = if kind == Kind::Encrypted {
        // What cannot be read here is taken for PCM.
        let (plain, layout) = (plain_length(&head, length), Layout::of(Format::PLAIN));
        let data = plain.ok_or(io::ErrorKind::InvalidData)?.saturating_sub(layout.length() as u64);
        Sound { layout, frames: data / layout.format.frame() }
    } else {
        wav::check(&head, length).map_err(io::Error::other)?
    };
    let sha256 = Some(hash(&file)?);
    let path = path.strip_prefix(data_dir).unwrap_or(path).to_string_lossy().into_owned();
    Ok(degraded(Sealed { path, sound, sha256, original_sha256: None }))
}

fn degraded(saved: Sealed) -> RecordingSummary {
    RecordingSummary {
        state: RecordingState::Degraded,
        reason: Some("crash".to_owned()),
        path: Some(saved.path),
        duration_ms: saved.sound.millis(),
        sha256: saved.sha256,
        original_sha256: saved.original_sha256,
        channels: wav::CHANNELS,
        sample_rate: saved.sound.layout.format.rate,
        encoding: encoding(saved.sound),
        gaps: Vec::new(),
    }
}

fn failed(code: &str) -> RecordingSummary {
    RecordingSummary {
        state: RecordingState::Failed,
        reason: Some(code.to_owned()),
        channels: wav::CHANNELS,
        sample_rate: wav::RATE,
        ..RecordingSummary::default()
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
