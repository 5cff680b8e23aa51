//! WAV headers of our own recordings: read, judge, make right. Pure functions over bytes; who may write what is decided
//! in `io::recordings`.
//!
//! A recording is RIFF/WAVE with a 16-byte `fmt ` chunk (PCM, two channels, 8000 Hz, 16 bits) and one `data` chunk: 44
//! bytes and then frames of four bytes to the end of the file. After a crash the sizes in the header lag behind the
//! bytes that are there; those bytes are audio, so the sizes follow the file, never the other way round.

/// Length of the header.
pub const HEADER: usize = 44;
/// Bytes of one frame: two samples of 16 bits.
pub const FRAME: u64 = 4;
/// Frames a second.
pub const RATE: u32 = 8_000;
pub const CHANNELS: u16 = 2;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The `data` size it names, in bytes.
    pub data: u32,
    /// The RIFF size it names: bytes after the first eight.
    pub riff: u32,
}

/// Why bytes are not a recording of ours. The text is a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Shorter than a header.
    #[error("no_header")]
    NoHeader,
    /// Another format, or not a WAV file.
    #[error("wrong_format")]
    WrongFormat,
    /// A header and no whole frame.
    #[error("empty")]
    Empty,
    /// The header's sizes are not those of the file.
    #[error("wrong_size")]
    WrongSize,
    /// More than a header can name.
    #[error("too_large")]
    TooLarge,
}

/// What makes an unfinished file right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// To be written over the first bytes.
    pub header: [u8; HEADER],
    /// The file is to be cut to this length: a part of a frame goes.
    pub length: u64,
    /// Frames in it then.
    pub frames: u64,
}

/// The header of a recording with so many bytes of audio.
pub fn header(data: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let mut at = 0;
    let mut put = |part: &[u8]| {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    put(b"RIFF");
    put(&data.saturating_add(HEADER as u32 - 8).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16u32.to_le_bytes());
    put(&1u16.to_le_bytes());
    put(&CHANNELS.to_le_bytes());
    put(&RATE.to_le_bytes());
    put(&(RATE * FRAME as u32).to_le_bytes());
    put(&(FRAME as u16).to_le_bytes());
    put(&16u16.to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    bytes
}

/// Reads the first bytes of a file.
pub fn read(head: &[u8]) -> Result<Header, Bad> {
    let head: &[u8; HEADER] = head.first_chunk().ok_or(Bad::NoHeader)?;
    let size = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (riff, data) = (size(4), size(40));
    let ours = header(data);
    let same = head[..4] == ours[..4] && head[8..40] == ours[8..40];
    if same { Ok(Header { data, riff }) } else { Err(Bad::WrongFormat) }
}

/// Is this a sealed recording? `file`: length of the file. Gives its frames.
pub fn check(head: &[u8], file: u64) -> Result<u64, Bad> {
    let header = read(head)?;
    let data = file.saturating_sub(HEADER as u64);
    let right = u64::from(header.data) == data && u64::from(header.riff) + 8 == file && data.is_multiple_of(FRAME);
    if right { Ok(data / FRAME) } else { Err(Bad::WrongSize) }
}

/// What makes the file right whose first bytes and length these are.
pub fn repair(head: &[u8], file: u64) -> Result<Repair, Bad> {
    read(head)?;
    let frames = file.saturating_sub(HEADER as u64) / FRAME;
    if frames == 0 {
        return Err(Bad::Empty);
    }
    let length = HEADER as u64 + frames * FRAME;
    // The RIFF size counts 36 bytes more than the data.
    let data = u32::try_from(frames * FRAME).ok().filter(|data| data.checked_add(36).is_some()).ok_or(Bad::TooLarge)?;
    Ok(Repair { header: header(data), length, frames })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn our_header_is_what_hound_writes_and_reads() {
        let spec = hound::WavSpec {
            channels: CHANNELS,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for sample in [1i16, -2, 3, -4] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        let bytes = file.into_inner();
        assert_eq!(bytes[..HEADER], header(8));
        assert_eq!(check(&bytes, bytes.len() as u64), Ok(2));
        let reader = hound::WavReader::new(std::io::Cursor::new([&header(8)[..], &bytes[HEADER..]].concat())).unwrap();
        assert_eq!((reader.spec(), reader.duration()), (spec, 2));
    }

    #[test]
    fn verdicts() {
        let whole = header(800);
        let mut stranger = whole;
        stranger[22] = 1;
        type Verdict = Result<u64, Bad>;
        let cases: [(&[u8], u64, Verdict, Verdict); 7] = [
            (&[], 0, Err(Bad::NoHeader), Err(Bad::NoHeader)),
            (&whole[..43], 43, Err(Bad::NoHeader), Err(Bad::NoHeader)),
            (&whole, 844, Ok(200), Ok(200)),
            (&whole, 851, Err(Bad::WrongSize), Ok(201)),
            (&whole, 444, Err(Bad::WrongSize), Ok(100)),
            (&whole, 47, Err(Bad::WrongSize), Err(Bad::Empty)),
            (&stranger, 844, Err(Bad::WrongFormat), Err(Bad::WrongFormat)),
        ];
        for (head, file, checked, repaired) in cases {
            assert_eq!(check(head, file), checked, "check {file}");
            assert_eq!(repair(head, file).map(|r| r.frames), repaired, "repair {file}");
        }
        assert!(repair(&whole, 1 << 32).is_ok(), "the largest that RIFF can say");
        assert_eq!(repair(&whole, (1 << 32) + 8), Err(Bad::TooLarge));
        assert_eq!(repair(&whole, u64::MAX), Err(Bad::TooLarge));
    }

    proptest! {
        #[test]
        fn what_was_repaired_is_right(claimed in any::<u32>(), file in 0..1u64 << 33) {
            if let Ok(repair) = repair(&header(claimed), file) {
                prop_assert!(repair.length <= file && file - repair.length < FRAME);
                prop_assert_eq!(check(&repair.header, repair.length), Ok(repair.frames));
            }
        }

        #[test]
        fn any_bytes_do_no_harm(head in proptest::collection::vec(any::<u8>(), 0..60), file in any::<u64>()) {
            let _ = (check(&head, file), repair(&head, file));
        }
    }
}
