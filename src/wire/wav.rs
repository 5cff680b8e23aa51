//! WAV headers of our own recordings: read, judge, make right. Pure functions over bytes; who may write what is decided
//! in `io::recordings`.
//!
//! A recording is RIFF/WAVE with a `fmt ` chunk (two channels; PCM of 16 bits, or A-law or mu-law of 8) and one `data`
//! chunk, whose frames go to the end of the file: 44 bytes of header for PCM, 58 for G.711, whose form wants a `fact`
//! chunk. After a crash the sizes in the header lag behind the bytes that are there; those bytes are audio, so the sizes
//! follow the file, never the other way round.
//!
//! RIFF counts bytes in 32 bits. Where the longest recording of a format could have more ([`Layout::of`]), 36 bytes of
//! `JUNK` stand in front of `fmt `, and when the file outgrows RIFF they become the `ds64` chunk of RF64 (EBU Tech 3306)
//! in one write over the first bytes, without moving a sample. Files that cannot grow so large have no such room: at
//! 8000 Hz that takes 37 hours, more than [`limits::RECORDING_LENGTH`].

use crate::limits;

/// Length of the header of a plain PCM recording.
pub const HEADER: usize = 44;
/// The longest header.
pub const HEADER_MAX: usize = 12 + ROOM + 26 + 12 + 8;
/// Bytes of one frame of PCM: two samples of 16 bits.
pub const FRAME: u64 = 4;
/// Frames a second.
pub const RATE: u32 = 8_000;
pub const CHANNELS: u16 = 2;

/// A `ds64` chunk, or `JUNK` in its place.
const ROOM: usize = 8 + 28;
/// In place of a size: look into `ds64`. So RIFF itself ends one below.
const IN_DS64: u32 = u32::MAX;
/// Rates that recordings have.
const RATES: [u32; 2] = [8_000, 16_000];

/// How a sample is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 16 bits, signed, little-endian.
    #[default]
    Pcm,
    /// G.711, one byte.
    ALaw,
    MuLaw,
}

impl Encoding {
    const ALL: [Encoding; 3] = [Encoding::Pcm, Encoding::ALaw, Encoding::MuLaw];

    /// `wFormatTag` of the `fmt ` chunk.
    const fn tag(self) -> u16 {
        match self {
            Encoding::Pcm => 1,
            Encoding::ALaw => 6,
            Encoding::MuLaw => 7,
        }
    }

    /// Bytes of one sample.
    const fn bytes(self) -> u64 {
        match self {
            Encoding::Pcm => 2,
            Encoding::ALaw | Encoding::MuLaw => 1,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Encoding::Pcm => "pcm",
            Encoding::ALaw => "alaw",
            Encoding::MuLaw => "mulaw",
        }
    }
}

/// What the frames of a recording are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub encoding: Encoding,
    /// Frames a second.
    pub rate: u32,
}

impl Format {
    pub const PLAIN: Format = Format { encoding: Encoding::Pcm, rate: RATE };

    /// Bytes of one frame.
    pub const fn frame(self) -> u64 {
        CHANNELS as u64 * self.encoding.bytes()
    }

    /// Length of so many frames in milliseconds, rounded down.
    pub const fn millis(self, frames: u64) -> u64 {
        frames.saturating_mul(1_000) / self.rate as u64
    }

    /// Frames of the longest recording.
    pub const fn frames_max(self) -> u64 {
        limits::RECORDING_LENGTH.as_secs() * self.rate as u64
    }
}

/// What stands in front of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub format: Format,
    /// There is room for the sizes of RF64.
    roomy: bool,
}

/// A header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; HEADER_MAX],
    length: usize,
}

/// A sealed recording, as its header and its length tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    pub layout: Layout,
    pub frames: u64,
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
    pub header: Head,
    /// The file is to be cut to this length: a part of a frame goes.
    pub length: u64,
    /// What it is then.
    pub sound: Sound,
}

impl Sound {
    /// Length in milliseconds, rounded down.
    pub const fn millis(self) -> u64 {
        self.layout.format.millis(self.frames)
    }
}

