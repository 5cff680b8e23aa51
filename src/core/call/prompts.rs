//! What a call hears from us, and what follows when it has heard it.
//!
//! Before the bridge the caller hears the announcement and the company the whisper, at the same time, and neither hears
//! the other: [`Call::begin_intro`]. Who is put on hold hears music until the other side comes back. An announcement as early media comes before anybody is called, the busy message before
//! the caller hears that everybody is: the call waits in [`State::Announcing`]. What the caller is told of our media then
//! is a preview of the answer, or binds us when it is sent reliably, as every early description ([`super::early`]).

use std::collections::VecDeque;
use std::sync::Arc;

use super::offer::Stream;
use super::{Call, Ctx, State, ending::Why};
use crate::config::{AnnouncementAt, Sound};
use crate::core::agent::Extra;
use crate::core::event::{Outcome, PromptData};
use crate::core::media::MediaCommand;
use crate::core::player::Play;
use crate::ids::Side;
use crate::limits;
use crate::time::{Now, Wall};
use crate::wire::codec::Codec;
use crate::wire::sdp::{Direction, Format};

/// Sounds of one call.
#[derive(Debug, Default)]
pub(super) struct Prompts {
    /// Being played, by side; the media thread ends them in this order.
    playing: [VecDeque<Playing>; 2],
    played: Vec<PromptData>,
    /// The caller is in the announcement, or the company in the whisper.
    is_intro: bool,
    /// The caller hears from us that it rings.
    rings: bool,
    /// The caller has a description of our media.
    is_described: bool,
    /// Said before anybody was called.
    announced: bool,
    /// The side hears music, because the other has put it on hold.
    holds: [bool; 2],
}

#[derive(Debug)]
struct Playing {
    kind: &'static str,
    sound: Arc<Sound>,
    since: Wall,
}

/// What follows an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The destinations are tried.
    Hunt,
    /// The caller is refused.
    Refuse(Why),
}

impl Call {
    /// The company has answered: announcement and whisper come before the bridge.
    pub(super) fn begin_intro(&mut self, ctx: &mut Ctx<'_>) {
        self.stop_ringback(ctx);
        let (company, plan) = (&self.facts.company.prompts, &self.facts.plan);
        let announcement = plan.announcement.as_ref().or(company.announcement.as_ref()).cloned();
        let announcement = announcement.filter(|_| !self.prompts.announced);
        let whisper = plan.whisper.as_ref().or(company.whisper.as_ref()).cloned();
        if announcement.is_none() && whisper.is_none() {
            return;
        }
        self.prompts.is_intro = true;
        ctx.media(self.id(), MediaCommand::Bridge(false));
        for (side, kind, sound) in [(Side::Caller, "announcement", announcement), (Side::Company, "whisper", whisper)] {
            if let Some(sound) = sound {
                self.play(side, kind, sound, false, ctx);
            }
        }
    }

    /// The announcement as early media, when it is wanted so and the caller can be told where it comes from; `false`: the
    /// destinations are tried at once.
    pub(super) fn announce_early(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let prompts = &self.facts.company.prompts;
        let sound = self.facts.plan.announcement.as_ref().or(prompts.announcement.as_ref()).cloned();
        let is_early = prompts.announcement_at == AnnouncementAt::Early;
        let Some(sound) = sound.filter(|_| is_early && !self.facts.plan.targets.is_empty()) else { return false };
        let announced = self.announce("announcement", sound, Then::Hunt, ctx);
        self.prompts.announced = announced;
        announced
    }

    /// Everybody is busy: the caller is told so in words first; `false`: it is not.
    pub(super) fn say_busy(&mut self, why: Why, ctx: &mut Ctx<'_>) -> bool {
        let sound = self.facts.company.prompts.busy.clone().filter(|_| why.outcome == Outcome::Busy);
        sound.is_some_and(|sound| self.announce("busy", sound, Then::Refuse(why), ctx))
    }

    /// It rings, and the company's side sends no sound: the caller hears ours.
    pub(super) fn play_ringback(&mut self, ctx: &mut Ctx<'_>) {
        let Some(sound) = self.facts.company.prompts.ringback.clone() else { return };
        if !self.prompts.rings && self.describe_ourselves(ctx) {
            self.prompts.rings = true;
            self.play(Side::Caller, "ringback", sound, true, ctx);
        }
    }

