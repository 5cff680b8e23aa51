//! Who is let in, and what the others hear: garbage, strangers, unknown methods and extensions, caps.

use std::fmt::Write as _;

use leaseline::core::b2bua::Input;

use crate::raw::{OURS, Raw};
use crate::world::phone::Calling;
use crate::world::{CARRIER, CONFIG, SHOP, World};
use crate::{SECOND, STRANGER, answers, assert_healthy, codes, world};

/// Sends one message to a fresh world and gives what came of it: answers, codes, and the INVITE that the company got.
fn outcome(bytes: &[u8]) -> (Vec<u16>, String, World) {
    let mut world = world(CONFIG);
    // Our answers repeat the lines of broken requests; the phone takes whole messages only.
    let carrier = CARRIER.parse().unwrap();
    let phone = world.phones.remove(&carrier).unwrap();
    world.inject(CARRIER, bytes);
    world.settle();
    world.phones.insert(carrier, phone);
    (answers(&world), codes(&world), world)
}

/// A call that was let in and that nobody acknowledges: 100, ringing, and copies of the 200.
fn is_taken(answers: &[u16]) -> bool {
    let mut different = answers.to_vec();
    different.dedup();
    different == [100, 180, 200]
}

#[test]
fn white_space_before_the_colon_is_legal_and_nothing_else_is() {
    for header in ["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Content-Type"] {
        for legal in [format!("{header} "), format!("{header}\t"), format!("{header} \t "), header.to_uppercase()] {
            let (answers, codes, world) = outcome(&Raw::invite("ws").named(header, &legal).bytes());
            assert!(is_taken(&answers), "{legal:?}: {answers:?} {codes}");
            let caller = world.ended().first().and_then(|data| data.caller.clone());
            assert_eq!(caller.as_deref(), Some("+447700900123"), "{legal:?}");
        }
        for odd in ["\u{1}", "\u{a0}", "\0", " \u{1}", "\u{b}"] {
            let (answers, codes, mut world) =
                outcome(&Raw::invite("odd").named(header, &format!("{header}{odd}")).bytes());
            assert!(answers.iter().all(|status| *status == 400), "{header}{odd:?}: {answers:?} {codes}");
            assert!(world.sent_to(SHOP).is_empty() && world.ended().is_empty());
            assert_healthy(&mut world);
        }
    }
}

#[test]
fn a_trust_header_with_an_odd_name_is_not_believed() {
    for odd in ["P-Asserted-Identity\u{1}", "P-Asserted-Identity\u{a0}", "X-P-Asserted-Identity", "P-Asserted_Identity"]
    {
        let bytes = Raw::invite("odd").and(odd, "<sip:+447700900999@192.0.2.10>").bytes();
        let (_, _, world) = outcome(&bytes);
        for data in world.ended() {
            assert_eq!(data.caller.as_deref(), Some("+447700900123"), "{odd:?}");
        }
        for (from, _, bytes) in &world.sent {
            assert!(*from != world.us_at || !bytes.windows(12).any(|w| w == b"447700900999"), "{odd:?} crossed");
        }
    }
}

