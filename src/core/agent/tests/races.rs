//! Lost messages and crossings: RFC 5407 and the like.

use super::calls::connect;
use super::world::*;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;

/// A calls B and B says 180.
fn ringing(world: &mut World) -> (LegId, LegId) {
    let a = world.call(A);
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.provisional(now, b, 180, Extra::default()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Provisional { .. }));
    (a, b)
}

#[test]
fn lost_ack_and_lost_200() {
    let mut world = World::new();
    let (a, b) = ringing(&mut world);
    world.lose(B, "SIP/2.0 200", 1);
    world.lose(A, "ACK", 2);
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.run(ms(515));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.run(ms(10_000));
    assert!(matches!(world.event(B), AgentEvent::Acked { .. }));
    world.no_event(A);
    world.no_event(B);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn lost_bye_and_lost_answer_to_it() {
    let mut world = World::new();
    let (a, _) = connect(&mut world);
    world.lose(A, "BYE", 1);
    world.lose(B, "SIP/2.0 200", 1);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(B), AgentEvent::Bye { .. }));
    world.no_event(B);
    insta::assert_snapshot!(world.ladder);
}

/// B01.
#[test]
fn cancel_crosses_the_200() {
    let mut world = World::new();
    let (a, b) = ringing(&mut world);
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 487, response: Some(_), .. }));
    world.no_event(A);
    insta::assert_snapshot!(world.ladder);
}

/// B02: held back until the first provisional response.
#[test]
fn cancel_waits_for_a_provisional() {
    let mut world = World::new();
    world.lose(B, "SIP/2.0 100", 1);
    let a = world.call(A);
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.trying(now, b));
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// B02: nobody ever answers.
#[test]
fn cancel_of_an_invite_that_nobody_heard() {
    let mut world = World::new();
    world.lose(A, "INVITE", 100);
    let a = world.call(A);
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 408, response: None, .. }));
    insta::assert_snapshot!(world.ladder);
}

/// The far side confirms the CANCEL and never ends the INVITE (RFC 3261 §9.1).
#[test]
fn cancel_without_487() {
    let mut world = World::new();
    let (a, _) = ringing(&mut world);
    world.lose(A, "CANCEL", 100);
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.run(ms(40_000));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 487, response: None, .. }));
    assert_eq!(world.agents[A].counts(), AgentCounts::default());
}

