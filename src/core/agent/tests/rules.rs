//! What is refused, what is dropped, and who gets no answer at all.

use std::path::Path;

use super::world::*;
use crate::core::agent::drops::DropReason;
use crate::core::agent::*;
use crate::core::hosts::Hosts;

const SDP: &str = "Contact: <sip:p@127.0.0.9>\r\nContent-Type: application/sdp\r\n";

/// What A says to one request: the status, the reason counted, and the event.
fn verdict(world: &mut World, bytes: Bytes) -> String {
    let before = world.agents[A].drops().clone();
    world.raw_bytes(A, peer(), bytes);
    let mut said = Vec::new();
    while let Some(event) = world.events[A].pop_front() {
        match event {
            AgentEvent::Invited { leg, .. } => {
                said.push("route".to_owned());
                world.on(A, |agent, now| agent.turn_away(now, leg, 404, Extra::default()));
            }
            AgentEvent::OutOfDialog { txn, .. } => {
                world.on(A, |agent, now| agent.respond(now, txn, 200, Extra::default()));
            }
            other => said.push(describe(&other)),
        }
    }
    while let Some((_, answer)) = world.mail.pop_front() {
        let hint = ["Allow", "Unsupported", "Accept", "Accept-Encoding", "Retry-After"];
        let hint = hint.into_iter().filter(|_| answer.status() >= 300);
        let hints: Vec<String> = hint.filter_map(|name| Some(format!(" {name}: {}", answer.header(name)?))).collect();
        said.push(format!("{}{}", answer.status(), hints.concat()));
    }
    for (reason, count) in world.agents[A].drops().iter() {
        if count > before.get(reason) {
            said.push(reason.as_str().to_owned());
        }
    }
    said.join(", ")
}

