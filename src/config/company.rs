//! `[[company]]`: whose numbers these are, and where their calls go.

use std::sync::Arc;
use std::time::Duration;

use super::{TransferRules, Trunk};

/// Whose numbers these are, and where their calls go.
#[derive(Clone, Debug)]
pub struct Company {
    pub name: String,
    pub forward_to: Vec<Arc<Destination>>,
    /// Ringing time per attempt; default 30 s.
    pub ring_timeout: Duration,
    /// Statuses of a destination that end the hunt at once; default none. 600, 603, 604 and 606 always do.
    pub final_statuses: Vec<u16>,
    pub nat: bool,
    /// Overrides `[recording] enabled`.
    pub recording: Option<bool>,
    /// How its PBX may send callers on.
    pub transfer: TransferRules,
    pub limits: super::CompanyLimits,
}

impl Company {
    /// Every destination that stands anywhere in this company, in the order in which they are read.
    pub fn every_destination(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.forward_to.iter()
    }

    pub(super) fn every_destination_mut(&mut self) -> impl Iterator<Item = &mut Arc<Destination>> {
        self.forward_to.iter_mut()
    }
}

/// Where a call may go: one entry of `forward_to`.
#[derive(Clone, Debug)]
pub struct Destination {
    /// In events, and what a decision names; default: the URI.
    pub name: Option<String>,
    /// Request-URI; `{number}` and `{caller}` may stand in it.
    pub uri: String,
    /// The trunk that was named.
    pub trunk_name: Option<String>,
    /// The number that was written instead of a URI: it is dialled at the trunk's address.
    pub number: Option<String>,
    /// The trunk that it goes out through: the one named, else the one whose `address` has this host, else the one whose
    /// `match` holds this address.
    pub trunk: Option<Arc<Trunk>>,
    /// Share of a weighted draw; 0: only when no other is left.
    pub weight: u32,
    /// Calls at once; a full destination is passed over.
    pub calls_max: Option<usize>,
    /// Instead of the company's.
    pub ring_timeout: Option<Duration>,
}

impl Destination {
    /// A destination that is nothing but a URI, as a plain text in `forward_to` is.
    pub fn plain(uri: &str) -> Destination {
        Destination {
            name: None,
            uri: uri.to_owned(),
            trunk_name: None,
            number: None,
            trunk: None,
            weight: 1,
            calls_max: None,
            ring_timeout: None,
        }
    }

    /// What it is called in events and decisions.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.uri)
    }

    /// Where its next hop is looked up: at the trunk's `address` when the trunk was named and has one (an outbound proxy),
    /// else at the URI itself.
    pub fn proxy(&self) -> Option<&str> {
        self.trunk_name.as_ref().and(self.trunk.as_ref())?.address.as_deref()
    }
}
