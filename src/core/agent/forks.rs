//! Early dialogs of our INVITE: one for each phone that a forking proxy rings (RFC 3261 §12.1.2, §13.2.2.4), and the
//! PRACK of each reliable provisional response, within the dialog that it belongs to (RFC 3262 §4).

use std::sync::Arc;

use rsip::Method;

use super::drops::DropReason;
use super::leg::{Leg, Phase};
use super::reliable;
use super::transactions::Purpose;
use super::{Agent, AgentEvent, ClientTxn, Extra, LegId, checks};
use crate::core::dialog::Dialog;
use crate::limits::SIP_FORKS;
use crate::time::Mono;
use crate::wire::sip::Message;

/// One early dialog of a leg, by the order in which they came to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fork(pub u8);

/// An early dialog of our INVITE.
#[derive(Clone, Debug)]
pub(super) struct Early {
    pub(super) fork: Fork,
    pub(super) dialog: Dialog,
    /// RSeq of the newest reliable response, in order.
    rseq: Option<u32>,
    /// RSeq of the reliable response whose offer waits for the owner's answer.
    pub(super) answer_due: Option<u32>,
    /// Offer and answer of the INVITE have both been exchanged reliably.
    pub(super) agreed: bool,
}

/// What a provisional response is to its early dialog.
enum Place {
    /// Index in the leg's list.
    At(usize),
    /// No To tag: it makes no dialog.
    Nowhere,
    /// One more early dialog than we keep.
    Full,
}

impl Leg {
    /// Dialog of a fork; without one the confirmed dialog, or else the first early one.
    pub(super) fn dialog_of(&self, fork: Option<Fork>) -> Option<&Dialog> {
        let early = match fork {
            Some(fork) => self.early.iter().find(|early| early.fork == fork),
            None => self.early.first(),
        };
        self.dialog.as_ref().or(early.map(|early| &early.dialog))
    }

    /// The same, to count its CSeq numbers.
    pub(super) fn dialog_of_mut(&mut self, fork: Option<Fork>) -> Option<&mut Dialog> {
        let early = match fork {
            Some(fork) => self.early.iter_mut().find(|early| early.fork == fork),
            None => self.early.first_mut(),
        };
        self.dialog.as_mut().or(early.map(|early| &mut early.dialog))
    }

    /// The early dialog with this tag of the far side.
    pub(super) fn fork_with(&self, remote_tag: &str) -> Option<Fork> {
        self.early.iter().find(|early| *early.dialog.remote_tag == *remote_tag).map(|early| early.fork)
    }

    pub(super) fn early(&self, fork: Option<Fork>) -> Option<&Early> {
        match fork {
            Some(fork) => self.early.iter().find(|early| early.fork == fork),
            None => self.early.first(),
        }
    }

    fn place(&mut self, response: &Message, cseq: u32) -> Place {
        let Some(tag) = response.to().ok().and_then(|to| to.tag()) else { return Place::Nowhere };
        if let Some(at) = self.early.iter().position(|early| *early.dialog.remote_tag == *tag) {
            return Place::At(at);
        }
        if self.forks >= SIP_FORKS {
            return Place::Full;
        }
        let Some(dialog) = Dialog::from_response(response, &self.to, &self.request_uri, cseq) else {
            return Place::Nowhere;
        };
        let fork = Fork(u8::try_from(self.forks).unwrap_or(u8::MAX));
        self.forks += 1;
        self.early.reserve_exact(1);
        self.early.push(Early { fork, dialog, rseq: None, answer_due: None, agreed: false });
        Place::At(self.early.len() - 1)
    }
}

impl Agent {
    /// 101–199 to the INVITE that made the leg.
    pub(super) fn on_early(&mut self, now: Mono, id: LegId, cseq: u32, message: Arc<Message>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let at = match leg.place(&message, cseq) {
            Place::At(at) => Some(at),
            Place::Nowhere => None,
            Place::Full => return self.drops.count(DropReason::TooManyForks),
        };
        leg.learn(&message);
        let our_offer = leg.our_offer;
        let is_wanted = matches!(leg.phase, Phase::Calling);
        let mut fork = None;
        let mut answer_due = false;
        if let Some(early) = at.and_then(|at| leg.early.get_mut(at)) {
            fork = Some(early.fork);
            if let Some(rseq) = reliable::number(&message) {
                match early.rseq {
                    // RFC 3262 §4: a copy. Its PRACK is repeated by a transaction of its own.
                    Some(last) if rseq <= last => return self.drops.count(DropReason::ProvisionalAgain),
                    // A gap: what lies between is still to come, and this one will come again.
                    Some(last) if rseq - last > 1 => return self.drops.count(DropReason::ProvisionalEarly),
                    _ => early.rseq = Some(rseq),
                }
                let describes = checks::has_sdp(&message);
                answer_due = describes && !our_offer && !early.agreed && early.answer_due.is_none();
                if answer_due && is_wanted {
                    early.answer_due = Some(rseq);
                } else {
                    early.agreed |= describes && our_offer;
                    answer_due = false;
                    self.send_prack(now, id, fork, rseq, cseq, Extra::default());
                }
            }
        }
        if is_wanted {
            self.emit(id, AgentEvent::Provisional { leg: id, fork, answer_due, response: message });
        }
    }

    /// The owner's answer to the offer of a reliable provisional response.
    pub(super) fn answer_early_offer(&mut self, now: Mono, id: LegId, fork: Fork, extra: Extra) -> ClientTxn {
        let due = self.legs.get_mut(&id).and_then(|leg| {
            let cseq = leg.first.and_then(|txn| self.clients.get(&txn)).map(|entry| entry.cseq)?;
            let early = leg.early.iter_mut().find(|early| early.fork == fork)?;
            let rseq = early.answer_due.take()?;
            early.agreed = true;
            Some((rseq, cseq))
        });
        let Some((rseq, cseq)) = due else {
            let txn = ClientTxn(self.next_id());
            self.emit(id, AgentEvent::Response { leg: id, txn, status: 481, response: None });
            return txn;
        };
        self.note_described(id, extra.payload.as_ref());
        self.send_prack(now, id, Some(fork), rseq, cseq, extra)
    }

    fn send_prack(
        &mut self,
        now: Mono,
        id: LegId,
        fork: Option<Fork>,
        rseq: u32,
        invite: u32,
        mut extra: Extra,
    ) -> ClientTxn {
        extra.headers.push(("RAck".into(), format!("{rseq} {invite} INVITE")));
        let dialog = self.legs.get_mut(&id).and_then(|leg| leg.dialog_of_mut(fork));
        let Some((cseq, dialog)) = dialog.map(|dialog| (dialog.next_cseq(), dialog.clone())) else {
            return ClientTxn(self.next_id());
        };
        match self.write_within(id, &dialog, Method::PRack, cseq, &extra) {
            Some(written) => self.start_within(now, id, Method::PRack, Purpose::Prack, written),
            None => ClientTxn(self.next_id()),
        }
    }
}
