//! Who somebody is, as far as the connection tells: address, port, verified name.

use std::net::IpAddr;

use rsip::Transport;

use super::Settings;
use crate::config::{ClientCertificates, Destination};
use crate::core::agent::{Flow, Trust};
use crate::core::locate::{self, is_secure};
use crate::wire::sip::Uri;

/// How far a new stream connection may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A trunk's or a destination's address.
    Known,
    /// Nobody's address, but a certificate may still show whose connection it is.
    Certificate,
    /// Nobody, who may become somebody by logging in.
    Login,
    /// Nobody.
    Closed,
}

impl Settings {
    /// Whether a new stream connection may come in, before anything is known but its address.
    pub fn door(&self, transport: Transport, source: IpAddr) -> Door {
        let barred = self.directory.bars_transports()
            && !self.destinations.contains(&source.to_canonical())
            && self.directory.trunk_for(source).is_some_and(|trunk| !trunk.transports.allows(transport));
        if self.is_peer(source) && !barred {
            return Door::Known;
        }
        if self.directory.users().is_some() {
            return Door::Login;
        }
        let is_asked = self.config.sip.tls.client_certificates != ClientCertificates::Off;
        if is_secure(transport) && is_asked && self.directory.has_names() { Door::Certificate } else { Door::Closed }
    }

    /// Who sent a message, as far as its connection tells.
    pub fn trust(&self, flow: &Flow) -> Trust {
        // A name is verified, and only names of the configuration have numbers.
        let is_known = flow.name.is_some() || self.directory.trunk_of(flow).is_some();
        if is_known || self.is_peer(flow.remote.ip()) { Trust::Known } else { Trust::Stranger }
    }

    /// Whether any connection may be secure: a certificate of our own, or something that is called over TLS.
    pub fn wants_tls(&self) -> bool {
        let secure = |uri: &str| {
            Uri::parse(uri).is_ok_and(|uri| {
                let over_tls = uri.param("transport").and_then(locate::transport).is_some_and(is_secure);
                over_tls || uri.scheme.eq_ignore_ascii_case("sips")
            })
        };
        let called = |one: &std::sync::Arc<Destination>| secure(&one.uri) || one.proxy().is_some_and(secure);
        let config = &self.config;
        config.sip.tls.identity.is_some()
            || config.companies.iter().any(|company| company.every_destination().any(called))
            || config.trunks.iter().filter_map(|trunk| trunk.address.as_deref()).any(secure)
    }
}
