//! Session timers (RFC 4028).

use std::time::Duration;

/// Session timer of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionTimer {
    /// Session-Expires that we ask for.
    pub expires: Duration,
    /// Min-SE: shortest interval that we accept; at least 90 s (RFC 4028 §4).
    pub min: Duration,
}
