//! Session timers (RFC 4028), each leg with its own: what we ask for, what is agreed on, refreshes, and the end of a
//! session that nobody refreshes.

use std::sync::Arc;
use std::time::Duration;

use rsip::Method;

use super::challenge::Retry;
use super::checks::{self, Refusal, SDP};
use super::drops::DropReason;
use super::leg::{Leg, Phase};
use super::responses::Asked;
use super::transactions::{NewClient, Purpose};
use super::{Agent, AgentEvent, ClientTxn, Extra, Flow, LegId, Payload, write};
use crate::limits::{SESSION_EXPIRES_MAX, SESSION_EXPIRES_MIN};
use crate::time::{Mono, Wakeup};
use crate::wire::sip::Message;

/// Session timer of one leg, as we would like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionTimer {
    /// Session-Expires that we ask for.
    pub expires: Duration,
    /// Min-SE: shortest interval that we accept; at least 90 s (RFC 4028 §4).
    pub min: Duration,
    /// We ask for a timer; else we only agree to one, and our INVITE says no more of it than `Supported: timer`.
    pub asks: bool,
}

/// A session timer that both sides know of.
#[derive(Clone, Debug)]
pub(super) struct Session {
    interval: Duration,
    /// We refresh.
    ours: bool,
    /// When we do so next; `None` while a refresh is on its way, or when they refresh.
    refresh_at: Option<Mono>,
    /// BYE, when nothing refreshed the session (§10).
    ends_at: Mono,
    refreshing: Option<ClientTxn>,
    /// UPDATE was refused as a method.
    by_invite: bool,
}

/// Who refreshes, seen from one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

/// Other failures of a refresh than those that end the session: the next try.
const AGAIN: Duration = Duration::from_secs(10);
/// Somebody else's request stands in the way.
const BUSY: Duration = Duration::from_secs(2);

impl Session {
    fn new(now: Mono, interval: Duration, ours: bool) -> Session {
        let ends = interval - (interval / 3).min(Duration::from_secs(32));
        let refresh_at = ours.then(|| now + interval / 2);
        Session { interval, ours, refresh_at, ends_at: now + ends, refreshing: None, by_invite: false }
    }

    pub(super) fn poll_timeout(&self) -> Wakeup {
        match self.refresh_at {
            Some(at) if at < self.ends_at => (at, "session refresh"),
            _ => (self.ends_at, "session expires"),
        }
    }
}

/// Session-Expires (§4): a value that is no number of 32 bits is none.
fn session_expires(message: &Message) -> Option<(Duration, Option<Refresher>)> {
    let mut parts = message.header("Session-Expires")?.split(';').map(str::trim);
    let seconds = checks::number(parts.next()?)?;
    let refresher = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim();
        match name.trim().eq_ignore_ascii_case("refresher") {
            true if value.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            true if value.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        }
    });
    Some((Duration::from_secs(seconds.into()), refresher))
}

/// Min-SE (§5), 90 s when absent.
fn min_se(message: &Message) -> Duration {
    let seconds = message.header("Min-SE").and_then(|value| value.split(';').next()).and_then(checks::number);
    seconds.map_or(SESSION_EXPIRES_MIN, |seconds| Duration::from_secs(seconds.into()).max(SESSION_EXPIRES_MIN))
}

fn supports(request: &Message) -> bool {
    let has = |name| request.list(name).any(|option| option.eq_ignore_ascii_case("timer"));
    has("Supported") || has("Require")
}

/// 422 when the far side, which can do better, wants a shorter session than we allow (§9).
pub(super) fn acceptable(request: &Message, wants: Option<SessionTimer>) -> Result<(), Refusal> {
    let Some(wants) = wants.filter(|_| matches!(request.method(), Some(Method::Invite | Method::Update))) else {
        return Ok(());
    };
    match session_expires(request) {
        Some((interval, _)) if interval < wants.min && supports(request) => Err(Refusal {
            status: 422,
            why: DropReason::SessionTooShort,
            header: Some(("Min-SE", wants.min.as_secs().to_string())),
        }),
        _ => Ok(()),
    }
}

