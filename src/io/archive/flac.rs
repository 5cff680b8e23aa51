//! FLAC: the same samples in about half the room.
//!
//! A recording of a closed day is encoded, decoded again by another program's code, and must give the very WAV that its
//! day's manifest names, hash and all, before that WAV goes. So nothing is lost but room: whoever decodes the file and puts
//! the header in front has what was sealed.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, Stream, StreamInfo};
use flacenc::error::Verify as _;
use flacenc::source::{Context, Fill as _, FrameBuf};
use sha2::{Digest as _, Sha256};

use crate::core::archive::merkle::hex;
use crate::wire::wav::{self, Encoding, Format, Layout};

/// Frames of one block.
const BLOCK: usize = 4_096;
const CHANNELS: usize = wav::CHANNELS as usize;
const BITS: usize = 16;

/// Encodes a sealed WAV. `Ok(false)`: it is not one that is encoded.
pub(super) fn encode(plain: &Path, target: &Path) -> io::Result<bool> {
    let file = File::open(plain)?;
    let length = file.metadata()?.len();
    let mut plain = BufReader::new(file);
    let mut head = Vec::with_capacity(wav::HEADER_MAX);
    plain.by_ref().take(wav::HEADER_MAX as u64).read_to_end(&mut head)?;
    let layout = match wav::check(&head, length) {
        // G.711 has half the bytes already.
        Ok(sound) if sound.layout.format.encoding == Encoding::Pcm => sound.layout,
        _ => return Ok(false),
    };
    plain.seek(SeekFrom::Start(layout.length() as u64))?;
    let config = flacenc::config::Encoder::default().into_verified().map_err(|(_, bad)| other(bad))?;
    let info = StreamInfo::new(layout.format.rate as usize, CHANNELS, BITS).map_err(other)?;
    let mut stream = Stream::with_stream_info(info);
    let mut output = BufWriter::new(super::private(target)?);
    // Its figures are known at the end; it has the same length then.
    output.write_all(&bytes(&stream)?)?;
    let mut buffers = (FrameBuf::with_size(CHANNELS, BLOCK).map_err(other)?, Context::new(BITS, CHANNELS));
    let mut raw = vec![0; BLOCK * wav::FRAME as usize];
    for number in 0.. {
        let count = read_full(&mut plain, &mut raw)?;
        let part = raw.get(..count).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        if count < raw.len() {
            buffers.0.resize(count / wav::FRAME as usize);
        }
        buffers.fill_le_bytes(part, BITS / 8).map_err(other)?;
        let frame =
            flacenc::encode_fixed_size_frame(&config, &buffers.0, number, stream.stream_info()).map_err(other)?;
        output.write_all(&bytes(&frame)?)?;
        stream.stream_info_mut().update_frame_info(&frame);
    }
    let info = stream.stream_info_mut();
    info.set_block_sizes(BLOCK, BLOCK).map_err(other)?;
    info.set_md5_digest(&buffers.1.md5_digest());
    info.set_total_samples(buffers.1.total_samples());
    output.seek(SeekFrom::Start(0))?;
    output.write_all(&bytes(&stream)?)?;
    let file = output.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(true)
}

/// SHA-256 of the WAV that a FLAC file of ours was made from.
pub(in crate::io) fn original_sha256(flac: &Path) -> io::Result<String> {
    let bad = |error: claxon::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut reader = claxon::FlacReader::new(BufReader::new(File::open(flac)?)).map_err(bad)?;
    let info = reader.streaminfo();
    let frames = info.samples.unwrap_or(0);
    let layout = Layout::of(Format { encoding: Encoding::Pcm, rate: info.sample_rate });
    let mut hash = Sha256::new_with_prefix(&*layout.header(frames));
    let mut blocks = reader.blocks();
    let mut buffer = Vec::new();
    let mut bytes = Vec::new();
    while let Some(block) = blocks.read_next_or_eof(std::mem::take(&mut buffer)).map_err(bad)? {
        if block.channels() != u32::from(wav::CHANNELS) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.clear();
        for at in 0..block.duration() {
            for channel in 0..block.channels() {
                let sample = i16::try_from(block.sample(channel, at)).map_err(|_| io::ErrorKind::InvalidData)?;
                bytes.extend(sample.to_le_bytes());
            }
        }
        hash.update(&bytes);
        buffer = block.into_buffer();
    }
    Ok(hex(&hash.finalize()))
}

fn bytes(part: &impl BitRepr) -> io::Result<Vec<u8>> {
    let mut sink = ByteSink::new();
    part.write(&mut sink).map_err(other)?;
    Ok(sink.as_slice().to_vec())
}

/// As much as fits, or as there is.
pub(super) fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn other(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("FLAC: {error:?}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(samples: &[i16]) {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("a.wav"), folder.path().join("a.flac"));
        let mut wav = wav::header(u32::try_from(samples.len() * 2).unwrap()).to_vec();
        wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        std::fs::write(&plain, &wav).unwrap();
        assert!(encode(&plain, &packed).unwrap());
        assert_eq!(original_sha256(&packed).unwrap(), hex(&Sha256::digest(&wav)));
    }

    #[test]
    fn every_length_around_a_block_and_the_extremes_come_back() {
        for frames in [1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK * 2, BLOCK * 3 + 5] {
            let tone = |n: usize| ((n as f64 * 0.3).sin() * 30_000.0) as i16;
            there_and_back(&(0..frames * 2).map(tone).collect::<Vec<_>>());
        }
        there_and_back(&[i16::MIN; 20_000]);
        there_and_back(&(0..20_000).map(|n| if n % 3 == 0 { i16::MAX } else { i16::MIN }).collect::<Vec<_>>());
        there_and_back(&[0; 100_000]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_samples_come_back(samples in prop::collection::vec(any::<[i16; 2]>(), 1..6_000)) {
            there_and_back(&samples.concat());
        }

        #[test]
        fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("a.flac");
            std::fs::write(&file, [b"fLaC".as_slice(), &bytes].concat()).unwrap();
            let _ = original_sha256(&file);
            std::fs::write(&file, &bytes).unwrap();
            prop_assert!(!matches!(encode(&file, &folder.path().join("b.flac")), Ok(true)) || bytes.len() > 44);
        }
    }
}
