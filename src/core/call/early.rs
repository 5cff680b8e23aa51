//! Before the answer: what the company's phones describe in provisional responses, and what either side asks for in an
//! early dialog.
//!
//! The rule for early media when an INVITE forks: the caller hears the latest provisional response that described any
//! (RFC 3960 §3.2). With the answer only the winner's media is relayed and recorded.
//!
//! The rule for the answer: a description in a reliable provisional response is the answer of its dialog (RFC 3262 §5,
//! RFC 6337 §3.1.1): the 2xx need not repeat it, and what it says instead is ignored. One in an unreliable response is
//! a preview: the 2xx replaces it, and a 2xx without any is taken to mean the same.
//!
//! What the caller was told in a reliable response binds us: other descriptions of the hunt change what is relayed, and
//! the caller hears of the one that won by an offer of ours after its ACK.
//!
//! An INVITE without offer asks for reliable responses only when the caller takes them: then the company's first offer
//! crosses in ours and the answer comes back from PRACK to PRACK. Of a fork only the first phone that makes an offer is
//! asked so; another one that wins gets the caller's answer in our ACK.

use rsip::Method;

use crate::core::agent::{Extra, Fork, LegId, Payload, ServerTxn};
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
    told: Option<Told>,
    /// The company's offer that waits for the caller's PRACK.
    asked: Option<(LegId, Fork)>,
    /// The legs whose INVITE had no offer.
    offerless: Vec<LegId>,
}

/// What the caller got in a reliable response.
#[derive(Debug)]
struct Told {
    stream: Stream,
    /// It answered the caller's offer and nothing came after it: the 2xx says the same again, for a caller that reads
    /// only that.
    again: bool,
}

/// The description of one early dialog.
#[derive(Debug)]
struct Said {
    leg: LegId,
    tag: Box<str>,
    stream: Stream,
    reliable: bool,
}

/// What the 2xx of a destination means for the session.
pub(super) enum Final {
    Answer(Stream),
    /// The caller is to answer it.
    Offer(Stream),
    /// The caller has answered another one already: so do we.
    OfferToUs(Stream),
}

impl Early {
    /// An INVITE went out; without offer the company is to make it.
    pub(super) fn invited(&mut self, leg: LegId, offers: bool) {
        if !offers {
            self.offerless.push(leg);
        }
    }