    /// The caller hears the company from now on.
    pub(super) fn stop_ringback(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.prompts.rings) {
            ctx.media(self.id(), MediaCommand::Hush(Side::Caller));
        }
    }

    /// A sound has come to its end.
    pub(super) fn on_played(&mut self, side: Side, from: Now, until: Now, ctx: &mut Ctx<'_>) {
        self.note_played(side, from.wall, until.wall);
        let is_silent = self.prompts.playing.iter().all(VecDeque::is_empty);
        match &self.state {
            State::Announcing(Then::Hunt) if is_silent => self.start_hunt(ctx),
            State::Announcing(Then::Refuse(why)) if is_silent => {
                let why = *why;
                self.refuse_caller(why, None, ctx);
            }
            State::Talking(_) if is_silent && std::mem::take(&mut self.prompts.is_intro) => {
                ctx.media(self.id(), MediaCommand::Bridge(true));
            }
            State::Mailbox { .. } if is_silent => self.on_mailbox_silent(ctx),
            _ => {}
        }
    }

    /// Whoever is on hold hears music, from now on or no more.
    pub(super) fn renew_hold_music(&mut self, ctx: &mut Ctx<'_>) {
        let Some(sound) = &self.facts.company.prompts.hold else { return };
        let is_talking = matches!(self.state, State::Talking(_)) && !self.prompts.is_intro && self.offer.is_idle();
        let Some(held) = self.negotiation.as_ref().filter(|_| is_talking) else { return };
        let wanted = Side::BOTH.map(|side| held.is_held(side));
        let sound = Arc::clone(sound);
        for side in Side::BOTH {
            let (before, now) = (self.prompts.holds[side.index()], wanted[side.index()]);
            self.prompts.holds[side.index()] = now;
            match (before, now) {
                (false, true) => self.play(side, "hold", Arc::clone(&sound), true, ctx),
                (true, false) => ctx.media(self.id(), MediaCommand::Hush(side)),
                _ => {}
            }
        }
    }

    pub(super) fn play(&mut self, side: Side, kind: &'static str, sound: Arc<Sound>, repeat: bool, ctx: &mut Ctx<'_>) {
        let playing = Playing { kind, sound: Arc::clone(&sound), since: ctx.now.wall };
        self.prompts.playing[side.index()].push_back(playing);
        ctx.media(self.id(), MediaCommand::Play(side, Play { sound, repeat }));
    }

    /// What was played, for `call.ended`; what still is ends now.
    pub(super) fn take_prompts(&mut self, now: Wall) -> Vec<PromptData> {
        let ended = self.facts.data.ended_at.unwrap_or(now);
        for side in Side::BOTH {
            while let Some(since) = self.prompts.playing[side.index()].front().map(|playing| playing.since) {
                self.note_played(side, since, ended);
            }
        }
        std::mem::take(&mut self.prompts.played)
    }

    /// What the caller offers as far as we can speak it ourselves, in G.711 when it has that; `None`: it made no offer, or
    /// has nothing that we can speak.
    pub(super) fn speakable(&self) -> Option<Stream> {
        let mut ours = self.facts.offer.clone()?;
        ours.audio.direction = Direction::SendRecv.answering(ours.audio.direction);
        let codec = |format: &Format| Codec::of_format(&format.name, format.clock_rate, format.channels);
        let is_plain = |format: &Format| codec(format).is_some_and(|codec| codec.law().is_some());
        let has_plain = ours.audio.formats.iter().any(is_plain);
        let speaks = |format: &Format| if has_plain { is_plain(format) } else { codec(format).is_some() };
        let fits = ours.audio.retain(|format| !format.is_codec() || speaks(format));
        fits.then_some(ours)
    }

    fn announce(&mut self, kind: &'static str, sound: Arc<Sound>, then: Then, ctx: &mut Ctx<'_>) -> bool {
        self.stop_ringback(ctx);
        if !self.describe_ourselves(ctx) {
            return false;
        }
        self.state = State::Announcing(then);
        self.play(Side::Caller, kind, sound, false, ctx);
        true
    }

    /// The caller learns where our sounds come from, by 183, once; `false`: it cannot.
    fn describe_ourselves(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.prompts.is_described {
            return true;
        }
        let Some(stream) = self.speakable() else { return false };
        self.prompts.is_described = true;
        if !self.is_told() {
            let payload = self.cross(Side::Company, &stream);
            self.tell_early(stream, ctx);
            ctx.agent.provisional(ctx.now, self.facts.leg, 183, Extra { payload, ..Extra::default() });
        }
        true
    }

    fn note_played(&mut self, side: Side, from: Wall, until: Wall) {
        let Some(Playing { kind, sound, .. }) = self.prompts.playing[side.index()].pop_front() else { return };
        if self.prompts.played.len() < limits::PROMPTS {
            let sha256 = Some(sound.sha256.clone()).filter(|hash| !hash.is_empty());
            let data = PromptData { kind: kind.into(), to: side, file: sound.file.clone(), sha256, from, until };
            self.prompts.played.push(data);
        }
    }
}
