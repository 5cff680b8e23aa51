//! Transfers that the company asks for (RFC 3515, 3891, 5589), by `[[company]] transfer`:
//!
//! - `refuse`: 603.
//! - `relay`: the REFER crosses to the other party and its NOTIFYs come back, when the caller's trunk says `relay` too.
//! - `local`: we carry it out. The referrer gets 202 and NOTIFYs; we call the target with the caller's media, and when
//!   it answers it takes the company's place. Until then, and when it does not answer, all stays as it was.
//!
//! A caller can never transfer: what comes from a trunk names no destination. The target must be where the company's
//! destinations are, or in `transfer_to`, and no number that `[fraud]` denies. A Replaces that names a dialog of ours
//! is refused: it would join two callers, and a call without a company is neither recorded by right nor attributed.
//!
//! Call id, attribution and recording stay with the caller's leg; the new party speaks on the company's channel.

mod notify;
mod refer;
mod relayed;
mod replaces;

use std::sync::Arc;

use crate::config::{TransferMode, Trunk};
use crate::core::agent::{AgentEvent, Extra, LegId, ServerTxn, Transfers};
use crate::core::b2bua::Output;
use crate::core::call::early::is_reliable;
use crate::core::call::invite::Outgoing;
use crate::core::call::offer::{Newcomer, Stream, description};
use crate::core::call::places::Place;
use crate::core::call::{Call, Ctx, State, ending, headers};
use crate::core::defence::fraud;
use crate::core::event::{Body, TransferData, Transferred};
use crate::core::locate::{Asker, Hop};
use crate::core::route;
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Wakeup};
use crate::wire::sip::{Message, Uri};

use ending::Why;
use notify::Notices;
use refer::Refer;
pub use refer::Replaces;
pub(super) use relayed::Relayed;

/// Question numbers of transfers; those of the hunt count from 0.
const QUESTION: u32 = 1 << 31;

/// One transfer that we carry out.
#[derive(Debug)]
pub(super) struct Transfer {
    refer: Refer,
    referred_by: Option<String>,
    /// The company's leg that asked, while it lives.
    referrer: Option<LegId>,
    notices: Option<Notices>,
    /// The name of the target's place.
    place: u32,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Resolving {
        question: u32,
        until: Mono,
    },
    Calling {
        leg: LegId,
        hop: Hop,
        newcomer: Box<Newcomer>,
        /// Its answers in reliable provisional responses, by its tag: the 2xx need not repeat them (RFC 3262 §5).
        said: Vec<(Box<str>, Stream)>,
        until: Mono,
    },
    /// It is decided; the referrer is still being told.
    Parting,
}

impl Transfer {
    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        match self.step {
            Step::Resolving { until, .. } | Step::Calling { until, .. } => Some((until, "transfer")),
            Step::Parting => None,
        }
    }

    fn is_open(&self) -> bool {
        !matches!(self.step, Step::Parting)
    }
}

impl Call {
    /// REFER within the dialog of a side.
    pub(super) fn on_refer(&mut self, side: Side, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) {
        let company = self.facts.company.transfer.mode;
        let both_relay = company == TransferMode::Relay && self.facts.trunk.within.transfer == TransferMode::Relay;
        let done = match (company, side) {
            _ if both_relay => self.relay_refer(side, txn, request, ctx),
            (TransferMode::Local, Side::Company) => self.carry_out(txn, request, ctx),
            // A transfer would let a message name a destination.
            _ => Err((603, "transfer_refused")),
        };
        if let Err((status, code)) = done {
            tracing::info!(?side, status, code, "transfer refused");
            let text = format!("SIP;cause={status};text=\"{code}\"");
            let headers = vec![("Reason".into(), text)];
            ctx.agent.respond(ctx.now, txn, status, Extra { headers, ..Extra::default() });
        }
    }

