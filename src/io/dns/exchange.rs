//! One question to one server: UDP, and TCP when the answer does not fit.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::core::locate::{Answer, Kind, Lookup, Naptr, Srv};
use crate::limits;
use crate::wire::dns::{self, Data, Response, Type};

/// The answer and the seconds that it holds; `None` when this server has none within [`limits::DNS_ATTEMPT`].
pub(super) async fn ask(server: SocketAddr, id: u16, lookup: &Lookup) -> Option<(Answer, Option<u32>)> {
    let kind = match lookup.kind {
        Kind::A => Type::A,
        Kind::Aaaa => Type::Aaaa,
        Kind::Srv => Type::Srv,
        Kind::Naptr => Type::Naptr,
    };
    let query = dns::query(id, &lookup.name, kind)?;
    let read = |bytes: &[u8]| dns::response(bytes, id, &lookup.name, kind).ok();
    let exchange = async {
        match over_udp(server, &query, read).await? {
            Response::Truncated => over_tcp(server, &query, read).await,
            response => Ok(response),
        }
    };
    let response = tokio::time::timeout(limits::DNS_ATTEMPT, exchange).await.ok()?.ok()?;
    match response {
        Response::Records(records, ttl) => Some((answer(lookup.kind, records), Some(ttl))),
        Response::Nothing(ttl) => Some((Answer::Nothing, ttl)),
        // Another server may know.
        Response::Refused(_) | Response::Truncated => None,
    }
}

async fn over_udp(server: SocketAddr, query: &[u8], read: impl Fn(&[u8]) -> Option<Response>) -> io::Result<Response> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What is not the answer may be a forgery; the answer may still come.
        if let Some(response) = buffer.get(..length).and_then(&read) {
            return Ok(response);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8], read: impl Fn(&[u8]) -> Option<Response>) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    read(&buffer).ok_or_else(|| io::Error::other("not an answer to the question"))
}

fn answer(kind: Kind, records: Vec<Data>) -> Answer {
    match kind {
        Kind::A | Kind::Aaaa => Answer::Addresses(
            records
                .into_iter()
                .filter_map(|data| if let Data::Address(address) = data { Some(address) } else { None })
                .collect(),
        ),
        Kind::Srv => Answer::Srv(
            records
                .into_iter()
                .filter_map(|data| match data {
                    Data::Srv { priority, weight, port, target } => {
                        Some(Srv { priority, weight, port, target: target.into() })
                    }
                    _ => None,
                })
                .collect(),
        ),
        Kind::Naptr => Answer::Naptr(
            records
                .into_iter()
                .filter_map(|data| match data {
                    Data::Naptr { order, preference, flags, service, replacement } => Some(Naptr {
                        order,
                        preference,
                        flags: flags.into(),
                        service: service.into(),
                        replacement: replacement.into(),
                    }),
                    _ => None,
                })
                .collect(),
        ),
    }
}
