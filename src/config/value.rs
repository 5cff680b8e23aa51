//! Single values of a configuration: text → final type, or a sentence that says what is wrong and what to write.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::{Listener, Source};
use crate::ids::E164;

/// `500ms`, `30s`, `30m`, `1h30m`, `30d`. Units in falling order, each once.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let bad = || format!("`{text}` is not a duration; write it like \"500ms\", \"30s\", \"30m\" or \"1h30m\"");
    let mut rest = text;
    let mut millis = 0_u64;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let place = UNITS.iter().position(|(name, _)| *name == unit).filter(|place| *place >= next_unit);
        let place = place.ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        let part = number.checked_mul(UNITS.get(place).map_or(0, |unit| unit.1)).ok_or_else(bad)?;
        millis = millis.checked_add(part).ok_or_else(bad)?;
        next_unit = place + 1;
        rest = tail;
    }
    if next_unit == 0 { Err(bad()) } else { Ok(Duration::from_millis(millis)) }
}

/// The inverse of [`duration`].
pub(super) fn duration_text(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// `2%` or `0.5%`: a share above 0 and below 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(|percent| percent.parse::<f64>().ok()).map(|percent| percent / 100.0);
    let good = share.filter(|share| *share > 0.0 && *share < 1.0);
    good.ok_or_else(|| {
        format!("`{}` is not a share above 0 and below 100 %; write it like \"2%\"", text.escape_debug())
    })
}

/// The inverse of [`share`].
pub(super) fn share_text(share: f64) -> String {
    // Ten decimals: the binary fraction of 0.02 is not two hundredths.
    let text = format!("{:.10}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A currency's code (ISO 4217).
pub(super) fn currency(text: &str) -> Result<String, String> {
    let good = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("`{}` is not a code of ISO 4217, like \"EUR\"", text.escape_debug()))
    }
}

/// A country's code (ISO 3166-1).
pub(super) fn country(text: &str) -> Result<String, String> {
    let good = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("`{}` is not a code of ISO 3166, like \"GB\"", text.escape_debug()))
    }
}

/// `64KiB`, `1GiB`, `512B`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size; write it like \"64KiB\", \"200MiB\" or \"1GiB\"");
    let (unit, bytes) = SIZES.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(bad)?;
    let number = text.strip_suffix(unit).filter(|number| number.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = number.ok_or_else(bad)?.parse().map_err(|_| bad())?;
    number.checked_mul(*bytes).ok_or_else(bad)
}

/// The inverse of [`size`].
pub(super) fn size_text(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| "0B".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}

const TRANSPORTS: [(&str, rsip::Transport); 5] = [
    ("udp", rsip::Transport::Udp),
    ("tcp", rsip::Transport::Tcp),
    ("tls", rsip::Transport::Tls),
    ("ws", rsip::Transport::Ws),
    ("wss", rsip::Transport::Wss),
];

/// `udp://127.0.0.1:5060`, `tls://[::1]:5061`.
pub(super) fn listener(text: &str) -> Result<Listener, String> {
    let how = "write it like \"udp://127.0.0.1:5060\" or \"tls://[::1]:5061\"";
    let (scheme, address) = text.split_once("://").ok_or_else(|| format!("`{text}` is not a listener; {how}"))?;
    let transport = TRANSPORTS.iter().find(|(name, _)| *name == scheme).map(|(_, transport)| *transport);
    let transport = transport.ok_or_else(|| {
        let names: Vec<&str> = TRANSPORTS.iter().map(|(name, _)| *name).collect();
        format!("`{scheme}` is not a transport; it is one of {}", names.join(", "))
    })?;
    let address: SocketAddr = address
        .parse()
        .map_err(|_| format!("`{address}` is not an address with a port (host names are not looked up here); {how}"))?;
    if address.port() == 0 {
        return Err("port 0 would be a different one at each start; name a port".to_owned());
    }
    Ok(Listener::new(transport, address))
}

/// Scheme and address as [`listener`] reads them.
pub(super) fn listener_text(listener: &Listener) -> String {
    let scheme = TRANSPORTS.iter().find(|(_, transport)| *transport == listener.transport);
    format!("{}://{}", scheme.map_or("udp", |(name, _)| name), listener.address)
}

/// How a trunk is known: an address or network, one port of an address, or `tls:` and a certificate's name.
pub(super) fn source(text: &str) -> Result<Source, String> {
    if let Some(name) = text.strip_prefix("tls:") {
        if !is_host_name(name) {
            return Err(format!("`{name}` is not a name of a certificate; write it like \"tls:sbc.carrier.example\""));
        }
        return Ok(Source::Tls(name.to_ascii_lowercase().into()));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err(format!("`{text}` has port 0; leave it out for any port")),
        Ok(address) => Ok(Source::Address(SocketAddr::new(address.ip().to_canonical(), address.port()))),
        Err(_) => network(text).map(Source::Network),
    }
}

