//! Of events: what concerns the node and not one call of a company.

use serde::{Deserialize, Serialize};

use crate::ids::CallId;
use crate::time::Wall;

/// `data` of `leaseline.fraud.suspected`: calls that look like theft were refused. Told once a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FraudData {
    /// Code of the rule (`minutes_spent`, `destination_denied`, …), or `number_search`: a trunk dials one number after
    /// the other that is none of ours.
    pub kind: String,
    /// Whose calls they were; absent for `number_search`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub company: Option<String>,
    pub trunk: String,
    /// The number that was dialled last, as far as we could read it.
    pub number: String,
    /// Calls refused for this since the alarm before.
    pub refused: u64,
}

/// `data` of `leaseline.defence.banned`.
pub type BanData = crate::core::defence::Ban;

/// `data` of `leaseline.siprec.started` and `.failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiprecData {
    pub call_id: CallId,
    /// Its name in the configuration.
    pub recorder: String,
    /// URI of the place that records, or that was tried last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub place: Option<String>,
    /// Stable code: one of [`crate::core::siprec::REASONS`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// What the place answered, when it refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sip_status: Option<u16>,
    /// When all places are tried again; absent: not any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub again_in_ms: Option<u64>,
}

/// `data` of `leaseline.trunk.registered` and `.unregistered`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkData {
    pub trunk: String,
    pub registrar: String,
    /// Stable code: `login_refused`, `registrar_silent`, `stopping`, ….
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Unless it is refreshed, which it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Wall>,
}

/// `data` of `leaseline.trunk.up` and `.down`: told when it changes, and once at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeData {
    pub trunk: String,
    /// `up`, `degraded` (it answers, and cannot take calls) or `down`.
    pub state: String,
    /// Stable code: `timeout`, `unreachable`, `unavailable`, `server_error`, `unresolved`, `unusable`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// `data` of `leaseline.journal.damaged`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageData {
    /// Segment file, relative to the journal's folder.
    pub file: String,
    /// Where the damaged bytes start in it.
    pub offset: u64,
    /// What is wrong there.
    pub problem: String,
    /// The record before the damage; 0 when there was none.
    pub last_good_seq: u64,
    /// Its hash: the chain goes on from here.
    pub last_good_hash: String,
}

/// Who changed the catalogue, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueData {
    pub version: u64,
    /// Name of a user of the API.
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// The version that it went back to; 0: the configuration file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rolled_back_to: Option<u64>,
    /// One line a key.
    pub changes: Vec<String>,
}
