//! SIP over TCP (RFC 3261 §18): connections accepted and opened, messages framed by Content-Length, keep-alives
//! answered, and a peer that never reads is closed instead of waited for.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::core::agent::Flow;
use crate::core::b2bua::Input;
use crate::limits;
use crate::wire::sip::frame::{Frame, Framer};

/// What the tasks of the connections tell their owner.
#[derive(Debug)]
pub enum StreamEvent {
    Message(Flow, Bytes),
    /// Opened by us: the connection exists.
    Opened {
        id: u64,
        stream: TcpStream,
        flow: Flow,
    },
    /// Opened by us: it does not.
    Failed {
        id: u64,
        flow: Flow,
    },
    Closed {
        id: u64,
    },
}

/// The owner's side of every connection.
#[derive(Debug)]
pub struct Streams {
    connections: HashMap<u64, Connection>,
    by_remote: HashMap<SocketAddr, u64>,
    next: u64,
    events: mpsc::Sender<StreamEvent>,
}

#[derive(Debug)]
struct Connection {
    flow: Flow,
    queue: mpsc::UnboundedSender<Bytes>,
    /// Bytes in `queue`: the bound that the channel itself does not have.
    unsent: Arc<AtomicUsize>,
    /// Bytes that wait for the connection to open.
    waiting: Option<mpsc::UnboundedReceiver<Bytes>>,
    /// Dropped with the connection: its reader stops then.
    alive: Option<oneshot::Sender<()>>,
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
pub async fn accept(listener: TcpListener, local: SocketAddr, mut take: impl FnMut(TcpStream, SocketAddr, SocketAddr)) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => take(stream, local, SocketAddr::new(remote.ip().to_canonical(), remote.port())),
            // Out of descriptors: the connection waits in the kernel; looking at once again would only spin.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a SIP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Streams {
    pub fn new(events: mpsc::Sender<StreamEvent>) -> Streams {
        Streams { connections: HashMap::new(), by_remote: HashMap::new(), next: 1, events }
    }

    /// Takes an accepted connection in, or closes it without a word: strangers have none, and nobody has more than
    /// the limits say.
    pub fn accept(&mut self, stream: TcpStream, local: SocketAddr, remote: SocketAddr, known: bool) {
        let of_address = self.of_address(remote.ip());
        if !known || self.connections.len() >= limits::STREAMS || of_address >= limits::STREAMS_PER_ADDRESS {
            tracing::debug!(%remote, known, "SIP connection refused");
            return;
        }
        let flow = self.next_flow(local, remote);
        let queue = self.admit(flow);
        self.run(stream, flow, queue);
    }

    /// Connections, opened and being opened.
    pub fn count(&self) -> usize {
        self.connections.len()
    }

    fn of_address(&self, ip: IpAddr) -> usize {
        self.connections.values().filter(|connection| connection.flow.remote.ip() == ip).count()
    }

    fn next_flow(&mut self, local: SocketAddr, remote: SocketAddr) -> Flow {
        let connection = self.next;
        self.next += 1;
        Flow { transport: rsip::Transport::Tcp, local, remote, connection, name: None }
    }

    fn admit(&mut self, flow: Flow) -> mpsc::UnboundedReceiver<Bytes> {
        let (queue, waiting) = mpsc::unbounded_channel();
        let unsent = Arc::new(AtomicUsize::new(0));
        self.connections.insert(flow.connection, Connection { flow, queue, unsent, waiting: None, alive: None });
        self.by_remote.insert(flow.remote, flow.connection);
        waiting
    }

    fn run(&mut self, stream: TcpStream, flow: Flow, queue: mpsc::UnboundedReceiver<Bytes>) {
        let Some(connection) = self.connections.get_mut(&flow.connection) else { return };
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let (alive, gone) = oneshot::channel();
        connection.alive = Some(alive);
        let unsent = Arc::clone(&connection.unsent);
        let pongs = Pongs { queue: connection.queue.downgrade(), unsent: Arc::clone(&unsent) };
        tokio::task::spawn_local(read(reader, flow, self.events.clone(), pongs, gone));
        tokio::task::spawn_local(write(writer, flow, queue, unsent, self.events.clone()));
    }

    /// Sends on the flow's own connection, else on another one to the same peer, else on one opened for it. `false`:
    /// the peer cannot be reached (its queue is full, or there are too many connections).
    pub fn send(&mut self, flow: Flow, bytes: Bytes) -> bool {
        let known = self.connections.contains_key(&flow.connection).then_some(flow.connection);
        let id = match known.or_else(|| self.by_remote.get(&flow.remote).copied()) {
            Some(id) => id,
            None if self.connections.len() >= limits::STREAMS => return false,
            None => self.open(flow),
        };
        let Some(connection) = self.connections.get(&id) else { return false };
        let unsent = connection.unsent.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if unsent > limits::STREAM_UNSENT || connection.queue.send(bytes).is_err() {
            tracing::info!(remote = %flow.remote, unsent, "a SIP peer does not read: its connection is closed");
            self.close(id);
            return false;
        }
        true
    }

