use std::f64::consts::TAU;

use super::*;
use crate::wire::codec::speech::{Decoder, Encoder};

fn format(payload_type: u8, name: &str, clock_rate: u32) -> PayloadFormat {
    let channels = if name == "OPUS" { 2 } else { 1 };
    PayloadFormat { payload_type, name: name.into(), clock_rate, channels }
}

fn of(codec: Codec) -> PayloadFormat {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    };
    format(payload_type, codec.name(), codec.clock())
}

fn rtp(payload_type: u8, marker: bool, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(0xfeed_u32.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// What of a packet is looked at: payload type, marker, sequence, timestamp, payload.
type Seen = (u8, bool, u16, u32, Vec<u8>);

fn seen(bytes: &[u8]) -> Seen {
    let rtp = Rtp::parse(bytes).unwrap();
    assert_eq!(rtp.ssrc(), 0xfeed);
    (rtp.payload_type(), rtp.marker(), rtp.sequence(), rtp.timestamp(), rtp.payload().to_vec())
}

fn give(translation: &mut Translation, bytes: &[u8]) -> Vec<Seen> {
    let mut out = Vec::new();
    translation.on_rtp(bytes, |packet| out.push(seen(packet)));
    out
}

fn between(heard: &[PayloadFormat], wanted: &[PayloadFormat]) -> Translation {
    Translation::new(Plan::new(heard, wanted, false).expect("there is something to translate"))
}

fn tone(rate: u32, from: u32, count: u32) -> Vec<i16> {
    (from..from + count).map(|n| (8_000.0 * (TAU * 700.0 * f64::from(n) / f64::from(rate)).sin()) as i16).collect()
}

/// Power at 700 Hz of all there is.
fn purity(samples: &[i16]) -> f64 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 1.0);
    for (n, sample) in samples.iter().enumerate() {
        let (s, turn) = (f64::from(*sample), TAU * 700.0 * n as f64 / 8_000.0);
        re += s * turn.cos();
        im += s * turn.sin();
        all += s * s;
    }
    (re * re + im * im) * 2.0 / (all * samples.len() as f64)
}

#[test]
fn sides_that_agree_need_nothing() {
    let formats = [of(Codec::Pcma), format(101, "TELEPHONE-EVENT", 8_000)];
    assert_eq!(Plan::new(&formats, &formats, false), None);
    assert_eq!(Plan::new(&formats, &formats[..1], false), None, "key presses that nobody wants are no reason");
    let unknown = [format(18, "G729", 8_000)];
    assert_eq!(Plan::new(&unknown, &unknown, false), None);
    assert_eq!(Plan::new(&unknown, &formats, false).map(|plan| plan.reaches()), None, "nothing can be made of G.729");
}

/// A caller offers much and is answered one codec of it: nothing is prepared for.
#[test]
fn what_was_offered_and_not_answered_costs_nothing() {
    let (offer, answer) = ([of(Codec::Pcmu), of(Codec::G722), of(Codec::Pcma)], [of(Codec::Pcma)]);
    assert_eq!(Plan::new(&offer, &answer, true), None);
    // Who answers with more than was offered may send it.
    let plan = Plan::new(&offer, &answer, false).expect("two of them are not the caller's");
    assert!(plan.transcodes());
    let mut translations = Translations::default();
    assert_eq!(translations.renew([(&offer[..], 3), (&answer[..], 1)]), [0, 0]);
    assert!(translations.of(Side::Caller).is_none() && translations.of(Side::Company).is_none());
    assert_ne!(translations.renew([(&answer[..], 1), (&offer[..], 3)]), [0, 0]);
    // A caller that answers our offer in a codec of ours, which the company has not named, sends that.
    let late = [of(Codec::Opus), of(Codec::Pcma)];
    let [reach, _] = translations.renew([(&late[..], 1), (&answer[..], 1)]);
    assert_eq!(reach >> of(Codec::Opus).payload_type & 1, 1);
    assert!(translations.of(Side::Caller).is_some() && translations.of(Side::Company).is_some());
}

/// F10: the same format under two numbers.
#[test]
fn f10_payload_types_that_differ_are_rewritten_and_nothing_else() {
    let heard = [of(Codec::Pcma), format(101, "TELEPHONE-EVENT", 8_000)];
    let wanted = [of(Codec::Pcma), format(96, "TELEPHONE-EVENT", 8_000)];
    let mut translation = between(&heard, &wanted);
    assert!(!translation.plan().transcodes());
    assert_eq!(translation.plan().reaches(), 1 << 8 | 1 << 101);
    let audio = rtp(8, false, 7, 160, &[0xd5; 160]);
    assert_eq!(give(&mut translation, &audio), [seen(&audio)]);
    let press = give(&mut translation, &rtp(101, true, 8, 320, &[5, 0x8a, 3, 0x20]));
    assert_eq!(press, [(96, true, 8, 320, vec![5, 0x8a, 3, 0x20])]);
    // The other way round.
    let mut back = between(&wanted, &heard);
    assert_eq!(give(&mut back, &rtp(96, false, 9, 480, &[5, 0x8a, 3, 0x20]))[0].0, 101);
}

