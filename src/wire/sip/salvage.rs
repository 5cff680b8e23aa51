//! The answerable part of a request that is not well formed.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::build::Builder;
use super::head::Head;
use super::{Message, without_leading_crlf};

/// What could be read of a broken request. Enough for a 400 or 505 without state, and for nothing else: it is not a
/// [`Message`] to act on.
#[derive(Clone, Debug)]
pub struct Salvage {
    message: Message,
}

impl Salvage {
    /// `None` when no answer may be sent: not a request, an ACK, or no Via.
    pub fn read(bytes: Bytes) -> Option<Salvage> {
        let bytes = without_leading_crlf(bytes);
        let head = Head::salvage(&bytes)?;
        let message = Message { bytes, head: Arc::new(head) };
        let is_answerable = message.method_token() != "ACK" && message.vias().next().is_some();
        is_answerable.then_some(Salvage { message })
    }

    /// May not be the method the sender meant; for logs.
    pub fn method_token(&self) -> &str {
        self.message.method_token()
    }

    /// For logs; empty when it cannot be read.
    pub fn call_id(&self) -> &str {
        self.message.call_id().unwrap_or_default()
    }

    /// The answer, with those of Via, From, To, Call-ID and CSeq that were there.
    pub fn response(&self, status: u16, phrase: Option<&str>, to_tag: Option<&str>, source: SocketAddr) -> Builder {
        Builder::response_to(&self.message, status, phrase, to_tag, source)
    }
}
