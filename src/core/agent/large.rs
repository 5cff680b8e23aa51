//! Requests that are too large for a datagram go over TCP to the same place (RFC 3261 §18.1.1), and come back to UDP
//! when nobody takes a connection there.
//!
//! Only the way of one request changes, and its Via with it: the dialog stays where it was, so that the next request is
//! judged by its own size. Whoever refused a connection is remembered for [`limits::LARGE_REFUSED`], or each call would
//! wait for the refusal again.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use foldhash::fast::FixedState;
use rsip::{Method, Transport};

use super::transactions::{ClientEntry, ClientMachine};
use super::{Agent, ClientTxn, Failure, Flow, LegId};
use crate::config::LargeRequests;
use crate::core::transaction::{client, client_invite};
use crate::limits;
use crate::time::Mono;

/// A request as it was before it was found too large: for UDP.
pub(super) type Datagram = Box<(Flow, Bytes)>;

/// Where large requests leave from, and where they cannot go.
#[derive(Debug, Default)]
pub(super) struct Large {
    /// Our TCP listeners.
    listeners: Vec<SocketAddr>,
    /// Who takes no connection, and until when that is believed.
    refused: HashMap<SocketAddr, Mono, FixedState>,
}

impl Large {
    /// Our end of a connection to that place: the listener at the same address, else the first of its IP version,
    /// because the answer comes there when the connection is gone (§18.2.2). `None`: there is none, or the place takes
    /// no connections.
    fn local(&self, flow: &Flow) -> Option<SocketAddr> {
        if self.refused.contains_key(&flow.remote) {
            return None;
        }
        let fitting = || self.listeners.iter().filter(|listener| listener.is_ipv4() == flow.remote.is_ipv4());
        fitting().find(|listener| listener.ip() == flow.local.ip()).or_else(|| fitting().next()).copied()
    }

    fn note_refused(&mut self, now: Mono, remote: SocketAddr) {
        self.forget_old(now);
        if self.refused.len() >= limits::LARGE_REFUSALS {
            let oldest = self.refused.iter().min_by_key(|(_, until)| **until).map(|(remote, _)| *remote);
            oldest.and_then(|oldest| self.refused.remove(&oldest));
        }
        self.refused.insert(remote, now + limits::LARGE_REFUSED);
    }

    fn forget_old(&mut self, now: Mono) {
        self.refused.retain(|_, until| *until > now);
    }
}

impl Agent {
    /// An agent whose large requests may leave over TCP, from these listeners of ours. Without any they stay on UDP.
    #[must_use]
    pub fn with_tcp(mut self, listeners: Vec<SocketAddr>) -> Agent {
        self.large.listeners = listeners;
        self
    }

    /// What large requests of this leg do.
    pub fn set_large(&mut self, leg: LegId, large: LargeRequests) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.large = large;
        }
    }

    /// The same request over TCP, when it is too large for UDP and may go there.
    pub(super) fn over_tcp(
        &mut self,
        now: Option<Mono>,
        leg: LegId,
        flow: Flow,
        request: &Bytes,
    ) -> Option<(Flow, Bytes)> {
        if request.len() <= limits::SIP_DATAGRAM || flow.transport != Transport::Udp {
            return None;
        }
        if let Some(now) = now {
            self.large.forget_old(now);
        }
        self.legs.get(&leg).filter(|leg| leg.large == LargeRequests::Tcp)?;
        let local = self.large.local(&flow)?;
        let flow = Flow { transport: Transport::Tcp, local, connection: 0, ..flow };
        let request = sent_by_tcp(request, &self.config.hosts.of(Transport::Tcp, local))?;
        Some((flow, request))
    }

    /// An ACK of a 2xx. It has no transaction: when its connection is refused, the next copy of the 2xx gets it by UDP.
    pub(super) fn transmit_ack(&mut self, leg: LegId, flow: Flow, bytes: Bytes) {
        match self.over_tcp(None, leg, flow, &bytes) {
            Some((flow, bytes)) => self.transmit(flow, bytes),
            None => self.transmit(flow, bytes),
        }
    }

    /// Remembers who takes no connections.
    pub(super) fn note_refused(&mut self, now: Mono, failure: &Failure) {
        if failure.refused && failure.transport == Transport::Tcp && !self.large.listeners.is_empty() {
            self.large.note_refused(now, failure.remote);
        }
    }

    /// A large request whose connection failed before anything was heard goes out by UDP after all, in the same
    /// transaction: whoever did get it takes it for a copy. `false`: it is none, or was heard.
    pub(super) fn fall_back(&mut self, now: Mono, txn: ClientTxn) -> bool {
        let Some(entry) = self.clients.get_mut(&txn).filter(|entry| entry.is_unheard()) else { return false };
        let Some(datagram) = entry.datagram.take() else { return false };
        let before = entry.flow;
        (entry.flow, entry.request) = *datagram;
        let mut actions = std::mem::take(&mut self.actions);
        entry.machine = match entry.method {
            Method::Invite => ClientMachine::Invite(client_invite::ClientInvite::start(now, false, &mut actions)),
            _ => ClientMachine::Other(client::Client::start(now, false, &mut actions)),
        };
        actions.clear();
        self.actions = actions;
        let (flow, request) = (entry.flow, entry.request.clone());
        self.by_peer.remove(&(before.transport as u8, before.remote, txn));
        self.by_peer.insert((flow.transport as u8, flow.remote, txn));
        self.transmit(flow, request);
        self.arm_client(txn);
        true
    }
}

