//! Names of files: our own ids and dates, nothing that came from a network.

use std::path::{Path, PathBuf};

use crate::ids::CallId;
use crate::time::Wall;

/// Folder of all recordings, relative to the data folder.
pub(in crate::io) const ROOT: &str = "recordings";

/// What a file in a day's folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Kind {
    Sealed,
    /// Being written, or left by a crash.
    Part,
    /// Could not be repaired; kept for a person to look at.
    Broken,
    Sidecar,
    /// Sealed and encrypted.
    Encrypted,
    /// Sealed, and made smaller later.
    Flac,
    /// The same, for ears.
    Opus,
    /// A legal hold.
    Hold,
    /// Tombstone of an erasure that is under way, or was when the program ended.
    Erasing,
    /// Tombstone.
    Erased,
}

/// Every kind.
pub(in crate::io) const KINDS: [Kind; 10] = [
    Kind::Sealed,
    Kind::Part,
    Kind::Broken,
    Kind::Sidecar,
    Kind::Encrypted,
    Kind::Flac,
    Kind::Opus,
    Kind::Hold,
    Kind::Erasing,
    Kind::Erased,
];

/// Kinds that can be played, in the order in which they are looked for.
pub(in crate::io) const SOUND: [Kind; 4] = [Kind::Sealed, Kind::Encrypted, Kind::Flac, Kind::Opus];

/// The manifest of a closed day, in its folder.
pub(in crate::io) const MANIFEST: &str = "manifest.json";

impl Kind {
    const fn suffix(self) -> &'static str {
        match self {
            Kind::Sealed => ".wav",
            Kind::Part => ".wav.part",
            Kind::Broken => ".wav.broken",
            Kind::Sidecar => ".json",
            Kind::Encrypted => ".wav.age",
            Kind::Flac => ".flac",
            Kind::Opus => ".opus",
            Kind::Hold => ".hold",
            Kind::Erasing => ".erasing",
            Kind::Erased => ".erased",
        }
    }
}

/// The file name of a call.
pub(in crate::io) fn file(call: CallId, kind: Kind) -> String {
    format!("{call}{}", kind.suffix())
}

/// Reads a file name; anything else than ours is `None`.
pub(in crate::io) fn parse(name: &str) -> Option<(CallId, Kind)> {
    let (id, _) = name.split_at_checked(32)?;
    let call: CallId = id.parse().ok()?;
    KINDS.into_iter().find(|kind| name.strip_prefix(id) == Some(kind.suffix())).map(|kind| (call, kind))
}

/// `recordings`, year, month, day: each below the one before.
pub(in crate::io) fn folders(wall: Wall) -> [PathBuf; 4] {
    let (year, month, day) = wall.date();
    let root = PathBuf::from(ROOT);
    let year = root.join(format!("{year:04}"));
    let month = year.join(format!("{month:02}"));
    let day = month.join(format!("{day:02}"));
    [root, year, month, day]
}

/// Relative to the data folder.
pub(in crate::io) fn sealed(wall: Wall, call: CallId) -> PathBuf {
    let [.., day] = folders(wall);
    day.join(file(call, Kind::Sealed))
}

/// A path out of an event, if it is one of ours: `recordings/YYYY/MM/DD/<call_id>.wav` (or `.wav.age`, `.flac`, `.opus`)
/// and nothing else.
pub(in crate::io) fn parse_sealed(path: &str) -> Option<(PathBuf, CallId)> {
    let mut parts = path.split('/');
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let good =
        parts.next()? == ROOT && digits(parts.next()?, 4) && digits(parts.next()?, 2) && digits(parts.next()?, 2);
    let (call, kind) = parse(parts.next()?)?;
    (good && SOUND.contains(&kind) && parts.next().is_none()).then(|| (PathBuf::from(path), call))
}

/// The same place, another kind.
pub(in crate::io) fn beside(path: &Path, call: CallId, kind: Kind) -> PathBuf {
    path.with_file_name(file(call, kind))
}

/// Folders of the days there are, below `recordings`, in order. Links are not followed.
pub(in crate::io) fn days(root: &Path) -> Vec<PathBuf> {
    let mut level = vec![root.to_path_buf()];
    for digits in [4, 2, 2] {
        level = level.iter().flat_map(|folder| numbered(folder, digits)).collect();
    }
    level
}

fn numbered(folder: &Path, digits: usize) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter(|e| e.file_name().to_str().is_some_and(|n| n.len() == digits && n.bytes().all(|b| b.is_ascii_digit())))
        .map(|e| e.path())
        .collect();
    found.sort();
    found
}

/// Our files in one folder, in order of name.
pub(in crate::io) fn in_folder(folder: &Path) -> Vec<(PathBuf, CallId, Kind)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_ok_and(|t| t.is_file()))
        .filter_map(|e| parse(e.file_name().to_str()?).map(|(call, kind)| (e.path(), call, kind)))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The day of a folder that [`days`] gave, as `2026-11-21`.
pub(in crate::io) fn day_of(folder: &Path) -> Option<String> {
    let mut parts = folder.iter().rev().map(|part| part.to_str());
    let (day, month, year) = (parts.next()??, parts.next()??, parts.next()??);
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    (digits(year, 4) && digits(month, 2) && digits(day, 2)).then(|| format!("{year}-{month}-{day}"))
}

/// `2026-11-21` of a time, UTC.
pub(in crate::io) fn day_text(wall: Wall) -> String {
    let (year, month, day) = wall.date();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Folders that may hold files of this call, the likely ones first: an id holds the start of its call, and the folder is
/// named by the answer, which may be on the next day.
pub(in crate::io) fn likely_folders(data_dir: &Path, call: CallId) -> [PathBuf; 2] {
    let began = Wall(i64::try_from(call.0 >> 80).unwrap_or(0).saturating_mul(1_000));
    [began, began + std::time::Duration::from_secs(86_400)].map(|day| {
        let [.., day] = folders(day);
        data_dir.join(day)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_names_are_ours_or_nothing() {
        let call = CallId(0x0192_abcd);
        for kind in KINDS {
            assert_eq!(parse(&file(call, kind)), Some((call, kind)));
        }
        let path = sealed(Wall(1_795_255_200_000_000), call);
        assert_eq!(path, Path::new("recordings/2026/11/21").join(file(call, Kind::Sealed)));
        assert_eq!(parse_sealed(path.to_str().unwrap()), Some((path, call)));
        let id = call.to_string();
        for bad in [
            format!("../{id}.wav"),
            format!("recordings/2026/11/../{id}.wav"),
            format!("recordings/2026/11/21/{id}.json"),
            format!("recordings/2026/11/21/x/{id}.wav"),
            format!("/recordings/2026/11/21/{id}.wav"),
            format!("recordings/2026/11/21/{}.wav", id.to_uppercase()),
            format!("recordings/2026/11/21/{id}é.wav"),
        ] {
            assert_eq!(parse_sealed(&bad), None, "{bad}");
        }
        assert_eq!(parse("é"), None);
        assert_eq!(parse(&"é".repeat(40)), None);
    }
}
