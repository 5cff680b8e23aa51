//! Each leg has reliable provisional responses and a session timer of its own: what is agreed on one leg never crosses.

use std::time::Duration;

use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};
use crate::{SECOND, world};

fn ringing(reliable: bool) -> Answering {
    let ringing = vec![(Duration::from_millis(100), 180, false), (Duration::from_millis(400), 183, true)];
    Answering { ringing, reliable, ..Answering::default() }
}

fn asks_for_reliable() -> Calling {
    Calling { headers: vec![("Supported", "100rel".to_owned())], ..Calling::default() }
}

fn lines(lines: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Requests of this method that a side got from us, and which came from it.
fn requests_to(world: &World, address: &str, method: &str) -> usize {
    world.sent_to(address).iter().filter(|message| message.is_request() && message.method_token() == method).count()
}

fn requests_from(world: &World, address: &str, method: &str) -> usize {
    let is_it = |bytes: &bytes::Bytes| bytes.starts_with(method.as_bytes());
    world.sent.iter().filter(|(from, _, bytes)| from.to_string() == address && is_it(bytes)).count()
}

#[test]
fn reliable_on_both_legs() {
    let mut world = world(ringing(true), Answering::default());
    world.dial(asks_for_reliable());
    insta::assert_snapshot!(world.settle());
    assert_eq!(requests_to(&world, SHOP, "PRACK"), 2);
}

#[test]
fn reliable_on_the_callers_leg_only() {
    let mut world = world(ringing(false), Answering::default());
    world.dial(asks_for_reliable());
    insta::assert_snapshot!(world.settle());
    assert_eq!(requests_to(&world, SHOP, "PRACK"), 0);
}

#[test]
fn reliable_on_the_companys_leg_only() {
    let mut world = world(ringing(true), Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert!(world.sent_to(CARRIER).iter().all(|message| message.header("RSeq").is_none()));
}

#[test]
fn peers_that_know_neither_see_only_what_we_can() {
    let off = CONFIG.replace("[media]", "reliable_provisional = \"off\"\ntimer = \"off\"\n[media]");
    let heard = |config: &str| {
        let mut world = World::new(7, config);
        for (address, answering) in [(CARRIER, Answering::default()), (SHOP, ringing(false))] {
            world.add(address, Phone::new(answering));
        }
        world.dial(Calling { reinvites: vec![(2 * SECOND, "sendonly")], ..Calling::default() });
        world.settle();
        let told = |line: &&str| !line.starts_with("Supported:") && !line.starts_with("Allow:");
        let plain = |bytes: &bytes::Bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().filter(told).collect::<Vec<_>>().join("\n")
        };
        world.sent.iter().map(|(_, to, bytes)| format!("{to} {}", plain(bytes))).collect::<Vec<_>>()
    };
    assert_eq!(heard(CONFIG), heard(&off));
}

/// The caller refreshes by UPDATE, we refresh towards the company by UPDATE: neither crosses.
#[test]
fn refreshed_by_update_on_one_leg_only() {
    let refresh = lines(&[("Supported", "timer"), ("Session-Expires", "90;refresher=uac")]);
    let update = |after| (after, Do::Send("UPDATE", refresh.clone(), None));
    let mut world = world(Answering::default(), Answering::default());
    let script = vec![update(40 * SECOND), update(80 * SECOND)];
    let hang_up = Some(130 * SECOND);
    world.dial(Calling { headers: refresh.clone(), script, hang_up, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(requests_to(&world, SHOP, "UPDATE"), 0);
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
}

/// The company wants a timer and has never said UPDATE: our re-INVITE repeats the description that is in force.
#[test]
fn refreshed_by_reinvite_on_one_leg_only() {
    let headers = lines(&[("Require", "timer"), ("Session-Expires", "90;refresher=uac")]);
    let mut world = world(Answering { headers, ..Answering::default() }, Answering::default());
    world.dial(Calling { hang_up: Some(60 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!((requests_to(&world, SHOP, "INVITE"), requests_to(&world, CARRIER, "INVITE")), (2, 0));
}

/// B22: who promised to refresh has gone without a BYE.
#[test]
fn the_refresher_vanishes() {
    let headers = lines(&[("Supported", "timer"), ("Session-Expires", "90;refresher=uac")]);
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { headers, hang_up: None, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.ended()[0].reason.as_deref(), Some("session_expired"));
}

#[test]
fn too_short_a_session_is_refused_at_the_door() {
    let mut world = world(Answering::default(), Answering::default());
    let headers = lines(&[("Supported", "timer"), ("Session-Expires", "60")]);
    world.dial(Calling { headers, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    let refusal = world.sent_to(CARRIER).into_iter().find(|message| message.status() == 422).expect("422");
    assert_eq!(refusal.header("Min-SE"), Some("90"));
    assert!(world.events.is_empty());
}

/// B22: the caller refreshes although that is our part, and we do, too; the call goes on.
#[test]
fn both_refresh() {
    let ours = lines(&[("Supported", "timer"), ("Allow", "UPDATE"), ("Session-Expires", "90;refresher=uas")]);
    let update = |after| (after, Do::Send("UPDATE", ours.clone(), None));
    let mut world = world(Answering::default(), Answering::default());
    // The second meets ours in the same instant.
    let script = vec![update(20 * SECOND), update(Duration::from_millis(65_003)), update(100 * SECOND)];
    world.dial(Calling { headers: ours.clone(), script, hang_up: Some(130 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
}

/// A world in which the company may transfer to its office.
fn transferring(office: Answering) -> World {
    let refer = Do::Send("REFER", vec![("Refer-To", "<sip:201@198.51.100.2:5060>".to_owned())], None);
    let shop = Answering { script: vec![(SECOND, refer)], hangs_up_after_transfer: true, ..Answering::default() };
    let mut world = World::new(7, &CONFIG.replace("ring_timeout", "transfer = \"local\"\nring_timeout"));
    for (address, answering) in [(CARRIER, Answering::default()), (SHOP, shop), (OFFICE, office)] {
        world.add(address, Phone::new(answering));
    }
    world
}

/// The target of a transfer has a session timer of its own: we refresh it, and the caller's leg has none.
#[test]
fn the_target_of_a_transfer_has_its_timer() {
    let headers = lines(&[("Require", "timer"), ("Session-Expires", "90;refresher=uac"), ("Allow", "UPDATE")]);
    let mut world = transferring(Answering { headers, ..Answering::default() });
    world.dial(Calling { hang_up: Some(120 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!((requests_to(&world, OFFICE, "UPDATE"), requests_to(&world, SHOP, "UPDATE")), (1, 0));
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
}

/// B22: the target promised to refresh and is gone.
#[test]
fn the_target_of_a_transfer_vanishes() {
    let headers = lines(&[("Require", "timer"), ("Session-Expires", "90;refresher=uas")]);
    let mut world = transferring(Answering { headers, ..Answering::default() });
    world.dial(Calling { hang_up: None, ..Calling::default() });
    world.settle();
    assert_eq!(world.ended()[0].reason.as_deref(), Some("session_expired"));
    assert_eq!(requests_to(&world, OFFICE, "BYE"), 1);
}

/// Its 183 was the answer; the 200 says nothing more.
#[test]
fn the_target_of_a_transfer_answers_reliably() {
    let mut world = transferring(ringing(true));
    world.dial(Calling { hang_up: Some(10 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(requests_to(&world, OFFICE, "PRACK"), 2);
    assert_eq!(world.ended()[0].transfers.len(), 1);
}

/// RFC 3262 §3: without PRACK the caller is refused, and the phone that has answered is hung up.
#[test]
fn a_caller_that_never_pracks() {
    let mut world = world(Answering { ringing: vec![(SECOND, 183, true)], ..ringing(false) }, Answering::default());
    let call = world.dial(Calling { pracks: None, hang_up: None, ..asks_for_reliable() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [504]);
    let ended = world.ended()[0];
    assert_eq!((ended.reason.as_deref(), ended.sip_status), (Some("no_prack"), Some(504)));
}

/// The company hangs up while our 200 waits for the caller's PRACK: the caller is refused, and that is what is told.
#[test]
fn the_company_leaves_before_the_callers_prack() {
    let shop = Answering { ringing: vec![(SECOND, 183, true)], hang_up: Some(SECOND), ..ringing(false) };
    let mut world = world(shop, Answering::default());
    let call = world.dial(Calling { pracks: Some(4 * SECOND), hang_up: None, ..asks_for_reliable() });
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [480]);
    let ended = world.ended()[0];
    assert_eq!((ended.reason.as_deref(), ended.sip_status), (Some("company_hung_up"), Some(480)));
    assert_eq!(ended.outcome.map(|outcome| outcome.as_str()), Some("failed"));
}

/// `Require: 100rel` of a caller, and what `off` and `required` make of both kinds of callers.
#[test]
fn what_callers_say_of_100rel() {
    let mut table = String::new();
    for setting in ["supported", "required", "off"] {
        for option in ["", "Supported", "Require"] {
            let config = CONFIG.replace("[media]", &format!("reliable_provisional = \"{setting}\"\n[media]"));
            let mut world = World::new(7, &config);
            for (address, answering) in [(CARRIER, Answering::default()), (SHOP, ringing(true))] {
                world.add(address, Phone::new(answering));
            }
            let headers = if option.is_empty() { Vec::new() } else { lines(&[(option, "100rel")]) };
            let call = world.dial(Calling { headers, ..Calling::default() });
            world.settle();
            let (to_us, to_shop) = (requests_from(&world, CARRIER, "PRACK"), requests_to(&world, SHOP, "PRACK"));
            let finals = &world.phone(CARRIER).dialogs[&call].finals;
            table += &format!("{setting:<10} caller {option:<10} {finals:?} PRACK caller {to_us} company {to_shop}\n");
        }
    }
    insta::assert_snapshot!(table);
}
