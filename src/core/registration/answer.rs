//! What a registrar's answer says, as pure functions.

use std::time::Duration;

use crate::limits;
use crate::wire::sip::{Message, NameAddr};

/// Seconds for which our Contacts are bound: the least of their `expires`, else Expires, else what was asked for (RFC 3261
/// §10.2.4). `None` when the list has Contacts, but none of ours.
pub(super) fn granted(response: &Message, user: &str, asked: u32) -> Option<u32> {
    let general = response.header("Expires").and_then(seconds).unwrap_or(asked);
    let mut listed = false;
    let mut least = None;
    for contact in response.list("Contact") {
        listed = true;
        let Ok(contact) = NameAddr::parse(contact) else { continue };
        if contact.uri.user == Some(user) {
            let own = contact.param("expires").and_then(seconds).unwrap_or(general);
            least = Some(least.map_or(own, |least: u32| least.min(own)));
        }
    }
    if listed { least } else { Some(general) }
}

/// The route that the registrar wants our requests to take (RFC 3608 §5): as it stands, to be used as Route. Empty when it
/// asks for none, or for one that cannot be followed: too long, unreadable, or with a strict router in it, who would need
/// another Request-URI.
pub(super) fn service_route(response: &Message) -> Vec<Box<str>> {
    let route: Vec<&str> = response.list("Service-Route").take(limits::SERVICE_ROUTES + 1).collect();
    let is_good = |place: &&str| {
        let loose = NameAddr::parse(place).is_ok_and(|place| place.uri.is_sip() && place.uri.param("lr").is_some());
        loose && place.len() <= limits::SIP_TOKEN && !place.chars().any(char::is_control)
    };
    match route.len() <= limits::SERVICE_ROUTES && route.iter().all(is_good) {
        true => route.into_iter().map(Into::into).collect(),
        false => Vec::new(),
    }
}

/// Min-Expires of a 423, within reason.
pub(super) fn min_expires(response: &Message) -> Option<u32> {
    response.header("Min-Expires").and_then(seconds).filter(|least| *least <= 86_400)
}

/// Retry-After, without its comment and parameters (RFC 3261 §20.33).
pub(in crate::core) fn retry_after(response: &Message) -> Option<Duration> {
    let number = response.header("Retry-After")?.split([' ', ';', '(']).next()?;
    seconds(number).map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// Stable code of a failure.
pub(super) fn code(status: u16, heard: bool) -> &'static str {
    match status {
        401 | 407 => "login_refused",
        403 => "forbidden",
        404 | 410 => "user_unknown",
        408 if !heard => "registrar_silent",
        503 if !heard => "registrar_unreachable",
        503 => "registrar_busy",
        300..400 => "redirected",
        400..500 => "refused",
        _ => "registrar_failed",
    }
}

fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
