//! Captures: pcap and pcapng → UDP datagrams and SIP messages out of TCP, with time, source and destination.
//!
//! What cannot be used (other protocols, fragments, cut packets) is counted, never guessed at.

mod tcp;
pub mod write;

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::DataLink;
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgParser};

use crate::limits::CAPTURE_PACKETS;
use tcp::Streams;

/// What carried a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    Udp,
    Tcp,
}

/// One UDP payload, or one SIP message of a TCP stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Nanoseconds since the Unix epoch.
    pub at: u64,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub carrier: Carrier,
    pub payload: Bytes,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// In order of time; packets of one instant as they stand in the file.
    pub packets: Vec<Packet>,
    pub left_out: LeftOut,
    /// The file ends in the middle of a packet, has something unreadable there, or more packets than we read.
    pub cut_short: bool,
}

/// Packets that were not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Neither UDP nor TCP over IP: ARP, ICMP, ….
    pub other: u64,
    /// Headers that cannot be read, or packets that the capture cut.
    pub unreadable: u64,
    /// Of IP datagrams.
    pub fragments: u64,
    /// TCP segments that are no SIP, or behind a hole.
    pub segments: u64,
}

/// The file is neither pcap nor pcapng.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither pcap nor pcapng")]
pub struct NotACapture;

impl Capture {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Only when its first bytes are no capture's; damage further on ends the reading ([`Capture::cut_short`]).
    pub fn read(bytes: &[u8]) -> Result<Capture, NotACapture> {
        let mut reading = Reading::default();
        let cut_short =
            if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { reading.pcapng(bytes)? } else { reading.pcap(bytes)? };
        let Reading { mut packets, mut left_out, streams } = reading;
        left_out.segments += streams.left_out();
        packets.sort_by_key(|packet| packet.at);
        Ok(Capture { packets, left_out, cut_short })
    }
}

#[derive(Debug, Default)]
struct Reading {
    packets: Vec<Packet>,
    left_out: LeftOut,
    streams: Streams,
}

impl Reading {
    /// True: the file goes on, but not for us.
    fn pcap(&mut self, bytes: &[u8]) -> Result<bool, NotACapture> {
        let (mut rest, parser) = PcapParser::new(bytes).map_err(|_| NotACapture)?;
        let link = parser.header().datalink;
        while !rest.is_empty() {
            let Ok((next, packet)) = parser.next_packet(rest) else { return Ok(true) };
            rest = next;
            if !self.frame(link, nanos(packet.timestamp.as_nanos()), &packet.data) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pcapng(&mut self, bytes: &[u8]) -> Result<bool, NotACapture> {
        let (mut rest, mut parser) = PcapNgParser::new(bytes).map_err(|_| NotACapture)?;
        while !rest.is_empty() {
            let Ok((next, block)) = parser.next_block(rest) else { return Ok(true) };
            // A block of no length would be read for ever.
            if next.len() >= rest.len() {
                return Ok(true);
            }
            rest = next;
            match block {
                Block::EnhancedPacket(packet) => {
                    let Some(interface) =
                        usize::try_from(packet.interface_id).ok().and_then(|id| parser.interfaces().get(id))
                    else {
                        self.left_out.unreadable += 1;
                        continue;
                    };
                    let resolution = interface.options.iter().find_map(|option| match option {
                        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
                        _ => None,
                    });
                    // The reader takes the counter for nanoseconds, whatever its unit is.
                    let at = in_nanos(packet.timestamp.as_nanos(), resolution.unwrap_or(6));
                    let link = interface.linktype;
                    if !self.frame(link, at, &packet.data) {
                        return Ok(true);
                    }
                }
                // Packets without a time are of no use here.
                Block::SimplePacket(_) | Block::Packet(_) => self.left_out.unreadable += 1,
                _ => {}
            }
        }
        Ok(false)
    }

    /// False: enough.
    fn frame(&mut self, link: DataLink, at: u64, data: &[u8]) -> bool {
        let sliced = match link {
            DataLink::ETHERNET => SlicedPacket::from_ethernet(data).map_err(drop),
            _ => match header_of(link).and_then(|header| data.get(header..)) {
                Some(ip) => SlicedPacket::from_ip(ip).map_err(drop),
                None => Err(()),
            },
        };
        match sliced {
            Ok(sliced) => self.packet(at, &sliced),
            Err(()) => self.left_out.unreadable += 1,
        }
        self.packets.len() < CAPTURE_PACKETS
    }

    fn packet(&mut self, at: u64, sliced: &SlicedPacket<'_>) {
        if sliced.is_ip_payload_fragmented() {
            self.left_out.fragments += 1;
            return;
        }
        let (source, destination): (IpAddr, IpAddr) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            _ => {
                self.left_out.other += 1;
                return;
            }
        };
        match &sliced.transport {
            Some(TransportSlice::Udp(udp)) => self.packets.push(Packet {
                at,
                source: SocketAddr::new(source, udp.source_port()),
                destination: SocketAddr::new(destination, udp.destination_port()),
                carrier: Carrier::Udp,
                payload: Bytes::copy_from_slice(udp.payload()),
            }),
            Some(TransportSlice::Tcp(tcp)) => {
                let ends =
                    (SocketAddr::new(source, tcp.source_port()), SocketAddr::new(destination, tcp.destination_port()));
                self.streams.segment(ends, tcp.sequence_number(), tcp.syn(), tcp.payload());
                while let Some(payload) = self.streams.message(ends) {
                    let (source, destination) = ends;
                    self.packets.push(Packet { at, source, destination, carrier: Carrier::Tcp, payload });
                }
            }
            _ => self.left_out.other += 1,
        }
    }
}

/// Bytes before the IP header, for links that have a fixed number of them.
fn header_of(link: DataLink) -> Option<usize> {
    match link {
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => Some(0),
        DataLink::NULL | DataLink::LOOP => Some(4),
        DataLink::LINUX_SLL => Some(16),
        // LINKTYPE_LINUX_SLL2.
        other if u32::from(other) == 276 => Some(20),
        _ => None,
    }
}

/// pcapng `if_tsresol`: a negative power of ten, or of two when the high bit is set.
fn in_nanos(units: u128, resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7f);
    let per_second = if resolution & 0x80 == 0 { 10_u128.checked_pow(exponent) } else { 2_u128.checked_pow(exponent) };
    let per_second = per_second.unwrap_or(u128::MAX).max(1);
    let (seconds, rest) = (units / per_second, units % per_second);
    let fraction = rest.checked_mul(1_000_000_000).map_or(0, |nanos| nanos / per_second);
    nanos(seconds.saturating_mul(1_000_000_000).saturating_add(fraction))
}

/// Times beyond the year 2262 are the last instant of it: both of our clocks can name it.
fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos.min(i64::MAX as u128)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
