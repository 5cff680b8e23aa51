//! Copies of SIP messages to a HEP capture server (HOMER). A datagram each, sent from the signalling thread without
//! waiting: a server that is away costs nothing but the copies.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::config::HepServer;
use crate::core::agent::Flow;
use crate::ids::CallId;
use crate::io::signalling::Seen;
use crate::time::Wall;
use crate::wire::hep::Hep;

/// Sends to one server.
#[derive(Debug)]
pub struct HepSender {
    socket: UdpSocket,
    server: HepServer,
    sent: AtomicU64,
    lost: AtomicU64,
}

impl HepSender {
    /// Opens the socket.
    ///
    /// # Errors
    /// The system gives none, or has no way to the server's address.
    pub fn open(server: &HepServer) -> io::Result<HepSender> {
        let any: SocketAddr = if server.address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(server.address)?;
        Ok(HepSender { socket, server: server.clone(), sent: AtomicU64::new(0), lost: AtomicU64::new(0) })
    }

    /// One message as it came or went; `call` ties the legs of a call together.
    pub fn send(&self, at: Wall, seen: Seen, flow: &Flow, bytes: &Bytes, call: Option<CallId>) {
        let (source, destination) = match seen {
            Seen::Received => (flow.remote, flow.local),
            Seen::Sent => (flow.local, flow.remote),
        };
        let correlation = call.map(|call| call.to_string());
        let hep = Hep {
            source,
            destination,
            protocol: if flow.transport == rsip::Transport::Udp { 17 } else { 6 },
            at: at.0,
            capture_id: self.server.capture_id,
            password: self.server.password.as_ref().map(|password| &*password.0),
            correlation: correlation.as_deref(),
            payload: bytes,
        };
        let sent = hep.encode().is_some_and(|packet| self.socket.send(&packet).is_ok());
        let counter = if sent { &self.sent } else { &self.lost };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages sent, and messages that could not be.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_with_its_call() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let address = server.local_addr().unwrap();
        let sender = HepSender::open(&HepServer { address, capture_id: 7, password: None }).unwrap();
        let flow = Flow {
            transport: rsip::Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.2:5062".parse().unwrap(),
            connection: 0,
            name: None,
        };
        let call = CallId(9);
        sender.send(Wall(1_000_000), Seen::Received, &flow, &Bytes::from_static(b"BYE"), Some(call));
        let mut packet = [0; 1024];
        let length = server.recv(&mut packet).unwrap();
        let hep = &packet[..length];
        let has = |part: &[u8]| hep.windows(part.len()).any(|window| window == part);
        assert!(hep.starts_with(b"HEP3") && has(call.to_string().as_bytes()) && has(b"BYE"));
        // The sender of the message is the source.
        assert!(has(&[0, 0, 0, 3, 0, 10, 192, 0, 2, 2]) && has(&[0, 0, 0, 4, 0, 10, 192, 0, 2, 1]));
        assert_eq!(sender.counts(), (1, 0));
    }
}
