//! Thousands of random calls over a bad network, in virtual time. What must always be true is asserted; a run that fails
//! prints its seed: `SIM_SEED=n cargo test --test sim -- --nocapture` plays it again with its ladder. Seeds that once
//! failed stay in `tests/seeds.txt`.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use leaseline::core::b2bua::{Counts, Input};
use leaseline::core::event::{Body, Outcome};
use rand_core::Rng;

use world::phone::{Answering, Calling, Do, Phone};
use world::{CARRIER, CONFIG, Faults, OFFICE, SHOP, World};

/// Seeds of an ordinary run, and calls of one seed.
const SEEDS: u64 = 500;
const CALLS: usize = 8;

fn below(world: &mut World, bound: u32) -> u32 {
    world.random.next_u32() % bound
}

fn millis(world: &mut World, bound: u32) -> Duration {
    Duration::from_millis(u64::from(below(world, bound)))
}

fn maybe<T>(world: &mut World, permille: u32, make: impl FnOnce(&mut World) -> T) -> Option<T> {
    (below(world, 1_000) < permille).then(|| make(world))
}

fn direction(world: &mut World) -> &'static str {
    ["sendonly", "sendrecv", "inactive", "recvonly"][below(world, 4) as usize]
}

/// What a phone asks for within a call: offers by UPDATE, and of the company's phones transfers, too.
fn script(world: &mut World, refers: bool) -> Vec<(Duration, Do)> {
    let count = below(world, 3);
    let draw = |world: &mut World| {
        let after = millis(world, 12_000);
        let target = ["<sip:201@198.51.100.2>", "<sip:202@198.51.100.1>", "<sip:203@192.0.2.66>"];
        let what = match below(world, 4) {
            0 if refers => {
                let to = target[below(world, 3) as usize].to_owned();
                Do::Send("REFER", vec![("Refer-To", to)], None)
            }
            1 => Do::Update(None),
            _ => Do::Update(Some(direction(world))),
        };
        (after, what)
    };
    (0..count).map(|_| draw(world)).collect()
}

/// By the clock, before the answer or after: an offer, or the end.
fn timed(world: &mut World) -> Vec<(Duration, Do)> {
    let draw = |world: &mut World| {
        let what = if below(world, 4) == 0 { Do::HangUp } else { Do::Update(Some(direction(world))) };
        (millis(world, 12_000), what)
    };
    maybe(world, 200, draw).into_iter().collect()
}

/// What a phone says of UPDATE and of session timers. Nobody refreshes: who promises to is gone, for us.
fn headers(world: &mut World, calls: bool) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if below(world, 2) == 0 {
        lines.push(("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE".to_owned()));
    }
    let tags = ["", "timer", "100rel", "100rel, timer"][below(world, 4) as usize];
    if calls && !tags.is_empty() {
        let name = if below(world, 6) == 0 { "Require" } else { "Supported" };
        lines.push((name, tags.to_owned()));
    }
    if below(world, 3) == 0 {
        let refresher = ["", ";refresher=uac", ";refresher=uas"][below(world, 3) as usize];
        let seconds = [60, 90, 100, 1_800][below(world, 4) as usize];
        lines.push(("Session-Expires", format!("{seconds}{refresher}")));
    }
    lines
}

fn answering(world: &mut World) -> Answering {
    let ringing = (0..below(world, 3))
        .map(|_| {
            let (after, early) = (millis(world, 3_000), below(world, 2) == 0);
            (after, if early { 183 } else { 180 }, early)
        })
        .collect();
    let status = [200, 200, 200, 200, 486, 603, 404, 480, 500, 503, 302, 488][below(world, 12) as usize];
    Answering {
        ringing,
        answer: maybe(world, 900, |world| (millis(world, 25_000), status)),
        hang_up: maybe(world, 400, |world| millis(world, 20_000)),
        reinvite: maybe(world, 300, |world| (millis(world, 8_000), direction(world))),
        reinvite_status: [200, 200, 200, 488, 500, 481][below(world, 6) as usize],
        trying: below(world, 4) != 0,
        mute_bye: below(world, 40) == 0,
        script: script(world, true),
        timed: timed(world),
        headers: headers(world, false),
        reliable: below(world, 2) == 0,
        reinvite_after: maybe(world, 200, |world| millis(world, 3_000)).unwrap_or_default(),
        hangs_up_after_transfer: below(world, 2) == 0,
        ..Answering::default()
    }
}

fn calling(world: &mut World) -> Calling {
    Calling {
        cancel: maybe(world, 250, |world| millis(world, 25_000)),
        // Sometimes long enough for a session to be refreshed.
        hang_up: Some(maybe(world, 100, |world| millis(world, 200_000)).unwrap_or(millis(world, 30_000))),
        reinvites: (0..below(world, 3)).map(|_| (millis(world, 10_000), direction(world))).collect(),
        acknowledges: below(world, 20) != 0,
        ack_after: maybe(world, 100, |world| millis(world, 5_000)).unwrap_or_default(),
        pracks: maybe(world, 950, |_| Duration::ZERO).or_else(|| maybe(world, 700, |world| millis(world, 8_000))),
        offers: below(world, 6) != 0,
        script: script(world, false),
        timed: timed(world),
        headers: headers(world, true),
        request_uri: format!(
            "sip:{}@203.0.113.1",
            ["+442079460500", "02079460500", "00442079460500"][below(world, 3) as usize]
        ),
        ..Calling::default()
    }
}

