//! Offers on their way across (RFC 3264, 3261 §14, 3311): at most one at a time, and none waits in a queue.
//!
//! An offer crosses as what it came in: a re-INVITE as a re-INVITE, an UPDATE as an UPDATE, or as a re-INVITE where the
//! other party does not allow UPDATE. What changes nothing that the other party could see (its peer's media has moved,
//! a session is kept alive) is answered here, because media goes through us.
//!
//! Glare. Whoever comes second gets 491 from us, and a 491 of the other party goes back to who asked. No back-off of
//! ours is in between: the caller made its dialog and waits 2.1 to 4 s, the company's was made by us, so it waits 0 to
//! 2 s (RFC 3261 §14.1); the two never meet again, and what they want comes through one after the other.

use std::sync::Arc;
use std::time::Duration;

use rsip::Method;

use crate::core::agent::{ClientTxn, Extra, LegId, ServerTxn};
use crate::core::call::offer::{Stream, description};
use crate::core::call::{Call, Ctx, State};
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Wakeup};
use crate::wire::sip::Message;

/// The one offer that is under way between the parties.
#[derive(Debug, Default)]
pub(in crate::core::call) enum Offer {
    #[default]
    Idle,
    Crossing(Box<Crossing>),
    /// The other side made the offer in its 2xx; the answer is due in `from`'s ACK.
    Answering {
        from: Side,
        txn: ServerTxn,
    },
    /// We have changed something that this side must hear of: a new company leg, or an old session back in force.
    Ours(Ours),
}

/// A re-INVITE or UPDATE of `from`, on its way as `ours`.
#[derive(Debug)]
pub(in crate::core::call) struct Crossing {
    pub(in crate::core::call) from: Side,
    txn: ServerTxn,
    ours: ClientTxn,
    /// The leg that it came on, and the one that it crosses to.
    legs: [LegId; 2],
    /// What was offered; `None`: the other side is to make the offer.
    stream: Option<Stream>,
    until: Mono,
    is_update: bool,
}

/// An offer that we make ourselves.
#[derive(Clone, Copy, Debug)]
pub(in crate::core::call) struct Ours {
    to: Side,
    tries: u8,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Sent(ClientTxn),
    /// After glare.
    Later(Mono),
}

/// How an offer is refused before it crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// An offer of ours is on its way to them.
    Glare,
    /// An offer of theirs has no answer yet (RFC 3311 §5.2).
    Busy,
}

impl Offer {
    pub(in crate::core::call) fn poll_timeout(&self) -> Option<Wakeup> {
        match self {
            Offer::Crossing(crossing) => Some((crossing.until, "offer")),
            Offer::Ours(Ours { step: Step::Later(at), .. }) => Some((*at, "offer of ours")),
            Offer::Idle | Offer::Answering { .. } | Offer::Ours(_) => None,
        }
    }

    /// For the table of states.
    pub(in crate::core::call) fn is_idle(&self) -> bool {
        matches!(self, Offer::Idle)
    }
}

impl Call {
    /// A re-INVITE or UPDATE of this side.
    pub(in crate::core::call) fn on_offer(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let is_update = request.method() != Some(Method::Invite);
        let body = description(request);
        if is_update && body.is_none() {
            // It refreshes the target or the session of this leg (RFC 3311 §5.1, RFC 4028), and each leg has its own.
            return ctx.agent.respond(ctx.now, txn, 200, Extra::default());
        }
        match self.offer_door(side, is_update, ctx) {
            Door::Open => {}
            Door::Glare => return ctx.agent.respond(ctx.now, txn, 491, Extra::default()),
            Door::Busy => {
                let seconds = self.spread(ctx, 10);
                let headers = vec![("Retry-After".into(), seconds.to_string())];
                return ctx.agent.respond(ctx.now, txn, 500, Extra { headers, ..Extra::default() });
            }
        }
        let stream = match (&body, &self.negotiation) {
            (Some(body), Some(negotiation)) => match negotiation.read_offer(side, body) {
                Ok(stream) => Some(stream),
                Err(_) => return ctx.agent.respond(ctx.now, txn, 488, Extra::default()),
            },
            _ => None,
        };
        if let Some(stream) = &stream
            && let Some(answer) = self.negotiation.as_mut().and_then(|held| held.answer_alone(side, stream))
        {
            self.accept(side, stream, ctx);
            self.renewed(side, stream);
            let payload = self.cross(side.other(), &answer);
            return ctx.agent.respond(ctx.now, txn, 200, Extra { payload, ..Extra::default() });
        }
        let (Some(asker), Some(leg)) = (self.leg(side), self.leg(side.other())) else {
            return ctx.agent.respond(ctx.now, txn, 491, Extra::default());
        };
        let as_update = is_update && self.allows_update[side.other().index()];
        if is_update && !as_update && !matches!(self.state, State::Talking(_)) {
            // Before the answer only UPDATE could carry it (RFC 3261 §14.1): later, then.
            return ctx.agent.respond(ctx.now, txn, 491, Extra::default());
        }
        let payload = stream.as_ref().and_then(|stream| self.cross(side, stream));
        let method = if as_update { Method::Update } else { Method::Invite };
        let ours = ctx.agent.request(ctx.now, leg, method, Extra { payload, ..Extra::default() });
        if !is_update {
            // It is with somebody else now: its sender need not repeat it (RFC 3261 §17.2.1).
            ctx.agent.respond(ctx.now, txn, 100, Extra::default());
        }
        let patience = if is_update { limits::OFFER_UPDATE } else { limits::OFFER };
        let until = ctx.now.mono + patience;
        self.offer =
            Offer::Crossing(Box::new(Crossing { from: side, txn, ours, legs: [asker, leg], stream, until, is_update }));
    }

