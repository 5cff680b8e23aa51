//! Our reader against two others: `sipx-sip` on all torture messages, and `rsip` on the plain messages that it reads
//! right. Where they differ, the difference stands here with its reason.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use bytes::Bytes;
use leaseline::wire::sip::{Message, NameAddr, Uri, Via};
use proptest::prelude::*;
use sipx_sip::headers::Address;

use common::{Plain, plain, torture};

/// Messages that only one of us takes: (name, we take it, reason).
const TAKEN_BY_ONE: &[(&str, bool, &str)] = &[
    ("/badbranch", false, "the cookie alone identifies no transaction; sipx leaves that to its transaction layer"),
    ("/inv2543", true, "RFC 2543 had no Max-Forwards; a request without it is taken as 70 (RFC 3261 §16.6)"),
];

/// Messages that both take and read differently: (name, fields, reason).
const READ_DIFFERENTLY: &[(&str, &[&str], &str)] = &[
    ("/ipv6-bug-abnf-3-colons", &["to"], "sipx prints the address in its own form, we keep the text"),
    ("/ipv6-correct-abnf-2-colons", &["to"], "sipx prints the address in its own form, we keep the text"),
];

#[test]
fn sipx_and_we_take_the_same_torture_messages() {
    let mut differences = Vec::new();
    for (name, bytes) in torture() {
        let (ours, theirs) = (take(&bytes).is_some(), take_sipx(&bytes).is_some());
        let listed = TAKEN_BY_ONE.iter().find(|(listed, _, _)| name.ends_with(listed)).map(|(_, we, _)| *we);
        if listed != (ours != theirs).then_some(ours) {
            differences.push(format!("{name}: we {ours}, sipx {theirs}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn sipx_and_we_read_the_same_fields() {
    let mut differences = Vec::new();
    for (name, bytes) in torture() {
        let (Some(ours), Some(theirs)) = (take(&bytes), take_sipx(&bytes)) else { continue };
        let (ours, theirs) = (fields(&ours), sipx_fields(&theirs));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let listed = READ_DIFFERENTLY.iter().find(|(listed, _, _)| name.ends_with(listed)).map_or(&[][..], |l| l.1);
        for ((field, a), (_, b)) in ours.into_iter().zip(theirs) {
            if (a != b) != listed.contains(&field) {
                differences.push(format!("{name} {field}:\n    we   {a}\n    sipx {b}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

proptest! {
    #[test]
    fn all_three_read_plain_messages_alike(plain in plain()) {
        let bytes = Bytes::from(plain.text());
        let ours = take(&bytes).expect("a plain message");
        let theirs = take_sipx(&bytes).expect("a plain message");
        prop_assert_eq!(fields(&ours), sipx_fields(&theirs));
        rsip_agrees(&plain, &ours, &bytes);
    }
}

fn take(bytes: &Bytes) -> Option<Message> {
    let message = Message::parse(bytes.clone()).ok()?;
    message.validate().ok()?;
    Some(message)
}

fn take_sipx(bytes: &Bytes) -> Option<sipx_sip::Message> {
    let message = sipx_sip::parse_datagram(bytes.clone(), &sipx_sip::Limits::datagram()).ok()?;
    sipx_sip::validate(&message).is_empty().then_some(message)
}

type Fields = Vec<(&'static str, String)>;

fn fields(message: &Message) -> Fields {
    let address = |value: &NameAddr<'_>| {
        format!("{:?} {:?} {} tag {:?}", value.display_text(), value.uri.text, parts(&value.uri), value.tag())
    };
    let via = |value: &str| match Via::parse(value) {
        Ok(v) => format!("{} {} {:?} {:?}", v.transport, v.host, v.port, v.branch()),
        Err(_) => "bad".to_owned(),
    };
    let contact = |value: &str| NameAddr::parse(value).map_or("bad".to_owned(), |c| address(&c));
    vec![
        ("method", if message.is_request() { message.method_token().to_owned() } else { String::new() }),
        ("uri", message.request_uri().to_owned()),
        ("status", message.status().to_string()),
        ("reason", message.reason().into_owned()),
        ("from", address(&message.from().unwrap())),
        ("to", address(&message.to().unwrap())),
        ("call_id", message.call_id().unwrap().to_owned()),
        ("cseq", format!("{} {}", message.cseq().unwrap().number, message.cseq().unwrap().method)),
        ("max_forwards", format!("{:?}", message.max_forwards().ok().flatten())),
        ("vias", message.vias().map(via).collect::<Vec<_>>().join(", ")),
        ("contacts", message.list("Contact").map(contact).collect::<Vec<_>>().join(", ")),
        ("body", message.body().escape_ascii().to_string()),
    ]
}

fn sipx_fields(message: &sipx_sip::Message) -> Fields {
    use sipx_sip::headers::{CSeq, CallId, Contact, From, MaxForwards, To, Via};
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let address = |value: &Address| {
        let display = text(value.display_name.as_deref().unwrap_or_default());
        let uri = text(&value.uri.to_bytes());
        let split = sipx_parts(&value.uri);
        format!("{display:?} {uri:?} {split} tag {:?}", value.tag().map(text))
    };
    let via = |v: &Via| {
        let host = text(&v.host.to_bytes()).trim_matches(['[', ']']).to_owned();
        format!("{} {host} {:?} {:?}", text(&v.transport), v.port, v.branch().map(text))
    };
    let headers = message.headers();
    let contact = |c: Result<Contact, _>| c.map_or("bad".to_owned(), |c| address(&c.0));
    let cseq = headers.typed::<CSeq>().unwrap().unwrap();
    let request = message.as_request();
    let response = message.as_response();
    vec![
        ("method", request.map_or(String::new(), |r| text(r.method.as_bytes()))),
        ("uri", request.map_or(String::new(), |r| text(&r.uri.to_bytes()))),
        ("status", response.map_or(0, |r| r.status.code()).to_string()),
        ("reason", response.map_or(String::new(), |r| text(&r.reason))),
        ("from", address(&headers.typed::<From>().unwrap().unwrap().0)),
        ("to", address(&headers.typed::<To>().unwrap().unwrap().0)),
        ("call_id", text(&headers.typed::<CallId>().unwrap().unwrap().0)),
        ("cseq", format!("{} {}", cseq.sequence, text(cseq.method.as_bytes()))),
        ("max_forwards", format!("{:?}", headers.typed::<MaxForwards>().and_then(Result::ok).map(|m| m.0))),
        (
            "vias",
            headers.typed_all::<Via>().map(|v| v.map_or("bad".to_owned(), |v| via(&v))).collect::<Vec<_>>().join(", "),
        ),
        ("contacts", headers.typed_all::<Contact>().map(contact).collect::<Vec<_>>().join(", ")),
        ("body", message.body().escape_ascii().to_string()),
    ]
}

/// Bracketed hosts come with brackets from the one and without from the other: without here.
fn parts(uri: &Uri<'_>) -> String {
    if uri.is_sip() { format!("{:?} {} {:?}", uri.user.unwrap_or_default(), uri.host, uri.port) } else { String::new() }
}

fn sipx_parts(uri: &sipx_sip::Uri) -> String {
    if uri.host().is_none() {
        return String::new();
    }
    let user = String::from_utf8_lossy(uri.user().unwrap_or_default());
    let host = uri.host().map(|h| h.to_bytes()).unwrap_or_default();
    format!("{user:?} {} {:?}", String::from_utf8_lossy(&host).trim_matches(['[', ']']), uri.port())
}

fn rsip_agrees(plain: &Plain, ours: &Message, bytes: &Bytes) {
    use rsip::prelude::*;
    let theirs = rsip::SipMessage::try_from(bytes.as_ref()).unwrap();
    let from = theirs.from_header().unwrap().typed().unwrap();
    let our_from = ours.from().unwrap();
    assert_eq!(from.uri.auth.map(|a| a.user).as_deref(), our_from.uri.user, "{plain:?}");
    assert_eq!(from.uri.host_with_port.host.to_string(), our_from.uri.host);
    assert_eq!(
        from.params
            .iter()
            .find_map(|p| match p {
                rsip::Param::Tag(tag) => Some(tag.value().to_owned()),
                _ => None,
            })
            .as_deref(),
        our_from.tag()
    );
    let via = theirs.via_header().unwrap().typed().unwrap();
    let our_via = ours.top_via().unwrap();
    assert_eq!(via.uri.host_with_port.host.to_string(), our_via.host);
    assert_eq!(via.branch().map(|b| b.value().to_owned()).as_deref(), our_via.branch());
    assert_eq!(theirs.call_id_header().unwrap().value(), ours.call_id().unwrap());
    let cseq = theirs.cseq_header().unwrap().typed().unwrap();
    assert_eq!((cseq.seq, Some(cseq.method)), (ours.cseq().unwrap().number, ours.method()));
    assert_eq!(theirs.body(), &ours.body()[..]);
}
