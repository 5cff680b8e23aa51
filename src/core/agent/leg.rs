//! What the agent keeps of one leg.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::challenge::Login;
use super::forks::Early;
use super::identity::LocalTag;
use super::reliable::{Reliable, Sending};
use super::session::{Session, SessionTimer};
use super::{ClientTxn, Extra, Flow, ServerTxn, Transfers};
use crate::config::LargeRequests;
use crate::core::dialog::Dialog;
use crate::core::transaction::Resend;
use crate::time::{Mono, Wakeup};
use crate::wire::sip::{Message, Uri};

/// A provisional response is repeated so often, lest a proxy gives up (RFC 3261 §13.3.1.1).
pub(super) const PROVISIONAL_AGAIN: Duration = Duration::from_secs(60);

/// The same for a reliable one: each is a request more (RFC 3262 §3).
pub(super) const RELIABLY_AGAIN: Duration = Duration::from_secs(150);

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
    /// It made an offer: the ACK brings the answer.
    pub(super) offers: bool,
}

/// An UPDATE of ours without final response.
#[derive(Clone, Copy, Debug)]
pub(super) struct OurUpdate {
    pub(super) txn: ClientTxn,
    pub(super) offers: bool,
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
    pub(super) large: LargeRequests,
    /// `None`: a challenge is a failure.
    pub(super) login: Option<Box<Login>>,
    /// UAS: early or confirmed. UAC: the fork that won.
    pub(super) dialog: Option<Dialog>,
    /// UAC: early dialogs, until one wins.
    pub(super) early: Vec<Early>,
    /// Early dialogs that there ever were.
    pub(super) forks: usize,
    pub(super) reliable: Reliable,
    /// What the owner takes.
    pub(super) transfers: Transfers,
    /// The far side's INVITE takes reliable provisional responses.
    pub(super) takes_reliable: bool,
    /// Our first INVITE had a session description.
    pub(super) our_offer: bool,
    /// Their first INVITE had one.
    pub(super) their_offer: bool,
    /// CSeq number of their first INVITE.
    pub(super) invite_cseq: u32,
    /// Our reliable provisional responses, when there are any.
    pub(super) sending: Option<Box<Sending>>,
    /// What we want of session timers; `None`: nothing.
    pub(super) wants: Option<SessionTimer>,
    /// The session timer that was agreed on.
    pub(super) session: Option<Box<Session>>,
    /// The far side has said that it takes UPDATE.
    pub(super) takes_update: bool,
    /// Last session description of ours that is in force, kept for refreshes.
    pub(super) described: Option<Bytes>,
    /// The one in our re-INVITE or UPDATE, until that is answered.
    pub(super) describing: Option<Bytes>,
    /// Our first INVITE, while the leg is not confirmed.
    pub(super) first: Option<ClientTxn>,
    /// Our INVITE that has no final response, or a 2xx without ACK.
    pub(super) our_invite: Option<ClientTxn>,
    pub(super) our_update: Option<OurUpdate>,
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
            large: LargeRequests::default(),
            login: None,
            dialog: None,
            early: Vec::new(),
            forks: 0,
            reliable: Reliable::Off,
            transfers: Transfers::None,
            takes_reliable: false,
            our_offer: false,
            their_offer: false,
            invite_cseq: 0,
            sending: None,
            wants: None,
            session: None,
            takes_update: false,
            described: None,
            describing: None,
            first: None,
            our_invite: None,
            our_update: None,
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
        let reliable = self.sending.as_ref().and_then(|sending| sending.poll_timeout());
        let session = self.session.as_ref().filter(|_| self.is_talking()).map(|session| session.poll_timeout());
        let again = self.again.map(|at| (at, "1xx again"));
        unacked.into_iter().chain(again).chain(reliable).chain(session).min()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether somebody at this address may speak in the dialog without being known: who has spoken there before, and
    /// whom the far side has named as its Contact or its first proxy.
    pub(super) fn hears(&self, flow: Flow) -> bool {
        let ip = flow.remote.ip();
        let names = |dialog: &Dialog| {
            let host = |uri: &str| Uri::parse(uri).ok().and_then(|uri| uri.host.parse::<IpAddr>().ok());
            host(dialog.addressing().next_hop) == Some(ip) || host(&dialog.remote_target) == Some(ip)
        };
        self.flow.remote.ip() == ip
            || self.dialog.as_ref().is_some_and(names)
            || self.early.iter().any(|early| names(&early.dialog))
    }

    /// Our provisional responses go out reliably.
    pub(super) fn is_reliable(&self) -> bool {
        self.takes_reliable && self.reliable != Reliable::Off
    }

    /// The dialog is confirmed and nobody has hung up.
    pub(super) fn is_talking(&self) -> bool {
        matches!(self.phase, Phase::Confirmed)
    }

    /// What a message of the far side says about its abilities (RFC 3311 §4).
    pub(super) fn learn(&mut self, message: &Message) {
        if !self.takes_update {
            self.takes_update = message.list("Allow").any(|method| method == "UPDATE");
        }
    }

    /// No response of ours or theirs to an INVITE is outstanding, so that a new one may go out (§14.1).
    pub(super) fn may_invite(&self) -> bool {
        self.our_invite.is_none() && self.their_invite.is_none() && self.unacked.is_none()
    }
}
