//! SIP over TLS and WebSocket: calls, whose certificates count, and peers that stop half-way.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use leaseline::core::auth::digest::{Algorithm, Qop, Signed};
use leaseline::wire::sip::Message;
use leaseline::wire::sip::auth::AuthValue;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::frame::Framer;
use nix::sys::signal::Signal;
use rcgen::SanType;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::line::{Duplex, Line, Pipe, connect, sdp, until_closed};
use crate::node::{NUMBER, Node, PATIENCE, holds};
use crate::papers::{Authority, Paper, client_config, dns, ip, server_config, uri};

type Secure = StreamOwned<ClientConnection, TcpStream>;

/// TLS up to the end of the client's handshake.
fn secure(node: &Node, from: [u8; 4], port: u16, config: Arc<ClientConfig>) -> std::io::Result<Secure> {
    let stream = connect(from, SocketAddr::new(node.address.into(), port));
    let name = ServerName::from(std::net::IpAddr::from(node.address));
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn over_tls(node: &Node, from: [u8; 4], config: Arc<ClientConfig>) -> std::io::Result<Line> {
    let stream = secure(node, from, 5061, config)?;
    let here = stream.sock.local_addr().unwrap();
    Ok(Line { pipe: Pipe::Bytes(Box::new(stream), Framer::new()), here, transport: "TLS" })
}

/// The handshake's HTTP status when it is refused.
fn over_wss(node: &Node, config: Arc<ClientConfig>, headers: &[(&'static str, &str)]) -> Result<Line, u16> {
    over_wss_from(node, TRUSTED, config, headers)
}

fn over_wss_from(
    node: &Node,
    from: [u8; 4],
    config: Arc<ClientConfig>,
    headers: &[(&'static str, &str)],
) -> Result<Line, u16> {
    let stream = secure(node, from, 8443, config).unwrap();
    let here = stream.sock.local_addr().unwrap();
    let mut request = format!("wss://{}:8443/", node.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tungstenite::client(request, Box::new(stream) as Box<dyn Duplex>) {
        Ok((socket, _)) => Ok(Line { pipe: Pipe::WebSocket(Box::new(socket)), here, transport: "WSS" }),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

// ── the node and the company's phone ──

/// Of the trunk that is matched by its address.
const TRUSTED: [u8; 4] = [127, 0, 0, 1];
/// Of nobody.
const FOREIGN: [u8; 4] = [127, 0, 0, 2];
const ORIGIN: &str = "https://phone.example";

pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) ca: Authority,
}

impl Stage {
    /// Not yet running. `streams`: more keys of `[sip.streams]`; `destinations`: items of `forward_to`.
    pub(crate) fn new(streams: &str, destinations: impl Fn(Ipv4Addr) -> String) -> Stage {
        let (mut node, ca) = (Node::new(""), Authority::new());
        let address = node.address;
        ca.issue(&[ip(address), dns("sip.here.example")]).write(node.dir.path(), "own");
        fs::write(node.dir.path().join("ca.pem"), ca.pem()).unwrap();
        node.extra = format!(
            "[sip]\nlisten = [\"udp://{address}:5060\", \"tcp://{address}:5060\", \"tls://{address}:5061\", \
             \"ws://{address}:8081\", \"wss://{address}:8443\"]\n\
             [sip.tls]\ncertificate = \"own.pem\"\nkey = \"own.key\"\nca = \"ca.pem\"\nclient_certificates = \"optional\"\n\
             [sip.websocket]\norigins = [\"{ORIGIN}\"]\n\
             [sip.streams]\n{streams}\
             [[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1\"]\ncountry = \"GB\"\n\
             [[trunk]]\nname = \"secure\"\nmatch = [\"tls:sbc.carrier.example\"]\n\
             [[company]]\nname = \"acme\"\nforward_to = [{}]\n",
            destinations(address)
        );
        node.write_config();
        Stage { node, ca }
    }

    fn started(streams: &str) -> Stage {
        let mut stage = Stage::new(streams, |address| format!("\"sips:desk@{address}:5080\""));
        stage.node.start();
        stage
    }

    fn config(&self, names: &[SanType]) -> Arc<ClientConfig> {
        client_config(&self.ca, Some(&self.ca.issue(names)))
    }

    fn plain_config(&self) -> Arc<ClientConfig> {
        client_config(&self.ca, None)
    }

    fn failed(&self, reason: &str) -> f64 {
        let line = format!("leaseline_sip_connections_failed_total{{reason=\"{reason}\"}}");
        self.node.metric(&line).unwrap_or(0.0)
    }

    /// Exactly one more connection failed so.
    pub(crate) fn fails(&self, reason: &str, act: impl FnOnce()) {
        let before = self.failed(reason);
        act();
        holds(reason, || self.failed(reason) >= before + 1.0);
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.node.metric("leaseline_sip_connections ") == Some(0.0)
    }
}

/// The company's phone: TLS with this certificate, one connection.
pub(crate) struct Desk {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Desk {
    pub(crate) fn new(stage: &Stage, names: &[SanType]) -> Desk {
        Desk::with(stage, &stage.ca.issue(names))
    }

    pub(crate) fn with(stage: &Stage, shown: &Paper) -> Desk {
        Desk { listener: TcpListener::bind(stage.node.company()).unwrap(), config: server_config(shown) }
    }

    pub(crate) fn accept(&self) -> Line {
        let (stream, here) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), stream);
        Line { pipe: Pipe::Bytes(Box::new(stream), Framer::new()), here, transport: "TLS" }
    }
}

/// A call from `caller` to a company over TLS, answered; gives our target for the caller, To, and the company's line.
fn connected(stage: &Stage, desk: &Desk, caller: &mut Line, id: &str) -> (String, String, Line, Message) {
    let before = stage.node.events_of("call.answered").len();
    let (_, invite) = caller.invite(&stage.node, id);
    assert!(caller.say(&invite));
    let mut company = desk.accept();
    let invited = company.answers(&stage.node, &sips(&stage.node));
    let ok = caller.hear_status(200);
    let to = ok.header("To").unwrap().to_owned();
    let target = ok.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(caller.say(&caller.request("ACK", &target, &to, id, 1).finish().unwrap()));
    stage.node.wait_for_events("call.answered", before + 1);
    (target, to, company, invited)
}

fn sips(node: &Node) -> String {
    format!("sips:desk@{}", node.company())
}

// ── calls ──

#[test]
fn a_trunk_known_by_its_certificate_calls_a_company_over_tls() {
    let mut stage = Stage::started("");
    let desk = Desk::new(&stage, &[ip(stage.node.address)]);
    // As DNS name and as SIP URI, from an address that is nobody's.
    for (n, name) in [dns("sbc.carrier.example"), uri("sip:SBC.carrier.example")].into_iter().enumerate() {
        let id = format!("tls{n}");
        let mut caller = over_tls(&stage.node, FOREIGN, stage.config(&[dns("other.example"), name])).unwrap();
        let (target, to, mut company, invited) = connected(&stage, &desk, &mut caller, &id);
        assert!(target.contains("transport=tls"), "{target}");
        assert!(invited.header("Via").unwrap().starts_with("SIP/2.0/TLS "));
        let contact = invited.contact().unwrap().unwrap().uri.text.to_owned();
        assert_eq!(contact, format!("sips:{}:5061", stage.node.address), "as the Request-URI (RFC 5630)");
        assert!(caller.say(&caller.request("BYE", &target, &to, &id, 2).finish().unwrap()));
        caller.hear_status(200);
        let bye = company.hear_request("BYE");
        company.agrees(&bye);
    }
    for ended in stage.node.wait_for_events("call.ended", 2) {
        assert_eq!((&ended["outcome"], &ended["trunk"]), (&"answered".into(), &"secure".into()), "{ended}");
    }
    holds("no connection is left", || stage.is_quiet());
    stage.node.stop();
}

#[test]
fn a_browser_calls_over_wss_and_is_hung_up() {
    let mut stage = Stage::started("");
    let desk = Desk::new(&stage, &[ip(stage.node.address)]);
    let headers = [("Sec-WebSocket-Protocol", "sip"), ("Origin", ORIGIN)];
    let mut browser = over_wss(&stage.node, stage.plain_config(), &headers).unwrap();
    let (target, _, mut company, invited) = connected(&stage, &desk, &mut browser, "wss");
    assert!(target.contains("transport=ws"), "{target}");
    // The company hangs up: our BYE finds the browser on its own connection.
    let contact = invited.contact().unwrap().unwrap().uri.text.to_owned();
    let from = format!("{};tag=company", invited.header("To").unwrap());
    let here = company.here;
    let bye = Builder::request("BYE", &contact)
        .header("Via", &format!("SIP/2.0/TLS {here};branch=z9hG4bKdeskbye"))
        .header("Max-Forwards", "70")
        .header("From", &from)
        .header("To", invited.header("From").unwrap())
        .header("Call-ID", invited.header("Call-ID").unwrap())
        .header("CSeq", "1 BYE");
    assert!(company.say(&bye.finish().unwrap()));
    company.hear_status(200);
    let bye = browser.hear_request("BYE");
    assert!(bye.header("Via").unwrap().starts_with("SIP/2.0/WSS "));
    browser.agrees(&bye);
    let ended = stage.node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"answered".into(), &"company_hung_up".into()), "{ended}");
    // Keep-alives of both layers.
    let Pipe::WebSocket(socket) = &mut browser.pipe else { panic!("a browser") };
    socket.send(tungstenite::Message::Ping("x".into())).unwrap();
    assert_eq!(socket.read().unwrap(), tungstenite::Message::Pong("x".into()));
    socket.send(tungstenite::Message::text("\r\n\r\n")).unwrap();
    assert_eq!(socket.read().unwrap(), tungstenite::Message::text("\r\n"));
    stage.node.stop();
}

/// The Authorization for an INVITE that answers the first challenge.
fn authorization(refusal: &Message, uri: &str, password: &str) -> String {
    let challenge = AuthValue::read(refusal.header("WWW-Authenticate").unwrap()).unwrap().remove(0);
    let [realm, nonce, name] = ["realm", "nonce", "algorithm"].map(|name| challenge.param(name).unwrap());
    let algorithm = Algorithm::parse(name).unwrap();
    let key = algorithm.key("office", realm, password, nonce, "c");
    let signed = Signed { method: "INVITE", uri, body: b"", nonce, nc: "00000001", cnonce: "c", qop: Qop::Auth };
    let response = algorithm.response(&key, &signed);
    format!(
        "Digest username=\"office\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={name}, qop=auth, nc=00000001, cnonce=\"c\""
    )
}

#[test]
fn a_browser_of_nobodys_address_logs_in_over_wss() {
    let mut stage = Stage::new("", |address| format!("\"sips:desk@{address}:5080\""));
    stage.node.extra += "[[trunk]]\nname = \"office\"\ncountry = \"GB\"\n\
                         [trunk.login]\nusers = [{ user = \"office\", password = \"correct horse\" }]\n";
    stage.node.write_config();
    stage.node.start();
    let desk = Desk::new(&stage, &[ip(stage.node.address)]);
    let headers = [("Sec-WebSocket-Protocol", "sip"), ("Origin", ORIGIN)];
    let mut browser = over_wss_from(&stage.node, FOREIGN, stage.plain_config(), &headers).unwrap();
    let uri = format!("sip:{NUMBER}@{}", stage.node.sip());
    let mut cseq = 0;
    let mut invite = |browser: &mut Line, login: Option<&str>| {
        cseq += 1;
        let mut invite = browser.request("INVITE", &uri, &format!("<{uri}>"), "login", cseq);
        if let Some(login) = login {
            invite = invite.header("Authorization", login);
        }
        assert!(browser.say(&invite.body("application/sdp", sdp(&stage.node).as_bytes()).finish().unwrap()));
    };
    invite(&mut browser, None);
    let refusal = browser.hear_status(401);
    assert_eq!(refusal.headers("WWW-Authenticate").count(), 3);
    invite(&mut browser, Some(&authorization(&refusal, &uri, "wrong")));
    let refusal = browser.hear_status(401);
    invite(&mut browser, Some(&authorization(&refusal, &uri, "correct horse")));
    let mut company = desk.accept();
    company.answers(&stage.node, &sips(&stage.node));
    let ok = browser.hear_status(200);
    let to = ok.header("To").unwrap().to_owned();
    let target = ok.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(browser.say(&browser.request("ACK", &target, &to, "login", 3).finish().unwrap()));
    stage.node.wait_for_events("call.answered", 1);
    assert!(browser.say(&browser.request("BYE", &target, &to, "login", 4).finish().unwrap()));
    browser.hear_status(200);
    let bye = company.hear_request("BYE");
    company.agrees(&bye);
    let ended = stage.node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["outcome"], &ended["trunk"]), (&"answered".into(), &"office".into()), "{ended}");
    stage.node.stop();
}

// ── who may not ──

#[test]
fn certificates_that_do_not_count() {
    let mut stage = Stage::started("");
    let sbc = || [dns("sbc.carrier.example")];
    let refused = |config: Arc<ClientConfig>| {
        // With TLS 1.3 the client's handshake is over before the server has seen its certificate.
        let asks = over_tls(&stage.node, FOREIGN, config).map(|mut line| line.asks_and_is_answered(&stage.node, "x"));
        assert!(!matches!(asks, Ok(true)));
    };
    let other = Authority::new();
    let expired = stage.ca.issue_until(&sbc(), 2021);
    stage.fails("tls_nobodys_certificate", || refused(stage.config(&[dns("other.example")])));
    stage.fails("tls_nobodys_certificate", || refused(stage.config(&[dns("*.carrier.example")])));
    stage.fails("tls_nobodys_certificate", || refused(stage.config(&[uri("sip:x@sbc.carrier.example")])));
    stage.fails("tls_nobodys_certificate", || refused(stage.plain_config()));
    stage.fails("tls_certificate_expired", || refused(client_config(&stage.ca, Some(&expired))));
    stage.fails("tls_unknown_authority", || refused(client_config(&stage.ca, Some(&other.issue(&sbc())))));
    // Plain TCP shows no certificate: closed without a word.
    stage.fails("stranger", || {
        let mut heard = Vec::new();
        let _ = connect(FOREIGN, stage.node.sip()).read_to_end(&mut heard);
        assert_eq!(heard, b"");
    });
    // Whoever is known by the address needs none.
    let mut known = over_tls(&stage.node, TRUSTED, stage.plain_config()).unwrap();
    assert!(known.asks_and_is_answered(&stage.node, "known"));
    let mut named = over_tls(&stage.node, FOREIGN, stage.config(&sbc())).unwrap();
    assert!(named.asks_and_is_answered(&stage.node, "named"));
    stage.node.stop();
}

#[test]
fn a_destination_must_show_the_name_that_was_called() {
    // The first destination's certificate is for somebody else; the second is plain.
    let mut stage =
        Stage::new("", |address| format!("\"sips:desk@{address}:5080\", \"sip:desk@{address}:5090;transport=tcp\""));
    stage.node.start();
    let desk = Desk::new(&stage, &[ip([127, 9, 9, 9].into()), dns("pbx.example")]);
    let second = TcpListener::bind((stage.node.address, 5090)).unwrap();
    let mut caller = over_tls(&stage.node, TRUSTED, stage.plain_config()).unwrap();
    let (_, invite) = caller.invite(&stage.node, "mismatch");
    let serving = std::thread::spawn(move || {
        let mut line = desk.accept();
        let mut heard = [0; 64];
        let Pipe::Bytes(stream, _) = &mut line.pipe else { panic!("TLS") };
        // Nothing of the call comes through.
        assert!(!matches!(stream.read(&mut heard), Ok(1..)));
    });
    stage.fails("tls_name_mismatch", || assert!(caller.say(&invite)));
    serving.join().unwrap();
    let (stream, here) = second.accept().unwrap();
    let mut line = Line::tcp(stream, here);
    let invited = line.hear_request("INVITE");
    let busy = Builder::response_to(&invited, 486, None, Some("b"), here).finish().unwrap();
    assert!(line.say(&busy));
    caller.hear_status(486);
    drop((line, second));
    // Without the second one the event says why.
    let (_, invite) = caller.invite(&stage.node, "mismatch2");
    let desk = Desk::new(&stage, &[dns("pbx.example")]);
    let serving = std::thread::spawn(move || {
        let mut line = desk.accept();
        let Pipe::Bytes(stream, _) = &mut line.pipe else { panic!("TLS") };
        let _ = stream.read(&mut [0; 64]);
        let (stream, _) = desk.listener.accept().unwrap();
        drop(stream);
    });
    assert!(caller.say(&invite));
    let failed = loop {
        let message = caller.hear().unwrap();
        if message.status() >= 300 {
            break message.status();
        }
    };
    assert_eq!(failed, 502);
    drop(TcpStream::connect(stage.node.company()));
    serving.join().unwrap();
    stage.node.stop();
}

#[test]
fn websocket_handshakes_that_are_refused() {
    let mut stage = Stage::started("");
    let sip = ("Sec-WebSocket-Protocol", "sip");
    let foreign = ("Origin", "https://evil.example");
    let attempt = |headers: &[(&'static str, &str)]| over_wss(&stage.node, stage.plain_config(), headers).err();
    stage.fails("websocket_foreign_origin", || assert_eq!(attempt(&[sip, foreign]), Some(403)));
    stage.fails("websocket_no_subprotocol", || assert_eq!(attempt(&[("Origin", ORIGIN)]), Some(400)));
    stage.fails("websocket_no_subprotocol", || {
        assert_eq!(attempt(&[("Sec-WebSocket-Protocol", "xmpp, sipx")]), Some(400));
    });
    // A program that sends no Origin, and offers more.
    let mut line = over_wss(&stage.node, stage.plain_config(), &[("Sec-WebSocket-Protocol", "xmpp, SIP")]).unwrap();
    assert!(line.asks_and_is_answered(&stage.node, "program"));
    stage.fails("websocket_bad_handshake", || {
        let mut plain = connect(TRUSTED, (stage.node.address, 8081).into());
        plain.write_all(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n").unwrap();
        let _ = plain.read_to_end(&mut Vec::new());
    });
    stage.node.stop();
}

// ── peers that stop half-way ──

#[test]
fn handshakes_and_first_messages_have_a_deadline() {
    let mut stage = Stage::started("first_message = \"700ms\"\n");
    let node = &stage.node;
    let at = |port: u16| SocketAddr::from((node.address, port));
    stage.fails("handshake_timeout", || until_closed(connect(TRUSTED, at(5061))));
    stage.fails("handshake_timeout", || {
        // A hello, byte by byte, never whole.
        let mut stream = connect(TRUSTED, at(5061));
        let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
        for byte in hello.iter().chain(&[0; 200]) {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        until_closed(stream);
    });
    stage.fails("handshake_timeout", || {
        let mut stream = connect(TRUSTED, at(8081));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
        until_closed(stream);
    });
    // Through the handshake, and then nothing, or half a message.
    let mut silent = secure(node, TRUSTED, 5061, stage.plain_config()).unwrap();
    silent.flush().unwrap();
    until_closed(silent);
    let mut half = secure(node, TRUSTED, 5061, stage.plain_config()).unwrap();
    half.write_all(b"OPTIONS sip:x SIP/2.0\r\nVia: ").unwrap();
    until_closed(half);
    let headers = [("Sec-WebSocket-Protocol", "sip")];
    let Pipe::WebSocket(mut socket) = over_wss(node, stage.plain_config(), &headers).unwrap().pipe else { panic!() };
    while socket.read().is_ok() {}
    holds("no connection is left", || stage.is_quiet());
    stage.node.stop();
}

#[test]
fn garbage_inside_closes() {
    let mut stage = Stage::started("");
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 100], &[b'A'; 70_000]] {
        let mut stream = secure(&stage.node, TRUSTED, 5061, stage.plain_config()).unwrap();
        let _ = stream.write_all(garbage);
        until_closed(stream);
    }
    // Behind the handshake, but not TLS any more.
    let mut stream = secure(&stage.node, TRUSTED, 5061, stage.plain_config()).unwrap();
    stream.sock.write_all(&[b'x'; 100]).unwrap();
    until_closed(&mut stream.sock);
    // No TLS at all.
    stage.fails("tls_failed", || {
        let mut stream = connect(TRUSTED, (stage.node.address, 5061).into());
        stream.write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n").unwrap();
        until_closed(stream);
    });
    // A message larger than any.
    let headers = [("Sec-WebSocket-Protocol", "sip")];
    let mut line = over_wss(&stage.node, stage.plain_config(), &headers).unwrap();
    line.say(&[b'A'; 100_000]);
    assert!(line.hear().is_none());
    let mut known = over_tls(&stage.node, TRUSTED, stage.plain_config()).unwrap();
    assert!(known.asks_and_is_answered(&stage.node, "after"));
    drop(known);
    holds("no connection is left", || stage.is_quiet());
    stage.node.stop();
}

// ── reload ──

#[test]
fn certificates_are_read_again() {
    let mut stage = Stage::started("");
    let shown = |stage: &Stage| {
        let stream = secure(&stage.node, TRUSTED, 5061, stage.plain_config()).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone()
    };
    let first = shown(&stage);
    let mut kept = over_tls(&stage.node, TRUSTED, stage.plain_config()).unwrap();
    let expired = stage.ca.issue_until(&[ip(stage.node.address)], 2021);
    expired.write(stage.node.dir.path(), "own");
    stage.node.signal(Signal::SIGHUP);
    holds("it is refused", || stage.node.log().contains("own.pem has expired on 2021-01-01"));
    assert_eq!(shown(&stage), first, "the old one stays");
    stage.ca.issue(&[ip(stage.node.address)]).write(stage.node.dir.path(), "own");
    stage.node.signal(Signal::SIGHUP);
    holds("it is shown", || shown(&stage) != first);
    assert!(kept.asks_and_is_answered(&stage.node, "kept"), "connections stay");
    stage.node.stop();
}
