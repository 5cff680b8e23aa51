//! Events → rows. Everything here happens inside one transaction with the cursor, so a row is there if and only if its
//! event was taken in; the same journal always makes the same index.

mod calls;
mod credit;
mod leases;
mod outcome;
mod person;
mod pools;
mod reach;
mod work;

pub(super) use credit::LOOK_BACKS;
pub(super) use outcome::{NEVER_REACHED, NOT_REACHABLE, ORDINALS, REACHED_WITHIN_MIN};
use rusqlite::{Connection, params};

use super::names::Names;
use super::settings::Settings;
use super::tally::Tally;
use crate::core::event::{Body, Event};
use crate::time::Wall;

/// Takes in one event after another.
#[derive(Debug)]
pub(super) struct Projector {
    settings: Settings,
    names: Names,
    tally: Tally,
    /// Somebody's data was taken out.
    has_forgotten: bool,
}

impl Projector {
    pub(super) fn new(settings: Settings) -> Projector {
        Projector { settings, names: Names::default(), tally: Tally::new(), has_forgotten: false }
    }

    /// Takes in one event of the journal, in order. The caller holds the transaction.
    pub(super) fn take(&mut self, connection: &Connection, seq: u64, event: &Event) -> rusqlite::Result<()> {
        let mut step = Step {
            connection,
            settings: &self.settings,
            names: &mut self.names,
            tally: &mut self.tally,
            has_forgotten: &mut self.has_forgotten,
            seq: i64::try_from(seq).unwrap_or(i64::MAX),
            at: event.time,
        };
        step.take(event)
    }

    /// Writes what the events of the batch add up to; before the transaction ends.
    pub(super) fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.tally.flush(connection)
    }

    /// Whether somebody's data was taken out since this was asked last.
    pub(super) fn has_forgotten(&mut self) -> bool {
        std::mem::take(&mut self.has_forgotten)
    }

    /// The transaction did not come about.
    pub(super) fn undo(&mut self) {
        self.names.clear();
        self.tally.clear();
    }

    /// Takes over another configuration: thresholds of quality calls, which change figures of the past.
    pub(super) fn configure(&mut self, connection: &Connection, settings: Settings) -> rusqlite::Result<()> {
        self.settings = settings;
        self.names.clear();
        outcome::reclassify(self, connection)
    }

    /// Companies whose figures were made by another calendar than the configuration's.
    pub(super) fn other_calendars(connection: &Connection, settings: &Settings) -> rusqlite::Result<bool> {
        let mut statement = connection.prepare("SELECT name, time_zone FROM companies")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, time_zone): (String, String) = (row.get(0)?, row.get(1)?);
            if settings.time_zone(&name) != time_zone {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// One event, and all that is needed to take it in.
struct Step<'s> {
    connection: &'s Connection,
    settings: &'s Settings,
    names: &'s mut Names,
    tally: &'s mut Tally,
    has_forgotten: &'s mut bool,
    seq: i64,
    at: Wall,
}

/// Whose and where: keys of a company and a pool, and the pool's threshold.
#[derive(Clone, Debug)]
struct Place {
    company: super::names::Company,
    pool: i64,
    quality_ms: i64,
}

impl Step<'_> {
    fn take(&mut self, event: &Event) -> rusqlite::Result<()> {
        match &event.body {
            Body::CallStarted(call) => self.call(call, calls::Phase::Ringing),
            Body::CallAnswered(call) => self.call(call, calls::Phase::Talking),
            Body::CallEnded(call) => self.call(call, calls::Phase::Ended),
            Body::RecordingSealed(sealed) | Body::RecordingRecovered(sealed) => self.sealed(sealed),
            Body::RecordingErased(erased) => self.erased(erased),
            Body::CallCrashed { call_id, .. } => self.mention(*call_id).map(|_| ()),
            Body::CallTransferred(transferred) => self.mention(transferred.call_id).map(|_| ()),
            Body::RecordingPlayed(played) => {
                self.mention(played.call_id)?;
                let what = if played.download { "downloaded" } else { "played" };
                let why = played.reason.as_deref().unwrap_or_default();
                self.audit(what, &played.by, &played.call_id.to_string(), why)
            }
            Body::RecordingHeld(hold) => {
                self.mention(hold.call_id)?;
                self.audit("held", &hold.by, &hold.call_id.to_string(), &hold.why)
            }
            Body::RecordingReleased(hold) => {
                self.mention(hold.call_id)?;
                self.audit("released", &hold.by, &hold.call_id.to_string(), &hold.why)
            }
            Body::RecordingArchived(archived) => self.mention(archived.call_id).map(|_| ()),
            Body::CatalogueChanged(change) => {
                let detail = change.changes.join("\n");
                self.audit("catalogue", &change.by, &format!("version {}", change.version), &detail)
            }
            Body::LeaseGranted(lease) => self.lease(lease, leases::Sign::Granted),
            Body::LeaseRenewed(lease) => self.lease(lease, leases::Sign::Renewed),
            Body::LeaseReleased(lease) => self.lease(lease, leases::Sign::Ended),
            Body::LeaseExpired(lease) => self.lease(lease, leases::Sign::Ended),
            Body::LeaseSignal { lease, signal } => self.signal(lease, signal),
            Body::Keeper(keeper) => self.keeper(keeper),
            Body::Work(work) => self.work(work),
            _ => Ok(()),
        }
    }

    /// Keys of a company and a pool.
    fn place(&mut self, company: &str, pool: &str) -> rusqlite::Result<Place> {
        let found = self.names.company(self.connection, self.settings, company)?;
        let (pool, quality_ms) = self.names.pool(self.connection, self.settings, (company, found.id), pool)?;
        Ok(Place { company: found, pool, quality_ms })
    }

    fn audit(&mut self, kind: &str, by: &str, subject: &str, detail: &str) -> rusqlite::Result<()> {
        let add = "INSERT INTO audit (seq, at, kind, by_user, subject, company_id, detail)
                   VALUES (?1, ?2, ?3, ?4, ?5,
                     (SELECT company_id FROM calls WHERE call_id = ?5), ?6)
                   ON CONFLICT (seq) DO NOTHING";
        self.connection.prepare_cached(add)?.execute(params![self.seq, self.at.0, kind, by, subject, detail])?;
        Ok(())
    }
}
