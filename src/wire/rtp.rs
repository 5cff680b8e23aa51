//! RTP headers (RFC 3550 §5.1), read through `rtp-rs`, with the checks that it leaves to its user. What passes here has
//! a header, extension and padding that fit into the datagram.

use std::fmt;

use rtp_rs::{RtpReader, RtpReaderError};

use crate::limits::RTP_PACKET;

/// A checked RTP packet.
pub struct Rtp<'a>(RtpReader<'a>);

impl<'a> Rtp<'a> {
    /// Checks a datagram that came to an RTP port. STUN, DTLS, TURN data and SIP fail by their first two bits
    /// (RFC 7983 §7).
    pub fn parse(bytes: &'a [u8]) -> Result<Rtp<'a>, NotRtp> {
        if bytes.len() > RTP_PACKET {
            return Err(NotRtp::TooLong);
        }
        let reader = RtpReader::new(bytes).map_err(|error| match error {
            RtpReaderError::BufferTooShort(_) => NotRtp::TooShort,
            RtpReaderError::UnsupportedVersion(_) => NotRtp::Version,
            RtpReaderError::HeadersTruncated { .. } | RtpReaderError::PaddingLengthInvalid(_) => NotRtp::Header,
        })?;
        if (72..=76).contains(&reader.payload_type()) {
            return Err(NotRtp::Rtcp);
        }
        Ok(Rtp(reader))
    }

    /// 0 to 127.
    pub fn payload_type(&self) -> u8 {
        self.0.payload_type()
    }

    pub fn marker(&self) -> bool {
        self.0.mark()
    }

    pub fn sequence(&self) -> u16 {
        self.0.sequence_number().into()
    }

    pub fn timestamp(&self) -> u32 {
        self.0.timestamp()
    }

    pub fn ssrc(&self) -> u32 {
        self.0.ssrc()
    }

    /// Without header, extension and padding.
    pub fn payload(&self) -> &'a [u8] {
        self.0.payload()
    }
}

impl fmt::Debug for Rtp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRtp {
    /// Longer than [`RTP_PACKET`].
    TooLong,
    /// Shorter than the fixed header.
    TooShort,
    /// Version other than 2: another protocol.
    Version,
    /// Payload type 72 to 76: RTCP on the RTP port (RFC 5761 §4).
    Rtcp,
    /// CSRC list, extension or padding reach beyond the datagram.
    Header,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, second, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn a_plain_packet_is_read() {
        let bytes = packet(0x80, 0x88, b"payload");
        let rtp = Rtp::parse(&bytes).unwrap();
        assert_eq!(
            (rtp.payload_type(), rtp.marker(), rtp.sequence(), rtp.timestamp(), rtp.ssrc(), rtp.payload()),
            (8, true, 0x1234, 160, 0xdead_beef, &b"payload"[..])
        );
    }

    #[test]
    fn extension_csrc_and_padding_are_not_payload() {
        let bytes = packet(0xb1, 0, &[1, 2, 3, 4, 0xbe, 0xde, 0, 1, 9, 9, 9, 9, 7, 7, 0, 0, 3]);
        assert_eq!(Rtp::parse(&bytes).unwrap().payload(), &[7, 7]);
    }

    #[test]
    fn what_is_not_rtp_is_named() {
        let stun = [0u8, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let dtls = [22u8, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5];
        let turn = [0x40u8, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let cases: &[(&str, Vec<u8>, NotRtp)] = &[
            ("empty", vec![], NotRtp::TooShort),
            ("11 bytes", packet(0x80, 0, &[])[..11].to_vec(), NotRtp::TooShort),
            ("STUN binding request", stun.to_vec(), NotRtp::Version),
            ("DTLS hello", dtls.to_vec(), NotRtp::Version),
            ("TURN channel data", turn.to_vec(), NotRtp::Version),
            ("SIP", b"INVITE sip:a@b SIP/2.0\r\n\r\n".to_vec(), NotRtp::Version),
            ("UDPTL", packet(0, 0, &[6, 1, 2, 3]), NotRtp::Version),
            ("version 1", packet(0x40, 0, &[]), NotRtp::Version),
            ("version 3", packet(0xc0, 0, &[]), NotRtp::Version),
            ("15 CSRC in 12 bytes", packet(0x8f, 0, &[]), NotRtp::Header),
            ("extension without its header", packet(0x90, 0, &[0xbe, 0xde]), NotRtp::Header),
            ("extension of 65,535 words", packet(0x90, 0, &[0xbe, 0xde, 0xff, 0xff, 0]), NotRtp::Header),
            ("padding of 0", packet(0xa0, 0, &[1, 2, 0]), NotRtp::Header),
            ("padding longer than the payload", packet(0xa0, 0, &[1, 2, 4]), NotRtp::Header),
            ("padding flag and no byte", packet(0xa0, 0, &[]), NotRtp::Header),
            ("1,473 bytes", packet(0x80, 0, &vec![0; 1_461]), NotRtp::TooLong),
            ("sender report", packet(0x80, 200, &[0; 16]), NotRtp::Rtcp),
            ("application packet", packet(0x80, 204, &[0; 16]), NotRtp::Rtcp),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(Rtp::parse(bytes).err(), Some(*expected), "{name}");
        }
    }

    #[test]
    fn the_edges_of_the_rules_pass() {
        for (name, bytes) in [
            ("12 bytes", packet(0x80, 0, &[])),
            ("1,472 bytes", packet(0x80, 0, &vec![0; 1_460])),
            ("payload type 71", packet(0x80, 71, &[0])),
            ("payload type 77", packet(0x80, 77, &[0])),
            ("padding only", packet(0xa0, 0, &[0, 0, 3])),
        ] {
            assert!(Rtp::parse(&bytes).is_ok(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            if let Ok(rtp) = Rtp::parse(&bytes) {
                proptest::prop_assert!(rtp.payload().len() <= bytes.len() - 12);
            }
        }
    }
}
