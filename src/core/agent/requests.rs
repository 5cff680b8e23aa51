//! Requests from the network: to which transaction, dialog or new leg they belong.

use std::sync::Arc;

use bytes::Bytes;
use rsip::Method;

use super::checks::{self, Refusal};
use super::drops::DropReason;
use super::identity::{Ids, LocalTag, merge_key, transaction_key};
use super::leg::{Leg, Phase};
use super::transactions::NewServer;
use super::{Agent, AgentEvent, Extra, Flow, LegId, Reliable, Trust, session, write};
use crate::core::dialog::Dialog;
use crate::time::Mono;
use crate::wire::sip::{Malformed, Message, Salvage};

impl Agent {
    pub(super) fn on_request(&mut self, now: Mono, flow: Flow, message: &Arc<Message>, trust: Trust) {
        let ids = match Ids::read(message) {
            Ok(ids) => ids,
            Err(fault) => {
                let refusal = Refusal::new(fault.status(), DropReason::of(fault));
                return self.turn_down(flow, message, trust, refusal);
            }
        };
        match message.method() {
            Some(Method::Ack) => return self.on_ack(now, flow, message, &ids, trust),
            Some(Method::Cancel) => return self.on_cancel(now, flow, message, &ids, trust),
            _ => {}
        }
        let key = transaction_key(message, &ids, message.method_token());
        if let Some(txn) = self.by_key.get(&key) {
            return self.server_request_again(now, *txn);
        }
        if ids.to_tag.is_none() {
            return self.on_outside(now, flow, message, &ids, key, trust);
        }
        match self.leg_of(&ids) {
            Some(id) if self.may_speak(id, flow, trust) => self.on_within(now, flow, id, message, &ids, key),
            Some(_) => self.drops.count(DropReason::Stranger),
            None => self.turn_down(flow, message, trust, Refusal::new(481, DropReason::UnknownDialog)),
        }
    }

    /// The leg in whose dialog a request came (RFC 3261 §12.2.2): our tag, the Call-ID and the far side's tag.
    fn leg_of(&self, ids: &Ids<'_>) -> Option<LegId> {
        let id = *self.by_tag.get(&LocalTag::parse(ids.to_tag?)?)?;
        let leg = self.legs.get(&id)?;
        // A BYE may overtake the response that would have told us the far side's tag.
        let fits = match &leg.dialog {
            Some(dialog) => *dialog.remote_tag == *ids.from_tag,
            None => leg.early.is_empty() || leg.fork_with(ids.from_tag).is_some(),
        };
        (fits && *leg.call_id == *ids.call_id).then_some(id)
    }

    /// A dialog may move, but not to somebody whom neither the configuration nor the dialog itself has named.
    fn may_speak(&self, id: LegId, flow: Flow, trust: Trust) -> bool {
        trust == Trust::Known || self.legs.get(&id).is_some_and(|leg| leg.hears(flow))
    }

    fn on_ack(&mut self, now: Mono, flow: Flow, message: &Arc<Message>, ids: &Ids<'_>, trust: Trust) {
        if let Some(txn) = self.by_key.get(&transaction_key(message, ids, "INVITE")).copied()
            && !self.server_ack(now, txn)
        {
            return;
        }
        let leg = self.leg_of(ids).and_then(|id| Some((id, self.legs.get_mut(&id)?)));
        let Some((id, leg)) = leg else { return self.drops.count(DropReason::AckUnmatched) };
        if trust == Trust::Stranger && !leg.hears(flow) {
            return self.drops.count(DropReason::Stranger);
        }
        let Some(unacked) = leg.unacked.take_if(|unacked| unacked.cseq == ids.cseq.number) else {
            return self.drops.count(DropReason::AckUnmatched);
        };
        leg.flow = flow;
        let hangup = matches!(leg.phase, Phase::Hanging(_));
        self.arm_leg(id);
        self.emit(id, AgentEvent::Acked { leg: id, txn: unacked.txn, request: message.clone() });
        if hangup {
            self.send_bye(now, id);
        }
    }

    fn on_cancel(&mut self, now: Mono, flow: Flow, message: &Arc<Message>, ids: &Ids<'_>, trust: Trust) {
        let key = transaction_key(message, ids, "CANCEL");
        if let Some(txn) = self.by_key.get(&key) {
            return self.server_request_again(now, *txn);
        }
        let invite = self.by_key.get(&transaction_key(message, ids, "INVITE")).copied();
        let Some((invite, entry)) = invite.and_then(|txn| Some((txn, self.servers.get(&txn)?))) else {
            return self.turn_down(flow, message, trust, Refusal::new(481, DropReason::UnknownCancel));
        };
        // Only who sent the INVITE may cancel it: another trunk that learned the branch may not.
        if entry.flow.remote.ip() != flow.remote.ip() {
            return self.turn_down(flow, message, trust, Refusal::new(481, DropReason::ForeignCancel));
        }
        let unanswered = entry.is_unanswered();
        let leg = entry.leg;
        let request = message.clone();
        let new = NewServer { key, merge: None, request, flow, to_tag: entry.to_tag, leg: None };
        let cancel = self.start_server(now, new);
        self.reply(now, cancel, 200, &Extra::default());
        let Some(leg) = leg.filter(|_| unanswered) else { return };
        self.reply(now, invite, 487, &Extra::default());
        if self.legs.get(&leg).is_some_and(|leg| matches!(leg.phase, Phase::Offered)) {
            self.emit(leg, AgentEvent::Cancelled { leg, request: message.clone() });
            self.end_leg(now, leg);
        } else {
            self.emit(leg, AgentEvent::RequestCancelled { leg, txn: invite });
        }
    }

