//! `/v3/a/{account}/calls…`: calls in the shape of CallRail's interface, so that what reads that reads this: pages, fields,
//! filters, sums. Read only. The account may be any word; what is seen is what the token may see.
//!
//! Documented at apidocs.callrail.com; field names as its connectors read them. `Authorization: Token token="…"` is
//! understood beside `Bearer`. Errors have its shape, `{"error": …}`, beside our own fields.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use super::AppState;
use super::access::Caller;
use super::calls::{scope, unanswered, unknown};
use super::problem::Problem;
use crate::core::export::{Told, callrail};
use crate::core::rights::Right;
use crate::ids::CallId;
use crate::io::index::{Brief, CallView, Filter};
use crate::limits;
use crate::time::Wall;

/// Fields that are always there; others come when `fields` names them.
const USUAL: [&str; 16] = [
    "id",
    "answered",
    "business_phone_number",
    "customer_city",
    "customer_country",
    "customer_name",
    "customer_phone_number",
    "customer_state",
    "direction",
    "duration",
    "recording",
    "recording_duration",
    "recording_player",
    "start_time",
    "tracking_phone_number",
    "voicemail",
];
const DAY: Duration = Duration::from_secs(86_400);

/// What a request asks for. Parameters that we do not know are passed over, as CallRail does.
struct Asked {
    filter: Filter,
    /// `direction=outbound`: there are none.
    nothing: bool,
    fields: Vec<String>,
    page: usize,
    per_page: usize,
    /// Pages by cursor (`relative_pagination`); the cursor is `offset`.
    relative: bool,
    group_by: String,
    query: Vec<(String, String)>,
}

/// `GET /v3/a/{account}/calls.json`.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    account: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let account = account.map(|Path(account)| account).map_err(|_| unknown())?;
    let asked = asked(&request, &caller)?;
    if asked.nothing {
        return Ok(Json(json!({
            "page": 1, "per_page": asked.per_page, "total_pages": 0, "total_records": 0, "calls": [],
        })));
    }
    if asked.relative {
        let filter = asked.filter.clone();
        let page = state.index.ask(move |reader| reader.calls(&filter)).await.map_err(unanswered)?;
        let calls: Vec<Value> = page.calls.iter().map(|view| shown(view, &account, &asked.fields)).collect();
        let next = page.next.map(|next| link(&request, &asked.query, next));
        return Ok(Json(json!({
            "per_page": asked.per_page,
            "has_next_page": next.is_some(),
            "next_page": next,
            "calls": calls,
        })));
    }
    let (filter, skip, take) = (asked.filter.clone(), (asked.page - 1) * asked.per_page, asked.per_page);
    let (total, views) = state
        .index
        .ask(move |reader| {
            let briefs = reader.brief(&filter, limits::CALLRAIL_CALLS)?;
            let ids = briefs.iter().skip(skip).take(take).map(|brief| brief.call_id);
            let views = ids.filter_map(|id| reader.call(id).transpose()).collect::<Result<Vec<_>, _>>()?;
            Ok((briefs.len(), views))
        })
        .await
        .map_err(unanswered)?;
    let calls: Vec<Value> = views.iter().map(|view| shown(view, &account, &asked.fields)).collect();
    Ok(Json(json!({
        "page": asked.page,
        "per_page": asked.per_page,
        "total_pages": total.div_ceil(asked.per_page),
        "total_records": total,
        "calls": calls,
    })))
}

/// `GET /v3/a/{account}/calls/{id}`, where `{id}` ends in `.json`: one call, or a sum by its name.
pub(super) async fn one(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let Path((account, name)) = path.map_err(|_| unknown())?;
    let name = name.strip_suffix(".json").ok_or_else(unknown)?;
    let asked = asked(&request, &caller)?;
    match name {
        "summary" => return summary(&state, asked).await,
        "timeseries" => return timeseries(&state, asked).await,
        _ => {}
    }
    let id: CallId = name.parse().map_err(|_| unknown())?;
    let view = state.index.ask(move |reader| reader.call(id)).await.map_err(unanswered)?;
    let view = view.filter(|view| caller.rights.may_in(Right::Calls, &view.call.company)).ok_or_else(unknown)?;
    Ok(Json(shown(&view, &account, &asked.fields)))
}

/// `GET /v3/a/{account}/calls/{id}/recording.json`: where the sound is. The same token opens it.
pub(super) async fn recording(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path((_, id)) = path.map_err(|_| unknown())?;
    let id: CallId = id.parse().map_err(|_| unknown())?;
    let view = state.index.ask(move |reader| reader.call(id)).await.map_err(unanswered)?;
    let view = view.filter(|view| caller.rights.may_in(Right::Calls, &view.call.company)).ok_or_else(unknown)?;
    match view.call.recording.as_ref().and_then(|recording| recording.path.as_ref()) {
        Some(_) => Ok(Json(json!({ "url": format!("/v1/calls/{id}/recording") }))),
        None => Err(Problem::not_found("no_recording", "There is no recording of this call.")),
    }
}

async fn summary(state: &AppState, asked: Asked) -> Result<Json<Value>, Problem> {
    let key: fn(&Brief) -> &str = match asked.group_by.as_str() {
        "source" => |brief| &brief.source,
        "keywords" => |brief| &brief.term,
        "campaign" => |brief| &brief.campaign,
        "medium" => |brief| &brief.medium,
        "" => |_| "",
        _ => return Err(super::body::bad_parameter("group_by", "source, keywords, campaign or medium")),
    };
    let briefs = briefs(state, &asked).await?;
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    for brief in &briefs {
        *groups.entry(key(brief).to_owned()).or_default() += 1;
    }
    let rows: Vec<Value> = groups.iter().map(|(key, calls)| json!({ "key": key, "total_calls": calls })).collect();
    let mut answer = json!({
        "start_date": asked.filter.since,
        "end_date": asked.filter.until,
        "total_results": { "total_calls": briefs.len() },
    });
    if !asked.group_by.is_empty() {
        answer["grouped_results"] = json!(rows);
    }
    Ok(Json(answer))
}