    /// What this side's Allow and Supported say of transfers.
    pub(super) fn transfers_of(&self, side: Side) -> Transfers {
        let relays = self.facts.trunk.within.transfer == TransferMode::Relay;
        match (self.facts.company.transfer.mode, side) {
            (TransferMode::Local, Side::Company) => Transfers::Replace,
            (TransferMode::Relay, _) if relays => Transfers::Refer,
            _ => Transfers::None,
        }
    }

    fn carry_out(&mut self, txn: ServerTxn, request: &Message, ctx: &mut Ctx<'_>) -> Result<(), refer::Refusal> {
        let (Some(leg), true) = (self.company, self.is_settled()) else { return Err((491, "transfer_too_early")) };
        if self.transfer.is_some() {
            return Err((491, "transfer_in_progress"));
        }
        let refer = refer::read(request)?;
        self.check_target(&refer, leg, ctx)?;
        let query = refer::query(&refer, ctx.settings.names())?;
        let question = QUESTION + refer.id % QUESTION;
        self.take_targets_place(&refer, question, ctx)?;
        let subscribes = refer.subscribes;
        let refer_sub = (!subscribes).then(|| ("Refer-Sub".into(), "false".to_owned()));
        let headers = refer_sub.into_iter().collect();
        ctx.agent.respond(ctx.now, txn, 202, Extra { headers, ..Extra::default() });
        let mut notices = subscribes.then(|| Notices::new(leg, refer.id));
        if let Some(notices) = &mut notices {
            notices.tell(100, ctx);
        }
        let referred_by = request.header("Referred-By").filter(|text| text.len() <= limits::SIP_TOKEN);
        let until = ctx.now.mono + limits::RESOLVE;
        let literal = query.literal();
        self.transfer = Some(Box::new(Transfer {
            refer,
            referred_by: referred_by.map(str::to_owned),
            referrer: Some(leg),
            notices,
            place: question,
            step: Step::Resolving { question, until },
        }));
        match literal {
            Some(hop) => self.call_target(&[hop], ctx),
            None => {
                let asker = Asker::Call(self.id(), question);
                ctx.out.push_back(Output::Resolve { asker, query });
            }
        }
        Ok(())
    }

    /// Whether the company may send its caller there.
    fn check_target(&self, refer: &Refer, leg: LegId, ctx: &Ctx<'_>) -> Result<(), refer::Refusal> {
        if let Some(replaces) = &refer.replaces
            && ctx.agent.find_dialog(&replaces.call_id, &replaces.to_tag, &replaces.from_tag).is_some()
        {
            return Err((603, "transfer_between_callers"));
        }
        let hosts = self.facts.company.every_destination().filter_map(|destination| {
            // No placeholder may stand in the host.
            let uri = destination.uri.replace(['{', '}'], "");
            Some(Uri::parse(&uri).ok()?.host.to_owned())
        });
        let peer = ctx.agent.flow(leg).map(|flow| flow.remote.ip().to_string());
        let known: Vec<String> = hosts.chain(peer).collect();
        let listed = self.facts.company.transfer.to.iter().chain(&known).map(String::as_str);
        if !refer::is_listed(refer, listed) {
            return Err((603, "transfer_target_not_allowed"));
        }
        if fraud::cost(&ctx.settings.config.fraud, &refer.uri) == fraud::Cost::Denied {
            return Err((603, "transfer_target_denied"));
        }
        Ok(())
    }

    /// A target is a destination like any other: it may be full, and it costs what such numbers cost.
    fn take_targets_place(&mut self, refer: &Refer, key: u32, ctx: &mut Ctx<'_>) -> Result<(), refer::Refusal> {
        let company = Arc::clone(&self.facts.company);
        let configured = company.every_destination().find(|destination| refer.is_at(&destination.uri));
        let is_costly = fraud::cost(&ctx.settings.config.fraud, &refer.uri) == fraud::Cost::Costly;
        let destination = configured.map(|destination| &**destination);
        let place = Place { key, uri: &refer.uri, is_costly, destination };
        self.take_place(place, ctx).map_err(|why| (why.status, why.reason))
    }

