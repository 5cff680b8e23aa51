//! What a phone plays and what it records: 8 kHz mono.

use std::f32::consts::TAU;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use crate::limits;
use crate::wire::codec::g711::RATE;

/// What a phone plays.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sound {
    #[default]
    Silence,
    /// A steady tone of so many hertz.
    Tone(u16),
    /// A sweep between two frequencies with the rhythm of syllables: easy to find again in a recording, and each side
    /// can have its own.
    Speech { low: u16, high: u16 },
    /// Samples at 8 kHz, once; then silence.
    Samples(Arc<[i16]>),
}

impl Sound {
    /// The caller's built-in voice.
    pub const CALLER: Sound = Sound::Speech { low: 300, high: 900 };
    /// The company's built-in voice.
    pub const COMPANY: Sound = Sound::Speech { low: 1200, high: 2400 };

    /// Sample `n`, counted from the start of the playing.
    pub(super) fn sample(&self, n: u64) -> i16 {
        match self {
            Sound::Silence => 0,
            Sound::Tone(hz) => wave(f32::from(*hz) * seconds(n % u64::from(RATE)), 10_000.0),
            Sound::Speech { low, high } => speech(f32::from(*low), f32::from(*high), n),
            Sound::Samples(samples) => {
                usize::try_from(n).ok().and_then(|n| samples.get(n)).copied().unwrap_or_default()
            }
        }
    }
}

/// A linear sweep of one second, up and again, under syllables of a quarter of a second.
fn speech(low: f32, high: f32, n: u64) -> i16 {
    let t = seconds(n % u64::from(RATE));
    let turns = low * t + (high - low) * t * t / 2.0;
    let syllable = (TAU / 2.0 * (t * 4.0).fract()).sin();
    wave(turns, 12_000.0 * syllable)
}

fn wave(turns: f32, amplitude: f32) -> i16 {
    (amplitude * (TAU * turns.fract()).sin()) as i16
}

fn seconds(samples: u64) -> f32 {
    samples as f32 / RATE as f32
}

/// Reads a WAV file of any rate, width and channel count as 8 kHz mono, at most [`limits::PHONE_AUDIO`] long.
///
/// # Errors
/// The file's, with a sentence; `InvalidData` when it is no WAV file that hound reads.
pub fn read_wav(path: &Path) -> io::Result<Sound> {
    let fault = |e: hound::Error| match e {
        hound::Error::IoError(e) => e,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    };
    let mut reader = hound::WavReader::open(path).map_err(fault)?;
    let spec = reader.spec();
    if spec.channels == 0 || spec.sample_rate == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a WAV file without channels or rate"));
    }
    let longest = limits::PHONE_AUDIO.as_secs() * u64::from(spec.sample_rate) * u64::from(spec.channels);
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().take(longest).collect::<Result<_, _>>().map_err(fault)?,
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1_i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            let scaled = |sample: hound::Result<i32>| sample.map(|s| s as f32 * scale);
            reader.samples::<i32>().take(longest).map(scaled).collect::<Result<_, _>>().map_err(fault)?
        }
    };
    let channels = usize::from(spec.channels);
    let mono: Vec<f32> = samples.chunks(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    Ok(Sound::Samples(resample(&mono, spec.sample_rate).into()))
}

