//! A call as steps for people: what the demo page and the demo's terminal show while it happens.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::core::agent::Flow;
use crate::core::attribution::source_line;
use crate::core::event::{AttributionKind, Body, CallData, Event};
use crate::io::http::{Demo, DemoStep};
use crate::io::signalling::Seen;
use crate::time::Now;
use crate::wire::sip::Message;

/// Turns messages and events into steps.
#[derive(Debug)]
pub struct Steps {
    demo: Arc<Demo>,
    /// Call-IDs of INVITEs that came in, the newest last: what is not theirs is the company's leg.
    callers: VecDeque<String>,
}

/// Callers remembered; the demo has one or two at a time.
const CALLERS: usize = 64;

const PHONE: &str = "phone";
const US: &str = "leaseline";
const COMPANY: &str = "company";

impl Steps {
    pub fn new(demo: Arc<Demo>) -> Steps {
        Steps { demo, callers: VecDeque::new() }
    }

    /// Every message, as it came or went. Copies of a message that the network repeated are shown too: they happened.
    pub fn on_message(&mut self, now: Now, seen: Seen, _flow: &Flow, bytes: &Bytes) {
        let Ok(message) = Message::parse(bytes.clone()) else { return };
        let Ok(cseq) = message.cseq() else { return };
        let Ok(call_id) = message.call_id() else { return };
        if seen == Seen::Received && message.is_request() && cseq.method == "INVITE" && cseq.number == 1 {
            self.remember(call_id);
        }
        let company = !self.callers.iter().any(|caller| caller == call_id);
        let other = if company { COMPANY } else { PHONE };
        let (from, to) = if seen == Seen::Sent { (US, other) } else { (other, US) };
        let (step, text) = if message.is_request() {
            let step = match (cseq.method, company) {
                ("INVITE", false) => "invite",
                ("INVITE", true) => "forward",
                ("ACK", _) => "ack",
                ("BYE", _) => "bye",
                ("CANCEL", _) => "cancel",
                _ => "request",
            };
            (step, format!("{} {}", message.method_token(), message.request_uri()))
        } else {
            let step = match (message.status(), cseq.method) {
                (100, _) => "trying",
                (101..=199, _) => "ringing",
                (200..=299, "INVITE") => "answered",
                (200..=299, _) => "ok",
                _ => "refused",
            };
            (step, format!("{} {} ({})", message.status(), message.reason(), cseq.method))
        };
        self.show(now, step, from, to, text, None);
    }

    fn remember(&mut self, call_id: &str) {
        if self.callers.iter().any(|caller| caller == call_id) {
            return;
        }
        if self.callers.len() >= CALLERS {
            self.callers.pop_front();
        }
        self.callers.push_back(call_id.to_owned());
    }

    pub fn on_event(&mut self, event: &Event) {
        let now = Now { wall: event.time, ..Now::default() };
        match &event.body {
            Body::CallStarted(data) => self.show(now, "lookup", US, "", looked_up(data), None),
            Body::CallAnswered(data) if data.answered_at.is_some() => {
                self.show(now, "talking", US, "", "connected: audio is relayed and recorded".to_owned(), None);
            }
            Body::RecordingSealed(sealed) => {
                let path = sealed.recording.path.as_deref().unwrap_or("no file");
                let text = format!("recording sealed: {path}");
                self.show(now, "recording", US, "", text, None);
            }
            Body::CallEnded(data) => {
                let whole =
                    json!({ "type": event.body.kind(), "time": event.time, "subject": event.subject, "data": data });
                self.show(now, "event", US, "", event.body.kind().to_owned(), Some(whole));
            }
            _ => {}
        }
    }

    fn show(&self, now: Now, step: &str, from: &str, to: &str, text: String, data: Option<serde_json::Value>) {
        let step =
            DemoStep { at: now.wall, step: step.to_owned(), from: from.to_owned(), to: to.to_owned(), text, data };
        self.demo.step(step);
    }
}

fn looked_up(data: &CallData) -> String {
    let attribution = &data.attribution;
    let source = source_line(attribution, "{source} · {campaign} · {term}").unwrap_or_else(|| "unknown".to_owned());
    let who = match attribution.kind {
        AttributionKind::Visitor => attribution.visitor_id.as_deref().map_or("visitor", |_| "its visitor"),
        AttributionKind::Static => "its channel",
        AttributionKind::None => "nobody",
    };
    format!("{} belongs to {who}: {source}, {:.0} % sure", data.number, attribution.confidence * 100.0)
}
