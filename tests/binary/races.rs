//! Races and broken dialogs between real sockets, in real time: callers that take back their INVITE, never acknowledge or
//! never refresh, companies that answer twice, leave in the middle of something or say nothing more.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;

use crate::node::{NUMBER, Node, PATIENCE, holds, until};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A party with a socket and no logic.
struct Party {
    socket: UdpSocket,
    at: SocketAddr,
    us: SocketAddr,
}

impl Party {
    fn new(node: &Node, at: SocketAddr) -> Party {
        let socket = UdpSocket::bind(at).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Party { at: socket.local_addr().unwrap(), socket, us: node.sip() }
    }

    fn caller(node: &Node) -> Party {
        Party::new(node, SocketAddr::new(HERE, 0))
    }

    fn company(node: &Node) -> Party {
        Party::new(node, node.company())
    }

    fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.us).unwrap();
    }

    /// The next message, if one comes within a moment.
    fn next(&self) -> Option<Message> {
        let mut buffer = [0; 65_535];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(Message::parse(Bytes::copy_from_slice(&buffer[..length])).unwrap())
    }

    /// Reads on until a message of this kind comes: a method, or a status with the method that it answers.
    fn hear(&self, what: &str) -> Message {
        until(&format!("{what} at {}", self.at), || self.next().filter(|message| kind(message) == what))
    }

    /// All kinds of messages that come within so long.
    fn hear_all(&self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        std::iter::from_fn(|| (Instant::now() < end).then(|| self.next())).flatten().map(|m| kind(&m)).collect()
    }

    fn answer(&self, request: &Message, status: u16, tag: &str, headers: &[(&str, &str)], body: Option<String>) {
        let is_new = request.to().unwrap().tag().is_none();
        let mut response = Builder::response_to(request, status, None, is_new.then_some(tag), self.us)
            .header("Contact", &format!("<sip:{tag}@{}>", self.at));
        for (name, value) in headers {
            response = response.header(name, value);
        }
        if let Some(body) = body {
            response = response.body("application/sdp", body.as_bytes());
        }
        self.send(&response.finish().unwrap());
    }

    fn invite(&self, id: &str, headers: &str) -> Message {
        let (at, us, body) = (self.at, self.us, self.sdp());
        let text = format!(
            "INVITE sip:{NUMBER}@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@{at}>;tag={id}\r\nTo: <sip:{NUMBER}@{us}>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@{at}>\r\n{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(text.as_bytes());
        Message::parse(Bytes::from(text)).unwrap()
    }

    /// A request of the same transaction: CANCEL, or ACK of a failure.
    fn same(&self, invite: &Message, method: &str, to: &str) {
        let line = |name| invite.header(name).unwrap();
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
            invite.request_uri(),
            line("Via"),
            line("From"),
            line("Call-ID")
        );
        self.send(text.as_bytes());
    }

    /// A request of the party within the dialog that `theirs`, a message of ours, belongs to.
    fn within(&self, theirs: &Message, method: &str, cseq: u32, body: &str) {
        let (from, to) = if theirs.is_request() { ("To", "From") } else { ("From", "To") };
        let line = |name| theirs.header(name).unwrap().to_owned();
        let tag = if theirs.to().unwrap().tag().is_none() { ";tag=desk" } else { "" };
        let (at, us, call_id) = (self.at, self.us, line("Call-ID"));
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{us} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{cseq}{call_id}\r\n\
             Max-Forwards: 70\r\nFrom: {}{tag}\r\nTo: {}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:a@{at}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            line(from),
            line(to),
            body.len()
        );
        self.send(text.as_bytes());
    }

    fn sdp(&self) -> String {
        let ip = self.at.ip();
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n")
    }
}

fn kind(message: &Message) -> String {
    match message.is_request() {
        true => message.method_token().to_owned(),
        false => format!("{} {}", message.status(), message.cseq().unwrap().method),
    }
}

/// A call that both have acknowledged: the caller's 200 and the company's INVITE.
fn connected(caller: &Party, company: &Party, id: &str) -> (Message, Message) {
    caller.invite(id, "");
    let invite = company.hear("INVITE");
    company.answer(&invite, 200, "desk", &[], Some(company.sdp()));
    company.hear("ACK");
    let ok = caller.hear("200 INVITE");
    caller.within(&ok, "ACK", 1, "");
    (ok, invite)
}