    fn open(&mut self, wanted: Flow) -> u64 {
        let flow = self.next_flow(wanted.local, wanted.remote);
        let id = flow.connection;
        let waiting = self.admit(flow);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.waiting = Some(waiting);
        }
        let events = self.events.clone();
        tokio::task::spawn_local(async move {
            let opened = tokio::time::timeout(limits::STREAM_CONNECT, connect(flow)).await;
            let event = match opened {
                Ok(Ok(stream)) => StreamEvent::Opened { id, stream, flow },
                Ok(Err(_)) | Err(_) => StreamEvent::Failed { id, flow },
            };
            let _ = events.send(event).await;
        });
        id
    }

    fn close(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id)
            && self.by_remote.get(&connection.flow.remote) == Some(&id)
        {
            self.by_remote.remove(&connection.flow.remote);
        }
    }

    /// News of a connection; gives what the machine must hear.
    pub fn handle(&mut self, event: StreamEvent) -> Option<Input> {
        match event {
            StreamEvent::Message(flow, bytes) => Some(Input::Datagram(flow, bytes)),
            StreamEvent::Opened { id, stream, flow } => {
                if let Some(queue) = self.connections.get_mut(&id).and_then(|c| c.waiting.take()) {
                    self.run(stream, flow, queue);
                }
                None
            }
            StreamEvent::Failed { id, flow } => {
                self.close(id);
                Some(Input::Unreachable(flow.transport, flow.remote))
            }
            StreamEvent::Closed { id } => {
                self.close(id);
                None
            }
        }
    }
}

/// From the listener's address, so that the peer's access list sees the address it knows, but an ephemeral port.
async fn connect(flow: Flow) -> io::Result<TcpStream> {
    let socket =
        if flow.remote.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0))?;
    }
    socket.connect(flow.remote).await
}

/// Answers to keep-alives wait in the same queue as messages, under the same bound.
struct Pongs {
    queue: mpsc::WeakUnboundedSender<Bytes>,
    unsent: Arc<AtomicUsize>,
}

impl Pongs {
    /// `false`: the peer asks and never reads.
    fn send(&self) -> bool {
        const PONG: &[u8] = b"\r\n";
        let unsent = self.unsent.fetch_add(PONG.len(), Ordering::Relaxed) + PONG.len();
        let queue = self.queue.upgrade().filter(|_| unsent <= limits::STREAM_UNSENT);
        queue.is_some_and(|queue| queue.send(Bytes::from_static(PONG)).is_ok())
    }
}

async fn read(
    mut reader: OwnedReadHalf,
    flow: Flow,
    events: mpsc::Sender<StreamEvent>,
    pongs: Pongs,
    mut gone: oneshot::Receiver<()>,
) {
    let mut framer = Framer::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut deadline = tokio::time::Instant::now() + limits::STREAM_FIRST;
    'connection: loop {
        let length = tokio::select! {
            read = tokio::time::timeout_at(deadline, reader.read(&mut buffer)) => read,
            _ = &mut gone => break,
        };
        let Ok(Ok(length)) = length else { break };
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        framer.push(bytes);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => {
                    deadline = tokio::time::Instant::now() + limits::STREAM_IDLE;
                    if events.send(StreamEvent::Message(flow, bytes)).await.is_err() {
                        break 'connection;
                    }
                }
                Ok(Some(Frame::Ping)) => {
                    deadline = tokio::time::Instant::now() + limits::STREAM_IDLE;
                    if !pongs.send() {
                        tracing::info!(remote = %flow.remote, "a SIP peer does not read: its connection is closed");
                        break 'connection;
                    }
                }
                Ok(None) => break,
                // RFC 3261 §18.3: where the next message begins is unknown. What can be answered is: the machine
                // reads the broken head as it reads a broken datagram.
                Err(error) => {
                    let _ = events.send(StreamEvent::Message(flow, error.head)).await;
                    break 'connection;
                }
            }
        }
        // A slow sender of one message has as long as a new connection has for its first.
        if framer.buffered() > 0 {
            deadline = deadline.min(tokio::time::Instant::now() + limits::STREAM_FIRST);
        }
    }
    let _ = events.send(StreamEvent::Closed { id: flow.connection }).await;
}

async fn write(
    mut writer: OwnedWriteHalf,
    flow: Flow,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    unsent: Arc<AtomicUsize>,
    events: mpsc::Sender<StreamEvent>,
) {
    // One at a time would be slower than the machine answers a peer that asks without waiting: its queue would
    // fill though it reads.
    let (mut waiting, mut bytes) = (Vec::new(), Vec::new());
    while queue.recv_many(&mut waiting, limits::STREAM_BATCH).await > 0 {
        bytes.clear();
        waiting.drain(..).for_each(|message| bytes.extend_from_slice(&message));
        let length = bytes.len();
        // A peer that takes nothing would hold this task, and its socket, for ever.
        let written = tokio::time::timeout(limits::STREAM_STALL, writer.write_all(&bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            let _ = events.send(StreamEvent::Closed { id: flow.connection }).await;
            return;
        }
        let _ = unsent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(length)));
    }
    // The owner let the connection go: what the kernel still holds is sent, then the peer sees the end.
    let _ = writer.shutdown().await;
}
