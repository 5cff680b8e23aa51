//! What a captured peer said, in the words of our own dialogs.
//!
//! Our machine draws its own Call-IDs, tags, branches and CSeq numbers, so a response that answered the captured
//! program's n-th INVITE is made to answer our n-th INVITE, and a request within a dialog gets our tag.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;

use super::captured::{Call, Party, Speaker};
use crate::wire::sip::Message;
use crate::wire::sip::build::Builder;

/// The dialogs of one call: captured ones beside ours.
#[derive(Debug)]
pub(super) struct Translator {
    caller: Leg,
    company: Vec<Leg>,
}

#[derive(Debug, Default)]
struct Leg {
    /// Ours; the caller's leg has the captured one.
    call_id: Option<String>,
    tag: Option<String>,
    /// Requests that we sent, by method, in order.
    asked: HashMap<String, Vec<Message>>,
}

/// What becomes of a captured message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Translated {
    Message(Bytes),
    /// Our machine has not sent the request that this answers; it may yet.
    NotYet,
    /// It has no place in our dialogs; why.
    None(&'static str),
}

impl Translator {
    pub(super) fn new(call: &Call) -> Translator {
        let caller = Leg { call_id: Some(call.caller.call_id.clone()), ..Leg::default() };
        Translator { caller, company: call.attempts.iter().map(|_| Leg::default()).collect() }
    }

    /// Our machine sent this to `to`. Says to whom that is.
    pub(super) fn on_sent(&mut self, call: &Call, to: SocketAddr, message: &Message) -> Option<Speaker> {
        let speaker = self.addressee(call, to, message)?;
        let leg = self.leg_mut(speaker)?;
        if message.is_request() {
            let cseq = message.cseq().ok()?;
            if speaker.side() == crate::ids::Side::Company {
                leg.tag = message.from().ok().and_then(|from| from.tag().map(str::to_owned)).or(leg.tag.take());
            }
            let sent = leg.asked.entry(cseq.method.to_owned()).or_default();
            // A retransmission has the number of the one before.
            let is_new = sent.last().and_then(|last| last.cseq().ok()).is_none_or(|last| last.number != cseq.number);
            if is_new && cseq.method != "ACK" {
                sent.push(message.clone());
            }
        } else if speaker == Speaker::Caller && message.status() > 100 {
            leg.tag = message.to().ok().and_then(|to| to.tag().map(str::to_owned)).or(leg.tag.take());
        }
        Some(speaker)
    }

    fn addressee(&mut self, call: &Call, to: SocketAddr, message: &Message) -> Option<Speaker> {
        let call_id = message.call_id().ok()?;
        if self.caller.call_id.as_deref() == Some(call_id) {
            return Some(Speaker::Caller);
        }
        if let Some(known) = self.company.iter().position(|leg| leg.call_id.as_deref() == Some(call_id)) {
            return Some(Speaker::Company(known));
        }
        // The next destination; one that our machine left out is passed over.
        let used = self.company.iter().rposition(|leg| leg.call_id.is_some()).map_or(0, |last| last + 1);
        let next = (used..self.company.len())
            .find(|&index| call.attempts.get(index).is_some_and(|party| party.address == to))?;
        self.company.get_mut(next)?.call_id = Some(call_id.to_owned());
        Some(Speaker::Company(next))
    }

    /// `dialled` replaces the user of the caller's first Request-URI.
    pub(super) fn translate(
        &self,
        speaker: Speaker,
        party: &Party,
        message: &Message,
        dialled: Option<&str>,
        us: SocketAddr,
    ) -> Translated {
        let Some(leg) = self.leg(speaker) else { return Translated::None("unknown_destination") };
        if !message.is_request() {
            return leg.response(party, message, us);
        }
        let is_first = message.to().is_ok_and(|to| to.tag().is_none());
        match (speaker, is_first, message.method_token()) {
            (_, _, "PRACK") => Translated::None("prack_is_not_spoken"),
            (Speaker::Caller, true, method) => match dialled {
                Some(number) => leg.request(message, &format!("sip:{number}@{us}"), false),
                // Nothing of it needs another word: the bytes stay as they are.
                None if matches!(method, "INVITE" | "CANCEL" | "ACK") => Translated::Message(message.bytes().clone()),
                None => leg.request(message, message.request_uri(), false),
            },
            (Speaker::Company(_), true, _) => Translated::None("outside_a_dialog"),
            (_, false, _) => leg.request(message, message.request_uri(), true),
        }
    }

