//! Requests that are too large for a datagram (RFC 3261 §18.1.1), and datagrams that came to nobody (§18.4).

use rsip::{Method, Transport};

use super::world::*;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;
use crate::limits;

/// A world whose A has a TCP listener beside its UDP one.
fn world() -> World {
    let mut world = World::new();
    let config = AgentConfig {
        user_agent: "test".into(),
        hosts: crate::core::hosts::Hosts::default(),
        transactions_max: 1_000,
        reliable: Reliable::Off,
        session: None,
    };
    world.agents[A] = Agent::new(Arc::new(config), [1; 32]).with_tcp(vec![address(A)]);
    world
}

fn large() -> Extra {
    Extra { payload: Some(payload(&"x".repeat(limits::SIP_DATAGRAM))), ..Extra::default() }
}

/// A calls the hand-written peer.
fn call(world: &mut World, large: LargeRequests, extra: Extra) -> LegId {
    let invite = Invite {
        flow: world.flow(A, peer()),
        request_uri: "sip:+442079460001@127.0.0.9".into(),
        from: "<sip:+442079460900@a.example>".into(),
        to: "<sip:+442079460001@b.example>".into(),
        max_forwards: 69,
        nat: false,
        reliable: Reliable::Off,
        session: None,
        credentials: None,
        large,
        extra,
    };
    world.on(A, |agent, now| agent.invite(now, invite))
}

fn transport(message: &Message) -> Transport {
    match message.top_via().unwrap().transport {
        "UDP" => Transport::Udp,
        "TCP" => Transport::Tcp,
        other => panic!("{other}"),
    }
}

fn tcp(world: &World) -> Flow {
    Flow { transport: Transport::Tcp, ..world.flow(A, peer()) }
}

fn refuse(world: &mut World) {
    let failure = Failure::refused(&tcp(world), "destination_unreachable");
    world.on(A, |agent, now| agent.handle_transport_error(now, &failure));
}

#[test]
fn only_what_is_too_large_goes_over_tcp_and_the_dialog_stays_where_it_was() {
    let mut world = world();
    let leg = call(&mut world, LargeRequests::Tcp, large());
    let invite = world.mail_of("INVITE");
    assert_eq!(transport(&invite), Transport::Tcp);
    assert!(invite.header("Contact").unwrap().ends_with("5060>"), "we are still reached by UDP");
    // No copies on a stream.
    world.run(ms(5_000));
    world.no_mail();
    world.transport = Transport::Tcp;
    world.raw(A, peer(), &answer(&invite, 200, "b", CONTACT));
    world.transport = Transport::Udp;
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    assert_eq!(transport(&world.mail_of("ACK")), Transport::Udp);
    for (extra, expected) in [(Extra::default(), Transport::Udp), (large(), Transport::Tcp)] {
        world.on(A, |agent, now| agent.request(now, leg, Method::Info, extra));
        let info = world.mail_of("INFO");
        assert_eq!(transport(&info), expected);
        world.raw(A, peer(), &answer(&info, 200, "b", ""));
        world.event(A);
    }
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    let bye = world.mail_of("BYE");
    assert_eq!(transport(&bye), Transport::Udp);
    world.raw(A, peer(), &answer(&bye, 200, "b", ""));
    world.quiet();
}

#[test]
fn a_refused_connection_is_remembered_and_the_request_is_the_same_by_udp() {
    let mut world = world();
    call(&mut world, LargeRequests::Tcp, large());
    let first = world.mail_of("INVITE");
    refuse(&mut world);
    let second = world.mail_of("INVITE");
    assert_eq!((transport(&first), transport(&second)), (Transport::Tcp, Transport::Udp));
    assert_eq!(first.top_via().unwrap().branch(), second.top_via().unwrap().branch());
    assert_eq!((first.body(), first.header("CSeq")), (second.body(), second.header("CSeq")));
    world.no_event(A);
    // From now on like any other: copies, and its end after 64·T1.
    world.run(ms(33_000));
    assert_eq!(world.mail.len(), 6);
    world.mail.clear();
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 408, response: None, .. }));
    call(&mut world, LargeRequests::Tcp, large());
    assert_eq!(transport(&world.mail_of("INVITE")), Transport::Udp, "remembered");
    world.run(limits::LARGE_REFUSED);
    world.mail.clear();
    call(&mut world, LargeRequests::Tcp, large());
    assert_eq!(transport(&world.mail_of("INVITE")), Transport::Tcp, "forgotten");
    world.quiet();
}

