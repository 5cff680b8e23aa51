//! re-INVITEs of the other side: answered at once, later or never.

use std::net::SocketAddr;

use leaseline::time::Mono;
use leaseline::wire::sip::Message;

use super::{Act, Phone, Sent, branch_of, direction_of, sdp, talk};

impl Phone {
    pub(super) fn on_reinvite(&mut self, now: Mono, from: SocketAddr, request: &Message, call: &str) -> Sent {
        let offers_out = self.is_offering(call);
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.up) else {
            return self.reply(from, request, 481, None);
        };
        // Both sides at once (RFC 3261 §14.2).
        if offers_out {
            return self.reply(from, request, 491, None);
        }
        let after = dialog.answering.reinvite_after;
        if after.is_zero() && dialog.answering.reinvite_status >= 200 {
            return self.answer_reinvite(now, request, call);
        }
        let bytes_of = request.bytes().clone();
        self.reinvited.insert(branch_of(request), bytes_of.clone());
        if !after.is_zero() {
            self.act(now + after, Act::Reanswer { call: call.to_owned(), bytes_of });
        }
        self.reply(from, request, 100, None)
    }

    pub(super) fn answer_reinvite(&mut self, now: Mono, request: &Message, call: &str) -> Sent {
        let me = self.me();
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        let (from, status) = (dialog.peer, dialog.answering.reinvite_status);
        if !dialog.up || status >= 300 {
            let status = if dialog.up { status } else { 487 };
            return self.reply(from, request, status, None);
        }
        let offered = direction_of(request).unwrap_or_default();
        let answer = dialog.answering.reinvite_direction.unwrap_or(talk::answer_to(&offered));
        dialog.heard_direction = offered;
        dialog.sdp_version += 1;
        let own = sdp(me, dialog.sdp_version, answer, "8 101");
        let body = dialog.answering.reinvite_sdp.clone().unwrap_or(own);
        let sent = self.reply(from, request, status, Some(body).filter(|body| !body.is_empty()));
        self.await_ack(now, call, &sent);
        sent
    }

    /// The call is over: what it was asked is answered (RFC 3261 §15.1.2).
    pub(super) fn drop_reinvites(&mut self, call: &str) -> Sent {
        let mut sent = Vec::new();
        for (branch, bytes_of) in self.reinvited.clone() {
            let request = Message::parse(bytes_of.clone()).expect("kept as it came");
            let later = |act: &Act| matches!(act, Act::Reanswer { bytes_of: of, .. } if *of == bytes_of);
            if request.call_id().expect("valid") == call && self.acts.values().any(later) {
                self.reinvited.remove(&branch);
                self.acts.retain(|_, act| !later(act));
                let peer = self.dialogs[call].peer;
                sent.extend(self.reply(peer, &request, 487, None));
            }
        }
        sent
    }
}
