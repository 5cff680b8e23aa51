//! Figures of recordings after their seal.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// Clones count into the same figures.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    pub days_closed: Counter,
    pub erased: Counter,
    /// Due to be erased by age, and left for the next run.
    pub erasures_left: Gauge,
    pub alarms: Counter,
    /// Made smaller.
    pub packed: Counter,
    /// Stored in an archive.
    pub uploads: Counter,
    pub upload_failures: Counter,
    /// Journal records between the newest and the one that the slowest archive is at.
    pub upload_lag: Gauge,
    /// Days that have got their time stamp, attempts that failed, and days that wait for one.
    pub stamps: Counter,
    pub stamp_failures: Counter,
    pub stamps_left: Gauge,
    /// Recordings that wait for an archive or are on their way there.
    pub uploads_waiting: Gauge,
    /// Due to be made smaller, and left for the next round.
    pub packs_left: Gauge,
    /// Bytes free on the disk of recordings.
    pub disk_free: Gauge,
    /// 0: enough; 1: below one mark; 2: below both.
    pub disk_level: Gauge,
}
