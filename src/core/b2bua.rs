//! All of signalling as one machine: datagrams, media notices and time in; datagrams, media commands and events out.
//! A test runs a thousand calls through it in virtual time without a socket.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

use crate::config::Trunk;
use crate::core::admission::Admission;
use crate::core::agent::{Agent, AgentConfig, AgentCounts, AgentEvent, Extra, Failure, Flow, LegId, Transmit};
use crate::core::attribution::{Attributor, CallMemory};
use crate::core::auth::server::Logins;
use crate::core::call::{self, Call, Ctx};
use crate::core::decide::{self, Decisions};
use crate::core::defence::Defence;
use crate::core::ears::ledger::Ledger;
use crate::core::event::{Body, CallData, Event};
use crate::core::health::Health;
use crate::core::lease::LeaseTable;
use crate::core::locate::{Asker, Hop, Query};
use crate::core::media::{MediaCommand, MediaNotice};
use crate::core::probe::{ProbeState, Probes};
use crate::core::registration::{Registrations, TrunkState};
use crate::core::route::Desk;
use crate::core::siprec::Copies;
use crate::core::siprec::heard::Heard;
use crate::core::stir::Answer;
use crate::ids::{CallId, Side};
use crate::limits;
use crate::time::{Mono, Now, Wakeup};

mod certificates;
mod door;
mod ears;
mod heard;
mod invite;
mod login;
mod probes;
mod replaces;
mod settings;
mod siprec;
mod standing;
mod trunks;

use certificates::Certificates;
pub(in crate::core) use door::fraud_suspected;
pub use settings::Settings;
pub use standing::Door;

