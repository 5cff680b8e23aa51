//! Where calls come from: the drill-down from source to search term, with what each costs and brings.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::names::LEVELS;
use super::attribution::{Credits, credits};
use super::{IndexError, Period, Reader, ReportFilter, keys, share, share_of};

/// Levels as the API names them.
const NAMES: [&str; LEVELS] = ["source", "medium", "campaign", "content", "term"];

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Sources {
    pub period: Period,
    /// What the rows are: `source`, `medium`, `campaign`, `content` or `term`.
    pub level: &'static str,
    /// Of every amount of money, in its minor units.
    pub currency: String,
    /// Money in these stands in no figure here: no rate is known.
    pub other_currencies: Vec<String>,
    /// Days before a call from which visits may have credit.
    pub look_back: i64,
    pub model: &'static str,
    pub model_rule: &'static str,
    /// How the figures are made.
    pub formulas: BTreeMap<&'static str, &'static str>,
    /// Most calls first.
    pub rows: Vec<SourceRow>,
    /// Of all rows, those left out too. Persons of several rows count once.
    pub total: SourceRow,
}

/// One channel, campaign, advertisement or search term.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SourceRow {
    pub name: String,
    pub unique_visitors: i64,
    /// Different persons who called.
    pub callers: i64,
    pub quality_calls: i64,
    pub calls: i64,
    /// `callers / unique_visitors`; `null` without visitors.
    pub conversion: Option<f64>,
    pub visits: i64,
    pub answered: i64,
    pub missed: i64,
    pub first_calls: i64,
    pub repeat_calls: i64,
    /// Forms and chats.
    pub leads: i64,
    #[serde(flatten)]
    pub money: Money,
    /// Credit by the chosen model, of all calls and of quality calls.
    pub credit: f64,
    pub quality_credit: f64,
    /// By every model, of all calls.
    pub credits: Credits,
    /// Calls by label.
    pub labels: BTreeMap<String, i64>,
}

/// What it cost and brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Money {
    pub cost: i64,
    pub clicks: i64,
    pub impressions: i64,
    pub revenue: i64,
    pub deals: i64,
    pub cpl: Option<f64>,
    pub cac: Option<f64>,
    pub roi: Option<f64>,
    pub romi: Option<f64>,
}

/// Calls to static numbers, and how many of their callers are known from the web.
#[derive(Clone, Debug, Serialize)]
pub struct Statics {
    pub period: Period,
    /// What must be known about these figures.
    pub caveat: &'static str,
    pub rows: Vec<StaticRow>,
}

/// See [`Statics`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StaticRow {
    pub source: String,
    pub calls: i64,
    /// Their callers' visits to the site are known, by the number of the caller.
    pub joined: i64,
    pub joined_share: Option<f64>,
}

