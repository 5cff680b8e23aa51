//! What went to others, and who did what.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{IndexError, Period, Reader, ReportFilter};
use crate::limits;
use crate::time::Wall;

/// Deliveries to advertising systems, analytics and CRMs.
#[derive(Clone, Debug, Serialize)]
pub struct Exports {
    pub period: Period,
    pub rows: Vec<Destination>,
}

/// One destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Destination {
    pub destination: String,
    pub sent: i64,
    /// It found whom it was about.
    pub linked: i64,
    pub rejected: i64,
    pub retracted: i64,
    /// Conversions, calls, adjustments, retractions.
    pub by_action: BTreeMap<String, i64>,
    /// Why it rejected deliveries, the most frequent first.
    pub reasons: Vec<Reason>,
}

/// See [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub status: String,
    pub deliveries: i64,
}

/// What people did: listened, changed, exported.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// Newest first.
    pub rows: Vec<AuditEntry>,
    /// For the next page.
    pub next: Option<i64>,
}

/// See [`Audit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Number of its record in the journal.
    pub seq: i64,
    pub at: Wall,
    /// `played`, `downloaded`, `erased`, `held`, `released`, `catalogue`, `labelled`, `commented`, `scored`, `valued`,
    /// `called_back`, `not_called_back`, `costs`, `consent`, `exported`, `user`, `signed_in`, `refused`.
    pub kind: String,
    pub by: String,
    pub subject: String,
    pub detail: String,
}

/// Deliveries by destination. Days are those of UTC: a destination serves companies of several zones.
///
/// # Errors
/// See [`IndexError`].
pub fn exports(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Exports, IndexError> {
    filter.check()?;
    let companies = match reader.companies(filter.scope.as_deref(), filter.company.as_deref())? {
        // Deliveries that are about no call, like a test, belong to nobody.
        None => String::new(),
        Some(companies) => format!(" AND company_id IN ({})", super::keys(&companies)),
    };
    let days = [filter.since.into(), filter.until.into()];
    let mut rows: BTreeMap<String, Destination> = BTreeMap::new();
    let text = format!(
        "SELECT destination, action, state, SUM(deliveries) FROM export_days WHERE day BETWEEN ? AND ?{companies}
         GROUP BY 1, 2, 3"
    );
    reader.each(&text, &days, |row| {
        let (name, action, state, count): (String, String, String, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let of =
            rows.entry(name.clone()).or_insert_with(|| Destination { destination: name, ..Destination::default() });
        match state.as_str() {
            "sent" => of.sent += count,
            "linked" => of.linked += count,
            "rejected" => of.rejected += count,
            _ => of.retracted += count,
        }
        if state == "sent" {
            *of.by_action.entry(action).or_default() += count;
        }
        Ok(())
    })?;
    let of_call = companies.replace("company_id", "c.company_id");
    let text = format!(
        "SELECT e.destination, e.status, COUNT(*) FROM exports e LEFT JOIN calls c USING (call_no)
         WHERE e.state = 'rejected' AND e.at >= ? AND e.at < ?{of_call} GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT {}",
        limits::CALLS_PAGE
    );
    let day = 86_400_000_000;
    reader.each(&text, &[(filter.since * day).into(), ((filter.until + 1) * day).into()], |row| {
        if let Some(of) = rows.get_mut(&row.get::<_, String>(0)?) {
            of.reasons.push(Reason { status: row.get(1)?, deliveries: row.get(2)? });
        }
        Ok(())
    })?;
    Ok(Exports { period: filter.period(), rows: rows.into_values().collect() })
}

/// Who did what, newest first. With a scope, only what is about calls of these companies.
///
/// # Errors
/// See [`IndexError`].
pub fn audit(
    reader: &Reader<'_>,
    filter: &ReportFilter,
    kind: Option<&str>,
    before: Option<i64>,
) -> Result<Audit, IndexError> {
    filter.check()?;
    let companies = match reader.companies(filter.scope.as_deref(), filter.company.as_deref())? {
        None => String::new(),
        Some(companies) => format!(" AND company_id IN ({})", super::keys(&companies)),
    };
    let limit = filter.rows().min(limits::CALLS_PAGE);
    let text = format!(
        "SELECT seq, at, kind, by_user, subject, detail FROM audit WHERE at >= ? AND at < ? AND seq < ?
         AND (? = '' OR kind = ?){companies} ORDER BY seq DESC LIMIT {}",
        limit + 1
    );
    let day = 86_400_000_000;
    let kind = kind.unwrap_or_default().to_owned();
    let values = [
        (filter.since * day).into(),
        ((filter.until + 1) * day).into(),
        before.unwrap_or(i64::MAX).into(),
        kind.clone().into(),
        kind.into(),
    ];
    let mut rows = Vec::new();
    reader.each(&text, &values, |row| {
        let (seq, at, kind, by) = (row.get(0)?, crate::time::Wall(row.get(1)?), row.get(2)?, row.get(3)?);
        rows.push(AuditEntry { seq, at, kind, by, subject: row.get(4)?, detail: row.get(5)? });
        Ok(())
    })?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.seq);
    Ok(Audit { rows, next })
}
