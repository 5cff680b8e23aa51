//! Closing days: what stands in a day's folder becomes its manifest, and late changes are added to it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::erase::Tombstone;
use super::place::{self, Place};
use super::{Archive, Turn, write_whole};
use crate::core::archive::manifest::{Change, Manifest, Previous, Record, What};
use crate::core::event::{Body, DayClosedData};
use crate::io::recordings::hash;
use crate::io::recordings::names::{self, Kind, MANIFEST};
use crate::limits;
use crate::time::Wall;

/// A day is not closed before it is over for so long: the last sidecars are being written.
const SETTLING: Duration = Duration::from_secs(300);
/// A recording whose sidecar does not come holds its day up for so long.
const PATIENCE: Duration = Duration::from_secs(3_600);

impl Archive {
    /// Closes every day that is over and all of whose recordings are sealed, in order, and adds to closed days what has
    /// been found since. `all`: looks at every day, not only at the newest. The same again changes nothing.
    pub(super) fn close_days(&self, turn: &mut Turn, now: Wall, all: bool) -> io::Result<()> {
        let today = names::day_text(now);
        let mut folders = names::days(&self.recordings());
        folders.retain(|folder| names::day_of(folder).is_some_and(|day| day < today));
        if !all {
            // Days without a manifest, and the newest.
            let newest = folders.len().saturating_sub(limits::ARCHIVE_DAYS_WATCHED);
            let mut at = 0;
            folders.retain(|folder| {
                at += 1;
                at > newest || !folder.join(MANIFEST).exists()
            });
        }
        for folder in folders {
            let Some(day) = names::day_of(&folder) else { continue };
            if folder.join(MANIFEST).exists() {
                self.look_after(turn, &folder, &day, now)?;
            } else if !self.close_day(turn, &folder, &day, now)? {
                // Days are closed in order.
                break;
            }
        }
        Ok(())
    }

    /// `false`: it cannot be closed yet.
    fn close_day(&self, turn: &mut Turn, folder: &Path, day: &str, now: Wall) -> io::Result<bool> {
        let Some(over) =
            Wall::parse_rfc3339(&format!("{day}T00:00:00Z")).map(|start| start + Duration::from_secs(86_400))
        else {
            return Ok(true);
        };
        let places = place::calls_in(folder);
        let unsealed = places.iter().any(|place| place.has(Kind::Part) || place.has(Kind::Erasing));
        let waiting =
            now < over + PATIENCE && places.iter().any(|place| place.sound().is_some() && !place.has(Kind::Sidecar));
        if unsealed || waiting || now < over + SETTLING {
            return Ok(false);
        }
        let (mut records, mut changes) = (Vec::new(), Vec::new());
        for place in &places {
            if let Some(record) = self.record(place)? {
                records.push(record);
            } else if place.has(Kind::Erased) {
                let tombstone = Tombstone::read(&place.path(Kind::Erased))?;
                changes.push(tombstone.change());
                records.extend(tombstone.record());
            }
        }
        if records.is_empty() {
            return Ok(true);
        }
        let previous = self.tip(turn)?;
        let mut manifest = Manifest::close(&self.key, &self.node, day, now, records, previous);
        if !changes.is_empty() {
            manifest.add(&self.key, changes);
        }
        save(folder, &manifest)?;
        turn.tip = Some(Some(Previous { day: day.to_owned(), root: manifest.root.clone() }));
        self.figures.days_closed.inc();
        self.day_closed.notify_one();
        tracing::info!(day, recordings = manifest.records.len(), root = manifest.root, "day closed");
        let closed = DayClosedData {
            day: day.to_owned(),
            records: manifest.records.len(),
            root: manifest.root,
            key: manifest.key,
        };
        self.tell(now, day.to_owned(), Body::ArchiveDayClosed(closed));
        Ok(true)
    }

