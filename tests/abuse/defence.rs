//! Floods, scanners, overload, and the lists of who is whom: strangers cost nothing and hear nothing, known peers are
//! limited by name and never banned.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leaseline::config::Config;
use leaseline::core::agent::drops::DropReason;
use leaseline::core::b2bua::{Counts, Input, Settings};
use leaseline::core::event::Body;

use crate::raw::Raw;
use crate::world::phone::{Answering, Calling};
use crate::world::{CARRIER, CONFIG, SHOP, World};
use crate::{SECOND, STRANGER, answers, assert_healthy, world, world_with};

fn dropped(world: &World, reason: DropReason) -> u64 {
    world.us.agent().drops().get(reason)
}

fn told(world: &World, kind: &str) -> usize {
    world.events.iter().filter(|event| event.body.kind() == kind).count()
}

/// A stranger's datagram in front of everything, as the network's thread asks.
fn knock(world: &mut World, source: &str, bytes: &[u8]) -> bool {
    world.us.is_welcome(world.now, source.parse().unwrap(), bytes)
}

fn stranger(n: u32) -> String {
    format!("{}:5060", std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
}

fn reload(world: &mut World, text: &str) {
    let config = Config::parse(text, "test.toml", Path::new("")).unwrap();
    let listeners = config.sip.listen.clone();
    world.input(Input::Reload(Arc::new(Settings::new(Arc::new(config), listeners))));
}

/// C01.
#[test]
fn a_flood_of_strangers_makes_no_byte_and_no_state_and_honest_calls_go_on() {
    let mut world = world(CONFIG);
    let call = world.dial(Calling::default());
    let invites: Vec<Vec<u8>> = (0..50).map(|n| Raw::invite(&format!("flood-{n}")).bytes()).collect();
    let (mut sent, mut most) = (0, Counts::default());
    for turn in 0..100 {
        for n in 0..500 {
            let source = stranger(turn * 500 + n);
            assert!(!knock(&mut world, &source, &invites[n as usize % 50]));
            sent += 1;
        }
        world.pass(SECOND / 100);
        most = if world.counts().calls > most.calls { world.counts() } else { most };
    }
    assert_eq!((sent, dropped(&world, DropReason::Stranger)), (50_000, 50_000));
    assert_eq!((most.calls, most.legs), (1, 2), "only the honest call has state");
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    let allowed = [CARRIER, SHOP].map(|address| address.parse().unwrap());
    assert!(world.sent.iter().all(|(from, to, _)| *from != world.us_at || allowed.contains(to)));
    assert_eq!(told(&world, "leaseline.call.refused"), 0);
    assert_healthy(&mut world);
}

/// C01: what a stranger forges cannot look like ours, and what is ours is let through from anywhere.
#[test]
fn only_marks_of_our_own_open_the_door_to_strangers() {
    let mut world = world_with(CONFIG, Answering::default());
    world.dial(Calling::default());
    world.pass(SECOND * 3);
    let (answer, ours) = {
        let sent = world.sent_to(CARRIER);
        let answer = sent.iter().rev().find(|message| message.status() == 200).unwrap();
        let invite = world.sent_to(SHOP).into_iter().find(|m| m.method_token() == "INVITE").unwrap();
        (answer.header("To").unwrap().to_owned(), invite.vias().next().unwrap().to_owned())
    };
    let forged = answer.replace(";tag=", ";tag=f");
    let within = |method: &str, to: &str| Raw::new(method, "sip:203.0.113.1", "x").with("To", to).bytes();
    assert!(knock(&mut world, STRANGER, &within("BYE", &answer)));
    assert!(!knock(&mut world, STRANGER, &within("BYE", &forged)));
    assert!(!knock(&mut world, STRANGER, &within("INVITE", "<sip:a@b>")));
    let reply = |via: &str| format!("SIP/2.0 200 OK\r\nVia: {via}\r\nCSeq: 1 INVITE\r\n\r\n").into_bytes();
    assert!(knock(&mut world, STRANGER, &reply(&ours)));
    assert!(!knock(&mut world, STRANGER, &reply(&ours.replace("z9hG4bK", "z9hG4bKa"))));
    world.settle();
    // With nothing of ours there is nothing to belong to.
    assert!(!knock(&mut world, STRANGER, &within("BYE", &answer)));
    assert_healthy(&mut world);
}

/// C09, C03.
#[test]
fn scanners_are_banned_for_a_time_and_configured_peers_never() {
    let mut world = world(CONFIG);
    let scan = Raw::new("OPTIONS", "sip:100@203.0.113.1", "s").with("User-Agent", "friendly-scanner").bytes();
    for _ in 0..200 {
        for source in [CARRIER, SHOP, STRANGER] {
            world.inject(source, &scan);
        }
    }
    world.run(SECOND);
    let bans = world.us.bans(world.now);
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert_eq!((bans[0].address.to_string(), bans[0].reason.as_str()), ("198.18.0.1".into(), "scanner"));
    assert_eq!(told(&world, "leaseline.defence.banned"), 1);
    assert_eq!(dropped(&world, DropReason::Stranger), 5, "the sixth was one too many");
    assert_eq!(dropped(&world, DropReason::Banned), 195);
    assert!(world.us.is_banned(world.now.mono, "198.18.0.1".parse().unwrap()));
    assert!(!world.us.is_banned(world.now.mono, CARRIER.parse::<std::net::SocketAddr>().unwrap().ip()));
    assert_healthy(&mut world);
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.us.bans(world.now), []);
    // Somebody in charge ends a ban.
    for _ in 0..10 {
        world.inject(STRANGER, &scan);
    }
    world.run(SECOND);
    assert!(world.us.unban("198.18.0.1".parse().unwrap()) && !world.us.unban("198.18.0.1".parse().unwrap()));
    // A reload that makes a banned address a trunk's ends its ban too.
    for _ in 0..10 {
        world.inject(STRANGER, &scan);
    }
    world.run(SECOND);
    reload(&mut world, &CONFIG.replace("\"192.0.2.0/24\"", "\"192.0.2.0/24\", \"198.18.0.1\""));
    assert!(!world.us.is_banned(world.now.mono, "198.18.0.1".parse().unwrap()));
    assert_eq!(world.us.bans(world.now), []);
}

