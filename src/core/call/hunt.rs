//! Before the answer: the company's destinations are tried.
//!
//! A hunt goes through the call's targets in the order that was planned: one at a time, or the first ones all at once.
//! Each is an [`attempts::Attempt`]; [`outcome`] says what comes of it, [`parallel`] what is different when several ring,
//! [`redirect`] where a destination may send the call instead. When all have failed, the company's destinations for busy
//! or for no answer follow once; then the caller hears the best of the failures (RFC 3261 §16.7 step 6).

mod attempts;
mod outcome;
mod parallel;
mod pickup;
pub(super) mod redirect;

use std::net::IpAddr;

use crate::config::{Company, Trunk};
use crate::core::call::offer::{Legs, Origin};
use crate::core::call::{Call, Ctx, State, ending};
use crate::core::event::{HangupBy, Outcome};
use crate::core::media::LocalMedia;
use crate::ids::Side;
use crate::time::{Mono, Wakeup};

use attempts::Attempt;
use ending::Why;
pub(super) use outcome::Tried;

/// Max-Breadth of an INVITE that does not say it (RFC 5393 §5.3.3).
const MAX_BREADTH: usize = 60;

/// Where the hunt stands.
#[derive(Debug)]
pub(super) struct Hunt {
    /// The first target that was not tried yet.
    next: usize,
    /// Destinations being tried: one, or a group that rings together.
    attempts: Vec<Attempt>,
    /// The best failure so far: the caller hears it when no other is left.
    best: Option<Why>,
    /// The caller has waited long enough.
    until: Mono,
    /// The destinations for busy and for no answer had their turn.
    overflowed: bool,
    /// The caller knows that a group rings.
    told_ringing: bool,
}

impl Hunt {
    fn new(until: Mono) -> Hunt {
        Hunt { next: 0, attempts: Vec::new(), best: None, until, overflowed: false, told_ringing: false }
    }

    pub(super) fn is_ringing(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.ringing.is_some())
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let attempt = self.attempts.iter().map(Attempt::poll_timeout).min();
        attempt.into_iter().chain([(self.until, "ring total")]).min()
    }
}

/// Where a destination of the company is that is reached through this trunk, or through none.
pub(super) fn origin(company: &Company, trunk: Option<&Trunk>, signalling: IpAddr) -> Origin {
    let networks = trunk.map(|trunk| trunk.media_networks.clone()).unwrap_or_default();
    Origin {
        signalling,
        nat: company.nat || trunk.is_some_and(|trunk| trunk.nat),
        networks: [networks, company.media_networks.clone()],
    }
}

impl Call {
    /// Ports are there: describe ourselves and try the first destination.
    pub(super) fn begin_hunt(&mut self, local: [LocalMedia; 2], ctx: &mut Ctx<'_>) {
        let media = &ctx.settings.config.media;
        let legs = Legs {
            local,
            advertise: media.advertise,
            caller: Origin {
                signalling: self.facts.flow.remote.ip(),
                nat: self.facts.trunk.nat,
                networks: [self.facts.trunk.media_networks.clone(), Default::default()],
            },
            caller_codecs: self.facts.trunk.codecs.clone(),
            hold_music: self.facts.company.prompts.hold.is_some(),
            caller_presses: self.facts.trunk.within.dtmf,
            session_ids: self.facts.session_ids,
            caller_encryption: self.facts.trunk.media_encryption.unwrap_or_default(),
            secret: self.facts.media_secret.take(),
            fingerprint: ctx.settings.fingerprint,
            transcode: media.transcode && ctx.admission.may_transcode(),
        };
        self.negotiation = Some(super::Negotiation::new(media.codecs, ctx.settings.own_media().clone(), &legs));
        if let Some(offer) = self.facts.offer.clone() {
            if self.negotiation.as_ref().is_some_and(|all| all.check_address(Side::Caller, &offer).is_err()) {
                let why = Why::new(Outcome::Failed, "bad_media_address", HangupBy::System, 488);
                return self.refuse_caller(why, None, ctx);
            }
            self.accept(Side::Caller, &offer, ctx);
        }
        if self.facts.plan.parallel < 2 && self.facts.plan.targets.len() > 1 && ctx.health.count() > 0 {
            // Who is known to be down comes last, and is not left out.
            let (now, health) = (ctx.now.mono, &*ctx.health);
            self.facts.plan.targets.sort_by_key(|target| target.literal().is_some_and(|hop| health.is_down(now, &hop)));
        }
        if self.facts.plan.parallel > 1 {
            self.facts.plan.parallel = self.facts.plan.parallel.min(self.breadth());
        }
        if !self.announce_early(ctx) {
            self.start_hunt(ctx);
        }
    }

    /// The first destination is tried.
    pub(super) fn start_hunt(&mut self, ctx: &mut Ctx<'_>) {
        self.state = State::Hunting(Hunt::new(ctx.now.mono + self.facts.company.ring_timeout_total));
        self.hunt_on(ctx);
    }

    /// While nothing is under way: the next destination, or the group that rings together; when none is left, the end.
    fn hunt_on(&mut self, ctx: &mut Ctx<'_>) {
        loop {
            let (count, parallel) = (self.facts.plan.targets.len(), self.facts.plan.parallel);
            let State::Hunting(hunt) = &mut self.state else { return };
            if !hunt.attempts.is_empty() {
                return;
            }
            let (first, best) = (hunt.next, hunt.best);
            if first >= count {
                if self.overflow(ctx) {
                    continue;
                }
                return self.on_nobody_left(best, ctx);
            }
            let end = if first < parallel { parallel.min(count) } else { first + 1 };
            hunt.next = end;
            for target in first..end {
                self.try_target(target, ctx);
            }
        }
    }

    /// Max-Breadth of the caller's INVITE (RFC 5393 §5): so many destinations may ring at once here and behind us.
    fn breadth(&self) -> usize {
        let wanted = self.facts.invite.header("Max-Breadth").and_then(|text| text.trim().parse().ok());
        wanted.unwrap_or(MAX_BREADTH).min(MAX_BREADTH)
    }

    /// The same for one destination. `None`: nothing is said, because nothing is shared.
    fn breadth_of(&self, target: usize) -> Option<usize> {
        let parallel = self.facts.plan.parallel;
        let shares = if target < parallel && parallel > 1 { parallel } else { 1 };
        let is_worth_it = shares > 1 || self.facts.invite.header("Max-Breadth").is_some();
        is_worth_it.then(|| self.breadth() / shares)
    }

    /// Somebody could still be tried after those under way.
    fn has_more_targets(&self) -> bool {
        let State::Hunting(hunt) = &self.state else { return false };
        hunt.next < self.facts.plan.targets.len() || !hunt.overflowed && self.facts.company.no_answer.is_some()
    }
}
