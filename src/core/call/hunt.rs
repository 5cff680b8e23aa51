//! Before the answer: the company's destinations are tried in order.

use crate::core::agent::{AgentEvent, Extra, Invite, Reliable};
use crate::core::b2bua::Output;
use crate::core::call::offer::{Legs, description};
use crate::core::call::talk::Talk;
use crate::core::call::{Call, Ctx, State, ending, headers};
use crate::core::event::{HangupBy, Outcome};
use crate::core::locate::{Asker, Hop};
use crate::core::media::LocalMedia;
use crate::core::route;
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Wakeup};
use crate::wire::sip::Message;

use ending::Why;

/// Where the hunt stands.
#[derive(Debug)]
pub(super) struct Hunt {
    /// Index of the destination being tried.
    current: usize,
    phase: Phase,
    /// What the last destination said: the caller hears it when no other is left.
    last: Option<Why>,
}

#[derive(Debug)]
enum Phase {
    /// The name of the destination is being looked up.
    Resolving { until: Mono },
    /// INVITE is out.
    /// `silent`: by then something must have been heard, when there is another destination to try.
    Inviting { until: Mono, silent: Option<Mono>, heard: bool, ringing: bool },
}

impl Hunt {
    pub(super) fn is_ringing(&self) -> bool {
        matches!(self.phase, Phase::Inviting { ringing: true, .. })
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        Some(match self.phase {
            Phase::Resolving { until } => (until, "resolving"),
            Phase::Inviting { until, silent: Some(silent), .. } => (until.min(silent), "silent destination"),
            Phase::Inviting { until, silent: None, .. } => (until, "ring timeout"),
        })
    }
}

impl Call {
    /// Ports are there: describe ourselves and try the first destination.
    pub(super) fn begin_hunt(&mut self, local: [LocalMedia; 2], ctx: &mut Ctx<'_>) {
        let media = &ctx.settings.config.media;
        let legs = Legs {
            local,
            advertise: media.advertise,
            caller_signalling: self.facts.flow.remote.ip(),
            caller_nat: self.facts.caller_nat,
            session_ids: self.facts.session_ids,
        };
        self.negotiation = Some(super::Negotiation::new(media.codecs, ctx.settings.own_media().clone(), &legs));
        if let Some(offer) = self.facts.offer.clone() {
            if let Some(body) = description(&self.facts.invite)
                && let Some(negotiation) = &self.negotiation
                && negotiation.read_offer(Side::Caller, &body).is_err()
            {
                let why = Why::new(Outcome::Failed, "bad_media_address", HangupBy::System, 488);
                return self.refuse_caller(why, None, ctx);
            }
            self.accept(Side::Caller, &offer, ctx);
        }
        self.try_from(0, None, ctx);
    }

    /// Tries the destinations from `current` on.
    fn try_from(&mut self, mut current: usize, mut last: Option<Why>, ctx: &mut Ctx<'_>) {
        loop {
            let Some(target) = self.facts.targets.get(current).cloned() else {
                let why = last.unwrap_or(Why::new(Outcome::Failed, "no_route", HangupBy::System, 480));
                return self.refuse_caller(why, None, ctx);
            };
            self.facts.data.forwarded_to = Some(target.uri.clone());
            let Some(hop) = target.literal() else {
                let asker = Asker::Call(self.id(), u32::try_from(current).unwrap_or(u32::MAX));
                ctx.out.push_back(Output::Resolve { asker, query: target.query.clone() });
                let phase = Phase::Resolving { until: ctx.now.mono + limits::RESOLVE };
                self.state = State::Hunting(Hunt { current, phase, last });
                return;
            };
            if self.invite(current, hop, last, ctx) {
                return;
            }
            last = Some(Why::new(Outcome::Failed, "destination_unusable", HangupBy::System, 502));
            current += 1;
        }
    }

