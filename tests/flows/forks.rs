//! The company's INVITE forks at a proxy: each phone has an early dialog of its own. The proxy's side is written by hand.

use std::time::Duration;

use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

/// A proxy at the first destination, with phones behind it that are known by their tags.
struct Proxy {
    world: World,
    call: String,
    invite: Message,
    /// Messages of ours that it has read.
    read: usize,
}

impl Proxy {
    fn called(calling: Calling) -> Proxy {
        Proxy::with(CONFIG, calling)
    }

    fn with(config: &str, calling: Calling) -> Proxy {
        let mut world = World::new(7, config);
        world.add(CARRIER, Phone::new(Answering::default()));
        world.add(OFFICE, Phone::new(Answering::default()));
        let call = world.dial(calling);
        world.pass(Duration::from_millis(20));
        let invite = world.sent_to(SHOP).into_iter().next().expect("an INVITE");
        Proxy { world, call, invite, read: 1 }
    }

    /// A phone's response to the INVITE; with an RSeq it is a reliable one.
    fn say(&mut self, phone: &str, status: u16, rseq: Option<u32>, sdp: Option<&str>) {
        let peer = SHOP.parse().expect("an address");
        let mut response = Builder::response_to(&self.invite, status, None, Some(phone), peer)
            .header("Contact", &format!("<sip:{phone}@{SHOP}>"))
            .header("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK");
        if let Some(rseq) = rseq {
            response = response.header("Require", "100rel").header("RSeq", &rseq.to_string());
        }
        if let Some(sdp) = sdp {
            response = response.body("application/sdp", sdp.as_bytes());
        }
        self.world.inject(SHOP, &response.finish().expect("a message"));
        self.pass(Duration::from_millis(100));
    }

    /// Time, in which each request of ours but ACK is answered 200.
    fn pass(&mut self, time: Duration) {
        for _ in 0..10 {
            self.world.pass(time / 10);
            let new: Vec<Message> = self.world.sent_to(SHOP).split_off(self.read);
            self.read += new.len();
            for request in new.iter().filter(|message| message.is_request() && message.method_token() != "ACK") {
                let peer = SHOP.parse().expect("an address");
                let tag = request.to().expect("valid").tag().is_none().then_some("proxy");
                let answer = Builder::response_to(request, 200, None, tag, peer).finish().expect("a message");
                self.world.inject(SHOP, &answer);
            }
        }
    }

    /// An UPDATE of a phone in its early dialog.
    fn update(&mut self, phone: &str, sdp: &str) {
        let to = self.invite.header("From").expect("valid");
        let request = Builder::request("UPDATE", self.invite.contact().expect("one").expect("valid").uri.text)
            .header("Via", &format!("SIP/2.0/UDP {SHOP};branch=z9hG4bK-update-{phone}"))
            .header("Max-Forwards", "70")
            .header("From", &format!("{};tag={phone}", self.invite.header("To").expect("valid")))
            .header("To", to)
            .header("Call-ID", self.invite.call_id().expect("valid"))
            .header("CSeq", "1 UPDATE")
            .header("Contact", &format!("<sip:{phone}@{SHOP}>"))
            .body("application/sdp", sdp.as_bytes());
        self.world.inject(SHOP, &request.finish().expect("a message"));
        self.pass(Duration::from_millis(100));
    }

    /// Bodies of our requests of this method to a phone.
    fn bodies(&self, method: &str, phone: &str) -> Vec<String> {
        let is_it = |message: &Message| {
            message.is_request()
                && message.method_token() == method
                && message.to().is_ok_and(|to| to.tag() == Some(phone))
        };
        let mut sent = self.world.sent_to(SHOP);
        // Copies aside.
        sent.retain(is_it);
        sent.dedup_by(|one, other| one.bytes() == other.bytes());
        sent.iter().map(|message| String::from_utf8_lossy(&message.body()).into_owned()).collect()
    }

    fn company_port(&self) -> Option<u16> {
        let media = self.world.media.values().next()?;
        Some(media.remotes[1].as_ref()?.rtp.port())
    }

    fn finals(&mut self) -> Vec<u16> {
        self.world.phone(CARRIER).dialogs[&self.call].finals.clone()
    }

    /// The end; then nothing is left.
    fn settle(&mut self) -> String {
        self.pass(15 * SECOND);
        self.world.settle()
    }
}

fn sdp(port: u16, formats: &str) -> String {
    format!(
        "v=0\r\no=- {port} 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\n"
    )
}

fn offerless() -> Calling {
    Calling { offers: false, headers: vec![("Supported", "100rel".to_owned())], ..Calling::default() }
}

#[test]
fn each_phone_has_the_answer_to_its_offer() {
    let mut proxy = Proxy::called(offerless());
    proxy.say("a", 183, Some(10), Some(&sdp(41_000, "8 0")));
    assert_eq!(proxy.company_port(), Some(41_000));
    proxy.say("b", 183, Some(77), Some(&sdp(42_000, "0 8")));
    let answers = [proxy.bodies("PRACK", "a"), proxy.bodies("PRACK", "b")];
    assert!(answers.iter().all(|answers| answers.len() == 1 && answers[0].contains("m=audio 2")), "{answers:?}");
    // The caller's PRACK said 8 alone.
    assert!(answers[1][0].contains("RTP/AVP 8\r\n"), "{answers:?}");
    assert_eq!(proxy.company_port(), Some(42_000), "who described last is heard");
    proxy.say("b", 200, None, None);
    insta::assert_snapshot!(proxy.settle());
    assert_eq!(proxy.finals(), [200]);
    assert_eq!((proxy.bodies("ACK", "b").len(), proxy.bodies("BYE", "b").len()), (1, 1));
}

