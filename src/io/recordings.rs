//! The recordings thread: taps in, files out.
//!
//! Two threads. *recordings* owns every recording in the making: it gives packets to their [`Recorder`] and writes what
//! comes out of it. *seals* finishes files (fsync, hash, rename, sidecar), so that a long file or a slow fsync does not
//! hold up the others. When the disk is slow, *recordings* falls behind, the tap's buffers run out and the media threads
//! leave packets out and say so: back-pressure ends there.
//!
//! Neither reads the calendar: times come with the messages. Between messages the thread adds what a stopwatch says, so
//! it is never ahead of the media threads' clock.
//!
//! A file that grows beyond the process's file-size limit raises SIGXFSZ; the daemon has to ignore that signal, then the
//! write fails with EFBIG and the recording says `disk_full`.

pub(in crate::io) mod crypt;
mod files;
mod ladder;
pub(in crate::io) mod names;
mod offline;
mod repair;
mod seal;
mod sidecar;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::config::{self, Fsync, Loss};
use crate::core::event::RecordingSummary;
use crate::core::media::RecordingSpec;
use crate::ids::{CallId, Side};
use crate::io::media::tap::{Batch, Lost, SideFormats, TapMessage, TapReceiver};
use crate::io::messages::Kept;
use crate::limits;
use crate::time::{Mono, Now};

pub use crypt::{Locked, Recipients};
pub use files::{Disk, Files, RawFile};
pub use offline::{Offline, sidecar_text, wav_name};
pub(in crate::io) use repair::sealed;
pub use repair::{Recovered, find, repair};
pub use verify::{Finding, Verified, verify_recordings};

pub(in crate::io) use seal::hash;

use seal::Job;
use sidecar::Beside;
use writer::{Active, ToSync};

/// How often recordings without packets get their silence, and how long the thread waits for a message at most.
const SWEEP: Duration = Duration::from_millis(100);
/// A recording without packets stays so far behind the clock: a batch may be on its way.
const BEHIND: Duration = Duration::from_millis(200);
/// How often the free space is looked at.
const DISK_LOOK: Duration = Duration::from_secs(2);

/// The running recordings.
#[derive(Debug)]
pub struct Recordings {
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    threads: [JoinHandle<()>; 2],
}

/// What others may look at.
#[derive(Debug, Default)]
struct Shared {
    active: AtomicUsize,
    sealing: AtomicUsize,
    /// Up to here (as [`Mono`]) everything that was heard is in the files.
    written: AtomicU64,
    disk_low: AtomicBool,
}

impl Shared {
    /// What was heard at this instant is being written now.
    fn begins(&self, at: Mono) {
        self.written.fetch_max(at.0, Ordering::Relaxed);
    }
}

impl Recordings {
    /// Starts the threads. They end when all media threads have dropped their taps; what is open then is sealed.
    /// `notify` is called once for every recording that was started, after its file is sealed or known to be lost.
    pub fn start(
        data_dir: &Path,
        config: &config::Recording,
        taps: TapReceiver,
        notify: impl Fn(CallId, RecordingSummary) + Send + 'static,
    ) -> io::Result<Recordings> {
        Recordings::start_with(Arc::new(Disk), data_dir, config, taps, notify)
    }

    /// The same on other files.
    pub fn start_with(
        files: Arc<dyn Files>,
        data_dir: &Path,
        config: &config::Recording,
        taps: TapReceiver,
        notify: impl Fn(CallId, RecordingSummary) + Send + 'static,
    ) -> io::Result<Recordings> {
        // A call has at most a seal, a sidecar and one fsync on its way.
        let (jobs, todo) = sync_channel(limits::CALLS * 3);
        let shared = Arc::new(Shared::default());
        let fsync = config.fsync;
        let seals = {
            let (files, data_dir) = (files.clone(), data_dir.to_path_buf());
            let recipients = Recipients::parse(&config.keep.recipients).map_err(io::Error::other)?;
            let shared = shared.clone();
            let notify = move |call, summary| {
                shared.sealing.fetch_sub(1, Ordering::Relaxed);
                notify(call, summary);
            };
            let run = move || seal::run(&*files, &data_dir, fsync, &recipients, &todo, notify);
            Builder::new().name("seals".to_owned()).spawn(run)?
        };
        let worker = Worker {
            files,
            data_dir: data_dir.to_path_buf(),
            config: config.clone(),
            jobs: jobs.clone(),
            shared: shared.clone(),
            active: HashMap::default(),
            clock: Clock::default(),
            disk_looked: None,
            out: Vec::new(),
        };
        let recordings = Builder::new().name("recordings".to_owned()).spawn(move || worker.run(&taps))?;
        Ok(Recordings { jobs, shared, threads: [recordings, seals] })
    }