/// RFC 3261 §8.2.
#[test]
fn checks_of_the_uas() {
    let base = Hand { headers: SDP, body: "v=0\r\n", ..Hand::default() };
    let lines = |more: &'static str| -> &'static str { Box::leak(format!("{SDP}{more}").into_boxed_str()) };
    let typed = |value: &'static str| -> &'static str {
        Box::leak(format!("Contact: <sip:p@127.0.0.9>\r\n{value}\r\n").into_boxed_str())
    };
    let mut table = String::new();
    let cases: Vec<(&str, Hand<'_>)> = vec![
        ("INVITE", base.clone()),
        ("INVITE without body", Hand::default()),
        ("OPTIONS", Hand { method: "OPTIONS", ..Hand::default() }),
        ("REGISTER", Hand { method: "REGISTER", ..Hand::default() }),
        ("SUBSCRIBE", Hand { method: "SUBSCRIBE", ..Hand::default() }),
        ("MESSAGE", Hand { method: "MESSAGE", ..Hand::default() }),
        ("BYE without To tag", Hand { method: "BYE", ..Hand::default() }),
        ("unknown method", Hand { method: "NEWTHING", ..Hand::default() }),
        ("lower case", Hand { method: "invite", ..Hand::default() }),
        ("tel URI", Hand { uri: "tel:+442079460001", ..base.clone() }),
        ("unknown scheme", Hand { uri: "nobodyKnowsThisScheme:totallyopaquecontent", ..base.clone() }),
        ("Require", Hand { headers: lines("Require: 100rel, replaces\r\n"), ..base.clone() }),
        ("Require on OPTIONS", Hand { method: "OPTIONS", headers: "Require: x\r\n", ..Hand::default() }),
        ("Supported", Hand { headers: lines("Supported: 100rel, timer\r\n"), ..base.clone() }),
        ("other body", Hand { headers: typed("Content-Type: application/unknown"), ..base.clone() }),
        ("body without type", Hand { headers: CONTACT, ..base.clone() }),
        (
            "optional other body",
            Hand {
                headers: typed("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional"),
                ..base.clone()
            },
        ),
        (
            "multipart with SDP",
            Hand {
                headers: typed("Content-Type: multipart/mixed;boundary=x"),
                body: "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n",
                ..base.clone()
            },
        ),
        ("multipart without", Hand { headers: typed("Content-Type: multipart/mixed;boundary=x"), ..base.clone() }),
        ("gzip", Hand { headers: lines("Content-Encoding: gzip\r\n"), ..base.clone() }),
        ("identity", Hand { headers: lines("Content-Encoding: identity\r\n"), ..base.clone() }),
        ("Accept without SDP", Hand { headers: lines("Accept: text/nobodyKnowsThis\r\n"), ..base.clone() }),
        ("empty Accept", Hand { headers: lines("Accept:\r\n"), ..base.clone() }),
        ("Accept */*", Hand { headers: lines("Accept: text/plain, */*;q=0.1\r\n"), ..base.clone() }),
        ("Accept q=0", Hand { headers: lines("Accept: application/sdp;q=0.0\r\n"), ..base.clone() }),
        ("no such dialog", Hand { to_tag: "t", ..base.clone() }),
    ];
    for (at, (name, request)) in cases.into_iter().enumerate() {
        let (branch, call_id) = (format!("z9hG4bK{at}"), format!("call-{at}"));
        let mut world = World::new();
        let text = Hand { branch: &branch, call_id: &call_id, ..request }.text();
        table += &format!("{name:<22} {}\n", verdict(&mut world, Bytes::from(text)));
        world.quiet();
    }
    let text = base.text();
    for (name, from, to) in [
        ("Max-Forwards 0", "Max-Forwards: 70", "Max-Forwards: 0"),
        ("Max-Forwards 256", "Max-Forwards: 70", "Max-Forwards: 256"),
        ("no Max-Forwards", "Max-Forwards: 70\r\n", ""),
        ("SIP/7.0", "INVITE sip:+442079460001@127.0.0.1 SIP/2.0", "INVITE sip:+442079460001@127.0.0.1 SIP/7.0"),
        ("no Call-ID", "Call-ID: hand-call\r\n", ""),
        ("no CSeq", "CSeq: 1 INVITE\r\n", ""),
        ("other CSeq method", "CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("bare cookie", "branch=z9hG4bKhand1", "branch=z9hG4bK"),
        ("no branch", ";branch=z9hG4bKhand1", ""),
        ("no Via", "Via: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bKhand1\r\n", ""),
    ] {
        let mut world = World::new();
        assert!(text.contains(from), "{name}");
        table += &format!("{name:<22} {}\n", verdict(&mut world, Bytes::from(text.replace(from, to))));
        world.quiet();
    }
    insta::assert_snapshot!(table);
}

/// RFC 4475 and RFC 5118 through the agent.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read its messages")]
fn torture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files: Vec<_> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .collect();
    files.sort();
    assert!(files.len() >= 61);
    let mut table = String::new();
    for path in files {
        let mut world = World::new();
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        table += &format!("{name:<28} {}\n", verdict(&mut world, bytes.clone()));
        world.quiet();
        // To a stranger: silence.
        let mut world = World::new();
        world.trust = Trust::Stranger;
        world.raw_bytes(A, peer(), bytes);
        assert_eq!(world.sent, 0, "{name}");
        world.no_event(A);
        world.quiet();
    }
    insta::assert_snapshot!(table);
}

