//! Calls that PBXs carry and tell of: whose they are, their stages in any order, and the same call by SIP as well.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use leaseline::config::Ear;
use leaseline::core::b2bua::Input;
use leaseline::core::ears::{Answer, Heard, Report, Stage};
use leaseline::core::event::{HangupBy, Outcome};

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, SHOP, World};

const EARS: &str = r#"
[[ears]]
name = "pbx"
kind = "asterisk"
address = "127.0.0.1:5038"
user = "leaseline"
secret = "s"
country = "GB"
[[ears]]
name = "cloud"
kind = "http"
country = "GB"
"#;
const NUMBER: &str = "02079460500";
const CALLER: &str = "07700900123";

fn world() -> World {
    let mut world = World::new(7, &format!("{CONFIG}{EARS}"));
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(
        SHOP,
        Phone::new(Answering { answer: Some((2 * SECOND, 200)), hang_up: Some(5 * SECOND), ..Answering::default() }),
    );
    world
}

fn ear(world: &World, name: &str) -> Arc<Ear> {
    let ears = &world.us.settings().config.ears;
    Arc::clone(ears.iter().find(|ear| ear.name == name).unwrap())
}

fn report(world: &World, ear_name: &str, id: &str, stage: Stage) -> Report {
    let report = Report::new(&ear(world, ear_name), id, stage);
    let offered = stage == Stage::Offered;
    Report { called: offered.then(|| NUMBER.to_owned()), caller: offered.then(|| CALLER.to_owned()), ..report }
}

fn hear(world: &mut World, report: Report) -> Answer {
    let answer = world.us.hear(world.now, report);
    world.input(Input::Timeout);
    answer
}

fn tell(world: &mut World, ear: &str, id: &str, stage: Stage) -> Heard {
    let report = report(world, ear, id, stage);
    match hear(world, report) {
        Answer::Call(heard) => *heard,
        other => panic!("{other:?}"),
    }
}

fn kinds(world: &World) -> Vec<&'static str> {
    world.events.iter().map(|event| event.body.kind().trim_start_matches("leaseline.")).collect()
}

fn dialling() -> Calling {
    Calling { from: Some(format!("<sip:{CALLER}@192.0.2.10>")), ..Calling::default() }
}

#[test]
fn a_call_is_attributed_at_its_beginning_and_told_at_its_stages() {
    let mut world = world();
    let heard = tell(&mut world, "pbx", "1.1", Stage::Offered);
    assert!(heard.is_new && heard.state == "offered");
    assert_eq!(heard.data.unwrap().attribution.method, "static_channel");
    world.pass(SECOND);
    assert_eq!(tell(&mut world, "pbx", "1.1", Stage::Ringing).state, "ringing");
    world.pass(3 * SECOND);
    assert_eq!(tell(&mut world, "pbx", "1.1", Stage::Answered).state, "answered");
    world.pass(20 * SECOND);
    let end =
        Report { cause: Some(16), hangup_by: Some(HangupBy::Caller), ..report(&world, "pbx", "1.1", Stage::Ended) };
    hear(&mut world, end);
    assert_eq!(kinds(&world), ["call.started", "call.answered", "call.ended"]);
    let ended = world.ended()[0];
    assert_eq!((ended.trunk.as_str(), ended.via.as_deref()), ("pbx", Some("asterisk")));
    assert_eq!((ended.company.as_str(), ended.number.as_str()), ("acme", "+442079460500"));
    assert_eq!((ended.caller.as_deref(), ended.pbx_call_id.as_deref()), (Some("+447700900123"), Some("1.1")));
    assert_eq!((ended.ring_ms, ended.talk_ms, ended.outcome), (3_000, 20_000, Some(Outcome::Answered)));
    assert_eq!((ended.q850_cause, ended.hangup_by), (Some(16), Some(HangupBy::Caller)));
    assert_eq!(world.counts(), Default::default());
    // Its name is remembered: what is told again begins nothing.
    let again = tell(&mut world, "pbx", "1.1", Stage::Offered);
    assert!(!again.is_new && again.data.is_none());
    assert_eq!(world.events.len(), 3);
}

#[test]
fn stages_come_in_any_order_twice_and_late() {
    let stages = [Stage::Offered, Stage::Ringing, Stage::Answered, Stage::Ended];
    // Every order of the four, each told twice.
    for seed in 0..24_usize {
        let (mut left, mut order, mut seed) = (stages.to_vec(), Vec::new(), seed);
        while !left.is_empty() {
            order.push(left.remove(seed % left.len()));
            seed /= left.len() + 1;
        }
        let mut world = world();
        let start = world.now.wall;
        world.pass(30 * SECOND);
        for stage in order.iter().flat_map(|stage| [stage, stage]) {
            let at = start + SECOND * (10 * stages.iter().position(|one| one == stage).unwrap() as u32);
            let report = Report { at: Some(at), ..report(&world, "cloud", "a", *stage) };
            assert!(!matches!(hear(&mut world, report), Answer::Refused(_)), "{order:?}");
        }
        world.pass(10 * SECOND);
        assert_eq!(kinds(&world), ["call.started", "call.answered", "call.ended"], "{order:?}");
        let ended = world.ended()[0];
        assert_eq!((ended.ring_ms, ended.talk_ms), (10_000, 10_000), "{order:?}");
        assert_eq!(world.counts(), Default::default(), "{order:?}");
    }
}

