//! Under which host the peers of a listener know us: what goes into Via, Contact and From.

use std::borrow::Cow;
use std::net::SocketAddr;

use rsip::Transport;

use crate::config::Listener;

/// Hosts of the listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    listeners: Vec<(Transport, SocketAddr, Box<str>)>,
    /// For what is none of the listeners.
    other: Option<Box<str>>,
}

impl Hosts {
    /// `advertise`: host (and port) of listeners that have none of their own. The port is that of UDP and TCP; what
    /// listens for TLS or WebSocket keeps its own.
    pub fn new(listeners: &[Listener], advertise: Option<&str>) -> Hosts {
        let host_of = |listener: &Listener| {
            let own = listener.advertise.as_deref().map(Box::from);
            let own = own.or_else(|| advertise.map(|host| shared(listener, host)));
            own.unwrap_or_else(|| listener.address.to_string().into())
        };
        let named = |listener: &Listener| (listener.transport, listener.address, host_of(listener));
        Hosts { listeners: listeners.iter().map(named).collect(), other: advertise.map(Box::from) }
    }

    /// Host (and port) of messages that leave from this listener.
    pub fn of(&self, transport: Transport, local: SocketAddr) -> Cow<'_, str> {
        let found = self.listeners.iter().find(|(kind, address, _)| *kind == transport && *address == local);
        match found.map(|(_, _, host)| host).or(self.other.as_ref()) {
            Some(host) => Cow::Borrowed(host),
            None => Cow::Owned(local.to_string()),
        }
    }
}

/// The host that all listeners share, with the port that this one needs.
fn shared(listener: &Listener, advertise: &str) -> Box<str> {
    let default_port = match listener.transport {
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
        _ => return advertise.into(),
    };
    let host = match advertise.rsplit_once(':') {
        Some((host, _)) if !advertise.ends_with(']') => host,
        _ => advertise,
    };
    match listener.address.port() {
        port if port == default_port => host.into(),
        port => format!("{host}:{port}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_host() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let listener = |transport, address: &str| Listener::new(transport, at(address));
        let own = Listener { advertise: Some("sip.example:5070".into()), ..listener(Transport::Tcp, "10.0.0.1:5070") };
        let listeners = [
            listener(Transport::Udp, "10.0.0.1:5060"),
            own,
            listener(Transport::Tls, "10.0.0.1:5061"),
            listener(Transport::Tls, "10.0.0.1:5071"),
            listener(Transport::Wss, "[2001:db8::1]:8443"),
        ];
        let seen = |advertise| {
            let hosts = Hosts::new(&listeners, advertise);
            listeners.iter().map(|l| hosts.of(l.transport, l.address).into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(seen(None), "10.0.0.1:5060 sip.example:5070 10.0.0.1:5061 10.0.0.1:5071 [2001:db8::1]:8443");
        assert_eq!(
            seen(Some("203.0.113.7:5060")),
            "203.0.113.7:5060 sip.example:5070 203.0.113.7 203.0.113.7:5071 203.0.113.7:8443"
        );
        assert_eq!(
            seen(Some("[2001:db8::7]")),
            "[2001:db8::7] sip.example:5070 [2001:db8::7] [2001:db8::7]:5071 [2001:db8::7]:8443"
        );
        let hosts = Hosts::new(&listeners, Some("pbx.example"));
        assert_eq!(hosts.of(Transport::Tcp, at("10.0.0.1:5060")), "pbx.example");
    }
}
