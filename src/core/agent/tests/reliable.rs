//! Reliable provisional responses in both roles, early dialogs of forks.

use super::world::*;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;
use crate::core::hosts::Hosts;
use rsip::Method;

const REL: &str = "Contact: <sip:p@127.0.0.9>\r\nSupported: 100rel\r\nContent-Type: application/sdp\r\n";

pub(super) fn world() -> World {
    World::with(AgentConfig {
        user_agent: "test".into(),
        hosts: Hosts::default(),
        transactions_max: 1_000,
        reliable: Reliable::Supported,
        session: None,
    })
}

fn call(world: &mut World, node: usize, remote: std::net::SocketAddr, extra: Extra) -> LegId {
    let invite = Invite {
        flow: world.flow(node, remote),
        request_uri: format!("sip:+442079460001@{remote}"),
        from: "<sip:+442079460900@a.example>".into(),
        to: "<sip:+442079460001@b.example>".into(),
        max_forwards: 69,
        nat: false,
        reliable: Reliable::Supported,
        session: None,
        credentials: None,
        large: LargeRequests::Udp,
        extra,
    };
    world.on(node, |agent, now| agent.invite(now, invite))
}

/// The hand-written peer has called A. Gives the leg.
fn invited(world: &mut World, body: &str) -> LegId {
    world.hand(A, &Hand { headers: REL, body, ..Hand::default() });
    world.invited(A)
}

fn prack(world: &mut World, response: &crate::wire::sip::Message, cseq: u32, rack: &str, body: &str) {
    let tag = response.to().unwrap().tag().unwrap().to_owned();
    let (branch, headers) = (
        format!("z9hG4bKprack{cseq}"),
        format!("RAck: {rack}\r\n{}", if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" }),
    );
    let hand =
        Hand { method: "PRACK", branch: &branch, to_tag: &tag, cseq, headers: &headers, body, ..Hand::default() };
    world.hand(A, &hand);
}

fn rseq(response: &crate::wire::sip::Message) -> u32 {
    assert_eq!(response.header("Require"), Some("100rel"));
    response.header("RSeq").unwrap().parse().unwrap()
}

#[test]
fn ringing_reliably() {
    let mut world = world();
    let a = call(&mut world, A, address(B), sdp());
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.trying(now, b));
    world.on(B, |agent, now| agent.provisional(now, b, 183, sdp()));
    // It waits for the PRACK of the 183.
    world.on(B, |agent, now| agent.provisional(now, b, 180, Extra::default()));
    world.run(ms(100));
    assert!(matches!(world.event(A), AgentEvent::Provisional { fork: Some(Fork(0)), answer_due: false, .. }));
    assert!(matches!(world.event(A), AgentEvent::Provisional { fork: Some(Fork(0)), .. }));
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Answered { fork: Some(Fork(0)), .. }));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.run(ms(15));
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// The first PRACK and its answer are lost: copies of the 183 are not told twice.
#[test]
fn lost_prack() {
    let mut world = world();
    world.lose(A, "PRACK", 1);
    world.lose(B, "SIP/2.0 200", 1);
    call(&mut world, A, address(B), sdp());
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.provisional(now, b, 183, sdp()));
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.run(ms(400));
    assert!(matches!(world.event(A), AgentEvent::Provisional { .. }));
    // §3: the 200 waits for the PRACK.
    world.no_event(A);
    world.run(ms(1_000));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    assert_eq!(world.dropped(A, DropReason::ProvisionalAgain), 1);
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// B25: no PRACK at all.
#[test]
fn no_prack() {
    let mut world = world();
    let leg = invited(&mut world, "v=0\r\n");
    world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default()));
    let first = world.mail_of("SIP/2.0 180");
    world.run(ms(31_900));
    let copies = world.mail.len();
    assert_eq!(copies, 6, "after 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s");
    assert!(world.mail.drain(..).all(|(_, copy)| copy.bytes() == first.bytes()));
    world.no_event(A);
    world.run(ms(200));
    world.mail_of("SIP/2.0 504");
    assert!(matches!(world.event(A), AgentEvent::Ended { reason: "no_prack", .. }));
    world.quiet();
}

