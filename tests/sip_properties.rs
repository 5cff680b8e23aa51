//! What holds for every input of the SIP wire layer.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use bytes::Bytes;
use leaseline::limits;
use leaseline::wire::sip::build::Builder;
use leaseline::wire::sip::frame::{Frame, Framer};
use leaseline::wire::sip::{Malformed, Message, NameAddr, Params, Salvage, Uri, Via, escape_user, quote_display};
use proptest::prelude::*;

use common::{plain, torture};

/// Reads everything there is to read. Whatever the bytes are, nothing panics and nothing grows beyond the input.
fn read_all(bytes: &Bytes) {
    let source = "192.0.2.1:5060".parse().unwrap();
    if let Ok(message) = Message::parse(bytes.clone()) {
        let _ = (message.validate(), message.method(), message.method_token(), message.request_uri(), message.reason());
        let _ = (message.from(), message.to(), message.call_id(), message.cseq(), message.top_via());
        let _ = (message.contact(), message.max_forwards(), message.has_content_type("application/sdp"));
        assert!(message.body().len() <= bytes.len());
        assert!(message.vias().map(str::len).sum::<usize>() <= 3 * bytes.len());
        for (name, value) in message.all_headers() {
            assert!(!name.is_empty() && name.len() + value.len() < bytes.len());
            for text in message.headers(name).chain(message.list(name)) {
                read_value(text);
            }
        }
        let answer = Builder::response_to(&message, 200, None, Some("t"), source).finish().unwrap();
        assert!(answer.len() <= bytes.len() + 200, "an answer is no amplifier");
        Message::parse(answer).unwrap();
    }
    if let Some(salvage) = Salvage::read(bytes.clone()) {
        let answer = salvage.response(400, None, Some("t"), source).finish().unwrap();
        assert!(answer.len() <= bytes.len() + 200, "an answer is no amplifier");
        assert_eq!(Message::parse(answer).unwrap().status(), 400);
    }
}

fn read_value(text: &str) {
    if let Ok(address) = NameAddr::parse(text) {
        let _ = (address.tag(), address.display_text(), address.uri.user_unescaped(), address.uri.subscriber());
    }
    if let Ok(via) = Via::parse(text) {
        let _ = (via.branch(), via.param("rport"));
    }
    if let Ok(uri) = Uri::parse(text) {
        let _ = (uri.param("lr"), uri.user_unescaped());
    }
    assert!(Params::new(text).count() <= text.len() + 1);
}

#[test]
fn every_prefix_and_every_changed_byte_of_the_corpus_is_read_without_panic() {
    for (_, bytes) in torture() {
        for end in 0..bytes.len() {
            let prefix = bytes.slice(..end);
            let _ = Message::parse(prefix.clone()).map(|message| message.validate());
            if end % 7 == 0 {
                read_all(&prefix);
            }
        }
        // Bytes with a meaning of their own; the property below takes all others.
        for at in 0..bytes.len() {
            for byte in [0, b'\r', b'\n', b' ', b':', b';', b'"', b'<', 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                let _ = Message::parse(changed.into()).map(|message| message.validate());
            }
        }
    }
}

#[test]
fn the_corpus_comes_out_of_a_stream_as_it_went_in() {
    for (name, bytes) in torture() {
        let on_stream = frames(&[&bytes]);
        let message = Message::parse(bytes.clone());
        let has_length = message.as_ref().is_ok_and(|message| message.header("Content-Length").is_some());
        if has_length {
            let len = message.unwrap().bytes().len();
            let whole = on_stream.0.first().cloned();
            assert!(matches!(whole, Some(Frame::Message(m)) if bytes.starts_with(&m) && m.len() <= len), "{name}");
        }
    }
}

fn corpus() -> impl Strategy<Value = Bytes> {
    prop::sample::select(torture().into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>())
}

/// A corpus message, mangled the ways that broke parsers before.
fn mangled() -> impl Strategy<Value = Bytes> {
    let special = prop::sample::select(vec![
        "\0",
        "\r",
        "\n",
        "\r\n",
        "\r\n ",
        "<",
        ">",
        "\"",
        "\\",
        ",",
        ";",
        ":",
        "%",
        "%00",
        "@",
        "[",
        "]",
        "(",
        "0",
        "-1",
        "2147483648",
        "4294967296",
        "18446744073709551616",
        "\u{feff}",
        ";tag=",
        "SIP/2.0",
        "Via: ",
        "l: 1\r\n",
    ]);
    let change = (any::<prop::sample::Index>(), 0usize..40, special, 1usize..50);
    (corpus(), prop::collection::vec(change, 1..4)).prop_map(|(bytes, changes)| {
        let mut bytes = bytes.to_vec();
        for (at, cut, text, times) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, text.repeat(times).into_bytes());
        }
        bytes.into()
    })
}

/// All frames, and the fault when there is one, of a stream that comes in these pieces.
fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<Malformed>) {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert!(error.head.len() <= limits::SIP_HEAD);
                    assert_eq!(framer.next(), Err(error.clone()), "an error stays");
                    return (frames, Some(error.why));
                }
            }
        }
    }
    assert!(framer.buffered() <= limits::SIP_HEAD + limits::SIP_BODY + 2);
    (frames, None)
}

fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes.into());
    }

    #[test]
    fn arbitrary_text_is_read_without_panic(text in "[ -~\\t\\r\\nü]{0,200}") {
        read_value(&text);
        read_all(&Bytes::from(format!("INVITE sip:a@b SIP/2.0\r\nVia: {text}\r\nFrom: {text}\r\n\r\n")));
    }

    #[test]
    fn mangled_messages_are_read_without_panic(bytes in mangled()) {
        read_all(&bytes);
    }

    #[test]
    fn what_was_built_is_what_is_read(plain in plain(), display in "[ -~äя\\t]{0,20}", user in "\\PC{1,12}") {
        let uri = format!("sip:{}@{}:{}", escape_user(&user), plain.host, plain.port);
        let from = format!("{} <{uri}>;tag={}", quote_display(&display), plain.tag);
        let builder = match plain.status {
            0 => Builder::request(plain.method, &uri),
            status => Builder::response(status, None),
        };
        let lines = [
            ("Via", format!("SIP/2.0/TCP {}:{};branch=z9hG4bK{}", plain.host, plain.port, plain.branch)),
            ("From", from.clone()), ("To", format!("<{uri}>")), ("Call-ID", plain.call_id.clone()),
            ("CSeq", format!("{} {}", plain.cseq, plain.method)),
            ("X-Other", display.trim_matches([' ', '\t']).to_owned()),
        ];
        let builder = lines.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        let bytes = builder.body("text/plain", plain.body.as_bytes()).finish().unwrap();
        let message = Message::parse(bytes).unwrap();
        prop_assert_eq!(message.validate(), Ok(()));
        prop_assert_eq!(message.status(), plain.status);
        prop_assert_eq!(message.method_token(), plain.method);
        prop_assert_eq!(&message.body()[..], plain.body.as_bytes());
        let read: Vec<(&str, &[u8])> = message.all_headers().collect();
        let length = plain.body.len().to_string();
        let mut built: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        built.extend([("Content-Type", &b"text/plain"[..]), ("Content-Length", length.as_bytes())]);
        prop_assert_eq!(read, built, "exactly the lines that were asked for");
        let address = message.from().unwrap();
        prop_assert_eq!(address.display_text(), display.replace('\t', " "));
        prop_assert_eq!(address.uri.user_unescaped(), Some(user));
        prop_assert_eq!(address.tag(), Some(plain.tag.as_str()));
    }

    #[test]
    fn a_built_message_has_the_lines_that_were_asked_for_or_is_refused(
        name in "\\PC{0,8}|[ -~\\r\\n]{0,8}",
        value in "[\\PC\\r\\n\\t\0]{0,30}",
    ) {
        let built = Builder::request("INFO", "sip:a@b").header(&name, &value).header("X-End", "1").finish();
        if let Ok(bytes) = built {
            let message = Message::parse(bytes).unwrap();
            let lines: Vec<String> = message.all_headers().map(|(name, _)| name.to_owned()).collect();
            prop_assert_eq!(lines, [name.as_str(), "X-End", "Content-Length"]);
            prop_assert!(!value.contains(['\r', '\n', '\0']));
        }
    }

    #[test]
    fn frames_do_not_depend_on_the_cuts(
        messages in prop::collection::vec((plain(), 0usize..4), 1..4),
        junk in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..20)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut stream = Vec::new();
        for (plain, pings) in &messages {
            stream.extend_from_slice(&b"\r\n".repeat(*pings));
            stream.extend_from_slice(plain.text().as_bytes());
        }
        let clean = frames(&[&stream]);
        prop_assert_eq!(clean.1, None);
        let texts: Vec<Frame> = messages.iter().map(|(plain, _)| Frame::Message(plain.text().into())).collect();
        let read: Vec<Frame> = clean.0.iter().filter(|frame| **frame != Frame::Ping).cloned().collect();
        prop_assert_eq!(read, texts);
        let pings: usize = messages.iter().map(|(_, crlfs)| crlfs / 2).sum();
        prop_assert_eq!(clean.0.iter().filter(|f| **f == Frame::Ping).count(), pings);
        stream.extend_from_slice(&junk);
        prop_assert_eq!(frames(&cut(&stream, &cuts)), frames(&[&stream]));
    }

    #[test]
    fn broken_streams_do_not_depend_on_the_cuts(
        bytes in mangled(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = [&bytes[..], &bytes[..]].concat();
        let whole = frames(&[&stream]);
        prop_assert_eq!(&frames(&cut(&stream, &cuts)), &whole);
        let bytewise: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&frames(&bytewise), &whole);
    }

    #[test]
    fn a_stream_and_a_datagram_have_the_same_message(bytes in mangled()) {
        if let Some(Frame::Message(frame)) = frames(&[&bytes]).0.first() {
            let (on_stream, in_datagram) = (Message::parse(frame.clone()), Message::parse(bytes.clone()));
            prop_assert_eq!(on_stream.as_ref().err(), in_datagram.as_ref().err());
            if let (Ok(a), Ok(b)) = (on_stream, in_datagram) {
                prop_assert_eq!(a.body(), b.body());
                prop_assert!(b.bytes().starts_with(a.bytes()));
            }
        }
    }
}
