//! SIP transactions and dialogs of both roles, as legs.
//!
//! An INVITE that arrives makes a leg in which we are the UAS; [`Agent::invite`] makes one in which we are the UAC.
//! The agent keeps what RFC 3261 asks of transactions (§17, RFC 6026), dialogs (§12) and of the UA core where it is
//! the same for every call: our 2xx is repeated until its ACK (§13.3.1.4), each copy of a 2xx from the far side gets
//! the ACK again (§13.2.2.4), a second 2xx of a fork gets ACK and BYE, CANCEL is answered 200 and BYE to an unknown
//! dialog 481. What a *call* means (who is told, what crosses from leg to leg) is [`crate::core::call`]'s.

mod abilities;
mod bounces;
mod callers;
mod challenge;
mod checks;
mod commands;
mod door;
pub mod drops;
mod find;
mod forks;
mod identity;
mod large;
mod leg;
mod offers;
pub mod reliable;
mod requests;
mod responses;
pub mod session;
mod standalone;
mod timers;
mod transactions;
mod within;
mod write;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;

pub use self::abilities::Transfers;
use self::drops::Drops;
pub use self::forks::Fork;
use self::identity::{Branch, Identity, LocalTag};
use self::large::Large;
use self::leg::{Leg, Phase};
pub use self::reliable::Reliable;
pub use self::session::SessionTimer;
pub use self::standalone::Standalone;
use self::timers::{Timed, Timers};
use self::transactions::{ClientEntry, ServerEntry};
use crate::config::LargeRequests;
use crate::core::auth::Credentials;
use crate::core::hosts::Hosts;
use crate::core::transaction::Action;
use crate::time::{Now, Wakeup};
use crate::wire::sip::Message;

/// One party's connection with us, from INVITE to the last transaction of its dialog. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LegId(pub u64);

/// One request of the far side that waits for our final response (in-dialog, or out of dialog but not INVITE).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerTxn(pub u64);

/// One request of ours, in a dialog or outside any.
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
    /// Name that the far side's certificate is for: verified when the connection exists, wanted when we are to open
    /// one. Part of what makes two flows the same: a connection is never used for another name (CVE-2020-15260).
    pub name: Option<NameId>,
}

/// A host name by its number in the configuration's list of names, so that a [`Flow`] stays small and is copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NameId(pub u32);

/// What the agent is told of the world at start.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// `host[:port]` for Via and Contact instead of the flow's local address.
    pub hosts: Hosts,
    /// Most transactions at once ([`crate::limits::TRANSACTIONS`]).
    pub transactions_max: usize,
    /// For legs in which we are the UAS.
    pub reliable: Reliable,
    /// For legs in which we are the UAS; `None`: no session timers.
    pub session: Option<SessionTimer>,
}

/// Whether the sender of a datagram is somebody we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A trunk or a destination: malformed requests are answered.
    Known,
    /// Nobody: only messages of our own transactions and dialogs are looked at; everything else is a silent, counted
    /// drop.
    Stranger,
}

/// A body with its Content-Type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub content_type: String,
    pub bytes: Bytes,
}

/// What could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub transport: rsip::Transport,
    pub remote: SocketAddr,
    /// The stream connection that broke or never came to be; 0 for UDP.
    pub connection: u64,
    /// Name for which the connection was.
    pub name: Option<NameId>,
    /// No connection was there, and none could be made.
    pub refused: bool,
    /// Stable code: `refused`, `tls_name_mismatch`, ….
    pub why: &'static str,
}

impl Failure {
    /// A datagram's destination.
    pub const fn of_datagram(remote: SocketAddr, why: &'static str) -> Failure {
        Failure { transport: rsip::Transport::Udp, remote, connection: 0, name: None, refused: false, why }
    }

    /// The connection of this flow.
    pub const fn of(flow: &Flow, why: &'static str) -> Failure {
        let Flow { transport, remote, connection, name, .. } = *flow;
        Failure { transport, remote, connection, name, refused: false, why }
    }

    /// The same when it never came to be, because of the far side or the way there.
    pub const fn refused(flow: &Flow, why: &'static str) -> Failure {
        Failure { refused: true, ..Failure::of(flow, why) }
    }

