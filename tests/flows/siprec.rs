//! A third party's recorder beside the call (RFC 7866, client): what it is told, and what it may do to us.

use std::time::Duration;

use leaseline::core::b2bua::Input;
use leaseline::core::event::Body;
use leaseline::core::media::Copies;
use leaseline::wire::multipart;
use leaseline::wire::sip::Message;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, RECORDER, SHOP, World};

const RECORDER_TABLE: &str = "[[siprec]]\nname = \"archive\"\nuri = [\"sip:srs@198.51.100.60:5060\"]\nretries = 2\n";

fn config() -> String {
    let company = CONFIG.replace("ring_timeout", "siprec = \"archive\"\nring_timeout");
    company.replace("[[company]]", &format!("{RECORDER_TABLE}[[company]]"))
}

fn world_of(config: &str, srs: Answering, shop: Answering) -> World {
    let mut world = World::new(7, config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(Answering::default()));
    world.add(RECORDER, Phone::new(srs));
    world
}

fn world(srs: Answering) -> World {
    world_of(&config(), srs, Answering::default())
}

/// What a recorder says of its streams.
fn answer(first: (u16, &str), second: (u16, &str)) -> String {
    let line = |(port, direction): (u16, &str), label: u8| {
        format!("m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na={direction}\r\na=label:{label}\r\n")
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.60\r\ns=-\r\nc=IN IP4 198.51.100.60\r\nt=0 0\r\n{}{}",
        line(first, 1),
        line(second, 2)
    )
}

fn taking() -> Answering {
    Answering {
        ringing: Vec::new(),
        answer: Some((Duration::from_millis(50), 200)),
        sdp: Some(answer((40_000, "recvonly"), (40_002, "recvonly"))),
        reinvite_sdp: Some(answer((40_000, "recvonly"), (40_002, "recvonly"))),
        ..Answering::default()
    }
}

fn refusing(status: u16) -> Answering {
    Answering { answer: Some((Duration::from_millis(50), status)), ..taking() }
}

/// INVITEs that the recorder got, each once.
fn invites(world: &World) -> Vec<Message> {
    let mut seen = std::collections::BTreeSet::new();
    let ours = world.sent_to(RECORDER).into_iter().filter(|message| message.method_token() == "INVITE");
    ours.filter(|message| seen.insert(message.header("Via").unwrap_or_default().to_owned())).collect()
}

fn part(message: &Message, media_type: &str) -> String {
    let body = multipart::find(message.header("Content-Type").expect("a body"), &message.body(), media_type);
    String::from_utf8(body.expect("the part").to_vec()).expect("text")
}

/// What was told of the recorder, in order.
fn told(world: &World) -> Vec<String> {
    let told = world.events.iter().filter_map(|event| match &event.body {
        Body::SiprecStarted(_) => Some("started".to_owned()),
        Body::SiprecFailed(data) => Some(format!(
            "{} {} {:?}",
            data.reason.as_deref().unwrap_or_default(),
            data.sip_status.unwrap_or(0),
            data.again_in_ms
        )),
        _ => None,
    });
    told.collect()
}

/// Where copies went, in order: for each time that it was said, both sides' ports.
fn aimed(world: &World) -> Vec<Option<u16>> {
    let all = world.media.values().flat_map(|media| &media.copied);
    let to = all.filter_map(|copies| if let Copies::To(_, to) = copies { Some(*to) } else { None });
    to.map(|to| to.map(|to| to.rtp.port())).collect()
}

#[test]
fn a_call_is_recorded_by_a_third_party() {
    let mut world = world(taking());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    let invite = &invites(&world)[0];
    assert_eq!(invite.header("Require"), Some("siprec"));
    assert!(invite.header("Contact").is_some_and(|contact| contact.ends_with(";+sip.src")));
    assert_eq!(invite.list("Content-Type").count(), 1);
    insta::assert_snapshot!("siprec_description", part(invite, "application/sdp").replace('\r', ""));
    insta::assert_snapshot!("siprec_metadata", part(invite, "application/rs-metadata+xml").replace('\r', ""));
    assert_eq!(aimed(&world), [Some(40_000), Some(40_002)]);
    let types: Vec<u128> = world
        .media
        .values()
        .flat_map(|media| &media.copied)
        .filter_map(|copies| if let Copies::To(_, Some(to)) = copies { Some(to.types) } else { None })
        .collect();
    assert_eq!(types, [1 << 8, 1 << 8], "only what the recorder has taken is copied");
}

/// Whose company names no recorder: nothing leaves.
#[test]
fn nobody_is_told_unless_the_company_says_so() {
    let mut world = world_of(&config().replace("siprec = \"archive\"\n", ""), taking(), Answering::default());
    world.dial(Calling::default());
    world.settle();
    assert!(world.sent_to(RECORDER).is_empty() && told(&world).is_empty());
}

