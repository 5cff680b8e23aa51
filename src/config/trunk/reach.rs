//! What a trunk's legs may be carried by: codecs and transports.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rsip::Transport;

/// Codecs by name, in upper case as descriptions have them, the preferred one first. Empty: any, in the order of whoever
/// offers. Telephone events and comfort noise are no codecs and always cross.
pub type CodecList = Arc<[Box<str>]>;

/// Where a party's media may be although its signalling is elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaNetworks(Arc<[IpNet]>);

impl MediaNetworks {
    /// One of them has this address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&ip.to_canonical()))
    }

    /// They, as they are written.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }
}

impl FromIterator<IpNet> for MediaNetworks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> MediaNetworks {
        MediaNetworks(networks.into_iter().collect())
    }
}

/// The transports that a trunk may use, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports(u8);

impl Transports {
    /// Names in the configuration, as in URIs.
    pub const NAMES: [(&'static str, Transport); 5] = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
        ("ws", Transport::Ws),
        ("wss", Transport::Wss),
    ];

    /// Whichever we speak.
    pub const ANY: Transports = Transports(0b1_1111);

    /// A request may go or come over this one.
    pub fn allows(self, transport: Transport) -> bool {
        self.0 & bit(transport) != 0
    }

    /// Not every transport will do.
    pub fn is_limited(self) -> bool {
        self != Transports::ANY
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let allowed = move |(_, transport): &(&str, Transport)| self.allows(*transport);
        Transports::NAMES.into_iter().filter(allowed).map(|(name, _)| name)
    }
}

impl FromIterator<Transport> for Transports {
    fn from_iter<I: IntoIterator<Item = Transport>>(transports: I) -> Transports {
        Transports(transports.into_iter().fold(0, |bits, transport| bits | bit(transport)))
    }
}

/// Those that we do not speak have none.
const fn bit(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 4,
        Transport::Ws => 8,
        Transport::Wss => 16,
        Transport::Sctp | Transport::TlsSctp => 0,
    }
}
