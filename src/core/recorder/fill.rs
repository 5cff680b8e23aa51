//! What is put where nothing was heard, when the configuration asks for more than silence: a short loss is concealed by
//! the last period of the voice, fading (in the manner of ITU-T G.711 appendix I), or by what the codec's own decoder makes
//! of it; where the sender told of its background noise (RFC 3389) there is noise of that level. The gap map names either
//! as what it is.
//!
//! It is filled where samples leave for the file: by then every packet that may still come has come, so what was heard is
//! never touched.

use std::collections::VecDeque;

use super::SAMPLES_PER_MS;

const MS: usize = SAMPLES_PER_MS as usize;
/// Longest loss that is concealed, in samples; the last three quarters of it fade.
const CONCEALED: usize = 60 * MS;
const FULL: usize = 15 * MS;
/// The voice that is looked at, and the periods that it may have: 50 to 400 Hz.
const PAST: usize = 45 * MS;
const PERIODS: std::ops::Range<usize> = 5 * MS / 2..20 * MS;
/// Where what was made up meets what was heard, the one fades into the other, in samples.
const SEAM: usize = 4 * MS;
/// A packet that tells of the background comes a packet after the last of the voice.
const SOON: u64 = 30 * SAMPLES_PER_MS;
/// Words on noise that wait for their time; a sender that changes it more often is heard with the last.
const LEVELS: usize = 32;

/// One channel's filler.
#[derive(Debug)]
pub(super) struct Filler {
    past: Vec<i16>,
    /// Samples of the running loss so far, and the period that is repeated.
    lost: usize,
    period: usize,
    levels: VecDeque<(u64, u8)>,
    /// Level of the sender's background, in -dBov, once it has told.
    level: Option<u8>,
    /// It has told, and was not heard since.
    quiet: bool,
    seed: u32,
}

impl Default for Filler {
    fn default() -> Filler {
        let (past, levels) = (vec![0; PAST], VecDeque::new());
        Filler { past, lost: 0, period: PERIODS.start, levels, level: None, quiet: false, seed: 0x2545_f491 }
    }
}

impl Filler {
    /// From this sample on the background has this level, in -dBov (RFC 3389 §3).
    pub(super) fn on_noise(&mut self, at: u64, level: u8) {
        if self.levels.len() >= LEVELS {
            self.levels.pop_front();
        }
        self.levels.push_back((at, level & 0x7f));
    }

    /// These samples were heard. Behind what was made up, they come in gently.
    pub(super) fn heard(&mut self, samples: &mut [i16]) {
        if self.lost > 0 && self.lost < CONCEALED {
            let steps = SEAM.min(samples.len());
            for (n, sample) in samples.iter_mut().take(steps).enumerate() {
                let made_up = i64::from(self.next());
                let mixed = made_up * (steps - n) as i64 + i64::from(*sample) * n as i64;
                *sample = (mixed / steps as i64) as i16;
            }
        }
        self.lost = 0;
        self.quiet = false;
        self.remember(samples);
    }

    /// These were made of the loss by the decoder itself; what is lost beyond them is not concealed again.
    pub(super) fn made(&mut self, samples: &[i16]) {
        self.remember(samples);
        self.lost = CONCEALED;
    }

    /// These were not heard, and nothing stands for them.
    pub(super) fn silent(&mut self, samples: usize) {
        self.lost = 0;
        let zeros = [0; PAST];
        self.remember(zeros.get(..samples.min(PAST)).unwrap_or_default());
    }

    /// These were lost: the first of them are filled; gives how many.
    pub(super) fn conceal(&mut self, samples: &mut [i16]) -> usize {
        if self.lost == 0 {
            self.period = period(&self.past);
        }
        let filled = samples.len().min(CONCEALED.saturating_sub(self.lost));
        for sample in samples.iter_mut().take(filled) {
            *sample = self.next();
        }
        filled
    }

    /// How many of `run` samples from `at` on are before the sender's next word on its background.
    pub(super) fn until_change(&self, at: u64, run: usize) -> usize {
        let change = self.levels.iter().map(|(from, _)| *from).find(|from| *from > at + SOON);
        change.map_or(run, |from| run.min((from - at) as usize))
    }

    /// The sender has told at `at` or before that it is silent, and was not heard since.
    pub(super) fn is_quiet(&mut self, at: u64) -> bool {
        while let Some((_, level)) = self.levels.front().copied().filter(|(from, _)| *from <= at + SOON) {
            self.levels.pop_front();
            self.level = Some(level);
            self.quiet = true;
        }
        self.quiet
    }

