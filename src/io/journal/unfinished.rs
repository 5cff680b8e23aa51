//! Calls that began and never ended: what a crash leaves behind in the journal.

use std::collections::BTreeMap;

use super::RecordView;
use crate::core::event::{Body, CallData, Event, HangupBy, Outcome};
use crate::ids::CallId;
use crate::limits;
use crate::time::Wall;

/// Collects, record by record, the calls that have no `call.ended`. Give it a whole replay.
#[derive(Debug, Default)]
pub struct Unfinished {
    calls: BTreeMap<CallId, CallData>,
    /// The last moment of which we know that the daemon was alive.
    last_seen: Wall,
}

impl Unfinished {
    pub fn observe(&mut self, record: &RecordView<'_>) {
        let Ok(head) = record.head() else { return };
        self.last_seen = self.last_seen.max(head.time);
        match &*head.kind {
            // By subject, not by content: an end that a later version cannot read is an end all the same.
            "leaseline.call.ended" => drop(head.subject.parse().map(|call: CallId| self.calls.remove(&call))),
            "leaseline.call.started" | "leaseline.call.answered" | "leaseline.recording.sealed" => {
                let Ok((_, event)) = record.event() else { return };
                self.change(event.body);
            }
            _ => {}
        }
    }

    /// The calls as last told, oldest first, and the time of the newest record.
    pub fn finish(self) -> (Vec<CallData>, Wall) {
        (self.calls.into_values().collect(), self.last_seen)
    }

    fn change(&mut self, body: Body) {
        match body {
            Body::CallStarted(call) | Body::CallAnswered(call) if self.has_room(call.call_id) => {
                self.calls.insert(call.call_id, *call);
            }
            Body::RecordingSealed(sealed) => {
                if let Some(call) = self.calls.get_mut(&sealed.call_id) {
                    call.recording = Some(sealed.recording);
                }
            }
            _ => {}
        }
    }

    /// As many as there can be in progress; more are left-overs of a damaged journal.
    fn has_room(&self, call: CallId) -> bool {
        self.calls.len() < limits::CALLS || self.calls.contains_key(&call)
    }
}

/// The `call.ended` of a call that a crash cut off, to be appended at `now`. `last_seen` is the newest record's time:
/// the call lasted at least until then, or until its own last event. Set `recording` first when it could be repaired.
pub fn lost_in_crash(call: CallData, last_seen: Wall, now: Wall) -> Event {
    let told = call.answered_at.or(call.ringing_at).unwrap_or(call.started_at);
    let ended_at = last_seen.max(told);
    let ring_until = call.answered_at.unwrap_or(ended_at);
    let data = CallData {
        ended_at: Some(ended_at),
        ring_ms: call.ringing_at.map_or(call.ring_ms, |ringing| ring_until.millis_since(ringing)),
        talk_ms: call.answered_at.map_or(0, |answered| ended_at.millis_since(answered)),
        outcome: Some(Outcome::LostInCrash),
        reason: Some("lost_in_crash".into()),
        hangup_by: Some(HangupBy::System),
        ..call
    };
    Event { time: now, subject: data.call_id.to_string(), body: Body::CallEnded(Box::new(data)) }
}
