//! One call that a PBX tells of. Its stages come in any order, more than once, or never.

use std::sync::Arc;

use crate::config::{Ear, EarKind};
use crate::core::event::{Body, CallData, HangupBy, Outcome, RecordingSummary};
use crate::limits;
use crate::time::{Mono, Now, Wall};

use super::{Report, Stage, outcome_of};

/// See the module.
#[derive(Clone, Debug)]
pub struct Told {
    data: CallData,
    ear: Arc<Ear>,
    /// SIP Call-ID of the PBX's leg, if it told one.
    sip_call_id: Option<String>,
    /// The last moment of which we know that the call went on.
    seen: Wall,
    end: Option<End>,
    /// When it is over without another word.
    due: Mono,
}

#[derive(Clone, Debug)]
struct End {
    at: Wall,
    cause: Option<u16>,
    outcome: Option<Outcome>,
    by: Option<HangupBy>,
    reason: &'static str,
}

impl Told {
    /// A call that came in. `data`: as of `call.started`.
    pub fn new(now: Now, ear: &Arc<Ear>, data: CallData, sip_call_id: Option<String>) -> Told {
        let due = now.mono + limits::HEARD_RING;
        Told { data, ear: Arc::clone(ear), sip_call_id, seen: now.wall, end: None, due }
    }

    /// One that an earlier run was told of, as its journal has it.
    pub fn restored(now: Now, ear: &Arc<Ear>, data: CallData, seen: Wall, longest: std::time::Duration) -> Told {
        let seen = seen.max(data.answered_at.unwrap_or(data.started_at));
        let limit = if data.answered_at.is_some() { longest } else { limits::HEARD_RING };
        let gone = std::time::Duration::from_millis(now.wall.millis_since(data.started_at));
        let due = now.mono + limit.saturating_sub(gone);
        Told { data, ear: Arc::clone(ear), sip_call_id: None, seen, end: None, due }
    }

    pub fn data(&self) -> &CallData {
        &self.data
    }

    pub fn ear(&self) -> &Arc<Ear> {
        &self.ear
    }

    pub fn sip_call_id(&self) -> Option<&str> {
        self.sip_call_id.as_deref()
    }

    pub fn state(&self) -> &'static str {
        match (&self.end, self.data.answered_at, self.data.ringing_at) {
            (Some(_), ..) => "ended",
            (None, Some(_), _) => "answered",
            (None, None, Some(_)) => "ringing",
            (None, None, None) => "offered",
        }
    }

    /// When to call [`Told::on_timeout`].
    pub fn due(&self) -> Mono {
        self.due
    }

    /// Its PBX was heard: it goes on.
    pub fn lives(&mut self, now: Now) {
        self.seen = self.seen.max(now.wall);
    }

    /// Another stage, or one that is known already. Times lie between the call's beginning and now, whatever the PBX's
    /// clock says. Gives what the world is to be told.
    pub fn take(&mut self, now: Now, report: &Report, longest: std::time::Duration) -> Vec<Body> {
        let latest = self.end.as_ref().map_or(now.wall, |end| end.at.max(self.data.started_at));
        let at = report.at.unwrap_or(now.wall).min(now.wall).max(self.data.started_at);
        self.seen = self.seen.max(now.wall);
        let mut out = Vec::new();
        match report.stage {
            Stage::Offered => {
                self.sip_call_id = self.sip_call_id.take().or_else(|| report.sip_call_id.clone());
            }
            Stage::Ringing => {
                let before = self.data.answered_at.unwrap_or(latest);
                if self.data.ringing_at.is_none() && at <= before {
                    self.data.ringing_at = Some(at);
                    self.count();
                }
            }
            Stage::Answered if self.data.answered_at.is_none() => {
                let at = at.min(latest);
                self.data.answered_at = Some(at);
                self.data.ringing_at = self.data.ringing_at.filter(|ringing| *ringing <= at);
                if let Some(by) = &report.by {
                    self.data.forwarded_to = Some(by.clone());
                }
                self.count();
                if self.end.is_none() {
                    self.due = now.mono + longest;
                }
                out.push(Body::CallAnswered(Box::new(self.data.clone())));
            }
            Stage::Answered => {}
            Stage::Ended => self.on_end(now, at, report),
        }
        if self.data.forwarded_to.is_none() {
            self.data.forwarded_to.clone_from(&report.by);
        }
        out
    }

    fn on_end(&mut self, now: Now, at: Wall, report: &Report) {
        if self.end.is_some() {
            return;
        }
        let at = at.max(self.data.answered_at.unwrap_or(at));
        let (cause, outcome, by) = (report.cause, report.outcome, report.hangup_by);
        self.end = Some(End { at, cause, outcome, by, reason: "pbx_hangup" });
        // A link tells in order; requests overtake each other.
        let settle = if self.ear.kind == EarKind::Http { limits::HEARD_SETTLE } else { std::time::Duration::ZERO };
        self.due = now.mono + settle;
    }

    /// It is over by now, and nobody heard it end: the last moment that it was known to go on is the end of what is
    /// counted.
    pub fn end_unheard(&mut self, now: Now) {
        if self.end.is_none() {
            let at = self.seen.max(self.data.answered_at.unwrap_or(self.data.started_at));
            self.end = Some(End { at, cause: None, outcome: None, by: None, reason: "ended_unheard" });
        }
        self.due = now.mono;
    }

    /// At [`Told::due`]: the end, for the world.
    pub fn on_timeout(mut self, now: Now) -> Body {
        self.end_unheard(now);
        self.count();
        let Told { mut data, end, .. } = self;
        if let Some(end) = end {
            let answered = data.answered_at.is_some();
            let heard = end.reason == "pbx_hangup";
            let unanswered = end.outcome.filter(|outcome| *outcome != Outcome::Answered);
            data.outcome = Some(match unanswered {
                _ if answered => Outcome::Answered,
                Some(outcome) => outcome,
                None if heard => outcome_of(end.cause),
                None => Outcome::NoAnswer,
            });
            data.hangup_by = end.by.or(match data.outcome {
                Some(Outcome::Cancelled) => Some(HangupBy::Caller),
                Some(Outcome::Busy | Outcome::Rejected) => Some(HangupBy::Company),
                _ if heard => None,
                _ => Some(HangupBy::System),
            });
            data.ended_at = Some(end.at);
            data.q850_cause = end.cause;
            data.reason = Some(end.reason.to_owned());
        }
        data.recording = Some(RecordingSummary::default());
        Body::CallEnded(Box::new(data))
    }

    /// Ring and talk, from the times.
    fn count(&mut self) {
        let data = &mut self.data;
        let end = self.end.as_ref().map(|end| end.at);
        let ring_until = data.answered_at.or(end);
        let ring_from = data.ringing_at.unwrap_or(data.started_at);
        data.ring_ms = ring_until.map_or(0, |until| until.millis_since(ring_from));
        data.talk_ms = match (data.answered_at, end) {
            (Some(answered), Some(end)) => end.millis_since(answered),
            _ => 0,
        };
    }
}
