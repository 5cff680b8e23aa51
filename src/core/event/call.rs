//! Of events: a call, its way and its end.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Attribution, MediaSummary, RecordingSummary};
use crate::core::identity::Diversion;
use crate::core::stir::StirData;
use crate::ids::{CallId, E164};
use crate::time::Wall;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    NoAnswer,
    Busy,
    Cancelled,
    Rejected,
    Failed,
    /// Nobody answered, and the caller was asked for a message; `reason` says why nobody did.
    Voicemail,
    /// The daemon died in mid-call; the next start wrote this event.
    LostInCrash,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::NoAnswer => "no_answer",
            Outcome::Busy => "busy",
            Outcome::Cancelled => "cancelled",
            Outcome::Rejected => "rejected",
            Outcome::Failed => "failed",
            Outcome::Voicemail => "voicemail",
            Outcome::LostInCrash => "lost_in_crash",
        }
    }
}

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangupBy {
    Caller,
    Company,
    System,
}

/// One who takes part in a call that somebody else carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// `tel:` or `sip:`, as the metadata has it.
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// `caller` or `company`: the channel of the recording that has what it says; absent: none of them alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel: Option<Cow<'static, str>>,
}

/// `data` of `leaseline.call.started` and `.answered`, and, with the rest filled in, of `leaseline.call.ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallData {
    pub call_id: CallId,
    pub company: String,
    pub pool: String,
    pub number: E164,
    /// `None` when withheld or unreadable; `caller_reason` says which.
    pub caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller_reason: Option<String>,
    /// Name shown with the call: of the list of known callers, else as the call brought it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller_name: Option<String>,
    /// Note on a known caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller_note: Option<String>,
    /// What the caller asked to be kept private (`Privacy`, RFC 3323): `id`, `user`, `header`, … with `;` between.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub privacy: Option<String>,
    /// Who sent the call on before it came to us (RFC 5806), latest first; only of trunks that are believed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub diversion: Vec<Diversion>,
    pub trunk: String,
    /// Somebody else carries the call: `siprec`, and we record a copy; `asterisk`, `freeswitch` or `http`, and its PBX
    /// tells of it. Absent: it goes through us.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub via: Option<Cow<'static, str>>,
    /// With `via` of a PBX that tells of it: the PBX's own id of the call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pbx_call_id: Option<String>,
    /// With `via`: who took part, as the session's metadata says (RFC 7865), in the order in which they came.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub participants: Vec<Participant>,
    /// The destination that was tried last, or that answered.
    pub forwarded_to: Option<String>,
    pub started_at: Wall,
    pub ringing_at: Option<Wall>,
    pub answered_at: Option<Wall>,
    pub ended_at: Option<Wall>,
    pub ring_ms: u64,
    pub talk_ms: u64,
    pub outcome: Option<Outcome>,
    /// Final status the caller was given (200 when it was answered).
    pub sip_status: Option<u16>,
    /// Stable code.
    pub reason: Option<String>,
    pub hangup_by: Option<HangupBy>,
    /// Q.850 cause of the end, as the side that ended it gave it (RFC 3326) or as its status says (RFC 3398).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub q850_cause: Option<u16>,
    /// SIP reason that the side that ended it gave: `200 Call completed elsewhere`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sip_reason: Option<String>,
    /// Who vouches for the caller's number (RFC 8224); absent when the trunk's calls are not verified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stir: Option<StirData>,
    pub attribution: Attribution,
    /// In their order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub transfers: Vec<TransferData>,
    /// What we played, in the order in which it ended; in `call.ended`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub prompts: Vec<PromptData>,
    /// Keys that were pressed in the talk, in their order; in `call.ended`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub dtmf: Vec<DigitData>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recording: Option<RecordingSummary>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media: Option<MediaSummary>,
    /// How the call was routed; in `call.ended`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub route: Option<Box<RouteData>>,
}

