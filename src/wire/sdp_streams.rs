//! Session descriptions with several audio streams that labels tell apart (RFC 4574): those of recording sessions
//! (RFC 7866 §8). Each stream is read and written as [`super::sdp`] does one.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;

use super::sdp::{Audio, Describer, Sdp, SdpError};
use crate::limits;

/// One `m=` line of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// `a=label`, up to [`limits::SIP_TOKEN`] bytes.
    pub label: Option<String>,
    /// `None`: refused (port 0), not audio, or nothing that we can use; it stays refused.
    pub audio: Option<Audio>,
    /// The line itself without port, to refuse it in an answer: `audio`, `RTP/AVP 0 8`.
    refused: (String, String),
}

/// Reads every `m=` line, in order.
pub fn read(body: &[u8]) -> Result<Vec<Stream>, SdpError> {
    let text = String::from_utf8_lossy(body);
    let mut session = String::new();
    let mut sections: Vec<String> = Vec::new();
    for (count, line) in text.lines().enumerate() {
        if count >= limits::SDP_LINES {
            return Err(SdpError::TooManyLines);
        }
        if line.starts_with("m=") {
            if sections.len() >= limits::SDP_MEDIA {
                return Err(SdpError::TooManyMedia);
            }
            sections.push(String::new());
        }
        let section = sections.last_mut().unwrap_or(&mut session);
        section.push_str(line);
        section.push_str("\r\n");
    }
    if !session.starts_with("v=0") {
        return Err(SdpError::Unreadable);
    }
    Ok(sections.iter().map(|section| stream(&session, section)).collect())
}

fn stream(session: &str, section: &str) -> Stream {
    let one = Sdp::parse(format!("{session}{section}").as_bytes());
    let words: Vec<&str> = section.lines().next().unwrap_or_default().trim_start_matches("m=").split(' ').collect();
    let word = |at: usize| words.get(at).copied().filter(|word| is_token(word));
    let formats: Vec<&str> = words.iter().skip(2).copied().filter(|word| is_token(word)).collect();
    let label = section.lines().find_map(|line| line.strip_prefix("a=label:")).map(str::trim);
    Stream {
        label: label.filter(|label| is_token(label)).map(str::to_owned),
        audio: one.ok().and_then(|sdp| sdp.audio).map(|(_, audio)| audio),
        refused: (word(0).unwrap_or("audio").to_owned(), formats.join(" ")),
    }
}

/// Text that may stand in a line of ours.
fn is_token(text: &str) -> bool {
    (1..=limits::SIP_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What one `m=` line of ours says.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// This stream at this address of ours, with a label.
    Stream { label: Option<&'a str>, audio: &'a Audio, local: SocketAddr },
    /// Not taken: the other side's line with port 0.
    Refused(&'a Stream),
}

/// A description of ours. `session_id` and `version` are the `o=` line's.
pub fn write(session_id: u64, version: u64, local: SocketAddr, streams: &[Said<'_>]) -> Bytes {
    let (family, ip) = (if local.is_ipv6() { "IP6" } else { "IP4" }, local.ip());
    let mut text = format!(
        "v=0\r\no=- {} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
        // RFC 8866 §5.2 wants a number that NTP-like 63-bit readers can hold.
        session_id >> 2
    );
    for said in streams {
        match said {
            Said::Stream { label, audio, local } => {
                // Keys of a call's leg are nobody else's.
                let clear = Audio { secured: None, rtcp_mux: false, ..(*audio).clone() };
                let alone = Describer::new(0).describe(&clear, *local);
                let alone = String::from_utf8_lossy(&alone);
                text.push_str(alone.find("m=audio").and_then(|at| alone.get(at..)).unwrap_or_default());
                if let Some(label) = label {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "a=label:{label}\r\n");
                }
            }
            Said::Refused(stream) => {
                let _ = write!(text, "m={} 0 {}\r\n", stream.refused.0, stream.refused.1);
            }
        }
    }
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::Direction;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
        m=audio 30000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=label:96\r\na=sendonly\r\n\
        m=video 0 RTP/AVP 31\r\n\
        m=audio 30002 RTP/AVP 0\r\nc=IN IP4 192.0.2.6\r\na=label:97\r\na=inactive\r\n";

    #[test]
    fn every_line_is_read_with_its_own_address_label_and_direction() {
        let streams = read(OFFER.as_bytes()).unwrap();
        let labels: Vec<_> = streams.iter().map(|stream| stream.label.as_deref()).collect();
        assert_eq!(labels, [Some("96"), None, Some("97")]);
        let first = streams[0].audio.as_ref().unwrap();
        assert_eq!((first.rtp, first.direction), ("192.0.2.5:30000".parse().unwrap(), Direction::SendOnly));
        assert!(streams[1].audio.is_none());
        let last = streams[2].audio.as_ref().unwrap();
        assert_eq!((last.rtp, last.direction), ("192.0.2.6:30002".parse().unwrap(), Direction::Inactive));
    }

    #[test]
    fn what_we_write_reads_back_in_the_same_places() {
        let streams = read(OFFER.as_bytes()).unwrap();
        let audio = Audio { direction: Direction::RecvOnly, ..streams[0].audio.clone().unwrap() };
        let local = "203.0.113.9:20000".parse().unwrap();
        let said = [Said::Stream { label: Some("96"), audio: &audio, local }, Said::Refused(&streams[1])];
        let text = write(4_000, 2, local, &said);
        assert_eq!(
            String::from_utf8_lossy(&text),
            "v=0\r\no=- 1000 2 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n\
             m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=recvonly\r\na=label:96\r\nm=video 0 RTP/AVP 31\r\n"
        );
        assert_eq!(read(&text).unwrap()[0].audio.as_ref().unwrap().rtp, local);
    }

    #[test]
    fn bounds_have_names() {
        assert_eq!(read(b"hello"), Err(SdpError::Unreadable));
        let many = format!("v=0\r\n{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(limits::SDP_MEDIA + 1));
        assert_eq!(read(many.as_bytes()), Err(SdpError::TooManyMedia));
        let long = format!("v=0\r\n{}", "a=x\r\n".repeat(limits::SDP_LINES));
        assert_eq!(read(long.as_bytes()), Err(SdpError::TooManyLines));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(0u8..=255, 0..300), cut in 0usize..OFFER.len()) {
            let _ = read(&bytes);
            let _ = read(&OFFER.as_bytes()[..cut]);
        }
    }
}
