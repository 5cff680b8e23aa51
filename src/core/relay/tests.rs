use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const CALLER: &str = "198.51.100.7:4000";
const COMPANY: &str = "192.0.2.20:6000";
const STRANGER: &str = "203.0.113.66:4000";
const BOTH_WAYS: Flowing = Flowing { from_side: true, to_side: true };

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn own() -> Arc<OwnMedia> {
    Arc::new(OwnMedia { addresses: vec![addr("192.0.2.1:1").ip()], ports: (20_000, 29_999) })
}

fn format(payload_type: u8, name: &str) -> PayloadFormat {
    PayloadFormat { payload_type, name: name.into(), clock_rate: 8_000, channels: 1 }
}

fn remote(rtp: &str) -> Remote {
    let rtp = addr(rtp);
    Remote {
        rtp,
        rtcp: SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)),
        signalling: rtp.ip(),
        vouched: true,
        nat: false,
        rtcp_mux: false,
        formats: vec![format(8, "PCMA"), format(101, "TELEPHONE-EVENT")],
        said: 2,
        flowing: BOTH_WAYS,
        presses: Default::default(),
        secure: None,
    }
}

fn nat(rtp: &str, signalling: &str) -> Remote {
    Remote { nat: true, ..elsewhere(rtp, signalling) }
}

/// Media is elsewhere than signalling, and nobody vouches for it.
fn elsewhere(rtp: &str, signalling: &str) -> Remote {
    let signalling = addr(signalling).ip();
    let rtp = remote(rtp);
    Remote { signalling, vouched: rtp.rtp.ip() == signalling, ..rtp }
}

fn relay() -> Relay {
    Relay::new(at(0), own(), Duration::from_secs(60))
}

fn joined() -> Relay {
    let mut relay = relay();
    relay.set_remote(at(0), Side::Caller, Some(&remote(CALLER))).unwrap();
    relay.set_remote(at(0), Side::Company, Some(&remote(COMPANY))).unwrap();
    relay
}

fn rtp(payload_type: u8, sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(&[0xd5; 160]);
    bytes
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes
}

#[test]
fn two_sides_hear_each_other() {
    let mut relay = joined();
    let to = |text| Ok(Accepted { to: Some(addr(text)), first: true });
    assert_eq!(relay.on_rtp(at(1), Side::Caller, addr(CALLER), &rtp(8, 1, 1)), to(COMPANY));
    assert_eq!(relay.on_rtp(at(1), Side::Company, addr(COMPANY), &rtp(8, 1, 1)), to(CALLER));
    let again = relay.on_rtp(at(21), Side::Caller, addr(CALLER), &rtp(8, 2, 1)).unwrap();
    assert!(!again.first);
    let rtcp = relay.on_rtcp(at(30), Side::Caller, addr("198.51.100.7:4001"), &report(1));
    assert_eq!(rtcp, Ok(Some(addr("192.0.2.20:6001"))));
}

#[test]
fn early_media_flows_before_the_caller_has_said_a_word() {
    let mut relay = joined();
    for i in 0..50u16 {
        let accepted = relay.on_rtp(at(20 * u64::from(i)), Side::Company, addr(COMPANY), &rtp(8, i, 1)).unwrap();
        assert_eq!(accepted.to, Some(addr(CALLER)));
    }
}

#[test]
fn e01_a_stranger_is_never_relayed_and_never_answered() {
    let mut relay = joined();
    for i in 0..200u16 {
        let now = at(5 * u64::from(i));
        for side in Side::BOTH {
            assert_eq!(relay.on_rtp(now, side, addr(STRANGER), &rtp(8, i, 9)), Err(Refusal::WrongSource));
            assert_eq!(relay.on_rtcp(now, side, addr(STRANGER), &report(9)), Err(Refusal::WrongSource));
        }
        // The right IP with another port is a stranger too: NAT mode is off.
        let near = relay.on_rtp(now, Side::Caller, addr("198.51.100.7:4002"), &rtp(8, i, 9));
        assert_eq!(near, Err(Refusal::WrongSource));
        // Each side's address is a stranger on the other side's port.
        let crossed = relay.on_rtp(now, Side::Company, addr(CALLER), &rtp(8, i, 9));
        assert_eq!(crossed, Err(Refusal::WrongSource));
    }
    let summary = relay.summary();
    assert_eq!((summary.caller.received, summary.company.received), (0, 0));
    assert_eq!(summary.caller.refused["wrong_source"], 600);
}

