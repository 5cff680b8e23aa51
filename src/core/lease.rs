//! Leases and the table from number to lease.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::event::Session;
use crate::ids::{E164, LeaseId};
use crate::time::Wall;

/// One number lent to one visitor. The value that the journal, the feed and the lease table carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub lease_id: LeaseId,
    pub number: E164,
    pub company: String,
    pub site: String,
    pub pool: String,
    pub visitor_id: String,
    pub session: Arc<Session>,
    pub granted_at: Wall,
    /// Last sign of the visitor (grant, renew, signal).
    pub seen_at: Wall,
    /// The number is on the visitor's page until then, unless renewed.
    pub expires_at: Wall,
    /// Set when the visitor left the page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub released_at: Option<Wall>,
    /// The number is kept for this visitor until then (hold).
    pub hold_until: Wall,
    /// More than one visitor has this number (pool exhausted).
    #[serde(default)]
    pub shared: bool,
}

/// Static channel of a number: `source`, `medium`, `campaign`, ….
pub type Channel = Arc<BTreeMap<String, String>>;
