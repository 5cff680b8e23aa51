//! What a referrer is told of its transfer (RFC 3515 §2.4.4): `message/sipfrag` bodies, one NOTIFY after the other, so
//! that none overtakes another; of those that wait only the newest is kept.

use bytes::Bytes;

use crate::core::agent::{ClientTxn, Extra, LegId, Payload};
use crate::core::call::Ctx;
use crate::wire::sip::build;

/// The implicit subscription of one REFER.
#[derive(Debug)]
pub(super) struct Notices {
    leg: LegId,
    id: u32,
    sent: Option<ClientTxn>,
    waiting: Option<u16>,
    /// The last word was said, or nobody listens.
    over: bool,
}

impl Notices {
    pub(super) fn new(leg: LegId, id: u32) -> Notices {
        Notices { leg, id, sent: None, waiting: None, over: false }
    }

    /// Nothing is under way and nothing waits.
    pub(super) fn is_done(&self) -> bool {
        self.over && self.sent.is_none() && self.waiting.is_none()
    }

    /// Tells how far the new leg has come. A final status ends the subscription.
    pub(super) fn tell(&mut self, status: u16, ctx: &mut Ctx<'_>) {
        if self.over {
            return;
        }
        if self.sent.is_some() {
            self.waiting = Some(status);
        } else {
            self.send(status, ctx);
        }
        self.over = status >= 200;
    }

    /// Response to one of our requests; `false` when it was not a NOTIFY of this subscription.
    pub(super) fn on_response(&mut self, txn: ClientTxn, status: u16, ctx: &mut Ctx<'_>) -> bool {
        if self.sent != Some(txn) {
            return false;
        }
        if status < 200 {
            return true;
        }
        self.sent = None;
        match self.waiting.take() {
            // The subscription is gone (RFC 6665 §4.2.2).
            _ if status >= 300 => self.over = true,
            Some(next) => self.send(next, ctx),
            None => {}
        }
        true
    }

    fn send(&mut self, status: u16, ctx: &mut Ctx<'_>) {
        let state = if status >= 200 { "terminated;reason=noresource" } else { "active;expires=180" };
        let headers =
            vec![("Event".into(), format!("refer;id={}", self.id)), ("Subscription-State".into(), state.to_owned())];
        let line = format!("SIP/2.0 {status} {}\r\n", build::phrase(status));
        let payload = Payload { content_type: "message/sipfrag;version=2.0".to_owned(), bytes: Bytes::from(line) };
        let extra = Extra { headers, payload: Some(payload), phrase: None };
        self.sent = Some(ctx.agent.request(ctx.now, self.leg, rsip::Method::Notify, extra));
    }
}
