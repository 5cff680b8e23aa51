//! Recording sessions, within signalling: they follow what calls tell the world.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{B2bua, Output, panic_text};
use crate::core::call::Call;
use crate::core::call::record::Stage;
use crate::core::event::{Body, Transferred};
use crate::core::media::MediaCommand;
use crate::core::siprec::{Copies, Ctx};
use crate::ids::{CallId, Side};
use crate::time::Now;

/// What a call told that its copy depends on.
enum Told {
    /// It is answered, or a side's stream is in force.
    Streams,
    Transferred(Transferred),
    Paused(bool),
    Closed,
}

impl B2bua {
    /// What this call has told since there were so many outputs concerns its copy, too.
    pub(super) fn follow(&mut self, now: Now, call: &Call, since: usize) {
        if !self.copies.has(call.id()) && call.company().siprec.is_none() {
            return;
        }
        let told: Vec<Told> = self.out.iter().skip(since).filter_map(|output| told(output, call.id())).collect();
        for told in told {
            self.on_copies(now, call.id(), |copies, ctx| match told {
                Told::Streams => streams(copies, call, ctx),
                Told::Transferred(transferred) => copies.on_transferred(&transferred, ctx),
                Told::Paused(paused) => copies.on_paused(call.id(), paused, ctx),
                Told::Closed => copies.end(call.id(), ctx),
            });
        }
        // Once for all that a transfer changes.
        self.on_copies(now, call.id(), |copies, ctx| copies.tell(call.id(), ctx));
    }

    /// Does something with the recording sessions. An error of ours in it costs this call's copy, never the call.
    pub(super) fn on_copies(&mut self, now: Now, call: CallId, act: impl FnOnce(&mut Copies, &mut Ctx<'_>)) {
        let settings = Arc::clone(&self.settings);
        let mut ctx =
            Ctx { now, agent: &mut self.agent, settings: &settings, health: &mut self.health, out: &mut self.out };
        let copies = &mut self.copies;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| act(copies, &mut ctx))) {
            tracing::error!(%call, panic = panic_text(panic.as_ref()), "the copy of a call crashed and is given up");
            self.copies.drop_session(call);
        }
    }
}

/// Begins the copy as soon as the call is recorded and both sides' streams are known, or tells it of a change. What is
/// not to be recorded is not copied either: consent has one word for both.
fn streams(copies: &mut Copies, call: &Call, ctx: &mut Ctx<'_>) {
    let [Some(caller), Some(company)] = Side::BOTH.map(|side| call.audio(side)) else { return };
    let sides = [caller, company];
    match &call.company().siprec {
        _ if copies.has(call.id()) => copies.on_streams(call.id(), sides, ctx),
        Some(recorder) if is_recorded(call) => copies.begin(recorder, call.data(), sides, ctx),
        _ => {}
    }
}

fn is_recorded(call: &Call) -> bool {
    matches!(call.recording_stage(), Stage::Running | Stage::Changing | Stage::Paused)
}

fn told(output: &Output, call: CallId) -> Option<Told> {
    match output {
        Output::Media(of, MediaCommand::Remote(_, Some(_))) if *of == call => Some(Told::Streams),
        Output::Media(of, MediaCommand::Pause(paused)) if *of == call => Some(Told::Paused(*paused)),
        Output::Media(of, MediaCommand::Close(_)) if *of == call => Some(Told::Closed),
        Output::Event(event) => match &event.body {
            Body::CallAnswered(data) if data.call_id == call => Some(Told::Streams),
            Body::CallTransferred(data) if data.call_id == call => Some(Told::Transferred(data.clone())),
            _ => None,
        },
        _ => None,
    }
}