    /// Whether an offer of this side may cross now (RFC 3261 §14.2, RFC 3311 §5.2).
    fn offer_door(&self, side: Side, is_update: bool, ctx: &Ctx<'_>) -> Door {
        let (theirs_waits, ours_waits) = match (&self.offer, &self.state) {
            (Offer::Crossing(crossing), _) => (crossing.from == side, crossing.from != side),
            // The other side made the offer, we passed it to `from`.
            (Offer::Answering { from, .. }, _) => (*from != side, *from == side),
            (Offer::Ours(ours), _) => (false, ours.to == side || !is_update),
            (Offer::Idle, State::Talking(talk)) if talk.is_settled() => (false, false),
            // The first answer is still to come in the caller's ACK, or the ACK itself is.
            (Offer::Idle, State::Talking(talk)) => (talk.company_waits() && side == Side::Company, true),
            // The agent has looked at the leg that it came on.
            (Offer::Idle, _) if self.is_forked(ctx) => (false, true),
            (Offer::Idle, _) if self.leg(side.other()).is_some_and(|leg| ctx.agent.may_offer(leg)) => (false, false),
            (Offer::Idle, _) => (side == Side::Caller, true),
        };
        match (theirs_waits, ours_waits) {
            // A re-INVITE that comes while another is pending is the agent's to refuse; what is left is glare.
            (true, _) if is_update => Door::Busy,
            (false, false) => Door::Open,
            _ => Door::Glare,
        }
    }

    /// Response to a request of ours that carried an offer; `false` when it was none of those.
    pub(in crate::core::call) fn on_offer_response(
        &mut self,
        side: Side,
        txn: ClientTxn,
        status: u16,
        response: Option<&Arc<Message>>,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        match &self.offer {
            Offer::Crossing(crossing) if crossing.ours == txn => {
                let Offer::Crossing(crossing) = std::mem::take(&mut self.offer) else { return false };
                self.on_crossed(side, *crossing, status, response, ctx);
                true
            }
            Offer::Ours(ours) if matches!(ours.step, Step::Sent(sent) if sent == txn) => {
                let ours = *ours;
                self.offer = Offer::Idle;
                self.on_ours_answered(side, ours, status, response, ctx);
                true
            }
            _ => false,
        }
    }

    fn on_crossed(
        &mut self,
        side: Side,
        crossing: Crossing,
        status: u16,
        response: Option<&Arc<Message>>,
        ctx: &mut Ctx<'_>,
    ) {
        if (200..300).contains(&status) {
            return self.on_reanswer(side, crossing, response, ctx);
        }
        self.take_back(side);
        ctx.agent.respond(ctx.now, crossing.txn, refusal(status, crossing.is_update), Extra::default());
        // RFC 3261 §12.2.1.2: the dialog is gone on that side. Before the answer its INVITE decides.
        if matches!(status, 408 | 481) && matches!(self.state, State::Talking(_)) {
            self.lost(side, ctx);
        }
    }

