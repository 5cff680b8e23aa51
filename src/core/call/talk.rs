//! After the answer: ACK, requests of both sides, and how it ends.

mod crossing;
pub(super) mod offers;

use std::sync::Arc;

use crate::core::agent::{AgentEvent, ClientTxn, Extra, Payload, ServerTxn};
use crate::core::call::offer::description;
use crate::core::call::{Call, Ctx, State, ending};
use crate::core::event::{HangupBy, Outcome};
use crate::ids::Side;
use crate::wire::sip::Message;

use crossing::Passing;
use ending::Why;

/// Where a connected call stands.
#[derive(Debug)]
pub(super) struct Talk {
    /// The caller's ACK has come.
    acked: bool,
    /// The company's 2xx made the offer: its ACK waits for the answer in the caller's.
    company_waits: bool,
    /// INFO and MESSAGE on their way across.
    passing: Vec<Passing>,
}

impl Talk {
    pub(super) fn new(company_waits: bool) -> Talk {
        Talk { acked: false, company_waits, passing: Vec::new() }
    }

    /// The first offer and its answer are complete, and the caller knows it.
    pub(super) fn is_settled(&self) -> bool {
        self.acked && !self.company_waits
    }

    fn company_waits(&self) -> bool {
        self.company_waits
    }
}

const fn hangup_by(side: Side) -> HangupBy {
    match side {
        Side::Caller => HangupBy::Caller,
        Side::Company => HangupBy::Company,
    }
}

impl Call {
    pub(super) fn on_talking(&mut self, side: Side, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match event {
            AgentEvent::Acked { txn: None, request, .. } if side == Side::Caller => self.on_first_ack(request, ctx),
            AgentEvent::Acked { txn: Some(txn), request, .. } => self.on_answer_in_ack(side, *txn, request, ctx),
            AgentEvent::AckTimeout { .. } => self.on_ack_timeout(ctx),
            AgentEvent::Bye { .. } if side == Side::Company && self.referrer_left() => self.drop_passing(ctx),
            AgentEvent::Bye { request, .. } => {
                let lines = self.take_reasons(request, side.other(), ctx);
                self.drop_pending(ctx);
                self.bye(side.other(), lines, ctx);
                self.end(Why::hung_up(hangup_by(side)), ctx);
            }
            AgentEvent::Request { txn, request, .. } => self.on_request(side, *txn, request, ctx),
            AgentEvent::RequestCancelled { txn, .. } => self.on_offer_cancelled(*txn, ctx),
            AgentEvent::Response { txn, status, response, .. } => {
                self.on_response(side, *txn, *status, response.as_ref(), ctx);
            }
            // The company has answered, but the caller's 200 was still waiting for a PRACK.
            AgentEvent::Cancelled { request, .. } => {
                let lines = self.take_reasons(request, side.other(), ctx);
                self.drop_pending(ctx);
                self.bye(side.other(), lines, ctx);
                self.end(Why::cancelled(), ctx);
            }
            // The agent has ended this leg.
            AgentEvent::Ended { reason, .. } => {
                self.drop_pending(ctx);
                self.bye(side.other(), Vec::new(), ctx);
                // Our 200 was held back for the PRACK: the caller has heard 504 instead.
                let never_told = Why::new(Outcome::Failed, reason, HangupBy::System, 504);
                self.end(if *reason == "no_prack" { never_told } else { Why::by_system(reason) }, ctx);
            }
            AgentEvent::Refreshed { response, .. } => self.on_refreshed(side, response, ctx),
            // A leg that the agent gave up (transport gone): the talk is over.
            AgentEvent::Refused { .. } => self.lost(side, ctx),
            _ => {}
        }
    }

    /// The answer to an unchanged offer, with which the agent has refreshed the session: it may name another address.
    fn on_refreshed(&mut self, side: Side, response: &Message, ctx: &mut Ctx<'_>) {
        let body = description(response);
        let stream = body.and_then(|body| self.negotiation.as_ref()?.read_answer(side, &body).ok());
        if let Some(stream) = stream {
            self.accept(side, &stream, ctx);
        }
    }

