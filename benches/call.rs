//! One whole call through the signalling machine: INVITE, 180, 200, ACK and BYE on both legs, its media commands and its
//! events. The peers' messages are made once and fed to a fresh machine of the same seed each time, so that only the
//! machine is measured.
#![allow(missing_docs)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use leaseline::config::Config;
use leaseline::core::agent::Flow;
use leaseline::core::b2bua::{B2bua, Input, Output, Settings};
use leaseline::core::event::{Body, Outcome};
use leaseline::core::lease::LeaseTable;
use leaseline::core::media::{LocalMedia, MediaCommand, MediaNotice};
use leaseline::time::{Mono, Now, Wall};
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;

const CONFIG: &str = r#"
[sip]
listen = ["udp://203.0.113.1:5060"]
[media]
address = "203.0.113.1"
ports = "10000-60000"
[[trunk]]
name = "carrier"
match = ["192.0.2.0/24"]
[[company]]
name = "acme"
forward_to = ["sip:sales@198.51.100.1:5060"]
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard" }
"#;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n\
    m=audio 30000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

const CARRIER: &str = "192.0.2.10:5060";
const SHOP: &str = "198.51.100.1:5060";

fn settings() -> Arc<Settings> {
    let config = Config::parse(CONFIG, "bench.toml", Path::new("")).expect("a good configuration");
    let listeners = config.sip.listen.clone();
    Arc::new(Settings::new(Arc::new(config), listeners))
}

fn machine(settings: &Arc<Settings>) -> B2bua {
    B2bua::new(settings.clone(), Arc::new(LeaseTable::new()), [7; 32])
}

fn flow(remote: &str) -> Flow {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Flow {
        transport: rsip::Transport::Udp,
        local: address("203.0.113.1:5060"),
        remote: address(remote),
        connection: 0,
        name: None,
    }
}

fn start() -> Now {
    Now { mono: Mono(1_000_000_000), wall: Wall(1_795_255_200_000_000) }
}

