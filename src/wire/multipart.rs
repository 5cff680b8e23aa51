//! Multipart bodies (RFC 2046 §5.1, RFC 5621): reading the first part of a wanted type, and writing.

use bytes::Bytes;

/// Parts looked at, over all levels.
const PARTS: usize = 16;
/// Levels of nesting looked into.
const DEPTH: usize = 2;
/// RFC 2046 §5.1.1.
const BOUNDARY: usize = 70;

/// The first part of `media_type` in a `multipart/…` body. `content_type` is the body's own header value.
pub fn find(content_type: &str, body: &Bytes, media_type: &str) -> Option<Bytes> {
    let mut parts = PARTS;
    search(content_type, body, media_type, DEPTH, &mut parts)
}

/// One part to write.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub content_type: &'a str,
    /// Content-Disposition (RFC 3261 §20.11); `None`: the type's own.
    pub disposition: Option<&'a str>,
    pub content: &'a [u8],
}

/// A body of these parts. `boundary` is the caller's, and must stand in no content.
pub fn write(boundary: &str, parts: &[Part<'_>]) -> Bytes {
    let mut body = Vec::with_capacity(parts.iter().map(|part| part.content.len() + 160).sum());
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Type: {}\r\n", part.content_type).as_bytes());
        if let Some(disposition) = part.disposition {
            body.extend_from_slice(format!("Content-Disposition: {disposition}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Bytes::from(body)
}

fn search(content_type: &str, body: &Bytes, wanted: &str, depth: usize, budget: &mut usize) -> Option<Bytes> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("--{boundary}");
    let mut sections = split(body, delimiter.as_bytes());
    // What stands before the first delimiter is a preamble.
    sections.next()?;
    for section in sections {
        if *budget == 0 || section.starts_with(b"--") {
            return None;
        }
        *budget -= 1;
        let Some((head, content)) = split_head(section) else { continue };
        let part_type = part_type(head).unwrap_or("text/plain");
        let content = body.slice_ref(content);
        if is_type(part_type, wanted) {
            return Some(content);
        }
        if depth > 1
            && let Some(found) = search(part_type, &content, wanted, depth - 1, budget)
        {
            return Some(found);
        }
    }
    None
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, params) = content_type.split_once(';')?;
    if !kind.trim().get(..10)?.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let value = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (1..=BOUNDARY).contains(&value.len()).then_some(value)
}

fn is_type(content_type: &str, wanted: &str) -> bool {
    content_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wanted)
}

/// Sections between delimiter lines; each begins right after the delimiter.
fn split<'a>(body: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let section = rest?;
        let mut from = 0;
        while let Some(found) = section.get(from..).and_then(|tail| find_bytes(tail, delimiter)) {
            let at = from + found;
            let at_line_start = at == 0 || section.get(at - 1) == Some(&b'\n');
            if at_line_start {
                rest = section.get(at + delimiter.len()..);
                return section.get(..at);
            }
            from = at + 1;
        }
        rest = None;
        Some(section)
    })
}

fn find_bytes(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Header lines and content of one section; the line end before the next delimiter belongs to the delimiter.
fn split_head(section: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = find_bytes(section, b"\r\n")? + 2;
    let section = section.get(start..)?;
    let (head, content) = if section.starts_with(b"\r\n") {
        (&section[..0], section.get(2..)?)
    } else {
        let end = find_bytes(section, b"\r\n\r\n")?;
        (section.get(..end)?, section.get(end + 4..)?)
    };
    Some((head, content.strip_suffix(b"\r\n").unwrap_or(content)))
}

fn part_type(head: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        (name.eq_ignore_ascii_case("Content-Type") || name.eq_ignore_ascii_case("c")).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp_in(content_type: &str, body: &str) -> Option<String> {
        find(content_type, &Bytes::from(body.to_owned()), "application/sdp")
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn finds_the_description_behind_an_isup_part() {
        let body = "preamble\r\n--x\r\nContent-Type: application/ISUP;version=itu\r\n\r\n\u{1}\u{2}--x\r\n\
            --x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--x--\r\n";
        assert_eq!(sdp_in("multipart/mixed; boundary=x", body).as_deref(), Some("v=0\r\n"));
        assert_eq!(sdp_in("multipart/mixed;boundary=\"x\"", body).as_deref(), Some("v=0\r\n"));
    }

    #[test]
    fn refuses_what_is_not_multipart_or_has_no_end() {
        assert_eq!(sdp_in("application/sdp", "v=0"), None);
        assert_eq!(sdp_in("multipart/mixed", "--\r\n\r\nv=0"), None);
        assert_eq!(sdp_in("multipart/mixed;boundary=", "----\r\n"), None);
        assert_eq!(sdp_in(&format!("multipart/mixed;boundary={}", "b".repeat(71)), "x"), None);
        assert_eq!(sdp_in("multipart/mixed;boundary=x", "--x--\r\nContent-Type: application/sdp\r\n\r\nv=0"), None);
    }

    #[test]
    fn looks_two_levels_deep_and_at_sixteen_parts() {
        let inner = "--y\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--y--";
        let two = format!("--x\r\nContent-Type: multipart/alternative;boundary=y\r\n\r\n{inner}\r\n--x--");
        assert_eq!(sdp_in("multipart/mixed;boundary=x", &two).as_deref(), Some("v=0"));
        let three = format!("--z\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n{two}\r\n--z--");
        assert_eq!(sdp_in("multipart/mixed;boundary=z", &three), None);
        let many = format!("{}--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--", "--x\r\n\r\na\r\n".repeat(16));
        assert_eq!(sdp_in("multipart/mixed;boundary=x", &many), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        let parts = [
            Part { content_type: "application/sdp", disposition: None, content: b"v=0\r\n" },
            Part {
                content_type: "application/rs-metadata+xml",
                disposition: Some("recording-session"),
                content: b"<recording/>",
            },
        ];
        let body = write("x-1", &parts);
        for part in parts {
            let found = find("multipart/mixed;boundary=x-1", &body, part.content_type);
            assert_eq!(found.as_deref(), Some(part.content));
        }
        assert!(body.ends_with(b"\r\n--x-1--\r\n"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(0u8..=255, 0..200), boundary in "[-xy]{0,4}") {
            let _ = find(&format!("multipart/mixed;boundary={boundary}"), &Bytes::from(body), "application/sdp");
        }
    }
}
