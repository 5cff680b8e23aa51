//! Broken dialogs, repeated and merged requests, loops, and every final answer of a destination.

use std::fmt::Write as _;
use std::time::Duration;

use crate::raw::{OURS, Raw};
use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP};
use crate::{SECOND, STRANGER, answers, assert_healthy, codes, world, world_with};

#[test]
fn requests_of_dialogs_that_we_do_not_have() {
    for method in ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "MESSAGE", "NOTIFY", "PRACK", "SUBSCRIBE"] {
        let mut world = world(CONFIG);
        let lost = Raw::new(method, OURS, "lost").with("To", "<sip:+442079460500@203.0.113.1>;tag=before-the-restart");
        world.inject(CARRIER, &lost.bytes());
        world.inject(SHOP, &lost.with("Via", &format!("SIP/2.0/UDP {SHOP};branch=z9hG4bK-lost2")).bytes());
        world.settle();
        assert_eq!(answers(&world), [481], "{method}");
        assert_eq!(world.sent_to(SHOP).len(), 1, "{method}: the company is answered too");
        assert_healthy(&mut world);
    }
    let mut world = world(CONFIG);
    let ack = Raw::new("ACK", OURS, "lost").with("To", "<sip:+442079460500@203.0.113.1>;tag=gone");
    world.inject(CARRIER, &ack.bytes());
    world.inject(
        CARRIER,
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK-none\r\n\
        From: <sip:a@203.0.113.1>;tag=a\r\nTo: <sip:b@192.0.2.10>;tag=b\r\nCall-ID: none\r\nCSeq: 1 INVITE\r\n\
        Content-Length: 0\r\n\r\n",
    );
    world.settle();
    assert_eq!((answers(&world).len(), codes(&world).as_str()), (0, "response_unmatched ack_unmatched"));
    assert_healthy(&mut world);
}

#[test]
fn hops_fall_by_one_across_the_legs() {
    for (came, left) in [(Some("70"), "69"), (Some("1"), "0"), (None, "69"), (Some("255"), "254")] {
        let mut world = world(CONFIG);
        world.dial(Calling { max_forwards: came, ..Calling::default() });
        world.settle();
        let invite = world.sent_to(SHOP).remove(0);
        assert_eq!((invite.method_token(), invite.header("Max-Forwards")), ("INVITE", Some(left)), "{came:?}");
    }
    let mut world = world(CONFIG);
    world.dial(Calling { max_forwards: Some("0"), ..Calling::default() });
    world.settle();
    assert_eq!((answers(&world), codes(&world).as_str()), (vec![483], "ack_unmatched too_many_hops"));
    assert!(world.sent_to(SHOP).is_empty());
    assert_healthy(&mut world);
}

#[test]
fn a_destination_that_is_ourselves_is_never_called() {
    let ourselves = "forward_to = [\"sip:a@203.0.113.1:5060\", \"sip:b@203.0.113.1\"]";
    let config =
        CONFIG.replace("forward_to = [\"sip:sales@198.51.100.1:5060\", \"sip:{number}@198.51.100.2:5060\"]", ourselves);
    assert!(config.contains(ourselves));
    // Refused when the configuration is read; when it is not (a port that was 0 there), at the call.
    let read = leaseline::config::Config::parse(&config, "test.toml", std::path::Path::new(""));
    if read.is_ok() {
        let mut world = world(&config);
        world.dial(Calling::default());
        world.settle();
        assert_eq!(world.ended()[0].reason.as_deref(), Some("destination_unusable"));
        assert!(world.sent.iter().all(|(from, to, _)| from != to), "we called ourselves");
    }
}

