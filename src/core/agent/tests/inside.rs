//! Requests within dialogs: re-INVITE, UPDATE, glare, CSeq, routes, where they go.

use super::calls::connect;
use super::world::*;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;
use rsip::Method;

/// The hand-written peer has called A, and A has answered. Gives the leg and A's tag.
fn answered(world: &mut World, headers: &str) -> (LegId, String) {
    let invite = Hand { headers, ..Hand::default() };
    world.hand(A, &invite);
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    let tag = world.mail_of("SIP/2.0 200").to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, ..Hand::default() });
    assert!(matches!(world.event(A), AgentEvent::Acked { txn: None, .. }));
    (leg, tag)
}

fn hang_up(world: &mut World, leg: LegId) {
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

#[test]
fn re_invite_with_a_lost_ack() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.ladder.clear();
    world.lose(A, "ACK", 1);
    let asked = world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
    world.run(ms(15));
    let txn = world.asked(B);
    world.on(B, |agent, now| agent.respond(now, txn, 100, Extra::default()));
    world.on(B, |agent, now| agent.respond(now, txn, 200, sdp()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 100, .. }));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 200, txn, .. } if txn == asked));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.run(ms(1_000));
    assert!(matches!(world.event(B), AgentEvent::Acked { txn: Some(acked), .. } if acked == txn));
    world.no_event(A);
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn re_invite_cancelled() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.ladder.clear();
    let asked = world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
    world.run(ms(15));
    let txn = world.asked(B);
    world.on(B, |agent, now| agent.respond(now, txn, 180, Extra::default()));
    world.run(ms(15));
    world.on(A, |agent, now| agent.cancel_request(now, asked));
    world.run(ms(100));
    assert!(matches!(world.event(B), AgentEvent::RequestCancelled { .. }));
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// B11.
#[test]
fn glare() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.ladder.clear();
    for _ in 0..20 {
        world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
        world.on(B, |agent, now| agent.request(now, b, Method::Invite, sdp()));
        world.run(ms(100));
        assert!(matches!(world.event(A), AgentEvent::Response { status: 491, response: Some(_), .. }));
        assert!(matches!(world.event(B), AgentEvent::Response { status: 491, response: Some(_), .. }));
    }
    world.no_event(A);
    assert_eq!(world.dropped(A, DropReason::Glare), 20);
    // Nothing hangs: the next one alone goes through.
    world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
    world.run(ms(15));
    let txn = world.asked(B);
    // Ours may not go out while theirs waits (RFC 3261 §14.1).
    world.on(B, |agent, now| agent.request(now, b, Method::Invite, sdp()));
    assert!(matches!(world.event(B), AgentEvent::Response { status: 491, response: None, .. }));
    world.on(B, |agent, now| agent.respond(now, txn, 488, Extra::default()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 488, .. }));
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
}

/// B10, both directions.
#[test]
fn bye_while_a_re_invite_is_pending() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.ladder.clear();
    world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
    world.run(ms(15));
    world.asked(B);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(B), AgentEvent::Bye { .. }));
    world.no_event(A);
    let first = world.ladder.clone();

    let mut world = World::new();
    let (a, b2) = connect(&mut world);
    assert_eq!(b, b2);
    world.ladder.clear();
    world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
    world.run(ms(15));
    world.asked(B);
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    assert!(matches!(world.event(A), AgentEvent::Bye { .. }));
    world.no_event(B);
    insta::assert_snapshot!(format!("said by who asked\n{first}\nsaid by who was asked\n{}", world.ladder));
}

/// B10: the 2xx of a re-INVITE arrives after our BYE.
#[test]
fn late_2xx_of_a_re_invite_gets_its_ack() {
    let mut world = World::new();
    let (a, b) = connect(&mut world);
    world.ladder.clear();
    world.on(A, |agent, now| agent.request(now, a, Method::Invite, sdp()));
    world.run(ms(15));
    let txn = world.asked(B);
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.on(B, |agent, now| agent.respond(now, txn, 200, sdp()));
    world.quiet();
    world.no_event(A);
    assert!(world.ladder.contains("A ─▶ B  ACK (2)"), "{}", world.ladder);
    let _ = b;
}