/// C05, and what strangers may still do: finish what belongs to a dialog of ours.
#[test]
fn strangers() {
    let mut world = World::new();
    world.trust = Trust::Stranger;
    for method in ["OPTIONS", "REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "WILD"] {
        for to_tag in ["", "0123456789abcdef"] {
            world.hand(A, &Hand { method, to_tag, ..Hand::default() });
        }
    }
    for garbage in ["", "\r\n\r\n", "\0\0\0\0", "GET / HTTP/1.1\r\n\r\n", "INVITE x SIP/2.0\r\n\r\n"] {
        world.raw(A, peer(), garbage);
    }
    world.raw(A, peer(), "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK1\r\n\r\n");
    assert_eq!(world.sent, 0);
    world.no_event(A);
    let counted: u64 = world.agents[A].drops().iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 14 + 5 + 1, "{:?}", world.agents[A].drops());
    assert_eq!(world.agents[A].counts(), AgentCounts::default());

    world.trust = Trust::Known;
    world.hand(A, &Hand::default());
    let leg = world.invited(A);
    world.on(A, |agent, now| agent.answer(now, leg, sdp()));
    let tag = world.mail().to().unwrap().tag().unwrap().to_owned();
    world.trust = Trust::Stranger;
    let moved = "127.0.0.88:5062".parse().unwrap();
    let bye = Hand { method: "BYE", branch: "z9hG4bKbye", to_tag: &tag, cseq: 2, ..Hand::default() };
    // B19: knowing the tags is not enough.
    world.raw(A, moved, &bye.text());
    world.no_mail();
    world.no_event(A);
    world.trust = Trust::Known;
    world.raw(A, moved, &bye.text());
    assert_eq!(world.mail.back().unwrap().0, moved);
    world.mail_of("SIP/2.0 200");
    world.quiet();
}

/// A18: what Via says does not decide where the answer goes.
#[test]
fn a_lying_via() {
    let mut world = World::new();
    let text = Hand { method: "OPTIONS", ..Hand::default() }.text();
    let lie = "Via: SIP/2.0/UDP 10.0.0.1:9;maddr=10.0.0.2;received=10.0.0.3;rport=7;branch=z9hG4bKhand1";
    world.raw(A, peer(), &text.replace("Via: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bKhand1", lie));
    let AgentEvent::OutOfDialog { txn, .. } = world.event(A) else { panic!() };
    world.on(A, |agent, now| agent.respond(now, txn, 200, Extra::default()));
    let (to, answer) = world.mail.pop_front().unwrap();
    assert_eq!(to, peer());
    assert!(answer.header("Via").unwrap().contains("received=127.0.0.9"));
    assert!(answer.header("Allow").is_some());
    world.quiet();
}

/// RFC 3261 §17.2.3: matching without the cookie.
#[test]
fn peers_of_rfc_2543() {
    let mut world = World::new();
    let text = Hand::default().text().replace(";branch=z9hG4bKhand1", "").replace(";tag=hand", "");
    world.raw(A, peer(), &text);
    let leg = world.invited(A);
    world.raw(A, peer(), &text);
    world.no_event(A);
    world.on(A, |agent, now| agent.refuse(now, leg, 486, Extra::default()));
    let tag = world.mail_of("SIP/2.0 486").to().unwrap().tag().unwrap().to_owned();
    world.raw(A, peer(), &text);
    world.mail_of("SIP/2.0 486");
    let ack = text.replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK");
    world.raw(A, peer(), &ack.replace("hand.example>\r\nCall", &format!("hand.example>;tag={tag}\r\nCall")));
    world.run(ms(10_000));
    world.no_mail();
    world.quiet();
}

#[test]
fn too_many_transactions() {
    let mut world = World::with(AgentConfig {
        user_agent: String::new(),
        hosts: Hosts::default(),
        transactions_max: 3,
        reliable: Reliable::Off,
        session: None,
    });
    for at in 0..5 {
        let (branch, call_id) = (format!("z9hG4bK{at}"), format!("call-{at}"));
        world.hand(A, &Hand { branch: &branch, call_id: &call_id, ..Hand::default() });
    }
    assert_eq!(world.events[A].len(), 3);
    for _ in 0..2 {
        let seconds: u32 = world.mail_of("SIP/2.0 503").header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds));
    }
    assert_eq!(world.dropped(A, DropReason::Overload), 2);
    while let Some(AgentEvent::Invited { leg, .. }) = world.events[A].pop_front() {
        world.on(A, |agent, now| agent.refuse(now, leg, 480, Extra::default()));
    }
    world.quiet();
}

