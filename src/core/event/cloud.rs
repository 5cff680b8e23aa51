//! Event ⇄ CloudEvents 1.0 in JSON: the one form in which events are stored, delivered and shown (CONTRACT §4).
//!
//! Numbers are whole here: the event is the product. Text from outside is escaped by the JSON writer, so an event is
//! always one line.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::keeper::{KeeperEvent, Reads};
use super::work::WorkEvent;
use super::{
    AlarmData, ArchivedData, BanData, Body, CallData, CatalogueData, DamageData, DayClosedData, DayStampedData,
    ErasedData, Event, FraudData, HoldData, PauseData, PlayedData, ProbeData, RecordingData, RefusedData, SilentData,
    SiprecData, Transferred, TrunkData,
};
use crate::core::lease::Lease;
use crate::ids::{CallId, EventId};
use crate::time::Wall;

/// The CloudEvents object as one line of JSON, without the line's end. `source` is the node
/// (`leaseline/<node id>`).
pub fn to_json(event: &Event, id: EventId, source: &str) -> String {
    let object = Object {
        specversion: "1.0",
        id,
        source,
        kind: event.body.kind(),
        time: event.time,
        subject: &event.subject,
        datacontenttype: "application/json",
        data: data(&event.body),
    };
    serde_json::to_string(&object).expect("plain structs with text keys always have a JSON form")
}

/// What stands outside `data`: enough to sort an event without reading it.
#[derive(Clone, Debug, Deserialize)]
pub struct Head<'a> {
    pub id: EventId,
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    pub time: Wall,
    #[serde(borrow, default)]
    pub subject: Cow<'a, str>,
}

/// Why a text is not an event of ours.
#[derive(Debug, thiserror::Error)]
pub enum BadEvent {
    #[error("not a CloudEvents object of ours: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a newer version, or by somebody else.
    #[error("unknown event type")]
    UnknownType,
}

/// Reads what stands outside `data`.
pub fn head(text: &str) -> Result<Head<'_>, BadEvent> {
    Ok(serde_json::from_str(text)?)
}

