//! What one export knows and owes: `<data_dir>/exports/<name>.db` (SQLite). Its place in the journal, the calls it may still
//! be told of, and every delivery with what came of it. A step is durable when the function that takes it returns; what a
//! crash leaves half done is undone by SQLite.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pen::Pen;
use crate::core::event::CallData;
use crate::core::export::talk::Tokens;
use crate::core::export::{Amount, Delivery, Memo, Planned};
use crate::time::Wall;

/// Version of the tables. Another one is refused rather than guessed at.
const SCHEMA: i64 = 1;

/// The file of one export. One connection, used by one at a time.
#[derive(Debug)]
pub(super) struct Store {
    connection: Mutex<Connection>,
}

/// What went wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the file is of another version ({0}) of this program")]
    Version(i64),
}

pub(super) type Result<T> = std::result::Result<T, StoreError>;

/// A call as it stands.
#[derive(Clone, Debug)]
pub(super) struct CallRow {
    pub(super) call: CallData,
    pub(super) seq: u64,
    pub(super) first_call: bool,
    pub(super) label: Option<String>,
    pub(super) value: Option<Amount>,
    pub(super) planned: Planned,
    /// It waits for something, at most until then.
    pub(super) until: Option<Wall>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its turn or its next attempt.
    Pending,
    Sent,
    /// The destination does not want it.
    Rejected,
    /// Given up after a day.
    Dead,
    /// It was not sent yet when it stopped to hold.
    Cancelled,
    /// It cannot be told to this destination; `code` says why.
    Skipped,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Sent => "sent",
            State::Rejected => "rejected",
            State::Dead => "dead",
            State::Cancelled => "cancelled",
            State::Skipped => "skipped",
        }
    }

    pub fn parse(text: &str) -> Option<State> {
        const ALL: [State; 6] =
            [State::Pending, State::Sent, State::Rejected, State::Dead, State::Cancelled, State::Skipped];
        ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One line of the delivery log.
#[derive(Clone, Debug, Serialize)]
pub struct Logged {
    pub n: i64,
    pub delivery_id: String,
    pub call_id: Option<String>,
    pub action: String,
    pub state: String,
    pub attempts: u32,
    /// What the destination answered last: a status or a code of ours.
    pub status: Option<String>,
    pub detail: Option<String>,
    pub made_at: Wall,
    pub settled_at: Option<Wall>,
}

/// Deliveries by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub pending: u64,
    pub sent: u64,
    pub rejected: u64,
    pub dead: u64,
    pub cancelled: u64,
    pub skipped: u64,
    /// Calls that wait for a label.
    pub waiting: u64,
    /// Rows that the destination found a visit for, of those it spoke about.
    pub linked: u64,
    pub looked: u64,
}

/// A batch: what is sent together, at every attempt.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) n: u64,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) memo: Memo,
}

/// An upload that is looked after.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) reference: String,
    pub(super) batch: u64,
    pub(super) tries: u32,
}

