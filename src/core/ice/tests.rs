use stun_types::attribute::{AttributeType, ErrorCode, RawAttribute, Username};
use stun_types::message::{
    IntegrityAlgorithm, Message, MessageClass, MessageIntegrityCredentials, MessageWriteVec, Method,
    ShortTermCredentials,
};
use stun_types::prelude::*;

use super::*;
use crate::wire::sdp::{Credentials, Fingerprint};

const HERE: &str = "198.51.100.7:40000";
const THERE: &str = "198.51.100.8:50000";
const USE: (u16, &[u8]) = (0x0025, &[]);
const CONTROLLED: (u16, &[u8]) = (0x8029, &[0; 8]);

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn media(ours: &str, theirs: &str) -> DtlsMedia {
    let named = |ufrag: &str| Credentials::new(ufrag, &format!("{ufrag:0>22}")).unwrap();
    DtlsMedia { fingerprint: Fingerprint([1; 32]), is_active: false, ours: named(ours), theirs: named(theirs) }
}

/// A check under these names, proved with the password of `of`.
fn check(user: &str, of: &str, more: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = Message::builder_request(Method::new(1), MessageWriteVec::new());
    message.add_attribute(&Username::new(user).unwrap()).unwrap();
    for (kind, value) in more {
        message.add_attribute(&RawAttribute::new(AttributeType::new(*kind), value)).unwrap();
    }
    let credentials = MessageIntegrityCredentials::from(ShortTermCredentials::new(format!("{of:0>22}")));
    message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
    message.add_fingerprint().unwrap();
    message.finish()
}

/// The answer's error code; 0: success.
fn ask(lite: &mut Lite, second: u64, source: &str, bytes: &[u8]) -> Result<u16, Refusal> {
    let request = Request::read(bytes).expect("a request");
    let answer = lite.on_check(at(second), addr(source), &request)?;
    let message = Message::from_bytes(answer.bytes()).expect("well-formed");
    assert_eq!(message.transaction_id(), Message::from_bytes(bytes).unwrap().transaction_id());
    Ok(match message.class() {
        MessageClass::Success => 0,
        _ => message.attribute::<ErrorCode>().expect("a code").code(),
    })
}

#[test]
fn the_nominated_pair_is_where_media_goes() {
    let mut lite = Lite::new(&media("ours", "them"));
    assert_eq!(lite.selected(), None);
    assert_eq!(ask(&mut lite, 0, HERE, &check("ours:them", "ours", &[])), Ok(0));
    assert_eq!(lite.selected(), Some(addr(HERE)), "before a nomination the one that is proved");
    assert_eq!(ask(&mut lite, 1, THERE, &check("ours:them", "ours", &[USE])), Ok(0));
    assert_eq!(ask(&mut lite, 2, HERE, &check("ours:them", "ours", &[])), Ok(0));
    assert_eq!(lite.selected(), Some(addr(THERE)));
    assert_eq!(ask(&mut lite, 3, HERE, &check("ours:them", "ours", &[USE])), Ok(0));
    assert_eq!(lite.selected(), Some(addr(HERE)), "the other end decides, again and again");
}

#[test]
fn who_does_not_know_the_password_proves_nothing() {
    let mut lite = Lite::new(&media("ours", "them"));
    for (user, of) in
        [("ours:them", "0urs"), ("ours:they", "ours"), ("them:ours", "ours"), ("ours", "ours"), ("", "ours")]
    {
        assert_eq!(ask(&mut lite, 0, HERE, &check(user, of, &[USE])), Err(Refusal::IceAuth), "{user}");
    }
    assert!(lite.selected().is_none() && !lite.is_proved(addr(HERE)));
}

#[test]
fn two_ends_that_do_not_decide_are_told() {
    let mut lite = Lite::new(&media("ours", "them"));
    assert_eq!(ask(&mut lite, 0, HERE, &check("ours:them", "ours", &[CONTROLLED, USE])), Ok(487));
    assert_eq!(ask(&mut lite, 0, HERE, &check("ours:them", "ours", &[(0x0044, b"x"), USE])), Ok(420));
    assert_eq!(lite.selected(), None);
}

#[test]
fn a_restart_keeps_the_old_pair_until_the_new_one_is_proved() {
    let mut lite = Lite::new(&media("ours", "them"));
    ask(&mut lite, 0, HERE, &check("ours:them", "ours", &[USE])).unwrap();
    lite.renew(&media("ours", "them"));
    assert!(lite.before.is_none(), "the same again changes nothing");
    lite.renew(&media("new1", "new2"));
    assert_eq!(ask(&mut lite, 1, HERE, &check("ours:them", "ours", &[])), Ok(0));
    assert_eq!(lite.selected(), Some(addr(HERE)));
    assert_eq!(ask(&mut lite, 2, THERE, &check("new1:new2", "new1", &[USE])), Ok(0));
    assert_eq!(lite.selected(), Some(addr(THERE)));
    assert_eq!(ask(&mut lite, 3, HERE, &check("ours:them", "ours", &[USE])), Err(Refusal::IceAuth));
}

#[test]
fn consent_ends() {
    let mut lite = Lite::new(&media("ours", "them"));
    assert_eq!(lite.poll_timeout(), None);
    ask(&mut lite, 0, HERE, &check("ours:them", "ours", &[USE])).unwrap();
    ask(&mut lite, 5, THERE, &check("ours:them", "ours", &[])).unwrap();
    ask(&mut lite, 6, HERE, &check("ours:them", "ours", &[])).unwrap();
    assert_eq!(lite.poll_timeout(), Some(at(35)));
    lite.handle_timeout(at(35));
    assert!(!lite.is_proved(addr(THERE)) && lite.selected() == Some(addr(HERE)));
    lite.handle_timeout(at(36));
    assert_eq!((lite.selected(), lite.poll_timeout()), (None, None));
}

#[test]
fn many_sources_do_not_grow_the_list_or_take_the_nominated_place() {
    let mut lite = Lite::new(&media("ours", "them"));
    ask(&mut lite, 0, HERE, &check("ours:them", "ours", &[USE])).unwrap();
    for port in 0..40u64 {
        ask(&mut lite, 1 + port / 10, &format!("198.51.100.9:{}", 4_000 + port), &check("ours:them", "ours", &[]))
            .unwrap();
    }
    assert_eq!(lite.pairs.iter().flatten().count(), ICE_PAIRS);
    assert!(lite.is_proved(addr(HERE)) && lite.selected() == Some(addr(HERE)));
}
