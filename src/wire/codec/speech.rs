//! Decoders and encoders with one face: payloads at one end, linear samples of one channel at 8 or 16 kHz at the other.
//!
//! Memory is taken when one is made; a packet takes none.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};
use opus_rs::{Application, OpusDecoder, OpusEncoder};

use super::Codec;
use super::g711::{Law, RATE};
use super::resample::{Double, Halve};
use crate::limits::RTP_PACKET;

/// The rate of wideband audio, in Hz.
pub const WIDE: u32 = 16_000;
/// The longest packet of Opus, 120 ms (RFC 6716 §3.2.5), at [`WIDE`].
const OPUS_LONGEST: usize = WIDE as usize * 120 / 1_000;
/// Two filters of 24 taps stand in an encoder and its decoder: samples at [`WIDE`] that speech comes later.
const G722_DELAY: u32 = 22;
/// What encoders look ahead, in units of 48 kHz: 312 as libopus tells in every file it writes (RFC 7845 §4.2).
const OPUS_DELAY: u32 = 312;
/// Enough for wideband speech, bits a second.
const OPUS_BITS: i32 = 24_000;

/// A payload that is none of its codec. The stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    Payload,
    /// The decoder panicked. It gives nothing any more.
    Crashed,
}

/// One stream's decoder.
pub struct Decoder {
    inner: Inner,
    rate: u32,
    crashed: bool,
}

enum Inner {
    G711(Law, Option<Double>),
    G722 { decoder: Box<G722Decoder>, wide: Vec<i16>, halve: Option<Halve> },
    Opus { decoder: Box<OpusDecoder>, scratch: Vec<f32> },
}

impl Decoder {
    /// `rate`: 8000 or [`WIDE`]; `None` when it is neither.
    pub fn new(codec: Codec, rate: u32) -> Option<Decoder> {
        let is_wide = match rate {
            RATE => false,
            WIDE => true,
            _ => return None,
        };
        let inner = match (codec, codec.law()) {
            (_, Some(law)) => Inner::G711(law, is_wide.then(Double::new)),
            (Codec::Opus, _) => Inner::Opus {
                decoder: Box::new(OpusDecoder::new(rate.cast_signed(), 1).ok()?),
                scratch: vec![0.0; OPUS_LONGEST],
            },
            _ => Inner::G722 {
                decoder: Box::new(G722Decoder::new()),
                wide: vec![0; 2 * RTP_PACKET],
                halve: (!is_wide).then(Halve::new),
            },
        };
        Some(Decoder { inner, rate, crashed: false })
    }

    /// Samples by which what comes out is later than what went into the sender's encoder.
    pub fn delay(&self) -> u32 {
        match &self.inner {
            Inner::G711(_, None) => 0,
            Inner::G711(_, Some(_)) => Double::DELAY,
            Inner::G722 { halve: None, .. } => G722_DELAY,
            Inner::G722 { halve: Some(_), .. } => G722_DELAY / 2 + Halve::DELAY,
            Inner::Opus { .. } => OPUS_DELAY * self.rate / 48_000,
        }
    }

    /// So many samples of the stream are lost: a decoder that predicts from what it heard is kept in step. What it makes
    /// of them is appended; nothing, where it makes nothing.
    pub fn lose(&mut self, samples: usize, out: &mut Vec<i16>) {
        let Inner::Opus { decoder, scratch } = &mut self.inner else { return };
        // RFC 6716 §3.2.1: frames come in steps of 2.5 ms.
        let samples = samples - samples % (self.rate as usize / 400);
        let Some(room) = scratch.get_mut(..samples).filter(|room| !room.is_empty() && !self.crashed) else { return };
        match catch_unwind(AssertUnwindSafe(|| decoder.decode(&[], samples, room).unwrap_or_default())) {
            Ok(count) => out.extend(room.iter().take(count).map(narrow)),
            Err(_) => self.crashed = true,
        }
    }

