//! Audio codecs: payload bytes ⇄ 16-bit linear samples, one channel.
//!
//! G.711 ([`g711`]) is a table. G.722 and Opus keep state from packet to packet ([`speech`]), so their packets are
//! decoded in order. G.729 is not here: the one free decoder in Rust carries the names of a GPL program.

pub mod g711;
pub mod resample;
pub mod speech;

use g711::Law;

/// A codec that can be decoded and encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Pcmu,
    Pcma,
    /// 64 kbit/s. 16 kHz audio under an RTP clock of 8000, an old error that stayed (RFC 3551 §4.5.2).
    G722,
    /// RFC 6716; always 48000 Hz and two channels in descriptions, whatever is sent (RFC 7587 §4.1, §7).
    Opus,
}

impl Codec {
    pub const ALL: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

    /// The codec of an SDP encoding name, in any case.
    pub fn of_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The codec of a payload format; a known name with another clock is another codec.
    pub fn of_format(name: &str, clock_rate: u32, channels: u8) -> Option<Codec> {
        let codec = Codec::of_name(name)?;
        (codec.clock() == clock_rate && (channels <= 1 || codec == Codec::Opus)).then_some(codec)
    }

    /// Encoding name in upper case, as [`crate::wire::sdp`] reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "OPUS",
        }
    }

    /// RTP clock in Hz.
    pub const fn clock(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => g711::RATE,
            Codec::Opus => 48_000,
        }
    }

    /// Sampling rate in Hz that loses nothing a telephone has.
    pub const fn audio_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => g711::RATE,
            Codec::G722 | Codec::Opus => 16_000,
        }
    }

    /// The companding law of G.711: a payload of it is a table look-up a byte, in any order.
    pub const fn law(self) -> Option<Law> {
        match self {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            Codec::G722 | Codec::Opus => None,
        }
    }

    /// What a payload stands for, in units of the RTP clock. `None`: no packet of this codec, or longer than 120 ms
    /// (RFC 6716 §3.2.5) where the packet itself says.
    pub fn duration(self, payload: &[u8]) -> Option<u32> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => u32::try_from(payload.len()).ok(),
            Codec::Opus => opus_duration(payload),
        }
        .filter(|duration| *duration > 0)
    }
}

/// RFC 6716 §3.1 and §3.2: configuration and number of frames, at 48 kHz.
fn opus_duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let config = toc >> 3;
    let frame = match config {
        // SILK: 10, 20, 40, 60 ms.
        0..12 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        // Hybrid: 10, 20 ms.
        12..16 => [480, 960][usize::from(config & 1)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|duration| *duration <= 5_760)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_its_name_and_its_clock() {
        let cases = [
            ("pcmu", 8_000, 1, Some(Codec::Pcmu)),
            ("PCMA", 8_000, 1, Some(Codec::Pcma)),
            ("PCMA", 16_000, 1, None),
            ("PCMA", 8_000, 2, None),
            ("G722", 8_000, 1, Some(Codec::G722)),
            ("G722", 16_000, 1, None),
            ("opus", 48_000, 2, Some(Codec::Opus)),
            ("opus", 8_000, 2, None),
            ("G729", 8_000, 1, None),
        ];
        for (name, clock, channels, expected) in cases {
            assert_eq!(Codec::of_format(name, clock, channels), expected, "{name}/{clock}/{channels}");
        }
    }

    #[test]
    fn durations_by_the_table_of_rfc_6716() {
        let ms = |toc: u8, more: &[u8]| {
            let packet: Vec<u8> = std::iter::once(toc).chain(more.iter().copied()).collect();
            Codec::Opus.duration(&packet).map(|units| f64::from(units) / 48.0)
        };
        assert_eq!(ms(1 << 3, &[0]), Some(20.0), "SILK narrowband");
        assert_eq!(ms(3 << 3, &[0]), Some(60.0));
        assert_eq!(ms(15 << 3, &[0]), Some(20.0), "hybrid");
        assert_eq!(ms(16 << 3, &[0]), Some(2.5), "CELT");
        assert_eq!(ms(31 << 3 | 1, &[0]), Some(40.0), "two frames");
        assert_eq!(ms(31 << 3 | 3, &[6]), Some(120.0));
        assert_eq!(ms(31 << 3 | 3, &[7]), None, "longer than a packet may be");
        assert_eq!((ms(31 << 3 | 3, &[]), ms(31 << 3 | 3, &[0])), (None, None));
        assert_eq!(Codec::Opus.duration(&[]), None);
        assert_eq!((Codec::G722.duration(&[0; 160]), Codec::Pcmu.duration(&[])), (Some(160), None));
    }
}