/// Reads a whole event back.
pub fn from_json(text: &str) -> Result<(EventId, Event), BadEvent> {
    let head = head(text)?;
    let body = match &*head.kind {
        "leaseline.call.started" => Body::CallStarted(read(text)?),
        "leaseline.call.answered" => Body::CallAnswered(read(text)?),
        "leaseline.call.transferred" => Body::CallTransferred(read(text)?),
        "leaseline.media.silent" => Body::MediaSilent(read(text)?),
        "leaseline.call.ended" => Body::CallEnded(read(text)?),
        "leaseline.call.refused" => Body::CallRefused(read(text)?),
        "leaseline.call.crashed" => {
            let Crashed { call_id, panic } = read(text)?;
            Body::CallCrashed { call_id, panic: panic.into_owned() }
        }
        "leaseline.siprec.started" => Body::SiprecStarted(read(text)?),
        "leaseline.siprec.failed" => Body::SiprecFailed(read(text)?),
        "leaseline.recording.sealed" => Body::RecordingSealed(read(text)?),
        "leaseline.recording.recovered" => Body::RecordingRecovered(read(text)?),
        "leaseline.recording.played" => Body::RecordingPlayed(read(text)?),
        "leaseline.recording.erased" => Body::RecordingErased(read(text)?),
        "leaseline.recording.held" => Body::RecordingHeld(read(text)?),
        "leaseline.recording.released" => Body::RecordingReleased(read(text)?),
        "leaseline.recording.archived" => Body::RecordingArchived(read(text)?),
        "leaseline.archive.day_closed" => Body::ArchiveDayClosed(read(text)?),
        "leaseline.archive.day_stamped" => Body::ArchiveDayStamped(read(text)?),
        "leaseline.archive.alarm" => Body::ArchiveAlarm(read(text)?),
        "leaseline.recording.paused" => Body::RecordingPaused(read(text)?),
        "leaseline.recording.resumed" => Body::RecordingResumed(read(text)?),
        "leaseline.fraud.suspected" => Body::FraudSuspected(read(text)?),
        "leaseline.defence.banned" => Body::DefenceBanned(read(text)?),
        "leaseline.catalogue.changed" => Body::CatalogueChanged(read(text)?),
        "leaseline.lease.granted" => Body::LeaseGranted(read(text)?),
        "leaseline.lease.renewed" => Body::LeaseRenewed(read(text)?),
        "leaseline.lease.released" => Body::LeaseReleased(read(text)?),
        "leaseline.lease.expired" => Body::LeaseExpired(read(text)?),
        "leaseline.lease.signal" => {
            let SignalRead { lease, signal } = read(text)?;
            Body::LeaseSignal { lease: lease.into(), signal }
        }
        "leaseline.node.started" => {
            let Started { version } = read(text)?;
            Body::NodeStarted { version: version.into_owned() }
        }
        "leaseline.node.stopped" => Body::NodeStopped,
        "leaseline.trunk.registered" => Body::TrunkRegistered(read(text)?),
        "leaseline.trunk.unregistered" => Body::TrunkUnregistered(read(text)?),
        "leaseline.trunk.up" => Body::TrunkUp(read(text)?),
        "leaseline.trunk.down" => Body::TrunkDown(read(text)?),
        "leaseline.journal.damaged" => Body::JournalDamaged(read(text)?),
        "leaseline.events.dropped" => {
            let Dropped { count } = read(text)?;
            Body::EventsDropped { count }
        }
        kind => match (KeeperEvent::read(kind, Text(text)), WorkEvent::read(kind, Text(text))) {
            (Some(read), _) => Body::Keeper(Box::new(read?)),
            (None, Some(read)) => Body::Work(Box::new(read?)),
            (None, None) => return Err(BadEvent::UnknownType),
        },
    };
    Ok((head.id, Event { time: head.time, subject: head.subject.into_owned(), body }))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    #[derive(Deserialize)]
    struct Outer<T> {
        data: T,
    }
    serde_json::from_str::<Outer<T>>(text).map(|outer| outer.data)
}

/// A text whose `data` is read.
struct Text<'a>(&'a str);

impl<'a> Reads<'a, serde_json::Error> for Text<'a> {
    fn data<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        read(self.0)
    }
}

