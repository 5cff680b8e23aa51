//! The head of a message: start line and header lines as spans, in one pass.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use super::fault::Malformed;
use super::name::{self, NameId};
use super::text;
use crate::limits;

/// What the start line says. Ranges into the message.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Request { method: Range<usize>, uri: Range<usize> },
    Response { status: u16, reason: Range<usize> },
}

/// One header line. Places fit into 16 bits because a head has at most [`limits::SIP_HEAD`] bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    name_start: u16,
    name_end: u16,
    value_start: u16,
    value_end: u16,
    pub(super) id: NameId,
    /// The value as text is in [`Head::rewritten`]: it was folded or is not UTF-8.
    is_rewritten: bool,
}

/// Spans over the bytes of one message, which are kept elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) start: Start,
    pub(super) spans: SmallVec<[Span; 24]>,
    /// Place of the header line and its value, in order of place.
    rewritten: Vec<(usize, Box<str>)>,
    pub(super) body: Range<usize>,
}

const _: () = assert!(limits::SIP_HEAD <= u16::MAX as usize && limits::SIP_LINE < limits::SIP_HEAD);

impl Span {
    pub(super) fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.name_start)..usize::from(self.name_end)).unwrap_or_default()
    }
    /// As it came, folds included, blanks at the ends cut.
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.value_start)..usize::from(self.value_end)).unwrap_or_default()
    }
}

impl Head {
    /// Value of the header line at this place: unfolded, trimmed, bytes that are not UTF-8 as U+FFFD.
    pub(super) fn text<'a>(&'a self, bytes: &'a [u8], at: usize) -> &'a str {
        let Some(span) = self.spans.get(at) else { return "" };
        if !span.is_rewritten {
            return std::str::from_utf8(span.value(bytes)).unwrap_or_default();
        }
        let found = self.rewritten.binary_search_by_key(&at, |(place, _)| *place);
        found.ok().and_then(|i| self.rewritten.get(i)).map_or("", |(_, text)| text)
    }

    /// Reads the head and finds the body. `bytes` starts with the start line.
    pub(super) fn read(bytes: &[u8]) -> Result<Head, Malformed> {
        if bytes.len() > limits::SIP_MESSAGE {
            return Err(Malformed::MessageTooLong);
        }
        let first = line(bytes, 0, false)?;
        let start = start_line(bytes.get(..first.end).unwrap_or_default())?;
        let mut head = Head { start, spans: SmallVec::new(), rewritten: Vec::new(), body: 0..0 };
        let mut body_len = None;
        let mut at = first.next;
        loop {
            let line = line(bytes, at, true)?;
            if line.next > limits::SIP_HEAD {
                return Err(Malformed::HeadTooLong);
            }
            if line.end == at {
                at = line.next;
                break;
            }
            let id = head.push(bytes, at..line.end, line.is_folded)?;
            if id == name::CONTENT_LENGTH {
                let value = head.spans.last().map(|span| span.value(bytes)).unwrap_or_default();
                let len = content_length(value).filter(|_| body_len.is_none()).ok_or(Malformed::ContentLength)?;
                body_len = Some(len);
            }
            at = line.next;
        }
        let rest = bytes.len().saturating_sub(at);
        let body_len = body_len.unwrap_or(rest);
        if body_len > limits::SIP_BODY {
            return Err(Malformed::BodyTooLong);
        }
        if body_len > rest {
            return Err(Malformed::Truncated);
        }
        head.body = at..at + body_len;
        Ok(head)
    }

    /// Reads what can be read of a broken request: good header lines up to the limits; the start line's method and
    /// Request-URI when they are there. `None` for what does not look like a request. There is no body.
    pub(super) fn salvage(bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.get(..bytes.len().min(limits::SIP_HEAD))?;
        let first_end = memchr::memchr2(b'\r', b'\n', bytes)?;
        let start = broken_request_line(bytes.get(..first_end)?)?;
        let mut head = Head { start, spans: SmallVec::new(), rewritten: Vec::new(), body: 0..0 };
        let mut at = first_end + memchr::memchr(b'\n', bytes.get(first_end..)?)? + 1;
        while let Some((end, next, is_folded)) = loose_line(bytes, at) {
            if end == at || head.spans.len() == limits::SIP_HEADERS {
                break;
            }
            // A line that cannot be read is left out; the others still stand.
            let _ = head.push(bytes, at..end, is_folded);
            at = next;
        }
        Some(head)
    }

