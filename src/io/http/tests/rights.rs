//! The privilege table: every route, every role, every company.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::access::filled;
use super::*;
use crate::core::event::work::{LabelledData, UserData, WorkEvent};
use crate::core::rights::{Right, Rights, Role};
use crate::io::people::{NewToken, NewUser, operator};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const ROLES: [Role; 6] = Role::ALL;

impl World {
    /// A user with these roles, signed in; gives the cookie.
    pub(super) fn user(&self, name: &str, roles: &[&str]) -> String {
        let all = Arc::new(Rights::all());
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let hash = Some("$argon2id$never".to_owned());
        let new = NewUser { name: name.into(), roles, password: hash, oidc: None };
        self.state.people.add(&operator(&all), new).unwrap();
        format!("leaseline_session={}", self.state.people.begin_session(name, "password", HERE).unwrap())
    }

    /// An API token with these scopes.
    pub(super) fn token(&self, name: &str, scopes: &[&str], companies: &[&str]) -> String {
        let all = Arc::new(Rights::all());
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let new = NewToken { name: name.into(), scopes: texts(scopes), companies: texts(companies), expires_at: None };
        format!("Bearer {}", self.state.people.add_token(&operator(&all), new).unwrap().1)
    }

    /// Asks with a session's cookie, as our own page does.
    pub(super) async fn as_user(&self, cookie: &str, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
        self.ask(method, path, &headers, body).await
    }

    /// Status and, of problems, the code, without waiting for the end of a stream.
    async fn verdict(&self, headers: &[(&str, &str)], method: &str, path: &str) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        if response.headers().get("content-type").is_none_or(|kind| kind != "application/problem+json") {
            return (status, String::new());
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["code"].as_str().unwrap().to_owned())
    }

    /// A call of another company than `acme`.
    fn call_of(&self, company: &str, minute: u64) -> CallId {
        let data = CallData { company: company.into(), ..call_data(minute, Some(Outcome::Answered)) };
        let id = data.call_id;
        self.tell(EventBody::CallEnded(Box::new(data)), &id.to_string());
        id
    }
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// I03★: no route does anything for a role that does not have its right, by any method, and every route names one. The
/// table itself is a snapshot, so that nobody changes it unseen.
#[tokio::test]
async fn i03_every_route_is_closed_to_roles_without_its_right() {
    let demo = Arc::new(Demo::new(|_| Ok(())));
    let world = world_with(Some(TOKEN), Some(demo));
    world.user("root", &["owner@*"]);
    let mut table: BTreeMap<String, String> = BTreeMap::new();
    for role in ROLES {
        let name = format!("the-{}", role.as_str());
        let of_all = world.user(&name, &[&format!("{}@*", role.as_str())]);
        let of_one =
            (role != Role::Owner).then(|| world.user(&format!("{name}-1"), &[&format!("{}@acme", role.as_str())]));
        for route in routes(true) {
            for method in METHODS {
                if !route.methods.contains(&method) || route.access == Access::Open {
                    continue;
                }
                let right = route.access.right(&method.parse().unwrap()).unwrap();
                let row = table.entry(format!("{method:6} {} {}", route.path, right.as_str())).or_default();
                let may = role.rights().has(right);
                *row += if may { &role.as_str()[..2] } else { "--" };
                *row += " ";
                for (cookie, may) in [(Some(&of_all), may), (of_one.as_ref(), may && !right.is_of_node())] {
                    let Some(cookie) = cookie else { continue };
                    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
                    let (status, code) = world.verdict(&headers, method, &filled(route.path)).await;
                    let refused = matches!(status, 401 | 403);
                    if may {
                        let own = ["no_account", "not_yours_to_give", "bad_credentials", "numbers_hidden"];
                        let within = own.contains(&&*code) || (route.path == "/v1/erasures" && code == "not_allowed");
                        assert!(!refused || within, "{role:?} {method} {}: {status} {code}", route.path);
                    } else {
                        assert_eq!((status, &*code), (403, "not_allowed"), "{role:?} {method} {}", route.path);
                    }
                }
            }
        }
    }
    let table: Vec<String> = table.into_iter().map(|(route, roles)| format!("{roles} {route}")).collect();
    insta::assert_snapshot!(table.join("\n"));
}

/// I03★, of programs: a token that may read does not write, nor listen, by any door.
#[tokio::test]
async fn i03_a_token_that_may_only_read_changes_nothing() {
    let world = world(Some(TOKEN));
    let token = world.token("reader", &["calls", "reports", "leases"], &[]);
    let headers = [("authorization", token.as_str())];
    for route in routes(false) {
        for method in METHODS {
            let Some(right) = route.access.right(&method.parse().unwrap()) else { continue };
            if !route.methods.contains(&method) || matches!(right, Right::Calls | Right::Leases | Right::Reports) {
                continue;
            }
            let (status, code) = world.verdict(&headers, method, &filled(route.path)).await;
            let closed = ["not_allowed"];
            assert!(status == 403 && closed.contains(&&*code), "{method} {}: {status} {code}", route.path);
        }
    }
    assert_eq!(world.ask("GET", "/v1/calls", &headers, Body::empty()).await.status, 200);
    let upgrade = [("authorization", token.as_str()), ("upgrade", "websocket"), ("connection", "upgrade")];
    assert_eq!(world.verdict(&upgrade, "DELETE", &format!("/v1/calls/{}", "0".repeat(32))).await.0, 403);
}

