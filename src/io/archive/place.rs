//! Where the files of a call are.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ids::CallId;
use crate::io::recordings::names::{self, Kind};

/// A sidecar is read up to so much; ours stay far below.
const SIDECAR_MAX: u64 = 4 << 20;

/// The day's folder of a call and what is there of it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) call: CallId,
    pub(super) kinds: Vec<Kind>,
}

impl Place {
    /// Looks where a call's files can be, and everywhere when they are not there.
    pub(super) fn find(data_dir: &Path, call: CallId) -> Option<Place> {
        let at = |folder: PathBuf| {
            let is = |kind: &Kind| folder.join(names::file(call, *kind)).symlink_metadata().is_ok_and(|m| m.is_file());
            let kinds: Vec<Kind> = names::KINDS.into_iter().filter(is).collect();
            (!kinds.is_empty()).then_some(Place { folder, call, kinds })
        };
        let likely = names::likely_folders(data_dir, call).into_iter().find_map(at);
        likely.or_else(|| names::days(&data_dir.join(names::ROOT)).into_iter().find_map(at))
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    pub(super) fn path(&self, kind: Kind) -> PathBuf {
        self.folder.join(names::file(self.call, kind))
    }

    /// The file that can be played.
    pub(super) fn sound(&self) -> Option<Kind> {
        names::SOUND.into_iter().find(|kind| self.has(*kind))
    }

    pub(super) fn sidecar(&self) -> io::Result<Value> {
        read_json(&self.path(Kind::Sidecar))
    }
}

/// The files of one folder by call, in order of call.
pub(super) fn calls_in(folder: &Path) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for (_, call, kind) in names::in_folder(folder) {
        match places.last_mut() {
            Some(place) if place.call == call => place.kinds.push(kind),
            _ => places.push(Place { folder: folder.to_path_buf(), call, kinds: vec![kind] }),
        }
    }
    places
}

pub(super) fn read_json(path: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(SIDECAR_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
