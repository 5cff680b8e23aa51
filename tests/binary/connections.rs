//! Connections in masses: idle, slow, half-closed, reset (rows C05, C10, C12, C13 of the catalogue of abuse).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::line::{Line, connect};
use crate::node::{Node, PATIENCE, alone, holds};
use crate::papers::{dns, ip};
use crate::secure::{Desk, Stage};

/// C10: a thousand connections that say nothing, a byte now and then, or nothing more, beside a call.
#[test]
fn a_thousand_connections_that_never_bring_a_message() {
    const EACH: usize = 334;
    let _alone = alone();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(8_192), hard).unwrap();
    let mut node = Node::new(
        "[sip.streams]\nconnections_max = 1100\nconnections_per_address_max = 1100\nfirst_message = \"6s\"\n",
    );
    node.start();
    node.answering();
    node.honest_call();
    let before = node.descriptors();
    let mut streams: Vec<TcpStream> = (0..3 * EACH).map(|_| TcpStream::connect(node.sip()).unwrap()).collect();
    let began = Instant::now();
    for half in streams.iter().skip(2 * EACH) {
        half.shutdown(Shutdown::Write).unwrap();
    }
    holds("they are there", || node.metric("leaseline_sip_connections ") >= Some(2.0 * EACH as f64));
    // Calls by UDP do not notice, and descriptors are no shortage.
    node.honest_call();
    let message = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bKslow\r\n";
    for byte in message {
        if began.elapsed() > Duration::from_secs(12) {
            break;
        }
        for slow in streams.iter_mut().take(EACH) {
            // Closed after its time, whatever it still says.
            let _ = slow.write_all(&[*byte]);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    holds("all are closed", || node.metric("leaseline_sip_connections ") == Some(0.0));
    for mut stream in streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert_eq!(heard, b"", "nothing is said to them");
    }
    holds("their descriptors are free", || node.descriptors() <= before + 4);
    node.honest_call();
    node.stop();
}

/// C12: the caller's connection is reset behind its INVITE.
#[test]
fn callers_that_reset_their_connection_leave_nothing() {
    const CALLS: usize = 200;
    let mut node = Node::new("");
    // Ports rest after their call.
    node.extra = format!(
        "[sip.streams]\nconnections_per_address_max = 512\n\
         [media]\naddress = \"{}\"\nports = \"20000-21999\"\nthreads = 1\n",
        node.address
    );
    node.write_config();
    node.start();
    let socket = UdpSocket::bind(node.company()).unwrap();
    socket.connect(node.sip()).unwrap();
    let ringing = std::thread::spawn(move || {
        let mut company = Line::udp(socket);
        let mut cancelled = 0;
        while cancelled < CALLS {
            let message = company.hear().unwrap();
            match message.method_token() {
                "INVITE" if message.is_request() => company.refuses(&message, 180),
                "CANCEL" if message.is_request() => {
                    company.agrees(&message);
                    cancelled += 1;
                }
                _ => {}
            }
        }
    });
    for n in 0..CALLS {
        let stream = TcpStream::connect(node.sip()).unwrap();
        let here = stream.local_addr().unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        let mut caller = Line::tcp(stream, here);
        let (_, invite) = caller.invite(&node, &format!("reset{n}"));
        assert!(caller.say(&invite));
        caller.hear_status(100);
    }
    ringing.join().unwrap();
    for ended in node.wait_for_events("call.ended", CALLS) {
        assert_eq!(ended["reason"], "caller_unreachable", "{ended}");
    }
    holds("nothing is left", || node.live_calls() == 0 && node.metric("leaseline_sip_connections ") == Some(0.0));
    node.stop();
}

