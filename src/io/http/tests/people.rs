//! Signing in and out, users, tokens, one-time links.

use super::*;
use crate::core::rights::Rights;
use crate::io::people::{NewUser, operator, secret};

const PASSWORD: &str = "correct horse battery";

impl World {
    /// A user with [`PASSWORD`].
    pub(super) fn person(&self, name: &str, roles: &[&str]) {
        let all = Arc::new(Rights::all());
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let new = NewUser { name: name.into(), roles, password: secret::hashed(PASSWORD), oidc: None };
        self.state.people.add(&operator(&all), new).unwrap();
    }

    async fn sign_in(&self, body: Value) -> Answer {
        self.ask("POST", "/v1/session", &[("sec-fetch-site", "same-origin")], body.to_string()).await
    }

    pub(super) fn told(&self, kind: &str) -> Vec<Value> {
        assert!(self.state.journal.flush(Duration::from_secs(10)));
        let records = self.state.journal.read(0, 10_000).unwrap();
        let events = records.iter().map(|record| serde_json::from_str::<Value>(&record.event).unwrap());
        events.filter(|event| event["type"] == format!("leaseline.{kind}")).map(|event| event["data"].clone()).collect()
    }
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_signs_in_with_a_password_and_out_again() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    for (user, password) in [("anna", "wrong"), ("nobody", PASSWORD), ("", ""), ("anna", "")] {
        let bad = world.sign_in(json!({ "user": user, "password": password })).await;
        assert_eq!((bad.status, bad.code().as_str()), (401, "bad_credentials"), "{user}");
        assert_eq!(bad.json()["detail"], "Name or password is wrong.", "nobody learns which");
    }
    let good = world.sign_in(json!({ "user": " Anna ", "password": PASSWORD })).await;
    assert_eq!(good.status, 204, "{good:?}");
    let set = good.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = cookie(&good);
    let session = world.as_user(&cookie, "GET", "/v1/session", Body::empty()).await.json();
    assert_eq!(
        (&session["name"], &session["authorised"], &session["numbers"]),
        (&json!("anna"), &json!(true), &json!(true))
    );
    assert_eq!(session["rights"]["calls"], json!(["acme"]));
    assert_eq!(world.as_user(&cookie, "DELETE", "/v1/session", Body::empty()).await.status, 204);
    assert_eq!(world.as_user(&cookie, "GET", "/v1/calls", Body::empty()).await.status, 401, "out on the server, too");
    let told = world.told("user.signed_in");
    assert_eq!((told.len(), &told[0]["user"], &told[0]["what"]), (1, &json!("anna"), &json!("password")));
    let refused = world.told("user.refused");
    assert_eq!(refused.len(), 4);
    assert!(refused.iter().all(|event| event["what"] == "bad_credentials" && event["address"] == "127.0.0.1"));
}

/// Session fixation: a session that was there before the sign-in is void after it, and nobody chooses an id.
#[tokio::test]
async fn signing_in_makes_a_new_session_and_voids_the_one_before() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let body = json!({ "user": "anna", "password": PASSWORD });
    let first = cookie(&world.sign_in(body.clone()).await);
    let again = world.as_user(&first, "POST", "/v1/session", body.to_string()).await;
    let second = cookie(&again);
    assert_ne!(first, second);
    assert_eq!(world.as_user(&first, "GET", "/v1/calls", Body::empty()).await.status, 401);
    assert_eq!(world.as_user(&second, "GET", "/v1/calls", Body::empty()).await.status, 200);
    let chosen = format!("leaseline_session={}", "A".repeat(43));
    let after = world.as_user(&chosen, "POST", "/v1/session", body.to_string()).await;
    assert_ne!(cookie(&after), chosen);
    assert_eq!(world.as_user(&chosen, "GET", "/v1/calls", Body::empty()).await.status, 401);
    let everywhere = world.as_user(&second, "DELETE", "/v1/session?everywhere=true", Body::empty()).await;
    assert_eq!(everywhere.status, 204, "{everywhere:?}");
    assert_eq!(world.as_user(&cookie(&after), "GET", "/v1/calls", Body::empty()).await.status, 401, "everywhere");
}

