//! From a socket to a connection that carries messages: connecting, TLS, WebSocket; each step under one deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;

use super::websocket;
use crate::core::agent::{Flow, NameId};
use crate::core::b2bua::{Door, Settings};
use crate::io::sip_tls::{self, Context};

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection that is ready for messages.
pub(super) enum Link {
    /// The common case, without a lock between its halves.
    Tcp(TcpStream),
    Bytes(Box<dyn Duplex>),
    WebSocket(Box<WebSocketStream<Box<dyn Duplex>>>),
}

/// What the tasks of connections read of the configuration.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Option<Context>,
}

/// Server's side of the handshakes. Gives the verified name, if the certificate is for one that the configuration has.
///
/// # Errors
/// A stable code.
pub(super) async fn accept(
    stream: TcpStream,
    transport: rsip::Transport,
    door: Door,
    world: &World,
) -> Result<(Link, Option<NameId>), &'static str> {
    use rsip::Transport::{Tls, Ws, Wss};
    if !matches!(transport, Tls | Ws | Wss) {
        return Ok((Link::Tcp(stream), None));
    }
    let (stream, name): (Box<dyn Duplex>, _) = if transport == Ws {
        (Box::new(stream), None)
    } else {
        let acceptor = world.tls.as_ref().and_then(|tls| tls.acceptor.as_ref()).ok_or("tls_not_configured")?;
        let stream = acceptor.accept(stream).await.map_err(|error| sip_tls::reason(&error))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let name = certificate.and_then(|certificate| sip_tls::name_of(certificate, &world.settings));
        (Box::new(stream), name)
    };
    if door == Door::Certificate && !name.is_some_and(|name| world.settings.directory.is_trunk_name(name)) {
        return Err("tls_nobodys_certificate");
    }
    if transport == Tls {
        return Ok((Link::Bytes(stream), name));
    }
    let socket = websocket::accept(stream, &world.settings.config.sip.websocket_origins).await?;
    Ok((Link::WebSocket(Box::new(socket)), name))
}

/// Connects. The name of a TLS or WSS flow is what the certificate must be for; without one nothing is opened.
///
/// # Errors
/// A stable code.
pub(super) async fn connect(flow: Flow, world: &World) -> Result<Link, &'static str> {
    use rsip::Transport::{Tcp, Tls, Ws, Wss};
    let name = match flow.transport {
        Tcp | Ws => None,
        Tls | Wss => Some(flow.name.and_then(|name| world.settings.names().text(name)).ok_or("tls_no_name")?),
        _ => return Err("destination_unreachable"),
    };
    let stream = tcp(flow).await.map_err(|_| "destination_unreachable")?;
    let _ = stream.set_nodelay(true);
    let stream: Box<dyn Duplex> = match (name, flow.transport) {
        (Some(name), _) => {
            let server = ServerName::try_from(name.to_string()).map_err(|_| "tls_no_name")?;
            let tls = world.tls.as_ref().ok_or("tls_not_configured")?;
            Box::new(tls.connector.connect(server, stream).await.map_err(|error| sip_tls::reason(&error))?)
        }
        (None, Ws) => Box::new(stream),
        (None, _) => return Ok(Link::Tcp(stream)),
    };
    if flow.transport == Tls {
        return Ok(Link::Bytes(stream));
    }
    let socket = websocket::connect(stream, &host(&flow, name.map(|name| &**name))).await?;
    Ok(Link::WebSocket(Box::new(socket)))
}

/// For the Host header: the name that the certificate is for, else the address.
fn host(flow: &Flow, name: Option<&str>) -> String {
    match name {
        Some(name) if name.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{name}]:{}", flow.remote.port()),
        Some(name) => format!("{name}:{}", flow.remote.port()),
        None => flow.remote.to_string(),
    }
}

/// From the listener's address, so that the peer's access list sees the address it knows, but an ephemeral port.
async fn tcp(flow: Flow) -> io::Result<TcpStream> {
    let socket =
        if flow.remote.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0))?;
    }
    socket.connect(flow.remote).await
}
