//! Why a call ends, in the words of the network: `Reason` (RFC 3326) with SIP statuses and Q.850 causes, and the table
//! between the two (RFC 3398 §7.2.4.1 and §8.2.6.1, ITU-T Q.850 table 1).

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use crate::limits;
use crate::wire::sip::{Message, Params};

/// Whose causes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Sip,
    Q850,
}

/// One value of `Reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub protocol: Protocol,
    /// A SIP status from 100 to 699, or a Q.850 cause from 0 to 127.
    pub cause: u16,
    /// Cleaned of control characters. Stays in the event: what one side wrote never reaches the other.
    pub text: Option<String>,
}

impl Reason {
    pub const fn q850(cause: u16) -> Reason {
        Reason { protocol: Protocol::Q850, cause, text: None }
    }

    /// As a header line, without the text.
    pub fn line(&self) -> (Cow<'static, str>, String) {
        (Cow::Borrowed("Reason"), self.to_string())
    }
}

impl fmt::Display for Reason {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Sip => "SIP",
            Protocol::Q850 => "Q.850",
        };
        write!(f, "{protocol};cause={}", self.cause)
    }
}

/// The SIP and Q.850 reasons of a message, at most one of each (RFC 3326 §2).
pub fn read(message: &Message) -> SmallVec<[Reason; 2]> {
    let mut found: SmallVec<[Reason; 2]> = SmallVec::new();
    for reason in message.list("Reason").take(limits::REASONS).filter_map(read_one) {
        if found.iter().all(|other| other.protocol != reason.protocol) {
            found.push(reason);
        }
    }
    found
}

/// One value; `None` for other protocols and for causes that are none.
pub fn read_one(value: &str) -> Option<Reason> {
    let (protocol, params) = value.split_once(';')?;
    let (protocol, causes) = match protocol.trim() {
        name if name.eq_ignore_ascii_case("SIP") => (Protocol::Sip, 100..=699),
        name if name.eq_ignore_ascii_case("Q.850") => (Protocol::Q850, 0..=127),
        _ => return None,
    };
    let param = |name: &str| Params::new(params).find(|(n, _)| n.eq_ignore_ascii_case(name))?.1;
    let cause = param("cause")?.trim().parse::<u16>().ok().filter(|cause| causes.contains(cause))?;
    let clean = |text: &str| -> String {
        let plain = text.replace('\\', "");
        plain.chars().filter(|c| !c.is_control()).take(limits::CALLER_TEXT).collect()
    };
    let text = param("text").map(clean).filter(|text| !text.is_empty());
    Some(Reason { protocol, cause, text })
}

/// The Q.850 cause that says what a final status says (RFC 3398 §8.2.6.1); `None` for success and for 487, which has
/// none.
pub fn q850_of(status: u16) -> Option<u16> {
    Some(match status {
        0..=299 | 487 => return None,
        404 | 485 | 604 => 1,
        486 | 600 => 17,
        480 => 18,
        401..=403 | 407 | 428 | 433 | 436..=438 | 603 | 607 | 608 => 21,
        410 => 22,
        482 | 483 => 25,
        484 => 28,
        502 => 38,
        405 => 63,
        488 | 606 => 65,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        300..=399 => 23,
        // 400, 481, 500, 503, and what RFC 3261 §8.1.3.2 treats like 400 and 500.
        400..=599 => 41,
        _ => 17,
    })
}

/// The final status that says what a Q.850 cause says (RFC 3398 §7.2.4.1).
pub const fn status_of(cause: u16) -> u16 {
    match cause {
        1..=3 | 26 => 404,
        17 => 486,
        18 => 408,
        21 | 55 | 57 | 87 => 403,
        22 | 23 => 410,
        27 => 502,
        28 => 484,
        29 | 79 => 501,
        34 | 38 | 41 | 42 | 47 | 58 | 88 => 503,
        65 | 70 => 488,
        102 => 504,
        111 | 127 => 500,
        // 16, 19, 20, 31 and the causes that the table leaves out.
        _ => 480,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(reasons: &str) -> Message {
        let text = format!(
            "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>;tag=2\r\nCall-ID: a\r\nCSeq: 1 BYE\r\n{reasons}Content-Length: 0\r\n\r\n"
        );
        Message::parse(bytes::Bytes::from(text)).unwrap()
    }

    #[test]
    fn reasons_are_read_with_their_texts() {
        let read = |lines: &str| -> Vec<(String, Option<String>)> {
            read(&message(lines)).iter().map(|reason| (reason.to_string(), reason.text.clone())).collect()
        };
        let pair = |line: &str, text: Option<&str>| (line.to_owned(), text.map(str::to_owned));
        assert_eq!(
            read("Reason: Q.850 ;cause=16 ;text=\"Normal; \\\"clearing\\\"\", SIP;cause=200;text=\"elsewhere\"\r\n"),
            [pair("Q.850;cause=16", Some("Normal; \"clearing\"")), pair("SIP;cause=200", Some("elsewhere"))]
        );
        assert_eq!(read("Reason: q.850;text=\"\x1b[2Jx\";cause=17\r\n"), [pair("Q.850;cause=17", Some("[2Jx"))]);
        // One of each protocol, and nothing of others.
        assert_eq!(
            read("Reason: preemption;cause=1;text=\"UA\"\r\nReason: SIP;cause=486\r\nReason: SIP;cause=487\r\n"),
            [pair("SIP;cause=486", None)]
        );
        for bad in ["Q.850", "Q.850;cause=", "Q.850;cause=128", "Q.850;cause=-1", "SIP;cause=99", "SIP;cause=700", ""] {
            assert_eq!(read(&format!("Reason: {bad}\r\n")), [], "{bad}");
        }
    }

    #[test]
    fn statuses_and_causes() {
        let mut table = String::new();
        for status in (300..700).filter(|status| !crate::wire::sip::build::phrase(*status).is_empty()) {
            let cause = q850_of(status);
            let shown = cause.map_or("none".to_owned(), |cause| format!("{cause} -> {}", status_of(cause)));
            table += &format!("{status} -> {shown}\n");
        }
        for cause in 1..=127 {
            if status_of(cause) != 480 {
                table += &format!("Q.850 {cause} -> {}\n", status_of(cause));
            }
        }
        insta::assert_snapshot!(table);
    }
}
