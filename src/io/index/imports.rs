//! Imports of costs: what came with which, and what of it is in force still.

use rusqlite::params_from_iter;
use rusqlite::types::Value;
use serde::Serialize;

use super::{IndexError, Reader, day_text};
use crate::time::Wall;

/// Rows of one import that no later one has replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CostImport {
    pub import_id: String,
    pub company: String,
    pub at: Wall,
    pub by: String,
    pub rows: i64,
    /// First and last day, like `2026-11-22`.
    pub since: String,
    pub until: String,
    /// In minor units.
    pub cost: i64,
    pub currency: String,
    pub clicks: i64,
}

impl Reader<'_> {
    /// The newest imports of costs, by company and currency, of companies in the scope (none: of all).
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn cost_imports(&self, scope: Option<&[String]>, limit: usize) -> Result<Vec<CostImport>, IndexError> {
        let of = match self.companies(scope, None)? {
            None => String::new(),
            Some(companies) => {
                let keys: Vec<String> = companies.iter().map(i64::to_string).collect();
                format!("WHERE c.company_id IN ({})", keys.join(", "))
            }
        };
        let text = format!(
            "WITH a AS (SELECT subject, MAX(seq) AS seq, MAX(at) AS at, by_user FROM audit WHERE kind = 'costs' GROUP BY subject)
             SELECT c.import_id, m.name, a.at, a.by_user, COUNT(*), MIN(c.day), MAX(c.day), SUM(c.cost), c.currency, SUM(c.clicks)
             FROM costs c JOIN companies m ON m.company_id = c.company_id JOIN a ON a.subject = c.import_id {of}
             GROUP BY c.import_id, m.name, c.currency ORDER BY a.seq DESC, c.currency LIMIT ?"
        );
        let mut statement = self.connection.prepare_cached(&text)?;
        let limit = Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = statement.query_map(params_from_iter([limit]), |row| {
            Ok(CostImport {
                import_id: row.get(0)?,
                company: row.get(1)?,
                at: Wall(row.get(2)?),
                by: row.get(3)?,
                rows: row.get(4)?,
                since: day_text(row.get(5)?),
                until: day_text(row.get(6)?),
                cost: row.get(7)?,
                currency: row.get(8)?,
                clicks: row.get(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
