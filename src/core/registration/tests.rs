//! Registrations through the whole of signalling, against a hand-written registrar, in virtual time.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rsip::Transport;

use crate::config::Config;
use crate::core::agent::{Failure, Flow};
use crate::core::b2bua::{B2bua, Input, Output, Settings};
use crate::core::event::Body;
use crate::core::lease::LeaseTable;
use crate::core::locate::{Asker, Hop};
use crate::core::media::{LocalMedia, MediaNotice};
use crate::limits;
use crate::time::{Mono, Now, Wall};
use crate::wire::sip::Message;

const CONFIG: &str = r#"
[sip]
listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]
[[trunk]]
name = "carrier"
[trunk.register]
registrar = "sip:127.0.0.9"
user = "acme"
password = "open sesame"
[[company]]
name = "acme"
forward_to = ["sip:desk@127.0.0.20:5060"]
[[pool]]
name = "print"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "print" }
"#;

struct World {
    now: Now,
    us: B2bua,
    settings: Arc<Settings>,
    ladder: String,
    /// Requests of ours that wait for an answer.
    mail: Vec<(Flow, Message)>,
    asked: Vec<Asker>,
}

fn settings(text: &str) -> Arc<Settings> {
    let config = Config::parse(text, "test.toml", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
    let listeners = config.sip.listen.clone();
    Arc::new(Settings::new(Arc::new(config), listeners))
}

impl World {
    fn new(text: &str) -> World {
        let settings = settings(text);
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_795_000_000_000_000) };
        let us = B2bua::new(Arc::clone(&settings), Arc::new(LeaseTable::new()), [7; 32]);
        let mut world = World { now, us, settings, ladder: String::new(), mail: Vec::new(), asked: Vec::new() };
        world.run(Duration::ZERO);
        world
    }

    fn note(&mut self, line: &str) {
        let at = Duration::from_nanos(self.now.mono.0 - 1_000_000_000).as_secs_f64();
        let _ = writeln!(self.ladder, "{at:>9.3}  {line}");
    }

    fn input(&mut self, input: Input) {
        self.us.handle(self.now, input);
        while let Some(output) = self.us.poll_output() {
            match output {
                Output::Send(transmit) => {
                    let message = Message::parse(transmit.bytes).expect("ours");
                    let cseq = message.cseq().expect("a CSeq").number;
                    let login = if message.header("Authorization").is_some() { " +login" } else { "" };
                    let what = match message.is_request() {
                        true => {
                            let expires = message.header("Expires").unwrap_or("-").to_owned();
                            format!("{} ({cseq}) expires {expires}{login}", message.method_token())
                        }
                        false => format!("{} ({cseq} {})", message.status(), message.method_token()),
                    };
                    self.note(&format!("─▶ {} {what}", transmit.flow.remote));
                    self.mail.push((transmit.flow, message));
                }
                Output::Event(event) => {
                    let reason = match &event.body {
                        Body::TrunkUnregistered(data) => data.reason.clone().unwrap_or_default(),
                        _ => String::new(),
                    };
                    self.note(&format!("event {} {reason}", event.body.kind()));
                }
                Output::Trunk(state) => {
                    let error = state.last_error.map_or(String::new(), |error| format!(", {error}"));
                    let up = if state.registered { ", reachable" } else { "" };
                    self.note(&format!("     {}{up}{error}", state.state));
                }
                Output::Resolve { asker, query } => {
                    self.note(&format!("resolve {}", query.host));
                    self.asked.push(asker);
                }
                Output::Refused(refused) => self.note(&format!("refused {}", refused.code)),
                Output::Media(..) | Output::Decide(_) | Output::Leg(..) | Output::Probe(_) | Output::Fetch { .. } => {}
                Output::TakenOver { .. } => {}
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some((at, _)) = self.us.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.after(at.max(self.now.mono).since(self.now.mono));
            self.input(Input::Timeout);
        }
        self.now = self.now.after(until.since(self.now.mono));
    }

    /// Until the next request of ours; how long that took.
    fn next(&mut self) -> Duration {
        let before = self.now.mono;
        self.mail.clear();
        while self.mail.is_empty() {
            let (at, _) = self.us.poll_timeout().expect("something to wait for");
            self.run(at.since(self.now.mono));
        }
        self.now.mono.since(before)
    }

    /// Nobody answers the request that is out.
    fn silence(&mut self) {
        self.run(33 * SECOND);
        self.mail.clear();
    }

    /// Answers the oldest request.
    fn answer(&mut self, status: u16, headers: &str) {
        let (flow, request) = self.mail.remove(0);
        let header = |name: &str| request.header(name).expect("a header").to_owned();
        let contacts: String = match headers.contains("{contact}") {
            true => header("Contact"),
            false => String::new(),
        };
        let headers = headers.replace("{contact}", &contacts);
        let text = format!(
            "SIP/2.0 {status} \r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=r\r\nCall-ID: {}\r\nCSeq: {}\r\n{headers}\
             Content-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq"),
        );
        self.note(&format!("◀─ {status}"));
        self.input(Input::Datagram(flow, Bytes::from(text)));
    }

    fn ok(&mut self) {
        self.answer(200, "Contact: {contact};expires=3600\r\n");
    }

    fn contact_user(&self) -> String {
        let (_, request) = self.mail.first().expect("a request");
        request.contact().expect("a Contact").expect("readable").uri.user.expect("a user").to_owned()
    }
}

