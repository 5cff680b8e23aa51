//! Where a SIP URI leads (RFC 3263): the question that signalling asks and the answer it gets.

mod draw;
mod find;
mod names;
mod reach;
mod records;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rsip::Transport;

use crate::core::agent::NameId;
use crate::ids::CallId;
use crate::wire::sip::Uri;

pub use find::{Answers, find};
pub use names::Names;
pub use reach::Reach;
pub use records::{Answer, Kind, Lookup, Naptr, Srv};

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Host of the URI: a name in lower case, or an address in text.
    pub host: Arc<str>,
    /// Port of the URI; `None` leaves it to SRV records or the transport's default (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// What the URI says of the transport; `None` leaves it to NAPTR and SRV records (RFC 3263 §4.1).
    pub transport: Option<Transport>,
    /// `sips:`: every hop must be TLS.
    pub secure: bool,
    /// The host's number, for [`Hop::name`].
    pub name: Option<NameId>,
}

/// Why a URI leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unroutable {
    /// Neither `sip:` nor `sips:`, or without a host.
    Scheme,
    /// A transport that we do not speak.
    Transport,
    /// `sips:` over a transport that cannot be TLS (RFC 3261 §26.2.2).
    Insecure,
}

impl Query {
    /// The question that this URI is. `names` gives the host its number, when it is one of the configuration's.
    ///
    /// `sips:` with `transport=tcp` is TLS, and with `ws` it is WSS (RFC 3261 §26.2.2, RFC 7118 §5.4); `transport=tls` is
    /// read though RFC 3261 discourages it, since the field writes it. `maddr` is the host (RFC 3263 §4).
    pub fn of(uri: &Uri<'_>, names: &Names) -> Result<Query, Unroutable> {
        let secure = uri.scheme.eq_ignore_ascii_case("sips");
        let host = match uri.param("maddr") {
            Some(maddr) if !maddr.is_empty() => maddr.trim_start_matches('[').trim_end_matches(']'),
            _ => uri.host,
        };
        if !uri.is_sip() || host.is_empty() {
            return Err(Unroutable::Scheme);
        }
        let transport = uri.param("transport").map(|name| transport(name).ok_or(Unroutable::Transport)).transpose()?;
        let transport = match (secure, transport) {
            (false, transport) => transport,
            (true, None | Some(Transport::Tls)) => transport,
            (true, Some(Transport::Tcp)) => Some(Transport::Tls),
            (true, Some(Transport::Ws | Transport::Wss)) => Some(Transport::Wss),
            (true, Some(_)) => return Err(Unroutable::Insecure),
        };
        let host = host_key(host);
        Ok(Query { name: names.id(&host), host: host.into(), port: uri.port, transport, secure })
    }

    /// The one hop when the host is an address: nothing needs to be looked up (RFC 3263 §4.1: UDP, or TLS for `sips:`,
    /// unless the URI names a transport).
    pub fn literal(&self) -> Option<Hop> {
        let ip = self.host.parse::<IpAddr>().ok()?.to_canonical();
        let transport = self.transport.unwrap_or(if self.secure { Transport::Tls } else { Transport::Udp });
        let remote = SocketAddr::new(ip, self.port.unwrap_or(default_port(transport)));
        let name = if is_secure(transport) { self.name } else { None };
        Some(Hop { transport, remote, name })
    }
}

/// One place to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    pub transport: Transport,
    pub remote: SocketAddr,
    /// Name that the certificate must be for, when the transport is TLS or WSS: the URI's host, never the name that a
    /// DNS record put in its place (RFC 5922 §4). [`Names`] has its text.
    pub name: Option<NameId>,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asker {
    /// A call, and the number it gave its question.
    Call(CallId, u32),
    /// A registration, by its own number.
    Registrar(u32),
    /// A probe, by its own number.
    Probe(u32),
    /// A call's copy for a third party's recorder, and the number it gave its question.
    Recorder(CallId, u32),
}

/// The transport of this name in a URI, if we speak it.
pub fn transport(name: &str) -> Option<Transport> {
    let known = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
        ("ws", Transport::Ws),
        ("wss", Transport::Wss),
    ];
    known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, transport)| transport)
}

