//! Contacts: the customer base as JSON and as CSV. The file is for calling people, so it has those who agreed to that and
//! nobody else.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::access::Caller;
use super::calls::{scope, unanswered};
use super::problem::Problem;
use super::reports::{accepts_csv, csv_file, exported, harmless};
use super::{AppState, body};
use crate::core::mask;
use crate::core::rights::Right;
use crate::io::index::{Consent, Contact, ContactFilter, Place};
use crate::limits;

/// What contacts may be asked.
pub(super) const PARAMETERS: [&str; 7] = ["company", "q", "consent", "source", "cursor", "limit", "format"];

/// Columns of the file.
const COLUMNS: [&str; 13] = [
    "company", "phone", "email", "name", "region", "source", "medium", "campaign", "first_at", "last_at", "calls",
    "leads", "consent",
];

/// `GET /v1/contacts`: those first seen last at the top.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let [company, q, consent, source, cursor, limit, format] = body::query(&request, PARAMETERS)?;
    let as_csv = match format.as_deref() {
        None => accepts_csv(request.headers()),
        Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(body::bad_parameter("format", "json or csv")),
    };
    let has_digits = |text: &String| text.chars().any(|c| c.is_ascii_digit());
    if !caller.rights.shows_numbers() && q.as_ref().is_some_and(has_digits) {
        // Whoever may ask for a number digit by digit has it in the end.
        let detail = "Numbers are masked for you, so contacts cannot be looked for by them.";
        return Err(Problem::forbidden("numbers_hidden", detail));
    }
    let consent = consent
        .map(|text| {
            Consent::parse(&text).ok_or_else(|| body::bad_parameter("consent", "one of given, refused, unknown"))
        })
        .transpose()?;
    let cursor = cursor
        .map(|text| {
            Place::parse(&text).ok_or_else(|| body::bad_parameter("cursor", "`next_cursor` of the page before"))
        })
        .transpose()?;
    let limit = body::limit(limit, 100)?;
    let filter = ContactFilter { scope: None, company, q, consent, source, cursor, limit };
    if as_csv {
        return file(&state, &caller, filter, request.uri().query().unwrap_or_default()).await;
    }
    let filter = ContactFilter { scope: scope(caller.rights.companies(Right::Calls)), ..filter };
    let page = state.index.ask(move |reader| reader.contacts(&filter)).await.map_err(unanswered)?;
    let next = page.next.map(Place::written);
    Ok(Json(json!({ "contacts": page.contacts, "next_cursor": next })).into_response())
}

/// All that the filter finds and that agreed, to the bound of one file.
async fn file(state: &AppState, caller: &Caller, filter: ContactFilter, query: &str) -> Result<Response, Problem> {
    if !caller.rights.may(Right::Export) {
        let detail = format!("Your roles do not have the right `{}` that this needs.", Right::Export.as_str());
        return Err(Problem::forbidden("not_allowed", detail));
    }
    if filter.consent.is_some_and(|consent| consent != Consent::Given) {
        return Err(body::bad_parameter("consent", "`given` or absent: the file has nobody else"));
    }
    let mut filter = ContactFilter {
        scope: scope(caller.rights.companies(Right::Export)),
        consent: Some(Consent::Given),
        limit: limits::HTTP_PAGE,
        ..filter
    };
    let is_masked = !caller.rights.shows_numbers();
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let unwritten = |error: csv::Error| Problem::internal("csv_failed", &error);
    writer.write_record(COLUMNS).map_err(unwritten)?;
    let mut rows = 0;
    loop {
        let asked = filter.clone();
        let page = state.index.ask(move |reader| reader.contacts(&asked)).await.map_err(unanswered)?;
        for contact in &page.contacts {
            writer.write_record(record(contact, is_masked)).map_err(unwritten)?;
            rows += 1;
        }
        filter.cursor = page.next;
        if filter.cursor.is_none() || rows >= limits::CONSOLE_CSV_ROWS {
            break;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Problem::internal("csv_failed", &error))?;
    exported(state, caller, "contacts", rows, query);
    Ok(csv_file("contacts", String::from_utf8(bytes).unwrap_or_default()))
}

fn record(contact: &Contact, is_masked: bool) -> Vec<String> {
    let mut value = json!(contact);
    if is_masked {
        mask::value(&mut value);
    }
    COLUMNS.iter().map(|column| cell(&value[*column])).collect()
}

/// What stands in the file. A number in its international form is no formula, and is dialled as it stands.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let is_number = text.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
            if is_number { text.clone() } else { harmless(text) }
        }
        other => other.to_string(),
    }
}
