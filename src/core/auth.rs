//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! Credentials belong to a trunk. They are given to a leg or to a request of ours and answer challenges to that alone:
//! nothing that a peer writes picks them.

pub mod client;
pub mod digest;
pub mod server;

use std::sync::Arc;

use crate::config::Secret;

/// What we log in with at one trunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub secret: Secret,
    /// Only challenges of this realm are answered; `None`: of any, because the request has gone to the trunk anyway.
    pub realm: Option<String>,
    /// Name of the trunk, for logs.
    pub trunk: Arc<str>,
}

impl std::fmt::Debug for Credentials {
    /// Never with the secret, and without the user: it is often a phone number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("trunk", &self.trunk).field("realm", &self.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_themselves() {
        let credentials = Credentials {
            user: "+442079460123".to_owned(),
            secret: Secret("hunter2".into()),
            realm: Some("carrier.example".to_owned()),
            trunk: "carrier".into(),
        };
        let shown = format!("{credentials:?}");
        assert_eq!(shown, r#"Credentials { trunk: "carrier", realm: Some("carrier.example"), .. }"#);
    }
}
