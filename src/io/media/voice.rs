//! What a call hears from us on its media thread, and what its sides do not hear of each other meanwhile.

use crate::core::media::PayloadFormat;
use crate::core::player::{Encoder, G711, Play, Player};
use crate::ids::{CallId, Side};
use crate::time::{Mono, Now, Wakeup};
use crate::wire::codec::g711::{Law, RATE};

/// Made with the first prompt of a call: most calls have none.
#[derive(Debug, Default)]
pub(super) struct Voice {
    /// The sides do not hear each other yet.
    pub(super) apart: bool,
    players: [Option<Player>; 2],
    /// Sounds begun so far.
    begun: u64,
}

impl Voice {
    /// This side hears us, or nobody, instead of the other side.
    pub(super) fn withholds(&self, from: Side) -> bool {
        self.apart || self.players[from.index()].is_some()
    }

    /// Begins a sound to this side; `false`: it agreed on no codec that we can speak.
    pub(super) fn play(&mut self, now: Now, call: CallId, side: Side, play: Play, formats: &[PayloadFormat]) -> bool {
        self.begun += 1;
        let Some((encoder, payload_type)) = encoder(formats) else { return false };
        let seed = (call.0 as u64) ^ (self.begun << 1 | side.index() as u64);
        self.players[side.index()] = Some(Player::new(now, play, encoder, payload_type, seed));
        true
    }

    /// Ends the sound to this side, if there is one. Gives when it began.
    pub(super) fn stop(&mut self, side: Side) -> Option<Now> {
        self.players[side.index()].take().map(|player| player.started())
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
        self.players.iter().flatten().map(Player::poll_timeout).min_by_key(|(at, _)| *at)
    }
}

/// How a side that agreed on these formats is spoken to.
fn encoder(formats: &[PayloadFormat]) -> Option<(Box<dyn Encoder>, u8)> {
    formats.iter().find_map(|format| {
        let law = Law::of_name(&format.name).filter(|_| format.clock_rate == RATE)?;
        Some((Box::new(G711(law)) as Box<dyn Encoder>, format.payload_type))
    })
}