const ASK: &str = "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"n\", qop=\"auth\"\r\n";
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_life() {
    let mut world = World::new(CONFIG);
    world.answer(401, ASK);
    world.ok();
    let refreshed = world.next();
    assert!(refreshed >= 2_880 * SECOND && refreshed <= 3_240 * SECOND, "{refreshed:?}");
    world.answer(401, ASK);
    world.ok();
    world.input(Input::Drain);
    world.answer(401, ASK);
    world.ok();
    world.run(60 * SECOND);
    assert_eq!(world.us.counts().registrations, 0);
    assert_eq!(world.us.counts().agent, Default::default());
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn failures_and_their_pauses() {
    let mut world = World::new(CONFIG);
    // Too brief, then a wrong password, then no room, then silence.
    world.answer(423, "Min-Expires: 7200\r\n");
    world.answer(401, ASK);
    world.answer(401, ASK);
    world.next();
    world.answer(503, "Retry-After: 120 (soon)\r\n");
    assert!(world.next() >= 120 * SECOND);
    world.silence();
    world.next();
    world.answer(200, "Contact: <sip:somebody-else@127.0.0.1>;expires=60\r\n");
    world.next();
    world.answer(200, "Expires: 100\r\n");
    assert_eq!(world.next(), 50 * SECOND);
    // Nobody answers any more: it lapses, and the pauses grow up to half an hour.
    world.silence();
    world.run(18 * SECOND);
    let pauses: Vec<Duration> = (0..9)
        .map(|_| {
            let pause = world.next();
            world.silence();
            pause
        })
        .collect();
    assert!(pauses.iter().all(|pause| *pause <= 1_800 * SECOND), "{pauses:?}");
    assert!(pauses.last().is_some_and(|pause| *pause >= 890 * SECOND), "{pauses:?}");
    let short: String = world.ladder.lines().take(60).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(short);
}

#[test]
fn a_name_has_several_places() {
    let mut world = World::new(&CONFIG.replace("sip:127.0.0.9", "sip:carrier.example;transport=tcp"));
    let place = |last| Hop { transport: Transport::Tcp, remote: ([127, 0, 0, last], 5060).into(), name: None };
    let broken = |hop: Hop| Failure {
        transport: hop.transport,
        remote: hop.remote,
        connection: 0,
        name: None,
        refused: false,
        why: "reset",
    };
    let asker = world.asked.remove(0);
    world.input(Input::Resolved(asker, vec![place(7), place(8)]));
    world.input(Input::Unreachable(broken(place(7))));
    world.mail.remove(0);
    world.ok();
    // Its connection breaks: whoever is to reach us cannot, until we have said again where we are.
    world.input(Input::Unreachable(broken(place(8))));
    world.run(4 * SECOND);
    world.ok();
    // A reload without the trunk takes us out; one with it brings us back.
    let without = settings("[[trunk]]\nname = \"other\"\nmatch = [\"127.0.0.77\"]\n");
    world.input(Input::Reload(without));
    world.ok();
    assert_eq!(world.us.counts().registrations, 0);
    let again = Arc::clone(&world.settings);
    world.input(Input::Reload(again));
    let asker = world.asked.remove(0);
    world.input(Input::Resolved(asker, Vec::new()));
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn calls_of_the_registrar_are_the_trunks() {
    let mut world = World::new(CONFIG);
    let user = world.contact_user();
    let flow = world.mail[0].0;
    let invite = |uri: &str, branch: &str| {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:+442079460900@127.0.0.9>;tag=a\r\nTo: <sip:+442079460500@127.0.0.9>\r\nCall-ID: {branch}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:127.0.0.9>\r\nContent-Length: 0\r\n\r\n"
        );
        Input::Datagram(flow, Bytes::from(text))
    };
    // Before we are registered there, it is a stranger.
    world.input(invite(&format!("sip:{user}@127.0.0.1"), "early"));
    assert_eq!(world.us.counts().calls, 0);
    world.ok();
    world.mail.clear();
    world.input(invite(&format!("sip:{user}@127.0.0.1"), "contact"));
    assert_eq!(world.us.counts().calls, 1, "{}", world.ladder);
    world.input(invite("sip:+442079460500@127.0.0.1", "number"));
    assert_eq!(world.us.counts().calls, 2, "{}", world.ladder);
    world.input(invite("sip:nobody@127.0.0.1", "nobody"));
    assert_eq!(world.us.counts().calls, 2, "{}", world.ladder);
    assert!(world.us.live().iter().all(|call| call.data.trunk == "carrier"));
}

/// Several contacts are one registration: the one that ends first says when it is refreshed.
#[test]
fn several_contacts_are_kept_together() {
    let mut world = World::new(
        &CONFIG.replace("user = \"acme\"", "user = \"acme\"\ncontacts = [\"203.0.113.7:5060\", \"203.0.113.8\"]"),
    );
    let (_, request) = &world.mail[0];
    let contacts: Vec<String> = request.list("Contact").map(str::to_owned).collect();
    let user = world.contact_user();
    assert_eq!(contacts, [format!("<sip:{user}@203.0.113.7:5060>"), format!("<sip:{user}@203.0.113.8>")]);
    let [first, second] = [0, 1].map(|n| contacts[n].clone());
    world.answer(
        200,
        &format!("Contact: {first};expires=100, {second};expires=60, <sip:other@192.0.2.1>;expires=10\r\n"),
    );
    assert_eq!(world.next(), 30 * SECOND);
    // The second one alone was kept: still registered, by what is left.
    world.answer(200, &format!("Contact: {second};expires=60\r\n"));
    assert_eq!(world.next(), 30 * SECOND);
}

/// Calls that go out through a registered trunk take the route that its registrar has asked for (RFC 3608).
#[test]
fn the_service_route_is_taken() {
    let out = "forward_to = [{ trunk = \"carrier\", number = \"+442079460990\" }]";
    let config = CONFIG
        .replace("forward_to = [\"sip:desk@127.0.0.20:5060\"]", out)
        .replace("[trunk.register]", "address = \"sip:127.0.0.9\"\n[trunk.register]");
    let lr = |host: &str| format!("<sip:{host};lr>");
    let two = format!("{},{}", lr("edge.carrier.example"), lr("home@127.0.0.66"));
    let many = vec![lr("x.example"); limits::SERVICE_ROUTES + 1].join(", ");
    let mut world = World::new(&config);
    let flow = world.mail[0].0;
    let mut table = String::new();
    for (n, route) in [
        "",
        &two,
        "",
        &lr("edge.carrier.example"),
        "<sip:strict.example>",
        &format!("{}, nonsense", lr("a.example")),
        "<tel:+1;lr>",
        &many,
    ]
    .iter()
    .enumerate()
    {
        let line = if route.is_empty() { String::new() } else { format!("Service-Route: {route}\r\n") };
        world.answer(200, &format!("Contact: {{contact}};expires=3600\r\n{line}"));
        world.mail.clear();
        let text = format!(
            "INVITE sip:+442079460500@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+442079460900@127.0.0.9>;tag=a\r\nTo: <sip:+442079460500@127.0.0.9>\r\n\
             Call-ID: call-{n}\r\nCSeq: 1 INVITE\r\nContact: <sip:127.0.0.9>\r\nContent-Length: 0\r\n\r\n"
        );
        world.input(Input::Datagram(flow, Bytes::from(text)));
        let call = world.us.live().last().expect("a call").data.call_id;
        let local = |port| LocalMedia { rtp: ([127, 0, 0, 1], port).into() };
        world.input(Input::Media(call, MediaNotice::Opened([local(20_000), local(20_004)])));
        let (flow, invite) = world.mail.pop().expect("an INVITE");
        assert_eq!((invite.method_token(), flow.remote.to_string().as_str()), ("INVITE", "127.0.0.9:5060"));
        let took = invite.list("Route").collect::<Vec<_>>().join(" then ");
        let _ = writeln!(table, "{:<60} -> {took}", route.chars().take(60).collect::<String>());
        world.input(Input::HangUpAll("test"));
        while !world.mail.iter().any(|(_, message)| message.method_token() == "REGISTER") {
            world.next();
        }
        world.mail.retain(|(_, message)| message.method_token() == "REGISTER");
    }
    insta::assert_snapshot!(table);
}
