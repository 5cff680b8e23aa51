//! Reliable provisional responses (RFC 3262) as a phone has them: those of its own until their PRACK, and the PRACKs of
//! the other side's.

use std::net::SocketAddr;

use leaseline::time::Mono;
use leaseline::wire::sip::Message;

use super::{Act, LIFE, Pending, Phone, Sent, T1, sdp, talk};

impl Phone {
    // ── ours ──

    pub(super) fn await_prack(&mut self, now: Mono, call: &str, sent: &Sent, reliable: (u32, bool)) {
        for (to, bytes) in sent {
            self.unpracked.push(Pending {
                call: call.to_owned(),
                bytes: bytes.clone(),
                to: *to,
                next: now + T1,
                interval: T1,
                until: now + LIFE,
                // T1 doubles without bound (§3).
                invite: true,
                branch: String::new(),
                again: None,
                reliable: Some(reliable),
            });
        }
    }

    pub(super) fn on_prack(&mut self, now: Mono, from: SocketAddr, request: &Message, call: &str) -> Sent {
        let me = self.me();
        let number: Option<u32> =
            request.header("RAck").and_then(|text| text.strip_suffix(" 1 INVITE")).and_then(|text| text.parse().ok());
        let is_it =
            |pending: &Pending| pending.call == call && pending.reliable.is_some_and(|(of, _)| number == Some(of));
        let Some(at) = self.unpracked.iter().position(is_it) else {
            // The final response has gone out before it.
            let late = self.dialogs.get(call).is_some_and(|dialog| number.is_some_and(|n| n <= dialog.reliably));
            return self.reply(from, request, if late { 200 } else { 481 }, None);
        };
        self.unpracked.remove(at);
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        // Those that wait say it now, in their order.
        for (status, described, bytes_of) in std::mem::take(&mut dialog.held) {
            self.act(now, Act::Respond { call: call.to_owned(), status, described, bytes_of });
        }
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        let body = String::from_utf8_lossy(&request.body()).into_owned();
        let mut answer = None;
        if let Some(direction) = super::direction_of(request) {
            // Our offer is answered, or else it is an offer of theirs.
            if !dialog.offers {
                answer = Some(sdp(me, 2, talk::answer_to(&direction), "8 101"));
            }
            dialog.heard_direction = direction;
        }
        dialog.received.push(("PRACK".to_owned(), body));
        self.reply(from, request, 200, answer)
    }

    /// §3: without PRACK for 64·T1 the call is refused.
    pub(super) fn give_up_reliable(&mut self, now: Mono) -> Sent {
        let mut sent = Vec::new();
        while let Some(at) = self.unpracked.iter().position(|pending| pending.until <= now) {
            let call = self.unpracked.remove(at).call;
            self.acts.retain(|_, act| !matches!(act, Act::Respond { call: of, .. } if *of == call));
            let Some(dialog) = self.dialogs.get_mut(&call).filter(|dialog| dialog.finals.is_empty()) else { continue };
            dialog.held.clear();
            dialog.finals.push(504);
            if let Some(invite) = dialog.invite.clone() {
                let peer = dialog.peer;
                sent.extend(self.reply(peer, &invite, 504, None));
            }
        }
        sent
    }

    // ── theirs ──

    /// PRACK of a reliable provisional response, now or later.
    pub(super) fn hear_reliable(&mut self, now: Mono, call: &str, response: &Message) -> Sent {
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        let number: Option<u32> = response.header("RSeq").and_then(|text| text.parse().ok());
        // A copy, or one that comes before its turn (§4).
        let in_turn = |number: &u32| *number == dialog.reliably + 1 || dialog.reliably == 0;
        let Some(number) = number.filter(in_turn) else { return Vec::new() };
        dialog.reliably = number;
        let Some(after) = dialog.calling.as_ref().and_then(|calling| calling.pracks) else { return Vec::new() };
        if after.is_zero() {
            return self.prack(now, call, response);
        }
        self.act(now + after, Act::Prack { call: call.to_owned(), response: response.bytes().clone() });
        Vec::new()
    }

    /// With the answer when it made the offer.
    pub(super) fn prack(&mut self, now: Mono, call: &str, response: &Message) -> Sent {
        let me = self.me();
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        let describes = !response.body().is_empty();
        let body = (describes && !dialog.offers && !dialog.agreed).then(|| sdp(me, 1, "sendrecv", "8 101"));
        dialog.agreed |= describes;
        let number = response.header("RSeq").unwrap_or("").to_owned();
        self.request(now, call, "PRACK", body, &[("RAck", format!("{number} 1 INVITE"))])
    }
}
