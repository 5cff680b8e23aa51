//! What Asterisk's events say of calls. A call is its caller's channel: the one whose `Uniqueid` is its `Linkedid`.
//!
//! It comes in with `Newchannel`, or with the first `Newexten` that has a number where it came in without one. A channel
//! that is dialled for it and rings makes it ring (`Newstate`, `DialState`). It is answered when somebody that was dialled
//! answers (`DialEnd`), or when it is in a bridge with another (`BridgeEnter`: queues); where that is configured, as soon
//! as its own channel is up. It ends with `Hangup`; who asked for that (`HangupRequest`) has hung up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{AnsweredWhen, Ear};
use crate::core::event::{HangupBy, Outcome};
use crate::limits;
use crate::time::Wall;

use super::ami::{Message, Reader, key, order};
use super::link::{Dialect, Word};
use super::{Report, Stage, is_dialable, said};

/// The variable in which the SIP Call-ID may come, where `channelvars` of `manager.conf` has it. chan_sip sets it by itself;
/// with PJSIP the dialplan does. A function there (`CHANNEL(pjsip,call-id)`) would stop Asterisk 16 at its second call: PJSIP
/// asks its own thread for it, and waits.
const SIP_CALL_ID: [&str; 1] = ["SIPCALLID"];

/// A conversation with one Asterisk.
#[derive(Debug)]
pub struct Asterisk {
    ear: Arc<Ear>,
    reader: Reader,
    step: Step,
    calls: HashMap<String, Followed>,
    /// The list of channels that is coming.
    listed: Option<HashSet<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Challenged,
    LoggingIn,
    Ready,
}

/// A channel by which a call came in.
#[derive(Clone, Debug, Default)]
struct Followed {
    /// It was reported with its number.
    is_offered: bool,
    /// Further extensions that are looked at for a number.
    steps: u8,
    is_answered: bool,
    /// How the last attempt to dial somebody ended.
    dialled: Option<Outcome>,
    by: Option<HangupBy>,
    caller: Option<String>,
    caller_name: Option<String>,
    sip_call_id: Option<String>,
}

impl Asterisk {
    pub fn new(ear: Arc<Ear>) -> Asterisk {
        Asterisk { ear, reader: Reader::default(), step: Step::Challenged, calls: HashMap::new(), listed: None }
    }

