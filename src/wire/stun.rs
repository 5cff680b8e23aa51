//! STUN (RFC 8489) as far as the lite end of ICE speaks it (RFC 8445 §2.5): binding requests are read, proved and
//! answered. Nothing else is ever written, so nothing else needs to be read.
//!
//! What is not a well-formed binding request with USERNAME, MESSAGE-INTEGRITY and FINGERPRINT, in that order, is no check
//! of connectivity, and gets no answer: an answer to strangers would tell them where calls are.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use stun_types::attribute::{Fingerprint, MessageIntegrity};
use stun_types::message::{IntegrityKey, ShortTermCredentials};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
/// RFC 8489 §14.7.
const FINGERPRINT_MASK: u32 = 0x5354_554e;
/// Unknown attributes that an answer names.
const UNKNOWN_MAX: usize = 4;

/// What requests are proved with: a password of ours. Its text form is not the password.
#[derive(Clone)]
pub struct Key(IntegrityKey);

impl Key {
    pub fn new(password: &str) -> Key {
        Key(ShortTermCredentials::new(password.to_owned()).make_key())
    }

    /// Over the message up to its MESSAGE-INTEGRITY, which begins at `at`, with a length that ends behind it.
    fn covered(message: &[u8], at: usize) -> Option<([u8; 4], &[u8])> {
        let length = u16::try_from(at + 24 - HEADER).ok()?.to_be_bytes();
        let kind = message.get(..2)?;
        Some(([*kind.first()?, *kind.get(1)?, length[0], length[1]], message.get(4..at)?))
    }

    fn proves(&self, message: &[u8], at: usize, tag: &[u8; 20]) -> bool {
        Key::covered(message, at).is_some_and(|(head, rest)| MessageIntegrity::verify(&[&head, rest], &self.0, tag))
    }

    fn tag(&self, message: &[u8]) -> Option<[u8; 20]> {
        let (head, rest) = Key::covered(message, message.len())?;
        MessageIntegrity::compute(&[&head, rest], &self.0).ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A binding request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    message: &'a [u8],
    /// `ours:theirs`.
    username: &'a [u8],
    tag: &'a [u8; 20],
    tag_at: usize,
    /// The sender wants this pair (RFC 8445 §7.3.1.5).
    pub use_candidate: bool,
    /// The sender believes that the other end decides (RFC 8445 §7.3.1.1).
    pub controlled: bool,
    /// Attributes that must be understood, and are not.
    unknown: [u16; UNKNOWN_MAX],
    unknown_count: usize,
}

impl<'a> Request<'a> {
    /// `None`: no binding request, or not one that ICE sends.
    pub fn read(message: &'a [u8]) -> Option<Request<'a>> {
        let is_whole = message.len() >= HEADER && usize::from(be16(message, 2)?) + HEADER == message.len();
        if !is_whole || be16(message, 0)? != REQUEST || message.get(4..8)? != COOKIE {
            return None;
        }
        let (mut username, mut tag) = (None, None);
        let (mut use_candidate, mut controlled) = (false, false);
        let (mut unknown, mut unknown_count) = ([0; UNKNOWN_MAX], 0);
        let mut at = HEADER;
        while at < message.len() {
            let (kind, length) = (be16(message, at)?, usize::from(be16(message, at + 2)?));
            let value = message.get(at + 4..at + 4 + length)?;
            let next = at + 4 + length.next_multiple_of(4);
            match kind {
                FINGERPRINT => {
                    let is_last = next == message.len();
                    let (username, (tag, tag_at)) = (username?, tag?);
                    let is_right = value == fingerprint(message, at)?;
                    let request =
                        Request { message, username, tag, tag_at, use_candidate, controlled, unknown, unknown_count };
                    return (is_last && is_right).then_some(request);
                }
                // Behind the tag nothing is proved, and so nothing counts (RFC 8489 §14.5).
                _ if tag.is_some() => {}
                USERNAME => username = username.or(Some(value)),
                MESSAGE_INTEGRITY => tag = Some((<&[u8; 20]>::try_from(value).ok()?, at)),
                USE_CANDIDATE => use_candidate = true,
                ICE_CONTROLLED => controlled = true,
                PRIORITY | MESSAGE_INTEGRITY_SHA256 | 0x8000.. => {}
                kind => {
                    if let Some(place) = unknown.get_mut(unknown_count) {
                        *place = kind;
                        unknown_count += 1;
                    }
                }
            }
            at = next;
        }
        None
    }

    /// Who is asked for and who asks: the two halves of the user name.
    pub fn users(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = memchr::memchr(b':', self.username)?;
        Some((self.username.get(..colon)?, self.username.get(colon + 1..)?))
    }

    /// Whoever wrote it knows the password.
    pub fn is_proved(&self, key: &Key) -> bool {
        key.proves(self.message, self.tag_at, self.tag)
    }

    /// Whether all of it is understood; else [`Answer::unknown`] is the answer.
    pub fn is_understood(&self) -> bool {
        self.unknown_count == 0
    }
}

/// An answer to a binding request, ready to be sent.
#[derive(Debug)]
pub struct Answer {
    bytes: [u8; Answer::ROOM],
    length: usize,
}

impl Answer {
    /// Header 20, address 24 or an error with its reason, tag 24, fingerprint 8.
    const ROOM: usize = 112;

