//! One call: both legs, their media and the teardown live in one value, changed by one function.
//!
//! Where it goes is planned when it is let in; a company's webhook may say otherwise before anything else happens
//! (`deciding`). The caller's leg exists from the start; the company's legs come one after another as the hunt goes through the
//! company's destinations. `Ending` is a state: the call waits there until the media threads have closed its ports
//! and the recording is sealed, then tells the world once and is gone. What still happens on the wire by then (a BYE
//! that must be repeated, a 2xx that crossed our CANCEL) is the agent's.

mod deciding;
mod early;
pub mod ending;
pub mod headers;
mod hunt;
mod invite;
pub mod offer;
mod places;
mod prompts;
pub mod reasons;
pub mod record;
mod talk;
pub mod transfer;
mod voicemail;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::{Company, Trunk};
use crate::core::admission::{Admission, Admitted, Reject};
use crate::core::agent::{Agent, AgentEvent, Extra, Flow, LegId, Payload};
use crate::core::b2bua::{Output, Settings};
use crate::core::decide::Decisions;
use crate::core::defence::fraud::Alarms;
use crate::core::event::{
    Body, CallData, Event, HangupBy, MediaSummary, Outcome, PausedBy, RecordingData, RecordingState, RecordingSummary,
    SilentData,
};
use crate::core::health::Health;
use crate::core::identity::CallerIdentity;
use crate::core::locate::Hop;
use crate::core::media::{MediaCommand, MediaNotice, Open};
use crate::core::registration::Registrations;
use crate::core::route::{Desk, Plan, Target};
use crate::ids::{CallId, Side};
use crate::limits;
use crate::time::{Mono, Now, Wakeup, Wall};
use crate::wire::sdp::Audio;
use crate::wire::sip::Message;

use deciding::Decided;
use early::Early;
use ending::Why;
use hunt::{Hunt, Tried};
use offer::{Negotiation, Stream};
use places::Seat;
use prompts::Prompts;
use record::{Record, Way};
use talk::Talk;
use talk::offers::Offer;
use transfer::{Relayed, Replaces, Transfer};

/// What reaches a call.
#[derive(Debug)]
pub enum Input<'a> {
    /// An event of one of its legs.
    Leg(Side, LegId, &'a AgentEvent),
    Media(MediaNotice),
    /// Answer to [`Output::Resolve`], with the question's number: places in order of preference, empty when there are none.
    Resolved(u32, Vec<Hop>),
    /// Answer to [`Output::Decide`], or the code of why there is none.
    Decided(Result<bytes::Bytes, &'static str>),
    /// An INVITE of the company's side that is to take the place of its leg `old` (RFC 3891).
    Replace {
        leg: LegId,
        old: LegId,
        replaces: &'a Replaces,
        request: &'a Arc<Message>,
        flow: Flow,
    },
    /// Somebody in charge ends the call; the code says why.
    HangUp(&'static str),
    /// Somebody in charge pauses the recording, or lets it go on.
    Pause(bool),
    /// This call is not to be recorded.
    DoNotRecord,
    Timeout,
}

/// What a call may use while it handles one input.
#[derive(Debug)]
pub struct Ctx<'a> {
    pub now: Now,
    pub agent: &'a mut Agent,
    pub settings: &'a Settings,
    /// Whose turn it is.
    pub desk: &'a mut Desk,
    /// Which webhooks are asked.
    pub decisions: &'a mut Decisions,
    /// What destinations may still have.
    pub admission: &'a mut Admission,
    pub alarms: &'a mut Alarms,
    /// Which hops are down.
    pub health: &'a mut Health,
    pub registrations: &'a Registrations,
    pub out: &'a mut VecDeque<Output>,
    /// Legs that came to be, for the owner's map from leg to call.
    pub new_legs: &'a mut Vec<LegId>,
}

impl Ctx<'_> {
    fn media(&mut self, call: CallId, command: MediaCommand) {
        self.out.push_back(Output::Media(call, command));
    }

    /// Route of an INVITE through this trunk, when it has named one (RFC 3608).
    fn service_route(&self, trunk: Option<&Arc<Trunk>>) -> impl Iterator<Item = (Cow<'static, str>, String)> {
        let trunk = trunk.filter(|trunk| trunk.register.is_some());
        let route = trunk.and_then(|trunk| self.registrations.service_route(&trunk.name));
        route.into_iter().flatten().map(|place| ("Route".into(), place.to_string()))
    }

    fn event(&mut self, subject: CallId, body: Body) {
        self.out.push_back(Output::Event(Event { time: self.now.wall, subject: subject.to_string(), body }));
    }
}

