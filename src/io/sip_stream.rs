//! SIP over connections: TCP and TLS (RFC 3261 §18), WebSocket with and without TLS (RFC 7118). Connections are accepted
//! and opened under the same bounds, and a peer that never reads is closed instead of waited for.
//!
//! A connection belongs to its transport, address **and** verified name: what is meant for one name is never sent over
//! a connection that was verified for another, though the address be the same (CVE-2020-15260).

mod link;
mod patience;
mod plain;
mod websocket;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rsip::Transport;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::link::{Link, World};
use crate::config::Streams as Rules;
use crate::core::agent::{Failure, Flow, NameId};
use crate::core::b2bua::{Door, Input, Settings};
use crate::io::sip_tls::Context;
use crate::limits;
use crate::wire::sip::Message;

/// What the tasks of the connections tell their owner.
#[derive(Debug)]
pub enum StreamEvent {
    Message(Flow, Bytes),
    /// Handshakes are over; the name that the certificate was verified for.
    Established {
        id: u64,
        name: Option<NameId>,
    },
    /// It never came to be. Stable code.
    Failed {
        id: u64,
        why: &'static str,
    },
    /// It was, and is no more. Stable code.
    Closed {
        id: u64,
        why: &'static str,
    },
}

/// What is counted, for metrics.
#[derive(Clone, Debug, Default)]
pub struct StreamFigures {
    /// Connections by transport, those being opened too.
    pub open: BTreeMap<&'static str, usize>,
    /// Connections that never came to be, by reason, since the start.
    pub failed: BTreeMap<&'static str, u64>,
    /// Connections that ended, by reason, since the start.
    pub closed: BTreeMap<&'static str, u64>,
}

/// Transport, address and verified name of a connection that may be used for whoever is there.
type Peer = (rsip::Transport, SocketAddr, Option<NameId>);

/// The owner's side of every connection.
#[derive(Debug)]
pub struct Streams {
    world: World,
    connections: HashMap<u64, Connection>,
    by_peer: HashMap<Peer, u64>,
    /// Last number of a connection, by twos: those that we opened are odd.
    last: u64,
    events: mpsc::Sender<StreamEvent>,
    figures: StreamFigures,
}

#[derive(Debug)]
struct Connection {
    flow: Flow,
    queue: mpsc::UnboundedSender<Bytes>,
    /// Bytes in `queue`: the bound that the channel itself does not have.
    unsent: Arc<AtomicUsize>,
    /// Nobody's yet: counted among strangers.
    is_stranger: bool,
    /// Dropped with the connection: its tasks stop then.
    _alive: oneshot::Sender<()>,
}

/// What the task of a connection holds.
struct Wire {
    flow: Flow,
    /// We opened it.
    is_ours: bool,
    rules: Rules,
    events: mpsc::Sender<StreamEvent>,
    queue: mpsc::UnboundedReceiver<Bytes>,
    /// For what the task itself has to say; weak, so that the queue ends when the owner lets go.
    own_words: mpsc::WeakUnboundedSender<Bytes>,
    unsent: Arc<AtomicUsize>,
    gone: oneshot::Receiver<()>,
}

