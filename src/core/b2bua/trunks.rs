//! Trunks that signalling knows beyond their configured addresses: those that we are registered at.

use std::net::IpAddr;
use std::sync::Arc;

use super::B2bua;
use crate::config::{DialledIn, Trunk};
use crate::core::agent::{Flow, Trust};
use crate::core::probe::Probes;
use crate::core::registration::{self, Registrations};
use crate::core::route;
use crate::time::{Mono, Now, Wakeup};
use crate::wire::sip::{Message, Uri};

impl B2bua {
    /// Does something with the registrations.
    pub(super) fn on_registrations(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Registrations, &mut registration::Ctx<'_>),
    ) {
        let settings = Arc::clone(&self.settings);
        let mut ctx = registration::Ctx {
            now,
            agent: &mut self.agent,
            settings: &settings,
            out: &mut self.out,
            random: &mut self.random,
        };
        act(&mut self.registrations, &mut ctx);
    }

    /// When registrations want to come back; at once before the first time.
    pub(super) fn registrations_timeout(&self) -> Option<Wakeup> {
        let wanted =
            || self.settings.config.trunks.iter().any(|trunk| trunk.register.is_some() || trunk.probe.is_some());
        if !self.begun && wanted() {
            Some((Mono(0), "first registration or probe"))
        } else {
            self.registrations.poll_timeout()
        }
    }

    pub(super) fn registrations_due(&mut self, now: Now) {
        if !std::mem::replace(&mut self.begun, true) {
            self.on_registrations(now, Registrations::apply);
            self.on_probes(now, Probes::apply);
        }
        self.on_registrations(now, Registrations::on_timeout);
    }

    /// A trunk, a destination or a registrar of ours sends from this address.
    pub(super) fn is_known(&self, source: IpAddr) -> bool {
        self.settings.is_known(source) || self.registrations.trunk_at(source).is_some()
    }

    pub(super) fn trust(&self, flow: &Flow) -> Trust {
        match self.registrations.trunk_at(flow.remote.ip()) {
            Some(_) => Trust::Known,
            None => self.settings.trust(flow),
        }
    }

    /// The sender is a trunk that may not use this transport: to be treated as a stranger. What belongs to a dialog or
    /// transaction of ours is another matter, for we have chosen its way.
    pub(super) fn is_barred(&self, flow: &Flow, bytes: &[u8]) -> bool {
        let directory = &self.settings.directory;
        if !directory.bars_transports() {
            return false;
        }
        let trunk = directory.named_by(flow).or_else(|| self.registrations.trunk_at(flow.remote.ip()));
        trunk.is_some_and(|trunk| !trunk.transports.allows(flow.transport)) && !self.agent.may_belong(bytes)
    }

    /// The trunk that an INVITE comes from, and the number that it dials: by our Contact in the Request-URI, by the
    /// configured addresses, by where the trunk's registrar is. A call to our Contact has its number in To.
    pub(super) fn trunk_of(&self, request: &Message, flow: Flow) -> Option<(Arc<Trunk>, String)> {
        let source = flow.remote.ip();
        let uri = Uri::parse(request.request_uri()).ok();
        let by_contact = uri.and_then(|uri| self.registrations.trunk_of(source, uri.user?));
        if let Some(trunk) = by_contact {
            let dialled = match trunk.dialled_in {
                DialledIn::RequestUri => request.to().ok().and_then(|to| route::user_of(&to.uri)),
                _ => route::dialled(trunk, request),
            };
            return Some((Arc::clone(trunk), dialled.unwrap_or_default()));
        }
        let known = self.settings.directory.trunk_of(&flow).or_else(|| self.registrations.trunk_at(source))?;
        Some((Arc::clone(known), route::dialled(known, request).unwrap_or_default()))
    }
}
