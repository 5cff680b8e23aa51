//! Opus (RFC 6716) in Ogg (RFC 7845): about a fifth of the room, for ears. What went into the encoder is not what comes out,
//! so the chain names both: the manifest keeps the WAV's hash in its record and the new file's in the change that made it,
//! and the new file itself says whose sound it is, in a comment (`WAV_SHA256`).
//!
//! Caller and company are two streams that know nothing of each other (channel mapping family 1, two streams, none coupled),
//! so that neither is heard in the other's channel. A packet is that of the caller, delimited by itself (RFC 6716,
//! appendix B), and that of the company behind it. A page is a second.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::Path;

use ogg::{PacketReader, PacketWriteEndInfo, PacketWriter};

use crate::wire::codec::Codec;
use crate::wire::codec::g711::Law;
use crate::wire::codec::speech::Encoder;
use crate::wire::wav::{self, Encoding, Layout};

/// Samples of 48000 Hz in a packet of 20 ms.
const PACKET: u64 = 960;
/// What the encoder looks ahead (RFC 7845 §4.2), in samples of 48000 Hz.
const PRE_SKIP: u64 = 312;
/// Packets of a page.
const PAGE: u64 = 50;
/// The longest packet of one stream.
const PACKET_MAX: usize = 1_275;
/// Of a file there is one stream only.
const SERIAL: u32 = 1;
/// Name of the comment that says which WAV it was made from.
const COMMENT: &str = "WAV_SHA256=";
const VENDOR: &str = "Leaseline";
/// Comments are read up to so many bytes.
const TAGS_MAX: usize = 4_096;

/// Encodes a sealed WAV with this hash. `Ok(false)`: it is not one that is encoded.
pub(super) fn encode(plain: &Path, target: &Path, sha256: &str) -> io::Result<bool> {
    let file = File::open(plain)?;
    let length = file.metadata()?.len();
    let mut plain = BufReader::new(file);
    let mut head = Vec::with_capacity(wav::HEADER_MAX);
    plain.by_ref().take(wav::HEADER_MAX as u64).read_to_end(&mut head)?;
    let Ok(sound) = wav::check(&head, length) else { return Ok(false) };
    let layout = sound.layout;
    let rate = layout.format.rate;
    plain.seek(SeekFrom::Start(layout.length() as u64))?;
    let encoder = || Encoder::new(Codec::Opus, rate).ok_or(io::ErrorKind::InvalidInput);
    let mut encoders = [encoder()?, encoder()?];
    let mut output = PacketWriter::new(BufWriter::new(super::private(target)?));
    output.write_packet(opus_head(rate), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
    output.write_packet(opus_tags(sha256), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
    // The end is cut to the sample (RFC 7845 §4.4): what the encoder holds back comes with a packet of silence.
    let end = PRE_SKIP + sound.frames * 48_000 / u64::from(rate);
    let packets = end.div_ceil(PACKET).max(1);
    let mut frames = Frames { input: plain, layout, raw: vec![0; rate as usize / 50 * layout.format.frame() as usize] };
    for number in 1..=packets {
        let sides = frames.next()?;
        let mut packet = Vec::with_capacity(200);
        for (side, (encoder, samples)) in encoders.iter_mut().zip(sides).enumerate() {
            let mut coded = [0; PACKET_MAX];
            let length = encoder.encode(&samples, &mut coded).ok_or_else(|| other("the encoder has failed"))?;
            let coded = coded.get(..length).unwrap_or_default();
            if side == 0 { delimit(coded, &mut packet)? } else { packet.extend_from_slice(coded) }
        }
        let (ends, position) = match number {
            _ if number == packets => (PacketWriteEndInfo::EndStream, end),
            _ if number.is_multiple_of(PAGE) => (PacketWriteEndInfo::EndPage, number * PACKET),
            _ => (PacketWriteEndInfo::NormalPacket, number * PACKET),
        };
        output.write_packet(packet, SERIAL, ends, position)?;
    }
    let file = output.into_inner().into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(true)
}

/// What an Opus file of ours says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::io) struct Described {
    /// SHA-256 of the WAV that it was made from, in hexadecimal.
    pub(in crate::io) wav_sha256: String,
    pub(in crate::io) duration_ms: u64,
}

/// Reads a file of ours to its end: every page with its checksum.
pub(in crate::io) fn describe(path: &Path) -> io::Result<Described> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut reader = PacketReader::new(BufReader::new(File::open(path)?));
    let mut next = || reader.read_packet().map_err(|error| bad(&format!("{error:?}")));
    let head = next()?.ok_or_else(|| bad("it is empty"))?;
    if !head.data.starts_with(b"OpusHead\x01\x02") {
        return Err(bad("it is no Opus file of ours"));
    }
    let tags = next()?.ok_or_else(|| bad("it ends early"))?;
    let wav_sha256 = comment(&tags.data).ok_or_else(|| bad("it does not say what it was made from"))?;
    let mut last = None;
    while let Some(packet) = next()? {
        last = Some((packet.absgp_page(), packet.last_in_stream()));
    }
    match last {
        Some((position, true)) => Ok(Described { wav_sha256, duration_ms: position.saturating_sub(PRE_SKIP) / 48 }),
        _ => Err(bad("it ends early")),
    }
}