impl Layout {
    /// The layout of every recording of this format: the same frames always give the same file.
    pub const fn of(format: Format) -> Layout {
        let longest = format.frames_max() * format.frame() + HEADER_MAX as u64;
        Layout { format, roomy: longest >= IN_DS64 as u64 }
    }

    /// Length of the header.
    pub const fn length(self) -> usize {
        let room = if self.roomy { ROOM } else { 0 };
        let format = match self.format.encoding {
            Encoding::Pcm => 24,
            Encoding::ALaw | Encoding::MuLaw => 26 + 12,
        };
        12 + room + format + 8
    }

    /// Does the header have to be that of RF64 for so many frames?
    const fn is_beyond_riff(self, frames: u64) -> bool {
        frames.saturating_mul(self.format.frame()).saturating_add(self.length() as u64 - 8) >= IN_DS64 as u64
    }

    /// The header of a recording of so many frames; without room, sizes that do not fit are the largest that do.
    pub fn header(self, frames: u64) -> Head {
        let Format { encoding, rate } = self.format;
        let frame = self.format.frame();
        let data = frames.saturating_mul(frame);
        let riff = data.saturating_add(self.length() as u64 - 8);
        let beyond = self.roomy && self.is_beyond_riff(frames);
        let short = |size: u64| if beyond { IN_DS64 } else { u32::try_from(size).unwrap_or(u32::MAX) };
        let mut head = Head { bytes: [0; HEADER_MAX], length: 0 };
        head.put(if beyond { b"RF64" } else { b"RIFF" });
        head.put(&short(riff).to_le_bytes());
        head.put(b"WAVE");
        if self.roomy {
            head.put(if beyond { b"ds64" } else { b"JUNK" });
            head.put(&28_u32.to_le_bytes());
            for size in [riff, data, frames] {
                head.put(&if beyond { size } else { 0 }.to_le_bytes());
            }
            // No table of further chunks.
            head.put(&[0; 4]);
        }
        head.put(b"fmt ");
        head.put(&if encoding == Encoding::Pcm { 16_u32 } else { 18 }.to_le_bytes());
        head.put(&encoding.tag().to_le_bytes());
        head.put(&CHANNELS.to_le_bytes());
        head.put(&rate.to_le_bytes());
        head.put(&(rate * frame as u32).to_le_bytes());
        head.put(&(frame as u16).to_le_bytes());
        head.put(&(encoding.bytes() as u16 * 8).to_le_bytes());
        if encoding != Encoding::Pcm {
            // No extension, and the count of samples of one channel.
            head.put(&[0; 2]);
            head.put(b"fact");
            head.put(&4_u32.to_le_bytes());
            head.put(&short(frames).to_le_bytes());
        }
        head.put(b"data");
        head.put(&short(data).to_le_bytes());
        head
    }

    /// Reads the first bytes of a file, whatever sizes they name.
    pub fn read(head: &[u8]) -> Result<Layout, Bad> {
        // Every size may be any: what is compared is everything else.
        let same = |layout: &Layout| {
            let ours = layout.header(0);
            let sizes = layout.sizes();
            let is_size = |at: usize| sizes.iter().any(|(from, to)| (*from..*to).contains(&at));
            let like = |at: usize, ours: u8| head.get(at) == Some(&ours) || is_size(at) && head.get(at).is_some();
            ours.iter().enumerate().all(|(at, byte)| like(at, *byte)) && layout.names_are_ours(head)
        };
        let encodings = Encoding::ALL.into_iter();
        let formats = encodings.flat_map(|encoding| RATES.map(|rate| Format { encoding, rate }));
        let layouts = formats.flat_map(|format| [false, true].map(|roomy| Layout { format, roomy }));
        let found = layouts.into_iter().find(same);
        found.ok_or(if head.len() < HEADER { Bad::NoHeader } else { Bad::WrongFormat })
    }

