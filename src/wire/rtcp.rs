//! RTCP compound packets (RFC 3550 §6): those that come, checked through `rtcp-types`, and reports of our own. We relay
//! what comes unchanged; the check keeps other protocols and crafted lengths away from the parties' parsers.

use rtcp_types::{Compound, Packet, ReportBlock};

use crate::limits::RTP_PACKET;

/// What we want to know of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// Who reports: the SSRC of the first packet.
    pub sender: u32,
    /// The middle 32 bits of the NTP time of a sender report: what an answer to it names.
    pub sent_at: Option<u32>,
    /// The first report block that answers a sender report.
    pub echo: Option<Echo>,
}

/// What the receiver of a sender report says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// [`Rtcp::sent_at`] of that report.
    pub sent_at: u32,
    /// How long it had it before it answered, in 1/65,536 s.
    pub held: u32,
}

impl Echo {
    fn read<'a>(mut blocks: impl Iterator<Item = ReportBlock<'a>>) -> Option<Echo> {
        blocks.find_map(|block| {
            let sent_at = block.last_sender_report_timestamp();
            let held = block.delay_since_last_sender_report_timestamp();
            (sent_at != 0).then_some(Echo { sent_at, held })
        })
    }
}

/// Whether a datagram on a port that RTP and RTCP share is RTCP (RFC 5761 §4): packet types 192 to 223.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, ..] if first >> 6 == 2)
}

/// A report of our own: a sender report, or a receiver report when nothing was sent; then a block about what was
/// received, and the name of the source (RFC 3550 §6.1 wants one in every compound packet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// SSRC of what we send.
    pub sender: u32,
    pub sent: Option<Sent>,
    pub received: Option<Received>,
    /// Printable ASCII (RFC 7022).
    pub name: [u8; 16],
}

/// Sender information (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Seconds since 1900 in the upper half, their fraction in the lower.
    pub ntp: u64,
    /// The same instant on the media's clock.
    pub timestamp: u32,
    pub packets: u32,
    /// Of payload.
    pub octets: u32,
}

/// A report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub source: u32,
    /// Share lost since the last report, of 256.
    pub fraction_lost: u8,
    /// At most 2^23 - 1 is said.
    pub lost: u64,
    /// Highest sequence number, wraps above it.
    pub highest: u32,
    /// In units of the media's clock.
    pub jitter: u32,
    /// [`Rtcp::sent_at`] of the last sender report, and how long ago it came, in 1/65,536 s.
    pub answers: Option<Echo>,
}

impl Report {
    /// The compound packet.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(84);
        let kind = if self.sent.is_some() { 200 } else { 201 };
        let words = 1 + 5 * u8::from(self.sent.is_some()) + 6 * u8::from(self.received.is_some());
        bytes.extend([0x80 | u8::from(self.received.is_some()), kind, 0, words]);
        bytes.extend(self.sender.to_be_bytes());
        if let Some(sent) = &self.sent {
            bytes.extend(sent.ntp.to_be_bytes());
            for word in [sent.timestamp, sent.packets, sent.octets] {
                bytes.extend(word.to_be_bytes());
            }
        }
        if let Some(received) = &self.received {
            let lost = received.lost.min(0x7f_ffff) as u32;
            let echo = received.answers.unwrap_or(Echo { sent_at: 0, held: 0 });
            let losses = u32::from(received.fraction_lost) << 24 | lost;
            for word in [received.source, losses, received.highest, received.jitter, echo.sent_at, echo.held] {
                bytes.extend(word.to_be_bytes());
            }
        }
        // One chunk: SSRC, item CNAME with its length, at least one zero to a whole word.
        bytes.extend([0x81, 202, 0, 6]);
        bytes.extend(self.sender.to_be_bytes());
        bytes.extend([1, self.name.len() as u8]);
        bytes.extend(self.name);
        bytes.extend([0; 2]);
        bytes
    }
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
        let rtcp = match packets.next() {
            Some(Ok(Packet::Sr(report))) => Rtcp {
                sender: report.ssrc(),
                sent_at: Some((report.ntp_timestamp() >> 16) as u32),
                echo: Echo::read(report.report_blocks()),
            },
            Some(Ok(Packet::Rr(report))) => {
                Rtcp { sender: report.ssrc(), sent_at: None, echo: Echo::read(report.report_blocks()) }
            }
            _ => return Err(NotRtcp),
        };
        if packets.any(|packet| packet.is_err()) {
            return Err(NotRtcp);
        }
        Ok(rtcp)
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
            assert_eq!(Rtcp::parse(&bytes).map(|rtcp| rtcp.sender), Ok(9), "{name}");
        }
    }

    #[test]
    fn e05_crafted_ones_do_not() {
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

    #[test]
    fn what_we_write_another_reader_understands() {
        let answers = Some(Echo { sent_at: 0x5678_9abc, held: 65_536 });
        let received =
            Received { source: 7, fraction_lost: 26, lost: 1 << 40, highest: 0x1_0002, jitter: 160, answers };
        let sent = Sent { ntp: 0x1234_5678_9abc_def0, timestamp: 8_000, packets: 50, octets: 8_000 };
        let whole = Report { sender: 9, sent: Some(sent), received: Some(received), name: *b"0123456789abcdef" };
        let bytes = whole.write();
        let rtcp = Rtcp::parse(&bytes).unwrap();
        assert_eq!(rtcp, Rtcp { sender: 9, sent_at: Some(0x5678_9abc), echo: answers });
        let packets: Vec<_> = Compound::parse(&bytes).unwrap().map(Result::unwrap).collect();
        let [Packet::Sr(sr), Packet::Sdes(sdes)] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!((sr.packet_count(), sr.octet_count(), sr.rtp_timestamp()), (50, 8_000, 8_000));
        let block = sr.report_blocks().next().unwrap();
        assert_eq!((block.ssrc(), block.fraction_lost(), block.cumulative_lost()), (7, 26, 0x7f_ffff));
        assert_eq!((block.extended_sequence_number(), block.interarrival_jitter()), (0x1_0002, 160));
        assert_eq!(sdes.chunks().next().unwrap().ssrc(), 9);
        for (sent, received) in [(None, None), (Some(sent), None), (None, Some(received))] {
            let bytes = Report { sent, received, ..whole.clone() }.write();
            assert_eq!(Rtcp::parse(&bytes).map(|rtcp| rtcp.sender), Ok(9));
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_on_one_port() {
        assert!(is_rtcp(&RR) && is_rtcp(&sr()));
        for other in [&[0x80, 8][..], &[0x80, 0x80 | 63], &[0x80, 0x80 | 96], &[0, 200], &[0x80]] {
            assert!(!is_rtcp(other), "{other:?}");
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
