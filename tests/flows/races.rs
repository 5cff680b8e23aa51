//! Races and broken dialogs: what the whole machine makes of messages that are lost, late, wrong or come twice. One final
//! response to the caller, nobody left answered alone, one end, and nothing left: `settle` looks for that each time.

use std::time::Duration;

use leaseline::core::event::Body;
use leaseline::wire::sip::Message;

use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};
use crate::{SECOND, world};

const MS: Duration = Duration::from_millis(1);

/// Says nothing at all.
fn mute() -> Answering {
    Answering { ringing: Vec::new(), answer: None, trying: false, ..Answering::default() }
}

/// What a side got from us: methods and statuses.
fn said(world: &World, address: &str) -> Vec<String> {
    let word = |message: &Message| match message.is_request() {
        true => message.method_token().to_owned(),
        false => message.status().to_string(),
    };
    world.sent_to(address).iter().map(word).collect()
}

fn count(words: &[String], wanted: &str) -> usize {
    words.iter().filter(|word| *word == wanted).count()
}

/// A request of the caller that no phone's logic made, within its call.
fn within(world: &World, method: &str, cseq: u32, from: &str, body: &str) -> Vec<u8> {
    let ok = world.sent_to(CARRIER).into_iter().find(|message| message.status() == 200).expect("a 200");
    let line = |name| ok.header(name).expect("there").to_owned();
    let (from_line, to_line, call_id) = (line("From"), line("To"), line("Call-ID"));
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:203.0.113.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: {from_line}\r\nTo: {to_line}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
         {content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The caller hears 487 at once; the CANCEL waits for a first response of the company, and what comes instead is undone.
#[test]
fn b02_cancel_before_any_answer_of_the_company() {
    let mut all = String::new();
    for (what, shop) in [
        ("nothing comes", mute()),
        ("the 100 was lost, 180 comes", Answering { ringing: vec![(2 * SECOND, 180, false)], ..mute() }),
        ("200 comes instead", Answering { answer: Some((2 * SECOND, 200)), ..mute() }),
    ] {
        let mut world = world(shop, Answering::default());
        let call = world.dial(Calling { cancel: Some(200 * MS), ..Calling::default() });
        world.pass(250 * MS);
        assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [487], "{what}");
        all += &format!("── {what}\n{}", world.settle());
        assert_eq!(world.ended()[0].outcome.map(|outcome| outcome.as_str()), Some("cancelled"));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn b03_cancel_after_our_200_changes_nothing() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling::default());
    world.pass(3 * SECOND);
    let invite = world.sent.first().map(|(_, _, bytes)| Message::parse(bytes.clone()).expect("ours")).expect("INVITE");
    let via = invite.header("Via").expect("there").to_owned();
    let cancel = |via: &str| {
        let line = |name| invite.header(name).expect("there");
        let (from, to, call_id) = (line("From"), line("To"), line("Call-ID"));
        format!(
            "CANCEL {} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n",
            invite.request_uri()
        )
    };
    let mut heard = Vec::new();
    for (from, via) in [(CARRIER, via.as_str()), (CARRIER, "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnobody")] {
        let before = said(&world, from).len();
        world.inject(from, cancel(via).as_bytes());
        world.pass(100 * MS);
        heard.extend(said(&world, from).split_off(before));
    }
    assert_eq!(heard, ["200", "481"]);
    assert_eq!(world.counts().calls, 1, "the call goes on");
    world.settle();
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
}

/// Our ACK was lost: each copy of the 200 gets it again, also when its transaction is long gone. Nobody is told twice.
#[test]
fn b05_copies_of_the_200_get_the_ack_again() {
    let again = |at| (at, Do::Again);
    let timed = vec![again(1_500 * MS), again(21 * SECOND), again(50 * SECOND)];
    let mut world = world(Answering { timed, ..Answering::default() }, Answering::default());
    world.dial(Calling { hang_up: Some(60 * SECOND), ..Calling::default() });
    world.settle();
    assert_eq!(count(&said(&world, SHOP), "ACK"), 4);
    let told: Vec<&str> = world.events.iter().map(|event| event.body.kind()).collect();
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn b06_our_200_is_repeated_for_32_seconds_and_then_it_is_over() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { acknowledges: false, hang_up: None, ..Calling::default() });
    world.settle();
    let (caller, company) = (said(&world, CARRIER), said(&world, SHOP));
    assert_eq!((count(&caller, "200"), count(&caller, "BYE"), count(&company, "BYE")), (11, 1, 1));
    let ended = world.ended()[0];
    assert_eq!((ended.reason.as_deref(), ended.talk_ms), (Some("no_ack"), 32_000));
    assert!(ended.recording.as_ref().is_some_and(|recording| recording.path.is_some()), "the recording is kept");
}

