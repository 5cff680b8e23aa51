//! Are closed days still what their manifests say? Reads files and changes nothing; needs no more than a copied folder
//! and the public key.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{days, place};
use crate::core::archive::manifest::{Manifest, Previous, Record, State};
use crate::core::archive::sign::PublicKey;
use crate::io::recordings::names::{self, Kind, MANIFEST};
use crate::io::recordings::{Finding, hash};
use crate::time::Wall;

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaysVerified {
    /// Manifests whose roots, signature and recordings are as they should be.
    pub good: usize,
    /// Recordings that were erased on purpose, with a tombstone.
    pub erased: usize,
    /// Keys that signed, in base64.
    pub keys: Vec<String>,
    pub problems: Vec<Finding>,
    pub notes: Vec<Finding>,
    /// Files that are kept elsewhere: that they are not here is no finding.
    elsewhere: std::collections::HashSet<PathBuf>,
}

/// A day that was read.
#[derive(Debug)]
struct Day {
    path: PathBuf,
    closed_at: Wall,
    root: String,
    previous: Option<Previous>,
}

/// Checks every manifest below `path`: a data folder, its `recordings`, or a day's folder. `keys`: whose manifests they
/// may be; without any, each is checked against the key that it names. `hashes`: files that were read already.
pub fn verify_days(path: &Path, keys: &[PublicKey], hashes: &HashMap<PathBuf, String>) -> io::Result<DaysVerified> {
    let mut verified = DaysVerified::default();
    let mut found = BTreeMap::new();
    if !path.metadata()?.is_dir() {
        return Ok(verified);
    }
    let mut folders = vec![path.to_path_buf()];
    folders.extend(names::days(&path.join(names::ROOT)));
    folders.extend(names::days(path));
    for folder in folders.into_iter().filter(|folder| folder.join(MANIFEST).exists()) {
        let before = verified.problems.len();
        match days::load(&folder) {
            Ok(manifest) => {
                verified.check(&folder, &manifest, keys, hashes);
                let Manifest { day, closed_at, root, previous, .. } = manifest;
                let path = folder.join(MANIFEST);
                found.insert(day, Day { path, closed_at, root, previous });
            }
            Err(error) => verified.problem(&folder.join(MANIFEST), "bad_manifest", error.to_string()),
        }
        verified.good += usize::from(verified.problems.len() == before);
    }
    verified.chain(&found);
    verified.keys.sort();
    verified.keys.dedup();
    Ok(verified)
}

impl DaysVerified {
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// A manifest says why this file is missing.
    pub fn explains(&self, finding: &Finding) -> bool {
        finding.code == "missing" && self.elsewhere.contains(&finding.path)
    }

    fn problem(&mut self, path: &Path, code: &'static str, detail: String) {
        self.problems.push(Finding { path: path.to_path_buf(), code, detail });
    }

    fn check(&mut self, folder: &Path, manifest: &Manifest, keys: &[PublicKey], hashes: &HashMap<PathBuf, String>) {
        let path = folder.join(MANIFEST);
        self.keys.push(manifest.key.clone());
        // The key that it names, when that is one of those given; else the first, whose flaws are told.
        let key = keys.iter().find(|key| key.to_base64() == manifest.key).or(keys.first());
        for flaw in manifest.flaws(key) {
            self.problem(&path, flaw.code, flaw.detail);
        }
        if let Some(day) = names::day_of(folder).filter(|day| *day != manifest.day) {
            self.problem(&path, "wrong_day", format!("is the manifest of {}, in the folder of {day}", manifest.day));
        }
        let states = manifest.states();
        for (call, state) in &states {
            match state {
                State::Here(record) => self.compare(folder, record, hashes),
                State::Erased(change) => {
                    self.erased += 1;
                    let kinds = [Kind::Sealed, Kind::Encrypted, Kind::Flac, Kind::Opus, Kind::Sidecar];
                    for file in
                        kinds.map(|kind| folder.join(names::file(*call, kind))).into_iter().filter(|f| f.exists())
                    {
                        let detail = format!("was erased at {} by {}, and is there", change.at, change.by);
                        self.problem(&file, "not_erased", detail);
                    }
                }
                State::Moved(_) => {
                    let names = names::SOUND.map(|kind| folder.join(names::file(*call, kind)));
                    self.elsewhere.extend(names);
                }
            }
        }
        for place in place::calls_in(folder).into_iter().filter(|place| !states.contains_key(&place.call)) {
            if let Some(kind) = place.sound() {
                let detail = format!("is not in the manifest of {}", manifest.day);
                self.problem(&place.path(kind), "unlisted", detail);
            }
        }
    }

    /// A record of a manifest against the disk.
    fn compare(&mut self, folder: &Path, record: &Record, hashes: &HashMap<PathBuf, String>) {
        // A manifest that somebody else wrote must not lead elsewhere.
        if names::parse(&record.file).is_none_or(|(call, kind)| call != record.call_id || !names::SOUND.contains(&kind))
        {
            let detail = format!("names the file {:?}, which is not this call's", record.file);
            return self.problem(&folder.join(MANIFEST), "wrong_name", detail);
        }
        let file = folder.join(&record.file);
        if !self.is_as_said(&file, "wrong_hash", &record.sha256, hashes) {
            return;
        }
        let size = file.metadata().map(|meta| meta.len()).unwrap_or_default();
        if size != record.size {
            self.problem(&file, "wrong_size", format!("{size} bytes, the manifest says {}", record.size));
        }
        if let Some(said) = &record.sidecar_sha256 {
            let sidecar = folder.join(names::file(record.call_id, Kind::Sidecar));
            self.is_as_said(&sidecar, "wrong_sidecar", said, hashes);
        }
    }

    fn is_as_said(&mut self, file: &Path, code: &'static str, said: &str, hashes: &HashMap<PathBuf, String>) -> bool {
        let known = hashes.get(file).cloned().map_or_else(|| File::open(file).and_then(hash), Ok);
        match known {
            Ok(is) if is == said => return true,
            Ok(is) => self.problem(file, code, format!("sha256 {is}, the manifest says {said}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.problem(file, "missing", "the manifest has it, and nothing says that it was erased".to_owned());
            }
            Err(error) => self.problem(file, "unreadable", error.to_string()),
        }
        false
    }

    /// Every day names the root of the one that was closed before it.
    fn chain(&mut self, days: &BTreeMap<String, Day>) {
        let oldest = days.iter().map(|(name, day)| (day.closed_at, name)).min();
        for (name, day) in days {
            let is_oldest = Some((day.closed_at, name)) == oldest;
            match &day.previous {
                Some(previous) => match days.get(&previous.day) {
                    Some(before) if before.root == previous.root => {}
                    Some(before) => {
                        let detail = format!(
                            "{name} vouches for {} with the root {}, which is {} there",
                            previous.day, previous.root, before.root
                        );
                        self.problem(&day.path, "wrong_previous", detail);
                    }
                    None if is_oldest => {
                        let detail = format!("the day before, {}, is not among what was given", previous.day);
                        self.notes.push(Finding { path: day.path.clone(), code: "starts_here", detail });
                    }
                    None => {
                        let detail = format!("the day before it, {}, is missing with all its recordings", previous.day);
                        self.problem(&day.path, "missing_day", detail);
                    }
                },
                None if is_oldest => {}
                None => {
                    self.problem(&day.path, "wrong_previous", format!("{name} says that there is no day before it"))
                }
            }
        }
    }
}
