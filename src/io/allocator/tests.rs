//! The allocator with its thread, its outputs in one order, and its feed followed over HTTP on loopback.

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};

use super::*;
use crate::core::event::Body as EventBody;
use crate::core::lease::Entry;
use crate::ids::E164;
use crate::io::clock;
use crate::io::lease_feed::{FeedRefused, LeaseFeed, feed_numbers};

const CONFIG: &str = r#"
[[company]]
name = "acme"
forward_to = ["sip:+442079460999@127.0.0.1:5080"]

[[site]]
name = "site"
company = "acme"
origins = ["http://127.0.0.1:8080"]

[[pool]]
name = "web"
company = "acme"
site = "site"
kind = "dynamic"
numbers = ["+442079460000..+442079460009"]

[[pool]]
name = "billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard" }
"#;

const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> Config {
    Config::parse(CONFIG, "test", Path::new("")).unwrap()
}

fn start(config: &Config, records: Vec<Record>) -> (AllocatorHandle, mpsc::Receiver<Event>) {
    start_with(config, records, Arc::new(LeaseTable::new()))
}

fn start_with(
    config: &Config,
    records: Vec<Record>,
    table: Arc<LeaseTable>,
) -> (AllocatorHandle, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    let setup = Setup {
        config,
        clock: Arc::new(clock::now),
        seed,
        table,
        events: Box::new(move |event| drop(sender.send(event))),
    };
    (AllocatorHandle::start(setup, records.into_iter()), receiver)
}

fn ask(visitor: &str) -> Ask {
    Ask { site: "site".into(), visitor_id: Some(visitor.into()), ..Ask::default() }
}

/// Waits for what another thread or task is about to do.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn outputs_and_restart() {
    let config = config();
    let (allocator, events) = start(&config, Vec::new());
    let a = allocator.acquire(ask("a")).unwrap().lease;
    let b = allocator.acquire(ask("b")).unwrap().lease;
    allocator.signal(a.lease_id, "tel_tap").unwrap();
    allocator.release(b.lease_id).unwrap();
    let entry = allocator.table().lookup(&a.number).unwrap();
    assert_eq!(entry.active().unwrap().lease_id, a.lease_id);
    assert_eq!(allocator.table().lookup(&b.number).unwrap().last().unwrap().lease_id, b.lease_id);
    let pools: Vec<_> = allocator.pools().into_iter().map(|p| (p.name, p.kind, p.free, p.leased, p.held)).collect();
    assert_eq!(pools, [("web".into(), "dynamic", 8, 1, 1), ("billboard".into(), "static", 0, 0, 0)]);
    assert_eq!(allocator.numbers().len(), 11);
    let events: Vec<Event> = events.try_iter().collect();
    let kinds: Vec<_> = events.iter().map(|event| event.body.kind().rsplit('.').next().unwrap()).collect();
    assert_eq!(kinds, ["granted", "granted", "signal", "released"]);
    drop(allocator);

    let records = events.iter().filter_map(|event| Record::from_body(&event.body)).collect();
    let (allocator, _events) = start(&config, records);
    assert_eq!(allocator.acquire(ask("a")).unwrap().lease.lease_id, a.lease_id);
    assert_eq!(allocator.renew(b.lease_id).unwrap().number, b.number);
    assert_eq!(allocator.table().len(), 2);
}

#[test]
fn the_thread_ends_leases_that_nobody_renews() {
    let mut config = config();
    config.lease.ttl = Duration::from_millis(50);
    let (allocator, events) = start(&config, Vec::new());
    let lease = allocator.acquire(ask("a")).unwrap().lease;
    let expired = std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok())
        .find_map(|event| if let EventBody::LeaseExpired(lease) = event.body { Some(lease) } else { None });
    assert_eq!(expired.map(|lease| lease.lease_id), Some(lease.lease_id));
}

#[test]
fn a_node_that_follows_has_no_numbers_of_its_own() {
    let text = format!("{CONFIG}\n[lease_feed]\nurl = \"http://127.0.0.1:1/v1/feed/leases\"\n");
    let config = Config::parse(&text, "test", Path::new("")).unwrap();
    let (allocator, _events) = start(&config, Vec::new());
    assert_eq!(allocator.acquire(ask("a")).unwrap_err().code, "no_pool");
    allocator.reconfigure(&self::config());
    assert!(allocator.acquire(ask("a")).is_ok());
}