    /// Writes the call's sidecar beside its WAV: `data` is the `data` object of its `call.ended`, whose
    /// `recording.path` says where; `said` are its SIP messages, where they are kept. Does not wait; an error is logged. A
    /// call without a recording needs none.
    pub fn sidecar(&self, call: CallId, data: serde_json::Value, said: Option<Kept>) {
        if self.jobs.try_send(Job::Sidecar(call, Box::new((data, said)))).is_err() {
            warn!(%call, "no sidecar: too much is waiting to be sealed");
        }
    }

    /// Recordings in the making.
    pub fn active(&self) -> usize {
        self.shared.active.load(Ordering::Relaxed)
    }

    /// Recordings that have ended and wait for their seal.
    pub fn sealing(&self) -> usize {
        self.shared.sealing.load(Ordering::Relaxed)
    }

    /// How far the files are behind the talk: a fraction of a second where the disk keeps up. `now` is the media threads'
    /// clock.
    pub fn lag(&self, now: Mono) -> Duration {
        let written = Mono(self.shared.written.load(Ordering::Relaxed));
        // Before the first word of a media thread there is nothing to be behind of.
        if written == Mono(0) { Duration::ZERO } else { now.since(written).saturating_sub(BEHIND) }
    }

    /// The disk has less free than `disk_free_min`: new recordings are refused with `disk_low`.
    pub fn is_disk_low(&self) -> bool {
        self.shared.disk_low.load(Ordering::Relaxed)
    }

    /// Waits until everything is sealed. The media threads must have ended, or be about to.
    pub fn join(self) {
        let Recordings { jobs, threads: [recordings, seals], .. } = self;
        let ended = recordings.join();
        drop(jobs);
        if ended.is_err() || seals.join().is_err() {
            error!("a recordings thread has panicked");
        }
    }
}

/// Opens an encrypted recording below a data folder: a reader of its WAV.
pub fn decrypt(file: &Path, data_dir: &Path, identities: &Path) -> Result<impl io::Read + use<>, Locked> {
    let call = file.file_name().and_then(|name| names::parse(name.to_str()?)).map(|(call, _)| call);
    let call = call.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a recording of ours"))?;
    crypt::open(std::fs::File::open(file)?, &data_dir.join(crypt::key_file(file, call)), identities)
}

/// Writes a sidecar at once: for calls that were repaired at start. `Ok(None)`: the call has
/// no recording.
pub fn write_sidecar(data_dir: &Path, call: CallId, data: &serde_json::Value) -> io::Result<Option<PathBuf>> {
    sidecar::write(&Disk, data_dir, call, data, Beside::default())
}

/// The thread that writes.
struct Worker {
    files: Arc<dyn Files>,
    data_dir: PathBuf,
    config: config::Recording,
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    active: HashMap<CallId, Active, foldhash::fast::RandomState>,
    clock: Clock,
    disk_looked: Option<Instant>,
    out: Vec<i16>,
}

impl Worker {
    fn run(mut self, taps: &TapReceiver) {
        let mut swept = Instant::now();
        loop {
            match taps.recv_timeout(SWEEP) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Silence may be written only when no packet waits in line before it.
            if swept.elapsed() < SWEEP {
                continue;
            }
            let before = self.clock.now();
            loop {
                match taps.try_recv() {
                    Ok(message) => self.handle(message),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.end(),
                }
            }
            swept = Instant::now();
            self.sweep(before - BEHIND);
        }
        self.end();
    }

    fn handle(&mut self, message: TapMessage) {
        match message {
            TapMessage::Start { spec, sides } => {
                self.shared.begins(spec.started.mono);
                self.clock.hear(spec.started.mono);
                self.start(&spec, &sides);
            }
            TapMessage::Formats { call, side, formats, at } => {
                self.clock.hear(at.mono);
                self.guarded(call, |active, fsync, out| active.on_formats(at.mono, side, &formats, fsync, out));
            }
            TapMessage::Pause { call, paused, at } => {
                self.clock.hear(at.mono);
                self.guarded(call, |active, fsync, out| active.on_pause(at.mono, paused, fsync, out));
            }
            TapMessage::Packets(batch) => self.packets(&batch),
            TapMessage::Lost(lost) => self.lost(&lost),
            TapMessage::Stop { call, at } => {
                self.clock.hear(at.mono);
                self.stop(call, at);
            }
        }
    }

    fn start(&mut self, spec: &RecordingSpec, sides: &[SideFormats; 2]) {
        let refused = if self.active.len() >= limits::CALLS {
            Some("too_many_recordings")
        } else if self.look_at_disk() {
            Some("disk_low")
        } else {
            None
        };
        let ways = (self.config.fsync, self.config.store);
        let mut active = Active::start(&*self.files, &self.data_dir, ways, spec, sides, refused);
        if self.config.loss == Loss::Conceal {
            active.recorder.conceal();
        }
        if self.active.len() < limits::CALLS {
            self.active.insert(spec.call, active);
        } else {
            let finished = active.finish(spec.started.mono, None, &mut self.out);
            self.seal(finished);
        }
        self.count();
    }

