//! Who a visitor is: cookies, crawlers, devices, links between sites, late identifiers.

use super::*;

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const GOOGLE: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

impl World {
    async fn browser(&self, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![("origin", SITE), ("content-type", "text/plain"), ("user-agent", CHROME)];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend_from_slice(headers);
        self.ask("POST", "/v1/leases", &all, body.to_string()).await
    }
}

#[tokio::test]
async fn w5_the_cookie_is_set_by_http_and_brings_the_same_number_back() {
    let world = world(None);
    let first = world.browser(&[], json!({ "site": "acme-site", "domain": "acme.example" })).await;
    let visitor = first.json()["visitor_id"].as_str().unwrap().to_owned();
    assert_eq!(
        first.header("set-cookie"),
        format!("leaseline_visitor={visitor}; Path=/; Max-Age=34560000; SameSite=Lax; Domain=acme.example; Secure")
    );
    let cookie = format!("other=1; leaseline_visitor={visitor}");
    let again = world.browser(&[("cookie", &cookie)], json!({ "site": "acme-site" })).await;
    assert_eq!(again.json()["number"], first.json()["number"]);
    assert!(!again.header("set-cookie").contains("Domain"), "what the page does not say is not made up");
    let evil =
        world.browser(&[], json!({ "site": "acme-site", "domain": "example; Path=/x", "visitor_id": "a\r\nb" })).await;
    assert!(evil.header("set-cookie").ends_with("; Path=/; Max-Age=34560000; SameSite=Lax; Secure"));
    // A program on the server's side has no cookies.
    let server = world.ask("POST", "/v1/leases", &[], r#"{"site":"acme-site","visitor_id":"v-9"}"#).await;
    assert_eq!(server.header("set-cookie"), "");
    assert_eq!(server.header("cache-control"), "no-store", "nobody may keep an answer");
}

#[tokio::test]
async fn an_anonymous_visitor_is_a_new_one_and_leaves_no_ids() {
    let world = world(None);
    let known = [("cookie", "leaseline_visitor=v-1")];
    let body = json!({ "site": "acme-site", "anonymous": true, "visitor_id": "v-1", "age_ms": 5,
        "session": { "utm": { "source": "mail" }, "click_ids": { "gclid": "x" }, "client_ids": { "ga": "1.2" } } });
    let answer = world.browser(&known, body).await;
    assert_ne!(answer.json()["visitor_id"], "v-1");
    assert_eq!(answer.header("set-cookie"), "");
    let leases = world.get("/v1/leases").await.json();
    assert_eq!(leases["leases"][0]["session"], json!({ "utm": { "source": "mail" } }));
}

#[tokio::test]
async fn crawlers_and_prefetches_get_the_real_number_and_cost_none() {
    let world = world(None);
    let body = || json!({ "site": "acme-site" });
    let bot = world.browser(&[("user-agent", GOOGLE)], body()).await;
    assert_eq!((bot.status, bot.json()), (201, json!({ "shared": false, "swap": false, "reason": "bot" })));
    assert_eq!(bot.header("set-cookie"), "");
    let early = world.browser(&[("sec-purpose", "prefetch;prerender")], body()).await;
    assert_eq!(early.json()["reason"], "prefetch");
    let server = json!({ "site": "acme-site", "user_agent": GOOGLE }).to_string();
    assert_eq!(world.ask("POST", "/v1/leases", &[], server).await.json()["reason"], "bot");
    assert_eq!(world.get("/v1/leases").await.json()["leases"], json!([]));
}

#[tokio::test]
async fn the_device_is_derived_unless_the_page_knows_better() {
    let world = world(None);
    world.browser(&[("sec-ch-ua-mobile", "?1")], json!({ "site": "acme-site", "visitor_id": "v-1" })).await;
    world.browser(&[], json!({ "site": "acme-site", "visitor_id": "v-2", "device": "tablet" })).await;
    let leases = world.get("/v1/leases").await.json();
    assert_eq!(
        (&leases["leases"][0]["page"]["device"], &leases["leases"][1]["page"]["device"]),
        (&json!("mobile"), &json!("tablet"))
    );
}

#[tokio::test]
async fn w9_a_link_joins_two_visitors_and_both_ids_stay_known() {
    let folder_world = world(None);
    let mut config = Config::clone(&folder_world.state.config.load());
    let site = Arc::make_mut(&mut config.sites[0]);
    site.origins.push("https://other-acme.example".into());
    folder_world.state.config.store(Arc::new(config));
    let world = folder_world;
    let first = world.browser(&[], json!({ "site": "acme-site", "visitor_id": "v-1" })).await.json();
    assert_eq!(first["link"]["hosts"], json!(["other-acme.example"]));
    let token = first["link"]["token"].as_str().unwrap().to_owned();
    let renewed = world.page(&format!("/v1/leases/{}/renew", first["lease_id"].as_str().unwrap()), "").await.json();
    assert_ne!(renewed["link"]["token"], token.as_str(), "a fresh one with every beat");

    let there = [("origin", "https://other-acme.example"), ("cookie", "leaseline_visitor=v-2")];
    let ask = || json!({ "site": "acme-site", "link": token.as_str() });
    let joined = world.browser(&there, ask()).await;
    assert_eq!(joined.json()["visitor_id"], "v-1");
    assert_eq!(joined.json()["number"], first["number"]);
    assert!(joined.header("set-cookie").starts_with("leaseline_visitor=v-1;"));
    let leases = world.get("/v1/leases").await.json();
    assert_eq!(leases["leases"][0]["session"]["client"]["joined_visitor_id"], "v-2");
    let again = world.browser(&there, ask()).await.json();
    assert_eq!(again["visitor_id"], "v-2", "a link is followed once");
    // Both ids are one person, until somebody says that they are not.
    let part = |id: &str, other: &str| (format!("/v1/visitors/{id}/part"), json!({ "other_id": other }).to_string());
    let ids = async || {
        assert!(world.state.journal.flush(Duration::from_secs(10)));
        let joined = world.get("/v1/visitors/v-2").await.json()["joined"].clone();
        joined.as_array().unwrap().iter().map(|id| (id["visitor_id"].clone(), id["how"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [(json!("v-1"), json!("link"))]);
    for (id, other, status) in [("v-1", "v-1", 400), ("v-1", "v-9", 404), ("v-2", "v-1", 204), ("v-2", "v-1", 409)] {
        let (path, body) = part(id, other);
        let headers = [("content-type", "application/json")];
        assert_eq!(world.ask("POST", &path, &headers, Body::from(body)).await.status, status, "{id} {other}");
    }
    assert!(ids().await.is_empty());
    let body = json!({ "other_id": "v-2" }).to_string();
    let headers = [("content-type", "application/json")];
    assert_eq!(world.ask("POST", "/v1/visitors/v-1/join", &headers, Body::from(body)).await.status, 204);
    assert_eq!(ids().await, [(json!("v-1"), json!("by_hand"))]);
    let anonymous = world.browser(&[], json!({ "site": "acme-site", "anonymous": true })).await.json();
    assert!(anonymous.get("link").is_none());
}

#[tokio::test]
async fn late_identifiers_join_the_session_and_clicks_are_dated_by_our_clock() {
    let world = world(None);
    let session = json!({ "landing_page": "https://acme.example/?gclid=x", "click_ids": { "gclid": "x" },
        "clicked_at": "1999-01-01T00:00:00Z" });
    let body = json!({ "site": "acme-site", "session": session, "age_ms": 90_000 });
    let lease = world.browser(&[], body).await.json();
    let path = format!("/v1/leases/{}/session", lease["lease_id"].as_str().unwrap());
    let late = json!({ "session": { "client_ids": { "ga": "1.2" }, "client": { "page": "https://acme.example/b" } } });
    assert_eq!(world.page(&path, late.to_string()).await.status, 204);
    let known = world.get("/v1/leases").await.json()["leases"][0]["session"].clone();
    assert_eq!(
        known,
        json!({ "landing_page": "https://acme.example/?gclid=x", "click_ids": { "gclid": "x" }, "client_ids": { "ga": "1.2" },
            "client": { "page": "https://acme.example/b" }, "clicked_at": "2026-11-21T09:58:30.000Z" })
    );
    for (body, status) in [
        ("{}", 204),
        ("", 204),
        (r#""x""#, 400),
        (r#"{"age_ms":-1}"#, 400),
        (r#"{"age_ms":18446744073709551615}"#, 204),
    ] {
        assert_eq!(world.page(&path, body).await.status, status, "{body}");
    }
    let old = json!({ "session": { "click_ids": { "gclid": "y" } }, "age_ms": u64::MAX });
    assert_eq!(world.page(&path, old.to_string()).await.status, 204, "as old as a click may be");
}

#[tokio::test]
async fn an_answer_says_how_long_the_number_stays_and_is_short() {
    let world = world(None);
    let answer = world.browser(&[], json!({ "site": "acme-site" })).await;
    assert_eq!(answer.json()["held_for_ms"], 1_800_000);
    assert!(answer.body.len() <= 350, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn w9_a_sites_server_says_who_signed_in_and_the_name_is_kept_nowhere() {
    let world = world(None);
    for visitor in ["v-1", "v-2"] {
        world.browser(&[], json!({ "site": "acme-site", "visitor_id": visitor })).await;
        assert!(world.state.journal.flush(Duration::from_secs(10)));
        let headers = [("content-type", "application/json")];
        for (id, body, status) in [
            (visitor, json!({ "user_id": " anna@home.example " }), 204),
            (visitor, json!({ "user_id": " " }), 400),
            (visitor, json!({ "user_id": "x".repeat(255) }), 400),
            (visitor, json!({}), 400),
            ("v-9", json!({ "user_id": "anna" }), 404),
        ] {
            let path = format!("/v1/visitors/{id}/identify");
            assert_eq!(world.ask("POST", &path, &headers, Body::from(body.to_string())).await.status, status, "{body}");
        }
    }
    assert!(world.state.journal.flush(Duration::from_secs(10)));
    let known = world.get("/v1/visitors/v-1").await.json();
    assert_eq!((&known["joined"][0]["visitor_id"], &known["joined"][0]["how"]), (&json!("v-2"), &json!("user")));
    let records = world.state.journal.read(0, 1_000).unwrap();
    assert!(records.iter().all(|record| !format!("{record:?}").contains("anna@")));
}