/// The drill-down: one level below the path.
///
/// # Errors
/// See [`IndexError`].
pub fn sources(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Sources, IndexError> {
    let places = reader.places(filter)?;
    let currency = reader.currency(filter)?;
    let depth = filter.depth().min(LEVELS - 1);
    // At the deepest level there is nothing below: the place itself is the row.
    let of_rows = if filter.depth() == LEVELS { "node_id" } else { "parent_id" };
    let mut other = Vec::new();
    let mut rows: Vec<SourceRow> =
        gather(reader, filter, (of_rows, "n.name", &places), (&currency, &mut other))?.into_values().collect();
    rows.sort_by(|a, b| (b.calls, b.visits, &a.name).cmp(&(a.calls, a.visits, &b.name)));
    rows.truncate(filter.rows());
    let mut all = gather(reader, filter, ("node_id", "''", &places), (&currency, &mut other))?;
    let mut total = all.remove("").unwrap_or_default();
    for row in rows.iter_mut().chain([&mut total]) {
        row.settle(filter.margin);
    }
    other.sort();
    other.dedup();
    let level = NAMES.get(depth).copied().unwrap_or_default();
    Ok(Sources {
        period: filter.period(),
        level,
        currency,
        other_currencies: other,
        look_back: filter.look_back,
        model: filter.model.as_str(),
        model_rule: filter.model.rule(),
        formulas: formulas(),
        rows,
        total,
    })
}

/// Calls to static numbers by source, joined to web visits by the caller's number.
///
/// # Errors
/// See [`IndexError`].
pub fn statics(reader: &Reader<'_>, filter: &ReportFilter) -> Result<Statics, IndexError> {
    let places = reader.places(&ReportFilter { path: Default::default(), ..filter.clone() })?;
    let text = format!(
        "SELECT n.name, SUM(d.static_calls), SUM(d.static_joined) FROM nodes n JOIN node_days d ON d.node_id = n.node_id
         WHERE n.parent_id IN ({}) AND d.day BETWEEN ? AND ? GROUP BY n.name HAVING SUM(d.static_calls) > 0
         ORDER BY 2 DESC, 1 LIMIT {}",
        keys(&places),
        filter.rows()
    );
    let mut rows = Vec::new();
    reader.each(&text, &[filter.since.into(), filter.until.into()], |row| {
        let (source, calls, joined): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        rows.push(StaticRow { source, calls, joined, joined_share: share_of(joined, calls) });
        Ok(())
    })?;
    Ok(Statics { period: filter.period(), caveat: super::super::calls::CAVEAT, rows })
}

/// Sums of nodes by a name.
pub(super) fn gather(
    reader: &Reader<'_>,
    filter: &ReportFilter,
    (column, name, places): (&str, &str, &[i64]),
    (currency, other): (&str, &mut Vec<String>),
) -> Result<BTreeMap<String, SourceRow>, IndexError> {
    let from = |table: &str| {
        format!("FROM nodes n JOIN {table} d ON d.node_id = n.node_id WHERE n.{column} IN ({})", keys(places))
    };
    let mut rows: BTreeMap<String, SourceRow> = BTreeMap::new();
    let days = [filter.since.into(), filter.until.into()];
    let text = format!(
        "SELECT {name}, SUM(d.visits), SUM(d.calls), SUM(d.answered), SUM(d.missed), SUM(d.quality), SUM(d.first_calls),
         SUM(d.repeat_calls), SUM(d.leads) {} AND d.day BETWEEN ? AND ? GROUP BY 1",
        from("node_days")
    );
    reader.each(&text, &days, |row| {
        let of = rows.entry(row.get(0)?).or_default();
        (of.visits, of.calls, of.answered, of.missed) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        (of.quality_calls, of.first_calls) = (row.get(5)?, row.get(6)?);
        (of.repeat_calls, of.leads) = (row.get(7)?, row.get(8)?);
        Ok(())
    })?;
    // Persons who were there in the days before have been seen before; on the first of these days nobody has been yet.
    let text = format!(
        "SELECT {name}, SUM(d.visitors), SUM(d.callers) {} AND d.day BETWEEN ? AND ? AND d.before_day < ? GROUP BY 1",
        from("node_reach")
    );
    let values = [filter.since.into(), filter.until.into(), filter.since.into()];
    reader.each(&text, &values, |row| {
        let of = rows.entry(row.get(0)?).or_default();
        (of.unique_visitors, of.callers) = (row.get(1)?, row.get(2)?);
        Ok(())
    })?;
    let text = format!(
        "SELECT {name}, d.currency, SUM(d.cost), SUM(d.clicks), SUM(d.impressions), SUM(d.revenue), SUM(d.deals) {}
         AND d.day BETWEEN ? AND ? GROUP BY 1, 2",
        from("node_money")
    );
    reader.each(&text, &days, |row| {
        let of: String = row.get(1)?;
        if of == currency {
            let money = &mut rows.entry(row.get(0)?).or_default().money;
            (money.cost, money.clicks, money.impressions) = (row.get(2)?, row.get(3)?, row.get(4)?);
            (money.revenue, money.deals) = (row.get(5)?, row.get(6)?);
        } else if !other.contains(&of) {
            other.push(of);
        }
        Ok(())
    })?;
    let text =
        format!("SELECT {name}, d.label, SUM(d.calls) {} AND d.day BETWEEN ? AND ? GROUP BY 1, 2", from("node_labels"));
    reader.each(&text, &days, |row| {
        let calls: i64 = row.get(2)?;
        if calls > 0 {
            rows.entry(row.get(0)?).or_default().labels.insert(row.get(1)?, calls);
        }
        Ok(())
    })?;
    for quality in [false, true] {
        for (name, credit) in credits(reader, filter, &from("node_credit"), (name, quality))? {
            let of = rows.entry(name).or_default();
            if quality {
                of.quality_credit = credit.of(filter.model);
            } else {
                (of.credit, of.credits) = (credit.of(filter.model), credit);
            }
        }
    }
    for (name, row) in &mut rows {
        row.name.clone_from(name);
    }
    Ok(rows)
}

impl SourceRow {
    /// What follows from the sums.
    pub(super) fn settle(&mut self, margin: f64) {
        self.conversion = share_of(self.callers, self.unique_visitors);
        let money = &mut self.money;
        let (cost, revenue) = (money.cost as f64, money.revenue as f64);
        if money.cost > 0 {
            money.cpl = share(cost, (self.quality_calls + self.leads) as f64);
            money.cac = share(cost, money.deals as f64);
            money.roi = share(revenue - cost, cost);
            money.romi = share(revenue * margin - cost, cost);
        }
    }
}

/// How the figures are made, in words.
fn formulas() -> BTreeMap<&'static str, &'static str> {
    [
        ("unique_visitors", "different visitors within the period, each once"),
        ("callers", "different callers' numbers within the period, each once; withheld numbers are not among them"),
        ("quality_calls", "answered calls with talk of the pool's `quality_talk` or longer"),
        ("conversion", "callers / unique_visitors"),
        ("cpl", "cost / (quality_calls + leads)"),
        ("cac", "cost / deals"),
        ("roi", "(revenue - cost) / cost"),
        ("romi", "(revenue * margin - cost) / cost"),
        ("revenue", "value of deals that are won, or have no stage, at their first call; each deal once"),
        ("credit", "for each call the shares of the visits before it, times the probability that it was this visitor"),
    ]
    .into()
}