    /// Recordings that came after their day was closed: a crash kept them, and a later start made them whole.
    fn look_after(&self, turn: &mut Turn, folder: &Path, day: &str, now: Wall) -> io::Result<()> {
        let Some(mut manifest) = self.manifest(turn, folder, day)? else { return Ok(()) };
        let mut late = Vec::new();
        {
            let states = manifest.states();
            for place in place::calls_in(folder) {
                if !states.contains_key(&place.call)
                    && !place.has(Kind::Part)
                    && let Some(record) = self.record(&place)?
                {
                    let (by, why) = ("archive".to_owned(), "found after the day was closed".to_owned());
                    late.push(Change {
                        at: now,
                        call_id: place.call,
                        what: What::Added,
                        by,
                        why,
                        record: Some(record),
                    });
                }
            }
        }
        if late.is_empty() {
            return Ok(());
        }
        tracing::warn!(day, recordings = late.len(), "recordings came after their day was closed");
        manifest.add(&self.key, late);
        save(folder, &manifest)
    }

    /// Adds a change to the manifest of its day, if that is closed.
    pub(super) fn add_change(&self, turn: &mut Turn, folder: &Path, change: Change) -> io::Result<()> {
        let day = names::day_of(folder).unwrap_or_default();
        let Some(mut manifest) = self.manifest(turn, folder, &day)? else { return Ok(()) };
        if change.what == What::Erased
            && manifest.changes.iter().any(|c| (c.call_id, c.what) == (change.call_id, What::Erased))
        {
            return Ok(());
        }
        manifest.add(&self.key, [change]);
        save(folder, &manifest)
    }

    /// The manifest of a day; `None` when there is none, or when it is not what it was: then it is left as it is, and an
    /// operator is told.
    fn manifest(&self, turn: &mut Turn, folder: &Path, day: &str) -> io::Result<Option<Manifest>> {
        let loaded = match load(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error.to_string()),
            other => {
                let manifest = other?;
                let flaws = manifest.flaws(None);
                if flaws.is_empty() {
                    Ok(manifest)
                } else {
                    Err(flaws.into_iter().map(|flaw| flaw.detail).collect::<Vec<_>>().join("; "))
                }
            }
        };
        loaded.map(Some).or_else(|detail| {
            self.alarm(turn, "manifest_damaged", day, format!("{day}: {detail}"));
            Ok(None)
        })
    }

    /// What stands on the disk of a call; `None`: nothing that can be played.
    pub(super) fn record(&self, place: &Place) -> io::Result<Option<Record>> {
        let Some(kind) = place.sound() else { return Ok(None) };
        let file = File::open(place.path(kind))?;
        let size = file.metadata()?.len();
        let sidecar_sha256 =
            if place.has(Kind::Sidecar) { Some(hash(File::open(place.path(Kind::Sidecar))?)?) } else { None };
        let name = names::file(place.call, kind);
        Ok(Some(Record { call_id: place.call, file: name, size, sha256: hash(file)?, sidecar_sha256 }))
    }

    /// The day closed last.
    fn tip(&self, turn: &mut Turn) -> io::Result<Option<Previous>> {
        #[derive(Deserialize)]
        struct Short {
            day: String,
            root: String,
            closed_at: Wall,
        }
        if let Some(tip) = &turn.tip {
            return Ok(tip.clone());
        }
        let mut newest: Option<Short> = None;
        for folder in names::days(&self.recordings()) {
            let Ok(text) = read(&folder) else { continue };
            match serde_json::from_slice::<Short>(&text) {
                Ok(short) => {
                    let later = |known: &Short| (short.closed_at, &short.day) > (known.closed_at, &known.day);
                    if newest.as_ref().is_none_or(later) {
                        newest = Some(short);
                    }
                }
                Err(error) => {
                    let day = names::day_of(&folder).unwrap_or_default();
                    self.alarm(turn, "manifest_damaged", &day, format!("{day}: {error}"));
                }
            }
        }
        let tip = newest.map(|short| Previous { day: short.day, root: short.root });
        turn.tip = Some(tip.clone());
        Ok(tip)
    }
}

/// Reads a day's manifest.
pub(super) fn load(folder: &Path) -> io::Result<Manifest> {
    Ok(serde_json::from_slice(&read(folder)?)?)
}

fn read(folder: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(folder.join(MANIFEST))?.take(limits::ARCHIVE_MANIFEST).read_to_end(&mut text)?;
    Ok(text)
}

pub(super) fn save(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    write_whole(&folder.join(MANIFEST), &text)
}
