//! Via (RFC 3261 §20.42) and CSeq (§20.16).

use super::fault::Malformed;
use super::{params, text};

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, … as written.
    pub transport: &'a str,
    /// Without brackets.
    pub host: &'a str,
    pub port: Option<u16>,
    pub params: &'a str,
}

impl<'a> Via<'a> {
    /// Reads one value, not a list. Blanks around `/`, `:`, `;` and `=` are legal.
    ///
    /// # Errors
    /// [`Malformed::Via`].
    pub fn parse(text: &'a str) -> Result<Via<'a>, Malformed> {
        read(text).ok_or(Malformed::Via)
    }

    /// Value of a parameter (`""` for a flag), name matched without case.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::header_param(self.params, name)
    }

    pub fn branch(&self) -> Option<&'a str> {
        self.param("branch")
    }
}

fn read(text: &str) -> Option<Via<'_>> {
    let (name, rest) = text::split_at(text, b'/')?;
    let (version, rest) = text::split_at(rest, b'/')?;
    let is_ours =
        text::trim_str(name).eq_ignore_ascii_case("SIP") && text::trim_str(version).eq_ignore_ascii_case("2.0");
    let rest = rest.trim_start_matches([' ', '\t']);
    let (transport, rest) = rest.split_once([' ', '\t'])?;
    if !is_ours || !text::is_token(transport.as_bytes()) {
        return None;
    }
    let (host, rest) = text::split_host(rest.trim_start_matches([' ', '\t']))?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let (address, params) = match text::split_at(rest, b';') {
        Some((address, params)) => (text::trim_str(address), params),
        None => (text::trim_str(rest), ""),
    };
    let port = match address.strip_prefix(':') {
        Some(port) => Some(text::port(text::trim_str(port))?),
        None if address.is_empty() => None,
        None => return None,
    };
    let has_params = rest.contains(';');
    let params = text::trim_str(params);
    let is_good = !has_params
        || !params.is_empty() && params::is_header_list(params, &["branch", "received", "rport", "maddr", "ttl"]);
    is_good.then_some(Via { transport, host, port, params })
}

/// Sequence number and method (RFC 3261 §20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2³¹.
    pub number: u32,
    pub method: &'a str,
}

impl<'a> CSeq<'a> {
    /// # Errors
    /// [`Malformed::CSeq`].
    pub fn parse(text: &'a str) -> Result<CSeq<'a>, Malformed> {
        let (number, method) = text.split_once([' ', '\t']).ok_or(Malformed::CSeq)?;
        let method = text::trim_str(method);
        let number = text::number(number.as_bytes(), (1 << 31) - 1).and_then(|n| u32::try_from(n).ok());
        match number {
            Some(number) if text::is_token(method.as_bytes()) => Ok(CSeq { number, method }),
            _ => Err(Malformed::CSeq),
        }
    }
}
