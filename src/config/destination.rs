//! Where a company's calls go: a SIP URI with places for the dialled number and the caller.

use std::net::IpAddr;

use rsip::Transport;

use super::value::is_host_name;
use crate::core::locate::{self, Names, Query, Unroutable};
use crate::wire::sip::Uri;

/// What the checks need to know of a destination. The text itself is kept as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// User part, when it has no placeholder.
    pub(super) fixed_user: Option<String>,
    pub(super) has_user: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) address: Option<IpAddr>,
    /// As the URI names it.
    pub(super) port: Option<u16>,
    /// What the URI, or its `sips:`, says of the transport; `None` leaves it to DNS.
    pub(super) transport: Option<Transport>,
}

/// The words that may stand in braces.
const PLACEHOLDERS: [&str; 2] = ["{number}", "{caller}"];

/// Reads `sip:user@host[:port][;params]`. The host may hold no placeholder: a caller must not choose where a call goes.
pub(super) fn parse(text: &str) -> Result<Destination, String> {
    let how = "write it like \"sip:{number}@192.0.2.10:5060\"";
    if text.len() > 512 {
        return Err("is longer than 512 bytes".to_owned());
    }
    if text.bytes().any(|b| b <= b' ' || b >= 0x7f) {
        return Err(format!("has a space, control or non-ASCII character; {how}"));
    }
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:"));
    let rest = rest.ok_or_else(|| format!("`{text}` is not a SIP URI; {how}"))?;
    if rest.contains('?') {
        return Err("headers behind `?` are not taken; leave them out".to_owned());
    }
    let (user, rest) = match rest.split_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (host_port, params) = rest.split_once(';').map_or((rest, None), |(host, params)| (host, Some(params)));
    let fixed_user = user.map(check_user).transpose()?.flatten();
    check_params(params)?;
    let (host, port) = split_port(host_port).ok_or_else(|| format!("`{host_port}` is not a host; {how}"))?;
    let address = host.parse::<IpAddr>().ok();
    if address.is_none() && !is_host_name(&host) {
        return Err(format!("`{host}` is not a host name or address (no placeholder may stand there); {how}"));
    }
    let transport = transport(text)?;
    Ok(Destination { fixed_user, has_user: user.is_some(), host, address, port, transport })
}

/// What the URI with its places filled says of the transport.
fn transport(text: &str) -> Result<Option<Transport>, String> {
    let filled = PLACEHOLDERS.iter().fold(text.to_owned(), |text, placeholder| text.replace(placeholder, "0"));
    let uri = Uri::parse(&filled).map_err(|_| format!("`{text}` is not a SIP URI"))?;
    let query = Query::of(&uri, &Names::default()).map_err(|why| match why {
        Unroutable::Scheme => format!("`{text}` is not a SIP URI"),
        Unroutable::Transport => "this transport is not known; use udp, tcp, tls, ws or wss".to_owned(),
        Unroutable::Insecure => "sips: goes over TLS; take out `;transport=udp`".to_owned(),
    })?;
    Ok(query.transport.or(query.secure.then_some(Transport::Tls)))
}

impl Destination {
    /// The port as far as it can be told without DNS.
    pub(super) fn likely_port(&self) -> u16 {
        self.port.unwrap_or(locate::default_port(self.transport.unwrap_or(Transport::Udp)))
    }
}

/// The user part; `Some` when it holds no placeholder.
fn check_user(user: &str) -> Result<Option<String>, String> {
    if user.contains(':') {
        return Err(
            "a password in a URI ends up in logs and events; take it out (a trunk has `credentials`)".to_owned()
        );
    }
    let plain = without_placeholders(user)?;
    // RFC 3261 §25.1 `user`: unreserved, escaped, user-unreserved.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,;?/".contains(&b);
    if user.is_empty() || !plain.bytes().all(allowed) {
        return Err(format!("`{user}` is not the user of a SIP URI"));
    }
    Ok((plain == user).then(|| user.to_owned()))
}

fn check_params(params: Option<&str>) -> Result<(), String> {
    for param in params.iter().flat_map(|params| params.split(';')) {
        let (name, value) = param.split_once('=').unwrap_or((param, "1"));
        let token =
            |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*+%[]:/".contains(&b));
        let plain = without_placeholders(value)?;
        if !token(name) || !(token(&plain) || plain.is_empty()) {
            return Err(format!("`;{param}` is not a URI parameter"));
        }
        // Both say where the call goes, which a caller must not.
        if name.eq_ignore_ascii_case("transport") && locate::transport(value).is_none() {
            return Err(format!("transport `{value}` is not known; use udp, tcp, tls, ws or wss"));
        }
        if name.eq_ignore_ascii_case("maddr") {
            return Err("`maddr` is not taken; write the address as the host".to_owned());
        }
    }
    Ok(())
}

/// The text without `{number}` and `{caller}`; other braces are mistakes.
fn without_placeholders(text: &str) -> Result<String, String> {
    let plain = PLACEHOLDERS.iter().fold(text.to_owned(), |text, placeholder| text.replace(placeholder, ""));
    if plain.contains(['{', '}']) {
        return Err(format!("`{text}` has braces that are not {{number}} or {{caller}}"));
    }
    Ok(plain)
}

fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) })
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_destinations() {
        use Transport::{Tcp, Tls, Wss};
        for (text, fixed, host, port, transport) in [
            ("sip:+442079460999@127.0.0.1:5080", Some("+442079460999"), "127.0.0.1", Some(5080), None),
            ("sip:{number}@pbx.example.com", None, "pbx.example.com", None, None),
            ("sip:{number}@[2001:db8::1]:5070;transport=tcp", None, "2001:db8::1", Some(5070), Some(Tcp)),
            ("sip:queue-7@10.0.0.1;x-from={caller}", Some("queue-7"), "10.0.0.1", None, None),
            ("sip:10.0.0.1", None, "10.0.0.1", None, None),
            ("sips:{number}@pbx.example", None, "pbx.example", None, Some(Tls)),
            ("sips:a@pbx.example;transport=tcp", Some("a"), "pbx.example", None, Some(Tls)),
            ("sip:a@pbx.example;transport=TLS", Some("a"), "pbx.example", None, Some(Tls)),
            ("sip:a@pbx.example;transport=wss", Some("a"), "pbx.example", None, Some(Wss)),
        ] {
            let got = parse(text).expect(text);
            let got = (got.fixed_user.as_deref(), got.host.as_str(), got.port, got.transport);
            assert_eq!(got, (fixed, host, port, transport), "{text}");
        }
    }

    #[test]
    fn bad_destinations() {
        for text in [
            "",
            "tel:+442079460999",
            "sips:a@b.example;transport=udp",
            "sip:a@b.example;transport={caller}",
            "sip:a@b.example;maddr=192.0.2.1",
            "sip:a@b.example;maddr={caller}",
            "sip:a@",
            "sip:@b.example",
            "sip:a@{caller}",
            "sip:{visitor}@b.example",
            "sip:a@b.example:0",
            "sip:a@b.example:99999",
            "sip:a@::1",
            "sip:a@[::1",
            "sip:a@b.example;transport=sctp",
            "sip:a@b.example?X-Evil=1",
            "sip:a\r\nVia: x@b.example",
            "sip:a b@c.example",
            "sip:a@b@c.example",
            "sip:a:password@b.example",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
