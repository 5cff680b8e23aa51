//! What is asked of the allocator, what it answers, and what it shows.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::core::event::{Event, Session};
use crate::core::lease::{Change, Device, Lease};
use crate::ids::E164;

/// Clocks of the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A lease lapses so long after its last renewal.
    pub ttl: Duration,
    /// What a page is told to wait between renewals.
    pub renew_after: Duration,
    /// Former holders of a number are forgotten after so long.
    pub memory: Duration,
}

/// What a page asks.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Name of the site, as configured.
    pub site: String,
    /// As the page remembered it; one that is not well-formed counts as none.
    pub visitor_id: Option<String>,
    pub session: Session,
    pub device: Device,
    /// Where the visitor is: ISO 3166-2, or ISO 3166-1 when no more is known.
    pub region: Option<Arc<str>>,
    /// Of the browser, `en-GB`.
    pub language: Option<Arc<str>>,
    /// The visit gets no number of its own, and this is why: the static number of its source is shown. Who has a number
    /// keeps it.
    pub instead: Option<&'static str>,
}

/// A number for a visitor.
#[derive(Clone, Debug)]
pub struct Granted {
    pub lease: Arc<Lease>,
    /// Others see the number too.
    pub shared: bool,
    /// The page is to show the number.
    pub swap: bool,
    /// The visitor had this number already.
    pub returning: bool,
    /// Why it is a static one ([`Class::SourceStatic`](crate::core::lease::Class), `Overflow`): `pool_exhausted`, or what
    /// the question said.
    pub reason: Option<&'static str>,
}

/// No number: the page keeps the real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNumber {
    /// `unknown_site`, `no_pool` (the site has no dynamic pool here), `no_pool_fits`, `pool_exhausted`, or what the question
    /// said.
    pub code: &'static str,
    /// To be remembered by the page all the same.
    pub visitor_id: String,
}

/// Why a renewal, release or signal was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Never granted, or ended and no longer held. The same answer for both.
    #[error("no such lease")]
    UnknownLease,
    #[error("a signal's name is 1 to 32 of a-z and _")]
    BadSignal,
    #[error("this lease has sent too many signals")]
    TooManySignals,
}

impl Refused {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Refused::UnknownLease => "unknown_lease",
            Refused::BadSignal => "bad_signal",
            Refused::TooManySignals => "too_many_signals",
        }
    }
}

/// What the allocator wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the journal.
    Event(Event),
    /// For the lease table and the feed.
    Change(Change),
}

/// Where a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberState {
    Free,
    /// On a visitor's page.
    Leased,
    /// The visitor left; kept for them.
    Held,
    /// Belongs to a channel; never leased.
    Static,
}

/// One pool, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolState {
    pub name: String,
    pub company: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// `dynamic` or `static`.
    pub kind: &'static str,
    pub numbers: usize,
    pub free: usize,
    pub leased: usize,
    pub held: usize,
    /// Grants to visitors who did not have the number already, since the start.
    pub granted: u64,
    /// Of these, to visitors who share the number with others.
    pub shared: u64,
    /// Visitors for whom there was no number, since the start.
    pub exhausted: u64,
    /// Visits that were shown the static number of their source, and the overflow number.
    pub source_static: u64,
    pub overflow: u64,
}

/// One number and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NumberInfo {
    pub number: E164,
    pub pool: String,
    pub company: String,
    pub state: NumberState,
    /// The lease of a leased or held number, or the last one that is remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Arc<Lease>>,
}