#[test]
fn it_can_be_turned_off_and_needs_a_listener() {
    let mut world = world();
    call(&mut world, LargeRequests::Udp, large());
    assert_eq!(transport(&world.mail_of("INVITE")), Transport::Udp);
    let mut without = World::new();
    call(&mut without, LargeRequests::Tcp, large());
    assert_eq!(transport(&without.mail_of("INVITE")), Transport::Udp);
    let mut small = self::world();
    call(&mut small, LargeRequests::Tcp, sdp());
    assert_eq!(transport(&small.mail_of("INVITE")), Transport::Udp);
    for mut world in [world, without, small] {
        world.quiet();
    }
}

/// B28: the connection breaks at each moment of an INVITE.
#[test]
fn a_connection_that_breaks() {
    // Before anything was heard: by UDP. A reset is no refusal: the next goes over TCP again.
    let mut world = world();
    let leg = call(&mut world, LargeRequests::Tcp, large());
    world.mail_of("INVITE");
    let reset = Failure::of(&tcp(&world), "destination_unreachable");
    world.on(A, |agent, now| agent.handle_transport_error(now, &reset));
    let invite = world.mail_of("INVITE");
    assert_eq!(transport(&invite), Transport::Udp);
    world.raw(A, peer(), &answer(&invite, 486, "b", ""));
    world.mail_of("ACK");
    assert!(matches!(world.event(A), AgentEvent::Refused { leg: l, status: 486, .. } if l == leg));
    // While it rings: the answer comes on another connection.
    let leg = call(&mut world, LargeRequests::Tcp, large());
    let invite = world.mail_of("INVITE");
    assert_eq!(transport(&invite), Transport::Tcp);
    world.transport = Transport::Tcp;
    world.raw(A, peer(), &answer(&invite, 180, "b", CONTACT));
    world.event(A);
    world.on(A, |agent, now| agent.handle_transport_error(now, &reset));
    world.no_event(A);
    // A CANCEL goes the way of its INVITE.
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    let cancel = world.mail_of("CANCEL");
    assert_eq!(cancel.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    assert_eq!(transport(&cancel), Transport::Tcp);
    world.raw(A, peer(), &answer(&cancel, 200, "b", ""));
    world.raw(A, peer(), &answer(&invite, 487, "b", ""));
    assert_eq!(transport(&world.mail_of("ACK")), Transport::Tcp);
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 487, .. }));
    world.quiet();
}

#[test]
fn a_large_ack_whose_connection_is_refused_goes_by_udp_with_the_next_copy_of_the_answer() {
    let mut world = world();
    let leg = call(&mut world, LargeRequests::Tcp, Extra::default());
    let invite = world.mail_of("INVITE");
    let ok = answer(&invite, 200, "b", CONTACT);
    world.raw(A, peer(), &ok);
    world.event(A);
    world.on(A, |agent, now| agent.ack(now, leg, large().payload));
    assert_eq!(transport(&world.mail_of("ACK")), Transport::Tcp);
    refuse(&mut world);
    world.raw(A, peer(), &ok);
    assert_eq!(transport(&world.mail_of("ACK")), Transport::Udp);
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    world.quiet();
}

/// Retries are judged anew: the one that a 422 asks for.
#[test]
fn a_retry_is_large_too_and_falls_back_too() {
    let mut world = world();
    let mut invite = Invite {
        flow: world.flow(A, peer()),
        request_uri: "sip:+442079460001@127.0.0.9".into(),
        from: "<sip:+442079460900@a.example>".into(),
        to: "<sip:+442079460001@b.example>".into(),
        max_forwards: 69,
        nat: false,
        reliable: Reliable::Off,
        session: None,
        credentials: None,
        large: LargeRequests::Tcp,
        extra: large(),
    };
    let seconds = std::time::Duration::from_secs;
    invite.session = Some(SessionTimer { expires: seconds(1_800), min: seconds(90), asks: true });
    world.on(A, |agent, now| agent.invite(now, invite));
    let first = world.mail_of("INVITE");
    world.transport = Transport::Tcp;
    world.raw(A, peer(), &answer(&first, 422, "b", "Min-SE: 3600\r\n"));
    world.transport = Transport::Udp;
    world.mail_of("ACK");
    let second = world.mail_of("INVITE");
    assert_eq!((transport(&second), second.header("Min-SE")), (Transport::Tcp, Some("3600")));
    refuse(&mut world);
    let third = world.mail_of("INVITE");
    assert_eq!((transport(&third), third.header("CSeq")), (Transport::Udp, second.header("CSeq")));
    world.quiet();
}

// ── datagrams that came to nobody ──

fn bounce(world: &mut World, remote: std::net::SocketAddr, quoted: &[u8]) -> u64 {
    let before = world.dropped(A, DropReason::BounceUnmatched);
    world.on(A, |agent, now| agent.handle_bounce(now, remote, quoted));
    world.dropped(A, DropReason::BounceUnmatched) - before
}

