//! Messages out of a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1).

use bytes::{Buf, Bytes, BytesMut};

use super::fault::Malformed;
use super::{head, name, text};
use crate::limits;

/// What a stream brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The bytes of one message, for [`Message::parse`](super::Message::parse). It may still be malformed, but where it
    /// ends is certain.
    Message(Bytes),
    /// A double CRLF; the peer waits for one CRLF (RFC 5626 §3.5.1).
    Ping,
    /// The CRLF that was announced by [`Framer::expect_pong`].
    Pong,
}

/// The stream cannot be followed any more; the connection is to be closed. `head` may be answered with a
/// [`Salvage`](super::Salvage) of it before that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream: {why}")]
pub struct FrameError {
    pub why: Malformed,
    /// What was collected of the message at fault, at most [`limits::SIP_HEAD`].
    pub head: Bytes,
}

/// Cuts a stream into messages, by Content-Length only. The result does not depend on how the stream was cut before.
///
/// Call [`next`](Framer::next) until it gives `None` after each [`push`](Framer::push): then it holds less than one
/// message.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    state: State,
    expects_pong: bool,
    error: Option<FrameError>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between messages; whether a CRLF came since the last message or ping.
    Between { half_ping: bool },
    /// Inside a head. Lines are looked at once.
    Head(Lines),
    /// The whole message has this length.
    Body { total: usize },
}

#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    /// Start of the header line that may still be folded; the start line is looked at by itself.
    line: usize,
    /// Everything before is scanned.
    scanned: usize,
    has_start: bool,
    content_length: Option<usize>,
}

impl Default for State {
    fn default() -> State {
        State::Between { half_ping: false }
    }
}

impl Framer {
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Bytes as they came. Ignored after an error.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// We sent a ping: the next CRLF between messages answers it, and is no half of a ping of theirs.
    pub fn expect_pong(&mut self) {
        self.expects_pong = true;
    }

    /// Bytes held back for the rest of a message.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// Junk, no or a bad Content-Length, a limit. The same error comes again on every later call.
    #[allow(clippy::should_implement_trait)] // not an iterator: `None` is not the end
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        self.step().map_err(|why| {
            let mut bytes = std::mem::take(&mut self.buffer);
            bytes.truncate(limits::SIP_HEAD);
            let error = FrameError { why, head: bytes.freeze() };
            self.error = Some(error.clone());
            error
        })
    }

    fn step(&mut self) -> Result<Option<Frame>, Malformed> {
        loop {
            match self.state {
                State::Between { half_ping } => match self.buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        self.buffer.advance(2);
                        if std::mem::take(&mut self.expects_pong) {
                            self.state = State::default();
                            return Ok(Some(Frame::Pong));
                        }
                        self.state = State::Between { half_ping: !half_ping };
                        if half_ping {
                            return Ok(Some(Frame::Ping));
                        }
                    }
                    [] | [b'\r'] => return Ok(None),
                    [first, ..] if text::is_token_byte(*first) => self.state = State::Head(Lines::default()),
                    _ => return Err(Malformed::NotSip),
                },
                State::Head(mut lines) => {
                    let total = lines.scan(&self.buffer)?;
                    self.state = State::Head(lines);
                    match total {
                        Some(total) => self.state = State::Body { total },
                        None => return Ok(None),
                    }
                }
                State::Body { total } if self.buffer.len() >= total => {
                    self.state = State::default();
                    return Ok(Some(Frame::Message(self.buffer.split_to(total).freeze())));
                }
                State::Body { .. } => return Ok(None),
            }
        }
    }
}

impl Lines {
    /// Goes on where it stopped. The length of the whole message once the head is there.
    fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        loop {
            let rest = bytes.get(self.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.scanned = bytes.len();
                return self.wait();
            };
            let end = self.scanned + found;
            self.check(end)?;
            match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => {}
                (Some(b'\r'), None) => {
                    self.scanned = end;
                    return self.wait();
                }
                _ => return Err(Malformed::LineEnd),
            }
            let next = end + 2;
            if end == self.line {
                return self.total(next).map(Some);
            }
            // Whether the line goes on shows in the byte after it.
            let Some(&after) = bytes.get(next) else {
                self.scanned = end;
                return self.wait();
            };
            self.scanned = next;
            if !(self.has_start && text::is_blank(after)) {
                self.line(bytes.get(self.line..end).unwrap_or_default())?;
                self.line = next;
            }
        }
    }

    fn wait(&self) -> Result<Option<usize>, Malformed> {
        self.check(self.scanned).map(|()| None)
    }

    /// Whether a line may reach to this place. The limit that stands first is the one that counts, so that it does not
    /// matter how much came at once.
    fn check(&self, at: usize) -> Result<(), Malformed> {
        let line = self.line + limits::SIP_LINE;
        if at <= line.min(limits::SIP_HEAD) {
            Ok(())
        } else if line < limits::SIP_HEAD {
            Err(Malformed::LineTooLong)
        } else {
            Err(Malformed::HeadTooLong)
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        if !self.has_start {
            self.has_start = true;
            return if head::is_start_line(line) { Ok(()) } else { Err(Malformed::NotSip) };
        }
        let (name_len, colon) = head::header_name(line).ok_or(Malformed::HeaderLine)?;
        if name::lookup(line.get(..name_len).unwrap_or_default()) == name::CONTENT_LENGTH {
            let value = head::trim_folds(line.get(colon + 1..).unwrap_or_default());
            let len = head::content_length(value).filter(|_| self.content_length.is_none());
            self.content_length = Some(len.ok_or(Malformed::ContentLength)?);
        }
        Ok(())
    }

    fn total(&self, head: usize) -> Result<usize, Malformed> {
        let body = self.content_length.ok_or(Malformed::NoContentLength)?;
        if body > limits::SIP_BODY {
            return Err(Malformed::BodyTooLong);
        }
        Ok(head + body)
    }
}
