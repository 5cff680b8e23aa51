//! What callers and companies hear from us, and mailboxes.

use std::path::Path;
use std::time::Duration;

use leaseline::core::b2bua::Input;
use leaseline::core::event::Outcome;
use leaseline::ids::Side;
use leaseline::time::Wall;

use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const SECOND: Duration = Duration::from_secs(1);

/// A folder with sounds of so many seconds.
fn sounds() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, seconds) in [("recorded", 4), ("kitchens", 2), ("music", 6), ("busy", 3), ("greeting", 5)] {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = folder.path().join(format!("{name}.wav"));
        let mut writer = hound::WavWriter::create(path, spec).expect("a file");
        (0..8_000 * seconds).for_each(|n| writer.write_sample((n % 99) as i16).expect("a sample"));
        writer.finalize().expect("a file");
    }
    folder
}

/// The usual world, with these lines among the company's tables; `@` is the folder of sounds.
fn world(folder: &Path, lines: &str, shop: Answering, office: Answering) -> World {
    let lines = lines.replace('@', &folder.display().to_string());
    let mut world = World::new(7, &CONFIG.replace("[[pool]]\n", &format!("{lines}\n[[pool]]\n")));
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(office));
    world
}

fn answers() -> Answering {
    Answering { answer: Some((2 * SECOND, 200)), ..Answering::default() }
}

fn refuses(status: u16) -> Answering {
    Answering { ringing: Vec::new(), answer: Some((Duration::from_millis(50), status)), ..Answering::default() }
}

fn silent() -> Answering {
    Answering { answer: None, ..Answering::default() }
}

/// `kind to length in ms` of what was played.
fn played(world: &World) -> Vec<String> {
    let prompts = &world.ended()[0].prompts;
    let shown = |p: &leaseline::core::event::PromptData| {
        let side = if p.to == Side::Caller { "caller" } else { "company" };
        format!("{} to {side} {}", p.kind, p.until.millis_since(p.from))
    };
    prompts.iter().map(shown).collect()
}

#[test]
fn announcement_and_whisper_before_the_bridge() {
    let folder = sounds();
    let lines = "[company.prompts]\nannouncement = \"@/recorded.wav\"\nwhisper = \"@/kitchens.wav\"";
    let mut world = world(folder.path(), lines, answers(), answers());
    world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(played(&world), ["whisper to company 2000", "announcement to caller 4000"]);
    let prompts = &world.ended()[0].prompts;
    assert!(prompts.iter().all(|p| p.sha256.as_ref().is_some_and(|hash| hash.len() == 64)), "{prompts:?}");
}

#[test]
fn an_announcement_as_early_media() {
    let folder = sounds();
    let lines = "[company.prompts]\nannouncement = \"@/recorded.wav\"\nannouncement_at = \"early\"";
    let mut world = world(folder.path(), lines, answers(), answers());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(played(&world), ["announcement to caller 4000"], "once");
}

#[test]
fn the_caller_hears_our_ringback_until_the_answer() {
    let folder = sounds();
    let lines = "[company.prompts]\nringback = \"@/music.wav\"";
    let shop = Answering { answer: Some((9 * SECOND, 200)), ..Answering::default() };
    let mut world = world(folder.path(), lines, shop, answers());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(played(&world), ["ringback to caller 8900"]);
}

#[test]
fn early_media_of_the_company_ends_our_ringback() {
    let folder = sounds();
    let lines = "[company.prompts]\nringback = \"@/music.wav\"";
    let ringing = vec![(Duration::from_millis(100), 180, false), (SECOND, 183, true)];
    let shop = Answering { ringing, answer: Some((3 * SECOND, 200)), ..Answering::default() };
    let mut world = world(folder.path(), lines, shop, answers());
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(played(&world), ["ringback to caller 900"]);
}

#[test]
fn who_finds_everybody_busy_is_told_so_in_words() {
    let folder = sounds();
    let lines = "[company.prompts]\nbusy = \"@/busy.wav\"";
    let mut world = world(folder.path(), lines, refuses(486), refuses(486));
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    assert_eq!(played(&world), ["busy to caller 3000"]);
    assert_eq!(world.ended()[0].outcome, Some(Outcome::Busy));
}

