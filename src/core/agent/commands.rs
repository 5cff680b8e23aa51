//! What the owner of the legs asks for.

use bytes::Bytes;
use rsip::Method;

use super::challenge::Login;
use super::drops::DropReason;
use super::forks::Fork;
use super::identity::Branch;
use super::leg::{Leg, OurUpdate, PROVISIONAL_AGAIN, Phase, RELIABLY_AGAIN, SentAck, Unacked};
use super::timers::Timed;
use super::transactions::{Cancel, NewClient, Purpose};
use super::write::Told;
use super::{Agent, AgentEvent, ClientTxn, Extra, Flow, Invite, LegId, Payload, ServerTxn, Transfers, checks, write};
use crate::core::dialog::{self, Dialog};
use crate::core::transaction::{PATIENCE, Resend};
use crate::limits::{SIP_FORKS, T2};
use crate::time::Mono;

/// A request within a dialog, ready to go.
pub(super) struct Written {
    bytes: Bytes,
    flow: Flow,
    branch: Branch,
    cseq: u32,
}

// ── legs in which we are the UAS ──
impl Agent {
    pub(super) fn send_provisional(&mut self, now: Mono, id: LegId, status: u16, extra: &Extra) {
        let Some(txn) = self.offered(id).filter(|_| (100..200).contains(&status)) else { return };
        // 100 after 180 would take the 180 back from those who ask again.
        if status == 100 && self.legs.get(&id).is_some_and(|leg| leg.again.is_some()) {
            return;
        }
        if status > 100 && self.is_reliable(id) {
            if !self.lacks_offer(id, extra) {
                return self.send_reliably(now, id, status, extra);
            }
            // Neither reliably nor otherwise: the 100 has to do.
            if self.servers.get(&txn).is_some_and(|entry| checks::requires_reliable(&entry.request)) {
                return;
            }
        }
        self.reply(now, txn, status, extra);
        if let Some(leg) = self.legs.get_mut(&id).filter(|_| status > 100) {
            leg.again = Some(now + PROVISIONAL_AGAIN);
        }
        self.arm_leg(id);
    }

    pub(super) fn send_answer(&mut self, now: Mono, id: LegId, extra: &Extra) {
        let Some(txn) = self.offered(id) else { return };
        if self.hold_answer(id, extra) {
            return;
        }
        let sent = self.reply(now, txn, 200, extra);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if sent == 200 {
            leg.phase = Phase::Confirmed;
        } else {
            // The answer could not be written and the far side was refused; the owner tears down as after a lost ACK.
            self.emit(id, AgentEvent::AckTimeout { leg: id });
            self.end_leg(now, id);
        }
    }

    pub(super) fn send_refusal(&mut self, now: Mono, id: LegId, status: u16, extra: &Extra) {
        let Some(txn) = self.offered(id).filter(|_| (300..700).contains(&status)) else { return };
        self.reply(now, txn, status, extra);
        self.end_leg(now, id);
    }

    pub(super) fn send_away(&mut self, now: Mono, id: LegId, status: u16, extra: &Extra) {
        let Some(txn) = self.offered(id).filter(|_| (300..700).contains(&status)) else { return };
        let Some(entry) = self.servers.get(&txn) else { return };
        if entry.last_response().is_some() {
            // Who has our 100 does not ask again (RFC 3261 §17.1.1.2): the refusal must be repeated until its ACK.
            return self.send_refusal(now, id, status, extra);
        }
        let flow = entry.flow;
        match write::response(&self.config, &entry.request, flow, status, entry.to_tag, extra, &Told::default()) {
            Ok(bytes) => self.transmit(flow, bytes),
            Err(_) => self.drops.count(DropReason::Unwritable),
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.phase = Phase::Over;
        }
        self.remove_server(txn);
    }

    /// The INVITE of a leg that has no final response yet.
    fn offered(&self, id: LegId) -> Option<ServerTxn> {
        let leg = self.legs.get(&id)?;
        leg.their_invite.filter(|_| matches!(leg.phase, Phase::Offered))
    }

