//! Toll fraud: what a thief may cost at most, and who hears of it.

use std::time::Duration;

use leaseline::core::event::{Body, FraudData};

use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};
use crate::{SECOND, assert_healthy, world, world_with};

/// A second company, whose calls go to the same phones.
fn two(acme: &str) -> String {
    let other = "[[company]]\nname = \"other\"\nforward_to = [\"sip:other@198.51.100.2:5060\"]\n[[pool]]\nname = \"o\"\n\
        company = \"other\"\nkind = \"static\"\nnumbers = [\"+442079460600\"]\nchannel = { source = \"x\" }\n";
    CONFIG.replacen("[[pool]]", &format!("{acme}\n[[pool]]"), 1) + other
}

fn other() -> Calling {
    Calling { request_uri: "sip:+442079460600@203.0.113.1".into(), ..Calling::default() }
}

fn alarms(world: &World) -> Vec<FraudData> {
    let alarm = |body: &Body| if let Body::FraudSuspected(data) = body { Some(data.clone()) } else { None };
    world.events.iter().filter_map(|event| alarm(&event.body)).collect()
}

/// D10: calls to one destination.
#[test]
fn five_hundred_calls_to_one_destination_stop_after_the_cap_and_only_there() {
    let mut world = world(&two("[company.fraud]\ndestination_calls_per_minute_max = 20"));
    let mut first = Vec::new();
    for _ in 0..500 {
        first.push(world.dial(Calling { hang_up: Some(SECOND), ..Calling::default() }));
        world.pass(Duration::from_millis(100));
    }
    let neighbour = world.dial(other());
    world.settle();
    let connected = world.ended().iter().filter(|data| data.company == "acme").count();
    // Twenty at once, and one every three seconds.
    assert_eq!(connected, 20 + 50_000 / 3_000);
    assert!(world.refused.iter().all(|code| *code == "destination_call_rate"));
    assert_eq!(world.phone(CARRIER).dialogs[&neighbour].finals, [200], "another company's calls go on");
    let alarms = alarms(&world);
    assert_eq!(alarms.len(), 1, "once a window");
    assert_eq!((alarms[0].kind.as_str(), alarms[0].company.as_deref()), ("destination_call_rate", Some("acme")));
    world.pass(Duration::from_secs(60));
    assert_healthy(&mut world);
}

/// D10: a costly prefix.
#[test]
fn a_costly_prefix_has_ten_calls_at_once() {
    let config = two("[company.fraud]\ncostly_calls_max = 10")
        .replace("[sip]", "[fraud]\ncostly = [\"+4487\"]\n[sip]")
        .replace("sip:sales@", "sip:+448712345678@");
    let mut world = world(&config);
    let calls: Vec<String> = (0..11).map(|_| world.dial(Calling::default())).collect();
    let neighbour = world.dial(other());
    world.settle();
    assert_eq!(world.refused, ["costly_calls_max"]);
    assert_eq!(world.phone(CARRIER).dialogs[&calls[10]].finals, [480]);
    assert_eq!(world.phone(CARRIER).dialogs[&neighbour].finals, [200]);
    assert_eq!(alarms(&world).len(), 1);
    assert_healthy(&mut world);
}

/// D10: the day's minutes, and a restart in between.
#[test]
fn a_companys_minutes_end_and_its_neighbours_do_not() {
    let config = two("[company.fraud]\nminutes_per_day_max = 10");
    let mut world = world(&config);
    world.dial(Calling { hang_up: Some(Duration::from_secs(601)), ..Calling::default() });
    world.settle();
    let refused = world.dial(Calling::default());
    let neighbour = world.dial(other());
    world.settle();
    assert_eq!(world.refused, ["minutes_spent"]);
    assert_eq!(world.phone(CARRIER).dialogs[&refused].finals, [480]);
    assert_eq!(world.phone(CARRIER).dialogs[&neighbour].finals, [200]);
    let answer = world.sent_to(CARRIER).into_iter().find(|answer| answer.status() == 480).unwrap();
    let wait: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((13 * 3_600..14 * 3_600).contains(&wait), "until midnight: {wait}");
    // A new process knows it from the journal.
    let mut spent = leaseline::core::admission::Spent::default();
    world.events.iter().for_each(|event| spent.observe(event));
    let mut next = crate::world(&config);
    next.now = world.now;
    next.us.restore(spent);
    next.dial(Calling::default());
    next.settle();
    assert_eq!(next.refused, ["minutes_spent"]);
    next.pass(Duration::from_secs(wait));
    assert_healthy(&mut next);
}

#[test]
fn a_denied_number_is_not_dialled_whoever_wrote_it_into_the_configuration() {
    let config = two("").replace("sip:sales@", "sip:+88212345678@");
    let mut world = world(&config);
    let call = world.dial(Calling::default());
    world.settle();
    assert!(world.sent_to(SHOP).is_empty(), "the next destination takes the call");
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    assert!(alarms(&world).is_empty());
    let only = config.replace(", \"sip:{number}@198.51.100.2:5060\"", "");
    let mut world = crate::world(&only);
    let call = world.dial(Calling::default());
    let neighbour = world.dial(other());
    world.settle();
    assert_eq!(world.refused, ["destination_denied"]);
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [403]);
    assert_eq!(world.phone(CARRIER).dialogs[&neighbour].finals, [200]);
    assert_eq!(alarms(&world)[0].kind, "destination_denied");
    assert!(world.sent_to(SHOP).is_empty());
    assert!(!world.sent_to(OFFICE).is_empty());
}

/// D16: early media for ever is a call for nothing.
#[test]
fn ten_minutes_of_ringing_with_media_are_ended_by_the_ring_timer() {
    let for_ever =
        Answering { ringing: vec![(Duration::from_millis(100), 183, true)], answer: None, ..Answering::default() };
    let mut world = world_with(CONFIG, for_ever.clone());
    world.phone(OFFICE).set_answering(for_ever);
    let call = world.dial(Calling { hang_up: None, ..Calling::default() });
    world.settle();
    let data = (*world.ended()[0]).clone();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [480]);
    assert_eq!((data.reason.as_deref(), data.talk_ms), (Some("ring_timeout"), 0));
    let lasted = data.ended_at.unwrap().millis_since(data.started_at);
    assert!(lasted <= 41_000, "two destinations, twenty seconds each: {lasted} ms");
    world.phone(SHOP).set_answering(Answering::default());
    assert_healthy(&mut world);
}
