//! One destination being tried: its name looked up, its addresses tried one after another, each with an INVITE.
//!
//! A destination is one address or several (RFC 3263). The next one is tried when an address says nothing in time, cannot
//! be reached or answers 503 (RFC 3263 §4.3), or one of the company's `retry_statuses`. Those that are known to be down
//! come last.

use super::super::ending::{self, Why};
use super::super::invite::Outgoing;
use super::super::{Call, Ctx, State, places};
use super::Hunt;
use crate::config::CodecList;
use crate::core::agent::{Extra, LegId, Reliable};
use crate::core::b2bua::Output;
use crate::core::event::{HangupBy, Outcome};
use crate::core::health::Fault;
use crate::core::locate::{Asker, Hop};
use crate::core::media::is_recordable;
use crate::core::route;
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Now, Wakeup};

/// One destination under way.
#[derive(Debug)]
pub(in crate::core::call) struct Attempt {
    /// Index into the call's targets.
    pub(super) target: usize,
    pub(super) leg: Option<LegId>,
    /// Where the INVITE went.
    pub(super) hop: Option<Hop>,
    /// Addresses that are left, the next one last.
    hops: Vec<Hop>,
    phase: Phase,
    /// Since when it rings.
    pub(super) ringing: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The name is being looked up.
    Resolving { until: Mono },
    /// INVITE is out.
    /// `silent`: by then something must have been heard, when there is another address or destination to try.
    Inviting { until: Mono, silent: Option<Mono>, heard: bool },
}

/// What the clock says of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    No,
    /// The name was not found in time.
    Unresolved,
    /// Nothing was heard from this address.
    Silent,
    /// It rang, or was reached at least, for as long as it may.
    Rang,
}

impl Attempt {
    pub(super) fn new(target: usize, now: Mono) -> Attempt {
        let phase = Phase::Resolving { until: now + limits::RESOLVE };
        Attempt { target, leg: None, hop: None, hops: Vec::new(), phase, ringing: None }
    }

    pub(super) fn is_resolving(&self) -> bool {
        matches!(self.phase, Phase::Resolving { .. })
    }

    pub(super) fn was_heard(&self) -> bool {
        matches!(self.phase, Phase::Inviting { heard: true, .. })
    }

    pub(super) fn on_heard(&mut self) {
        if let Phase::Inviting { heard, silent, .. } = &mut self.phase {
            *heard = true;
            *silent = None;
        }
    }

    pub(super) fn poll_timeout(&self) -> Wakeup {
        match self.phase {
            Phase::Resolving { until } => (until, "resolving"),
            Phase::Inviting { until, silent: Some(silent), .. } => (until.min(silent), "silent destination"),
            Phase::Inviting { until, silent: None, .. } => (until, "ring timeout"),
        }
    }

    /// What is due. `is_proceeding` asks whether the INVITE has a provisional response, 100 included.
    pub(super) fn due(&mut self, now: Mono, is_proceeding: impl FnOnce(LegId) -> bool) -> Due {
        if self.poll_timeout().0 > now {
            return Due::No;
        }
        if !self.was_heard() && self.leg.is_some_and(is_proceeding) {
            self.on_heard();
        }
        match self.phase {
            Phase::Resolving { .. } => Due::Unresolved,
            Phase::Inviting { heard: false, .. } => Due::Silent,
            Phase::Inviting { until, .. } if until <= now => Due::Rang,
            Phase::Inviting { .. } => Due::No,
        }
    }
}

