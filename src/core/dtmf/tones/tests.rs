//! What the receiver takes and what it leaves alone, after ITU-T Q.24 and the tests that are usual for it.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::wire::codec::g711::Law;

/// How a key sounds.
#[derive(Clone, Copy, Debug)]
struct Sound {
    key: char,
    /// Of each tone, at the middle of both.
    dbm0: f64,
    /// The high tone over the low one.
    twist_db: f64,
    /// Off the nominal frequency, in per cent.
    off: (f64, f64),
    on_ms: usize,
    off_ms: usize,
    /// White noise, below the tones.
    noise_db: Option<f64>,
}

const USUAL: Sound =
    Sound { key: '5', dbm0: -10.0, twist_db: 0.0, off: (0.0, 0.0), on_ms: 60, off_ms: 60, noise_db: None };

/// A sine of the largest amplitude, in A-law (ITU-T G.711): 3.14 dBm0, which is not π.
const FULL: f64 = 314.0 / 100.0;

fn amplitude(dbm0: f64) -> f64 {
    32_768.0 * 10f64.powf((dbm0 - FULL) / 20.0)
}

/// Some noise, from a seed.
struct Noise(u64);

impl Noise {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

/// `times` presses with silence before, between and behind, through A-law as a line has it.
fn pressed(sound: Sound, times: usize) -> Vec<i16> {
    let (row, column) = (0..16).map(|n| (n / 4, n % 4)).find(|(r, c)| KEYS[*r][*c] == sound.key).unwrap();
    let hz = [f64::from(LOW[row]) * (1.0 + sound.off.0 / 100.0), f64::from(HIGH[column]) * (1.0 + sound.off.1 / 100.0)];
    let level = [amplitude(sound.dbm0 - sound.twist_db / 2.0), amplitude(sound.dbm0 + sound.twist_db / 2.0)];
    let hiss = sound.noise_db.map_or(0.0, |below| amplitude(sound.dbm0 - below) * 3f64.sqrt() / 2f64.sqrt());
    let (on, off) = (sound.on_ms * 8, sound.off_ms * 8);
    let mut noise = Noise(u64::from(u32::from(sound.key)));
    let total = 400 + times * (on + off) + 800;
    let sample = |n: usize| {
        let place = n.checked_sub(400).filter(|at| *at < times * (on + off) && at % (on + off) < on);
        let tones = place.map_or(0.0, |_| (0..2).map(|i| level[i] * (TAU * hz[i] * n as f64 / 8_000.0).sin()).sum());
        let value = tones + hiss * noise.even();
        Law::A.decode(Law::A.encode(value.clamp(-32_768.0, 32_767.0) as i16))
    };
    (0..total).map(sample).collect()
}

/// In packets of 20 ms, as they come.
fn heard(samples: &[i16]) -> Vec<Tone> {
    let (mut tones, mut found) = (Tones::default(), Vec::new());
    for packet in samples.chunks(160) {
        tones.hear(packet, |tone| found.push(tone));
    }
    found.extend(tones.end());
    found
}

fn keys(samples: &[i16]) -> String {
    heard(samples).iter().map(|tone| tone.key).collect()
}

#[test]
fn all_sixteen_keys_with_their_lengths() {
    for key in "0123456789*#ABCD".chars() {
        let found = heard(&pressed(Sound { key, on_ms: 100, ..USUAL }, 3));
        assert_eq!(found.iter().map(|tone| tone.key).collect::<String>(), key.to_string().repeat(3));
        for tone in found {
            assert!((80..=120).contains(&tone.length.as_millis()), "{key}: {:?}", tone.length);
            assert!(tone.ago >= tone.length);
        }
    }
}

/// What each case gives of five presses.
#[test]
fn the_table_of_q24() {
    let all = |sound: Sound| "0123456789*#ABCD".chars().map(move |key| Sound { key, ..sound });
    let count = |sound: Sound| -> Vec<usize> {
        all(sound).map(|sound| keys(&pressed(sound, 5)).chars().filter(|key| *key == sound.key).count()).collect()
    };
    let taken = |what: &str, sound: Sound| {
        let counts = count(sound);
        assert!(counts.iter().all(|n| *n == 5), "{what}: {counts:?}");
        assert!(all(sound).all(|sound| keys(&pressed(sound, 5)).len() == 5), "{what}: nothing else");
    };
    let left = |what: &str, sound: Sound| {
        let counts = count(sound);
        assert!(counts.iter().all(|n| *n == 0), "{what}: {counts:?}");
    };
    for off in [-1.5, 1.5] {
        taken("1.5 % low group", Sound { off: (off, 0.0), ..USUAL });
        taken("1.5 % high group", Sound { off: (0.0, off), ..USUAL });
        taken("1.5 % both", Sound { off: (off, -off), ..USUAL });
    }
    for off in [-5.0, -3.5, 3.5, 5.0] {
        left("3.5 % low group", Sound { off: (off, 0.0), ..USUAL });
        left("3.5 % high group", Sound { off: (0.0, off), ..USUAL });
    }
    for dbm0 in [-3.5, -10.0, -20.0, -24.0, -27.0] {
        taken("level", Sound { dbm0, ..USUAL });
    }
    left("hardly there", Sound { dbm0: -45.0, ..USUAL });
    for twist_db in [-8.0, -4.0, 2.0, 4.0] {
        taken("twist", Sound { twist_db, ..USUAL });
    }
    for twist_db in [-14.0, 12.0] {
        left("too much twist", Sound { twist_db, ..USUAL });
    }
    taken("as short as it may be", Sound { on_ms: 40, off_ms: 40, ..USUAL });
    taken("off and short", Sound { on_ms: 40, off_ms: 40, off: (1.5, -1.5), ..USUAL });
    left("too short", Sound { on_ms: 22, ..USUAL });
    taken("15 dB of noise", Sound { noise_db: Some(15.0), ..USUAL });
    taken("noise, off and twisted", Sound { noise_db: Some(18.0), off: (1.2, -1.2), twist_db: 3.0, ..USUAL });
}

#[test]
fn a_short_break_is_none_and_a_lost_packet_splits_nothing() {
    let long = pressed(Sound { on_ms: 300, ..USUAL }, 1);
    let mut broken = long.clone();
    broken[1_600..1_680].fill(0);
    assert_eq!(keys(&broken), "5", "10 ms");
    let mut cut = long;
    cut.drain(1_600..1_760);
    assert_eq!(keys(&cut), "5", "20 ms are missing");
}

/// Voices: a pitch that moves, its harmonics under formants that move, as loud as speech, for two minutes altogether.
#[test]
fn speech_is_no_key() {
    for seed in 20..32u64 {
        let mut noise = Noise(seed);
        let base = 90.0 + 4.0 * seed as f64;
        let (mut phase, mut pitch) = (0.0, base);
        let mut harmonics = [0.0; 30];
        let mut samples = Vec::new();
        for block in 0..1_000 {
            if block % 8 == 0 {
                pitch = base * (1.0 + 0.25 * noise.even());
                let formants =
                    [500.0 + 300.0 * noise.even(), 1_400.0 + 700.0 * noise.even(), 2_600.0 + 400.0 * noise.even()];
                let shape = |hz: f64| formants.iter().map(|f| 1.0 / (1.0 + ((hz - f) / 80.0f64).powi(2))).sum::<f64>();
                harmonics = std::array::from_fn(|n| shape(pitch * (n + 1) as f64));
            }
            let loud = if block % 40 < 30 { 3_000.0 } else { 0.0 };
            for _ in 0..80 {
                phase += pitch / 8_000.0;
                let (first, twice) = ((TAU * phase).sin(), 2.0 * (TAU * phase).cos());
                let (mut last, mut before) = (first, 0.0);
                let mut voice = 0.0;
                for harmonic in harmonics {
                    voice += harmonic * last;
                    (last, before) = (twice * last - before, last);
                }
                samples.push((voice * loud + noise.even() * 60.0).clamp(-32_768.0, 32_767.0) as i16);
            }
        }
        assert_eq!(keys(&samples), "", "{seed}");
    }
}

#[test]
fn single_tones_music_and_signals_of_the_line_are_no_keys() {
    let play = |hz: &[f64]| -> Vec<i16> {
        (0..16_000)
            .map(|n| hz.iter().map(|hz| 5_000.0 * (TAU * hz * f64::from(n) / 8_000.0).sin()).sum::<f64>() as i16)
            .collect()
    };
    for hz in [
        &[425.0][..],
        &[350.0, 440.0],
        &[480.0, 620.0],
        &[697.0],
        &[1_633.0],
        &[697.0, 770.0],
        &[1_209.0, 1_336.0],
        &[697.0, 1_209.0, 1_477.0],
        &[697.0, 1_209.0, 2_000.0],
        &[1_100.0],
        &[2_100.0],
        &[440.0, 880.0, 1_320.0],
    ] {
        assert_eq!(keys(&play(hz)), "", "{hz:?}");
    }
    let sweep: Vec<i16> = (0..160_000u32)
        .map(|n| {
            let t = f64::from(n) / 8_000.0;
            let both = (TAU * (600.0 * t + 10.0 * t * t)).sin() + (TAU * (1_100.0 * t + 15.0 * t * t)).sin();
            (6_000.0 * both) as i16
        })
        .collect();
    assert!(keys(&sweep).len() <= 4, "two tones that wander through the keys: {}", keys(&sweep));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_allowed_is_heard(
        key in 0usize..16,
        dbm0 in -24.0f64..-5.0,
        twist_db in -7.0f64..3.5,
        low in -1.5f64..1.5,
        high in -1.5f64..1.5,
        on_ms in 40usize..200,
        off_ms in 40usize..200,
    ) {
        let key = KEYS[key / 4][key % 4];
        let sound = Sound { key, dbm0, twist_db, off: (low, high), on_ms, off_ms, noise_db: Some(25.0) };
        prop_assert_eq!(keys(&pressed(sound, 3)), key.to_string().repeat(3), "{:?}", sound);
    }

    #[test]
    fn noise_is_nothing(seed: u64, loud in 10.0f64..30_000.0) {
        let mut noise = Noise(seed);
        let samples: Vec<i16> = (0..16_000).map(|_| (loud * noise.even()) as i16).collect();
        prop_assert_eq!(keys(&samples), "");
    }

    #[test]
    fn any_samples_do_no_harm(samples in proptest::collection::vec(any::<i16>(), 0..3_000), cut in 1usize..500) {
        let mut tones = Tones::default();
        for piece in samples.chunks(cut) {
            tones.hear(piece, |_| {});
        }
    }
}