/// Every pair of codecs: a tone stays a tone, numbers and clocks are those of the new stream.
#[test]
fn any_codec_becomes_any_other() {
    for from in Codec::ALL {
        for to in Codec::ALL {
            if from == to {
                continue;
            }
            let mut translation = between(&[of(from)], &[of(to)]);
            assert!(translation.plan().transcodes());
            let rate = from.audio_rate();
            let mut encoder = Encoder::new(from, rate).unwrap();
            let mut decoder = Decoder::new(to, 8_000).unwrap();
            let (mut heard, mut packet) = (Vec::new(), [0; 1_400]);
            let start = u32::MAX - 3 * from.clock() / 50;
            for k in 0..60u32 {
                let length = encoder.encode(&tone(rate, k * rate / 50, rate / 50), &mut packet).unwrap();
                let timestamp = start.wrapping_add(k * from.clock() / 50);
                let sequence = 65_530u16.wrapping_add(k as u16);
                let bytes = rtp(of(from).payload_type, k == 0, sequence, timestamp, &packet[..length]);
                let out = give(&mut translation, &bytes);
                let [(payload_type, marker, number, time, payload)] = &out[..] else {
                    panic!("{from:?} {to:?}: {out:?}")
                };
                let due = start.wrapping_add(k * to.clock() / 50);
                assert_eq!(
                    (*payload_type, *marker, *number, *time),
                    (of(to).payload_type, k == 0, sequence, due),
                    "{from:?} to {to:?}, packet {k}"
                );
                assert_eq!(to.duration(payload), Some(to.clock() / 50));
                decoder.decode(payload, &mut heard).unwrap();
            }
            assert_eq!(heard.len(), 60 * 160);
            let purity = purity(&heard[2_000..]);
            assert!(purity > 0.95, "{from:?} to {to:?}: {purity}");
        }
    }
}

/// What was lost, came late or came twice is so behind us, too.
#[test]
fn loss_reordering_and_copies_are_seen_behind_us() {
    let mut translation = between(&[of(Codec::Pcma)], &[of(Codec::G722)]);
    let mut at = |k: u16| give(&mut translation, &rtp(8, false, k, u32::from(k) * 160, &[0xd5; 160]));
    for (k, expected) in [(10, Some(10)), (11, Some(11)), (14, Some(14)), (13, Some(13)), (14, None), (15, Some(15))] {
        let out = at(k);
        assert_eq!(out.first().map(|seen| (seen.2, seen.3)), expected.map(|n: u16| (n, u32::from(n) * 160)), "{k}");
    }
}

/// Packets of 30 ms are none of Opus: three of 20 ms are made of two, and silence leaves no hole in the numbers.
#[test]
fn packets_of_another_length_are_cut_anew() {
    let mut translation = between(&[of(Codec::Pcmu)], &[of(Codec::Opus)]);
    let mut seen = Vec::new();
    for k in 0..6u16 {
        seen.extend(give(&mut translation, &rtp(0, k == 0, k, u32::from(k) * 240, &[0xff; 240])));
    }
    let numbers: Vec<_> = seen.iter().map(|s| (s.1, s.2, s.3)).collect();
    let expected: Vec<_> = (0..9u16).map(|k| (k == 0, k, u32::from(k) * 960)).collect();
    assert_eq!(numbers, expected);
    // Half a second of silence, then talk again.
    let out = give(&mut translation, &rtp(0, true, 6, 6 * 240 + 4_000, &[0xff; 240]));
    assert_eq!(out.iter().map(|s| (s.1, s.2, s.3)).collect::<Vec<_>>(), [(true, 9, 6 * 1_440 + 24_000)]);
    // 60 ms are three packets, 10 ms half of one.
    let mut translation = between(&[of(Codec::Pcmu)], &[of(Codec::Opus)]);
    for (ms, k, time, count) in [(60u32, 0u16, 0u32, 3), (10, 1, 480, 0), (10, 2, 560, 1), (40, 3, 640, 2)] {
        let out = give(&mut translation, &rtp(0, false, k, time, &vec![0xff; ms as usize * 8]));
        assert_eq!(out.len(), count, "{ms} ms");
        assert!(out.iter().all(|seen| Codec::Opus.duration(&seen.4) == Some(960)));
    }
}

