//! What a leg takes besides calls, as Allow and Supported tell the far side. Many PBXs send no REFER to who does not
//! name it.

use super::leg::Leg;
use super::{Agent, LegId, Reliable};

/// Transfers that the owner of a leg takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfers {
    #[default]
    None,
    /// REFER and its NOTIFYs.
    Refer,
    /// The same, and INVITE with Replaces (RFC 3891).
    Replace,
}

impl Transfers {
    /// Methods that may come within the dialog.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Transfers::None => "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, MESSAGE",
            Transfers::Refer | Transfers::Replace => {
                "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, MESSAGE, REFER, NOTIFY"
            }
        }
    }
}

impl Leg {
    /// Option tags of this leg, empty when there are none (RFC 3261 §20.37). `reliable`: the message is of an INVITE
    /// whose provisional responses may be reliable.
    pub(super) fn supported(&self, reliable: bool) -> &'static str {
        let reliable = reliable && self.reliable != Reliable::Off;
        match (reliable, self.wants.is_some(), self.transfers == Transfers::Replace) {
            (false, false, false) => "",
            (false, false, true) => "replaces",
            (false, true, false) => "timer",
            (false, true, true) => "timer, replaces",
            (true, false, false) => "100rel",
            (true, false, true) => "100rel, replaces",
            (true, true, false) => "100rel, timer",
            (true, true, true) => "100rel, timer, replaces",
        }
    }
}

impl Agent {
    /// This agent's owner deals with Replaces: an INVITE that requires it is not refused here.
    #[must_use]
    pub fn with_replaces(mut self) -> Agent {
        self.replaces = true;
        self
    }

    /// With an owner that deals with `Require: siprec` (RFC 7866).
    #[must_use]
    pub fn with_siprec(mut self) -> Agent {
        self.siprec = true;
        self
    }

    /// What the owner takes on this leg, for every Allow and Supported from now on.
    pub fn set_transfers(&mut self, leg: LegId, transfers: Transfers) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.transfers = transfers;
        }
    }
}
