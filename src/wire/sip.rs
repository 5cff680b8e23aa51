//! SIP messages (RFC 3261 §7, §25) as spans over their own bytes: one pass, no copies, headers we do not understand
//! carried through byte for byte.
//!
//! [`Message::parse`] decides what the lines of a message are. [`Message::validate`] decides whether it has what every
//! request or response must have. [`Salvage`] reads of a broken request what an answer to it needs.

pub mod auth;
pub mod build;
mod fault;
pub mod frame;
mod head;
mod name;
mod name_addr;
mod params;
mod salvage;
mod text;
mod uri;
mod validate;
mod via;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

pub use build::{escape_user, quote_display};
pub use fault::{Field, Malformed};
pub use name_addr::NameAddr;
pub use params::Params;
pub use salvage::Salvage;
pub use uri::Uri;
pub use validate::Essentials;
pub use via::{CSeq, Via};

use head::{Head, Start};
use name::NameId;
use text::CommaList;

/// A message as it came. Cheap to clone and to move.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    head: Arc<Head>,
}

impl Message {
    /// Reads one whole message. `bytes` is a datagram or what [`frame`] cut from a stream. CRLFs before the start line
    /// are skipped (RFC 3261 §7.5). Anything after the body that Content-Length names is ignored (§18.3); without
    /// Content-Length the body is all that is left.
    ///
    /// # Errors
    /// The first fault found. [`Salvage::read`] then gives what an answer needs.
    pub fn parse(bytes: Bytes) -> Result<Message, Malformed> {
        let bytes = without_leading_crlf(bytes);
        let head = Head::read(&bytes)?;
        Ok(Message { bytes, head: Arc::new(head) })
    }

