//! A phone's signalling: one UDP socket or a few connections, one [`Agent`], and a step for every message.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;

use super::streams::{News, Streams};
use super::{Over, Step, What};
use crate::core::agent::{Agent, AgentConfig, Failure, Flow, Reliable, Trust};
use crate::core::hosts::Hosts;
use crate::io::clock;
use crate::limits;
use crate::time::{Mono, Now};
use crate::wire::sip::Message;

/// See the module.
pub(super) struct Line {
    pub(super) agent: Agent,
    pub(super) local: SocketAddr,
    way: Way,
    buffer: Vec<u8>,
    switched_on: Mono,
}

enum Way {
    Datagrams(UdpSocket),
    Streams(Box<Streams>),
}

/// What [`Line::turn`] waited for.
enum Came {
    Datagram(io::Result<(usize, SocketAddr)>),
    Stream(Option<News>),
    Time,
}

impl Line {
    /// A line at `local`. With `remote`, only that peer is heard, and its silence is noticed (ICMP).
    pub(super) async fn open(local: SocketAddr, remote: Option<SocketAddr>, over: &Over) -> io::Result<Line> {
        let (way, local) = match (over, remote) {
            (Over::Udp, remote) => {
                let socket = UdpSocket::bind(local).await?;
                if let Some(remote) = remote {
                    socket.connect(remote).await?;
                }
                let local = socket.local_addr()?;
                (Way::Datagrams(socket), local)
            }
            (_, Some(remote)) => Way::of(Streams::connect(remote, over).await?),
            (_, None) => Way::of(Streams::listen(local, over).await?),
        };
        let config = AgentConfig {
            user_agent: concat!("Leaseline-phone/", env!("CARGO_PKG_VERSION")).to_owned(),
            hosts: Hosts::default(),
            transactions_max: limits::PHONE_CALLS * 8,
            reliable: Reliable::Off,
            session: None,
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Line {
            agent: Agent::new(Arc::new(config), seed),
            local,
            way,
            buffer: vec![0; limits::SIP_MESSAGE],
            switched_on: clock::mono(),
        })
    }

    /// The address of this machine that packets to `remote` come from.
    pub(super) async fn address_towards(remote: SocketAddr) -> io::Result<IpAddr> {
        let any: SocketAddr = if remote.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(remote).await?;
        Ok(socket.local_addr()?.ip())
    }

    pub(super) fn flow(&self, remote: SocketAddr) -> Flow {
        match &self.way {
            Way::Datagrams(_) => {
                Flow { transport: rsip::Transport::Udp, local: self.local, remote, connection: 0, name: None }
            }
            Way::Streams(streams) => streams.flow(remote),
        }
    }

    /// A step that happens now.
    pub(super) fn step(&self, what: What) -> Step {
        Step { at: clock::mono().since(self.switched_on), what }
    }

    /// Sends what the agent has to say.
    pub(super) async fn flush(&mut self, steps: &mut (dyn FnMut(&Step) + Send)) {
        while let Some(transmit) = self.agent.poll_transmit() {
            if let Ok(message) = Message::parse(transmit.bytes.clone()) {
                let (line, sdp) = describe(&message);
                steps(&self.step(What::Sent { line, sdp }));
            }
            let is_sent = match &mut self.way {
                Way::Datagrams(socket) => socket.send_to(&transmit.bytes, transmit.flow.remote).await.is_ok(),
                Way::Streams(streams) => streams.send(transmit.flow, transmit.bytes),
            };
            if !is_sent {
                let now = clock::now();
                let failure = Failure::of(&transmit.flow, "destination_unreachable");
                self.agent.handle_transport_error(now, &failure);
            }
        }
    }

    /// Waits for a message, the agent's next timer or `until`, and lets the agent know. Gives the message.
    pub(super) async fn turn(&mut self, until: Option<Mono>, steps: &mut (dyn FnMut(&Step) + Send)) -> Option<Message> {
        let due = self.agent.poll_timeout().map(|(at, _)| at);
        let wake = due.into_iter().chain(until).min();
        let sleep = async {
            match wake {
                Some(at) => tokio::time::sleep_until(clock::instant(at)).await,
                None => std::future::pending().await,
            }
        };
        let came = match &mut self.way {
            Way::Datagrams(socket) => tokio::select! {
                received = socket.recv_from(&mut self.buffer) => Came::Datagram(received),
                () = sleep => Came::Time,
            },
            Way::Streams(streams) => tokio::select! {
                news = streams.next() => Came::Stream(news),
                () = sleep => Came::Time,
            },
        };
        let now = clock::now();
        match came {
            Came::Datagram(Ok((length, remote))) => {
                let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                self.take(now, self.flow(remote), bytes, steps)
            }
            Came::Stream(Some(News::Message(flow, bytes))) => self.take(now, flow, bytes, steps),
            Came::Stream(Some(News::Gone(flow))) => {
                let failure = Failure::of(&flow, "destination_unreachable");
                self.agent.handle_transport_error(now, &failure);
                None
            }
            Came::Datagram(Err(e)) => {
                // On a connected socket: the peer's machine says that nobody listens there.
                if let Way::Datagrams(socket) = &self.way
                    && let Ok(remote) = socket.peer_addr()
                {
                    tracing::debug!(error = %e, "a phone's peer is not there");
                    let failure = Failure::of_datagram(remote, "destination_unreachable");
                    self.agent.handle_transport_error(now, &failure);
                }
                None
            }
            Came::Stream(None) | Came::Time => {
                if due.is_some_and(|at| at <= now.mono) {
                    self.agent.handle_timeout(now);
                }
                None
            }
        }
    }

    fn take(&mut self, now: Now, flow: Flow, bytes: Bytes, steps: &mut (dyn FnMut(&Step) + Send)) -> Option<Message> {
        let message = Message::parse(bytes.clone()).ok();
        if let Some((line, sdp)) = message.as_ref().map(describe) {
            steps(&self.step(What::Received { line, sdp }));
        }
        self.agent.handle_datagram(now, flow, bytes, Trust::Known);
        message
    }
}

impl Way {
    fn of(streams: Streams) -> (Way, SocketAddr) {
        let local = streams.local;
        (Way::Streams(Box::new(streams)), local)
    }
}

/// `INVITE sip:…`, `180 Ringing (INVITE)`; and whether there is SDP.
fn describe(message: &Message) -> (String, bool) {
    let line = if message.is_request() {
        format!("{} {}", message.method_token(), message.request_uri())
    } else {
        let method = message.cseq().map_or(String::new(), |cseq| format!(" ({})", cseq.method));
        format!("{} {}{method}", message.status(), message.reason())
    };
    (line, message.has_content_type(super::sdp::TYPE) && !message.body().is_empty())
}

/// The SDP of a message, as text.
pub(super) fn sdp_of(message: &Message) -> Option<String> {
    if !message.has_content_type(super::sdp::TYPE) {
        return None;
    }
    String::from_utf8(message.body().to_vec()).ok().filter(|text| !text.is_empty())
}