/// To 8 kHz: the mean of what falls into each new sample when going down, straight lines when going up. Good enough to
/// tell sounds apart, which is all that a test phone needs.
fn resample(mono: &[f32], rate: u32) -> Vec<i16> {
    let step = f64::from(rate) / f64::from(RATE);
    let count = (mono.len() as f64 / step) as usize;
    let value = |i: usize| {
        let start = i as f64 * step;
        let first = start as usize;
        let last = (((i + 1) as f64 * step) as usize).min(mono.len());
        if last > first + 1 {
            let span = mono.get(first..last).unwrap_or_default();
            return span.iter().sum::<f32>() / span.len() as f32;
        }
        let a = mono.get(first).copied().unwrap_or_default();
        let b = mono.get(first + 1).copied().unwrap_or(a);
        a + (b - a) * (start - first as f64) as f32
    };
    (0..count).map(|i| (value(i) * 32_767.0).clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// A growing WAV file of what the far side sent.
pub(super) struct Tape {
    writer: hound::WavWriter<BufWriter<File>>,
    /// Samples written.
    length: u64,
}

impl Tape {
    pub(super) fn create(path: &Path) -> io::Result<Tape> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec).map_err(|e| match e {
            hound::Error::IoError(e) => e,
            other => io::Error::other(other.to_string()),
        })?;
        Ok(Tape { writer, length: 0 })
    }

    /// Puts samples at a place on the timeline: silence fills what is missing before, what comes too late is left out.
    pub(super) fn write(&mut self, at: u64, samples: impl Iterator<Item = i16>) {
        let gap = at.saturating_sub(self.length);
        if gap > limits::PHONE_AUDIO.as_secs() * u64::from(RATE) {
            return;
        }
        let late = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let silence = (0..gap).map(|_| 0);
        for sample in silence.chain(samples.skip(late)) {
            if self.writer.write_sample(sample).is_err() {
                return;
            }
            self.length += 1;
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.finalize().map_err(|e| io::Error::other(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, rate: u32, channels: u16, samples: &[i16]) {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).expect("created");
        for sample in samples {
            writer.write_sample(*sample).expect("written");
        }
        writer.finalize().expect("finished");
    }

    /// Crossings of zero upwards in the first second: the frequency of a tone.
    fn frequency(sound: &Sound) -> usize {
        let samples: Vec<i16> = (0..8_000).map(|n| sound.sample(n)).collect();
        samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count()
    }

    #[test]
    fn files_of_any_rate_keep_their_pitch_and_length() {
        let folder = tempfile::tempdir().expect("a folder");
        for (rate, channels) in [(8_000, 1), (8_000, 2), (16_000, 1), (44_100, 2), (6_000, 1)] {
            let path = folder.path().join(format!("{rate}-{channels}.wav"));
            let tone = |n: u32| ((n as f32 / rate as f32 * 440.0 * TAU).sin() * 10_000.0) as i16;
            let samples: Vec<i16> =
                (0..rate).flat_map(|n| std::iter::repeat_n(tone(n), usize::from(channels))).collect();
            write(&path, rate, channels, &samples);
            let sound = read_wav(&path).expect("read");
            assert!((438..=442).contains(&frequency(&sound)), "{rate} Hz: {}", frequency(&sound));
            let Sound::Samples(samples) = sound else { panic!("samples") };
            assert!((7_990..=8_000).contains(&samples.len()), "{rate} Hz: {}", samples.len());
        }
        std::fs::write(folder.path().join("no.wav"), b"not a WAV file").expect("written");
        assert!(read_wav(&folder.path().join("no.wav")).is_err());
    }

    #[test]
    fn built_in_sounds_are_told_apart() {
        assert!((430..=450).contains(&frequency(&Sound::Tone(440))));
        let (caller, company) = (frequency(&Sound::CALLER), frequency(&Sound::COMPANY));
        assert!((500..700).contains(&caller) && (1700..1900).contains(&company), "{caller} {company}");
        assert_eq!(frequency(&Sound::Silence), 0);
    }

    #[test]
    fn a_tape_keeps_the_timeline() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tape.wav");
        let mut tape = Tape::create(&path).expect("created");
        tape.write(0, [1, 2].into_iter());
        tape.write(4, [5, 6].into_iter());
        tape.write(3, [9, 9, 9, 7].into_iter());
        tape.finish().expect("finished");
        let samples: Vec<i16> =
            hound::WavReader::open(&path).expect("opened").samples().map(|s| s.expect("a sample")).collect();
        assert_eq!(samples, [1, 2, 0, 0, 5, 6, 7]);
    }
}
