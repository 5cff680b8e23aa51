//! Nothing in a message names a destination, and nobody is somebody else because a header says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::raw::{OURS, Raw};
use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};
use crate::{answers, assert_healthy, codes, world, world_with};

/// Where INVITEs of ours went, copies aside.
fn invited(world: &World) -> BTreeSet<String> {
    let invites = world.sent.iter().filter(|(from, _, bytes)| *from == world.us_at && bytes.starts_with(b"INVITE"));
    let line = |bytes: &[u8]| String::from_utf8_lossy(bytes.split(|byte| *byte == b'\r').next().unwrap()).into_owned();
    invites.map(|(_, to, bytes)| format!("{to} {}", line(bytes))).collect()
}

#[test]
fn a_redirection_is_not_followed() {
    for contact in ["<sip:+882123456789@198.51.100.1>", "<sip:x@192.0.2.66>", "<sip:+442079460500@203.0.113.1>"] {
        let redirecting = Answering {
            ringing: Vec::new(),
            answer: Some((std::time::Duration::from_millis(50), 302)),
            headers: vec![("Contact", contact.to_owned())],
            ..Answering::default()
        };
        let mut world = world_with(CONFIG, redirecting.clone());
        world.phone(OFFICE).set_answering(redirecting);
        let call = world.dial(Calling::default());
        world.settle();
        assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [502]);
        assert_eq!(world.ended()[0].reason.as_deref(), Some("redirection_refused"));
        assert_eq!(invited(&world).len(), 2, "only the configured destinations: {:?}", invited(&world));
        assert!(world.sent_to(CARRIER).iter().all(|m| m.is_request() || m.status() != 502 || m.contact().is_none()));
        world.phone(SHOP).set_answering(Answering::default());
        assert_healthy(&mut world);
    }
}

#[test]
fn transfers_and_joins_name_nobody() {
    for (name, value) in [
        ("Replaces", "call-1@x;to-tag=a;from-tag=b"),
        ("Join", "call-1@x;to-tag=a;from-tag=b"),
        ("Refer-To", "<sip:+882123456789@192.0.2.66>"),
        ("Route", "<sip:192.0.2.66;lr>"),
        ("Record-Route", "<sip:192.0.2.66;lr>"),
        ("Path", "<sip:192.0.2.66;lr>"),
        ("Contact", "<sip:+882123456789@192.0.2.66>"),
        ("Target-Dialog", "call-1@x"),
    ] {
        let mut world = World::new(7, CONFIG);
        world.inject(CARRIER, &Raw::invite("t").with(name, value).bytes());
        world.pass(std::time::Duration::from_secs(3));
        let only = BTreeSet::from(["198.51.100.1:5060 INVITE sip:sales@198.51.100.1:5060 SIP/2.0".to_owned()]);
        assert_eq!(invited(&world), only, "{name}");
        let crossed = world.sent_to(SHOP).iter().any(|m| m.bytes().windows(9).any(|w| w == b"192.0.2.6"));
        assert!(!crossed, "{name} crossed");
    }
    let mut world = world(CONFIG);
    world.inject(CARRIER, &Raw::new("REFER", OURS, "r").with("Refer-To", "<sip:+882123456789@192.0.2.66>").bytes());
    world.settle();
    assert_eq!((answers(&world), invited(&world).len()), (vec![405], 0));
    assert_healthy(&mut world);
}

