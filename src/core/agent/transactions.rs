//! The tables of live transactions: matching, timers, and doing what the machines ask.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rsip::{Method, Transport};

use super::challenge::Challenged;
use super::identity::{Branch, LocalTag};
use super::large::Datagram;
use super::timers::Timed;
use super::{Agent, ClientTxn, Extra, Flow, LegId, ServerTxn, write};
use crate::core::transaction::{Action, client, client_invite, server, server_invite};
use crate::time::{Mono, Wakeup};
use crate::wire::sip::Message;

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The INVITE that made the leg.
    First,
    Cancel,
    Bye,
    /// The owner's in-dialog request.
    Request,
    /// PRACK of a reliable provisional response.
    Prack,
    /// Refresh of the session by the agent itself.
    Refresh,
    /// The owner's request outside any dialog.
    Standalone,
}

/// How far the cancelling of an INVITE of ours has come (RFC 3261 §9.1).
#[derive(Clone, Debug)]
pub(super) enum Cancel {
    No,
    /// Waits for a provisional response.
    Held(Box<Extra>),
    /// Without a final response by then the INVITE is taken for cancelled.
    Sent(Mono),
}

#[derive(Clone, Debug)]
pub(super) enum ClientMachine {
    Invite(client_invite::ClientInvite),
    Other(client::Client),
}

#[derive(Clone, Debug)]
pub(super) struct ClientEntry {
    pub(super) machine: ClientMachine,
    pub(super) branch: Branch,
    pub(super) method: Method,
    pub(super) purpose: Purpose,
    pub(super) leg: LegId,
    pub(super) cseq: u32,
    pub(super) request: Bytes,
    pub(super) flow: Flow,
    /// Of a request that goes over TCP because of its size.
    pub(super) datagram: Option<Datagram>,
    pub(super) cancel: Cancel,
    pub(super) challenged: Challenged,
    armed: Option<Mono>,
}

#[derive(Clone, Debug)]
pub(super) enum ServerMachine {
    Invite(server_invite::ServerInvite),
    Other(server::Server),
}

#[derive(Clone, Debug)]
pub(super) struct ServerEntry {
    pub(super) machine: ServerMachine,
    key: Box<str>,
    merge: Option<Box<str>>,
    pub(super) request: Arc<Message>,
    pub(super) flow: Flow,
    /// Newest response.
    last: Option<Bytes>,
    /// For the To header of responses, when the request has none.
    pub(super) to_tag: Option<LocalTag>,
    pub(super) leg: Option<LegId>,
    /// The connection that it came on is gone.
    pub(super) is_lost: bool,
    armed: Option<Mono>,
}

/// A request of ours that is about to leave.
#[derive(Debug)]
pub(super) struct NewClient {
    pub(super) method: Method,
    pub(super) purpose: Purpose,
    pub(super) branch: Branch,
    pub(super) leg: LegId,
    pub(super) cseq: u32,
    pub(super) request: Bytes,
    pub(super) flow: Flow,
}

/// A request of theirs that gets a transaction.
pub(super) struct NewServer {
    pub(super) key: Box<str>,
    pub(super) merge: Option<Box<str>>,
    pub(super) request: Arc<Message>,
    pub(super) flow: Flow,
    pub(super) to_tag: Option<LocalTag>,
    pub(super) leg: Option<LegId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientInput {
    /// With this status.
    Response(u16),
    TransportError,
    Timeout,
}

/// What a client machine has for its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    Deliver,
    TimedOut,
    Failed,
}

