//! Which number was dialled, who dials it, and where the call goes. Destinations come from the configuration only: nothing
//! in a caller's message can name one (no Route, no REFER), and what a company's side says (3xx, REFER, a webhook) only
//! where the configuration allows it, and only among what stands there.

mod desk;
mod hours;
mod known;
mod plan;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Destination, DialledIn, Listener, Trunk};
use crate::core::agent::Flow;
use crate::core::locate::{Hop, Names, Query};
use crate::ids::E164;
use crate::wire::sip::{Message, NameAddr, Uri};

pub use desk::Desk;
pub use hours::{Hours, hours, next_change};
pub use known::Known;
pub use plan::{Choice, Plan, Question, Way, choose};

/// The user part that names the dialled number, where this trunk puts it, with escapes undone. `None` when that place
/// is empty or unreadable.
pub fn dialled(trunk: &Trunk, request: &Message) -> Option<String> {
    let in_header = |name: &str| {
        let value = request.list(name).next()?;
        user_of(&NameAddr::parse(value).ok()?.uri)
    };
    match trunk.dialled_in {
        DialledIn::RequestUri => user_of(&Uri::parse(request.request_uri()).ok()?),
        DialledIn::To => user_of(&request.to().ok()?.uri),
        DialledIn::PCalledPartyId => in_header("P-Called-Party-ID"),
        DialledIn::Diversion => in_header("Diversion"),
    }
}

/// User part of a `sip:` URI or number of a `tel:` URI, without their parameters (RFC 3966 §3, RFC 3261 §19.1.6).
pub(crate) fn user_of(uri: &Uri<'_>) -> Option<String> {
    let number = uri.subscriber()?;
    let in_user = || uri.user?.split(';').find_map(|param| param.strip_prefix("phone-context="));
    let context = if uri.is_tel() { uri.param("phone-context") } else { in_user() };
    match context {
        // RFC 3966 §5.1.5: a global context is the digits that complete a local number.
        Some(prefix) if prefix.starts_with('+') && !number.starts_with('+') => Some(format!("{prefix}{number}")),
        _ => Some(number),
    }
    .filter(|number| !number.is_empty())
}

/// One destination of a company, with its placeholders filled.
#[derive(Clone, Debug)]
pub struct Target {
    /// Request-URI of our INVITE.
    pub uri: String,
    /// Where its host leads, or its trunk's address.
    pub query: Query,
    /// The trunk that it goes out through, when it has one.
    pub trunk: Option<Arc<Trunk>>,
    /// As it is configured.
    pub destination: Arc<Destination>,
    /// Dials a prefix of `[fraud] costly`.
    pub is_costly: bool,
    /// How many redirections led here; 0: the configuration did.
    pub redirects: u8,
}

/// Destinations in the order given. What cannot be read was refused when the configuration was loaded, so an
/// unreadable one can only come from a caller text that does not fit; it is left out.
pub fn targets(list: &[Arc<Destination>], number: &E164, caller: Option<&str>, names: &Names) -> Vec<Target> {
    let mut targets = Vec::with_capacity(list.len());
    targets.extend(list.iter().filter_map(|destination| target(destination, number, caller, names)));
    targets
}

fn target(destination: &Arc<Destination>, number: &E164, caller: Option<&str>, names: &Names) -> Option<Target> {
    let uri = filled(&destination.uri, number, caller);
    let query = Query::of(&Uri::parse(destination.proxy().unwrap_or(&uri)).ok()?, names).ok()?;
    let (trunk, destination) = (destination.trunk.clone(), Arc::clone(destination));
    Some(Target { query, uri, trunk, destination, is_costly: false, redirects: 0 })
}

/// A template with its placeholders filled.
fn filled(template: &str, number: &E164, caller: Option<&str>) -> String {
    if !template.contains('{') {
        return template.to_owned();
    }
    let caller = caller.filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-_.".contains(&b)));
    template.replace("{number}", number.as_str()).replace("{caller}", caller.unwrap_or("anonymous"))
}

impl Target {
    /// The hop when the host is an address.
    pub fn literal(&self) -> Option<Hop> {
        self.query.literal()
    }
}

/// The flow towards a hop: from our listener of the same transport and IP version, best one that is known by an
/// address of the same kind (loopback, private, public). `None` when we have none.
pub fn flow_towards(hop: Hop, listeners: &[Listener]) -> Option<Flow> {
    let ours = |listener: &&Listener| {
        listener.transport == hop.transport && listener.address.is_ipv4() == hop.remote.is_ipv4()
    };
    let known_by = |listener: &Listener| {
        let advertised = listener.advertise.as_deref().and_then(|host| {
            let address = host.parse::<SocketAddr>().map(|address| address.ip());
            address.or_else(|_| host.trim_matches(['[', ']']).parse()).ok()
        });
        advertised.unwrap_or(listener.address.ip())
    };
    let wanted = scope(hop.remote.ip());
    let fitting = listeners.iter().filter(ours);
    let best = fitting.clone().find(|listener| scope(known_by(listener)) == wanted).or_else(|| fitting.clone().next());
    Some(Flow { transport: hop.transport, local: best?.address, remote: hop.remote, connection: 0, name: hop.name })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Loopback,
    Private,
    Public,
}

