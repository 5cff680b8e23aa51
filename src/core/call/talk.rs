//! After the answer: ACK, offers in both directions, requests that cross, and how it ends.

use std::sync::Arc;

use crate::core::agent::{AgentEvent, ClientTxn, Extra, Payload, ServerTxn};
use crate::core::call::offer::{Stream, description};
use crate::core::call::{Call, Ctx, State, ending};
use crate::core::event::{HangupBy, Outcome};
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Wakeup};
use crate::wire::sip::Message;

use ending::Why;

/// Where a connected call stands.
#[derive(Debug)]
pub(super) struct Talk {
    /// The caller's ACK has come.
    acked: bool,
    /// The company's 2xx made the offer: its ACK waits for the answer in the caller's.
    company_waits: bool,
    offer: Offer,
    /// INFO and MESSAGE on their way across: theirs, ours, and whose it was.
    crossing: Vec<(ServerTxn, ClientTxn, Side)>,
}

/// At most one offer is on its way (RFC 3264 §4); glare is a match arm.
#[derive(Debug)]
enum Offer {
    Idle,
    /// A re-INVITE of `from` crosses as `ours`.
    Crossing {
        from: Side,
        txn: ServerTxn,
        ours: ClientTxn,
        stream: Option<Box<Stream>>,
        until: Mono,
    },
    /// The other side made the offer in its 2xx; the answer is due in `from`'s ACK.
    Answering {
        from: Side,
        txn: ServerTxn,
    },
}

