//! The index: what it keeps, and how it stays true.

mod calls;
mod life;
mod reports;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::core::event::{Attribution, AttributionKind, Body, CallData, Candidate, Event, Outcome, Session};
use crate::core::lease::{Class, Lease, Page as LeasePage};
use crate::ids::{CallId, E164, LeaseId};
use crate::io::journal::{OnDamage, Options};
use crate::time::Wall;

pub(crate) const CONFIG: &str = r#"
[node]
id = "edge-1"
[sip]
listen = ["udp://127.0.0.1:5060"]
[media]
address = "127.0.0.1"
[http]
listen = "127.0.0.1:8080"
[[trunk]]
name = "carrier"
match = ["127.0.0.0/8"]
[[company]]
name = "acme"
time_zone = "Europe/London"
currency = "GBP"
forward_to = ["sip:+442079460999@127.0.0.1:5080"]
[[company]]
name = "other"
forward_to = ["sip:+442079460998@127.0.0.1:5080"]
[[site]]
name = "acme-site"
company = "acme"
origins = ["https://acme.example"]
[[pool]]
name = "acme-web"
company = "acme"
site = "acme-site"
kind = "dynamic"
numbers = ["+442079460000..+442079460009"]
quality_talk = "60s"
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard", medium = "offline", campaign = "ring road" }
"#;

/// Noon of 21 November 2026, in microseconds.
pub(crate) const NOON: i64 = 1_795_262_400_000_000;
pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const DAY: i64 = 86_400_000_000;

/// A journal with its index.
pub(crate) struct World {
    pub(crate) index: Index,
    pub(crate) journal: Journal,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn config(text: &str) -> Config {
    Config::parse(text, "test", Path::new("")).unwrap()
}

pub(crate) fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    let index = Index::start(folder.path(), journal.clone(), &config(CONFIG)).unwrap();
    World { index, journal, folder }
}

pub(crate) fn journal(folder: &Path) -> Journal {
    let options = Options { source: "leaseline/edge-1".into(), seed: [7; 32], on_damage: OnDamage::Refuse };
    Journal::open(folder, options).unwrap().0
}

impl World {
    pub(crate) fn tell(&self, at: i64, body: Body) {
        assert!(self.journal.append(Event { time: Wall(at), subject: "x".into(), body }));
    }

    /// All that was told is in the index.
    pub(crate) fn settle(&self) {
        assert!(self.journal.flush(Duration::from_secs(60)));
        self.index.settle();
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, IndexError>) -> T {
        self.settle();
        self.index.read(read).unwrap()
    }

    /// A visit of this visitor, from this campaign.
    pub(crate) fn visit(&self, n: u128, visitor: &str, at: i64, utm: &[(&str, &str)]) -> Arc<Lease> {
        let lease = Arc::new(lease(n, visitor, at, utm));
        self.tell(at, Body::LeaseGranted(Arc::clone(&lease)));
        lease
    }

    /// A whole call.
    pub(crate) fn call(&self, data: CallData) {
        let ended = data.ended_at.unwrap_or(data.started_at).0;
        let started = CallData { ended_at: None, outcome: None, answered_at: None, talk_ms: 0, ..data.clone() };
        self.tell(data.started_at.0, Body::CallStarted(Box::new(started)));
        self.tell(ended, Body::CallEnded(Box::new(data)));
    }

    /// Every row of every table but `meta`, as text.
    pub(crate) fn dump(&self) -> BTreeMap<String, Vec<String>> {
        self.read(|reader| Ok(dump(reader.connection)))
    }
}

pub(crate) fn dump(connection: &rusqlite::Connection) -> BTreeMap<String, Vec<String>> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'meta'";
    let mut statement = connection.prepare(tables).unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |name: &String| {
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<Vec<_>>().join("|"))
        };
        let mut rows: Vec<String> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
        rows.sort();
        rows
    };
    names.iter().map(|name| (name.clone(), rows(name))).collect()
}

pub(crate) fn session(utm: &[(&str, &str)]) -> Arc<Session> {
    let utm = utm.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Arc::new(Session { landing_page: Some("https://acme.example/kitchens".into()), utm, ..Session::default() })
}

pub(crate) fn lease(n: u128, visitor: &str, at: i64, utm: &[(&str, &str)]) -> Lease {
    Lease {
        lease_id: LeaseId(n),
        number: E164::parse("+442079460001").unwrap(),
        company: "acme".into(),
        site: "acme-site".into(),
        pool: "acme-web".into(),
        visitor_id: visitor.into(),
        session: session(utm),
        granted_at: Wall(at),
        seen_at: Wall(at),
        expires_at: Wall(at + MINUTE),
        released_at: None,
        hold_until: Wall(at + 30 * MINUTE),
        shared: false,
        class: Class::Free,
        page: LeasePage { region: Some("GB-LND".into()), ..LeasePage::default() },
    }
}

/// An answered call of a minute and a half to the web pool, of a caller nobody knows.
pub(crate) fn call(n: u64, at: i64) -> CallData {
    let id = CallId((u128::try_from(at / 1_000).unwrap() << 80) | u128::from(n));
    CallData {
        company: "acme".into(),
        pool: "acme-web".into(),
        caller: Some(format!("+4420794601{n:02}")),
        trunk: "carrier".into(),
        answered_at: Some(Wall(at + 5_000_000)),
        ended_at: Some(Wall(at + 95_000_000)),
        ring_ms: 5_000,
        talk_ms: 90_000,
        outcome: Some(Outcome::Answered),
        forwarded_to: Some("sip:+442079460999@127.0.0.1:5080".into()),
        ..CallData::new(id, E164::parse("+442079460001").unwrap(), Attribution::default(), Wall(at))
    }
}

/// Attributed to a visitor with this probability.
pub(crate) fn by_visitor(visitor: &str, confidence: f64, lease: Option<u128>, utm: &[(&str, &str)]) -> Attribution {
    Attribution {
        kind: AttributionKind::Visitor,
        method: "active_lease".into(),
        confidence,
        lease_id: lease.map(LeaseId),
        visitor_id: Some(visitor.into()),
        session: Some(session(utm)),
        nobody: 1.0 - confidence,
        candidates: vec![Candidate { visitor_id: visitor.into(), probability: confidence, evidence: Vec::new() }],
        ..Attribution::default()
    }
}

pub(crate) fn by_billboard() -> Attribution {
    let channel = [("source", "billboard"), ("medium", "offline"), ("campaign", "ring road")];
    Attribution {
        kind: AttributionKind::Static,
        method: "static_channel".into(),
        confidence: 1.0,
        channel: Some(Arc::new(channel.map(|(key, value)| (key.to_owned(), value.to_owned())).into())),
        ..Attribution::default()
    }
}
