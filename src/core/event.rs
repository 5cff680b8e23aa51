//! What the world is told. Field names are promises (CONTRACT §4): events are the product, so they are complete,
//! versioned and the same in the journal, in the sinks and in the recording's sidecar.

mod archive;
pub mod cloud;
pub mod keeper;
pub mod work;

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use archive::{AlarmData, ArchivedData, DayClosedData, DayStampedData, ErasedData, HoldData, PlayedData};

use crate::core::identity::Diversion;
use crate::core::stir::StirData;
use crate::ids::{CallId, E164, LeaseId};
use crate::time::Wall;

/// The visit that a number was shown to: what the page said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_page: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// `source`, `medium`, `campaign`, `term`, `content` and whatever else the page had.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub utm: BTreeMap<String, String>,
    /// `gclid`, `yclid`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub click_ids: BTreeMap<String, String>,
    /// `ga`, `ym`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_ids: BTreeMap<String, String>,
    /// `page` (where the visitor is now), `screen`, `time_zone`, `consent` and whatever else the page said of itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client: BTreeMap<String, String>,
    /// When the click ids were first seen, by our clock: advertising systems want the time of the click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicked_at: Option<Wall>,
}

/// The same visit, whenever it was told: each telling reckons `clicked_at` anew, a few milliseconds off.
impl PartialEq for Session {
    fn eq(&self, other: &Session) -> bool {
        let Session { landing_page, referrer, utm, click_ids, client_ids, client, clicked_at: _ } = other;
        self.landing_page == *landing_page
            && self.referrer == *referrer
            && self.utm == *utm
            && self.click_ids == *click_ids
            && self.client_ids == *client_ids
            && self.client == *client
    }
}

impl Eq for Session {}

/// What the attribution speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributionKind {
    /// A website visitor, by lease.
    Visitor,
    /// A channel that owns the number.
    Static,
    /// Nobody is known.
    #[default]
    None,
}

/// Who is calling, and how sure we are. Decided once, at the INVITE, and pinned to the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    pub kind: AttributionKind,
    /// `active_lease`, `last_holder`, `known_caller`, `static_channel`; `nobody` when it is likelier that no visitor is
    /// calling, `none` when none is known.
    pub method: String,
    /// 0 to 1.
    pub confidence: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_id: Option<LeaseId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub visitor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<Arc<Session>>,
    /// Channel of a static pool: `source`, `medium`, `campaign`, ….
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel: Option<Arc<BTreeMap<String, String>>>,
    /// The lease table was out of step with its allocator when we looked.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub stale: bool,
    /// Version of the model that decided.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub model: String,
    /// Probability that no visitor we know of is calling.
    #[serde(skip_serializing_if = "is_nil", default)]
    pub nobody: f64,
    /// How many visitors had the number on their pages.
    #[serde(skip_serializing_if = "is_none_of", default)]
    pub contention: u32,
    /// Where the caller's number is from: ISO 3166-2, or ISO 3166-1 when no more is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller_region: Option<String>,
    /// The candidates by where they came from, the likeliest first: often sure where the visitor is not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<SourceShare>,
    pub candidates: Vec<Candidate>,
}

/// How probable it is that the caller came from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceShare {
    pub source: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub medium: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub campaign: String,
    pub probability: f64,
}

fn is_none_of(count: &u32) -> bool {
    *count == 0
}

fn is_nil(probability: &f64) -> bool {
    *probability == 0.0
}

/// One who may be calling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub visitor_id: String,
    pub probability: f64,
    pub evidence: Vec<String>,
}

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

/// `data` of `leaseline.recording.sealed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingData {
    pub call_id: CallId,
    #[serde(flatten)]
    pub recording: RecordingSummary,
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

/// `data` of `leaseline.call.refused`: an INVITE from a known trunk that never became a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedData {
    pub trunk: String,
    /// The number as dialled, as far as we could read it.
    pub number: String,
    pub sip_status: u16,
    pub reason: String,
}

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

/// `data` of `leaseline.lease.*`. Written so that replaying the journal rebuilds the allocator.
pub type LeaseData = crate::core::lease::Lease;

/// One thing that happened, before the journal gives it an id and a place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub time: Wall,
    /// Call id, lease id or other subject.
    pub subject: String,
    pub body: Body,
}

