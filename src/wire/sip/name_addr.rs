//! Addresses of From, To, Contact, Route and their kin (RFC 3261 §20.10).

use super::fault::Malformed;
use super::uri::Uri;
use super::{params, text};

/// `"display" <uri>;params` or `uri;params` (RFC 3261 §20.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// As written between the quotes (escapes kept), or the tokens; empty when there is none.
    pub display: &'a str,
    pub uri: Uri<'a>,
    /// After the first `;` behind the address, without it; empty when there are none.
    pub params: &'a str,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. Without `<>` all parameters belong to the header (RFC 3261 §20.10). A display name without
    /// quotes may have any visible characters but `"<>,;\`: peers do not keep to tokens, and the reading is still
    /// the only one.
    ///
    /// # Errors
    /// [`Malformed::NameAddr`], [`Malformed::Uri`].
    pub fn parse(text: &'a str) -> Result<NameAddr<'a>, Malformed> {
        let text = text::trim_str(text);
        let first = memchr::memchr3(b'"', b'<', b';', text.as_bytes());
        let (display, bracketed) = match first.map(|at| (at, text.split_at(at))) {
            Some((0, (_, quoted))) if quoted.starts_with('"') => {
                let len = text::quoted_len(quoted.as_bytes()).ok_or(Malformed::NameAddr)?;
                let inner = quoted.get(1..len - 1).unwrap_or_default();
                (inner, text::trim_str(quoted.get(len..).unwrap_or_default()))
            }
            Some((_, (display, rest))) if rest.starts_with('<') => (text::trim_str(display), rest),
            _ => return bare(text),
        };
        if !text.starts_with('"')
            && display.bytes().any(|b| b"\"<>,;\\".contains(&b) || b.is_ascii_control() && b != b'\t')
        {
            return Err(Malformed::NameAddr);
        }
        let (uri, rest) =
            bracketed.strip_prefix('<').and_then(|t| text::split_at(t, b'>')).ok_or(Malformed::NameAddr)?;
        let rest = text::trim_str(rest);
        let params = match rest.strip_prefix(';') {
            Some(params) => header_params(params)?,
            None if rest.is_empty() => "",
            None => return Err(Malformed::NameAddr),
        };
        Ok(NameAddr { display, uri: Uri::parse(uri)?, params })
    }

    /// Value of a header parameter (`""` for a flag), name matched without case.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::header_param(self.params, name)
    }

    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }

    /// Display name with escapes undone.
    pub fn display_text(&self) -> String {
        text::unquote(self.display)
    }
}

/// `uri;params`. A comma, question mark or second `@` would need `<>`, because there are two ways to read it.
fn bare(text: &str) -> Result<NameAddr<'_>, Malformed> {
    let (uri, params) = match text::split_at(text, b';') {
        Some((uri, params)) => (text::trim_str(uri), header_params(params)?),
        None => (text, ""),
    };
    if uri.contains([',', '?']) || params.contains('@') {
        return Err(Malformed::NameAddr);
    }
    Ok(NameAddr { display: "", uri: Uri::parse(uri)?, params })
}

fn header_params(list: &str) -> Result<&str, Malformed> {
    let list = text::trim_str(list);
    let is_good = !list.is_empty() && params::is_header_list(list, &["tag"]);
    is_good.then_some(list).ok_or(Malformed::NameAddr)
}
