//! CANCEL, of the first INVITE and of a re-INVITE, from either side.

use std::net::SocketAddr;

use bytes::Bytes;
use leaseline::time::Mono;
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;

use super::{Act, LIFE, Pending, Phone, Sent, T1, dialog_branch};

impl Phone {
    pub(super) fn cancel(&mut self, now: Mono, call: &str) -> Sent {
        let Some(dialog) = self.dialogs.get(call).filter(|dialog| dialog.finals.is_empty()) else { return Vec::new() };
        let Some(invite) = self.pending.iter().find(|pending| pending.call == call && pending.invite) else {
            // RFC 3261 §9.1 lets CANCEL out after a provisional response; the INVITE's own branch is needed.
            return self.cancel_with(now, call, dialog_branch(dialog));
        };
        let branch = invite.branch.clone();
        self.cancel_with(now, call, Some(branch))
    }

    pub(super) fn cancel_with(&mut self, now: Mono, call: &str, branch: Option<String>) -> Sent {
        let me = self.me();
        let (Some(branch), Some(dialog)) = (branch, self.dialogs.get(call)) else { return Vec::new() };
        let calling = dialog.calling.as_ref().expect("our call");
        let bytes = Builder::request("CANCEL", &calling.request_uri)
            .header("Via", &format!("SIP/2.0/UDP {me};branch={branch};rport"))
            .header("Max-Forwards", "70")
            .header("From", &dialog.local)
            .header("To", &format!("<{}>", calling.request_uri))
            .header("Call-ID", &dialog.call_id)
            .header("CSeq", "1 CANCEL")
            .finish()
            .expect("a message");
        let to = dialog.peer;
        self.send_cancel(now, call, to, bytes, &branch)
    }

    /// CANCEL of a re-INVITE that has no final response.
    pub(super) fn cancel_reinvite(&mut self, now: Mono, call: &str) -> Sent {
        let is_it = |pending: &&Pending| pending.call == call && pending.invite;
        let Some(pending) = self.pending.iter().find(is_it) else { return Vec::new() };
        let (branch, to) = (pending.branch.clone(), pending.to);
        let invite = Message::parse(pending.bytes.clone()).expect("ours");
        let header = |name| invite.header(name).unwrap_or("").to_owned();
        let bytes = Builder::request("CANCEL", invite.request_uri())
            .header("Via", &header("Via"))
            .header("Max-Forwards", "70")
            .header("From", &header("From"))
            .header("To", &header("To"))
            .header("Call-ID", &header("Call-ID"))
            .header("CSeq", &format!("{} CANCEL", invite.cseq().expect("ours").number))
            .finish()
            .expect("a message");
        self.send_cancel(now, call, to, bytes, &branch)
    }

    pub(super) fn send_cancel(&mut self, now: Mono, call: &str, to: SocketAddr, bytes: Bytes, branch: &str) -> Sent {
        self.pending.push(Pending {
            call: call.to_owned(),
            bytes: bytes.clone(),
            to,
            next: now + T1,
            interval: T1,
            until: now + LIFE,
            invite: false,
            branch: format!("cancel {branch}"),
            again: None,
            reliable: None,
        });
        vec![(to, bytes)]
    }

    pub(super) fn on_cancel(&mut self, from: SocketAddr, request: &Message, branch: &str, call: &str) -> Sent {
        let invite = self.dialogs.get(call).and_then(|dialog| dialog.invite.clone());
        let pending = self.dialogs.get(call).is_some_and(|dialog| dialog.finals.is_empty());
        let matches = self.given.contains_key(&(branch.to_owned(), "INVITE".to_owned()));
        let mut sent = self.reply(from, request, if matches { 200 } else { 481 }, None);
        if let Some(reinvite) = self.reinvited.remove(branch) {
            self.acts.retain(|_, act| !matches!(act, Act::Reanswer { bytes_of, .. } if *bytes_of == reinvite));
            let reinvite = Message::parse(reinvite).expect("kept as it came");
            sent.extend(self.reply(from, &reinvite, 487, None));
            return sent;
        }
        if let (true, true, Some(invite)) = (pending, matches, invite) {
            self.acts.retain(|_, act| !matches!(act, Act::Respond { call: of, .. } if of == call));
            self.unpracked.retain(|pending| pending.call != call);
            if let Some(dialog) = self.dialogs.get_mut(call) {
                dialog.held.clear();
                dialog.finals.push(487);
            }
            sent.extend(self.reply(from, &invite, 487, None));
        }
        sent
    }
}