    /// The sender was silent here, from `at` on: noise as loud as it said; `false`: it has not said how loud it is now.
    pub(super) fn noise(&mut self, at: u64, samples: &mut [i16]) -> bool {
        self.silent(samples.len());
        let is_quiet = self.is_quiet(at);
        let Some(level) = self.level.filter(|_| is_quiet) else { return false };
        // A square root of three makes the peak of even noise from its level.
        let peak = (32_768.0 * 10f32.powf(-f32::from(level) / 20.0) * 1.732).min(32_767.0) as i32;
        for sample in samples.iter_mut() {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 17;
            self.seed ^= self.seed << 5;
            let even = (self.seed >> 16) as i32 - 32_768;
            *sample = (even * peak / 32_768) as i16;
        }
        true
    }

    /// The next sample of the period that is repeated, as faint as it is by now.
    fn next(&mut self) -> i16 {
        let start = self.past.len() - self.period;
        let of_past = self.past.get(start + self.lost % self.period).copied().unwrap_or_default();
        let left = CONCEALED.saturating_sub(self.lost.max(FULL)) as i32;
        self.lost += 1;
        (i32::from(of_past) * left / (CONCEALED - FULL) as i32) as i16
    }

    fn remember(&mut self, samples: &[i16]) {
        let new = samples.len().min(PAST);
        self.past.copy_within(new.., 0);
        let from = samples.get(samples.len() - new..).unwrap_or_default();
        if let Some(place) = self.past.get_mut(PAST - new..) {
            place.copy_from_slice(from);
        }
    }
}

/// The lag at which the end of the past is most like what came before it.
fn period(past: &[i16]) -> usize {
    let last = past.get(PERIODS.end..).unwrap_or_default();
    let like = |lag: usize| {
        let before = past.get(PERIODS.end - lag..past.len() - lag).unwrap_or_default();
        let product: i64 = last.iter().zip(before).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
        let power: i64 = before.iter().map(|b| i64::from(*b) * i64::from(*b)).sum();
        product as f64 / ((power + 1) as f64).sqrt()
    };
    PERIODS.max_by(|a, b| like(*a).total_cmp(&like(*b))).unwrap_or(PERIODS.start)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn voice(from: usize, count: usize) -> Vec<i16> {
        let harmonic = |n: usize, k: usize| (TAU * 125.0 * k as f64 * n as f64 / 8_000.0).sin() / k as f64;
        (from..from + count).map(|n| (1..6).map(|k| 4_000.0 * harmonic(n, k)).sum::<f64>() as i16).collect()
    }

    #[test]
    fn a_loss_is_like_what_was_lost_and_then_fades() {
        let mut filler = Filler::default();
        filler.heard(&mut voice(0, 800));
        let mut lost = vec![0; 1_600];
        assert_eq!(filler.conceal(&mut lost), CONCEALED);
        let truth = voice(800, FULL);
        let error = lost.iter().zip(&truth).map(|(a, b)| (a - b).abs()).max();
        assert!(error < Some(400), "{error:?}");
        let power = |s: &[i16]| s.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / s.len() as f64;
        assert!(power(&lost[320..480]) < power(&lost[..120]) / 3.0);
        assert!(lost[CONCEALED..].iter().all(|s| *s == 0));
        assert_eq!(filler.conceal(&mut lost[..160]), 0, "no more of the same loss");
    }

    #[test]
    fn noise_is_as_loud_as_was_told_from_when_it_was_told() {
        let mut filler = Filler::default();
        let mut samples = vec![0; 8_000];
        assert!(!filler.noise(0, &mut samples), "nobody has told");
        filler.on_noise(100, 40);
        filler.on_noise(9_000, 60);
        for (at, level) in [(100, 40.0), (8_700, 40.0), (9_000, 60.0)] {
            assert!(filler.noise(at, &mut samples));
            let rms = (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 8_000.0).sqrt();
            let found = -20.0 * (rms / 32_768.0).log10();
            assert!((found - level).abs() < 0.7, "{found} instead of {level}");
        }
    }

    #[test]
    fn the_loudest_past_does_not_wrap() {
        let mut filler = Filler::default();
        filler.heard(&mut vec![i16::MIN; 800]);
        let mut lost = vec![0; 800];
        filler.conceal(&mut lost);
        filler.heard(&mut vec![i16::MAX; 800]);
        assert!(filler.conceal(&mut lost) > 0);
    }
}
