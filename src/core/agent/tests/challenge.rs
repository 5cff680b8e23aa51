//! Our requests that are challenged: rows D01 and D02, and every crossing of a challenge with something else.

use rsip::{Method, Transport};

use super::world::*;
use crate::config::Secret;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;
use crate::core::auth::Credentials;
use crate::core::auth::digest::{Algorithm, Qop, Signed};
use crate::wire::sip::Message;
use crate::wire::sip::auth::AuthValue;

fn credentials(realm: Option<&str>) -> Option<Arc<Credentials>> {
    Some(Arc::new(Credentials {
        user: "acme".into(),
        secret: Secret("open sesame".into()),
        realm: realm.map(str::to_owned),
        trunk: "carrier".into(),
    }))
}

/// A calls the hand-written peer, with credentials.
fn call(world: &mut World, credentials: Option<Arc<Credentials>>) -> LegId {
    let invite = Invite {
        flow: world.flow(A, peer()),
        request_uri: "sip:+442079460001@127.0.0.9".into(),
        from: "<sip:+442079460900@a.example>".into(),
        to: "<sip:+442079460001@b.example>".into(),
        max_forwards: 69,
        nat: false,
        reliable: Reliable::Off,
        session: None,
        credentials,
        large: LargeRequests::Tcp,
        extra: sdp(),
    };
    world.on(A, |agent, now| agent.invite(now, invite))
}

/// 407 with a nonce of this name.
fn challenge(request: &Message, nonce: &str, more: &str) -> String {
    let line =
        format!("Proxy-Authenticate: Digest realm=\"carrier.example\", nonce=\"{nonce}\", qop=\"auth\"{more}\r\n");
    answer(request, 407, "proxy", &line)
}

/// What a request logs in with: nonce and count, its response checked.
fn login(request: &Message, header: &str) -> Option<(String, String)> {
    let value = AuthValue::read(request.header(header)?)?.remove(0);
    let param = |name| value.param(name).expect("a parameter");
    let algorithm = Algorithm::parse(value.param("algorithm").unwrap_or("MD5"))?;
    assert_eq!((param("username"), param("uri")), ("acme", request.request_uri()));
    let key = algorithm.key("acme", param("realm"), "open sesame", param("nonce"), param("cnonce"));
    let signed = Signed {
        method: if request.method() == Some(Method::Ack) { "INVITE" } else { request.method_token() },
        uri: param("uri"),
        body: b"",
        nonce: param("nonce"),
        nc: param("nc"),
        cnonce: param("cnonce"),
        qop: Qop::Auth,
    };
    assert_eq!(param("response"), algorithm.response(&key, &signed));
    Some((param("nonce").to_owned(), param("nc").trim_start_matches('0').to_owned()))
}

fn of(nonce: &str, count: &str) -> Option<(String, String)> {
    Some((nonce.to_owned(), count.to_owned()))
}

fn cseq(message: &Message) -> u32 {
    message.cseq().unwrap().number
}

/// A call whose INVITE was challenged and then answered with this Contact.
fn talking(world: &mut World, contact: &str) -> LegId {
    let leg = call(world, credentials(None));
    let first = world.mail_of("INVITE");
    world.raw(A, peer(), &challenge(&first, "one", ""));
    world.mail_of("ACK");
    let second = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&second, 200, "callee", &format!("Contact: <{contact}>\r\n")));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    leg
}