    /// The request came from this address.
    pub fn success(request: &Request<'_>, source: SocketAddr, key: &Key) -> Option<Answer> {
        let mut answer = Answer::begin(SUCCESS, request)?;
        let mask: [u8; 16] = request.message.get(4..HEADER)?.try_into().ok()?;
        let mut value = [0; 20];
        let port = source.port().to_be_bytes();
        let family = if source.is_ipv4() { 1 } else { 2 };
        let head = [0, family, port[0] ^ mask[0], port[1] ^ mask[1]];
        let mut length = 4;
        value.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        let mut masked = |octets: &[u8]| {
            for ((to, from), mask) in value.iter_mut().skip(4).zip(octets).zip(mask) {
                *to = from ^ mask;
                length += 1;
            }
        };
        match source.ip() {
            IpAddr::V4(ip) => masked(&ip.octets()),
            IpAddr::V6(ip) => masked(&ip.octets()),
        }
        answer.push(XOR_MAPPED_ADDRESS, value.get(..length)?)?;
        answer.finish(key)
    }

    /// 487: both ends believe that the other one decides, and this one cannot (RFC 8445 §7.3.1.1).
    pub fn role_conflict(request: &Request<'_>, key: &Key) -> Option<Answer> {
        let mut answer = Answer::begin(ERROR, request)?;
        answer.push(ERROR_CODE, b"\0\0\x04\x57Role Conflict")?;
        answer.finish(key)
    }

    /// 420: something in the request must be understood, and is not (RFC 8489 §6.3.1).
    pub fn unknown(request: &Request<'_>, key: &Key) -> Option<Answer> {
        let mut answer = Answer::begin(ERROR, request)?;
        answer.push(ERROR_CODE, b"\0\0\x04\x14Unknown Attribute")?;
        let mut kinds = [0; 2 * UNKNOWN_MAX];
        let named = request.unknown.iter().take(request.unknown_count).flat_map(|kind| kind.to_be_bytes());
        kinds.iter_mut().zip(named).for_each(|(to, from)| *to = from);
        answer.push(UNKNOWN_ATTRIBUTES, kinds.get(..2 * request.unknown_count)?)?;
        answer.finish(key)
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn begin(kind: u16, request: &Request<'_>) -> Option<Answer> {
        let mut answer = Answer { bytes: [0; Answer::ROOM], length: HEADER };
        answer.bytes.get_mut(..2)?.copy_from_slice(&kind.to_be_bytes());
        answer.bytes.get_mut(4..HEADER)?.copy_from_slice(request.message.get(4..HEADER)?);
        Some(answer)
    }

    fn push(&mut self, kind: u16, value: &[u8]) -> Option<()> {
        let end = self.length + 4 + value.len().next_multiple_of(4);
        let place = self.bytes.get_mut(self.length..end)?;
        let head = kind.to_be_bytes().into_iter().chain(u16::try_from(value.len()).ok()?.to_be_bytes());
        place.iter_mut().zip(head.chain(value.iter().copied())).for_each(|(to, from)| *to = from);
        self.length = end;
        let length = u16::try_from(end - HEADER).ok()?;
        self.bytes.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    fn finish(mut self, key: &Key) -> Option<Answer> {
        let tag = key.tag(self.bytes())?;
        self.push(MESSAGE_INTEGRITY, &tag)?;
        let at = self.length;
        self.push(FINGERPRINT, &[0; 4])?;
        let print = fingerprint(&self.bytes, at)?;
        self.bytes.get_mut(at + 4..at + 8)?.copy_from_slice(&print);
        Some(self)
    }
}

/// The fingerprint that stands at this place covers what is before it.
fn fingerprint(message: &[u8], at: usize) -> Option<[u8; 4]> {
    let crc = u32::from_be_bytes(Fingerprint::compute(&[message.get(..at)?]));
    Some((crc ^ FINGERPRINT_MASK).to_be_bytes())
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
