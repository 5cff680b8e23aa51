//! Calls that somebody else carries and we record (RFC 7866, server): whose they are, and which stream is whose.

use std::time::Duration;

use leaseline::core::b2bua::Input;
use leaseline::core::event::Body;
use leaseline::ids::Side;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, World};

const NUMBER: &str = "tel:+442079460500";
const CALLER: &str = "sip:07700900123@sbc.example";

fn world() -> World {
    let mut world = World::new(7, &CONFIG.replace("country", "siprec = true\ncountry"));
    world.add(CARRIER, Phone::new(Answering::default()));
    world
}

/// Streams by port and label.
fn description(streams: &[(u16, &str)]) -> String {
    let line = |(port, label): &(u16, &str)| {
        format!("m=audio {port} RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=sendonly\r\na=label:{label}\r\n")
    };
    let lines: String = streams.iter().map(line).collect();
    format!("v=0\r\no=sbc 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n{lines}")
}

/// Parties by address and the label of what they send.
fn metadata(parties: &[(&str, &str)]) -> String {
    let mut xml = "<?xml version=\"1.0\"?><recording xmlns='urn:ietf:params:xml:ns:recording:1'>".to_owned();
    for (n, (aor, _)) in parties.iter().enumerate() {
        xml += &format!("<participant participant_id=\"p{n}\"><nameID aor=\"{aor}\"/></participant>");
    }
    for (n, (_, label)) in parties.iter().enumerate() {
        xml += &format!("<stream stream_id=\"s{n}\"><label>{label}</label></stream>");
        xml += &format!("<participantstreamassoc participant_id=\"p{n}\"><send>s{n}</send></participantstreamassoc>");
    }
    xml + "</recording>"
}

fn copying(sdp: &str, metadata: Option<&str>) -> Calling {
    let part = |kind: &str, text: &str| format!("--x\r\nContent-Type: {kind}\r\n\r\n{text}\r\n");
    let (content_type, body) = match metadata {
        Some(xml) => {
            let both = part("application/sdp", sdp) + &part("application/rs-metadata+xml", xml);
            ("multipart/mixed;boundary=x", both + "--x--\r\n")
        }
        None => ("application/sdp", sdp.to_owned()),
    };
    Calling {
        request_uri: "sip:srs@203.0.113.1".into(),
        headers: vec![("Require", "siprec".to_owned())],
        sdp: Some(body),
        content_type,
        ..Calling::default()
    }
}

/// A copy of a call from one to the other.
pub(crate) fn copy_of(caller: &str, called: &str) -> Calling {
    copying(&both(), Some(&metadata(&[(caller, "96"), (called, "97")])))
}

fn both() -> String {
    description(&[(40_000, "96"), (40_002, "97")])
}

/// Ports that the media threads were told of, by side.
fn heard(world: &World) -> [Option<u16>; 2] {
    let media = world.media.values().next().expect("media");
    Side::BOTH.map(|side| media.remotes[side.index()].as_ref().map(|remote| remote.rtp.port()))
}

#[test]
fn a_call_of_somebody_else_is_recorded() {
    let mut world = world();
    let call = world.dial(copying(&both(), Some(&metadata(&[(CALLER, "96"), (NUMBER, "97")]))));
    insta::assert_snapshot!(world.settle());
    assert_eq!(heard(&world), [Some(40_000), Some(40_002)]);
    let ended = world.ended()[0];
    assert_eq!((ended.via.as_deref(), ended.company.as_str()), (Some("siprec"), "acme"));
    assert_eq!((ended.number.as_str(), ended.caller.as_deref()), ("+442079460500", Some("+447700900123")));
    assert_eq!(ended.attribution.method, "static_channel");
    let took_part = ended.participants.iter().map(|one| (one.address.as_str(), one.channel.as_deref()));
    assert_eq!(took_part.collect::<Vec<_>>(), [(CALLER, Some("caller")), (NUMBER, Some("company"))]);
    assert!(world.media.values().all(|media| media.recording));
    let answer = world.sent_to(CARRIER).into_iter().find(|message| message.status() == 200).expect("an answer");
    assert!(answer.header("Contact").is_some_and(|contact| contact.ends_with(";+sip.srs")));
    insta::assert_snapshot!("heard_answer", String::from_utf8_lossy(&answer.body()).replace('\r', ""));
    assert_eq!(world.phone(CARRIER).dialogs[&call].heard_direction, "recvonly");
}

