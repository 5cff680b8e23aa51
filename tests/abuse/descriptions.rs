//! Session descriptions: addresses that no packet may go to, numbers out of range, and offers and answers that do not fit.

use std::fmt::Write as _;

use leaseline::core::media_address::{OwnMedia, is_acceptable};

use crate::raw::{OFFER, Raw};
use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};
use crate::{SECOND, answers, assert_healthy, world, world_with};

/// What becomes of a call with this offer: `taken: m-line to the company`, or the refusal.
fn offered(sdp: &str) -> (String, World) {
    let mut world = world(CONFIG);
    let call = world.dial(Calling { sdp: Some(sdp.to_owned()), ..Calling::default() });
    world.settle();
    let finals = world.phone(CARRIER).dialogs[&call].finals.clone();
    let crossed = world.sent_to(SHOP).first().map(|invite| String::from_utf8_lossy(&invite.body()).into_owned());
    let media: Vec<&str> = crossed.iter().flat_map(|body| body.lines()).filter(|line| line.starts_with("m=")).collect();
    let codes = crate::codes(&world);
    let reason = world.ended().first().and_then(|data| data.reason.clone()).unwrap_or(codes);
    let remotes: Vec<_> = world
        .media
        .values()
        .filter_map(|media| media.remotes[0].as_ref())
        .map(|r| (r.rtp, r.flowing.to_side))
        .collect();
    (format!("{finals:?} {reason} {media:?} {remotes:?}"), world)
}

