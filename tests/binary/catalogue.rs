//! The catalogue of the real program: changed while it runs, kept over restarts; static and dynamic numbers over SIP.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::node::{NUMBER, Node, holds};

impl Node {
    /// The catalogue with its tag.
    fn catalogue(&self) -> (String, Value) {
        let answer = self.json("/v1/catalogue");
        let (_, head) = self.raw("GET /v1/catalogue", "", "");
        let tag = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("etag: ").map(str::to_owned));
        (tag.expect("a tag").trim().to_owned(), answer)
    }

    fn put(&self, tag: &str, catalogue: &Value) -> (u16, Value) {
        let (body, _) =
            self.raw("PUT /v1/catalogue?note=test", &format!("If-Match: {tag}\r\n"), &catalogue.to_string());
        body
    }

    /// Status and body, and the whole head.
    fn raw(&self, line: &str, headers: &str, body: &str) -> ((u16, Value), String) {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(self.http_at()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            self.http_at(),
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        ((status, serde_json::from_str(body).unwrap_or_default()), head.to_owned())
    }

    fn pool_of_a_lease(&self, visitor: &str) -> Value {
        let id = self.lease(visitor)["lease_id"].clone();
        let leases = self.json("/v1/leases");
        let mine = leases["leases"].as_array().unwrap().iter().find(|lease| lease["lease_id"] == id).cloned();
        mine.expect("its lease")["pool"].clone()
    }
}

