//! A world in virtual time: the whole signalling machine between phones with a logic of their own, over a network that
//! loses, doubles and reorders. No socket, no sleep, no thread; one seed makes one run.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod login;
pub mod phone;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leaseline::config::Config;
use leaseline::core::agent::{Failure, Flow};
use leaseline::core::b2bua::{B2bua, Counts, Input, Output, Settings};
use leaseline::core::event::{Body, CallData, Event, MediaSummary, RecordingState, RecordingSummary};
use leaseline::core::lease::LeaseTable;
use leaseline::core::locate::{Answer, Answers, Hop, Query, find};
use leaseline::core::media::{Copies, CopyTo, LocalMedia, MediaCommand, MediaNotice, Remote};
use leaseline::ids::{CallId, Side};
use leaseline::time::{Mono, Now, Wall};
use leaseline::wire::sdp::Fingerprint;
use leaseline::wire::sip::Message;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

use phone::{Calling, Phone};

pub const US: &str = "203.0.113.1:5060";
pub const CARRIER: &str = "192.0.2.10:5060";
pub const SHOP: &str = "198.51.100.1:5060";
pub const OFFICE: &str = "198.51.100.2:5060";
pub const RECORDER: &str = "198.51.100.60:5060";

/// Two destinations, a static number, and everything else as it comes.
pub const CONFIG: &str = r#"
[sip]
listen = ["udp://203.0.113.1:5060"]
[media]
address = "203.0.113.1"
[[trunk]]
name = "carrier"
match = ["192.0.2.0/24"]
country = "GB"
[[company]]
name = "acme"
forward_to = ["sip:sales@198.51.100.1:5060", "sip:{number}@198.51.100.2:5060"]
ring_timeout = "20s"
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard", medium = "offline", campaign = "ring road" }
"#;

/// What a webhook said, or why it said nothing.
type Decision = Result<Bytes, &'static str>;

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub loss_permille: u32,
    pub duplicate_permille: u32,
    pub jitter_ms: u32,
}

/// What the network does to one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddle {
    Lost,
    /// A copy comes a moment later, when the first may have been answered.
    Doubled,
    /// By so many milliseconds.
    Late(u64),
}

pub fn settings(config: &str) -> Arc<Settings> {
    let config = Config::parse(config, "test.toml", Path::new("")).expect("the test's configuration");
    let listeners = config.sip.listen.clone();
    Arc::new(Settings::new(Arc::new(config), listeners).with_fingerprint(Fingerprint([0xa1; 32])))
}

struct Datagram {
    at: Mono,
    order: u64,
    from: SocketAddr,
    to: SocketAddr,
    transport: rsip::Transport,
    bytes: Bytes,
}

