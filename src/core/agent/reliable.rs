//! Reliable provisional responses of ours (RFC 3262 §3). Those of the far side are [`super::forks`]'.
//!
//! One is outstanding at a time; others wait behind it. A 2xx waits as long as a session description is
//! unacknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use super::drops::DropReason;
use super::leg::Phase;
use super::{Agent, AgentEvent, Extra, Flow, LegId, ServerTxn, checks};
use crate::core::transaction::{PATIENCE, Resend};
use crate::limits::PROVISIONALS_WAITING;
use crate::time::{Mono, Wakeup};
use crate::wire::sip::Message;
use bytes::Bytes;

/// Whether one leg uses reliable provisional responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reliable {
    /// `Require: 100rel` is refused with 420.
    #[default]
    Off,
    /// When the far side can, too.
    Supported,
    /// As UAC the INVITE has `Require: 100rel`; as UAS an INVITE without the option is refused with 421.
    Required,
}

/// Our reliable provisional responses to one INVITE.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    /// RSeq of the next.
    next: u32,
    outstanding: Option<Outstanding>,
    waiting: VecDeque<(u16, Extra)>,
    /// Status of the newest, to be said again each two and a half minutes.
    last: u16,
    /// PRACK with a session description that the owner is to answer.
    prack: Option<ServerTxn>,
    /// 2xx that waits for a PRACK.
    answer: Option<Box<Extra>>,
    /// The newest that described us made the offer: the PRACK answers.
    offered: bool,
    described: bool,
}

/// A reliable provisional response without its PRACK.
#[derive(Clone, Debug)]
struct Outstanding {
    rseq: u32,
    bytes: Bytes,
    flow: Flow,
    /// `None` when the final response is out: no more copies, but the PRACK is still taken.
    resend: Option<Resend>,
    until: Mono,
    describes: bool,
}

impl Sending {
    /// `first`: RSeq of the first, from 1 to 2³¹−1 (§3).
    pub(super) fn new(first: u32) -> Sending {
        Sending {
            next: first,
            outstanding: None,
            waiting: VecDeque::new(),
            last: 180,
            prack: None,
            answer: None,
            offered: false,
            described: false,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let outstanding = self.outstanding.as_ref()?;
        let resend = outstanding.resend.as_ref()?;
        Some(if outstanding.until <= resend.at { (outstanding.until, "no PRACK") } else { (resend.at, "1xx reliably") })
    }

    /// §3: a session description of ours is unacknowledged, or their offer unanswered.
    fn holds_answer(&self) -> bool {
        self.prack.is_some() || self.outstanding.as_ref().is_some_and(|outstanding| outstanding.describes)
    }

    /// We made an offer that no PRACK has answered.
    pub(super) fn waits_for_answer(&self) -> bool {
        self.offered && self.outstanding.as_ref().is_some_and(|outstanding| outstanding.describes)
    }

    /// An answer or an offer of ours went out reliably.
    pub(super) fn has_described(&self) -> bool {
        self.described
    }

    /// A PRACK with RAck `rseq` acknowledges something.
    pub(super) fn expects(&self, rseq: u32) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| outstanding.rseq == rseq)
    }

    /// The final response is out.
    pub(super) fn finish(&mut self) {
        self.waiting.clear();
        self.answer = None;
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.resend = None;
        }
    }
}

/// RSeq of a reliable provisional response; one that is out of range is none.
pub(super) fn number(response: &Message) -> Option<u32> {
    let is_reliable = response.list("Require").any(|option| option.eq_ignore_ascii_case("100rel"));
    let number = checks::number(response.header("RSeq")?)?;
    (is_reliable && number > 0).then_some(number)
}

/// RAck of a PRACK: RSeq and CSeq number of what it acknowledges (RFC 3262 §7.2), which was an INVITE.
pub(super) fn acknowledged(prack: &Message) -> Option<(u32, u32)> {
    let mut words = prack.header("RAck")?.split_ascii_whitespace();
    let (rseq, cseq) = (checks::number(words.next()?)?, checks::number(words.next()?)?);
    (words.next() == Some("INVITE") && words.next().is_none()).then_some((rseq, cseq))
}

impl Agent {
    /// RFC 3261 §13.2.1: the first reliable response to an INVITE without offer makes the offer. One without a
    /// description is not that.
    pub(super) fn lacks_offer(&self, id: LegId, extra: &Extra) -> bool {
        let Some(leg) = self.legs.get(&id).filter(|leg| !leg.their_offer) else { return false };
        extra.payload.is_none() && !leg.sending.as_ref().is_some_and(|sending| sending.has_described())
    }

    /// Sends a provisional response reliably, or when it is its turn.
    pub(super) fn send_reliably(&mut self, now: Mono, id: LegId, status: u16, extra: &Extra) {
        let first = 1 + self.identity.up_to(0x3fff_ffff);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let sending = leg.sending.get_or_insert_with(|| Box::new(Sending::new(first)));
        if sending.answer.is_some() {
            return;
        }
        if sending.outstanding.is_some() {
            // Ringing that is said twice says nothing new; a description does.
            if sending.waiting.len() < PROVISIONALS_WAITING {
                sending.waiting.push_back((status, extra.clone()));
            } else if extra.payload.is_some()
                && let Some(place) = sending.waiting.back_mut()
            {
                *place = (status, extra.clone());
            }
            return;
        }
        self.send_next(now, id, status, extra.clone());
    }

