//! Do the time stamps of closed days hold? For `leaseline verify`; reads files, changes nothing, asks nobody.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::days;
use crate::core::archive::manifest::{Manifest, Timestamp};
use crate::core::archive::timestamp::{self, Roots, Stamp};
use crate::io::recordings::Finding;
use crate::io::recordings::names::{self, MANIFEST};

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StampsVerified {
    /// Day, and its stamp.
    pub good: Vec<(String, Stamp)>,
    pub problems: Vec<Finding>,
    pub notes: Vec<Finding>,
}

/// Checks the stamp of every manifest below `path`: a data folder, its `recordings`, or a day's folder. `roots`: the
/// authority's certificate, or those that it leads to; without them a stamp is checked against the certificate within.
pub fn verify_stamps(path: &Path, roots: Option<&Roots>) -> io::Result<StampsVerified> {
    let mut verified = StampsVerified::default();
    if !path.metadata()?.is_dir() {
        return Ok(verified);
    }
    let mut folders = vec![path.to_path_buf()];
    folders.extend(names::days(&path.join(names::ROOT)));
    folders.extend(names::days(path));
    for folder in folders.into_iter().filter(|folder| folder.join(MANIFEST).exists()) {
        // One that cannot be read is told of by `verify_days`.
        let Ok(manifest) = days::load(&folder) else { continue };
        let path = folder.join(MANIFEST);
        match &manifest.timestamp {
            None if roots.is_some() => verified.note(path, "no_timestamp", "no time stamp vouches for this day"),
            None => {}
            Some(kept) => match check(&manifest, kept, roots) {
                Ok(stamp) => verified.good.push((manifest.day, stamp)),
                Err((code, detail)) => verified.problems.push(Finding { path, code, detail }),
            },
        }
    }
    Ok(verified)
}

impl StampsVerified {
    fn note(&mut self, path: PathBuf, code: &'static str, detail: &str) {
        self.notes.push(Finding { path, code, detail: detail.to_owned() });
    }
}

fn check(manifest: &Manifest, kept: &Timestamp, roots: Option<&Roots>) -> Result<Stamp, (&'static str, String)> {
    if !manifest.had_head(&kept.head) {
        return Err(("wrong_timestamp", "the time stamp is of another head than this manifest had".to_owned()));
    }
    let response = STANDARD.decode(&kept.response);
    let response = response.map_err(|_| ("wrong_timestamp", "the time stamp is not base64".to_owned()))?;
    let stamp = timestamp::check(&response, kept.head.as_bytes(), None, roots);
    let stamp = stamp.map_err(|bad| ("wrong_timestamp", format!("the time stamp does not hold: {bad}")))?;
    // Both clocks may be a little off; a day that was stamped before it was closed is another matter.
    if stamp.at.0 + 3_600_000_000 < manifest.closed_at.0 {
        let detail = format!("stamped at {}, and closed at {}", stamp.at, manifest.closed_at);
        return Err(("wrong_timestamp", detail));
    }
    Ok(stamp)
}
