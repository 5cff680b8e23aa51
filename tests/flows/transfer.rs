//! Transfers that the company's PBX asks for, and the ones that nobody may.

use std::time::Duration;

use leaseline::core::event::Body;
use leaseline::wire::sip::Message;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

fn world(mode: &str, shop: Answering, office: Answering) -> World {
    let company = format!("transfer = \"{mode}\"\nring_timeout");
    let trunk = if mode == "relay" { "transfer = \"relay\"\ncountry" } else { "country" };
    let config = CONFIG.replace("ring_timeout", &company).replace("country", trunk);
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(office));
    world
}

fn refer(to: &str) -> Do {
    Do::Send("REFER", vec![("Refer-To", to.to_owned()), ("Referred-By", "<sip:desk@198.51.100.1>".to_owned())], None)
}

fn referring(script: Vec<(Duration, Do)>) -> Answering {
    Answering { script, ..Answering::default() }
}

const OFFICE_201: &str = "<sip:201@198.51.100.2:5060>";

fn calling() -> Calling {
    Calling { hang_up: Some(20 * SECOND), ..Calling::default() }
}

/// The shop's first dialog.
fn shop(world: &mut World) -> &crate::world::phone::Dialog {
    world.phone(SHOP).dialogs.values().next().expect("a call")
}

