//! Exports at work, without a network: the contract servers answer in the same process, and the world ends at any step.

mod changes;
#[path = "../../../tests/contracts/mod.rs"]
mod contracts;
mod refusals;
mod steps;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use self::contracts::{Contract, Got};
use super::client::Client;
use super::store::Store;
use super::worker::{Order, Status, Stopped, Trip, Worker};
use crate::config::Config;
use crate::config::export::Export;
use crate::core::event::cloud::tests::{call, event};
use crate::core::event::work::{ConsentData, LabelledData, ValuedData, WorkEvent};
use crate::core::event::{Attribution, AttributionKind, Body, CallData, Outcome, Session};
use crate::core::export::{Answer, Request, destination};
use crate::ids::CallId;
use crate::io::clock;
use crate::io::journal::{Journal, OnDamage, Options};

/// One export with its file, its journal and its destination.
pub(super) struct World<C> {
    folder: tempfile::TempDir,
    journal: Journal,
    pub(super) config: Arc<Config>,
    pub(super) contract: Arc<Mutex<C>>,
    /// Answers that are given instead of the contract's, the first first; 0: nothing comes, though it arrived.
    pub(super) faults: Arc<Mutex<Vec<u16>>>,
}

const BASE: &str = "[node]\ndata_dir = \"data\"\n[sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n[media]\naddress = \"127.0.0.1\"\n\
    [[company]]\nname = \"acme\"\nforward_to = [\"sip:a@127.0.0.1:5080\"]\n";

impl<C: Contract + Default + 'static> World<C> {
    pub(super) fn new(export: &str) -> World<C> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{BASE}[[export]]\nname = \"out\"\n{export}");
        let config = Config::parse(&text, "test", folder.path()).unwrap_or_else(|problems| panic!("{problems}"));
        let options = Options { source: "leaseline/test".into(), seed: [7; 32], on_damage: OnDamage::Refuse };
        let (journal, _) = Journal::open(folder.path(), options).unwrap();
        let (contract, faults) = (Arc::new(Mutex::new(C::default())), Arc::default());
        World { folder, journal, config: Arc::new(config), contract, faults }
    }

    pub(super) fn export(&self) -> Arc<Export> {
        Arc::clone(&self.config.exports[0])
    }

    pub(super) fn append(&self, n: u128, body: Body) {
        self.journal.append(event(n, body));
        assert!(self.journal.flush(Duration::from_secs(10)));
    }

    pub(super) fn ended(&self, call: CallData) {
        self.append(call.call_id.0, Body::CallEnded(Box::new(call)));
    }

    pub(super) fn label(&self, n: u128, label: Option<&str>) {
        let label = label.map(str::to_owned);
        let data = LabelledData { call_id: CallId(n), company: "acme".into(), by: "ann".into(), label, rule: None };
        self.append(n, Body::Work(Box::new(WorkEvent::Labelled(data))));
    }

    pub(super) fn value(&self, n: u128, value: i64) {
        let data = ValuedData {
            call_id: CallId(n),
            company: "acme".into(),
            by: "ann".into(),
            deal_id: None,
            stage: None,
            value,
            currency: "EUR".into(),
        };
        self.append(n, Body::Work(Box::new(WorkEvent::Valued(data))));
    }

    pub(super) fn consent(&self, n: u128, phone: &str, consent: bool) {
        let data = ConsentData { company: "acme".into(), phone: phone.into(), consent, by: "ann".into() };
        self.append(n, Body::Work(Box::new(WorkEvent::ContactConsented(data))));
    }

    pub(super) fn store(&self) -> Store {
        super::open(self.folder.path(), "out", 0).unwrap()
    }

    /// Works until nothing more can be done now, or until the n-th step.
    pub(super) async fn work(&self, steps: Option<i64>) -> Result<(), Stopped> {
        let export = self.export();
        let (contract, faults) = (Arc::clone(&self.contract), Arc::clone(&self.faults));
        let script = move |request: &Request| answer(&contract, &faults, request);
        let (_keep, mut order) = watch::channel(Order::Drain);
        let config = Arc::clone(&self.config);
        let store = Arc::new(self.store());
        let worker = Worker {
            destination: destination(&export),
            store: Arc::clone(&store),
            client: Arc::new(Client::scripted(&export, self.folder.path(), Box::new(script))),
            export,
            journal: self.journal.clone(),
            status: Arc::new(Status::default()),
            config: Box::new(move || Arc::clone(&config)),
            wake: Arc::new(Notify::new()),
            trip: Trip { left: steps.map(|steps| Arc::new(AtomicI64::new(steps))) },
        };
        let ended = Arc::new(worker).work(&mut order).await;
        // A kill ends threads too; here they are waited for.
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
        ended
    }

    pub(super) fn counted(&self) -> Vec<String> {
        let mut counted = self.contract().counted();
        counted.sort();
        counted
    }

    pub(super) fn contract(&self) -> std::sync::MutexGuard<'_, C> {
        self.contract.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `data` of the journal's events of this type.
    pub(super) fn told(&self, kind: &str) -> Vec<serde_json::Value> {
        assert!(self.journal.flush(Duration::from_secs(10)));
        let records = self.journal.read(0, 1_000).unwrap();
        let events = records.iter().map(|record| serde_json::from_str::<serde_json::Value>(&record.event).unwrap());
        events.filter(|event| event["type"] == format!("leaseline.{kind}")).map(|event| event["data"].clone()).collect()
    }
}

