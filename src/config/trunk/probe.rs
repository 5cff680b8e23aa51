//! `[trunk.probe]`: a trunk that is asked, now and then, whether it is there.

use std::time::Duration;

/// OPTIONS to a trunk (RFC 3261 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// From one round to the next.
    pub every: Duration,
    /// A place that has said nothing for so long is down. Never longer than `every`.
    pub timeout: Duration,
}