#[test]
fn e06_e12_packets_that_are_not_what_was_agreed_are_counted_by_reason() {
    let cases: &[(&str, Vec<u8>, Refusal)] = &[
        ("nothing", vec![], Refusal::TooShort),
        ("11 bytes", vec![0x80; 11], Refusal::TooShort),
        ("1,473 bytes", vec![0x80; 1_473], Refusal::TooLong),
        ("STUN", vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], Refusal::NotRtp),
        ("DTLS hello", [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1][..], &[7; 60]].concat(), Refusal::NotRtp),
        ("a piece of it", vec![22, 254, 253, 0, 0, 0, 0], Refusal::TooShort),
        ("TURN data", [&[0x40, 0, 0, 16][..], &[7; 16]].concat(), Refusal::NotRtp),
        ("UDPTL", [&[0, 1, 6, 0][..], &[7; 20]].concat(), Refusal::NotRtp),
        ("15 CSRC in 12 bytes", [&[0x8f, 8][..], &[7; 10]].concat(), Refusal::BadHeader),
        ("padding of 0", [&[0xa0, 8][..], &[7; 10], &[0; 4]].concat(), Refusal::BadHeader),
        ("padding beyond the packet", [&[0xa0, 8][..], &[7; 10], &[200; 4]].concat(), Refusal::BadHeader),
        ("payload type 72", rtp(72, 1, 1), Refusal::RtcpOnRtpPort),
        ("payload type 76", rtp(76, 1, 1), Refusal::RtcpOnRtpPort),
        ("SIP", b"OPTIONS sip:a@b SIP/2.0\r\n\r\n".to_vec(), Refusal::NotRtp),
        ("RTCP", report(1).into_iter().chain([0; 8]).collect(), Refusal::RtcpOnRtpPort),
        ("extension too long", [&[0x90, 8], &[0xff; 20][..]].concat(), Refusal::BadHeader),
        ("µ-law, which was not agreed on", rtp(0, 1, 1), Refusal::UnknownPayload),
        ("payload type 127", rtp(127, 1, 1), Refusal::UnknownPayload),
    ];
    for (name, bytes, expected) in cases {
        let mut relay = joined();
        assert_eq!(relay.on_rtp(at(1), Side::Caller, addr(CALLER), bytes), Err(*expected), "{name}");
        assert_eq!(relay.summary().caller.refused[expected.as_str()], 1, "{name}");
    }
    let mut relay = joined();
    let bad = relay.on_rtcp(at(1), Side::Caller, addr("198.51.100.7:4001"), &[0x80, 201, 0, 9, 0, 0, 0, 1]);
    assert_eq!(bad, Err(Refusal::BadRtcp));
}

#[test]
fn e05_a_forged_bye_ends_nothing() {
    let mut relay = joined();
    let bye = [report(1), vec![0x81, 203, 0, 1, 0, 0, 0, 1]].concat();
    assert_eq!(relay.on_rtcp(at(1), Side::Caller, addr(STRANGER), &bye), Err(Refusal::WrongSource));
    let true_one = relay.on_rtcp(at(1), Side::Caller, addr("198.51.100.7:4001"), &bye);
    assert_eq!(true_one, Ok(Some(addr("192.0.2.20:6001"))));
    assert!(relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap().to.is_some());
}

#[test]
fn e07_any_ssrc_and_sequence_of_a_believed_source_is_relayed() {
    let mut relay = joined();
    for i in 0..100u32 {
        let bytes = rtp(8, (i * 40_503) as u16, i);
        for (side, source) in [(Side::Caller, CALLER), (Side::Company, COMPANY)] {
            let accepted = relay.on_rtp(at(u64::from(i) * 20), side, addr(source), &bytes).unwrap();
            assert!(accepted.to.is_some());
        }
    }
}

