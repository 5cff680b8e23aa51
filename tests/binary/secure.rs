//! SIP over TLS and WebSocket: calls, whose certificates count, and peers that stop half-way.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leaseline::core::auth::digest::{Algorithm, Qop, Signed};
use leaseline::wire::sip::Message;
use leaseline::wire::sip::auth::AuthValue;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::frame::{Frame, Framer};
use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, WebSocket};

use crate::node::{NUMBER, Node, PATIENCE, holds};

// ── certificates ──

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Paper {
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Two of one name would be one that lies.
        params.distinguished_name.push(DnType::CommonName, format!("{:?}", Instant::now()));
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate of its own making.
    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> String {
        params.clone().signed_by(key, &self.0).unwrap().pem()
    }

    pub(crate) fn pem(&self) -> String {
        let certificate: &rcgen::Certificate = self.0.as_ref();
        certificate.pem()
    }

    pub(crate) fn issue(&self, names: &[SanType]) -> Paper {
        self.issue_until(names, 2040)
    }

    fn issue_until(&self, names: &[SanType], year: i32) -> Paper {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Paper { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

impl Paper {
    fn write(&self, dir: &Path, name: &str) {
        fs::write(dir.join(format!("{name}.pem")), &self.certificate).unwrap();
        fs::write(dir.join(format!("{name}.key")), &self.key).unwrap();
    }

    pub(crate) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(Result::unwrap).collect();
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn ip(address: Ipv4Addr) -> SanType {
    SanType::IpAddress(address.into())
}

fn roots(ca: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    roots
}

fn client_config(ca: &Authority, own: Option<&Paper>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots(ca));
    Arc::new(match own.map(Paper::parts) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    })
}

// ── connections ──

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

enum Pipe {
    Bytes(Box<dyn Duplex>, Framer),
    WebSocket(Box<WebSocket<Box<dyn Duplex>>>),
}

/// A connection that speaks whole messages.
struct Line {
    pipe: Pipe,
    here: SocketAddr,
    /// In Via.
    transport: &'static str,
}

impl Line {
    fn say(&mut self, bytes: &[u8]) -> bool {
        match &mut self.pipe {
            Pipe::Bytes(stream, _) => stream.write_all(bytes).and_then(|()| stream.flush()).is_ok(),
            Pipe::WebSocket(socket) => {
                socket.send(tungstenite::Message::text(std::str::from_utf8(bytes).unwrap())).is_ok()
            }
        }
    }

    /// The next message; `None` when the other side closed.
    fn hear(&mut self) -> Option<Message> {
        let bytes = match &mut self.pipe {
            Pipe::Bytes(stream, framer) => loop {
                match framer.next().expect("whole messages") {
                    Some(Frame::Message(bytes)) => break bytes,
                    Some(Frame::Ping | Frame::Pong) => {}
                    None => {
                        let mut buffer = [0; 8_192];
                        match stream.read(&mut buffer) {
                            Ok(0) => return None,
                            Ok(length) => framer.push(&buffer[..length]),
                            Err(error) => {
                                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "nothing comes");
                                return None;
                            }
                        }
                    }
                }
            },
            Pipe::WebSocket(socket) => loop {
                match socket.read() {
                    Ok(tungstenite::Message::Text(text)) => break text.into(),
                    Ok(tungstenite::Message::Binary(bytes)) => break bytes,
                    Ok(_) => {}
                    Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        panic!("nothing comes")
                    }
                    Err(_) => return None,
                }
            },
        };
        Some(Message::parse(bytes).unwrap())
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

    fn is_browser(&self) -> bool {
        matches!(self.pipe, Pipe::WebSocket(_))
    }

    fn request(&self, method: &str, uri: &str, to: &str, id: &str, cseq: u32) -> Builder {
        let Line { here, transport, .. } = self;
        // A browser knows no address of its own (RFC 7118 §5.1).
        let (host, contact) = if self.is_browser() {
            ("df7jal23ls0d.invalid".to_owned(), "<sip:phone@df7jal23ls0d.invalid;transport=ws>".to_owned())
        } else {
            (here.to_string(), format!("<sip:phone@{here};transport={}>", transport.to_ascii_lowercase()))
        };
        Builder::request(method, uri)
            .header("Via", &format!("SIP/2.0/{transport} {host};branch=z9hG4bK{id}{method}{cseq}"))
            .header("Max-Forwards", "70")
            .header("From", &format!("<sip:+442079460990@{host}>;tag={id}"))
            .header("To", to)
            .header("Call-ID", id)
            .header("CSeq", &format!("{cseq} {method}"))
            .header("Contact", &contact)
    }

    fn invite(&self, node: &Node, id: &str) -> (String, Vec<u8>) {
        let uri = format!("sip:{NUMBER}@{}", node.sip());
        let invite = self.request("INVITE", &uri, &format!("<{uri}>"), id, 1);
        (uri, invite.body("application/sdp", sdp(node).as_bytes()).finish().unwrap().to_vec())
    }

    fn asks_and_is_answered(&mut self, node: &Node, id: &str) -> bool {
        let uri = format!("sip:{}", node.sip());
        let options = self.request("OPTIONS", &uri, &format!("<{uri}>"), id, 1).finish().unwrap();
        self.say(&options) && self.hear().is_some_and(|answer| answer.status() == 200)
    }
}

fn sdp(node: &Node) -> String {
    let ip = node.address;
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n")
}

/// A TCP connection from this address.
fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

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

struct Stage {
    node: Node,
    ca: Authority,
}

impl Stage {
    /// Not yet running. `streams`: more keys of `[sip.streams]`; `destinations`: items of `forward_to`.
    fn new(streams: &str, destinations: impl Fn(Ipv4Addr) -> String) -> Stage {
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
    fn fails(&self, reason: &str, act: impl FnOnce()) {
        let before = self.failed(reason);
        act();
        holds(reason, || self.failed(reason) >= before + 1.0);
    }

    fn is_quiet(&self) -> bool {
        self.node.metric("leaseline_sip_connections ") == Some(0.0)
    }
}

/// The company's phone: TLS with this certificate, one connection.
struct Desk {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Desk {
    fn new(stage: &Stage, names: &[SanType]) -> Desk {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = stage.ca.issue(names).parts();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Desk { listener: TcpListener::bind(stage.node.company()).unwrap(), config: Arc::new(config) }
    }

    fn accept(&self) -> Line {
        let (stream, here) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), stream);
        Line { pipe: Pipe::Bytes(Box::new(stream), Framer::new()), here, transport: "TLS" }
    }
}

/// Answers the next INVITE of this line.
fn answer(node: &Node, company: &mut Line) -> Message {
    let invited = company.hear_request("INVITE");
    let ok = Builder::response_to(&invited, 200, None, Some("company"), company.here)
        .header("Contact", &format!("<sips:desk@{}>", node.company()))
        .body("application/sdp", sdp(node).as_bytes());
    assert!(company.say(&ok.finish().unwrap()));
    company.hear_request("ACK");
    invited
}

/// A call from `caller` to a company over TLS, answered; gives our target for the caller, To, and the company's line.
fn connected(stage: &Stage, desk: &Desk, caller: &mut Line, id: &str) -> (String, String, Line, Message) {
    let before = stage.node.events_of("call.answered").len();
    let (_, invite) = caller.invite(&stage.node, id);
    assert!(caller.say(&invite));
    let mut company = desk.accept();
    let invited = answer(&stage.node, &mut company);
    let ok = caller.hear_status(200);
    let to = ok.header("To").unwrap().to_owned();
    let target = ok.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(caller.say(&caller.request("ACK", &target, &to, id, 1).finish().unwrap()));
    stage.node.wait_for_events("call.answered", before + 1);
    (target, to, company, invited)
}

fn ok_to(line: &mut Line, request: &Message) {
    let ok = Builder::response_to(request, 200, None, None, line.here).finish().unwrap();
    assert!(line.say(&ok));
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
        ok_to(&mut company, &bye);
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
    ok_to(&mut browser, &bye);
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
    answer(&stage.node, &mut company);
    let ok = browser.hear_status(200);
    let to = ok.header("To").unwrap().to_owned();
    let target = ok.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(browser.say(&browser.request("ACK", &target, &to, "login", 3).finish().unwrap()));
    stage.node.wait_for_events("call.answered", 1);
    assert!(browser.say(&browser.request("BYE", &target, &to, "login", 4).finish().unwrap()));
    browser.hear_status(200);
    let bye = company.hear_request("BYE");
    ok_to(&mut company, &bye);
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
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = Line { pipe: Pipe::Bytes(Box::new(stream), Framer::new()), here, transport: "TCP" };
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

/// Reads until the other side closes.
fn until_closed(mut stream: impl Read) {
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
                return;
            }
        }
    }
}

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
