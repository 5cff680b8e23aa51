//! `[sip]`: listeners and what holds for all calls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use toml::de::DeValue;

use super::super::check::Places;
use super::super::read::{Found, Reader, Section, as_text};
use super::super::{Listener, Sip, Streams, value};
use super::tls::tls;
use super::{DAY, MINUTE, SECOND, count, duration, rate, small};
use crate::limits;

pub(super) fn sip<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, ports: (u16, u16), places: &mut Places) -> Sip {
    let mut s = r.section(root, "sip");
    let room = (usize::from(ports.1 - ports.0) + 1) / 4;
    let default = [rsip::Transport::Udp, rsip::Transport::Tcp]
        .map(|transport| Listener::new(transport, SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))));
    let listen = match r.items(&mut s, "listen", listener) {
        Found::Is(listen, place) => {
            if listen.is_empty() {
                r.problem(&place, "is empty: nobody could call; write [\"udp://127.0.0.1:5060\"]");
            }
            let (listen, at) = listen.into_iter().unzip();
            places.listen = at;
            listen
        }
        Found::Absent | Found::Bad => default.to_vec(),
    };
    let streams = streams(r, &mut s);
    let websocket_origins = websocket_origins(r, &mut s);
    let tls = Arc::new(tls(r, &mut s, places));
    let sip = Sip {
        listen,
        streams,
        tls,
        websocket_origins,
        advertise: r.text(&mut s, "advertise", value::host_port).optional(),
        user_agent: r.text(&mut s, "user_agent", |text| value::printable(text, 128)).or(concat!(
            "Leaseline/",
            env!("CARGO_PKG_VERSION")
        )
        .to_owned()),
        calls_max: count(r, &mut s, "calls_max", 1).unwrap_or(room.min(limits::CALLS)),
        calls_per_second_max: rate(r, &mut s),
        call_length_max: duration(r, &mut s, "call_length_max", MINUTE, DAY).or(limits::CALL_LENGTH),
    };
    r.end(s);
    sip
}

/// `"udp://…"`, or a table with its `url` and what its peers know it by.
fn listener(item: &DeValue<'_>) -> Result<Listener, String> {
    let Some(table) = item.as_table() else { return value::listener(as_text(item)?) };
    let (mut url, mut advertise) = (None, None);
    for (key, item) in table {
        let text = as_text(item.get_ref())?;
        let name: &str = key.get_ref();
        match name {
            "url" => url = Some(value::listener(text)?),
            "advertise" => advertise = Some(Arc::from(value::host_port(text)?)),
            name => return Err(format!("unknown key `{name}`; known here: url, advertise")),
        }
    }
    let listener = url.ok_or("`url` is missing; write it like { url = \"udp://0.0.0.0:5060\", advertise = \"…\" }")?;
    Ok(Listener { advertise, ..listener })
}

fn streams<'t>(r: &mut Reader<'t>, sip: &mut Section<'_, 't>) -> Streams {
    let mut s = r.section(sip, "streams");
    let default = Streams::default();
    let mut connections = |r: &mut Reader<'t>, key, default| {
        r.integer(&mut s, key, 1..limits::STREAMS_MAX as u64 + 1).optional().map_or(default, small)
    };
    let connections_max = connections(r, "connections_max", default.connections_max);
    let connections_per_address_max =
        connections(r, "connections_per_address_max", default.connections_per_address_max);
    let streams = Streams {
        connections_max,
        connections_per_address_max,
        first_message: duration(r, &mut s, "first_message", SECOND / 10, MINUTE).or(default.first_message),
        idle: duration(r, &mut s, "idle", SECOND, DAY).or(default.idle),
        ping: duration(r, &mut s, "ping", std::time::Duration::ZERO, DAY).or(default.ping),
    };
    r.end(s);
    streams
}

fn websocket_origins<'t>(r: &mut Reader<'t>, sip: &mut Section<'_, 't>) -> Vec<String> {
    let mut s = r.section(sip, "websocket");
    let origins = r.list(&mut s, "origins", value::origin).or(Vec::new());
    r.end(s);
    origins.into_iter().map(|(origin, _)| origin).collect()
}