/// The party with a number of ours is the company's, wherever it stands; labels say which stream is whose.
#[test]
fn which_stream_is_whose() {
    for (parties, wanted) in [
        (vec![(NUMBER, "96"), (CALLER, "97")], [Some(40_002), Some(40_000)]),
        (vec![(CALLER, "97"), (NUMBER, "96")], [Some(40_002), Some(40_000)]),
        (vec![(CALLER, "x"), (NUMBER, "97")], [Some(40_000), Some(40_002)]),
        (vec![(CALLER, "x"), (NUMBER, "y")], [Some(40_000), Some(40_002)]),
    ] {
        let mut world = world();
        world.dial(copying(&both(), Some(&metadata(&parties))));
        world.settle();
        assert_eq!(heard(&world), wanted, "{parties:?}");
    }
    // One stream: of one party, or of both mixed.
    for (stream, parties, wanted) in [
        ("97", vec![(CALLER, "96"), (NUMBER, "97")], [None, Some(40_000)]),
        ("m", vec![(CALLER, "m"), (NUMBER, "m")], [Some(40_000), None]),
    ] {
        let mut world = world();
        world.dial(copying(&description(&[(40_000, stream)]), Some(&metadata(&parties))));
        world.settle();
        assert_eq!(heard(&world), wanted, "{parties:?}");
    }
}

/// Without metadata that can be read the INVITE's own number counts, and the first stream is the caller's.
#[test]
fn metadata_that_says_nothing() {
    let bomb = "<!DOCTYPE r [<!ENTITY a 'ha'>]><recording>&a;</recording>";
    let deep = format!("<recording>{}", "<a>".repeat(5_000));
    for xml in [None, Some(bomb), Some("<recording"), Some("<recording/>"), Some(&*deep)] {
        let mut world = world();
        let calling = copying(&both(), xml);
        world.dial(Calling { request_uri: "sip:+442079460500@203.0.113.1".into(), ..calling.clone() });
        world.settle();
        assert_eq!(heard(&world), [Some(40_000), Some(40_002)]);
        assert_eq!(world.ended()[0].caller, None);
        world.dial(calling);
        world.settle();
        assert_eq!(world.refused, ["number_unknown"], "{xml:?}");
    }
}

#[test]
fn refusals() {
    let mut table = String::new();
    let parties = metadata(&[(CALLER, "96"), (NUMBER, "97")]);
    let odd = |from: &str, to: &str| both().replace(from, to);
    for (what, sdp) in [
        ("no audio", odd("m=audio", "m=video")),
        ("a codec that is not recorded", odd("RTP/AVP 8 0", "RTP/AVP 18").replace("a=rtpmap:8 PCMA/8000", "a=x")),
        ("our own ports", odd("192.0.2.10\r\nt", "203.0.113.1\r\nt").replace("audio 4000", "audio 2000")),
        ("no description", "hello".to_owned()),
    ] {
        let mut world = world();
        let call = world.dial(copying(&sdp, Some(&parties)));
        world.settle();
        let finals = world.phone(CARRIER).dialogs[&call].finals.clone();
        table += &format!("{what}: {finals:?} {:?}\n", world.refused);
    }
    let mut plain = World::new(7, CONFIG);
    plain.add(CARRIER, Phone::new(Answering::default()));
    let call = plain.dial(copying(&both(), Some(&parties)));
    plain.settle();
    let finals = plain.phone(CARRIER).dialogs[&call].finals.clone();
    table += &format!("a trunk without: {finals:?} {:?}\n", plain.refused);
    let mut full = world();
    full.no_ports = true;
    let call = full.dial(copying(&both(), Some(&parties)));
    full.settle();
    let finals = full.phone(CARRIER).dialogs[&call].finals.clone();
    table += &format!("no ports: {finals:?} {:?}\n", full.ended()[0].reason);
    insta::assert_snapshot!(table);
}

#[test]
fn every_end() {
    let parties = metadata(&[(CALLER, "96"), (NUMBER, "97")]);
    let calling = || copying(&both(), Some(&parties));
    let mut table = String::new();
    let mut note = |what: &str, world: &World| {
        let ended = world.ended()[0];
        table += &format!("{what}: {:?} {:?} {:?}\n", ended.outcome, ended.reason, ended.sip_status);
        assert_eq!(world.events.last().map(|event| event.body.kind()), Some("leaseline.call.ended"));
    };
    let mut left = world();
    left.dial(calling());
    left.settle();
    note("the client hangs up", &left);
    let mut silent = world();
    silent.dial(Calling { acknowledges: false, hang_up: None, ..calling() });
    silent.settle();
    note("no ACK", &silent);
    let mut ours = world();
    ours.dial(Calling { hang_up: None, ..calling() });
    ours.run(2 * SECOND);
    assert_eq!(ours.us.connected(), 1);
    ours.input(Input::HangUpAll("shutting_down"));
    ours.settle();
    note("we stop", &ours);
    let mut held = world();
    held.dial(Calling { reinvites: vec![(2 * SECOND, "inactive"), (4 * SECOND, "sendonly")], ..calling() });
    held.settle();
    note("after a re-INVITE", &held);
    let mut cancelled = world();
    cancelled.dial(Calling { cancel: Some(Duration::from_millis(1)), hang_up: None, ..calling() });
    cancelled.run(5 * SECOND);
    cancelled.input(Input::HangUpAll("shutting_down"));
    cancelled.settle();
    note("CANCEL that crosses the answer", &cancelled);
    insta::assert_snapshot!(table);
    assert!(left.events.iter().any(|event| matches!(event.body, Body::RecordingSealed(_))));
}