/// Port of a URI that names none (RFC 3261 §19.1.2, RFC 7118 §5.5).
pub const fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Tls | Transport::TlsSctp => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
        Transport::Udp | Transport::Tcp | Transport::Sctp => 5060,
    }
}

/// Whether a certificate is shown.
pub const fn is_secure(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Wss | Transport::TlsSctp)
}

/// One form for each name: lower case, without the dot of the root.
fn host_key(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_become_questions() {
        use Transport::{Tcp, Tls, Udp, Ws, Wss};
        let names = Names::of(["pbx.example"]);
        let of =
            |text: &str| Query::of(&Uri::parse(text).expect(text), &names).map(|q| (q.transport, q.port, q.secure));
        for (uri, transport, port, secure) in [
            ("sip:a@pbx.example", None, None, false),
            ("sip:a@pbx.example:5070", None, Some(5070), false),
            ("sip:a@pbx.example;transport=UDP", Some(Udp), None, false),
            ("sip:a@pbx.example;transport=tcp", Some(Tcp), None, false),
            ("sip:a@pbx.example;transport=tls", Some(Tls), None, false),
            ("sip:a@pbx.example;transport=ws", Some(Ws), None, false),
            ("sip:a@pbx.example;transport=wss", Some(Wss), None, false),
            ("SIPS:a@pbx.example", None, None, true),
            ("sips:a@pbx.example:5062;transport=tcp", Some(Tls), Some(5062), true),
            ("sips:a@pbx.example;transport=tls", Some(Tls), None, true),
            ("sips:a@pbx.example;transport=ws", Some(Wss), None, true),
        ] {
            assert_eq!(of(uri), Ok((transport, port, secure)), "{uri}");
        }
        assert_eq!(of("sips:a@pbx.example;transport=udp"), Err(Unroutable::Insecure));
        assert_eq!(of("sip:a@pbx.example;transport=sctp"), Err(Unroutable::Transport));
        assert_eq!(of("tel:+442079460000"), Err(Unroutable::Scheme));
    }

    #[test]
    fn names_are_one_in_any_dress() {
        let names = Names::of(["pbx.example"]);
        let of = |text: &str| Query::of(&Uri::parse(text).expect(text), &names).expect(text);
        let plain = of("sip:a@pbx.example");
        assert!(plain.name.is_some());
        assert_eq!(plain, of("sip:b@PBX.Example."));
        assert_eq!(of("sip:a@other.example;maddr=pbx.example").host, plain.host);
        assert_eq!(of("sip:a@other.example").name, None);
    }

    #[test]
    fn addresses_are_hops_already() {
        let names = Names::of(["192.0.2.1"]);
        let hop = |text: &str| Query::of(&Uri::parse(text).expect(text), &names).expect(text).literal();
        for (uri, transport, remote, named) in [
            ("sip:a@192.0.2.1", Transport::Udp, "192.0.2.1:5060", false),
            ("sip:a@192.0.2.1;transport=tls", Transport::Tls, "192.0.2.1:5061", true),
            ("sips:a@192.0.2.1", Transport::Tls, "192.0.2.1:5061", true),
            ("sips:a@192.0.2.1:5070", Transport::Tls, "192.0.2.1:5070", true),
            ("sip:a@[2001:db8::1];transport=tcp", Transport::Tcp, "[2001:db8::1]:5060", false),
            ("sip:a@[::ffff:192.0.2.1]", Transport::Udp, "192.0.2.1:5060", false),
            ("sip:a@192.0.2.1;transport=ws", Transport::Ws, "192.0.2.1:80", false),
            ("sip:a@192.0.2.1;transport=wss", Transport::Wss, "192.0.2.1:443", true),
        ] {
            let hop = hop(uri).expect(uri);
            assert_eq!((hop.transport, hop.remote, hop.name.is_some()), (transport, remote.parse().expect(uri), named));
        }
        assert_eq!(hop("sip:a@pbx.example"), None);
    }
}
