//! Reports: what the sums of days add up to. Every figure is a sum of rows that the projector keeps ready, so a report takes
//! as long as its days and channels are many, whatever the number of calls.
//!
//! A report is about whole days on the calendar of each company. Who looks at several companies in several time zones sees
//! each one's own days.

mod attribution;
mod calls;
mod exports;
mod overview;
mod pools;
mod savings;
mod sources;
mod visitor;

use rusqlite::params_from_iter;
use rusqlite::types::Value;
use serde::Serialize;

use super::names::LEVELS;
use super::{IndexError, Reader, day_text};
use crate::core::credit::Model;
use crate::core::source::folded;

pub use attribution::ModelRow;
pub use attribution::{Bin, Credits, Kinds, Models, Quality, models, quality};
pub use calls::{
    Agent, Agents, Hour, Hours, Missed, Ordinal, Pair, Region, Regions, Repeat, Wait, agents, hours, missed, regions,
    repeat,
};
pub use exports::{Audit, AuditEntry, Destination, Exports, Reason, audit, exports};
pub use overview::{Change, Day, Figures, Overview, overview};
pub use pools::{PoolDay, PoolEvent, PoolRow, PoolSums, Pools, pools};
pub use savings::{Savings, SavingsRow, savings};
pub use sources::{Money, SourceRow, Sources, StaticRow, Statics, sources, statics};
pub use visitor::{JoinedId, Signal, Step, Timeline, TimelineVisit, visitor};

/// Days that one report may span: some years.
const DAYS_MAX: i64 = 3_700;
/// Rows of one report, when nothing else is asked for.
const ROWS: usize = 500;
const ROWS_MAX: usize = 5_000;

/// What a report is about.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportFilter {
    /// Companies that may be seen at all; none: every one.
    pub scope: Option<Vec<String>>,
    pub company: Option<String>,
    pub pool: Option<String>,
    /// First and last day, since 1970; see [`super::parse_day`].
    pub since: i64,
    pub until: i64,
    /// Source, medium, campaign, content and term: the place in the tree that is looked at, each below the one before.
    pub path: [Option<String>; LEVELS],
    pub model: Model,
    /// Days before a call from which visits may have credit: 7, 30 or 90.
    pub look_back: i64,
    /// Of money; none: the company's.
    pub currency: Option<String>,
    /// Share of revenue that is left after the costs of what was sold, 0 to 1; for ROMI.
    pub margin: f64,
    /// Rows; the rest is in the totals.
    pub limit: usize,
}

/// Which days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First and last, like `2026-11-22`.
    pub since: String,
    pub until: String,
    pub days: i64,
}

impl ReportFilter {
    /// All companies, these days.
    pub fn of_days(since: i64, until: i64) -> ReportFilter {
        ReportFilter {
            scope: None,
            company: None,
            pool: None,
            since,
            until,
            path: Default::default(),
            model: Model::default(),
            look_back: 30,
            currency: None,
            margin: 1.0,
            limit: ROWS,
        }
    }

    /// The same for the days of the same number before.
    #[must_use]
    pub fn previous(&self) -> ReportFilter {
        let days = self.until - self.since + 1;
        ReportFilter { since: self.since - days, until: self.since - 1, ..self.clone() }
    }

    pub fn period(&self) -> Period {
        Period { since: day_text(self.since), until: day_text(self.until), days: self.until - self.since + 1 }
    }

    fn rows(&self) -> usize {
        self.limit.clamp(1, ROWS_MAX)
    }

    /// Levels of the path that are given: 0, nothing below the root is chosen.
    fn depth(&self) -> usize {
        self.path.iter().take_while(|part| part.is_some()).count()
    }

    fn check(&self) -> Result<(), IndexError> {
        let bad = |text: &str| Err(IndexError::Bad(text.to_owned()));
        if self.until < self.since || self.until - self.since >= DAYS_MAX {
            return bad("`until` must be `since` or later, and not more than ten years");
        }
        if self.path.iter().skip(self.depth()).any(Option::is_some) {
            return bad("of source, medium, campaign, content and term each needs the ones before it");
        }
        if !super::project::LOOK_BACKS.contains(&self.look_back) {
            return bad("`look_back` must be 7, 30 or 90");
        }
        if !(0.0..=1.0).contains(&self.margin) {
            return bad("`margin` must be a number from 0 to 1");
        }
        Ok(())
    }
}

/// A text of SQL over keys of ours, ready to be put in.
type Keys = String;

impl Reader<'_> {
    /// Nodes of the place that is looked at: one for each company, or one for each pool of the name.
    fn places(&self, filter: &ReportFilter) -> Result<Vec<i64>, IndexError> {
        filter.check()?;
        let mut text = String::from("SELECT node_id FROM nodes WHERE parent_id = 0");
        if let Some(companies) = self.companies(filter.scope.as_deref(), filter.company.as_deref())? {
            text.push_str(&format!(" AND company_id IN ({})", keys(&companies)));
        }
        match &filter.pool {
            None => text.push_str(" AND pool_id = 0"),
            Some(pool) => {
                let pools = self.ids("SELECT pool_id FROM pools WHERE name = ?", &[Value::Text(pool.clone())])?;
                text.push_str(&format!(" AND pool_id IN ({})", keys(&pools)));
            }
        }
        let mut nodes = self.ids(&text, &[])?;
        for part in filter.path.iter().flatten() {
            let text = format!("SELECT node_id FROM nodes WHERE parent_id IN ({}) AND name = ?", keys(&nodes));
            nodes = self.ids(&text, &[Value::Text(folded(part))])?;
        }
        Ok(nodes)
    }

    /// Pools that are looked at, for figures that are kept by pool.
    fn pools_of(&self, filter: &ReportFilter) -> Result<Keys, IndexError> {
        filter.check()?;
        let mut text = String::from("SELECT pool_id FROM pools WHERE 1 = 1");
        let mut values = Vec::new();
        if let Some(companies) = self.companies(filter.scope.as_deref(), filter.company.as_deref())? {
            text.push_str(&format!(" AND company_id IN ({})", keys(&companies)));
        }
        if let Some(pool) = &filter.pool {
            text.push_str(" AND name = ?");
            values.push(Value::Text(pool.clone()));
        }
        Ok(keys(&self.ids(&text, &values)?))
    }

    /// Of money in reports: as asked for, else the company's.
    fn currency(&self, filter: &ReportFilter) -> Result<String, IndexError> {
        if let Some(currency) = &filter.currency {
            return Ok(currency.clone());
        }
        let mut statement = self.connection.prepare_cached("SELECT name FROM companies ORDER BY company_id")?;
        let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let seen = |name: &&String| {
            filter.company.as_ref().is_none_or(|company| company == *name)
                && filter.scope.as_ref().is_none_or(|scope| scope.contains(name))
        };
        let mut of_company = names.iter().filter(seen).filter_map(|name| self.settings.company(name));
        Ok(of_company.next().map_or_else(|| "EUR".to_owned(), |company| company.currency.clone()))
    }

    /// Runs a text and gives each row to `each`.
    fn each(
        &self,
        text: &str,
        values: &[Value],
        mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), IndexError> {
        let mut statement = self.connection.prepare_cached(text)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

fn keys(ids: &[i64]) -> Keys {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// A share, where there is something to share.
fn share(part: f64, of: f64) -> Option<f64> {
    (of > 0.0).then_some(part / of)
}

fn share_of(part: i64, of: i64) -> Option<f64> {
    share(part as f64, of as f64)
}
