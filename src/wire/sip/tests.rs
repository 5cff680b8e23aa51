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
