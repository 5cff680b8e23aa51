//! Against a DNS server of our own on loopback: good, slow, dead, lying, too long for a datagram.

use std::cell::Cell;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::config::Listener;
use crate::core::locate::Names;
use crate::wire::sip::Uri;

/// Records as (name, type, data); the data in the wire's form.
type Zone = Vec<(&'static str, u16, Vec<u8>)>;

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Good,
    /// Every answer over UDP says that it did not fit.
    Long,
    Refuses,
    /// Sends what is no answer before the answer.
    Noisy,
}

struct Server {
    address: SocketAddr,
    asked: Rc<Cell<usize>>,
}

impl Server {
    async fn start(zone: Zone, manner: Manner, delay: Duration) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let stream = TcpListener::bind(address).await.expect("the same port");
        let (zone, asked) = (Rc::new(zone), Rc::new(Cell::new(0)));
        let (of_udp, count) = (Rc::clone(&zone), Rc::clone(&asked));
        tokio::task::spawn_local(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.set(count.get() + 1);
                tokio::time::sleep(delay).await;
                let query = &buffer[..length];
                if manner == Manner::Noisy {
                    let mut forged = answer(query, &of_udp, Manner::Good);
                    forged[0] ^= 1;
                    socket.send_to(&forged, from).await.expect("sent");
                    socket.send_to(b"noise", from).await.expect("sent");
                }
                socket.send_to(&answer(query, &of_udp, manner), from).await.expect("sent");
            }
        });
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = stream.accept().await {
                let length = stream.read_u16().await.expect("a length");
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.expect("a query");
                let answer = answer(&query, &zone, Manner::Good);
                stream.write_u16(u16::try_from(answer.len()).expect("short")).await.expect("written");
                stream.write_all(&answer).await.expect("written");
            }
        });
        Server { address, asked }
    }
}