/// What is known of a call when it is let in.
#[derive(Debug)]
pub struct NewCall {
    pub admitted: Admitted,
    pub leg: LegId,
    /// The trunk that the call came from.
    pub trunk: Arc<Trunk>,
    pub flow: Flow,
    pub invite: Arc<Message>,
    /// The caller's offer; `None` when the INVITE had none and the company is to make it (RFC 3261 §13.2.1).
    pub offer: Option<Stream>,
    pub identity: CallerIdentity,
    pub data: CallData,
    /// A PBX has told of the call: the world knows that it has started.
    pub is_told: bool,
    pub company: Arc<Company>,
    /// Where it goes.
    pub plan: Plan,
    pub caller_nat: bool,
    pub recorded: bool,
    pub max_forwards: u8,
    /// Numbers for our `o=` lines, from the seed.
    pub session_ids: [u64; 2],
    /// What keys of its media are drawn from; none: no leg of any call is encrypted.
    pub media_secret: Option<Box<[u8; 32]>>,
}

/// One tracked call.
#[derive(Debug)]
pub struct Call {
    facts: NewCall,
    state: State,
    negotiation: Option<Negotiation>,
    company: Option<LegId>,
    /// The trunk of the destination that was tried last, when it has one.
    way_out: Option<Arc<Trunk>>,
    /// The offer that is under way between the parties, before and after the answer.
    offer: Offer,
    early: Early,
    /// A transfer that we carry out, and one that crosses.
    transfer: Option<Box<Transfer>>,
    relayed: Option<Relayed>,
    /// Whether each side's Allow names UPDATE.
    allows_update: [bool; 2],
    /// Every leg this call ever had.
    legs: Vec<LegId>,
    /// Places that it holds at destinations whose calls are counted.
    seats: Vec<Seat>,
    /// The destination that the company's side is at, by the name that its place has.
    place: u32,
    /// The company's webhook was asked and has not said anything yet.
    is_asking: bool,
    decided: Option<Decided>,
    /// Destinations that were tried.
    tried: Vec<Tried>,
    media: Option<Box<MediaSummary>>,
    recording: Option<Box<RecordingSummary>>,
    recording_started: bool,
    /// It counts among the calls that are transcoded.
    transcoded: bool,
    record: Record,
    prompts: Prompts,
    /// The company had answered, and the caller never heard it: our 200 was waiting for a PRACK.
    caller_refused: bool,
    /// Closes what signalling cannot close itself: the longest talk.
    call_length: Option<Mono>,
    /// One span a call: what is logged while it is handled carries its id.
    span: tracing::Span,
}

#[derive(Debug)]
enum State {
    /// 100 is out; the company's webhook is asked where the call goes.
    Deciding {
        since: Mono,
        until: Mono,
    },
    /// 100 is out; the media threads take ports.
    Opening,
    /// The caller hears from us what it is to know before the next step.
    Announcing(prompts::Then),
    /// Going through the destinations.
    Hunting(Hunt),
    /// The company answered.
    Talking(Talk),
    /// Nobody has answered, for this reason: the caller leaves a message, until then at most.
    Mailbox {
        why: Why,
        until: Option<Mono>,
    },
    /// Nobody is connected any more; media and recording are being closed.
    Ending {
        until: Mono,
    },
    Ended,
}