/// Serves the feed of whatever allocator is in `current`, as the HTTP interface does.
async fn serve(current: Arc<Mutex<AllocatorHandle>>) -> u16 {
    let app = Router::new().route(
        "/v1/feed/leases",
        axum::routing::get(move |Query(query): Query<std::collections::HashMap<String, String>>| async move {
            let after = query.get("after").and_then(|text| text.parse().ok());
            let allocator = current.lock().unwrap().clone();
            match allocator.subscribe_feed(after, query.get("epoch").map(String::as_str)) {
                Ok(stream) => Body::from_stream(stream.into_stream()).into_response(),
                Err(Gone) => Response::builder().status(410).body(Body::empty()).unwrap(),
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

fn entries(table: &LeaseTable, config: &Config) -> Vec<(E164, Entry)> {
    let numbers = config.pools.iter().flat_map(|pool| pool.numbers.iter());
    numbers.filter_map(|number| Some((number.clone(), Entry::clone(&*table.lookup(number)?)))).collect()
}

/// Leases as JSON has them: times in milliseconds.
fn as_sent(entries: &[(E164, Entry)]) -> Vec<serde_json::Value> {
    let row = |entry: &Entry| {
        serde_json::json!([
            entry.past.iter().map(|lease| Lease::clone(lease)).collect::<Vec<_>>(),
            entry.holders.to_vec()
        ])
    };
    entries.iter().map(|(_, entry)| row(entry)).collect()
}

#[tokio::test]
async fn another_node_follows_over_http() {
    let config = config();
    let (allocator, events) = start(&config, Vec::new());
    for visitor in ["a", "b", "c"] {
        allocator.acquire(ask(visitor)).unwrap();
    }
    let current = Arc::new(Mutex::new(allocator.clone()));
    let port = serve(Arc::clone(&current)).await;
    let feed = config::LeaseFeed {
        url: format!("http://127.0.0.1:{port}/v1/feed/leases").parse().unwrap(),
        token: None,
        stale_after: PATIENCE,
    };
    let table = Arc::new(LeaseTable::new());
    let follower = LeaseFeed::start(&feed, feed_numbers(&config), Arc::clone(&table), Arc::new(clock::now)).unwrap();
    assert!(table.is_stale(), "nothing is known yet");
    let same = |allocator: &AllocatorHandle| {
        as_sent(&entries(&table, &config)) == as_sent(&entries(allocator.table(), &config)) && !table.is_stale()
    };
    until("the snapshot", || same(&allocator) && table.len() == 3).await;

    let lease = allocator.acquire(ask("d")).unwrap().lease;
    allocator.release(lease.lease_id).unwrap();
    until("two changes", || same(&allocator) && table.len() == 4).await;

    // The allocator restarts: another epoch, the same leases.
    allocator.stop();
    let records = events.try_iter().filter_map(|event| Record::from_body(&event.body)).collect();
    let (again, _events) = start(&config, records);
    *current.lock().unwrap() = again.clone();
    again.acquire(ask("e")).unwrap();
    until("the new life", || same(&again) && table.len() == 5).await;
    assert_eq!(follower.counts().snapshots, 2);
    assert_eq!(follower.counts().refused, [].into());
    drop(follower);
}

#[tokio::test]
async fn silence_makes_the_table_stale_and_keeps_it() {
    let config = config();
    let (allocator, _events) = start(&config, Vec::new());
    allocator.acquire(ask("a")).unwrap();
    let port = serve(Arc::new(Mutex::new(allocator.clone()))).await;
    let feed = config::LeaseFeed {
        url: format!("http://127.0.0.1:{port}/v1/feed/leases").parse().unwrap(),
        token: None,
        stale_after: Duration::from_millis(300),
    };
    let table = Arc::new(LeaseTable::new());
    let _follower = LeaseFeed::start(&feed, feed_numbers(&config), Arc::clone(&table), Arc::new(clock::now)).unwrap();
    until("the snapshot", || table.len() == 1 && !table.is_stale()).await;
    allocator.stop();
    until("stale", || table.is_stale()).await;
    assert_eq!(table.len(), 1, "the last known map stays");
}

#[tokio::test]
async fn plain_http_stays_near() {
    for (url, near) in [
        ("http://127.0.0.1:1/", true),
        ("http://[::1]:1/", true),
        ("http://10.0.0.1:1/", true),
        ("http://localhost:1/", true),
        ("https://allocator.example/", true),
        ("http://allocator.example/", false),
        ("http://192.0.2.1/", false),
    ] {
        let feed = config::LeaseFeed { url: url.parse().unwrap(), token: None, stale_after: PATIENCE };
        let table = Arc::new(LeaseTable::new());
        let started = LeaseFeed::start(&feed, Default::default(), table, Arc::new(clock::now));
        assert_eq!(!matches!(started, Err(FeedRefused::PlainHttp)), near, "{url}");
    }
}

#[tokio::test]
async fn a_follower_that_sleeps_too_long_is_let_go() {
    let config = config();
    let (allocator, _events) = start(&config, Vec::new());
    let mut stream = allocator.subscribe_feed(None, None).unwrap();
    let head = stream.next().await.unwrap();
    assert_eq!(head.iter().filter(|byte| **byte == b'\n').count(), 2, "an empty snapshot");
    let lease = allocator.acquire(ask("a")).unwrap().lease;
    let line = stream.next().await.unwrap();
    assert!(line.starts_with(b"{\"type\":\"lease\",\"revision\":1,"), "{line:?}");
    for _ in 0..limits::FEED_LOG + 1 {
        allocator.renew(lease.lease_id).unwrap();
    }
    assert_eq!(stream.next().await, None);
    assert_eq!(allocator.subscribe_feed(Some(1), None).err(), Some(Gone));
}

#[tokio::test]
async fn a_long_snapshot_comes_in_pieces() {
    let config = Config::parse(&CONFIG.replace("460009", "460299"), "test", Path::new("")).unwrap();
    let (allocator, _events) = start(&config, Vec::new());
    for visitor in 0..300 {
        allocator.acquire(ask(&format!("v{visitor}"))).unwrap();
    }
    let mut stream = allocator.subscribe_feed(None, None).unwrap();
    let (first, second) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    let lines = |chunk: &[u8]| chunk.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!((lines(&first), lines(&second)), (limits::FEED_BATCH + 1, 300 - limits::FEED_BATCH + 1));
    assert!(second.ends_with(b"\"revision\":300,\"records\":300}\n"));
}
