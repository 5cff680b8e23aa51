//! One recording being written: a [`Recorder`] and its growing file.
//!
//! The file is `<call_id>.wav.part`, a block every 400 ms, its header right after every block. The first operation that
//! fails ends the writing, not the recording: the machine runs on, so that the gap map and the length stay true, and
//! what was written is sealed at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};
use tracing::warn;

use crate::config::Fsync;
use crate::core::media::RecordingSpec;
use crate::core::recorder::{Recorder, Summary};
use crate::ids::{CallId, Side};
use crate::io::media::tap::{SideFormats, TapPacket};
use crate::limits;
use crate::time::{Mono, Now};
use crate::wire::wav;

use super::files::{Files, Handle, reason};
use super::names::{self, Kind};

const FRAMES_MAX: u64 = limits::RECORDING_LENGTH.as_secs() * wav::RATE as u64;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A recording in the making, and the file it goes to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) call: CallId,
    pub(super) recorder: Recorder,
    started: Now,
    /// When the next block is due, so that most packets need no look at the machine.
    due: Mono,
    file: Option<Growing>,
    /// Why nothing more is written. The first reason stays.
    failed: Option<&'static str>,
    synced: Mono,
}

/// An open `.part`.
struct Growing {
    handle: Handle,
    /// `None` after a failure.
    writer: Option<WavWriter<Handle>>,
    /// Relative to the data folder, sealed name.
    path: PathBuf,
    frames: u64,
    sync: Arc<SyncState>,
}

/// What the writer's thread and the one that makes files durable tell each other.
#[derive(Debug, Default)]
pub(super) struct SyncState(AtomicU8);

/// A file that wants to be made durable.
pub(super) type ToSync = Option<(Handle, Arc<SyncState>)>;

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const FAILED: u8 = 2;

/// A finished recording on its way to the seal.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) call: CallId,
    /// What the machine says; `frames` is the length of the talk.
    pub(super) summary: Summary,
    pub(super) reason: Option<&'static str>,
    pub(super) file: Option<Closed>,
}

/// A file that nobody writes any more.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) handle: Handle,
    /// Relative to the data folder, sealed name.
    pub(super) path: PathBuf,
    /// Frames that are in it; it may have more bytes than that after a failure.
    pub(super) frames: u64,
    /// Header and length are right.
    pub(super) whole: bool,
}

impl Finished {
    /// Of a recording that panicked at its end.
    pub(super) fn crashed(call: CallId) -> Finished {
        let summary = Summary { frames: 0, gaps: Vec::new(), overload: 0, stats: Default::default() };
        Finished { call, summary, reason: Some("panic"), file: None }
    }
}

impl Active {
    /// Begins a recording; when that cannot be, it is one that failed from the start. `refused`: do not even try, the
    /// stable code says why. `sides`: what each side has agreed on by now.
    pub(super) fn start(
        files: &dyn Files,
        data_dir: &Path,
        fsync: Fsync,
        spec: &RecordingSpec,
        sides: &[SideFormats; 2],
        refused: Option<&'static str>,
    ) -> Active {
        let created = match refused {
            Some(code) => Err(code),
            None => Growing::create(files, data_dir, fsync, spec).map_err(|error| {
                warn!(call = %spec.call, %error, "cannot begin the recording");
                reason(&error)
            }),
        };
        let (file, failed) = match created {
            Ok(file) => (Some(file), None),
            Err(code) => (None, Some(code)),
        };
        let mut recorder = Recorder::new(spec.started);
        for side in Side::BOTH {
            let SideFormats { formats, flowing } = &sides[side.index()];
            recorder.on_formats(spec.started.mono, side, formats, *flowing);
        }
        let due = recorder.poll_timeout().0;
        Active { call: spec.call, recorder, started: spec.started, due, file, failed, synced: spec.started.mono }
    }

