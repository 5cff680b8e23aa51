//! The thread that does what is due.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Archive;
use crate::core::archive::retention::Clock;
use crate::io::clock;
use crate::limits;
use crate::time::{Mono, Now, Wall};

/// Between two looks at what has been erased by age.
const RETENTION_EVERY: Duration = Duration::from_secs(3_600);

/// The running thread.
#[derive(Debug)]
pub struct Keeper {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts it. The first thing it does is what the last run left.
    pub fn start(archive: Arc<Archive>) -> io::Result<Keeper> {
        let (stop, stopped) = sync_channel(1);
        let thread = Builder::new().name("archive".to_owned()).spawn(move || run(&archive, &stopped))?;
        Ok(Keeper { stop, thread })
    }

    /// Ends it after what it is doing.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the archive's thread has panicked");
        }
    }
}

fn run(archive: &Archive, stopped: &Receiver<()>) {
    let mut rounds = Rounds { known: archive.known_time(), first: true, retained: None };
    loop {
        if let Err(error) = archive.round(&mut rounds, clock::now()) {
            tracing::error!(%error, "the archive cannot do what is due; it tries again");
        }
        // A disk fills faster than days pass.
        for _ in 0..limits::ARCHIVE_PAUSE.as_secs() / limits::ARCHIVE_DISK_PAUSE.as_secs() {
            if let Err(error) = archive.look_at_disk() {
                tracing::error!(%error, "the archive cannot look after the disk; it tries again");
            }
            match stopped.recv_timeout(limits::ARCHIVE_DISK_PAUSE) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// What one round leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The time of day of the last run's last round.
    pub(super) known: Option<Wall>,
    pub(super) first: bool,
    pub(super) retained: Option<Mono>,
}

impl Archive {
    /// Everything that is due at `now`.
    pub(super) fn round(&self, rounds: &mut Rounds, now: Now) -> io::Result<()> {
        let first = rounds.first;
        {
            let mut turn = self.turn();
            if first {
                self.finish_erasures(&mut turn)?;
            }
            self.close_days(&mut turn, now.wall, first)?;
        }
        rounds.first = false;
        self.pack(now.wall)?;
        if self.look_at_clock(now, rounds.known.take()) == Clock::Good {
            if rounds.retained.is_none_or(|at| now.mono.since(at) >= RETENTION_EVERY) {
                rounds.retained = Some(now.mono);
                self.retain(now.wall)?;
            }
            // A time that is doubted must not be what the next start believes.
            self.note_time(now.wall)?;
        }
        Ok(())
    }

    /// Whether retention may believe the time of day. `known`: the latest that was written down before this start.
    fn look_at_clock(&self, now: Now, known: Option<Wall>) -> Clock {
        let mut turn = self.turn();
        let verdict = turn.clock.look(now, known);
        if let Clock::Jumped(seconds) = verdict {
            let detail =
                format!("the clock has jumped by {seconds} s, to {}: for a day nothing is erased by age", now.wall);
            self.alarm(&mut turn, "clock_jumped", &now.wall.to_rfc3339(), detail);
        }
        verdict
    }

    fn time_file(&self) -> PathBuf {
        self.data_dir.join("archive").join("clock")
    }

    pub(super) fn known_time(&self) -> Option<Wall> {
        let text = std::fs::read_to_string(self.time_file()).ok()?;
        Wall::parse_rfc3339(text.trim())
    }

    fn note_time(&self, now: Wall) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let file = self.time_file();
        if let Some(folder) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        super::write_whole(&file, now.to_rfc3339().as_bytes())
    }
}
