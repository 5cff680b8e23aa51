//! Before the answer, with reliable provisional responses (RFC 3262) on both legs: what they carry crosses.

use std::time::Duration;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const ALLOW: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK");

fn world(shop: Answering, office: Answering) -> World {
    let config = CONFIG.replace("[media]", "reliable_provisional = \"supported\"\n[media]");
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(office));
    world
}

fn reliable(answer: u16) -> Answering {
    Answering {
        ringing: vec![(Duration::from_millis(100), 183, true)],
        answer: Some((6 * SECOND, answer)),
        headers: vec![(ALLOW.0, ALLOW.1.to_owned())],
        reliable: true,
        ..Answering::default()
    }
}

fn calling() -> Calling {
    let headers = vec![("Supported", "100rel".to_owned()), (ALLOW.0, ALLOW.1.to_owned())];
    Calling { headers, ..Calling::default() }
}

fn perform(world: &mut World, at: &str, call: &str, what: Do) {
    let now = world.now.mono;
    let from = at.parse().expect("an address");
    for (to, bytes) in world.phone(at).perform(now, call, what) {
        world.send(from, to, bytes);
    }
}

#[test]
fn an_update_crosses_before_the_answer() {
    let mut world = world(reliable(200), Answering::default());
    let call = world.dial(calling());
    world.pass(2 * SECOND);
    perform(&mut world, CARRIER, &call, Do::Update(Some("inactive")));
    world.pass(SECOND);
    let in_shop = world.phone(SHOP).dialogs.keys().next().cloned().expect("a call");
    assert_eq!(world.phone(SHOP).dialogs[&in_shop].heard_direction, "inactive");
    perform(&mut world, SHOP, &in_shop, Do::Update(Some("sendrecv")));
    world.pass(SECOND);
    let heard = world.phone(SHOP).dialogs[&in_shop].heard.clone();
    assert_eq!(heard, [("UPDATE".to_owned(), 200)]);
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].heard_direction, "sendrecv");
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_from_prack_to_prack() {
    let mut world = world(reliable(200), Answering::default());
    let call = world.dial(Calling { offers: false, ..calling() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    let media = world.media.values().next().expect("media");
    assert!(media.remotes.iter().all(Option::is_some), "both sides are known");
}

/// The first destination has made its offer and is busy in the end: the next one is offered what the caller agreed to.
#[test]
fn the_next_destination_is_offered_what_was_agreed() {
    let mut world = world(reliable(486), Answering::default());
    let call = world.dial(Calling { offers: false, ..calling() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    let invite = world.phone(OFFICE).dialogs.values().next().and_then(|dialog| dialog.invite.clone()).expect("called");
    assert!(!invite.body().is_empty(), "an offer");
}

/// A caller that does not take reliable responses is never asked in one, nor is the company offered them.
#[test]
fn without_100rel_the_offer_waits_for_the_answer() {
    let mut world = world(reliable(200), Answering::default());
    world.dial(Calling { offers: false, ..Calling::default() });
    world.settle();
    let invite = world.phone(SHOP).dialogs.values().next().and_then(|dialog| dialog.invite.clone()).expect("called");
    assert!(!invite.list("Supported").any(|option| option == "100rel"));
}

/// The caller was told of the first destination's media, and another one answers: it hears of that after its ACK.
#[test]
fn another_answer_than_the_one_that_binds_is_offered_after_the_ack() {
    let office = Answering { sdp: Some(ON_HOLD.to_owned()), ..Answering::default() };
    let mut world = world(reliable(486), office);
    let call = world.dial(calling());
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].heard_direction, "sendonly");
}

const ON_HOLD: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\n\
                       m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendonly\r\n";
