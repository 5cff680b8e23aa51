//! Garbage, strangers, unknown numbers, slow web clients: nobody disturbs a call.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::node::{NUMBER, Node, PATIENCE, alone, holds, until};

pub(crate) fn invite(node: &Node, number: &str, from: &UdpSocket, id: &str) -> String {
    let (us, sip) = (from.local_addr().unwrap(), node.sip());
    format!(
        "INVITE sip:{number}@{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{us}>;tag={id}\r\nTo: <sip:{number}@{sip}>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@{us}>\r\nContent-Length: 0\r\n\r\n"
    )
}

pub(crate) fn receive(socket: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 65_535];
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[test]
fn garbage_is_counted_and_an_honest_call_works() {
    let node = Node::started("");
    node.answering();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise = vec![0; 65_507];
    getrandom::fill(&mut noise).unwrap();
    // No start line by chance.
    noise[0] = 0;
    let garbage: [&[u8]; 6] = [
        b"",
        b"\0\0\0\0",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &noise,
    ];
    for bytes in garbage {
        socket.send_to(bytes, node.sip()).unwrap();
    }
    let counted = || node.metric("leaseline_sip_dropped_total{reason=\"not_sip\"}");
    holds("each is counted", || counted() >= Some(garbage.len() as f64));
    assert_eq!(counted(), Some(garbage.len() as f64));
    socket.set_nonblocking(true).unwrap();
    assert_eq!(receive(&socket), None, "nothing is answered");
    node.honest_call();
    assert_eq!(node.live_calls(), 0);
}

#[test]
fn unknown_numbers_are_refused_and_strangers_hear_nothing() {
    let node = Node::started("");
    node.answering();
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    carrier.set_read_timeout(Some(PATIENCE)).unwrap();
    stranger.send_to(invite(&node, NUMBER, &stranger, "stranger").as_bytes(), node.sip()).unwrap();
    carrier.send_to(invite(&node, "+442079460777", &carrier, "unknown").as_bytes(), node.sip()).unwrap();
    let answer = receive(&carrier).expect("an answer");
    assert!(answer.starts_with("SIP/2.0 404 "), "{answer}");
    let refused = node.wait_for_events("call.refused", 1).remove(0);
    assert_eq!((&refused["reason"], &refused["sip_status"]), (&"number_unknown".into(), &404.into()));
    assert_eq!(node.metric("leaseline_calls_refused_total{reason=\"number_unknown\",trunk=\"carrier\"}"), Some(1.0));
    // The stranger's came first: it has been looked at by now.
    holds("the stranger is counted", || node.metric("leaseline_sip_dropped_total{reason=\"stranger\"}") == Some(1.0));
    stranger.set_nonblocking(true).unwrap();
    assert_eq!(receive(&stranger), None);
    assert_eq!((node.events_of("call.refused").len(), node.events_of("call.started").len()), (1, 0));
    node.honest_call();
}

#[test]
fn slow_and_silent_web_clients_do_not_disturb_a_call() {
    let _alone = alone();
    let node = Node::started("");
    node.answering();
    let call = node.call(NUMBER, Duration::from_secs(4));
    node.wait_for_events("call.answered", 1);
    let mut clients = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(node.http_at()).unwrap();
        match n % 4 {
            0 => {}
            1 => drop(stream.write_all(b"GET /v1/calls HTTP/1.1\r\nHost: local")),
            2 => {
                drop(stream.write_all(b"POST /v1/leases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{"))
            }
            _ => drop(stream.write_all(format!("GET /{} HTTP/1.1\r\n", "x".repeat(15_000)).as_bytes())),
        }
        clients.push(stream);
    }
    assert_eq!(node.get("/healthz").map(|(status, _)| status), Some(200), "others are served meanwhile");
    let report = node.report(call);
    assert!(report.answered, "{report:?}");
    let (received, lost) = (report.media.received, report.media.lost);
    // 4 s of packets of 20 ms.
    assert!(received > 150 && lost * 20 < received, "audio suffered: {report:?}");
    drop(clients);
    holds("the connections are gone", || node.metric("leaseline_http_connections") <= Some(2.0));
    node.honest_call();
}

#[test]
fn a_stranger_on_the_stream_is_closed_without_a_word() {
    let node = Node::started("");
    let stream = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    stream.bind(&"127.0.0.2:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    stream.connect(&node.sip().into()).unwrap();
    let mut stream: TcpStream = stream.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n");
    let mut heard = Vec::new();
    // Closed, or reset because what was sent is not read.
    let _ = stream.read_to_end(&mut heard);
    assert!(heard.is_empty());
    until("the program lives", || node.get("/healthz"));
}