#[test]
fn e04_hold_stops_what_it_should_and_no_more() {
    // What the company says of itself; does the caller's voice reach it, does its music reach the caller?
    for (name, flowing, voice, music) in [
        ("both ways", BOTH_WAYS, Ok(true), Ok(true)),
        ("sendonly: music", Flowing { from_side: true, to_side: false }, Ok(false), Ok(true)),
        ("recvonly", Flowing { from_side: false, to_side: true }, Ok(true), Err(Refusal::OnHold)),
        ("inactive", Flowing { from_side: false, to_side: false }, Ok(false), Err(Refusal::OnHold)),
    ] {
        let mut relay = joined();
        let company = Remote { flowing, ..remote(COMPANY) };
        relay.set_remote(at(1), Side::Company, Some(&company)).unwrap();
        let reached = |verdict: Result<Accepted, Refusal>| verdict.map(|a| a.to.is_some());
        assert_eq!(reached(relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(8, 1, 1))), voice, "{name}");
        assert_eq!(reached(relay.on_rtp(at(2), Side::Company, addr(COMPANY), &rtp(8, 1, 1))), music, "{name}");
        relay.set_remote(at(3), Side::Company, Some(&remote(COMPANY))).unwrap();
        assert_eq!(
            reached(relay.on_rtp(at(4), Side::Caller, addr(CALLER), &rtp(8, 2, 1))),
            Ok(true),
            "{name}: resumed"
        );
    }
}

#[test]
fn the_old_way_to_hold_sends_nothing() {
    let mut relay = joined();
    relay.set_remote(at(1), Side::Company, Some(&remote("0.0.0.0:6000"))).unwrap();
    assert_eq!(relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap().to, None);
    assert_eq!(relay.on_rtcp(at(2), Side::Caller, addr("198.51.100.7:4001"), &report(1)), Ok(None));
    let late = relay.on_rtp(at(2), Side::Company, addr(COMPANY), &rtp(8, 1, 1));
    assert_eq!(late, Err(Refusal::WrongSource));
}

#[test]
fn e04_a_new_address_is_the_only_one_from_then_on() {
    let mut relay = joined();
    relay.set_remote(at(1), Side::Company, Some(&remote("192.0.2.20:7000"))).unwrap();
    let old = relay.on_rtp(at(2), Side::Company, addr(COMPANY), &rtp(8, 1, 1));
    assert_eq!(old, Err(Refusal::WrongSource));
    assert!(relay.on_rtp(at(2), Side::Company, addr("192.0.2.20:7000"), &rtp(8, 1, 1)).is_ok());
    let voice = relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap();
    assert_eq!(voice.to, Some(addr("192.0.2.20:7000")));
}

#[test]
fn e16_addresses_that_media_may_not_go_to_count_as_none() {
    for bad in [
        "127.0.0.1:6000",
        "224.0.0.1:6000",
        "255.255.255.255:6000",
        "169.254.169.254:6000",
        "192.0.2.1:20000",
        "192.0.2.9:53",
    ] {
        let mut relay = joined();
        assert!(relay.set_remote(at(1), Side::Company, Some(&remote(bad))).is_err(), "{bad}");
        assert_eq!(relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap().to, None, "{bad}");
        assert_eq!(relay.on_rtcp(at(2), Side::Caller, addr("198.51.100.7:4001"), &report(1)), Ok(None), "{bad}");
        assert!(relay.on_rtp(at(2), Side::Company, addr(bad), &rtp(8, 1, 1)).is_err(), "{bad}");
    }
}

#[test]
fn rtcp_to_an_address_that_media_may_not_go_to_is_not_sent() {
    let mut relay = joined();
    let company = Remote { rtcp: addr("127.0.0.1:6001"), ..remote(COMPANY) };
    relay.set_remote(at(1), Side::Company, Some(&company)).unwrap();
    assert_eq!(relay.on_rtcp(at(2), Side::Caller, addr("198.51.100.7:4001"), &report(1)), Ok(None));
    assert!(relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap().to.is_some());
}

