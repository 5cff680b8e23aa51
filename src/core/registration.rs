//! Our registrations at trunks (RFC 3261 §10.2, RFC 3327, RFC 3608): one small machine for each `[trunk.register]`.
//!
//! | State | Leaves it by |
//! |---|---|
//! | resolving | the registrar's places, or a time-out |
//! | asking | the answer: 2xx → registered; 423 → asking with what it wants; no answer → the next place; else → waiting |
//! | registered | the time to refresh, or a broken connection |
//! | waiting | its time: RFC 5626 §4.5 with jitter, or Retry-After |
//! | leaving | the answer to `Expires: 0`, whatever it is |
//!
//! Calls from the place that a trunk is registered at are the trunk's.

mod answer;
#[cfg(test)]
mod tests;

pub(in crate::core) use answer::retry_after;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use rsip::{Method, Transport};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, Register, Trunk};
use crate::core::agent::{Agent, AgentEvent, ClientTxn, Extra, Failure, Standalone};
use crate::core::auth::digest::hex;
use crate::core::b2bua::{Output, Settings};
use crate::core::event::{Body, Event, TrunkData};
use crate::core::locate::{Asker, Hop, Query};
use crate::core::route;
use crate::limits;
use crate::time::{Mono, Now, Wakeup, Wall};
use crate::wire::sip::{Message, Uri};

/// What a registration may use while it handles one input.
#[derive(Debug)]
pub struct Ctx<'a> {
    pub now: Now,
    pub agent: &'a mut Agent,
    pub settings: &'a Settings,
    pub out: &'a mut VecDeque<Output>,
    pub random: &'a mut ChaCha12Rng,
}

/// How a trunk's registration stands, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkState {
    pub trunk: String,
    /// `registering`, `registered`, `waiting`, `leaving` or `gone`.
    pub state: &'static str,
    /// Calls can reach us by it.
    pub registered: bool,
    pub expires_at: Option<Wall>,
    /// Stable code of the last failure; `None` after a success.
    pub last_error: Option<&'static str>,
}

/// All registrations of the configuration.
#[derive(Debug, Default)]
pub struct Registrations {
    all: Vec<Registration>,
    last_id: u32,
    draining: bool,
}

#[derive(Debug)]
struct Registration {
    id: u32,
    trunk: Arc<Trunk>,
    register: Register,
    /// User part of our Contacts.
    contact_user: String,
    call_id: Box<str>,
    cseq: u32,
    state: State,
    /// Places of the registrar, and the one in use.
    hops: Vec<Hop>,
    place: usize,
    /// Seconds that are asked for; grows with a 423.
    expires: u32,
    /// What was granted last.
    granted: Option<Granted>,
    /// Service-Route of the last 2xx (RFC 3608 §5): Route of our requests over this trunk while it is granted.
    service_route: Vec<Box<str>>,
    failures: u32,
    last_error: Option<&'static str>,
    /// What was told by an event: `None` before the first.
    told: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Granted {
    until: Mono,
    expires_at: Wall,
    /// Who granted it.
    hop: Hop,
}

impl Granted {
    fn is_from(&self, source: IpAddr) -> bool {
        self.hop.remote.ip().to_canonical() == source
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resolving { until: Mono },
    Asking(ClientTxn),
    Registered { refresh: Mono },
    Waiting { until: Mono },
    Leaving(ClientTxn),
    Gone,
}

impl Registrations {
    /// Takes over a configuration: new trunks register, those that are gone or changed leave.
    pub fn apply(&mut self, ctx: &mut Ctx<'_>) {
        let config: Arc<Config> = Arc::clone(&ctx.settings.config);
        let wanted = |one: &Registration| {
            config.trunks.iter().any(|trunk| {
                trunk.name == one.trunk.name
                    && trunk.register.as_ref() == Some(&one.register)
                    && trunk.credentials == one.trunk.credentials
                    && trunk.transports == one.trunk.transports
            })
        };
        for one in self.all.iter_mut().filter(|one| !wanted(one)) {
            one.leave("configuration", ctx);
        }
        for trunk in &config.trunks {
            let Some(register) = &trunk.register else { continue };
            let mut live = self.all.iter_mut().filter(|one| !one.is_leaving());
            if let Some(known) = live.find(|one| one.trunk.name == trunk.name) {
                known.trunk = Arc::clone(trunk);
            } else if !self.draining && self.all.len() < limits::CONFIG_TABLES {
                self.last_id += 1;
                let mut one = Registration::new(self.last_id, trunk, register, ctx);
                one.begin(ctx);
                self.all.push(one);
            }
        }
        self.sweep();
    }

