//! Bounds of visits, leases, the catalogue and attribution.

use std::time::Duration;

/// A visitor id given by a page. Ours have 32 characters; cookies of analytics reach about 60.
pub const VISITOR_ID: usize = 128;
/// One text of a session. Browsers send URLs of about 2,000 characters without trouble.
pub const SESSION_TEXT: usize = 2_048;
/// Keys of one map of a session; there are about twenty click ids in the field.
pub const SESSION_KEYS: usize = 32;
/// Tables of conditions of one pool or site.
pub const POOL_CONDITIONS: usize = 64;
/// Networks whose visits of a site are not tracked.
pub const SITE_EXCLUDED: usize = 10_000;
/// Characters of a browser's name that are looked at.
pub const USER_AGENT: usize = 512;
/// Addresses whose new leases are counted.
pub const QUOTA_ADDRESSES: usize = 50_000;
/// Months of pools that the ledger remembers: a thousand pools for eight years.
pub const LEDGER_ROWS: usize = 100_000;
/// Seconds of talk up to which the ledger tells calls apart: a day.
pub const LEDGER_TALK: u32 = 86_400;
/// Versions of the catalogue that are kept.
pub const CATALOGUE_VERSIONS: usize = 1_000;
/// Changes that one version names, and characters of a value in them.
pub const CATALOGUE_CHANGES: usize = 200;
pub const CATALOGUE_VALUE: usize = 120;
/// Body of a catalogue: some ten thousand pools with ranges.
pub const HTTP_CATALOGUE: usize = 8 * 1024 * 1024;
/// Requests about the catalogue that wait.
pub const CATALOGUE_ORDERS: usize = 16;
/// Visitors who see the number of one campaign at once.
pub const PARAMS_SHARERS: u64 = 10_000;
/// Characters of a language's tag.
pub const LANGUAGE: usize = 35;
/// Parameters of a landing page's address that are looked at.
pub const QUERY_PAIRS: usize = 128;
/// One key of such a map.
pub const SESSION_KEY: usize = 64;
/// Callers that are remembered, and visitors who called: a busy company's of a year. Each costs about 200 bytes.
pub const CALLERS_KNOWN: usize = 100_000;
/// Numbers whose calls for nobody are counted.
pub const NOISY_NUMBERS: usize = 1_000_000;
/// Candidates that an attribution lists.
pub const CANDIDATES: usize = 8;
/// Calls that a model is learned from: more make it no better.
pub const FITTED_CALLS: usize = 50_000;
/// Sources whose visitors get a rate of their own.
pub const FITTED_SOURCES: usize = 256;
/// Former holders of a number that are remembered: whoever calls late is hardly ever older, and each costs a pointer here
/// and some hundred bytes once.
pub const LEASE_PAST: usize = 64;
/// Visitors who may share one number before the oldest is forgotten.
pub const LEASE_SHARERS: usize = 8;
/// A visit that a page says is older began so long ago: advertising systems take no older click.
pub const VISIT_AGE: Duration = Duration::from_secs(90 * 86_400);
/// Links between sites of one company that were followed in the last two minutes, so that none is followed twice.
pub const LINKS_FOLLOWED: usize = 65_536;
/// How long such a link can be followed: from the answer that brought it to the request of the page it leads to.
pub const LINK_TIME: Duration = Duration::from_secs(120);
/// Pages that show a static number because there was none for them, with a lease of it; 1 KiB each.
pub const DISPLAYS: usize = 100_000;
/// Signals of one lease that go into the journal; a page has a handful, a loop in a page thousands.
pub const LEASE_SIGNALS: u32 = 200;
/// Length of a signal's name.
pub const SIGNAL_NAME: usize = 32;
/// Timers that one turn of the allocator runs before it lets others in: about 5 ms.
pub const ALLOCATOR_TURN: usize = 10_000;
/// Changes kept for followers of the lease feed that come back: about 30 MB, five minutes at 10,000 visitors.
pub const FEED_LOG: usize = 100_000;
/// Records written to a follower at a time, so that the allocator is never locked long.
pub const FEED_BATCH: usize = 256;
/// One line of the lease feed: a session of full length in JSON, twice over.
pub const FEED_LINE: usize = 512 * 1024;
/// Lines of one snapshot of the lease feed: two for each of five million numbers.
pub const FEED_ENTRIES: u64 = 10_000_000;
/// Heartbeat of an idle lease feed.
pub const FEED_HEARTBEAT: Duration = Duration::from_secs(10);
/// A number rests at least so long after its visitor left, so that a late call still finds them.
pub const HOLD_MIN: Duration = Duration::from_secs(300);
