//! The sidecar: what `call.ended` says of the call, beside its recording.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::core::recorder::Stats;
use crate::ids::CallId;
use crate::io::messages::Kept;

use super::files::{Files, Handle};
use super::ladder;
use super::names::{self, Kind};

/// What a sidecar has beside the `data` object of `call.ended`, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// The recorder's counters: `recorder`.
    pub(super) stats: Option<Stats>,
    /// The SIP messages: `sip`, the ladder.
    pub(super) said: Option<Kept>,
}

/// Writes `<call_id>.json` beside the WAV that `data.recording.path` names. Under a temporary name first, so that a reader
/// never sees half of it. `Ok(None)`: the call has no recording.
pub(super) fn write(
    files: &dyn Files,
    data_dir: &Path,
    call: CallId,
    data: &Value,
    beside: Beside,
) -> io::Result<Option<PathBuf>> {
    let Some(path) = data.pointer("/recording/path").and_then(Value::as_str) else { return Ok(None) };
    let path = match names::parse_sealed(path) {
        Some((path, named)) if named == call => data_dir.join(path),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of this call's recording")),
    };
    let text = text(data, beside)?;
    let target = names::beside(&path, call, Kind::Sidecar);
    let temporary = target.with_extension("json.tmp");
    write_new(files, &temporary, &text)?;
    files.rename(&temporary, &target)?;
    Ok(Some(target))
}

/// The sidecar's text.
pub(super) fn text(data: &Value, Beside { stats, said }: Beside) -> io::Result<Vec<u8>> {
    let mut data = data.clone();
    if let Some(object) = data.as_object_mut() {
        if let Some(stats) = stats {
            object.insert("recorder".to_owned(), serde_json::to_value(stats)?);
        }
        if let Some(said) = said {
            object.insert("sip".to_owned(), ladder::value(&said));
        }
    }
    let mut text = serde_json::to_vec_pretty(&data)?;
    text.push(b'\n');
    Ok(text)
}

fn write_new(files: &dyn Files, path: &Path, text: &[u8]) -> io::Result<()> {
    let file = match files.create_new(path) {
        // Left by a crash.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = files.open(path)?;
            file.set_len(0)?;
            file
        }
        other => other?,
    };
    Handle(file).write_all(text)
}