    /// Whether what went out on this flow is lost. A flow without a connection of its own went over any connection to
    /// the same place under the same name.
    fn concerns(&self, flow: &Flow) -> bool {
        flow.connection == self.connection || (flow.connection == 0 && flow.name == self.name)
    }
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
    pub reliable: Reliable,
    /// `None`: no session timer.
    pub session: Option<SessionTimer>,
    /// What a challenge to this leg's requests is answered with; `None`: it is a failure.
    pub credentials: Option<Arc<Credentials>>,
    /// What requests of this leg do that are too large for a datagram.
    pub large: LargeRequests,
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
    /// A new INVITE that passed the UAS checks of RFC 3261 §8.2. Nothing is sent until `trying`, `turn_away`
    /// or another command.
    Invited { leg: LegId, request: Arc<Message>, flow: Flow },
    /// CANCEL, or a BYE in the early dialog, came before a final response. It was answered 200, the INVITE 487; the leg is
    /// over.
    Cancelled { leg: LegId, request: Arc<Message> },
    /// ACK of our 2xx (first copy), with the answer when the offer was ours. `txn`: the re-INVITE, `None` for the first
    /// INVITE.
    Acked { leg: LegId, txn: Option<ServerTxn>, request: Arc<Message> },
    /// Our 2xx was never acknowledged (64·T1). The dialog exists; the owner should say BYE (RFC 3261 §13.3.1.4).
    AckTimeout { leg: LegId },
    /// 1xx (not 100) to our first INVITE, each reliable one once and in order. `fork`: the early dialog that it belongs
    /// to; `None` when it has no To tag. `answer_due`: it makes an offer, which `answer_early` answers.
    Provisional { leg: LegId, fork: Option<Fork>, answer_due: bool, response: Arc<Message> },
    /// First 2xx to our first INVITE; `ack` is due now. Later copies are acknowledged by the agent, other forks ended.
    /// `fork`: the early dialog that became the dialog; `None` when nothing was heard of it before.
    Answered { leg: LegId, fork: Option<Fork>, response: Arc<Message> },
    /// Final failure of our first INVITE. Without `response` it was time-out (408), transport failure (503), a CANCEL
    /// that nobody confirmed (487) or an INVITE that cannot be written (500). The leg is over.
    Refused { leg: LegId, status: u16, response: Option<Arc<Message>> },
    /// In-dialog request that wants an answer by `respond`: re-INVITE, UPDATE with an offer, PRACK with an offer or where
    /// an answer is due, INFO, OPTIONS, MESSAGE, REFER, …. An UPDATE without offer and other PRACKs were answered.
    /// `fork`: the early dialog of our INVITE in which it came.
    /// Requests that this table does not allow were answered by the agent (491, 500 with Retry-After, 405, …).
    Request { leg: LegId, fork: Option<Fork>, txn: ServerTxn, request: Arc<Message> },
    /// An in-dialog re-INVITE was cancelled (487 was sent): the answer is no longer wanted.
    RequestCancelled { leg: LegId, txn: ServerTxn },
    /// BYE; answered 200 already (a pending INVITE of the far side 487). The leg is over.
    Bye { leg: LegId, request: Arc<Message> },
    /// The agent has refreshed the session by re-INVITE; the far side's answer to the unchanged offer may have changed.
    Refreshed { leg: LegId, response: Arc<Message> },
    /// The agent has ended the leg (final response or BYE is out): `no_prack`, `session_expired`,
    /// `session_refresh_failed`, `caller_unreachable`.
    Ended { leg: LegId, reason: &'static str },
    /// Response to our in-dialog request; provisional ones too. A 2xx to a re-INVITE wants `ack`. No `response`: 408,
    /// 503, 491, 481 … of our own.
    Response { leg: LegId, txn: ClientTxn, status: u16, response: Option<Arc<Message>> },
    /// Final response to a request of ours outside any dialog. No `response`: 408 (nobody answered), 503 (transport
    /// failure or no room), 500 (cannot be written), 481 (a method that needs a dialog).
    Standalone { txn: ClientTxn, status: u16, response: Option<Arc<Message>> },
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
pub struct Agent {
    config: Arc<AgentConfig>,
    identity: Identity,
    /// Its owner deals with Replaces.
    replaces: bool,
    /// Its owner deals with recording sessions.
    siprec: bool,
    last_id: u64,
    /// Boxed: a leg is large, and the table moves what it holds when it grows.
    legs: HashMap<LegId, Box<Leg>, FixedState>,
    by_tag: HashMap<LocalTag, LegId, FixedState>,
    clients: HashMap<ClientTxn, ClientEntry, FixedState>,
    /// Our branch, and whether it is the CANCEL that shares it with its INVITE.
    by_branch: HashMap<(Branch, bool), ClientTxn, FixedState>,
    /// By transport and address, for the network's errors.
    by_peer: BTreeSet<(u8, SocketAddr, ClientTxn)>,
    servers: HashMap<ServerTxn, ServerEntry, FixedState>,
    /// INVITEs that came on connections, by transport and address.
    by_source: BTreeSet<(u8, IpAddr, ServerTxn)>,
    // Keys that the far side chooses: a hasher that it cannot steer.
    by_key: HashMap<Box<str>, ServerTxn>,
    by_merge: HashMap<Box<str>, ServerTxn>,
    timers: Timers,
    large: Large,
    transmits: VecDeque<Transmit>,
    events: VecDeque<AgentEvent>,
    drops: Drops,
    /// What a transaction machine wants done; kept for its memory.
    actions: Vec<Action>,
    /// Legs of the last transport error, and its code.
    failed: Vec<(LegId, &'static str)>,
}

impl Agent {
    pub fn new(config: Arc<AgentConfig>, seed: [u8; 32]) -> Agent {
        Agent {
            config,
            identity: Identity::new(seed),
            replaces: false,
            siprec: false,
            last_id: 0,
            legs: HashMap::default(),
            by_tag: HashMap::default(),
            clients: HashMap::default(),
            by_branch: HashMap::default(),
            by_peer: BTreeSet::new(),
            servers: HashMap::default(),
            by_source: BTreeSet::new(),
            by_key: HashMap::new(),
            by_merge: HashMap::new(),
            timers: Timers::default(),
            large: Large::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            drops: Drops::default(),
            actions: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// One whole message from the network.
    pub fn handle_datagram(&mut self, now: Now, flow: Flow, bytes: Bytes, trust: Trust) {
        match Message::parse(bytes.clone()) {
            Ok(message) if message.is_request() => self.on_request(now.mono, flow, &Arc::new(message), trust),
            Ok(message) => self.on_response(now.mono, flow, Arc::new(message)),
            Err(fault) => self.on_garbage(flow, bytes, fault, trust),
        }
    }

    /// Does what is due. To be called at the time that [`Agent::poll_timeout`] names, or later.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timed) = self.timers.pop(now.mono) {
            match timed {
                Timed::Client(txn) => self.client_timeout(now.mono, txn),
                Timed::Server(txn) => self.server_timeout(now.mono, txn),
                Timed::Leg(leg) => self.leg_timeout(now.mono, leg),
            }
        }
    }

    /// A datagram or connection to this peer failed (ICMP, refused, reset). Only requests that it concerns fail, and
    /// of those only what has heard nothing yet.
    pub fn handle_transport_error(&mut self, now: Now, failure: &Failure) {
        self.failed.clear();
        self.note_refused(now.mono, failure);
        self.on_callers_connection(now.mono, failure);
        for txn in self.clients_to(failure.transport, failure.remote) {
            let Some(entry) = self.clients.get(&txn).filter(|entry| failure.concerns(&entry.flow)) else { continue };
            if entry.datagram.is_some() && self.fall_back(now.mono, txn) {
                continue;
            }
            let Some(entry) = self.clients.get(&txn) else { continue };
            self.failed.push((entry.leg, failure.why));
            self.client_failed(now.mono, txn);
        }
    }

    /// Why the last [`Agent::handle_transport_error`] failed this leg, if it did.
    pub fn why_failed(&self, leg: LegId) -> Option<&'static str> {
        self.failed.iter().find(|(failed, _)| *failed == leg).map(|(_, why)| *why)
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<AgentEvent> {
        self.events.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        self.timers.next()
    }

    pub fn counts(&self) -> AgentCounts {
        AgentCounts {
            legs: self.legs.len(),
            client_transactions: self.clients.len(),
            server_transactions: self.servers.len(),
        }
    }

    /// What was dropped or refused by the agent itself, by reason.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Counts a message that its owner threw away in front of the agent.
    pub fn dropped(&mut self, reason: drops::DropReason) {
        self.drops.count(reason);
    }

    // ── legs in which we are the UAS ──
    /// 100 Trying.
    pub fn trying(&mut self, now: Now, leg: LegId) {
        self.send_provisional(now.mono, leg, 100, &Extra::default());
    }

    /// 101–199 with our To tag and Contact; repeated every minute until the final response. Goes out reliably when the
    /// far side takes that (RFC 3262): one after the other, each until its PRACK.
    pub fn provisional(&mut self, now: Now, leg: LegId, status: u16, extra: Extra) {
        self.send_provisional(now.mono, leg, status, &extra);
    }

    /// 200; repeated until ACK. Waits for the PRACK of a reliable provisional response with a description.
    pub fn answer(&mut self, now: Now, leg: LegId, extra: Extra) {
        self.send_answer(now.mono, leg, &extra);
    }

    /// 300–699 in the transaction. The leg is over.
    pub fn refuse(&mut self, now: Now, leg: LegId, status: u16, extra: Extra) {
        self.send_refusal(now.mono, leg, status, &extra);
    }

    /// The same once and without any state (RFC 3261 §8.2.7): for refusals at the door.
    pub fn turn_away(&mut self, now: Now, leg: LegId, status: u16, extra: Extra) {
        self.send_away(now.mono, leg, status, &extra);
    }

    // ── legs in which we are the UAC ──
    pub fn invite(&mut self, now: Now, invite: Invite) -> LegId {
        self.send_invite(now.mono, &invite, Transfers::None)
    }

    /// The same on a leg that takes transfers.
    pub fn invite_taking(&mut self, now: Now, invite: Invite, transfers: Transfers) -> LegId {
        self.send_invite(now.mono, &invite, transfers)
    }

    /// CANCEL, held back until the first provisional (RFC 3261 §9.1). A 2xx that crosses it gets ACK and BYE by the
    /// agent and is reported as `Refused { status: 487 }`. Without effect once `Answered` was reported: say `bye` then.
    pub fn cancel(&mut self, now: Now, leg: LegId, extra: Extra) {
        self.cancel_leg(now.mono, leg, extra);
    }

    /// PRACK with the answer to the offer of a reliable provisional response (`answer_due`). Its response is an
    /// [`AgentEvent::Response`] only when it cannot be sent.
    pub fn answer_early(&mut self, now: Now, leg: LegId, fork: Fork, extra: Extra) -> ClientTxn {
        self.answer_early_offer(now.mono, leg, fork, extra)
    }

    /// ACK of the 2xx to our INVITE or re-INVITE.
    pub fn ack(&mut self, _now: Now, leg: LegId, payload: Option<Payload>) {
        self.send_ack(leg, payload);
    }

    // ── outside any dialog ──
    /// A request of our own that belongs to no leg; answered by [`AgentEvent::Standalone`].
    pub fn standalone(&mut self, now: Now, request: Standalone) -> ClientTxn {
        self.send_standalone(now.mono, &request)
    }

    // ── both ──
    /// BYE, now or as soon as RFC 3261 §15 allows (a UAS waits for ACK or its time-out; an unanswered leg is refused or
    /// cancelled). No more events of this leg come.
    pub fn bye(&mut self, now: Now, leg: LegId, extra: Extra) {
        self.hang_up(now.mono, leg, extra);
    }

    /// In-dialog request: INVITE, UPDATE, INFO, MESSAGE, OPTIONS, ….
    ///
    /// What cannot be sent is answered at once, as [`AgentEvent::Response`] without `response`: 491 to an INVITE while
    /// another is pending in either direction (RFC 3261 §14.1) or to an offer while another stands (RFC 3311 §5.1), 481
    /// without a dialog. While our INVITE has no final response it goes to the first early dialog.
    pub fn request(&mut self, now: Now, leg: LegId, method: rsip::Method, extra: Extra) -> ClientTxn {
        self.send_request(now.mono, leg, None, method, &extra)
    }

    /// The same in one early dialog of our INVITE.
    pub fn request_in(&mut self, now: Now, leg: LegId, fork: Fork, method: rsip::Method, extra: Extra) -> ClientTxn {
        self.send_request(now.mono, leg, Some(fork), method, &extra)
    }

    /// CANCEL of our pending re-INVITE.
    pub fn cancel_request(&mut self, now: Now, txn: ClientTxn) {
        self.cancel_client(now.mono, txn, Extra::default());
    }

    /// Final or provisional response to `Request` or `OutOfDialog`.
    pub fn respond(&mut self, now: Now, txn: ServerTxn, status: u16, extra: Extra) {
        if (100..700).contains(&status) {
            self.reply(now.mono, txn, status, &extra);
        }
    }

    /// The far side's signalling of this leg is behind NAT: in-dialog requests go to its packets' source.
    pub fn set_nat(&mut self, leg: LegId, nat: bool) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.nat = nat;
        }
    }

    /// The far side's INVITE has no final response: none was given yet, or a 2xx is held back for a PRACK.
    pub fn is_unanswered(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| matches!(leg.phase, Phase::Offered))
    }