    fn on_message(&mut self, now: Wall, message: &Message, out: &mut Vec<Word>) -> Result<(), &'static str> {
        if self.step != Step::Ready {
            return self.on_login(message, out);
        }
        let Some(event) = message.get("Event") else { return Ok(()) };
        match event.to_ascii_lowercase().as_str() {
            "newchannel" => self.on_channel(message, out),
            "newexten" => self.on_exten(message, out),
            "newstate" => self.on_state(message, out),
            "dialstate" if is(message, "DialStatus", "RINGING") => self.rings(message, "DestChannel", out),
            "dialend" => self.on_dial_end(message, out),
            "bridgeenter" => self.on_bridge(message, out),
            "hanguprequest" | "softhanguprequest" => self.on_hangup_request(message),
            "hangup" => self.on_hangup(message, out),
            "coreshowchannel" => self.on_listed(now, message, out),
            "coreshowchannelscomplete" => self.on_list_end(out),
            "shutdown" => return Err("pbx_stopped"),
            _ => {}
        }
        Ok(())
    }

    /// A challenge is asked for; without one the secret goes as it is.
    fn on_login(&mut self, message: &Message, out: &mut Vec<Word>) -> Result<(), &'static str> {
        let Some(response) = message.get("Response") else { return Ok(()) };
        let is_good = response.eq_ignore_ascii_case("success");
        let user = self.ear.user.as_deref().unwrap_or_default();
        let secret = self.ear.secret.as_ref().map_or("", |secret| &secret.0);
        let events = "call,dialplan,system";
        match (self.step, message.get("Challenge")) {
            (Step::Challenged, Some(challenge)) if is_good => {
                let key = key(challenge, secret);
                let login =
                    [("Action", "Login"), ("AuthType", "MD5"), ("Username", user), ("Key", &key), ("Events", events)];
                out.push(Word::Send(order(&login)));
                self.step = Step::LoggingIn;
            }
            (Step::Challenged, _) => {
                let login = [("Action", "Login"), ("Username", user), ("Secret", secret), ("Events", events)];
                out.push(Word::Send(order(&login)));
                self.step = Step::LoggingIn;
            }
            (Step::LoggingIn, _) if is_good => {
                self.step = Step::Ready;
                self.listed = Some(HashSet::new());
                out.push(Word::Ready);
                out.push(Word::Send(order(&[("Action", "CoreShowChannels"), ("ActionID", "list")])));
            }
            _ => return Err("login_refused"),
        }
        Ok(())
    }

    fn on_channel(&mut self, message: &Message, out: &mut Vec<Word>) {
        let Some(id) = message.get("Uniqueid") else { return };
        let is_first = message.get("Linkedid").is_none_or(|linked| linked == id);
        let channel = message.get("Channel").unwrap_or_default();
        // Both ends of a Local channel are of the PBX itself.
        let is_local = channel.starts_with("Local/");
        let takes = self.ear.takes_channel(message.get("Context").unwrap_or_default(), channel);
        if !is_first || is_local || !takes || self.calls.len() >= limits::EAR_CHANNELS {
            return;
        }
        let followed = Followed {
            steps: limits::EAR_STEPS,
            caller: said(message.get("CallerIDNum")),
            caller_name: said(message.get("CallerIDName")),
            sip_call_id: message.variable(&SIP_CALL_ID).and_then(|id| said(Some(id))),
            ..Followed::default()
        };
        self.calls.insert(id.to_owned(), followed);
        self.offer(id, message.get("Exten"), None, out);
    }

    /// The call steps through the dialplan.
    fn on_exten(&mut self, message: &Message, out: &mut Vec<Word>) {
        let Some(id) = message.get("Uniqueid") else { return };
        let Some(call) = self.calls.get_mut(id) else { return };
        if !call.is_answered && is(message, "Application", "VoiceMail") {
            call.dialled = Some(Outcome::Voicemail);
        }
        let told = call.sip_call_id.is_none().then(|| said(message.variable(&SIP_CALL_ID))).flatten();
        let is_told = told.is_some();
        call.sip_call_id = call.sip_call_id.take().or(told);
        if !call.is_offered && call.steps > 0 {
            call.steps -= 1;
            self.offer(id, message.get("Extension").or(message.get("Exten")), None, out);
        } else if is_told && call.is_offered {
            let sip_call_id = call.sip_call_id.clone();
            out.push(Word::Report(Box::new(Report { sip_call_id, ..Report::new(&self.ear, id, Stage::Offered) })));
        }
    }

    fn offer(&mut self, id: &str, called: Option<&str>, at: Option<Wall>, out: &mut Vec<Word>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Some(called) = called.filter(|called| is_dialable(called)) else { return };
        call.is_offered = true;
        let report = Report {
            called: Some(called.to_owned()),
            caller: call.caller.clone(),
            caller_name: call.caller_name.clone(),
            sip_call_id: call.sip_call_id.clone(),
            at,
            ..Report::new(&self.ear, id, Stage::Offered)
        };
        out.push(Word::Report(Box::new(report)));
    }

    fn on_state(&mut self, message: &Message, out: &mut Vec<Word>) {
        let is_own = message.get("Uniqueid").is_some_and(|id| self.calls.contains_key(id));
        if is(message, "ChannelStateDesc", "Ringing") && !is_own {
            self.rings(message, "Channel", out);
        } else if is(message, "ChannelStateDesc", "Up") && is_own && self.ear.answered == AnsweredWhen::PickedUp {
            let id = message.get("Uniqueid").unwrap_or_default().to_owned();
            self.answer(&id, None, out);
        }
    }

    /// A channel rings for a call.
    fn rings(&mut self, message: &Message, channel: &str, out: &mut Vec<Word>) {
        let Some(id) = message.get("Linkedid").or(message.get("DestLinkedid")) else { return };
        if self.calls.get(id).is_some_and(|call| !call.is_answered) {
            let by = party(message.get(channel));
            out.push(Word::Report(Box::new(Report { by, ..Report::new(&self.ear, id, Stage::Ringing) })));
        }
    }

    fn on_dial_end(&mut self, message: &Message, out: &mut Vec<Word>) {
        let id = message.get("Uniqueid").filter(|id| self.calls.contains_key(*id));
        // A queue dials through a channel of its own.
        let Some(id) = id.or(message.get("DestLinkedid")).map(str::to_owned) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let outcome = match message.get("DialStatus").unwrap_or_default() {
            "ANSWER" => return self.answer(&id, party(message.get("DestChannel")), out),
            "BUSY" => Outcome::Busy,
            "NOANSWER" => Outcome::NoAnswer,
            "CANCEL" => Outcome::Cancelled,
            "DONTCALL" | "TORTURE" => Outcome::Rejected,
            "CONGESTION" | "CHANUNAVAIL" | "INVALIDARGS" => Outcome::Failed,
            _ => return,
        };
        call.dialled = Some(outcome);
    }

    fn on_bridge(&mut self, message: &Message, out: &mut Vec<Word>) {
        let several = message.get("BridgeNumChannels").and_then(|count| count.parse::<u32>().ok()) >= Some(2);
        let waits = is(message, "BridgeType", "holding");
        let Some(linked) = message.get("Linkedid").or(message.get("Uniqueid")).map(str::to_owned) else { return };
        if several && !waits {
            let other = message.get("Uniqueid").filter(|id| *id != linked).and(message.get("Channel"));
            self.answer(&linked, party(other), out);
        }
    }

    fn answer(&mut self, id: &str, by: Option<String>, out: &mut Vec<Word>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        if !std::mem::replace(&mut call.is_answered, true) {
            out.push(Word::Report(Box::new(Report { by, ..Report::new(&self.ear, id, Stage::Answered) })));
        }
    }

    /// The first that asks has hung up.
    fn on_hangup_request(&mut self, message: &Message) {
        let (Some(id), linked) = (message.get("Uniqueid"), message.get("Linkedid")) else { return };
        let (call, by) = match self.calls.contains_key(id) {
            true => (id, HangupBy::Caller),
            false => (linked.unwrap_or_default(), HangupBy::Company),
        };
        if let Some(call) = self.calls.get_mut(call) {
            call.by.get_or_insert(by);
        }
    }

    fn on_hangup(&mut self, message: &Message, out: &mut Vec<Word>) {
        let Some(id) = message.get("Uniqueid") else { return };
        let Some(call) = self.calls.remove(id) else { return };
        let report = Report {
            cause: message.get("Cause").and_then(|cause| cause.parse().ok()),
            outcome: call.dialled,
            hangup_by: call.by,
            ..Report::new(&self.ear, id, Stage::Ended)
        };
        out.push(Word::Report(Box::new(report)));
    }

    /// One channel of the list: every call that came in is followed, so that its end is heard, whatever number it has by
    /// now.
    fn on_listed(&mut self, now: Wall, message: &Message, out: &mut Vec<Word>) {
        let (Some(listed), Some(id)) = (&mut self.listed, message.get("Uniqueid")) else { return };
        if listed.len() < limits::EAR_CHANNELS {
            listed.insert(id.to_owned());
        }
        if !self.calls.contains_key(id) {
            self.on_channel(message, &mut Vec::new());
            let began = message.get("Duration").and_then(duration).map(|since| now - since);
            if let Some(call) = self.calls.get_mut(id) {
                // What it steps through now is not what was called.
                call.steps = 0;
                call.is_offered = false;
                self.offer(id, message.get("Exten"), began, out);
            }
        }
        let is_up = is(message, "ChannelStateDesc", "Up");
        let is_joined = message.get("BridgeId").is_some();
        if is_up && (is_joined || self.ear.answered == AnsweredWhen::PickedUp) {
            let id = id.to_owned();
            self.answer(&id, None, out);
        }
    }

    fn on_list_end(&mut self, out: &mut Vec<Word>) {
        let Some(listed) = self.listed.take() else { return };
        // What came in while the list was on its way is followed and stands in it or not.
        out.push(Word::Synced(self.calls.keys().cloned().chain(listed).collect()));
    }
}