/// B23.
#[test]
fn cseq_lower_equal_and_far_higher() {
    let mut world = World::new();
    let (leg, tag) = answered(&mut world, CONTACT);
    let info = |cseq, branch| Hand {
        method: "INFO",
        to_tag: Box::leak(tag.clone().into_boxed_str()),
        cseq,
        branch,
        ..Hand::default()
    };
    world.hand(A, &info(500_000_000, "z9hG4bKi1"));
    let txn = world.asked(A);
    world.hand(A, &info(499, "z9hG4bKi2"));
    world.mail_of("SIP/2.0 500");
    world.on(A, |agent, now| agent.respond(now, txn, 200, Extra::default()));
    let ok = world.mail_of("SIP/2.0 200");
    world.hand(A, &info(500_000_000, "z9hG4bKi1"));
    assert_eq!(world.mail_of("SIP/2.0 200").bytes(), ok.bytes());
    world.hand(A, &info(500_000_000, "z9hG4bKi3"));
    world.mail_of("SIP/2.0 500");
    assert_eq!(world.dropped(A, DropReason::CseqTooLow), 2);
    world.no_event(A);
    hang_up(&mut world, leg);
}

/// B23: a BYE that a younger request has overtaken still ends the call.
#[test]
fn a_bye_is_taken_out_of_order() {
    let mut world = World::new();
    let (_, tag) = answered(&mut world, CONTACT);
    let ask = |method, cseq, branch| Hand { method, to_tag: &tag, cseq, branch, ..Hand::default() };
    world.hand(A, &ask("INFO", 9, "z9hG4bKi9"));
    let txn = world.asked(A);
    world.on(A, |agent, now| agent.respond(now, txn, 200, Extra::default()));
    world.mail_of("SIP/2.0 200");
    world.hand(A, &ask("BYE", 8, "z9hG4bKb8"));
    world.mail_of("SIP/2.0 200");
    assert!(matches!(world.event(A), AgentEvent::Bye { .. }));
    world.quiet();
}

/// §14.2 and RFC 3311 §5.2.
#[test]
fn a_second_question_before_the_first_is_answered() {
    let mut world = World::new();
    let (leg, tag) = answered(&mut world, CONTACT);
    let ask = |method, cseq, branch| Hand { method, to_tag: &tag, cseq, branch, ..Hand::default() };
    world.hand(A, &ask("INVITE", 2, "z9hG4bKr2"));
    world.asked(A);
    world.hand(A, &ask("INVITE", 3, "z9hG4bKr3"));
    let refusal = world.mail_of("SIP/2.0 500");
    assert!(refusal.header("Retry-After").unwrap().parse::<u32>().unwrap() <= 10);
    world.hand(A, &ask("INFO", 4, "z9hG4bKr4"));
    world.asked(A);
    assert_eq!(world.dropped(A, DropReason::RequestPending), 1);
    // The far side's BYE answers what was left.
    world.hand(A, &ask("BYE", 6, "z9hG4bKr6"));
    world.mail_of("SIP/2.0 200");
    assert_eq!(world.mail_of("SIP/2.0 487").method_token(), "INVITE");
    assert_eq!(world.mail_of("SIP/2.0 487").method_token(), "INFO");
    let _ = leg;
    world.quiet();
}

