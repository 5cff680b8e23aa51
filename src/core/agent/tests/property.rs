//! Random commands, random and mutated messages, loss, copies and delays: no panic, no word about a leg that is over,
//! and nothing is left in the end.

use std::collections::HashSet;

use proptest::prelude::*;

use super::world::*;
use crate::core::agent::*;

#[derive(Clone, Debug)]
enum Op {
    Call(usize),
    CallPeer,
    /// To the chosen leg of a node.
    Leg(usize, usize, LegOp),
    /// Answer to the chosen waiting request.
    Respond(usize, usize, u16),
    CancelRequest(usize, usize),
    /// The hand-written peer answers the chosen message.
    PeerAnswers(usize, u16, &'static str),
    /// A message that was on the wire before, with some bytes changed, from somebody.
    Replay(usize, usize, u8, Vec<(usize, u8)>),
    Hand(usize, &'static str, u8, u32),
    Garbage(usize, Vec<u8>),
    TransportError(usize),
    Stranger(bool),
    Wait(u64),
}

#[derive(Clone, Debug)]
enum LegOp {
    Trying,
    Provisional(u16),
    Answer,
    Refuse(u16),
    TurnAway(u16),
    Cancel,
    Ack,
    Bye,
    Request(rsip::Method),
    Nat(bool),
}

fn leg_op() -> impl Strategy<Value = LegOp> {
    use rsip::Method;
    prop_oneof![
        Just(LegOp::Trying),
        (100..200u16).prop_map(LegOp::Provisional),
        Just(LegOp::Answer),
        Just(LegOp::Answer),
        (290..710u16).prop_map(LegOp::Refuse),
        (290..710u16).prop_map(LegOp::TurnAway),
        Just(LegOp::Cancel),
        Just(LegOp::Ack),
        Just(LegOp::Ack),
        Just(LegOp::Bye),
        prop::sample::select(vec![Method::Invite, Method::Update, Method::Info, Method::Bye, Method::Ack])
            .prop_map(LegOp::Request),
        any::<bool>().prop_map(LegOp::Nat),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let node = 0..2usize;
    let any_one = 0..64usize;
    prop_oneof![
        1 => node.clone().prop_map(Op::Call),
        1 => Just(Op::CallPeer),
        8 => (node.clone(), any_one.clone(), leg_op()).prop_map(|(node, leg, op)| Op::Leg(node, leg, op)),
        3 => (node.clone(), any_one.clone(), 90..710u16).prop_map(|(node, txn, status)| Op::Respond(node, txn, status)),
        1 => (node.clone(), any_one.clone()).prop_map(|(node, txn)| Op::CancelRequest(node, txn)),
        3 => (any_one.clone(), prop::sample::select(vec![100, 180, 183, 200, 200, 302, 486, 491, 503]),
                prop::sample::select(vec!["", "one", "two"]))
            .prop_map(|(at, status, tag)| Op::PeerAnswers(at, status, tag)),
        3 => (node.clone(), 0..1_000usize, any::<u8>(), prop::collection::vec((0..2_000usize, any::<u8>()), 0..3))
            .prop_map(|(node, at, from, changes)| Op::Replay(node, at, from, changes)),
        2 => (node.clone(), prop::sample::select(vec!["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "WILD"]), 0..3u8,
                0..4u32)
            .prop_map(|(node, method, branch, cseq)| Op::Hand(node, method, branch, cseq)),
        1 => (node.clone(), prop::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(node, bytes)| Op::Garbage(node, bytes)),
        1 => node.prop_map(Op::TransportError),
        1 => any::<bool>().prop_map(Op::Stranger),
        6 => prop_oneof![0..50u64, 0..5_000u64, 0..70_000u64].prop_map(Op::Wait),
    ]
}

#[derive(Default)]
struct Owner {
    legs: Vec<LegId>,
    over: HashSet<LegId>,
    asked: Vec<ServerTxn>,
    ours: Vec<ClientTxn>,
}

impl Owner {
    fn hear(&mut self, event: AgentEvent) {
        let (leg, is_last) = match &event {
            AgentEvent::Invited { leg, .. } => {
                self.legs.push(*leg);
                (*leg, false)
            }
            AgentEvent::Request { leg, txn, .. } => {
                self.asked.push(*txn);
                (*leg, false)
            }
            AgentEvent::OutOfDialog { txn, .. } => return self.asked.push(*txn),
            AgentEvent::Standalone { .. } => return,
            AgentEvent::Cancelled { leg, .. }
            | AgentEvent::Refused { leg, .. }
            | AgentEvent::Bye { leg, .. }
            | AgentEvent::Ended { leg, .. } => (*leg, true),
            AgentEvent::Acked { leg, .. }
            | AgentEvent::AckTimeout { leg }
            | AgentEvent::Provisional { leg, .. }
            | AgentEvent::Answered { leg, .. }
            | AgentEvent::RequestCancelled { leg, .. }
            | AgentEvent::Refreshed { leg, .. }
            | AgentEvent::Response { leg, .. } => (*leg, false),
        };
        // A command to a leg that does not exist any more is answered, nothing else is.
        let excused = matches!(event, AgentEvent::Response { status: 481, response: None, .. });
        assert!(!self.over.contains(&leg) || excused, "{} after the end", describe(&event));
        if is_last {
            self.over.insert(leg);
        }
    }
}

fn pick<T: Copy>(list: &[T], at: usize) -> Option<T> {
    (!list.is_empty()).then(|| list[at % list.len()])
}

fn apply(world: &mut World, owners: &mut [Owner; 2], op: Op) {
    match op {
        Op::Call(node) => {
            let leg = world.call(node);
            owners[node].legs.push(leg);
        }
        Op::CallPeer => {
            let leg = world.call_to(A, peer());
            owners[A].legs.push(leg);
        }
        Op::Leg(node, at, op) => {
            let Some(leg) = pick(&owners[node].legs, at) else { return };
            let extra = Extra::default();
            if matches!(op, LegOp::Bye) {
                owners[node].over.insert(leg);
            }
            let txn = world.on(node, |agent, now| {
                match op {
                    LegOp::Trying => agent.trying(now, leg),
                    LegOp::Provisional(status) => agent.provisional(now, leg, status, extra),
                    LegOp::Answer => agent.answer(now, leg, sdp()),
                    LegOp::Refuse(status) => agent.refuse(now, leg, status, extra),
                    LegOp::TurnAway(status) => agent.turn_away(now, leg, status, extra),
                    LegOp::Cancel => agent.cancel(now, leg, extra),
                    LegOp::Ack => agent.ack(now, leg, None),
                    LegOp::Bye => agent.bye(now, leg, extra),
                    LegOp::Request(method) => return Some(agent.request(now, leg, method, extra)),
                    LegOp::Nat(nat) => agent.set_nat(leg, nat),
                }
                None
            });
            owners[node].ours.extend(txn);
        }
        Op::Respond(node, at, status) => {
            let Some(txn) = pick(&owners[node].asked, at) else { return };
            world.on(node, |agent, now| agent.respond(now, txn, status, Extra::default()));
        }
        Op::CancelRequest(node, at) => {
            let Some(txn) = pick(&owners[node].ours, at) else { return };
            world.on(node, |agent, now| agent.cancel_request(now, txn));
        }
        Op::PeerAnswers(at, status, tag) => {
            let requests: Vec<&Message> =
                world.mail.iter().map(|(_, m)| m).filter(|m| m.is_request() && m.method_token() != "ACK").collect();
            let Some(request) = pick(&requests, at) else { return };
            let text = answer(request, status, tag, CONTACT);
            world.raw(A, peer(), &text);
        }
        Op::Replay(node, at, from, changes) => {
            let refs: Vec<&Bytes> = world.log.iter().collect();
            let Some(bytes) = pick(&refs, at) else { return };
            let mut bytes = bytes.to_vec();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let from = [address(1 - node), peer(), "127.0.0.50:5050".parse().unwrap()][usize::from(from) % 3];
            world.raw_bytes(node, from, Bytes::from(bytes));
        }
        Op::Hand(node, method, branch, cseq) => {
            let (branch, call_id) = (format!("z9hG4bKhand{branch}"), format!("call-{cseq}"));
            world.hand(node, &Hand { method, branch: &branch, call_id: &call_id, cseq, ..Hand::default() });
        }
        Op::Garbage(node, bytes) => world.raw_bytes(node, peer(), Bytes::from(bytes)),
        Op::TransportError(node) => {
            let remote = address(1 - node);
            world.on(node, |agent, now| agent.handle_transport_error(now, &Failure::of_datagram(remote, "test")));
        }
        Op::Stranger(is) => world.trust = if is { Trust::Stranger } else { Trust::Known },
        Op::Wait(time) => world.run(ms(time)),
    }
}

fn hear(world: &mut World, owners: &mut [Owner; 2]) {
    for (events, owner) in world.events.iter_mut().zip(owners) {
        events.drain(..).for_each(|event| owner.hear(event));
    }
}

proptest! {
    #[test]
    fn no_panic_and_nothing_left(seed in any::<u64>(), ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        world.chaos = Some(seed);
        let mut owners = [Owner::default(), Owner::default()];
        for op in ops {
            apply(&mut world, &mut owners, op);
            hear(&mut world, &mut owners);
        }
        world.chaos = None;
        // Everybody gives up. What was still on the wire may open new legs, until the last INVITE has timed out.
        for _ in 0..16 {
            world.run(ms(5_000));
            hear(&mut world, &mut owners);
            for (node, owner) in owners.iter().enumerate() {
                for leg in owner.legs.clone() {
                    world.on(node, |agent, now| agent.bye(now, leg, Extra::default()));
                }
            }
        }
        world.quiet();
        let end = world.ladder.len();
        world.run(ms(3_600_000));
        prop_assert_eq!(world.ladder.len(), end, "somebody still speaks");
    }
}