impl Leg {
    /// Supported, and lines about the session timer, in an INVITE or UPDATE of ours. `first`: the INVITE that makes the
    /// leg.
    pub(super) fn option_lines(&self, method: Method, first: bool) -> (&'static str, Vec<(&'static str, String)>) {
        if matches!(method, Method::Invite | Method::Update) {
            (self.supported(first), self.session_lines(first))
        } else {
            ("", Vec::new())
        }
    }

    fn session_lines(&self, first: bool) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if first && self.reliable == super::Reliable::Required {
            lines.push(("Require", "100rel".to_owned()));
        }
        let Some(wants) = self.wants else { return lines };
        match &self.session {
            None if first && wants.asks => lines.push(("Session-Expires", wants.expires.as_secs().to_string())),
            None => return lines,
            Some(session) => {
                let refresher = if session.ours { "uac" } else { "uas" };
                lines.push(("Session-Expires", format!("{};refresher={refresher}", session.interval.as_secs())));
            }
        }
        if wants.min > SESSION_EXPIRES_MIN {
            lines.push(("Min-SE", wants.min.as_secs().to_string()));
        }
        lines
    }

    /// Agrees on a timer in our 2xx to an INVITE or UPDATE, and gives its lines (§9, table 2).
    pub(super) fn answer_session(&mut self, now: Mono, request: &Message) -> Vec<(&'static str, String)> {
        let Some(wants) = self.wants else { return Vec::new() };
        let asked = session_expires(request);
        let supports = supports(request);
        let (interval, ours) = match asked {
            None if !(supports && wants.asks) => {
                self.session = None;
                return Vec::new();
            }
            // A proxy asks; the caller cannot refresh.
            Some((interval, _)) if !supports => (interval, true),
            Some((interval, refresher)) => (interval.min(wants.expires), refresher == Some(Refresher::Uas)),
            None => (wants.expires, false),
        };
        let interval = interval.max(min_se(request)).min(SESSION_EXPIRES_MAX);
        self.session = Some(Box::new(Session::new(now, interval, ours)));
        let refresher = if ours { "uas" } else { "uac" };
        let mut lines = vec![("Session-Expires", format!("{};refresher={refresher}", interval.as_secs()))];
        if !ours {
            lines.push(("Require", "timer".to_owned()));
        }
        lines
    }

    /// What the 2xx to our INVITE or UPDATE says (§7.2): without Session-Expires there is no timer.
    pub(super) fn hear_session(&mut self, now: Mono, response: &Message) {
        if self.wants.is_none() {
            return;
        }
        let by_invite = self.session.as_ref().is_some_and(|session| session.by_invite);
        self.session = session_expires(response).map(|(interval, refresher)| {
            let interval = interval.clamp(SESSION_EXPIRES_MIN, SESSION_EXPIRES_MAX);
            let session = Session::new(now, interval, refresher != Some(Refresher::Uas));
            Box::new(Session { by_invite, ..session })
        });
    }
}

