//! Key presses as tones in the audio (ITU-T Q.23), heard by the rules of Q.24.
//!
//! Every [`HOP`] samples the last [`WINDOW`] of them, under a Hann window, are looked at with the filters of Goertzel. A
//! window is a key when one tone of each group is there, when the two are nearly all that is there, when neither is much
//! louder than the other, and when each is where it should be. How far a tone is off shows in its phase, from window to
//! window, far more exactly than in its level: what is within ±1.5 % of the nominal frequency is taken, what is ±3.5 %
//! off is not (Q.24 table A-1). Enough such windows in a row are a key; some without it are its end. Speech is seldom as
//! pure as that, and never for so long.

use std::f32::consts::{PI, TAU};
use std::time::Duration;

/// Hz of the samples.
pub const RATE: u32 = 8_000;
/// Two periods of the difference of the closest two tones fit into 20 ms.
const WINDOW: usize = 160;
const HOP: usize = 40;
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Between the 1.5 % that are taken and the 3.5 % that are not.
const OFF: f32 = 0.023;
/// Amplitude of the quieter tone: -33 dBm0. Q.24 asks for -24 and wants -55 left alone.
const QUIET: f32 = 500.0;
/// The high tone may be 4 dB louder or 8 dB quieter than the low one (Q.24, as administrations use it), and a little more.
const TWIST: std::ops::RangeInclusive<f32> = 0.33..=1.88;
/// Share of the power that the two tones have.
const PURE: f32 = 0.88;
/// Windows in a row that make a key: 35 ms lie fully within them.
const HITS: u32 = 4;
/// Windows in a row without it that end it: a break of 10 ms does not, one of 40 ms does.
const MISSES: u32 = 7;

/// One stretch of tones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    pub key: char,
    /// How long ago it began.
    pub ago: Duration,
    pub length: Duration,
}

/// Listens to one side.
#[derive(Debug)]
pub struct Tones {
    hann: [f32; WINDOW],
    recent: [f32; WINDOW],
    /// Samples since the last look.
    new: usize,
    /// Phase of every tone in the last window, in turns of the circle; the low group first.
    phases: [f32; 8],
    heard: Heard,
    /// Samples so far.
    now: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    key: Option<char>,
    /// Windows with it, in a row until it counts and at all after that; and since the last.
    hits: u32,
    misses: u32,
    /// First sample, and the one behind the last.
    from: u64,
    until: u64,
}

impl Heard {
    fn is_key(&self) -> bool {
        self.hits >= HITS
    }
}

impl Default for Tones {
    fn default() -> Tones {
        Tones {
            hann: std::array::from_fn(|n| (PI * n as f32 / WINDOW as f32).sin().powi(2)),
            recent: [0.0; WINDOW],
            new: 0,
            phases: [0.0; 8],
            heard: Heard::default(),
            now: 0,
        }
    }
}

