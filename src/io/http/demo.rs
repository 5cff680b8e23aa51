//! The demo's door: the company page asks for a call, and watches it step by step. Only there when `leaseline demo` runs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::ids::E164;
use crate::time::Wall;

/// Steps kept for a page that opens the stream late: more than one call has.
const STEPS_KEPT: usize = 64;
/// A call that shows no end within this time no longer keeps the caller busy.
const CALL_MAX: Duration = Duration::from_secs(60);

/// One step of the demo call, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemoStep {
    pub at: Wall,
    /// `dial` (its text has the number), `invite`, `trying`, `lookup`, `forward`, `ringing`, `answered`, `ack`, `talking`, `bye`, `recording`,
    /// `event`, `failed`; others are shown as they are.
    pub step: String,
    /// `phone`, `leaseline`, `company`: who did it, and whom it reached.
    pub from: String,
    pub to: String,
    /// One line: `INVITE sip:+442079460007@…`.
    pub text: String,
    /// With `event`: the whole `call.ended` event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<Value>,
}

/// What the demo page needs.
pub struct Demo {
    dial: Box<dyn Fn(E164) -> Result<(), String> + Send + Sync>,
    steps: broadcast::Sender<DemoStep>,
    kept: Mutex<VecDeque<DemoStep>>,
    /// Since when the caller is on the phone: from `dial` to `event` or `failed`. One call at a time, one ladder.
    busy: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo").finish_non_exhaustive()
    }
}

impl Demo {
    /// `dial` starts a call from the demo's caller to a number and returns at once; `Err` is shown to the visitor.
    pub fn new(dial: impl Fn(E164) -> Result<(), String> + Send + Sync + 'static) -> Demo {
        Demo {
            dial: Box::new(dial),
            steps: broadcast::channel(STEPS_KEPT).0,
            kept: Mutex::default(),
            busy: Mutex::default(),
        }
    }

    /// Places a call, unless the caller is on the phone already.
    pub fn call(&self, number: E164) -> Result<(), String> {
        {
            let mut busy = lock(&self.busy);
            if busy.is_some_and(|since| since.elapsed() < CALL_MAX) {
                return Err("The demo's caller is on the phone already.".to_owned());
            }
            *busy = Some(Instant::now());
        }
        // Without the lock: dialling shows steps.
        (self.dial)(number).inspect_err(|_| *lock(&self.busy) = None)
    }

    /// Shows one step. `dial` starts a new ladder.
    pub fn step(&self, step: DemoStep) {
        match step.step.as_str() {
            "dial" => *lock(&self.busy) = Some(Instant::now()),
            "event" | "failed" => *lock(&self.busy) = None,
            _ => {}
        }
        let mut kept = lock(&self.kept);
        if step.step == "dial" {
            kept.clear();
        }
        if kept.len() >= STEPS_KEPT {
            kept.pop_front();
        }
        kept.push_back(step.clone());
        // Nobody watching is no error.
        let _ = self.steps.send(step);
    }

    /// The steps so far and those to come, without a hole between them.
    pub fn watch(&self) -> (Vec<DemoStep>, broadcast::Receiver<DemoStep>) {
        let kept = lock(&self.kept);
        (kept.iter().cloned().collect(), self.steps.subscribe())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
