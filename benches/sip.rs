//! The SIP wire layer: reading, looking, writing, and the worst that 60 KB can do.
#![allow(missing_docs)]

use std::hint::black_box;
use std::net::SocketAddr;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::frame::Framer;

const SDP: &str = "v=0\r\no=- 3898 3898 IN IP4 192.0.2.20\r\ns=carrier\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n\
    m=audio 30000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

fn invite() -> Bytes {
    Builder::request("INVITE", "sip:+442079460007@203.0.113.10:5060;user=phone")
        .header("Record-Route", "<sip:192.0.2.10;lr;ftag=as5d3c>")
        .header("Via", "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKcc1f.8b3d6a2c4e5f60718293a4b5c6d7e8f9.0")
        .header("Via", "SIP/2.0/UDP 192.0.2.20:5060;received=192.0.2.20;rport=5060;branch=z9hG4bK4d1f7a29")
        .header("Max-Forwards", "69")
        .header("From", "\"Alice\" <sip:+442079460111@192.0.2.20;user=phone>;tag=as5d3c8a2f")
        .header("To", "<sip:+442079460007@203.0.113.10;user=phone>")
        .header("Contact", "<sip:+442079460111@192.0.2.20:5060>")
        .header("Call-ID", "6f1c2a7d5b3e4f60@192.0.2.20")
        .header("CSeq", "102 INVITE")
        .header("User-Agent", "Carrier SBC 7.2")
        .header("Allow", "INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, PRACK, INFO")
        .header("Supported", "timer, 100rel")
        .header("P-Asserted-Identity", "<sip:+442079460111@192.0.2.20>")
        .header("Session-Expires", "1800;refresher=uac")
        .body("application/sdp", SDP.as_bytes())
        .finish()
        .expect("a good message")
}

fn parse(c: &mut Criterion) {
    let bytes = invite();
    let message = Message::parse(bytes.clone()).expect("a good message");
    let mut group = c.benchmark_group("sip");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("parse an INVITE", |b| b.iter(|| Message::parse(black_box(bytes.clone()))));
    group.bench_function("validate", |b| b.iter(|| black_box(&message).validate()));
    group.bench_function("via, from, to, contact, cseq", |b| {
        b.iter(|| {
            let message = black_box(&message);
            (message.top_via(), message.from(), message.to(), message.contact(), message.cseq())
        });
    });
    group.bench_function("frame an INVITE", |b| {
        let mut framer = Framer::new();
        b.iter(|| {
            framer.push(black_box(&bytes));
            framer.next()
        });
    });
    group.finish();
}

fn build(c: &mut Criterion) {
    let request = Message::parse(invite()).expect("a good message");
    let source: SocketAddr = "192.0.2.10:5060".parse().expect("an address");
    let mut group = c.benchmark_group("sip");
    group.bench_function("build an INVITE", |b| b.iter(invite));
    group.bench_function("build a 180", |b| {
        b.iter(|| {
            Builder::response_to(black_box(&request), 180, None, Some("as77aa01"), source)
                .header("Contact", "<sip:203.0.113.10:5060>")
                .finish()
        });
    });
    group.finish();
}

/// Every input has 60 KB; one millisecond is the promise.
fn hostile(c: &mut Criterion) {
    const FILL: [&str; 12] =
        ["<", "\"", "\\", "(", ";a", ",", "%25", "\r\n ", "\r\nX: y", "\r\nVia: z,", "\"<", "\\\"<>,;"];
    let mut group = c.benchmark_group("sip hostile");
    for fill in FILL {
        let text = fill.repeat(60_000 / fill.len());
        let bytes = Bytes::from(format!("INVITE sip:a@b SIP/2.0\r\nVia: {text}\r\n\r\n"));
        group.bench_function(fill.escape_default().to_string(), |b| {
            b.iter(|| Message::parse(black_box(bytes.clone())).and_then(|message| message.validate()));
        });
        // As much of it as one head may have, so that it is read and not only refused.
        let line = fill.repeat(8_000 / fill.len()).replace("\r\n", "\r\n ");
        let head = format!("INVITE sip:a@b SIP/2.0\r\nVia: {line}\r\nFrom: {}\r\n\r\n", &line[..line.len() / 2]);
        let bytes = Bytes::from(head);
        group.bench_function(format!("within the limits: {}", fill.escape_default()), |b| {
            b.iter(|| {
                let message = Message::parse(black_box(bytes.clone()))?;
                let _ = (message.top_via(), message.from(), message.vias().count());
                message.validate()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse, build, hostile);
criterion_main!(benches);
