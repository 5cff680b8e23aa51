//! Where a call goes: addresses, destinations that ring together, strategies, overflow, places. One ladder a behaviour.

#[path = "hunting/budget.rs"]
mod budget;
#[path = "hunting/decide.rs"]
mod decide;
#[path = "hunting/redirect.rs"]
mod redirect;
mod world;

use std::time::Duration;

use leaseline::core::event::{Body, CallData};
use leaseline::core::locate::Hop;

use world::phone::{Answering, Calling, Phone};
use world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn world_with(config: &str, shop: Answering, office: Answering) -> World {
    let mut world = World::new(7, config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(office));
    world
}

/// The test configuration with more keys for the company.
fn company(keys: &str) -> String {
    CONFIG.replacen("ring_timeout = \"20s\"\n", &format!("ring_timeout = \"20s\"\n{keys}\n"), 1)
}

fn forward_to(list: &str, keys: &str) -> String {
    let old = "forward_to = [\"sip:sales@198.51.100.1:5060\", \"sip:{number}@198.51.100.2:5060\"]";
    company(keys).replacen(old, &format!("forward_to = [{list}]"), 1)
}

fn refusing(status: u16) -> Answering {
    Answering { ringing: Vec::new(), answer: Some((50 * MS, status)), ..Answering::default() }
}

fn rings(after: Duration, answer: Option<(Duration, u16)>) -> Answering {
    Answering { ringing: vec![(after, 180, false)], answer, ..Answering::default() }
}

fn silent() -> Answering {
    Answering { answer: None, ..Answering::default() }
}

fn hop(address: &str) -> Hop {
    Hop { transport: rsip::Transport::Udp, remote: address.parse().expect("an address"), name: None }
}

fn ended(world: &World) -> CallData {
    let all = world.ended();
    assert_eq!(all.len(), 1, "one end");
    all[0].clone()
}

/// Destinations and what became of them.
fn tried(data: &CallData) -> Vec<(String, u16)> {
    let route = data.route.as_ref().expect("a route");
    route.attempts.iter().map(|attempt| (attempt.destination.clone(), attempt.status)).collect()
}

fn invites(world: &World, address: &str) -> usize {
    world.sent_to(address).iter().filter(|message| message.is_request() && message.method_token() == "INVITE").count()
}

// ── all at once ──

const PARALLEL: &str = "strategy = \"parallel\"";