/// I14★: what is another company's is not there: neither in lists nor by its id, whatever is asked of it.
#[tokio::test]
async fn i14_another_companys_calls_are_not_there() {
    let world = world(Some(TOKEN));
    let (mine, theirs) = (world.call(1, Some(Outcome::Answered)), world.call_of("other", 2));
    for role in ROLES.into_iter().filter(|role| *role != Role::Owner) {
        let cookie = world.user(role.as_str(), &[&format!("{}@acme", role.as_str())]);
        for route in routes(false).into_iter().filter(|route| route.path.starts_with("/v1/calls/{id}")) {
            for method in METHODS.into_iter().filter(|method| route.methods.contains(method)) {
                let right = route.access.right(&method.parse().unwrap()).unwrap();
                let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
                let path = |id: CallId| route.path.replace("{id}", &id.to_string());
                let (status, code) = world.verdict(&headers, method, &path(theirs)).await;
                if role.rights().has(right) {
                    assert_eq!((status, &*code), (404, "unknown_call"), "{role:?} {method} {}", route.path);
                    let (status, code) = world.verdict(&headers, method, &path(mine)).await;
                    assert_ne!((status, &*code), (404, "unknown_call"), "{role:?} {method} {}", route.path);
                    assert_ne!(code, "not_allowed", "{role:?} {method} {}", route.path);
                } else {
                    assert_eq!(status, 403, "{role:?} {method} {}", route.path);
                }
            }
        }
        let listed = world.as_user(&cookie, "GET", "/v1/calls", Body::empty()).await.json();
        assert_eq!(listed["calls"].as_array().unwrap().len(), 1, "{role:?}");
        assert_eq!(listed["calls"][0]["call_id"], mine.to_string());
        let asked = world.as_user(&cookie, "GET", "/v1/calls?company=other", Body::empty()).await.json();
        assert_eq!(asked["calls"], json!([]), "{role:?}");
        let events = world.as_user(&cookie, "GET", "/v1/events", Body::empty()).await;
        let text = String::from_utf8(events.body).unwrap();
        assert!(text.contains(&mine.to_string()) && !text.contains(&theirs.to_string()), "{role:?}");
        assert!(!text.contains("leaseline.node"), "what is of the node is not of one company");
    }
}

/// Numbers are masked in everything that leaves: lists, one call, its events, the stream, what is live.
#[tokio::test]
async fn numbers_are_masked_by_role_everywhere() {
    let world = world(Some(TOKEN));
    let id = world.call(23, Some(Outcome::NoAnswer));
    world.call(24, None);
    let work = |body| EventBody::Work(Box::new(body));
    let labelled =
        LabelledData { call_id: id, company: "acme".into(), by: "anna".into(), label: Some("spam".into()), rule: None };
    world.tell(work(WorkEvent::Labelled(labelled)), &id.to_string());
    for (role, whole) in [("marketer", false), ("auditor", false), ("agent", true), ("engineer", true)] {
        let cookie = world.user(role, &[&format!("{role}@acme")]);
        for path in ["/v1/calls", &format!("/v1/calls/{id}"), "/v1/calls/live", "/v1/events"] {
            let text = String::from_utf8(world.as_user(&cookie, "GET", path, Body::empty()).await.body).unwrap();
            assert_eq!(text.contains("+4479000000"), whole, "{role} {path}: {text}");
            assert!(text.contains("+447"), "{role} {path} tells callers apart");
            assert!(text.contains("+442079460001"), "{role} {path}: our own number is whole");
        }
        let headers =
            [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), ("accept", "application/x-ndjson")];
        let lines = String::from_utf8(world.ask("GET", "/v1/events", &headers, Body::empty()).await.body).unwrap();
        assert_eq!(lines.contains("+4479000000"), whole, "{role}");
        assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        let searched = world.as_user(&cookie, "GET", "/v1/calls?q=790000", Body::empty()).await;
        assert_eq!(searched.status, if whole { 200 } else { 403 }, "{role}: nobody finds a number digit by digit");
    }
}

