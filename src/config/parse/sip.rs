//! `[sip]`: listeners and what holds for all calls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::super::check::Places;
use super::super::read::{Found, Item, Place, Reader, Section};
use super::super::{LargeRequests, Listener, Sip, Streams, value};
use super::defence::{defence, overload_after};
use super::dialogs;
use super::dns::dns;
use super::tls::tls;
use super::{DAY, MINUTE, SECOND, choice, count, duration, rate, small};
use crate::limits;

pub(super) fn sip<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, ports: (u16, u16), places: &mut Places) -> Sip {
    let mut s = r.section(root, "sip");
    let room = (usize::from(ports.1 - ports.0) + 1) / 4;
    let default = [rsip::Transport::Udp, rsip::Transport::Tcp]
        .map(|transport| Listener::new(transport, SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))));
    let listen = match listeners(r, &mut s) {
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
        dialogs: dialogs::dialogs(r, &mut s),
        large_requests: large_requests(r, &mut s).unwrap_or_default(),
        calls_max: count(r, &mut s, "calls_max", 1).unwrap_or(room.min(limits::CALLS)),
        calls_per_second_max: rate(r, &mut s),
        call_length_max: duration(r, &mut s, "call_length_max", MINUTE, DAY).or(limits::CALL_LENGTH),
        dns: dns(r, &mut s),
        overload_after: overload_after(r, &mut s),
        defence: defence(r, &mut s),
    };
    r.end(s);
    sip
}

/// Listeners with their places: `"udp://…"`, or a table with its `url` and what its peers know it by.
fn listeners<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Found<Vec<(Listener, Place)>> {
    let (items, place) = match r.items(s, "listen") {
        Found::Is(items, place) => (items, place),
        Found::Absent => return Found::Absent,
        Found::Bad => return Found::Bad,
    };
    let count = items.len();
    let mut listeners = Vec::with_capacity(count);
    for item in items {
        match item {
            Item::Text(text, place) => match value::listener(text) {
                Ok(listener) => listeners.push((listener, place)),
                Err(message) => r.problem(&place, message),
            },
            Item::Table(mut table) => {
                let url = r.text(&mut table, "url", value::listener);
                let url = r.required(&table, "url", url, "its address, like \"udp://0.0.0.0:5060\"");
                let advertise = r.text(&mut table, "advertise", value::host_port).optional();
                let place = table.place().clone();
                r.end(table);
                let listener = url.map(|url| Listener { advertise: advertise.map(Arc::from), ..url });
                listeners.extend(listener.map(|listener| (listener, place)));
            }
        }
    }
    if listeners.len() < count { Found::Bad } else { Found::Is(listeners, place) }
}

pub(super) fn large_requests<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<LargeRequests> {
    let ways = [LargeRequests::Tcp, LargeRequests::Udp].map(|way| (way.as_str(), way));
    choice(r, s, "large_requests", &ways)
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
