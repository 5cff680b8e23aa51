//! Key presses in INFO bodies: `application/dtmf-relay` (`Signal=5`, `Duration=160`) and `application/dtmf` (`5`). Neither
//! is a standard; both are spoken everywhere.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::wire::sip::Message;

/// Content types of key presses.
const TYPES: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];
/// What a press without a length takes, and the bounds of those with one.
const USUAL: Duration = Duration::from_millis(250);
const LONGEST: u64 = 8_000;
const SHORTEST: u64 = 40;

/// The key and its length in an INFO request; `None`: it is none of these, or says nothing that we understand.
pub fn read(request: &Message) -> Option<(char, Duration)> {
    if !is_dtmf(request) {
        return None;
    }
    let body = request.body();
    let text = std::str::from_utf8(&body).ok()?;
    let value = |name: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let key = value("Signal").unwrap_or(text.trim());
    // Some send the number of the event: 10 is the star, 11 the pound sign.
    let key = match key {
        "10" => '*',
        "11" => '#',
        key => super::event(one(key)?).and_then(super::key)?,
    };
    let length = value("Duration").and_then(|text| text.parse::<u64>().ok());
    let length = length.map_or(USUAL, |millis| Duration::from_millis(millis.clamp(SHORTEST, LONGEST)));
    Some((key, length))
}

/// Whether this INFO speaks of a key.
pub fn is_dtmf(request: &Message) -> bool {
    TYPES.iter().any(|one| request.has_content_type(one))
}

/// The body of an INFO for a key.
pub fn write(key: char, length: Duration) -> (&'static str, Bytes) {
    (TYPES[0], format!("Signal={key}\r\nDuration={}\r\n", length.as_millis()).into())
}

/// The message with the key made unreadable, as long as before; `None`: it is no INFO with a key.
pub fn masked(message: &Bytes) -> Option<Bytes> {
    if !message.starts_with(b"INFO ") {
        return None;
    }
    let head = memchr::memmem::find(message, b"\r\n\r\n")? + 4;
    let speaks = memchr::memmem::find(&message.get(..head)?.to_ascii_lowercase(), b"application/dtmf").is_some();
    if !speaks {
        return None;
    }
    let mut masked = BytesMut::from(&message[..]);
    let is_key = |byte: &u8| byte.is_ascii_digit() || b"*#ABCDabcd".contains(byte);
    let mut at = head;
    for line in message.get(head..)?.split_inclusive(|byte| *byte == b'\n') {
        let value = match memchr::memchr(b'=', line) {
            Some(equals) if line.to_ascii_lowercase().trim_ascii_start().starts_with(b"signal") => {
                equals + 1..line.len()
            }
            Some(_) => 0..0,
            None => 0..line.len(),
        };
        let span = masked.get_mut(at + value.start..at + value.end).unwrap_or_default();
        span.iter_mut().filter(|byte| is_key(byte)).for_each(|byte| *byte = b'x');
        at += line.len();
    }
    Some(masked.freeze())
}

fn one(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(content_type: &str, body: &str) -> Bytes {
        let text = format!(
            "INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 7 INFO\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        text.into()
    }

    #[test]
    fn keys_are_read_and_masked() {
        for (content_type, body, key, masked_body) in [
            (
                "application/dtmf-relay",
                "Signal=5\r\nDuration=160\r\n",
                Some(('5', 160)),
                "Signal=x\r\nDuration=160\r\n",
            ),
            ("application/dtmf-relay", "Signal= *\nDuration= 20\n", Some(('*', 40)), "Signal= x\nDuration= 20\n"),
            ("Application/DTMF-Relay", "signal=#\r\n", Some(('#', 250)), "signal=x\r\n"),
            (
                "application/dtmf-relay",
                "Signal=11\r\nDuration=99999\r\n",
                Some(('#', 8_000)),
                "Signal=xx\r\nDuration=99999\r\n",
            ),
            ("application/dtmf", "7", Some(('7', 250)), "x"),
            ("application/dtmf", "d\r\n", Some(('D', 250)), "x\r\n"),
            ("application/dtmf", "77", None, "xx"),
            ("application/dtmf-relay", "Signal=!\r\n", None, "Signal=!\r\n"),
            ("application/dtmf-relay", "", None, ""),
        ] {
            let bytes = info(content_type, body);
            let message = Message::parse(bytes.clone()).unwrap();
            let read = read(&message).map(|(key, length)| (key, length.as_millis() as u64));
            assert_eq!(read, key, "{content_type} {body:?}");
            let shown = masked(&bytes).unwrap();
            assert_eq!(Message::parse(shown.clone()).unwrap().body(), masked_body, "{body:?}");
            assert_eq!(shown.len(), bytes.len());
        }
        assert_eq!(masked(&info("text/plain", "Signal=5")), None);
        let (content_type, body) = write('#', Duration::from_millis(120));
        let message = Message::parse(info(content_type, std::str::from_utf8(&body).unwrap())).unwrap();
        assert_eq!(super::read(&message), Some(('#', Duration::from_millis(120))));
    }
}
