//! What HTTP knows of calls in progress and of the daemon's readiness. Filled from the event stream: signalling owns the
//! calls, and is asked for nothing but to hang one up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::core::event::{Attribution, Body, CallData, Event};
use crate::core::probe::ProbeState;
use crate::core::registration::TrunkState;
use crate::ids::{CallId, E164};
use crate::time::Wall;

/// One call in progress.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveCall {
    pub call_id: CallId,
    pub company: String,
    pub pool: String,
    pub number: E164,
    pub caller: Option<String>,
    pub trunk: String,
    /// Somebody else carries it: as in the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Cow<'static, str>>,
    pub state: LiveState,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
    /// Its recording pauses.
    pub recording_paused: bool,
    pub forwarded_to: Option<String>,
    pub attribution: Attribution,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveState {
    /// Before the answer.
    Calling,
    Talking,
}

/// Calls in progress, from `call.started` to `call.ended`.
pub struct LiveCalls {
    calls: Mutex<BTreeMap<CallId, LiveCall>>,
    /// Registrations by the name of their trunk.
    trunks: Mutex<BTreeMap<String, TrunkState>>,
    /// Probes by the name of their trunk.
    probes: Mutex<BTreeMap<String, ProbeState>>,
    hangup: Box<dyn Fn(CallId) -> bool + Send + Sync>,
}

impl std::fmt::Debug for LiveCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCalls").finish_non_exhaustive()
    }
}

impl LiveCalls {
    /// `hangup` tells signalling to end a call; `false` when the command could not be queued.
    pub fn new(hangup: impl Fn(CallId) -> bool + Send + Sync + 'static) -> LiveCalls {
        LiveCalls {
            calls: Mutex::default(),
            trunks: Mutex::default(),
            probes: Mutex::default(),
            hangup: Box::new(hangup),
        }
    }

    /// Every event passes here, in order. Bounded by the number of calls that signalling admits.
    pub fn on_event(&self, event: &Event) {
        match &event.body {
            Body::CallStarted(data) => self.put(data, LiveState::Calling),
            Body::CallAnswered(data) => self.put(data, LiveState::Talking),
            Body::RecordingPaused(data) => self.pause(data.call_id, true),
            Body::RecordingResumed(data) => self.pause(data.call_id, false),
            Body::CallEnded(data) => self.remove(data.call_id),
            Body::CallCrashed { call_id, .. } => self.remove(*call_id),
            _ => {}
        }
    }

    /// A registration has changed. Bounded by the number of trunks that a configuration may have.
    pub fn on_trunk(&self, state: TrunkState) {
        let mut trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
        if state.state == "gone" {
            trunks.remove(&state.trunk);
        } else {
            trunks.insert(state.trunk.clone(), state);
        }
    }

    /// How the registration of this trunk stands; `None` when it has none.
    pub fn trunk(&self, name: &str) -> Option<TrunkState> {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A trunk was asked. Bounded as the registrations are.
    pub fn on_probe(&self, state: ProbeState) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if state.state == "gone" {
            probes.remove(&state.trunk);
        } else {
            probes.insert(state.trunk.clone(), state);
        }
    }

    /// What was found out about this trunk; `None` before the first answer, and when it is not asked.
    pub fn probe(&self, name: &str) -> Option<ProbeState> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Oldest first.
    pub fn list(&self) -> Vec<LiveCall> {
        self.lock().values().cloned().collect()
    }

    /// Whether there was such a call and signalling took the order. It ends a moment later, with its event.
    pub fn hangup(&self, call: CallId) -> bool {
        let known = self.lock().contains_key(&call);
        known && (self.hangup)(call)
    }

    /// Whether a PBX of somebody else's carries this call: we cannot end it.
    pub fn is_told(&self, call: CallId) -> bool {
        self.lock().get(&call).and_then(|call| call.via.as_deref()).is_some_and(|via| via != "siprec")
    }

    /// Whose call it is, while it is in progress.
    pub fn company(&self, call: CallId) -> Option<String> {
        self.lock().get(&call).map(|call| call.company.clone())
    }

    /// Whether the call is in progress.
    pub fn has(&self, call: CallId) -> bool {
        self.lock().contains_key(&call)
    }

    fn put(&self, data: &CallData, state: LiveState) {
        let call = LiveCall {
            call_id: data.call_id,
            company: data.company.clone(),
            pool: data.pool.clone(),
            number: data.number.clone(),
            caller: data.caller.clone(),
            trunk: data.trunk.clone(),
            via: data.via.clone(),
            state,
            started_at: data.started_at,
            answered_at: data.answered_at,
            recording_paused: false,
            forwarded_to: data.forwarded_to.clone(),
            attribution: data.attribution.clone(),
        };
        self.lock().insert(data.call_id, call);
    }

    fn pause(&self, call: CallId, paused: bool) {
        if let Some(call) = self.lock().get_mut(&call) {
            call.recording_paused = paused;
        }
    }

    fn remove(&self, call: CallId) {
        self.lock().remove(&call);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CallId, LiveCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the daemon takes calls.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The SIP listeners are not open yet.
    Starting,
    Ready,
    /// New calls are answered 503.
    Draining,
}

impl Readiness {
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}
