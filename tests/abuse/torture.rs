//! RFC 4475 and RFC 5118 through the whole machine: what a trunk is answered, and that a stranger is answered nothing.
//!
//! The expected column is what an endpoint of our kind should say; "route" of the RFCs is 404 here, because none of
//! these messages dials a number of ours. Rows of the snapshot that differ from it are listed with their reason.

use std::fmt::Write as _;

use leaseline::wire::sip::Message;

use crate::common::torture;
use crate::world::{CARRIER, CONFIG, World};
use crate::{STRANGER, codes};

/// What each message should be answered; 0: nothing.
const EXPECTED: [(&str, u16); 61] = [
    ("rfc4475/badaspec", 400),
    ("rfc4475/badbranch", 400),
    ("rfc4475/baddate", 404),
    ("rfc4475/baddn", 400),
    ("rfc4475/badinv01", 400),
    ("rfc4475/badvers", 505),
    ("rfc4475/bcast", 0),
    ("rfc4475/bext01", 420),
    ("rfc4475/bigcode", 0),
    ("rfc4475/clerr", 400),
    ("rfc4475/cparam01", 405),
    ("rfc4475/cparam02", 405),
    ("rfc4475/dblreq", 405),
    ("rfc4475/esc01", 404),
    ("rfc4475/esc02", 405),
    ("rfc4475/escnull", 405),
    ("rfc4475/escruri", 400),
    ("rfc4475/insuf", 400),
    ("rfc4475/intmeth", 405),
    ("rfc4475/inv2543", 404),
    ("rfc4475/invut", 415),
    ("rfc4475/longreq", 404),
    ("rfc4475/ltgtruri", 400),
    ("rfc4475/lwsdisp", 200),
    ("rfc4475/lwsruri", 400),
    ("rfc4475/lwsstart", 400),
    ("rfc4475/mcl01", 400),
    ("rfc4475/mismatch01", 400),
    ("rfc4475/mismatch02", 400),
    ("rfc4475/mpart01", 405),
    ("rfc4475/multi01", 400),
    ("rfc4475/ncl", 400),
    ("rfc4475/noreason", 0),
    ("rfc4475/novelsc", 416),
    ("rfc4475/quotbal", 400),
    ("rfc4475/regaut01", 405),
    ("rfc4475/regbadct", 405),
    ("rfc4475/regescrt", 405),
    ("rfc4475/scalar02", 400),
    ("rfc4475/scalarlg", 0),
    ("rfc4475/sdp01", 406),
    ("rfc4475/semiuri", 200),
    ("rfc4475/transports", 200),
    // Blanks at the end of the request line: 200 would be kind, 400 is what the grammar says. We are strict there.
    ("rfc4475/trws", 400),
    ("rfc4475/unkscm", 416),
    ("rfc4475/unksm2", 405),
    ("rfc4475/unreason", 0),
    // Not "route": its To has a tag, so it is an INVITE within a dialog that we do not have.
    ("rfc4475/wsinv", 481),
    ("rfc4475/zeromf", 200),
    ("rfc5118/ipv4-mapped-ipv6", 404),
    ("rfc5118/ipv6-bad", 400),
    ("rfc5118/ipv6-bug-abnf-3-colons", 200),
    ("rfc5118/ipv6-correct-abnf-2-colons", 200),
    ("rfc5118/ipv6-good", 405),
    ("rfc5118/ipv6-in-sdp", 404),
    ("rfc5118/mult-ip-in-header", 481),
    ("rfc5118/mult-ip-in-sdp", 404),
    ("rfc5118/port-ambiguous", 405),
    ("rfc5118/port-unambiguous", 405),
    ("rfc5118/via-received-param-no-delim", 200),
    ("rfc5118/via-received-param-with-delim", 481),
];

#[test]
fn every_torture_message_gets_its_answer() {
    let mut table = String::new();
    let mut hex = String::new();
    let mut differ = Vec::new();
    let messages = torture();
    assert_eq!(messages.len(), EXPECTED.len());
    for ((name, bytes), (expected_name, expected)) in messages.into_iter().zip(EXPECTED) {
        assert_eq!(name, expected_name);
        let mut world = World::new(1, CONFIG);
        world.inject(CARRIER, &bytes);
        world.settle();
        let answers = world.sent_to(CARRIER);
        let ours = world.sent.iter().filter(|(from, ..)| *from == world.us_at).count();
        assert_eq!(answers.len(), ours, "{name}: the answer went elsewhere");
        assert!(answers.len() <= 1, "{name}: one answer, never repeated");
        for answer in &answers {
            // An answer repeats Via, From, To, Call-ID and CSeq; what is broken there is the request's.
            if let Err(fault) = answer.validate() {
                let theirs = Message::parse(bytes.clone()).and_then(|request| request.validate()).err();
                assert!(theirs.is_some(), "{name}: our own answer is broken: {fault}");
            }
            for (index, chunk) in answer.bytes().chunks(16).enumerate() {
                let digits: String = chunk.iter().map(|byte| format!(" {byte:02x}")).collect();
                writeln!(hex, "{:06x} {digits}", index * 16).unwrap();
            }
        }
        let said = answers.first().map_or("nothing".to_owned(), |a| format!("{} {}", a.status(), a.reason()));
        if answers.first().map_or(0, |answer| answer.status()) != expected {
            differ.push(format!("{name}: expected {expected}, said {said}"));
        }
        writeln!(table, "{name:<38} {said:<32} {}", codes(&world)).unwrap();
    }
    // For the script that asks another reader what it thinks of our answers.
    if let Some(path) = std::env::var_os("LEASELINE_TORTURE_ANSWERS") {
        std::fs::write(path, hex).unwrap();
    }
    insta::assert_snapshot!(table);
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn a_stranger_is_answered_nothing() {
    for (name, bytes) in torture() {
        let mut world = World::new(1, CONFIG);
        world.inject(STRANGER, &bytes);
        world.settle();
        assert!(world.sent.iter().all(|(from, ..)| *from != world.us_at), "{name} was answered");
        assert!(world.events.is_empty() && world.refused.is_empty(), "{name} made an event");
        let dropped: u64 = world.us.agent().drops().iter().map(|(_, count)| count).sum();
        assert_eq!(dropped, 1, "{name} is counted once");
    }
}
