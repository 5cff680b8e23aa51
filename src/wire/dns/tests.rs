//! Messages as servers send them, and what is done to them on the way.

use proptest::prelude::*;

use super::*;

/// A response by hand: the question, then records as (owner, type, ttl, data); `0xc00c` points to the question.
fn message(flags: u16, name: &str, kind: Type, answers: &[(&[u8], u16, u32, Vec<u8>)], soa: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [7, flags, 1, u16::try_from(answers.len()).unwrap(), u16::from(soa), 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    push_name(&mut bytes, name).unwrap();
    bytes.extend_from_slice(&kind.code().to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    let mut record = |owner: &[u8], kind: u16, ttl: u32, data: &[u8]| {
        bytes.extend_from_slice(owner);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&ttl.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(data);
    };
    for (owner, kind, ttl, data) in answers {
        record(owner, *kind, *ttl, data);
    }
    if soa {
        let mut data = vec![0, 0];
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&60_u32.to_be_bytes());
        record(&[0], SOA, 300, &data);
    }
    bytes
}

const ASKED: &[u8] = &[0xc0, 0x0c];
const OK: u16 = 0x8180;

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_name(&mut bytes, text).unwrap();
    bytes
}

#[test]
fn a_query_is_what_rfc_1035_says() {
    let bytes = query(0x1234, "_sip._udp.Pbx.example.", Type::Srv).expect("a name");
    let mut expected = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    expected.extend_from_slice(b"\x04_sip\x04_udp\x03Pbx\x07example\0\0\x21\0\x01");
    expected.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes, expected);
    for bad in ["", ".", "a..b", &"x".repeat(64), &"a.".repeat(200)] {
        assert_eq!(query(1, bad, Type::A), None, "{bad}");
    }
}

#[test]
fn records_are_read_through_aliases() {
    let address = |last| (ASKED, 1, 300, vec![192, 0, 2, last]);
    let bytes = message(OK, "pbx.example", Type::A, &[address(1), address(2)], false);
    let addresses = |last: &[u8]| last.iter().map(|last| Data::Address([192, 0, 2, *last].into())).collect::<Vec<_>>();
    assert_eq!(response(&bytes, 7, "PBX.example", Type::A), Ok(Response::Records(addresses(&[1, 2]), 300)));
    let target = name("real.example");
    let alias = (ASKED, CNAME, 20, target.clone());
    let behind = (target.as_slice(), 1, 300, vec![192, 0, 2, 9]);
    let bytes = message(OK, "pbx.example", Type::A, &[behind, alias.clone(), address(66)], false);
    assert_eq!(response(&bytes, 7, "pbx.example", Type::A), Ok(Response::Records(addresses(&[9]), 20)));
    // An alias of itself ends.
    let bytes = message(OK, "pbx.example", Type::A, &[(ASKED, CNAME, 20, name("pbx.example"))], false);
    assert_eq!(response(&bytes, 7, "pbx.example", Type::A), Ok(Response::Nothing(None)));
}

#[test]
fn srv_and_naptr_are_read() {
    let mut data = vec![0, 10, 0, 60, 0x13, 0xc4];
    data.extend_from_slice(b"\x01T\xc0\x16");
    let bytes = message(OK, "_sip._udp.x.example", Type::Srv, &[(ASKED, 33, 9, data)], false);
    let srv = Data::Srv { priority: 10, weight: 60, port: 5060, target: "t.x.example".into() };
    assert_eq!(response(&bytes, 7, "_sip._udp.x.example", Type::Srv), Ok(Response::Records(vec![srv], 9)));
    let mut data = b"\0\x0a\0\x14\x01s\x07SIP+D2U\0".to_vec();
    data.extend_from_slice(&name("_sip._udp.x.example"));
    let bytes = message(OK, "x.example", Type::Naptr, &[(ASKED, 35, 9, data)], false);
    let naptr = Data::Naptr {
        order: 10,
        preference: 20,
        flags: "s".into(),
        service: "SIP+D2U".into(),
        replacement: "_sip._udp.x.example".into(),
    };
    assert_eq!(response(&bytes, 7, "x.example", Type::Naptr), Ok(Response::Records(vec![naptr], 9)));
}

#[test]
fn what_is_no_answer_to_the_question_is_passed_by() {
    let bytes = message(OK, "pbx.example", Type::A, &[], false);
    assert_eq!(response(&bytes, 8, "pbx.example", Type::A), Err(Unreadable));
    assert_eq!(response(&bytes, 7, "pbx.exampla", Type::A), Err(Unreadable));
    assert_eq!(response(&bytes, 7, "pbx.example", Type::Aaaa), Err(Unreadable));
    assert_eq!(response(&message(0x0180, "a.b", Type::A, &[], false), 7, "a.b", Type::A), Err(Unreadable));
}

#[test]
fn codes_and_negative_times() {
    let read = |flags, soa| response(&message(flags, "a.b", Type::A, &[], soa), 7, "a.b", Type::A);
    assert_eq!(read(OK | 3, true), Ok(Response::Nothing(Some(60))));
    assert_eq!(read(OK | 3, false), Ok(Response::Nothing(None)));
    assert_eq!(read(OK, true), Ok(Response::Nothing(Some(60))));
    assert_eq!(read(OK | 2, true), Ok(Response::Refused(2)));
    assert_eq!(read(OK | 5, false), Ok(Response::Refused(5)));
    assert_eq!(read(OK | 0x0200, false), Ok(Response::Truncated));
}

#[test]
fn pointers_go_backwards_only() {
    for pointer in [[0xc0, 0x1c], [0xc0, 0xff], [0xff, 0xff]] {
        let bytes = message(OK, "pbx.example", Type::A, &[(&pointer, 1, 1, vec![1, 2, 3, 4])], false);
        assert_eq!(response(&bytes, 7, "pbx.example", Type::A), Err(Unreadable), "{pointer:?}");
    }
    let bytes = message(OK, "pbx.example", Type::A, &[(ASKED, 1, 1, vec![1, 2, 3])], false);
    assert_eq!(response(&bytes, 7, "pbx.example", Type::A), Err(Unreadable));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..60, change: u8) {
        let _ = response(&bytes, 7, "pbx.example", Type::Srv);
        let mut data = b"\0\x0a\0\x14\x01s\x07SIP+D2U\0".to_vec();
        data.extend_from_slice(&name("_sip._udp.x.example"));
        let mut good = message(OK, "x.example", Type::Naptr, &[(ASKED, 35, 9, data)], true);
        if let Some(byte) = good.get_mut(at) {
            *byte = change;
        }
        let _ = response(&good, 7, "x.example", Type::Naptr);
        good.truncate(at);
        prop_assert!(at > good.len() || response(&good, 7, "x.example", Type::Naptr).is_err());
    }
}