/// B03.
#[test]
fn cancel_after_our_200_unknown_cancel_and_foreign_cancel() {
    let mut world = World::new();
    let invite = Hand {
        body: "v=0\r\n",
        headers: "Contact: <sip:p@127.0.0.9>\r\nContent-Type: application/sdp\r\n",
        ..Hand::default()
    };
    world.hand(A, &invite);
    let leg = world.invited(A);
    let cancel = Hand { method: "CANCEL", headers: "", ..Hand::default() };
    // Somebody else who knows the branch.
    world.raw(A, "127.0.0.66:5060".parse().unwrap(), &cancel.text());
    world.mail_of("SIP/2.0 481");
    assert_eq!(world.dropped(A, DropReason::ForeignCancel), 1);
    world.hand(A, &Hand { branch: "z9hG4bKnobody", ..cancel.clone() });
    world.mail_of("SIP/2.0 481");
    assert_eq!(world.dropped(A, DropReason::UnknownCancel), 1);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    world.mail_of("SIP/2.0 200");
    world.hand(A, &cancel);
    let ok = world.mail_of("SIP/2.0 200");
    assert_eq!(ok.method_token(), "CANCEL");
    world.no_event(A);
    world.hand(A, &cancel);
    world.mail_of("SIP/2.0 200");
    // The owner gives up when no ACK comes.
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

/// B04.
#[test]
fn forks() {
    let mut world = World::new();
    let a = world.call_to(A, peer());
    let invite = world.mail_of("INVITE");
    for tag in ["one", "two", "three"] {
        world.raw(A, peer(), &answer(&invite, 180, tag, CONTACT));
    }
    world.raw(A, peer(), &answer(&invite, 200, "two", CONTACT));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.raw(A, peer(), &answer(&invite, 200, "three", "Contact: <sip:three@127.0.0.9:5063>\r\n"));
    world.raw(A, peer(), &answer(&invite, 200, "three", "Contact: <sip:three@127.0.0.9:5063>\r\n"));
    let heard: Vec<String> = std::iter::from_fn(|| world.mail.pop_front())
        .map(|(to, m)| format!("{to} {} {} {}", m.method_token(), m.request_uri(), m.header("To").unwrap()))
        .collect();
    let bye = heard.iter().position(|line| line.contains("BYE")).unwrap();
    insta::assert_snapshot!(heard.join("\n"));
    assert_eq!(bye, 2, "ACK, then ACK and BYE");
    let events: Vec<String> = world.events[A].drain(..).map(|event| describe(&event)).collect();
    assert_eq!(events, ["Provisional 180", "Provisional 180", "Provisional 180", "Answered 200"]);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
}

/// B05.
#[test]
fn each_copy_of_the_2xx_gets_the_ack_again() {
    let mut world = World::new();
    let a = world.call_to(A, peer());
    let invite = world.mail_of("INVITE");
    let ok = answer(&invite, 200, "one", CONTACT);
    world.raw(A, peer(), &ok);
    // Before the owner has acknowledged there is nothing to repeat.
    world.raw(A, peer(), &ok);
    world.no_mail();
    world.on(A, |agent, now| agent.ack(now, a, Some(payload("answer"))));
    let ack = world.mail_of("ACK").bytes().clone();
    for wait in [500, 20_000, 20_000] {
        world.run(ms(wait));
        world.raw(A, peer(), &ok);
        assert_eq!(world.mail_of("ACK").bytes(), &ack);
    }
    assert_eq!(world.events[A].len(), 1);
    // Also after the end, while the leg is remembered.
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.mail_of("BYE");
    world.raw(A, peer(), &ok);
    assert_eq!(world.mail_of("ACK").bytes(), &ack);
    world.quiet();
}

/// B06, B15.
#[test]
fn no_ack() {
    let mut world = World::new();
    world.hand(A, &Hand::default());
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    let ok = world.mail.back().unwrap().1.clone();
    let tag = ok.to().unwrap().tag().unwrap().to_owned();
    // An ACK with another number acknowledges something else.
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, cseq: 2, ..Hand::default() });
    assert_eq!(world.dropped(A, DropReason::AckUnmatched), 1);
    world.run(ms(33_000));
    let copies = std::iter::from_fn(|| world.mail.pop_front()).count();
    assert_eq!(copies, 11);
    assert!(matches!(world.event(A), AgentEvent::AckTimeout { .. }));
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.mail_of("BYE");
    world.quiet();
}

/// B07.
#[test]
fn ack_after_the_end() {
    let mut world = World::new();
    world.hand(A, &Hand::default());
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    let tag = world.mail().to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "BYE", branch: "z9hG4bKbye", to_tag: &tag, cseq: 2, ..Hand::default() });
    world.mail_of("SIP/2.0 200");
    assert!(matches!(world.event(A), AgentEvent::Bye { .. }));
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, ..Hand::default() });
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: "unknown", ..Hand::default() });
    world.run(ms(10_000));
    world.no_mail();
    world.quiet();
}

/// B08.
#[test]
fn bye_from_both_sides_at_once() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    world.no_event(A);
    world.no_event(B);
    insta::assert_snapshot!(world.ladder);
}

/// B08: nobody answers.
#[test]
fn bye_into_the_void() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.lose(A, "BYE", 100);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.run(ms(33_000));
    assert_eq!(world.agents[A].counts(), AgentCounts::default());
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    assert!(world.ladder.ends_with("A ─▶ B  481 (1 BYE)\n"), "{}", world.ladder);
}

/// B09: our BYE as UAS waits for the ACK.
#[test]
fn bye_of_the_uas_waits_for_the_ack() {
    let mut world = World::new();
    let (a, b) = ringing(&mut world);
    world.lose(A, "ACK", 1);
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.quiet();
    assert!(matches!(world.event(A), AgentEvent::Bye { .. }));
    world.no_event(B);
    insta::assert_snapshot!(world.ladder);
}

/// B09: or for its time-out.
#[test]
fn bye_of_the_uas_without_ack() {
    let mut world = World::new();
    let (_, b) = ringing(&mut world);
    world.lose(B, "SIP/2.0 200", 100);
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    world.no_event(B);
    // The BYE overtook every 2xx: the caller takes it, and cancels what still rings.
    assert!(matches!(world.event(A), AgentEvent::Bye { .. }));
    world.no_event(A);
    assert!(world.ladder.contains("A ─▶ B  CANCEL"), "{}", world.ladder);
}

