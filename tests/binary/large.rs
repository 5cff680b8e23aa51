//! Requests that are too large for a datagram, and datagrams that come to nobody.

use std::net::{TcpListener, TcpStream, UdpSocket};

use leaseline::wire::sip::Message;

use crate::line::Line;
use crate::node::{NUMBER, Node, PATIENCE, holds};

/// A node that passes on what makes an INVITE large.
fn node() -> Node {
    let mut node = Node::new("");
    node.extra = "[[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\ncountry = \"GB\"\n\
                  [trunk.headers]\npass = [\"X-Long\"]\n"
        .to_owned();
    node.write_config();
    node.start();
    node
}

/// The company's UDP phone.
fn phone(node: &Node) -> Line {
    let socket = UdpSocket::bind(node.company()).unwrap();
    socket.connect(node.sip()).unwrap();
    Line::udp(socket)
}

/// A carrier's call that makes the company's INVITE large.
fn invites(node: &Node, id: &str) -> Line {
    let mut caller = Line::to(node);
    let uri = format!("sip:{NUMBER}@{}", node.sip());
    let invite = caller.request("INVITE", &uri, &format!("<{uri}>"), id, 1).header("X-Long", &"x".repeat(1_000));
    let sdp = crate::line::sdp(node);
    assert!(caller.say(&invite.body("application/sdp", sdp.as_bytes()).finish().unwrap()));
    caller
}

/// The caller hears the answer, acknowledges it and hangs up.
fn talks(node: &Node, caller: &mut Line, id: &str) {
    let before = node.events_of("call.answered").len();
    let ok = caller.hear_status(200);
    let to = ok.header("To").unwrap().to_owned();
    let target = ok.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(caller.say(&caller.request("ACK", &target, &to, id, 1).finish().unwrap()));
    node.wait_for_events("call.answered", before.max(1));
    assert!(caller.say(&caller.request("BYE", &target, &to, id, 2).finish().unwrap()));
    caller.hear_status(200);
}

fn via(message: &Message) -> &str {
    message.header("Via").unwrap().split(' ').next().unwrap()
}

fn contact(node: &Node) -> String {
    format!("sip:desk@{}", node.company())
}

#[test]
fn a_large_invite_comes_over_tcp_and_the_rest_by_udp() {
    let mut node = node();
    let (listener, mut datagrams) = (TcpListener::bind(node.company()).unwrap(), phone(&node));
    let mut caller = invites(&node, "large");
    let mut company = Line::accept(&listener);
    let invited = company.hear_request("INVITE");
    assert!(invited.bytes().len() > 1_300 && via(&invited) == "SIP/2.0/TCP");
    assert!(!invited.contact().unwrap().unwrap().uri.text.contains("transport"), "we are still reached by UDP");
    company.accepts(&node, &invited, &contact(&node));
    let ack = datagrams.hear_request("ACK");
    assert_eq!(via(&ack), "SIP/2.0/UDP");
    talks(&node, &mut caller, "large");
    let bye = datagrams.hear_request("BYE");
    datagrams.agrees(&bye);
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!(ended["outcome"], "answered", "{ended}");
    node.stop();
}

#[test]
fn who_takes_no_tcp_is_asked_once() {
    let mut node = node();
    let mut company = phone(&node);
    for id in ["first", "second"] {
        let mut caller = invites(&node, id);
        let invited = company.hear_request("INVITE");
        assert!(invited.bytes().len() > 1_300 && via(&invited) == "SIP/2.0/UDP");
        company.accepts(&node, &invited, &contact(&node));
        company.hear_request("ACK");
        talks(&node, &mut caller, id);
        let bye = company.hear_request("BYE");
        company.agrees(&bye);
    }
    node.wait_for_events("call.ended", 2);
    assert_eq!(node.log().matches("no SIP connection").count(), 1, "{}", node.log());
    node.stop();
}

