//! The only place that writes SIP text. Refuses CR, LF and NUL in every value.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::params::Params;
use super::via::Via;
use super::{Message, NameAddr, head, name, text};

/// A value that must not stand in a message; names the header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a forbidden byte in `{field}`")]
pub struct Forbidden {
    pub field: String,
}

/// Collects a message. Errors are kept until [`Builder::finish`].
#[derive(Debug)]
pub struct Builder {
    head: Vec<u8>,
    body: Bytes,
    /// The first one.
    forbidden: Option<Forbidden>,
}

impl Builder {
    pub fn request(method: &str, uri: &str) -> Builder {
        let mut builder = Builder::empty();
        if !text::is_token(method.as_bytes()) {
            builder.forbid("method");
        }
        if uri.is_empty() || !uri.bytes().all(|b| b.is_ascii_graphic()) {
            builder.forbid("Request-URI");
        }
        builder.put(&[method.as_bytes(), b" ", uri.as_bytes(), b" SIP/2.0\r\n"]);
        builder
    }

    /// Status line; `phrase` defaults to the RFC's own text for the code.
    pub fn response(status: u16, phrase: Option<&str>) -> Builder {
        let mut builder = Builder::empty();
        if !(100..700).contains(&status) {
            builder.forbid("status");
        }
        let phrase = phrase.unwrap_or_else(|| self::phrase(status));
        builder.check("reason phrase", phrase);
        builder.put(&[b"SIP/2.0 ", status.to_string().as_bytes(), b" ", phrase.as_bytes(), b"\r\n"]);
        builder
    }

    /// Status line and the headers every response copies (RFC 3261 §8.2.6.2): all Via, the top one with `received` and
    /// `rport` of `source` (§18.2.1, RFC 3581 §4; a value the sender wrote there is replaced), From, To (with `to_tag`
    /// when it has none), Call-ID, CSeq; Record-Route unless the request is refused; Timestamp in a 100.
    ///
    /// All but the top Via is copied byte for byte, only unfolded. What is not there is left out.
    pub fn response_to(
        request: &Message,
        status: u16,
        phrase: Option<&str>,
        to_tag: Option<&str>,
        source: SocketAddr,
    ) -> Builder {
        let mut builder = Builder::response(status, phrase);
        let mut vias = request.raw(name::VIA);
        if let Some(top) = vias.next() {
            builder.top_via(top, source);
        }
        vias.for_each(|via| builder.copy("Via", via));
        if (101..300).contains(&status) {
            request.raw(name::RECORD_ROUTE).for_each(|route| builder.copy("Record-Route", route));
        }
        if let Some(from) = request.raw(name::FROM).next() {
            builder.copy("From", from);
        }
        if let Some(to) = request.raw(name::TO).next() {
            builder.to(to, to_tag);
        }
        if let Some(call_id) = request.raw(name::CALL_ID).next() {
            builder.copy("Call-ID", call_id);
        }
        if let Some(cseq) = request.raw(name::CSEQ).next() {
            builder.copy("CSeq", cseq);
        }
        if status == 100
            && let Some(timestamp) = request.raw(name::TIMESTAMP).next()
        {
            builder.copy("Timestamp", timestamp);
        }
        builder
    }

    /// One header line. `Content-Length` is not for the caller to write.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Builder {
        if !text::is_token(name.as_bytes()) || name::lookup(name.as_bytes()) == name::CONTENT_LENGTH {
            self.forbid(name);
        }
        self.check(name, value);
        self.put(&[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        self
    }

    /// Content-Type and the body. The last call wins the body; call it once.
    #[must_use]
    pub fn body(self, content_type: &str, body: &[u8]) -> Builder {
        let mut builder = self.header("Content-Type", content_type);
        builder.body = Bytes::copy_from_slice(body);
        builder
    }

    /// Adds Content-Length and the body; the bytes have exactly the header lines that were asked for.
    ///
    /// # Errors
    /// The first value that had a forbidden byte; nothing of the message comes back then.
    pub fn finish(mut self) -> Result<Bytes, Forbidden> {
        if let Some(forbidden) = self.forbidden {
            return Err(forbidden);
        }
        let len = self.body.len().to_string();
        self.head.reserve_exact(len.len() + self.body.len() + 24);
        self.head.extend_from_slice(b"Content-Length: ");
        self.head.extend_from_slice(len.as_bytes());
        self.head.extend_from_slice(b"\r\n\r\n");
        self.head.extend_from_slice(&self.body);
        // Messages are kept for as long as they may be asked for again, so they take no more room than they need.
        Ok(Bytes::copy_from_slice(&self.head))
    }

    fn empty() -> Builder {
        Builder { head: Vec::with_capacity(1024), body: Bytes::new(), forbidden: None }
    }

    fn put(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.head.extend_from_slice(part);
        }
    }

