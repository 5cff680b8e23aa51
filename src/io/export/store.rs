//! What one export knows and owes: `<data_dir>/exports/<name>.db` (SQLite). Its place in the journal, the calls it may still
//! be told of, and every delivery with what came of it. A step is durable when the function that takes it returns; what a
//! crash leaves half done is undone by SQLite.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::core::event::CallData;
use crate::core::export::talk::Tokens;
use crate::core::export::{Amount, Delivery, Memo, Planned};
use crate::limits;
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

type Result<T> = std::result::Result<T, StoreError>;

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

/// Writes within one transaction.
pub(super) struct Pen<'a> {
    transaction: &'a Transaction<'a>,
}

impl Pen<'_> {
    pub(super) fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        kept(self.transaction, key)
    }

    pub(super) fn keep(&self, key: &str, value: &impl Serialize) -> Result<()> {
        keep(self.transaction, key, value)
    }

    pub(super) fn call(&self, id: &str) -> Result<Option<CallRow>> {
        let mut query = self.transaction.prepare_cached(&format!("SELECT {CALL} FROM calls WHERE id = ?1"))?;
        let mut rows = query.query([id])?;
        rows.next()?.map(call_row).transpose()
    }

    pub(super) fn save_call(&self, row: &CallRow) -> Result<()> {
        let mut query = self.transaction.prepare_cached(
            "INSERT INTO calls (id, seq, started_at, data, ended, first, label, value, currency, planned, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET \
             seq = ?2, data = ?4, ended = ?5, first = ?6, label = ?7, value = ?8, currency = ?9, planned = ?10, until = ?11",
        )?;
        query.execute(params![
            row.call.call_id.to_string(),
            signed(row.seq),
            row.call.started_at.0,
            serde_json::to_string(&row.call)?,
            row.call.ended_at.is_some(),
            row.first_call,
            row.label,
            row.value.as_ref().map(|value| value.minor),
            row.value.as_ref().map(|value| value.currency.as_str()),
            serde_json::to_string(&row.planned)?,
            row.until.map(|until| until.0),
        ])?;
        Ok(())
    }

    /// Calls whose wait is over.
    pub(super) fn overdue(&self, now: Wall) -> Result<Vec<CallRow>> {
        let sql = format!("SELECT {CALL} FROM calls WHERE until <= ?1 LIMIT 1000");
        let mut query = self.transaction.prepare_cached(&sql)?;
        let mut rows = query.query([now.0])?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next()? {
            calls.push(call_row(row)?);
        }
        Ok(calls)
    }

    /// Calls that began in this time.
    pub(super) fn calls_between(&self, from: Wall, until: Wall) -> Result<Vec<CallRow>> {
        let sql = format!("SELECT {CALL} FROM calls WHERE started_at >= ?1 AND started_at < ?2 AND ended = 1");
        let mut query = self.transaction.prepare_cached(&sql)?;
        let mut rows = query.query([from.0, until.0])?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next()? {
            calls.push(call_row(row)?);
        }
        Ok(calls)
    }

    /// Calls of a person, in their order.
    pub(super) fn calls_of(&self, company: &str, phone: &str) -> Result<Vec<CallRow>> {
        let sql = format!(
            "SELECT {CALL} FROM calls WHERE data ->> '$.caller' = ?2 AND data ->> '$.company' = ?1 AND ended = 1 ORDER BY seq"
        );
        let mut query = self.transaction.prepare_cached(&sql)?;
        let mut rows = query.query([company, phone])?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next()? {
            calls.push(call_row(row)?);
        }
        Ok(calls)
    }

    /// Whether this is the first call of that caller; from now on it is not.
    pub(super) fn is_first(&self, caller: i64) -> Result<bool> {
        let mut query = self.transaction.prepare_cached("INSERT OR IGNORE INTO callers (hash) VALUES (?1)")?;
        Ok(query.execute([caller])? > 0)
    }

    pub(super) fn opt_out(&self, company: &str, phone: &str, out: bool) -> Result<()> {
        let sql = match out {
            true => "INSERT OR IGNORE INTO opted_out (company, phone) VALUES (?1, ?2)",
            false => "DELETE FROM opted_out WHERE company = ?1 AND phone = ?2",
        };
        self.transaction.prepare_cached(sql)?.execute([company, phone])?;
        Ok(())
    }

    pub(super) fn is_opted_out(&self, company: &str, phone: Option<&str>) -> Result<bool> {
        opted_out(self.transaction, company, phone)
    }

    /// Takes back the deliveries of a call that were never tried; gives the first of them.
    pub(super) fn cancel(&self, call: &str, now: Wall) -> Result<Option<Delivery>> {
        let sql = self.transaction;
        let mut query = sql.prepare_cached(
            "SELECT body FROM deliveries WHERE call = ?1 AND state = 'pending' AND attempts = 0 AND action <> 'ring' \
             ORDER BY n LIMIT 1",
        )?;
        let first: Option<String> = query.query_row([call], |row| row.get(0)).optional()?;
        let mut query = sql.prepare_cached(
            "UPDATE deliveries SET state = 'cancelled', settled_at = ?2, told = 1 \
             WHERE call = ?1 AND state = 'pending' AND attempts = 0 AND action <> 'ring'",
        )?;
        query.execute(params![call, now.0])?;
        Ok(first.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// A delivery that is to be made, or, with a code, that cannot be. One that is there stays as it is.
    pub(super) fn add(&self, delivery: &Delivery, skipped: Option<&str>) -> Result<()> {
        let mut query = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO deliveries (id, call, action, seq, made_at, body, state, code, settled_at, told) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let state = if skipped.is_some() { State::Skipped } else { State::Pending };
        query.execute(params![
            delivery.id,
            delivery.told().map(|told| told.call.call_id.to_string()),
            delivery.action.as_str(),
            signed(delivery.seq),
            delivery.made_at.0,
            serde_json::to_string(delivery)?,
            state.as_str(),
            skipped,
            skipped.map(|_| delivery.made_at.0),
            skipped.is_some(),
        ])?;
        Ok(())
    }

    /// Puts deliveries that are in no batch into batches of at most `max`, a call's next one not before its last. `single`:
    /// each alone. Gives when the oldest of those left over was made.
    pub(super) fn form_batches(&self, max: usize, made_before: Wall, now: Wall) -> Result<Option<Wall>> {
        let sql = self.transaction;
        let oldest: Option<i64> = sql.query_row(
            "SELECT MIN(made_at) FROM deliveries WHERE state = 'pending' AND batch IS NULL",
            [],
            |row| row.get(0),
        )?;
        let Some(oldest) = oldest else { return Ok(None) };
        let waiting: i64 = sql.query_row(
            "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'pending' AND batch IS NULL LIMIT ?1)",
            [count(max)],
            |row| row.get(0),
        )?;
        // Full, or old enough.
        if oldest > made_before.0 && unsigned(waiting) < max as u64 {
            return Ok(Some(Wall(oldest)));
        }
        let mut query = sql.prepare_cached(
            "SELECT n, call FROM deliveries WHERE state = 'pending' AND batch IS NULL ORDER BY n LIMIT ?1",
        )?;
        let rows = query.query_map([count(max.max(limits::EXPORT_INTAKE))], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        let rows: Vec<(i64, Option<String>)> = rows.collect::<rusqlite::Result<_>>()?;
        if max == 1 {
            for (n, call) in rows {
                let subject = call.unwrap_or_else(|| "notice".to_owned());
                self.new_batch(&subject, now, &[n])?;
            }
            return Ok(None);
        }
        let mut seen = std::collections::HashSet::new();
        let chosen: Vec<i64> = rows
            .iter()
            .filter(|(_, call)| call.as_ref().is_none_or(|call| seen.insert(call.clone())))
            .map(|(n, _)| *n)
            .take(max)
            .collect();
        self.new_batch("batch", now, &chosen)?;
        Ok(None)
    }

    fn new_batch(&self, subject: &str, now: Wall, rows: &[i64]) -> Result<()> {
        let sql = self.transaction;
        sql.prepare_cached("INSERT INTO batches (subject, made_at, talk) VALUES (?1, ?2, '{}')")?
            .execute(params![subject, now.0])?;
        let batch = sql.last_insert_rowid();
        let mut query = sql.prepare_cached("UPDATE deliveries SET batch = ?1 WHERE n = ?2")?;
        for n in rows {
            query.execute([batch, *n])?;
        }
        Ok(())
    }

    /// Each delivery of a refused batch gets a batch of its own, so that one that is bad does not take the others with it.
    pub(super) fn split(&self, batch: u64, now: Wall) -> Result<()> {
        let sql = self.transaction;
        let mut query =
            sql.prepare_cached("SELECT n FROM deliveries WHERE batch = ?1 AND state = 'pending' ORDER BY n")?;
        let rows = query.query_map([signed(batch)], |row| row.get::<_, i64>(0))?;
        let rows: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        for n in rows {
            self.new_batch("batch", now, &[n])?;
        }
        self.close(batch)
    }

    pub(super) fn close(&self, batch: u64) -> Result<()> {
        self.transaction.prepare_cached("UPDATE batches SET open = 0 WHERE n = ?1")?.execute([signed(batch)])?;
        Ok(())
    }

    /// What came of a delivery. It is told to the journal next ([`Pen::untold`]).
    pub(super) fn settle(&self, id: &str, verdict: &Verdict, now: Wall) -> Result<()> {
        let mut query = self.transaction.prepare_cached(
            "UPDATE deliveries SET state = ?2, code = ?3, detail = ?4, settled_at = ?5 WHERE id = ?1 AND state = 'pending'",
        )?;
        query.execute(params![id, verdict.state.as_str(), verdict.code, verdict.detail, now.0])?;
        Ok(())
    }

    /// The last failure of a batch, for whoever looks.
    pub(super) fn note(&self, batch: u64, code: &str) -> Result<()> {
        self.transaction
            .prepare_cached("UPDATE deliveries SET code = ?2 WHERE batch = ?1 AND state = 'pending'")?
            .execute(params![signed(batch), code])?;
        Ok(())
    }

    pub(super) fn add_look(&self, reference: &str, batch: u64, at: Wall) -> Result<()> {
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO looks (reference, batch, next_at) VALUES (?1, ?2, ?3)")?
            .execute(params![reference, signed(batch), at.0])?;
        Ok(())
    }

    /// An upload was looked after: again at `next`, or what was found.
    pub(super) fn looked(&self, reference: &str, next: Option<Wall>, linked: Option<(u64, u64)>) -> Result<()> {
        self.transaction
            .prepare_cached(
                "UPDATE looks SET tries = tries + 1, next_at = ?2, linked = ?3, looked = ?4 WHERE reference = ?1",
            )?
            .execute(params![
                reference,
                next.map(|at| at.0),
                linked.map(|(linked, _)| signed(linked)),
                linked.map(|(_, of)| signed(of)),
            ])?;
        Ok(())
    }

    /// Settled deliveries that the journal does not know of yet.
    pub(super) fn untold(&self, max: usize) -> Result<Vec<(Delivery, State, String, String)>> {
        let mut query = self.transaction.prepare_cached(
            "SELECT body, state, code, detail FROM deliveries WHERE told = 0 AND state <> 'pending' ORDER BY n LIMIT ?1",
        )?;
        let mut rows = query.query([count(max)])?;
        let mut untold = Vec::new();
        while let Some(row) = rows.next()? {
            let (body, state): (String, String) = (row.get(0)?, row.get(1)?);
            let state = State::parse(&state).unwrap_or(State::Skipped);
            let text = |at: usize| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
            untold.push((serde_json::from_str(&body)?, state, text(2)?, text(3)?));
        }
        Ok(untold)
    }

    pub(super) fn told(&self, id: &str) -> Result<()> {
        self.transaction.prepare_cached("UPDATE deliveries SET told = 1 WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Rejected and dead deliveries are tried anew: these, or all. Gives how many. Dead ones keep the name of their batch and
    /// what their conversation knew: something of it may have arrived.
    pub(super) fn revive(&self, ids: Option<&[String]>, now: Wall) -> Result<usize> {
        let sql = self.transaction;
        let mut query = sql.prepare_cached(
            "SELECT n, id, state, batch FROM deliveries WHERE state IN ('rejected', 'dead') ORDER BY n",
        )?;
        type Found = (i64, String, String, Option<i64>);
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let rows: Vec<Found> = rows.collect::<rusqlite::Result<_>>()?;
        let wanted = rows.iter().filter(|(_, id, ..)| ids.is_none_or(|ids| ids.contains(id)));
        let (mut batches, mut count) = (std::collections::BTreeMap::new(), 0);
        for (n, _, state, old) in wanted {
            let batch = match old.filter(|_| state == "dead") {
                Some(old) => Some(*match batches.entry(old) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        sql.execute(
                            "INSERT INTO batches (subject, made_at, talk, attempts, name) \
                             SELECT subject, ?2, talk, attempts, COALESCE(name, n) FROM batches WHERE n = ?1",
                            params![old, now.0],
                        )?;
                        entry.insert(sql.last_insert_rowid())
                    }
                }),
                None => None,
            };
            sql.execute(
                "UPDATE deliveries SET state = 'pending', batch = ?2, settled_at = NULL, told = 0 WHERE n = ?1",
                params![n, batch],
            )?;
            count += 1;
        }
        Ok(count)
    }

    /// Forgets what was settled, and calls that began, before then.
    pub(super) fn forget(&self, before: Wall) -> Result<()> {
        let sql = self.transaction;
        sql.execute("DELETE FROM deliveries WHERE settled_at < ?1 AND told = 1", [before.0])?;
        sql.execute("DELETE FROM calls WHERE started_at < ?1 AND until IS NULL", [before.0])?;
        sql.execute("DELETE FROM batches WHERE open = 0 AND made_at < ?1", [before.0])?;
        sql.execute("DELETE FROM looks WHERE next_at IS NULL AND batch NOT IN (SELECT n FROM batches)", [])?;
        Ok(())
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

const CALL: &str = "data, seq, first, label, value, currency, planned, until";

fn call_row(row: &Row<'_>) -> Result<CallRow> {
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

fn kept<T: DeserializeOwned>(connection: &Connection, key: &str) -> Result<Option<T>> {
    let mut query = connection.prepare_cached("SELECT value FROM kept WHERE key = ?1")?;
    let text: Option<String> = query.query_row([key], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

fn keep(connection: &Connection, key: &str, value: &impl Serialize) -> Result<()> {
    let mut query = connection.prepare_cached("INSERT OR REPLACE INTO kept (key, value) VALUES (?1, ?2)")?;
    query.execute([key, &serde_json::to_string(value)?])?;
    Ok(())
}

fn opted_out(connection: &Connection, company: &str, phone: Option<&str>) -> Result<bool> {
    let Some(phone) = phone else { return Ok(false) };
    let mut query = connection.prepare_cached("SELECT 1 FROM opted_out WHERE company = ?1 AND phone = ?2")?;
    Ok(query.exists([company, phone])?)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