#[test]
fn an_invite_that_a_proxy_challenges() {
    let mut world = World::new();
    let leg = call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    assert_eq!(login(&first, "Proxy-Authorization"), None);
    world.raw(A, peer(), &challenge(&first, "one", ""));
    assert_eq!(cseq(&world.mail_of("ACK")), 1);
    let second = world.mail_of("INVITE");
    assert_eq!(login(&second, "Proxy-Authorization"), of("one", "1"));
    assert_eq!((cseq(&second), second.call_id()), (2, first.call_id()));
    assert_eq!(second.header("From"), first.header("From"));
    assert_ne!(second.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    assert_eq!(second.body(), first.body());
    world.no_event(A);
    world.raw(A, peer(), &answer(&second, 200, "callee", CONTACT));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    // RFC 3261 §22.1: what the INVITE had, count and all.
    let ack = world.mail_of("ACK");
    assert_eq!((cseq(&ack), ack.header("Proxy-Authorization")), (2, second.header("Proxy-Authorization")));
    // The next requests are not challenged first.
    let txn = world.on(A, |agent, now| agent.request(now, leg, Method::Info, Extra::default()));
    let info = world.mail_of("INFO");
    assert_eq!((cseq(&info), login(&info, "Proxy-Authorization")), (3, of("one", "2")));
    world.raw(A, peer(), &answer(&info, 200, "callee", ""));
    assert!(matches!(world.event(A), AgentEvent::Response { txn: t, status: 200, .. } if t == txn));
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    let bye = world.mail_of("BYE");
    assert_eq!((cseq(&bye), login(&bye, "Proxy-Authorization")), (4, of("one", "3")));
    world.raw(A, peer(), &answer(&bye, 200, "callee", ""));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

/// D02: a nonce that is always too old.
#[test]
fn two_answers_and_no_more() {
    for stale in [true, false] {
        let mut world = World::new();
        call(&mut world, credentials(None));
        let mut invites = 0;
        while let Some((_, message)) = world.mail.pop_front() {
            if message.method() == Some(Method::Invite) {
                invites += 1;
                let more = if stale { ", stale=true" } else { "" };
                world.raw(A, peer(), &challenge(&message, &format!("nonce {invites}"), more));
            }
        }
        assert_eq!(invites, if stale { 3 } else { 2 }, "{}", world.ladder);
        assert!(matches!(world.event(A), AgentEvent::Refused { status: 407, response: Some(_), .. }));
        assert_eq!(world.dropped(A, DropReason::LoginRefused), 1);
        world.quiet();
    }
}

/// D01: without credentials, with those of another realm, and with nothing that we know how to answer.
#[test]
fn a_challenge_that_is_not_for_us_is_a_failure() {
    let unknown = "WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", algorithm=SHA3\r\n";
    let known = "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"n\"\r\n";
    let cases = [(None, known), (credentials(Some("other.example")), known), (credentials(None), unknown)];
    for (credentials, line) in cases.into_iter().chain([(credentials(None), "")]) {
        let mut world = World::new();
        call(&mut world, credentials);
        let invite = world.mail_of("INVITE");
        world.raw(A, peer(), &answer(&invite, 401, "far", line));
        assert!(matches!(world.event(A), AgentEvent::Refused { status: 401, response: Some(_), .. }));
        assert_eq!(world.mail_of("ACK").header("Authorization"), None);
        world.no_mail();
        world.quiet();
        assert!(!world.log.iter().any(|bytes| String::from_utf8_lossy(bytes).contains("uthorization")));
    }
}

#[test]
fn a_proxy_and_then_the_far_end_ask() {
    let mut world = World::new();
    let leg = call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    world.raw(A, peer(), &challenge(&first, "proxy", ""));
    world.mail_of("ACK");
    let second = world.mail_of("INVITE");
    let line = "WWW-Authenticate: Digest realm=\"b\", nonce=\"end\", qop=\"auth\", algorithm=SHA-256\r\n";
    world.raw(A, peer(), &answer(&second, 401, "far", line));
    // The ACK of a refusal brings the credentials too.
    assert_eq!(login(&world.mail_of("ACK"), "Proxy-Authorization"), of("proxy", "1"));
    let third = world.mail_of("INVITE");
    assert_eq!(login(&third, "Proxy-Authorization"), of("proxy", "2"));
    assert_eq!((login(&third, "Authorization"), cseq(&third)), (of("end", "1"), 3));
    world.raw(A, peer(), &answer(&third, 180, "callee", CONTACT));
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    // §22.1: nobody can ask a CANCEL, and it brings nothing.
    let cancel = world.mail_of("CANCEL");
    assert_eq!((cancel.header("Authorization"), cancel.header("Proxy-Authorization"), cseq(&cancel)), (None, None, 3));
    world.raw(A, peer(), &answer(&cancel, 401, "callee", line));
    world.no_mail();
    world.raw(A, peer(), &answer(&third, 487, "callee", ""));
    assert!(matches!(world.event(A), AgentEvent::Provisional { .. }));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 487, .. }));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn a_cancel_that_crosses_the_challenge() {
    let mut world = World::new();
    let leg = call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    world.raw(A, peer(), &challenge(&first, "one", ""));
    world.mail_of("ACK");
    world.no_mail();
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 407, .. }));
    world.quiet();
    // After the second INVITE the CANCEL is that one's.
    let leg = call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    world.raw(A, peer(), &challenge(&first, "one", ""));
    world.mail_of("ACK");
    let second = world.mail_of("INVITE");
    world.on(A, |agent, now| agent.cancel(now, leg, Extra::default()));
    world.no_mail();
    world.raw(A, peer(), &answer(&second, 100, "", ""));
    let cancel = world.mail_of("CANCEL");
    assert_eq!(cancel.top_via().unwrap().branch(), second.top_via().unwrap().branch());
    // A late copy of the challenge gets its ACK and nothing else.
    world.raw(A, peer(), &challenge(&first, "one", ""));
    assert_eq!(cseq(&world.mail_of("ACK")), 1);
    world.no_mail();
    world.raw(A, peer(), &answer(&cancel, 200, "callee", ""));
    world.raw(A, peer(), &answer(&second, 487, "callee", ""));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 487, .. }));
    world.quiet();
    insta::assert_snapshot!(world.ladder);
}