    /// So many samples before the packet `next` are lost: appends what that packet itself says of them (in-band FEC, RFC 6716
    /// §2.1.7) where it does, and else what [`Decoder::lose`] makes of them. The packet is still to be decoded.
    pub fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) {
        let Inner::Opus { decoder, scratch } = &mut self.inner else { return };
        let samples = samples - samples % (self.rate as usize / 400);
        let Some(room) = scratch.get_mut(..samples).filter(|room| !room.is_empty() && !self.crashed) else { return };
        match catch_unwind(AssertUnwindSafe(|| decoder.decode_fec(next, samples, room).unwrap_or_default())) {
            Ok(count) => out.extend(room.iter().take(count).map(narrow)),
            Err(_) => self.crashed = true,
        }
    }

    /// Appends a payload's samples to `out`. A payload of no sense appends nothing; nor does anything after a crash.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), Undecodable> {
        if self.crashed {
            return Err(Undecodable::Crashed);
        }
        let before = out.len();
        // Unwind safety: after a panic the decoder is never used again, and `out` is cut back.
        let decoded = catch_unwind(AssertUnwindSafe(|| self.inner.decode(payload, self.rate, out)));
        self.crashed = decoded.is_err();
        let verdict = decoded.unwrap_or(Err(Undecodable::Crashed));
        if verdict.is_err() {
            out.truncate(before);
        }
        verdict
    }
}

impl Inner {
    fn decode(&mut self, payload: &[u8], rate: u32, out: &mut Vec<i16>) -> Result<(), Undecodable> {
        match self {
            Inner::G711(law, None) => out.extend(payload.iter().map(|code| law.decode(*code))),
            Inner::G711(law, Some(double)) => {
                for code in payload {
                    double.process(&[law.decode(*code)], out);
                }
            }
            Inner::G722 { decoder, wide, halve } => {
                let count = decoder.decode_into(payload, wide).map_err(|_| Undecodable::Payload)?;
                let samples = wide.get(..count).unwrap_or_default();
                match halve {
                    Some(halve) => halve.process(samples, out),
                    None => out.extend_from_slice(samples),
                }
            }
            Inner::Opus { decoder, scratch } => {
                let duration = Codec::Opus.duration(payload).ok_or(Undecodable::Payload)?;
                let samples = (duration * rate / Codec::Opus.clock()) as usize;
                let room = scratch.get_mut(..samples).ok_or(Undecodable::Payload)?;
                let count = decoder.decode(payload, samples, room).map_err(|_| Undecodable::Payload)?;
                out.extend(room.iter().take(count).map(narrow));
            }
        }
        Ok(())
    }
}

fn narrow(value: &f32) -> i16 {
    (value * 32_768.0).clamp(-32_768.0, 32_767.0) as i16
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = match self.inner {
            Inner::G711(..) => "G711",
            Inner::G722 { .. } => "G722",
            Inner::Opus { .. } => "OPUS",
        };
        f.debug_struct("Decoder").field("codec", &codec).field("rate", &self.rate).finish_non_exhaustive()
    }
}

/// One stream's encoder.
pub struct Encoder {
    inner: Making,
    rate: u32,
    crashed: bool,
}

enum Making {
    G711(Law, Option<Halve>, Vec<i16>),
    G722(Box<G722Encoder>, Option<Double>, Vec<i16>),
    Opus(Box<OpusEncoder>),
}

impl Encoder {
    /// `rate` of the samples: 8000 or [`WIDE`]; `None` when it is neither.
    pub fn new(codec: Codec, rate: u32) -> Option<Encoder> {
        let is_wide = match rate {
            RATE => false,
            WIDE => true,
            _ => return None,
        };
        let scratch = || Vec::with_capacity(2 * RTP_PACKET);
        let inner = match (codec, codec.law()) {
            (_, Some(law)) => Making::G711(law, is_wide.then(Halve::new), scratch()),
            (Codec::Opus, _) => {
                let mut encoder = OpusEncoder::new(rate.cast_signed(), 1, Application::Voip).ok()?;
                encoder.bitrate_bps = OPUS_BITS;
                // Of ten; beyond it costs more than is heard on a telephone.
                encoder.complexity = 3;
                Making::Opus(Box::new(encoder))
            }
            _ => Making::G722(Box::new(G722Encoder::new()), (!is_wide).then(Double::new), scratch()),
        };
        Some(Encoder { inner, rate, crashed: false })
    }

    /// Whether so many samples are a packet of this codec: for Opus 20 ms, because its encoder does not take kindly to
    /// frames of changing length; for the others any even number.
    pub fn takes(&self, samples: usize) -> bool {
        match self.inner {
            Making::Opus(_) => samples == self.rate as usize / 50,
            Making::G711(..) | Making::G722(..) => samples > 0 && samples.is_multiple_of(2),
        }
    }

    /// Writes the payload for these samples into `out` and gives its length; `None` when it cannot be, and for ever after
    /// the encoder panicked.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        if self.crashed || !self.takes(samples.len()) {
            return None;
        }
        // Unwind safety: after a panic the encoder is never used again.
        let encoded = catch_unwind(AssertUnwindSafe(|| self.inner.encode(samples, out)));
        self.crashed = encoded.is_err();
        encoded.ok().flatten()
    }
}