#[test]
fn numbers_of_requests_within_a_dialog() {
    let mut world = world(CONFIG);
    let call = world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
    world.pass(3 * SECOND);
    let (to, from) = {
        let ok = world.sent_to(CARRIER).into_iter().find(|message| message.status() == 200).unwrap();
        (ok.header("To").unwrap().to_owned(), ok.header("From").unwrap().to_owned())
    };
    let request = |method: &str, cseq: u32, branch: &str| {
        let raw = Raw::new(method, "sip:203.0.113.1:5060", branch);
        raw.with("From", &from).with("To", &to).with("Call-ID", &call).with("CSeq", &format!("{cseq} {method}"))
    };
    let mut ask = |raw: &Raw| {
        let before = answers(&world).len();
        world.inject(CARRIER, &raw.bytes());
        world.pass(SECOND);
        answers(&world)[before..].to_vec()
    };
    assert_eq!(ask(&request("OPTIONS", 7, "a")), [200], "far higher is fine");
    assert_eq!(ask(&request("OPTIONS", 7, "a")), [200], "a copy gets the same answer");
    assert_eq!(ask(&request("OPTIONS", 7, "b")), [500], "the same number again is none");
    assert_eq!(ask(&request("OPTIONS", 6, "c")), [500], "a lower one neither");
    assert_eq!(ask(&request("REFER", 8, "d").with("Refer-To", "<sip:+15550199@192.0.2.66>")), [603]);
    assert_eq!(ask(&request("NOTIFY", 9, "e")), [481], "of no subscription");
    assert_eq!(ask(&request("SUBSCRIBE", 10, "f")), [405]);
    assert_eq!(ask(&request("UPDATE", 11, "g")), [200], "it refreshes its leg");
    assert_eq!(ask(&request("OPTIONS", 12, "h").with("Require", "x")), [420]);
    let other_tag = request("BYE", 13, "i").with("From", "<sip:07700900123@192.0.2.10>;tag=guessed");
    assert_eq!(ask(&other_tag), [481], "another From tag is another dialog");
    assert_eq!(ask(&request("BYE", 14, "j").with("Call-ID", "guessed")), [481]);
    assert_eq!(ask(&request("OPTIONS", 2_147_483_647, "k")), [200]);
    // The caller's own BYE will have a number that is too low, and is taken all the same. Here the company hangs up.
    world.phone(SHOP).seen.retain(|seen| !seen.starts_with("INVITE"));
    let (now, us) = (world.now.mono, SHOP.parse().unwrap());
    let company = world.phone(SHOP).dialogs.keys().next().unwrap().clone();
    for (to, bytes) in world.phone(SHOP).hang_up(now, &company) {
        world.send(us, to, bytes);
    }
    assert_healthy(&mut world);
}

#[test]
fn copies_are_one_call_and_merged_requests_are_refused() {
    let mut world = world(CONFIG);
    let invite = Raw::invite("copy");
    for _ in 0..3 {
        world.inject(CARRIER, &invite.bytes());
        world.pass(SECOND / 20);
    }
    // The same request by another way (RFC 3261 §8.2.2.2).
    world.inject(
        "192.0.2.10:5070",
        &invite.clone().with("Via", &format!("SIP/2.0/UDP {CARRIER};branch=z9hG4bK-other")).bytes(),
    );
    world.pass(SECOND / 2);
    // The same branch from another port: a copy that a NAT has moved, no second call.
    world.inject("192.0.2.10:5071", &invite.bytes());
    world.pass(Duration::from_secs(60));
    // Late, after everything is over: our tag is a function of the request, so it is the same call or none.
    world.settle();
    assert_eq!(world.ended().len(), 1, "{}", world.ladder());
    let merged = world.sent.iter().filter(|(from, to, _)| *from == world.us_at && to.port() == 5070);
    let statuses: Vec<u16> =
        merged.map(|(_, _, b)| leaseline::wire::sip::Message::parse(b.clone()).unwrap().status()).collect();
    assert_eq!(statuses, [482]);
    let invites = world.sent_to(SHOP).iter().filter(|message| message.method_token() == "INVITE").count();
    assert_eq!(invites, 1);
}