#[test]
fn what_must_be_there_is_missing_or_unreadable() {
    let mut table = String::new();
    for header in ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Content-Type"] {
        let broken = ["", "\"", "<", ";;=", "<sip:>", "\u{fffd}", ">x<", ","];
        let mut cases = vec![("missing".to_owned(), Raw::invite("m").without(header))];
        cases.extend(broken.map(|value| (format!("{value:?}"), Raw::invite("m").with(header, value))));
        for (case, raw) in cases {
            let (answers, codes, mut world) = outcome(&raw.bytes());
            let said = if is_taken(&answers) { "taken".to_owned() } else { format!("{answers:?}") };
            writeln!(table, "{header:<13} {case:<12} {said:<8} {codes}").unwrap();
            assert!(answers.iter().filter(|status| **status >= 300).count() <= 1, "{header} {case}: {answers:?}");
            assert_healthy(&mut world);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn garbage_is_counted_and_not_answered() {
    let noise: Vec<u8> = (0..65_507_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let rtp = [0x80, 0x08, 0x12, 0x34, 0, 0, 0, 160, 1, 2, 3, 4, 0xd5, 0xd5];
    let stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let http = b"GET / HTTP/1.1\r\nHost: 203.0.113.1:5060\r\nUser-Agent: probe\r\n\r\n";
    let mut world = world(CONFIG);
    let garbage: [&[u8]; 9] =
        [b"", b"\0\0\0\0", b"\r\n\r\n", stun, hello, http, &rtp, &noise, b"SIP/2.0 200 OK\r\n\r\n"];
    for bytes in garbage {
        for source in [CARRIER, STRANGER] {
            world.inject(source, bytes);
        }
    }
    world.settle();
    assert!(world.sent.iter().all(|(from, ..)| *from != world.us_at), "{}", world.ladder());
    // A double CRLF is a keep-alive (RFC 5626 §4.4.1), whoever sends it; each of the others is counted once.
    let dropped: u64 = world.us.agent().drops().iter().map(|(_, count)| count).sum();
    assert_eq!(dropped, 2 * garbage.len() as u64, "{}", codes(&world));
    assert!(world.events.is_empty());
    assert_healthy(&mut world);
}

#[test]
fn an_answer_goes_to_the_source_whatever_via_says() {
    for via in [
        "SIP/2.0/UDP 198.51.100.99:5060;branch=z9hG4bK-v",
        "SIP/2.0/UDP 198.51.100.99:5060;branch=z9hG4bK-v;rport",
        "SIP/2.0/UDP 198.51.100.99;rport=53;received=198.51.100.98;branch=z9hG4bK-v",
        "SIP/2.0/UDP victim.example.com;maddr=198.51.100.97;branch=z9hG4bK-v",
        "SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK-v",
        "SIP/2.0/UDP 192.0.2.10:0;branch=z9hG4bK-v",
        "SIP/2.0/UDP 192.0.2.10:65536;branch=z9hG4bK-v",
        "SIP/2.0/TCP 198.51.100.99;branch=z9hG4bK-v",
        "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK-v;maddr=224.0.1.75;ttl=16",
    ] {
        for raw in [
            Raw::new("OPTIONS", "sip:203.0.113.1", "v"),
            Raw::new("REGISTER", "sip:203.0.113.1", "v"),
            Raw::invite("v"),
        ] {
            let (answers, _, mut world) = outcome(&raw.with("Via", via).bytes());
            assert!(!answers.is_empty(), "{via}: an answer");
            // Looks at every address that something went to.
            assert_healthy(&mut world);
        }
    }
}

#[test]
fn methods_and_extensions_that_we_do_not_have() {
    let mut table = String::new();
    for method in
        ["REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "NOTIFY", "REFER", "PRACK", "UPDATE", "INFO", "BYE", "NONSENSE"]
    {
        let (answers, codes, mut world) = outcome(&Raw::new(method, OURS, "m").bytes());
        let allow = world.sent_to(CARRIER)[0].header("Allow").map(str::to_owned);
        writeln!(table, "{method:<10} {answers:?} {codes} allow {allow:?}").unwrap();
        assert_healthy(&mut world);
    }
    for (name, value) in
        [("Require", "100rel"), ("Require", "replaces, timer"), ("Proxy-Require", "foo"), ("Supported", "x")]
    {
        let (answers, codes, mut world) = outcome(&Raw::invite("r").and(name, value).bytes());
        let answer = world.sent_to(CARRIER).remove(0);
        let said = if is_taken(&answers) { "taken".to_owned() } else { format!("{answers:?}") };
        writeln!(table, "{name}: {value} {said} {codes} unsupported {:?}", answer.header("Unsupported")).unwrap();
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_refusal_is_one_answer_not_larger_than_a_carriers_request_and_a_stranger_hears_nothing() {
    let unknown = |id: &str| Raw::invite(id).start_with("INVITE sip:+442079460777@203.0.113.1 SIP/2.0");
    let refused = [
        unknown("a"),
        unknown("b").start_with("INVITE sip:nobody@203.0.113.1 SIP/2.0"),
        Raw::invite("c").with("Require", "x"),
        Raw::invite("d").with("Max-Forwards", "0"),
        Raw::invite("e").with("Content-Type", "text/html"),
        Raw::invite("f").sdp("v=0\r\n"),
        Raw::invite("g").with("CSeq", "1 BYE"),
        Raw::invite("h").start_with("INVITE sip:+442079460500@203.0.113.1 SIP/3.0"),
    ];
    for raw in refused {
        let bytes = raw.bytes();
        let (answers, codes, mut world) = outcome(&bytes);
        assert_eq!(answers.len(), 1, "{codes}: {answers:?}");
        let answered: usize = world.sent_to(CARRIER).iter().map(|answer| answer.bytes().len()).sum();
        assert!(answered <= bytes.len(), "{codes}: {} bytes in, {answered} out", bytes.len());
        assert_healthy(&mut world);
        let mut world = crate::world(CONFIG);
        world.inject(STRANGER, &bytes);
        world.inject(STRANGER, &Raw::new("OPTIONS", "sip:203.0.113.1", "s").bytes());
        world.inject(STRANGER, &Raw::new("ACK", "sip:203.0.113.1", "s").bytes());
        world.inject(STRANGER, &Raw::new("BYE", "sip:203.0.113.1", "t").with("To", "<sip:a@b>;tag=1").bytes());
        assert_healthy(&mut world);
    }
}

#[test]
fn unknown_foreign_and_malformed_numbers_sound_the_same() {
    let mut heard = std::collections::BTreeSet::new();
    for uri in [
        "sip:+442079460777@203.0.113.1",
        "sip:+15550100@203.0.113.1",
        "sip:hello@203.0.113.1",
        "sip:203.0.113.1",
        "sip:%00@203.0.113.1",
        "sip:+4420794605001234567890123456789012345678901234567890@203.0.113.1",
        "tel:+442079460777",
        "sip:+442079460501@203.0.113.1;user=phone",
    ] {
        let raw = Raw::invite("n").start_with(&format!("INVITE {uri} SIP/2.0")).with("To", "<sip:x@203.0.113.1>");
        let (_, codes, mut world) = outcome(&raw.bytes());
        assert_eq!(codes, "number_unknown", "{uri}");
        let answer = world.sent_to(CARRIER).remove(0);
        let tag = answer.to().unwrap().tag().unwrap().to_owned();
        heard.insert(answer.bytes().escape_ascii().to_string().replace(&tag, "TAG"));
        assert_healthy(&mut world);
    }
    assert_eq!(heard.len(), 1, "answers differ: {heard:#?}");
}

#[test]
fn only_the_packets_source_says_who_it_is() {
    let mut world = World::new(7, CONFIG);
    let options = |id: &str| Raw::new("OPTIONS", "sip:203.0.113.1", id);
    let sources = [
        ("192.0.2.0:5060", true),
        ("192.0.2.255:1", true),
        ("[::ffff:192.0.2.77]:5060", true),
        ("192.0.1.255:5060", false),
        ("192.0.3.0:5060", false),
        ("[2001:db8::c000:20a]:5060", false),
        ("[::192.0.2.10]:5060", false),
        ("127.0.0.1:5060", false),
        ("0.0.0.0:5060", false),
        ("203.0.113.1:5061", false),
    ];
    for (index, (source, known)) in sources.into_iter().enumerate() {
        let before = world.sent.len();
        // Every header says that it is the carrier.
        let raw = options(&format!("acl-{index}"))
            .with("Contact", "<sip:carrier@192.0.2.10>")
            .with("X-Forwarded-For", "192.0.2.10")
            .with("P-Asserted-Identity", "<sip:+447700900123@192.0.2.10>");
        world.inject(source, &raw.bytes());
        world.run(SECOND);
        let answered = world.sent[before..].iter().filter(|(from, ..)| *from == world.us_at).count();
        assert_eq!(answered, usize::from(known), "{source}");
    }
}

#[test]
fn full_houses_say_so_and_recover() {
    let full = |changed: (&str, &str)| CONFIG.replace(changed.0, changed.1);
    for (config, code) in [
        (full(("[sip]", "[sip]\ncalls_max = 1")), "calls_max"),
        (full(("country = \"GB\"", "country = \"GB\"\ncalls_max = 1")), "trunk_calls_max"),
        (full(("[sip]", "[sip]\ncalls_per_second_max = 1")), "call_rate"),
        (full(("country = \"GB\"", "country = \"GB\"\ncalls_per_second_max = 1")), "trunk_call_rate"),
    ] {
        let mut world = world(&config);
        let first = world.dial(Calling::default());
        world.pass(SECOND / 10);
        let second = world.dial(Calling::default());
        world.pass(SECOND);
        assert_eq!(world.refused, [code]);
        assert_eq!(world.phone(CARRIER).dialogs[&second].finals, [503]);
        let refusal = world.sent_to(CARRIER).into_iter().find(|answer| answer.status() == 503).unwrap();
        assert!(refusal.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|s| s > 0)));
        world.settle();
        assert_eq!(world.phone(CARRIER).dialogs[&first].finals, [200], "the running call is not touched");
        assert_healthy(&mut world);
    }
    let mut world = world(CONFIG);
    world.no_ports = true;
    let call = world.dial(Calling::default());
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [503]);
    assert_eq!(world.ended()[0].reason.as_deref(), Some("no_media_ports"));
    assert!(world.sent_to(SHOP).is_empty(), "the company's phone never rang");
    world.no_ports = false;
    assert_healthy(&mut world);
}

#[test]
fn while_draining_options_says_so_and_calls_are_refused() {
    let mut world = world(CONFIG);
    world.input(Input::Drain);
    world.inject(CARRIER, &Raw::new("OPTIONS", "sip:203.0.113.1", "d").bytes());
    world.inject(CARRIER, &Raw::invite("d2").bytes());
    world.settle();
    assert_eq!((answers(&world), world.refused.as_slice()), (vec![503, 503], ["draining"].as_slice()));
}

impl Raw {
    fn start_with(mut self, start: &str) -> Raw {
        start.clone_into(&mut self.start);
        self
    }
}
