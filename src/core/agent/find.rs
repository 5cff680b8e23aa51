//! Questions about legs.

use super::identity::LocalTag;
use super::{Agent, Flow, LegId};

impl Agent {
    /// The leg of a dialog: its Call-ID, our tag and the far side's (RFC 3891 §3).
    pub fn find_dialog(&self, call_id: &str, our_tag: &str, their_tag: &str) -> Option<LegId> {
        let id = *self.by_tag.get(&LocalTag::parse(our_tag)?)?;
        let leg = self.legs.get(&id)?;
        let dialog = leg.dialog.as_ref()?;
        (!leg.is_over() && *leg.call_id == *call_id && *dialog.remote_tag == *their_tag).then_some(id)
    }

    /// Where the far side's last message came from.
    pub fn flow(&self, leg: LegId) -> Option<Flow> {
        self.legs.get(&leg).map(|leg| leg.flow)
    }
}