#[test]
fn e17_behind_nat_a_third_party_in_sdp_gets_nothing() {
    let mut relay = joined();
    // The company's SDP names somebody else; its signalling comes from its own address.
    relay.set_remote(at(1), Side::Company, Some(&nat("203.0.113.200:6000", COMPANY))).unwrap();
    for i in 0..50u16 {
        let voice = relay.on_rtp(at(20 * u64::from(i)), Side::Caller, addr(CALLER), &rtp(8, i, 1)).unwrap();
        assert_eq!(voice.to, None);
    }
    for i in 0..5u16 {
        let _ = relay.on_rtp(at(1_000 + 20 * u64::from(i)), Side::Company, addr("192.0.2.20:9999"), &rtp(8, i, 1));
    }
    let voice = relay.on_rtp(at(1_200), Side::Caller, addr(CALLER), &rtp(8, 50, 1)).unwrap();
    assert_eq!(voice.to, Some(addr("192.0.2.20:9999")));
}

#[test]
fn e17_a_third_party_in_sdp_gets_nothing_before_it_has_sent() {
    const NAMED: &str = "203.0.113.200:6000";
    let mut relay = joined();
    relay.set_remote(at(1), Side::Company, Some(&elsewhere(NAMED, COMPANY))).unwrap();
    let voice = |relay: &mut Relay, n: u16| {
        relay.on_rtp(at(20 * u64::from(n)), Side::Caller, addr(CALLER), &rtp(8, n, 1)).unwrap().to
    };
    let reports =
        |relay: &mut Relay, ms| relay.on_rtcp(at(ms), Side::Caller, addr("198.51.100.7:4001"), &report(1)).unwrap();
    for n in 1..50 {
        assert_eq!(voice(&mut relay, n), None);
    }
    assert_eq!(reports(&mut relay, 1_000), None);
    assert_eq!(relay.destination(Side::Company), None, "nothing of ours is played to it either");
    // Another one cannot say it for that address.
    assert!(relay.on_rtp(at(1_001), Side::Company, addr(COMPANY), &rtp(8, 1, 2)).is_err());
    assert_eq!(voice(&mut relay, 51), None);
    // One packet from there is enough.
    relay.on_rtp(at(1_030), Side::Company, addr(NAMED), &rtp(8, 1, 2)).unwrap();
    assert_eq!(voice(&mut relay, 52), Some(addr(NAMED)));
    assert_eq!(reports(&mut relay, 1_050), Some(addr("203.0.113.200:6001")));
    // The same words again change nothing; a new address has yet to send.
    relay.set_remote(at(1_060), Side::Company, Some(&elsewhere(NAMED, COMPANY))).unwrap();
    assert_eq!(voice(&mut relay, 53), Some(addr(NAMED)));
    relay.set_remote(at(1_070), Side::Company, Some(&elsewhere("203.0.113.201:6000", COMPANY))).unwrap();
    assert_eq!(voice(&mut relay, 54), None);
}