#[test]
fn b07_an_ack_after_the_end_is_absorbed() {
    let mut world = world(Answering::default(), Answering::default());
    world.dial(Calling { ack_after: 4 * SECOND, hang_up: Some(SECOND), ..Calling::default() });
    world.pass(4 * SECOND);
    assert_eq!(world.counts().calls, 0, "the caller has hung up");
    let before = said(&world, CARRIER).len();
    world.pass(5 * SECOND);
    world.inject(CARRIER, &within(&world, "ACK", 9, CARRIER, ""));
    let lost =
        String::from_utf8(within(&world, "ACK", 1, CARRIER, "")).expect("text").replace("Call-ID: ", "Call-ID: x");
    world.inject(CARRIER, lost.as_bytes());
    world.settle();
    assert_eq!(said(&world, CARRIER).len(), before, "nothing is said to them, and the 200 is not repeated");
}

/// Whatever comes of a BYE, the call has ended when it went out, once.
#[test]
fn b08_what_comes_of_a_bye() {
    let mut table = String::new();
    for (what, shop) in [
        ("200", Answering::default()),
        ("481", Answering { bye_status: 481, ..Answering::default() }),
        ("408", Answering { bye_status: 408, ..Answering::default() }),
        ("500", Answering { bye_status: 500, ..Answering::default() }),
        ("nothing", Answering { mute_bye: true, ..Answering::default() }),
    ] {
        let mut world = world(shop, Answering::default());
        world.dial(Calling::default());
        world.settle();
        let (ended, byes) = (world.ended(), count(&said(&world, SHOP), "BYE"));
        let (reason, at) = (ended[0].reason.as_deref().unwrap_or_default(), ended[0].talk_ms);
        table += &format!("{what:<8} BYE {byes} times, ended {} time by {reason} after {at} ms\n", ended.len());
    }
    insta::assert_snapshot!(table);
}

/// An ACK with another number acknowledges something else; the description of a late one changes nothing.
#[test]
fn b15_acks_that_are_not_ours_and_late_ones() {
    let mut wrong = world(Answering::default(), Answering::default());
    wrong.dial(Calling { acknowledges: false, hang_up: None, ..Calling::default() });
    wrong.pass(2 * SECOND);
    wrong.inject(CARRIER, &within(&wrong, "ACK", 2, CARRIER, ""));
    wrong.settle();
    assert_eq!(wrong.ended()[0].reason.as_deref(), Some("no_ack"));

    let mut late = world(Answering::default(), Answering::default());
    late.dial(Calling { acknowledges: false, hang_up: None, ..Calling::default() });
    late.pass(10 * SECOND);
    let remotes = |world: &World| world.media.values().next().expect("media").remotes.clone();
    let before = remotes(&late);
    let other = "v=0\r\no=- 9 9 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
    late.inject(CARRIER, &within(&late, "ACK", 1, CARRIER, other));
    late.pass(SECOND);
    assert_eq!(remotes(&late), before, "the offer was answered long ago");
    let copies = count(&said(&late, CARRIER), "200");
    late.pass(20 * SECOND);
    assert_eq!((count(&said(&late, CARRIER), "200"), late.counts().calls), (copies, 1), "it was acknowledged");
    late.input(leaseline::core::b2bua::Input::HangUpAll("test"));
    late.settle();
}

