//! Which addresses may be named as a place for media at all. Signalling refuses the others with 488; the relay asks
//! again, so that a mistake in signalling cannot make us send to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config;

/// Our own media: nobody may name it as theirs, or two calls would feed each other for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMedia {
    /// Bound and advertised addresses.
    pub addresses: Vec<IpAddr>,
    /// First and last media port.
    pub ports: (u16, u16),
}

impl OwnMedia {
    pub fn new(config: &config::Media) -> OwnMedia {
        let addresses = [Some(config.address), config.address6, config.advertise];
        OwnMedia { addresses: addresses.into_iter().flatten().collect(), ports: config.ports }
    }

    /// Loopback peers are believed only where we ourselves live on loopback (demonstration and tests).
    fn on_loopback(&self) -> bool {
        self.addresses.iter().any(|a| a.to_canonical().is_loopback())
    }

    fn is_own(&self, address: IpAddr, port: u16) -> bool {
        let bound = |own: &IpAddr| own.to_canonical() == address || (own.is_unspecified() && address.is_loopback());
        (self.ports.0..=self.ports.1).contains(&port) && self.addresses.iter().any(bound)
    }
}

/// The unspecified address in `c=` is the old way to say hold (RFC 3264 §8.4): nothing is sent to it, and it is no
/// mistake.
pub fn is_hold(remote: SocketAddr) -> bool {
    remote.ip().to_canonical().is_unspecified()
}

/// Whether media may go to this address; else the stable code of the refusal. [`is_hold`] addresses are acceptable.
/// Port 0 refuses a stream (RFC 3264 §6) and must be handled before.
pub fn is_acceptable(remote: SocketAddr, own: &OwnMedia) -> Result<(), &'static str> {
    let address = remote.ip().to_canonical();
    if address.is_unspecified() {
        return Ok(());
    }
    let port = remote.port();
    match address {
        IpAddr::V4(v4) => check_v4(v4)?,
        IpAddr::V6(v6) => check_v6(v6)?,
    }
    if address.is_loopback() && !own.on_loopback() {
        return Err("media_address_loopback");
    }
    if port == 0 {
        return Err("media_port_zero");
    }
    // Well-known ports and SIP's are other services: media sent there would be an attack by proxy.
    if port < 1_024 || port == 5_060 || port == 5_061 {
        return Err("media_port_reserved");
    }
    if own.is_own(address, port) {
        return Err("media_address_own");
    }
    Ok(())
}

fn check_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    if address.is_multicast() {
        return Err("media_address_multicast");
    }
    // 240.0.0.0/4 is reserved and ends in the broadcast address; 0.0.0.0/8 is "this network".
    if address.octets()[0] >= 240 || address.octets()[0] == 0 {
        return Err("media_address_broadcast");
    }
    if address.is_link_local() {
        return Err("media_address_link_local");
    }
    Ok(())
}

fn check_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    if address.is_multicast() {
        return Err("media_address_multicast");
    }
    if address.is_unicast_link_local() {
        return Err("media_address_link_local");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(address: &str) -> OwnMedia {
        OwnMedia { addresses: vec![address.parse().unwrap()], ports: (20_000, 29_999) }
    }

    #[test]
    fn e16_addresses_that_media_may_not_go_to() {
        let public = own("203.0.113.1");
        for (remote, expected) in [
            ("198.51.100.7:30000", Ok(())),
            ("10.0.0.7:1024", Ok(())),
            ("[2001:db8::7]:30000", Ok(())),
            ("0.0.0.0:30000", Ok(())),
            ("[::]:30000", Ok(())),
            ("127.0.0.1:30000", Err("media_address_loopback")),
            ("[::1]:30000", Err("media_address_loopback")),
            ("[::ffff:127.0.0.1]:30000", Err("media_address_loopback")),
            ("169.254.169.254:30000", Err("media_address_link_local")),
            ("[::ffff:169.254.169.254]:30000", Err("media_address_link_local")),
            ("[fe80::1]:30000", Err("media_address_link_local")),
            ("224.0.0.1:30000", Err("media_address_multicast")),
            ("[ff02::1]:30000", Err("media_address_multicast")),
            ("255.255.255.255:30000", Err("media_address_broadcast")),
            ("0.1.2.3:30000", Err("media_address_broadcast")),
            ("198.51.100.7:0", Err("media_port_zero")),
            ("198.51.100.7:1", Err("media_port_reserved")),
            ("198.51.100.7:1023", Err("media_port_reserved")),
            ("198.51.100.7:5060", Err("media_port_reserved")),
            ("203.0.113.1:20000", Err("media_address_own")),
            ("203.0.113.1:29999", Err("media_address_own")),
            ("[::ffff:203.0.113.1]:20002", Err("media_address_own")),
            ("203.0.113.1:30000", Ok(())),
        ] {
            assert_eq!(is_acceptable(remote.parse().unwrap(), &public), expected, "{remote}");
        }
    }

    #[test]
    fn on_loopback_loopback_is_fine_and_our_ports_are_not() {
        let demo = own("127.0.0.1");
        assert_eq!(is_acceptable("127.0.0.1:40000".parse().unwrap(), &demo), Ok(()));
        assert_eq!(is_acceptable("127.0.0.1:20000".parse().unwrap(), &demo), Err("media_address_own"));
    }

    #[test]
    fn bound_to_all_addresses_the_loopback_way_round_is_refused_too() {
        assert!(is_acceptable("127.0.0.1:20000".parse().unwrap(), &own("0.0.0.0")).is_err());
    }

    #[test]
    fn only_the_unspecified_address_is_hold() {
        assert!(is_hold("0.0.0.0:4000".parse().unwrap()) && is_hold("[::]:4000".parse().unwrap()));
        assert!(!is_hold("0.0.0.1:4000".parse().unwrap()));
    }
}
