//! A call that somebody else carries and we record: the session recording server of RFC 7866. One dialog, in which the
//! client offers a stream for each party; nothing is ever sent into them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Trunk;
use crate::core::admission::Admitted;
use crate::core::agent::{Agent, AgentEvent, Extra, Flow, LegId, Payload, ServerTxn};
use crate::core::b2bua::{Output, Settings};
use crate::core::call::Input;
use crate::core::call::offer::description;
use crate::core::event::{
    Body, CallData, Event, HangupBy, MediaSummary, Outcome, Participant, RecordingData, RecordingState,
    RecordingSummary,
};
use crate::core::media::{
    self, Flowing, LocalMedia, MediaCommand, MediaNotice, Open, PayloadFormat, RecordingSpec, Remote,
};
use crate::core::media_address;
use crate::ids::{CallId, Side};
use crate::limits;
use crate::time::{Mono, Now, Wakeup};
use crate::wire::multipart;
use crate::wire::rs_metadata::{self, NameId, Speaker};
use crate::wire::sdp::{Audio, Direction};
use crate::wire::sdp_streams::{self, Said, Stream};
use crate::wire::sip::Message;

/// What a heard call may use while it handles one input.
#[derive(Debug)]
pub struct HeardCtx<'a> {
    pub now: Now,
    pub agent: &'a mut Agent,
    pub settings: &'a Settings,
    pub out: &'a mut VecDeque<Output>,
}

/// What is known of it when it is let in.
#[derive(Debug)]
pub struct NewHeard {
    pub admitted: Admitted,
    pub leg: LegId,
    pub trunk: Arc<Trunk>,
    pub flow: Flow,
    pub data: CallData,
    /// A PBX has told of the call: the world knows that it has started.
    pub is_told: bool,
    pub recorded: bool,
    /// What the client offers.
    pub streams: Vec<Stream>,
    /// Which of them is whose, by [`Side::index`].
    pub slots: [Option<usize>; 2],
    /// Who takes part, by the metadata.
    pub speakers: Vec<Speaker>,
    /// Number of our `o=` line, from the seed.
    pub session_id: u64,
}

/// Who speaks, by the metadata of this request; nobody, when there is none that can be read.
pub fn speakers(request: &Message) -> Vec<Speaker> {
    let content_type = request.header("Content-Type").unwrap_or_default();
    let types = [rs_metadata::MEDIA_TYPE, "application/rs-metadata"];
    let found = types.iter().find_map(|wanted| multipart::find(content_type, &request.body(), wanted));
    let read = found.map(|xml| rs_metadata::read(&xml));
    if let Some(Err(error)) = &read {
        tracing::info!(%error, "metadata of a recording session is not read");
    }
    read.and_then(Result::ok).unwrap_or_default()
}

/// See the module.
#[derive(Debug)]
pub struct Heard {
    facts: NewHeard,
    /// Labels of the streams that are recorded: they say whose a stream is when the order changes.
    labels: [Option<String>; 2],
    state: State,
    ports: Option<[LocalMedia; 2]>,
    version: u64,
    /// A re-INVITE without offer: the answer comes with the ACK.
    offered: Option<ServerTxn>,
    call_length: Option<Mono>,
    recording_started: bool,
    media: Option<Box<MediaSummary>>,
    recording: Option<Box<RecordingSummary>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Recording,
    Ending { until: Mono },
    Ended,
}

impl Heard {
    pub fn new(facts: NewHeard) -> Heard {
        let label = |slot: Option<usize>| facts.streams.get(slot?)?.label.clone();
        let (labels, speakers) = (facts.slots.map(label), facts.speakers.clone());
        let mut heard = Heard {
            labels,
            facts,
            state: State::Opening,
            ports: None,
            version: 0,
            offered: None,
            call_length: None,
            recording_started: false,
            media: None,
            recording: None,
        };
        heard.note(&speakers);
        heard
    }