impl Tones {
    /// More of the audio. Tells of each key when it is over.
    pub fn hear(&mut self, samples: &[i16], mut tell: impl FnMut(Tone)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(HOP - self.new));
            self.recent.copy_within(now.len().., 0);
            let place = self.recent.iter_mut().skip(WINDOW - now.len());
            place.zip(now).for_each(|(to, from)| *to = f32::from(*from));
            self.new += now.len();
            self.now += now.len() as u64;
            rest = later;
            if self.new == HOP {
                self.new = 0;
                let key = self.look();
                self.note(key).into_iter().for_each(&mut tell);
            }
        }
    }

    /// A key is down.
    pub fn is_down(&self) -> bool {
        self.heard.is_key()
    }

    /// No more audio comes: the key that is down is over.
    pub fn end(&mut self) -> Option<Tone> {
        let over = self.over();
        self.heard = Heard::default();
        self.recent = [0.0; WINDOW];
        over
    }

    fn over(&self) -> Option<Tone> {
        let Heard { key: Some(key), from, until, .. } = self.heard else { return None };
        let time = |samples: u64| Duration::from_micros(samples * 1_000_000 / u64::from(RATE));
        self.heard.is_key().then(|| Tone { key, ago: time(self.now - from), length: time(until.saturating_sub(from)) })
    }

    fn note(&mut self, key: Option<char>) -> Option<Tone> {
        // Half a window is what a tone needs to be seen.
        let edge = self.now.saturating_sub(WINDOW as u64 / 2);
        if key.is_some() && key == self.heard.key {
            self.heard.hits += 1;
            self.heard.misses = 0;
            self.heard.until = edge + HOP as u64;
            return None;
        }
        self.heard.misses += 1;
        if self.heard.is_key() && self.heard.misses < MISSES {
            return None;
        }
        let over = self.over();
        let from = edge.saturating_sub(HOP as u64);
        self.heard = Heard { key, hits: u32::from(key.is_some()), misses: 0, from, until: edge + HOP as u64 };
        over
    }

    /// What the last window is.
    fn look(&mut self) -> Option<char> {
        let mut power = 0.0;
        let mut windowed = [0.0; WINDOW];
        for ((to, sample), weight) in windowed.iter_mut().zip(&self.recent).zip(&self.hann) {
            *to = sample * weight;
            power += *to * *to;
        }
        // Both tones at their quietest: there is no need to look for less.
        let is_loud = power > 2.0 * QUIET * QUIET / 2.0 * WINDOW as f32 * 0.375;
        if !is_loud {
            return None;
        }
        let before = self.phases;
        let mut levels = [0.0; 8];
        for ((hz, level), phase) in LOW.iter().chain(&HIGH).zip(&mut levels).zip(&mut self.phases) {
            (*level, *phase) = goertzel(&windowed, *hz);
        }
        let (low, high) = (loudest(&levels[..4]), loudest(&levels[4..]));
        let tone = |hz: f32, place: usize| {
            let (level, now, then) = (*levels.get(place)?, *self.phases.get(place)?, *before.get(place)?);
            let expected = hz * HOP as f32 / RATE as f32;
            let turn = now - then - expected;
            let off = (turn - turn.round()) * RATE as f32 / HOP as f32;
            (off.abs() <= hz * OFF).then(|| level / response(off))
        };
        let (low_level, high_level) = (tone(*LOW.get(low)?, low)?, tone(*HIGH.get(high)?, high + 4)?);
        let share = (low_level * low_level + high_level * high_level) / 2.0 * WINDOW as f32 * 0.375 / power;
        let is_key = low_level.min(high_level) >= QUIET && TWIST.contains(&(high_level / low_level)) && share >= PURE;
        is_key.then(|| KEYS.get(low)?.get(high).copied()).flatten()
    }
}

fn loudest(levels: &[f32]) -> usize {
    let first = (0, f32::MIN);
    levels.iter().enumerate().fold(first, |best, (at, level)| if *level > best.1 { (at, *level) } else { best }).0
}

/// Amplitude of a tone of this frequency, and its phase at the end of the window, in turns.
fn goertzel(windowed: &[f32; WINDOW], hz: f32) -> (f32, f32) {
    let step = TAU * hz / RATE as f32;
    let twice = 2.0 * step.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in windowed {
        (last, before) = (sample + twice * last - before, last);
    }
    let (re, im) = (last - before * step.cos(), before * step.sin());
    // The weights of a Hann window are a half on average.
    (re.hypot(im) * 2.0 / (WINDOW as f32 / 2.0), im.atan2(re) / TAU)
}

/// What is left of a tone that is so many Hz off, by the window's shape.
fn response(off: f32) -> f32 {
    let bins = (off * WINDOW as f32 / RATE as f32).abs();
    if bins < 1e-3 { 1.0 } else { ((PI * bins).sin() / (PI * bins * (1.0 - bins * bins))).max(0.25) }
}

#[cfg(test)]
mod tests;