/// As [`source`] reads it.
pub(super) fn source_text(source: &Source) -> String {
    match source {
        Source::Network(net) => net.to_string(),
        Source::Address(address) => address.to_string(),
        Source::Tls(name) => format!("tls:{name}"),
    }
}

/// An address or a network in CIDR notation. IPv4-mapped IPv6 becomes IPv4, so that one peer has one name.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let how = "write an address (\"192.0.2.10\") or a network (\"192.0.2.0/24\", \"2001:db8::/32\")";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let net: IpNet = text.parse().map_err(|_| format!("`{text}` is not an address or network; {how}"))?;
    if net.trunc() != net {
        return Err(format!("`{text}` has bits set behind its prefix; did you mean \"{}\"?", net.trunc()));
    }
    Ok(unmapped(net))
}

fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let (Some(address), Some(prefix)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) else {
        return net;
    };
    Ipv4Net::new(address, prefix).map_or(net, IpNet::V4)
}

/// `20000-29999`, both ends included: RTP takes even ports, RTCP the odd one above.
pub(super) fn ports(text: &str) -> Result<(u16, u16), String> {
    let how = "write it like \"20000-29999\"";
    let (first, last) = text.split_once('-').ok_or_else(|| format!("`{text}` is not a range of ports; {how}"))?;
    let port = |t: &str| t.trim().parse::<u16>().map_err(|_| format!("`{}` is not a port; {how}", t.trim()));
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return Err(format!("the range ends before it begins; did you mean \"{last}-{first}\"?"));
    }
    if first < 1024 {
        return Err("ports below 1024 are not for media; begin at 1024 or above".to_owned());
    }
    // A single port at either end that has no partner is left alone.
    let first_even = first + first % 2;
    let pairs = (u32::from(last) + 1).saturating_sub(u32::from(first_even)) / 2;
    if pairs < 2 {
        return Err(
            "one call needs four ports (RTP on an even one and RTCP above it, on two legs); widen it".to_owned()
        );
    }
    Ok((first, last))
}

/// One number, written with spaces, dashes, dots or brackets if you like: `+44 20 7946 0000`.
pub(super) fn number(text: &str) -> Result<E164, String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
    E164::parse(&plain).ok_or_else(|| {
        let why = match plain.strip_prefix('+') {
            None => "must begin with `+` and the country code",
            Some(digits) if !digits.bytes().all(|b| b.is_ascii_digit()) => "has something that is not a digit",
            Some(digits) if digits.len() > 15 => "has more than 15 digits",
            Some(digits) if digits.starts_with('0') => "begins with 0; no country code does",
            Some(_) => "has no digits",
        };
        format!("`{text}` {why}; write it like \"+442079460000\"")
    })
}

/// A number, or a range `+A..+B` with both ends included, as first and last. `count_max` bounds what it may hold.
pub(super) fn range(text: &str, count_max: usize) -> Result<Vec<E164>, String> {
    let Some((first, last)) = text.split_once("..") else { return Ok(vec![number(text)?]) };
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    if first.digits().len() != last.digits().len() {
        return Err(format!("the ends of `{text}` have different lengths; give both the same number of digits"));
    }
    let value = |n: &E164| n.digits().parse::<u64>().unwrap_or(0);
    let (low, high) = (value(&first), value(&last));
    if high < low {
        return Err(format!("the range ends before it begins; did you mean \"{last}..{first}\"?"));
    }
    let count = high - low + 1;
    if count > count_max as u64 {
        return Err(format!("`{text}` holds {count} numbers; at most {count_max} may be configured in all"));
    }
    Ok((low..=high).filter_map(|n| E164::parse(&format!("+{n}"))).collect())
}