/// B09: BYE of the caller in the early dialog.
#[test]
fn bye_in_an_early_dialog() {
    let mut world = World::new();
    world.hand(A, &Hand::default());
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default()));
    let tag = world.mail().to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "BYE", branch: "z9hG4bKbye", to_tag: &tag, cseq: 2, ..Hand::default() });
    assert_eq!(world.mail_of("SIP/2.0 200").method_token(), "BYE");
    assert_eq!(world.mail_of("SIP/2.0 487").method_token(), "INVITE");
    assert!(matches!(world.event(A), AgentEvent::Cancelled { .. }));
    world.quiet();
}

/// BYE of the callee overtakes its 2xx.
#[test]
fn bye_before_the_2xx() {
    let mut world = World::new();
    let (a, b) = ringing(&mut world);
    world.hold_up(B, "SIP/2.0 200", ms(300));
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    // A hand-made shortcut to a BYE without ACK.
    let from = world.agents[A].legs.get(&a).unwrap();
    let (call_id, tag) = (from.call_id.to_string(), from.tag.to_string());
    let their_tag = from.early[0].dialog.remote_tag.to_string();
    let bye = Hand { method: "BYE", call_id: &call_id, from_tag: &their_tag, to_tag: &tag, cseq: 9, ..Hand::default() };
    world.raw(A, address(B), &bye.text());
    world.run(ms(2_000));
    assert!(matches!(world.event(A), AgentEvent::Bye { .. }));
    world.no_event(A);
    assert!(matches!(world.event(B), AgentEvent::Acked { .. }));
    assert!(matches!(world.event(B), AgentEvent::Bye { .. }));
    world.quiet();
}

/// A leg that is not answered may be hung up too.
#[test]
fn bye_of_unanswered_legs_refuses_or_cancels() {
    let mut world = World::new();
    let (a, _) = ringing(&mut world);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(B), AgentEvent::Cancelled { .. }));
    world.no_event(A);

    let mut world = World::new();
    let (_, b) = ringing(&mut world);
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 480, .. }));
    world.no_event(B);
}

/// B24.
#[test]
fn copies_and_merged_requests() {
    let mut world = World::new();
    world.hand(A, &Hand::default());
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.trying(now, leg));
    world.mail_of("SIP/2.0 100");
    // The same again, also from another port: the newest response again, to where the INVITE came from.
    world.hand(A, &Hand::default());
    world.mail_of("SIP/2.0 100");
    world.raw(A, "127.0.0.9:7777".parse().unwrap(), &Hand::default().text());
    assert_eq!(world.mail.back().unwrap().0, peer());
    world.mail_of("SIP/2.0 100");
    // The same request along another way.
    world.hand(A, &Hand { branch: "z9hG4bKother", ..Hand::default() });
    world.mail_of("SIP/2.0 482");
    assert_eq!(world.dropped(A, DropReason::Merged), 1);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    let tag = world.mail().to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, ..Hand::default() });
    assert!(matches!(world.event(A), AgentEvent::Acked { .. }));
    // A copy from long ago: its transaction is gone, its dialog lives.
    world.run(ms(60_000));
    world.hand(A, &Hand::default());
    world.no_event(A);
    assert_eq!(world.dropped(A, DropReason::LateCopy), 1);
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

#[test]
fn network_refuses() {
    let mut world = World::new();
    let a = world.call_to(A, peer());
    let other = Failure::of_datagram("127.0.0.9:1".parse().unwrap(), "test");
    world.on(A, |agent, now| agent.handle_transport_error(now, &other));
    world.no_event(A);
    world.on(A, |agent, now| agent.handle_transport_error(now, &Failure::of_datagram(peer(), "test")));
    assert_eq!(world.agents[A].why_failed(a), Some("test"));
    assert!(matches!(world.event(A), AgentEvent::Refused { leg, status: 503, response: None } if leg == a));
    world.quiet();
}

#[test]
fn nobody_answers() {
    let mut world = World::new();
    world.call_to(A, peer());
    world.run(ms(33_000));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 408, response: None, .. }));
    assert_eq!(world.mail.len(), 7);
    world.quiet();
}

#[test]
fn provisional_again_each_minute() {
    let mut world = World::new();
    world.hand(A, &Hand::default());
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.provisional(now, leg, 183, sdp()));
    world.run(ms(125_000));
    for _ in 0..3 {
        world.mail_of("SIP/2.0 183");
    }
    world.no_mail();
    world.on(A, |agent, now| agent.refuse(now, leg, 480, Extra::default()));
    world.quiet();
}
