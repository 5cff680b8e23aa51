//! Hostile and broken messages, one rule a test. Every expectation is an exact fault or an exact value.
#![allow(clippy::unwrap_used)] // a test's way to fail

use std::fmt::Write as _;

use bytes::Bytes;
use leaseline::limits;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::{CSeq, Field, Malformed, Message, NameAddr, Salvage, Uri, Via};

/// An INVITE of these header lines and this body behind an empty line.
fn invite(lines: &[&str], body: &str) -> Vec<u8> {
    let mut text = String::from("INVITE sip:442079460000@127.0.0.1 SIP/2.0\r\n");
    for line in lines {
        write!(text, "{line}\r\n").unwrap();
    }
    write!(text, "\r\n{body}").unwrap();
    text.into_bytes()
}

const VIA: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa";
const FROM: &str = "From: <sip:a@192.0.2.1>;tag=f";
const TO: &str = "To: <sip:442079460000@127.0.0.1>";
const CALL_ID: &str = "Call-ID: c1@192.0.2.1";
const CSEQ: &str = "CSeq: 1 INVITE";
const GOOD: [&str; 5] = [VIA, FROM, TO, CALL_ID, CSEQ];

/// The good lines, the one of this header replaced.
fn with(line: &str) -> Vec<u8> {
    let name = |line: &str| line.split([':', ' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    let mut lines = GOOD.to_vec();
    match lines.iter().position(|good| name(good) == name(line)) {
        Some(at) => lines[at] = line,
        None => lines.push(line),
    }
    invite(&lines, "")
}

fn parse(bytes: impl Into<Bytes>) -> Result<Message, Malformed> {
    Message::parse(bytes.into())
}

fn verdict(bytes: impl Into<Bytes>) -> Result<Message, Malformed> {
    let message = parse(bytes)?;
    message.validate()?;
    Ok(message)
}

fn fault(bytes: impl Into<Bytes>) -> Option<Malformed> {
    verdict(bytes).err()
}

/// Name, the same name as text, what [`Message`] reads under it.
type Reader = (&'static str, &'static str, fn(&Message) -> Option<String>);

const READERS: [Reader; 8] = [
    ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa", |m| m.top_via().ok()?.branch().map(str::to_owned)),
    ("From", "<sip:a@192.0.2.1>;tag=f", |m| m.from().ok()?.tag().map(str::to_owned)),
    ("To", "<sip:b@192.0.2.1>", |m| m.to().ok().map(|to| to.uri.text.to_owned())),
    ("Call-ID", "c1@192.0.2.1", |m| m.call_id().ok().map(str::to_owned)),
    ("CSeq", "1 INVITE", |m| m.cseq().ok().map(|c| c.method.to_owned())),
    ("Max-Forwards", "70", |m| m.max_forwards().ok()?.map(|n| n.to_string())),
    ("Contact", "<sip:a@192.0.2.1>", |m| m.contact()?.ok().map(|c| c.uri.text.to_owned())),
    ("Content-Type", "application/sdp", |m| m.has_content_type("application/sdp").then(String::new)),
];

#[test]
fn a03_only_blanks_may_stand_before_the_colon() {
    for (name, value, read) in READERS {
        let upper: String = name.chars().rev().map(|c| c.to_ascii_uppercase()).rev().collect();
        let plain = read(&parse(with(&format!("{name}: {value}"))).unwrap());
        assert!(plain.is_some(), "{name}");
        for good in [format!("{name} : {value}"), format!("{name}\t \t:{value}"), format!("{upper}: {value}")] {
            assert_eq!(read(&parse(with(&good)).unwrap()), plain, "{good:?}");
        }
        for between in ["\x01", "\u{a0}", "\0", "\x0b", "\x0c", "x y", "(c)"] {
            let bytes = with(&format!("{name}{between}: {value}"));
            assert_eq!(fault(bytes), Some(Malformed::HeaderLine), "{name} {between:?}");
        }
    }
    assert_eq!(fault(with(" Route: <sip:x>")), Some(Malformed::CSeq), "it is a part of the line before");
    assert_eq!(fault(with(": no name")), Some(Malformed::HeaderLine));
    assert_eq!(fault(with("no colon")), Some(Malformed::HeaderLine));
}

#[test]
fn a04_lines_end_with_crlf() {
    let good = with("Max-Forwards: 70");
    for at in 0..good.len() {
        let cut = |with: &[u8]| [&good[..at], with, &good[at..]].concat();
        // Inside the empty line at the end there is no line left to break.
        if at < good.len() - 2 {
            for end in [&b"\n"[..], b"\r", b"\n\r"] {
                if good[..at].ends_with(b"\r") && end == b"\n\r" {
                    continue; // these are two good line ends
                }
                let got = fault(cut(end));
                assert!(matches!(got, Some(Malformed::LineEnd | Malformed::NotSip)), "{at} {end:?} {got:?}");
            }
        }
    }
    for count in [1, 2, 1_000] {
        let bytes = [b"\r\n".repeat(count), good.clone()].concat();
        assert_eq!(verdict(bytes).unwrap().bytes(), &good, "{count} line ends before the start line");
    }
    assert_eq!(fault(good[..good.len() - 2].to_vec()), Some(Malformed::HeadOpen));
    assert_eq!(fault(good[..good.len() - 1].to_vec()), Some(Malformed::HeadOpen));
    assert_eq!(fault(b"\r\n\r\n".to_vec()), Some(Malformed::HeadOpen));
    assert_eq!(fault(b"Via: x\r\nINVITE sip:a SIP/2.0\r\n\r\n".to_vec()), Some(Malformed::NotSip));
    assert_eq!(fault(b"INVITE sip:a@b SIP/2.0\r\n folded: x\r\n\r\n".to_vec()), Some(Malformed::HeaderLine));
}

#[test]
fn a04_a_fold_is_one_space() {
    for fold in ["\r\n ", "\r\n\t", " \r\n \t ", "\r\n \r\n ", "\t\r\n\t\r\n\t"] {
        let message = verdict(with(&format!("Subject:{fold}one{fold}two{fold}"))).unwrap();
        assert_eq!(message.header("subject"), Some("one two"), "{fold:?}");
    }
    assert_eq!(verdict(with("s:\r\n \r\n\t")).unwrap().header("Subject"), Some(""));
}

#[test]
fn a05_content_length_is_digits_and_stands_once() {
    let body = |line: &str| {
        let lines: Vec<&str> = GOOD.into_iter().chain(line.split('|').filter(|l| !l.is_empty())).collect();
        verdict(invite(&lines, "12345")).map(|message| message.body().len())
    };
    for (lines, expected) in [
        ("", Ok(5)),
        ("Content-Length: 5", Ok(5)),
        ("Content-Length: 0005", Ok(5)),
        ("l:5", Ok(5)),
        ("Content-Length: 3", Ok(3)),
        ("Content-Length: 0", Ok(0)),
        ("Content-Length: 6", Err(Malformed::Truncated)),
        ("Content-Length: -1", Err(Malformed::ContentLength)),
        ("Content-Length: +5", Err(Malformed::ContentLength)),
        ("Content-Length: 5 5", Err(Malformed::ContentLength)),
        ("Content-Length: 5,5", Err(Malformed::ContentLength)),
        ("Content-Length: 0x5", Err(Malformed::ContentLength)),
        ("Content-Length: ٥", Err(Malformed::ContentLength)),
        ("Content-Length:", Err(Malformed::ContentLength)),
        ("Content-Length: 5|Content-Length: 5", Err(Malformed::ContentLength)),
        ("Content-Length: 5|l: 5", Err(Malformed::ContentLength)),
        ("Content-Length: 5|Content-Length: 4", Err(Malformed::ContentLength)),
        ("Content-Length: 2147483648", Err(Malformed::BodyTooLong)),
        ("Content-Length: 4294967328", Err(Malformed::ContentLength)),
        ("Content-Length: 18446744073709551616", Err(Malformed::ContentLength)),
        ("Content-Length: 18446744073709551621", Err(Malformed::ContentLength)),
    ] {
        assert_eq!(body(lines), expected, "{lines:?}");
    }
}

#[test]
fn a06_what_is_too_long_is_refused_and_never_cut() {
    let long = |len: usize| "a".repeat(len);
    let a = long(60_000);
    for line in [
        format!("From: \"{a}\" <sip:a@b>;tag=f"),
        format!("From: <sip:{a}@b>;tag=f"),
        format!("From: <sip:a@{a}>;tag=f"),
        format!("From: <sip:a@b>;tag={a}"),
        format!("Via: SIP/2.0/UDP 192.0.2.1;branch={a}"),
        format!("Call-ID: {a}"),
        format!("CSeq: {} INVITE", "1".repeat(60_000)),
        format!("User-Agent: {a}"),
        format!("{a}: x"),
    ] {
        assert_eq!(fault(with(&line)), Some(Malformed::LineTooLong), "{:.30}", line);
        assert!(
            Salvage::read(with(&line).into()).is_none_or(|s| s.response(400, None, None, source()).finish().is_ok())
        );
    }
    for start in [format!("{a} sip:a@b SIP/2.0"), format!("INVITE sip:{a} SIP/2.0"), format!("SIP/2.0 200 {a}")] {
        assert_eq!(fault(format!("{start}\r\n\r\n")), Some(Malformed::LineTooLong), "{:.30}", start);
    }
    for (line, at_limit) in [
        (format!("From: <sip:a@b>;tag={}", long(limits::SIP_TOKEN)), true),
        (format!("From: <sip:a@b>;tag={}", long(limits::SIP_TOKEN + 1)), false),
        (format!("To: <sip:a@b>;tag={}", long(limits::SIP_TOKEN + 1)), false),
        (format!("Call-ID: {}", long(limits::SIP_TOKEN)), true),
        (format!("Call-ID: {}", long(limits::SIP_TOKEN + 1)), false),
        (format!("Via: SIP/2.0/UDP h;branch={}", long(limits::SIP_TOKEN)), true),
        (format!("Via: SIP/2.0/UDP h;branch={}", long(limits::SIP_TOKEN + 1)), false),
    ] {
        assert_eq!(fault(with(&line)), (!at_limit).then_some(Malformed::TokenTooLong), "{:.20} {}", line, line.len());
    }
    let line = |len: usize| with(&format!("X: {}", long(len - 3)));
    assert_eq!(fault(line(limits::SIP_LINE)), None);
    assert_eq!(fault(line(limits::SIP_LINE + 1)), Some(Malformed::LineTooLong));
    assert_eq!(fault(invite(&GOOD, &long(limits::SIP_BODY))), None);
    assert_eq!(fault(invite(&GOOD, &long(limits::SIP_BODY + 1))), Some(Malformed::BodyTooLong));
    assert_eq!(fault(invite(&GOOD, &long(limits::SIP_MESSAGE))), Some(Malformed::MessageTooLong));
}

#[test]
fn a07_headers_and_vias_are_counted() {
    for name in ["Via: SIP/2.0/UDP h", "Route: <sip:h>", "Accept: a/b", "Contact: <sip:h>", "Require: x", "X-A: y"] {
        let lines: Vec<&str> = GOOD.into_iter().chain(std::iter::repeat_n(name, limits::SIP_HEADERS - 5)).collect();
        let expected = name.starts_with("Via").then_some(Malformed::TooManyVias);
        assert_eq!(fault(invite(&lines, "")), expected, "{name}");
        let lines: Vec<&str> = lines.into_iter().chain([name]).collect();
        assert_eq!(fault(invite(&lines, "")), Some(Malformed::TooManyHeaders), "{name}");
        let lines: Vec<&str> = GOOD.into_iter().chain(std::iter::repeat_n(name, 3_000)).collect();
        let got = fault(invite(&lines, ""));
        assert!(matches!(got, Some(Malformed::TooManyHeaders | Malformed::HeadTooLong)), "{name} {got:?}");
    }
    let one_line = |count: usize| with(&format!("Via: {}", vec!["SIP/2.0/UDP h;branch=b"; count].join(",")));
    assert_eq!(fault(one_line(limits::SIP_VIAS)), None);
    assert_eq!(fault(one_line(limits::SIP_VIAS + 1)), Some(Malformed::TooManyVias));
}

/// A08: 60 KB of one thing, in each place where such a thing may stand: an exact verdict, in time that grows as the
/// input does. A reader that looks at everything for each byte would take minutes.
#[test]
fn a08_runs_of_one_byte_are_read_once() {
    let began = std::time::Instant::now();
    for run in
        ["<", "\"", "\\", "(", ")", ";a", ",", "%25", "\r\n ", ";", "=", ":", "@", "[", "?a&", "\"\\", "a,\"", " "]
    {
        let long = run.repeat(60_000 / run.len());
        for name in ["Via", "From", "To", "Contact", "Route", "CSeq", "Subject", "Content-Type", "Max-Forwards"] {
            assert_eq!(fault(with(&format!("{name}: {long}"))), Some(Malformed::LineTooLong), "{name} {run:?}");
            // As long as a line may be.
            let line: String = long.chars().take(limits::SIP_LINE - 40).collect();
            if let Ok(message) = parse(with(&format!("{name}: {line}"))) {
                let _ = message.validate();
                let _ = (message.list(name).count(), message.contact().map(|contact| contact.is_ok()));
                let _ = message.vias().filter(|via| Via::parse(via).is_ok()).count();
            }
        }
        // The readers themselves have no limit of their own.
        let _ = (NameAddr::parse(&long).is_ok(), Uri::parse(&format!("sip:{long}")).is_ok());
        let _ = (Via::parse(&format!("SIP/2.0/UDP h;{long}")).is_ok(), CSeq::parse(&long).is_ok());
        let _ = leaseline::wire::sip::auth::AuthValue::read(&format!("Digest {long}"));
        assert!(fault(format!("INVITE sip:{long} SIP/2.0\r\n\r\n")).is_some(), "{run:?}");
        let body = invite(&GOOD, &long[..long.len().min(limits::SIP_BODY)]);
        assert_eq!(fault(body), None, "a body is not looked at");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a09_stray_punctuation_is_no_address() {
    for text in [
        ">x<",
        "\"",
        "<sip:>",
        "sip:@",
        ";;=",
        "",
        "<>",
        "<",
        ">",
        "<sip:a@b",
        "sip:a@b>",
        "\"x\"",
        "a",
        "<sip:a@b>>",
        "<sip:a@b>x",
        "<sip:a@b>;",
        "<sip:a@b>;;x",
        "\"a\" \"b\" <sip:a@b>",
        "<sip:a@b>;x=\"",
        "<sip:a@b>;tag=1;tag=2",
        "sip:a@b?x=y",
        "sip:a@b, sip:c@d",
        "*",
    ] {
        assert!(NameAddr::parse(text).is_err(), "{text}");
        assert_eq!(fault(with(&format!("From: {text}"))), Some(Malformed::Unreadable(Field::From)), "{text}");
        assert_eq!(fault(with(&format!("To: {text}"))), Some(Malformed::Unreadable(Field::To)), "{text}");
        assert_eq!(fault(with(&format!("Reply-To: {text}"))), None, "nobody reads {text}");
    }
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP h",
        "SIP/3.0/UDP h",
        "SIP/2.0/UDP h;;x",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ::1",
        "SIP/2.0/UDP h;branch=a;branch=b",
    ] {
        assert_eq!(Via::parse(text), Err(Malformed::Via), "{text}");
    }
    let empty = ["Identity:", "Warning:", "Route:", "Accept:", "Supported:", "Subject:", "Date:", "Expires:", "Event:"];
    for line in empty {
        assert_eq!(fault(with(line)), None, "{line}");
    }
}

#[test]
fn a10_each_missing_header_has_its_name_and_an_answer_when_there_is_a_via() {
    let fields = [Field::Via, Field::From, Field::To, Field::CallId, Field::CSeq];
    for (at, field) in fields.into_iter().enumerate() {
        let mut lines = GOOD.to_vec();
        lines.remove(at);
        let bytes = invite(&lines, "");
        assert_eq!(fault(bytes.clone()), Some(Malformed::Missing(field)));
        let salvage = Salvage::read(bytes.into());
        assert_eq!(salvage.is_some(), field != Field::Via);
        let Some(salvage) = salvage else { continue };
        let answer = salvage.response(400, None, Some("t"), source()).finish().unwrap();
        let answer = parse(answer).unwrap();
        assert_eq!(answer.status(), 400);
        for (name, other) in
            [("From", Field::From), ("To", Field::To), ("Call-ID", Field::CallId), ("CSeq", Field::CSeq)]
        {
            assert_eq!(answer.header(name).is_some(), other != field, "{name} without {field}");
        }
    }
    let ack = String::from_utf8(invite(&[VIA], "")).unwrap().replace("INVITE", "ACK");
    assert!(Salvage::read(ack.into()).is_none(), "an ACK is never answered");
    assert!(Salvage::read(Bytes::from_static(b"SIP/2.0 99 x\r\nVia: SIP/2.0/UDP h\r\n\r\n")).is_none());
}

#[test]
fn a11_bytes_that_are_no_text_do_not_lose_the_call() {
    let latin = [b"From: \"J\xfcrgen\" <sip:a@192.0.2.1>;tag=f".as_slice(), b"\r\nX: \xff\xfe\x1b[2J\0\x80"].concat();
    let bytes = [
        &b"INVITE sip:1@h SIP/2.0\r\n"[..],
        VIA.as_bytes(),
        b"\r\n",
        &latin,
        b"\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
    ]
    .concat();
    let message = verdict(bytes).unwrap();
    assert_eq!(message.from().unwrap().display_text(), "J\u{fffd}rgen");
    assert_eq!(message.header("x"), Some("\u{fffd}\u{fffd}\u{1b}[2J\0\u{fffd}"));
    let answer = Builder::response_to(&message, 404, None, Some("t"), source()).finish().unwrap();
    assert!(answer.windows(8).any(|part| part == b"\"J\xfcrgen\""), "the answer has the bytes that came");
    assert!(!answer.windows(3).any(|part| part == b"[2J"), "what nobody reads does not cross");
    let right_to_left = verdict(with("From: \"\u{202e}abc\" <sip:a@h>;tag=f")).unwrap();
    assert_eq!(right_to_left.from().unwrap().display_text(), "\u{202e}abc");
}

#[test]
fn a12_the_builder_takes_no_line_end() {
    for bad in ["a\r\nEvil: x", "a\nb", "a\rb", "a\0b", "\r\n\r\n"] {
        let refused = |builder: Builder, field: &str| {
            assert_eq!(builder.finish().unwrap_err().field, field, "{bad:?}");
        };
        let request = || Builder::request("INVITE", "sip:a@b");
        refused(request().header("Subject", bad), "Subject");
        refused(request().header(bad, "x"), bad);
        refused(request().body(bad, b"x"), "Content-Type");
        refused(Builder::request(bad, "sip:a@b"), "method");
        refused(Builder::request("INVITE", bad), "Request-URI");
        refused(Builder::response(200, Some(bad)), "reason phrase");
        let message = verdict(invite(&GOOD, "")).unwrap();
        refused(Builder::response_to(&message, 200, None, Some(bad), source()), "To tag");
    }
    for uri in ["sip:a b@c", "sip:a@b SIP/2.0", "", "sip:ü@b"] {
        assert_eq!(Builder::request("INVITE", uri).finish().unwrap_err().field, "Request-URI", "{uri}");
    }
    let field = Builder::request("INVITE", "sip:a@b").header("l", "7").finish().unwrap_err().field;
    assert_eq!(field, "l", "the length is the builder's own");
    // `%0d%0a` stays escaped as long as it is a URI, and a name made of it is refused.
    let uri = Uri::parse("sip:%0d%0aEvil@b").unwrap();
    let user = uri.user_unescaped().unwrap();
    assert_eq!(user, "\r\nEvil");
    assert!(Builder::request("INVITE", uri.text).header("X", &user).finish().is_err());
    assert_eq!(leaseline::wire::sip::escape_user(&user), "%0D%0AEvil");
}

#[test]
fn a14_long_and_compact_forms_are_one_header() {
    for (line, field) in [
        ("i: c2", Field::CallId),
        ("Call-ID: c1@192.0.2.1", Field::CallId),
        ("f: <sip:a@192.0.2.1>;tag=f", Field::From),
        ("t: <sip:x@h>", Field::To),
    ] {
        let lines: Vec<&str> = GOOD.into_iter().chain([line]).collect();
        assert_eq!(fault(invite(&lines, "")), Some(Malformed::Repeated(field)), "{line}");
    }
    let twice = |line: &str, again: &str| {
        let lines: Vec<&str> = GOOD.into_iter().chain([line, again]).collect();
        fault(invite(&lines, ""))
    };
    assert_eq!(twice("Content-Type: a/b", "c: a/b"), Some(Malformed::Repeated(Field::ContentType)));
    assert_eq!(twice("Session-Expires: 90", "x: 1800"), Some(Malformed::Repeated(Field::SessionExpires)));
    assert_eq!(twice("Max-Forwards: 70", "max-forwards: 69"), Some(Malformed::Repeated(Field::MaxForwards)));
    let lines: Vec<&str> = ["v: SIP/2.0/UDP h1;branch=z9hG4bK0, SIP/2.0/UDP h2"]
        .into_iter()
        .chain(GOOD)
        .chain(["m: <sip:a@h>, \"b,c\" <sip:d,e@h>", "Contact: <sip:f@h>"])
        .collect();
    let message = verdict(invite(&lines, "")).unwrap();
    let hosts: Vec<&str> = message.vias().map(|via| Via::parse(via).unwrap().host).collect();
    assert_eq!(hosts, ["h1", "h2", "192.0.2.1"]);
    assert_eq!(message.list("Contact").collect::<Vec<_>>(), ["<sip:a@h>", "\"b,c\" <sip:d,e@h>", "<sip:f@h>"]);
}

#[test]
fn a15_numbers_have_their_range() {
    for (text, expected) in [
        ("0 INVITE", Some(0)),
        ("2147483647 INVITE", Some(2_147_483_647)),
        ("0000000000000000001 INVITE", Some(1)),
        ("2147483648 INVITE", None),
        ("4294967296 INVITE", None),
        ("-1 INVITE", None),
        ("+1 INVITE", None),
        ("1INVITE", None),
        ("1", None),
        ("INVITE", None),
        ("1 INVITE x", None),
        ("1 IN/VITE", None),
    ] {
        assert_eq!(CSeq::parse(text).ok().map(|cseq| cseq.number), expected, "{text}");
        assert_eq!(fault(with(&format!("CSeq: {text}"))), expected.is_none().then_some(Malformed::CSeq), "{text}");
    }
    for (text, expected) in
        [("0", Some(0)), ("0068", Some(68)), ("255", Some(255)), ("256", None), ("-1", None), ("x", None), ("", None)]
    {
        let bytes = with(&format!("Max-Forwards: {text}"));
        assert_eq!(parse(bytes.clone()).unwrap().max_forwards().ok().flatten(), expected, "{text}");
        assert_eq!(fault(bytes), expected.is_none().then_some(Malformed::Unreadable(Field::MaxForwards)), "{text}");
    }
    assert_eq!(parse(with("X: y")).unwrap().max_forwards(), Ok(None));
    for text in ["0", "4294967296", "18446744073709551616"] {
        for name in ["Expires", "Session-Expires", "Min-SE", "Retry-After", "RSeq"] {
            assert_eq!(fault(with(&format!("{name}: {text}"))), None, "{name} is read by who needs it");
        }
    }
}

#[test]
fn a17_other_protocols_are_not_sip() {
    for bytes in [
        &b"\0\0\0\0"[..],
        b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x80\x00\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78",
    ] {
        assert!(fault(bytes.to_vec()).is_some());
        assert!(Salvage::read(Bytes::copy_from_slice(bytes)).is_none());
    }
    let http = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    assert_eq!(fault(http.clone()), Some(Malformed::NotSip));
    assert!(Salvage::read(http.into()).is_none());
    assert_eq!(fault(Vec::new()), Some(Malformed::HeadOpen));
}

#[test]
fn a18_the_via_of_an_answer_says_where_the_packet_came_from() {
    for (via, source, expected) in [
        ("h;branch=z", "192.0.2.1:5060", "h;branch=z;received=192.0.2.1"),
        ("192.0.2.1;branch=z", "192.0.2.1:7000", "192.0.2.1;branch=z"),
        ("192.0.2.1;branch=z;rport", "192.0.2.1:7000", "192.0.2.1;branch=z;rport=7000;received=192.0.2.1"),
        ("h;rport=1;received=203.0.113.5;branch=z", "192.0.2.1:7000", "h;rport=7000;branch=z;received=192.0.2.1"),
        ("h ; RPort ;branch = z", "[::ffff:192.0.2.1]:7", "h;rport=7;branch = z;received=192.0.2.1"),
        ("[2001:db8::1]:5070;branch=z", "[2001:db8::1]:9", "[2001:db8::1]:5070;branch=z"),
        ("[2001:db8::1];branch=z", "[2001:db8::2]:9", "[2001:db8::1];branch=z;received=2001:db8::2"),
        ("[2001:DB8:0::1];branch=z", "[2001:db8::1]:9", "[2001:DB8:0::1];branch=z"),
        ("h;branch=z, SIP/2.0/UDP k;rport", "192.0.2.1:7", "h;branch=z;received=192.0.2.1, SIP/2.0/UDP k;rport"),
    ] {
        let message = verdict(with(&format!("Via: SIP/2.0/UDP {via}"))).unwrap();
        let answer = Builder::response_to(&message, 100, None, None, source.parse().unwrap()).finish().unwrap();
        let answer = parse(answer).unwrap();
        assert_eq!(answer.header("via"), Some(format!("SIP/2.0/UDP {expected}").as_str()), "{via}");
    }
}

fn source() -> std::net::SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}
