//! What a REFER asks for (RFC 3515), and whether its target may be called at all. Nothing here acts.

use crate::core::call::hunt::redirect::request_uri;
use crate::core::locate::{Names, Query};
use crate::limits;
use crate::wire::sip::{Message, NameAddr, Uri};

/// A readable REFER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refer {
    /// Request-URI of the INVITE to come: without headers and without `method`.
    pub(super) uri: String,
    /// Host of the URI, in lower case.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Value of the Replaces header to send: an attended transfer (RFC 5589 §7).
    pub(super) replaces: Option<Replaces>,
    /// The referrer wants NOTIFYs (RFC 4488 §4).
    pub(super) subscribes: bool,
    /// CSeq number: names the subscription (RFC 3515 §2.4.6).
    pub(super) id: u32,
}

impl Refer {
    /// Whether it names the place of this URI: the same user at the same host and port.
    pub(super) fn is_at(&self, uri: &str) -> bool {
        let (Ok(own), Ok(other)) = (Uri::parse(&self.uri), Uri::parse(uri)) else { return false };
        own.is_same_place(&other)
    }
}

/// The dialog that an INVITE is to replace (RFC 3891 §6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: String,
    /// Tag of who receives the INVITE.
    pub to_tag: String,
    /// Tag of the other party of that dialog.
    pub from_tag: String,
    /// Only a dialog without final answer may be replaced.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a header value.
    pub fn parse(text: &str) -> Option<Replaces> {
        let mut parts = text.split(';').map(str::trim);
        let call_id = token(parts.next()?)?;
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("to-tag") && to_tag.is_none() {
                to_tag = token(value);
            } else if name.eq_ignore_ascii_case("from-tag") && from_tag.is_none() {
                from_tag = token(value);
            } else if name.eq_ignore_ascii_case("early-only") {
                early_only = true;
            }
        }
        Some(Replaces { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }
}

impl std::fmt::Display for Replaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

/// Visible characters without the ones that end a parameter.
fn token(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= limits::SIP_TOKEN
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"<>\\".contains(&byte));
    fits.then(|| text.to_owned())
}

