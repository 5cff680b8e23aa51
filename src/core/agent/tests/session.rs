//! Session timers: who refreshes, 422, failures, the end.

use super::world::*;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;
use crate::core::hosts::Hosts;
use crate::limits::T1;
use crate::wire::sip::Message;
use std::time::Duration;

const TIMER: SessionTimer =
    SessionTimer { expires: Duration::from_secs(300), min: Duration::from_secs(90), asks: true };

fn world() -> World {
    World::with(AgentConfig {
        user_agent: "test".into(),
        hosts: Hosts::default(),
        transactions_max: 1_000,
        reliable: Reliable::Off,
        session: Some(TIMER),
    })
}

fn call(world: &mut World, remote: std::net::SocketAddr, session: Option<SessionTimer>) -> LegId {
    let invite = Invite {
        flow: world.flow(A, remote),
        request_uri: format!("sip:+442079460001@{remote}"),
        from: "<sip:+442079460900@a.example>".into(),
        to: "<sip:+442079460001@b.example>".into(),
        max_forwards: 69,
        nat: false,
        reliable: Reliable::Off,
        session,
        credentials: None,
        large: LargeRequests::Udp,
        extra: sdp(),
    };
    world.on(A, |agent, now| agent.invite(now, invite))
}

/// The hand-written peer has answered a call of A with these lines.
fn answered(world: &mut World, lines: &str) -> LegId {
    let leg = call(world, peer(), Some(TIMER));
    let invite = world.mail_of("INVITE");
    assert_eq!(invite.header("Session-Expires"), Some("300"));
    world.raw(A, peer(), &answer(&invite, 200, "p", &format!("{CONTACT}{lines}")));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    world.mail_of("ACK");
    leg
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The next message to the hand-written peer, before it is repeated.
fn next_mail(world: &mut World, start: &str) -> Message {
    for _ in 0..1_000 {
        if world.mail.is_empty() {
            world.run(ms(100));
        }
    }
    world.mail_of(start)
}

/// A refreshes by UPDATE; B vanishes, and both ends notice by themselves.
#[test]
fn refreshed_by_update() {
    let mut world = world();
    let a = call(&mut world, address(B), Some(TIMER));
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.run(ms(15));
    world.events[A].clear();
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.run(ms(15));
    world.events[B].clear();
    world.run(secs(320));
    world.no_event(A);
    world.no_event(B);
    // Nothing of A's arrives any more: B waits for a refresh that does not come.
    world.lose(A, "UPDATE", 1_000);
    world.run(secs(400));
    assert!(matches!(world.event(A), AgentEvent::Ended { reason: "session_refresh_failed", .. }));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// B22: the far side promised to refresh, and does not: BYE in time.
#[test]
fn refresher_vanishes() {
    let mut world = world();
    answered(&mut world, "Session-Expires: 120;refresher=uas\r\nRequire: timer\r\n");
    // 120 s less a third, but at most 32 s less.
    world.run(secs(87));
    world.no_event(A);
    world.no_mail();
    world.run(secs(2));
    assert!(matches!(world.event(A), AgentEvent::Ended { reason: "session_expired", .. }));
    assert!(world.mail_of("BYE").header("Reason").is_some());
    world.quiet();
}

/// By re-INVITE, with the same description, when the far side has not said that it takes UPDATE; its failures.
#[test]
fn refreshed_by_re_invite() {
    let mut world = world();
    answered(&mut world, "Session-Expires: 120;refresher=uac\r\n");
    let refresh = next_mail(&mut world, "INVITE");
    assert_eq!(refresh.body(), sdp().payload.unwrap().bytes);
    assert_eq!(refresh.header("Session-Expires"), Some("120;refresher=uac"));
    world.raw(A, peer(), &answer(&refresh, 491, "", ""));
    world.mail_of("ACK");
    let refresh = next_mail(&mut world, "INVITE");
    world.raw(A, peer(), &answer(&refresh, 200, "", &format!("{CONTACT}Session-Expires: 120;refresher=uac\r\n")));
    world.mail_of("ACK");
    world.raw(A, peer(), &answer(&refresh, 200, "", CONTACT));
    world.mail_of("ACK");
    world.no_event(A);
    let refresh = next_mail(&mut world, "INVITE");
    world.raw(A, peer(), &answer(&refresh, 481, "", ""));
    world.mail_of("ACK");
    world.mail_of("BYE");
    assert!(matches!(world.event(A), AgentEvent::Ended { reason: "session_refresh_failed", .. }));
    world.quiet();
}

/// The owner's own re-INVITE is in the way: the refresh waits, and that re-INVITE is one, too.
#[test]
fn no_refresh_into_an_offer() {
    let mut world = world();
    let leg = answered(&mut world, "Session-Expires: 120;refresher=uac\r\n");
    world.run(secs(59));
    world.on(A, |agent, now| agent.request(now, leg, rsip::Method::Invite, sdp()));
    let ours = world.mail_of("INVITE");
    assert_eq!(ours.header("Session-Expires"), Some("120;refresher=uac"));
    world.raw(A, peer(), &answer(&ours, 100, "", ""));
    world.run(secs(5));
    world.no_mail();
    world.raw(A, peer(), &answer(&ours, 200, "", &format!("{CONTACT}Session-Expires: 120;refresher=uac\r\n")));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    world.mail_of("ACK");
    world.run(secs(58));
    world.no_mail();
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

/// §7.3: 422 to our INVITE.
#[test]
fn longer_at_their_wish() {
    let mut world = world();
    call(&mut world, peer(), Some(TIMER));
    let invite = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&invite, 422, "p", "Min-SE: 600\r\n"));
    world.mail_of("ACK");
    let again = world.mail_of("INVITE");
    assert_eq!((again.header("Session-Expires"), again.header("Min-SE")), (Some("600"), Some("600")));
    assert_eq!(again.call_id(), invite.call_id());
    assert_eq!(again.from().unwrap().tag(), invite.from().unwrap().tag());
    assert_eq!((again.cseq().unwrap().number, again.body()), (2, invite.body()));
    assert_ne!(again.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    // The same wish again is no wish, and one that nobody could mean is none either.
    world.raw(A, peer(), &answer(&again, 422, "p", "Min-SE: 600\r\n"));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 422, .. }));
    world.quiet();

    for lines in ["", "Min-SE: 4294967295\r\n", "Min-SE: 4294967296\r\n", "Min-SE: 5\r\n"] {
        let mut world = self::world();
        call(&mut world, peer(), Some(TIMER));
        let invite = world.mail_of("INVITE");
        world.raw(A, peer(), &answer(&invite, 422, "p", lines));
        assert!(matches!(world.event(A), AgentEvent::Refused { status: 422, .. }), "{lines}");
        world.quiet();
    }
}

