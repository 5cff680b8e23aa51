//! What a UAS checks in a request before anybody sees it (RFC 3261 §8.2), as pure functions.

use bytes::Bytes;
use rsip::Method;

use super::drops::DropReason;
use crate::wire::multipart;
use crate::wire::sip::{Message, Uri};

/// Methods that we take outside of dialogs, or know where they belong. Within one a leg says more.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";

/// A refusal by the agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: DropReason,
    pub(super) header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, why: DropReason) -> Refusal {
        Refusal { status, why, header: None }
    }

    fn with(status: u16, why: DropReason, name: &'static str, value: impl Into<String>) -> Refusal {
        Refusal { status, why, header: Some((name, value.into())) }
    }
}

/// Start of every branch of RFC 3261 (§8.1.1.7).
pub(super) const BRANCH_COOKIE: &str = "z9hG4bK";

/// Whether we take this method outside a dialog (§8.2.1).
pub(super) fn allowed_outside(request: &Message) -> Result<(), Refusal> {
    match request.method() {
        Some(Method::Invite | Method::Options) => Ok(()),
        // We take these, but there is no dialog that they could belong to (§15.1.2).
        Some(Method::Bye | Method::Info | Method::Update | Method::PRack) => {
            Err(Refusal::new(481, DropReason::UnknownDialog))
        }
        _ => Err(Refusal::with(405, DropReason::MethodNotAllowed, "Allow", ALLOW)),
    }
}

/// Whether the owner of a leg is asked about this method (§12.2.2).
pub(super) fn allowed_inside(request: &Message, allow: &'static str) -> Result<(), Refusal> {
    use Method::{Bye, Info, Invite, Message, Notify, Options, PRack, Refer, Update};
    match request.method() {
        Some(Invite | Bye | Update | Info | Options | Message | Refer | Notify | PRack) => Ok(()),
        _ => Err(Refusal::with(405, DropReason::MethodNotAllowed, "Allow", allow)),
    }
}

/// The Request-URI's scheme (§8.2.2.1).
pub(super) fn scheme(request: &Message) -> Result<(), Refusal> {
    let known = ["sip", "sips", "tel"];
    match Uri::parse(request.request_uri()) {
        Ok(uri) if known.iter().any(|scheme| uri.scheme.eq_ignore_ascii_case(scheme)) => Ok(()),
        Ok(_) => Err(Refusal::new(416, DropReason::UnsupportedScheme)),
        Err(_) => Err(Refusal::new(400, DropReason::Malformed)),
    }
}

/// Require and the body (§8.2.2.3, §8.2.3), inside and outside of dialogs.
pub(super) fn understood(request: &Message, ours: Options) -> Result<(), Refusal> {
    let is_known = |option: &str| {
        (ours.reliable && option.eq_ignore_ascii_case("100rel"))
            || (ours.timer && option.eq_ignore_ascii_case("timer"))
            || (ours.siprec && option.eq_ignore_ascii_case("siprec"))
            || (ours.replaces && option.eq_ignore_ascii_case("replaces"))
    };
    let required: Vec<&str> =
        request.list("Require").filter(|option| !option.is_empty() && !is_known(option)).collect();
    if !required.is_empty() {
        return Err(Refusal::with(420, DropReason::BadExtension, "Unsupported", required.join(", ")));
    }
    if request.method() != Some(Method::Invite) {
        return Ok(());
    }
    let body = request.body();
    if !body.is_empty() && !is_optional(request) {
        if request.list("Content-Encoding").any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
        {
            return Err(Refusal::with(415, DropReason::UnsupportedEncoding, "Accept-Encoding", "identity"));
        }
        if !request.has_content_type(SDP) && !is_multipart_with_sdp(request, &body) {
            return Err(Refusal::with(415, DropReason::UnsupportedMedia, "Accept", SDP));
        }
    }
    if request.header("Accept").is_some() && !request.list("Accept").any(takes_sdp) {
        return Err(Refusal::with(406, DropReason::NotAcceptable, "Accept", SDP));
    }
    Ok(())
}

/// Option tags that we understand (RFC 3261 §19.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) reliable: bool,
    pub(super) timer: bool,
    pub(super) siprec: bool,
    /// In an INVITE that makes a dialog.
    pub(super) replaces: bool,
}

/// Whether the sender of an INVITE takes reliable provisional responses (RFC 3262 §3).
pub(super) fn takes_reliable(invite: &Message) -> bool {
    requires_reliable(invite) || invite.list("Supported").any(|option| option.eq_ignore_ascii_case("100rel"))
}

/// It takes no other provisional responses.
pub(super) fn requires_reliable(invite: &Message) -> bool {
    invite.list("Require").any(|option| option.eq_ignore_ascii_case("100rel"))
}

/// A session description in the body, or in a part of it.
pub(super) fn has_sdp(message: &Message) -> bool {
    let body = message.body();
    !body.is_empty() && (message.has_content_type(SDP) || is_multipart_with_sdp(message, &body))
}

/// A decimal number of 32 bits; anything else is none.
pub(super) fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    let is_decimal = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_decimal)
}

/// Max-Forwards of a request that we would send on as a call (RFC 7332 §4).
pub(super) fn hops(request: &Message) -> Result<(), Refusal> {
    if request.method() == Some(Method::Invite) && request.max_forwards() == Ok(Some(0)) {
        return Err(Refusal::new(483, DropReason::TooManyHops));
    }
    Ok(())
}

pub(super) const SDP: &str = "application/sdp";

/// `handling=optional`: a body that we may ignore (RFC 3261 §20.11).
fn is_optional(request: &Message) -> bool {
    request.header("Content-Disposition").is_some_and(|value| {
        value.split(';').skip(1).any(|param| {
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            name.trim().eq_ignore_ascii_case("handling") && value.trim().eq_ignore_ascii_case("optional")
        })
    })
}

/// Looks with the reader that will look for the offer: a body that only mentions SDP has none.
fn is_multipart_with_sdp(request: &Message, body: &Bytes) -> bool {
    request.header("Content-Type").is_some_and(|value| multipart::find(value, body, SDP).is_some())
}

/// Whether one value of Accept covers SDP, `q=0` aside (RFC 3261 §20.1).
fn takes_sdp(value: &str) -> bool {
    let (range, params) = value.split_once(';').unwrap_or((value, ""));
    let refused = params.split(';').any(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0)
    });
    let range = range.trim();
    !refused && (range == "*/*" || range.eq_ignore_ascii_case("application/*") || range.eq_ignore_ascii_case(SDP))
}
