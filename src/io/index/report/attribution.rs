//! Who has the credit, by every model; and how far the attribution can be believed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sources::gather;
use super::{IndexError, Period, Reader, ReportFilter, share, share_of};
use crate::core::credit::Model;

/// Credit by every model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Credits {
    pub last: f64,
    pub first: f64,
    pub last_non_direct: f64,
    pub linear: f64,
    pub time_decay: f64,
    pub position: f64,
}

impl Credits {
    pub fn of(&self, model: Model) -> f64 {
        match model {
            Model::Last => self.last,
            Model::First => self.first,
            Model::LastNonDirect => self.last_non_direct,
            Model::Linear => self.linear,
            Model::TimeDecay => self.time_decay,
            Model::Position => self.position,
        }
    }
}

/// The same conversions by every model.
#[derive(Clone, Debug, Serialize)]
pub struct Models {
    pub period: Period,
    pub look_back: i64,
    /// Model to rule.
    pub rules: BTreeMap<&'static str, &'static str>,
    pub rows: Vec<ModelRow>,
    /// What the credit of every model adds up to.
    pub conversions: i64,
    pub total: Credits,
}

/// See [`Models`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRow {
    pub name: String,
    #[serde(flatten)]
    pub credits: Credits,
}

/// How sure attributions were, and whether they were right.
#[derive(Clone, Debug, Serialize)]
pub struct Quality {
    pub period: Period,
    pub calls: i64,
    /// Calls by what they were attributed to.
    pub kinds: Kinds,
    /// Of calls that are attributed to visitors: with a confidence of 0.8 or more.
    pub sure_share: Option<f64>,
    /// Of all calls: nobody is known.
    pub unknown_share: Option<f64>,
    /// Where the truth comes from.
    pub truth: &'static str,
    /// The reliability diagram: calls attributed to visitors, by tenths of confidence. Well calibrated attributions have
    /// `confidence_checked` near `right`.
    pub rows: Vec<Bin>,
    /// Mean distance between confidence and truth, weighted by checked calls (ECE).
    pub calibration_error: Option<f64>,
}

/// See [`Quality`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    pub visitor: i64,
    #[serde(rename = "static")]
    pub fixed: i64,
    pub none: i64,
}

/// One tenth of confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub until: f64,
    pub calls: i64,
    /// Mean.
    pub confidence: Option<f64>,
    /// Calls of which the truth is known, their mean confidence, and the share that was right.
    pub checked: i64,
    pub confidence_checked: Option<f64>,
    pub right: Option<f64>,
}

/// Credit of one level below the path, by every model.
///
/// # Errors
/// See [`IndexError`].
pub fn models(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Models, IndexError> {
    let places = reader.places(filter)?;
    let currency = reader.currency(filter)?;
    let column = if filter.depth() == filter.path.len() { "node_id" } else { "parent_id" };
    let found = gather(reader, filter, (column, "n.name", &places), (&currency, &mut Vec::new()))?;
    let total = gather(reader, filter, ("node_id", "''", &places), (&currency, &mut Vec::new()))?.remove("");
    let total = total.unwrap_or_default();
    let mut rows: Vec<ModelRow> =
        found.into_values().map(|row| ModelRow { name: row.name, credits: row.credits }).collect();
    rows.retain(|row| Model::ALL.iter().any(|model| row.credits.of(*model) > 0.0));
    rows.sort_by(|a, b| b.credits.of(filter.model).total_cmp(&a.credits.of(filter.model)).then(a.name.cmp(&b.name)));
    rows.truncate(filter.rows());
    Ok(Models {
        period: filter.period(),
        look_back: filter.look_back,
        rules: Model::ALL.into_iter().map(|model| (model.as_str(), model.rule())).collect(),
        rows,
        conversions: total.credits.last.round() as i64,
        total: total.credits,
    })
}

/// Credit of nodes by a name.
pub(super) fn credits(
    reader: &Reader<'_>,
    filter: &ReportFilter,
    from: &str,
    (name, quality): (&str, bool),
) -> Result<BTreeMap<String, Credits>, IndexError> {
    let text = format!(
        "SELECT {name}, SUM(d.last), SUM(d.first), SUM(d.last_non_direct), SUM(d.linear), SUM(d.time_decay),
         SUM(d.position) {from} AND d.day BETWEEN ? AND ? AND d.look_back = ? AND d.is_quality = ? GROUP BY 1"
    );
    let values = [filter.since.into(), filter.until.into(), filter.look_back.into(), i64::from(quality).into()];
    let mut found = BTreeMap::new();
    reader.each(&text, &values, |row| {
        let credits = Credits {
            last: row.get(1)?,
            first: row.get(2)?,
            last_non_direct: row.get(3)?,
            linear: row.get(4)?,
            time_decay: row.get(5)?,
            position: row.get(6)?,
        };
        found.insert(row.get(0)?, credits);
        Ok(())
    })?;
    Ok(found)
}

/// The reliability of attributions.
///
/// # Errors
/// See [`IndexError`].
pub fn quality(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Quality, IndexError> {
    let text = format!(
        "SELECT kind, bin, SUM(calls), SUM(confidence_sum), SUM(checked), SUM(checked_sum), SUM(hits)
         FROM pool_confidence WHERE pool_id IN ({}) AND day BETWEEN ? AND ? GROUP BY 1, 2",
        reader.pools_of(filter)?
    );
    let tenth = |bin: i64| bin as f64 / 10.0;
    let mut rows: Vec<Bin> =
        (0..10).map(|bin| Bin { from: tenth(bin), until: tenth(bin + 1), ..Bin::default() }).collect();
    let mut kinds = Kinds::default();
    let (mut distance, mut checked_calls) = (0.0, 0.0);
    reader.each(&text, &[filter.since.into(), filter.until.into()], |row| {
        let (kind, bin, calls): (String, i64, f64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (sum, checked, checked_sum, hits): (f64, f64, f64, f64) =
            (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
        let count = calls.round() as i64;
        match kind.as_str() {
            "visitor" => kinds.visitor += count,
            "static" => kinds.fixed += count,
            _ => kinds.none += count,
        }
        if kind == "visitor"
            && let Some(of) = usize::try_from(bin).ok().and_then(|bin| rows.get_mut(bin))
        {
            (of.calls, of.checked) = (count, checked.round() as i64);
            of.confidence = share(sum, calls);
            (of.confidence_checked, of.right) = (share(checked_sum, checked), share(hits, checked));
            distance += (checked_sum - hits).abs();
            checked_calls += checked;
        }
        Ok(())
    })?;
    let calls = kinds.visitor + kinds.fixed + kinds.none;
    let sure = rows.iter().filter(|bin| bin.from >= 0.8).map(|bin| bin.calls).sum();
    Ok(Quality {
        period: filter.period(),
        calls,
        kinds,
        sure_share: share_of(sure, kinds.visitor),
        unknown_share: share_of(kinds.none, calls),
        truth: "forms and chats that name both the caller's number and the visitor",
        rows,
        calibration_error: share(distance, checked_calls),
    })
}