impl Dialect for Asterisk {
    fn begin(&mut self, out: &mut Vec<Word>) {
        out.push(Word::Send(order(&[("Action", "Challenge"), ("AuthType", "MD5")])));
    }

    fn take(&mut self, now: Wall, bytes: &[u8], out: &mut Vec<Word>) -> Result<(), &'static str> {
        let mut messages = Vec::new();
        let read = self.reader.take(bytes, &mut messages);
        for message in &messages {
            self.on_message(now, message, out)?;
        }
        read.map_err(|_| "not_asterisk")
    }

    fn ping(&self, out: &mut Vec<Word>) {
        out.push(Word::Send(order(&[("Action", "Ping")])));
    }
}

fn is(message: &Message, name: &str, value: &str) -> bool {
    message.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
}

/// `PJSIP/101-0000001b` → `PJSIP/101`.
fn party(channel: Option<&str>) -> Option<String> {
    let channel = channel?;
    said(Some(channel.rsplit_once('-').map_or(channel, |(party, _)| party)))
}

/// `01:02:03`.
fn duration(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let total = u64::from(hours) * 3_600 + u64::from(minutes) * 60 + u64::from(seconds);
    parts.next().is_none().then(|| Duration::from_secs(total))
}

#[cfg(test)]
pub(super) mod tests;
