//! `[sip]`: listeners and what holds for all calls.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::check::Places;
use super::super::read::{Found, Reader, Section};
use super::super::{Listener, Sip, value};
use super::defence::{defence, overload_after};
use super::{DAY, MINUTE, count, duration, rate};
use crate::limits;

pub(super) fn sip<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, ports: (u16, u16), places: &mut Places) -> Sip {
    let mut s = r.section(root, "sip");
    let room = (usize::from(ports.1 - ports.0) + 1) / 4;
    let default = [rsip::Transport::Udp, rsip::Transport::Tcp]
        .map(|transport| Listener { transport, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)) });
    let listen = match r.list(&mut s, "listen", value::listener) {
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
    let sip = Sip {
        listen,
        advertise: r.text(&mut s, "advertise", value::host_port).optional(),
        user_agent: r.text(&mut s, "user_agent", |text| value::printable(text, 128)).or(concat!(
            "Leaseline/",
            env!("CARGO_PKG_VERSION")
        )
        .to_owned()),
        calls_max: count(r, &mut s, "calls_max", 1).unwrap_or(room.min(limits::CALLS)),
        calls_per_second_max: rate(r, &mut s),
        call_length_max: duration(r, &mut s, "call_length_max", MINUTE, DAY).or(limits::CALL_LENGTH),
        overload_after: overload_after(r, &mut s),
        defence: defence(r, &mut s),
    };
    r.end(s);
    sip
}