/// B16.
#[test]
fn methods_within_a_dialog() {
    let mut world = World::new();
    let (leg, tag) = answered(&mut world, CONTACT);
    let mut table = String::new();
    let methods = [
        "INVITE",
        "UPDATE",
        "INFO",
        "OPTIONS",
        "MESSAGE",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "PUBLISH",
        "REGISTER",
        "PRACK",
        "WILD",
    ];
    for (cseq, method) in (10..).zip(methods) {
        let branch = format!("z9hG4bKm{cseq}");
        world.hand(A, &Hand { method, to_tag: &tag, cseq, branch: &branch, ..Hand::default() });
        let verdict = match world.events[A].pop_front() {
            Some(event) => describe(&event),
            None => world.mail().status().to_string(),
        };
        table += &format!("{method:<9} {verdict}\n");
    }
    world.hand(
        A,
        &Hand {
            method: "INFO",
            to_tag: &tag,
            cseq: 90,
            branch: "z9hG4bKq",
            headers: "Require: 100rel\r\n",
            ..Hand::default()
        },
    );
    assert_eq!(world.mail_of("SIP/2.0 420").header("Unsupported"), Some("100rel"));
    insta::assert_snapshot!(table);
    hang_up(&mut world, leg);
}

/// B18.
#[test]
fn unknown_dialogs() {
    let mut world = World::new();
    let (leg, tag) = answered(&mut world, CONTACT);
    let mut count = 0;
    for method in ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"] {
        let right = Hand { method, to_tag: &tag, cseq: 2, branch: "z9hG4bKu", ..Hand::default() };
        let wrong = [
            Hand { to_tag: "0123456789abcdef", ..right.clone() },
            Hand { to_tag: "x", ..right.clone() },
            Hand { call_id: "other", ..right.clone() },
            Hand { from_tag: "other", ..right.clone() },
        ];
        for request in wrong {
            world.hand(A, &request);
            world.mail_of("SIP/2.0 481");
            world.hand(A, &Hand { method: "ACK", ..request });
            world.no_mail();
            count += 1;
        }
    }
    assert_eq!(world.dropped(A, DropReason::UnknownDialog), count);
    assert_eq!(world.dropped(A, DropReason::AckUnmatched), count);
    hang_up(&mut world, leg);
}

/// B19 and the rules of where a request goes.
#[test]
fn next_hops() {
    let hop = |contact: &str, source: &str, nat| {
        let mut world = World::new();
        let (leg, tag) = answered(&mut world, &format!("Contact: {contact}\r\n"));
        let source = source.parse().unwrap();
        let info =
            Hand { method: "OPTIONS", to_tag: &tag, cseq: 2, branch: "z9hG4bKo", headers: "", ..Hand::default() };
        world.raw(A, source, &info.text());
        let txn = world.asked(A);
        world.on(A, |agent, now| agent.respond(now, txn, 200, Extra::default()));
        assert_eq!(world.mail.pop_front().unwrap().0, source);
        world.on(A, |agent, _| agent.set_nat(leg, nat));
        let now = world.now;
        world.agents[A].bye(now, leg, Extra::default());
        let sent = world.agents[A].poll_transmit().unwrap();
        format!("{contact:<50} nat={nat:<5} {:?} {}", sent.flow.transport, sent.flow.remote)
    };
    let moved = "127.0.0.77:6060";
    let mut table = Vec::new();
    for contact in [
        "<sip:p@127.0.0.9>",
        "<sip:p@127.0.0.9:5099>",
        "<sip:p@127.0.0.9;transport=tcp>",
        "<sip:p@127.0.0.9;transport=TLS>",
        "<sips:p@127.0.0.9>",
        "<sip:p@127.0.0.9;transport=carrier-pigeon>",
        "<sip:p@pbx.example>",
        "<sip:p@0.0.0.0>",
        "<sip:p@255.255.255.255>",
        "<sip:p@224.0.0.1>",
        "<sip:p@127.0.0.9:0>",
        "<sip:p@[::1]>",
        "<tel:+442079460001>",
    ] {
        table.push(hop(contact, moved, false));
    }
    table.push(hop("<sip:p@127.0.0.9>", moved, true));
    insta::assert_snapshot!(table.join("\n"));
}

