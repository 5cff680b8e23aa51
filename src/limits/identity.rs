//! Bounds of callers' identities and of who vouches for them.

use std::time::Duration;

/// One display name in bytes: 64 characters of two bytes; phones show 20 to 60.
pub const DISPLAY_NAME: usize = 128;
/// Longest caller text that is kept; RFC 3261 names no bound, a display has some thirty characters.
pub const CALLER_TEXT: usize = 64;
/// Values of one identity header that are looked at: RFC 3325 §9.1 allows two, old switches write three.
pub const IDENTITIES: usize = 4;
/// Diversion values of one INVITE that are kept: a call that was diverted more often goes round in a circle.
pub const DIVERSIONS: usize = 10;
/// History-Info entries of one INVITE that are kept.
pub const HISTORY: usize = 20;
/// Reason values of one message that are looked at.
pub const REASONS: usize = 8;
/// Entries of one list of header rules; a carrier's sheet has a dozen.
pub const HEADER_RULES: usize = 64;
/// One header value that a rule passes on or writes.
pub const HEADER_VALUE: usize = 1_024;
/// Lines of one header that are passed on.
pub const HEADER_VALUES: usize = 8;
/// Callers known by name: an address book, not a directory enquiry.
pub const KNOWN_CALLERS: usize = 10_000;
/// Note on a known caller; it stands in every event of theirs.
pub const CALLER_NOTE: usize = 512;
/// Identity headers of one INVITE that are looked at: the caller's and a few diversions.
pub const PASSPORTS: usize = 8;
/// Destinations that one PASSporT may name.
pub const PASSPORT_PARTIES: usize = 16;
/// A PASSporT is fresh for so long (RFC 8224 §4.1).
pub const PASSPORT_AGE: Duration = Duration::from_secs(60);
/// Certificates of one PEM file: the list of a country's roots.
pub const STIR_CHAIN: usize = 64;
/// Certificates that the configuration names: the providers of a country.
pub const STIR_CERTIFICATES: usize = 2_000;
/// Certificates that were fetched and are kept: more would be another country's providers.
pub const STIR_FETCHED: usize = 500;
/// Certificates that are fetched at once; a call that names one more is judged without it.
pub const STIR_FETCHES: usize = 8;
/// Calls that wait for certificates at once; more are judged without.
pub const STIR_PARKED: usize = 500;
/// The longest that a fetch may take; what comes later than a call waits serves the next one.
pub const STIR_FETCH: Duration = Duration::from_secs(5);
/// What could not be fetched is not asked for again so long, whatever calls name it.
pub const STIR_FETCH_AGAIN: Duration = Duration::from_secs(30);
/// A certificate whose server does not say how long it may be kept is kept so long,
pub const STIR_FETCH_KEPT: Duration = Duration::from_secs(3_600);
/// and one whose server says longer at most so long.
pub const STIR_FETCH_KEPT_MAX: Duration = Duration::from_secs(86_400);
/// Bytes of one answer: a chain of three certificates has about 4 KB.
pub const STIR_FETCH_BYTES: usize = 64 * 1024;
/// Longest URL that is fetched.
pub const STIR_URL: usize = 512;
/// Hosts of one trunk that certificates are fetched from.
pub const STIR_HOSTS: usize = 64;
/// Bytes of one PEM file.
pub const STIR_FILE: u64 = 256 * 1024;
/// Entries of one TNAuthList.
pub const TN_AUTH_LIST: usize = 256;
