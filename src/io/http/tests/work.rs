//! Work on calls: labels, comments, scores, deals, call-backs, consent, leads, imports.

use super::*;

impl World {
    fn work(&self, kind: &str) -> Vec<Value> {
        assert!(self.state.journal.flush(Duration::from_secs(10)));
        self.state.index.settle();
        let records = self.state.journal.read(0, 10_000).unwrap();
        let events = records.iter().map(|record| serde_json::from_str::<Value>(&record.event).unwrap());
        events.filter(|event| event["type"] == format!("leaseline.{kind}")).map(|event| event["data"].clone()).collect()
    }

    async fn put(&self, cookie: &str, path: &str, body: Value) -> Answer {
        self.as_user(cookie, "PUT", path, body.to_string()).await
    }
}

/// C7: labels of the company's own dictionary, by hand, audited, and seen where calls are listed.
#[tokio::test]
async fn c07_a_call_gets_a_label_of_the_dictionary_and_the_journal_says_from_whom() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::Answered));
    let agent = world.user("anna", &["agent@acme"]);
    let path = format!("/v1/calls/{id}/label");
    let set = world.put(&agent, &path, json!({ "label": "warm" })).await;
    assert_eq!(set.json(), json!({ "call_id": id, "label": "warm" }));
    assert_eq!(world.put(&agent, &path, json!({ "label": "lukewarm" })).await.code(), "unknown_label");
    assert_eq!(world.put(&agent, &path, json!({})).await.code(), "bad_field");
    assert_eq!(world.work("call.labelled").len(), 1);
    let listed = world.as_user(&agent, "GET", "/v1/calls?label=warm", Body::empty()).await.json();
    assert_eq!(listed["calls"][0]["call_id"], id.to_string());
    assert_eq!(world.put(&agent, &path, json!({ "label": null })).await.status, 200);
    let told = world.work("call.labelled");
    assert_eq!((&told[0]["by"], &told[0]["label"], &told[1]["label"]), (&json!("anna"), &json!("warm"), &Value::Null));
    let none = world.as_user(&agent, "GET", "/v1/calls?label=warm", Body::empty()).await.json();
    assert_eq!(none["calls"], json!([]));
    let auditor = world.user("otto", &["auditor@acme"]);
    assert_eq!(world.put(&auditor, &path, json!({ "label": "warm" })).await.code(), "not_allowed");
    let other = world.user("olga", &["agent@other"]);
    assert_eq!(world.put(&other, &path, json!({ "label": "warm" })).await.code(), "unknown_call");
    let nobody = world.put(&agent, &format!("/v1/calls/{}/label", "0".repeat(32)), json!({ "label": "warm" })).await;
    assert_eq!(nobody.code(), "unknown_call");
}

/// C8: comments with a place in the recording, and a score-card.
#[tokio::test]
async fn c08_a_talk_is_commented_at_a_time_code_and_scored() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::Answered));
    let (anna, ben) = (world.user("anna", &["agent@acme"]), world.user("ben", &["agent@acme"]));
    let path = format!("/v1/calls/{id}/comments");
    let body = json!({ "text": " Asks for the price twice.\nGood close. ", "at_ms": 61_000 }).to_string();
    let written = world.as_user(&anna, "POST", &path, body).await;
    assert_eq!(written.status, 201, "{written:?}");
    let comment = written.json()["comment_id"].as_str().unwrap().to_owned();
    let one = format!("{path}/{comment}");
    assert_eq!(world.put(&ben, &one, json!({ "text": "x" })).await.code(), "not_yours");
    assert_eq!(world.put(&anna, &one, json!({ "text": "Asks once.", "at_ms": 62_000 })).await.status, 204);
    for bad in [json!({ "text": "" }), json!({ "text": "a\u{0}b" }), json!({ "text": "x".repeat(5_000) })] {
        assert_eq!(world.as_user(&anna, "POST", &path, bad.to_string()).await.code(), "bad_parameter");
    }
    let detail = world.as_user(&anna, "GET", &format!("/v1/calls/{id}"), Body::empty()).await.json();
    assert_eq!(detail["comments"][0]["text"], "Asks once.");
    assert_eq!(detail["comments"][0]["at_ms"], 62_000);
    assert_eq!(world.as_user(&ben, "DELETE", &one, Body::empty()).await.code(), "not_yours");
    let admin = world.user("adam", &["admin@acme"]);
    assert_eq!(world.as_user(&admin, "DELETE", &one, Body::empty()).await.status, 204);
    assert_eq!(world.as_user(&admin, "DELETE", &one, Body::empty()).await.code(), "unknown_comment");
    let score = format!("/v1/calls/{id}/score");
    let card = json!({ "agent": "carol", "card": { "greeting": 100, "need": 50, "offer": 75 } });
    assert_eq!(world.put(&anna, &score, card).await.json()["score"], 75);
    for bad in [json!({ "card": {} }), json!({ "card": { "need": 101 } }), json!({ "card": { "": 5 } })] {
        assert_eq!(world.put(&anna, &score, bad).await.code(), "bad_parameter");
    }
    assert_eq!(world.work("call.scored")[0]["card"]["need"], 50);
}

