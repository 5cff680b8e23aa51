//! What was said in a call: the ladder of its SIP messages, as JSON, as text and as a capture for Wireshark.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body, calls};
use crate::ids::{CallId, Side};
use crate::io::messages::{Kept, Message};
use crate::io::signalling::Seen;
use crate::wire::pcap::Carrier;
use crate::wire::pcap::write::{Frame, write};
use crate::wire::sip;

/// `GET /v1/calls/{id}/ladder[?format=text]`: every message with its time, direction and text.
pub(super) async fn ladder(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let id = calls::call_id(id)?;
    shows(&state, &caller, id).await?;
    let [format] = body::query(&request, ["format"])?;
    let kept = kept(&state, id).await?;
    match format.as_deref() {
        None | Some("json") => Ok(Json(as_json(id, &kept)).into_response()),
        Some("text") => Ok(as_text(&kept).into_response()),
        Some(_) => Err(body::bad_parameter("format", "json or text")),
    }
}

/// `GET /v1/calls/{id}/trace`: a pcap file.
pub(super) async fn trace(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = calls::call_id(id)?;
    shows(&state, &caller, id).await?;
    let kept = kept(&state, id).await?;
    let file = write(kept.messages.iter().map(|message| {
        let (source, destination) = ends(message);
        Frame { at: message.at.0, source, destination, carrier: carrier(message), payload: &message.bytes }
    }));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.tcpdump.pcap"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{id}.pcap\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok((headers, file).into_response())
}

/// SIP messages are full of numbers: with them masked they would not be what was said.
async fn shows(state: &AppState, caller: &Caller, id: CallId) -> Result<(), Problem> {
    if caller.rights.shows_numbers() {
        return Ok(());
    }
    let company = state.company_of(id).await;
    if company.is_some_and(|company| caller.rights.shows_numbers_of(&company)) {
        return Ok(());
    }
    Err(Problem::forbidden("numbers_hidden", "Numbers are masked for you, and messages hold them."))
}

async fn kept(state: &AppState, id: CallId) -> Result<Kept, Problem> {
    if let Some(kept) = state.messages.of(id) {
        return Ok(kept);
    }
    Err(match state.live.has(id) || state.knows(id).await {
        true => Problem::not_found("messages_not_kept", "The messages of this call are not kept any more."),
        false => Problem::not_found("unknown_call", "There is no such call."),
    })
}

/// Source and destination.
fn ends(message: &Message) -> (std::net::SocketAddr, std::net::SocketAddr) {
    match message.seen {
        Seen::Received => (message.flow.remote, message.flow.local),
        Seen::Sent => (message.flow.local, message.flow.remote),
    }
}

fn carrier(message: &Message) -> Carrier {
    if message.flow.transport == rsip::Transport::Tcp { Carrier::Tcp } else { Carrier::Udp }
}

/// The start line; a response's with the method that it answers.
pub(super) fn start_line(bytes: &bytes::Bytes) -> String {
    let line = || {
        let end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
        String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
    };
    match sip::Message::parse(bytes.clone()) {
        Ok(message) if message.is_request() => format!("{} {}", message.method_token(), message.request_uri()),
        Ok(message) => {
            let method = message.cseq().map(|cseq| cseq.method.to_owned()).unwrap_or_default();
            format!("{} {} ({method})", message.status(), message.reason())
        }
        Err(_) => line(),
    }
}

pub(super) fn has_description(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\r\n\r\nv=0").is_some()
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Company => "company",
    }
}

fn as_json(id: CallId, kept: &Kept) -> Value {
    let messages: Vec<Value> = kept
        .messages
        .iter()
        .map(|message| {
            json!({
                "at": message.at,
                "direction": if message.seen == Seen::Received { "received" } else { "sent" },
                "side": side(message.side),
                "transport": message.flow.transport.to_string(),
                "local": message.flow.local,
                "remote": message.flow.remote,
                "line": start_line(&message.bytes),
                "sdp": has_description(&message.bytes),
                "text": String::from_utf8_lossy(&message.bytes),
            })
        })
        .collect();
    json!({ "call_id": id, "messages": messages, "left_out": kept.left_out })
}

/// Width of the two columns between the caller, us and the company.
const COLUMN: usize = 46;

/// A ladder of three columns: the caller's side, us, the company's side.
fn as_text(kept: &Kept) -> String {
    let first = kept.messages.first().map_or(0, |message| message.at.0);
    let mut text = format!("{:11}{:<COLUMN$} {:<COLUMN$} company\n", "", "caller", "us");
    let empty = " ".repeat(COLUMN);
    for message in &kept.messages {
        let at = (message.at.0 - first) as f64 / 1_000_000.0;
        let arrow = arrow(message);
        let row = match message.side {
            Side::Caller => format!("│{arrow}│{empty}│"),
            Side::Company => format!("│{empty}│{arrow}│"),
        };
        text.push_str(&format!("{at:9.3}  {row}  {}\n", message.flow.remote));
    }
    if kept.left_out > 0 {
        text.push_str(&format!("           … and {} messages more\n", kept.left_out));
    }
    text
}

/// One message as an arrow of [`COLUMN`] characters.
fn arrow(message: &Message) -> String {
    let mut line = start_line(&message.bytes);
    if has_description(&message.bytes) {
        line.push_str(" [SDP]");
    }
    let room = COLUMN - 5;
    if line.chars().count() > room {
        line = line.chars().take(room - 1).chain(['…']).collect();
    }
    let rest = "─".repeat(room - line.chars().count());
    match (message.side, message.seen) {
        (Side::Caller, Seen::Received) | (Side::Company, Seen::Sent) => format!("─ {line} ─{rest}▶"),
        (Side::Caller, Seen::Sent) | (Side::Company, Seen::Received) => format!("◀{rest}─ {line} ─"),
    }
}
