//! What is told of recordings after their seal: who heard them, who erased them, which day was closed.

use serde::{Deserialize, Serialize};

use crate::ids::CallId;
use crate::time::Wall;

/// `data` of `leaseline.recording.played`: somebody was given the sound of a call, or part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayedData {
    pub call_id: CallId,
    /// Name of the user whose token it was; `token`: the one of `http.token`, `local`: nobody has to say who they are.
    pub by: String,
    /// From where.
    pub address: String,
    /// Why, in their own words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// To keep it, not to hear it here.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub download: bool,
}

/// `data` of `leaseline.recording.erased`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedData {
    pub call_id: CallId,
    pub erased_at: Wall,
    /// A user of the API, `operator` at the command line, `retention`, or `disk`.
    pub by: String,
    pub why: String,
    /// File that there was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// Its hash, as the manifest of its day names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
}

/// `data` of `leaseline.recording.held` and `.released`: a legal hold begins and ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldData {
    pub call_id: CallId,
    pub by: String,
    pub why: String,
}

/// `data` of `leaseline.recording.archived`: the same sound in another file, or in another place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedData {
    pub call_id: CallId,
    /// `flac` or `opus`, or the name of the archive it was sent to.
    pub archive: String,
    /// Where: relative to the data folder, or the object's URL.
    pub path: String,
    pub size: u64,
    pub sha256: String,
    /// Hash of the file that it was made from.
    pub original_sha256: String,
}

/// `data` of `leaseline.archive.day_closed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayClosedData {
    /// `2026-11-21`, UTC.
    pub day: String,
    pub records: usize,
    /// Merkle root (RFC 6962) of the day.
    pub root: String,
    /// The public key of its signature, in base64.
    pub key: String,
}

/// `data` of `leaseline.archive.day_stamped`: a time-stamp authority (RFC 3161) vouches for the manifest of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayStampedData {
    pub day: String,
    /// The authority's time.
    pub at: Wall,
    /// Subject of its certificate.
    pub by: String,
    /// Its serial number of the stamp, in hexadecimal.
    pub serial: String,
    /// The certificate leads to one of `timestamp_roots`.
    pub trusted: bool,
}

/// `data` of `leaseline.archive.alarm`: something that an operator must look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmData {
    /// Stable code: `clock_jumped`, `manifest_damaged`, `archive_differs`, `upload_failing`, `disk_low`,
    /// `disk_critical`.
    pub code: String,
    pub detail: String,
}
