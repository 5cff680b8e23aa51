//! B30, B16: every input in every state of a call, as a picture: what either side is sent at once, and where the call
//! stands then. What is ignored stands there as a dash.

use std::time::Duration;

use leaseline::core::b2bua::Input;
use leaseline::core::media::MediaNotice;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

/// A call that has come so far, and its Call-IDs at the caller's and at the company's phone.
struct Stand {
    world: World,
    caller: String,
    company: String,
}

const STATES: [&str; 16] = [
    "ringing",
    "early media",
    "the 183 waits for its PRACK",
    "the company's offer waits for the PRACK",
    "the 200 waits for the PRACK",
    "answered, no ACK",
    "answered with an offer, no ACK",
    "talking",
    "the caller's re-INVITE crosses",
    "the company's re-INVITE crosses",
    "the caller's UPDATE crosses",
    "the answer to an offer of the company is due",
    "an offer of ours is out",
    "INFO crosses",
    "the target of a transfer rings",
    "the referrer has left, the target rings",
];

fn stand(state: &str) -> Stand {
    let quiet = |ringing: u16| Answering {
        ringing: vec![(Duration::from_millis(100), ringing, ringing == 183)],
        answer: None,
        ..Answering::default()
    };
    let allow = || vec![("Allow", "INVITE, UPDATE".to_owned())];
    let refer = Do::Send("REFER", vec![("Refer-To", "<sip:201@198.51.100.2:5060>".to_owned())], None);
    let info = with_body("INFO", "text/plain", "hello");
    let talking = || Answering { headers: allow(), ..Answering::default() };
    let mut calling = Calling { headers: allow(), hang_up: None, ..Calling::default() };
    let (mut shop, mut pass) = (talking(), Duration::from_millis(2_500));
    let mut carrier = Answering::default();
    match state {
        "ringing" => (shop, pass) = (quiet(180), Duration::from_millis(500)),
        "early media" => (shop, pass) = (quiet(183), Duration::from_millis(500)),
        "the 183 waits for its PRACK" | "the company's offer waits for the PRACK" | "the 200 waits for the PRACK" => {
            calling.headers.push(("Supported", "100rel".to_owned()));
            calling.pracks = None;
            calling.offers = state != "the company's offer waits for the PRACK";
            (shop, pass) = (quiet(183), Duration::from_millis(500));
            shop.reliable = state != "the 200 waits for the PRACK";
            shop.answer = (!shop.reliable).then_some((Duration::from_millis(300), 200));
        }
        "answered, no ACK" => (calling.acknowledges, pass) = (false, Duration::from_millis(1_200)),
        "answered with an offer, no ACK" => {
            (calling.acknowledges, calling.offers, pass) = (false, false, Duration::from_millis(1_200));
        }
        "the caller's re-INVITE crosses" => {
            calling.script = vec![(SECOND, Do::Reinvite("sendonly"))];
            shop.reinvite_status = 100;
        }
        "the company's re-INVITE crosses" => {
            shop.script = vec![(SECOND, Do::Reinvite("sendonly"))];
            carrier.reinvite_status = 100;
        }
        "the caller's UPDATE crosses" => {
            calling.script = vec![(SECOND, Do::Update(Some("sendonly")))];
            shop.reinvite_status = 100;
        }
        // Fifteen milliseconds after the re-INVITE has left the caller, which hears the 200 when it is 1.02 s old.
        "the answer to an offer of the company is due" => {
            calling.script = vec![(SECOND, Do::Offerless)];
            pass = Duration::from_millis(2_036);
        }
        "an offer of ours is out" => {
            calling.script = vec![(SECOND, Do::Reinvite("sendonly"))];
            shop.reinvite_sdp = Some("hello".to_owned());
            pass = Duration::from_millis(2_036);
        }
        "INFO crosses" => {
            calling.script = vec![(SECOND, info)];
            shop.mute_info = true;
        }
        "the target of a transfer rings" => shop.script = vec![(SECOND, refer)],
        "the referrer has left, the target rings" => {
            shop.script = vec![(SECOND, refer), (Duration::from_millis(1_200), Do::HangUp)];
        }
        _ => {}
    }
    let config = CONFIG.replace("ring_timeout", "transfer = \"local\"\nring_timeout");
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(carrier));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(quiet(180)));
    let caller = world.dial(calling);
    world.pass(pass);
    let company = world.phone(SHOP).dialogs.keys().next().cloned().unwrap_or_default();
    Stand { world, caller, company }
}

fn with_body(method: &'static str, content_type: &'static str, body: &str) -> Do {
    Do::Send(method, Vec::new(), Some((content_type, body.to_owned())))
}