impl Call {
    /// Begins with a destination: takes a place at it and looks for its addresses. `false`: there is none; the failure is
    /// noted.
    pub(super) fn try_target(&mut self, index: usize, ctx: &mut Ctx<'_>) {
        let Some(target) = self.facts.plan.targets.get(index) else { return };
        self.facts.data.forwarded_to = Some(target.uri.clone());
        let talks = target.trunk.as_ref().map(|trunk| &trunk.codecs);
        let makes = |codecs: &CodecList| codecs.iter().any(|name| is_recordable(name));
        let transcodes = ctx.settings.config.media.transcode;
        let fits = self.facts.offer.as_ref().zip(talks).is_none_or(|(offer, codecs)| {
            offer.fits(codecs) || transcodes && offer.can_be_transcoded() && makes(codecs)
        });
        let mut attempt = Attempt::new(index, ctx.now.mono);
        if !fits {
            // The caller has nothing that this trunk may talk with.
            let why = Why::new(Outcome::Failed, "no_common_codec", HangupBy::System, 488);
            return self.note_failure(&attempt, why, ctx.now);
        }
        if let Err(full) = self.take_place_at(index, ctx) {
            return self.note_failure(&attempt, full, ctx.now);
        }
        let Some(target) = self.facts.plan.targets.get(index) else { return };
        match target.literal() {
            Some(hop) => {
                let State::Hunting(hunt) = &mut self.state else { return };
                attempt.hop = Some(hop);
                // An address that was down and whose time is over is tried by one call at a time.
                ctx.health.arrange(ctx.now.mono, &mut [hop]);
                hunt.attempts.push(attempt);
                if !self.invite(index, hop, ctx) {
                    self.fail(index, unusable("destination_unusable"), ctx);
                }
            }
            None => {
                let asker = Asker::Call(self.id(), u32::try_from(index).unwrap_or(u32::MAX));
                ctx.out.push_back(Output::Resolve { asker, query: target.query.clone() });
                if let State::Hunting(hunt) = &mut self.state {
                    hunt.attempts.push(attempt);
                }
            }
        }
    }

    /// The addresses of a destination, best first.
    pub(in crate::core::call) fn on_resolved(&mut self, question: u32, hops: &[Hop], ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &mut self.state else { return };
        let Some(attempt) = usize::try_from(question).ok().and_then(|target| hunt.attempt_at(target)) else { return };
        if !attempt.is_resolving() {
            return;
        }
        let target = attempt.target;
        let usable = |hop: &&Hop| !hop.remote.ip().is_unspecified() && !hop.remote.ip().is_multicast();
        attempt.hops = hops.iter().filter(usable).take(limits::RESOLVED_ADDRESSES).copied().collect();
        ctx.health.arrange(ctx.now.mono, &mut attempt.hops);
        attempt.hops.reverse();
        if !self.next_hop(target, ctx) {
            self.fail(target, unusable("destination_unresolved"), ctx);
            self.hunt_on(ctx);
        }
    }

    /// INVITE to the next address of a destination; `false` when there is none.
    pub(super) fn next_hop(&mut self, target: usize, ctx: &mut Ctx<'_>) -> bool {
        loop {
            let State::Hunting(hunt) = &mut self.state else { return false };
            let Some(attempt) = hunt.attempt_at(target) else { return false };
            let Some(hop) = attempt.hops.pop() else { return false };
            attempt.leg = None;
            attempt.hop = Some(hop);
            attempt.ringing = None;
            if self.invite(target, hop, ctx) {
                return true;
            }
        }
    }

