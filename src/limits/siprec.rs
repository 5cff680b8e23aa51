//! Bounds of third-party recorders (SIPREC).

use std::time::Duration;

/// Places of one third-party recorder (SIPREC): a pair of servers at two sites.
pub const SIPREC_PLACES: usize = 4;
/// Rounds over them for one call after the first: with the pauses doubled, hours.
pub const SIPREC_RETRIES: u64 = 10;
/// Longest pause between two rounds.
pub const SIPREC_PAUSE: Duration = Duration::from_secs(300);
/// Parties that one recording session's metadata tells of: the caller, and the company's through as many transfers.
pub const SIPREC_PARTIES: usize = 16;
/// Bytes of one text in the metadata that we write; names and campaigns are shorter.
pub const SIPREC_TEXT: usize = 512;
/// Nodes of the metadata of somebody else: a session of sixteen parties has some hundred.
pub const SIPREC_NODES: u32 = 4_096;
/// How deep its elements stand; RFC 7865 needs four.
pub const SIPREC_DEPTH: usize = 16;
/// Addresses of one party that are read.
pub const SIPREC_NAMES: usize = 4;
/// Texts of one call's attribution in the metadata: utm, click ids.
pub const SIPREC_TEXTS: usize = 32;
/// A re-INVITE to a recorder that met one of its own is made again after this (RFC 3261 §14.1: 2.1 to 4 s for who made
/// the Call-ID).
pub const SIPREC_GLARE: Duration = Duration::from_millis(2_500);
