//! What a crash left behind: calls without an end, and who held which number.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use crate::config::Config;
use crate::core::b2bua::{B2bua, Input};
use crate::core::event::{Body, CallData, Event, RecordingData, RecordingSummary};
use crate::core::pool::Record;
use crate::ids::{CallId, LeaseId};
use crate::io::clock;
use crate::io::http::LiveCalls;
use crate::io::journal::{Journal, Unfinished, lost_in_crash};
use crate::io::metrics::Metrics;
use crate::io::recordings::{self, Recovered};
use crate::limits;
use crate::time::Wall;

/// The newest word on each lease, in order of first appearance: what the allocator is rebuilt from. Memory is bounded
/// by the leases that the allocator itself would hold.
#[derive(Debug, Default)]
pub(super) struct Leases {
    newest: HashMap<LeaseId, (u64, Record)>,
    count: u64,
}

impl Leases {
    pub(super) fn observe(&mut self, body: &Body) {
        if let Some(record) = Record::from_body(body) {
            self.count += 1;
            self.newest.insert(record.lease.lease_id, (self.count, record));
        }
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        let mut records: Vec<(u64, Record)> = self.newest.into_values().collect();
        records.sort_unstable_by_key(|(order, _)| *order);
        records.into_iter().map(|(_, record)| record).collect()
    }
}

/// Who answered whom, oldest first: what rules for known callers ask. Kept for companies that have such rules, and as
/// much of it as signalling keeps.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    companies: HashSet<String>,
    answered: VecDeque<(String, String, String)>,
}

impl Spoken {
    pub(super) fn new(config: &Config) -> Spoken {
        let asking = config.companies.iter().filter(|company| company.asks_for_known());
        Spoken { companies: asking.map(|company| company.name.clone()).collect(), answered: VecDeque::new() }
    }

    pub(super) fn observe(&mut self, body: Body) {
        let Body::CallEnded(call) = body else { return };
        let CallData { company, caller: Some(caller), route: Some(route), answered_at: Some(_), .. } = *call else {
            return;
        };
        if !self.companies.contains(&company) {
            return;
        }
        let winner = route.attempts.into_iter().rev().find(|attempt| attempt.status == 200);
        if let Some(winner) = winner {
            if self.answered.len() >= limits::CALLERS_REMEMBERED {
                self.answered.pop_front();
            }
            self.answered.push_back((company, caller, winner.destination));
        }
    }

    pub(super) fn into_inputs(self) -> impl Iterator<Item = Input> {
        let input = |(company, caller, destination)| Input::Remember { company, caller, destination };
        self.answered.into_iter().map(input)
    }
}

/// Calls that PBXs carry and that the last run was told of: they went on without us, or ended.
#[derive(Debug, Default)]
pub(super) struct Told {
    calls: Vec<CallData>,
    /// The last moment of which the last run knew.
    last_seen: Wall,
}

impl Told {
    /// They are calls in progress again, until their PBXs say otherwise.
    pub(super) fn go_on(self, b2bua: &mut B2bua, live: &LiveCalls, metrics: &Metrics) {
        for call in self.calls {
            let (trunk, subject) = (call.trunk.clone(), call.call_id.to_string());
            let known = Box::new(call.clone());
            let body = if call.answered_at.is_some() { Body::CallAnswered(known) } else { Body::CallStarted(known) };
            if b2bua.restore_told(clock::now(), call, self.last_seen).is_some() {
                live.on_event(&Event { time: self.last_seen, subject, body });
                metrics.calls.active.inc();
                metrics.calls.of_trunk(&trunk).inc();
            }
        }
    }
}

/// Gives every call of the last run that has none its `recording.sealed` and its `call.ended`; but not those that PBXs
/// carry.
pub(super) fn finish_calls(
    journal: &Journal,
    data_dir: &Path,
    config: &Config,
    unfinished: Unfinished,
    repaired: Vec<Recovered>,
) -> Told {
    let mut repaired: HashMap<CallId, RecordingSummary> = repaired
        .into_iter()
        .map(|recovered| {
            tracing::warn!(call = %recovered.call, state = ?recovered.summary.state, file = %recovered.file.display(),
                "a recording that a crash had left unfinished was repaired");
            // What could not be made whole is told by its `recording.sealed` only.
            if recovered.summary.path.is_some() {
                let data = RecordingData { call_id: recovered.call, recording: recovered.summary.clone() };
                let (time, subject) = (clock::wall(), recovered.call.to_string());
                journal.append(Event { time, subject, body: Body::RecordingRecovered(data) });
            }
            (recovered.call, recovered.summary)
        })
        .collect();
    let (calls, last_seen) = unfinished.finish();
    let is_told = |call: &CallData| call.pbx_call_id.is_some() && config.ears.iter().any(|ear| ear.name == call.trunk);
    let (told, calls): (Vec<CallData>, Vec<CallData>) = calls.into_iter().partition(is_told);
    for mut call in calls {
        let now = clock::wall();
        let told = call.recording.is_some();
        let found = repaired.remove(&call.call_id);
        if call.recording.is_none() && call.answered_at.is_some() {
            call.recording = found.or_else(|| recordings::find(data_dir, call.call_id));
        }
        if let Some(recording) = call.recording.clone().filter(|_| !told) {
            let sealed = RecordingData { call_id: call.call_id, recording };
            let subject = call.call_id.to_string();
            let event = Event { time: now, subject, body: Body::RecordingSealed(sealed) };
            journal.append(event);
        }
        let event = lost_in_crash(call, last_seen, now);
        if let Body::CallEnded(data) = &event.body {
            tracing::warn!(call = %data.call_id, "the last run ended in the middle of this call");
            write_sidecar(data_dir, data);
        }
        journal.append(event);
    }
    Told { calls: told, last_seen }
}

fn write_sidecar(data_dir: &Path, data: &CallData) {
    let written = serde_json::to_value(data)
        .map_err(std::io::Error::other)
        .and_then(|value| recordings::write_sidecar(data_dir, data.call_id, &value));
    if let Err(error) = written {
        tracing::error!(call = %data.call_id, %error, "no sidecar");
    }
}