#[test]
fn all_ring_and_the_first_answer_wins() {
    let shop = rings(100 * MS, Some((3 * SECOND, 200)));
    let office = rings(300 * MS, Some((2 * SECOND, 200)));
    let mut world = world_with(&company(PARALLEL), shop, office);
    world.dial(Calling::default());
    let ladder = world.settle();
    let data = ended(&world);
    assert_eq!(data.forwarded_to.as_deref(), Some("sip:+442079460500@198.51.100.2:5060"));
    let cancel = world.sent_to(SHOP).into_iter().find(|message| message.method_token() == "CANCEL").expect("CANCEL");
    assert_eq!(cancel.header("Reason"), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    insta::assert_snapshot!(ladder);
}

/// B04: the second 2xx crosses our CANCEL. It gets ACK and BYE, and its media is neither relayed nor recorded.
#[test]
fn two_answers_at_once() {
    let shop = rings(100 * MS, Some((2 * SECOND, 200)));
    let office = rings(100 * MS, Some((2 * SECOND + MS, 200)));
    let mut world = world_with(&company(PARALLEL), shop, office);
    world.dial(Calling::default());
    let ladder = world.settle();
    let to_office: Vec<String> =
        world.sent_to(OFFICE).iter().filter(|m| m.is_request()).map(|m| m.method_token().to_owned()).collect();
    assert_eq!(to_office, ["INVITE", "CANCEL", "ACK", "BYE"], "{ladder}");
    let company_media = world.media.values().next().and_then(|media| media.remotes[1].clone()).expect("a remote");
    assert_eq!(company_media.rtp.ip().to_string(), "198.51.100.1");
    insta::assert_snapshot!(ladder);
}

#[test]
fn no_early_media_while_several_ring() {
    let early = Answering { ringing: vec![(100 * MS, 183, true), (900 * MS, 183, true)], ..silent() };
    let office = Answering { ringing: vec![(200 * MS, 180, false)], answer: Some((500 * MS, 486)), ..early.clone() };
    let shop = Answering { answer: Some((2 * SECOND, 200)), ..early };
    let mut world = world_with(&company(PARALLEL), shop, office);
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn the_best_of_all_failures_is_heard() {
    for (shop, office, heard) in [(486, 503, 486), (404, 603, 603), (500, 480, 480), (302, 401, 502)] {
        let mut world = world_with(&company(PARALLEL), refusing(shop), refusing(office));
        world.dial(Calling::default());
        world.settle();
        assert_eq!(ended(&world).sip_status, Some(heard), "{shop} and {office}");
    }
}

#[test]
fn a_decline_ends_it_for_all() {
    let mut world = world_with(&company(PARALLEL), refusing(603), silent());
    world.dial(Calling::default());
    let ladder = world.settle();
    assert_eq!(invites(&world, OFFICE), 1);
    assert!(world.sent_to(OFFICE).iter().any(|message| message.method_token() == "CANCEL"), "{ladder}");
    assert_eq!((ended(&world).sip_status, ended(&world).reason.as_deref()), (Some(603), Some("declined")));
}

#[test]
fn the_caller_gives_up_on_all() {
    let mut world = world_with(&company(PARALLEL), silent(), silent());
    world.dial(Calling { cancel: Some(2 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn the_offer_of_the_one_that_answers() {
    let shop = rings(100 * MS, Some((3 * SECOND, 200)));
    let office = rings(300 * MS, Some((2 * SECOND, 200)));
    let mut world = world_with(&company(PARALLEL), shop, office);
    world.dial(Calling { offers: false, ..Calling::default() });
    world.settle();
    let data = ended(&world);
    assert_eq!(data.outcome.map(|outcome| outcome.as_str()), Some("answered"));
    assert_eq!(tried(&data).last().map(|(_, status)| *status), Some(200));
}

#[test]
fn an_answer_that_cannot_be_used_leaves_the_others_ringing() {
    let shop = Answering { sdp: Some("v=0\r\n".to_owned()), ..rings(100 * MS, Some((SECOND, 200))) };
    let office = rings(100 * MS, Some((3 * SECOND, 200)));
    let mut world = world_with(&company(PARALLEL), shop, office);
    world.dial(Calling::default());
    let ladder = world.settle();
    let data = ended(&world);
    assert_eq!(data.outcome.map(|outcome| outcome.as_str()), Some("answered"), "{ladder}");
    assert_eq!(data.forwarded_to.as_deref(), Some("sip:+442079460500@198.51.100.2:5060"));
}

// ── addresses of one destination ──

fn named() -> String {
    forward_to("\"sip:sales@pbx.example\"", "")
}

#[test]
fn the_next_address_after_silence() {
    let mut world = world_with(&named(), Answering::default(), Answering::default());
    world.phones.remove(&SHOP.parse().expect("an address"));
    world.names.insert("pbx.example".into(), vec![hop(SHOP), hop(OFFICE)]);
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn an_address_that_is_down_is_not_waited_for_again() {
    let mut world = world_with(&named(), Answering::default(), Answering::default());
    world.phones.remove(&SHOP.parse().expect("an address"));
    world.names.insert("pbx.example".into(), vec![hop(SHOP), hop(OFFICE)]);
    world.dial(Calling::default());
    world.pass(20 * SECOND);
    world.dial(Calling::default());
    world.settle();
    // Copies of the first call's INVITE still go out: calls are told by their Call-ID.
    let calls: std::collections::BTreeSet<String> =
        world.sent_to(SHOP).iter().map(|message| message.call_id().expect("valid").to_owned()).collect();
    assert_eq!((calls.len(), invites(&world, OFFICE)), (1, 2));
}

#[test]
fn the_next_address_after_503_and_not_after_500() {
    for (status, office_invites, heard) in [(503, 1, 200), (500, 0, 500), (486, 0, 486)] {
        let mut world = world_with(&named(), refusing(status), Answering::default());
        world.names.insert("pbx.example".into(), vec![hop(SHOP), hop(OFFICE)]);
        world.dial(Calling::default());
        world.settle();
        assert_eq!(invites(&world, OFFICE), office_invites, "{status}");
        assert_eq!(ended(&world).sip_status, Some(heard), "{status}");
    }
    let config = forward_to("\"sip:sales@pbx.example\"", "retry_statuses = [500]");
    let mut world = world_with(&config, refusing(500), Answering::default());
    world.names.insert("pbx.example".into(), vec![hop(SHOP), hop(OFFICE)]);
    world.dial(Calling::default());
    world.settle();
    assert_eq!(ended(&world).sip_status, Some(200));
}

#[test]
fn retry_after_is_honoured_by_the_next_call() {
    let busy = Answering { headers: vec![("Retry-After", "120".to_owned())], ..refusing(503) };
    let mut world = world_with(CONFIG, busy, Answering::default());
    world.dial(Calling::default());
    world.settle();
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 1));
    world.dial(Calling::default());
    world.settle();
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 2), "down hops come last");
    world.pass(120 * SECOND);
    world.phone(SHOP).set_answering(Answering::default());
    world.dial(Calling::default());
    world.settle();
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (2, 2));
}

#[test]
fn nobody_there_at_all() {
    let mut world = world_with(&named(), Answering::default(), Answering::default());
    world.dial(Calling::default());
    world.settle();
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(502), Some("destination_unresolved")));
}

