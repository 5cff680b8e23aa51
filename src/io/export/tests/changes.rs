//! Who is told of what, and what becomes of it when a label or a value changes.

use super::super::intake::Intake;
use super::contracts::{Bitrix24, Callrail, Ga4, Google, Meta, Metrika, Telegram, Webhook};
use super::*;
use crate::core::event::keeper::{KeeperEvent, ShortageData};
use crate::time::Wall;
use serde_json::json;

fn actions(world: &World<Webhook>) -> Vec<String> {
    let got = &world.contract().got;
    got.values().map(|body| format!("{} {}", body["action"].as_str().unwrap(), body["label"])).collect()
}

#[tokio::test]
async fn r04_goals_go_out_for_live_leads_only_and_later_when_the_label_is_set() {
    let filter = "history = true\n[export.filter]\nlabels = [\"good\"]\nqualified = true\nconfidence = \"80%\"\n\
                  first_call = true\nconsent = true\n";
    let world: World<Webhook> = World::new(&format!("{WEBHOOK}{filter}"));
    world.ended(visitor_call(1));
    let unsure = |n| {
        let mut call = visitor_call(n);
        call.attribution.confidence = 0.5;
        call
    };
    world.ended(unsure(2));
    world.ended(CallData { talk_ms: 1_000, ..visitor_call(3) });
    world.ended(CallData { caller: visitor_call(1).caller, ..visitor_call(4) });
    world.ended(with_consent(visitor_call(5), None));
    for n in 2..=5 {
        world.label(n, Some("good"));
    }
    world.work(None).await.unwrap();
    assert_eq!(actions(&world), Vec::<String>::new(), "unsure, short, repeated, without consent, not labelled yet");
    assert_eq!(world.store().counts().unwrap().waiting, 1);
    world.label(1, Some("good"));
    world.work(None).await.unwrap();
    assert_eq!(actions(&world), ["call \"good\""]);
    // The label was wrong.
    world.label(1, Some("spam"));
    world.work(None).await.unwrap();
    assert_eq!(actions(&world), ["call \"good\"", "retraction \"spam\""]);
    assert_eq!(world.told("export.retracted").len(), 1);
    // It was right after all: another conversion.
    world.label(1, Some("good"));
    world.work(None).await.unwrap();
    assert_eq!(actions(&world).len(), 3);
    let ids: Vec<_> = world.contract().got.values().map(|body| body["event_id"].clone()).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn what_changes_before_it_was_sent_is_sent_once_as_it_is() {
    let world: World<Webhook> = World::new(&format!("{WEBHOOK}history = true\n"));
    world.ended(visitor_call(1));
    world.label(1, Some("good"));
    world.value(1, 12_345);
    world.ended(visitor_call(2));
    world.label(2, Some("spam"));
    world.work(None).await.unwrap();
    assert_eq!(actions(&world), ["call \"good\""]);
    assert_eq!(world.contract().got.values().next().unwrap()["value"], 123.45);
    world.value(1, 20_000);
    world.work(None).await.unwrap();
    assert_eq!(actions(&world), ["call \"good\"", "adjustment \"good\""]);
    // The same again is no change.
    world.value(1, 20_000);
    world.work(None).await.unwrap();
    assert_eq!(actions(&world).len(), 2);
    assert_eq!(world.store().counts().unwrap().cancelled, 3);
}

#[tokio::test]
async fn r05_google_gets_the_value_when_it_is_known() {
    let world: World<Google> = World::new(&format!("{GOOGLE}history = true\n"));
    world.ended(visitor_call(1));
    world.work(None).await.unwrap();
    world.value(1, 5_000);
    world.work(None).await.unwrap();
    let id = CallId(1).to_string();
    assert_eq!(world.counted(), [id.clone(), format!("adjusted {id}")]);
    // It has no way to take one back: nothing is pretended.
    world.label(1, Some("spam"));
    world.work(None).await.unwrap();
    assert_eq!(world.counted().len(), 2);
}

#[tokio::test]
async fn r05_analytics_hears_of_a_refund_when_a_call_turns_out_to_be_spam() {
    let world: World<Ga4> = World::new(&format!("{GA4}history = true\n"));
    world.ended(visitor_call(1));
    world.work(None).await.unwrap();
    world.label(1, Some("spam"));
    world.work(None).await.unwrap();
    let id = CallId(1).to_string();
    assert_eq!(world.counted(), [format!("phone_call {id}"), format!("refund {id}")]);
}

/// Advertising and analytics: nobody who did not agree, and nobody who took it back.
async fn nothing_without_consent<C: Contract + Default + 'static>(export: &str, analytics_is_enough: bool) {
    let world: World<C> = World::new(&format!("{export}history = true\n"));
    world.ended(with_consent(visitor_call(1), None));
    world.ended(with_consent(visitor_call(2), Some("analytics")));
    let mut of_static = visitor_call(3);
    of_static.attribution.kind = AttributionKind::Static;
    world.ended(of_static);
    let phone = visitor_call(4).caller.unwrap();
    world.consent(4, &phone, false);
    world.ended(visitor_call(4));
    world.work(None).await.unwrap();
    let expected = usize::from(analytics_is_enough);
    assert_eq!(world.counted().len(), expected, "{:?}", world.counted());
    assert_eq!(world.contract().refused(), Vec::<String>::new());
}