impl Call {
    /// A call that nobody has heard of yet.
    pub fn new(facts: NewCall) -> Call {
        let id = facts.data.call_id;
        Call {
            legs: vec![facts.leg],
            seats: Vec::new(),
            place: 0,
            is_asking: false,
            decided: None,
            tried: Vec::new(),
            allows_update: [allows_update(&facts.invite).unwrap_or(false), false],
            facts,
            state: State::Opening,
            negotiation: None,
            company: None,
            way_out: None,
            offer: Offer::Idle,
            early: Early::default(),
            transfer: None,
            relayed: None,
            media: None,
            recording: None,
            recording_started: false,
            transcoded: false,
            record: Record::default(),
            prompts: Prompts::default(),
            caller_refused: false,
            call_length: None,
            span: tracing::info_span!("call", %id),
        }
    }

    /// Whether it counts among the calls that are transcoded.
    pub fn is_transcoded(&self) -> bool {
        self.transcoded
    }

    /// Takes the call in: 100 to the caller, `call.started`; a webhook is asked, or ports are taken.
    pub fn start(&mut self, ctx: &mut Ctx<'_>) {
        let facts = &self.facts;
        ctx.agent.set_nat(facts.leg, facts.caller_nat);
        ctx.agent.set_large(facts.leg, facts.trunk.large_requests);
        ctx.agent.set_credentials(facts.leg, facts.trunk.credentials.clone());
        ctx.agent.trying(ctx.now, facts.leg);
        if !facts.is_told {
            ctx.event(self.id(), Body::CallStarted(Box::new(facts.data.clone())));
        }
        ctx.agent.set_transfers(facts.leg, self.transfers_of(Side::Caller));
        if !self.ask(ctx) {
            self.open(ctx);
        }
    }

