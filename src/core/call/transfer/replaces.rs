//! INVITE with Replaces (RFC 3891) from the company's side: another of its phones takes over the call.

use std::sync::Arc;

use crate::config::TransferMode;
use crate::core::agent::{Extra, Flow, LegId};
use crate::core::call::offer::description;
use crate::core::call::{Call, Ctx, State};
use crate::ids::Side;
use crate::wire::sip::Message;

use super::Replaces;

impl Call {
    /// `leg` was invited to take the place of `old`, a company leg of this call. Refused with 603 when the company may
    /// not transfer, with 486 when only an early dialog was meant (RFC 3891 §3), with 488 without a usable offer. One that
    /// rings is picked up.
    pub(in crate::core::call) fn on_replaces(
        &mut self,
        leg: LegId,
        old: LegId,
        replaces: &Replaces,
        request: &Arc<Message>,
        flow: Flow,
        ctx: &mut Ctx<'_>,
    ) {
        if let Err((status, code)) = self.take_over(leg, old, replaces, request, flow, ctx) {
            tracing::info!(status, code, "replacement refused");
            let headers = vec![("Reason".into(), format!("SIP;cause={status};text=\"{code}\""))];
            ctx.agent.turn_away(ctx.now, leg, status, Extra { headers, ..Extra::default() });
        }
    }

    fn take_over(
        &mut self,
        leg: LegId,
        old: LegId,
        replaces: &Replaces,
        request: &Arc<Message>,
        flow: Flow,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), (u16, &'static str)> {
        if self.facts.company.transfer.mode != TransferMode::Local {
            return Err((603, "transfer_refused"));
        }
        if matches!(self.state, State::Hunting(_)) {
            self.pick_up(leg, old, request, flow, ctx)?;
            self.told_transferred(contact_of(request), "picked_up", ctx);
            return Ok(());
        }
        if !matches!(self.state, State::Talking(_)) {
            return Err((603, "replaces_ended_dialog"));
        }
        if self.company != Some(old) || ctx.agent.flow(old).is_none_or(|own| own.remote.ip() != flow.remote.ip()) {
            return Err((603, "replaces_foreign_dialog"));
        }
        if replaces.early_only {
            return Err((486, "replaces_confirmed"));
        }
        if self.transfer.is_some() || !self.is_settled() {
            return Err((491, "transfer_in_progress"));
        }
        let body = description(request).ok_or((488, "replaces_without_offer"))?;
        let spread = self.spread(ctx, u64::MAX);
        let negotiation = self.negotiation.as_mut().ok_or((488, "replaces_without_offer"))?;
        let offer = negotiation.read_offer(Side::Company, &body).map_err(|_| (488, "no_common_codec"))?;
        let (newcomer, stream, payload) =
            negotiation.answer_newcomer(spread, &offer).ok_or((488, "no_common_codec"))?;
        ctx.new_legs.push(leg);
        self.legs.push(leg);
        ctx.agent.set_nat(leg, self.facts.company.nat);
        ctx.agent.set_transfers(leg, self.transfers_of(Side::Company));
        ctx.agent.answer(ctx.now, leg, Extra { payload: Some(payload), ..Extra::default() });
        self.take_company(leg, newcomer, &stream, flow.remote.ip(), ctx);
        self.learn(Side::Company, request);
        self.told_transferred(contact_of(request), "replaced", ctx);
        ctx.agent.bye(ctx.now, old, Extra::default());
        Ok(())
    }
}

fn contact_of(request: &Message) -> String {
    request.contact().and_then(Result::ok).map_or_else(String::new, |contact| contact.uri.text.to_owned())
}