#[tokio::test]
async fn p06_nothing_is_sent_without_consent_and_nothing_of_static_numbers() {
    nothing_without_consent::<Ga4>(GA4, true).await;
    nothing_without_consent::<Metrika>(METRIKA, true).await;
    nothing_without_consent::<Metrika>(CONVERSIONS, true).await;
    nothing_without_consent::<Google>(GOOGLE, false).await;
    nothing_without_consent::<Meta>(META, false).await;
}

#[tokio::test]
async fn a_call_without_what_finds_its_visitor_is_passed_over_and_says_why() {
    let world: World<Ga4> = World::new(&format!("{GA4}history = true\n"));
    let mut call = visitor_call(1);
    call.attribution.session =
        Some(Arc::new(Session { client: [("consent".to_owned(), "ads".to_owned())].into(), ..Session::default() }));
    world.ended(call);
    world.ended(CallData { started_at: clock::wall() - Duration::from_secs(80 * 3_600), ..visitor_call(2) });
    world.work(None).await.unwrap();
    let log = world.store().log(None, None, None, 10).unwrap();
    let said: Vec<_> = log.iter().map(|line| (line.state.as_str(), line.status.as_deref().unwrap())).collect();
    assert_eq!(said, [("skipped", "too_old"), ("skipped", "no_client_id")]);
    assert!(world.counted().is_empty());
}

#[tokio::test]
async fn r05_bitrix24_shows_the_call_while_it_rings_and_gets_its_source() {
    let world: World<Bitrix24> = World::new(&format!("{BITRIX24}history = true\n"));
    let mut ringing = visitor_call(1);
    ringing.started_at = clock::wall();
    (ringing.answered_at, ringing.ended_at, ringing.outcome) = (None, None, None);
    world.append(1, Body::CallStarted(Box::new(ringing.clone())));
    world.work(None).await.unwrap();
    assert!(world.counted().is_empty());
    world.ended(CallData { started_at: ringing.started_at, ..visitor_call(1) });
    world.work(None).await.unwrap();
    assert_eq!(world.counted(), ["externalCall.1"]);
    let contract = world.contract();
    assert_eq!(contract.finished["externalCall.1"]["STATUS_CODE"], "200");
    assert_eq!(contract.traces[0]["tags"]["list"]["utm_source"], "google");
}

