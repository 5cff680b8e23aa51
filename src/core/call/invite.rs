//! Every INVITE of a call towards the company's side is written here, whoever it is for: a destination of the hunt, or
//! the target of a transfer.

use std::sync::Arc;

use super::headers::{Lines, Worded, Wording};
use super::{Call, Ctx};
use crate::config::Trunk;
use crate::core::agent::{Extra, Flow, Invite, LegId, Payload, Reliable};
use crate::ids::Side;

/// What differs from INVITE to INVITE.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) flow: Flow,
    /// Request-URI, with the number as E.164.
    pub(super) uri: &'a str,
    /// Whose rules it is written by.
    pub(super) to: &'a Trunk,
    /// The trunk that it goes out through: its credentials answer a challenge, its Service-Route leads the way.
    pub(super) trunk: Option<&'a Arc<Trunk>>,
    /// In-dialog requests go to the source of the far side's messages.
    pub(super) nat: bool,
    /// Which try of this call it is, from 1.
    pub(super) attempt: usize,
    pub(super) reliable: Reliable,
    pub(super) payload: Option<Payload>,
    /// Headers that stand behind the others.
    pub(super) more: Lines,
}

impl Call {
    /// Sends it. The leg is not the call's until it is put among its legs.
    pub(super) fn send_invite(&self, outgoing: Outgoing<'_>, ctx: &mut Ctx<'_>) -> LegId {
        let facts = &self.facts;
        let Outgoing { flow, uri, to, trunk, nat, attempt, reliable, payload, more } = outgoing;
        let wording = Wording {
            data: &facts.data,
            identity: &facts.identity,
            invite: &facts.invite,
            attribution: &ctx.settings.config.attribution,
            our_host: &ctx.settings.our_host(&flow),
            from: &facts.trunk,
            to,
            uri,
            attempt,
            now: ctx.now.wall,
        };
        let Worded { request_uri, from, to, mut lines } = wording.write();
        lines.extend(ctx.service_route(trunk));
        lines.extend(more);
        let invite = Invite {
            flow,
            request_uri,
            from,
            to,
            max_forwards: facts.max_forwards,
            nat,
            reliable,
            session: ctx.settings.config.sip.dialogs.session(),
            large: wording.to.large(),
            credentials: trunk.and_then(|trunk| trunk.credentials.clone()),
            extra: Extra { headers: lines, payload, phrase: None },
        };
        let leg = ctx.agent.invite_taking(ctx.now, invite, self.transfers_of(Side::Company));
        ctx.new_legs.push(leg);
        leg
    }
}