fn answer<C: Contract>(contract: &Mutex<C>, faults: &Mutex<Vec<u16>>, request: &Request) -> Answer {
    let url = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    let got = Got::new(request.method, &url, request.headers.clone(), &request.body);
    let fault = {
        let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.is_empty() { None } else { Some(faults.remove(0)) }
    };
    let mut contract = contract.lock().unwrap_or_else(PoisonError::into_inner);
    match fault {
        Some(0) => {
            contract.answer(&got);
            Answer::Failed("timeout".into())
        }
        Some(steps::PASS) => {
            let said = contract.answer(&got);
            Answer::Came { status: said.status, retry_after: None, body: said.body.into_bytes() }
        }
        Some(status) => Answer::Came { status, retry_after: Some(Duration::from_millis(1)), body: Vec::new() },
        None => {
            let said = contract.answer(&got);
            Answer::Came { status: said.status, retry_after: None, body: said.body.into_bytes() }
        }
    }
}

/// A call of a visitor who agreed to everything, answered, a minute long, over just now.
pub(super) fn visitor_call(n: u128) -> CallData {
    let started = clock::wall() - Duration::from_secs(120);
    let ids = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let session = Session {
        landing_page: Some("https://acme.example/?gclid=abc".into()),
        utm: ids(&[("source", "google"), ("medium", "cpc"), ("campaign", "spring, \"sale\"")]),
        click_ids: ids(&[("gclid", "gclid-1"), ("yclid", "777"), ("fbclid", "fb-1")]),
        client_ids: ids(&[
            ("ga", "11.22"),
            ("ga_session", "33"),
            ("ym", &format!("{}", 1_000 + n)),
            ("fbp", "fb.1.2.3"),
        ]),
        client: ids(&[("consent", "ads"), ("page", "https://acme.example/contact")]),
        clicked_at: Some(started),
        ..Session::default()
    };
    let attribution = Attribution {
        kind: AttributionKind::Visitor,
        method: "active_lease".into(),
        confidence: 0.97,
        session: Some(Arc::new(session)),
        ..Attribution::default()
    };
    CallData {
        outcome: Some(Outcome::Answered),
        started_at: started,
        answered_at: Some(started + Duration::from_secs(5)),
        ended_at: Some(started + Duration::from_secs(65)),
        ring_ms: 5_000,
        talk_ms: 60_000,
        caller: Some(format!("+4420794601{:02}", n % 100)),
        attribution,
        ..call(n)
    }
}

/// The same of a visitor who agreed to analytics, or to nothing.
pub(super) fn with_consent(mut call: CallData, consent: Option<&str>) -> CallData {
    let mut session = call.attribution.session.as_deref().cloned().unwrap_or_default();
    match consent {
        Some(consent) => drop(session.client.insert("consent".into(), consent.into())),
        None => drop(session.client.remove("consent")),
    }
    call.attribution.session = Some(Arc::new(session));
    call
}

pub(super) const GA4: &str = "kind = \"ga4\"\nmeasurement_id = \"G-TEST\"\napi_secret = \"ga secret\"\n";
pub(super) const METRIKA: &str = "kind = \"metrika\"\ncounter = 4242\ntoken = \"metrika token\"\nevery = \"0s\"\n";
pub(super) const GOOGLE: &str = "kind = \"google\"\ncustomer = \"123-456-7890\"\nconversion_action = \"987\"\n\
    client_id = \"client\"\nclient_secret = \"client secret\"\nrefresh_token = \"refresh-0\"\nevery = \"0s\"\n\
    token_url = \"http://127.0.0.1:9/token\"\n";
pub(super) const META: &str = "kind = \"meta\"\ndataset = \"123456\"\ntoken = \"meta token\"\nevery = \"0s\"\n";
pub(super) const BITRIX24: &str = "kind = \"bitrix24\"\nurl = \"http://127.0.0.1:9/\"\nclient_id = \"client\"\n\
    client_secret = \"client secret\"\nrefresh_token = \"refresh-0\"\nextension = \"101\"\n\
    token_url = \"http://127.0.0.1:9/oauth/token/\"\n";
pub(super) const AMOCRM: &str = "kind = \"amocrm\"\nurl = \"http://127.0.0.1:9/\"\nclient_id = \"client\"\n\
    client_secret = \"client secret\"\nrefresh_token = \"refresh-0\"\nredirect_uri = \"https://app.example/back\"\n\
    fields = { source = \"12\", gclid = \"13\" }\n";
pub(super) const WEBHOOK: &str = "kind = \"webhook\"\nurl = \"http://127.0.0.1:9/hook\"\nsecret = \"hook secret\"\n";
pub(super) const CONVERSIONS: &str = "kind = \"metrika\"\ncounter = 4242\ntoken = \"metrika token\"\nevery = \"0s\"\n\
    upload = \"conversions\"\ngoal = \"call\"\n";
pub(super) const CALLRAIL: &str = "kind = \"callrail\"\nurl = \"http://127.0.0.1:9/hook\"\nsecret = \"rail secret\"\n";
pub(super) const TELEGRAM: &str = "kind = \"telegram\"\ntoken = \"11:abc\"\nchat = \"-1001\"\n";