/// Why a REFER is refused, with its stable code.
pub(super) type Refusal = (u16, &'static str);

/// Reads a REFER.
pub(super) fn read(request: &Message) -> Result<Refer, Refusal> {
    let mut values = request.list("Refer-To").filter(|value| !value.is_empty());
    // Exactly one (RFC 3515 §2.4.1).
    let (Some(value), None) = (values.next(), values.next()) else { return Err((400, "refer_to_malformed")) };
    let target = NameAddr::parse(value).map_err(|_| (400, "refer_to_malformed"))?;
    let uri = target.uri;
    if !uri.is_sip() {
        return Err((416, "transfer_scheme"));
    }
    // `;method=` asks for something other than a call (RFC 3261 §19.1.1).
    if uri.param("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
        return Err((603, "transfer_method"));
    }
    let replaces = match header_of(&uri, "Replaces") {
        Some(text) => Some(Replaces::parse(&text).ok_or((400, "replaces_malformed"))?),
        None => None,
    };
    let norefersub = request.header("Refer-Sub").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
    Ok(Refer {
        uri: request_uri(&uri),
        host: uri.host.to_ascii_lowercase(),
        port: uri.port,
        replaces,
        subscribes: !norefersub,
        id: request.cseq().map_or(0, |cseq| cseq.number),
    })
}

/// One header of the URI, unescaped once (RFC 3261 §19.1.1).
fn header_of(uri: &Uri<'_>, name: &str) -> Option<String> {
    let find = |pair: &str| {
        let (header, value) = pair.split_once('=')?;
        header.eq_ignore_ascii_case(name).then(|| unescape(value))
    };
    uri.headers.split('&').find_map(find)?
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Whether this host may be called: `host` or `host:port` of the list, IPv6 in brackets when there is a port.
pub(super) fn is_listed<'a>(refer: &Refer, mut list: impl Iterator<Item = &'a str>) -> bool {
    list.any(|entry| {
        let (host, port) = split_port(entry);
        let fits = port.is_none_or(|port| refer.port.unwrap_or(5060) == port);
        fits && host.eq_ignore_ascii_case(&refer.host)
    })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').unwrap_or((rest, ""));
        return (host, tail.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (text, None),
    }
}

/// Where the target is looked up.
pub(super) fn query(refer: &Refer, names: &Names) -> Result<Query, Refusal> {
    let uri = Uri::parse(&refer.uri).map_err(|_| (400, "refer_to_malformed"))?;
    Query::of(&uri, names).map_err(|_| (603, "transfer_unroutable"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn refer(headers: &str) -> Message {
        let text = format!(
            "REFER sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 7 REFER\r\n{headers}\
             Content-Length: 0\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    #[test]
    fn what_a_refer_asks_for() {
        let mut table = String::new();
        for headers in [
            "",
            "Refer-To: <sip:201@198.51.100.1>\r\n",
            "r: sip:201@198.51.100.1;transport=tcp\r\n",
            "Refer-To: <sip:201@198.51.100.1>\r\nRefer-To: <sip:202@198.51.100.1>\r\n",
            "Refer-To: <sip:201@198.51.100.1>, <sip:202@198.51.100.1>\r\n",
            "Refer-To: <tel:+15550199>\r\n",
            "Refer-To: <http://198.51.100.1>\r\n",
            "Refer-To: nonsense\r\n",
            "Refer-To: <sip:201@198.51.100.1;method=BYE>\r\n",
            "Refer-To: <sip:201;ext=4@PBX.example:5080;method=INVITE;lr>\r\n",
            "Refer-To: <sip:201@198.51.100.1?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
            "Refer-To: <sip:201@198.51.100.1?X=1&replaces=a%40b%3bfrom-tag%3d2%3bto-tag%3d1%3bearly-only>\r\n",
            "Refer-To: <sip:201@198.51.100.1?Replaces=a%40b%3Bto-tag%3D1>\r\n",
            "Refer-To: <sip:201@198.51.100.1?Replaces=a%0d%0aVia%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
            "Refer-To: <sip:201@198.51.100.1?Replaces=%zz>\r\n",
            "Refer-To: <sip:201@198.51.100.1>\r\nRefer-Sub: false\r\n",
        ] {
            let shown = match read(&refer(headers)) {
                Ok(Refer { uri, host, port, replaces, subscribes, id }) => {
                    let replaces = replaces.map_or_else(String::new, |replaces| format!(" replaces {replaces}"));
                    format!("{uri} at {host} {port:?}{replaces} subscribes {subscribes} id {id}")
                }
                Err((status, code)) => format!("{status} {code}"),
            };
            table += &format!("{} -> {shown}\n", headers.trim_end().replace("\r\n", " | "));
        }
        insta::assert_snapshot!(table);
    }

    /// D14: a target whose host the configuration does not have.
    #[test]
    fn hosts_of_a_list() {
        let at = |host: &str, port| Refer {
            uri: String::new(),
            host: host.into(),
            port,
            replaces: None,
            subscribes: true,
            id: 1,
        };
        let list = ["198.51.100.1", "pbx.example:5080", "[2001:db8::1]:5070", "2001:db8::2"];
        for (host, port, expected) in [
            ("198.51.100.1", None, true),
            ("198.51.100.1", Some(5099), true),
            ("198.51.100.11", None, false),
            ("pbx.example", Some(5080), true),
            ("pbx.example", None, false),
            ("evil.pbx.example", Some(5080), false),
            ("2001:db8::1", Some(5070), true),
            ("2001:db8::1", None, false),
            ("2001:db8::2", None, true),
            ("", None, false),
        ] {
            assert_eq!(is_listed(&at(host, port), list.iter().copied()), expected, "{host} {port:?}");
        }
    }
}
