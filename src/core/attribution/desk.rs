//! Who decides: the model, what earlier calls taught, and where telephone numbers are from.

use std::sync::Arc;

use super::weigh::weigh;
use super::{Answer, CallMemory, Lesson, Model, Observer, Question, caller_key, decide};
use crate::core::lease::LeaseTable;
use crate::time::Wall;

/// One node's attribution. It learns from each call that it decides.
#[derive(Clone, Debug, Default)]
pub struct Attributor {
    pub model: Arc<Model>,
    pub calls: CallMemory,
}

impl Attributor {
    pub fn decide(&self, table: &LeaseTable, now: Wall, question: &Question<'_>) -> Answer {
        decide(&self.model, table, &self.calls, now, question)
    }

    /// Shows the call to whoever learns, before it is decided.
    pub fn observe(&self, table: &LeaseTable, now: Wall, question: &Question<'_>, observer: &mut Observer) {
        if question.channel.is_none() {
            let entry = table.lookup(question.number);
            let scale = weigh(&self.model, &self.calls, entry.as_deref(), table.is_stale(), now, question);
            let caller = question.caller.map(|caller| caller_key(question.company, caller));
            observer.call(now, caller, question.caller_region, &scale, &self.model);
        }
    }

    /// The call is one: what was decided counts for the next.
    pub fn learn(&mut self, now: Wall, question: &Question<'_>, answer: &Answer) {
        if question.channel.is_some() {
            return;
        }
        self.calls.learn(&Lesson {
            at: now,
            company: question.company,
            number: question.number,
            caller: question.caller,
            persons: &answer.persons,
            nobody: answer.nobody,
        });
    }
}
