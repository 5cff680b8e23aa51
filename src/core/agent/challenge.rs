//! Our requests that are challenged (RFC 3261 §22.2, §22.3).
//!
//! Credentials are the leg's: its owner gave them. They answer a challenge to a request of this leg, when it comes from
//! where the leg's requests go; a realm never finds credentials. The request goes out again as a new one: new branch,
//! CSeq one higher, same Call-ID and From tag. Its owner sees one request and its last response.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use rsip::Method;

use super::drops::DropReason;
use super::identity::Branch;
use super::leg::Phase;
use super::responses::Asked;
use super::transactions::{Cancel, NewClient, Purpose};
use super::{Agent, Flow, LegId};
use crate::core::auth::Credentials;
use crate::core::auth::client::{Asker, Challenge, Session};
use crate::time::Mono;
use crate::wire::sip::Message;
use crate::wire::sip::auth::AuthValue;
use crate::wire::sip::build::Builder;

/// A request goes out at most so often again because it was challenged (D02).
const ANSWERS: u8 = 2;

/// Authorization and Proxy-Authorization lines.
type Lines = Vec<(&'static str, String)>;

/// What a leg logs in with.
#[derive(Clone, Debug)]
pub(super) struct Login {
    credentials: Arc<Credentials>,
    /// Where the leg began: requests that go elsewhere carry no credentials.
    home: IpAddr,
    /// Of the far end and of a proxy, once they have asked.
    sessions: [Option<Session>; 2],
    /// CSeq number and lines of our last INVITE: the ACK of its 2xx repeats them (§22.1).
    invite: Option<(u32, Lines)>,
}

/// How often one request was challenged, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenged {
    answers: u8,
    /// By [`Asker`].
    asked: [bool; 2],
}

/// A request that will be sent again with other words.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) new: NewClient,
    pub(super) challenged: Challenged,
}

impl Login {
    pub(super) fn new(credentials: Arc<Credentials>, home: IpAddr) -> Login {
        Login { credentials, home, sessions: [None, None], invite: None }
    }

    fn is_begun(&self) -> bool {
        self.sessions.iter().any(Option::is_some)
    }

    /// The lines for a request, with the nonces' counts one higher. `None` when a value cannot be written.
    fn lines(&mut self, request: &Message) -> Option<Lines> {
        let (method, uri, body) = (request.method_token(), request.request_uri(), request.body());
        let askers = [Asker::Server, Asker::Proxy];
        let sessions = self.sessions.iter_mut().zip(askers);
        let begun = sessions.filter_map(|(session, asker)| Some((session.as_mut()?, asker)));
        begun.map(|(session, asker)| Some((asker.is_answered_in(), session.answer(method, uri, &body)?))).collect()
    }
}

impl Challenged {
    /// Another answer, to this challenge: the first to its asker, or one because the nonce was too old.
    fn once_more(self, asker: Asker, stale: bool) -> Option<Challenged> {
        let mut next = Challenged { answers: self.answers + 1, ..self };
        let asked = next.asked.get_mut(asker as usize)?;
        let again = std::mem::replace(asked, true);
        (next.answers <= ANSWERS && (!again || stale)).then_some(next)
    }
}