/// The object, in the order in which a person reads it.
#[derive(Serialize)]
struct Object<'a> {
    specversion: &'static str,
    id: EventId,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    time: Wall,
    /// CloudEvents 1.0 §3.1: when present, not empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Call(&'a CallData),
    Transferred(&'a Transferred),
    Silent(&'a SilentData),
    Refused(&'a RefusedData),
    Crashed(Crashed<'a>),
    Recording(&'a RecordingData),
    Siprec(&'a SiprecData),
    Played(&'a PlayedData),
    Erased(&'a ErasedData),
    Hold(&'a HoldData),
    Archived(&'a ArchivedData),
    DayClosed(&'a DayClosedData),
    DayStamped(&'a DayStampedData),
    Alarm(&'a AlarmData),
    Pause(&'a PauseData),
    Fraud(&'a FraudData),
    Ban(&'a BanData),
    Catalogue(&'a CatalogueData),
    Keeper(&'a KeeperEvent),
    Work(&'a WorkEvent),
    Lease(&'a Lease),
    Signal(SignalWritten<'a>),
    Started(Started<'a>),
    Damage(&'a DamageData),
    Trunk(&'a TrunkData),
    Probe(&'a ProbeData),
    Dropped(Dropped),
    Nothing {},
}

fn data(body: &Body) -> Data<'_> {
    match body {
        Body::CallStarted(call) | Body::CallAnswered(call) | Body::CallEnded(call) => Data::Call(call),
        Body::CallTransferred(transferred) => Data::Transferred(transferred),
        Body::MediaSilent(silent) => Data::Silent(silent),
        Body::CallRefused(refused) => Data::Refused(refused),
        Body::CallCrashed { call_id, panic } => Data::Crashed(Crashed { call_id: *call_id, panic: panic.into() }),
        Body::RecordingSealed(recording) | Body::RecordingRecovered(recording) => Data::Recording(recording),
        Body::SiprecStarted(siprec) | Body::SiprecFailed(siprec) => Data::Siprec(siprec),
        Body::RecordingPlayed(played) => Data::Played(played),
        Body::RecordingErased(erased) => Data::Erased(erased),
        Body::RecordingHeld(hold) | Body::RecordingReleased(hold) => Data::Hold(hold),
        Body::RecordingArchived(archived) => Data::Archived(archived),
        Body::ArchiveDayClosed(day) => Data::DayClosed(day),
        Body::ArchiveDayStamped(day) => Data::DayStamped(day),
        Body::ArchiveAlarm(alarm) => Data::Alarm(alarm),
        Body::RecordingPaused(pause) | Body::RecordingResumed(pause) => Data::Pause(pause),
        Body::FraudSuspected(fraud) => Data::Fraud(fraud),
        Body::DefenceBanned(ban) => Data::Ban(ban),
        Body::CatalogueChanged(change) => Data::Catalogue(change),
        Body::Keeper(event) => Data::Keeper(event),
        Body::Work(event) => Data::Work(event),
        Body::LeaseGranted(lease)
        | Body::LeaseRenewed(lease)
        | Body::LeaseReleased(lease)
        | Body::LeaseExpired(lease) => Data::Lease(lease),
        Body::LeaseSignal { lease, signal } => Data::Signal(SignalWritten { lease, signal }),
        Body::NodeStarted { version } => Data::Started(Started { version: version.into() }),
        Body::NodeStopped => Data::Nothing {},
        Body::TrunkRegistered(trunk) | Body::TrunkUnregistered(trunk) => Data::Trunk(trunk),
        Body::TrunkUp(probe) | Body::TrunkDown(probe) => Data::Probe(probe),
        Body::JournalDamaged(damage) => Data::Damage(damage),
        Body::EventsDropped { count } => Data::Dropped(Dropped { count: *count }),
    }
}

#[derive(Serialize, Deserialize)]
struct Crashed<'a> {
    call_id: CallId,
    panic: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Started<'a> {
    version: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Dropped {
    count: u64,
}

#[derive(Serialize)]
struct SignalWritten<'a> {
    #[serde(flatten)]
    lease: &'a Lease,
    signal: &'a str,
}

#[derive(Deserialize)]
struct SignalRead {
    #[serde(flatten)]
    lease: Lease,
    signal: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::event::{
        Attribution, AttributionKind, Candidate, DigitData, Gap, HangupBy, LegMedia, MediaSummary, Outcome, PausedBy,
        PromptData, RecordingState, RecordingSummary, RouteAttempt, RouteData, RouteDecision, Session, TransferData,
    };
    use crate::core::identity::Diversion;
    use crate::core::stir::StirData;
    use crate::ids::{E164, LeaseId};

    /// A call as its first event tells it. Other modules' tests build on it.
    pub(crate) fn call(n: u128) -> CallData {
        let number = E164::parse("+442079460007").unwrap();
        CallData {
            company: "acme".into(),
            pool: "acme-web".into(),
            caller: Some("+442079460123".into()),
            trunk: "carrier".into(),
            ..CallData::new(CallId(n), number, Attribution::default(), Wall(1_790_000_000_000_000))
        }
    }

    pub(crate) fn started(n: u128) -> Event {
        event(n, Body::CallStarted(Box::new(call(n))))
    }

    pub(crate) fn ended(n: u128, outcome: Outcome) -> Event {
        event(n, Body::CallEnded(Box::new(CallData { outcome: Some(outcome), ..call(n) })))
    }

    pub(crate) fn event(n: u128, body: Body) -> Event {
        Event { time: Wall(1_790_000_001_000_000), subject: CallId(n).to_string(), body }
    }

    fn lease() -> Arc<Lease> {
        Arc::new(Lease {
            lease_id: LeaseId(7),
            number: E164::parse("+442079460001").unwrap(),
            company: "acme".into(),
            site: "acme-site".into(),
            pool: "acme-web".into(),
            visitor_id: "v1".into(),
            session: Arc::new(Session { referrer: Some("https://search.example/".into()), ..Session::default() }),
            granted_at: Wall(1_000),
            seen_at: Wall(2_000),
            expires_at: Wall(3_000),
            released_at: None,
            hold_until: Wall(4_000),
            shared: false,
            class: crate::core::lease::Class::Free,
            page: crate::core::lease::Page::default(),
        })
    }

    /// A call with everything that an event can say of one.
    pub(crate) fn full_call(n: u128) -> CallData {
        let text = || Some("text".to_owned());
        let at = Some(Wall(1_790_000_000_000_000));
        let map = || std::collections::BTreeMap::from([("source".to_owned(), "google".to_owned())]);
        let session = Session {
            landing_page: text(),
            referrer: text(),
            utm: map(),
            click_ids: map(),
            client_ids: map(),
            client: map(),
            clicked_at: at,
        };
        let leg = LegMedia { mos: Some(4.4), refused: [("not_rtp".to_owned(), 1)].into(), ..LegMedia::default() };
        let decision = RouteDecision { verdict: "default".into(), reason: Some("decision_late".into()), ms: 800 };
        CallData {
            caller_reason: text(),
            caller_name: text(),
            caller_note: text(),
            privacy: text(),
            diversion: vec![Diversion { number: text(), reason: "unconditional".into(), counter: 1, limit: None }],
            forwarded_to: text(),
            ringing_at: at,
            answered_at: at,
            ended_at: at,
            outcome: Some(Outcome::Answered),
            sip_status: Some(200),
            reason: text(),
            hangup_by: Some(HangupBy::Caller),
            q850_cause: Some(16),
            sip_reason: text(),
            stir: Some(StirData {
                verstat: "TN-Validation-Passed".into(),
                attest: Some("A".into()),
                origid: text(),
                authority: vec!["spc:1234".into()],
                diverted_from: vec!["+442079460001".into()],
                code: "verified".into(),
            }),
            attribution: Attribution {
                kind: AttributionKind::Visitor,
                method: "active_lease".into(),
                confidence: 0.98,
                lease_id: Some(LeaseId(7)),
                visitor_id: text(),
                session: Some(Arc::new(session)),
                channel: Some(Arc::new(map())),
                stale: true,
                model: "built-in-1".into(),
                nobody: 0.01,
                contention: 1,
                caller_region: None,
                sources: Vec::new(),
                candidates: vec![Candidate {
                    visitor_id: "v1".into(),
                    probability: 0.98,
                    evidence: vec!["on the page".into()],
                }],
            },
            transfers: vec![transfer()],
            prompts: vec![PromptData {
                kind: "whisper".into(),
                to: crate::ids::Side::Company,
                file: "kitchens.wav".into(),
                sha256: text(),
                from: Wall(1_790_000_000_000_000),
                until: Wall(1_790_000_002_000_000),
            }],
            dtmf: vec![DigitData { side: crate::ids::Side::Caller, digit: Some("5".into()), at_ms: 1, for_ms: 2 }],
            recording: Some(RecordingSummary {
                state: RecordingState::Degraded,
                reason: text(),
                path: text(),
                sha256: text(),
                original_sha256: text(),
                gaps: vec![Gap {
                    channel: crate::ids::Side::Caller,
                    at_ms: 1,
                    for_ms: 2,
                    cause: "loss".into(),
                    concealed: false,
                }],
                ..RecordingSummary::default()
            }),
            media: Some(MediaSummary { codec: text(), caller: leg.clone(), company: leg, fax: true }),
            route: Some(Box::new(RouteData {
                hours: Some("open".into()),
                rule: text(),
                decided_by: "webhook".into(),
                strategy: "parallel".into(),
                decision: Some(decision),
                attempts: vec![RouteAttempt { destination: "desk".into(), status: 200, ring_ms: 5, redirected: true }],
            })),
            ..call(n)
        }
    }

    fn transfer() -> TransferData {
        TransferData {
            at: Wall(1_790_000_000_000_000),
            from: "sip:a@b".into(),
            to: "sip:c@d".into(),
            kind: "blind".into(),
        }
    }

    fn siprec(reason: Option<&str>) -> SiprecData {
        SiprecData {
            call_id: CallId(1),
            recorder: "archive".into(),
            place: Some("sip:srs@192.0.2.60".into()),
            reason: reason.map(str::to_owned),
            sip_status: reason.map(|_| 503),
            again_in_ms: reason.map(|_| 5_000),
        }
    }

    pub(crate) fn every_body() -> Vec<Body> {
        let keeper = crate::core::event::keeper::every().into_iter().map(|event| Body::Keeper(Box::new(event)));
        let mut bodies = vec![
            Body::CallEnded(Box::new(full_call(1))),
            Body::CallTransferred(Transferred { call_id: CallId(1), transfer: transfer() }),
            Body::MediaSilent(SilentData { call_id: CallId(1), side: "caller".into(), silent_ms: 20_000 }),
            Body::TrunkUnregistered(TrunkData {
                trunk: "carrier".into(),
                registrar: "sip:carrier.example".into(),
                reason: Some("login_refused".into()),
                expires_at: None,
            }),
            Body::CallStarted(Box::new(call(1))),
            Body::CallAnswered(Box::new(call(1))),
            Body::CallEnded(Box::new(CallData { outcome: Some(Outcome::Busy), ..call(1) })),
            Body::CallRefused(RefusedData {
                trunk: "carrier".into(),
                number: "12".into(),
                sip_status: 404,
                reason: "unknown_number".into(),
            }),
            Body::CallCrashed { call_id: CallId(1), panic: "index out of bounds".into() },
            Body::RecordingSealed(RecordingData {
                call_id: CallId(1),
                recording: RecordingSummary { state: RecordingState::Complete, ..RecordingSummary::default() },
            }),
            Body::RecordingRecovered(RecordingData {
                call_id: CallId(1),
                recording: RecordingSummary { encoding: Some("alaw".into()), ..RecordingSummary::default() },
            }),
            Body::SiprecStarted(siprec(None)),
            Body::SiprecFailed(siprec(Some("recorder_refused"))),
            Body::RecordingPlayed(PlayedData {
                call_id: CallId(1),
                by: "anna".into(),
                address: "198.18.0.1".into(),
                reason: Some("complaint".into()),
                download: true,
            }),
            Body::RecordingErased(ErasedData {
                call_id: CallId(1),
                erased_at: Wall(1_790_000_600_000_000),
                by: "retention".into(),
                why: "rule short".into(),
                file: Some("a.wav".into()),
                sha256: Some("00".into()),
            }),
            Body::RecordingHeld(HoldData { call_id: CallId(1), by: "anna".into(), why: "case 7".into() }),
            Body::RecordingReleased(HoldData { call_id: CallId(1), by: "anna".into(), why: String::new() }),
            Body::RecordingArchived(ArchivedData {
                call_id: CallId(1),
                archive: "flac".into(),
                path: "recordings/a.flac".into(),
                size: 9,
                sha256: "00".into(),
                original_sha256: "11".into(),
            }),
            Body::ArchiveDayStamped(DayStampedData {
                day: "2026-11-21".into(),
                at: Wall(1_795_255_200_000_000),
                by: "CN=TSA".into(),
                serial: "01".into(),
                trusted: true,
            }),
            Body::ArchiveDayClosed(DayClosedData {
                day: "2026-11-21".into(),
                records: 3,
                root: "00".into(),
                key: "AAAA".into(),
            }),
            Body::ArchiveAlarm(AlarmData { code: "clock_jumped".into(), detail: "by 9 s".into() }),
            Body::RecordingPaused(PauseData { call_id: CallId(1), at_ms: 1_000, by: PausedBy::Api }),
            Body::RecordingResumed(PauseData { call_id: CallId(1), at_ms: 2_000, by: PausedBy::CompanyKeys }),
            Body::FraudSuspected(FraudData {
                kind: "minutes_spent".into(),
                company: Some("acme".into()),
                trunk: "carrier".into(),
                number: "+442079460500".into(),
                refused: 3,
            }),
            Body::CatalogueChanged(CatalogueData {
                version: 8,
                by: "ann".into(),
                note: Some("spring".into()),
                rolled_back_to: Some(3),
                changes: vec!["pool web: priority: 0 → 5".into()],
            }),
            Body::DefenceBanned(BanData {
                address: "198.18.0.1".parse().unwrap(),
                reason: "scanner".into(),
                until: Wall(1_790_000_600_000_000),
                messages: 12,
            }),
            Body::LeaseGranted(lease()),
            Body::LeaseRenewed(lease()),
            Body::LeaseReleased(lease()),
            Body::LeaseExpired(lease()),
            Body::LeaseSignal { lease: lease(), signal: "tel_tap".into() },
            Body::NodeStarted { version: "0.1.0".into() },
            Body::NodeStopped,
            Body::JournalDamaged(DamageData {
                file: "00000000000000000001.jsonl".into(),
                offset: 10,
                problem: "hash_differs".into(),
                last_good_seq: 3,
                last_good_hash: "00".into(),
            }),
            Body::EventsDropped { count: 3 },
            Body::TrunkUp(ProbeData { trunk: "carrier".into(), state: "up".into(), reason: None }),
            Body::TrunkDown(ProbeData {
                trunk: "carrier".into(),
                state: "degraded".into(),
                reason: Some("unavailable".into()),
            }),
            Body::TrunkRegistered(TrunkData {
                trunk: "carrier".into(),
                registrar: "sip:carrier.example".into(),
                reason: None,
                expires_at: Some(Wall(1_000)),
            }),
        ];
        bodies.extend(keeper);
        bodies.extend(crate::core::event::work::every().into_iter().map(|event| Body::Work(Box::new(event))));
        bodies
    }

    #[test]
    fn every_kind_of_event_survives_the_trip() {
        for body in every_body() {
            let event = event(1, body);
            let text = to_json(&event, EventId(9), "leaseline/edge-1");
            let (id, back) = from_json(&text).unwrap_or_else(|bad| panic!("{bad}: {text}"));
            assert_eq!((id, &back), (EventId(9), &event), "{text}");
            assert_eq!(head(&text).unwrap().kind, event.body.kind());
        }
    }

    #[test]
    fn the_object_is_a_cloud_event() {
        let text = to_json(&event(1, Body::NodeStopped), EventId(9), "leaseline/edge-1");
        assert_eq!(
            text,
            concat!(
                r#"{"specversion":"1.0","id":"00000000000000000000000000000009","source":"leaseline/edge-1","#,
                r#""type":"leaseline.node.stopped","time":"2026-09-21T14:13:21.000Z","#,
                r#""subject":"00000000000000000000000000000001","datacontenttype":"application/json","data":{}}"#
            )
        );
    }

    #[test]
    fn hostile_text_stays_inside_its_string() {
        let hostile = "\r\n\"},{\"type\":\"leaseline.call.ended\"\u{1b}[2J%n\0\u{2028}\\";
        let mut data = call(1);
        data.caller = Some(hostile.into());
        data.attribution.method = hostile.into();
        let event = Event { subject: hostile.into(), ..event(1, Body::CallStarted(Box::new(data))) };
        let text = to_json(&event, EventId(9), "leaseline/edge-1");
        assert!(!text.bytes().any(|b| b < 0x20), "{text}");
        assert_eq!(from_json(&text).unwrap().1, event);
        assert_eq!(head(&text).unwrap().kind, "leaseline.call.started");
    }

    #[test]
    fn what_is_not_ours_is_told_apart() {
        assert!(matches!(from_json("{}"), Err(BadEvent::Json(_))));
        let other = to_json(&event(1, Body::NodeStopped), EventId(9), "x").replace("node.stopped", "node.melted");
        assert!(matches!(from_json(&other), Err(BadEvent::UnknownType)));
    }
}