#[tokio::test]
async fn i08_what_reads_callrail_hears_of_a_call_and_of_what_changes() {
    let world: World<Callrail> = World::new(&format!("{CALLRAIL}account = \"acme\"\nhistory = true\n"));
    world.ended(visitor_call(1));
    world.work(None).await.unwrap();
    world.label(1, Some("good"));
    world.work(None).await.unwrap();
    world.value(1, 12_345);
    world.work(None).await.unwrap();
    let contract = world.contract();
    assert_eq!(contract.refused(), Vec::<String>::new());
    let told: Vec<_> = contract.order.iter().map(|id| &contract.got[id]).collect();
    let events: Vec<_> = told.iter().map(|body| (&body["event"], &body["changes"])).collect();
    let null = serde_json::Value::Null;
    let modified = json!("call_modified");
    assert_eq!(events, [(&json!("post_call"), &null), (&modified, &json!(["tags"])), (&modified, &json!(["value"]))]);
    assert_eq!(
        (&told[0]["source"], &told[0]["gclid"], &told[0]["first_call"]),
        (&json!("google"), &json!("gclid-1"), &json!(true))
    );
    assert_eq!((&told[2]["tags"], &told[2]["value"]), (&json!([{ "name": "good" }]), &json!("123.45")));
    assert_eq!(told[1]["lead_status"], "good_lead");
}

#[tokio::test]
async fn a_missed_call_and_a_shortage_are_told_to_people() {
    let world: World<Telegram> = World::new(&format!("{TELEGRAM}history = true\n"));
    world.ended(visitor_call(1));
    world.ended(CallData { answered_at: None, outcome: Some(Outcome::NoAnswer), talk_ms: 0, ..visitor_call(2) });
    world.work(None).await.unwrap();
    let messages = world.contract().messages.clone();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].starts_with("Missed call to acme\n\nFrom: +••••••••••02\n"), "{}", messages[0]);
    assert!(messages[0].contains("Came from: google, spring, \"sale\""), "{}", messages[0]);
    // A shortage is told when it begins, and not when it is over.
    let shortage = |over| ShortageData {
        pool: "web".into(),
        company: "acme".into(),
        over,
        short: 6,
        of: 8,
        worst: 0.4,
        numbers: 10,
        planned: 14,
    };
    for over in [false, true] {
        world.append(3, Body::Keeper(Box::new(KeeperEvent::Shortage(shortage(over)))));
    }
    world.work(None).await.unwrap();
    let messages = world.contract().messages.clone();
    assert_eq!(messages.len(), 2);
    assert!(
        messages[1].starts_with("Too few numbers in the pool web of acme\n\n6 of the last 8 windows"),
        "{messages:?}"
    );
}

#[tokio::test]
async fn the_day_before_is_told_once_in_figures_when_its_minute_has_come() {
    let export =
        format!("{TELEGRAM}history = true\nmissed = false\ndigest_at = \"08:30\"\ntime_zone = \"Europe/Moscow\"\n");
    let world: World<Telegram> = World::new(&export);
    let (store, export) = (world.store(), world.export());
    let destination = destination(&export);
    let take = |at: &str| {
        let now = Wall::parse_rfc3339(at).unwrap();
        let intake = Intake { export: &export, destination: &*destination, config: &world.config, now };
        let after = store.kept::<u64>("cursor").unwrap().unwrap_or(0);
        let records = world.journal.read(after, 1_000).unwrap();
        intake.take(&store, &records).unwrap();
        intake.tick(&store).unwrap();
        store.log(None, None, None, 10).unwrap().len()
    };
    // Of the day before its start it knows nothing.
    assert_eq!(take("2026-11-20T09:00:00+03:00"), 0);
    for (n, at, answered) in [
        (1, "2026-11-20T10:00:00+03:00", true),
        (2, "2026-11-20T23:59:00+03:00", false),
        (3, "2026-11-21T00:01:00+03:00", true),
    ] {
        let started_at = Wall::parse_rfc3339(at).unwrap();
        let answered_at = answered.then_some(started_at);
        world.ended(CallData { started_at, answered_at, ended_at: Some(started_at), ..visitor_call(n) });
    }
    assert_eq!(take("2026-11-21T08:29:59+03:00"), 0, "a minute too early");
    assert_eq!(take("2026-11-21T08:30:00+03:00"), 1);
    assert_eq!(take("2026-11-21T23:00:00+03:00"), 1, "once");
    world.work(None).await.unwrap();
    let messages = world.contract().messages.clone();
    assert!(messages[0].starts_with("Calls on 2026-11-20\n\nCalls: 2\nAnswered: 1\nMissed: 1\n"), "{messages:?}");
    assert!(messages[0].ends_with("google: 2\n"), "{messages:?}");
}