/// B28.
#[test]
fn a_connection_that_breaks_before_the_answer_loses_no_call() {
    let mut node = node();
    let (listener, mut datagrams) = (TcpListener::bind(node.company()).unwrap(), phone(&node));
    // Nothing was said yet: the same INVITE comes by UDP.
    let mut caller = invites(&node, "early");
    let mut company = Line::accept(&listener);
    let first = company.hear_request("INVITE");
    drop(company);
    let second = datagrams.hear_request("INVITE");
    assert_eq!(first.top_via().unwrap().branch(), second.top_via().unwrap().branch());
    datagrams.accepts(&node, &second, &contact(&node));
    datagrams.hear_request("ACK");
    talks(&node, &mut caller, "early");
    let bye = datagrams.hear_request("BYE");
    datagrams.agrees(&bye);
    node.wait_for_events("call.ended", 1);
    // It rings: the answer comes on a connection to where our Via says (RFC 3261 §18.2.2).
    let mut caller = invites(&node, "late");
    let mut company = Line::accept(&listener);
    let invited = company.hear_request("INVITE");
    company.refuses(&invited, 180);
    caller.hear_status(180);
    drop(company);
    let sent_by = invited.top_via().unwrap();
    let back = (sent_by.host.to_owned(), sent_by.port.unwrap());
    let mut company = Line::tcp(TcpStream::connect((back.0.as_str(), back.1)).unwrap(), node.company());
    company.accepts(&node, &invited, &contact(&node));
    datagrams.hear_request("ACK");
    talks(&node, &mut caller, "late");
    let bye = datagrams.hear_request("BYE");
    datagrams.agrees(&bye);
    for ended in node.wait_for_events("call.ended", 2) {
        assert_eq!(ended["outcome"], "answered", "{ended}");
    }
    node.stop();
}

/// B28: in mid-call, of a call that is TCP by its URI; the next request opens the connection again.
#[test]
fn a_connection_that_breaks_in_mid_call_is_opened_again() {
    let mut node = Node::new("");
    let address = node.address;
    node.extra = format!("[[company]]\nname = \"acme\"\nforward_to = [\"sip:desk@{address}:5080;transport=tcp\"]\n");
    node.write_config();
    node.start();
    let listener = TcpListener::bind(node.company()).unwrap();
    let mut caller = Line::to(&node);
    let (_, invite) = caller.invite(&node, "mid");
    assert!(caller.say(&invite));
    let mut company = Line::accept(&listener);
    company.answers(&node, &format!("sip:desk@{};transport=tcp", node.company()));
    drop(company);
    holds("one connection is left", || node.metric("leaseline_sip_connections ") == Some(1.0));
    talks(&node, &mut caller, "mid");
    let mut company = Line::accept(&listener);
    let bye = company.hear_request("BYE");
    company.agrees(&bye);
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"answered".into(), &"caller_hung_up".into()), "{ended}");
    node.stop();
}

#[test]
fn a_destination_where_nobody_listens_is_given_up_at_once() {
    let mut node = Node::new("");
    let address = node.address;
    node.extra = format!(
        "[[company]]\nname = \"acme\"\nforward_to = [\"sip:sales@{address}:5070\", \"sip:sales@{address}:5080\"]\n"
    );
    node.write_config();
    node.start();
    node.answering();
    node.honest_call();
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    let attempts = ended["route"]["attempts"].as_array().unwrap();
    // Silence would be 504.
    assert_eq!((attempts.len(), &attempts[0]["status"]), (2, &502.into()), "{ended}");
    node.stop();
}

/// Our answers to those who have gone come back as ICMP, in masses; nothing of it touches anybody.
#[test]
fn a_flood_of_icmp_errors_disturbs_nobody() {
    let mut node = Node::new("[sip.defence]\noptions_per_second_max = 0\n");
    node.start();
    node.answering();
    let call = node.call(NUMBER, std::time::Duration::from_secs(2));
    node.wait_for_events("call.answered", 1);
    for n in 0..4_000 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let here = socket.local_addr().unwrap();
        let options = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKi{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@{here}>;tag=i{n}\r\nTo: <sip:{to}>\r\nCall-ID: i{n}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            to = node.sip()
        );
        socket.send_to(options.as_bytes(), node.sip()).unwrap();
    }
    let counted = || node.metric("leaseline_sip_dropped_total{reason=\"bounce_unmatched\"}");
    holds("errors came back", || counted() > Some(0.0));
    let report = node.report(call);
    assert!(report.answered && report.status == 200, "{report:?}");
    node.honest_call();
    node.stop();
}
