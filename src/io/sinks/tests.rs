use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::config::Secret;
use crate::core::event::Event;
use crate::core::event::cloud::tests::{ended, started};
use crate::core::event::{Body, Outcome};
use crate::ids::CallId;
use crate::io::{clock, journal};
use crate::time::Wall;

const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon's data folder with its journal.
struct Node {
    dir: tempfile::TempDir,
    journal: Journal,
}

impl Node {
    fn new() -> Node {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), journal::tests::options()).unwrap();
        Node { dir, journal }
    }

    fn write(&self, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| assert!(self.journal.append(event)));
        assert!(self.journal.flush(PATIENCE));
    }

    async fn sinks(&self, sink: &Sink) -> Sinks {
        let mut sinks = Sinks::new(self.journal.clone(), self.dir.path()).unwrap();
        sinks.rules.retry_first = Duration::from_millis(5);
        sinks.rules.probe_max = Duration::from_millis(5);
        assert!(sinks.apply(std::slice::from_ref(sink)).await.is_empty());
        sinks
    }

    fn jsonl(&self) -> Sink {
        Sink::Jsonl { name: "file".into(), path: self.dir.path().join("events.jsonl") }
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn cursor(&self, sink: &str) -> u64 {
        CursorFile::new(&self.dir.path().join("sinks"), sink).load().unwrap().unwrap().seq
    }
}

fn webhook(address: SocketAddr) -> Sink {
    Sink::Webhook {
        name: "crm".into(),
        url: format!("http://{address}/hook").parse().unwrap(),
        secret: Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()),
        headers: BTreeMap::from([("x-own".into(), "yes".into())]),
        allow_private: false,
    }
}

/// One request as the receiver saw it.
#[derive(Debug)]
struct Got {
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn call(&self) -> u128 {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["subject"].as_str().unwrap().parse::<CallId>().unwrap().0
    }

