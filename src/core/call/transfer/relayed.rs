//! A REFER that crosses: its response and its NOTIFYs come back the same way.

use rsip::Method;

use crate::core::agent::{ClientTxn, Extra, Payload, ServerTxn};
use crate::core::call::{Call, Ctx};
use crate::ids::Side;
use crate::limits;
use crate::wire::sip::Message;

use super::refer;

/// The subscription that a relayed REFER has made.
#[derive(Clone, Copy, Debug)]
pub(in crate::core::call) struct Relayed {
    from: Side,
    txn: ServerTxn,
    ours: ClientTxn,
    /// CSeq number of the REFER as it came: its sender knows the subscription by it.
    id: u32,
    /// A 2xx has made the subscription.
    open: bool,
}

impl Call {
    pub(super) fn relay_refer(
        &mut self,
        side: Side,
        txn: ServerTxn,
        request: &Message,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), refer::Refusal> {
        if self.relayed.is_some() || !self.is_settled() {
            return Err((491, "transfer_in_progress"));
        }
        let refer = refer::read(request)?;
        if refer.replaces.is_some() {
            // It names a dialog of its sender, which means nothing to the other party.
            return Err((603, "transfer_replaces_not_relayed"));
        }
        let leg = self.leg(side.other()).ok_or((481, "transfer_too_early"))?;
        let mut headers = vec![("Refer-To".into(), format!("<{}>", refer.uri))];
        let referred_by = request.header("Referred-By").filter(|text| text.len() <= limits::SIP_TOKEN);
        headers.extend(referred_by.map(|text| ("Referred-By".into(), text.to_owned())));
        if !refer.subscribes {
            headers.push(("Refer-Sub".into(), "false".to_owned()));
        }
        let ours = ctx.agent.request(ctx.now, leg, Method::Refer, Extra { headers, ..Extra::default() });
        self.relayed = Some(Relayed { from: side, txn, ours, id: refer.id, open: false });
        Ok(())
    }

    /// Final response to the REFER that crosses; `false` when it was something else.
    pub(in crate::core::call) fn on_refer_relayed(&mut self, txn: ClientTxn, status: u16, ctx: &mut Ctx<'_>) -> bool {
        let Some(relayed) = self.relayed.as_mut().filter(|relayed| relayed.ours == txn) else { return false };
        relayed.open = (200..300).contains(&status);
        ctx.agent.respond(ctx.now, relayed.txn, status, Extra::default());
        if !relayed.open {
            self.relayed = None;
        }
        true
    }

    /// NOTIFY within the dialog of a side: back to who sent the REFER, or 481 (RFC 6665 §4.1.3).
    pub(in crate::core::call) fn on_notify(
        &mut self,
        side: Side,
        txn: ServerTxn,
        request: &Message,
        ctx: &mut Ctx<'_>,
    ) {
        let event = request.header("Event").unwrap_or_default();
        let is_refer = event.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("refer"));
        let ours = self.relayed.filter(|relayed| relayed.open && relayed.from != side && is_refer);
        let leg = ours.and_then(|relayed| self.leg(relayed.from));
        let (Some(relayed), Some(leg), true) = (ours, leg, self.may_pass()) else {
            return ctx.agent.respond(ctx.now, txn, 481, Extra::default());
        };
        let state = request.header("Subscription-State").unwrap_or("active");
        let ended = state.trim_start().to_ascii_lowercase().starts_with("terminated");
        let headers =
            vec![("Event".into(), format!("refer;id={}", relayed.id)), ("Subscription-State".into(), state.to_owned())];
        let content_type = request.header("Content-Type").filter(|_| request.has_content_type("message/sipfrag"));
        let payload = content_type.map(|text| Payload { content_type: text.to_owned(), bytes: request.body() });
        let ours = ctx.agent.request(ctx.now, leg, Method::Notify, Extra { headers, payload, phrase: None });
        self.pass(Some(txn), ours);
        if ended {
            self.relayed = None;
        }
    }
}
