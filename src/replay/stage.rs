//! Runs one captured call through the machines, in the capture's time.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::captured::{Call, Line, Speaker, What};
use super::files::Memory;
use super::ladder::{Step, StepKind};
use super::setting::Setting;
use super::translate::{Translated, Translator};
use crate::core::agent::Flow;
use crate::core::b2bua::{B2bua, Input, Output};
use crate::core::event::{Body, Event};
use crate::core::lease::LeaseTable;
use crate::core::media::{LocalMedia, MediaCommand, MediaNotice};
use crate::core::recorder::Stats;
use crate::core::relay::Relay;
use crate::ids::CallId;
use crate::io::media::tap::{SideFormats, TapPacket};
use crate::io::recordings::{Offline, wav_name};
use crate::limits::{REPLAY_HELD, REPLAY_STEPS, REPLAY_WAKEUPS};
use crate::time::{Mono, Now, Wall};
use crate::wire::pcap::Carrier;
use crate::wire::sip::Message;

/// What came of one call.
#[derive(Debug, Default)]
pub(super) struct Performed {
    pub(super) steps: Vec<Step>,
    pub(super) steps_left_out: u64,
    pub(super) events: Vec<Event>,
    /// Name and bytes.
    pub(super) wav: Option<(String, Vec<u8>)>,
    pub(super) stats: Option<Stats>,
    /// Where the machine and the capture went apart.
    pub(super) diverged: Vec<String>,
    pub(super) diverged_left_out: u64,
}

pub(super) fn perform(call: &Call, setting: &Setting, seed: [u8; 32]) -> Performed {
    let (first, last) = call.span();
    let mut stage = Stage {
        call,
        setting,
        first,
        now: Now { mono: START, wall: wall(first) },
        machine: B2bua::new(setting.settings.clone(), Arc::new(LeaseTable::new()), seed),
        translator: Translator::new(call),
        held: VecDeque::new(),
        files: Arc::new(Memory::default()),
        media: None,
        our_call: None,
        said_to_caller: None,
        performed: Performed::default(),
    };
    for line in &call.lines {
        stage.advance(line.at);
        stage.hear(line);
    }
    stage.end(last);
    stage.performed
}

/// Some time after the origin, so that a machine may look back.
const START: Mono = Mono(1_000_000_000);

fn wall(nanos: u64) -> Wall {
    Wall(i64::try_from(nanos / 1_000).unwrap_or(i64::MAX))
}

struct Stage<'a> {
    call: &'a Call,
    setting: &'a Setting,
    first: u64,
    now: Now,
    machine: B2bua,
    translator: Translator,
    /// Captured messages whose time has not come: our machine is behind the captured one.
    held: VecDeque<&'a Line>,
    files: Arc<Memory>,
    media: Option<Media>,
    our_call: Option<CallId>,
    /// Final status of ours to the caller's INVITE.
    said_to_caller: Option<u16>,
    performed: Performed,
}

/// Media of the call, as a media thread and the recordings thread have it between them.
struct Media {
    relay: Relay,
    formats: [SideFormats; 2],
    recording: Option<Offline>,
}

impl<'a> Stage<'a> {
    /// Lets time pass until `at`, with everything that is due on the way.
    fn advance(&mut self, at: u64) {
        let until = self.mono(at);
        for _ in 0..REPLAY_WAKEUPS {
            let silence = self.media.as_ref().and_then(|media| media.relay.poll_timeout());
            let Some((due, _)) = self.machine.poll_timeout().into_iter().chain(silence).min() else { break };
            if due > until {
                break;
            }
            self.wake(due);
        }
        self.pass(until);
    }

    fn wake(&mut self, due: Mono) {
        self.pass(due);
        while let Some(notice) = self.media.as_mut().and_then(|media| media.relay.handle_timeout(due)) {
            if let Some(id) = self.our_call {
                self.input(Input::Media(id, notice));
            }
        }
        if self.machine.poll_timeout().is_some_and(|(at, _)| at <= self.now.mono) {
            self.input(Input::Timeout);
        }
    }

    fn pass(&mut self, until: Mono) {
        self.now = self.now.after(until.since(self.now.mono));
    }

    fn mono(&self, at: u64) -> Mono {
        Mono(START.0.saturating_add(at.saturating_sub(self.first)))
    }

    fn hear(&mut self, line: &'a Line) {
        match &line.what {
            What::Sip(message) => {
                self.hear_sip(line, message);
                self.hear_held();
            }
            What::Rtp(bytes) => self.hear_rtp(line, bytes),
            What::Rtcp(bytes) => {
                if let Some(media) = &mut self.media {
                    // What is refused is counted in the relay's figures.
                    let _ = media.relay.on_rtcp(self.now.mono, line.from.side(), line.source, bytes);
                }
            }
        }
    }