#[test]
fn clocks_of_others_are_believed_within_bounds() {
    let mut world = world();
    let now = world.now.wall;
    let minute = Duration::from_secs(60);
    for (at, taken) in
        [(now + minute, true), (now + minute * 2, false), (now - minute * 14, true), (now - minute * 16, false)]
    {
        let report = Report { at: Some(at), ..report(&world, "cloud", &at.to_string(), Stage::Offered) };
        match hear(&mut world, report) {
            Answer::Call(heard) => assert!(taken && heard.data.unwrap().started_at <= now),
            answer => assert!(!taken && matches!(answer, Answer::Refused("time_out_of_range"))),
        }
        world.pass(20 * SECOND);
    }
    // An answer before the call, and an end after now.
    let mut world = self::world();
    tell(&mut world, "cloud", "b", Stage::Offered);
    let now = world.now.wall;
    for (stage, at) in [(Stage::Answered, now - minute), (Stage::Ended, now + minute)] {
        let report = Report { at: Some(at), ..report(&world, "cloud", "b", stage) };
        hear(&mut world, report);
    }
    world.pass(10 * SECOND);
    assert_eq!((world.ended()[0].ring_ms, world.ended()[0].talk_ms), (0, 0));
}

#[test]
fn what_is_nobodys_call_is_refused() {
    let mut world = world();
    let unknown = Report { called: Some("02079460777".into()), ..report(&world, "cloud", "a", Stage::Offered) };
    assert!(matches!(hear(&mut world, unknown), Answer::Refused("number_unknown")));
    let stage = report(&world, "cloud", "a", Stage::Ringing);
    assert!(matches!(hear(&mut world, stage), Answer::Early));
    let stage = report(&world, "pbx", "a", Stage::Ringing);
    assert!(matches!(hear(&mut world, stage), Answer::Refused("call_unknown")));
    world.pass(Duration::from_secs(60));
    assert!(world.events.is_empty());
}

#[test]
fn how_unanswered_calls_ended() {
    for (cause, outcome, wanted) in [
        (Some(17), None, Outcome::Busy),
        (Some(19), None, Outcome::NoAnswer),
        (Some(16), None, Outcome::Cancelled),
        (Some(34), None, Outcome::Failed),
        (Some(16), Some(Outcome::NoAnswer), Outcome::NoAnswer),
        (None, Some(Outcome::Voicemail), Outcome::Voicemail),
        (Some(17), Some(Outcome::Answered), Outcome::Busy),
    ] {
        let mut world = world();
        tell(&mut world, "pbx", "1", Stage::Offered);
        let end = Report { cause, outcome, ..report(&world, "pbx", "1", Stage::Ended) };
        hear(&mut world, end);
        assert_eq!(world.ended()[0].outcome, Some(wanted), "{cause:?} {outcome:?}");
    }
}

/// A lost link ends nobody's call; when it is back, its list does, at the moment until which they were known to go on.
#[test]
fn a_lost_link_ends_nobody() {
    let mut world = world();
    for id in ["1", "2"] {
        tell(&mut world, "pbx", id, Stage::Offered);
        tell(&mut world, "pbx", id, Stage::Answered);
        world.pass(15 * SECOND);
    }
    world.us.ear_lost(world.now, "pbx");
    world.pass(Duration::from_secs(600));
    assert!(world.ended().is_empty());
    world.us.ear_synced(world.now, "pbx", &HashSet::from(["2".to_owned(), "7".to_owned()]));
    world.input(Input::Timeout);
    let ended = world.ended();
    assert_eq!((ended.len(), ended[0].pbx_call_id.as_deref()), (1, Some("1")));
    assert_eq!((ended[0].talk_ms, ended[0].reason.as_deref()), (30_000, Some("ended_unheard")));
    let end = report(&world, "pbx", "2", Stage::Ended);
    hear(&mut world, end);
    assert_eq!(world.ended()[1].talk_ms, 615_000);
}

