//! The messages of the agent: which headers they have, and from where.

use std::borrow::Cow;

use bytes::Bytes;
use rsip::{Method, Transport};

use super::checks::{ALLOW, SDP};
use super::identity::{Branch, LocalTag};
use super::{AgentConfig, Extra, Flow, Reliable};
use crate::wire::sip::Message;
use crate::wire::sip::build::{Builder, Forbidden};

/// A request of ours.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) request_uri: &'a str,
    pub(super) routes: &'a [Cow<'a, str>],
    pub(super) branch: Branch,
    pub(super) max_forwards: u8,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    pub(super) cseq: u32,
    pub(super) flow: Flow,
    /// For Allow.
    pub(super) allow: &'static str,
    /// Option tags; empty: none.
    pub(super) supported: &'static str,
    /// About the session timer, and what is required.
    pub(super) options: &'a [(&'static str, String)],
    pub(super) extra: &'a Extra,
}

pub(super) fn request(config: &AgentConfig, new: &Outgoing<'_>) -> Result<Bytes, Forbidden> {
    let method = new.method.to_string();
    let host = host(config, new.flow);
    let transport = transport_name(new.flow.transport);
    let mut builder = Builder::request(&method, new.request_uri)
        .header("Via", &format!("SIP/2.0/{transport} {host};branch={};rport", new.branch))
        .header("Max-Forwards", &new.max_forwards.to_string());
    for route in new.routes {
        builder = builder.header("Route", route);
    }
    builder = builder
        .header("From", new.from)
        .header("To", new.to)
        .header("Call-ID", new.call_id)
        .header("CSeq", &format!("{} {method}", new.cseq));
    if has_contact(new.method) && !new.extra.has("Contact") {
        builder = builder.header("Contact", &contact(config, new.flow, new.request_uri));
    }
    if new.method == Method::Invite {
        builder = builder.header("Allow", new.allow);
    }
    if !new.supported.is_empty() {
        builder = builder.header("Supported", new.supported);
    }
    for (name, value) in new.options {
        builder = builder.header(name, value);
    }
    if !config.user_agent.is_empty() {
        builder = builder.header("User-Agent", &config.user_agent);
    }
    with_extra(builder, new.extra).finish()
}

/// What a response within a leg says of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Empty: nothing.
    pub(super) allow: &'static str,
    pub(super) supported: &'static str,
    /// The session timer's lines.
    pub(super) session: Vec<(&'static str, String)>,
}

/// A response to `request`, which came on `flow`.
pub(super) fn response(
    config: &AgentConfig,
    request: &Message,
    flow: Flow,
    status: u16,
    to_tag: Option<LocalTag>,
    extra: &Extra,
    told: &Told,
) -> Result<Bytes, Forbidden> {
    // 100 is hop by hop and belongs to no dialog (RFC 3261 §8.2.6.1).
    let to_tag = to_tag.filter(|_| status != 100).map(|tag| tag.to_string());
    let phrase = extra.phrase.as_deref();
    let mut builder = Builder::response_to(request, status, phrase, to_tag.as_deref(), flow.remote);
    let method = request.method();
    if (101..300).contains(&status) && method.is_some_and(has_contact) && !extra.has("Contact") {
        builder = builder.header("Contact", &contact(config, flow, request.request_uri()));
    }
    // Outside of dialogs only OPTIONS asks what we can; within one it is the leg's.
    let is_outside = told.allow.is_empty() && (200..300).contains(&status) && method == Some(Method::Options);
    let (allow, supported) = if is_outside { (ALLOW, config.supported()) } else { (told.allow, told.supported) };
    for (name, value) in [("Allow", allow), ("Supported", supported)] {
        if !value.is_empty() && !extra.has(name) {
            builder = builder.header(name, value);
        }
    }
    for (name, value) in &told.session {
        builder = builder.header(name, value);
    }
    if (200..300).contains(&status) && method == Some(Method::Options) && !extra.has("Accept") {
        builder = builder.header("Accept", SDP);
    }
    if !config.user_agent.is_empty() {
        builder = builder.header("Server", &config.user_agent);
    }
    with_extra(builder, extra).finish()
}

