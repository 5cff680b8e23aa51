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