/// Names of nodes, trunks, companies, sites, pools and sinks: they stand in events, metrics and paths of the API.
pub(super) fn name(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=64).contains(&text.len()) && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a name; use 1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.`", text.escape_debug()))
}

/// `scheme://host[:port]` exactly as a browser sends it in `Origin`.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let how = "write it as the browser sends it: \"https://www.example.com\"";
    if text == "*" || text == "null" {
        return Err(format!("`{text}` would let any page take the company's numbers; {how}"));
    }
    let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not an origin ({e}); {how}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{text}` is not http or https; {how}"));
    }
    let origin = url.origin().ascii_serialization();
    let bare = text.trim_end_matches('/').to_ascii_lowercase();
    let default_port = if url.scheme() == "http" { ":80" } else { ":443" };
    if bare != origin && bare.strip_suffix(default_port) != Some(&origin) {
        return Err(format!("`{text}` is more than an origin; did you mean \"{origin}\"?"));
    }
    Ok(origin)
}

/// A URL of HTTP.
pub(super) fn http_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a password in a URL ends up in logs; take it out".to_owned());
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("`{text}` is not a URL of http:// or https://"));
    }
    Ok(url)
}

/// Text that may stand in a SIP header: printable, at most `max` bytes.
pub(super) fn printable(text: &str, max: usize) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("has a control character (line breaks too); take it out".to_owned());
    }
    if text.len() > max {
        return Err(format!("has {} bytes; at most {max} are allowed", text.len()));
    }
    Ok(text.to_owned())
}

/// A header name of ours towards the company: a token that no header of SIP itself has.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    if !(1..=64).contains(&text.len()) || !text.bytes().all(token) {
        return Err(format!("`{}` is not a header name; write it like \"X-Leaseline-Source\"", text.escape_debug()));
    }
    let upper = text.to_ascii_uppercase();
    if !upper.starts_with("X-") && !upper.starts_with("P-") {
        return Err(format!("`{text}` could be a header of SIP itself; begin it with `X-`"));
    }
    Ok(text.to_owned())
}

/// `host` or `host:port` for Via and Contact.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    let bad = || {
        format!("`{}` is not a host or host:port; write \"203.0.113.7\" or \"sip.example.com\"", text.escape_debug())
    };
    if text.parse::<SocketAddr>().is_ok() || text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Ok(text.to_owned());
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().map(|_| text.to_owned()).map_err(|_| bad());
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    if (port.is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0)) || port.is_none()) && is_host_name(host) {
        return Ok(text.to_owned());
    }
    Err(bad())
}

/// Letters, digits and hyphens in labels of at most 63 (RFC 1123 §2.1), not all digits and dots.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    (1..=253).contains(&text.len())
        && text.split('.').all(label)
        && text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("30m", 1_800_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
        assert_eq!(duration("90s").map(duration_text), Ok("1m30s".to_owned()));
        assert_eq!(duration("0s").map(duration_text), Ok("0s".to_owned()));
        for text in
            ["", "30", "s", "-3s", "1.5s", "30m1h", "1s1s", "30 s", "99999999999999999999d", "9999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("64KiB", 65_536), ("200MiB", 209_715_200), ("1GiB", 1 << 30), ("513B", 513), ("0B", 0)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
            assert_eq!(size_text(bytes), text);
        }
        for text in ["", "64", "KiB", "64kb", "64 KiB", "-1B", "1.5GiB", "99999999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_have_one_name() {
        let name = |text: &str| network(text).map(|net| net.to_string());
        assert_eq!(name("192.0.2.1"), Ok("192.0.2.1/32".to_owned()));
        assert_eq!(name("::ffff:192.0.2.1"), Ok("192.0.2.1/32".to_owned()));
        assert_eq!(name("::ffff:192.0.2.0/120"), Ok("192.0.2.0/24".to_owned()));
        assert_eq!(name("::ffff:0:0/96"), Ok("0.0.0.0/0".to_owned()));
        assert_eq!(name("2001:db8::/32"), Ok("2001:db8::/32".to_owned()));
        for text in ["", "192.0.2.1/33", "192.0.2.1/24", "carrier.example", "192.0.2", "010.0.0.1"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_come_in_pairs() {
        assert_eq!(ports("20000-29999"), Ok((20_000, 29_999)));
        assert_eq!(ports("20000-20003"), Ok((20_000, 20_003)));
        assert_eq!(ports("20000-32000"), Ok((20_000, 32_000)));
        for text in ["20000", "20001-20004", "20000-20001", "30000-20000", "80-99", "1-70000", "a-b"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_may_be_written_for_people() {
        assert_eq!(number("+44 20 7946-0000").map(|n| n.to_string()), Ok("+442079460000".to_owned()));
        assert_eq!(range("+44 20 7946 0000 .. +44 20 7946 0002", 10).map(|r| r.len()), Ok(3));
        assert_eq!(range("+1..+9", 9).map(|r| r.len()), Ok(9));
        for text in ["442079460000", "+", "+0123", "+1234567890123456", "+44x", "+9..+10", "+2..+1", "+100..+999"] {
            assert!(range(text, 100).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_what_browsers_send() {
        assert_eq!(origin("http://127.0.0.1:8080"), Ok("http://127.0.0.1:8080".to_owned()));
        assert_eq!(origin("https://Example.com:443/"), Ok("https://example.com".to_owned()));
        for text in
            ["*", "null", "example.com", "https://example.com/shop", "ftp://example.com", "https://u@example.com"]
        {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_and_headers() {
        for text in
            ["203.0.113.7", "203.0.113.7:5060", "[::1]", "[::1]:5060", "sip.example.com", "sip.example.com:5070"]
        {
            assert_eq!(host_port(text), Ok(text.to_owned()));
        }
        for text in ["", "::1", "a b", "host:0", "host:x", "-a", "1.2.3", "a\r\nb", "[::1"] {
            assert!(host_port(text).is_err(), "{text}");
        }
        assert!(header_name("X-Source").is_ok());
        for text in ["", "Via", "X-A B", "X-A:\r\n"] {
            assert!(header_name(text).is_err(), "{text}");
        }
    }
}