fn requests() -> Vec<(&'static str, Do)> {
    let bare = |method| Do::Send(method, Vec::new(), None);
    let header = |method, name, value: &str| Do::Send(method, vec![(name, value.to_owned())], None);
    vec![
        ("BYE", bare("BYE")),
        ("CANCEL", Do::Cancel),
        ("PRACK", bare("PRACK")),
        ("PRACK with a description", with_body("PRACK", "application/sdp", ANSWER)),
        ("re-INVITE", Do::Reinvite("sendonly")),
        ("re-INVITE without offer", Do::Offerless),
        ("re-INVITE with garbage", Do::Describe("hello".to_owned())),
        ("UPDATE", Do::Update(None)),
        ("UPDATE with an offer", Do::Update(Some("sendonly"))),
        ("INFO, DTMF", with_body("INFO", "application/dtmf-relay", "Signal=5\r\n")),
        ("INFO, text", with_body("INFO", "text/plain", "hello")),
        ("INFO, unknown type", with_body("INFO", "application/x", "x")),
        ("INFO, package", header("INFO", "Info-Package", "nil")),
        ("MESSAGE", with_body("MESSAGE", "text/plain", "hello")),
        ("REFER", header("REFER", "Refer-To", "<sip:202@198.51.100.2:5060>")),
        ("NOTIFY", header("NOTIFY", "Event", "refer")),
        ("OPTIONS", bare("OPTIONS")),
        ("SUBSCRIBE", header("SUBSCRIBE", "Event", "dialog")),
        ("INVITE with Replaces", header("INVITE", "Replaces", "x;to-tag=a;from-tag=b")),
        ("unknown method", bare("JUMP")),
    ]
}

const ANSWER: &str =
    "v=0\r\no=- 5 5 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n";

/// A PRACK acknowledges the last reliable response that its sender got from us.
fn acknowledging(world: &World, who: &str, what: Do) -> Do {
    let Do::Send("PRACK", _, body) = what else { return what };
    let sent = world.sent_to(who);
    let last = sent.iter().rev().find_map(|message| message.header("RSeq")).unwrap_or("1");
    Do::Send("PRACK", vec![("RAck", format!("{last} 1 INVITE"))], body)
}

/// What came of it, and the call's phase.
fn shown(stand: &mut Stand, before: [usize; 3]) -> String {
    let said: Vec<String> = [CARRIER, SHOP, OFFICE]
        .iter()
        .zip(before)
        .map(|(who, before)| {
            let sent = stand.world.sent_to(who);
            let new = sent.iter().skip(before).map(|message| match message.is_request() {
                true => message.method_token().to_owned(),
                false => message.status().to_string(),
            });
            new.collect::<Vec<_>>().join(" ")
        })
        .collect();
    let phase = stand.world.us.live().first().map_or("over", |live| live.phase);
    let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let target = if said[2].is_empty() { String::new() } else { format!("  target: {}", said[2]) };
    format!("caller: {:<14} company: {:<14}{target}  [{phase}]", word(&said[0]), word(&said[1]))
}

fn counts(world: &World) -> [usize; 3] {
    [CARRIER, SHOP, OFFICE].map(|who| world.sent_to(who).len())
}

#[test]
fn every_input_in_every_state() {
    let mut table = String::new();
    for state in STATES {
        table += &format!("── {state}\n");
        for who in [CARRIER, SHOP] {
            for (name, what) in requests() {
                let mut stand = stand(state);
                let before = counts(&stand.world);
                let call = if who == CARRIER { stand.caller.clone() } else { stand.company.clone() };
                let now = stand.world.now.mono;
                let what = acknowledging(&stand.world, who, what);
                let sent = stand.world.phone(who).perform(now, &call, what);
                for (to, bytes) in sent {
                    stand.world.send(who.parse().expect("an address"), to, bytes);
                }
                stand.world.pass(Duration::from_millis(7));
                let from = if who == CARRIER { "caller" } else { "company" };
                table += &format!("{from:<8}{name:<24} {}\n", shown(&mut stand, before));
                drained(stand);
            }
        }
        for (name, input) in [
            ("hang up", None),
            ("silence", Some(MediaNotice::Silent)),
            ("media crash", Some(MediaNotice::Crashed("x".to_owned()))),
            ("late ports", Some(MediaNotice::Refused("no_media_ports"))),
        ] {
            let mut stand = stand(state);
            let before = counts(&stand.world);
            let call = *stand.world.media.keys().next().expect("a call");
            stand.world.input(input.map_or(Input::HangUp(call, "test"), |notice| Input::Media(call, notice)));
            stand.world.pass(Duration::from_millis(7));
            table += &format!("us      {name:<24} {}\n", shown(&mut stand, before));
            drained(stand);
        }
    }
    insta::assert_snapshot!(table);
}

/// Whatever was asked, everything ends with zero left.
fn drained(mut stand: Stand) {
    stand.world.pass(40 * SECOND);
    stand.world.input(Input::HangUpAll("test"));
    assert!(stand.world.run(Duration::from_secs(600)), "not quiet\n{}", stand.world.ladder());
    assert_eq!(stand.world.counts(), Default::default(), "something is left\n{}", stand.world.ladder());
}
