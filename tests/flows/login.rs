//! Trunks that log in to us by digest.

use std::time::Duration;

use crate::world::login::{HOME, LOGIN, URI, authorization, invite, request};
use crate::world::phone::{Answering, Phone};
use crate::world::{CONFIG, OFFICE, SHOP, World};

const MOMENT: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    world_with(&format!("{CONFIG}{LOGIN}"), Answering::default())
}

fn world_with(config: &str, shop: Answering) -> World {
    let mut world = World::new(7, config);
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(Answering::default()));
    world
}

/// The status of what went home last.
fn status(world: &World) -> u16 {
    world.last_answer(HOME).map_or(0, |answer| answer.status())
}

fn say(world: &mut World, bytes: &[u8]) {
    world.inject(HOME, bytes);
    world.pass(MOMENT);
}

/// Asked, refused, acknowledged; gives what answers the challenge.
fn challenged(world: &mut World, id: &str, password: &str, nc: &str) -> String {
    say(world, &invite(HOME, id, 1, None));
    let refusal = world.last_answer(HOME).expect("an answer");
    assert_eq!(refusal.status(), 401);
    assert_eq!(world.counts().agent.server_transactions, 0, "nothing is kept");
    let to = refusal.header("To").expect("To").to_owned();
    say(world, &request("ACK", URI, &to, HOME, id, 1, None));
    authorization(&refusal, "INVITE", URI, password, nc)
}

#[test]
fn challenged_let_in_and_hung_up() {
    let mut world = world();
    let login = challenged(&mut world, "call", "correct horse", "00000001");
    let second = invite(HOME, "call", 2, Some(&login));
    say(&mut world, &second);
    // A copy is the same request, not a replay.
    say(&mut world, &second);
    world.pass(2 * SECOND);
    let answer = world.last_answer(HOME).expect("an answer");
    assert_eq!(answer.status(), 200);
    let to = answer.header("To").expect("To").to_owned();
    let target = answer.contact().expect("good").expect("Contact").uri.text.to_owned();
    say(&mut world, &request("ACK", &target, &to, HOME, "call", 2, None));
    world.pass(SECOND);
    // In the dialog nobody is asked again.
    say(&mut world, &request("INVITE", &target, &to, HOME, "call", 3, None));
    world.pass(SECOND);
    assert_eq!(status(&world), 200);
    say(&mut world, &request("ACK", &target, &to, HOME, "call", 3, None));
    world.pass(SECOND);
    say(&mut world, &request("BYE", &target, &to, HOME, "call", 4, None));
    assert_eq!(status(&world), 200);
    insta::assert_snapshot!(world.settle());
    let ended = world.ended().last().map(|data| data.trunk.clone());
    assert_eq!(ended.as_deref(), Some("office"));
}

#[test]
fn the_company_hangs_up_on_a_login() {
    let shop = Answering { hang_up: Some(2 * SECOND), ..Answering::default() };
    let credentials = "[trunk.credentials]\nuser = \"us\"\npassword = \"our secret\"\n";
    let mut world = world_with(&format!("{CONFIG}{LOGIN}{credentials}"), shop);
    let login = challenged(&mut world, "call", "correct horse", "00000001");
    say(&mut world, &invite(HOME, "call", 2, Some(&login)));
    world.pass(2 * SECOND);
    let answer = world.last_answer(HOME).expect("an answer");
    let to = answer.header("To").expect("To").to_owned();
    let target = answer.contact().expect("good").expect("Contact").uri.text.to_owned();
    say(&mut world, &request("ACK", &target, &to, HOME, "call", 2, None));
    world.pass(3 * SECOND);
    // The client challenges our BYE, and we know what to say.
    let byes = |world: &World| {
        world.sent_to(HOME).into_iter().filter(|message| message.method_token() == "BYE").collect::<Vec<_>>()
    };
    let bye = byes(&world).pop().expect("a BYE");
    let via = bye.header("Via").expect("Via").to_owned();
    let lines: String = ["From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", bye.header(name).expect("there")))
        .concat();
    let refusal = format!(
        "SIP/2.0 401 Unauthorized\r\nVia: {via}\r\n{lines}WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\r\n\
         Content-Length: 0\r\n\r\n"
    );
    say(&mut world, refusal.as_bytes());
    let again = byes(&world).pop().expect("a BYE");
    assert!(again.header("Authorization").is_some_and(|login| login.contains("username=\"us\"")));
    world.settle();
}

#[test]
fn wrong_passwords_and_replays_hear_the_same_challenge() {
    let mut world = world();
    let wrong = challenged(&mut world, "wrong", "x", "00000001");
    say(&mut world, &invite(HOME, "wrong", 2, Some(&wrong)));
    assert_eq!(status(&world), 401);
    let shown =
        |world: &World| world.last_answer(HOME).expect("one").header("WWW-Authenticate").unwrap_or("").to_owned();
    assert!(!shown(&world).contains("stale"));
    let right = challenged(&mut world, "right", "correct horse", "00000001");
    say(&mut world, &invite(HOME, "right", 2, Some(&right)));
    world.pass(2 * SECOND);
    assert_eq!(status(&world), 200);
    // The same credentials in another call.
    say(&mut world, &invite(HOME, "replay", 1, Some(&right)));
    assert_eq!(status(&world), 401);
    assert!(shown(&world).contains("stale=true"));
    // And from another address.
    world.inject("198.18.0.9:5060", &invite("198.18.0.9:5060", "elsewhere", 1, Some(&right)));
    world.pass(MOMENT);
    assert_eq!(world.last_answer("198.18.0.9:5060").map(|answer| answer.status()), Some(401));
    world.input(leaseline::core::b2bua::Input::HangUpAll("shutdown"));
    world.settle();
    assert_eq!(world.ended().len(), 1, "one call came to be");
}

#[test]
fn other_requests_of_a_login() {
    let mut world = world();
    for (method, expected) in [("OPTIONS", 200), ("REGISTER", 405)] {
        let uri = "sip:203.0.113.1";
        let ask = |login: Option<&str>, cseq| request(method, uri, &format!("<{uri}>"), HOME, method, cseq, login);
        say(&mut world, &ask(None, 1));
        assert_eq!(status(&world), 401, "{method}");
        let refusal = world.last_answer(HOME).expect("one");
        let login = authorization(&refusal, method, uri, "correct horse", "00000001");
        say(&mut world, &ask(Some(&login), 2));
        assert_eq!(status(&world), expected, "{method}");
        assert!(world.last_answer(HOME).expect("one").header("Allow").is_some());
    }
    // What cannot begin a login hears nothing.
    let before = world.sent_to(HOME).len();
    for method in ["BYE", "MESSAGE", "SUBSCRIBE", "CANCEL", "ACK"] {
        say(&mut world, &request(method, URI, &format!("<{URI}>"), HOME, method, 1, None));
    }
    assert_eq!(world.sent_to(HOME).len(), before);
    world.settle();
}

/// A destination of ours is nobody's trunk, but may be one by a login.
#[test]
fn a_destination_that_logs_in() {
    let mut world = world();
    world.inject(SHOP, &invite(SHOP, "pbx", 1, None));
    world.pass(MOMENT);
    let refusal = world.last_answer(SHOP).expect("an answer");
    assert_eq!(refusal.status(), 401);
    let login = authorization(&refusal, "INVITE", URI, "correct horse", "00000001");
    world.inject(SHOP, &invite(SHOP, "pbx", 2, Some(&login)));
    world.pass(MOMENT);
    assert_eq!(world.counts().calls, 1);
    world.input(leaseline::core::b2bua::Input::HangUpAll("shutdown"));
    world.settle();
}
