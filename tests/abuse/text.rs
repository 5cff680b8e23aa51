//! Hostile text in every field that a peer can fill: it reaches no file name, no header of the other leg, and no raw
//! control byte of an event.

use leaseline::core::event::Body;

use crate::raw::Raw;
use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, CONFIG, SHOP};
use crate::{SECOND, assert_healthy, world, world_with};

const HOSTILE: [&str; 12] = [
    "../../../../etc/passwd",
    "/etc/x",
    "a\\..\\b",
    "<script>alert(1)</script>",
    "%0d%0aX-Evil:%201",
    "%00%1b[31m",
    "\u{202e}gnp.exe",
    "${jndi:ldap://x}",
    "'; DROP TABLE calls;--",
    "{\"type\":\"leaseline.call.ended\"}",
    "%n%n%s",
    "🤡\u{feff}\u{200b}",
];

/// Everything that goes out as an event, as the sinks write it.
fn lines(world: &crate::World) -> Vec<String> {
    let data = |event: &leaseline::core::event::Event| match &event.body {
        Body::CallStarted(data) | Body::CallAnswered(data) | Body::CallEnded(data) => {
            serde_json::to_string(data).unwrap()
        }
        Body::CallRefused(data) => serde_json::to_string(data).unwrap(),
        Body::RecordingSealed(data) => serde_json::to_string(data).unwrap(),
        _ => String::new(),
    };
    world.events.iter().map(data).collect()
}

#[test]
fn hostile_text_stays_text() {
    let id =
        |text: &str| text.replace(['%', ' ', '<', '>', '"', '(', ')', '{', '}', ';', ',', '\\', ':', '/', '@'], "-");
    for hostile in HOSTILE {
        // As it is where that is a valid escape: `%0d` must arrive as one.
        let escaped = |at: usize| hostile.get(at + 1..at + 3).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok());
        let user: String = hostile
            .bytes()
            .enumerate()
            .map(|(at, b)| match b {
                b'%' if escaped(at) => "%".to_owned(),
                _ if b.is_ascii_alphanumeric() => char::from(b).to_string(),
                _ => format!("%{b:02x}"),
            })
            .collect();
        let quoted = hostile.replace('\\', "\\\\").replace('"', "\\\"");
        let mut world = world_with(CONFIG, Answering::default());
        world.dial(Calling {
            from: Some(format!("\"{quoted}\" <sip:{user}@192.0.2.10>")),
            call_id: hostile.is_ascii().then(|| format!("{}/../x", id(hostile))),
            headers: vec![
                ("User-Agent", hostile.to_owned()),
                ("Subject", hostile.to_owned()),
                ("X-Evil", hostile.to_owned()),
                ("Organization", hostile.to_owned()),
                ("Reason", format!("SIP;cause=200;text=\"{quoted}\"")),
            ],
            ..Calling::default()
        });
        world.settle();
        assert_eq!(world.ended().len(), 1, "{hostile}: {}", world.ladder());
        let data = world.ended()[0].clone();
        assert_eq!(data.recording.clone().unwrap().path.unwrap(), format!("recordings/{}.wav", data.call_id));
        let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
        assert!(data.call_id.to_string().chars().all(plain), "names are made of our own ids only");
        for line in lines(&world) {
            assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
        }
        for message in world.sent_to(SHOP) {
            message.validate().unwrap();
            let text = message.bytes();
            for name in ["\nX-Evil", "\nSubject", "\nOrganization", "text="] {
                assert!(!text.windows(name.len()).any(|w| w == name.as_bytes()), "{name} crossed for {hostile}");
            }
            assert!(text.iter().all(|b| *b >= 0x20 || matches!(b, b'\r' | b'\n')), "{}", text.escape_ascii());
            let fields = ["Call-ID", "Via", "Contact", "Max-Forwards", "CSeq", "X-Leaseline-Call"];
            for field in fields {
                let value = message.header(field).unwrap_or_default();
                assert!(value.is_ascii() && !value.contains(".."), "{field}: {value}");
            }
        }
        assert_healthy(&mut world);
    }
}

#[test]
fn hostile_words_of_the_company_stay_on_its_side() {
    for hostile in HOSTILE {
        let shop = Answering {
            headers: vec![
                ("Server", hostile.to_owned()),
                ("Warning", format!("399 x \"{}\"", hostile.replace('\\', "\\\\").replace('"', "\\\""))),
                ("X-Evil", hostile.to_owned()),
                ("Error-Info", "<http://169.254.169.254/>".into()),
            ],
            answer: Some((SECOND, 603)),
            ..Answering::default()
        };
        let mut world = world_with(CONFIG, shop);
        world.dial(Calling::default());
        world.settle();
        for message in world.sent_to(CARRIER) {
            for name in ["X-Evil", "Warning", "Error-Info"] {
                assert!(message.header(name).is_none(), "{name} crossed");
            }
            let clean: String = message.bytes().escape_ascii().to_string();
            assert!(!clean.contains("169.254"));
        }
        world.phone(SHOP).set_answering(Answering::default());
        assert_healthy(&mut world);
    }
}

#[test]
fn refused_calls_leave_clean_events() {
    for hostile in HOSTILE {
        let user: String = hostile.bytes().map(|b| format!("%{b:02x}")).collect();
        let mut world = world(CONFIG);
        let raw = Raw::new("INVITE", &format!("sip:{user}@203.0.113.1"), "h").with("Contact", "<sip:x@192.0.2.10>");
        world.inject(CARRIER, &raw.bytes());
        world.settle();
        assert_eq!(world.refused, ["number_unknown"], "{hostile}");
        for line in lines(&world) {
            assert!(line.chars().all(|c| !c.is_control()) && line.len() < 600, "{line:?}");
        }
        assert_healthy(&mut world);
    }
}