/// I13: a page of others can neither read nor write with somebody's cookie, frame us, or sign somebody in.
#[tokio::test]
async fn i13_pages_of_others_do_nothing_with_a_cookie() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::Answered));
    let cookie = world.user("anna", &["owner@*"]);
    let hold = format!("/v1/calls/{id}/hold");
    let body = json!({ "why": "x" }).to_string();
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[("content-type", "text/plain")],
        &[],
    ] {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend(headers);
        for (method, path) in [("POST", hold.as_str()), ("DELETE", "/v1/users/anna"), ("PUT", "/v1/catalogue")] {
            let answer = world.ask(method, path, &all, body.clone()).await;
            assert!(matches!(answer.status, 401 | 403), "{method} {path} with {headers:?}: {}", answer.status);
        }
    }
    for own in [("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")] {
        let answer = world.ask("POST", &hold, &[("cookie", cookie.as_str()), own], body.clone()).await;
        assert_eq!(answer.code(), "no_recording", "our own page gets through with {own:?}");
    }
    let forced = world.ask("POST", "/v1/session", &[("origin", "https://evil.example")], "{}").await;
    assert_eq!(forced.code(), "origin_not_allowed");
    let page = world.get("/setup").await;
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let in_url = world.get(&format!("/v1/calls?token={TOKEN}")).await;
    assert_eq!(in_url.status, 401, "a token in an address is none");
}

#[tokio::test]
async fn attempts_are_limited_by_address_and_by_name_whether_there_is_one_or_not() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    for user in ["anna", "nobody"] {
        let statuses: Vec<u16> = {
            let mut all = Vec::new();
            for _ in 0..=limits::SIGN_IN_PER_NAME.0 {
                all.push(world.sign_in(json!({ "user": user, "password": "wrong" })).await.status);
            }
            all
        };
        let (last, before) = statuses.split_last().unwrap();
        assert!(before.iter().all(|status| *status == 401) || user == "nobody", "{statuses:?}");
        assert_eq!(*last, 429, "{user}");
    }
    let limited = world.sign_in(json!({ "user": "anna", "password": PASSWORD })).await;
    assert_eq!(limited.code(), "too_many_attempts");
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(world.told("user.refused").iter().any(|event| event["what"] == "rate_limited"));
}

#[tokio::test]
async fn a_second_factor_is_shown_confirmed_wanted_and_taken_once() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let body = json!({ "user": "anna", "password": PASSWORD });
    let session = cookie(&world.sign_in(body.clone()).await);
    let early = world.as_user(&session, "PUT", "/v1/session/totp", json!({ "code": "123456" }).to_string()).await;
    assert_eq!(early.code(), "no_secret_shown");
    let offered = world.as_user(&session, "POST", "/v1/session/totp", Body::empty()).await.json();
    let shown = offered["secret"].as_str().unwrap();
    assert!(offered["svg"].as_str().unwrap().starts_with("<svg") && offered["url"].as_str().unwrap().contains(shown));
    let wrong = world.as_user(&session, "PUT", "/v1/session/totp", json!({ "code": "000000x" }).to_string()).await;
    assert_eq!(wrong.code(), "bad_code");
    let code = |offset: i64| {
        let seconds = clock::wall().seconds().checked_add_signed(offset).unwrap();
        secret::tests::code(shown, seconds)
    };
    let now = code(0);
    let on = world.as_user(&session, "PUT", "/v1/session/totp", json!({ "code": now }).to_string()).await;
    let recovery = on.json()["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    assert_eq!(world.sign_in(body.clone()).await.code(), "code_required");
    let with = |code: &str| json!({ "user": "anna", "password": PASSWORD, "code": code });
    assert_eq!(world.sign_in(with(&now)).await.code(), "bad_code", "the code that confirmed it is used");
    assert_eq!(world.sign_in(with(&code(30))).await.status, 204);
    assert_eq!(world.sign_in(with(&code(30))).await.code(), "bad_code", "a replay");
    let spare = recovery[0].as_str().unwrap();
    assert_eq!(world.sign_in(with(spare)).await.status, 204);
    assert_eq!(world.sign_in(with(spare)).await.code(), "bad_code", "a recovery code is one for once");
    let off = json!({ "password": "wrong" }).to_string();
    assert_eq!(world.as_user(&session, "DELETE", "/v1/session/totp", off).await.code(), "bad_credentials");
    let off = json!({ "password": PASSWORD }).to_string();
    assert_eq!(world.as_user(&session, "DELETE", "/v1/session/totp", off).await.status, 204);
    assert_eq!(world.sign_in(body).await.status, 204);
    let text = std::fs::read_to_string(world.folder.path().join("data/users.json")).unwrap();
    assert!(!text.contains(PASSWORD) && !text.contains(spare), "{text}");
}

