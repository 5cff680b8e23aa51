//! The server itself.

use super::*;

async fn serving(
    world: &World,
) -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, world.state.clone(), async {
        let _ = stopped.await;
    }));
    (address, stop, server)
}

async fn talk(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_server_bounds_heads_and_stops_with_its_streams() {
    let world = world(None);
    let (address, stop, server) = serving(&world).await;
    let answer = talk(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let many: String = (0..limits::HTTP_HEADERS + 1).map(|n| format!("X-{n}: 1\r\n")).collect();
    let answer = talk(address, &format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(limits::HTTP_HEAD));
    let answer = talk(address, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = talk(address, "\x16\x03\x01\x02\x00").await;
    assert!(!answer.contains("200"), "{answer}");

    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/feed/leases HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 17];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r\n");
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ends whole");
    tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_head_that_never_ends_and_a_connection_that_idles_are_given_up() {
    let world = world(None);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let head_time = Duration::from_millis(100);
    let server = tokio::spawn(serve::serve_within(listener, world.state.clone(), std::future::pending(), head_time));
    for start in ["", "GET / HTTP/1.1\r\nHost: local", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let answer = tokio::time::timeout(Duration::from_secs(10), talk(address, start)).await;
        assert!(answer.is_ok(), "the server hangs up after {start:?}");
    }
    server.abort();
}