    /// Sends a response in a transaction that waits for one, and keeps the leg's books. Gives the status that went out:
    /// 500 when the wanted one cannot be written, 0 when nothing did.
    pub(super) fn reply(&mut self, now: Mono, txn: ServerTxn, status: u16, extra: &Extra) -> u16 {
        let Some(entry) = self.servers.get(&txn).filter(|entry| entry.is_unanswered()) else { return 0 };
        let leg = entry.leg.and_then(|id| self.legs.get_mut(&id));
        // RFC 3311 §5.1: a reliable provisional response is where the far side learns of UPDATE.
        let tells = (200..300).contains(&status) || (status < 200 && extra.has("RSeq"));
        let describes_us = matches!(entry.request.method(), Some(Method::Invite | Method::Options | Method::Update));
        let is_refresh = matches!(entry.request.method(), Some(Method::Invite | Method::Update));
        let mut told = Told::default();
        if let Some(leg) = leg.filter(|_| tells && describes_us) {
            (told.allow, told.supported) = (leg.transfers.allow(), leg.supported(true));
            if status >= 200 && is_refresh {
                told.session = leg.answer_session(now, &entry.request);
            }
        }
        let write = |status, extra: &Extra, told: &Told| {
            write::response(&self.config, &entry.request, entry.flow, status, entry.to_tag, extra, told)
        };
        let (status, bytes) = match write(status, extra, &told) {
            Ok(bytes) => (status, bytes),
            Err(_) => {
                self.drops.count(DropReason::Unwritable);
                match write(500, &Extra::default(), &Told::default()) {
                    Ok(bytes) if status >= 200 => (500, bytes),
                    _ => return 0,
                }
            }
        };
        let (leg_id, flow) = (entry.leg, entry.flow);
        let invite = (entry.request.method() == Some(Method::Invite)).then(|| entry.request.cseq().map(|c| c.number));
        let offers = extra.payload.is_some() && !checks::has_sdp(&entry.request);
        self.server_respond(now, txn, status, bytes.clone());
        if let Some(id) = leg_id.filter(|_| status < 300) {
            self.note_described(id, extra.payload.as_ref());
        }
        if status < 200 {
            return status;
        }
        let Some((id, leg)) = leg_id.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else { return status };
        leg.waiting.retain(|waiting| *waiting != txn);
        if leg.their_invite == Some(txn) {
            leg.their_invite = None;
            leg.again = None;
            if let Some(sending) = &mut leg.sending {
                sending.finish();
            }
        }
        if let Some(Ok(cseq)) = invite
            && status < 300
        {
            let txn = (!matches!(leg.phase, Phase::Offered)).then_some(txn);
            let until = now + PATIENCE;
            leg.unacked = Some(Unacked { txn, cseq, bytes, flow, resend: Resend::start(now), until, offers });
        }
        self.prack_answered(now, id, txn);
        self.arm_leg(id);
        status
    }

    pub(super) fn leg_timeout(&mut self, now: Mono, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.armed = None;
        let hangup = matches!(leg.phase, Phase::Hanging(_));
        if leg.unacked.take_if(|unacked| now >= unacked.until).is_some() {
            self.emit(id, AgentEvent::AckTimeout { leg: id });
            if hangup {
                self.send_bye(now, id);
            }
        } else if let Some(unacked) = &mut leg.unacked
            && unacked.resend.due(now, T2)
        {
            let (flow, bytes) = (unacked.flow, unacked.bytes.clone());
            self.transmit(flow, bytes);
        }
        self.reliable_timeout(now, id);
        self.session_timeout(now, id);
        if let Some(leg) = self.legs.get_mut(&id)
            && leg.again.is_some_and(|at| now >= at)
        {
            let reliably = leg.is_reliable() && leg.sending.is_some() && !leg.is_talking();
            leg.again = Some(now + if reliably { RELIABLY_AGAIN } else { PROVISIONAL_AGAIN });
            match leg.their_invite {
                Some(_) if reliably => self.say_again_reliably(now, id),
                Some(txn) => self.server_repeat(now, txn),
                None => {}
            }
        }
        self.arm_leg(id);
    }
}