    /// Bytes that change as the file grows: from, to.
    const fn sizes(self) -> [(usize, usize); 4] {
        let length = self.length();
        let room = if self.roomy { (12, 12 + ROOM) } else { (0, 0) };
        let fact = match self.format.encoding {
            Encoding::Pcm => (0, 0),
            Encoding::ALaw | Encoding::MuLaw => (length - 12, length - 8),
        };
        // The first eight bytes are the name of the form and its size.
        [(0, 8), room, fact, (length - 4, length)]
    }

    /// `RIFF`, or where there is room `RF64`; `JUNK` or `ds64` there.
    fn names_are_ours(self, head: &[u8]) -> bool {
        let at = |from: usize| head.get(from..from + 4);
        let form = at(0) == Some(b"RIFF") || self.roomy && at(0) == Some(b"RF64");
        let room = !self.roomy || at(12) == Some(b"JUNK") || at(12) == Some(b"ds64");
        form && room
    }
}

impl Head {
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
    }
}

impl std::ops::Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

/// The header of a plain recording with so many bytes of audio.
pub fn header(data: u32) -> [u8; HEADER] {
    let head = Layout { format: Format::PLAIN, roomy: false }.header(u64::from(data) / FRAME);
    head.first_chunk().copied().unwrap_or([0; HEADER])
}

/// Is this a sealed recording? `file`: length of the file; of `head` the first [`HEADER_MAX`] bytes are needed.
pub fn check(head: &[u8], file: u64) -> Result<Sound, Bad> {
    let layout = Layout::read(head)?;
    let data = file.saturating_sub(layout.length() as u64);
    let frames = data / layout.format.frame();
    let right = data.is_multiple_of(layout.format.frame()) && file >= layout.length() as u64;
    // There is one right header for so many frames.
    if right && head.starts_with(&layout.header(frames)) && (layout.roomy || !layout.is_beyond_riff(frames)) {
        Ok(Sound { layout, frames })
    } else {
        Err(Bad::WrongSize)
    }
}

