//! The phone that calls.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::audio::Sound;
use super::line::{Line, sdp_of};
use super::rtp::{Figures, Media};
use super::{EndedBy, Over, Step, What, sdp};
use crate::config::LargeRequests;
use crate::core::agent::{AgentEvent, Extra, Invite, LegId, Payload, Reliable};
use crate::io::clock;
use crate::time::Mono;
use crate::wire::codec::g711::Law;
use crate::wire::sip::Message;

/// What to call and how to behave.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// The user of the Request-URI: a number or any other SIP user.
    pub number: String,
    pub to: SocketAddr,
    pub over: Over,
    /// The user of From.
    pub from: String,
    pub sound: Sound,
    pub record: Option<PathBuf>,
    /// Hang up after so long a talk.
    pub talk: Duration,
    /// Give up (CANCEL) after so long without an answer.
    pub ring_max: Duration,
    /// Offered codecs, the preferred one first.
    pub laws: Vec<Law>,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallReport {
    pub answered: bool,
    /// The final status; 408 and 503 may be our own: no answer, and nobody there.
    pub status: u16,
    /// The final response's reason phrase; empty when there was none.
    pub reason: String,
    /// From the INVITE to the first ringing.
    pub ringing_after_ms: Option<u64>,
    /// From the INVITE to the answer.
    pub answered_after_ms: Option<u64>,
    pub talk_ms: u64,
    pub early_media: bool,
    pub ended_by: EndedBy,
    pub media: Figures,
}

enum Stage {
    Calling,
    Talking {
        since: Mono,
    },
    /// BYE or CANCEL is out; wait for its answer until then.
    Closing {
        until: Mono,
    },
    Over,
}

/// How long a phone waits for the answer to its BYE.
const CLOSING: Duration = Duration::from_secs(4);

/// Places one call and ends it. `stop`: hang up now. Every step is told at once.
///
/// # Errors
/// Only this machine's: no port, no tape. Whatever the far side does is in the report.
pub async fn call(
    options: &CallOptions,
    stop: impl Future<Output = ()>,
    mut steps: impl FnMut(&Step) + Send,
) -> io::Result<CallReport> {
    let ip = Line::address_towards(options.to).await?;
    let mut line = Line::open(SocketAddr::new(ip, 0), Some(options.to), &options.over).await?;
    let media = Media::open(ip, options.sound.clone(), options.record.as_deref()).await?;
    let began = clock::mono();
    let leg = line.agent.invite(clock::now(), invite(options, &line, &media));
    let mut caller = Caller { options, leg, began, stage: Stage::Calling, media: &media, version: 1, report: empty() };
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    loop {
        while let Some(event) = line.agent.poll_event() {
            caller.on_event(&mut line, event, &mut steps);
        }
        caller.on_time(&mut line);
        line.flush(&mut steps).await;
        let until = match caller.stage {
            Stage::Calling => began + options.ring_max,
            Stage::Talking { since } => since + options.talk,
            Stage::Closing { until } => until,
            Stage::Over => break,
        };
        tokio::select! {
            message = line.turn(Some(until), &mut steps) => caller.on_message(message.as_ref()),
            () = &mut stop, if !stopping => {
                stopping = true;
                caller.hang_up(&mut line);
            }
        }
    }
    let mut report = caller.report;
    report.media = media.close().await;
    Ok(report)
}

struct Caller<'a> {
    options: &'a CallOptions,
    leg: LegId,
    began: Mono,
    stage: Stage,
    media: &'a Media,
    /// Of our SDP.
    version: u32,
    report: CallReport,
}

