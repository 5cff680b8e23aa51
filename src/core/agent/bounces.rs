//! Datagrams of ours that came to nobody, as ICMP says (RFC 3261 §18.4, §8.1.3.1).
//!
//! Anybody can send such a message in anybody's name. What it quotes of our datagram is the proof: the branch in it is
//! drawn and known to those on the way only. What is proved ends one transaction, the one that the datagram was of, and
//! only while nothing was heard of it; dialogs and answered calls are never touched.

use std::net::SocketAddr;

use rsip::Transport;

use super::drops::DropReason;
use super::identity::Branch;
use super::{Agent, ClientTxn};
use crate::limits;
use crate::time::Now;

impl Agent {
    /// A datagram to `remote` came to nobody; `quoted` is what the network gives back of it, from its first byte.
    pub fn handle_bounce(&mut self, now: Now, remote: SocketAddr, quoted: &[u8]) {
        self.failed.clear();
        let Some(txn) = self.bounced(remote, quoted) else {
            return self.drops.count(DropReason::BounceUnmatched);
        };
        if let Some(entry) = self.clients.get(&txn) {
            self.failed.push((entry.leg, "destination_unreachable"));
        }
        self.client_failed(now.mono, txn);
    }

    fn bounced(&self, remote: SocketAddr, quoted: &[u8]) -> Option<ClientTxn> {
        let (branch, head) = branch_of(quoted)?;
        let txn = *self.by_branch.get(&(branch, quoted.starts_with(b"CANCEL ")))?;
        let entry = self.clients.get(&txn)?;
        let is_it = entry.flow.transport == Transport::Udp && entry.flow.remote == remote;
        (is_it && entry.request.starts_with(head) && entry.is_unheard()).then_some(txn)
    }
}

/// The branch of a request of ours, and everything up to its end: what follows may be cut off, or be padding and
/// extensions (RFC 4884).
fn branch_of(quoted: &[u8]) -> Option<(Branch, &[u8])> {
    const NAME: &[u8] = b";branch=";
    let head = quoted.get(..quoted.len().min(limits::BOUNCE_QUOTED))?;
    let start = memchr::memmem::find(head, NAME)? + NAME.len();
    let end = start + memchr::memchr(b';', head.get(start..)?)?;
    let branch = Branch::parse(std::str::from_utf8(head.get(start..end)?).ok()?)?;
    Some((branch, head.get(..end)?))
}
