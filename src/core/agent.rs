//! SIP transactions and dialogs of both roles, as legs.
//!
//! An INVITE that arrives makes a leg in which we are the UAS; [`Agent::invite`] makes one in which we are the UAC.
//! The agent keeps what RFC 3261 asks of transactions (§17, RFC 6026), dialogs (§12) and of the UA core where it is
//! the same for every call: our 2xx is repeated until its ACK (§13.3.1.4), each copy of a 2xx from the far side gets
//! the ACK again (§13.2.2.4), a second 2xx of a fork gets ACK and BYE, CANCEL is answered 200 and BYE to an unknown
//! dialog 481. What a *call* means (who is told, what crosses from leg to leg) is [`crate::core::call`]'s.

use std::net::SocketAddr;

/// One party's connection with us, from INVITE to the last transaction of its dialog. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LegId(pub u64);

/// One request of the far side that waits for our final response (in-dialog, or out of dialog but not INVITE).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerTxn(pub u64);

/// One in-dialog request of ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientTxn(pub u64);

/// Where a message came from or goes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    pub transport: rsip::Transport,
    /// Our listening address (never unspecified once a message came in).
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// Stream connection; 0 for UDP or "any connection to `remote`, opened if need be".
    pub connection: u64,
}

// ───────────────────────── API agreed on; to be implemented below ─────────────────────────
use crate::time::{Now, Wakeup};
use crate::wire::sip::Message;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// What the agent is told of the world at start.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// `host[:port]` for Via and Contact instead of the flow's local address.
    pub advertise: Option<String>,
    /// Most transactions at once ([`crate::limits::TRANSACTIONS`]).
    pub transactions_max: usize,
}

/// Whether the sender of a datagram is somebody we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A trunk or a destination: malformed requests are answered.
    Known,
    /// Nobody: only messages of our own transactions and dialogs are looked at; everything else is a silent, counted drop.
    Stranger,
}

/// A body with its Content-Type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub content_type: String,
    pub bytes: Bytes,
}

/// What is added to a message that the agent otherwise builds itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub payload: Option<Payload>,
    /// Reason phrase instead of the RFC's.
    pub phrase: Option<String>,
}

/// A new leg in which we are the UAC. Call-ID, tags, Via, CSeq, Contact and Max-Forwards lines are the agent's.
#[derive(Clone, Debug)]
pub struct Invite {
    pub flow: Flow,
    pub request_uri: String,
    /// `name-addr` without tag.
    pub from: String,
    pub to: String,
    pub max_forwards: u8,
    /// In-dialog requests go to the source of the far side's messages, whatever its Contact says.
    pub nat: bool,
    pub extra: Extra,
}

/// Bytes for the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub flow: Flow,
    pub bytes: Bytes,
}

/// What the far sides did.
#[derive(Clone, Debug)]
pub enum AgentEvent {
    /// A new INVITE that passed the UAS checks of RFC 3261 §8.2. Nothing is sent until `trying`, `turn_away`, `refuse`, ….
    Invited { leg: LegId, request: Arc<Message>, flow: Flow },
    /// CANCEL came before a final response. It was answered 200, the INVITE 487; the leg is over.
    Cancelled { leg: LegId, request: Arc<Message> },
    /// ACK of our 2xx (first copy), with the answer when the offer was ours. `txn`: the re-INVITE, `None` for the first INVITE.
    Acked { leg: LegId, txn: Option<ServerTxn>, request: Arc<Message> },
    /// Our 2xx was never acknowledged (64·T1). The dialog exists; the owner should say BYE (RFC 3261 §13.3.1.4).
    AckTimeout { leg: LegId },
    /// 1xx (not 100) to our first INVITE.
    Provisional { leg: LegId, response: Arc<Message> },
    /// First 2xx to our first INVITE; `ack` is due now. Later copies are acknowledged by the agent, other forks ended.
    Answered { leg: LegId, response: Arc<Message> },
    /// Final failure of our first INVITE; without `response` it was time-out (408) or transport failure (503). The leg is over.
    Refused { leg: LegId, status: u16, response: Option<Arc<Message>> },
    /// In-dialog request that wants an answer by `respond` (re-INVITE, UPDATE, INFO, OPTIONS, MESSAGE, REFER, …). Requests
    /// that this table does not allow were answered by the agent (491, 500 with Retry-After, 405, …).
    Request { leg: LegId, txn: ServerTxn, request: Arc<Message> },
    /// An in-dialog re-INVITE was cancelled (487 was sent): the answer is no longer wanted.
    RequestCancelled { leg: LegId, txn: ServerTxn },
    /// BYE; answered 200 already (a pending INVITE of the far side 487). The leg is over.
    Bye { leg: LegId, request: Arc<Message> },
    /// Response to our in-dialog request; provisional ones too. A 2xx to a re-INVITE wants `ack`. No `response`: 408 or 503 of our own.
    Response { leg: LegId, txn: ClientTxn, status: u16, response: Option<Arc<Message>> },
    /// Request outside a dialog that is not INVITE, CANCEL or ACK and is allowed (OPTIONS).
    OutOfDialog { txn: ServerTxn, request: Arc<Message>, flow: Flow },
}

