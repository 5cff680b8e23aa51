//! Every route, asked through the router itself, without a socket; and the server with one.

mod access;
mod archive;
mod bans;
mod callrail;
mod calls;
mod catalogue;
mod console;
mod events;
mod heard;
mod leases;
mod pause;
mod people;
mod rest;
mod rights;
mod schema;
mod screens;
mod socket;
mod visitor;
mod work;

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tower::ServiceExt;

use super::*;
use crate::core::event::{Attribution, Body as EventBody, CallData, Event, Outcome};
use crate::core::keeper::Keeper;
use crate::core::lease::LeaseTable;
use crate::ids::{CallId, E164};
use crate::io::allocator::Setup;
use crate::io::journal::{OnDamage, Options};
use crate::time::{Mono, Now, Wall};

const SITE: &str = "https://acme.example";
const TOKEN: &str = "a-long-random-text-for-tests";

const CONFIG: &str = r#"
[node]
id = "test-1"
data_dir = "data"
[sip]
listen = ["udp://127.0.0.1:5060"]
[media]
address = "127.0.0.1"
[http]
listen = "127.0.0.1:8080"
#TOKEN#
[[trunk]]
name = "carrier"
match = ["127.0.0.0/8"]
[[company]]
name = "acme"
forward_to = ["sip:+442079460999@127.0.0.1:5080"]
[[company]]
name = "other"
forward_to = ["sip:+442079460998@127.0.0.1:5080"]
[[site]]
name = "acme-site"
company = "acme"
origins = ["https://acme.example"]
[[site]]
name = "other-site"
company = "other"
origins = ["https://other.example"]
[[pool]]
name = "acme-web"
company = "acme"
site = "acme-site"
kind = "dynamic"
numbers = ["+442079460000..+442079460001"]
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard", medium = "offline", campaign = "ring road" }
"#;

struct World {
    state: Arc<AppState>,
    router: Router,
    folder: tempfile::TempDir,
}

/// A daemon's HTTP side with two numbers to lease; `token` as configured.
fn world(token: Option<&str>) -> World {
    world_with(token, None)
}

fn world_with(token: Option<&str>, demo: Option<Arc<Demo>>) -> World {
    // Nobody listens there.
    world_asking(token, demo, mpsc::unbounded_channel().0)
}

fn world_asking(token: Option<&str>, demo: Option<Arc<Demo>>, signalling: mpsc::UnboundedSender<Command>) -> World {
    world_of(CONFIG, token, demo, signalling)
}

/// The same, with somebody who takes changes of the catalogue.
fn world_changing(config: &str) -> World {
    let (orders, mut asked) = mpsc::channel(4);
    let world = world_ordered(config, None, None, mpsc::unbounded_channel().0, orders);
    let file = world.folder.path().join("leaseline.toml");
    std::fs::write(&file, config).unwrap();
    let (state, folder) = (Arc::clone(&world.state), world.folder.path().to_owned());
    tokio::spawn(async move {
        let mut store = crate::io::catalogue::Store::open(&folder).unwrap();
        while let Some(ask) = asked.recv().await {
            use crate::io::catalogue::{Ask, Refused};
            let file = Some(file.as_path());
            match ask {
                Ask::Show { version, answer } => drop(answer.send(store.show(version, file))),
                Ask::Check { catalogue, answer } => drop(answer.send(store.wrong(*catalogue, file))),
                Ask::Versions { limit, answer } => drop(answer.send(store.versions(limit).map_err(Refused::Io))),
                Ask::Take { wanted, answer } => {
                    let taken = store.take(*wanted, &state.config.load(), file, Wall(0));
                    let shown = taken.and_then(|(_, config)| {
                        state.config.store(Arc::new(config));
                        store.show(None, file)
                    });
                    drop(answer.send(shown));
                }
            }
        }
    });
    world
}

/// The same with another configuration.
fn world_of(
    config: &str,
    token: Option<&str>,
    demo: Option<Arc<Demo>>,
    signalling: mpsc::UnboundedSender<Command>,
) -> World {
    // Nobody answers them here; tests/binary changes catalogues.
    world_ordered(config, token, demo, signalling, mpsc::channel(1).0)
}