    /// Answer to our question; `false` when it was the hunt's.
    pub(super) fn on_transfer_resolved(&mut self, question: u32, hops: &[Hop], ctx: &mut Ctx<'_>) -> bool {
        let asked = |transfer: &Transfer| matches!(transfer.step, Step::Resolving { question: q, .. } if q == question);
        if self.transfer.as_deref().is_some_and(asked) {
            self.call_target(hops, ctx);
        }
        question >= QUESTION
    }

    fn call_target(&mut self, hops: &[Hop], ctx: &mut Ctx<'_>) {
        let listeners = &ctx.settings.listeners;
        let usable = |hop: &Hop| {
            let ip = hop.remote.ip();
            !ip.is_unspecified() && !ip.is_multicast() && !ctx.settings.is_ours(hop.remote)
        };
        let way =
            hops.iter().filter(|hop| usable(hop)).find_map(|hop| Some((*hop, route::flow_towards(*hop, listeners)?)));
        let id = self.id();
        let spread = self.spread(ctx, u64::MAX);
        let (Some((hop, flow)), Some(transfer)) = (way, &self.transfer) else {
            return self.transfer_failed(503, ctx);
        };
        let trunk = self.trunk_towards(&transfer.refer, hop, ctx);
        let encryption = trunk.as_ref().and_then(|trunk| trunk.media_encryption);
        let newcomer = self.negotiation.as_mut().and_then(|held| held.invite_newcomer(spread, encryption));
        let (Some((newcomer, payload)), Some(transfer)) = (newcomer, &self.transfer) else {
            return self.transfer_failed(503, ctx);
        };
        let mut more = headers::Lines::new();
        if let Some(replaces) = &transfer.refer.replaces {
            more.push(("Replaces".into(), replaces.to_string()));
            more.push(("Require".into(), "replaces".to_owned()));
        }
        if let Some(referred_by) = &transfer.referred_by {
            more.push(("Referred-By".into(), referred_by.clone()));
        }
        let outgoing = Outgoing {
            flow,
            uri: &transfer.refer.uri,
            to: trunk.as_ref().or(self.way_out.as_ref()).unwrap_or(&ctx.settings.plain),
            trunk: trunk.as_ref(),
            nat: self.facts.company.nat,
            attempt: 1,
            reliable: ctx.settings.config.sip.dialogs.reliable,
            payload: Some(payload),
            more,
        };
        let leg = self.send_invite(outgoing, ctx);
        self.legs.push(leg);
        let until = ctx.now.mono + self.facts.company.ring_timeout;
        tracing::info!(call = %id, "transfer: the target is called");
        if let Some(transfer) = &mut self.transfer {
            transfer.step = Step::Calling { leg, hop, newcomer: Box::new(newcomer), said: Vec::new(), until };
        }
    }

    /// The trunk that the target is reached through: the destination's at that host, or the one whose address it is.
    /// Another trunk's password is no business of the target.
    fn trunk_towards(&self, refer: &Refer, hop: Hop, ctx: &Ctx<'_>) -> Option<Arc<Trunk>> {
        let company = &self.facts.company;
        let at_host = company.every_destination().find_map(|destination| {
            let uri = destination.uri.replace(['{', '}'], "");
            let is_there = Uri::parse(&uri).is_ok_and(|uri| uri.host.eq_ignore_ascii_case(&refer.host));
            destination.trunk.clone().filter(|_| is_there)
        });
        at_host.or_else(|| ctx.settings.directory.trunk_for(hop.remote.ip()).cloned())
    }

    /// An event of a company leg that is not the one in the call; `false` when it is no business of a transfer.
    pub(super) fn on_transfer_event(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) -> bool {
        let Some(transfer) = &self.transfer else { return false };
        if matches!(transfer.step, Step::Calling { leg: target, .. } if target == leg) {
            self.on_target(leg, event, ctx);
            return true;
        }
        if transfer.referrer != Some(leg) {
            return false;
        }
        match event {
            AgentEvent::Response { txn, status, .. } => {
                self.on_notified(*txn, *status, ctx);
            }
            AgentEvent::Request { txn, .. } => ctx.agent.respond(ctx.now, *txn, 481, Extra::default()),
            AgentEvent::Bye { .. } | AgentEvent::AckTimeout { .. } | AgentEvent::Ended { .. } => self.transfer = None,
            _ => {}
        }
        true
    }