fn scope(ip: IpAddr) -> Scope {
    let is_private = match ip {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    match ip {
        ip if ip.is_loopback() => Scope::Loopback,
        _ if is_private => Scope::Private,
        _ => Scope::Public,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn trunk(dialled_in: DialledIn, trust_identity: bool) -> Trunk {
        Trunk { dialled_in, trust_identity, country: Some("GB".into()), ..Trunk::bare("carrier") }
    }

    fn invite(uri: &str, headers: &str) -> Message {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
             Call-ID: a\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    const TO: &str = "To: <sip:+442079460001@x>\r\n";

    #[test]
    fn the_dialled_number_stands_where_the_trunk_puts_it() {
        let headers = format!(
            "{TO}From: <sip:a@b>;tag=1\r\nP-Called-Party-ID: \"x, y\" <sip:02079460002@x;user=phone>\r\n\
             Diversion: <tel:+442079460003>;reason=unconditional, <sip:+442079460009@x>\r\n"
        );
        let message = invite("sip:%2B442079460000;npdi@203.0.113.1", &headers);
        let read = |place| dialled(&trunk(place, true), &message);
        assert_eq!(read(DialledIn::RequestUri).as_deref(), Some("+442079460000"));
        assert_eq!(read(DialledIn::To).as_deref(), Some("+442079460001"));
        assert_eq!(read(DialledIn::PCalledPartyId).as_deref(), Some("02079460002"));
        assert_eq!(read(DialledIn::Diversion).as_deref(), Some("+442079460003"));
        let bare = invite("sip:203.0.113.1", "To: <sip:x>\r\nFrom: <sip:a@b>;tag=1\r\n");
        for place in [DialledIn::RequestUri, DialledIn::PCalledPartyId, DialledIn::Diversion] {
            assert_eq!(dialled(&trunk(place, true), &bare), None);
        }
    }

    #[test]
    fn a_local_number_is_completed_by_its_context() {
        let message = invite("tel:79460000;phone-context=+4420", &format!("{TO}From: <sip:a@b>;tag=1\r\n"));
        assert_eq!(dialled(&trunk(DialledIn::RequestUri, true), &message).as_deref(), Some("+442079460000"));
    }

    #[test]
    fn a_hop_is_called_from_a_listener_of_its_kind() {
        let udp = |address: &str| Listener::new(rsip::Transport::Udp, address.parse().unwrap());
        let public = Listener { advertise: Some("203.0.113.7:5060".into()), ..udp("10.0.0.5:5070") };
        let tcp = Listener::new(rsip::Transport::Tcp, "10.0.0.5:5060".parse().unwrap());
        let listeners = [tcp, udp("127.0.0.1:5060"), udp("10.0.0.5:5060"), public, udp("[2001:db8::5]:5060")];
        let from = |remote: &str| {
            let hop = Hop { transport: rsip::Transport::Udp, remote: remote.parse().unwrap(), name: None };
            flow_towards(hop, &listeners).map(|flow| flow.local.to_string())
        };
        assert_eq!(from("127.0.0.9:5080").as_deref(), Some("127.0.0.1:5060"));
        assert_eq!(from("192.168.7.7:5060").as_deref(), Some("10.0.0.5:5060"));
        assert_eq!(from("198.51.100.1:5060").as_deref(), Some("10.0.0.5:5070"));
        assert_eq!(from("[::1]:5060").as_deref(), Some("[2001:db8::5]:5060"), "better than none");
        let hop = Hop { transport: rsip::Transport::Tls, remote: "10.0.0.9:5061".parse().unwrap(), name: None };
        assert_eq!(flow_towards(hop, &listeners), None);
    }

    #[test]
    fn destinations_come_from_the_configuration() {
        let list =
            ["sip:{number}@198.51.100.1", "sip:{caller}@[2001:db8::1]:5070;transport=tcp", "sip:desk@pbx.example:5062"]
                .map(|uri| Arc::new(Destination::plain(uri)));
        let number = E164::parse("+442079460000").unwrap();
        let found = targets(&list, &number, Some("+447700900123"), &Names::default());
        let uris: Vec<&str> = found.iter().map(|target| target.uri.as_str()).collect();
        assert_eq!(
            uris,
            [
                "sip:+442079460000@198.51.100.1",
                "sip:+447700900123@[2001:db8::1]:5070;transport=tcp",
                "sip:desk@pbx.example:5062"
            ]
        );
        assert_eq!(found[0].literal().map(|hop| hop.remote), Some("198.51.100.1:5060".parse().unwrap()));
        assert_eq!(found[1].literal().map(|hop| hop.remote), Some("[2001:db8::1]:5070".parse().unwrap()));
        assert_eq!((found[1].query.transport, found[2].literal()), (Some(rsip::Transport::Tcp), None));
        // A caller text that would change the URI does not stand in it.
        let hostile = targets(&list, &number, Some("1@evil.example;x"), &Names::default());
        assert_eq!(hostile[1].uri, "sip:anonymous@[2001:db8::1]:5070;transport=tcp");
    }
}