/// §7.4: 422 to a request of the owner is the agent's to answer, once; the owner sees one request.
#[test]
fn longer_within_the_call() {
    for method in [rsip::Method::Invite, rsip::Method::Update] {
        let mut world = world();
        let leg = answered(&mut world, "Session-Expires: 120;refresher=uac\r\nAllow: UPDATE\r\n");
        let txn = world.on(A, |agent, now| agent.request(now, leg, method, sdp()));
        let first = world.mail_of(&method.to_string());
        world.raw(A, peer(), &answer(&first, 422, "", "Min-SE: 200\r\n"));
        if method == rsip::Method::Invite {
            world.mail_of("ACK");
        }
        let again = world.mail_of(&method.to_string());
        assert_eq!((again.header("Session-Expires"), again.header("Min-SE")), (Some("200;refresher=uac"), Some("200")));
        assert_eq!(again.cseq().unwrap().number, first.cseq().unwrap().number + 1);
        assert_eq!(again.body(), first.body());
        world.no_event(A);
        world.raw(A, peer(), &answer(&again, 422, "", "Min-SE: 300\r\n"));
        assert!(matches!(world.event(A), AgentEvent::Response { txn: told, status: 422, .. } if told == txn));
        if method == rsip::Method::Invite {
            world.mail_of("ACK");
        }
        world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
        world.quiet();
    }
}

/// Who asks for nothing says so, and agrees to what others ask.
#[test]
fn agreed_when_the_far_side_asks() {
    let timer = SessionTimer { asks: false, ..TIMER };
    for (lines, next) in [("", None), ("Session-Expires: 200;refresher=uac\r\n", Some(secs(100)))] {
        let mut world = world();
        let leg = call(&mut world, peer(), Some(timer));
        let invite = world.mail_of("INVITE");
        assert_eq!((invite.header("Supported"), invite.header("Session-Expires")), (Some("timer"), None));
        world.raw(A, peer(), &answer(&invite, 200, "p", &format!("{CONTACT}{lines}")));
        world.event(A);
        world.on(A, |agent, now| agent.ack(now, leg, None));
        world.mail_of("ACK");
        world.run(T1);
        let timeout = world.agents[A].legs.get(&leg).unwrap().poll_timeout();
        assert_eq!(timeout.map(|(at, _)| at.since(world.now.mono) > next.unwrap() - secs(2)), next.map(|_| true));
        world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
        world.quiet();
    }
}

