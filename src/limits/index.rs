//! Bounds of the index, and of what is written about calls.

use std::time::Duration;

/// Imports of costs that a page tells of.
pub const IMPORTS_SHOWN: usize = 50;
/// Questions that the index answers at once; more wait,
pub const INDEX_READERS: usize = 8;
/// at most so long.
pub const INDEX_READ_PATIENCE: Duration = Duration::from_secs(5);
/// A question waits so long for what was journaled before it,
pub const INDEX_PATIENCE: Duration = Duration::from_secs(2);
/// unless the index is further behind than this.
pub const INDEX_NEAR: u64 = 20_000;
/// When the index's disk refuses it is tried again after so long.
pub const INDEX_RETRY: Duration = Duration::from_secs(1);
/// Records that are taken in at once while an index is made.
pub const INDEX_BULK: usize = 20_000;
/// Memory for pages of the file, in KiB: of the writer and of each reader.
pub const INDEX_WRITER_KIB: i64 = 64 * 1024;
pub const INDEX_READER_KIB: i64 = 16 * 1024;
/// Prepared statements of a connection.
pub const INDEX_STATEMENTS: usize = 128;
/// Characters of a source, medium, campaign, content or term.
pub const INDEX_NAME: usize = 200;
/// Characters of the address of a page.
pub const INDEX_URL: usize = 500;
/// Different origins that are told apart; beyond them only sources are, and beyond twice as many nothing.
pub const INDEX_ORIGINS: i64 = 100_000;
/// Names that the projector keeps in memory, of each kind.
pub const INDEX_CACHE: usize = 50_000;
/// Earlier calls or visits of one person that are looked through.
pub const INDEX_SIGHTS: usize = 256;
/// Visits of one person that share the credit for a call: the newest ones.
pub const INDEX_TOUCHES: usize = 64;
/// Ids under which one person is told.
pub const VISITOR_IDS: usize = 32;
/// People who may have called and share the credit.
pub const INDEX_CANDIDATES: usize = 16;
/// Signs of one visit that are kept.
pub const INDEX_SIGNALS: usize = 200;
/// An attribution that is so sure joins caller and visitor.
pub const JOIN_CONFIDENCE: f64 = 0.8;
/// A selective filter is answered from its own index up to so many calls,
pub const INDEX_PROBE: usize = 5_000;
/// and another one looks through so many calls for a page.
pub const INDEX_SCAN: usize = 50_000;
/// Characters of a label, a stage or a criterion; how many of each a company has.
pub const LABEL: usize = 64;
pub const LABELS: usize = 100;
/// Callers whose calls are counted for label rules, and calls of one of them.
pub const LABEL_CALLERS: usize = 50_000;
pub const LABEL_CALLS: usize = 100;
/// Characters of a comment.
pub const COMMENT: usize = 4_000;
/// Comments of one call.
pub const COMMENTS: usize = 500;
/// Rows of one import of costs or deals, and bytes of it.
pub const IMPORT_ROWS: usize = 10_000;
pub const HTTP_IMPORT: usize = 4 * 1024 * 1024;
/// Rows of one event of an import: the rest comes in further ones.
pub const IMPORT_EVENT_ROWS: usize = 500;
/// Lines of an import that are named as wrong in one answer.
pub const IMPORT_PROBLEMS: usize = 50;
/// Fields of a lead, and characters of one.
pub const LEAD_FIELDS: usize = 50;
pub const LEAD_FIELD: usize = 2_000;
/// Largest amount of money, in minor units: ten billion pounds.
pub const MONEY_MAX: i64 = 1_000_000_000_000;
/// Calls on one page of the interface in CallRail's shape, and calls that are counted for its totals.
pub const CALLRAIL_PAGE: usize = 200;
pub const CALLRAIL_CALLS: usize = 100_000;
