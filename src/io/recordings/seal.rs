//! The seal: header right, durable, hashed, renamed, and the folder durable. On its own thread, because a hash reads the
//! whole file and an fsync takes as long as the disk likes, and neither may hold up the calls that go on.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::Fsync;
use crate::core::event::{Gap, RecordingState, RecordingSummary};
use crate::core::recorder::{Cause, Stats};
use crate::ids::{CallId, Side};
use crate::io::messages::Kept;
use crate::limits;
use crate::wire::wav::{self, Encoding, Format, Layout, Sound};

use super::crypt::{Encrypted, Recipients, encrypt};
use super::files::{Files, Handle, reason};
use super::names::{self, Kind};
use super::sidecar::{self, Beside};
use super::writer::{Closed, Finished, SyncState};

/// What the sealing thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Seal(Box<Finished>),
    Sync(Handle, Arc<SyncState>),
    Sidecar(CallId, Box<(serde_json::Value, Option<Kept>)>),
}

/// Runs until nobody can send jobs any more.
pub(super) fn run(
    files: &dyn Files,
    data_dir: &Path,
    fsync: Fsync,
    recipients: &Recipients,
    jobs: &Receiver<Job>,
    notify: impl Fn(CallId, RecordingSummary),
) {
    // Counters wait here for the sidecar of their call.
    let mut stats: HashMap<CallId, Stats> = HashMap::new();
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Sync(handle, state) => state.run(&handle),
            Job::Seal(finished) => {
                let call = finished.call;
                if stats.len() < limits::CALLS {
                    stats.insert(call, finished.summary.stats);
                }
                let summary = seal(files, data_dir, fsync, recipients, *finished);
                info!(%call, state = ?summary.state, reason = summary.reason, ms = summary.duration_ms, "recording");
                notify(call, summary);
            }
            Job::Sidecar(call, told) => {
                let (data, said) = *told;
                let beside = Beside { stats: stats.remove(&call), said };
                if let Err(error) = sidecar::write(files, data_dir, call, &data, beside) {
                    warn!(%call, %error, "cannot write the sidecar");
                }
            }
        }
    }
}

/// Seals one recording. Whatever fails, the summary says what is there.
pub(super) fn seal(
    files: &dyn Files,
    data_dir: &Path,
    fsync: Fsync,
    recipients: &Recipients,
    finished: Finished,
) -> RecordingSummary {
    let Finished { call, summary, reason: mut why, file } = finished;
    let talk = summary.frames;
    let mut gaps = summary.gaps;
    if summary.overload > 0 {
        why = why.or(Some("overload"));
    }
    let sealed = file.and_then(|file| {
        let outcome = seal_file(files, data_dir, fsync, recipients, call, &file);
        if let Some(error) = &outcome.error {
            warn!(%call, %error, "the recording is not sealed as it should be");
            why = why.or(Some(reason(error)));
        }
        outcome.sealed
    });
    let Some(Sealed { path, sound, sha256, original_sha256 }) = sealed else {
        return RecordingSummary {
            state: RecordingState::Failed,
            reason: Some(why.unwrap_or("write_error").to_owned()),
            channels: wav::CHANNELS,
            sample_rate: wav::RATE,
            gaps: lost_on_disk(gaps, 0, talk),
            ..RecordingSummary::default()
        };
    };
    if sound.frames < talk {
        why = why.or(Some("write_error"));
        gaps = lost_on_disk(gaps, sound.frames, talk);
    }
    RecordingSummary {
        state: if why.is_some() { RecordingState::Degraded } else { RecordingState::Complete },
        reason: why.map(str::to_owned),
        path: Some(path),
        duration_ms: sound.millis(),
        sha256,
        original_sha256,
        channels: wav::CHANNELS,
        sample_rate: sound.layout.format.rate,
        encoding: encoding(sound),
        gaps,
    }
}

/// A file under its final name.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Relative to the data folder.
    pub(super) path: String,
    pub(super) sound: Sound,
    /// Absent when the file could not be read back.
    pub(super) sha256: Option<String>,
    /// Of the WAV inside, when the file is encrypted.
    pub(super) original_sha256: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// `None`: there is no sealed file. A `.part` that is left is for the next start.
    pub(super) sealed: Option<Sealed>,
    /// The first thing that went wrong.
    pub(super) error: Option<io::Error>,
}