impl Caller<'_> {
    fn on_event(&mut self, line: &mut Line, event: AgentEvent, steps: &mut (dyn FnMut(&Step) + Send)) {
        let now = clock::now();
        let since_invite = millis(now.mono.since(self.began));
        match event {
            AgentEvent::Provisional { response, .. } => {
                let early = self.hear(&response);
                self.report.early_media |= early;
                if self.report.ringing_after_ms.is_none() {
                    self.report.ringing_after_ms = Some(since_invite);
                    steps(&line.step(What::Ringing { early_media: early }));
                }
            }
            AgentEvent::Answered { leg, response, .. } => {
                line.agent.ack(now, leg, None);
                self.hear(&response);
                self.report.status = response.status();
                self.report.reason = response.reason().into_owned();
                self.report.answered = true;
                self.report.answered_after_ms = Some(since_invite);
                self.stage = Stage::Talking { since: now.mono };
                steps(&line.step(What::Talking));
            }
            AgentEvent::Refused { status, response, .. } => {
                self.report.status = status;
                self.report.reason = response.map(|r| r.reason().into_owned()).unwrap_or_default();
                if !matches!(self.stage, Stage::Closing { .. }) {
                    self.report.ended_by = if self.report.reason.is_empty() { EndedBy::Nobody } else { EndedBy::Them };
                }
                self.stage = Stage::Over;
            }
            AgentEvent::Bye { .. } | AgentEvent::Ended { .. } => {
                self.end_talk(now.mono, EndedBy::Them);
                self.stage = Stage::Over;
            }
            AgentEvent::Request { txn, request, .. } => {
                let (status, extra) = self.reply(&request);
                line.agent.respond(now, txn, status, extra);
            }
            AgentEvent::Acked { request, .. } => drop(self.hear(&request)),
            AgentEvent::OutOfDialog { txn, .. } => line.agent.respond(now, txn, 200, Extra::default()),
            AgentEvent::Invited { leg, .. } => line.agent.refuse(now, leg, 486, Extra::default()),
            AgentEvent::Cancelled { .. }
            | AgentEvent::AckTimeout { .. }
            | AgentEvent::RequestCancelled { .. }
            | AgentEvent::Standalone { .. }
            | AgentEvent::Refreshed { .. }
            | AgentEvent::Response { .. } => {}
        }
    }

    /// The answer to our BYE ends the closing.
    fn on_message(&mut self, message: Option<&Message>) {
        let final_of_bye = |m: &Message| m.status() >= 200 && m.cseq().is_ok_and(|cseq| cseq.method == "BYE");
        if message.is_some_and(final_of_bye) && matches!(self.stage, Stage::Closing { .. }) {
            self.stage = Stage::Over;
        }
    }

    fn on_time(&mut self, line: &mut Line) {
        let now = clock::mono();
        match self.stage {
            Stage::Calling if now >= self.began + self.options.ring_max => self.hang_up(line),
            Stage::Talking { since } if now >= since + self.options.talk => self.hang_up(line),
            Stage::Closing { until } if now >= until => self.stage = Stage::Over,
            _ => {}
        }
    }

    /// CANCEL or BYE, whichever it takes.
    fn hang_up(&mut self, line: &mut Line) {
        let now = clock::now();
        match self.stage {
            Stage::Calling => {
                line.agent.cancel(now, self.leg, Extra::default());
                self.report.ended_by = EndedBy::Us;
            }
            Stage::Talking { .. } => {
                line.agent.bye(now, self.leg, Extra::default());
                self.end_talk(now.mono, EndedBy::Us);
            }
            Stage::Closing { .. } | Stage::Over => return,
        }
        self.stage = Stage::Closing { until: now.mono + CLOSING };
    }

    fn end_talk(&mut self, now: Mono, by: EndedBy) {
        if let Stage::Talking { since } = self.stage {
            self.report.talk_ms = millis(now.since(since));
            self.report.ended_by = by;
        }
        self.media.set(None);
    }

    /// Takes the far side's SDP, if there is one.
    fn hear(&mut self, message: &Message) -> bool {
        let read = sdp_of(message).as_deref().and_then(sdp::read);
        if let Some(read) = read {
            self.media.set(Some(read.remote));
        }
        read.is_some()
    }

    /// Our answer to an in-dialog request: a new offer is taken, talk about talk is fine, the rest is not ours.
    fn reply(&mut self, request: &Message) -> (u16, Extra) {
        match request.method_token() {
            "INVITE" | "UPDATE" => {
                let text = sdp_of(request);
                let read = text.as_deref().map(sdp::read);
                self.version += 1;
                let ours = match read {
                    Some(None) => return (488, Extra::default()),
                    Some(Some(read)) => {
                        self.media.set(Some(read.remote));
                        sdp::write(self.media.local, &[read.remote.law], self.version, sdp::answering(&read))
                    }
                    None if request.method_token() == "UPDATE" => return (200, Extra::default()),
                    None => sdp::write(self.media.local, &self.options.laws, self.version, "sendrecv"),
                };
                (200, with_sdp(ours))
            }
            "OPTIONS" | "INFO" | "MESSAGE" | "NOTIFY" => (200, Extra::default()),
            _ => (501, Extra::default()),
        }
    }
}

fn invite(options: &CallOptions, line: &Line, media: &Media) -> Invite {
    let offer = sdp::write(media.local, &options.laws, 1, "sendrecv");
    Invite {
        flow: line.flow(options.to),
        request_uri: format!("sip:{}@{}{}", options.number, options.to, options.over.parameter()),
        from: format!("<sip:{}@{}>", options.from, line.local),
        to: format!("<sip:{}@{}>", options.number, options.to),
        max_forwards: 70,
        nat: false,
        reliable: Reliable::Off,
        session: None,
        credentials: None,
        large: LargeRequests::Udp,
        extra: with_sdp(offer),
    }
}

/// A message with our SDP.
pub(super) fn with_sdp(text: String) -> Extra {
    let payload = Payload { content_type: sdp::TYPE.to_owned(), bytes: text.into() };
    Extra { payload: Some(payload), ..Extra::default() }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn empty() -> CallReport {
    CallReport {
        answered: false,
        status: 0,
        reason: String::new(),
        ringing_after_ms: None,
        answered_after_ms: None,
        talk_ms: 0,
        early_media: false,
        ended_by: EndedBy::Nobody,
        media: Figures::default(),
    }
}