// ── legs in which we are the UAC ──
impl Agent {
    pub(super) fn send_invite(&mut self, now: Mono, invite: &Invite, transfers: Transfers) -> LegId {
        let id = LegId(self.next_id());
        let (call_id, tag, branch) = (self.identity.call_id(), self.identity.tag(), self.identity.branch());
        let mut leg = Leg::new(Phase::Calling, &call_id, tag, invite.flow);
        leg.nat = invite.nat;
        leg.large = invite.large;
        leg.reliable = invite.reliable;
        leg.transfers = transfers;
        leg.wants = invite.session;
        leg.our_offer = invite.extra.payload.is_some();
        let (supported, options) = leg.option_lines(Method::Invite, true);
        let home = invite.flow.remote.ip();
        leg.login = invite.credentials.clone().map(|credentials| Box::new(Login::new(credentials, home)));
        leg.local = format!("{};tag={tag}", invite.from).into();
        leg.to = invite.to.as_str().into();
        leg.request_uri = invite.request_uri.as_str().into();
        let cseq = 1;
        let written = write::request(
            &self.config,
            &write::Outgoing {
                method: Method::Invite,
                request_uri: &invite.request_uri,
                routes: &[],
                branch,
                max_forwards: invite.max_forwards,
                from: &leg.local,
                to: &leg.to,
                call_id: &call_id,
                cseq,
                flow: invite.flow,
                allow: transfers.allow(),
                supported,
                options: &options,
                extra: &invite.extra,
            },
        );
        let txn = ClientTxn(self.next_id());
        leg.first = Some(txn);
        leg.our_invite = Some(txn);
        self.legs.insert(id, Box::new(leg));
        self.by_tag.insert(tag, id);
        self.note_described(id, invite.extra.payload.as_ref());
        match written {
            Ok(request) => {
                let (method, purpose, flow) = (Method::Invite, Purpose::First, invite.flow);
                let new = NewClient { method, purpose, branch, leg: id, cseq, request, flow };
                self.start_client(now, txn, new);
            }
            Err(_) => {
                self.drops.count(DropReason::Unwritable);
                self.emit(id, AgentEvent::Refused { leg: id, status: 500, response: None });
                self.end_leg(now, id);
            }
        }
        id
    }

    pub(super) fn cancel_leg(&mut self, now: Mono, id: LegId, extra: Extra) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| matches!(leg.phase, Phase::Calling)) else { return };
        leg.phase = Phase::Cancelling;
        if let Some(first) = leg.first {
            self.cancel_client(now, first, extra);
        }
    }

    /// CANCEL now, or with the first provisional response (RFC 3261 §9.1).
    pub(super) fn cancel_client(&mut self, now: Mono, txn: ClientTxn, extra: Extra) {
        let Some(entry) = self.clients.get_mut(&txn) else { return };
        if entry.is_unanswered() && matches!(entry.cancel, Cancel::No) {
            entry.cancel = Cancel::Held(Box::new(extra));
            self.release_held_cancel(now, txn);
        }
    }

    pub(super) fn release_held_cancel(&mut self, now: Mono, txn: ClientTxn) {
        let Some(entry) = self.clients.get_mut(&txn).filter(|entry| entry.is_proceeding()) else { return };
        let Cancel::Held(extra) = &entry.cancel else { return };
        let cancel = write::cancel(&self.config, &entry.request, extra);
        entry.cancel = Cancel::Sent(now + PATIENCE);
        let (branch, leg, cseq, flow) = (entry.branch, entry.leg, entry.cseq, entry.flow);
        self.arm_client(txn);
        let Some(request) = cancel else { return self.drops.count(DropReason::Unwritable) };
        let txn = ClientTxn(self.next_id());
        let (method, purpose) = (Method::Cancel, Purpose::Cancel);
        self.start_client(now, txn, NewClient { method, purpose, branch, leg, cseq, request, flow });
    }

    /// ACK of the 2xx that waits for one.
    pub(super) fn send_ack(&mut self, id: LegId, payload: Option<Payload>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(cseq) = leg.ack_due.take() else { return };
        leg.our_invite = None;
        let Some(dialog) = leg.dialog.clone() else { return };
        self.note_described(id, payload.as_ref());
        let extra = Extra { payload, ..Extra::default() };
        self.acknowledge(id, &dialog, cseq, &extra);
    }

    /// ACK and BYE for a dialog that nobody wants: a fork that lost, or a 2xx that crossed our CANCEL.
    pub(super) fn end_fork(&mut self, now: Mono, id: LegId, cseq: u32, mut dialog: Dialog) {
        let Some(leg) = self.legs.get(&id) else { return };
        if leg.acks.len() >= SIP_FORKS {
            return self.drops.count(DropReason::TooManyForks);
        }
        self.acknowledge(id, &dialog, cseq, &Extra::default());
        let cseq = dialog.next_cseq();
        if let Some(written) = self.write_within(id, &dialog, Method::Bye, cseq, &Extra::default()) {
            self.start_within(now, id, Method::Bye, Purpose::Bye, written);
        }
    }

    fn acknowledge(&mut self, id: LegId, dialog: &Dialog, cseq: u32, extra: &Extra) {
        let written = self
            .write_within(id, dialog, Method::Ack, cseq, extra)
            .or_else(|| self.write_within(id, dialog, Method::Ack, cseq, &Extra::default()));
        let Some(Written { bytes, flow, .. }) = written else { return };
        self.transmit_ack(id, flow, bytes.clone());
        let Some(leg) = self.legs.get_mut(&id) else { return };
        // Old ones were of re-INVITEs long since settled.
        if leg.acks.len() >= SIP_FORKS {
            leg.acks.remove(0);
        }
        // There is one, but for forks.
        leg.acks.reserve_exact(1);
        leg.acks.push(SentAck { cseq, remote_tag: dialog.remote_tag.clone(), bytes, flow });
    }
}

