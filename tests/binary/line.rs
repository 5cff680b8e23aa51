//! A peer over TCP, TLS, WebSocket or UDP, in whole messages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use bytes::Bytes;
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::frame::{Frame, Framer};
use tokio_tungstenite::tungstenite::{self, WebSocket};

use crate::node::{NUMBER, Node, PATIENCE};

pub(crate) trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

pub(crate) enum Pipe {
    Bytes(Box<dyn Duplex>, Framer),
    WebSocket(Box<WebSocket<Box<dyn Duplex>>>),
    Datagrams(UdpSocket),
}

/// A connection that speaks whole messages.
pub(crate) struct Line {
    pub(crate) pipe: Pipe,
    /// Of the peer, as Via and Contact say it.
    pub(crate) here: SocketAddr,
    /// In Via.
    pub(crate) transport: &'static str,
}

impl Line {
    pub(crate) fn tcp(stream: TcpStream, here: SocketAddr) -> Line {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Line { pipe: Pipe::Bytes(Box::new(stream), Framer::new()), here, transport: "TCP" }
    }

    /// Connects to a node from an address of a trunk.
    pub(crate) fn to(node: &Node) -> Line {
        let stream = TcpStream::connect(node.sip()).unwrap();
        let here = stream.local_addr().unwrap();
        Line::tcp(stream, here)
    }

    /// The next connection to this phone.
    pub(crate) fn accept(listener: &TcpListener) -> Line {
        let (stream, here) = listener.accept().unwrap();
        Line::tcp(stream, here)
    }

    /// Datagrams between this socket, which is connected, and its peer.
    pub(crate) fn udp(socket: UdpSocket) -> Line {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let here = socket.local_addr().unwrap();
        Line { pipe: Pipe::Datagrams(socket), here, transport: "UDP" }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> bool {
        match &mut self.pipe {
            Pipe::Bytes(stream, _) => stream.write_all(bytes).and_then(|()| stream.flush()).is_ok(),
            Pipe::WebSocket(socket) => {
                socket.send(tungstenite::Message::text(std::str::from_utf8(bytes).unwrap())).is_ok()
            }
            Pipe::Datagrams(socket) => socket.send(bytes).is_ok(),
        }
    }

    /// The next message; `None` when the other side closed.
    pub(crate) fn hear(&mut self) -> Option<Message> {
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
            Pipe::Datagrams(socket) => {
                let mut buffer = [0; 65_535];
                let length = socket.recv(&mut buffer).expect("something comes");
                Bytes::copy_from_slice(&buffer[..length])
            }
        };
        Some(Message::parse(bytes).unwrap())
    }

    pub(crate) fn hear_status(&mut self, status: u16) -> Message {
        loop {
            let message = self.hear().expect("open");
            if message.status() == status {
                return message;
            }
        }
    }

    pub(crate) fn hear_request(&mut self, method: &str) -> Message {
        loop {
            let message = self.hear().expect("open");
            if message.is_request() && message.method_token() == method {
                return message;
            }
        }
    }

    /// Answers the next INVITE; gives it.
    pub(crate) fn answers(&mut self, node: &Node, contact: &str) -> Message {
        let invited = self.hear_request("INVITE");
        self.accepts(node, &invited, contact);
        self.hear_request("ACK");
        invited
    }

    /// 200 with a description.
    pub(crate) fn accepts(&mut self, node: &Node, invited: &Message, contact: &str) {
        let ok = Builder::response_to(invited, 200, None, Some("company"), self.here)
            .header("Contact", &format!("<{contact}>"))
            .body("application/sdp", sdp(node).as_bytes());
        assert!(self.say(&ok.finish().unwrap()));
    }

    /// 200 without.
    pub(crate) fn agrees(&mut self, request: &Message) {
        self.refuses(request, 200);
    }

    /// Any status, without a description.
    pub(crate) fn refuses(&mut self, request: &Message, status: u16) {
        let answer = Builder::response_to(request, status, None, Some("company"), self.here).finish().unwrap();
        assert!(self.say(&answer));
    }

    pub(crate) fn is_browser(&self) -> bool {
        matches!(self.pipe, Pipe::WebSocket(_))
    }

    pub(crate) fn request(&self, method: &str, uri: &str, to: &str, id: &str, cseq: u32) -> Builder {
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

    pub(crate) fn invite(&self, node: &Node, id: &str) -> (String, Vec<u8>) {
        let uri = format!("sip:{NUMBER}@{}", node.sip());
        let invite = self.request("INVITE", &uri, &format!("<{uri}>"), id, 1);
        (uri, invite.body("application/sdp", sdp(node).as_bytes()).finish().unwrap().to_vec())
    }

    pub(crate) fn asks_and_is_answered(&mut self, node: &Node, id: &str) -> bool {
        let uri = format!("sip:{}", node.sip());
        let options = self.request("OPTIONS", &uri, &format!("<{uri}>"), id, 1).finish().unwrap();
        self.say(&options) && self.hear().is_some_and(|answer| answer.status() == 200)
    }
}

pub(crate) fn sdp(node: &Node) -> String {
    let ip = node.address;
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n")
}

/// A TCP connection from this address.
pub(crate) fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the other side closes.
pub(crate) fn until_closed(mut stream: impl Read) {
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
