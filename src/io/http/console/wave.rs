//! The waveform of a recording: the loudest sample of each slice, caller above and company below, with the gaps.

use std::fmt::Write as _;
use std::io::{self, Read, Seek, SeekFrom};

use maud::{Markup, PreEscaped, html};

use super::view::View;
use crate::core::event::Gap;
use crate::ids::Side;
use crate::wire::codec::g711::Law;
use crate::wire::wav::{Encoding, HEADER_MAX, Layout};

/// Slices of a picture.
const COLUMNS: usize = 480;
/// Frames that are looked at in each slice: of long recordings not all.
const LOOK: u64 = 4_096;
const HEIGHT: f64 = 60.0;

/// Loudness of both channels, 0 to 1, by slice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Peaks {
    pub channels: [Vec<f32>; 2],
    pub duration_ms: u64,
}

/// Reads a WAV of ours; `None` when it is none. Bounded work, however long the recording is: call it where blocking is
/// allowed.
pub(super) fn peaks(mut file: impl Read + Seek, length: u64) -> io::Result<Option<Peaks>> {
    let mut head = Vec::new();
    file.by_ref().take(HEADER_MAX as u64).read_to_end(&mut head)?;
    let Ok(layout) = Layout::read(&head) else { return Ok(None) };
    let start = layout.length() as u64;
    let frame = layout.format.frame();
    let frames = length.saturating_sub(start) / frame;
    let columns = usize::try_from(frames).unwrap_or(COLUMNS).min(COLUMNS);
    let mut channels = [Vec::with_capacity(columns), Vec::with_capacity(columns)];
    let mut buffer = Vec::new();
    for column in 0..columns as u64 {
        let from = frames * column / columns as u64;
        let until = (frames * (column + 1) / columns as u64).min(from + LOOK);
        file.seek(SeekFrom::Start(start + from * frame))?;
        buffer.clear();
        file.by_ref().take((until - from) * frame).read_to_end(&mut buffer)?;
        let loudest = loudest(layout.format.encoding, &buffer);
        for (channel, peak) in channels.iter_mut().zip(loudest) {
            channel.push(f32::from(peak) / 32_768.0);
        }
    }
    Ok(Some(Peaks { channels, duration_ms: layout.format.millis(frames) }))
}

/// Of both channels, of samples that lie one beside the other.
fn loudest(encoding: Encoding, bytes: &[u8]) -> [u16; 2] {
    let mut loudest = [0; 2];
    let mut take = |at: usize, sample: i16| {
        let channel = &mut loudest[at % 2];
        *channel = sample.unsigned_abs().max(*channel);
    };
    match encoding {
        Encoding::Pcm => {
            for (at, sample) in bytes.chunks_exact(2).enumerate() {
                take(at, i16::from_le_bytes([sample[0], sample[1]]));
            }
        }
        Encoding::ALaw => bytes.iter().enumerate().for_each(|(at, code)| take(at, Law::A.decode(*code))),
        Encoding::MuLaw => bytes.iter().enumerate().for_each(|(at, code)| take(at, Law::Mu.decode(*code))),
    }
    loudest
}

/// The picture. The player draws its place over it.
pub(super) fn picture(view: &View, peaks: &Peaks, gaps: &[Gap]) -> Markup {
    let columns = peaks.channels[0].len().max(1);
    let mut out = String::new();
    for gap in gaps {
        let scale = columns as f64 / peaks.duration_ms.max(1) as f64;
        let x = (gap.at_ms as f64 * scale).min(columns as f64);
        let width = (gap.for_ms as f64 * scale).clamp(1.0, (columns as f64 - x).max(1.0));
        let y = if gap.channel == Side::Company { HEIGHT } else { 0.0 };
        let rect = html! {
            rect.gap x=(format!("{x:.1}")) y=(y) width=(format!("{width:.1}")) height=(HEIGHT) {
                title { (view.word("gap", &gap.cause)) ", " (view.lang.duration(gap.for_ms)) }
            }
        };
        out.push_str(&rect.into_string());
    }
    for (at, channel) in peaks.channels.iter().enumerate() {
        let middle = HEIGHT * at as f64 + HEIGHT / 2.0;
        let _ = write!(out, r#"<path class="{}" d=""#, if at == 0 { "caller" } else { "company" });
        for (column, peak) in channel.iter().enumerate() {
            // The ear hears loudness in steps: a root shows quiet talk too.
            let half = (f64::from(*peak).sqrt() * (HEIGHT / 2.0 - 3.0)).max(0.4);
            let _ = write!(out, "M{}.5 {:.1}v{:.1}", column, middle - half, half * 2.0);
        }
        out.push_str(r#""/>"#);
    }
    html! {
        svg.wave viewBox={ "0 0 " (columns) " " (HEIGHT * 2.0) } preserveAspectRatio="none" role="img"
            aria-label=(view.t("wave-label")) data-ms=(peaks.duration_ms) {
            line.axis x1="0" x2=(columns) y1=(HEIGHT) y2=(HEIGHT) {}
            (PreEscaped(out))
            line.place x1="-1" x2="-1" y1="0" y2=(HEIGHT * 2.0) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::wire::wav::Format;

    #[test]
    fn c08_peaks_are_of_each_channel_in_its_place() {
        // A second: the caller loud in its first half, the company in its second.
        let frames = 8_000_u64;
        let mut file = Layout::of(Format::PLAIN).header(frames).to_vec();
        for at in 0..frames {
            let (caller, company): (i16, i16) = if at < frames / 2 { (16_384, 0) } else { (0, -32_768) };
            file.extend(caller.to_le_bytes());
            file.extend(company.to_le_bytes());
        }
        let length = file.len() as u64;
        let found = peaks(Cursor::new(file), length).unwrap().unwrap();
        assert_eq!(found.duration_ms, 1_000);
        let [caller, company] = &found.channels;
        assert_eq!((caller.len(), company.len()), (COLUMNS, COLUMNS));
        assert_eq!((caller[0], caller[COLUMNS - 1]), (0.5, 0.0));
        assert_eq!((company[0], company[COLUMNS - 1]), (0.0, 1.0));
        assert_eq!(peaks(Cursor::new(b"OggS"), 4).unwrap(), None);
    }
}
