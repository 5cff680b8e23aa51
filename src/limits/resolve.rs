//! Bounds of finding hosts by name, and of hops that are down.

use std::time::Duration;

/// Hops that are remembered as down. A configuration leads to some hundreds; each takes about 100 bytes.
pub const HEALTH_HOPS: usize = 4_096;
/// A hop that said nothing or could not be reached is left alone for so long; twice as long after each further failure.
pub const HEALTH_DOWN: Duration = Duration::from_secs(30);
/// The same for a hop that answered 503 and did not say for how long: it works, and may have room again soon.
pub const HEALTH_BUSY: Duration = Duration::from_secs(5);
/// The longest time that a hop is left alone for its failures.
pub const HEALTH_DOWN_MAX: Duration = Duration::from_secs(600);
/// The longest `Retry-After` that is believed.
pub const HEALTH_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// A hop whose time is over is tried by one call at a time; the next call may try it after this.
pub const HEALTH_TRIAL: Duration = Duration::from_secs(10);
/// A failed hop that nobody has asked for since is forgotten after this.
pub const HEALTH_MEMORY: Duration = Duration::from_secs(3_600);
/// A destination's name is looked up no longer than this; then the next destination is tried.
pub const RESOLVE: Duration = Duration::from_secs(2);
/// Host names of destinations and trunks, those of earlier configurations included.
pub const NAMES: usize = 100_000;
/// Hops that one name leads to: nobody waits for more to be tried.
pub const RESOLVED_HOPS: usize = 16;
/// NAPTR records of one name that are followed; a domain has one for each transport.
pub const NAPTR_RECORDS: usize = 4;
/// SRV targets of one name whose addresses are looked up.
pub const SRV_TARGETS: usize = 8;
/// DNS questions of one step: NAPTR, three SRV and two addresses, or two addresses of each SRV target.
pub const LOOKUPS: usize = 64;
/// One question to one DNS server; then the next server is asked.
pub const DNS_ATTEMPT: Duration = Duration::from_millis(400);
/// Questions to DNS servers under way at once.
pub const DNS_PARALLEL: usize = 64;
/// Questions under way or waiting for their turn; one more is a failure at once.
pub const DNS_WAITING: usize = 1_024;
/// Answers remembered: a configuration's names have some six questions each.
pub const DNS_CACHE: usize = 4_096;
/// An answer holds at least so long, whatever it says: a TTL of zero would ask for each call.
pub const DNS_TTL_MIN: Duration = Duration::from_secs(1);
/// An answer holds no longer: a PBX that moves is found again within the hour.
pub const DNS_TTL_MAX: Duration = Duration::from_secs(3_600);
/// "There is none" holds so long when the zone does not say (RFC 2308 §5).
pub const DNS_NEGATIVE: Duration = Duration::from_secs(30);
/// "There is none" holds no longer: somebody may be about to add it.
pub const DNS_NEGATIVE_MAX: Duration = Duration::from_secs(300);
/// While no server answers, old answers serve for so long (RFC 8767 §5: one to three days).
pub const DNS_STALE: Duration = Duration::from_secs(86_400);
/// Servers that did not answer are asked again after this.
pub const DNS_RETRY: Duration = Duration::from_secs(5);
/// Bytes of `/etc/hosts` and `resolv.conf` that are read.
pub const SYSTEM_FILE: u64 = 1 << 20;
/// DNS servers of the configuration.
pub const DNS_SERVERS: usize = 8;
/// Records kept of one DNS answer.
pub const DNS_RECORDS: usize = 32;
/// Addresses taken from one DNS answer.
pub const RESOLVED_ADDRESSES: usize = 8;
