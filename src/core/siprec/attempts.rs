//! Finding a place that records: names, addresses, ports, INVITE. Places come in the recorder's order, their addresses as
//! RFC 3263 says, those that are known to be down last; when all have failed, the next round comes after a pause.

use super::Ctx;
use super::facts;
use super::session::{Failure, Recording, Session, State, pause};
use crate::core::agent::{AgentEvent, Extra, Invite, LegId, Reliable};
use crate::core::b2bua::Output;
use crate::core::health::Fault;
use crate::core::locate::{Asker, Hop, Query};
use crate::core::media::{Copies, LocalMedia};
use crate::core::route;
use crate::limits;
use crate::wire::sip::{Message, Uri};

impl Session {
    pub(super) fn begin_round(&mut self, ctx: &mut Ctx<'_>) {
        self.place = 0;
        self.hops.clear();
        self.failure = Failure::new("recorder_unusable");
        self.try_place(ctx);
    }

    /// Where does the place lead?
    fn try_place(&mut self, ctx: &mut Ctx<'_>) {
        let Some(uri) = self.recorder.uris.get(self.place) else { return self.end_round(ctx) };
        let query = Uri::parse(self.recorder.next_hop(uri)).ok();
        let query = query.and_then(|uri| Query::of(&uri, ctx.settings.names()).ok());
        let Some(query) = query else { return self.fail(Failure::new("recorder_unusable"), ctx) };
        if let Some(hop) = query.literal() {
            self.hops = vec![hop];
            return self.try_hop(ctx);
        }
        self.questions += 1;
        ctx.out.push_back(Output::Resolve { asker: Asker::Recorder(self.facts.call, self.questions), query });
        self.state = State::Resolving { until: ctx.now.mono + limits::RESOLVE };
    }

    pub(super) fn on_resolved(&mut self, question: u32, mut hops: Vec<Hop>, ctx: &mut Ctx<'_>) {
        if question != self.questions || !matches!(self.state, State::Resolving { .. }) {
            return;
        }
        hops.retain(|hop| !hop.remote.ip().is_unspecified() && !hop.remote.ip().is_multicast());
        hops.truncate(limits::RESOLVED_ADDRESSES);
        if hops.is_empty() {
            return self.fail(Failure::new("recorder_unresolved"), ctx);
        }
        ctx.health.arrange(ctx.now.mono, &mut hops);
        hops.reverse();
        self.hops = hops;
        self.try_hop(ctx);
    }

    /// The next address of this place, else the next place.
    fn try_hop(&mut self, ctx: &mut Ctx<'_>) {
        let Some(hop) = self.hops.pop() else {
            self.place += 1;
            return self.try_place(ctx);
        };
        let media = &ctx.settings.config.media;
        let fits = |ip: &std::net::IpAddr| ip.is_ipv4() == hop.remote.is_ipv4();
        match (self.ports, Some(media.address).filter(fits).or(media.address6.filter(fits))) {
            (Some([local, _]), _) if fits(&local.rtp.ip()) => self.invite(hop, ctx),
            (None, Some(address)) => {
                self.state = State::Opening { hop, until: ctx.now.mono + limits::CLOSING };
                self.media(Copies::Open(address), ctx);
            }
            _ => self.fail(Failure::new("recorder_unusable"), ctx),
        }
    }

    pub(super) fn on_ports(&mut self, ports: Result<[LocalMedia; 2], &'static str>, ctx: &mut Ctx<'_>) {
        let State::Opening { hop, .. } = self.state else { return };
        match ports {
            Ok(ports) => {
                self.ports = Some(ports);
                self.invite(hop, ctx);
            }
            Err(code) => self.fail(Failure::new(code), ctx),
        }
    }