/// A listening socket with the options that a SIP server wants.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Accepts until the listener fails for good.
pub async fn accept(listener: TcpListener, mut take: impl FnMut(TcpStream, SocketAddr)) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => take(stream, SocketAddr::new(remote.ip().to_canonical(), remote.port())),
            // Out of descriptors: the connection waits in the kernel; looking at once again would only spin.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a SIP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Streams {
    pub fn new(events: mpsc::Sender<StreamEvent>, settings: Arc<Settings>) -> Streams {
        let tls = context(&settings);
        Streams {
            world: World { settings, tls },
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            last: 0,
            events,
            figures: StreamFigures::default(),
        }
    }

    /// New settings for new connections; the others keep what they began with.
    pub fn reload(&mut self, settings: Arc<Settings>) {
        let tls = context(&settings);
        self.world = World { settings, tls };
    }

    /// Takes an accepted connection in, or closes it without a word: strangers have none where nothing could make them
    /// somebody, and nobody has more than the limits say.
    pub fn accept(&mut self, stream: TcpStream, transport: rsip::Transport, local: SocketAddr, remote: SocketAddr) {
        let door = self.world.settings.door(transport, remote.ip());
        let rules = &self.world.settings.config.sip.streams;
        let is_stranger = door != Door::Known;
        let strangers = || self.connections.values().filter(|connection| connection.is_stranger).count();
        let refused = match door {
            Door::Closed => Some("stranger"),
            _ if self.connections.len() >= rules.connections_max => Some("connections_max"),
            _ if self.of_address(remote.ip()) >= rules.connections_per_address_max => {
                Some("connections_per_address_max")
            }
            Door::Certificate | Door::Login
                if strangers() >= (rules.connections_max / limits::STREAMS_OF_STRANGERS).max(1) =>
            {
                Some("strangers_max")
            }
            _ => None,
        };
        if let Some(why) = refused {
            tracing::debug!(%remote, why, "SIP connection refused");
            return count(&mut self.figures.failed, why);
        }
        let _ = stream.set_nodelay(true);
        let flow = Flow { transport, local, remote, connection: self.number(false), name: None };
        let (wire, world) = (self.admit(flow, is_stranger, false), self.world.clone());
        tokio::task::spawn_local(async move {
            run(wire, async move |wire: &Wire| {
                let end = Instant::now() + wire.rules.first_message;
                let accepted = tokio::time::timeout_at(end, link::accept(stream, transport, door, &world)).await;
                accepted.unwrap_or(Err("handshake_timeout"))
            })
            .await;
        });
    }

    /// Connections, opened and being opened.
    pub fn count(&self) -> usize {
        self.connections.len()
    }

    pub fn figures(&self) -> StreamFigures {
        let mut figures = self.figures.clone();
        for connection in self.connections.values() {
            *figures.open.entry(name(connection.flow.transport)).or_default() += 1;
        }
        figures
    }

    fn of_address(&self, ip: IpAddr) -> usize {
        self.connections.values().filter(|connection| connection.flow.remote.ip() == ip).count()
    }

    fn number(&mut self, is_ours: bool) -> u64 {
        self.last += 2;
        self.last | u64::from(is_ours)
    }

    fn admit(&mut self, flow: Flow, is_stranger: bool, is_ours: bool) -> Wire {
        let (sender, queue) = mpsc::unbounded_channel();
        let (alive, gone) = oneshot::channel();
        let unsent = Arc::new(AtomicUsize::new(0));
        let wire = Wire {
            flow,
            is_ours,
            rules: self.world.settings.config.sip.streams.clone(),
            events: self.events.clone(),
            queue,
            own_words: sender.downgrade(),
            unsent: Arc::clone(&unsent),
            gone,
        };
        self.connections
            .insert(flow.connection, Connection { flow, queue: sender, unsent, is_stranger, _alive: alive });
        self.by_peer.insert((flow.transport, flow.remote, flow.name), flow.connection);
        wire
    }

    /// Sends on the flow's own connection, else on another one to the same peer under the same name, else on one opened
    /// for it.
    ///
    /// # Errors
    /// The peer cannot be reached: its queue is full, or there are too many connections.
    pub fn send(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Failure> {
        let alive = self.connections.contains_key(&flow.connection).then_some(flow.connection);
        let flow = match (alive, flow.connection, flow.transport) {
            (Some(_), ..) | (None, 0, _) => flow,
            (None, gone, Transport::Ws | Transport::Wss) if is_ours(gone) => Flow { connection: 0, ..flow },
            // Browsers cannot be called: they keep their connection, or are gone (RFC 7118 §5.2).
            (None, _, Transport::Ws | Transport::Wss) => return Err(Failure::of(&flow, "connection_gone")),
            (None, ..) => return_flow(flow, &bytes),
        };
        let known = alive.or_else(|| self.by_peer.get(&(flow.transport, flow.remote, flow.name)).copied());
        let id = match known {
            Some(id) => id,
            None if self.connections.len() >= self.world.settings.config.sip.streams.connections_max => {
                return Err(Failure::of(&flow, "connections_max"));
            }
            None => self.open(flow),
        };
        let Some(connection) = self.connections.get(&id) else {
            return Err(Failure::of(&flow, "destination_unreachable"));
        };
        let unsent = connection.unsent.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if unsent > limits::STREAM_UNSENT || connection.queue.send(bytes).is_err() {
            let failure = Failure::of(&connection.flow, "destination_unreachable");
            tracing::info!(remote = %flow.remote, unsent, "a SIP peer does not read: its connection is closed");
            count(&mut self.figures.closed, "does_not_read");
            self.close(id);
            return Err(failure);
        }
        Ok(())
    }

    fn open(&mut self, wanted: Flow) -> u64 {
        let flow = Flow { connection: self.number(true), ..wanted };
        let (wire, world) = (self.admit(flow, false, true), self.world.clone());
        tokio::task::spawn_local(async move {
            run(wire, async move |wire: &Wire| {
                let opened = tokio::time::timeout(limits::STREAM_CONNECT, link::connect(wire.flow, &world)).await;
                opened.unwrap_or(Err("destination_unreachable")).map(|link| (link, wire.flow.name))
            })
            .await;
        });
        flow.connection
    }

    fn close(&mut self, id: u64) -> Option<Flow> {
        let flow = self.connections.remove(&id)?.flow;
        let peer = (flow.transport, flow.remote, flow.name);
        if self.by_peer.get(&peer) == Some(&id) {
            self.by_peer.remove(&peer);
        }
        Some(flow)
    }

    /// News of a connection; gives what the machine must hear.
    pub fn handle(&mut self, event: StreamEvent) -> Option<Input> {
        match event {
            StreamEvent::Message(flow, bytes) => Some(Input::Datagram(flow, bytes)),
            StreamEvent::Established { id, name } => {
                let connection = self.connections.get_mut(&id)?;
                let Flow { transport, remote, name: before, .. } = connection.flow;
                connection.flow.name = name;
                connection.is_stranger &= name.is_none();
                if before != name {
                    self.by_peer.remove(&(transport, remote, before));
                    self.by_peer.insert((transport, remote, name), id);
                }
                None
            }
            StreamEvent::Failed { id, why } => {
                count(&mut self.figures.failed, why);
                let flow = self.close(id)?;
                let transport = name(flow.transport);
                tracing::info!(transport, remote = %flow.remote, why, "no SIP connection");
                Some(Input::Unreachable(Failure::refused(&flow, why)))
            }
            StreamEvent::Closed { id, why } => {
                let flow = self.close(id)?;
                count(&mut self.figures.closed, why);
                tracing::debug!(transport = name(flow.transport), remote = %flow.remote, why, "SIP connection closed");
                Some(Input::Unreachable(Failure::of(&flow, "destination_unreachable")))
            }
        }
    }
}