#[test]
fn e17_who_only_listens_is_served_where_its_network_is_vouched_for() {
    let mut relay = joined();
    let gateway = Remote { vouched: true, ..elsewhere("203.0.113.200:6000", COMPANY) };
    relay.set_remote(at(1), Side::Company, Some(&gateway)).unwrap();
    let voice = relay.on_rtp(at(20), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap();
    assert_eq!(voice.to, Some(gateway.rtp));
    assert_eq!(relay.on_rtcp(at(21), Side::Caller, addr("198.51.100.7:4001"), &report(1)), Ok(Some(gateway.rtcp)));
}

#[test]
fn a_source_that_sdp_could_not_have_named_is_not_learned() {
    let mut relay = joined();
    relay.set_remote(at(1), Side::Company, Some(&nat("10.0.0.5:6000", COMPANY))).unwrap();
    for port in [53u16, 5_060] {
        let source = SocketAddr::new(addr(COMPANY).ip(), port);
        for i in 0..9 {
            let verdict = relay.on_rtp(at(2 + 20 * u64::from(i)), Side::Company, source, &rtp(8, i, 1));
            assert_eq!(verdict, Err(Refusal::WrongSource));
        }
    }
    assert_eq!(relay.on_rtp(at(500), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap().to, None);
    // Nor is such a port learned for RTCP, although the party is known by then.
    for i in 0..5u16 {
        let _ = relay.on_rtp(at(600 + 20 * u64::from(i)), Side::Company, addr("192.0.2.20:9999"), &rtp(8, i, 1));
    }
    let reports = relay.on_rtcp(at(800), Side::Company, addr("192.0.2.20:53"), &report(1));
    assert_eq!(reports, Err(Refusal::WrongSource));
    assert!(relay.on_rtcp(at(801), Side::Company, addr("192.0.2.20:10000"), &report(1)).is_ok());
}

#[test]
fn a_payload_type_that_one_side_did_not_agree_on_stays_away_from_it() {
    let mut relay = joined();
    let company = Remote { formats: vec![format(8, "PCMA")], ..remote(COMPANY) };
    relay.set_remote(at(1), Side::Company, Some(&company)).unwrap();
    assert_eq!(relay.on_rtp(at(2), Side::Caller, addr(CALLER), &rtp(101, 1, 1)).unwrap().to, None);
    assert!(relay.on_rtp(at(3), Side::Caller, addr(CALLER), &rtp(8, 2, 1)).unwrap().to.is_some());
}

#[test]
fn e09_a_flood_is_cut_to_the_rate_of_its_leg() {
    let mut relay = joined();
    let mut accepted = 0;
    for i in 0..50_000u64 {
        let now = Mono(i * 200_000);
        if relay.on_rtp(now, Side::Caller, addr(CALLER), &rtp(8, i as u16, 1)).is_ok() {
            accepted += 1;
        }
        if i % 100 == 0 {
            assert!(relay.on_rtp(now, Side::Company, addr(COMPANY), &rtp(8, i as u16, 1)).is_ok(), "the other leg");
        }
    }
    // 10 s at 250 a second, and the burst.
    assert!((2_590..=2_600).contains(&accepted), "{accepted}");
}

/// What is told until `end`, with the time in seconds.
fn told(relay: &mut Relay, end: u64) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    while let Some((due, _)) = relay.poll_timeout().filter(|(due, _)| *due <= at(end)) {
        while let Some(notice) = relay.handle_timeout(due) {
            let what = match notice {
                MediaNotice::Silent => "silent".to_owned(),
                MediaNotice::Quiet { side, silent } => format!("{} {}", side.as_str(), silent.as_secs()),
                other => panic!("{other:?}"),
            };
            told.push((due.0 / 1_000_000_000, what));
        }
    }
    told
}

fn list(told: &[(u64, &str)]) -> Vec<(u64, String)> {
    told.iter().map(|(at, what)| (*at, (*what).to_owned())).collect()
}

#[test]
fn e15_nobody_ever_sends() {
    let mut relay = relay();
    relay.set_remote(at(0), Side::Caller, Some(&remote(CALLER))).unwrap();
    assert_eq!(relay.poll_timeout(), None, "the other side is not known yet");
    relay.set_remote(at(1_000), Side::Company, Some(&remote(COMPANY))).unwrap();
    let expected = [
        (21, "caller 20"),
        (21, "company 20"),
        (41, "caller 40"),
        (41, "company 40"),
        (61, "silent"),
        (81, "caller 80"),
        (81, "company 80"),
    ];
    assert_eq!(told(&mut relay, 100_000), list(&expected));
}

#[test]
fn e15_one_side_stops_and_is_heard_again() {
    let mut relay = joined();
    let mut all = Vec::new();
    for i in 0..3_000u16 {
        let now = 20 * u64::from(i);
        relay.on_rtp(at(now), Side::Caller, addr(CALLER), &rtp(8, i, 1)).unwrap();
        if !(250..2_000).contains(&i) {
            relay.on_rtp(at(now), Side::Company, addr(COMPANY), &rtp(8, i, 1)).unwrap();
        }
        let _ = relay.on_rtp(at(now), Side::Company, addr(STRANGER), &rtp(8, i, 9));
        all.extend(told(&mut relay, now));
    }
    assert_eq!(all, list(&[(24, "company 20")]), "a stranger is not heard, and the other side keeps the call alive");
}

#[test]
fn e15_both_sides_stop() {
    let mut relay = joined();
    relay.on_rtp(at(5_000), Side::Caller, addr(CALLER), &rtp(8, 1, 1)).unwrap();
    relay.on_rtp(at(2_000), Side::Company, addr(COMPANY), &rtp(8, 1, 1)).unwrap();
    let expected = [(22, "company 20"), (25, "caller 20"), (42, "company 40"), (45, "caller 40"), (65, "silent")];
    assert_eq!(told(&mut relay, 66_000), list(&expected));
}

#[test]
fn e15_on_hold_silence_is_given_an_hour() {
    let mut relay = joined();
    let held = Remote { flowing: Flowing { from_side: false, to_side: false }, ..remote(COMPANY) };
    relay.set_remote(at(10_000), Side::Company, Some(&held)).unwrap();
    let told = told(&mut relay, 4_000_000);
    assert!(told.iter().all(|(_, what)| !what.starts_with("company")), "nothing is expected from it: {told:?}");
    assert!(told.contains(&(3_610, "silent".to_owned())), "{told:?}");
    assert_eq!(told.iter().filter(|(_, what)| what == "silent").count(), 1);
}

fn reports(relay: &mut Relay, ms: u64) -> Vec<(Side, SocketAddr, Rtcp)> {
    let now = Now { mono: at(ms), wall: crate::time::Wall(1_800_000_000_000_000 + ms as i64 * 1_000) };
    let made = relay.make_reports(now).into_iter();
    made.map(|(side, to, bytes)| (side, to, Rtcp::parse(&bytes).unwrap())).collect()
}

#[test]
fn a_side_whose_far_side_reports_nothing_gets_reports_of_ours() {
    let mut relay = joined();
    for i in 0..500u16 {
        relay.on_rtp(at(20 * u64::from(i)), Side::Company, addr(COMPANY), &rtp(8, i, 7)).unwrap();
    }
    // The caller reports, the company does not.
    relay.on_rtcp(at(9_000), Side::Caller, addr("198.51.100.7:4001"), &report(1)).unwrap();
    assert_eq!(relay.poll_reports(), Some((at(10_000), "media_reports")));
    assert_eq!(reports(&mut relay, 9_999), []);
    let made = reports(&mut relay, 10_000);
    let [(Side::Caller, to, sr)] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*to, addr("198.51.100.7:4001"));
    assert_eq!((sr.sender, sr.sent_at.is_some()), (7, true), "in the name of the company's stream");
    assert!(relay.poll_reports().unwrap().0 > at(12_000));
    // Its answer half a second later, which it had for 400 ms, shows the round trip.
    let mut answer = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 7];
    answer.extend([0; 12]);
    answer.extend(sr.sent_at.unwrap().to_be_bytes());
    answer.extend((65_536u32 * 4 / 10).to_be_bytes());
    relay.on_rtcp(at(10_500), Side::Caller, addr("198.51.100.7:4001"), &answer).unwrap();
    let summary = relay.summary();
    assert_eq!(summary.caller.round_trip_ms, Some(100.0));
    assert_eq!((summary.caller.rtcp_made, summary.company.rtcp_made), (1, 0));
    assert_eq!(summary.company.round_trip_ms, None);
}