impl Agent {
    pub(super) fn log_in(&mut self, id: LegId, credentials: Option<Arc<Credentials>>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            let home = leg.flow.remote.ip();
            leg.login = credentials.map(|credentials| Box::new(Login::new(credentials, home)));
        }
    }

    /// Prepares the answer to a 401 or 407, before its transaction is told of it. Keeps the leg until
    /// [`Agent::send_again`].
    pub(super) fn prepare_answer(&mut self, flow: Flow, asked: Asked, response: &Message) -> Option<Retry> {
        let asker = Asker::of(response.status())?;
        let leg = self.legs.get_mut(&asked.leg)?;
        let entry = self.clients.get(&asked.txn).filter(|entry| entry.is_open())?;
        let is_unwanted = match asked.purpose {
            Purpose::First => !matches!(leg.phase, Phase::Calling),
            Purpose::Request | Purpose::Prack | Purpose::Refresh => leg.is_over(),
            // Nobody may ask a CANCEL: it cannot come again with another CSeq number (§22.1).
            Purpose::Cancel => true,
            Purpose::Bye | Purpose::Standalone => false,
        };
        if is_unwanted || !matches!(entry.cancel, Cancel::No) {
            return None;
        }
        let login = leg.login.as_mut()?;
        let trunk = &login.credentials.trunk;
        if entry.flow.remote.ip() != login.home || flow.remote.ip() != login.home {
            tracing::warn!(%trunk, status = response.status(), "asked for our password elsewhere than at the trunk");
            self.drops.count(DropReason::ChallengeElsewhere);
            return None;
        }
        let Some(challenge) = Challenge::choose(response, asker, &login.credentials) else {
            tracing::warn!(%trunk, status = response.status(), "a challenge that our credentials do not fit");
            self.drops.count(DropReason::ChallengeUnfit);
            return None;
        };
        let Some(challenged) = entry.challenged.once_more(asker, challenge.stale) else {
            tracing::warn!(%trunk, status = response.status(), "our user or password is refused");
            self.drops.count(DropReason::LoginRefused);
            return None;
        };
        let ((request_flow, old), method) = (entry.as_written(), entry.method);
        let session = Session::new(login.credentials.clone(), challenge, self.identity.token());
        if let Some(place) = login.sessions.get_mut(asker as usize) {
            *place = Some(session);
        }
        let old = Message::parse(old).ok()?;
        let lines = login.lines(&old)?;
        let tag = old.to().ok().and_then(|to| to.tag());
        let early = leg.early.iter_mut().map(|early| &mut early.dialog).find(|early| tag == Some(&*early.remote_tag));
        let is_within = !matches!(asked.purpose, Purpose::First | Purpose::Standalone);
        let dialog = leg.dialog.as_mut().or(early).filter(|_| is_within);
        let cseq = match dialog.filter(|dialog| tag == Some(&*dialog.remote_tag)) {
            Some(dialog) => dialog.next_cseq(),
            None => asked.cseq.checked_add(1)?,
        };
        let branch = self.identity.branch();
        let request = rewritten(&old, Some((branch, cseq)), &lines)?;
        if method == Method::Invite {
            login.invite = Some((cseq, lines));
        }
        // The early dialogs of the INVITE that was refused are over.
        if asked.purpose == Purpose::First {
            leg.early.clear();
        }
        leg.transactions += 1;
        let (purpose, leg) = (asked.purpose, asked.leg);
        Some(Retry { new: NewClient { method, purpose, branch, leg, cseq, request, flow: request_flow }, challenged })
    }

    /// Sends what [`Agent::prepare_answer`] has written under the transaction's number, which its owner knows; the
    /// transaction that was challenged goes on under another one, for copies of the challenge.
    pub(super) fn send_again(&mut self, now: Mono, asked: Asked, retry: Retry) {
        self.rename_client(asked.txn);
        self.start_client(now, asked.txn, retry.new);
        if let Some(entry) = self.clients.get_mut(&asked.txn) {
            entry.challenged = retry.challenged;
        }
        self.release_leg(asked.leg);
    }

    /// A request within a dialog with what its leg logs in with, when it was challenged before; an ACK with what its
    /// INVITE had.
    pub(super) fn with_login(&mut self, id: LegId, method: Method, cseq: u32, flow: Flow, request: Bytes) -> Bytes {
        let leg = self.legs.get_mut(&id);
        let Some(login) = leg.and_then(|leg| leg.login.as_mut()).filter(|login| login.is_begun()) else {
            return request;
        };
        if flow.remote.ip() != login.home {
            return request;
        }
        let Ok(message) = Message::parse(request.clone()) else { return request };
        let lines = match method {
            Method::Ack => {
                login.invite.as_ref().filter(|(of, _)| *of == cseq).map_or(Lines::new(), |(_, lines)| lines.clone())
            }
            _ => login.lines(&message).unwrap_or_default(),
        };
        let Some(written) = rewritten(&message, None, &lines) else { return request };
        if method == Method::Invite {
            login.invite = Some((cseq, lines));
        }
        written
    }

    /// The nonce that the far end wants next (RFC 7616 §3.5).
    pub(super) fn take_next_nonce(&mut self, id: LegId, response: &Message) {
        let leg = self.legs.get_mut(&id);
        let Some(login) = leg.and_then(|leg| leg.login.as_mut()).filter(|login| login.is_begun()) else { return };
        let Some(info) = response.header("Authentication-Info") else { return };
        // It has the parameters of a challenge, but no scheme.
        let line = format!("Digest {info}");
        let values = AuthValue::read(&line).unwrap_or_default();
        let nonce = values.first().and_then(|value| value.param("nextnonce"));
        if let (Some(nonce), Some(Some(session))) = (nonce, login.sessions.get_mut(Asker::Server as usize)) {
            session.next_nonce(nonce);
        }
    }
}

/// A request of ours with other credentials and, when it is to be a new one, another branch and CSeq number.
fn rewritten(request: &Message, anew: Option<(Branch, u32)>, lines: &Lines) -> Option<Bytes> {
    let mut builder = Builder::request(request.method_token(), request.request_uri());
    let body = request.body();
    for (name, value) in request.all_headers() {
        let value = std::str::from_utf8(value).ok()?;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Content-Length") || is("Content-Type") || is("Authorization") || is("Proxy-Authorization") {
            continue;
        }
        builder = match anew {
            Some((branch, _)) if is("Via") => {
                let anew = |part: &str| match part.starts_with("branch=") {
                    true => format!("branch={branch}"),
                    false => part.to_owned(),
                };
                builder.header(name, &value.split(';').map(anew).collect::<Vec<_>>().join(";"))
            }
            Some((_, cseq)) if is("CSeq") => builder.header(name, &format!("{cseq} {}", request.method_token())),
            _ => builder.header(name, value),
        };
    }
    for (name, value) in lines {
        builder = builder.header(name, value);
    }
    match request.header("Content-Type") {
        Some(content_type) => builder.body(content_type, &body),
        None => builder,
    }
    .finish()
    .ok()
}
