//! A phone's connections: TCP, and TLS with the daemon's own judgement of certificates.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use rsip::Transport;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Over;
use crate::core::agent::Flow;
use crate::io::sip_tls::Context;
use crate::limits;
use crate::wire::sip::frame::{Frame, Framer};

/// What a connection brings.
pub(super) enum News {
    Message(Flow, Bytes),
    /// It is no more, or never was.
    Gone(Flow),
}

/// From bytes to messages: nothing, or a handshake of either side.
enum Handshake {
    None,
    Accept(TlsAcceptor),
    Connect(Box<(TlsConnector, ServerName<'static>)>),
}

/// See the module.
pub(super) struct Streams {
    transport: Transport,
    pub(super) local: SocketAddr,
    listener: Option<TcpListener>,
    acceptor: Option<TlsAcceptor>,
    writers: HashMap<u64, (SocketAddr, mpsc::UnboundedSender<Bytes>)>,
    last: u64,
    tell: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
}

impl Streams {
    /// One connection to a server.
    ///
    /// # Errors
    /// Nobody listens there, or TLS cannot be set up.
    pub(super) async fn connect(remote: SocketAddr, over: &Over) -> io::Result<Streams> {
        let stream = TcpStream::connect(remote).await?;
        let mut streams = Streams::new(over, stream.local_addr()?);
        let handshake = match over {
            Over::Tls(tls) => {
                let name = ServerName::try_from(tls.name.clone()).map_err(io::Error::other)?;
                let context = Context::new(&tls.rules).map_err(io::Error::other)?;
                Handshake::Connect(Box::new((context.connector, name)))
            }
            Over::Udp | Over::Tcp => Handshake::None,
        };
        streams.take(stream, remote, handshake);
        Ok(streams)
    }

    /// Whoever comes.
    ///
    /// # Errors
    /// The address is taken, or TLS has no certificate to show.
    pub(super) async fn listen(local: SocketAddr, over: &Over) -> io::Result<Streams> {
        let listener = TcpListener::bind(local).await?;
        let mut streams = Streams::new(over, listener.local_addr()?);
        if let Over::Tls(tls) = over {
            let context = Context::new(&tls.rules).map_err(io::Error::other)?;
            streams.acceptor = Some(context.acceptor.ok_or_else(|| io::Error::other("TLS needs a certificate"))?);
        }
        streams.listener = Some(listener);
        Ok(streams)
    }

    fn new(over: &Over, local: SocketAddr) -> Streams {
        let transport = if matches!(over, Over::Tls(_)) { Transport::Tls } else { Transport::Tcp };
        let (tell, news) = mpsc::channel(limits::PHONE_CALLS);
        let (listener, acceptor, writers) = (None, None, HashMap::new());
        Streams { transport, local, listener, acceptor, writers, last: 0, tell, news }
    }

    /// The flow on which a request to this address goes out.
    pub(super) fn flow(&self, remote: SocketAddr) -> Flow {
        Flow { transport: self.transport, local: self.local, remote, connection: 0, name: None }
    }

    /// Queues a message: on its own connection, else on one to the same host, else on a new one. `false`: there is no
    /// way.
    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) -> bool {
        let is_there = |(_, (remote, _)): &(&u64, &(SocketAddr, _))| remote.ip() == flow.remote.ip();
        let known = self.writers.contains_key(&flow.connection).then_some(flow.connection);
        let known = known.or_else(|| self.writers.iter().filter(is_there).map(|(id, _)| *id).max());
        let id = match known {
            Some(id) => id,
            // Whose certificate it would have to be is not known.
            None if self.transport == Transport::Tls => return false,
            None => self.open(flow.remote),
        };
        self.writers.get(&id).is_some_and(|(_, queue)| queue.send(bytes).is_ok())
    }

    /// What comes next. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Option<News> {
        loop {
            let accepted = async {
                match &self.listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                news = self.news.recv() => {
                    if let Some(News::Gone(flow)) = &news {
                        self.writers.remove(&flow.connection);
                    }
                    return news;
                }
                accepted = accepted => {
                    let Ok((stream, remote)) = accepted else { continue };
                    if self.writers.len() < limits::PHONE_CALLS {
                        let handshake = self.acceptor.clone().map_or(Handshake::None, Handshake::Accept);
                        self.take(stream, remote, handshake);
                    }
                }
            }
        }
    }

    fn number(&mut self, remote: SocketAddr) -> (Flow, mpsc::UnboundedReceiver<Bytes>) {
        self.last += 1;
        let (sender, queue) = mpsc::unbounded_channel();
        self.writers.insert(self.last, (remote, sender));
        (Flow { connection: self.last, ..self.flow(remote) }, queue)
    }

    fn take(&mut self, stream: TcpStream, remote: SocketAddr, handshake: Handshake) {
        let (flow, queue) = self.number(remote);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            match handshake {
                Handshake::None => {
                    let (reader, writer) = stream.into_split();
                    carry(reader, writer, flow, queue, &tell).await;
                }
                Handshake::Accept(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => {
                        let (reader, writer) = tokio::io::split(stream);
                        carry(reader, writer, flow, queue, &tell).await;
                    }
                    Err(error) => tracing::warn!(%error, "no TLS with a phone's peer"),
                },
                Handshake::Connect(whom) => match whom.0.connect(whom.1, stream).await {
                    Ok(stream) => {
                        let (reader, writer) = tokio::io::split(stream);
                        carry(reader, writer, flow, queue, &tell).await;
                    }
                    Err(error) => tracing::warn!(%error, "no TLS with a phone's server"),
                },
            }
            let _ = tell.send(News::Gone(flow)).await;
        });
    }

    fn open(&mut self, remote: SocketAddr) -> u64 {
        let (flow, queue) = self.number(remote);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            if let Ok(stream) = TcpStream::connect(remote).await {
                let (reader, writer) = stream.into_split();
                carry(reader, writer, flow, queue, &tell).await;
            }
            let _ = tell.send(News::Gone(flow)).await;
        });
        flow.connection
    }
}

/// Messages both ways until one side ends it.
async fn carry(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    flow: Flow,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    tell: &mpsc::Sender<News>,
) {
    let reading = async {
        let (mut framer, mut buffer) = (Framer::new(), vec![0; 16 * 1024]);
        while let Ok(length) = reader.read(&mut buffer).await {
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return };
            framer.push(bytes);
            loop {
                match framer.next() {
                    Ok(Some(Frame::Message(bytes))) => {
                        if tell.send(News::Message(flow, bytes)).await.is_err() {
                            return;
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    };
    let writing = async {
        while let Some(bytes) = queue.recv().await {
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}
