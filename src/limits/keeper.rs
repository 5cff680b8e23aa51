//! Bounds of pools that manage themselves, and of regions.

/// Distinct channels (source, medium and campaign) that planning counts: a shop has some hundred.
pub const PLAN_CHANNELS: usize = 10_000;
/// Lines of a plan beside those of its targets.
pub const PLAN_SIZES: usize = 24;
/// Forecasts of one plan.
pub const FORECASTS: usize = 64;
/// Windows of counting that a pool's shortage is seen over: a week of hours.
pub const GROW_WINDOWS: usize = 168;
/// Providers of numbers.
pub const PROVIDERS: usize = 100;
/// People who get one letter.
pub const RECIPIENTS: usize = 20;
/// Background calls that are remembered of one number.
pub const BACKGROUND_CALLS: usize = 100;
/// Days of which a pool's busiest window is remembered.
pub const GROW_DAYS: usize = 400;
/// Characters of a provider's words that are kept.
pub const PROVIDER_WORDS: usize = 300;
/// What is read of a provider's answer: some thousand numbers.
pub const PROVIDER_REPLY: usize = 256 * 1024;
/// Numbers of which calls are remembered.
pub const KEPT_NUMBERS: usize = 200_000;
/// Letters that wait for the mail server.
pub const LETTERS: usize = 1_000;
/// Characters of the address of a page that shows a number.
pub const SEEN_PAGE: usize = 500;
/// Bytes of one file that tells regions: databases of cities have 60 to 150 MB.
pub const REGION_FILE: u64 = 512 << 20;
/// Files of ranges of numbers: the regulator publishes four.
pub const REGION_FILES: usize = 16;
/// Ranges of numbers with a region: the four files have about 400,000.
pub const REGION_RANGES: usize = 1_000_000;
/// Different names of regions that are remembered while they are read.
pub const REGION_NAMES: usize = 20_000;
/// Characters of the name of a region.
pub const REGION_NAME: usize = 200;
