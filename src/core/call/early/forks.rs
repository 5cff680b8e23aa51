//! An INVITE without offer that forks: each phone makes an offer of its own in its own early dialog, and each wants its
//! answer (RFC 3261 §13.2.1, RFC 3262 §5). The caller has one session, so it is asked once, by the first offer; others
//! wait until its PRACK, and are then answered by us with what it has agreed to. Whoever described last leads the media.

use crate::core::agent::{Extra, Fork, LegId};
use crate::core::call::offer::{Newcomer, Stream};
use crate::core::call::{Call, Ctx};
use crate::ids::Side;
use crate::limits;

use super::Said;

/// An offer of a phone that the caller was not asked.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) leg: LegId,
    pub(super) fork: Fork,
    pub(super) tag: Box<str>,
    pub(super) stream: Stream,
}

/// What the phones of a fork were told of the caller, each in its dialog.
#[derive(Debug, Default)]
pub(super) struct Parties {
    /// Who stands for the company in the negotiation, when it is one of several.
    leading: Option<(LegId, Box<str>)>,
    parked: Vec<(LegId, Box<str>, Newcomer)>,
}

impl Parties {
    /// This one was asked first, and leads.
    pub(super) fn begin(&mut self, leg: LegId, tag: Box<str>) {
        self.leading = Some((leg, tag));
    }

    pub(super) fn forget(&mut self, leg: LegId) {
        self.leading.take_if(|(leading, _)| *leading == leg);
        self.parked.retain(|(parked, ..)| *parked != leg);
    }
}

impl Call {
    /// An offer that comes while the caller is being asked, or after it has agreed to another one.
    pub(super) fn on_other_offer(&mut self, offered: Offered, ctx: &mut Ctx<'_>) {
        if self.facts.offer.is_some() {
            self.answer_fork(&offered, ctx);
        } else if self.early.due.len() < limits::SIP_FORKS {
            self.early.due.push(offered);
        }
    }

    /// The caller has agreed: who waited for that gets its answer.
    pub(super) fn answer_forks(&mut self, ctx: &mut Ctx<'_>) {
        for offered in std::mem::take(&mut self.early.due) {
            self.answer_fork(&offered, ctx);
        }
    }

    fn answer_fork(&mut self, offered: &Offered, ctx: &mut Ctx<'_>) {
        let Offered { leg, fork, ref tag, ref stream } = *offered;
        let session = self.spread(ctx, u64::MAX);
        let Some(negotiation) = &mut self.negotiation else { return };
        let payload = match negotiation.answer_newcomer(session, stream) {
            Some((newcomer, stream, payload)) if self.early.said.len() < limits::SIP_FORKS => {
                self.early.parties.parked.push((leg, tag.clone(), newcomer));
                self.lead(leg, tag);
                self.accept(Side::Company, &stream, ctx);
                self.early.said.push(Said { leg, tag: tag.clone(), stream, reliable: true });
                payload
            }
            // Nothing in common with what the caller has agreed to: each stream is refused (RFC 3264 §6).
            _ => negotiation.refuse_newcomer(session, stream),
        };
        ctx.agent.answer_early(ctx.now, leg, fork, Extra { payload: Some(payload), ..Extra::default() });
    }

    /// This early dialog stands for the company in the negotiation from now on.
    pub(in crate::core::call) fn lead(&mut self, leg: LegId, tag: &str) {
        let Parties { leading, parked } = &mut self.early.parties;
        let Some(at) = parked.iter().position(|(parked, of, _)| *parked == leg && **of == *tag) else { return };
        let (leg, tag, newcomer) = parked.swap_remove(at);
        let Some(negotiation) = &mut self.negotiation else { return };
        let before = negotiation.exchange(newcomer);
        if let Some((leg, tag)) = leading.replace((leg, tag)) {
            parked.push((leg, tag, before));
        }
    }

    /// Several early dialogs of the company's leg stand: an offer within one of them could not be true for all.
    pub(in crate::core::call) fn is_forked(&self, ctx: &Ctx<'_>) -> bool {
        self.company.is_some_and(|leg| ctx.agent.early_dialogs(leg) > 1)
    }
}
