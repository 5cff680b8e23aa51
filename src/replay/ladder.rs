//! The ladder of a replayed call, for people and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::captured::{Call, Speaker, audio};
use super::stage::Performed;
use crate::core::event::{Body, CallData, LegMedia};
use crate::ids::Side;
use crate::wire::pcap::Carrier;
use crate::wire::sdp::Direction;
use crate::wire::sip::Message;

/// One thing that happened.
#[derive(Debug)]
pub(super) struct Step {
    /// Since the call's first packet.
    pub(super) at: Duration,
    pub(super) kind: StepKind,
}

#[derive(Debug)]
pub(super) enum StepKind {
    Message {
        speaker: Speaker,
        to_us: bool,
        message: Message,
    },
    FirstPacket(Side),
    /// Kind, and the outcome of a call that ended.
    Event(&'static str, Option<&'static str>),
    /// Stable code.
    Refused(&'static str),
}

/// The whole call as text.
pub(super) fn text(number: usize, call: &Call, stands_for: Option<&str>, performed: &Performed) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_head(&mut out, number, call, stands_for);
    for step in &performed.steps {
        let _ = write_step(&mut out, step, call.attempts.len());
    }
    if performed.steps_left_out > 0 {
        let _ = writeln!(out, "            … and {} lines more", performed.steps_left_out);
    }
    if let Some(data) = ended(performed) {
        let _ = write_result(&mut out, data);
    }
    for line in &performed.diverged {
        let _ = writeln!(out, "  apart      {line}");
    }
    if performed.diverged_left_out > 0 {
        let _ = writeln!(out, "  apart      … and {} times more", performed.diverged_left_out);
    }
    out
}

/// The same as JSON.
pub(super) fn value(call: &Call, stands_for: Option<&str>, performed: &Performed) -> Value {
    let attempts = call.attempts.len();
    let steps: Vec<Value> = performed.steps.iter().map(|step| step_value(step, attempts)).collect();
    json!({
        "caller": call.caller.address,
        "us": call.us,
        "company": call.attempts.iter().map(|party| party.address).collect::<Vec<_>>(),
        "direct": call.is_direct,
        "dialled": call.dialled,
        "replayed_as": stands_for,
        "steps": steps,
        "steps_left_out": performed.steps_left_out,
        "apart": performed.diverged,
        "ended": ended(performed),
    })
}

/// `data` of `call.ended`.
pub(super) fn ended(performed: &Performed) -> Option<&CallData> {
    performed.events.iter().find_map(|event| match &event.body {
        Body::CallEnded(data) => Some(&**data),
        _ => None,
    })
}

/// Start line of a message, a request's without the version.
pub(super) fn first_line(message: &Message) -> String {
    if message.is_request() {
        return format!("{} {}", message.method_token(), message.request_uri());
    }
    let method = message.cseq().map(|cseq| cseq.method.to_owned()).unwrap_or_default();
    format!("{} {} ({method})", message.status(), message.reason())
}

/// `  12.345`.
pub(super) fn seconds(nanos: u64) -> String {
    format!("{:.3}", Duration::from_nanos(nanos).as_secs_f64())
}

/// `company` when there is only one destination, else with its number.
pub(super) fn name(speaker: Speaker, attempts: usize) -> String {
    match speaker {
        Speaker::Caller => "caller".to_owned(),
        Speaker::Company(_) if attempts == 1 => "company".to_owned(),
        Speaker::Company(index) => format!("company {}", index + 1),
    }
}

fn write_head(out: &mut String, number: usize, call: &Call, stands_for: Option<&str>) -> std::fmt::Result {
    let carrier = |carrier| match carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
    };
    let start = crate::time::Wall(i64::try_from(call.span().0 / 1_000).unwrap_or(i64::MAX));
    writeln!(out, "call {number}: {} is dialled, {start}", call.dialled.escape_debug())?;
    if let Some(number) = stands_for {
        writeln!(out, "  which is no number; {number} stands for it")?;
    }
    writeln!(out, "  caller     {} {}", call.caller.address, carrier(call.caller.carrier))?;
    match call.is_direct {
        true => writeln!(out, "  us         in the middle of a call that went straight to the company")?,
        false => writeln!(out, "  us         {} in the capture", call.us)?,
    }
    for (index, party) in call.attempts.iter().enumerate() {
        let name = name(Speaker::Company(index), call.attempts.len());
        writeln!(out, "  {name:<10} {} {}", party.address, carrier(party.carrier))?;
    }
    writeln!(out)
}