#[test]
fn only_numbers_of_the_pools_are_served() {
    let mut table = String::new();
    for uri in [
        "sip:+442079460500@203.0.113.1",
        "sip:+442079460500@elsewhere.example.com",
        "sip:02079460500@203.0.113.1",
        "sip:00442079460500@203.0.113.1",
        "sip:442079460500@203.0.113.1",
        "tel:+44-20-7946-0500",
        "sip:%2B442079460500@203.0.113.1",
        "sip:+442079460500;phone-context=+882@203.0.113.1",
        "sip:2079460500;phone-context=+44@203.0.113.1",
        "sip:+442079460500;postd=22@203.0.113.1",
        "sip:+442079460500,,22@203.0.113.1",
        "sip:+442079460500p22@203.0.113.1",
        "sip:+4420794605000@203.0.113.1",
        "sip:00882123456789@203.0.113.1",
        "sip:+882123456789@203.0.113.1",
        "sip:+442079460500%40192.0.2.66@203.0.113.1",
        "sip:+442079460500:secret@203.0.113.1",
        "sip:sales@198.51.100.1",
        "sips:+442079460500@203.0.113.1",
        "sip:%EF%BC%8B442079460500@203.0.113.1",
    ] {
        let mut world = World::new(7, CONFIG);
        let raw =
            Raw::new("INVITE", uri, "n").with("Contact", "<sip:phone@192.0.2.10>").with("Route", "<sip:192.0.2.66;lr>");
        world.inject(CARRIER, &raw.sdp(crate::raw::OFFER).bytes());
        world.pass(std::time::Duration::from_secs(3));
        let invited = invited(&world);
        assert!(invited.iter().all(|line| line.starts_with("198.51.100.1:5060 INVITE sip:sales@198.51.100.1:5060 ")));
        let said =
            if invited.is_empty() { format!("{:?} {}", answers(&world), codes(&world)) } else { "served".into() };
        writeln!(table, "{uri:<52} {said}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn whose_word_on_the_caller_counts() {
    let untrusted = CONFIG.replace("country = \"GB\"", "country = \"GB\"\ntrust_identity = false");
    let mut table = String::new();
    for (which, config) in [("trusted", CONFIG), ("untrusted", untrusted.as_str())] {
        for (name, value) in [
            ("P-Asserted-Identity", "\"Bank\" <sip:+447700900999@192.0.2.10>"),
            ("Remote-Party-ID", "<sip:+447700900999@192.0.2.10>;party=calling;privacy=full"),
            ("P-Preferred-Identity", "<sip:+447700900999@192.0.2.10>"),
            ("Diversion", "<sip:+447700900999@192.0.2.10>;reason=unconditional"),
            ("History-Info", "<sip:+447700900999@192.0.2.10>;index=1"),
            ("Identity", "eyJhbGciOiJFUzI1NiJ9;info=<http://169.254.169.254/latest>;alg=ES256"),
            ("Call-Info", "<http://169.254.169.254/x>;purpose=icon"),
            ("Alert-Info", "<http://169.254.169.254/x>"),
            ("Privacy", "id"),
            ("Privacy", "header;user"),
            ("Privacy", "none"),
        ] {
            let mut world = World::new(7, config);
            world.inject(CARRIER, &Raw::invite("p").with(name, value).bytes());
            world.pass(std::time::Duration::from_secs(3));
            let invite = world.sent_to(SHOP).remove(0);
            let text = invite.bytes().escape_ascii().to_string();
            assert!(!text.contains("169.254") && !text.contains("Diversion") && !text.contains("History-Info"));
            let (id, from) = (invite.header("P-Asserted-Identity"), invite.header("From").unwrap());
            let from = from.split(";tag=").next().unwrap();
            writeln!(
                table,
                "{which:<9} {name}: {value}\n    From {from}, P-Asserted-Identity {id:?}, Privacy {:?}",
                invite.header("Privacy")
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn callers_that_are_nobody() {
    let mut table = String::new();
    let long = format!("<sip:{}@192.0.2.10>", "9".repeat(200));
    for from in [
        "<sip:192.0.2.10>",
        "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
        "<sip:+@192.0.2.10>",
        "<sip:alice@192.0.2.10>",
        "<sip:%00%0d%0aX-Evil%3A%201@192.0.2.10>",
        "<tel:+447700900123;phone-context=x>",
        "<http://www.example.com>",
        "<sip:Restricted@192.0.2.10>",
        long.as_str(),
        "\"\\\"quoted\\\\\" <sip:+447700900123@192.0.2.10>",
    ] {
        let mut world = world(CONFIG);
        world.inject(CARRIER, &Raw::invite("c").with("From", &format!("{from};tag=f")).bytes());
        world.settle();
        let data =
            world.ended().first().map(|data| (data.caller.clone(), data.caller_reason.clone(), data.pool.clone()));
        let invite =
            world.sent_to(SHOP).first().map(|m| m.header("From").unwrap().split(";tag=").next().unwrap().to_owned());
        let shown = if from.len() > 80 { "<sip:999…@192.0.2.10>" } else { from };
        writeln!(table, "{shown}\n    {data:?}\n    {invite:?}").unwrap();
        assert_healthy(&mut world);
    }
    insta::assert_snapshot!(table);
}
