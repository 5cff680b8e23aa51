//! Requests that cross from leg to leg with their body and nothing else: INFO and MESSAGE.

use crate::core::agent::{ClientTxn, Extra, Payload, ServerTxn};
use crate::core::call::{Call, Ctx};
use crate::ids::Side;
use crate::limits;
use crate::wire::sip::Message;

/// One request on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    txn: ServerTxn,
    ours: ClientTxn,
}

impl Call {
    pub(super) fn relay(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let full = self.talk().is_none_or(|talk| talk.passing.len() >= limits::CROSSING);
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
            talk.passing.push(Passing { txn, ours });
        }
    }

    /// Final response to what crossed; `false` when it was something else.
    pub(super) fn on_relayed(&mut self, ours: ClientTxn, status: u16, ctx: &mut Ctx<'_>) -> bool {
        let Some(talk) = self.talk() else { return false };
        let Some(at) = talk.passing.iter().position(|passing| passing.ours == ours) else { return false };
        let passing = talk.passing.swap_remove(at);
        ctx.agent.respond(ctx.now, passing.txn, status, Extra::default());
        true
    }

    pub(super) fn drop_passing(&mut self, ctx: &mut Ctx<'_>) {
        let Some(talk) = self.talk() else { return };
        for passing in std::mem::take(&mut talk.passing) {
            ctx.agent.respond(ctx.now, passing.txn, 487, Extra::default());
        }
    }
}
