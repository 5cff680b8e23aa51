//! Sign-in with a company's identity provider, through the real program; the test is the browser.

use serde_json::{Value, json};

use crate::browser::{Page, browse};
use crate::contracts::Identity;
use crate::node::Node;
use crate::serving::Server;

/// Where a URL leads, below its host.
fn path_of(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

fn node(server: &Server<Identity>, more: &str) -> Node {
    Node::started(&format!(
        "[http.oidc]\nissuer = \"http://{}\"\nclient_id = \"leaseline\"\nclient_secret = \"client secret\"\n\
         public_url = \"http://localhost:8080\"\n{more}",
        server.address
    ))
}

/// To the provider and back; gives the browser's own cookie and the way back.
fn there(node: &Node, server: &Server<Identity>, next: &str) -> (String, String) {
    let begun = browse(node.http_at(), &format!("/v1/session/oidc?next={next}"), "");
    assert_eq!(begun.status, 303, "{}", begun.body);
    let kept = begun.cookie("leaseline_oidc").unwrap();
    assert!(begun.header("set-cookie").unwrap().contains("HttpOnly; SameSite=Lax"));
    let away = browse(server.address, &path_of(begun.header("location").unwrap()), "");
    assert_eq!(away.status, 302, "{}", away.body);
    (format!("leaseline_oidc={kept}"), path_of(away.header("location").unwrap()))
}

fn sign_in(node: &Node, server: &Server<Identity>, who: Value) -> Page {
    server.contract.lock().unwrap().who = who;
    let (kept, back) = there(node, server, "/calls%3Fpool%3Dweb");
    browse(node.http_at(), &back, &kept)
}

fn session(node: &Node, page: &Page) -> Value {
    let cookie = format!("leaseline_session={}", page.cookie("leaseline_session").unwrap());
    serde_json::from_str(&browse(node.http_at(), "/v1/session", &cookie).body).unwrap()
}

#[test]
fn groups_of_the_provider_give_the_roles_anew_at_every_sign_in() {
    let server: Server<Identity> = Server::start(&[]);
    let node = node(&server, "roles = { marketing = \"marketer@acme\", chiefs = \"owner@*, auditor@*\" }\n");
    let anna = |groups: &[&str]| json!({ "sub": "77", "email": "Anna@acme.example", "email_verified": true, "groups": groups });
    let page = sign_in(&node, &server, anna(&["marketing", "lunch"]));
    assert_eq!(page.status, 200, "{}", page.body);
    // Not a redirect: the session's cookie would not be sent with one that another site began.
    assert!(page.body.contains("0;url=/calls?pool=web"), "{}", page.body);
    let told = session(&node, &page);
    assert_eq!(told["name"], "anna@acme.example");
    assert_eq!(told["account"]["roles"], json!(["marketer@acme"]));
    assert_eq!(told["identity_provider"], "127.0.0.1");

    // Promoted, and renamed: the account is known by its subject.
    let mut renamed = anna(&["chiefs"]);
    renamed["email"] = json!("anna.b@acme.example");
    let page = sign_in(&node, &server, renamed);
    let told = session(&node, &page);
    assert_eq!(told["name"], "anna@acme.example");
    assert_eq!(told["account"]["roles"], json!(["owner@*", "auditor@*"]));

    // In no group any more: nobody here.
    let page = sign_in(&node, &server, anna(&["lunch"]));
    assert_eq!((page.status, page.code()), (403, "no_role".to_owned()));
    assert!(page.cookie("leaseline_session").is_none());
    let changed = node.wait_for_events("user.changed", 2);
    assert_eq!(changed[0]["what"], "created");
    assert_eq!(changed[1]["what"], "roles");
    assert_eq!(node.wait_for_events("user.signed_in", 2)[0]["what"], "oidc");
    assert_eq!(node.wait_for_events("user.refused", 1)[0]["what"], "no_role");
    assert_eq!(server.counted().len(), 3);
}

#[test]
fn without_roles_for_groups_only_those_who_were_added_come_in() {
    let server: Server<Identity> = Server::start(&[]);
    let node = node(&server, "claim = \"preferred_username\"\n");
    let boris = || json!({ "sub": "b", "preferred_username": "boris" });
    assert_eq!(sign_in(&node, &server, boris()).code(), "no_role");
    let (status, body) = node
        .request("POST /v1/users", r#"{"name":"boris","roles":["owner@*"],"password":"a long enough password"}"#)
        .unwrap();
    assert_eq!(status, 201, "{body}");
    let page = sign_in(&node, &server, boris());
    assert_eq!(session(&node, &page)["account"]["roles"], json!(["owner@*"]));
    // Somebody else who took that name there is somebody else.
    let other = json!({ "sub": "x", "preferred_username": "boris" });
    assert_eq!(sign_in(&node, &server, other).code(), "no_role");
}

#[test]
fn what_does_not_hold_signs_nobody_in() {
    let server: Server<Identity> = Server::start(&[]);
    let node = node(&server, "roles = { staff = \"marketer@acme\" }\n");
    let carla = json!({ "sub": "c", "email": "carla@acme.example", "email_verified": true, "groups": ["staff"] });
    let refused = |lies: Value| {
        server.contract.lock().unwrap().lies = lies;
        let page = sign_in(&node, &server, carla.clone());
        assert!(page.cookie("leaseline_session").is_none());
        (page.status, page.code())
    };
    for lies in [
        json!({ "nonce": "another" }),
        json!({ "aud": "another" }),
        json!({ "iss": "https://another.example" }),
        json!({ "exp": 1 }),
        json!({ "email_verified": false }),
        json!({ "email": Value::Null }),
    ] {
        assert_eq!(refused(lies.clone()), (403, "provider_failed".to_owned()), "{lies}");
    }
    server.contract.lock().unwrap().lies = json!({});

    // Another browser's way back, a second use, a state of nobody's.
    let (kept, back) = there(&node, &server, "/");
    for cookie in ["", "leaseline_oidc=another"] {
        assert_eq!(browse(node.http_at(), &back, cookie).code(), "unexpected_sign_in");
    }
    assert_eq!(browse(node.http_at(), &back, &kept).status, 200);
    assert_eq!(browse(node.http_at(), &back, &kept).code(), "provider_failed");
    // The page to go on with is ours.
    let (kept, back) = there(&node, &server, "//evil.example");
    assert!(browse(node.http_at(), &back, &kept).body.contains("0;url=/\""));

    // The provider has new keys; then it is not there.
    server.contract.lock().unwrap().key = 2;
    assert_eq!(sign_in(&node, &server, carla.clone()).status, 200);
    let away = browse(node.http_at(), "/v1/session/oidc/callback?error=access_denied&state=x", "");
    assert_eq!((away.status, away.code()), (403, "provider_failed".to_owned()));
}

#[test]
fn a_provider_that_is_not_there_is_said_to_be() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = Node::started(&format!(
        "[http.oidc]\nissuer = \"http://{nobody}\"\nclient_id = \"leaseline\"\npublic_url = \"http://localhost:8080\"\n"
    ));
    let page = browse(node.http_at(), "/v1/session/oidc", "");
    assert_eq!((page.status, page.code()), (502, "provider_failed".to_owned()));
    let without = Node::started("");
    assert_eq!(browse(without.http_at(), "/v1/session/oidc", "").code(), "no_provider");
}
