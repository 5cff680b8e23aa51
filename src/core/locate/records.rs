//! What DNS is asked and what it says, as values: `io` fetches, [`super::find`] decides.

use std::net::IpAddr;
use std::sync::Arc;

/// Type of a record set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Naptr,
    Srv,
    A,
    Aaaa,
}

/// One question to DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lookup {
    pub kind: Kind,
    /// Lower case, without the dot of the root.
    pub name: Arc<str>,
}

impl Lookup {
    pub fn new(kind: Kind, name: &str) -> Lookup {
        Lookup { kind, name: super::host_key(name).into() }
    }
}

/// NAPTR (RFC 3403 §4.1), as far as RFC 3263 uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: Box<str>,
    pub service: Box<str>,
    /// Name of SRV records; `.` or empty when there is none.
    pub replacement: Box<str>,
}

/// SRV (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// `.` or empty: the service is decidedly not there.
    pub target: Box<str>,
}

/// What DNS said to one [`Lookup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Naptr(Vec<Naptr>),
    Srv(Vec<Srv>),
    /// Of A or AAAA.
    Addresses(Vec<IpAddr>),
    /// The name or the record does not exist.
    Nothing,
    /// No answer, or one that says nothing (SERVFAIL, REFUSED).
    Failed,
}
