//! A webhook that decides where a call goes: followed, late, wrong, dead; and nobody waits for it twice.

use leaseline::core::b2bua::Input;
use leaseline::core::event::RouteDecision;

use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, OFFICE, SHOP, World};
use crate::{MS, SECOND, company, ended, forward_to, invites, rings, silent, tried, world_with};

const DECIDE: &str = "[company.decide]\nurl = \"https://crm.example/decide\"\nsecret = \"key\"\n\
     forward_to = [{ name = \"anna\", uri = \"sip:anna@198.51.100.2\" }]";

fn asking(keys: &str) -> World {
    world_with(&company(&format!("{DECIDE}\n{keys}")), Answering::default(), Answering::default())
}

fn says(world: &mut World, after: std::time::Duration, body: &str) {
    world.webhook = Some((after, Ok(body.to_owned())));
}

fn decision(world: &World) -> RouteDecision {
    let calls = world.ended();
    let route = calls.last().and_then(|data| data.route.clone()).expect("a route");
    route.decision.clone().expect("a decision")
}

fn verdict(world: &World) -> (String, Option<String>, u64) {
    let RouteDecision { verdict, reason, ms } = decision(world);
    (verdict.into_owned(), reason.map(Into::into), ms)
}

#[test]
fn the_webhook_names_the_destination() {
    let mut world = asking("");
    says(&mut world, 120 * MS, r#"{"destinations":["anna"]}"#);
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    let data = ended(&world);
    assert_eq!(tried(&data), [("anna".to_owned(), 200)]);
    assert_eq!(&*data.route.expect("a route").decided_by, "webhook");
    assert_eq!(verdict(&world), ("forward".to_owned(), None, 120));
}

#[test]
fn what_the_webhook_is_asked() {
    let mut world = asking("");
    says(&mut world, MS, "");
    world.dial(Calling::default());
    world.settle();
    let mut asked: serde_json::Value = serde_json::from_str(&world.asked[0]).expect("JSON");
    assert_eq!(asked["call_id"], ended(&world).call_id.to_string());
    asked["call_id"] = "…".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&asked).expect("JSON"));
    assert_eq!(verdict(&world), ("default".to_owned(), None, 1), "nothing said is the route as it stands");
}

#[test]
fn several_are_called_in_order_or_at_once() {
    for (strategy, office) in [("order", 0), ("parallel", 1)] {
        let mut world = asking("");
        let answer = format!(r#"{{"destinations":["sip:sales@198.51.100.1:5060","anna"],"strategy":"{strategy}"}}"#);
        says(&mut world, MS, &answer);
        world.dial(Calling::default());
        world.settle();
        assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, office), "{strategy}");
        assert_eq!(&*ended(&world).route.expect("a route").strategy, strategy);
    }
}

/// What comes later than its time is not heard any more.
#[test]
fn a_late_answer_is_no_answer() {
    let mut world = asking("timeout = \"300ms\"");
    says(&mut world, 900 * MS, r#"{"destinations":["anna"]}"#);
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 0));
    assert_eq!(verdict(&world), ("default".to_owned(), Some("decision_late".to_owned()), 300));
    assert_eq!(&*ended(&world).route.expect("a route").decided_by, "company");
}

#[test]
fn the_caller_gives_up_while_the_webhook_thinks() {
    let mut world = asking("");
    says(&mut world, 700 * MS, r#"{"destinations":["anna"]}"#);
    world.dial(Calling { cancel: Some(200 * MS), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(invites(&world, SHOP) + invites(&world, OFFICE), 0);
    assert_eq!(ended(&world).reason.as_deref(), Some("caller_cancelled"));
    assert!(world.media.is_empty(), "no ports were taken");
}

#[test]
fn the_webhook_may_reject() {
    let mut world = asking("");
    says(&mut world, 40 * MS, r#"{"reject":486}"#);
    let call = world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [486]);
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(486), Some("decision_rejected")));
    assert_eq!(verdict(&world), ("reject".to_owned(), None, 40));
}

#[test]
fn without_an_answer_the_call_is_refused_when_the_configuration_says_so() {
    let mut world = asking("default = \"refuse\"");
    world.webhook = Some((5 * MS, Err("decision_unreachable")));
    let call = world.dial(Calling::default());
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [480]);
    assert_eq!(ended(&world).reason.as_deref(), Some("decision_missing"));
    assert_eq!(verdict(&world), ("reject".to_owned(), Some("decision_unreachable".to_owned()), 5));
}