fn ended(node: &Node, count: usize) -> (String, String, u64) {
    let data = node.wait_for_events("call.ended", count).pop().unwrap();
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (text("outcome"), text("reason"), data["sip_status"].as_u64().unwrap())
}

#[test]
fn b02_the_caller_takes_back_what_nobody_has_heard() {
    let node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    for (count, status) in [(1, 180), (2, 200)] {
        let ours = caller.invite(&format!("b02-{status}"), "");
        let invite = company.hear("INVITE");
        caller.same(&ours, "CANCEL", ours.header("To").unwrap());
        caller.hear("200 CANCEL");
        let refused = caller.hear("487 INVITE");
        caller.same(&ours, "ACK", refused.header("To").unwrap());
        // A copy: nothing was said to it, and nothing was cancelled.
        assert_eq!(kind(&until("the INVITE again", || company.next())), "INVITE");
        company.answer(&invite, status, "desk", &[], (status == 200).then(|| company.sdp()));
        let expected: &[&str] = if status == 200 { &["ACK", "BYE"] } else { &["CANCEL"] };
        for wanted in expected {
            let request = company.hear(wanted);
            match *wanted {
                "BYE" => company.answer(&request, 200, "desk", &[], None),
                "CANCEL" => {
                    company.answer(&request, 200, "desk", &[], None);
                    company.answer(&invite, 487, "desk", &[], None);
                    company.hear("ACK");
                }
                _ => {}
            }
        }
        assert_eq!(ended(&node, count), ("cancelled".into(), "caller_cancelled".into(), 487));
    }
    holds("nothing is left", || node.live_calls() == 0);
}

/// Another trunk that has learned the branch.
#[test]
fn b03_a_foreign_cancel_ends_nothing() {
    let other = "[[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\n[[trunk]]\nname = \"other\"\n\
                 match = [\"127.0.0.3/32\"]\n";
    let node = Node::started(other);
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    let stranger = Party::new(&node, SocketAddr::new(Ipv4Addr::new(127, 0, 0, 3).into(), 0));
    let ours = caller.invite("b03", "");
    let invite = company.hear("INVITE");
    company.answer(&invite, 180, "desk", &[], None);
    caller.hear("180 INVITE");
    stranger.same(&ours, "CANCEL", ours.header("To").unwrap());
    stranger.hear("481 CANCEL");
    holds("it is counted", || node.metric("leaseline_sip_dropped_total{reason=\"foreign_cancel\"}") == Some(1.0));
    assert_eq!(node.live_calls(), 1);
    company.answer(&invite, 486, "desk", &[], None);
    caller.hear("486 INVITE");
    assert_eq!(ended(&node, 1).0, "busy");
}

#[test]
fn b04_two_phones_answer_one_invite() {
    let node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    caller.invite("b04", "");
    let invite = company.hear("INVITE");
    for phone in ["a", "b", "c"] {
        company.answer(&invite, 180, phone, &[], None);
    }
    company.answer(&invite, 200, "a", &[], Some(company.sdp()));
    company.answer(&invite, 200, "b", &[], Some(company.sdp()));
    let ok = caller.hear("200 INVITE");
    caller.within(&ok, "ACK", 1, "");
    let mut acknowledged = [company.hear("ACK"), company.hear("ACK")];
    acknowledged.sort_by_key(|ack| ack.to().unwrap().tag().unwrap().to_owned());
    let tags: Vec<_> = acknowledged.iter().map(|ack| ack.to().unwrap().tag().unwrap().to_owned()).collect();
    assert_eq!(tags, ["a", "b"]);
    let bye = company.hear("BYE");
    assert_eq!(bye.to().unwrap().tag(), Some("b"), "the second one is hung up");
    company.answer(&bye, 200, "b", &[], None);
    assert_eq!(node.live_calls(), 1);
    caller.within(&ok, "BYE", 2, "");
    caller.hear("200 BYE");
    let bye = until("BYE for the first", || {
        company.next().filter(|m| kind(m) == "BYE" && m.to().unwrap().tag() == Some("a"))
    });
    company.answer(&bye, 200, "a", &[], None);
    assert_eq!(ended(&node, 1), ("answered".into(), "caller_hung_up".into(), 200));
}

