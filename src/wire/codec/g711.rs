//! G.711 (ITU-T G.711, RFC 3551 §4.5.14): A-law and µ-law, one byte a sample at 8000 Hz.
//!
//! Decoding is a table look-up; the tables are computed at compile time from the formulas of the recommendation, scaled
//! to 16 bits (µ-law: ±32124, A-law: ±32256). Encoding is for test signals and the built-in phones, so it searches
//! nothing and allocates nothing either.

/// Samples a second of both laws.
pub const RATE: u32 = 8_000;

/// Which of the two companding laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law, static payload type 0.
    Mu,
    /// A-law, static payload type 8.
    A,
}

impl Law {
    /// The law of an SDP encoding name, in any case.
    pub fn of_name(name: &str) -> Option<Law> {
        if name.eq_ignore_ascii_case("PCMU") {
            Some(Law::Mu)
        } else if name.eq_ignore_ascii_case("PCMA") {
            Some(Law::A)
        } else {
            None
        }
    }

    /// Code to linear sample.
    pub const fn table(self) -> &'static [i16; 256] {
        match self {
            Law::Mu => &MU,
            Law::A => &A,
        }
    }

    /// The linear value of one code.
    pub const fn decode(self, code: u8) -> i16 {
        self.table()[code as usize]
    }

    /// The code nearest to a linear sample; ties go to the smaller magnitude.
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Law::Mu => encode_mu(sample),
            Law::A => encode_a(sample),
        }
    }

    /// The code that stands for silence: what fills a stretch without audio on the wire.
    pub const fn silence(self) -> u8 {
        match self {
            Law::Mu => 0xff,
            Law::A => 0xd5,
        }
    }
}

/// µ-law code to linear sample.
pub static MU: [i16; 256] = table(Law::Mu);
/// A-law code to linear sample.
pub static A: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut out = [0; 256];
    let mut code = 0;
    while code < 256 {
        out[code] = match law {
            Law::Mu => expand_mu(code as u8),
            Law::A => expand_a(code as u8),
        };
        code += 1;
    }
    out
}

/// All bits are inverted on the wire; sign, three bits of segment, four of step. 33 is the bias, four times scaled.
const fn expand_mu(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((((code & 0x0f) as i16) << 3) + 0x84) << ((code & 0x70) >> 4);
    if code & 0x80 != 0 { 0x84 - magnitude } else { magnitude - 0x84 }
}

/// Even bits are inverted on the wire. A set sign bit means positive.
const fn expand_a(code: u8) -> i16 {
    let code = code ^ 0x55;
    let step = ((code & 0x0f) as i16) << 4;
    let segment = (code & 0x70) >> 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > 32_635 {
        magnitude = 32_635;
    }
    magnitude += 0x84;
    let segment = (magnitude >> 7).ilog2() as u8;
    let step = ((magnitude >> (segment + 3)) & 0x0f) as u8;
    !(sign | (segment << 4) | step)
}

const fn encode_a(sample: i16) -> u8 {
    // -1 belongs to the first negative step, so the magnitude of a negative value is one less.
    let (sign, magnitude) = if sample >= 0 { (0x80, sample as i32) } else { (0, -(sample as i32) - 1) };
    let magnitude = magnitude >> 4;
    let (segment, step) = if magnitude < 0x20 {
        ((magnitude >> 4) as u8, (magnitude & 0x0f) as u8)
    } else {
        let segment = (magnitude as u32).ilog2() as u8 - 3;
        (segment, ((magnitude >> (segment - 1)) & 0x0f) as u8)
    };
    (sign | (segment << 4) | step) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_the_values_of_the_recommendation() {
        // Ends of the segments, from G.711 tables 1a/2a, scaled to 16 bits.
        let mu = [(0x00, -32_124), (0x80, 32_124), (0x7f, 0), (0xff, 0), (0xef, 132), (0x8f, 16_764), (0xfe, 8)];
        for (code, value) in mu {
            assert_eq!(Law::Mu.decode(code), value, "mu {code:#x}");
        }
        let a = [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xd4, 24), (0x80, 5_504), (0x85, 4_224)];
        for (code, value) in a {
            assert_eq!(Law::A.decode(code), value, "a {code:#x}");
        }
    }

    #[test]
    fn every_code_survives_decode_and_encode() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=255u8 {
                let value = law.decode(code);
                // The two zeros of µ-law are one linear value.
                let back = law.encode(value);
                assert_eq!(law.decode(back), value, "{law:?} {code:#x}");
                if value != 0 {
                    assert_eq!(back, code, "{law:?}");
                }
            }
            assert!(law.decode(law.silence()).abs() <= 8);
        }
    }

    #[test]
    fn encoding_is_monotone_and_near() {
        for law in [Law::Mu, Law::A] {
            let mut before = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let value = law.decode(law.encode(sample));
                assert!(value >= before, "{law:?} {sample}");
                before = value;
                let error = (i32::from(value) - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 24, "{law:?} {sample} -> {value}");
            }
        }
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Law::of_name("pcmu"), Some(Law::Mu));
        assert_eq!(Law::of_name("PCMA"), Some(Law::A));
        assert_eq!(Law::of_name("G722"), None);
    }
}