#[test]
fn no_report_goes_where_nothing_may_go() {
    let mut relay = joined();
    relay.set_remote(at(1), Side::Company, Some(&nat("203.0.113.200:6000", COMPANY))).unwrap();
    let made = reports(&mut relay, 10_001);
    assert!(made.iter().all(|(side, ..)| *side == Side::Caller), "{made:?}");
}

#[test]
fn rtp_and_rtcp_share_a_port_when_both_sides_can() {
    let mux = |rtp| Remote { rtcp_mux: true, ..remote(rtp) };
    let mut relay = joined();
    relay.set_remote(at(0), Side::Caller, Some(&mux(CALLER))).unwrap();
    assert!(!relay.is_rtcp_among_rtp(Side::Caller, &report(1)), "the company has not agreed");
    assert_eq!(
        relay.on_rtcp(at(1), Side::Company, addr("192.0.2.20:6001"), &report(1)),
        Ok(Some(addr("198.51.100.7:4001")))
    );
    relay.set_remote(at(2), Side::Company, Some(&mux(COMPANY))).unwrap();
    assert!(relay.is_muxed(Side::Caller) && relay.is_rtcp_among_rtp(Side::Caller, &report(1)));
    assert_eq!(relay.on_rtcp(at(3), Side::Company, addr(COMPANY), &report(1)), Ok(Some(addr(CALLER))));
    for stranger in [STRANGER, "192.0.2.20:6001"] {
        assert_eq!(relay.on_rtcp(at(3), Side::Company, addr(stranger), &report(1)), Err(Refusal::WrongSource));
    }
    let made = reports(&mut relay, 10_002);
    assert!(made.iter().any(|(side, to, _)| (*side, *to) == (Side::Company, addr(COMPANY))), "{made:?}");
}