    /// 2xx of `side` to what crossed.
    fn on_reanswer(&mut self, side: Side, crossing: Crossing, response: Option<&Arc<Message>>, ctx: &mut Ctx<'_>) {
        let Crossing { from, txn, legs: [_, leg], stream: offered, is_update, .. } = crossing;
        let is_invite = response.is_some_and(|response| response.method() == Some(Method::Invite));
        let body = response.and_then(|response| description(response));
        let answer = body.and_then(|body| {
            let negotiation = self.negotiation.as_ref()?;
            match &offered {
                Some(_) => negotiation.read_answer(side, &body).ok(),
                None => negotiation.read_offer(side, &body).ok(),
            }
        });
        // Only a 2xx to INVITE is acknowledged, and one with an offer waits for the answer.
        if is_invite && (offered.is_some() || answer.is_none()) {
            ctx.agent.ack(ctx.now, leg, None);
        }
        let Some(answer) = answer else {
            // The old session stays in force; the side that could not answer is told so.
            self.take_back(side);
            ctx.agent.respond(ctx.now, txn, if is_update { 500 } else { 488 }, Extra::default());
            if offered.is_some() {
                self.offer_ours(side, ctx);
            }
            return;
        };
        match &offered {
            Some(offered) => {
                self.accept(from, offered, ctx);
                self.renewed(from, offered);
            }
            None => self.offer = Offer::Answering { from, txn },
        }
        self.accept(side, &answer, ctx);
        self.renewed(side, &answer);
        let payload = self.cross(side, &answer);
        ctx.agent.respond(ctx.now, txn, 200, Extra { payload, ..Extra::default() });
    }

    /// Before the answer other things hang on what is in force.
    fn renewed(&mut self, side: Side, stream: &Stream) {
        if let (Some(leg), false) = (self.company, matches!(self.state, State::Talking(_))) {
            self.renew_early(leg, side, stream);
        }
    }

    /// ACK of `side` with the answer to what the other side has offered in its 2xx.
    pub(in crate::core::call) fn on_answer_in_ack(
        &mut self,
        side: Side,
        acked: ServerTxn,
        request: &Message,
        ctx: &mut Ctx<'_>,
    ) {
        if !matches!(self.offer, Offer::Answering { from, txn } if from == side && txn == acked) {
            return;
        }
        self.offer = Offer::Idle;
        let payload = self.read_late_answer(side, request, ctx);
        let complete = payload.is_some();
        if let Some(leg) = self.leg(side.other()) {
            ctx.agent.ack(ctx.now, leg, payload);
        }
        if !complete {
            self.hang_up("no_answer_in_ack", ctx);
        }
    }

    /// The re-INVITE that crosses was cancelled; the agent has answered 487.
    pub(in crate::core::call) fn on_offer_cancelled(&mut self, cancelled: ServerTxn, ctx: &mut Ctx<'_>) {
        if let Offer::Crossing(crossing) = &self.offer
            && crossing.txn == cancelled
        {
            let (ours, side) = (crossing.ours, crossing.from.other());
            self.offer = Offer::Idle;
            self.take_back(side);
            ctx.agent.cancel_request(ctx.now, ours);
        }
    }

    /// A 2xx to a re-INVITE that we had given up: it wants its ACK, and that side believes in a session that the other
    /// never heard of. It gets the old one back.
    pub(in crate::core::call) fn on_late_answer(&mut self, side: Side, ctx: &mut Ctx<'_>) {
        if let Some(leg) = self.leg(side) {
            ctx.agent.ack(ctx.now, leg, None);
        }
        if self.offer.is_idle() {
            self.offer_ours(side, ctx);
        }
    }

