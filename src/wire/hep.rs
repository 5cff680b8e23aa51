//! HEP version 3, the encapsulation that HOMER and other capture servers read: one SIP message as it was seen, with
//! addresses, time and a correlation. Chunks and their numbers: "HEP/EEP v3 network protocol specification" (sipcapture).

use std::net::{IpAddr, SocketAddr};

/// One message for the capture server.
#[derive(Clone, Copy, Debug)]
pub struct Hep<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// IP protocol number of what carried it: 17 UDP, 6 TCP.
    pub protocol: u8,
    /// Microseconds since the Unix epoch.
    pub at: i64,
    /// Number of this node in the capture server.
    pub capture_id: u32,
    pub password: Option<&'a str>,
    /// Ties the legs of one call together.
    pub correlation: Option<&'a str>,
    pub payload: &'a [u8],
}

/// Length of the vendor, type and length fields of a chunk.
const CHUNK_HEAD: usize = 6;

impl Hep<'_> {
    /// The packet. `None` when it is longer than the format's 16-bit length, or its addresses are of two families.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.payload.len() + 160);
        out.extend_from_slice(b"HEP3\0\0");
        let family = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                chunk(&mut out, 3, &source.octets())?;
                chunk(&mut out, 4, &destination.octets())?;
                2
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                chunk(&mut out, 5, &source.octets())?;
                chunk(&mut out, 6, &destination.octets())?;
                10
            }
            _ => return None,
        };
        chunk(&mut out, 1, &[family])?;
        chunk(&mut out, 2, &[self.protocol])?;
        chunk(&mut out, 7, &self.source.port().to_be_bytes())?;
        chunk(&mut out, 8, &self.destination.port().to_be_bytes())?;
        let seconds = u32::try_from(self.at.div_euclid(1_000_000)).unwrap_or(0);
        let micros = u32::try_from(self.at.rem_euclid(1_000_000)).unwrap_or(0);
        chunk(&mut out, 9, &seconds.to_be_bytes())?;
        chunk(&mut out, 10, &micros.to_be_bytes())?;
        // Payload type 1: SIP.
        chunk(&mut out, 11, &[1])?;
        chunk(&mut out, 12, &self.capture_id.to_be_bytes())?;
        if let Some(password) = self.password {
            chunk(&mut out, 14, password.as_bytes())?;
        }
        if let Some(correlation) = self.correlation {
            chunk(&mut out, 17, correlation.as_bytes())?;
        }
        chunk(&mut out, 15, self.payload)?;
        let length = u16::try_from(out.len()).ok()?;
        out.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
        Some(out)
    }
}

/// A chunk of vendor 0 (generic).
fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    let length = u16::try_from(CHUNK_HEAD + value.len()).ok()?;
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
        assert_eq!(packet.get(..4), Some(&b"HEP3"[..]));
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
        let mut rest = &packet[6..];
        let mut chunks = BTreeMap::new();
        while let [0, 0, k1, k2, l1, l2, ..] = rest {
            let length = usize::from(u16::from_be_bytes([*l1, *l2]));
            let (chunk, next) = rest.split_at(length);
            assert!(chunks.insert(u16::from_be_bytes([*k1, *k2]), chunk[CHUNK_HEAD..].to_vec()).is_none());
            rest = next;
        }
        assert!(rest.is_empty());
        chunks
    }

    fn sample() -> Hep<'static> {
        Hep {
            source: "192.0.2.1:5060".parse().unwrap(),
            destination: "192.0.2.2:5080".parse().unwrap(),
            protocol: 17,
            at: 1_700_000_000_123_456,
            capture_id: 2001,
            password: Some("secret"),
            correlation: Some("abc"),
            payload: b"OPTIONS sip:x SIP/2.0\r\n\r\n",
        }
    }

    #[test]
    fn every_chunk_has_its_place() {
        let chunks = read(&sample().encode().unwrap());
        let expected: [(u16, &[u8]); 13] = [
            (1, &[2]),
            (2, &[17]),
            (3, &[192, 0, 2, 1]),
            (4, &[192, 0, 2, 2]),
            (7, &5060_u16.to_be_bytes()),
            (8, &5080_u16.to_be_bytes()),
            (9, &1_700_000_000_u32.to_be_bytes()),
            (10, &123_456_u32.to_be_bytes()),
            (11, &[1]),
            (12, &2001_u32.to_be_bytes()),
            (14, b"secret"),
            (15, b"OPTIONS sip:x SIP/2.0\r\n\r\n"),
            (17, b"abc"),
        ];
        assert_eq!(chunks, expected.into_iter().map(|(kind, value)| (kind, value.to_vec())).collect());
    }

    #[test]
    fn ipv6_has_chunks_of_its_own() {
        let both = Hep {
            source: "[2001:db8::1]:5060".parse().unwrap(),
            destination: "[2001:db8::2]:5060".parse().unwrap(),
            password: None,
            correlation: None,
            ..sample()
        };
        let chunks = read(&both.encode().unwrap());
        assert_eq!((chunks[&1][0], chunks[&5].len(), chunks[&6].len()), (10, 16, 16));
        assert!(!chunks.contains_key(&3) && !chunks.contains_key(&14) && !chunks.contains_key(&17));
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let long = vec![b'x'; 65_536];
        assert!(Hep { payload: &long, ..sample() }.encode().is_none());
        assert!(Hep { destination: "[2001:db8::2]:5060".parse().unwrap(), ..sample() }.encode().is_none());
    }
}