#[test]
fn the_summary_says_what_happened() {
    let mut relay = joined();
    for i in (0..100u16).filter(|i| i % 10 != 5) {
        let now = at(20 * u64::from(i));
        relay.on_rtp(now, Side::Caller, addr(CALLER), &rtp(8, i, 1)).unwrap();
        relay.on_relayed(Side::Caller);
    }
    let _ = relay.on_rtp(at(3_000), Side::Caller, addr(STRANGER), &rtp(8, 1, 1));
    let summary = relay.summary();
    assert_eq!(summary.codec.as_deref(), Some("PCMA"));
    let caller = &summary.caller;
    assert_eq!((caller.received, caller.relayed, caller.lost), (90, 90, 10));
    assert!(caller.mos.is_some_and(|mos| (1.0..3.0).contains(&mos)), "{:?}", caller.mos);
    assert_eq!(caller.refused, BTreeMap::from([("wrong_source".to_owned(), 1)]));
    assert_eq!((summary.company.received, summary.company.mos), (0, None));
}

#[test]
fn refusal_codes_stand_at_their_own_index() {
    for (i, refusal) in Refusal::ALL.iter().enumerate() {
        assert_eq!(*refusal as usize, i);
    }
}

/// One thing that happens to a relay.
#[derive(Clone, Debug)]
enum Step {
    Remote(Side, Option<usize>, bool, bool, bool),
    Rtp { side: Side, source: usize, sequence: u16, run: u16 },
    Rtcp { side: Side, source: usize },
}

const PLACES: [&str; 8] = [
    CALLER,
    "198.51.100.7:4400",
    COMPANY,
    "192.0.2.20:6600",
    STRANGER,
    "10.0.0.9:5000",
    "127.0.0.1:7000",
    "192.0.2.1:20000",
];

fn any_step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Caller), Just(Side::Company)];
    let place = 0..PLACES.len();
    prop_oneof![
        1 => (side.clone(), proptest::option::weighted(0.9, place.clone()), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(side, place, nat, from, to)| Step::Remote(side, place, nat, from, to)),
        6 => (side.clone(), place.clone(), any::<u16>(), 1u16..8)
            .prop_map(|(side, source, sequence, run)| Step::Rtp { side, source, sequence, run }),
        1 => (side, place).prop_map(|(side, source)| Step::Rtcp { side, source }),
    ]
}

/// The rule in other words: may media for a side that said this go to `to`, when these have sent since what the rule asks?
fn is_allowed(said: &Remote, proved: &[SocketAddr], to: SocketAddr, port_of_rtcp: bool) -> bool {
    let signalled = if port_of_rtcp { said.rtcp } else { said.rtp };
    if to == signalled && to.ip() == said.signalling {
        return true;
    }
    if !said.nat {
        return to == signalled && proved.iter().any(|p| if port_of_rtcp { p.ip() == to.ip() } else { *p == to });
    }
    let ours: [IpAddr; 2] = [said.rtp.ip(), said.signalling];
    if port_of_rtcp {
        return ours.contains(&to.ip()) && proved.iter().any(|p| p.ip() == to.ip());
    }
    ours.contains(&to.ip()) && proved.contains(&to)
}

