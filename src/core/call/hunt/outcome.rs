//! What comes of an attempt: the answer, a refusal, the end of the time; and of the whole hunt.

use std::time::Duration;

use super::super::deciding::Decided;
use super::super::early::Final;
use super::super::ending::{self, Next, Overflow, Why};
use super::super::talk::Talk;
use super::super::{Call, Ctx, State, headers, places};
use super::attempts::{Attempt, Due};
use crate::core::agent::{AgentEvent, Extra, Fork, LegId};
use crate::core::defence::fraud;
use crate::core::event::{HangupBy, Outcome, RouteAttempt, RouteData};
use crate::core::health::Fault;
use crate::core::locate::Hop;
use crate::core::route::{self, Hours, Target};
use crate::ids::Side;
use crate::time::{Mono, Now};
use crate::wire::sip::Message;

/// One destination that was tried, for the event.
#[derive(Clone, Copy, Debug)]
pub(in crate::core::call) struct Tried {
    target: usize,
    status: u16,
    ring_ms: u64,
}

impl Call {
    /// Events of the destinations being tried.
    pub(in crate::core::call) fn on_hunting(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &mut self.state else { return };
        let Some(target) = hunt.attempt_of(leg).map(|attempt| attempt.target) else { return };
        match event {
            AgentEvent::Provisional { fork, answer_due, response, .. } => {
                self.on_provisional(target, leg, fork.filter(|_| *answer_due), response, ctx);
            }
            AgentEvent::Answered { response, .. } => self.on_answered(target, leg, response, ctx),
            AgentEvent::Refused { status, response, .. } => {
                if let Some(response) = response {
                    self.take_reasons(response, Side::Caller, ctx);
                }
                let why_failed = ctx.agent.why_failed(leg).filter(|_| response.is_none());
                self.on_refused(target, *status, (response.as_deref(), true), why_failed, ctx);
            }
            // The destination hangs up a dialog that it never confirmed: as good as a refusal.
            AgentEvent::Bye { .. } => self.on_refused(target, 480, (None, false), None, ctx),
            // Of several that ring none may change what the caller hears.
            AgentEvent::Request { txn, .. } if self.company != Some(leg) => {
                ctx.agent.respond(ctx.now, *txn, 491, Extra::default());
            }
            AgentEvent::Request { txn, request, .. } => self.on_early_request(Side::Company, *txn, request, ctx),
            AgentEvent::Response { txn, status, response, .. } => {
                self.on_offer_response(Side::Company, *txn, *status, response.as_ref(), ctx);
            }
            _ => {}
        }
    }

    /// `offering`: the fork whose offer this response is.
    fn on_provisional(
        &mut self,
        target: usize,
        leg: LegId,
        offering: Option<Fork>,
        response: &Message,
        ctx: &mut Ctx<'_>,
    ) {
        let State::Hunting(hunt) = &mut self.state else { return };
        let Some(attempt) = hunt.attempt_at(target) else { return };
        attempt.on_heard();
        if let Some(hop) = &attempt.hop {
            ctx.health.answered(hop);
        }
        attempt.ringing.get_or_insert(ctx.now.mono);
        self.facts.data.ringing_at.get_or_insert(ctx.now.wall);
        if hunt.attempts.len() > 1 {
            self.talk_as(target, ctx);
            return self.on_one_of_many(leg, response, ctx);
        }
        self.lead_media_to(target, ctx);
        self.learn(Side::Company, response);
        let payload = match offering {
            Some(fork) => self.on_early_offer(leg, fork, response, ctx),
            None => self.on_early_description(leg, response, ctx),
        };
        if payload.is_some() {
            self.stop_ringback(ctx);
        }
        let is_silent = payload.is_none();
        let extra = Extra { payload, ..Extra::default() };
        ctx.agent.provisional(ctx.now, self.facts.leg, response.status(), extra);
        if is_silent && (180..183).contains(&response.status()) {
            self.play_ringback(ctx);
        }
    }

