//! RFC 4475 and RFC 5118: what the wire layer makes of each torture message. The verdicts are in snapshots; a changed
//! line there is a changed behaviour on the wire.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use leaseline::wire::sip::{Malformed, Message, Salvage};

use common::torture;

#[test]
fn every_message_has_its_verdict() {
    let mut table = String::new();
    for (name, bytes) in torture() {
        writeln!(table, "{name:<38} {}", verdict(&bytes)).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_bad_request_is_answered_with_what_could_be_read_of_it() {
    let mut answers = String::new();
    for (name, bytes) in torture() {
        let Some((fault, salvage)) = fault(&bytes).and_then(|fault| Some((fault, Salvage::read(bytes)?))) else {
            continue;
        };
        let answer = salvage.response(fault.status(), None, Some("ours"), source()).finish().unwrap();
        let read = Message::parse(answer.clone()).unwrap();
        assert_eq!(read.status(), fault.status(), "{name}");
        writeln!(answers, "--- {name}: {fault}\n{}", answer.escape_ascii().to_string().replace("\\r\\n", "\n"))
            .unwrap();
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn there_are_forty_nine_and_twelve() {
    let names: Vec<String> = torture().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("rfc4475/")).count(), 49);
    assert_eq!(names.iter().filter(|name| name.starts_with("rfc5118/")).count(), 12);
}

fn source() -> SocketAddr {
    "198.51.100.7:5099".parse().unwrap()
}

fn fault(bytes: &Bytes) -> Option<Malformed> {
    Message::parse(bytes.clone()).and_then(|message| message.validate()).err()
}

fn verdict(bytes: &Bytes) -> String {
    let message = match Message::parse(bytes.clone()) {
        Ok(message) => message,
        Err(fault) => return format!("{:<26} {}", format!("not read: {}", fault.code()), answer(bytes, fault)),
    };
    if let Err(fault) = message.validate() {
        return format!("{:<26} {}", format!("not valid: {}", fault.code()), answer(bytes, fault));
    }
    let (from, to, via) = (message.from().unwrap(), message.to().unwrap(), message.top_via().unwrap());
    let start = if message.is_request() {
        message.request_uri().to_owned()
    } else {
        format!("{} {:?}", message.status(), message.reason())
    };
    format!(
        "ok {} {start} | from {:?} {} | to {:?} {} | via {} {} {:?} x{} | {:?} body {}",
        message.method_token(),
        from.display_text(),
        from.uri.text,
        to.display_text(),
        to.uri.text,
        via.transport,
        via.host,
        via.port,
        message.vias().count(),
        message.cseq().unwrap(),
        message.body().len(),
    )
}

fn answer(bytes: &Bytes, fault: Malformed) -> String {
    match Salvage::read(bytes.clone()) {
        Some(_) => format!("answer {} ({fault})", fault.status()),
        None => format!("drop ({fault})"),
    }
}