async fn timeseries(state: &AppState, asked: Asked) -> Result<Json<Value>, Problem> {
    let briefs = briefs(state, &asked).await?;
    let mut days: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for brief in &briefs {
        let (year, month, day) = brief.started_at.date();
        let row = days.entry(format!("{year:04}-{month:02}-{day:02}")).or_default();
        row.0 += 1;
        row.1 += u64::from(brief.first);
        row.2 += u64::from(brief.missed);
    }
    let rows: Vec<Value> = days
        .iter()
        .map(|(day, (calls, first, missed))| {
            json!({ "key": day, "date": day, "total_calls": calls, "first_time_callers": first, "missed_calls": missed })
        })
        .collect();
    Ok(Json(json!({
        "total_results": { "total_calls": briefs.len() },
        "data": rows,
    })))
}

async fn briefs(state: &AppState, asked: &Asked) -> Result<Vec<Brief>, Problem> {
    if asked.nothing {
        return Ok(Vec::new());
    }
    let filter = asked.filter.clone();
    state.index.ask(move |reader| reader.brief(&filter, limits::CALLRAIL_CALLS)).await.map_err(unanswered)
}

fn asked(request: &Request, caller: &Caller) -> Result<Asked, Problem> {
    let bad = super::body::bad_parameter;
    let pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let query: Vec<(String, String)> = pairs.into_owned().filter(|(_, value)| !value.is_empty()).collect();
    let find = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let flag = |name: &'static str| match find(name) {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(bad(name, "true or false")),
    };
    let number = |name: &'static str, usual: usize, most: usize| match find(name).map(str::parse::<usize>) {
        None => Ok(usual),
        Some(Ok(number)) if number >= 1 => Ok(number.min(most)),
        Some(_) => Err(bad(name, "a number from 1")),
    };
    let time = |name: &'static str, whole: Duration| {
        let read = |text: &str| {
            let day = Wall::parse_rfc3339(&format!("{text}T00:00:00Z")).map(|day| day + whole);
            day.or_else(|| Wall::parse_rfc3339(text)).ok_or_else(|| bad(name, "a date, like 2026-11-01"))
        };
        find(name).map(read).transpose()
    };
    let per_page = number("per_page", 100, limits::CALLRAIL_PAGE)?;
    let relative = flag("relative_pagination")?.unwrap_or(false);
    let cursor = match find("offset").filter(|_| relative) {
        Some(text) => Some(text.parse().map_err(|_| bad("offset", "as `next_page` has it"))?),
        None => None,
    };
    // Whoever may ask for a number digit by digit has it in the end.
    let hides = |text: &&str| caller.rights.shows_numbers() || !text.chars().any(|c| c.is_ascii_digit());
    let filter = Filter {
        scope: scope(caller.rights.companies(Right::Calls)),
        company: find("company_id").map(str::to_owned),
        pool: find("tracker_id").map(str::to_owned),
        q: find("search").filter(hides).map(str::to_owned),
        source: find("source").map(str::to_owned),
        label: find("tags").map(str::to_owned),
        since: time("start_date", Duration::ZERO)?,
        // A date counts whole.
        until: time("end_date", DAY)?,
        missed: flag("answered")?.map(|answered| !answered),
        first: flag("first_time_callers")?.filter(|first| *first),
        in_progress: Some(false),
        cursor,
        limit: Some(per_page),
        ..Filter::default()
    };
    Ok(Asked {
        filter,
        nothing: find("direction") == Some("outbound"),
        fields: find("fields")
            .map(|list| list.split(',').map(|name| name.trim().to_owned()).collect())
            .unwrap_or_default(),
        page: number("page", 1, limits::CALLRAIL_CALLS)?,
        per_page,
        relative,
        group_by: find("group_by").unwrap_or_default().to_owned(),
        query,
    })
}

fn shown(view: &CallView, account: &str, fields: &[String]) -> Value {
    let facts = &view.facts;
    let told = Told {
        call: (*view.call).clone(),
        qualified: facts.quality,
        first_call: facts.first.unwrap_or(true),
        label: facts.label.clone(),
        value: None,
        before: None,
    };
    let Value::Object(mut all) = callrail::fields(&told, account) else { return Value::Null };
    let some = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    // As the visit was classified, not only as its address had it.
    for (name, value) in [("source", &facts.source), ("medium", &facts.medium), ("campaign", &facts.campaign)] {
        all.insert(name.to_owned(), some(value));
    }
    all.insert("source_name".to_owned(), some(&facts.source));
    all.insert("prior_calls".to_owned(), json!((facts.ordinal - 1).max(0)));
    all.insert("total_calls".to_owned(), json!(facts.ordinal.max(1)));
    let wanted = USUAL.into_iter().chain(fields.iter().map(String::as_str));
    // What we have nothing of is null, so that who asks for it finds its key.
    let picked: Map<String, Value> =
        wanted.map(|name| (name.to_owned(), all.get(name).cloned().unwrap_or_default())).collect();
    Value::Object(picked)
}

fn link(request: &Request, query: &[(String, String)], next: CallId) -> String {
    let kept = query.iter().filter(|(name, _)| name != "offset");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("offset", &next.to_string())
        .finish();
    format!("{}?{query}", request.uri().path())
}
