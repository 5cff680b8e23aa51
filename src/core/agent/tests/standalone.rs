//! Requests of ours outside any dialog.

use super::world::*;
use crate::core::agent::*;
use rsip::Method;

fn register(world: &World) -> Standalone {
    Standalone {
        flow: world.flow(A, peer()),
        method: Method::Register,
        request_uri: "sip:registrar.example".into(),
        from: "<sip:trunk@registrar.example>".into(),
        to: "<sip:trunk@registrar.example>".into(),
        call_id: Some("registration-1".into()),
        cseq: 7,
        credentials: None,
        large: LargeRequests::Udp,
        extra: Extra { headers: vec![("Contact".into(), "<sip:trunk@127.0.0.1>".into())], ..Extra::default() },
    }
}

#[test]
fn register_answered() {
    let mut world = World::new();
    let request = register(&world);
    let txn = world.on(A, |agent, now| agent.standalone(now, request));
    let sent = world.mail_of("REGISTER sip:registrar.example SIP/2.0");
    assert_eq!((sent.call_id(), sent.cseq().unwrap().number), (Ok("registration-1"), 7));
    let text = answer(&sent, 100, "", "");
    world.raw(A, peer(), &text);
    world.no_event(A);
    // Somebody who guessed the branch, but not the rest.
    let foreign = answer(&sent, 200, "r", "").replace("registration-1", "registration-2");
    world.raw(A, peer(), &foreign);
    world.no_event(A);
    let text = answer(&sent, 200, "r", "Contact: <sip:trunk@127.0.0.1>;expires=60\r\n");
    world.raw(A, peer(), &text);
    assert!(matches!(world.event(A), AgentEvent::Standalone { txn: t, status: 200, response: Some(_) } if t == txn));
    // A copy of the answer is nobody's news.
    world.raw(A, peer(), &text);
    world.no_event(A);
    world.quiet();
}

#[test]
fn options_that_nobody_answers() {
    let mut world = World::new();
    let request = Standalone { method: Method::Options, call_id: None, ..register(&world) };
    let txn = world.on(A, |agent, now| agent.standalone(now, request.clone()));
    world.run(ms(33_000));
    assert!(matches!(world.event(A), AgentEvent::Standalone { txn: t, status: 408, response: None } if t == txn));
    let txn = world.on(A, |agent, now| agent.standalone(now, request));
    world.on(A, |agent, now| agent.handle_transport_error(now, &Failure::of_datagram(peer(), "test")));
    assert!(matches!(world.event(A), AgentEvent::Standalone { txn: t, status: 503, response: None } if t == txn));
    world.quiet();
}

#[test]
fn what_cannot_go_out() {
    let mut world = World::new();
    let request = register(&world);
    let refused = |world: &mut World, request: Standalone| {
        world.on(A, |agent, now| agent.standalone(now, request));
        match world.event(A) {
            AgentEvent::Standalone { status, response: None, .. } => status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&mut world, Standalone { method: Method::Invite, ..request.clone() }), 481);
    assert_eq!(refused(&mut world, Standalone { from: "a\r\nb".into(), ..request }), 500);
    world.no_mail();
    world.quiet();
}

/// A request that names the tag of a request of ours finds no dialog.
#[test]
fn nobody_talks_to_it() {
    let mut world = World::new();
    let request = register(&world);
    world.on(A, |agent, now| agent.standalone(now, request));
    let sent = world.mail_of("REGISTER");
    let tag = sent.from().unwrap().tag().unwrap().to_owned();
    world.hand(A, &Hand { method: "INFO", call_id: "registration-1", to_tag: &tag, ..Hand::default() });
    world.mail_of("SIP/2.0 481");
    world.quiet();
}
