//! Encrypted legs (RFC 4568): who offers what, what is refused, and whose key is told to whom.

use std::fmt::Write as _;

use leaseline::core::media::{Remote, Secure, SecureMedia};

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

/// `inline:` keys of the caller, of the same phone later, and of the shop.
const CALLER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const LATER: &str = "HR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0d";
const OF_SHOP: &str = "/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A";

/// The carrier's leg and the one to the shop with this `media_encryption`.
fn world(caller: &str, company: &str, shop: Answering) -> World {
    let set = |encryption: &str| match encryption {
        "" => String::new(),
        encryption => format!("media_encryption = \"{encryption}\""),
    };
    let config = CONFIG.replace("country = \"GB\"", &format!("country = \"GB\"\n{}", set(caller))).replace(
        r#""sip:sales@198.51.100.1:5060", "#,
        &format!(r#"{{ uri = "sip:sales@198.51.100.1:5060", {} }}, "#, set(company)).replace(",  }", " }"),
    );
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(Answering { answer: Some((SECOND, 486)), ..Answering::default() }));
    world
}

fn described(ip: &str, version: u32, profile: &str, more: &str) -> String {
    format!(
        "v=0\r\no=phone 77 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 {profile} 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n{more}"
    )
}

fn crypto(tag: u32, key: &str) -> String {
    format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31\r\n")
}

fn plain(ip: &str) -> String {
    described(ip, 1, "RTP/AVP", "")
}

fn secured(ip: &str, tag: u32, key: &str) -> String {
    let unknown = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\r\n";
    described(ip, 1, "RTP/SAVP", &format!("{unknown}{}", crypto(tag, key)))
}

fn caller_says(sdp: String) -> Calling {
    Calling { sdp: Some(sdp), ..Calling::default() }
}

fn shop_says(sdp: String) -> Answering {
    Answering { sdp: Some(sdp), ..Answering::default() }
}

/// Bodies that went to a phone, in the order in which they went.
fn told(world: &World, to: &str) -> Vec<String> {
    let bodies = world.sent_to(to).into_iter().map(|message| String::from_utf8(message.body().to_vec()).expect("text"));
    let mut bodies: Vec<String> = bodies.filter(|body| !body.is_empty()).collect();
    bodies.dedup();
    bodies
}

/// The profile and the crypto lines of a description, keys left out.
fn summary(body: Option<&String>) -> String {
    let Some(body) = body else { return "-".to_owned() };
    let profile = body.lines().find_map(|line| line.strip_prefix("m=audio")?.split(' ').nth(2));
    let lines = body.lines().filter_map(|line| line.strip_prefix("a=crypto:")?.split_once(" inline:"));
    let lines: Vec<&str> = lines.map(|(line, _)| line).collect();
    format!("{} {lines:?}", profile.unwrap_or("-"))
}

fn remotes(world: &World) -> [Option<Remote>; 2] {
    world.media.values().next().map(|media| media.remotes.clone()).unwrap_or_default()
}

fn keys(world: &World, side: usize) -> Option<SecureMedia> {
    match remotes(world)[side].as_ref()?.secure.as_deref()? {
        Secure::Keys(keys) => Some(keys.clone()),
        Secure::Dtls(_) => None,
    }
}