#[test]
fn a_recorder_that_refuses_never_costs_the_call() {
    let mut table = String::new();
    for status in [403, 420, 486, 488, 503, 603] {
        let mut world = world(refusing(status));
        world.dial(Calling { hang_up: Some(60 * SECOND), ..Calling::default() });
        world.settle();
        let ended = world.ended()[0];
        assert_eq!((ended.reason.as_deref(), ended.talk_ms), (Some("caller_hung_up"), 60_010), "{status}");
        table += &format!("{status}: {:?}\n", told(&world));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_recorder_that_is_late_is_given_up_and_its_late_answer_ended() {
    let late = Answering { answer: Some((8 * SECOND, 200)), ..taking() };
    let mut world = world_of(&config().replace("retries = 2", "retries = 0"), late, Answering::default());
    world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
    world.settle();
    assert_eq!(told(&world), ["recorder_silent 0 None"]);
    let methods: Vec<_> = world.sent_to(RECORDER).iter().map(|m| m.method_token().to_owned()).collect();
    assert_eq!(methods, ["INVITE", "CANCEL", "ACK"], "it answers 487");
}

#[test]
fn a_recorder_that_is_not_there() {
    let mut world = world(taking());
    world.phones.remove(&RECORDER.parse().expect("an address"));
    world.dial(Calling { hang_up: Some(40 * SECOND), ..Calling::default() });
    world.settle();
    let silent = "recorder_silent 0";
    assert_eq!(
        told(&world),
        [format!("{silent} Some(5000)"), format!("{silent} Some(10000)"), format!("{silent} None")]
    );
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
}

#[test]
fn the_next_place_takes_over() {
    let config = config()
        .replace("\"sip:srs@198.51.100.60:5060\"", "\"sip:srs@198.51.100.2:5060\", \"sip:srs@198.51.100.60:5060\"");
    let mut world = world_of(&config, taking(), Answering::default());
    world.phone(OFFICE).set_answering(refusing(503));
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(told(&world), ["started"]);
}

#[test]
fn a_recorder_that_hangs_up_is_asked_again() {
    let leaving = Answering { hang_up: Some(2 * SECOND), ..taking() };
    let mut world = world(leaving);
    world.dial(Calling { hang_up: Some(60 * SECOND), ..Calling::default() });
    world.settle();
    assert_eq!(
        told(&world),
        [
            "started",
            "recorder_left 0 Some(5000)",
            "started",
            "recorder_left 0 Some(10000)",
            "started",
            "recorder_left 0 None"
        ]
    );
    assert_eq!(aimed(&world)[2..4], [None, None], "copies stop");
}

#[test]
fn an_answer_of_no_use() {
    let bad = |sdp: String| Answering { sdp: Some(sdp), ..taking() };
    let nowhere = answer((5_060, "recvonly"), (5_060, "recvonly"));
    let multicast =
        answer((40_000, "recvonly"), (40_002, "recvonly")).replace("c=IN IP4 198.51.100.60", "c=IN IP4 224.0.0.9");
    let other_codec = answer((40_000, "recvonly"), (40_002, "recvonly")).replace("AVP 8", "AVP 18");
    for sdp in [nowhere, multicast, other_codec, "hello".to_owned()] {
        let mut world =
            world_of(&config().replace("retries = 2", "retries = 0"), bad(sdp.clone()), Answering::default());
        world.dial(Calling::default());
        world.settle();
        assert_eq!(told(&world), ["bad_answer 0 None"], "{sdp}");
        assert_eq!(world.phone(RECORDER).dialogs.values().next().map(|dialog| dialog.byes), Some(1));
        assert!(aimed(&world).is_empty());
    }
    // One stream of two is a recording of one side; none for now is a pause.
    for (sdp, wanted) in [
        (answer((40_000, "recvonly"), (0, "inactive")), [Some(40_000), None]),
        (answer((40_000, "inactive"), (40_002, "inactive")), [None, None]),
    ] {
        let mut world = world(bad(sdp));
        world.dial(Calling::default());
        world.settle();
        assert_eq!((told(&world), aimed(&world)), (vec!["started".to_owned()], wanted.to_vec()));
    }
}

#[test]
fn labels_say_which_stream_is_whose() {
    let swapped =
        answer((40_000, "recvonly"), (40_002, "recvonly")).replace("label:1", "label:x").replace("label:2", "label:1");
    let swapped = swapped.replace("label:x", "label:2");
    let mut world = world(Answering { sdp: Some(swapped), ..taking() });
    world.dial(Calling::default());
    world.settle();
    assert_eq!(aimed(&world), [Some(40_002), Some(40_000)]);
}

#[test]
fn no_ports_for_copies() {
    let mut world = world(taking());
    world.no_copies = true;
    world.dial(Calling { hang_up: Some(30 * SECOND), ..Calling::default() });
    world.settle();
    assert_eq!(told(&world).last().map(String::as_str), Some("no_media_ports 0 None"));
    assert!(world.sent_to(RECORDER).is_empty());
}

#[test]
fn the_recorder_pauses_and_moves() {
    let script = vec![(2 * SECOND, Do::Reinvite("inactive")), (4 * SECOND, Do::Reinvite("recvonly"))];
    let mut world = world(Answering { script, ..taking() });
    world.dial(Calling::default());
    world.settle();
    // The phone describes one stream only: the caller's, by its place.
    let aimed = aimed(&world);
    assert_eq!(aimed[..4], [Some(40_000), Some(40_002), None, None]);
    assert!(aimed[4].is_some(), "{aimed:?}");
    assert_eq!(told(&world), ["started"]);
}

#[test]
fn a_transfer_is_told() {
    let refer = |to: &str| {
        Do::Send(
            "REFER",
            vec![("Refer-To", to.to_owned()), ("Referred-By", "<sip:desk@198.51.100.1>".to_owned())],
            None,
        )
    };
    let script = vec![(2 * SECOND, refer("<sip:201@198.51.100.2:5060>"))];
    let config = config().replace("ring_timeout", "transfer = \"local\"\nring_timeout");
    let mut world = world_of(&config, taking(), Answering { script, ..Answering::default() });
    world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
    world.settle();
    let invites = invites(&world);
    assert_eq!(invites.len(), 2, "one for the call, one for the change");
    let metadata = part(&invites[1], "application/rs-metadata+xml");
    assert!(metadata.contains("sip:201@198.51.100.2:5060") && metadata.contains("<disassociate-time>"), "{metadata}");
    assert_eq!(metadata.matches("<participant ").count(), 3);
    assert_eq!(told(&world), ["started"]);
}

/// What must not be kept is not sent either.
#[test]
fn a_pause_is_told() {
    let mut world = world(taking());
    world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
    world.run(3 * SECOND);
    let call = *world.media.keys().next().expect("a call");
    world.input(Input::Pause(call, true));
    world.run(3 * SECOND);
    world.input(Input::Pause(call, false));
    world.settle();
    let invites = invites(&world);
    let directions: Vec<_> = invites.iter().map(|invite| part(invite, "application/sdp")).collect();
    assert!(directions[1].matches("a=inactive").count() == 2 && directions[2].matches("a=sendonly").count() == 2);
    assert_eq!(aimed(&world).len(), 6);
}

/// Who does not want to be recorded is not sent anywhere.
#[test]
fn without_consent_nothing_leaves() {
    for off in ["recording = false\nring_timeout", "recording = true\nring_timeout"] {
        let mut world = world_of(&config().replace("ring_timeout", off), taking(), Answering::default());
        world.dial(Calling::default());
        world.settle();
        assert_eq!(invites(&world).is_empty(), off.contains("false"));
    }
}

/// A recorder that answers its re-INVITE with 491 is told again.
#[test]
fn a_change_that_is_refused_for_glare_is_told_again() {
    let shop = Answering { reinvite: Some((2 * SECOND, "sendonly")), ..Answering::default() };
    let mut world = world_of(&config(), Answering { reinvite_status: 491, ..taking() }, shop);
    world.dial(Calling { reinvites: vec![(5 * SECOND, "sendrecv")], ..Calling::default() });
    world.settle();
    assert_eq!(told(&world), ["started"], "a hold changes nothing of what is sent");
    assert_eq!(invites(&world).len(), 1);
}

/// Every way in which a call ends takes its recording session along: `settle` looks for what is left.
#[test]
fn no_end_of_a_call_leaves_a_recording_session() {
    let slow = Answering { answer: Some((3 * SECOND, 200)), ..taking() };
    for srs in [taking(), slow, refusing(486), Answering { answer: None, ..taking() }] {
        for hang_up in [10, 1_040, 1_060, 2_000, 4_020, 6_500] {
            let mut world = world(srs.clone());
            world.dial(Calling { hang_up: Some(Duration::from_millis(hang_up)), ..Calling::default() });
            world.settle();
            let last = world.events.last().map(|event| event.body.kind());
            assert_eq!(last, Some("leaseline.call.ended"), "{hang_up}");
        }
    }
}

/// Keys of an encrypted leg are nobody else's: its copy is offered in the clear.
#[test]
fn no_key_of_a_leg_reaches_the_recorder() {
    let config = config().replace("country = \"GB\"", "country = \"GB\"\nmedia_encryption = \"sdes\"");
    let mut world = world_of(&config, taking(), Answering::default());
    let sdp = "v=0\r\no=phone 77 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
        m=audio 40000 RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\n";
    world.dial(Calling { sdp: Some(sdp.to_owned()), ..Calling::default() });
    world.settle();
    assert_eq!(told(&world), ["started"]);
    let offer = part(&invites(&world)[0], "application/sdp");
    assert!(!offer.contains("crypto") && !offer.contains("SAVP") && offer.matches("RTP/AVP").count() == 2, "{offer}");
}