/// The caller's address changes: the dialog is found by its tags, answers go to the new source, strangers are not heard,
/// and another call of the same peer goes on as it was.
#[test]
fn b19_the_caller_moves() {
    let (moved, stranger) = ("192.0.2.20:6060", "198.18.0.9:5060");
    let mut world = world(Answering::default(), Answering::default());
    let first = world.dial(Calling { hang_up: None, ..Calling::default() });
    world.pass(3 * SECOND);
    let other = world.dial(Calling { hang_up: Some(30 * SECOND), ..Calling::default() });
    world.pass(3 * SECOND);
    world.inject(stranger, &within(&world, "OPTIONS", 5, stranger, ""));
    world.inject(stranger, &within(&world, "BYE", 6, stranger, ""));
    world.pass(SECOND);
    assert_eq!((said(&world, stranger).len(), world.counts().calls), (0, 2));
    world.inject(moved, &within(&world, "OPTIONS", 7, moved, ""));
    world.pass(SECOND);
    world.inject(moved, &within(&world, "BYE", 8, moved, ""));
    world.pass(SECOND);
    assert_eq!((said(&world, moved), world.counts().calls), (vec!["200".to_owned(); 2], 1));
    assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
    world.phone(CARRIER).dialogs.get_mut(&first).expect("the call").up = false;
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&other].finals, [200]);
    assert_eq!(world.ended().len(), 2);
}

/// 100, 180 or 183 and then nothing, at each destination.
#[test]
fn b21_one_response_and_then_nothing() {
    let mut table = String::new();
    for (what, answering) in [
        ("100", Answering { trying: true, ..mute() }),
        ("180", Answering { ringing: vec![(100 * MS, 180, false)], ..mute() }),
        ("183", Answering { ringing: vec![(100 * MS, 183, true)], ..mute() }),
        ("183 reliably", Answering { ringing: vec![(100 * MS, 183, true)], reliable: true, ..mute() }),
    ] {
        let mut world = world(answering.clone(), answering);
        let call = world.dial(Calling::default());
        world.settle();
        let finals = world.phone(CARRIER).dialogs[&call].finals.clone();
        let cancels = [SHOP, OFFICE].map(|at| count(&said(&world, at), "CANCEL"));
        let reason = world.ended()[0].reason.clone().unwrap_or_default();
        table += &format!("{what:<13} -> {finals:?} {reason}, CANCEL {cancels:?}\n");
    }
    insta::assert_snapshot!(table);
}

/// Five thousand calls whose ring time ends in the same millisecond: each is refused once and ends once.
#[test]
fn b29_five_thousand_timers_in_one_millisecond() {
    const CALLS: usize = 5_000;
    let config = CONFIG
        .replace("[media]", "calls_max = 6000\n[media]\nports = \"10000-59999\"")
        .replace(", \"sip:{number}@198.51.100.2:5060\"", "")
        .replace("ring_timeout = \"20s\"", "ring_timeout = \"5s\"");
    let mut world = World::new(7, &config);
    for index in 0..CALLS {
        let invite = format!(
            "INVITE sip:+442079460500@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{index}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:07700900123@192.0.2.10>;tag={index}\r\nTo: <sip:+442079460500@203.0.113.1>\r\n\
             Call-ID: {index}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@{CARRIER}>\r\nContent-Length: 0\r\n\r\n"
        );
        world.inject(CARRIER, invite.as_bytes());
    }
    world.pass(SECOND);
    assert_eq!(world.counts().calls, CALLS);
    world.pass(5 * SECOND);
    let mut ended = std::collections::BTreeMap::new();
    for event in world.events.iter().filter(|event| matches!(event.body, Body::CallEnded(_))) {
        let times: &mut Vec<_> = ended.entry(event.subject.clone()).or_default();
        times.push(event.time);
    }
    assert_eq!(ended.len(), CALLS);
    assert!(ended.values().all(|times| times.len() == 1), "none ends twice");
    let all: std::collections::BTreeSet<_> = ended.values().flatten().collect();
    assert_eq!(all.len(), 1, "all in one moment: {all:?}");
    assert!(world.run(Duration::from_secs(300)), "quiet");
    assert_eq!(world.counts(), Default::default());
}