/// The frames of a WAV, 20 ms at a time, and silence behind its end.
struct Frames<R> {
    input: R,
    layout: Layout,
    raw: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// The next 20 ms of the caller and of the company.
    fn next(&mut self) -> io::Result<[Vec<i16>; 2]> {
        let filled = super::flac::read_full(&mut self.input, &mut self.raw)?;
        let format = self.layout.format;
        let law = match format.encoding {
            Encoding::Pcm => None,
            Encoding::ALaw => Some(Law::A),
            Encoding::MuLaw => Some(Law::Mu),
        };
        let mut sides = [Vec::new(), Vec::new()];
        for frame in self.raw.get(..filled).unwrap_or_default().chunks_exact(format.frame() as usize) {
            let (left, right) = frame.split_at(frame.len() / 2);
            for (side, bytes) in sides.iter_mut().zip([left, right]) {
                side.push(match (law, bytes) {
                    (Some(law), [code, ..]) => law.decode(*code),
                    (None, [low, high]) => i16::from_le_bytes([*low, *high]),
                    _ => 0,
                });
            }
        }
        sides.iter_mut().for_each(|side| side.resize(format.rate as usize / 50, 0));
        Ok(sides)
    }
}

/// RFC 7845 §5.1.
fn opus_head(rate: u32) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend((PRE_SKIP as u16).to_le_bytes());
    head.extend(rate.to_le_bytes());
    // No gain; family 1: two streams, none of them coupled, the first left and the second right.
    head.extend([0, 0, 1, 2, 0, 0, 1]);
    head
}

/// RFC 7845 §5.2.
fn opus_tags(sha256: &str) -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    let comment = format!("{COMMENT}{sha256}");
    tags.extend((VENDOR.len() as u32).to_le_bytes());
    tags.extend(VENDOR.as_bytes());
    tags.extend(1_u32.to_le_bytes());
    tags.extend((comment.len() as u32).to_le_bytes());
    tags.extend(comment.as_bytes());
    tags
}

fn comment(tags: &[u8]) -> Option<String> {
    let mut rest = tags.get(..tags.len().min(TAGS_MAX))?.strip_prefix(b"OpusTags")?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        Some(text)
    };
    text()?;
    let (_, after) = rest.split_first_chunk::<4>()?;
    let (length, after) = after.split_first_chunk::<4>()?;
    let value = std::str::from_utf8(after.get(..u32::from_le_bytes(*length) as usize)?).ok()?.strip_prefix(COMMENT)?;
    let is_hash = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| value.to_owned())
}

/// A packet of one frame with its own length (RFC 6716, appendix B): between the first byte and the rest.
fn delimit(packet: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let Some((toc, frame)) = packet.split_first().filter(|(toc, _)| **toc & 3 == 0) else {
        return Err(other("the encoder made no packet of one frame"));
    };
    out.push(*toc);
    if frame.len() < 252 {
        out.push(frame.len() as u8);
    } else {
        let first = 252 + frame.len() % 4;
        out.extend([first as u8, ((frame.len() - first) / 4) as u8]);
    }
    out.extend_from_slice(frame);
    Ok(())
}

