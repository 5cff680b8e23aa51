//! One call's recording session: rounds over the recorder's places until one of them records, and what is in force there.

use std::sync::Arc;

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;

use super::Ctx;
use super::facts::{self, Facts};
use crate::config::Siprec;
use crate::core::agent::{AgentEvent, ClientTxn, Extra, LegId, Payload, ServerTxn};
use crate::core::b2bua::{Output, Settings};
use crate::core::event::{Body, CallData, Event, SiprecData};
use crate::core::locate::Hop;
use crate::core::media::{Copies, LocalMedia, MediaCommand};
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Wall};
use crate::wire::sdp::{Audio, Direction};

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) recorder: Arc<Siprec>,
    pub(super) facts: Facts,
    /// What each side sends, as the recorder is offered it.
    pub(super) sides: [Audio; 2],
    pub(super) ports: Option<[LocalMedia; 2]>,
    pub(super) state: State,
    /// Number of our `o=` line and of the boundary between the parts, from the seed.
    pub(super) session_id: u64,
    pub(super) version: u64,
    /// Rounds over all places that have come to nothing.
    pub(super) rounds: u32,
    /// The place of this round.
    pub(super) place: usize,
    /// Its addresses that are left, the next one last.
    pub(super) hops: Vec<Hop>,
    /// Questions to DNS that were asked.
    pub(super) questions: u32,
    /// What became of the last place that was tried.
    pub(super) failure: Failure,
}

#[derive(Debug)]
pub(super) enum State {
    /// A place's name is being looked up.
    Resolving {
        until: Mono,
    },
    /// The media threads take ports.
    Opening {
        hop: Hop,
        until: Mono,
    },
    /// INVITE is out.
    Inviting {
        leg: LegId,
        hop: Hop,
        until: Mono,
    },
    Recording(Recording),
    /// Nobody would; all places again at this time.
    Pausing {
        until: Mono,
    },
    /// Nobody would, and nobody is asked any more.
    GivenUp,
    Over,
}

/// A recording session that stands.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) leg: LegId,
    /// Our re-INVITE without final response.
    pub(super) asked: Option<ClientTxn>,
    /// What the recorder knows is not how it is.
    pub(super) is_stale: bool,
    /// When it is told again, after a re-INVITE of its own was in the way.
    pub(super) again: Option<Mono>,
    /// A re-INVITE of the recorder that had no offer: the answer comes with the ACK.
    pub(super) offered: Option<ServerTxn>,
}

/// Why a place did not record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failure {
    /// One of [`super::REASONS`].
    pub(super) reason: &'static str,
    pub(super) status: Option<u16>,
}

impl Failure {
    pub(super) const fn new(reason: &'static str) -> Failure {
        Failure { reason, status: None }
    }
}

impl Session {
    pub(super) fn new(
        recorder: &Arc<Siprec>,
        call: &CallData,
        sides: [Audio; 2],
        settings: &Settings,
        now: Wall,
        random: &mut ChaCha12Rng,
    ) -> Session {
        let host = settings.listeners.first().map_or_else(String::new, |listener| listener.address.ip().to_string());
        Session {
            recorder: Arc::clone(recorder),
            facts: Facts::new(call, &host, now, random),
            sides: offered(sides),
            ports: None,
            state: State::Over,
            session_id: random.next_u64(),
            version: 0,
            rounds: 0,
            place: 0,
            hops: Vec::new(),
            questions: 0,
            failure: Failure::default(),
        }
    }