#[test]
fn e13_which_offers_are_taken_and_which_are_made() {
    let mut table = String::new();
    for caller in ["off", "optional", "sdes"] {
        for (offer, offered) in [
            ("plain", plain("192.0.2.10")),
            ("encrypted", secured("192.0.2.10", 4, CALLER)),
            ("without key", described("192.0.2.10", 1, "RTP/SAVP", "")),
        ] {
            for company in ["off", "optional", "sdes"] {
                let answer =
                    if company == "sdes" { secured("198.51.100.1", 1, OF_SHOP) } else { plain("198.51.100.1") };
                let mut world = world(caller, company, shop_says(answer));
                world.dial(caller_says(offered.clone()));
                world.pass(5 * SECOND);
                let _ = write!(table, "{caller}, {offer:<11} -> {company:<8}: ");
                let secure = [keys(&world, 0).is_some(), keys(&world, 1).is_some()];
                let shop = summary(told(&world, SHOP).first());
                let answer = summary(told(&world, CARRIER).last());
                world.settle();
                let status = world.ended().first().map(|data| (data.sip_status, data.reason.clone()));
                let refused = world.sent_to(CARRIER).iter().any(|message| message.status() == 488);
                let _ = if refused {
                    writeln!(table, "488")
                } else {
                    writeln!(table, "shop {shop}, caller {answer}, encrypted {secure:?} {:?}", status.map(|s| s.0))
                };
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn e13_an_answer_in_clear_to_an_encrypted_offer_is_no_answer() {
    for (what, answer) in [
        ("in clear", plain("198.51.100.1")),
        ("another tag", secured("198.51.100.1", 7, OF_SHOP)),
        ("another suite", secured("198.51.100.1", 2, OF_SHOP)),
        ("no key", described("198.51.100.1", 1, "RTP/SAVP", "")),
    ] {
        let mut world = world("off", "sdes", shop_says(answer));
        world.dial(caller_says(plain("192.0.2.10")));
        world.pass(1_500 * SECOND / 1_000);
        assert!(remotes(&world)[1].is_none(), "{what}: nothing is sent there");
        world.settle();
        let tried = &world.ended()[0].route.as_ref().expect("a route").attempts;
        assert_eq!(tried[0].status, 502, "{what}");
    }
}

#[test]
fn keys_of_one_leg_are_not_told_on_the_other() {
    let mut world = world("sdes", "sdes", shop_says(secured("198.51.100.1", 1, OF_SHOP)));
    world.dial(caller_says(secured("192.0.2.10", 4, CALLER)));
    world.pass(5 * SECOND);
    let (shop, carrier) = (told(&world, SHOP).concat(), told(&world, CARRIER).concat());
    for key in [CALLER, OF_SHOP] {
        assert!(!shop.contains(key) && !carrier.contains(key));
    }
    let inline = |body: &str| -> Vec<String> {
        body.lines().filter_map(|line| Some(line.split_once("inline:")?.1.to_owned())).collect()
    };
    for ours in inline(&carrier) {
        assert!(!inline(&shop).contains(&ours), "one key for both legs");
    }
    assert_eq!((inline(&carrier).len(), inline(&shop).len()), (1, 2));
    let (caller, company) = (keys(&world, 0).expect("keys"), keys(&world, 1).expect("keys"));
    assert!(caller.send != company.send && caller.receive != company.receive);
    assert_eq!(company.receive.bytes()[..4], [0xff, 0, 0xff, 0]);
    world.settle();
}

#[test]
fn a_new_key_in_a_re_invite_is_answered_with_a_new_one() {
    let again = described("192.0.2.10", 2, "RTP/SAVP", &crypto(4, CALLER));
    let moved = again.replace("m=audio 40000", "m=audio 40010");
    let rekeyed = described("192.0.2.10", 3, "RTP/SAVP", &crypto(5, LATER));
    let clear = plain("192.0.2.10");
    let script =
        vec![(2 * SECOND, Do::Describe(moved)), (4 * SECOND, Do::Describe(rekeyed)), (6 * SECOND, Do::Describe(clear))];
    let mut world = world("optional", "off", shop_says(plain("198.51.100.1")));
    let call = world.dial(Calling { script, ..caller_says(secured("192.0.2.10", 4, CALLER)) });
    world.pass(2 * SECOND);
    let first = keys(&world, 0).expect("keys");
    world.pass(2 * SECOND);
    assert_eq!(keys(&world, 0).as_ref(), Some(&first), "the same key again goes on");
    world.pass(2 * SECOND);
    let second = keys(&world, 0).expect("keys");
    assert!(second.receive != first.receive && second.send != first.send);
    world.pass(2 * SECOND);
    assert_eq!(keys(&world, 0).as_ref(), Some(&second), "nothing goes back to clear");
    let heard: Vec<u16> = world.phone(CARRIER).dialogs[&call].heard.iter().map(|(_, status)| *status).collect();
    assert_eq!(heard[..3], [200, 200, 488]);
    assert!(told(&world, SHOP).iter().all(|body| body.contains("RTP/AVP") && !body.contains("crypto")));
    world.settle();
}

#[test]
fn hold_from_the_plain_side_keeps_the_keys_of_the_other() {
    let mut world = world("off", "sdes", shop_says(secured("198.51.100.1", 1, OF_SHOP)));
    let script = vec![(2 * SECOND, Do::Reinvite("sendonly"))];
    world.phone(SHOP).set_answering(Answering {
        reinvite_sdp: Some(described("198.51.100.1", 2, "RTP/SAVP", &crypto(1, OF_SHOP))),
        ..shop_says(secured("198.51.100.1", 1, OF_SHOP))
    });
    world.dial(Calling { script, ..caller_says(plain("192.0.2.10")) });
    world.pass(3 * SECOND);
    let before = keys(&world, 1).expect("keys");
    world.pass(2 * SECOND);
    assert_eq!(keys(&world, 1), Some(before));
    let to_shop = told(&world, SHOP);
    assert!(to_shop.len() >= 2 && to_shop.last().is_some_and(|body| body.matches("a=crypto").count() == 1));
    assert!(told(&world, CARRIER).iter().all(|body| !body.contains("crypto") && body.contains("RTP/AVP ")));
    world.settle();
}

#[test]
fn an_offer_of_the_company_is_answered_with_one_line() {
    let mut world = world("off", "sdes", shop_says(secured("198.51.100.1", 9, OF_SHOP)));
    world.dial(Calling { offers: false, ..Calling::default() });
    world.pass(4 * SECOND);
    assert_eq!(summary(told(&world, CARRIER).first()), "RTP/AVP []");
    assert_eq!(summary(told(&world, SHOP).last()), "RTP/SAVP [\"9 AES_CM_128_HMAC_SHA1_80\"]");
    assert!(keys(&world, 0).is_none() && keys(&world, 1).is_some());
    world.settle();
}

#[test]
fn of_two_streams_the_one_that_will_do_is_taken() {
    let both =
        format!("{}m=audio 40002 RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\n{}", plain("192.0.2.10"), crypto(1, CALLER));
    for (policy, port) in [("off", 40_000), ("sdes", 40_002)] {
        let mut world = world(policy, "off", shop_says(plain("198.51.100.1")));
        world.dial(caller_says(both.clone()));
        world.pass(3 * SECOND);
        assert_eq!(remotes(&world)[0].as_ref().map(|remote| remote.rtp.port()), Some(port));
        world.settle();
    }
}