#[tokio::test]
async fn a_stream_masks_filters_and_ends_with_the_rights() {
    let world = world(Some(TOKEN));
    let cookie = world.user("mia", &["marketer@acme"]);
    let headers = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/event-stream"),
        ("host", "127.0.0.1:8080"),
    ];
    let mut request = Request::builder().uri("/v1/events");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    world.call_of("other", 1);
    world.call(2, Some(Outcome::Busy));
    let first = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.contains("\"company\":\"acme\"") && !first.contains("+4479000000"), "{first}");
    let all = Arc::new(Rights::all());
    world.state.people.remove(&operator(&all), "mia").unwrap();
    world.call(3, Some(Outcome::Busy));
    assert!(stream.next().await.is_none(), "nobody is there any more");
}

#[tokio::test]
async fn the_audit_tells_who_did_what_to_those_who_may_know() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::Answered));
    let auditor = world.user("otto", &["auditor@*"]);
    let of_acme = world.user("olga", &["auditor@acme"]);
    let played = |by: &str| {
        EventBody::RecordingPlayed(crate::core::event::PlayedData {
            call_id: id,
            by: by.into(),
            address: "198.18.0.1".into(),
            reason: None,
            download: false,
        })
    };
    (0..3).for_each(|n| world.tell(played(&format!("user-{n}")), &id.to_string()));
    let user = UserData { user: "ben".into(), by: "anna".into(), what: "created".into(), ..UserData::default() };
    world.tell(EventBody::Work(Box::new(WorkEvent::UserChanged(user))), "ben");
    let all = world.as_user(&auditor, "GET", "/v1/audit?limit=3", Body::empty()).await.json();
    let kinds = |answer: &Value| -> Vec<String> {
        answer["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        kinds(&all),
        ["leaseline.user.changed", "leaseline.recording.played", "leaseline.recording.played"],
        "newest first"
    );
    let next = all["next_cursor"].as_u64().unwrap();
    let rest = world.as_user(&auditor, "GET", &format!("/v1/audit?before={next}"), Body::empty()).await.json();
    assert_eq!(kinds(&rest)[0], "leaseline.recording.played");
    assert_eq!(rest["next_cursor"], Value::Null);
    let some = world.as_user(&of_acme, "GET", "/v1/audit", Body::empty()).await.json();
    assert_eq!(kinds(&some), ["leaseline.recording.played"; 3], "users are of the node");
    let of = world.as_user(&auditor, "GET", "/v1/audit?user=user-1", Body::empty()).await.json();
    assert_eq!(of["events"].as_array().unwrap().len(), 1);
    assert_eq!(world.as_user(&auditor, "GET", "/v1/audit?type=x", Body::empty()).await.code(), "bad_parameter");
}

#[tokio::test]
async fn i03_engineers_say_where_calls_go_and_marketers_do_not() {
    let world = world_changing(CONFIG);
    let marketer = world.user("mia", &["marketer@*"]);
    let engineer = world.user("eve", &["engineer@*"]);
    let put = async |cookie: &str, change: &dyn Fn(&mut Value)| {
        let mut catalogue = text_of(&world, cookie).await;
        change(&mut catalogue);
        let headers = [
            ("cookie", cookie),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/json"),
            ("if-match", "*"),
        ];
        world.ask("PUT", "/v1/catalogue", &headers, Body::from(catalogue.to_string())).await
    };
    let elsewhere = |catalogue: &mut Value| catalogue["companies"][0]["forward_to"] = json!(["sip:me@192.0.2.66"]);
    let another = |catalogue: &mut Value| {
        let new = json!({ "name": "mine", "forward_to": ["sip:me@192.0.2.66"] });
        catalogue["companies"].as_array_mut().unwrap().push(new);
    };
    let refused = put(&marketer, &elsewhere).await;
    assert_eq!((refused.status, refused.code()), (403, "not_allowed".to_owned()));
    assert!(String::from_utf8_lossy(&refused.body).contains("forward_to"));
    assert_eq!(put(&marketer, &another).await.status, 403, "nor a company of their own");
    let words = |catalogue: &mut Value| catalogue["companies"][0]["labels"] = json!(["warm", "cold"]);
    assert_eq!(put(&marketer, &words).await.status, 200, "the words of their people");
    assert_eq!(put(&engineer, &elsewhere).await.status, 200);
    // Nor by the way back.
    let headers = [
        ("cookie", marketer.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
        ("if-match", "*"),
    ];
    let back = world.ask("POST", "/v1/catalogue/rollback", &headers, Body::from(json!({ "to": 0 }).to_string())).await;
    assert_eq!(back.status, 403);
    let page = world.open_page(&marketer, "/catalogue").await;
    assert!(page.contains("part=tracking") && !page.contains("part=companies&amp;name"), "{page}");
    assert!(world.open_page(&engineer, "/catalogue").await.contains("part=companies&amp;name"));
}

async fn text_of(world: &World, cookie: &str) -> Value {
    world.as_user(cookie, "GET", "/v1/catalogue", Body::empty()).await.json()["catalogue"].clone()
}
