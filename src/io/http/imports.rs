//! Imports of what advertising cost and of deals, as JSON or CSV: whole, or not at all with every line that is wrong. The
//! same import again changes nothing: a row is replaced by its key.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access::Caller;
use super::problem::Problem;
use super::work::{Deal, currency, line, money, new_id};
use super::{AppState, body, calls};
use crate::config::Company;
use crate::core::event::work::{CostImportData, CostRow, ValuedData, WorkEvent};
use crate::core::rights::Right;
use crate::ids::CallId;
use crate::io::index::Filter;
use crate::limits;

/// A row of costs, as it is sent. Amounts are in minor units (`cost`), or in units with decimals (`amount`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    day: String,
    source: String,
    #[serde(default)]
    medium: String,
    #[serde(default)]
    campaign: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    term: String,
    #[serde(default)]
    cost: Option<i64>,
    #[serde(default)]
    amount: Option<String>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    clicks: Option<u64>,
    #[serde(default)]
    impressions: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows<T> {
    company: String,
    rows: Vec<T>,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/costs`: JSON, or CSV with `?company=`.
pub(super) async fn costs(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let Rows { company, rows, dry_run } = rows::<Cost>(request).await?;
    let (import_id, rows) = take_costs(&state, &caller, &company, rows, dry_run).await?;
    Ok(Json(json!({ "import_id": import_id, "rows": rows.len(), "dry_run": dry_run })))
}

/// Costs as CSV, from a form. Gives the id of the import, and what came with it.
pub(super) async fn costs_of_text(
    state: &AppState,
    caller: &Caller,
    company: &str,
    text: &[u8],
    dry_run: bool,
) -> Result<(String, Vec<CostRow>), Problem> {
    take_costs(state, caller, company, rows_of_csv(text)?, dry_run).await
}

async fn take_costs(
    state: &AppState,
    caller: &Caller,
    company: &str,
    rows: Vec<(usize, Result<Cost, String>)>,
    dry_run: bool,
) -> Result<(String, Vec<CostRow>), Problem> {
    let company = state.company(caller, Right::Costs, company)?;
    let rows = all_or_nothing(rows, |row| row.checked(&company))?;
    let import_id = new_id()?;
    if !dry_run {
        for part in rows.chunks(limits::IMPORT_EVENT_ROWS) {
            state.noted(WorkEvent::CostImported(CostImportData {
                import_id: import_id.clone(),
                by: caller.name.to_string(),
                company: company.name.clone(),
                rows: part.to_vec(),
            }))?;
        }
        state.written().await;
    }
    Ok((import_id, rows))
}

/// A row of deals: of a call, or of the last call of a telephone number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DealRow {
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    deal_id: Option<String>,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    value: Option<i64>,
    #[serde(default)]
    amount: Option<String>,
    #[serde(default)]
    currency: Option<String>,
}

/// `POST /v1/deals`: JSON, or CSV with `?company=`.
pub(super) async fn deals(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let Rows { company, rows, dry_run } = rows::<DealRow>(request).await?;
    let company = state.company(&caller, Right::Costs, &company)?;
    let (asking, by) = (Arc::clone(&state), caller.name.to_string());
    let checked = tokio::task::spawn_blocking(move || {
        all_or_nothing(rows, |row| {
            let call = row.call(&asking, &company)?;
            row.checked(&company, call, &by)
        })
    });
    let deals = checked.await.map_err(|error| Problem::internal("import_failed", &error))??;
    let count = deals.len();
    if !dry_run {
        for deal in deals {
            state.noted(WorkEvent::Valued(deal))?;
        }
        state.written().await;
    }
    Ok(Json(json!({ "rows": count, "dry_run": dry_run })))
}

impl Cost {
    fn checked(self, company: &Company) -> Result<CostRow, Problem> {
        let day: jiff::civil::Date =
            self.day.parse().map_err(|_| body::bad_parameter("day", "a day, like 2026-11-01"))?;
        let text = |name: &str, text: String| line(name, &text, limits::INDEX_NAME);
        let source = text("source", self.source)?;
        if source.is_empty() {
            return Err(body::bad_parameter("source", "not empty"));
        }
        Ok(CostRow {
            day: day.to_string(),
            source,
            medium: text("medium", self.medium)?,
            campaign: text("campaign", self.campaign)?,
            content: text("content", self.content)?,
            term: text("term", self.term)?,
            cost: amount(self.cost, self.amount)?,
            currency: currency(self.currency, company)?,
            clicks: self.clicks.unwrap_or(0),
            impressions: self.impressions.unwrap_or(0),
        })
    }
}

impl DealRow {
    /// The call that it is about. Blocks.
    fn call(&self, state: &AppState, company: &Company) -> Result<CallId, Problem> {
        let unknown = || Problem::not_found("unknown_call", "There is no such call.");
        let (call_id, phone) = (self.call_id.as_deref(), self.phone.as_deref());
        match (call_id.filter(|id| !id.is_empty()), phone.filter(|phone| !phone.is_empty())) {
            (Some(id), _) => {
                let id: CallId = id.parse().map_err(|_| unknown())?;
                let of = state.company_of_blocking(id).ok_or_else(unknown)?;
                if of == company.name { Ok(id) } else { Err(unknown()) }
            }
            (None, Some(phone)) => {
                let number = state.phone(&company.name, phone);
                let number = number.ok_or_else(|| body::bad_parameter("phone", "a telephone number"))?;
                let filter = Filter {
                    company: Some(company.name.clone()),
                    caller: Some(number.to_string()),
                    limit: Some(1),
                    ..Filter::default()
                };
                let page = state.index.read(|reader| reader.calls(&filter)).map_err(calls::unanswered)?;
                let last = page.calls.first().map(|view| view.call.call_id);
                last.ok_or_else(|| Problem::not_found("unknown_call", "This number never called."))
            }
            (None, None) => Err(body::bad_parameter("call_id", "there, or `phone`")),
        }
    }

    fn checked(self, company: &Company, call: CallId, by: &str) -> Result<ValuedData, Problem> {
        let value = amount(self.value, self.amount)?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let deal =
            Deal { deal_id: filled(self.deal_id), stage: filled(self.stage), value, currency: filled(self.currency) };
        deal.checked(company, call, by)
    }
}

/// Minor units, given as such or as a decimal number with two places at most.
pub(super) fn amount(minor: Option<i64>, decimal: Option<String>) -> Result<i64, Problem> {
    let decimal = decimal.filter(|text| !text.trim().is_empty());
    match (minor, decimal) {
        (Some(minor), None) => money("cost", minor),
        (None, Some(text)) => {
            let bad = || body::bad_parameter("amount", "a number with two decimals at most, like 12.50");
            let text = text.trim();
            let (whole, cents) = text.split_once(['.', ',']).unwrap_or((text, ""));
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            if whole.is_empty() || whole.len() > 12 || cents.len() > 2 || !digits(whole) || !digits(cents) {
                return Err(bad());
            }
            let minor: i64 = format!("{whole}{cents:0<2}").parse().map_err(|_| bad())?;
            money("amount", minor)
        }
        _ => Err(body::bad_parameter("amount", "there, or the same in minor units; not both")),
    }
}

/// Every row checked, or every line that is wrong.
fn all_or_nothing<T, R>(rows: Vec<Line<T>>, mut check: impl FnMut(T) -> Result<R, Problem>) -> Result<Vec<R>, Problem> {
    let (mut good, mut bad) = (Vec::with_capacity(rows.len()), Vec::new());
    for (at, row) in rows {
        match row.and_then(|row| check(row).map_err(|problem| problem.detail)) {
            Ok(row) => good.push(row),
            Err(why) => bad.push(format!("line {at}: {why}")),
        }
    }
    if bad.is_empty() {
        return Ok(good);
    }
    let more = bad.len().saturating_sub(limits::IMPORT_PROBLEMS);
    bad.truncate(limits::IMPORT_PROBLEMS);
    if more > 0 {
        bad.push(format!("and {more} more"));
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_rows", bad.join("\n")))
}

/// The rows of the body, each with the number of its line; of JSON its place, from 1.
async fn rows<T: DeserializeOwned>(request: Request) -> Result<Rows<(usize, Result<T, String>)>, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.trim_start().to_ascii_lowercase().starts_with("text/csv") {
        let Rows { company, rows, dry_run } = body::read_up_to::<Rows<Value>>(request, limits::HTTP_IMPORT).await?;
        if rows.len() > limits::IMPORT_ROWS {
            return Err(too_many());
        }
        let read = |row| serde_json::from_value(row).map_err(|error: serde_json::Error| error.to_string());
        let rows = rows.into_iter().enumerate().map(|(at, row)| (at + 1, read(row))).collect();
        return Ok(Rows { company, rows, dry_run });
    }
    let [company, dry_run] = body::query(&request, ["company", "dry_run"])?;
    let company = company.ok_or_else(|| body::bad_parameter("company", "the company's name"))?;
    let text = body::bytes(request, limits::HTTP_IMPORT).await?;
    Ok(Rows { company, rows: rows_of_csv(&text)?, dry_run: dry_run.as_deref() == Some("true") })
}

fn too_many() -> Problem {
    Problem::bad_request("too_many_rows", format!("An import has {} rows at most.", limits::IMPORT_ROWS))
}

/// A record with its line, or what was wrong with it.
type Line<T> = (usize, Result<T, String>);

/// Rows of a CSV file whose first line names its columns.
fn rows_of_csv<T: DeserializeOwned>(text: &[u8]) -> Result<Vec<Line<T>>, Problem> {
    // What spreadsheets put in front.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    // With one character at their ends lines are counted as people count them.
    let text = text.iter().enumerate().filter(|(at, byte)| **byte != b'\r' || text.get(at + 1) != Some(&b'\n'));
    let text: Vec<u8> = text.map(|(_, byte)| *byte).collect();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter =
        [b';', b'\t', b','].into_iter().max_by_key(|mark| first.iter().filter(|byte| *byte == mark).count());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .trim(csv::Trim::All)
        .flexible(false)
        .from_reader(text.as_slice());
    let names = reader.headers().map_err(|error| Problem::bad_request("bad_csv", error.to_string()))?;
    let names: csv::StringRecord = names.iter().map(str::to_lowercase).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        if rows.len() >= limits::IMPORT_ROWS {
            return Err(too_many());
        }
        let row = match record {
            Ok(record) => {
                let at = record.position().map_or(0, csv::Position::line);
                (at, record.deserialize(Some(&names)).map_err(|error| error.to_string()))
            }
            Err(error) => (error.position().map_or(0, csv::Position::line), Err(error.to_string())),
        };
        rows.push((usize::try_from(row.0).unwrap_or(0), row.1));
    }
    Ok(rows)
}
