//! The INVITE that a destination would get: who calls, by the rules of both trunks. Nothing is sent.

use bytes::Bytes;
use serde::Serialize;

use super::Args;
use crate::config::{Company, Pool, Trunk};
use crate::core::admission::Reject;
use crate::core::b2bua::Settings;
use crate::core::call::headers::Wording;
use crate::core::event::{Attribution, CallData};
use crate::core::identity::{self, CallerIdentity};
use crate::core::locate::Hop;
use crate::core::route::{self, Target};
use crate::ids::{CallId, E164};
use crate::time::Wall;
use crate::wire::sip::Message;
use crate::wire::sip::build::escape_user;

/// What the INVITE says of caller and called, and the headers of the rules; without those that every message has.
#[derive(Debug, Serialize)]
pub(super) struct Invite {
    pub(super) request_uri: String,
    /// Without tag.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) headers: Vec<(String, String)>,
}

/// A call that could come in over a trunk.
#[derive(Debug)]
pub(super) struct Incoming {
    message: Message,
    identity: CallerIdentity,
}

impl Incoming {
    /// As the trunk would bring it: the caller in From, and asserted too when the trunk is believed; withheld without one.
    ///
    /// # Errors
    /// A header that cannot be written.
    pub(super) fn new(args: &Args, trunk: &Trunk, number: &E164) -> Result<Incoming, String> {
        let from = match &args.from {
            Some(text) => format!("<sip:{}@trunk.invalid>", escape_user(text)),
            None => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
        };
        let mut lines = String::new();
        match &args.from {
            Some(_) if trunk.trust_identity => lines += &format!("P-Asserted-Identity: {from}\r\n"),
            Some(_) => {}
            None => lines += "Privacy: id\r\n",
        }
        for header in &args.header {
            let good = header.split_once(':').is_some_and(|(name, _)| !name.is_empty() && !name.contains(' '));
            if !good || header.chars().any(char::is_control) {
                return Err(format!("`{}` is not a header like \"X-Account: 7\"", header.escape_debug()));
            }
            lines += &format!("{header}\r\n");
        }
        let uri = format!("sip:{}@leaseline.invalid", number.as_str());
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP trunk.invalid;branch=z9hG4bKroute\r\nMax-Forwards: 70\r\n\
             From: {from};tag=route\r\nTo: <{uri}>\r\nCall-ID: route\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        let message = Message::parse(Bytes::from(text)).map_err(|fault| format!("not a call: {fault:?}"))?;
        let identity = identity::caller(trunk, &message);
        Ok(Incoming { message, identity })
    }

    /// The caller, as rules and events see it.
    pub(super) fn caller(&self) -> Option<&str> {
        self.identity.number.as_deref()
    }

    /// Why the trunk's rules refuse this caller, if they do.
    pub(super) fn refusal(&self, trunk: &Trunk) -> Option<Reject> {
        identity::admit(trunk, &self.message).err()
    }
}

/// What the call is, as its events would have it.
pub(super) fn data(
    incoming: &Incoming,
    (company, pool): (&Company, &Pool),
    trunk: &Trunk,
    number: &E164,
    attribution: &Attribution,
    settings: &Settings,
    at: Wall,
) -> CallData {
    let identity = &incoming.identity;
    let known = incoming.caller().and_then(|caller| settings.directory.caller(caller, &company.name));
    CallData {
        company: company.name.clone(),
        pool: pool.name.clone(),
        caller: identity.number.clone(),
        caller_reason: identity.reason.map(str::to_owned),
        caller_name: known.map(|known| known.name.clone()).or_else(|| identity.display.clone()),
        trunk: trunk.name.clone(),
        ..CallData::new(CallId(0), number.clone(), attribution.clone(), at)
    }
}

/// The INVITE towards one target; `hop` is where it would go, if that is known.
pub(super) fn invite(
    incoming: &Incoming,
    data: &CallData,
    from: &Trunk,
    (index, target, hop): (usize, &Target, Option<Hop>),
    settings: &Settings,
) -> Invite {
    let flow = hop.and_then(|hop| route::flow_towards(hop, &settings.listeners));
    let our_host = match (&flow, settings.listeners.first()) {
        (Some(flow), _) => settings.our_host(flow),
        (None, Some(listener)) => {
            listener.advertise.as_deref().map_or_else(|| listener.address.to_string(), str::to_owned)
        }
        (None, None) => String::new(),
    };
    let wording = Wording {
        data,
        identity: &incoming.identity,
        invite: &incoming.message,
        attribution: &settings.config.attribution,
        our_host: &our_host,
        from,
        to: target.trunk.as_ref().unwrap_or(&settings.plain),
        uri: &target.uri,
        attempt: index + 1,
        now: data.started_at,
    };
    let worded = wording.write();
    let headers = worded.lines.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    Invite { request_uri: worded.request_uri, from: worded.from, to: worded.to, headers }
}
