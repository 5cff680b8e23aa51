//! Before the answer: what the company's phones describe in provisional responses, and what either side asks for in an
//! early dialog.
//!
//! The rule for early media when an INVITE forks: the caller hears the latest provisional response that described any
//! (RFC 3960 §3.2). With the answer only the winner's media is relayed and recorded.
//!
//! The rule for the answer: a description in a reliable provisional response is the answer of its dialog (RFC 3262 §5,
//! RFC 6337 §3.1.1): the 2xx need not repeat it, and what it says instead is ignored. One in an unreliable response is
//! a preview: the 2xx replaces it, and a 2xx without any is taken to mean the same.

use rsip::Method;

use crate::core::agent::{Extra, LegId, Payload, ServerTxn};
use crate::core::call::offer::{Stream, description};
use crate::core::call::{Call, Ctx};
use crate::core::media::MediaCommand;
use crate::ids::Side;
use crate::limits;
use crate::wire::sip::Message;

/// What was said before the answer.
#[derive(Debug, Default)]
pub(super) struct Early {
    said: Vec<Said>,
    /// The caller has acknowledged our answer (PRACK), and so have we the company's: either may make a new offer.
    agreed: bool,
}

/// The description of one early dialog.
#[derive(Debug)]
struct Said {
    leg: LegId,
    tag: Box<str>,
    stream: Stream,
    reliable: bool,
}

impl Early {
    /// Offer and answer are complete on both legs, so that UPDATE may carry a new offer (RFC 3311 §5.1).
    pub(super) fn is_agreed(&self) -> bool {
        self.agreed
    }
}

impl Call {
    /// A provisional response of the company with a description: the caller hears it from now on. Gives our
    /// description of it for the caller.
    pub(super) fn on_early_description(
        &mut self,
        leg: LegId,
        response: &Message,
        ctx: &mut Ctx<'_>,
    ) -> Option<Payload> {
        let stream = self.remember_early(leg, response)?;
        self.accept(Side::Company, &stream, ctx);
        self.cross(Side::Company, &stream)
    }

    /// Keeps the description of a provisional response. `None` when it has none, or when its dialog has its answer.
    pub(super) fn remember_early(&mut self, leg: LegId, response: &Message) -> Option<Stream> {
        self.facts.offer.as_ref()?;
        let body = description(response)?;
        let stream = self.negotiation.as_ref()?.read_answer(Side::Company, &body).ok()?;
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let reliable = is_reliable(response);
        let is_full = self.early.said.len() >= limits::SIP_FORKS;
        match self.early.said.iter_mut().find(|said| said.leg == leg && *said.tag == *tag) {
            // A second description in a dialog that has its answer is none (RFC 6337 §3.1.1).
            Some(said) if said.reliable => return None,
            Some(said) => (said.stream, said.reliable) = (stream.clone(), reliable),
            None if !is_full => {
                self.early.said.push(Said { leg, tag: tag.into(), stream: stream.clone(), reliable });
            }
            None => return None,
        }
        Some(stream)
    }

    /// The answer of the 2xx that made the call, by the rule above.
    pub(super) fn final_answer(&self, leg: LegId, response: &Message) -> Option<Stream> {
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let said = self.early.said.iter().find(|said| said.leg == leg && *said.tag == *tag);
        if let Some(said) = said.filter(|said| said.reliable) {
            return Some(said.stream.clone());
        }
        match description(response) {
            Some(body) => self.negotiation.as_ref()?.read_answer(Side::Company, &body).ok(),
            None => said.map(|said| said.stream.clone()),
        }
    }

    /// A destination is given up: nothing of its media is relayed any more.
    pub(super) fn forget_early(&mut self, leg: LegId, ctx: &mut Ctx<'_>) {
        let before = self.early.said.len();
        self.early.said.retain(|said| said.leg != leg);
        if self.early.said.len() < before {
            let id = self.id();
            ctx.media(id, MediaCommand::Remote(Side::Company, None));
        }
    }

    /// A request within an early dialog.
    pub(super) fn on_early_request(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let status = match request.method() {
            Some(Method::Update | Method::Invite) => return self.on_offer(side, txn, request, ctx),
            Some(Method::Options | Method::Info) => 200,
            Some(Method::Refer) => 603,
            Some(Method::Notify) => 481,
            // Nobody is there yet who could read it.
            Some(Method::Message) => 480,
            _ => 405,
        };
        ctx.agent.respond(ctx.now, txn, status, Extra::default());
    }
}

/// RFC 3262 §3: what wants a PRACK.
fn is_reliable(response: &Message) -> bool {
    response.header("RSeq").is_some() && response.list("Require").any(|option| option.eq_ignore_ascii_case("100rel"))
}