proptest! {
    #[test]
    fn nothing_goes_to_an_address_that_the_rule_does_not_allow(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut relay = relay();
        let mut said: [Option<Remote>; 2] = [None, None];
        let mut proved: [Vec<SocketAddr>; 2] = [vec![], vec![]];
        let mut now = 0;
        for step in steps {
            now += 400;
            match step {
                Step::Remote(side, place, nat, from_side, to_side) => {
                    let flowing = Flowing { from_side, to_side };
                    let signalling = addr([CALLER, COMPANY][side.index()]).ip();
                    let at_home = |p: usize| addr(PLACES[p]).ip() == signalling;
                    let new = place.map(|p| {
                        Remote { nat, flowing, signalling, vouched: at_home(p), ..remote(PLACES[p]) }
                    });
                    let _ = relay.set_remote(at(now), side, new.as_ref());
                    let moved = |r: &Option<Remote>| r.as_ref().map(|r| (r.rtp, r.nat));
                    if moved(&said[side.index()]) != moved(&new) {
                        proved[side.index()].clear();
                    }
                    said[side.index()] = new;
                }
                Step::Rtp { side, source, sequence, run } => {
                    let source = addr(PLACES[source]);
                    for i in 0..run {
                        let verdict = relay.on_rtp(at(now + u64::from(i)), side, source, &rtp(8, sequence.wrapping_add(i), 1));
                        if i >= 4 || said[side.index()].as_ref().is_some_and(|r| r.rtp == source) {
                            proved[side.index()].push(source);
                        }
                        if let Ok(Accepted { to: Some(to), .. }) = verdict {
                            let other = side.other().index();
                            let remote = said[other].as_ref().expect("sent to a side that said nothing");
                            prop_assert!(remote.flowing.to_side, "sent to a side on hold");
                            prop_assert!(is_allowed(remote, &proved[other], to, false), "{to} of {remote:?}");
                            prop_assert!(is_acceptable(to, &own()).is_ok(), "{to}");
                        }
                    }
                }
                Step::Rtcp { side, source } => {
                    let source = addr(PLACES[source]);
                    let source = SocketAddr::new(source.ip(), source.port() + 1);
                    let verdict = relay.on_rtcp(at(now), side, source, &report(1));
                    // Whoever sends from the very address that was signalled may be answered there.
                    if verdict.is_ok() && said[side.index()].as_ref().is_some_and(|r| r.rtcp == source) {
                        proved[side.index()].push(source);
                    }
                    if let Ok(Some(to)) = verdict {
                        let other = side.other().index();
                        let remote = said[other].as_ref().expect("sent to a side that said nothing");
                        prop_assert!(is_allowed(remote, &proved[other], to, true), "{to} of {remote:?}");
                        prop_assert!(is_acceptable(to, &own()).is_ok(), "{to}");
                    }
                }
            }
        }
    }
}

/// The list that was agreed on begins with a codec whose quality nobody scores; what is sent is G.711.
#[test]
fn the_score_follows_what_is_sent() {
    let mut relay = relay();
    let opus = PayloadFormat { clock_rate: 48_000, channels: 2, ..format(111, "OPUS") };
    let formats = vec![opus, format(8, "PCMA"), format(13, "CN")];
    for (side, place) in [(Side::Caller, CALLER), (Side::Company, COMPANY)] {
        let remote = Remote { formats: formats.clone(), said: 3, ..remote(place) };
        relay.set_remote(at(0), side, Some(&remote)).unwrap();
    }
    for sequence in 0..200 {
        let mut bytes = rtp(if sequence == 150 { 13 } else { 8 }, sequence, 1);
        bytes[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        relay.on_rtp(at(u64::from(sequence) * 20), Side::Caller, addr(CALLER), &bytes).unwrap();
    }
    let summary = relay.summary();
    assert_eq!(summary.caller.codec.as_deref(), Some("PCMA"));
    assert!(summary.caller.mos.is_some_and(|mos| mos > 4.0), "{:?}", summary.caller);
    assert_eq!((summary.company.codec.as_deref(), summary.company.mos), (Some("OPUS"), None), "nothing was sent");
}