    /// Time has come to `now`, as far as this call's packets are concerned. `out` is scratch. Returns a file that wants
    /// to be made durable.
    pub(super) fn on_time(&mut self, now: Mono, fsync: Fsync, out: &mut Vec<i16>) -> ToSync {
        if now < self.due {
            return None;
        }
        while self.recorder.tick(now, out) > 0 {
            self.write(out);
        }
        self.due = self.recorder.poll_timeout().0;
        let file = self.file.as_ref()?;
        if file.sync.0.load(Ordering::Relaxed) == FAILED {
            self.fail("write_error");
            return None;
        }
        let wanted = fsync == Fsync::Second && now.since(self.synced) >= SYNC_EVERY && self.failed.is_none();
        let idle = || file.sync.0.compare_exchange(IDLE, BUSY, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        (wanted && idle()).then(|| {
            self.synced = now;
            (file.handle.clone(), file.sync.clone())
        })
    }

    /// A side's formats or direction changed at `at`.
    pub(super) fn on_formats(
        &mut self,
        at: Mono,
        side: Side,
        formats: &SideFormats,
        fsync: Fsync,
        out: &mut Vec<i16>,
    ) -> ToSync {
        let sync = self.on_time(at, fsync, out);
        self.recorder.on_formats(at, side, &formats.formats, formats.flowing);
        sync
    }

    /// The recording pauses, or goes on.
    pub(super) fn on_pause(&mut self, at: Mono, paused: bool, fsync: Fsync, out: &mut Vec<i16>) -> ToSync {
        let sync = self.on_time(at, fsync, out);
        if paused {
            self.recorder.on_pause(at);
        } else {
            self.recorder.on_resume(at);
        }
        sync
    }

    /// One accepted packet.
    pub(super) fn on_packet(&mut self, packet: &TapPacket<'_>, fsync: Fsync, out: &mut Vec<i16>) -> ToSync {
        let sync = self.on_time(packet.at, fsync, out);
        self.recorder.on_rtp(packet.at, packet.side, packet.bytes);
        sync
    }

    /// Nothing more is written, for this reason.
    pub(super) fn fail(&mut self, code: &'static str) {
        self.failed.get_or_insert(code);
        if let Some(file) = &mut self.file {
            file.writer = None;
        }
    }

    /// The talk was over at `at`. `reason`: what else is wrong with the recording.
    pub(super) fn finish(mut self, at: Mono, reason: Option<&'static str>, out: &mut Vec<i16>) -> Finished {
        while self.recorder.drain(at, out) > 0 {
            self.write(out);
        }
        let talk = at.since(self.started.mono).as_nanos() * u128::from(wav::RATE) / 1_000_000_000;
        let talk = u64::try_from(talk).unwrap_or(u64::MAX);
        let summary = self.recorder.finish(talk);
        let file = self.file.map(|file| file.close(talk));
        if let Some(code) = file.as_ref().and_then(|(_, failed)| *failed) {
            self.failed.get_or_insert(code);
        }
        Finished { call: self.call, summary, reason: self.failed.or(reason), file: file.map(|(file, _)| file) }
    }

    fn write(&mut self, out: &[i16]) {
        let Some(file) = &mut self.file else { return };
        let room = FRAMES_MAX.saturating_sub(file.frames) as usize;
        let fits = out.get(..room.saturating_mul(2)).unwrap_or(out);
        match file.write(fits) {
            Ok(()) if fits.len() == out.len() => {}
            Ok(()) => self.fail("too_long"),
            Err(error) => {
                warn!(call = %self.call, %error, "the recording cannot be written on");
                self.fail(reason(&error));
            }
        }
    }
}

impl Growing {
    fn create(files: &dyn Files, data_dir: &Path, fsync: Fsync, spec: &RecordingSpec) -> io::Result<Growing> {
        let mut above = data_dir.to_path_buf();
        for folder in names::folders(spec.started.wall) {
            let folder = data_dir.join(folder);
            if files.create_dir(&folder)? && fsync != Fsync::None {
                files.sync_dir(&above)?;
            }
            above = folder;
        }
        let path = names::sealed(spec.started.wall, spec.call);
        // The id is new, so nothing sealed can be there; a link or a copy somebody put there is not ours to replace.
        if files.exists(&data_dir.join(&path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let handle = Handle(files.create_new(&data_dir.join(names::beside(&path, spec.call, Kind::Part)))?);
        let wav_spec = WavSpec {
            channels: wav::CHANNELS,
            sample_rate: wav::RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        // A failure here leaves a file without a header. The next start puts it aside.
        let writer = WavWriter::new(handle.clone(), wav_spec).map_err(io_error)?;
        Ok(Growing { handle, writer: Some(writer), path, frames: 0, sync: Arc::default() })
    }

    /// Writes interleaved samples, and a header that counts them.
    fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let count = u32::try_from(samples.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut block = writer.get_i16_writer(count);
        for sample in samples {
            block.write_sample(*sample);
        }
        block.flush().map_err(io_error)?;
        self.frames += samples.len() as u64 / 2;
        writer.flush().map_err(io_error)
    }

    /// Ends the writing, at `frames` at most.
    fn close(mut self, talk: u64) -> (Closed, Option<&'static str>) {
        let mut whole = self.writer.is_some();
        let mut failed = None;
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.finalize()
        {
            failed = Some(reason(&io_error(error)));
            whole = false;
        }
        if self.frames > talk {
            // The word that the talk was over came late.
            self.frames = talk;
            whole = false;
        }
        (Closed { handle: self.handle, path: self.path, frames: self.frames, whole }, failed)
    }
}

impl std::fmt::Debug for Growing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Growing").field("path", &self.path).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl SyncState {
    /// Nobody will.
    pub(super) fn cancel(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    /// Makes the file durable and says how it went.
    pub(super) fn run(&self, handle: &Handle) {
        let after = if handle.0.sync().is_ok() { IDLE } else { FAILED };
        self.0.store(after, Ordering::Relaxed);
    }
}

fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}
