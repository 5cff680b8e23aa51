use bytes::Bytes;

use super::*;
use crate::wire::pcap::{Carrier, Packet};

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";

/// A capture is written as it is said: time in ms, from, to, text without the lines that all messages have.
struct Told {
    packets: Vec<Packet>,
}

impl Told {
    fn new() -> Told {
        Told { packets: Vec::new() }
    }

    fn say(mut self, at_ms: u64, from: &str, to: &str, text: &str) -> Told {
        let mut text = text.replace('\n', "\r\n");
        let held = format!("{SDP}a=sendonly\r\n");
        let body = match (text.contains("held"), text.contains("sdp")) {
            (true, _) => &held,
            (false, true) => SDP,
            (false, false) => "",
        };
        text = text.replace("held", "sdp").replace("sdp", "Content-Type: application/sdp");
        text.push_str(&format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        self.packets.push(Packet {
            at: 1_795_255_200_000_000_000 + at_ms * 1_000_000,
            source: from.parse().unwrap(),
            destination: to.parse().unwrap(),
            carrier: Carrier::Udp,
            payload: Bytes::from(text),
        });
        self
    }

    fn replay(self) -> Vec<Replayed> {
        let capture = Capture { packets: self.packets, ..Capture::default() };
        let (calls, _) = captured::calls(&capture);
        Replay { calls, left_out: Vec::new() }.run().collect()
    }
}

const A: &str = "192.0.2.10:5060";
const B: &str = "198.51.100.1:5060";

fn request(method: &str, uri: &str, branch: &str, to_tag: &str, cseq: u32, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{branch}\nMax-Forwards: 70\n\
         f: <sip:+442079460990@a>;tag=aa\nt: <{uri}>{to_tag}\ni: one@a\nCSeq: {cseq} {method}\n\
         m: <sip:a@192.0.2.10>{more}"
    )
}

fn response(status: &str, cseq: &str, more: &str) -> String {
    format!(
        "SIP/2.0 {status}\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKi\nFrom: <sip:+442079460990@a>;tag=aa\n\
         To: <sip:sales@b>;tag=bb\nCall-ID: one@a\nCSeq: {cseq}\nContact: <sip:b@198.51.100.1>{more}"
    )
}

fn outcome(call: &Replayed) -> (&'static str, String) {
    let data = call.ended.as_ref().expect("an end");
    (data.outcome.expect("an outcome").as_str(), data.reason.clone().expect("a reason"))
}

#[test]
fn a_name_is_replayed_as_a_number() {
    let calls = Told::new()
        .say(0, A, B, &request("INVITE", "sip:sales@b", "i", "", 1, "\nsdp"))
        .say(10, B, A, &response("200 OK", "1 INVITE", "\nsdp"))
        .say(20, A, B, &request("ACK", "sip:sales@b", "k", ";tag=bb", 1, ""))
        .say(900, A, B, &request("BYE", "sip:sales@b", "y", ";tag=bb", 2, ""))
        .say(910, B, A, &response("200 OK", "2 BYE", ""))
        .replay();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(outcome(call), ("answered", "caller_hung_up".to_owned()), "{}", call.ladder);
    assert!(call.ladder.contains("which is no number; +442079460500 stands for it"), "{}", call.ladder);
    assert!(!call.ladder.contains("apart"), "{}", call.ladder);
}

