use std::net::Ipv4Addr;

use etherparse::PacketBuilder;

use super::*;

const A: [u8; 4] = [192, 0, 2, 1];
const B: [u8; 4] = [192, 0, 2, 2];

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(A, B, 64).udp(5060, 5080).write(&mut bytes, payload).unwrap();
    bytes
}

fn tcp(sequence: u32, syn: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4(A, B, 64).tcp(5060, 5080, sequence, 1_000);
    let builder = if syn { builder.syn() } else { builder };
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

/// A little-endian pcap with times in microseconds.
fn pcap(link: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link] {
        file.extend(word.to_le_bytes());
    }
    for (seconds, micros, frame) in frames {
        for word in [*seconds, *micros, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

#[test]
fn links_with_headers_of_their_own() {
    for (link, header) in [(101, 0), (228, 0), (0, 4), (108, 4), (113, 16), (276, 20)] {
        let frame = [vec![0; header], udp(b"hello")].concat();
        let capture = Capture::read(&pcap(link, &[(10, 5, frame)])).unwrap();
        let packet = &capture.packets[0];
        assert_eq!(packet.payload, &b"hello"[..], "link {link}");
        assert_eq!(packet.at, 10_000_005_000);
        assert_eq!(packet.source, (Ipv4Addr::from(A), 5060).into());
        assert_eq!(packet.destination, (Ipv4Addr::from(B), 5080).into());
    }
}

#[test]
fn packets_come_in_order_of_time() {
    let file = pcap(101, &[(2, 0, udp(b"second")), (1, 0, udp(b"first")), (2, 0, udp(b"third"))]);
    let capture = Capture::read(&file).unwrap();
    let said: Vec<&[u8]> = capture.packets.iter().map(|packet| &packet.payload[..]).collect();
    assert_eq!(said, [&b"first"[..], b"second", b"third"]);
}

#[test]
fn what_cannot_be_used_is_counted() {
    let mut fragment = udp(b"hello");
    fragment[6] = 0x20;
    let mut cut = udp(b"hello");
    cut.truncate(25);
    let file = pcap(101, &[(1, 0, fragment), (1, 0, cut), (1, 0, vec![0xff; 30])]);
    let capture = Capture::read(&file).unwrap();
    assert_eq!(capture.packets, []);
    assert_eq!(capture.left_out, LeftOut { fragments: 1, unreadable: 2, ..LeftOut::default() });
    let unknown = Capture::read(&pcap(147, &[(1, 0, udp(b"hello"))])).unwrap();
    assert_eq!(unknown.left_out.unreadable, 1);
}

#[test]
fn a_file_that_ends_early_gives_what_it_has() {
    let whole = pcap(101, &[(1, 0, udp(b"one")), (2, 0, udp(b"two"))]);
    let capture = Capture::read(&whole[..whole.len() - 3]).unwrap();
    assert_eq!((capture.packets.len(), capture.cut_short), (1, true));
    assert_eq!(Capture::read(b"not a capture at all"), Err(NotACapture));
    assert_eq!(Capture::read(b""), Err(NotACapture));
}

#[test]
fn pcapng_has_its_own_unit_of_time() {
    for (resolution, units, expected) in
        [(None, 1_500_000_u64, 1_500_000_000), (Some(9), 1_500_000_000, 1_500_000_000), (Some(0x81), 3, 1_500_000_000)]
    {
        let capture = Capture::read(&pcapng(resolution, units, &udp(b"hello"))).unwrap();
        assert_eq!(capture.packets[0].at, expected, "{resolution:?}");
    }
}

fn pcapng(resolution: Option<u8>, units: u64, frame: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = (body.len() + 12) as u32;
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body, &length.to_le_bytes()].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut interface = [&101_u32.to_le_bytes()[..], &65_535_u32.to_le_bytes()].concat();
    if let Some(resolution) = resolution {
        interface.extend([9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]);
    }
    let length = (frame.len() as u32).to_le_bytes();
    let time = [((units >> 32) as u32).to_le_bytes(), (units as u32).to_le_bytes()].concat();
    let mut packet = [&[0; 4][..], &time, &length, &length, frame].concat();
    packet.resize(packet.len().next_multiple_of(4), 0);
    [block(0x0a0d_0d0a, &section), block(1, &interface), block(6, &packet)].concat()
}

#[test]
fn sip_over_tcp_is_put_together() {
    let text = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";
    let (one, two) = text.split_at(20);
    let (two, three) = two.split_at(10);
    let base = u32::MAX - 10;
    let at = |offset: usize| base.wrapping_add(1 + offset as u32);
    let file = pcap(
        101,
        &[
            (1, 0, tcp(base, true, b"")),
            (2, 0, tcp(at(30), false, three)),
            (3, 0, tcp(at(0), false, one)),
            (3, 1, tcp(at(0), false, one)),
            (4, 0, tcp(at(20), false, two)),
            (5, 0, tcp(at(text.len()), false, b"\r\n\r\n\0junk")),
            (6, 0, tcp(at(text.len() + 9), false, text)),
        ],
    );
    let capture = Capture::read(&file).unwrap();
    assert_eq!(capture.packets.len(), 1);
    assert_eq!(capture.packets[0].payload, &text[..]);
    assert_eq!((capture.packets[0].at, capture.packets[0].carrier), (4_000_000_000, Carrier::Tcp));
    assert_eq!(capture.left_out.segments, 1, "what comes after junk");
}