    pub(super) fn leg(&self) -> Option<LegId> {
        match &self.state {
            State::Inviting { leg, .. } => Some(*leg),
            State::Recording(recording) => Some(recording.leg),
            State::Resolving { .. } | State::Opening { .. } | State::Pausing { .. } | State::GivenUp | State::Over => {
                None
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        match &self.state {
            State::Resolving { until }
            | State::Opening { until, .. }
            | State::Inviting { until, .. }
            | State::Pausing { until } => Some(*until),
            State::Recording(recording) => recording.again,
            State::GivenUp | State::Over => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Begins the first round.
    pub(super) fn start(&mut self, ctx: &mut Ctx<'_>) {
        self.begin_round(ctx);
    }

    pub(super) fn on_timeout(&mut self, ctx: &mut Ctx<'_>) {
        match &mut self.state {
            State::Resolving { .. } => self.fail(Failure::new("recorder_unresolved"), ctx),
            State::Opening { .. } => self.fail(Failure::new("no_sockets"), ctx),
            State::Inviting { .. } => self.on_silence(ctx),
            State::Pausing { .. } => self.begin_round(ctx),
            State::Recording(recording) => {
                (recording.again, recording.is_stale) = (None, true);
                self.tell(ctx);
            }
            State::GivenUp | State::Over => {}
        }
    }

    pub(super) fn on_leg(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match &self.state {
            State::Inviting { leg: invited, .. } if *invited == leg => self.on_inviting(leg, event, ctx),
            State::Recording(recording) if recording.leg == leg => self.on_recording(leg, event, ctx),
            // A place that was given up: the agent ends it alone.
            _ => {}
        }
    }

    /// The call's media is being closed: so is its copy.
    pub(super) fn end(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(leg) = self.leg() {
            ctx.agent.bye(ctx.now, leg, Extra::default());
        }
        self.state = State::Over;
    }

    /// Another party stands for the company.
    pub(super) fn on_transferred(&mut self, uri: &str, id: u128, now: Wall) {
        self.facts.company_is(uri, id, now);
        self.is_stale();
    }

    /// What the sides talk with, once more.
    pub(super) fn on_streams(&mut self, sides: [Audio; 2]) {
        let mut sides = offered(sides);
        for (side, now) in sides.iter_mut().zip(&self.sides) {
            side.direction = now.direction;
        }
        if sides != self.sides {
            self.sides = sides;
            self.is_stale();
        }
    }

    /// The recording pauses, or goes on. The media threads hold the copies back by themselves.
    pub(super) fn on_paused(&mut self, paused: bool) {
        let direction = if paused { Direction::Inactive } else { Direction::SendOnly };
        for side in &mut self.sides {
            side.direction = direction;
        }
        self.is_stale();
    }

    /// What the recorder knows is not how it is any more.
    fn is_stale(&mut self) {
        if let State::Recording(recording) = &mut self.state {
            recording.is_stale = true;
        }
    }

    /// Copies go nowhere until a recorder says where.
    pub(super) fn stop_copies(&self, ctx: &mut Ctx<'_>) {
        if self.ports.is_some() {
            for side in Side::BOTH {
                self.media(Copies::To(side, None), ctx);
            }
        }
    }

    pub(super) fn media(&self, copies: Copies, ctx: &mut Ctx<'_>) {
        ctx.out.push_back(Output::Media(self.facts.call, MediaCommand::Copies(copies)));
    }

    /// Tells the world that a place records, or that a round came to nothing.
    pub(super) fn announce(&self, failed: Option<(Failure, Option<std::time::Duration>)>, ctx: &mut Ctx<'_>) {
        let data = SiprecData {
            call_id: self.facts.call,
            recorder: self.recorder.name.clone(),
            place: self.recorder.uris.get(self.place).cloned(),
            reason: failed.map(|(failure, _)| failure.reason.to_owned()),
            sip_status: failed.and_then(|(failure, _)| failure.status),
            again_in_ms: failed.and_then(|(_, again)| again).map(|again| again.as_millis() as u64),
        };
        let body = if failed.is_some() { Body::SiprecFailed(data) } else { Body::SiprecStarted(data) };
        ctx.out.push_back(Output::Event(Event { time: ctx.now.wall, subject: self.facts.call.to_string(), body }));
    }

    /// Our description with the metadata, for an INVITE or a re-INVITE.
    pub(super) fn offer(&mut self, ctx: &Ctx<'_>) -> Option<Payload> {
        let description = self.describe(None, ctx)?;
        Some(facts::payload(&self.facts, description, self.session_id))
    }
}

/// The streams as a recorder is offered them: what both sides may send, one way, in the clear.
fn offered([caller, company]: [Audio; 2]) -> [Audio; 2] {
    let one = |own: &Audio, other: &Audio| {
        let common = |format: &crate::wire::sdp::Format| {
            other.formats.iter().any(|known| known.payload_type == format.payload_type && known.name == format.name)
        };
        // What a party has agreed on with us, its key first of all, is nothing to the recorder.
        let agreed = Audio { secured: None, rtcp_mux: false, ..own.clone() };
        let mut audio = Audio { direction: Direction::SendOnly, ..agreed };
        // Sides that have no codec in common are transcoded: each sends what it has named.
        if !audio.retain(common) {
            audio.formats.clone_from(&own.formats);
        }
        audio
    };
    [one(&caller, &company), one(&company, &caller)]
}

/// The longest pause doubles no further.
pub(super) fn pause(first: std::time::Duration, rounds: u32) -> std::time::Duration {
    first.saturating_mul(1 << rounds.min(16)).min(limits::SIPREC_PAUSE.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::{Accepts, Sdp};

    #[test]
    fn a_recorder_is_not_told_the_keys_of_the_parties() {
        let party = "v=0\r\nc=IN IP4 192.0.2.5\r\nm=audio 4000 RTP/SAVP 8\r\na=rtcp-mux\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n";
        let accepts = Accepts { plain: false, sdes: true, dtls: false };
        let (_, audio, _) = Sdp::parse_for(party.as_bytes(), accepts).and_then(Sdp::into_audio).expect("a stream");
        assert!(audio.secured.is_some());
        for copy in offered([audio.clone(), audio]) {
            assert_eq!((copy.secured, copy.rtcp_mux), (None, false));
            assert_eq!((copy.direction, copy.formats.len()), (Direction::SendOnly, 1));
        }
    }
}