    fn check(&mut self, field: &str, value: &str) {
        if memchr::memchr3(b'\r', b'\n', 0, value.as_bytes()).is_some() {
            self.forbid(field);
        }
    }

    fn forbid(&mut self, field: &str) {
        self.forbidden.get_or_insert_with(|| Forbidden { field: field.to_owned() });
    }

    /// A value that was read from a message. It may have a NUL (RFC 4475 `intmeth` has one in a quoted pair); line ends
    /// are only folds and become spaces.
    fn copy(&mut self, name: &str, value: &[u8]) {
        self.put(&[name.as_bytes(), b": ", &head::unfold(value), b"\r\n"]);
    }

    /// A To that cannot be read is left as it is: nobody can say what a tag behind it would belong to.
    fn to(&mut self, value: &[u8], tag: Option<&str>) {
        let value = head::unfold(value);
        let lacks_tag = NameAddr::parse(&String::from_utf8_lossy(&value)).is_ok_and(|to| to.tag().is_none());
        self.put(&[b"To: ", &value]);
        if let Some(tag) = tag.filter(|_| lacks_tag) {
            if !text::is_token(tag.as_bytes()) {
                self.forbid("To tag");
            }
            self.put(&[b";tag=", tag.as_bytes()]);
        }
        self.put(&[b"\r\n"]);
    }

    fn top_via(&mut self, line: &[u8], source: SocketAddr) {
        let line = head::unfold(line);
        let (top, others) = line.split_at(text::find_bare(&line, b',').unwrap_or(line.len()));
        self.put(&[b"Via: "]);
        match std::str::from_utf8(top).ok().and_then(|top| Some((top, Via::parse(top).ok()?))) {
            Some((top, via)) => self.put_via(top, &via, source),
            None => self.put(&[top]),
        }
        self.put(&[others, b"\r\n"]);
    }

    /// `top` is the text that `via` was read from.
    fn put_via(&mut self, top: &str, via: &Via<'_>, source: SocketAddr) {
        let address = source.ip().to_canonical();
        let sent_by = top.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
        self.put(&[sent_by.as_bytes()]);
        let mut has_rport = false;
        for param in Params::new(via.params).raw() {
            let name = param.split('=').next().unwrap_or_default();
            let name = text::trim_str(name);
            if name.eq_ignore_ascii_case("rport") {
                has_rport = true;
                self.put(&[b";rport=", source.port().to_string().as_bytes()]);
            } else if !name.eq_ignore_ascii_case("received") {
                self.put(&[b";", param.as_bytes()]);
            }
        }
        if has_rport || via.host.parse::<IpAddr>().ok() != Some(address) {
            self.put(&[b";received=", address.to_string().as_bytes()]);
        }
    }
}

/// A display name in quotes, with its quotes and backslashes escaped. Control characters become spaces.
pub fn quote_display(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out.push('"');
    out
}

/// A user part: every byte that may not stand there as `%XX` (RFC 3261 §19.1.2). Visual `+` and `*` stay, `#` does not.
pub fn escape_user(user: &str) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| HEX.get(usize::from(value & 15)).copied().unwrap_or('0');
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    out
}

/// Reason phrase of RFC 3261 §21 and its extensions; `""` for unknown codes.
pub fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        417 => "Unknown Resource-Priority",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        424 => "Bad Location Information",
        425 => "Bad Alert Message",
        428 => "Use Identity Header",
        429 => "Provide Referrer Identity",
        430 => "Flow Failed",
        433 => "Anonymity Disallowed",
        436 => "Bad Identity Info",
        437 => "Unsupported Credential",
        438 => "Invalid Identity Header",
        439 => "First Hop Lacks Outbound Support",
        440 => "Max-Breadth Exceeded",
        469 => "Bad Info Package",
        470 => "Consent Needed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        555 => "Push Notification Service Not Supported",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => "",
    }
}