/// What reaches signalling.
#[derive(Debug)]
pub enum Input {
    /// One whole SIP message from the network.
    Datagram(Flow, Bytes),
    /// Sending to this peer failed, or its connection did, or the network said that nobody is there.
    Unreachable(Failure),
    /// ICMP says that a datagram of ours came to nobody: where it went, and what is quoted of it, from its first byte.
    Bounced(SocketAddr, Bytes),
    Media(CallId, MediaNotice),
    Resolved(Asker, Vec<Hop>),
    /// Answer to [`Output::Decide`]: what the webhook said, or the stable code of why it said nothing.
    Decided(CallId, Result<Bytes, &'static str>),
    /// What stands at the URL of an [`Output::Fetch`]; `None`: nothing that can be used.
    Fetched {
        url: Box<str>,
        answer: Option<Answer>,
    },
    /// Somebody in charge ends one call; the code says why.
    HangUp(CallId, &'static str),
    /// The same for every call.
    HangUpAll(&'static str),
    /// Somebody in charge pauses a call's recording (`true`), or lets it go on.
    Pause(CallId, bool),
    /// A call that nobody has answered yet is not to be recorded.
    DoNotRecord(CallId),
    /// No new calls from now on.
    Drain,
    Reload(Arc<Settings>),
    /// This destination answered this caller in a call of an earlier run.
    Remember {
        company: String,
        caller: String,
        destination: String,
    },
    /// Messages wait so long in our queue: what `io` has measured.
    Load(Duration),
    Timeout,
}

/// What signalling wants done.
#[derive(Debug)]
pub enum Output {
    Send(Transmit),
    Media(CallId, MediaCommand),
    /// Find out where this leads; answered by [`Input::Resolved`].
    Resolve {
        asker: Asker,
        query: Query,
    },
    /// Ask a company's webhook where a call goes; answered by [`Input::Decided`], once, within the question's time.
    Decide(Box<decide::Ask>),
    /// Get what stands at this https URL, whose host the configuration has; answered by [`Input::Fetched`].
    Fetch {
        url: Box<str>,
    },
    Event(Event),
    /// A leg of a call came to be: this is its SIP Call-ID.
    Leg(CallId, Side, String),
    /// A trunk's registration has changed its state.
    Trunk(TrunkState),
    /// A trunk was asked whether it is there.
    Probe(ProbeState),
    /// An INVITE was refused at the door, for the metric.
    Refused(Refused),
    /// A call that a PBX had told of goes on here: it was counted under the PBX's name, and is the trunk's now.
    TakenOver {
        call: CallId,
        from: String,
        to: String,
    },
}

/// A call that never came to be.
#[derive(Clone, Debug)]
pub struct Refused {
    pub code: &'static str,
    /// Whose INVITE it was.
    pub trunk: Option<Arc<Trunk>>,
}

/// How many of each thing exist; all zero after quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub calls: usize,
    pub legs: usize,
    pub timers: usize,
    pub admitted: usize,
    /// Places taken at destinations whose calls are counted.
    pub seats: usize,
    /// Questions to companies' webhooks that have no answer yet.
    pub decisions: usize,
    /// Registrations, kept or about to leave.
    pub registrations: usize,
    /// Trunks that are asked whether they are there.
    pub probes: usize,
    /// INVITEs that wait for a certificate.
    pub parked: usize,
    /// Recording sessions at third parties' recorders, those that are tried too.
    pub copies: usize,
    /// Calls that PBXs tell of.
    pub told: usize,
    pub agent: AgentCounts,
}

/// A call in progress, for whoever watches.
#[derive(Clone, Debug)]
pub struct Live {
    pub data: CallData,
    pub phase: &'static str,
}

/// Keyed by what we draw ourselves: nobody outside can choose keys that collide.
type Ours<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// See the module.
#[derive(Debug)]
pub struct B2bua {
    agent: Agent,
    settings: Arc<Settings>,
    leases: Arc<LeaseTable>,
    attributor: Attributor,
    admission: Admission,
    desk: Desk,
    decisions: Decisions,
    health: Health,
    registrations: Registrations,
    probes: Probes,
    /// The configuration's registrations and probes have begun.
    begun: bool,
    calls: Ours<CallId, Box<Call>>,
    legs: Ours<LegId, (CallId, Side)>,
    timers: BTreeSet<(Mono, CallId)>,
    armed: Ours<CallId, Mono>,
    out: VecDeque<Output>,
    random: ChaCha12Rng,
    defence: Defence,
    logins: Logins,
    /// Whose credentials the message shows that is being handled.
    logged_in: Option<Arc<Trunk>>,
    certificates: Certificates,
    /// Copies of calls for third parties' recorders.
    copies: Copies,
    /// Calls that somebody else carries and we record.
    heard: Ours<CallId, Box<Heard>>,
    /// Calls that PBXs tell of.
    ears: Ledger,
    /// The next inputs of this call panic, so many.
    #[cfg(test)]
    panic_in: Option<(CallId, u32)>,
}

impl B2bua {
    /// `seed` decides every id, tag, branch and number that this machine draws.
    pub fn new(settings: Arc<Settings>, leases: Arc<LeaseTable>, seed: [u8; 32]) -> B2bua {
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut agent_seed = [0; 32];
        random.fill_bytes(&mut agent_seed);
        // Of its own, so that what the calls draw does not change with it.
        let own_seed = u64::from_le_bytes(*seed.first_chunk().unwrap_or(&[0; 8]));
        let (defence, probes) = (Defence::new(own_seed), Probes::new(own_seed));
        let attributor = Attributor { model: Arc::clone(&settings.model), ..Attributor::default() };
        let agent_config = AgentConfig {
            user_agent: settings.config.sip.user_agent.clone(),
            hosts: settings.hosts.clone(),
            transactions_max: limits::TRANSACTIONS,
            reliable: settings.config.sip.dialogs.reliable,
            session: settings.config.sip.dialogs.session(),
        };
        B2bua {
            agent: Agent::new(Arc::new(agent_config), agent_seed)
                .with_replaces()
                .with_siprec()
                .with_tcp(settings.tcp_listeners()),
            settings,
            leases,
            attributor,
            admission: Admission::default(),
            desk: Desk::default(),
            decisions: Decisions::default(),
            health: Health::default(),
            registrations: Registrations::default(),
            probes,
            begun: false,
            calls: Ours::default(),
            legs: Ours::default(),
            timers: BTreeSet::new(),
            armed: Ours::default(),
            out: VecDeque::new(),
            random,
            defence,
            logins: Logins::new(&seed),
            logged_in: None,
            certificates: Certificates::default(),
            // Of its own, for the same reason.
            copies: Copies::new(own_seed.rotate_left(32)),
            heard: Ours::default(),
            ears: Ledger::default(),
            #[cfg(test)]
            panic_in: None,
        }
    }

    /// The only way to change the machine; drain [`B2bua::poll_output`] after it.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Datagram(flow, bytes) => self.on_datagram(now, flow, bytes),
            Input::Unreachable(failure) => {
                self.agent.handle_transport_error(now, &failure);
                self.on_registrations(now, |all, ctx| all.on_unreachable(&failure, ctx));
            }
            Input::Bounced(remote, quoted) => self.agent.handle_bounce(now, remote, &quoted),
            Input::Media(call, MediaNotice::Copies(ports)) => {
                self.on_copies(now, call, |copies, ctx| copies.on_ports(call, ports, ctx));
            }
            Input::Media(call, notice) => self.tell_call(now, call, call::Input::Media(notice)),
            Input::Resolved(Asker::Call(call, question), hops) => {
                hops.iter().for_each(|hop| self.defence.is_led_to(hop.remote.ip()));
                self.tell_call(now, call, call::Input::Resolved(question, hops));
            }
            Input::Resolved(Asker::Probe(id), hops) => {
                hops.iter().for_each(|hop| self.defence.is_led_to(hop.remote.ip()));
                self.on_probes(now, |all, ctx| all.on_resolved(id, &hops, ctx));
            }
            Input::Resolved(Asker::Registrar(id), hops) => {
                hops.iter().for_each(|hop| self.defence.is_led_to(hop.remote.ip()));
                self.on_registrations(now, |all, ctx| all.on_resolved(id, hops, ctx));
            }
            Input::Resolved(Asker::Recorder(call, question), hops) => {
                hops.iter().for_each(|hop| self.defence.is_led_to(hop.remote.ip()));
                self.on_copies(now, call, |copies, ctx| copies.on_resolved(call, question, hops, ctx));
            }
            Input::Decided(call, answer) => self.tell_call(now, call, call::Input::Decided(answer)),
            Input::Fetched { url, answer } => self.on_fetched(now, &url, answer.as_ref()),
            Input::HangUp(call, code) => self.tell_call(now, call, call::Input::HangUp(code)),
            Input::Pause(call, pause) => self.tell_call(now, call, call::Input::Pause(pause)),
            Input::DoNotRecord(call) => self.tell_call(now, call, call::Input::DoNotRecord),
            Input::HangUpAll(code) => {
                let mut calls: Vec<CallId> = self.calls.keys().chain(self.heard.keys()).copied().collect();
                calls.sort_unstable();
                for call in calls {
                    self.tell_call(now, call, call::Input::HangUp(code));
                }
            }
            Input::Drain => {
                self.admission.drain();
                self.on_registrations(now, Registrations::drain);
                self.on_probes(now, Probes::drain);
            }
            Input::Load(lag) => self.admission.loaded(now.mono, lag),
            Input::Reload(settings) => {
                self.reload(settings);
                self.on_registrations(now, Registrations::apply);
                self.on_probes(now, Probes::apply);
            }
            Input::Remember { company, caller, destination } => {
                self.desk.known.remember(&company, &caller, destination.into());
            }
            Input::Timeout => self.on_timeout(now),
        }
        self.pump(now);
    }