impl CallData {
    /// A call that has just come in; nothing else is known of it yet.
    pub fn new(call_id: CallId, number: E164, attribution: Attribution, started_at: Wall) -> CallData {
        CallData {
            call_id,
            company: String::new(),
            pool: String::new(),
            number,
            caller: None,
            caller_reason: None,
            caller_name: None,
            caller_note: None,
            privacy: None,
            diversion: Vec::new(),
            trunk: String::new(),
            via: None,
            pbx_call_id: None,
            participants: Vec::new(),
            forwarded_to: None,
            started_at,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            ring_ms: 0,
            talk_ms: 0,
            outcome: None,
            sip_status: None,
            reason: None,
            hangup_by: None,
            q850_cause: None,
            sip_reason: None,
            stir: None,
            attribution,
            transfers: Vec::new(),
            prompts: Vec::new(),
            dtmf: Vec::new(),
            recording: None,
            media: None,
            route: None,
        }
    }
}

/// How a call was routed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteData {
    /// `open`, `closed` or `holiday`; absent when the company has no schedule.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hours: Option<Cow<'static, str>>,
    /// The rule that fitted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// Who chose the destinations: `company`, `rule`, `known_caller` when the caller spoke to the first one before, or
    /// `webhook`.
    pub decided_by: Cow<'static, str>,
    /// `order`, `parallel`, `weighted`, `round_robin` or `longest_idle`.
    pub strategy: Cow<'static, str>,
    /// What the company's webhook said; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<RouteDecision>,
    /// Destinations in the order in which they came to an end.
    pub attempts: Vec<RouteAttempt>,
}

/// What a company's webhook said of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteDecision {
    /// `forward`, `reject`, or `default`: the configured route.
    pub verdict: Cow<'static, str>,
    /// Why it was of no use: `decision_late`, `decision_unreachable`, `decision_status`, `decision_unreadable`,
    /// `decision_not_allowed`, `decision_suspended`, `decision_too_many`. Absent when its word counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Cow<'static, str>>,
    /// How long the caller waited for it.
    pub ms: u64,
}

/// One destination that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteAttempt {
    /// Its name, else its URI as configured.
    pub destination: String,
    /// 200: it answered. 487: we gave it up. 300 to 302: it sent the call on. Else what it meant for the caller.
    pub status: u16,
    /// How long it rang.
    pub ring_ms: u64,
    /// Another destination sent the call here, by a redirection.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub redirected: bool,
}

/// One change of the company's party within a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferData {
    pub at: Wall,
    /// URI of the party that was connected.
    pub from: String,
    /// URI of the one that took its place.
    pub to: String,
    /// `blind`, `attended` or `replaced`.
    pub kind: String,
}

/// `data` of `leaseline.call.transferred`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    pub call_id: CallId,
    #[serde(flatten)]
    pub transfer: TransferData,
}

/// `data` of `leaseline.media.silent`: a side of an answered call that should be heard has sent nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentData {
    pub call_id: CallId,
    /// `caller` or `company`.
    pub side: String,
    /// For so long by now. Told at 20 s and whenever it has doubled.
    pub silent_ms: u64,
}

/// One sound that was played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptData {
    /// `announcement`, `whisper`, `ringback`, `busy`, `greeting` or `tone`.
    pub kind: Cow<'static, str>,
    /// Who heard it.
    pub to: crate::ids::Side,
    /// As the configuration names it.
    pub file: String,
    /// Of the file, in hexadecimal; absent for sounds of our own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    pub from: Wall,
    pub until: Wall,
}

/// One press of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigitData {
    pub side: crate::ids::Side,
    /// `0` to `9`, `*`, `#`, `A` to `D`; absent when it is masked: pressed while the recording paused, or by configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digit: Option<String>,
    /// Since the answer.
    pub at_ms: u64,
    pub for_ms: u64,
}

/// `data` of `leaseline.call.refused`: an INVITE from a known trunk that never became a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedData {
    pub trunk: String,
    /// The number as dialled, as far as we could read it.
    pub number: String,
    pub sip_status: u16,
    pub reason: String,
}
