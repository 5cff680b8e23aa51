//! `GET /v1/events`: the journal from a cursor, as JSON, as lines, or as a stream that follows it; and the demo's steps.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::access::Caller;
use super::problem::Problem;
use super::stream::Held;
use super::{AppState, HEARTBEAT, body, mask};
use crate::core::rights::Right;
use crate::io::journal::Record;

/// Records read at a time by one stream.
const BATCH: usize = 100;

/// `GET /v1/events?after=SEQ[&type=…][&limit=…]`. Each event carries its place as `seq`; a page's `Link` names the next,
/// and `leaseline-newest` the number of the newest event.
pub(super) async fn events(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let [after, kind, limit] = body::query(&request, ["after", "type", "limit"])?;
    let after = body::number::<u64>(after, "after")?;
    let limit = body::limit(limit, 100)?;
    if accepts(request.headers(), "text/event-stream") {
        let resumed = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        return follow(&state, caller, resumed.or(after), kind);
    }
    let journal = state.journal.clone();
    let from = after.unwrap_or(0);
    let sight = Sight::new(&state, caller);
    let (lines, next) = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        let mut at = from;
        // A rare type may stand far apart: read on, but not for ever in one request.
        for _ in 0..100 {
            let records = journal.read(at, limit)?;
            let Some(last) = records.last() else { break };
            at = last.seq;
            for record in records {
                if is_wanted(&record, kind.as_deref())
                    && let Some(line) = sight.whole_or_nothing(&record)
                {
                    at = record.seq;
                    found.push(line);
                    if found.len() == limit {
                        return Ok((found, at));
                    }
                }
            }
        }
        Ok::<_, std::io::Error>((found, at))
    })
    .await
    .map_err(std::io::Error::other)
    .and_then(|read| read)
    .map_err(|error| Problem::internal("journal_unreadable", &error))?;

    let mut response = if accepts(request.headers(), "application/x-ndjson") {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
    } else {
        // What stands in the journal is JSON already.
        let text = format!("[{}]\n", lines.join(",\n"));
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    };
    if let Ok(link) = HeaderValue::from_str(&format!("</v1/events?after={next}>; rel=\"next\"")) {
        response.headers_mut().insert(header::LINK, link);
    }
    response.headers_mut().insert("leaseline-newest", HeaderValue::from(state.journal.last_seq()));
    Ok(response)
}

