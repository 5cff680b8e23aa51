//! The phone that answers.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::audio::Sound;
use super::call::{millis, with_sdp};
use super::line::{Line, sdp_of};
use super::rtp::{Figures, Media};
use super::sdp::{self, Read};
use super::{EndedBy, Over, Step, What};
use crate::core::agent::{AgentEvent, Extra, LegId};
use crate::io::clock;
use crate::limits;
use crate::time::Mono;
use crate::wire::codec::g711::Law;
use crate::wire::sip::Message;

/// How to answer.
#[derive(Clone, Debug)]
pub struct AnswerOptions {
    pub listen: SocketAddr,
    pub over: Over,
    pub sound: Sound,
    /// The first call's tape. Later calls get `-2`, `-3`, … before the extension.
    pub record: Option<PathBuf>,
    /// Ring so long before the answer.
    pub ring: Duration,
    /// Refuse with this status instead of answering.
    pub status: Option<u16>,
    /// Ring with 183 and sound instead of 180.
    pub early_media: bool,
    /// Hang up after so long a talk; `None`: wait for the caller.
    pub talk: Option<Duration>,
    /// Go home after so many calls; `None`: never.
    pub calls: Option<u64>,
}

/// How one call of the answering phone went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answered {
    pub number: String,
    pub caller: String,
    pub answered: bool,
    pub talk_ms: u64,
    pub ended_by: EndedBy,
    pub media: Figures,
}

/// Answers calls until `stop` resolves or [`AnswerOptions::calls`] are over. `ready` is told the address when the phone
/// listens.
///
/// # Errors
/// The address is taken or not ours.
pub async fn answer(
    options: &AnswerOptions,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
    mut steps: impl FnMut(&Step) + Send,
) -> io::Result<()> {
    let mut line = Line::open(options.listen, None, &options.over).await?;
    ready(line.local);
    let mut phone = Phone { options, calls: HashMap::new(), taken: 0, over: 0 };
    let mut stop = std::pin::pin!(stop);
    let mut closing: Option<Mono> = None;
    loop {
        while let Some(event) = line.agent.poll_event() {
            phone.on_event(&mut line, event, &mut steps).await;
        }
        phone.on_time(&mut line, &mut steps).await;
        line.flush(&mut steps).await;
        let enough = options.calls.is_some_and(|calls| phone.over >= calls);
        if enough && closing.is_none() {
            closing = Some(clock::mono() + LINGER);
        }
        if closing.is_some_and(|at| clock::mono() >= at) {
            return Ok(());
        }
        let until = phone.calls.values().filter_map(|call| call.act_at).chain(closing).min();
        tokio::select! {
            _ = line.turn(until, &mut steps) => {}
            () = &mut stop, if closing.is_none() => {
                phone.hang_up_all(&mut line, &mut steps).await;
                closing = Some(clock::mono() + LINGER);
            }
        }
    }
}

/// The far side may repeat its last words for a moment (T1 of RFC 3261 is half a second).
const LINGER: Duration = Duration::from_millis(600);

struct Phone<'a> {
    options: &'a AnswerOptions,
    calls: HashMap<LegId, Call>,
    taken: u64,
    over: u64,
}

struct Call {
    number: String,
    caller: String,
    media: Media,
    /// The caller's offer; `None`: it wants ours.
    offer: Option<Read>,
    version: u32,
    /// Answer, or hang up.
    act_at: Option<Mono>,
    answered_at: Option<Mono>,
}

