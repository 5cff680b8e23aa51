//! SRTP and SRTCP (RFC 3711, with AES-GCM of RFC 7714): what protects a packet and what reads it again, in place in the
//! buffer that holds it, without an allocation.
//!
//! A [`Context`] is one direction of one leg: a master key and the streams that are sent with it. A stream begins with
//! roll-over counter 0; whoever changes its key begins anew. Nothing of a packet is believed before its tag has been
//! checked, and no index is used twice, neither by a sender (that would give the keystream away) nor of one.
//!
//! Not there, because nobody offers it in telephony: key derivation rate, MKI, encrypted header extensions.

mod cipher;
mod window;

use std::fmt;

use smallvec::SmallVec;

use crate::limits::SRTP_STREAMS;
use cipher::{Packet, Sealer};
use window::{Stream, Window};

/// A crypto suite (RFC 4568 §6.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
    pub const ALL: [Suite; 4] =
        [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32, Suite::AeadAes128Gcm, Suite::AeadAes256Gcm];

    /// As `a=crypto` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of this name; none: one that we do not have.
    pub fn parse(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.as_str().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 | Suite::AeadAes128Gcm => 16,
            Suite::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 14,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 12,
        }
    }

    /// Bytes that are behind the payload of an SRTP packet.
    pub const fn rtp_tag(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }

    /// The tag of SRTCP, which the short suite does not shorten (RFC 4568 §6.2.2).
    const fn rtcp_tag(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 10,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }
}

/// Longest master key and salt together.
pub const MASTER_MAX: usize = 46;

/// A master key with its salt. Its text form is not the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; MASTER_MAX],
}

impl MasterKey {
    /// Key and salt one after the other, as `inline:` has them; `None`: not as many bytes as the suite wants.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<MasterKey> {
        let wanted = suite.key_len() + suite.salt_len();
        let mut bytes = [0; MASTER_MAX];
        bytes.get_mut(..wanted)?.copy_from_slice(Some(key_and_salt).filter(|given| given.len() == wanted)?);
        Some(MasterKey { suite, bytes })
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt one after the other.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.suite.key_len() + self.suite.salt_len()).unwrap_or_default()
    }

    fn key(&self) -> &[u8] {
        self.bytes.get(..self.suite.key_len()).unwrap_or_default()
    }

    /// Padded on the right to the 14 bytes that key derivation takes (RFC 7714 §11).
    fn salt(&self) -> [u8; 14] {
        let mut salt = [0; 14];
        let given = self.bytes().get(self.suite.key_len()..).unwrap_or_default();
        salt.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
        salt
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, …)", self.suite.as_str())
    }
}

/// Why a packet was not protected or not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not a packet of this kind, or no room behind it.
    Malformed,
    /// The tag is not that of this packet.
    Auth,
    /// This index was there already, or is too old to know.
    Replay,
    /// More streams than a party has.
    Streams,
    /// The key has protected as much as it may.
    Exhausted,
}

/// One direction of a leg.
pub struct Context {
    rtp: Sealer,
    rtcp: Sealer,
    streams: SmallVec<[Stream; 2]>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("streams", &self.streams.len()).finish_non_exhaustive()
    }
}

impl Context {
    /// Derives the session keys of RTP and RTCP.
    pub fn new(master: &MasterKey) -> Context {
        Context { rtp: Sealer::rtp(master), rtcp: Sealer::rtcp(master), streams: SmallVec::new() }
    }