/// Takes the 32 seconds of RFC 3261 §13.3.1.4.
#[test]
fn b06_the_caller_never_acknowledges() {
    let node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    caller.invite("b06", "");
    let invite = company.hear("INVITE");
    company.answer(&invite, 200, "desk", &[], Some(company.sdp()));
    company.hear("ACK");
    let heard = caller.hear_all(Duration::from_secs(36));
    let count = |what: &str| heard.iter().filter(|heard| *heard == what).count();
    assert_eq!(count("200 INVITE"), 11, "{heard:?}");
    assert!(count("BYE") > 0, "{heard:?}");
    let bye = company.hear("BYE");
    company.answer(&bye, 200, "desk", &[], None);
    assert_eq!(ended(&node, 1), ("failed".into(), "no_ack".into(), 200));
    let recording = &node.wait_for_events("call.ended", 1)[0]["recording"];
    assert!(recording["path"].is_string(), "{recording}");
}

/// Who asks, and who leaves.
#[test]
fn b10_bye_while_a_re_invite_is_pending() {
    let node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    for (count, caller_asks) in [(1, true), (2, false)] {
        let (ok, invite) = connected(&caller, &company, &format!("b10-{count}"));
        let held = |party: &Party| party.sdp() + "a=sendonly\r\n";
        let (asker, asks, other, others) =
            if caller_asks { (&caller, &ok, &company, &invite) } else { (&company, &invite, &caller, &ok) };
        asker.within(asks, "INVITE", 2, &held(asker));
        let crossed = other.hear("INVITE");
        other.answer(&crossed, 100, "", &[], None);
        other.within(others, "BYE", 3, "");
        other.hear("200 BYE");
        other.hear("CANCEL");
        let heard = [asker.hear("487 INVITE"), asker.hear("BYE")];
        asker.answer(&heard[1], 200, "", &[], None);
        let (outcome, reason, _) = ended(&node, count);
        assert_eq!((outcome.as_str(), reason.ends_with("_hung_up")), ("answered", true));
    }
    holds("nothing is left", || node.live_calls() == 0);
}

#[test]
fn b14_broken_descriptions_leave_the_old_session() {
    let node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    let (ok, _) = connected(&caller, &company, "b14");
    caller.within(&ok, "INVITE", 2, "hello");
    caller.hear("488 INVITE");
    caller.within(&ok, "INVITE", 3, &(caller.sdp() + "a=sendonly\r\n"));
    let crossed = company.hear("INVITE");
    company.answer(&crossed, 200, "", &[], Some("hello".to_owned()));
    company.hear("ACK");
    caller.hear("488 INVITE");
    assert_eq!(node.live_calls(), 1);
    caller.within(&ok, "BYE", 4, "");
    caller.hear("200 BYE");
    assert_eq!(ended(&node, 1).1, "caller_hung_up");
}

/// Killed in the middle of a call and started again: what belongs to that call is answered at once.
#[test]
fn b18_requests_of_a_dialog_from_before_the_restart() {
    let mut node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    let (ok, invite) = connected(&caller, &company, "b18");
    node.signal(nix::sys::signal::Signal::SIGKILL);
    node.wait_for_end();
    node.start();
    for (cseq, method) in [(2, "INVITE"), (3, "UPDATE"), (4, "INFO"), (5, "BYE")] {
        for (party, theirs) in [(&caller, &ok), (&company, &invite)] {
            party.within(theirs, method, cseq, "");
            party.hear(&format!("481 {method}"));
        }
    }
    caller.within(&ok, "ACK", 1, "");
    company.answer(&invite, 200, "desk", &[], None);
    holds("the ACK and the response are counted", || {
        let dropped = |reason: &str| node.metric(&format!("leaseline_sip_dropped_total{{reason=\"{reason}\"}}"));
        dropped("ack_unmatched") >= Some(1.0) && dropped("response_unmatched") >= Some(1.0)
    });
    assert_eq!(caller.hear_all(Duration::from_millis(300)), Vec::<String>::new(), "they are not answered");
}