    fn on_answered(&mut self, target: usize, leg: LegId, response: &Message, ctx: &mut Ctx<'_>) {
        self.lead_media_to(target, ctx);
        self.learn(Side::Company, response);
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let (mut delayed, mut after_prack) = (false, false);
        let stream = match self.final_description(leg, response) {
            Some(Final::Answer(stream)) => Some(stream),
            Some(Final::Offer(stream)) => {
                delayed = true;
                Some(stream)
            }
            Some(Final::OfferToUs(offer)) => self.answer_for_caller(leg, &offer, ctx),
            Some(Final::OfferAfterPrack(offer)) => {
                (delayed, after_prack) = (true, true);
                Some(offer)
            }
            None => None,
        };
        let Some(stream) = stream else {
            // RFC 3261 §13.2.2.4: an answer we cannot use is acknowledged and hung up.
            ctx.agent.ack(ctx.now, leg, None);
            ctx.agent.bye(ctx.now, leg, Extra::default());
            self.forget_early(leg, ctx);
            self.fail(target, Why::new(Outcome::Failed, "bad_answer", HangupBy::System, 502), ctx);
            return self.hunt_on(ctx);
        };
        self.cancel_others(leg, ctx);
        if let State::Hunting(hunt) = &mut self.state
            && let Some(winner) = hunt.attempts.pop()
        {
            self.note_tried(&winner, 200, ctx.now);
        }
        self.company = Some(leg);
        self.place = places::key(target);
        if self.facts.plan.parallel > 1 {
            let winner = self.facts.plan.targets.get(target);
            self.facts.data.forwarded_to = winner.map(|target| target.uri.clone());
            self.way_out = winner.and_then(|target| target.trunk.clone());
        }
        if !delayed {
            ctx.agent.ack(ctx.now, leg, None);
        }
        self.lead(leg, tag);
        let payload = match (delayed, after_prack) {
            (_, true) => {
                self.keep_offer(stream);
                None
            }
            (true, false) => {
                self.accept(Side::Company, &stream, ctx);
                self.cross(Side::Company, &stream)
            }
            (false, _) => {
                self.accept(Side::Company, &stream, ctx);
                self.describe_answer(&stream)
            }
        };
        ctx.agent.answer(ctx.now, self.facts.leg, Extra { payload, ..Extra::default() });
        self.connected(Talk::new(delayed), ctx);
    }

    /// A final failure of one destination. `is_final` is false for a BYE, after which this destination is not asked again.
    fn on_refused(
        &mut self,
        target: usize,
        status: u16,
        (response, is_final): (Option<&Message>, bool),
        why_failed: Option<&'static str>,
        ctx: &mut Ctx<'_>,
    ) {
        let State::Hunting(hunt) = &mut self.state else { return };
        let Some(attempt) = hunt.attempt_at(target) else { return };
        let leg = attempt.leg.take();
        let heard = response.is_some() || !is_final || attempt.was_heard();
        let hop = attempt.hop;
        report(hop, status, response, is_final, ctx);
        if let Some(leg) = leg {
            self.forget_early(leg, ctx);
        }
        if let Some(response) = response
            && (300..400).contains(&status)
            && self.follow(target, response, ctx)
        {
            return;
        }
        let mut why = ending::verdict(status, heard);
        if let Some(code) = why_failed {
            why.reason = code;
        }
        let next =
            if is_final { ending::next(status, response.is_some(), &self.facts.company) } else { Next::Destination };
        match next {
            Next::Hop if self.next_hop(target, ctx) => {}
            Next::Hop | Next::Destination => {
                self.fail(target, why, ctx);
                self.hunt_on(ctx);
            }
            Next::End => {
                self.fail(target, why, ctx);
                self.give_up_attempts(Vec::new(), ctx);
                if let State::Hunting(hunt) = &mut self.state {
                    hunt.next = self.facts.plan.targets.len();
                    hunt.best = Some(why);
                    // RFC 3261 §21.6: 6xx speaks for the user everywhere, also for who would come after.
                    hunt.overflowed |= ending::ends_hunt(status);
                }
                self.hunt_on(ctx);
            }
        }
    }