    /// A request outside of dialogs that matches nothing.
    fn on_outside(
        &mut self,
        now: Mono,
        flow: Flow,
        message: &Arc<Message>,
        ids: &Ids<'_>,
        key: Box<str>,
        trust: Trust,
    ) {
        if trust == Trust::Stranger {
            return self.drops.count(DropReason::Stranger);
        }
        let merge = merge_key(ids);
        let (reliable, session) = (self.config.reliable, self.config.session);
        if let Err(refusal) = self.acceptable_outside(message, &merge) {
            return self.turn_down(flow, message, trust, refusal);
        }
        let tag = self.identity.tag_for(ids);
        let (request, merge) = (message.clone(), Some(merge));
        let new = NewServer { key, merge, request, flow, to_tag: Some(tag), leg: None };
        if message.method() != Some(Method::Invite) {
            let txn = self.start_server(now, new);
            return self.events.push_back(AgentEvent::OutOfDialog { txn, request: message.clone(), flow });
        }
        // The tag is a function of the request: who owns it already is the leg that this very INVITE made.
        if self.by_tag.contains_key(&tag) {
            return self.drops.count(DropReason::LateCopy);
        }
        let id = LegId(self.next_id());
        let mut leg = Leg::new(Phase::Offered, ids.call_id, tag, flow);
        leg.local = format!("{};tag={tag}", message.header("To").unwrap_or("")).into();
        leg.dialog = Some(Dialog::from_request(message));
        leg.reliable = reliable;
        leg.wants = session;
        leg.takes_reliable = reliable != Reliable::Off && checks::takes_reliable(message);
        leg.their_offer = checks::has_sdp(message);
        leg.invite_cseq = ids.cseq.number;
        leg.learn(message);
        self.legs.insert(id, Box::new(leg));
        self.by_tag.insert(tag, id);
        let txn = self.start_server(now, NewServer { leg: Some(id), ..new });
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.their_invite = Some(txn);
        }
        self.events.push_back(AgentEvent::Invited { leg: id, request: message.clone(), flow });
    }

    /// RFC 3261 §8.2 in its order: method, Request-URI, merged requests, Require, body; then room.
    fn acceptable_outside(&mut self, message: &Message, merge: &str) -> Result<(), Refusal> {
        checks::allowed_outside(message)?;
        checks::scheme(message)?;
        if self.by_merge.contains_key(merge) {
            return Err(Refusal::new(482, DropReason::Merged));
        }
        let replaces = self.replaces && message.method() == Some(Method::Invite);
        checks::understood(message, checks::Options { replaces, ..self.options() })?;
        checks::hops(message)?;
        if self.config.reliable == Reliable::Required
            && message.method() == Some(Method::Invite)
            && !checks::takes_reliable(message)
        {
            let header = Some(("Require", "100rel".to_owned()));
            return Err(Refusal { status: 421, why: DropReason::ExtensionRequired, header });
        }
        session::acceptable(message, self.config.session)?;
        if self.clients.len() + self.servers.len() >= self.config.transactions_max {
            // Spread, so that those who were refused together do not come back together.
            let seconds = 1 + self.identity.up_to(9);
            let header = Some(("Retry-After", seconds.to_string()));
            return Err(Refusal { status: 503, why: DropReason::Overload, header });
        }
        Ok(())
    }

    /// Option tags that we understand.
    pub(super) fn options(&self) -> checks::Options {
        let reliable = self.config.reliable != Reliable::Off;
        checks::Options { reliable, timer: self.config.session.is_some(), siprec: self.siprec, replaces: false }
    }

    /// Refuses without keeping state: one answer for each copy, and none to strangers or to ACK.
    pub(super) fn turn_down(&mut self, flow: Flow, message: &Message, trust: Trust, refusal: Refusal) {
        if trust == Trust::Stranger {
            return self.drops.count(DropReason::Stranger);
        }
        self.drops.count(refusal.why);
        // Without Via nobody could tell what is answered.
        if message.method() == Some(Method::Ack) || message.vias().next().is_none() {
            return;
        }
        let extra = refusal.header.map(|(name, value)| Extra::header(name, value)).unwrap_or_default();
        let tag = self.identity.tag_for_bytes(message.bytes());
        match write::response(&self.config, message, flow, refusal.status, Some(tag), &extra, &write::Told::default()) {
            Ok(bytes) => self.transmit(flow, bytes),
            Err(_) => self.drops.count(DropReason::Unwritable),
        }
    }

    /// Bytes that are no message: 400 or 505 when somebody known has sent something like a request.
    pub(super) fn on_garbage(&mut self, flow: Flow, bytes: Bytes, fault: Malformed, trust: Trust) {
        if trust == Trust::Stranger {
            return self.drops.count(DropReason::Stranger);
        }
        let tag = self.identity.tag_for_bytes(&bytes).to_string();
        let Some(request) = Salvage::read(bytes) else { return self.drops.count(DropReason::NotSip) };
        self.drops.count(DropReason::of(fault));
        match request.response(fault.status(), None, Some(&tag), flow.remote).finish() {
            Ok(answer) => self.transmit(flow, answer),
            Err(_) => self.drops.count(DropReason::Unwritable),
        }
    }
}