    /// Adds one header line, given without its line end.
    fn push(&mut self, bytes: &[u8], line: Range<usize>, is_folded: bool) -> Result<NameId, Malformed> {
        let text = bytes.get(line.clone()).unwrap_or_default();
        if text.len() > limits::SIP_LINE {
            return Err(Malformed::LineTooLong);
        }
        let (name_len, colon) = header_name(text).ok_or(Malformed::HeaderLine)?;
        if name_len > limits::SIP_TOKEN {
            return Err(Malformed::TokenTooLong);
        }
        if self.spans.len() >= limits::SIP_HEADERS {
            return Err(Malformed::TooManyHeaders);
        }
        let after = text.get(colon + 1..).unwrap_or_default();
        let value = trim_folds(after);
        let lead = if value.is_empty() { 0 } else { after.len() - skip_folds(after).len() };
        let value_start = line.start + colon + 1 + lead;
        let id = name::lookup(text.get(..name_len).unwrap_or_default());
        let is_folded = is_folded && memchr::memchr(b'\r', value).is_some();
        let is_rewritten = is_folded || !value.is_ascii() && std::str::from_utf8(value).is_err();
        if is_rewritten {
            let text = String::from_utf8_lossy(&unfold(value)).into_owned().into_boxed_str();
            self.rewritten.push((self.spans.len(), text));
        }
        let place = |at: usize| u16::try_from(at).map_err(|_| Malformed::HeadTooLong);
        self.spans.push(Span {
            name_start: place(line.start)?,
            name_end: place(line.start + name_len)?,
            value_start: place(value_start)?,
            value_end: place(value_start + value.len())?,
            id,
            is_rewritten,
        });
        Ok(id)
    }
}

/// `1*DIGIT`. `None` when it is anything else; beyond all limits it is only "too long".
pub(super) fn content_length(value: &[u8]) -> Option<usize> {
    let value = text::number(value, u64::from(u32::MAX))?;
    usize::try_from(value).ok()
}

/// Length of the name and place of the colon: a token, blanks, a colon. Blanks before the colon are legal (RFC 3261
/// §7.3.1), anything else there is not.
pub(super) fn header_name(line: &[u8]) -> Option<(usize, usize)> {
    let name_len = line.iter().position(|&b| !text::is_token_byte(b)).filter(|&len| len > 0)?;
    let blanks = line.get(name_len..)?.iter().position(|&b| !text::is_blank(b))?;
    let colon = name_len + blanks;
    (line.get(colon) == Some(&b':')).then_some((name_len, colon))
}

struct Line {
    /// Before the CRLF that ends it.
    end: usize,
    /// After that CRLF.
    next: usize,
    is_folded: bool,
}

/// The logical line from `at`: up to the CRLF that no blank follows.
fn line(bytes: &[u8], at: usize, may_fold: bool) -> Result<Line, Malformed> {
    let mut from = at;
    let mut is_folded = false;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let end = from + memchr::memchr2(b'\r', b'\n', rest).ok_or(Malformed::HeadOpen)?;
        match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => {}
            (Some(b'\r'), None) => return Err(Malformed::HeadOpen),
            _ => return Err(Malformed::LineEnd),
        }
        if end - at > limits::SIP_LINE {
            return Err(Malformed::LineTooLong);
        }
        let next = end + 2;
        let goes_on = may_fold && end > at && bytes.get(next).is_some_and(|&b| text::is_blank(b));
        if !goes_on {
            return Ok(Line { end, next, is_folded });
        }
        is_folded = true;
        from = next;
    }
}