    fn find(&self, leg: LegId, tag: &str) -> Option<&Said> {
        self.said.iter().find(|said| said.leg == leg && *said.tag == *tag)
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
        if self.early.told.is_some() {
            return None;
        }
        let payload = self.cross(Side::Company, &stream);
        if ctx.agent.is_reliable(self.facts.leg) {
            self.early.told = Some(Told { stream, again: true });
        }
        payload
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

    /// An offer of the company in a reliable provisional response: the caller is asked. What cannot be asked is not
    /// acknowledged, and its sender gives up (RFC 3262 §3).
    pub(super) fn on_early_offer(
        &mut self,
        leg: LegId,
        fork: Fork,
        response: &Message,
        ctx: &mut Ctx<'_>,
    ) -> Option<Payload> {
        let is_asked = self.early.asked.is_some() || self.early.told.is_some();
        if is_asked || self.facts.offer.is_some() || !ctx.agent.is_reliable(self.facts.leg) {
            return None;
        }
        let stream = self.negotiation.as_ref()?.read_offer(Side::Company, &description(response)?).ok()?;
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default().into();
        self.early.said.push(Said { leg, tag, stream: stream.clone(), reliable: true });
        self.early.asked = Some((leg, fork));
        self.accept(Side::Company, &stream, ctx);
        let payload = self.cross(Side::Company, &stream);
        self.early.told = Some(Told { stream, again: false });
        payload
    }

    /// PRACK of the caller with a description: the answer that the company waits for, or else an offer.
    fn on_prack(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let Some((leg, fork)) = self.early.asked.take() else {
            return self.on_offer(Side::Caller, txn, request, ctx);
        };
        let read = |body| self.negotiation.as_ref()?.read_answer(Side::Caller, &body).ok();
        let Some(answer) = description(request).and_then(read) else {
            ctx.agent.respond(ctx.now, txn, 488, Extra::default());
            return self.hang_up("bad_answer_in_prack", ctx);
        };
        ctx.agent.respond(ctx.now, txn, 200, Extra::default());
        self.accept(Side::Caller, &answer, ctx);
        if self.company == Some(leg) {
            let payload = self.cross(Side::Caller, &answer);
            ctx.agent.answer_early(ctx.now, leg, fork, Extra { payload, ..Extra::default() });
        }
        // Other destinations are offered what the caller has agreed to.
        self.facts.offer = Some(answer);
    }

    /// What the 2xx that made the call means, by the rules above.
    pub(super) fn final_description(&self, leg: LegId, response: &Message) -> Option<Final> {
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let said = self.early.find(leg, tag);
        let agreed = said.filter(|said| said.reliable && self.early.asked.is_none_or(|(asked, _)| asked != leg));
        if let Some(said) = agreed {
            return Some(Final::Answer(said.stream.clone()));
        }
        let negotiation = self.negotiation.as_ref()?;
        match description(response) {
            Some(body) if self.early.offerless.contains(&leg) => {
                let offer = negotiation.read_offer(Side::Company, &body).ok()?;
                Some(if self.facts.offer.is_some() { Final::OfferToUs(offer) } else { Final::Offer(offer) })
            }
            Some(body) => negotiation.read_answer(Side::Company, &body).ok().map(Final::Answer),
            None => said.map(|said| Final::Answer(said.stream.clone())),
        }
    }

    /// Acknowledges a 2xx that makes an offer with what the caller has agreed to. Gives what of it is in force.
    pub(super) fn answer_for_caller(&mut self, leg: LegId, offer: &Stream, ctx: &mut Ctx<'_>) -> Option<Stream> {
        let session = self.spread(ctx, u64::MAX);
        let signalling = ctx.agent.flow(leg)?.remote.ip();
        let negotiation = self.negotiation.as_mut()?;
        let (newcomer, stream, payload) = negotiation.answer_newcomer(session, offer)?;
        let nat = self.facts.company.nat || self.way_out.as_ref().is_some_and(|trunk| trunk.nat);
        negotiation.welcome(newcomer, signalling, nat);
        ctx.agent.ack(ctx.now, leg, Some(payload));
        Some(stream)
    }

    /// The description in our 2xx.
    pub(super) fn describe_answer(&mut self, stream: &Stream) -> Option<Payload> {
        match &self.early.told {
            None => self.cross(Side::Company, stream),
            Some(Told { stream, again: true }) => {
                let told = stream.clone();
                self.cross(Side::Company, &told)
            }
            Some(Told { again: false, .. }) => None,
        }
    }

    /// The caller has acknowledged: what it was told early may be another description than the one in force.
    pub(super) fn tell_what_won(&mut self, ctx: &mut Ctx<'_>) {
        if self.early.told.take().is_none() {
            return;
        }
        let held = self.negotiation.as_ref();
        if held.is_some_and(|held| held.in_force(Side::Company).is_some_and(|won| held.is_news(Side::Company, &won))) {
            self.offer_ours(Side::Caller, ctx);
        }
    }

    /// A new offer was agreed on before the answer.
    pub(super) fn renew_early(&mut self, leg: LegId, side: Side, stream: &Stream) {
        match side {
            Side::Caller => self.facts.offer = Some(stream.clone()),
            Side::Company => {
                for said in self.early.said.iter_mut().filter(|said| said.leg == leg && said.reliable) {
                    said.stream = stream.clone();
                }
                if let Some(told) = &mut self.early.told {
                    told.again = false;
                }
            }
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
            Some(Method::PRack) => return self.on_prack(txn, request, ctx),
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