impl ClientEntry {
    /// The request as it was written, and where it was to go, before its size was looked at.
    pub(super) fn as_written(&self) -> (Flow, Bytes) {
        let request = self.datagram.as_ref().map_or(&self.request, |datagram| &datagram.1);
        (self.written_for(), request.clone())
    }

    /// Where it was to go before its size was looked at.
    pub(super) fn written_for(&self) -> Flow {
        self.datagram.as_ref().map_or(self.flow, |datagram| datagram.0)
    }

    /// Nothing was heard of it yet.
    pub(super) fn is_unheard(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.state() == client_invite::State::Calling,
            ClientMachine::Other(machine) => machine.state() == client::State::Trying,
        }
    }
}

/// The request with another transport and host in its topmost Via, which is the first of the lines that we write.
fn sent_by_tcp(request: &Bytes, host: &str) -> Option<Bytes> {
    const VIA: &[u8] = b"Via: SIP/2.0/UDP ";
    let line = memchr::memmem::find(request, b"\r\n")? + 2;
    let (head, rest) = request.split_at_checked(line)?;
    let rest = rest.strip_prefix(VIA)?;
    let (_, parameters) = rest.split_at_checked(memchr::memchr(b';', rest)?)?;
    Some([head, b"Via: SIP/2.0/TCP ", host.as_bytes(), parameters].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn only_the_via_changes() {
        let request =
            Bytes::from_static(b"INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z;rport\r\nTo: ;\r\n");
        let changed = sent_by_tcp(&request, "sip.example:5070").expect("a Via");
        let expected = b"INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP sip.example:5070;branch=z;rport\r\nTo: ;\r\n";
        assert_eq!(changed.escape_ascii().to_string(), expected.escape_ascii().to_string());
        for other in [&b"INFO sip:a@b SIP/2.0\r\nTo: a\r\nVia: SIP/2.0/UDP a;b\r\n"[..], b"", b"\r\nVia: SIP/2.0/UDP a"]
        {
            assert_eq!(sent_by_tcp(&Bytes::from_static(other), "h"), None);
        }
    }

    #[test]
    fn the_listener_of_the_same_address_is_taken_and_refusals_are_forgotten() {
        let flow = |local: &str, remote: &str| Flow {
            transport: Transport::Udp,
            local: at(local),
            remote: at(remote),
            connection: 0,
            name: None,
        };
        let listeners = ["192.0.2.1:5060", "192.0.2.2:5070", "[2001:db8::1]:5060"].map(at).to_vec();
        let mut large = Large { listeners, ..Large::default() };
        for (local, remote, ours) in [
            ("192.0.2.2:5060", "198.51.100.1:5060", Some("192.0.2.2:5070")),
            ("192.0.2.9:5060", "198.51.100.1:5060", Some("192.0.2.1:5060")),
            ("[2001:db8::2]:5060", "[2001:db8::9]:5060", Some("[2001:db8::1]:5060")),
        ] {
            assert_eq!(large.local(&flow(local, remote)), ours.map(at), "{local}");
        }
        let there = flow("192.0.2.1:5060", "198.51.100.1:5060");
        large.note_refused(Mono(0), there.remote);
        assert_eq!(large.local(&there), None);
        assert!(large.local(&flow("192.0.2.1:5060", "198.51.100.1:5062")).is_some());
        let later = Mono(0) + limits::LARGE_REFUSED;
        large.forget_old(later);
        assert!(large.local(&there).is_some());
        for n in 0..10_000_u32 {
            large.note_refused(later + std::time::Duration::from_millis(n.into()), (n.to_be_bytes(), 5060).into());
        }
        assert_eq!(large.refused.len(), limits::LARGE_REFUSALS);
    }
}
