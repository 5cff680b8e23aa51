//! The file: made anew when it is missing, damaged, old or of another journal; and what is erased is not in it.

use super::*;
use crate::core::event::ErasedData;
use crate::core::event::work::every as every_work;
use crate::io::index::settings::Settings;
use crate::io::index::writer::Live;

/// Something of everything.
fn fill(world: &World) {
    for n in 0..30_u64 {
        let at = NOON + n as i64 * 7 * MINUTE;
        let utm = [("source", "google"), ("campaign", if n % 3 == 0 { "sale" } else { "brand" })];
        let visitor = format!("visitor-{}", n % 5);
        world.visit(u128::from(n) + 1, &visitor, at, &utm);
        let mut data = call(n % 7, at + MINUTE);
        data.call_id = CallId(data.call_id.0 + u128::from(n) * 100);
        if n % 4 != 0 {
            data.attribution = by_visitor(&visitor, 0.9, Some(u128::from(n) + 1), &utm);
        }
        if n % 5 == 0 {
            (data.outcome, data.answered_at, data.talk_ms) = (Some(Outcome::NoAnswer), None, 0);
        }
        world.call(data);
    }
    for event in every_work() {
        world.tell(NOON + DAY, Body::Work(Box::new(event)));
    }
    for event in crate::core::event::keeper::every() {
        world.tell(NOON + DAY, Body::Keeper(Box::new(event)));
    }
    world.settle();
}

fn path(world: &World) -> std::path::PathBuf {
    world.folder.path().join(FILE)
}

/// Stops the index, does something to its file, and starts it again.
fn again(world: World, act: impl FnOnce(&Path)) -> World {
    let World { index, journal, folder } = world;
    drop(index);
    act(&folder.path().join(FILE));
    let index = Index::start(folder.path(), journal.clone(), &config(CONFIG)).unwrap();
    World { index, journal, folder }
}

#[test]
fn the_same_journal_makes_the_same_index_live_after_a_restart_and_rebuilt() {
    let world = world();
    fill(&world);
    let before = world.dump();
    assert!(before["calls"].len() == 30 && before["visits"].len() == 30 && before["touches"].len() > 30);
    let world = again(world, |_| {});
    assert_eq!(world.dump(), before, "a restart goes on where it was");
    world.index.rebuild();
    while world.index.status().rebuilt == 0 {
        std::thread::yield_now();
    }
    assert_eq!(world.dump(), before, "made anew beside the running one");
    let World { index, journal, folder } = world;
    drop(index);
    let mut told = Vec::new();
    let made = rebuild_offline(folder.path(), &journal, &config(CONFIG), |progress| told.push(progress)).unwrap();
    assert_eq!(made, Progress { seq: journal.last_seq(), of: journal.last_seq() });
    assert!(told.contains(&made));
    let index = Index::start(folder.path(), journal.clone(), &config(CONFIG)).unwrap();
    assert_eq!(World { index, journal, folder }.dump(), before, "made anew without a daemon");
}

#[test]
fn a_missing_damaged_old_or_foreign_file_is_made_anew() {
    let mut world = world();
    fill(&world);
    let before = world.dump();
    let noise = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.iter_mut().skip(100).step_by(3).for_each(|byte| *byte ^= 0x55);
        std::fs::write(path, bytes).unwrap();
    };
    let acts: [&dyn Fn(&Path); 6] = [
        &|path| std::fs::remove_file(path).unwrap(),
        &|path| std::fs::write(path, "no database at all, only some text that is long enough to be one").unwrap(),
        &|path| std::fs::write(path, "").unwrap(),
        &noise,
        &|path| {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute("UPDATE meta SET value = '0' WHERE name = 'schema'", []).unwrap();
            connection.execute("DELETE FROM calls", []).unwrap();
        },
        &|path| {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute("UPDATE meta SET value = 'of another' WHERE name = 'hash'", []).unwrap();
            connection.execute("DELETE FROM calls", []).unwrap();
        },
    ];
    for (n, act) in acts.into_iter().enumerate() {
        world = again(world, act);
        assert_eq!(world.dump(), before, "{n}");
    }
}