#[tokio::test]
async fn a_call_is_worth_something_and_is_marked_as_called_back() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::NoAnswer));
    let anna = world.user("anna", &["agent@acme"]);
    let path = format!("/v1/calls/{id}/value");
    let good = json!({ "deal_id": "D-1", "stage": "won", "value": 123_456, "currency": "GBP" });
    assert_eq!(world.put(&anna, &path, good).await.json()["value"], 123_456);
    for (bad, code) in [
        (json!({ "value": -1 }), "bad_parameter"),
        (json!({ "value": 1, "currency": "pounds" }), "bad_parameter"),
        (json!({ "value": 1, "stage": "maybe" }), "unknown_stage"),
        (json!({ "value": 1.5 }), "bad_field"),
        (json!({ "stage": "won" }), "bad_field"),
    ] {
        assert_eq!(world.put(&anna, &path, bad).await.code(), code);
    }
    let back = format!("/v1/calls/{id}/called_back");
    assert_eq!(world.put(&anna, &back, json!({ "done": true })).await.status, 204);
    assert_eq!(
        world.work("call.called_back")[0],
        json!({ "call_id": id, "company": "acme", "by": "anna", "done": true })
    );
}

/// C11: consent is kept by number, however it is written.
#[tokio::test]
async fn c11_who_opts_out_is_written_down_under_one_number() {
    let world = world(Some(TOKEN));
    let anna = world.user("anna", &["agent@acme"]);
    for (phone, consent) in [("+44 20 7946 0123", true), ("020 7946 0123", false)] {
        let body = json!({ "company": "acme", "phone": phone, "consent": consent });
        let answer = world.put(&anna, "/v1/contacts/consent", body).await;
        assert_eq!(answer.json(), json!({ "company": "acme", "phone": "+442079460123", "consent": consent }));
    }
    for (company, phone, code) in [("acme", "none", "bad_parameter"), ("other", "+442079460123", "unknown_company")] {
        let body = json!({ "company": company, "phone": phone, "consent": true });
        assert_eq!(world.put(&anna, "/v1/contacts/consent", body).await.code(), code);
    }
    assert_eq!(world.work("contact.consented").len(), 2);
}

/// C12: a form's lead shares the visitor's identity, from a page of the site or from a program.
#[tokio::test]
async fn c12_leads_of_pages_and_programs_share_the_visitors_identity() {
    let world = world(Some(TOKEN));
    let lead = json!({
        "site": "acme-site", "visitor_id": "v-1", "phone": "020 7946 0123", "name": "Ann", "consent": true,
        "session": { "utm": { "source": "google" } }, "fields": { "product": "kitchen" },
    });
    let page = world.page("/v1/leads", lead.to_string()).await;
    assert_eq!(page.status, 201, "{page:?}");
    assert_eq!(page.json()["visitor_id"], "v-1");
    let told = world.work("lead.received");
    assert_eq!(
        (&told[0]["company"], &told[0]["phone"], &told[0]["kind"]),
        (&json!("acme"), &json!("+442079460123"), &json!("form"))
    );
    let evil = [("origin", "https://evil.example"), ("content-type", "text/plain")];
    assert_eq!(world.ask("POST", "/v1/leads", &evil, lead.to_string()).await.code(), "origin_not_allowed");
    let foreign = json!({ "site": "other-site", "visitor_id": "v-1" });
    assert_eq!(world.page("/v1/leads", foreign.to_string()).await.code(), "origin_not_allowed");
    assert_eq!(world.page("/v1/leads", json!({ "site": "acme-site" }).to_string()).await.code(), "nobodys_lead");
    let token = world.token("crm", &["leads"], &["acme"]);
    let headers = [("authorization", token.as_str())];
    let chat = json!({ "company": "acme", "kind": "chat", "email": "ann@acme.example", "lead_id": "77" });
    let (one, two) = (
        world.ask("POST", "/v1/leads", &headers, chat.to_string()).await.json(),
        world.ask("POST", "/v1/leads", &headers, chat.to_string()).await.json(),
    );
    assert_eq!((&one["lead_id"], &two["lead_id"]), (&json!("acme:77"), &json!("acme:77")), "the same lead");
    let theirs = json!({ "company": "other", "email": "ann@acme.example" });
    assert_eq!(world.ask("POST", "/v1/leads", &headers, theirs.to_string()).await.code(), "unknown_company");
    let theirs = json!({ "site": "other-site", "email": "ann@acme.example" });
    assert_eq!(world.ask("POST", "/v1/leads", &headers, theirs.to_string()).await.code(), "origin_not_allowed");
}