impl Agent {
    /// Keeps a session description of ours that may have to be said again.
    pub(super) fn note_described(&mut self, id: LegId, payload: Option<&Payload>) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.wants.is_some()) else { return };
        if let Some(payload) = payload.filter(|payload| payload.content_type.eq_ignore_ascii_case(SDP)) {
            leg.described = Some(payload.bytes.clone());
        }
    }

    pub(super) fn session_timeout(&mut self, now: Mono, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_talking()) else { return };
        let Some(session) = &leg.session else { return };
        if now >= session.ends_at {
            self.end_session(now, id, "session_expired");
        } else if session.refresh_at.is_some_and(|at| now >= at) {
            self.refresh_session(now, id);
        }
    }

    /// By UPDATE when the far side takes it: it carries no offer and collides with nothing. Otherwise by a re-INVITE
    /// with the description that is in force, word for word (§7.4, §9).
    fn refresh_session(&mut self, now: Mono, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let may_invite = leg.may_invite() && leg.our_update.is_none();
        let (Some(session), Some(dialog)) = (&mut leg.session, &mut leg.dialog) else { return };
        let by_update = leg.takes_update && !session.by_invite;
        let is_free = if by_update { leg.our_update.is_none() } else { may_invite };
        if !is_free {
            session.refresh_at = Some(now + BUSY);
            return;
        }
        session.refresh_at = None;
        let (cseq, dialog) = (dialog.next_cseq(), dialog.clone());
        let described = leg.described.clone().filter(|_| !by_update);
        let payload = described.map(|bytes| Payload { content_type: SDP.to_owned(), bytes });
        let method = if by_update { Method::Update } else { Method::Invite };
        let Some(written) = self.write_within(id, &dialog, method, cseq, &Extra { payload, ..Extra::default() }) else {
            return;
        };
        let txn = self.start_within(now, id, method, Purpose::Refresh, written);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !by_update {
            leg.our_invite = Some(txn);
        }
        if let Some(session) = &mut leg.session {
            session.refreshing = Some(txn);
        }
    }

    /// Final response to a refresh of ours.
    pub(super) fn on_refresh_response(&mut self, now: Mono, asked: Asked, status: u16, message: Arc<Message>) {
        let (id, is_invite) = (asked.leg, asked.method == Method::Invite);
        let is_success = (200..300).contains(&status);
        if status < 200 || (is_invite && is_success && self.acknowledge_again(id, asked.cseq, &message)) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if is_invite && leg.our_invite == Some(asked.txn) {
            leg.our_invite = None;
        }
        if !is_success {
            return self.on_refresh_failed(now, asked, status, Some(&message));
        }
        if let Some(dialog) = &mut leg.dialog {
            dialog.refresh(&message);
        }
        leg.hear_session(now, &message);
        if is_invite {
            leg.ack_due = Some(asked.cseq);
            self.send_ack(id, None);
            if checks::has_sdp(&message) {
                self.emit(id, AgentEvent::Refreshed { leg: id, response: message });
            }
        }
        self.arm_leg(id);
    }

    /// §10: a far side that has lost the dialog or says nothing ends the session; other refusals are tried again until
    /// the time is over.
    pub(super) fn on_refresh_failed(&mut self, now: Mono, asked: Asked, status: u16, response: Option<&Message>) {
        let id = asked.leg;
        let random = Duration::from_millis(u64::from(2_100 + self.identity.up_to(1_900)));
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_talking()) else { return };
        let Some(session) = leg.session.as_mut().filter(|session| session.refreshing == Some(asked.txn)) else {
            return;
        };
        session.refreshing = None;
        let wait = match (status, response) {
            (408 | 481, _) | (_, None) => return self.end_session(now, id, "session_refresh_failed"),
            (422, Some(response)) if min_se(response) > session.interval => {
                session.interval = min_se(response).min(SESSION_EXPIRES_MAX);
                Duration::ZERO
            }
            (405 | 501, Some(_)) if asked.method == Method::Update => {
                session.by_invite = true;
                Duration::ZERO
            }
            (491, _) => random,
            _ => AGAIN,
        };
        session.refresh_at = Some(now + wait);
        self.arm_leg(id);
    }

    /// Tells the owner and says BYE.
    fn end_session(&mut self, now: Mono, id: LegId, reason: &'static str) {
        self.emit(id, AgentEvent::Ended { leg: id, reason });
        self.hang_up(now, id, Extra::header("Reason", "SIP;cause=408;text=\"Session expired\""));
    }

    /// 422 to a request of the owner within the call (§7.4): once more with the interval that the far side wants, under
    /// the same number. Goes out by [`Agent::send_again`].
    pub(super) fn prepare_longer(&mut self, asked: Asked, refusal: &Message) -> Option<Retry> {
        if refusal.status() != 422 || asked.purpose != Purpose::Request {
            return None;
        }
        let entry = self.clients.get(&asked.txn).filter(|entry| entry.is_open())?;
        let old = Message::parse(entry.request.clone()).ok()?;
        let leg = self.legs.get_mut(&asked.leg).filter(|leg| leg.is_talking())?;
        let (session, dialog, min) = (leg.session.as_mut()?, leg.dialog.as_mut()?, min_se(refusal));
        // It was already what they had wished for.
        let is_wish = session_expires(&old).is_none_or(|(interval, _)| interval == min_se(&old));
        if is_wish || min <= session.interval || min > SESSION_EXPIRES_MAX {
            return None;
        }
        session.interval = min;
        let refresher = if session.ours { "uac" } else { "uas" };
        let set = [
            ("Session-Expires", format!("{};refresher={refresher}", min.as_secs())),
            ("Min-SE", min.as_secs().to_string()),
        ];
        let (branch, cseq, flow) = (self.identity.branch(), dialog.next_cseq(), entry.flow);
        let request = write::again(&self.config, &entry.request, flow, branch, cseq, &set)?;
        leg.transactions += 1;
        let (method, purpose, challenged) = (asked.method, asked.purpose, entry.challenged);
        let new = NewClient { method, purpose, branch, leg: asked.leg, cseq, request, flow };
        Some(Retry { new, challenged })
    }

    /// 422 to the INVITE that makes the leg (§7.3): once more with a longer interval. False when there is nothing to try.
    pub(super) fn retry_longer(
        &mut self,
        now: Mono,
        asked: Asked,
        flow: Flow,
        request: &bytes::Bytes,
        refusal: &Message,
    ) -> bool {
        let (id, min) = (asked.leg, min_se(refusal));
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| matches!(leg.phase, Phase::Calling)) else { return false };
        let Some(wants) = leg.wants.filter(|wants| wants.asks && min > wants.min && min <= SESSION_EXPIRES_MAX) else {
            return false;
        };
        let wants = SessionTimer { expires: wants.expires.max(min), min, ..wants };
        leg.wants = Some(wants);
        leg.early.clear();
        let (branch, cseq) = (self.identity.branch(), asked.cseq + 1);
        let set =
            [("Session-Expires", wants.expires.as_secs().to_string()), ("Min-SE", wants.min.as_secs().to_string())];
        let Some(request) = write::again(&self.config, request, flow, branch, cseq, &set) else { return false };
        let txn = ClientTxn(self.next_id());
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.first = Some(txn);
            leg.our_invite = Some(txn);
        }
        let (method, purpose) = (Method::Invite, Purpose::First);
        self.start_client(now, txn, NewClient { method, purpose, branch, leg: id, cseq, request, flow });
        true
    }
}
