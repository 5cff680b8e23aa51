//! A recording session that stands: descriptions either way, and its end by the recorder.

use std::sync::Arc;

use super::Ctx;
use super::facts::{self, LABELS};
use super::session::{Failure, Session, State};
use crate::core::agent::{AgentEvent, ClientTxn, Extra, LegId, Payload, ServerTxn};
use crate::core::call::offer::description;
use crate::core::media::{Copies, CopyTo};
use crate::core::media_address;
use crate::ids::Side;
use crate::limits;
use crate::wire::sdp::Audio;
use crate::wire::sdp_streams::{self, Said};
use crate::wire::sip::Message;

/// Where the copies of each side go, as a recorder says.
type Targets = [Option<CopyTo>; 2];

impl Session {
    pub(super) fn on_recording(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match event {
            AgentEvent::Bye { .. } => self.lost(Failure::new("recorder_left"), ctx),
            AgentEvent::Ended { .. } | AgentEvent::AckTimeout { .. } | AgentEvent::Refused { .. } => {
                ctx.agent.bye(ctx.now, leg, Extra::default());
                self.lost(Failure::new("dialog_lost"), ctx);
            }
            AgentEvent::Request { txn, request, .. } => self.on_request(*txn, request, ctx),
            AgentEvent::Acked { txn: Some(txn), request, .. } => self.on_late_answer(*txn, request, ctx),
            AgentEvent::Response { txn, status, response, .. } => {
                self.on_response(*txn, *status, response.as_ref(), ctx);
            }
            _ => {}
        }
    }

    /// The recorder is told how things are now, when it does not know; later, when something is in the way.
    pub(super) fn tell(&mut self, ctx: &mut Ctx<'_>) {
        let State::Recording(recording) = &mut self.state else { return };
        if !recording.is_stale || recording.asked.is_some() || recording.again.is_some() {
            return;
        }
        let leg = recording.leg;
        let Some(payload) = self.offer(ctx) else { return };
        let headers = ctx.agent.contact_of(leg).map(|contact| facts::headers(&contact)).unwrap_or_default();
        let extra = Extra { headers, payload: Some(payload), ..Extra::default() };
        let asked = ctx.agent.request(ctx.now, leg, rsip::Method::Invite, extra);
        if let State::Recording(recording) = &mut self.state {
            recording.asked = Some(asked);
            recording.is_stale = false;
        }
    }

    fn on_response(&mut self, txn: ClientTxn, status: u16, response: Option<&Arc<Message>>, ctx: &mut Ctx<'_>) {
        let State::Recording(recording) = &mut self.state else { return };
        if status < 200 || recording.asked != Some(txn) {
            return;
        }
        recording.asked = None;
        let leg = recording.leg;
        match status {
            200..300 => {
                ctx.agent.ack(ctx.now, leg, None);
                if let Some(targets) = response.and_then(|response| self.read(response, ctx)) {
                    self.aim(targets, ctx);
                }
            }
            491 => {
                recording.is_stale = false;
                recording.again = Some(ctx.now.mono + limits::SIPREC_GLARE);
                return;
            }
            // RFC 3261 §12.2.1.2: the dialog is gone, or nobody is there any more.
            408 | 481 => {
                ctx.agent.bye(ctx.now, leg, Extra::default());
                return self.lost(Failure::new("dialog_lost"), ctx);
            }
            // What was in force goes on; the next change is told again.
            _ => {}
        }
        self.tell(ctx);
    }

    fn on_request(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        match request.method() {
            Some(rsip::Method::Invite | rsip::Method::Update) => self.on_offer(txn, request, ctx),
            Some(rsip::Method::Options | rsip::Method::Info) => {
                ctx.agent.respond(ctx.now, txn, 200, Extra::default());
            }
            _ => ctx.agent.respond(ctx.now, txn, 405, Extra::default()),
        }
    }

    /// The recorder moves, pauses or refreshes the session.
    fn on_offer(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let offer = description(request);
        let wanted = offer.as_ref().map(|offer| self.targets(offer, ctx));
        let (Some(description), false) = (self.describe(offer.as_deref(), ctx), wanted == Some(None)) else {
            return ctx.agent.respond(ctx.now, txn, 488, Extra::default());
        };
        let State::Recording(recording) = &mut self.state else { return };
        let contact = ctx.agent.contact_of(recording.leg);
        let headers = contact.map(|contact| ("Contact".into(), facts::contact(&contact))).into_iter().collect();
        recording.offered = wanted.is_none().then_some(txn);
        let payload = Payload { content_type: "application/sdp".to_owned(), bytes: description };
        ctx.agent.respond(ctx.now, txn, 200, Extra { headers, payload: Some(payload), phrase: None });
        if let Some(targets) = wanted.flatten() {
            self.aim(targets, ctx);
        }
    }