    /// Protects the RTP packet in the first `length` bytes of the buffer, which needs room for a tag behind it. Gives the
    /// new length.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        let header = rtp_header(buffer.get(..length).ok_or(Failure::Malformed)?)?;
        let (ssrc, sequence) = (be32(buffer, 8), be16(buffer, 2));
        let place = self.place(ssrc)?;
        let index = place.and_then(|at| self.streams.get(at)).map_or(sequence.into(), |s| s.rtp_index(sequence));
        let stream = self.stream(place, ssrc)?;
        let window = stream.rtp.get_or_insert(Window::before(index));
        if !window.is_new(index) {
            return Err(Failure::Replay);
        }
        window.note(index);
        let sealed = self.rtp.seal(buffer, length, &Packet::rtp(ssrc, index, header));
        sealed.ok_or(Failure::Malformed)
    }

    /// Reads the SRTP packet in the first `length` bytes of the buffer. Gives the length of the RTP packet.
    pub fn unprotect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        let header = rtp_header(buffer.get(..length).ok_or(Failure::Malformed)?)?;
        let (ssrc, sequence) = (be32(buffer, 8), be16(buffer, 2));
        let place = self.place(ssrc)?;
        let known = place.and_then(|at| self.streams.get(at));
        let index = known.map_or(sequence.into(), |stream| stream.rtp_index(sequence));
        if known.and_then(|stream| stream.rtp.as_ref()).is_some_and(|window| !window.is_new(index)) {
            return Err(Failure::Replay);
        }
        let opened = self.rtp.open(buffer, length, &Packet::rtp(ssrc, index, header))?;
        self.stream(place, ssrc)?.rtp.get_or_insert(Window::before(index)).note(index);
        Ok(opened)
    }

    /// Protects the RTCP compound packet in the first `length` bytes of the buffer, as [`Context::protect_rtp`] does.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        let ssrc = rtcp_sender(buffer.get(..length).ok_or(Failure::Malformed)?)?;
        let place = self.place(ssrc)?;
        let stream = self.stream(place, ssrc)?;
        let index = stream.next_rtcp().ok_or(Failure::Exhausted)?;
        let sealed = self.rtcp.seal(buffer, length, &Packet::rtcp(ssrc, index));
        sealed.ok_or(Failure::Malformed)
    }

    /// Reads the SRTCP packet in the first `length` bytes of the buffer. Gives the length of the compound packet.
    pub fn unprotect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        let ssrc = rtcp_sender(buffer.get(..length).ok_or(Failure::Malformed)?)?;
        let (index, encrypted) = self.rtcp.index(buffer.get(..length).unwrap_or_default()).ok_or(Failure::Malformed)?;
        if !encrypted {
            // Reports in clear would have to be agreed on (RFC 4568 §6.3.2), and never are.
            return Err(Failure::Auth);
        }
        let place = self.place(ssrc)?;
        let window = place.and_then(|at| self.streams.get(at)?.rtcp.as_ref());
        if window.is_some_and(|window| !window.is_new(index.into())) {
            return Err(Failure::Replay);
        }
        let opened = self.rtcp.open(buffer, length, &Packet::rtcp(ssrc, index))?;
        self.stream(place, ssrc)?.rtcp.get_or_insert(Window::before(index.into())).note(index.into());
        Ok(opened)
    }

    /// Where this stream is kept; `None`: nowhere yet, and there is room.
    fn place(&self, ssrc: u32) -> Result<Option<usize>, Failure> {
        let place = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        if place.is_none() && self.streams.len() >= SRTP_STREAMS { Err(Failure::Streams) } else { Ok(place) }
    }

    fn stream(&mut self, place: Option<usize>, ssrc: u32) -> Result<&mut Stream, Failure> {
        let place = place.unwrap_or_else(|| {
            self.streams.push(Stream::new(ssrc));
            self.streams.len() - 1
        });
        self.streams.get_mut(place).ok_or(Failure::Streams)
    }
}

/// Length of the header with CSRC list and extension, which stay readable.
fn rtp_header(packet: &[u8]) -> Result<usize, Failure> {
    let first = *packet.first().ok_or(Failure::Malformed)?;
    let mut header = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(header + 2..header + 4).ok_or(Failure::Malformed)?;
        header += 4 + 4 * usize::from(be16(words, 0));
    }
    if first >> 6 == 2 && header <= packet.len() { Ok(header) } else { Err(Failure::Malformed) }
}

/// SSRC of who reports: the eight bytes that stay readable.
fn rtcp_sender(packet: &[u8]) -> Result<u32, Failure> {
    match packet.first() {
        Some(first) if first >> 6 == 2 && packet.len() >= 8 => Ok(be32(packet, 4)),
        _ => Err(Failure::Malformed),
    }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_be_bytes)
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