    /// What calls of earlier runs taught. Before the first call.
    pub fn remember_callers(&mut self, calls: CallMemory) {
        self.attributor.calls = calls;
    }

    fn reload(&mut self, settings: Arc<Settings>) {
        let companies = &settings.config.companies;
        let counted = companies.iter().flat_map(|company| company.every_destination());
        let counted: HashSet<&str> = counted.filter_map(|one| one.counted.as_deref()).collect();
        let names: HashSet<&str> = companies.iter().map(|company| company.name.as_str()).collect();
        self.desk.retain(|key| counted.contains(key), |name| names.contains(name));
        self.decisions.retain(|name| names.contains(name));
        self.attributor.model = Arc::clone(&settings.model);
        self.settings = settings;
    }

    /// What is to be done next; `None` when everything is.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back, and why.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let call = self.timers.first().map(|(at, _)| (*at, "call")).into_iter().chain(self.copies.poll_timeout());
        let trunks = self.registrations_timeout().into_iter().chain(self.probes.poll_timeout());
        let parked = self.certificates.poll_timeout();
        let told = self.ears.poll_timeout().map(|at| (at, "told call"));
        call.chain(self.agent.poll_timeout()).chain(told).chain(trunks).chain(parked).min_by_key(|(at, _)| *at)
    }

    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len() + self.heard.len(),
            legs: self.legs.len(),
            timers: self.timers.len(),
            admitted: self.admission.calls(),
            seats: self.desk.taken(),
            decisions: self.decisions.pending(),
            registrations: self.registrations.count(),
            probes: self.probes.count(),
            parked: self.certificates.parked(),
            copies: self.copies.count(),
            told: self.ears.count(),
            agent: self.agent.counts(),
        }
    }

    /// Calls whose parties are, or are getting, connected.
    pub fn connected(&self) -> usize {
        let heard = self.heard.values().filter(|heard| !heard.is_over()).count();
        self.calls.values().filter(|call| !call.is_over()).count() + heard
    }

    /// Whether this call exists.
    pub fn has(&self, call: CallId) -> bool {
        self.calls.contains_key(&call) || self.heard.contains_key(&call)
    }

    /// How this call's recording stands; `None`: there is no such call.
    pub fn recording(&self, call: CallId) -> Option<call::record::Stage> {
        self.calls.get(&call).map(|call| call.recording_stage())
    }

    /// What it reads now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Which hops are down.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The agent, for its counters.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The calls in progress, oldest first.
    pub fn live(&self) -> Vec<Live> {
        let mut live: Vec<Live> =
            self.calls.values().map(|call| Live { data: call.data().clone(), phase: call.phase() }).collect();
        live.extend(self.heard.values().map(|heard| Live { data: heard.data().clone(), phase: heard.phase() }));
        live.sort_unstable_by_key(|call| call.data.call_id);
        live
    }

    fn on_timeout(&mut self, now: Now) {
        self.agent.handle_timeout(now);
        self.registrations_due(now);
        self.certificates_due(now);
        self.end_told(now);
        if self.probes.is_due(now.mono) {
            self.on_probes(now, Probes::on_timeout);
        }
        while let Some(call) = self.copies.due(now.mono) {
            self.on_copies(now, call, |copies, ctx| copies.on_timeout(call, ctx));
        }
        while let Some((at, call)) = self.timers.first().copied()
            && at <= now.mono
        {
            self.disarm(call);
            self.tell_call(now, call, call::Input::Timeout);
        }
    }

    /// Lets events and bytes of the agent through until it is quiet.
    fn pump(&mut self, now: Now) {
        loop {
            while let Some(transmit) = self.agent.poll_transmit() {
                self.out.push_back(Output::Send(transmit));
            }
            let Some(event) = self.agent.poll_event() else { return };
            self.on_agent(now, event);
        }
    }

    fn on_agent(&mut self, now: Now, event: AgentEvent) {
        match event {
            AgentEvent::Invited { leg, request, flow } => self.on_invite(now, leg, request, flow),
            AgentEvent::OutOfDialog { txn, request, .. } => {
                let (status, headers) = match (request.method(), self.admission.is_draining()) {
                    (Some(rsip::Method::Options), false) => {
                        (200, vec![("Accept".into(), "application/sdp".to_owned())])
                    }
                    (Some(rsip::Method::Options), true) => (503, vec![("Retry-After".into(), "30".to_owned())]),
                    _ => (405, Vec::new()),
                };
                self.agent.respond(now, txn, status, Extra { headers, ..Extra::default() });
            }
            AgentEvent::Standalone { .. } => {
                self.on_registrations(now, |all, ctx| all.on_answer(&event, ctx));
                self.on_probes(now, |all, ctx| all.on_answer(&event, ctx));
            }
            AgentEvent::Cancelled { leg, .. }
            | AgentEvent::Acked { leg, .. }
            | AgentEvent::AckTimeout { leg }
            | AgentEvent::Provisional { leg, .. }
            | AgentEvent::Answered { leg, .. }
            | AgentEvent::Refused { leg, .. }
            | AgentEvent::Request { leg, .. }
            | AgentEvent::RequestCancelled { leg, .. }
            | AgentEvent::Bye { leg, .. }
            | AgentEvent::Refreshed { leg, .. }
            | AgentEvent::Ended { leg, .. }
            | AgentEvent::Response { leg, .. } => {
                // A leg without a call is one that its call has let go: the agent finishes it alone.
                if let Some((call, side)) = self.legs.get(&leg).copied() {
                    self.tell_call(now, call, call::Input::Leg(side, leg, &event));
                } else if let Some(call) = self.copies.call_of(leg) {
                    self.on_copies(now, call, |copies, ctx| copies.on_leg(call, leg, &event, ctx));
                } else {
                    self.certificates.forget(leg);
                }
            }
        }
    }

    /// One input to one call.
    fn tell_call(&mut self, now: Now, id: CallId, input: call::Input<'_>) {
        if let Some(heard) = self.heard.remove(&id) {
            return self.drive_heard(now, heard, |heard, ctx| heard.handle(input, ctx));
        }
        let Some(call) = self.calls.remove(&id) else { return };
        self.drive(now, call, |call, ctx| call.handle(input, ctx));
    }

    /// Does this to a call and puts it where it belongs then. A panic inside it ends that call and nothing else.
    fn drive(&mut self, now: Now, mut call: Box<Call>, act: impl FnOnce(&mut Call, &mut Ctx<'_>)) {
        let before = self.out.len();
        if let Err(panic) = self.guarded(now, &mut call, act) {
            self.on_panic(now, &mut call, &panic);
        }
        self.follow(now, &call, before);
        if let Some(answered) = call.data().answered_at {
            self.keep_books(|all| all.admission.answered(answered, call.admitted_mut()));
        }
        if call.is_ended() {
            self.keep_books(|all| all.forget(now, *call));
        } else {
            self.arm(call.id(), call.poll_timeout());
            self.calls.insert(call.id(), call);
        }
    }

    /// Counts what calls take and give back. An error of ours in it costs a count, not the other calls.
    fn keep_books(&mut self, act: impl FnOnce(&mut B2bua)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| act(self))) {
            tracing::error!(panic = panic_text(panic.as_ref()), "the counts of calls are wrong from here on");
        }
    }

    /// Does this to a call. A panic comes back as its text.
    fn guarded(&mut self, now: Now, call: &mut Call, act: impl FnOnce(&mut Call, &mut Ctx<'_>)) -> Result<(), String> {
        let id = call.id();
        let mut new_legs = Vec::new();
        let mut ctx = Ctx {
            now,
            agent: &mut self.agent,
            settings: &self.settings,
            desk: &mut self.desk,
            decisions: &mut self.decisions,
            admission: &mut self.admission,
            alarms: &mut self.defence.alarms,
            health: &mut self.health,
            registrations: &self.registrations,
            out: &mut self.out,
            new_legs: &mut new_legs,
        };
        #[cfg(test)]
        let panic_here = self.panic_in.as_mut().is_some_and(|(in_call, left)| {
            let due = *in_call == id && *left > 0;
            *left -= u32::from(due);
            due
        });
        let done = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!panic_here, "injected");
            act(call, &mut ctx);
        }));
        for leg in new_legs {
            self.own_leg(leg, id, Side::Company);
        }
        done.map_err(|panic| panic_text(panic.as_ref()))
    }

    fn own_leg(&mut self, leg: LegId, call: CallId, side: Side) {
        self.legs.insert(leg, (call, side));
        if let Some(sip_call_id) = self.agent.sip_call_id(leg) {
            self.out.push_back(Output::Leg(call, side, sip_call_id.to_owned()));
        }
    }

    fn forget(&mut self, now: Now, call: Call) {
        let id = call.id();
        self.disarm(id);
        for leg in call.legs() {
            self.legs.remove(leg);
        }
        if let (Some(caller), Some(label)) = (&call.data().caller, call.answered_by())
            && call.company().asks_for_known()
        {
            self.desk.known.remember(&call.data().company, caller, Arc::clone(label));
        }
        if call.is_transcoded() {
            self.admission.transcoded();
        }
        let (seats, talked) = call.seats();
        for seat in seats {
            self.desk.release(now.mono, seat, talked);
        }
        if call.is_asking() {
            self.decisions.settle(now.mono, &call.data().company, decide::Came::Nothing);
        }
        self.remember_passed(now, call.data());
        let ended = call.data().ended_at.unwrap_or(now.wall);
        self.admission.release(Now { wall: ended, ..now }, &call.into_admitted());
    }

    /// Both legs are hung up by whatever words still work, media is closed, and the events say what happened. The call
    /// waits for its media and its recording as every other does; one that panics again is ended without them.
    fn on_panic(&mut self, now: Now, call: &mut Call, text: &str) {
        let id = call.id();
        tracing::error!(call = %id, panic = text, "a call crashed and is ended");
        for leg in call.legs() {
            self.agent.bye(now, *leg, Extra::default());
        }
        let crashed = Body::CallCrashed { call_id: id, panic: text.to_owned() };
        self.out.push_back(Output::Event(Event { time: now.wall, subject: id.to_string(), body: crashed }));
        if self.guarded(now, call, Call::crash).is_err() {
            self.out.push_back(Output::Media(id, MediaCommand::Close(now)));
            let ended = Body::CallEnded(Box::new(call.cut_off(now)));
            self.out.push_back(Output::Event(Event { time: now.wall, subject: id.to_string(), body: ended }));
        }
    }

    fn arm(&mut self, call: CallId, wakeup: Option<Wakeup>) {
        self.disarm(call);
        if let Some((at, _)) = wakeup {
            self.timers.insert((at, call));
            self.armed.insert(call, at);
        }
    }

    fn disarm(&mut self, call: CallId) {
        if let Some(at) = self.armed.remove(&call) {
            self.timers.remove(&(at, call));
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}

#[cfg(test)]
mod tests;