/// C03.
#[test]
fn a_million_addresses_make_a_handful_of_events() {
    let mut world = world(CONFIG);
    let garbage = b"\x16\x03\x01";
    for n in 0..50_000 {
        let source = stranger(n);
        for _ in 0..2 {
            knock(&mut world, &source, garbage);
        }
    }
    for n in 0..1_000 {
        let source = stranger(n);
        for _ in 0..40 {
            knock(&mut world, &source, garbage);
        }
    }
    world.input(Input::Timeout);
    assert!(world.us.banned() >= 900, "{}", world.us.banned());
    assert_eq!(told(&world, "leaseline.defence.banned"), 5, "five a second, and all are counted");
    assert_healthy(&mut world);
}

/// C02.
#[test]
fn a_trunk_above_its_rate_harms_nobody_else() {
    let config = CONFIG
        .replace("country = \"GB\"", "country = \"GB\"\ncalls_per_second_max = 2")
        .replace("[[company]]", "[[trunk]]\nname = \"other\"\nmatch = [\"198.19.0.0/24\"]\n[[company]]");
    let mut world = world(&config);
    let running = world.dial(Calling::default());
    world.pass(SECOND * 3);
    for n in 0..100 {
        world.inject(CARRIER, &Raw::invite(&format!("rate-{n}")).bytes());
    }
    world.inject("198.19.0.7:5060", &Raw::invite("other").bytes());
    world.run(SECOND / 10);
    let refused = world.sent_to(CARRIER).into_iter().filter(|answer| answer.status() == 503).collect::<Vec<_>>();
    assert_eq!((refused.len(), world.refused.len()), (98, 98));
    assert!(refused.iter().all(|answer| answer.header("Retry-After") == Some("1")));
    assert!(world.refused.iter().all(|code| *code == "trunk_call_rate"));
    let other = world.sent_to("198.19.0.7:5060");
    assert_eq!(other.first().map(|answer| answer.status()), Some(100), "the other trunk's call is taken");
    assert_eq!(world.counts().calls, 4);
    assert!(told(&world, "leaseline.call.refused") <= 20);
    assert!(world.phone(CARRIER).dialogs[&running].up);
}

/// C06: also a number that was taken out of its pool.
#[test]
fn a_retired_number_sounds_like_an_unknown_one() {
    let heard = |retired: bool| {
        let mut world = world(CONFIG);
        if retired {
            reload(&mut world, &CONFIG.replace("+442079460500", "+442079460501"));
        }
        let number = if retired { "+442079460500" } else { "+442079460777" };
        let raw = Raw::new("INVITE", &format!("sip:{number}@203.0.113.1"), "n").with("To", "<sip:x@203.0.113.1>");
        world.inject(CARRIER, &raw.sdp(crate::raw::OFFER).bytes());
        world.settle();
        assert_eq!(world.refused, ["number_unknown"]);
        let answer = world.sent_to(CARRIER).remove(0);
        let tag = answer.to().unwrap().tag().unwrap().to_owned();
        answer.bytes().escape_ascii().to_string().replace(&tag, "TAG")
    };
    assert_eq!(heard(true), heard(false));
}

