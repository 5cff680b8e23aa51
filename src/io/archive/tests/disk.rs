//! A disk that runs full.

use std::cell::Cell;

use super::*;

const RULES: &str = "[recording]\ndisk_free_min = \"2000B\"\ndisk_free_erase = \"1000B\"\n[[company]]\nname = \"acme\"\n\
    forward_to = [\"sip:a@192.0.2.1\"]\n[[retention]]\nname = \"bulk\"\ncompany = \"acme\"\ndays = 0\npriority = \"low\"\n";

/// The oldest of low priority go, one after the other, until there is room; nothing that is held or of another class.
#[test]
fn what_has_low_priority_makes_room_with_a_tombstone() {
    let mut world = world(RULES);
    for day in 0..2 {
        (0..6).for_each(|n| world.plant(day, n));
    }
    world.round(1);
    let root = world.manifest(0).root;
    world.archive.hold(call(0, 2), "anna", "case 7").unwrap();
    let free = Cell::new(5_000_u64);
    // Every recording that goes gives 100 bytes back: the figure is asked before each.
    let asked = Cell::new(0);
    let look = |world: &World| {
        asked.set(0);
        let say = || {
            asked.set(asked.get() + 1);
            // The first question finds the level; every later one follows an erasure, but for the first of them.
            Ok(free.get() + 50 * (asked.get() as u64).saturating_sub(2))
        };
        world.archive.mind_disk(say).unwrap();
    };
    look(&world);
    free.set(1_500);
    look(&world);
    look(&world);
    let codes = |world: &World| {
        world.events("archive.alarm").iter().map(|data| data["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((codes(&world), world.events("recording.erased").len()), (vec!["disk_low".to_owned()], 0));
    // 950, 950, 1000, 1050: two go.
    free.set(950);
    look(&world);
    let gone =
        |world: &World| world.events("recording.erased").iter().map(|data| data["call_id"].clone()).collect::<Vec<_>>();
    assert_eq!(codes(&world), ["disk_low", "disk_critical"]);
    assert_eq!(gone(&world), [call(0, 0), call(0, 4)].map(|call| json!(call)), "not what is held, not another class");
    let event = &world.events("recording.erased")[0];
    assert_eq!((&event["by"], &event["why"]), (&json!("disk"), &json!("the disk ran full; rule bulk")));
    assert!(world.file(0, 0, "erased").exists() && !world.file(0, 0, "wav").exists());
    assert_eq!((world.manifest(0).root, world.manifest(0).changes.len()), (root, 2));
    // Nothing helps: all that may go goes, also of today, and calls go on.
    free.set(10);
    look(&world);
    assert_eq!(gone(&world).len(), 5);
    assert!(world.file(0, 2, "wav").exists() && (0..2).all(|day| world.file(day, 1, "wav").exists()));
    free.set(9_000);
    look(&world);
    assert_eq!(codes(&world).len(), 2, "that it is good again is no alarm");
    world.round(2);
    assert_eq!(world.verify(), [""; 0]);
}
