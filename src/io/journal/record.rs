//! One line of the journal: how it is written, read and checked. The rule is in the comment of [`super`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::core::event::Event;
use crate::core::event::cloud::{self, BadEvent, Head};
use crate::ids::EventId;

/// SHA-256 of a record; shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

/// A record as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts from 1, without holes except behind damage.
    pub seq: u64,
    pub hash: Hash,
    /// The CloudEvents object, one line of JSON.
    pub event: Arc<str>,
}

/// The same, borrowed from the line.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    pub seq: u64,
    pub prev: Hash,
    pub hash: Hash,
    pub event: &'a str,
}

/// What is wrong with a record or a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("not a journal record")]
    NotARecord,
    #[error("longer than a record may be")]
    TooLong,
    #[error("hash differs: the line says {stored}, its bytes give {computed}")]
    HashDiffers { stored: Hash, computed: Hash },
    #[error("chain broken: the line names {stored} as the record before it, which was {expected}")]
    PrevDiffers { stored: Hash, expected: Hash },
    #[error("number {found} where {expected} should follow")]
    SeqDiffers { found: u64, expected: u64 },
    #[error("the last line is not whole, and other segments follow")]
    CutShort,
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
}

impl Problem {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Problem::NotARecord => "not_a_record",
            Problem::TooLong => "too_long",
            Problem::HashDiffers { .. } => "hash_differs",
            Problem::PrevDiffers { .. } => "chain_broken",
            Problem::SeqDiffers { .. } => "number_differs",
            Problem::CutShort => "cut_short",
            Problem::Unreadable(_) => "unreadable",
        }
    }
}

impl Record {
    /// Type, subject, time and id, without reading the rest.
    pub fn head(&self) -> Result<Head<'_>, BadEvent> {
        cloud::head(&self.event)
    }

    /// The event.
    pub fn event(&self) -> Result<(EventId, Event), BadEvent> {
        cloud::from_json(&self.event)
    }
}

impl<'a> RecordView<'a> {
    /// Type, subject, time and id, without reading the rest.
    pub fn head(&self) -> Result<Head<'a>, BadEvent> {
        cloud::head(self.event)
    }

    /// The event.
    pub fn event(&self) -> Result<(EventId, Event), BadEvent> {
        cloud::from_json(self.event)
    }

    pub fn to_record(&self) -> Record {
        Record { seq: self.seq, hash: self.hash, event: self.event.into() }
    }
}

/// `,"hash":"`, 64 digits, `"}`: what an auditor leaves off before hashing.
pub(super) const TRAILER: usize = 9 + 64 + 2;

/// Appends one line, its end included, to `out`; returns its hash.
pub(super) fn encode(seq: u64, prev: Hash, event: &str, out: &mut Vec<u8>) -> Hash {
    let start = out.len();
    out.extend_from_slice(format!(r#"{{"seq":{seq},"prev":"{prev}","event":"#).as_bytes());
    out.extend_from_slice(event.as_bytes());
    let hash = Hash::of(&out[start..]);
    out.extend_from_slice(format!(",\"hash\":\"{hash}\"}}\n").as_bytes());
    hash
}

/// Reads a line (without its end) and checks it against its own hash.
pub(super) fn decode(line: &[u8]) -> Result<RecordView<'_>, Problem> {
    let (body, trailer) = line.split_at_checked(line.len().wrapping_sub(TRAILER)).ok_or(Problem::NotARecord)?;
    let stored = trailer.strip_prefix(b",\"hash\":\"").and_then(|rest| rest.strip_suffix(b"\"}"));
    let stored = stored.and_then(Hash::read).ok_or(Problem::NotARecord)?;
    let (seq, rest) = leading_seq(body).ok_or(Problem::NotARecord)?;
    let rest = rest.strip_prefix(b",\"prev\":\"").ok_or(Problem::NotARecord)?;
    let (prev, rest) = rest.split_at_checked(64).ok_or(Problem::NotARecord)?;
    let prev = Hash::read(prev).ok_or(Problem::NotARecord)?;
    let event = rest.strip_prefix(b"\",\"event\":").ok_or(Problem::NotARecord)?;
    let event = std::str::from_utf8(event).map_err(|_| Problem::NotARecord)?;
    let computed = Hash::of(body);
    if computed != stored {
        return Err(Problem::HashDiffers { stored, computed });
    }
    Ok(RecordView { seq, prev, hash: stored, event })
}

/// The number at the start of a line, and what follows it.
pub(super) fn leading_seq(line: &[u8]) -> Option<(u64, &[u8])> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = rest.split_at(digits);
    if !(1..=20).contains(&digits) || number.starts_with(b"0") {
        return None;
    }
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

impl Hash {
    /// What stands before the first record.
    pub const START: Hash = Hash([0; 32]);

    fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    fn read(digits: &[u8]) -> Option<Hash> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Hash(hash))
    }
}

impl FromStr for Hash {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Hash, Problem> {
        Hash::read(text.as_bytes()).ok_or(Problem::NotARecord)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back() {
        let mut line = Vec::new();
        let hash = encode(12, Hash([0xab; 32]), r#"{"a":"b"}"#, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let view = decode(&line).unwrap();
        assert_eq!((view.seq, view.prev, view.hash, view.event), (12, Hash([0xab; 32]), hash, r#"{"a":"b"}"#));
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(json["event"]["a"], "b");
        assert_eq!(json["hash"], hash.to_string());
    }

    #[test]
    fn the_hash_is_what_sha256sum_says_of_the_line_without_its_last_75_bytes() {
        let mut line = Vec::new();
        encode(1, Hash::START, "{}", &mut line);
        let text = String::from_utf8(line).unwrap();
        // printf '{"seq":1,"prev":"0000…","event":{}' | sha256sum
        let expected = "8045fbdf636d86f14d581d577ceb29ae2a04248cf04d488cc103fd8bed528055";
        assert_eq!(text.trim_end()[text.trim_end().len() - TRAILER..], format!(",\"hash\":\"{expected}\"}}"));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut line = Vec::new();
        encode(7, Hash([1; 32]), r#"{"subject":"x"}"#, &mut line);
        line.pop();
        for bit in 0..line.len() * 8 {
            let mut bad = line.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn no_line_is_refused_by_panic() {
        for line in [&b""[..], b"{", b"{\"seq\":", b"{\"seq\":01", &[b'"'; 75], &[0; 200]] {
            assert_eq!(decode(line).unwrap_err(), Problem::NotARecord);
        }
    }
}
