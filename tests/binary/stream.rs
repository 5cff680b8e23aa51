//! SIP over TCP: a call on two connections, junk, and peers that never read or never speak.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::line::{Line, until_closed};
use crate::node::{Node, PATIENCE, holds};

fn over_tcp() -> Node {
    let mut node = Node::new("");
    let address = node.address;
    // These peers ask more than a peer should.
    node.extra = format!(
        "[sip.defence]\noptions_per_second_max = 0\n\
         [[company]]\nname = \"acme\"\nforward_to = [\"sip:sales@{address}:5080;transport=tcp\"]\n"
    );
    node.write_config();
    node.start();
    node
}

/// One call, both legs over TCP, hung up by the caller.
fn one_call(node: &Node, phone: &TcpListener, id: &str) {
    let mut caller = Line::to(node);
    let (_, invite) = caller.invite(node, id);
    assert!(caller.say(&invite));
    let mut company = Line::accept(phone);
    let invited = company.answers(node, &format!("sip:desk@{};transport=tcp", node.company()));
    assert!(invited.header("Via").unwrap().starts_with("SIP/2.0/TCP "));
    let answer = caller.hear_status(200);
    let to = answer.header("To").unwrap().to_owned();
    let target = answer.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(target.contains("transport=tcp"), "{target}");
    assert!(caller.say(&caller.request("ACK", &target, &to, id, 1).finish().unwrap()));
    node.wait_for_events("call.answered", 1);
    assert!(caller.say(&caller.request("BYE", &target, &to, id, 2).finish().unwrap()));
    caller.hear_status(200);
    let bye = company.hear_request("BYE");
    company.agrees(&bye);
}

#[test]
fn a_call_over_tcp_on_both_legs() {
    let mut node = over_tcp();
    let phone = TcpListener::bind(node.company()).unwrap();
    one_call(&node, &phone, "one");
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"answered".into(), &"caller_hung_up".into()), "{ended}");
    node.stop();
}

#[test]
fn junk_closes_the_connection_and_calls_go_on() {
    let mut node = over_tcp();
    let phone = TcpListener::bind(node.company()).unwrap();
    for junk in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0\0\r\n\r\n",
        b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bKx\r\nContent-Length: 4294967328\r\n\r\n",
        &[b'A'; 70_000],
        // A04: lines that end by LF alone; A05: no length on a stream.
        b"OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/TCP x;branch=z9hG4bKx\nContent-Length: 0\n\n",
        b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bKx\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(node.sip()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // What it is told before the end is its business; that it ends is ours.
        let _ = stream.write_all(junk);
        until_closed(stream);
    }
    one_call(&node, &phone, "after-junk");
    node.wait_for_events("call.ended", 1);
    node.stop();
}

/// Peers that go on saying this and never read are closed, down to the socket.
fn never_reads(node: &Node, mut next: impl FnMut(&Line, u32) -> Vec<u8>, limit: u32) {
    const PEERS: usize = 4;
    let before = node.descriptors();
    let deaf: Vec<Line> = (0..PEERS)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4_096).unwrap();
            socket.connect(&node.sip().into()).unwrap();
            let stream = TcpStream::from(socket);
            stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            let here = stream.local_addr().unwrap();
            let mut line = Line::tcp(stream, here);
            let refused = (1..=limit).any(|n| {
                let bytes = next(&line, n);
                !line.say(&bytes)
            });
            assert!(refused, "{limit} times without reading an answer");
            line
        })
        .collect();
    holds("their connections are gone", || node.metric("leaseline_sip_connections") == Some(0.0));
    // Connections of the metrics may be among them, fewer than peers.
    holds("their sockets are closed", || node.descriptors() < before + PEERS / 2);
    drop(deaf);
}

#[test]
fn a_peer_that_never_reads_is_closed() {
    let mut node = over_tcp();
    let phone = TcpListener::bind(node.company()).unwrap();
    let uri = format!("sip:{}", node.sip());
    let options = |line: &Line, n: u32| {
        line.request("OPTIONS", &uri, &format!("<{uri}>"), &format!("deaf{n}"), 1).finish().unwrap().to_vec()
    };
    never_reads(&node, options, 60_000);
    never_reads(&node, |_, _| b"\r\n\r\n".repeat(16_384), 4_096);
    one_call(&node, &phone, "after-the-deaf");
    node.wait_for_events("call.ended", 1);
    node.stop();
}

#[test]
fn one_address_may_hold_so_many_idle_connections() {
    let mut node = over_tcp();
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(node.sip()).unwrap()).collect();
    holds("sixteen are kept", || node.metric("leaseline_sip_connections") == Some(16.0));
    let mut closed = 0;
    for mut stream in idle {
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0; 1]);
        closed += usize::from(!matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock));
    }
    assert_eq!(closed, 24);
    holds("the others go with their peers", || node.metric("leaseline_sip_connections") == Some(0.0));
    node.stop();
}

#[test]
fn a_peer_that_asks_fast_and_reads_is_served() {
    const REQUESTS: u32 = 3_000;
    let mut node = over_tcp();
    let uri = format!("sip:{}", node.sip());
    let stream = TcpStream::connect(node.sip()).unwrap();
    let here = stream.local_addr().unwrap();
    let mut writer = Line::tcp(stream.try_clone().unwrap(), here);
    let mut line = Line::tcp(stream, here);
    let writing = std::thread::spawn(move || {
        for n in 0..REQUESTS {
            let options =
                writer.request("OPTIONS", &uri, &format!("<{uri}>"), &format!("fast{n}"), 1).finish().unwrap();
            assert!(writer.say(&options));
        }
    });
    for n in 0..REQUESTS {
        let answer = line.hear().unwrap_or_else(|| panic!("closed after {n} answers\n{}", node.log()));
        assert_eq!(answer.status(), 200);
    }
    writing.join().unwrap();
    node.stop();
}
