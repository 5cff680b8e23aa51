//! Between 8 and 16 kHz: one half-band filter of 63 taps, in integers, so that the same input gives the same output on
//! every machine. Flat to 3.6 kHz, -6 dB at 4 kHz, -65 dB from 4.6 kHz on.
//!
//! Ready-made resamplers work in floating point on blocks of their own size; packets of any length want neither.

/// Every second tap beside the middle one, from the middle outwards, of 65536. The others are zero.
const SIDE: [i64; 16] =
    [20_806, -6_778, 3_884, -2_588, 1_832, -1_330, 971, -706, 505, -353, 239, -156, 95, -54, 27, -10];
const HALF: i64 = 1 << 15;
const PAST: usize = 62;

/// 16 kHz to 8 kHz.
#[derive(Debug)]
pub struct Halve {
    past: [i16; PAST],
    /// A sample without its pair.
    odd: Option<i16>,
}

impl Halve {
    /// Samples at 8 kHz by which the output comes later.
    pub const DELAY: u32 = 15;

    pub fn new() -> Halve {
        Halve { past: [0; PAST], odd: None }
    }

    /// Appends half as many samples as come in.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        for &sample in input {
            let Some(first) = self.odd.take() else {
                self.odd = Some(sample);
                continue;
            };
            // The window is the past and these two, its middle 31 before the newest.
            let mut sum = HALF * i64::from(self.past[32]) + HALF;
            for (k, tap) in SIDE.iter().enumerate() {
                let older = self.past[31 - 2 * k];
                let newer = match 33 + 2 * k {
                    at @ ..PAST => self.past[at],
                    PAST => first,
                    _ => sample,
                };
                sum += tap * (i64::from(older) + i64::from(newer));
            }
            out.push(narrow(sum >> 16));
            self.past.copy_within(2.., 0);
            self.past[PAST - 2] = first;
            self.past[PAST - 1] = sample;
        }
    }
}

impl Default for Halve {
    fn default() -> Halve {
        Halve::new()
    }
}

/// 8 kHz to 16 kHz.
#[derive(Debug)]
pub struct Double {
    past: [i16; 32],
}

impl Double {
    /// Samples at 16 kHz by which the output comes later.
    pub const DELAY: u32 = 32;

    pub fn new() -> Double {
        Double { past: [0; 32] }
    }

    /// Appends twice as many samples as come in.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        for &sample in input {
            self.past.copy_within(1.., 0);
            self.past[31] = sample;
            let mut sum = HALF / 2;
            for (k, tap) in SIDE.iter().enumerate() {
                sum += tap * (i64::from(self.past[15 - k]) + i64::from(self.past[16 + k]));
            }
            out.push(self.past[15]);
            out.push(narrow(sum >> 15));
        }
    }
}

impl Default for Double {
    fn default() -> Double {
        Double::new()
    }
}

fn narrow(value: i64) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn tone(hz: f64, rate: f64, count: usize) -> Vec<i16> {
        (0..count).map(|n| (10_000.0 * (TAU * hz * n as f64 / rate).sin()) as i16).collect()
    }

    /// Level of the settled part against a tone of 10,000, in dB.
    fn level(samples: &[i16]) -> f64 {
        let settled = &samples[200..];
        let power = settled.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / settled.len() as f64;
        20.0 * (power.sqrt() / (10_000.0 / 2f64.sqrt())).max(1e-6).log10()
    }

    #[test]
    fn the_band_passes_and_nothing_folds_back() {
        for (hz, least, most) in
            [(300.0, -0.1, 0.1), (3_400.0, -0.2, 0.1), (5_000.0, -200.0, -60.0), (7_000.0, -200.0, -60.0)]
        {
            let mut out = Vec::new();
            Halve::new().process(&tone(hz, 16_000.0, 16_000), &mut out);
            assert_eq!(out.len(), 8_000);
            assert!((least..most).contains(&level(&out)), "{hz} Hz: {} dB", level(&out));
        }
        for hz in [300.0, 1_000.0, 3_400.0] {
            let mut out = Vec::new();
            Double::new().process(&tone(hz, 8_000.0, 8_000), &mut out);
            assert!((-0.2..0.1).contains(&level(&out)), "{hz} Hz: {} dB", level(&out));
            let expected = tone(hz, 16_000.0, 16_000);
            let error =
                out[200..].iter().zip(&expected[200 - Double::DELAY as usize..]).map(|(a, b)| (a - b).abs()).max();
            assert!(error < Some(60), "{hz} Hz: {error:?}");
        }
    }

    #[test]
    fn up_and_down_is_the_same_signal_later() {
        let sound: Vec<i16> = (0..4_000u64).map(|n| (8_000.0 * (n as f64 * n as f64 / 4_000.0).sin()) as i16).collect();
        let (mut wide, mut back) = (Vec::new(), Vec::new());
        let (mut double, mut halve) = (Double::new(), Halve::new());
        // In pieces of odd lengths: where they are cut changes nothing.
        for piece in sound.chunks(77) {
            wide.clear();
            double.process(piece, &mut wide);
            for part in wide.chunks(13) {
                halve.process(part, &mut back);
            }
        }
        let delay = (Double::DELAY / 2 + Halve::DELAY) as usize;
        let error = back[200..].iter().zip(&sound[200 - delay..]).map(|(a, b)| (a - b).abs()).max();
        assert!(error < Some(80), "{error:?}");
    }

    #[test]
    fn the_loudest_input_does_not_wrap() {
        let square: Vec<i16> = (0..4_000).map(|n| if n / 7 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut out = Vec::new();
        Halve::new().process(&square, &mut out);
        Double::new().process(&square, &mut out);
        assert_eq!(out.len(), 10_000);
    }
}
