//! `codecs` and `transports` of a trunk.

use ipnet::IpNet;
use rsip::Transport;

use super::super::super::read::{Place, Reader, Section};
use super::super::super::trunk::{CodecList, MediaNetworks, Transports};
use super::super::super::value;
use crate::core::locate::Query;
use crate::limits;
use crate::wire::sip::Uri;

/// The list, and where it stands.
pub(super) fn codecs<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> (CodecList, Option<Place>) {
    let found = r.list(s, "codecs", codec).or(Vec::new());
    if found.len() > limits::TRUNK_CODECS {
        let message = format!("`codecs` has {} names; at most {} are read", found.len(), limits::TRUNK_CODECS);
        r.problem(s.place(), message);
    }
    let place = found.first().map(|(_, place)| place.clone());
    (found.into_iter().map(|(name, _)| name.into_boxed_str()).collect(), place)
}

/// `media_networks`, behind those that are known anyhow.
pub(in super::super) fn media_networks<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    known: impl IntoIterator<Item = IpNet>,
) -> MediaNetworks {
    let named = r.list(s, "media_networks", value::network).or(Vec::new());
    let mut all: Vec<IpNet> = known.into_iter().collect();
    for (net, _) in named {
        if !all.contains(&net) {
            all.push(net);
        }
    }
    all.into_iter().collect()
}

/// Checks that `ways`, keys with URIs of this trunk, do not lead over another one.
pub(super) fn transports<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    ways: [(&str, Option<&str>); 2],
) -> Transports {
    let found = r.list(s, "transports", transport);
    let Some(listed) = found.optional() else { return Transports::ANY };
    let allowed: Transports = listed.iter().map(|(transport, _)| *transport).collect();
    if listed.is_empty() {
        r.problem(s.place(), "`transports` is empty: nobody could call; write those that are used, like [\"udp\"]");
        return Transports::ANY;
    }
    for (key, uri) in ways {
        let query = uri.and_then(|uri| Query::of(&Uri::parse(uri).ok()?, &Default::default()).ok());
        let leads_over = query.and_then(|query| query.transport.or(query.literal().map(|hop| hop.transport)));
        if let Some(other) = leads_over.filter(|transport| !allowed.allows(*transport)) {
            let name = Transports::NAMES.iter().find(|(_, transport)| *transport == other).map_or("", |(name, _)| name);
            let message = format!(
                "`{key}` leads over {name}, which `transports` does not allow; \
                 write `;transport=` and one that it does behind the host"
            );
            r.problem(s.place(), message);
        }
    }
    allowed
}

fn codec(text: &str) -> Result<String, String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let name = text.to_ascii_uppercase();
    match name.as_str() {
        "TELEPHONE-EVENT" | "CN" => Err(format!("`{text}` is no codec: it crosses beside every one of them")),
        "" => Err("is empty; write the name of a codec, like \"PCMA\"".to_owned()),
        _ if text.len() <= limits::CODEC_NAME && text.bytes().all(is_token) => Ok(name),
        _ => Err(format!("`{}` is not a codec; write a name like \"PCMA\"", text.escape_debug())),
    }
}

fn transport(text: &str) -> Result<Transport, String> {
    let known = Transports::NAMES.iter().find(|(name, _)| *name == text).map(|(_, transport)| *transport);
    known.ok_or_else(|| format!("`{}` is not one of \"udp\", \"tcp\", \"tls\", \"ws\", \"wss\"", text.escape_debug()))
}