/// C05 on each transport: a stranger hears nothing, whatever it says.
#[test]
fn strangers_hear_nothing_on_any_transport() {
    const STRANGER: [u8; 4] = [127, 0, 0, 2];
    let mut stage = Stage::new("", |address| format!("\"sips:desk@{address}:5080\""));
    stage.node.start();
    let address = stage.node.address;
    let words = |method: &str, transport: &str| {
        format!(
            "{method} sip:100@{address} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.2;branch=z9hG4bKs\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=s\r\nTo: <sip:100@{address}>\r\nCall-ID: s\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let methods = ["OPTIONS", "REGISTER", "INVITE", "ACK", "BYE", "NONSENSE"];
    let udp = UdpSocket::bind((Ipv4Addr::from(STRANGER), 0)).unwrap();
    for method in methods {
        udp.send_to(words(method, "UDP").as_bytes(), stage.node.sip()).unwrap();
    }
    udp.send_to(&[0; 100], stage.node.sip()).unwrap();
    for (transport, port) in [("TCP", 5060), ("TLS", 5061), ("WS", 8081), ("WSS", 8443)] {
        for words in methods.map(|method| words(method, transport)).iter().map(String::as_str).chain(["\0\x01garbage"])
        {
            let mut stream = connect(STRANGER, (address, port).into());
            let _ = stream.write_all(words.as_bytes());
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard);
            // Whom a certificate could still make somebody is told by TLS alone that this is no TLS.
            let is_alert = heard.len() == 7 && heard.starts_with(&[0x15, 3]);
            assert!(heard.is_empty() || is_alert && matches!(transport, "TLS" | "WSS"), "{transport}: {heard:?}");
        }
    }
    holds("each datagram was counted", || {
        let counted = ["stranger", "not_sip", "banned"].map(|reason| {
            stage.node.metric(&format!("leaseline_sip_dropped_total{{reason=\"{reason}\"}}")).unwrap_or(0.0)
        });
        counted.iter().sum::<f64>() >= 7.0
    });
    udp.set_nonblocking(true).unwrap();
    assert!(udp.recv(&mut [0; 100]).is_err());
    stage.node.stop();
}

/// A name server that knows one address, for every name.
fn name_server(address: Ipv4Addr) -> SocketAddr {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    let here = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // The question alone: a name that ends with an empty label, type and class.
            let end = 12 + buffer[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let mut answer = buffer[..end].to_vec();
            // An answer, authoritative; one record when the question is of type A.
            let is_a = answer[end - 4..end - 2] == [0, 1];
            answer[2..4].copy_from_slice(&[0x84, 0]);
            answer[6..12].copy_from_slice(&[0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                answer.extend_from_slice(&address.octets());
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    here
}

/// C13: two names at one address are two connections, though one certificate would do for both (CVE-2020-15260).
#[test]
fn one_address_with_two_names_has_two_connections() {
    let mut stage = Stage::new("", |_| "\"sips:desk@one.example:5080\", \"sips:desk@two.example:5080\"".to_owned());
    let address = stage.node.address;
    stage.node.extra += &format!("[sip.dns]\nservers = [\"{}\"]\n", name_server(address));
    stage.node.write_config();
    stage.node.start();
    let desk = Desk::new(&stage, &[dns("one.example"), dns("two.example")]);
    let mut caller = Line::to(&stage.node);
    let (_, invite) = caller.invite(&stage.node, "first");
    assert!(caller.say(&invite));
    let mut one = desk.accept();
    let invited = one.hear_request("INVITE");
    assert!(invited.request_uri().contains("one.example"), "{}", invited.request_uri());
    one.refuses(&invited, 486);
    one.hear_request("ACK");
    let mut two = desk.accept();
    let invited = two.hear_request("INVITE");
    assert!(invited.request_uri().contains("two.example"), "{}", invited.request_uri());
    two.refuses(&invited, 603);
    two.hear_request("ACK");
    caller.hear_status(603);
    // The second call finds each name's own connection again.
    let serving = std::thread::spawn(move || {
        let invited = one.hear_request("INVITE");
        assert!(invited.request_uri().contains("one.example"));
        one.refuses(&invited, 486);
        let invited = two.hear_request("INVITE");
        assert!(invited.request_uri().contains("two.example"));
        two.refuses(&invited, 486);
        (one, two)
    });
    let (_, invite) = caller.invite(&stage.node, "second");
    assert!(caller.say(&invite));
    caller.hear_status(486);
    serving.join().unwrap();
    stage.node.stop();
}

/// C13: what the destination shows is too old.
#[test]
fn a_destination_with_an_expired_certificate_is_not_called() {
    let mut stage = Stage::new("", |address| format!("\"sips:desk@{address}:5080\""));
    stage.node.start();
    let expired = stage.ca.issue_until(&[ip(stage.node.address)], 2021);
    let desk = Desk::with(&stage, &expired);
    let mut caller = Line::to(&stage.node);
    let (_, invite) = caller.invite(&stage.node, "expired");
    let serving = std::thread::spawn(move || {
        let mut line = desk.accept();
        assert!(line.hear().is_none(), "nothing of the call comes through");
    });
    stage.fails("tls_certificate_expired", || assert!(caller.say(&invite)));
    caller.hear_status(502);
    serving.join().unwrap();
    stage.node.stop();
}
