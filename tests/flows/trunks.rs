//! What a trunk's calls may talk with, and what its messages may come over.

use std::fmt::Write as _;

use leaseline::core::agent::Flow;
use leaseline::core::b2bua::Input;
use leaseline::core::locate::Hop;
use leaseline::wire::sip::Message;
use rsip::Transport;

use crate::SECOND;
use crate::world::login::{LOGIN, invite};
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, US, World};

/// The carrier's calls with `caller`, those to the shop through the trunk `pbx` with `company`.
fn world(caller: &str, company: &str, shop: Answering) -> World {
    let config = CONFIG
        .replace("country = \"GB\"", &format!("country = \"GB\"\n{caller}"))
        .replace(r#""sip:sales@198.51.100.1:5060", "#, r#"{ uri = "sip:sales@198.51.100.1:5060", trunk = "pbx" }, "#)
        .replace(
            "[[company]]",
            &format!("[[trunk]]\nname = \"pbx\"\nmatch = [\"198.51.100.1\"]\n{company}\n[[company]]"),
        );
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(Answering { answer: Some((SECOND, 486)), ..Answering::default() }));
    world
}

fn description(formats: &str) -> String {
    format!(
        "v=0\r\no=phone 77 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 40000 RTP/AVP {formats}\r\n\
         a=rtpmap:101 telephone-event/8000\r\n"
    )
}

/// Formats of the last description that went there in a message which `is_it` likes.
fn told(world: &World, to: &str, is_it: impl Fn(&Message) -> bool) -> String {
    let mut told = "-".to_owned();
    for message in world.sent_to(to).iter().filter(|message| is_it(message)) {
        let body = String::from_utf8(message.body().to_vec()).expect("text");
        if let Some(line) = body.lines().find(|line| line.starts_with("m=audio")) {
            told = line.split(' ').skip(3).collect::<Vec<_>>().join(" ");
        }
    }
    told
}

fn is_invite(message: &Message) -> bool {
    message.method_token() == "INVITE" && message.is_request()
}

fn is_answer(message: &Message) -> bool {
    message.method_token() == "INVITE" && !message.is_request() && message.status() == 200
}

