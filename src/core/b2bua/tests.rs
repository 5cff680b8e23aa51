//! A panic in one call ends that call and nothing else. The rest of the machine is tested from outside, in `tests/`.

use std::path::Path;

use super::*;
use crate::config::Config;
use crate::core::event::{MediaSummary, RecordingSummary};
use crate::core::media::LocalMedia;
use crate::time::Wall;
use crate::wire::sip::Message;

const US: &str = "203.0.113.1:5060";
const CARRIER: &str = "192.0.2.10:5060";
const CONFIG: &str = r#"
[sip]
listen = ["udp://203.0.113.1:5060"]
[media]
address = "203.0.113.1"
[[trunk]]
name = "carrier"
match = ["192.0.2.0/24"]
[[company]]
name = "acme"
forward_to = ["sip:sales@198.51.100.1"]
[[pool]]
name = "board"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard" }
"#;

/// Content headers and an offer or answer.
fn body() -> String {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n";
    format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

/// What a request of the carrier begins with.
fn head(name: &str, method: &str, to: &str) -> String {
    format!(
        "{method} sip:+442079460500@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{name}{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.10>;tag={name}\r\nTo: {to}\r\nCall-ID: {name}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:a@{CARRIER}>\r\n"
    )
}

struct World {
    now: Now,
    us: B2bua,
    kinds: Vec<String>,
    ended: Vec<CallData>,
    sent: Vec<(SocketAddr, Message)>,
    closed: Vec<CallId>,
}

impl World {
    fn new() -> World {
        let config = Config::parse(CONFIG, "test.toml", Path::new("")).unwrap();
        let listeners = config.sip.listen.clone();
        let settings = Arc::new(Settings::new(Arc::new(config), listeners));
        World {
            now: Now { mono: Mono(1_000_000_000), wall: Wall(1_795_000_000_000_000) },
            us: B2bua::new(settings, Arc::new(LeaseTable::new()), [7; 32]),
            kinds: Vec::new(),
            ended: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) {
        self.us.handle(self.now, input);
        while let Some(output) = self.us.poll_output() {
            match output {
                Output::Send(transmit) => {
                    self.sent.push((transmit.flow.remote, Message::parse(transmit.bytes).unwrap()));
                }
                Output::Media(call, MediaCommand::Open(_)) => {
                    let local =
                        |port| LocalMedia { rtp: SocketAddr::new(US.parse::<SocketAddr>().unwrap().ip(), port) };
                    let opened = MediaNotice::Opened([local(20_000), local(20_002)]);
                    self.us.handle(self.now, Input::Media(call, opened));
                }
                Output::Media(call, MediaCommand::Close(_)) => self.closed.push(call),
                Output::Event(event) => {
                    self.kinds.push(format!("{} {}", event.body.kind(), event.subject));
                    if let Body::CallEnded(data) = event.body {
                        self.ended.push(*data);
                    }
                }
                Output::Media(..)
                | Output::Resolve { .. }
                | Output::Decide(_)
                | Output::Fetch { .. }
                | Output::Refused(_)
                | Output::TakenOver { .. }
                | Output::Leg(..)
                | Output::Trunk(_)
                | Output::Probe(_) => {}
            }
        }
    }

    fn datagram(&mut self, from: &str, text: &str) {
        let flow = Flow {
            transport: rsip::Transport::Udp,
            local: US.parse().unwrap(),
            remote: from.parse().unwrap(),
            connection: 0,
            name: None,
        };
        self.input(Input::Datagram(flow, Bytes::copy_from_slice(text.as_bytes())));
    }

    fn invite(&mut self, name: &str) {
        self.datagram(CARRIER, &format!("{}{}", head(name, "INVITE", "<sip:b@203.0.113.1>"), body()));
    }

    /// A call that both sides have answered. Gives its id.
    fn connect(&mut self, name: &str) -> CallId {
        let known: Vec<CallId> = self.us.live().iter().map(|live| live.data.call_id).collect();
        self.invite(name);
        let (to, invite) = self.sent.last().unwrap().clone();
        assert_eq!(invite.method_token(), "INVITE");
        let line = |name: &str| invite.header(name).unwrap().to_owned();
        let ok = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=shop\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:sales@198.51.100.1>\r\n{}",
            line("Via"),
            line("From"),
            line("To"),
            line("Call-ID"),
            line("CSeq"),
            body(),
        );
        self.datagram(&to.to_string(), &ok);
        let answer = self.sent.iter().rev().find(|(_, message)| message.status() == 200).unwrap().1.clone();
        let ack = head(name, "ACK", answer.header("To").unwrap());
        self.datagram(CARRIER, &format!("{ack}Content-Length: 0\r\n\r\n"));
        let live = self.us.live();
        live.iter().map(|live| live.data.call_id).find(|id| !known.contains(id)).unwrap()
    }

    /// Media threads and recorder have done their part.
    fn media_done(&mut self, call: CallId) {
        let recorded = RecordingSummary { path: Some(format!("recordings/{call}.wav")), ..RecordingSummary::default() };
        self.input(Input::Media(call, MediaNotice::Recorded(Box::new(recorded))));
        self.input(Input::Media(call, MediaNotice::Closed(Box::<MediaSummary>::default())));
    }

    fn kinds_of(&self, call: CallId) -> Vec<&str> {
        let id = call.to_string();
        self.kinds
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, of)| *of == id)
            .map(|(kind, _)| kind)
            .collect()
    }

    fn pass_to_the_end(&mut self) {
        while let Some((at, _)) = self.us.poll_timeout() {
            self.now = self.now.after(at.since(self.now.mono));
            self.input(Input::Timeout);
        }
    }
}

