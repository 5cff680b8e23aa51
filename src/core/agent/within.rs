//! Requests of the far side within a dialog (RFC 3261 §12.2.2, §14.2, §15.1.2).

use std::sync::Arc;

use rsip::Method;

use super::checks::{self, Refusal};
use super::drops::DropReason;
use super::identity::Ids;
use super::leg::Phase;
use super::transactions::NewServer;
use super::{Agent, AgentEvent, Extra, Flow, LegId, ServerTxn, Trust};
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
        let is_bye = message.method() == Some(Method::Bye);
        if (is_over || leg.dialog.is_none()) && !is_bye {
            return self.turn_down(flow, message, Trust::Known, Refusal::new(481, DropReason::UnknownDialog));
        }
        // Dialogs have room where new calls have none any more, but not for ever.
        if self.clients.len() + self.servers.len() >= self.config.transactions_max.saturating_mul(2) {
            return self.drops.count(DropReason::Flood);
        }
        let verdict = if is_over { Ok(()) } else { self.acceptable_within(id, message, ids) };
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
            Ok(()) if is_bye => self.on_bye(now, id, txn, message.clone()),
            Ok(()) => self.on_question(id, txn, message.clone()),
        }
    }

    /// What the far side may ask now. Counts its CSeq number.
    fn acceptable_within(&mut self, id: LegId, message: &Message, ids: &Ids<'_>) -> Result<(), Refusal> {
        checks::allowed_inside(message)?;
        checks::understood(message)?;
        let retry_after = self.identity.up_to(10).to_string();
        let update_waits = self.is_update_waiting(id);
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        let number = ids.cseq.number;
        if let Some(dialog) = &mut leg.dialog {
            // Not higher than the last and no copy of it (that would have found its transaction): out of order.
            if dialog.remote_cseq.is_some_and(|last| number <= last) {
                return Err(Refusal::new(500, DropReason::CseqTooLow));
            }
            dialog.remote_cseq = Some(number);
        }
        let pending =
            Err(Refusal { status: 500, why: DropReason::RequestPending, header: Some(("Retry-After", retry_after)) });
        match message.method() {
            // §14.2. A 2xx of ours without ACK counts as pending too: its ACK is what they wait to send.
            Some(Method::Invite) if leg.their_invite.is_some() || leg.unacked.is_some() => pending,
            Some(Method::Invite) if leg.our_invite.is_some() => Err(Refusal::new(491, DropReason::Glare)),
            // RFC 3311 §5.2.
            Some(Method::Update) if update_waits => pending,
            Some(Method::Bye) => Ok(()),
            _ if leg.waiting.len() >= REQUESTS_WAITING => pending,
            _ => Ok(()),
        }
    }

    fn is_update_waiting(&self, id: LegId) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let method = |txn| self.servers.get(txn).and_then(|entry| entry.request.method());
        leg.waiting.iter().any(|txn| method(txn) == Some(Method::Update))
    }

    /// A request that its owner answers.
    fn on_question(&mut self, id: LegId, txn: ServerTxn, message: Arc<Message>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let refreshes = matches!(message.method(), Some(Method::Invite | Method::Update));
        if let Some(dialog) = leg.dialog.as_mut().filter(|_| refreshes) {
            dialog.refresh(&message);
        }
        if message.method() == Some(Method::Invite) {
            leg.their_invite = Some(txn);
        } else {
            leg.waiting.push(txn);
        }
        self.emit(id, AgentEvent::Request { leg: id, txn, request: message });
    }

    fn on_bye(&mut self, now: Mono, id: LegId, txn: ServerTxn, message: Arc<Message>) {
        self.reply(now, txn, 200, &Extra::default());
        let Some(leg) = self.legs.get(&id) else { return };
        if leg.is_over() {
            return;
        }
        // It overtook the 2xx of our INVITE: that INVITE must not be left ringing (RFC 5407 §3.1.2).
        let first = leg.first.filter(|_| matches!(leg.phase, Phase::Calling | Phase::Cancelling));
        self.emit(id, AgentEvent::Bye { leg: id, request: message });
        if let Some(first) = first {
            self.cancel_client(now, first, Extra::default());
        }
        self.end_leg(now, id);
    }
}
