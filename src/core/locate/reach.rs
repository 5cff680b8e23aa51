//! What we can reach: transports and IP versions of our listeners; and where no answer of DNS may send us.

use std::net::{IpAddr, SocketAddr};

use rsip::Transport;

use crate::config::Listener;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    listeners: Vec<Listener>,
    /// Addresses of private networks (RFC 1918, RFC 4193, link-local) may stand in answers.
    private: bool,
}

impl Reach {
    pub fn new(listeners: &[Listener], private: bool) -> Reach {
        Reach { listeners: listeners.to_vec(), private }
    }

    /// We have a listener of this transport.
    pub fn speaks(&self, transport: Transport) -> bool {
        self.listeners.iter().any(|listener| listener.transport == transport)
    }

    /// IP versions in which we speak it (`true`: IPv4), in the order of our listeners: who writes them decides which
    /// version is tried first (RFC 7984 leaves the order to us).
    pub fn families(&self, transport: Transport) -> impl Iterator<Item = bool> {
        let of = |want: Option<bool>| {
            let fits = move |listener: &&Listener| listener.transport == transport;
            let mut all = self.listeners.iter().filter(fits).map(|listener| listener.address.is_ipv4());
            match want {
                None => all.next(),
                Some(first) => all.find(|family| *family != first),
            }
        };
        let first = of(None);
        first.into_iter().chain(first.and_then(|first| of(Some(first))))
    }

    /// Whether an answer of DNS may send us there. Addresses that no host has, and our own listeners, are never taken: a
    /// call that comes back to us would fork for ever (RFC 5393).
    pub fn allows(&self, remote: SocketAddr) -> bool {
        let ip = remote.ip().to_canonical();
        let nobody = match ip {
            IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast() || v4.octets()[0] >= 240,
            IpAddr::V6(v6) => v6.is_unspecified(),
        };
        let ours = |listener: &Listener| {
            let own = listener.address.ip().to_canonical();
            listener.address.port() == remote.port()
                && (own == ip || own.is_unspecified() && ip.is_loopback() && own.is_ipv4() == ip.is_ipv4())
        };
        let bad = remote.port() == 0 || nobody || ip.is_multicast() || self.listeners.iter().any(ours);
        !bad && (self.private || !is_private(ip))
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared(v4),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// RFC 6598: behind a carrier's NAT.
fn is_shared(ip: std::net::Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(transport: Transport, address: &str) -> Listener {
        Listener::new(transport, address.parse().expect(address))
    }

    #[test]
    fn no_answer_sends_us_to_nobody_or_to_ourselves() {
        let ours = [listener(Transport::Udp, "198.51.100.1:5060"), listener(Transport::Tcp, "0.0.0.0:5070")];
        let (open, strict) = (Reach::new(&ours, true), Reach::new(&ours, false));
        for (remote, allowed, strictly) in [
            ("0.0.0.0:5060", false, false),
            ("0.1.2.3:5060", false, false),
            ("255.255.255.255:5060", false, false),
            ("224.0.1.75:5060", false, false),
            ("240.0.0.1:5060", false, false),
            ("[::]:5060", false, false),
            ("[ff02::1]:5060", false, false),
            ("[::ffff:0.0.0.0]:5060", false, false),
            ("198.51.100.1:5060", false, false),
            ("[::ffff:198.51.100.1]:5060", false, false),
            ("198.51.100.1:5062", true, true),
            ("127.0.0.1:5070", false, false),
            ("192.0.2.1:0", false, false),
            ("192.0.2.1:5060", true, true),
            ("[2001:db8::1]:5060", true, true),
            ("10.1.2.3:5060", true, false),
            ("172.16.0.1:5060", true, false),
            ("192.168.0.1:5060", true, false),
            ("169.254.169.254:5060", true, false),
            ("100.64.0.1:5060", true, false),
            ("127.0.0.1:5060", true, false),
            ("[::1]:5060", true, false),
            ("[fe80::1]:5060", true, false),
            ("[fd00::1]:5060", true, false),
        ] {
            let address = remote.parse().expect(remote);
            assert_eq!((open.allows(address), strict.allows(address)), (allowed, strictly), "{remote}");
        }
    }

    #[test]
    fn the_order_of_listeners_is_the_order_of_ip_versions() {
        let reach = Reach::new(
            &[
                listener(Transport::Udp, "[2001:db8::1]:5060"),
                listener(Transport::Tcp, "192.0.2.1:5060"),
                listener(Transport::Udp, "192.0.2.1:5060"),
                listener(Transport::Udp, "192.0.2.2:5060"),
            ],
            true,
        );
        let families = |transport| reach.families(transport).collect::<Vec<bool>>();
        assert_eq!(families(Transport::Udp), [false, true]);
        assert_eq!(families(Transport::Tcp), [true]);
        assert_eq!(families(Transport::Tls), [false; 0]);
        assert!(reach.speaks(Transport::Tcp) && !reach.speaks(Transport::Tls));
    }
}
