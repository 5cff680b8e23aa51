//! Bytes of Asterisk's Manager Interface → messages, and its orders → bytes.
//!
//! A line says who speaks (`Asterisk Call Manager/5.0.2`); then messages, each a run of `Name: value` lines up to an empty
//! one. Lines that are too long are left out, fields beyond the bound are not kept: what comes is never more memory than
//! the bounds allow, and never an error but for the first line.

use md5::{Digest, Md5};

use crate::limits;

/// One response or event. Names are compared without regard to case, as Asterisk's own clients do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    fields: Vec<(String, String)>,
}

impl Message {
    /// The first field of this name; empty values are none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A channel variable that comes with the event (`channelvars` of `manager.conf`): `ChanVariable: NAME=value`.
    pub fn variable(&self, names: &[&str]) -> Option<&str> {
        let mut variables = self.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("ChanVariable"));
        variables.find_map(|(_, text)| {
            let (name, value) = text.split_once('=')?;
            let is_wanted = names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted));
            (is_wanted && !value.is_empty()).then_some(value)
        })
    }

    pub fn is_event(&self, name: &str) -> bool {
        self.get("Event").is_some_and(|event| event.eq_ignore_ascii_case(name))
    }
}

/// The side that reads.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    /// The line is too long: the rest of it is left out.
    skips: bool,
    /// The first line was there.
    begun: bool,
    message: Message,
}

/// Who answers is no Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAsterisk;

impl Reader {
    /// Takes bytes as they come; whole messages go to `out`.
    ///
    /// # Errors
    /// The first line is not an Asterisk's.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<Message>) -> Result<(), NoAsterisk> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = limits::EAR_LINE.saturating_sub(self.line.len());
            self.skips |= part.len() > room;
            self.line.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
            if part.last() == Some(&b'\n') {
                self.end_line(out)?;
            }
            // Nobody's first line is so long.
            if !self.begun && self.skips {
                return Err(NoAsterisk);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, out: &mut Vec<Message>) -> Result<(), NoAsterisk> {
        let line = std::mem::take(&mut self.line);
        let skipped = std::mem::take(&mut self.skips);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !self.begun {
            self.begun = text.starts_with("Asterisk Call Manager/");
            return if self.begun { Ok(()) } else { Err(NoAsterisk) };
        }
        if text.is_empty() && !skipped {
            let message = std::mem::take(&mut self.message);
            if !message.fields.is_empty() {
                out.push(message);
            }
        } else if !skipped
            && self.message.fields.len() < limits::EAR_FIELDS
            && let Some((name, value)) = text.split_once(':')
        {
            self.message.fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(())
    }
}

/// An order as Asterisk reads it. Line ends within a value would be further lines: they are left out.
pub fn order(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in fields {
        text.push_str(name);
        text.push_str(": ");
        text.extend(value.chars().filter(|c| !c.is_control()));
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// `Key` of a login: MD5 of challenge and secret, in hexadecimal.
pub fn key(challenge: &str, secret: &str) -> String {
    let digest = Md5::new().chain_update(challenge).chain_update(secret).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Vec<Message> {
        let (mut reader, mut out) = (Reader::default(), Vec::new());
        for part in parts {
            reader.take(part, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let text = b"Asterisk Call Manager/5.0.2\r\nResponse: Success\r\nChallenge: 843415273\r\n\r\nEvent: Newchannel\r\n\
            Exten: +442079460007\r\nChanVariable: CHANNEL(pjsip,call-id)=abc=1\r\nCallerIDName: a: b\r\nEmpty: \r\n\r\nEvent: x\r\n";
        let whole = read(&[text]);
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(read(&[left, right]), whole, "cut at {at}");
        }
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0].get("challenge"), Some("843415273"));
        assert_eq!((whole[1].get("CallerIDName"), whole[1].get("Empty")), (Some("a: b"), None));
        assert_eq!(whole[1].variable(&["CHANNEL(pjsip,call-id)"]), Some("abc=1"));
    }

    #[test]
    fn what_is_too_long_is_left_out_and_the_rest_is_read() {
        let mut text = b"Asterisk Call Manager/5.0.2\r\nEvent: One\r\nLong: ".to_vec();
        text.extend(std::iter::repeat_n(b'x', limits::EAR_LINE * 3));
        text.extend_from_slice(b"\r\nAfter: it\r\n");
        (0..limits::EAR_FIELDS * 2).for_each(|_| text.extend_from_slice(b"More: x\r\n"));
        text.extend_from_slice(b"\r\nEvent: Two\r\n\r\n");
        let read = read(&[&text]);
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].get("Long"), read[0].get("After")), (None, Some("it")));
        assert_eq!(read[0].fields.len(), limits::EAR_FIELDS);
        assert!(read[1].is_event("two"));
    }

    #[test]
    fn the_first_line_says_who_it_is() {
        for other in ["HTTP/1.1 400 Bad Request\r\n", "Content-Type: auth/request\n\n", "\n"] {
            assert_eq!(Reader::default().take(other.as_bytes(), &mut Vec::new()), Err(NoAsterisk), "{other}");
        }
        let endless = vec![b'a'; limits::EAR_LINE + 1];
        assert_eq!(Reader::default().take(&endless, &mut Vec::new()), Err(NoAsterisk));
    }

    #[test]
    fn an_order_has_no_lines_but_its_own() {
        let smuggled = order(&[("Action", "Login"), ("Secret", "a\r\n\r\nAction: Originate")]);
        assert_eq!(smuggled, b"Action: Login\r\nSecret: aAction: Originate\r\n\r\n");
    }

    #[test]
    fn the_key_is_what_others_make_of_challenge_and_secret() {
        // Python's hashlib.
        assert_eq!(key("843415273", "secret"), "142d69a579e91e42823c46e8a220a5d3");
    }
}
