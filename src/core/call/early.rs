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
//! crosses in ours and the answer comes back from PRACK to PRACK. Offers of other phones of a fork are [`forks`]'; one that
//! is made in a 2xx is answered in our ACK, as soon as the caller has agreed to anything.

mod forks;

use rsip::Method;

use crate::core::agent::{Extra, Fork, LegId, Payload, ServerTxn};
use crate::core::call::offer::{Stream, description};
use crate::core::call::{Call, Ctx};
use crate::core::media::MediaCommand;
use crate::ids::Side;
use crate::limits;
use crate::wire::sip::Message;

use forks::{Offered, Parties};

/// What was said before the answer.
#[derive(Debug, Default)]
pub(super) struct Early {
    said: Vec<Said>,
    told: Option<Told>,
    /// The company's offer that waits for the caller's PRACK.
    asked: Option<Asked>,
    /// Offers that wait for the same PRACK.
    due: Vec<Offered>,
    parties: Parties,
    /// The offer of a 2xx that came before that PRACK.
    won: Option<Stream>,
    /// The legs whose INVITE had no offer.
    offerless: Vec<LegId>,
}

/// The early dialog whose offer the caller was asked.
#[derive(Debug)]
struct Asked {
    leg: LegId,
    fork: Fork,
    tag: Box<str>,
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
    /// The caller has another one before it: its answer to that is ours to this.
    OfferAfterPrack(Stream),
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

    /// The caller has a description that binds us.
    pub(super) fn is_told(&self) -> bool {
        self.early.told.is_some()
    }

    /// The caller is about to get this description of ours in a provisional response.
    pub(super) fn tell_early(&mut self, stream: Stream, ctx: &Ctx<'_>) {
        if ctx.agent.is_reliable(self.facts.leg) {
            self.early.told = Some(Told { stream, again: true });
        }
    }

    /// Keeps the description of a provisional response. `None` when it has none, or when its dialog has its answer.
    pub(super) fn remember_early(&mut self, leg: LegId, response: &Message) -> Option<Stream> {
        self.facts.offer.as_ref()?;
        if self.early.offerless.contains(&leg) {
            // What is no offer here is nothing (RFC 3261 §13.2.1).
            return None;
        }
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

    /// An offer of the company in a reliable provisional response: the caller is asked. What nobody can be asked or what
    /// we cannot read is not acknowledged, and its sender gives up (RFC 3262 §3).
    pub(super) fn on_early_offer(
        &mut self,
        leg: LegId,
        fork: Fork,
        response: &Message,
        ctx: &mut Ctx<'_>,
    ) -> Option<Payload> {
        let stream = self.negotiation.as_ref()?.read_offer(Side::Company, &description(response)?).ok()?;
        let tag: Box<str> = response.to().ok().and_then(|to| to.tag()).unwrap_or_default().into();
        if self.early.asked.is_some() || self.early.told.is_some() || self.facts.offer.is_some() {
            self.on_other_offer(Offered { leg, fork, tag, stream }, ctx);
            return None;
        }
        if !ctx.agent.is_reliable(self.facts.leg) {
            return None;
        }
        self.early.said.push(Said { leg, tag: tag.clone(), stream: stream.clone(), reliable: true });
        self.early.parties.begin(leg, tag.clone());
        self.early.asked = Some(Asked { leg, fork, tag });
        self.accept(Side::Company, &stream, ctx);
        let payload = self.cross(Side::Company, &stream);
        self.early.told = Some(Told { stream, again: false });
        payload
    }

    /// PRACK of the caller with a description: the answer that the company waits for, or else an offer.
    fn on_prack(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let Some(asked) = self.early.asked.take() else {
            return self.on_offer(Side::Caller, txn, request, ctx);
        };
        let Some(answer) = self.agree_early(request, ctx) else {
            ctx.agent.respond(ctx.now, txn, 488, Extra::default());
            return self.hang_up("bad_answer_in_prack", ctx);
        };
        ctx.agent.respond(ctx.now, txn, 200, Extra::default());
        if self.company == Some(asked.leg) {
            let payload = self.cross(Side::Caller, &answer);
            ctx.agent.answer_early(ctx.now, asked.leg, asked.fork, Extra { payload, ..Extra::default() });
        }
        self.answer_forks(ctx);
    }

    /// The caller's answer in its PRACK. Other destinations are offered what it has agreed to.
    fn agree_early(&mut self, request: &Message, ctx: &mut Ctx<'_>) -> Option<Stream> {
        let answer = self.negotiation.as_ref()?.read_answer(Side::Caller, &description(request)?).ok()?;
        self.accept(Side::Caller, &answer, ctx);
        self.facts.offer = Some(answer.clone());
        Some(answer)
    }

    /// PRACK of the caller after the company's answer, for which our 2xx waits. Gives what the company's ACK says when
    /// that waits, too; `Err`: neither can be answered.
    pub(super) fn on_prack_after_answer(
        &mut self,
        txn: ServerTxn,
        request: &Message,
        ctx: &mut Ctx<'_>,
    ) -> Result<bool, ()> {
        let (asked, won) = (self.early.asked.take(), self.early.won.take());
        if asked.is_some() && self.agree_early(request, ctx).is_none() {
            ctx.agent.respond(ctx.now, txn, 488, Extra::default());
            return Err(());
        }
        ctx.agent.respond(ctx.now, txn, 200, Extra::default());
        let (Some(leg), Some(offer)) = (self.company, won) else { return Ok(false) };
        let stream = self.answer_for_caller(leg, &offer, ctx).ok_or(())?;
        self.accept(Side::Company, &stream, ctx);
        Ok(true)
    }

    /// A 2xx has made an offer that the caller will not be asked: it waits for the PRACK.
    pub(super) fn keep_offer(&mut self, offer: Stream) {
        self.early.won = Some(offer);
    }

    /// What the 2xx that made the call means, by the rules above.
    pub(super) fn final_description(&self, leg: LegId, response: &Message) -> Option<Final> {
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let said = self.early.find(leg, tag);
        let is_asked = |asked: &Asked| asked.leg == leg && *asked.tag == *tag;
        let agreed = said.filter(|said| said.reliable && !self.early.asked.as_ref().is_some_and(is_asked));
        if let Some(said) = agreed {
            return Some(Final::Answer(said.stream.clone()));
        }
        let negotiation = self.negotiation.as_ref()?;
        match description(response) {
            Some(body) if self.early.offerless.contains(&leg) => {
                let offer = negotiation.read_offer(Side::Company, &body).ok()?;
                Some(match (&self.facts.offer, &self.early.asked) {
                    (Some(_), _) => Final::OfferToUs(offer),
                    (None, Some(_)) => Final::OfferAfterPrack(offer),
                    (None, None) => Final::Offer(offer),
                })
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
        let origin = super::hunt::origin(&self.facts.company, self.way_out.as_deref(), signalling);
        negotiation.welcome(newcomer, origin);
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
                // The only early dialog: of several none may change anything.
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
        self.early.due.retain(|offered| offered.leg != leg);
        self.early.parties.forget(leg);
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
pub(super) fn is_reliable(response: &Message) -> bool {
    response.header("RSeq").is_some() && response.list("Require").any(|option| option.eq_ignore_ascii_case("100rel"))
}
