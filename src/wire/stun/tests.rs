use stun_types::attribute::{AttributeType, ErrorCode, RawAttribute, UnknownAttributes, Username, XorMappedAddress};
use stun_types::message::{
    Message, MessageIntegrityCredentials, MessageWriteVec, Method, ShortTermCredentials as Credentials,
};
use stun_types::prelude::*;

use super::*;

/// RFC 5769 §2.1: a request of an agent with this password.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const REQUEST_OF_RFC_5769: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
    0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65,
    0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51,
    0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20,
    0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2,
    0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];

fn key() -> Key {
    Key::new(PASSWORD)
}

/// A request by somebody else's writer.
fn request(more: &[(u16, &[u8])], password: &str) -> Vec<u8> {
    let mut message = Message::builder_request(Method::new(1), MessageWriteVec::new());
    message.add_attribute(&Username::new("ours:theirs").unwrap()).unwrap();
    for (kind, value) in more {
        message.add_attribute(&RawAttribute::new(AttributeType::new(*kind), value)).unwrap();
    }
    let credentials = MessageIntegrityCredentials::from(Credentials::new(password.to_owned()));
    message.add_message_integrity(&credentials, stun_types::message::IntegrityAlgorithm::Sha1).unwrap();
    message.add_fingerprint().unwrap();
    message.finish()
}

#[test]
fn the_request_of_rfc_5769() {
    let request = Request::read(&REQUEST_OF_RFC_5769).expect("a request");
    assert_eq!(request.users(), Some((&b"evtj"[..], &b"h6vY"[..])));
    assert!(request.is_proved(&key()) && request.is_understood());
    assert!(request.controlled && !request.use_candidate);
    assert!(!request.is_proved(&Key::new("VOkJxbRl1RmTxUk/WvJxBu")));
}

/// RFC 5769 §2.2 and §2.3: what stands in the responses there, in ours.
#[test]
fn answers_are_read_by_others() {
    let asked = Request::read(&REQUEST_OF_RFC_5769).expect("a request");
    for address in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
        let address: SocketAddr = address.parse().unwrap();
        let answer = Answer::success(&asked, address, &key()).expect("an answer");
        let message = Message::from_bytes(answer.bytes()).expect("well-formed, with a right fingerprint");
        let credentials = MessageIntegrityCredentials::from(Credentials::new(PASSWORD.to_owned()));
        message.validate_integrity(&credentials).expect("proved");
        let mapped = message.attribute::<XorMappedAddress>().expect("an address");
        assert_eq!(mapped.addr(message.transaction_id()), address);
        let raw = message.raw_attribute(XorMappedAddress::TYPE).expect("an address");
        if address.is_ipv4() {
            assert_eq!(raw.value[..], [0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        } else {
            let of_rfc = [
                0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe,
                0xd2, 0xb9, 0xd9,
            ];
            assert_eq!(raw.value[..], of_rfc);
        }
    }
}

#[test]
fn refusals_have_the_codes_of_the_rfcs() {
    let bytes = request(&[(0x0025, b""), (0x0030, b"what?"), (0x7fff, b"")], PASSWORD);
    let asked = Request::read(&bytes).expect("a request");
    assert!(asked.use_candidate && !asked.is_understood() && asked.is_proved(&key()));
    let unknown = Answer::unknown(&asked, &key()).expect("an answer");
    let message = Message::from_bytes(unknown.bytes()).expect("well-formed");
    assert_eq!(message.attribute::<ErrorCode>().expect("a code").code(), 420);
    let named = message.attribute::<UnknownAttributes>().expect("their list");
    assert!(named.has_attribute(AttributeType::new(0x0030)) && named.has_attribute(AttributeType::new(0x7fff)));
    let conflict = Answer::role_conflict(&asked, &key()).expect("an answer");
    let message = Message::from_bytes(conflict.bytes()).expect("well-formed");
    assert_eq!(message.attribute::<ErrorCode>().expect("a code").code(), 487);
    assert_eq!(message.transaction_id(), Message::from_bytes(&bytes).unwrap().transaction_id());
}

#[test]
fn what_is_no_check_of_ice_is_nothing() {
    let good = request(&[], PASSWORD);
    assert!(Request::read(&good).is_some());
    for (what, bytes) in [
        ("cut", good[..good.len() - 8].to_vec()),
        ("longer", [&good[..], &[0; 4]].concat()),
        ("a response", [&[1, 1], &good[2..]].concat()),
        ("an indication", [&[0, 0x11], &good[2..]].concat()),
        ("of RFC 3489", [&good[..4], &[1, 2, 3, 4], &good[8..]].concat()),
        ("bare", vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(Request::read(&bytes), None, "{what}");
    }
    // An attribute behind the tag is not proved: it does not count, whatever it says.
    let mut late = good[..good.len() - 8].to_vec();
    late.extend([0, 0x25, 0, 0]);
    late[3] += 4;
    let print = fingerprint(&late, late.len()).unwrap();
    late.extend([0x80, 0x28, 0, 4]);
    late.extend(print);
    let unpatched = Request::read(&late).is_none_or(|request| !request.use_candidate);
    assert!(unpatched);
}

proptest::proptest! {
    #[test]
    fn no_bit_of_a_request_can_be_changed(at in 0usize..108, bit in 0u8..8) {
        let mut bytes = REQUEST_OF_RFC_5769;
        bytes[at] ^= 1 << bit;
        proptest::prop_assert!(Request::read(&bytes).is_none_or(|request| !request.is_proved(&key())));
    }

    #[test]
    fn nothing_panics(mut bytes in proptest::collection::vec(0u8..=255, 0..200), is_dressed: bool) {
        if is_dressed && bytes.len() >= 20 {
            let length = (bytes.len() - 20) as u16;
            bytes[..2].copy_from_slice(&[0, 1]);
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..8].copy_from_slice(&COOKIE);
        }
        let _ = Request::read(&bytes);
    }
}