    /// No new calls: we take ourselves out everywhere.
    pub fn drain(&mut self, ctx: &mut Ctx<'_>) {
        self.draining = true;
        for one in &mut self.all {
            one.leave("stopping", ctx);
        }
        self.sweep();
    }

    pub fn on_resolved(&mut self, id: u32, hops: Vec<Hop>, ctx: &mut Ctx<'_>) {
        if let Some(one) = self.all.iter_mut().find(|one| one.id == id) {
            one.on_resolved(hops, ctx);
        }
    }

    /// A final response to a request outside any dialog, which may be none of ours.
    pub fn on_answer(&mut self, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        let AgentEvent::Standalone { txn, status, response } = event else { return };
        if let Some(one) = self.all.iter_mut().find(|one| one.waits_for(*txn)) {
            one.on_answer(*status, response.as_deref(), ctx);
            self.sweep();
        }
    }

    /// A connection or a peer is gone: whoever is registered over it asks again soon (RFC 5626 §4.4).
    pub fn on_unreachable(&mut self, failure: &Failure, ctx: &mut Ctx<'_>) {
        for one in &mut self.all {
            let here = one.hop().is_some_and(|hop| hop.transport == failure.transport && hop.remote == failure.remote);
            if here && matches!(one.state, State::Registered { .. }) {
                let pause = limits::REGISTER_AGAIN + jitter(ctx.random, limits::REGISTER_AGAIN);
                one.enter(State::Registered { refresh: ctx.now.mono + pause }, ctx);
            }
        }
    }

    pub fn on_timeout(&mut self, ctx: &mut Ctx<'_>) {
        for one in &mut self.all {
            one.on_timeout(ctx);
        }
        self.sweep();
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        self.all.iter().filter_map(Registration::poll_timeout).min_by_key(|(at, _)| *at)
    }

    /// The trunk that is registered at this address.
    pub fn trunk_at(&self, source: IpAddr) -> Option<&Arc<Trunk>> {
        let source = source.to_canonical();
        let is_there = |one: &&Registration| one.granted.is_some_and(|granted| granted.is_from(source));
        self.all.iter().find(is_there).map(|one| &one.trunk)
    }

    /// The trunk that is registered at this address with this user part in our Contact: several trunks of one registrar
    /// are told apart by it.
    pub fn trunk_of(&self, source: IpAddr, user: &str) -> Option<&Arc<Trunk>> {
        let source = source.to_canonical();
        let is_it = |one: &&Registration| {
            one.contact_user == user && one.granted.is_some_and(|granted| granted.is_from(source))
        };
        self.all.iter().find(is_it).map(|one| &one.trunk)
    }

    /// Route of our own calls through this trunk: what its registrar has asked for. Where they go is what the
    /// configuration says all the same: that is the outbound proxy, which passes them on along the route (RFC 3261 §8.1.2).
    pub fn service_route(&self, trunk: &str) -> Option<&[Box<str>]> {
        let one = self.all.iter().find(|one| one.granted.is_some() && one.trunk.name == trunk)?;
        Some(&one.service_route)
    }

    /// How many there are that have not left.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    fn sweep(&mut self) {
        self.all.retain(|one| one.state != State::Gone);
    }
}

impl Registration {
    fn new(id: u32, trunk: &Arc<Trunk>, register: &Register, ctx: &mut Ctx<'_>) -> Registration {
        let mut hash = Sha256::new();
        for part in [&trunk.name, &register.registrar, &register.aor, &ctx.settings.config.node.id] {
            hash.update(part);
            hash.update([0]);
        }
        let digits = hex(&hash.finalize());
        let drawn = [ctx.random.next_u64(), ctx.random.next_u64()];
        Registration {
            id,
            trunk: Arc::clone(trunk),
            register: register.clone(),
            contact_user: format!("ll-{}", digits.get(..16).unwrap_or_default()),
            call_id: format!("{:016x}{:016x}", drawn[0], drawn[1]).into(),
            cseq: 0,
            state: State::Waiting { until: ctx.now.mono },
            hops: Vec::new(),
            place: 0,
            expires: u32::try_from(register.expires.as_secs()).unwrap_or(u32::MAX),
            granted: None,
            service_route: Vec::new(),
            failures: 0,
            last_error: None,
            told: None,
        }
    }

    /// From the start: where is the registrar?
    fn begin(&mut self, ctx: &mut Ctx<'_>) {
        let uri = Uri::parse(&self.register.registrar).ok();
        let query = uri.and_then(|uri| Query::of(&uri, ctx.settings.names()).ok());
        let Some(query) = query else { return self.failed("registrar_unusable", None, ctx) };
        self.place = 0;
        if let Some(hop) = query.literal() {
            self.hops = vec![hop];
            return self.ask(self.expires, ctx);
        }
        ctx.out.push_back(Output::Resolve { asker: Asker::Registrar(self.id), query });
        self.enter(State::Resolving { until: ctx.now.mono + limits::RESOLVE }, ctx);
    }