#[test]
fn e15_a_silent_side_is_an_event_and_the_silence_of_both_is_the_end() {
    let mut world = World::new();
    let call = world.connect("one");
    let quiet = |silent| MediaNotice::Quiet { side: Side::Company, silent: std::time::Duration::from_secs(silent) };
    world.input(Input::Media(call, quiet(20)));
    world.input(Input::Media(call, quiet(40)));
    assert!(world.ended.is_empty() && world.closed.is_empty(), "one side may be silent");
    world.input(Input::Media(call, MediaNotice::Silent));
    world.input(Input::Media(call, quiet(80)));
    assert_eq!(world.closed, [call]);
    world.media_done(call);
    assert_eq!(world.kinds_of(call).iter().filter(|kind| **kind == "leaseline.media.silent").count(), 2);
    assert_eq!(world.ended.first().and_then(|data| data.reason.as_deref()), Some("media_silent"));
}

fn crash(panics: u32) -> (World, CallId, CallId) {
    let mut world = World::new();
    let (broken, other) = (world.connect("one"), world.connect("two"));
    assert_eq!(world.us.connected(), 2);
    world.us.panic_in = Some((broken, panics));
    world.sent.clear();
    world.input(Input::Media(broken, MediaNotice::FirstPacket(Side::Caller, world.now.wall)));
    let byes: Vec<_> =
        world.sent.iter().filter(|(_, m)| m.method_token() == "BYE" && m.is_request()).map(|(to, _)| *to).collect();
    assert_eq!(byes, [CARRIER.parse().unwrap(), "198.51.100.1:5060".parse::<SocketAddr>().unwrap()]);
    assert_eq!(world.closed, [broken]);
    assert_eq!(world.us.connected(), 1, "the other call goes on");
    (world, broken, other)
}

fn nothing_is_left(mut world: World, other: CallId) {
    world.input(Input::HangUp(other, "test"));
    world.media_done(other);
    assert_eq!(world.ended.last().map(|data| data.reason.as_deref()), Some(Some("test")));
    world.pass_to_the_end();
    assert_eq!(world.us.counts(), Counts::default());
}

#[test]
fn a_panic_ends_its_call_with_its_recording_and_no_other() {
    let (mut world, broken, other) = crash(1);
    assert!(world.ended.is_empty(), "the recording is waited for");
    world.media_done(broken);
    let kinds = ["call.started", "call.answered", "call.crashed", "recording.sealed", "call.ended"];
    let kinds = kinds.map(|kind| format!("leaseline.{kind}"));
    assert_eq!(world.kinds_of(broken), kinds);
    let data = world.ended.remove(0);
    assert_eq!((data.outcome.unwrap().as_str(), data.reason.as_deref()), ("failed", Some("crashed")));
    assert_eq!(data.recording.unwrap().path, Some(format!("recordings/{broken}.wav")));
    nothing_is_left(world, other);
}

#[test]
fn a_call_that_panics_again_while_it_is_ended_is_cut_off() {
    let (mut world, broken, other) = crash(2);
    let kinds = ["call.started", "call.answered", "call.crashed", "call.ended"];
    assert_eq!(world.kinds_of(broken), kinds.map(|kind| format!("leaseline.{kind}")));
    assert_eq!(world.ended[0].reason.as_deref(), Some("crashed"));
    // What its media threads still say finds nobody.
    world.media_done(broken);
    assert_eq!(world.kinds_of(broken).len(), 4);
    nothing_is_left(world, other);
}

#[test]
fn a_panic_while_the_call_waits_for_its_recording_ends_it_once() {
    let mut world = World::new();
    let (broken, other) = (world.connect("one"), world.connect("two"));
    world.input(Input::HangUp(broken, "test"));
    world.us.panic_in = Some((broken, 1));
    world.media_done(broken);
    let ended = world.kinds_of(broken).iter().filter(|kind| kind.ends_with("call.ended")).count();
    assert_eq!((ended, world.closed.len()), (1, 1));
    nothing_is_left(world, other);
}

#[test]
fn a_panic_while_a_call_begins_refuses_it_and_no_other() {
    // Ids come from the seed: a first world tells which one the second call will have.
    let broken = {
        let mut world = World::new();
        world.connect("one");
        world.connect("two")
    };
    let mut world = World::new();
    let other = world.connect("one");
    world.us.panic_in = Some((broken, 1));
    world.sent.clear();
    world.invite("two");
    let answers: Vec<u16> = world.sent.iter().map(|(_, message)| message.status()).collect();
    assert!(matches!(answers[..], [400..700]), "{answers:?}");
    world.media_done(broken);
    let kinds = world.kinds_of(broken);
    assert_eq!(kinds.iter().filter(|kind| kind.ends_with("call.ended")).count(), 1, "{kinds:?}");
    nothing_is_left(world, other);
}

#[test]
fn a_destination_with_places_for_numbers_is_known_by_its_address() {
    let text =
        "[[company]]\nname = \"acme\"\nforward_to = [\"sip:{number}@198.51.100.7:5080\", \"sip:9@198.51.100.8\"]\n";
    let config = Arc::new(Config::parse(text, "", std::path::Path::new("")).unwrap());
    let settings = Settings::new(config, Vec::new());
    for (address, known) in [("198.51.100.7", true), ("198.51.100.8", true), ("198.51.100.9", false)] {
        assert_eq!(settings.is_known(address.parse().unwrap()), known, "{address}");
    }
}
