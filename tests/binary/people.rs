//! The whole way of people: from the link of the first start to a second user's masked numbers, and over a restart.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Page, browse, send};
use crate::node::{NUMBER, Node, holds};

const CALLER: &str = "+442079460990";
const FLYER: &str = "+442079460600";
const MASKED: &str = "+442*******90";

fn started() -> Node {
    let mut node = Node::new("");
    let address = node.address;
    // Calls of beta are nobody else's business.
    node.extra = format!(
        "[http]\nlisten = \"{address}:8080\"\nsign_in = true\n\
         [[company]]\nname = \"acme\"\nforward_to = [\"sip:sales@{address}:5080\"]\n\
         [[company]]\nname = \"beta\"\nforward_to = [\"sip:beta@{address}:9\"]\nring_timeout = \"1s\"\n\
         [[pool]]\nname = \"board\"\ncompany = \"acme\"\nkind = \"static\"\nnumbers = [\"{NUMBER}\"]\n\
         channel = {{ source = \"billboard\" }}\n\
         [[pool]]\nname = \"flyer\"\ncompany = \"beta\"\nkind = \"static\"\nnumbers = [\"{FLYER}\"]\n\
         channel = {{ source = \"flyer\" }}\n"
    );
    node.write_config();
    node.start();
    node
}

/// Secrets of the links that were printed, oldest first.
fn links(log: &str) -> Vec<String> {
    let after = log.split("/setup#").skip(1);
    after.map(|rest| rest.split(|c: char| c.is_whitespace()).next().unwrap().to_owned()).collect()
}

fn session(page: &Page) -> String {
    format!("leaseline_session={}", page.cookie("leaseline_session").unwrap_or_else(|| panic!("{page:?}")))
}

fn sign_in(at: SocketAddr, user: &str, password: &str) -> Page {
    send(at, "POST /v1/session", "", &json!({ "user": user, "password": password }))
}

fn calls(at: SocketAddr, cookie: &str) -> Vec<Value> {
    browse(at, "/v1/calls", cookie).json()["calls"].as_array().unwrap().clone()
}