    /// Provisional responses of this leg go out reliably, so that one of them can carry an offer or a binding answer.
    pub fn is_reliable(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.is_reliable())
    }

    /// The far side has said that it takes UPDATE (RFC 3311 §4).
    pub fn takes_update(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.takes_update)
    }

    /// What challenges to our requests within this leg's dialog are answered with. They go to where the leg began only.
    pub fn set_credentials(&mut self, leg: LegId, credentials: Option<Arc<Credentials>>) {
        self.log_in(leg, credentials);
    }

    /// Our first INVITE of this leg has a provisional response, 100 Trying included.
    pub fn is_proceeding(&self, leg: LegId) -> bool {
        let first = self.legs.get(&leg).and_then(|leg| leg.first);
        first.and_then(|txn| self.clients.get(&txn)).is_some_and(transactions::ClientEntry::is_proceeding)
    }

    /// Call-ID of a leg (for logs and ladders).
    pub fn sip_call_id(&self, leg: LegId) -> Option<&str> {
        self.legs.get(&leg).map(|leg| &*leg.call_id)
    }

    /// The plain Contact of a request of ours on this flow, for who adds to it: one in [`Extra`] takes its place.
    pub fn contact(&self, flow: &Flow, request_uri: &str) -> String {
        write::contact(&self.config, *flow, request_uri)
    }

    /// The same within a leg.
    pub fn contact_of(&self, leg: LegId) -> Option<String> {
        self.legs.get(&leg).map(|leg| write::contact(&self.config, leg.flow, &leg.request_uri))
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.transmits.push_back(Transmit { flow, bytes });
    }

    /// Tells the owner of a leg, unless it has said or was told that the leg is over.
    fn emit(&mut self, leg: LegId, event: AgentEvent) {
        if self.legs.get(&leg).is_some_and(|leg| !leg.quiet) {
            self.events.push_back(event);
        }
    }
}

#[cfg(test)]
impl Agent {
    /// Nothing is left: no leg, no transaction, no index entry, no timer.
    fn assert_empty(&self, ladder: &str) {
        assert_eq!(self.counts(), AgentCounts::default(), "{ladder}");
        let indexes = [self.by_tag.len(), self.by_branch.len(), self.by_peer.len(), self.by_key.len()];
        assert_eq!(indexes, [0; 4], "{ladder}");
        assert_eq!((self.by_merge.len(), self.by_source.len(), self.timers.len()), (0, 0, 0), "{ladder}");
        assert!(self.transmits.is_empty() && self.events.is_empty(), "{ladder}");
    }
}

#[cfg(test)]
mod tests;