/// B22, A15: what an INVITE may ask for, and what our 2xx says to it (RFC 4028 §9, table 2).
#[test]
fn what_callers_ask_for() {
    let mut table = String::new();
    for lines in [
        "",
        "Supported: timer\r\n",
        "Supported: timer\r\nSession-Expires: 180\r\n",
        "Supported: timer\r\nSession-Expires: 180;refresher=uac\r\n",
        "Supported: timer\r\nSession-Expires: 180;refresher=uas\r\n",
        "k: timer\r\nx: 180 ; Refresher = UAS\r\n",
        "Require: timer\r\nSession-Expires: 180\r\n",
        "Supported: timer\r\nSession-Expires: 7200\r\n",
        "Supported: timer\r\nSession-Expires: 100\r\nMin-SE: 200\r\n",
        "Supported: timer\r\nSession-Expires: 89\r\n",
        "Supported: timer\r\nSession-Expires: 0\r\n",
        "Session-Expires: 60\r\n",
        "Session-Expires: 180\r\n",
        "Supported: timer\r\nSession-Expires: 4294967295\r\n",
        "Supported: timer\r\nSession-Expires: 4294967296\r\n",
        "Supported: timer\r\nSession-Expires: 18446744073709551616\r\n",
        "Supported: timer\r\nSession-Expires: -1\r\n",
        "Supported: timer\r\nSession-Expires: x\r\nMin-SE: 4294967296\r\n",
    ] {
        let mut world = world();
        world.hand(A, &Hand { headers: &format!("{CONTACT}{lines}"), ..Hand::default() });
        let said = if world.events[A].is_empty() {
            assert_eq!(world.dropped(A, DropReason::SessionTooShort), 1);
            assert_eq!(world.agents[A].counts(), AgentCounts::default());
            let refusal = world.mail_of("SIP/2.0 422");
            format!("422 Min-SE {}", refusal.header("Min-SE").unwrap())
        } else {
            let leg = world.invited(A);
            world.on(A, |agent, now| agent.answer(now, leg, sdp()));
            let answer = world.mail_of("SIP/2.0 200");
            world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
            format!("{:?} Require {:?}", answer.header("Session-Expires"), answer.header("Require"))
        };
        table += &format!("{:<70} {said}\n", lines.replace("\r\n", " | "));
        world.quiet();
    }
    insta::assert_snapshot!(table);
}

/// A15: what a 2xx may say; every duration is clamped before it meets a clock.
#[test]
fn what_answers_say() {
    let mut table = String::new();
    for lines in [
        "",
        "Session-Expires: 1;refresher=uas\r\n",
        "Session-Expires: 0;refresher=uac\r\n",
        "Session-Expires: 4294967295;refresher=uas\r\n",
        "Session-Expires: 18446744073709551616;refresher=uas\r\n",
        "Session-Expires: 300\r\n",
        "Session-Expires: 300;refresher=nobody\r\n",
    ] {
        let mut world = world();
        let leg = answered(&mut world, lines);
        world.run(T1);
        let next = world.agents[A].legs.get(&leg).unwrap().poll_timeout();
        let next = next.map(|(at, why)| format!("{why} in {} s", at.since(world.now.mono).as_secs()));
        table += &format!("{:<60} {}\n", lines.trim_end(), next.unwrap_or("no timer".into()));
        world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
        world.quiet();
    }
    insta::assert_snapshot!(table);
}

/// Two UPDATEs at once, with and without an offer (RFC 3311 §5.2).
#[test]
fn updates_that_cross() {
    let mut world = world();
    let leg = answered(&mut world, "Allow: UPDATE\r\n");
    let ours = world.on(A, |agent, now| agent.request(now, leg, rsip::Method::Update, sdp()));
    let update = world.mail_of("UPDATE");
    let (local, call_id) = (update.from().unwrap().tag().unwrap().to_owned(), update.call_id().unwrap().to_owned());
    let typed = format!("{CONTACT}Content-Type: application/sdp\r\n");
    let ask = |world: &mut World, method, cseq, body| {
        let branch = format!("z9hG4bKx{cseq}");
        let hand = Hand {
            method,
            branch: &branch,
            call_id: &call_id,
            from_tag: "p",
            to_tag: &local,
            cseq,
            headers: &typed,
            body,
            ..Hand::default()
        };
        world.hand(A, &hand);
    };
    ask(&mut world, "UPDATE", 1, "v=0\r\n");
    world.mail_of("SIP/2.0 491");
    ask(&mut world, "INVITE", 2, "v=0\r\n");
    world.mail_of("SIP/2.0 491");
    ask(&mut world, "UPDATE", 3, "");
    world.mail_of("SIP/2.0 200");
    // No second offer of ours, either.
    world.on(A, |agent, now| agent.request(now, leg, rsip::Method::Invite, sdp()));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 491, response: None, .. }));
    world.raw(A, peer(), &answer(&update, 200, "", CONTACT));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 200, txn, .. } if txn == ours));
    ask(&mut world, "UPDATE", 4, "v=0\r\n");
    let txn = world.asked(A);
    ask(&mut world, "UPDATE", 5, "");
    assert!(world.mail_of("SIP/2.0 500").header("Retry-After").is_some());
    ask(&mut world, "INVITE", 6, "v=0\r\n");
    assert!(world.mail_of("SIP/2.0 500").header("Retry-After").is_some());
    world.on(A, |agent, now| agent.request(now, leg, rsip::Method::Update, sdp()));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 491, response: None, .. }));
    world.on(A, |agent, now| agent.respond(now, txn, 200, sdp()));
    world.mail_of("SIP/2.0 200");
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}