/// The ACK of a non-2xx: Via, Request-URI, From, Call-ID, CSeq number and Route of the INVITE, To of the response
/// (RFC 3261 §17.1.1.3).
pub(super) fn failure_ack(invite: &Bytes, response: &Message) -> Option<Bytes> {
    let invite = Message::parse(invite.clone()).ok()?;
    copy_of(&invite, "ACK", response.header("To")?)?.finish().ok()
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
pub(super) fn cancel(config: &AgentConfig, invite: &Bytes, extra: &Extra) -> Option<Bytes> {
    let invite = Message::parse(invite.clone()).ok()?;
    let build = |extra: &Extra| {
        let mut builder = copy_of(&invite, "CANCEL", invite.header("To")?)?;
        if !config.user_agent.is_empty() {
            builder = builder.header("User-Agent", &config.user_agent);
        }
        with_extra(builder, extra).finish().ok()
    };
    build(extra).or_else(|| build(&Extra::default()))
}

/// A request of ours once more, in a transaction of its own: with this branch, CSeq number and flow in its Via, and with
/// these headers instead of those of the same name.
pub(super) fn again(
    config: &AgentConfig,
    request: &Bytes,
    flow: Flow,
    branch: Branch,
    cseq: u32,
    set: &[(&'static str, String)],
) -> Option<Bytes> {
    let request = Message::parse(request.clone()).ok()?;
    let method = request.method_token();
    let via = format!("SIP/2.0/{} {};branch={branch};rport", transport_name(flow.transport), host(config, flow));
    let mut builder = Builder::request(method, request.request_uri()).header("Via", &via);
    let (mut content_type, ours) = ("", ["Via", "CSeq", "Content-Length"]);
    for (name, value) in request.all_headers() {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let value = std::str::from_utf8(value).ok()?;
        if is("Content-Type") {
            content_type = value;
        } else if is("CSeq") {
            builder = builder.header("CSeq", &format!("{cseq} {method}"));
        } else if !ours.into_iter().any(is) && !set.iter().any(|(set, _)| is(set)) {
            builder = builder.header(name, value);
        }
    }
    for (name, value) in set {
        builder = builder.header(name, value);
    }
    if !content_type.is_empty() {
        builder = builder.body(content_type, &request.body());
    }
    builder.finish().ok()
}

impl AgentConfig {
    /// Option tags that we take as UAS (RFC 3261 §20.37).
    fn supported(&self) -> &'static str {
        match (self.reliable != Reliable::Off, self.session.is_some()) {
            (false, false) => "",
            (true, false) => "100rel",
            (false, true) => "timer",
            (true, true) => "100rel, timer",
        }
    }
}

impl Extra {
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
    }

    pub(super) fn header(name: &'static str, value: impl Into<String>) -> Extra {
        Extra { headers: vec![(name.into(), value.into())], ..Extra::default() }
    }
}

fn copy_of(invite: &Message, method: &str, to: &str) -> Option<Builder> {
    let mut builder = Builder::request(method, invite.request_uri())
        .header("Via", invite.header("Via")?)
        .header("Max-Forwards", "70");
    for route in invite.headers("Route") {
        builder = builder.header("Route", route);
    }
    let cseq = invite.cseq().ok()?.number;
    builder = builder
        .header("From", invite.header("From")?)
        .header("To", to)
        .header("Call-ID", invite.header("Call-ID")?)
        .header("CSeq", &format!("{cseq} {method}"));
    // An ACK cannot be challenged and brings what its INVITE brought; a CANCEL brings nothing (RFC 3261 §22.1).
    if method == "ACK" {
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in invite.headers(name) {
                builder = builder.header(name, value);
            }
        }
    }
    Some(builder)
}

fn with_extra(mut builder: Builder, extra: &Extra) -> Builder {
    for (name, value) in &extra.headers {
        builder = builder.header(name, value);
    }
    match &extra.payload {
        Some(payload) => builder.body(&payload.content_type, &payload.bytes),
        None => builder,
    }
}

/// Requests and responses that set or refresh the remote target (RFC 3261 §12.2, RFC 3311 §5.1).
fn has_contact(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Refer | Method::Subscribe | Method::Notify)
}

/// Where we are reached: over the same transport, and as `sips:` when the Request-URI is (RFC 5630 §4). WebSocket has
/// one name in URIs, secure or not (RFC 7118 §5.2).
pub(super) fn contact(config: &AgentConfig, flow: Flow, request_uri: &str) -> String {
    let host = host(config, flow);
    let is_sips = request_uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"));
    match flow.transport {
        Transport::Udp => format!("<sip:{host}>"),
        Transport::Tls if is_sips => format!("<sips:{host}>"),
        Transport::Wss if is_sips => format!("<sips:{host};transport=ws>"),
        Transport::Wss => format!("<sip:{host};transport=ws>"),
        other => format!("<sip:{host};transport={}>", transport_name(other).to_ascii_lowercase()),
    }
}

fn host(config: &AgentConfig, flow: Flow) -> Cow<'_, str> {
    config.hosts.of(flow.transport, flow.local)
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Sctp => "SCTP",
        Transport::TlsSctp => "TLS-SCTP",
        Transport::Ws => "WS",
        Transport::Wss => "WSS",
    }
}
