//! Bounds of exports.

use std::time::Duration;

/// Bytes of a label in the filter of an export.
pub const EXPORT_LABEL: usize = 128;
/// Bytes of one template, and of what it renders.
pub const EXPORT_TEMPLATE: usize = 64 * 1024;
pub const EXPORT_RENDERED: usize = 256 * 1024;
/// Instructions that one rendering may take.
pub const EXPORT_FUEL: u64 = 100_000;
/// Records of the journal that an export takes in one transaction.
pub const EXPORT_INTAKE: usize = 256;
/// Deliveries of one export that are under way or wait for a retry; the rest waits in its file.
pub const EXPORT_WINDOW: usize = 4_096;
/// Calls and settled deliveries are forgotten after so long: what changes a call later is not told any more.
pub const EXPORT_KEEP: Duration = Duration::from_secs(90 * 86_400);
/// Looks after one upload that is processed later, and the time between two of them.
pub const EXPORT_LOOKS: u32 = 48;
pub const EXPORT_LOOK_EVERY: Duration = Duration::from_secs(1_800);
/// Steps of one conversation with a destination.
pub const EXPORT_STEPS: usize = 16;
/// Bytes of an answer's text that the delivery log keeps.
pub const EXPORT_DETAIL: usize = 300;
/// Largest recording that is handed to a destination.
pub const EXPORT_RECORDING: u64 = 16 * 1024 * 1024;
/// Rows of one file.
pub const EXPORT_ROWS: usize = 100_000;