#[test]
fn a_call_that_nobody_ends_is_over_in_the_end() {
    let mut world = world();
    tell(&mut world, "cloud", "1", Stage::Offered);
    world.pass(Duration::from_secs(3_601));
    let ended = world.ended()[0];
    assert_eq!((ended.outcome, ended.reason.as_deref()), (Some(Outcome::NoAnswer), Some("ended_unheard")));
    assert_eq!(world.counts(), Default::default());
}

/// What an earlier run was told of goes on under its id.
#[test]
fn a_restart_ends_nobody() {
    let mut before = world();
    tell(&mut before, "pbx", "1", Stage::Offered);
    let data = tell(&mut before, "pbx", "1", Stage::Answered).data.unwrap();
    let mut world = world();
    world.pass(60 * SECOND);
    let seen = data.started_at + 10 * SECOND;
    assert!(world.us.restore_told(world.now, data.clone(), seen).is_some());
    let again = tell(&mut world, "pbx", "1", Stage::Offered);
    assert!(!again.is_new && again.call_id == data.call_id);
    world.us.ear_synced(world.now, "pbx", &HashSet::new());
    world.input(Input::Timeout);
    let ended = world.ended()[0];
    assert_eq!((ended.call_id, ended.reason.as_deref()), (data.call_id, Some("ended_unheard")));
}

/// We pass the call to a PBX that tells of it: it is the call that passes us, and is counted once.
#[test]
fn a_call_that_passes_us_is_not_counted_again() {
    let mut world = world();
    world.dial(dialling());
    world.pass(SECOND);
    let heard = tell(&mut world, "pbx", "1.1", Stage::Offered);
    assert!(heard.is_duplicate && !heard.is_new);
    assert_eq!(heard.data.unwrap().attribution.method, "static_channel");
    for stage in [Stage::Ringing, Stage::Answered, Stage::Ended] {
        assert!(tell(&mut world, "pbx", "1.1", stage).is_duplicate);
    }
    world.pass(10 * SECOND);
    assert_eq!(kinds(&world).iter().filter(|kind| **kind == "call.started").count(), 1);
    assert_eq!((world.ended().len(), world.ended()[0].via.as_deref()), (1, None));
    // And when it was over before the PBX was heard.
    let at = Some(world.ended()[0].started_at + 3 * SECOND);
    let late = Report { at, ..report(&world, "cloud", "x", Stage::Offered) };
    let Answer::Call(late) = hear(&mut world, late) else { panic!() };
    assert!(late.is_duplicate);
    world.pass(30 * SECOND);
    assert!(tell(&mut world, "cloud", "y", Stage::Offered).is_new, "they call again");
}

/// The PBX has told of the call when it comes to us: it goes on here, under the id and the attribution that it has.
#[test]
fn a_call_that_was_told_of_goes_on_here() {
    let mut world = world();
    let told = tell(&mut world, "pbx", "1.1", Stage::Offered);
    world.pass(SECOND);
    world.dial(dialling());
    world.pass(SECOND);
    assert!(tell(&mut world, "pbx", "1.1", Stage::Answered).is_duplicate);
    assert!(tell(&mut world, "pbx", "1.1", Stage::Ended).is_duplicate);
    world.settle();
    assert_eq!(kinds(&world).iter().filter(|kind| **kind == "call.started").count(), 1);
    let ended = world.ended();
    assert_eq!((ended.len(), ended[0].call_id, ended[0].via.as_deref()), (1, told.call_id, None));
    assert_eq!(ended[0].trunk, "carrier");
    assert_eq!(world.counts(), Default::default());
}

#[test]
fn the_sip_call_id_says_more_than_the_look() {
    let mut world = world();
    let call = world.dial(dialling());
    world.pass(SECOND);
    let same = Report {
        sip_call_id: Some(call),
        caller: Some("0207946xxxx".into()),
        ..report(&world, "pbx", "1.1", Stage::Offered)
    };
    let Answer::Call(heard) = hear(&mut world, same) else { panic!() };
    assert!(heard.is_duplicate);
    // Another caller of the same number is another call.
    let other = Report { caller: Some("07700900124".into()), ..report(&world, "pbx", "1.2", Stage::Offered) };
    let Answer::Call(heard) = hear(&mut world, other) else { panic!() };
    assert!(heard.is_new);
}

/// Two PBXs tell of one call: the first does.
#[test]
fn a_second_pbx_changes_nothing() {
    let mut world = world();
    let first = tell(&mut world, "pbx", "1.1", Stage::Offered);
    let second = tell(&mut world, "cloud", "a", Stage::Offered);
    assert!(second.is_duplicate && second.call_id == first.call_id);
    assert!(tell(&mut world, "cloud", "a", Stage::Ended).is_duplicate);
    world.pass(5 * SECOND);
    assert!(world.ended().is_empty());
    // One PBX knows its own calls: the same caller twice is two calls.
    assert!(tell(&mut world, "pbx", "1.2", Stage::Offered).is_new);
}
