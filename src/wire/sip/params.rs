//! `;name=value` lists, of headers (RFC 3261 `generic-param`) and of URIs (`uri-parameter`).

use super::text::{self, Class};

/// `paramchar` without escapes.
static URI_PARAM: Class = text::class(b"-_.!~*'()[]/:&+$");

/// Bytes of a header parameter's value that is not quoted.
static VALUE: Class = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = !matches!(byte as u8, 0..=b' ' | 0x7f | b'"' | b'<' | b'>' | b',' | b';');
        byte += 1;
    }
    table
};

/// The parameters of a list in order, as they stand: `(name, value)`, trimmed, a quoted value without its quotes and
/// with its escapes.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: Option<&'a str>,
}

impl<'a> Params<'a> {
    /// `list` starts after the first `;`. Empty text is an empty list.
    pub fn new(list: &'a str) -> Params<'a> {
        Params { rest: (!list.is_empty()).then_some(list) }
    }

    /// Each parameter as written, blanks at the ends cut.
    pub(super) fn raw(mut self) -> impl Iterator<Item = &'a str> {
        std::iter::from_fn(move || self.next_raw())
    }

    fn next_raw(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (element, left) = match text::find_bare(rest.as_bytes(), b';') {
            Some(at) => (rest.get(..at)?, rest.get(at + 1..)),
            None => (rest, None),
        };
        self.rest = left;
        Some(text::trim_str(element))
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = split(self.next_raw()?);
        Some((name, value.map(|v| v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v))))
    }
}

/// Value of the first parameter of this name, `""` for a flag. Case does not matter.
pub(super) fn header_param<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    Params::new(list).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or(""))
}

/// As [`header_param`]; `%6C%72` is `lr` (RFC 3261 §19.1.4, RFC 4475 §3.1.1.3).
pub(super) fn uri_param<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let is_name = |written: &str| {
        written.eq_ignore_ascii_case(name)
            || written.contains('%')
                && text::unescape(written).is_some_and(|plain| plain.eq_ignore_ascii_case(name.as_bytes()))
    };
    Params::new(list).find(|(n, _)| is_name(n)).map(|(_, value)| value.unwrap_or(""))
}

/// Whether a header's parameter list can be read in one way only: no empty element, names are tokens, values are
/// quoted strings or one run of visible bytes, and none of `once` stands twice.
pub(super) fn is_header_list(list: &str, once: &[&str]) -> bool {
    let mut seen = 0u32;
    let is_good = |element: &str| {
        let (name, value) = split(element);
        let bit = once.iter().position(|o| name.eq_ignore_ascii_case(o)).map_or(0, |at| 1u32 << at);
        let again = seen & bit != 0;
        seen |= bit;
        !again && text::is_token(name.as_bytes()) && value.is_none_or(is_header_value)
    };
    Params::new(list).raw().all(is_good)
}

/// Whether a URI's parameter list is one.
pub(super) fn is_uri_list(list: &str) -> bool {
    Params::new(list).raw().all(|element| {
        let (name, value) = text::split_at(element, b'=').map_or((element, None), |(n, v)| (n, Some(v)));
        let is_part = |part: &str| !part.is_empty() && text::is_escaped_text(part, &URI_PARAM);
        is_part(name) && value.is_none_or(is_part)
    })
}

fn split(element: &str) -> (&str, Option<&str>) {
    match text::split_at(element, b'=') {
        Some((name, value)) => (text::trim_str(name), Some(text::trim_str(value))),
        None => (element, None),
    }
}

/// Wider than `gen-value`: peers send `/`, `:`, `@` and `=` unquoted, and there is still one reading.
fn is_header_value(value: &str) -> bool {
    match value.as_bytes() {
        [] => false,
        quoted @ [b'"', ..] => text::quoted_len(quoted) == Some(quoted.len()),
        plain => plain.iter().all(|&b| VALUE[usize::from(b)]),
    }
}