#[test]
fn media_addresses_that_are_refused() {
    let mut table = String::new();
    let addresses = [
        ("IP4 0.0.0.0", 40_000),
        ("IP4 127.0.0.1", 40_000),
        ("IP4 169.254.169.254", 40_000),
        ("IP4 224.0.0.1", 40_000),
        ("IP4 255.255.255.255", 40_000),
        ("IP4 203.0.113.1", 20_000),
        ("IP4 203.0.113.1", 29_998),
        ("IP6 ::", 40_000),
        ("IP6 fe80::1", 40_000),
        ("IP6 ::ffff:127.0.0.1", 40_000),
        ("IP6 2001:db8::1", 40_000),
        ("IP6 192.0.2.10", 40_000),
        ("IP4 media.example.com", 40_000),
        ("IP4 192.0.2.10", 0),
        ("IP4 192.0.2.10", 1),
        ("IP4 192.0.2.10", 1_023),
        ("IP4 192.0.2.10", 5_060),
        ("IP4 192.0.2.10", 65_535),
        ("IP4 10.0.0.7", 40_000),
        ("IP4 192.0.2.10/127", 40_000),
    ];
    for (address, port) in addresses {
        let sdp = OFFER.replace("c=IN IP4 192.0.2.10", &format!("c=IN {address}")).replace("40000", &port.to_string());
        let (said, mut world) = offered(&sdp);
        writeln!(table, "{address}:{port} -> {said}").unwrap();
        for media in world.media.values() {
            for remote in media.remotes.iter().flatten().filter(|remote| remote.flowing.to_side) {
                let ip = remote.rtp.ip().to_canonical();
                assert!(!ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified(), "{address}: media to {ip}");
                let own = OwnMedia { addresses: vec![world.us_at.ip()], ports: (20_000, 29_999) };
                assert_eq!(is_acceptable(remote.rtp, &own), Ok(()), "{address}: the relay would refuse it");
            }
        }
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn offers_out_of_range_or_shape() {
    let mut table = String::new();
    let m = |line: &str| OFFER.replace("m=audio 40000 RTP/AVP 8 101", line);
    let attribute = |line: &str| format!("{OFFER}{line}\r\n");
    let many = |line: &str, count: usize| format!("{OFFER}{}", format!("{line}\r\n").repeat(count));
    let cases: Vec<(&str, String)> = vec![
        ("F01 payload type 2^32", m("m=audio 40000 RTP/AVP 4294967296 8")),
        ("F01 only 2^32", m("m=audio 40000 RTP/AVP 4294967296")),
        ("F01 payload type 128", m("m=audio 40000 RTP/AVP 128 8")),
        ("F01 payload type -1", m("m=audio 40000 RTP/AVP -1 8")),
        ("F01 twice", m("m=audio 40000 RTP/AVP 8 8 8")),
        ("F01 rtpmap of an absent one", attribute("a=rtpmap:77 speex/8000")),
        ("F01 rate 0", attribute("a=rtpmap:8 PCMA/0")),
        ("F01 rate 2^32", attribute("a=rtpmap:8 PCMA/4294967296")),
        ("F02 fmtp with NUL", attribute("a=fmtp:8 \0")),
        ("F02 fmtp of 4 KB", attribute(&format!("a=fmtp:8 {}", "x".repeat(4_096)))),
        ("F02 fmtp without value", attribute("a=fmtp:101")),
        ("F02 fmtp of an absent one", attribute("a=fmtp:33 x=1")),
        ("F03 media type of 200 bytes", m(&format!("m={} 40000 RTP/AVP 8", "a".repeat(200)))),
        ("F03 unknown proto", m("m=audio 40000 FOO/BAR 8")),
        ("F03 SAVP", m("m=audio 40000 RTP/SAVP 8")),
        ("F03 port 65536", m("m=audio 65536 RTP/AVP 8")),
        ("F03 port -1", m("m=audio -1 RTP/AVP 8")),
        ("F03 port count", m("m=audio 40000/2147483647 RTP/AVP 8")),
        ("F04 no c=", OFFER.replace("c=IN IP4 192.0.2.10\r\n", "")),
        ("F04 no o= s= t=", OFFER.replace("o=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\n", "").replace("t=0 0\r\n", "")),
        ("F04 no v=", OFFER.replace("v=0\r\n", "")),
        ("F04 only LF", OFFER.replace("\r\n", "\n")),
        ("F05 1,000 m-lines", many("m=audio 40002 RTP/AVP 0", 1_000)),
        ("F05 1,000 attributes", many("a=x:y", 1_000)),
        ("F07 no common codec", m("m=audio 40000 RTP/AVP 18 101")),
        ("F07 only video", m("m=video 40000 RTP/AVP 96")),
        ("F07 only T.38", m("m=image 40000 udptl t38")),
        ("F07 audio and video", attribute("m=video 40002 RTP/AVP 96")),
        ("F07 video first", m("m=video 40002 RTP/AVP 96\r\nm=audio 40000 RTP/AVP 8")),
        ("F10 events as 96", m("m=audio 40000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000")),
        ("F10 ptime 0", attribute("a=ptime:0")),
        ("F10 ptime 2^32", attribute("a=ptime:4294967296")),
        ("F12 version backwards", OFFER.replace("- 1 1 IN", "- 1 99999999999999999999 IN")),
    ];
    for (name, sdp) in cases {
        let (said, mut world) = offered(&sdp);
        writeln!(table, "{name:<30} {said}").unwrap();
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn nothing_inside_an_offer_or_answer_crosses() {
    let inner = "v=0\r\no=alice 1 1 IN IP4 10.99.1.2\r\ns=secret\r\ni=secret\r\nu=http://10.99.1.2\r\ne=a@secret.example\r\n\
        c=IN IP4 10.99.1.2\r\nb=AS:80\r\nt=0 0\r\na=x-secret:1\r\nm=audio 40000 RTP/AVP 8 101\r\ni=secret\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtcp:40001 IN IP4 10.99.1.2\r\n\
        a=candidate:1 1 UDP 2130706431 10.99.1.2 40000 typ host\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret\r\n\
        a=ice-ufrag:secret\r\na=ice-pwd:secretsecretsecretsecret\r\na=fingerprint:sha-256 SECRET\r\na=ssrc:1 cname:secret\r\n\
        a=label:secret\r\na=sendrecv\r\n";
    let shop = Answering { sdp: Some(inner.replace("10.99.1.2", "10.98.1.2")), ..Answering::default() };
    let mut world = world_with(CONFIG, shop);
    world.dial(Calling {
        sdp: Some(inner.to_owned()),
        headers: vec![("X-Secret", "secret".into()), ("User-Agent", "secret".into()), ("Subject", "secret".into())],
        ..Calling::default()
    });
    world.settle();
    assert_eq!(world.ended()[0].outcome.unwrap().as_str(), "answered", "{}", world.ladder());
    let mut looked_at = 0;
    for (from, to, bytes) in world.sent.iter().filter(|(from, ..)| *from == world.us_at) {
        looked_at += 1;
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        let inner = if *to == CARRIER.parse().unwrap() { "10.98." } else { "10.99." };
        assert!(!text.contains(inner) && !text.contains("secret"), "{from} → {to}\n{text}");
    }
    assert!(looked_at > 6, "only {looked_at}");
}

#[test]
fn answers_that_do_not_fit() {
    let mut table = String::new();
    let m = |line: &str| OFFER.replace("192.0.2.10", "198.51.100.1").replace("m=audio 40000 RTP/AVP 8 101", line);
    let fine = m("m=audio 40000 RTP/AVP 8 101");
    let cases: Vec<(&str, String)> = vec![
        ("as it should be", fine.clone()),
        ("F08 one m-line more", format!("{fine}m=video 40002 RTP/AVP 96\r\n")),
        ("F08 no m-line", m("")),
        ("F08 a number of its own", m("m=audio 40000 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000")),
        ("F08 a codec that nobody offered", m("m=audio 40000 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000")),
        ("F08 only events", m("m=audio 40000 RTP/AVP 101")),
        ("F08 audio port 0", m("m=audio 0 RTP/AVP 8")),
        ("F08 video instead", m("m=video 40000 RTP/AVP 96")),
        ("F08 no SDP at all", "x".into()),
        ("F08 empty", String::new()),
        ("F04 c= of loopback", fine.replace("198.51.100.1", "127.0.0.1")),
        ("E16 c= of our own port", fine.replace("198.51.100.1", "203.0.113.1").replace("40000", "20000")),
        ("hold", fine.replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0")),
    ];
    for (name, sdp) in cases {
        let shop = Answering { sdp: Some(sdp), hang_up: None, ..Answering::default() };
        let mut world = world_with(CONFIG, shop);
        world.phone(OFFICE).set_answering(Answering {
            ringing: Vec::new(),
            answer: Some((SECOND, 486)),
            ..Answering::default()
        });
        let call = world.dial(Calling::default());
        world.settle();
        let shop = world.phone(SHOP).dialogs.values().next().map(|dialog| (dialog.acked, dialog.byes));
        let office = world.phone(OFFICE).dialogs.len();
        let reason = world.ended()[0].reason.clone();
        writeln!(
            table,
            "{name:<40} {:?} {reason:?}; shop (acked, byes) {shop:?}, office tried {office}",
            world.phone(CARRIER).dialogs[&call].finals
        )
        .unwrap();
        world.phone(SHOP).set_answering(Answering::default());
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn bodies_that_are_no_description() {
    let mut table = String::new();
    let multipart = |parts: &str| parts.replace('\n', "\r\n");
    let sdp_part = format!("--b\nContent-Type: application/sdp\n\n{}--b--\n", OFFER.replace("\r\n", "\n"));
    let cases: Vec<(&str, &str, String)> = vec![
        ("F14 capitals", "APPLICATION/SDP", OFFER.into()),
        ("F14 charset", "application/sdp; charset=utf-8", OFFER.into()),
        ("F14 missing", "", OFFER.into()),
        ("F14 wrong", "text/plain", OFFER.into()),
        ("F14 json", "application/sdp+json", OFFER.into()),
        ("A13 multipart", "multipart/mixed; boundary=b", multipart(&sdp_part)),
        ("A13 no boundary", "multipart/mixed", multipart(&sdp_part)),
        ("A13 empty boundary", "multipart/mixed; boundary=\"\"", multipart(&sdp_part)),
        ("A13 no end", "multipart/mixed; boundary=b", multipart(&sdp_part.replace("--b--\n", ""))),
        (
            "A13 only ISUP",
            "multipart/mixed; boundary=b",
            multipart("--b\nContent-Type: application/ISUP\n\n\u{1}\u{2}\n--b--\n"),
        ),
        (
            "A13 the word, not the part",
            "multipart/mixed; boundary=b",
            multipart("--b\nContent-Type: text/plain\n\napplication/sdp\n--b--\n"),
        ),
        ("no body", "application/sdp", String::new()),
    ];
    for (name, content_type, body) in cases {
        let mut world = world(CONFIG);
        let mut raw = Raw::invite("b").sdp(&body);
        raw =
            if content_type.is_empty() { raw.without("Content-Type") } else { raw.with("Content-Type", content_type) };
        world.inject(CARRIER, &raw.bytes());
        world.settle();
        let said = if answers(&world).starts_with(&[100]) { "taken".into() } else { format!("{:?}", answers(&world)) };
        writeln!(table, "{name:<28} {content_type:<32} {said} {}", crate::codes(&world)).unwrap();
        assert_healthy(&mut world);
    }
    let mut world = world(CONFIG);
    world.inject(CARRIER, &Raw::invite("z").and("Content-Encoding", "gzip").bytes());
    world.settle();
    writeln!(table, "F14 gzip {:?} {}", answers(&world), crate::codes(&world)).unwrap();
    insta::assert_snapshot!(table);
}

#[test]
fn the_offer_may_come_late_and_the_answer_must_come() {
    let mut table = String::new();
    // F06: no offer in INVITE; the ACK without an answer, or with a broken one, ends the call on both sides.
    for (name, body) in [("answer", Some(OFFER)), ("broken answer", Some("v=0\r\n")), ("no answer", None)] {
        let mut world = world(CONFIG);
        let mut raw = Raw::invite("late").without("Content-Type");
        raw.body.clear();
        world.inject(CARRIER, &raw.bytes());
        world.pass(2 * SECOND);
        let ok = world.sent_to(CARRIER).into_iter().find(|message| message.status() == 200).unwrap();
        let mut ack = Raw::new("ACK", "sip:203.0.113.1:5060", "ack").with("CSeq", "1 ACK").with("Call-ID", "raw-late");
        ack = ack.with("From", ok.header("From").unwrap()).with("To", ok.header("To").unwrap());
        ack = body.map_or(ack.clone(), |body| ack.sdp(body));
        world.inject(CARRIER, &ack.bytes());
        world.pass(2 * SECOND);
        let shop = world.phone(SHOP).dialogs.values().next().map(|dialog| (dialog.acked, dialog.byes));
        writeln!(table, "{name:<14} shop (acked, byes) {shop:?}, calls {}", world.counts().calls).unwrap();
        if body == Some(OFFER) {
            let (now, at) = (world.now.mono, SHOP.parse().unwrap());
            let call = world.phone(SHOP).dialogs.keys().next().unwrap().clone();
            for (to, bytes) in world.phone(SHOP).hang_up(now, &call) {
                world.send(at, to, bytes);
            }
        }
        world.settle();
        writeln!(table, "               {:?}", world.ended()[0].reason).unwrap();
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}