    /// It is known where the call goes: ports are asked for, or the caller is refused.
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        let facts = &self.facts;
        self.state = State::Opening;
        let is_taken = |reject: &Reject| self.has_mailbox(Why::refused(*reject));
        if let Some(Reject { status, code, .. }) = facts.plan.refused.filter(|reject| !is_taken(reject)) {
            self.refuse_caller(Why::new(Outcome::Rejected, code, HangupBy::System, status), None, ctx);
            return self.finish(ctx);
        }
        let caller_family = facts.offer.as_ref().map_or(facts.flow.remote.ip(), |stream| stream.audio.rtp.ip());
        let company_family =
            facts.plan.targets.first().and_then(Target::literal).map_or(caller_family, |hop| hop.remote.ip());
        let media = &ctx.settings.config.media;
        let ours = |family: std::net::IpAddr| {
            let fits = |ip: &std::net::IpAddr| ip.is_ipv4() == family.is_ipv4();
            Some(media.address).filter(fits).or(media.address6.filter(fits)).unwrap_or(media.address)
        };
        let address = [ours(caller_family), ours(company_family)];
        ctx.media(self.id(), MediaCommand::Open(Open { call: self.id(), address }));
    }

    pub fn id(&self) -> CallId {
        self.facts.data.call_id
    }

    /// What is known so far, as it would stand in an event.
    pub fn data(&self) -> &CallData {
        &self.facts.data
    }

    /// For the list of live calls.
    pub fn phase(&self) -> &'static str {
        match &self.state {
            State::Deciding { .. } => "deciding",
            State::Opening => "opening",
            State::Hunting(hunt) if hunt.is_ringing() => "ringing",
            State::Hunting(_) => "connecting",
            State::Announcing(_) => "announcing",
            State::Talking(_) => "talking",
            State::Mailbox { .. } => "voicemail",
            State::Ending { .. } => "ending",
            State::Ended => "ended",
        }
    }

    /// Everything is told and closed: the owner forgets the call.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Nobody is connected: a drain need not wait for this call.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ending { .. } | State::Ended)
    }

    /// Every leg this call ever had, for the owner's map.
    pub fn legs(&self) -> &[LegId] {
        &self.legs
    }

    /// The audio stream that is in force for this side.
    pub fn audio(&self, side: Side) -> Option<Audio> {
        Some(self.negotiation.as_ref()?.in_force(side)?.audio)
    }

    /// Whose call it is.
    pub fn company(&self) -> &Company {
        &self.facts.company
    }

    /// Places that it still holds at destinations, and whether it was answered.
    pub fn seats(&self) -> (impl Iterator<Item = &Arc<str>>, bool) {
        (self.seats.iter().map(|seat| &seat.line), self.facts.data.answered_at.is_some())
    }

    /// The destination that answered, by its label.
    pub fn answered_by(&self) -> Option<&Arc<str>> {
        self.facts.data.answered_at?;
        self.winner().map(|target| &target.destination.label)
    }

    /// The admission, for who counts the talk.
    pub fn admitted_mut(&mut self) -> &mut Admitted {
        &mut self.facts.admitted
    }

    /// Gives back the admission when the call is gone.
    pub fn into_admitted(self) -> Admitted {
        self.facts.admitted
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let own = match &self.state {
            State::Deciding { until, .. } => Some((*until, "decision")),
            State::Opening | State::Announcing(_) | State::Ended => None,
            State::Mailbox { until, .. } => until.map(|at| (at, "message length")),
            State::Hunting(hunt) => hunt.poll_timeout(),
            State::Talking(_) => None,
            State::Ending { until } => Some((*until, "closing")),
        };
        let length = self.call_length.map(|at| (at, "call length"));
        own.into_iter()
            .chain(length)
            .chain(self.offer.poll_timeout())
            .chain(self.transfer.as_ref().and_then(|transfer| transfer.poll_timeout()))
            .min_by_key(|(at, _)| *at)
    }

    /// The only way to change a call.
    pub fn handle(&mut self, input: Input<'_>, ctx: &mut Ctx<'_>) {
        let span = self.span.clone();
        let _entered = span.enter();
        match input {
            Input::Media(notice) => self.on_media(notice, ctx),
            Input::HangUp(code) => self.hang_up(code, ctx),
            Input::Pause(pause) => self.order_pause(pause, PausedBy::Api, ctx),
            Input::DoNotRecord => self.withdraw_recording(),
            Input::Timeout if self.call_length.is_some_and(|at| at <= ctx.now.mono) => {
                self.hang_up("call_length_max", ctx);
            }
            Input::Timeout => self.on_timeout(ctx),
            Input::Resolved(question, hops) => {
                if !self.on_transfer_resolved(question, &hops, ctx) {
                    self.on_resolved(question, &hops, ctx);
                }
            }
            Input::Decided(answer) => self.on_decided(answer.as_deref().map_err(|code| *code), ctx),
            Input::Replace { leg, old, replaces, request, flow } => {
                self.on_replaces(leg, old, replaces, request, flow, ctx);
            }
            Input::Leg(Side::Caller, _, event) => self.on_caller(event, ctx),
            Input::Leg(Side::Company, leg, event) => self.on_company(leg, event, ctx),
        }
        self.drop_orphaned_offer(ctx);
        self.renew_hold_music(ctx);
    }

    /// What a message of this side says of the side itself.
    fn learn(&mut self, side: Side, message: &Message) {
        if let Some(allows) = allows_update(message) {
            self.allows_update[side.index()] = allows;
        }
    }

    fn on_caller(&mut self, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match (&self.state, event) {
            (State::Deciding { .. }, AgentEvent::Cancelled { request, .. } | AgentEvent::Bye { request, .. }) => {
                self.take_reasons(request, Side::Company, ctx);
                self.end_undecided(Why::cancelled(), ctx);
            }
            (State::Deciding { .. }, AgentEvent::Ended { reason, .. }) => {
                self.end_undecided(deciding::lost(reason), ctx);
            }
            (
                State::Opening | State::Announcing(_) | State::Hunting(_),
                AgentEvent::Cancelled { request, .. } | AgentEvent::Bye { request, .. },
            ) => {
                let reason = self.take_reasons(request, Side::Company, ctx);
                self.give_up_attempts(reason, ctx);
                self.end(Why::cancelled(), ctx);
            }
            (State::Opening | State::Announcing(_) | State::Hunting(_), AgentEvent::Ended { reason, .. }) => {
                self.give_up_attempts(Vec::new(), ctx);
                self.end(Why::new(Outcome::Failed, reason, HangupBy::System, 504), ctx);
            }
            (State::Talking(_), _) => self.on_talking(Side::Caller, event, ctx),
            (State::Mailbox { .. }, _) => self.on_mailbox(event, ctx),
            (State::Announcing(_) | State::Hunting(_), AgentEvent::Request { txn, request, .. }) => {
                self.on_early_request(Side::Caller, *txn, request, ctx);
            }
            (State::Hunting(_), AgentEvent::Response { txn, status, response, .. }) => {
                self.on_offer_response(Side::Caller, *txn, *status, response.as_ref(), ctx);
            }
            // The leg is over or not yet up to it: the agent has answered what needs an answer.
            (
                State::Deciding { .. }
                | State::Opening
                | State::Announcing(_)
                | State::Hunting(_)
                | State::Ending { .. }
                | State::Ended,
                _,
            ) => {}
        }
    }

    fn on_company(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match &self.state {
            State::Hunting(_) => self.on_hunting(leg, event, ctx),
            State::Talking(_) if self.company == Some(leg) => self.on_talking(Side::Company, event, ctx),
            // Else a destination that was given up: the agent ends it alone.
            State::Deciding { .. }
            | State::Opening
            | State::Announcing(_)
            | State::Talking(_)
            | State::Mailbox { .. }
            | State::Ending { .. }
            | State::Ended => {
                self.on_transfer_event(leg, event, ctx);
            }
        }
    }

    fn on_timeout(&mut self, ctx: &mut Ctx<'_>) {
        self.on_offer_timeout(ctx);
        self.on_transfer_timeout(ctx);
        match &self.state {
            State::Deciding { until, .. } if *until <= ctx.now.mono => self.on_decided(Err("decision_late"), ctx),
            State::Hunting(_) => self.on_hunt_timeout(ctx),
            State::Ending { until } if *until <= ctx.now.mono => self.finish(ctx),
            State::Mailbox { until: Some(until), .. } if *until <= ctx.now.mono => self.on_message_full(ctx),
            State::Deciding { .. }
            | State::Opening
            | State::Announcing(_)
            | State::Talking(_)
            | State::Mailbox { .. }
            | State::Ending { .. }
            | State::Ended => {}
        }
    }

    fn on_media(&mut self, notice: MediaNotice, ctx: &mut Ctx<'_>) {
        match notice {
            MediaNotice::Opened(local) if matches!(self.state, State::Opening) => self.begin_hunt(local, ctx),
            MediaNotice::Refused(code) if matches!(self.state, State::Opening) => {
                let why = Why::new(Outcome::Failed, code, HangupBy::System, 503);
                self.refuse_caller(why, Some(5), ctx);
                self.finish(ctx);
            }
            MediaNotice::Silent => {
                if matches!(self.state, State::Talking(_)) {
                    self.hang_up("media_silent", ctx);
                }
            }
            MediaNotice::Quiet { side, silent } => {
                if matches!(self.state, State::Talking(_)) {
                    let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
                    let data = SilentData { call_id: self.id(), side: side.as_str().to_owned(), silent_ms };
                    ctx.event(self.id(), Body::MediaSilent(data));
                }
            }
            MediaNotice::Crashed(_) => self.hang_up("media_crashed", ctx),
            MediaNotice::Closed(summary) => {
                self.media = Some(summary);
                self.finish_when_closed(ctx);
            }
            MediaNotice::Recorded(summary) => {
                self.recording = Some(summary);
                self.finish_when_closed(ctx);
            }
            MediaNotice::Paused(paused, at) => self.on_paused(paused, at, ctx),
            MediaNotice::Played(side, from, until) => self.on_played(side, from, until, ctx),
            MediaNotice::Digit(side, digit) => {
                if self.on_digit(side, Way::Rtp, &digit, ctx) {
                    self.pass_key(side, &digit, ctx);
                }
            }
            // The other side hears it as it is.
            MediaNotice::Tone(side, digit) => drop(self.on_digit(side, Way::Tone, &digit, ctx)),
            // Ports that came too late were closed by `end`; a first packet is of interest to observers only.
            MediaNotice::Opened(_)
            | MediaNotice::Refused(_)
            | MediaNotice::FirstPacket(..)
            | MediaNotice::Copies(_) => {}
        }
    }

    /// We end the call, whatever it is doing.
    fn hang_up(&mut self, code: &'static str, ctx: &mut Ctx<'_>) {
        match &self.state {
            State::Deciding { .. } => {
                let why = Why { status: 480, ..Why::refused(Reject::new(480, code)) };
                self.refuse_undecided(why, ctx);
            }
            State::Opening | State::Announcing(_) | State::Hunting(_) => {
                self.give_up_attempts(Vec::new(), ctx);
                let why = Why { status: 480, ..Why::refused(Reject::new(480, code)) };
                self.refuse_caller(why, None, ctx);
            }
            State::Mailbox { .. } => {
                let reason = self.own_reason(Side::Caller, code, ctx);
                self.bye(Side::Caller, reason, ctx);
                self.end_message(HangupBy::System, ctx);
            }
            State::Talking(_) => {
                self.drop_pending(ctx);
                for side in Side::BOTH {
                    let reason = self.own_reason(side, code, ctx);
                    self.bye(side, reason, ctx);
                }
                self.end(Why::by_system(code), ctx);
            }
            State::Ending { .. } | State::Ended => {}
        }
    }

    /// Final failure for the caller's INVITE, and the end.
    fn refuse_caller(&mut self, why: Why, retry_after: Option<u32>, ctx: &mut Ctx<'_>) {
        let headers = self.refusal_reasons(&why, ctx);
        let mut extra = Extra { headers, ..Extra::default() };
        if let Some(seconds) = retry_after {
            extra.headers.push(("Retry-After".into(), seconds.to_string()));
        }
        ctx.agent.refuse(ctx.now, self.facts.leg, why.status, extra);
        self.end(why, ctx);
    }

    fn bye(&mut self, side: Side, headers: headers::Lines, ctx: &mut Ctx<'_>) {
        if let Some(leg) = self.leg(side) {
            self.caller_refused |= side == Side::Caller && ctx.agent.is_unanswered(leg);
            ctx.agent.bye(ctx.now, leg, Extra { headers, ..Extra::default() });
        }
    }

    fn leg(&self, side: Side) -> Option<LegId> {
        match side {
            Side::Caller => Some(self.facts.leg),
            Side::Company => self.company,
        }
    }

    /// Nobody is connected from now on: the media threads close, and the world is told when they have.
    fn end(&mut self, mut why: Why, ctx: &mut Ctx<'_>) {
        if self.caller_refused {
            (why.outcome, why.status) = (Outcome::Failed, 480);
        }
        self.default_cause(&why);
        self.drop_offer(487, ctx);
        self.drop_transfer(ctx);
        let data = &mut self.facts.data;
        data.ended_at = Some(ctx.now.wall);
        data.outcome = Some(why.outcome);
        data.reason = Some(why.reason.to_owned());
        data.hangup_by = Some(why.hangup_by);
        data.sip_status = Some(why.status);
        let ring_end = data.answered_at.unwrap_or(ctx.now.wall);
        data.ring_ms = data.ringing_at.map_or(0, |at| ring_end.millis_since(at));
        data.talk_ms = data.answered_at.map_or(0, |at| ctx.now.wall.millis_since(at));
        self.call_length = None;
        ctx.media(self.id(), MediaCommand::Close(ctx.now));
        self.state = State::Ending { until: ctx.now.mono + limits::CLOSING };
    }

    /// This call has panicked: its legs are being hung up by the owner. It ends like every other, with its recording;
    /// when it was ending already, without waiting any longer.
    pub fn crash(&mut self, ctx: &mut Ctx<'_>) {
        match self.state {
            State::Deciding { .. }
            | State::Opening
            | State::Announcing(_)
            | State::Hunting(_)
            | State::Talking(_)
            | State::Mailbox { .. } => {
                let status = if self.facts.data.answered_at.is_some() { 200 } else { 480 };
                self.end(Why::new(Outcome::Failed, "crashed", HangupBy::System, status), ctx);
            }
            State::Ending { .. } => self.finish(ctx),
            State::Ended => {}
        }
    }

    /// This call has panicked twice: it is over at once. What `call.ended` can still say.
    pub fn cut_off(&mut self, now: Now) -> CallData {
        self.state = State::Ended;
        let data = &mut self.facts.data;
        let ended = *data.ended_at.get_or_insert(now.wall);
        data.talk_ms = data.answered_at.map_or(0, |at| ended.millis_since(at));
        data.outcome = Some(Outcome::Failed);
        data.sip_status.get_or_insert(if data.answered_at.is_some() { 200 } else { 480 });
        data.reason = Some("crashed".to_owned());
        data.hangup_by = Some(HangupBy::System);
        data.clone()
    }

    fn finish_when_closed(&mut self, ctx: &mut Ctx<'_>) {
        let sealed = !self.recording_started || self.recording.is_some();
        if matches!(self.state, State::Ending { .. }) && self.media.is_some() && sealed {
            self.finish(ctx);
        }
    }

    /// Tells the world, once.
    fn finish(&mut self, ctx: &mut Ctx<'_>) {
        let id = self.id();
        let recording = match self.recording.take() {
            Some(summary) => *summary,
            None if self.recording_started => RecordingSummary {
                state: RecordingState::Failed,
                reason: Some("not_sealed_in_time".to_owned()),
                ..RecordingSummary::default()
            },
            None => self.no_recording(),
        };
        if self.recording_started {
            let sealed = RecordingData { call_id: id, recording: recording.clone() };
            ctx.event(id, Body::RecordingSealed(sealed));
        }
        let mut media = self.media.take().map_or_else(MediaSummary::default, |summary| *summary);
        media.codec = self.negotiation.as_ref().and_then(Negotiation::codec).map(str::to_owned);
        let mut data = self.facts.data.clone();
        data.recording = Some(recording);
        data.dtmf = std::mem::take(&mut self.record.digits);
        data.prompts = self.take_prompts(ctx.now.wall);
        data.media = Some(media);
        data.route = Some(Box::new(self.route_data()));
        ctx.event(id, Body::CallEnded(Box::new(data)));
        self.state = State::Ended;
    }

    /// `side`'s stream is in force: media threads learn whom to believe.
    fn accept(&mut self, side: Side, stream: &Stream, ctx: &mut Ctx<'_>) {
        let id = self.id();
        if let Some(negotiation) = &mut self.negotiation {
            let remote = negotiation.accept(side, stream);
            if !self.transcoded && negotiation.costs_transcoding() {
                self.transcoded = true;
                ctx.admission.transcodes();
            }
            ctx.media(id, MediaCommand::Remote(side, Some(remote)));
        }
    }

    /// The description of `stream`, which `from` wrote, for the other side.
    fn cross(&mut self, from: Side, stream: &Stream) -> Option<Payload> {
        Some(self.negotiation.as_mut()?.cross(from, stream))
    }

    /// The company answered: both sides are connected.
    fn connected(&mut self, talk: Talk, ctx: &mut Ctx<'_>) {
        let id = self.id();
        let answered: Wall = ctx.now.wall;
        self.facts.data.answered_at = Some(answered);
        // What destinations before this one said.
        self.facts.data.q850_cause = None;
        self.facts.data.sip_reason = None;
        self.facts.data.ring_ms = self.facts.data.ringing_at.map_or(0, |at| answered.millis_since(at));
        self.call_length = Some(ctx.now.mono + ctx.settings.config.sip.call_length_max);
        self.begin_recording(ctx);
        self.begin_intro(ctx);
        ctx.event(id, Body::CallAnswered(Box::new(self.facts.data.clone())));
        self.state = State::Talking(talk);
    }
}

/// What the Allow header says of UPDATE; `None` without one.
fn allows_update(message: &Message) -> Option<bool> {
    message.header("Allow")?;
    Some(message.list("Allow").any(|method| method.eq_ignore_ascii_case("UPDATE")))
}
