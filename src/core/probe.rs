//! Whether trunks are there: OPTIONS (RFC 3261 §11) to every place of each trunk that has `[trunk.probe]`, round after round.
//!
//! | What came | The place is | For calls ([`Health`]) |
//! |---|---|---|
//! | any answer but those below, refusals too | up | answered |
//! | 503 | degraded | left alone as Retry-After says |
//! | another 5xx | degraded | unchanged: it says nothing of calls |
//! | 408 | down, `timeout`: a proxy, and nobody behind it | failed |
//! | nothing in time | down, `timeout` | failed |
//! | could not be sent | down, `unreachable` | failed |
//!
//! A trunk is as well as its best place: up as soon as one is. A name that leads nowhere is `unresolved`, one that leads
//! only to ourselves or where no listener of ours can go is `unusable`; both are down. First rounds are spread over `every`, and
//! each later one comes up to a tenth late, drawn, so that many trunks are not asked together.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use rsip::Method;

use crate::config::{self, Trunk};
use crate::core::agent::{Agent, AgentEvent, ClientTxn, Extra, Standalone};
use crate::core::b2bua::{Output, Settings};
use crate::core::event::{Body, Event, ProbeData};
use crate::core::health::{Fault, Health};
use crate::core::locate::{Asker, Hop, Query};
use crate::core::registration::retry_after;
use crate::core::route;
use crate::limits;
use crate::time::{Mono, Now, Wakeup, Wall};
use crate::wire::sip::{Message, Uri};

#[cfg(test)]
mod tests;

/// What a machine beside the calls (a probe, a recording session) may use while it handles one input.
#[derive(Debug)]
pub struct Ctx<'a> {
    pub now: Now,
    pub agent: &'a mut Agent,
    pub settings: &'a Settings,
    pub health: &'a mut Health,
    pub out: &'a mut VecDeque<Output>,
}

/// What is known of a trunk, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeState {
    pub trunk: String,
    /// `unknown`, `up`, `degraded`, `down`, or `gone`: not asked any more.
    pub state: &'static str,
    pub last_change: Option<Wall>,
    /// Stable code of the last round; `None` when the trunk was up.
    pub last_error: Option<&'static str>,
    /// From the last question that was answered to its answer.
    pub rtt: Option<Duration>,
}

impl ProbeState {
    /// Whether calls can go there, as far as we know.
    pub fn is_up(&self) -> Option<bool> {
        match self.state {
            "up" => Some(true),
            "degraded" | "down" => Some(false),
            _ => None,
        }
    }
}

/// How well a place is: the lesser is the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Up,
    Degraded,
    Down,
}

/// What one answer, or none, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    standing: Standing,
    reason: Option<&'static str>,
}

/// What it means for the calls to that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    Answered,
    Unchanged,
    Failed(Fault),
}

/// All probes of the configuration.
#[derive(Debug)]
pub struct Probes {
    all: Vec<Probe>,
    last_id: u32,
    draining: bool,
    /// The soonest that any wants to come back: asked after every input, so it is kept.
    next: Option<Mono>,
    random: ChaCha12Rng,
}

#[derive(Debug)]
struct Probe {
    id: u32,
    trunk: Arc<Trunk>,
    rule: config::Probe,
    state: State,
    /// When the round began, or the last one did.
    began: Mono,
    /// The best of this round.
    best: Option<Verdict>,
    known: Option<Verdict>,
    last_change: Option<Wall>,
    rtt: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Waiting { until: Mono },
    Resolving { until: Mono },
    Asking { until: Mono, asked: Vec<(ClientTxn, Hop)> },
}

impl Probes {
    /// `seed` decides when each round comes.
    pub fn new(seed: u64) -> Probes {
        let random = ChaCha12Rng::seed_from_u64(seed);
        Probes { all: Vec::new(), last_id: 0, draining: false, next: None, random }
    }

    /// Takes over a configuration: those that are gone or changed end, new ones begin.
    pub fn apply(&mut self, ctx: &mut Ctx<'_>) {
        let trunks = if self.draining { &[][..] } else { ctx.settings.config.trunks.as_slice() };
        let wanted: HashMap<&str, &Arc<Trunk>> =
            trunks.iter().filter(|trunk| trunk.probe.is_some()).map(|trunk| (trunk.name.as_str(), trunk)).collect();
        self.all.retain_mut(|one| match wanted.get(one.trunk.name.as_str()) {
            Some(trunk) if one.is_still(trunk) => {
                one.trunk = Arc::clone(trunk);
                true
            }
            _ => {
                one.show("gone", ctx.out);
                false
            }
        });
        let known: HashSet<String> = self.all.iter().map(|one| one.trunk.name.clone()).collect();
        for trunk in trunks.iter().filter(|trunk| !known.contains(&trunk.name)).take(limits::CONFIG_TABLES) {
            let Some(rule) = trunk.probe else { continue };
            self.last_id = self.last_id.wrapping_add(1);
            let until = ctx.now.mono + below(&mut self.random, rule.every);
            self.all.push(Probe {
                id: self.last_id,
                trunk: Arc::clone(trunk),
                rule,
                state: State::Waiting { until },
                began: ctx.now.mono,
                best: None,
                known: None,
                last_change: None,
                rtt: None,
            });
        }
        self.find_next();
    }