impl Phone<'_> {
    async fn on_event(&mut self, line: &mut Line, event: AgentEvent, steps: &mut (dyn FnMut(&Step) + Send)) {
        let now = clock::now();
        match event {
            AgentEvent::Invited { leg, request, .. } => self.on_invite(line, leg, &request, steps).await,
            AgentEvent::Cancelled { leg, .. } => self.end(line, leg, EndedBy::Them, steps).await,
            AgentEvent::Bye { leg, .. } | AgentEvent::Ended { leg, .. } => {
                self.end(line, leg, EndedBy::Them, steps).await
            }
            AgentEvent::AckTimeout { leg } => {
                line.agent.bye(now, leg, Extra::default());
                self.end(line, leg, EndedBy::Nobody, steps).await;
            }
            AgentEvent::Acked { leg, request, .. } => {
                let read = sdp_of(&request).as_deref().and_then(sdp::read);
                if let (Some(call), Some(read)) = (self.calls.get(&leg), read) {
                    call.media.set(Some(read.remote));
                }
            }
            AgentEvent::Request { leg, txn, request, .. } => {
                let (status, extra) = self.calls.get_mut(&leg).map_or((481, Extra::default()), |c| reply(c, &request));
                line.agent.respond(now, txn, status, extra);
            }
            AgentEvent::OutOfDialog { txn, .. } => line.agent.respond(now, txn, 200, Extra::default()),
            AgentEvent::Provisional { .. }
            | AgentEvent::Answered { .. }
            | AgentEvent::Refused { .. }
            | AgentEvent::RequestCancelled { .. }
            | AgentEvent::Standalone { .. }
            | AgentEvent::Refreshed { .. }
            | AgentEvent::Response { .. } => {}
        }
    }

    async fn on_invite(
        &mut self,
        line: &mut Line,
        leg: LegId,
        request: &Arc<Message>,
        steps: &mut (dyn FnMut(&Step) + Send),
    ) {
        let now = clock::now();
        if self.calls.len() >= limits::PHONE_CALLS {
            return line.agent.refuse(now, leg, 486, Extra::default());
        }
        let text = sdp_of(request);
        let offer = text.as_deref().and_then(sdp::read);
        if text.is_some() && offer.is_none() {
            return line.agent.refuse(now, leg, 488, Extra::default());
        }
        self.taken += 1;
        let tape = self.options.record.as_ref().map(|path| numbered(path, self.taken));
        let media = match Media::open(self.media_address(line), self.options.sound.clone(), tape.as_deref()).await {
            Ok(media) => media,
            Err(e) => {
                tracing::warn!(error = %e, "a test phone has no media");
                return line.agent.refuse(now, leg, 500, Extra::default());
            }
        };
        let user = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let number =
            crate::wire::sip::Uri::parse(request.request_uri()).map_or_else(|_| String::new(), |u| user(u.user));
        let caller = request.from().map_or_else(|_| String::new(), |from| user(from.uri.user));
        steps(&line.step(What::Invited { number: number.clone(), caller: caller.clone() }));
        let act_at = Some(now.mono + self.options.ring);
        let call = Call { number, caller, media, offer, version: 1, act_at, answered_at: None };
        if self.options.early_media {
            line.agent.provisional(now, leg, 183, with_sdp(call.description()));
            call.media.set(call.offer.map(|offer| offer.remote));
        } else {
            line.agent.provisional(now, leg, 180, Extra::default());
        }
        self.calls.insert(leg, call);
    }

    /// SDP must name one address, also when the phone listens on all of them.
    fn media_address(&self, line: &Line) -> std::net::IpAddr {
        match line.local.ip() {
            ip if !ip.is_unspecified() => ip,
            ip if ip.is_ipv4() => std::net::Ipv4Addr::LOCALHOST.into(),
            _ => std::net::Ipv6Addr::LOCALHOST.into(),
        }
    }

    async fn on_time(&mut self, line: &mut Line, steps: &mut (dyn FnMut(&Step) + Send)) {
        let now = clock::now();
        let due = |call: &Call| call.act_at.is_some_and(|at| at <= now.mono);
        let due: Vec<LegId> = self.calls.iter().filter(|(_, call)| due(call)).map(|(leg, _)| *leg).collect();
        for leg in due {
            let Some(call) = self.calls.get_mut(&leg) else { continue };
            call.act_at = None;
            if call.answered_at.is_some() {
                line.agent.bye(now, leg, Extra::default());
                self.end(line, leg, EndedBy::Us, steps).await;
            } else if let Some(status) = self.options.status {
                line.agent.refuse(now, leg, status, Extra::default());
                self.end(line, leg, EndedBy::Us, steps).await;
            } else {
                line.agent.answer(now, leg, with_sdp(call.description()));
                call.media.set(call.offer.map(|offer| offer.remote));
                call.answered_at = Some(now.mono);
                call.act_at = self.options.talk.map(|talk| now.mono + talk);
                steps(&line.step(What::Talking));
            }
        }
    }

    async fn hang_up_all(&mut self, line: &mut Line, steps: &mut (dyn FnMut(&Step) + Send)) {
        let legs: Vec<LegId> = self.calls.keys().copied().collect();
        for leg in legs {
            let now = clock::now();
            match self.calls.get(&leg).and_then(|call| call.answered_at) {
                Some(_) => line.agent.bye(now, leg, Extra::default()),
                None => line.agent.refuse(now, leg, 480, Extra::default()),
            }
            self.end(line, leg, EndedBy::Us, steps).await;
        }
    }

    async fn end(&mut self, line: &Line, leg: LegId, ended_by: EndedBy, steps: &mut (dyn FnMut(&Step) + Send)) {
        let Some(call) = self.calls.remove(&leg) else { return };
        self.over += 1;
        let talk_ms = call.answered_at.map_or(0, |since| millis(clock::mono().since(since)));
        let report = Answered {
            number: call.number,
            caller: call.caller,
            answered: call.answered_at.is_some(),
            talk_ms,
            ended_by,
            media: call.media.close().await,
        };
        steps(&line.step(What::Ended(report)));
    }
}

impl Call {
    /// Our answer to the caller's offer, or our offer when there was none.
    fn description(&self) -> String {
        match &self.offer {
            Some(offer) => sdp::write(self.media.local, &[offer.remote.law], self.version, sdp::answering(offer)),
            None => sdp::write(self.media.local, &[Law::Mu, Law::A], self.version, "sendrecv"),
        }
    }
}

/// Our answer to an in-dialog request.
fn reply(call: &mut Call, request: &Message) -> (u16, Extra) {
    match request.method_token() {
        "INVITE" | "UPDATE" => {
            let text = sdp_of(request);
            if text.is_none() && request.method_token() == "UPDATE" {
                return (200, Extra::default());
            }
            let offer = text.as_deref().and_then(sdp::read);
            if text.is_some() && offer.is_none() {
                return (488, Extra::default());
            }
            call.offer = offer;
            call.version += 1;
            if let Some(offer) = offer {
                call.media.set(Some(offer.remote));
            }
            (200, with_sdp(call.description()))
        }
        "OPTIONS" | "INFO" | "MESSAGE" | "NOTIFY" => (200, Extra::default()),
        _ => (501, Extra::default()),
    }
}

/// `tape.wav`, `tape-2.wav`, …
fn numbered(path: &std::path::Path, n: u64) -> PathBuf {
    if n <= 1 {
        return path.to_owned();
    }
    let part = |text: Option<&std::ffi::OsStr>| text.map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{}-{n}.{}", part(path.file_stem()), part(path.extension())))
}
