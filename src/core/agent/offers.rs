//! Which offers stand in a dialog (RFC 3264 §4), so that UPDATE, PRACK and INVITE do not cross one with another
//! (RFC 3311 §5, RFC 3261 §14).

use rsip::Method;

use super::checks::{self, Refusal};
use super::drops::DropReason;
use super::forks::Fork;
use super::leg::Phase;
use super::{Agent, LegId};
use crate::wire::sip::Message;

/// An offer without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Ours,
    Theirs,
}

impl Agent {
    /// The offer that stands in this dialog of the leg.
    pub(super) fn standing_offer(&self, id: LegId, fork: Option<Fork>) -> Option<Standing> {
        let leg = self.legs.get(&id)?;
        match leg.phase {
            // Our INVITE: its offer stands until a reliable answer; without one, theirs until ours.
            Phase::Calling | Phase::Cancelling => {
                let early = leg.early(fork)?;
                if !early.agreed {
                    return Some(if leg.our_offer { Standing::Ours } else { Standing::Theirs });
                }
            }
            // Their INVITE: an answer in a reliable response counts, in an unreliable one it does not (RFC 6337 §2.2).
            Phase::Offered => {
                let sending = leg.sending.as_ref();
                let described = sending.is_some_and(|sending| sending.has_described());
                if sending.is_some_and(|sending| sending.waits_for_answer()) {
                    return Some(Standing::Ours);
                }
                if leg.their_offer && !described {
                    return Some(Standing::Theirs);
                }
                if !leg.their_offer && !described {
                    // Theirs would be the answer to an offer that we have not made yet.
                    return Some(Standing::Ours);
                }
            }
            Phase::Confirmed | Phase::Hanging(_) | Phase::Over => {
                if leg.our_invite.is_some() {
                    return Some(Standing::Ours);
                }
                if leg.unacked.as_ref().is_some_and(|unacked| unacked.offers) {
                    return Some(Standing::Ours);
                }
                if leg.their_invite.is_some() {
                    return Some(Standing::Theirs);
                }
            }
        }
        if leg.our_update.is_some_and(|update| update.offers) {
            return Some(Standing::Ours);
        }
        let waits = leg.waiting.iter().any(|txn| {
            self.servers.get(txn).is_some_and(|entry| {
                matches!(entry.request.method(), Some(Method::Update | Method::PRack))
                    && checks::has_sdp(&entry.request)
            })
        });
        waits.then_some(Standing::Theirs)
    }

    /// Whether an UPDATE of the far side may be put before the owner (RFC 3311 §5.2).
    pub(super) fn acceptable_update(&mut self, id: LegId, fork: Option<Fork>, update: &Message) -> Result<(), Refusal> {
        if self.is_update_waiting(id) {
            return Err(self.pending());
        }
        if !checks::has_sdp(update) {
            return Ok(());
        }
        match self.standing_offer(id, fork) {
            Some(Standing::Ours) => Err(Refusal::new(491, DropReason::Glare)),
            Some(Standing::Theirs) => Err(self.pending()),
            None => Ok(()),
        }
    }

    /// 500 with a Retry-After of 0 to 10 seconds.
    pub(super) fn pending(&mut self) -> Refusal {
        let seconds = self.identity.up_to(10).to_string();
        Refusal { status: 500, why: DropReason::RequestPending, header: Some(("Retry-After", seconds)) }
    }

    fn is_update_waiting(&self, id: LegId) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let method = |txn| self.servers.get(txn).and_then(|entry| entry.request.method());
        leg.waiting.iter().any(|txn| method(txn) == Some(Method::Update))
    }
}