#[tokio::test]
async fn the_first_owner_comes_by_a_link_and_ends_the_openness() {
    let world = world(None);
    assert_eq!(world.get("/v1/calls").await.status, 200, "open on this machine while there is nobody");
    let link = world.state.people.first_link().unwrap().unwrap();
    let who = world.ask("POST", "/v1/setup", &[], json!({ "link": link }).to_string()).await;
    assert_eq!(who.json(), json!({ "user": null }));
    let wrong = world.ask("POST", "/v1/setup", &[], json!({ "link": "x", "password": PASSWORD }).to_string()).await;
    assert_eq!(wrong.code(), "unknown_link");
    let with = |user: &str, password: &str| json!({ "link": link, "user": user, "password": password }).to_string();
    for (user, password, code) in
        [("olga", "short", "weak_password"), ("not a name", PASSWORD, "bad_field"), ("local", PASSWORD, "bad_field")]
    {
        assert_eq!(world.ask("POST", "/v1/setup", &[], with(user, password)).await.code(), code, "{user}");
    }
    let made = world.ask("POST", "/v1/setup", &[], with("olga", PASSWORD)).await;
    assert_eq!(made.status, 204, "{made:?}");
    assert_eq!(world.ask("POST", "/v1/setup", &[], with("eve", PASSWORD)).await.code(), "unknown_link", "once");
    assert_eq!(world.get("/v1/calls").await.code(), "token_required", "nothing is open any more");
    assert_eq!(
        world.as_user(&cookie(&made), "GET", "/v1/users", Body::empty()).await.json()["users"][0]["name"],
        "olga"
    );
    assert_eq!(world.state.people.first_link().unwrap(), None);
    assert_eq!(world.told("user.changed")[0]["roles"], json!(["owner@*"]));
}