    pub fn id(&self) -> CallId {
        self.facts.data.call_id
    }

    pub fn leg(&self) -> LegId {
        self.facts.leg
    }

    pub fn data(&self) -> &CallData {
        &self.facts.data
    }

    pub fn phase(&self) -> &'static str {
        match self.state {
            State::Opening => "opening",
            State::Recording => "talking",
            State::Ending { .. } => "ending",
            State::Ended => "ended",
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ending { .. } | State::Ended)
    }

    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub fn admitted_mut(&mut self) -> &mut Admitted {
        &mut self.facts.admitted
    }

    pub fn into_admitted(self) -> Admitted {
        self.facts.admitted
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        match self.state {
            State::Ending { until } => Some((until, "closing")),
            State::Opening | State::Recording => self.call_length.map(|at| (at, "call length")),
            State::Ended => None,
        }
    }

    /// Takes the call in: 100, `call.started`, and ports are asked for.
    pub fn start(&mut self, ctx: &mut HeardCtx<'_>) {
        ctx.agent.set_nat(self.facts.leg, self.facts.trunk.nat);
        ctx.agent.set_large(self.facts.leg, self.facts.trunk.large_requests);
        ctx.agent.trying(ctx.now, self.facts.leg);
        if !self.facts.is_told {
            self.event(Body::CallStarted(Box::new(self.facts.data.clone())), ctx);
        }
        let theirs = self.audio(Side::Caller).or_else(|| self.audio(Side::Company));
        let family = theirs.map_or(self.facts.flow.remote.ip(), |audio| audio.rtp.ip());
        let media = &ctx.settings.config.media;
        let fits = |ip: &std::net::IpAddr| ip.is_ipv4() == family.is_ipv4();
        let address = Some(media.address).filter(fits).or(media.address6.filter(fits)).unwrap_or(media.address);
        self.media(MediaCommand::Open(Open { call: self.id(), address: [address; 2] }), ctx);
    }

    /// The only way to change it.
    pub fn handle(&mut self, input: Input<'_>, ctx: &mut HeardCtx<'_>) {
        match input {
            Input::Leg(_, _, event) => self.on_leg(event, ctx),
            Input::Media(notice) => self.on_media(notice, ctx),
            Input::HangUp(code) => self.hang_up(code, ctx),
            Input::Timeout => match self.state {
                State::Ending { until } if until <= ctx.now.mono => self.finish(ctx),
                _ if self.call_length.is_some_and(|at| at <= ctx.now.mono) => self.hang_up("call_length_max", ctx),
                _ => {}
            },
            // Nothing of a copy is looked up, decided on or replaced; its pauses are the client's.
            Input::Resolved(..) | Input::Decided(_) | Input::Replace { .. } | Input::Pause(_) | Input::DoNotRecord => {}
        }
    }

    fn on_leg(&mut self, event: &AgentEvent, ctx: &mut HeardCtx<'_>) {
        if self.is_over() {
            return;
        }
        match event {
            AgentEvent::Bye { .. } => self.end(Outcome::Answered, "recording_ended", 200, ctx),
            AgentEvent::Cancelled { .. } => self.end(Outcome::Cancelled, "caller_cancelled", 487, ctx),
            AgentEvent::AckTimeout { .. } => {
                ctx.agent.bye(ctx.now, self.facts.leg, Extra::default());
                self.end(Outcome::Failed, "no_ack", 200, ctx);
            }
            AgentEvent::Ended { reason, .. } => self.end(Outcome::Failed, reason, 200, ctx),
            AgentEvent::Refused { .. } => self.end(Outcome::Failed, "dialog_lost", 200, ctx),
            AgentEvent::Request { txn, request, .. } => self.on_request(*txn, request, ctx),
            AgentEvent::Acked { txn: Some(txn), request, .. } if self.offered == Some(*txn) => {
                self.offered = None;
                if let Some(streams) = description(request).and_then(|body| sdp_streams::read(&body).ok()) {
                    self.take(streams, ctx);
                }
            }
            _ => {}
        }
    }

    fn on_request(&mut self, txn: ServerTxn, request: &Message, ctx: &mut HeardCtx<'_>) {
        if !matches!(request.method(), Some(rsip::Method::Invite | rsip::Method::Update)) {
            let status = if request.method() == Some(rsip::Method::Options) { 200 } else { 405 };
            return ctx.agent.respond(ctx.now, txn, status, Extra::default());
        }
        self.note(&speakers(request));
        match description(request) {
            Some(body) => match sdp_streams::read(&body) {
                Ok(streams) if !streams.is_empty() => self.take(streams, ctx),
                _ => return ctx.agent.respond(ctx.now, txn, 488, Extra::default()),
            },
            // New metadata alone changes nothing of what is recorded.
            None if request.method() == Some(rsip::Method::Update) => {
                return ctx.agent.respond(ctx.now, txn, 200, self.extra(None, ctx));
            }
            None => self.offered = Some(txn),
        }
        let payload = self.describe(ctx);
        ctx.agent.respond(ctx.now, txn, 200, self.extra(payload, ctx));
    }

    fn on_media(&mut self, notice: MediaNotice, ctx: &mut HeardCtx<'_>) {
        match notice {
            MediaNotice::Opened(ports) if self.state == State::Opening => self.answer(ports, ctx),
            MediaNotice::Refused(code) if self.state == State::Opening => {
                let headers = vec![("Retry-After".into(), "5".to_owned())];
                ctx.agent.refuse(ctx.now, self.facts.leg, 503, Extra { headers, ..Extra::default() });
                self.end(Outcome::Failed, code, 503, ctx);
                self.finish(ctx);
            }
            MediaNotice::Silent => self.hang_up("media_silent", ctx),
            MediaNotice::Crashed(_) => self.hang_up("media_crashed", ctx),
            MediaNotice::Closed(summary) => {
                self.media = Some(summary);
                self.finish_when_closed(ctx);
            }
            MediaNotice::Recorded(summary) => {
                self.recording = Some(summary);
                self.finish_when_closed(ctx);
            }
            _ => {}
        }
    }

    /// Ports are there: the client hears where its streams go, and the recording begins.
    fn answer(&mut self, ports: [LocalMedia; 2], ctx: &mut HeardCtx<'_>) {
        self.ports = Some(ports);
        let payload = self.describe(ctx);
        ctx.agent.answer(ctx.now, self.facts.leg, self.extra(payload, ctx));
        self.state = State::Recording;
        self.facts.data.answered_at = Some(ctx.now.wall);
        self.facts.data.ring_ms = ctx.now.wall.millis_since(self.facts.data.started_at);
        self.call_length = Some(ctx.now.mono + ctx.settings.config.sip.call_length_max);
        self.aim(ctx);
        if self.facts.recorded {
            self.recording_started = true;
            self.media(MediaCommand::Record(RecordingSpec { call: self.id(), started: ctx.now }), ctx);
        }
        self.event(Body::CallAnswered(Box::new(self.facts.data.clone())), ctx);
    }

    /// Another offer: streams keep their owners by label, else by place.
    fn take(&mut self, streams: Vec<Stream>, ctx: &mut HeardCtx<'_>) {
        for side in Side::BOTH {
            let label = self.labels.get(side.index()).cloned().flatten();
            let labelled = label
                .and_then(|label| streams.iter().position(|stream| stream.label.as_deref() == Some(label.as_str())));
            if let Some(slot) = self.facts.slots.get_mut(side.index()) {
                *slot = labelled.or(*slot).filter(|slot| *slot < streams.len());
            }
        }
        self.facts.streams = streams;
        self.aim(ctx);
    }

    /// Who takes part, by metadata that may be newer than what is known: who has come is added, who has left stays.
    fn note(&mut self, speakers: &[Speaker]) {
        for speaker in speakers {
            let Some(NameId { aor, name }) = speaker.names.first() else { continue };
            let says = |side: &Side| {
                let label = self.labels.get(side.index()).and_then(Option::as_ref);
                label.is_some_and(|label| speaker.sends.contains(label))
            };
            let mut sides = Side::BOTH.into_iter().filter(says);
            let channel = sides.next().filter(|_| sides.next().is_none()).map(|side| match side {
                Side::Caller => Cow::Borrowed("caller"),
                Side::Company => Cow::Borrowed("company"),
            });
            let all = &mut self.facts.data.participants;
            let has_room = all.len() < limits::SIPREC_PARTIES;
            match all.iter_mut().find(|known| known.address == *aor) {
                Some(known) => {
                    known.name = name.clone().or(known.name.take());
                    known.channel = channel.or(known.channel.take());
                }
                None if has_room => {
                    all.push(Participant { address: aor.clone(), name: name.clone(), channel });
                }
                None => {}
            }
        }
    }

    /// Media threads learn whom to believe.
    fn aim(&self, ctx: &mut HeardCtx<'_>) {
        for side in Side::BOTH {
            let remote = self.audio(side).map(|audio| self.remote(audio));
            if remote.is_some() || self.labels.get(side.index()).is_some_and(Option::is_some) {
                self.media(MediaCommand::Remote(side, remote), ctx);
            }
        }
    }

    fn remote(&self, audio: &Audio) -> Remote {
        let formats: Vec<PayloadFormat> = audio
            .formats
            .iter()
            .map(|format| PayloadFormat {
                payload_type: format.payload_type,
                name: format.name.as_str().into(),
                clock_rate: format.clock_rate,
                channels: format.channels,
            })
            .collect();
        Remote {
            rtp: audio.rtp,
            rtcp: audio.rtcp,
            signalling: self.facts.flow.remote.ip(),
            // Nothing is ever sent there.
            vouched: false,
            nat: self.facts.trunk.nat,
            rtcp_mux: false,
            said: formats.len(),
            formats,
            presses: Default::default(),
            flowing: Flowing { from_side: audio.direction.sends(), to_side: false },
            secure: None,
        }
    }

    /// The stream of this side, if it has one that we can record.
    fn audio(&self, side: Side) -> Option<&Audio> {
        let slot = self.facts.slots.get(side.index()).copied().flatten()?;
        self.facts.streams.get(slot)?.audio.as_ref()
    }

    /// Our answer: what is offered, received only, label by label; the other lines refused.
    fn describe(&mut self, ctx: &HeardCtx<'_>) -> Option<Payload> {
        let ports = self.ports?;
        let advertise = ctx.settings.config.media.advertise;
        let shown = |side: Side| ports.get(side.index()).map(|local| local.shown(advertise));
        self.version += 1;
        let mut ours: Vec<(usize, Side, Audio)> = Vec::with_capacity(2);
        for side in Side::BOTH {
            let Some(slot) = self.facts.slots.get(side.index()).copied().flatten() else { continue };
            let Some(mut audio) = self.audio(side).cloned() else { continue };
            audio.direction = Direction::RecvOnly.answering(audio.direction);
            let acceptable = media_address::is_acceptable(audio.rtp, ctx.settings.own_media()).is_ok();
            if acceptable && audio.retain(|format| !format.is_codec() || media::is_recordable(&format.name)) {
                ours.push((slot, side, audio));
            }
        }
        let mut said = Vec::with_capacity(self.facts.streams.len());
        for (index, stream) in self.facts.streams.iter().enumerate() {
            said.push(match ours.iter().find(|(slot, ..)| *slot == index) {
                Some((_, side, audio)) => Said::Stream { label: stream.label.as_deref(), audio, local: shown(*side)? },
                None => Said::Refused(stream),
            });
        }
        let bytes: Bytes = sdp_streams::write(self.facts.session_id, self.version, shown(Side::Caller)?, &said);
        Some(Payload { content_type: "application/sdp".to_owned(), bytes })
    }

    fn extra(&self, payload: Option<Payload>, ctx: &HeardCtx<'_>) -> Extra {
        let contact = ctx.agent.contact(&self.facts.flow, "sip:");
        Extra { headers: vec![("Contact".into(), format!("{contact};+sip.srs"))], payload, phrase: None }
    }

    fn hang_up(&mut self, code: &'static str, ctx: &mut HeardCtx<'_>) {
        if !self.is_over() {
            let status = if self.state == State::Recording { 200 } else { 480 };
            ctx.agent.bye(ctx.now, self.facts.leg, Extra::default());
            let outcome = if status == 200 { Outcome::Answered } else { Outcome::Rejected };
            self.end(outcome, code, status, ctx);
        }
    }

    fn end(&mut self, outcome: Outcome, reason: &str, status: u16, ctx: &mut HeardCtx<'_>) {
        let data = &mut self.facts.data;
        data.ended_at = Some(ctx.now.wall);
        data.outcome = Some(outcome);
        data.reason = Some(reason.to_owned());
        data.hangup_by = Some(if reason == "caller_cancelled" { HangupBy::Caller } else { HangupBy::System });
        data.sip_status = Some(status);
        data.talk_ms = data.answered_at.map_or(0, |at| ctx.now.wall.millis_since(at));
        self.call_length = None;
        self.media(MediaCommand::Close(ctx.now), ctx);
        self.state = State::Ending { until: ctx.now.mono + limits::CLOSING };
    }

    /// An error of ours: it ends at once, with what is known.
    pub fn cut_off(&mut self, ctx: &mut HeardCtx<'_>) {
        ctx.agent.bye(ctx.now, self.facts.leg, Extra::default());
        if !self.is_over() {
            self.end(Outcome::Failed, "crashed", 480, ctx);
        }
        self.finish(ctx);
    }

    fn finish_when_closed(&mut self, ctx: &mut HeardCtx<'_>) {
        let sealed = !self.recording_started || self.recording.is_some();
        if matches!(self.state, State::Ending { .. }) && self.media.is_some() && sealed {
            self.finish(ctx);
        }
    }

    /// Tells the world, once.
    fn finish(&mut self, ctx: &mut HeardCtx<'_>) {
        if self.is_ended() {
            return;
        }
        let recording = match self.recording.take() {
            Some(summary) => *summary,
            None if self.recording_started => RecordingSummary {
                state: RecordingState::Failed,
                reason: Some("not_sealed_in_time".to_owned()),
                ..RecordingSummary::default()
            },
            None => RecordingSummary::default(),
        };
        if self.recording_started {
            let sealed = RecordingData { call_id: self.id(), recording: recording.clone() };
            self.event(Body::RecordingSealed(sealed), ctx);
        }
        let mut media = self.media.take().map_or_else(MediaSummary::default, |summary| *summary);
        let codec = self.audio(Side::Caller).or_else(|| self.audio(Side::Company));
        let codec = codec.and_then(|audio| audio.formats.iter().find(|format| format.is_codec()));
        media.codec = codec.map(|format| format.name.clone());
        let mut data = self.facts.data.clone();
        (data.recording, data.media) = (Some(recording), Some(media));
        self.state = State::Ended;
        self.event(Body::CallEnded(Box::new(data)), ctx);
    }

    fn media(&self, command: MediaCommand, ctx: &mut HeardCtx<'_>) {
        ctx.out.push_back(Output::Media(self.id(), command));
    }

    fn event(&self, body: Body, ctx: &mut HeardCtx<'_>) {
        ctx.out.push_back(Output::Event(Event { time: ctx.now.wall, subject: self.id().to_string(), body }));
    }
}