impl Agent {
    /// Starts a client transaction: the request goes out.
    pub(super) fn start_client(&mut self, now: Mono, txn: ClientTxn, mut new: NewClient) {
        let larger = self.over_tcp(Some(now), new.leg, new.flow, &new.request);
        let datagram = larger.map(|(flow, request)| {
            Box::new((std::mem::replace(&mut new.flow, flow), std::mem::replace(&mut new.request, request)))
        });
        let reliable = new.flow.transport != Transport::Udp;
        let mut actions = Vec::new();
        let machine = if new.method == Method::Invite {
            ClientMachine::Invite(client_invite::ClientInvite::start(now, reliable, &mut actions))
        } else {
            ClientMachine::Other(client::Client::start(now, reliable, &mut actions))
        };
        self.transmit(new.flow, new.request.clone());
        self.by_branch.insert((new.branch, new.method == Method::Cancel), txn);
        self.by_peer.insert((new.flow.transport as u8, new.flow.remote, txn));
        if let Some(leg) = self.legs.get_mut(&new.leg) {
            leg.transactions += 1;
        }
        let NewClient { method, purpose, branch, leg, cseq, request, flow } = new;
        let (cancel, challenged) = (Cancel::No, Challenged::default());
        let entry = ClientEntry {
            machine,
            branch,
            method,
            purpose,
            leg,
            cseq,
            request,
            flow,
            datagram,
            cancel,
            challenged,
            armed: None,
        };
        self.clients.insert(txn, entry);
        self.arm_client(txn);
    }

    /// Runs a client machine. A transaction that ended is gone afterwards.
    pub(super) fn drive_client(
        &mut self,
        now: Mono,
        txn: ClientTxn,
        input: ClientInput,
        response: Option<&Message>,
    ) -> Outcome {
        let Some(entry) = self.clients.get_mut(&txn) else { return Outcome::Nothing };
        let mut actions = std::mem::take(&mut self.actions);
        let is_over = match &mut entry.machine {
            ClientMachine::Invite(machine) => {
                use client_invite::{Input, State};
                let input = match input {
                    ClientInput::Response(..200) => Input::Provisional,
                    ClientInput::Response(200..300) => Input::Success,
                    ClientInput::Response(_) => Input::Failure,
                    ClientInput::TransportError => Input::TransportError,
                    ClientInput::Timeout => Input::Timeout,
                };
                machine.handle(now, input, &mut actions);
                machine.state() == State::Terminated
            }
            ClientMachine::Other(machine) => {
                use client::{Input, State};
                let input = match input {
                    ClientInput::Response(..200) => Input::Provisional,
                    ClientInput::Response(_) => Input::Final,
                    ClientInput::TransportError => Input::TransportError,
                    ClientInput::Timeout => Input::Timeout,
                };
                machine.handle(now, input, &mut actions);
                machine.state() == State::Terminated
            }
        };
        let mut outcome = Outcome::Nothing;
        for action in actions.drain(..) {
            let Some(entry) = self.clients.get(&txn) else { break };
            match action {
                Action::Send => self.transmit(entry.flow, entry.request.clone()),
                Action::SendAck => {
                    let ack = response.and_then(|response| write::failure_ack(&entry.request, response));
                    let flow = entry.flow;
                    if let Some(ack) = ack {
                        self.transmit(flow, ack);
                    }
                }
                Action::Deliver => outcome = Outcome::Deliver,
                Action::TimedOut => outcome = Outcome::TimedOut,
                Action::TransportFailed => outcome = Outcome::Failed,
            }
        }
        self.actions = actions;
        if is_over {
            self.remove_client(txn);
        } else {
            self.arm_client(txn);
        }
        outcome
    }

    pub(super) fn arm_client(&mut self, txn: ClientTxn) {
        let Some(entry) = self.clients.get_mut(&txn) else { return };
        let wanted = entry.poll_timeout();
        self.timers.set(Timed::Client(txn), &mut entry.armed, wanted);
    }

    pub(super) fn remove_client(&mut self, txn: ClientTxn) {
        let Some(mut entry) = self.clients.remove(&txn) else { return };
        self.timers.set(Timed::Client(txn), &mut entry.armed, None);
        self.by_branch.remove(&(entry.branch, entry.method == Method::Cancel));
        self.by_peer.remove(&(entry.flow.transport as u8, entry.flow.remote, txn));
        self.release_leg(entry.leg);
    }

