//! What the agent keeps of one leg.

use std::time::Duration;

use bytes::Bytes;

use super::challenge::Login;
use super::identity::LocalTag;
use super::{ClientTxn, Extra, Flow, ServerTxn};
use crate::core::dialog::Dialog;
use crate::core::transaction::Resend;
use crate::time::{Mono, Wakeup};

/// A provisional response is repeated so often, lest a proxy gives up (RFC 3261 §13.3.1.1).
pub(super) const PROVISIONAL_AGAIN: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// UAS: their INVITE has no final response.
    Offered,
    /// UAC: our INVITE has no final response.
    Calling,
    /// UAC: the same, but nobody wants the answer any more.
    Cancelling,
    /// A 2xx is out or in.
    Confirmed,
    /// UAS: BYE waits for the ACK of our 2xx (§15).
    Hanging(Box<Extra>),
    /// Only transactions are left; nothing is told.
    Over,
}

/// Our 2xx that waits for ACK (§13.3.1.4).
#[derive(Clone, Debug)]
pub(super) struct Unacked {
    /// The re-INVITE; `None` for the first INVITE.
    pub(super) txn: Option<ServerTxn>,
    pub(super) cseq: u32,
    pub(super) bytes: Bytes,
    pub(super) flow: Flow,
    pub(super) resend: Resend,
    pub(super) until: Mono,
}

/// An ACK that we sent for a 2xx: copies of the 2xx get it again (§13.2.2.4).
#[derive(Clone, Debug)]
pub(super) struct SentAck {
    pub(super) cseq: u32,
    pub(super) remote_tag: Box<str>,
    pub(super) bytes: Bytes,
    pub(super) flow: Flow,
}

#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) phase: Phase,
    /// The owner has said BYE or was told the end.
    pub(super) quiet: bool,
    pub(super) call_id: Box<str>,
    pub(super) tag: LocalTag,
    /// From of our requests, with tag.
    pub(super) local: Box<str>,
    /// UAC: To of our INVITE, without tag.
    pub(super) to: Box<str>,
    /// UAC: Request-URI of our INVITE.
    pub(super) request_uri: Box<str>,
    /// Where the far side's last message came from.
    pub(super) flow: Flow,
    pub(super) nat: bool,
    /// `None`: a challenge is a failure.
    pub(super) login: Option<Box<Login>>,
    /// Early or confirmed; the fork that won.
    pub(super) dialog: Option<Dialog>,
    /// Our first INVITE, while the leg is not confirmed.
    pub(super) first: Option<ClientTxn>,
    /// Our INVITE that has no final response, or a 2xx without ACK.
    pub(super) our_invite: Option<ClientTxn>,
    /// CSeq number of a 2xx that the owner has to `ack`.
    pub(super) ack_due: Option<u32>,
    pub(super) acks: Vec<SentAck>,
    /// Their INVITE that has no final response.
    pub(super) their_invite: Option<ServerTxn>,
    /// Their other requests that have none.
    pub(super) waiting: Vec<ServerTxn>,
    pub(super) unacked: Option<Unacked>,
    /// When the provisional response of `their_invite` goes out again.
    pub(super) again: Option<Mono>,
    /// Live transactions of this leg.
    pub(super) transactions: usize,
    pub(super) armed: Option<Mono>,
}

impl Leg {
    pub(super) fn new(phase: Phase, call_id: &str, tag: LocalTag, flow: Flow) -> Leg {
        Leg {
            phase,
            quiet: false,
            call_id: call_id.into(),
            tag,
            local: "".into(),
            to: "".into(),
            request_uri: "".into(),
            flow,
            nat: false,
            login: None,
            dialog: None,
            first: None,
            our_invite: None,
            ack_due: None,
            acks: Vec::new(),
            their_invite: None,
            waiting: Vec::new(),
            unacked: None,
            again: None,
            transactions: 0,
            armed: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let unacked = self.unacked.as_ref().map(|unacked| match unacked.until <= unacked.resend.at {
            true => (unacked.until, "no ACK"),
            false => (unacked.resend.at, "2xx again"),
        });
        unacked.into_iter().chain(self.again.map(|at| (at, "1xx again"))).min()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// No response of ours or theirs to an INVITE is outstanding, so that a new one may go out (§14.1).
    pub(super) fn may_invite(&self) -> bool {
        self.our_invite.is_none() && self.their_invite.is_none() && self.unacked.is_none()
    }
}
