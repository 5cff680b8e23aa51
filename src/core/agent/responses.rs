//! Responses to our requests, and what happens when none come.

use std::sync::Arc;

use rsip::Method;

use super::drops::DropReason;
use super::identity::{Branch, Ids, LocalTag};
use super::leg::Phase;
use super::transactions::{Cancel, ClientEntry, ClientInput, Outcome, Purpose};
use super::{Agent, AgentEvent, ClientTxn, Flow, LegId};
use crate::core::dialog::Dialog;
use crate::time::Mono;
use crate::wire::sip::Message;

/// What is known of a client transaction after it may have ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) txn: ClientTxn,
    pub(super) leg: LegId,
    pub(super) purpose: Purpose,
    pub(super) method: Method,
    pub(super) cseq: u32,
}

impl Agent {
    pub(super) fn on_response(&mut self, now: Mono, flow: Flow, message: Arc<Message>) {
        let Ok(ids) = Ids::read(&message) else { return self.drops.count(DropReason::MalformedResponse) };
        let asked = match self.match_response(&message, &ids) {
            Ok(asked) => asked,
            Err(DropReason::ResponseUnmatched) if self.acknowledge_late(&message, &ids) => return,
            Err(reason) => return self.drops.count(reason),
        };
        if let Some(leg) = self.legs.get_mut(&asked.leg) {
            // A request that went over TCP because of its size leaves the dialog where it was.
            let written = self.clients.get(&asked.txn).map(ClientEntry::written_for);
            leg.flow = written.filter(|written| written.transport != flow.transport).unwrap_or(flow);
        }
        let status = message.status();
        // What may be said once more, with other words.
        let said = self.clients.get(&asked.txn).filter(|_| status == 422).map(ClientEntry::as_written);
        let retry = self.prepare_answer(flow, asked, &message).or_else(|| self.prepare_longer(asked, &message));
        if (200..300).contains(&status) {
            self.take_next_nonce(asked.leg, &message);
        }
        let outcome = self.drive_client(now, asked.txn, ClientInput::Response(status), Some(&message));
        if let Some(retry) = retry {
            return self.send_again(now, asked, retry);
        }
        if outcome == Outcome::Deliver {
            match asked.purpose {
                Purpose::First => match said {
                    Some((flow, request)) if self.retry_longer(now, asked, flow, &request, &message) => {}
                    _ => self.on_first_response(now, asked, status, message),
                },
                Purpose::Request => self.on_request_response(now, asked, status, message),
                Purpose::Refresh => {
                    self.forget_update(asked, status);
                    self.on_refresh_response(now, asked, status, message);
                }
                Purpose::Standalone => self.on_standalone_response(asked.txn, status, Some(message)),
                Purpose::Cancel | Purpose::Bye | Purpose::Prack => {}
            }
        }
        self.release_held_cancel(now, asked.txn);
    }

    pub(super) fn client_timeout(&mut self, now: Mono, txn: ClientTxn) {
        self.client_timer_fired(txn);
        let Some(entry) = self.clients.get(&txn) else { return };
        if let Cancel::Sent(until) = entry.cancel
            && now >= until
            && entry.is_unanswered()
        {
            // RFC 3261 §9.1: cancelled, though the far side never said so.
            return self.on_nothing(now, txn, 487);
        }
        match self.asked(txn) {
            Some(asked) if self.drive_client(now, txn, ClientInput::Timeout, None) == Outcome::TimedOut => {
                self.on_no_response(now, asked, 408);
            }
            _ => {}
        }
    }

    pub(super) fn client_failed(&mut self, now: Mono, txn: ClientTxn) {
        match self.asked(txn) {
            Some(asked) if self.drive_client(now, txn, ClientInput::TransportError, None) == Outcome::Failed => {
                self.on_no_response(now, asked, 503);
            }
            _ => {}
        }
    }

