//! Points, bans, their end, and a million addresses in a table of fixed size.

use std::time::Duration;

use super::*;

const INVITE: &[u8] = b"INVITE sip:100@203.0.113.1 SIP/2.0\r\nUser-Agent: PBX\r\n\r\n";
const SCAN: &[u8] = b"OPTIONS sip:100@203.0.113.1 SIP/2.0\r\nTo: x\r\nUser-Agent: Friendly-Scanner\r\n\r\n";

fn rules() -> Rules {
    Rules { ban_after: 20, ban_window: Duration::from_secs(60), ban_time: Duration::from_secs(600), ..Rules::default() }
}

fn at(seconds: u64) -> Now {
    Now { mono: Mono(seconds * 1_000_000_000), wall: Wall(i64::try_from(seconds).unwrap() * 1_000_000) }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Messages until the ban.
fn until_ban(sources: &mut Sources, source: IpAddr, bytes: &[u8]) -> u32 {
    for count in 1.. {
        match sources.note(at(1), &rules(), source, || points(bytes)) {
            Noted::Watched => {}
            Noted::NewlyBanned(_) => return count,
            Noted::Banned => panic!("banned without notice"),
        }
    }
    0
}

#[test]
fn who_is_worse_is_banned_sooner() {
    let mut sources = Sources::new(7);
    assert_eq!(until_ban(&mut sources, address("198.18.0.1"), INVITE), 20);
    assert_eq!(until_ban(&mut sources, address("198.18.0.2"), SCAN), 2);
    assert_eq!(until_ban(&mut sources, address("198.18.0.3"), b"\x16\x03\x01"), 10);
    let bans = sources.bans(at(2));
    let said: Vec<_> = bans.iter().map(|ban| (ban.address.to_string(), ban.reason.as_str(), ban.messages)).collect();
    assert_eq!(
        said,
        [
            ("198.18.0.1".to_owned(), "insistence", 20),
            ("198.18.0.2".to_owned(), "scanner", 2),
            ("198.18.0.3".to_owned(), "garbage", 10),
        ]
    );
    assert_eq!(sources.banned(), 3);
}

#[test]
fn bans_expire_and_slow_ones_are_not_banned() {
    let mut sources = Sources::new(7);
    let stranger = address("198.18.0.1");
    until_ban(&mut sources, stranger, INVITE);
    assert!(sources.is_banned(at(600).mono, stranger));
    assert_eq!(sources.note(at(600), &rules(), stranger, || points(INVITE)), Noted::Banned);
    assert!(!sources.is_banned(at(601).mono, stranger));
    assert_eq!(sources.bans(at(601)), []);
    assert_eq!(sources.note(at(601), &rules(), stranger, || points(INVITE)), Noted::Watched, "it begins anew");
    let slow = address("198.18.0.9");
    for minute in 0..100 {
        for _ in 0..19 {
            assert_eq!(sources.note(at(60 * minute), &rules(), slow, || points(INVITE)), Noted::Watched);
        }
    }
    assert!(sources.forget(stranger) == sources.is_banned(at(602).mono, stranger));
}

#[test]
fn an_ipv4_address_in_ipv6_dress_is_one_and_a_subscriber_has_one_network() {
    let mut sources = Sources::new(7);
    until_ban(&mut sources, address("::ffff:198.18.0.1"), INVITE);
    assert!(sources.is_banned(at(1).mono, address("198.18.0.1")));
    until_ban(&mut sources, address("2001:db8:1:2::3"), INVITE);
    assert!(sources.is_banned(at(1).mono, address("2001:db8:1:2:ffff::9")));
    assert!(!sources.is_banned(at(1).mono, address("2001:db8:1:3::3")));
    assert!(sources.forget(address("2001:db8:1:2::77")) && !sources.forget(address("2001:db8:1:2::77")));
}

#[test]
fn a_million_addresses_take_no_more_room_and_do_not_wash_a_ban_out() {
    let mut sources = Sources::new(7);
    let scanner = address("198.18.0.1");
    until_ban(&mut sources, scanner, SCAN);
    for n in 0..1_000_000_u32 {
        let source = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
        assert_eq!(sources.note(at(2), &rules(), source, || (1, Why::Insistence)), Noted::Watched);
    }
    assert_eq!(sources.slots.len(), limits::STRANGERS);
    assert!(std::mem::size_of_val(&*sources.slots) < 2 << 20);
    assert!(sources.is_banned(at(2).mono, scanner));
}
