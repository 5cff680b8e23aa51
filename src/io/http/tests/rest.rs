//! Health, metrics, pages, description, demo.

use base64::Engine as _;
use sha2::Digest as _;

use super::*;

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
        if path == "/demo" {
            let known = world.ask("GET", path, &[("if-none-match", page.header("etag"))], Body::empty()).await;
            assert_eq!(known.status, 304);
        }
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
async fn the_page_script_is_small_versioned_and_made_of_its_sources() {
    let world = world(None);
    let versions = world.get("/v1/script").await.json();
    let plain = world.get("/leaseline.js").await;
    let gzip = world.ask("GET", "/leaseline.js", &[("accept-encoding", "br, gzip;q=0.8")], Body::empty()).await;
    assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), ("gzip", "Accept-Encoding"));
    assert!(gzip.body.len() <= 6 * 1024, "{} bytes on the wire", gzip.body.len());
    // The last eight bytes of a gzip file are the check sum and length of what is in it (RFC 1952 §2.3.1).
    let (_, end) = gzip.body.split_last_chunk::<8>().unwrap();
    let length = u32::from_le_bytes(end[4..].try_into().unwrap());
    let sum = u32::from_le_bytes(end[..4].try_into().unwrap());
    assert_eq!((sum, length as usize), (crc32(&plain.body), plain.body.len()), "src/web/leaseline/build makes both");
    for none in ["identity", "gzip;q=0", "br"] {
        let answer = world.ask("GET", "/leaseline.js", &[("accept-encoding", none)], Body::empty()).await;
        assert_eq!((answer.header("content-encoding"), &answer.body), ("", &plain.body), "{none}");
    }

    let path = versions["versioned_path"].as_str().unwrap();
    let versioned = world.get(path).await;
    assert_eq!(versioned.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(versioned.header("access-control-allow-origin"), "*", "an integrity check needs it");
    assert_eq!(versioned.body, plain.body);
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha384::digest(&plain.body));
    assert_eq!(versions["integrity"], format!("sha384-{hash}"));
    assert_eq!(versions["bytes_gzip"], gzip.body.len());
    assert_eq!(world.get("/leaseline.0000000000000000.js").await.status, 404);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

/// The description does not change with every version of the script.
fn described_path(path: &'static str) -> &'static str {
    if path == super::super::assets::versioned_script_path() { "/leaseline.{version}.js" } else { path }
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
    // The console's pages are for people: the first of them stands for all.
    let pages: Vec<&str> =
        super::super::console::routes().iter().map(|route| route.path).filter(|path| *path != "/").collect();
    let described_here = || routes(true).into_iter().filter(|route| !pages.contains(&route.path));
    let there: std::collections::BTreeSet<String> = described_here()
        .flat_map(|route| route.methods.iter().map(move |method| format!("{method} {}", described_path(route.path))))
        .collect();
    assert_eq!(described, there);
    for route in described_here() {
        for method in route.methods {
            let security = &document["paths"][described_path(route.path)][method.to_lowercase()]["security"];
            let open = route.access == Access::Open;
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
    let mut known = super::super::calls::PARAMETERS;
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
