//! Where a SIP URI leads (RFC 3263): the question that signalling asks and the answer it gets.

use std::net::SocketAddr;
use std::sync::Arc;

use rsip::Transport;

use crate::core::agent::NameId;
use crate::ids::CallId;

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Host of the URI: a name, or an address in text.
    pub host: Arc<str>,
    /// Port of the URI; `None` leaves it to SRV records or the transport's default (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// `transport` parameter of the URI; `None` leaves it to NAPTR and SRV records (RFC 3263 §4.1).
    pub transport: Option<Transport>,
    /// `sips:`: every hop must be TLS.
    pub secure: bool,
}

/// One place to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    pub transport: Transport,
    pub remote: SocketAddr,
    /// Name that the certificate must be for, when the transport is TLS (RFC 5922 §4).
    pub name: Option<NameId>,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asker {
    /// A call, and the number it gave its question.
    Call(CallId, u32),
    /// The registration or the probe of a trunk, by its number in the configuration.
    Trunk(u32),
}