/// B25: a PRACK of nothing; a 2xx without description in the provisional response need not wait, and the PRACK that
/// comes later is still taken.
#[test]
fn wrong_and_late_pracks() {
    let mut world = world();
    let leg = invited(&mut world, "v=0\r\n");
    world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default()));
    let ringing = world.mail_of("SIP/2.0 180");
    let number = rseq(&ringing);
    let wrong = [
        format!("{} 1 INVITE", number + 1),
        format!("{number} 2 INVITE"),
        format!("{number} 1 UPDATE"),
        format!("{number} 1"),
        "0 1 INVITE".into(),
        "4294967296 1 INVITE".into(),
        "x".into(),
    ];
    for (cseq, rack) in (2..).zip(&wrong) {
        prack(&mut world, &ringing, cseq, rack, "");
        world.mail_of("SIP/2.0 481");
    }
    assert_eq!(world.dropped(A, DropReason::PrackUnmatched), 7);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    world.mail_of("SIP/2.0 200");
    prack(&mut world, &ringing, 20, &format!("{number} 1 INVITE"), "");
    assert_eq!(world.mail_of("SIP/2.0 200").method_token(), "PRACK");
    // Acknowledged once is enough.
    prack(&mut world, &ringing, 21, &format!("{number} 1 INVITE"), "");
    world.mail_of("SIP/2.0 481");
    let tag = ringing.to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, ..Hand::default() });
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

/// An INVITE without offer: the 183 offers, the PRACK answers, and UPDATE is possible from then on.
#[test]
fn offer_in_183_answer_in_prack() {
    let mut world = world();
    let a = call(&mut world, A, address(B), Extra::default());
    world.run(ms(15));
    let b = world.invited(B);
    assert!(world.on(B, |agent, _| agent.is_reliable(b)));
    world.on(B, |agent, now| agent.provisional(now, b, 183, sdp()));
    world.run(ms(15));
    let AgentEvent::Provisional { fork: Some(fork), answer_due: true, .. } = world.event(A) else { panic!() };
    // Before the answer no other offer may go out, from either side.
    world.on(A, |agent, now| agent.request_in(now, a, fork, Method::Update, sdp()));
    world.on(B, |agent, now| agent.request(now, b, Method::Update, sdp()));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 491, response: None, .. }));
    assert!(matches!(world.event(B), AgentEvent::Response { status: 491, response: None, .. }));
    world.on(A, |agent, now| agent.answer_early(now, a, fork, sdp()));
    world.run(ms(15));
    let txn = world.asked(B);
    world.on(B, |agent, now| agent.respond(now, txn, 200, Extra::default()));
    world.run(ms(15));
    world.on(A, |agent, now| agent.request_in(now, a, fork, Method::Update, sdp()));
    world.run(ms(15));
    let txn = world.asked(B);
    world.on(B, |agent, now| agent.respond(now, txn, 200, sdp()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 200, .. }));
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// RFC 3261 §13.2.1: ringing makes no offer, so it is not said reliably to who wants one.
#[test]
fn ringing_without_an_offer() {
    for (lines, rings) in [("Supported: 100rel\r\n", true), ("Require: 100rel\r\n", false)] {
        let mut world = world();
        world.hand(A, &Hand { headers: &format!("{CONTACT}{lines}"), ..Hand::default() });
        let leg = world.invited(A);
        world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default()));
        if rings {
            assert_eq!(world.mail_of("SIP/2.0 180").header("RSeq"), None);
        }
        world.no_mail();
        world.on(A, |agent, now| agent.provisional(now, leg, 183, sdp()));
        assert!(world.mail_of("SIP/2.0 183").header("RSeq").is_some());
        world.hand(A, &Hand { method: "CANCEL", ..Hand::default() });
        world.mail_of("SIP/2.0 200");
        world.mail_of("SIP/2.0 487");
        assert!(matches!(world.event(A), AgentEvent::Cancelled { .. }));
        world.quiet();
    }
}

/// B25: a PRACK that a younger request has overtaken still acknowledges.
#[test]
fn a_prack_is_taken_out_of_order() {
    let mut world = world();
    let leg = invited(&mut world, "v=0\r\n");
    world.on(A, |agent, now| agent.provisional(now, leg, 183, sdp()));
    let response = world.mail_of("SIP/2.0 183");
    let tag = response.to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "UPDATE", branch: "z9hG4bKu3", to_tag: &tag, cseq: 3, ..Hand::default() });
    world.mail_of("SIP/2.0 200");
    prack(&mut world, &response, 2, &format!("{} 1 INVITE", rseq(&response)), "");
    world.mail_of("SIP/2.0 200");
    world.run(ms(2_000));
    world.no_mail();
    world.hand(A, &Hand { method: "CANCEL", ..Hand::default() });
    world.mail_of("SIP/2.0 200");
    world.mail_of("SIP/2.0 487");
    assert!(matches!(world.event(A), AgentEvent::Cancelled { .. }));
    world.quiet();
}

