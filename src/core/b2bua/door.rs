//! The door of the whole machine: who is heard at all, and how a call is turned away.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::{B2bua, Output, Refused};
use crate::config::{ReasonHeader, Trunk};
use crate::core::admission::{Ask, Reject, Spent};
use crate::core::agent::drops::DropReason;
use crate::core::agent::{Extra, Flow, LegId, Trust};
use crate::core::call::reasons;
use crate::core::defence::{Ban, Verdict};
use crate::core::event::{Body, Event, FraudData, RefusedData};
use crate::ids::mask;
use crate::time::{Mono, Now};

/// Longest number that stands in an event, as it was dialled.
const DIALLED_MAX: usize = 64;

impl B2bua {
    /// Whether a datagram is looked at at all: its sender is known, or it may belong to something of ours. Everything
    /// else is silence and a count, and in the end a ban. To be asked before memory is taken for the datagram; costs no
    /// allocation. What it makes (the event of a ban) is among the outputs.
    pub fn is_welcome(&mut self, now: Now, source: SocketAddr, bytes: &[u8]) -> bool {
        if self.is_known(source.ip()) || self.agent.may_belong(bytes) {
            return true;
        }
        match self.may_log_in(now.mono, source.ip(), bytes) {
            Some(true) => return true,
            Some(false) => {
                self.agent.dropped(DropReason::Stranger);
                return false;
            }
            None => {}
        }
        self.on_stranger(now, source.ip(), bytes);
        false
    }

    pub(super) fn on_stranger(&mut self, now: Now, source: IpAddr, bytes: &[u8]) {
        let verdict = self.defence.on_stranger(now, &self.settings.config.sip.defence, source, bytes);
        self.agent.dropped(if verdict == Verdict::Dropped { DropReason::Stranger } else { DropReason::Banned });
        if let Verdict::NewlyBanned(Some(ban)) = verdict {
            self.tell_ban(now, ban);
        }
    }

    pub(super) fn on_datagram(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        // Whose certificate was verified needs no known address.
        if flow.name.is_none() && !self.is_welcome(now, flow.remote, &bytes) {
            return;
        }
        if self.is_barred(&flow, &bytes) {
            return self.agent.dropped(DropReason::Stranger);
        }
        self.logged_in = None;
        if self.must_log_in(&flow, &bytes) {
            match self.log_in(now, flow, &bytes) {
                Some(trunk) => self.logged_in = trunk,
                None => return,
            }
            return self.agent.handle_datagram(now, flow, bytes, Trust::Known);
        }
        if bytes.starts_with(b"OPTIONS ") {
            let (rules, source) = (&self.settings.config.sip.defence, flow.remote.ip());
            if !self.agent.may_belong(&bytes) && !self.defence.may_ask(now.mono, rules, source) {
                return self.agent.dropped(DropReason::OptionsRate);
            }
        }
        let trust = self.trust(&flow);
        self.agent.handle_datagram(now, flow, bytes, trust);
    }

    /// A stranger whose connections need not be taken.
    pub fn is_banned(&self, now: Mono, source: IpAddr) -> bool {
        !self.is_known(source) && self.defence.is_banned(now, source)
    }

    /// Bans in force, the one that ends first first.
    pub fn bans(&self, now: Now) -> Vec<Ban> {
        let mut bans = self.defence.bans(now);
        // A reload may have made one of them a peer.
        bans.retain(|ban| !self.is_known(ban.address));
        bans
    }

    /// How many bans there were since the start.
    pub fn banned(&self) -> u64 {
        self.defence.banned()
    }

    /// Ends a ban; `false` when there is none.
    pub fn unban(&mut self, source: IpAddr) -> bool {
        self.defence.unban(source)
    }

    /// Talk of today from before the start.
    pub fn restore(&mut self, spent: Spent) {
        self.admission.restore(spent);
    }

    pub(super) fn tell_ban(&mut self, now: Now, ban: Ban) {
        if let Some(suppressed) = self.defence.refusal_lines.may_tell(now.mono) {
            tracing::warn!(address = %ban.address, reason = ban.reason, suppressed, "banned");
        }
        let event = Event { time: now.wall, subject: ban.address.to_string(), body: Body::DefenceBanned(ban) };
        self.out.push_back(Output::Event(event));
    }

    /// A refusal that looks like somebody's theft raises an alarm, once a window.
    pub(super) fn suspect(&mut self, now: Now, ask: &Ask<'_>, reject: Reject) {
        let company = &ask.company.name;
        let alarm = self.defence.alarms.suspect(now.mono, company, &ask.trunk.name, ask.number, reject);
        self.out.extend(alarm.map(|data| fraud_suspected(now, company, data)));
    }

    /// Many numbers in a row that are none of ours: somebody searches. The trunk stays what it is, a configured peer.
    pub(super) fn is_search(&mut self, now: Now, trunk: &Arc<Trunk>, dialled: &str, is_ours: bool) {
        if self.defence.dialled(&trunk.name, is_ours).is_none() {
            return;
        }
        if let Some(refused) = self.defence.alarms.due(now.mono, &trunk.name, "number_search") {
            let data = FraudData {
                kind: "number_search".to_owned(),
                company: None,
                trunk: trunk.name.clone(),
                number: presentable(dialled),
                refused,
            };
            self.out.push_back(fraud_suspected(now, &trunk.name, data));
        }
    }

    /// One answer and no state, at the door.
    pub(super) fn turn_away(
        &mut self,
        now: Now,
        leg: LegId,
        trunk: Option<&Arc<Trunk>>,
        dialled: &str,
        reject: Reject,
    ) {
        let told = trunk.map_or(ReasonHeader::Off, |trunk| trunk.reason_header);
        let mut extra = Extra { headers: reasons::refusal(told, reject), ..Extra::default() };
        if let Some(seconds) = reject.retry_after {
            extra.headers.push(("Retry-After".into(), seconds.to_string()));
        }
        self.agent.turn_away(now, leg, reject.status, extra);
        self.out.push_back(Output::Refused(Refused { code: reject.code, trunk: trunk.cloned() }));
        let trunk = trunk.map_or("", |trunk| &trunk.name);
        if let Some(suppressed) = self.defence.refusal_lines.may_tell(now.mono) {
            let Reject { code, status, .. } = reject;
            tracing::info!(trunk, number = mask(dialled), code, status, suppressed, "call refused");
        }
        if self.defence.refusals.may_tell(now.mono).is_some() {
            let data = RefusedData {
                trunk: trunk.to_owned(),
                number: presentable(dialled),
                sip_status: reject.status,
                reason: reject.code.to_owned(),
            };
            let event = Event { time: now.wall, subject: trunk.to_owned(), body: Body::CallRefused(data) };
            self.out.push_back(Output::Event(event));
        }
    }
}

/// The alarm, in the log and as an event.
pub(in crate::core) fn fraud_suspected(now: Now, subject: &str, data: FraudData) -> Output {
    tracing::warn!(kind = data.kind, company = data.company, trunk = data.trunk, "fraud suspected");
    Output::Event(Event { time: now.wall, subject: subject.to_owned(), body: Body::FraudSuspected(data) })
}

fn presentable(dialled: &str) -> String {
    dialled.chars().filter(|c| !c.is_control()).take(DIALLED_MAX).collect()
}
