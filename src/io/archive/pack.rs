//! Recordings of closed days made smaller.

use std::io;
use std::path::Path;

use super::place::{self, Place};
use super::{Archive, days, flac, opus, sync_folder};
use crate::config::Packing;
use crate::core::archive::manifest::{Change, Record, State, What};
use crate::core::event::{ArchivedData, Body};
use crate::io::recordings::hash;
use crate::io::recordings::names::{self, Kind, MANIFEST};
use crate::limits;
use crate::time::Wall;

impl Archive {
    /// Makes FLAC or Opus of what is older than `archive_after`, at most so many a round. What is held stays as it is.
    pub(super) fn pack(&self, now: Wall) -> io::Result<()> {
        let after = self.config.load().recording.keep.archive_after;
        if after.is_zero() {
            return Ok(());
        }
        let newest = names::day_text(now - after);
        let (mut left, mut waiting) = (limits::ARCHIVE_PACKED, 0);
        for folder in names::days(&self.recordings()) {
            if names::day_of(&folder).is_none_or(|day| day >= newest) || !folder.join(MANIFEST).exists() {
                continue;
            }
            for place in place::calls_in(&folder) {
                let ready = place.has(Kind::Sealed) && !place.has(Kind::Hold) && !place.has(Kind::Erasing);
                if ready && left > 0 {
                    left -= 1;
                    self.pack_one(&folder, &place, now)?;
                } else if ready {
                    waiting += 1;
                }
            }
        }
        self.figures.packs_left.set(waiting);
        Ok(())
    }

    fn pack_one(&self, folder: &Path, place: &Place, now: Wall) -> io::Result<()> {
        let packing = self.config.load().recording.keep.archive_as;
        let mut turn = self.turn();
        let Ok(manifest) = days::load(folder) else { return Ok(()) };
        let states = manifest.states();
        let original = match states.get(&place.call) {
            Some(State::Here(record)) => (*record).clone(),
            _ => return Ok(()),
        };
        let plain = place.path(Kind::Sealed);
        let stands = [Kind::Flac, Kind::Opus].iter().any(|kind| original.file == names::file(place.call, *kind));
        if !stands {
            let target = place.path(packing.kind());
            let temporary = target.with_extension(format!("{}.tmp", packing.as_str()));
            if !packing.encode(&plain, &temporary, &original.sha256)? {
                return Ok(());
            }
            let back = packing.original_sha256(&temporary)?;
            if back != original.sha256 || (packing == Packing::Opus && hash(std::fs::File::open(&plain)?)? != back) {
                std::fs::remove_file(&temporary)?;
                let detail = format!(
                    "{}: {} gives back {back}, the manifest says {}",
                    plain.display(),
                    packing.as_str(),
                    original.sha256
                );
                self.alarm(&mut turn, "archive_differs", &place.call.to_string(), detail);
                return Ok(());
            }
            std::fs::rename(&temporary, &target)?;
            sync_folder(&target)?;
            self.tell_packed(&mut turn, (folder, place), packing, &original, now)?;
        }
        // Only now: the manifest names the file that stays.
        std::fs::remove_file(&plain)
    }

    fn tell_packed(
        &self,
        turn: &mut super::Turn,
        (folder, place): (&Path, &Place),
        packing: Packing,
        original: &Record,
        now: Wall,
    ) -> io::Result<()> {
        let target = place.path(packing.kind());
        let file = std::fs::File::open(&target)?;
        let size = file.metadata()?.len();
        let record = Record {
            call_id: place.call,
            file: names::file(place.call, packing.kind()),
            size,
            sha256: hash(file)?,
            sidecar_sha256: original.sidecar_sha256.clone(),
        };
        let archived = ArchivedData {
            call_id: place.call,
            archive: packing.as_str().to_owned(),
            path: target.strip_prefix(&self.data_dir).unwrap_or(&target).display().to_string(),
            size,
            sha256: record.sha256.clone(),
            original_sha256: original.sha256.clone(),
        };
        let (by, why) = ("archive".to_owned(), format!("{} of {}", packing.title(), original.sha256));
        let change = Change { at: now, call_id: place.call, what: What::Archived, by, why, record: Some(record) };
        self.add_change(turn, folder, change)?;
        self.figures.packed.inc();
        self.tell(now, place.call.to_string(), Body::RecordingArchived(archived));
        Ok(())
    }
}

impl Packing {
    const fn kind(self) -> Kind {
        match self {
            Packing::Flac => Kind::Flac,
            Packing::Opus => Kind::Opus,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Packing::Flac => "FLAC",
            Packing::Opus => "Opus",
        }
    }

    fn encode(self, plain: &Path, target: &Path, sha256: &str) -> io::Result<bool> {
        match self {
            Packing::Flac => flac::encode(plain, target),
            Packing::Opus => opus::encode(plain, target, sha256),
        }
    }

    /// Hash of the WAV that a file was made from: computed from the samples of FLAC, read from Opus, which has none.
    fn original_sha256(self, packed: &Path) -> io::Result<String> {
        match self {
            Packing::Flac => flac::original_sha256(packed),
            Packing::Opus => Ok(opus::describe(packed)?.wav_sha256),
        }
    }
}
