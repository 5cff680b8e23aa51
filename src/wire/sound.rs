//! A WAV file of any common format → samples at 8000 Hz, one channel, as prompts are played.
//!
//! PCM of 8 to 32 bits and floating point are read by `hound`; A-law and µ-law (RFC 2361 §A.5, §A.6), which it does not know,
//! here. Several channels become their mean. Other rates are resampled by a windowed sinc whose cut-off lies below half of
//! the lower rate, so that nothing folds back into the band of a telephone.

use std::io::Cursor;

use crate::limits;
use crate::wire::codec::g711::{Law, RATE};

/// Why bytes are not a sound that can be played. The text is for the person who wrote the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSound {
    #[error("is not a WAV file that can be read: {0}")]
    NotWav(String),
    #[error("has {0} Hz; 4000 to 192000 can be played")]
    Rate(u32),
    #[error("has no sound in it")]
    Empty,
    #[error("is longer than {} minutes", limits::PROMPT.as_secs() / 60)]
    TooLong,
}

/// Reads a whole file.
pub fn read(bytes: &[u8]) -> Result<Vec<i16>, BadSound> {
    let (rate, samples) = match companded(bytes) {
        Some((rate, channels, law, data)) => {
            let samples: Vec<i16> = data.iter().map(|code| law.decode(*code)).collect();
            (rate, mean(&samples, channels))
        }
        None => linear(bytes)?,
    };
    if !(4_000..=192_000).contains(&rate) {
        return Err(BadSound::Rate(rate));
    }
    if samples.is_empty() {
        return Err(BadSound::Empty);
    }
    if samples.len() as u64 > limits::PROMPT.as_secs() * u64::from(rate) {
        return Err(BadSound::TooLong);
    }
    Ok(if rate == RATE { samples } else { resample(&samples, rate) })
}

fn linear(bytes: &[u8]) -> Result<(u32, Vec<i16>), BadSound> {
    let not_wav = |error: hound::Error| BadSound::NotWav(error.to_string());
    let mut reader = hound::WavReader::new(Cursor::new(bytes)).map_err(not_wav)?;
    let spec = reader.spec();
    let bits = u32::from(spec.bits_per_sample.clamp(1, 32));
    let samples: Vec<i16> = match spec.sample_format {
        hound::SampleFormat::Float => {
            let scaled = |sample: f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            reader.samples::<f32>().map(|sample| sample.map(scaled)).collect::<Result<_, _>>().map_err(not_wav)?
        }
        hound::SampleFormat::Int => {
            let scaled = |sample: i32| if bits <= 16 { sample << (16 - bits) } else { sample >> (bits - 16) } as i16;
            reader.samples::<i32>().map(|sample| sample.map(scaled)).collect::<Result<_, _>>().map_err(not_wav)?
        }
    };
    Ok((spec.sample_rate, mean(&samples, usize::from(spec.channels))))
}

/// Rate, channels, law and codes of a companded file; `None`: it is none.
fn companded(bytes: &[u8]) -> Option<(u32, usize, Law, &[u8])> {
    let chunks = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let format = chunk(chunks, *b"fmt ")?;
    let number = |at: usize| Some(u16::from_le_bytes([*format.get(at)?, *format.get(at + 1)?]));
    let law = match number(0)? {
        6 => Law::A,
        7 => Law::Mu,
        _ => return None,
    };
    let (channels, rate) = (number(2)?, u32::from(number(4)?) | u32::from(number(6)?) << 16);
    (number(14)? == 8).then_some((rate, usize::from(channels), law, chunk(chunks, *b"data")?))
}

/// The first chunk of this name; one that says it is longer than the file ends with the file.
fn chunk(mut chunks: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let (head, rest) = chunks.split_at_checked(8)?;
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let body = rest.get(..length.min(rest.len()))?;
        if head.starts_with(&name) {
            return Some(body);
        }
        // Chunks begin at even places.
        chunks = rest.get(length.checked_add(length & 1)?..)?;
    }
}

fn mean(samples: &[i16], channels: usize) -> Vec<i16> {
    let channels = channels.max(1);
    let frames = samples.chunks_exact(channels);
    frames.map(|frame| (frame.iter().map(|s| i32::from(*s)).sum::<i32>() / channels as i32) as i16).collect()
}

/// Zero crossings of the sinc on each side.
const LOBES: f64 = 16.0;

fn resample(samples: &[i16], rate: u32) -> Vec<i16> {
    let step = f64::from(rate) / f64::from(RATE);
    // Of the input's sampling rate; 0.5 would be the very edge.
    let cutoff = 0.47 / step.max(1.0);
    let reach = LOBES / (2.0 * cutoff);
    let count = (samples.len() as f64 / step).floor() as usize;
    let at = |n: usize| {
        let centre = n as f64 * step;
        let first = (centre - reach).ceil().max(0.0) as usize;
        let last = ((centre + reach).floor() as usize).min(samples.len().saturating_sub(1));
        let (mut sum, mut weights) = (0.0, 0.0);
        for (index, sample) in samples.iter().enumerate().take(last + 1).skip(first) {
            let distance = index as f64 - centre;
            let weight = sinc(2.0 * cutoff * distance) * (std::f64::consts::FRAC_PI_2 * distance / reach).cos();
            sum += weight * f64::from(*sample);
            weights += weight;
        }
        // The weights sum up to one, but for the edges of the file.
        let sum = if weights > 0.0 { sum / weights } else { 0.0 };
        sum.round().clamp(-32_768.0, 32_767.0) as i16
    };
    (0..count).map(at).collect()
}