    /// Nobody is asked any more.
    pub fn drain(&mut self, ctx: &mut Ctx<'_>) {
        self.draining = true;
        self.apply(ctx);
    }

    pub fn on_resolved(&mut self, id: u32, hops: &[Hop], ctx: &mut Ctx<'_>) {
        if let Some(one) = self.all.iter_mut().find(|one| one.id == id)
            && matches!(one.state, State::Resolving { .. })
        {
            one.ask(hops, &mut self.random, ctx);
            self.find_next();
        }
    }

    /// A final response to a request outside any dialog, which may be none of ours.
    pub fn on_answer(&mut self, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        let AgentEvent::Standalone { txn, status, response } = event else { return };
        if let Some(one) = self.all.iter_mut().find(|one| one.waits_for(*txn)) {
            one.on_answer(*txn, *status, response.as_deref(), &mut self.random, ctx);
            self.find_next();
        }
    }

    pub fn on_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono;
        for one in self.all.iter_mut().filter(|one| one.due() <= now) {
            one.on_timeout(&mut self.random, ctx);
        }
        self.find_next();
    }

    pub fn is_due(&self, now: Mono) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        self.next.map(|next| (next, "probe"))
    }

    /// How many trunks are asked.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    fn find_next(&mut self) {
        self.next = self.all.iter().map(Probe::due).min();
    }
}

impl Probe {
    /// Nothing that a round depends on has changed.
    fn is_still(&self, trunk: &Trunk) -> bool {
        let way = |trunk: &Trunk| way(trunk).map(str::to_owned);
        trunk.probe == Some(self.rule)
            && way(trunk) == way(&self.trunk)
            && trunk.credentials == self.trunk.credentials
            && trunk.register == self.trunk.register
            && trunk.transports == self.trunk.transports
    }

    fn on_timeout(&mut self, random: &mut ChaCha12Rng, ctx: &mut Ctx<'_>) {
        match &mut self.state {
            State::Waiting { .. } => self.begin(random, ctx),
            State::Resolving { .. } => self.end("unresolved", random, ctx),
            State::Asking { asked, .. } => {
                for (_, hop) in std::mem::take(asked) {
                    self.take(&hop, 408, None, ctx);
                }
                self.end("timeout", random, ctx);
            }
        }
    }

    /// A round: where does the trunk's name lead now?
    fn begin(&mut self, random: &mut ChaCha12Rng, ctx: &mut Ctx<'_>) {
        self.began = ctx.now.mono;
        self.best = None;
        let uri = way(&self.trunk).and_then(|way| Uri::parse(way).ok());
        let Some(query) = uri.and_then(|uri| Query::of(&uri, ctx.settings.names()).ok()) else {
            return self.end("unusable", random, ctx);
        };
        if let Some(hop) = query.literal() {
            return self.ask(&[hop], random, ctx);
        }
        ctx.out.push_back(Output::Resolve { asker: Asker::Probe(self.id), query });
        self.state = State::Resolving { until: ctx.now.mono + limits::RESOLVE };
    }

    /// OPTIONS to every place.
    fn ask(&mut self, hops: &[Hop], random: &mut ChaCha12Rng, ctx: &mut Ctx<'_>) {
        let usable = |hop: &&Hop| {
            let ip = hop.remote.ip();
            let may = self.trunk.transports.allows(hop.transport);
            may && !ip.is_unspecified() && !ip.is_multicast() && !ctx.settings.is_ours(hop.remote)
        };
        let mut asked = Vec::new();
        for hop in hops.iter().filter(usable).take(limits::PROBE_PLACES) {
            let Some(flow) = route::flow_towards(*hop, &ctx.settings.listeners) else { continue };
            let Some(way) = way(&self.trunk) else { continue };
            let from = match &self.trunk.register {
                Some(register) => format!("<{}>", register.aor),
                None => format!("<sip:{}>", ctx.settings.our_host(&flow)),
            };
            let request = Standalone {
                flow,
                method: Method::Options,
                request_uri: way.to_owned(),
                from,
                to: format!("<{way}>"),
                call_id: None,
                cseq: 1,
                credentials: self.trunk.credentials.clone(),
                large: self.trunk.large_requests,
                extra: Extra { headers: vec![("Accept".into(), "application/sdp".to_owned())], ..Extra::default() },
            };
            asked.push((ctx.agent.standalone(ctx.now, request), *hop));
        }
        if asked.is_empty() {
            return self.end(if hops.is_empty() { "unresolved" } else { "unusable" }, random, ctx);
        }
        self.state = State::Asking { until: ctx.now.mono + self.rule.timeout, asked };
    }