/// C08.
#[test]
fn a_reload_that_takes_a_trunk_away_leaves_its_running_calls_alone() {
    let mut world = world(CONFIG);
    let calling = Calling {
        hang_up: Some(SECOND * 20),
        reinvites: vec![(SECOND * 8, "sendonly"), (SECOND * 12, "sendrecv")],
        ..Calling::default()
    };
    let call = world.dial(calling);
    world.pass(SECOND * 5);
    reload(&mut world, &CONFIG.replace("192.0.2.0/24", "198.19.0.0/24"));
    let before = world.sent_to(CARRIER).len();
    world.inject(CARRIER, &Raw::invite("after").bytes());
    world.pass(SECOND);
    assert_eq!(world.sent_to(CARRIER).len(), before, "a new call of nobody's is silence");
    world.settle();
    let data = world.ended()[0];
    assert!(data.talk_ms > 19_000, "{data:?}");
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    reload(&mut world, CONFIG);
    assert_healthy(&mut world);
}

/// C15.
#[test]
fn ten_thousand_options_a_second_are_a_few_answers_and_no_trouble() {
    let mut world = world(CONFIG);
    for n in 0..10_000 {
        world.inject(CARRIER, &Raw::new("OPTIONS", "sip:203.0.113.1", &format!("o{n}")).bytes());
    }
    world.run(SECOND / 10);
    assert_eq!(answers(&world), vec![200; 50]);
    assert_eq!(dropped(&world, DropReason::OptionsRate), 9_950);
    assert!(world.counts().agent.server_transactions <= 50);
    // An OPTIONS within a call is always answered.
    let call = world.dial(Calling::default());
    world.run(SECOND * 3);
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200]);
    assert_healthy(&mut world);
}

/// C16.
#[test]
fn under_overload_new_calls_are_refused_and_running_ones_served() {
    let mut world = world(CONFIG);
    let running = world.dial(Calling::default());
    world.pass(SECOND * 5);
    world.input(Input::Load(Duration::from_millis(1_400)));
    let refused = world.dial(Calling::default());
    world.run(SECOND / 10);
    assert_eq!(world.phone(CARRIER).dialogs[&refused].finals, [503]);
    assert_eq!(world.refused, ["overload"]);
    let answer = world.sent_to(CARRIER).into_iter().find(|answer| answer.status() == 503).unwrap();
    assert_eq!(answer.header("Retry-After"), Some("2"));
    for _ in 0..20 {
        world.pass(SECOND / 2);
        world.input(Input::Load(Duration::from_millis(1_400)));
    }
    world.settle();
    assert!(world.ended()[0].talk_ms > 9_000, "the running call ended by its BYE");
    assert_eq!(world.phone(CARRIER).dialogs[&running].finals, [200]);
    assert_healthy(&mut world);
}

/// C17.
#[test]
fn caps_of_companies_numbers_and_callers_are_486_before_any_state() {
    let with = |old: &str, new: &str| CONFIG.replace(old, &format!("{new}\n{old}"));
    let company = |keys: &str| with("[[pool]]", &format!("[company.limits]\n{keys}"));
    for (config, code) in [
        (company("calls_max = 1"), "company_calls_max"),
        (company("calls_max_per_caller = 1"), "caller_calls_max"),
        (with("kind = \"static\"", "calls_max_per_number = 1"), "number_calls_max"),
    ] {
        let mut world = world(&config);
        let first = world.dial(Calling::default());
        world.pass(SECOND / 10);
        let legs = world.counts().legs;
        let second = world.dial(Calling::default());
        world.pass(SECOND / 10);
        assert_eq!((world.refused.as_slice(), world.counts().calls), ([code].as_slice(), 1));
        assert_eq!(world.counts().legs, legs, "no leg of the refused call");
        assert_eq!(world.phone(CARRIER).dialogs[&second].finals, [486]);
        let refusal = world.events.iter().find_map(|event| match &event.body {
            Body::CallRefused(data) => Some((data.reason.clone(), data.sip_status)),
            _ => None,
        });
        assert_eq!(refusal, Some((code.to_owned(), 486)));
        world.settle();
        assert_eq!(world.phone(CARRIER).dialogs[&first].finals, [200]);
        assert_healthy(&mut world);
    }
}

/// C18: each refusal is counted; lines and events are few.
#[test]
fn a_trunk_that_searches_numbers_fills_no_log() {
    let mut world = world(CONFIG);
    for n in 0..1_000 {
        let uri = format!("sip:+44207946{:04}@203.0.113.1", 2_000 + n);
        world.inject(CARRIER, &Raw::new("INVITE", &uri, &format!("n{n}")).sdp(crate::raw::OFFER).bytes());
    }
    world.run(SECOND / 10);
    assert_eq!(world.refused.len(), 1_000);
    assert!(world.refused.iter().all(|code| *code == "number_unknown"), "never anything else");
    assert_eq!(told(&world, "leaseline.call.refused"), 20);
    let alarms: Vec<_> = world.events.iter().filter(|event| event.body.kind() == "leaseline.fraud.suspected").collect();
    assert_eq!(alarms.len(), 1);
    assert!(
        matches!(&alarms[0].body, Body::FraudSuspected(data) if data.kind == "number_search" && data.company.is_none())
    );
    assert_eq!(world.us.bans(world.now), [], "the trunk stays");
    assert_healthy(&mut world);
}