fn sinc(x: f64) -> f64 {
    let x = std::f64::consts::PI * x;
    if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<f64> {
        let turn = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..(f64::from(rate) * seconds) as usize).map(|n| 0.5 * (turn * n as f64).sin()).collect()
    }

    /// A file as `hound` writes it.
    fn file(rate: u32, channels: u16, bits: u16, is_float: bool, samples: &[f64]) -> Vec<u8> {
        let sample_format = if is_float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
        let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
        let mut out = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut out, spec).unwrap();
        for sample in samples {
            for _ in 0..channels {
                if is_float {
                    writer.write_sample(*sample as f32).unwrap();
                } else {
                    writer.write_sample((sample * f64::from(1u32 << (bits - 1))) as i32).unwrap();
                }
            }
        }
        writer.finalize().unwrap();
        out.into_inner()
    }

    fn companded_file(law: Law, samples: &[f64]) -> Vec<u8> {
        let tag: u16 = if law == Law::A { 6 } else { 7 };
        let codes: Vec<u8> = samples.iter().map(|s| law.encode((s * 32_768.0) as i16)).collect();
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x12\0\0\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend([1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0, 0, 0]);
        bytes.extend(b"fact\x03\0\0\0abc\0data");
        bytes.extend((codes.len() as u32).to_le_bytes());
        bytes.extend(codes);
        bytes
    }

    /// Signal to noise against the tone that was meant, in decibels.
    fn quality(heard: &[i16], hertz: f64) -> f64 {
        let meant = tone(RATE, hertz, heard.len() as f64 / f64::from(RATE));
        let (mut signal, mut noise) = (0.0, 0.0);
        // The edges of a file cut through the sinc.
        for (heard, meant) in heard.iter().zip(meant).skip(200).take(heard.len() - 400) {
            signal += meant * meant;
            noise += (f64::from(*heard) / 32_768.0 - meant).powi(2);
        }
        10.0 * (signal / noise).log10()
    }

    #[test]
    fn every_common_format_is_the_same_sound() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000] {
            let tone = tone(rate, 1_000.0, 0.5);
            for (channels, bits, is_float, wanted) in [
                (1, 8, false, 35.0),
                (1, 16, false, 60.0),
                (2, 16, false, 60.0),
                (2, 24, false, 60.0),
                (1, 32, false, 60.0),
                (2, 32, true, 60.0),
            ] {
                let heard = read(&file(rate, channels, bits, is_float, &tone)).unwrap();
                assert!(heard.len().abs_diff(4_000) <= 1, "{rate} Hz: {}", heard.len());
                let quality = quality(&heard, 1_000.0);
                assert!(quality > wanted, "{rate} Hz, {channels} × {bits} bits: {quality} dB");
            }
        }
        for law in [Law::A, Law::Mu] {
            let heard = read(&companded_file(law, &tone(8_000, 1_000.0, 0.5))).unwrap();
            assert!(heard.len() == 4_000 && quality(&heard, 1_000.0) > 30.0, "{law:?}");
        }
    }

    #[test]
    fn what_a_telephone_cannot_carry_does_not_fold_back() {
        let heard = read(&file(48_000, 1, 16, false, &tone(48_000, 6_000.0, 0.5))).unwrap();
        let loudest = heard.iter().skip(200).take(3_600).map(|s| s.unsigned_abs()).max().unwrap();
        assert!(loudest < 40, "{loudest}");
    }

    #[test]
    fn samples_of_our_own_rate_stay_as_they_are() {
        let tone = tone(8_000, 440.0, 0.1);
        let exact: Vec<i16> = tone.iter().map(|s| (s * 32_768.0) as i16).collect();
        assert_eq!(read(&file(8_000, 1, 16, false, &tone)).unwrap(), exact);
    }

    #[test]
    fn what_is_no_sound_is_said() {
        let one = tone(8_000, 440.0, 0.1);
        assert!(matches!(read(b"hello"), Err(BadSound::NotWav(_))));
        assert!(matches!(read(b""), Err(BadSound::NotWav(_))));
        assert_eq!(read(&file(8_000, 1, 16, false, &[])), Err(BadSound::Empty));
        assert_eq!(read(&file(2_000, 1, 16, false, &one)), Err(BadSound::Rate(2_000)));
        let good = file(8_000, 2, 16, false, &one);
        for cut in 0..good.len() {
            let _ = read(&good[..cut]);
        }
        let companded = companded_file(Law::A, &one);
        for cut in 0..companded.len() {
            let _ = read(&companded[..cut]);
        }
    }
}