    /// Gives a transaction another number, so that its old one may name the request that follows it.
    pub(super) fn rename_client(&mut self, old: ClientTxn) {
        let Some(mut entry) = self.clients.remove(&old) else { return };
        let txn = ClientTxn(self.next_id());
        self.timers.set(Timed::Client(old), &mut entry.armed, None);
        self.by_branch.insert((entry.branch, entry.method == Method::Cancel), txn);
        self.by_peer.remove(&(entry.flow.transport as u8, entry.flow.remote, old));
        self.by_peer.insert((entry.flow.transport as u8, entry.flow.remote, txn));
        self.clients.insert(txn, entry);
        self.arm_client(txn);
    }

    /// Client transactions whose requests went to this address.
    pub(super) fn clients_to(&self, transport: Transport, remote: SocketAddr) -> Vec<ClientTxn> {
        let kind = transport as u8;
        let range = (kind, remote, ClientTxn(0))..=(kind, remote, ClientTxn(u64::MAX));
        self.by_peer.range(range).map(|(_, _, txn)| *txn).collect()
    }

    /// Makes a server transaction; nothing goes out yet.
    pub(super) fn start_server(&mut self, now: Mono, new: NewServer) -> ServerTxn {
        let txn = ServerTxn(self.next_id());
        let reliable = new.flow.transport != Transport::Udp;
        let machine = if new.request.method() == Some(Method::Invite) {
            ServerMachine::Invite(server_invite::ServerInvite::new(reliable))
        } else {
            ServerMachine::Other(server::Server::new(now, reliable))
        };
        self.by_key.insert(new.key.clone(), txn);
        if let Some(merge) = &new.merge {
            self.by_merge.insert(merge.clone(), txn);
        }
        if let Some(leg) = new.leg.and_then(|id| self.legs.get_mut(&id)) {
            leg.transactions += 1;
        }
        let NewServer { key, merge, request, flow, to_tag, leg } = new;
        let entry =
            ServerEntry { machine, key, merge, request, flow, last: None, to_tag, leg, is_lost: false, armed: None };
        self.servers.insert(txn, entry);
        self.index_caller(txn, true);
        self.arm_server(txn);
        txn
    }

    /// A copy of the request came.
    pub(super) fn server_request_again(&mut self, now: Mono, txn: ServerTxn) {
        self.drive_server(now, txn, server_invite::Input::Request, server::Input::Request);
    }

    /// The ACK of a response to INVITE came; true when it is for the user (the response was a 2xx).
    pub(super) fn server_ack(&mut self, now: Mono, txn: ServerTxn) -> bool {
        // Only INVITE transactions are found by an ACK.
        self.drive_server(now, txn, server_invite::Input::Ack, server::Input::Request)
    }

    /// Sends a response in its transaction.
    pub(super) fn server_respond(&mut self, now: Mono, txn: ServerTxn, status: u16, bytes: Bytes) {
        let Some(entry) = self.servers.get_mut(&txn) else { return };
        entry.last = Some(bytes);
        let (invite, other) = match status {
            ..200 => (server_invite::Input::Provisional, server::Input::Provisional),
            200..300 => (server_invite::Input::Success, server::Input::Final),
            _ => (server_invite::Input::Failure, server::Input::Final),
        };
        self.drive_server(now, txn, invite, other);
    }

    /// The newest response once more (RFC 3261 §13.3.1.1).
    pub(super) fn server_repeat(&mut self, now: Mono, txn: ServerTxn) {
        self.drive_server(now, txn, server_invite::Input::Provisional, server::Input::Provisional);
    }

    pub(super) fn server_timeout(&mut self, now: Mono, txn: ServerTxn) {
        if let Some(entry) = self.servers.get_mut(&txn) {
            entry.armed = None;
        }
        self.drive_server(now, txn, server_invite::Input::Timeout, server::Input::Timeout);
    }

