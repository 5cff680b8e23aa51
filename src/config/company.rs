//! `[[company]]`: whose numbers these are, and where their calls go.

use std::time::Duration;

/// Whose numbers these are, and where their calls go.
#[derive(Clone, Debug)]
pub struct Company {
    pub name: String,
    /// Destinations as SIP URIs, tried in order; `{number}` and `{caller}` may stand in them.
    pub forward_to: Vec<String>,
    /// Ringing time per attempt; default 30 s.
    pub ring_timeout: Duration,
    /// Statuses of a destination that end the hunt at once; default none. 600, 603, 604 and 606 always do.
    pub final_statuses: Vec<u16>,
    pub nat: bool,
    /// Overrides `[recording] enabled`.
    pub recording: Option<bool>,
    pub limits: super::CompanyLimits,
}
