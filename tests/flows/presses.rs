//! Keys that are pressed: heard once however they are told, and told to each side in its own way.

use std::time::Duration;

use leaseline::core::b2bua::Input;
use leaseline::core::call::record::Stage;
use leaseline::core::dtmf::Digit;
use leaseline::core::media::MediaNotice;
use leaseline::ids::{CallId, Side};

use crate::world::phone::{Answering, Calling, Do, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const SECOND: Duration = Duration::from_secs(1);

/// The caller offers `offer`, the company answers with `answer`; `caller` and `company` are what their trunks say.
struct Case {
    caller: &'static str,
    company: &'static str,
    offer: &'static str,
    answer: &'static str,
    /// The company takes INFO without a word.
    mute_info: bool,
}

impl Default for Case {
    fn default() -> Case {
        Case { caller: "", company: "", offer: "8 101", answer: "8 101", mute_info: false }
    }
}

fn described(ip: &str, formats: &str) -> String {
    let events = if formats.contains("101") { "a=rtpmap:101 telephone-event/8000\r\n" } else { "" };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP {formats}\r\n{events}a=sendrecv\r\n"
    )
}

fn info(key: char) -> Do {
    let body = format!("Signal={key}\r\nDuration=160\r\n");
    Do::Send("INFO", Vec::new(), Some(("application/dtmf-relay", body)))
}

impl Case {
    /// A call that was answered two seconds ago and lasts; each side presses its keys in INFO, one a second.
    fn talking(&self, caller: &str, company: &str) -> (World, CallId) {
        let config = CONFIG
            .replace("country = \"GB\"\n", &format!("country = \"GB\"\n{}\n", self.caller))
            .replace(
                r#""sip:sales@198.51.100.1:5060", "#,
                r#"{ uri = "sip:sales@198.51.100.1:5060", trunk = "pbx" }, "#,
            )
            .replace(
                "[[company]]",
                &format!("[[trunk]]\nname = \"pbx\"\nmatch = [\"198.51.100.1\"]\n{}\n[[company]]", self.company),
            );
        let script = |keys: &str| {
            keys.chars().zip(3..).map(|(key, at)| (at * SECOND, info(key))).collect::<Vec<(Duration, Do)>>()
        };
        let mut world = World::new(7, &config);
        world.add(CARRIER, Phone::new(Answering::default()));
        world.add(
            SHOP,
            Phone::new(Answering {
                sdp: Some(described("198.51.100.1", self.answer)),
                script: script(company),
                mute_info: self.mute_info,
                ..Answering::default()
            }),
        );
        world.add(OFFICE, Phone::new(Answering::default()));
        world.dial(Calling {
            sdp: Some(described("192.0.2.10", self.offer)),
            script: script(caller),
            hang_up: Some(60 * SECOND),
            ..Calling::default()
        });
        world.pass(3 * SECOND);
        let call = world.us.live()[0].data.call_id;
        (world, call)
    }
}

/// A key in this side's RTP.
fn press(world: &mut World, call: CallId, side: Side, key: char) {
    let length = Duration::from_millis(100);
    let digit = Digit { key, at: world.now.mono - length, length };
    world.input(Input::Media(call, MediaNotice::Digit(side, digit)));
    world.pass(SECOND);
}

/// Keys that each side was told of: `r` in RTP, `i` in INFO.
fn told(world: &mut World) -> [String; 2] {
    let ladder = world.ladder();
    [(Side::Caller, CARRIER), (Side::Company, SHOP)].map(|(side, who)| {
        let in_rtp = format!("{side:?} hears the key ");
        let rtp = ladder.lines().filter_map(|line| Some(format!("r{} ", line.split_once(&in_rtp)?.1)));
        let mut infos = world.sent_to(who);
        infos.retain(|message| message.is_request() && message.method_token() == "INFO");
        infos.sort_by_key(|message| message.cseq().unwrap().number);
        infos.dedup_by_key(|message| message.cseq().unwrap().number);
        let bodies = infos.into_iter().map(|message| String::from_utf8(message.body().to_vec()).unwrap());
        let keys = bodies.map(|body| format!("i{} ", body.split(['=', '\r']).nth(1).unwrap()));
        rtp.chain(keys).collect()
    })
}

/// What `call.ended` says of keys: `c` the caller's, `C` the company's, `·` masked.
fn listed(world: &World) -> String {
    let side = |side| if side == Side::Caller { 'c' } else { 'C' };
    let digits = &world.ended()[0].dtmf;
    digits.iter().map(|d| format!("{}{} ", side(d.side), d.digit.as_deref().unwrap_or("·"))).collect()
}