    pub(super) fn on_resolved(&mut self, question: u32, hops: &[Hop], ctx: &mut Ctx<'_>) {
        let State::Hunting(Hunt { current, phase: Phase::Resolving { .. }, last }) = &self.state else { return };
        let (current, last) = (*current, *last);
        if usize::try_from(question) != Ok(current) {
            return;
        }
        let usable = |hop: &&Hop| !hop.remote.ip().is_unspecified() && !hop.remote.ip().is_multicast();
        let usable = hops.iter().find(usable).copied();
        if let Some(hop) = usable
            && self.invite(current, hop, last, ctx)
        {
            return;
        }
        let why = Why::new(Outcome::Failed, "destination_unresolved", HangupBy::System, 502);
        self.try_from(current + 1, Some(why), ctx);
    }

    /// Sends the INVITE; `false` when none of our listeners can reach the address, or when it is one of them.
    fn invite(&mut self, current: usize, hop: Hop, last: Option<Why>, ctx: &mut Ctx<'_>) -> bool {
        let Some(target) = self.facts.targets.get(current) else { return false };
        let Some(flow) = route::flow_towards(hop, &ctx.settings.listeners) else { return false };
        if ctx.settings.is_ours(hop.remote) {
            // RFC 5393: a destination that leads back to us would fork for ever.
            return false;
        }
        let payload = match (&self.facts.offer, &mut self.negotiation) {
            (Some(offer), Some(negotiation)) => {
                negotiation.company_at(hop.remote.ip(), self.facts.company_nat);
                Some(negotiation.cross(Side::Caller, offer))
            }
            (None, Some(negotiation)) => {
                negotiation.company_at(hop.remote.ip(), self.facts.company_nat);
                None
            }
            (_, None) => None,
        };
        self.way_out = target.trunk.clone();
        let facts = &self.facts;
        let wording = headers::Wording {
            data: &facts.data,
            identity: &facts.identity,
            invite: &facts.invite,
            attribution: &ctx.settings.config.attribution,
            our_host: &ctx.settings.our_host(&flow),
            from: &facts.trunk,
            to: target.trunk.as_ref().unwrap_or(&ctx.settings.plain),
            uri: &target.uri,
            attempt: current + 1,
            now: ctx.now.wall,
        };
        let worded = wording.write();
        let invite = Invite {
            flow,
            request_uri: worded.request_uri,
            from: worded.from,
            to: worded.to,
            max_forwards: facts.max_forwards,
            nat: facts.company_nat,
            reliable: Reliable::Off,
            session: None,
            credentials: target.trunk.as_ref().and_then(|trunk| trunk.credentials.clone()),
            extra: Extra { headers: worded.lines, payload, phrase: None },
        };
        let leg = ctx.agent.invite_taking(ctx.now, invite, self.transfers_of(Side::Company));
        ctx.new_legs.push(leg);
        self.legs.push(leg);
        self.company = Some(leg);
        let until = ctx.now.mono + facts.ring_timeout;
        let has_next = facts.targets.len() > current + 1;
        let silent = has_next.then_some(ctx.now.mono + limits::DESTINATION_SILENT);
        let phase = Phase::Inviting { until, silent, heard: false, ringing: false };
        self.state = State::Hunting(Hunt { current, phase, last });
        true
    }

    /// Events of the destination being tried.
    pub(super) fn on_hunting(&mut self, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match event {
            AgentEvent::Provisional { response, .. } => self.on_provisional(response, ctx),
            AgentEvent::Answered { response, .. } => self.on_answered(response, ctx),
            AgentEvent::Refused { leg, status, response } => {
                if let Some(response) = response {
                    self.take_reasons(response, Side::Caller, ctx);
                }
                let why_failed = ctx.agent.why_failed(*leg).filter(|_| response.is_none());
                self.on_refused(*status, response.is_some(), why_failed, ctx);
            }
            // The destination hangs up a dialog that it never confirmed: as good as a refusal.
            AgentEvent::Bye { .. } => self.on_refused(480, true, None, ctx),
            AgentEvent::Request { txn, request, .. } => self.on_early_request(Side::Company, *txn, request, ctx),
            AgentEvent::Response { txn, status, response, .. } => {
                self.on_offer_response(Side::Company, *txn, *status, response.as_ref(), ctx);
            }
            _ => {}
        }
    }

