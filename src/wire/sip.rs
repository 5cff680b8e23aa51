//! SIP messages (RFC 3261 §7, §25) as spans over their own bytes: one pass, no copies, headers we do not understand
//! carried through byte for byte.

pub mod build;

use bytes::Bytes;

// ───────────────────────── API agreed on; to be implemented ─────────────────────────

/// Why bytes are not a SIP message we read. Facts, one per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    #[error("not SIP")]
    NotSip,
}

/// A message as it came. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
}

/// `scheme:user@host:port;params?headers`, borrowed. `tel:` and unknown schemes keep what follows in `opaque`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    pub text: &'a str,
    pub scheme: &'a str,
    /// Raw (escaped) user part with its own parameters, without password.
    pub user: Option<&'a str>,
    /// Without brackets.
    pub host: &'a str,
    pub port: Option<u16>,
    /// After the first `;`, without it; empty when there are none.
    pub params: &'a str,
    /// After `?`.
    pub headers: &'a str,
}

/// `"display" <uri>;params` or `uri;params` (RFC 3261 §20.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// As written between the quotes (escapes kept), or the tokens; empty when there is none.
    pub display: &'a str,
    pub uri: Uri<'a>,
    pub params: &'a str,
}

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, … as written.
    pub transport: &'a str,
    pub host: &'a str,
    pub port: Option<u16>,
    pub params: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    pub number: u32,
    pub method: &'a str,
}

#[allow(unused_variables)]
impl Message {
    /// Reads one whole message. `bytes` is a datagram or what [`frame`] cut from a stream. Anything after the body
    /// that Content-Length names is ignored (RFC 3261 §18.3).
    pub fn parse(bytes: Bytes) -> Result<Message, Malformed> {
        unimplemented!()
    }
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    pub fn is_request(&self) -> bool {
        unimplemented!()
    }
    /// The method when it is one of the fourteen we know, matched case-sensitively (RFC 3261 §7.1). Responses: from CSeq.
    pub fn method(&self) -> Option<rsip::Method> {
        unimplemented!()
    }
    pub fn method_token(&self) -> &str {
        unimplemented!()
    }
    /// Request-URI as written.
    pub fn request_uri(&self) -> &str {
        unimplemented!()
    }
    /// 100 to 699; 0 for requests.
    pub fn status(&self) -> u16 {
        unimplemented!()
    }
    /// Reason phrase as it came (may be any UTF-8, lossy).
    pub fn reason(&self) -> std::borrow::Cow<'_, str> {
        unimplemented!()
    }
    /// First value line of a header by its long name, any case or compact form on the wire, unfolded and trimmed. `None`
    /// when absent or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        unimplemented!()
    }
    /// All value lines of a header in order (not split at commas).
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::empty()
    }
    /// All values of a header whose grammar is a comma list, split with respect to quotes and `<>`.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::empty()
    }
    /// Every header line: (name as written, value).
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        std::iter::empty()
    }
    pub fn body(&self) -> Bytes {
        unimplemented!()
    }
    pub fn from(&self) -> Result<NameAddr<'_>, Malformed> {
        unimplemented!()
    }
    pub fn to(&self) -> Result<NameAddr<'_>, Malformed> {
        unimplemented!()
    }
    pub fn call_id(&self) -> Result<&str, Malformed> {
        unimplemented!()
    }
    pub fn cseq(&self) -> Result<CSeq<'_>, Malformed> {
        unimplemented!()
    }
    pub fn top_via(&self) -> Result<Via<'_>, Malformed> {
        unimplemented!()
    }
    /// First Contact.
    pub fn contact(&self) -> Option<Result<NameAddr<'_>, Malformed>> {
        unimplemented!()
    }
    /// `None` when absent; out of 0–255 is malformed.
    pub fn max_forwards(&self) -> Result<Option<u8>, Malformed> {
        unimplemented!()
    }
    /// Whether the body is of this media type (case-insensitive, parameters ignored).
    pub fn has_content_type(&self, media_type: &str) -> bool {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl<'a> Uri<'a> {
    pub fn parse(text: &'a str) -> Result<Uri<'a>, Malformed> {
        unimplemented!()
    }
    /// Value of a parameter (`""` for a flag), name matched without case.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        unimplemented!()
    }
    /// User part unescaped once; `None` when there is none or it is not UTF-8 after unescaping.
    pub fn user_unescaped(&self) -> Option<String> {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl<'a> NameAddr<'a> {
    pub fn parse(text: &'a str) -> Result<NameAddr<'a>, Malformed> {
        unimplemented!()
    }
    pub fn param(&self, name: &str) -> Option<&'a str> {
        unimplemented!()
    }
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }
    /// Display name with escapes undone.
    pub fn display_text(&self) -> String {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl<'a> Via<'a> {
    pub fn parse(text: &'a str) -> Result<Via<'a>, Malformed> {
        unimplemented!()
    }
    pub fn param(&self, name: &str) -> Option<&'a str> {
        unimplemented!()
    }
    pub fn branch(&self) -> Option<&'a str> {
        self.param("branch")
    }
}