#[tokio::test]
async fn users_are_added_changed_and_removed_within_what_one_has() {
    let world = world(Some(TOKEN));
    let owner = world.user("olga", &["owner@*"]);
    let admin = world.user("adam", &["admin@acme"]);
    let add = |name: &str, role: &str| json!({ "name": name, "roles": [role] }).to_string();
    for (cookie, body, code) in [
        (&admin, add("x", "owner@*"), "not_yours_to_give"),
        (&admin, add("x", "agent@other"), "not_yours_to_give"),
        (&owner, add("x", "agent@nowhere"), "unknown_company"),
        (&owner, add("x", "king@acme"), "bad_field"),
        (&owner, add("adam", "agent@acme"), "name_taken"),
    ] {
        assert_eq!(world.as_user(cookie, "POST", "/v1/users", body).await.code(), code);
    }
    let added = world.as_user(&admin, "POST", "/v1/users", add("Ben", "agent@acme")).await;
    assert_eq!(added.status, 201);
    let link = added.json()["link"].as_str().unwrap().strip_prefix("/setup#").unwrap().to_owned();
    let chosen = json!({ "link": link, "password": PASSWORD }).to_string();
    let ben = cookie(&world.ask("POST", "/v1/setup", &[], chosen).await);
    assert_eq!(world.as_user(&ben, "GET", "/v1/calls", Body::empty()).await.status, 200);
    let names = |answer: Answer| -> Vec<String> {
        answer.json()["users"].as_array().unwrap().iter().map(|u| u["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(world.as_user(&admin, "GET", "/v1/users", Body::empty()).await), ["adam", "ben"]);
    let patch = |body: Value| body.to_string();
    for (who, body, code) in [
        ("olga", json!({ "disabled": true }), "not_found"),
        ("ben", json!({ "roles": ["agent@other"] }), "unknown_company_or_more"),
    ] {
        let answer = world.as_user(&admin, "PATCH", &format!("/v1/users/{who}"), patch(body)).await;
        assert!([code, "not_yours_to_give"].contains(&&*answer.code()), "{who}");
    }
    let demoted = world.as_user(&admin, "PATCH", "/v1/users/ben", patch(json!({ "roles": ["auditor@acme"] }))).await;
    assert_eq!(demoted.json()["roles"], json!(["auditor@acme"]));
    let disabled = world.as_user(&admin, "PATCH", "/v1/users/ben", patch(json!({ "disabled": true }))).await;
    assert_eq!(disabled.json()["disabled"], true);
    assert_eq!(world.as_user(&ben, "GET", "/v1/calls", Body::empty()).await.status, 401, "at once");
    for body in [json!({ "disabled": true }), json!({ "roles": ["admin@*"] })] {
        let last = world.as_user(&owner, "PATCH", "/v1/users/olga", patch(body)).await;
        assert_eq!(last.code(), "last_owner");
    }
    assert_eq!(world.as_user(&owner, "DELETE", "/v1/users/olga", Body::empty()).await.code(), "last_owner");
    assert_eq!(world.as_user(&admin, "DELETE", "/v1/users/ben", Body::empty()).await.status, 204);
    let told: Vec<String> = world
        .told("user.changed")
        .iter()
        .filter(|event| event["user"] == "ben")
        .map(|event| format!("{} {}", event["by"].as_str().unwrap(), event["what"].as_str().unwrap()))
        .collect();
    assert_eq!(told, ["adam created", "ben password", "adam roles", "adam disabled", "adam deleted"]);
}

#[tokio::test]
async fn ones_own_password_is_changed_with_the_old_one_and_ends_other_sessions() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let body = json!({ "user": "anna", "password": PASSWORD });
    let (one, two) = (cookie(&world.sign_in(body.clone()).await), cookie(&world.sign_in(body.clone()).await));
    let change = |current: &str, new: &str| json!({ "current": current, "new": new }).to_string();
    let wrong = world.as_user(&one, "POST", "/v1/session/password", change("wrong", "another long one")).await;
    assert_eq!(wrong.code(), "bad_credentials");
    let weak = world.as_user(&one, "POST", "/v1/session/password", change(PASSWORD, "anna-anna-anna")).await;
    assert_eq!(weak.code(), "weak_password");
    let changed = world.as_user(&one, "POST", "/v1/session/password", change(PASSWORD, "another long one")).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    for old in [&one, &two] {
        assert_eq!(world.as_user(old, "GET", "/v1/calls", Body::empty()).await.status, 401);
    }
    assert_eq!(world.as_user(&cookie(&changed), "GET", "/v1/calls", Body::empty()).await.status, 200);
    assert_eq!(world.sign_in(body).await.status, 401);
    let bearer = format!("Bearer {TOKEN}");
    let token = world.ask("POST", "/v1/session/password", &[("authorization", &bearer)], change("a", "b")).await;
    assert_eq!(token.code(), "no_account");
}

#[tokio::test]
async fn tokens_are_shown_once_hold_their_scopes_and_end() {
    let world = world(Some(TOKEN));
    let admin = world.user("adam", &["admin@acme"]);
    world.user("olga", &["owner@*"]);
    let add = |scopes: &[&str], companies: &[&str]| {
        json!({ "name": "crm", "scopes": scopes, "companies": companies }).to_string()
    };
    for (body, code) in [
        (add(&["calls"], &[]), "not_yours_to_give"),
        (add(&["calls"], &["other"]), "not_yours_to_give"),
        (add(&["calls"], &["nowhere"]), "unknown_company"),
        (add(&[], &["acme"]), "bad_field"),
        (add(&["everything"], &["acme"]), "bad_field"),
    ] {
        assert_eq!(world.as_user(&admin, "POST", "/v1/tokens", body).await.code(), code);
    }
    let made = world.as_user(&admin, "POST", "/v1/tokens", add(&["calls"], &["acme"])).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("lsl_"));
    let id = world.call(1, Some(Outcome::Answered));
    let bearer = format!("Bearer {token}");
    let calls = world.ask("GET", "/v1/calls", &[("authorization", &bearer)], Body::empty()).await;
    assert_eq!(calls.json()["calls"][0]["call_id"], id.to_string());
    assert!(!String::from_utf8_lossy(&calls.body).contains("+4479000000"), "without `numbers` they are masked");
    let listed = world.as_user(&admin, "GET", "/v1/tokens", Body::empty()).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(token) && listed.json()["tokens"][0]["name"] == "crm");
    let file = std::fs::read_to_string(world.folder.path().join("data/users.json")).unwrap();
    assert!(!file.contains(token) && !world.told("user.changed").iter().any(|e| e.to_string().contains(token)));
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(world.as_user(&admin, "DELETE", &path, Body::empty()).await.status, 204);
    assert_eq!(world.ask("GET", "/v1/calls", &[("authorization", &bearer)], Body::empty()).await.status, 401);
    assert_eq!(world.as_user(&admin, "DELETE", &path, Body::empty()).await.status, 404);
}

#[tokio::test]
async fn a_change_at_the_command_line_is_seen_and_told() {
    let world = world(Some(TOKEN));
    world.user("olga", &["owner@*"]);
    let beside = crate::io::people::People::open(&world.folder.path().join("data"), None).unwrap();
    let all = Arc::new(Rights::all());
    let new = NewUser { name: "ben".into(), roles: vec!["agent@acme".into()], ..NewUser::default() };
    assert!(beside.add(&operator(&all), new).unwrap().is_some());
    let later = Mono(clock::mono().0 + 5_000_000_000);
    assert!(world.state.people.now(later).user("ben").is_some());
    let told = world.told("user.changed");
    assert_eq!((&told[1]["user"], &told[1]["by"]), (&json!("ben"), &json!("operator")));
}