    pub(super) fn client_timer_fired(&mut self, txn: ClientTxn) {
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.armed = None;
        }
    }

    pub(super) fn remove_server(&mut self, txn: ServerTxn) {
        self.index_caller(txn, false);
        let Some(mut entry) = self.servers.remove(&txn) else { return };
        self.timers.set(Timed::Server(txn), &mut entry.armed, None);
        self.by_key.remove(&entry.key);
        if let Some(merge) = &entry.merge {
            self.by_merge.remove(merge);
        }
        if let Some(id) = entry.leg {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.waiting.retain(|waiting| *waiting != txn);
            }
            self.release_leg(id);
        }
    }

    fn drive_server(&mut self, now: Mono, txn: ServerTxn, invite: server_invite::Input, other: server::Input) -> bool {
        let Some(entry) = self.servers.get_mut(&txn) else { return false };
        let mut actions = std::mem::take(&mut self.actions);
        let is_over = match &mut entry.machine {
            ServerMachine::Invite(machine) => {
                machine.handle(now, invite, &mut actions);
                machine.state() == server_invite::State::Terminated
            }
            ServerMachine::Other(machine) => {
                machine.handle(now, other, &mut actions);
                machine.state() == server::State::Terminated
            }
        };
        let mut deliver = false;
        for action in actions.drain(..) {
            match action {
                Action::Send => {
                    let sent = self.servers.get(&txn).and_then(|entry| Some((entry.flow, entry.last.clone()?)));
                    if let Some((flow, bytes)) = sent {
                        self.transmit(flow, bytes);
                    }
                }
                Action::Deliver => deliver = true,
                // A refusal that nobody acknowledged: there is nothing more to do (Timer H).
                Action::TimedOut => {}
                // Only client machines say these.
                Action::SendAck | Action::TransportFailed => {}
            }
        }
        self.actions = actions;
        if is_over {
            self.remove_server(txn);
        } else {
            self.arm_server(txn);
        }
        deliver
    }

    fn arm_server(&mut self, txn: ServerTxn) {
        let Some(entry) = self.servers.get_mut(&txn) else { return };
        let wanted = match &entry.machine {
            ServerMachine::Invite(machine) => machine.poll_timeout(),
            ServerMachine::Other(machine) => machine.poll_timeout(),
        };
        self.timers.set(Timed::Server(txn), &mut entry.armed, wanted);
    }
}

impl ClientEntry {
    fn poll_timeout(&self) -> Option<Wakeup> {
        let machine = match &self.machine {
            ClientMachine::Invite(machine) => machine.poll_timeout(),
            ClientMachine::Other(machine) => machine.poll_timeout(),
        };
        let cancelled = match self.cancel {
            Cancel::Sent(until) if self.is_unanswered() => Some((until, "cancelled")),
            _ => None,
        };
        machine.into_iter().chain(cancelled).min()
    }

    /// Without final response.
    pub(super) fn is_open(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(_) => self.is_unanswered(),
            ClientMachine::Other(machine) => {
                matches!(machine.state(), client::State::Trying | client::State::Proceeding)
            }
        }
    }

    /// An INVITE without final response.
    pub(super) fn is_unanswered(&self) -> bool {
        use client_invite::State;
        matches!(&self.machine, ClientMachine::Invite(machine)
            if matches!(machine.state(), State::Calling | State::Proceeding))
    }

    /// An INVITE that got a provisional response, so that CANCEL may go out.
    pub(super) fn is_proceeding(&self) -> bool {
        matches!(&self.machine, ClientMachine::Invite(machine) if machine.state() == client_invite::State::Proceeding)
    }
}

impl ServerEntry {
    /// Newest response.
    pub(super) fn last_response(&self) -> Option<Bytes> {
        self.last.clone()
    }

    /// Without final response.
    pub(super) fn is_unanswered(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(_) => self.is_unanswered_invite(),
            ServerMachine::Other(machine) => {
                matches!(machine.state(), server::State::Trying | server::State::Proceeding)
            }
        }
    }

    /// An INVITE without final response.
    pub(super) fn is_unanswered_invite(&self) -> bool {
        matches!(&self.machine, ServerMachine::Invite(machine) if machine.state() == server_invite::State::Proceeding)
    }
}
