//! Those whom only a password makes a trunk: challenged without any state, and counted when they guess.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use rsip::{Method, Transport};

use super::B2bua;
use crate::config::Trunk;
use crate::core::agent::drops::DropReason;
use crate::core::agent::{Extra, Flow};
use crate::core::auth::server::{self, Shown};
use crate::core::defence::{Verdict, sources};
use crate::time::{Mono, Now};
use crate::wire::sip::Message;

/// What may be asked for credentials.
const ASKED: [&[u8]; 3] = [b"INVITE ", b"OPTIONS ", b"REGISTER "];
/// What follows our refusals and can bear no credentials that count (RFC 3261 §22.1).
const FOLLOWING: [&[u8]; 2] = [b"ACK ", b"CANCEL "];

impl B2bua {
    /// Whether a stranger's message may be the begin of a login. `Some(false)`: it belongs to one and says nothing.
    /// `None`: it is a stranger's like any other.
    pub(super) fn may_log_in(&self, now: Mono, source: IpAddr, bytes: &[u8]) -> Option<bool> {
        self.settings.directory.users()?;
        if self.defence.is_banned(now, source) || sources::points(bytes).0 > sources::USUAL {
            return None;
        }
        let is = |methods: &[&[u8]]| methods.iter().any(|method| bytes.starts_with(method));
        if is(&ASKED) { Some(true) } else { is(&FOLLOWING).then_some(false) }
    }

    /// Whether the sender is somebody by a login only.
    pub(super) fn must_log_in(&self, flow: &Flow, bytes: &[u8]) -> bool {
        if self.settings.directory.users().is_none() || !ASKED.iter().any(|method| bytes.starts_with(method)) {
            return false;
        }
        let source = flow.remote.ip();
        let is_trunk =
            self.settings.directory.trunk_of(flow).is_some() || self.registrations.trunk_at(source).is_some();
        // A destination of ours is somebody already, but its calls are nobody's.
        let asks = !self.is_known(source) && flow.name.is_none() || bytes.starts_with(b"INVITE ");
        !is_trunk && asks && !self.agent.may_belong(bytes)
    }

    /// Judges a request that needs credentials, and answers it when they do not do. `Some(None)`: it needs none.
    pub(super) fn log_in(&mut self, now: Now, flow: Flow, bytes: &Bytes) -> Option<Option<Arc<Trunk>>> {
        let source = flow.remote.ip();
        let is_stranger = !self.is_known(source) && flow.name.is_none();
        if !self.logins.may_try(now.mono, source) {
            if is_stranger {
                self.on_stranger(now, source, bytes);
            }
            self.agent.dropped(DropReason::LoginRate);
            return None;
        }
        let settings = Arc::clone(&self.settings);
        let (Some(users), Ok(request)) = (settings.directory.users(), Message::parse(bytes.clone())) else {
            if is_stranger {
                self.on_stranger(now, source, bytes);
            }
            return (!is_stranger).then_some(None);
        };
        // Somebody known who speaks of a dialog is answered as ever; a stranger's dialog is none.
        let names_dialog = request.to().is_ok_and(|to| to.tag().is_some());
        let replaces = request.method() == Some(Method::Invite) && request.header("Replaces").is_some();
        if !is_stranger && (names_dialog || replaces) || self.agent.is_copy(&request) {
            return Some(None);
        }
        if names_dialog {
            self.on_stranger(now, source, bytes);
            return None;
        }
        let is_stale = match self.logins.judge(now.mono, users, source, &request) {
            Shown::User(trunk) if trunk.transports.allows(flow.transport) => return Some(Some(trunk)),
            // The right password over the wrong transport.
            Shown::User(_) => {
                self.agent.dropped(DropReason::Stranger);
                return None;
            }
            Shown::Stale => true,
            Shown::Nothing => false,
            Shown::Wrong => {
                self.agent.dropped(DropReason::LoginWrong);
                if is_stranger {
                    self.on_failed_login(now, source);
                }
                false
            }
        };
        // Datagrams may come from anybody: what goes back is not more than what came.
        let longest = if flow.transport == Transport::Udp { bytes.len() } else { usize::MAX };
        let nonce = self.logins.nonce(now.mono, &users.realm, source);
        let offered = users.algorithms.as_slice();
        let ends = [offered.first(), offered.last()].into_iter().flatten().copied().collect();
        let last = offered.last().into_iter().copied().collect();
        for algorithms in [offered.to_vec(), ends, last] {
            let lines = algorithms.into_iter().filter_map(|hash| server::challenge(users, hash, &nonce, is_stale));
            let headers = lines.map(|line| ("WWW-Authenticate".into(), line)).collect();
            let extra = Extra { headers, ..Extra::default() };
            if self.agent.answer_once(flow, &request, 401, &extra, longest) {
                self.agent.dropped(DropReason::Challenged);
                return None;
            }
        }
        self.agent.dropped(DropReason::Unwritable);
        None
    }

    fn on_failed_login(&mut self, now: Now, source: IpAddr) {
        let verdict = self.defence.on_failed_login(now, &self.settings.config.sip.defence, source);
        if let Verdict::NewlyBanned(Some(ban)) = verdict {
            self.tell_ban(now, ban);
        }
    }
}