/// From a closed `.part` to a sealed `.wav`.
pub(super) fn seal_file(
    files: &dyn Files,
    data_dir: &Path,
    fsync: Fsync,
    recipients: &Recipients,
    call: CallId,
    file: &Closed,
) -> Outcome {
    let mut outcome = Outcome::default();
    let sound = if file.whole { Ok(file.sound) } else { make_whole(&file.handle, Some(file.sound.frames)) };
    let sound = match sound {
        Ok(sound) => sound,
        Err(error) => return Outcome { error: Some(error), ..outcome },
    };
    let mut note = |error: io::Error| {
        outcome.error.get_or_insert(error);
    };
    if fsync != Fsync::None {
        file.handle.0.sync().unwrap_or_else(&mut note);
    }
    let sha256 = hash(file.handle.clone()).map_err(&mut note).ok();
    let part = data_dir.join(names::beside(&file.path, call, Kind::Part));
    if !recipients.is_empty() {
        match encrypt(files, data_dir, recipients, call, &file.path, &file.handle) {
            Ok(Encrypted { path, sha256: encrypted }) => {
                let path = path.to_string_lossy().into_owned();
                let (sha256, original_sha256) = (Some(encrypted), sha256);
                outcome.sealed = Some(Sealed { path, sound, sha256, original_sha256 });
                // Left behind, it goes at the next start.
                if let Err(error) = files.remove(&part) {
                    outcome.error.get_or_insert(error);
                }
            }
            // The `.part` is what there is; the next start tries again.
            Err(error) => note(error),
        }
        return outcome;
    }
    if let Err(error) = files.rename(&part, &data_dir.join(&file.path)) {
        note(error);
        return outcome;
    }
    if fsync != Fsync::None
        && let Some(folder) = data_dir.join(&file.path).parent()
    {
        files.sync_dir(folder).unwrap_or_else(&mut note);
    }
    let path = file.path.to_string_lossy().into_owned();
    outcome.sealed = Some(Sealed { path, sound, sha256, original_sha256: None });
    outcome
}

/// Writes a header for the bytes that are there, or for `frames_max` of them, and cuts the rest. Gives what it is then.
pub(super) fn make_whole(handle: &Handle, frames_max: Option<u64>) -> io::Result<Sound> {
    let mut handle = handle.clone();
    let mut head = Vec::with_capacity(wav::HEADER_MAX);
    handle.seek(SeekFrom::Start(0))?;
    handle.clone().take(wav::HEADER_MAX as u64).read_to_end(&mut head)?;
    let layout = Layout::read(&head).map_err(io::Error::other)?;
    let most = frames_max.map_or(u64::MAX, |frames| layout.length() as u64 + frames * layout.format.frame());
    let length = handle.0.length()?.min(most);
    let repair = wav::repair(&head, length).map_err(io::Error::other)?;
    handle.0.set_len(repair.length)?;
    handle.seek(SeekFrom::Start(0))?;
    handle.write_all(&repair.header)?;
    Ok(repair.sound)
}

/// SHA-256 of the whole file, as lower-case hexadecimal digits.
pub(in crate::io) fn hash(mut file: impl Read + Seek) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hasher.update(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What `call.ended` says of how samples are stored; nothing of PCM.
pub(super) fn encoding(sound: Sound) -> Option<String> {
    let encoding = sound.layout.format.encoding;
    (encoding != Encoding::Pcm).then(|| encoding.as_str().to_owned())
}

/// The gap map of a file that ends at `frames` although the talk went on to `talk`.
fn lost_on_disk(gaps: Vec<Gap>, frames: u64, talk: u64) -> Vec<Gap> {
    let [end, talk] = [frames, talk].map(|frames| Format::PLAIN.millis(frames));
    let mut all = Vec::with_capacity(gaps.len() + 2);
    for side in Side::BOTH {
        let before = gaps.iter().filter(|gap| gap.channel == side && gap.at_ms < end);
        all.extend(before.cloned().map(|gap| Gap { for_ms: gap.for_ms.min(end - gap.at_ms), ..gap }));
        if talk > end {
            let cause = Cause::Disk.as_str().to_owned();
            all.push(Gap { channel: side, at_ms: end, for_ms: talk - end, cause, concealed: false });
        }
    }
    all
}
