//! The little SDP that a test phone speaks: one audio stream, G.711 and telephone events.

use std::net::{IpAddr, SocketAddr};

use super::rtp::Remote;
use crate::limits;
use crate::wire::codec::g711::Law;

/// Content-Type of SDP.
pub(super) const TYPE: &str = "application/sdp";

/// What the far side's description means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) remote: Remote,
    /// It sends; we may be silent while it does not (hold).
    pub(super) they_send: bool,
}

/// Our description. `laws`: all in an offer, the chosen one in an answer. `version` grows with every change
/// of a session (RFC 3264 §8).
pub(super) fn write(local: SocketAddr, laws: &[Law], version: u32, direction: &str) -> String {
    let family = if local.is_ipv4() { "IP4" } else { "IP6" };
    let types: Vec<String> = laws.iter().map(|law| payload_type(*law).to_string()).collect();
    let maps: String =
        laws.iter().map(|law| format!("a=rtpmap:{} {}/8000\r\n", payload_type(*law), name(*law))).collect();
    format!(
        "v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {session} RTP/AVP {types} 101\r\n{maps}a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
         a=ptime:20\r\na={direction}\r\n",
        session = local.port(),
        ip = local.ip(),
        types = types.join(" "),
    )
}

/// Reads an offer or an answer: the first audio stream with a law that we speak. `None`: nothing for us.
pub(super) fn read(text: &str) -> Option<Read> {
    let (mut session_address, mut address) = (None, None);
    let (mut session_direction, mut direction) = ("sendrecv", None);
    let mut media: Option<(u16, Vec<&str>)> = None;
    let mut maps: Vec<(&str, &str)> = Vec::new();
    let mut in_audio = false;
    for line in text.lines().take(limits::SDP_LINES) {
        let Some((kind, value)) = line.trim_end().split_once('=') else { continue };
        match kind {
            "m" if media.is_some() => break,
            "m" => {
                let mut words = value.split_ascii_whitespace();
                in_audio = words.next() == Some("audio");
                let port = words.next().and_then(|port| port.split('/').next()?.parse().ok());
                let types: Vec<&str> = words.skip(1).take(limits::SDP_FORMATS).collect();
                media = port.filter(|_| in_audio).map(|port| (port, types));
            }
            "c" => {
                let ip = value.split_ascii_whitespace().nth(2).and_then(|ip| ip.split('/').next()?.parse().ok());
                *(if in_audio { &mut address } else { &mut session_address }) = ip;
            }
            "a" => match (value, value.split_once(':')) {
                ("sendrecv" | "sendonly" | "recvonly" | "inactive", _) if in_audio => direction = Some(value),
                ("sendrecv" | "sendonly" | "recvonly" | "inactive", _) => session_direction = value,
                (_, Some(("rtpmap", map))) if in_audio => maps.extend(map.split_once(' ')),
                _ => {}
            },
            _ => {}
        }
    }
    let (port, types) = media.filter(|(port, _)| *port > 0)?;
    let ip: IpAddr = address.or(session_address)?;
    let law_of = |payload_type: &str| match maps.iter().find(|(number, _)| *number == payload_type) {
        Some((_, encoding)) => Law::of_name(encoding.split('/').next().unwrap_or_default()),
        None if payload_type == "0" => Some(Law::Mu),
        None if payload_type == "8" => Some(Law::A),
        None => None,
    };
    let (payload_type, law) = types.iter().find_map(|t| Some((t.parse::<u8>().ok()?, law_of(t)?)))?;
    let direction = direction.unwrap_or(session_direction);
    // 0.0.0.0 is hold in the old way (RFC 3264 §8.4).
    let wants = matches!(direction, "sendrecv" | "recvonly") && !ip.is_unspecified();
    let they_send = matches!(direction, "sendrecv" | "sendonly");
    Some(Read { remote: Remote { rtp: SocketAddr::new(ip, port), law, payload_type, send: wants }, they_send })
}

/// The direction that answers what was read (RFC 3264 §6.1).
pub(super) fn answering(read: &Read) -> &'static str {
    match (read.remote.send, read.they_send) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

const fn payload_type(law: Law) -> u8 {
    match law {
        Law::Mu => 0,
        Law::A => 8,
    }
}

const fn name(law: Law) -> &'static str {
    match law {
        Law::Mu => "PCMU",
        Law::A => "PCMA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for address in ["127.0.0.1:4000", "[::1]:4000"] {
            let local: SocketAddr = address.parse().expect("an address");
            for (laws, law, payload_type) in [(&[Law::Mu, Law::A][..], Law::Mu, 0), (&[Law::A][..], Law::A, 8)] {
                let text = write(local, laws, 1, "sendrecv");
                let remote = Remote { rtp: local, law, payload_type, send: true };
                assert_eq!(read(&text), Some(Read { remote, they_send: true }), "{text}");
            }
        }
    }

    #[test]
    fn hold_and_refusal_are_understood() {
        let text = write("127.0.0.1:4000".parse().expect("an address"), &[Law::A], 1, "sendrecv");
        let answer = |text: &str| read(text).map(|read| answering(&read));
        assert_eq!(answer(&text), Some("sendrecv"));
        assert_eq!(answer(&text.replace("a=sendrecv", "a=sendonly")), Some("recvonly"));
        assert_eq!(answer(&text.replace("a=sendrecv", "a=recvonly")), Some("sendonly"));
        assert_eq!(answer(&text.replace("a=sendrecv", "a=inactive")), Some("inactive"));
        assert_eq!(answer(&text.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0")), Some("recvonly"));
        assert_eq!(read(&text.replace("m=audio 4000", "m=audio 0")), None);
        assert_eq!(read(&text.replace("RTP/AVP 8 101", "RTP/AVP 18 101")), None);
        assert_eq!(read(&text.replace("m=audio", "m=video")), None);
        assert_eq!(read(""), None);
    }
}
