//! The demo's door: the company page asks for a call, and watches it step by step. Only there when `leaseline demo` runs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::ids::E164;
use crate::time::Wall;

/// Steps kept for a page that opens the stream late: more than one call has.
const STEPS_KEPT: usize = 64;

/// One step of the demo call, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemoStep {
    pub at: Wall,
    /// `dial`, `invite`, `trying`, `lookup`, `forward`, `ringing`, `answered`, `ack`, `talking`, `bye`, `recording`,
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
}

impl std::fmt::Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo").finish_non_exhaustive()
    }
}

impl Demo {
    /// `dial` starts a call from the demo's caller to a number and returns at once; `Err` is shown to the visitor.
    pub fn new(dial: impl Fn(E164) -> Result<(), String> + Send + Sync + 'static) -> Demo {
        Demo { dial: Box::new(dial), steps: broadcast::channel(STEPS_KEPT).0, kept: Mutex::default() }
    }

    pub fn call(&self, number: E164) -> Result<(), String> {
        (self.dial)(number)
    }

    /// Shows one step. `dial` starts a new ladder.
    pub fn step(&self, step: DemoStep) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
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
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.iter().cloned().collect(), self.steps.subscribe())
    }
}