#[test]
fn early_dialogs_end_with_the_challenge() {
    let mut world = World::new();
    let leg = call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&first, 183, "fork-1", CONTACT));
    assert!(matches!(world.event(A), AgentEvent::Provisional { .. }));
    world.raw(A, peer(), &challenge(&first, "one", ""));
    world.mail_of("ACK");
    let second = world.mail_of("INVITE");
    world.raw(A, peer(), &answer(&second, 200, "fork-2", CONTACT));
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.ack(now, leg, None));
    world.mail_of("ACK");
    // Another fork of the second INVITE.
    world.raw(A, peer(), &answer(&second, 200, "fork-3", CONTACT));
    let ack = world.mail_of("ACK");
    assert_eq!(ack.header("Proxy-Authorization"), second.header("Proxy-Authorization"));
    let bye = world.mail_of("BYE");
    assert_eq!((cseq(&bye), login(&bye, "Proxy-Authorization")), (3, of("one", "2")));
    world.raw(A, peer(), &challenge(&bye, "two", ""));
    let bye = world.mail_of("BYE");
    assert_eq!((cseq(&bye), login(&bye, "Proxy-Authorization")), (4, of("two", "1")));
    assert_eq!(bye.to().unwrap().tag(), Some("fork-3"));
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    let bye = world.mail_of("BYE");
    assert_eq!((cseq(&bye), bye.to().unwrap().tag()), (3, Some("fork-2")));
    world.quiet();
}

#[test]
fn requests_within_the_dialog() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = World::new();
        world.transport = transport;
        let leg = talking(&mut world, "sip:p@127.0.0.9");
        world.mail_of("ACK");
        for method in [Method::Invite, Method::Update, Method::Info, Method::Options, Method::Message] {
            let name = method.to_string();
            let txn = world.on(A, |agent, now| agent.request(now, leg, method, Extra::default()));
            let first = world.mail_of(&name);
            world.raw(A, peer(), &challenge(&first, &name, ", stale=true"));
            if method == Method::Invite {
                world.mail_of("ACK");
            }
            let second = world.mail_of(&name);
            assert_eq!((cseq(&second), login(&second, "Proxy-Authorization")), (cseq(&first) + 1, of(&name, "1")));
            world.raw(A, peer(), &answer(&second, 200, "callee", CONTACT));
            assert!(matches!(world.event(A), AgentEvent::Response { txn: t, status: 200, .. } if t == txn));
            if method == Method::Invite {
                world.on(A, |agent, now| agent.ack(now, leg, None));
                assert_eq!(cseq(&world.mail_of("ACK")), cseq(&second));
            }
        }
        // Nobody waits for the answer of a BYE any more, and it must get through all the same.
        world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
        let first = world.mail_of("BYE");
        world.raw(A, peer(), &challenge(&first, "bye", ""));
        let second = world.mail_of("BYE");
        assert_eq!((cseq(&second), login(&second, "Proxy-Authorization")), (cseq(&first) + 1, of("bye", "1")));
        world.raw(A, peer(), &answer(&second, 200, "callee", ""));
        world.no_event(A);
        world.quiet();
    }
}

/// D01: the far side's Contact leads away from the trunk, and whoever is there asks.
#[test]
fn credentials_do_not_leave_the_trunk() {
    let mut world = World::new();
    let leg = talking(&mut world, "sip:thief@127.0.0.66");
    let mut sent = vec![world.mail_of("ACK")];
    world.on(A, |agent, now| agent.request(now, leg, Method::Info, Extra::default()));
    let info = world.mail_of("INFO");
    let thief = std::net::SocketAddr::from(([127, 0, 0, 66], 5060));
    world.raw(A, thief, &challenge(&info, "mine", ""));
    assert!(matches!(world.event(A), AgentEvent::Response { status: 407, .. }));
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    let bye = world.mail_of("BYE");
    world.raw(A, thief, &challenge(&bye, "mine", ""));
    sent.extend([info, bye]);
    world.no_mail();
    assert_eq!(world.dropped(A, DropReason::ChallengeElsewhere), 2);
    assert!(sent.iter().all(|message| message.header("Proxy-Authorization").is_none()));
    world.quiet();
    // The trunk's request, answered from another address.
    call(&mut world, credentials(None));
    let invite = world.mail_of("INVITE");
    world.raw(A, thief, &challenge(&invite, "mine", ""));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 407, .. }));
    world.quiet();
}

