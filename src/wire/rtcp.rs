//! RTCP compound packets (RFC 3550 §6), checked through `rtcp-types`. We relay them as they came; the check keeps
//! other protocols and crafted lengths away from the parties' parsers.

use rtcp_types::{Compound, Packet};

use crate::limits::RTP_PACKET;

/// What we want to know of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// Who reports: the SSRC of the first packet.
    pub sender: u32,
}

/// A datagram that is not a sound compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRtcp;

impl Rtcp {
    /// Checks a datagram by RFC 3550 §A.2, and every packet in it by its own type's rules: it starts with a sender or
    /// receiver report, lengths add up, only the last packet is padded. Packets of unknown type may follow.
    pub fn parse(bytes: &[u8]) -> Result<Rtcp, NotRtcp> {
        if bytes.len() > RTP_PACKET {
            return Err(NotRtcp);
        }
        let mut packets = Compound::parse(bytes).map_err(|_| NotRtcp)?;
        let sender = match packets.next() {
            Some(Ok(Packet::Sr(report))) => report.ssrc(),
            Some(Ok(Packet::Rr(report))) => report.ssrc(),
            _ => return Err(NotRtcp),
        };
        if packets.any(|packet| packet.is_err()) {
            return Err(NotRtcp);
        }
        Ok(Rtcp { sender })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RR: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];
    const BYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];
    const XR_UNKNOWN: [u8; 12] = [0x80, 207, 0, 2, 0, 0, 0, 9, 99, 0, 0, 0];

    fn sr() -> Vec<u8> {
        let mut bytes = vec![0x80, 200, 0, 6, 0, 0, 0, 9];
        bytes.extend_from_slice(&[0; 20]);
        bytes
    }

    fn join(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn sound_compounds_pass() {
        let mut blocks = vec![0x9f, 201, 0, 187, 0, 0, 0, 9];
        blocks.extend_from_slice(&[0; 31 * 24]);
        for (name, bytes) in [
            ("receiver report", RR.to_vec()),
            ("sender report", sr()),
            ("report and bye", join(&[&sr(), &BYE])),
            ("report and unknown block of XR", join(&[&RR, &XR_UNKNOWN])),
            ("31 report blocks", blocks),
            ("unknown type after a report", join(&[&RR, &[0x80, 223, 0, 0]])),
        ] {
            assert_eq!(Rtcp::parse(&bytes), Ok(Rtcp { sender: 9 }), "{name}");
        }
    }

    #[test]
    fn crafted_ones_do_not() {
        let mut cases: Vec<(String, Vec<u8>)> = (0..8).map(|n| (format!("{n} bytes"), RR[..n].to_vec())).collect();
        let mut lying = RR;
        lying[3] = 200;
        let mut blocks = vec![0x9f, 201, 0, 1, 0, 0, 0, 9];
        blocks.extend_from_slice(&[0; 24]);
        let mut version = RR;
        version[0] = 0x40;
        let mut second = BYE;
        second[0] = 0x41;
        let mut padded = RR;
        padded[0] |= 0x20;
        cases.extend([
            ("length beyond the datagram".into(), lying.to_vec()),
            ("31 blocks said, none there".into(), blocks),
            ("bye without a report".into(), BYE.to_vec()),
            ("version 1".into(), version.to_vec()),
            ("version 1 in the second".into(), join(&[&RR, &second])),
            ("padding in the first".into(), join(&[&padded, &BYE])),
            ("half a packet behind".into(), join(&[&RR, &BYE[..6]])),
            ("more than a frame".into(), join(&vec![&RR[..]; 200])),
            ("RTP".into(), vec![0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4]),
            ("STUN".into(), vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ]);
        for (name, bytes) in cases {
            assert_eq!(Rtcp::parse(&bytes), Err(NotRtcp), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in 200u8..208, mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 4..120)) {
            bytes[0] = 0x80 | (bytes[0] & 0x3f);
            bytes[1] = kind;
            bytes[2] = 0;
            let _ = Rtcp::parse(&bytes);
        }
    }
}
