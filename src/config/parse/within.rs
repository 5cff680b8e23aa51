//! Keys of `[[trunk]]` and `[[company]]` that speak of what happens within a call.

use super::super::read::{Reader, Section};
use super::super::value::is_host_name;
use super::super::{Keys, Passage, TransferMode, TransferRules, Within};
use super::choice;
use crate::limits;

pub(super) fn of_trunk<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Within {
    let passages = [("relay", Passage::Relay), ("absorb", Passage::Absorb), ("refuse", Passage::Refuse)];
    let transfers = [("refuse", TransferMode::Refuse), ("relay", TransferMode::Relay)];
    let usual = Within::default();
    let types = r.list(s, "content_types", content_type);
    Within {
        transfer: choice(r, s, "transfer", &transfers).unwrap_or_default(),
        info: choice(r, s, "info", &passages).unwrap_or_default(),
        message: choice(r, s, "message", &passages).unwrap_or_default(),
        dtmf: choice(r, s, "dtmf", &Keys::ALL).unwrap_or_default(),
        content_types: types.optional().map_or(usual.content_types, |types| {
            types.into_iter().map(|(text, _)| text).take(limits::CONTENT_TYPES).collect()
        }),
    }
}

pub(super) fn of_company<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> TransferRules {
    let modes = [("refuse", TransferMode::Refuse), ("relay", TransferMode::Relay), ("local", TransferMode::Local)];
    let mode = choice(r, s, "transfer", &modes).unwrap_or_default();
    let to = r.list(s, "transfer_to", place).or(Vec::new());
    if mode != TransferMode::Local
        && let Some((_, at)) = to.first()
    {
        r.problem(at, "`transfer_to` is of use only with `transfer = \"local\"`");
    }
    TransferRules { mode, to: to.into_iter().map(|(text, _)| text).take(limits::DESTINATIONS).collect() }
}

fn content_type(text: &str) -> Result<String, String> {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
    match text.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => Ok(text.to_ascii_lowercase()),
        _ => Err(format!("`{}` is not a content type; write it like \"application/dtmf-relay\"", text.escape_debug())),
    }
}

/// `host`, `host:port`, an address, or an IPv6 address in brackets with a port.
fn place(text: &str) -> Result<String, String> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok();
    let is_name = match text.split_once(':') {
        Some((host, port)) => is_host_name(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_host_name(text),
    };
    if is_address || is_name {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("`{}` is not a host; write it like \"pbx.example.com\" or \"192.0.2.20:5060\"", text.escape_debug()))
}
