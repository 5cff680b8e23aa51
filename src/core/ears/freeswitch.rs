//! What FreeSWITCH's events say of calls. A call is its caller's channel, whose `Call-Direction` is `inbound`.
//!
//! It comes in with `CHANNEL_CREATE`; it rings with `CHANNEL_PROGRESS` (or `CHANNEL_PROGRESS_MEDIA`) of a channel that was
//! made for it (`Other-Leg-Unique-ID`); it is answered when it is bridged (`CHANNEL_BRIDGE`) or such a channel is answered,
//! or, where that is configured, with its own `CHANNEL_ANSWER`; it ends with `CHANNEL_HANGUP_COMPLETE`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::config::{AnsweredWhen, Ear};
use crate::core::event::{HangupBy, Outcome};
use crate::limits;
use crate::time::Wall;

use super::esl::{Frame, Reader, order};
use super::link::{Dialect, Word};
use super::{Report, Stage, is_dialable, said};

/// What is asked for.
const EVENTS: &str = "event json CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_BRIDGE \
     CHANNEL_HANGUP_COMPLETE HEARTBEAT";

/// A conversation with one FreeSWITCH.
#[derive(Debug)]
pub struct FreeSwitch {
    ear: Arc<Ear>,
    reader: Reader,
    step: Step,
    /// Calls that are followed, and whether they are answered.
    calls: HashMap<String, bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is to ask who we are.
    Greeting,
    LoggingIn,
    Subscribing,
    /// The list of channels is coming.
    Listing,
    Ready,
}

impl FreeSwitch {
    pub fn new(ear: Arc<Ear>) -> FreeSwitch {
        FreeSwitch { ear, reader: Reader::default(), step: Step::Greeting, calls: HashMap::new() }
    }

