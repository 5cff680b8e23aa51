//! Those who guess passwords, and those who want our challenges sent to somebody else.

use leaseline::core::agent::drops::DropReason;

use crate::world::login::{HOME, LOGIN, URI, authorization, invite, request};
use crate::world::{CONFIG, World};
use crate::{SECOND, STRANGER, assert_healthy, world};

fn logins() -> World {
    world(&format!("{CONFIG}{LOGIN}"))
}

/// The bytes of ours that went to this address.
fn sizes(world: &World, to: &str) -> Vec<usize> {
    let to = to.parse().unwrap();
    world.sent.iter().filter(|(from, at, _)| *from == world.us_at && *at == to).map(|(.., bytes)| bytes.len()).collect()
}

/// D05, C09: a thousand guesses end in a ban, and somebody else logs in meanwhile.
#[test]
fn a_thousand_wrong_logins_are_banned_and_others_are_not_touched() {
    let mut world = logins();
    let guesser = "198.18.0.9:5060";
    assert_eq!(STRANGER, HOME);
    for n in 0..1_000 {
        let id = format!("guess-{n}");
        world.inject(guesser, &invite(guesser, &id, 1, None));
        world.pass(SECOND / 20);
        let Some(refusal) = world.last_answer(guesser) else { panic!("never asked") };
        let login = authorization(&refusal, "INVITE", URI, &format!("guess {n}"), "00000001");
        world.inject(guesser, &invite(guesser, &id, 2, Some(&login)));
        world.pass(SECOND / 20);
    }
    let bans = world.us.bans(world.now);
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert_eq!((bans[0].address.to_string(), bans[0].reason.as_str()), ("198.18.0.9".into(), "failed_login"));
    let drops = world.us.agent().drops();
    let wrong = drops.get(DropReason::LoginWrong);
    assert!((1..30).contains(&wrong), "{wrong} guesses were judged");
    assert!(drops.get(DropReason::Banned) > 1_800);
    world.inject(HOME, &invite(HOME, "honest", 1, None));
    world.pass(SECOND / 10);
    let login = authorization(&world.last_answer(HOME).unwrap(), "INVITE", URI, "correct horse", "00000001");
    world.inject(HOME, &invite(HOME, "honest", 2, Some(&login)));
    world.pass(SECOND / 10);
    assert_eq!((world.counts().calls, world.us.bans(world.now).len()), (1, 1));
}

/// Nobody is hit with more bytes than the forger has sent, and with no more messages than our rate allows.
#[test]
fn challenges_amplify_nothing() {
    let mut world = logins();
    let long = invite(HOME, "long", 1, None);
    let short = b"OPTIONS sip:a@203.0.113.1 SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\n\
        t: <sip:a@b>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nl: 0\r\n\r\n";
    world.inject(HOME, &long);
    world.inject(HOME, short);
    world.run(SECOND);
    let sent = sizes(&world, HOME);
    assert_eq!(sent.len(), 1, "what is too short for a challenge gets none: {sent:?}");
    assert!(sent[0] <= long.len());
    for n in 0..1_000 {
        world.inject(HOME, &invite(HOME, &format!("flood-{n}"), 1, None));
    }
    world.run(SECOND / 10);
    assert!(sizes(&world, HOME).len() <= 56, "{}", sizes(&world, HOME).len());
    assert_eq!(world.counts().agent.server_transactions, 0);
    assert_eq!(world.counts().legs, 0);
    assert_eq!(world.us.bans(world.now).len(), 1, "who insists is banned");
}

/// Without a login in the configuration strangers hear what they always heard.
#[test]
fn without_logins_there_is_silence() {
    let mut world = world(CONFIG);
    for method in ["INVITE", "OPTIONS", "REGISTER"] {
        world.inject(STRANGER, &request(method, URI, &format!("<{URI}>"), STRANGER, method, 1, None));
    }
    world.run(SECOND);
    assert!(sizes(&world, STRANGER).is_empty());
    assert_healthy(&mut world);
}
