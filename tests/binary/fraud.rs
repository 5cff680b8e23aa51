//! Toll fraud and open relays against the real program (rows D01, D08, D11): what a peer writes leads a call nowhere, gets
//! no password out of us, and has us fetch nothing.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::hostile::receive;
use crate::node::{NUMBER, Node, PATIENCE};

/// A peer on a socket of its own.
struct Peer(UdpSocket);

impl Peer {
    fn at(address: SocketAddr) -> Peer {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn say(&self, node: &Node, text: &str) {
        self.0.send_to(text.as_bytes(), node.sip()).unwrap();
    }

    /// The next message that begins so; others are passed over.
    fn next(&self, start: &str) -> String {
        loop {
            let message = receive(&self.0).unwrap_or_else(|| panic!("no {start}"));
            if message.starts_with(start) {
                return message;
            }
        }
    }

    /// All that has come by the time that the node has answered an OPTIONS of this peer's: it reads in order.
    fn heard_by_now(&self, node: &Node) -> Vec<String> {
        let (us, sip) = (self.address(), node.sip());
        self.say(
            node,
            &format!(
                "OPTIONS sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKmark\r\nMax-Forwards: 70\r\n\
                 From: <sip:a@{us}>;tag=mark\r\nTo: <sip:{sip}>\r\nCall-ID: mark\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            ),
        );
        let mut heard = Vec::new();
        loop {
            let message = receive(&self.0).expect("an answer to OPTIONS");
            if message.contains("Call-ID: mark") {
                return heard;
            }
            heard.push(message);
        }
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}"))
}

fn with_sdp(head: &str, address: SocketAddr) -> String {
    let ip = address.ip();
    let sdp = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n");
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

fn invite(node: &Node, uri: &str, from: &Peer, id: &str, lines: &str) -> String {
    let (us, sip) = (from.address(), node.sip());
    let head = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:+447700900123@{us}>;tag={id}\r\nTo: <sip:x@{sip}>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@{us}>\r\n{lines}"
    );
    with_sdp(&head, us)
}

/// A response to a request of ours.
fn answer(request: &str, status: &str, lines: &str) -> String {
    let copied = ["Via", "From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", header(request, name)));
    let to = header(request, "To");
    let to = if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=shop") };
    format!("SIP/2.0 {status}\r\n{}To: {to}\r\n{lines}", copied.concat())
}

/// D01: whoever challenges our BYE in the name of another realm gets no word of our password.
#[test]
fn a_challenge_of_another_realm_gets_no_password() {
    let mut node = Node::new("");
    let (address, company) = (node.address, node.company());
    node.extra = format!(
        "[[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\n[[trunk]]\nname = \"out\"\nmatch = [\"{address}/32\"]\n\
         address = \"sip:{company}\"\n[trunk.credentials]\nuser = \"acme\"\npassword = \"a long secret\"\nrealm = \"out.example\"\n\
         [[company]]\nname = \"acme\"\nforward_to = [{{ trunk = \"out\", number = \"+442079460999\" }}]\n"
    );
    node.write_config();
    node.start();
    let (carrier, shop) = (Peer::at("127.0.0.1:0".parse().unwrap()), Peer::at(company));
    carrier.say(&node, &invite(&node, &format!("sip:{NUMBER}@{}", node.sip()), &carrier, "one", ""));
    let invited = shop.next("INVITE ");
    shop.say(&node, &with_sdp(&answer(&invited, "200 OK", &format!("Contact: <sip:shop@{company}>\r\n")), company));
    let answered = carrier.next("SIP/2.0 200 ");
    let within = |method: &str, cseq: u32| {
        let (us, sip) = (carrier.address(), node.sip());
        format!(
            "{method} sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: one\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            header(&answered, "From"),
            header(&answered, "To")
        )
    };
    carrier.say(&node, &within("ACK", 1));
    carrier.say(&node, &within("BYE", 2));
    let bye = shop.next("BYE ");
    let challenge = "Proxy-Authenticate: Digest realm=\"evil.example\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n\
                     Content-Length: 0\r\n\r\n";
    shop.say(&node, &answer(&bye, "407 Proxy Authentication Required", challenge));
    let heard = shop.heard_by_now(&node);
    assert!(heard.iter().all(|message| !message.contains("uthorization:")), "{heard:?}");
    assert!(heard.iter().all(|message| !message.starts_with("BYE ") || *message == bye), "no other BYE: {heard:?}");
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"answered".into(), &"caller_hung_up".into()));
    assert!(!node.log().contains("a long secret"));
    node.stop();
}