// ── order ──

#[test]
fn c09_rounds_go_on_where_the_last_call_began() {
    let mut world = world_with(&company("strategy = \"round_robin\""), Answering::default(), Answering::default());
    for _ in 0..4 {
        world.dial(Calling::default());
        world.settle();
    }
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (2, 2));
}

#[test]
fn c09_the_longest_idle_is_called_first() {
    let mut world = world_with(&company("strategy = \"longest_idle\""), Answering::default(), Answering::default());
    let mut to_shop = Vec::new();
    for _ in 0..4 {
        let before = invites(&world, SHOP);
        world.dial(Calling::default());
        world.settle();
        to_shop.push(invites(&world, SHOP) > before);
    }
    assert_eq!(to_shop, [true, false, true, false]);
}

#[test]
fn c09_weights_are_drawn_from_the_seed() {
    let list = "{ uri = \"sip:a@198.51.100.1\", weight = 9 }, { uri = \"sip:b@198.51.100.2\" }";
    let config = forward_to(list, "strategy = \"weighted\"");
    let run = || {
        let mut world = world_with(&config, Answering::default(), Answering::default());
        for _ in 0..40 {
            world.dial(Calling::default());
            world.settle();
        }
        (invites(&world, SHOP), invites(&world, OFFICE), world.fingerprint)
    };
    let (shop, office, fingerprint) = run();
    assert_eq!(shop + office, 40);
    assert!((30..40).contains(&shop), "{shop} of 40 by nine to one");
    assert_eq!(run(), (shop, office, fingerprint), "one seed draws alike");
}

#[test]
fn a_full_destination_is_passed_over_and_the_place_comes_back() {
    let list = "{ name = \"desk\", uri = \"sip:a@198.51.100.1\", calls_max = 1 }, \"sip:b@198.51.100.2\"";
    let mut world = world_with(&forward_to(list, ""), Answering::default(), Answering::default());
    world.dial(Calling::default());
    world.pass(2 * SECOND);
    assert_eq!(world.counts().seats, 1);
    world.dial(Calling::default());
    world.settle();
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 1));
    world.dial(Calling::default());
    world.settle();
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (2, 1));
    let second = world.ended()[1].clone();
    assert_eq!(tried(&second), [("desk".to_owned(), 486), ("sip:b@198.51.100.2".to_owned(), 200)]);
}

#[test]
fn everybody_full_is_busy() {
    let list = "{ uri = \"sip:a@198.51.100.1\", calls_max = 1 }";
    let mut world = world_with(&forward_to(list, ""), Answering::default(), Answering::default());
    world.dial(Calling::default());
    world.pass(2 * SECOND);
    world.dial(Calling::default());
    world.pass(SECOND);
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(486), Some("destination_full")));
    world.settle();
}

// ── time, overflow ──

#[test]
fn a_destination_may_have_a_ring_time_of_its_own() {
    let list = "{ uri = \"sip:a@198.51.100.1\", ring_timeout = \"5s\" }, \"sip:b@198.51.100.2\"";
    let mut world = world_with(&forward_to(list, ""), silent(), Answering::default());
    world.dial(Calling::default());
    world.settle();
    let route = ended(&world).route.expect("a route");
    assert_eq!((route.attempts[0].status, route.attempts[0].ring_ms), (480, 4_890));
}