fn transfers(world: &World) -> Vec<String> {
    let told = world.events.iter().filter_map(|event| match &event.body {
        Body::CallTransferred(data) => {
            Some(format!("{} {} -> {}", data.transfer.kind, data.transfer.from, data.transfer.to))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn blind_transfer_carried_out() {
    let script = vec![(SECOND, Do::Reinvite("sendonly")), (2 * SECOND, refer(OFFICE_201))];
    let mut world = world("local", referring(script), Answering::default());
    let call = world.dial(calling());
    insta::assert_snapshot!(world.settle());
    assert_eq!(transfers(&world), ["blind sip:sales@198.51.100.1:5060 -> sip:201@198.51.100.2:5060"]);
    assert_eq!(shop(&mut world).byes, 1);
    let ended = world.ended()[0];
    assert_eq!(ended.transfers.len(), 1);
    assert_eq!(ended.forwarded_to.as_deref(), Some("sip:201@198.51.100.2:5060"));
    assert_eq!(world.phone(CARRIER).dialogs[&call].heard_direction, "sendrecv", "the hold is over");
    let notified = world.phone(SHOP).dialogs.values().next().map(|dialog| dialog.notified.clone());
    insta::assert_debug_snapshot!("blind_transfer_notices", notified);
}

/// Many PBXs hang up as soon as they hear 202, or 200 in a NOTIFY.
#[test]
fn the_referrer_leaves_early() {
    for leaves in [Duration::from_millis(2_050), Duration::from_millis(2_400), 4 * SECOND] {
        let script = vec![(2 * SECOND, refer(OFFICE_201)), (leaves, Do::HangUp)];
        let mut world = world("local", referring(script), Answering::default());
        world.dial(calling());
        world.settle();
        assert_eq!(transfers(&world).len(), 1, "{leaves:?}");
        assert_eq!(world.ended()[0].reason.as_deref(), Some("caller_hung_up"));
    }
}

#[test]
fn the_referrer_leaves_and_nobody_answers() {
    let script = vec![(2 * SECOND, refer(OFFICE_201)), (Duration::from_millis(2_100), Do::HangUp)];
    let busy = Answering { answer: Some((SECOND, 486)), ..Answering::default() };
    let mut world = world("local", referring(script), busy);
    world.dial(calling());
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.ended()[0].reason.as_deref(), Some("transfer_failed"));
}

#[test]
fn a_transfer_that_fails_leaves_all_as_it_was() {
    let mut table = String::new();
    for status in [404, 486, 488, 302, 503, 600] {
        let office = Answering { answer: Some((SECOND, status)), ..Answering::default() };
        let mut world = world("local", referring(vec![(2 * SECOND, refer(OFFICE_201))]), office);
        world.dial(calling());
        world.settle();
        assert!(transfers(&world).is_empty());
        let last = shop(&mut world).notified.last().cloned().unwrap_or_default();
        let reason = world.ended()[0].reason.clone().unwrap_or_default();
        table += &format!("{status}: {last}; the call ends by {reason}\n");
    }
    let mut world = world(
        "local",
        referring(vec![(2 * SECOND, refer(OFFICE_201))]),
        Answering { answer: None, ..Answering::default() },
    );
    world.dial(Calling { hang_up: Some(60 * SECOND), ..calling() });
    world.settle();
    table += &format!("nobody: {}\n", shop(&mut world).notified.last().cloned().unwrap_or_default());
    insta::assert_snapshot!(table);
}

/// D06, D07: what may not be called, and who may not ask. No INVITE leaves.
#[test]
fn refused_transfers() {
    let mut table = String::new();
    for (mode, to) in [
        ("refuse", OFFICE_201),
        ("relay", "<sip:201@198.51.100.2?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>"),
        ("local", "<sip:201@192.0.2.66>"),
        ("local", "<sip:+882123456789@198.51.100.2>"),
        ("local", "<sip:201@203.0.113.1>"),
        ("local", "<sip:201@198.51.100.2:5060>, <sip:202@198.51.100.2>"),
        ("local", "<tel:+15550199>"),
        ("local", "<sip:201@198.51.100.2;method=BYE>"),
        ("local", "<sip:201@198.51.100.2;transport=sctp>"),
        ("local", "nonsense"),
    ] {
        let mut world = world(mode, referring(vec![(SECOND, refer(to))]), Answering::default());
        world.dial(calling());
        world.settle();
        assert!(world.phone(OFFICE).dialogs.is_empty(), "{to}");
        table += &format!("{mode} {to}: {:?}\n", shop(&mut world).heard);
    }
    for mode in ["refuse", "local"] {
        let mut world = world(mode, Answering::default(), Answering::default());
        let call = world.dial(Calling { script: vec![(SECOND, refer(OFFICE_201))], ..calling() });
        world.settle();
        assert!(world.phone(OFFICE).dialogs.is_empty());
        table += &format!("{mode}, from the caller: {:?}\n", world.phone(CARRIER).dialogs[&call].heard[0]);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn refer_sub_false_makes_no_subscription() {
    let refer = Do::Send("REFER", vec![("Refer-To", OFFICE_201.to_owned()), ("Refer-Sub", "false".to_owned())], None);
    let mut world = world("local", referring(vec![(SECOND, refer)]), Answering::default());
    world.dial(calling());
    world.settle();
    assert!(shop(&mut world).notified.is_empty());
    assert_eq!(transfers(&world).len(), 1);
}

/// The consultation call is inside the PBX: its Replaces goes to the target as it came.
#[test]
fn attended_transfer_to_a_dialog_of_the_pbx() {
    let to = "<sip:201@198.51.100.2:5060?Replaces=inner%40pbx%3Bto-tag%3Dt1%3Bfrom-tag%3Df1>";
    let mut world = world("local", referring(vec![(SECOND, refer(to))]), Answering::default());
    world.dial(calling());
    world.settle();
    let invite = world.phone(OFFICE).dialogs.values().next().and_then(|dialog| dialog.invite.clone()).expect("called");
    assert_eq!(invite.header("Replaces"), Some("inner@pbx;to-tag=t1;from-tag=f1"));
    assert_eq!(invite.header("Referred-By"), Some("<sip:desk@198.51.100.1>"));
    assert_eq!(transfers(&world), ["attended sip:sales@198.51.100.1:5060 -> sip:201@198.51.100.2:5060"]);
}

/// Many PBXs send REFER only to who names it.
#[test]
fn allow_and_supported_say_which_transfers_are_taken() {
    let mut table = String::new();
    for mode in ["refuse", "relay", "local"] {
        let mut world = world(mode, Answering::default(), Answering::default());
        world.dial(calling());
        world.settle();
        let to_caller = world.sent.iter().filter(|(_, to, _)| *to == CARRIER.parse().expect("an address"));
        let answer = to_caller
            .filter_map(|(.., bytes)| Message::parse(bytes.clone()).ok())
            .find(|message| message.status() == 200 && message.method_token() == "INVITE")
            .expect("an answer");
        let invite = shop(&mut world).invite.clone().expect("an INVITE");
        for (what, message) in [("INVITE to the company", invite), ("200 to the caller", answer)] {
            let (allow, supported) = (message.header("Allow").unwrap_or(""), message.header("Supported").unwrap_or(""));
            table += &format!("{mode}, {what}: {allow} | {supported}\n");
        }
    }
    insta::assert_snapshot!(table);
}

/// The target's trunk logs in with its own password; a target that is no trunk hears of none.
#[test]
fn a_transfer_logs_in_where_its_target_is() {
    let challenge = "Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"".to_owned();
    for (network, logs_in) in [("198.51.100.2", true), ("198.51.100.1", false)] {
        let pbx = format!(
            "[[trunk]]\nname = \"pbx\"\nmatch = [\"{network}\"]\n[trunk.credentials]\nuser = \"us\"\npassword = \"x1y2\"\n"
        );
        let config = CONFIG.replace("ring_timeout", "transfer = \"local\"\nring_timeout") + &pbx;
        let mut world = World::new(7, &config);
        world.add(CARRIER, Phone::new(Answering::default()));
        world.add(SHOP, Phone::new(referring(vec![(SECOND, refer(OFFICE_201))])));
        world.add(
            OFFICE,
            Phone::new(Answering {
                answer: Some((SECOND, 401)),
                headers: vec![("WWW-Authenticate", challenge.clone())],
                ..Answering::default()
            }),
        );
        world.dial(calling());
        world.settle();
        let invite = world.phone(OFFICE).dialogs.values().next().and_then(|dialog| dialog.invite.clone());
        let invite = invite.expect("called");
        assert_eq!(invite.header("Authorization").is_some(), logs_in, "{network}");
    }
}

#[test]
fn the_caller_hangs_up_while_it_is_transferred() {
    let office = Answering { answer: Some((10 * SECOND, 200)), ..Answering::default() };
    let mut world = world("local", referring(vec![(SECOND, refer(OFFICE_201))]), office);
    world.dial(Calling { hang_up: Some(4 * SECOND), ..calling() });
    insta::assert_snapshot!(world.settle());
}

#[test]
fn a_relayed_refer_and_its_notifies() {
    let notify = |state: &str, text: &str| {
        let headers = vec![("Event", "refer".to_owned()), ("Subscription-State", state.to_owned())];
        Do::Send("NOTIFY", headers, Some(("message/sipfrag;version=2.0", text.to_owned())))
    };
    let mut world =
        world("relay", referring(vec![(SECOND, refer("<sip:+442079460111@192.0.2.10>"))]), Answering::default());
    let script = vec![
        (2 * SECOND, notify("active;expires=60", "SIP/2.0 100 Trying\r\n")),
        (3 * SECOND, notify("terminated;reason=noresource", "SIP/2.0 200 OK\r\n")),
        (4 * SECOND, notify("terminated", "SIP/2.0 200 OK\r\n")),
    ];
    let call = world.dial(Calling { script, ..calling() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.phone(CARRIER).dialogs[&call].referred, ["<sip:+442079460111@192.0.2.10>"]);
    assert_eq!(shop(&mut world).notified.len(), 2);
    let heard = &world.phone(CARRIER).dialogs[&call].heard;
    assert_eq!(heard.iter().map(|(_, status)| *status).take(3).collect::<Vec<_>>(), [200, 200, 481]);
}

/// Another phone of the PBX takes the call over (RFC 3891).
#[test]
fn an_invite_with_replaces_takes_over() {
    let mut table = String::new();
    for (mode, change) in [
        ("local", ""),
        ("refuse", ""),
        ("local", "early-only"),
        ("local", "unknown"),
        ("local", "stranger"),
        ("local", "no offer"),
    ] {
        let mut world = world(mode, Answering::default(), Answering::default());
        world.dial(calling());
        world.pass(3 * SECOND);
        let (call_id, ours, theirs) = {
            let dialog = shop(&mut world);
            let invite = dialog.invite.clone().expect("an INVITE");
            let ours = invite.from().expect("valid").tag().unwrap_or("").to_owned();
            let call_id = invite.call_id().expect("valid").to_owned();
            (call_id.clone(), ours, format!("to-{call_id}"))
        };
        let theirs = if change == "unknown" { "other".to_owned() } else { theirs };
        let early = if change == "early-only" { ";early-only" } else { "" };
        let replaces = format!("{call_id};to-tag={ours};from-tag={theirs}{early}");
        let from = if change == "stranger" { OFFICE } else { SHOP };
        let calling = Calling {
            request_uri: "sip:203.0.113.1".into(),
            headers: vec![("Replaces", replaces), ("Require", "replaces".to_owned())],
            offers: change != "no offer",
            call_id: Some("takeover".to_owned()),
            ..calling()
        };
        let (now, us) = (world.now.mono, world.us_at);
        let (new, sent) = world.phone(from).call(now, us, calling);
        for (to, bytes) in sent {
            world.send(from.parse().expect("an address"), to, bytes);
        }
        let ladder = world.settle();
        let finals = world.phone(from).dialogs[&new].finals.clone();
        let old_byes = world.phone(SHOP).dialogs[&call_id].byes;
        table += &format!("{mode} {change}: {finals:?}, BYE to the old phone {old_byes}, {:?}\n", transfers(&world));
        if (mode, change) == ("local", "") {
            insta::assert_snapshot!("taken_over", ladder);
        }
    }
    insta::assert_snapshot!(table);
}

/// A phone of the company takes a call that rings at another one (RFC 3891 §3): the early dialog is one that we began. One
/// that the caller began is none of theirs.
#[test]
fn an_invite_with_replaces_picks_up() {
    let mut table = String::new();
    for (mode, change) in [
        ("local", ""),
        ("local", "early-only"),
        ("refuse", ""),
        ("local", "unknown"),
        ("local", "stranger"),
        ("local", "no offer"),
        ("local", "no codec"),
        ("local", "caller's"),
    ] {
        let mut world =
            world(mode, Answering { answer: Some((5 * SECOND, 200)), ..Answering::default() }, Answering::default());
        let caller = world.dial(calling());
        world.pass(SECOND);
        let ringing = shop(&mut world).invite.clone().expect("an INVITE");
        let ringing_id = ringing.call_id().expect("valid").to_owned();
        let ours = ringing.from().expect("valid").tag().unwrap_or("").to_owned();
        let theirs = if change == "unknown" { "other".to_owned() } else { format!("to-{ringing_id}") };
        let early = if change == "early-only" { ";early-only" } else { "" };
        let mut replaces = format!("{ringing_id};to-tag={ours};from-tag={theirs}{early}");
        if change == "caller's" {
            let rings = world.phone(CARRIER).dialogs[&caller].invite.clone().expect("180");
            let tag = |name: leaseline::wire::sip::NameAddr<'_>| name.tag().unwrap_or("").to_owned();
            let (to, from) = (tag(rings.to().expect("valid")), tag(rings.from().expect("valid")));
            replaces = format!("{caller};to-tag={to};from-tag={from}");
        }
        let from = if change == "stranger" { OFFICE } else { SHOP };
        let calling = Calling {
            request_uri: "sip:203.0.113.1".into(),
            headers: vec![("Replaces", replaces), ("Require", "replaces".to_owned())],
            offers: change != "no offer",
            formats: if change == "no codec" { "18" } else { "8 0 101" },
            call_id: Some("pickup".to_owned()),
            ..calling()
        };
        let (now, us) = (world.now.mono, world.us_at);
        let (new, sent) = world.phone(from).call(now, us, calling);
        for (to, bytes) in sent {
            world.send(from.parse().expect("an address"), to, bytes);
        }
        let ladder = world.settle();
        let finals = world.phone(from).dialogs[&new].finals.clone();
        let old = world.phone(SHOP).dialogs[&ringing_id].finals.clone();
        let ended = world.ended()[0].clone();
        table += &format!(
            "{mode} {change}: {finals:?}, the ringing phone {old:?}, call {:?} after {} s of ringing, {:?}, {:?}\n",
            ended.outcome,
            ended.ring_ms / 1000,
            ended.attribution.kind,
            transfers(&world)
        );
        if (mode, change) == ("local", "") {
            insta::assert_snapshot!("picked_up", ladder);
        }
    }
    insta::assert_snapshot!(table);
}

/// The ringing phone answers while another one picks up: its 200 crosses our CANCEL, and it is hung up (RFC 3261 §9.1).
#[test]
fn a_pickup_crosses_the_answer() {
    let mut table = String::new();
    for answers in [980, 985, 990, 995, 1_000, 1_005] {
        let shop_phone = Answering { answer: Some((Duration::from_millis(answers), 200)), ..Answering::default() };
        let mut world = world("local", shop_phone, Answering::default());
        world.dial(calling());
        world.pass(Duration::from_millis(990));
        let ringing = shop(&mut world).invite.clone().expect("an INVITE");
        let ringing_id = ringing.call_id().expect("valid").to_owned();
        let ours = ringing.from().expect("valid").tag().unwrap_or("").to_owned();
        let replaces = format!("{ringing_id};to-tag={ours};from-tag=to-{ringing_id};early-only");
        let calling = Calling {
            request_uri: "sip:203.0.113.1".into(),
            headers: vec![("Replaces", replaces), ("Require", "replaces".to_owned())],
            call_id: Some("pickup".to_owned()),
            hang_up: None,
            ..calling()
        };
        let (now, us) = (world.now.mono, world.us_at);
        let (new, sent) = world.phone(SHOP).call(now, us, calling);
        for (to, bytes) in sent {
            world.send(SHOP.parse().expect("an address"), to, bytes);
        }
        world.settle();
        assert_eq!(world.counts(), leaseline::core::b2bua::Counts::default());
        let finals = world.phone(SHOP).dialogs[&new].finals.clone();
        let (rang, byes) = {
            let old = &world.phone(SHOP).dialogs[&ringing_id];
            (old.finals.clone(), old.byes)
        };
        table += &format!(
            "answered after {answers} ms: pickup {finals:?}, the ringing phone {rang:?} and {byes} BYE, {:?}, {:?}\n",
            transfers(&world),
            world.ended()[0].reason
        );
    }
    insta::assert_snapshot!(table);
}