/// One run. Panics on a broken promise.
fn play(seed: u64) -> World {
    let config = CONFIG.replace("ring_timeout", "transfer = \"local\"\nring_timeout");
    let mut world = World::new(seed, &config);
    let faults = match seed % 4 {
        0 => Faults::default(),
        1 => Faults { loss_permille: 0, duplicate_permille: 200, jitter_ms: 80 },
        2 => Faults { loss_permille: 100, duplicate_permille: 50, jitter_ms: 30 },
        _ => Faults { loss_permille: 300, duplicate_permille: 100, jitter_ms: 200 },
    };
    world = world.with_faults(faults);
    for (index, address) in [SHOP, OFFICE].into_iter().enumerate() {
        let how = answering(&mut world);
        // Sometimes nobody is there at all.
        if index == 0 || below(&mut world, 8) != 0 {
            world.add(address, Phone::new(how));
        }
    }
    world.add(CARRIER, Phone::new(Answering::default()));
    if seed.is_multiple_of(3) {
        // Shorter than a request is repeated.
        let who = [CARRIER, SHOP, OFFICE][below(&mut world, 3) as usize].parse().expect("an address");
        let since = world.now.mono + millis(&mut world, 40_000);
        world.cut = Some((who, since, since + millis(&mut world, 20_000)));
    }
    let crash = (seed % 5 == 4).then(|| below(&mut world, 8));
    for call in 0..CALLS {
        let how = calling(&mut world);
        let (now, us) = (world.now.mono, world.us_at);
        let (_, sent) = world.phone(CARRIER).call(now, us, how);
        let from = CARRIER.parse().expect("an address");
        for (to, bytes) in sent {
            world.send(from, to, bytes);
        }
        let pause = millis(&mut world, 6_000);
        world.pass(pause);
        if below(&mut world, 60) == 0 {
            world.input(Input::HangUpAll("test"));
        }
        if crash.is_some_and(|crash| crash as usize == call) {
            world.crash();
        }
    }
    // Timer C and the longest ringing of two destinations are behind us after this, whatever was lost.
    let quiet = world.run(Duration::from_secs(1_200));
    if std::env::var_os("SIM_SEED").is_some() {
        println!("{}", world.ladder());
    }
    assert!(quiet, "not quiet after twenty minutes");
    check(&world, seed);
    world
}

fn check(world: &World, seed: u64) {
    assert_eq!(world.counts(), Counts::default(), "something is left");
    assert!(world.media.values().all(|media| media.closed), "media left open");
    assert!(world.phones.values().all(Phone::is_quiet), "a phone still waits");
    let mut ended: BTreeMap<String, usize> = BTreeMap::new();
    let mut started = BTreeSet::new();
    for event in &world.events {
        let call = event.subject.clone();
        match &event.body {
            Body::CallStarted(_) => assert!(started.insert(call), "started twice"),
            Body::CallEnded(data) => {
                *ended.entry(call).or_default() += 1;
                let talked = data.answered_at.is_some();
                assert!(!talked || data.recording.as_ref().is_some_and(|r| r.path.is_some()), "talk without recording");
                assert!(talked || data.outcome != Some(Outcome::Answered), "answered without an answer");
                assert!(data.sip_status.is_some() && data.reason.is_some() && data.hangup_by.is_some());
            }
            _ => assert!(!ended.contains_key(&call), "an event after call.ended"),
        }
    }
    let left: BTreeSet<String> = started.iter().filter(|call| !ended.contains_key(*call)).cloned().collect();
    assert_eq!(left, world.lost_in_crash, "calls that started and calls that ended");
    assert!(ended.values().all(|count| *count == 1), "ended twice");
    let crashed = seed % 5 == 4;
    let lossless = matches!(seed % 4, 0 | 1) && !seed.is_multiple_of(3) && !crashed;
    for phone in world.phones.values() {
        for (call, dialog) in &phone.dialogs {
            assert!(dialog.finals.len() <= 1, "{call}: several final answers {:?}", dialog.finals);
            // What is repeated for 32 seconds comes through.
            assert!(crashed || !dialog.up, "{call}: still up");
            if lossless {
                assert!(!dialog.ours || dialog.finals.len() == 1, "{call}: no final answer");
                let answered = !dialog.ours && dialog.finals == [200];
                assert!(!answered || dialog.acked, "{call}: a 200 without its ACK");
            }
        }
    }
}

fn replayed(seed: u64) {
    let run = catch_unwind(AssertUnwindSafe(|| play(seed)));
    if let Err(panic) = run {
        eprintln!("SIM_SEED={seed} cargo test --test sim -- --nocapture");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn random_calls_keep_every_promise() {
    if let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|text| text.parse().ok()) {
        play(seed);
        return;
    }
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let kept = include_str!("seeds.txt").lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    for seed in kept.chain(0..seeds) {
        replayed(seed);
    }
}

#[test]
fn one_seed_is_one_run() {
    for seed in [2, 3, 7] {
        let (first, second) = (play(seed), play(seed));
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
        assert_eq!(first.ladder(), second.ladder());
    }
}