/// A21, and a response that is not quite ours.
#[test]
fn responses_that_are_dropped() {
    let mut world = World::new();
    let a = world.call_to(A, peer());
    let invite = world.mail_of("INVITE");
    let good = answer(&invite, 200, "t", CONTACT);
    let branch = invite.top_via().unwrap().branch().unwrap().to_owned();
    let from_tag = invite.from().unwrap().tag().unwrap().to_owned();
    let call_id = invite.call_id().unwrap().to_owned();
    for (bad, reason) in [
        (good.replace(";tag=t", ""), DropReason::SuccessWithoutTag),
        (good.replace("1 INVITE", "1 BYE"), DropReason::ResponseForeign),
        (good.replace("1 INVITE", "2 INVITE"), DropReason::ResponseForeign),
        (good.replace("1 INVITE", "1 CANCEL"), DropReason::ResponseUnmatched),
        (good.replace(&from_tag, "0000000000000000"), DropReason::ResponseForeign),
        (good.replace(&call_id, "other"), DropReason::ResponseForeign),
        (good.replace(&branch, "z9hG4bKother"), DropReason::ResponseUnmatched),
        (good.replace(&branch, &branch.to_uppercase()), DropReason::ResponseUnmatched),
        (good.replace("From:", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\nFrom:"), DropReason::ResponseForeign),
        (good.replace("Call-ID", "X-Call-ID"), DropReason::MalformedResponse),
        (good.replace("SIP/2.0 200", "SIP/2.0 4294967301"), DropReason::NotSip),
    ] {
        let before = world.dropped(A, reason);
        world.raw(A, peer(), &bad);
        assert_eq!(world.dropped(A, reason), before + 1, "{reason:?}\n{bad}");
        world.no_event(A);
        world.no_mail();
    }
    world.raw(A, peer(), &good);
    assert!(matches!(world.event(A), AgentEvent::Answered { .. }));
    world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
    world.mail_of("ACK");
    world.mail_of("BYE");
    world.quiet();
}

/// B17: every response after every response.
#[test]
fn response_after_response() {
    let statuses = [100, 180, 183, 200, 302, 401, 486, 503, 603];
    let mut table = String::new();
    for first in statuses {
        for second in statuses {
            let mut world = World::new();
            let a = world.call_to(A, peer());
            let invite = world.mail_of("INVITE");
            let mut heard = Vec::new();
            for status in [first, second] {
                world.raw(A, peer(), &answer(&invite, status, "t", CONTACT));
                let events = world.events[A].drain(..).map(|event| describe(&event));
                let mut said: Vec<String> = events.collect();
                said.extend(world.mail.drain(..).map(|(_, message)| message.method_token().to_owned()));
                heard.push(if said.is_empty() { "nothing".to_owned() } else { said.join(" + ") });
                world.on(A, |agent, now| agent.ack(now, a, None));
                world.mail.clear();
            }
            table += &format!("{first} then {second}: {}; {}\n", heard[0], heard[1]);
            world.on(A, |agent, now| agent.bye(now, a, Extra::default()));
            world.quiet();
        }
    }
    insta::assert_snapshot!(table);
}

/// The same seed gives the same bytes; another seed gives others.
#[test]
fn seeds() {
    let bytes = |seed| {
        let config = AgentConfig {
            user_agent: "test".into(),
            hosts: Hosts::new(&[], Some("sip.example:5070")),
            transactions_max: 10,
            reliable: Reliable::Off,
            session: None,
        };
        let mut world = World::with(config.clone());
        world.agents[A] = Agent::new(Arc::new(config), [seed; 32]);
        world.transport = rsip::Transport::Tcp;
        world.call_to(A, peer());
        world.mail_of("INVITE").bytes().clone()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
    insta::assert_snapshot!(String::from_utf8_lossy(&bytes(1)).replace('\r', ""));
}
