//! Who listened, changed, exported: read from the journal, newest first.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body, events};
use crate::io::journal::Record;

/// Records looked at in one request: what is rare stands far apart, and the next page goes on where this one ended.
const LOOKED_AT: u64 = 20_000;
/// Records read at a time.
const BATCH: u64 = 500;

/// Types that tell of what a person did.
const KINDS: [&str; 22] = [
    "leaseline.user.changed",
    "leaseline.user.signed_in",
    "leaseline.user.refused",
    "leaseline.recording.played",
    "leaseline.recording.erased",
    "leaseline.recording.held",
    "leaseline.recording.released",
    "leaseline.recording.paused",
    "leaseline.recording.resumed",
    "leaseline.report.exported",
    "leaseline.catalogue.changed",
    "leaseline.call.labelled",
    "leaseline.call.commented",
    "leaseline.call.scored",
    "leaseline.call.valued",
    "leaseline.call.called_back",
    "leaseline.cost.imported",
    "leaseline.contact.consented",
    "leaseline.export.sent",
    "leaseline.export.rejected",
    "leaseline.export.retracted",
    "leaseline.export.linked",
];

/// `GET /v1/audit[?before=SEQ&user=NAME&type=TYPE&limit=N]`.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [before, user, kind, limit] = body::query(&request, ["before", "user", "type", "limit"])?;
    let limit = body::limit(limit, 100)?;
    let before = body::number::<u64>(before, "before")?.unwrap_or(u64::MAX);
    if let Some(kind) = kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
        return Err(body::bad_parameter("type", &format!("one of {}; not {kind}", KINDS.join(", "))));
    }
    let journal = state.journal.clone();
    let walk = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        // Records before this one are still to be looked at.
        let mut end = before.min(journal.last_seq().saturating_add(1));
        let stop = end.saturating_sub(LOOKED_AT);
        while end > stop.max(1) {
            let start = end.saturating_sub(BATCH).max(stop).max(1);
            let read = journal.read(start - 1, usize::try_from(end - start).unwrap_or(0))?;
            for record in read.into_iter().rev().filter(|record| record.seq < end) {
                let Some(event) = wanted(&record, user.as_deref(), kind.as_deref()) else { continue };
                if !events::may_see(&state, &caller, &event) {
                    continue;
                }
                found.push(event);
                if found.len() == limit {
                    return Ok((found, Some(record.seq)));
                }
            }
            end = start;
        }
        Ok::<_, std::io::Error>((found, (end > 1).then_some(end)))
    });
    let walked = walk.await.map_err(std::io::Error::other).and_then(|walked| walked);
    let (events, next) = walked.map_err(|error| Problem::internal("journal_unreadable", &error))?;
    Ok(Json(json!({ "events": events, "next_cursor": next })))
}

fn wanted(record: &Record, user: Option<&str>, kind: Option<&str>) -> Option<Value> {
    let is_kind = record.head().is_ok_and(|head| match kind {
        Some(kind) => head.kind == kind,
        None => KINDS.contains(&&*head.kind),
    });
    if !is_kind {
        return None;
    }
    let mut event: Value = serde_json::from_str(&record.event).ok()?;
    let data = &event["data"];
    let is_user = user.is_none_or(|user| data["by"] == *user || data["user"] == *user);
    if !is_user {
        return None;
    }
    event["seq"] = record.seq.into();
    Some(event)
}