    /// Ends a transaction from our side.
    fn on_nothing(&mut self, now: Mono, txn: ClientTxn, status: u16) {
        let Some(asked) = self.asked(txn) else { return };
        self.remove_client(txn);
        self.on_no_response(now, asked, status);
    }

    fn asked(&self, txn: ClientTxn) -> Option<Asked> {
        let entry = self.clients.get(&txn)?;
        Some(Asked { txn, leg: entry.leg, purpose: entry.purpose, method: entry.method, cseq: entry.cseq })
    }

    /// RFC 3261 §17.1.3, and that the response speaks of the dialog in which we asked.
    fn match_response(&self, message: &Message, ids: &Ids<'_>) -> Result<Asked, DropReason> {
        let key = ids.branch.and_then(Branch::parse).map(|branch| (branch, ids.cseq.method == "CANCEL"));
        let txn = key.and_then(|key| self.by_branch.get(&key)).ok_or(DropReason::ResponseUnmatched)?;
        let asked = self.asked(*txn).ok_or(DropReason::ResponseUnmatched)?;
        let leg = self.legs.get(&asked.leg).ok_or(DropReason::ResponseUnmatched)?;
        let ours = message.method() == Some(asked.method)
            && ids.cseq.number == asked.cseq
            && *ids.call_id == *leg.call_id
            && LocalTag::parse(ids.from_tag) == Some(leg.tag)
            // More than one Via: meant for somebody else (§8.1.3.3).
            && message.vias().nth(1).is_none();
        if !ours {
            return Err(DropReason::ResponseForeign);
        }
        let success = (200..300).contains(&message.status());
        if success && asked.method == Method::Invite && ids.to_tag.is_none() {
            return Err(DropReason::SuccessWithoutTag);
        }
        Ok(asked)
    }

    /// A 2xx to an INVITE whose transaction is gone, but whose leg lives: its ACK was lost for longer than 64·T1.
    fn acknowledge_late(&mut self, message: &Message, ids: &Ids<'_>) -> bool {
        let success = (200..300).contains(&message.status()) && message.method() == Some(Method::Invite);
        let tag = LocalTag::parse(ids.from_tag).filter(|_| success);
        let Some(id) = tag.and_then(|tag| self.by_tag.get(&tag)).copied() else { return false };
        let same_call = self.legs.get(&id).is_some_and(|leg| *leg.call_id == *ids.call_id);
        same_call && self.acknowledge_again(id, ids.cseq.number, message)
    }