    pub(in crate::core::call) fn on_offer_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono;
        match &self.offer {
            Offer::Crossing(crossing) if crossing.until <= now => {
                let (ours, side) = (crossing.ours, crossing.from.other());
                self.take_back(side);
                ctx.agent.cancel_request(ctx.now, ours);
                self.drop_offer(408, ctx);
            }
            Offer::Ours(ours) if matches!(ours.step, Step::Later(at) if at <= now) => {
                let Ours { to, tries, .. } = *ours;
                self.offer = Offer::Idle;
                self.send_ours(to, tries, ctx);
            }
            _ => {}
        }
    }

    /// What waits for the other side gets its final response now.
    pub(in crate::core::call) fn drop_offer(&mut self, status: u16, ctx: &mut Ctx<'_>) {
        match std::mem::take(&mut self.offer) {
            Offer::Crossing(crossing) => {
                let status = refusal(status, crossing.is_update);
                ctx.agent.respond(ctx.now, crossing.txn, status, Extra::default());
            }
            Offer::Answering { from, .. } => {
                if let Some(leg) = self.leg(from.other()) {
                    ctx.agent.ack(ctx.now, leg, None);
                }
            }
            Offer::Idle | Offer::Ours(_) => {}
        }
    }

    /// The company leg that an offer crosses to, or comes from, is not ours any more: nobody will answer it.
    pub(in crate::core::call) fn drop_orphaned_offer(&mut self, ctx: &mut Ctx<'_>) {
        if let Offer::Crossing(crossing) = &self.offer
            && !crossing.legs.iter().any(|leg| self.company == Some(*leg))
        {
            self.drop_offer(491, ctx);
        }
    }

    /// Tells `side` what is in force for the other one.
    pub(in crate::core::call) fn offer_ours(&mut self, side: Side, ctx: &mut Ctx<'_>) {
        if matches!(self.state, State::Talking(_)) && self.offer.is_idle() {
            self.send_ours(side, 0, ctx);
        }
    }

    fn send_ours(&mut self, to: Side, tries: u8, ctx: &mut Ctx<'_>) {
        let stream = self.negotiation.as_ref().and_then(|negotiation| negotiation.in_force(to.other()));
        let (Some(leg), Some(stream)) = (self.leg(to), stream) else { return };
        let payload = self.cross(to.other(), &stream);
        let method = if self.allows_update[to.index()] { Method::Update } else { Method::Invite };
        let txn = ctx.agent.request(ctx.now, leg, method, Extra { payload, ..Extra::default() });
        self.offer = Offer::Ours(Ours { to, tries: tries + 1, step: Step::Sent(txn) });
    }

    fn on_ours_answered(
        &mut self,
        side: Side,
        ours: Ours,
        status: u16,
        response: Option<&Arc<Message>>,
        ctx: &mut Ctx<'_>,
    ) {
        match status {
            200..300 => {
                if response.is_some_and(|response| response.method() == Some(Method::Invite))
                    && let Some(leg) = self.leg(side)
                {
                    ctx.agent.ack(ctx.now, leg, None);
                }
                let body = response.and_then(|response| description(response));
                let answer = body.and_then(|body| self.negotiation.as_ref()?.read_answer(side, &body).ok());
                let Some(answer) = answer else { return };
                self.accept(side, &answer, ctx);
                let is_news = self.negotiation.as_ref().is_some_and(|held| held.is_news(side, &answer));
                // The other side has to hear what this one made of it, once.
                if is_news && ours.tries <= limits::OFFER_TRIES {
                    self.send_ours(side.other(), limits::OFFER_TRIES, ctx);
                }
            }
            // RFC 3261 §14.1: who made the dialog waits 2.1 to 4 s, the other up to 2 s.
            491 | 500 if ours.tries < limits::OFFER_TRIES => {
                self.take_back(side);
                let wait = match side {
                    Side::Caller => self.spread(ctx, 2_000),
                    Side::Company => 2_100 + self.spread(ctx, 1_900),
                };
                let at = ctx.now.mono + Duration::from_millis(wait);
                self.offer = Offer::Ours(Ours { step: Step::Later(at), ..ours });
            }
            408 | 481 => self.lost(side, ctx),
            // It keeps the session that it has.
            _ => self.take_back(side),
        }
    }

    fn take_back(&mut self, side: Side) {
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.take_back(side);
        }
    }

    /// From 0 to `below`, not the same for two calls nor at two instants.
    pub(in crate::core::call) fn spread(&self, ctx: &Ctx<'_>, below: u64) -> u64 {
        let call = u64::try_from(self.id().0 & u128::from(u64::MAX)).unwrap_or(0);
        let mixed = (call ^ ctx.now.mono.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) % below.max(1)
    }
}

/// What the sender is told when the other side has refused. Its 503 is not ours (RFC 3261 §16.7), and 408 is not for
/// requests other than INVITE (RFC 4320 §4.2): 504 says the same.
const fn refusal(status: u16, is_update: bool) -> u16 {
    match status {
        503 => 500,
        408 if is_update => 504,
        // Challenges and redirections are between us and the other side.
        401 | 407 | 300..=399 => 488,
        _ => status,
    }
}
