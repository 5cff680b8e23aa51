//! Are the recordings still what their sidecars say? For `leaseline verify`; reads files and changes nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ids::CallId;
use crate::wire::wav::{self, Sound};

use super::names::{self, Kind};
use super::seal::hash;

/// A sidecar is read up to so much; ours stay far below.
const SIDECAR_MAX: u64 = 1 << 20;

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Recordings whose header, length and hash are as they should be.
    pub good: usize,
    /// Each makes the verdict bad.
    pub problems: Vec<Finding>,
    /// Worth a look, but not wrong: unfinished files, files put aside, recordings without a sidecar.
    pub notes: Vec<Finding>,
    /// SHA-256 of every file that was read whole.
    pub hashes: HashMap<PathBuf, String>,
}

/// One thing about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub path: PathBuf,
    /// Stable code: `missing`, `wrong_size`, `wrong_format`, `no_header`, `wrong_length`, `wrong_hash`, `bad_sidecar`,
    /// `unreadable`; as a note `unfinished`, `broken`, `no_sidecar`, `no_hash`.
    pub code: &'static str,
    /// What differs, for a person.
    pub detail: String,
}

/// Checks all recordings below `path`: a data folder, its `recordings`, a day's folder, or one WAV or sidecar.
pub fn verify_recordings(path: &Path) -> io::Result<Verified> {
    let mut verified = Verified::default();
    if path.metadata()?.is_dir() {
        for folder in folders(path) {
            for (file, call, kind) in names::in_folder(&folder) {
                verified.look_at(&file, call, kind);
            }
        }
    } else {
        match path.file_name().and_then(|name| names::parse(name.to_str()?)) {
            Some((call, kind)) => verified.look_at(path, call, kind),
            None => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a recording or sidecar of ours")),
        }
    }
    Ok(verified)
}

/// Folders that may hold recordings, whatever level `path` is.
fn folders(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_path_buf()];
    all.extend(names::days(&path.join(names::ROOT)));
    all.extend(names::days(path));
    all
}

impl Verified {
    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    fn look_at(&mut self, path: &Path, call: CallId, kind: Kind) {
        match kind {
            Kind::Part => self.note(path, "unfinished", "is being written, or waits for the next start"),
            Kind::Broken => self.note(path, "broken", "could not be repaired after a crash"),
            Kind::Hold | Kind::Erased => {}
            Kind::Erasing => self.note(path, "unfinished", "an erasure that the next start finishes"),
            Kind::Sealed | Kind::Encrypted | Kind::Flac | Kind::Opus => {
                let sidecar = names::beside(path, call, Kind::Sidecar);
                // With a sidecar it is looked at from there.
                if !sidecar.exists() {
                    self.note(path, "no_sidecar", "nothing says what it should be");
                    match read(path, kind) {
                        Ok((_, sha256)) => drop(self.hashes.insert(path.to_path_buf(), sha256)),
                        Err(finding) => self.problems.push(finding),
                    }
                }
            }
            Kind::Sidecar => match compare(path, call, &mut self.hashes) {
                Ok(Some(note)) => {
                    self.good += 1;
                    self.notes.push(note);
                }
                Ok(None) => self.good += 1,
                Err(finding) => self.problems.push(finding),
            },
        }
    }

    fn note(&mut self, path: &Path, code: &'static str, detail: &str) {
        self.notes.push(finding(path, code, detail));
    }
}

