//! What every request and response must have (RFC 3261 §8.1.1, §8.2, RFC 4475).

use super::fault::{Field, Malformed};
use super::head::Start;
use super::uri::Uri;
use super::via::{CSeq, Via};
use super::{Message, name};
use crate::limits;

/// Headers that decide something and must not stand twice; the ones everybody needs are looked at by their accessors.
const ONCE: [(name::NameId, Field); 10] = [
    (name::CONTENT_TYPE, Field::ContentType),
    (name::CONTENT_DISPOSITION, Field::ContentDisposition),
    (name::EXPIRES, Field::Expires),
    (name::SESSION_EXPIRES, Field::SessionExpires),
    (name::MIN_SE, Field::MinSe),
    (name::RACK, Field::RAck),
    (name::RSEQ, Field::RSeq),
    (name::REFER_TO, Field::ReferTo),
    (name::REPLACES, Field::Replaces),
    (name::EVENT, Field::Event),
];

/// For each name, its bit among [`ONCE`]; 0 for those that may stand twice.
static ONCE_BIT: [u16; name::COUNT + 1] = {
    let mut bits = [0; name::COUNT + 1];
    let mut i = 0;
    while i < ONCE.len() {
        bits[ONCE[i].0 as usize] = 1 << i;
        i += 1;
    }
    bits
};

const MAGIC_COOKIE: &str = "z9hG4bK";

/// What every message says of where it belongs, read once.
#[derive(Clone, Copy, Debug)]
pub struct Essentials<'a> {
    /// The topmost Via.
    pub via: Via<'a>,
    /// Of that Via.
    pub branch: Option<&'a str>,
    /// `None` with peers of RFC 2543.
    pub from_tag: Option<&'a str>,
    pub to_tag: Option<&'a str>,
    pub call_id: &'a str,
    pub cseq: CSeq<'a>,
}

impl Message {
    /// Whether From, To, Call-ID, CSeq and the topmost Via are there once and readable, and nothing that must not
    /// stand twice does. Requests: also the Request-URI, Max-Forwards, the method in CSeq and the Contact of an INVITE.
    /// Schemes, extensions and methods we do not know are no fault here.
    ///
    /// # Errors
    /// The first fault found. A request that has one is answered with [`Malformed::status`] (never an ACK), a response
    /// is dropped.
    pub fn validate(&self) -> Result<(), Malformed> {
        self.essentials().map(drop)
    }

    /// As [`Message::validate`], and what it has read on the way.
    ///
    /// # Errors
    /// The same.
    pub fn essentials(&self) -> Result<Essentials<'_>, Malformed> {
        let via = self.top_via()?;
        let branch = via.branch();
        let (from_tag, to_tag) = (self.from()?.tag(), self.to()?.tag());
        let cseq = self.cseq()?;
        let call_id = self.call_id()?;
        for token in [Some(call_id), branch, from_tag, to_tag].into_iter().flatten() {
            short(token)?;
        }
        self.validate_once()?;
        let lines = self.head.spans.iter().filter(|span| span.id == name::VIA).count();
        let single = lines == 1 && !self.raw(name::VIA).any(|line| line.contains(&b','));
        if !single && self.vias().nth(limits::SIP_VIAS).is_some() {
            return Err(Malformed::TooManyVias);
        }
        if let Start::Request { .. } = self.head.start {
            if branch.is_some_and(|branch| branch.eq_ignore_ascii_case(MAGIC_COOKIE)) {
                return Err(Malformed::EmptyBranch);
            }
            if cseq.method != self.method_token() {
                return Err(Malformed::CSeqMethod);
            }
            self.validate_request()?;
        }
        Ok(Essentials { via, branch, from_tag, to_tag, call_id, cseq })
    }

    fn validate_request(&self) -> Result<(), Malformed> {
        let uri = Uri::parse(self.request_uri()).map_err(|_| Malformed::Unreadable(Field::RequestUri))?;
        // RFC 3261 §19.1.1: headers are not allowed in a Request-URI.
        if !uri.headers.is_empty() {
            return Err(Malformed::Unreadable(Field::RequestUri));
        }
        self.max_forwards()?;
        if self.method() == Some(rsip::Method::Invite)
            && let Some(contact) = self.contact()
        {
            contact?;
        }
        Ok(())
    }

    fn validate_once(&self) -> Result<(), Malformed> {
        let mut seen = 0;
        for span in &self.head.spans {
            let bit = ONCE_BIT.get(usize::from(span.id)).copied().unwrap_or_default();
            if seen & bit != 0 {
                let field = ONCE.iter().find(|(id, _)| *id == span.id).map(|(_, field)| *field);
                return Err(field.map_or(Malformed::HeaderLine, Malformed::Repeated));
            }
            seen |= bit;
        }
        Ok(())
    }
}

fn short(token: &str) -> Result<(), Malformed> {
    if token.len() <= limits::SIP_TOKEN { Ok(()) } else { Err(Malformed::TokenTooLong) }
}