/// D14: a webhook that was taken over names no place that the configuration does not have.
#[test]
fn a_place_that_is_not_configured_is_not_called() {
    for (answer, reason) in [
        (r#"{"destinations":["sip:a@203.0.113.66"]}"#, "decision_not_allowed"),
        (r#"{"destinations":["anna","sip:+881835210000@198.51.100.1"]}"#, "decision_not_allowed"),
        (r#"{"destinations":["sip:sales@198.51.100.1:5061"]}"#, "decision_not_allowed"),
        ("<html>", "decision_unreadable"),
    ] {
        let mut world = asking("");
        says(&mut world, MS, answer);
        world.dial(Calling::default());
        world.settle();
        assert_eq!(verdict(&world).1.as_deref(), Some(reason), "{answer}");
        assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 0), "the route as it stands");
    }
}

/// A dead webhook costs three calls its time, and then one now and then.
#[test]
fn a_dead_webhook_is_left_alone() {
    let mut world = asking("");
    let mut waits = Vec::new();
    for _ in 0..6 {
        world.dial(Calling { hang_up: Some(MS), ..Calling::default() });
        world.pass(3 * SECOND);
        waits.push(verdict(&world).2);
    }
    // The calls of the ninth and the twelfth second fall into the rest; then one tries it again.
    assert_eq!(waits, [800, 800, 800, 0, 800, 0]);
    assert_eq!(world.asked.len(), 4);
    assert_eq!(verdict(&world).1.as_deref(), Some("decision_suspended"));
    world.pass(20 * SECOND);
    says(&mut world, 10 * MS, r#"{"destinations":["anna"]}"#);
    for _ in 0..2 {
        world.dial(Calling::default());
        world.settle();
        assert_eq!(verdict(&world), ("forward".to_owned(), None, 10), "it is back");
    }
}

#[test]
fn the_webhook_may_open_what_hours_and_rules_have_closed() {
    let closed = "[company.schedule]\ntime_zone = \"Europe/London\"\nmonday = [\"09:00-18:00\"]";
    for (answer, status) in [(r#"{"destinations":["anna"]}"#, 200), (r#"{"default":true}"#, 480)] {
        let mut world = asking(closed);
        says(&mut world, MS, answer);
        let call = world.dial(Calling::default());
        world.settle();
        assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [status], "{answer}");
        let asked: serde_json::Value = serde_json::from_str(&world.asked[0]).expect("JSON");
        assert_eq!((&asked["route"]["reject"], &asked["route"]["reason"]), (&480.into(), &"company_closed".into()));
    }
}

#[test]
fn a_denied_number_is_not_called_though_the_webhook_names_it() {
    let decide = DECIDE.replace("sip:anna@198.51.100.2", "sip:+881835210000@198.51.100.2");
    let mut world = world_with(&company(&decide), Answering::default(), Answering::default());
    says(&mut world, MS, r#"{"destinations":["anna"]}"#);
    world.dial(Calling::default());
    world.settle();
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(403), Some("destination_denied")));
    assert_eq!(invites(&world, OFFICE), 0);
    let alarm = |event: &leaseline::core::event::Event| event.body.kind() == "leaseline.fraud.suspected";
    assert_eq!(world.events.iter().filter(|event| alarm(event)).count(), 1);
}

#[test]
fn calls_that_wait_for_the_webhook_are_ended_with_the_others() {
    let mut world = asking("timeout = \"5s\"");
    for _ in 0..3 {
        world.dial(Calling::default());
    }
    world.pass(SECOND);
    assert_eq!((world.counts().decisions, world.us.live()[0].phase), (3, "deciding"));
    world.input(Input::HangUpAll("shutdown"));
    assert_eq!(world.counts().decisions, 0);
    world.settle();
    assert!(world.ended().iter().all(|data| data.reason.as_deref() == Some("shutdown")));
}

#[test]
fn more_calls_than_may_wait_go_where_they_would_have_gone() {
    let config = company(DECIDE).replace("[sip]", "[sip]\ncalls_max = 400");
    let mut world = world_with(&config, Answering::default(), Answering::default());
    for _ in 0..300 {
        world.dial(Calling { hang_up: Some(SECOND), ..Calling::default() });
    }
    world.settle();
    let reasons = world.ended().into_iter().filter_map(|data| data.route.as_ref()?.decision.clone()?.reason);
    let reasons: Vec<String> = reasons.map(Into::into).collect();
    let count = |code: &str| reasons.iter().filter(|reason| *reason == code).count();
    assert_eq!((count("decision_late"), count("decision_too_many")), (256, 44));
}

#[test]
fn a_call_that_was_decided_hunts_like_any_other() {
    let shop = rings(100 * MS, Some((200 * MS, 486)));
    let config = forward_to(
        "\"sip:a@198.51.100.1\"",
        &format!("{DECIDE}\n[company.busy]\nforward_to = [{{ name = \"box\", uri = \"sip:box@198.51.100.2\" }}]"),
    );
    let mut world = world_with(&config, shop, Answering::default());
    says(&mut world, MS, r#"{"destinations":["sip:a@198.51.100.1"]}"#);
    world.dial(Calling::default());
    world.settle();
    assert_eq!(tried(&ended(&world)), [("sip:a@198.51.100.1".to_owned(), 486), ("box".to_owned(), 200)]);
}

#[test]
fn a_copy_of_the_invite_changes_nothing_while_the_webhook_thinks() {
    let mut world = asking("timeout = \"5s\"")
        .with_faults(crate::world::Faults { duplicate_permille: 1_000, ..crate::world::Faults::default() });
    says(&mut world, 4 * SECOND, r#"{"destinations":["anna"]}"#);
    world.phone(OFFICE).set_answering(Answering { answer: Some((SECOND, 200)), ..silent() });
    world.dial(Calling::default());
    world.settle();
    assert_eq!((world.asked.len(), world.ended().len()), (1, 1));
    assert_eq!(tried(&ended(&world)), [("anna".to_owned(), 200)]);
}
