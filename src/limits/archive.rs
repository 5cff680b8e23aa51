//! Bounds of closed days, retention and storages.

use std::time::Duration;

/// A manifest of a day is read up to so many bytes: a million recordings.
pub const ARCHIVE_MANIFEST: u64 = 512 * 1024 * 1024;
/// Closed days that are looked at again for recordings that came late; a start looks at all.
pub const ARCHIVE_DAYS_WATCHED: usize = 3;
/// Between two rounds of the archive.
pub const ARCHIVE_PAUSE: Duration = Duration::from_secs(60);
/// Between two looks at the free space of the disk of recordings.
pub const ARCHIVE_DISK_PAUSE: Duration = Duration::from_secs(5);
/// Recordings that one such look erases, at most.
pub const ARCHIVE_EARLY: usize = 200;
/// Pause after a time-stamp authority gave no stamp, and the longest that it grows to.
pub const TIMESTAMP_PAUSE: Duration = Duration::from_secs(5);
pub const TIMESTAMP_PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Alarms of the archive that are told apart.
pub const ARCHIVE_ALARMS: usize = 1_000;
/// An erasure waits so long for the journal's disk; then the next start tells of it once more.
pub const ARCHIVE_FLUSH: Duration = Duration::from_secs(5);
/// `leaseline erase` waits so long for the daemon.
pub const ERASURE_PATIENCE: Duration = Duration::from_secs(600);
/// Recordings that one round makes into FLAC.
pub const ARCHIVE_PACKED: usize = 200;
/// Archives of the configuration.
pub const ARCHIVES: usize = 16;
/// Recordings that are sent to one archive at once.
pub const UPLOADS_AT_ONCE: usize = 4;
/// Messages of the ladder in a sidecar.
pub const SIDECAR_MESSAGES: usize = 200;
/// Events that an upload reads at a time.
pub const UPLOAD_BATCH: usize = 100;
/// The longest that one request to a storage may take.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest pause between two attempts.
pub const UPLOAD_PAUSE_MAX: Duration = Duration::from_secs(300);
/// Failed attempts at one thing before an operator is told: about half an hour.
pub const UPLOAD_ALARM_AFTER: u32 = 14;
/// Characters of a reason that somebody gives for an erasure, a hold or a hearing.
pub const ARCHIVE_WORDS: usize = 500;
/// Rules of retention.
pub const RETENTION_RULES: usize = 1_000;
/// Hearings of recordings that are told apart from their further pieces.
pub const HTTP_LISTENERS: usize = 10_000;
