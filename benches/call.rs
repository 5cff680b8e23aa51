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
    Builder::request(method, "sip:203.0.113.1:5060")
        .header("Via", &format!("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{method}"))
        .header("Max-Forwards", "70")
        .header("From", answer.header("From").expect("From"))
        .header("To", answer.header("To").expect("To"))
        .header("Call-ID", answer.header("Call-ID").expect("Call-ID"))
        .header("CSeq", &format!("{cseq} {method}"))
        .finish()
        .expect("a good message")
}

/// Plays both peers once and writes down what they said.
fn script(settings: &Arc<Settings>) -> Vec<(Flow, Bytes)> {
    let (carrier, shop) = (flow("192.0.2.10:5060"), flow("198.51.100.1:5060"));
    let mut machine = machine(settings);
    let mut said = Vec::new();
    let mut now = start();
    let mut say = |flow: Flow, bytes: Bytes| {
        now = now.after(Duration::from_millis(10));
        said.push((flow, bytes.clone()));
        let mut sent = Vec::new();
        let ended = handle(&mut machine, now, Input::Datagram(flow, bytes), &mut sent);
        let sent: Vec<Message> = sent.into_iter().map(|bytes| Message::parse(bytes).expect("ours")).collect();
        (sent, ended)
    };
    let invite = Builder::request("INVITE", "sip:+442079460500@203.0.113.1:5060")
        .header("Via", "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKinvite")
        .header("Max-Forwards", "70")
        .header("From", "<sip:+442079460990@192.0.2.10>;tag=caller")
        .header("To", "<sip:+442079460500@203.0.113.1>")
        .header("Call-ID", "bench@192.0.2.10")
        .header("CSeq", "1 INVITE")
        .header("Contact", "<sip:carrier@192.0.2.10>")
        .body("application/sdp", SDP.as_bytes())
        .finish()
        .expect("a good message");
    let find = |sent: &[Message], method: &str, status: u16| -> Message {
        let found = sent.iter().find(|m| m.method_token() == method && m.status() == status);
        found.unwrap_or_else(|| panic!("no {method} {status}")).clone()
    };
    let (sent, _) = say(carrier, invite);
    let ours = find(&sent, "INVITE", 0);
    let reply = |request: &Message, status: u16| {
        Builder::response_to(request, status, None, Some("shop"), shop.local)
            .header("Contact", "<sip:sales@198.51.100.1>")
    };
    say(shop, reply(&ours, 180).finish().expect("a good message"));
    let answer = reply(&ours, 200).body("application/sdp", SDP.as_bytes()).finish().expect("a good message");
    let (sent, _) = say(shop, answer);
    let answered = find(&sent, "INVITE", 200);
    say(carrier, within("ACK", 1, &answered));
    let (sent, ended) = say(carrier, within("BYE", 2, &answered));
    assert_eq!(ended, Some(Outcome::Answered));
    say(shop, reply(&find(&sent, "BYE", 0), 200).finish().expect("a good message"));
    said
}

fn call(c: &mut Criterion) {
    let settings = settings();
    let script = script(&settings);
    let play = |mut machine: B2bua| {
        let mut now = start();
        let mut ended = None;
        let mut sent = Vec::with_capacity(16);
        for (flow, bytes) in &script {
            now = now.after(Duration::from_millis(10));
            ended = handle(&mut machine, now, Input::Datagram(*flow, bytes.clone()), &mut sent).or(ended);
        }
        assert_eq!(ended, Some(Outcome::Answered));
        machine
    };
    c.bench_function("one whole call through the signalling machine", |b| {
        b.iter_batched(|| machine(&settings), play, BatchSize::SmallInput);
    });
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

criterion_group!(benches, call, stranger);
criterion_main!(benches);
