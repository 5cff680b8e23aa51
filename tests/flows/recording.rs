//! Rows G10 and G15 of the reliability list, as signalling sees them; keys that are pressed.

use std::time::Duration;

use leaseline::core::b2bua::Input;
use leaseline::core::call::record::Stage;
use leaseline::core::dtmf::Digit;
use leaseline::core::event::Body;
use leaseline::core::media::MediaNotice;
use leaseline::ids::{CallId, Side};

use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const SECOND: Duration = Duration::from_secs(1);

fn with(config: &str) -> World {
    let mut world = World::new(7, config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(Answering { answer: Some((SECOND, 200)), ..Answering::default() }));
    world.add(OFFICE, Phone::new(Answering::default()));
    world
}

/// A call that was answered a moment ago and lasts.
fn talking(config: &str) -> (World, CallId) {
    let mut world = with(config);
    world.dial(Calling { hang_up: Some(60 * SECOND), ..Calling::default() });
    world.pass(3 * SECOND);
    let call = world.us.live()[0].data.call_id;
    (world, call)
}

fn press(world: &mut World, call: CallId, side: Side, keys: &str) {
    for key in keys.chars() {
        let length = Duration::from_millis(100);
        let digit = Digit { key, at: world.now.mono - length, length };
        world.input(Input::Media(call, MediaNotice::Digit(side, digit)));
        world.pass(Duration::from_millis(300));
    }
}

/// What `call.ended` says of keys: `c` the caller's, `C` the company's, `·` masked.
fn listed(world: &World) -> String {
    let side = |side| if side == Side::Caller { 'c' } else { 'C' };
    let digits = &world.ended()[0].dtmf;
    digits.iter().map(|d| format!("{}{} ", side(d.side), d.digit.as_deref().unwrap_or("·"))).collect()
}

fn pauses(world: &World) -> Vec<String> {
    let told = |body: &Body| match body {
        Body::RecordingPaused(data) => Some(format!("paused at {} by {:?}", data.at_ms, data.by)),
        Body::RecordingResumed(data) => Some(format!("resumed at {} by {:?}", data.at_ms, data.by)),
        _ => None,
    };
    world.events.iter().filter_map(|event| told(&event.body)).collect()
}

#[test]
fn keys_of_the_company_pause_the_recording_and_mask_what_is_pressed() {
    let (mut world, call) = talking(CONFIG);
    press(&mut world, call, Side::Caller, "12");
    // The caller's star does not count.
    press(&mut world, call, Side::Caller, "*7");
    press(&mut world, call, Side::Company, "9*");
    assert_eq!(world.us.recording(call), Some(Stage::Running));
    press(&mut world, call, Side::Company, "7");
    assert_eq!(world.us.recording(call), Some(Stage::Paused));
    press(&mut world, call, Side::Caller, "4242");
    press(&mut world, call, Side::Company, "*7*8");
    assert_eq!(world.us.recording(call), Some(Stage::Running));
    press(&mut world, call, Side::Caller, "3");
    insta::assert_snapshot!(world.settle());
    assert_eq!(listed(&world), "c1 c2 c* c7 C9 C* C7 c· c· c· c· C· C· C· C· c3 ");
    assert_eq!(pauses(&world).len(), 2);
}

#[test]
fn keys_that_are_far_apart_are_no_sequence() {
    let (mut world, call) = talking(CONFIG);
    press(&mut world, call, Side::Company, "*");
    world.pass(4 * SECOND);
    press(&mut world, call, Side::Company, "7");
    assert_eq!(world.us.recording(call), Some(Stage::Running));
}

#[test]
fn a_digit_that_is_down_when_a_pause_begins_or_ends_belongs_to_it() {
    let (mut world, call) = talking(CONFIG);
    let long = |world: &World, ms: u64| {
        let length = Duration::from_millis(ms);
        Input::Media(call, MediaNotice::Digit(Side::Caller, Digit { key: '5', at: world.now.mono - length, length }))
    };
    world.input(Input::Pause(call, true));
    // The order is out, the media thread has not answered: pressed before it, let go in it.
    let digit = long(&world, 500);
    world.input(digit);
    world.pass(SECOND);
    world.input(Input::Pause(call, false));
    world.pass(SECOND);
    let digit = long(&world, 1_500);
    world.input(digit);
    let digit = long(&world, 500);
    world.input(digit);
    world.settle();
    assert_eq!(listed(&world), "c· c· c5 ");
}

