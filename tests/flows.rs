//! What a call looks like from outside, one ladder a behaviour. A change of behaviour is a change of a picture.

#![allow(clippy::unwrap_used)] // a test's way to fail

#[path = "flows/browser.rs"]
mod browser;
#[path = "flows/descriptions.rs"]
mod descriptions;
#[path = "flows/early.rs"]
mod early;
#[path = "flows/ears.rs"]
mod ears;
#[path = "flows/forks.rs"]
mod forks;
#[path = "flows/heard.rs"]
mod heard;
#[path = "flows/large.rs"]
mod large;
#[path = "flows/login.rs"]
mod login;
#[path = "flows/offers.rs"]
mod offers;
#[path = "flows/places.rs"]
mod places;
#[path = "flows/presses.rs"]
mod presses;
#[path = "flows/prompts.rs"]
mod prompts;
#[path = "flows/races.rs"]
mod races;
#[path = "flows/recording.rs"]
mod recording;
#[path = "flows/regions.rs"]
mod regions;
#[path = "flows/secured.rs"]
mod secured;
#[path = "flows/sessions.rs"]
mod sessions;
#[path = "flows/siprec.rs"]
mod siprec;
#[path = "flows/stock.rs"]
mod stock;
#[path = "flows/table.rs"]
mod table;
#[path = "flows/transcode.rs"]
mod transcode;
#[path = "flows/transfer.rs"]
mod transfer;
#[path = "flows/trunks.rs"]
mod trunks;
mod world;

#[path = "flows/identity.rs"]
mod identity;

use std::time::Duration;

use leaseline::core::b2bua::Input;

use world::phone::{Answering, Calling, Phone};
use world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const SECOND: Duration = Duration::from_secs(1);

fn world(shop: Answering, office: Answering) -> World {
    let mut world = World::new(7, CONFIG);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(office));
    world
}

fn refusing(status: u16) -> Answering {
    Answering { ringing: Vec::new(), answer: Some((Duration::from_millis(50), status)), ..Answering::default() }
}

fn silent() -> Answering {
    Answering { answer: None, ..Answering::default() }
}

#[test]
fn answered_and_the_caller_hangs_up() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn answered_and_the_company_hangs_up() {
    let shop = Answering { hang_up: Some(3 * SECOND), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    world.dial(Calling { hang_up: None, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn early_media_then_answer() {
    let shop = Answering {
        ringing: vec![(Duration::from_millis(100), 183, true)],
        answer: Some((2 * SECOND, 200)),
        ..Answering::default()
    };
    let mut world = world(shop, Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn busy_then_the_next_destination() {
    let mut world = world(refusing(486), Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn busy_everywhere() {
    let mut world = world(refusing(486), refusing(486));
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn declined_ends_the_hunt() {
    let mut world = world(refusing(603), Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn nobody_answers() {
    let mut world = world(silent(), silent());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn a_dead_destination_does_not_cost_the_whole_ring_time() {
    let mut world = world(Answering::default(), Answering::default());
    world.phones.remove(&SHOP.parse().expect("an address"));
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn the_caller_cancels_while_it_rings() {
    let mut world = world(silent(), silent());
    world.dial(Calling { cancel: Some(2 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn cancel_crosses_the_answer() {
    let shop = Answering { answer: Some((Duration::from_millis(1_000), 200)), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    // The CANCEL is at us before the 200, and at the shop after it was sent.
    world.dial(Calling { cancel: Some(Duration::from_millis(1_007)), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn unknown_number() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { request_uri: "sip:+442079460777@203.0.113.1".into(), ..Calling::default() });
    let ladder = world.settle();
    assert_eq!(world.refused, ["number_unknown"]);
    insta::assert_snapshot!(ladder);
}

#[test]
fn hold_and_resume_from_the_caller() {
    let mut world = world(Answering::default(), Answering::default());
    let reinvites = vec![(2 * SECOND, "sendonly"), (4 * SECOND, "sendrecv")];
    world.dial(Calling { reinvites, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn hold_from_the_company() {
    let shop = Answering { reinvite: Some((2 * SECOND, "inactive")), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    let call = world.dial(Calling::default());
    let ladder = world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].heard_direction, "inactive");
    insta::assert_snapshot!(ladder);
}

#[test]
fn a_refused_reinvite_changes_nothing() {
    let shop = Answering { reinvite_status: 488, ..Answering::default() };
    let mut world = world(shop, Answering::default());
    world.dial(Calling { reinvites: vec![(2 * SECOND, "sendonly")], ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn both_sides_reinvite_at_once() {
    let shop = Answering { reinvite: Some((2 * SECOND, "sendonly")), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    world.dial(Calling { reinvites: vec![(2 * SECOND, "sendonly")], ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn the_offer_comes_from_the_company() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { offers: false, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn the_caller_never_acknowledges() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { acknowledges: false, hang_up: None, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn no_ports_no_call() {
    let mut world = world(Answering::default(), Answering::default());
    world.no_ports = true;
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn draining_takes_no_new_calls_and_keeps_the_old() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling::default());
    world.pass(2 * SECOND);
    world.input(Input::Drain);
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn the_end_of_the_drain_hangs_up() {
    let mut world = world(Answering::default(), silent());
    world.dial(Calling { hang_up: None, ..Calling::default() });
    world.pass(3 * SECOND);
    world.dial(Calling { hang_up: None, ..Calling::default() });
    world.pass(Duration::from_millis(500));
    world.input(Input::HangUpAll("shutdown"));
    insta::assert_snapshot!(world.settle());
}

#[test]
fn no_codec_in_common() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { formats: "18 101", ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn options_is_answered_and_an_unknown_dialog_is_not() {
    let mut world = world(Answering::default(), Answering::default());
    let request = |method: &str, tag: &str, via: &str| {
        format!(
            "{method} sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:probe@192.0.2.10>;tag=a\r\nTo: <sip:203.0.113.1>{tag}\r\nCall-ID: probe-{method}\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    world.inject(CARRIER, request("OPTIONS", "", CARRIER).as_bytes());
    world.pass(SECOND);
    world.inject(CARRIER, request("BYE", ";tag=gone", CARRIER).as_bytes());
    world.pass(SECOND);
    world.inject("198.18.0.1:5060", request("OPTIONS", "", "198.18.0.1").as_bytes());
    world.pass(SECOND);
    world.inject(CARRIER, b"hello");
    insta::assert_snapshot!(world.settle());
}

/// B26: what the caller hears of what the company says, when no other destination is left.
#[test]
fn what_a_refusal_becomes() {
    let mut table = String::new();
    for status in [300, 302, 401, 403, 404, 407, 408, 480, 484, 486, 487, 488, 500, 503, 504, 600, 603, 606, 699] {
        let mut world = world(refusing(status), refusing(status));
        let call = world.dial(Calling::default());
        world.settle();
        let heard = world.phone(CARRIER).dialogs[&call].finals.clone();
        let asked = [SHOP, OFFICE].map(|phone| world.phone(phone).dialogs.len());
        let ended = world.ended()[0];
        let (outcome, reason) = (ended.outcome, ended.reason.as_deref().unwrap_or(""));
        table += &format!("{status} from {asked:?} -> {heard:?} {outcome:?} {reason}\n");
    }
    let silent = Answering { ringing: Vec::new(), answer: None, ..Answering::default() };
    let mut world = world(silent.clone(), silent);
    let call = world.dial(Calling::default());
    world.settle();
    let heard = world.phone(CARRIER).dialogs[&call].finals.clone();
    table += &format!("100 only -> {heard:?} {:?}\n", world.ended()[0].reason);
    insta::assert_snapshot!(table);
}
