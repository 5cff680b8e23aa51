//! `[trunk.register]`: a trunk that we log in to, so that it knows where we are.

use std::time::Duration;

/// One registration of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// SIP URI without user: Request-URI of REGISTER, and where it goes.
    pub registrar: String,
    /// Address of record, a SIP URI.
    pub aor: String,
    /// Hosts (with port) of the Contacts; empty: the address that the REGISTER leaves from.
    pub contacts: Vec<String>,
    /// What is asked for; the registrar may grant less.
    pub expires: Duration,
}