/// CANCEL while the 200 is held back.
#[test]
fn cancel_of_a_held_answer() {
    let mut world = world();
    let leg = invited(&mut world, "v=0\r\n");
    world.on(A, |agent, now| agent.provisional(now, leg, 183, sdp()));
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    world.mail_of("SIP/2.0 183");
    world.no_mail();
    world.hand(A, &Hand { method: "CANCEL", ..Hand::default() });
    world.mail_of("SIP/2.0 200");
    world.mail_of("SIP/2.0 487");
    assert!(matches!(world.event(A), AgentEvent::Cancelled { .. }));
    world.quiet();
}

/// Ringing that goes on: a number of its own each two and a half minutes.
#[test]
fn ringing_for_long() {
    let mut world = world();
    let leg = invited(&mut world, "v=0\r\n");
    world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default()));
    let ringing = world.mail_of("SIP/2.0 180");
    let number = rseq(&ringing);
    prack(&mut world, &ringing, 2, &format!("{number} 1 INVITE"), "");
    world.mail_of("SIP/2.0 200");
    world.run(ms(149_000));
    world.no_mail();
    world.run(ms(1_100));
    assert_eq!(rseq(&world.mail_of("SIP/2.0 180")), number + 1);
    world.on(A, |agent, now| agent.refuse(now, leg, 486, Extra::default()));
    world.quiet();
}

/// B25: Require and its refusals.
#[test]
fn require_and_required() {
    let required = "Contact: <sip:p@127.0.0.9>\r\nRequire: 100rel\r\n";
    let mut off = World::new();
    off.hand(A, &Hand { headers: required, ..Hand::default() });
    assert_eq!(off.mail_of("SIP/2.0 420").header("Unsupported"), Some("100rel"));
    off.quiet();

    let mut world = World::with(AgentConfig {
        user_agent: String::new(),
        hosts: Hosts::default(),
        transactions_max: 100,
        reliable: Reliable::Required,
        session: None,
    });
    world.hand(A, &Hand::default());
    assert_eq!(world.mail_of("SIP/2.0 421").header("Require"), Some("100rel"));
    let headers = &format!("{required}Content-Type: application/sdp\r\n");
    world.hand(A, &Hand { headers, branch: "z9hG4bKother", cseq: 2, body: "v=0\r\n", ..Hand::default() });
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default()));
    assert!(rseq(&world.mail_of("SIP/2.0 180")) > 0);
    world.on(A, |agent, now| agent.refuse(now, leg, 486, Extra::default()));
    world.quiet();
}

/// RFC 3262 §4 and A15: in order, once, and what is no number is no reliable response.
#[test]
fn order_of_rseq() {
    let mut world = world();
    let leg = call(&mut world, A, peer(), sdp());
    let invite = world.mail_of("INVITE");
    assert_eq!(invite.header("Supported"), Some("100rel"));
    let say = |world: &mut World, number: &str| {
        let lines = format!("{CONTACT}Require: 100rel\r\nRSeq: {number}\r\n");
        world.raw(A, peer(), &answer(&invite, 180, "one", &lines));
        let told = !world.events[A].is_empty();
        world.events[A].clear();
        let pracked = world.mail.pop_front().map(|(_, prack)| prack.header("RAck").unwrap().to_owned());
        (told, pracked)
    };
    for odd in ["0", "4294967296", "18446744073709551616", "-1", "", "7x"] {
        assert_eq!(say(&mut world, odd), (true, None), "{odd}");
    }
    assert_eq!(say(&mut world, "4294967294"), (true, Some("4294967294 1 INVITE".into())));
    assert_eq!(say(&mut world, "4294967294"), (false, None));
    assert_eq!(say(&mut world, "4294967293"), (false, None));
    assert_eq!(say(&mut world, "4294967295"), (true, Some("4294967295 1 INVITE".into())));
    assert_eq!(say(&mut world, "1"), (false, None));
    assert_eq!(world.dropped(A, DropReason::ProvisionalAgain), 3);
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    world.quiet();

    let mut world = self::world();
    let leg = call(&mut world, A, peer(), sdp());
    let invite = world.mail_of("INVITE");
    let lines = |number| format!("{CONTACT}Require: 100rel\r\nRSeq: {number}\r\n");
    world.raw(A, peer(), &answer(&invite, 180, "one", &lines(7)));
    world.mail_of("PRACK");
    world.raw(A, peer(), &answer(&invite, 183, "one", &lines(9)));
    world.no_mail();
    assert_eq!(world.dropped(A, DropReason::ProvisionalEarly), 1);
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    world.quiet();
}