    /// From the start line on.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn is_request(&self) -> bool {
        matches!(self.head.start, Start::Request { .. })
    }

    /// The method when it is one of the fourteen we know, matched case-sensitively (RFC 3261 §7.1). Responses: of CSeq.
    pub fn method(&self) -> Option<rsip::Method> {
        known_method(self.method_token())
    }

    /// Responses: from CSeq; empty when that cannot be read.
    pub fn method_token(&self) -> &str {
        match &self.head.start {
            Start::Request { method, .. } => self.slice(method),
            Start::Response { .. } => self.cseq().map_or("", |cseq| cseq.method),
        }
    }

    /// Request-URI as written. Empty for responses.
    pub fn request_uri(&self) -> &str {
        match &self.head.start {
            Start::Request { uri, .. } => self.slice(uri),
            Start::Response { .. } => "",
        }
    }

    /// 100 to 699; 0 for requests.
    pub fn status(&self) -> u16 {
        match self.head.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// Reason phrase as it came (may be any UTF-8, lossy).
    pub fn reason(&self) -> Cow<'_, str> {
        match &self.head.start {
            Start::Request { .. } => Cow::Borrowed(""),
            Start::Response { reason, .. } => {
                String::from_utf8_lossy(self.bytes.get(reason.clone()).unwrap_or_default())
            }
        }
    }

    /// First value line of a header by its long name, any case or compact form on the wire, unfolded and trimmed. Bytes
    /// that are not UTF-8 read as U+FFFD. `None` when absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.named(name).next().map(|place| self.head.text(&self.bytes, place))
    }

    /// All value lines of a header in order (not split at commas).
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.named(name).map(|place| self.head.text(&self.bytes, place))
    }

    /// All values of a header whose grammar is a comma list, split with respect to quotes and `<>`. Empty elements are
    /// left out.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers(name).flat_map(CommaList)
    }

    /// Every header line: (name as written, value as it came, folds included).
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let bytes = &self.bytes;
        self.head.spans.iter().map(|span| {
            let name = std::str::from_utf8(span.name(bytes)).unwrap_or_default();
            (name, span.value(bytes))
        })
    }

    /// Shares the message's memory.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.head.body.clone())
    }

    pub fn from(&self) -> Result<NameAddr<'_>, Malformed> {
        NameAddr::parse(self.one(name::FROM, Field::From)?).map_err(|_| Malformed::Unreadable(Field::From))
    }

    pub fn to(&self) -> Result<NameAddr<'_>, Malformed> {
        NameAddr::parse(self.one(name::TO, Field::To)?).map_err(|_| Malformed::Unreadable(Field::To))
    }

    /// One run of visible ASCII.
    pub fn call_id(&self) -> Result<&str, Malformed> {
        let value = self.one(name::CALL_ID, Field::CallId)?;
        let is_good = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic());
        is_good.then_some(value).ok_or(Malformed::Unreadable(Field::CallId))
    }

    pub fn cseq(&self) -> Result<CSeq<'_>, Malformed> {
        CSeq::parse(self.one(name::CSEQ, Field::CSeq)?)
    }

    /// All Via values, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = &str> {
        self.places(name::VIA).map(|place| self.head.text(&self.bytes, place)).flat_map(CommaList)
    }

    pub fn top_via(&self) -> Result<Via<'_>, Malformed> {
        Via::parse(self.vias().next().ok_or(Malformed::Missing(Field::Via))?)
    }

    /// First Contact.
    pub fn contact(&self) -> Option<Result<NameAddr<'_>, Malformed>> {
        let value = self.list("Contact").next()?;
        Some(NameAddr::parse(value).map_err(|_| Malformed::Unreadable(Field::Contact)))
    }

    /// `None` when absent; out of 0–255 is malformed.
    pub fn max_forwards(&self) -> Result<Option<u8>, Malformed> {
        match self.one(name::MAX_FORWARDS, Field::MaxForwards) {
            Err(Malformed::Missing(_)) => Ok(None),
            Err(fault) => Err(fault),
            Ok(value) => text::number(value.as_bytes(), 255)
                .and_then(|n| u8::try_from(n).ok())
                .map(Some)
                .ok_or(Malformed::Unreadable(Field::MaxForwards)),
        }
    }

    /// Whether the body is of this media type (case-insensitive, parameters ignored).
    pub fn has_content_type(&self, media_type: &str) -> bool {
        fn parts(text: &str) -> Option<(&str, &str)> {
            let bare = text::split_at(text, b';').map_or(text, |(bare, _)| bare);
            let (kind, sub) = text::split_at(bare, b'/')?;
            Some((text::trim_str(kind), text::trim_str(sub)))
        }
        let first = self.places(name::CONTENT_TYPE).next();
        let written = first.and_then(|place| parts(self.head.text(&self.bytes, place)));
        written.zip(parts(media_type)).is_some_and(|((kind, sub), (wanted_kind, wanted_sub))| {
            kind.eq_ignore_ascii_case(wanted_kind) && sub.eq_ignore_ascii_case(wanted_sub)
        })
    }

    /// The only line of a header that must not stand twice.
    fn one(&self, id: NameId, field: Field) -> Result<&str, Malformed> {
        let mut places = self.places(id);
        let place = places.next().ok_or(Malformed::Missing(field))?;
        match places.next() {
            None => Ok(self.head.text(&self.bytes, place)),
            Some(_) => Err(Malformed::Repeated(field)),
        }
    }

    /// Places of the lines of this name.
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> {
        let id = name::lookup(name.as_bytes());
        let is_named = move |span: &head::Span| {
            span.id == id && (id != name::OTHER || span.name(&self.bytes).eq_ignore_ascii_case(name.as_bytes()))
        };
        self.head.spans.iter().enumerate().filter(move |(_, span)| is_named(span)).map(|(place, _)| place)
    }

    fn places(&self, id: NameId) -> impl Iterator<Item = usize> {
        self.head.spans.iter().enumerate().filter(move |(_, span)| span.id == id).map(|(place, _)| place)
    }

    /// Values of a header as they came.
    fn raw(&self, id: NameId) -> impl Iterator<Item = &[u8]> {
        self.head.spans.iter().filter(move |span| span.id == id).map(|span| span.value(&self.bytes))
    }

    fn slice(&self, range: &std::ops::Range<usize>) -> &str {
        self.bytes.get(range.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

fn without_leading_crlf(mut bytes: Bytes) -> Bytes {
    let pairs = bytes.chunks_exact(2).take_while(|pair| pair == b"\r\n").count();
    bytes.split_off(2 * pairs)
}

fn known_method(token: &str) -> Option<rsip::Method> {
    use rsip::Method;
    Some(match token {
        "INVITE" => Method::Invite,
        "ACK" => Method::Ack,
        "BYE" => Method::Bye,
        "CANCEL" => Method::Cancel,
        "OPTIONS" => Method::Options,
        "REGISTER" => Method::Register,
        "PRACK" => Method::PRack,
        "UPDATE" => Method::Update,
        "INFO" => Method::Info,
        "REFER" => Method::Refer,
        "NOTIFY" => Method::Notify,
        "SUBSCRIBE" => Method::Subscribe,
        "MESSAGE" => Method::Message,
        "PUBLISH" => Method::Publish,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
