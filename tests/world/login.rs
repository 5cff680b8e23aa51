//! A client that logs in by digest, message by message.

use std::net::SocketAddr;

use leaseline::core::auth::digest::{Algorithm, Qop, Signed};
use leaseline::wire::sip::Message;
use leaseline::wire::sip::auth::AuthValue;
use leaseline::wire::sip::build::Builder;

use super::World;

/// From nowhere that a configuration names.
pub const HOME: &str = "198.18.0.1:5060";
pub const URI: &str = "sip:+442079460500@203.0.113.1";

/// What `[trunk.login]` of the tests has.
pub const LOGIN: &str = r#"
[[trunk]]
name = "office"
country = "GB"
[trunk.login]
users = [{ user = "office", password = "correct horse" }]
"#;

/// The Authorization that answers the first challenge of `refusal`.
pub fn authorization(refusal: &Message, method: &str, uri: &str, password: &str, nc: &str) -> String {
    let line = refusal.header("WWW-Authenticate").expect("a challenge");
    let challenge = AuthValue::read(line).expect("readable").remove(0);
    let [realm, nonce, name] = ["realm", "nonce", "algorithm"].map(|name| challenge.param(name).expect("there"));
    let algorithm = Algorithm::parse(name).expect("known");
    let key = algorithm.key("office", realm, password, nonce, "c");
    let response = algorithm.response(&key, &Signed { method, uri, body: b"", nonce, nc, cnonce: "c", qop: Qop::Auth });
    format!(
        "Digest username=\"office\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={name}, qop=auth, nc={nc}, cnonce=\"c\""
    )
}

/// One request of the client at `from`; INVITE has an offer.
pub fn request(method: &str, uri: &str, to: &str, from: &str, id: &str, cseq: u32, login: Option<&str>) -> Vec<u8> {
    let ip = from.parse::<SocketAddr>().expect("an address").ip();
    let mut builder = Builder::request(method, uri)
        .header("Via", &format!("SIP/2.0/UDP {from};branch=z9hG4bK-{id}-{cseq}{method};rport"))
        .header("Max-Forwards", "70")
        .header("From", &format!("<sip:+442079460990@{ip}>;tag={id}"))
        .header("To", to)
        .header("Call-ID", id)
        .header("CSeq", &format!("{cseq} {method}"))
        .header("Contact", &format!("<sip:phone@{from}>"))
        .header("User-Agent", "Office PBX 1.0")
        .header("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY, REFER, MESSAGE")
        .header("Supported", "replaces, outbound, gruu");
    if let Some(login) = login {
        builder = builder.header("Authorization", login);
    }
    if method == "INVITE" {
        let sdp = format!(
            "v=0\r\no=- 1 {cseq} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        builder = builder.body("application/sdp", sdp.as_bytes());
    }
    builder.finish().expect("writable").to_vec()
}

/// An INVITE of our number outside of any dialog.
pub fn invite(from: &str, id: &str, cseq: u32, login: Option<&str>) -> Vec<u8> {
    request("INVITE", URI, &format!("<{URI}>"), from, id, cseq, login)
}

impl World {
    /// The last response that went there, if any.
    pub fn last_answer(&self, to: &str) -> Option<Message> {
        self.sent_to(to).into_iter().rev().find(|message| !message.is_request())
    }
}