    pub(in crate::core::call) fn on_hunt_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono;
        let State::Hunting(hunt) = &mut self.state else { return };
        if hunt.until <= now {
            return self.on_ring_total(ctx);
        }
        let agent = &*ctx.agent;
        let due = hunt.attempts.iter_mut().find_map(|attempt| {
            let due = attempt.due(now, |leg| agent.is_proceeding(leg));
            (due != Due::No).then_some((attempt.target, due))
        });
        if let Some((target, due)) = due {
            self.on_due(target, due, ctx);
            self.hunt_on(ctx);
            // Others of a group may be due in the same moment.
            self.on_hunt_timeout(ctx);
        }
    }

    /// The caller has waited long enough, whoever is still to be tried.
    fn on_ring_total(&mut self, ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &self.state else { return };
        let mut heard = false;
        for attempt in &hunt.attempts {
            heard |= attempt.was_heard() || attempt.leg.is_some_and(|leg| ctx.agent.is_proceeding(leg));
        }
        let best = hunt.best;
        self.give_up_attempts(Vec::new(), ctx);
        let rang = Why::new(Outcome::NoAnswer, "ring_timeout", HangupBy::System, 480);
        let why = if heard { rang } else { best.unwrap_or(ending::verdict(408, false)) };
        self.nobody_takes_it(why, ctx);
    }

    /// Nobody is left to be tried.
    pub(super) fn on_nobody_left(&mut self, best: Option<Why>, ctx: &mut Ctx<'_>) {
        let no_route = Why::new(Outcome::Failed, "no_route", HangupBy::System, 480);
        let why = best.unwrap_or(self.facts.plan.refused.map_or(no_route, Why::refused));
        self.nobody_takes_it(why, ctx);
    }

    /// The destinations for a busy company, or for one that does not answer, come now; `false`: there are none.
    pub(super) fn overflow(&mut self, ctx: &Ctx<'_>) -> bool {
        let State::Hunting(hunt) = &mut self.state else { return false };
        if std::mem::replace(&mut hunt.overflowed, true) {
            return false;
        }
        let company = &self.facts.company;
        let ways = match hunt.best.map(|best| best.overflow()) {
            Some(Overflow::Busy) => &company.busy,
            Some(Overflow::NoAnswer) => &company.no_answer,
            Some(Overflow::None) | None => &None,
        };
        let Some(ways) = ways else { return false };
        let data = &self.facts.data;
        let mut more = route::targets(&ways.forward_to, &data.number, data.caller.as_deref(), ctx.settings.names());
        let (rules, directory) = (&ctx.settings.config.fraud, &ctx.settings.directory);
        more.retain_mut(|target| fraud::may_be_called(rules, directory, target));
        let added = !more.is_empty();
        // What could not be reached before says less than what these will say.
        self.facts.plan.targets.extend(more);
        added
    }

    /// CANCEL to every destination being tried. What they still say is the agent's business.
    pub(in crate::core::call) fn give_up_attempts(&mut self, headers: headers::Lines, ctx: &mut Ctx<'_>) {
        self.company = None;
        let State::Hunting(hunt) = &mut self.state else { return };
        for attempt in std::mem::take(&mut hunt.attempts) {
            if let Some(leg) = attempt.leg {
                self.forget_early(leg, ctx);
                ctx.agent.cancel(ctx.now, leg, Extra { headers: headers.clone(), ..Extra::default() });
            }
            self.note_tried(&attempt, 487, ctx.now);
        }
    }

    pub(super) fn note_tried(&mut self, attempt: &Attempt, status: u16, now: Now) {
        let ring_ms = attempt.ringing.map_or(0, |since: Mono| now.mono.since(since).as_millis());
        let ring_ms = u64::try_from(ring_ms).unwrap_or(u64::MAX);
        self.tried.push(Tried { target: attempt.target, status, ring_ms });
    }

    /// How the call was routed, for `call.ended`.
    pub(in crate::core::call) fn route_data(&self) -> RouteData {
        let attempt = |tried: &Tried| {
            let target = self.facts.plan.targets.get(tried.target)?;
            let destination = target.destination.label.to_string();
            let redirected = target.redirects > 0;
            Some(RouteAttempt { destination, status: tried.status, ring_ms: tried.ring_ms, redirected })
        };
        let plan = &self.facts.plan;
        let decided_by = match (&plan.rule, plan.is_known) {
            _ if self.decided.is_some_and(|decided| decided.reason.is_none() && decided.verdict != "default") => {
                "webhook"
            }
            (_, true) => "known_caller",
            (Some(_), false) => "rule",
            (None, false) => "company",
        };
        RouteData {
            hours: Some(plan.hours).filter(|hours| *hours != Hours::Always).map(|hours| hours.as_str().into()),
            rule: plan.rule.as_ref().map(|rule| rule.to_string()),
            decided_by: decided_by.into(),
            strategy: self.facts.plan.strategy.as_str().into(),
            decision: self.decided.as_ref().map(Decided::data),
            attempts: self.tried.iter().filter_map(attempt).collect(),
        }
    }

    /// The destination that answered.
    pub(in crate::core::call) fn winner(&self) -> Option<&Target> {
        let last = self.tried.last().filter(|tried| tried.status == 200)?;
        self.facts.plan.targets.get(last.target)
    }

    /// The company's media is at this destination: of several that ring, the last one that was asked need not be it.
    fn lead_media_to(&mut self, target: usize, ctx: &Ctx<'_>) {
        if target >= self.facts.plan.parallel || self.facts.plan.parallel < 2 {
            return;
        }
        let State::Hunting(hunt) = &mut self.state else { return };
        let hop = hunt.attempt_at(target).and_then(|attempt| attempt.hop);
        if let (Some(hop), Some(negotiation)) = (hop, &mut self.negotiation) {
            let trunk = self.facts.plan.targets.get(target).and_then(|target| target.trunk.as_deref());
            negotiation.company_at(super::origin(&self.facts.company, trunk, hop.remote.ip()));
        }
        self.talk_as(target, ctx);
    }

    /// What comes from this destination is read by the rules of its trunk: of several that ring, the last one that was
    /// asked may belong to another.
    pub(super) fn talk_as(&mut self, target: usize, ctx: &Ctx<'_>) {
        let target = self.facts.plan.targets.get(target);
        let trunk = target.and_then(|target| target.trunk.as_ref());
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.company_talks(trunk.unwrap_or(&ctx.settings.plain));
            let encryption = target.map(|target| self.facts.company.media_encryption(&target.destination));
            negotiation.company_encrypts(encryption.unwrap_or_default(), false);
        }
    }
}

/// What a final failure says of the address that it came from, or did not come from.
fn report(hop: Option<Hop>, status: u16, response: Option<&Message>, is_final: bool, ctx: &mut Ctx<'_>) {
    let Some(hop) = hop else { return };
    let fault = match (status, response) {
        (503, Some(response)) => {
            let seconds = response.header("Retry-After").and_then(leading_number);
            Fault::Unavailable { retry_after: seconds.map(Duration::from_secs) }
        }
        (503, None) => Fault::Transport,
        (408, None) if is_final => Fault::Timeout,
        (_, Some(_)) => {
            ctx.health.answered(&hop);
            return;
        }
        (_, None) => return,
    };
    ctx.health.failed(ctx.now.mono, &hop, fault);
}

/// Seconds of a `Retry-After`, which may have a comment and parameters behind them (RFC 3261 §20.33).
fn leading_number(text: &str) -> Option<u64> {
    let digits = text.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}