// ── both ──
impl Agent {
    pub(super) fn hang_up(&mut self, now: Mono, id: LegId, extra: Extra) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.quiet = true;
        match leg.phase {
            Phase::Offered => self.send_refusal(now, id, 480, &extra),
            Phase::Calling => self.cancel_leg(now, id, extra),
            Phase::Confirmed => {
                let waits = leg.unacked.as_ref().is_some_and(|unacked| unacked.txn.is_none());
                leg.phase = Phase::Hanging(Box::new(extra));
                if !waits {
                    self.send_bye(now, id);
                }
            }
            Phase::Cancelling | Phase::Hanging(_) | Phase::Over => {}
        }
    }

    /// BYE of a leg that was waiting to say it. The leg is over, but for its transactions.
    pub(super) fn send_bye(&mut self, now: Mono, id: LegId) {
        // A 2xx that the owner did not acknowledge must not be repeated for ever.
        self.send_ack(id, None);
        self.cancel_reinvite(now, id);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Phase::Hanging(extra) = std::mem::replace(&mut leg.phase, Phase::Over) else { return };
        let dialog = leg.dialog.as_mut().map(|dialog| (dialog.next_cseq(), dialog.clone()));
        if let Some((cseq, dialog)) = dialog {
            let written = self
                .write_within(id, &dialog, Method::Bye, cseq, &extra)
                .or_else(|| self.write_within(id, &dialog, Method::Bye, cseq, &Extra::default()));
            if let Some(written) = written {
                self.start_within(now, id, Method::Bye, Purpose::Bye, written);
            }
        }
        self.end_leg(now, id);
    }

    pub(super) fn send_request(
        &mut self,
        now: Mono,
        id: LegId,
        fork: Option<Fork>,
        method: Method,
        extra: &Extra,
    ) -> ClientTxn {
        let txn = ClientTxn(self.next_id());
        let refused = |status| AgentEvent::Response { leg: id, txn, status, response: None };
        let offers = extra.payload.is_some() && matches!(method, Method::Update);
        let stands = (offers || method == Method::Invite) && self.standing_offer(id, fork).is_some();
        let Some(leg) = self.legs.get_mut(&id) else {
            self.events.push_back(refused(481));
            return txn;
        };
        let has_own_door = matches!(method, Method::Ack | Method::Bye | Method::Cancel | Method::PRack);
        let is_open = matches!(leg.phase, Phase::Offered | Phase::Calling | Phase::Confirmed);
        let within = leg.dialog_of_mut(fork).filter(|_| is_open && !has_own_door);
        let Some((cseq, dialog)) = within.map(|dialog| (dialog.next_cseq(), dialog.clone())) else {
            self.emit(id, refused(481));
            return txn;
        };
        let is_updating = leg.our_update.is_some() && method == Method::Update;
        if stands || is_updating || (method == Method::Invite && !leg.may_invite()) {
            self.emit(id, refused(491));
            return txn;
        }
        let Some(written) = self.write_within(id, &dialog, method, cseq, extra) else {
            self.emit(id, refused(500));
            return txn;
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            match method {
                Method::Invite => leg.our_invite = Some(txn),
                Method::Update => leg.our_update = Some(OurUpdate { txn, offers }),
                _ => {}
            }
            let describes = matches!(method, Method::Invite | Method::Update) && leg.wants.is_some();
            leg.describing = extra.payload.as_ref().filter(|_| describes).map(|payload| payload.bytes.clone());
        }
        let Written { bytes: request, flow, branch, cseq } = written;
        let purpose = Purpose::Request;
        self.start_client(now, txn, NewClient { method, purpose, branch, leg: id, cseq, request, flow });
        txn
    }

    /// The leg is over: nothing is told of it any more, and what the far side still asks is answered 487 (RFC 3261
    /// §15.1.2). It is forgotten with its last transaction.
    pub(super) fn end_leg(&mut self, now: Mono, id: LegId) {
        self.send_ack(id, None);
        self.cancel_reinvite(now, id);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.phase = Phase::Over;
        leg.quiet = true;
        leg.unacked = None;
        leg.again = None;
        leg.session = None;
        leg.early.clear();
        if let Some(sending) = &mut leg.sending {
            sending.finish();
        }
        let invite = leg.their_invite.take();
        let waiting = std::mem::take(&mut leg.waiting);
        for txn in invite.into_iter().chain(waiting) {
            self.reply(now, txn, 487, &Extra::default());
        }
        self.arm_leg(id);
        self.collect_leg(id);
    }

    /// A far side that has said 100 to a re-INVITE and nothing more would keep its transaction, and so the leg, for ever:
    /// a CANCEL sets it an end.
    fn cancel_reinvite(&mut self, now: Mono, id: LegId) {
        if let Some(txn) = self.legs.get_mut(&id).and_then(|leg| leg.our_invite.take()) {
            self.cancel_client(now, txn, Extra::default());
        }
    }

    pub(super) fn arm_leg(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let wanted = leg.poll_timeout();
        self.timers.set(Timed::Leg(id), &mut leg.armed, wanted);
    }

    /// One transaction of the leg has ended.
    pub(super) fn release_leg(&mut self, id: LegId) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.transactions = leg.transactions.saturating_sub(1);
        }
        self.collect_leg(id);
    }

    fn collect_leg(&mut self, id: LegId) {
        if self.legs.get(&id).is_some_and(|leg| leg.is_over() && leg.transactions == 0)
            && let Some(mut leg) = self.legs.remove(&id)
        {
            self.by_tag.remove(&leg.tag);
            self.timers.set(Timed::Leg(id), &mut leg.armed, None);
        }
    }

    pub(super) fn start_within(
        &mut self,
        now: Mono,
        leg: LegId,
        method: Method,
        purpose: Purpose,
        written: Written,
    ) -> ClientTxn {
        let Written { bytes: request, flow, branch, cseq } = written;
        let txn = ClientTxn(self.next_id());
        self.start_client(now, txn, NewClient { method, purpose, branch, leg, cseq, request, flow });
        txn
    }

    /// A request within a dialog. `None`, counted, when a value in it cannot be written.
    pub(super) fn write_within(
        &mut self,
        id: LegId,
        dialog: &Dialog,
        method: Method,
        cseq: u32,
        extra: &Extra,
    ) -> Option<Written> {
        let branch = self.identity.branch();
        let leg = self.legs.get(&id)?;
        let addressing = dialog.addressing();
        let flow = if leg.nat { leg.flow } else { dialog::next_hop(addressing.next_hop, leg.flow) };
        let (supported, options) = leg.option_lines(method, false);
        let written = write::request(
            &self.config,
            &write::Outgoing {
                method,
                request_uri: &addressing.request_uri,
                routes: &addressing.routes,
                branch,
                max_forwards: 70,
                from: &leg.local,
                to: &dialog.remote,
                call_id: &leg.call_id,
                cseq,
                flow,
                allow: leg.transfers.allow(),
                supported,
                options: &options,
                extra,
            },
        );
        match written {
            Ok(bytes) => {
                let bytes = self.with_login(id, method, cseq, flow, bytes);
                Some(Written { bytes, flow, branch, cseq })
            }
            Err(_) => {
                self.drops.count(DropReason::Unwritable);
                None
            }
        }
    }
}
