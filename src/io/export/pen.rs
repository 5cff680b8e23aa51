//! What is written into the file of an export ([`super::store`]): steps that are taken whole or not at all.

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::store::{CALL, CallRow, Result, State, Verdict, call_row, count, keep, kept, opted_out, signed, unsigned};
use crate::core::export::Delivery;
use crate::limits;
use crate::time::Wall;

/// Writes within one transaction.
pub(super) struct Pen<'a> {
    pub(super) transaction: &'a Transaction<'a>,
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