fn world_ordered(
    config: &str,
    token: Option<&str>,
    demo: Option<Arc<Demo>>,
    signalling: mpsc::UnboundedSender<Command>,
    orders: Orders,
) -> World {
    let folder = tempfile::tempdir().unwrap();
    let text = config.replace("#TOKEN#", &token.map(|t| format!("token = \"{t}\"")).unwrap_or_default());
    let config = Config::parse(&text, "test", folder.path()).unwrap();
    let options = Options { source: "leaseline/test-1".into(), seed: [1; 32], on_damage: OnDamage::Refuse };
    let (journal, _) = Journal::open(&config.node.data_dir, options).unwrap();
    let now = Now { mono: Mono(1_000_000_000), wall: Wall::parse_rfc3339("2026-11-21T10:00:00Z").unwrap() };
    let events = journal.clone();
    let setup = Setup {
        config: &config,
        clock: Arc::new(move || now),
        seed: [2; 32],
        table: Arc::new(LeaseTable::new()),
        events: Box::new(move |event| {
            events.append(event);
        }),
    };
    let allocator = AllocatorHandle::start(setup, std::iter::empty());
    let (data_dir, people_journal) = (config.node.data_dir.clone(), journal.clone());
    let readiness = Arc::new(Readiness::default());
    readiness.set(Phase::Ready);
    let keeper = KeeperHandle::new(Keeper::new(&config, [3; 32]));
    let exports = Arc::new(Exports::new(journal.clone(), Arc::new(config.clone())).unwrap());
    let index = Index::start(&config.node.data_dir, journal.clone(), &config).unwrap();
    let config = Arc::new(ArcSwap::from_pointee(config));
    let archive = Arc::new(Archive::open(Arc::clone(&config), journal.clone(), Default::default()).unwrap());
    let state = AppState::new(Parts {
        config,
        archive,
        keeper,
        exports,
        metrics: Arc::new(Metrics::new()),
        allocator,
        journal,
        index,
        live: Arc::new(LiveCalls::new(|_| true)),
        messages: Arc::new(Messages::new(1 << 20)),
        orders,
        ledger: Arc::default(),
        people: Arc::new(People::open(&data_dir, Some(people_journal)).unwrap()),
        readiness,
        board: Arc::default(),
        signalling,
        demo,
    });
    World { router: router(state.clone()), state, folder }
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem document, and gives its code.
    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        body["code"].as_str().unwrap().to_owned()
    }
}

impl World {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(parts.headers.get("x-content-type-options").unwrap(), "nosniff", "{method} {path}");
        let has_policy = parts.headers.contains_key("content-security-policy");
        assert_eq!(has_policy, parts.status != StatusCode::NOT_MODIFIED, "{method} {path}");
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], Body::empty()).await
    }

    /// A page of the site asks.
    async fn page(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask("POST", path, &[("origin", SITE), ("content-type", "text/plain")], body).await
    }

    async fn lease(&self, visitor: &str) -> Value {
        let answer = self.page("/v1/leases", json!({ "site": "acme-site", "visitor_id": visitor }).to_string()).await;
        assert_eq!(answer.status, 201);
        answer.json()
    }

    /// Journals an event the way the daemon does.
    fn tell(&self, body: EventBody, subject: &str) {
        let event = Event { time: Wall::parse_rfc3339("2026-11-21T10:00:00Z").unwrap(), subject: subject.into(), body };
        self.state.live.on_event(&event);
        assert!(self.state.journal.append(event));
        assert!(self.state.journal.flush(Duration::from_secs(10)));
        self.state.index.settle();
    }

    fn call(&self, minute: u64, outcome: Option<Outcome>) -> CallId {
        let data = call_data(minute, outcome);
        let id = data.call_id;
        let data = Box::new(data);
        let body = if outcome.is_some() { EventBody::CallEnded(data) } else { EventBody::CallStarted(data) };
        self.tell(body, &id.to_string());
        id
    }
}

fn call_data(minute: u64, outcome: Option<Outcome>) -> CallData {
    let started = Wall::parse_rfc3339("2026-11-21T10:00:00Z").unwrap() + Duration::from_secs(60 * minute);
    CallData {
        call_id: CallId((u128::try_from(started.0 / 1_000).unwrap() << 80) | u128::from(minute)),
        company: "acme".into(),
        pool: "acme-web".into(),
        number: E164::parse("+442079460001").unwrap(),
        caller: Some(format!("+4479000000{minute:02}")),
        caller_reason: None,
        caller_name: None,
        caller_note: None,
        privacy: None,
        diversion: Vec::new(),
        trunk: "carrier".into(),
        via: None,
        pbx_call_id: None,
        participants: Vec::new(),
        forwarded_to: Some("sip:+442079460999@127.0.0.1:5080".into()),
        started_at: started,
        ringing_at: None,
        answered_at: None,
        ended_at: outcome.map(|_| started + Duration::from_secs(30)),
        ring_ms: 2_000,
        talk_ms: 28_000,
        outcome,
        sip_status: Some(200),
        reason: None,
        hangup_by: None,
        q850_cause: None,
        sip_reason: None,
        stir: None,
        attribution: Attribution::default(),
        transfers: Vec::new(),
        prompts: Vec::new(),
        dtmf: Vec::new(),
        recording: None,
        media: None,
        route: None,
    }
}
