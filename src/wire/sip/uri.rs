//! URIs of SIP (RFC 3261 §19.1), `tel:` (RFC 3966) and whatever else a peer names.

use super::fault::Malformed;
use super::params;
use super::text::{self, Class};

/// `user` without escapes, and `#`, which is not in the grammar but in what people dial.
static USER: Class = text::class(b"-_.!~*'()&=+$,;?/#");
static PASSWORD: Class = text::class(b"-_.!~*'()&=+$,");
/// Wider than `hnv-unreserved`: what stands there is not read, only refused or passed by.
static HEADERS: Class = text::class(b"-_.!~*'()[]/?:+$&=@;,");
static OPAQUE: Class = text::class(b"-_.!~*'()&=+$,;?/#:@[]%{}|^`\\");

/// `scheme:user@host:port;params?headers`, borrowed. `tel:` and unknown schemes keep what follows in `opaque`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    pub text: &'a str,
    /// As written.
    pub scheme: &'a str,
    /// Raw (escaped) user part with its own parameters, without password.
    pub user: Option<&'a str>,
    /// Without brackets. Empty for schemes other than `sip` and `sips`.
    pub host: &'a str,
    pub port: Option<u16>,
    /// After the first `;`, without it; empty when there are none. For `tel:` too.
    pub params: &'a str,
    /// After `?`.
    pub headers: &'a str,
    /// `tel:`: the number with its visual separators. Unknown schemes: all after the colon. Else empty.
    pub opaque: &'a str,
}

impl<'a> Uri<'a> {
    /// # Errors
    /// [`Malformed::Uri`]. Unknown schemes are no error: who needs to understand the scheme answers 416.
    pub fn parse(text: &'a str) -> Result<Uri<'a>, Malformed> {
        read(text).ok_or(Malformed::Uri)
    }

    /// `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.scheme.eq_ignore_ascii_case("sips")
    }

    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// Value of a parameter (`""` for a flag), name matched without case.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::uri_param(self.params, name)
    }

    /// User part unescaped once; `None` when there is none or it is not UTF-8 after unescaping.
    pub fn user_unescaped(&self) -> Option<String> {
        String::from_utf8(text::unescape(self.user?)?).ok()
    }

    /// Whether both lead to the same user at the same host and port, whatever their parameters say. A port that is not
    /// written is 5060, or 5061 for `sips:` (RFC 3261 §19.1.2).
    pub fn is_same_place(&self, other: &Uri<'_>) -> bool {
        let port = |uri: &Uri<'_>| {
            let is_secure = uri.scheme.eq_ignore_ascii_case("sips");
            uri.port.unwrap_or(if is_secure { 5061 } else { 5060 })
        };
        self.is_sip()
            && other.is_sip()
            && self.host.eq_ignore_ascii_case(other.host)
            && port(self) == port(other)
            && self.subscriber() == other.subscriber()
    }

    /// What was dialled: the user part without its own parameters, or the number of a `tel:` URI, unescaped once.
    pub fn subscriber(&self) -> Option<String> {
        let raw = if self.is_tel() { self.opaque } else { self.user? };
        let raw = raw.split(';').next().unwrap_or_default();
        String::from_utf8(text::unescape(raw)?).ok()
    }
}

fn read(text: &str) -> Option<Uri<'_>> {
    let (scheme, rest) = text::split_at(text, b':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !is_scheme {
        return None;
    }
    let empty = Uri { text, scheme, user: None, host: "", port: None, params: "", headers: "", opaque: "" };
    if empty.is_sip() {
        sip(empty, rest)
    } else if empty.is_tel() {
        tel(empty, rest)
    } else {
        let is_plain = !rest.is_empty() && rest.bytes().all(|b| OPAQUE[usize::from(b)]);
        is_plain.then_some(Uri { opaque: rest, ..empty })
    }
}

fn sip<'a>(empty: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    let (user, rest) = match text::split_at(rest, b'@') {
        Some((userinfo, rest)) => (Some(user(userinfo)?), rest),
        None => (None, rest),
    };
    let (host, rest) = text::split_host(rest)?;
    let (rest, headers) = match text::split_at(rest, b'?') {
        Some((rest, headers)) => (rest, non_empty(headers)?),
        None => (rest, ""),
    };
    let (rest, params) = match text::split_at(rest, b';') {
        Some((rest, params)) => (rest, non_empty(params)?),
        None => (rest, ""),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(text::port(port)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    let is_good = (params.is_empty() || params::is_uri_list(params)) && text::is_escaped_text(headers, &HEADERS);
    is_good.then_some(Uri { user, host, port, params, headers, ..empty })
}

/// The user part of `user:password`, when both are well formed.
fn user(userinfo: &str) -> Option<&str> {
    let (user, password) = text::split_at(userinfo, b':').unwrap_or((userinfo, ""));
    let is_good = !user.is_empty() && text::is_escaped_text(user, &USER) && text::is_escaped_text(password, &PASSWORD);
    is_good.then_some(user)
}

fn tel<'a>(empty: Uri<'a>, rest: &'a str) -> Option<Uri<'a>> {
    let (number, params) = match text::split_at(rest, b';') {
        Some((number, params)) => (number, non_empty(params)?),
        None => (rest, ""),
    };
    let (digits, is_digit): (_, fn(u8) -> bool) = match number.strip_prefix('+') {
        Some(global) => (global, |b| b.is_ascii_digit()),
        None => (number, |b| b.is_ascii_hexdigit() || b == b'*' || b == b'#'),
    };
    let is_good = digits.bytes().any(is_digit)
        && digits.bytes().all(|b| is_digit(b) || b"-.()".contains(&b))
        && (params.is_empty() || params::is_uri_list(params));
    is_good.then_some(Uri { opaque: number, params, ..empty })
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