fn write_step(out: &mut String, step: &Step, attempts: usize) -> std::fmt::Result {
    let at = step.at.as_secs_f64();
    match &step.kind {
        StepKind::Message { speaker, to_us, message } => {
            let what = describe(message);
            match (speaker, to_us) {
                (Speaker::Caller, true) => writeln!(out, "{at:9.3}  caller ──▶ us                 {what}"),
                (Speaker::Caller, false) => writeln!(out, "{at:9.3}  caller ◀── us                 {what}"),
                (company, true) => {
                    writeln!(out, "{at:9.3}             us ◀── {:<10}  {what}", name(*company, attempts))
                }
                (company, false) => {
                    writeln!(out, "{at:9.3}             us ──▶ {:<10}  {what}", name(*company, attempts))
                }
            }
        }
        StepKind::FirstPacket(Side::Caller) => writeln!(out, "{at:9.3}  caller ══▶ us                 RTP"),
        StepKind::FirstPacket(Side::Company) => writeln!(out, "{at:9.3}             us ◀══ company     RTP"),
        StepKind::Event(kind, None) => writeln!(out, "{at:9.3}             ●  {kind}"),
        StepKind::Event(kind, Some(outcome)) => writeln!(out, "{at:9.3}             ●  {kind}: {outcome}"),
        StepKind::Refused(code) => writeln!(out, "{at:9.3}             ●  refused: {code}"),
    }
}

fn describe(message: &Message) -> String {
    // The peer's text goes to a terminal.
    let mut line = first_line(message).escape_debug().to_string();
    if let Some(sdp) = describe_sdp(message) {
        let _ = write!(line, "  [{sdp}]");
    }
    line
}

fn describe_sdp(message: &Message) -> Option<String> {
    let audio = audio(message)?;
    let formats: Vec<&str> = audio.formats.iter().map(|format| format.name.as_str()).collect();
    let direction = match audio.direction {
        Direction::SendRecv => "",
        Direction::SendOnly => " sendonly",
        Direction::RecvOnly => " recvonly",
        Direction::Inactive => " inactive",
    };
    Some(format!("{} {}{direction}", audio.rtp, formats.join(",")).escape_debug().to_string())
}

fn write_result(out: &mut String, data: &CallData) -> std::fmt::Result {
    writeln!(out)?;
    if let Some(media) = &data.media {
        writeln!(out, "  codec      {}", media.codec.as_deref().unwrap_or("none"))?;
        for (name, leg) in [("caller", &media.caller), ("company", &media.company)] {
            writeln!(out, "  {name:<10} {}", figures(leg))?;
        }
    }
    if let Some(recording) = data.recording.as_ref().filter(|recording| recording.path.is_some()) {
        let path = recording.path.as_deref().unwrap_or_default();
        writeln!(out, "  recording  {path}, {} ms", recording.duration_ms)?;
        writeln!(out, "             sha256 {}", recording.sha256.as_deref().unwrap_or("unknown"))?;
        for gap in &recording.gaps {
            let channel = match gap.channel {
                Side::Caller => "caller",
                Side::Company => "company",
            };
            writeln!(out, "             {channel} silent at {} ms for {} ms: {}", gap.at_ms, gap.for_ms, gap.cause)?;
        }
    }
    let outcome = data.outcome.map_or("unknown", crate::core::event::Outcome::as_str);
    let (reason, status) = (data.reason.as_deref().unwrap_or("unknown"), data.sip_status.unwrap_or(0));
    let (ring, talk) = (data.ring_ms, data.talk_ms);
    writeln!(out, "  result     {outcome} ({reason}, {status}), rang {ring} ms, talked {talk} ms")
}

fn figures(leg: &LegMedia) -> String {
    let mut text = format!(
        "received {}, relayed {}, lost {}, jitter {:.1} ms, RTCP {}",
        leg.received, leg.relayed, leg.lost, leg.jitter_ms, leg.rtcp
    );
    if let Some(mos) = leg.mos {
        let _ = write!(text, ", MOS {mos:.2}");
    }
    for (reason, count) in &leg.refused {
        let _ = write!(text, ", {reason} {count}");
    }
    text
}

fn step_value(step: &Step, attempts: usize) -> Value {
    let at_ms = step.at.as_micros() as f64 / 1_000.0;
    match &step.kind {
        StepKind::Message { speaker, to_us, message } => {
            let peer = name(*speaker, attempts);
            let (from, to) = if *to_us { (peer, "us".to_owned()) } else { ("us".to_owned(), peer) };
            json!({ "at_ms": at_ms, "from": from, "to": to, "sip": first_line(message), "sdp": describe_sdp(message) })
        }
        StepKind::FirstPacket(side) => json!({ "at_ms": at_ms, "from": side, "to": "us", "rtp": "first packet" }),
        StepKind::Event(kind, outcome) => json!({ "at_ms": at_ms, "event": kind, "outcome": outcome }),
        StepKind::Refused(code) => json!({ "at_ms": at_ms, "refused": code }),
    }
}
