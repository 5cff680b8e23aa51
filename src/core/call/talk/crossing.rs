//! Requests that cross from leg to leg with their body and nothing else: INFO and MESSAGE, by the rules of the caller's
//! trunk, which hold in both directions. An INFO that speaks of a key becomes an event in the other side's RTP where that
//! has agreed on events, and the other way round ([`crate::core::call::offer`] says who has).

use std::borrow::Cow;

use rsip::Method;

use crate::config::{Passage, Within};
use crate::core::agent::{ClientTxn, Extra, Payload, ServerTxn};
use crate::core::call::offer::HearsKeys;
use crate::core::call::record::Way;
use crate::core::call::{Call, Ctx};
use crate::core::dtmf::{Digit, info};
use crate::core::media::MediaCommand;
use crate::ids::Side;
use crate::limits;
use crate::wire::sip::Message;

/// One request on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    /// Who waits for the response; `None`: it was ours.
    txn: Option<ServerTxn>,
    ours: ClientTxn,
}

/// What becomes of an INFO or MESSAGE.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Relay,
    /// With this status, and this header.
    Answer(u16, Option<(Cow<'static, str>, String)>),
}

impl Call {
    pub(super) fn relay(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        if let Verdict::Answer(status, header) = verdict(&self.facts.trunk.within, request) {
            let headers = header.into_iter().collect();
            return ctx.agent.respond(ctx.now, txn, status, Extra { headers, ..Extra::default() });
        }
        if self.press(side, request, ctx) {
            return ctx.agent.respond(ctx.now, txn, 200, Extra::default());
        }
        let (Some(leg), true) = (self.leg(side.other()), self.may_pass()) else {
            return ctx.agent.respond(ctx.now, txn, 500, Extra::default());
        };
        let payload = request
            .header("Content-Type")
            .map(|content_type| Payload { content_type: content_type.to_owned(), bytes: request.body() });
        let method = request.method().unwrap_or(Method::Info);
        let ours = ctx.agent.request(ctx.now, leg, method, Extra { payload, ..Extra::default() });
        self.pass(Some(txn), ours);
    }

    /// An INFO that speaks of a key is heard; `true`: the other side need not hear of it in INFO.
    fn press(&mut self, side: Side, request: &Message, ctx: &mut Ctx<'_>) -> bool {
        let Some((key, length)) = info::read(request) else { return false };
        let is_new = self.on_digit(side, Way::Info, &Digit { key, at: ctx.now.mono, length }, ctx);
        let to = side.other();
        let in_rtp = self.negotiation.as_ref().is_some_and(|held| held.hears_keys(to) == HearsKeys::InRtp);
        if in_rtp && is_new {
            ctx.media(self.id(), MediaCommand::Press(to, key, length));
        }
        in_rtp || !is_new
    }

    /// The media thread has heard a key in this side's RTP: the other hears of it in INFO, when it has no events and the
    /// first was told that they are understood.
    pub(in crate::core::call) fn pass_key(&mut self, side: Side, digit: &Digit, ctx: &mut Ctx<'_>) {
        let Some(held) = &self.negotiation else { return };
        let ways = (held.hears_keys(side), held.hears_keys(side.other()));
        let (Some(leg), true) = (self.leg(side.other()), ways == (HearsKeys::InRtp, HearsKeys::InInfo)) else { return };
        if !self.may_pass() {
            return;
        }
        let (content_type, bytes) = info::write(digit.key, digit.length);
        let payload = Some(Payload { content_type: content_type.to_owned(), bytes });
        let ours = ctx.agent.request(ctx.now, leg, Method::Info, Extra { payload, ..Extra::default() });
        self.pass(None, ours);
    }

    /// There is room for one more request on its way across.
    pub(in crate::core::call) fn may_pass(&mut self) -> bool {
        self.talk().is_some_and(|talk| talk.passing.len() < limits::CROSSING)
    }

    /// The response to `ours` goes back in `txn`.
    pub(in crate::core::call) fn pass(&mut self, txn: Option<ServerTxn>, ours: ClientTxn) {
        if let Some(talk) = self.talk() {
            talk.passing.push(Passing { txn, ours });
        }
    }

    /// Final response to what crossed; `false` when it was something else.
    pub(super) fn on_relayed(&mut self, ours: ClientTxn, status: u16, ctx: &mut Ctx<'_>) -> bool {
        let Some(talk) = self.talk() else { return false };
        let Some(at) = talk.passing.iter().position(|passing| passing.ours == ours) else { return false };
        let passing = talk.passing.swap_remove(at);
        // 408 is not for requests other than INVITE (RFC 4320 §4.2), and a challenge is between us and that side.
        let status = match status {
            408 => 504,
            401 | 407 | 300..=399 | 503 => 500,
            _ => status,
        };
        if let Some(txn) = passing.txn {
            ctx.agent.respond(ctx.now, txn, status, Extra::default());
        }
        true
    }

    pub(in crate::core::call) fn drop_passing(&mut self, ctx: &mut Ctx<'_>) {
        let Some(talk) = self.talk() else { return };
        for txn in std::mem::take(&mut talk.passing).into_iter().filter_map(|passing| passing.txn) {
            ctx.agent.respond(ctx.now, txn, 487, Extra::default());
        }
    }
}

/// RFC 6086 §5.2: we declare no Info Package, so one that comes is answered 469; an INFO without body is an old
/// keep-alive and answered 200.
fn verdict(rules: &Within, request: &Message) -> Verdict {
    let is_info = request.method() == Some(Method::Info);
    if is_info && request.header("Info-Package").is_some() {
        return Verdict::Answer(469, Some(("Recv-Info".into(), String::new())));
    }
    match if is_info { rules.info } else { rules.message } {
        Passage::Refuse => return Verdict::Answer(if is_info { 405 } else { 403 }, None),
        Passage::Absorb => return Verdict::Answer(200, None),
        Passage::Relay => {}
    }
    if request.body().is_empty() {
        return if is_info { Verdict::Answer(200, None) } else { Verdict::Relay };
    }
    if rules.content_types.iter().any(|content_type| request.has_content_type(content_type)) {
        return Verdict::Relay;
    }
    Verdict::Answer(415, Some(("Accept".into(), rules.content_types.join(", "))))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn rules_of_info_and_message() {
        let mut table = String::new();
        for passage in [Passage::Relay, Passage::Absorb, Passage::Refuse] {
            let rules = Within { info: passage, message: passage, ..Within::default() };
            for (method, headers, body) in [
                ("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=5\r\n"),
                ("INFO", "Content-Type: Application/DTMF-Relay; charset=x\r\n", "Signal=5\r\n"),
                ("INFO", "Content-Type: application/xml\r\n", "<x/>"),
                ("INFO", "", "Signal=5\r\n"),
                ("INFO", "", ""),
                ("INFO", "Info-Package: nil\r\nContent-Type: application/dtmf-relay\r\n", "Signal=5\r\n"),
                ("MESSAGE", "Content-Type: text/plain\r\n", "hello"),
                ("MESSAGE", "Content-Type: text/html\r\n", "<p>"),
                ("MESSAGE", "", ""),
            ] {
                let text = format!(
                    "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
                     From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 7 {method}\r\n{headers}\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let request = Message::parse(Bytes::from(text)).unwrap();
                let shown = match verdict(&rules, &request) {
                    Verdict::Relay => "crosses".to_owned(),
                    Verdict::Answer(status, None) => status.to_string(),
                    Verdict::Answer(status, Some((name, value))) => format!("{status} {name}: {value}"),
                };
                let asked = headers.trim_end().replace("\r\n", " | ");
                table += &format!("{passage:?} {method} {asked} ({} bytes) -> {shown}\n", body.len());
            }
        }
        insta::assert_snapshot!(table);
    }
}
