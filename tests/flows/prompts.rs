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