/// A leg in which we are the UAS has credentials when its owner says so.
#[test]
fn a_bye_to_the_caller_is_challenged() {
    for given in [true, false] {
        let mut world = World::new();
        world.hand(A, &Hand { body: "v=0\r\n", headers: CONTACT_SDP, ..Hand::default() });
        let leg = world.invited(A);
        if given {
            world.on(A, |agent, _| agent.set_credentials(leg, credentials(Some("carrier.example"))));
        }
        world.on(A, |agent, now| agent.answer(now, leg, sdp()));
        let ok = world.mail_of("SIP/2.0 200");
        let tag = ok.to().unwrap().tag().unwrap().to_owned();
        world.hand(A, &Hand { method: "ACK", to_tag: &tag, branch: "z9hG4bKack", ..Hand::default() });
        world.event(A);
        world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
        let bye = world.mail_of("BYE");
        world.raw(A, peer(), &challenge(&bye, "one", ""));
        if given {
            assert_eq!(login(&world.mail_of("BYE"), "Proxy-Authorization"), of("one", "1"));
        }
        world.no_mail();
        world.quiet();
    }
}

const CONTACT_SDP: &str = "Contact: <sip:p@127.0.0.9>\r\nContent-Type: application/sdp\r\n";

#[test]
fn a_request_outside_any_dialog() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = World::new();
        world.transport = transport;
        let request = Standalone {
            flow: world.flow(A, peer()),
            method: Method::Register,
            request_uri: "sip:carrier.example".into(),
            from: "<sip:acme@carrier.example>".into(),
            to: "<sip:acme@carrier.example>".into(),
            call_id: Some("registration-1".into()),
            cseq: 7,
            credentials: credentials(None),
            large: LargeRequests::Tcp,
            extra: Extra::default(),
        };
        let txn = world.on(A, |agent, now| agent.standalone(now, request));
        let first = world.mail_of("REGISTER");
        let line = "WWW-Authenticate: Digest realm=\"a\", nonce=\"one\", qop=\"auth\", algorithm=SHA-256\r\n";
        world.raw(A, peer(), &answer(&first, 401, "r", line));
        let second = world.mail_of("REGISTER");
        assert_eq!((cseq(&second), login(&second, "Authorization")), (8, of("one", "1")));
        assert_eq!(second.call_id(), Ok("registration-1"));
        world.raw(A, peer(), &answer(&second, 200, "r", ""));
        match world.event(A) {
            AgentEvent::Standalone { txn: t, status: 200, response: Some(response) } => {
                assert_eq!((t, cseq(&response)), (txn, 8));
            }
            other => panic!("{other:?}"),
        }
        world.quiet();
    }
}

#[test]
fn nobody_answers_the_second_request() {
    let mut world = World::new();
    call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    world.raw(A, peer(), &challenge(&first, "one", ""));
    world.run(ms(40_000));
    assert!(matches!(world.event(A), AgentEvent::Refused { status: 408, response: None, .. }));
    world.mail.clear();
    world.quiet();
}

#[test]
fn the_far_end_names_the_next_nonce() {
    let mut world = World::new();
    let leg = call(&mut world, credentials(None));
    let first = world.mail_of("INVITE");
    let line = "WWW-Authenticate: Digest realm=\"a\", nonce=\"one\", qop=\"auth\"\r\n";
    world.raw(A, peer(), &answer(&first, 401, "far", line));
    world.mail_of("ACK");
    let second = world.mail_of("INVITE");
    let next = format!("{CONTACT}Authentication-Info: nextnonce=\"two\", qop=auth\r\n");
    world.raw(A, peer(), &answer(&second, 200, "callee", &next));
    world.event(A);
    world.on(A, |agent, now| agent.ack(now, leg, None));
    assert_eq!(world.mail_of("ACK").header("Authorization"), second.header("Authorization"));
    world.on(A, |agent, now| agent.bye(now, leg, Extra::default()));
    assert_eq!(login(&world.mail_of("BYE"), "Authorization"), of("two", "1"));
    world.quiet();
}
