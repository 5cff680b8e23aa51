//! After the answer: offers of every kind, and what happens when they meet.

use std::time::Duration;

use crate::world::phone::{Answering, Calling, Do};
use crate::world::{CARRIER, SHOP, World};
use crate::{SECOND, world};

const ALLOWS_UPDATE: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");

fn allow() -> Vec<(&'static str, String)> {
    vec![(ALLOWS_UPDATE.0, ALLOWS_UPDATE.1.to_owned())]
}

/// The shop's only dialog.
fn heard_in_shop(world: &mut World) -> Vec<(String, u16)> {
    world.phone(SHOP).dialogs.values().next().map(|dialog| dialog.heard.clone()).unwrap_or_default()
}

fn heard_by_caller(world: &mut World, call: &str) -> Vec<(String, u16)> {
    world.phone(CARRIER).dialogs[call].heard.clone()
}

#[test]
fn update_crosses_as_update_where_both_know_it() {
    let shop = Answering { headers: allow(), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    let script = vec![(SECOND, Do::Update(Some("sendonly"))), (3 * SECOND, Do::Update(Some("sendrecv")))];
    let call = world.dial(Calling { script, headers: allow(), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(heard_by_caller(&mut world, &call)[..2], [("UPDATE".into(), 200), ("UPDATE".into(), 200)]);
}

#[test]
fn update_crosses_as_reinvite_where_the_other_does_not_know_it() {
    let shop = Answering { script: vec![(SECOND, Do::Update(Some("inactive")))], ..Answering::default() };
    let mut world = world(shop, Answering::default());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(heard_in_shop(&mut world), [("UPDATE".into(), 200)]);
}

#[test]
fn update_without_description_stays_on_its_leg() {
    let mut world = world(Answering { headers: allow(), ..Answering::default() }, Answering::default());
    let script = vec![(SECOND, Do::Update(None))];
    world.dial(Calling { script, headers: allow(), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn refused_update_keeps_the_old_session() {
    let mut table = String::new();
    for status in [488, 491, 500, 503, 481, 408, 302] {
        let shop = Answering { headers: allow(), reinvite_status: status, ..Answering::default() };
        let mut world = world(shop, Answering::default());
        let script = vec![(8 * SECOND, Do::Update(Some("sendonly")))];
        let call = world.dial(Calling { script, headers: allow(), ..Calling::default() });
        world.settle();
        let heard: Vec<u16> = heard_by_caller(&mut world, &call).iter().map(|(_, status)| *status).collect();
        let reason = world.ended()[0].reason.clone().unwrap_or_default();
        table += &format!("{status} from the company -> {heard:?} to the caller; the call ends by {reason}\n");
    }
    insta::assert_snapshot!(table);
}

/// B11: both sides at once, twenty times. Each gets 491 or its answer; it settles within seconds and without a storm.
#[test]
fn twenty_rounds_of_glare_settle_without_a_storm() {
    for way in [Do::Reinvite("sendrecv"), Do::Update(Some("sendrecv"))] {
        let mut script = Vec::new();
        for round in 0..20 {
            let direction = if round % 2 == 0 { "sendonly" } else { "sendrecv" };
            let what = match way {
                Do::Update(_) => Do::Update(Some(direction)),
                _ => Do::Reinvite(direction),
            };
            script.push((Duration::from_secs(2 + 8 * round), what));
        }
        let shop = Answering { headers: allow(), script: script.clone(), ..Answering::default() };
        let mut world = world(shop, Answering::default());
        // The two phones act in the same instant: the caller's clock starts 5 ms after its 200.
        let call = world.dial(Calling {
            script,
            headers: allow(),
            hang_up: Some(Duration::from_secs(180)),
            ..Calling::default()
        });
        world.settle();
        for heard in [heard_by_caller(&mut world, &call), heard_in_shop(&mut world)] {
            let count = |wanted: u16| heard.iter().filter(|(_, status)| *status == wanted).count();
            assert!(count(200) >= 20, "{heard:?}");
            assert!((1..=60).contains(&count(491)), "{} times 491", count(491));
            assert_eq!(count(200) + count(491), heard.len(), "{heard:?}");
        }
    }
}

#[test]
fn what_is_only_sent_is_never_answered_with_sending() {
    let mut table = String::new();
    for offer in ["sendonly", "recvonly", "inactive", "sendrecv"] {
        for answer in ["sendrecv", "sendonly", "recvonly", "inactive"] {
            let shop = Answering { reinvite_direction: Some(answer), ..Answering::default() };
            let mut world = world(shop, Answering::default());
            let call = world.dial(Calling { script: vec![(SECOND, Do::Reinvite(offer))], ..Calling::default() });
            world.settle();
            let heard = &world.phone(CARRIER).dialogs[&call].heard_direction;
            table += &format!("{offer} offered, {answer} answered by the company -> {heard}\n");
        }
    }
    insta::assert_snapshot!(table);
}

fn described(connection: &str, port: u16, direction: &str, more: &str) -> String {
    format!(
        "v=0\r\no=phone 77 9 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 {connection}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=ptime:20\r\na={direction}\r\n{more}"
    )
}

/// F09: every form of hold, and what the company is told.
#[test]
fn every_form_of_hold_crosses() {
    let mut table = String::new();
    for (connection, direction) in [
        ("192.0.2.10", "sendonly"),
        ("192.0.2.10", "inactive"),
        ("192.0.2.10", "recvonly"),
        ("0.0.0.0", "sendrecv"),
        ("0.0.0.0", "sendonly"),
        ("0.0.0.0", "recvonly"),
        ("0.0.0.0", "inactive"),
    ] {
        let mut world = world(Answering::default(), Answering::default());
        let script = vec![
            (SECOND, Do::Describe(described(connection, 40_000, direction, ""))),
            (2 * SECOND, Do::Reinvite("sendrecv")),
        ];
        let call = world.dial(Calling { script, ..Calling::default() });
        world.pass(Duration::from_millis(2_500));
        let company = world.phone(SHOP).dialogs.values().next().map(|dialog| dialog.heard_direction.clone());
        let caller = world.phone(CARRIER).dialogs[&call].heard_direction.clone();
        let remote = world.media.values().next().and_then(|media| media.remotes[0].clone()).expect("a caller");
        table += &format!(
            "c={connection} a={direction}: company hears {}, caller hears {caller}, media to the caller: {}\n",
            company.unwrap_or_default(),
            remote.flowing.to_side
        );
        world.settle();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn media_that_only_moves_is_answered_by_us() {
    let mut world = world(Answering::default(), Answering::default());
    let moved = described("192.0.2.77", 41_000, "sendrecv", "");
    let script = vec![(SECOND, Do::Describe(moved))];
    world.dial(Calling { script, ..Calling::default() });
    world.pass(Duration::from_secs(4));
    let remote = world.media.values().next().and_then(|media| media.remotes[0].clone()).expect("a caller");
    assert_eq!(remote.rtp.to_string(), "192.0.2.77:41000");
    insta::assert_snapshot!(world.settle());
}

#[test]
fn fax_and_video_are_refused_in_their_places() {
    let mut world = world(Answering::default(), Answering::default());
    let video = described("192.0.2.10", 40_000, "sendonly", "m=video 40002 RTP/AVP 31\r\nm=image 40004 udptl t38\r\n");
    let fax = "v=0\r\no=phone 77 9 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
               m=audio 0 RTP/AVP 8\r\nm=image 40004 udptl t38\r\n";
    let script = vec![(SECOND, Do::Describe(video)), (3 * SECOND, Do::Describe(fax.to_owned()))];
    let call = world.dial(Calling { script, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(heard_by_caller(&mut world, &call)[..2], [("INVITE".into(), 200), ("INVITE".into(), 488)]);
}

#[test]
fn reinvite_without_offer_from_either_side() {
    let shop = Answering { script: vec![(4 * SECOND, Do::Offerless)], ..Answering::default() };
    let mut world = world(shop, Answering::default());
    world.dial(Calling { script: vec![(SECOND, Do::Offerless)], ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

/// B13: what a refused re-INVITE means for the call.
#[test]
fn refused_reinvite() {
    let mut table = String::new();
    for status in [488, 491, 500, 503, 408, 481, 401, 305] {
        let shop = Answering { reinvite_status: status, ..Answering::default() };
        let mut world = world(shop, Answering::default());
        let call = world.dial(Calling { script: vec![(8 * SECOND, Do::Reinvite("sendonly"))], ..Calling::default() });
        world.settle();
        let heard: Vec<u16> = heard_by_caller(&mut world, &call).iter().map(|(_, status)| *status).collect();
        let reason = world.ended()[0].reason.clone().unwrap_or_default();
        table += &format!("{status} from the company -> {heard:?} to the caller; the call ends by {reason}\n");
    }
    insta::assert_snapshot!(table);
}

/// Another preferred codec is for the other side to hear.
#[test]
fn a_codec_change_crosses() {
    let shop =
        Answering { reinvite_sdp: Some(described("198.51.100.1", 40_000, "sendrecv", "")), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    let pcmu = described("192.0.2.10", 40_000, "sendrecv", "").replace("RTP/AVP 8", "RTP/AVP 0 8");
    let call = world.dial(Calling { script: vec![(SECOND, Do::Describe(pcmu))], ..Calling::default() });
    world.settle();
    assert_eq!(heard_by_caller(&mut world, &call)[0], ("INVITE".into(), 200));
    assert!(world.phone(SHOP).seen.iter().filter(|seen| seen.starts_with("INVITE")).count() == 2);
}

/// B14 and F08: answers to a re-INVITE that nobody can use. The old session stays, on both sides.
#[test]
fn a_broken_answer_leaves_the_old_session() {
    let mut table = String::new();
    for (what, text) in [
        ("garbage", "hello".to_owned()),
        ("nothing", String::new()),
        (
            "foreign formats",
            described("198.51.100.1", 40_000, "sendrecv", "")
                .replace("RTP/AVP 8", "RTP/AVP 18")
                .replace(" 101\r\n", "\r\n"),
        ),
        ("port 0", described("198.51.100.1", 0, "sendrecv", "")),
        (
            "another place",
            described("198.51.100.1", 40_000, "sendrecv", "").replace("m=audio", "m=video 9 RTP/AVP 31\r\nm=audio"),
        ),
        ("our own port", described("203.0.113.1", 20_002, "sendrecv", "")),
    ] {
        let shop = Answering { reinvite_sdp: Some(text), ..Answering::default() };
        let mut world = world(shop, Answering::default());
        let script = vec![(SECOND, Do::Reinvite("sendonly"))];
        let call = world.dial(Calling { script, ..Calling::default() });
        world.pass(Duration::from_secs(4));
        let remotes = world.media.values().next().map(|media| media.remotes.clone()).expect("media");
        let flows = remotes.iter().flatten().all(|remote| remote.flowing.to_side && remote.flowing.from_side);
        world.settle();
        let heard = &heard_by_caller(&mut world, &call)[0];
        let reason = world.ended()[0].reason.clone().unwrap_or_default();
        table += &format!("{what}: {} {} to the caller, old media {flows}, ended by {reason}\n", heard.0, heard.1);
    }
    insta::assert_snapshot!(table);
}

/// B12: 100 and then silence.
#[test]
fn a_reinvite_that_is_never_answered_is_given_up() {
    let shop = Answering { reinvite_status: 100, ..Answering::default() };
    let mut world = world(shop, Answering::default());
    let script = vec![(SECOND, Do::Reinvite("sendonly"))];
    world.dial(Calling { script, hang_up: Some(120 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

/// B10: the BYE finds a re-INVITE on its way, in both directions and from either side.
#[test]
fn bye_while_a_reinvite_is_pending() {
    let mut all = String::new();
    for (from_caller, caller_leaves) in [(true, true), (true, false), (false, true), (false, false)] {
        let offer = vec![(SECOND, Do::Reinvite("sendonly"))];
        let leave = Some(Duration::from_millis(1_500));
        let silent = || Answering { reinvite_status: 100, ..Answering::default() };
        let shop = Answering {
            script: if from_caller { Vec::new() } else { offer.clone() },
            hang_up: leave.filter(|_| !caller_leaves),
            ..silent()
        };
        let mut world = world(shop, Answering::default());
        world.phone(CARRIER).set_answering(silent());
        world.dial(Calling {
            script: if from_caller { offer } else { Vec::new() },
            hang_up: leave.filter(|_| caller_leaves),
            ..Calling::default()
        });
        all += &format!("offer of the caller: {from_caller}, caller leaves: {caller_leaves}\n{}", world.settle());
    }
    insta::assert_snapshot!(all);
}

const FAX: &str = "m=audio 0 RTP/AVP 8\r\nm=image 40004 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";

/// The caller offers fax in the place of audio, the shop agrees, and later both want audio again.
#[test]
fn fax_is_relayed_in_the_place_of_audio() {
    let head = |ip: &str, version: u32| {
        format!("v=0\r\no=phone 77 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n")
    };
    let only = FAX.split_once("RTP/AVP 8\r\n").unwrap().1.replace("40004", "40008");
    let shop = Answering { reinvite_sdp: Some(format!("{}{only}", head("198.51.100.1", 9))), ..Answering::default() };
    let mut world = world(shop, Answering::default());
    let script = vec![(SECOND, Do::Describe(format!("{}{FAX}", head("192.0.2.10", 9))))];
    let call = world.dial(Calling { script, ..Calling::default() });
    world.pass(4 * SECOND);
    let remotes = world.media.values().next().unwrap().remotes.clone().map(Option::unwrap);
    assert_eq!(remotes.each_ref().map(|r| r.rtp.to_string()), ["192.0.2.10:40004", "198.51.100.1:40008"]);
    assert!(remotes.iter().all(|remote| &*remote.formats[0].name == "T38"), "{remotes:?}");
    let told = |world: &World, who: &str| {
        let mut bodies = world.sent_to(who).into_iter().map(|m| String::from_utf8(m.body().to_vec()).unwrap());
        bodies.rfind(|body| body.contains("m=image")).unwrap_or_default()
    };
    let (offer, answer) = (told(&world, SHOP), told(&world, CARRIER));
    for body in [&offer, &answer] {
        assert!(body.contains("a=T38FaxUdpEC:t38UDPRedundancy\r\n") && body.contains("udptl t38"), "{body}");
        assert!(!body.contains("40004") && !body.contains("40008"), "{body}");
    }
    assert!(answer.contains("m=audio 0 RTP/AVP 8\r\nm=image 2"), "{answer}");
    assert!(!offer.contains("m=audio"), "fax stands where audio stood: {offer}");
    world.settle();
    assert_eq!(heard_by_caller(&mut world, &call)[..1], [("INVITE".into(), 200)]);
}