/// Server-sent events: `id:` is the journal's number, so a browser that reconnects goes on where it was.
fn follow(
    state: &Arc<AppState>,
    caller: Caller,
    after: Option<u64>,
    kind: Option<String>,
) -> Result<Response, Problem> {
    let place = state.stream_place()?;
    let sight = Sight::new(state, caller);
    let mut follow = state.journal.follow(after.unwrap_or_else(|| state.journal.last_seq()));
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(BATCH);
    tokio::spawn(async move {
        loop {
            let read = tokio::select! {
                read = follow.next(BATCH) => read,
                () = sender.closed() => return,
            };
            let records = match read {
                Ok(records) => records,
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends: the journal cannot be read");
                    return;
                }
            };
            // Rights may have been taken since.
            if !sight.holds() {
                return;
            }
            let (sight, kind) = (sight.clone(), kind.clone());
            let lines = tokio::task::spawn_blocking(move || {
                let wanted = records.iter().filter(|record| is_wanted(record, kind.as_deref()));
                wanted.filter_map(|record| Some((record.seq, sight.masked(record)?))).collect::<Vec<_>>()
            });
            for (seq, line) in lines.await.unwrap_or_default() {
                let event = Event::default().id(seq.to_string()).data(line);
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
        }
    });
    let stream = Held::new(ReceiverStream::new(receiver), place, state.closing.subscribe());
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

/// `GET /demo/events`: steps of the demo's call, those so far first.
pub(super) async fn demo_steps(State(state): State<Arc<AppState>>) -> Result<Response, Problem> {
    let Some(demo) = &state.demo else { return Err(Problem::not_found("no_demo", "The demo does not run.")) };
    let place = state.stream_place()?;
    let (kept, mut live) = demo.watch();
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(BATCH);
    tokio::spawn(async move {
        for step in kept {
            if sender.send(Ok(step_event(&step))).await.is_err() {
                return;
            }
        }
        loop {
            let step = tokio::select! {
                step = live.recv() => step,
                () = sender.closed() => return,
            };
            match step {
                Ok(step) => {
                    if sender.send(Ok(step_event(&step))).await.is_err() {
                        return;
                    }
                }
                // The browser comes back and gets what is kept.
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    let stream = Held::new(ReceiverStream::new(receiver), place, state.closing.subscribe());
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

fn step_event(step: &super::DemoStep) -> Event {
    Event::default().event("step").data(serde_json::to_string(step).unwrap_or_default())
}

/// What somebody may see of the journal.
#[derive(Clone)]
struct Sight {
    state: Arc<AppState>,
    caller: Caller,
    /// Everything, whole.
    all: bool,
}

impl Sight {
    fn new(state: &Arc<AppState>, caller: Caller) -> Sight {
        let all = Right::ALL.iter().all(|right| caller.rights.may_everywhere(*right));
        Sight { state: Arc::clone(state), caller, all }
    }

    /// The event with its number, when it may be seen. Numbers are masked where the answer goes out.
    fn whole_or_nothing(&self, record: &Record) -> Option<String> {
        let is_seen = self.all
            || serde_json::from_str(&record.event).is_ok_and(|event| may_see(&self.state, &self.caller, &event));
        is_seen.then(|| numbered(record))
    }

    /// The same with numbers masked: a stream has no way out where that is done.
    fn masked(&self, record: &Record) -> Option<String> {
        let line = self.whole_or_nothing(record)?;
        if self.caller.rights.shows_numbers() { Some(line) } else { mask::masked(line.as_bytes()).ok() }
    }

    /// Whether the session of a stream that runs is still one, and its rights are as they were.
    fn holds(&self) -> bool {
        self.state.still_has(&self.caller)
    }
}

/// Whether an event of the journal is this caller's to see. Blocks: whose call an event is of may stand in the index only.
pub(super) fn may_see(state: &AppState, caller: &Caller, event: &Value) -> bool {
    let data = &event["data"];
    let of_call = || state.company_of_blocking(data["call_id"].as_str()?.parse().ok()?);
    let of_pool = || {
        let config = state.config.load();
        let pool = data["pool"].as_str()?;
        config.pools.iter().find(|known| known.name == pool).map(|pool| pool.company.clone())
    };
    let company = data["company"].as_str().filter(|company| !company.is_empty()).map(str::to_owned);
    may_see_of(caller, event, company.or_else(of_call).or_else(of_pool).as_deref())
}

/// The same, of an event of this company; `None`: of the node. What is of a company is seen with the right for it there;
/// what is of the node, with the right for it everywhere.
pub(super) fn may_see_of(caller: &Caller, event: &Value, company: Option<&str>) -> bool {
    let right = right_of(event["type"].as_str().unwrap_or_default().trim_start_matches("leaseline."));
    match company {
        Some(company) => caller.rights.may_in(right, company),
        None => caller.rights.may_everywhere(right),
    }
}

/// What it takes to see an event of this type.
fn right_of(kind: &str) -> Right {
    match kind.split('.').next().unwrap_or_default() {
        "user" | "report" => Right::Audit,
        "trunk" | "defence" | "fraud" | "node" | "journal" | "events" | "archive" => Right::Node,
        "catalogue" => Right::Catalogue,
        "lease" | "pool" | "number" | "notice" => Right::Leases,
        "cost" => Right::Reports,
        "recording" if kind == "recording.played" => Right::Audit,
        _ => Right::Calls,
    }
}

/// The event with its number in the journal: a CloudEvents extension.
fn numbered(record: &Record) -> String {
    let rest = record.event.strip_prefix('{').unwrap_or("}");
    let comma = if rest.starts_with('}') { "" } else { "," };
    format!("{{\"seq\":{}{comma}{rest}", record.seq)
}

/// `type` as asked: whole (`leaseline.call.ended`), or a group of them (`leaseline.call.`).
fn is_wanted(record: &Record, kind: Option<&str>) -> bool {
    let Some(kind) = kind else { return true };
    record.head().is_ok_and(|head| head.kind == kind || (kind.ends_with('.') && head.kind.starts_with(kind)))
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind))
}
