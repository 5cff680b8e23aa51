//! `[[trunk]]`: who may send us calls, and a way out.

mod headers;
mod identity;
mod login;
mod probe;
mod reach;
mod register;
mod stir;

use std::net::SocketAddr;
use std::sync::Arc;

use super::{LargeRequests, MediaEncryption, Within};
use crate::core::auth::Credentials;

pub use headers::{HeaderRules, Rewrite};
pub use identity::{DisplayRule, IdentityRules, IdentitySource, NumberFormat, ReasonHeader};
pub use login::{Login, LoginUser};
pub use probe::Probe;
pub use reach::{CodecList, MediaNetworks, Transports};
pub use register::Register;
pub use stir::{StirForward, StirRules, StirVerify};

/// Where the number that was dialled stands in the INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialledIn {
    RequestUri,
    To,
    PCalledPartyId,
    Diversion,
}

/// How a trunk is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Any port of these addresses, on any transport.
    Network(ipnet::IpNet),
    /// One port: datagrams from it, and connections that we opened to it.
    Address(SocketAddr),
    /// Whose certificate is for this name (RFC 5922 §7.1), wherever it connects from. In lower case.
    Tls(Box<str>),
}

impl std::fmt::Display for Source {
    /// As the configuration writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::value::source_text(self))
    }
}

/// Who may send us calls.
#[derive(Clone, Debug)]
pub struct Trunk {
    pub name: String,
    pub sources: Vec<Source>,
    /// The way out, a SIP URI without user: destinations that name this trunk go there; none: each goes to its own host.
    pub address: Option<String>,
    pub dialled_in: DialledIn,
    /// ISO 3166 region whose plan national numbers belong to (`GB`); without it only international forms are read.
    pub country: Option<String>,
    /// Digits that this trunk puts before the number, dropped before reading.
    pub prefix: String,
    /// P-Asserted-Identity and Remote-Party-ID of this trunk are believed; default true.
    pub trust_identity: bool,
    /// Symmetric media may be learned (same IP, five in sequence), and in-dialog requests go to the packet's source.
    pub nat: bool,
    /// Where its media may be sent before any has come from there, beside the address of its signalling: the networks
    /// of `match` and those of `media_networks`.
    pub media_networks: MediaNetworks,
    /// What requests do that are too large for a datagram; default: as `[sip]` says.
    pub large_requests: LargeRequests,
    pub calls_max: usize,
    pub calls_per_second_max: u32,
    /// What its legs may talk with.
    pub codecs: CodecList,
    /// How the media of its legs is protected; none: as the company says towards it, and not at all from it.
    pub media_encryption: Option<MediaEncryption>,
    /// What its requests and ours may go over.
    pub transports: Transports,
    /// How numbers are written towards the trunk.
    pub number_format: NumberFormat,
    pub reason_header: ReasonHeader,
    pub identity: IdentityRules,
    pub headers: HeaderRules,
    pub stir: StirRules,
    /// Whether a destination of it may send a call on by 3xx, to places that are configured; default false.
    pub redirects: bool,
    /// What its calls may do after the answer.
    pub within: Within,
    /// What we log in with when the trunk challenges a request of ours; `None`: a challenge is a failure.
    pub credentials: Option<Arc<Credentials>>,
    /// We register there; its calls then come from where the registrar is, too.
    pub register: Option<Register>,
    /// Users who log in to us and then are this trunk, wherever they come from.
    pub login: Option<Login>,
    /// Its calls with `Require: siprec` are copies of calls that somebody else carries, to be recorded (RFC 7866).
    pub siprec: bool,
    /// It is asked whether it is there.
    pub probe: Option<Probe>,
}

impl Trunk {
    /// What its large requests do: where it may not use TCP they stay on UDP, whatever else is said.
    pub fn large(&self) -> LargeRequests {
        if self.transports.allows(rsip::Transport::Tcp) { self.large_requests } else { LargeRequests::Udp }
    }

    /// A trunk that nobody calls from yet, with every default.
    pub fn bare(name: &str) -> Trunk {
        Trunk {
            name: name.to_owned(),
            sources: Vec::new(),
            address: None,
            dialled_in: DialledIn::RequestUri,
            country: None,
            prefix: String::new(),
            trust_identity: true,
            nat: false,
            media_networks: MediaNetworks::default(),
            large_requests: LargeRequests::default(),
            calls_max: 1,
            calls_per_second_max: 0,
            codecs: CodecList::default(),
            media_encryption: None,
            transports: Transports::ANY,
            number_format: NumberFormat::default(),
            reason_header: ReasonHeader::default(),
            identity: IdentityRules::default(),
            headers: HeaderRules::default(),
            stir: StirRules::default(),
            redirects: false,
            within: Within::default(),
            credentials: None,
            register: None,
            login: None,
            siprec: false,
            probe: None,
        }
    }
}
