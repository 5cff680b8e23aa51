//! Requests of ours outside any dialog: REGISTER, OPTIONS probes (RFC 3261 §8.1, §10.2, §11.1).
//!
//! Such a request is a leg without a dialog: Call-ID and From tag are checked in its response as in every other, a
//! request that names them is answered 481, and it is gone with its transaction. The owner has no name for the leg.

use std::sync::Arc;

use rsip::Method;

use super::challenge::Login;
use super::drops::DropReason;
use super::leg::{Leg, Phase};
use super::transactions::{NewClient, Purpose};
use super::{Agent, AgentEvent, ClientTxn, Extra, Flow, LegId, checks, write};
use crate::config::LargeRequests;
use crate::core::auth::Credentials;
use crate::time::Mono;
use crate::wire::sip::Message;

/// A request outside any dialog. Via, Max-Forwards, tag and User-Agent are the agent's; Contact, Expires and what else
/// the method wants stand in `extra`.
#[derive(Clone, Debug)]
pub struct Standalone {
    pub flow: Flow,
    /// REGISTER, OPTIONS, MESSAGE, …; not INVITE, ACK, BYE, CANCEL, PRACK.
    pub method: Method,
    pub request_uri: String,
    /// `name-addr` without tag.
    pub from: String,
    pub to: String,
    /// The same for all REGISTERs of one registration (RFC 3261 §10.2.4); `None`: a new one.
    pub call_id: Option<Box<str>>,
    /// Higher with each request of the same Call-ID.
    pub cseq: u32,
    /// What a challenge is answered with; the answer's CSeq number is one higher.
    pub credentials: Option<Arc<Credentials>>,
    /// What it does when it is too large for a datagram.
    pub large: LargeRequests,
    pub extra: Extra,
}

impl Agent {
    pub(super) fn send_standalone(&mut self, now: Mono, new: &Standalone) -> ClientTxn {
        let txn = ClientTxn(self.next_id());
        let has_own_door =
            matches!(new.method, Method::Invite | Method::Ack | Method::Bye | Method::Cancel | Method::PRack);
        let is_full = self.clients.len() + self.servers.len() >= self.config.transactions_max;
        if has_own_door || is_full {
            let status = if is_full { 503 } else { 481 };
            self.events.push_back(AgentEvent::Standalone { txn, status, response: None });
            return txn;
        }
        let (tag, branch) = (self.identity.tag(), self.identity.branch());
        let call_id = new.call_id.clone().unwrap_or_else(|| self.identity.call_id());
        let from = format!("{};tag={tag}", new.from);
        let written = write::request(
            &self.config,
            &write::Outgoing {
                allow: checks::ALLOW,
                method: new.method,
                request_uri: &new.request_uri,
                routes: &[],
                branch,
                max_forwards: 70,
                from: &from,
                to: &new.to,
                call_id: &call_id,
                cseq: new.cseq,
                flow: new.flow,
                supported: "",
                options: &[],
                extra: &new.extra,
            },
        );
        let Ok(request) = written else {
            self.drops.count(DropReason::Unwritable);
            self.events.push_back(AgentEvent::Standalone { txn, status: 500, response: None });
            return txn;
        };
        let leg = LegId(self.next_id());
        let mut entry = Leg::new(Phase::Over, &call_id, tag, new.flow);
        entry.quiet = true;
        entry.large = new.large;
        let home = new.flow.remote.ip();
        entry.login = new.credentials.clone().map(|credentials| Box::new(Login::new(credentials, home)));
        self.legs.insert(leg, Box::new(entry));
        self.by_tag.insert(tag, leg);
        let (method, purpose, cseq, flow) = (new.method, Purpose::Standalone, new.cseq, new.flow);
        self.start_client(now, txn, NewClient { method, purpose, branch, leg, cseq, request, flow });
        txn
    }

    /// Final response; provisional ones say nothing that an owner could use.
    pub(super) fn on_standalone_response(&mut self, txn: ClientTxn, status: u16, response: Option<Arc<Message>>) {
        if status >= 200 {
            self.events.push_back(AgentEvent::Standalone { txn, status, response });
        }
    }
}
