//! The catalogue over HTTP: dry runs, who gets a number, the ledger. Changes need the daemon: tests/binary.

use super::*;
use crate::core::catalogue::Staff;

const RULES: &str = r#"
exclude = ["203.0.113.0/24"]
staff_secret = "a secret of these tests"
leases_per_address_max = 1
"#;

/// The world of the other tests with rules of the site, and static numbers behind its pool.
fn ruled() -> World {
    let config = CONFIG
        .replace("origins = [\"https://acme.example\"]\n", &format!("origins = [\"https://acme.example\"]{RULES}"))
        .replace("listen = \"127.0.0.1:8080\"\n", "listen = \"127.0.0.1:8080\"\ntrusted_proxies = [\"127.0.0.1\"]\n")
        .replace("kind = \"dynamic\"\n", "kind = \"dynamic\"\noverflow_pool = \"acme-billboard\"\n");
    world_of(&config, None, None, mpsc::unbounded_channel().0)
}

impl World {
    async fn visit(&self, visitor: &str, headers: &[(&str, &str)], page: &str) -> Answer {
        let mut all = vec![("origin", SITE)];
        all.extend_from_slice(headers);
        let body = json!({ "site": "acme-site", "visitor_id": visitor, "session": { "landing_page": page } });
        self.ask("POST", "/v1/leases", &all, body.to_string()).await
    }
}

const PAGE: &str = "https://acme.example/";

#[tokio::test]
async fn w07_offices_crawlers_and_prefetch_get_the_real_number_and_are_counted() {
    let world = ruled();
    for (headers, reason) in [
        (("x-forwarded-for", "203.0.113.9"), "excluded_address"),
        (("user-agent", "Googlebot/2.1 (+http://www.google.com/bot.html)"), "bot"),
        (("sec-purpose", "prefetch;prerender"), "prefetch"),
    ] {
        let answer = world.visit("v-1", &[headers], PAGE).await;
        assert_eq!(answer.status, 201);
        let body = answer.json();
        assert_eq!((&body["swap"], &body["reason"]), (&json!(false), &json!(reason)));
        assert!(body.get("number").is_none(), "{body}");
    }
    assert_eq!(world.get("/v1/leases").await.json()["leases"], json!([]));
    let metrics = String::from_utf8(world.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("visits_excluded_total{site=\"acme-site\",reason=\"excluded_address\"} 1"), "{metrics}");
}

#[tokio::test]
async fn w07_a_staff_link_marks_the_browser() {
    let world = ruled();
    let proof = Staff::new("a secret of these tests").proof(world.state.allocator.now().wall + Duration::from_secs(60));
    let first = world.visit("v-1", &[], &format!("{PAGE}?leaseline_staff={proof}")).await;
    assert_eq!(first.json()["reason"], "excluded_staff");
    let cookie = first.header("set-cookie").to_owned();
    assert!(cookie.starts_with("leaseline_staff=") && cookie.contains("Max-Age=7776000"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let later = world.visit("v-1", &[("cookie", cookie)], PAGE).await;
    assert_eq!(later.json()["reason"], "excluded_staff");
    let page = format!("{PAGE}?leaseline_staff=1.2");
    let forged = world.visit("v-1", &[("cookie", "leaseline_staff=9999999999.00")], &page);
    assert_eq!(forged.await.json()["swap"], true);
}

#[tokio::test]
async fn w07_an_address_gets_so_many_leases_and_then_the_static_number() {
    let world = ruled();
    let from = |last: u8| format!("198.51.100.{last}");
    let one = world.visit("v-1", &[("x-forwarded-for", &from(1))], PAGE).await.json();
    assert!(one["lease_id"].is_string());
    let two = world.visit("v-2", &[("x-forwarded-for", &from(1))], PAGE).await.json();
    assert_eq!((&two["reason"], &two["class"]), (&json!("address_limit"), &json!("overflow")));
    assert_eq!((&two["number"], &two["swap"]), (&json!("+442079460500"), &json!(true)));
    let renewed = world.page(&format!("/v1/leases/{}/renew", two["lease_id"].as_str().unwrap()), "").await;
    assert_eq!(
        (renewed.status, &renewed.json()["number"]),
        (200, &json!("+442079460500")),
        "pages treat it as any other"
    );
    let again = world.visit("v-1", &[("x-forwarded-for", &from(1))], PAGE).await.json();
    assert_eq!(again["lease_id"], one["lease_id"], "who has a number keeps it");
    let other = world.visit("v-3", &[("x-forwarded-for", &from(2))], PAGE).await.json();
    assert!(other["lease_id"].is_string(), "another address");
    let pool = &world.get("/v1/pools").await.json()["pools"][0];
    assert_eq!((&pool["overflow"], &pool["exhausted"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn p10_the_dry_run_explains_and_leases_nothing() {
    let world = ruled();
    let ask = |body: Value| world.ask("POST", "/v1/catalogue/explain", &[], body.to_string());
    let page = "https://acme.example/?utm_source=yandex&utm_medium=cpc&utm_term=доставка пиццы";
    let answer = ask(json!({ "site": "acme-site", "url": page })).await;
    assert_eq!(answer.status, 200);
    let explained = answer.json();
    assert_eq!((&explained["verdict"], &explained["visit"]["source"]), (&json!("number"), &json!("yandex")));
    assert_eq!(explained["visit"]["said_by"], "utm");
    assert_eq!(explained["pools"][0]["pool"], "acme-web");
    assert_eq!(explained["pools"][0]["because"], "fits, and is asked first");
    assert_eq!(explained["without_a_number"]["number"], "+442079460500");
    let office = ask(json!({ "site": "acme-site", "url": page, "address": "203.0.113.1" })).await.json();
    assert_eq!((&office["verdict"], &office["reason"]), (&json!("real_number"), &json!("excluded_address")));
    for (body, status, code) in [
        (json!({ "site": "nobody" }), 404, "unknown_site"),
        (json!({ "site": "acme-site", "at": "noon" }), 400, "bad_time"),
        (json!({ "site": "acme-site", "page": page }), 400, "bad_field"),
    ] {
        let answer = ask(body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    assert_eq!(world.get("/v1/leases").await.json()["leases"], json!([]));
}

#[tokio::test]
async fn p21_the_ledger_is_asked_by_month_and_company() {
    let world = ruled();
    let all = world.get("/v1/ledger?month=2026-11").await.json();
    let pools: Vec<&str> = all["pools"].as_array().unwrap().iter().map(|row| row["pool"].as_str().unwrap()).collect();
    assert_eq!(pools, ["acme-billboard", "acme-web"]);
    assert_eq!(all["companies"][0]["total"], "0.00");
    let other = world.get("/v1/ledger?company=other").await.json();
    assert_eq!((&other["pools"], other["companies"].as_array().unwrap().len()), (&json!([]), 1));
    assert_eq!(world.get("/v1/ledger?month=November").await.code(), "bad_parameter");
}

#[tokio::test]
async fn a_change_of_the_catalogue_needs_a_tag_and_somebody_to_make_it() {
    let world = ruled();
    let put = |headers: Vec<(&'static str, &'static str)>, body: &'static str| {
        let world = &world;
        async move { world.ask("PUT", "/v1/catalogue", &headers, body).await }
    };
    assert_eq!(put(vec![], "{}").await.code(), "if_match_required");
    assert_eq!(put(vec![("if-match", "*")], "{").await.code(), "bad_json");
    assert_eq!(put(vec![("if-match", "*")], "{}").await.code(), "catalogue_busy");
    assert_eq!(world.get("/v1/catalogue").await.status, 503);
}