fn answer(query: &[u8], zone: &Zone, manner: Manner) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).expect("the root") + 1;
    let asked = query[12..end].to_vec();
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let records: Vec<_> = zone.iter().filter(|(name, of, _)| wire(name) == asked && *of == kind).collect();
    let code = if manner == Manner::Refuses { 5 } else { u16::from(records.is_empty()) * 3 };
    let long = manner == Manner::Long;
    let count = if long { 0 } else { records.len() };
    let mut bytes = query[..2].to_vec();
    for word in [0x8180 | code | u16::from(long) << 9, 1, u16::try_from(count).expect("few"), 0, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&query[12..end + 4]);
    for (_, kind, data) in records.into_iter().take(count) {
        bytes.extend_from_slice(&[0xc0, 12]);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        bytes.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

/// A name as DNS writes it.
fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("short"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn srv(priority: u16, port: u16, target: &str) -> Vec<u8> {
    let words = [priority, 0, port].map(u16::to_be_bytes);
    [words.concat(), wire(target)].concat()
}

fn zone() -> Zone {
    vec![
        ("_sip._udp.pbx.example", 33, srv(20, 5072, "second.example")),
        ("_sip._udp.pbx.example", 33, srv(10, 5071, "first.example")),
        ("first.example", 1, vec![192, 0, 2, 1]),
        ("second.example", 1, vec![192, 0, 2, 2]),
        ("forbidden.example", 1, vec![0, 0, 0, 0]),
        ("forbidden.example", 1, vec![198, 51, 100, 99]),
        ("forbidden.example", 1, vec![10, 0, 0, 1]),
    ]
}

fn dns(servers: &[SocketAddr]) -> Dns {
    Dns::new(&Settings { servers: servers.to_vec(), ..Settings::default() }, [7; 32])
}

fn reach(private: bool) -> Reach {
    let address = "198.51.100.99:5060".parse().expect("an address");
    Reach::new(&[Listener::new(rsip::Transport::Udp, address)], private)
}

async fn hops(dns: &Dns, uri: &str, private: bool) -> Vec<String> {
    let query = Query::of(&Uri::parse(uri).expect(uri), &Names::default()).expect(uri);
    dns.locate(&query, &reach(private)).await.iter().map(|hop| hop.remote.to_string()).collect()
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

const PBX: [&str; 2] = ["192.0.2.1:5071", "192.0.2.2:5072"];

#[test]
fn a_name_is_found_once_and_then_remembered() {
    run(async {
        let server = Server::start(zone(), Manner::Good, Duration::ZERO).await;
        let dns = dns(&[server.address]);
        assert_eq!(hops(&dns, "sip:a@pbx.example", true).await, PBX);
        let asked = server.asked.get();
        assert_eq!(asked, 5, "NAPTR, SRV and A of the name; A of two targets");
        assert_eq!(hops(&dns, "sip:a@PBX.example", true).await, PBX);
        assert_eq!(server.asked.get(), asked);
        let figures = dns.figures();
        assert_eq!((figures.found, figures.nothing, figures.hits, figures.failed), (3, 2, 5, 0));
        assert!(dns.shared.flights.borrow().is_empty());
    });
}

#[test]
fn many_who_ask_at_once_are_one_question() {
    run(async {
        let server = Server::start(zone(), Manner::Good, Duration::from_millis(20)).await;
        let dns = dns(&[server.address]);
        let found = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (dns, found) = (dns.clone(), Rc::clone(&found));
                tokio::task::spawn_local(async move {
                    assert_eq!(hops(&dns, "sip:a@first.example:5060", true).await, ["192.0.2.1:5060"]);
                    found.set(found.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("found");
        }
        assert_eq!((found.get(), server.asked.get()), (50, 1));
    });
}

#[test]
fn an_answer_that_does_not_fit_is_asked_again_over_tcp() {
    run(async {
        let mut long = zone();
        long.extend((1..=50).map(|last| ("many.example", 1, vec![203, 0, 113, last])));
        let server = Server::start(long, Manner::Long, Duration::ZERO).await;
        let dns = dns(&[server.address]);
        assert_eq!(hops(&dns, "sip:a@pbx.example", true).await, PBX);
        assert_eq!(hops(&dns, "sip:a@many.example:5060", true).await.len(), limits::RESOLVED_ADDRESSES);
    });
}

#[test]
fn forgeries_are_passed_by() {
    run(async {
        let server = Server::start(zone(), Manner::Noisy, Duration::ZERO).await;
        assert_eq!(hops(&dns(&[server.address]), "sip:a@pbx.example", true).await, PBX);
    });
}

#[test]
fn a_server_that_refuses_or_is_dead_is_not_the_last_word() {
    run(async {
        let refuses = Server::start(zone(), Manner::Refuses, Duration::ZERO).await;
        let good = Server::start(zone(), Manner::Good, Duration::ZERO).await;
        let dead = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let dns = dns(&[dead.local_addr().expect("an address"), refuses.address, good.address]);
        assert_eq!(hops(&dns, "sip:a@first.example:5060", true).await, ["192.0.2.1:5060"]);
        // The one that answered is asked first from now on.
        assert_eq!(dns.shared.servers.borrow().first(), Some(&good.address));
        assert_eq!(hops(&dns, "sip:a@second.example:5060", true).await, ["192.0.2.2:5060"]);
    });
}

#[test]
fn forbidden_addresses_lead_nowhere() {
    run(async {
        let server = Server::start(zone(), Manner::Good, Duration::ZERO).await;
        let dns = dns(&[server.address]);
        assert_eq!(hops(&dns, "sip:a@forbidden.example:5060", true).await, ["10.0.0.1:5060"]);
        assert!(hops(&dns, "sip:a@forbidden.example:5060", false).await.is_empty());
        assert!(hops(&dns, "sip:a@nxdomain.example", true).await.is_empty());
    });
}

#[test]
fn without_any_server_the_wait_is_bounded_and_old_answers_serve() {
    run(async {
        let dead = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let settings = Settings {
            servers: vec![dead.local_addr().expect("an address")],
            timeout: Duration::from_millis(200),
            private: true,
        };
        let dns = Dns::new(&settings, [7; 32]);
        let start = Instant::now();
        assert!(hops(&dns, "sip:a@pbx.example", true).await.is_empty());
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        // An answer of long ago, and nobody to ask.
        let old = Answer::Addresses(vec![[192, 0, 2, 9].into()]);
        let (lookup, long_ago) = (Lookup::new(Kind::A, "old.example"), crate::time::Mono(0));
        dns.shared.cache.borrow_mut().put(&lookup, old, Some(1), long_ago);
        assert_eq!(hops(&dns, "sip:a@old.example:5060", true).await, ["192.0.2.9:5060"]);
        assert!(dns.figures().stale > 0);
    });
}

#[test]
fn questions_under_way_are_bounded() {
    run(async {
        let dead = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let dns = dns(&[dead.local_addr().expect("an address")]);
        let mut waiting = Vec::new();
        for n in 0..limits::DNS_WAITING {
            waiting.push(dns.ask(&Lookup::new(Kind::A, &format!("h{n}.example"))));
        }
        let asked = dns.ask(&Lookup::new(Kind::A, "one-more.example"));
        assert!(matches!(asked, Asked::Known(Answer::Failed)));
        assert_eq!(dns.shared.flights.borrow().len(), limits::DNS_WAITING);
    });
}

#[test]
fn hosts_of_the_system_are_known() {
    run(async {
        let dns = dns(&[]);
        let mut shared = Rc::into_inner(dns.shared).expect("one owner");
        let name: Arc<str> = "box.example".into();
        shared.hosts.insert(name.to_string(), vec![[192, 0, 2, 77].into()]);
        let dns = Dns { shared: Rc::new(shared) };
        assert_eq!(hops(&dns, "sip:a@box.example:5060", true).await, ["192.0.2.77:5060"]);
    });
}