#[test]
fn a_message_is_taken_when_nobody_answers() {
    let folder = sounds();
    let lines = "[company.voicemail]\ngreeting = \"@/greeting.wav\"";
    let mut world = world(folder.path(), lines, silent(), silent());
    world.dial(Calling { hang_up: Some(30 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(played(&world), ["greeting to caller 5000", "tone to caller 500"]);
    let ended = world.ended()[0];
    assert_eq!((ended.outcome, ended.reason.as_deref()), (Some(Outcome::Voicemail), Some("ring_timeout")));
    assert!(world.media.values().all(|media| media.recording));
}

#[test]
fn a_message_has_an_end() {
    let folder = sounds();
    let lines = "[company.voicemail]\nlength_max = \"10s\"\nafter = [\"busy\"]";
    let mut world = world(folder.path(), lines, refuses(486), refuses(486));
    world.dial(Calling { hang_up: None, ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    assert_eq!(world.ended()[0].hangup_by, Some(leaseline::core::event::HangupBy::System));
}

#[test]
fn a_message_is_taken_outside_of_the_hours() {
    let folder = sounds();
    let lines = "[company.schedule]\ntime_zone = \"Europe/London\"\nmonday = [\"09:00-18:00\"]\n\
                 [company.voicemail]\ngreeting = \"@/greeting.wav\"";
    let mut world = world(folder.path(), lines, answers(), answers());
    // A Sunday.
    world.now.wall = Wall::parse_rfc3339("2026-11-22T10:00:00Z").expect("a time");
    world.dial(Calling { hang_up: Some(12 * SECOND), ..Calling::default() });
    insta::assert_snapshot!(world.settle());
    let ended = world.ended()[0];
    assert_eq!((ended.outcome, ended.reason.as_deref()), (Some(Outcome::Voicemail), Some("company_closed")));
}

#[test]
fn no_message_is_taken_where_nothing_is_recorded() {
    let folder = sounds();
    let lines = "[company.voicemail]\ngreeting = \"@/greeting.wav\"\n";
    let mut world = world(folder.path(), &format!("{lines}[recording]\nenabled = false\n"), refuses(486), refuses(486));
    world.dial(Calling::default());
    world.settle();
    assert_eq!(world.ended()[0].outcome, Some(Outcome::Busy));
    assert_eq!(world.phone(CARRIER).dialogs.values().next().expect("a dialog").finals, [486]);
}

#[test]
fn a_caller_may_leave_at_every_moment() {
    let folder = sounds();
    let lines = "[company.prompts]\nannouncement = \"@/recorded.wav\"\nannouncement_at = \"early\"\n\
                 whisper = \"@/kitchens.wav\"\nringback = \"@/music.wav\"\nbusy = \"@/busy.wav\"\n\
                 [company.voicemail]\ngreeting = \"@/greeting.wav\"\nafter = [\"no_answer\"]";
    let mut outcomes = Vec::new();
    for (shop, office) in [(answers(), answers()), (refuses(486), refuses(486)), (silent(), silent())] {
        for tenths in (0..120).step_by(7) {
            let mut world = world(folder.path(), lines, shop.clone(), office.clone());
            let after = Duration::from_millis(tenths * 100);
            world.dial(Calling { cancel: Some(after), hang_up: Some(after), ..Calling::default() });
            world.settle();
            outcomes.push(world.ended()[0].outcome.map(|outcome| outcome.as_str()).unwrap_or_default());
        }
    }
    outcomes.sort_unstable();
    outcomes.dedup();
    assert_eq!(outcomes, ["answered", "busy", "cancelled"]);
}

#[test]
fn a_call_is_hung_up_in_every_phase_of_ours() {
    let folder = sounds();
    let lines = "[company.prompts]\nannouncement = \"@/recorded.wav\"\nannouncement_at = \"early\"\n\
                 busy = \"@/busy.wav\"\n[company.voicemail]\nafter = [\"no_answer\"]";
    for (seconds, phase, shop) in
        [(2, "announcing", answers()), (5, "announcing", refuses(486)), (50, "voicemail", silent())]
    {
        let mut world = world(folder.path(), lines, shop.clone(), shop);
        world.dial(Calling { hang_up: None, ..Calling::default() });
        world.pass(SECOND * seconds);
        let live = world.us.live();
        assert_eq!(live[0].phase, phase);
        let call = live[0].data.call_id;
        world.input(Input::HangUp(call, "operator"));
        world.settle();
        assert_eq!(world.ended().len(), 1, "{phase}");
    }
}

#[test]
fn a_rule_has_sounds_of_its_own() {
    let folder = sounds();
    let lines = "[company.prompts]\nannouncement = \"@/recorded.wav\"\nwhisper = \"@/music.wav\"\n\
                 [[company.rule]]\nname = \"r\"\nwhen = { source = \"bill*\" }\nwhisper = \"@/kitchens.wav\"";
    let mut world = world(folder.path(), lines, answers(), answers());
    world.dial(Calling { hang_up: Some(20 * SECOND), ..Calling::default() });
    world.settle();
    assert_eq!(played(&world), ["whisper to company 2000", "announcement to caller 4000"]);
}

fn holding(directions: [&'static str; 2], shop: Answering) -> World {
    let folder = sounds();
    let mut world = world(folder.path(), "[company.prompts]\nhold = \"@/music.wav\"", shop, answers());
    let reinvites = vec![(2 * SECOND, directions[0]), (10 * SECOND, directions[1])];
    world.dial(Calling { hang_up: Some(15 * SECOND), reinvites, ..Calling::default() });
    world
}

#[test]
fn whoever_is_put_on_hold_hears_music_until_the_other_comes_back() {
    for hold in ["sendonly", "inactive"] {
        let mut world = holding([hold, "sendrecv"], answers());
        let ladder = world.settle();
        let times = played(&world);
        assert_eq!(times.len(), 1, "{hold}: {times:?}\n{ladder}");
        let ms: u64 = times[0].strip_prefix("hold to company ").unwrap().parse().unwrap();
        assert!((7_800..8_200).contains(&ms), "{hold}: {times:?}");
        // Nothing is sent that the held phone did not agree to.
        assert!(ladder.contains("a=sendonly"), "{ladder}");
        if hold == "inactive" {
            insta::assert_snapshot!(ladder);
        }
    }
}

#[test]
fn hold_with_an_address_of_zeros_has_music_too() {
    let folder = sounds();
    let mut world = world(folder.path(), "[company.prompts]\nhold = \"@/music.wav\"", answers(), answers());
    let described = |ip: &str, version: u32| {
        format!(
            "v=0\r\no=- 77 {version} IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
    };
    let script = vec![
        (2 * SECOND, crate::world::phone::Do::Describe(described("0.0.0.0", 2))),
        (6 * SECOND, crate::world::phone::Do::Describe(described("192.0.2.10", 3))),
    ];
    world.dial(Calling { hang_up: Some(9 * SECOND), script, ..Calling::default() });
    world.settle();
    let times = played(&world);
    assert!(times.len() == 1 && times[0].starts_with("hold to company "), "{times:?}");
}

#[test]
fn nobody_hears_music_who_holds_or_does_not_listen() {
    // The caller holds, and the shop answers that it does not listen either.
    let shop = Answering { reinvite_direction: Some("inactive"), ..answers() };
    let mut world = holding(["sendonly", "sendrecv"], shop);
    world.settle();
    // When the caller comes back, it is the shop that holds.
    assert_eq!(played(&world), ["hold to caller 4990"]);
    // It listens only: that is no hold.
    let mut world = holding(["recvonly", "sendrecv"], answers());
    let ladder = world.settle();
    assert!(played(&world).is_empty(), "{:?}\n{ladder}", played(&world));
}

#[test]
fn a_company_that_holds_gives_the_caller_music_to_the_end() {
    let folder = sounds();
    let script = vec![(2 * SECOND, crate::world::phone::Do::Reinvite("inactive"))];
    let shop = Answering { script, ..answers() };
    let mut world = world(folder.path(), "[company.prompts]\nhold = \"@/music.wav\"", shop, answers());
    world.dial(Calling { hang_up: Some(8 * SECOND), ..Calling::default() });
    world.settle();
    let times = played(&world);
    assert!(times.len() == 1 && times[0].starts_with("hold to caller "), "{times:?}");
}

/// A caller that has only these formats.
fn offering(formats: &str, more: &str) -> Calling {
    let maps = "a=rtpmap:9 G722/8000\r\na=rtpmap:111 opus/48000/2\r\n";
    let maps: String = maps
        .lines()
        .filter(|l| formats.split(' ').any(|f| l.contains(&format!(":{f} "))))
        .map(|l| format!("{l}\r\n"))
        .collect();
    let profile = if more.is_empty() { "RTP/AVP" } else { "RTP/SAVP" };
    let sdp = format!(
        "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 40000 {profile} {formats}\r\n{maps}{more}"
    );
    Calling { sdp: Some(sdp), hang_up: Some(30 * SECOND), ..Calling::default() }
}

#[test]
fn messages_are_taken_of_callers_without_g711_and_of_encrypted_ones() {
    let folder = sounds();
    let lines = "[company.voicemail]\ngreeting = \"@/greeting.wav\"";
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n";
    for (formats, more, answered) in [
        ("9", "", "RTP/AVP 9"),
        ("111", "", "RTP/AVP 111"),
        ("111 8", "", "RTP/AVP 8"),
        ("8", key, "RTP/SAVP 8"),
        ("111", key, "RTP/SAVP 111"),
    ] {
        let mut world = world(folder.path(), lines, refuses(486), refuses(486));
        let encrypted = !more.is_empty();
        if encrypted {
            let config = CONFIG.replace("country = \"GB\"", "country = \"GB\"\nmedia_encryption = \"sdes\"").replace(
                "[[pool]]\n",
                &format!("{}\n[[pool]]\n", lines.replace('@', &folder.path().display().to_string())),
            );
            world = World::new(7, &config);
            world.add(CARRIER, Phone::new(Answering::default()));
            world.add(SHOP, Phone::new(refuses(486)));
            world.add(OFFICE, Phone::new(refuses(486)));
        }
        world.dial(offering(formats, more));
        let ladder = world.settle();
        assert_eq!(world.ended()[0].outcome, Some(Outcome::Voicemail), "{formats}\n{ladder}");
        assert!(ladder.contains(answered), "{formats}\n{ladder}");
        assert_eq!(played(&world), ["greeting to caller 5000", "tone to caller 500"]);
        let answer = world.sent_to(CARRIER).into_iter().find(|m| m.status() == 200).unwrap();
        let answer = String::from_utf8(answer.body().to_vec()).unwrap();
        assert_eq!(answer.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80"), encrypted, "{answer}");
        let secure = world.media.values().next().unwrap().remotes[0].as_ref().unwrap().secure.is_some();
        assert_eq!(secure, encrypted);
    }
}
