//! What of a party's description reaches the other one, and what comes of the descriptions of phones that we have met.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use leaseline::wire::pcap::Capture;
use leaseline::wire::sip::Message;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

/// A description that tells more than it must, of a network that nobody outside has to know of.
fn talkative(public: &str, secret: &str) -> String {
    format!(
        "v=0\r\no=alice-{secret} 8 1 IN IP4 10.77.0.{secret}\r\ns=PBX {secret}\r\ni=room {secret}\r\nu=http://pbx-{secret}.lan/\r\n\
         e=alice@pbx-{secret}.lan\r\np=+44 20 7946 0{secret}\r\nc=IN IP4 {public}\r\nb=AS:80\r\nt=0 0\r\na=tool:pbx {secret}\r\n\
         a=X-session:{secret}\r\nm=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=rtcp:40001 IN IP4 10.77.0.{secret}\r\na=candidate:1 1 UDP 2130706431 10.77.0.{secret} 40000 typ host\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{secret}AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA\r\n\
         a=ice-ufrag:u{secret}\r\na=ice-pwd:p{secret}\r\na=X-nat:{secret}\r\na=alt:1 1 : {secret}\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

fn told(world: &World, to: &str) -> Vec<String> {
    let bodies = world.sent_to(to).into_iter().map(|message| String::from_utf8(message.body().to_vec()).unwrap());
    bodies.filter(|body| !body.is_empty()).collect()
}

#[test]
fn f11_nothing_of_an_inner_network_crosses() {
    let listed = ["rtpmap", "fmtp", "ptime", "maxptime", "rtcp-mux", "sendrecv", "sendonly", "recvonly", "inactive"];
    let mut world = World::new(7, CONFIG);
    world.add(CARRIER, Phone::new(Answering::default()));
    let shop = Answering { sdp: Some(talkative("198.51.100.1", "251")), ..Answering::default() };
    world.add(SHOP, Phone::new(shop));
    world.dial(Calling { sdp: Some(talkative("192.0.2.10", "252")), ..Calling::default() });
    world.pass(5 * SECOND);
    for (to, secret) in [(SHOP, "252"), (CARRIER, "251")] {
        let bodies = told(&world, to);
        assert!(!bodies.is_empty(), "{to} was told nothing");
        for body in bodies {
            assert!(!body.contains(secret) && !body.contains("10.77"), "{to} was told:\n{body}");
            for line in body.lines() {
                let (kind, rest) = line.split_once('=').unwrap_or_default();
                let name = rest.split([':', ' ']).next().unwrap_or_default();
                let is_listed = "vosctm".contains(kind) || (kind == "a" && listed.contains(&name));
                assert!(is_listed, "{to} was told {line}");
            }
            assert!(body.contains("c=IN IP4 203.0.113.1\r\n"), "{body}");
        }
    }
    assert_eq!(world.media.len(), 1, "the call stands");
}

/// Every description in the captures of phones and programs that stand in `pcap-fixtures`, and Chromium's, each once, with
/// where it was first.
fn of_phones() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("pcap-fixtures")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files {
        if !path.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for packet in Capture::read(&std::fs::read(&path).unwrap()).unwrap().packets {
            let Ok(message) = Message::parse(packet.payload) else { continue };
            let body = String::from_utf8_lossy(&message.body()).into_owned();
            if body.starts_with("v=0") {
                found.entry(outside(&body)).or_insert_with(|| name.clone());
            }
        }
    }
    let chromium = std::fs::read_to_string(folder.join("tests/fixtures/chromium_offer.sdp")).unwrap();
    found.insert(outside(&chromium.replace("\r\n", "\n").replace('\n', "\r\n")), "chromium_offer.sdp".to_owned());
    let mut all: Vec<_> = found.into_iter().map(|(body, name)| (name, body)).collect();
    all.sort();
    all
}

/// The same with an address that media may go to: captures are made on loopback. Numbers that differ from one making of a
/// capture to the next are evened out.
fn outside(body: &str) -> String {
    let mut text = String::new();
    for line in body.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| if word.parse::<Ipv4Addr>().is_ok() { "192.0.2.10".to_owned() } else { word.to_owned() })
            .collect();
        match (line.strip_prefix("o="), words.last()) {
            (Some(_), Some(address)) => {
                let _ = write!(text, "o=- 1 1 IN IP4 {address}\r\n");
            }
            _ if line.starts_with("m=") => {
                let _ = write!(text, "{} 40000 {}\r\n", words[0], words[2..].join(" "));
            }
            _ => {
                let _ = write!(text, "{}\r\n", words.join(" "));
            }
        }
    }
    text
}

/// Row F13, with phones of ours: what stands in other people's repositories is theirs.
#[test]
fn f13_descriptions_of_phones_that_we_have_met() {
    let mut table = String::new();
    for (name, offer) in of_phones() {
        let config = CONFIG.replace("country = \"GB\"", "country = \"GB\"\nmedia_encryption = \"optional\"");
        let mut world = World::new(7, &config);
        world.add(CARRIER, Phone::new(Answering::default()));
        // Who answers can talk with what is offered first, of what it knows.
        let (law, codec) = if offer.contains("RTP/AVP 0 ") { (0, "PCMU") } else { (8, "PCMA") };
        let answer = format!(
            "v=0\r\no=- 2 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
             m=audio 42000 RTP/AVP {law} 101\r\na=rtpmap:{law} {codec}/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        );
        world.add(SHOP, Phone::new(Answering { sdp: Some(answer), ..Answering::default() }));
        world.add(OFFICE, Phone::new(Answering { answer: Some((SECOND, 486)), ..Answering::default() }));
        let short = |body: &str| {
            let kept = ["m=", "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "a=ptime", "a=rtpmap"];
            let lines = body.lines().filter(|line| kept.iter().any(|start| line.starts_with(start)));
            lines.map(|line| line.replace("a=rtpmap:", "")).collect::<Vec<_>>().join(" ")
        };
        let _ = writeln!(table, "{name}\n  offered   {}", short(&offer));
        world.dial(Calling { sdp: Some(offer), ..Calling::default() });
        world.pass(5 * SECOND);
        let _ =
            writeln!(table, "  crossed   {}", told(&world, SHOP).first().map_or("-".to_owned(), |body| short(body)));
        let _ =
            writeln!(table, "  answered  {}", told(&world, CARRIER).last().map_or("-".to_owned(), |body| short(body)));
        world.settle();
        let ended = world.ended().first().map(|data| (data.sip_status, data.reason.clone()));
        let _ = writeln!(table, "  ended     {ended:?}");
    }
    insta::assert_snapshot!(table);
}
