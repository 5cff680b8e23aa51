//! What a call hears from us on its media thread, and what its sides do not hear of each other meanwhile.

use std::time::Duration;

use crate::core::dtmf::sender::{PACKET, Sender};
use crate::core::media::PayloadFormat;
use crate::core::player::{Encoder, G711, Play, Player, Speech};
use crate::ids::{CallId, Side};
use crate::time::{Mono, Now, Wakeup};
use crate::wire::codec::Codec;

/// Made with the first prompt of a call: most calls have none.
#[derive(Debug, Default)]
pub(super) struct Voice {
    /// The sides do not hear each other yet.
    pub(super) apart: bool,
    players: [Option<Player>; 2],
    /// Keys that each side is to hear. Made with the first of them.
    keys: Option<Box<[Sender; 2]>>,
    /// Sounds begun so far.
    begun: u64,
}

impl Voice {
    /// This side hears us, or nobody, instead of the other side.
    pub(super) fn withholds(&self, from: Side) -> bool {
        self.apart || self.players[from.index()].is_some()
    }

    /// Begins a sound to this side; `false`: it agreed on no codec that we can speak. `named`: the formats that this side
    /// named itself, and those that the other did.
    pub(super) fn play(
        &mut self,
        now: Now,
        call: CallId,
        side: Side,
        play: Play,
        named: [&[PayloadFormat]; 2],
    ) -> bool {
        self.begun += 1;
        let [own, other] = named;
        let Some((encoder, payload_type)) = encoder(own, other) else { return false };
        let seed = (call.0 as u64) ^ (self.begun << 1 | side.index() as u64);
        self.players[side.index()] = Some(Player::new(now, play, encoder, payload_type, seed));
        true
    }

    /// Ends the sound to this side, if there is one. Gives when it began.
    pub(super) fn stop(&mut self, side: Side) -> Option<Now> {
        self.players[side.index()].take().map(|player| player.started())
    }

    /// This side is to hear a key, as an event of this payload type and clock.
    pub(super) fn press(&mut self, now: Mono, side: Side, key: char, length: Duration, events: (u8, u32)) {
        self.keys.get_or_insert_default()[side.index()].press(now, key, length, events);
    }

    /// Keys that this side is to hear, when there are any.
    pub(super) fn keys_to(&mut self, side: Side) -> Option<&mut Sender> {
        Some(&mut self.keys.as_mut()?[side.index()]).filter(|keys| keys.is_pressing() || keys.is_resting())
    }

    /// The next packet of a key to a side that no audio is on its way to.
    pub(super) fn key_alone(&mut self, now: Mono, call: CallId) -> Option<(Side, [u8; PACKET])> {
        let keys = self.keys.as_mut()?;
        let mut alone = |side: Side| {
            let seed = (call.0 as u64).rotate_left(17) ^ now.0 ^ side.index() as u64;
            Some((side, keys[side.index()].on_timeout(now, seed)?))
        };
        Side::BOTH.into_iter().find_map(&mut alone)
    }

    /// The next packet that is due, and the side that it is for.
    pub(super) fn packet(&mut self, now: Mono) -> Option<(Side, &[u8])> {
        let due =
            |player: &Option<Player>| player.as_ref().is_some_and(|p| p.poll_timeout().0 <= now && !p.is_over(now));
        let side = Side::BOTH.into_iter().find(|side| due(&self.players[side.index()]))?;
        let packet = self.players[side.index()].as_mut()?.packet(now)?;
        Some((side, packet))
    }

    /// A side whose sound is over, and when it began.
    pub(super) fn over(&mut self, now: Mono) -> Option<(Side, Now)> {
        let is_over = |player: &Option<Player>| player.as_ref().is_some_and(|player| player.is_over(now));
        let side = Side::BOTH.into_iter().find(|side| is_over(&self.players[side.index()]))?;
        Some((side, self.stop(side)?))
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let keys = self.keys.iter().flat_map(|keys| keys.iter()).filter_map(Sender::poll_timeout);
        self.players.iter().flatten().map(Player::poll_timeout).chain(keys).min_by_key(|(at, _)| *at)
    }
}

/// How a side is spoken to: in a codec that both sides named themselves, because the other is what this one was told of;
/// G.711 before others, which cost more to make.
fn encoder(formats: &[PayloadFormat], other: &[PayloadFormat]) -> Option<(Box<dyn Encoder>, u8)> {
    let codec = |format: &PayloadFormat| Codec::of_format(&format.name, format.clock_rate, format.channels);
    let is_plain = |format: &&PayloadFormat| codec(format).is_some_and(|codec| codec.law().is_some());
    let is_common =
        |format: &&PayloadFormat| codec(format).is_some() && other.iter().any(|o| codec(o) == codec(format));
    let named = || formats.iter();
    let chosen = named()
        .filter(is_common)
        .find(is_plain)
        .or_else(|| named().find(is_common))
        .or_else(|| named().find(is_plain))
        .or_else(|| named().find(|format| codec(format).is_some()))?;
    let codec = codec(chosen)?;
    let encoder: Box<dyn Encoder> = match codec.law() {
        Some(law) => Box::new(G711(law)),
        None => Box::new(Speech::new(codec)?),
    };
    Some((encoder, chosen.payload_type))
}