    fn invite(&mut self, hop: Hop, ctx: &mut Ctx<'_>) {
        let out = self.recorder.trunk.as_ref().unwrap_or(&ctx.settings.plain).clone();
        let flow = route::flow_towards(hop, &ctx.settings.listeners);
        let flow = flow.filter(|_| out.transports.allows(hop.transport) && !ctx.settings.is_ours(hop.remote));
        let uri = self.recorder.uris.get(self.place).cloned().unwrap_or_default();
        let (Some(flow), Some(payload)) = (flow, self.offer(ctx)) else {
            return self.fail(Failure::new("recorder_unusable"), ctx);
        };
        let from = match &out.register {
            Some(register) => format!("<{}>", register.aor),
            None => format!("<sip:{}>", ctx.settings.our_host(&flow)),
        };
        let headers = facts::headers(&ctx.agent.contact(&flow, &uri));
        let invite = Invite {
            flow,
            to: format!("<{uri}>"),
            request_uri: uri,
            from,
            max_forwards: 70,
            nat: out.nat,
            reliable: Reliable::Off,
            // The session is ours to end; a recorder that wants a timer refreshes it itself.
            session: None,
            credentials: out.credentials.clone(),
            large: out.large(),
            extra: Extra { headers, payload: Some(payload), ..Extra::default() },
        };
        let leg = ctx.agent.invite(ctx.now, invite);
        self.state = State::Inviting { leg, hop, until: ctx.now.mono + self.recorder.answer_timeout };
    }

    /// A place has said nothing final in its time.
    pub(super) fn on_silence(&mut self, ctx: &mut Ctx<'_>) {
        let State::Inviting { leg, hop, .. } = self.state else { return };
        if !ctx.agent.is_proceeding(leg) {
            ctx.health.failed(ctx.now.mono, &hop, Fault::Timeout);
        }
        ctx.agent.cancel(ctx.now, leg, Extra::default());
        self.fail(Failure::new("recorder_silent"), ctx);
    }

    pub(super) fn on_inviting(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        let State::Inviting { hop, .. } = self.state else { return };
        match event {
            AgentEvent::Answered { response, .. } => {
                ctx.health.answered(&hop);
                ctx.agent.ack(ctx.now, leg, None);
                self.on_answer(leg, response, ctx);
            }
            AgentEvent::Refused { status, response, .. } => {
                let failure = match (status, response) {
                    (408, None) => (Failure::new("recorder_silent"), Some(Fault::Timeout)),
                    (_, None) => (Failure::new("recorder_unreachable"), Some(Fault::Transport)),
                    (status, Some(_)) => (Failure { reason: "recorder_refused", status: Some(*status) }, None),
                };
                match failure.1 {
                    Some(fault) => _ = ctx.health.failed(ctx.now.mono, &hop, fault),
                    None => _ = ctx.health.answered(&hop),
                }
                self.fail(failure.0, ctx);
            }
            AgentEvent::Ended { .. } | AgentEvent::Bye { .. } => self.fail(Failure::new("recorder_left"), ctx),
            AgentEvent::Request { txn, .. } => ctx.agent.respond(ctx.now, *txn, 405, Extra::default()),
            _ => {}
        }
    }

    fn on_answer(&mut self, leg: LegId, response: &Message, ctx: &mut Ctx<'_>) {
        let Some(targets) = self.read(response, ctx) else {
            ctx.agent.bye(ctx.now, leg, Extra::default());
            return self.fail(Failure::new("bad_answer"), ctx);
        };
        self.aim(targets, ctx);
        self.state = State::Recording(Recording { leg, asked: None, is_stale: false, again: None, offered: None });
        self.announce(None, ctx);
    }

    /// This address does not record, or does not any more.
    pub(super) fn fail(&mut self, failure: Failure, ctx: &mut Ctx<'_>) {
        self.failure = failure;
        self.try_hop(ctx);
    }

    /// Every place has failed.
    pub(super) fn end_round(&mut self, ctx: &mut Ctx<'_>) {
        self.place = self.recorder.uris.len().saturating_sub(1);
        let failure = self.failure;
        if self.rounds >= self.recorder.retries {
            self.announce(Some((failure, None)), ctx);
            if self.ports.is_some() {
                self.media(Copies::Close, ctx);
            }
            self.state = State::GivenUp;
            return;
        }
        let pause = pause(self.recorder.retry_after, self.rounds);
        self.rounds += 1;
        self.announce(Some((failure, Some(pause))), ctx);
        self.state = State::Pausing { until: ctx.now.mono + pause };
    }
}