    fn hear_sip(&mut self, line: &'a Line, message: &Message) {
        let Some(party) = self.call.party(line.from) else { return };
        let us = self.setting.us(line.source);
        match self.translator.translate(line.from, party, message, self.setting.stands_for, us) {
            Translated::Message(bytes) => {
                self.note_message(line.from, true, &bytes);
                let (transport, connection) = match party.carrier {
                    Carrier::Udp => (rsip::Transport::Udp, 0),
                    Carrier::Tcp => (rsip::Transport::Tcp, connection(line.from)),
                };
                let flow = Flow { transport, local: us, remote: line.source, connection, name: None };
                self.input(Input::Datagram(flow, bytes));
            }
            Translated::NotYet if self.held.len() < REPLAY_HELD => self.held.push_back(line),
            Translated::NotYet => self.diverge(line, message, "too_many_wait"),
            Translated::None(why) => self.diverge(line, message, why),
        }
    }

    /// Our machine may have said by now what held messages answer.
    fn hear_held(&mut self) {
        while let Some(line) = self.ready() {
            if let What::Sip(message) = &line.what {
                self.hear_sip(line, message);
            }
        }
    }

    /// The first held message that need not wait any longer.
    fn ready(&mut self) -> Option<&'a Line> {
        let ready = self.held.iter().position(|line| {
            let (What::Sip(message), Some(party)) = (&line.what, self.call.party(line.from)) else { return true };
            let us = self.setting.us(line.source);
            let translated = self.translator.translate(line.from, party, message, self.setting.stands_for, us);
            translated != Translated::NotYet
        })?;
        self.held.remove(ready)
    }

    fn hear_rtp(&mut self, line: &Line, bytes: &Bytes) {
        let side = line.from.side();
        let (Some(media), Some(id)) = (&mut self.media, self.our_call) else { return };
        let Ok(accepted) = media.relay.on_rtp(self.now.mono, side, line.source, bytes) else { return };
        if accepted.to.is_some() {
            media.relay.on_relayed(side);
        }
        if let Some(recording) = &mut media.recording {
            recording.on_packet(&TapPacket { call: id, side, at: self.now.mono, bytes });
        }
        if accepted.first {
            self.step(StepKind::FirstPacket(side));
            self.input(Input::Media(id, MediaNotice::FirstPacket(side, self.now.wall)));
        }
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.machine.handle(self.now, input);
            while let Some(output) = self.machine.poll_output() {
                self.carry_out(output, &mut inputs);
            }
        }
    }

    fn carry_out(&mut self, output: Output, inputs: &mut VecDeque<Input>) {
        match output {
            Output::Send(transmit) => self.on_sent(transmit.flow.remote, &transmit.bytes),
            Output::Media(id, command) => {
                let notices = self.on_media(id, command);
                inputs.extend(notices.into_iter().map(|notice| Input::Media(id, notice)));
            }
            // Destinations are literal addresses.
            Output::Resolve { asker, .. } => inputs.push_back(Input::Resolved(asker, Vec::new())),
            // Nobody is asked: the capture shows where the call went.
            Output::Decide(ask) => inputs.push_back(Input::Decided(ask.call, Err("decision_unreachable"))),
            // A replay asks nobody.
            Output::Fetch { url } => inputs.push_back(Input::Fetched { url, answer: None }),
            Output::Event(event) => {
                self.step(StepKind::Event(event.body.kind(), outcome(&event.body)));
                self.performed.events.push(event);
            }
            Output::Refused(refused) => self.step(StepKind::Refused(refused.code)),
            Output::Leg(..) => {}
            Output::Trunk(_) | Output::Probe(_) | Output::TakenOver { .. } => {}
        }
    }

    fn on_sent(&mut self, to: SocketAddr, bytes: &Bytes) {
        let Ok(message) = Message::parse(bytes.clone()) else { return };
        let speaker = self.translator.on_sent(self.call, to, &message);
        let is_invite = message.cseq().is_ok_and(|cseq| cseq.method == "INVITE");
        if speaker == Some(Speaker::Caller) && message.status() >= 200 && is_invite {
            self.said_to_caller.get_or_insert(message.status());
        }
        if let Some(speaker) = speaker {
            self.note_message(speaker, false, bytes);
        }
    }

    fn on_media(&mut self, id: CallId, command: MediaCommand) -> Vec<MediaNotice> {
        match command {
            MediaCommand::Open(open) => {
                self.our_call = Some(id);
                let (own, silence) =
                    (self.setting.settings.own_media().clone(), self.setting.settings.config.media.silence_max);
                let relay = Relay::new(self.now.mono, Arc::new(own), silence);
                self.media = Some(Media { relay, formats: Default::default(), recording: None });
                let [caller, company]: [IpAddr; 2] = open.address;
                let local = |ip, port| LocalMedia { rtp: SocketAddr::new(ip, port) };
                vec![MediaNotice::Opened([local(caller, 20_000), local(company, 20_002)])]
            }
            MediaCommand::Remote(side, remote) => {
                let Some(media) = &mut self.media else { return Vec::new() };
                let refused = media.relay.set_remote(self.now.mono, side, remote.as_ref()).err();
                let formats = remote.map_or_else(SideFormats::default, |remote| SideFormats {
                    formats: remote.formats,
                    flowing: Some(remote.flowing),
                });
                if media.formats[side.index()] != formats {
                    if let Some(recording) = &mut media.recording {
                        recording.on_formats(self.now.mono, side, &formats);
                    }
                    media.formats[side.index()] = formats;
                }
                if let Some(code) = refused {
                    self.step(StepKind::Refused(code));
                }
                Vec::new()
            }
            MediaCommand::Record(spec) => {
                if let Some(media) = &mut self.media {
                    media.recording = Some(Offline::start(self.files.clone(), &spec, &media.formats));
                }
                Vec::new()
            }
            // Its sounds are not ours to know: they take no time.
            MediaCommand::Play(side, _) => vec![MediaNotice::Played(side, self.now, self.now)],
            MediaCommand::Hush(_) | MediaCommand::Bridge(_) | MediaCommand::Press(..) => Vec::new(),
            // A capture's call is recorded here; nobody else gets a copy.
            MediaCommand::Copies(_) => Vec::new(),
            MediaCommand::Pause(paused) => vec![MediaNotice::Paused(paused, self.now)],
            MediaCommand::Close(at) => self.close(id, at),
        }
    }

    fn close(&mut self, id: CallId, at: Now) -> Vec<MediaNotice> {
        let Some(media) = self.media.take() else { return vec![MediaNotice::Closed(Box::default())] };
        let mut notices = vec![MediaNotice::Closed(Box::new(media.relay.summary()))];
        if let Some(recording) = media.recording {
            let (mut summary, stats) = recording.stop(at);
            let sealed = summary.path.take().and_then(|path| self.files.take(Path::new(&path)));
            if let Some(wav) = sealed {
                // Beside the ladder, not in a folder of its day.
                summary.path = Some(wav_name(id));
                self.performed.wav = Some((wav_name(id), wav));
            }
            self.performed.stats = Some(stats);
            notices.push(MediaNotice::Recorded(Box::new(summary)));
        }
        notices
    }

    /// The capture is over: so is the call, and the machine is let go on until it has said so.
    fn end(&mut self, last: u64) {
        self.advance(last);
        if let Some(id) = self.our_call.filter(|_| self.machine.connected() > 0) {
            self.diverge_with("the capture ends before the call does".to_owned());
            self.input(Input::HangUp(id, "capture_ended"));
        }
        for _ in 0..REPLAY_WAKEUPS {
            if self.machine.counts().calls == 0 {
                break;
            }
            let Some((due, _)) = self.machine.poll_timeout() else { break };
            self.wake(due);
        }
        while let Some(line) = self.held.pop_front() {
            if let What::Sip(message) = &line.what {
                self.diverge(line, message, "answers nothing that our machine said");
            }
        }
        if let (Some(captured), Some(ours)) = (self.call.status, self.said_to_caller)
            && captured != ours
        {
            self.diverge_with(format!("the caller got {captured} in the capture, {ours} from us"));
        }
    }

    fn note_message(&mut self, speaker: Speaker, to_us: bool, bytes: &Bytes) {
        if let Ok(message) = Message::parse(bytes.clone()) {
            self.step(StepKind::Message { speaker, to_us, message });
        }
    }

    fn diverge(&mut self, line: &Line, message: &Message, why: &str) {
        let what = super::ladder::first_line(message);
        let at = super::ladder::seconds(line.at.saturating_sub(self.first));
        let who = super::ladder::name(line.from, self.call.attempts.len());
        self.diverge_with(format!("{at} {who}: {what}: {why}"));
    }

    fn diverge_with(&mut self, text: String) {
        if self.performed.diverged.len() < REPLAY_STEPS {
            self.performed.diverged.push(text);
        } else {
            self.performed.diverged_left_out += 1;
        }
    }

    fn step(&mut self, kind: StepKind) {
        let at = self.now.mono.since(START);
        if self.performed.steps.len() < REPLAY_STEPS {
            self.performed.steps.push(Step { at, kind });
        } else {
            self.performed.steps_left_out += 1;
        }
    }
}

fn connection(speaker: Speaker) -> u64 {
    match speaker {
        Speaker::Caller => 1,
        Speaker::Company(index) => 2 + u64::try_from(index).unwrap_or(0),
    }
}

fn outcome(body: &Body) -> Option<&'static str> {
    match body {
        Body::CallEnded(data) => data.outcome.map(crate::core::event::Outcome::as_str),
        _ => None,
    }
}