#[test]
fn p18_a_catalogue_is_swapped_whole_kept_over_a_restart_and_rolled_back() {
    let mut node = Node::started("");
    assert_eq!(node.pool_of_a_lease("before"), "web");
    let (tag, shown) = node.catalogue();
    assert_eq!((&shown["version"], &shown["by"]), (&json!(0), &json!("configuration file")));

    let mut new = shown["catalogue"].clone();
    new["pools"].as_array_mut().unwrap().push(json!({
        "name": "ads", "company": "acme", "site": "site", "kind": "dynamic", "priority": 10,
        "numbers": ["+44 20 7946 0200 .. +44 20 7946 0204"], "conditions": [{ "utm_source": "yandex*" }],
    }));
    new["tracking"]["acme"] = json!({ "display_price": "0.02", "number_price": "1.50" });
    let (status, put) = node.put(&tag, &new);
    assert_eq!(status, 200, "{put}");
    assert_eq!((&put["version"], &put["note"]), (&json!(1), &json!("test")));
    assert_eq!(node.pool_of_a_lease("yandex"), "ads", "in force at once");
    assert_eq!(node.pool_of_a_lease("google"), "web");
    let told = node.wait_for_events("catalogue.changed", 1).remove(0);
    assert_eq!((&told["version"], &told["by"]), (&json!(1), &json!("local")));
    assert!(told["changes"].as_array().unwrap().contains(&json!("pool ads: added")), "{told}");

    // Nobody's change is lost, and a bad one changes nothing and names everything.
    assert_eq!(node.put(&tag, &new).0, 412);
    let (tag, _) = node.catalogue();
    let mut bad = new.clone();
    bad["pools"][2]["priority"] = json!("high");
    bad["pools"][2]["numbers"] = json!(["+442079460000"]);
    bad["sites"][0]["colour"] = json!("red");
    let (status, problem) = node.put(&tag, &bad);
    assert_eq!((status, &problem["code"]), (422, &json!("bad_catalogue")));
    let detail = problem["detail"].as_str().unwrap();
    for part in ["sites[0].colour: unknown key", "pools[2].priority: ", "stands in pool `web` too"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(node.catalogue().0, tag, "the old one stays");

    // Over a restart and a reload of the file, which says nothing of it.
    node.stop();
    node.start();
    assert_eq!(node.pool_of_a_lease("yandex-2"), "ads");
    node.signal(Signal::SIGHUP);
    holds("the file is read", || node.log().contains("the new configuration is in force"));
    assert_eq!(node.pool_of_a_lease("yandex-3"), "ads");

    // Back to what the file says.
    let (tag, _) = node.catalogue();
    let roll = |to: u64, tag: &str| {
        let body = json!({ "to": to }).to_string();
        node.raw("POST /v1/catalogue/rollback", &format!("If-Match: {tag}\r\n"), &body).0
    };
    assert_eq!(roll(99, &tag).0, 404);
    let (status, back) = roll(0, &tag);
    assert_eq!((status, &back["version"], &back["rolled_back_to"]), (200, &json!(2), &json!(0)), "{back}");
    assert_eq!(node.pool_of_a_lease("yandex-4"), "web");
    let versions = node.json("/v1/catalogue/versions");
    let numbers: Vec<&Value> = versions["versions"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(numbers, [&json!(2), &json!(1)]);
    assert_eq!(node.json("/v1/catalogue?version=1")["catalogue"]["pools"][2]["name"], "ads");
    let (status, again) = roll(1, &node.catalogue().0);
    assert_eq!((status, &again["version"]), (200, &json!(3)));
    assert_eq!(node.pool_of_a_lease("yandex-5"), "ads");
    node.stop();
}

#[test]
fn a_changed_forward_to_is_where_the_next_call_goes_and_a_roll_back_brings_it_back() {
    const FRESH: &str = "+442079460600";
    let mut node = Node::started("");
    node.answering();
    let other = std::net::SocketAddr::new(node.address.into(), 5081);
    node.answering_at(other);
    let (usual, elsewhere) = (format!("sip:sales@{}", node.company()), format!("sip:desk@{other}"));
    let mut calls = 0;
    let mut went = |node: &Node, number: &str| {
        let report = node.report(node.call(number, Duration::from_millis(300)));
        assert!(report.answered, "{report:?}");
        calls += 1;
        let ended = node.wait_for_events("call.ended", calls).pop().unwrap();
        (ended["company"].clone(), ended["forwarded_to"].clone())
    };
    assert_eq!(went(&node, NUMBER), (json!("acme"), json!(usual)));

    let (tag, shown) = node.catalogue();
    let mut new = shown["catalogue"].clone();
    assert_eq!(new["companies"], json!([{ "name": "acme", "forward_to": [usual] }]));
    new["companies"][0]["forward_to"] = json!([{ "uri": elsewhere, "name": "desk", "ring_timeout": "9s" }]);
    new["companies"].as_array_mut().unwrap().push(json!({ "name": "fresh", "forward_to": [elsewhere] }));
    new["pools"].as_array_mut().unwrap().push(json!({
        "name": "flyer", "company": "fresh", "kind": "static", "numbers": [FRESH], "channel": { "source": "flyer" },
    }));
    let (status, put) = node.put(&tag, &new);
    assert_eq!(status, 200, "{put}");
    assert_eq!(went(&node, NUMBER), (json!("acme"), json!(elsewhere)), "the very next call");
    assert_eq!(went(&node, FRESH), (json!("fresh"), json!(elsewhere)), "a company that the file does not have");
    let told = node.wait_for_events("catalogue.changed", 1).remove(0);
    let changes = told["changes"].to_string();
    assert!(changes.contains("company acme: forward_to: ") && changes.contains("company fresh: added"), "{changes}");

    // A bad route changes nothing, and is named where it stands.
    let (tag, _) = node.catalogue();
    let mut bad = new.clone();
    bad["companies"][0]["forward_to"] = json!(["mailto:sales@example.com"]);
    bad["companies"][1]["limits"] = json!({ "calls_max": 0 });
    let (status, problem) = node.put(&tag, &bad);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == 422 && detail.contains("companies[1].limits: "), "{problem}");
    bad["companies"][1].as_object_mut().unwrap().remove("limits");
    let (status, problem) = node.put(&tag, &bad);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == 422 && detail.contains("companies[0].forward_to[0]: "), "{problem}");
    assert_eq!(went(&node, NUMBER).1, json!(elsewhere));

    node.stop();
    node.start();
    assert_eq!(went(&node, NUMBER), (json!("acme"), json!(elsewhere)), "over a restart");
    let (tag, _) = node.catalogue();
    let back = node.raw("POST /v1/catalogue/rollback", &format!("If-Match: {tag}\r\n"), "{\"to\":0}").0;
    assert_eq!(back.0, 200, "{back:?}");
    assert_eq!(went(&node, NUMBER), (json!("acme"), json!(usual)));
    let report = node.report(node.call(FRESH, Duration::from_millis(300)));
    assert!(!report.answered, "a number of nobody: {report:?}");
    node.stop();
}

