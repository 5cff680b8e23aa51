//! Requests of the far side within a dialog (RFC 3261 §12.2.2, §14.2, §15.1.2).

use std::sync::Arc;

use rsip::Method;

use super::checks::{self, Refusal};
use super::drops::DropReason;
use super::identity::Ids;
use super::leg::Phase;
use super::offers::Standing;
use super::transactions::NewServer;
use super::{Agent, AgentEvent, Extra, Flow, Fork, LegId, ServerTxn, Trust, session};
use crate::limits::REQUESTS_WAITING;
use crate::time::Mono;
use crate::wire::sip::Message;

impl Agent {
    pub(super) fn on_within(
        &mut self,
        now: Mono,
        flow: Flow,
        id: LegId,
        message: &Arc<Message>,
        ids: &Ids<'_>,
        key: Box<str>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.flow = flow;
        let is_over = leg.is_over();
        let fork = leg.dialog.is_none().then(|| leg.fork_with(ids.from_tag)).flatten();
        let is_bye = message.method() == Some(Method::Bye);
        // RFC 3262 §3: the PRACK of what a final response has overtaken is still taken.
        let is_late_prack = message.method() == Some(Method::PRack) && leg.sending.is_some();
        if ((is_over && !is_late_prack) || leg.dialog_of(fork).is_none()) && !is_bye {
            return self.turn_down(flow, message, Trust::Known, Refusal::new(481, DropReason::UnknownDialog));
        }
        // Dialogs have room where new calls have none any more, but not for ever.
        if self.clients.len() + self.servers.len() >= self.config.transactions_max.saturating_mul(2) {
            return self.drops.count(DropReason::Flood);
        }
        let verdict = if is_over { Ok(()) } else { self.acceptable_within(id, fork, message, ids) };
        // What belongs to a leg that is over must not keep it alive.
        let leg = (!is_over).then_some(id);
        let new = NewServer { key, merge: None, request: message.clone(), flow, to_tag: None, leg };
        let txn = self.start_server(now, new);
        match verdict {
            Err(refusal) => {
                self.drops.count(refusal.why);
                let extra = refusal.header.map(|(name, value)| Extra::header(name, value)).unwrap_or_default();
                self.reply(now, txn, refusal.status, &extra);
            }
            Ok(()) if is_bye => self.on_bye(now, id, fork, txn, message.clone()),
            Ok(()) if message.method() == Some(Method::PRack) => self.on_prack(now, id, txn, message),
            Ok(()) => self.on_question(now, id, fork, txn, message.clone()),
        }
    }

    /// What the far side may ask now. Counts its CSeq number.
    fn acceptable_within(
        &mut self,
        id: LegId,
        fork: Option<Fork>,
        message: &Message,
        ids: &Ids<'_>,
    ) -> Result<(), Refusal> {
        let allow = self.legs.get(&id).map_or(checks::ALLOW, |leg| leg.transfers.allow());
        checks::allowed_inside(message, allow)?;
        checks::understood(message, self.options())?;
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        let number = ids.cseq.number;
        if let Some(dialog) = leg.dialog_of_mut(fork) {
            // Not higher than the last and no copy of it (that would have found its transaction): out of order. A BYE and
            // a PRACK mean the same late: refused, one side would believe in a call that the other has left, and a
            // response of ours would have been acknowledged in vain.
            let is_timeless = matches!(message.method(), Some(Method::Bye | Method::PRack));
            if dialog.remote_cseq.is_some_and(|last| number <= last) {
                if !is_timeless {
                    return Err(Refusal::new(500, DropReason::CseqTooLow));
                }
            } else {
                dialog.remote_cseq = Some(number);
            }
        }
        session::acceptable(message, leg.wants)?;
        let is_full = leg.waiting.len() >= REQUESTS_WAITING;
        match message.method() {
            // §14.2. A 2xx of ours without ACK counts as pending too: its ACK is what they wait to send.
            Some(Method::Invite) if leg.their_invite.is_some() || leg.unacked.is_some() => Err(self.pending()),
            Some(Method::Invite) if leg.our_invite.is_some() => Err(Refusal::new(491, DropReason::Glare)),
            Some(Method::Invite) => match self.standing_offer(id, fork) {
                Some(Standing::Ours) => Err(Refusal::new(491, DropReason::Glare)),
                Some(Standing::Theirs) => Err(self.pending()),
                None => Ok(()),
            },
            Some(Method::Bye | Method::PRack) => Ok(()),
            _ if is_full => Err(self.pending()),
            Some(Method::Update) => self.acceptable_update(id, fork, message),
            _ => Ok(()),
        }
    }

    /// A request that its owner answers.
    fn on_question(&mut self, now: Mono, id: LegId, fork: Option<Fork>, txn: ServerTxn, message: Arc<Message>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let refreshes = matches!(message.method(), Some(Method::Invite | Method::Update));
        if refreshes {
            leg.learn(&message);
            if let Some(dialog) = leg.dialog_of_mut(fork) {
                dialog.refresh(&message);
            }
        }
        // RFC 3311 §5.2, RFC 4028 §9: it refreshes the target and the session, and asks for nothing.
        if message.method() == Some(Method::Update) && !checks::has_sdp(&message) {
            self.reply(now, txn, 200, &Extra::default());
            return;
        }
        if message.method() == Some(Method::Invite) {
            leg.their_invite = Some(txn);
        } else {
            leg.waiting.push(txn);
        }
        self.emit(id, AgentEvent::Request { leg: id, fork, txn, request: message });
    }

    fn on_bye(&mut self, now: Mono, id: LegId, fork: Option<Fork>, txn: ServerTxn, message: Arc<Message>) {
        self.reply(now, txn, 200, &Extra::default());
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.is_over() {
            return;
        }
        // One of several phones that ring: the others go on.
        if leg.early.len() > 1 && fork.is_some() {
            return leg.early.retain(|early| Some(early.fork) != fork);
        }
        // It overtook the 2xx of our INVITE: that INVITE must not be left ringing (RFC 5407 §3.1.2).
        let first = leg.first.filter(|_| matches!(leg.phase, Phase::Calling | Phase::Cancelling));
        // Our 2xx is not out, be it that it waits for a PRACK: for the caller the call was never answered.
        let is_unanswered = matches!(leg.phase, Phase::Offered);
        let (leg, request) = (id, message);
        let bye = AgentEvent::Bye { leg, request: request.clone() };
        self.emit(id, if is_unanswered { AgentEvent::Cancelled { leg, request } } else { bye });
        if let Some(first) = first {
            self.cancel_client(now, first, Extra::default());
        }
        self.end_leg(now, id);
    }
}