/// B04: three phones ring, each in its dialog; one of them answers, and another one too.
#[test]
fn forks_with_reliable_ringing() {
    let mut world = world();
    let leg = call(&mut world, A, peer(), sdp());
    let invite = world.mail_of("INVITE");
    for (at, tag) in ["one", "two", "three"].into_iter().enumerate() {
        let lines = format!("Contact: <sip:{tag}@127.0.0.9>\r\nRequire: 100rel\r\nRSeq: {}\r\n", 100 * at + 1);
        world.raw(A, peer(), &answer(&invite, 180, tag, &lines));
        let AgentEvent::Provisional { fork: Some(Fork(fork)), .. } = world.event(A) else { panic!() };
        assert_eq!(usize::from(fork), at);
        let prack = world.mail_of(&format!("PRACK sip:{tag}@127.0.0.9"));
        assert_eq!(prack.to().unwrap().tag(), Some(tag));
        world.raw(A, peer(), &answer(&prack, 200, tag, ""));
    }
    // Each speaks in its own dialog and is answered there.
    let local = invite.from().unwrap().tag().unwrap().to_owned();
    let call_id = invite.call_id().unwrap().to_owned();
    for (cseq, tag) in (1..).zip(["one", "two", "three"]) {
        let branch = format!("z9hG4bK{tag}");
        world.hand(
            A,
            &Hand {
                method: "INFO",
                branch: &branch,
                call_id: &call_id,
                from_tag: tag,
                to_tag: &local,
                cseq,
                ..Hand::default()
            },
        );
        let AgentEvent::Request { fork: Some(Fork(fork)), txn, .. } = world.event(A) else { panic!() };
        assert_eq!(u32::from(fork), cseq - 1);
        world.on(A, |agent, now| agent.respond(now, txn, 200, Extra::default()));
        world.mail_of("SIP/2.0 200");
    }
    world.on(A, |agent, now| agent.request_in(now, leg, Fork(2), Method::Info, Extra::default()));
    world.mail_of("INFO sip:three@127.0.0.9");
    world.raw(A, peer(), &answer(&invite, 200, "two", "Contact: <sip:two@127.0.0.9>\r\n"));
    assert!(matches!(world.event(A), AgentEvent::Answered { fork: Some(Fork(1)), .. }));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    world.mail_of("ACK sip:two@127.0.0.9");
    world.raw(A, peer(), &answer(&invite, 200, "three", "Contact: <sip:three@127.0.0.9>\r\n"));
    world.mail_of("ACK sip:three@127.0.0.9");
    let bye = world.mail_of("BYE sip:three@127.0.0.9");
    // INVITE, PRACK and INFO went before it in that dialog.
    assert_eq!(bye.cseq().unwrap().number, 4);
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

/// One of the phones gives up its early dialog; the rest ring on. More of them than the limit are not kept.
#[test]
fn forks_come_and_go() {
    let mut world = world();
    let leg = call(&mut world, A, peer(), sdp());
    let invite = world.mail_of("INVITE");
    for at in 0..12 {
        world.raw(A, peer(), &answer(&invite, 180, &format!("tag{at}"), CONTACT));
    }
    assert_eq!(world.events[A].len(), 8);
    world.events[A].clear();
    assert_eq!(world.dropped(A, DropReason::TooManyForks), 4);
    let local = invite.from().unwrap().tag().unwrap().to_owned();
    let call_id = invite.call_id().unwrap().to_owned();
    let bye = Hand {
        method: "BYE",
        branch: "z9hG4bKb",
        call_id: &call_id,
        from_tag: "tag3",
        to_tag: &local,
        ..Hand::default()
    };
    world.hand(A, &bye);
    world.mail_of("SIP/2.0 200");
    world.no_event(A);
    world.hand(A, &Hand { method: "INFO", branch: "z9hG4bKi", cseq: 2, ..bye.clone() });
    world.mail_of("SIP/2.0 481");
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    world.quiet();
}