    fn leg(&self, speaker: Speaker) -> Option<&Leg> {
        match speaker {
            Speaker::Caller => Some(&self.caller),
            Speaker::Company(index) => self.company.get(index),
        }
    }

    fn leg_mut(&mut self, speaker: Speaker) -> Option<&mut Leg> {
        match speaker {
            Speaker::Caller => Some(&mut self.caller),
            Speaker::Company(index) => self.company.get_mut(index),
        }
    }
}

impl Leg {
    fn request(&self, message: &Message, uri: &str, is_within: bool) -> Translated {
        let Some(call_id) = &self.call_id else { return Translated::NotYet };
        let to = match (&self.tag, is_within) {
            (Some(tag), true) => match message.to() {
                Ok(to) => Some(format!("<{}>;tag={tag}", to.uri.text)),
                Err(_) => return Translated::None("unreadable"),
            },
            (None, true) => return Translated::NotYet,
            (_, false) => None,
        };
        let mut builder = Builder::request(message.method_token(), uri);
        for (name, value) in message.all_headers() {
            let value = unfolded(value);
            builder = match canonical(name) {
                "call-id" => builder.header("Call-ID", call_id),
                "to" => builder.header("To", to.as_deref().unwrap_or(&value)),
                // Captured hops, and what `body` writes.
                "route" | "content-length" | "content-type" => builder,
                _ => builder.header(name, &value),
            };
        }
        finish(with_body(builder, message))
    }

    fn response(&self, party: &Party, message: &Message, us: SocketAddr) -> Translated {
        let Ok(cseq) = message.cseq() else { return Translated::None("unreadable") };
        let Some(ordinal) = party.asked.get(&(cseq.method.to_owned(), cseq.number)) else {
            return Translated::None("answers_no_captured_request");
        };
        let Some(ours) = self.asked.get(cseq.method).and_then(|sent| sent.get(*ordinal)) else {
            return Translated::NotYet;
        };
        let to = message.to().ok();
        let tag = to.as_ref().and_then(|to| to.tag());
        let reason = message.reason();
        let mut builder = Builder::response_to(ours, message.status(), Some(&reason), tag, us);
        for (name, value) in message.all_headers() {
            let is_ours = matches!(
                canonical(name),
                "via" | "from" | "to" | "call-id" | "cseq" | "timestamp" | "record-route" | "content-length"
                    | "content-type" // Reliable provisionals answer an offer that we do not make.
                    | "require" | "rseq"
            );
            if !is_ours {
                builder = builder.header(name, &unfolded(value));
            }
        }
        finish(with_body(builder, message))
    }
}

fn with_body(builder: Builder, message: &Message) -> Builder {
    let body = message.body();
    match message.header("Content-Type") {
        Some(content_type) if !body.is_empty() => builder.body(content_type, &body),
        _ => builder,
    }
}

fn finish(builder: Builder) -> Translated {
    match builder.finish() {
        Ok(bytes) => Translated::Message(bytes),
        Err(_) => Translated::None("forbidden_byte"),
    }
}

/// Lower-case long name of the headers that we look at.
fn canonical(name: &str) -> &'static str {
    const NAMES: [(&str, &str); 12] = [
        ("via", "v"),
        ("from", "f"),
        ("to", "t"),
        ("call-id", "i"),
        ("cseq", ""),
        ("timestamp", ""),
        ("record-route", ""),
        ("content-length", "l"),
        ("content-type", "c"),
        ("require", ""),
        ("rseq", ""),
        ("route", ""),
    ];
    let is_name = |(long, short): &&(&str, &str)| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
    NAMES.iter().find(is_name).map_or("", |(long, _)| long)
}

/// One line; bytes that are not UTF-8 as U+FFFD.
fn unfolded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace(['\r', '\n'], " ").trim().to_owned()
}