/// What makes the file right whose first bytes and length these are.
pub fn repair(head: &[u8], file: u64) -> Result<Repair, Bad> {
    let layout = Layout::read(head)?;
    let frames = file.saturating_sub(layout.length() as u64) / layout.format.frame();
    if frames == 0 {
        return Err(Bad::Empty);
    }
    if !layout.roomy && layout.is_beyond_riff(frames) {
        return Err(Bad::TooLarge);
    }
    let length = layout.length() as u64 + frames * layout.format.frame();
    Ok(Repair { header: layout.header(frames), length, sound: Sound { layout, frames } })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 37 hours of it do not fit into RIFF.
    const WIDE: Format = Format { encoding: Encoding::Pcm, rate: 16_000 };

    fn formats() -> Vec<Format> {
        Encoding::ALL.into_iter().flat_map(|encoding| RATES.map(|rate| Format { encoding, rate })).collect()
    }

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
        assert_eq!(
            bytes[..HEADER],
            *Layout::of(Format::PLAIN).header(2),
            "8000 Hz never outgrow RIFF: no room is kept"
        );
        assert_eq!(check(&bytes, bytes.len() as u64).map(|sound| sound.frames), Ok(2));
        for head in [&header(8)[..], &Layout::of(WIDE).header(2)] {
            let reader = hound::WavReader::new(std::io::Cursor::new([head, &bytes[HEADER..]].concat())).unwrap();
            assert_eq!((reader.spec().bits_per_sample, reader.duration()), (16, 2), "JUNK is passed over");
        }
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
            assert_eq!(check(head, file).map(|sound| sound.frames), checked, "check {file}");
            assert_eq!(repair(head, file).map(|r| r.sound.frames), repaired, "repair {file}");
        }
        assert!(repair(&whole, 1 << 32).is_ok());
        assert_eq!(repair(&whole, (1 << 32) + 8), Err(Bad::TooLarge));
        assert_eq!(repair(&whole, u64::MAX), Err(Bad::TooLarge));
    }

    /// As a reader that knows EBU Tech 3306 takes it: `ds64` first, its sizes where the others say 0xFFFFFFFF.
    #[test]
    fn g09_the_sizes_of_rf64_are_right_on_both_sides_of_4_gib() {
        let layout = Layout::of(WIDE);
        let u32_at = |head: &Head, at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let u64_at = |head: &Head, at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        assert_eq!(layout.length(), 80);
        let last_of_riff = (u64::from(u32::MAX) - 1 - 72) / 4;
        for frames in [1, 1_000, last_of_riff] {
            let head = layout.header(frames);
            assert_eq!((&head[..4], &head[12..16], u32_at(&head, 16)), (&b"RIFF"[..], &b"JUNK"[..], 28));
            assert_eq!(u64::from(u32_at(&head, 4)), frames * 4 + 72);
            assert_eq!(u64::from(u32_at(&head, 76)), frames * 4);
        }
        for frames in [last_of_riff + 1, 1 << 30, 1 << 33] {
            let head = layout.header(frames);
            assert_eq!((&head[..4], &head[8..12], &head[12..16]), (&b"RF64"[..], &b"WAVE"[..], &b"ds64"[..]));
            assert_eq!((u32_at(&head, 4), u32_at(&head, 76)), (u32::MAX, u32::MAX));
            let sizes = (u64_at(&head, 20), u64_at(&head, 28), u64_at(&head, 36), u32_at(&head, 44));
            assert_eq!(sizes, (frames * 4 + 72, frames * 4, frames, 0));
        }
    }

    #[test]
    fn every_format_reads_back_and_no_longest_recording_is_too_large() {
        for format in formats() {
            let layout = Layout::of(format);
            assert!(layout.length() <= HEADER_MAX);
            for frames in [0, 1, 8_000, format.frames_max()] {
                let file = layout.length() as u64 + frames * format.frame();
                let head = layout.header(frames);
                assert_eq!((head.len(), Layout::read(&head)), (layout.length(), Ok(layout)));
                assert_eq!(check(&head, file), Ok(Sound { layout, frames }), "{format:?}");
                if frames > 0 {
                    let torn = layout.header(frames / 2);
                    assert_eq!(repair(&torn, file + 1).map(|repair| repair.header), Ok(head), "{format:?}");
                }
            }
        }
        assert!(!Layout::of(Format::PLAIN).roomy && Layout::of(WIDE).roomy);
    }

    /// Half of the write that makes RF64 of RIFF: what is there is still read, and made right.
    #[test]
    fn a_header_that_is_torn_in_its_change_to_rf64_is_repaired() {
        let layout = Layout::of(WIDE);
        let (frames, file) = ((1 << 30) + 7, 80 + ((1 << 30) + 7) * 4);
        let (before, after) = (layout.header((1 << 30) - 90), layout.header(frames));
        assert!(before.starts_with(b"RIFF") && after.starts_with(b"RF64"));
        for cut in 0..80 {
            let torn = [&after[..cut], &before[cut..]].concat();
            // Between the letters of a name nothing can be told; a write over 80 bytes is not cut there.
            if (1..4).contains(&cut) || (13..16).contains(&cut) {
                continue;
            }
            assert_eq!(repair(&torn, file).map(|repair| repair.header), Ok(after), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn what_was_repaired_is_right(which in 0..6_usize, claimed in 0..1_u64 << 31, file in 0..1_u64 << 34) {
            let head = Layout::of(formats()[which]).header(claimed);
            if let Ok(repair) = repair(&head, file) {
                prop_assert!(repair.length <= file && file - repair.length < FRAME);
                prop_assert_eq!(check(&repair.header, repair.length), Ok(repair.sound));
            }
        }

        #[test]
        fn any_bytes_do_no_harm(head in proptest::collection::vec(any::<u8>(), 0..100), file in any::<u64>()) {
            let _ = (check(&head, file), repair(&head, file));
            let changed: Vec<u8> = Layout::of(WIDE).header(5).iter().zip(&head).map(|(a, b)| a ^ (b & 1)).collect();
            let _ = (check(&changed, file), repair(&changed, file));
        }
    }
}
