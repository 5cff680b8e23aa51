//! A captured call through the same machines as a live one: SIP through [`B2bua`](crate::core::b2bua::B2bua), RTP
//! through the relay's verdicts, the recorder and the seal. Time is the capture's and everything that a machine draws
//! comes from a fixed seed, so the same capture gives the same bytes.
//!
//! What the captured parties said is heard at the time they said it; what the captured program in the middle said is
//! not, because our machine says its own. Where the two go apart, the ladder says so.

mod captured;
mod files;
mod ladder;
mod setting;
mod stage;
mod translate;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::core::event::{CallData, Event, cloud};
use crate::ids::EventId;
use crate::io::recordings::sidecar_text;
use crate::wire::pcap::{Capture, NotACapture};
use captured::{Call, What};
use setting::Setting;
use stage::Performed;

/// The calls of a capture, ready to be replayed one by one: what comes of each may be large.
#[derive(Debug)]
pub struct Replay {
    calls: Vec<Call>,
    left_out: Vec<String>,
}

/// What came of one call. Names are relative to one folder.
#[derive(Debug)]
pub struct Replayed {
    /// For people.
    pub ladder: String,
    /// For programs.
    pub value: Value,
    /// CloudEvents, one a line.
    pub events: Vec<String>,
    /// `data` of `call.ended`; `None` when the INVITE was refused at the door.
    pub ended: Option<CallData>,
    /// Recording and sidecar: name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Replay {
    /// # Errors
    /// The file is no capture. A capture without a call is a replay without calls.
    pub fn read(bytes: &[u8]) -> Result<Replay, NotACapture> {
        let capture = Capture::read(bytes)?;
        let (calls, calls_left_out) = captured::calls(&capture);
        Ok(Replay { calls, left_out: left_out(&capture, calls_left_out) })
    }

    /// How many calls there are.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Sentences about what of the capture was not used.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Replays the calls in order.
    pub fn run(&self) -> impl Iterator<Item = Replayed> {
        self.calls.iter().enumerate().map(|(index, call)| replay(index, call))
    }
}

fn replay(index: usize, call: &Call) -> Replayed {
    let invite = call.lines.iter().find_map(|line| match &line.what {
        What::Sip(message) if message.is_request() => Some(message),
        _ => None,
    });
    let setting = match invite {
        Some(invite) => Setting::new(call, invite),
        None => Err("no INVITE of the caller".to_owned()),
    };
    let (stands_for, performed) = match setting {
        Ok(setting) => (setting.stands_for, stage::perform(call, &setting, seed(index))),
        Err(why) => (None, Performed { diverged: vec![format!("cannot be replayed: {why}")], ..Performed::default() }),
    };
    let ended = ladder::ended(&performed).cloned();
    Replayed {
        ladder: ladder::text(index + 1, call, stands_for, &performed),
        value: ladder::value(call, stands_for, &performed),
        events: performed.events.iter().enumerate().map(|(place, event)| event_line(index, place, event)).collect(),
        files: files(performed, ended.as_ref()),
        ended,
    }
}

fn files(performed: Performed, ended: Option<&CallData>) -> Vec<(String, Vec<u8>)> {
    let (Some((name, wav)), Some(data)) = (performed.wav, ended) else { return Vec::new() };
    let sidecar = serde_json::to_value(data).ok().and_then(|data| sidecar_text(&data, performed.stats).ok());
    let mut files = vec![(name, wav)];
    files.extend(sidecar.map(|text| (format!("{}.json", data.call_id), text)));
    files
}

/// Every call has its own, so that two calls of one instant differ.
fn seed(index: usize) -> [u8; 32] {
    Sha256::digest(format!("leaseline replay, call {index}")).into()
}

/// Drawn by nobody: the event's place in the replay names it.
fn event_line(call: usize, place: usize, event: &Event) -> String {
    let digest: [u8; 32] =
        Sha256::digest(format!("{} {call} {place} {} {}", event.time, event.body.kind(), event.subject)).into();
    let id = digest.iter().take(16).fold(0_u128, |id, byte| id << 8 | u128::from(*byte));
    cloud::to_json(event, EventId(id), "leaseline/replay")
}

fn left_out(capture: &Capture, calls: usize) -> Vec<String> {
    let counts = capture.left_out;
    let mut sentences = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            sentences.push(format!("{count} {what}"));
        }
    };
    say(counts.unreadable, "packets could not be read");
    say(counts.fragments, "fragments of IP datagrams are not put together");
    say(counts.segments, "TCP segments are no SIP, or behind a hole");
    say(u64::try_from(calls).unwrap_or(u64::MAX), "calls more are in the capture");
    if capture.cut_short {
        sentences.push("the file ends in the middle of a packet, or is damaged there".to_owned());
    }
    sentences
}

#[cfg(test)]
mod tests;
