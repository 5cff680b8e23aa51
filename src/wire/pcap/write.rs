//! SIP messages → a pcap file that Wireshark opens: each message gets the IP and transport headers that it had, or would
//! have had. What came over TLS or WebSocket is written as UDP: it is the message, not the bytes that were on the wire.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};

use super::Carrier;

/// One message for the file.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Microseconds since the Unix epoch.
    pub at: i64,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub carrier: Carrier,
    pub payload: &'a [u8],
}

/// A whole capture file (link type raw IP, microseconds). Frames whose addresses are of two IP versions cannot be
/// written and are left out.
pub fn write<'a>(frames: impl IntoIterator<Item = Frame<'a>>) -> Vec<u8> {
    let header =
        PcapHeader { datalink: DataLink::RAW, ts_resolution: TsResolution::MicroSecond, ..PcapHeader::default() };
    // Writing to memory cannot fail.
    let Ok(mut writer) = PcapWriter::with_header(Vec::new(), header) else { return Vec::new() };
    // Bytes sent so far in each direction of a connection: sequence numbers that readers can follow.
    let mut sent: HashMap<(SocketAddr, SocketAddr), u32> = HashMap::new();
    for frame in frames {
        let at = Duration::from_micros(u64::try_from(frame.at).unwrap_or(0));
        for (i, part) in frame.payload.chunks(PART).enumerate() {
            if i > 0 && frame.carrier == Carrier::Udp {
                break;
            }
            let Some(packet) = packet(&frame, part, &mut sent) else { break };
            let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
            let _ = writer.write_packet(&PcapPacket::new(at, length, &packet));
        }
    }
    writer.into_writer()
}

/// Longest payload of one IP packet with room for its headers; a longer stream message takes several.
const PART: usize = 65_000;

fn packet(frame: &Frame<'_>, part: &[u8], sent: &mut HashMap<(SocketAddr, SocketAddr), u32>) -> Option<Vec<u8>> {
    let (source, destination) = (frame.source, frame.destination);
    let ip = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => return None,
    };
    let mut out = Vec::with_capacity(part.len() + 64);
    match frame.carrier {
        Carrier::Udp => ip.udp(source.port(), destination.port()).write(&mut out, part).ok()?,
        Carrier::Tcp => {
            let answered = sent.get(&(destination, source)).copied().unwrap_or(1);
            let sequence = sent.entry((source, destination)).or_insert(1);
            let tcp = ip.tcp(source.port(), destination.port(), *sequence, u16::MAX).psh().ack(answered);
            tcp.write(&mut out, part).ok()?;
            *sequence = sequence.wrapping_add(u32::try_from(part.len()).unwrap_or(0));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::Capture;
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let ask = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";
        let answer = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";
        let frames = [
            ("192.0.2.1:5060", "192.0.2.2:5080", Carrier::Udp, &ask[..]),
            ("[2001:db8::1]:5060", "[2001:db8::2]:5061", Carrier::Udp, &answer[..]),
            ("192.0.2.1:40000", "192.0.2.2:5060", Carrier::Tcp, &ask[..]),
            ("192.0.2.2:5060", "192.0.2.1:40000", Carrier::Tcp, &answer[..]),
            ("192.0.2.1:40000", "192.0.2.2:5060", Carrier::Tcp, &ask[..]),
        ];
        let file = write(frames.iter().zip(0..).map(|((from, to, carrier, payload), i)| Frame {
            at: 1_700_000_000_000_000 + i,
            source: address(from),
            destination: address(to),
            carrier: *carrier,
            payload,
        }));
        let capture = Capture::read(&file).unwrap();
        assert!(!capture.cut_short);
        let read: Vec<_> = capture
            .packets
            .iter()
            .map(|packet| {
                (packet.source.to_string(), packet.destination.to_string(), packet.carrier, &packet.payload[..])
            })
            .collect();
        let wanted: Vec<_> = frames
            .iter()
            .map(|(from, to, carrier, payload)| ((*from).to_owned(), (*to).to_owned(), *carrier, *payload))
            .collect();
        assert_eq!(read, wanted);
        assert_eq!(capture.packets[4].at, 1_700_000_000_000_004_000);
    }

    #[test]
    fn two_ip_versions_in_one_frame_are_left_out() {
        let file = write([Frame {
            at: 0,
            source: "192.0.2.1:1".parse().unwrap(),
            destination: "[::1]:1".parse().unwrap(),
            carrier: Carrier::Udp,
            payload: b"x",
        }]);
        assert!(Capture::read(&file).unwrap().packets.is_empty());
    }
}