#[test]
fn people_come_in_by_links_see_what_they_may_and_are_there_after_a_restart() {
    let mut node = started();
    let at = node.http_at();
    node.answering();

    // Until somebody follows the link there is nobody, and nothing to guess.
    let printed = links(&node.log());
    assert_eq!(printed.len(), 1, "{}", node.log());
    assert_eq!(browse(at, "/v1/calls", "").status, 401);
    assert_eq!(browse(at, "/setup", "").status, 200);
    let link = &printed[0];
    assert_eq!(send(at, "POST /v1/setup", "", &json!({ "link": "another" })).code(), "unknown_link");
    assert_eq!(send(at, "POST /v1/setup", "", &json!({ "link": link })).json()["user"], Value::Null);
    let first = json!({ "link": link, "user": "Chief", "password": "a long enough password" });
    let made = send(at, "POST /v1/setup", "", &first);
    assert_eq!(made.status, 204, "{made:?}");
    assert_eq!(send(at, "POST /v1/setup", "", &first).code(), "unknown_link", "once");
    let told = browse(at, "/v1/session", &session(&made)).json();
    assert_eq!((&told["name"], &told["account"]["roles"]), (&json!("chief"), &json!(["owner@*"])));

    // Out, and in again by the password only.
    assert_eq!(send(at, "DELETE /v1/session", &session(&made), &Value::Null).status, 204);
    assert_eq!(browse(at, "/v1/calls", &session(&made)).status, 401);
    assert_eq!(sign_in(at, "chief", "a long enough passwore").code(), "bad_credentials");
    let owner = session(&sign_in(at, "chief", "a long enough password"));

    // A second one, for one company, by a link of their own.
    let mark = json!({ "name": "mark", "roles": ["marketer@acme"] });
    assert_eq!(send(at, "POST /v1/users", "", &mark).status, 401);
    let added = send(at, "POST /v1/users", &owner, &mark);
    assert_eq!(added.status, 201, "{added:?}");
    let link = links(added.json()["link"].as_str().unwrap()).remove(0);
    assert_eq!(send(at, "POST /v1/setup", "", &json!({ "link": link })).json()["user"], "mark");
    let chosen = send(at, "POST /v1/setup", "", &json!({ "link": link, "password": "another long password" }));
    let marketer = session(&chosen);

    // Calls of both companies.
    let report = node.report(node.call(NUMBER, Duration::from_millis(300)));
    assert!(report.answered, "{report:?}");
    node.report(node.call(FLYER, Duration::from_millis(300)));
    node.wait_for_events("call.ended", 2);
    holds("the list has both", || calls(at, &owner).len() == 2);
    let all = calls(at, &owner);
    assert!(all.iter().all(|call| call["caller"] == CALLER), "{all:?}");
    let of_beta = all.iter().find(|call| call["company"] == "beta").unwrap()["call_id"].as_str().unwrap();
    let of_acme = all.iter().find(|call| call["company"] == "acme").unwrap()["call_id"].as_str().unwrap();

    // The marketer sees one, without the caller's number, and changes nothing that is not theirs.
    let seen = calls(at, &marketer);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((&seen[0]["company"], &seen[0]["caller"]), (&json!("acme"), &json!(MASKED)), "{seen:?}");
    let card = format!("/calls/{of_acme}");
    for (path, wanted) in [("/calls", true), (card.as_str(), true), ("/", false)] {
        let page = browse(at, path, &marketer);
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("0990"), "{path}: {}", page.body);
        assert!(!wanted || page.body.contains("••90"), "{path}: {}", page.body);
    }
    let whole = browse(at, "/calls", &owner).body;
    assert!(whole.contains("0990") && !whole.contains('•'), "{whole}");
    assert_eq!(browse(at, &format!("/v1/calls/{of_beta}"), &marketer).code(), "unknown_call");
    for path in ["/v1/users", "/v1/tokens", "/v1/trunks", "/v1/audit", "/metrics"] {
        assert_eq!(browse(at, path, &marketer).code(), "not_allowed", "{path}");
    }
    assert_eq!(browse(at, "/users", &marketer).status, 403);
    let grown = json!({ "name": "friend", "roles": ["owner@*"] });
    assert_eq!(send(at, "POST /v1/users", &marketer, &grown).code(), "not_allowed");
    assert_eq!(send(at, &format!("DELETE /v1/calls/{of_acme}"), &marketer, &Value::Null).code(), "not_allowed");

    // A restart: users are there, sessions are not, and nobody is offered to be the first any more.
    node.stop();
    node.start();
    assert_eq!(links(&node.log()).len(), 1, "{}", node.log());
    assert_eq!(browse(at, "/v1/calls", &owner).status, 401);
    let marketer = session(&sign_in(at, "mark", "another long password"));
    assert_eq!(calls(at, &marketer)[0]["caller"], MASKED);
    let owner = session(&sign_in(at, "Chief", "a long enough password"));
    let users = browse(at, "/v1/users", &owner).json();
    let named = |user: &Value| (user["name"].as_str().unwrap().to_owned(), user["roles"].clone());
    let users: Vec<_> = users["users"].as_array().unwrap().iter().map(named).collect();
    assert_eq!(users, [("chief".into(), json!(["owner@*"])), ("mark".into(), json!(["marketer@acme"]))]);

    // Somebody who is shut out is out at once, and everything that happened is written down.
    let change = send(at, "PATCH /v1/users/mark", &owner, &json!({ "disabled": true }));
    assert_eq!(change.status, 200, "{change:?}");
    assert_eq!(browse(at, "/v1/calls", &marketer).status, 401);
    assert_eq!(sign_in(at, "mark", "another long password").code(), "bad_credentials");
    let what = |kind: &str| -> Vec<String> {
        node.events_of(kind).iter().map(|data| format!("{} {}", data["user"], data["what"]).replace('"', "")).collect()
    };
    node.wait_for_events("user.changed", 4);
    assert!(what("user.changed").contains(&"mark disabled".to_owned()), "{:?}", what("user.changed"));
    assert!(what("user.signed_in").contains(&"chief password".to_owned()), "{:?}", what("user.signed_in"));
    node.stop();
}