/// What came of one delivery.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) code: String,
    pub(super) detail: String,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Store> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        // What is committed is on the disk: a delivery that was sent is never sent again for a power cut.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                connection.execute_batch(TABLES)?;
                connection.pragma_update(None, "user_version", SCHEMA)?;
            }
            SCHEMA => {}
            other => return Err(StoreError::Version(other)),
        }
        Ok(Store { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does all of it or nothing.
    pub(super) fn transaction<T>(&self, work: impl FnOnce(&Pen<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&Pen { transaction: &transaction })?;
        transaction.commit()?;
        Ok(done)
    }

    /// A value kept by name.
    pub(super) fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        kept(&self.lock(), key)
    }

    pub(super) fn tokens(&self) -> Result<Tokens> {
        Ok(self.kept("tokens")?.unwrap_or_default())
    }

    pub(super) fn save_tokens(&self, tokens: &Tokens) -> Result<()> {
        keep(&self.lock(), "tokens", tokens)
    }

    /// What a conversation remembers, before its next step.
    pub(super) fn save_memo(&self, batch: u64, call: Option<&str>, memo: &Memo, tokens: &Tokens) -> Result<()> {
        self.transaction(|pen| {
            pen.transaction.execute(
                "UPDATE batches SET talk = ?2 WHERE n = ?1",
                params![signed(batch), Value::Object(memo.talk.clone()).to_string()],
            )?;
            if let Some(call) = call {
                let kept = Value::Object(memo.call.clone()).to_string();
                pen.transaction.execute("UPDATE calls SET memo = ?2 WHERE id = ?1", params![call, kept])?;
            }
            pen.keep("tokens", tokens)
        })
    }

    /// Batches that are not settled, in their order.
    pub(super) fn open_batches(&self, after: u64, max: usize) -> Result<Vec<(u64, String)>> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached("SELECT n, subject FROM batches WHERE open = 1 AND n > ?1 ORDER BY n LIMIT ?2")?;
        let rows = query.query_map(params![signed(after), count(max)], |row| {
            Ok((unsigned(row.get(0)?), row.get::<_, String>(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A batch, one attempt older than before. What was cancelled meanwhile is not in it.
    pub(super) fn begin(&self, n: u64) -> Result<Option<Batch>> {
        self.transaction(|pen| {
            let sql = pen.transaction;
            let found: Option<(u32, String, i64)> = sql
                .query_row(
                    "SELECT attempts, talk, COALESCE(name, n) FROM batches WHERE n = ?1 AND open = 1",
                    [signed(n)],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()?;
            let Some((attempts, talk, name)) = found else { return Ok(None) };
            sql.execute("UPDATE batches SET attempts = attempts + 1 WHERE n = ?1", [signed(n)])?;
            sql.execute(
                "UPDATE deliveries SET attempts = attempts + 1 WHERE batch = ?1 AND state = 'pending'",
                [signed(n)],
            )?;
            let mut query =
                sql.prepare_cached("SELECT body FROM deliveries WHERE batch = ?1 AND state = 'pending' ORDER BY n")?;
            let bodies = query.query_map([signed(n)], |row| row.get::<_, String>(0))?;
            let mut deliveries: Vec<Delivery> = Vec::new();
            for body in bodies {
                deliveries.push(serde_json::from_str(&body?)?);
            }
            let of_call = deliveries.first().and_then(Delivery::told).map(|told| told.call.call_id.to_string());
            let memo: Option<Option<String>> = match of_call {
                Some(call) => {
                    sql.query_row("SELECT memo FROM calls WHERE id = ?1", [call], |row| row.get(0)).optional()?
                }
                None => None,
            };
            let object = |text: &str| serde_json::from_str(text).map_err(StoreError::from);
            let memo = Memo {
                attempts,
                batch: format!("{}-{name}", pen.kept::<String>("id")?.unwrap_or_default()),
                talk: object(&talk)?,
                call: memo.flatten().map(|text| object(&text)).transpose()?.unwrap_or_default(),
            };
            Ok(Some(Batch { n, deliveries, memo }))
        })
    }

    /// The log, newest first: below `before`, with this state, of this call.
    pub(super) fn log(
        &self,
        before: Option<i64>,
        state: Option<State>,
        call: Option<&str>,
        max: usize,
    ) -> Result<Vec<Logged>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT n, id, call, action, state, attempts, code, detail, made_at, settled_at FROM deliveries \
             WHERE n < ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR call = ?3) ORDER BY n DESC LIMIT ?4",
        )?;
        let rows = query.query_map(
            params![before.unwrap_or(i64::MAX), state.map(State::as_str), call, count(max)],
            |row: &Row<'_>| {
                Ok(Logged {
                    n: row.get(0)?,
                    delivery_id: row.get(1)?,
                    call_id: row.get(2)?,
                    action: row.get(3)?,
                    state: row.get(4)?,
                    attempts: row.get(5)?,
                    status: row.get(6)?,
                    detail: row.get(7)?,
                    made_at: Wall(row.get(8)?),
                    settled_at: row.get::<_, Option<i64>>(9)?.map(Wall),
                })
            },
        )?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn counts(&self) -> Result<Counts> {
        let connection = self.lock();
        let mut counts = Counts::default();
        let mut query = connection.prepare_cached("SELECT state, COUNT(*) FROM deliveries GROUP BY state")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (state, n): (String, i64) = (row.get(0)?, row.get(1)?);
            let place = match State::parse(&state) {
                Some(State::Pending) => &mut counts.pending,
                Some(State::Sent) => &mut counts.sent,
                Some(State::Rejected) => &mut counts.rejected,
                Some(State::Dead) => &mut counts.dead,
                Some(State::Cancelled) => &mut counts.cancelled,
                _ => &mut counts.skipped,
            };
            *place += unsigned(n);
        }
        counts.waiting =
            unsigned(connection.query_row("SELECT COUNT(*) FROM calls WHERE until IS NOT NULL", [], |row| row.get(0))?);
        let (linked, looked): (i64, i64) = connection.query_row(
            "SELECT COALESCE(SUM(linked), 0), COALESCE(SUM(looked), 0) FROM looks",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        (counts.linked, counts.looked) = (unsigned(linked), unsigned(looked));
        Ok(counts)
    }

    /// Calls that are known, newest first.
    pub(super) fn calls(&self, max: usize) -> Result<Vec<CallRow>> {
        let connection = self.lock();
        let sql = format!("SELECT {CALL} FROM calls WHERE ended = 1 ORDER BY seq DESC LIMIT ?1");
        let mut query = connection.prepare_cached(&sql)?;
        let mut rows = query.query([count(max)])?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next()? {
            calls.push(call_row(row)?);
        }
        Ok(calls)
    }

    pub(super) fn is_opted_out(&self, company: &str, phone: Option<&str>) -> Result<bool> {
        opted_out(&self.lock(), company, phone)
    }

    /// Uploads that are due to be looked after.
    pub(super) fn looks(&self, now: Wall) -> Result<Vec<Look>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT reference, batch, tries FROM looks WHERE next_at <= ?1 ORDER BY next_at LIMIT 100",
        )?;
        let rows = query.query_map([now.0], |row| {
            Ok(Look { reference: row.get(0)?, batch: unsigned(row.get(1)?), tries: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

const TABLES: &str = "
CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, started_at INTEGER NOT NULL, data TEXT NOT NULL, ended INTEGER NOT NULL,
    first INTEGER NOT NULL, label TEXT, value INTEGER, currency TEXT, planned TEXT NOT NULL, until INTEGER, memo TEXT
) WITHOUT ROWID;
CREATE INDEX calls_seq ON calls (seq) WHERE ended = 1;
CREATE INDEX calls_until ON calls (until) WHERE until IS NOT NULL;
CREATE INDEX calls_caller ON calls (data ->> '$.caller');
CREATE INDEX calls_started ON calls (started_at);
CREATE TABLE callers (hash INTEGER PRIMARY KEY);
CREATE TABLE opted_out (company TEXT, phone TEXT, PRIMARY KEY (company, phone)) WITHOUT ROWID;
CREATE TABLE deliveries (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, call TEXT, action TEXT NOT NULL, seq INTEGER NOT NULL,
    made_at INTEGER NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, batch INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT, detail TEXT, settled_at INTEGER, told INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_state ON deliveries (state, n);
CREATE INDEX deliveries_free ON deliveries (n) WHERE state = 'pending' AND batch IS NULL;
CREATE INDEX deliveries_batch ON deliveries (batch) WHERE state = 'pending';
CREATE INDEX deliveries_call ON deliveries (call, n);
CREATE INDEX deliveries_untold ON deliveries (n) WHERE told = 0 AND state <> 'pending';
CREATE TABLE batches (
    n INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, made_at INTEGER NOT NULL, talk TEXT NOT NULL,
    name INTEGER, attempts INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX batches_open ON batches (n) WHERE open = 1;
CREATE TABLE looks (
    reference TEXT PRIMARY KEY, batch INTEGER NOT NULL, next_at INTEGER, tries INTEGER NOT NULL DEFAULT 0,
    linked INTEGER, looked INTEGER
) WITHOUT ROWID;
CREATE INDEX looks_next ON looks (next_at) WHERE next_at IS NOT NULL;
";

pub(super) const CALL: &str = "data, seq, first, label, value, currency, planned, until";

pub(super) fn call_row(row: &Row<'_>) -> Result<CallRow> {
    let (data, planned): (String, String) = (row.get(0)?, row.get(6)?);
    let (minor, currency): (Option<i64>, Option<String>) = (row.get(4)?, row.get(5)?);
    Ok(CallRow {
        call: serde_json::from_str(&data)?,
        seq: unsigned(row.get(1)?),
        first_call: row.get(2)?,
        label: row.get(3)?,
        value: minor.zip(currency).map(|(minor, currency)| Amount { minor, currency }),
        planned: serde_json::from_str(&planned)?,
        until: row.get::<_, Option<i64>>(7)?.map(Wall),
    })
}

pub(super) fn kept<T: DeserializeOwned>(connection: &Connection, key: &str) -> Result<Option<T>> {
    let mut query = connection.prepare_cached("SELECT value FROM kept WHERE key = ?1")?;
    let text: Option<String> = query.query_row([key], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

pub(super) fn keep(connection: &Connection, key: &str, value: &impl Serialize) -> Result<()> {
    let mut query = connection.prepare_cached("INSERT OR REPLACE INTO kept (key, value) VALUES (?1, ?2)")?;
    query.execute([key, &serde_json::to_string(value)?])?;
    Ok(())
}

pub(super) fn opted_out(connection: &Connection, company: &str, phone: Option<&str>) -> Result<bool> {
    let Some(phone) = phone else { return Ok(false) };
    let mut query = connection.prepare_cached("SELECT 1 FROM opted_out WHERE company = ?1 AND phone = ?2")?;
    Ok(query.exists([company, phone])?)
}

pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