    /// Sends the INVITE; `false` when none of our listeners can reach the address, or when it is one of them.
    fn invite(&mut self, index: usize, hop: Hop, ctx: &mut Ctx<'_>) -> bool {
        let Some(target) = self.facts.plan.targets.get(index) else { return false };
        let Some(flow) = route::flow_towards(hop, &ctx.settings.listeners) else { return false };
        let out = target.trunk.as_ref().unwrap_or(&ctx.settings.plain);
        if ctx.settings.is_ours(hop.remote) || !out.transports.allows(hop.transport) {
            // RFC 5393: a destination that leads back to us would fork for ever.
            return false;
        }
        let company = &self.facts.company;
        let origin = super::origin(company, Some(out), hop.remote.ip());
        let nat = origin.nat;
        let encryption = company.media_encryption(&target.destination);
        let is_together = index < self.facts.plan.parallel && self.facts.plan.parallel > 1;
        let payload = match (&self.facts.offer, &mut self.negotiation) {
            (offer, Some(negotiation)) => {
                negotiation.company_talks(out);
                negotiation.company_at(origin);
                negotiation.company_encrypts(encryption, !is_together);
                offer.as_ref().map(|offer| negotiation.cross(Side::Caller, offer))
            }
            (_, None) => None,
        };
        self.way_out = target.trunk.clone();
        let dialogs = &ctx.settings.config.sip.dialogs;
        // An offer in a provisional response of theirs must have somebody to answer it: one caller, and not of several.
        let is_asked = self.facts.plan.parallel < 2 && ctx.agent.is_reliable(self.facts.leg);
        let breadth = self.breadth_of(index);
        let breadth = breadth.map(|breadth| ("Max-Breadth".into(), breadth.to_string())).into_iter().collect();
        let outgoing = Outgoing {
            flow,
            uri: &target.uri,
            to: out,
            trunk: target.trunk.as_ref(),
            nat,
            attempt: index + 1,
            reliable: if self.facts.offer.is_some() || is_asked { dialogs.reliable } else { Reliable::Off },
            payload,
            more: breadth,
        };
        let leg = self.send_invite(outgoing, ctx);
        self.early.invited(leg, self.facts.offer.is_some());
        self.legs.push(leg);
        let ring = target.destination.ring_timeout.unwrap_or(self.facts.company.ring_timeout);
        let more_targets = self.has_more_targets();
        let State::Hunting(hunt) = &mut self.state else { return false };
        let Some(attempt) = hunt.attempt_at(index) else { return false };
        let has_next = more_targets || !attempt.hops.is_empty();
        let silent = has_next.then_some(ctx.now.mono + limits::DESTINATION_SILENT);
        attempt.leg = Some(leg);
        attempt.phase = Phase::Inviting { until: ctx.now.mono + ring, silent, heard: false };
        self.company = hunt.only_leg();
        true
    }

    /// Time is up for an attempt: the next address, or the next destination.
    pub(super) fn on_due(&mut self, target: usize, due: Due, ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &mut self.state else { return };
        let Some(attempt) = hunt.attempt_at(target) else { return };
        if let (Due::Silent, Some(hop)) = (due, &attempt.hop) {
            ctx.health.failed(ctx.now.mono, hop, Fault::Timeout);
        }
        if let Some(leg) = attempt.leg.take() {
            self.forget_early(leg, ctx);
            ctx.agent.cancel(ctx.now, leg, Extra::default());
        }
        let why = match due {
            Due::No => return,
            Due::Unresolved => unusable("destination_unresolved"),
            Due::Silent => {
                if self.next_hop(target, ctx) {
                    return;
                }
                ending::verdict(408, false)
            }
            Due::Rang => Why::new(Outcome::NoAnswer, "ring_timeout", HangupBy::System, 480),
        };
        self.fail(target, why, ctx);
    }

    /// An attempt has come to nothing: its place is given back, and the failure is noted.
    pub(super) fn fail(&mut self, target: usize, why: Why, ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &mut self.state else { return };
        let Some(index) = hunt.attempts.iter().position(|attempt| attempt.target == target) else { return };
        let attempt = hunt.attempts.remove(index);
        self.company = hunt.only_leg();
        self.give_back(places::key(target), false, ctx);
        self.note_failure(&attempt, why, ctx.now);
    }

    fn note_failure(&mut self, attempt: &Attempt, why: Why, now: Now) {
        self.note_tried(attempt, why.status, now);
        if let State::Hunting(hunt) = &mut self.state {
            hunt.best = Some(match hunt.best {
                Some(best) if !ending::is_better(why, best) => best,
                _ => why,
            });
        }
    }
}

impl Hunt {
    pub(super) fn attempt_at(&mut self, target: usize) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.target == target)
    }

    pub(super) fn attempt_of(&mut self, leg: LegId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.leg == Some(leg))
    }

    /// The company's leg, while there is only one.
    pub(super) fn only_leg(&self) -> Option<LegId> {
        match self.attempts.as_slice() {
            [only] => only.leg,
            _ => None,
        }
    }
}

fn unusable(code: &'static str) -> Why {
    Why::new(Outcome::Failed, code, HangupBy::System, 502)
}
