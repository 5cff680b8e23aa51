//! Bytes of FreeSWITCH's event socket → frames, and its orders → bytes.
//!
//! A frame is a run of `Name: value` lines up to an empty one; with `Content-Length`, a body of so many bytes follows. What
//! exceeds the bounds is left out, as in [`super::ami`].

use crate::limits;

/// One frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    fields: Vec<(String, String)>,
    /// Empty, too, when it was longer than is read.
    pub body: Vec<u8>,
}

impl Frame {
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields.next().map(|(_, value)| value.as_str())
    }

    pub fn kind(&self) -> &str {
        self.get("Content-Type").unwrap_or_default()
    }
}

/// The side that reads.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    skips: bool,
    frame: Frame,
    /// Bytes of the body that are yet to come.
    left: u64,
    /// The body is too long to be read.
    skips_body: bool,
}

impl Reader {
    /// Takes bytes as they come; whole frames go to `out`.
    pub fn take(&mut self, mut bytes: &[u8], out: &mut Vec<Frame>) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (body, rest) = bytes.split_at(take);
                if !self.skips_body {
                    self.frame.body.extend_from_slice(body);
                }
                self.left -= take as u64;
                bytes = rest;
                if self.left == 0 {
                    self.end_frame(out);
                }
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            let (part, rest) = bytes.split_at(end);
            bytes = rest;
            let room = limits::EAR_LINE.saturating_sub(self.line.len());
            self.skips |= part.len() > room;
            self.line.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
            if part.last() == Some(&b'\n') {
                self.end_line(out);
            }
        }
    }

    fn end_line(&mut self, out: &mut Vec<Frame>) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skips) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            self.left = self.frame.get("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.skips_body = self.left > limits::EAR_BODY as u64;
            if self.left == 0 && !self.frame.fields.is_empty() {
                self.end_frame(out);
            }
        } else if self.frame.fields.len() < limits::EAR_FIELDS
            && let Some((name, value)) = text.split_once(':')
        {
            self.frame.fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }

    fn end_frame(&mut self, out: &mut Vec<Frame>) {
        self.skips_body = false;
        out.push(std::mem::take(&mut self.frame));
    }
}

/// An order as FreeSWITCH reads it: one line. A line end within it would begin another order: it is left out.
pub fn order(text: &str) -> Vec<u8> {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("{line}\n\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let text = b"Content-Type: auth/request\n\nContent-Length: 13\nContent-Type: text/event-json\n\n{\"a\":\"\\n\\n\"}\n\n\
            Content-Type: command/reply\nReply-Text: +OK accepted\n\n\n\n";
        let read = |cut: usize| {
            let (mut reader, mut out) = (Reader::default(), Vec::new());
            let (left, right) = text.split_at(cut);
            reader.take(left, &mut out);
            reader.take(right, &mut out);
            out
        };
        let whole = read(0);
        (0..text.len()).for_each(|cut| assert_eq!(read(cut), whole, "cut at {cut}"));
        let kinds: Vec<&str> = whole.iter().map(Frame::kind).collect();
        assert_eq!(kinds, ["auth/request", "text/event-json", "command/reply"]);
        assert_eq!(whole[2].get("reply-text"), Some("+OK accepted"));
    }

    #[test]
    fn what_is_too_long_is_left_out_and_the_rest_is_read() {
        let (mut reader, mut out) = (Reader::default(), Vec::new());
        let body = limits::EAR_BODY + 1;
        reader.take(format!("Content-Type: api/response\nContent-Length: {body}\n\n").as_bytes(), &mut out);
        let chunk = vec![b'x'; 64 * 1024];
        let mut left = body;
        while left > 0 {
            reader.take(&chunk[..left.min(chunk.len())], &mut out);
            left -= left.min(chunk.len());
        }
        let mut long = vec![b'y'; limits::EAR_LINE * 2];
        long.push(b'\n');
        reader.take(&long, &mut out);
        reader.take(b"Content-Type: command/reply\n\n", &mut out);
        assert_eq!(out.len(), 2);
        assert_eq!((out[0].kind(), out[0].body.len()), ("api/response", 0));
        assert_eq!(out[1].kind(), "command/reply");
        assert_eq!(order("auth a\n\nexit"), b"auth aexit\n\n");
    }
}
