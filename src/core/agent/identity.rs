//! What we draw and recognise again: tags, branches, Call-IDs; and the keys of the far side's transactions.

use std::fmt;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::checks::BRANCH_COOKIE;
use crate::wire::sip::{CSeq, Essentials, Malformed, Message, Via};

/// The fields that say where a message belongs, read once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids<'a> {
    pub(super) call_id: &'a str,
    /// Empty when there is none, as with peers of RFC 2543.
    pub(super) from_tag: &'a str,
    pub(super) to_tag: Option<&'a str>,
    pub(super) cseq: CSeq<'a>,
    pub(super) via: Via<'a>,
    pub(super) branch: Option<&'a str>,
}

impl<'a> Ids<'a> {
    /// Refuses whatever lacks what every message must have (RFC 3261 §8.1.1), or is too long to become a key of ours.
    pub(super) fn read(message: &'a Message) -> Result<Ids<'a>, Malformed> {
        let Essentials { via, branch, from_tag, to_tag, call_id, cseq } = message.essentials()?;
        Ok(Ids { call_id, from_tag: from_tag.unwrap_or(""), to_tag, cseq, via, branch })
    }
}

/// Our tag in one dialog: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LocalTag(u64);

/// Our branch, after the cookie: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Branch(u128);

/// Everything random, from one seed: the same seed gives the same bytes.
#[derive(Debug)]
pub(super) struct Identity {
    rng: ChaCha12Rng,
    seed: [u8; 32],
}

impl Identity {
    pub(super) fn new(seed: [u8; 32]) -> Identity {
        Identity { rng: ChaCha12Rng::from_seed(seed), seed }
    }

    pub(super) fn tag(&mut self) -> LocalTag {
        LocalTag(self.rng.next_u64())
    }

    pub(super) fn branch(&mut self) -> Branch {
        Branch(self.draw())
    }

    /// Without a host name: nothing of our topology goes out.
    pub(super) fn call_id(&mut self) -> Box<str> {
        format!("{:032x}", self.draw()).into()
    }

    /// A client nonce.
    pub(super) fn token(&mut self) -> String {
        format!("{:032x}", self.draw())
    }

    /// 0 to `most`.
    pub(super) fn up_to(&mut self, most: u32) -> u32 {
        self.rng.next_u32() % (most + 1)
    }

    /// Tag of our answers to a request without To tag: a function of the request, so that a copy of a request that we
    /// answered without keeping state gets the same answer (RFC 3261 §8.2.7), and secret like a drawn one.
    pub(super) fn tag_for(&self, ids: &Ids<'_>) -> LocalTag {
        let mut hash = self.hash();
        for part in [ids.call_id, ids.from_tag, ids.branch.unwrap_or("")] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(ids.cseq.number.to_be_bytes());
        tag_of(hash)
    }

    /// The same for a request that we do not look into: its copies have the same bytes.
    pub(super) fn tag_for_bytes(&self, bytes: &[u8]) -> LocalTag {
        let mut hash = self.hash();
        hash.update(bytes);
        tag_of(hash)
    }

    fn hash(&self) -> Sha256 {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash
    }

    fn draw(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }
}

impl LocalTag {
    /// Reads exactly what we write; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<LocalTag> {
        if text.len() == 16 && text.bytes().all(is_hex) {
            u64::from_str_radix(text, 16).ok().map(LocalTag)
        } else {
            None
        }
    }
}

impl Branch {
    /// Reads exactly what we write; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Branch> {
        let digits = text.strip_prefix(BRANCH_COOKIE)?;
        if digits.len() == 32 && digits.bytes().all(is_hex) {
            u128::from_str_radix(digits, 16).ok().map(Branch)
        } else {
            None
        }
    }
}

fn tag_of(hash: Sha256) -> LocalTag {
    let mut first = [0; 8];
    first.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    LocalTag(u64::from_be_bytes(first))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for LocalTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BRANCH_COOKIE}{:032x}", self.0)
    }
}

/// Key of the far side's transaction (RFC 3261 §17.2.3). `method` is INVITE for the ACK and the CANCEL of an INVITE.
/// Without the cookie of RFC 3261 the fields of RFC 2543 identify it.
pub(super) fn transaction_key(request: &Message, ids: &Ids<'_>, method: &str) -> Box<str> {
    let (host, port) = (ids.via.host.to_ascii_lowercase(), ids.via.port.unwrap_or(0));
    let key = match ids.branch {
        Some(branch) if branch.starts_with(BRANCH_COOKIE) => format!("{method} {branch} {host}:{port}"),
        branch => {
            let Ids { call_id, from_tag, cseq, .. } = ids;
            let (uri, branch) = (request.request_uri(), branch.unwrap_or(""));
            format!("{method} {uri} {call_id} {from_tag} {} {branch} {host}:{port}", cseq.number)
        }
    };
    key.into()
}

/// What two copies of one request share that came along different ways (RFC 3261 §8.2.2.2).
pub(super) fn merge_key(ids: &Ids<'_>) -> Box<str> {
    format!("{} {} {} {}", ids.call_id, ids.from_tag, ids.cseq.number, ids.cseq.method).into()
}
