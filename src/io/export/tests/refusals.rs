//! The contract servers themselves say no: a good request of ours, spoiled in one place, is refused and counts nothing.

use serde_json::{Value, json};

use super::contracts::{Amocrm, Bitrix24, Contract, Ga4, Google, Got, Meta, Metrika, Said, Telegram, Webhook};
use super::*;
use crate::core::export::{Action, At, Delivery, Item, Memo, Notice, Step, Told};

/// The first request that an export makes about a call.
fn request(export: &str, token: &str) -> Request {
    let world: World<Webhook> = World::new(export);
    let told = Told {
        call: visitor_call(1),
        qualified: true,
        first_call: true,
        label: Some("good".into()),
        value: Some(crate::core::export::Amount { minor: 1_050, currency: "EUR".into() }),
        before: None,
    };
    let (id, now) = ("1.1".to_owned(), clock::wall());
    let item = match world.export().kind.name() {
        "telegram" => Item::Notice(Notice { kind: "missed".into(), values: json!({ "company": "acme" }) }),
        _ => Item::Call(Box::new(told)),
    };
    let delivery = Delivery { id, event_id: "1".into(), action: Action::Conversion, seq: 1, made_at: now, item };
    let destination = destination(&world.export());
    let at = At { now, token: Some(token) };
    match destination.step(&[delivery], &mut Memo::default(), None, &at) {
        Step::Ask(ask) => match *ask {
            crate::core::export::Ask::Http(request) => request,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn got(request: &Request) -> Got {
    let url = format!("{}?{}", request.url.path(), request.url.query().unwrap_or_default());
    Got::new(request.method, &url, request.headers.clone(), &request.body)
}

/// The good request is taken; with each spoiled it is refused or not counted.
fn refuses<C: Contract + Default>(export: &str, spoil: &[(&str, Value)]) {
    let good = got(&request(export, "none"));
    let mut contract = C::default();
    let said: Said = contract.answer(&good);
    assert!(said.status < 300 && !contract.counted().is_empty(), "{}: {}", said.status, said.body);
    for (pointer, value) in spoil {
        let mut body: Value = serde_json::from_slice(&good.body).unwrap();
        *body.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
        let mut contract = C::default();
        contract.answer(&Got { body: body.to_string().into_bytes(), ..good.clone() });
        assert!(contract.counted().is_empty() && !contract.refused().is_empty(), "{pointer} = {value}");
    }
}

#[test]
fn contracts_refuse_what_is_bad() {
    let null = Value::Null;
    refuses::<Ga4>(
        GA4,
        &[
            ("/client_id", null.clone()),
            ("/timestamp_micros", json!(12.5)),
            ("/events", json!([])),
            ("/events/0/name", json!("a name with blanks")),
            ("/events/0/params/pool", json!("x".repeat(101))),
            ("/events/0/params/call_id", json!("+442079460123")),
            ("/consent/ad_user_data", json!("YES")),
        ],
    );
    refuses::<Meta>(
        META,
        &[
            ("/data", json!([])),
            ("/data/0/event_time", json!(1_000_000_000)),
            ("/data/0/action_source", json!("telephone")),
            ("/data/0/user_data", json!({})),
            ("/data/0/user_data/ph", json!(["442079460123"])),
        ],
    );
    refuses::<Telegram>(TELEGRAM, &[("/chat_id", json!("-1")), ("/text", json!(""))]);
    // A signature over another body.
    let good = got(&request(WEBHOOK, "none"));
    let mut webhook = Webhook::default();
    assert_eq!(webhook.answer(&Got { body: b"{}".to_vec(), ..good.clone() }).status, 400);
    assert_eq!((webhook.answer(&good).status, webhook.counted().len()), (204, 1));
}

#[test]
fn files_of_metrika_are_refused_when_a_column_is_bad() {
    let good = got(&request(METRIKA, "none"));
    let mut metrika = Metrika::default();
    assert_eq!(metrika.answer(&good).status, 200);
    let text = String::from_utf8(good.body.clone()).unwrap();
    for (from, to) in
        [("StaticCall", "Static"), ("ClientId", "Client"), ("1001,", "abc,"), ("10.50", "10,50"), ("\"file\"", "\"f\"")]
    {
        let spoiled = text.replacen(from, to, 1);
        assert_ne!(spoiled, text, "{from}");
        let mut metrika = Metrika::default();
        assert_eq!(metrika.answer(&Got { body: spoiled.into_bytes(), ..good.clone() }).status, 400, "{from}");
        assert!(metrika.counted().is_empty());
    }
    let mut anonymous = good;
    anonymous.headers.remove("authorization");
    assert_eq!(metrika.answer(&anonymous).status, 401);
}

/// A contract with its first token given out.
fn signed_in<C: Contract + Default>(path: &str, json_body: bool) -> (C, String) {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", "client"),
        ("client_secret", "client secret"),
        ("refresh_token", "refresh-0"),
        ("redirect_uri", "https://app.example/back"),
    ];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let object: Value =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    let body = if json_body { object.to_string() } else { form.clone() };
    let mut contract = C::default();
    let said = contract.answer(&Got::new("POST", &format!("{path}?{form}"), [], body.as_bytes()));
    let said: Value = serde_json::from_str(&said.body).unwrap();
    (contract, said["access_token"].as_str().unwrap().to_owned())
}

#[test]
fn contracts_with_tokens_refuse_what_is_bad() {
    let (mut google, token) = signed_in::<Google>("/token", false);
    let good = got(&request(GOOGLE, &token));
    assert_eq!(google.answer(&got(&request(GOOGLE, "another"))).status, 401);
    for (pointer, value) in [
        ("/destinations", json!([])),
        ("/events/0/transactionId", json!("")),
        ("/events/0/eventTimestamp", json!("yesterday")),
        ("/events/0/userData/userIdentifiers/0/phoneNumber", json!("+442079460123")),
        ("/events/0/consent", Value::Null),
        ("/events/0/currency", Value::Null),
        ("/encoding", Value::Null),
    ] {
        let mut body: Value = serde_json::from_slice(&good.body).unwrap();
        *body.pointer_mut(pointer).unwrap() = value;
        let said = google.answer(&Got { body: body.to_string().into_bytes(), ..good.clone() });
        assert_eq!(said.status, 400, "{pointer}");
    }
    assert!(google.counted().is_empty());
    assert_eq!((google.answer(&good).status, google.counted().len()), (200, 1));

    let (mut bitrix, token) = signed_in::<Bitrix24>("/oauth/token/", false);
    let good = got(&request(BITRIX24, &token));
    for (pointer, value) in [("/PHONE_NUMBER", json!("")), ("/TYPE", json!(9)), ("/USER_PHONE_INNER", json!(""))] {
        let mut body: Value = serde_json::from_slice(&good.body).unwrap();
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(
            bitrix.answer(&Got { body: body.to_string().into_bytes(), ..good.clone() }).status,
            400,
            "{pointer}"
        );
    }
    assert_eq!(bitrix.answer(&good).status, 200);

    let (mut amocrm, token) = signed_in::<Amocrm>("/oauth2/access_token", true);
    let mut call = got(&request(AMOCRM, &token));
    call.method = "POST".into();
    call.path = "/api/v4/calls".into();
    let body =
        json!([{ "direction": "sideways", "duration": 1, "source": "x", "phone": "+442079460123", "call_status": 4 }]);
    call.body = body.to_string().into_bytes();
    assert_eq!(amocrm.answer(&call).status, 400);
    // Nobody has this number: it is not added.
    call.body = body.to_string().replace("sideways", "inbound").into_bytes();
    assert!(amocrm.answer(&call).body.contains("Entity not found") && amocrm.counted().is_empty());
}
