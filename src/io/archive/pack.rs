//! Recordings of closed days made smaller.

use std::io;
use std::path::Path;

use super::place::{self, Place};
use super::{Archive, days, flac, sync_folder};
use crate::core::archive::manifest::{Change, Record, State, What};
use crate::core::event::{ArchivedData, Body};
use crate::io::recordings::hash;
use crate::io::recordings::names::{self, Kind, MANIFEST};
use crate::limits;
use crate::time::Wall;

impl Archive {
    /// Makes FLAC of what is older than `archive_after`, at most so many a round. What is held stays as it is.
    pub(super) fn pack(&self, now: Wall) -> io::Result<()> {
        let after = self.config.load().recording.keep.archive_after;
        if after.is_zero() {
            return Ok(());
        }
        let newest = names::day_text(now - after);
        let mut left = limits::ARCHIVE_PACKED;
        for folder in names::days(&self.recordings()) {
            if names::day_of(&folder).is_none_or(|day| day >= newest) || !folder.join(MANIFEST).exists() {
                continue;
            }
            for place in place::calls_in(&folder) {
                let ready = place.has(Kind::Sealed) && !place.has(Kind::Hold) && !place.has(Kind::Erasing);
                if ready && left > 0 {
                    left -= 1;
                    self.pack_one(&folder, &place, now)?;
                }
            }
        }
        Ok(())
    }

    fn pack_one(&self, folder: &Path, place: &Place, now: Wall) -> io::Result<()> {
        let mut turn = self.turn();
        let Ok(manifest) = days::load(folder) else { return Ok(()) };
        let states = manifest.states();
        let original = match states.get(&place.call) {
            Some(State::Here(record)) => (*record).clone(),
            _ => return Ok(()),
        };
        let (plain, target) = (place.path(Kind::Sealed), place.path(Kind::Flac));
        let temporary = target.with_extension("flac.tmp");
        let stands = original.file == names::file(place.call, Kind::Flac);
        if !stands {
            if !flac::encode(&plain, &temporary)? {
                return Ok(());
            }
            let back = flac::original_sha256(&temporary)?;
            if back != original.sha256 {
                std::fs::remove_file(&temporary)?;
                let detail =
                    format!("{}: FLAC gives back {back}, the manifest says {}", plain.display(), original.sha256);
                self.alarm(&mut turn, "archive_differs", &place.call.to_string(), detail);
                return Ok(());
            }
            std::fs::rename(&temporary, &target)?;
            sync_folder(&target)?;
            self.tell_packed(&mut turn, folder, place, &original, now)?;
        }
        // Only now: the manifest names the file that stays.
        std::fs::remove_file(&plain)
    }

    fn tell_packed(
        &self,
        turn: &mut super::Turn,
        folder: &Path,
        place: &Place,
        original: &Record,
        now: Wall,
    ) -> io::Result<()> {
        let target = place.path(Kind::Flac);
        let file = std::fs::File::open(&target)?;
        let size = file.metadata()?.len();
        let record = Record {
            call_id: place.call,
            file: names::file(place.call, Kind::Flac),
            size,
            sha256: hash(file)?,
            sidecar_sha256: original.sidecar_sha256.clone(),
        };
        let archived = ArchivedData {
            call_id: place.call,
            archive: "flac".to_owned(),
            path: target.strip_prefix(&self.data_dir).unwrap_or(&target).display().to_string(),
            size,
            sha256: record.sha256.clone(),
            original_sha256: original.sha256.clone(),
        };
        let (by, why) = ("archive".to_owned(), format!("FLAC of {}", original.sha256));
        let change = Change { at: now, call_id: place.call, what: What::Archived, by, why, record: Some(record) };
        self.add_change(turn, folder, change)?;
        self.figures.packed.inc();
        self.tell(now, place.call.to_string(), Body::RecordingArchived(archived));
        Ok(())
    }
}
