//! Before the ports are taken: a company's webhook says where the call goes, or does not say so in time.
//!
//! 100 Trying is out and stops the caller's copies; nothing else is heard of the call. A CANCEL ends it here as anywhere.
//! An answer that comes later than its time finds nobody who waits for it.

use std::sync::Arc;

use super::ending::Why;
use super::{Call, Ctx, State};
use crate::config::{Destination, Fallback, Strategy};
use crate::core::admission::Reject;
use crate::core::b2bua::Output;
use crate::core::b2bua::fraud_suspected;
use crate::core::decide::{self, Came, Verdict};
use crate::core::defence::fraud;
use crate::core::event::{HangupBy, Outcome, RouteDecision};
use crate::core::route;
use crate::time::Mono;

/// What came of the question, for the event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    /// `forward`, `reject` or `default`.
    pub(super) verdict: &'static str,
    /// Why there was no answer.
    pub(super) reason: Option<&'static str>,
    pub(super) ms: u64,
}

impl Decided {
    pub(super) fn data(&self) -> RouteDecision {
        RouteDecision { verdict: self.verdict.into(), reason: self.reason.map(Into::into), ms: self.ms }
    }
}

impl Call {
    /// Asks the company's webhook, when it has one and it is not left alone for now; `false`: the route stands.
    pub(super) fn ask(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let facts = &self.facts;
        let Some(rules) = &facts.company.decide else { return false };
        match ctx.decisions.begin(ctx.now.mono, &facts.company.name) {
            Ok(()) => {
                let ask = decide::question(&facts.data, &facts.company, &facts.plan, rules.timeout, ctx.now.wall);
                ctx.out.push_back(Output::Decide(Box::new(ask)));
                self.state = State::Deciding { since: ctx.now.mono, until: ctx.now.mono + rules.timeout };
                self.is_asking = true;
            }
            Err(code) => {
                self.state = State::Deciding { since: ctx.now.mono, until: ctx.now.mono };
                self.without_answer(code, ctx);
            }
        }
        true
    }

    /// Whether the webhook was asked and nothing came of it yet.
    pub fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// What the webhook said, or why it said nothing.
    pub(super) fn on_decided(&mut self, answer: Result<&[u8], &'static str>, ctx: &mut Ctx<'_>) {
        if !matches!(self.state, State::Deciding { .. }) {
            return;
        }
        if answer.is_ok_and(decide::forbids_recording) {
            self.withdraw_recording();
        }
        match answer.and_then(|body| decide::read(body, &self.facts.company)) {
            Ok(Verdict::Forward(list, strategy)) => {
                self.is_settled_as("forward", None, Came::Good, ctx);
                self.replan(&list, strategy, ctx);
                self.open(ctx);
            }
            Ok(Verdict::Reject(status)) => {
                self.is_settled_as("reject", None, Came::Good, ctx);
                self.facts.plan.refused = Some(Reject { status, code: REJECTED, retry_after: None });
                self.open(ctx);
            }
            Ok(Verdict::Default) => {
                self.is_settled_as("default", None, Came::Good, ctx);
                self.open(ctx);
            }
            Err(code) => self.without_answer(code, ctx),
        }
    }

    /// Nothing is asked any more: the caller is gone, or somebody ended the call.
    pub(super) fn stop_asking(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.is_asking) {
            ctx.decisions.settle(ctx.now.mono, &self.facts.company.name, Came::Nothing);
        }
    }

    /// The configured route, or a refusal, when the webhook was of no use.
    fn without_answer(&mut self, code: &'static str, ctx: &mut Ctx<'_>) {
        tracing::info!(reason = code, "no decision");
        // It is there, and quick enough.
        let came = if code == "decision_not_allowed" { Came::Good } else { Came::Bad };
        let fallback = self.facts.company.decide.as_ref().map(|rules| rules.fallback);
        if fallback == Some(Fallback::Refuse) {
            self.is_settled_as("reject", Some(code), came, ctx);
            self.facts.plan.refused = Some(Reject { status: 480, code: MISSING, retry_after: None });
        } else {
            self.is_settled_as("default", Some(code), came, ctx);
        }
        self.open(ctx);
    }

    fn is_settled_as(&mut self, verdict: &'static str, reason: Option<&'static str>, came: Came, ctx: &mut Ctx<'_>) {
        let State::Deciding { since, .. } = self.state else { return };
        self.decided = Some(Decided { verdict, reason, ms: milliseconds(since, ctx.now.mono) });
        if std::mem::take(&mut self.is_asking) {
            ctx.decisions.settle(ctx.now.mono, &self.facts.company.name, came);
        }
    }

    /// These destinations instead of the configured ones.
    fn replan(&mut self, list: &[Arc<Destination>], strategy: Strategy, ctx: &mut Ctx<'_>) {
        let facts = &mut self.facts;
        let caller = facts.data.caller.as_deref();
        let mut targets = route::targets(list, &facts.data.number, caller, ctx.settings.names());
        let (rules, directory) = (&ctx.settings.config.fraud, &ctx.settings.directory);
        targets.retain_mut(|target| fraud::may_be_called(rules, directory, target));
        facts.plan.parallel = if strategy == Strategy::Parallel { targets.len() } else { 0 };
        facts.plan.refused = None;
        facts.plan.strategy = strategy;
        facts.plan.is_known = false;
        if targets.is_empty() {
            let denied = Reject::new(403, "destination_denied");
            facts.plan.refused = Some(denied);
            let (company, trunk) = (&facts.company.name, &facts.trunk.name);
            let alarm = ctx.alarms.suspect(ctx.now.mono, company, trunk, &facts.data.number, denied);
            ctx.out.extend(alarm.map(|data| fraud_suspected(ctx.now, company, data)));
        }
        facts.plan.targets = targets;
    }

    /// The call is over while it waits for an answer: there is no media to be closed.
    pub(super) fn end_undecided(&mut self, why: Why, ctx: &mut Ctx<'_>) {
        self.stop_asking(ctx);
        self.end(why, ctx);
        self.finish(ctx);
    }

    /// We refuse the caller while it waits for an answer.
    pub(super) fn refuse_undecided(&mut self, why: Why, ctx: &mut Ctx<'_>) {
        self.stop_asking(ctx);
        self.refuse_caller(why, None, ctx);
        self.finish(ctx);
    }
}

/// The caller is refused because the webhook says so, or because it says nothing and the configuration does.
const REJECTED: &str = "decision_rejected";
const MISSING: &str = "decision_missing";

fn milliseconds(since: Mono, now: Mono) -> u64 {
    u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
}

/// How a call ends that the leg itself ended meanwhile.
pub(super) const fn lost(reason: &'static str) -> Why {
    Why::new(Outcome::Failed, reason, HangupBy::System, 504)
}