#[test]
fn one_call_id_in_two_invites_is_two_calls() {
    let config = CONFIG.replace("numbers = [\"+442079460500\"]", "numbers = [\"+442079460500\", \"+442079460501\"]");
    let mut world = world(&config);
    world.inject(CARRIER, &Raw::invite("one").with("Call-ID", "shared").bytes());
    let second = Raw::invite("two").with("Call-ID", "shared");
    let second = Raw { start: second.start.replace("500@", "501@"), ..second };
    world.inject(CARRIER, &second.bytes());
    world.settle();
    let ended = world.ended();
    assert_eq!(ended.len(), 2);
    assert_ne!((ended[0].call_id, &ended[0].number), (ended[1].call_id, &ended[1].number));
    let dialogs: std::collections::BTreeSet<_> =
        world.sent_to(SHOP).iter().map(|message| message.call_id().unwrap().to_owned()).collect();
    assert_eq!(dialogs.len(), 2, "each leg has a Call-ID of its own");
    assert!(!dialogs.contains("shared"));
}

#[test]
fn every_final_answer_of_a_destination() {
    let mut table = String::new();
    for status in [
        300, 302, 305, 400, 401, 403, 404, 407, 408, 410, 415, 480, 481, 484, 486, 487, 488, 491, 500, 502, 503, 504,
        600, 603, 604, 606, 607, 699,
    ] {
        let answer = Some((Duration::from_millis(50), status));
        let mut world = world_with(CONFIG, Answering { ringing: Vec::new(), answer, ..Answering::default() });
        world.phone(OFFICE).set_answering(Answering { ringing: Vec::new(), answer, ..Answering::default() });
        let call = world.dial(Calling::default());
        world.settle();
        let tried = [SHOP, OFFICE]
            .map(|at| world.sent_to(at).iter().filter(|m| m.method_token() == "INVITE" && m.is_request()).count());
        let data = world.ended().remove(0).clone();
        let finals = world.phone(CARRIER).dialogs[&call].finals.clone();
        writeln!(
            table,
            "{status} from both -> {finals:?} {} {} by {:?}, tried {tried:?}",
            data.outcome.unwrap().as_str(),
            data.reason.unwrap(),
            data.hangup_by.unwrap(),
        )
        .unwrap();
        assert_eq!(finals.len(), 1);
        world.phone(SHOP).set_answering(Answering::default());
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_destination_that_says_100_and_nothing_more() {
    let silent = Answering { ringing: Vec::new(), answer: None, ..Answering::default() };
    let mut world = world_with(CONFIG, silent.clone());
    world.phone(OFFICE).set_answering(silent);
    world.dial(Calling::default());
    world.settle();
    let data = world.ended()[0];
    assert_eq!((data.outcome.unwrap().as_str(), data.sip_status), ("no_answer", Some(480)), "{}", world.ladder());
    world.phone(SHOP).set_answering(Answering::default());
    assert_healthy(&mut world);
}

#[test]
fn a_strangers_cancel_and_bye_end_nothing() {
    let mut world = world_with(CONFIG, Answering { answer: Some((5 * SECOND, 200)), ..Answering::default() });
    world.inject(CARRIER, &Raw::invite("victim").bytes());
    world.pass(2 * SECOND);
    let mut cancel = Raw::new("CANCEL", OURS, "victim");
    world.inject(STRANGER, &cancel.bytes());
    // Another address of the trunk's network is known, and still not who sent the INVITE.
    world.inject("192.0.2.99:5060", &cancel.bytes());
    cancel = cancel.with("Via", &format!("SIP/2.0/UDP {CARRIER};branch=z9hG4bK-guess"));
    world.inject(CARRIER, &cancel.bytes());
    world.pass(SECOND);
    assert_eq!(world.counts().calls, 1, "the call still rings");
    assert_eq!(answers(&world).last(), Some(&481));
    world.settle();
    assert_eq!(world.ended()[0].reason.as_deref(), Some("no_ack"));
}