impl Making {
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        match self {
            Making::G711(law, halve, scratch) => {
                let narrow = match halve {
                    Some(halve) => {
                        scratch.clear();
                        halve.process(samples, scratch);
                        scratch.as_slice()
                    }
                    None => samples,
                };
                let room = out.get_mut(..narrow.len())?;
                room.iter_mut().zip(narrow).for_each(|(code, sample)| *code = law.encode(*sample));
                Some(narrow.len())
            }
            Making::G722(encoder, double, scratch) => {
                let wide = match double {
                    Some(double) => {
                        scratch.clear();
                        double.process(samples, scratch);
                        scratch.as_slice()
                    }
                    None => samples,
                };
                encoder.encode_into(wide, out).ok()
            }
            Making::Opus(encoder) => encoder.encode_i16(samples, samples.len(), out).ok(),
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = match self.inner {
            Making::G711(..) => "G711",
            Making::G722(..) => "G722",
            Making::Opus(_) => "OPUS",
        };
        f.debug_struct("Encoder").field("codec", &codec).field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    /// A sweep from 300 to 2000 Hz in a second: no two places of it are alike.
    fn sweep(rate: u32) -> Vec<i16> {
        let at = |n: u32| f64::from(n) / f64::from(rate);
        let turns = |t: f64| 300.0 * t + (1_700.0 / 2.0) * t * t;
        (0..rate).map(|n| (8_000.0 * (TAU * turns(at(n))).sin()) as i16).collect()
    }

    /// How much later `out` is, in samples, and how like it is then (1: the same).
    fn shift(sound: &[i16], out: &[i16]) -> (usize, f64) {
        let window = 2_000..sound.len().min(out.len()) - 150;
        let product = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let like = |d: usize| {
            let (a, b) = (&sound[window.clone()], &out[window.start + d..window.end + d]);
            product(a, b) / (product(a, a) * product(b, b)).sqrt()
        };
        (0..150).map(|d| (d, like(d))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    }

    fn through(codec: Codec, rate: u32, ms: usize) -> (usize, f64, u32) {
        let sound = sweep(rate);
        let (mut encoder, mut decoder) = (Encoder::new(codec, rate).unwrap(), Decoder::new(codec, rate).unwrap());
        let (mut out, mut packet) = (Vec::new(), [0; 1_400]);
        for frame in sound.chunks_exact(rate as usize * ms / 1_000) {
            assert!(encoder.takes(frame.len()));
            let length = encoder.encode(frame, &mut packet).unwrap();
            let before = out.len();
            decoder.decode(&packet[..length], &mut out).unwrap();
            assert_eq!(out.len() - before, frame.len());
            let clock = codec.duration(&packet[..length]).unwrap();
            assert_eq!(clock as usize * rate as usize, frame.len() * codec.clock() as usize);
        }
        let (found, like) = shift(&sound, &out);
        (found, like, decoder.delay())
    }

    #[test]
    fn every_codec_gives_back_what_went_in_and_says_how_late() {
        for codec in Codec::ALL {
            for rate in [RATE, WIDE] {
                for ms in if codec == Codec::Opus { &[20][..] } else { &[10, 30] } {
                    let (found, like, decoder) = through(codec, rate, *ms);
                    // The encoder's own filter is late, too.
                    let encoder = match (codec, rate) {
                        (Codec::Pcmu | Codec::Pcma, WIDE) => 2 * Halve::DELAY,
                        (Codec::G722, RATE) => Double::DELAY / 2,
                        _ => 0,
                    };
                    let expected = (decoder + encoder) as usize;
                    assert!(like > 0.95, "{codec:?} at {rate}, {ms} ms: {like}");
                    assert_eq!(found, expected, "{codec:?} at {rate}, {ms} ms");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn any_payloads_do_no_harm(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..12)) {
            for codec in Codec::ALL {
                for rate in [RATE, WIDE] {
                    let mut decoder = Decoder::new(codec, rate).unwrap();
                    let mut out = Vec::new();
                    for payload in &payloads {
                        let before = out.len();
                        let verdict = decoder.decode(payload, &mut out);
                        prop_assert!(verdict != Err(Undecodable::Crashed), "{codec:?} {payload:?}");
                        prop_assert!(out.len() - before <= 2 * payload.len().max(OPUS_LONGEST));
                        prop_assert!(verdict.is_ok() || out.len() == before);
                    }
                }
            }
        }
    }
}
