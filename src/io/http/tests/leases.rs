//! Leases: pages, feed, lists.

use super::*;

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
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
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
    let left = world.get("/v1/leases?state=leased").await.json();
    assert_eq!(left["leases"][0]["session"]["utm"]["source"], "yandex-direct", "who tapped is dialling");
    let other = world.lease("v-2").await;
    let path = format!("/v1/leases/{}/release", other["lease_id"].as_str().unwrap());
    assert_eq!(world.page(&path, "").await.status, 204);
    assert_eq!(world.get("/v1/leases?state=held").await.json()["leases"][0]["visitor_id"], "v-2");
}

#[tokio::test]
async fn a_full_pool_is_shared_within_a_campaign_and_takes_nobodys() {
    let world = world(None);
    let (first, second) = (world.lease("v-1").await, world.lease("v-2").await);
    assert_ne!(first["number"], second["number"]);
    let mail = json!({ "site": "acme-site", "visitor_id": "v-3", "session": { "utm": { "source": "mail" } } });
    let third = world.page("/v1/leases", mail.to_string()).await.json();
    assert_eq!(third["swap"], false);
    assert_eq!(third["visitor_id"], "v-3");
    assert!(third.get("number").is_none() && third.get("lease_id").is_none());
    assert_eq!(third["reason"], "pool_exhausted");
    assert_eq!(world.get("/v1/pools").await.json()["pools"][0]["exhausted"], 1);
    let fourth = world.lease("v-4").await;
    assert_eq!((&fourth["swap"], &fourth["shared"]), (&json!(true), &json!(true)), "came as the first two did");
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
        for what in ["renew", "release", "signal", "session"] {
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

#[tokio::test]
async fn w02_region_of_a_visitor_is_in_the_lease_and_the_address_is_not() {
    use crate::core::region::sample::database;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sample.mmdb");
    let rows = [([203, 0, 113, 0], 24, "RU", Some("MOW")), ([198, 51, 100, 0], 24, "GB", None)];
    std::fs::write(&file, database(&rows)).unwrap();
    let config = CONFIG
        .replace("listen = \"127.0.0.1:8080\"\n", "listen = \"127.0.0.1:8080\"\ntrusted_proxies = [\"127.0.0.1\"]\n")
        + &format!("[regions]\ndatabase = {:?}\n", file.to_str().unwrap());
    let world = world_of(&config, None, None, mpsc::unbounded_channel().0);
    for (visitor, address, wanted) in [
        ("v-1", "203.0.113.9", json!("RU-MOW")),
        ("v-2", "198.51.100.9", json!("GB")),
        ("v-3", "192.0.2.1", json!(null)),
    ] {
        let body = json!({ "site": "acme-site", "visitor_id": visitor, "session": {} }).to_string();
        let headers = [("origin", SITE), ("x-forwarded-for", address)];
        assert_eq!(world.ask("POST", "/v1/leases", &headers, body).await.json()["visitor_id"], visitor);
        let leases = world.get("/v1/leases").await.json();
        let mut rows = leases["leases"].as_array().unwrap().iter();
        let region =
            rows.find(|row| row["visitor_id"] == visitor).map_or(json!(null), |row| row["page"]["region"].clone());
        assert_eq!(region, wanted, "{leases}");
        assert!(!leases.to_string().contains(address), "{leases}");
    }
    // A program speaks for visitors who are somewhere else.
    let body = json!({ "site": "acme-site", "visitor_id": "v-1" }).to_string();
    assert_eq!(world.ask("POST", "/v1/leases", &[("x-forwarded-for", "198.51.100.9")], body).await.status, 201);
    assert_eq!(world.get("/v1/leases").await.json()["leases"][0]["page"]["region"], "RU-MOW");
}

#[tokio::test]
async fn w02_region_chooses_the_pool() {
    use crate::core::region::sample::database;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sample.mmdb");
    std::fs::write(&file, database(&[([203, 0, 113, 0], 24, "RU", Some("MOW"))])).unwrap();
    let config = CONFIG
        .replace("listen = \"127.0.0.1:8080\"\n", "listen = \"127.0.0.1:8080\"\ntrusted_proxies = [\"127.0.0.1\"]\n")
        .replace("kind = \"dynamic\"\n", "kind = \"dynamic\"\nconditions = [{ region = [\"RU-MOW\"] }]\n")
        + &format!("[regions]\ndatabase = {:?}\n", file.to_str().unwrap());
    let world = world_of(&config, None, None, mpsc::unbounded_channel().0);
    let body = json!({ "site": "acme-site" }).to_string();
    for (address, swap) in [("203.0.113.9", true), ("198.51.100.9", false)] {
        let headers = [("origin", SITE), ("x-forwarded-for", address)];
        let answer = world.ask("POST", "/v1/leases", &headers, body.clone()).await.json();
        assert_eq!(answer["swap"], swap, "{answer}");
        let question = json!({ "site": "acme-site", "address": address }).to_string();
        let explained = world.ask("POST", "/v1/catalogue/explain", &[], question).await.json();
        assert_eq!(explained["pools"][0]["because"] == "fits, and is asked first", swap, "{explained}");
    }
}
