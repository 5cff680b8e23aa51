//! Names of files: our own ids and dates, nothing that came from a network.

use std::path::{Path, PathBuf};

use crate::ids::CallId;
use crate::time::Wall;

/// Folder of all recordings, relative to the data folder.
pub(super) const ROOT: &str = "recordings";

/// What a file in a day's folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sealed,
    /// Being written, or left by a crash.
    Part,
    /// Could not be repaired; kept for a person to look at.
    Broken,
    Sidecar,
}

impl Kind {
    const fn suffix(self) -> &'static str {
        match self {
            Kind::Sealed => ".wav",
            Kind::Part => ".wav.part",
            Kind::Broken => ".wav.broken",
            Kind::Sidecar => ".json",
        }
    }
}

/// The file name of a call.
pub(super) fn file(call: CallId, kind: Kind) -> String {
    format!("{call}{}", kind.suffix())
}

/// Reads a file name; anything else than ours is `None`.
pub(super) fn parse(name: &str) -> Option<(CallId, Kind)> {
    let (id, _) = name.split_at_checked(32)?;
    let call: CallId = id.parse().ok()?;
    [Kind::Sealed, Kind::Part, Kind::Broken, Kind::Sidecar]
        .into_iter()
        .find(|kind| name.strip_prefix(id) == Some(kind.suffix()))
        .map(|kind| (call, kind))
}

/// `recordings`, year, month, day: each below the one before.
pub(super) fn folders(wall: Wall) -> [PathBuf; 4] {
    let (year, month, day) = wall.date();
    let root = PathBuf::from(ROOT);
    let year = root.join(format!("{year:04}"));
    let month = year.join(format!("{month:02}"));
    let day = month.join(format!("{day:02}"));
    [root, year, month, day]
}

/// Relative to the data folder.
pub(super) fn sealed(wall: Wall, call: CallId) -> PathBuf {
    let [.., day] = folders(wall);
    day.join(file(call, Kind::Sealed))
}

/// A path out of an event, if it is one of ours: `recordings/YYYY/MM/DD/<call_id>.wav` and nothing else.
pub(super) fn parse_sealed(path: &str) -> Option<(PathBuf, CallId)> {
    let mut parts = path.split('/');
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let good =
        parts.next()? == ROOT && digits(parts.next()?, 4) && digits(parts.next()?, 2) && digits(parts.next()?, 2);
    let (call, kind) = parse(parts.next()?)?;
    (good && kind == Kind::Sealed && parts.next().is_none()).then(|| (PathBuf::from(path), call))
}

/// The same place, another kind.
pub(super) fn beside(path: &Path, call: CallId, kind: Kind) -> PathBuf {
    path.with_file_name(file(call, kind))
}

/// Folders of the days there are, below `recordings`, in order. Links are not followed.
pub(super) fn days(root: &Path) -> Vec<PathBuf> {
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
pub(super) fn in_folder(folder: &Path) -> Vec<(PathBuf, CallId, Kind)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_ok_and(|t| t.is_file()))
        .filter_map(|e| parse(e.file_name().to_str()?).map(|(call, kind)| (e.path(), call, kind)))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_or_nothing() {
        let call = CallId(0x0192_abcd);
        for kind in [Kind::Sealed, Kind::Part, Kind::Broken, Kind::Sidecar] {
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