    fn talk(&mut self) -> Option<&mut Talk> {
        match &mut self.state {
            State::Talking(talk) => Some(talk),
            _ => None,
        }
    }

    fn on_first_ack(&mut self, request: &Message, ctx: &mut Ctx<'_>) {
        let Some(talk) = self.talk() else { return };
        talk.acked = true;
        if !std::mem::take(&mut talk.company_waits) {
            return self.tell_what_won(ctx);
        }
        let payload = self.read_late_answer(Side::Caller, request, ctx);
        let complete = payload.is_some();
        if let Some(company) = self.company {
            ctx.agent.ack(ctx.now, company, payload);
        }
        if !complete {
            self.hang_up("no_answer_in_ack", ctx);
        }
    }

    /// The company's answer has overtaken the caller's PRACK.
    fn on_late_prack(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        match (self.on_prack_after_answer(txn, request, ctx), self.talk()) {
            (Ok(true), Some(talk)) => talk.company_waits = false,
            (Ok(_), _) => {}
            (Err(()), _) => self.hang_up("bad_answer_in_prack", ctx),
        }
    }

    /// The answer that `side` put into its ACK, in force and described for the other side.
    fn read_late_answer(&mut self, side: Side, request: &Message, ctx: &mut Ctx<'_>) -> Option<Payload> {
        let body = description(request)?;
        let stream = self.negotiation.as_ref()?.read_answer(side, &body).ok()?;
        self.accept(side, &stream, ctx);
        self.cross(side, &stream)
    }

    /// RFC 3261 §13.3.1.4: a 2xx that nobody acknowledges ends the session.
    fn on_ack_timeout(&mut self, ctx: &mut Ctx<'_>) {
        if self.talk().is_some_and(|talk| talk.company_waits)
            && let Some(company) = self.company
        {
            ctx.agent.ack(ctx.now, company, None);
        }
        self.drop_pending(ctx);
        for side in Side::BOTH {
            self.bye(side, Vec::new(), ctx);
        }
        self.end(Why::new(Outcome::Failed, "no_ack", HangupBy::System, 200), ctx);
    }

    fn lost(&mut self, side: Side, ctx: &mut Ctx<'_>) {
        self.drop_pending(ctx);
        // The lost side gets its BYE too: it may have lost the dialog, or only this one request of it.
        for side in Side::BOTH {
            self.bye(side, Vec::new(), ctx);
        }
        self.end(Why { hangup_by: hangup_by(side), ..Why::by_system("dialog_lost") }, ctx);
    }

    /// What waits for the other side gets its final response now.
    pub(super) fn drop_pending(&mut self, ctx: &mut Ctx<'_>) {
        self.drop_passing(ctx);
        self.drop_offer(487, ctx);
    }

    fn on_request(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        self.learn(side, request);
        match request.method() {
            Some(rsip::Method::Invite | rsip::Method::Update) => self.on_offer(side, txn, request, ctx),
            Some(rsip::Method::Info | rsip::Method::Message) => self.relay(side, txn, request, ctx),
            Some(rsip::Method::Options) => ctx.agent.respond(ctx.now, txn, 200, Extra::default()),
            Some(rsip::Method::Refer) => self.on_refer(side, txn, request, ctx),
            Some(rsip::Method::Notify) => self.on_notify(side, txn, request, ctx),
            Some(rsip::Method::PRack) => self.on_late_prack(txn, request, ctx),
            _ => ctx.agent.respond(ctx.now, txn, 405, Extra::default()),
        }
    }

    fn on_response(
        &mut self,
        side: Side,
        ours: ClientTxn,
        status: u16,
        response: Option<&Arc<Message>>,
        ctx: &mut Ctx<'_>,
    ) {
        if let Some(response) = response {
            self.learn(side, response);
        }
        if status < 200
            || self.on_relayed(ours, status, ctx)
            || self.on_notified(ours, status, ctx)
            || self.on_refer_relayed(ours, status, ctx)
            || self.on_offer_response(side, ours, status, response, ctx)
        {
            return;
        }
        let is_invite = response.is_some_and(|response| response.method() == Some(rsip::Method::Invite));
        if status < 300 && is_invite {
            self.on_late_answer(side, ctx);
        }
    }
}