/// Which codecs cross, in which order, and what is refused.
#[test]
fn codecs_of_trunks() {
    let mut table = "caller's trunk | company's trunk | offered -> company hears | caller hears | outcome\n".to_owned();
    for (caller, company) in [
        ("", ""),
        (r#"["PCMA"]"#, ""),
        ("", r#"["PCMA"]"#),
        (r#"["PCMA", "PCMU"]"#, r#"["PCMU", "PCMA"]"#),
        (r#"["pcmu", "pcma"]"#, ""),
        (r#"["PCMA"]"#, r#"["PCMU"]"#),
    ] {
        for offered in ["8 0 101", "0 8 101", "0 101", "8"] {
            let key = |list: &str| if list.is_empty() { String::new() } else { format!("codecs = {list}") };
            let answer = offered.to_owned();
            let shop = Answering { sdp: Some(description(&answer)), ..Answering::default() };
            let mut world = world(&key(caller), &key(company), shop);
            let call = world.dial(Calling { sdp: Some(description(offered)), ..Calling::default() });
            world.settle();
            let finals = world.phone(CARRIER).dialogs[&call].finals.clone();
            let outcome = match world.ended().first() {
                Some(ended) => format!(
                    "{} {}",
                    ended.sip_status.unwrap_or_default(),
                    ended.media.as_ref().and_then(|media| media.codec.clone()).unwrap_or_default()
                ),
                None => format!("{finals:?} {}", world.refused.join(" ")),
            };
            let (shop, carrier) = (told(&world, SHOP, is_invite), told(&world, CARRIER, is_answer));
            writeln!(table, "{caller:<16} | {company:<16} | {offered:<7} -> {shop:<7} | {carrier:<7} | {outcome}")
                .expect("text");
        }
    }
    insta::assert_snapshot!(table);
}

/// A re-INVITE with nothing that the other side's trunk may talk with crosses as what it may: the call is transcoded.
#[test]
fn a_new_offer_keeps_to_the_lists() {
    let mut world = world("", r#"codecs = ["PCMA"]"#, Answering::default());
    let script = vec![(SECOND, Do::Describe(description("0 101"))), (3 * SECOND, Do::Describe(description("0 8 101")))];
    let call = world.dial(Calling { script, ..Calling::default() });
    world.settle();
    let heard: Vec<u16> = world.phone(CARRIER).dialogs[&call].heard.iter().map(|(_, status)| *status).collect();
    assert_eq!(heard[..2], [200, 200]);
    assert_eq!(told(&world, SHOP, is_invite), "8 101");
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
}

/// The company makes the offer: it is limited for the caller.
#[test]
fn a_late_offer_keeps_to_the_lists() {
    let shop = Answering { sdp: Some(description("8 0 101")), ..Answering::default() };
    let mut world = world(r#"codecs = ["PCMU"]"#, r#"codecs = ["PCMA", "PCMU"]"#, shop);
    let call = world.dial(Calling { offers: false, sdp: Some(description("0 101")), ..Calling::default() });
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    assert_eq!(told(&world, CARRIER, is_answer), "0 101");
}

/// The carrier may come over TCP only: what it sends by UDP is not even answered.
#[test]
fn a_trunk_over_the_wrong_transport_is_a_stranger() {
    let config = CONFIG.replace(
        "listen = [\"udp://203.0.113.1:5060\"]",
        "listen = [\"udp://203.0.113.1:5060\", \"tcp://203.0.113.1:5060\"]",
    );
    let config = config.replace("country = \"GB\"", "country = \"GB\"\ntransports = [\"tcp\"]");
    let mut world = World::new(7, &config);
    world.add(SHOP, Phone::new(Answering::default()));
    world.inject(CARRIER, &invite(CARRIER, "udp", 1, None));
    world.inject(CARRIER, b"OPTIONS sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKo\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.10>;tag=1\r\nTo: <sip:203.0.113.1>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n\
        Content-Length: 0\r\n\r\n");
    world.pass(3 * SECOND);
    assert!(world.sent_to(CARRIER).is_empty(), "{}", world.ladder());
    let (local, remote) = (US.parse().expect("one"), CARRIER.parse().expect("one"));
    let flow = Flow { transport: Transport::Tcp, local, remote, connection: 3, name: None };
    world.input(Input::Datagram(flow, invite(CARRIER, "tcp", 1, None).into()));
    world.pass(SECOND);
    assert_eq!(world.us.live().len(), 1);
    // In its dialog it may say BYE as it likes: the way of a dialog is ours to choose.
    world.us.handle(world.now, Input::HangUpAll("test"));
}

/// A name with two places: the one over a transport that the trunk may not use is passed over.
#[test]
fn calls_go_out_over_what_the_trunk_may_use() {
    let config = CONFIG
        .replace("listen = [\"udp://203.0.113.1:5060\"]", "listen = [\"udp://203.0.113.1:5060\", \"tcp://203.0.113.1:5060\"]")
        .replace(r#""sip:sales@198.51.100.1:5060", "#, r#"{ number = "+442079460999", trunk = "pbx" }, "#)
        .replace(
            "[[company]]",
            "[[trunk]]\nname = \"pbx\"\nmatch = [\"198.51.100.9\"]\naddress = \"sip:pbx.example\"\ntransports = [\"udp\"]\n[[company]]",
        );
    let place = |transport, address: &str| Hop { transport, remote: address.parse().expect("one"), name: None };
    for (places, went) in [
        (vec![place(Transport::Tcp, OFFICE), place(Transport::Udp, SHOP)], [1, 0]),
        (vec![place(Transport::Tcp, SHOP)], [0, 1]),
    ] {
        let mut world = World::new(7, &config);
        world.names.insert("pbx.example".to_owned(), places);
        for phone in [CARRIER, SHOP, OFFICE] {
            world.add(phone, Phone::new(Answering::default()));
        }
        world.dial(Calling::default());
        world.settle();
        assert_eq!([SHOP, OFFICE].map(|phone| world.phone(phone).dialogs.len()), went, "{}", world.ladder());
    }
}

/// `nat` of the trunk holds for the calls that go out through it: media may be learned, requests go to the packets' source.
#[test]
fn nat_of_a_trunk_holds_for_both_directions() {
    for (caller, company, nat) in
        [("", "", [false, false]), ("nat = true", "", [true, false]), ("", "nat = true", [false, true])]
    {
        let mut world = world(caller, company, Answering::default());
        world.dial(Calling::default());
        world.pass(3 * SECOND);
        let remotes = world.media.values().next().expect("a call").remotes.clone();
        assert_eq!(remotes.map(|remote| remote.expect("it has spoken").nat), nat);
        world.settle();
    }
}

/// The right password over the wrong transport: silence.
#[test]
fn a_login_over_the_wrong_transport_is_no_login() {
    use crate::world::login::{HOME, URI, authorization};
    let config =
        format!("{CONFIG}{LOGIN}").replace("name = \"office\"\n", "name = \"office\"\ntransports = [\"tls\"]\n");
    let mut world = World::new(7, &config);
    world.add(SHOP, Phone::new(Answering::default()));
    world.inject(HOME, &invite(HOME, "call", 1, None));
    world.pass(SECOND);
    let refusal = world.last_answer(HOME).expect("we ask before we know who it is");
    assert_eq!(refusal.status(), 401);
    let login = authorization(&refusal, "INVITE", URI, "correct horse", "00000001");
    let before = world.sent_to(HOME).len();
    world.inject(HOME, &invite(HOME, "call", 2, Some(&login)));
    world.pass(SECOND);
    assert_eq!((world.sent_to(HOME).len(), world.us.live().len()), (before, 0));
}