impl PartialEq for Datagram {
    fn eq(&self, other: &Datagram) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Datagram {}
impl PartialOrd for Datagram {
    fn partial_cmp(&self, other: &Datagram) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Datagram {
    fn cmp(&self, other: &Datagram) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Media of one call, as far as signalling can tell.
#[derive(Debug, Default)]
pub struct MediaState {
    pub remotes: [Option<Remote>; 2],
    pub recording: bool,
    /// Where copies go, and everything that was said of them.
    pub copies: [Option<CopyTo>; 2],
    pub copied: Vec<Copies>,
    pub closed: bool,
    /// The sides hear each other.
    pub apart: bool,
    /// What each side hears from us: when it began, and the notice of its end.
    playing: [Option<(Now, (Mono, u64))>; 2],
}

pub struct World {
    pub now: Now,
    pub us: B2bua,
    settings: Arc<Settings>,
    pub us_at: SocketAddr,
    pub phones: BTreeMap<SocketAddr, Phone>,
    pub events: Vec<Event>,
    pub refused: Vec<&'static str>,
    /// States of registrations, as they came.
    pub trunks: Vec<leaseline::core::registration::TrunkState>,
    /// States of probes, as they came.
    pub probes: Vec<leaseline::core::probe::ProbeState>,
    /// URLs of certificates that were wanted, as they came.
    pub fetches: Vec<String>,
    pub media: BTreeMap<CallId, MediaState>,
    pub no_ports: bool,
    /// No ports for copies.
    pub no_copies: bool,
    /// Where names lead; others lead nowhere.
    pub names: BTreeMap<String, Vec<Hop>>,
    /// DNS, as far as this world has one: asked for names that `names` does not have.
    pub dns: Answers,
    /// No question to DNS is ever answered.
    pub dns_is_mute: bool,
    /// What a company's webhook says, and after how long; `None`: it never says anything.
    pub webhook: Option<(Duration, Result<String, &'static str>)>,
    /// What it was asked.
    pub asked: Vec<String>,
    decisions: BTreeMap<(Mono, u64), (CallId, Decision)>,
    pub random: ChaCha12Rng,
    faults: Faults,
    /// Nothing goes to this party or comes from it between these two times.
    pub cut: Option<(SocketAddr, Mono, Mono)>,
    /// Calls that were in progress when we crashed.
    pub lost_in_crash: BTreeSet<String>,
    /// Who takes no TCP connection.
    pub no_tcp: BTreeSet<SocketAddr>,
    /// ICMP says that nobody is where nobody is.
    pub icmp: bool,
    /// The how-manieth datagram is meddled with.
    pub meddle: Option<(usize, Meddle)>,
    network: BinaryHeap<Reverse<Datagram>>,
    notices: BTreeMap<(Mono, u64), (CallId, MediaNotice)>,
    order: u64,
    next_port: u16,
    ladder: String,
    /// Every datagram that was sent, from whom to whom.
    pub sent: Vec<(SocketAddr, SocketAddr, Bytes)>,
    start: Mono,
    /// Sum over every byte that was sent, in order: two runs of one seed must agree.
    pub fingerprint: u64,
}

impl World {
    pub fn new(seed: u64, config: &str) -> World {
        World::with_settings(seed, settings(config))
    }

    /// Many worlds of one configuration read it once.
    pub fn with_settings(seed: u64, settings: Arc<Settings>) -> World {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut machine_seed = [0; 32];
        random.fill_bytes(&mut machine_seed);
        let start = Mono(1_000_000_000);
        World {
            settings: settings.clone(),
            now: Now { mono: start, wall: Wall::parse_rfc3339("2026-11-21T10:00:00Z").expect("a time") },
            us: B2bua::new(settings, Arc::new(LeaseTable::new()), machine_seed),
            us_at: US.parse().expect("an address"),
            phones: BTreeMap::new(),
            events: Vec::new(),
            refused: Vec::new(),
            trunks: Vec::new(),
            probes: Vec::new(),
            fetches: Vec::new(),
            media: BTreeMap::new(),
            no_ports: false,
            no_copies: false,
            names: BTreeMap::new(),
            dns: Answers::new(),
            dns_is_mute: false,
            webhook: None,
            asked: Vec::new(),
            decisions: BTreeMap::new(),
            random,
            faults: Faults::default(),
            cut: None,
            lost_in_crash: BTreeSet::new(),
            no_tcp: BTreeSet::new(),
            icmp: false,
            meddle: None,
            network: BinaryHeap::new(),
            notices: BTreeMap::new(),
            order: 0,
            next_port: 20_000,
            ladder: String::new(),
            sent: Vec::new(),
            start,
            fingerprint: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub fn with_faults(mut self, faults: Faults) -> World {
        self.faults = faults;
        self
    }

    pub fn add(&mut self, address: &str, phone: Phone) -> SocketAddr {
        let address = address.parse().expect("an address");
        self.phones.insert(address, phone.at(address));
        address
    }

    pub fn phone(&mut self, address: &str) -> &mut Phone {
        self.phones.get_mut(&address.parse::<SocketAddr>().expect("an address")).expect("a phone there")
    }

    pub fn input(&mut self, input: Input) {
        self.us.handle(self.now, input);
        self.carry_out();
    }

    /// A datagram that no phone's logic made.
    pub fn inject(&mut self, from: &str, bytes: &[u8]) {
        let from = from.parse().expect("an address");
        let to = self.us_at;
        self.send(from, to, Bytes::copy_from_slice(bytes));
    }

    /// The carrier's phone calls. Gives the Call-ID.
    pub fn dial(&mut self, calling: Calling) -> String {
        let (now, us) = (self.now.mono, self.us_at);
        let (call, sent) = self.phone(CARRIER).call(now, us, calling);
        let from = CARRIER.parse().expect("an address");
        for (to, bytes) in sent {
            self.send(from, to, bytes);
        }
        call
    }

    /// Runs to the end and looks for what must always be true then. Gives the ladder.
    pub fn settle(&mut self) -> String {
        assert!(self.run(Duration::from_secs(900)), "not quiet after fifteen minutes\n{}", self.ladder());
        assert_eq!(self.counts(), Counts::default(), "something is left\n{}", self.ladder());
        let ladder = self.ladder();
        assert!(self.media.values().all(|media| media.closed), "media left open\n{ladder}");
        for phone in self.phones.values() {
            for (call, dialog) in &phone.dialogs {
                assert!(!dialog.up, "{call} is still up\n{ladder}");
                assert!(dialog.finals.len() <= 1, "{call} got {:?}\n{ladder}", dialog.finals);
            }
        }
        ladder
    }

    /// What we sent to this address, in order.
    pub fn sent_to(&self, address: &str) -> Vec<Message> {
        let (us, to) = (self.us_at, address.parse::<SocketAddr>().expect("an address"));
        let ours = self.sent.iter().filter(|(from, at, _)| *from == us && *at == to);
        ours.map(|(_, _, bytes)| Message::parse(bytes.clone()).expect("we can read what we send")).collect()
    }

    /// Runs until nothing is under way, at most `limit` of virtual time. Gives whether it became quiet.
    pub fn run(&mut self, limit: Duration) -> bool {
        let until = self.now.mono + limit;
        loop {
            let network = self.network.peek().map(|Reverse(datagram)| datagram.at);
            let notice = self.notices.keys().next().map(|(at, _)| *at);
            let decision = self.decisions.keys().next().map(|(at, _)| *at);
            let ours = self.us.poll_timeout().map(|(at, _)| at);
            let phones = self.phones.values().filter_map(Phone::poll_timeout).min();
            let Some(next) = [network, notice, decision, ours, phones].into_iter().flatten().min() else { return true };
            if next > until {
                return false;
            }
            self.advance_to(next);
            self.step(next);
        }
    }

    /// We crash and are started again: no call is known any more, and the media of all is closed.
    pub fn crash(&mut self) {
        let of_kind = |kind: fn(&Body) -> bool| {
            self.events
                .iter()
                .filter(|event| kind(&event.body))
                .map(|event| event.subject.clone())
                .collect::<BTreeSet<_>>()
        };
        let started = of_kind(|body| matches!(body, Body::CallStarted(_)));
        let ended = of_kind(|body| matches!(body, Body::CallEnded(_)));
        self.lost_in_crash.extend(started.difference(&ended).cloned());
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        self.us = B2bua::new(self.settings.clone(), Arc::new(LeaseTable::new()), seed);
        self.notices.clear();
        for media in self.media.values_mut() {
            media.closed = true;
        }
    }

    /// Lets exactly this much time pass.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        self.run(time);
        self.advance_to(until);
    }

    fn advance_to(&mut self, at: Mono) {
        let by = at.since(self.now.mono);
        self.now = self.now.after(by);
    }

    fn step(&mut self, at: Mono) {
        if self.network.peek().is_some_and(|Reverse(datagram)| datagram.at <= at) {
            if let Some(Reverse(datagram)) = self.network.pop() {
                self.deliver(datagram);
            }
            return;
        }
        if let Some((key, _)) = self.notices.first_key_value().filter(|((due, _), _)| *due <= at) {
            let key = *key;
            if let Some((call, notice)) = self.notices.remove(&key) {
                self.input(Input::Media(call, notice));
            }
            return;
        }
        if let Some((key, _)) = self.decisions.first_key_value().filter(|((due, _), _)| *due <= at) {
            let key = *key;
            if let Some((call, answer)) = self.decisions.remove(&key) {
                let what = answer.as_deref().map_or_else(ToString::to_string, |body| body.escape_ascii().to_string());
                let _ = writeln!(self.ladder, "   {:>7.3} webhook {what}", self.seconds());
                self.input(Input::Decided(call, answer));
            }
            return;
        }
        if self.us.poll_timeout().is_some_and(|(due, _)| due <= at) {
            self.input(Input::Timeout);
            return;
        }
        let now = self.now.mono;
        let mut sent = Vec::new();
        for (address, phone) in &mut self.phones {
            if phone.poll_timeout().is_some_and(|due| due <= now) {
                sent.extend(phone.handle_timeout(now).into_iter().map(|(to, bytes)| (*address, to, bytes)));
                break;
            }
        }
        for (from, to, bytes) in sent {
            self.send(from, to, bytes);
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Datagram { from, to, transport, bytes, .. } = datagram;
        let is_refused = self.no_tcp.contains(&to) || !self.phones.contains_key(&to);
        if to == self.us_at {
            let flow = Flow { transport, local: to, remote: from, connection: 0, name: None };
            self.input(Input::Datagram(flow, bytes));
        } else if transport == rsip::Transport::Tcp && is_refused {
            let flow = Flow { transport, local: from, remote: to, connection: 0, name: None };
            self.input(Input::Unreachable(Failure::refused(&flow, "destination_unreachable")));
        } else if self.icmp && !self.phones.contains_key(&to) {
            // What a host of IPv4 quotes: 576 bytes with headers of 28.
            let quoted = bytes.slice(..bytes.len().min(548));
            self.input(Input::Bounced(to, quoted));
        } else if let Some(phone) = self.phones.get_mut(&to) {
            let sent = phone.handle(self.now.mono, from, bytes);
            for (target, bytes) in sent {
                self.send(to, target, bytes);
            }
        }
    }

    /// Puts a datagram on the network, which does to it what it likes.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        self.note(from, to, &bytes);
        let meddle = self.meddle.filter(|(index, _)| *index == self.sent.len()).map(|(_, meddle)| meddle);
        self.sent.push((from, to, bytes.clone()));
        let now = self.now.mono;
        if self.cut.is_some_and(|(who, since, until)| (who == from || who == to) && (since..until).contains(&now)) {
            return;
        }
        let on_time = self.now.mono + Duration::from_millis(5);
        match meddle {
            None => {}
            Some(Meddle::Lost) => return,
            Some(Meddle::Late(ms)) => return self.carry(on_time + Duration::from_millis(ms), from, to, bytes),
            Some(Meddle::Doubled) => self.carry(on_time + Duration::from_millis(40), from, to, bytes.clone()),
        }
        if transport_of(&bytes) == rsip::Transport::Tcp {
            return self.carry(on_time, from, to, bytes);
        }
        let copies = 1 + u32::from(self.chance(self.faults.duplicate_permille));
        for _ in 0..copies {
            if self.chance(self.faults.loss_permille) {
                continue;
            }
            let jitter = if self.faults.jitter_ms == 0 { 0 } else { self.random.next_u32() % self.faults.jitter_ms };
            let at = on_time + Duration::from_millis(u64::from(jitter));
            self.carry(at, from, to, bytes.clone());
        }
    }

    fn carry(&mut self, at: Mono, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        self.order += 1;
        let transport = transport_of(&bytes);
        self.network.push(Reverse(Datagram { at, order: self.order, from, to, transport, bytes }));
    }

    fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.random.next_u32() % 1_000 < permille
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.us.poll_output() {
            match output {
                Output::Send(transmit) => {
                    assert_eq!(transmit.flow.local, self.us_at, "sent from an address that is ours");
                    // A response's Via is its request's, which may say what it likes.
                    let told = transport_of(&transmit.bytes) == transmit.flow.transport;
                    assert!(told || transmit.bytes.starts_with(b"SIP/2.0 "), "our Via tells the way");
                    self.send(transmit.flow.local, transmit.flow.remote, transmit.bytes);
                }
                Output::Media(call, command) => self.on_media(call, command),
                Output::Resolve { .. } if self.dns_is_mute => {}
                Output::Resolve { asker, query } => {
                    let hops = self.names.get(&*query.host).cloned().unwrap_or_else(|| self.look_up(&query));
                    self.us.handle(self.now, Input::Resolved(asker, hops));
                }
                Output::Decide(ask) => {
                    let _ = writeln!(self.ladder, "   {:>7.3} webhook is asked", self.seconds());
                    self.asked.push(ask.body);
                    if let Some((after, answer)) = self.webhook.clone() {
                        self.order += 1;
                        let at = (self.now.mono + after, self.order);
                        self.decisions.insert(at, (ask.call, answer.map(Bytes::from)));
                    }
                }
                Output::Fetch { url } => self.fetches.push(url.into()),
                Output::Event(event) => {
                    let _ = writeln!(self.ladder, "   {:>7.3} event {}", self.seconds(), describe(&event));
                    self.events.push(event);
                }
                Output::Refused(refused) => self.refused.push(refused.code),
                Output::Leg(..) | Output::TakenOver { .. } => {}
                Output::Trunk(state) => self.trunks.push(state),
                Output::Probe(state) => self.probes.push(state),
            }
        }
    }

    /// What DNS has, through the rules of RFC 3263; names that are not in the table do not exist.
    fn look_up(&self, query: &Query) -> Vec<Hop> {
        let mut answers = self.dns.clone();
        loop {
            match find(query, &self.us.settings().reach(), &answers, 7) {
                Ok(hops) => return hops,
                Err(wanted) => answers.extend(wanted.into_iter().map(|lookup| (lookup, Answer::Nothing))),
            }
        }
    }

    fn on_media(&mut self, call: CallId, command: MediaCommand) {
        self.order += 1;
        let soon = (self.now.mono + Duration::from_micros(200), self.order);
        match command {
            MediaCommand::Open(open) => {
                let notice = if self.no_ports {
                    MediaNotice::Refused("no_media_ports")
                } else {
                    self.media.insert(call, MediaState::default());
                    let mut local = |side: Side| {
                        self.next_port = if self.next_port > 29_000 { 20_000 } else { self.next_port + 2 };
                        LocalMedia { rtp: SocketAddr::new(open.address[side.index()], self.next_port) }
                    };
                    MediaNotice::Opened([local(Side::Caller), local(Side::Company)])
                };
                self.us.handle(self.now, Input::Media(call, notice));
            }
            MediaCommand::Remote(side, remote) => {
                if let Some(state) = self.media.get_mut(&call) {
                    assert!(!state.closed, "media is told of a side after its end");
                    state.remotes[side.index()] = remote;
                }
            }
            MediaCommand::Record(_) => {
                if let Some(state) = self.media.get_mut(&call) {
                    state.recording = true;
                }
            }
            MediaCommand::Play(side, play) => {
                self.hush(call, side);
                let samples = u64::try_from(play.sound.samples.len()).expect("a sound");
                let _ =
                    writeln!(self.ladder, "   {:>7.3} {side:?} hears {}", self.seconds(), file_name(&play.sound.file));
                let length =
                    if play.repeat { Duration::from_secs(3_600) } else { Duration::from_micros(samples * 125) };
                let end = (self.now.mono + length, self.order);
                self.notices.insert(end, (call, MediaNotice::Played(side, self.now, self.now.after(length))));
                if let Some(state) = self.media.get_mut(&call) {
                    state.playing[side.index()] = Some((self.now, end));
                }
            }
            MediaCommand::Hush(side) => self.hush(call, side),
            MediaCommand::Press(side, key, _) => {
                let _ = writeln!(self.ladder, "   {:>7.3} {side:?} hears the key {key}", self.seconds());
            }
            MediaCommand::Bridge(together) => {
                let _ = writeln!(
                    self.ladder,
                    "   {:>7.3} {}",
                    self.seconds(),
                    if together { "bridged" } else { "not bridged" }
                );
                if let Some(state) = self.media.get_mut(&call) {
                    state.apart = !together;
                }
            }
            MediaCommand::Copies(Copies::Open(address)) => {
                let mut local = || {
                    self.next_port = if self.next_port > 29_000 { 20_000 } else { self.next_port + 2 };
                    LocalMedia { rtp: SocketAddr::new(address, self.next_port) }
                };
                let ports = if self.no_copies { Err("no_media_ports") } else { Ok([local(), local()]) };
                self.us.handle(self.now, Input::Media(call, MediaNotice::Copies(ports)));
            }
            MediaCommand::Copies(copies) => {
                if let Some(state) = self.media.get_mut(&call) {
                    assert!(!state.closed, "copies after the end");
                    match copies {
                        Copies::To(side, to) => state.copies[side.index()] = to,
                        _ => state.copies = [None, None],
                    }
                    state.copied.push(copies);
                }
            }
            MediaCommand::Pause(paused) => {
                self.notices.insert(soon, (call, MediaNotice::Paused(paused, self.now)));
            }
            MediaCommand::Close(_) => {
                let Some(state) = self.media.get_mut(&call) else {
                    self.notices.insert(soon, (call, MediaNotice::Closed(Box::default())));
                    return;
                };
                assert!(!state.closed, "closed twice");
                state.closed = true;
                for (_, end) in std::mem::take(&mut state.playing).into_iter().flatten() {
                    self.notices.remove(&end);
                }
                if state.recording {
                    let summary = RecordingSummary {
                        state: RecordingState::Complete,
                        path: Some(format!("recordings/{call}.wav")),
                        channels: 2,
                        sample_rate: 8_000,
                        ..RecordingSummary::default()
                    };
                    self.order += 1;
                    let later = (self.now.mono + Duration::from_millis(3), self.order);
                    self.notices.insert(later, (call, MediaNotice::Recorded(Box::new(summary))));
                }
                self.notices.insert(soon, (call, MediaNotice::Closed(Box::<MediaSummary>::default())));
            }
        }
    }

    /// Ends what this side hears from us, if it still does.
    fn hush(&mut self, call: CallId, side: Side) {
        let Some((from, end)) = self.media.get_mut(&call).and_then(|state| state.playing[side.index()].take()) else {
            return;
        };
        if self.notices.remove(&end).is_some() {
            self.order += 1;
            let soon = (self.now.mono + Duration::from_micros(200), self.order);
            self.notices.insert(soon, (call, MediaNotice::Played(side, from, self.now)));
        }
    }

    // ── what happened ──

    pub fn counts(&self) -> Counts {
        self.us.counts()
    }

    pub fn ended(&self) -> Vec<&CallData> {
        let ended = |event: &'_ Event| matches!(event.body, Body::CallEnded(_));
        self.events
            .iter()
            .filter(|event| ended(event))
            .filter_map(|event| match &event.body {
                Body::CallEnded(data) => Some(&**data),
                _ => None,
            })
            .collect()
    }

    fn seconds(&self) -> f64 {
        self.now.mono.since(self.start).as_secs_f64()
    }

    fn name(&self, address: SocketAddr) -> &'static str {
        match address.to_string().as_str() {
            US => "us",
            CARRIER => "carrier",
            SHOP => "shop",
            OFFICE => "office",
            RECORDER => "recorder",
            _ => "stranger",
        }
    }

    fn note(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        for byte in bytes {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let seconds = self.seconds();
        let over = if transport_of(bytes) == rsip::Transport::Tcp { " over TCP" } else { "" };
        let what = describe_message(bytes) + over;
        let (from, to) = (self.name(from), self.name(to));
        // The company's side stands to the right of us, the carrier's to the left.
        let (left, right, arrow) = match (from, to) {
            ("us", "shop" | "office" | "recorder") => (from, to, "──▶"),
            ("shop" | "office" | "recorder", _) => (to, from, "◀──"),
            ("us", _) => (to, from, "◀──"),
            _ => (from, to, "──▶"),
        };
        let indent = if left == "us" { "           " } else { "" };
        let _ = writeln!(self.ladder, "   {seconds:>7.3} {indent}{left} {arrow} {right:<6} {what}");
    }

    /// Everything that was sent and told, as a picture.
    pub fn ladder(&self) -> String {
        let Counts { calls, legs, timers, admitted, agent, .. } = self.counts();
        format!(
            "{}   left: calls {calls} legs {legs}+{} timers {timers} admitted {admitted} transactions {}+{}\n",
            self.ladder, agent.legs, agent.client_transactions, agent.server_transactions
        )
    }
}

/// Without its folder.
fn file_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// As the topmost Via says; who writes nothing that can be read uses UDP.
fn transport_of(bytes: &Bytes) -> rsip::Transport {
    let via = |message: &Message| message.top_via().is_ok_and(|via| via.transport.eq_ignore_ascii_case("TCP"));
    match Message::parse(bytes.clone()).is_ok_and(|message| via(&message)) {
        true => rsip::Transport::Tcp,
        false => rsip::Transport::Udp,
    }
}

fn describe_message(bytes: &Bytes) -> String {
    let Ok(message) = Message::parse(bytes.clone()) else { return format!("({} bytes)", bytes.len()) };
    let cseq = message.cseq().map(|cseq| format!("{} {}", cseq.number, cseq.method)).unwrap_or_default();
    let media = String::from_utf8_lossy(&message.body())
        .lines()
        .filter(|line| line.starts_with("m=") || ["a=sendonly", "a=recvonly", "a=inactive"].contains(&line.trim_end()))
        .map(|line| format!(" {}", line.trim_end()))
        .collect::<String>();
    if message.is_request() {
        format!("{} {}  ({cseq}){media}", message.method_token(), message.request_uri())
    } else {
        format!("{} {}  ({cseq}){media}", message.status(), message.reason())
    }
}

fn describe(event: &Event) -> String {
    let kind = event.body.kind();
    match &event.body {
        Body::CallEnded(data) => format!(
            "{kind} outcome={} reason={} status={} by={} ring={} talk={} recording={}",
            data.outcome.map_or("", |outcome| outcome.as_str()),
            data.reason.as_deref().unwrap_or(""),
            data.sip_status.unwrap_or(0),
            data.hangup_by.map_or_else(String::new, |by| format!("{by:?}").to_lowercase()),
            data.ring_ms,
            data.talk_ms,
            data.recording
                .as_ref()
                .map_or_else(String::new, |recording| format!("{:?}", recording.state).to_lowercase()),
        ),
        Body::CallStarted(data) => format!("{kind} {} attribution={}", data.number, data.attribution.method),
        Body::TrunkUp(data) | Body::TrunkDown(data) => {
            format!("{kind} {} {} {}", data.trunk, data.state, data.reason.as_deref().unwrap_or_default())
        }
        Body::SiprecStarted(data) => format!("{kind} {}", data.place.as_deref().unwrap_or_default()),
        Body::SiprecFailed(data) => format!(
            "{kind} {} {} again={}",
            data.reason.as_deref().unwrap_or_default(),
            data.sip_status.unwrap_or(0),
            data.again_in_ms.map_or_else(|| "never".to_owned(), |ms| ms.to_string())
        ),
        Body::CallRefused(data) => format!("{kind} {} {}", data.sip_status, data.reason),
        _ => kind.to_owned(),
    }
}
