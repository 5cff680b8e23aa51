//! Nobody has answered: the caller is asked for a message.
//!
//! The call is answered by us: a greeting, a tone, and what the caller says until it hangs up or has said enough. There is
//! no company leg; the recording is the message, with the greeting in the company's channel.

use std::sync::Arc;

use rsip::Method;

use super::offer::description;
use super::{Call, Ctx, State, ending::Why};
use crate::config::TakenAfter;
use crate::core::agent::{AgentEvent, Extra, Payload, ServerTxn};
use crate::core::event::{Body, HangupBy, Outcome};
use crate::ids::Side;
use crate::wire::sip::Message;

impl Call {
    /// Nobody takes the call, for this reason: it goes to the mailbox, or the caller is told, in words or in a status.
    pub(super) fn nobody_takes_it(&mut self, why: Why, ctx: &mut Ctx<'_>) {
        if !self.take_message(why, ctx) && !self.say_busy(why, ctx) {
            self.refuse_caller(why, None, ctx);
        }
    }

    /// Whether calls that fail so are answered by the mailbox.
    pub(super) fn has_mailbox(&self, why: Why) -> bool {
        let after = match why.outcome {
            _ if why.reason == "company_closed" => TakenAfter::Closed,
            Outcome::Busy => TakenAfter::Busy,
            Outcome::NoAnswer => TakenAfter::NoAnswer,
            Outcome::Failed if why.reason.starts_with("destination_") => TakenAfter::NoAnswer,
            _ => return false,
        };
        let is_allowed = self.is_recording_wanted() && self.speakable().is_some();
        is_allowed && self.facts.company.voicemail.as_ref().is_some_and(|mailbox| mailbox.after.contains(&after))
    }

    fn take_message(&mut self, why: Why, ctx: &mut Ctx<'_>) -> bool {
        let mailbox = self.facts.company.voicemail.clone().filter(|_| self.has_mailbox(why));
        let (Some(mailbox), Some(stream)) = (mailbox, self.speakable()) else { return false };
        self.stop_ringback(ctx);
        let payload = self.describe_answer(&stream);
        ctx.agent.answer(ctx.now, self.facts.leg, Extra { payload, ..Extra::default() });
        let answered = ctx.now.wall;
        let data = &mut self.facts.data;
        data.answered_at = Some(answered);
        data.ring_ms = data.ringing_at.map_or(0, |at| answered.millis_since(at));
        self.begin_recording(ctx);
        ctx.event(self.id(), Body::CallAnswered(Box::new(self.facts.data.clone())));
        self.state = State::Mailbox { why, until: None };
        match mailbox.greeting {
            Some(greeting) => self.play(Side::Caller, "greeting", greeting, false, ctx),
            None => self.on_mailbox_silent(ctx),
        }
        true
    }

    /// The greeting is over: the tone, and then the message.
    pub(super) fn on_mailbox_silent(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mailbox) = self.facts.company.voicemail.as_ref() else { return };
        let (tone, length_max) = (Arc::clone(&mailbox.tone), mailbox.length_max);
        if let State::Mailbox { until: until @ None, .. } = &mut self.state {
            *until = Some(ctx.now.mono + length_max);
            self.play(Side::Caller, "tone", tone, false, ctx);
        }
    }

    /// The caller's words while the mailbox has it.
    pub(super) fn on_mailbox(&mut self, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match event {
            AgentEvent::Bye { .. } => self.end_message(HangupBy::Caller, ctx),
            AgentEvent::Ended { .. } | AgentEvent::AckTimeout { .. } => self.on_message_full(ctx),
            AgentEvent::Request { txn, request, .. } => self.on_mailbox_request(*txn, request, ctx),
            _ => {}
        }
    }

    /// The message is long enough, or nobody is there who could go on.
    pub(super) fn on_message_full(&mut self, ctx: &mut Ctx<'_>) {
        self.bye(Side::Caller, Vec::new(), ctx);
        self.end_message(HangupBy::System, ctx);
    }

    /// The call ends as what it is: nobody answered, for the reason that led here.
    pub(super) fn end_message(&mut self, by: HangupBy, ctx: &mut Ctx<'_>) {
        let State::Mailbox { why, .. } = self.state else { return };
        self.end(Why::new(Outcome::Voicemail, why.reason, by, 200), ctx);
    }

    fn on_mailbox_request(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let is_offer = matches!(request.method(), Some(Method::Invite | Method::Update));
        let (status, payload) = match request.method() {
            _ if is_offer && description(request).is_some() => match self.answer_renewed(request, ctx) {
                Some(payload) => (200, Some(payload)),
                None => (488, None),
            },
            Some(Method::Invite) => (488, None),
            Some(Method::Update | Method::Info | Method::Options | Method::PRack) => (200, None),
            _ => (405, None),
        };
        ctx.agent.respond(ctx.now, txn, status, Extra { payload, ..Extra::default() });
    }

    /// Our answer to an offer of the caller when there is nobody else.
    fn answer_renewed(&mut self, request: &Message, ctx: &mut Ctx<'_>) -> Option<Payload> {
        let offer = self.negotiation.as_ref()?.read_offer(Side::Caller, &description(request)?).ok()?;
        let before = self.facts.offer.replace(offer.clone());
        let Some(ours) = self.speakable() else {
            self.facts.offer = before;
            return None;
        };
        self.accept(Side::Caller, &offer, ctx);
        self.cross(Side::Company, &ours)
    }
}
