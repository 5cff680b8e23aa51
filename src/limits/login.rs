//! Bounds of logging in, registering and asking trunks.

use std::time::Duration;

/// User name of a login: longer than any phone number with a domain.
pub const AUTH_USER: usize = 128;
/// Realm of a login: longer than any host name in use.
pub const AUTH_REALM: usize = 256;
/// Users that log in to one trunk.
pub const LOGIN_USERS: usize = 1_024;
/// How long an answer to our challenge is taken; after it the peer hears `stale` and answers again.
pub const LOGIN_NONCE: Duration = Duration::from_secs(300);
/// Nonces in use at once, whose counts are kept: 218 logins a second, in 4 MB.
pub const LOGIN_NONCES: usize = 65_536;
/// Messages of one source that are read before it has logged in, a second: two for each call of an office.
pub const LOGINS_PER_SECOND: u32 = 50;
/// Places for the rates of sources: a forged flood from everywhere takes little of each.
pub const LOGIN_RATES: usize = 4_096;
/// Parameters of one challenge or of one Authorization (RFC 7616 names twelve).
pub const AUTH_PARAMS: usize = 24;
/// Challenges of one response: three algorithms of two realms, and schemes that we do not know.
pub const AUTH_CHALLENGES: usize = 16;
/// One value of a challenge: nonces in use have up to about 200 bytes.
pub const AUTH_VALUE: usize = 1_024;
/// Contacts of one registration: a pair of sites.
pub const REGISTER_CONTACTS: usize = 4;
/// Places of a Service-Route that are kept; a longer one is not followed.
pub const SERVICE_ROUTES: usize = 8;
/// Places of a registrar that are tried before a pause.
pub const REGISTER_PLACES: usize = 8;
/// A broken connection is registered anew after this and as much again, drawn: all clients of a registrar that starts
/// again do not come together.
pub const REGISTER_AGAIN: Duration = Duration::from_secs(2);
/// Pause after the first failure of all places (RFC 5626 §4.5 base-time).
pub const REGISTER_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause (RFC 5626 §4.5 max-time), and the longest Retry-After that is believed.
pub const REGISTER_PAUSE_MAX: Duration = Duration::from_secs(1_800);
/// Places of one trunk that a round of probes asks: as many as a registration tries.
pub const PROBE_PLACES: usize = 8;
