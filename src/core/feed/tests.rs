//! The follower against an allocator's feed over a bad line, and against a bad allocator.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::event::Session;
use crate::core::lease::{Entry, LeaseTable};
use crate::ids::LeaseId;
use crate::limits;
use crate::time::{Mono, Now};

const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_790_000_000_000_000) };
const STALE: Duration = Duration::from_secs(30);

fn number(index: u8) -> E164 {
    E164::parse(&format!("+442079460{index:03}")).unwrap()
}

fn lease(id: u32, index: u8) -> Arc<Lease> {
    Arc::new(Lease {
        lease_id: LeaseId(id.into()),
        number: number(index),
        company: "acme".into(),
        site: "site".into(),
        pool: "web".into(),
        visitor_id: format!("v{id}"),
        session: Arc::new(Session::default()),
        granted_at: NOW.wall,
        seen_at: NOW.wall,
        expires_at: NOW.wall + Duration::from_secs(90),
        released_at: None,
        hold_until: NOW.wall + Duration::from_secs(1_800),
        shared: false,
        class: crate::core::lease::Class::Free,
        page: crate::core::lease::Page::default(),
    })
}

fn rules() -> FeedRules {
    FeedRules { numbers: (0..10).map(|index| (number(index), "acme".to_owned())).collect(), stale_after: STALE }
}

/// An allocator as seen from its feed.
struct Server {
    log: FeedLog,
    truth: BTreeMap<E164, Entry>,
    lives: u32,
}

impl Server {
    fn new() -> Server {
        Server { log: FeedLog::new("life-0".into(), 8), truth: BTreeMap::new(), lives: 0 }
    }

    fn push(&mut self, change: Change) {
        let entry = self.truth.entry(change.number().clone()).or_default();
        *entry = std::mem::take(entry).after(&change);
        if entry.is_empty() {
            self.truth.remove(change.number());
        }
        self.log.push(change);
    }

    /// Revisions begin anew, what is known stays.
    fn restart(&mut self) {
        self.lives += 1;
        self.log = FeedLog::new(format!("life-{}", self.lives), 8);
    }

    /// What a new connection is told, up to now.
    fn answer(&self, request: &Request) -> Result<Vec<Vec<u8>>, Gone> {
        match request {
            Request::After { revision, epoch } => {
                self.log.check(*revision, Some(epoch))?;
                let mut lines = vec![self.heartbeat(*revision)];
                lines.extend(self.since(*revision));
                Ok(lines)
            }
            Request::Snapshot => Ok(self.snapshot()),
        }
    }

    fn since(&self, after: u64) -> Vec<Vec<u8>> {
        self.log.after(after).unwrap().map(|(revision, change)| line(&FeedRecord::of(change, revision))).collect()
    }

    fn snapshot(&self) -> Vec<Vec<u8>> {
        let (epoch, revision) = (self.log.epoch(), self.log.revision());
        let mut lines = vec![line(&FeedRecord::SnapshotBegin { epoch, revision })];
        for entry in self.truth.values() {
            lines.extend(entry.past.iter().rev().map(|lease| line(&FeedRecord::Ended { revision, lease })));
            lines.extend(entry.holders.iter().rev().map(|lease| line(&FeedRecord::Lease { revision, lease })));
        }
        let records = lines.len() as u64 - 1;
        lines.push(line(&FeedRecord::SnapshotEnd { epoch, revision, records }));
        lines
    }

    fn heartbeat(&self, revision: u64) -> Vec<u8> {
        line(&FeedRecord::Heartbeat { epoch: self.log.epoch(), revision, time: NOW.wall })
    }
}

fn line(record: &FeedRecord<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    bytes
}

/// A follower with its table, and the line to the server.
struct Client {
    follower: FeedFollower,
    table: LeaseTable,
    /// Written by the server, not yet read.
    inbox: Vec<Vec<u8>>,
    connected: bool,
}

impl Client {
    fn new() -> Client {
        let table = LeaseTable::new();
        table.set_stale(true);
        Client { follower: FeedFollower::new(NOW, rules()), table, inbox: Vec::new(), connected: false }
    }

    fn connect(&mut self, server: &Server) {
        let request = self.follower.handle_connect();
        self.inbox = match server.answer(&request) {
            Ok(lines) => lines,
            Err(Gone) => {
                self.follower.handle_gone();
                server.answer(&self.follower.handle_connect()).unwrap()
            }
        };
        self.connected = true;
    }