/// One datagram in, everything out; media answers at once. Gives what was sent and how the call ended.
fn handle(machine: &mut B2bua, now: Now, input: Input, sent: &mut Vec<Bytes>) -> Option<Outcome> {
    let mut ended = None;
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        machine.handle(now, input);
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Send(transmit) => sent.push(transmit.bytes),
                Output::Media(call, MediaCommand::Open(open)) => {
                    let local = [0, 1].map(|side| LocalMedia { rtp: (open.address[side], 20_000).into() });
                    inputs.push(Input::Media(call, MediaNotice::Opened(local)));
                }
                Output::Media(call, MediaCommand::Close(_)) => {
                    inputs.push(Input::Media(call, MediaNotice::Recorded(Box::default())));
                    inputs.push(Input::Media(call, MediaNotice::Closed(Box::default())));
                }
                Output::Event(event) => {
                    if let Body::CallEnded(data) = event.body {
                        ended = data.outcome;
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
    ended
}

/// The caller's request within the dialog that our 200 made.
fn within(method: &str, cseq: u32, answer: &Message) -> Bytes {
    let call_id = answer.header("Call-ID").expect("Call-ID");
    Builder::request(method, "sip:203.0.113.1:5060")
        .header("Via", &format!("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{method}{call_id}"))
        .header("Max-Forwards", "70")
        .header("From", answer.header("From").expect("From"))
        .header("To", answer.header("To").expect("To"))
        .header("Call-ID", call_id)
        .header("CSeq", &format!("{cseq} {method}"))
        .finish()
        .expect("a good message")
}

/// Both peers of a machine, and all that they said.
struct Stage {
    machine: B2bua,
    now: Now,
    said: Vec<(Flow, Bytes)>,
}

impl Stage {
    fn new(settings: &Arc<Settings>) -> Stage {
        Stage { machine: machine(settings), now: start(), said: Vec::new() }
    }

    /// 10 ms later, a peer says this. Gives what was sent for it and how the call ended.
    fn say(&mut self, flow: Flow, bytes: Bytes) -> (Vec<Message>, Option<Outcome>) {
        self.now = self.now.after(Duration::from_millis(10));
        self.said.push((flow, bytes.clone()));
        let mut sent = Vec::new();
        let ended = handle(&mut self.machine, self.now, Input::Datagram(flow, bytes), &mut sent);
        (sent.into_iter().map(|bytes| Message::parse(bytes).expect("ours")).collect(), ended)
    }

    /// A call of this name up to its ACK. Gives our 200.
    fn answered(&mut self, name: &str) -> Message {
        let (carrier, shop) = (flow(CARRIER), flow(SHOP));
        let invite = Builder::request("INVITE", "sip:+442079460500@203.0.113.1:5060")
            .header("Via", &format!("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKinvite{name}"))
            .header("Max-Forwards", "70")
            .header("From", "<sip:+442079460990@192.0.2.10>;tag=caller")
            .header("To", "<sip:+442079460500@203.0.113.1>")
            .header("Call-ID", &format!("{name}@192.0.2.10"))
            .header("CSeq", "1 INVITE")
            .header("Contact", "<sip:carrier@192.0.2.10>")
            .body("application/sdp", SDP.as_bytes())
            .finish()
            .expect("a good message");
        let (sent, _) = self.say(carrier, invite);
        let ours = find(&sent, "INVITE", 0);
        self.say(shop, reply(&ours, 180).finish().expect("a good message"));
        let answer = reply(&ours, 200).body("application/sdp", SDP.as_bytes()).finish().expect("a good message");
        let (sent, _) = self.say(shop, answer);
        let answered = find(&sent, "INVITE", 200);
        self.say(carrier, within("ACK", 1, &answered));
        answered
    }

    /// The caller hangs up.
    fn hang_up(&mut self, answered: &Message) {
        let (sent, ended) = self.say(flow(CARRIER), within("BYE", 2, answered));
        assert_eq!(ended, Some(Outcome::Answered));
        self.say(flow(SHOP), reply(&find(&sent, "BYE", 0), 200).finish().expect("a good message"));
    }
}

fn find(sent: &[Message], method: &str, status: u16) -> Message {
    let found = sent.iter().find(|m| m.method_token() == method && m.status() == status);
    found.unwrap_or_else(|| panic!("no {method} {status}")).clone()
}

fn reply(request: &Message, status: u16) -> Builder {
    Builder::response_to(request, status, None, Some("shop"), flow(SHOP).local)
        .header("Contact", "<sip:sales@198.51.100.1>")
}

/// Plays both peers once and writes down what they said.
fn script(settings: &Arc<Settings>) -> Vec<(Flow, Bytes)> {
    let mut stage = Stage::new(settings);
    let answered = stage.answered("bench");
    stage.hang_up(&answered);
    stage.said
}

fn call(c: &mut Criterion) {
    let settings = settings();
    let script = script(&settings);
    c.bench_function("one whole call through the signalling machine", |b| {
        b.iter_batched(|| machine(&settings), |mut machine| play(&mut machine, &script), BatchSize::SmallInput);
    });
}

/// Says all of a script, 10 ms apart.
fn play(machine: &mut B2bua, script: &[(Flow, Bytes)]) {
    let mut now = start();
    let mut ended = None;
    let mut sent = Vec::with_capacity(16);
    for (flow, bytes) in script {
        now = now.after(Duration::from_millis(10));
        ended = handle(machine, now, Input::Datagram(*flow, bytes.clone()), &mut sent).or(ended);
    }
    assert_eq!(ended, Some(Outcome::Answered));
}

/// 10,000 calls in progress in one machine: what each holds in memory once its transactions have ended, without media
/// and without what is kept for the ladder, and what setting up and ending one more costs among them.
fn many(c: &mut Criterion) {
    const CALLS: usize = 10_000;
    let settings = settings();
    let mut stage = Stage::new(&settings);
    let before = resident();
    for call in 0..CALLS {
        stage.answered(&call.to_string());
        stage.said = Vec::new();
    }
    stage.now = stage.now.after(Duration::from_secs(40));
    handle(&mut stage.machine, stage.now, Input::Timeout, &mut Vec::new());
    let counts = stage.machine.counts();
    assert_eq!((counts.calls, counts.legs), (CALLS, 2 * CALLS));
    let each = resident().saturating_sub(before) / CALLS;
    println!("{CALLS} calls in progress: {each} bytes of resident memory a call in the signalling machine");
    let mut next = CALLS;
    c.bench_function("one whole call among 10,000 others", |b| {
        b.iter(|| {
            let answered = stage.answered(&next.to_string());
            stage.hang_up(&answered);
            stage.said = Vec::new();
            next += 1;
        });
    });
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}

/// What one datagram of a flood costs: strangers of many addresses, none of them banned yet, while calls go on.
fn stranger(c: &mut Criterion) {
    let settings = settings();
    let script = script(&settings);
    let mut machine = machine(&settings);
    let mut sent = Vec::new();
    let (flow, invite) = script.first().expect("the caller's INVITE");
    handle(&mut machine, start(), Input::Datagram(*flow, invite.clone()), &mut sent);
    let mut now = start();
    let mut source = 0_u32;
    c.bench_function("a stranger's INVITE at the door", |b| {
        b.iter(|| {
            source = source.wrapping_add(1);
            // Each window begins anew.
            now = now.after(Duration::from_secs(1));
            let from = SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a00_0000 | source & 0xffff), 5060));
            assert!(!machine.is_welcome(now, from, std::hint::black_box(invite)));
        });
    });
}

criterion_group!(benches, call, many, stranger);
criterion_main!(benches);