    fn on_target(&mut self, leg: LegId, event: &AgentEvent, ctx: &mut Ctx<'_>) {
        match event {
            AgentEvent::Provisional { response, .. } => {
                self.hear_target(response);
                self.tell_referrer(response.status(), ctx);
            }
            AgentEvent::Answered { response, .. } => self.on_target_answered(leg, response, ctx),
            AgentEvent::Refused { status, .. } => self.transfer_failed(*status, ctx),
            AgentEvent::Bye { .. } => self.transfer_failed(480, ctx),
            AgentEvent::Request { txn, .. } => ctx.agent.respond(ctx.now, *txn, 491, Extra::default()),
            _ => {}
        }
    }

    /// An answer in a reliable provisional response is the answer of its dialog.
    fn hear_target(&mut self, response: &Message) {
        let (Some(negotiation), Some(transfer)) = (&self.negotiation, &mut self.transfer) else { return };
        let Step::Calling { newcomer, said, .. } = &mut transfer.step else { return };
        let tag = tag_of(response);
        let is_new = said.len() < limits::SIP_FORKS && said.iter().all(|(of, _)| **of != *tag);
        if is_new
            && is_reliable(response)
            && let Some(body) = description(response)
            && let Ok(stream) = negotiation.read_newcomer(newcomer, &body)
        {
            said.push((tag.into(), stream));
        }
    }

    fn on_target_answered(&mut self, leg: LegId, response: &Arc<Message>, ctx: &mut Ctx<'_>) {
        ctx.agent.ack(ctx.now, leg, None);
        let Some(mut transfer) = self.transfer.take() else { return };
        let step = std::mem::replace(&mut transfer.step, Step::Parting);
        let Step::Calling { hop, newcomer, said, .. } = step else { return };
        let tag = tag_of(response);
        let agreed = said.into_iter().find(|(of, _)| **of == *tag).map(|(_, stream)| stream);
        let read = |body| self.negotiation.as_ref()?.read_newcomer(&newcomer, &body).ok();
        let stream = agreed.or_else(|| description(response).and_then(read));
        let Some(stream) = stream else {
            ctx.agent.bye(ctx.now, leg, Extra::default());
            self.transfer = Some(transfer);
            return self.transfer_failed(488, ctx);
        };
        let (uri, attended) = (transfer.refer.uri.clone(), transfer.refer.replaces.is_some());
        let left = std::mem::replace(&mut self.place, transfer.place);
        self.give_back(left, true, ctx);
        self.transfer = Some(transfer);
        self.take_company(leg, *newcomer, &stream, hop.remote.ip(), ctx);
        self.learn(Side::Company, response);
        self.told_transferred(uri, if attended { "attended" } else { "blind" }, ctx);
        self.tell_referrer(200, ctx);
        self.part(ctx);
    }

