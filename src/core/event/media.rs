//! Of events: what a call sounded like, and its recording.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::CallId;

/// Verdict on a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    Complete,
    Degraded,
    Failed,
    #[default]
    Off,
}

/// A stretch of one channel in which silence stands for something that was not heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// `caller` or `company`.
    pub channel: crate::ids::Side,
    pub at_ms: u64,
    pub for_ms: u64,
    /// `loss`, `late`, `hold`, `dtx`, `comfort_noise`, `no_media`, `disk`, `overload`, `crash`, `codec`, ….
    pub cause: String,
    /// What is heard there was made up, not recorded.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub concealed: bool,
}

/// What became of the recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordingSummary {
    pub state: RecordingState,
    /// Stable code of what went wrong, when the state is `degraded` or `failed` (`disk_full`, `write_error`, …).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Relative to the data folder: `recordings/YYYY/MM/DD/<call_id>.wav`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    pub duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Hash of the WAV inside, when the file at `path` is encrypted (`.wav.age`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub original_sha256: Option<String>,
    pub channels: u16,
    pub sample_rate: u32,
    /// `alaw` or `mulaw`, when samples are stored as G.711; absent: as PCM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<String>,
    pub gaps: Vec<Gap>,
}

/// What one leg's media was like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegMedia {
    /// Name of the audio codec this side asked for (`PCMA`). Where the two differ, we transcoded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<String>,
    /// RTP packets received from this side and accepted.
    pub received: u64,
    /// Of them sent on to the other side.
    pub relayed: u64,
    /// Missing by sequence number (RFC 3550 §A.3), never negative.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 §A.8) in milliseconds, at the end.
    pub jitter_ms: f64,
    /// Mean opinion score, 1.0 to 4.5, by the E-model (ITU-T G.107); absent without media and for codecs that G.113 has
    /// no figures for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mos: Option<f64>,
    /// Between us and this side, there and back, in milliseconds; absent until its RTCP showed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round_trip_ms: Option<f64>,
    /// Packets refused, by reason (`wrong_source`, `not_rtp`, …).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub refused: BTreeMap<String, u64>,
    /// RTCP packets received from this side and accepted.
    pub rtcp: u64,
    /// RTCP packets that we made for this side, because the other one sends none.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub rtcp_made: u64,
    /// RTP datagrams that our kernel dropped because we did not read them in time.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub kernel_dropped: u64,
}

// The signature is serde's.
fn is_zero(figure: &u64) -> bool {
    *figure == 0
}

/// What the call's media was like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaSummary {
    /// Name of the audio codec agreed on (`PCMA`), absent when none was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<String>,
    pub caller: LegMedia,
    pub company: LegMedia,
    /// Both sides agreed on fax (T.38) in the place of audio for a while.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub fax: bool,
}

/// `data` of `leaseline.recording.sealed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingData {
    pub call_id: CallId,
    #[serde(flatten)]
    pub recording: RecordingSummary,
}

/// Who paused a recording, or let it go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    #[default]
    Api,
    /// Keys that the company's side pressed.
    CompanyKeys,
}

/// `data` of `leaseline.recording.paused` and `.resumed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseData {
    pub call_id: CallId,
    /// Since the answer, which is where the recording begins.
    pub at_ms: u64,
    pub by: PausedBy,
}
