//! Who may do what.

use super::*;

pub(super) fn filled(path: &str) -> String {
    path.replace("{id}", &"0".repeat(32))
        .replace("{address}", "198.18.0.1")
        .replace("{file}", "base.css")
        .replace("{name}", "acme-web")
        .replace("{number}", "442079460000")
        .replace("{version}", "0")
        .replace("{comment}", "c1")
        .replace("{account}", "a1")
        .replace("{report}", "overview")
}

#[tokio::test]
async fn without_the_token_nothing_but_the_open_routes_answers() {
    let demo = Arc::new(Demo::new(|_| Ok(())));
    let world = world_with(Some(TOKEN), Some(demo));
    for route in routes(true) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let path = filled(route.path);
            let stranger = world.ask(method, &path, &[], Body::empty()).await;
            let page = matches!(route.access, Access::Page(..)) && matches!(method, "POST" | "OPTIONS");
            match route.access {
                Access::Open if route.methods.contains(&method) => {
                    // Everybody may try to sign in, follow a link, and choose a language, which goes back to where they were.
                    let wanted = match (&*path, method) {
                        ("/session" | "/v1/session", "POST") => 401,
                        ("/v1/setup", "POST") => 400,
                        ("/sign-in" | "/setup", "POST") => 422,
                        ("/preferences" | "/sign-out", _) => 303,
                        // Without an identity provider there is no way to one.
                        ("/v1/session/oidc" | "/v1/session/oidc/callback", _) => 404,
                        _ => stranger.status.min(299),
                    };
                    assert_eq!(stranger.status, wanted, "{method} {path}");
                }
                Access::Open => assert_eq!(stranger.status, 405, "{method} {path}"),
                _ if page => assert_eq!(stranger.code(), "origin_not_allowed", "{method} {path}"),
                _ => assert_eq!(stranger.code(), "token_required", "{method} {path}"),
            }
            // A wrong token is no attempt at a password.
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
    let forged = world
        .ask("GET", "/v1/pools", &[("cookie", &format!("{}={TOKEN}", super::super::access::COOKIE))], Body::empty())
        .await;
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