/// The one that was asked first wins although another one has described since.
#[test]
fn the_first_that_offered_wins() {
    let mut proxy = Proxy::called(offerless());
    proxy.say("a", 183, Some(1), Some(&sdp(41_000, "8")));
    proxy.say("b", 183, Some(1), Some(&sdp(42_000, "8")));
    proxy.say("a", 200, None, None);
    assert_eq!(proxy.company_port(), Some(41_000));
    proxy.settle();
    assert_eq!(proxy.finals(), [200]);
}

#[test]
fn offers_wait_until_the_caller_has_agreed() {
    let mut proxy = Proxy::called(Calling { pracks: Some(2 * SECOND), ..offerless() });
    proxy.say("a", 183, Some(1), Some(&sdp(41_000, "8")));
    proxy.say("b", 183, Some(1), Some(&sdp(42_000, "8")));
    assert_eq!(proxy.bodies("PRACK", "a").len() + proxy.bodies("PRACK", "b").len(), 0);
    proxy.pass(2 * SECOND);
    assert_eq!((proxy.bodies("PRACK", "a").len(), proxy.bodies("PRACK", "b").len()), (1, 1));
    proxy.say("a", 200, None, None);
    insta::assert_snapshot!(proxy.settle());
    assert_eq!((proxy.finals(), proxy.world.ended().len()), (vec![200], 1));
}

/// Its offer is not the one that the caller was asked: the answer to that is given to it in our ACK.
#[test]
fn an_answer_overtakes_the_callers_prack() {
    let mut proxy = Proxy::called(Calling { pracks: Some(2 * SECOND), ..offerless() });
    proxy.say("a", 183, Some(1), Some(&sdp(41_000, "8")));
    proxy.say("b", 200, None, Some(&sdp(42_000, "8")));
    assert_eq!((proxy.finals(), proxy.bodies("ACK", "b").len()), (Vec::new(), 0), "both wait for the PRACK");
    proxy.pass(3 * SECOND);
    let ack = proxy.bodies("ACK", "b");
    assert!(ack[0].contains("RTP/AVP 8\r\n"), "{ack:?}");
    assert_eq!(proxy.company_port(), Some(42_000));
    insta::assert_snapshot!(proxy.settle());
    let answer = proxy.world.sent_to(CARRIER).into_iter().find(|m| !m.is_request() && m.status() == 200);
    assert!(answer.expect("200").body().is_empty(), "the offer was made before");
    assert_eq!(proxy.finals(), [200]);
}

/// Nothing in common with what the caller has agreed to: its stream is refused, and others go on.
#[test]
fn an_offer_that_does_not_fit_is_refused_in_the_prack() {
    let config = CONFIG.replace("[media]\n", "[media]\ntranscode = false\n");
    let mut proxy = Proxy::with(&config, offerless());
    proxy.say("a", 183, Some(1), Some(&sdp(41_000, "8")));
    proxy.say("b", 183, Some(1), Some(&sdp(42_000, "0")));
    let refusal = proxy.bodies("PRACK", "b");
    assert!(refusal[0].contains("m=audio 0 RTP/AVP 0\r\n"), "{refusal:?}");
    assert_eq!(proxy.company_port(), Some(41_000));
    proxy.say("a", 200, None, None);
    proxy.settle();
    assert_eq!(proxy.finals(), [200]);
}

/// What is offered in one of several early dialogs could not be true for all of them.
#[test]
fn no_update_crosses_while_several_early_dialogs_stand() {
    let allow = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK".to_owned());
    let mut proxy =
        Proxy::called(Calling { headers: vec![("Supported", "100rel".to_owned()), allow], ..Calling::default() });
    proxy.say("a", 183, Some(1), Some(&sdp(41_000, "8")));
    proxy.say("b", 183, Some(1), Some(&sdp(42_000, "8")));
    let (now, call) = (proxy.world.now.mono, proxy.call.clone());
    for (to, bytes) in proxy.world.phone(CARRIER).perform(now, &call, Do::Update(Some("sendonly"))) {
        proxy.world.send(CARRIER.parse().expect("an address"), to, bytes);
    }
    proxy.update("a", &sdp(41_002, "8"));
    let told = proxy.world.sent_to(SHOP).into_iter().rev().find(|message| !message.is_request());
    assert_eq!(told.map(|message| message.status()), Some(491));
    let heard = proxy.world.phone(CARRIER).dialogs[&call].heard.clone();
    assert_eq!(heard.last(), Some(&("UPDATE".to_owned(), 491)));
    proxy.say("a", 200, None, None);
    proxy.settle();
}

/// B04: three early dialogs, then two 200s: the first has the call, the second gets ACK and BYE.
#[test]
fn b04_three_forks_and_two_answers() {
    let mut proxy = Proxy::called(Calling::default());
    proxy.say("a", 180, None, None);
    proxy.say("b", 183, None, Some(&sdp(42_000, "8")));
    proxy.say("c", 183, None, Some(&sdp(43_000, "8")));
    assert_eq!(proxy.company_port(), Some(43_000), "the latest that described is heard");
    proxy.say("b", 200, None, Some(&sdp(42_000, "8")));
    proxy.say("c", 200, None, Some(&sdp(43_000, "8")));
    assert_eq!(proxy.company_port(), Some(42_000));
    insta::assert_snapshot!(proxy.settle());
    assert_eq!((proxy.bodies("ACK", "c").len(), proxy.bodies("BYE", "c").len()), (1, 1));
    assert_eq!((proxy.finals(), proxy.world.ended().len()), (vec![200], 1));
}