/// A connection's life: handshakes, then messages until one side ends it.
async fn run(mut wire: Wire, establish: impl AsyncFnOnce(&Wire) -> Result<(Link, Option<NameId>), &'static str>) {
    let (id, events) = (wire.flow.connection, wire.events.clone());
    let link = {
        let (_, never) = oneshot::channel();
        let mut gone = std::mem::replace(&mut wire.gone, never);
        let link = tokio::select! {
            link = establish(&wire) => link,
            _ = &mut gone => Err("closed_by_us"),
        };
        wire.gone = gone;
        link
    };
    // The owner that is gone wants no news.
    let event = match link {
        Err(why) => StreamEvent::Failed { id, why },
        Ok((link, name)) => {
            if events.send(StreamEvent::Established { id, name }).await.is_err() {
                return;
            }
            wire.flow.name = name;
            StreamEvent::Closed { id, why: serve(link, wire).await }
        }
    };
    let _ = events.send(event).await;
}

async fn serve(link: Link, mut wire: Wire) -> &'static str {
    match link {
        Link::Tcp(stream) => {
            let (reader, writer) = stream.into_split();
            both(reader, writer, wire).await
        }
        Link::Bytes(stream) => {
            let (reader, writer) = tokio::io::split(stream);
            both(reader, writer, wire).await
        }
        Link::WebSocket(socket) => websocket::serve(*socket, &mut wire).await,
    }
}

/// Reading and writing, neither of which waits for the other. When the peer stopped, what is queued for it still goes
/// out (it may have closed one direction only).
async fn both(
    reader: impl tokio::io::AsyncRead + Unpin,
    writer: impl tokio::io::AsyncWrite + Unpin + 'static,
    mut wire: Wire,
) -> &'static str {
    let (_, none) = mpsc::unbounded_channel();
    let queue = std::mem::replace(&mut wire.queue, none);
    let mut writing = tokio::task::spawn_local(plain::write(writer, queue, Arc::clone(&wire.unsent)));
    tokio::select! {
        why = plain::read(reader, &mut wire) => why,
        why = &mut writing => why.unwrap_or("broken"),
    }
}

impl Wire {
    /// Queues a keep-alive or its answer, under the same bound as messages. `false`: the peer asks and never reads.
    fn say(&self, bytes: &'static [u8]) -> bool {
        let unsent = self.unsent.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        let queue = self.own_words.upgrade().filter(|_| unsent <= limits::STREAM_UNSENT);
        queue.is_some_and(|queue| queue.send(Bytes::from_static(bytes)).is_ok())
    }

    /// So many bytes of the queue are out.
    fn sent(&self, length: usize) {
        let fewer = |held: usize| Some(held.saturating_sub(length));
        let _ = self.unsent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}

/// Whether we opened this connection.
const fn is_ours(connection: u64) -> bool {
    connection & 1 == 1
}

/// Where a message goes whose connection is gone. A response goes to the address that it came from and the port that
/// the request's Via names (RFC 3261 §18.2.2); the port of a connection that is gone belongs to nobody.
fn return_flow(flow: Flow, bytes: &Bytes) -> Flow {
    let Some(response) = bytes.starts_with(b"SIP/2.0 ").then(|| Message::parse(bytes.clone()).ok()).flatten() else {
        return Flow { connection: 0, ..flow };
    };
    let default_port = if flow.transport == rsip::Transport::Tls { 5061 } else { 5060 };
    let port = response.top_via().ok().and_then(|via| via.port).unwrap_or(default_port);
    Flow { connection: 0, remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
}

/// TLS of these settings; none, with a line in the log, when it cannot be.
fn context(settings: &Settings) -> Option<Context> {
    if !settings.wants_tls() {
        return None;
    }
    let context = Context::new(&settings.config.sip.tls);
    context.map_err(|error| tracing::error!(%error, "no TLS: sip.tls cannot be used")).ok()
}

fn count(counts: &mut BTreeMap<&'static str, u64>, why: &'static str) {
    *counts.entry(why).or_default() += 1;
}

fn name(transport: rsip::Transport) -> &'static str {
    match transport {
        rsip::Transport::Tls => "tls",
        rsip::Transport::Ws => "ws",
        rsip::Transport::Wss => "wss",
        _ => "tcp",
    }
}
