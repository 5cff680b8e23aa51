//! A network of agents and hand-written peers in virtual time, which writes down what it sees as a ladder.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rsip::Transport;

use crate::core::agent::*;
use crate::core::hosts::Hosts;
use crate::core::transaction::PATIENCE;
use crate::time::Mono;
use crate::wire::sip::Message;

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
/// One way.
pub(super) const DELAY: Duration = Duration::from_millis(10);

pub(super) struct World {
    pub(super) now: Now,
    pub(super) agents: Vec<Agent>,
    pub(super) events: Vec<VecDeque<AgentEvent>>,
    pub(super) trust: Trust,
    pub(super) transport: Transport,
    /// What went to addresses that are no agent's, newest last.
    pub(super) mail: VecDeque<(SocketAddr, Message)>,
    pub(super) ladder: String,
    pub(super) sent: usize,
    wire: BTreeMap<(Mono, u64), (Flow, Bytes)>,
    order: u64,
    lose: Vec<(usize, &'static str, usize)>,
    delay: Vec<(usize, &'static str, Duration)>,
    /// Everything that was sent.
    pub(super) log: Vec<Bytes>,
    /// State of a generator: messages are lost, doubled and delayed at random.
    pub(super) chaos: Option<u64>,
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, u8::try_from(node).unwrap() + 1], 5060))
}

/// A hand-written peer.
pub(super) fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 9], 5060))
}