#[test]
fn a_disk_that_refuses_harms_nothing_and_the_index_comes_back() {
    let world = world();
    fill(&world);
    let before = world.dump();
    // A folder in the place of the file: it cannot be opened, whoever asks.
    let world = again(world, |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    });
    while world.index.status().state != State::Refused {
        std::thread::yield_now();
    }
    assert!(world.index.read(|reader| reader.knows(CallId(1))).is_err());
    assert!(world.journal.append(Event { time: Wall(NOON), subject: "x".into(), body: Body::NodeStopped }));
    assert!(world.journal.flush(Duration::from_secs(60)), "the journal goes on");
    std::fs::remove_dir(path(&world)).unwrap();
    assert_eq!(world.dump(), before);
}

#[test]
fn what_is_erased_on_somebodys_wish_is_in_no_byte_of_the_file() {
    let world = world();
    fill(&world);
    let secret = "visitor-of-one-call";
    world.visit(777, secret, NOON, &[("source", "google")]);
    let mut data = call(99, NOON + MINUTE);
    data.caller_name = Some("Zoe Example".into());
    data.attribution = by_visitor(secret, 0.9, Some(777), &[("source", "google")]);
    world.call(data.clone());
    let bytes = || {
        world.settle();
        let log = std::fs::read(world.folder.path().join(format!("{FILE}-wal"))).unwrap_or_default();
        [std::fs::read(path(&world)).unwrap(), log].concat()
    };
    let has = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    let words = [secret, "Zoe Example", "+442079460199"];
    assert!(words.iter().all(|word| has(&bytes(), word)));
    let figures = world.dump()["node_days"].clone();
    world.tell(
        NOON + DAY,
        Body::RecordingErased(ErasedData {
            call_id: data.call_id,
            erased_at: Wall(NOON + DAY),
            by: "anna".into(),
            why: "asked for it".into(),
            file: None,
            sha256: None,
        }),
    );
    let dump = world.dump();
    let text = format!("{dump:?}");
    assert!(words.iter().all(|word| !text.contains(word)), "{text}");
    assert_eq!(dump["node_days"], figures, "figures stay");
    let view = world.read(|reader| reader.call(data.call_id)).unwrap();
    assert!(view.facts.forgotten && view.call.caller.is_none() && view.call.attribution.visitor_id.is_none());
    let again = again(world, |_| {});
    again.settle();
    let bytes = std::fs::read(path(&again)).unwrap();
    for word in words {
        assert!(!has(&bytes, word), "{word}");
    }
    let made_anew = rebuild_of(again);
    let text = format!("{:?}", made_anew.dump());
    assert!(words.iter().all(|word| !text.contains(word)), "nor in one that is made anew");
}

fn rebuild_of(world: World) -> World {
    again(world, |path| std::fs::remove_file(path).unwrap())
}

#[test]
fn another_time_zone_makes_the_figures_anew() {
    let world = world();
    world.call(call(1, NOON + 11 * 60 * MINUTE));
    let hours = |world: &World| world.dump()["pool_hours"].clone();
    assert!(hours(&world)[0].contains("|Integer(23)|"), "{:?}", hours(&world));
    world.index.configure(&config(&CONFIG.replace("Europe/London", "Asia/Tokyo")));
    world.tell(NOON, Body::NodeStopped);
    let later = loop {
        let hours = hours(&world);
        if hours.first().is_some_and(|row| row.contains("|Integer(8)|")) {
            break hours;
        }
    };
    assert_eq!(later.len(), 1);
}

/// The thread takes what it finds, one record or a thousand: that must not show.
#[test]
fn how_many_records_are_taken_at_once_makes_no_difference() {
    let world = world();
    fill(&world);
    let records = world.journal.read(0, 100_000).unwrap();
    let made = |size: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::fresh(&folder.path().join(FILE), &Settings::of(&config(CONFIG))).unwrap();
        records.chunks(size).for_each(|records| live.take(records).unwrap());
        live.built().unwrap();
        dump(live.connection())
    };
    let whole = made(records.len());
    for size in [1, 2, 3, 5, 7, 11, 50] {
        assert_eq!(made(size), whole, "{size} at once");
    }
}
