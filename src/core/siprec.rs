//! Copies of calls for third parties' recorders: the session recording client of RFC 7866.
//!
//! A recording session stands beside its call and is driven by what the call tells the world: it begins when the call is
//! answered, changes when a transfer changes the company's party or an offer changes the codecs, and ends with the call's
//! media. Nothing comes back: whatever a recorder does, the call goes on.

mod attempts;
mod facts;
pub mod heard;
mod recording;
mod session;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;

use crate::config::Siprec;
use crate::core::agent::{AgentEvent, LegId};
use crate::core::event::{CallData, Transferred};
use crate::core::locate::Hop;
use crate::core::media::LocalMedia;
use crate::ids::CallId;
use crate::time::{Mono, Wakeup};
use crate::wire::sdp::Audio;

use session::Session;

/// Stable codes of `leaseline.siprec.failed`.
pub const REASONS: [&str; 12] = [
    "bad_answer",
    "dialog_lost",
    "media_address",
    "media_closed",
    "no_media_ports",
    "no_sockets",
    "recorder_left",
    "recorder_refused",
    "recorder_silent",
    "recorder_unreachable",
    "recorder_unresolved",
    "recorder_unusable",
];

/// A recording session stands beside its call as a probe does, and may use the same.
pub use crate::core::probe::Ctx;

/// The recording sessions of all calls.
#[derive(Debug)]
pub struct Copies {
    calls: HashMap<CallId, Box<Session>, foldhash::fast::FixedState>,
    legs: HashMap<LegId, CallId, foldhash::fast::FixedState>,
    timers: BTreeSet<(Mono, CallId)>,
    random: ChaCha12Rng,
}

impl Copies {
    pub fn new(seed: u64) -> Copies {
        Copies {
            calls: HashMap::default(),
            legs: HashMap::default(),
            timers: BTreeSet::new(),
            random: ChaCha12Rng::seed_from_u64(seed),
        }
    }

    /// Whether this call has a recording session, tries to have one, or has given up.
    pub fn has(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// Recording sessions, those that are tried and those that were given up too.
    pub fn count(&self) -> usize {
        self.calls.len()
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        self.timers.first().map(|(at, _)| (*at, "recorder"))
    }

    /// The call is answered and both streams are in force.
    pub fn begin(&mut self, recorder: &Arc<Siprec>, call: &CallData, sides: [Audio; 2], ctx: &mut Ctx<'_>) {
        let session = Session::new(recorder, call, sides, ctx.settings, ctx.now.wall, &mut self.random);
        self.calls.insert(call.call_id, Box::new(session));
        self.with(call.call_id, ctx, Session::start);
    }

    /// What the sides talk with may have changed. To be told by [`Copies::tell`].
    pub fn on_streams(&mut self, call: CallId, sides: [Audio; 2], ctx: &mut Ctx<'_>) {
        self.with(call, ctx, |session, _| session.on_streams(sides));
    }

    /// The recording pauses, or goes on. To be told by [`Copies::tell`].
    pub fn on_paused(&mut self, call: CallId, paused: bool, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, |session, _| session.on_paused(paused));
    }

    /// Another party stands for the company. To be told by [`Copies::tell`].
    pub fn on_transferred(&mut self, transferred: &Transferred, ctx: &mut Ctx<'_>) {
        let id = facts::draw_id(&mut self.random);
        self.with(transferred.call_id, ctx, |session, ctx| {
            session.on_transferred(&transferred.transfer.to, id, ctx.now.wall)
        });
    }

    /// Tells the recorder what has changed.
    pub fn tell(&mut self, call: CallId, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, Session::tell);
    }

    /// The call's media is being closed.
    pub fn end(&mut self, call: CallId, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, Session::end);
    }

    /// Ports that copies are sent from, or why there are none.
    pub fn on_ports(&mut self, call: CallId, ports: Result<[LocalMedia; 2], &'static str>, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, |session, ctx| session.on_ports(ports, ctx));
    }

    pub fn on_resolved(&mut self, call: CallId, question: u32, hops: Vec<Hop>, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, |session, ctx| session.on_resolved(question, hops, ctx));
    }

    /// The call whose recording session this leg is.
    pub fn call_of(&self, leg: LegId) -> Option<CallId> {
        self.legs.get(&leg).copied()
    }

    pub fn on_leg(&mut self, call: CallId, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, |session, ctx| session.on_leg(leg, event, ctx));
    }

    /// The call whose session's time has come; to be given to [`Copies::on_timeout`].
    pub fn due(&mut self, now: Mono) -> Option<CallId> {
        let (at, call) = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&(at, call));
        Some(call)
    }

    pub fn on_timeout(&mut self, call: CallId, ctx: &mut Ctx<'_>) {
        self.with(call, ctx, Session::on_timeout);
    }

    /// An error of ours while this call's session was handled: it is gone, without a word.
    pub fn drop_session(&mut self, call: CallId) {
        self.calls.remove(&call);
        self.legs.retain(|_, of| *of != call);
        self.timers.retain(|(_, of)| *of != call);
    }

    /// Does something with one session and keeps the books: its leg, its deadline, and whether it is over.
    fn with(&mut self, call: CallId, ctx: &mut Ctx<'_>, act: impl FnOnce(&mut Session, &mut Ctx<'_>)) {
        let Some(session) = self.calls.get_mut(&call) else { return };
        let (leg, due) = (session.leg(), session.poll_timeout());
        act(session, ctx);
        let (new_leg, new_due) = (session.leg(), session.poll_timeout());
        let is_over = session.is_over();
        if leg != new_leg {
            leg.map(|leg| self.legs.remove(&leg));
            new_leg.map(|leg| self.legs.insert(leg, call));
        }
        due.map(|at| self.timers.remove(&(at, call)));
        if is_over {
            self.calls.remove(&call);
        } else if let Some(at) = new_due {
            self.timers.insert((at, call));
        }
    }
}