pub(super) fn payload(text: &str) -> Payload {
    Payload { content_type: "application/sdp".into(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

pub(super) fn sdp() -> Extra {
    Extra { payload: Some(payload("v=0\r\n")), ..Extra::default() }
}

impl World {
    pub(super) fn new() -> World {
        World::with(AgentConfig {
            user_agent: "test".into(),
            hosts: Hosts::default(),
            transactions_max: 1_000,
            reliable: Reliable::Off,
            session: None,
        })
    }

    pub(super) fn with(config: AgentConfig) -> World {
        let config = Arc::new(config);
        World {
            now: Now::default(),
            agents: (1..=2).map(|seed| Agent::new(config.clone(), [seed; 32])).collect(),
            events: vec![VecDeque::new(); 2],
            trust: Trust::Known,
            transport: Transport::Udp,
            mail: VecDeque::new(),
            ladder: String::new(),
            sent: 0,
            wire: BTreeMap::new(),
            order: 0,
            lose: Vec::new(),
            delay: Vec::new(),
            log: Vec::new(),
            chaos: None,
        }
    }

    /// The next `count` messages of `node` whose first line starts so are lost.
    pub(super) fn lose(&mut self, node: usize, start: &'static str, count: usize) {
        self.lose.push((node, start, count));
    }

    /// The next message of `node` whose first line starts so takes longer.
    pub(super) fn hold_up(&mut self, node: usize, start: &'static str, by: Duration) {
        self.delay.push((node, start, by));
    }

    pub(super) fn flow(&self, node: usize, remote: SocketAddr) -> Flow {
        Flow { transport: self.transport, local: address(node), remote, connection: 0, name: None }
    }

    /// Does something with an agent and lets out what it says.
    pub(super) fn on<R>(&mut self, node: usize, act: impl FnOnce(&mut Agent, Now) -> R) -> R {
        let now = self.now;
        let result = act(&mut self.agents[node], now);
        self.flush();
        result
    }

    /// A calls B, or `node` the other one.
    pub(super) fn call(&mut self, node: usize) -> LegId {
        let remote = address(1 - node);
        self.call_to(node, remote)
    }

    pub(super) fn call_to(&mut self, node: usize, remote: SocketAddr) -> LegId {
        let invite = Invite {
            flow: self.flow(node, remote),
            request_uri: format!("sip:+442079460001@{remote}"),
            from: "<sip:+442079460900@a.example>".into(),
            to: "<sip:+442079460001@b.example>".into(),
            max_forwards: 69,
            nat: false,
            reliable: Reliable::Off,
            session: None,
            credentials: None,
            large: LargeRequests::Udp,
            extra: sdp(),
        };
        self.on(node, |agent, now| agent.invite(now, invite))
    }

    /// Bytes from a hand-written peer, at once.
    pub(super) fn raw(&mut self, node: usize, from: SocketAddr, text: &str) {
        self.raw_bytes(node, from, Bytes::copy_from_slice(text.as_bytes()));
    }

    pub(super) fn raw_bytes(&mut self, node: usize, from: SocketAddr, bytes: Bytes) {
        self.note_message(&format!("{} ─▶ {}", name(from), name(address(node))), &bytes);
        let (flow, trust) = (self.flow(node, from), self.trust);
        self.on(node, |agent, now| agent.handle_datagram(now, flow, bytes, trust));
    }

    /// The next event, which must be there.
    pub(super) fn event(&mut self, node: usize) -> AgentEvent {
        self.events[node].pop_front().unwrap_or_else(|| panic!("no event\n{}", self.ladder))
    }

    pub(super) fn no_event(&mut self, node: usize) {
        assert!(self.events[node].is_empty(), "{:?}\n{}", self.events[node], self.ladder);
    }

    pub(super) fn invited(&mut self, node: usize) -> LegId {
        match self.event(node) {
            AgentEvent::Invited { leg, .. } => leg,
            other => panic!("{other:?}\n{}", self.ladder),
        }
    }

    pub(super) fn asked(&mut self, node: usize) -> ServerTxn {
        match self.event(node) {
            AgentEvent::Request { txn, .. } => txn,
            other => panic!("{other:?}\n{}", self.ladder),
        }
    }

    /// The next message that went to a hand-written peer.
    pub(super) fn mail(&mut self) -> Message {
        self.mail.pop_front().unwrap_or_else(|| panic!("no message\n{}", self.ladder)).1
    }

    /// Time goes on.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            let packet = self.wire.first_key_value().map(|((at, _), _)| *at);
            let timer = self.agents.iter().filter_map(|agent| agent.poll_timeout()).map(|(at, _)| at).min();
            let Some(next) = packet.into_iter().chain(timer).min().filter(|at| *at <= until) else { break };
            self.now = self.now.after(next.since(self.now.mono));
            if packet == Some(next) {
                let Some((_, (flow, bytes))) = self.wire.pop_first() else { break };
                self.arrive(flow, bytes);
            } else {
                for node in 0..self.agents.len() {
                    let due = self.agents[node].poll_timeout().is_some_and(|(at, _)| at <= next);
                    if due {
                        self.on(node, |agent, now| agent.handle_timeout(now));
                        let again = self.agents[node].poll_timeout();
                        assert!(again.is_none_or(|(at, _)| at > next), "{again:?} does not move on");
                    }
                }
            }
        }
        self.now = self.now.after(until.since(self.now.mono));
    }

    /// Everybody falls silent: nothing may be left.
    pub(super) fn quiet(&mut self) {
        self.run(PATIENCE * 5);
        for agent in &self.agents {
            agent.assert_empty(&self.ladder);
        }
    }

    fn arrive(&mut self, flow: Flow, bytes: Bytes) {
        // The flow is the sender's: turn it round.
        let node = (0..self.agents.len()).find(|node| address(*node) == flow.remote);
        match node {
            Some(node) => {
                let here = Flow { local: flow.remote, remote: flow.local, ..flow };
                let trust = self.trust;
                self.on(node, |agent, now| agent.handle_datagram(now, here, bytes, trust));
            }
            None => {
                let message = Message::parse(bytes).expect("we write what we can read");
                self.mail.push_back((flow.remote, message));
            }
        }
    }

    fn flush(&mut self) {
        for node in 0..self.agents.len() {
            while let Some(event) = self.agents[node].poll_event() {
                let line = describe(&event);
                let time = self.clock();
                let _ = writeln!(self.ladder, "{time}  {}: {line}", name(address(node)));
                self.events[node].push_back(event);
            }
            while let Some(Transmit { flow, bytes }) = self.agents[node].poll_transmit() {
                self.sent += 1;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let lost = self
                    .lose
                    .iter_mut()
                    .find(|(from, start, count)| *from == node && *count > 0 && text.starts_with(start));
                let lost = lost.map(|(_, _, count)| *count -= 1).is_some() || self.chance(10);
                self.log.push(bytes.clone());
                let arrow = if lost { "─✗" } else { "─▶" };
                self.note_message(&format!("{} {arrow} {}", name(flow.local), name(flow.remote)), &bytes);
                if lost {
                    continue;
                }
                let held = self.delay.iter().position(|(from, start, _)| *from == node && text.starts_with(start));
                let mut extra = held.map_or(Duration::ZERO, |at| self.delay.remove(at).2);
                if self.chance(20) {
                    extra += ms(u64::from(self.draw()) % 3_000);
                }
                self.order += 1;
                if self.chance(10) {
                    self.wire.insert((self.now.mono + DELAY, self.order), (flow, bytes.clone()));
                    self.order += 1;
                }
                if (0..self.agents.len()).any(|node| address(node) == flow.remote) {
                    self.wire.insert((self.now.mono + DELAY + extra, self.order), (flow, bytes));
                } else {
                    self.arrive(flow, bytes);
                }
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.chaos.is_some() && self.draw() % 100 < percent
    }

    fn draw(&mut self) -> u32 {
        let Some(state) = &mut self.chaos else { return 0 };
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(*state >> 33).unwrap()
    }

    fn note_message(&mut self, route: &str, bytes: &Bytes) {
        let time = self.clock();
        let what = match Message::parse(bytes.clone()) {
            Ok(message) => {
                let cseq = message.cseq().map_or(0, |cseq| cseq.number);
                let has_login = ["Authorization", "Proxy-Authorization"].map(|name| message.header(name).is_some());
                let body = match (message.body().is_empty(), has_login.contains(&true)) {
                    (true, false) => "",
                    (false, false) => " +body",
                    (true, true) => " +login",
                    (false, true) => " +body +login",
                };
                if message.is_request() {
                    format!("{} ({cseq}){body}", message.method_token())
                } else {
                    format!("{} ({cseq} {}){body}", message.status(), message.method_token())
                }
            }
            Err(fault) => format!("{fault}"),
        };
        let _ = writeln!(self.ladder, "{time}  {route}  {what}");
    }

    fn clock(&self) -> String {
        format!("{:>7.3}", self.now.mono.since(Mono(0)).as_secs_f64())
    }
}

fn name(address_: SocketAddr) -> String {
    match (0..2).find(|node| address(*node) == address_) {
        Some(0) => "A".into(),
        Some(_) => "B".into(),
        None if address_ == peer() => "P".into(),
        None => address_.to_string(),
    }
}

pub(super) fn describe(event: &AgentEvent) -> String {
    match event {
        AgentEvent::Invited { .. } => "Invited".into(),
        AgentEvent::Cancelled { .. } => "Cancelled".into(),
        AgentEvent::Acked { txn, .. } => format!("Acked {}", if txn.is_some() { "re-INVITE" } else { "INVITE" }),
        AgentEvent::AckTimeout { .. } => "AckTimeout".into(),
        AgentEvent::Provisional { response, .. } => format!("Provisional {}", response.status()),
        AgentEvent::Answered { response, .. } => format!("Answered {}", response.status()),
        AgentEvent::Refused { status, response, .. } => {
            format!("Refused {status}{}", if response.is_none() { " of our own" } else { "" })
        }
        AgentEvent::Request { request, .. } => format!("Request {}", request.method_token()),
        AgentEvent::RequestCancelled { .. } => "RequestCancelled".into(),
        AgentEvent::Bye { .. } => "Bye".into(),
        AgentEvent::Response { status, response, .. } => {
            format!("Response {status}{}", if response.is_none() { " of our own" } else { "" })
        }
        AgentEvent::Refreshed { .. } => "Refreshed".into(),
        AgentEvent::Ended { reason, .. } => format!("Ended {reason}"),
        AgentEvent::Standalone { status, response, .. } => {
            format!("Standalone {status}{}", if response.is_none() { " of our own" } else { "" })
        }
        AgentEvent::OutOfDialog { request, .. } => format!("OutOfDialog {}", request.method_token()),
    }
}

/// A hand-written request.
#[derive(Clone)]
pub(super) struct Hand<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) branch: &'a str,
    pub(super) call_id: &'a str,
    pub(super) from_tag: &'a str,
    /// Empty: no tag.
    pub(super) to_tag: &'a str,
    pub(super) cseq: u32,
    /// Whole lines.
    pub(super) headers: &'a str,
    pub(super) body: &'a str,
}

pub(super) const CONTACT: &str = "Contact: <sip:p@127.0.0.9>\r\n";

impl Default for Hand<'_> {
    fn default() -> Self {
        Hand {
            method: "INVITE",
            uri: "sip:+442079460001@127.0.0.1",
            branch: "z9hG4bKhand1",
            call_id: "hand-call",
            from_tag: "hand",
            to_tag: "",
            cseq: 1,
            headers: CONTACT,
            body: "",
        }
    }
}