    fn send_next(&mut self, now: Mono, id: LegId, status: u16, mut extra: Extra) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (Some(txn), Some(sending)) = (leg.their_invite, &mut leg.sending) else { return };
        let rseq = sending.next;
        sending.next = sending.next.wrapping_add(1).max(1);
        let describes = extra.payload.is_some();
        let offers = describes && !leg.their_offer;
        extra.headers.push(("Require".into(), "100rel".to_owned()));
        extra.headers.push(("RSeq".into(), rseq.to_string()));
        if self.reply(now, txn, status, &extra) != status {
            return;
        }
        let sent = self.servers.get(&txn).and_then(|entry| Some((entry.flow, entry.last_response()?)));
        let Some((flow, bytes)) = sent else { return };
        if let Some(leg) = self.legs.get_mut(&id)
            && let Some(sending) = &mut leg.sending
        {
            let (resend, until) = (Some(Resend::start(now)), now + PATIENCE);
            sending.outstanding = Some(Outstanding { rseq, bytes, flow, resend, until, describes });
            sending.last = status;
            sending.offered |= offers;
            sending.described |= describes;
            leg.again = Some(now + super::leg::RELIABLY_AGAIN);
        }
        self.arm_leg(id);
    }

    /// Keeps a 2xx back until it may go (§3); true when it has to wait.
    pub(super) fn hold_answer(&mut self, id: LegId, extra: &Extra) -> bool {
        let Some(sending) = self.legs.get_mut(&id).and_then(|leg| leg.sending.as_mut()) else { return false };
        if !sending.holds_answer() {
            return false;
        }
        sending.waiting.clear();
        sending.answer.get_or_insert_with(|| Box::new(extra.clone()));
        true
    }

    /// Copies of the outstanding response; the end when no PRACK came within 64·T1 (§3).
    pub(super) fn reliable_timeout(&mut self, now: Mono, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(outstanding) = leg.sending.as_mut().and_then(|sending| sending.outstanding.as_mut()) else { return };
        let Some(resend) = &mut outstanding.resend else { return };
        if now >= outstanding.until {
            outstanding.resend = None;
            if let Some(txn) = leg.their_invite {
                self.reply(now, txn, 504, &Extra::default());
            }
            self.emit(id, AgentEvent::Ended { leg: id, reason: "no_prack" });
            self.end_leg(now, id);
        } else if resend.due(now, PATIENCE) {
            let (flow, bytes) = (outstanding.flow, outstanding.bytes.clone());
            self.transmit(flow, bytes);
        }
    }

    /// §3: "ringing" is said again with a number of its own.
    pub(super) fn say_again_reliably(&mut self, now: Mono, id: LegId) {
        let Some(sending) = self.legs.get(&id).and_then(|leg| leg.sending.as_ref()) else { return };
        if sending.outstanding.is_none() && sending.answer.is_none() {
            let status = sending.last;
            self.send_next(now, id, status, Extra::default());
        }
    }

    /// PRACK in the dialog of `id`.
    pub(super) fn on_prack(&mut self, now: Mono, id: LegId, txn: ServerTxn, message: &Arc<Message>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let invite = leg.invite_cseq;
        let known = acknowledged(message).filter(|(_, cseq)| *cseq == invite);
        let sending = leg.sending.as_mut().filter(|sending| known.is_some_and(|(rseq, _)| sending.expects(rseq)));
        let Some(sending) = sending else {
            self.drops.count(DropReason::PrackUnmatched);
            self.reply(now, txn, 481, &Extra::default());
            return;
        };
        let asks = sending.waits_for_answer();
        sending.outstanding = None;
        if (asks || checks::has_sdp(message)) && !leg.quiet && matches!(leg.phase, Phase::Offered) {
            sending.prack = Some(txn);
            leg.waiting.push(txn);
            self.emit(id, AgentEvent::Request { leg: id, fork: None, txn, request: message.clone() });
        } else {
            self.reply(now, txn, 200, &Extra::default());
        }
        self.continue_reliably(now, id);
    }

    /// The owner has answered this PRACK: what waited for it may go.
    pub(super) fn prack_answered(&mut self, now: Mono, id: LegId, txn: ServerTxn) {
        let sending = self.legs.get_mut(&id).and_then(|leg| leg.sending.as_mut());
        if let Some(sending) = sending
            && sending.prack.take_if(|waiting| *waiting == txn).is_some()
        {
            self.continue_reliably(now, id);
        }
    }

    fn continue_reliably(&mut self, now: Mono, id: LegId) {
        let Some(sending) = self.legs.get_mut(&id).and_then(|leg| leg.sending.as_mut()) else { return };
        if sending.outstanding.is_some() || sending.prack.is_some() {
            return;
        }
        if let Some(extra) = sending.answer.take() {
            self.send_answer(now, id, &extra);
        } else if let Some((status, extra)) = sending.waiting.pop_front() {
            self.send_next(now, id, status, extra);
        }
        self.arm_leg(id);
    }
}
