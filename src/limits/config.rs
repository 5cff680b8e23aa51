//! Bounds of the configuration.

/// Open hours of one company's week, all days together.
pub const SCHEDULE_SPANS: usize = 100;
/// Holidays of one company: ten years of them.
pub const SCHEDULE_HOLIDAYS: usize = 400;
/// Rules of one company: each is asked for every call.
pub const RULES: usize = 200;
/// Patterns in one list of a rule.
pub const RULE_PATTERNS: usize = 1_000;
/// Callers of whom we know who answered them last, about 100 bytes each.
pub const CALLERS_REMEMBERED: usize = 200_000;
/// Longest number text that is read at all: 15 digits with separators and a parameter or two.
pub const NUMBER_TEXT: usize = 96;
/// Attribution line for headers and display names, in characters; phones show 20 to 60.
pub const SOURCE_LINE: usize = 100;
/// Configuration file: a million numbers written one by one.
pub const CONFIG_FILE: u64 = 32 << 20;
/// Problems reported of one configuration; a person reads fewer.
pub const CONFIG_PROBLEMS: usize = 200;
/// Items of one list of the configuration; ranges make longer ones unnecessary.
pub const CONFIG_LIST: usize = 100_000;
/// Bytes of a secret in a file of its own.
pub const CONFIG_SECRET: usize = 4 * 1024;
/// Trunks, companies, sites, pools and sinks, each.
pub const CONFIG_TABLES: usize = 10_000;
/// Numbers of all pools: the lease table was measured with so many.
pub const NUMBERS: usize = 1_000_000;
/// Sources of one trunk.
pub const TRUNK_SOURCES: usize = 1_000;
/// Codecs of one trunk.
pub const TRUNK_CODECS: usize = 16;
/// Longest name of a codec.
pub const CODEC_NAME: usize = 32;
/// Destinations of one company: a caller does not wait for more.
pub const DESTINATIONS: usize = 16;
/// Keys of a static channel.
pub const CHANNEL_KEYS: usize = 16;
/// Bytes of one value of a static channel: it may stand in a SIP header.
pub const CHANNEL_VALUE: usize = 256;