    fn read(&mut self) {
        for bytes in std::mem::take(&mut self.inbox) {
            // In two pieces, as a network would.
            let (head, tail) = bytes.split_at(bytes.len() / 3);
            for piece in [head, tail] {
                if self.feed(piece) != Verdict::GoOn {
                    self.connected = false;
                    return;
                }
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Verdict {
        let mut out = Vec::new();
        let verdict = self.follower.handle_bytes(NOW, bytes, &mut out);
        out.iter().for_each(|change| change.apply_to(&self.table));
        verdict
    }

    fn map(&self) -> BTreeMap<E164, Entry> {
        let entry = |index| Some((number(index), Entry::clone(&*self.table.lookup(&number(index))?)));
        (0..10).filter_map(entry).collect()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Active(u32, u8),
    Ended(u32, u8),
    Removed(u8),
    Read,
    /// Loses one line on the way.
    Lose(usize),
    Double(usize),
    Swap(usize),
    Cut,
    SnapshotInMidStream,
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..30u32, 0..6u8).prop_map(|(id, index)| Op::Active(id, index)),
        4 => (0..30u32, 0..6u8).prop_map(|(id, index)| Op::Ended(id, index)),
        1 => (0..6u8).prop_map(Op::Removed),
        6 => Just(Op::Read),
        1 => (0..20usize).prop_map(Op::Lose),
        1 => (0..20usize).prop_map(Op::Double),
        1 => (0..20usize).prop_map(Op::Swap),
        1 => Just(Op::Cut),
        1 => Just(Op::SnapshotInMidStream),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 0..80)
}

proptest! {
    /// Lost, doubled and reordered lines, broken connections, a new life of the allocator, a snapshot in mid-stream:
    /// in the end the table is the allocator's map (H02).
    #[test]
    fn ends_equal(ops in ops()) {
        let (mut server, mut client) = (Server::new(), Client::new());
        for op in &ops {
            let before = server.log.revision();
            match *op {
                Op::Active(id, index) => server.push(Change::Active(lease(id, index))),
                Op::Ended(id, index) => server.push(Change::Ended(lease(id, index))),
                Op::Removed(index) => server.push(Change::Removed(number(index))),
                Op::Read => {
                    if !client.connected {
                        client.connect(&server);
                    }
                    client.read();
                }
                Op::Lose(at) if at < client.inbox.len() => drop(client.inbox.remove(at)),
                Op::Double(at) if at < client.inbox.len() => client.inbox.push(client.inbox[at].clone()),
                Op::Swap(at) if at + 1 < client.inbox.len() => client.inbox.swap(at, at + 1),
                Op::SnapshotInMidStream if client.connected => client.inbox.extend(server.snapshot()),
                Op::Cut => client.connected = false,
                Op::Restart => {
                    server.restart();
                    client.connected = false;
                }
                Op::Lose(_) | Op::Double(_) | Op::Swap(_) | Op::SnapshotInMidStream => {}
            }
            if client.connected && server.log.revision() > before {
                client.inbox.extend(server.since(before));
            }
        }
        // The line is good from here on; a heartbeat shows what was lost before it.
        for _ in 0..5 {
            if !client.connected {
                client.connect(&server);
            }
            client.inbox.push(server.heartbeat(server.log.revision()));
            client.read();
        }
        prop_assert!(client.connected, "five tries: {:?}", client.follower.counts());
        prop_assert_eq!(client.map(), server.truth);
        prop_assert!(!client.table.is_stale());
    }

    /// Garbage neither panics nor changes the table.
    #[test]
    fn garbage(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut client = following();
        let before = client.map();
        for chunk in &chunks {
            if client.feed(chunk) != Verdict::GoOn {
                client.follower.handle_connect();
            }
        }
        prop_assert_eq!(client.map(), before);
    }
}

/// A client in step with a server that has one lease.
fn following() -> Client {
    let (mut server, mut client) = (Server::new(), Client::new());
    server.push(Change::Active(lease(1, 1)));
    client.connect(&server);
    client.read();
    assert_eq!(client.map(), server.truth);
    client
}

fn edited(edit: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut record = json!({"type": "lease", "revision": 2, "lease": lease(2, 1)});
    edit(&mut record);
    let mut bytes = serde_json::to_vec(&record).unwrap();
    bytes.push(b'\n');
    bytes
}

/// Entries that break a rule are counted and skipped, the rest of the feed goes on (H03).
#[test]
fn hostile_entries() {
    type Edit = fn(&mut serde_json::Value);
    let table: &[(&str, Edit)] = &[
        ("foreign_number", |r| r["lease"]["number"] = json!("+15550100")),
        ("foreign_company", |r| r["lease"]["company"] = json!("other")),
        ("bad_lease", |r| r["lease"]["number"] = json!("+44２０")),
        ("bad_lease", |r| r["lease"]["lease_id"] = json!("x")),
        ("bad_lease", |r| r["lease"] = json!(7)),
        ("bad_lease", |r| drop(r.as_object_mut().unwrap().remove("lease"))),
        ("bad_lease", |r| r["lease"]["visitor_id"] = json!("a\r\nb")),
        ("bad_lease", |r| r["lease"]["pool"] = json!("p".repeat(5_000))),
        ("bad_time", |r| r["lease"]["granted_at"] = json!("9999-01-01T00:00:00Z")),
        ("bad_time", |r| r["lease"]["seen_at"] = json!("9999-01-01T00:00:00Z")),
        ("bad_time", |r| r["lease"]["expires_at"] = json!("9999-01-01T00:00:00Z")),
        ("bad_time", |r| r["lease"]["hold_until"] = json!("9999-01-01T00:00:00Z")),
        ("unknown_type", |r| r["type"] = json!("shutdown")),
    ];
    for (code, edit) in table {
        let mut client = following();
        let before = client.map();
        assert_eq!(client.feed(&edited(*edit)), Verdict::GoOn, "{code}");
        assert_eq!(client.follower.counts().refused, [(*code, 1)].into());
        assert_eq!(client.map(), before, "{code}");
        let mut next = json!({"type": "lease", "revision": 3, "lease": lease(3, 1)}).to_string().into_bytes();
        next.push(b'\n');
        assert_eq!(client.feed(&next), Verdict::GoOn, "the refused record had its revision: {code}");
        assert_eq!(client.table.lookup(&number(1)).unwrap().active(), Some(&lease(3, 1)));
    }
}

/// Records that the protocol does not allow end the connection and leave the table alone.
#[test]
fn hostile_streams() {
    let end = |records: u64| json!({"type": "snapshot_end", "epoch": "x", "revision": 9, "records": records});
    let begin = json!({"type": "snapshot_begin", "epoch": "x", "revision": 9});
    let table: Vec<(&str, Vec<serde_json::Value>)> = vec![
        ("snapshot_broken", vec![end(0)]),
        ("snapshot_broken", vec![begin.clone(), end(1)]),
        ("snapshot_broken", vec![begin.clone(), json!({"type": "lease", "revision": 10, "lease": lease(2, 2)})]),
        ("snapshot_broken", vec![begin.clone(), json!({"type": "snapshot_end", "epoch": "y", "revision": 9})]),
        ("snapshot_broken", vec![json!({"type": "snapshot_begin", "epoch": "e".repeat(65), "revision": 9})]),
        ("snapshot_broken", vec![json!({"type": "snapshot_begin", "epoch": "x"})]),
        ("gap", vec![json!({"type": "lease", "revision": 3, "lease": lease(2, 2)})]),
        ("gap", vec![json!({"type": "lease", "revision": u64::MAX, "lease": lease(2, 2)})]),
        ("gap", vec![json!({"type": "heartbeat", "epoch": "life-0", "revision": 2})]),
        ("new_epoch", vec![json!({"type": "heartbeat", "epoch": "life-1", "revision": 1})]),
        ("revision_back", vec![json!({"type": "heartbeat", "epoch": "life-0", "revision": 0})]),
    ];
    for (code, records) in table {
        let mut client = following();
        let before = client.map();
        let bytes: Vec<u8> = records.iter().flat_map(|record| format!("{record}\n").into_bytes()).collect();
        assert_eq!(client.feed(&bytes), Verdict::Resync(code), "{records:?}");
        assert_eq!(client.map(), before);
        assert_eq!(client.follower.counts().resyncs, [(code, 1)].into());
    }
}

/// Ten million lines about numbers that are not ours cost nothing but time, and one more ends the snapshot.
#[test]
fn a_huge_snapshot_is_counted_not_kept() {
    let mut client = following();
    client.feed(b"{\"type\":\"snapshot_begin\",\"epoch\":\"x\",\"revision\":9}\n");
    let foreign = edited(|record| {
        record["revision"] = json!(9);
        record["lease"]["number"] = json!("+15550100");
    });
    for _ in 0..1_000 {
        assert_eq!(client.feed(&foreign), Verdict::GoOn);
    }
    let end = b"{\"type\":\"snapshot_end\",\"epoch\":\"x\",\"revision\":9,\"records\":1000}\n";
    assert_eq!(client.feed(end), Verdict::GoOn);
    assert_eq!(client.follower.counts().refused, [("foreign_number", 1_000)].into());
    assert!(client.map().is_empty(), "the allocator says that nobody has a number of ours");
}

/// A line without end does not grow our memory, and the follower gets over it by a snapshot.
#[test]
fn a_line_too_long() {
    let mut server = Server::new();
    let mut client = Client::new();
    client.connect(&server);
    client.read();
    for _ in 0..limits::FEED_LINE / 1_000 + 2 {
        assert_eq!(client.feed(&[b'x'; 1_000]), Verdict::GoOn);
    }
    assert_eq!(client.feed(b"\n"), Verdict::GoOn);
    assert_eq!(client.follower.counts().refused, [("line_too_long", 1)].into());
    server.push(Change::Active(lease(1, 1)));
    server.push(Change::Active(lease(2, 2)));
    // The first change always comes out as that line, so resuming never helps.
    for expected in [Request::After { revision: 0, epoch: "life-0".into() }, Request::Snapshot] {
        assert_eq!(client.feed(&server.since(1)[0]), Verdict::Resync("gap"));
        assert_eq!(client.follower.handle_connect(), expected);
        let resumed = server.heartbeat(0);
        if expected != Request::Snapshot {
            assert_eq!(client.feed(&resumed), Verdict::GoOn);
        }
    }
    client.connect(&server);
    client.read();
    assert_eq!(client.map(), server.truth);
}

#[test]
fn stale_after_silence_and_fresh_after_a_word() {
    let mut client = following();
    assert!(!client.table.is_stale());
    let (due, _) = client.follower.poll_timeout().unwrap();
    assert_eq!(due, NOW.mono + STALE);
    let mut out = Vec::new();
    client.follower.handle_timeout(NOW.after(STALE - Duration::from_millis(1)), &mut out);
    assert_eq!(out, []);
    client.follower.handle_timeout(NOW.after(STALE), &mut out);
    assert_eq!(out, [TableChange::Stale(true)]);
    assert_eq!(client.follower.poll_timeout(), None);
    out.clear();
    let heartbeat = b"{\"type\":\"heartbeat\",\"epoch\":\"life-0\",\"revision\":1,\"time\":\"2026-11-21T10:00:00Z\"}\n";
    client.follower.handle_bytes(NOW.after(STALE * 2), heartbeat, &mut out);
    assert_eq!(out, [TableChange::Stale(false)]);
}

#[test]
fn the_log_keeps_so_much_and_no_more() {
    let mut log = FeedLog::new("e".into(), 3);
    for id in 1..=5 {
        assert_eq!(log.push(Change::Active(lease(id, 1))), u64::from(id));
    }
    let revisions = |after| log.after(after).map(|changes| changes.map(|(revision, _)| revision).collect::<Vec<_>>());
    assert_eq!(revisions(5), Ok(vec![]));
    assert_eq!(revisions(2), Ok(vec![3, 4, 5]));
    assert_eq!(revisions(1), Err(Gone), "too old");
    assert_eq!(revisions(6), Err(Gone), "from the future");
    assert_eq!(log.check(5, Some("e")), Ok(()));
    assert_eq!(log.check(5, Some("f")), Err(Gone));
}

#[test]
fn new_numbers_need_a_snapshot() {
    let mut client = following();
    client.follower.reconfigure(FeedRules { numbers: HashMap::new(), stale_after: STALE });
    assert_eq!(client.follower.handle_connect(), Request::Snapshot);
}
