//! A disk that runs full: told once, and below the second mark recordings of low priority go, as retention has them go:
//! with a tombstone, a change in the manifest of their day and an event; never what is held, never what is being written.

use std::io;

use super::{Archive, place};
use crate::core::archive::disk::{Level, Marks};
use crate::core::archive::retention;
use crate::io::clock;
use crate::io::recordings::names::{self, Kind};
use crate::io::recordings::{Disk, Files as _};
use crate::limits;

impl Archive {
    /// Looks at the disk, and makes room when it must.
    pub(super) fn look_at_disk(&self) -> io::Result<()> {
        let recordings = self.recordings();
        let free = || Disk.free_bytes(&recordings).or_else(|_| Disk.free_bytes(&self.data_dir));
        self.mind_disk(free)
    }

    /// The same, told how much is free.
    pub(super) fn mind_disk(&self, mut free: impl FnMut() -> io::Result<u64>) -> io::Result<()> {
        let config = self.config.load_full();
        let marks = Marks { low: config.recording.disk_free_min, erase: config.recording.disk_free_erase };
        let now = free()?;
        let (level, changed, erasing) = {
            let mut turn = self.turn();
            let (level, changed) = turn.disk.look(marks, now);
            (level, changed, turn.disk.is_erasing())
        };
        self.figures.disk_free.set(i64::try_from(now).unwrap_or(i64::MAX));
        self.figures.disk_level.set(level as i64);
        if changed {
            self.tell_disk(level, now);
        }
        if !erasing {
            return Ok(());
        }
        let mut left = limits::ARCHIVE_EARLY;
        for folder in names::days(&self.recordings()) {
            // A sidecar that is being written would be left behind.
            let whole = place::calls_in(&folder).into_iter().filter(|place| place.has(Kind::Sidecar));
            let items = whole.filter_map(|place| super::erase::item(&place));
            for (call, rule) in retention::early(&config.recording.keep.retention, items) {
                if left == 0 || free()? >= marks.enough() {
                    return Ok(());
                }
                if self.erase_early(call, &rule)? {
                    left -= 1;
                }
            }
        }
        Ok(())
    }

    fn tell_disk(&self, level: Level, free: u64) {
        let (code, detail) = match level {
            Level::Good => {
                tracing::warn!(free, "the disk of recordings has room again");
                return;
            }
            Level::Low => {
                ("disk_low", format!("{free} bytes are free: no new recordings, or none of low priority stay"))
            }
            Level::Critical => ("disk_critical", format!("{free} bytes are free: recordings of low priority go")),
        };
        // Every time it happens, not once a start: an hour later it is news again.
        let about = clock::wall().to_rfc3339();
        let mut turn = self.turn();
        self.alarm(&mut turn, code, &about, detail);
    }
}