/// R2: costs come as JSON and as CSV, whole or not at all, and the same again changes nothing.
#[tokio::test]
async fn r02_costs_are_imported_whole_or_not_at_all() {
    let world = world(Some(TOKEN));
    let mia = world.user("mia", &["marketer@acme"]);
    let csv = |text: &'static str, query: &str| {
        let path = format!("/v1/costs?company=acme{query}");
        let headers =
            [("cookie", mia.clone()), ("sec-fetch-site", "same-origin".into()), ("content-type", "text/csv".into())];
        let world = &world;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.ask("POST", &path, &headers, text).await
        }
    };
    let good = "\u{feff}Day;Source;Medium;Campaign;Amount;Currency;Clicks\n\
                2026-11-01;google;cpc;kitchens;12,50;GBP;10\n\
                2026-11-02;google;cpc;\"a;b\";3;GBP;\n";
    let answer = csv(good, "").await;
    assert_eq!((answer.status, &answer.json()["rows"]), (200, &json!(2)), "{answer:?}");
    let told = world.work("cost.imported");
    assert_eq!(told[0]["rows"][0]["cost"], 1_250);
    assert_eq!(told[0]["rows"][1]["campaign"], "a;b");
    assert_eq!((&told[0]["by"], &told[0]["company"]), (&json!("mia"), &json!("acme")));
    let bad = "day,source,amount\n2026-11-01,google,5\n2026-13-01,google,5\n2026-11-01,,5\n2026-11-01,google,5.123\n2026-11-01,google\n";
    let refused = csv(bad, "").await;
    assert_eq!(refused.code(), "bad_rows");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    for line in ["line 3:", "line 4:", "line 5:", "line 6:"] {
        assert!(detail.contains(line), "{detail}");
    }
    assert!(!detail.contains("line 2:") && world.work("cost.imported").len() == 1, "nothing half done: {detail}");
    assert_eq!(csv(good, "&dry_run=true").await.json()["dry_run"], true);
    assert_eq!(world.work("cost.imported").len(), 1);
    let rows = json!({ "company": "acme", "rows": [{ "day": "2026-11-01", "source": "yandex", "cost": 500 }] });
    let answer = world.as_user(&mia, "POST", "/v1/costs", rows.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let other = json!({ "company": "other", "rows": [] }).to_string();
    assert_eq!(world.as_user(&mia, "POST", "/v1/costs", other).await.code(), "unknown_company");
    let agent = world.user("anna", &["agent@acme"]);
    assert_eq!(world.as_user(&agent, "POST", "/v1/costs", rows.to_string()).await.code(), "not_allowed");
}

#[tokio::test]
async fn deals_are_imported_by_call_or_by_number() {
    let world = world(Some(TOKEN));
    let id = world.call(7, Some(Outcome::Answered));
    let mia = world.user("mia", &["marketer@acme"]);
    let send = |rows: Value| {
        let body = json!({ "company": "acme", "rows": rows }).to_string();
        world.as_user(&mia, "POST", "/v1/deals", body)
    };
    let good = json!([
        { "call_id": id, "deal_id": "D-1", "stage": "won", "amount": "1200.50" },
        { "phone": "+447900000007", "deal_id": "D-2", "value": 5 },
    ]);
    let answer = send(good).await;
    assert_eq!((answer.status, &answer.json()["rows"]), (200, &json!(2)), "{answer:?}");
    let told = world.work("call.valued");
    assert_eq!((&told[0]["value"], &told[1]["call_id"]), (&json!(120_050), &json!(id)));
    let bad =
        json!([{ "phone": "+442079460999", "value": 1 }, { "value": 1 }, { "call_id": id, "stage": "x", "value": 1 }]);
    let refused = send(bad).await;
    assert_eq!(refused.code(), "bad_rows");
    assert_eq!(refused.json()["detail"].as_str().unwrap().lines().count(), 3);
    assert_eq!(world.work("call.valued").len(), 2);
}