/// The kinds of event. `Event::kind` gives the CloudEvents `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    CallStarted(Box<CallData>),
    CallAnswered(Box<CallData>),
    CallTransferred(Transferred),
    MediaSilent(SilentData),
    CallEnded(Box<CallData>),
    CallRefused(RefusedData),
    /// A third party's recorder records the call.
    SiprecStarted(SiprecData),
    /// No place of it does, or the one that did has stopped.
    SiprecFailed(SiprecData),
    /// A panic inside one call; that call was ended.
    CallCrashed {
        call_id: CallId,
        panic: String,
    },
    RecordingSealed(RecordingData),
    /// A crash had left it unfinished, and the next start made it whole.
    RecordingRecovered(RecordingData),
    RecordingPlayed(PlayedData),
    RecordingErased(ErasedData),
    RecordingHeld(HoldData),
    RecordingReleased(HoldData),
    RecordingArchived(ArchivedData),
    ArchiveDayClosed(DayClosedData),
    ArchiveDayStamped(DayStampedData),
    ArchiveAlarm(AlarmData),
    /// From here on nothing is recorded.
    RecordingPaused(PauseData),
    RecordingResumed(PauseData),
    FraudSuspected(FraudData),
    /// An address that is nobody we know and would not stop.
    DefenceBanned(BanData),
    /// Of pools that manage themselves, and of their numbers.
    Keeper(Box<keeper::KeeperEvent>),
    /// What people did: work on calls, users, exports.
    Work(Box<work::WorkEvent>),
    LeaseGranted(Arc<LeaseData>),
    LeaseRenewed(Arc<LeaseData>),
    LeaseReleased(Arc<LeaseData>),
    LeaseExpired(Arc<LeaseData>),
    /// What the page saw (`tel_tap`, `copy`, …): the signal's name is in `signal`.
    LeaseSignal {
        lease: Arc<LeaseData>,
        signal: String,
    },
    /// The daemon started or stopped.
    NodeStarted {
        version: String,
    },
    NodeStopped,
    /// Somebody changed the catalogue of sites and pools.
    CatalogueChanged(CatalogueData),
    /// Part of the journal could not be read; it goes on in a new segment, and this is that segment's first record.
    JournalDamaged(DamageData),
    /// We are registered at a trunk: its calls can reach us.
    TrunkRegistered(TrunkData),
    /// We are not, or not any more; the reason says why.
    TrunkUnregistered(TrunkData),
    /// A trunk answers our probes.
    TrunkUp(ProbeData),
    /// It does not, or says that it cannot take calls.
    TrunkDown(ProbeData),
    /// The journal's disk did not take these events, and memory for them ran out.
    EventsDropped {
        count: u64,
    },
}

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

impl Body {
    /// The CloudEvents `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::CallStarted(_) => "leaseline.call.started",
            Body::CallAnswered(_) => "leaseline.call.answered",
            Body::CallTransferred(_) => "leaseline.call.transferred",
            Body::MediaSilent(_) => "leaseline.media.silent",
            Body::CallEnded(_) => "leaseline.call.ended",
            Body::CallRefused(_) => "leaseline.call.refused",
            Body::SiprecStarted(_) => "leaseline.siprec.started",
            Body::SiprecFailed(_) => "leaseline.siprec.failed",
            Body::CallCrashed { .. } => "leaseline.call.crashed",
            Body::RecordingSealed(_) => "leaseline.recording.sealed",
            Body::RecordingRecovered(_) => "leaseline.recording.recovered",
            Body::RecordingPlayed(_) => "leaseline.recording.played",
            Body::RecordingErased(_) => "leaseline.recording.erased",
            Body::RecordingHeld(_) => "leaseline.recording.held",
            Body::RecordingReleased(_) => "leaseline.recording.released",
            Body::RecordingArchived(_) => "leaseline.recording.archived",
            Body::ArchiveDayClosed(_) => "leaseline.archive.day_closed",
            Body::ArchiveDayStamped(_) => "leaseline.archive.day_stamped",
            Body::ArchiveAlarm(_) => "leaseline.archive.alarm",
            Body::RecordingPaused(_) => "leaseline.recording.paused",
            Body::RecordingResumed(_) => "leaseline.recording.resumed",
            Body::FraudSuspected(_) => "leaseline.fraud.suspected",
            Body::DefenceBanned(_) => "leaseline.defence.banned",
            Body::Keeper(event) => event.kind(),
            Body::Work(event) => event.kind(),
            Body::LeaseGranted(_) => "leaseline.lease.granted",
            Body::LeaseRenewed(_) => "leaseline.lease.renewed",
            Body::LeaseReleased(_) => "leaseline.lease.released",
            Body::LeaseExpired(_) => "leaseline.lease.expired",
            Body::LeaseSignal { .. } => "leaseline.lease.signal",
            Body::NodeStarted { .. } => "leaseline.node.started",
            Body::NodeStopped => "leaseline.node.stopped",
            Body::TrunkRegistered(_) => "leaseline.trunk.registered",
            Body::TrunkUnregistered(_) => "leaseline.trunk.unregistered",
            Body::TrunkUp(_) => "leaseline.trunk.up",
            Body::TrunkDown(_) => "leaseline.trunk.down",
            Body::CatalogueChanged(_) => "leaseline.catalogue.changed",
            Body::JournalDamaged(_) => "leaseline.journal.damaged",
            Body::EventsDropped { .. } => "leaseline.events.dropped",
        }
    }
}
