//! Where a company's calls go: a SIP URI with places for the dialled number and the caller.

use std::net::IpAddr;

use rsip::Transport;

use super::value::is_host_name;

/// What the checks need to know of a destination. The text itself is kept as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// User part, when it has no placeholder.
    pub(super) fixed_user: Option<String>,
    /// Without brackets.
    pub(super) host: String,
    pub(super) address: Option<IpAddr>,
    /// 5060, or 5061 over TLS, when the URI names none (RFC 3261 §19.1.2).
    pub(super) port: u16,
    pub(super) transport: Transport,
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
    let is_sips = text.starts_with("sips:");
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")).ok_or_else(|| format!("`{text}` is not a SIP URI; {how}"))?;
    if rest.contains('?') {
        return Err("headers behind `?` are not taken; leave them out".to_owned());
    }
    let (user, rest) = match rest.split_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (host_port, params) = rest.split_once(';').map_or((rest, None), |(host, params)| (host, Some(params)));
    let fixed_user = user.map(check_user).transpose()?.flatten();
    let transport = check_params(params)?;
    if is_sips && transport == Some(Transport::Udp) {
        return Err("sips: cannot go over UDP; leave the transport out".to_owned());
    }
    let transport = if is_sips { Transport::Tls } else { transport.unwrap_or(Transport::Udp) };
    let (host, port) = split_port(host_port, if transport == Transport::Tls { 5061 } else { 5060 }).ok_or_else(|| format!("`{host_port}` is not a host; {how}"))?;
    let address = host.parse::<IpAddr>().ok();
    if address.is_none() && !is_host_name(&host) {
        return Err(format!("`{host}` is not a host name or address (no placeholder may stand there); {how}"));
    }
    Ok(Destination { fixed_user, host, address, port, transport })
}

/// The user part; `Some` when it holds no placeholder.
fn check_user(user: &str) -> Result<Option<String>, String> {
    let plain = without_placeholders(user)?;
    // RFC 3261 §25.1 `user`: unreserved, escaped, user-unreserved. A password behind `:` is not ours to carry.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,;?/".contains(&b);
    if user.is_empty() || !plain.bytes().all(allowed) {
        return Err(format!("`{user}` is not the user of a SIP URI"));
    }
    Ok((plain == user).then(|| user.to_owned()))
}

/// The transport that the parameters name.
fn check_params(params: Option<&str>) -> Result<Option<Transport>, String> {
    let mut transport = None;
    for param in params.iter().flat_map(|params| params.split(';')) {
        let (name, value) = param.split_once('=').unwrap_or((param, "1"));
        let token =
            |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*+%[]:/".contains(&b));
        let value = without_placeholders(value)?;
        if !token(name) || !(token(&value) || value.is_empty()) {
            return Err(format!("`;{param}` is not a URI parameter"));
        }
        if name.eq_ignore_ascii_case("transport") {
            transport = Some(match value.to_ascii_lowercase().as_str() {
                "udp" => Transport::Udp,
                "tcp" => Transport::Tcp,
                "tls" => Transport::Tls,
                _ => return Err(format!("transport `{value}` is not known; use udp, tcp or tls")),
            });
        }
    }
    Ok(transport)
}

/// The text without `{number}` and `{caller}`; other braces are mistakes.
fn without_placeholders(text: &str) -> Result<String, String> {
    let plain = PLACEHOLDERS.iter().fold(text.to_owned(), |text, placeholder| text.replace(placeholder, ""));
    if plain.contains(['{', '}']) {
        return Err(format!("`{text}` has braces that are not {{number}} or {{caller}}"));
    }
    Ok(plain)
}

fn split_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) })
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let port = match port {
        None => default,
        Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0)?,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_destinations() {
        for (text, fixed, host, port) in [
            ("sip:+442079460999@127.0.0.1:5080", Some("+442079460999"), "127.0.0.1", 5080),
            ("sip:{number}@pbx.example.com", None, "pbx.example.com", 5060),
            ("sip:{number}@[2001:db8::1]:5070;transport=tcp", None, "2001:db8::1", 5070),
            ("sip:queue-7@10.0.0.1;x-from={caller}", Some("queue-7"), "10.0.0.1", 5060),
            ("sip:10.0.0.1", None, "10.0.0.1", 5060),
            ("sips:1@pbx.example", Some("1"), "pbx.example", 5061),
            ("sip:1@pbx.example;transport=TLS", Some("1"), "pbx.example", 5061),
            ("sip:1@pbx.example:5070;transport=tls", Some("1"), "pbx.example", 5070),
        ] {
            let got = parse(text).expect(text);
            assert_eq!((got.fixed_user.as_deref(), got.host.as_str(), got.port), (fixed, host, port), "{text}");
        }
    }

    #[test]
    fn bad_destinations() {
        for text in [
            "",
            "tel:+442079460999",
            "sips:a@b.example;transport=udp",
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