#[test]
fn b21_one_response_and_then_nothing() {
    let probe = Node::new("");
    let company = format!("forward_to = [\"sip:sales@{}:5080\"]\nring_timeout = \"1s\"\n", probe.address);
    let mut node = probe;
    node.extra = format!("[[company]]\nname = \"acme\"\n{company}");
    node.write_config();
    node.start();
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    for (index, status) in [100, 180, 183].into_iter().enumerate() {
        caller.invite(&format!("b21-{status}"), "");
        let invite = company.hear("INVITE");
        company.answer(&invite, status, "desk", &[], (status == 183).then(|| company.sdp()));
        let cancel = company.hear("CANCEL");
        company.answer(&cancel, 200, "desk", &[], None);
        company.answer(&invite, 487, "desk", &[], None);
        caller.hear("480 INVITE");
        assert_eq!(ended(&node, index + 1), ("no_answer".into(), "ring_timeout".into(), 480));
    }
}

/// Takes the minute after which a session of 90 seconds is given up (RFC 4028 §10).
#[test]
fn b22_sessions_that_are_too_short_or_never_refreshed() {
    let node = Node::started("");
    let (caller, company) = (Party::caller(&node), Party::company(&node));
    caller.invite("b22-short", "Supported: timer\r\nSession-Expires: 60\r\n");
    assert_eq!(caller.hear("422 INVITE").header("Min-SE"), Some("90"));
    caller.invite("b22", "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n");
    let invite = company.hear("INVITE");
    assert_eq!(invite.header("Session-Expires"), None, "each leg has its own");
    company.answer(&invite, 200, "desk", &[], Some(company.sdp()));
    let ok = caller.hear("200 INVITE");
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uac"));
    caller.within(&ok, "ACK", 1, "");
    let heard = caller.hear_all(Duration::from_secs(65));
    assert!(heard.contains(&"BYE".to_owned()), "{heard:?}");
    assert_eq!(ended(&node, 1), ("answered".into(), "session_expired".into(), 200));
    assert_eq!(node.events_of("call.started").len(), 1);
}

/// A name server that says nothing, and one that names addresses where no call may go.
#[test]
fn b27_names_that_lead_nowhere() {
    let server = UdpSocket::bind((HERE, 0)).unwrap();
    let at = server.local_addr().unwrap();
    let mut node = Node::new("");
    node.extra = format!(
        "[sip.dns]\nservers = [\"{at}\"]\n[[company]]\nname = \"acme\"\nforward_to = [\"sip:sales@pbx.example\"]\n"
    );
    node.write_config();
    node.start();
    let caller = Party::caller(&node);
    let began = Instant::now();
    caller.invite("b27-mute", "");
    caller.hear("100 INVITE");
    // Whoever else calls is answered while that one waits.
    let text = format!("OPTIONS sip:{} SIP/2.0", node.sip());
    caller.send(
        format!(
            "{text}\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKo\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=o\r\n\
             To: <sip:c@d>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            caller.at
        )
        .as_bytes(),
    );
    assert!(caller.next().or_else(|| caller.next()).is_some(), "OPTIONS is answered");
    caller.hear("502 INVITE");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(ended(&node, 1).1, "destination_unresolved");
    let us = node.address.octets();
    let stop = std::thread::spawn(move || serve(&server, &[[0, 0, 0, 0], [224, 0, 0, 1], us]));
    caller.invite("b27-nowhere", "");
    caller.hear("502 INVITE");
    assert_eq!(ended(&node, 2).1, "destination_unresolved");
    drop(node);
    assert!(stop.join().unwrap() > 0, "it was asked");
}

/// Answers questions for addresses with these, and all others with nothing, until nobody asks any more.
fn serve(server: &UdpSocket, addresses: &[[u8; 4]]) -> usize {
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut asked, mut buffer) = (0, [0; 2_048]);
    while let Ok((length, from)) = server.recv_from(&mut buffer) {
        let query = &buffer[..length];
        let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap();
        let question = &query[12..name_end + 5];
        let is_a = question[question.len() - 4..] == [0, 1, 0, 1];
        let answers: &[[u8; 4]] = if is_a { addresses } else { &[] };
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
        answer.extend(question);
        for address in answers {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address);
        }
        server.send_to(&answer, from).unwrap();
        asked += 1;
    }
    asked
}