    /// Sends the ACK of this 2xx again, if it was sent before.
    pub(super) fn acknowledge_again(&mut self, id: LegId, cseq: u32, message: &Message) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let tag = message.to().ok().and_then(|to| to.tag()).unwrap_or("");
        let Some(ack) = leg.acks.iter().find(|ack| ack.cseq == cseq && *ack.remote_tag == *tag) else { return false };
        let (flow, bytes) = (ack.flow, ack.bytes.clone());
        self.transmit_ack(id, flow, bytes);
        true
    }

    fn on_first_response(&mut self, now: Mono, asked: Asked, status: u16, message: Arc<Message>) {
        let id = asked.leg;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match status {
            ..=100 => {}
            101..200 => {
                if matches!(leg.phase, Phase::Calling | Phase::Cancelling) {
                    self.on_early(now, id, asked.cseq, message);
                }
            }
            200..300 => self.on_success(now, id, asked.cseq, message),
            _ => {
                leg.first = None;
                leg.our_invite = None;
                self.emit(id, AgentEvent::Refused { leg: id, status, response: Some(message) });
                self.end_leg(now, id);
            }
        }
    }

    /// A 2xx to the INVITE that made the leg (§13.2.2.4): the first wins, others get ACK and BYE, copies their ACK
    /// again.
    fn on_success(&mut self, now: Mono, id: LegId, cseq: u32, message: Arc<Message>) {
        if self.acknowledge_again(id, cseq, &message) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(mut dialog) = Dialog::from_response(&message, &leg.to, &leg.request_uri, cseq) else { return };
        let is_ours = leg.dialog.as_ref().is_some_and(|known| known.remote_tag == dialog.remote_tag);
        let fork = leg.fork_with(&dialog.remote_tag);
        if let Some(early) = leg.early(fork).filter(|_| fork.is_some()) {
            dialog.local_cseq = early.dialog.local_cseq;
            dialog.remote_cseq = early.dialog.remote_cseq;
        }
        match leg.phase {
            // A copy before the owner has acknowledged.
            Phase::Confirmed if is_ours => {}
            Phase::Calling => {
                leg.dialog = Some(dialog);
                leg.phase = Phase::Confirmed;
                leg.first = None;
                leg.ack_due = Some(cseq);
                leg.learn(&message);
                leg.hear_session(now, &message);
                // The others are kept for the numbers of their BYEs, should they answer, too.
                leg.early.retain(|early| Some(early.fork) != fork);
                self.emit(id, AgentEvent::Answered { leg: id, fork, response: message });
                self.arm_leg(id);
            }
            Phase::Cancelling => {
                leg.first = None;
                leg.our_invite = None;
                self.end_fork(now, id, cseq, dialog);
                self.emit(id, AgentEvent::Refused { leg: id, status: 487, response: Some(message) });
                self.end_leg(now, id);
            }
            _ => self.end_fork(now, id, cseq, dialog),
        }
    }

    fn on_request_response(&mut self, now: Mono, asked: Asked, status: u16, message: Arc<Message>) {
        let id = asked.leg;
        self.forget_update(asked, status);
        let is_invite = asked.method == Method::Invite;
        let is_success = (200..300).contains(&status);
        if is_invite && is_success && self.acknowledge_again(id, asked.cseq, &message) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let refreshes = is_success && matches!(asked.method, Method::Invite | Method::Update);
        if refreshes {
            let fork = message.to().ok().and_then(|to| to.tag()).and_then(|tag| leg.fork_with(tag));
            if let Some(dialog) = leg.dialog_of_mut(fork) {
                dialog.refresh(&message);
            }
            leg.learn(&message);
            if leg.is_talking() && leg.ack_due != Some(asked.cseq) {
                leg.hear_session(now, &message);
            }
            leg.described = leg.describing.take().or(leg.described.take());
            self.arm_leg(id);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if is_invite && is_success {
            if leg.ack_due == Some(asked.cseq) {
                return;
            }
            leg.ack_due = Some(asked.cseq);
            if leg.quiet {
                return self.send_ack(id, None);
            }
        } else if is_invite && status >= 300 && leg.our_invite == Some(asked.txn) {
            leg.our_invite = None;
        }
        let event = AgentEvent::Response { leg: id, txn: asked.txn, status, response: Some(message) };
        self.emit(id, event);
    }

    fn on_no_response(&mut self, now: Mono, asked: Asked, status: u16) {
        let id = asked.leg;
        if let Some(leg) = self.legs.get_mut(&id)
            && leg.our_invite == Some(asked.txn)
        {
            leg.our_invite = None;
        }
        self.forget_update(asked, status);
        match asked.purpose {
            Purpose::First => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.first = None;
                }
                self.emit(id, AgentEvent::Refused { leg: id, status, response: None });
                self.end_leg(now, id);
            }
            Purpose::Request => {
                self.emit(id, AgentEvent::Response { leg: id, txn: asked.txn, status, response: None });
            }
            Purpose::Standalone => self.on_standalone_response(asked.txn, status, None),
            Purpose::Refresh => self.on_refresh_failed(now, asked, status, None),
            Purpose::Cancel | Purpose::Bye | Purpose::Prack => {}
        }
    }

    /// An UPDATE of ours has its final response.
    fn forget_update(&mut self, asked: Asked, status: u16) {
        if let Some(leg) = self.legs.get_mut(&asked.leg).filter(|_| status >= 200) {
            leg.our_update.take_if(|update| update.txn == asked.txn);
        }
    }
}
