//! The lexical rules that all of SIP shares (RFC 3261 §25.1). Every function is linear in its input.

/// A set of bytes.
pub(super) type Class = [bool; 256];

/// Bytes of a `token`.
static TOKEN: Class = class(b"-.!%*_+`'~");
/// Bytes of a host name. The underscore is not in the grammar and common in local names.
static HOST: Class = class(b"-._");

/// ASCII letters, digits and these.
pub(super) const fn class(extra: &[u8]) -> Class {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < extra.len() {
        table[extra[i] as usize] = true;
        i += 1;
    }
    table
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_token_byte(b))
}

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Without blanks at both ends.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

pub(super) fn trim_str(text: &str) -> &str {
    let is_trimmed = !text.bytes().next().is_some_and(is_blank) && !text.bytes().next_back().is_some_and(is_blank);
    if is_trimmed { text } else { text.trim_matches([' ', '\t']) }
}

/// At the first of these bytes, which is ASCII. For the short texts here a plain walk beats a search.
pub(super) fn split_at(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|b| b == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Splits a host and what follows it: a host name, an IPv4 address or a bracketed IPv6 address. The host comes back
/// without brackets.
pub(super) fn split_host(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = split_at(inner, b']')?;
        return is_ipv6(address).then_some((address, rest));
    }
    let end = text.bytes().position(|b| !HOST[usize::from(b)]).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// RFC 5118 §4.10: the grammar of RFC 3261 wrote three colons before a mixed IPv4 part, and a reader should bear it.
fn is_ipv6(text: &str) -> bool {
    use std::net::Ipv6Addr;
    text.parse::<Ipv6Addr>().is_ok()
        || text.len() < 64 && text.contains(":::") && text.replacen(":::", "::", 1).parse::<Ipv6Addr>().is_ok()
}

/// Decimal digits up to `max`; no sign, no blanks. Leading zeros are allowed and count for nothing.
pub(super) fn number(text: &[u8], max: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit).filter(|&v| v <= max)
    })
}

pub(super) fn port(text: &str) -> Option<u16> {
    if text.len() > 5 {
        return None;
    }
    u16::try_from(number(text.as_bytes(), 65_535)?).ok()
}

/// Length of the quoted string that starts at the quote `text[0]`, both quotes included. `None` when it does not end.
pub(super) fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let rest = text.get(at..)?;
        let found = at + memchr::memchr2(b'"', b'\\', rest)?;
        if text.get(found) == Some(&b'"') {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// Undoes `\x` pairs of a quoted string's inside.
pub(super) fn unquote(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

/// Undoes `%xx` once. `None` when an escape is broken.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' { hex(bytes.next()?)? * 16 + hex(bytes.next()?)? } else { byte });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Whether every byte is of the class or part of a whole `%xx`.
pub(super) fn is_escaped_text(text: &str, allowed: &Class) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = (bytes.next(), bytes.next());
            if !matches!(pair, (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
                return false;
            }
        } else if !allowed[usize::from(byte)] {
            return false;
        }
    }
    true
}

/// Position of the first `stop` outside quoted strings and `<>`. An open quote or bracket hides the rest.
pub(super) fn find_bare(text: &[u8], stop: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let found = memchr::memchr3(stop, b'"', b'<', rest)?;
        let hidden = rest.get(found..)?;
        at += found
            + match hidden.first()? {
                b'"' => quoted_len(hidden)?,
                b'<' => memchr::memchr(b'>', hidden)? + 1,
                _ => return Some(at + found),
            };
    }
}

/// The elements of a comma list, trimmed; empty ones are left out.
#[derive(Clone, Debug)]
pub(super) struct CommaList<'a>(pub(super) &'a str);

impl<'a> Iterator for CommaList<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.0.is_empty() {
            let (element, rest) = match find_bare(self.0.as_bytes(), b',') {
                Some(comma) => (self.0.get(..comma)?, self.0.get(comma + 1..)?),
                None => (self.0, ""),
            };
            self.0 = rest;
            let element = trim_str(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}
