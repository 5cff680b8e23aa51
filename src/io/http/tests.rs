//! Every route, asked through the router itself, without a socket; and the server with one.

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
    let folder = tempfile::tempdir().unwrap();
    let text = CONFIG.replace("#TOKEN#", &token.map(|t| format!("token = \"{t}\"")).unwrap_or_default());
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
    let readiness = Arc::new(Readiness::default());
    readiness.set(Phase::Ready);
    let state = AppState::new(Parts {
        config: Arc::new(ArcSwap::from_pointee(config)),
        metrics: Arc::new(Metrics::new()),
        allocator,
        journal,
        calls: Arc::new(Calls::default()),
        live: Arc::new(LiveCalls::new(|_| true)),
        readiness,
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
        assert!(self.state.journal.append(event.clone()));
        assert!(self.state.journal.flush(Duration::from_secs(10)));
        self.state.calls.observe(self.state.journal.last_seq(), &event);
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
        trunk: "carrier".into(),
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
        attribution: Attribution::default(),
        recording: None,
        media: None,
    }
}

// ───────────────────────── access ─────────────────────────

fn filled(path: &str) -> String {
    path.replace("{id}", &"0".repeat(32)).replace("{file}", "base.css")
}

#[tokio::test]
async fn without_the_token_nothing_but_the_open_routes_answers() {
    let demo = Arc::new(Demo::new(|_| Ok(())));
    let world = world_with(Some(TOKEN), Some(demo));
    for route in routes(true) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let path = filled(route.path);
            let stranger = world.ask(method, &path, &[], Body::empty()).await;
            let page = route.access == Access::Page && matches!(method, "POST" | "OPTIONS");
            match route.access {
                Access::Open if route.methods.contains(&method) => {
                    // Everybody may try to sign in.
                    let signing_in = path == "/session" && method == "POST";
                    assert_eq!(
                        stranger.status,
                        if signing_in { 401 } else { stranger.status.min(299) },
                        "{method} {path}"
                    );
                }
                Access::Open => assert_eq!(stranger.status, 405, "{method} {path}"),
                _ if page => assert_eq!(stranger.code(), "origin_not_allowed", "{method} {path}"),
                _ => assert_eq!(stranger.code(), "token_required", "{method} {path}"),
            }
            for wrong in ["Bearer wrong", "Bearer ", "Basic YTpi", TOKEN] {
                let answer = world.ask(method, &path, &[("authorization", wrong)], Body::empty()).await;
                assert_eq!(answer.status, stranger.status, "{method} {path} with {wrong}");
            }
        }
    }
    let known = world.ask("GET", "/v1/pools", &[("authorization", &format!("bearer {TOKEN}"))], Body::empty()).await;
    assert_eq!(known.status, 200);
    assert!(world.get("/v1/pools").await.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn the_consoles_cookie_reads_the_api_but_not_for_other_pages() {
    let world = world(Some(TOKEN));
    assert_eq!(world.get("/session").await.json()["authorised"], false);
    let bearer = format!("Bearer {TOKEN}");
    let signed_in = world.ask("POST", "/session", &[("authorization", &bearer)], Body::empty()).await;
    assert_eq!(signed_in.status, 204);
    let cookie = signed_in.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let with = |extra: &[(&'static str, &'static str)]| {
        let mut headers = vec![("cookie", cookie.clone())];
        headers.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
        headers
    };
    for (extra, method, wanted) in [
        (&[][..], "GET", 200),
        (&[("sec-fetch-site", "same-origin")], "GET", 200),
        (&[("sec-fetch-site", "none")], "GET", 200),
        (&[("sec-fetch-site", "cross-site")], "GET", 401),
        (&[("sec-fetch-site", "same-site")], "GET", 401),
        (&[("origin", "https://evil.example")], "GET", 401),
        (&[("origin", "http://127.0.0.1:8080")], "GET", 200),
    ] {
        let headers = with(extra);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = world.ask(method, "/v1/pools", &headers, Body::empty()).await;
        assert_eq!(answer.status, wanted, "{extra:?}");
    }
    let forged =
        world.ask("GET", "/v1/pools", &[("cookie", &format!("{}={TOKEN}", access::COOKIE))], Body::empty()).await;
    assert_eq!(forged.status, 401, "the token itself is not the cookie");
    let out = world.ask("DELETE", "/session", &[], Body::empty()).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_where_no_token_guards() {
    let open = world(None);
    for (host, wanted) in [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        let answer = open.ask("GET", "/v1/pools", &[("host", host)], Body::empty()).await;
        assert_eq!(answer.status, wanted, "{host}");
    }
    let guarded = world(Some(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    let answer = guarded
        .ask("GET", "/v1/pools", &[("host", "calls.acme.example"), ("authorization", &bearer)], Body::empty())
        .await;
    assert_eq!(answer.status, 200);
    let foreign = open.ask("GET", "/v1/pools", &[("origin", "https://evil.example")], Body::empty()).await;
    assert_eq!(foreign.code(), "origin_not_allowed");
}

// ───────────────────────── leases ─────────────────────────

#[tokio::test]
async fn a_page_gets_renews_signals_and_releases_a_number() {
    let world = world(None);
    let body = json!({ "site": "acme-site", "session": { "landing_page": "https://acme.example/?yclid=1", "referrer": null,
        "utm": { "source": "yandex-direct", "campaign": "kitchens" }, "click_ids": { "yclid": "1" } } });
    let answer = world.page("/v1/leases", body.to_string()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("access-control-allow-origin"), SITE);
    assert_eq!(answer.header("vary"), "Origin");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let lease = answer.json();
    assert_eq!(lease["number"], "+442079460000");
    assert_eq!(lease["display"], "+44 20 7946 0000");
    assert_eq!((&lease["swap"], &lease["shared"]), (&json!(true), &json!(false)));
    assert_eq!(lease["renew_after_ms"], 30_000);
    assert!(lease["expires_at"].as_str().unwrap().starts_with("2026-11-21T10:01:30"));

    let id = lease["lease_id"].as_str().unwrap();
    let visitor = lease["visitor_id"].as_str().unwrap();
    let again = world.lease(visitor).await;
    assert_eq!(again["number"], lease["number"], "the same visitor keeps the number");

    let renewed = world.page(&format!("/v1/leases/{id}/renew"), "").await;
    assert_eq!((renewed.status, renewed.json()["number"].clone()), (200, lease["number"].clone()));
    let signalled = world.page(&format!("/v1/leases/{id}/signal"), r#"{"signal":"tel_tap"}"#).await;
    assert_eq!(signalled.status, 204);
    let form = [("origin", SITE), ("content-type", "application/x-www-form-urlencoded")];
    let signalled = world.ask("POST", &format!("/v1/leases/{id}/signal"), &form, "signal=copy").await;
    assert_eq!(signalled.status, 204);
    let bad = world.page(&format!("/v1/leases/{id}/signal"), r#"{"signal":"<b>"}"#).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "bad_signal"));
    assert_eq!(world.get("/v1/leases").await.json()["leases"][0]["state"], "leased");
    assert_eq!(world.page(&format!("/v1/leases/{id}/release"), "").await.status, 204);
    let held = world.get("/v1/leases?state=held").await.json();
    assert_eq!(held["leases"][0]["session"]["utm"]["source"], "yandex-direct");
    assert_eq!(world.get("/v1/leases?state=leased").await.json()["leases"], json!([]));
}

#[tokio::test]
async fn a_full_pool_shows_the_real_number_and_takes_nobodys() {
    let world = world(None);
    let (first, second) = (world.lease("v-1").await, world.lease("v-2").await);
    assert_ne!(first["number"], second["number"]);
    let third = world.lease("v-3").await;
    assert_eq!(third["swap"], false);
    assert_eq!(third["visitor_id"], "v-3");
    assert!(third.get("number").is_none() && third.get("lease_id").is_none());
    assert_eq!(third["reason"], "pool_exhausted");
    assert_eq!(world.get("/v1/pools").await.json()["pools"][0]["exhausted"], 1);
}

#[tokio::test]
async fn only_pages_of_the_site_may_ask() {
    let world = world(None);
    let body = json!({ "site": "acme-site" }).to_string();
    for (origin, wanted) in [
        (SITE, 201),
        ("https://ACME.example", 201),
        ("https://other.example", 403),
        ("https://acme.example.evil.example", 403),
        ("http://acme.example", 403),
        ("http://127.0.0.1:8080", 403),
        ("null", 403),
        ("", 403),
    ] {
        let answer = world.ask("POST", "/v1/leases", &[("origin", origin)], body.clone()).await;
        assert_eq!(answer.status, wanted, "{origin}");
        assert_eq!(answer.header("vary"), "Origin", "{origin}");
        if wanted == 403 {
            assert_eq!(answer.code(), "origin_not_allowed");
        }
    }
    let server = world.ask("POST", "/v1/leases", &[], body).await;
    assert_eq!(server.status, 201, "a program on this machine may, without a token");

    let ask = [("origin", SITE), ("access-control-request-method", "POST")];
    let preflight = world.ask("OPTIONS", "/v1/leases", &ask, Body::empty()).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, "POST"));
    assert_eq!(preflight.header("access-control-allow-origin"), SITE);
    let foreign = world.ask("OPTIONS", "/v1/leases", &[("origin", "https://evil.example")], Body::empty()).await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, ""));
}

#[tokio::test]
async fn unknown_and_malformed_leases_get_the_same_answer() {
    let world = world(None);
    for id in ["0".repeat(32).as_str(), "x", "%ff", "..%2f..%2fetc", &"f".repeat(33)] {
        for what in ["renew", "release", "signal"] {
            let answer = world.page(&format!("/v1/leases/{id}/{what}"), r#"{"signal":"copy"}"#).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_lease"), "{id} {what}");
        }
    }
    let answer = world.page("/v1/leases", r#"{"site":"nobody"}"#).await;
    assert_eq!(answer.code(), "origin_not_allowed");
    let answer = world.ask("POST", "/v1/leases", &[], r#"{"site":"nobody"}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_site"));
}

#[tokio::test]
async fn hostile_bodies_are_refused_by_name() {
    let world = world(None);
    let deep = format!(r#"{{"site":"acme-site","session":{}"#, r#"{"utm":"#.repeat(10_000));
    let large = format!(r#"{{"site":"acme-site","visitor_id":"{}"}}"#, "x".repeat(limits::HTTP_BODY));
    let proto = r#"{"site":"acme-site","session":{"utm":{"__proto__":"x"}}}"#;
    for (body, status, code) in [
        ("{".as_bytes().to_vec(), 400, "bad_json"),
        (b"\xff\xfe".to_vec(), 400, "bad_json"),
        (b"[]".to_vec(), 400, "bad_field"),
        (b"".to_vec(), 400, "bad_field"),
        (br#"{"site":7}"#.to_vec(), 400, "bad_field"),
        (br#"{"site":"a","site":"b"}"#.to_vec(), 400, "bad_field"),
        (br#"{"site":"acme-site","session":{"utm":{"source":1}}}"#.to_vec(), 400, "bad_field"),
        (deep.into_bytes(), 413, "body_too_large"),
        (format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)).into_bytes(), 400, "json_too_deep"),
        (large.into_bytes(), 413, "body_too_large"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = world.page("/v1/leases", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{shown}");
    }
    assert_eq!(world.page("/v1/leases", proto).await.status, 201, "a key is only a key");
    let kind = [("origin", SITE), ("content-type", "application/xml")];
    let answer = world.ask("POST", "/v1/leases", &kind, "<a/>").await;
    assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"));
    // A body without an announced length is cut off while it comes.
    let endless = Body::from_stream(tokio_stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 4_096]))));
    let answer = world.ask("POST", "/v1/leases", &[("origin", SITE)], endless).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    let many: String = (0..3_000).map(|n| format!(r#""k{n}":"v","#)).collect();
    let body = format!(
        r#"{{"site":"acme-site","visitor_id":"many","session":{{"utm":{{{}"z":"{}"}}}}}}"#,
        many,
        "y".repeat(9_000)
    );
    assert_eq!(world.page("/v1/leases", body).await.status, 201);
    let kept = world.get("/v1/leases").await.json();
    let utm = kept["leases"].as_array().unwrap().iter().find(|l| l["visitor_id"] == "many").unwrap()["session"]["utm"]
        .clone();
    assert!(utm.as_object().unwrap().len() <= limits::SESSION_KEYS && utm.to_string().len() < 8_000);
}

#[tokio::test]
async fn one_address_is_slowed_down_and_told_when_to_return() {
    let world = world(None);
    let mut refused = None;
    for _ in 0..limits::HTTP_LEASE_BURST + 50 {
        let answer = world.page("/v1/leases", r#"{"site":"acme-site","visitor_id":"bot"}"#).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the burst ends");
    assert_eq!(refused.code(), "too_many_requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("access-control-allow-origin"), SITE, "the page may read why");
}

#[tokio::test]
async fn the_feed_begins_with_a_snapshot_and_goes_on_with_changes() {
    let world = world(None);
    world.lease("v-1").await;
    let request = Request::get("/v1/feed/leases").header("host", "localhost").body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut stream = response.into_body().into_data_stream();
    let mut lines: Vec<Value> = Vec::new();
    let mut wait_for = async |kind: &str| loop {
        if lines.iter().any(|line| line["type"] == kind) {
            return std::mem::take(&mut lines);
        }
        let chunk = stream.next().await.unwrap().unwrap();
        lines.extend(
            chunk.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice::<Value>(l).unwrap()),
        );
    };
    let snapshot = wait_for("snapshot_end").await;
    assert_eq!(snapshot[0]["type"], "snapshot_begin");
    assert!(snapshot.iter().any(|line| line["lease"]["visitor_id"] == "v-1"));
    world.lease("v-2").await;
    let change = wait_for("lease").await;
    assert_eq!(change[0]["lease"]["visitor_id"], "v-2");
    let gone = world.get("/v1/feed/leases?after=999").await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "feed_gone"));
    let bad = world.get("/v1/feed/leases?after=-1").await;
    assert_eq!(bad.code(), "bad_parameter");
}

#[tokio::test]
async fn numbers_and_pools_are_listed_in_pages() {
    let world = world(None);
    world.lease("v-1").await;
    let first = world.get("/v1/numbers?limit=2").await.json();
    assert_eq!(first["numbers"][0]["state"], "leased");
    assert_eq!(first["numbers"][0]["lease"]["visitor_id"], "v-1");
    let cursor = first["next_cursor"].as_str().unwrap().replace('+', "%2B");
    let rest = world.get(&format!("/v1/numbers?limit=2&after={cursor}")).await.json();
    assert_eq!(rest["numbers"][0]["number"], "+442079460500");
    assert_eq!(rest["next_cursor"], Value::Null);
    assert_eq!(world.get("/v1/numbers?state=free").await.json()["numbers"].as_array().unwrap().len(), 1);
    let pools = world.get("/v1/pools").await.json();
    assert_eq!((&pools["pools"][0]["numbers"], &pools["pools"][0]["leased"]), (&json!(2), &json!(1)));
    assert_eq!(pools["pools"][1]["channel"]["campaign"], "ring road");
    for (path, code) in [
        ("/v1/numbers?state=gone", "bad_parameter"),
        ("/v1/numbers?limit=0", "bad_parameter"),
        ("/v1/numbers?limit=1&limit=2", "repeated_parameter"),
        ("/v1/pools?x=1", "unknown_parameter"),
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{path}");
    }
}

// ───────────────────────── calls ─────────────────────────

#[tokio::test]
async fn calls_are_listed_filtered_and_paged() {
    let world = world(None);
    let ids: Vec<CallId> =
        (0..5).map(|n| world.call(n, Some(if n == 2 { Outcome::Busy } else { Outcome::Answered }))).collect();
    let mut seen = Vec::new();
    let mut path = "/v1/calls?limit=2".to_owned();
    loop {
        let page = world.get(&path).await.json();
        seen.extend(page["calls"].as_array().unwrap().iter().map(|call| call["call_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/calls?limit=2&cursor={cursor}");
    }
    let newest_first: Vec<String> = ids.iter().rev().map(CallId::to_string).collect();
    assert_eq!(seen, newest_first);
    for (query, wanted) in [
        ("outcome=busy", 1),
        ("outcome=failed", 0),
        ("caller=%2B447900000003", 1),
        ("q=0000004", 1),
        ("q=7946", 5),
        ("since=2026-11-21T10:02:00Z", 3),
        ("since=2026-11-21&until=2026-11-21", 5),
        ("until=2026-11-20", 0),
        ("pool=other", 0),
        ("attribution=none", 5),
    ] {
        let page = world.get(&format!("/v1/calls?{query}")).await.json();
        assert_eq!(page["calls"].as_array().unwrap().len(), wanted, "{query}");
    }
    let page = world.get("/v1/calls?q=7946&limit=2").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(cursor, ids[3].to_string(), "a search pages too");
    for query in ["outcome=great", "since=yesterday", "cursor=x", "limit=many", "in_progress=perhaps"] {
        assert_eq!(world.get(&format!("/v1/calls?{query}")).await.code(), "bad_parameter", "{query}");
    }
}

#[tokio::test]
async fn one_call_has_its_events_and_is_hung_up_only_while_it_lasts() {
    let world = world(None);
    let id = world.call(1, None);
    let call = world.get(&format!("/v1/calls/{id}")).await.json();
    assert_eq!(call["in_progress"], true);
    assert_eq!(call["events"][0]["type"], "leaseline.call.started");
    let live = world.get("/v1/calls/live").await.json();
    assert_eq!((&live["calls"][0]["call_id"], &live["calls"][0]["state"]), (&json!(id), &json!("calling")));
    assert_eq!(world.get("/v1/calls/live?pool=other").await.json()["calls"], json!([]));
    assert_eq!(world.ask("DELETE", &format!("/v1/calls/{id}"), &[], Body::empty()).await.status, 202);
    world.call(1, Some(Outcome::Answered));
    assert_eq!(world.get("/v1/calls/live").await.json()["calls"], json!([]));
    let ended = world.ask("DELETE", &format!("/v1/calls/{id}"), &[], Body::empty()).await;
    assert_eq!((ended.status, ended.code().as_str()), (409, "call_ended"));
    for unknown in [&"0".repeat(32), "live2", "%00"] {
        assert_eq!(world.get(&format!("/v1/calls/{unknown}")).await.code(), "unknown_call");
        let answer = world.ask("DELETE", &format!("/v1/calls/{unknown}"), &[], Body::empty()).await;
        assert_eq!(answer.status, 404);
    }
}

fn write_recording(world: &World, id: CallId, ending: &str, bytes: &[u8]) -> std::path::PathBuf {
    let folder = world.folder.path().join("data/recordings/2026/11/21");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{id}{ending}"));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn a_recording_is_served_whole_and_in_ranges() {
    let world = world(None);
    let id = world.call(1, Some(Outcome::Answered));
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    write_recording(&world, id, ".wav", &bytes);
    let path = format!("/v1/calls/{id}/recording");
    let whole = world.get(&path).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "audio/wav"));
    assert_eq!(whole.header("content-disposition"), format!("inline; filename=\"{id}.wav\""));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.body == bytes);
    assert!(world.get(&format!("{path}?download=1")).await.header("content-disposition").starts_with("attachment"));
    let head = world.ask("HEAD", &path, &[], Body::empty()).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "200000", 0));

    let tag = whole.header("etag").to_owned();
    let part = world.ask("GET", &path, &[("range", "bytes=1000-1999")], Body::empty()).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 1000-1999/200000"));
    assert!(part.body == bytes[1_000..2_000]);
    let fresh = world.ask("GET", &path, &[("range", "bytes=-10"), ("if-range", &tag)], Body::empty()).await;
    assert!(fresh.status == 206 && fresh.body == bytes[199_990..]);
    let changed = world.ask("GET", &path, &[("range", "bytes=-10"), ("if-range", "\"old\"")], Body::empty()).await;
    assert_eq!((changed.status, changed.body.len()), (200, 200_000));
    let outside = world.ask("GET", &path, &[("range", "bytes=200000-")], Body::empty()).await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */200000"));
    assert_eq!(outside.code(), "range_not_satisfiable");
    let known = world.ask("GET", &path, &[("if-none-match", &tag)], Body::empty()).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[tokio::test]
async fn a_growing_recording_and_a_link_are_not_served() {
    let world = world(None);
    let growing = world.call(1, None);
    write_recording(&world, growing, ".wav.part", b"RIFF");
    let answer = world.get(&format!("/v1/calls/{growing}/recording")).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "recording_in_progress"));

    let linked = world.call(2, Some(Outcome::Answered));
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let path = write_recording(&world, linked, ".wav", b"");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(Path::new(&secret), &path).unwrap();
    let answer = world.get(&format!("/v1/calls/{linked}/recording")).await;
    assert!(answer.status >= 400 && !answer.body.windows(6).any(|w| w == b"secret"));

    let none = world.call(3, Some(Outcome::Busy));
    assert_eq!(world.get(&format!("/v1/calls/{none}/recording")).await.code(), "no_recording");
    assert_eq!(world.get("/v1/calls/..%2f..%2fsecret/recording").await.code(), "unknown_call");
}

// ───────────────────────── events ─────────────────────────

#[tokio::test]
async fn events_are_read_from_a_cursor() {
    let world = world(None);
    for n in 0..5 {
        world.call(n, Some(Outcome::Answered));
    }
    let all = world.get("/v1/events").await;
    let seqs: Vec<u64> = all.json().as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert_eq!(all.json()[0]["specversion"], "1.0");
    assert_eq!(all.json()[0]["type"], "leaseline.call.ended");
    assert_eq!(all.header("leaseline-newest"), "5");
    let page = world.get("/v1/events?after=1&limit=2").await;
    assert_eq!(page.header("link"), "</v1/events?after=3>; rel=\"next\"");
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    let lines = world.ask("GET", "/v1/events?after=3", &[("accept", "application/x-ndjson")], Body::empty()).await;
    assert_eq!(
        (lines.header("content-type"), String::from_utf8(lines.body.clone()).unwrap().lines().count()),
        ("application/x-ndjson", 2)
    );
    assert_eq!(world.get("/v1/events?type=leaseline.call.").await.json().as_array().unwrap().len(), 5);
    let none = world.get("/v1/events?type=leaseline.lease.").await;
    assert_eq!((none.json(), none.header("link")), (json!([]), "</v1/events?after=5>; rel=\"next\""));
    assert_eq!(world.get("/v1/events?after=18446744073709551615").await.json(), json!([]));
}

#[tokio::test]
async fn a_stream_of_events_resumes_and_follows() {
    let world = world(None);
    world.call(1, Some(Outcome::Answered));
    world.call(2, Some(Outcome::Answered));
    let request = Request::get("/v1/events?after=0")
        .header("host", "localhost")
        .header("accept", "text/event-stream")
        .header("last-event-id", "1")
        .body(Body::empty())
        .unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    for wanted in ["id: 2\n", "id: 3\n"] {
        while !text.contains(wanted) {
            text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        if wanted == "id: 2\n" {
            assert!(!text.contains("id: 1\n"), "{text}");
            world.call(3, Some(Outcome::Answered));
        }
    }
    assert!(text.contains("data: {\"seq\":3,\"specversion\""), "{text}");
    world.state.closing.send_replace(true);
    while let Some(chunk) = stream.next().await {
        chunk.unwrap();
    }
}

#[tokio::test]
async fn streams_are_bounded() {
    let world = world(None);
    let mut open = Vec::new();
    for _ in 0..limits::HTTP_STREAMS {
        let request = Request::get("/v1/feed/leases").header("host", "localhost").body(Body::empty()).unwrap();
        open.push(world.router.clone().oneshot(request).await.unwrap());
    }
    let answer = world.get("/v1/feed/leases").await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "too_many_streams", "10"));
    open.clear();
    let request = Request::get("/v1/feed/leases").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(world.router.clone().oneshot(request).await.unwrap().status(), 200);
}

// ───────────────────────── the rest ─────────────────────────

#[tokio::test]
async fn readiness_follows_the_daemon() {
    let world = world(None);
    assert_eq!(world.get("/healthz").await.json()["status"], "alive");
    assert_eq!(
        world.get("/readyz").await.json(),
        json!({"status": "ready", "lease_table": "fresh", "journal": "writing"})
    );
    for (phase, code) in [(Phase::Starting, "starting"), (Phase::Draining, "draining")] {
        world.state.readiness.set(phase);
        let answer = world.get("/readyz").await;
        assert_eq!((answer.status, answer.code().as_str()), (503, code));
        assert_ne!(answer.header("retry-after"), "");
        assert_eq!(world.get("/healthz").await.status, 200);
    }
    world.state.readiness.set(Phase::Ready);
    world.state.allocator.table().set_stale(true);
    let stale = world.get("/readyz").await;
    assert_eq!((stale.status, stale.json()["lease_table"].clone()), (200, json!("stale")));
}

#[tokio::test]
async fn metrics_hold_no_number_and_no_path_of_a_caller() {
    let world = world(None);
    world.lease("v-1").await;
    world.call(1, Some(Outcome::Answered));
    for n in 0..50 {
        world.get(&format!("/v1/calls/{n:032x}")).await;
        world.get(&format!("/nothing/{n}")).await;
    }
    let answer = world.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains(r#"leaseline_leases_active{pool="acme-web"} 1"#), "{text}");
    assert!(
        text.contains(r#"leaseline_http_requests_total{route="/v1/calls/{id}",method="GET",class="4xx"} 50"#),
        "{text}"
    );
    assert!(text.contains(r#"leaseline_http_requests_total{route="none",method="GET",class="4xx"} 50"#), "{text}");
    assert!(!text.contains("4420794600") && !text.contains("447900"), "no phone number in a metric");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document_too() {
    let world = world(None);
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/v1", 404, "not_found"),
        ("GET", "/demo", 404, "not_found"),
        ("GET", "/assets/..%2fCargo.toml", 404, "not_found"),
        ("PUT", "/v1/pools", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ] {
        let answer = world.ask(method, path, &[], Body::empty()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
    }
    assert_eq!(world.ask("PUT", "/v1/calls/x", &[], Body::empty()).await.header("allow"), "GET, DELETE, HEAD");
}

#[tokio::test]
async fn pages_and_scripts_are_served_with_a_strict_policy() {
    let world = world_with(None, Some(Arc::new(Demo::new(|_| Ok(())))));
    for path in ["/", "/demo"] {
        let page = world.get(path).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"));
        let text = String::from_utf8(page.body.clone()).unwrap();
        for inline in ["<style", "style=", "onclick=", "onload=", "javascript:", "http://", "https://"] {
            assert!(!text.replace("xmlns=\"http://", "").contains(inline), "{path} has {inline}");
        }
        let known = world.ask("GET", path, &[("if-none-match", page.header("etag"))], Body::empty()).await;
        assert_eq!(known.status, 304);
        for link in text.split(['"', '\'']).filter(|part| part.starts_with("/assets/")) {
            assert_eq!(world.get(link).await.status, 200, "{link}");
        }
    }
    let script = world.get("/leaseline.js").await;
    assert_eq!(script.header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(script.header("cache-control"), "public, max-age=300");
    let known = world.ask("GET", "/leaseline.js", &[("if-none-match", script.header("etag"))], Body::empty()).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[tokio::test]
async fn the_api_description_has_every_route_and_no_other() {
    let world = world(None);
    let document = world.get("/v1/openapi.json").await.json();
    let described: std::collections::BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |m| format!("{} {path}", m.to_uppercase()))
        })
        .collect();
    let there: std::collections::BTreeSet<String> = routes(true)
        .iter()
        .flat_map(|route| route.methods.iter().map(|method| format!("{method} {}", route.path)))
        .collect();
    assert_eq!(described, there);
    for route in routes(true) {
        for method in route.methods {
            let security = &document["paths"][route.path][method.to_lowercase()]["security"];
            let open = route.access == Access::Open && !(route.path == "/session" && *method == "POST");
            assert_eq!(security == &json!([]), open, "{method} {}", route.path);
        }
    }
    let schemas = &document["components"]["schemas"];
    for part in document.to_string().split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.get(name).is_some(), "{name} is not described");
    }
}

#[tokio::test]
async fn every_parameter_of_the_call_list_is_described() {
    let world = world(None);
    let document = world.get("/v1/openapi.json").await.json();
    let mut described: Vec<String> = document["paths"]["/v1/calls"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
        .collect();
    let mut known = calls::PARAMETERS;
    described.sort();
    known.sort();
    assert_eq!(described, known);
}

#[tokio::test]
async fn the_demo_dials_and_shows_each_step() {
    let (dialled, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let demo = Arc::new(Demo::new(move |number| dialled.send(number).map_err(|_| "gone".to_owned())));
    let world = world_with(None, Some(demo.clone()));
    let origin = [("origin", "http://127.0.0.1:8080")];
    let answer = world.ask("POST", "/demo/call", &origin, r#"{"number":"+442079460000"}"#).await;
    assert_eq!(answer.status, 202);
    assert_eq!(calls.recv().await.unwrap().as_str(), "+442079460000");
    let step = |name: &str| DemoStep {
        at: Wall(0),
        step: name.into(),
        from: "phone".into(),
        to: "leaseline".into(),
        text: "INVITE".into(),
        data: None,
    };
    demo.step(step("dial"));
    let request = Request::get("/demo/events").header("host", "localhost").body(Body::empty()).unwrap();
    let mut stream = world.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    demo.step(step("invite"));
    let mut text = String::new();
    while !text.contains("\"invite\"") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains("event: step\ndata: {\"at\"") && text.contains("\"dial\""), "{text}");
    let again = async || world.ask("POST", "/demo/call", &[], r#"{"number":"+442079460000"}"#).await;
    let busy = again().await;
    assert_eq!((busy.status, busy.code().as_str()), (409, "demo_busy"), "one call at a time");
    demo.step(step("event"));
    assert_eq!(again().await.status, 202);
    drop(calls);
    demo.step(step("failed"));
    assert_eq!(again().await.json()["detail"], "gone", "what the dialler says is shown");
    // The demo's page is served by ourselves, whatever the port, and may lease.
    let answer = world.ask("POST", "/v1/leases", &origin, r#"{"site":"acme-site"}"#).await;
    assert_eq!(answer.status, 201);
}

// ───────────────────────── over a socket ─────────────────────────

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
