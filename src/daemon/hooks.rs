//! What signalling's outputs mean to the rest of the daemon. Runs on the signalling thread and never waits: the journal
//! queues, the media threads queue, metrics are atomics.

use std::sync::Arc;

use bytes::Bytes;

use super::sip_counters::SipCounters;
use crate::core::agent::Flow;
use crate::core::b2bua::{Refused, Settings};
use crate::core::decide::Ask;
use crate::core::event::{Body, CallData, Event};
use crate::core::media::{MediaCommand, MediaNotice};
use crate::core::probe::ProbeState;
use crate::core::registration::TrunkState;
use crate::demo::steps::Steps;
use crate::ids::{CallId, Side};
use crate::io::certificates::Certificates;
use crate::io::deciders::Deciders;
use crate::io::hep::HepSender;
use crate::io::http::{Demo, LiveCalls};
use crate::io::journal::Journal;
use crate::io::media::MediaEngine;
use crate::io::messages::Messages;
use crate::io::metrics::{Direction, Metrics};
use crate::io::recordings::Recordings;
use crate::io::signalling::{Hooks, Seen};
use crate::time::Now;

/// What the hooks hold.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) settings: Arc<Settings>,
    pub(super) journal: Journal,
    pub(super) live: Arc<LiveCalls>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) engine: Arc<MediaEngine>,
    pub(super) recordings: Arc<Recordings>,
    pub(super) messages: Arc<Messages>,
    pub(super) hep: Option<Arc<HepSender>>,
    pub(super) deciders: Deciders,
    pub(super) certificates: Certificates,
    pub(super) demo: Option<Arc<Demo>>,
}

#[derive(Debug)]
pub(super) struct DaemonHooks {
    parts: Parts,
    counters: SipCounters,
    steps: Option<Steps>,
}

impl DaemonHooks {
    pub(super) fn new(mut parts: Parts) -> DaemonHooks {
        let steps = parts.demo.take().map(Steps::new);
        let counters = SipCounters::new(Arc::clone(&parts.metrics));
        DaemonHooks { parts, counters, steps }
    }

    fn count(&self, event: &Event) {
        let metrics = &self.parts.metrics;
        match &event.body {
            Body::CallStarted(data) => metrics.call_started(data.attribution.kind, &data.trunk),
            Body::CallEnded(data) => {
                metrics.calls.of_trunk(&data.trunk).dec();
                if let Some(outcome) = data.outcome {
                    metrics.call_ended(outcome, data.ring_ms, data.talk_ms);
                }
                if let Some(decision) = data.route.as_ref().and_then(|route| route.decision.as_ref()) {
                    metrics.decided(decision.reason.as_deref().unwrap_or(&decision.verdict));
                }
            }
            Body::CallCrashed { .. } => {
                metrics.calls.crashed.inc();
            }
            Body::SiprecFailed(failed) => metrics.siprec_failed(failed.reason.as_deref().unwrap_or_default()),
            Body::FraudSuspected(fraud) => metrics.fraud_suspected(fraud.company.as_deref()),
            Body::RecordingSealed(sealed) => metrics.recording_sealed(sealed.recording.state),
            _ => {}
        }
    }

    /// The recording's sidecar is the `data` of `call.ended`; it names the recording by its path.
    fn write_sidecar(&self, data: &CallData) {
        if data.recording.as_ref().is_none_or(|recording| recording.path.is_none()) {
            return;
        }
        match serde_json::to_value(data) {
            Ok(value) => self.parts.recordings.sidecar(data.call_id, value, self.parts.messages.of(data.call_id)),
            Err(error) => tracing::error!(call = %data.call_id, %error, "no sidecar"),
        }
    }
}

impl Hooks for DaemonHooks {
    fn on_event(&mut self, event: Event) {
        self.count(&event);
        self.parts.live.on_event(&event);
        match &event.body {
            Body::CallStarted(data) => {
                tracing::info!(call = %data.call_id, number = ?data.number, attribution = %data.attribution.method, "call");
            }
            Body::RecordingResumed(data) => self.parts.messages.mask_keys(data.call_id, false),
            Body::CallEnded(data) => {
                self.parts.messages.mask_keys(data.call_id, false);
                self.write_sidecar(data);
                let outcome = data.outcome.map_or("", |outcome| outcome.as_str());
                let reason = data.reason.as_deref().unwrap_or("");
                tracing::info!(call = %data.call_id, outcome, reason, talk_ms = data.talk_ms, "call ended");
            }
            _ => {}
        }
        if let Some(steps) = &mut self.steps {
            steps.on_event(&event);
        }
        if !self.parts.journal.append(event) {
            tracing::error!("the journal is full: an event was dropped and counted");
        }
    }

    fn on_trunk(&mut self, state: TrunkState) {
        self.parts.metrics.trunk_registered(&state.trunk, state.registered);
        self.parts.live.on_trunk(state);
    }

    fn on_probe(&mut self, state: ProbeState) {
        self.parts.metrics.trunk_up(&state.trunk, state.is_up());
        self.parts.live.on_probe(state);
    }

    fn on_refused(&mut self, refused: Refused) {
        self.parts.metrics.call_refused(refused.code, refused.trunk.as_ref().map(|trunk| trunk.name.as_str()));
    }

    fn on_taken_over(&mut self, from: &str, to: &str) {
        self.parts.metrics.calls.of_trunk(from).dec();
        self.parts.metrics.calls.of_trunk(to).inc();
    }

    fn on_reload(&mut self, settings: &Arc<Settings>) {
        for bad in self.parts.deciders.apply(&settings.config) {
            tracing::error!(error = %bad, "this webhook is not asked");
        }
        self.counters.forget();
        self.parts.settings = Arc::clone(settings);
    }

    fn on_leg(&mut self, call: CallId, side: Side, sip_call_id: &str) {
        self.parts.messages.on_leg(call, side, sip_call_id);
    }

    fn on_message(&mut self, now: Now, seen: Seen, flow: &Flow, bytes: &Bytes) {
        let bytes = &self.parts.messages.shown(bytes);
        let call = self.parts.messages.on_message(now.wall, seen, flow, bytes);
        if let Some(hep) = &self.parts.hep {
            hep.send(now.wall, seen, flow, bytes, call);
        }
        let direction = match seen {
            Seen::Received => Direction::Received,
            Seen::Sent => Direction::Sent,
        };
        let trunk = self.parts.settings.directory.trunk_for(flow.remote.ip());
        self.counters.count(direction, bytes, trunk);
        if let Some(steps) = &mut self.steps {
            steps.on_message(now, seen, flow, bytes);
        }
    }

    fn on_fetch(&mut self, url: Box<str>) {
        self.parts.certificates.fetch(url);
    }

    fn on_decide(&mut self, ask: Ask) {
        self.parts.deciders.ask(ask);
    }

    fn on_media(&mut self, now: Now, call: CallId, command: MediaCommand) -> Option<MediaNotice> {
        match command {
            MediaCommand::Open(open) => Some(match self.parts.engine.open(call, &open, now) {
                Ok(local) => MediaNotice::Opened(local),
                Err(code) => MediaNotice::Refused(code),
            }),
            command => {
                // Masked from the order on, and for as long as anything may still be on its way.
                if let MediaCommand::Pause(true) = command {
                    self.parts.messages.mask_keys(call, true);
                }
                self.parts.engine.command(call, command);
                None
            }
        }
    }
}
