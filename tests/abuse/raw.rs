//! Requests as text, with every line open to mischief.

use std::fmt::Write as _;

use crate::world::CARRIER;

/// An SDP offer of a phone at 192.0.2.10.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
     m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

pub(crate) const OURS: &str = "sip:+442079460500@203.0.113.1";

#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) start: String,
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Content-Length is written.
    pub(crate) length: bool,
}

impl Raw {
    /// A request out of dialog from the carrier; `id` makes Call-ID, tag and branch its own.
    pub(crate) fn new(method: &str, uri: &str, id: &str) -> Raw {
        let line = |name: &str, value: String| (name.to_owned(), value);
        Raw {
            start: format!("{method} {uri} SIP/2.0"),
            lines: vec![
                line("Via", format!("SIP/2.0/UDP {CARRIER};branch=z9hG4bK-{id}")),
                line("Max-Forwards", "70".into()),
                line("From", format!("<sip:07700900123@192.0.2.10>;tag=from-{id}")),
                line("To", format!("<{uri}>")),
                line("Call-ID", format!("raw-{id}")),
                line("CSeq", format!("1 {method}")),
            ],
            body: Vec::new(),
            length: true,
        }
    }

    /// An INVITE of one of our numbers with an offer.
    pub(crate) fn invite(id: &str) -> Raw {
        Raw::new("INVITE", OURS, id).with("Contact", &format!("<sip:phone@{CARRIER}>")).sdp(OFFER)
    }

    pub(crate) fn sdp(mut self, text: &str) -> Raw {
        self.body = text.as_bytes().to_vec();
        self.with("Content-Type", "application/sdp")
    }

    /// Replaces the header's value, or adds it.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Raw {
        match self.lines.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.lines.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// One more line, whatever is there.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Raw {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Raw {
        self.lines.retain(|(known, _)| known != name);
        self
    }

    /// The header's name is written so.
    pub(crate) fn named(mut self, name: &str, written: &str) -> Raw {
        for (known, _) in &mut self.lines {
            if known == name {
                written.clone_into(known);
            }
        }
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.lines {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        if self.length {
            write!(text, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
