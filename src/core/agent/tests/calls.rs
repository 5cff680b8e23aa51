//! Whole calls between two agents, as ladders.

use super::world::*;
use crate::core::agent::*;

/// A has called B; B's 200 is acknowledged.
pub(super) fn connect(world: &mut World) -> (LegId, LegId) {
    let a = world.call(A);
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.trying(now, b));
    world.on(B, |agent, now| agent.provisional(now, b, 180, Extra::default()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Provisional { .. }));
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.run(ms(15));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.run(ms(15));
    assert!(matches!(world.event(B), AgentEvent::Acked { txn: None, .. }));
    (a, b)
}

#[test]
fn basic_call_ended_by_the_uac() {
    let mut world = World::new();
    let (a, _) = connect(&mut world);
    world.run(ms(1_000));
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn basic_call_ended_by_the_uas() {
    let mut world = World::new();
    let (_, b) = connect(&mut world);
    world.run(ms(1_000));
    world.on(B, |agent, now| agent.bye(now, b, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn refused() {
    let mut world = World::new();
    world.call(A);
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.trying(now, b));
    world.on(B, |agent, now| agent.refuse(now, b, 486, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn turned_away_without_state() {
    let mut world = World::new();
    world.lose(B, "SIP/2.0 404", 1);
    world.call(A);
    world.run(ms(15));
    let first = world.invited(B);
    world.on(B, |agent, now| agent.turn_away(now, first, 404, Extra::default()));
    assert_eq!(world.agents[B].counts(), AgentCounts::default());
    world.run(ms(515));
    // The copy asks again and gets the same answer.
    let second = world.invited(B);
    world.on(B, |agent, now| agent.turn_away(now, second, 404, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn cancelled() {
    let mut world = World::new();
    let a = world.call(A);
    world.run(ms(15));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.trying(now, b));
    world.run(ms(15));
    world.on(A, |agent, now| agent.cancel(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// Streams: nothing is repeated but the 2xx (RFC 3261 §13.3.1.4), and answers stay on their connection.
#[test]
fn over_a_stream() {
    let mut world = World::new();
    world.transport = rsip::Transport::Tcp;
    let a = world.call(A);
    world.run(ms(1_000));
    let b = world.invited(B);
    world.on(B, |agent, now| agent.answer(now, b, sdp()));
    world.run(ms(1_000));
    world.event(A);
    world.on(A, |agent, now| agent.ack(now, a, None));
    world.run(ms(1_000));
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.quiet();
    insta::assert_snapshot!(world.ladder);

    let mut world = World::new();
    let flow = Flow { transport: rsip::Transport::Tcp, connection: 7, ..world.flow(A, peer()) };
    let bytes = Bytes::from(Hand::default().text());
    world.agents[A].handle_datagram(world.now, flow, bytes, Trust::Known);
    let Some(AgentEvent::Invited { leg, .. }) = world.agents[A].poll_event() else { panic!() };
    world.agents[A].answer(world.now, leg, sdp());
    let sent = world.agents[A].poll_transmit().unwrap();
    assert_eq!(sent.flow, flow);
    let ok = Message::parse(sent.bytes).unwrap();
    assert_eq!(ok.header("Contact"), Some("<sip:127.0.0.1:5060;transport=tcp>"));
    // Within the dialog too: its Contact names the address of the connection.
    let tag = ok.to().unwrap().tag().unwrap().to_owned();
    let ack = Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, ..Hand::default() }.text();
    world.agents[A].handle_datagram(world.now, flow, Bytes::from(ack), Trust::Known);
    world.agents[A].bye(world.now, leg, Extra::default());
    assert_eq!(world.agents[A].poll_transmit().unwrap().flow, flow);
}

/// Text that is not UTF-8 in a name: the call works all the same.
#[test]
fn caller_with_a_broken_name() {
    let mut world = World::new();
    let text = Hand::default().text().replace("From: <", "From: \"\u{1}\" <");
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    world.raw_bytes(A, peer(), Bytes::from(bytes));
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    let tag = world.mail_of("SIP/2.0 200").to().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "ACK", branch: "z9hG4bKack", to_tag: &tag, ..Hand::default() });
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    assert_eq!(world.mail_of("BYE").to().unwrap().tag(), Some("hand"));
    world.quiet();
}