impl Hand<'_> {
    pub(super) fn text(&self) -> String {
        let Hand { method, uri, branch, call_id, from_tag, to_tag, cseq, headers, body } = self;
        let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:p@hand.example>;tag={from_tag}\r\nTo: <sip:+442079460001@hand.example>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// A hand-written response to one of our requests. An empty tag is none.
pub(super) fn answer(request: &Message, status: u16, tag: &str, headers: &str) -> String {
    let header = |name: &str| request.header(name).unwrap().to_owned();
    let to = header("To");
    let to = if tag.is_empty() || to.contains(";tag=") { to } else { format!("{to};tag={tag}") };
    format!(
        "SIP/2.0 {status} \r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{headers}\
         Content-Length: 0\r\n\r\n",
        header("Via"),
        header("From"),
        header("Call-ID"),
        header("CSeq")
    )
}

impl World {
    pub(super) fn hand(&mut self, node: usize, request: &Hand<'_>) {
        self.raw(node, peer(), &request.text());
    }

    /// A message of ours to the hand-written peer with this first line.
    pub(super) fn mail_of(&mut self, start: &str) -> Message {
        let message = self.mail();
        let first = String::from_utf8_lossy(message.bytes()).lines().next().unwrap_or("").to_owned();
        assert!(first.starts_with(start), "`{first}` is not `{start}`\n{}", self.ladder);
        message
    }

    pub(super) fn no_mail(&self) {
        assert!(self.mail.is_empty(), "{:?}\n{}", self.mail, self.ladder);
    }

    pub(super) fn dropped(&self, node: usize, reason: drops::DropReason) -> u64 {
        self.agents[node].drops().get(reason)
    }
}
