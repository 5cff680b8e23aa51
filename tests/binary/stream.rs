//! SIP over TCP: a call on two connections, junk, and peers that never read or never speak.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::frame::{Frame, Framer};

use crate::node::{NUMBER, Node, PATIENCE, holds};

/// A connection that speaks whole messages.
struct Line {
    stream: TcpStream,
    framer: Framer,
}

impl Line {
    fn new(stream: TcpStream) -> Line {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Line { stream, framer: Framer::new() }
    }

    fn to(address: SocketAddr) -> Line {
        Line::new(TcpStream::connect(address).unwrap())
    }

    fn here(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message; `None` when the other side closed.
    fn hear(&mut self) -> Option<Message> {
        loop {
            match self.framer.next().expect("whole messages") {
                Some(Frame::Message(bytes)) => return Some(Message::parse(bytes).unwrap()),
                Some(Frame::Ping | Frame::Pong) => {}
                None => {
                    let mut buffer = [0; 8_192];
                    match self.stream.read(&mut buffer) {
                        Ok(0) => return None,
                        Ok(length) => self.framer.push(&buffer[..length]),
                        Err(error) => {
                            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "nothing comes");
                            return None;
                        }
                    }
                }
            }
        }
    }

    fn hear_status(&mut self, status: u16) -> Message {
        loop {
            let message = self.hear().expect("open");
            if message.status() == status {
                return message;
            }
        }
    }

    fn hear_request(&mut self, method: &str) -> Message {
        loop {
            let message = self.hear().expect("open");
            if message.is_request() && message.method_token() == method {
                return message;
            }
        }
    }

    fn request(&self, method: &str, uri: &str, to: &str, id: &str, cseq: u32) -> Builder {
        let here = self.here();
        Builder::request(method, uri)
            .header("Via", &format!("SIP/2.0/TCP {here};branch=z9hG4bK{id}{method}{cseq}"))
            .header("Max-Forwards", "70")
            .header("From", &format!("<sip:+442079460990@{here}>;tag={id}"))
            .header("To", to)
            .header("Call-ID", id)
            .header("CSeq", &format!("{cseq} {method}"))
            .header("Contact", &format!("<sip:phone@{here};transport=tcp>"))
    }
}

fn sdp(at: SocketAddr) -> String {
    let ip = at.ip();
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n")
}

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
    let mut caller = Line::to(node.sip());
    let uri = format!("sip:{NUMBER}@{};transport=tcp", node.sip());
    let offer = sdp(caller.here());
    let invite = caller.request("INVITE", &uri, &format!("<{uri}>"), id, 1);
    caller.say(&invite.body("application/sdp", offer.as_bytes()).finish().unwrap());
    let (stream, peer) = phone.accept().unwrap();
    let mut company = Line::new(stream);
    let invited = company.hear_request("INVITE");
    assert!(invited.header("Via").unwrap().starts_with("SIP/2.0/TCP "));
    let ok = Builder::response_to(&invited, 200, None, Some("company"), peer)
        .header("Contact", &format!("<sip:desk@{};transport=tcp>", node.company()))
        .body("application/sdp", sdp(node.company()).as_bytes());
    company.say(&ok.finish().unwrap());
    company.hear_request("ACK");
    let answer = caller.hear_status(200);
    let to = answer.header("To").unwrap().to_owned();
    let target = answer.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(target.contains("transport=tcp"), "{target}");
    let ack = caller.request("ACK", &target, &to, id, 1).finish().unwrap();
    caller.say(&ack);
    node.wait_for_events("call.answered", 1);
    let bye = caller.request("BYE", &target, &to, id, 2).finish().unwrap();
    caller.say(&bye);
    caller.hear_status(200);
    let bye = company.hear_request("BYE");
    let ok = Builder::response_to(&bye, 200, None, None, peer).finish().unwrap();
    company.say(&ok);
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
    ] {
        let mut line = Line::to(node.sip());
        // What it is told before the end is its business; that it ends is ours.
        let _ = line.stream.write_all(junk);
        let mut heard = Vec::new();
        let closed = line.stream.read_to_end(&mut heard);
        let timed_out = closed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "still open after {:?}", junk.get(..20));
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
            let mut line = Line::new(socket.into());
            line.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            let refused = (1..=limit).any(|n| {
                let bytes = next(&line, n);
                line.stream.write_all(&bytes).is_err()
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
    let idle: Vec<Line> = (0..40).map(|_| Line::to(node.sip())).collect();
    holds("sixteen are kept", || node.metric("leaseline_sip_connections") == Some(16.0));
    let mut closed = 0;
    for mut line in idle {
        line.stream.set_nonblocking(true).unwrap();
        closed += usize::from(
            !matches!(line.stream.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
        );
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
    let mut line = Line::to(node.sip());
    let mut writer = Line::new(line.stream.try_clone().unwrap());
    let writing = std::thread::spawn(move || {
        for n in 0..REQUESTS {
            let options =
                writer.request("OPTIONS", &uri, &format!("<{uri}>"), &format!("fast{n}"), 1).finish().unwrap();
            writer.say(&options);
        }
    });
    for n in 0..REQUESTS {
        let answer = line.hear().unwrap_or_else(|| panic!("closed after {n} answers\n{}", node.log()));
        assert_eq!(answer.status(), 200);
    }
    writing.join().unwrap();
    node.stop();
}