/// RFC 4733 §2.5.1.2: an event keeps its timestamp over all its packets, in the clock of the stream that it is in.
#[test]
fn f10_key_presses_keep_their_place_and_get_the_other_clock() {
    let heard = [of(Codec::Opus), format(100, "TELEPHONE-EVENT", 48_000)];
    let wanted = [of(Codec::Pcma), format(101, "TELEPHONE-EVENT", 8_000)];
    let mut translation = between(&heard, &wanted);
    let mut encoder = Encoder::new(Codec::Opus, 16_000).unwrap();
    let mut packet = [0; 1_400];
    let length = encoder.encode(&tone(16_000, 0, 320), &mut packet).unwrap();
    assert_eq!(give(&mut translation, &rtp(111, true, 1, 4_800, &packet[..length]))[0].3, 4_800);
    for (k, duration) in [(2u16, 960u16), (3, 1_920), (4, 0xffff)] {
        let [high, low] = duration.to_be_bytes();
        let out = give(&mut translation, &rtp(100, k == 2, k, 5_760, &[1, 0x0a, high, low]));
        let [high, low] = (duration / 6).to_be_bytes();
        assert_eq!(out, [(101, k == 2, k, 4_960, vec![1, 0x0a, high, low])]);
    }
    // The other way: what does not fit stays at the largest.
    let mut back = between(&wanted, &heard);
    give(&mut back, &rtp(8, true, 1, 800, &[0xd5; 160]));
    let out = give(&mut back, &rtp(101, true, 2, 960, &[1, 0x0a, 0xff, 0xff]));
    assert_eq!(out, [(100, true, 2, 800 + 960, vec![1, 0x0a, 0xff, 0xff])]);
}

/// RFC 3389: carried over where the other side knows it, else the silence is a pause in the timestamps only.
#[test]
fn comfort_noise_is_carried_over_or_left_out() {
    let noise = format(13, "CN", 8_000);
    for (wanted, kept) in [(vec![of(Codec::G722), noise.clone()], true), (vec![of(Codec::G722)], false)] {
        let mut translation = between(&[of(Codec::Pcma), noise.clone()], &wanted);
        give(&mut translation, &rtp(8, true, 1, 160, &[0xd5; 160]));
        let out = give(&mut translation, &rtp(13, false, 2, 320, &[70]));
        assert_eq!(out, if kept { vec![(13, false, 2, 320, vec![70])] } else { Vec::new() });
        let next = give(&mut translation, &rtp(8, false, 3, 4_320, &[0xd5; 160]));
        assert_eq!((next[0].1, next[0].2, next[0].3), if kept { (false, 3, 4_320) } else { (true, 2, 4_320) });
    }
}

#[test]
fn an_opus_sender_that_is_silent_leaves_no_hole() {
    let mut translation = between(&[of(Codec::Opus)], &[of(Codec::Pcmu)]);
    let mut encoder = Encoder::new(Codec::Opus, 16_000).unwrap();
    let mut packet = [0; 1_400];
    let length = encoder.encode(&tone(16_000, 0, 320), &mut packet).unwrap();
    assert_eq!(give(&mut translation, &rtp(111, true, 1, 0, &packet[..length])).len(), 1);
    assert!(give(&mut translation, &rtp(111, false, 2, 960, &[packet[0] & 0xf8])).is_empty());
    let out = give(&mut translation, &rtp(111, false, 3, 48_000, &packet[..length]));
    assert_eq!((out[0].1, out[0].2, out[0].3), (true, 2, 8_000));
}

#[test]
fn a_new_plan_goes_on_with_the_numbers() {
    let translation = Box::new(between(&[of(Codec::Pcma)], &[of(Codec::Opus)]));
    let mut translation = translation;
    for k in 0..3u16 {
        give(&mut translation, &rtp(8, false, k, u32::from(k) * 160, &[0xd5; 160]));
    }
    let plan = Plan::new(&[of(Codec::Pcma)], &[format(96, "OPUS", 48_000)], false).unwrap();
    let mut translation = translation.renewed(plan);
    let out = give(&mut translation, &rtp(8, false, 3, 480, &[0xd5; 160]));
    assert_eq!((out[0].0, out[0].2, out[0].3), (96, 3, 2_880));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 60, ..Default::default() })]

    /// Nothing that comes makes it panic, grow, or send more than there was.
    #[test]
    fn f10_any_packets_do_no_harm(
        packets in proptest::collection::vec((0u8..128, 0u16..40, proptest::prelude::any::<u32>(), 0usize..1_460), 1..40),
        pair in 0usize..16,
    ) {
        let (from, to) = (Codec::ALL[pair / 4], Codec::ALL[pair % 4]);
        let event = |payload_type, clock| format(payload_type, "TELEPHONE-EVENT", clock);
        let heard: Vec<_> = Codec::ALL.into_iter().map(of).chain([event(101, 8_000)]).collect();
        let wanted = [of(to), event(96, 48_000), of(from)];
        let mut translation = between(&heard, &wanted);
        for (payload_type, sequence, timestamp, length) in packets {
            let payload_type = [payload_type, of(from).payload_type, 101, 111][usize::from(payload_type % 4)];
            let payload = vec![payload_type.wrapping_mul(31); length];
            let mut count = 0;
            translation.on_rtp(&rtp(payload_type, false, sequence, timestamp, &payload), |packet| {
                count += 1;
                assert!(Rtp::parse(packet).is_ok());
            });
            proptest::prop_assert!(count <= 7, "{count} packets of {length} bytes");
        }
    }
}
