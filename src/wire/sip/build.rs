//! The only place that writes SIP text. Refuses CR, LF and NUL in every value.

use bytes::Bytes;

use super::Message;

/// A value that must not stand in a message; names the header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a forbidden byte in `{field}`")]
pub struct Forbidden {
    pub field: String,
}

/// Collects a message. Errors are kept until [`Builder::finish`].
#[derive(Debug)]
pub struct Builder {}

#[allow(unused_variables)]
impl Builder {
    pub fn request(method: &str, uri: &str) -> Builder {
        unimplemented!()
    }
    /// Status line; `phrase` defaults to the RFC's own text for the code.
    pub fn response(status: u16, phrase: Option<&str>) -> Builder {
        unimplemented!()
    }
    /// Status line and the headers every response copies (RFC 3261 §8.2.6.2): all Via (the top one with `received` and
    /// `rport` as given), From, To (with `to_tag` when it has none), Call-ID, CSeq; Record-Route for dialog-forming ones.
    pub fn response_to(
        request: &Message,
        status: u16,
        phrase: Option<&str>,
        to_tag: Option<&str>,
        source: std::net::SocketAddr,
    ) -> Builder {
        unimplemented!()
    }
    pub fn header(self, name: &str, value: &str) -> Builder {
        unimplemented!()
    }
    pub fn body(self, content_type: &str, body: &[u8]) -> Builder {
        unimplemented!()
    }
    /// Adds Content-Length and the body; the bytes have exactly the header lines that were asked for.
    pub fn finish(self) -> Result<Bytes, Forbidden> {
        unimplemented!()
    }
}

/// Reason phrase of RFC 3261 §21 and its extensions; `""` for unknown codes.
pub fn phrase(status: u16) -> &'static str {
    let _ = status;
    unimplemented!()
}
