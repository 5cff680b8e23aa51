//! One recording being written: a [`Recorder`] and its growing file.
//!
//! The file is `<call_id>.wav.part`, a block every 400 ms, its header right after every block. The first operation that
//! fails ends the writing, not the recording: the machine runs on, so that the gap map and the length stay true, and
//! what was written is sealed at the end.

use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tracing::warn;

use crate::config::{Fsync, Store};
use crate::core::media::RecordingSpec;
use crate::core::recorder::{Recorder, Summary};
use crate::ids::{CallId, Side};
use crate::io::media::tap::{SideFormats, TapPacket};
use crate::time::{Mono, Now};
use crate::wire::codec::g711::Law;
use crate::wire::wav::{self, Encoding, Format, Layout, Sound};

use super::files::{Files, Handle, reason};
use super::names::{self, Kind};

/// Bytes that are written at once: more than a block of 400 ms has.
const PIECE: usize = 16 * 1024;
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
    /// Nothing has failed.
    sound: bool,
    layout: Layout,
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
    /// What is in it; it may have more bytes than that after a failure.
    pub(super) sound: Sound,
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
        (fsync, store): (Fsync, Store),
        spec: &RecordingSpec,
        sides: &[SideFormats; 2],
        refused: Option<&'static str>,
    ) -> Active {
        let created = match refused {
            Some(code) => Err(code),
            None => Growing::create(files, data_dir, fsync, format(store, sides), spec).map_err(|error| {
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
            file.sound = false;
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
        Finished { call: self.call, summary, reason: self.failed.or(reason), file }
    }

    fn write(&mut self, out: &[i16]) {
        let Some(file) = &mut self.file else { return };
        let room = file.layout.format.frames_max().saturating_sub(file.frames) as usize;
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
    fn create(
        files: &dyn Files,
        data_dir: &Path,
        fsync: Fsync,
        format: Format,
        spec: &RecordingSpec,
    ) -> io::Result<Growing> {
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
        let mut handle = Handle(files.create_new(&data_dir.join(names::beside(&path, spec.call, Kind::Part)))?);
        let layout = Layout::of(format);
        // A failure here leaves a file without a header. The next start puts it aside.
        handle.write_all(&layout.header(0))?;
        Ok(Growing { handle, sound: true, layout, path, frames: 0, sync: Arc::default() })
    }

    /// Writes interleaved samples, and a header that counts them.
    fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        if !self.sound || samples.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.append(samples) {
            // A disk that is full took what still fitted: whole frames of it are kept.
            let length = self.handle.0.length().unwrap_or(0).saturating_sub(self.layout.length() as u64);
            let most = self.frames + samples.len() as u64 / 2;
            self.frames = (length / self.layout.format.frame()).clamp(self.frames, most);
            return Err(error);
        }
        self.frames += samples.len() as u64 / 2;
        self.handle.seek(SeekFrom::Start(0))?;
        self.handle.write_all(&self.layout.header(self.frames))?;
        let end = self.layout.length() as u64 + self.frames * self.layout.format.frame();
        self.handle.seek(SeekFrom::Start(end)).map(drop)
    }

    fn append(&mut self, samples: &[i16]) -> io::Result<()> {
        let mut bytes = [0; PIECE];
        let mut pieces = samples.chunks(PIECE / 2);
        pieces.try_for_each(|piece| self.handle.write_all(encode(self.layout.format.encoding, piece, &mut bytes)))
    }

    /// Ends the writing, at `frames` at most.
    fn close(self, talk: u64) -> Closed {
        // When the word that the talk was over came late, there is too much in it.
        let whole = self.sound && self.frames <= talk;
        let sound = Sound { layout: self.layout, frames: self.frames.min(talk) };
        Closed { handle: self.handle, path: self.path, sound, whole }
    }
}

/// How a recording is stored. With `g711` one law holds for the whole file and for both channels: the one that the caller
/// speaks at the answer, else the company's, else A-law. What is said in another codec, or in the other law after a
/// change, is converted, so a change within the call is heard and not seen.
fn format(store: Store, sides: &[SideFormats; 2]) -> Format {
    let law = |side: Side| sides[side.index()].formats.iter().find_map(|format| Law::of_name(&format.name));
    let encoding = match store {
        Store::Pcm => Encoding::Pcm,
        Store::G711 => match law(Side::Caller).or(law(Side::Company)) {
            Some(Law::Mu) => Encoding::MuLaw,
            Some(Law::A) | None => Encoding::ALaw,
        },
    };
    Format { encoding, rate: wav::RATE }
}

/// Samples as they are stored. What came in the file's own law gets its own code again: decoding and encoding are
/// inverse, but for the second zero of mu-law.
fn encode<'b>(encoding: Encoding, samples: &[i16], bytes: &'b mut [u8; PIECE]) -> &'b [u8] {
    let law = match encoding {
        Encoding::Pcm => {
            let (pairs, _) = bytes.as_chunks_mut::<2>();
            for (pair, sample) in pairs.iter_mut().zip(samples) {
                *pair = sample.to_le_bytes();
            }
            return bytes.get(..samples.len() * 2).unwrap_or_default();
        }
        Encoding::ALaw => Law::A,
        Encoding::MuLaw => Law::Mu,
    };
    for (byte, sample) in bytes.iter_mut().zip(samples) {
        *byte = law.encode(*sample);
    }
    bytes.get(..samples.len()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::super::seal;
    use super::*;
    use crate::time::Wall;

    const STARTED: Now = Now { mono: Mono(5_000_000_000), wall: Wall(1_795_305_599_000_000) };
    const CALL: CallId = CallId(9);

    /// A recording that has so many frames already, none of which takes room on the disk.
    fn long(dir: &Path, rate: u32, frames: u64) -> Growing {
        let spec = RecordingSpec { call: CALL, started: STARTED };
        let format = Format { encoding: Encoding::Pcm, rate };
        let mut file = Growing::create(&Disk, dir, Fsync::None, format, &spec).unwrap();
        let end = file.layout.length() as u64 + frames * 4;
        file.handle.0.set_len(end).unwrap();
        file.handle.seek(SeekFrom::Start(end)).unwrap();
        file.frames = frames;
        file
    }

    fn going(file: Growing) -> Active {
        Active {
            call: CALL,
            recorder: Recorder::new(STARTED),
            started: STARTED,
            due: STARTED.mono,
            file: Some(file),
            failed: None,
            synced: STARTED.mono,
        }
    }

    fn check(file: &Growing) -> Sound {
        let mut head = vec![0; wav::HEADER_MAX];
        let mut handle = file.handle.clone();
        handle.seek(SeekFrom::Start(0)).unwrap();
        std::io::Read::read_exact(&mut handle, &mut head).unwrap();
        let length = file.handle.0.length().unwrap();
        let sound = wav::check(&head, length).unwrap();
        handle.seek(SeekFrom::Start(length)).unwrap();
        sound
    }

    /// Row G09: the file grows over 4 GiB (a sparse one). Its header is right before and after, it is sealed, and after a
    /// crash at the boundary it is repaired.
    #[test]
    fn g09_a_recording_that_grows_beyond_4_gib_becomes_rf64() {
        let dir = tempfile::tempdir().unwrap();
        let block: Vec<i16> = (0..12_800).collect();
        let frames = (u64::from(u32::MAX) - 72) / 4 - 6_400 - 100;
        let mut file = long(dir.path(), 16_000, frames);
        let name = |file: &Growing| {
            let mut name = [0; 4];
            file.handle.0.seek(SeekFrom::Start(0)).unwrap();
            file.handle.0.read(&mut name).unwrap();
            name
        };
        file.write(&block).unwrap();
        assert_eq!((check(&file).frames, &name(&file)), (frames + 6_400, b"RIFF"));
        check(&file);
        file.write(&block).unwrap();
        assert_eq!((check(&file).frames, &name(&file)), (frames + 12_800, b"RF64"));
        let length = file.handle.0.length().unwrap();
        assert!(length > 1 << 32);
        // What was written last is where it belongs.
        let mut tail = vec![0; block.len() * 2];
        file.handle.0.seek(SeekFrom::Start(length - tail.len() as u64)).unwrap();
        std::io::Read::read_exact(&mut file.handle.clone(), &mut tail).unwrap();
        assert!(tail.chunks(2).zip(&block).all(|(bytes, sample)| bytes == sample.to_le_bytes()));
        // A crash before the header: its sizes follow the file.
        file.handle.0.seek(SeekFrom::Start(0)).unwrap();
        file.handle.0.write(&file.layout.header(frames)).unwrap();
        let sound = seal::make_whole(&file.handle, None).unwrap();
        assert_eq!((sound, check(&file)), (Sound { layout: file.layout, frames: frames + 12_800 }, sound));
        assert_eq!(sound.millis(), (frames + 12_800) / 16);
        let closed = file.close(frames + 6_400);
        assert!(!closed.whole);
        let sound = seal::make_whole(&closed.handle, Some(closed.sound.frames)).unwrap();
        assert_eq!((sound.frames, closed.handle.0.length().unwrap()), (frames + 6_400, 80 + (frames + 6_400) * 4));
    }

    /// Row G09: thirteen hours are whole, and the longest recording ends below what its header can say.
    #[test]
    fn g09_thirteen_hours_and_the_longest_recording() {
        let dir = tempfile::tempdir().unwrap();
        let hour = 3_600 * u64::from(wav::RATE);
        let file = long(dir.path(), wav::RATE, 13 * hour);
        assert_eq!(&*file.layout.header(1), wav::header(4));
        let mut active = going(file);
        active.write(&[7; 1_000]);
        let file = active.file.as_ref().unwrap();
        assert_eq!((check(file).frames, active.failed), (13 * hour + 500, None));
        let other = tempfile::tempdir().unwrap();
        let longest = Format::PLAIN.frames_max();
        let mut active = going(long(other.path(), wav::RATE, longest - 100));
        active.write(&[7; 1_000]);
        let file = active.file.as_ref().unwrap();
        assert_eq!((check(file).frames, active.failed), (longest, Some("too_long")));
    }
}