    fn kind(&self) -> String {
        serde_json::from_str::<Value>(&self.body).unwrap()["type"].as_str().unwrap().into()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

type Answers = Arc<Mutex<VecDeque<Response>>>;

/// A receiver that gives the scripted answers, then 204s, and shows what it got.
async fn receiver(answers: impl IntoIterator<Item = Response>) -> (SocketAddr, mpsc::UnboundedReceiver<Got>) {
    let (send, got) = mpsc::unbounded_channel();
    let answers: Answers = Arc::new(Mutex::new(answers.into_iter().collect()));
    async fn answer(
        State((send, answers)): State<(mpsc::UnboundedSender<Got>, Answers)>,
        headers: HeaderMap,
        body: String,
    ) -> Response {
        send.send(Got { headers, body }).unwrap();
        let next = answers.lock().unwrap().pop_front();
        next.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
    }
    let app = axum::Router::new().fallback(answer).with_state((send, answers));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, got)
}

async fn next(got: &mut mpsc::UnboundedReceiver<Got>) -> Got {
    tokio::time::timeout(PATIENCE, got.recv()).await.expect("a request in time").unwrap()
}

#[tokio::test]
async fn a_file_gets_every_event_once_and_goes_on_after_a_restart() {
    let node = Node::new();
    node.write([started(1), ended(1, Outcome::Busy)]);
    let mut sinks = node.sinks(&node.jsonl()).await;
    sinks.shutdown(PATIENCE).await;
    assert_eq!((node.lines().len(), node.cursor("file")), (2, 2));
    node.write([started(2)]);
    node.sinks(&node.jsonl()).await.shutdown(PATIENCE).await;
    let kinds: Vec<Value> = node.lines().iter().map(|line| line["type"].clone()).collect();
    assert_eq!(kinds, ["leaseline.call.started", "leaseline.call.ended", "leaseline.call.started"]);
    let mode = std::fs::metadata(node.dir.path().join("events.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_crash_between_line_and_cursor_or_in_a_line_doubles_nothing() {
    let node = Node::new();
    node.write((1..=5).map(started));
    node.sinks(&node.jsonl()).await.shutdown(PATIENCE).await;
    let path = node.dir.path().join("events.jsonl");
    let cursor_file = CursorFile::new(&node.dir.path().join("sinks"), "file");
    let whole = std::fs::read(&path).unwrap();
    let torn = whole.len() - 30;
    for (cursor, len) in [(0, whole.len()), (3, whole.len()), (3, torn), (4, torn), (0, 0)] {
        cursor_file.save(&Cursor::at(cursor)).unwrap();
        std::fs::write(&path, &whole[..len]).unwrap();
        node.sinks(&node.jsonl()).await.shutdown(PATIENCE).await;
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cursor {cursor}, {len} bytes");
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_begun_anew() {
    let node = Node::new();
    let mut sinks = node.sinks(&node.jsonl()).await;
    node.write([started(1)]);
    until(|| sinks.status()[0].cursor == 1).await;
    let path = node.dir.path().join("events.jsonl");
    std::fs::rename(&path, node.dir.path().join("old.jsonl")).unwrap();
    node.write([started(2)]);
    sinks.shutdown(PATIENCE).await;
    assert_eq!(node.lines().len(), 1);
    assert_eq!(node.lines()[0]["subject"], CallId(2).to_string());
}

/// Turns other tasks until it is so. Bounded by the clock.
async fn until(mut so: impl FnMut() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to be");
}

#[tokio::test]
async fn a_full_disk_stops_the_cursor_and_nothing_else() {
    let node = Node::new();
    let mut sinks = node.sinks(&Sink::Jsonl { name: "full".into(), path: "/dev/full".into() }).await;
    node.write([started(1)]);
    until(|| sinks.status()[0].failures > 0).await;
    let status = &sinks.status()[0];
    assert_eq!((status.cursor, status.lag, status.last_failure.as_deref()), (0, 1, Some("StorageFull")));
    sinks.shutdown(PATIENCE).await;
    assert_eq!(CursorFile::new(&node.dir.path().join("sinks"), "full").load().unwrap(), None);
}

#[tokio::test]
async fn a_webhook_is_signed_retried_with_the_same_id_and_moves_the_cursor() {
    let node = Node::new();
    let fail = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let (address, mut got) = receiver([fail(), fail()]).await;
    let mut sinks = node.sinks(&webhook(address)).await;
    node.write([started(1)]);
    let (first, second, third) = (next(&mut got).await, next(&mut got).await, next(&mut got).await);
    assert_eq!(first.header("webhook-id"), third.header("webhook-id"));
    assert_eq!((&first.body, &second.body), (&third.body, &third.body));
    let body: Value = serde_json::from_str(&third.body).unwrap();
    assert_eq!((body["specversion"].as_str(), body["id"].as_str()), (Some("1.0"), Some(third.header("webhook-id"))));
    assert_eq!(third.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(third.header("x-own"), "yes");
    // Checked as the specification tells a receiver to, not with the sink's own code.
    let signed = format!("{}.{}.{}", third.header("webhook-id"), third.header("webhook-timestamp"), third.body);
    let secret = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&secret.unwrap()).unwrap().chain_update(signed);
    let (version, signature) = third.header("webhook-signature").split_once(',').unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    assert_eq!(version, "v1");
    mac.verify_slice(&signature).unwrap();
    let sent_at: i64 = third.header("webhook-timestamp").parse().unwrap();
    assert!((clock::wall().0 / 1_000_000 - sent_at).abs() < 60);
    sinks.shutdown(PATIENCE).await;
    assert_eq!(node.cursor("crm"), 1);
}

#[tokio::test]
async fn a_stuck_call_does_not_hold_up_another_and_keeps_its_own_order() {
    let node = Node::new();
    let later = |seconds: &'static str| (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", seconds)]).into_response();
    let fail = || StatusCode::BAD_REQUEST.into_response();
    let (address, mut got) = receiver([fail(), later("0")]).await;
    let mut sinks = node.sinks(&webhook(address)).await;
    node.write([started(1), ended(1, Outcome::Busy), started(2), ended(2, Outcome::Busy)]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let got = next(&mut got).await;
        seen.push((got.call(), got.kind()));
    }
    for call in [1, 2] {
        let kinds: Vec<&str> = seen.iter().filter(|(of, _)| *of == call).map(|(_, kind)| &kind[15..]).collect();
        assert!(kinds.is_sorted_by_key(|kind| *kind == "ended") && kinds.ends_with(&["started", "ended"]), "{seen:?}");
    }
    sinks.shutdown(PATIENCE).await;
    assert_eq!(node.cursor("crm"), 4);
}

#[tokio::test]
async fn a_crash_between_delivery_and_cursor_sends_the_same_event_again() {
    let node = Node::new();
    let (address, mut got) = receiver([]).await;
    let mut sinks = node.sinks(&webhook(address)).await;
    node.write([started(1)]);
    let first = next(&mut got).await;
    sinks.shutdown(PATIENCE).await;
    CursorFile::new(&node.dir.path().join("sinks"), "crm").save(&Cursor::at(0)).unwrap();
    let mut sinks = node.sinks(&webhook(address)).await;
    let again = next(&mut got).await;
    assert_eq!((first.header("webhook-id"), &first.body), (again.header("webhook-id"), &again.body));
    sinks.shutdown(PATIENCE).await;
    assert_eq!(node.cursor("crm"), 1);
    let mut sinks = node.sinks(&webhook(address)).await;
    sinks.shutdown(PATIENCE).await;
    assert!(got.try_recv().is_err(), "a third time without need");
}

#[tokio::test]
async fn what_passed_a_stuck_event_is_not_sent_again_after_a_restart() {
    let node = Node::new();
    let stuck = (StatusCode::BAD_REQUEST, [("retry-after", "3600")]).into_response();
    let (address, mut got) = receiver([stuck]).await;
    let path = node.dir.path().join("sinks");
    std::fs::create_dir(&path).unwrap();
    node.write((1..=4).map(started));
    let cursor = Cursor { seq: 0, upto: Some(4), waiting: [2].into() };
    CursorFile::new(&path, "crm").save(&cursor).unwrap();
    let mut sinks = node.sinks(&webhook(address)).await;
    assert_eq!(next(&mut got).await.call(), 2);
    until(|| sinks.status()[0].failures == 1).await;
    sinks.shutdown(PATIENCE).await;
    let saved = CursorFile::new(&path, "crm").load().unwrap().unwrap();
    assert_eq!(saved, Cursor { seq: 1, ..cursor });
    let mut sinks = node.sinks(&webhook(address)).await;
    assert_eq!(next(&mut got).await.call(), 2);
    until(|| sinks.status()[0].cursor == 4).await;
    sinks.shutdown(PATIENCE).await;
    assert!(got.try_recv().is_err());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let node = Node::new();
    let (inside, mut hidden) = receiver([]).await;
    let moved = (StatusCode::TEMPORARY_REDIRECT, [("location", format!("http://{inside}/"))]).into_response();
    let (address, mut got) = receiver([moved]).await;
    let mut sinks = node.sinks(&webhook(address)).await;
    node.write([started(1)]);
    next(&mut got).await;
    next(&mut got).await;
    sinks.shutdown(PATIENCE).await;
    assert!(hidden.try_recv().is_err());
    assert_eq!(node.cursor("crm"), 1);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_where_the_address_itself_is_not() {
    let node = Node::new();
    let (address, mut got) = receiver([]).await;
    let Sink::Webhook { name, secret, headers, allow_private, .. } = webhook(address) else { unreachable!() };
    let url = format!("http://localhost:{}/hook", address.port()).parse().unwrap();
    let mut sinks = node.sinks(&Sink::Webhook { name, url, secret, headers, allow_private }).await;
    node.write([started(1)]);
    until(|| sinks.status()[0].last_failure.as_deref() == Some("address_refused")).await;
    assert!(got.try_recv().is_err());
    assert!(sinks.apply(&[webhook(address)]).await.is_empty());
    assert_eq!(next(&mut got).await.call(), 1, "the same sink with a better URL goes on where it was");
    sinks.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_sink_that_never_ends_its_answer_has_had_the_event() {
    let node = Node::new();
    let endless = tokio_stream::iter(std::iter::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 16 * 1024])));
    let endless = Response::new(axum::body::Body::from_stream(endless));
    let silent = Response::new(axum::body::Body::from_stream(tokio_stream::pending::<io::Result<Vec<u8>>>()));
    let (address, mut got) = receiver([endless, silent]).await;
    let mut sinks = node.sinks(&webhook(address)).await;
    node.write([started(1), started(2), started(3)]);
    for _ in 0..3 {
        next(&mut got).await;
    }
    until(|| sinks.status()[0].cursor == 3).await;
    sinks.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn what_is_given_up_can_be_sent_again() {
    let node = Node::new();
    let fail = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let (address, mut got) = receiver((0..2).map(|_| fail())).await;
    let mut sinks = Sinks::new(node.journal.clone(), node.dir.path()).unwrap();
    sinks.rules.retry_for = Duration::ZERO;
    assert!(sinks.apply(&[webhook(address)]).await.is_empty());
    node.write([started(1)]);
    let first = next(&mut got).await;
    until(|| sinks.status()[0].cursor == 1).await;
    assert_eq!(sinks.status()[0].dead, 1);
    assert_eq!(sinks.replay_dead("crm").await.unwrap(), DeadReplay { delivered: 0, kept: 1 });
    assert_eq!(sinks.replay_dead("crm").await.unwrap(), DeadReplay { delivered: 1, kept: 0 });
    assert_eq!(sinks.replay_dead("crm").await.unwrap(), DeadReplay::default());
    next(&mut got).await;
    let last = next(&mut got).await;
    assert_eq!((first.header("webhook-id"), &first.body), (last.header("webhook-id"), &last.body));
    assert!(matches!(sinks.replay_dead("file").await, Err(NoReplay::Unknown)));
    sinks.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_new_webhook_begins_now_and_gets_no_heartbeats() {
    let node = Node::new();
    node.write([started(1)]);
    let (address, mut got) = receiver([]).await;
    let mut sinks = node.sinks(&webhook(address)).await;
    let lease: crate::core::lease::Lease = serde_json::from_value(serde_json::json!({
        "lease_id": "00000000000000000000000000000001", "number": "+442079460001", "company": "acme",
        "site": "s", "pool": "p", "visitor_id": "v", "session": {}, "granted_at": "2026-01-01T00:00:00Z",
        "seen_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z",
        "hold_until": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    let lease = Arc::new(lease);
    let about = |body| Event { time: Wall(0), subject: CallId(7).to_string(), body };
    node.write([about(Body::LeaseRenewed(lease.clone())), about(Body::LeaseReleased(lease))]);
    assert_eq!(next(&mut got).await.kind(), "leaseline.lease.released");
    sinks.shutdown(PATIENCE).await;
    assert!(got.try_recv().is_err());
    assert_eq!(node.cursor("crm"), 3);
}

#[tokio::test]
async fn bad_sinks_are_named_and_the_others_run() {
    let node = Node::new();
    let mut sinks = Sinks::new(node.journal.clone(), node.dir.path()).unwrap();
    let at = |url: &str| Sink::Webhook {
        name: url.into(),
        url: url.parse().unwrap(),
        secret: Secret("x".into()),
        headers: BTreeMap::new(),
        allow_private: true,
    };
    let list = [at("http://169.254.169.254/"), at("file:///etc/passwd"), node.jsonl()];
    let bad: Vec<String> = sinks.apply(&list).await.iter().map(|bad| bad.name.clone()).collect();
    assert_eq!(bad, ["http://169.254.169.254/", "file:///etc/passwd"]);
    assert_eq!(sinks.status().len(), 1);
    assert!(sinks.apply(&[]).await.is_empty());
    assert_eq!(sinks.status(), []);
}
