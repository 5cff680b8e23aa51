//! The SIP ladder of a call as its sidecar has it: which message, of which leg, in which direction, when. No number and no
//! address: whoever may not see the rest of the sidecar learns nothing here, and the API has the whole texts
//! (`GET /v1/calls/{id}/ladder`).

use serde_json::{Value, json};

use crate::ids::Side;
use crate::io::messages::{Kept, Message};
use crate::io::signalling::Seen;
use crate::limits;
use crate::wire::sip;

/// `{messages, left_out}`; at most [`limits::SIDECAR_MESSAGES`] of them.
pub(super) fn value(kept: &Kept) -> Value {
    let messages: Vec<Value> = kept.messages.iter().take(limits::SIDECAR_MESSAGES).map(step).collect();
    let left_out = kept.left_out + (kept.messages.len() - messages.len()) as u64;
    json!({ "messages": messages, "left_out": left_out })
}

fn step(message: &Message) -> Value {
    let leg = if message.side == Side::Caller { "caller" } else { "company" };
    let direction = if message.seen == Seen::Received { "received" } else { "sent" };
    let mut step = json!({ "at": message.at, "leg": leg, "direction": direction });
    let Ok(read) = sip::Message::parse(message.bytes.clone()) else { return step };
    let (method, status) = if read.is_request() {
        (Some(read.method_token().to_owned()), None)
    } else {
        (read.cseq().ok().map(|cseq| cseq.method.to_owned()), Some(read.status()))
    };
    if let Some(method) = method {
        step["method"] = method.into();
    }
    if let Some(status) = status {
        step["status"] = status.into();
    }
    step
}
