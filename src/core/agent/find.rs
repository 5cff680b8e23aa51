//! Questions about legs.

use super::identity::LocalTag;
use super::{Agent, Flow, LegId};

impl Agent {
    /// The leg of a dialog, early or not: its Call-ID, our tag and the far side's (RFC 3891 §3).
    pub fn find_dialog(&self, call_id: &str, our_tag: &str, their_tag: &str) -> Option<LegId> {
        let id = *self.by_tag.get(&LocalTag::parse(our_tag)?)?;
        let leg = self.legs.get(&id)?;
        let mut dialogs = leg.dialog.iter().chain(leg.early.iter().map(|early| &early.dialog));
        let is_named = !leg.is_over() && *leg.call_id == *call_id;
        (is_named && dialogs.any(|dialog| *dialog.remote_tag == *their_tag)).then_some(id)
    }

    /// No offer stands in the leg's dialog, its first early one included: an UPDATE may make one.
    pub fn may_offer(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.dialog_of(None).is_some()) && self.standing_offer(leg, None).is_none()
    }

    /// Early dialogs of our INVITE that stand side by side.
    pub fn early_dialogs(&self, leg: LegId) -> usize {
        self.legs.get(&leg).map_or(0, |leg| leg.early.len())
    }

    /// Where the far side's last message came from.
    pub fn flow(&self, leg: LegId) -> Option<Flow> {
        self.legs.get(&leg).map(|leg| leg.flow)
    }
}
