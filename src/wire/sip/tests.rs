use bytes::Bytes;

use super::build::Builder;
use super::*;

const INVITE: &str = "INVITE sip:+442079460000@10.0.0.1;user=phone SIP/2.0\r\n\
    v: SIP/2.0/UDP 10.0.0.2:5062;branch=z9hG4bKa;rport, SIP/2.0/TCP [::1] ; branch=x\r\n\
    f: \"A \\\"B\\\"\" <sip:+15550100@10.0.0.2>;tag=f1\r\nTo : <sip:+442079460000@10.0.0.1>\r\n\
    i: abc@10.0.0.2\r\nCSeq: 1\r\n  INVITE\r\nMax-Forwards: 70\r\nm: <sip:a@10.0.0.2:5062>\r\n\
    X-Other: one\r\nx-other: two\r\nc: application/sdp;charset=utf-8\r\nl: 5\r\n\r\nv=0\r\nignored";

fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn an_invite_is_read() {
    let message = parse(INVITE).unwrap();
    message.validate().unwrap();
    assert!(message.is_request());
    assert_eq!(message.method(), Some(rsip::Method::Invite));
    assert_eq!(message.request_uri(), "sip:+442079460000@10.0.0.1;user=phone");
    assert_eq!(message.vias().collect::<Vec<_>>().len(), 2);
    let via = message.top_via().unwrap();
    assert_eq!((via.transport, via.host, via.port, via.branch()), ("UDP", "10.0.0.2", Some(5062), Some("z9hG4bKa")));
    assert_eq!(via.param("rport"), Some(""));
    let from = message.from().unwrap();
    assert_eq!((from.display_text().as_str(), from.tag()), ("A \"B\"", Some("f1")));
    assert_eq!(from.uri.user, Some("+15550100"));
    assert_eq!(message.to().unwrap().tag(), None);
    assert_eq!(message.call_id(), Ok("abc@10.0.0.2"));
    assert_eq!(message.cseq(), Ok(CSeq { number: 1, method: "INVITE" }));
    assert_eq!(message.max_forwards(), Ok(Some(70)));
    assert_eq!(message.contact().unwrap().unwrap().uri.port, Some(5062));
    assert_eq!(message.headers("X-OTHER").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(message.header("Route"), None);
    assert!(message.has_content_type("Application/SDP"));
    assert_eq!(&message.body()[..], b"v=0\r\n");
}

#[test]
fn a_response_copies_and_fills_the_top_via() {
    let message = parse(INVITE).unwrap();
    let source = "192.0.2.9:4444".parse().unwrap();
    let bytes = Builder::response_to(&message, 404, None, Some("t1"), source).finish().unwrap();
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        "SIP/2.0 404 Not Found\r\n\
         Via: SIP/2.0/UDP 10.0.0.2:5062;branch=z9hG4bKa;rport=4444;received=192.0.2.9, SIP/2.0/TCP [::1] ; branch=x\r\n\
         From: \"A \\\"B\\\"\" <sip:+15550100@10.0.0.2>;tag=f1\r\n\
         To: <sip:+442079460000@10.0.0.1>;tag=t1\r\nCall-ID: abc@10.0.0.2\r\nCSeq: 1 INVITE\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let response = Message::parse(bytes).unwrap();
    response.validate().unwrap();
    assert_eq!((response.status(), &*response.reason(), response.method_token()), (404, "Not Found", "INVITE"));
}

#[test]
fn uris_are_split_as_the_grammar_says() {
    // scheme, user, host, port, params, headers, opaque
    type Parts<'a> = (&'a str, Option<&'a str>, &'a str, Option<u16>, &'a str, &'a str, &'a str);
    let table: &[(&str, Parts<'_>)] = &[
        ("sip:h", ("sip", None, "h", None, "", "", "")),
        ("SIPS:a@h:5061", ("SIPS", Some("a"), "h", Some(5061), "", "", "")),
        ("sip:first.last@b.com", ("sip", Some("first.last"), "b.com", None, "", "", "")),
        ("sip:a:secret@h;lr?x=y&z=", ("sip", Some("a"), "h", None, "lr", "x=y&z=", "")),
        ("sip:u;par=u%40x@h", ("sip", Some("u;par=u%40x"), "h", None, "", "", "")),
        (
            "sip:+1;phone-context=+44@h;user=phone",
            ("sip", Some("+1;phone-context=+44"), "h", None, "user=phone", "", ""),
        ),
        ("sip:[2001:db8::10:5070]", ("sip", None, "2001:db8::10:5070", None, "", "", "")),
        (
            "sip:a@[::ffff:192.0.2.1]:5070;transport=tcp",
            ("sip", Some("a"), "::ffff:192.0.2.1", Some(5070), "transport=tcp", "", ""),
        ),
        ("sip:*31#0201@h", ("sip", Some("*31#0201"), "h", None, "", "", "")),
        ("tel:+44-20-7946(0000);ext=1", ("tel", None, "", None, "ext=1", "", "+44-20-7946(0000)")),
        ("tel:7042;phone-context=example.com", ("tel", None, "", None, "phone-context=example.com", "", "7042")),
        ("urn:service:sos", ("urn", None, "", None, "", "", "service:sos")),
    ];
    for (text, parts) in table {
        let uri = Uri::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!((uri.scheme, uri.user, uri.host, uri.port, uri.params, uri.headers, uri.opaque), *parts, "{text}");
    }
    for text in [
        "",
        ":",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:5 0",
        "sip:2001:db8::10",
        "sip:[::1",
        "sip:[zz]",
        "sip:a@h;",
        "sip:a@h;;lr",
        "sip:a@h?",
        "sip:a b@h",
        "sip:%4@h",
        "sip:%zz@h",
        "sip:a@b@h",
        "<sip:h>",
        "1sip:h",
        "tel:",
        "tel:+",
        "tel:+12x",
        "tel:+12;",
        "sip:ü@h",
        "sip:h/x",
        "urn:",
    ] {
        assert_eq!(Uri::parse(text), Err(Malformed::Uri), "{text}");
    }
    let uri = Uri::parse("sip:%2B1%3b@h;%6C%72;X=%20").unwrap();
    assert_eq!(
        (uri.user_unescaped().as_deref(), uri.param("lr"), uri.param("x")),
        (Some("+1;"), Some(""), Some("%20"))
    );
    let dialled = |text: &str| Uri::parse(text).unwrap().subscriber();
    assert_eq!(dialled("sip:+1555;phone-context=x@h").as_deref(), Some("+1555"));
    assert_eq!(dialled("tel:+1-555;ext=1").as_deref(), Some("+1-555"));
    assert_eq!(dialled("sip:h"), None);
}

#[test]
fn a_stream_ends_at_what_cannot_be_followed() {
    use super::frame::{Frame, Framer};
    let first = |bytes: &str| {
        let mut framer = Framer::new();
        framer.push(bytes.as_bytes());
        framer.next().map_err(|error| error.why)
    };
    let head = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n";
    let message = |rest: &str| Ok(Some(Frame::Message(Bytes::from(format!("{head}{rest}")))));
    for (rest, expected) in [
        ("Content-Length: 0\r\n\r\n", message("Content-Length: 0\r\n\r\n")),
        ("l : \r\n 2\r\n\r\nab", message("l : \r\n 2\r\n\r\nab")),
        ("l: 2\r\n\r\nabc", message("l: 2\r\n\r\nab")),
        ("l: 2\r\n\r\na", Ok(None)),
        ("l: 2\r\n\r", Ok(None)),
        ("\r\n", Err(Malformed::NoContentLength)),
        ("l: x\r\n\r\n", Err(Malformed::ContentLength)),
        ("l: 0\r\nContent-Length: 0\r\n\r\n", Err(Malformed::ContentLength)),
        ("l: 32769\r\n\r\n", Err(Malformed::BodyTooLong)),
        ("Content-Length\x01: 0\r\n\r\n", Err(Malformed::HeaderLine)),
        ("X: a\nl: 0\r\n\r\n", Err(Malformed::LineEnd)),
    ] {
        assert_eq!(first(&format!("{head}{rest}")), expected, "{rest:?}");
    }
    assert_eq!(first("\r\n\r\n"), Ok(Some(Frame::Ping)));
    assert_eq!(first("\r\n"), Ok(None));
    let mut awaiting = Framer::new();
    awaiting.expect_pong();
    awaiting.push(b"\r\n\r\n\r\n");
    let frames = [(); 3].map(|()| awaiting.next());
    assert_eq!(frames, [Ok(Some(Frame::Pong)), Ok(Some(Frame::Ping)), Ok(None)]);
    for junk in ["GET / HTTP/1.1\r\nHost: h\r\n", "\x16\x03\x01", "junk\r\nmore", "\rx", " INVITE"] {
        assert_eq!(first(junk), Err(Malformed::NotSip), "{junk:?}");
    }
    assert_eq!(first(&"a".repeat(9_000)), Err(Malformed::LineTooLong));
    assert_eq!(first(&format!("{head}{}", "X: y\r\n".repeat(4_000))), Err(Malformed::HeadTooLong));
}