/// D16: a destination that plays 183 for ever does not keep the call.
#[test]
fn the_whole_ring_time_ends() {
    let early = Answering { ringing: vec![(100 * MS, 183, true)], answer: None, ..Answering::default() };
    let mut world = world_with(&company("ring_timeout_total = \"30s\""), early.clone(), early);
    world.dial(Calling::default());
    let ladder = world.settle();
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(480), Some("ring_timeout")));
    assert_eq!(tried(&data).iter().map(|(_, status)| *status).collect::<Vec<_>>(), [480, 487], "{ladder}");
    let took = data.ended_at.expect("an end").millis_since(data.started_at);
    assert!((30_000..30_100).contains(&took), "{took} ms");
}

#[test]
fn overflow_when_busy_and_when_nobody_answers() {
    let keys = "[company.busy]\nforward_to = [{ name = \"mailbox\", uri = \"sip:mail@198.51.100.2\" }]\n\
                [company.no_answer]\nforward_to = [{ name = \"service\", uri = \"sip:service@198.51.100.2\" }]";
    for (shop, expected) in [
        (refusing(486), Some("mailbox")),
        (refusing(480), Some("service")),
        (refusing(503), Some("service")),
        (silent(), Some("service")),
        (refusing(600), None),
        (refusing(603), None),
        (refusing(404), None),
    ] {
        let status = shop.answer.map(|(_, status)| status);
        let mut world = world_with(&forward_to("\"sip:a@198.51.100.1\"", keys), shop, Answering::default());
        world.dial(Calling::default());
        world.settle();
        let data = ended(&world);
        let last = tried(&data).last().cloned().expect("an attempt");
        assert_eq!((last.1 == 200).then_some(last.0.as_str()), expected, "{status:?}");
    }
}

#[test]
fn overflow_happens_once() {
    let keys = "[company.busy]\nforward_to = [\"sip:b@198.51.100.2\"]\n\
                [company.no_answer]\nforward_to = [\"sip:c@198.51.100.2\"]";
    let config = forward_to("\"sip:a@198.51.100.1\"", keys);
    let mut world = world_with(&config, refusing(486), refusing(480));
    world.dial(Calling::default());
    world.settle();
    assert_eq!(tried(&ended(&world)).len(), 2);
}

// ── loops ──

/// B20: each leg is a hop less (RFC 7332), and a call that has none left is refused.
#[test]
fn max_forwards_falls_across_the_legs() {
    for (sent, passed) in [(Some("70"), Some(69)), (Some("1"), Some(0)), (None, Some(69)), (Some("0"), None)] {
        let mut world = world_with(CONFIG, Answering::default(), Answering::default());
        world.dial(Calling { max_forwards: sent, ..Calling::default() });
        world.settle();
        let invite = world.sent_to(SHOP).into_iter().find(|message| message.method_token() == "INVITE");
        let hops = invite.map(|invite| invite.max_forwards().expect("readable").expect("there"));
        assert_eq!(hops, passed, "{sent:?}");
    }
}

/// D13: a name that leads to one of our own addresses is not followed.
#[test]
fn a_name_that_leads_to_us_is_not_called() {
    let mut world = world_with(&named(), Answering::default(), Answering::default());
    world.names.insert("pbx.example".into(), vec![hop(world::US), hop("0.0.0.0:5060"), hop("224.0.0.1:5060")]);
    world.dial(Calling::default());
    world.settle();
    assert_eq!(ended(&world).reason.as_deref(), Some("destination_unresolved"));
    assert_eq!(invites(&world, world::US), 0);
}

/// D15: one Call-ID for two numbers makes two calls with ids of ours.
#[test]
fn one_call_id_for_two_numbers_makes_two_calls() {
    let config =
        CONFIG.replacen("numbers = [\"+442079460500\"]", "numbers = [\"+442079460500\", \"+442079460501\"]", 1);
    let mut world = world_with(&config, Answering::default(), Answering::default());
    for number in ["+442079460500", "+442079460501"] {
        let invite = format!(
            "INVITE sip:{number}@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:07700900123@192.0.2.10>;tag={number}\r\nTo: <sip:{number}@203.0.113.1>\r\n\
             Call-ID: the-same\r\nCSeq: 1 INVITE\r\nContact: <sip:192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
        );
        world.inject(CARRIER, invite.as_bytes());
    }
    world.pass(500 * MS);
    let calls: Vec<String> = world
        .sent_to(SHOP)
        .iter()
        .filter(|m| m.method_token() == "INVITE" && m.is_request())
        .map(|m| m.call_id().expect("valid").to_owned())
        .collect();
    assert_eq!(calls.len(), 2);
    assert!(calls[0] != calls[1] && !calls.iter().any(|call| call == "the-same"), "{calls:?}");
    let started = world.events.iter().filter(|event| matches!(event.body, Body::CallStarted(_))).count();
    assert_eq!(started, 2);
}