/// Payload types of what each side was told of the other's audio: the company in our offer, the caller in our answer.
fn formats(world: &World) -> [String; 2] {
    [CARRIER, SHOP].map(|who| {
        let bodies = world.sent_to(who).into_iter().map(|message| String::from_utf8(message.body().to_vec()).unwrap());
        let lines: Vec<String> =
            bodies.filter_map(|body| Some(body.split_once("RTP/AVP ")?.1.lines().next()?.to_owned())).collect();
        lines.last().cloned().unwrap_or_default()
    })
}

#[test]
fn keys_go_to_each_side_in_its_own_way() {
    let info_only = "dtmf = \"info\"";
    let wants_events = "dtmf = \"rtp\"";
    let mut table =
        "caller's trunk | company's trunk | offer | answer -> told the caller, the company | each in INFO, in RTP\n"
            .to_owned();
    for (caller, company, offer, answer) in [
        ("", "", "8 101", "8 101"),
        ("", "", "8 101", "8"),
        ("", "", "8", "8"),
        ("", wants_events, "8", "8 101"),
        ("", wants_events, "8", "8"),
        ("", wants_events, "8 101", "8 101"),
        ("", info_only, "8 101", "8"),
        ("", info_only, "8 101", "8 101"),
        ("", info_only, "8", "8"),
        (info_only, "", "8", "8 101"),
        (info_only, "", "8 101", "8 101"),
        (info_only, info_only, "8 101", "8 101"),
        (wants_events, info_only, "8 101", "8"),
        ("", "dtmf = \"inband\"", "8 101", "8 101"),
    ] {
        let case = Case { caller, company, offer, answer, mute_info: false };
        let (mut world, call) = case.talking("1", "2");
        world.pass(3 * SECOND);
        let by_info = told(&mut world);
        let remotes = world.media[&call].remotes.clone();
        press(&mut world, call, Side::Caller, '3');
        press(&mut world, call, Side::Company, '4');
        let all = told(&mut world);
        let [caller_said, company_said] = remotes.map(|remote| remote.unwrap().presses);
        let deaf = [caller_said.by_info || company_said.events_stay, company_said.by_info || caller_said.events_stay];
        let described = formats(&world);
        world.settle();
        assert_eq!(listed(&world), "c1 C2 c3 C4 ");
        let new = [0, 1].map(|side: usize| all[side].replacen(by_info[side].trim(), "", 1).trim().to_owned());
        table += &format!(
            "{:<15}|{:<17}|{offer:<6}|{answer:<6} -> {described:?} | {by_info:?} {new:?} events held back: {deaf:?}\n",
            caller, company
        );
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_key_that_is_told_twice_is_one() {
    for first_in_rtp in [true, false] {
        let (mut world, call) = Case::default().talking(if first_in_rtp { "" } else { "5" }, "");
        if first_in_rtp {
            press(&mut world, call, Side::Caller, '5');
        } else {
            world.pass(SECOND + Duration::from_millis(200));
            press(&mut world, call, Side::Caller, '5');
        }
        // The same key again, a second later, is another.
        press(&mut world, call, Side::Caller, '5');
        world.settle();
        assert_eq!(listed(&world), "c5 c5 ", "{first_in_rtp}");
    }
}

#[test]
fn keys_in_info_pause_the_recording_and_are_masked() {
    let (mut world, call) = Case::default().talking("12345", "*7#*8");
    world.pass(2_500 * SECOND / 1_000);
    assert_eq!(world.us.recording(call), Some(Stage::Paused));
    world.pass(4 * SECOND);
    assert_eq!(world.us.recording(call), Some(Stage::Running));
    let ladder = world.settle();
    assert_eq!(listed(&world), "c1 C* c2 C7 c· C· c· C· c· C· ");
    assert!(ladder.contains("recording.paused"), "{ladder}");
}

#[test]
fn who_takes_no_info_loses_no_call_by_it() {
    let case = Case { company: "dtmf = \"info\"", answer: "8", mute_info: true, ..Case::default() };
    let (mut world, call) = case.talking("", "");
    for _ in 0..20 {
        press(&mut world, call, Side::Caller, '1');
    }
    world.settle();
    assert_eq!(world.ended()[0].dtmf.len(), 20);
    // Some are under way at a time; the rest is not told.
    assert!((1..20).contains(&told(&mut world)[1].matches('i').count()));
}
