//! Accepts connections and speaks HTTP/1.1 on them, within bounds: so many connections, so many of one address, so long
//! for a request's head, so long for a peer that does not read. HTTP/2 is not spoken: nothing here needs it, and its
//! resets cannot be abused where it is absent.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::AppState;
use crate::limits;

/// Serves until `shutdown` completes; then accepts no more, ends the streams, lets running requests finish for a few
/// seconds and returns.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AppState>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    serve_within(listener, state, shutdown, limits::HTTP_HEAD_TIME).await
}

/// The same with another time for a request's head, for tests.
pub(super) async fn serve_within(
    listener: TcpListener,
    state: Arc<AppState>,
    shutdown: impl Future<Output = ()>,
    head_time: Duration,
) -> std::io::Result<()> {
    let router = super::router(state.clone());
    let doors = Arc::new(Doors::default());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {
                state.metrics.http.connections.set(doors.taken() as i64);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let exempt = state.config.load().http.trusted_proxies.iter().any(|net| net.contains(&peer.ip()));
                    let Some(seat) = doors.enter(peer.ip(), exempt) else {
                        state.metrics.http.connections_refused.inc();
                        continue;
                    };
                    let closing = state.closing.subscribe();
                    let router = router.clone();
                    state.metrics.http.connections.set(doors.taken() as i64);
                    connections.spawn(async move {
                        connection(stream, peer, router, closing, head_time).await;
                        drop(seat);
                    });
                }
                // No file descriptors, or a connection that was gone before we took it: neither ends the server.
                Err(error) => {
                    tracing::warn!(%error, "HTTP accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    state.closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits::HTTP_DRAIN, drained).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut closing: watch::Receiver<bool>,
    head_time: Duration,
) {
    // Both can only fail on a socket that is dead already.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(limits::HTTP_WRITE_STALL));
    let service = router.layer(axum::Extension(ConnectInfo(peer)));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_headers(limits::HTTP_HEADERS)
        .max_buf_size(limits::HTTP_HEAD)
        .half_close(false);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = async { drop(closing.wait_for(|closing| *closing).await) } => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "HTTP connection ended badly");
    }
}

/// How many connections there are, in all and by address.
#[derive(Debug, Default)]
struct Doors(Mutex<HashMap<IpAddr, usize>>);

/// One connection's place; gives it back when dropped.
#[derive(Debug)]
struct Seat {
    doors: Arc<Doors>,
    address: IpAddr,
}

impl Doors {
    fn enter(self: &Arc<Doors>, address: IpAddr, exempt: bool) -> Option<Seat> {
        let address = address.to_canonical();
        let exempt = exempt || address.is_loopback();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= limits::HTTP_CONNECTIONS {
            return None;
        }
        let of_address = taken.entry(address).or_insert(0);
        if !exempt && *of_address >= limits::HTTP_CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *of_address += 1;
        Some(Seat { doors: self.clone(), address })
    }

    fn taken(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.doors.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = taken.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_all_together_are_bounded() {
        let doors = Arc::new(Doors::default());
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let mut seats: Vec<Seat> = std::iter::from_fn(|| doors.enter(one, false)).collect();
        assert_eq!(seats.len(), limits::HTTP_CONNECTIONS_PER_ADDRESS);
        seats.extend(std::iter::from_fn(|| doors.enter("192.0.2.2".parse().unwrap(), true)));
        assert_eq!(seats.len(), limits::HTTP_CONNECTIONS);
        assert!(doors.enter("192.0.2.3".parse().unwrap(), false).is_none());
        seats.clear();
        assert!(doors.0.lock().unwrap().is_empty());
    }
}