#[test]
fn the_company_may_hang_up_and_ask() {
    let from_b = |method: &str, cseq: u32, more: &str| {
        format!(
            "{method} sip:a@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{method}{cseq}\n\
             From: <sip:sales@b>;tag=bb\nTo: <sip:+442079460990@a>;tag=aa\nCall-ID: one@a\nCSeq: {cseq} {method}\n\
             Max-Forwards: 70\nContact: <sip:b@198.51.100.1>{more}"
        )
    };
    let calls = Told::new()
        .say(0, A, B, &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp"))
        .say(10, B, A, &response("200 OK", "1 INVITE", "\nsdp"))
        .say(20, A, B, &request("ACK", "sip:sales@b", "k", ";tag=bb", 1, ""))
        .say(300, B, A, &from_b("INVITE", 7, "\nheld"))
        .say(310, A, B, &response("200 OK", "7 INVITE", "\nheld"))
        .say(320, B, A, &from_b("ACK", 7, ""))
        .say(900, B, A, &from_b("BYE", 8, ""))
        .say(910, A, B, &response("200 OK", "8 BYE", ""))
        .replay();
    let call = &calls[0];
    assert_eq!(outcome(call), ("answered", "company_hung_up".to_owned()), "{}", call.ladder);
    assert!(!call.ladder.contains("apart"), "{}", call.ladder);
}

#[test]
fn what_the_capture_lacks_is_told() {
    let calls = Told::new()
        .say(0, A, B, &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp"))
        .say(5, B, A, &response("200 OK", "9 INFO", ""))
        .say(10, B, A, &response("180 Ringing", "1 INVITE", ""))
        .replay();
    let call = &calls[0];
    assert_eq!(outcome(call).1, "capture_ended", "{}", call.ladder);
    assert!(call.ladder.contains("200 OK (INFO): answers_no_captured_request"), "{}", call.ladder);
    assert!(call.ladder.contains("the capture ends before the call does"), "{}", call.ladder);
}

#[test]
fn a_clock_that_jumps_years_ends_the_call_and_not_the_program() {
    let years = 40 * 365 * 86_400_000;
    let calls = Told::new()
        .say(0, A, B, &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp"))
        .say(10, B, A, &response("200 OK", "1 INVITE", "\nsdp"))
        .say(20, A, B, &request("ACK", "sip:sales@b", "k", ";tag=bb", 1, ""))
        .say(years, A, B, &request("BYE", "sip:sales@b", "y", ";tag=bb", 2, ""))
        .replay();
    assert_eq!(outcome(&calls[0]), ("answered", "media_silent".to_owned()), "{}", calls[0].ladder);
}

#[test]
fn two_calls_of_one_capture_are_two() {
    let calls = Told::new()
        .say(0, A, B, &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp"))
        .say(1, A, B, &request("INVITE", "sip:+442079460501@b", "j", "", 1, "\nsdp").replace("one@a", "two@a"))
        .say(2, B, A, &response("486 Busy Here", "1 INVITE", ""))
        .say(3, B, A, &response("603 Decline", "1 INVITE", "").replace("one@a", "two@a"))
        .replay();
    let outcomes: Vec<_> = calls.iter().map(|call| outcome(call).0).collect();
    assert_eq!(outcomes, ["busy", "rejected"]);
    assert_ne!(calls[0].ended.as_ref().unwrap().call_id, calls[1].ended.as_ref().unwrap().call_id);
}

#[test]
fn a_refusal_at_the_door_is_a_result_too() {
    let calls = Told::new()
        .say(
            0,
            A,
            B,
            &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp")
                .replace("Max-Forwards: 70", "Max-Forwards: 0"),
        )
        .replay();
    assert!(calls[0].ended.is_none());
    assert!(calls[0].ladder.contains("483 Too Many Hops (INVITE)"), "{}", calls[0].ladder);
}

#[test]
fn what_comes_before_its_time_waits_and_not_for_ever() {
    let mut told = Told::new().say(0, A, B, &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp"));
    // The caller speaks within a dialog that our machine has not made yet.
    for n in 2..500 {
        told = told.say(1, A, B, &request("INFO", "sip:sales@b", &format!("n{n}"), ";tag=bb", n, ""));
    }
    let calls = told
        .say(5, B, A, &response("180 Ringing", "1 INVITE", ""))
        .say(10, B, A, &response("200 OK", "1 INVITE", "\nsdp"))
        .say(20, A, B, &request("ACK", "sip:sales@b", "k", ";tag=bb", 1, ""))
        .say(900, A, B, &request("BYE", "sip:sales@b", "y", ";tag=bb", 600, ""))
        .replay();
    assert_eq!(outcome(&calls[0]), ("answered", "caller_hung_up".to_owned()), "{}", calls[0].ladder);
    assert!(calls[0].ladder.contains("too_many_wait"), "{}", calls[0].ladder);
}

#[test]
fn over_ipv6() {
    let (a, b) = ("[2001:db8::a]:5060", "[2001:db8::b]:5060");
    let mut told = Told::new()
        .say(0, a, b, &request("INVITE", "sip:+442079460501@b", "i", "", 1, "\nsdp"))
        .say(10, b, a, &response("200 OK", "1 INVITE", "\nsdp"))
        .say(20, a, b, &request("ACK", "sip:sales@b", "k", ";tag=bb", 1, ""))
        .say(900, a, b, &request("BYE", "sip:sales@b", "y", ";tag=bb", 2, ""));
    for packet in &mut told.packets {
        let text = String::from_utf8_lossy(&packet.payload).replace("IP4 192.0.2.20", "IP6 2001:db8::2");
        packet.payload = Bytes::from(text.replace("Length: 98", "Length: 100"));
    }
    let call = &told.replay()[0];
    assert_eq!(outcome(call), ("answered", "caller_hung_up".to_owned()), "{}", call.ladder);
}

#[test]
fn other_files_are_refused() {
    assert!(Replay::read(b"something else").is_err());
}