fn other(what: &str) -> io::Error {
    io::Error::other(format!("Opus: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::speech::Decoder;
    use crate::wire::wav::Format;

    const SHA: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn tone(k: usize, hertz: f64, rate: u32) -> i16 {
        ((k as f64 * hertz * std::f64::consts::TAU / f64::from(rate)).sin() * 10_000.0) as i16
    }

    /// The caller 400 Hz, the company 1100 Hz.
    fn plant(path: &Path, format: Format, frames: usize) {
        let layout = Layout::of(format);
        let mut bytes = layout.header(frames as u64).to_vec();
        for k in 0..frames {
            for hertz in [400.0, 1_100.0] {
                let sample = tone(k, hertz, format.rate);
                match format.encoding {
                    Encoding::Pcm => bytes.extend(sample.to_le_bytes()),
                    Encoding::ALaw => bytes.push(Law::A.encode(sample)),
                    Encoding::MuLaw => bytes.push(Law::Mu.encode(sample)),
                }
            }
        }
        std::fs::write(path, bytes).unwrap();
    }

    /// How much of a frequency there is.
    fn level(samples: &[i16], hertz: f64, rate: u32) -> f64 {
        let sum = |shift: f64| {
            let at = |(k, s): (usize, &i16)| {
                f64::from(*s) * (k as f64 * hertz * std::f64::consts::TAU / f64::from(rate) + shift).cos()
            };
            samples.iter().enumerate().map(at).sum::<f64>()
        };
        (sum(0.0).powi(2) + sum(std::f64::consts::FRAC_PI_2).powi(2)).sqrt() / samples.len() as f64
    }

    #[test]
    fn each_voice_comes_back_in_its_own_channel_and_the_length_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("a.wav"), folder.path().join("a.opus"));
        for encoding in [Encoding::Pcm, Encoding::ALaw, Encoding::MuLaw] {
            let format = Format { encoding, rate: 8_000 };
            for frames in [1, 160, 8_000, 20_001] {
                plant(&plain, format, frames);
                assert!(encode(&plain, &packed, SHA).unwrap());
                let said = describe(&packed).unwrap();
                assert_eq!(said, Described { wav_sha256: SHA.into(), duration_ms: frames as u64 / 8 });
            }
            let mut reader = PacketReader::new(File::open(&packed).unwrap());
            let mut decoders = [(); 2].map(|()| Decoder::new(Codec::Opus, 8_000).unwrap());
            let mut sides = [Vec::new(), Vec::new()];
            for packet in std::iter::from_fn(|| reader.read_packet().unwrap()).skip(2) {
                let [toc, length, rest @ ..] = packet.data.as_slice() else { panic!("too short") };
                assert!(*length < 252, "speech at 24 kbit/s");
                let (left, right) = rest.split_at(usize::from(*length));
                decoders[0].decode(&[&[*toc], left].concat(), &mut sides[0]).unwrap();
                decoders[1].decode(right, &mut sides[1]).unwrap();
            }
            for (side, [own, others]) in sides.iter().zip([[400.0, 1_100.0], [1_100.0, 400.0]]) {
                let middle = &side[4_000..16_000];
                let (own, others) = (level(middle, own, 8_000), level(middle, others, 8_000));
                assert!(own > 3_000.0 && others < own / 100.0, "{own} {others}");
            }
        }
    }

    #[test]
    fn what_is_no_recording_is_not_encoded_and_no_file_makes_it_panic() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("a.wav"), folder.path().join("a.opus"));
        std::fs::write(&plain, b"RIFF").unwrap();
        assert!(!encode(&plain, &packed, SHA).unwrap());
        plant(&plain, Format::PLAIN, 1_000);
        assert!(encode(&plain, &packed, SHA).unwrap());
        let good = std::fs::read(&packed).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 4;
            std::fs::write(&packed, &bytes).unwrap();
            assert!(describe(&packed).is_err(), "byte {at}");
            std::fs::write(&packed, &good[..at]).unwrap();
            assert!(describe(&packed).is_err(), "cut at {at}");
        }
    }
}