    fn on_late_answer(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let State::Recording(recording) = &mut self.state else { return };
        if recording.offered.take_if(|offered| *offered == txn).is_some()
            && let Some(targets) = self.read(request, ctx)
        {
            self.aim(targets, ctx);
        }
    }

    /// The recorder does not record any more: the next round comes after a pause.
    fn lost(&mut self, failure: Failure, ctx: &mut Ctx<'_>) {
        self.stop_copies(ctx);
        self.failure = failure;
        self.end_round(ctx);
    }

    pub(super) fn aim(&mut self, targets: Targets, ctx: &mut Ctx<'_>) {
        for (side, to) in Side::BOTH.into_iter().zip(targets) {
            self.media(Copies::To(side, to), ctx);
        }
    }

    /// Where the copies go by this message; `None`: nowhere that we could use.
    pub(super) fn read(&self, message: &Message, ctx: &Ctx<'_>) -> Option<Targets> {
        self.targets(&description(message)?, ctx)
    }

    fn targets(&self, body: &[u8], ctx: &Ctx<'_>) -> Option<Targets> {
        let streams = sdp_streams::read(body).ok()?;
        let place = |side: Side| streams.get(self.slot_of(side, &streams)?)?.audio.as_ref();
        let both = Side::BOTH.map(|side| place(side).and_then(|audio| self.target(side, audio, ctx)));
        // A recorder that wants nothing for now may say so; one whose streams we cannot reach is no recorder.
        both.iter().any(Option::is_some).then(|| both.map(Option::flatten))
    }

    /// Which `m=` line is this side's: labels say it, else the order.
    fn slot_of(&self, side: Side, streams: &[sdp_streams::Stream]) -> Option<usize> {
        let label = LABELS.get(side.index()).copied();
        let labelled = streams.iter().position(|stream| stream.label.as_deref() == label);
        labelled.or_else(|| (side.index() < streams.len()).then_some(side.index()))
    }

    /// Where copies of a side go: `Some(None)` nowhere for now, `None` nowhere that we may send to.
    fn target(&self, side: Side, audio: &Audio, ctx: &Ctx<'_>) -> Option<Option<CopyTo>> {
        let ours = self.ports?.get(side.index())?.rtp;
        if !audio.direction.receives() || media_address::is_hold(audio.rtp) {
            return Some(None);
        }
        let may = media_address::is_acceptable(audio.rtp, ctx.settings.own_media()).is_ok();
        if !may || audio.rtp.is_ipv4() != ours.is_ipv4() {
            return None;
        }
        let offered = |payload_type: u8| {
            self.sides
                .get(side.index())
                .is_some_and(|audio| audio.formats.iter().any(|f| f.payload_type == payload_type))
        };
        let agreed = audio.formats.iter().map(|format| format.payload_type).filter(|format| offered(*format));
        let types = agreed.fold(0_u128, |types, payload_type| types | 1 << (payload_type & 0x7f));
        (types != 0).then_some(Some(CopyTo { rtp: audio.rtp, types }))
    }

    /// Our description: an offer, or the answer to `offer`.
    pub(super) fn describe(&mut self, offer: Option<&[u8]>, ctx: &Ctx<'_>) -> Option<bytes::Bytes> {
        let ports = self.ports?;
        let advertise = ctx.settings.config.media.advertise;
        let shown = |side: Side| ports.get(side.index()).map(|local| local.shown(advertise));
        self.version += 1;
        let streams = offer.map_or(Some(Vec::new()), |offer| sdp_streams::read(offer).ok())?;
        let mut lines: Vec<Option<(Side, Audio)>> = streams.iter().map(|_| None).collect();
        for side in Side::BOTH {
            let mut audio = self.sides.get(side.index())?.clone();
            match offer {
                None => lines.push(Some((side, audio))),
                Some(_) => {
                    let Some(slot) = self.slot_of(side, &streams) else { continue };
                    let Some(theirs) = streams.get(slot).and_then(|stream| stream.audio.as_ref()) else { continue };
                    audio.direction = audio.direction.answering(theirs.direction);
                    let named = |format: &crate::wire::sdp::Format| {
                        theirs.formats.iter().any(|other| other.payload_type == format.payload_type)
                    };
                    if audio.retain(named)
                        && let Some(line) = lines.get_mut(slot)
                    {
                        *line = Some((side, audio));
                    }
                }
            }
        }
        let mut said = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            said.push(match (line, streams.get(index)) {
                (Some((side, audio)), _) => {
                    Said::Stream { label: LABELS.get(side.index()).copied(), audio, local: shown(*side)? }
                }
                (None, Some(stream)) => Said::Refused(stream),
                (None, None) => continue,
            });
        }
        Some(sdp_streams::write(self.session_id, self.version, shown(Side::Caller)?, &said))
    }
}