impl Talk {
    pub(super) fn new(company_waits: bool) -> Talk {
        Talk { acked: false, company_waits, offer: Offer::Idle, crossing: Vec::new() }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        match &self.offer {
            Offer::Crossing { until, .. } => Some((*until, "re-INVITE")),
            Offer::Idle | Offer::Answering { .. } => None,
        }
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
            AgentEvent::Bye { request, .. } => {
                let lines = self.take_reasons(request, side.other(), ctx);
                self.drop_pending(ctx);
                self.bye(side.other(), lines, ctx);
                self.end(Why::hung_up(hangup_by(side)), ctx);
            }
            AgentEvent::Request { txn, request, .. } => self.on_request(side, *txn, request, ctx),
            AgentEvent::RequestCancelled { txn, .. } => self.on_request_cancelled(*txn, ctx),
            AgentEvent::Response { txn, status, response, .. } => {
                self.on_response(side, *txn, *status, response.as_ref(), ctx);
            }
            // A leg that the agent gave up (transport gone): the talk is over.
            AgentEvent::Refused { .. } => self.lost(side, ctx),
            _ => {}
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
            return;
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

    /// The answer that `side` put into its ACK, in force and described for the other side.
    fn read_late_answer(&mut self, side: Side, request: &Message, ctx: &mut Ctx<'_>) -> Option<Payload> {
        let body = description(request)?;
        let stream = self.negotiation.as_ref()?.read_answer(side, &body).ok()?;
        self.accept(side, &stream, ctx);
        self.cross(side, &stream)
    }

    fn on_answer_in_ack(&mut self, side: Side, acked: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let Some(talk) = self.talk() else { return };
        if !matches!(talk.offer, Offer::Answering { from, txn } if from == side && txn == acked) {
            return;
        }
        talk.offer = Offer::Idle;
        let payload = self.read_late_answer(side, request, ctx);
        let complete = payload.is_some();
        if let Some(leg) = self.leg(side.other()) {
            ctx.agent.ack(ctx.now, leg, payload);
        }
        if !complete {
            self.hang_up("no_answer_in_ack", ctx);
        }
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
        let Some(talk) = self.talk() else { return };
        let crossing = std::mem::take(&mut talk.crossing);
        let offer = std::mem::replace(&mut talk.offer, Offer::Idle);
        for (txn, ..) in crossing {
            ctx.agent.respond(ctx.now, txn, 487, Extra::default());
        }
        match offer {
            Offer::Crossing { txn, .. } => ctx.agent.respond(ctx.now, txn, 487, Extra::default()),
            Offer::Answering { from, .. } => {
                if let Some(leg) = self.leg(from.other()) {
                    ctx.agent.ack(ctx.now, leg, None);
                }
            }
            Offer::Idle => {}
        }
    }

    fn on_request(&mut self, side: Side, txn: ServerTxn, request: &Arc<Message>, ctx: &mut Ctx<'_>) {
        match request.method() {
            Some(rsip::Method::Invite) => self.on_reinvite(side, txn, request, ctx),
            Some(rsip::Method::Info | rsip::Method::Message) => self.relay(side, txn, request, ctx),
            Some(rsip::Method::Options) => ctx.agent.respond(ctx.now, txn, 200, Extra::default()),
            // A transfer would let a message name a destination.
            Some(rsip::Method::Refer) => ctx.agent.respond(ctx.now, txn, 603, Extra::default()),
            _ => ctx.agent.respond(ctx.now, txn, 405, Extra::default()),
        }
    }

    fn on_reinvite(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let body = description(request);
        let stream = match (&body, &self.negotiation) {
            (Some(body), Some(negotiation)) => match negotiation.read_offer(side, body) {
                Ok(stream) => Some(stream),
                Err(_) => return ctx.agent.respond(ctx.now, txn, 488, Extra::default()),
            },
            _ => None,
        };
        let other = self.leg(side.other());
        let busy = self.talk().is_none_or(|talk| !matches!(talk.offer, Offer::Idle) || !talk.acked);
        let Some(leg) = other.filter(|_| !busy) else {
            // RFC 3261 §14.2: one offer at a time; the sender tries again after a random wait.
            return ctx.agent.respond(ctx.now, txn, 491, Extra::default());
        };
        let payload = stream.as_ref().and_then(|stream| self.cross(side, stream));
        let ours = ctx.agent.request(ctx.now, leg, rsip::Method::Invite, Extra { payload, ..Extra::default() });
        let until = ctx.now.mono + limits::OFFER;
        if let Some(talk) = self.talk() {
            talk.offer = Offer::Crossing { from: side, txn, ours, stream: stream.map(Box::new), until };
        }
    }

    /// INFO and MESSAGE cross with their body and nothing else.
    fn relay(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let full = self.talk().is_none_or(|talk| talk.crossing.len() >= limits::CROSSING);
        let (Some(leg), false) = (self.leg(side.other()), full) else {
            return ctx.agent.respond(ctx.now, txn, 500, Extra::default());
        };
        let body = request.body();
        let payload = request
            .header("Content-Type")
            .filter(|_| !body.is_empty())
            .map(|content_type| Payload { content_type: content_type.to_owned(), bytes: body.clone() });
        let method = request.method().unwrap_or(rsip::Method::Info);
        let ours = ctx.agent.request(ctx.now, leg, method, Extra { payload, ..Extra::default() });
        if let Some(talk) = self.talk() {
            talk.crossing.push((txn, ours, side));
        }
    }

    fn on_request_cancelled(&mut self, cancelled: ServerTxn, ctx: &mut Ctx<'_>) {
        let Some(talk) = self.talk() else { return };
        if let Offer::Crossing { txn, ours, .. } = talk.offer
            && txn == cancelled
        {
            talk.offer = Offer::Idle;
            ctx.agent.cancel_request(ctx.now, ours);
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
        if status < 200 {
            return;
        }
        let Some(talk) = self.talk() else { return };
        if let Some(at) = talk.crossing.iter().position(|(_, crossing, _)| *crossing == ours) {
            let (txn, ..) = talk.crossing.swap_remove(at);
            ctx.agent.respond(ctx.now, txn, status, Extra::default());
            return;
        }
        match std::mem::replace(&mut talk.offer, Offer::Idle) {
            Offer::Crossing { from, txn, ours: pending, stream, .. } if pending == ours => {
                if (200..300).contains(&status) {
                    self.on_reanswer(from, txn, stream.as_deref(), response, ctx);
                } else {
                    ctx.agent.respond(ctx.now, txn, if status == 503 { 500 } else { status }, Extra::default());
                    // RFC 3261 §12.2.1.2: the dialog is gone on that side.
                    if matches!(status, 408 | 481) {
                        self.lost(side, ctx);
                    }
                }
            }
            offer => {
                talk.offer = offer;
                // A re-INVITE that we gave up was accepted after all: the 2xx wants its ACK.
                let late_invite = response.is_some_and(|response| response.method() == Some(rsip::Method::Invite));
                if let (200..=299, true, Some(leg)) = (status, late_invite, self.leg(side)) {
                    ctx.agent.ack(ctx.now, leg, None);
                }
            }
        }
    }

    /// 2xx to the re-INVITE that crossed for `from`. `offered`: what `from` offered, unless it left the offer to the
    /// other side.
    fn on_reanswer(
        &mut self,
        from: Side,
        txn: ServerTxn,
        offered: Option<&Stream>,
        response: Option<&Arc<Message>>,
        ctx: &mut Ctx<'_>,
    ) {
        let side = from.other();
        let body = response.and_then(|response| description(response));
        let stream = body.and_then(|body| {
            let negotiation = self.negotiation.as_ref()?;
            if offered.is_some() {
                negotiation.read_answer(side, &body).ok()
            } else {
                negotiation.read_offer(side, &body).ok()
            }
        });
        let leg = self.leg(side);
        let ack = |ctx: &mut Ctx<'_>| {
            if let Some(leg) = leg {
                ctx.agent.ack(ctx.now, leg, None);
            }
        };
        let Some(stream) = stream else {
            // The old session stays in force.
            ack(ctx);
            return ctx.agent.respond(ctx.now, txn, 488, Extra::default());
        };
        match offered {
            Some(offered) => {
                ack(ctx);
                self.accept(from, offered, ctx);
            }
            None => {
                if let Some(talk) = self.talk() {
                    talk.offer = Offer::Answering { from, txn };
                }
            }
        }
        self.accept(side, &stream, ctx);
        let payload = self.cross(side, &stream);
        ctx.agent.respond(ctx.now, txn, 200, Extra { payload, ..Extra::default() });
    }

    pub(super) fn on_talk_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono;
        let Some(talk) = self.talk() else { return };
        if let Offer::Crossing { txn, ours, until, .. } = talk.offer
            && until <= now
        {
            talk.offer = Offer::Idle;
            ctx.agent.cancel_request(ctx.now, ours);
            ctx.agent.respond(ctx.now, txn, 408, Extra::default());
        }
    }
}
