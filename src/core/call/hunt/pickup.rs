//! Another phone of the company takes a call that rings: INVITE with Replaces of an early dialog that we began (RFC 3891
//! §3). It is answered, and the phones that ring stop.

use std::sync::Arc;

use super::super::talk::Talk;
use super::super::{Call, Ctx, State};
use super::parallel::ELSEWHERE;
use crate::core::agent::{Extra, Flow, LegId};
use crate::core::call::offer::description;
use crate::ids::Side;
use crate::wire::sip::Message;

impl Call {
    /// `leg` takes the place of `old`, which rings. Refused with 603 when another address asks, with 488 when the two
    /// have no codec in common, or when the caller's INVITE had no offer that could be answered here.
    pub(in crate::core::call) fn pick_up(
        &mut self,
        leg: LegId,
        old: LegId,
        request: &Arc<Message>,
        flow: Flow,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), (u16, &'static str)> {
        let State::Hunting(hunt) = &mut self.state else { return Err((603, "replaces_foreign_dialog")) };
        let rings = hunt.attempt_of(old).map(|attempt| attempt.target);
        let (Some(target), Some(rung)) = (rings, ctx.agent.flow(old)) else {
            return Err((603, "replaces_foreign_dialog"));
        };
        if rung.remote.ip() != flow.remote.ip() {
            return Err((603, "replaces_foreign_dialog"));
        }
        let body =
            description(request).filter(|_| self.facts.offer.is_some()).ok_or((488, "replaces_without_offer"))?;
        self.talk_as(target, ctx);
        let session = self.spread(ctx, u64::MAX);
        let agreed = self.negotiation.as_mut().and_then(|negotiation| {
            let offer = negotiation.read_offer(Side::Company, &body).ok()?;
            negotiation.answer_newcomer(session, &offer)
        });
        let (newcomer, stream, payload) = agreed.ok_or((488, "no_common_codec"))?;
        self.cancel_others(old, ctx);
        self.forget_early(old, ctx);
        if let State::Hunting(hunt) = &mut self.state
            && let Some(attempt) = hunt.attempts.pop()
        {
            self.note_tried(&attempt, 200, ctx.now);
        }
        let headers = vec![("Reason".into(), ELSEWHERE.to_owned())];
        ctx.agent.cancel(ctx.now, old, Extra { headers, ..Extra::default() });

        let trunk = self.facts.plan.targets.get(target).and_then(|target| target.trunk.clone());
        let origin = super::origin(&self.facts.company, trunk.as_deref(), flow.remote.ip());
        self.way_out = trunk;
        ctx.new_legs.push(leg);
        self.legs.push(leg);
        self.company = Some(leg);
        ctx.agent.set_nat(leg, origin.nat);
        ctx.agent.set_transfers(leg, self.transfers_of(Side::Company));
        ctx.agent.answer(ctx.now, leg, Extra { payload: Some(payload), ..Extra::default() });
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.welcome(newcomer, origin);
        }
        self.learn(Side::Company, request);
        self.accept(Side::Company, &stream, ctx);
        let payload = self.describe_answer(&stream);
        ctx.agent.answer(ctx.now, self.facts.leg, Extra { payload, ..Extra::default() });
        self.connected(Talk::new(false), ctx);
        Ok(())
    }
}