    fn on_frame(&mut self, now: Wall, frame: &Frame, out: &mut Vec<Word>) -> Result<(), &'static str> {
        let is_good = frame.get("Reply-Text").is_some_and(|text| text.starts_with("+OK"));
        match (self.step, frame.kind()) {
            (Step::Greeting, "auth/request") => {
                let secret = self.ear.secret.as_ref().map_or("", |secret| &secret.0);
                out.push(Word::Send(order(&format!("auth {secret}"))));
                self.step = Step::LoggingIn;
            }
            // Its list of addresses does not have ours.
            (_, "text/rude-rejection") => return Err("login_refused"),
            (Step::Greeting, _) => return Err("not_freeswitch"),
            (Step::LoggingIn, "command/reply") if is_good => {
                out.push(Word::Send(order(EVENTS)));
                self.step = Step::Subscribing;
            }
            (Step::LoggingIn, "command/reply") => return Err("login_refused"),
            (Step::Subscribing, "command/reply") if is_good => {
                out.push(Word::Ready);
                out.push(Word::Send(order("api show channels as json")));
                self.step = Step::Listing;
            }
            (Step::Subscribing, "command/reply") => return Err("login_refused"),
            (Step::Listing, "api/response") => {
                self.step = Step::Ready;
                self.on_list(now, &frame.body, out);
            }
            (Step::Listing | Step::Ready, "text/event-json") => {
                if let Ok(Value::Object(event)) = serde_json::from_slice(&frame.body) {
                    self.on_event(&Value::Object(event), out);
                }
            }
            (_, "text/disconnect-notice") => return Err("pbx_stopped"),
            _ => {}
        }
        Ok(())
    }

    fn on_event(&mut self, event: &Value, out: &mut Vec<Word>) {
        let Some(id) = text(event, "Unique-ID").filter(|id| !id.is_empty()) else { return };
        let other = text(event, "Other-Leg-Unique-ID").filter(|other| self.calls.contains_key(*other));
        match text(event, "Event-Name").unwrap_or_default() {
            "CHANNEL_CREATE" => self.on_create(id, event, out),
            "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA" => {
                if let Some(call) = other.filter(|call| self.calls.get(*call) == Some(&false)) {
                    let report = Report { by: party(event), ..Report::new(&self.ear, call, Stage::Ringing) };
                    out.push(Word::Report(Box::new(report)));
                }
            }
            "CHANNEL_ANSWER" => match other {
                Some(call) => self.answer(call, party(event), out),
                None if self.ear.answered == AnsweredWhen::PickedUp => self.answer(id, None, out),
                None => {}
            },
            "CHANNEL_BRIDGE" => {
                let first = text(event, "Bridge-A-Unique-ID").unwrap_or(id);
                let callee = text(event, "Other-Leg-Channel-Name").filter(|_| first == id);
                self.answer(first, callee.and_then(short), out);
            }
            "CHANNEL_HANGUP_COMPLETE" => self.on_hangup(id, event, out),
            _ => {}
        }
    }

    fn on_create(&mut self, id: &str, event: &Value, out: &mut Vec<Word>) {
        let is_inbound = text(event, "Call-Direction") == Some("inbound");
        let context = text(event, "Caller-Context").unwrap_or_default();
        let channel = text(event, "Channel-Name").or(text(event, "Caller-Channel-Name")).unwrap_or_default();
        if is_inbound && self.ear.takes_channel(context, channel) && self.calls.len() < limits::EAR_CHANNELS {
            self.calls.insert(id.to_owned(), false);
            let report = Report {
                called: text(event, "Caller-Destination-Number")
                    .filter(|called| is_dialable(called))
                    .map(str::to_owned),
                caller: said(text(event, "Caller-Caller-ID-Number")),
                caller_name: said(text(event, "Caller-Caller-ID-Name")),
                sip_call_id: said(text(event, "variable_sip_call_id")),
                ..Report::new(&self.ear, id, Stage::Offered)
            };
            out.push(Word::Report(Box::new(report)));
        }
    }

    fn answer(&mut self, id: &str, by: Option<String>, out: &mut Vec<Word>) {
        if let Some(answered) = self.calls.get_mut(id)
            && !std::mem::replace(answered, true)
        {
            out.push(Word::Report(Box::new(Report { by, ..Report::new(&self.ear, id, Stage::Answered) })));
        }
    }

    fn on_hangup(&mut self, id: &str, event: &Value, out: &mut Vec<Word>) {
        if self.calls.remove(id).is_none() {
            return;
        }
        let by = match text(event, "variable_sip_hangup_disposition").unwrap_or_default() {
            "recv_bye" | "recv_cancel" => Some(HangupBy::Caller),
            "send_bye" | "send_cancel" | "send_refuse" => Some(HangupBy::Company),
            _ => None,
        };
        let is_mailbox = text(event, "variable_current_application") == Some("voicemail");
        let report = Report {
            cause: text(event, "variable_hangup_cause_q850").and_then(|cause| cause.parse().ok()),
            outcome: if is_mailbox { Some(Outcome::Voicemail) } else { outcome(text(event, "Hangup-Cause")) },
            hangup_by: by,
            ..Report::new(&self.ear, id, Stage::Ended)
        };
        out.push(Word::Report(Box::new(report)));
    }

    /// All channels there are. Calls that came in are followed, whatever number they have by now.
    fn on_list(&mut self, now: Wall, body: &[u8], out: &mut Vec<Word>) {
        // A list that cannot be read ends nobody's call.
        let Ok(list) = serde_json::from_slice::<Value>(body) else { return };
        let rows = list.get("rows").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let whole = list.get("row_count").and_then(Value::as_u64).is_some_and(|count| count == rows.len() as u64);
        let mut alive: HashSet<String> = self.calls.keys().cloned().collect();
        for row in rows.iter().take(limits::EAR_CHANNELS) {
            let Some(id) = text(row, "uuid") else { continue };
            alive.insert(id.to_owned());
            let context = text(row, "context").unwrap_or_default();
            let takes = self.ear.takes_channel(context, text(row, "name").unwrap_or_default());
            if text(row, "direction") != Some("inbound") || !takes || self.calls.contains_key(id) {
                continue;
            }
            self.calls.insert(id.to_owned(), false);
            let began = text(row, "created_epoch").and_then(|at| at.parse::<i64>().ok()).filter(|at| *at > 0);
            let since = began.map(|at| Wall(at.saturating_mul(1_000_000)).min(now));
            let report = Report {
                called: text(row, "dest").filter(|called| is_dialable(called)).map(str::to_owned),
                caller: said(text(row, "cid_num")),
                caller_name: said(text(row, "cid_name")),
                at: since.map(|since| now - Duration::from_millis(now.millis_since(since))),
                ..Report::new(&self.ear, id, Stage::Offered)
            };
            out.push(Word::Report(Box::new(report)));
            let is_joined = text(row, "callstate") == Some("ACTIVE") && text(row, "application") == Some("bridge");
            let is_up = text(row, "callstate") == Some("ACTIVE") && self.ear.answered == AnsweredWhen::PickedUp;
            if is_joined || is_up {
                self.answer(id, None, out);
            }
        }
        if whole {
            out.push(Word::Synced(alive));
        }
    }
}

impl Dialect for FreeSwitch {
    /// It speaks first.
    fn begin(&mut self, _out: &mut Vec<Word>) {}

    fn take(&mut self, now: Wall, bytes: &[u8], out: &mut Vec<Word>) -> Result<(), &'static str> {
        let mut frames = Vec::new();
        self.reader.take(bytes, &mut frames);
        frames.iter().try_for_each(|frame| self.on_frame(now, frame, out))
    }

    fn ping(&self, out: &mut Vec<Word>) {
        out.push(Word::Send(order("api uptime")));
    }
}

fn text<'v>(event: &'v Value, name: &str) -> Option<&'v str> {
    event.get(name).and_then(Value::as_str)
}

/// Who was called for it.
fn party(event: &Value) -> Option<String> {
    text(event, "Channel-Name").or(text(event, "Caller-Channel-Name")).and_then(short)
}

/// `sofia/internal/1001@192.0.2.9` → `1001`.
fn short(channel: &str) -> Option<String> {
    let user = channel.rsplit('/').next().unwrap_or(channel);
    said(Some(user.split('@').next().unwrap_or(user)))
}

/// What became of a call that nobody answered.
fn outcome(cause: Option<&str>) -> Option<Outcome> {
    Some(match cause? {
        "USER_BUSY" => Outcome::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" => Outcome::NoAnswer,
        "ORIGINATOR_CANCEL" | "NORMAL_CLEARING" => Outcome::Cancelled,
        "CALL_REJECTED" => Outcome::Rejected,
        _ => Outcome::Failed,
    })
}

#[cfg(test)]
mod tests;
