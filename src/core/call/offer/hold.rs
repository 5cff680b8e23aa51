//! Hold (RFC 3264 §8.4) where whoever is put on hold hears music of ours: the one that holds sends nothing, but we do.

use std::borrow::Cow;

use crate::ids::Side;
use crate::wire::sdp::{Audio, Direction};

/// Who has put whom on hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    has_music: bool,
    /// This side wants to hear nothing of the other.
    by: [bool; 2],
}

impl Hold {
    pub(super) fn new(has_music: bool) -> Hold {
        Hold { has_music, by: [false; 2] }
    }

    /// What this side has said is in force. `would_hear`: there was something for it to hear, so if it hears nothing that is
    /// its own will.
    pub(super) fn note(&mut self, side: Side, said: Direction, would_hear: bool) {
        let by = &mut self.by[side.index()];
        *by = !said.receives() && (would_hear || *by);
    }

    pub(super) fn is_by(&self, side: Side) -> bool {
        self.by[side.index()]
    }

    /// The direction of an offer as the other side is told: who holds it without a sound has one all the same.
    pub(super) fn offered(&self, direction: Direction) -> Direction {
        if self.has_music && direction == Direction::Inactive { Direction::SendOnly } else { direction }
    }

    /// The direction of an answer of `from` to this offer: what was heard of us only is not told.
    pub(super) fn answered(&self, from: Side, direction: Direction, offer: Option<&Audio>) -> Direction {
        let offer = offer.filter(|_| self.has_music && self.is_by(from.other()));
        offer.map_or(direction, |offer| direction.answering(offer.direction))
    }

    /// The direction of what is in force of `from`, as the other side knows it.
    pub(super) fn in_force(&self, from: Side, direction: Direction, other: Option<&Audio>) -> Direction {
        let direction = self.answered(from, direction, other);
        if self.is_by(from) { self.offered(direction) } else { direction }
    }
}

/// The description with this direction.
pub(super) fn direct(audio: &mut Cow<'_, Audio>, direction: Direction) {
    if audio.direction != direction {
        audio.to_mut().direction = direction;
    }
}
