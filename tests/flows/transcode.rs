//! Sides without a codec in common, and sides that number the same formats differently: who is offered and answered what.

use std::fmt::Write as _;

use leaseline::ids::Side;

use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};
use crate::{SECOND, world};

const MAPS: &str = "a=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:18 G729/8000\r\na=rtpmap:96 telephone-event/8000\r\n\
                    a=rtpmap:101 telephone-event/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
                    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n";

fn described(ip: &str, formats: &str) -> String {
    let maps: Vec<String> = MAPS
        .lines()
        .filter(|line| formats.split(' ').any(|number| line.contains(&format!(":{number} "))))
        .map(|line| format!("{line}\r\n"))
        .collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP {formats}\r\n{}a=sendrecv\r\n",
        maps.concat()
    )
}

/// The `m=` lines of a ladder in their order: offer, our offer, answer, our answer.
fn formats(ladder: &str) -> Vec<String> {
    let lines = ladder.lines().filter_map(|line| line.split_once("RTP/AVP "));
    lines.map(|(_, formats)| formats.trim().to_owned()).collect()
}

/// What a call becomes whose caller offers these, and whose company answers with those.
fn talk(config: &str, offer: &str, answer: &str) -> (String, World) {
    let mut world = World::new(7, config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(Answering { sdp: Some(described("192.0.2.20", answer)), ..Answering::default() }));
    world.add(OFFICE, Phone::new(Answering::default()));
    world.dial(Calling { sdp: Some(described("192.0.2.10", offer)), ..Calling::default() });
    let ladder = world.settle();
    (ladder, world)
}

#[test]
fn f10_offers_and_answers_of_sides_that_differ() {
    let mut table =
        format!("{:<14}{:<12}{:<22}{:<14}{}\n", "offer", "answer", "company is offered", "caller hears", "outcome");
    for (offer, answer) in [
        ("8 101", "8 101"),
        ("8 101", "0 101"),
        ("8 101", "8 96"),
        ("8 101", "0 96"),
        ("0", "8"),
        ("9 101", "0 101"),
        ("111 110", "8 101"),
        ("111 110", "0"),
        ("111 9 101", "9 101"),
        ("18 101", "8"),
        ("8 101", "18 101"),
    ] {
        let (ladder, world) = talk(CONFIG, offer, answer);
        let said = formats(&ladder);
        let of = |index: usize| said.get(index).map_or("-", String::as_str);
        let ended = &world.ended()[..];
        let outcome = ended.first().map_or("refused".to_owned(), |data| format!("{:?}", data.outcome));
        writeln!(table, "{offer:<14}{answer:<12}{:<22}{:<14}{outcome}", of(1), of(3)).unwrap();
    }
    insta::assert_snapshot!(table);
}

/// Without transcoding nothing is added, and what has no codec in common is refused.
#[test]
fn f07_with_and_without_transcoding() {
    let mut table = String::new();
    for transcode in [true, false] {
        let config = CONFIG.replace("[media]\n", &format!("[media]\ntranscode = {transcode}\n"));
        for (offer, answer) in [("111 110", "8 101"), ("8 101", "8 101"), ("8 101", "0 101")] {
            let (ladder, world) = talk(&config, offer, answer);
            let said = formats(&ladder);
            let outcome = world.ended().first().map(|data| (data.outcome, data.sip_status));
            writeln!(table, "transcode {transcode}, {offer} and {answer}: {said:?} {outcome:?}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

/// A re-INVITE of either side goes on with the codecs in force, and no third one follows.
#[test]
fn hold_and_resume_of_a_transcoded_call() {
    let shop = Answering {
        sdp: Some(described("192.0.2.20", "0 101")),
        reinvite_sdp: Some(described("192.0.2.20", "0 101")),
        ..Answering::default()
    };
    let mut world = world(shop, Answering::default());
    let script = vec![(SECOND, Do::Reinvite("sendonly")), (3 * SECOND, Do::Reinvite("sendrecv"))];
    world.dial(Calling { sdp: Some(described("192.0.2.10", "8 101")), script, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
}

/// The media threads are told what each side wants in its own numbers.
#[test]
fn f10_each_side_is_sent_what_it_named() {
    let (_, world) = talk(CONFIG, "8 101", "0 96");
    for media in world.media.values() {
        let said = |side: Side| {
            let remote = media.remotes[side.index()].as_ref().unwrap();
            remote.formats.iter().take(remote.said).map(|format| format.payload_type).collect::<Vec<_>>()
        };
        assert_eq!((said(Side::Caller), said(Side::Company)), (vec![8, 101], vec![0, 96]));
    }
}