#[test]
fn what_quotes_a_waiting_request_ends_it_at_once() {
    let mut world = World::new();
    let leg = world.call_to(A, peer());
    let invite = world.mail_of("INVITE").bytes().clone();
    let branch_end = memchr::memmem::find(&invite, b";rport").unwrap();
    let mut other = invite.to_vec();
    other[branch_end - 1] ^= 1;
    let elsewhere = "127.0.0.9:5061".parse().unwrap();
    let mut spoofed = b"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a".to_vec();
    spoofed.extend_from_slice(&invite[branch_end - 47..]);
    // Nothing, a header of eight bytes, a cut branch, another's branch, another place, other words.
    for (remote, quoted) in [
        (peer(), &b""[..]),
        (peer(), &invite[..8]),
        (peer(), &invite[..branch_end]),
        (peer(), &invite[..branch_end - 1]),
        (peer(), &other),
        (elsewhere, &invite),
        (peer(), &spoofed),
        (peer(), &[0xff; 3_000]),
    ] {
        assert_eq!(bounce(&mut world, remote, quoted), 1, "{}", quoted.escape_ascii());
    }
    world.no_event(A);
    // What follows the branch may be cut, or be padding.
    let mut padded = invite[..branch_end + 1].to_vec();
    padded.resize(padded.len() + 60, 0);
    assert_eq!(bounce(&mut world, peer(), &padded), 0);
    assert_eq!(world.agents[A].why_failed(leg), Some("destination_unreachable"));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 503, response: None, .. }));
    assert_eq!(bounce(&mut world, peer(), &invite), 1, "once");
    world.quiet();
}

/// Nobody on the network ends what rings or talks.
#[test]
fn what_was_heard_is_not_ended_by_icmp() {
    let mut world = World::new();
    let leg = world.call_to(A, peer());
    let invite = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&invite, 180, "b", CONTACT));
    world.event(A);
    assert_eq!(bounce(&mut world, peer(), invite.bytes()), 1);
    world.raw(A, peer(), &answer(&invite, 200, "b", CONTACT));
    world.event(A);
    world.on(A, |agent, now| agent.ack(now, leg, None));
    let ack = world.mail_of("ACK");
    for message in [&invite, &ack] {
        assert_eq!(bounce(&mut world, peer(), message.bytes()), 1);
    }
    // A request within the call fails alone.
    let txn = world.on(A, |agent, now| agent.request(now, leg, Method::Info, Extra::default()));
    let info = world.mail_of("INFO");
    assert_eq!(bounce(&mut world, peer(), info.bytes()), 0);
    assert!(matches!(world.event(A), AgentEvent::Response { txn: t, status: 503, .. } if t == txn));
    world.no_event(A);
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    let bye = world.mail_of("BYE");
    assert_eq!(bounce(&mut world, peer(), bye.bytes()), 0);
    assert_eq!(world.agents[A].counts().legs, 1, "the INVITE's own transaction absorbs copies of its 200 for a while");
    world.quiet();
}

// ── callers whose connection is gone ──

/// C12: nobody can be told anything.
#[test]
fn a_caller_that_nobody_can_answer_is_over() {
    for answered in [false, true] {
        let mut world = World::new();
        world.transport = Transport::Tcp;
        let invite = Hand::default().text().replace("SIP/2.0/UDP", "SIP/2.0/TCP");
        let here = Flow { connection: 7, remote: "127.0.0.9:41000".parse().unwrap(), ..world.flow(A, peer()) };
        let bytes = Bytes::from(invite);
        world.on(A, |agent, now| agent.handle_datagram(now, here, bytes, Trust::Known));
        let leg = world.invited(A);
        world.on(A, |agent, now| agent.trying(now, leg));
        // Of another connection, and of one to the same place before ours was lost.
        let other = Failure::of(&Flow { connection: 9, ..here }, "destination_unreachable");
        let refused = Failure::refused(&Flow { connection: 11, remote: peer(), ..here }, "destination_unreachable");
        let gone = Failure::of(&here, "destination_unreachable");
        for failure in [&other, &refused, &gone, &other] {
            world.on(A, |agent, now| agent.handle_transport_error(now, failure));
        }
        world.no_event(A);
        // What was said last is said again, on another connection.
        for _ in 0..2 {
            world.mail_of("SIP/2.0 100");
        }
        match answered {
            true => world.on(A, |agent, now| agent.answer(now, leg, sdp())),
            false => world.on(A, |agent, now| agent.provisional(now, leg, 180, Extra::default())),
        }
        world.on(A, |agent, now| agent.handle_transport_error(now, &refused));
        match (answered, world.event(A)) {
            (true, AgentEvent::AckTimeout { .. }) => {}
            (false, AgentEvent::Ended { reason: "caller_unreachable", .. }) => {}
            (_, other) => panic!("{other:?}"),
        }
        world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
        world.quiet();
    }
}