/// A sidecar against its recording.
fn compare(sidecar: &Path, call: CallId, hashes: &mut HashMap<PathBuf, String>) -> Result<Option<Finding>, Finding> {
    let bad = |detail: &str| finding(sidecar, "bad_sidecar", detail);
    let data = read_sidecar(sidecar).map_err(|error| bad(&error.to_string()))?;
    if data.get("call_id").and_then(Value::as_str) != Some(call.to_string().as_str()) {
        return Err(bad("is of another call than its name says"));
    }
    let said = data.get("recording").ok_or_else(|| bad("has no recording"))?;
    let duration = said.get("duration_ms").and_then(Value::as_u64).ok_or_else(|| bad("has no duration_ms"))?;
    let named = said.get("path").and_then(Value::as_str).and_then(names::parse_sealed).map(|(path, _)| path);
    let kind = named.and_then(|path| names::parse(path.file_name()?.to_str()?)).map_or(Kind::Sealed, |(_, kind)| kind);
    let path = names::beside(sidecar, call, kind);
    let packed = names::beside(sidecar, call, Kind::Flac);
    if path.symlink_metadata().is_err() && packed.symlink_metadata().is_ok() {
        let back = crate::io::archive::flac::original_sha256(&packed);
        let back = back.map_err(|error| finding(&packed, "wrong_hash", &format!("is no FLAC of ours: {error}")))?;
        return match said.get("sha256").and_then(Value::as_str) {
            Some(said) if said != back => {
                Err(finding(&packed, "wrong_hash", &format!("gives back sha256 {back}, the sidecar says {said}")))
            }
            _ => Ok(None),
        };
    }
    let for_ears = names::beside(sidecar, call, Kind::Opus);
    if path.symlink_metadata().is_err() && for_ears.symlink_metadata().is_ok() {
        // Its own hash is in the manifest of its day; here it is whose sound it says it is.
        let wrong = |detail: String| finding(&for_ears, "wrong_hash", &detail);
        let opus = crate::io::archive::opus::describe(&for_ears);
        let opus = opus.map_err(|error| wrong(format!("is no Opus file of ours: {error}")))?;
        return match said.get("sha256").and_then(Value::as_str) {
            Some(said) if said != opus.wav_sha256 => {
                Err(wrong(format!("was made from sha256 {}, the sidecar says {said}", opus.wav_sha256)))
            }
            _ if opus.duration_ms != duration => {
                let detail = format!("{} ms long, the sidecar says {duration}", opus.duration_ms);
                Err(finding(&for_ears, "wrong_length", &detail))
            }
            _ => Ok(None),
        };
    }
    if path.symlink_metadata().is_err() {
        return Err(finding(&path, "missing", "its sidecar is there"));
    }
    let (sound, sha256) = read(&path, kind)?;
    hashes.insert(path.clone(), sha256.clone());
    if let Some(sound) = sound
        && sound.millis() != duration
    {
        let detail = format!("{} ms long, the sidecar says {duration}", sound.millis());
        return Err(finding(&path, "wrong_length", &detail));
    }
    match said.get("sha256").and_then(Value::as_str) {
        Some(said) if said == sha256 => Ok(None),
        Some(said) => Err(finding(&path, "wrong_hash", &format!("sha256 {sha256}, the sidecar says {said}"))),
        None => Ok(Some(finding(&path, "no_hash", "the sidecar has no sha256"))),
    }
}

/// What it is, where that can be seen, and hash of a sealed recording.
fn read(path: &Path, kind: Kind) -> Result<(Option<Sound>, String), Finding> {
    let unreadable = |error: io::Error| finding(path, "unreadable", &error.to_string());
    let file = File::open(path).map_err(unreadable)?;
    if kind != Kind::Sealed {
        return Ok((None, hash(&file).map_err(unreadable)?));
    }
    let length = file.metadata().map_err(unreadable)?.len();
    let mut head = Vec::with_capacity(wav::HEADER_MAX);
    (&file).take(wav::HEADER_MAX as u64).read_to_end(&mut head).map_err(unreadable)?;
    let sound = wav::check(&head, length).map_err(|bad| {
        let code = match bad {
            wav::Bad::NoHeader => "no_header",
            wav::Bad::WrongFormat => "wrong_format",
            wav::Bad::Empty | wav::Bad::WrongSize | wav::Bad::TooLarge => "wrong_size",
        };
        finding(path, code, &format!("{length} bytes"))
    })?;
    Ok((Some(sound), hash(&file).map_err(unreadable)?))
}

fn read_sidecar(path: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    File::open(path)?.take(SIDECAR_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn finding(path: &Path, code: &'static str, detail: &str) -> Finding {
    Finding { path: path.to_path_buf(), code, detail: detail.to_owned() }
}
