//! Whether bytes can belong to anything of ours, seen without reading them: what a stranger sends in a flood is thrown
//! away here, before any memory is taken for it.
//!
//! Every message of our transactions and dialogs bears a mark that we drew: our branch in a response's Via, our tag in a
//! request's To. The look is generous: it takes a mark wherever it stands in the head, so what passes is read and judged
//! as ever. CANCEL alone bears none (RFC 3261 §9.1), nor does the ACK of a refusal that another tag answered; they pass
//! while there is a transaction at all.

use memchr::memchr_iter;

use super::identity::{Branch, Ids, LocalTag, transaction_key};
use super::{Agent, Extra, Flow, write};
use crate::limits;
use crate::wire::sip::Message;

impl Agent {
    /// Whether this may be part of a transaction or dialog that exists. `true` proves nothing.
    pub fn may_belong(&self, bytes: &[u8]) -> bool {
        if self.legs.is_empty() && self.clients.is_empty() && self.servers.is_empty() {
            return false;
        }
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        let Some(bytes) = bytes.get(start..bytes.len().min(start + limits::SIP_HEAD)) else { return false };
        if bytes.starts_with(b"SIP/2.0 ") {
            return marks(bytes, b"branch").any(|value| self.is_our_branch(value));
        }
        if bytes.starts_with(b"CANCEL ") || bytes.starts_with(b"ACK ") {
            return !self.servers.is_empty() || marks(bytes, b"tag").any(|value| self.is_our_tag(value));
        }
        marks(bytes, b"tag").any(|value| self.is_our_tag(value))
    }

    /// A copy of a request whose transaction runs.
    pub fn is_copy(&self, request: &Message) -> bool {
        let key = |ids: &Ids<'_>| transaction_key(request, ids, request.method_token());
        Ids::read(request).is_ok_and(|ids| self.by_key.contains_key(&key(&ids)))
    }

    /// Answers a request that belongs to nothing once, without state, in no more than `longest` bytes. `false` when it
    /// cannot be.
    pub fn answer_once(&mut self, flow: Flow, request: &Message, status: u16, extra: &Extra, longest: usize) -> bool {
        if Ids::read(request).is_err() {
            return false;
        }
        let tag = self.identity.tag_for_bytes(request.bytes());
        match write::response(&self.config, request, flow, status, Some(tag), extra, &write::Told::default()) {
            Ok(bytes) if bytes.len() <= longest => {
                self.transmit(flow, bytes);
                true
            }
            _ => false,
        }
    }

    fn is_our_branch(&self, value: &[u8]) -> bool {
        let branch = std::str::from_utf8(value).ok().and_then(Branch::parse);
        branch.is_some_and(|branch| [true, false].iter().any(|is| self.by_branch.contains_key(&(branch, *is))))
    }

    fn is_our_tag(&self, value: &[u8]) -> bool {
        let tag = std::str::from_utf8(value).ok().and_then(LocalTag::parse);
        tag.is_some_and(|tag| self.by_tag.contains_key(&tag))
    }
}

/// The values of every parameter of this name, wherever it stands.
fn marks<'b>(bytes: &'b [u8], name: &'static [u8]) -> impl Iterator<Item = &'b [u8]> {
    memchr_iter(b'=', bytes).filter_map(move |at| {
        let (before, after) = (bytes.get(..at)?.trim_ascii_end(), bytes.get(at + 1..)?.trim_ascii_start());
        let written = before.get(before.len().checked_sub(name.len())?..)?;
        let end = after.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'-')).unwrap_or(after.len());
        written.eq_ignore_ascii_case(name).then_some(after.get(..end)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_however_they_are_written() {
        let found = |text: &'static str| marks(text.as_bytes(), b"tag").map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(found("To: <sip:a@b>;tag=0123\r\n"), [b"0123"]);
        assert_eq!(found("t:<sip:a@b> ; TAG =\r\n  0123;x=y\r\nFrom: x;tag=9\r\n"), [b"0123".to_vec(), b"9".to_vec()]);
        assert!(found("==tag\r\n=").iter().all(Vec::is_empty));
        assert!(found("").is_empty());
    }
}
