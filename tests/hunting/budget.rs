//! Rules against toll fraud and places at destinations hold for every destination of a call, whichever way it came there.

use leaseline::core::event::{Body, FraudData};

use crate::world::phone::{Answering, Calling, Do};
use crate::world::{CARRIER, OFFICE, SHOP, World};
use crate::{MS, SECOND, ended, forward_to, invites, refusing, rings, tried, world_with};

const TWO: &str = "\"sip:a@198.51.100.1\", \"sip:b@198.51.100.2\"";

fn alarms(world: &World) -> Vec<FraudData> {
    let alarm = |body: &Body| if let Body::FraudSuspected(data) = body { Some(data.clone()) } else { None };
    world.events.iter().filter_map(|event| alarm(&event.body)).collect()
}

fn last(world: &World) -> Vec<(String, u16)> {
    tried(world.ended().last().expect("an end"))
}

/// D10: the destination that is tried second, in parallel, or when the others are busy.
#[test]
fn later_destinations_have_caps_too() {
    let busy = "[company.busy]\nforward_to = [\"sip:b@198.51.100.2\"]";
    for (list, keys) in
        [(TWO, String::new()), (TWO, "strategy = \"parallel\"".to_owned()), ("\"sip:a@198.51.100.1\"", busy.to_owned())]
    {
        let config = forward_to(list, &format!("{keys}\n[company.fraud]\ndestination_calls_max = 2"));
        let mut world = world_with(&config, refusing(486), Answering::default());
        for _ in 0..3 {
            world.dial(Calling::default());
            world.pass(2 * SECOND);
        }
        assert_eq!(invites(&world, OFFICE), 2, "{keys}");
        assert_eq!((alarms(&world).len(), alarms(&world)[0].kind.as_str()), (1, "destination_calls_max"), "{keys}");
        world.settle();
        // The caps are given back.
        world.dial(Calling::default());
        world.settle();
        assert_eq!(last(&world).last().map(|(_, status)| *status), Some(200), "{keys}");
    }
}

#[test]
fn what_the_caller_hears_when_only_the_cap_was_in_the_way() {
    let keys = "[company.fraud]\ndestination_calls_max = 1";
    let mut world = world_with(&forward_to(TWO, keys), rings(100 * MS, Some((SECOND, 503))), Answering::default());
    world.dial(Calling { hang_up: Some(30 * SECOND), ..Calling::default() });
    world.pass(5 * SECOND);
    world.dial(Calling::default());
    world.pass(5 * SECOND);
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(480), Some("destination_calls_max")));
    world.settle();
}

#[test]
fn a_destination_that_was_left_counts_no_longer() {
    let config = forward_to(TWO, "[company.fraud]\ndestination_calls_max = 1");
    let mut world = world_with(&config, refusing(486), Answering::default());
    world.dial(Calling { hang_up: Some(30 * SECOND), ..Calling::default() });
    world.pass(5 * SECOND);
    // The first call talks to the second destination: the first is free.
    world.phone(SHOP).set_answering(Answering::default());
    world.dial(Calling::default());
    world.settle();
    assert_eq!(invites(&world, SHOP), 2);
    assert!(world.ended().iter().all(|data| data.outcome.map(|outcome| outcome.as_str()) == Some("answered")));
}

#[test]
fn costly_prefixes_and_rates_count_at_every_destination() {
    let list = "\"sip:a@198.51.100.1\", \"sip:+448712345678@198.51.100.2\"";
    for (rule, code) in [
        ("costly_calls_max = 1", "costly_calls_max"),
        ("destination_calls_per_minute_max = 1", "destination_call_rate"),
    ] {
        let config = forward_to(list, &format!("[company.fraud]\n{rule}"))
            .replace("[sip]", "[fraud]\ncostly = [\"+4487\"]\n[sip]");
        let mut world = world_with(&config, refusing(486), Answering::default());
        world.dial(Calling::default());
        world.pass(61 * SECOND);
        world.dial(Calling::default());
        world.pass(2 * SECOND);
        assert_eq!(invites(&world, OFFICE), 2, "{code}: the first is over");
        world.dial(Calling::default());
        world.settle();
        assert_eq!(invites(&world, OFFICE), 2, "{code}");
        assert_eq!(alarms(&world)[0].kind, code);
    }
}

