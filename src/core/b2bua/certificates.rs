//! Calls that wait for a certificate (`[trunk.stir] fetch_hosts`): parked before anything of the call exists, with 100
//! sent, for a bounded time. Then they are judged by what is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{B2bua, Output};
use crate::config::{StirVerify, Trunk};
use crate::core::agent::{Flow, LegId};
use crate::core::stir::{self, Answer, Claim, Fetched};
use crate::core::{identity, number};
use crate::limits;
use crate::time::{Mono, Now, Wakeup};
use crate::wire::sip::Message;

/// What was fetched, what is being fetched, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    pub(super) fetched: Fetched,
    /// By URL: until when an answer is waited for.
    asked: HashMap<Box<str>, Mono>,
    parked: Vec<Parked>,
}

/// An INVITE of a trunk that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) leg: LegId,
    pub(super) request: Arc<Message>,
    pub(super) flow: Flow,
    pub(super) trunk: Arc<Trunk>,
    pub(super) dialled: String,
    until: Mono,
    urls: Vec<Box<str>>,
}

impl Certificates {
    /// How many calls wait.
    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        self.parked.iter().map(|parked| parked.until).min().map(|until| (until, "certificate"))
    }

    /// The caller has given up.
    pub(super) fn forget(&mut self, leg: LegId) {
        if !self.parked.is_empty() {
            self.parked.retain(|parked| parked.leg != leg);
        }
    }

    /// The first one whose time is over.
    fn due(&mut self, now: Mono) -> Option<Parked> {
        let at = self.parked.iter().position(|parked| parked.until <= now)?;
        Some(self.parked.remove(at))
    }

    /// The first one that has all it waits for.
    fn ready(&mut self) -> Option<Parked> {
        let at = self.parked.iter().position(|parked| parked.urls.is_empty())?;
        Some(self.parked.remove(at))
    }
}

impl B2bua {
    /// Parks an INVITE whose certificates are to be fetched; `false` when it need not, or may not, wait.
    pub(super) fn park(
        &mut self,
        now: Now,
        leg: LegId,
        request: &Arc<Message>,
        flow: Flow,
        (trunk, dialled): &(Arc<Trunk>, String),
    ) -> bool {
        let rules = &trunk.stir;
        if rules.verify == StirVerify::Off || !rules.store.may_fetch_any() {
            return false;
        }
        let caller = identity::caller(trunk, request);
        let number = number::candidates(dialled, trunk.country.as_deref(), &trunk.prefix).into_iter().find(|number| {
            // What is none of ours is refused without a look at its certificate.
            self.settings.directory.owner_of(number).is_some()
        });
        let Some(number) = number else { return false };
        let claim = Claim { caller: caller.number.as_deref().or(caller.hidden.as_deref()), dialled: number.as_str() };
        let known = &mut self.certificates;
        let urls = stir::wanted(&rules.store, &known.fetched, request, claim, now.wall.seconds());
        if urls.is_empty() || known.parked.len() >= limits::STIR_PARKED {
            return false;
        }
        known.asked.retain(|_, until| *until > now.mono);
        for url in &urls {
            if known.asked.contains_key(url) {
                continue;
            }
            if known.asked.len() >= limits::STIR_FETCHES {
                return false;
            }
            known.asked.insert(url.clone(), now.mono + limits::STIR_FETCH + Duration::from_secs(1));
            self.out.push_back(Output::Fetch { url: url.clone() });
        }
        let until = now.mono + rules.fetch_timeout;
        let (request, trunk, dialled) = (Arc::clone(request), Arc::clone(trunk), dialled.clone());
        known.parked.push(Parked { leg, request, flow, trunk, dialled, until, urls });
        self.agent.trying(now, leg);
        true
    }

    /// An answer to [`Output::Fetch`].
    pub(super) fn on_fetched(&mut self, now: Now, url: &str, answer: Option<&Answer>) {
        let known = &mut self.certificates;
        if known.asked.remove(url).is_none() {
            return;
        }
        if known.fetched.put(url, answer, now.wall.seconds()) == Some("not_a_certificate") {
            tracing::warn!(url, "there is no certificate at this URL");
        }
        for parked in &mut known.parked {
            parked.urls.retain(|wanted| **wanted != *url);
        }
        while let Some(parked) = self.certificates.ready() {
            self.unpark(now, parked);
        }
    }

    pub(super) fn certificates_due(&mut self, now: Now) {
        while let Some(parked) = self.certificates.due(now.mono) {
            self.unpark(now, parked);
        }
    }

    fn unpark(&mut self, now: Now, parked: Parked) {
        let Parked { leg, request, flow, trunk, dialled, .. } = parked;
        self.begin_call(now, leg, &request, flow, &(trunk, dialled));
    }
}