    fn packets(&mut self, batch: &Batch) {
        let mut last = None;
        for packet in batch.packets() {
            if last.is_none() {
                self.shared.begins(packet.at);
            }
            last = Some(packet.at);
            self.guarded(packet.call, |active, fsync, out| active.on_packet(&packet, fsync, out));
        }
        if let Some(at) = last {
            self.clock.hear(at);
        }
    }

    fn lost(&mut self, lost: &Lost) {
        self.clock.hear(lost.last);
        self.guarded(lost.call, |active, fsync, out| {
            // Everything that came before is with the recorder already.
            let sync = active.on_time(lost.last, fsync, out);
            for side in Side::BOTH {
                if lost.packets[side.index()] > 0 {
                    active.recorder.on_overload(side, lost.first, lost.last);
                }
            }
            sync
        });
    }

    fn stop(&mut self, call: CallId, at: Now) {
        let Some(active) = self.active.remove(&call) else { return };
        self.finish(active, at.mono, None);
        self.count();
    }

    fn finish(&mut self, active: Active, at: Mono, reason: Option<&'static str>) {
        let call = active.call;
        let out = &mut self.out;
        match catch_unwind(AssertUnwindSafe(move || active.finish(at, reason, out))) {
            Ok(finished) => self.seal(finished),
            // Its `.part` is made whole at the next start.
            Err(_) => {
                error!(%call, "finishing a recording panicked");
                self.seal(writer::Finished::crashed(call));
            }
        }
    }

    /// Must not be lost, so it waits when the line is full; the line is as long as all calls together need.
    fn seal(&mut self, finished: writer::Finished) {
        self.shared.sealing.fetch_add(1, Ordering::Relaxed);
        if self.jobs.send(Job::Seal(Box::new(finished))).is_err() {
            error!("the sealing thread has ended");
        }
    }

    /// Recordings without packets grow too.
    fn sweep(&mut self, now: Mono) {
        let Worker { active, out, jobs, config, .. } = self;
        for active in active.values_mut() {
            guard(active, config.fsync, out, jobs, |active, fsync, out| active.on_time(now, fsync, out));
        }
        self.shared.begins(now);
        self.look_at_disk();
    }

    /// All media threads have ended.
    fn end(mut self) {
        let now = self.clock.now();
        let mut left: Vec<Active> = self.active.drain().map(|(_, active)| active).collect();
        left.sort_by_key(|active| active.call);
        for active in left {
            self.finish(active, now, Some("interrupted"));
        }
        self.count();
    }

    /// Is there too little room for new recordings? Looks every few seconds.
    fn look_at_disk(&mut self) -> bool {
        if self.disk_looked.is_none_or(|at| at.elapsed() >= DISK_LOOK) {
            self.disk_looked = Some(Instant::now());
            // When the disk cannot say, the write will.
            let root = self.data_dir.join(names::ROOT);
            let free = self.files.free_bytes(&root).or_else(|_| self.files.free_bytes(&self.data_dir));
            let free = free.unwrap_or(u64::MAX);
            let low = free < self.config.disk_free_min;
            if self.shared.disk_low.swap(low, Ordering::Relaxed) != low {
                warn!(free, low, "free space on the recordings disk");
            }
        }
        self.shared.disk_low.load(Ordering::Relaxed)
    }

    /// Changes one recording, if there is one of this call.
    fn guarded(&mut self, call: CallId, change: impl FnOnce(&mut Active, Fsync, &mut Vec<i16>) -> ToSync) {
        let Worker { active, out, jobs, config, .. } = self;
        if let Some(active) = active.get_mut(&call) {
            guard(active, config.fsync, out, jobs, change);
        }
    }

    fn count(&self) {
        self.shared.active.store(self.active.len(), Ordering::Relaxed);
    }
}

/// Changes one recording. A panic in it ends the writing of that one only.
fn guard(
    active: &mut Active,
    fsync: Fsync,
    out: &mut Vec<i16>,
    jobs: &SyncSender<Job>,
    change: impl FnOnce(&mut Active, Fsync, &mut Vec<i16>) -> ToSync,
) {
    match catch_unwind(AssertUnwindSafe(|| change(active, fsync, out))) {
        Ok(Some((handle, state))) => {
            // When the line is full, the next second asks again.
            if jobs.try_send(Job::Sync(handle, state.clone())).is_err() {
                state.cancel();
            }
        }
        Ok(None) => {}
        Err(_) => {
            error!(call = %active.call, "recording panicked");
            active.fail("panic");
        }
    }
}

/// The media threads' clock, as far as their messages and a stopwatch tell.
#[derive(Debug, Default)]
struct Clock(Option<(Mono, Instant)>);

impl Clock {
    /// A message says it is at least `at`. It may have waited in line, so the reading is late, never early.
    fn hear(&mut self, at: Mono) {
        if at >= self.now() {
            self.0 = Some((at, Instant::now()));
        }
    }

    fn now(&self) -> Mono {
        self.0.map_or(Mono(0), |(at, since)| at + since.elapsed())
    }
}
