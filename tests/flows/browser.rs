//! Phones in browsers (RFC 5763, 8445): what is said to them and of them. Descriptions are Chromium's.

use leaseline::core::media::{DtlsMedia, Remote, Secure};
use leaseline::wire::sdp::{Accepts, Dtls, Fingerprint, Sdp, Secured, Setup};

use rsip::Method;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const OFFER: &str = include_str!("../fixtures/chromium_offer.sdp");

fn offer() -> String {
    OFFER.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// What Chromium answers to an offer of ours.
fn answer() -> String {
    let kept = ["v=", "o=", "s=", "t=", "m=", "c=", "a=group", "a=ice-", "a=fingerprint", "a=mid", "a=sendrecv"];
    let more = ["a=rtcp-mux", "a=rtpmap:8 ", "a=rtpmap:126", "a=candidate", "a=ssrc"];
    let lines = offer();
    let lines = lines.lines().filter(|line| kept.iter().chain(&more).any(|start| line.starts_with(start)));
    let text: String = lines.map(|line| format!("{line}\r\n")).collect();
    text.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 8 101")
        .replace("a=rtpmap:126", "a=rtpmap:101")
        .replace("a=mid:0", "a=mid:0\r\na=setup:active")
}

fn plain(ip: &str, more: &str) -> String {
    format!(
        "v=0\r\no=phone 77 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n{more}"
    )
}

/// The carrier's leg and the one to the shop with this `media_encryption`.
fn world(caller: &str, company: &str, shop: String) -> World {
    let config =
        CONFIG.replace("country = \"GB\"", &format!("country = \"GB\"\nmedia_encryption = \"{caller}\"")).replace(
            r#""sip:sales@198.51.100.1:5060", "#,
            &format!(r#"{{ uri = "sip:sales@198.51.100.1:5060", media_encryption = "{company}" }}, "#),
        );
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(Answering { sdp: Some(shop), ..Answering::default() }));
    world.add(OFFICE, Phone::new(Answering { answer: Some((SECOND, 486)), ..Answering::default() }));
    world
}

fn calling(sdp: String) -> Calling {
    Calling { sdp: Some(sdp), ..Calling::default() }
}

/// Descriptions that went to a phone, in the order in which they went.
fn told(world: &World, to: &str) -> Vec<String> {
    let bodies = world.sent_to(to).into_iter().map(|message| String::from_utf8(message.body().to_vec()).expect("text"));
    let mut bodies: Vec<String> = bodies.filter(|body| !body.is_empty()).collect();
    bodies.dedup();
    bodies
}

fn remote(world: &World, side: usize) -> Option<Remote> {
    world.media.values().next().and_then(|media| media.remotes[side].clone())
}

fn dtls_of(world: &World, side: usize) -> Option<DtlsMedia> {
    match *remote(world, side)?.secure? {
        Secure::Dtls(media) => Some(media),
        Secure::Keys(_) => None,
    }
}

/// What a description says of DTLS.
fn said(body: &str) -> Dtls {
    let accepts = Accepts { plain: false, sdes: false, dtls: true };
    let (_, audio, _) = Sdp::parse_for(body.as_bytes(), accepts).and_then(Sdp::into_audio).expect("DTLS");
    match audio.secured.as_deref() {
        Some(Secured::Dtls(dtls)) => dtls.clone(),
        _ => unreachable!("nothing else is accepted"),
    }
}

#[test]
fn a_browser_calls_a_plain_phone() {
    let mut world = world("dtls", "off", plain("198.51.100.1", ""));
    world.dial(calling(offer()));
    world.pass(5 * SECOND);
    let (shop, browser) = (told(&world, SHOP), told(&world, CARRIER));
    insta::assert_snapshot!(format!("to the shop:\n{}\nto the browser:\n{}", shop[0], browser.last().unwrap()));
    let (theirs, ours) = (said(&offer()), said(browser.last().unwrap()));
    let media = dtls_of(&world, 0).expect("a handshake");
    assert_eq!((media.fingerprint, &media.theirs, &media.ours), (theirs.fingerprint, &theirs.ice, &ours.ice));
    assert_eq!((ours.fingerprint, ours.setup, media.is_active), (Fingerprint([0xa1; 32]), Setup::Passive, false));
    let flowing = remote(&world, 0).unwrap().flowing;
    assert!(flowing.from_side && flowing.to_side, "no address in SDP is no hold here");
    assert!(!remote(&world, 1).unwrap().rtcp_mux && remote(&world, 1).unwrap().secure.is_none());
    world.settle();
}

#[test]
fn a_plain_carrier_calls_a_browser() {
    let mut world = world("off", "dtls", answer());
    world.dial(calling(plain("192.0.2.10", "")));
    world.pass(5 * SECOND);
    let (browser, carrier) = (told(&world, SHOP), told(&world, CARRIER));
    insta::assert_snapshot!(format!("to the browser:\n{}\nto the carrier:\n{}", browser[0], carrier.last().unwrap()));
    let media = dtls_of(&world, 1).expect("a handshake");
    assert_eq!((media.fingerprint, media.is_active), (said(&offer()).fingerprint, false));
    assert_eq!(media.ours, said(&browser[0]).ice);
    assert!(remote(&world, 0).unwrap().secure.is_none());
    world.settle();
}

/// The browser's INVITE has no offer: ours stands in our answer, and its answer in its ACK.
#[test]
fn a_browser_answers_our_offer() {
    let mut world = world("dtls", "off", plain("198.51.100.1", ""));
    world.dial(Calling { offers: false, ..calling(answer()) });
    world.pass(5 * SECOND);
    let ours = said(told(&world, CARRIER).last().unwrap());
    assert_eq!(ours.setup, Setup::ActPass);
    assert_eq!(dtls_of(&world, 0).expect("a handshake").ours, ours.ice);
    for side in 0..2 {
        let remote = remote(&world, side).expect("agreed");
        assert!(remote.flowing.to_side && remote.flowing.from_side, "{remote:?}");
        assert!(remote.formats.iter().any(|format| format.payload_type == 8), "{remote:?}");
        assert!(remote.vouched || remote.has_ice(), "{remote:?}");
    }
    assert!(!told(&world, SHOP).concat().contains("fingerprint"));
    world.settle();
}

#[test]
fn which_legs_take_a_browsers_offer() {
    for (policy, status) in [("off", 488), ("sdes", 488), ("optional", 200), ("dtls", 200)] {
        let mut world = world(policy, "off", plain("198.51.100.1", ""));
        world.dial(calling(offer()));
        world.pass(5 * SECOND);
        assert!(world.sent_to(CARRIER).iter().any(|message| message.status() == status), "{policy}");
        assert_eq!(dtls_of(&world, 0).is_some(), status == 200, "{policy}");
        world.settle();
    }
    let mut clear = world("dtls", "off", plain("198.51.100.1", ""));
    clear.dial(calling(plain("192.0.2.10", "")));
    clear.pass(SECOND);
    assert!(clear.sent_to(CARRIER).iter().any(|message| message.status() == 488), "RTP in clear");
    clear.settle();
}

#[test]
fn an_answer_that_is_no_handshake_is_no_answer() {
    for (what, text) in [
        ("in clear", plain("198.51.100.1", "")),
        ("no fingerprint", answer().replace("a=fingerprint", "a=fingerpaint")),
        ("no shared port", answer().replace("a=rtcp-mux\r\n", "")),
    ] {
        let mut world = world("off", "dtls", text);
        world.dial(calling(plain("192.0.2.10", "")));
        world.pass(2 * SECOND);
        assert!(remote(&world, 1).is_none(), "{what}");
        world.settle();
        let tried = &world.ended()[0].route.as_ref().expect("a route").attempts;
        assert_eq!(tried[0].status, 502, "{what}");
    }
}

/// RFC 8445 §9, RFC 8842 §5.5: the same again, ICE anew, another certificate, hold.
#[test]
fn re_invites_of_a_browser() {
    let again = offer().replace("IN IP4 127.0.0.1\r\ns=", "IN IP4 127.0.0.2\r\ns=");
    let restarted = again.replace(&*said(&offer()).ice.ufrag, "n3wN").replace("a=ice-pwd:7F7I", "a=ice-pwd:n3wN");
    let replaced = restarted.replace("sha-256 14:11", "sha-256 15:12").replace("n3wN", "0th3");
    let held = replaced.replace("a=sendrecv", "a=sendonly");
    let script = vec![
        (2 * SECOND, Do::Describe(again)),
        (4 * SECOND, Do::Describe(restarted.clone())),
        (6 * SECOND, Do::Describe(replaced)),
    ];
    let mut world = world("dtls", "off", plain("198.51.100.1", ""));
    world.dial(Calling { script, ..calling(offer()) });
    world.pass(2 * SECOND);
    let first = dtls_of(&world, 0).expect("a handshake");
    world.pass(2 * SECOND);
    assert_eq!(dtls_of(&world, 0).as_ref(), Some(&first), "the same again");
    world.pass(2 * SECOND);
    let second = dtls_of(&world, 0).expect("a handshake");
    assert_eq!((second.fingerprint, &*second.theirs.ufrag), (first.fingerprint, "n3wN"));
    assert!(second.ours.ufrag != first.ours.ufrag && second.ours.pwd != first.ours.pwd);
    assert_eq!(said(told(&world, CARRIER).last().unwrap()).ice, second.ours);
    world.pass(2 * SECOND);
    let third = dtls_of(&world, 0).expect("a handshake");
    assert!(third.fingerprint != first.fingerprint && third.ours != second.ours);
    let invites = world.sent_to(SHOP).into_iter().filter(|message| message.method() == Some(Method::Invite));
    assert_eq!(invites.count(), 1, "nothing of it is news to the other side");
    world.settle();
    let mut world = self::world("dtls", "off", plain("198.51.100.1", ""));
    world.dial(Calling { script: vec![(2 * SECOND, Do::Describe(held))], ..calling(offer()) });
    world.pass(5 * SECOND);
    assert!(told(&world, SHOP).last().unwrap().contains("a=sendonly"));
    world.settle();
}

#[test]
fn two_browsers_have_names_of_their_own() {
    let mut world = world("dtls", "dtls", answer());
    world.dial(calling(offer()));
    world.pass(5 * SECOND);
    let (caller, company) = (dtls_of(&world, 0).expect("DTLS"), dtls_of(&world, 1).expect("DTLS"));
    assert!(caller.ours.ufrag != company.ours.ufrag && caller.ours.pwd != company.ours.pwd);
    let all = told(&world, SHOP).concat();
    for line in ["ssrc", "extmap", "192.0.2.10", "local", &*caller.theirs.pwd, &*caller.ours.pwd] {
        assert!(!all.contains(line), "{line}");
    }
    world.settle();
}