    fn on_answer(
        &mut self,
        txn: ClientTxn,
        status: u16,
        response: Option<&Message>,
        random: &mut ChaCha12Rng,
        ctx: &mut Ctx<'_>,
    ) {
        let State::Asking { until, asked } = &mut self.state else { return };
        let Some(place) = asked.iter().position(|(asked, _)| *asked == txn) else { return };
        let (_, hop) = asked.swap_remove(place);
        let sent = *until - self.rule.timeout;
        let is_last = asked.is_empty();
        let verdict = self.take(&hop, status, response, ctx);
        if verdict.standing == Standing::Up {
            self.rtt = Some(ctx.now.mono.since(sent));
        }
        if is_last {
            self.end("timeout", random, ctx);
        } else if verdict.standing == Standing::Up {
            self.enter(verdict, ctx);
        }
    }

    /// One place's answer.
    fn take(&mut self, hop: &Hop, status: u16, response: Option<&Message>, ctx: &mut Ctx<'_>) -> Verdict {
        let (verdict, advice) = judge(status, response.is_some(), response.and_then(retry_after));
        match advice {
            Advice::Answered => {
                ctx.health.answered(hop);
            }
            Advice::Failed(fault) => {
                ctx.health.failed(ctx.now.mono, hop, fault);
            }
            Advice::Unchanged => {}
        }
        self.best = Some(self.best.map_or(verdict, |best| best.min(verdict)));
        verdict
    }

    /// The round is over; `reason` stands when no place was heard of.
    fn end(&mut self, reason: &'static str, random: &mut ChaCha12Rng, ctx: &mut Ctx<'_>) {
        let pause = self.rule.every + below(random, self.rule.every / 10);
        let until = (self.began + pause).max(ctx.now.mono);
        self.state = State::Waiting { until };
        let nothing = Verdict { standing: Standing::Down, reason: Some(reason) };
        let verdict = self.best.take().unwrap_or(nothing);
        self.enter(verdict, ctx);
    }

    /// Tells the world when the trunk has changed.
    fn enter(&mut self, verdict: Verdict, ctx: &mut Ctx<'_>) {
        let before = self.known.replace(verdict);
        let changed = before.map(|before| before.standing) != Some(verdict.standing);
        if verdict.standing != Standing::Up {
            self.rtt = None;
        }
        if changed {
            self.last_change = Some(ctx.now.wall);
            let (trunk, state) = (self.trunk.name.clone(), self.state_name());
            match verdict.reason {
                None => tracing::info!(trunk, "trunk is up"),
                Some(code) => tracing::warn!(trunk, state, code, "trunk is not up"),
            }
            let data = ProbeData { trunk, state: state.to_owned(), reason: verdict.reason.map(str::to_owned) };
            let body = if data.reason.is_none() { Body::TrunkUp(data) } else { Body::TrunkDown(data) };
            let subject = self.trunk.name.clone();
            ctx.out.push_back(Output::Event(Event { time: ctx.now.wall, subject, body }));
        }
        self.show(self.state_name(), ctx.out);
    }

    fn show(&self, state: &'static str, out: &mut VecDeque<Output>) {
        out.push_back(Output::Probe(ProbeState {
            trunk: self.trunk.name.clone(),
            state,
            last_change: self.last_change,
            last_error: self.known.and_then(|known| known.reason),
            rtt: self.rtt,
        }));
    }

    fn state_name(&self) -> &'static str {
        match self.known.map(|known| known.standing) {
            None => "unknown",
            Some(Standing::Up) => "up",
            Some(Standing::Degraded) => "degraded",
            Some(Standing::Down) => "down",
        }
    }

    fn due(&self) -> Mono {
        match &self.state {
            State::Waiting { until } | State::Resolving { until } | State::Asking { until, .. } => *until,
        }
    }

    fn waits_for(&self, txn: ClientTxn) -> bool {
        matches!(&self.state, State::Asking { asked, .. } if asked.iter().any(|(asked, _)| *asked == txn))
    }
}

/// The rule; see the module. `heard`: the status is the trunk's, not our own word for silence or a broken way.
fn judge(status: u16, heard: bool, retry_after: Option<Duration>) -> (Verdict, Advice) {
    let not_up = |standing, fault: Fault| (Verdict { standing, reason: Some(fault.code()) }, Advice::Failed(fault));
    match status {
        408 => not_up(Standing::Down, Fault::Timeout),
        _ if !heard => not_up(Standing::Down, Fault::Transport),
        503 => not_up(Standing::Degraded, Fault::Unavailable { retry_after }),
        500..600 => (Verdict { standing: Standing::Degraded, reason: Some("server_error") }, Advice::Unchanged),
        _ => (Verdict { standing: Standing::Up, reason: None }, Advice::Answered),
    }
}

/// Where a question goes: the way out, else the registrar.
fn way(trunk: &Trunk) -> Option<&str> {
    trunk.address.as_deref().or(trunk.register.as_ref().map(|register| register.registrar.as_str()))
}

/// A part of `most`, drawn.
fn below(random: &mut ChaCha12Rng, most: Duration) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.next_u64() % millis.max(1))
}