/// How many of each thing exist; all zero after quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentCounts {
    pub legs: usize,
    pub client_transactions: usize,
    pub server_transactions: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Agent {}

#[allow(unused_variables)]
impl Agent {
    pub fn new(config: Arc<AgentConfig>, seed: [u8; 32]) -> Agent {
        unimplemented!()
    }
    /// One whole message from the network.
    pub fn handle_datagram(&mut self, now: Now, flow: Flow, bytes: Bytes, trust: Trust) {
        unimplemented!()
    }
    pub fn handle_timeout(&mut self, now: Now) {
        unimplemented!()
    }
    /// A datagram or connection to this peer failed (ICMP, refused, reset).
    pub fn handle_transport_error(&mut self, now: Now, transport: rsip::Transport, remote: SocketAddr) {
        unimplemented!()
    }
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        unimplemented!()
    }
    pub fn poll_event(&mut self) -> Option<AgentEvent> {
        unimplemented!()
    }
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        unimplemented!()
    }
    pub fn counts(&self) -> AgentCounts {
        unimplemented!()
    }

    // ── legs in which we are the UAS ──
    /// 100 Trying.
    pub fn trying(&mut self, now: Now, leg: LegId) {
        unimplemented!()
    }
    /// 101–199 with our To tag and Contact.
    pub fn provisional(&mut self, now: Now, leg: LegId, status: u16, extra: Extra) {
        unimplemented!()
    }
    /// 200; repeated until ACK.
    pub fn answer(&mut self, now: Now, leg: LegId, extra: Extra) {
        unimplemented!()
    }
    /// 300–699 in the transaction. The leg is over.
    pub fn refuse(&mut self, now: Now, leg: LegId, status: u16, extra: Extra) {
        unimplemented!()
    }
    /// The same once and without any state (RFC 3261 §8.2.7): for refusals at the door.
    pub fn turn_away(&mut self, now: Now, leg: LegId, status: u16, extra: Extra) {
        unimplemented!()
    }

    // ── legs in which we are the UAC ──
    pub fn invite(&mut self, now: Now, invite: Invite) -> LegId {
        unimplemented!()
    }
    /// CANCEL, held back until the first provisional (RFC 3261 §9.1). A 2xx that crosses it gets ACK and BYE by the agent and
    /// is reported as `Refused { status: 487 }`.
    pub fn cancel(&mut self, now: Now, leg: LegId, extra: Extra) {
        unimplemented!()
    }
    /// ACK of the 2xx to our INVITE or re-INVITE.
    pub fn ack(&mut self, now: Now, leg: LegId, payload: Option<Payload>) {
        unimplemented!()
    }

    // ── both ──
    /// BYE, now or as soon as RFC 3261 §15 allows (a UAS waits for ACK or its time-out). No more events of this leg come.
    pub fn bye(&mut self, now: Now, leg: LegId, extra: Extra) {
        unimplemented!()
    }
    /// In-dialog request: INVITE, UPDATE, INFO, MESSAGE, OPTIONS, ….
    pub fn request(&mut self, now: Now, leg: LegId, method: rsip::Method, extra: Extra) -> ClientTxn {
        unimplemented!()
    }
    /// Lets go of a leg in any state with whatever word ends it: 500, CANCEL or BYE. No more events of this leg come.
    pub fn abandon(&mut self, now: Now, leg: LegId) {
        unimplemented!()
    }
    /// CANCEL of our pending re-INVITE.
    pub fn cancel_request(&mut self, now: Now, txn: ClientTxn) {
        unimplemented!()
    }
    /// Final or provisional response to `Request` or `OutOfDialog`.
    pub fn respond(&mut self, now: Now, txn: ServerTxn, status: u16, extra: Extra) {
        unimplemented!()
    }
    /// The far side's signalling of this leg is behind NAT: in-dialog requests go to its packets' source.
    pub fn set_nat(&mut self, leg: LegId, nat: bool) {
        unimplemented!()
    }
    /// Call-ID of a leg (for logs and ladders).
    pub fn sip_call_id(&self, leg: LegId) -> Option<&str> {
        unimplemented!()
    }
}