/// A destination that leads back to us by another way. Each round is a hop less, nobody tries a second destination, and
/// with Max-Forwards used up it is over.
#[test]
fn b20_a_loop_ends_with_the_hops() {
    let config = CONFIG.replace("match = [\"192.0.2.0/24\"]", "match = [\"192.0.2.0/24\", \"198.51.100.0/24\"]");
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    let call = world.dial(Calling { hang_up: None, ..Calling::default() });
    let (mut read, mut rounds) = (0, Vec::new());
    // What we send to the shop comes back to us from there, and our answers to that are its answers.
    for _ in 0..600 {
        world.pass(10 * MS);
        let sent = world.sent_to(SHOP).split_off(read);
        read += sent.len();
        for message in sent {
            let text = String::from_utf8(message.bytes().to_vec()).expect("text");
            let returned = match message.is_request() {
                true => {
                    let hops = message.max_forwards().expect("readable");
                    if message.method_token() == "INVITE" && !rounds.contains(&hops) {
                        rounds.push(hops);
                    }
                    // Its media is elsewhere, else our own address in it would tell.
                    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
                    let text = format!("{head}\r\n\r\n{}", body.replace("203.0.113.1", "198.51.10.1"));
                    let (_, rest) = text.split_once("\r\n").expect("lines");
                    let branch = message.top_via().expect("valid").branch().unwrap_or("").to_owned();
                    let via = format!("Via: SIP/2.0/UDP {SHOP};branch=z9hG4bKround{branch}");
                    format!("{} sip:+442079460500@203.0.113.1 SIP/2.0\r\n{via}\r\n{rest}", message.method_token())
                }
                // Without the Via that it put on top.
                false => {
                    let at = text.find("Via: ").expect("a Via");
                    let end = at + text[at..].find("\r\n").expect("a line") + 2;
                    format!("{}{}", &text[..at], &text[end..])
                }
            };
            world.inject(SHOP, returned.as_bytes());
        }
    }
    assert!(rounds.len() <= 70 && rounds.len() > 1, "{} rounds", rounds.len());
    assert_eq!(world.sent_to(OFFICE).len(), 0, "nobody tries another destination");
    let finals = world.phone(CARRIER).dialogs[&call].finals.clone();
    assert!(matches!(finals.as_slice(), [482 | 483]), "{finals:?} after {} rounds", rounds.len());
    world.settle();
}

/// RFC 5393: what rings at once shares the breadth that the caller's side allows; what has none left rings one by one.
#[test]
fn b20_breadth_is_shared() {
    let parallel = CONFIG.replace("ring_timeout", "strategy = \"parallel\"\nring_timeout");
    let breadth = |config: &str, asked: Option<&str>| {
        let mut world = World::new(7, config);
        for address in [CARRIER, SHOP, OFFICE] {
            world.add(address, Phone::new(Answering { answer: Some((SECOND, 486)), ..Answering::default() }));
        }
        let headers = asked.map(|asked| ("Max-Breadth", asked.to_owned())).into_iter().collect();
        world.dial(Calling { headers, ..Calling::default() });
        world.pass(500 * MS);
        let at_once = world.sent_to(OFFICE).len();
        world.settle();
        let heard = [SHOP, OFFICE].map(|at| world.sent_to(at)[0].header("Max-Breadth").map(str::to_owned));
        (heard.map(|heard| heard.unwrap_or_default()), at_once > 0)
    };
    let both = |each: &str| [each.to_owned(), each.to_owned()];
    assert_eq!(breadth(CONFIG, None), (both(""), false));
    assert_eq!(breadth(CONFIG, Some("7")), (both("7"), false));
    assert_eq!(breadth(&parallel, None), (both("30"), true));
    assert_eq!(breadth(&parallel, Some("5")), (both("2"), true));
    assert_eq!(breadth(&parallel, Some("1")), (both("1"), false));
}
