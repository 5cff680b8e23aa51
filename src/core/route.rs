//! Which number was dialled, who dials it, and where the call goes. Destinations come from the configuration only:
//! nothing in a message can name one (no Route, no 3xx, no REFER).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Company, DialledIn, Listener, Trunk};
use crate::core::agent::Flow;
use crate::ids::E164;
use crate::wire::sip::{Message, NameAddr, Uri};

/// The user part that names the dialled number, where this trunk puts it, with escapes undone. `None` when that place
/// is empty or unreadable.
pub fn dialled(trunk: &Trunk, request: &Message) -> Option<String> {
    let in_header = |name: &str| {
        let value = request.list(name).next()?;
        user_of(&NameAddr::parse(value).ok()?.uri)
    };
    match trunk.dialled_in {
        DialledIn::RequestUri => user_of(&Uri::parse(request.request_uri()).ok()?),
        DialledIn::To => user_of(&request.to().ok()?.uri),
        DialledIn::PCalledPartyId => in_header("P-Called-Party-ID"),
        DialledIn::Diversion => in_header("Diversion"),
    }
}

/// User part of a `sip:` URI or number of a `tel:` URI, without their parameters (RFC 3966 §3, RFC 3261 §19.1.6).
fn user_of(uri: &Uri<'_>) -> Option<String> {
    let user = uri.user_unescaped()?;
    let number = user.split(';').next().unwrap_or("").to_owned();
    let context = user.split(';').find_map(|param| param.strip_prefix("phone-context="));
    match context {
        // RFC 3966 §5.1.5: a global context is the digits that complete a local number.
        Some(prefix) if prefix.starts_with('+') && !number.starts_with('+') => Some(format!("{prefix}{number}")),
        _ => Some(number),
    }
    .filter(|number| !number.is_empty())
}

/// Who calls, as far as this trunk is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerIdentity {
    /// E.164 where it could be read, else the user part as it came.
    pub number: Option<String>,
    /// Display name, cleaned of control characters.
    pub display: Option<String>,
    /// Why `number` is absent: `withheld` or `unreadable`.
    pub reason: Option<&'static str>,
}

/// Longest caller text that is kept; RFC 3261 names no bound, a display has some thirty characters.
const CALLER_TEXT_MAX: usize = 64;

/// P-Asserted-Identity (RFC 3325) or Remote-Party-ID of a trusted trunk, else From; withheld by Privacy (RFC 3323) or
/// by an anonymous From.
pub fn caller(trunk: &Trunk, request: &Message) -> CallerIdentity {
    let asserted = if trunk.trust_identity {
        ["P-Asserted-Identity", "Remote-Party-ID"].iter().find_map(|name| request.list(name).next())
    } else {
        None
    };
    let restricted = request
        .list("Privacy")
        .flat_map(|value| value.split(';'))
        .any(|word| ["id", "user", "full"].iter().any(|private| word.trim().eq_ignore_ascii_case(private)));
    let party = asserted.and_then(|value| NameAddr::parse(value).ok()).or_else(|| request.from().ok());
    let Some(party) = party else {
        return CallerIdentity { reason: Some("unreadable"), ..CallerIdentity::default() };
    };
    let hidden_by_party =
        party.param("privacy").is_some_and(|value| !value.trim_matches('"').eq_ignore_ascii_case("off"));
    let user = user_of(&party.uri).unwrap_or_default();
    let anonymous = user.eq_ignore_ascii_case("anonymous")
        || party.uri.host.eq_ignore_ascii_case("anonymous.invalid")
        || ["restricted", "unavailable", "unknown", "private"].iter().any(|word| user.eq_ignore_ascii_case(word));
    if restricted || hidden_by_party || anonymous {
        return CallerIdentity { reason: Some("withheld"), ..CallerIdentity::default() };
    }
    let number = crate::core::number::caller(&user, trunk.country.as_deref())
        .map(|number| number.as_str().to_owned())
        .or_else(|| presentable(&user));
    CallerIdentity {
        reason: number.is_none().then_some("unreadable"),
        number,
        display: presentable(&party.display_text()),
    }
}

/// Text without control characters, bounded; `None` when nothing is left.
fn presentable(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(CALLER_TEXT_MAX).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// One destination of a company, with its placeholders filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Request-URI of our INVITE.
    pub uri: String,
    pub host: Arc<str>,
    /// Default 5060.
    pub port: u16,
    pub transport: rsip::Transport,
}

/// The company's destinations in order. What cannot be read was refused when the configuration was loaded, so an
/// unreadable one can only come from a caller text that does not fit; it is left out.
pub fn targets(company: &Company, number: &E164, caller: Option<&str>) -> Vec<Target> {
    company.forward_to.iter().filter_map(|template| target(template, number, caller)).collect()
}

fn target(template: &str, number: &E164, caller: Option<&str>) -> Option<Target> {
    let caller = caller.filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-_.".contains(&b)));
    let uri = template.replace("{number}", number.as_str()).replace("{caller}", caller.unwrap_or("anonymous"));
    let parsed = Uri::parse(&uri).ok()?;
    if !parsed.scheme.eq_ignore_ascii_case("sip") || parsed.host.is_empty() {
        return None;
    }
    let transport = match parsed.param("transport") {
        Some(name) if name.eq_ignore_ascii_case("tcp") => rsip::Transport::Tcp,
        _ => rsip::Transport::Udp,
    };
    let (host, port) = (Arc::from(parsed.host), parsed.port.unwrap_or(5060));
    Some(Target { host, port, transport, uri })
}

impl Target {
    /// The address when the host is an IP literal.
    pub fn literal(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// The flow towards `remote`: from our listener of the same transport and IP version. `None` when we have none.
    pub fn flow(&self, remote: SocketAddr, listeners: &[Listener]) -> Option<Flow> {
        let ours = |listener: &&Listener| {
            listener.transport == self.transport && listener.address.is_ipv4() == remote.is_ipv4()
        };
        let local = listeners.iter().find(ours)?.address;
        Some(Flow { transport: self.transport, local, remote, connection: 0 })
    }
}