/// D08: only numbers of the pools are served; a Route, a foreign host, a context are not followed.
#[test]
fn an_invite_leads_nowhere_but_to_our_numbers() {
    let mut node = Node::started("");
    let (carrier, shop) = (Peer::at("127.0.0.1:0".parse().unwrap()), Peer::at(node.company()));
    let third = Peer::at("127.0.0.1:0".parse().unwrap());
    let (sip, company, elsewhere) = (node.sip(), node.company(), third.address());
    let route = format!("Route: <sip:{elsewhere};lr>\r\n");
    for (nth, uri) in [
        format!("sip:00882123456789@{sip}"),
        format!("sip:+881835210000@{sip}"),
        format!("sip:sales@{company}"),
        format!("sip:x@{elsewhere}"),
        "tel:+881835210000".to_owned(),
        format!("sip:7777;phone-context=+4420794@{sip}"),
        format!("sip:{NUMBER},,22@{sip}"),
        format!("sip:%EF%BC%8B442079460500@{sip}"),
    ]
    .iter()
    .enumerate()
    {
        carrier.say(&node, &invite(&node, uri, &carrier, &format!("nth{nth}"), &route));
        let answer = carrier.next("SIP/2.0 ");
        assert!(answer.starts_with("SIP/2.0 404 "), "{uri}: {answer}");
    }
    // One of ours goes where the configuration says, whatever Route it brings.
    carrier.say(&node, &invite(&node, &format!("sip:{NUMBER}@elsewhere.example"), &carrier, "good", &route));
    let invited = shop.next("INVITE ");
    assert!(invited.starts_with(&format!("INVITE sip:sales@{company} ")) && !invited.contains("Route:"), "{invited}");
    shop.say(&node, &answer(&invited, "486 Busy Here", "Content-Length: 0\r\n\r\n"));
    carrier.next("SIP/2.0 486 ");
    let heard = shop.heard_by_now(&node);
    assert!(heard.iter().all(|message| !message.starts_with("INVITE ") || *message == invited), "{heard:?}");
    third.0.set_nonblocking(true).unwrap();
    assert_eq!(receive(&third.0), None);
    node.stop();
}

/// D11: what an untrusted trunk says of the caller is not believed, and nothing that a message names is fetched.
#[test]
fn nothing_is_fetched_and_nobody_is_believed() {
    let trunk = "[[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\ncountry = \"GB\"\ntrust_identity = false\n\
                 stir = { verify = \"tag\", trusted_file = \"roots.pem\" }\n";
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut node = Node::new(trunk);
    std::fs::write(node.dir.path().join("roots.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    node.start();
    let (carrier, shop) = (Peer::at("127.0.0.1:0".parse().unwrap()), Peer::at(node.company()));
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    web.set_nonblocking(true).unwrap();
    let url = format!("http://{}/certificate", web.local_addr().unwrap());
    let lines = format!(
        "P-Asserted-Identity: \"Bank\" <sip:+447700900999@127.0.0.1>\r\nRemote-Party-ID: <sip:+447700900998@127.0.0.1>\r\n\
         Diversion: <sip:+447700900997@127.0.0.1>;reason=unconditional\r\nPrivacy: id\r\n\
         Identity: eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cDovLzEyNy4wLjAuMS8ifQ.e30.AA;\
         info=<{url}>;alg=ES256;ppt=shaken\r\nCall-Info: <{url}>;purpose=icon\r\nAlert-Info: <{url}>\r\nError-Info: <{url}>\r\n"
    );
    carrier.say(&node, &invite(&node, &format!("sip:{NUMBER}@{}", node.sip()), &carrier, "one", &lines));
    let invited = shop.next("INVITE ");
    for word in ["Bank", "+447700900999", "+447700900998", "+447700900997", "certificate", "Info:"] {
        assert!(!invited.contains(word), "{word} in {invited}");
    }
    assert_eq!(header(&invited, "Privacy"), "id");
    shop.say(&node, &answer(&invited, "486 Busy Here", "Content-Length: 0\r\n\r\n"));
    carrier.next("SIP/2.0 486 ");
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["caller"], &ended["caller_reason"]), (&serde_json::Value::Null, &"withheld".into()), "{ended}");
    assert!(web.accept().is_err(), "somebody came for the certificate");
    node.stop();
    assert!(web.accept().is_err(), "somebody came for the certificate");
}