/// As [`line`] for what is broken: LF alone ends a line too. A CR inside stays and is cut by who writes.
fn loose_line(bytes: &[u8], at: usize) -> Option<(usize, usize, bool)> {
    let mut from = at;
    let mut is_folded = false;
    loop {
        let lf = from + memchr::memchr(b'\n', bytes.get(from..)?)?;
        let end = if lf > at && bytes.get(lf - 1) == Some(&b'\r') { lf - 1 } else { lf };
        let next = lf + 1;
        if end == at || !bytes.get(next).is_some_and(|&b| text::is_blank(b)) {
            return Some((end, next, is_folded));
        }
        is_folded = true;
        from = next;
    }
}

fn start_line(line: &[u8]) -> Result<Start, Malformed> {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(line);
    }
    let mut parts = line.split(|&b| b == b' ');
    let (method, uri, version) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(uri), Some(version), None) = (method, uri, version, parts.next()) else {
        return Err(if looks_like_sip(line) { Malformed::RequestLine } else { Malformed::NotSip });
    };
    if !version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/")) {
        return Err(if looks_like_sip(line) { Malformed::RequestLine } else { Malformed::NotSip });
    }
    let is_uri = !uri.is_empty() && uri.iter().all(u8::is_ascii_graphic);
    if !text::is_token(method) || !is_uri {
        return Err(Malformed::RequestLine);
    }
    if method.len() > limits::SIP_TOKEN {
        return Err(Malformed::TokenTooLong);
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(Malformed::Version);
    }
    let uri_start = method.len() + 1;
    Ok(Start::Request { method: 0..method.len(), uri: uri_start..uri_start + uri.len() })
}

/// An empty reason may come without its blank: many stacks write it so and there is no second reading.
fn status_line(line: &[u8]) -> Result<Start, Malformed> {
    let version = line.split(|&b| b == b' ').next().unwrap_or_default();
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(Malformed::Version);
    }
    let code = line.get(8..11).filter(|code| code.iter().all(u8::is_ascii_digit));
    let status = code.and_then(|code| text::number(code, 699)).and_then(|code| u16::try_from(code).ok());
    match (status, line.get(11)) {
        (Some(status @ 100..), None) => Ok(Start::Response { status, reason: line.len()..line.len() }),
        (Some(status @ 100..), Some(b' ')) => Ok(Start::Response { status, reason: 12..line.len() }),
        _ => Err(Malformed::StatusLine),
    }
}

/// Whether a stream may go on behind this line: a status line or a request line, well formed or not.
pub(super) fn is_start_line(line: &[u8]) -> bool {
    looks_like_sip(line)
}

/// Whether a line that is not a request line was meant to be one.
fn looks_like_sip(line: &[u8]) -> bool {
    let starts_with_method = line.first().is_some_and(|&b| text::is_token_byte(b));
    starts_with_method && line.windows(4).any(|part| part.eq_ignore_ascii_case(b"SIP/"))
}

fn broken_request_line(line: &[u8]) -> Option<Start> {
    let is_response = line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    if is_response || line.len() > limits::SIP_LINE || !looks_like_sip(line) {
        return None;
    }
    let method_len = line.iter().position(|&b| !text::is_token_byte(b))?;
    let blanks = line.get(method_len..)?.iter().take_while(|&&b| b == b' ').count();
    let uri_start = method_len + blanks;
    let uri_len = line.get(uri_start..)?.iter().take_while(|&&b| b.is_ascii_graphic()).count();
    Some(Start::Request { method: 0..method_len, uri: uri_start..uri_start + uri_len })
}

fn is_fold_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_folds(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&b| !is_fold_byte(b)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// Without blanks and line ends at both ends.
pub(super) fn trim_folds(text: &[u8]) -> &[u8] {
    let text = skip_folds(text);
    let end = text.iter().rposition(|&b| !is_fold_byte(b)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// Each fold, with the blanks around it, becomes one space (RFC 3261 §7.3.1). A CR or LF of a broken message too.
pub(super) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(text::trim(before));
        out.push(b' ');
        rest = skip_folds(after);
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}
