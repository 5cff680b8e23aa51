//! Several destinations that ring at once.
//!
//! They share one description of ours and one pair of media ports, so that the caller's offer is the same for all. While
//! more than one is under way no early media crosses: the caller would hear one of several phones by chance. The caller
//! gets 180 once, with the first that rings, and makes its own ringing tone; when all but one have failed, what that one
//! says crosses as from a single destination. The first 2xx has the call; the others are cancelled with the Reason that
//! tells a phone to show no missed call (RFC 3326 §3.1). A 2xx that crosses that CANCEL gets ACK and BYE from the agent.

use super::super::{Call, Ctx, State, places};
use crate::core::agent::{Extra, LegId};
use crate::wire::sip::Message;

/// What a phone is told that rang in vain.
pub(super) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Call {
    /// A provisional response of one of several.
    pub(super) fn on_one_of_many(&mut self, leg: LegId, response: &Message, ctx: &mut Ctx<'_>) {
        // Its 2xx need not repeat what it describes here.
        self.remember_early(leg, response);
        let State::Hunting(hunt) = &mut self.state else { return };
        // 183 promises media that does not cross, and no ringing.
        let rings = (180..183).contains(&response.status());
        if rings && !hunt.told_ringing {
            hunt.told_ringing = true;
            ctx.agent.provisional(ctx.now, self.facts.leg, 180, Extra::default());
            self.play_ringback(ctx);
        }
    }

    /// Somebody has the call: the other phones stop ringing.
    pub(super) fn cancel_others(&mut self, winner: LegId, ctx: &mut Ctx<'_>) {
        let State::Hunting(hunt) = &mut self.state else { return };
        if hunt.attempts.len() < 2 {
            return;
        }
        let losers: Vec<_> = std::mem::take(&mut hunt.attempts);
        for loser in losers {
            if loser.leg == Some(winner) {
                if let State::Hunting(hunt) = &mut self.state {
                    hunt.attempts.push(loser);
                }
                continue;
            }
            if let Some(leg) = loser.leg {
                self.forget_early(leg, ctx);
                let headers = vec![("Reason".into(), ELSEWHERE.to_owned())];
                ctx.agent.cancel(ctx.now, leg, Extra { headers, ..Extra::default() });
            }
            self.give_back(places::key(loser.target), false, ctx);
            // 487 is what the far side will say to the CANCEL.
            self.note_tried(&loser, 487, ctx.now);
        }
    }
}