    fn on_resolved(&mut self, hops: Vec<Hop>, ctx: &mut Ctx<'_>) {
        if !matches!(self.state, State::Resolving { .. }) {
            return;
        }
        let transports = self.trunk.transports;
        let usable = |hop: &Hop| {
            let ip = hop.remote.ip();
            !ip.is_unspecified() && !ip.is_multicast() && transports.allows(hop.transport)
        };
        self.hops = hops.into_iter().filter(usable).take(limits::REGISTER_PLACES).collect();
        if self.hops.is_empty() {
            return self.failed("registrar_unresolved", None, ctx);
        }
        self.ask(self.expires, ctx);
    }

    /// REGISTER to the place in use; `expires` 0 takes us out.
    fn ask(&mut self, expires: u32, ctx: &mut Ctx<'_>) {
        let flow = self.hop().and_then(|hop| route::flow_towards(hop, &ctx.settings.listeners));
        let Some(flow) = flow else { return self.failed("no_listener_for_registrar", None, ctx) };
        self.cseq = self.cseq.saturating_add(1);
        let own = [ctx.settings.our_host(&flow)];
        let hosts: &[String] = if self.register.contacts.is_empty() { &own } else { &self.register.contacts };
        let transport = match flow.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.to_string().to_ascii_lowercase()),
        };
        let contact = |host: &String| format!("<sip:{}@{host}{transport}>", self.contact_user);
        let mut headers: Vec<_> = hosts.iter().map(|host| ("Contact".into(), contact(host))).collect();
        headers.push(("Expires".into(), expires.to_string()));
        headers.push(("Supported".into(), "path".to_owned()));
        let aor = format!("<{}>", self.register.aor);
        let request = Standalone {
            flow,
            method: Method::Register,
            request_uri: self.register.registrar.clone(),
            from: aor.clone(),
            to: aor,
            call_id: Some(self.call_id.clone()),
            cseq: self.cseq,
            credentials: self.trunk.credentials.clone(),
            large: self.trunk.large_requests,
            extra: Extra { headers, ..Extra::default() },
        };
        let txn = ctx.agent.standalone(ctx.now, request);
        self.enter(if expires == 0 { State::Leaving(txn) } else { State::Asking(txn) }, ctx);
    }

    fn on_answer(&mut self, status: u16, response: Option<&Message>, ctx: &mut Ctx<'_>) {
        // The agent may have sent it again, each time one higher (§10.2: REGISTERs are counted).
        let answered = response.and_then(|response| response.cseq().ok()).map(|cseq| cseq.number);
        self.cseq = answered.unwrap_or(self.cseq.saturating_add(2)).max(self.cseq);
        if matches!(self.state, State::Leaving(_)) {
            return self.enter(State::Gone, ctx);
        }
        let Some(response) = response else { return self.next_place(answer::code(status, false), ctx) };
        match status {
            200..300 => self.on_success(response, ctx),
            423 => match answer::min_expires(response).filter(|least| *least > self.expires) {
                Some(least) => {
                    self.expires = least;
                    self.ask(least, ctx);
                }
                None => self.failed("interval_too_brief", None, ctx),
            },
            408 | 430 | 500..600 if self.place + 1 < self.hops.len() => {
                self.next_place(answer::code(status, true), ctx)
            }
            _ => self.failed(answer::code(status, true), answer::retry_after(response), ctx),
        }
    }

    fn on_success(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        let seconds = match answer::granted(response, &self.contact_user, self.expires) {
            Some(seconds) if seconds > 0 => seconds.min(self.expires),
            _ => return self.failed("contact_not_bound", None, ctx),
        };
        let granted = Duration::from_secs(u64::from(seconds));
        self.service_route = answer::service_route(response);
        let now = ctx.now;
        let expires_at = Wall(now.wall.0.saturating_add(i64::from(seconds) * 1_000_000));
        self.granted = self.hop().map(|hop| Granted { until: now.mono + granted, expires_at, hop });
        self.failures = 0;
        self.last_error = None;
        // Long ones at 80 to 90 % (RFC 5626 §4.4.1), short ones half-way, so that one lost refresh can be repeated.
        let refresh =
            if seconds >= 120 { granted.mul_f64(0.8) + jitter(ctx.random, granted / 10) } else { granted / 2 };
        self.enter(State::Registered { refresh: now.mono + refresh }, ctx);
        self.tell(true, "registered", ctx);
    }

    /// The place in use did not do: the next one, or a pause when there is none.
    fn next_place(&mut self, code: &'static str, ctx: &mut Ctx<'_>) {
        self.last_error = Some(code);
        self.place += 1;
        if self.place < self.hops.len() { self.ask(self.expires, ctx) } else { self.failed(code, None, ctx) }
    }

    /// A pause: what the registrar asks for, or RFC 5626 §4.5: twice as long each time, half of it drawn.
    fn failed(&mut self, code: &'static str, retry_after: Option<Duration>, ctx: &mut Ctx<'_>) {
        self.last_error = Some(code);
        let longest = limits::REGISTER_PAUSE_MAX;
        let doubled = limits::REGISTER_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        let longest_now = doubled.min(longest);
        let pause = match retry_after {
            Some(asked) => asked.min(longest) + jitter(ctx.random, limits::REGISTER_AGAIN),
            None => longest_now / 2 + jitter(ctx.random, longest_now / 2),
        };
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(trunk = %self.trunk.name, code, seconds = pause.as_secs(), "not registered; will ask again");
        // What was granted still stands until it runs out, unless the registrar has said no.
        let lapsed = self.granted.is_none_or(|granted| granted.until <= ctx.now.mono);
        if lapsed {
            self.granted = None;
        }
        self.enter(State::Waiting { until: ctx.now.mono + pause }, ctx);
        if lapsed {
            self.tell(false, code, ctx);
        }
    }

    /// Takes us out, once and without waiting for long: the registrar forgets us anyway.
    fn leave(&mut self, code: &'static str, ctx: &mut Ctx<'_>) {
        if self.is_leaving() {
            return;
        }
        if let Some(granted) = self.granted.take() {
            self.hops = vec![granted.hop];
            self.place = 0;
            self.tell(false, code, ctx);
            self.ask(0, ctx);
            if matches!(self.state, State::Leaving(_)) {
                return;
            }
        }
        self.enter(State::Gone, ctx);
    }

    fn on_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono;
        if self.granted.is_some_and(|granted| granted.until <= now) {
            self.granted = None;
            self.enter(self.state, ctx);
            self.tell(false, self.last_error.unwrap_or("expired"), ctx);
        }
        match self.state {
            State::Resolving { until } if until <= now => self.failed("registrar_unresolved", None, ctx),
            State::Registered { refresh } if refresh <= now => self.ask(self.expires, ctx),
            State::Waiting { until } if until <= now => self.begin(ctx),
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Wakeup> {
        let own = match self.state {
            State::Resolving { until } => Some((until, "registrar's name")),
            State::Registered { refresh } => Some((refresh, "register again")),
            State::Waiting { until } => Some((until, "register after a pause")),
            State::Asking(_) | State::Leaving(_) | State::Gone => None,
        };
        let lapses = self.granted.map(|granted| (granted.until, "registration lapses"));
        own.into_iter().chain(lapses).min_by_key(|(at, _)| *at)
    }

    fn hop(&self) -> Option<Hop> {
        self.hops.get(self.place).copied()
    }

    fn waits_for(&self, txn: ClientTxn) -> bool {
        self.state == State::Asking(txn) || self.state == State::Leaving(txn)
    }

    fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving(_) | State::Gone)
    }

    fn enter(&mut self, state: State, ctx: &mut Ctx<'_>) {
        self.state = state;
        let name = match state {
            State::Resolving { .. } | State::Asking(_) => "registering",
            State::Registered { .. } => "registered",
            State::Waiting { .. } => "waiting",
            State::Leaving(_) => "leaving",
            State::Gone => "gone",
        };
        ctx.out.push_back(Output::Trunk(TrunkState {
            trunk: self.trunk.name.clone(),
            state: name,
            registered: self.granted.is_some(),
            expires_at: self.granted.map(|granted| granted.expires_at),
            last_error: self.last_error,
        }));
    }

    /// Tells the world when it has changed.
    fn tell(&mut self, registered: bool, reason: &'static str, ctx: &mut Ctx<'_>) {
        if self.told.replace(registered) == Some(registered) {
            return;
        }
        let data = TrunkData {
            trunk: self.trunk.name.clone(),
            registrar: self.register.registrar.clone(),
            reason: (!registered).then(|| reason.to_owned()),
            expires_at: self.granted.map(|granted| granted.expires_at),
        };
        let body = if registered { Body::TrunkRegistered(data) } else { Body::TrunkUnregistered(data) };
        let subject = self.trunk.name.clone();
        ctx.out.push_back(Output::Event(Event { time: ctx.now.wall, subject, body }));
    }
}

/// A part of `most`, drawn.
fn jitter(random: &mut ChaCha12Rng, most: Duration) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.next_u64() % (millis.max(1)))
}