/// D06: a redirection is not followed, wherever it leads.
#[test]
fn redirections_are_not_followed() {
    for contact in ["<sip:+881835210000@198.51.100.2>", "<sip:a@evil.example>", "<sip:+442079460500@203.0.113.1>"] {
        let shop = Answering { headers: vec![("Contact", contact.to_owned())], ..refusing(302) };
        let mut world = world_with(&forward_to("\"sip:a@198.51.100.1\"", ""), shop, Answering::default());
        world.dial(Calling::default());
        world.settle();
        let data = ended(&world);
        assert_eq!((data.sip_status, data.reason.as_deref()), (Some(502), Some("redirection_refused")), "{contact}");
        assert_eq!(invites(&world, OFFICE) + invites(&world, world::US), 0, "{contact}");
    }
}

/// D08: only numbers of a pool are served, however they are written; Route is not followed.
#[test]
fn only_our_numbers_are_served() {
    for uri in [
        "sip:00442079460777@203.0.113.1",
        "sip:+881835210000@203.0.113.1",
        "sip:600@198.51.100.2",
        "tel:+442079460777",
        "sip:7777;phone-context=+44207946@203.0.113.1",
        "sip:%2B442079460777@203.0.113.1",
        "sip:203.0.113.1",
    ] {
        let mut world = world_with(CONFIG, Answering::default(), Answering::default());
        let headers = vec![("Route", "<sip:198.51.100.2;lr>".to_owned())];
        world.dial(Calling { request_uri: uri.into(), headers, ..Calling::default() });
        world.settle();
        assert_eq!(invites(&world, SHOP) + invites(&world, OFFICE), 0, "{uri}");
        assert_eq!(world.refused, ["number_unknown"], "{uri}");
    }
    let mut world = world_with(CONFIG, Answering::default(), Answering::default());
    let headers = vec![("Route", "<sip:evil.example;lr>, <sip:192.0.2.99;lr>".to_owned())];
    world.dial(Calling { headers, ..Calling::default() });
    world.settle();
    assert_eq!(invites(&world, SHOP), 1, "our number is served where the configuration says");
}

// ── hours and rules ──

/// The virtual world begins on Saturday, 21 November 2026, at 10:00 UTC.
#[test]
fn a_company_that_is_closed_still_has_its_call() {
    let keys = "[company.schedule]\ntime_zone = \"Europe/London\"\nmonday = [\"09:00-18:00\"]";
    let mut world = world_with(&company(keys), Answering::default(), Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    let data = ended(&world);
    assert_eq!((data.sip_status, data.reason.as_deref()), (Some(480), Some("company_closed")));
    assert_eq!(data.attribution.method, "static_channel");
    assert_eq!(data.route.expect("a route").hours.as_deref(), Some("closed"));
    world.pass(2 * 24 * 3_600 * SECOND);
    world.dial(Calling::default());
    world.settle();
    assert_eq!(world.ended()[1].outcome.map(|outcome| outcome.as_str()), Some("answered"), "on Monday at ten");
}

#[test]
fn rules_send_calls_elsewhere_and_the_event_says_which() {
    let keys = "[[company.rule]]\nname = \"print\"\nwhen = { source = \"bill*\", campaign = \"ring road\" }\n\
                forward_to = [{ name = \"office\", uri = \"sip:print@198.51.100.2\" }]";
    let mut world = world_with(&company(keys), Answering::default(), Answering::default());
    world.dial(Calling::default());
    world.settle();
    let route = ended(&world).route.expect("a route");
    assert_eq!((route.rule.as_deref(), &*route.decided_by), (Some("print"), "rule"));
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (0, 1));
}

#[test]
fn a_known_caller_gets_who_answered_before() {
    let keys = "[[company.rule]]\nname = \"again\"\nwhen = { known = true }";
    let mut world = world_with(&company(keys), refusing(486), Answering::default());
    world.dial(Calling::default());
    world.settle();
    world.phone(SHOP).set_answering(Answering::default());
    world.dial(Calling::default());
    world.settle();
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 2), "the office answered before");
    let route = world.ended()[1].route.clone().expect("a route");
    assert_eq!((route.rule.as_deref(), &*route.decided_by), (Some("again"), "known_caller"));
}
