//! `[sip.dns]`: how host names are found.

use std::net::{IpAddr, SocketAddr};

use super::super::Dns;
use super::super::read::{Reader, Section};
use super::{MILLISECOND, duration};
use crate::limits;

pub(super) fn dns<'t>(r: &mut Reader<'t>, sip: &mut Section<'_, 't>) -> Dns {
    let mut s = r.section(sip, "dns");
    let servers = r.list(&mut s, "servers", server).or(Vec::new());
    if servers.len() > limits::DNS_SERVERS {
        r.problem(s.place(), format!("`servers` has {}; at most {} are asked", servers.len(), limits::DNS_SERVERS));
    }
    let dns = Dns {
        servers: servers.into_iter().map(|(server, _)| server).collect(),
        timeout: duration(r, &mut s, "timeout", 100 * MILLISECOND, limits::RESOLVE).or(limits::RESOLVE),
        private: r.boolean(&mut s, "private").or(true),
    };
    r.end(s);
    dns
}

/// An address, with port 53 unless it says another.
fn server(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    let server = text.parse::<SocketAddr>().ok().filter(|server| server.port() != 0).or(bare);
    server.filter(|server| !server.ip().is_unspecified()).ok_or_else(|| {
        format!("`{}` is not a server; write it like \"192.0.2.53\" or \"[2001:db8::53]:5353\"", text.escape_debug())
    })
}
