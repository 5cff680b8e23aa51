//! Who waits to hear that a recording has paused, or goes on.

use tokio::sync::oneshot;

use super::Signalling;
use crate::core::b2bua::Input;
use crate::core::call::record::Stage;
use crate::core::event::Body;
use crate::ids::CallId;

type Answer = oneshot::Sender<Result<(), &'static str>>;

/// Orders that the media threads have not carried out yet. Each is a request of the API, whose number is bounded.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    waiting: Vec<(CallId, bool, Answer)>,
}

impl Pauses {
    pub(super) fn on_event(&mut self, body: &Body) {
        if self.waiting.is_empty() {
            return;
        }
        let (call, said) = match body {
            Body::RecordingPaused(data) => (data.call_id, Some(true)),
            Body::RecordingResumed(data) => (data.call_id, Some(false)),
            Body::CallEnded(data) => (data.call_id, None),
            _ => return,
        };
        let is_told = |one: &mut (CallId, bool, Answer)| one.0 == call && said.is_none_or(|said| said == one.1);
        for (_, _, answer) in self.waiting.extract_if(.., is_told) {
            // Whoever asked may have gone.
            let _ = answer.send(said.map(drop).ok_or("call_ended"));
        }
    }
}

impl Signalling {
    pub(super) fn pause(&mut self, call: CallId, pause: bool, answer: Answer) {
        let refused = match self.b2bua.recording(call) {
            None => Err("unknown_call"),
            Some(Stage::Off) => Err("not_recorded"),
            Some(Stage::Awaited) => Err("not_answered"),
            Some(Stage::Paused) if pause => Ok(()),
            Some(Stage::Running) if !pause => Ok(()),
            Some(Stage::Running | Stage::Paused | Stage::Changing) => {
                self.pauses.waiting.push((call, pause, answer));
                return self.handle(Input::Pause(call, pause));
            }
        };
        let _ = answer.send(refused);
    }

    pub(super) fn do_not_record(&mut self, call: CallId, answer: Answer) {
        let done = match self.b2bua.recording(call) {
            None => Err("unknown_call"),
            Some(Stage::Running | Stage::Paused | Stage::Changing) => Err("recording_started"),
            Some(Stage::Off) => Ok(()),
            Some(Stage::Awaited) => {
                self.handle(Input::DoNotRecord(call));
                Ok(())
            }
        };
        let _ = answer.send(done);
    }
}