#[test]
fn a_pause_ordered_twice_is_one_and_one_that_lasts_to_the_end_is_told_once() {
    let (mut world, call) = talking(CONFIG);
    for _ in 0..3 {
        world.input(Input::Pause(call, true));
        world.pass(SECOND);
    }
    world.settle();
    assert_eq!(pauses(&world), ["paused at 1985 by Api"]);
    assert_eq!(world.ended()[0].recording.as_ref().map(|r| format!("{:?}", r.state)).as_deref(), Some("Complete"));
}

#[test]
fn what_the_event_says_of_keys_is_configured() {
    for (config, expected) in [
        ("[recording]\ndigits = \"masked\"\n", "C· C· "),
        ("[recording]\ndigits = \"off\"\n", ""),
        ("[recording]\npause_keys = \"\"\nresume_keys = \"\"\n", "C* C7 "),
    ] {
        let (mut world, call) = talking(&format!("{CONFIG}{config}"));
        press(&mut world, call, Side::Company, "*7");
        let is_paused = world.us.recording(call) == Some(Stage::Paused);
        assert_eq!(is_paused, !config.contains("pause_keys"), "{config}");
        world.settle();
        assert_eq!(listed(&world), expected, "{config}");
    }
}

/// Whether media was ever told to record.
fn is_recorded(world: &World) -> bool {
    world.media.values().any(|media| media.recording)
}

#[test]
fn g15_whether_a_call_is_recorded_is_said_by_the_nearest_word() {
    let company = |line: &str| CONFIG.replace("ring_timeout = \"20s\"\n", &format!("ring_timeout = \"20s\"\n{line}\n"));
    let pool = |config: String, line: &str| config.replace("[[pool]]\n", &format!("[[pool]]\n{line}\n"));
    let rule = |when: &str, rest: &str| format!("[[company.rule]]\nname = \"r\"\nwhen = {{ {when} }}\n{rest}\n");
    let ruled = |rule: String| CONFIG.replace("[[pool]]\n", &format!("{rule}[[pool]]\n"));
    let caller = "number = \"+442079460123\"\nname = \"Ann\"";
    for (config, expected) in [
        (CONFIG.to_owned(), true),
        (format!("{CONFIG}[recording]\nenabled = false\n"), false),
        (company("recording = false"), false),
        (pool(company("recording = false"), "recording = true"), true),
        (pool(company("recording = true"), "recording = false"), false),
        (ruled(rule("source = \"bill*\"", "recording = false")), false),
        (ruled(rule("source = \"other\"", "recording = false")), true),
        (pool(ruled(rule("", "recording = true")), "recording = false"), true),
        (format!("{CONFIG}[[caller]]\n{caller}\nrecording = false\n"), false),
        (format!("{CONFIG}[[caller]]\n{caller}\n"), true),
    ] {
        let mut world = with(&config);
        world.dial(Calling { from: Some("<sip:+442079460123@192.0.2.10>".into()), ..Calling::default() });
        world.settle();
        assert_eq!(is_recorded(&world), expected, "{config}");
        assert!(world.ended()[0].answered_at.is_some(), "a rule that says only this leaves the way alone: {config}");
    }
}

#[test]
fn g15_consent_that_is_withdrawn_while_it_rings_leaves_nothing() {
    let mut world = with(CONFIG);
    world.dial(Calling::default());
    world.pass(SECOND / 2);
    let call = world.us.live()[0].data.call_id;
    assert_eq!(world.us.recording(call), Some(Stage::Awaited));
    world.input(Input::DoNotRecord(call));
    world.input(Input::Pause(call, true));
    world.pass(2 * SECOND);
    assert_eq!(world.us.recording(call), Some(Stage::Off));
    insta::assert_snapshot!(world.settle());
    assert!(!is_recorded(&world));
    let recording = world.ended()[0].recording.as_ref().unwrap();
    assert_eq!(recording.reason.as_deref(), Some("consent_withdrawn"));
}

#[test]
fn a_webhook_may_say_that_nothing_is_recorded() {
    let decide = "[company.decide]\nurl = \"https://192.0.2.77/decide\"\nsecret = \"0123456789abcdef0123456789\"\n";
    let config = CONFIG.replace("[[pool]]\n", &format!("{decide}[[pool]]\n"));
    for (answer, expected) in [
        (r#"{"default": true}"#, true),
        (r#"{"default": true, "record": false}"#, false),
        (r#"{"record": false}"#, false),
    ] {
        let mut world = with(&config);
        world.webhook = Some((Duration::from_millis(50), Ok(answer.to_owned())));
        world.dial(Calling::default());
        world.settle();
        assert_eq!(is_recorded(&world), expected, "{answer}");
    }
}
