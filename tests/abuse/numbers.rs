//! Numbers out of their range and lines that end wrongly, at the whole machine (rows A04, A15), and how much we say to
//! how much (row C04).

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use crate::raw::{OURS, Raw};
use crate::world::phone::Answering;
use crate::world::{CARRIER, CONFIG, SHOP, World};
use crate::{SECOND, STRANGER, answers, assert_healthy, codes, world, world_with};

/// At, just above and far above every width that a number may be read into.
const EDGES: [&str; 11] = [
    "0",
    "1",
    "0068",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "-1",
    "99999999999999999999999999999999",
];

/// What one message of the carrier is told: without a phone there, because our answers repeat broken lines.
fn told(bytes: &[u8]) -> (String, World) {
    let mut world = world(CONFIG);
    let carrier = CARRIER.parse().unwrap();
    let phone = world.phones.remove(&carrier).unwrap();
    world.inject(CARRIER, bytes);
    world.settle();
    world.phones.insert(carrier, phone);
    let heard = answers(&world);
    let said = if heard.starts_with(&[100]) { "taken".to_owned() } else { format!("{heard:?} {}", codes(&world)) };
    (said, world)
}

/// A15: what must be there and is out of range is 400; what may be there is as if it were not.
#[test]
fn a15_numbers_out_of_range() {
    let mut table = String::new();
    for edge in EDGES {
        let cseq = Raw::invite("n").with("CSeq", &format!("{edge} INVITE"));
        writeln!(table, "CSeq                {edge:<34} {}", told(&cseq.bytes()).0).unwrap();
    }
    for edge in EDGES.into_iter().chain(["255", "256", "x"]) {
        let hops = Raw::invite("n").with("Max-Forwards", edge);
        writeln!(table, "Max-Forwards        {edge:<34} {}", told(&hops.bytes()).0).unwrap();
    }
    for name in ["Expires", "Session-Expires", "Min-SE", "Retry-After", "RSeq", "Timestamp"] {
        for edge in EDGES {
            let (said, mut world) = told(&Raw::invite("n").and(name, edge).bytes());
            writeln!(table, "{name:<19} {edge:<34} {said}").unwrap();
            assert_healthy(&mut world);
        }
    }
    insta::assert_snapshot!(table);
}

/// A15: no duration that the company names makes us wait for ever, or not at all.
#[test]
fn a15_what_answers_say_of_time_is_clamped_before_it_meets_a_clock() {
    for name in ["Retry-After", "Session-Expires", "Min-SE", "Expires", "RSeq"] {
        for edge in EDGES {
            for status in [503, 422, 183, 200] {
                let shop = Answering {
                    ringing: Vec::new(),
                    answer: Some((Duration::from_millis(20), status)),
                    headers: vec![(name, edge.to_owned())],
                    ..Answering::default()
                };
                let mut world = world_with(CONFIG, shop);
                world.dial(crate::world::phone::Calling::default());
                world.pass(SECOND * 2);
                let next = world.us.poll_timeout().map(|(at, _)| at.since(world.now.mono));
                assert!(next.is_none_or(|wait| wait <= Duration::from_secs(24 * 3_600)), "{name}: {edge} {next:?}");
                world.settle();
            }
        }
    }
}

/// A04: a line that ends otherwise than by CRLF is 400 by UDP, and no second message is found in it.
#[test]
fn a04_lines_that_end_wrongly_are_refused_whole() {
    let good = String::from_utf8(Raw::invite("a04").bytes()).unwrap();
    let second = String::from_utf8(Raw::new("OPTIONS", "sip:203.0.113.1", "hidden").bytes()).unwrap();
    let cases = [
        ("bare LF", good.replace("\r\n", "\n")),
        ("bare CR", good.replace("\r\n", "\r")),
        ("LFCR", good.replace("\r\n", "\n\r")),
        ("one bare LF", good.replacen("Max-Forwards: 70\r\n", "Max-Forwards: 70\n", 1)),
        ("LF hides a line", good.replacen("Max-Forwards: 70\r\n", "X: a\nMax-Forwards: 0\r\n", 1)),
        ("CR hides a line", good.replacen("Max-Forwards: 70\r\n", "X: a\rMax-Forwards: 0\r\n", 1)),
        ("header first", format!("X: y\r\n{good}")),
        ("no empty line", good.split("\r\n\r\n").next().unwrap().to_owned()),
    ];
    for (case, text) in cases {
        let (said, mut world) = told(text.as_bytes());
        assert!(said.starts_with("[400]") || said.starts_with("[] "), "{case}: {said}");
        assert!(world.sent_to(SHOP).is_empty(), "{case}");
        assert_healthy(&mut world);
    }
    // A fold is one space, line ends in front are nothing, and what stands behind the body is no message.
    for (case, text) in [
        ("fold", good.replacen("Max-Forwards: 70", "Max-Forwards:\r\n 70", 1)),
        ("line ends in front", "\r\n".repeat(1_000) + &good),
        ("a message behind", format!("{good}{second}")),
    ] {
        let (said, world) = told(text.as_bytes());
        assert_eq!(said, "taken", "{case}");
        let hidden = world.sent_to(CARRIER).iter().any(|answer| answer.header("Call-ID") == Some("raw-hidden"));
        assert!(!hidden, "{case}: one datagram, one message");
    }
}

/// One request, somewhat broken.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof!["INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "SUBSCRIBE", "[A-Z]{1,12}"];
    let line = prop_oneof!["Require", "Max-Forwards", "CSeq", "To", "From", "Content-Type", "Contact", "X-Any"];
    let value = prop_oneof!["", "x", "0", "<sip:a@b>", "1 INVITE", "[ -~]{0,40}"];
    let changed = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (method, line, value, changed, any::<bool>()).prop_map(|(method, line, value, changed, known)| {
        let uri = if known { OURS } else { "sip:+442079460777@203.0.113.1" };
        let raw = Raw::new(&method, uri, "p").with("Contact", &format!("<sip:phone@{CARRIER}>"));
        let mut bytes = raw.sdp(crate::raw::OFFER).with(&line, &value).bytes();
        if let Some((at, byte)) = changed {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// C04: a stranger hears nothing; who is refused hears one answer, never again and not larger than the request.
    #[test]
    fn c04_a_refusal_is_one_answer_not_larger_than_its_request(bytes in broken()) {
        let mut stranger = world(CONFIG);
        stranger.inject(STRANGER, &bytes);
        stranger.settle();
        prop_assert!(stranger.sent.iter().all(|(from, ..)| *from != stranger.us_at));
        let (_, world) = told(&bytes);
        if world.ended().is_empty() {
            let out: Vec<usize> = world.sent.iter().filter(|(from, ..)| *from == world.us_at).map(|(.., b)| b.len()).collect();
            prop_assert!(out.len() <= 1 && out.iter().sum::<usize>() <= bytes.len(), "{} in, {out:?} out", bytes.len());
        }
    }
}