/// §12.1.1, §12.1.2: the order of the route set by role; §12.2.1.1: loose and strict routers.
#[test]
fn record_route() {
    let routes = |message: &Message| {
        let list: Vec<&str> = message.headers("Route").collect();
        format!("{} {} | {}", message.method_token(), message.request_uri(), list.join(" | "))
    };
    let rr = "Record-Route: <sip:127.0.0.9:5070;lr>\r\nRecord-Route: <sip:127.0.0.9:5071;lr>, <sip:p3.example;lr>\r\n";
    let mut world = World::new();
    let (leg, _) = answered(&mut world, &format!("{CONTACT}{rr}"));
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    let (to, bye) = world.mail.pop_front().unwrap();
    let mut lines = vec![format!("UAS    {to} {}", routes(&bye))];
    world.quiet();

    for (kind, rr) in
        [("loose ", rr), ("strict", "Record-Route: <sip:p2.example;lr>\r\nRecord-Route: <sip:127.0.0.9:5072;x=y>\r\n")]
    {
        let mut world = World::new();
        let a = world.call_to(A, peer());
        let invite = world.mail_of("INVITE");
        world.raw(A, peer(), &answer(&invite, 180, "t", "Contact: <sip:early@127.0.0.9>\r\n"));
        world.raw(A, peer(), &answer(&invite, 200, "t", &format!("Contact: <sip:p@127.0.0.9?Subject=x>\r\n{rr}")));
        world.on(A, |agent, now| agent.ack(now, a, None));
        let (to, ack) = world.mail.pop_front().unwrap();
        lines.push(format!("{kind} {to} {}", routes(&ack)));
        hang_up(&mut world, a);
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// §12.2: the remote target follows Contact.
#[test]
fn target_refresh() {
    let mut world = World::new();
    let (leg, tag) = answered(&mut world, CONTACT);
    let mut targets = Vec::new();
    let mut next = |world: &mut World| {
        world.on(A, |agent, now| agent.request(now, leg, Method::Info, Extra::default()));
        let info = world.mail_of("INFO");
        targets.push(info.request_uri().to_owned());
        world.raw(A, peer(), &answer(&info, 200, "", "Contact: <sip:no@127.0.0.9>\r\n"));
        world.events[A].clear();
    };
    next(&mut world);
    let update = Hand {
        method: "UPDATE",
        to_tag: &tag,
        cseq: 2,
        branch: "z9hG4bKu",
        headers: "Contact: <sip:u@127.0.0.9>\r\n",
        ..Hand::default()
    };
    world.hand(A, &update);
    assert!(world.mail_of("SIP/2.0 200").header("Contact").is_some());
    next(&mut world);
    world.on(A, |agent, now| agent.request(now, leg, Method::Invite, sdp()));
    let invite = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&invite, 200, "", "Contact: <sip:r@127.0.0.9>\r\n"));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    world.mail_of("ACK sip:r@127.0.0.9");
    next(&mut world);
    assert_eq!(targets, ["sip:p@127.0.0.9", "sip:u@127.0.0.9", "sip:r@127.0.0.9"]);
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

/// A21: a 2xx without Contact is acknowledged at the Request-URI.
#[test]
fn success_without_contact() {
    let mut world = World::new();
    let a = world.call_to(A, peer());
    let invite = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&invite, 200, "t", ""));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.mail_of("ACK sip:+442079460001@127.0.0.9:5060 ");
    hang_up(&mut world, a);
}

#[test]
fn requests_that_cannot_go_out_are_answered_at_once() {
    let mut world = World::new();
    let a = world.call_to(A, peer());
    world.on(A, |agent, now| agent.request(now, a, Method::Info, Extra::default()));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 481, response: None, .. }));
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.quiet();
    let mut world = World::new();
    let (leg, _) = answered(&mut world, CONTACT);
    let smuggled = Extra::header("X-Note", "a\r\nBYE: now");
    world.on(A, |agent, now| agent.request(now, leg, Method::Info, smuggled.clone()));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 500, response: None, .. }));
    world.no_mail();
    assert_eq!(world.dropped(A, DropReason::Unwritable), 1);
    world.on(A, |agent, now| agent.bye(now, leg, smuggled));
    assert!(world.mail_of("BYE").header("X-Note").is_none());
    world.quiet();
}
