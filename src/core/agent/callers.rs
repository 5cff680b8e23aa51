//! Callers on streams whose connection is gone. Answers to them go on a connection to where their Via says (RFC 3261
//! §18.2.2); when nobody takes that either, nobody can be told anything and the call is over (§17.2.1: the transport's
//! failure ends the transaction).

use rsip::{Method, Transport};

use super::leg::Phase;
use super::{Agent, AgentEvent, Failure, LegId, ServerTxn};
use crate::core::locate::default_port;
use crate::time::Mono;

impl Agent {
    /// Takes note of a broken connection, or of one for answers that nobody took.
    pub(super) fn on_callers_connection(&mut self, now: Mono, failure: &Failure) {
        if self.by_source.is_empty() {
            return;
        }
        let (kind, ip) = (failure.transport as u8, failure.remote.ip());
        let range = (kind, ip, ServerTxn(0))..=(kind, ip, ServerTxn(u64::MAX));
        let (mut lost, mut over) = (Vec::new(), Vec::new());
        for (_, _, txn) in self.by_source.range(range) {
            let Some(entry) = self.servers.get_mut(txn) else { continue };
            if entry.flow.connection == failure.connection {
                entry.is_lost = true;
                lost.extend(entry.is_unanswered_invite().then_some(*txn));
            } else if failure.refused && entry.is_lost {
                let port = entry.request.top_via().ok().and_then(|via| via.port);
                let is_there = port.unwrap_or(default_port(failure.transport)) == failure.remote.port();
                over.extend(entry.leg.filter(|_| is_there));
            }
        }
        // The last word may have gone down with the connection. Said again it shows whether the caller can be reached.
        for txn in lost {
            self.server_repeat(now, txn);
        }
        for leg in over {
            self.lose_caller(now, leg);
        }
    }

    fn lose_caller(&mut self, now: Mono, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if matches!(leg.phase, Phase::Offered) {
            self.emit(id, AgentEvent::Ended { leg: id, reason: "caller_unreachable" });
            self.end_leg(now, id);
        } else if leg.unacked.take_if(|unacked| unacked.txn.is_none()).is_some() {
            let is_hanging = matches!(leg.phase, Phase::Hanging(_));
            self.emit(id, AgentEvent::AckTimeout { leg: id });
            if is_hanging {
                self.send_bye(now, id);
            }
            self.arm_leg(id);
        }
    }

    /// An INVITE on a connection is found by where it came from.
    pub(super) fn index_caller(&mut self, txn: ServerTxn, is_there: bool) {
        let Some(entry) = self.servers.get(&txn) else { return };
        if entry.flow.transport == Transport::Udp || entry.request.method() != Some(Method::Invite) {
            return;
        }
        let key = (entry.flow.transport as u8, entry.flow.remote.ip(), txn);
        if is_there {
            self.by_source.insert(key);
        } else {
            self.by_source.remove(&key);
        }
    }
}