#[test]
fn p21_the_ledger_has_every_lease_of_the_journal_once_also_after_a_restart() {
    let company = "[[company]]\nname = \"acme\"\nforward_to = [\"sip:sales@127.0.0.1:5999\"]\n[company.tracking]\n\
                   display_price = \"0.02\"\nnumber_price = \"1.50\"\nday_cap = \"0.10\"\n";
    let mut node = Node::started(company);
    let row = |node: &Node| {
        let ledger = node.json("/v1/ledger");
        ledger["pools"].as_array().unwrap().iter().find(|row| row["pool"] == "web").cloned().unwrap()
    };
    for n in 0..5 {
        let id = node.lease(&format!("v{n}"))["lease_id"].as_str().unwrap().to_owned();
        for what in ["renew", "signal", "release"] {
            let body = if what == "signal" { "{\"signal\":\"copy\"}" } else { "" };
            node.request(&format!("POST /v1/leases/{id}/{what}"), body).unwrap();
        }
        holds("it is booked", || row(&node)["displays"] == json!(n + 1));
    }
    // The cap is spent: a static number or the real one, and no lease.
    let over = node.lease("v9");
    assert_eq!((&over["swap"], &over["reason"]), (&json!(false), &json!("day_cap_reached")));
    assert!(node.lease("v0")["lease_id"].is_string(), "who has a number keeps it");
    let granted = node.events_of("lease.granted").len();
    assert_eq!((granted, row(&node)["display_cost"].clone()), (5, json!("0.10")));
    node.stop();
    node.start();
    assert_eq!(row(&node)["displays"], json!(5));
    assert_eq!(node.lease("v10")["reason"], "day_cap_reached");
    node.stop();
}

#[test]
fn p02_p03_p16_a_static_number_takes_many_calls_at_once_each_with_channel_region_and_recording() {
    let mut node = Node::started("");
    node.answering();
    let calls: Vec<_> = (0..5).map(|_| node.call(NUMBER, Duration::from_millis(1_500))).collect();
    node.wait_for_events("call.answered", 5);
    assert_eq!(node.live_calls(), 5, "nobody is told that the number is busy");
    for call in calls {
        let report = node.report(call);
        assert!(report.answered && report.media.received > 10, "{report:?}");
    }
    let ended = node.wait_for_events("call.ended", 5);
    for call in &ended {
        let attribution = &call["attribution"];
        assert_eq!((&attribution["kind"], &attribution["channel"]["source"]), (&json!("static"), &json!("billboard")));
        assert!(attribution["visitor_id"].is_null() && attribution["lease_id"].is_null(), "{attribution}");
        assert_eq!(
            (&call["pool"], &call["number"], &call["caller"]),
            (&json!("board"), &json!(NUMBER), &json!("+442079460990"))
        );
        assert_eq!(call["recording"]["state"], "complete");
        assert!(call["started_at"].is_string() && call["talk_ms"].as_u64().unwrap() > 500, "{call}");
    }
    let ledger = node.json("/v1/ledger");
    let board = ledger["pools"].as_array().unwrap().iter().find(|row| row["pool"] == "board").unwrap().clone();
    assert_eq!(
        (&board["calls"], &board["regions"]["GB"], &board["answered"]),
        (&json!(5), &json!(5), &json!(5)),
        "{board}"
    );
    node.stop();
}
