//! What the world is told. Field names are promises (CONTRACT §4): events are the product, so they are complete,
//! versioned and the same in the journal, in the sinks and in the recording's sidecar.

mod archive;
mod attribution;
mod call;
pub mod cloud;
pub mod keeper;
mod media;
mod node;
pub mod work;

use std::sync::Arc;

pub use archive::{AlarmData, ArchivedData, DayClosedData, DayStampedData, ErasedData, HoldData, PlayedData};
pub use attribution::{Attribution, AttributionKind, Candidate, Session, SourceShare};
pub use call::{
    CallData, DigitData, HangupBy, Outcome, Participant, PromptData, RefusedData, RouteAttempt, RouteData,
    RouteDecision, SilentData, TransferData, Transferred,
};
pub use media::{Gap, LegMedia, MediaSummary, PauseData, PausedBy, RecordingData, RecordingState, RecordingSummary};
pub use node::{BanData, CatalogueData, DamageData, FraudData, ProbeData, SiprecData, TrunkData};

use crate::ids::CallId;
use crate::time::Wall;

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