    fn on_provisional(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        let State::Hunting(Hunt { phase: Phase::Inviting { heard, ringing, .. }, .. }) = &mut self.state else {
            return;
        };
        *heard = true;
        *ringing = true;
        self.facts.data.ringing_at.get_or_insert(ctx.now.wall);
        self.learn(Side::Company, response);
        let payload = self.company.and_then(|leg| self.on_early_description(leg, response, ctx));
        let extra = Extra { payload, ..Extra::default() };
        ctx.agent.provisional(ctx.now, self.facts.leg, response.status(), extra);
    }

    fn on_answered(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        let Some(company) = self.company else { return };
        let delayed = self.facts.offer.is_none();
        self.learn(Side::Company, response);
        let stream = if delayed {
            let body = description(response);
            body.and_then(|body| self.negotiation.as_ref()?.read_offer(Side::Company, &body).ok())
        } else {
            self.final_answer(company, response)
        };
        let Some(stream) = stream else {
            // RFC 3261 §13.2.2.4: an answer we cannot use is acknowledged and hung up.
            ctx.agent.ack(ctx.now, company, None);
            ctx.agent.bye(ctx.now, company, Extra::default());
            self.forget_early(company, ctx);
            self.company = None;
            let why = Why::new(Outcome::Failed, "bad_answer", HangupBy::System, 502);
            let current = match &self.state {
                State::Hunting(hunt) => hunt.current,
                _ => return,
            };
            return self.try_from(current + 1, Some(why), ctx);
        };
        if !delayed {
            ctx.agent.ack(ctx.now, company, None);
        }
        self.accept(Side::Company, &stream, ctx);
        let payload = self.cross(Side::Company, &stream);
        ctx.agent.answer(ctx.now, self.facts.leg, Extra { payload, ..Extra::default() });
        self.connected(Talk::new(delayed), ctx);
    }

    fn on_refused(&mut self, status: u16, heard_from_them: bool, why_failed: Option<&'static str>, ctx: &mut Ctx<'_>) {
        let State::Hunting(Hunt { current, phase: Phase::Inviting { heard, .. }, .. }) = &self.state else { return };
        let mut why = ending::verdict(status, heard_from_them || *heard);
        if let Some(code) = why_failed {
            why.reason = code;
        }
        let current = *current;
        if let Some(leg) = self.company.take() {
            self.forget_early(leg, ctx);
        }
        if ending::ends_hunt(status) || self.facts.final_statuses.contains(&status) {
            return self.refuse_caller(why, None, ctx);
        }
        self.try_from(current + 1, Some(why), ctx);
    }

    pub(super) fn on_hunt_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &mut self.state else { return };
        if let Phase::Inviting { silent, heard, .. } = &mut hunt.phase
            && silent.is_some_and(|at| at <= ctx.now.mono)
        {
            *heard |= self.company.is_some_and(|leg| ctx.agent.is_proceeding(leg));
            if *heard {
                *silent = None;
            }
        }
        let (current, why) = match hunt.phase {
            Phase::Resolving { until } if until <= ctx.now.mono => {
                (hunt.current, Why::new(Outcome::Failed, "destination_unresolved", HangupBy::System, 502))
            }
            Phase::Inviting { until, silent, heard, .. }
                if until <= ctx.now.mono || silent.is_some_and(|at| at <= ctx.now.mono) =>
            {
                let heard = heard || self.company.is_some_and(|leg| ctx.agent.is_proceeding(leg));
                let silent = ending::verdict(408, false);
                let why =
                    if heard { Why::new(Outcome::NoAnswer, "ring_timeout", HangupBy::System, 480) } else { silent };
                (hunt.current, why)
            }
            Phase::Resolving { .. } | Phase::Inviting { .. } => return,
        };
        self.give_up_attempt(Vec::new(), ctx);
        self.try_from(current + 1, Some(why), ctx);
    }

    /// CANCEL to the destination being tried, if there is one. What it still says is the agent's business.
    pub(super) fn give_up_attempt(&mut self, headers: headers::Lines, ctx: &mut Ctx<'_>) {
        if let Some(leg) = self.company.take() {
            self.forget_early(leg, ctx);
            ctx.agent.cancel(ctx.now, leg, Extra { headers, ..Extra::default() });
        }
    }
}
