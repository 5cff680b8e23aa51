//! What is made up where the configuration asks for it, and that nothing is where it does not.

use super::*;
use crate::wire::codec::speech::Encoder;

const SECOND: i64 = 1_000 * MS;

fn concealing() -> Recorder {
    let mut recorder = Recorder::new(STARTED);
    recorder.conceal();
    recorder
}

/// A hum of one pitch in this codec, 20 ms each.
fn hum(codec: Codec, packets: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec, 8_000).unwrap();
    let sample = |n: usize| {
        let wave = |k: f64| (std::f64::consts::TAU * 150.0 * k * n as f64 / 8_000.0).sin() / k;
        (5_000.0 * (wave(1.0) + wave(2.0) + wave(3.0))) as i16
    };
    let mut buffer = [0; 1_400];
    let mut packets: Vec<Vec<u8>> = (0..packets)
        .map(|k| {
            let samples: Vec<i16> = (k * 160..(k + 1) * 160).map(sample).collect();
            let length = encoder.encode(&samples, &mut buffer).unwrap();
            buffer[..length].to_vec()
        })
        .collect();
    packets.iter_mut().for_each(|packet| packet.shrink_to_fit());
    packets
}

/// A phone that hums in this codec.
fn humming(codec: Codec, packets: usize) -> Phone {
    let mut phone = Phone::new(Side::Caller, 0);
    phone.payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    };
    for payload in hum(codec, packets) {
        phone.send(phone.payload_type, false, &payload, None);
        phone.timestamp = phone.timestamp.wrapping_add(codec.clock() / 50);
        phone.clock += 20 * MS;
    }
    phone
}

fn opus() -> Vec<Word> {
    let opus = PayloadFormat { payload_type: 111, name: Arc::from("OPUS"), clock_rate: 48_000, channels: 2 };
    vec![(-SECOND, Side::Caller, vec![opus], Some(Flowing { from_side: true, to_side: true }))]
}

fn loudness(samples: &[i16]) -> f64 {
    (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

#[test]
fn a_short_loss_sounds_on_in_every_codec_and_is_named() {
    for codec in Codec::ALL {
        let words = if codec == Codec::Opus { opus() } else { Vec::new() };
        let mut phone = humming(codec, 150);
        // One packet, and ten in a row.
        phone.lose(|k, _| k == 50 || (100..110).contains(&k));
        let plain = record(&[&phone], &words, 3 * SECOND);
        let filled = record_in(concealing(), &[&phone], &words, 3 * SECOND);
        let around = |heard: &Heard, packet: usize, from: usize, to: usize| {
            loudness(&heard.channels[0][packet * 160 + from..packet * 160 + to])
        };
        // Decoders are late by some milliseconds: the middle of the hole.
        let (silent, made) = (around(&plain, 50, 60, 100), around(&filled, 50, 60, 100));
        let voice = around(&plain, 40, 0, 800);
        assert!(silent < voice / 100.0, "{codec:?}: {silent} of {voice} in silence");
        assert!(made > voice / 3.0, "{codec:?}: {made} of {voice} made up");
        assert!(around(&filled, 108, 0, 160) < voice / 10.0, "{codec:?}: a long loss fades");
        let told: u64 = filled.gaps(Side::Caller).iter().filter(|gap| gap.2 == "loss").map(|gap| gap.1).sum();
        assert_eq!(told, 220, "{codec:?}: {:?}", filled.gaps(Side::Caller));
        let concealed: u64 = filled.summary.gaps.iter().filter(|gap| gap.concealed).map(|gap| gap.for_ms).sum();
        let expected = if codec == Codec::Opus { 20..=140 } else { 80..=80 };
        assert!(expected.contains(&concealed), "{codec:?}: {:?}", filled.summary.gaps);
        assert!(plain.summary.gaps.iter().all(|gap| !gap.concealed));
        let heard = |h: &Heard| h.channels[0][..50 * 160 - 80].to_vec();
        assert!(heard(&plain) == heard(&filled), "{codec:?}: what was heard before is the same");
    }
}

#[test]
fn what_comes_late_but_in_time_is_heard_and_not_made_up() {
    let mut phone = humming(Codec::Pcma, 150);
    phone.network(|k, wire, _| wire.arrival += if k % 9 == 4 && k < 140 { 90 * MS } else { 0 });
    let (plain, filled) = (record(&[&phone], &[], 3 * SECOND), record_in(concealing(), &[&phone], &[], 3 * SECOND));
    assert!(plain.channels == filled.channels, "the same, sample by sample");
    assert!(filled.gaps(Side::Caller).is_empty(), "{:?}", filled.gaps(Side::Caller));
}

#[test]
fn silence_has_the_noise_that_its_sender_told_of() {
    let mut phone = Phone::new(Side::Caller, 0);
    phone.talk(50);
    phone.send(13, false, &[45], None);
    phone.pause(SECOND, true);
    phone.send(13, false, &[60, 3, 7], None);
    phone.pause(SECOND, true);
    phone.talk(50);
    // And where it told nothing.
    phone.pause(SECOND, true).talk(50);
    let (plain, filled) = (record(&[&phone], &[], 6 * SECOND), record_in(concealing(), &[&phone], &[], 6 * SECOND));
    assert_eq!(plain.aligned(Side::Caller), 0);
    assert_eq!(filled.aligned(Side::Caller), 0);
    let decibels = |from: usize| -20.0 * (loudness(&filled.channels[0][from..from + 4_000]) / 32_768.0).log10();
    assert!((decibels(10_000) - 45.0).abs() < 1.0, "{}", decibels(10_000));
    assert!((decibels(19_000) - 60.0).abs() < 1.0, "{}", decibels(19_000));
    assert_eq!(loudness(&filled.channels[0][34_000..39_000]), 0.0, "nobody told how loud");
    assert_eq!(loudness(&plain.channels[0][9_000..23_000]), 0.0);
    assert_eq!(plain.gaps(Side::Caller), [(1_000, 2_000, "dtx"), (4_000, 1_000, "dtx")]);
    assert_eq!(filled.gaps(Side::Caller), [(1_000, 2_000, "comfort_noise"), (4_000, 1_000, "dtx")]);
}

#[test]
fn what_is_paused_is_silent_whatever_is_made_up() {
    let mut phone = Phone::new(Side::Caller, 0);
    phone.talk(100).lose(|k, _| k % 5 == 4);
    let mut recorder = concealing();
    recorder.on_pause(mono(SECOND));
    let heard = record_in(recorder, &[&phone], &[], 2 * SECOND);
    assert_eq!(loudness(&heard.channels[0][SECOND as usize..]), 0.0);
    assert!(heard.gaps(Side::Caller).contains(&(1_000, 1_000, "pause")));
}
