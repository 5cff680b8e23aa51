//! Dialogs (RFC 3261 §12): what is remembered of the far side, and where a request within the dialog goes.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use rsip::Transport;

use crate::core::agent::Flow;
use crate::wire::sip::{Message, NameAddr, Uri};

/// State of one dialog, seen from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Empty for peers of RFC 2543 that have none (§12.1.1).
    pub remote_tag: Box<str>,
    /// To header of our requests, with the tag.
    pub remote: Box<str>,
    /// Contact of the far side: Request-URI of our requests.
    pub remote_target: Box<str>,
    /// Route headers of our requests, in order.
    pub route_set: Vec<Box<str>>,
    /// CSeq number of our last request.
    pub local_cseq: u32,
    /// CSeq number of their last request; `None` before the first.
    pub remote_cseq: Option<u32>,
}

/// How a request within the dialog is addressed (§12.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing<'a> {
    pub request_uri: Cow<'a, str>,
    pub routes: Vec<Cow<'a, str>>,
    /// URI of the element that gets the request.
    pub next_hop: &'a str,
}

impl Dialog {
    /// The UAS's side (§12.1.1). A request without a usable Contact is reached at its From URI.
    pub fn from_request(request: &Message) -> Dialog {
        let from = request.from().ok();
        let tag = from.and_then(|from| from.tag()).unwrap_or("");
        Dialog {
            remote_tag: tag.into(),
            remote: request.header("From").unwrap_or("").into(),
            remote_target: contact_uri(request).or(from.map(|from| without_headers(&from.uri))).unwrap_or("").into(),
            route_set: request.list("Record-Route").map(Into::into).collect(),
            local_cseq: 0,
            remote_cseq: request.cseq().ok().map(|cseq| cseq.number),
        }
    }

    /// The UAC's side (§12.1.2). `to` is the To header of our request, without tag; `request_uri` stands in for a
    /// Contact that is missing. `None` without To tag.
    pub fn from_response(response: &Message, to: &str, request_uri: &str, cseq: u32) -> Option<Dialog> {
        let tag = response.to().ok()?.tag()?;
        let mut route_set: Vec<Box<str>> = response.list("Record-Route").map(Into::into).collect();
        route_set.reverse();
        Some(Dialog {
            remote_tag: tag.into(),
            remote: format!("{to};tag={tag}").into(),
            remote_target: contact_uri(response).unwrap_or(request_uri).into(),
            route_set,
            local_cseq: cseq,
            remote_cseq: None,
        })
    }

    /// Takes the Contact of a target refresh request or of its 2xx (§12.2).
    pub fn refresh(&mut self, message: &Message) {
        if let Some(target) = contact_uri(message)
            && *target != *self.remote_target
        {
            self.remote_target = target.into();
        }
    }

    /// Counts and returns the CSeq number of our next request.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// Request-URI and Route of our next request, with the strict routers of RFC 2543 served as §12.2.1.1 says.
    pub fn addressing(&self) -> Addressing<'_> {
        let target = &*self.remote_target;
        let Some(first) = self.route_set.first() else {
            return Addressing { request_uri: target.into(), routes: Vec::new(), next_hop: target };
        };
        let first_uri = NameAddr::parse(first).map(|route| route.uri);
        match first_uri {
            Ok(uri) if uri.param("lr").is_none() => {
                let rest = self.route_set.iter().skip(1).map(|route| Cow::Borrowed(&**route));
                let last = Cow::Owned(format!("<{target}>"));
                Addressing {
                    request_uri: without_headers(&uri).into(),
                    routes: rest.chain([last]).collect(),
                    next_hop: uri.text,
                }
            }
            uri => Addressing {
                request_uri: target.into(),
                routes: self.route_set.iter().map(|route| Cow::Borrowed(&**route)).collect(),
                next_hop: uri.map_or("", |uri| uri.text),
            },
        }
    }
}

/// Where a request for `uri` goes: to its host when that is an IP address we could reach, else to `seen`, the source
/// of the far side's last message. Names are not looked up here: whoever has sent us something is reachable where it
/// came from. So is whoever cannot be called back: browsers (RFC 7118 §5.2), user agents that say so (`ob`, RFC 5626
/// §5.3), and TLS peers of whom no name is known that their certificate would have to be for.
pub fn next_hop(uri: &str, seen: Flow) -> Flow {
    let Ok(uri) = Uri::parse(uri) else { return seen };
    let Ok(ip) = uri.host.parse::<IpAddr>() else { return seen };
    if uri.param("ob").is_some() || matches!(seen.transport, Transport::Ws | Transport::Wss) {
        return seen;
    }
    let transport = match uri.param("transport") {
        _ if uri.scheme.eq_ignore_ascii_case("sips") => Transport::Tls,
        // Peers on streams often leave the parameter out; the transport in use is the one that is known to work.
        None => seen.transport,
        Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(name) if name.eq_ignore_ascii_case("tls") => Transport::Tls,
        Some(_) => return seen,
    };
    // A dialog that began secure stays secure, and one that did not has nobody's name to ask for.
    if (transport == Transport::Tls || seen.transport == Transport::Tls)
        && (transport != seen.transport || seen.name.is_none())
    {
        return seen;
    }
    let port = uri.port.unwrap_or(if transport == Transport::Tls { 5061 } else { 5060 });
    let remote = SocketAddr::new(ip, port);
    let reachable = port != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip.is_ipv4() == seen.local.is_ipv4();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if !reachable || broadcast || (remote == seen.remote && transport == seen.transport) {
        return seen;
    }
    Flow { transport, local: seen.local, remote, connection: 0, name: seen.name }
}

fn contact_uri(message: &Message) -> Option<&str> {
    message.contact()?.ok().map(|contact| without_headers(&contact.uri))
}

/// The URI without its `?headers`, which a Request-URI must not have (§19.1.1).
fn without_headers<'a>(uri: &Uri<'a>) -> &'a str {
    match uri.headers {
        "" => uri.text.strip_suffix('?').unwrap_or(uri.text),
        headers => uri.text.strip_suffix(headers).and_then(|text| text.strip_suffix('?')).unwrap_or(uri.text),
    }
}