/// The day's minutes end while a call hunts: it is not sent to the next destination.
#[test]
fn minutes_that_end_meanwhile_end_the_hunt() {
    let config = forward_to(TWO, "[company.fraud]\nminutes_per_day_max = 1");
    let mut world = world_with(&config, Answering::default(), Answering::default());
    world.dial(Calling { hang_up: Some(100 * SECOND), ..Calling::default() });
    world.pass(55 * SECOND);
    world.phone(SHOP).set_answering(rings(100 * MS, Some((15 * SECOND, 486))));
    world.dial(Calling::default());
    world.settle();
    assert_eq!(invites(&world, OFFICE), 0);
    assert_eq!(alarms(&world)[0].kind, "minutes_spent");
    let second = world.ended()[0];
    assert_eq!((second.sip_status, second.reason.as_deref()), (Some(486), Some("busy")), "what the company said");
}

#[test]
fn redirections_have_caps_and_places() {
    let list = "{ uri = \"sip:a@198.51.100.1\", redirects = \"follow\" }";
    let keys = "[company.fraud]\ndestination_calls_max = 1\n[company.busy]\n\
                forward_to = [{ name = \"box\", uri = \"sip:box@198.51.100.2\", calls_max = 1 }]";
    for (contact, status) in [("<sip:201@198.51.100.2>", 480), ("<sip:box@198.51.100.2>", 486)] {
        let shop = Answering { headers: vec![("Contact", contact.to_owned())], ..refusing(302) };
        let mut world = world_with(&forward_to(list, keys), shop, Answering::default());
        for _ in 0..2 {
            world.dial(Calling::default());
            world.pass(2 * SECOND);
        }
        assert_eq!(invites(&world, OFFICE), 1, "{contact}");
        assert_eq!(ended(&world).sip_status, Some(status), "{contact}");
        world.settle();
    }
}

/// Transfers that we carry out: the target is a destination, and the old one is left.
#[test]
fn transfers_have_caps_and_places() {
    let refer = |to: &str| vec![(SECOND, Do::Send("REFER", vec![("Refer-To", to.to_owned())], None))];
    let list = "{ name = \"desk\", uri = \"sip:a@198.51.100.1\", calls_max = 1 }, \
                { name = \"box\", uri = \"sip:box@198.51.100.2\", calls_max = 1 }";
    for (target, keys, code) in [
        ("<sip:box@198.51.100.2>", "", "destination_full"),
        ("<sip:201@198.51.100.2>", "destination_calls_max = 1", "destination_calls_max"),
        ("<sip:+448712345678@198.51.100.2>", "costly_calls_max = 1", "costly_calls_max"),
    ] {
        let keys = format!("transfer = \"local\"\n[company.fraud]\n{keys}");
        let config = forward_to(list, &keys).replace("[sip]", "[fraud]\ncostly = [\"+4487\"]\n[sip]");
        let shop = Answering { script: refer(target), ..Answering::default() };
        let mut world = world_with(&config, shop, Answering::default());
        for _ in 0..2 {
            world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
            world.pass(5 * SECOND);
        }
        // The desk is free again when its caller was sent on, so the second call got there; its transfer did not.
        assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (2, 1), "{target}");
        let refused = world.sent_to(SHOP).into_iter().filter(|answer| !answer.is_request() && answer.status() > 202);
        let reasons: Vec<String> = refused.filter_map(|answer| answer.header("Reason").map(str::to_owned)).collect();
        assert_eq!(reasons.len(), 1, "{target}");
        assert!(reasons[0].contains(code), "{reasons:?}");
        world.settle();
        assert_eq!(world.phone(CARRIER).dialogs.len(), 2);
        assert!(world.ended().iter().all(|data| data.reason.as_deref() == Some("caller_hung_up")));
    }
}
