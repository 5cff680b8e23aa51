//! `[trace]` and `[trace.hep]`.

use super::super::read::{Reader, Section};
use super::super::{HepServer, Secret, Trace, value};
use super::socket_address;

pub(super) fn trace<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Trace {
    let mut s = r.section(root, "trace");
    let memory = r.text(&mut s, "memory", value::size).or(32 << 20);
    let mut server = r.section(&mut s, "hep");
    let address = r.text(&mut server, "address", socket_address);
    let address = r.required(&server, "address", address, "where the capture server listens, like \"192.0.2.9:9060\"");
    let capture_id = r.integer(&mut server, "capture_id", 0..u64::from(u32::MAX) + 1).or(2001);
    let password = r.secret(&mut server, "password", "password_file").optional().map(Secret);
    r.end(server);
    r.end(s);
    let capture_id = u32::try_from(capture_id).unwrap_or(u32::MAX);
    Trace { memory, hep: address.map(|address| HepServer { address, capture_id, password }) }
}