    /// A new leg stands for the company from now on.
    fn take_company(
        &mut self,
        leg: LegId,
        newcomer: Newcomer,
        stream: &Stream,
        signalling: std::net::IpAddr,
        ctx: &mut Ctx<'_>,
    ) {
        // What the old party asked for, or was asked, is without an answer now.
        self.drop_passing(ctx);
        self.drop_offer(491, ctx);
        self.company = Some(leg);
        self.allows_update[Side::Company.index()] = false;
        let id = self.id();
        let origin = super::hunt::origin(&self.facts.company, None, signalling);
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.welcome(newcomer, origin);
        }
        self.accept(Side::Company, stream, ctx);
        tracing::info!(call = %id, "the company's party has changed");
        if self.negotiation.as_ref().is_some_and(|held| held.is_news(Side::Company, stream)) {
            self.offer_ours(Side::Caller, ctx);
        }
    }

    fn told_transferred(&mut self, to: String, kind: &'static str, ctx: &mut Ctx<'_>) {
        let id = self.id();
        let data = &mut self.facts.data;
        let from = data.forwarded_to.replace(to.clone()).unwrap_or_default();
        let transfer = TransferData { at: ctx.now.wall, from, to, kind: kind.to_owned() };
        if data.transfers.len() < limits::TRANSFERS {
            data.transfers.push(transfer.clone());
        }
        ctx.event(id, Body::CallTransferred(Transferred { call_id: id, transfer }));
    }

    fn tell_referrer(&mut self, status: u16, ctx: &mut Ctx<'_>) {
        if let Some(notices) = self.transfer.as_mut().and_then(|transfer| transfer.notices.as_mut()) {
            notices.tell(status, ctx);
        }
    }

    /// The target was not reached: all stays as it was, unless the referrer has left its caller alone with us.
    fn transfer_failed(&mut self, status: u16, ctx: &mut Ctx<'_>) {
        self.tell_referrer(status, ctx);
        if let Some(transfer) = &mut self.transfer {
            transfer.step = Step::Parting;
            let place = transfer.place;
            self.give_back(place, false, ctx);
        }
        if self.company.is_none() {
            self.transfer = None;
            self.drop_pending(ctx);
            self.bye(Side::Caller, Vec::new(), ctx);
            return self.end(Why::by_system("transfer_failed"), ctx);
        }
        self.part(ctx);
    }

    /// When the referrer knows all it is let go; a referrer that is still the call's company just goes on.
    fn part(&mut self, ctx: &mut Ctx<'_>) {
        let Some(transfer) = &self.transfer else { return };
        if transfer.is_open() || transfer.notices.as_ref().is_some_and(|notices| !notices.is_done()) {
            return;
        }
        let referrer = transfer.referrer.filter(|leg| self.company != Some(*leg));
        self.transfer = None;
        if let Some(leg) = referrer {
            ctx.agent.bye(ctx.now, leg, Extra::default());
        }
    }

    /// Response to a request of ours on the referrer's leg; `false` when it was not a NOTIFY.
    pub(super) fn on_notified(&mut self, txn: crate::core::agent::ClientTxn, status: u16, ctx: &mut Ctx<'_>) -> bool {
        let notices = self.transfer.as_mut().and_then(|transfer| transfer.notices.as_mut());
        let taken = notices.is_some_and(|notices| notices.on_response(txn, status, ctx));
        if taken {
            self.part(ctx);
        }
        taken
    }

    /// BYE of the company's party; `true` when it has sent its caller on and we still look for the other party.
    pub(super) fn referrer_left(&mut self) -> bool {
        let Some(transfer) = &mut self.transfer else { return false };
        transfer.notices = None;
        transfer.referrer = None;
        let goes_on = transfer.is_open() && matches!(self.state, State::Talking(_));
        if goes_on {
            self.company = None;
        }
        goes_on
    }

    pub(super) fn on_transfer_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let Some(transfer) = &self.transfer else { return };
        match transfer.step {
            Step::Resolving { until, .. } if until <= ctx.now.mono => self.transfer_failed(503, ctx),
            Step::Calling { until, leg, .. } if until <= ctx.now.mono => {
                ctx.agent.cancel(ctx.now, leg, Extra::default());
                self.transfer_failed(408, ctx);
            }
            _ => {}
        }
    }

    /// The call is over: the target need not answer any more, and the referrer hears no more.
    pub(super) fn drop_transfer(&mut self, ctx: &mut Ctx<'_>) {
        self.relayed = None;
        let Some(transfer) = self.transfer.take() else { return };
        if let Step::Calling { leg, .. } = transfer.step {
            ctx.agent.cancel(ctx.now, leg, Extra::default());
        }
        if let Some(leg) = transfer.referrer.filter(|leg| self.company != Some(*leg)) {
            ctx.agent.bye(ctx.now, leg, Extra::default());
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(&self.state, State::Talking(talk) if talk.is_settled())
    }
}

fn tag_of(response: &Message) -> &str {
    response.to().ok().and_then(|to| to.tag()).unwrap_or_default()
}
